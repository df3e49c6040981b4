"""Which samples share a sequence: rows of a token budget, filled so that hardly a token is padding."""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from sightline.errors import DataError


@dataclass(frozen=True, kw_only=True, slots=True)
class Packing:
    """Rows of item numbers, and how full they are."""

    rows: tuple[tuple[int, ...], ...]
    budget: int
    tokens: int  # of all items

    @property
    def useful_share(self) -> float:
        """Tokens that belong to an item, of all tokens that are computed."""
        return self.tokens / (self.budget * len(self.rows)) if self.rows else 1.0


def packed_rows(lengths: Sequence[int], *, budget: int, names: Sequence[str] | None = None) -> Packing:
    """Best-fit decreasing: the longest item first, each into the fullest row that still has room. Equal input, equal rows.

    Rows come in the order of their first item, items of a row in their own order. Raises DataError for an item longer than the budget,
    which would have to be cut.
    """
    _expect_fits(lengths, budget, names)
    rows: list[list[int]] = []
    with_room: list[list[int]] = [[] for _ in range(budget + 1)]  # rows by the room they have
    for item in sorted(range(len(lengths)), key=lambda one: (-lengths[one], one)):
        room = next((room for room in range(lengths[item], budget) if with_room[room]), budget)
        if room == budget:
            row = len(rows)
            rows.append([])
        else:
            row = with_room[room].pop(0)
        rows[row].append(item)
        with_room[room - lengths[item]].append(row)
    ordered = sorted((sorted(row) for row in rows), key=lambda row: row[0])
    return Packing(rows=tuple(tuple(row) for row in ordered), budget=budget, tokens=int(np.sum(lengths, dtype=np.int64)))


def grouped(keys: Sequence[object], *, most: int) -> list[list[int]]:
    """Item numbers that show the same pictures, at most so many together, in the order of the first of each group."""
    if most < 1:
        raise DataError(f"questions per set of images: expected 1 or more, found {most}")
    open_group: dict[object, list[int]] = {}
    groups: list[list[int]] = []
    for item, key in enumerate(keys):
        group = open_group.get(key)
        if group is None or len(group) == most:
            group = open_group[key] = []
            groups.append(group)
        group.append(item)
    return groups


def balanced_rows(lengths: Sequence[int], *, budget: int, names: Sequence[str] | None = None) -> Packing:
    """All items of one step in as few rows as hold them, of nearly equal length, so that padding to the longest row costs little.

    Karmarkar and Karp's differencing: the two divisions that differ most are laid over each other the other way round, until one is left;
    one row more wherever a row would exceed the budget. `budget` of the result is the length of the longest row. Raises DataError for an
    item longer than the budget.
    """
    _expect_fits(lengths, budget, names)
    count = max(1, -(-sum(lengths) // budget))
    while (rows := _divided(lengths, count))[0].tokens > budget:
        count += 1
    kept = sorted((sorted(row.items) for row in rows if row.items), key=lambda items: items[0])
    return Packing(rows=tuple(tuple(items) for items in kept), budget=rows[0].tokens, tokens=int(np.sum(lengths, dtype=np.int64)))


class _Row(NamedTuple):
    tokens: int
    items: tuple[int, ...]


def _divided(lengths: Sequence[int], count: int) -> list[_Row]:
    """`count` rows, fullest first."""
    empty = [_Row(0, ())] * (count - 1)
    heap = [(-length, item, [_Row(length, (item,)), *empty]) for item, length in enumerate(lengths)]
    heapq.heapify(heap)
    number = len(lengths)
    while len(heap) > 1:
        first, second = heapq.heappop(heap)[2], heapq.heappop(heap)[2]
        both = [_Row(one.tokens + other.tokens, one.items + other.items) for one, other in zip(first, reversed(second), strict=True)]
        both.sort(key=lambda row: (-row.tokens, row.items))
        heapq.heappush(heap, (both[-1].tokens - both[0].tokens, number, both))
        number += 1
    return heap[0][2]


def _expect_fits(lengths: Sequence[int], budget: int, names: Sequence[str] | None) -> None:
    for item, length in enumerate(lengths):
        if not 0 < length <= budget:
            who = names[item] if names else f"item {item}"
            raise DataError(f"{who}: expected 1 to {budget} tokens, found {length}. Fix: a larger token budget, or fewer or smaller images")
