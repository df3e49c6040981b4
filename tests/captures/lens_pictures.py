"""Pictures and pixels of distorted cameras from formulas of their own: the forward models, their inverse, and renderings through them."""

import numpy as np
import true_room as true

from sightline.geometry.cameras import Intrinsics

OVERSAMPLING = 3


def bent(kind: str, coefficients: tuple[float, ...], xy: np.ndarray) -> np.ndarray:
    """Distorted image-plane coordinates of undistorted ones `(..., 2)` (x / z, y / z)."""
    x, y = xy[..., 0], xy[..., 1]
    r2 = x * x + y * y
    if kind == "fisheye":
        radius = np.sqrt(r2)
        theta = np.arctan(radius)
        k1, k2, k3, k4 = coefficients
        bent_theta = theta * (1 + k1 * theta**2 + k2 * theta**4 + k3 * theta**6 + k4 * theta**8)
        scale = np.where(radius > 1e-12, bent_theta / np.maximum(radius, 1e-12), 1.0)
        return xy * scale[..., None]
    k1, k2, p1, p2, k3, k4, k5, k6 = coefficients
    radial = (1 + r2 * (k1 + r2 * (k2 + r2 * k3))) / (1 + r2 * (k4 + r2 * (k5 + r2 * k6)))
    return np.stack([x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x), y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y], axis=-1)


def straightened(kind: str, coefficients: tuple[float, ...], bent_xy: np.ndarray) -> np.ndarray:
    """The inverse, by fixed-point steps."""
    xy = bent_xy.copy()
    for _ in range(200):
        off = bent_xy - bent(kind, coefficients, xy)
        if np.abs(off).max() < 1e-9:
            return xy
        xy = xy + off
    raise AssertionError("the test's own lens must be invertible over its picture")


def distorted_uv(camera: Intrinsics, kind: str, coefficients: tuple[float, ...], points_camera: np.ndarray) -> np.ndarray:
    """Pixels `(N, 2)`, integers at centres, of camera points `(N, 3)` seen through the lens."""
    plane = bent(kind, coefficients, points_camera[:, :2] / points_camera[:, 2:])
    return plane * [camera.fx, camera.fy] + [camera.cx, camera.cy]


def distorted_view(camera: Intrinsics, kind: str, coefficients: tuple[float, ...], world_from_camera: np.ndarray):
    """(rgb, depth_m) of the true room through the lens: the nearest samples of a finer and wider pinhole view."""
    u, v = np.meshgrid(np.arange(camera.width), np.arange(camera.height))
    plane = np.stack([(u - camera.cx) / camera.fx, (v - camera.cy) / camera.fy], axis=-1)
    xy = straightened(kind, coefficients, plane)
    low, high = xy.reshape(-1, 2).min(axis=0) - 0.01, xy.reshape(-1, 2).max(axis=0) + 0.01
    fx, fy = OVERSAMPLING * camera.fx, OVERSAMPLING * camera.fy
    size = np.ceil((high - low) * [fx, fy]).astype(int)
    fine = Intrinsics(fx=fx, fy=fy, cx=-low[0] * fx, cy=-low[1] * fy, width=int(size[0]), height=int(size[1]))
    view = true.shoot(fine, world_from_camera)
    column = np.rint(xy[..., 0] * fx + fine.cx).astype(int)
    row = np.rint(xy[..., 1] * fy + fine.cy).astype(int)
    return view.rgb[row, column], view.depth_m[row, column]
