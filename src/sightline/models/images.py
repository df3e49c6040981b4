"""Images as the vision tower wants them: cut into patches in merge-window order and normalised; and back."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from sightline.arrays import expect
from sightline.models.backbones.backbone import HALF_MEAN, HALF_STD, VisionGrid


def patches_of(rgb: np.ndarray, *, patch_size: int, merge_size: int) -> np.ndarray:
    """`(H, W, 3)` uint8 to `(H/p * W/p, 3 p p)` uint8: merge windows row by row, inside each its patches row by row, channels first."""
    window = patch_size * merge_size
    expect(rgb=(rgb, "H W 3"))
    rows, columns = rgb.shape[0] // window, rgb.shape[1] // window
    expect(rgb=(rgb, f"{rows * window} {columns * window} 3"))
    cut = rgb.reshape(rows, merge_size, patch_size, columns, merge_size, patch_size, 3)
    return cut.transpose(0, 3, 1, 4, 6, 2, 5).reshape(rows * columns * merge_size**2, 3 * patch_size**2)


def normalised(
    patches: np.ndarray,
    *,
    patch_size: int,
    temporal_patch_size: int,
    mean: Sequence[float] = HALF_MEAN,
    std: Sequence[float] = HALF_STD,
    is_video: bool = False,
) -> np.ndarray:
    """Float32 pixel values of uint8 patches. A still image fills every frame of a temporal patch; those of a video are left to `paired`."""
    values = _values(patches, tuple(mean), tuple(std))
    if temporal_patch_size == 1 or is_video:
        return values
    by_channel = values.reshape(len(values), 3, 1, patch_size**2)
    return np.broadcast_to(by_channel, (len(values), 3, temporal_patch_size, patch_size**2)).reshape(len(values), -1)


def normalised_tensor(patches: Tensor, grid: VisionGrid, *, is_video: bool) -> Tensor:
    """As `normalised`, of uint8 patches on any device and to the same bits: they travel there in a quarter of the bytes, or less."""
    mean, std = (torch.tensor(values, dtype=torch.float32, device=patches.device)[:, None] for values in (grid.mean, grid.std))
    share = torch.tensor(1.0 / 255.0, dtype=torch.float32, device=patches.device)
    values = patches.view(len(patches), 3, -1).float().mul_(share).sub_(mean).div_(std)
    if grid.temporal_patch > 1 and not is_video:
        values = values[:, :, None].expand(-1, -1, grid.temporal_patch, -1)
    return values.reshape(len(patches), -1)


def paired(values: np.ndarray, *, frames: int, temporal_patch_size: int) -> np.ndarray:
    """Patches of a clip's frames `(frames p, 3 pixels)` as patches of its steps `(steps p, 3 T pixels)`, T frames to a step."""
    pixels = values.shape[1] // 3
    by_frame = values.reshape(frames // temporal_patch_size, temporal_patch_size, -1, 3, pixels)
    return by_frame.transpose(0, 2, 3, 1, 4).reshape(-1, 3 * temporal_patch_size * pixels)


def _values(patches: np.ndarray, mean: tuple[float, ...], std: tuple[float, ...]) -> np.ndarray:
    """By table, since there are but 256 different pixels of a channel."""
    tables = _tables(mean, std)
    if len(set(mean)) == len(set(std)) == 1:
        return tables[0][patches]
    by_channel = patches.reshape(len(patches), 3, -1)
    values = np.empty(by_channel.shape, np.float32)
    for channel in range(3):
        values[:, channel] = tables[channel][by_channel[:, channel]]
    return values.reshape(patches.shape)


@lru_cache(maxsize=16)
def _tables(mean: tuple[float, ...], std: tuple[float, ...]) -> tuple[np.ndarray, ...]:
    shares = np.arange(256, dtype=np.float32) * np.float32(1.0 / 255.0)
    return tuple((shares - np.float32(middle)) / np.float32(spread) for middle, spread in zip(mean, std, strict=True))


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
