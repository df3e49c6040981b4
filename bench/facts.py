"""Visibility and overlap of a scan of 300 frames and 100,000 points beside the usual plain way; kernels beside C and memory. Minutes."""

import ctypes
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from sens import COLOUR, DEPTH, one_frame, structured_light
from sightline.captures.capture import Frame
from sightline.captures.depth_packs import write_depth_pack
from sightline.captures.frame_images import stored_depth
from sightline.captures.procedural import RoomsOptions, build_room, walk
from sightline.facts.measure import MeasureOptions, measure
from sightline.facts.motion import all_pairs
from sightline.facts.overlap import pair_overlaps, shared_counts
from sightline.facts.visibility import cloud_of, view_frame
from sightline.facts.visible_bits import new_words
from sightline.geometry import visibility_kernels
from sightline.geometry.depth import points_world_from_depth
from sightline.geometry.transforms import inverse, look_at
from sightline.geometry.visibility import NEAR_M, TOLERANCE_M, TOLERANCE_SHARE, StoredDepth, unpack_words, visible_words
from sightline.scenes.scene import Scene

from timing import interleaved, ratio, row

ROUNDS = 5
NUM_FRAMES, NUM_POINTS = 300, 100_000
PLAIN_FRAMES, PLAIN_PAIRS = 12, 200  # the plain way is run on some and multiplied: every frame and pair costs it the same
MEMORY_FRAMES, MEMORY_POINTS, MEMORY_MAPS = 5_000, 1_000_000, 16
SCALE_M = 0.001
LIMITS = {"near_m": NEAR_M, "tolerance_m": TOLERANCE_M, "tolerance_share": TOLERANCE_SHARE}


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


@dataclass(frozen=True, kw_only=True, eq=False)
class Recording:
    """One scan on disk, its depth as PNG files and as a depth pack."""

    maps: np.ndarray  # (F, H, W) uint16 millimetres
    poses: np.ndarray  # (F, 4, 4)
    from_png: Scene
    from_pack: Scene


def scene_of(frames: tuple[Frame, ...], points_world: np.ndarray, folder: Path) -> Scene:
    nothing = {"place_id": "bench", "source": "bench", "licence": "", "point_object_ids": None, "objects": None, "structure": None}
    known = {"scan_id": "bench", "root": folder, "frames": frames, "points_world": points_world}
    return Scene(**known, **nothing, verification=None, notes={})


def frame_of(index: int, pose: np.ndarray, *, rgb: Path, depth: Path, place: int | None) -> Frame:
    cameras = {"intrinsics": COLOUR, "depth_intrinsics": DEPTH, "world_from_camera": pose}
    name = {"frame_id": f"{index:06d}", "time_s": index / 30.0, "rgb_path": rgb}
    return Frame(**name, **cameras, depth_path=depth, depth_index=place, depth_scale_m=SCALE_M)


def voxel_points(maps: np.ndarray, poses: np.ndarray, count: int) -> np.ndarray:
    """`count` of the surface points of a scan, one per cell of the finest grid (in millimetres) with no more, in shuffled order."""
    several = []
    for stored, pose in zip(maps[::5], poses[::5]):
        depth_m = np.where(stored > 0, stored * SCALE_M, np.nan)
        points = points_world_from_depth(depth_m, DEPTH, pose).reshape(-1, 3)
        several.append(points[np.isfinite(points).all(axis=1)][::7])
    points = np.concatenate(several)
    for cell_mm in range(20, 200):
        cells = np.floor(points / (cell_mm / 1000.0)).astype(np.int64) + 100_000
        kept = np.unique((cells[:, 0] << 40) + (cells[:, 1] << 20) + cells[:, 2], return_index=True)[1]
        if len(kept) <= 1.1 * count:
            break
    return np.random.default_rng(0).permutation(points[kept])[:count].astype(np.float32)


