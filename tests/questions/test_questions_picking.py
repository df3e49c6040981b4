"""Picking by arrays: answers evened out, then what spreads them, within the caps, the same for the same generator."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from sightline.questions.picking import pick
from sightline.questions.rows import WHOLE


def picked(frames, answer, *, spread=None, seed=0, most=10, most_per_frame=1000, balance=True, num_frames=50):
    return pick(
        [np.asarray(one) for one in frames],
        answer=np.asarray(answer),
        spread=None if spread is None else np.asarray(spread),
        rng=np.random.default_rng(seed),
        most=most,
        most_per_frame=most_per_frame,
        balance=balance,
        num_frames=num_frames,
    )


def test_a_rare_answer_is_taken_as_often_as_a_frequent_one():
    answer = np.array([0] * 90 + [1] * 10)
    taken = picked([np.arange(100) % 50], answer, most=20).index
    assert np.bincount(answer[taken]).tolist() == [10, 10]


def test_without_balance_a_rare_answer_stays_rare():
    answer = np.array([0] * 900 + [1] * 100)
    taken = picked([np.arange(1000) % 50], answer, most=200, balance=False).index
    assert (answer[taken] == 1).sum() < 50


def test_within_an_answer_the_spread_is_evened_out():
    answer, spread = np.zeros(100, dtype=int), np.array([0] * 80 + [1] * 10 + [2] * 10)
    taken = picked([np.arange(100) % 50], answer, spread=spread, most=30).index
    assert np.bincount(spread[taken]).tolist() == [10, 10, 10]


def test_what_runs_out_leaves_room_for_others():
    answer = np.array([0] * 50 + [1] * 3)
    assert np.bincount(answer[picked([np.arange(53) % 50], answer, most=20).index]).tolist() == [17, 3]


def test_a_frame_that_is_used_up_is_counted():
    found = picked([np.zeros(30, dtype=int), np.full(30, -1)], np.arange(30), most=30, most_per_frame=4)
    assert len(found.index) == 4 and found.frame_used_up == 26


def test_the_first_answer_taken_is_not_always_the_same():
    assert len({int(picked([np.arange(4)], np.arange(4), seed=seed, most=1).index[0]) for seed in range(40)}) == 4


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 60), st.integers(0, 10_000), st.integers(0, 30), st.integers(1, 5))
def test_caps_hold_nothing_is_taken_twice_and_the_same_generator_takes_the_same(count, seed, most, most_per_frame):
    rng = np.random.default_rng(seed)
    frames = rng.integers(-1, 6, (2, count))
    frames[1][frames[1] == frames[0]] = -1  # one image is not shown twice
    answer, spread = rng.integers(0, 4, count), rng.integers(0, 3, count)
    arguments = {"spread": spread, "seed": seed, "most": most, "most_per_frame": most_per_frame, "num_frames": 6}
    taken = picked(frames, answer, **arguments).index
    assert len(taken) <= most and len(set(taken.tolist())) == len(taken)
    shown = frames[:, taken].ravel()
    assert not len(taken) or np.bincount(shown[shown >= 0], minlength=1).max() <= most_per_frame
    assert np.array_equal(taken, picked(frames, answer, **arguments).index)


def test_a_stored_number_is_rounded_as_round_does_ties_included():
    values = np.random.default_rng(0).uniform(0.1, 30.0, 3000).astype(np.float32)
    ties = np.arange(1, 2000, 2, dtype=np.float32) / np.float32(32.0)  # whole hundred-thousandths and a half ten-thousandth
    for stored, other in zip(np.r_[values, ties].tolist(), np.r_[ties, values].tolist()):
        for value in (stored, abs(stored - other)):
            assert (value * 1e4 + WHOLE - WHOLE) / 1e4 == round(value, 4)
