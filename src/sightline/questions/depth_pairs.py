"""What the depth comparisons share: two points of one image whose depths differ clearly, evened out over what gives the answer away."""

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from sightline.facts.fact import FactTable
from sightline.questions.margins import margins_of
from sightline.questions.marks import APART_SHARE, are_whole, sizes_px
from sightline.questions.picking import pick
from sightline.questions.question import TaskOptions
from sightline.questions.rows import IndexedTask, Selected, to_sixteenths

TRIED_PER_QUESTION = 12  # pairs drawn: the nearer point is the higher one in about a quarter of them
LOPSIDED = 1.5  # no answer is asked more often than this times the rarest one: few even questions beat many lopsided ones


class DepthPairTask(IndexedTask):
    """Rows of a near and a far point of one frame. Templates of even number ask for the closer one, odd ones for the farther one."""

    TEMPLATES: ClassVar[tuple[str, ...]]  # closer, farther, closer, farther, ...
    MARGINS: ClassVar[Mapping[str, float]] = {
        "min_gap_m": 0.25,
        "min_gap_share": 0.15,  # of the nearer depth: a gap that sensor noise and people can tell
        "min_apart_share": APART_SHARE,  # of the image width, between the two points
    }
    PAYLOAD: ClassVar[np.dtype] = np.dtype(
        [("near_u_16", "u2"), ("near_v_16", "u2"), ("far_u_16", "u2"), ("far_v_16", "u2"), ("near_m", "f4"), ("far_m", "f4")]
    )

    def select(self, facts: FactTable, rng: np.random.Generator, options: TaskOptions) -> Selected:
        margins = margins_of(self, options)
        points, sizes = facts.points, sizes_px(facts)
        is_inside = are_whole(points.uv, sizes[points.frame])
        skips = {"dot_at_image_border": int((~is_inside).sum())}
        near, far = drawn_pairs(np.flatnonzero(is_inside), points.frame, rng, tried=TRIED_PER_QUESTION * options.max_per_scan)
        swapped = points.depth_m[near] > points.depth_m[far]
        near, far = np.where(swapped, far, near), np.where(swapped, near, far)
        near_m, far_m = points.depth_m[near], points.depth_m[far]
        is_clear = far_m - near_m >= np.maximum(margins["min_gap_m"], margins["min_gap_share"] * near_m)
        near, far, near_m, far_m = near[is_clear], far[is_clear], near_m[is_clear], far_m[is_clear]
        stretch = ray_lengths(facts, points.uv, points.frame)  # nearer by depth must be nearer in a straight line: no reader can be misled
        straight_gap_m = far_m * stretch[far] - near_m * stretch[near]
        is_either_way = straight_gap_m >= np.maximum(margins["min_gap_m"], margins["min_gap_share"] * near_m)
        apart_px = max(APART_SHARE, margins["min_apart_share"]) * sizes[points.frame[near], 0]  # dots never touch
        is_apart = ((points.uv[near] - points.uv[far]) ** 2).sum(axis=1) >= apart_px**2
        skips |= {
            "too_close_to_tell": int((~is_clear).sum()),
            "nearer_only_along_the_viewing_direction": int((~is_either_way).sum()),
            "dots_too_close_in_image": int((is_either_way & ~is_apart).sum()),
        }
        fair = is_either_way & is_apart
        near, far, near_m, far_m = near[fair], far[fair], near_m[fair], far_m[fair]
        asks_farther = rng.random(len(near)) < 0.5
        near_is_lower = points.uv[near, 1] > points.uv[far, 1]  # evened out, because "lower is nearer" would answer most pairs of a room
        answer = 2 * asks_farther + near_is_lower
        picked = pick(
            (points.frame[near],),
            answer=answer,
            rng=rng,
            most=options.max_per_scan,
            most_per_frame=options.max_per_frame,
            balance=options.balance,
            num_frames=len(facts.frames.frame_ids),
        )
        chosen = picked.index[evened(answer[picked.index])] if options.balance else picked.index
        near, far = near[chosen], far[chosen]
        rows = self.rows(
            len(chosen),
            template=2 * rng.integers(len(self.TEMPLATES) // 2, size=len(chosen)) + asks_farther[chosen],
            order=rng.permutation((np.arange(len(chosen)) + rng.integers(2)) % 2),  # 0: the right one is named first, in half of them
            colours=rng.integers(12, size=len(chosen)),
            first=points.frame[near],
            near_u_16=to_sixteenths(points.uv[near, 0]),
            near_v_16=to_sixteenths(points.uv[near, 1]),
            far_u_16=to_sixteenths(points.uv[far, 0]),
            far_v_16=to_sixteenths(points.uv[far, 1]),
            near_m=near_m[chosen],
            far_m=far_m[chosen],
        )
        passed = {"frame_asked_often_enough": picked.frame_used_up, "answer_asked_often_enough": len(picked.index) - len(chosen)}
        return Selected(rows=rows, skips={**skips, **passed})


def drawn_pairs(rows: np.ndarray, frame: np.ndarray, rng: np.random.Generator, *, tried: int) -> tuple[np.ndarray, np.ndarray]:
    """About `tried` distinct unordered pairs of those `rows (K,)` of points `frame (M,)`, all frames alike, fewer where there are fewer."""
    rows = rows[np.argsort(frame[rows], kind="stable")]
    starts, counts = np.unique(frame[rows], return_index=True, return_counts=True)[1:]
    starts, counts = starts[counts >= 2], counts[counts >= 2]
    if not len(starts):
        return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
    pairs = counts * (counts - 1) // 2
    wanted = max(1, -(-tried // len(starts)))
    which = rng.integers(pairs[:, None], size=(len(starts), wanted))  # of each frame's pairs, numbered row by row of a triangle
    base = np.concatenate([[0], np.cumsum(pairs)])
    flat = np.sort(base[:-1, None] + which, axis=None)
    flat = flat[np.diff(flat, prepend=-1) > 0]  # `np.unique` hashes whole numbers, which took half of the time of the task
    place = np.searchsorted(base, flat, side="right") - 1
    code = flat - base[place]
    later = ((1.0 + np.sqrt(1.0 + 8.0 * code)) / 2.0).astype(np.int64)
    later -= later * (later - 1) // 2 > code  # where the root was rounded up
    earlier = code - later * (later - 1) // 2
    return rows[starts[place] + earlier], rows[starts[place] + later]


def ray_lengths(facts: FactTable, uv: np.ndarray, frame: np.ndarray) -> np.ndarray:
    """Straight distance per metre of depth at pixels `(N, 2)` of frames `(N,)`."""
    pinhole = np.array([(one.fx, one.fy, one.cx, one.cy) for one in facts.frames.intrinsics], dtype=float).reshape(-1, 4)[frame]
    return np.sqrt(1.0 + (((uv - pinhole[:, 2:]) / pinhole[:, :2]) ** 2).sum(axis=1))


def evened(answer: np.ndarray) -> np.ndarray:
    """Places of `answer (N,)` in order, without those that make one answer more than `LOPSIDED` times as frequent as the rarest."""
    if not len(answer):
        return np.empty(0, dtype=np.int64)
    code, counts = np.unique(answer, return_inverse=True, return_counts=True)[1:]
    most = max(1, int(LOPSIDED * counts.min()))
    turn = np.empty(len(answer), dtype=np.int64)
    by_code = np.argsort(code, kind="stable")
    turn[by_code] = np.arange(len(answer)) - np.repeat(np.cumsum(counts) - counts, counts)
    return np.flatnonzero(turn < most)
