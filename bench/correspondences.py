"""What correspondences of a scan and rigid bodies of a clip cost, beside the plain way of grouping tracks. `bench/correspondences.py`."""

import logging
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from sightline.captures.rooms import RoomsOptions, write_room_scan
from sightline.config import as_mapping
from sightline.facts.bodies import rigid_groups
from sightline.facts.correspondences import Agreement, CorrespondenceOptions, correspondences
from sightline.facts.measure import MeasureOptions, measure
from sightline.geometry.transforms import apply, yaw_translation
from sightline.scenes.build import import_scan
from sightline.scenes.store import SceneStore

from timing import interleaved, ratio, row

ROUNDS = 2
TIMES, TRACKS = 300, 1024


def clip() -> np.ndarray:
    """`(N, T, 3)` points of eight bodies that drive and turn each in its own way."""
    rng = np.random.default_rng(0)
    bodies = []
    for number in range(8):
        own = rng.uniform(-0.5, 0.5, (TRACKS // 8, 3))
        way = [yaw_translation(0.3 * number * s, s * np.array([number - 4.0, 1.0, 0.0])) for s in np.linspace(0.0, 1.0, TIMES)]
        bodies.append(np.stack([apply(step, own) for step in way], axis=1))
    return np.concatenate(bodies)


def plain_distances(points: np.ndarray) -> np.ndarray:
    """The neighbour's way: the whole distance matrix at every time, and the sum of its changes from one to the next."""
    change_m = np.zeros((len(points), len(points)))
    before = None
    for time in range(points.shape[1]):
        here = points[:, time]
        squared = (here**2).sum(axis=1)
        distances_m = np.sqrt(np.maximum(squared[:, None] + squared[None, :] - 2.0 * here @ here.T, 0.0))
        if before is not None:
            step_m = np.abs(distances_m - before)
            change_m += np.where(step_m > 0.01, step_m, 0.0)
        before = distances_m
    return change_m


def main() -> None:
    def say(text: str) -> None:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()

    logging.basicConfig(level=logging.ERROR)
    points, seen = clip(), np.ones((TRACKS, TIMES), dtype=bool)
    limits_m = np.full(TRACKS, 0.01)
    assert [len(group) for group in rigid_groups(points, seen, limits_m)] == [TRACKS // 8] * 8
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        options = as_mapping(replace(RoomsOptions(), width=640, height=480, num_frames=16, max_rooms=2, antialias=False, shadows=False))
        write_room_scan("rooms_0000", out=str(folder / "scans"), seed=11, options=options)
        where = {"source": str(folder / "scans"), "reader": "rooms", "options": {}, "store": str(folder / "store")}
        import_scan("rooms_0000", **where, copy_images=False, verify=False)
        scene = SceneStore(folder / "store").read("rooms_0000")
        table = measure(scene, MeasureOptions())
        found = table.correspondences
        assert found is not None
        say(f"{len(found.first)} correspondences of {len(np.unique(np.stack([found.first, found.second]), axis=1).T)} pairs, 640x480")

        def match() -> None:
            chosen = {"options": CorrespondenceOptions(), "agreement": Agreement()}
            correspondences(scene.frames, table.pairs, table.points, scan_id=scene.scan_id, seed=0, **chosen)

        times = interleaved(
            {
                "correspondences": (match, len(found.first)),
                "all facts of the scan": (lambda: measure(scene, MeasureOptions()), 1),
                f"rigid bodies of {TRACKS} tracks, {TIMES} frames": (lambda: rigid_groups(points, seen, limits_m), 1),
                "summed distance matrices, without the clustering": (lambda: plain_distances(points), 1),
            },
            rounds=ROUNDS,
        )
    for timed, unit in zip(times.values(), ("point", "scan", "clip", "clip"), strict=True):
        say(row(timed, unit))
    _, _, ours, plain = times.values()
    say(ratio(plain, ours))


if __name__ == "__main__":
    main()
