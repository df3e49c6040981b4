"""Questions in nearly the same words: MinHash over word shingles, banded buckets, exact Jaccard on what they propose.

The share of equal components of two signatures estimates the Jaccard similarity of their shingle sets without bias, with a standard
deviation of sqrt(J (1 - J) / 64) (Broder 1997). Everything is a function of the words alone: no random state, no order of files.
"""

from dataclasses import dataclass

import numpy as np

SHINGLE = 3  # words
PERMUTATIONS = 64
BANDS = 16  # of four components: texts of Jaccard 0.8 share a bucket with probability 0.9998, of 0.5 with 0.64
NEAR = 0.8  # Jaccard from which two questions count as nearly the same
DOUBT = 0.2  # an estimate this far below is not looked at again: four standard deviations
NEIGHBOURS = 4  # of a text in a bucket that are compared with it; smaller buckets are compared whole
ACROSS = 64  # texts of the other side that one text is compared with in a bucket
CHUNK = 1 << 18
_STEP = np.uint64(0x9E3779B97F4A7C15)
_MUL_A, _MUL_B = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Ragged:
    """Lists of 64-bit values end to end: list i is `values[starts[i] : starts[i + 1]]`."""

    starts: np.ndarray  # (n + 1,) int64
    values: np.ndarray  # (m,) uint64

    def __len__(self) -> int:
        return len(self.starts) - 1

    def picked(self, numbers: np.ndarray) -> "Ragged":
        """The lists of these numbers `(k,)`, in that order."""
        sizes = np.diff(self.starts)[numbers]
        starts = np.concatenate([[0], np.cumsum(sizes)])
        within = np.arange(starts[-1]) - np.repeat(starts[:-1], sizes)
        return Ragged(starts=starts, values=self.values[np.repeat(self.starts[numbers], sizes) + within])


def joined(first: Ragged, second: Ragged) -> Ragged:
    """The lists of both."""
    starts = np.concatenate([first.starts, second.starts[1:] + first.starts[-1]])
    return Ragged(starts=starts, values=np.concatenate([first.values, second.values]))


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Pairs:
    """Near duplicates: `(p,)` numbers of the first and the second of each pair, and their Jaccard similarity."""

    first: np.ndarray
    second: np.ndarray
    jaccard: np.ndarray

    def __len__(self) -> int:
        return len(self.first)


def shingled(words: Ragged, *, size: int = SHINGLE) -> Ragged:
    """The set of runs of `size` words of each text, sorted; of a shorter text the one run that it is."""
    lengths = np.diff(words.starts)
    place = np.arange(len(words.values)) - np.repeat(words.starts[:-1], lengths)
    left = np.repeat(lengths, lengths) - place  # words from here to the end of the text
    hashes = np.zeros(len(words.values), np.uint64)
    for offset in range(size):
        following = np.zeros_like(hashes)
        following[: len(hashes) - offset] = words.values[offset:]
        hashes = _mixed(hashes * _STEP + np.where(left > offset, following, np.uint64(0)) + np.uint64(offset + 1))
    starts_one = (left >= size) | (place == 0)
    text = np.repeat(np.arange(len(words)), lengths)[starts_one]
    return _sets(text, hashes[starts_one], len(words))


def signatures(shingles: Ragged, *, permutations: int = PERMUTATIONS) -> np.ndarray:
    """MinHash `(n, permutations)` uint32 of each set; a set without shingles has the largest values."""
    found = np.full((len(shingles), permutations), np.iinfo(np.uint32).max, np.uint32)
    has_any = np.flatnonzero(np.diff(shingles.starts))
    if not len(has_any):
        return found
    keys = _mixed(np.arange(1, permutations + 1, dtype=np.uint64) * _STEP)
    for begin in range(0, len(has_any), 16_384):
        some = has_any[begin : begin + 16_384]
        part = shingles.picked(some)
        for number, key in enumerate(keys):
            permuted = (_mixed(part.values ^ key) >> np.uint64(32)).astype(np.uint32)
            found[some, number] = np.minimum.reduceat(permuted, part.starts[:-1])
    return found


def near_pairs(shingles: Ragged, *, members: np.ndarray, groups: np.ndarray, near: float = NEAR) -> Pairs:
    """Pairs of members of one group that are at least so similar, each pair once, the smaller number first.

    A member is a set of `shingles` (its number in `members`, `(n,)`) in a group (its key in `groups`, `(n,)` uint64).

    In a bucket of more than `NEIGHBOURS` members each is compared with its first and with those next to it in the order of another band:
    of very many alike a part of the pairs is found, and nearly each of them in one pair.
    """
    marks = signatures(shingles)[members]
    keys = _band_keys(marks, groups)
    found = []
    for band in range(keys.shape[1]):
        order = np.lexsort((keys[:, band - 1], keys[:, band]))
        key = keys[order, band]
        begins = np.concatenate([[True], key[1:] != key[:-1]])
        head = np.maximum.accumulate(np.where(begins, np.arange(len(key)), 0))
        for step in range(1, NEIGHBOURS + 1):
            same = np.flatnonzero(key[step:] == key[:-step])
            found.append(_likely(marks, order[same], order[same + step], near))
        far = np.flatnonzero(np.arange(len(key)) - head > NEIGHBOURS)
        found.append(_likely(marks, order[head[far]], order[far], near))
    return _exact(shingles, *_once(found, len(members)), near, members)


