"""Measures how much sooner two workers end than one, on the measure stage, beside what the machine itself gives to two processes.

The control is pure arithmetic in two processes that share nothing: where it stays below 2, cores share units, clocks or their time
with other work, and no program can scale further. Both are taken in turn, so that a busy machine hurts both.
"""

import argparse
import logging
import multiprocessing
import os
import shutil
import statistics
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from sightline.captures.rooms import RoomsOptions, room_scan_ids, write_room_scan
from sightline.config import as_mapping
from sightline.execution.execution import Job
from sightline.execution.local import LocalExecutor
from sightline.facts.measure import measure_scan
from sightline.scenes.build import import_scan

NUM_SCANS = 8
SPIN = 12_000_000  # additions per process of the control: about half a second
EMPTY_JOBS = 64
EMPTY_JOB_S = 0.05


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def spin(count: int) -> int:
    total = 0
    for number in range(count):
        total += number & 3
    return total


def burn(key: str) -> str:
    """A job of 50 ms of pure CPU, to see what the executor adds."""
    until_s = time.thread_time() + EMPTY_JOB_S
    while time.thread_time() < until_s:
        spin(1000)
    return key


def control_s(processes: int) -> float:
    """Wall seconds for two spins, by one process after the other or by two at once."""
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        pool.map(spin, [1000] * processes)
        began_s = time.perf_counter()
        pool.map(spin, [SPIN, SPIN], chunksize=1)
        return time.perf_counter() - began_s


def prepared(folder: Path, num_frames: int) -> tuple[Path, list[str]]:
    options = as_mapping(replace(RoomsOptions(), num_frames=num_frames))
    scan_ids = room_scan_ids(NUM_SCANS)
    where = {"source": str(folder / "captures"), "reader": "rooms", "options": {}, "store": str(folder / "scenes")}
    for scan_id in scan_ids:
        write_room_scan(scan_id, out=str(folder / "captures"), seed=3, options=options)
        import_scan(scan_id, **where, copy_images=False, verify=False)
    return folder / "scenes", scan_ids


def measured_s(store: Path, scan_ids: list[str], workers: int) -> float:
    """Wall seconds of the whole stage, workers' start included, nothing reused."""
    for scan_id in scan_ids:
        shutil.rmtree(store / scan_id / "facts", ignore_errors=True)
    shutil.rmtree(store / "records", ignore_errors=True)
    arguments = {"store": str(store), "options": {}}
    job = Job(name="measure", function=measure_scan, keys=scan_ids, record_dir=store / "records", made_from="x", arguments=arguments)
    began_s = time.perf_counter()
    outcome = LocalExecutor(workers).run(job)
    assert not outcome.failed, outcome.failed
    return time.perf_counter() - began_s


def overhead(folder: Path) -> float:
    """Share of CPU that the executor adds to 64 jobs of 50 ms: driver, worker start and done-files, in this process and its children."""
    keys = [str(number) for number in range(EMPTY_JOBS)]
    began = sum(os.times()[:4])
    LocalExecutor(2).run(Job(name="burn", function=burn, keys=keys, record_dir=folder / "burn", made_from="x"))
    return (sum(os.times()[:4]) - began) / (EMPTY_JOBS * EMPTY_JOB_S) - 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--frames", type=int, default=150)
    given = parser.parse_args()
    logging.getLogger("sightline").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory() as name:
        store, scan_ids = prepared(Path(name), given.frames)
        measured_s(store, scan_ids, 1)  # compiled kernels are in their cache now
        stage, control = [], []
        for _ in range(given.rounds):
            stage.append(measured_s(store, scan_ids, 1) / measured_s(store, scan_ids, 2))
            control.append(control_s(1) / control_s(2))
        say(f"load of this machine {os.getloadavg()[0]:.1f}, {len(os.sched_getaffinity(0))} cores")
        for what, ratios in ((f"measure, {NUM_SCANS} scans of {given.frames} frames", stage), ("control, pure arithmetic", control)):
            say(f"{what:40s} 2 workers / 1: {statistics.median(ratios):.2f}x [{min(ratios):.2f} .. {max(ratios):.2f}]")
        shares = [a / b for a, b in zip(stage, control)]
        say(f"{'stage / control, round by round':40s} {statistics.median(shares):.2f} [{min(shares):.2f} .. {max(shares):.2f}]")
        say(f"executor's own CPU, {EMPTY_JOBS} jobs of {EMPTY_JOB_S * 1e3:.0f} ms: {overhead(Path(name)):+.1%}")


if __name__ == "__main__":
    main()
