"""Points of a view's own depth map, averaged over the valid pixels of each merged 2-D patch of the shown image.

Points are averaged, never their codes: codes of two surfaces at a depth edge average to nothing, and an average point can be
re-expressed in any frame, because the average commutes with a rigid motion. Two ways to the same numbers: `token_points` of one view in
NumPy, for data that keeps the points of each frame, and `PointmapEncoder` for a batch on the model's device.

Shapes: V views, N tokens of all of them, h x w pixels of a depth map.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from sightline.arrays import expect
from sightline.config import build, config
from sightline.errors import ModelError
from sightline.geometry.cameras import Intrinsics
from sightline.geometry.depth import pixel_grid
from sightline.geometry.transforms import apply
from sightline.models.geometry_tokens import expect_precise
from sightline.models.model import GeometryTokens, Views
from sightline.samples.frames import View

PIXELS_AT_ONCE = 2**21  # depth pixels that a batch's sums hold in double precision at a time, 6 views of 640x480
EDGE_CELLS = 1e-4  # a pixel centre on the edge of two cells is in the second, however the last bits are rounded
DEPTH_TYPES = (torch.float64, torch.float32, torch.float16)  # bfloat16 has steps of 16 mm at 3 m


@config
class PointmapOptions:
    """Of the depth pixels that fall in a patch, `min_valid_fraction` must be read; fewer make the token invalid."""

    min_valid_fraction: float = 0.25


class PointmapEncoder(nn.Module):
    """Depth and pose to a point per visual token. Where a depth pixel lands depends on its row and its column apart, so that the sums
    over patches are two small matrix products per view: no scatter, no full-size map of points, the same bits every time.

    In double precision, whatever the rest of the model uses: neither autocast nor TF32 products can round metres.
    """

    name: ClassVar[str] = "pointmap"
    gives: ClassVar[str] = "coordinates"
    needs_images: ClassVar[bool] = False
    needs_depth: ClassVar[bool] = True
    channels: ClassVar[int] = 3
    patch_px: ClassVar[None] = None

    def __init__(self, options: Mapping[str, Any]):
        super().__init__()
        self.options = build(PointmapOptions, options, where="geometry encoder 'pointmap'")
        _expect_fraction(self.options.min_valid_fraction)

    @torch.no_grad()
    def forward(self, views: Views) -> GeometryTokens:
        """Float32 coordinates in the frame of `views.frame_from_camera`; NaN where invalid, which a view without depth or with a pose that
        is not finite is everywhere. Raises ModelError for views without depth, intrinsics or poses, and for depth, cameras
        or poses of a type that rounds them.

        A grid on the host costs no wait; one on the device is read from it, once.
        """
        if views.depth_m is None or views.depth_intrinsics is None or views.intrinsics is None or views.frame_from_camera is None:
            raise ModelError("geometry encoder 'pointmap': expected depth, intrinsics and poses of the views, found some of them missing")
        grids = [(rows, columns) for rows, columns in views.token_grid_hw.tolist()]
        _expect_views(views, len(grids))
        at_once = max(1, PIXELS_AT_ONCE // max(1, views.depth_m[0].numel())) if grids else 1
        points, are_valid = [], []
        for first, end in _runs(grids, at_once):
            part = slice(first, end)
            found = token_points_of(
                views.depth_m[part],
                depth_intrinsics=views.depth_intrinsics[part],
                intrinsics=views.intrinsics[part],
                frame_from_camera=views.frame_from_camera[part],
                rows=grids[first][0],
                columns=grids[first][1],
                min_valid_fraction=self.options.min_valid_fraction,
            )
            points.append(found[0].flatten(0, 1))
            are_valid.append(found[1].flatten())
        device = views.depth_m.device
        return GeometryTokens(
            views_per_sample=views.views_per_sample,
            grid_hw=views.token_grid_hw,
            is_valid=torch.cat(are_valid) if are_valid else torch.zeros(0, dtype=torch.bool, device=device),
            coordinates_m=torch.cat(points) if points else torch.zeros(0, 3, device=device),
            views=views,
        )


def token_points_of(
    depth_m: Tensor,
    *,
    depth_intrinsics: Tensor,
    intrinsics: Tensor,
    frame_from_camera: Tensor,
    rows: int,
    columns: int,
    min_valid_fraction: float,
) -> tuple[Tensor, Tensor]:
    """Points `(V, rows * columns, 3)` float32 and which are valid, of V views of one grid: `token_points` for a batch, on any device.

    `depth_m (V, h, w)` may be padded on the right and below of the sizes in `depth_intrinsics (V, 6)`.
    """
    ray_x, in_column = _along(depth_m.shape[2], depth_intrinsics[:, 0::2], intrinsics[:, 0::2], columns)
    ray_y, in_row = _along(depth_m.shape[1], depth_intrinsics[:, 1::2], intrinsics[:, 1::2], rows)
    is_read = torch.isfinite(depth_m) & (depth_m > 0)
    z_m = torch.where(is_read, depth_m, 0.0).double()
    by_column = z_m @ torch.cat([in_column, in_column * ray_x[..., None]], dim=2)  # (V, h, 2 columns)
    by_row = in_row.transpose(1, 2)
    sum_z, sum_xz = (by_row @ by_column).split(columns, dim=2)
    sum_yz = (by_row * ray_y[:, None]) @ by_column[..., :columns]
    readings = by_row @ (is_read.double() @ in_column)
    pixels = in_row.sum(1)[:, :, None] * in_column.sum(1)[:, None]
    is_posed = torch.isfinite(frame_from_camera).flatten(1).all(1)
    is_valid = (readings > 0) & (readings >= min_valid_fraction * pixels) & is_posed[:, None, None]
    points_camera = torch.stack([sum_xz, sum_yz, sum_z], dim=-1).flatten(1, 2) / readings.clamp(min=1.0).flatten(1, 2)[..., None]
    pose = frame_from_camera.double()
    points = points_camera @ pose[:, :3, :3].transpose(1, 2) + pose[:, None, :3, 3]
    is_valid = is_valid.flatten(1)
    return torch.where(is_valid[..., None], points, torch.nan).float(), is_valid


def _along(pixels: int, depth: Tensor, shown: Tensor, cells: int) -> tuple[Tensor, Tensor]:
    """One axis of V images: ray slopes of the depth pixels `(V, n)`, and in which cell of the shown image each is, `(V, n, cells)` of 0, 1.

    `depth` and `shown (V, 3)` are focal length, principal point and size in pixels.
    """
    focal, centre, size = depth.double()[:, :, None].unbind(1)
    shown_focal, shown_centre, shown_size = shown.double()[:, :, None].unbind(1)
    index = torch.arange(pixels, device=depth.device, dtype=torch.float64)
    slope = (index - centre) / focal
    cell = torch.floor((slope * shown_focal + shown_centre + 0.5) * cells / shown_size + EDGE_CELLS)
    cell = torch.where(index < size, cell, -1.0)
    lands = cell[..., None] == torch.arange(cells, device=depth.device, dtype=torch.float64)
    return slope, lands.double()


def _runs(grids: Sequence[tuple[int, int]], at_once: int) -> list[tuple[int, int]]:
    """Neighbouring views of one grid, no more than `at_once`, as first and one past the last."""
    runs, first = [], 0
    for index in range(1, len(grids) + 1):
        if index == len(grids) or grids[index] != grids[first] or index - first == at_once:
            runs.append((first, index))
            first = index
    return runs


def metres(stored: Tensor, *, unit_m: float) -> Tensor:
    """Depth as sensors store it, whole units of `unit_m`, in float32 metres with NaN where it says 0.

    For the device: uint16 millimetres travel there in half the bytes of float32, and are exact where float16 metres are off by up to
    2 mm at 4 m. Raises ModelError for numbers that are no integers.
    """
    if stored.is_floating_point() or stored.dtype == torch.bool or not unit_m > 0:
        raise ModelError(f"depth: expected integers and the positive length of their unit in metres, found {stored.dtype} and {unit_m}")
    found = stored.float()
    return torch.where(found > 0, found * unit_m, torch.nan)


def _expect_views(views: Views, count: int) -> None:
    if views.depth_m.dtype not in DEPTH_TYPES:
        raise ModelError(
            f"view_depth_m: expected metres in float32 or float16, found {views.depth_m.dtype}. "
            "Fix: pass stored units through metres(stored, unit_m=...) once they are on the device; leave depth out of casts to bfloat16"
        )
    for name, cameras in (("view_intrinsics", views.intrinsics), ("view_depth_intrinsics", views.depth_intrinsics)):
        expect_precise(cameras, name=name)
    expect(
        view_depth_m=(views.depth_m, f"{count} h w"),
        view_depth_intrinsics=(views.depth_intrinsics, f"{count} 6"),
        view_intrinsics=(views.intrinsics, f"{count} 6"),
        frame_from_camera=(views.frame_from_camera, f"{count} 4 4"),
    )


def token_points(view: View, *, rows: int, columns: int, min_valid_fraction: float) -> tuple[np.ndarray, np.ndarray]:
    """Points `(rows * columns, 3)` in world metres, row-major, and which are valid; all invalid for a view without depth or pose."""
    _expect_fraction(min_valid_fraction)
    tokens = rows * columns
    if view.depth_m is None or view.world_from_camera is None or not np.isfinite(view.world_from_camera).all():
        return np.full((tokens, 3), np.nan), np.zeros(tokens, dtype=bool)
    intrinsics = view.depth_intrinsics
    expect(depth_m=(view.depth_m, f"{intrinsics.height} {intrinsics.width}"))
    rays, token_of_pixel, pixels_of_token = _placement(intrinsics, view.intrinsics, rows, columns)
    depth_m = view.depth_m.reshape(-1)
    is_read = np.isfinite(depth_m) & (depth_m > 0.0) & (token_of_pixel >= 0)
    token, z_m = token_of_pixel[is_read], depth_m[is_read].astype(np.float64)
    readings = np.bincount(token, minlength=tokens)
    is_valid = (readings > 0) & (readings >= min_valid_fraction * pixels_of_token)
    sums = [np.bincount(token, weights=weights, minlength=tokens) for weights in (z_m * rays[is_read, 0], z_m * rays[is_read, 1], z_m)]
    points_camera = np.stack(sums, axis=1) / np.maximum(readings, 1)[:, None]
    points_world = apply(view.world_from_camera, points_camera)
    points_world[~is_valid] = np.nan
    return points_world, is_valid


def _expect_fraction(min_valid_fraction: float) -> None:
    if not 0.0 < min_valid_fraction <= 1.0:
        raise ModelError(f"pointmap: expected 0 < min_valid_fraction <= 1, found {min_valid_fraction}")


@lru_cache(maxsize=256)
def _placement(depth: Intrinsics, shown: Intrinsics, rows: int, columns: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For each depth pixel its ray `(P, 2)` at unit depth and its token `(P,)` (-1: outside the image), and the pixels of each token.

    Colour and depth share one pose, so where a depth pixel lands does not depend on its depth.
    """
    uv = pixel_grid(depth.width, depth.height).reshape(-1, 2)
    rays = (uv - [depth.cx, depth.cy]) / [depth.fx, depth.fy]
    uv_shown = rays * [shown.fx, shown.fy] + [shown.cx, shown.cy]
    column = np.floor((uv_shown[:, 0] + 0.5) * columns / shown.width + EDGE_CELLS).astype(np.int64)
    row = np.floor((uv_shown[:, 1] + 0.5) * rows / shown.height + EDGE_CELLS).astype(np.int64)
    is_inside = (column >= 0) & (column < columns) & (row >= 0) & (row < rows)
    token = np.where(is_inside, row * columns + column, -1)
    return rays, token, np.bincount(token[is_inside], minlength=rows * columns)
