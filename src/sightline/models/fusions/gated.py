"""What the additive fusions share: a code of the coordinates, a learned gate that starts at zero, nothing where invalid."""

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from transformers import initialization as init

from sightline.errors import ModelError
from sightline.models.model import GeometryTokens, Sizes, VisualTokens


class GatedFusion(nn.Module):
    """`visual + gate * code(coordinates)`. The gate has one number per channel, all zero at first; the code is not, so the gate learns."""

    name: ClassVar[str]
    needs: ClassVar[str] = "coordinates"
    makes: ClassVar[str] = "visual"

    def __init__(self, sizes: Sizes, options: Mapping[str, Any]):
        super().__init__()
        self.gate = nn.Parameter(torch.zeros(sizes.hidden_size))

    def code(self, coordinates_m: Tensor) -> Tensor:
        """`(N, 3)` metres, in single precision or better, to `(N, D)` of unit-sized channels."""
        raise NotImplementedError

    def forward(self, visual: VisualTokens, geometry: GeometryTokens | None) -> Tensor:
        """Visual tokens `(N, D)` plus their gated code. Raises ModelError for another grid than that of the visual tokens."""
        geometry = expect_same_grid(self.name, visual, geometry)
        tokens = visual.tokens
        is_valid = geometry.is_valid[:, None]
        # Replaced before coding, not after: a NaN times zero is still a NaN, in the value and in the gradient. Never rounded to the
        # tokens' precision: bfloat16 metres are off by centimetres across a room, a whole turn of the shortest wave.
        coordinates_m = torch.where(is_valid, geometry.coordinates_m, 0.0)
        # In units of the visual token's own size, so that a gate of 1 means as much geometry as appearance in any model.
        size = tokens.detach().float().pow(2).mean(dim=-1, keepdim=True).sqrt().to(tokens.dtype)
        return tokens + torch.where(is_valid, size * self.gate * self.code(coordinates_m).to(tokens.dtype), 0.0)

    def reset(self) -> None:
        init.zeros_(self.gate)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                init.normal_(module.weight, mean=0.0, std=module.in_features**-0.5)
                if module.bias is not None:
                    init.zeros_(module.bias)

    def gate_size(self) -> float:
        return float(self.gate.detach().abs().mean())


def expect_same_grid(name: str, visual: VisualTokens, geometry: GeometryTokens | None) -> GeometryTokens:
    """The geometry, if it stands on the grid of the visual tokens; ModelError naming the fusion and both numbers otherwise."""
    tokens = len(visual.tokens)
    if geometry is None or geometry.coordinates_m is None:
        raise ModelError(f"fusion '{name}': expected geometry for {tokens} visual tokens, found none")
    on_grid = int(geometry.grid_hw.prod(-1).sum())
    if on_grid != tokens or geometry.coordinates_m.shape != (tokens, 3) or geometry.is_valid.shape != (tokens,):
        grids = ", ".join(f"{int(rows)}x{int(columns)}" for rows, columns in geometry.grid_hw[:4])
        raise ModelError(
            f"fusion '{name}': expected geometry for {tokens} visual tokens, found {len(geometry.coordinates_m)} coordinates on the "
            f"grids {grids} ({on_grid} tokens)"
        )
    return geometry
