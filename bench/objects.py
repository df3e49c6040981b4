"""What objects over frames cost: seen shares, truncation and coverage, ours beside boolean masks and a search over sets of frames."""

import json
import sys
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from sightline.captures.capture import SceneObject
from sightline.captures.procedural import RoomsOptions, build_room, render, walk
from sightline.captures.procedural.mesh import tessellate
from sightline.facts.coverage import COVERAGE_TOLERANCE, coverage, own_coordinates
from sightline.facts.object_points import ObjectPoints, inside_counts, object_points, seen_counts
from sightline.facts.visibility import Cloud
from sightline.geometry.cameras import Intrinsics
from sightline.geometry.visibility import NEAR_M, block_bounds, spatial_order, unpack_words, visible_words

from timing import interleaved, ratio, row

ROUNDS = 3
NUM_FRAMES, NUM_POINTS, NUM_OBJECTS = 300, 100_000, 14
CAMERA = Intrinsics.from_field_of_view(horizontal_deg=70.0, width=320, height=240)

# the search over sets of frames, as the description of the MultiSPA engine gives it
LARGEST_SET = 5
MOST_FRAMES = 25  # drawn at random from those that see the object
MOST_COMBINATIONS = 5_000  # drawn at random at every size of set


@dataclass(frozen=True, kw_only=True)
class BenchScene:
    """A generated flat: its cloud, fourteen of its objects, and what 300 frames see."""

    cloud: Cloud
    objects: tuple[SceneObject, ...]
    poses: np.ndarray
    words: np.ndarray
    owners: ObjectPoints


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def prepare() -> BenchScene:
    options = RoomsOptions(antialias=False, shadows=False, min_rooms=1, max_rooms=1)
    room = next(room for room in (build_room(seed, options) for seed in range(100)) if len(room.objects) >= NUM_OBJECTS)
    solids = room.caster.solids
    mesh = tessellate(solids, segments=24)
    rng = np.random.default_rng(0)
    edges = mesh.triangles_world[:, 1:] - mesh.triangles_world[:, :1]
    areas = np.linalg.norm(np.cross(edges[:, 0], edges[:, 1]), axis=1)
    chosen = rng.choice(len(areas), size=NUM_POINTS, p=areas / areas.sum())
    along = rng.random((NUM_POINTS, 2))
    along = np.where(along.sum(axis=1, keepdims=True) > 1.0, 1.0 - along, along)
    points_world = mesh.triangles_world[chosen, 0] + np.einsum("nk,nkd->nd", along, edges[chosen])
    order = spatial_order(points_world)
    object_ids = solids.object_ids[mesh.primitives[chosen]].astype(np.int32)[order]
    cloud = Cloud(points_world=points_world[order], object_ids=object_ids, bounds_world=block_bounds(points_world[order]))
    poses = np.stack(walk(room, rng, num_frames=NUM_FRAMES))
    words = [
        visible_words(
            cloud.points_world,
            depth_m=render(room, CAMERA, pose).depth_m,
            depth_intrinsics=CAMERA,
            intrinsics=CAMERA,
            world_from_camera=pose,
            bounds_world=cloud.bounds_world,
        )
        for pose in poses
    ]
    objects = room.objects[:NUM_OBJECTS]
    return BenchScene(cloud=cloud, objects=objects, poses=poses, words=np.stack(words), owners=object_points(cloud, objects))


def counts_by_masks(visible: np.ndarray, own: np.ndarray) -> np.ndarray:
    """The plain way: one AND and one sum over the whole cloud for every frame and object."""
    return np.array([[np.logical_and(seen, mask).sum() for mask in own] for seen in visible])


def counts_by_sets(seen_ids: list[str], own_ids: list[set[int]]) -> np.ndarray:
    """The way of the released engine: the list of what a frame sees is read from JSON and made a set, for every object again."""
    return np.array([[len(set(json.loads(one)) & own) for own in own_ids] for one in seen_ids])


def inside_by_projection(scene: BenchScene, own: np.ndarray) -> np.ndarray:
    """The plain way: the whole cloud is projected for every frame, and counted by a mask for every object."""
    counts = []
    for pose in scene.poses:
        local = (scene.cloud.points_world - pose[:3, 3]) @ pose[:3, :3]
        z = np.where(local[:, 2] >= NEAR_M, local[:, 2], np.inf)
        u, v = CAMERA.fx * local[:, 0] / z + CAMERA.cx, CAMERA.fy * local[:, 1] / z + CAMERA.cy
        inside = np.isfinite(z) & (u >= -0.5) & (u < CAMERA.width - 0.5) & (v >= -0.5) & (v < CAMERA.height - 0.5)
        counts.append([np.logical_and(inside, mask).sum() for mask in own])
    return np.array(counts)


def spanned_m(seen: np.ndarray, along_m: np.ndarray) -> float:
    chosen = along_m[seen]
    return float(chosen.max() - chosen.min()) if len(chosen) else -1.0


