"""Tracks: followed points in the camera and in the world, the rigid bodies they belong to, and their movements over windows of time."""

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from pydantic import Field

from sightline.captures.capture import PointTracks
from sightline.captures.frame_images import frame_depth_m
from sightline.config import config
from sightline.facts.bodies import NO_BODY, rigid_groups, still_points
from sightline.facts.fact import TrackFacts, TrackWindowFacts
from sightline.facts.points import generator_for
from sightline.scenes.scene import Scene

DRAWN_PER_WINDOW = 8  # windows looked at for each one kept, so that small and large movements are both among those kept
LONE_MOVE_M = 0.02  # a point of no body moved when it was seen at places this far apart
EDGE_M, EDGE_SHARE = 0.05, 0.03  # a reading beside a point is its own surface's within the larger of the two: a slanted surface goes on
POSES_UNKNOWN = "displacements in space need camera poses, and nobody knows where the cameras were; apparent movements are there"


@config
class TrackOptions:
    """What counts as still and as rigid, and how many windows are kept."""

    tolerance_m: Annotated[float, Field(gt=0.0)] = 0.01  # a point that stays this near its mean place is still
    tolerance_share: Annotated[float, Field(ge=0.0)] = 0.002  # or within this share of its distance from the camera, whichever is more
    windows_per_point: Annotated[int, Field(ge=1)] = 12
    windows_per_still_point: Annotated[int, Field(ge=0)] = 2
    max_windows: Annotated[int, Field(ge=1)] = 50_000  # more than this are thinned at random, evenly


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class TrackMeasures:
    """The two tables, and the objects that were found moving."""

    tracks: TrackFacts | None
    windows: TrackWindowFacts | None
    moving_ids: frozenset[int] = frozenset()


def measure_tracks(scene: Scene, *, seed: int, options: TrackOptions, skips: dict[str, str]) -> TrackMeasures:
    """Tracks of a scene and their windows. Where they cannot be measured, the reason is put into `skips`."""
    places = {frame.frame_id: index for index, frame in enumerate(scene.frames)}
    known = scene.tracks
    rows = [] if known is None else [row for row, frame_id in enumerate(known.frame_ids) if frame_id in places]
    if known is None or known.points_camera.shape[1] == 0 or not rows:
        skips["tracks"] = skips["track_windows"] = "no points were followed in this scan"
        return TrackMeasures(tracks=None, windows=None)
    if not scene.has_poses:
        skips["track_windows"] = POSES_UNKNOWN
    rows = sorted(rows, key=lambda row: places[known.frame_ids[row]])
    frame = np.array([places[known.frame_ids[row]] for row in rows], dtype=np.int32)
    poses = np.array([scene.frames[index].world_from_camera for index in frame]) if scene.has_poses else None
    points_camera = np.ascontiguousarray(known.points_camera[rows].transpose(1, 0, 2), dtype=np.float64)  # (N, T, 3)
    seen = known.visible[rows].T & np.isfinite(points_camera).all(axis=2)
    points_world = np.full_like(points_camera, np.nan) if poses is None else _in_world(points_camera, poses)
    body = bodies_of(points_camera, None if poses is None else points_world, seen, options=options)
    count, times = seen.shape
    table = TrackFacts(
        point=np.repeat(np.arange(count, dtype=np.int32), times),
        frame=np.tile(frame, count),
        visible=seen.ravel(),
        point_camera=points_camera.reshape(-1, 3),
        point_world=points_world.reshape(-1, 3),
        body=np.repeat(body, times),
        at_edge=_at_edge(scene, frame, points_camera, seen).ravel(),
    )
    windows = _windows(points_camera, points_world, seen, poses, frame, body, scan_id=scene.scan_id, seed=seed, options=options)
    return TrackMeasures(tracks=table, windows=windows, moving_ids=_moving_ids(known, body, points_world, seen))


def bodies_of(points_camera: np.ndarray, points_world: np.ndarray | None, seen: np.ndarray, *, options: TrackOptions) -> np.ndarray:
    """Body `(N,)` int32 of points `(N, T, 3)` seen in frames `(N, T)`: 0 = still, then by size; -1 = none found.

    With world positions a point is still where it stays at its place, and rigid groups are sought among the others. Without
    (`points_world` None) the largest rigid group is taken for what stands still, for the camera moves and all the rest with it.
    """
    count = np.maximum(seen.sum(axis=1), 1)
    ranges_m = np.where(seen, np.linalg.norm(np.where(seen[:, :, None], points_camera, 0.0), axis=2), 0.0).sum(axis=1) / count
    limits_m = np.maximum(options.tolerance_m, options.tolerance_share * ranges_m)
    body = np.full(len(seen), NO_BODY, dtype=np.int32)
    if points_world is None:
        for number, group in enumerate(rigid_groups(points_camera, seen, limits_m)):
            body[group] = number
        return body
    still = still_points(points_world, seen, limits_m)
    body[still] = 0
    moving = np.flatnonzero(~still & (seen.sum(axis=1) >= 2))
    for number, group in enumerate(rigid_groups(points_world[moving], seen[moving], limits_m[moving]), start=1):
        body[moving[group]] = number
    return body


