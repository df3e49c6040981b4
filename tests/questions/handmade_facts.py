"""Facts made by hand for tests: a room of boxes seen by cameras that all look at its middle, everything known in closed form."""

from dataclasses import replace

import numpy as np
from handmade_tables import more_tables, moved_tables

from sightline.captures.capture import Room, SceneObject, Structure
from sightline.facts.distance import object_pairs
from sightline.facts.fact import FactTable, FrameFacts, ObjectViewFacts, PairFacts, PointFacts
from sightline.facts.motion import all_pairs, pair_motion
from sightline.geometry.boxes import Box
from sightline.geometry.cameras import Intrinsics
from sightline.geometry.transforms import apply, inverse, look_at

CAMERA = Intrinsics.from_field_of_view(horizontal_deg=75.0, width=320, height=240)
FLOOR = Structure(
    rooms=(
        Room(
            room_index=0,
            label="room",
            outline_world=np.array([[-5.0, -5.0], [5.0, -5.0], [5.0, 5.0], [-5.0, 5.0]]),
            floor_z_m=-0.4,  # the points of these scans are anywhere: from this floor, most are high enough to ask about
            ceiling_z_m=3.0,
        ),
    ),
    walls=(),
    openings=(),
)
CATEGORIES = ("chair", "chair", "chair", "table", "lamp", "cabinet", "plant", "washing_machine", "shelf", "tv")


def ring_of_cameras(count: int, *, seed: int = 0) -> np.ndarray:
    """Cameras on a wobbly ring, looking at the middle of the room `(count, 4, 4)`."""
    rng = np.random.default_rng(seed)
    poses = []
    for index in range(count):
        angle = 2 * np.pi * index / count
        eye = [4.5 * np.cos(angle) + rng.normal(0, 0.3), 4.5 * np.sin(angle) + rng.normal(0, 0.3), 1.5 + rng.normal(0, 0.35)]
        poses.append(look_at(np.array(eye), rng.normal(0, 0.2, 3) + [0, 0, 0.6]))
    return np.array(poses)


def some_objects(*, seed: int = 1) -> tuple[SceneObject, ...]:
    """Boxes of different sizes and yaws on a loose grid on the floor."""
    rng = np.random.default_rng(seed)
    places = [(x, y) for x in (-1.8, -0.6, 0.6, 1.8) for y in (-1.5, 0.0, 1.5)]
    order = rng.permutation(len(places))
    objects = []
    for object_id, category in enumerate(CATEGORIES):
        size_m = rng.uniform([0.3, 0.3, 0.4], [0.6, 0.6, 1.2])
        x, y = np.array(places[order[object_id]]) + rng.uniform(-0.15, 0.15, 2)
        box = Box.upright(centre_world=np.array([x, y, size_m[2] / 2]), size_m=size_m, yaw_rad=float(rng.uniform(-np.pi, np.pi)))
        objects.append(SceneObject(object_id=object_id, category=category, box=box))
    return tuple(objects)


def object_view_facts(poses: np.ndarray, objects: tuple[SceneObject, ...], camera: Intrinsics = CAMERA) -> ObjectViewFacts:
    """Every object whose centre is in the image is seen, uncovered; its anchor is its centre's pixel."""
    rows = []
    for frame, world_from_camera in enumerate(poses):
        for one in objects:
            uv, depth_m = camera.project(apply(inverse(world_from_camera), one.box.centre_world[None]))
            corners, corner_depth_m = camera.project(apply(inverse(world_from_camera), one.box.corners_world()))
            if depth_m[0] > 0.3 and camera.contains(uv)[0] and (corner_depth_m > 0).all():
                low, high = corners.min(axis=0), corners.max(axis=0)
                box_uv = [max(low[0], 0), max(low[1], 0), min(high[0], camera.width - 1), min(high[1], camera.height - 1)]
                rows.append((one.object_id, frame, 0.5, 0.02, box_uv, uv[0], depth_m[0]))
    columns = list(zip(*rows)) if rows else [[] for _ in range(7)]
    return ObjectViewFacts(
        object_id=np.array(columns[0], dtype=np.int32),
        frame=np.array(columns[1], dtype=np.int32),
        visible_share=np.array(columns[2], dtype=float),
        inside_share=np.ones(len(columns[2])),
        hidden_share=1.0 - np.array(columns[2], dtype=float),
        pixel_share=np.array(columns[3], dtype=float),
        box_uv=np.array(columns[4], dtype=float).reshape(-1, 4),
        anchor_uv=np.array(columns[5], dtype=float).reshape(-1, 2),
        anchor_depth_m=np.array(columns[6], dtype=float),
    )


