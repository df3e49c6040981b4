"""Proves answers: questions of every task on procedural rooms, each answer again by the second method and from rendered images and solids.

`python bench/prove.py --per-task 10000 --out proof.md`: rooms are drawn, measured and asked about until every task has that many questions
or `--most-rooms` or `--most-hours` is reached. One question in a hundred is spoiled on purpose as well: both methods have to find it.
"""

import argparse
import logging
import os
import shutil
import sys
import tempfile
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np

from sightline.captures.rooms import RoomsOptions, write_room_scan
from sightline.config import as_mapping
from sightline.facts.fact import FactTable
from sightline.facts.measure import MeasureOptions, measure
from sightline.questions.check import check_all
from sightline.questions.engine import ask_all
from sightline.questions.question import TASKS, TaskOptions
from sightline.scenes.build import import_scan
from sightline.scenes.store import SceneStore

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "questions"))

from planted_errors import spoiled  # noqa: E402
from rendered_truth import untruths  # noqa: E402
from rendered_world import World  # noqa: E402

SIZE = replace(RoomsOptions(), width=160, height=120, num_frames=24, antialias=False, shadows=False)
MOVING_EVERY = 3  # of the rooms, every third has a second pass in which things move
KEPT_EXAMPLES = 5
WAYS = (  # every room is asked in one of these ways
    TaskOptions(),
    TaskOptions(mark_objects=False),
    TaskOptions(video_frames=8),
    TaskOptions(length_unit="cm", point_scale="pixels", hard_distractors=True),
)


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def scan(folder: Path, number: int, *, seed: int) -> tuple[World, FactTable]:
    """One room, drawn, imported and measured."""
    scan_id = f"proof_{number:05d}"
    options = replace(SIZE, second_pass=number % MOVING_EVERY == MOVING_EVERY - 1)
    write_room_scan(scan_id, out=str(folder / "captures"), seed=seed, options=as_mapping(options))
    where = {"source": str(folder / "captures" / scan_id), "reader": "rooms", "options": {}, "store": str(folder / "scenes")}
    import_scan(scan_id, **where, copy_images=False, verify=False)
    facts = measure(SceneStore(folder / "scenes").read(scan_id), MeasureOptions())
    return World(folder / "captures" / scan_id), facts


class Ledger:
    """What was asked, found and spent, by task."""

    def __init__(self) -> None:
        self.asked, self.planted = Counter(), Counter()
        self.second, self.third = Counter(), Counter()
        self.missed_second, self.missed_third = Counter(), Counter()
        self.seconds: Counter[str] = Counter()
        self.examples: list[str] = []
        self.rooms = 0

    def prove(self, task: str, world: World, facts: FactTable, *, seed: int, options: TaskOptions) -> None:
        began_s = time.process_time()
        questions = ask_all(facts, [task], seed=seed, options=options).questions
        self.asked[task] += len(questions)
        for counter, found in ((self.second, check_all(questions, facts)), (self.third, untruths(questions, world))):
            counter[task] += len(found)
            kept = sum(one.startswith(f"{task} ") for one in self.examples)
            name = "second" if counter is self.second else "third"
            self.examples += [
                f"{task} ({name}, room {facts.scan_id}): {one.text} | {one.answer} | {one.found}" for one in found[: KEPT_EXAMPLES - kept]
            ]
        rng = np.random.default_rng([seed, self.rooms])
        chosen = [one for one in questions if rng.random() < 0.01] or list(questions[:1])
        wrong = [spoiled(one, rng) for one in chosen]
        self.planted[task] += len(wrong)
        self.missed_second[task] += len(wrong) - len(check_all(wrong, facts))
        self.missed_third[task] += len(wrong) - len(untruths(wrong, world))
        self.seconds[task] += time.process_time() - began_s

    def table(self) -> str:
        head = "| task | questions | second method disagrees | third disagrees | planted | missed by second | by third | CPU s |"
        rows = [head, "|---|---|---|---|---|---|---|---|"]
        for task in TASKS:
            numbers = [self.asked, self.second, self.third, self.planted, self.missed_second, self.missed_third]
            rows.append(f"| `{task}` | " + " | ".join(f"{one[task]:,}" for one in numbers) + f" | {self.seconds[task]:.1f} |")
        sums = [sum(one.values()) for one in (self.asked, self.second, self.third, self.planted, self.missed_second, self.missed_third)]
        rows.append("| all | " + " | ".join(f"{one:,}" for one in sums) + f" | {sum(self.seconds.values()):.1f} |")
        return "\n".join([f"{self.rooms} rooms", "", *rows, "", *self.examples, ""])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--per-task", type=int, default=10_000)
    parser.add_argument("--most-rooms", type=int, default=2_000)
    parser.add_argument("--most-hours", type=float, default=12.0)
    parser.add_argument("--first-room", type=int, default=0)
    parser.add_argument("--per-room", type=int, default=400, help="questions of one task in one room at most: rooms should differ")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--tasks", help="comma-separated; all by default")
    parser.add_argument("--out", type=Path, help="file that is rewritten with the table as the run goes on")
    given = parser.parse_args()
    os.nice(5)
    logging.getLogger("sightline").setLevel(logging.ERROR)
    tasks = given.tasks.split(",") if given.tasks else list(TASKS)
    ledger, began_s = Ledger(), time.monotonic()
    with tempfile.TemporaryDirectory(prefix="sightline-prove-") as place:
        for number in range(given.first_room, given.first_room + given.most_rooms):
            wanted = [task for task in tasks if ledger.asked[task] < given.per_task]
            if not wanted or time.monotonic() - began_s > 3600.0 * given.most_hours:
                break
            world, facts = scan(Path(place), number, seed=given.seed)
            ledger.rooms += 1
            for task in wanted:
                most = min(given.per_room, given.per_task - ledger.asked[task])
                options = replace(WAYS[number % len(WAYS)], max_per_scan=most, max_per_frame=most)
                ledger.prove(task, world, facts, seed=given.seed, options=options)
            shutil.rmtree(place + "/captures")
            shutil.rmtree(place + "/scenes")
            if given.out:
                given.out.write_text(ledger.table(), encoding="utf-8")
    say(ledger.table())


if __name__ == "__main__":
    main()
