"""Depth comparison: which of two dotted points of one image is closer to the camera, or farther from it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from sightline.answers.answer import Answer
from sightline.facts.fact import FactTable
from sightline.questions.choosing import MAX_TRIED, Letters, choose
from sightline.questions.margins import margins_of
from sightline.questions.marks import Spot, dots, trouble_with
from sightline.questions.question import MARK_COLOURS, Question, Skip, TaskOptions
from sightline.questions.templates import word

CLOSER = (
    "Which dot is closer to the camera?",
    "Which of the two dots marks the closer point?",
    "Which marked point lies nearer to the camera?",
    "Compare the two dots. Which one is nearer?",
    "One of the dots is closer to the viewer. Which one?",
    "Which dot has the smaller depth?",
)
FARTHER = (
    "Which dot is farther from the camera?",
    "Which of the two dots marks the farther point?",
    "Which marked point lies deeper in the scene?",
    "Compare the two dots. Which one is farther away?",
    "One of the dots is farther from the viewer. Which one?",
    "Which dot has the larger depth?",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class PointPair:
    """Rows of two points of one frame, the near one first, and what is asked."""

    near: int
    far: int
    asks_closer: bool
    near_is_lower: bool  # in the image; evened out, because "lower is nearer" would answer most pairs of a room


class DepthComparison:
    """Choice between the colours of two dots."""

    name: ClassVar[str] = "depth_comparison"
    needs: ClassVar[frozenset[str]] = frozenset(("frames", "points"))
    MARGINS: ClassVar[Mapping[str, float]] = {
        "min_gap_m": 0.25,
        "min_gap_share": 0.15,  # of the nearer depth: a gap that sensor noise and people can tell
    }

    def ask(self, facts: FactTable, rng: np.random.Generator, options: TaskOptions) -> Iterator[Question | Skip]:
        margins = margins_of(self, options)
        points = facts.points
        letters = Letters(rng, options)
        pairs: list[PointPair] = []
        for first, second in self._drawn(facts, rng, options):
            near, far = (first, second) if points.depth_m[first] < points.depth_m[second] else (second, first)
            gap_m = points.depth_m[far] - points.depth_m[near]
            if gap_m < max(margins["min_gap_m"], margins["min_gap_share"] * points.depth_m[near]):
                yield Skip(task=self.name, scan_id=facts.scan_id, reason="too_close_to_tell")
                continue
            near_is_lower = bool(points.uv[near, 1] > points.uv[far, 1])
            pairs.append(PointPair(near=near, far=far, asks_closer=bool(rng.random() < 0.5), near_is_lower=near_is_lower))

        def build(pair: PointPair) -> Question | Skip:
            return self._question(pair, facts, rng, letters, margins)

        yield from choose(
            pairs, key=lambda pair: (pair.asks_closer, pair.near_is_lower), build=build, rng=rng, options=options, is_strict=True
        )

    def _drawn(self, facts: FactTable, rng: np.random.Generator, options: TaskOptions) -> Iterator[tuple[int, int]]:
        """Distinct pairs of points of one frame, at random, frames in turn."""
        rows_of = [np.flatnonzero(facts.points.frame == frame) for frame in range(len(facts.frames.frame_ids))]
        rows_of = [rows for rows in rows_of if len(rows) >= 2]
        if not rows_of:
            return
        seen: set[tuple[int, int]] = set()
        for turn in range(min(MAX_TRIED * options.max_per_scan, sum(len(rows) * (len(rows) - 1) // 2 for rows in rows_of))):
            rows = rows_of[turn % len(rows_of)]
            first, second = (int(row) for row in rng.choice(rows, size=2, replace=False, shuffle=True))
            pair = (min(first, second), max(first, second))
            if pair not in seen:
                seen.add(pair)
                yield first, second

    def _question(
        self, pair: PointPair, facts: FactTable, rng: np.random.Generator, letters: Letters, margins: Mapping[str, float]
    ) -> Question | Skip:
        points = facts.points
        frame = int(points.frame[pair.near])
        spots = [Spot(frame=frame, u_px=float(points.uv[row, 0]), v_px=float(points.uv[row, 1])) for row in (pair.near, pair.far)]
        if trouble := trouble_with(spots, facts):
            return Skip(task=self.name, scan_id=facts.scan_id, reason=trouble)
        near, far = dots(spots, facts, rng)
        right, wrong = (near.colour, far.colour) if pair.asks_closer else (far.colour, near.colour)
        choice = letters.choice(right, [wrong], order=tuple(MARK_COLOURS))
        wording = word(self.name, CLOSER, rng) if pair.asks_closer else word(self.name, FARTHER, rng, first_index=len(CLOSER))
        gap_m = float(points.depth_m[pair.far] - points.depth_m[pair.near])
        return Question(
            task=self.name,
            scan_id=facts.scan_id,
            frame_ids=(facts.frames.frame_ids[frame],),
            text=f"{wording.text} {choice.listing}",
            answer=Answer(format=choice, value=choice.letter_of(right)),
            template_id=wording.template_id,
            evidence={
                "near": near.colour,
                "near_depth_m": round(float(points.depth_m[pair.near]), 4),
                "far_depth_m": round(float(points.depth_m[pair.far]), 4),
                "gap_m": round(gap_m, 4),
                "min_gap_m": round(max(margins["min_gap_m"], margins["min_gap_share"] * float(points.depth_m[pair.near])), 4),
            },
            marks=tuple(sorted((near, far), key=lambda mark: tuple(MARK_COLOURS).index(mark.colour))),
        )
