"""A second pass through a flat in which some objects move rigidly, and exact tracks of points on them."""

import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sightline.arrays import expect
from sightline.captures.procedural.caster import cast, visible_from
from sightline.captures.procedural.footprints import inside, overlap
from sightline.captures.procedural.model import RoomModel
from sightline.captures.procedural.placement import FLAT_M, Placed
from sightline.captures.procedural.shading import rays_world
from sightline.errors import CaptureError
from sightline.files import replacing
from sightline.geometry.cameras import Intrinsics
from sightline.geometry.transforms import apply, inverse, yaw_translation

MOVABLE = ("chair", "stool", "box", "ball", "bin", "pouf", "basket", "armchair", "toy blocks", "plant")
MOST_MOVED = 3
CAMERA_GAP_M = 0.5  # moving things keep this far from the camera
SWEEP_STEPS = 12
POINTS_PER_MOVED, POINTS_PER_STILL, MOST_STILL = 48, 6, 160


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Tracks:
    """Points followed through time, exactly. Object id -1 is the shell. Times are the frames of the scan, in order."""

    points_world: np.ndarray  # (T, P, 3) float64
    visible: np.ndarray  # (T, P) bool: in the image, before the camera, nothing in between
    object_ids: np.ndarray  # (P,) int32
    moved_object_ids: np.ndarray  # (M,) int32
    world_from_moved: np.ndarray  # (T, M, 4, 4) pose of each moved object's box

    def __post_init__(self) -> None:
        expect(
            points_world=(self.points_world, "T P 3"),
            visible=(self.visible, "T P"),
            object_ids=(self.object_ids, "P"),
            moved_object_ids=(self.moved_object_ids, "M"),
            world_from_moved=(self.world_from_moved, "T M 4 4"),
        )


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Motion:
    """Poses of one object and of all that stands on it, per frame of the second pass."""

    world_from_objects: Mapping[int, np.ndarray]  # object id -> (T, 4, 4)


def plan_motions(room: RoomModel, poses: Sequence[np.ndarray], intrinsics: Intrinsics, rng: np.random.Generator) -> list[Motion]:
    """Up to three objects that slide and turn on the floor while the camera passes, through nothing and not near the camera."""
    motions: list[Motion] = []
    swept: list[Placed] = []
    for index in _often_seen(room, poses, intrinsics):
        if len(motions) == MOST_MOVED:
            break
        one = room.placed[index]
        group = _carried(room, index)
        for _ in range(30):
            angle, reach = rng.uniform(0.0, 2.0 * np.pi), rng.uniform(0.4, 1.6)
            shift = np.array([reach * np.cos(angle), reach * np.sin(angle), 0.0])
            turn = float(np.radians(rng.uniform(-140.0, 140.0)))
            way = [_on_the_way(one, shift, turn, share) for share in np.linspace(0.0, 1.0, SWEEP_STEPS)]
            if all(_is_free(room, placed, group, swept, poses) for placed in way):
                break
        else:
            continue
        swept.extend(way)
        share = np.linspace(0.0, 1.0, len(poses))
        share = share * share * (3.0 - 2.0 * share)
        steps = [_on_the_way(one, shift, turn, float(s)).world_from_object @ inverse(one.world_from_object) for s in share]
        motions.append(Motion(world_from_objects={i: np.array([step @ room.placed[i].world_from_object for step in steps]) for i in group}))
    return motions


def rooms_in_time(room: RoomModel, motions: Sequence[Motion], num_frames: int) -> list[RoomModel]:
    """The flat at every frame of the second pass."""
    if not motions:
        return [room] * num_frames
    return [
        room.moved({index: poses[time] for motion in motions for index, poses in motion.world_from_objects.items()})
        for time in range(num_frames)
    ]


