"""Surfaces and objects of an Apple RoomPlan scan, one by one: their JSON is checked and brought from the +y-up world into a +z-up one."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sightline.captures.poses import UP_ROTATIONS, made_rigid
from sightline.errors import CaptureError
from sightline.geometry.transforms import ROTATION_TOLERANCE, inverse, rigid, rigidity_error, yaw_matrix

LISTS = ("walls", "doors", "windows", "openings", "floors", "objects")
WORLD_FROM_STORED = rigid(UP_ROTATIONS["+y"], np.zeros(3))  # (x, y, z) -> (x, -z, y)
MIN_EXTENT_M = 1e-3
MAX_EXTENT_M = 200.0  # a room of RoomPlan is 9 m wide, a structure a few rooms; beyond are millimetres taken for metres
FAR_M = 10_000.0  # from where the session began
LEVEL = 1e-5  # tilt below which a pose of 32-bit numbers is upright, its tilt being rounding
_NOT_A_NUMBER = ("nan", "inf", "-inf", "+inf", "infinity", "-infinity", "+infinity")


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Curve:
    """The arc of a curved surface in its own x-z plane; angles go from +x to +z. `centre_part` is missing before iOS 17."""

    start_rad: float
    end_rad: float
    radius_m: float
    centre_part: np.ndarray | None  # (2,) x, z


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Part:
    """One surface or object. Its own axes are RoomPlan's: x along the width, y up the height, z out of the plane."""

    place: str  # file, list and number, for messages
    identifier: str | None
    category: str
    size_m: np.ndarray  # (3,) width, height, depth; the depth of a surface is 0
    world_from_part: np.ndarray  # (4, 4), +z-up world
    corners_part: np.ndarray | None = None  # (N, 3) of a polygon
    curve: Curve | None = None
    parent: str | None = None
    story: int = 0
    is_open: bool | None = None
    attributes: Mapping[str, str] = field(default_factory=dict)


def read_list(values: Any, kind: str, *, where: str, skipped: Counter[str]) -> list[Part]:
    """The usable parts of one list of the document; those that are not are counted in `skipped` by their reason.

    Raises CaptureError naming the place for what is not a part at all: no transform of 16 numbers, one stored row by row.
    """
    if values is None:
        return []
    if not isinstance(values, list):
        raise CaptureError(f"{where}: {kind}: expected a list, found {type(values).__name__}")
    parts = []
    for number, value in enumerate(values):
        place = f"{where}: {kind}[{number}]"
        if not isinstance(value, dict):
            raise CaptureError(f"{place}: expected a mapping, found {type(value).__name__}")
        part = _part(value, kind, place)
        if isinstance(part, str):
            skipped[part] += 1
        else:
            parts.append(part)
    return parts


def _part(value: dict[str, Any], kind: str, place: str) -> Part | str:
    """The part, or the reason why it cannot be used."""
    category, is_open = enum_name(value.get("category", kind.removesuffix("s")), f"{place}: category")
    stored = transform(value.get("transform"), f"{place}: transform")
    if not np.isfinite(stored).all():
        return "transform_not_finite"
    if np.abs(stored[:3, 3]).max() > FAR_M:
        return "transform_far_away"
    if np.abs(stored[:, :3]).max() > 1.0 + ROTATION_TOLERANCE or abs(stored[3, 3] - 1.0) > ROTATION_TOLERANCE:
        return "transform_not_rigid"
    if np.linalg.det(stored[:3, :3]) < 0.0:
        return "transform_mirrored"
    if rigidity_error(stored) > ROTATION_TOLERANCE:
        return "transform_not_rigid"
    size_m = numbers(value.get("dimensions"), 3, f"{place}: dimensions")
    corners = _corners(value.get("polygonCorners"), f"{place}: polygonCorners")
    if not np.isfinite(size_m).all() or (corners is not None and not np.isfinite(corners).all()):
        return "extent_not_finite"
    needed = size_m if kind == "objects" else size_m[:2]
    if (needed < MIN_EXTENT_M).any() and (corners is None or kind == "objects"):
        return "extent_zero"
    if max(size_m.max(), 0.0 if corners is None else np.abs(corners).max()) > MAX_EXTENT_M:
        return "extent_beyond_200_m"
    curve = _curve(value.get("curve"), f"{place}: curve")
    if isinstance(curve, str):
        return curve
    if is_open is None and isinstance(value.get("isOpen"), bool):
        is_open = value["isOpen"]
    return Part(
        place=place,
        identifier=_text(value.get("identifier"), f"{place}: identifier"),
        category=category,
        size_m=np.maximum(size_m, 0.0),
        world_from_part=_levelled(WORLD_FROM_STORED @ made_rigid(stored)),
        corners_part=corners,
        curve=curve,
        parent=_text(value.get("parentIdentifier"), f"{place}: parentIdentifier"),
        story=whole(value.get("story", 0), f"{place}: story"),
        is_open=is_open,
        attributes=_attributes(value, place),
    )


