"""Cross-attention fusion, the kind of VLM-3R: each visual token looks at the patch and camera tokens of its own view.

Shapes: N visual tokens of D channels, P geometry tokens of C channels, V views, G steps of one size with n visual tokens and k geometry
tokens each, W = heads * E the width of the attention.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention
from transformers import initialization as init

from sightline.config import build, config
from sightline.errors import ConfigError
from sightline.models.fusions.patch_places import centres, phases_rad, rotated
from sightline.models.fusions.steps import Step, steps_of
from sightline.models.model import GeometryTokens, Sizes, VisualTokens


@config
class CrossOptions:
    """`width` and `heads` are VLM-3R's, which trained with a dropout of 0.1. With `positions`, queries and keys know their place."""

    width: int = 1152
    heads: int = 18
    dropout: float = 0.0
    positions: bool = True


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Look:
    """What the visual tokens of G steps of one size found."""

    found: Tensor  # (G n, W)
    is_seen: Tensor  # (G n,) whether there was anything to look at
    tokens: Tensor  # (G n,) which visual tokens they are


class Cross(nn.Module):
    """`visual + gate * LayerNorm(attention(visual, geometry))`. The gate has one number per channel, all zero at first."""

    name: ClassVar[str] = "cross"
    needs: ClassVar[str] = "features"
    makes: ClassVar[str] = "visual"

    def __init__(self, sizes: Sizes, options: Mapping[str, Any]):
        super().__init__()
        o = build(CrossOptions, options, where="fusion 'cross'")
        if o.heads < 1 or o.width < 1 or o.width % (4 * o.heads):
            raise ConfigError(f"fusion 'cross': expected a width that is a multiple of four times the heads, found {o}")
        if not 0.0 <= o.dropout < 1.0:
            raise ConfigError(f"fusion 'cross': dropout: expected 0 to below 1, found {o.dropout}")
        self.options, self.sizes = o, sizes
        self.visual_norm = nn.LayerNorm(sizes.hidden_size)
        self.geometry_norm = nn.LayerNorm(sizes.geometry_channels)
        self.query = nn.Linear(sizes.hidden_size, o.width)
        self.key = nn.Linear(sizes.geometry_channels, o.width, bias=False)  # one would be the same for all keys
        self.value = nn.Linear(sizes.geometry_channels, o.width)
        self.out = nn.Linear(o.width, sizes.hidden_size)
        self.out_norm = nn.LayerNorm(sizes.hidden_size)
        self.dropout = nn.Dropout(o.dropout)
        self.gate = nn.Parameter(torch.zeros(sizes.hidden_size))

    def forward(self, visual: VisualTokens, geometry: GeometryTokens | None) -> Tensor:
        """Visual tokens `(N, D)` plus what they found in their view, on any pair of grids. Invalid geometry tokens are not looked at; where
        all of a step's are invalid its visual tokens stay as they are. Raises ModelError for views that do not fit the steps.
        """
        steps = steps_of(self.name, visual, geometry, self.sizes.geometry_channels, still_views=1)
        tokens, dtype = visual.tokens, self.query.weight.dtype
        queries = self._heads(self.query(self.visual_norm(tokens.to(dtype))))
        # Replaced before coding, not after: a NaN times zero is still a NaN, in the value and in the gradient.
        patches = self.geometry_norm(torch.where(geometry.is_valid[:, None], geometry.features, 0.0).to(dtype))
        keys, values = self._heads(self.key(patches)), self._heads(self.value(patches))
        if self.options.positions:
            turns = self.options.width // self.options.heads // 4
            step_grid = visual.grid_thw[:, 1:].repeat_interleave(visual.grid_thw[:, 0], dim=0)
            queries = rotated(queries, phases_rad(centres(step_grid, tokens=len(queries)), turns))
            keys = rotated(keys, phases_rad(centres(geometry.grid_hw, tokens=len(keys)), turns))
        looks = [self._look(group, queries, keys, values, geometry) for group in _groups(steps)]
        back = torch.argsort(torch.cat([look.tokens for look in looks]))
        found = torch.cat([look.found for look in looks]).index_select(0, back)
        is_seen = torch.cat([look.is_seen for look in looks])[back]
        added = self.dropout(self.out_norm(self.out(found)))
        # In units of the visual token's own size, so that a gate of 1 means as much geometry as appearance in any model.
        size = tokens.detach().float().square().mean(dim=-1, keepdim=True).sqrt().to(dtype)
        return tokens + torch.where(is_seen[:, None], size * self.gate * added, 0.0).to(tokens.dtype)

    def _heads(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.options.heads, -1))

    def _look(self, group: list[Step], queries: Tensor, keys: Tensor, values: Tensor, geometry: GeometryTokens) -> "Look":
        """One attention for steps of one size."""
        device = queries.device
        rows = torch.arange(group[0].rows * group[0].columns, device=device)
        cells = torch.arange(group[0].view_rows * group[0].view_columns, device=device)
        of_step = torch.tensor([step.first_token for step in group], device=device)[:, None] + rows
        of_view = torch.tensor([step.first_geometry for step in group], device=device)[:, :, None] + cells  # (G, views, cells)
        taken = geometry.is_valid[of_view]
        q = queries.index_select(0, of_step.flatten()).unflatten(0, of_step.shape)
        k, v = (x.index_select(0, of_view.flatten()).unflatten(0, (len(group), -1)) for x in (keys, values))
        allowed = taken.flatten(1)
        if geometry.camera is not None:
            own = geometry.camera[torch.tensor([step.views for step in group], device=device)]  # (G, views, C)
            own = self.geometry_norm(torch.where(taken.any(dim=-1, keepdim=True), own, 0.0).to(self.key.weight.dtype))
            k = torch.cat([self._heads(self.key(own)), k], dim=1)  # at no place in the image, so not turned
            v = torch.cat([self._heads(self.value(own)), v], dim=1)
            allowed = torch.cat([taken.any(dim=-1), allowed], dim=1)
        is_seen = allowed.any(dim=1, keepdim=True)
        # A row that may look at nothing would be NaN; it looks at zeros instead and is left out afterwards.
        mask = (allowed | ~is_seen)[:, None, None, :]
        found = scaled_dot_product_attention(q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2), attn_mask=mask)
        return Look(
            found=found.transpose(1, 2).flatten(2).flatten(0, 1),
            is_seen=is_seen.expand_as(of_step).flatten(),
            tokens=of_step.flatten(),
        )

    def reset(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Linear):
                init.normal_(module.weight, mean=0.0, std=module.in_features**-0.5)
                if module.bias is not None:
                    init.zeros_(module.bias)
            elif isinstance(module, nn.LayerNorm):
                init.ones_(module.weight)
                init.zeros_(module.bias)
        init.zeros_(self.gate)

    def gate_size(self) -> float:
        return float(self.gate.detach().abs().mean())


def _groups(steps: list[Step]) -> list[list[Step]]:
    """Steps of equal sizes together, so that each group is one attention."""
    by_size: dict[tuple[int, int, int, int], list[Step]] = {}
    for step in steps:
        by_size.setdefault((step.rows, step.columns, step.view_rows, step.view_columns), []).append(step)
    return list(by_size.values())
