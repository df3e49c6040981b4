"""Results: scored replies of one model on one data set, per task, with intervals and baselines; on disk as JSON."""

import dataclasses
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from sightline.errors import DataError
from sightline.files import read_json, read_jsonl, write_json, write_text

R = TypeVar("R")

FORMAT_VERSION = 1  # of the evaluation file; another one is refused, not guessed at
MEAN = "mean"  # the name of the macro mean beside the task names


@dataclass(frozen=True, kw_only=True, slots=True)
class Interval:
    """A mean with its 95 % bootstrap interval: 0..1 for scores, -1..1 for differences of scores."""

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
    is_missing: bool = False  # the model gave no reply at all: scored 0, counted apart from unparsable ones


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskScore:
    """One task's score and what guessing would reach on the same rows."""

    task: str
    n: int
    score: Interval
    unparsable: int
    missing: int
    chance: float  # closed form: uniform over options, or the expected score of a draw from the training answers
    most_frequent: Interval  # always the training answer that scores best on the training rows
    most_frequent_answer: str  # that answer; empty for the mean over tasks
    blind: Interval | None  # the same data without images, where a blind model was trained


@dataclass(frozen=True, kw_only=True, slots=True)
class Evaluation:
    """One model on one data set."""

    model: str  # short name, such as "sin3d"
    tasks: tuple[TaskScore, ...]
    mean: TaskScore  # macro mean over tasks, task = "mean"
    card: Mapping[str, Any]  # model, checkpoint hash, recipe, data fingerprint, versions, hardware, seconds

    def task(self, name: str) -> TaskScore:
        """The score of a task, or of `mean`. Raises DataError for a task that was not evaluated."""
        for one in (*self.tasks, self.mean):
            if one.task == name:
                return one
        raise DataError(f"evaluation of '{self.model}': no task '{name}', it has {', '.join(t.task for t in self.tasks)}")

    @property
    def task_names(self) -> tuple[str, ...]:
        return tuple(one.task for one in self.tasks)


def evaluation_as_json(evaluation: Evaluation) -> dict[str, Any]:
    """JSON-able values of an evaluation; `evaluation_from_json` reads them back."""
    return {"format_version": FORMAT_VERSION, **dataclasses.asdict(evaluation)}


def evaluation_from_json(value: Any, *, where: str) -> Evaluation:
    """The evaluation that `evaluation_as_json` described. Raises DataError naming `where` and the key."""
    found = value.get("format_version") if isinstance(value, dict) else value
    if not isinstance(value, dict) or found != FORMAT_VERSION:
        raise DataError(f"{where}: expected an evaluation of format_version {FORMAT_VERSION}, found {found!r}")
    return _validated(Evaluation, value, where=where)


def _validated(record: type[R], value: Any, *, where: str) -> R:
    try:
        return TypeAdapter(record).validate_python(value)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(step) for step in first["loc"]) or record.__name__
        raise DataError(f"{where}: key '{place}': {first['msg']}, found {first['input']!r:.80}") from error


def write_evaluation(path: Path, evaluation: Evaluation) -> None:
    """Write one evaluation as JSON, atomically."""
    write_json(path, evaluation_as_json(evaluation))


def read_evaluation(path: Path) -> Evaluation:
    """Read one evaluation. Raises DataError naming the file and the key."""
    return evaluation_from_json(read_json(path), where=str(path))


def write_results(path: Path, results: Iterable[Result]) -> None:
    """Write scored replies as one JSON line each, atomically."""
    lines = (
        json.dumps(dataclasses.asdict(result), allow_nan=False) + "\n" for result in results
    )  # ASCII: a reply may hold half a character
    write_text(path, "".join(lines))


def read_results(path: Path) -> Sequence[Result]:
    """Read scored replies. Raises DataError naming file and line."""
    return [_validated(Result, row, where=f"{path}:{number}") for number, row in enumerate(read_jsonl(path), start=1)]
