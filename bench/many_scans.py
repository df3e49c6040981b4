"""Predicts what 200 scans cost from what 4 and 20 cost, runs them, and prints both: CPU seconds and bytes of every stage.

Two small runs give a line: what every run costs once (workers start, kernels load) and what a scan costs. The scans are small, since
what is checked is the line, not the cost of a pixel. It runs at low priority; CPU seconds count, as the machine may be busy.
"""

import argparse
import logging
import os
import resource
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from sightline.captures.rooms import RoomsOptions, room_scan_ids, write_room_scan
from sightline.config import as_mapping
from sightline.execution.execution import Job
from sightline.execution.local import LocalExecutor
from sightline.execution.records import require_all
from sightline.facts.measure import measure_scan
from sightline.questions.question import TASKS
from sightline.samples.generate import generate_scan
from sightline.scenes.build import import_scan

SMALL, MORE = 4, 20
STAGES: dict[str, Callable[..., Any]] = {
    "rooms": write_room_scan,
    "import": import_scan,
    "measure": measure_scan,
    "generate": generate_scan,
}


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def cpu_s() -> float:
    """CPU seconds of this process and of the workers that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def costs(folder: Path, num_scans: int, *, workers: int, options: dict) -> dict[str, float]:
    """CPU seconds of every stage, and the bytes on disk at the end."""
    scans, store = str(folder / "captures"), str(folder / "scenes")
    arguments = {
        "rooms": {"out": scans, "seed": 1, "options": options},
        "import": {"source": scans, "reader": "rooms", "options": {}, "store": store, "copy_images": True, "verify": True},
        "measure": {"store": store, "options": {}},
        "generate": {"store": store, "out": str(folder / "samples"), "tasks": list(TASKS), "split": "train", "seed": 0, "options": {}},
    }
    found = {}
    for name, function in STAGES.items():
        began_s = cpu_s()
        keys, records = room_scan_ids(num_scans), folder / "records" / name
        job = Job(name=name, function=function, keys=keys, record_dir=records, made_from="x", arguments=arguments[name])
        require_all(LocalExecutor(workers).run(job), job)
        found[f"{name}, CPU s"] = cpu_s() - began_s
    for name in ("captures", "scenes", "samples"):
        found[f"{name}, MB"] = sum(path.stat().st_size for path in (folder / name).rglob("*") if path.is_file()) / 1e6
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--num-scans", type=int, default=200)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--frames", type=int, default=4)
    given = parser.parse_args()
    os.nice(5)
    logging.getLogger("sightline").setLevel(logging.ERROR)
    options = as_mapping(replace(RoomsOptions(), num_frames=given.frames, width=48, height=36))
    with tempfile.TemporaryDirectory() as name:
        runs = {}
        for count in (SMALL, MORE, given.num_scans):
            (Path(name) / str(count)).mkdir()
            runs[count] = costs(Path(name) / str(count), count, workers=given.workers, options=options)
    say(f"{'':18s} {'once':>8s} {'per scan':>9s} {'predicted':>10s} {'measured':>9s}  for {given.num_scans} scans of {given.frames} frames")
    for what, measured in runs[given.num_scans].items():
        each = (runs[MORE][what] - runs[SMALL][what]) / (MORE - SMALL)
        once = runs[SMALL][what] - SMALL * each
        predicted = once + given.num_scans * each
        say(f"{what:18s} {once:8.2f} {each:9.4f} {predicted:10.1f} {measured:9.1f}  {measured / predicted - 1:+.0%}")


if __name__ == "__main__":
    main()
