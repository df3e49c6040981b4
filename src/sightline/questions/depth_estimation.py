"""Depth estimation: how far a point is in front of the camera along the viewing direction, the point dotted or given as a coordinate."""

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from sightline.facts.fact import FactTable
from sightline.questions.single_points import SinglePointTask

TEMPLATES = (
    "What is the depth of {point}, measured along the viewing direction?",
    "How far in front of the camera is {point}, measured along the viewing direction?",
    "How deep in the scene, along the viewing direction, is the surface at {point}?",
    "How far ahead of the camera, along its viewing direction, does the surface at {point} lie?",
    "Look at {point}. What is its depth along the viewing direction?",
    "At what depth along the viewing direction is {point}?",
    "Going straight ahead along the viewing direction, how far is it until you are level with {point}?",
    "Give the depth of the surface at {point}: its distance from the camera along the viewing direction.",
)


class DepthEstimation(SinglePointTask):
    """z-depth of a dotted point."""

    name: ClassVar[str] = "depth_estimation"
    needs: ClassVar[frozenset[str]] = frozenset(("frames", "points"))
    MARGINS: ClassVar[Mapping[str, float]] = {
        "min_depth_m": 0.5,  # in metres with one decimal, rounding moves an answer by 10 % at most
        "max_depth_m": 20.0,  # beyond it no depth sensor of the known scans reads
    }
    TEMPLATES: ClassVar[tuple[str, ...]] = TEMPLATES
    WHAT: ClassVar[str] = "depth_m"

    def values_m(self, facts: FactTable) -> np.ndarray | str:
        return facts.points.depth_m


class DepthEstimationCoordinate(DepthEstimation):
    """z-depth of a point given as `[x, y]` in `options.point_scale`; nothing is drawn."""

    name: ClassVar[str] = "depth_estimation_coordinate"
    IS_DOTTED: ClassVar[bool] = False
