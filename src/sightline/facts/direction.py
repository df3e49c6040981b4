"""Directions on the floor plan: standing at A and facing B, where is C; and where things lie as a camera sees them."""

import numpy as np

from sightline.arrays import expect
from sightline.geometry.transforms import apply, inverse, wrap_deg

UNDIRECTED_M = 1e-6  # two places nearer than this on the plan give no direction
WORDS = ("front", "left", "back", "right")  # in steps of 90 degrees, left positive


def bearing_deg(stand_world: np.ndarray, face_world: np.ndarray, target_world: np.ndarray) -> float:
    """Where the target lies for someone who stands and faces so: degrees on the plan, 0 ahead, left positive, in (-180, 180].

    Heights do not matter. NaN where the place faced or the target stands above or below the stand.
    """
    expect(stand_world=(stand_world, "3"), face_world=(face_world, "3"), target_world=(target_world, "3"))
    return signed_angle_deg((face_world - stand_world)[:2], (target_world - stand_world)[:2])


def signed_angle_deg(from_vector: np.ndarray, to_vector: np.ndarray) -> float:
    """Angle on the plan from one vector `(2,)` to another, counter-clockwise positive, in (-180, 180]; NaN for a vector of no length."""
    if min(np.hypot(*from_vector), np.hypot(*to_vector)) < UNDIRECTED_M:
        return float("nan")
    cross = from_vector[0] * to_vector[1] - from_vector[1] * to_vector[0]
    return float(wrap_deg(np.degrees(np.arctan2(cross, from_vector @ to_vector))))


def quarter(bearing: float, *, margin_deg: float) -> str | None:
    """front, left, back or right of a bearing in degrees; None for NaN and within `margin_deg` of a border between two words."""
    return _sector(bearing, words=WORDS, first_deg=-45.0, margin_deg=margin_deg)


def side(bearing: float, *, margin_deg: float) -> str | None:
    """left or right; None for NaN and within `margin_deg` of straight ahead or straight behind."""
    return _sector(bearing, words=("left", "right"), first_deg=0.0, margin_deg=margin_deg)


def facing(bearing: float, *, margin_deg: float) -> str | None:
    """front or back; None for NaN and within `margin_deg` of the line from left to right."""
    return _sector(bearing, words=("front", "back"), first_deg=-90.0, margin_deg=margin_deg)


def corner(bearing: float, *, margin_deg: float) -> str | None:
    """front-left, back-left, back-right or front-right; None for NaN and within `margin_deg` of an axis."""
    return _sector(bearing, words=("front-left", "back-left", "back-right", "front-right"), first_deg=0.0, margin_deg=margin_deg)


def border_distance_deg(bearing: float, *, sectors: int, first_deg: float) -> float:
    """How far a bearing is from the nearest border of equal sectors that start at `first_deg`: the margin of a direction word."""
    width = 360.0 / sectors
    into = (bearing - first_deg) % width
    return float(min(into, width - into))


def _sector(bearing: float, *, words: tuple[str, ...], first_deg: float, margin_deg: float) -> str | None:
    if not np.isfinite(bearing) or border_distance_deg(bearing, sectors=len(words), first_deg=first_deg) <= margin_deg:
        return None
    return words[int((bearing - first_deg) % 360.0 // (360.0 / len(words)))]


def camera_offset_m(world_from_camera: np.ndarray, point_world: np.ndarray) -> np.ndarray:
    """A point `(3,)` as the camera has it: metres right, down, forward."""
    return apply(inverse(world_from_camera), point_world)


def camera_bearing_deg(world_from_camera: np.ndarray, point_world: np.ndarray) -> float:
    """Bearing of a point from where the camera stands and heads: degrees on the plan, left positive.

    NaN where the camera looks along the vertical (within 1 degree) or the point is above or below it.
    """
    heading = world_from_camera[:2, 2]
    if np.hypot(*heading) < np.sin(np.radians(1.0)):
        return float("nan")
    return signed_angle_deg(heading, (point_world - world_from_camera[:3, 3])[:2])


def camera_elevation_deg(world_from_camera: np.ndarray, point_world: np.ndarray) -> float:
    """Angle of the sight line from the camera to a point above the horizon, degrees, up positive; NaN at the camera itself."""
    rise = point_world - world_from_camera[:3, 3]
    length = np.linalg.norm(rise)
    return float("nan") if length < UNDIRECTED_M else float(np.degrees(np.arcsin(np.clip(rise[2] / length, -1.0, 1.0))))
