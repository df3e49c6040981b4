"""Oriented boxes: full extents along their own axes, posed in the world."""

from dataclasses import dataclass

import numpy as np

from sightline.arrays import expect
from sightline.errors import ShapeError
from sightline.geometry.transforms import ROTATION_TOLERANCE, apply, inverse, rigid, rigidity_error, yaw_translation

MAX_REACH_M = 1e7  # beyond it single numbers are a mistake, and their squares meaningless
_SIGNS = np.array([[x, y, z] for x in (-0.5, 0.5) for y in (-0.5, 0.5) for z in (-0.5, 0.5)])


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Box:
    """`size_m (3,)` full extents along the object's axes; `world_from_object (4, 4)` puts its centre and axes in the world."""

    size_m: np.ndarray
    world_from_object: np.ndarray

    def __post_init__(self) -> None:
        expect(size_m=(self.size_m, "3"), world_from_object=(self.world_from_object, "4 4"))
        if not (np.isfinite(self.size_m).all() and (self.size_m > 0).all() and np.isfinite(self.world_from_object).all()):
            raise ShapeError(f"box: expected finite positive sizes and a finite pose, found size_m={self.size_m.tolist()}")
        if self.size_m.max() > MAX_REACH_M or np.abs(self.world_from_object[:3, 3]).max() > MAX_REACH_M:
            raise ShapeError(f"box: expected sizes and a centre within {MAX_REACH_M:g} m, found {self.size_m.tolist()}")
        if rigidity_error(self.world_from_object) > ROTATION_TOLERANCE:
            raise ShapeError(f"box: expected a rigid world_from_object, found one off by {rigidity_error(self.world_from_object):.3g}")

    @classmethod
    def upright(cls, *, centre_world: np.ndarray, size_m: np.ndarray, yaw_rad: float) -> "Box":
        """A box whose z axis is the world's, turned by a yaw about it."""
        return cls(size_m=np.asarray(size_m, dtype=np.float64), world_from_object=yaw_translation(yaw_rad, centre_world))

    @property
    def centre_world(self) -> np.ndarray:
        return self.world_from_object[:3, 3]

    @property
    def yaw_rad(self) -> float:
        """Heading of the object's x axis about world +z."""
        return float(np.arctan2(self.world_from_object[1, 0], self.world_from_object[0, 0]))

    @property
    def is_upright(self) -> bool:
        return bool(abs(self.world_from_object[2, 2] - 1.0) < 1e-6)

    @property
    def volume_m3(self) -> float:
        return float(np.prod(self.size_m))

    def corners_world(self) -> np.ndarray:
        """The 8 corners `(8, 3)`; the z sign varies fastest, then y, then x."""
        return apply(self.world_from_object, _SIGNS * self.size_m)

    def contains(self, points_world: np.ndarray, *, margin_m: float) -> np.ndarray:
        """Which points `(N, 3)` lie inside the box grown by `margin_m` on every side."""
        points_object = apply(inverse(self.world_from_object), points_world)
        return (np.abs(points_object) <= self.size_m / 2.0 + margin_m).all(axis=1)

    def moved(self, new_from_world: np.ndarray) -> "Box":
        """The same box after a rigid motion of the world."""
        return Box(size_m=self.size_m, world_from_object=new_from_world @ self.world_from_object)


def box_around(points_world: np.ndarray) -> Box:
    """Axis-aligned box of points `(N, 3)`, no thinner than a millimetre."""
    expect(points_world=(points_world, "N 3"))
    if len(points_world) == 0:
        raise ShapeError("points_world: expected at least one point for a box to hold, found none")
    low, high = points_world.min(axis=0), points_world.max(axis=0)
    return Box(size_m=np.maximum(high - low, 1e-3), world_from_object=rigid(np.eye(3), (low + high) / 2.0))
