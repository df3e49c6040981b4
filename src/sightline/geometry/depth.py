"""Depth maps: z in the camera frame, metres, NaN where there is no reading."""

import numpy as np

from sightline.arrays import expect
from sightline.geometry.cameras import Intrinsics
from sightline.geometry.transforms import apply


def pixel_grid(width: int, height: int) -> np.ndarray:
    """Pixel centres `uv (H, W, 2)` as float64."""
    u, v = np.meshgrid(np.arange(width, dtype=np.float64), np.arange(height, dtype=np.float64))
    return np.stack([u, v], axis=-1)


def points_camera_from_depth(depth_m: np.ndarray, intrinsics: Intrinsics) -> np.ndarray:
    """Camera points `(H, W, 3)` of a depth map `(H, W)`; NaN stays NaN. The intrinsics must be the depth map's own."""
    expect(depth_m=(depth_m, f"{intrinsics.height} {intrinsics.width}"))
    uv = pixel_grid(intrinsics.width, intrinsics.height).reshape(-1, 2)
    return intrinsics.unproject(uv, depth_m.reshape(-1).astype(np.float64)).reshape(intrinsics.height, intrinsics.width, 3)


def points_world_from_depth(depth_m: np.ndarray, intrinsics: Intrinsics, world_from_camera: np.ndarray) -> np.ndarray:
    """World points `(H, W, 3)` of a depth map; NaN where there is no reading."""
    return apply(world_from_camera, points_camera_from_depth(depth_m, intrinsics))


def depth_from_range(range_m: np.ndarray, intrinsics: Intrinsics) -> np.ndarray:
    """z-depth of a map of lengths along the ray."""
    expect(range_m=(range_m, f"{intrinsics.height} {intrinsics.width}"))
    rays = points_camera_from_depth(np.ones_like(range_m, dtype=np.float64), intrinsics)
    return range_m / np.linalg.norm(rays, axis=-1)


def depth_at(depth_m: np.ndarray, uv: np.ndarray) -> np.ndarray:
    """Depth of the nearest pixel for each `uv (N, 2)`; NaN outside the map."""
    expect(depth_m=(depth_m, "H W"), uv=(uv, "N 2"))
    height, width = depth_m.shape
    nearest = np.floor(uv + 0.5)
    inside = (nearest >= 0).all(axis=1) & (nearest[:, 0] < width) & (nearest[:, 1] < height)  # False for NaN
    rounded = np.where(inside[:, None], nearest, 0).astype(np.int64)
    depth = np.full(len(uv), np.nan)
    depth[inside] = depth_m[rounded[inside, 1], rounded[inside, 0]]
    return depth
