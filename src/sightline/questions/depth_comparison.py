"""Depth comparison: which of two dotted points of one image is closer to the camera, or farther from it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from sightline.answers.answer import Answer
from sightline.facts.fact import FactTable, PointFacts
from sightline.questions.choosing import Letters, choose, times
from sightline.questions.margins import margins_of
from sightline.questions.marks import Spot, dots, trouble_with
from sightline.questions.question import MARK_COLOURS, Question, Skip, TaskOptions
from sightline.questions.templates import word

TRIED_PER_QUESTION = 25  # pairs drawn: the nearer point is the higher one in about a quarter of them

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
        near, far = self._drawn(points, rng, options)
        gap_m = points.depth_m[far] - points.depth_m[near]
        is_clear = gap_m >= np.maximum(margins["min_gap_m"], margins["min_gap_share"] * points.depth_m[near])
        yield from times(Skip(task=self.name, scan_id=facts.scan_id, reason="too_close_to_tell"), (~is_clear).sum())
        near, far = near[is_clear], far[is_clear]
        asks_closer = rng.random(len(near)) < 0.5
        near_is_lower = points.uv[near, 1] > points.uv[far, 1]
        pairs = [
            PointPair(near=int(one), far=int(other), asks_closer=bool(asks), near_is_lower=bool(lower))
            for one, other, asks, lower in zip(near, far, asks_closer, near_is_lower)
        ]

        def build(pair: PointPair) -> Question | Skip:
            return self._question(pair, facts, rng, letters, margins)

        yield from choose(
            pairs, key=lambda pair: (pair.asks_closer, pair.near_is_lower), build=build, rng=rng, options=options, is_strict=True
        )

    @staticmethod
    def _drawn(points: PointFacts, rng: np.random.Generator, options: TaskOptions) -> tuple[np.ndarray, np.ndarray]:
        """Distinct pairs of points of one frame in random order, all frames alike: rows of the nearer and of the farther ones."""
        rows_of = [np.flatnonzero(points.frame == frame) for frame in np.unique(points.frame)]
        rows_of = [rows for rows in rows_of if len(rows) >= 2]
        pairs = [np.empty((0, 2), dtype=np.int64)]
        for rows in rows_of:
            wanted = max(1, TRIED_PER_QUESTION * options.max_per_scan // len(rows_of))
            first = rng.integers(len(rows), size=wanted)
            second = (first + rng.integers(1, len(rows), size=wanted)) % len(rows)
            pairs.append(np.unique(np.sort(rows[np.stack([first, second], axis=1)], axis=1), axis=0))
        both = rng.permutation(np.concatenate(pairs))
        swapped = points.depth_m[both[:, 0]] > points.depth_m[both[:, 1]]
        both[swapped] = both[swapped, ::-1]
        return both[:, 0], both[:, 1]

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
