"""Questions per second of every indexed task, a compact index of 27 million, and correspondence by decoding images. Minutes."""

import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from sightline.captures.rooms import write_room_scan
from sightline.config import as_mapping
from sightline.facts.fact import FactTable
from sightline.facts.measure import measure_scan
from sightline.facts.store import read_facts
from sightline.questions.engine import generator_for, rendered
from sightline.questions.question import TASKS, TaskOptions
from sightline.questions.rows import IndexedTask, ScanHead
from sightline.samples.generate import GENERATOR
from sightline.samples.index import Index, write_index
from sightline.samples.index_parts import Part, write_part
from sightline.samples.making import Origin
from sightline.scenes.build import import_scan

from timing import interleaved, ratio, row

ROUNDS = 5
NUM_FRAMES, MOST = 300, 20_000
OPTIONS = TaskOptions(max_per_scan=MOST, max_per_frame=100_000, min_overlap=0.05, max_overlap=0.95)
ROWS_WANTED, SCANS_WANTED = 27_000_000, 1_500
READS = 100_000
IMAGES = 40


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def measured(folder: Path) -> FactTable:
    """Facts of one procedural flat of 300 frames."""
    options = {"num_frames": NUM_FRAMES, "width": 160, "height": 120, "antialias": False, "shadows": False}
    write_room_scan("rooms_0000", out=str(folder / "raw"), seed=0, options=options)
    given = {"source": str(folder / "raw"), "reader": "rooms", "options": {}, "store": str(folder / "store")}
    import_scan("rooms_0000", copy_images=False, verify=False, **given)
    measure_scan("rooms_0000", store=str(folder / "store"), options={})
    return read_facts(folder / "store" / "rooms_0000" / "facts")


def bench_tasks(facts: FactTable) -> None:
    """Choosing, wording and the answer's text of every indexed task that has questions here, until the questions are freed again."""
    cases: dict[str, tuple[Callable[[], object], int]] = {}
    scan = ScanHead.of(facts)
    for name in TASKS:
        if not issubclass(TASKS[name], IndexedTask) or TASKS[name].needs - facts.kinds:
            continue
        task = TASKS[name]()
        count = len(task.select(facts, generator_for(facts.scan_id, name, 0), OPTIONS).rows)
        if count < 100:
            say(f"{name}: only {count} questions in this scan, not timed")
            continue

        def ask(task: IndexedTask = task, name: str = name) -> int:
            selected = task.select(facts, generator_for(facts.scan_id, name, 0), OPTIONS)
            return sum(len(one.answer.text) for one in rendered(task, selected, scan, OPTIONS))

        cases[name] = (ask, count)
    timed = interleaved(cases, rounds=ROUNDS)
    for one in timed.values():
        say(f"{row(one, 'question')}  {1.0 / np.median(one.cpu_s):9.0f} a second")
    spent_s = sum(float(np.median(timed[name].cpu_s)) * count for name, (_, count) in cases.items())
    counted = sum(count for _, count in cases.values())
    say(f"all {len(cases)} tasks: {counted} questions, {spent_s / counted * 1e6:.2f} us, {counted / spent_s:.0f} a second (bar 100,000)")


def resident_mb() -> float:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:")) / 1e3


