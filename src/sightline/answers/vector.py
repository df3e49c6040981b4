"""Three numbers with a unit along named axes, right when the whole vector is within a share of its length."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar

from sightline.answers.answer import Score
from sightline.answers.lists import read_numbers
from sightline.answers.number import UNIT_WORDS, scale_between
from sightline.errors import DataError


@dataclass(frozen=True, kw_only=True, slots=True)
class Vector:
    """A displacement or position in `unit` along `axes`. The value is a tuple of as many floats.

    `[412, -38, 905]`, with or without brackets, units or axis names, is understood; a unit of the same kind is converted.
    """

    kind: ClassVar[str] = "vector"

    unit: str
    decimals: int
    axes: tuple[str, ...] = ("right", "down", "forward")
    tolerance_share: float = 0.2  # MultiSPA paper: within 20 % of the true vector's length

    def __post_init__(self) -> None:
        object.__setattr__(self, "axes", tuple(self.axes))
        if self.unit not in UNIT_WORDS or not self.unit:
            raise DataError(f"vector answer: expected a unit of {', '.join(filter(None, UNIT_WORDS))}, found {self.unit!r}")
        if not (isinstance(self.decimals, int) and 0 <= self.decimals <= 6):
            raise DataError(f"vector answer: expected decimals of 0 to 6, found {self.decimals!r}")
        if len(self.axes) < 2 or not 0.0 < self.tolerance_share < 1.0:
            raise DataError(
                f"vector answer: expected two or more axes and a tolerance in 0..1, found {self.axes!r} and {self.tolerance_share!r}"
            )

    def instruction(self) -> str:
        return f"Answer with [{', '.join(self.axes)}] in {UNIT_WORDS[self.unit]}."

    def json_schema(self) -> Mapping[str, Any]:
        item: dict[str, Any] = {"type": "integer"} if self.decimals == 0 else {"type": "number", "multipleOf": float(f"1e-{self.decimals}")}
        return {"type": "array", "items": item, "minItems": len(self.axes), "maxItems": len(self.axes)}

    def render(self, value: tuple[float, ...]) -> str:
        """Rounded, never truncated. Raises DataError for a value of another length or that is not finite."""
        pattern, minus_zero, zero = _spelling(self.decimals, len(self.axes))
        try:
            text = pattern % tuple(value)
        except TypeError:
            text = "none"
        if "n" in text:  # nan, inf
            raise DataError(f"vector answer: expected {len(self.axes)} finite numbers, found {value!r}")
        return text.replace(minus_zero, zero)

    def parse(self, reply: str) -> tuple[float, ...] | None:
        read = read_numbers(reply, count=len(self.axes))
        if read is None:
            return None
        values, units = read
        scales = {scale for unit in units if (scale := scale_between(unit.lower(), self.unit)) is not None}
        if len(scales) > 1:
            return None
        scale = scales.pop() if scales else 1.0
        return tuple(value * scale for value in values)

    def score(self, reply: str, truth: tuple[float, ...]) -> Score:
        """1 where the difference is at most `tolerance_share` of the true length; a truth that rounds to zero wants one that does too."""
        said = self.parse(reply)
        told = self.render(truth)
        if said is None:
            return Score(score=0.0, is_parsed=False, parsed=None, explanation=f"no {len(self.axes)} numbers in the reply, truth {told}")
        target = self.parse(told)
        length, off = math.hypot(*target), math.dist(said, target)
        if length == 0.0:
            is_right = all(_rounded(one, self.decimals) == _rounded(0.0, self.decimals) for one in said)
            return Score(score=float(is_right), is_parsed=True, parsed=said, explanation=f"said {self.render(said)}, truth is no movement")
        is_right = off <= self.tolerance_share * length
        words = f"said {self.render(said)}, truth {told}: off by {off / length:.0%}"
        return Score(score=float(is_right), is_parsed=True, parsed=said, explanation=words)

    def to_row(self) -> dict[str, Any]:
        return {"unit": self.unit, "decimals": self.decimals, "axes": list(self.axes), "tolerance_share": self.tolerance_share}


@cache
def _spelling(decimals: int, count: int) -> tuple[str, str, str]:
    """`[%.2f, %.2f, %.2f]`, `-0.00` and `0.00`: all numbers at once are said faster than one by one."""
    zero = f"{0.0:.{decimals}f}"
    return f"[{', '.join([f'%.{decimals}f'] * count)}]", f"-{zero}", zero


def _rounded(value: float, decimals: int) -> str:
    text = f"{float(value):.{decimals}f}"
    return text[1:] if text[0] == "-" and float(text) == 0.0 else text
