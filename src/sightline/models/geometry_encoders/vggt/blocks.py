"""What VGGT's transformers are made of: rotary positions in the plane, attention within or across frames, MLP, residual block.

Shapes: R rows (a row is one frame of one scene), S frames of a scene, T tokens of a frame, C channels, H heads, D channels of a head.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Rope:
    """Rotation of every token of a frame, the same for all frames. The sign of the rotation's other half is in `sine`."""

    cosine: Tensor  # (T, 1, D)
    sine: Tensor  # (T, 1, D)

    def turn(self, x: Tensor) -> Tensor:
        """Queries or keys `(R, T, H, D)`, turned by their position: y in the first half of D, x in the second."""
        # Each half is again two blocks (a, b); a turns to a cos - b sin and b to b cos + a sin.
        swapped = x.unflatten(-1, (2, 2, -1)).flip(-2).flatten(-3)
        return torch.addcmul(x * self.cosine, swapped, self.sine)


def make_rope(
    grid_hw: tuple[int, int], *, special_tokens: int, head_dim: int, base: float, device: torch.device, dtype: torch.dtype
) -> Rope:
    """Positions 1, 2, ... down and across the patches, row by row; the special tokens before them stand at (0, 0).

    Angles are `position * base^(-2i / (D/2))` for i = 0 .. D/4 - 1, in float32 whatever the dtype of the result.
    """
    rows, columns = grid_hw
    quarter = head_dim // 4
    y = torch.arange(1, rows + 1, device=device, dtype=torch.float32).repeat_interleave(columns)
    x = torch.arange(1, columns + 1, device=device, dtype=torch.float32).repeat(rows)
    position = functional.pad(torch.stack([y, x], dim=-1), (0, 0, special_tokens, 0))
    wave_number = base ** (-torch.arange(quarter, device=device, dtype=torch.float32) / quarter)
    angle = position[:, :, None] * wave_number  # (T, 2, D/4)
    cosine, sine = angle.cos(), angle.sin()
    return Rope(
        cosine=torch.stack([cosine, cosine], dim=2).flatten(1)[:, None].to(dtype),
        sine=torch.stack([-sine, sine], dim=2).flatten(1)[:, None].to(dtype),
    )


class Attention(nn.Module):
    """Self-attention with one projection for queries, keys and values; optionally normalised queries and keys and rotary positions."""

    def __init__(self, channels: int, num_heads: int, *, is_qk_normed: bool, eps: float):
        super().__init__()
        self.num_heads = num_heads
        self.qkv = nn.Linear(channels, 3 * channels)
        self.proj = nn.Linear(channels, channels)
        self.q_norm = nn.LayerNorm(channels // num_heads, eps=eps) if is_qk_normed else nn.Identity()
        self.k_norm = nn.LayerNorm(channels // num_heads, eps=eps) if is_qk_normed else nn.Identity()

    def forward(self, x: Tensor, rope: Rope | None, frames: int) -> Tensor:
        """Tokens `(R, T, C)`; `frames` neighbouring rows attend to one another as one sequence."""
        rows, tokens, channels = x.shape
        query, key, value = self.qkv(x).unflatten(-1, (3, self.num_heads, -1)).unbind(2)
        query, key = self.q_norm(query), self.k_norm(key)
        if rope is not None:
            query, key = rope.turn(query), rope.turn(key)
        # Only here do frames differ from scenes: everything else works on tokens one by one.
        scenes = (rows // frames, frames * tokens, self.num_heads, channels // self.num_heads)
        query, key, value = (part.reshape(scenes).transpose(1, 2) for part in (query, key, value))
        attended = functional.scaled_dot_product_attention(query, key, value)
        return self.proj(attended.transpose(1, 2).reshape(rows, tokens, channels))


class Mlp(nn.Module):
    """Two linear layers with an exact GELU between."""

    def __init__(self, channels: int, hidden: int, out: int):
        super().__init__()
        self.fc1 = nn.Linear(channels, hidden)
        self.fc2 = nn.Linear(hidden, out)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(functional.gelu(self.fc1(x)))


class LayerScale(nn.Module):
    """Adds an update to a residual stream, scaled by one learned number per channel."""

    def __init__(self, channels: int, initial: float):
        super().__init__()
        self.initial = initial
        self.gamma = nn.Parameter(torch.full((channels,), initial))

    def forward(self, x: Tensor, update: Tensor) -> Tensor:
        return torch.addcmul(x, update, self.gamma)


class Block(nn.Module):
    """Pre-norm transformer block with scaled updates."""

    def __init__(self, channels: int, num_heads: int, *, mlp_ratio: float, eps: float, scale: float, is_qk_normed: bool = False):
        super().__init__()
        self.norm1 = nn.LayerNorm(channels, eps=eps)
        self.attn = Attention(channels, num_heads, is_qk_normed=is_qk_normed, eps=eps)
        self.ls1 = LayerScale(channels, scale)
        self.norm2 = nn.LayerNorm(channels, eps=eps)
        self.mlp = Mlp(channels, int(channels * mlp_ratio), channels)
        self.ls2 = LayerScale(channels, scale)

    def forward(self, x: Tensor, rope: Rope | None = None, frames: int = 1) -> Tensor:
        """Tokens `(R, T, C)` to the same shape; see `Attention.forward`."""
        x = self.ls1(x, self.attn(self.norm1(x), rope, frames))
        return self.ls2(x, self.mlp(self.norm2(x)))


class PatchEmbed(nn.Module):
    """One linear map of each square patch, stored as the convolution that it equals."""

    def __init__(self, patch_size: int, channels: int):
        super().__init__()
        self.patch_size = patch_size
        self.proj = nn.Conv2d(3, channels, kernel_size=patch_size, stride=patch_size)

    def forward(self, images: Tensor) -> Tensor:
        """Images `(R, 3, h, w)` to patch tokens `(R, P, C)`, row by row."""
        size = self.patch_size
        patches = images.unflatten(3, (-1, size)).unflatten(2, (-1, size)).permute(0, 2, 4, 1, 3, 5)  # (R, rows, columns, 3, size, size)
        return functional.linear(patches.flatten(3).flatten(1, 2), self.proj.weight.flatten(1), self.proj.bias)
