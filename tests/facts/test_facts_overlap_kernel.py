"""Shared bits of frame pairs: equal to counting bit by bit, whatever is empty, filled, odd in length or asked twice."""

import numpy as np
import pytest

from sightline.facts.motion import all_pairs
from sightline.facts.overlap import (
    FILLED_SHARE,
    RUN_WORDS,
    _count_all,
    _count_filled,
    _mark_filled,
    count_visible,
    pair_overlaps,
    shared_counts,
)
from sightline.geometry.visibility import unpack_words, words_for


def random_words(rng: np.random.Generator, *, frames: int, width: int, filled: float) -> np.ndarray:
    """Bits in runs of words that each frame has or has not."""
    words = rng.integers(0, 1 << 64, (frames, width), dtype=np.uint64) & rng.integers(0, 1 << 64, (frames, width), dtype=np.uint64)
    has = np.repeat(rng.random((frames, -(-width // RUN_WORDS))) < filled, RUN_WORDS, axis=1)[:, :width]
    return np.where(has, words, np.uint64(0))


def counted_one_by_one(words: np.ndarray, first: np.ndarray, second: np.ndarray) -> list[int]:
    return [sum(int(a & b).bit_count() for a, b in zip(words[i], words[j], strict=True)) for i, j in zip(first, second, strict=True)]


@pytest.mark.parametrize("width", [0, 1, 7, 8, 9, 63, 64, 65, 200, 64 * RUN_WORDS, 64 * RUN_WORDS + 1, 64 * RUN_WORDS + RUN_WORDS + 3])
@pytest.mark.parametrize("filled", [0.0, 0.1, 0.45, 0.55, 1.0])
def test_shared_counts_are_those_of_counting_bit_by_bit(width, filled):
    rng = np.random.default_rng(width)
    words = random_words(rng, frames=9, width=width, filled=filled)
    first, second = rng.integers(0, 9, (2, 40)).astype(np.int32)
    assert shared_counts(words, first, second).tolist() == counted_one_by_one(words, first, second)


@pytest.mark.parametrize("filled", [0.05, 0.5, 1.0])
def test_both_ways_of_counting_agree_on_every_scan(filled):
    words = random_words(np.random.default_rng(1), frames=20, width=333, filled=filled)
    first, second = all_pairs(20)
    marks = np.zeros((20, words_for(-(-333 // RUN_WORDS))), dtype=np.uint64)
    in_runs = int(_mark_filled(words, marks))
    padded = np.pad(words, ((0, 0), (0, -333 % RUN_WORDS))).reshape(20, -1, RUN_WORDS)
    assert np.array_equal(unpack_words(marks, padded.shape[1]), padded.any(axis=2)) and in_runs == padded.any(axis=2).sum()
    by_run, every = np.empty(len(first), dtype=np.int64), np.empty(len(first), dtype=np.int64)
    _count_filled(words, marks, first, second, by_run)
    _count_all(words, first, second, every)
    assert np.array_equal(by_run, every) and by_run.any()
    assert 0.0 < FILLED_SHARE < 1.0  # so both ways are taken by the scans above


def test_highest_and_lowest_bits_of_the_first_and_last_word_count():
    words = np.zeros((2, 3 * RUN_WORDS + 1), dtype=np.uint64)
    words[:, 0] = words[:, RUN_WORDS - 1] = words[:, RUN_WORDS] = words[:, -1] = (1 << 63) + 1
    assert shared_counts(words, np.array([0]), np.array([1])).tolist() == [8]


def test_overlap_and_containment_follow_from_the_counts():
    bits = np.zeros((3, 1), dtype=np.uint64)
    bits[0, 0], bits[1, 0] = 0b1111, 0b0110
    shares = pair_overlaps(bits, np.array([0, 0, 2]), np.array([1, 2, 2]))
    assert count_visible(bits).tolist() == [4, 2, 0]
    assert np.allclose(shares.union_share, [0.5, 0.0, np.nan], equal_nan=True)
    assert np.allclose(shares.first_in_second, [0.5, 0.0, np.nan], equal_nan=True)
    assert np.allclose(shares.second_in_first, [1.0, np.nan, np.nan], equal_nan=True)


def test_memory_mapped_words_are_counted_where_they_are(tmp_path):
    words = random_words(np.random.default_rng(2), frames=5, width=70, filled=0.3)
    np.save(tmp_path / "words.npy", words)
    mapped = np.load(tmp_path / "words.npy", mmap_mode="r")
    first, second = all_pairs(5)
    assert np.array_equal(shared_counts(mapped, first, second), shared_counts(words, first, second))
