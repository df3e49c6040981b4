"""VGGT's dense head: patch tokens of four layers to one prediction and one confidence per pixel (depth, or points).

Shapes: B scenes, S frames, R rows (frames of all scenes), P patches, C channels of a kept token, h w of a feature map.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from sightline.models.geometry_encoders.vggt.aggregator import EPS

FRAMES_AT_ONCE = 8  # feature maps at full resolution are the largest tensors of VGGT
MOST_ELEMENTS = 1_610_612_736  # of one interpolation: kernels count with 32 bits
POSITION_WEIGHT = 0.1
POSITION_BASE = 100.0


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Dense:
    """A prediction for every pixel of every frame."""

    values: Tensor  # (B, S, height, width, 1 or 3)
    confidence: Tensor  # (B, S, height, width), from 1 up


class DenseHead(nn.Module):
    """A DPT: projects the layers, resizes them to four scales, refines from coarse to fine."""

    def __init__(self, channels: int, *, kind: Literal["depth", "point"], patch_size: int, features: int, widths: tuple[int, ...]):
        super().__init__()
        self.kind = kind
        self.patch_size = patch_size
        self.norm = nn.LayerNorm(channels, eps=EPS)
        self.projects = nn.ModuleList([nn.Conv2d(channels, width, kernel_size=1) for width in widths])
        self.resize_layers = nn.ModuleList(
            [
                nn.ConvTranspose2d(widths[0], widths[0], kernel_size=4, stride=4),
                nn.ConvTranspose2d(widths[1], widths[1], kernel_size=2, stride=2),
                nn.Identity(),
                nn.Conv2d(widths[3], widths[3], kernel_size=3, stride=2, padding=1),
            ]
        )
        self.scratch = _Scratch(features, widths, out={"depth": 2, "point": 4}[kind])

    def forward(self, layers: list[Tensor], *, height_px: int, width_px: int) -> Dense:
        """Patch tokens `(B, S, P, C)` of four layers, shallow first, of frames of that size."""
        scenes, frames = layers[0].shape[:2]
        rows = [layer.flatten(0, 1).split(FRAMES_AT_ONCE) for layer in layers]
        raw = torch.cat([self._raw(list(part), height_px, width_px) for part in zip(*rows)])
        raw = raw.permute(0, 2, 3, 1).unflatten(0, (scenes, frames))
        values, confidence = raw[..., :-1], 1.0 + raw[..., -1].exp()
        values = values.exp() if self.kind == "depth" else values.sign() * values.abs().expm1()
        return Dense(values=values, confidence=confidence)

    def _raw(self, layers: list[Tensor], height_px: int, width_px: int) -> Tensor:
        """Tokens `(R, P, C)` of each layer to the last convolution's output `(R, values + 1, height, width)`."""
        rows, columns = height_px // self.patch_size, width_px // self.patch_size
        aspect = width_px / height_px
        maps = []
        for layer, project, resize in zip(layers, self.projects, self.resize_layers):
            projected = functional.linear(self.norm(layer), project.weight.flatten(1), project.bias)
            maps.append(resize(with_position(projected.mT.unflatten(-1, (rows, columns)), aspect)))
        fused = self.scratch.fuse(maps)
        return self.scratch.output_conv2(with_position(resized(fused, (height_px, width_px)), aspect))