def record(folder: Path) -> Recording:
    room, rng = build_room(5, RoomsOptions(antialias=False, shadows=False)), np.random.default_rng(0)
    poses = np.stack(walk(room, np.random.default_rng(0), num_frames=NUM_FRAMES))
    maps = np.stack([structured_light(room, pose, rng) for pose in poses])
    picture = one_frame(room, poses[0], rng)[0]
    for index, stored in enumerate(maps):
        cv2.imwrite(str(folder / f"{index:04d}.png"), stored)
        (folder / f"{index:04d}.jpg").write_bytes(picture)
    write_depth_pack(folder / "depth.depthpack", maps)
    points_world = voxel_points(maps, poses, NUM_POINTS)

    def scene(pack: Path | None) -> Scene:
        places = [(folder / f"{index:04d}.png", None) if pack is None else (pack, index) for index in range(len(maps))]
        frames = [
            frame_of(index, pose, rgb=folder / f"{index:04d}.jpg", depth=path, place=place)
            for index, (pose, (path, place)) in enumerate(zip(poses, places, strict=True))
        ]
        return scene_of(tuple(frames), points_world, folder)

    return Recording(maps=maps, poses=poses, from_png=scene(None), from_pack=scene(folder / "depth.depthpack"))


def ours(scene: Scene) -> np.ndarray:
    """Visibility and overlap as `measure` does them, from nothing: sorting the points is in it."""
    cloud = cloud_of(scene)
    words = new_words(None, num_frames=len(scene.frames), num_points=len(cloud.points_world))
    for index, frame in enumerate(scene.frames):
        words[index] = view_frame(frame, cloud, **LIMITS).words
    pair_overlaps(words, *all_pairs(len(words)))
    return words


def plain_mask(frame: Frame, points_world: np.ndarray) -> np.ndarray:
    """The usual way: two whole JPEGs are decoded to learn the image's size, the PNG is read, every point is projected in float64."""
    height, width = cv2.imread(str(frame.rgb_path)).shape[:2]
    height, width = cv2.imread(str(frame.rgb_path)).shape[:2]
    depth_m = cv2.imread(str(frame.depth_path), cv2.IMREAD_UNCHANGED).astype(np.float32) * np.float32(SCALE_M)
    ones = np.ones((len(points_world), 1))
    x, y, z = (np.hstack([points_world, ones]) @ inverse(frame.world_from_camera).T)[:, :3].T
    with np.errstate(divide="ignore", invalid="ignore"):
        u, v = frame.intrinsics.fx * x / z + frame.intrinsics.cx, frame.intrinsics.fy * y / z + frame.intrinsics.cy
        depth_u, depth_v = DEPTH.fx * x / z + DEPTH.cx + 0.5, DEPTH.fy * y / z + DEPTH.cy + 0.5
        inside = (z >= NEAR_M) & (u >= -0.5) & (u < width - 0.5) & (v >= -0.5) & (v < height - 0.5)
        inside &= (depth_u >= 0) & (depth_u < DEPTH.width) & (depth_v >= 0) & (depth_v < DEPTH.height)
    reading = np.zeros(len(z))
    reading[inside] = depth_m[depth_v[inside].astype(int), depth_u[inside].astype(int)]
    return inside & (reading > 0) & (np.abs(z - reading) <= np.maximum(TOLERANCE_M, TOLERANCE_SHARE * reading))


def plain_sets(frames: tuple[Frame, ...], points_world: np.ndarray) -> dict[int, list[str]]:
    """Visibility the usual way: a set of point numbers per image and the images of each point."""
    images: dict[int, list[str]] = {}
    for frame in frames:
        seen = set(np.flatnonzero(plain_mask(frame, points_world)).tolist())
        for point in seen:
            images.setdefault(point, []).append(frame.frame_id)
    return images


def plain_pairs(masks: np.ndarray, first: np.ndarray, second: np.ndarray) -> list[float]:
    """Overlap the usual way: two boolean vectors and two sums for every pair."""
    return [
        np.logical_and(masks[i], masks[j]).sum() / max(np.logical_or(masks[i], masks[j]).sum(), 1)
        for i, j in zip(first, second, strict=True)
    ]