def follow(
    rooms: Sequence[RoomModel], poses: Sequence[np.ndarray], intrinsics: Intrinsics, motions: Sequence[Motion], rng: np.random.Generator
) -> Tracks:
    """Tracks of points that at least one frame sees, many on moved objects, some on the others and on the shell."""
    moved = sorted({index for motion in motions for index in motion.world_from_objects})
    quota = {index: POINTS_PER_MOVED for index in moved}
    local: list[np.ndarray] = []
    ids: list[int] = []
    still = 0
    for time in rng.permutation(len(poses)):
        room, pose = rooms[int(time)], poses[int(time)]
        uv = rng.uniform([0.0, 0.0], [intrinsics.width - 1.0, intrinsics.height - 1.0], (400, 2))
        hits = cast(room.caster, pose[:3, 3], rays_world(uv, intrinsics, pose))
        taken: dict[int, int] = {}
        for primitive, object_id, point in zip(hits.primitives, hits.object_ids, hits.points_world):
            index = int(object_id)
            here = taken.get(index, 0)
            if primitive < 0 or here >= (16 if index in quota else POINTS_PER_STILL):
                continue
            if index in quota:
                if quota[index] == 0:
                    continue
                quota[index] -= 1
            elif still >= MOST_STILL:
                continue
            else:
                still += 1
            taken[index] = here + 1
            world_from_object = np.eye(4) if index < 0 else room.placed[index].world_from_object
            local.append(apply(inverse(world_from_object), point))
            ids.append(index)
    object_ids, points_object = np.array(ids, dtype=np.int32), np.array(local).reshape(-1, 3)
    points_world = np.empty((len(poses), len(ids), 3))
    visible = np.zeros((len(poses), len(ids)), dtype=bool)
    for time, (room, pose) in enumerate(zip(rooms, poses)):
        for index in np.unique(object_ids):
            mine = object_ids == index
            world_from_object = np.eye(4) if index < 0 else room.placed[int(index)].world_from_object
            points_world[time, mine] = apply(world_from_object, points_object[mine])
        uv, _ = intrinsics.project(apply(inverse(pose), points_world[time]))
        inside_image = intrinsics.contains(uv)
        visible[time] = inside_image & visible_from(room.caster, pose[:3, 3], points_world[time])
    boxes = np.array([[room.objects[index].box.world_from_object for index in moved] for room in rooms]).reshape(
        len(rooms), len(moved), 4, 4
    )
    return Tracks(
        points_world=points_world,
        visible=visible,
        object_ids=object_ids,
        moved_object_ids=np.array(moved, dtype=np.int32),
        world_from_moved=boxes,
    )


def write_tracks(tracks: Tracks, path: Path) -> None:
    """Write `.npz` of plain arrays; equal tracks give equal bytes."""
    with replacing(path) as beside, beside.open("wb") as stream:
        np.savez(stream, **{name: getattr(tracks, name) for name in Tracks.__dataclass_fields__})


def read_tracks(path: Path) -> Tracks:
    """Raises CaptureError for a missing or damaged file."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return Tracks(**{name: arrays[name] for name in Tracks.__dataclass_fields__})
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise CaptureError(f"{path}: expected tracks of points, found {error}") from error


def _on_the_way(one: Placed, shift: np.ndarray, turn: float, share: float) -> Placed:
    spot = one.world_from_object[:3, 3] + share * shift
    return Placed(design=one.design, world_from_object=yaw_translation(one.yaw_rad + share * turn, spot), room_index=one.room_index)


def _carried(room: RoomModel, index: int) -> list[int]:
    """An object and all that stands on it."""
    group = [index]
    for i, one in enumerate(room.placed):
        if one.support in group and one.support >= 0:
            group.append(i)
    return group


def _often_seen(room: RoomModel, poses: Sequence[np.ndarray], intrinsics: Intrinsics) -> list[int]:
    """Movable objects on the floor, the ones whose middle most frames see first."""
    candidates = [i for i, one in enumerate(room.placed) if one.design.category in MOVABLE and one.support < 0]
    if not candidates:
        return []
    middles = np.array([room.objects[i].box.centre_world for i in candidates])
    seen = np.zeros(len(candidates), dtype=int)
    for pose in poses:
        uv, depth_m = intrinsics.project(apply(inverse(pose), middles))
        hits = cast(room.caster, pose[:3, 3], middles - pose[:3, 3])
        seen += intrinsics.contains(uv) & (depth_m > 0.0) & (hits.object_ids == np.array(candidates))
    return [candidates[i] for i in np.argsort(-seen, kind="stable") if seen[i] > 0]


def _is_free(room: RoomModel, placed: Placed, group: Sequence[int], swept: Sequence[Placed], poses: Sequence[np.ndarray]) -> bool:
    footprint = placed.footprint
    if not inside(room.structure.rooms[placed.room_index].outline_world, footprint):
        return False
    for other_index, other in enumerate(room.placed):
        if other_index in group or other.footprint.high_z_m < FLAT_M:
            continue
        if overlap(footprint, other.footprint):
            return False
    if any(overlap(footprint, other.footprint) for other in swept) or any(overlap(footprint, leaf) for leaf in room.shell.leaves):
        return False
    return not footprint.grown(CAMERA_GAP_M).covers(np.array([pose[:2, 3] for pose in poses])).any()
