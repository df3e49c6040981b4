"""Point height: how high above the floor a dotted point is, along gravity."""

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from sightline.facts.fact import FactTable
from sightline.questions.single_points import SinglePointTask

TEMPLATES = (
    "How high above the floor is {point}?",
    "What is the height of {point} above the floor?",
    "How far above the floor, straight up, is the surface at {point}?",
    "A plumb line hangs from {point} down to the floor. How long is it?",
    "Look at {point}. How high is it above the floor?",
    "At what height above the floor is {point}?",
    "How far would something fall from {point} to the floor, with nothing in the way?",
    "Measured straight up from the floor, how high is {point}?",
)


class PointHeight(SinglePointTask):
    """Height above the floor of one dotted point; asked where the scan has one floor level."""

    name: ClassVar[str] = "point_height"
    needs: ClassVar[frozenset[str]] = frozenset(("frames", "points"))
    MARGINS: ClassVar[Mapping[str, float]] = {
        "min_height_m": 0.5,  # in metres with one decimal, rounding moves an answer by 10 % at most
        "max_height_m": 10.0,  # higher than any room that is scanned: a stray reading
    }
    TEMPLATES: ClassVar[tuple[str, ...]] = TEMPLATES
    WHAT: ClassVar[str] = "height_m"

    def values_m(self, facts: FactTable) -> np.ndarray | str:
        floors_m = {room.floor_z_m for room in facts.structure.rooms} if facts.structure is not None else set()
        if len(floors_m) != 1:
            return "floor_not_known" if not floors_m else "floor_on_several_levels"
        heights_m = facts.points.point_world[:, 2] - floors_m.pop()
        return np.maximum(heights_m, 0.0)  # what lies below the floor is a stray reading: 0 falls under the margin