def pair_facts(poses: np.ndarray, *, overlap: float = 0.5) -> PairFacts:
    """Every frame pair, all with the same overlap."""
    first, second = all_pairs(len(poses))
    motion = pair_motion(np.asarray(poses, dtype=float).reshape(-1, 4, 4), first, second)
    return PairFacts(
        first=first,
        second=second,
        overlap=np.full(len(first), overlap),
        first_in_second=np.full(len(first), 2.0 * overlap / (1.0 + overlap)),  # both see as much
        second_in_first=np.full(len(first), 2.0 * overlap / (1.0 + overlap)),
        distance_m=motion.distance_m,
        displacement_m=motion.displacement_m,
        yaw_deg=motion.yaw_deg,
        pitch_deg=motion.pitch_deg,
        roll_deg=motion.roll_deg,
    )


def point_facts(poses: np.ndarray, *, per_frame: int, seed: int = 2, camera: Intrinsics = CAMERA) -> PointFacts:
    """Random pixels at random depths."""
    rng = np.random.default_rng(seed)
    frame = np.repeat(np.arange(len(poses), dtype=np.int32), per_frame)
    uv = np.round(rng.uniform([20, 20], [camera.width - 20, camera.height - 20], (len(frame), 2)))
    depth_m = rng.uniform(0.4, 6.0, len(frame))
    points_camera = camera.unproject(uv, depth_m)
    point_world = np.array([apply(poses[index], point) for index, point in zip(frame, points_camera)]).reshape(-1, 3)
    return PointFacts(frame=frame, uv=uv, depth_m=depth_m, point_world=point_world, object_id=np.full(len(frame), -1, dtype=np.int32))


def facts_of(
    poses: np.ndarray,
    objects: tuple[SceneObject, ...] | None,
    *,
    scan_id: str = "handmade",
    overlap: float = 0.5,
    per_frame: int = 12,
    points: PointFacts | None = None,
) -> FactTable:
    """A table of facts of these cameras and objects."""
    views = None if objects is None else object_view_facts(poses, objects)
    return FactTable(
        scan_id=scan_id,
        place_id=f"place_of_{scan_id}",
        source="handmade",
        licence="CC0-1.0",
        frames=FrameFacts(
            frame_ids=tuple(f"{index:06d}" for index in range(len(poses))),
            intrinsics=(CAMERA,) * len(poses),
            world_from_camera=np.asarray(poses, dtype=float).reshape(-1, 4, 4),
            visible_points=np.full(len(poses), 1000),
            depth_coverage=np.ones(len(poses)),
        ),
        pairs=pair_facts(poses, overlap=overlap),
        points=points if points is not None else point_facts(poses, per_frame=per_frame),
        objects=objects,
        object_views=views,
        object_pairs=None if objects is None else object_pairs(objects),
        structure=FLOOR,
        **more_tables(np.asarray(poses, dtype=float).reshape(-1, 4, 4), objects, views, FLOOR, CAMERA),
    )


def handmade_facts(*, seed: int = 0, cameras: int = 16, scan_id: str = "handmade") -> FactTable:
    """The room of boxes."""
    return facts_of(ring_of_cameras(cameras, seed=seed), some_objects(seed=seed + 1), scan_id=scan_id)


def moved_room(room: Room, new_from_world: np.ndarray) -> Room:
    """A room after a motion that keeps gravity."""
    corners_world = np.c_[room.outline_world, np.full(len(room.outline_world), room.floor_z_m)]
    moved_corners = apply(new_from_world, corners_world)
    up_m = new_from_world[2, 3]
    return replace(room, outline_world=moved_corners[:, :2], floor_z_m=room.floor_z_m + up_m, ceiling_z_m=room.ceiling_z_m + up_m)


def moved(facts: FactTable, new_from_world: np.ndarray) -> FactTable:
    """The same facts after a rigid motion of the world."""
    frames, points = facts.frames, facts.points
    objects = tuple(
        SceneObject(object_id=one.object_id, category=one.category, box=one.box.moved(new_from_world)) for one in facts.objects or ()
    )
    structure = Structure(rooms=tuple(moved_room(room, new_from_world) for room in facts.structure.rooms), walls=(), openings=())
    return replace(
        facts,
        frames=replace(frames, world_from_camera=new_from_world @ frames.world_from_camera),
        points=replace(points, point_world=apply(new_from_world, points.point_world)),
        objects=objects,
        object_pairs=object_pairs(objects),
        structure=structure,
        **moved_tables(facts, new_from_world, structure=structure, objects=objects),
    )
