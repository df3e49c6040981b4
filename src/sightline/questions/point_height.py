"""Point height: how high above the floor a dotted point is, along gravity."""

from collections.abc import Iterator, Mapping
from typing import ClassVar

import numpy as np

from sightline.facts.fact import FactTable
from sightline.questions.margins import margins_of
from sightline.questions.question import Question, Skip, TaskOptions
from sightline.questions.single_points import ask_points

TEMPLATES = (
    "How high above the floor is the {colour} dot?",
    "What is the height of the {colour} dot above the floor?",
    "How far above the ground is the point under the {colour} dot?",
    "Give the height of the {colour} dot over the floor.",
    "The {colour} dot marks a point. How high is it above the floor?",
    "At which height above the floor lies the {colour} dot?",
)


class PointHeight:
    """Metres above the floor of one point; asked where the floor is known."""

    name: ClassVar[str] = "point_height"
    needs: ClassVar[frozenset[str]] = frozenset(("frames", "points"))
    MARGINS: ClassVar[Mapping[str, float]] = {"decimals": 1, "min_in_last_digits": 5}

    def ask(self, facts: FactTable, rng: np.random.Generator, options: TaskOptions) -> Iterator[Question | Skip]:
        floors_m = {room.floor_z_m for room in facts.structure.rooms} if facts.structure is not None else set()
        if len(floors_m) != 1:
            yield Skip(task=self.name, scan_id=facts.scan_id, reason="floor_not_known" if not floors_m else "floor_on_several_levels")
            return
        yield from ask_points(
            self.name,
            facts,
            rng,
            options,
            values_m=facts.points.point_world[:, 2] - floors_m.pop(),
            what="height_m",
            templates=TEMPLATES,
            margins=margins_of(self, options),
        )
