"""Results: scored replies of one model on one data set, per task, with intervals and baselines."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True, slots=True)
class Interval:
    """A mean with its 95 % bootstrap interval, 0..1."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """One scored reply."""

    sample_id: str
    task: str
    reply: str
    truth: str
    score: float
    is_parsed: bool
    explanation: str


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskScore:
    """One task's score and what guessing would reach on the same rows."""

    task: str
    n: int
    score: Interval
    unparsable: int
    chance: float  # closed form: uniform over options, or the expected score of a draw from the training answers
    most_frequent: Interval  # always the most frequent training answer (for numbers: the training answer that scores best)
    blind: Interval | None  # the same data without images, where a blind model was trained


@dataclass(frozen=True, kw_only=True, slots=True)
class Evaluation:
    """One model on one data set."""

    model: str  # short name, such as "sin3d"
    tasks: tuple[TaskScore, ...]
    mean: TaskScore  # macro mean over tasks, task = "mean"
    card: Mapping[str, Any]  # model, checkpoint hash, recipe, data fingerprint, versions, hardware, seconds
