"""A rectangle in an image, in thousandths of its width and height or in pixels; scored by intersection over union."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from sightline.answers.answer import Score
from sightline.answers.lists import read_numbers
from sightline.answers.point import SCALES
from sightline.errors import DataError


@dataclass(frozen=True, kw_only=True, slots=True)
class Box:
    """`[left, top, right, bottom]` from the image's top left corner, x to the right and y down. The value is those four in `scale`.

    Pixels have integers at their centres, so the image reaches from -0.5 to width - 0.5; thousandths run from edge to edge:
    x = (u + 0.5) / width * 1000. The score is the area that both boxes share over the area that either covers, 0..1. A reply whose right
    is not beyond its left, or bottom not below its top, is a box without area and scores 0.
    """

    kind: ClassVar[str] = "box"

    width: int
    height: int
    scale: str = "thousandths"

    def __post_init__(self) -> None:
        if self.scale not in SCALES:
            raise DataError(f"box answer: expected a scale of {', '.join(SCALES)}, found {self.scale!r}")
        if not (self.width > 0 and self.height > 0):
            raise DataError(f"box answer: expected a size above 0, found {self.width}x{self.height}")

    def from_px(self, left_px: float, top_px: float, right_px: float, bottom_px: float) -> tuple[float, float, float, float]:
        """Edges in pixels in this answer's scale."""
        if self.scale == "pixels":
            return float(left_px), float(top_px), float(right_px), float(bottom_px)
        x, y = 1000.0 / self.width, 1000.0 / self.height
        return (left_px + 0.5) * x, (top_px + 0.5) * y, (right_px + 0.5) * x, (bottom_px + 0.5) * y

    def to_px(self, value: tuple[float, ...]) -> tuple[float, float, float, float]:
        """Edges in pixels of a value; the other way round than `from_px`."""
        left, top, right, bottom = (float(one) for one in value)
        if self.scale == "pixels":
            return left, top, right, bottom
        x_px, y_px = self.width / 1000.0, self.height / 1000.0
        return left * x_px - 0.5, top * y_px - 0.5, right * x_px - 0.5, bottom * y_px - 0.5

    def instruction(self) -> str:
        return f"Answer with the box as [left, top, right, bottom] in {SCALES[self.scale]}, from its top left corner."

    def json_schema(self) -> Mapping[str, Any]:
        most = 1000 if self.scale == "thousandths" else max(self.width, self.height)
        return {"type": "array", "items": {"type": "integer", "minimum": 0, "maximum": most}, "minItems": 4, "maxItems": 4}

    def render(self, value: tuple[float, ...]) -> str:
        """Whole numbers, rounded, none below 0. Raises DataError for what is no box of four finite numbers with an area."""
        if isinstance(value, str) or len(value) != 4 or not all(map(math.isfinite, value)):
            raise DataError(f"box answer: expected four finite numbers, found {value!r}")
        left, top, right, bottom = (max(round(one), 0) for one in value)  # the first pixel's outer edge, -0.5, is said as 0
        if not (left < right and top < bottom):
            raise DataError(f"box answer: expected left < right and top < bottom once rounded, found {value!r}")
        return f"[{left}, {top}, {right}, {bottom}]"

    def parse(self, reply: str) -> tuple[float, ...] | None:
        read = read_numbers(reply, count=4)
        return None if read is None else read[0]

    def score(self, reply: str, truth: tuple[float, ...]) -> Score:
        said = self.parse(reply)
        told = self.render(truth)
        if said is None:
            return Score(score=0.0, is_parsed=False, parsed=None, explanation=f"no four numbers in the reply, truth {told}")
        wanted = self.parse(told)  # as it is said: what rounding took away is nobody's mistake
        shared = intersection_over_union(said, wanted)
        shown = ", ".join(f"{one:g}" for one in said)
        return Score(
            score=shared, is_parsed=True, parsed=said, explanation=f"said [{shown}], truth {told}: intersection over union {shared:.2f}"
        )

    def to_row(self) -> dict[str, Any]:
        return {"width": self.width, "height": self.height, "scale": self.scale}


def intersection_over_union(first: tuple[float, ...], second: tuple[float, ...]) -> float:
    """Of two rectangles (left, top, right, bottom), 0..1; 0 where either has no area."""
    areas = [max(one[2] - one[0], 0.0) * max(one[3] - one[1], 0.0) for one in (first, second)]
    if 0.0 in areas:
        return 0.0
    width = min(first[2], second[2]) - max(first[0], second[0])
    height = min(first[3], second[3]) - max(first[1], second[1])
    shared = max(width, 0.0) * max(height, 0.0)
    return shared / (sum(areas) - shared)