def transform(value: Any, place: str) -> np.ndarray:
    """`(4, 4)` of 16 numbers, flat or four by four, that are stored column by column. Raises CaptureError for rows.

    Columns leave the translation in elements 12 to 14 and zeros in 3, 7 and 11; rows leave them the other way round.
    """
    flat = value
    if isinstance(value, list) and len(value) == 4 and all(isinstance(inner, list) and len(inner) == 4 for inner in value):
        flat = [number for inner in value for number in inner]
    stored = numbers(flat, 16, place).reshape(4, 4).T
    if np.isfinite(stored).all() and np.abs(stored[3, :3]).max() > 1e-6 and np.abs(stored[:3, 3]).max() <= 1e-6:
        raise CaptureError(
            f"{place}: expected 16 numbers column by column, the translation in elements 12 to 14, found them row by row "
            f"({', '.join(f'{one:g}' for one in stored[3, :3])} in elements 3, 7 and 11). Fix: transpose every transform of the file"
        )
    return stored


def numbers(value: Any, count: int, place: str) -> np.ndarray:
    """`(count,)` float64; null and the words for NaN and infinity become NaN. Raises CaptureError for anything else that is no number."""
    if isinstance(value, dict) and set(value) == set("xyz"[:count]):
        value = [value[axis] for axis in "xyz"[:count]]
    if not isinstance(value, list) or len(value) != count:
        found = f"{len(value)} of them" if isinstance(value, list) else "none" if value is None else type(value).__name__
        raise CaptureError(f"{place}: expected {count} numbers, found {found}")
    return np.array([_number(one, place) for one in value], dtype=np.float64)


def _number(value: Any, place: str) -> float:
    if value is None or (isinstance(value, str) and value.strip().lower() in _NOT_A_NUMBER):
        return math.nan
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise CaptureError(f"{place}: expected numbers, found {str(value)[:40]!r}")
    try:
        return float(value)
    except OverflowError:
        return math.inf


def whole(value: Any, place: str) -> int:
    """A whole number. Raises CaptureError."""
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) > 10_000:
        raise CaptureError(f"{place}: expected a whole number, found {str(value)[:40]!r}")
    return value


def enum_name(value: Any, place: str) -> tuple[str, bool | None]:
    """The name of an enumeration value in either spelling, `{"door": {"isOpen": true}}` or `"door"`, and whether it says open."""
    if isinstance(value, str) and value.strip():
        return value.strip(), None
    if isinstance(value, dict) and len(value) == 1:
        name, inner = next(iter(value.items()))
        is_open = inner.get("isOpen") if isinstance(inner, dict) else None
        return name, is_open if isinstance(is_open, bool) else None
    raise CaptureError(f'{place}: expected a name or a mapping with one, such as "wall" or {{"wall": {{}}}}, found {str(value)[:60]}')


def _text(value: Any, place: str) -> str | None:
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise CaptureError(f"{place}: expected text, found {type(value).__name__}")
    return value