def near_pairs_across(first: Ragged, second: Ragged, *, near: float = NEAR) -> Pairs:
    """Pairs of a set of `first` and one of `second` that are at least so similar; in one bucket each is compared with at most `ACROSS`."""
    both = joined(first, second)
    marks = signatures(both)
    keys = _band_keys(marks, np.zeros(len(both), np.uint64))
    found = []
    for band in range(keys.shape[1]):
        order = np.lexsort((keys[: len(first), band - 1], keys[: len(first), band]))
        key = keys[order, band]
        low = np.searchsorted(key, keys[len(first) :, band], side="left")
        count = np.searchsorted(key, keys[len(first) :, band], side="right") - low
        taken = np.minimum(count, ACROSS)
        one = np.repeat(np.arange(len(second)), taken)
        within = np.arange(taken.sum()) - np.repeat(np.cumsum(taken) - taken, taken)
        place = low[one] + within * count[one] // np.maximum(taken[one], 1)  # evenly over a bucket that is too large
        found.append(_likely(marks, order[place], one + len(first), near))
    pairs = _exact(both, *_once(found, len(both)), near, np.arange(len(both)))
    return Pairs(first=pairs.first, second=pairs.second - len(first), jaccard=pairs.jaccard)


def jaccard(shingles: Ragged, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Exact similarity `(p,)` of pairs of sets: shared shingles of all."""
    found = np.zeros(len(first))
    for begin in range(0, len(first), CHUNK):
        here = slice(begin, begin + CHUNK)
        one, other = shingles.picked(first[here]), shingles.picked(second[here])
        pair = np.concatenate([np.repeat(np.arange(len(some)), np.diff(some.starts)) for some in (one, other)])
        value = np.concatenate([one.values, other.values])
        order = np.lexsort((value, pair))
        shared = (pair[order][1:] == pair[order][:-1]) & (value[order][1:] == value[order][:-1])
        both = np.bincount(pair[order][1:][shared], minlength=len(one))
        found[here] = both / np.maximum(np.diff(one.starts) + np.diff(other.starts) - both, 1)
    return found


def _band_keys(marks: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """One key of each band `(n, BANDS)`; equal where group and components are equal."""
    rows = marks.shape[1] // BANDS
    keys = np.empty((len(marks), BANDS), np.uint64)
    for band in range(BANDS):
        key = groups.astype(np.uint64)
        for column in range(band * rows, (band + 1) * rows):
            key = _mixed(key * _STEP + marks[:, column])
        keys[:, band] = key
    return keys


def _likely(marks: np.ndarray, first: np.ndarray, second: np.ndarray, near: float) -> tuple[np.ndarray, np.ndarray]:
    kept = [np.zeros(0, bool)]
    for begin in range(0, len(first), CHUNK):
        equal = marks[first[begin : begin + CHUNK]] == marks[second[begin : begin + CHUNK]]
        kept.append(equal.mean(axis=1) >= near - DOUBT)
    is_likely = np.concatenate(kept)
    return first[is_likely], second[is_likely]


def _once(found: list[tuple[np.ndarray, np.ndarray]], count: int) -> tuple[np.ndarray, np.ndarray]:
    first = np.concatenate([one for one, _ in found]).astype(np.int64)
    second = np.concatenate([other for _, other in found]).astype(np.int64)
    pair = np.unique(np.minimum(first, second) * count + np.maximum(first, second))
    return pair // max(count, 1), pair % max(count, 1)


def _exact(shingles: Ragged, first: np.ndarray, second: np.ndarray, near: float, members: np.ndarray) -> Pairs:
    similarity = jaccard(shingles, members[first], members[second])
    is_near = similarity >= near
    return Pairs(first=first[is_near], second=second[is_near], jaccard=similarity[is_near])


def _sets(owner: np.ndarray, values: np.ndarray, count: int) -> Ragged:
    """Values by owner, sorted, each once."""
    order = np.lexsort((values, owner))
    owner, values = owner[order], values[order]
    is_new = np.concatenate([[True], (owner[1:] != owner[:-1]) | (values[1:] != values[:-1])])[: len(owner)]
    owner, values = owner[is_new], values[is_new]
    return Ragged(starts=np.concatenate([[0], np.cumsum(np.bincount(owner, minlength=count))]), values=values)


def _mixed(value: np.ndarray) -> np.ndarray:
    """splitmix64's finaliser."""
    value = (value ^ (value >> np.uint64(30))) * _MUL_A
    value = (value ^ (value >> np.uint64(27))) * _MUL_B
    return value ^ (value >> np.uint64(31))
