"""CPU seconds of choosing frames and of pictures from above; every fast way gives what the slow one gives.

    python bench/frame_sampling.py [--frames 32] [--rounds 3] [--store STORE]

Points are synthetic, at the size of Spatial-MLLM's point maps (518 x 392). Without --store three procedural flats are made.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from sightline.config import build
from sightline.mixtures.coverage_sampling import box_around, greedy_cover, voxels_seen
from sightline.mixtures.sampling import HOWS, FrameSampling, choose_frames, space_aware
from sightline.samples.birdseye import birdseye_of_scene
from sightline.scenes.store import SceneStore

from timing import interleaved, ratio, row

HEIGHT, WIDTH = 392, 518
COUNT = 16


def say(text: str) -> None:
    sys.stdout.write(text + "\n")


def point_maps(frames: int) -> tuple[np.ndarray, np.ndarray]:
    """A walk along a lumpy surface: points (N, H, W, 3) float32, confidence (N, H, W) of 1 and more."""
    rng = np.random.default_rng(0)
    centres = np.cumsum(rng.normal(0, 0.5, (frames, 2)), axis=0)
    uv = np.stack(np.meshgrid(np.linspace(-1.6, 1.6, WIDTH), np.linspace(-1.2, 1.2, HEIGHT)), axis=-1)
    points = np.empty((frames, HEIGHT, WIDTH, 3), np.float32)
    for number, centre in enumerate(centres):
        xy = centre + uv
        points[number, ..., :2] = xy
        points[number, ..., 2] = 0.8 * np.sin(1.3 * xy[..., 0]) * np.cos(1.7 * xy[..., 1]) + rng.normal(0, 0.02, (HEIGHT, WIDTH))
    confidence = (1 + rng.exponential(2.0, points.shape[:3])).astype(np.float32)
    return points, confidence


def tuple_sets(points: np.ndarray, keep: np.ndarray, low: np.ndarray, edge: np.float32) -> list[set[tuple[int, ...]]]:
    """Voxel sets as the published steps make them: rows made unique, then tuples."""
    cells = (np.floor((frame[mask] - low) / edge).astype(np.int64) for frame, mask in zip(points, keep))
    return [{tuple(cell) for cell in np.unique(frame, axis=0)} for frame in cells]


def greedy_tuples(sets: list[set[tuple[int, ...]]], count: int) -> list[int]:
    """Rounds over all frames."""
    chosen: list[int] = []
    covered: set[tuple[int, ...]] = set()
    while len(chosen) < count:
        gains = [0 if number in chosen else len(one - covered) for number, one in enumerate(sets)]
        if max(gains) == 0:
            break
        chosen.append(gains.index(max(gains)))
        covered |= sets[chosen[-1]]
    return chosen


def compare_voxels(frames: int, rounds: int) -> None:
    points, confidence = point_maps(frames)
    at_least = np.float32(np.percentile(confidence, 50))
    keep = (confidence >= at_least) & (confidence > 0.1)
    sure = {"confidence": confidence, "at_least": float(at_least), "above": 0.1}
    box = box_around(points, cells=20, robust=None, **sure)
    kept = points[keep]
    low, edge = kept.min(axis=0), (kept.max(axis=0) - kept.min(axis=0)).min() / np.float32(20)
    slow, fast = tuple_sets(points, keep, low, edge), voxels_seen(points, box, **sure)
    assert [len(one) for one in slow] == [len(one) for one in fast.frames], "other voxels"
    picks = greedy_cover(fast, COUNT)
    assert greedy_tuples(slow, COUNT) == list(picks.order), "other frames"
    published = build(FrameSampling, {"how": "space-aware", "count": COUNT, "bounds": "published"}, where="bench")
    robust = build(FrameSampling, {"how": "space-aware", "count": COUNT}, where="bench")
    assert space_aware(points, confidence, sampling=published).order[: len(picks.order)] == picks.order
    say(f"{frames} frames of {WIDTH}x{HEIGHT}, {fast.count} voxels, {np.mean([len(one) for one in slow]):.0f} a frame; same frames chosen")
    timed = interleaved(
        {
            "voxels, rows made unique and tuples": (lambda: tuple_sets(points, keep, low, edge), frames),
            "voxels, looked up": (lambda: voxels_seen(points, box, **sure), frames),
            "greedy over sets of tuples": (lambda: greedy_tuples(slow, COUNT), 1),
            "lazy greedy over bits": (lambda: greedy_cover(fast, COUNT), 1),
            "space-aware, published bounds, all of it": (lambda: space_aware(points, confidence, sampling=published), frames),
            "space-aware, robust bounds, all of it": (lambda: space_aware(points, confidence, sampling=robust), frames),
        },
        rounds=rounds,
    )
    slow_voxels, fast_voxels, slow_greedy, fast_greedy, *_ = timed.values()
    for one in timed.values():
        say(row(one, "choice" if "greedy" in one.name else "frame"))
    say(ratio(slow_voxels, fast_voxels))
    say(ratio(slow_greedy, fast_greedy))


def measure_store(store: Path, rounds: int) -> None:
    scenes = [SceneStore(store).read(scan_id) for scan_id in SceneStore(store).scan_ids()]
    frames = sum(len(scene.frames) for scene in scenes)
    say(f"{len(scenes)} scans, {frames} frames of {scenes[0].frames[0].intrinsics.width}x{scenes[0].frames[0].intrinsics.height}")
    ways = {how: build(FrameSampling, {"how": how, "count": COUNT}, where="bench") for how in HOWS}
    cases = {f"{how} sampling": (lambda way=way: [choose_frames(scene, way) for scene in scenes], len(scenes)) for how, way in ways.items()}
    cases["picture from above, 1024 px"] = (lambda: [birdseye_of_scene(scene) for scene in scenes], len(scenes))
    for one in interleaved(cases, rounds=rounds).values():
        say(row(one, "scan"))


def made_store(folder: Path, *, scans: int = 3) -> Path:
    """Procedural flats of 24 frames."""
    from sightline.captures.rooms import write_room_scan
    from sightline.scenes.build import import_scan

    for number in range(scans):
        scan_id = f"rooms_{number:04d}"
        write_room_scan(scan_id, out=str(folder / "scans"), seed=5, options={})
        known = {"source": str(folder / "scans"), "reader": "rooms", "options": {}, "store": str(folder / "store")}
        import_scan(scan_id, **known, copy_images=False, verify=False)
    return folder / "store"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--store", type=Path)
    chosen = parser.parse_args()
    began = time.process_time()
    compare_voxels(chosen.frames, chosen.rounds)
    if chosen.store is not None:
        measure_store(chosen.store, chosen.rounds)
    else:
        with tempfile.TemporaryDirectory() as folder:
            measure_store(made_store(Path(folder)), chosen.rounds)
    say(f"{time.process_time() - began:.0f} s of CPU in all")


if __name__ == "__main__":
    main()
