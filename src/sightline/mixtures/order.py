"""The order in which a mixture is seen: a pure function of seed and position, so that resuming and sharing out need no state.

A shuffle is a keyed permutation computed index by index (Feistel rounds, cycle-walking: Luby and Rackoff; Black and Rogaway); sources are
interleaved by exact halving, so that at every position each source has had its share to within one row per level of the tree.
"""

from dataclasses import dataclass

import numpy as np

from sightline.errors import DataError

ROUNDS = 6  # four are enough for a random look; two more cost little and hide the halves of tiny domains
_MIX = np.uint64(0x9E3779B97F4A7C15)
_MUL_A, _MUL_B = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


def permuted(index: np.ndarray, *, length: int, key: int) -> np.ndarray:
    """Where a shuffle of `length` rows sends each index `(n,)`: a bijection of 0 .. length - 1 for every key, in O(1) memory a row.

    Raises DataError for an index outside.
    """
    index = np.asarray(index, dtype=np.int64)
    if length < 1 or (index.size and (index.min() < 0 or index.max() >= length)):
        raise DataError(
            f"permutation: expected indices of 0 to {length - 1}, found {index.min() if index.size else 'none'} to "
            f"{index.max() if index.size else 'none'}"
        )
    half = np.uint64(max(1, (int(length - 1).bit_length() + 1) // 2))
    keys = _round_keys(key)
    walked = index.astype(np.uint64)
    outside = np.ones(len(walked), bool)
    while outside.any():  # the domain is at most four times too large: four steps on average
        walked[outside] = _rounds(walked[outside], half, keys)
        outside = walked >= np.uint64(length)
    return walked.astype(np.int64)


def _rounds(value: np.ndarray, half: np.uint64, keys: np.ndarray) -> np.ndarray:
    mask = (np.uint64(1) << half) - np.uint64(1)
    left, right = value >> half, value & mask
    for key in keys:
        left, right = right, left ^ (_mixed(right ^ key) & mask)
    return (left << half) | right


def _round_keys(key: int) -> np.ndarray:
    steps = np.arange(1, ROUNDS + 1, dtype=np.uint64)
    return _mixed(np.uint64(key % 2**64) + steps * _MIX)


def _mixed(value: np.ndarray) -> np.ndarray:
    """splitmix64's finaliser."""
    value = (value ^ (value >> np.uint64(30))) * _MUL_A
    value = (value ^ (value >> np.uint64(27))) * _MUL_B
    return value ^ (value >> np.uint64(31))


@dataclass(frozen=True, kw_only=True, slots=True)
class Interleave:
    """How rows of several sources follow each other in one pass: exactly `counts[s]` of source s, as evenly spread as whole rows can be."""

    counts: tuple[int, ...]

    @property
    def length(self) -> int:
        return sum(self.counts)

    def at(self, position: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Source `(n,)` of each position `(n,)` of the pass, and how many rows of that source came before it."""
        position = np.asarray(position, dtype=np.int64)
        if position.size and (position.min() < 0 or position.max() >= self.length):
            raise DataError(f"interleave: expected positions of 0 to {self.length - 1}, found {position.min()} to {position.max()}")
        source, before = np.zeros(len(position), np.int64), position.copy()
        self._descend(0, len(self.counts), np.arange(len(position)), source, before)
        return source, before

    def _descend(self, low: int, high: int, rows: np.ndarray, source: np.ndarray, before: np.ndarray) -> None:
        """Divide sources low .. high in two halves; a position goes left where the left half's due count steps up (Bresenham)."""
        if high - low == 1 or not len(rows):
            source[rows] = low
            return
        middle = (low + high) // 2
        left, whole = sum(self.counts[low:middle]), sum(self.counts[low:high])
        if not 0 < left < whole:
            self._descend(*((middle, high) if left == 0 else (low, middle)), rows, source, before)
            return
        due, due_after = _due(before[rows], left, whole), _due(before[rows] + 1, left, whole)
        goes_left = due_after > due
        before[rows] = np.where(goes_left, due, before[rows] - due)
        self._descend(low, middle, rows[goes_left], source, before)
        self._descend(middle, high, rows[~goes_left], source, before)


def _due(position: np.ndarray, part: int, whole: int) -> np.ndarray:
    """floor((position * part + whole / 2) / whole) without overflow: how many of `part` are due after `position` of `whole`."""
    if whole < 2**31:
        return (position * part + whole // 2) // whole
    return np.array([(int(one) * part + whole // 2) // whole for one in position], dtype=np.int64)


def row_of_source(draw: np.ndarray, *, rows: int, seed: int, source: int) -> np.ndarray:
    """Which row a source gives at its draw number `(n,)`, over all passes: every row once, then again in another order."""
    draw = np.asarray(draw, dtype=np.int64)
    found = np.empty(len(draw), np.int64)
    epoch = draw // rows
    for one in np.unique(epoch):
        here = epoch == one
        found[here] = permuted(draw[here] % rows, length=rows, key=_key(seed, source, int(one)))
    return found


def _key(*parts: int) -> int:
    value = np.uint64(0)
    for part in parts:
        value = _mixed(np.array([value ^ np.uint64(part % 2**64)], dtype=np.uint64) + _MIX)[0]
    return int(value)


def share_of(rank: int, world: int, *, start: int, count: int) -> np.ndarray:
    """Positions start .. start + count - 1 that process `rank` of `world` sees: every world-th, so that all together see each once."""
    positions = np.arange(start, start + count)
    return positions[positions % world == rank]
