"""Scoring: join replies to samples by id, score each with its answer's own scorer, and set the scores beside what guessing reaches."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from sightline.errors import DataError
from sightline.evaluation.results import MEAN, Evaluation, Interval, Result, TaskScore
from sightline.evaluation.statistics import bootstrap_interval, macro_interval, task_rng
from sightline.inference.replies import Reply
from sightline.samples.guesses import Guesses, guess
from sightline.samples.sample import Sample


def evaluate(
    samples: Sequence[Sample],
    replies: Sequence[Reply],
    train_samples: Sequence[Sample],
    *,
    model: str,
    card: Mapping[str, Any],
    seed: int,
    blind_replies: Sequence[Reply] | None = None,
    cluster_by_scan: bool = False,
) -> tuple[Evaluation, list[Result]]:
    """One model's evaluation and its scored replies, in the order of `samples`.

    A sample without a reply scores 0 and is counted as missing. `train_samples` feed the baselines alone. With `cluster_by_scan` the
    intervals resample whole scans instead of questions. `card` is JSON-able and travels with the evaluation.
    Raises DataError: no sample, an id twice, a reply to an unknown sample, a task without a training row.
    """
    results = score_replies(samples, replies, who=f"replies of '{model}'")
    blind = None if blind_replies is None else score_replies(samples, blind_replies, who="replies of the blind model")
    rows_of_task: dict[str, list[int]] = {}
    for index, sample in enumerate(samples):
        rows_of_task.setdefault(sample.task, []).append(index)
    train_of_task: dict[str, list[Sample]] = {}
    for sample in train_samples:
        train_of_task.setdefault(sample.task, []).append(sample)

    tasks = sorted(rows_of_task)
    scans = {task: [samples[index].scan_id for index in rows_of_task[task]] for task in tasks}
    clusters_of = {task: scans[task] if cluster_by_scan else None for task in tasks}
    scores = {task: np.array([results[index].score for index in rows_of_task[task]]) for task in tasks}
    blind_scores = {task: np.array([blind[index].score for index in rows_of_task[task]]) for task in tasks} if blind else None
    guesses = {task: guess([samples[index] for index in rows_of_task[task]], train_of_task.get(task, [])) for task in tasks}

    task_scores = tuple(
        TaskScore(
            task=task,
            n=len(rows_of_task[task]),
            score=_interval(scores[task], seed, task, clusters_of[task]),
            unparsable=sum(not results[index].is_parsed and not results[index].is_missing for index in rows_of_task[task]),
            missing=sum(results[index].is_missing for index in rows_of_task[task]),
            chance=float(guesses[task].chance.mean()),
            most_frequent=_interval(guesses[task].most_frequent, seed, task, clusters_of[task]),
            most_frequent_answer=guesses[task].most_frequent_answer,
            blind=None if blind_scores is None else _interval(blind_scores[task], seed, task, clusters_of[task]),
        )
        for task in tasks
    )
    clusters = scans if cluster_by_scan else None
    mean = _mean(task_scores, scores, guesses, blind_scores, seed=seed, clusters=clusters)
    how = "whole scans" if cluster_by_scan else "samples, within tasks"
    return Evaluation(model=model, tasks=task_scores, mean=mean, card={**card, "interval": f"95 % bootstrap over {how}"}), results


def score_replies(samples: Sequence[Sample], replies: Sequence[Reply], *, who: str) -> list[Result]:
    """Score replies, one result per sample in the order of `samples`. `who` names the replies in errors."""
    if not samples:
        raise DataError(f"{who}: expected at least one sample to score, found none")
    known = {sample.sample_id for sample in samples}
    if len(known) != len(samples):
        raise DataError(f"{who}: sample '{_twice([sample.sample_id for sample in samples])}' stands twice in the data set")
    by_id = {reply.sample_id: reply for reply in replies}
    if len(by_id) != len(replies):
        raise DataError(f"{who}: sample '{_twice([reply.sample_id for reply in replies])}' is answered twice")
    extra = sorted(by_id.keys() - known)
    if extra:
        raise DataError(
            f"{who}: {len(extra)} replies to samples that are not in the data set, the first '{extra[0]}'. "
            "Fix: score the data set that was answered"
        )
    return [_score_one(sample, by_id.get(sample.sample_id)) for sample in samples]


def missing_replies(results: Sequence[Result]) -> list[str]:
    """Sample ids that no reply came for."""
    return [result.sample_id for result in results if result.is_missing]


def _score_one(sample: Sample, reply: Reply | None) -> Result:
    if reply is None:
        return Result(
            sample_id=sample.sample_id,
            task=sample.task,
            reply="",
            truth=sample.answer_text,
            score=0.0,
            is_parsed=False,
            explanation="no reply came for this sample",
            is_missing=True,
        )
    scored = sample.answer_format.score(reply.text, sample.answer_value)
    return Result(
        sample_id=sample.sample_id,
        task=sample.task,
        reply=reply.text,
        truth=sample.answer_text,
        score=float(scored.score),
        is_parsed=scored.is_parsed,
        explanation=scored.explanation,
    )


def _twice(ids: Sequence[str]) -> str:
    seen: set[str] = set()
    return next(one for one in ids if one in seen or seen.add(one))  # type: ignore[func-returns-value]


def _interval(scores: np.ndarray, seed: int, task: str, clusters: Sequence[str] | None) -> Interval:
    return bootstrap_interval(scores, rng=task_rng(seed, task), clusters=clusters)


def _mean(
    task_scores: Sequence[TaskScore],
    scores: Mapping[str, np.ndarray],
    guesses: Mapping[str, Guesses],
    blind_scores: Mapping[str, np.ndarray] | None,
    *,
    seed: int,
    clusters: Mapping[str, Sequence[str]] | None,
) -> TaskScore:
    frequent = {task: one.most_frequent for task, one in guesses.items()}
    return TaskScore(
        task=MEAN,
        n=sum(one.n for one in task_scores),
        score=macro_interval(scores, rng=task_rng(seed, MEAN), clusters_by_task=clusters),
        unparsable=sum(one.unparsable for one in task_scores),
        missing=sum(one.missing for one in task_scores),
        chance=float(np.mean([one.chance for one in task_scores])),
        most_frequent=macro_interval(frequent, rng=task_rng(seed, MEAN), clusters_by_task=clusters),
        most_frequent_answer="",
        blind=None if blind_scores is None else macro_interval(blind_scores, rng=task_rng(seed, MEAN), clusters_by_task=clusters),
    )
