"""Picks candidates by arrays: answers evened out, then what spreads them, no frame worn out, everything by the given generator."""

from collections.abc import Sequence
from dataclasses import dataclass

import numba
import numpy as np


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Picked:
    """Which candidates were taken, in the order they were taken, and how many were passed over because their frames were used up."""

    index: np.ndarray  # (K,) int64
    frame_used_up: int


def pick(
    frames: Sequence[np.ndarray],
    *,
    answer: np.ndarray,
    spread: np.ndarray | None = None,
    rng: np.random.Generator,
    most: int,
    most_per_frame: int,
    balance: bool,
    num_frames: int,
) -> Picked:
    """At most `most` of N candidates; `frames` are arrays `(N,)` of frame indices that each candidate shows (-1 = none).

    With `balance` the next one always has the `answer (N,)` with the fewest taken so far, and among those the `spread (N,)` value (overlap
    bin, distance bin) with the fewest taken; ties go in a random order of the values. Without it, candidates are taken at random.
    """
    count = len(answer)
    order = rng.permutation(count)
    if count == 0 or most <= 0:
        return Picked(index=np.empty(0, dtype=np.int64), frame_used_up=0)
    shown = np.stack([np.asarray(one, dtype=np.int64) for one in frames], axis=1)
    if balance:
        answers, answer_code = np.unique(answer, return_inverse=True)
        answer_code = rng.permutation(len(answers))[answer_code]  # ties are broken at random, not by value
        _, spread_code = np.unique(np.zeros(count) if spread is None else spread, return_inverse=True)
    else:
        answer_code = spread_code = np.zeros(count, dtype=np.int64)
    cells, cell_of = np.unique(answer_code * (spread_code.max() + 1) + spread_code, return_inverse=True)
    cell_answer = cells // (spread_code.max() + 1)
    shuffled = rng.permutation(len(cells))
    shuffled = shuffled[np.argsort(cell_answer[shuffled], kind="stable")]  # the cells of one answer lie together, in random order
    place = np.empty(len(cells), dtype=np.int64)
    place[shuffled] = np.arange(len(cells))
    cell_of, cell_answer = place[cell_of], cell_answer[shuffled]
    by_cell = order[np.argsort(cell_of[order], kind="stable")]
    starts = np.searchsorted(cell_of[by_cell], np.arange(len(cells) + 1))
    taken, passed = _pick(shown[by_cell], starts, cell_answer.astype(np.int64), most, most_per_frame, num_frames)
    return Picked(index=by_cell[taken], frame_used_up=int(passed))


@numba.njit(cache=True)
def _pick(shown, starts, cell_answer, most, most_per_frame, num_frames):  # noqa: ANN001, ANN202 - compiled
    cells = len(starts) - 1
    answers = cell_answer.max() + 1
    next_of = starts[:-1].copy()
    taken_of_cell = np.zeros(cells, dtype=np.int64)
    taken_of_answer = np.zeros(answers, dtype=np.int64)
    open_cells = np.zeros(answers, dtype=np.int64)
    first_cell = np.full(answers, cells, dtype=np.int64)
    for cell in range(cells - 1, -1, -1):
        open_cells[cell_answer[cell]] += 1
        first_cell[cell_answer[cell]] = cell
    cells_of = open_cells.copy()
    used = np.zeros(num_frames, dtype=np.int64)
    taken = np.empty(min(most, len(shown)), dtype=np.int64)
    count = 0
    passed = 0
    while count < len(taken):
        best_answer = -1
        for one in range(answers):
            if open_cells[one] > 0 and (best_answer < 0 or taken_of_answer[one] < taken_of_answer[best_answer]):
                best_answer = one
        if best_answer < 0:
            break
        best = -1
        for cell in range(first_cell[best_answer], first_cell[best_answer] + cells_of[best_answer]):
            if next_of[cell] < starts[cell + 1] and (best < 0 or taken_of_cell[cell] < taken_of_cell[best]):
                best = cell
        row = next_of[best]
        next_of[best] += 1
        if next_of[best] == starts[best + 1]:
            open_cells[best_answer] -= 1
        has_room = True
        for frame in shown[row]:
            if frame >= 0 and used[frame] >= most_per_frame:
                has_room = False
        if not has_room:
            passed += 1
            continue
        for frame in shown[row]:
            if frame >= 0:
                used[frame] += 1
        taken_of_cell[best] += 1
        taken_of_answer[best_answer] += 1
        taken[count] = row
        count += 1
    return taken[:count], passed
