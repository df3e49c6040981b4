"""What scans of 640x480 images cost: CPU seconds of import, measure and generate, and bytes, per scan; extrapolated to many scans."""

import argparse
import logging
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from sightline.captures.rooms import RoomsOptions, room_scan_ids, write_room_scan
from sightline.config import as_mapping
from sightline.facts.measure import measure_scan
from sightline.questions.question import TASKS
from sightline.samples.generate import generate_scan
from sightline.scenes.build import import_scan

MANY = (1_513, 100_000)


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def told(values: list[float], unit: str) -> str:
    return f"{statistics.median(values):.2f} {unit} [{min(values):.2f} .. {max(values):.2f}]"


def bytes_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def costs(folder: Path, num_scans: int, options: dict[str, Any]) -> dict[str, list[float]]:
    """CPU seconds of every stage and megabytes, per scan; the stages of a scan follow each other as they do for a user."""
    scans, store, samples = folder / "captures", folder / "scenes", folder / "samples"
    found: dict[str, list[float]] = {}

    def keep(what: str, value: float) -> None:
        found.setdefault(what, []).append(value)

    for scan_id in room_scan_ids(num_scans):
        stages: dict[str, Callable[[], Any]] = {
            "rooms": lambda scan_id=scan_id: write_room_scan(scan_id, out=str(scans), seed=1, options=options),
            "import": lambda scan_id=scan_id: import_scan(
                scan_id, source=str(scans), reader="rooms", options={}, store=str(store), copy_images=False, verify=True
            ),
            "measure": lambda scan_id=scan_id: measure_scan(scan_id, store=str(store), options={}),
            "generate": lambda scan_id=scan_id: generate_scan(
                scan_id, store=str(store), out=str(samples), tasks=list(TASKS), split="train", seed=0, options={}
            ),
        }
        for name, stage in stages.items():
            began_s = time.process_time()
            result = stage()
            keep(f"{name}, CPU s", time.process_time() - began_s)
        keep("questions", sum(result["questions"].values()))
        keep("store, MB", bytes_of(store / scan_id) / 1e6)
        keep("facts, MB", bytes_of(store / scan_id / "facts") / 1e6)
        keep("samples, MB", (samples / "parts" / f"{scan_id}.parquet").stat().st_size / 1e6)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--num-scans", type=int, default=3)
    parser.add_argument("--frames", type=int, default=371, help="ScanNet's scans have about this many where every fifth frame is taken")
    parser.add_argument("--width", type=int, default=640)
    given = parser.parse_args()
    os.nice(5)
    logging.getLogger("sightline").setLevel(logging.ERROR)
    small = replace(RoomsOptions(), width=48, height=36, num_frames=4, antialias=False, shadows=False)
    size = replace(small, width=given.width, height=given.width * 3 // 4, num_frames=given.frames)
    with tempfile.TemporaryDirectory(prefix="sightline-bench-") as place:
        costs(Path(place) / "warm", 1, as_mapping(small))  # kernels are loaded here
        found = costs(Path(place) / "scans", given.num_scans, as_mapping(size))
    say(f"{given.num_scans} scans of {given.frames} frames of {size.width}x{size.height}, one process")
    for what, values in found.items():
        say(f"{what:18s} {told(values, 'a scan')}")
    spent_s = [sum(each) for each in zip(*(found[f"{name}, CPU s"] for name in ("import", "measure", "generate")), strict=True)]
    say(f"{'three stages, CPU s':18s} {told(spent_s, 'a scan')}")
    mean_s, mean_mb = statistics.mean(spent_s), statistics.mean(found["store, MB"])
    for count in MANY:
        say(f"{count:7d} scans: {count * mean_s / 3600:.1f} core hours, store {count * mean_mb / 1000:.0f} GB")


if __name__ == "__main__":
    main()
