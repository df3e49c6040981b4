"""The further tables of facts made by hand: correspondences, coverage, tracks, rooms, free space, all in closed form."""

from dataclasses import replace
from typing import Any

import numpy as np

from sightline.captures.capture import SceneObject, Structure
from sightline.facts.coverage import size_axes
from sightline.facts.fact import (
    ON_FLOOR,
    CorrespondenceFacts,
    CoverageFacts,
    ObjectGlimpseFacts,
    ObjectPlaceFacts,
    ObjectViewFacts,
    RoomFacts,
    RoomLinkFacts,
    TrackFacts,
    TrackWindowFacts,
)
from sightline.facts.free_space import free_space
from sightline.facts.object_times import object_times
from sightline.geometry.cameras import Intrinsics
from sightline.geometry.shapes import polygon_area
from sightline.geometry.transforms import apply, inverse

STILL_POINTS, MOVING_POINTS = 6, 12
POINTS_PER_PAIR = 3


def more_tables(
    poses: np.ndarray, objects: tuple[SceneObject, ...] | None, views: ObjectViewFacts | None, structure: Structure, camera: Intrinsics
) -> dict[str, Any]:
    """The tables that `facts_of` adds: those about objects are None where there are none."""
    tracks, windows = tracks_and_windows(poses, camera)
    tables: dict[str, Any] = {
        "correspondences": correspondence_facts(poses, camera),
        "tracks": tracks,
        "track_windows": windows,
        **room_tables(structure, objects),
    }
    if objects is not None and views is not None:
        tables |= {
            "object_times": object_times(views, objects),
            "object_glimpses": ObjectGlimpseFacts(object_id=views.object_id, frame=views.frame),
            "object_places": ObjectPlaceFacts(
                object_id=np.array([one.object_id for one in objects], dtype=np.int32),
                support_id=np.full(len(objects), ON_FLOOR, dtype=np.int32),
                room_index=np.zeros(len(objects), dtype=np.int32),
            ),
            "coverage": coverage_facts(objects, views),
        }
    return tables


def room_tables(structure: Structure, objects: tuple[SceneObject, ...] | None) -> dict[str, Any]:
    """Rooms, their links (none) and the free floor around the objects."""
    grid = free_space(np.empty((0, 3)), structure=structure, objects=objects, floor=None)
    return {
        "rooms": RoomFacts(
            room_index=np.array([room.room_index for room in structure.rooms], dtype=np.int32),
            area_m2=np.array([polygon_area(np.asarray(room.outline_world)) for room in structure.rooms]),
            centre_world=np.array([[*np.mean(room.outline_world, axis=0), room.floor_z_m] for room in structure.rooms]),
            from_outline=np.ones(len(structure.rooms), dtype=bool),
        ),
        "room_links": RoomLinkFacts(first=np.empty(0, np.int32), second=np.empty(0, np.int32), opening=np.empty(0, np.int32)),
        "free_space": None if isinstance(grid, str) else grid,
    }


def correspondence_facts(poses: np.ndarray, camera: Intrinsics, *, seed: int = 3) -> CorrespondenceFacts:
    """Random points of the room that two cameras both have in their images; nothing hides anything."""
    rng = np.random.default_rng(seed)
    rows = []
    for first in range(len(poses)):
        for second in range(first + 1, len(poses)):
            points_world = rng.uniform([-2.5, -2.5, 0.0], [2.5, 2.5, 2.0], (12, 3))
            both = [camera.project(apply(inverse(poses[one]), points_world)) for one in (first, second)]
            seen = np.all([(depth_m > 0.3) & camera.contains(uv) for uv, depth_m in both], axis=0)
            for row in np.flatnonzero(seen)[:POINTS_PER_PAIR]:
                (first_uv, first_depth_m), (second_uv, second_depth_m) = both
                rows.append((first, second, first_uv[row], second_uv[row], first_depth_m[row], second_depth_m[row], points_world[row]))
    columns = list(zip(*rows)) if rows else [[] for _ in range(7)]
    return CorrespondenceFacts(
        first=np.array(columns[0], dtype=np.int32),
        second=np.array(columns[1], dtype=np.int32),
        first_uv=np.array(columns[2], dtype=float).reshape(-1, 2),
        second_uv=np.array(columns[3], dtype=float).reshape(-1, 2),
        first_depth_m=np.array(columns[4], dtype=float),
        second_depth_m=np.array(columns[5], dtype=float),
        point_world=np.array(columns[6], dtype=float).reshape(-1, 3),
        object_id=np.full(len(rows), -1, dtype=np.int32),
    )


