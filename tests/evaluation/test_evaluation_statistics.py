"""Bootstrap intervals against closed forms, coverage on known distributions, and clusters."""

import numpy as np
import pytest

from sightline.errors import DataError, ShapeError
from sightline.evaluation.statistics import bootstrap_interval, macro_interval, paired_difference, resampled_means


def rng(seed=0):
    return np.random.default_rng(seed)


def test_the_interval_of_a_fair_coin_matches_the_normal_approximation():
    scores = np.array([0.0, 1.0] * 200)
    interval = bootstrap_interval(scores, rng=rng())
    half = 1.96 * 0.5 / np.sqrt(400)
    assert interval.mean == 0.5
    assert interval.low == pytest.approx(0.5 - half, abs=0.006)
    assert interval.high == pytest.approx(0.5 + half, abs=0.006)


def test_resampled_means_have_the_spread_of_a_loop_that_draws_indices():
    scores = rng(3).random(40)
    fast = resampled_means(scores, rng=rng(1), resamples=20_000)
    source = rng(2)
    slow = np.array([scores[source.integers(0, 40, 40)].mean() for _ in range(20_000)])
    assert fast.mean() == pytest.approx(slow.mean(), abs=0.002)
    assert fast.std() == pytest.approx(slow.std(), rel=0.03)
    assert np.quantile(fast, [0.025, 0.975]) == pytest.approx(np.quantile(slow, [0.025, 0.975]), abs=0.004)


def test_about_95_of_100_intervals_hold_the_true_mean():
    source = rng(5)
    inside = 0
    for repeat in range(300):
        interval = bootstrap_interval((source.random(150) < 0.3).astype(float), rng=rng(repeat), resamples=1000)
        inside += interval.low <= 0.3 <= interval.high
    assert 0.91 <= inside / 300 <= 0.985


def test_the_same_seed_gives_the_same_interval_and_another_seed_another():
    scores = rng(7).random(60)
    assert bootstrap_interval(scores, rng=rng(1)) == bootstrap_interval(scores, rng=rng(1))
    assert bootstrap_interval(scores, rng=rng(1)) != bootstrap_interval(scores, rng=rng(2))


def test_the_order_of_scores_does_not_matter():
    scores = rng(7).random(60)
    assert bootstrap_interval(scores, rng=rng(1)) == bootstrap_interval(scores[::-1], rng=rng(1))


def test_scores_that_are_all_equal_have_no_spread():
    interval = bootstrap_interval(np.full(10, 0.7), rng=rng())
    assert (interval.mean, interval.low, interval.high) == pytest.approx((0.7, 0.7, 0.7))


def test_scores_that_hang_together_in_scans_widen_the_clustered_interval():
    scans = [f"scan{index // 20}" for index in range(200)]
    scores = np.array([float((index // 20) % 2) for index in range(200)])
    alone = bootstrap_interval(scores, rng=rng())
    clustered = bootstrap_interval(scores, rng=rng(), clusters=scans)
    assert clustered.high - clustered.low > 3 * (alone.high - alone.low)
    assert clustered.high - clustered.low == pytest.approx(2 * 1.96 * 0.5 / np.sqrt(10), abs=0.08)


def test_one_score_per_cluster_is_the_plain_bootstrap():
    scores = rng(9).random(50)
    plain = resampled_means(scores, rng=rng(1), resamples=20_000)
    clustered = resampled_means(scores, rng=rng(2), clusters=[str(index) for index in range(50)], resamples=20_000)
    assert clustered.std() == pytest.approx(plain.std(), rel=0.03)


def test_clusters_of_unequal_size_weigh_by_their_scores():
    scans = ["big"] * 90 + ["small"] * 10 + ["other"] * 20
    assert bootstrap_interval(np.ones(120), rng=rng(), clusters=scans).low == 1.0
    scores = np.array([1.0] * 90 + [0.0] * 30)
    drawn = resampled_means(scores, rng=rng(), clusters=scans, resamples=5000)
    assert set(np.round(drawn, 6)) == {  # every way to draw three clusters of three
        round(90 * big / (90 * big + 10 * small + 20 * (3 - big - small)), 6) for big in range(4) for small in range(4 - big)
    }


def test_the_macro_mean_weighs_tasks_not_rows():
    interval = macro_interval({"small": np.ones(5), "big": np.zeros(500)}, rng=rng())
    assert (interval.mean, interval.low, interval.high) == pytest.approx((0.5, 0.5, 0.5))


def test_the_macro_interval_of_independent_tasks_shrinks_with_their_number():
    coin = np.array([0.0, 1.0] * 50)
    one = macro_interval({"a": coin}, rng=rng())
    four = macro_interval({name: coin for name in "abcd"}, rng=rng())
    assert (four.high - four.low) == pytest.approx((one.high - one.low) / 2, rel=0.08)


def test_a_paired_difference_ignores_how_hard_the_samples_are():
    difficulty = rng(11).random(100) * 0.8
    interval = paired_difference(difficulty + 0.1, difficulty, rng=rng())
    assert (interval.low, interval.mean, interval.high) == pytest.approx((0.1, 0.1, 0.1))


def test_swapping_the_models_negates_the_difference():
    ours, theirs = rng(1).random(80), rng(2).random(80)
    forth, back = paired_difference(ours, theirs, rng=rng()), paired_difference(theirs, ours, rng=rng())
    assert forth.mean == pytest.approx(-back.mean)
    assert forth.low == pytest.approx(-back.high, abs=0.01)


def test_no_score_a_missing_score_and_unequal_lengths_are_refused():
    with pytest.raises(DataError, match="at least one score"):
        bootstrap_interval(np.empty(0), rng=rng())
    with pytest.raises(DataError, match="at least two, found one"):
        bootstrap_interval(np.ones(3), rng=rng(), clusters=["a", "a", "a"])
    with pytest.raises(ShapeError, match="finite"):
        bootstrap_interval(np.array([0.5, np.nan]), rng=rng())
    with pytest.raises(ShapeError, match="rival_scores"):
        paired_difference(np.ones(3), np.ones(4), rng=rng())
    with pytest.raises(ShapeError, match="clusters"):
        bootstrap_interval(np.ones(3), rng=rng(), clusters=["a", "b"])