def bench_index(facts: FactTable, folder: Path) -> None:
    """An index of 27 million rows in 1,500 scans, made by repeating the rows of one scan under other names."""
    tasks = [name for name in TASKS if issubclass(TASKS[name], IndexedTask) and not TASKS[name].needs - facts.kinds]
    selected = {name: TASKS[name]().select(facts, generator_for(facts.scan_id, name, 0), OPTIONS).rows for name in tasks}
    whole = sum(map(len, selected.values()))
    per_scan = ROWS_WANTED // SCANS_WANTED
    rows = {name: one[: max(1, int(len(one) * min(1.0, per_scan / whole)))] for name, one in selected.items() if len(one)}
    parts = []
    (folder / "parts").mkdir()
    images = {frame_id: f"{{}}/color/{frame_id}.jpg" for frame_id in facts.frames.frame_ids}
    for number in range(-(-ROWS_WANTED // sum(map(len, rows.values())))):
        scan_id = f"scan_{number:05d}"
        origin = Origin(
            scan_id=scan_id,
            place_id=scan_id,
            source="bench",
            licence="CC0-1.0",
            split="train",
            seed=0,
            generator_version=GENERATOR,
            image_paths={frame_id: path.format(scan_id) for frame_id, path in images.items()},
        )
        parts.append(Part(path=folder / "parts" / f"{scan_id}.index", split="train"))
        write_part(parts[-1].path, rows, replace(ScanHead.of(facts), scan_id=scan_id), origin)
    began_s = time.perf_counter()
    write_index(folder / "index", parts, seed=0, options=as_mapping(OPTIONS), generator_version=GENERATOR)
    wrote_s = time.perf_counter() - began_s
    num_bytes = sum(path.stat().st_size for path in (folder / "index").iterdir())
    before_mb, began_s = resident_mb(), time.perf_counter()
    index = Index.open(folder / "index")
    opened_s, opened_mb = time.perf_counter() - began_s, resident_mb()
    say(f"{len(index)} rows in {len(parts)} scans: {num_bytes / len(index):.2f} bytes a question (bar 25), joined in {wrote_s:.1f} s")
    say(f"  opened in {opened_s:.2f} s (bar 2), {opened_mb:.0f} MB resident, {opened_mb - before_mb:.0f} MB more (bar 1,000)")
    order = np.random.default_rng(0).integers(0, len(index), READS).tolist()
    began_s = time.process_time()
    index.sample_many(order)
    say(f"  first {READS} random reads, heads and checksums of all scans included: {READS / (time.process_time() - began_s):.0f} a second")
    rates = []
    for turn in range(ROUNDS):
        order = np.random.default_rng(turn + 1).integers(0, len(index), READS).tolist()
        began_s = time.process_time()
        index.sample_many(order)
        rates.append(READS / (time.process_time() - began_s))
    say(f"  random reads: {np.median(rates):.0f} a second [{min(rates):.0f} .. {max(rates):.0f}] (bar 100,000), {resident_mb():.0f} MB")


def bench_decoding(facts: FactTable, folder: Path) -> None:
    """Correspondence as it is usually made: decode both images to learn their size, draw five dots, encode both; against ours."""
    if "correspondence_choice" not in TASKS or facts.correspondences is None:
        return
    rng = np.random.default_rng(0)
    paths = [folder / f"{number}.jpg" for number in range(IMAGES)]
    for path in paths:
        picture = cv2.GaussianBlur(rng.integers(0, 256, (480, 640, 3), dtype=np.uint8), (0, 0), 2.0)
        cv2.imwrite(str(path), cv2.normalize(picture, None, 0, 255, cv2.NORM_MINMAX))
    task, scan = TASKS["correspondence_choice"](), ScanHead.of(facts)
    count = len(task.select(facts, generator_for(facts.scan_id, "x", 0), OPTIONS).rows)

    def decoding() -> None:
        for first, second in zip(paths[::2], paths[1::2]):
            drawn = []
            for path, dots in ((first, 1), (second, 4)):
                height, width = cv2.imread(str(path)).shape[:2]  # only for its size
                picture = cv2.imread(str(path))
                for _ in range(dots):
                    place = (int(rng.integers(width)), int(rng.integers(height)))
                    cv2.circle(picture, place, 10, (0, 0, 255), -1)
                drawn.append(picture)
            for number, picture in enumerate(drawn):
                cv2.imwrite(str(folder / f"drawn_{number}.jpg"), picture)

    def ours() -> int:
        selected = task.select(facts, generator_for(facts.scan_id, "x", 0), OPTIONS)
        return sum(len(one.answer.text) for one in rendered(task, selected, scan, OPTIONS))

    slow, fast = interleaved(
        {"correspondence, decoding": (decoding, IMAGES // 2), "correspondence, ours": (ours, count)}, rounds=ROUNDS
    ).values()
    for one in (slow, fast):
        say(row(one, "question"))
    say(ratio(slow, fast) + "  (bar 1,000)")


def main() -> None:
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        facts = measured(folder)
        say(f"{len(facts.frames.frame_ids)} frames, {len(facts.pairs.first)} pairs")
        bench_tasks(facts)
        bench_decoding(facts, folder)
        bench_index(facts, folder)


if __name__ == "__main__":
    main()
