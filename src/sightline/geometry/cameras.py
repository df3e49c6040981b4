"""Pinhole cameras: OpenCV axes (+x right, +y down, +z forward), integer pixels at pixel centres."""

from dataclasses import dataclass, replace

import numpy as np

from sightline.arrays import expect
from sightline.errors import ShapeError


@dataclass(frozen=True, kw_only=True, slots=True)
class Intrinsics:
    """Focal lengths and principal point in pixels, tied to an image size."""

    fx: float
    fy: float
    cx: float
    cy: float
    width: int
    height: int

    def __post_init__(self) -> None:
        if self.width <= 0 or self.height <= 0:
            raise ShapeError(f"intrinsics: expected a positive image size, found {self.width}x{self.height}")
        if not (np.isfinite([self.fx, self.fy, self.cx, self.cy]).all() and self.fx > 0 and self.fy > 0):
            raise ShapeError(f"intrinsics: expected finite fx, fy > 0, found fx={self.fx} fy={self.fy} cx={self.cx} cy={self.cy}")

    @classmethod
    def from_K(cls, K: np.ndarray, *, width: int, height: int) -> "Intrinsics":
        """From a 3x3 (or larger) camera matrix without skew."""
        return cls(fx=float(K[0, 0]), fy=float(K[1, 1]), cx=float(K[0, 2]), cy=float(K[1, 2]), width=width, height=height)

    @classmethod
    def from_field_of_view(cls, *, horizontal_deg: float, width: int, height: int) -> "Intrinsics":
        """Square pixels, principal point at the image centre."""
        focal = width / 2.0 / np.tan(np.radians(horizontal_deg) / 2.0)
        return cls(fx=focal, fy=focal, cx=(width - 1) / 2.0, cy=(height - 1) / 2.0, width=width, height=height)

    @property
    def K(self) -> np.ndarray:
        return np.array([[self.fx, 0.0, self.cx], [0.0, self.fy, self.cy], [0.0, 0.0, 1.0]])

    def resized(self, *, width: int, height: int) -> "Intrinsics":
        """The same camera for an image resized to another size; each axis scales on its own, pixel centres are kept."""
        sx, sy = width / self.width, height / self.height
        return Intrinsics(
            fx=self.fx * sx, fy=self.fy * sy, cx=(self.cx + 0.5) * sx - 0.5, cy=(self.cy + 0.5) * sy - 0.5, width=width, height=height
        )

    def cropped(self, *, left: int, top: int, width: int, height: int) -> "Intrinsics":
        """The same camera for the window that starts at pixel (left, top)."""
        return replace(self, cx=self.cx - left, cy=self.cy - top, width=width, height=height)

    def project(self, points_camera: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Pixels `uv (N, 2)` and z-depth `depth_m (N,)` of camera points `(N, 3)`; uv is NaN where depth <= 0."""
        expect(points_camera=(points_camera, "N 3"))
        depth_m = points_camera[:, 2]
        with np.errstate(divide="ignore", invalid="ignore"):
            u = np.where(depth_m > 0, self.fx * points_camera[:, 0] / depth_m + self.cx, np.nan)
            v = np.where(depth_m > 0, self.fy * points_camera[:, 1] / depth_m + self.cy, np.nan)
        return np.stack([u, v], axis=1), depth_m

    def unproject(self, uv: np.ndarray, depth_m: np.ndarray) -> np.ndarray:
        """Camera points `(N, 3)` of pixels `uv (N, 2)` at z-depth `depth_m (N,)`; NaN depth gives NaN points."""
        expect(uv=(uv, "N 2"), depth_m=(depth_m, "N"))
        x = (uv[:, 0] - self.cx) / self.fx * depth_m
        y = (uv[:, 1] - self.cy) / self.fy * depth_m
        return np.stack([x, y, depth_m], axis=1)

    def contains(self, uv: np.ndarray) -> np.ndarray:
        """Which pixels `uv (N, 2)` lie inside the image, whose area runs from -0.5 to size - 0.5."""
        expect(uv=(uv, "N 2"))
        return (uv[:, 0] >= -0.5) & (uv[:, 0] < self.width - 0.5) & (uv[:, 1] >= -0.5) & (uv[:, 1] < self.height - 0.5)
