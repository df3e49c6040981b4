"""Wrong places beside a right one: apart from it and from each other, letters readable, the right one not to be told from the layout."""

from dataclasses import dataclass

import numba
import numpy as np

from sightline.questions.correspondence_pairs import SCORING_RADIUS_SHARE
from sightline.questions.marks import BORDER_SHARE

WRONG = 3
APART_SHARE = 2.0 * SCORING_RADIUS_SHARE  # of the width: no pixel is within the scoring radius of two places, and dots do not touch
HARD_REACH_SHARE = 3.0 * SCORING_RADIUS_SHARE  # of the width: how far off its nearest neighbour a hard place may be
# Of the root of the image's area, with which a dot's radius grows (0.032 of it at most): a dot with its rings is 0.085 wide, its letter
# ends 0.13 beside its middle, to the right of it, or to the left where it would leave the image. On rows or columns this far apart no dot
# covers another one's letter.
TOUCH_SHARE, ROW_SHARE, COLUMN_SHARE, COLUMN_AT_BORDER_SHARE, LETTER_SHARE = 0.085, 0.085, 0.17, 0.26, 0.13
LAYOUTS_TRIED, HARD_LAYOUTS_TRIED = 16, 60  # layouts drawn until one has the wanted rank, or until a cluster fits into the image
PLACES_TRIED = 40  # places drawn for one layout


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Layouts:
    """K layouts."""

    wrong_uv: np.ndarray  # (K, 3, 2)
    rank: np.ndarray  # (K,) how many of the wrong places are nearer to the lure than the right one is; -1 where no layout fits


def lay_out(
    right_uv: np.ndarray,
    lure_uv: np.ndarray,
    size_px: np.ndarray,
    seeds: np.ndarray,
    wanted_rank: np.ndarray,
    *,
    others_uv: np.ndarray,
    others_range: np.ndarray,
    is_hard: bool,
) -> Layouts:
    """Three wrong places for each right one `(K, 2)` in images of `size_px (K, 2)`, from `seeds (K,)` uint64 alone.

    Easy ones are other measured points `others_uv[range]` of the same image (`others_range (K, 2)`), moved within half a pixel, so that
    right and wrong dots stand on the same kind of surface. Layouts are drawn until the right place has `wanted_rank (K,)` in nearness to
    `lure_uv`, where copying the coordinate would lead; where no layout has it, the first fair one is kept.

    Hard ones make a cluster with the right one, in which each of the four has another one from `APART_SHARE` to `HARD_REACH_SHARE` of the
    width away. The cluster is drawn first and the right place is any of its four, so that its middle says nothing.
    """
    count = len(right_uv)
    wrong_uv, rank = np.zeros((count, WRONG, 2)), np.full(count, -1, dtype=np.int64)
    _lay_out(
        np.ascontiguousarray(right_uv, dtype=np.float64),
        np.ascontiguousarray(lure_uv, dtype=np.float64),
        np.ascontiguousarray(size_px, dtype=np.float64),
        np.ascontiguousarray(seeds, dtype=np.uint64),
        np.ascontiguousarray(wanted_rank, dtype=np.int64),
        np.ascontiguousarray(others_uv, dtype=np.float64),
        np.ascontiguousarray(others_range, dtype=np.int64),
        is_hard,
        wrong_uv,
        rank,
    )
    return Layouts(wrong_uv=wrong_uv, rank=rank)


@numba.njit(cache=True)
def _share(state):  # noqa: ANN001, ANN202 - compiled
    """The next of a stream of numbers in 0..1 (splitmix64: a counter, then three mixing steps)."""
    state[0] += np.uint64(0x9E3779B97F4A7C15)
    mixed = state[0]
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed = mixed ^ (mixed >> np.uint64(31))
    return np.float64(mixed >> np.uint64(11)) / 9007199254740992.0


