"""Point sideways: how far to the left or right of the camera's line of sight a dotted point is."""

from collections.abc import Iterator, Mapping
from typing import ClassVar

import numpy as np

from sightline.facts.fact import FactTable
from sightline.questions.margins import margins_of
from sightline.questions.question import Question, Skip, TaskOptions
from sightline.questions.single_points import ask_points

TEMPLATES = (
    "How far to the {side} of the camera's line of sight is the {colour} dot?",
    "How many metres to the {side} of straight ahead is the {colour} dot?",
    "How far to the {side} would you step to stand in line with the {colour} dot?",
    "What is the sideways distance of the {colour} dot, to the {side} of straight ahead?",
    "The {colour} dot lies to the {side}. How far, measured sideways?",
    "Measured sideways, how far to the {side} is the {colour} dot?",
)


class PointSideways:
    """Metres along the camera's own left-right axis of one point; the side is told, the distance asked."""

    name: ClassVar[str] = "point_sideways"
    needs: ClassVar[frozenset[str]] = frozenset(("frames", "points"))
    MARGINS: ClassVar[Mapping[str, float]] = {"decimals": 1, "min_in_last_digits": 3}

    def ask(self, facts: FactTable, rng: np.random.Generator, options: TaskOptions) -> Iterator[Question | Skip]:
        points, frames = facts.points, facts.frames
        right_m = np.zeros(len(points.frame))
        for index, camera in enumerate(frames.intrinsics):
            rows = points.frame == index
            right_m[rows] = (points.uv[rows, 0] - camera.cx) / camera.fx * points.depth_m[rows]
        yield from ask_points(
            self.name,
            facts,
            rng,
            options,
            values_m=np.abs(right_m),
            what="sideways_m",
            templates=TEMPLATES,
            margins=margins_of(self, options),
            slots=[{"side": "right" if value > 0 else "left"} for value in right_m],
        )
