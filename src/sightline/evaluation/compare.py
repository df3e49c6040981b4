"""Models side by side: which tasks have separated intervals, paired differences, and the `results.json` that holds them all."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from sightline.errors import DataError
from sightline.evaluation.results import MEAN, Evaluation, Interval, Result, TaskScore, evaluation_as_json, evaluation_from_json
from sightline.evaluation.statistics import macro_interval, paired_difference, task_rng
from sightline.files import read_json, write_json

BASELINES = ("chance", "most_frequent", "blind")  # rivals that every evaluation may carry beside other models
FORMAT_VERSION = 1
MIN_SCANS = 8  # with fewer clusters a cluster bootstrap is known to be far too narrow, with one it has no width at all


@dataclass(frozen=True, kw_only=True, slots=True)
class Differences:
    """A model's scores minus a rival's, paired by sample, per task and for `mean`."""

    by_task: Mapping[str, Interval]
    resampled: str  # "scans", or "samples" where there are too few scans


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """One model against one rival. Task names include `mean`, the macro mean."""

    model: str
    rival: str  # another model, or one of BASELINES
    above: tuple[str, ...]  # the model's interval lies wholly above the rival's
    below: tuple[str, ...]  # it lies wholly below
    differences: Differences | None  # only where the scored replies of both are given


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """One model against all its rivals."""

    model: str
    comparisons: tuple[Comparison, ...]

    @property
    def above_all(self) -> tuple[str, ...]:
        """Tasks, `mean` included, in which the model's interval lies above that of every rival."""
        first, *others = self.comparisons
        return tuple(task for task in first.above if all(task in other.above for other in others))


def rival_interval(score: TaskScore, baseline: str) -> Interval | None:
    """What a baseline reached on a task; chance is a number without spread. None where there is no blind model."""
    if baseline == "chance":
        return Interval(mean=score.chance, low=score.chance, high=score.chance)
    return score.most_frequent if baseline == "most_frequent" else score.blind


def with_blind(evaluations: Sequence[Evaluation], *, blind: str = "blind") -> list[Evaluation]:
    """The same evaluations, each carrying what the blind model among them reached; unchanged where there is none.

    Raises DataError where it was scored on other tasks or other numbers of questions.
    """
    known = next((one for one in evaluations if one.model == blind), None)
    if known is None:
        return list(evaluations)
    reached = {score.task: score for score in (*known.tasks, known.mean)}
    filled = []
    for evaluation in evaluations:
        for score in (*evaluation.tasks, evaluation.mean):
            if score.task not in reached or reached[score.task].n != score.n:
                found = reached[score.task].n if score.task in reached else 0
                raise DataError(
                    f"compare: '{evaluation.model}' answered {score.n} questions of '{score.task}', '{blind}' {found}. "
                    "Fix: evaluate both on one data set"
                )
        tasks = tuple(replace(score, blind=reached[score.task].score) for score in evaluation.tasks)
        filled.append(replace(evaluation, tasks=tasks, mean=replace(evaluation.mean, blind=reached[MEAN].score)))
    return filled


def compare(
    evaluation: Evaluation, rivals: Sequence[Evaluation], *, results: Mapping[str, Sequence[Result]] | None = None, seed: int = 0
) -> Verdict:
    """Set a model against other models and against its own baselines, task by task.

    Separated means `low` of one above `high` of the other: stricter than a paired test at the same level. Paired differences, where
    the scored replies of both models are in `results` (by model name), resample whole scans where there are enough of them.
    Raises DataError for other tasks or samples.
    """
    comparisons = []
    for rival in rivals:
        if set(rival.task_names) != set(evaluation.task_names):
            raise DataError(
                f"compare: '{evaluation.model}' and '{rival.model}' were not scored on the same tasks: "
                f"{sorted(set(rival.task_names) ^ set(evaluation.task_names))} only in one. Fix: evaluate both on one data set"
            )
        intervals = {score.task: score.score for score in (*rival.tasks, rival.mean)}
        differences = _differences(evaluation, rival, results or {}, seed=seed)
        comparisons.append(_comparison(evaluation, rival.model, intervals, differences))
    named = {rival.model for rival in rivals} | {evaluation.model}
    for baseline in BASELINES:
        reached = {score.task: rival_interval(score, baseline) for score in (*evaluation.tasks, evaluation.mean)}
        known = {task: interval for task, interval in reached.items() if interval is not None}
        if baseline not in named and len(known) == len(reached):
            comparisons.append(_comparison(evaluation, baseline, known, None))
    return Verdict(model=evaluation.model, comparisons=tuple(comparisons))


