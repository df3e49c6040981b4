"""An upright box in space as compact JSON, in the level frame of the first camera; scored by 3-D intersection over union."""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from sightline.answers.answer import Score
from sightline.errors import DataError

CENTRE_KEYS = ("centre_m", "center_m")
DECIMALS = 2  # of metres; the yaw is said in whole degrees
SAME = 1.0 - 1e-9  # an intersection over union above it is that of one box with itself, but for the arithmetic
Corner = tuple[float, float]


@dataclass(frozen=True, kw_only=True, slots=True)
class Box3d:
    """`{"centre_m":[x,y,z],"size_m":[l,w,h],"yaw_deg":a}`. The value is those seven numbers in that order.

    The frame is level: its origin is the first camera's centre, z points up against gravity, y along that camera's viewing direction
    made horizontal, x to its right. l and w are the box's full extents along its own two level axes, h its height; the yaw turns x to the
    axis of l, counter-clockwise from above. A box turned by 180 degrees, or by 90 degrees with l and w exchanged, is the same box and
    scores the same. The score is the volume that both boxes share over the volume that either fills, 0..1.
    """

    kind: ClassVar[str] = "box3d"

    def instruction(self) -> str:
        return (
            'Answer with JSON: {"centre_m":[x,y,z],"size_m":[length,width,height],"yaw_deg":a}, in metres and degrees. The camera of the '
            "first image is the origin, x points right, y level and forward, z up; a is the angle from x to the length, counter-clockwise."
        )

    def json_schema(self) -> Mapping[str, Any]:
        number = {"type": "number"}
        return {
            "type": "object",
            "properties": {
                "centre_m": {"type": "array", "items": number, "minItems": 3, "maxItems": 3},
                "size_m": {"type": "array", "items": {"type": "number", "exclusiveMinimum": 0}, "minItems": 3, "maxItems": 3},
                "yaw_deg": {"type": "number", "minimum": -180, "maximum": 180},
            },
            "required": ["centre_m", "size_m", "yaw_deg"],
            "additionalProperties": False,
        }

    def render(self, value: tuple[float, ...]) -> str:
        """Metres with two digits, whole degrees. Raises DataError for what is no box."""
        if isinstance(value, str) or not _is_box(value):
            raise DataError(f"box3d answer: expected seven finite numbers with sizes above 0, found {value!r}")
        metres = [_rounded(one, DECIMALS) for one in value[:6]]
        if min(metres[3:]) <= 0.0:
            raise DataError(f"box3d answer: expected sizes of a centimetre or more, found {value!r}")
        said = {"centre_m": metres[:3], "size_m": metres[3:], "yaw_deg": int(_rounded(value[6], 0))}
        return json.dumps(said, separators=(",", ":"))

    def parse(self, reply: str) -> tuple[float, ...] | None:
        """The one box in a reply, code fences and words around it read through; several different ones are none."""
        if not isinstance(reply, str):
            return None
        found = {box for one in _objects(reply) if (box := _box_of(one)) is not None}
        return found.pop() if len(found) == 1 else None

    def score(self, reply: str, truth: tuple[float, ...]) -> Score:
        said = self.parse(reply)
        told = self.render(truth)
        if said is None:
            return Score(score=0.0, is_parsed=False, parsed=None, explanation=f"no box as asked for in the reply, truth {told}")
        wanted = self.parse(told)
        shared = box_iou(said, wanted)
        return Score(
            score=1.0 if shared > SAME else shared,
            is_parsed=True,
            parsed=said,
            explanation=f"truth {told}: intersection over union {shared:.2f}, centre {math.dist(said[:3], wanted[:3]):.2f} m off",
        )

    def to_row(self) -> dict[str, Any]:
        return {}


def box_iou(first: tuple[float, ...], second: tuple[float, ...]) -> float:
    """Intersection over union of two upright boxes, each (x, y, z, l, w, h, yaw_deg) with sizes above 0."""
    up = min(one[2] + one[5] / 2 for one in (first, second)) - max(one[2] - one[5] / 2 for one in (first, second))
    if up <= 0.0:
        return 0.0
    level = polygon_area(clipped(footprint(first, about=first), footprint(second, about=first)))
    shared = level * up
    volumes = [one[3] * one[4] * one[5] for one in (first, second)]
    return min(shared / (sum(volumes) - shared), 1.0)


def footprint(box: tuple[float, ...], *, about: tuple[float, ...]) -> list[Corner]:
    """The four corners of a box from above, counter-clockwise, relative to another's centre: differences stay small and exact."""
    x, y, length, width, yaw = box[0] - about[0], box[1] - about[1], box[3], box[4], math.radians(box[6])
    cos, sin = math.cos(yaw), math.sin(yaw)
    ends = [(length / 2, width / 2), (-length / 2, width / 2), (-length / 2, -width / 2), (length / 2, -width / 2)]
    return [(x + along * cos - across * sin, y + along * sin + across * cos) for along, across in ends]


def clipped(polygon: list[Corner], window: list[Corner]) -> list[Corner]:
    """The part of a convex polygon inside a convex window, both counter-clockwise; cut by one side of the window after the other."""
    for a, b in zip(window, [*window[1:], window[0]]):
        inside = [(b[0] - a[0]) * (y - a[1]) - (b[1] - a[1]) * (x - a[0]) for x, y in polygon]  # above 0 to the left of the side
        kept: list[Corner] = []
        for index, (here, side) in enumerate(zip(polygon, inside)):
            before, side_before = polygon[index - 1], inside[index - 1]
            if (side >= 0.0) != (side_before >= 0.0):
                share = side_before / (side_before - side)
                kept.append((before[0] + share * (here[0] - before[0]), before[1] + share * (here[1] - before[1])))
            if side >= 0.0:
                kept.append(here)
        polygon = kept
    return polygon


def polygon_area(polygon: list[Corner]) -> float:
    """Of counter-clockwise corners (shoelace formula); 0 for fewer than three."""
    return 0.5 * sum(a[0] * b[1] - b[0] * a[1] for a, b in zip(polygon, [*polygon[1:], *polygon[:1]]))


def _objects(reply: str) -> Iterator[Any]:
    """Everything in a reply that reads as a JSON object, nested ones left to their outer one."""
    decoder = json.JSONDecoder()
    place = reply.find("{")
    while place >= 0:
        try:
            found, end = decoder.raw_decode(reply, place)
        except json.JSONDecodeError:
            end = place + 1
        except RecursionError:  # nested far deeper than any box
            return
        else:
            yield found
        place = reply.find("{", end)


def _box_of(said: Any) -> tuple[float, ...] | None:
    """The seven numbers of an object that has exactly the three keys, or None."""
    centre_key = next((key for key in CENTRE_KEYS if isinstance(said, dict) and key in said), None)
    if centre_key is None or set(said) != {centre_key, "size_m", "yaw_deg"}:
        return None
    centre, size = said[centre_key], said["size_m"]
    if not (isinstance(centre, list) and isinstance(size, list) and len(centre) == len(size) == 3):
        return None
    numbers = [*centre, *size, said["yaw_deg"]]
    if not all(isinstance(one, int | float) and not isinstance(one, bool) and abs(one) < 1e6 for one in numbers):  # NaN compares false
        return None
    box = tuple(float(one) for one in numbers)
    return box if _is_box(box) else None


def _is_box(value: tuple[float, ...]) -> bool:
    return len(value) == 7 and all(map(math.isfinite, value)) and min(value[3:6]) > 0.0


def _rounded(value: float, decimals: int) -> float:
    return round(float(value), decimals) + 0.0  # no minus zero
