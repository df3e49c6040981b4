"""A place in an image, in thousandths of its width and height or in pixels; right within a share of the width."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from sightline.answers.answer import Score
from sightline.answers.lists import read_numbers
from sightline.errors import DataError

SCALES = {"thousandths": "thousandths of the image's width and height", "pixels": "pixels"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Point:
    """`[x, y]` from the image's top left corner, x to the right and y down. The value is (x, y) in `scale`.

    Pixels have integers at their centres, thousandths run from edge to edge: x = (u + 0.5) / width * 1000. Right is what lies within
    `radius_share` of the image's width, measured in pixels (MultiSPA paper: 5 %).
    """

    kind: ClassVar[str] = "point"

    width: int
    height: int
    scale: str = "thousandths"
    radius_share: float = 0.05

    def __post_init__(self) -> None:
        if self.scale not in SCALES:
            raise DataError(f"point answer: expected a scale of {', '.join(SCALES)}, found {self.scale!r}")
        if not (self.width > 0 and self.height > 0 and 0.0 < self.radius_share < 1.0):
            raise DataError(
                f"point answer: expected a size above 0 and a radius_share in 0..1, found {self.width}x{self.height}, {self.radius_share!r}"
            )

    def from_px(self, u_px: float, v_px: float) -> tuple[float, float]:
        """A pixel in this answer's scale."""
        if self.scale == "pixels":
            return float(u_px), float(v_px)
        return (u_px + 0.5) / self.width * 1000.0, (v_px + 0.5) / self.height * 1000.0

    def to_px(self, value: tuple[float, float]) -> tuple[float, float]:
        """The pixel of a value."""
        if self.scale == "pixels":
            return float(value[0]), float(value[1])
        return value[0] * self.width / 1000.0 - 0.5, value[1] * self.height / 1000.0 - 0.5

    def instruction(self) -> str:
        return f"Answer with the point as [x, y] in {SCALES[self.scale]}, from its top left corner."

    def json_schema(self) -> Mapping[str, Any]:
        most = 1000 if self.scale == "thousandths" else max(self.width, self.height)
        return {"type": "array", "items": {"type": "integer", "minimum": 0, "maximum": most}, "minItems": 2, "maxItems": 2}

    def render(self, value: tuple[float, float]) -> str:
        """Whole numbers, rounded. Raises DataError for what is no pair of finite numbers."""
        try:
            x, y = value
            return f"[{round(x)}, {round(y)}]"
        except (TypeError, ValueError, OverflowError) as error:  # words, another length, NaN, infinity
            raise DataError(f"point answer: expected two finite numbers, found {value!r}") from error

    def parse(self, reply: str) -> tuple[float, float] | None:
        read = read_numbers(reply, count=2)
        return None if read is None else (read[0][0], read[0][1])

    def score(self, reply: str, truth: tuple[float, float]) -> Score:
        said = self.parse(reply)
        told = self.render(truth)
        if said is None:
            return Score(score=0.0, is_parsed=False, parsed=None, explanation=f"no pair of numbers in the reply, truth {told}")
        off_px = math.dist(self.to_px(said), self.to_px(truth))
        is_right = off_px <= self.radius_share * self.width
        return Score(
            score=float(is_right),
            is_parsed=True,
            parsed=said,
            explanation=f"said {self.render(said)}, truth {told}: {off_px:.0f} pixels off, {self.radius_share * self.width:.0f} allowed",
        )

    def to_row(self) -> dict[str, Any]:
        return {"width": self.width, "height": self.height, "scale": self.scale, "radius_share": self.radius_share}
