"""Where flat tokens of many views lie in their images, on any grid; and that place as waves or as a rotation.

Shapes: V views, N tokens of all of them, F waves along each axis of the image.
"""

import math

import torch
from torch import Tensor

LONGEST, SHORTEST = 4.0, 1.0 / 16.0  # wavelengths in image sides: the first never repeats inside an image, the last tells neighbours apart


def view_of_token(grid_hw: Tensor, *, tokens: int) -> Tensor:
    """`(N,)` the view of each token, for grids `(V, 2)` that hold `tokens` in all. Asks nothing back from the device."""
    views = torch.arange(len(grid_hw), device=grid_hw.device)
    return torch.repeat_interleave(views, grid_hw.prod(-1), output_size=tokens)


def centres(grid_hw: Tensor, *, tokens: int) -> Tensor:
    """`(N, 2)` row and column of each token's centre as shares of its image, float32 in 0 to 1.

    Shares, so that cells of 14 and of 32 pixels that show the same thing have the same place.
    """
    view = view_of_token(grid_hw, tokens=tokens)
    counts = grid_hw.prod(-1)
    within = torch.arange(tokens, device=grid_hw.device) - (counts.cumsum(0) - counts)[view]
    columns = grid_hw[view, 1]
    place = torch.stack([torch.div(within, columns, rounding_mode="floor"), within % columns], dim=-1)
    return (place.float() + 0.5) / grid_hw[view]


def phases_rad(centres: Tensor, count: int) -> Tensor:
    """`(N, 2)` places to `(N, 2 count)` angles: `count` of the row, then `count` of the column, longest wave first."""
    lengths = torch.linspace(math.log(LONGEST), math.log(SHORTEST), count, device=centres.device).exp()
    return (centres[..., None] * (2.0 * math.pi / lengths)).flatten(-2)


def waves(centres: Tensor, channels: int) -> Tensor:
    """`(N, channels)` sines and cosines of the place; `channels` is a multiple of 4."""
    phases = phases_rad(centres, channels // 4)
    return torch.cat([phases.sin(), phases.cos()], dim=-1)


def rotated(heads: Tensor, phases: Tensor) -> Tensor:
    """`(N, heads, E)` with each pair of channels turned by one of the phases `(N, E/2)`.

    The dot product of two tokens turned so depends on how far apart they lie in the image, whatever their grids.
    """
    cos, sin = phases.cos()[:, None].to(heads.dtype), phases.sin()[:, None].to(heads.dtype)
    first, second = heads.chunk(2, dim=-1)
    return torch.cat([first * cos - second * sin, second * cos + first * sin], dim=-1)
