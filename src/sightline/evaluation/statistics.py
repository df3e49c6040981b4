"""Bootstrap intervals of mean scores, over samples or over whole scans, and paired differences of two models.

The bootstrap resamples with replacement. A resample of n values is a draw of counts from a multinomial distribution, so nothing of
size resamples x n is ever indexed: over samples the categories are the distinct scores, over clusters they are the clusters.
"""

import zlib
from collections.abc import Mapping, Sequence

import numpy as np

from sightline.arrays import expect, expect_finite
from sightline.errors import DataError
from sightline.evaluation.results import Interval

RESAMPLES = 10_000  # the 2.5 % point is then settled to about 0.0005 of a 0..1 score
LOW, HIGH = 0.025, 0.975  # a 95 % percentile interval


def resampled_means(
    scores: np.ndarray, *, rng: np.random.Generator, clusters: Sequence[str] | None = None, resamples: int = RESAMPLES
) -> np.ndarray:
    """Means `(resamples,)` of bootstrap resamples of `scores (n,)`.

    With `clusters` (one name per score, such as the scan) whole clusters are drawn, which is the honest choice where the scores of a
    cluster hang together: it asks what other scans, not what other questions about these scans, would have given.
    Raises ShapeError for NaN, DataError for no score.
    """
    expect(scores=(scores, "n"))
    expect_finite(scores=scores)
    if len(scores) == 0:
        raise DataError("bootstrap: expected at least one score, found none")
    scores = np.asarray(scores, dtype=np.float64)
    if clusters is None:
        values, counts = np.unique(scores, return_counts=True)
        drawn = rng.multinomial(len(scores), counts / counts.sum(), size=resamples)
        return drawn @ values / len(scores)
    sums, sizes = cluster_totals(scores, clusters)
    if len(sums) < 2:
        raise DataError("bootstrap over clusters: expected at least two, found one, which has no spread. Fix: resample samples instead")
    drawn = rng.multinomial(len(sums), np.full(len(sums), 1.0 / len(sums)), size=resamples)
    return (drawn @ sums) / (drawn @ sizes)


def cluster_totals(scores: np.ndarray, clusters: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Sum of scores `(C,)` and number of scores `(C,)` of each cluster, clusters in alphabetical order."""
    names, inverse = np.unique(np.asarray(clusters), return_inverse=True)
    expect(scores=(scores, "n"), clusters=(inverse, "n"))
    return np.bincount(inverse, weights=scores, minlength=len(names)), np.bincount(inverse, minlength=len(names)).astype(np.float64)


def interval_of(mean: float, resampled: np.ndarray) -> Interval:
    """The mean of the data with the percentile interval of its resampled means."""
    low, high = np.quantile(resampled, [LOW, HIGH])
    return Interval(mean=float(mean), low=float(min(low, mean)), high=float(max(high, mean)))


def bootstrap_interval(
    scores: np.ndarray, *, rng: np.random.Generator, clusters: Sequence[str] | None = None, resamples: int = RESAMPLES
) -> Interval:
    """Mean of `scores (n,)` with its 95 % interval."""
    resampled = resampled_means(scores, rng=rng, clusters=clusters, resamples=resamples)
    return interval_of(float(np.mean(scores)), resampled)


def macro_interval(
    scores_by_task: Mapping[str, np.ndarray],
    *,
    rng: np.random.Generator,
    clusters_by_task: Mapping[str, Sequence[str]] | None = None,
    resamples: int = RESAMPLES,
) -> Interval:
    """Mean of the task means with its 95 % interval: each task is resampled within itself, so a big task does not outweigh a small one."""
    if not scores_by_task:
        raise DataError("macro mean: expected at least one task, found none")
    means, drawn = [], np.zeros(resamples)
    for task in sorted(scores_by_task):
        clusters = None if clusters_by_task is None else clusters_by_task[task]
        means.append(float(np.mean(scores_by_task[task])))
        drawn += resampled_means(scores_by_task[task], rng=rng, clusters=clusters, resamples=resamples)
    return interval_of(float(np.mean(means)), drawn / len(means))


def task_rng(seed: int, task: str) -> np.random.Generator:
    """A stream per task: adding a task to the data set leaves the intervals of the others as they were."""
    return np.random.default_rng([seed, zlib.crc32(task.encode("utf-8"))])


def paired_difference(
    scores: np.ndarray,
    rival_scores: np.ndarray,
    *,
    rng: np.random.Generator,
    clusters: Sequence[str] | None = None,
    resamples: int = RESAMPLES,
) -> Interval:
    """Mean of `scores - rival_scores (n,)` on the same samples in the same order, -1..1, with its 95 % interval.

    Pairing takes the difficulty of the sample out, so it is sharper than comparing two intervals.
    """
    expect(scores=(scores, "n"), rival_scores=(rival_scores, "n"))
    return bootstrap_interval(np.asarray(scores, dtype=np.float64) - rival_scores, rng=rng, clusters=clusters, resamples=resamples)