def bench_scene(recording: Recording) -> np.ndarray:
    """The whole of it, decoding and sorting included; gives the words of the scan."""
    scene, points_world = recording.from_png, np.asarray(recording.from_png.points_world, dtype=np.float64)
    words = ours(recording.from_pack)
    assert np.array_equal(words, ours(recording.from_png))
    order = cloud_of(scene).order
    some = scene.frames[:: NUM_FRAMES // PLAIN_FRAMES][:PLAIN_FRAMES]
    masks = np.stack([plain_mask(frame, points_world) for frame in some])
    differ = masks[:, order] != unpack_words(words[:: NUM_FRAMES // PLAIN_FRAMES][:PLAIN_FRAMES], len(order))
    say(f"{NUM_FRAMES} frames 640x480, {len(order)} points; a frame sees {unpack_words(words, len(order)).mean():.3f} of them;")
    say(f"  the plain way differs in {differ.sum()} of {differ.size} bits (its product of matrices rounds otherwise)")
    chosen = np.random.default_rng(0).integers(0, PLAIN_FRAMES, (2, PLAIN_PAIRS))
    frames, pairs = len(some), NUM_FRAMES * (NUM_FRAMES - 1) // 2
    cloud = cloud_of(scene)
    times = interleaved(
        {
            "plain: visibility as sets": (lambda: plain_sets(some, points_world), frames),
            "plain: visibility again for overlap": (lambda: [plain_mask(frame, points_world) for frame in some], frames),
            "plain: overlap of a pair": (lambda: plain_pairs(masks, *chosen), PLAIN_PAIRS),
            "scene from PNG depth": (lambda: ours(recording.from_png), 1),
            "scene from the depth pack": (lambda: ours(recording.from_pack), 1),
            "  of it: reading the pack": (lambda: [stored_depth(frame) for frame in recording.from_pack.frames], 1),
            "  of it: sorting the points": (lambda: cloud_of(recording.from_pack), 1),
            "  of it: overlap of all pairs": (lambda: pair_overlaps(words, *all_pairs(NUM_FRAMES)), 1),
            "  of it: visibility": (lambda: [visible_of(recording, cloud, index) for index in range(NUM_FRAMES)], 1),
        },
        rounds=ROUNDS,
    )
    for timed, unit in zip(times.values(), ("frame", "frame", "pair", *6 * ("scene",)), strict=True):
        say(row(timed, unit))
    sets, again, pair, png, pack, *_ = (timed.cpu_s for timed in times.values())
    plain_s = [NUM_FRAMES * (a + b) + pairs * c for a, b, c in zip(sets, again, pair)]
    say(f"plain way, whole scene: {statistics.median(plain_s):.1f} s CPU [{min(plain_s):.1f} .. {max(plain_s):.1f}]")
    for name, spent, bar in (("PNG depth", png, 25), ("the depth pack", pack, 100)):
        ratios = [a / b for a, b in zip(plain_s, spent)]
        say(f"plain way / ours from {name}: {statistics.median(ratios):.0f}x [{min(ratios):.0f} .. {max(ratios):.0f}], bar {bar}x")
    return words


def visible_of(recording: Recording, cloud, index: int) -> np.ndarray:
    depth = StoredDepth(stored=recording.maps[index], scale_m=SCALE_M)
    cameras = {"depth_intrinsics": DEPTH, "intrinsics": COLOUR, "world_from_camera": recording.poses[index]}
    return visible_words(cloud.points_world, depth_m=depth, **cameras, **LIMITS, bounds_world=cloud.bounds_world)


def compiled_c(folder: Path) -> dict[str, Callable]:
    """The loops of `popcount.c`, where there is a compiler."""
    if shutil.which("gcc") is None:
        return {}
    library = folder / "popcount.so"
    source = Path(__file__).with_name("popcount.c")
    subprocess.run(["gcc", "-O3", "-march=native", "-shared", "-fPIC", "-o", str(library), str(source)], check=True)
    loaded = ctypes.CDLL(str(library))

    def caller(name: str) -> Callable:
        def call(words: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
            shared = np.empty(len(first), dtype=np.int64)
            places = [ctypes.c_void_p(array.ctypes.data) for array in (words, first, second, shared)]
            width, pairs = ctypes.c_int64(words.shape[1]), ctypes.c_int64(len(first))
            getattr(loaded, name)(places[0], width, places[1], places[2], pairs, places[3])
            return shared

        return call

    return {"C, popcount of words": caller("shared_plain"), "C, vectors": caller("shared_vectors")}


def bench_overlap(words: np.ndarray, folder: Path) -> None:
    first, second = all_pairs(len(words))
    dense = np.random.default_rng(0).integers(0, 1 << 64, words.shape, dtype=np.uint64)
    by_hand = compiled_c(folder)
    for name, bits in (("the scan", words), ("random bits", dense)):
        masks = unpack_words(bits, NUM_POINTS)
        some = np.random.default_rng(0).integers(0, len(words), (2, PLAIN_PAIRS))
        for call in by_hand.values():
            assert np.array_equal(call(bits, first, second), shared_counts(bits, first, second))
        cases = {f"{name}: boolean loop": (lambda masks=masks, some=some: plain_pairs(masks, *some), PLAIN_PAIRS)}
        cases[f"{name}: ours"] = (lambda bits=bits: [shared_counts(bits, first, second) for _ in range(5)], 5 * len(first))
        for label, call in by_hand.items():
            cases[f"{name}: {label}"] = (lambda call=call, bits=bits: [call(bits, first, second) for _ in range(5)], 5 * len(first))
        loop, mine, *others = interleaved(cases, rounds=ROUNDS).values()
        for timed in (loop, mine, *others):
            say(row(timed, "pair"))
        say(ratio(loop, mine))
        for other in others:
            say(ratio(mine, other).replace("x [", " times [") + "  (bar 2.0)")


def bandwidth_bytes_per_s() -> float:
    """Reading 400 MB that no cache holds, the best of several: a sum is limited by memory alone."""
    values = np.ones(50_000_000)
    best_s = np.inf
    for _ in range(5):
        began_s = time.thread_time()
        values.sum()
        best_s = min(best_s, time.thread_time() - began_s)
    return values.nbytes / best_s


def bench_kernel(recording: Recording) -> None:
    """The compiled loop alone, over maps that no cache holds any more, against reading its bytes once."""
    cloud = cloud_of(recording.from_pack)
    words = new_words(None, num_frames=1, num_points=NUM_POINTS)[0]
    rates, spent_s, touched = [], [], 0
    for turn in range(ROUNDS):
        rates.append(bandwidth_bytes_per_s())
        total_s = 0.0
        for stored, pose in zip(recording.maps, recording.poses):
            rows = [(c.fx, c.fy, c.cx, c.cy, float(c.width), float(c.height)) for c in (DEPTH, COLOUR)]
            tail = (np.float32(SCALE_M), inverse(pose), *rows, (NEAR_M, TOLERANCE_M, TOLERANCE_SHARE), True, words)
            began_s = time.thread_time()
            blocks = visibility_kernels.fill_words(cloud.points_world.T, cloud.bounds_world.T, stored, *tail)
            total_s += time.thread_time() - began_s
            if turn == 0:
                touched += blocks * 64 * 24 + cloud.bounds_world.nbytes + words.nbytes + lines_read(cloud.points_world, pose) * 64
        spent_s.append(total_s / NUM_FRAMES)
    floors_s = [touched / NUM_FRAMES / rate for rate in rates]
    times = [spent / floor for spent, floor in zip(spent_s, floors_s)]
    say(f"visibility kernel: {statistics.median(spent_s) * 1e6:.0f} us a frame [{min(spent_s) * 1e6:.0f} .. {max(spent_s) * 1e6:.0f}]")
    floor_us, rate = statistics.median(floors_s) * 1e6, statistics.median(rates) / 1e9
    say(f"  touches {touched / NUM_FRAMES / 1e3:.0f} kB; memory gives {rate:.1f} GB/s: {floor_us:.0f} us")
    say(f"  {statistics.median(times):.1f} times the floor [{min(times):.1f} .. {max(times):.1f}], bar 4.0")


def lines_read(points_world: np.ndarray, pose: np.ndarray) -> int:
    """Cache lines of the depth map that points fall on."""
    uv, z_m = DEPTH.project(points_world @ inverse(pose)[:3, :3].T + inverse(pose)[:3, 3])
    column, line = np.floor(uv + 0.5).T
    inside = (z_m >= NEAR_M) & (column >= 0) & (column < DEPTH.width) & (line >= 0) & (line < DEPTH.height)
    return len(np.unique((line[inside] * DEPTH.width + column[inside]).astype(np.int64) * 2 // 64))


def box_depth_mm(pose: np.ndarray, half_m: np.ndarray) -> np.ndarray:
    """What a camera inside a box sees of its walls."""
    grid = np.stack(np.meshgrid(np.arange(DEPTH.width), np.arange(DEPTH.height)), axis=-1).reshape(-1, 2).astype(np.float64)
    rays = DEPTH.unproject(grid, np.ones(len(grid))) @ pose[:3, :3].T
    with np.errstate(divide="ignore"):
        z_m = ((np.sign(rays) * half_m - pose[:3, 3]) / rays).min(axis=1)
    return np.rint(z_m * 1000.0).astype(np.uint16).reshape(DEPTH.height, DEPTH.width)


def peak_resident_kb() -> int:
    """Of this program alone: what `getrusage` tells begins with what the process that started it had."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))


def measure_long_scan(folder: Path) -> None:
    """Run alone in a process: all facts of 5,000 frames and a million points, and what it took at most."""
    rng, half_m = np.random.default_rng(0), np.array([4.0, 3.0, 1.4])
    at = [rng.uniform(-0.5, 0.5, 3) * half_m for _ in range(MEMORY_MAPS)]
    poses = [look_at(place, np.array([3.0 * np.cos(turn), 3.0 * np.sin(turn), -0.3])) for turn, place in enumerate(at)]
    write_depth_pack(folder / "few.depthpack", [box_depth_mm(pose, half_m) for pose in poses])
    points = rng.uniform(-1, 1, (MEMORY_POINTS, 3))
    side = rng.integers(0, 3, MEMORY_POINTS)
    points[np.arange(MEMORY_POINTS), side] = rng.choice([-1.0, 1.0], MEMORY_POINTS)
    depth = folder / "few.depthpack"
    frames = [
        frame_of(index, poses[index % MEMORY_MAPS], rgb=folder / "none.jpg", depth=depth, place=index % MEMORY_MAPS)
        for index in range(MEMORY_FRAMES)
    ]
    scene = scene_of(tuple(frames), (points * half_m).astype(np.float32), folder)
    before_kb = peak_resident_kb()
    began_s = time.process_time()
    table = measure(scene, MeasureOptions(), keep_in=folder)
    spent_s = time.process_time() - began_s
    peak_kb = peak_resident_kb()
    kept = (folder / "visibility.npy").stat().st_size
    say(f"{MEMORY_FRAMES} frames, {MEMORY_POINTS} points, {len(table.pairs.first)} pairs: peak {peak_kb / 1e6:.2f} GB resident (bar 2)")
    say(f"  {before_kb / 1e6:.2f} GB before measuring; visibility.npy {kept / 1e6:.0f} MB, mapped; {spent_s:.0f} s CPU")
    say(f"  a frame sees {table.frames.visible_points.mean() / MEMORY_POINTS:.2f} of the points")


def main() -> None:
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        if sys.argv[1:] == ["--memory"]:
            measure_long_scan(folder)
            return
        recording = record(folder)
        words = bench_scene(recording)
        bench_overlap(words, folder)
        bench_kernel(recording)
        subprocess.run([sys.executable, __file__, "--memory"], check=True)


if __name__ == "__main__":
    main()