def coverage_facts(objects: tuple[SceneObject, ...], views: ObjectViewFacts) -> CoverageFacts:
    """Each dimension is spanned by every second view alone, and by the others in pairs."""
    rows = []
    for one in objects:
        frames = views.frame[views.object_id == one.object_id]
        for axis in range(3):
            extent_m = float(one.box.size_m[size_axes(one.box)[axis]])
            rows += [(one.object_id, axis, frame, -1, extent_m) for frame in frames[::2]]
            rows += [(one.object_id, axis, first, second, extent_m) for first, second in zip(frames[1::2], frames[3::2])]
    columns = np.array(rows, dtype=float).reshape(-1, 5).T
    return CoverageFacts(
        object_id=columns[0].astype(np.int32),
        axis=columns[1].astype(np.int8),
        first=columns[2].astype(np.int32),
        second=columns[3].astype(np.int32),
        span_m=columns[4],
        extent_m=columns[4],
    )


def tracks_and_windows(poses: np.ndarray, camera: Intrinsics, *, seed: int = 4) -> tuple[TrackFacts, TrackWindowFacts]:
    """Still points, and points of body 1 that go along a line; every pair of frames that has a point in both images is a window."""
    rng = np.random.default_rng(seed)
    times, count = len(poses), STILL_POINTS + MOVING_POINTS
    start_world = rng.uniform([-1.5, -1.5, 0.2], [1.5, 1.5, 1.6], (count, 3))
    is_moving = np.arange(count) >= STILL_POINTS
    step_m = np.where(is_moving[:, None], np.array([0.06, -0.04, 0.02]), 0.0)
    world = start_world[:, None] + step_m[:, None] * np.arange(times)[None, :, None]
    seen_from = [apply(inverse(pose), world[:, time]) for time, pose in enumerate(poses)]
    in_camera = np.stack(seen_from, axis=1) if times else np.empty((count, 0, 3))
    uv, depth_m = camera.project(in_camera.reshape(-1, 3))
    visible = ((depth_m > 0.3) & camera.contains(uv)).reshape(count, times)
    point, frame = np.divmod(np.arange(count * times), max(times, 1))
    body = is_moving.astype(np.int32)
    tracks = TrackFacts(
        point=point.astype(np.int32),
        frame=frame.astype(np.int32),
        visible=visible.reshape(-1),
        point_camera=in_camera.reshape(-1, 3),
        point_world=world.reshape(-1, 3),
        body=body[point],
        at_edge=np.zeros(len(point), dtype=bool),
    )
    rows = [
        (one, start, end)
        for one in range(count)
        for start in range(times)
        for end in range(start + 1, times)
        if visible[one, start] and visible[one, end]
    ]
    index = np.array(rows, dtype=np.int64).reshape(-1, 3)
    moved_world = world[index[:, 0], index[:, 2]] - world[index[:, 0], index[:, 1]]
    turn = poses[index[:, 1], :3, :3].transpose(0, 2, 1) if len(index) else np.empty((0, 3, 3))
    windows = TrackWindowFacts(
        point=index[:, 0].astype(np.int32),
        start=index[:, 1].astype(np.int32),
        end=index[:, 2].astype(np.int32),
        displacement_m=np.einsum("nij,nj->ni", turn, moved_world),
        apparent_m=in_camera[index[:, 0], index[:, 2]] - in_camera[index[:, 0], index[:, 1]],
        body=body[index[:, 0]],
    )
    return tracks, windows


def moved_tables(facts: Any, new_from_world: np.ndarray, *, structure: Structure, objects: tuple[SceneObject, ...]) -> dict[str, Any]:
    """The further tables after a rigid motion of the world; the grid of free space is laid anew along the new axes."""
    rooms = room_tables(structure, objects)
    rooms["rooms"] = replace(facts.rooms, centre_world=apply(new_from_world, facts.rooms.centre_world))
    return {
        **rooms,
        "correspondences": replace(facts.correspondences, point_world=apply(new_from_world, facts.correspondences.point_world)),
        "tracks": replace(facts.tracks, point_world=apply(new_from_world, facts.tracks.point_world)),
    }
