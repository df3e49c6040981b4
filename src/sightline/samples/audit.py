"""The audit of a data set: what guessing reaches in each task, what stands twice, and what contradicts itself."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from sightline.samples.guesses import guess, guess_from_words
from sightline.samples.sample import Sample

MAX_ROWS = 2000  # of each split and task that guesses are scored on, evenly spaced
LEAST_ROWS = 30  # fewer held-out rows say nothing about guessing
GUESSABLE = 0.15  # a guess this far above chance is reported


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskAudit:
    """One task. Scores are means over held-out rows, 0..1; None where a split has too few rows to say."""

    task: str
    train: int
    held_out: int
    chance: float | None
    most_frequent: float | None
    most_frequent_answer: str
    from_words: float | None  # the best guess without images
    repeated: int  # rows that ask the same of the same images as an earlier one
    contradicting: int  # of them, rows with another answer
    warnings: tuple[str, ...]


def audit_of(samples: Sequence[Sample]) -> tuple[TaskAudit, ...]:
    """One audit per task, by name."""
    by_task: dict[str, list[Sample]] = {}
    for sample in samples:
        by_task.setdefault(sample.task, []).append(sample)
    return tuple(_of_task(task, by_task[task]) for task in sorted(by_task))


def audit_rows(audits: Iterable[TaskAudit]) -> dict[str, Mapping[str, Any]]:
    """Audits as JSON-able values by task."""
    return {one.task: {**asdict(one), "warnings": list(one.warnings)} for one in audits}


def _of_task(task: str, samples: Sequence[Sample]) -> TaskAudit:
    train, held_out = ([one for one in samples if one.split == split] for split in ("train", "held_out"))
    chance = most_frequent = from_words = None
    constant, warnings = "", []
    if len(train) >= LEAST_ROWS and len(held_out) >= LEAST_ROWS:
        shown, learned = _thinned(held_out), _thinned(train)
        guesses = guess(shown, learned)
        chance, most_frequent = float(np.mean(guesses.chance)), float(np.mean(guesses.most_frequent))
        from_words = float(np.mean(guess_from_words(shown, learned)))
        constant = guesses.most_frequent_answer
        for name, score in (("one constant answer", most_frequent), ("the words alone", from_words)):
            if score > chance + GUESSABLE:
                warnings.append(f"{name} reach {score:.2f} where chance is {chance:.2f}")
    repeated, contradicting = _repeated(samples)
    if contradicting:
        warnings.append(f"{contradicting} questions were asked before with another answer")
    return TaskAudit(
        task=task,
        train=len(train),
        held_out=len(held_out),
        chance=_rounded(chance),
        most_frequent=_rounded(most_frequent),
        most_frequent_answer=constant,
        from_words=_rounded(from_words),
        repeated=repeated,
        contradicting=contradicting,
        warnings=tuple(warnings),
    )


def _repeated(samples: Sequence[Sample]) -> tuple[int, int]:
    """Rows that ask again what an earlier one asked in the same words, and how many of them answer otherwise."""
    seen: dict[tuple, str] = {}
    counts: Counter[str] = Counter()
    for sample in samples:
        marks = tuple((mark.frame_id, mark.u_px, mark.v_px, mark.colour, mark.label) for mark in sample.marks)
        key = (sample.scan_id, sample.frame_ids, marks, sample.question)
        if key in seen:
            counts["again"] += 1
            counts["otherwise"] += seen[key] != sample.answer_text
        else:
            seen[key] = sample.answer_text
    return counts["again"], counts["otherwise"]


def _thinned(samples: Sequence[Sample]) -> Sequence[Sample]:
    return samples[:: -(-len(samples) // MAX_ROWS)]


def _rounded(score: float | None) -> float | None:
    return None if score is None else round(score, 4)
