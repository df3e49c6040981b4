"""Images as the vision tower wants them: cut into patches in merge-window order and normalised; and back."""

import numpy as np
import torch
from torch import Tensor

from sightline.arrays import expect
from sightline.models.backbones.backbone import VisionGrid

MEAN, STD = 0.5, 0.5  # per channel, as in Qwen3-VL's released image processor


def patches_of(rgb: np.ndarray, *, patch_size: int, merge_size: int) -> np.ndarray:
    """`(H, W, 3)` uint8 to `(H/p * W/p, 3 p p)` uint8: merge windows row by row, inside each its patches row by row, channels first."""
    window = patch_size * merge_size
    expect(rgb=(rgb, "H W 3"))
    rows, columns = rgb.shape[0] // window, rgb.shape[1] // window
    expect(rgb=(rgb, f"{rows * window} {columns * window} 3"))
    cut = rgb.reshape(rows, merge_size, patch_size, columns, merge_size, patch_size, 3)
    return cut.transpose(0, 3, 1, 4, 6, 2, 5).reshape(rows * columns * merge_size**2, 3 * patch_size**2)


def normalised(patches: np.ndarray, *, patch_size: int, temporal_patch_size: int) -> np.ndarray:
    """Float32 pixel values of uint8 patches; a still image fills every frame of a temporal patch."""
    values = _TABLE[patches]
    if temporal_patch_size == 1:
        return values
    by_channel = values.reshape(len(values), 3, 1, patch_size**2)
    return np.broadcast_to(by_channel, (len(values), 3, temporal_patch_size, patch_size**2)).reshape(len(values), -1)


_TABLE = ((np.arange(256, dtype=np.float32) * np.float32(1.0 / 255.0)) - np.float32(MEAN)) / np.float32(STD)


def images_of(pixel_values: Tensor, grid_thw: Tensor, grid: VisionGrid, *, first_only: bool) -> tuple[Tensor, ...]:
    """The views behind flat normalised patches, `(3, H, W)` each, in [0, 1].

    A temporal patch holds `grid.temporal_patch` frames of a video; of a still image it holds copies, of which `first_only` takes one.
    """
    side, merge, frames = grid.patch_px, grid.merge, grid.temporal_patch
    mean = torch.tensor(grid.mean, device=pixel_values.device)[:, None, None]
    std = torch.tensor(grid.std, device=pixel_values.device)[:, None, None]
    found, start = [], 0
    for steps, rows, columns in grid_thw.tolist():
        part = pixel_values[start : start + steps * rows * columns]
        start += steps * rows * columns
        cut = part.view(steps, rows // merge, columns // merge, merge, merge, 3, frames, side, side)
        whole = cut.permute(0, 6, 5, 1, 3, 7, 2, 4, 8).reshape(steps, frames, 3, rows * side, columns * side)
        kept = whole[:, 0] if first_only else whole.flatten(0, 1)
        found.extend(kept.float() * std + mean)
    return tuple(found)
