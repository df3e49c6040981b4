"""A checkout of the public MultiSPA data engine beside ours, on one procedural scan: `python bench/public_engine.py --engine PATH`.

PATH is a checkout of facebookresearch/Multi-SpatialMLLM (b645a44 was measured). Nothing of it is part of this project: its functions are
called as they are, in one process, on a scan written in the layout they read. What the release needs to run is put beside it here:

- `mmengine`, where it is not installed: the three names that are used of it (reading a pickle, making a folder, a timer that does nothing);
- `SceneInfoHandler.get_image_size`, which the correspondence engine calls and the class lacks: its own `get_image_shape`;
- the visibility table is handed over in memory, since the script that should write it ends in a NameError: as a dict with the keys that the
  readers look up, and nested for the correspondence engine.
"""

import argparse
import contextlib
import importlib
import importlib.util
import io
import json
import logging
import os
import pickle
import statistics
import sys
import tempfile
import types
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from sens import COLOUR, DEPTH, one_frame, structured_light
from sightline.captures.capture import Frame, SceneObject
from sightline.captures.depth_packs import write_depth_pack
from sightline.captures.procedural import RoomsOptions, build_room, walk
from sightline.captures.procedural.mesh import tessellate
from sightline.facts.correspondences import Agreement, CorrespondenceOptions, correspondences
from sightline.facts.coverage import coverage
from sightline.facts.fact import PairFacts
from sightline.facts.measure import MeasureOptions, measure, pairs_of
from sightline.facts.object_points import object_points, seen_counts
from sightline.facts.overlap import pair_overlap
from sightline.facts.visibility import Cloud, cloud_of, view_frame
from sightline.facts.visible_bits import new_words
from sightline.geometry.boxes import Box
from sightline.geometry.visibility import NEAR_M, TOLERANCE_M, TOLERANCE_SHARE, StoredDepth, pack_words, unpack_words, visible_words
from sightline.scenes.scene import Scene

from timing import Timed, interleaved, ratio, row

SCAN = "scene0000_00"
NUM_POINTS, NUM_OBJECTS, NUM_SAMPLES = 100_000, 14, 20
SCALE_M = 0.001
LIMITS = {"near_m": NEAR_M, "tolerance_m": TOLERANCE_M, "tolerance_share": TOLERANCE_SHARE}
BAND = (0.06, 0.35)  # of overlap, from which that engine takes its pairs
AXES = ("height", "width", "length")


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


@dataclass(frozen=True, kw_only=True, eq=False)
class Written:
    """One scan, for both: the engine's folders, and our scenes with depth as PNG files and as a pack."""

    folder: Path
    from_png: Scene
    from_pack: Scene


def write_scan(folder: Path, num_frames: int) -> Written:
    """Furnished flat, points with owners on its surfaces, structured-light depth; one noisy JPEG stands for every colour image."""
    options = RoomsOptions(antialias=False, shadows=False, min_rooms=1, max_rooms=1)
    room = next(room for room in (build_room(seed, options) for seed in range(100)) if len(room.objects) >= NUM_OBJECTS)
    rng = np.random.default_rng(0)
    poses = walk(room, rng, num_frames=num_frames)
    maps = [structured_light(room, pose, rng) for pose in poses]
    points_world, owners = scanned_points(room, poses, maps, rng)
    kept = [one for one in room.objects if (owners == one.object_id).sum() >= 50][:NUM_OBJECTS]
    objects = tuple(box_along_axes(one, points_world[owners == one.object_id]) for one in kept)
    picture = one_frame(room, poses[0], rng)[0]
    images, scans = folder / "posed_images" / SCAN, folder / "instances" / SCAN
    for one in (images, scans):
        one.mkdir(parents=True)
    frames = []
    for index, (pose, stored) in enumerate(zip(poses, maps, strict=True)):
        (images / f"{index:05d}.jpg").write_bytes(picture)
        cv2.imwrite(str(images / f"{index:05d}.png"), stored)
        named = {"frame_id": f"{index:05d}", "time_s": index / 30.0, "rgb_path": images / f"{index:05d}.jpg"}
        cameras = {"intrinsics": COLOUR, "depth_intrinsics": DEPTH, "world_from_camera": np.asarray(pose, dtype=np.float64)}
        frames.append(Frame(**named, **cameras, depth_path=images / f"{index:05d}.png", depth_scale_m=SCALE_M))
    write_depth_pack(folder / "depth.depthpack", maps)
    write_for_the_engine(folder, scans, points_world, owners, objects, frames)
    packed = [
        Frame(**{name: getattr(one, name) for name in ("frame_id", "time_s", "rgb_path", "intrinsics", "depth_intrinsics")},
              world_from_camera=one.world_from_camera, depth_path=folder / "depth.depthpack", depth_index=index, depth_scale_m=SCALE_M)
        for index, one in enumerate(frames)
    ]  # fmt: skip

    def scene(several: list[Frame]) -> Scene:
        known = {"scan_id": SCAN, "place_id": "bench", "source": "bench", "licence": "", "root": folder, "frames": tuple(several)}
        seen = {"points_world": points_world, "point_object_ids": owners, "objects": objects, "structure": None}
        return Scene(**known, **seen, verification=None, notes={})

    return Written(folder=folder, from_png=scene(frames), from_pack=scene(packed))


