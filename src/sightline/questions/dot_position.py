"""Dot position: in which quarter of the image a dot is. A control: it needs eyes and no geometry."""

from collections.abc import Mapping
from itertools import permutations
from typing import ClassVar

import numpy as np

from sightline.answers.answer import Answer
from sightline.answers.choice import Choice
from sightline.facts.fact import FactTable
from sightline.questions.margins import margins_of
from sightline.questions.marks import APART_SHARE, are_whole, sizes_px
from sightline.questions.picking import pick
from sightline.questions.question import MARK_COLOURS, Mark, Question, TaskOptions
from sightline.questions.rows import IndexedTask, Renderer, ScanHead, Selected, to_sixteenths

QUARTERS = ("upper left", "upper right", "lower left", "lower right")
ORDERS = np.array(list(permutations(range(len(QUARTERS)))))  # (24, 4) which quarter stands at each letter
COLOURS = tuple(permutations(MARK_COLOURS, 3))  # of the dot asked about and of two others, so that the colour in the question matters

TEMPLATES = (
    "In which part of the image is the {colour} dot?",
    "Where in the image is the {colour} dot?",
    "Which quarter of the picture holds the {colour} dot?",
    "Halve the image both ways. Into which quarter does the {colour} dot fall?",
    "Look for the {colour} dot. Where is it in the picture?",
    "Which corner of the picture is the {colour} dot nearest to?",
    "Cut the image into four equal parts. Which one is the {colour} dot in?",
    "Of the dots drawn on the image, where is the {colour} dot?",
)


class DotPosition(IndexedTask):
    """Choice of the quarter of the image that holds the dot of a colour."""

    name: ClassVar[str] = "dot_position"
    needs: ClassVar[frozenset[str]] = frozenset(("frames", "points"))
    MARGINS: ClassVar[Mapping[str, float]] = {"min_off_centre_share": 0.06}  # of the image size, from both middle lines
    PAYLOAD: ClassVar[np.dtype] = np.dtype([(f"{axis}_{dot}", "u2") for dot in range(3) for axis in ("u", "v")])

    def select(self, facts: FactTable, rng: np.random.Generator, options: TaskOptions) -> Selected:
        points, sizes = facts.points, sizes_px(facts)
        rows = np.flatnonzero(are_whole(points.uv, sizes[points.frame]))
        skips = {"dot_at_image_border": len(points.frame) - len(rows)}
        trios = with_two_others(rows, points.frame, rng)
        skips["too_few_points_in_image"] = len(rows) - len(trios)
        frame = points.frame[trios[:, 0]]
        uv, size_px = points.uv[trios], sizes[frame]
        off_centre = (uv[:, 0] + 0.5) / size_px - 0.5
        is_clear = (np.abs(off_centre) >= margins_of(self, options)["min_off_centre_share"]).all(axis=1)
        apart_px = np.stack([np.hypot(*(uv[:, one] - uv[:, other]).T) for one, other in ((0, 1), (0, 2), (1, 2))]).min(axis=0)
        is_apart = apart_px >= APART_SHARE * size_px[:, 0]
        skips |= {"too_near_the_middle": int((~is_clear).sum()), "dots_too_close_in_image": int((is_clear & ~is_apart).sum())}
        index = np.flatnonzero(is_clear & is_apart)
        quarter = ((off_centre > 0) @ np.array([1, 2]))[index]  # of QUARTERS
        picked = pick(
            (frame[index],),
            answer=quarter,
            rng=rng,
            most=options.max_per_scan,
            most_per_frame=options.max_per_frame,
            balance=options.balance,
            num_frames=len(facts.frames.frame_ids),
        )
        chosen, quarter = index[picked.index], quarter[picked.index]
        letter = rng.permutation((np.arange(len(chosen)) + rng.integers(4)) % 4)
        at_letter = np.stack([[np.flatnonzero(ORDERS[:, place] == one) for place in range(4)] for one in range(4)])  # (4, 4, 6)
        order = at_letter[quarter, letter, rng.integers(at_letter.shape[2], size=len(chosen))]
        stored = to_sixteenths(uv[chosen])
        rows = self.rows(
            len(chosen),
            template=rng.integers(len(TEMPLATES), size=len(chosen)),
            order=order if options.shuffle_options else np.zeros(len(chosen), dtype=np.int64),
            colours=rng.integers(len(COLOURS), size=len(chosen)),
            first=frame[chosen],
            **{f"{axis}_{dot}": stored[:, dot, place] for dot in range(3) for place, axis in enumerate(("u", "v"))},
        )
        return Selected(rows=rows, skips={**skips, "frame_asked_often_enough": picked.frame_used_up})

    def renderer(self, options: TaskOptions) -> Renderer:
        margin_share = margins_of(self, options)["min_off_centre_share"]
        choices = [Choice(options=tuple(QUARTERS[one] for one in order)) for order in ORDERS]
        answers = [[Answer(format=choice, value=choice.letter_of(one)) for one in QUARTERS] for choice in choices]
        listings = [choice.listing for choice in choices]
        texts = [[one.format(colour=colours[0]) for colours in COLOURS] for one in TEMPLATES]
        template_ids = [f"{self.name}.{index}" for index in range(len(TEMPLATES))]

        def render(row: tuple, scan: ScanHead) -> Question:
            _, template, order, colours, first, _, u_16, v_16, other_u, other_v, third_u, third_v, _ = row
            frame_id = scan.frame_ids[first]
            right, down = (u_16 / 16.0 + 0.5) / scan.widths[first] - 0.5, (v_16 / 16.0 + 0.5) / scan.heights[first] - 0.5
            one, other, third = COLOURS[colours]
            return Question.made(
                task="dot_position",
                scan_id=scan.scan_id,
                frame_ids=(frame_id,),
                text=f"{texts[template][colours]} {listings[order]}",
                answer=answers[order][(right > 0) + 2 * (down > 0)],
                template_id=template_ids[template],
                evidence={
                    "right_of_centre_share": round(right, 4),
                    "below_centre_share": round(down, 4),
                    "min_off_centre_share": margin_share,
                },
                marks=(
                    Mark.made(frame_id=frame_id, u_px=u_16 / 16.0, v_px=v_16 / 16.0, colour=one),
                    Mark.made(frame_id=frame_id, u_px=other_u / 16.0, v_px=other_v / 16.0, colour=other),
                    Mark.made(frame_id=frame_id, u_px=third_u / 16.0, v_px=third_v / 16.0, colour=third),
                ),
            )

        return render


def with_two_others(rows: np.ndarray, frame: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Each of `rows (K,)` of points `frame (M,)` with two others of its frame `(L, 3)`, where the frame has as many."""
    rows = rows[np.argsort(frame[rows], kind="stable")]
    starts, code, counts = np.unique(frame[rows], return_index=True, return_inverse=True, return_counts=True)[1:]
    start, count = starts[code], counts[code]
    is_enough = count >= 3
    rows_left, start, count = np.flatnonzero(is_enough), start[is_enough], count[is_enough]
    one = rng.integers(1, count)  # steps round the frame's points, never back to the same
    other = rng.integers(1, np.maximum(count - 1, 2))
    other += other >= one
    places = np.stack([rows_left, *(start + (rows_left - start + step) % count for step in (one, other))], axis=1)
    return rows[places]
