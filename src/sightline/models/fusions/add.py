"""Spatial-MLLM's connector: the geometry features of each visual token's cell, merged to one long vector, through an MLP, added.

Shapes: N visual tokens of D channels, C channels of the encoder, p views to a step, m geometry tokens per visual token along each axis,
M = p m m C the length of a merged vector.
"""

import math
from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from transformers import initialization as init

from sightline.config import build, config
from sightline.errors import ConfigError, ModelError
from sightline.models.fusions.steps import Step, steps_of
from sightline.models.model import GeometryTokens, Sizes, VisualTokens

VERSIONS = ("1.1", "1.0")
EPSILON = 1e-6  # of the RMS norms, as published


@config
class AddOptions:
    """`version` of the published checkpoints whose channel order and layers these are; the rest is ours and off in them.

    `gate`: a learned factor per channel, zero at first, so that a fresh fusion changes nothing. `bottleneck_width`: each geometry token is
    narrowed to so many channels before the merge, which is where nearly all of the connector's weights are.
    """

    version: str | float = "1.1"
    gate: bool = False
    bottleneck_width: int | None = None


class RmsNorm(nn.Module):
    """Divides by the root mean square over the channels in float32, then rounds, then scales: in this order, as in Qwen."""

    def __init__(self, channels: int):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        exact = x.float()
        return self.weight * (exact * torch.rsqrt(exact.square().mean(dim=-1, keepdim=True) + EPSILON)).to(x.dtype)


class Add(nn.Module):
    """`visual + MLP(RMSNorm(merged features))`, of either published version, or gated and slim."""

    name: ClassVar[str] = "add"
    needs: ClassVar[str] = "features"
    makes: ClassVar[str] = "visual"

    def __init__(self, sizes: Sizes, options: Mapping[str, Any]):
        super().__init__()
        self.options = build(AddOptions, options, where="fusion 'add'")
        self.version = str(self.options.version).removeprefix("v")
        self.sizes = sizes
        width, hidden = self.options.bottleneck_width, sizes.hidden_size
        if self.version not in VERSIONS:
            raise ConfigError(f"fusion 'add': version: expected one of {', '.join(VERSIONS)}, found '{self.options.version}'")
        if width is not None and width < 1:
            raise ConfigError(f"fusion 'add': bottleneck_width: expected 1 or more, found {width}")
        if sizes.merge < 1:
            raise ConfigError(
                "fusion 'add': expected visual tokens whose side is a whole number of geometry patches, found none that fits; "
                "choose fusion 'cross', which needs no common grid, or a backbone with the encoder's patch size"
            )
        if width is not None:
            self.narrow = nn.Sequential(RmsNorm(sizes.geometry_channels), nn.Linear(sizes.geometry_channels, width))
        merged = sizes.views_per_step * sizes.merge**2 * (width or sizes.geometry_channels)
        mlp = nn.Sequential(nn.Linear(merged, merged), nn.GELU(), nn.Linear(merged, hidden))
        if self.version == "1.1":
            self.ln_q, self.mlp = RmsNorm(merged), mlp
        else:
            self.token_merge_ln_q, self.token_merge_mlp = RmsNorm(merged), mlp
            self.vgg_to_language_ln_q = RmsNorm(hidden)
            self.vgg_to_language_mlp = nn.Sequential(nn.Linear(hidden, hidden), nn.GELU(), nn.Linear(hidden, hidden))
        self.gate = nn.Parameter(torch.zeros(hidden)) if self.options.gate else None

    def forward(self, visual: VisualTokens, geometry: GeometryTokens | None) -> Tensor:
        """Visual tokens `(N, D)` plus their geometry. A token none of whose cells is valid stays as it is; single invalid cells count
        as zeros. A still image fills both views of a pair. Raises ModelError for views or grids that do not fit the visual tokens.
        """
        pair = self.sizes.views_per_step
        steps = steps_of(self.name, visual, geometry, self.sizes.geometry_channels, still_views=pair)
        each = len(steps[0].views) if steps else pair
        if each not in (1, pair):
            raise ModelError(f"fusion 'add': expected {pair} views to a step, for which it was built, found {each}")
        cells = self._cells(steps, geometry.is_valid.device)
        is_valid = geometry.is_valid[cells]
        features = geometry.features.to(self._weight.dtype)
        if self.options.bottleneck_width is not None:
            # Replaced before coding, not after: a NaN times zero is still a NaN, in the value and in the gradient.
            features = self.narrow(torch.where(geometry.is_valid[:, None], features, 0.0))
        merged = torch.where(is_valid[..., None], features.index_select(0, cells.flatten()).unflatten(0, cells.shape), 0.0)
        added = self._connected(self._ordered(merged))
        if self.gate is not None:
            added = self.gate * added
        is_seen = is_valid.flatten(1).any(dim=1, keepdim=True)
        return visual.tokens + torch.where(is_seen, added, 0.0).to(visual.tokens.dtype)

    @property
    def _weight(self) -> Tensor:
        return (self.mlp if self.version == "1.1" else self.token_merge_mlp)[0].weight

    def _cells(self, steps: list[Step], device: torch.device) -> Tensor:
        """`(N, p, m, m)` the geometry tokens behind each visual token: view of the step, sub-row, sub-column."""
        pair, merge = self.sizes.views_per_step, self.sizes.merge
        patterns: dict[tuple[int, int], Tensor] = {}
        found = []
        for step in steps:
            if (step.view_rows, step.view_columns) != (step.rows * merge, step.columns * merge):
                raise ModelError(
                    f"fusion 'add': expected geometry on the grid {step.rows * merge}x{step.columns * merge} for visual tokens on "
                    f"{step.rows}x{step.columns}, found {step.view_rows}x{step.view_columns}"
                )
            if (size := (step.rows, step.columns)) not in patterns:
                grid = torch.arange(step.view_rows * step.view_columns).view(step.rows, merge, step.columns, merge)
                patterns[size] = grid.transpose(1, 2).reshape(-1, 1, merge, merge)
            starts = step.first_geometry if len(step.first_geometry) == pair else step.first_geometry * pair
            found.append(patterns[size] + torch.tensor(starts).view(1, pair, 1, 1))
        return torch.cat(found).to(device)

    def _ordered(self, merged: Tensor) -> Tensor:
        """`(N, p, m, m, C)` to `(N, M)` in the published order: outermost first (row, column, channel, view), in 1.0
        (view, row, column, channel).
        """
        return (merged.permute(0, 2, 3, 4, 1) if self.version == "1.1" else merged).flatten(1)

    def _connected(self, merged: Tensor) -> Tensor:
        if self.version == "1.1":
            return self.mlp(self.ln_q(merged))
        return self.vgg_to_language_mlp(self.vgg_to_language_ln_q(self.token_merge_mlp(self.token_merge_ln_q(merged))))

    def reset(self) -> None:
        """Linear layers as torch makes them, which is how the published connectors began."""
        for module in self.modules():
            if isinstance(module, nn.Linear):
                init.kaiming_uniform_(module.weight, a=math.sqrt(5.0))
                init.uniform_(module.bias, -(module.in_features**-0.5), module.in_features**-0.5)
            elif isinstance(module, RmsNorm):
                init.ones_(module.weight)
        if self.gate is not None:
            init.zeros_(self.gate)

    def gate_size(self) -> float:
        return math.nan if self.gate is None else float(self.gate.detach().abs().mean())