def _comparison(evaluation: Evaluation, rival: str, intervals: Mapping[str, Interval], differences: Differences | None) -> Comparison:
    scores = (*evaluation.tasks, evaluation.mean)
    return Comparison(
        model=evaluation.model,
        rival=rival,
        above=tuple(one.task for one in scores if one.score.low > intervals[one.task].high),
        below=tuple(one.task for one in scores if one.score.high < intervals[one.task].low),
        differences=differences,
    )


def _differences(evaluation: Evaluation, rival: Evaluation, results: Mapping[str, Sequence[Result]], *, seed: int) -> Differences | None:
    if evaluation.model not in results or rival.model not in results:
        return None
    ours = {result.sample_id: result for result in results[evaluation.model]}
    theirs = {result.sample_id: result for result in results[rival.model]}
    if ours.keys() != theirs.keys():
        raise DataError(
            f"compare: '{evaluation.model}' and '{rival.model}' were scored on different samples, "
            f"the first '{sorted(ours.keys() ^ theirs.keys())[0]}' only in one. Fix: evaluate both on one data set"
        )
    ids = {task: sorted(one.sample_id for one in ours.values() if one.task == task) for task in evaluation.task_names}
    scans = {task: [sample_id.split("/")[0] for sample_id in ids[task]] for task in ids}  # "<scan_id>/<task>/<index>"
    by_scan = min(len(set(names)) for names in scans.values()) >= MIN_SCANS
    gains: dict[str, np.ndarray] = {}
    by_task = {}
    for task in evaluation.task_names:
        scores, rival_scores = (np.array([scored[sample_id].score for sample_id in ids[task]]) for scored in (ours, theirs))
        gains[task] = scores - rival_scores
        by_task[task] = paired_difference(scores, rival_scores, rng=task_rng(seed, task), clusters=scans[task] if by_scan else None)
    by_task[MEAN] = macro_interval(gains, rng=task_rng(seed, MEAN), clusters_by_task=scans if by_scan else None)
    return Differences(by_task=by_task, resampled="scans" if by_scan else "samples")


def write_comparison(
    path: Path, evaluations: Sequence[Evaluation], *, headline: str, results: Mapping[str, Sequence[Result]] | None = None, seed: int = 0
) -> Verdict:
    """Write `results.json` (every model's scores, intervals and baselines, the verdict of `headline`) and return the verdict."""
    by_name = {evaluation.model: evaluation for evaluation in evaluations}
    if len(by_name) != len(evaluations) or headline not in by_name:
        raise DataError(f"{path}: expected models of different names and '{headline}' among them, found {[e.model for e in evaluations]}")
    rivals = [evaluation for evaluation in evaluations if evaluation.model != headline]
    verdict = compare(by_name[headline], rivals, results=results, seed=seed)
    above_all = verdict.above_all
    write_json(
        path,
        {
            "format_version": FORMAT_VERSION,
            "headline": headline,
            "verdict": {
                "tasks_above_all_rivals": [task for task in above_all if task != MEAN],
                "mean_above_all_rivals": MEAN in above_all,
                "comparisons": [asdict(comparison) for comparison in verdict.comparisons],
            },
            "models": [evaluation_as_json(evaluation) for evaluation in evaluations],
        },
    )
    return verdict


def read_comparison(path: Path) -> tuple[Evaluation, ...]:
    """The evaluations in a `results.json`. Raises DataError naming the file and the key."""
    value = read_json(path)
    if not isinstance(value, dict) or value.get("format_version") != FORMAT_VERSION or not isinstance(value.get("models"), list):
        raise DataError(f"{path}: expected a results file of format_version {FORMAT_VERSION} with a list of models")
    return tuple(evaluation_from_json(row, where=f"{path}: models.{index}") for index, row in enumerate(value["models"]))