class _Scratch(nn.Module):
    """The refinement, under the name that it has in the published weights."""

    def __init__(self, features: int, widths: tuple[int, ...], out: int):
        super().__init__()
        for place, width in enumerate(widths, start=1):
            self.add_module(f"layer{place}_rn", nn.Conv2d(width, features, kernel_size=3, padding=1, bias=False))
            self.add_module(f"refinenet{place}", _Refine(features, has_lateral=place < len(widths)))
        self.output_conv1 = nn.Conv2d(features, features // 2, kernel_size=3, padding=1)
        self.output_conv2 = nn.Sequential(
            nn.Conv2d(features // 2, 32, kernel_size=3, padding=1), nn.ReLU(), nn.Conv2d(32, out, kernel_size=1)
        )

    def fuse(self, maps: list[Tensor]) -> Tensor:
        """Maps from fine to coarse to one at twice the finest resolution, `(R, features / 2, 2 h, 2 w)`."""
        laterals = [self.get_submodule(f"layer{place}_rn")(x) for place, x in enumerate(maps, start=1)]
        sizes = [(2 * laterals[0].shape[-2], 2 * laterals[0].shape[-1]), *(tuple(x.shape[-2:]) for x in laterals[:-1])]
        fused: Tensor | None = None
        for place in range(len(maps), 0, -1):
            fused = self.get_submodule(f"refinenet{place}")(laterals[place - 1], fused, sizes[place - 1])
        return self.output_conv1(fused)


class _Refine(nn.Module):
    """Adds a finer map to the fused coarser ones, and passes on at the next resolution."""

    def __init__(self, features: int, *, has_lateral: bool):
        super().__init__()
        self.out_conv = nn.Conv2d(features, features, kernel_size=1)
        if has_lateral:
            self.resConfUnit1 = _Residual(features)
        self.resConfUnit2 = _Residual(features)

    def forward(self, lateral: Tensor, fused: Tensor | None, size_hw: tuple[int, int]) -> Tensor:
        x = lateral if fused is None else fused + self.resConfUnit1(lateral)
        # A 1x1 convolution commutes with interpolation, whose weights sum to one: done first it is on a quarter of the pixels.
        return resized(self.out_conv(self.resConfUnit2(x)), size_hw)


class _Residual(nn.Module):
    """Two convolutions around a skip that carries the rectified input, as the published weights were trained."""

    def __init__(self, features: int):
        super().__init__()
        self.conv1 = nn.Conv2d(features, features, kernel_size=3, padding=1)
        self.conv2 = nn.Conv2d(features, features, kernel_size=3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = x.relu()
        return x + self.conv2(self.conv1(x).relu())


def resized(x: Tensor, size_hw: tuple[int, int]) -> Tensor:
    """Bilinear, corner pixels on corner pixels; a few rows at a time where the result is too large for one call."""
    at_once = max(1, MOST_ELEMENTS // (x.shape[1] * size_hw[0] * size_hw[1]))
    parts = [functional.interpolate(part, size=size_hw, mode="bilinear", align_corners=True) for part in x.split(at_once)]
    return parts[0] if len(parts) == 1 else torch.cat(parts)


def with_position(x: Tensor, aspect: float) -> Tensor:
    """A map `(R, C, h, w)` plus sines and cosines of where its pixels stand: x in the first half of the channels, y in the second.

    Pixel centres of a picture with unit half-diagonal and this ratio of width to height.
    """
    half = x.shape[1] // 2
    half_diagonal = (1.0 + aspect**2) ** 0.5
    along_x = waves(x.shape[-1], aspect / half_diagonal, half, x.device).to(x.dtype)
    along_y = waves(x.shape[-2], 1.0 / half_diagonal, half, x.device).to(x.dtype)
    # Each half varies along one axis only: a line each, never a whole map of codes.
    return torch.cat([x[:, :half] + along_x[:, None, :], x[:, half:] + along_y[:, :, None]], dim=1)


def waves(count: int, extent: float, channels: int, device: torch.device) -> Tensor:
    """`(channels, count)`: sines, then cosines, of pixel centres between -extent and extent, weighted."""
    inset = extent * (count - 1) / count
    position = torch.linspace(-inset, inset, count, dtype=torch.float64, device=device)
    wave_number = POSITION_BASE ** (-torch.arange(channels // 2, dtype=torch.float64, device=device) / (channels // 2))
    phase = wave_number[:, None] * position
    return POSITION_WEIGHT * torch.cat([phase.sin(), phase.cos()])
