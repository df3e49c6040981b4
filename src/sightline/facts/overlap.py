"""Overlap of frame pairs: intersection over union of the scene points that the two frames see."""

from dataclasses import dataclass

import numba
import numpy as np

from sightline.arrays import expect
from sightline.geometry.visibility import popcount, words_for

RUN_WORDS = 8  # 512 points, one cache line; 16 is as fast on scans of rooms, 4 and 32 slower
FILLED_SHARE = 0.5  # above it the search for filled runs costs more than it saves


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
    """How many points both frames of each pair see `(P,)`, int64.

    A frame sees a small part of a cloud whose neighbours are near each other, so most words are 0: only runs of `RUN_WORDS` words in
    which both frames see something are counted. Where most runs are filled, all words are, in one sweep.
    """
    expect(words=(words, "F W"), first=(first, "P"), second=(second, "P"))
    words = np.ascontiguousarray(words, dtype=np.uint64)
    first, second = (np.ascontiguousarray(index, dtype=np.int32) for index in (first, second))
    shared = np.empty(len(first), dtype=np.int64)
    runs = -(-words.shape[1] // RUN_WORDS)
    filled = np.zeros((len(words), words_for(runs)), dtype=np.uint64)
    if _mark_filled(words, filled) > FILLED_SHARE * runs * len(words):
        _count_all(words, first, second, shared)
    else:
        _count_filled(words, filled, first, second, shared)
    return shared


@numba.njit(cache=True, nogil=True)
def _mark_filled(words, filled):  # pragma: no cover - compiled
    """Bit r of a frame's `filled`: whether its run r of words holds any bit. Returns how many do."""
    marked = 0
    for frame in range(words.shape[0]):
        row = words[frame]
        for run in range(-(-row.size // RUN_WORDS)):
            some = np.uint64(0)
            for word in row[run * RUN_WORDS : (run + 1) * RUN_WORDS]:
                some |= word
            if some != 0:
                filled[frame, run >> 6] |= np.uint64(1) << np.uint64(run & 63)
                marked += 1
    return marked


@numba.njit(cache=True, nogil=True)
def _count_all(words, first, second, shared):  # pragma: no cover - compiled
    for pair in range(first.size):
        a, b = words[first[pair]], words[second[pair]]
        total = np.uint64(0)
        for k in range(a.size):
            total += popcount(a[k] & b[k])
        shared[pair] = np.int64(total)


@numba.njit(cache=True, nogil=True)
def _count_filled(words, filled, first, second, shared):  # pragma: no cover - compiled
    whole_runs = words.shape[1] // RUN_WORDS
    for pair in range(first.size):
        a, b = words[first[pair]], words[second[pair]]
        total = np.uint64(0)
        for place in range(filled.shape[1]):
            both = filled[first[pair], place] & filled[second[pair], place]
            while both != 0:
                lowest = both & (~both + np.uint64(1))
                both ^= lowest
                run = place * 64 + np.int64(popcount(lowest - np.uint64(1)))
                start = run * RUN_WORDS
                if run < whole_runs:
                    for k in range(RUN_WORDS):  # of a length that the compiler knows: one or two vectors
                        total += popcount(a[start + k] & b[start + k])
                else:
                    for k in range(start, a.size):
                        total += popcount(a[k] & b[k])
        shared[pair] = np.int64(total)
