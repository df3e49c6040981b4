"""Depth estimation: how far a dotted point is in front of the camera, along the viewing direction."""

from collections.abc import Iterator, Mapping
from typing import ClassVar

import numpy as np

from sightline.answers.answer import Answer
from sightline.answers.number import Number
from sightline.facts.fact import FactTable
from sightline.questions.choosing import choose, log_bin, thinned, times
from sightline.questions.margins import margins_of
from sightline.questions.marks import Spot, dots, trouble_with
from sightline.questions.question import Question, Skip, TaskOptions
from sightline.questions.templates import word

TEMPLATES = (
    "What is the depth of the {colour} dot?",
    "How far in front of the camera is the {colour} dot?",
    "How deep in the scene is the point under the {colour} dot?",
    "How far ahead of the camera does the surface at the {colour} dot lie?",
    "Look at the {colour} dot. What is its depth?",
    "At which depth is the {colour} dot, measured straight ahead from the camera?",
    "How far away, straight ahead, is the point marked by the {colour} dot?",
    "Give the depth of the surface point under the {colour} dot.",
)


class DepthEstimation:
    """Metres of z-depth of one point."""

    name: ClassVar[str] = "depth_estimation"
    needs: ClassVar[frozenset[str]] = frozenset(("frames", "points"))
    MARGINS: ClassVar[Mapping[str, float]] = {
        "decimals": 1,
        "min_in_last_digits": 5,  # an answer is at least this many of its last digits, so that rounding moves it by 10 % at most
        "max_depth_m": 20.0,
    }

    def ask(self, facts: FactTable, rng: np.random.Generator, options: TaskOptions) -> Iterator[Question | Skip]:
        margins = margins_of(self, options)
        points = facts.points
        rows = thinned(len(points.frame), rng=rng, options=options)
        is_far = points.depth_m[rows] >= margins["min_in_last_digits"] * 10.0 ** -margins["decimals"]
        is_near = points.depth_m[rows] <= margins["max_depth_m"]
        yield from times(Skip(task=self.name, scan_id=facts.scan_id, reason="too_near"), (~is_far).sum())
        yield from times(Skip(task=self.name, scan_id=facts.scan_id, reason="too_far"), (~is_near).sum())
        form = Number(unit="m", decimals=int(margins["decimals"]), high=100.0)

        def build(row: int) -> Question | Skip:
            spot = Spot(frame=int(points.frame[row]), u_px=float(points.uv[row, 0]), v_px=float(points.uv[row, 1]))
            if trouble := trouble_with([spot], facts):
                return Skip(task=self.name, scan_id=facts.scan_id, reason=trouble)
            marks = dots([spot], facts, rng)
            wording = word(self.name, TEMPLATES, rng, colour=marks[0].colour)
            return Question(
                task=self.name,
                scan_id=facts.scan_id,
                frame_ids=(facts.frames.frame_ids[spot.frame],),
                text=wording.text,
                answer=Answer(format=form, value=float(points.depth_m[row])),
                template_id=wording.template_id,
                evidence={"depth_m": round(float(points.depth_m[row]), 4)},
                marks=marks,
            )

        yield from choose(
            [int(row) for row in rows[is_far & is_near]],
            key=lambda row: log_bin(points.depth_m[row]),
            build=build,
            rng=rng,
            options=options,
        )
