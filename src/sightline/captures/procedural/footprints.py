"""Footprints: turned rectangles on the floor between two heights, the currency of placing furniture without collisions."""

import math
from dataclasses import dataclass

import numpy as np

TOUCH_M = 1e-6


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Footprint:
    """A rectangle `centre_world (2,)`, `half_m (2,)`, turned by `yaw_rad`, from `low_z_m` to `high_z_m`."""

    centre_world: np.ndarray
    half_m: np.ndarray
    yaw_rad: float
    low_z_m: float
    high_z_m: float

    @property
    def axes(self) -> np.ndarray:
        """Unit axes as rows `(2, 2)`."""
        c, s = np.cos(self.yaw_rad), np.sin(self.yaw_rad)
        return np.array([[c, s], [-s, c]])

    def corners(self) -> np.ndarray:
        """Corners `(4, 2)`, counter-clockwise."""
        signs = np.array([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]])
        return self.centre_world + (signs * self.half_m) @ self.axes

    def grown(self, by_m: float) -> "Footprint":
        """The same place, larger on its four sides."""
        return Footprint(
            centre_world=self.centre_world,
            half_m=self.half_m + by_m,
            yaw_rad=self.yaw_rad,
            low_z_m=self.low_z_m,
            high_z_m=self.high_z_m,
        )

    def covers(self, points_world: np.ndarray) -> np.ndarray:
        """Which points `(N, 2)` lie on it."""
        c, s = np.cos(self.yaw_rad), np.sin(self.yaw_rad)
        x, y = points_world[:, 0] - self.centre_world[0], points_world[:, 1] - self.centre_world[1]
        return (np.abs(c * x + s * y) <= self.half_m[0]) & (np.abs(c * y - s * x) <= self.half_m[1])


def overlap(a: Footprint, b: Footprint) -> bool:
    """Whether two footprints meet, on the floor plan and in height (separating axes); touching is not meeting."""
    if a.low_z_m >= b.high_z_m or b.low_z_m >= a.high_z_m:
        return False
    x, y = float(b.centre_world[0] - a.centre_world[0]), float(b.centre_world[1] - a.centre_world[1])
    ax, ay, bx, by = float(a.half_m[0]), float(a.half_m[1]), float(b.half_m[0]), float(b.half_m[1])
    if math.hypot(x, y) >= math.hypot(ax, ay) + math.hypot(bx, by):
        return False
    turn = b.yaw_rad - a.yaw_rad
    c, s = abs(math.cos(turn)), abs(math.sin(turn))
    ca, sa, cb, sb = math.cos(a.yaw_rad), math.sin(a.yaw_rad), math.cos(b.yaw_rad), math.sin(b.yaw_rad)
    return (
        abs(x * ca + y * sa) < ax + c * bx + s * by - 1e-9
        and abs(y * ca - x * sa) < ay + s * bx + c * by - 1e-9
        and abs(x * cb + y * sb) < bx + c * ax + s * ay - 1e-9
        and abs(y * cb - x * sb) < by + s * ax + c * ay - 1e-9
    )


def inside(outline_world: np.ndarray, footprint: Footprint) -> bool:
    """Whether a footprint lies wholly inside an outline `(N, 2)`; touching the outline counts as inside."""
    outline = outline_world.tolist()
    half_x, half_y = float(footprint.half_m[0]) - TOUCH_M, float(footprint.half_m[1]) - TOUCH_M
    c, s = math.cos(footprint.yaw_rad), math.sin(footprint.yaw_rad)
    x0, y0 = float(footprint.centre_world[0]), float(footprint.centre_world[1])
    within = False  # of the centre; when no side cuts the footprint, all of it lies where its centre does
    ax, ay = outline[-1]
    for bx, by in outline:
        if (ay > y0) != (by > y0) and x0 < ax + (y0 - ay) * (bx - ax) / (by - ay):
            within = not within
        px, py = (ax - x0) * c + (ay - y0) * s, (ay - y0) * c - (ax - x0) * s
        dx, dy = (bx - ax) * c + (by - ay) * s, (by - ay) * c - (bx - ax) * s
        if _meets_rectangle(px, py, dx, dy, half_x, half_y):
            return False
        ax, ay = bx, by
    return within


def _meets_rectangle(px: float, py: float, dx: float, dy: float, half_x: float, half_y: float) -> bool:
    """Whether the segment from p along d has a point in the rectangle around the origin (clipping)."""
    first, last = 0.0, 1.0
    for p, d, half in ((px, dx, half_x), (py, dy, half_y)):
        if abs(d) < 1e-12:
            if abs(p) > half:
                return False
            continue
        a, b = (-half - p) / d, (half - p) / d
        first, last = max(first, min(a, b)), min(last, max(a, b))
        if first > last:
            return False
    return True


def contains(outline_world: np.ndarray, points_world: np.ndarray) -> np.ndarray:
    """Which points `(M, 2)` lie inside a polygon `(N, 2)` (even-odd rule)."""
    within = np.zeros(len(points_world), dtype=bool)
    x, y = points_world[:, 0], points_world[:, 1]
    for (ax, ay), (bx, by) in zip(outline_world, np.roll(outline_world, -1, axis=0)):
        crosses = (ay > y) != (by > y)
        if crosses.any():
            at = ax + (y - ay) * (bx - ax) / (by - ay)
            within ^= crosses & (x < at)
    return within