def scanned_points(room: Any, poses: Any, maps: list[np.ndarray], rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Points `(N, 3)` of the surfaces that some frame sees, as a scan's mesh has them, and the object of each `(N,)`, -1 = none."""
    mesh, drawn = tessellate(room.caster.solids, segments=24), 10 * NUM_POINTS
    edges = mesh.triangles_world[:, 1:] - mesh.triangles_world[:, :1]
    areas = np.linalg.norm(np.cross(edges[:, 0], edges[:, 1]), axis=1)
    points, owners = np.empty((0, 3)), np.empty(0, dtype=np.int32)
    while len(points) < NUM_POINTS:
        chosen = rng.choice(len(areas), size=drawn, p=areas / areas.sum())
        along = rng.random((drawn, 2))
        along = np.where(along.sum(axis=1, keepdims=True) > 1.0, 1.0 - along, along)
        several = mesh.triangles_world[chosen, 0] + np.einsum("nk,nkd->nd", along, edges[chosen])
        seen = np.zeros(drawn, dtype=bool)
        for pose, stored in zip(poses[::3], maps[::3], strict=True):
            cameras = {"depth_intrinsics": DEPTH, "intrinsics": COLOUR, "world_from_camera": pose}
            seen |= unpack_words(visible_words(several, depth_m=StoredDepth(stored=stored, scale_m=SCALE_M), **cameras), drawn)
        points = np.concatenate([points, several[seen]])
        owners = np.concatenate([owners, room.caster.solids.object_ids[mesh.primitives[chosen[seen]]].astype(np.int32)])
    return points[:NUM_POINTS], owners[:NUM_POINTS]


def box_along_axes(one: SceneObject, own_world: np.ndarray) -> SceneObject:
    """The object with the box that engine gives it: along the world's axes, round its points."""
    low, high = own_world.min(axis=0), own_world.max(axis=0)
    box = Box.upright(centre_world=(low + high) / 2, size_m=high - low, yaw_rad=0.0)
    return SceneObject(object_id=one.object_id, category=one.category, box=box)


def write_for_the_engine(folder: Path, scans: Path, points_world, owners, objects, frames) -> None:
    np.save(scans / "aligned_points.npy", np.hstack([points_world, np.full((len(points_world), 3), 128.0)]))
    instances = np.zeros(len(points_world), dtype=np.uint32)
    for place, one in enumerate(objects):
        instances[owners == one.object_id] = place + 1
    np.save(scans / "instance_mask.npy", instances)
    K = np.eye(4)
    K[:3, :3] = COLOUR.K
    info: dict[Any, Any] = {
        "axis_align_matrix": np.eye(4),
        "intrinsic_matrix": K,
        "num_objects": len(objects),
        "num_posed_images": len(frames),
    }
    info["images_info"] = {frame.frame_id: {"extrinsic_matrix": frame.world_from_camera} for frame in frames}
    for place, one in enumerate(objects):
        info[place] = {"aligned_bbox": np.hstack([one.box.centre_world, one.box.size_m, 0.0]), "raw_category": one.category}
    (folder / "info.pkl").write_bytes(pickle.dumps({SCAN: info}))


class Untimed(contextlib.ContextDecorator):
    """Stands in for that engine's timer, which prints: as a decorator and as a context."""

    def __init__(self, **_: object) -> None: ...

    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None: ...


def stand_in_for_mmengine() -> None:
    if importlib.util.find_spec("mmengine") is not None:
        return
    names = ("mmengine", "mmengine.utils", "mmengine.utils.dl_utils")
    modules = {name: types.ModuleType(name) for name in names}
    modules["mmengine"].load = lambda path: pickle.loads(Path(path).read_bytes())
    modules["mmengine"].mkdir_or_exist = lambda path: os.makedirs(path, exist_ok=True)
    modules["mmengine.utils.dl_utils"].TimeCounter = Untimed
    sys.modules.update(modules)


@contextlib.contextmanager
def quiet():
    """The engine prints a line a scene and bars; none of it reaches a terminal here."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        yield


@dataclass(frozen=True, kw_only=True, eq=False)
class Engine:
    """The engine's modules, and its handler of this scan."""

    relations: Any
    visibility: Any
    objects: Any
    coverage: Any
    correspondence: Any
    scan: Any
    warnings: str


def load_engine(checkout: Path, written: Written) -> Engine:
    stand_in_for_mmengine()
    sys.path.insert(0, str(checkout))
    place = "spatial_engine"
    with quiet():
        handler = importlib.import_module(f"{place}.utils.scannet_utils.handler.info_handler").SceneInfoHandler
        handler.get_image_size = handler.get_image_shape
        roots = {"posed_images_root": str(written.folder / "posed_images"), "instance_data_root": str(written.folder / "instances")}
        return Engine(
            relations=importlib.import_module(f"{place}.camera_movement.calculate_frames_relations"),
            visibility=importlib.import_module(f"{place}.utils.scannet_utils.make_visibility_info"),
            objects=importlib.import_module(f"{place}.object_perception.compute_object_visibility"),
            coverage=importlib.import_module(f"{place}.object_perception.single_object_coverage_finder"),
            correspondence=importlib.import_module(f"{place}.visual_correspondence.visual_correspondence_qa_engine_coor_2_coor"),
            scan=handler(str(written.folder / "info.pkl"), **roots),
            warnings=str(written.folder / "warnings.txt"),
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class Ours:
    """What we make of a scan from nothing: sorted cloud, packed visibility, movement and overlap of every pair."""

    cloud: Cloud
    words: np.ndarray
    pairs: PairFacts


def ours(scene: Scene, *, is_strict: bool) -> Ours:
    cloud = cloud_of(scene)
    words = new_words(None, num_frames=len(scene.frames), num_points=len(cloud.points_world))
    for index, frame in enumerate(scene.frames):
        words[index] = view_frame(frame, cloud, **LIMITS, is_strict=is_strict).words
    poses = np.stack([frame.world_from_camera for frame in scene.frames])
    pairs = pairs_of(poses, words, max_pairs=len(poses) ** 2, rng=np.random.default_rng(0))
    return Ours(cloud=cloud, words=words, pairs=pairs)


def compare_overlap(scene: Scene, mine: Ours, table: dict, seen: dict) -> None:
    """Overlap, movement and every bit of visibility, ours in strict mode beside theirs."""
    names = [frame.frame_id for frame in scene.frames]
    rows = [table[names[i], names[j]] for i, j in zip(mine.pairs.first, mine.pairs.second)]
    theirs = np.array([each["overlap"] for each in rows]) / 100.0
    bits = np.zeros((len(names), len(mine.cloud.order)), dtype=bool)
    for index, name in enumerate(names):
        bits[index, seen["image_to_points"][name]] = True
    bits = bits[:, mine.cloud.order]
    differ = bits != unpack_words(mine.words, bits.shape[1])
    counted = pair_overlap(pack_words(bits), mine.pairs.first, mine.pairs.second)
    say(f"visible: {differ.sum()} of {differ.size} bits differ; a frame sees {bits.mean():.3f} of the points")
    say(f"overlap of {len(theirs)} pairs: differs by at most {np.nanmax(np.abs(theirs - mine.pairs.overlap)):.1e};")
    say(f"  counted by us from their bits, by at most {np.nanmax(np.abs(theirs - counted)):.1e}")
    turned = np.array([each["yaw"] for each in rows]) - mine.pairs.yaw_deg
    turned = np.abs((turned + 180.0) % 360.0 - 180.0)
    moved = np.abs(np.array([each["distance"] for each in rows]) - mine.pairs.distance_m)
    pitched = np.abs(np.array([each["pitch"] for each in rows]) - mine.pairs.pitch_deg)
    say(f"distance by at most {moved.max():.1e} m, yaw (wrapped) {np.nanmax(turned):.1e} deg, pitch {np.nanmax(pitched):.1e} deg")


def compare_scales(strict: Ours, tolerant: Ours) -> None:
    band = (strict.pairs.overlap >= BAND[0]) & (strict.pairs.overlap <= BAND[1])
    if band.any():
        low, middle, high = (f"{share:.0%}" for share in np.percentile(tolerant.pairs.overlap[band], [10, 50, 90]))
        say(f"{band.sum()} pairs of {BAND[0]:.0%} to {BAND[1]:.0%} strict overlap: by default median {middle}, 10 to 90 % {low} to {high}")


def compare_objects(objects: tuple[SceneObject, ...], counts: np.ndarray, theirs: dict) -> None:
    views = theirs["object_to_images"]
    listed = [(place, int(one["image_id"]), one["intersection_count"]) for place, several in views.items() for one in several]
    wrong = sum(counts[frame, place] != count for place, frame, count in listed)
    say(f"objects seen: {len(listed)} counts of {len(objects)} objects, {wrong} differ from ours")


def compare_coverage(objects: tuple[SceneObject, ...], found, theirs: dict) -> None:
    """Their sets among ours, and how many of ours they lack."""
    place_of = {one.object_id: place for place, one in enumerate(objects)}
    rows = zip(found.object_id.tolist(), found.axis.tolist(), found.first.tolist(), found.second.tolist(), strict=True)
    every = {(place_of[one], AXES[axis], frozenset({first, second} - {-1})) for one, axis, first, second in rows}
    listed = {
        (place, axis, frozenset(map(int, names)))
        for place, result in theirs.items()
        for axis, sizes in result.items()
        for sets in sizes.values()
        for names in sets
    }
    for size, name in ((1, "single frames"), (2, "pairs")):
        mine, known = ({one for one in sets if len(one[2]) == size} for sets in (every, listed))
        say(f"coverage, {name:13s}: ours {len(mine):6d}, theirs {len(known):6d}, of them also ours {len(known & mine):6d}")
    say(f"coverage, larger sets  : theirs {sum(len(one[2]) > 2 for one in listed)}")


def sum_of(first: Timed, second: Timed, name: str) -> Timed:
    together = [tuple(a + b for a, b in zip(*both, strict=True)) for both in ((first.cpu_s, second.cpu_s), (first.wall_s, second.wall_s))]
    return Timed(name=name, cpu_s=together[0], wall_s=together[1])


def run(written: Written, engine: Engine, rounds: int) -> None:
    strict, tolerant = (ours(written.from_png, is_strict=is_strict) for is_strict in (True, False))
    objects = written.from_png.objects
    assert objects is not None
    with quiet():
        table = engine.relations.process_scene(SCAN, engine.scan, engine.warnings)[1]
        seen = engine.visibility.process_scene(SCAN, engine.scan, engine.warnings)[1]
        flat = {f"{SCAN}:image_to_points:{name}": json.dumps(points) for name, points in seen["image_to_points"].items()}
        of_objects = engine.objects.process_scene(SCAN, engine.scan, flat)[1]
        search = engine.coverage.process_scene_for_coverage
        sets = search(SCAN, engine.scan, flat, {SCAN: of_objects})[1]
    say(f"{len(written.from_png.frames)} frames, {NUM_POINTS} points, colour 1296x968, depth 640x480")
    compare_overlap(written.from_png, strict, table, seen)
    compare_scales(strict, tolerant)
    owners = object_points(strict.cloud, objects)
    compare_objects(objects, seen_counts(owners, strict.words), of_objects)
    compare_coverage(objects, coverage(strict.cloud, owners, objects, strict.words), sets)
    chosen = [pair for pair, one in table.items() if BAND[0] <= one["overlap"] / 100.0 <= BAND[1]]
    chosen = [chosen[place] for place in np.random.default_rng(0).permutation(len(chosen))[:NUM_SAMPLES]]
    facts = measure(written.from_pack, MeasureOptions())
    assert facts.correspondences is not None

    def quietly(call):
        def within() -> None:
            with quiet():
                call()

        return within

    def their_samples() -> None:
        for index, (first, second) in enumerate(chosen):
            pair = {"scene_id": SCAN, "image_id1": first, "image_id2": second}
            engine.correspondence.build_training_sample(engine.scan, pair, index, {SCAN: seen}, engine.warnings)

    def our_matches() -> None:
        options = {"options": CorrespondenceOptions(), "agreement": Agreement()}
        correspondences(written.from_pack.frames, facts.pairs, facts.points, scan_id=SCAN, seed=0, **options)

    times = interleaved(
        {
            "theirs: frame relations": (quietly(lambda: engine.relations.process_scene(SCAN, engine.scan, engine.warnings)), 1),
            "theirs: visibility": (quietly(lambda: engine.visibility.process_scene(SCAN, engine.scan, engine.warnings)), 1),
            "ours: both, strict, PNG": (lambda: ours(written.from_png, is_strict=True), 1),
            "ours: both, strict, depth pack": (lambda: ours(written.from_pack, is_strict=True), 1),
            "ours: both, default, PNG": (lambda: ours(written.from_png, is_strict=False), 1),
            "ours: both, default, depth pack": (lambda: ours(written.from_pack, is_strict=False), 1),
            "theirs: objects seen": (quietly(lambda: engine.objects.process_scene(SCAN, engine.scan, flat)), 1),
            "ours: objects seen": (lambda: [seen_counts(owners, strict.words) for _ in range(50)], 50),
            "ours: whose the points are, once": (lambda: object_points(strict.cloud, objects), 1),
            "theirs: coverage": (quietly(lambda: search(SCAN, engine.scan, flat, {SCAN: of_objects})), 1),
            "ours: coverage": (lambda: [coverage(strict.cloud, owners, objects, strict.words) for _ in range(5)], 5),
            "theirs: correspondence, with text": (quietly(their_samples), len(chosen)),
            "ours: correspondence, without text": (our_matches, len(facts.correspondences.first)),
        },
        rounds=rounds,
    )
    for timed in times.values():
        say(row(timed, "sample" if "correspondence" in timed.name else "scan"))
    relations, visibility, *both = list(times.values())[:6]
    together = sum_of(relations, visibility, "theirs: relations and visibility")
    say(f"{together.name}: {statistics.median(together.cpu_s):.1f} s CPU [{min(together.cpu_s):.1f} .. {max(together.cpu_s):.1f}]")
    for mine in both:
        say(ratio(together, mine))
    say(ratio(relations, both[1]))
    for task, name in (("objects seen",) * 2, ("coverage",) * 2, ("correspondence, with text", "correspondence, without text")):
        say(ratio(times[f"theirs: {task}"], times[f"ours: {name}"]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engine", type=Path, required=True, help="checkout of the engine")
    parser.add_argument("--frames", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=3)
    chosen = parser.parse_args()
    if not (chosen.engine / "spatial_engine").is_dir():
        parser.error(f"{chosen.engine}: expected a checkout with a folder spatial_engine, found none")
    logging.basicConfig(level=logging.ERROR)
    with tempfile.TemporaryDirectory(prefix="sightline-bench-") as place:
        written = write_scan(Path(place), chosen.frames)
        run(written, load_engine(chosen.engine, written), chosen.rounds)


if __name__ == "__main__":
    main()
