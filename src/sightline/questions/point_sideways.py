"""Point sideways: how far to the left or right of the camera's line of sight a dotted point is."""

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from sightline.facts.fact import FactTable
from sightline.questions.single_points import SinglePointTask

TEMPLATES = (
    "How far to the {side} of the camera's line of sight is {point}?",
    "How far to the {side} of straight ahead is {point}, seen from the camera?",
    "From where the camera is, how far to the {side} would you step to have {point} straight ahead?",
    "What is the sideways distance of {point}, to the {side} of straight ahead?",
    "Seen from the camera, {point} lies to the {side} of straight ahead. How far, measured sideways?",
    "Measured sideways from the camera's line of sight, how far to the {side} is {point}?",
    "By how much is {point} off to the {side} of the viewing direction?",
    "The camera looks straight ahead. How far to the {side} of that line is {point}?",
)


class PointSideways(SinglePointTask):
    """Distance along the camera's own left-right axis of one dotted point; the side is told, the distance asked."""

    name: ClassVar[str] = "point_sideways"
    needs: ClassVar[frozenset[str]] = frozenset(("frames", "points"))
    MARGINS: ClassVar[Mapping[str, float]] = {
        "min_sideways_m": 0.3,  # in metres with one decimal, rounding moves an answer by a sixth at most
        "max_sideways_m": 20.0,
    }
    TEMPLATES: ClassVar[tuple[str, ...]] = TEMPLATES
    WHAT: ClassVar[str] = "sideways_m"

    def values_m(self, facts: FactTable) -> np.ndarray | str:
        points = facts.points
        pinhole = np.array([(camera.fx, camera.cx) for camera in facts.frames.intrinsics], dtype=float).reshape(-1, 2)[points.frame]
        return (points.uv[:, 0] - pinhole[:, 1]) / pinhole[:, 0] * points.depth_m