def _in_world(points_camera: np.ndarray, world_from_camera: np.ndarray) -> np.ndarray:
    """Points `(N, T, 3)` of each frame's camera in the world."""
    return np.einsum("tij,ntj->nti", world_from_camera[:, :3, :3], points_camera) + world_from_camera[None, :, :3, 3]


def _moving_ids(known: PointTracks, body: np.ndarray, points_world: np.ndarray, seen: np.ndarray) -> frozenset[int]:
    """Objects with a point of a moving body, or a lone point `(N, T, 3)` that left its place; none where nobody says whose they are."""
    if known.object_ids is None:
        return frozenset()
    places = np.where(seen[:, :, None], points_world, np.nan)
    with np.errstate(all="ignore"):
        low, high = np.fmin.reduce(places, axis=1), np.fmax.reduce(places, axis=1)
        left_its_place = (body < 0) & (np.linalg.norm(high - low, axis=1) > LONE_MOVE_M)  # NaN where never seen: false
    return frozenset(int(one) for one in np.unique(known.object_ids[(body > 0) | left_its_place]) if one >= 0)


def _at_edge(scene: Scene, frame: np.ndarray, points_camera: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Which points `(N, T)` bool have a depth reading at their pixel or beside it that is not their own surface's, or no reading there."""
    at_edge = np.zeros(seen.shape, dtype=bool)
    for time, index in enumerate(frame):
        one = scene.frames[index]
        who = np.flatnonzero(seen[:, time])
        if one.depth_path is None or not len(who):
            continue
        depth_m = frame_depth_m(one)
        points = points_camera[who, time]
        uv, z = one.depth_intrinsics.project(points)
        height, width = depth_m.shape
        with np.errstate(invalid="ignore"):
            inside = (z > 0) & one.depth_intrinsics.contains(uv)
        column, row = (np.where(inside, np.rint(np.where(inside, axis, 0)), 0).astype(np.int64) for axis in uv.T)
        off = np.zeros(len(who), dtype=bool)
        for right, down in np.ndindex(3, 3):
            reading = depth_m[np.clip(row + down - 1, 0, height - 1), np.clip(column + right - 1, 0, width - 1)]
            off |= ~(np.abs(reading - z) <= np.maximum(EDGE_M, EDGE_SHARE * z))  # NaN: no reading, so nobody knows
        at_edge[who, time] = off & inside
    return at_edge


def _windows(
    points_camera: np.ndarray,
    points_world: np.ndarray,
    seen: np.ndarray,
    poses: np.ndarray | None,
    frame: np.ndarray,
    body: np.ndarray,
    *,
    scan_id: str,
    seed: int,
    options: TrackOptions,
) -> TrackWindowFacts:
    chosen = []
    for point in range(len(seen)):
        wanted = options.windows_per_still_point if body[point] == 0 else options.windows_per_point
        rng = generator_for(scan_id, f"track {point}", seed)
        chosen.append(_drawn(np.flatnonzero(seen[point]), (points_camera if poses is None else points_world)[point], wanted, rng))
    point = np.repeat(np.arange(len(seen)), [len(one) for one in chosen])
    start, end = np.concatenate(chosen).T
    if len(point) > options.max_windows:
        kept = np.sort(generator_for(scan_id, "track windows", seed).permutation(len(point))[: options.max_windows])
        point, start, end = point[kept], start[kept], end[kept]
    displacement_m = np.full((len(point), 3), np.nan)
    if poses is not None:
        moved_world = points_world[point, end] - points_world[point, start]
        displacement_m = np.einsum("vji,vj->vi", poses[start][:, :3, :3], moved_world)
    return TrackWindowFacts(
        point=point.astype(np.int32),
        start=frame[start],
        end=frame[end],
        displacement_m=displacement_m,
        apparent_m=points_camera[point, end] - points_camera[point, start],
        body=body[point],
    )


def _drawn(times: np.ndarray, places: np.ndarray, wanted: int, rng: np.random.Generator) -> np.ndarray:
    """At most `wanted` windows `(V, 2)` start and end, in order, of the times that see a point, evenly from small movements to large."""
    count = len(times)
    total = count * (count - 1) // 2
    if total == 0 or wanted == 0:
        return np.zeros((0, 2), dtype=np.int64)
    ranks = np.sort(rng.choice(total, size=min(total, DRAWN_PER_WINDOW * wanted), replace=False, shuffle=False))
    starts = np.cumsum(np.concatenate([[0], np.arange(count - 1, 0, -1)]))  # rank of each time's first window
    first = np.searchsorted(starts, ranks, side="right") - 1
    windows = np.stack([times[first], times[ranks - starts[first] + first + 1]], axis=1)
    if len(windows) > wanted:
        moved_m = np.linalg.norm(places[windows[:, 1]] - places[windows[:, 0]], axis=1)
        by_size = np.argsort(moved_m, kind="stable")
        windows = windows[np.sort(by_size[np.linspace(0, len(windows) - 1, wanted).round().astype(np.int64)])]
    return windows
