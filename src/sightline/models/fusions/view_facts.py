"""What is measured about each view as a whole: pose relative to the sample's first camera, lens, depth; each with a flag that it is known.

Shapes: V views of the whole batch, h x w pixels of a depth map. The columns of the result are those of `LEGEND`.
"""

import torch
from torch import Tensor

from sightline.models.model import Views

DEPTH_EDGES_M = (0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5.0, 5.5, 6.0, 7.0, 8.0, 10.0)  # half metres in a room, coarser beyond

POSE = (*(f"{axis}_{of}" for axis in ("right", "down") for of in "xyz"), "centre_x_m", "centre_y_m", "centre_z_m")
LENS = ("fx_per_width", "fy_per_height", "cx_per_width", "cy_per_height")
DEPTH = (
    "share_read",
    "depth_mean_m",
    "depth_std_m",
    *(f"share_to_{edge}_m" for edge in DEPTH_EDGES_M),
    f"share_beyond_{DEPTH_EDGES_M[-1]}_m",
)
LEGEND = ("pose_known", *POSE, "lens_known", *LENS, "depth_known", *DEPTH)


@torch.no_grad()
def view_facts(views: Views) -> Tensor:
    """`(V, F)` float32 in the order of `LEGEND`. What is unknown is 0 with a 0 flag before it, in every column of its kind.

    Pose: the camera's right and down axes and its centre in metres, in the first camera of its sample, whatever frame the poses are in.
    Two axes of a rotation give the third, and six numbers change smoothly where angles and quaternions jump. Lens: focal lengths and
    principal point as shares of the image's sides, measured from its corner. Depth: of the pixels that were read, mean and spread in
    metres and the share of them within each band of `DEPTH_EDGES_M`; a map with nothing read is unknown.
    """
    count = sum(views.views_per_sample)
    device = views.token_grid_hw.device
    with torch.autocast(device.type, enabled=False):  # metres to a few bits would be another room
        parts = [_pose(views), _lens(views), _depth(views)]
        sizes = [len(POSE), len(LENS), len(DEPTH)]
        return torch.cat([_flagged(part, count, size, device) for part, size in zip(parts, sizes, strict=True)], dim=1)


def _flagged(part: tuple[Tensor, Tensor] | None, count: int, size: int, device: torch.device) -> Tensor:
    """`(V, 1 + size)`: the flag, then the numbers, all 0 where unknown."""
    if part is None:
        return torch.zeros(count, 1 + size, device=device)
    numbers, is_known = part
    is_known = is_known & torch.isfinite(numbers).all(dim=1)
    return torch.where(is_known[:, None], torch.cat([torch.ones_like(numbers[:, :1]), numbers], dim=1), 0.0).float()


def _pose(views: Views) -> tuple[Tensor, Tensor] | None:
    if views.frame_from_camera is None:
        return None
    frame_from_camera = views.frame_from_camera.double()
    counts = torch.tensor(views.views_per_sample, device=frame_from_camera.device)
    first = torch.repeat_interleave(counts.cumsum(0) - counts, counts, output_size=len(frame_from_camera))
    # Differences before rotations: a world's origin may be far away, and what is subtracted exactly is not lost.
    first_from_frame = frame_from_camera[first, :3, :3].transpose(1, 2)
    rotation = first_from_frame @ frame_from_camera[:, :3, :3]
    centre = first_from_frame @ (frame_from_camera[:, :3, 3:] - frame_from_camera[first, :3, 3:])
    numbers = torch.cat([rotation[:, :, 0], rotation[:, :, 1], centre[:, :, 0]], dim=1)
    return numbers, torch.ones_like(numbers[:, 0], dtype=torch.bool)


def _lens(views: Views) -> tuple[Tensor, Tensor] | None:
    if views.intrinsics is None:
        return None
    fx, fy, cx, cy, width, height = views.intrinsics.double().unbind(dim=1)
    numbers = torch.stack([fx / width, fy / height, (cx + 0.5) / width, (cy + 0.5) / height], dim=1)  # integers are pixel centres
    return numbers, (fx > 0) & (fy > 0) & (width > 0) & (height > 0)


def _depth(views: Views) -> tuple[Tensor, Tensor] | None:
    if views.depth_m is None:
        return None
    is_read = torch.isfinite(views.depth_m) & (views.depth_m > 0)
    depth_m = torch.where(is_read, views.depth_m, 0.0).float()
    pixels = torch.full_like(depth_m[:, 0, 0], depth_m.shape[1] * depth_m.shape[2])
    if views.depth_intrinsics is not None:  # maps smaller than the largest are padded with nothing
        pixels = views.depth_intrinsics[:, 4].float() * views.depth_intrinsics[:, 5].float()
    read = is_read.sum(dim=(1, 2))
    at_least_one = read.clamp(min=1)
    mean = depth_m.sum(dim=(1, 2)) / at_least_one
    spread = torch.where(is_read, depth_m - mean[:, None, None], 0.0).square().sum(dim=(1, 2)) / at_least_one
    below = [(is_read & (depth_m < edge)).sum(dim=(1, 2)) for edge in DEPTH_EDGES_M]  # counts, so the same on every machine
    bands = torch.stack([*below, read], dim=1).diff(dim=1, prepend=torch.zeros_like(read)[:, None]) / at_least_one[:, None]
    return torch.cat([torch.stack([read / pixels, mean, spread.sqrt()], dim=1), bands], dim=1), read > 0
