"""The strict, one-sided visibility test of published engines: a point is seen where it lies before its depth reading, with no tolerance."""

import numba
import numpy as np

from sightline.arrays import expect
from sightline.geometry.cameras import Intrinsics
from sightline.geometry.transforms import inverse
from sightline.geometry.visibility import StoredDepth, words_for
from sightline.geometry.visibility_kernels import BLOCK, mark_in_view


def strict_words(
    points_world: np.ndarray,
    *,
    depth: StoredDepth,
    intrinsics: Intrinsics,
    world_from_camera: np.ndarray,
    bounds_world: np.ndarray | None = None,
) -> np.ndarray:
    """Packed visibility `(ceil(N / 64),)` uint64 of points `(N, 3)` under the strict test; bits as in `visible_words`.

    A point is visible where `0 <= u < width` and `0 <= v < height` for its unrounded colour pixel, and `0 < z < reading`. The reading
    is the depth map's at the colour pixel scaled to its size, rounded half to even and clipped to the map; it is
    `stored * scale_m` in float64. A stored 0 shows nothing; 65535 is a reading like any other. The depth camera's own intrinsics do
    not enter. Source: description of the MultiSPA data engine. Equals `strict_reference` bit for bit.
    `bounds_world` (of `block_bounds`) only saves time.
    """
    expect(points_world=(points_world, "N 3"), depth=(depth.stored, "H W"), world_from_camera=(world_from_camera, "4 4"))
    words = np.empty(words_for(len(points_world)), dtype=np.uint64)
    _fill_strict_words(
        np.ascontiguousarray(np.transpose(points_world), dtype=np.float64),
        np.empty((6, 0)) if bounds_world is None else np.ascontiguousarray(np.transpose(bounds_world), dtype=np.float64),
        np.ascontiguousarray(depth.stored, dtype=np.uint16),
        float(depth.scale_m),
        inverse(world_from_camera),
        tuple(float(value) for value in (intrinsics.fx, intrinsics.fy, intrinsics.cx, intrinsics.cy, intrinsics.width, intrinsics.height)),
        words,
    )
    return words


def strict_reference(points_world: np.ndarray, *, depth: StoredDepth, intrinsics: Intrinsics, world_from_camera: np.ndarray) -> np.ndarray:
    """The same test as `(N,)` bool in plain NumPy: the definition that the kernel is held to."""
    expect(points_world=(points_world, "N 3"), depth=(depth.stored, "H W"), world_from_camera=(world_from_camera, "4 4"))
    px, py, pz = np.asarray(points_world, dtype=np.float64).T
    m = inverse(world_from_camera)
    x = m[0, 0] * px + m[0, 1] * py + m[0, 2] * pz + m[0, 3]
    y = m[1, 0] * px + m[1, 1] * py + m[1, 2] * pz + m[1, 3]
    z = m[2, 0] * px + m[2, 1] * py + m[2, 2] * pz + m[2, 3]
    in_front = z > 0.0
    z = np.where(in_front, z, 1.0)
    u = intrinsics.fx * x / z + intrinsics.cx
    v = intrinsics.fy * y / z + intrinsics.cy
    inside = in_front & (u >= 0.0) & (u < intrinsics.width) & (v >= 0.0) & (v < intrinsics.height)
    rows, columns = depth.stored.shape
    column = np.clip(np.rint(np.where(inside, u, 0.0) * (columns / intrinsics.width)), 0, columns - 1).astype(np.int64)
    row = np.clip(np.rint(np.where(inside, v, 0.0) * (rows / intrinsics.height)), 0, rows - 1).astype(np.int64)
    return inside & (z < depth.stored[row, column].astype(np.float64) * depth.scale_m)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _fill_strict_words(axes, corners, stored, scale_m, m, camera, words):  # pragma: no cover - compiled
    fx, fy, cx, cy, width, height = camera
    per_column, per_row = stored.shape[1] / width, stored.shape[0] / height
    last_column, last_row = stored.shape[1] - 1.0, stored.shape[0] - 1.0
    in_view = np.ones(words.size, dtype=np.bool_)
    if corners.shape[1] > 0:
        shifted = (fx, fy, cx - 0.5, cy - 0.5, width, height)  # here the image begins at 0, not half a pixel before it
        mark_in_view(corners, m, shifted, shifted, 0.0, in_view)
    for block in range(words.size):
        word = np.uint64(0)
        if in_view[block]:
            start = block * BLOCK
            for i in range(min(BLOCK, axes.shape[1] - start)):
                px, py, pz = axes[0, start + i], axes[1, start + i], axes[2, start + i]
                z = m[2, 0] * px + m[2, 1] * py + m[2, 2] * pz + m[2, 3]
                if not z > 0.0:
                    continue
                x = m[0, 0] * px + m[0, 1] * py + m[0, 2] * pz + m[0, 3]
                y = m[1, 0] * px + m[1, 1] * py + m[1, 2] * pz + m[1, 3]
                u = fx * x / z + cx
                v = fy * y / z + cy
                if not (u >= 0.0 and u < width and v >= 0.0 and v < height):
                    continue
                column = np.int64(min(np.rint(u * per_column), last_column))
                row = np.int64(min(np.rint(v * per_row), last_row))
                if z < np.float64(stored[row, column]) * scale_m:
                    word |= np.uint64(1) << np.uint64(i)
        words[block] = word