def _corners(value: Any, place: str) -> np.ndarray | None:
    """`(N, 3)` in the part's own axes; None for no polygon."""
    if not value:
        return None
    if not isinstance(value, list):
        raise CaptureError(f"{place}: expected a list of corners, found {type(value).__name__}")
    if len(value) < 3:
        raise CaptureError(f"{place}: expected at least 3 corners, found {len(value)}")
    return np.stack([numbers(corner, 3, f"{place}[{number}]") for number, corner in enumerate(value)])


def _curve(value: Any, place: str) -> Curve | None | str:
    if value is None:
        return None
    if not isinstance(value, dict):
        raise CaptureError(f"{place}: expected a mapping or null, found {type(value).__name__}")
    angles = [value.get(key) for key in ("startAngle", "endAngle")]
    start_rad, end_rad = _angles_rad(angles, place)
    radius_m = _number(value.get("radius"), f"{place}: radius")
    centre = value.get("center")
    centre_part = None if centre is None else numbers(centre, 2, f"{place}: center")
    known = [start_rad, end_rad, radius_m, *([] if centre_part is None else centre_part)]
    if not np.isfinite(known).all():
        return "curve_not_finite"
    if not MIN_EXTENT_M < radius_m < MAX_EXTENT_M or not 1e-6 < abs(end_rad - start_rad) < 2.0 * math.pi - 1e-6:
        return "curve_of_no_arc"
    if centre_part is not None and np.abs(centre_part).max() > MAX_EXTENT_M:
        return "curve_of_no_arc"
    return Curve(start_rad=start_rad, end_rad=end_rad, radius_m=radius_m, centre_part=centre_part)


def _angles_rad(values: Sequence[Any], place: str) -> tuple[float, float]:
    """Two angles: Swift's measurements, which say their unit as a factor to degrees, or bare numbers.

    Bare numbers are radians unless one is beyond a whole turn of them.
    """
    degrees = []
    for value in values:
        if not isinstance(value, dict):
            continue
        unit = value.get("unit")
        converter = unit.get("converter") if isinstance(unit, dict) else None
        symbol = unit.get("symbol") if isinstance(unit, dict) else None
        factor = converter.get("coefficient") if isinstance(converter, dict) else {"rad": math.degrees(1.0), "°": 1.0}.get(str(symbol))
        if factor is None:
            raise CaptureError(f"{place}: expected the angle's unit in degrees or radians, found {str(unit)[:60]}")
        degrees.append(_number(value.get("value"), place) * _number(factor, place))
    if len(degrees) == 2:
        return math.radians(degrees[0]), math.radians(degrees[1])
    start, end = (_number(value, place) for value in values)
    turn = 2.0 * math.pi + 1e-6
    return (math.radians(start), math.radians(end)) if max(abs(start), abs(end)) > turn else (start, end)


def _attributes(value: dict[str, Any], place: str) -> dict[str, str]:
    """RoomPlan's own attributes, and what else is known of the part."""
    given = value.get("attributes") or {}
    if not isinstance(given, dict):
        raise CaptureError(f"{place}: attributes: expected a mapping of names to words, found {type(given).__name__}")
    words = {str(key): str(inner) for key, inner in given.items() if isinstance(inner, str | int | float)}
    if value.get("confidence") is not None:
        words["confidence"] = enum_name(value["confidence"], f"{place}: confidence")[0]
    for key, name in (("identifier", "identifier"), ("parentIdentifier", "parent_identifier"), ("story", "story")):
        if value.get(key) is not None:
            words[name] = str(value[key])
    return words


def _levelled(world_from_part: np.ndarray) -> np.ndarray:
    """The pose with its y axis exactly up where it is so up to rounding."""
    x, up = world_from_part[:3, 0], world_from_part[:3, 1]
    if np.abs(up - (0.0, 0.0, 1.0)).max() > LEVEL:
        return world_from_part
    turned = yaw_matrix(math.atan2(x[1], x[0])) @ UP_ROTATIONS["+y"]
    return rigid(turned, world_from_part[:3, 3])


def box_pose(part: Part) -> np.ndarray:
    """`world_from_object` (4, 4) of a part as a box whose third axis is the part's height."""
    return part.world_from_part @ inverse(WORLD_FROM_STORED)
