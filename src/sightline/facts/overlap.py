"""Overlap of frame pairs: intersection over union of the scene points that the two frames see."""

from dataclasses import dataclass

import numba
import numpy as np

from sightline.arrays import expect
from sightline.geometry.visibility import popcount


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Overlap:
    """Of P frame pairs, each `(P,)` in 0..1, NaN where there is nothing to share."""

    union_share: np.ndarray  # intersection over union
    first_in_second: np.ndarray  # share of what the first sees that the second sees too
    second_in_first: np.ndarray


def pair_overlaps(words: np.ndarray, first: np.ndarray, second: np.ndarray) -> Overlap:
    """Overlap and containment both ways, from packed visibility `words (F, W)`, with one count of what is shared."""
    expect(words=(words, "F W"), first=(first, "P"), second=(second, "P"))
    shared = shared_counts(words, first, second)
    counts = count_visible(words)
    union = counts[first] + counts[second] - shared
    shares = [np.where(whole > 0, shared / np.maximum(whole, 1), np.nan) for whole in (union, counts[first], counts[second])]
    return Overlap(union_share=shares[0], first_in_second=shares[1], second_in_first=shares[2])


def pair_overlap(words: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Overlap `(P,)` in 0..1 of frame pairs, from packed visibility `words (F, W)`; NaN where neither frame sees a point.

    Symmetric, 1 for a frame with itself, and the same whatever the order of the points.
    """
    expect(words=(words, "F W"), first=(first, "P"), second=(second, "P"))
    return pair_overlaps(words, first, second).union_share


def count_visible(words: np.ndarray) -> np.ndarray:
    """How many points each frame sees `(F,)`, int64."""
    expect(words=(words, "F W"))
    every = np.arange(len(words), dtype=np.int32)
    return shared_counts(words, every, every)


def shared_counts(words: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """How many points both frames of each pair see `(P,)`, int64."""
    expect(words=(words, "F W"), first=(first, "P"), second=(second, "P"))
    shared = np.empty(len(first), dtype=np.int64)
    _count_shared(
        np.ascontiguousarray(words, dtype=np.uint64),
        np.ascontiguousarray(first, dtype=np.int32),
        np.ascontiguousarray(second, dtype=np.int32),
        shared,
    )
    return shared


@numba.njit(cache=True, nogil=True)
def _count_shared(words, first, second, shared):  # pragma: no cover - compiled
    for pair in range(first.size):
        a, b = words[first[pair]], words[second[pair]]
        total = np.uint64(0)
        for k in range(a.size):
            total += popcount(a[k] & b[k])
        shared[pair] = np.int64(total)
