"""Asking: every wanted task over one scan's facts, each with its own random numbers, duplicates and excess counted as skips."""

import gc
import hashlib
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np

from sightline.facts.fact import KINDS, FactTable
from sightline.questions.choosing import FrameUse
from sightline.questions.margins import refuse_unknown
from sightline.questions.question import TASKS, Question, QuestionTask, Skip, TaskOptions
from sightline.questions.rows import IndexedTask, ScanHead, Selected
from sightline.questions.shown import video_ids_of

PLACES = re.compile(r"\[\d+, \d+\]")  # points that a text names by their coordinates, and not by dots


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """What came of asking one scan."""

    questions: tuple[Question, ...]  # by task, in the order the tasks were given
    skip_counts: Mapping[str, Mapping[str, int]]  # task -> reason -> how often
    selected: Mapping[str, Selected] = field(default_factory=dict, compare=False)  # of indexed tasks: rows as their questions stand


def generator_for(scan_id: str, task: str, seed: int) -> np.random.Generator:
    """The task's own random numbers in this scan: the same whatever else is asked, whoever asks."""
    digest = hashlib.sha256(f"{seed}\0{scan_id}\0{task}".encode()).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest[:16], "little")))


def ask_all(facts: FactTable, tasks: Sequence[str], *, seed: int, options: TaskOptions) -> Asked:
    """Questions of the named tasks about one scan.

    A task that needs facts the scan does not have is skipped once, with the reason `needs_<kind>`; one that found neither a question nor a
    reason, once as `nothing_to_ask_about`. Raises UnknownNameError for a task or
    margin that does not exist.
    """
    refuse_unknown(options)
    questions: list[Question] = []
    skips: dict[str, Counter[str]] = {}
    picked: dict[str, Selected] = {}
    for name in dict.fromkeys(tasks):
        task = TASKS[name]()
        missing = [kind for kind in KINDS if kind in task.needs - facts.kinds]
        if missing:
            skips[name] = Counter({f"needs_{missing[0]}": 1})
        elif isinstance(task, IndexedTask):
            picked[name] = selected = task.select(facts, generator_for(facts.scan_id, name, seed), options)
            questions += rendered(task, selected, ScanHead.of(facts), options)
            skips[name] = Counter({reason: count for reason, count in selected.skips.items() if count})
        else:
            counted = skips.setdefault(name, Counter())
            for one in _kept(task, facts, seed, options):
                if isinstance(one, Question):
                    questions.append(one)
                else:
                    counted[one.reason] += 1
    for name in set(skips) - {question.task for question in questions}:
        if not skips[name]:
            skips[name]["nothing_to_ask_about"] = 1
    counts = {name: dict(sorted(reasons.items())) for name, reasons in skips.items() if reasons}
    return Asked(questions=tuple(questions), skip_counts=counts, selected=picked)


def rendered(task: IndexedTask, selected: Selected, scan: ScanHead, options: TaskOptions) -> list[Question]:
    """The questions of selected rows, in order."""
    render = task.renderer(options)
    with collector_paused():
        return [render(row, scan) for row in selected.rows.tolist()]


@contextmanager
def collector_paused() -> Iterator[None]:
    """No garbage collection meanwhile: records hold no cycles, and the collector would walk all that is kept again and again."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _kept(task: QuestionTask, facts: FactTable, seed: int, options: TaskOptions) -> Iterator[Question | Skip]:
    """A task's questions without those that ask again what was asked, at most `max_per_scan`."""
    seen: set[tuple] = set()
    frames = FrameUse(options.max_per_frame, video_ids=video_ids_of(facts, options))
    for one in task.ask(facts, generator_for(facts.scan_id, task.name, seed), options):
        if isinstance(one, Question):
            same = same_question_key(one)
            if same in seen:
                one = Skip(task=task.name, scan_id=facts.scan_id, reason="asked_already")
            elif len(seen) >= options.max_per_scan:
                one = Skip(task=task.name, scan_id=facts.scan_id, reason="enough_of_this_task")
            elif not frames.has_room(one.frame_ids):
                one = Skip(task=task.name, scan_id=facts.scan_id, reason="frame_asked_often_enough")
            else:
                seen.add(same)
                frames.add(one.frame_ids)
        yield one


def same_question_key(question: Question) -> tuple:
    """Equal for questions that differ only in wording, colours, or the order of options, objects or images."""
    spots = sorted((mark.frame_id, mark.u_px, mark.v_px) for mark in question.marks)
    options = getattr(question.answer.format, "options", None)
    answer = sorted(options) if options else question.answer.text
    objects = question.object_ids if options else tuple(sorted(question.object_ids))  # roles matter where a side is asked
    places = tuple(sorted(PLACES.findall(question.text)))
    return (question.task, tuple(sorted(question.frame_ids)), tuple(spots), places, objects, str(answer))