def search(masks: np.ndarray, along_m: np.ndarray, need_m: float, rng: np.random.Generator) -> list[frozenset[int]]:
    """Breadth first over sets of up to five frames, with masks over the whole cloud.

    A frame that does not span the axis together with all later ones is dropped, also as a partner of earlier ones: that is how
    sets get lost. Sets that hold a known one are skipped.
    """
    found = [frozenset({frame}) for frame in range(len(masks)) if spanned_m(masks[frame], along_m) >= need_m]
    alone = {next(iter(one)) for one in found}
    rest = [frame for frame in range(len(masks)) if frame not in alone]
    suffix, kept = np.zeros(masks.shape[1], dtype=bool), []
    for frame in reversed(rest):
        suffix = np.logical_or(suffix, masks[frame])
        if spanned_m(suffix, along_m) >= need_m:
            kept.append(frame)
    kept.reverse()
    for size in range(2, LARGEST_SET + 1):
        sets = list(combinations(kept, size))
        if len(sets) > MOST_COMBINATIONS:
            sets = [sets[i] for i in rng.choice(len(sets), size=MOST_COMBINATIONS, replace=False)]
        for one in map(frozenset, sets):
            if any(known <= one for known in found):
                continue
            if spanned_m(np.logical_or.reduce(masks[list(one)]), along_m) >= need_m:
                found.append(one)
    return found


@dataclass(frozen=True, kw_only=True)
class Searched:
    """Sets as (object, axis, frames), and which frames the search was left with for each object."""

    sets: frozenset
    frames: dict[int, frozenset[int]]


def coverage_by_search(scene: BenchScene, visible: np.ndarray, own: np.ndarray, along_m: np.ndarray) -> Searched:
    rng = np.random.default_rng(0)
    sets, frames = set(), {}
    for place, one in enumerate(scene.objects):
        seeing = np.flatnonzero([np.logical_and(seen, own[place]).any() for seen in visible])
        if len(seeing) > MOST_FRAMES:
            seeing = np.sort(rng.choice(seeing, size=MOST_FRAMES, replace=False))
        frames[one.object_id] = frozenset(seeing.tolist())
        masks = np.logical_and(visible[seeing], own[place])
        for axis in range(3):
            extent_m = spanned_m(own[place], along_m[:, axis])
            found = search(masks, along_m[:, axis], (1.0 - COVERAGE_TOLERANCE) * extent_m, rng)
            sets |= {(one.object_id, axis, frozenset(seeing[list(each)].tolist())) for each in found}
    return Searched(sets=frozenset(sets), frames=frames)


def listed(scene: BenchScene) -> frozenset:
    found = coverage(scene.cloud, scene.owners, scene.objects, scene.words)
    rows = zip(found.object_id.tolist(), found.axis.tolist(), found.first.tolist(), found.second.tolist(), strict=True)
    return frozenset((one, axis, frozenset({first, second} - {-1})) for one, axis, first, second in rows)


def tell_counts(every: frozenset, searched: Searched) -> None:
    within = {one for one in every if one[2] <= searched.frames[one[0]]}
    if not searched.sets <= every:
        raise SystemExit(f"the search found {len(searched.sets - every)} sets that ours lacks")
    for sizes, name in (((1,), "single frames"), ((2,), "pairs"), ((3, 4, 5), "larger sets")):
        every_count, within_count, found_count = (sum(len(one[2]) in sizes for one in sets) for sets in (every, within, searched.sets))
        say(f"  {name:14s} of all frames {every_count:7d}  of the frames searched {within_count:6d}  found by the search {found_count:6d}")


def main() -> None:
    scene = prepare()
    visible = unpack_words(scene.words, NUM_POINTS)
    own = np.array([scene.cloud.object_ids == one.object_id for one in scene.objects])
    along_m = np.zeros((NUM_POINTS, 3))
    along_m[scene.owners.points] = own_coordinates(scene.cloud, scene.owners, scene.objects)
    seen_ids = [json.dumps(np.flatnonzero(seen).tolist()) for seen in visible]
    own_ids = [set(np.flatnonzero(mask).tolist()) for mask in own]
    say(f"{NUM_FRAMES} frames, {NUM_POINTS} points ({int(own.sum())} of {NUM_OBJECTS} objects), a frame sees {visible.mean():.1%}")

    def inside() -> np.ndarray:
        camera = {"camera": CAMERA, "near_m": NEAR_M}
        return np.array([inside_counts(scene.owners, scene.cloud, world_from_camera=pose, **camera) for pose in scene.poses])

    seen = seen_counts(scene.owners, scene.words)
    same = np.array_equal(seen, counts_by_masks(visible, own)) and np.array_equal(seen, counts_by_sets(seen_ids, own_ids))
    if not (same and np.array_equal(inside(), inside_by_projection(scene, own))):
        raise SystemExit("the counts of the ways differ")
    times = interleaved(
        {
            "objects seen, packed words": (lambda: [seen_counts(scene.owners, scene.words) for _ in range(50)], 50),
            "objects seen, boolean masks": (lambda: counts_by_masks(visible, own), 1),
            "objects seen, JSON and sets": (lambda: counts_by_sets(seen_ids, own_ids), 1),
            "whose the points are, once": (lambda: object_points(scene.cloud, scene.objects), 1),
            "objects inside, words and bounds": (inside, 1),
            "objects inside, whole cloud": (lambda: inside_by_projection(scene, own), 1),
            "coverage, two numbers a frame": (
                lambda: [coverage(scene.cloud, scene.owners, scene.objects, scene.words) for _ in range(5)],
                5,
            ),
            "coverage, search over sets": (lambda: coverage_by_search(scene, visible, own, along_m), 1),
        },
        rounds=ROUNDS,
    )
    for timed in times.values():
        say(row(timed, "scan"))
    words, masks, sets, _, ours_inside, plain_inside, ours, searched = times.values()
    for slow, fast in ((masks, words), (sets, words), (plain_inside, ours_inside), (searched, ours)):
        say(ratio(slow, fast))
    tell_counts(listed(scene), coverage_by_search(scene, visible, own, along_m))


if __name__ == "__main__":
    main()
