"""World points of a view's own depth map, averaged over the valid pixels of each merged 2-D patch of the shown image."""

from functools import lru_cache
from typing import ClassVar

import numpy as np

from sightline.arrays import expect
from sightline.errors import ModelError
from sightline.geometry.cameras import Intrinsics
from sightline.geometry.depth import pixel_grid
from sightline.geometry.transforms import apply
from sightline.samples.frames import View


class PointmapEncoder:
    """Unprojects at depth resolution and places each reading where its ray meets the shown (resized, cropped) colour image.

    Points are averaged, never their codes: codes of two surfaces at a depth edge average to nothing, and an average point can be
    re-expressed in any frame, because the average commutes with a rigid motion.
    """

    name: ClassVar[str] = "pointmap"

    def __init__(self, *, rows: int, columns: int, min_valid_fraction: float):
        if not 0.0 < min_valid_fraction <= 1.0:
            raise ModelError(f"pointmap: expected 0 < min_valid_fraction <= 1, found {min_valid_fraction}")
        self.rows = rows
        self.columns = columns
        self.min_valid_fraction = min_valid_fraction  # of the depth pixels that fall in a patch; fewer make the token invalid

    def __call__(self, view: View) -> tuple[np.ndarray, np.ndarray]:
        """Points `(rows * columns, 3)` in world metres, row-major, and which are valid; all invalid for a view without depth or pose."""
        tokens = self.rows * self.columns
        if view.depth_m is None or view.world_from_camera is None or not np.isfinite(view.world_from_camera).all():
            return np.full((tokens, 3), np.nan), np.zeros(tokens, dtype=bool)
        intrinsics = view.depth_intrinsics
        expect(depth_m=(view.depth_m, f"{intrinsics.height} {intrinsics.width}"))
        rays, token_of_pixel, pixels_of_token = _placement(intrinsics, view.intrinsics, self.rows, self.columns)
        depth_m = view.depth_m.reshape(-1)
        is_read = np.isfinite(depth_m) & (depth_m > 0.0) & (token_of_pixel >= 0)
        token, z_m = token_of_pixel[is_read], depth_m[is_read].astype(np.float64)
        readings = np.bincount(token, minlength=tokens)
        is_valid = (readings > 0) & (readings >= self.min_valid_fraction * pixels_of_token)
        sums = [np.bincount(token, weights=weights, minlength=tokens) for weights in (z_m * rays[is_read, 0], z_m * rays[is_read, 1], z_m)]
        points_camera = np.stack(sums, axis=1) / np.maximum(readings, 1)[:, None]
        points_world = apply(view.world_from_camera, points_camera)
        points_world[~is_valid] = np.nan
        return points_world, is_valid


@lru_cache(maxsize=256)
def _placement(depth: Intrinsics, shown: Intrinsics, rows: int, columns: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For each depth pixel its ray `(P, 2)` at unit depth and its token `(P,)` (-1: outside the image), and the pixels of each token.

    Colour and depth share one pose, so where a depth pixel lands does not depend on its depth.
    """
    uv = pixel_grid(depth.width, depth.height).reshape(-1, 2)
    rays = (uv - [depth.cx, depth.cy]) / [depth.fx, depth.fy]
    uv_shown = rays * [shown.fx, shown.fy] + [shown.cx, shown.cy]
    column = np.floor((uv_shown[:, 0] + 0.5) * columns / shown.width).astype(np.int64)
    row = np.floor((uv_shown[:, 1] + 0.5) * rows / shown.height).astype(np.int64)
    is_inside = (column >= 0) & (column < columns) & (row >= 0) & (row < rows)
    token = np.where(is_inside, row * columns + column, -1)
    return rays, token, np.bincount(token[is_inside], minlength=rows * columns)