@numba.njit(cache=True)
def _are_clear(one_u, one_v, other_u, other_v, width, side):  # noqa: ANN001, ANN202 - compiled
    across, down = abs(one_u - other_u), abs(one_v - other_v)
    apart = max(APART_SHARE * width, TOUCH_SHARE * side)
    column = COLUMN_SHARE if max(one_u, other_u) < width - 1 - LETTER_SHARE * side else COLUMN_AT_BORDER_SHARE
    return across * across + down * down >= apart * apart and (down >= ROW_SHARE * side or across >= column * side)


@numba.njit(cache=True)
def _is_free(u, v, layout, placed, width, height):  # noqa: ANN001, ANN202 - compiled
    border, side = BORDER_SHARE * width, np.sqrt(width * height)
    is_free = border <= u <= width - 1 - border and border <= v <= height - 1 - border
    for one in range(placed):
        is_free = is_free and _are_clear(u, v, layout[one, 0], layout[one, 1], width, side)
    return is_free


@numba.njit(cache=True)
def _draw_easy(layout, others_uv, start, end, width, height, state):  # noqa: ANN001, ANN202 - compiled
    placed = 1
    for _ in range(PLACES_TRIED if end > start else 0):
        other = start + int(_share(state) * (end - start))
        u, v = others_uv[other, 0] + _share(state) - 0.5, others_uv[other, 1] + _share(state) - 0.5
        if _is_free(u, v, layout, placed, width, height):
            layout[placed, 0], layout[placed, 1] = u, v
            placed += 1
            if placed == WRONG + 1:
                return True
    return False


@numba.njit(cache=True)
def _draw_hard(layout, width, height, state):  # noqa: ANN001, ANN202 - compiled
    """A chain or a star that grows from any place; which one of the four is the right place is drawn as well."""
    parent = np.zeros(WRONG + 1, dtype=np.int64)
    offset = np.zeros((WRONG + 1, 2))
    least2, most2 = APART_SHARE * APART_SHARE, HARD_REACH_SHARE * HARD_REACH_SHARE
    for one in range(1, WRONG + 1):
        parent[one] = int(_share(state) * one)
        reach = width * np.sqrt(least2 + (most2 - least2) * _share(state))
        angle = 2.0 * np.pi * _share(state)
        offset[one, 0] = offset[parent[one], 0] + reach * np.cos(angle)
        offset[one, 1] = offset[parent[one], 1] + reach * np.sin(angle)
    right = int(_share(state) * (WRONG + 1))
    placed = 1
    for one in range(WRONG + 1):
        if one != right:
            u, v = layout[0, 0] + offset[one, 0] - offset[right, 0], layout[0, 1] + offset[one, 1] - offset[right, 1]
            if not _is_free(u, v, layout, placed, width, height):
                return False
            layout[placed, 0], layout[placed, 1] = u, v
            placed += 1
    return True


@numba.njit(cache=True)
def _lay_out(right_uv, lure_uv, size_px, seeds, wanted_rank, others_uv, others_range, is_hard, wrong_uv, rank):  # noqa: ANN001, ANN202 - compiled
    state = np.zeros(1, dtype=np.uint64)
    layout = np.zeros((WRONG + 1, 2))
    for row in range(len(right_uv)):
        state[0] = seeds[row]
        layout[0] = right_uv[row]
        width, height = size_px[row, 0], size_px[row, 1]
        for _ in range(HARD_LAYOUTS_TRIED if is_hard else LAYOUTS_TRIED):
            if is_hard:
                fits = _draw_hard(layout, width, height, state)
            else:
                fits = _draw_easy(layout, others_uv, others_range[row, 0], others_range[row, 1], width, height, state)
            if not fits:
                continue
            off = (layout[:, 0] - lure_uv[row, 0]) ** 2 + (layout[:, 1] - lure_uv[row, 1]) ** 2
            nearer = 0
            for one in range(1, WRONG + 1):
                if off[one] < off[0]:
                    nearer += 1
            if rank[row] < 0 or nearer == wanted_rank[row]:
                rank[row] = nearer
                wrong_uv[row] = layout[1:]
            if is_hard or nearer == wanted_rank[row]:
                break
