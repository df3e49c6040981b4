"""Packing by token budget: nothing lost, nothing cut, hardly a token wasted."""

import numpy as np
import pytest

from sightline.errors import DataError
from sightline.mixtures.packing import balanced_rows, grouped, packed_rows


def test_every_item_stands_in_exactly_one_row_and_no_row_is_too_long():
    lengths = np.random.default_rng(0).integers(1, 400, 500).tolist()
    packing = packed_rows(lengths, budget=1000)
    assert sorted(item for row in packing.rows for item in row) == list(range(500))
    assert max(sum(lengths[item] for item in row) for row in packing.rows) <= 1000
    assert packing.useful_share == pytest.approx(sum(lengths) / (1000 * len(packing.rows)))


@pytest.mark.parametrize("seed", range(5))
def test_rows_of_ordinary_samples_are_nearly_full(seed):
    """Sets of two to eight pictures of 252 tokens with up to eight questions of about 60."""
    rng = np.random.default_rng(seed)
    lengths = (252 * rng.integers(2, 9, 1024) + 60 * rng.integers(1, 9, 1024) + rng.integers(0, 40, 1024)).tolist()
    assert packed_rows(lengths, budget=16384).useful_share >= 0.97


def test_equal_lengths_give_equal_rows_in_a_fixed_order():
    lengths = [3, 7, 2, 7, 5]
    assert packed_rows(lengths, budget=10).rows == packed_rows(list(lengths), budget=10).rows == ((0, 1), (2, 3), (4,))


def test_an_item_that_does_not_fit_is_named_and_not_cut():
    with pytest.raises(DataError, match="sample b: expected 1 to 10 tokens, found 11. Fix: a larger token budget"):
        packed_rows([3, 11], budget=10, names=["sample a", "sample b"])
    with pytest.raises(DataError, match="item 0: expected 1 to 10 tokens, found 0"):
        packed_rows([0], budget=10)


def test_questions_over_the_same_pictures_are_grouped_up_to_a_number():
    assert grouped(["a", "b", "a", "a", "b", "a"], most=2) == [[0, 2], [1, 4], [3, 5]]
    assert grouped([], most=3) == []
    with pytest.raises(DataError, match="expected 1 or more, found 0"):
        grouped(["a"], most=0)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("count", [16, 32, 256])
def test_the_rows_of_one_step_are_of_nearly_equal_length(seed, count):
    rng = np.random.default_rng(seed)
    lengths = (252 * rng.integers(2, 9, count) + 60 * rng.integers(1, 9, count) + rng.integers(0, 40, count)).tolist()
    packing = balanced_rows(lengths, budget=8192)
    assert sorted(item for row in packing.rows for item in row) == list(range(count))
    assert packing.budget <= 8192 and packing.useful_share >= (0.97 if count > 16 else 0.93)


def test_a_step_takes_one_row_more_rather_than_one_too_long():
    packing = balanced_rows([6, 6, 6], budget=10)  # 18 tokens, but no two fit together
    assert packing.rows == ((0,), (1,), (2,)) and packing.budget == 6
    with pytest.raises(DataError, match="item 1: expected 1 to 10 tokens, found 11"):
        balanced_rows([3, 11], budget=10)
