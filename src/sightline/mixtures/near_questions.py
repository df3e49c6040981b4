"""Questions that are asked twice: the same or nearly the same words, within training and between training and benchmarks."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sightline.mixtures.asked import Asked
from sightline.mixtures.near_duplicates import Ragged, joined, near_pairs, near_pairs_across, shingled

EXAMPLES = 3
_STEP = np.uint64(0x9E3779B97F4A7C15)
_MUL = np.uint64(0xBF58476D1CE4E5B9)


@dataclass(frozen=True, kw_only=True, slots=True)
class Alike:
    """Two questions in nearly the same words, each with the id of its row."""

    first_id: str
    first: str
    second_id: str
    second: str
    jaccard: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Duplicates:
    """Counts of questions (turns), and examples. About the same things: the same room and the same pictures."""

    was_looked_for: bool = False
    questions: int = 0
    texts: int = 0  # distinct by their words
    repeated: int = 0  # questions that stand there a second time, about the same things, with the same answer
    near: int = 0  # questions with another in nearly the same words about the same things
    examples: tuple[Alike, ...] = ()
    benchmark_texts: int = 0
    same_in_benchmark: int = 0  # of them, in training in the same words
    near_in_benchmark: int = 0  # of the others, in training in nearly the same words
    benchmark_examples: tuple[Alike, ...] = ()


def duplicates_of(sources: Sequence[Asked], benchmarks: Sequence[Asked]) -> Duplicates:
    """Look for them among the questions of training, and between them and those of benchmarks."""
    texts, text_hash = _texts(sources)
    starts = np.cumsum([0, *(len(one.text_hash) for one in sources)])
    text = np.concatenate([one.text + start for one, start in zip(sources, starts)])  # (q,) of all sources
    about = np.concatenate([mixed_keys(one.where, one.shown) for one in sources])
    answer = np.concatenate([one.answer for one in sources])
    shingles = shingled(texts)
    item = mixed_keys(about, text_hash[text])
    _, first_of_item = np.unique(item, return_index=True)
    pairs = near_pairs(shingles, members=text[first_of_item], groups=about[first_of_item])
    order = np.argsort(-pairs.jaccard, kind="stable")[:EXAMPLES]
    questions = _Numbered(sources)
    alike = [
        questions.alike(int(first_of_item[pairs.first[one]]), int(first_of_item[pairs.second[one]]), pairs.jaccard[one]) for one in order
    ]
    same, near, across = _with_benchmarks(sources, texts, text_hash, text, benchmarks)
    return Duplicates(
        was_looked_for=True,
        questions=len(text),
        texts=len(np.unique(text_hash)),
        repeated=len(text) - len(np.unique(mixed_keys(item, answer))),
        near=len(np.unique(np.concatenate([pairs.first, pairs.second]))),
        examples=tuple(alike),
        benchmark_texts=len(np.unique(_texts(benchmarks)[1])) if benchmarks else 0,
        same_in_benchmark=same,
        near_in_benchmark=near,
        benchmark_examples=tuple(across),
    )


def mixed_keys(*columns: np.ndarray) -> np.ndarray:
    """One key `(n,)` uint64 that is equal where all columns are."""
    key = np.zeros(len(columns[0]), np.uint64)
    for column in columns:
        key = (key ^ column) * _STEP + np.uint64(1)
        key = (key ^ (key >> np.uint64(29))) * _MUL
        key ^= key >> np.uint64(32)
    return key


def _with_benchmarks(
    sources: Sequence[Asked], texts: Ragged, text_hash: np.ndarray, text: np.ndarray, benchmarks: Sequence[Asked]
) -> tuple[int, int, list[Alike]]:
    if not benchmarks:
        return 0, 0, []
    theirs, their_hash = _texts(benchmarks)
    has_words = np.diff(theirs.starts) > 0
    is_same = np.isin(their_hash, text_hash)
    others = np.flatnonzero(~is_same & has_words)
    others = others[np.unique(their_hash[others], return_index=True)[1]]
    _, ours = np.unique(text_hash, return_index=True)
    pairs = near_pairs_across(shingled(texts.picked(ours)), shingled(theirs.picked(others)))
    training, asked = _Numbered(sources), _Numbered(benchmarks)
    starts = np.cumsum([0, *(len(one.text_hash) for one in benchmarks)])
    their_text = np.concatenate([one.text + start for one, start in zip(benchmarks, starts)])
    examples = []
    for one in np.argsort(-pairs.jaccard, kind="stable")[:EXAMPLES]:
        here = int(np.flatnonzero(text == ours[pairs.first[one]])[0])
        there = int(np.flatnonzero(their_text == others[pairs.second[one]])[0])
        examples.append(Alike(**_said(training.question(here), asked.question(there), pairs.jaccard[one])))
    return len(np.unique(their_hash[is_same & has_words])), len(np.unique(pairs.second)), examples


def _texts(tables: Sequence[Asked]) -> tuple[Ragged, np.ndarray]:
    words = tables[0].words
    for one in tables[1:]:
        words = joined(words, one.words)
    return words, np.concatenate([one.text_hash for one in tables])


def _said(first: tuple[str, str], second: tuple[str, str], jaccard: float) -> dict:
    return {"first_id": first[0], "first": first[1], "second_id": second[0], "second": second[1], "jaccard": float(jaccard)}


class _Numbered:
    """Questions of several tables by one number."""

    def __init__(self, tables: Sequence[Asked]):
        self.tables = tables
        self.starts = np.cumsum([0, *(len(one.row) for one in tables)])

    def question(self, number: int) -> tuple[str, str]:
        table = int(np.searchsorted(self.starts, number, side="right")) - 1
        return self.tables[table].question(number - int(self.starts[table]))

    def alike(self, first: int, second: int, jaccard: float) -> Alike:
        return Alike(**_said(self.question(first), self.question(second), jaccard))
