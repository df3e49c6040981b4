"""Near duplicates: the estimator has its closed-form mean, planted copies are found, and nothing depends on the order of rows."""

import math

import numpy as np
import pytest

from sightline.mixtures.asked import normal_words
from sightline.mixtures.near_duplicates import Ragged, jaccard, near_pairs, near_pairs_across, shingled, signatures

RNG_SEED = 11


def ragged(*lists) -> Ragged:
    starts = np.cumsum([0, *(len(one) for one in lists)])
    return Ragged(starts=starts, values=np.array([value for one in lists for value in one], np.uint64))


def words(*texts: str) -> Ragged:
    known: dict[str, int] = {}
    return ragged(*([known.setdefault(word, 1000 + len(known)) for word in normal_words(text)] for text in texts))


def sets(words: Ragged) -> list[set[int]]:
    made = shingled(words)
    return [set(made.values[first:last].tolist()) for first, last in zip(made.starts[:-1], made.starts[1:])]


def test_shingles_are_the_distinct_runs_of_three_words_in_one_text():
    assert [len(one) for one in sets(words("a b c d", "a b c a b c a b c", "a b", "a", ""))] == [2, 3, 1, 1, 0]
    first, second, third = sets(words("the red chair here", "is the red chair", "chair red the here"))
    assert len(first & second) == 1 and not first & third  # "the red chair"; order counts


def test_punctuation_case_and_spaces_do_not_count():
    assert len(set(map(frozenset, sets(words("How many  Chairs?", "how many chairs", "HOW many, chairs."))))) == 1


@pytest.mark.parametrize("shared", [0, 10, 40, 70, 95, 100])
def test_equal_components_estimate_jaccard_without_bias_and_with_the_known_spread(shared):
    rng = np.random.default_rng(RNG_SEED)
    lists = []
    for _ in range(400):  # pairs of two sets of `shared` common and 100 - shared of their own, together 100 values: Jaccard shared / 100
        values = rng.choice(2**40, 100, replace=False)
        own = np.split(values[shared:], [(100 - shared) // 2])
        lists += [sorted([*values[:shared], *one]) for one in own]
    marks = signatures(ragged(*lists))
    estimates = (marks[0::2] == marks[1::2]).mean(axis=1)
    expected, spread = shared / 100, math.sqrt(shared / 100 * (1 - shared / 100) / 64)
    assert abs(estimates.mean() - expected) <= 4 * spread / math.sqrt(400) + 1e-12
    assert abs(estimates.std() - spread) <= 0.15 * spread + 1e-12


def test_exact_jaccard_equals_that_of_python_sets():
    rng = np.random.default_rng(RNG_SEED)
    lists = [sorted(set(rng.integers(0, 30, rng.integers(1, 20)).tolist())) for _ in range(60)]
    first, second = rng.integers(0, 60, 500), rng.integers(0, 60, 500)
    expected = [len(set(lists[a]) & set(lists[b])) / len(set(lists[a]) | set(lists[b])) for a, b in zip(first, second)]
    assert np.array_equal(jaccard(ragged(*lists), first, second), np.array(expected))


def questions(count: int, seed: int = 0) -> list[str]:
    """Questions of twenty words out of two thousand: no two of them alike."""
    rng = np.random.default_rng(seed)
    return [" ".join(f"w{word}" for word in rng.integers(0, 2000, 20)) for _ in range(count)]


def all_pairs(texts: list[str], groups=None) -> set[tuple[int, int]]:
    groups = np.zeros(len(texts), np.uint64) if groups is None else np.array(groups, np.uint64)
    found = near_pairs(shingled(words(*texts)), members=np.arange(len(texts)), groups=groups)
    return set(zip(found.first.tolist(), found.second.tolist()))


def test_planted_copies_are_found_and_nothing_else():
    texts = questions(300)
    for number in range(40):
        texts.append(texts[number] + f" more{number}")  # 18 of 19 shingles shared
    assert all_pairs(texts) == {(number, 300 + number) for number in range(40)}
    assert all_pairs(texts, groups=[0] * 300 + [1] * 40) == set()  # about other pictures
    assert all_pairs(questions(300)) == set()


def test_what_is_found_does_not_depend_on_the_order_of_rows():
    texts = [*questions(100), *(one + " again" for one in questions(20))]
    shuffle = np.random.default_rng(3).permutation(len(texts))
    found = all_pairs([texts[number] for number in shuffle])
    again = {tuple(sorted((int(shuffle[first]), int(shuffle[second])))) for first, second in found}
    assert again == all_pairs(texts) == {(number, 100 + number) for number in range(20)}


def test_each_of_very_many_alike_is_found_though_not_every_pair():
    base = questions(1)[0]
    texts = [f"{base} end{number}" for number in range(500)]
    found = all_pairs(texts)
    assert {one for pair in found for one in pair} == set(range(500)) and len(found) < 500 * 100


def test_copies_are_found_across_two_sides_alone():
    training, asked = questions(200), questions(50, seed=1)
    training += [training[0] + " copy"]  # within one side: not looked at here
    asked += [training[7] + " extra", training[9]]
    pairs = near_pairs_across(
        shingled(words(*training, *asked)).picked(np.arange(201)), shingled(words(*training, *asked)).picked(np.arange(201, 253))
    )
    assert set(zip(pairs.first.tolist(), pairs.second.tolist())) == {(7, 50), (9, 51)}
    assert pairs.jaccard.tolist() == pytest.approx([18 / 19, 1.0])


def test_no_text_and_no_pair_are_no_error():
    assert all_pairs([]) == set() and all_pairs(["", "a b c"]) == set()
    empty = shingled(words())
    assert len(near_pairs_across(empty, empty)) == 0
