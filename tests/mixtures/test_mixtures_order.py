"""The order of a mixture: bijective shuffles, exact even interleaving, the same stream however it is shared out or resumed."""

import time

import numpy as np
import pytest

from sightline.errors import DataError
from sightline.mixtures.order import Interleave, permuted, row_of_source, share_of


@pytest.mark.parametrize("length", [1, 2, 3, 4, 5, 7, 16, 17, 63, 64, 65, 1000, 4097])
@pytest.mark.parametrize("key", [0, 1, 2**63 + 5])
def test_a_shuffle_reaches_every_row_exactly_once(length, key):
    assert sorted(permuted(np.arange(length), length=length, key=key)) == list(range(length))


def test_a_shuffle_is_computed_index_by_index():
    whole = permuted(np.arange(1000), length=1000, key=9)
    some = np.array([999, 3, 500, 3])
    assert np.array_equal(permuted(some, length=1000, key=9), whole[some])


def test_shuffles_of_other_keys_are_other_orders_without_a_pattern():
    orders = np.stack([permuted(np.arange(5000), length=5000, key=key) for key in range(20)])
    for order in orders:
        assert abs(np.corrcoef(order, np.arange(5000))[0, 1]) < 0.06  # 4 standard errors
        assert np.mean(np.abs(np.diff(order)) == 1) < 0.01
    fixed = (orders[:, None] == orders[None]).mean(axis=2)[~np.eye(20, dtype=bool)]
    assert fixed.max() < 0.003  # two random orders agree at one row on average


def test_the_first_rows_of_many_keys_are_evenly_spread():
    firsts = np.array([permuted(np.array([0]), length=10, key=key)[0] for key in range(5000)])
    counts = np.bincount(firsts, minlength=10)
    assert ((counts - 500) ** 2 / 500).sum() < 27.9  # chi squared, 9 degrees of freedom, one in a thousand


def test_an_index_outside_is_refused():
    with pytest.raises(DataError, match="expected indices of 0 to 4, found 1 to 5"):
        permuted(np.array([1, 5]), length=5, key=0)
    with pytest.raises(DataError, match="expected positions of 0 to 2, found 3 to 3"):
        Interleave(counts=(1, 2)).at(np.array([3]))


@pytest.mark.parametrize("counts", [(1,), (5,), (3, 1), (0, 4), (1, 1, 1), (700, 299, 1), (10, 0, 0, 7, 31), (1, 1, 1, 1, 1, 1, 100)])
def test_sources_come_exactly_as_often_as_planned_each_row_in_turn(counts):
    source, before = Interleave(counts=counts).at(np.arange(sum(counts)))
    assert tuple(np.bincount(source, minlength=len(counts))) == counts
    for one, count in enumerate(counts):
        assert np.array_equal(before[source == one], np.arange(count))


@pytest.mark.parametrize("counts", [(3, 1), (700, 299, 1), (10, 0, 0, 7, 31), (50, 30, 20)])
def test_at_every_position_each_source_has_had_its_share_to_within_a_row_per_level(counts):
    total, levels = sum(counts), int(np.ceil(np.log2(len(counts))))
    source, _ = Interleave(counts=counts).at(np.arange(total))
    for one, count in enumerate(counts):
        had = np.cumsum(source == one)
        assert np.abs(had - (np.arange(total) + 1) * count / total).max() <= levels


def test_positions_far_out_are_found_without_walking_there():
    big = Interleave(counts=(20_000_000_000, 7_000_000_000, 3))
    start = time.perf_counter()
    source, before = big.at(np.array([1_000_000, 26_999_999_999]))
    rows = row_of_source(before, rows=9_999_991, seed=1, source=0)
    assert time.perf_counter() - start < 5.0 and rows.max() < 9_999_991 and set(source) <= {0, 1, 2}
    again, _ = big.at(np.array([26_999_999_999]))
    assert again[0] == source[1]


@pytest.mark.parametrize("world", [1, 2, 4, 7])
def test_the_stream_is_the_same_for_any_number_of_processes(world):
    shares = [share_of(rank, world, start=100, count=50) for rank in range(world)]
    assert sorted(np.concatenate(shares)) == list(range(100, 150))


def test_every_row_comes_once_in_each_epoch_of_its_source_and_epochs_differ():
    draws = row_of_source(np.arange(300), rows=100, seed=4, source=2)
    for epoch in range(3):
        assert sorted(draws[100 * epoch : 100 * (epoch + 1)]) == list(range(100))
    assert not np.array_equal(draws[:100], draws[100:200])
    assert not np.array_equal(draws[:100], row_of_source(np.arange(100), rows=100, seed=4, source=3))
    resumed = row_of_source(np.arange(150, 160), rows=100, seed=4, source=2)
    assert np.array_equal(resumed, draws[150:160])
