"""All tokens of all views of a sample, however many, to a fixed number of tokens before the question, and one more per view.

Shapes: B samples, V views and N geometry tokens of the whole batch, C channels of the encoder, W the width of the latents, L latents,
M tokens and camera tokens of the longest sample, D hidden size of the language model, T prefix tokens of the whole batch.
"""

import math
from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention
from transformers import initialization as init

from sightline.config import build, config
from sightline.errors import ConfigError, ModelError
from sightline.models.fusions.patch_places import centres, view_of_token, waves
from sightline.models.fusions.steps import expect_features
from sightline.models.fusions.view_facts import LEGEND, view_facts
from sightline.models.model import GeometryTokens, Sizes

LATENT_STD = 0.02
VIEW_STD = 0.5**0.5  # as loud as the sines and cosines of the place, so that views differ from the first step on


@config
class PerceiverOptions:
    """`latents` and `layers` are the recipe's; the width keeps the resampler far smaller than what reads it."""

    latents: int = 128
    layers: int = 6
    heads: int = 16
    latent_dim: int = 1024
    ffn_multiple: int = 4
    dropout: float = 0.0
    max_views: int = 64
    geometry_tokens: int = 1  # per view; 0: none


class Attention(nn.Module):
    """Multi-head attention of `x` to `context`, each already normalised."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width)
        self.key_value = nn.Linear(width, 2 * width)
        self.out = nn.Linear(width, width)

    def forward(self, x: Tensor, context: Tensor, *, slots: Tensor | None = None, is_known: Tensor | None = None) -> Tensor:
        """`x (B, L, W)`. `context` is `(B, L, W)`, or flat `(N, W)` with the place `slots (N,)` of each in `is_known (B, M)`.

        Flat, so that the padding of short samples costs no products.
        """
        pairs = self.key_value(context)
        if slots is not None:
            padded = pairs.new_zeros(is_known.numel(), pairs.shape[-1])
            pairs = padded.index_copy(0, slots, pairs).unflatten(0, is_known.shape)
        query, key, value = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in (self.query(x), *pairs.chunk(2, dim=-1)))
        mask = None if is_known is None else is_known[:, None, None, :]
        found = scaled_dot_product_attention(query, key, value, attn_mask=mask)
        return self.out(found.transpose(1, 2).flatten(2))


class ResamplerLayer(nn.Module):
    """Latents look at the views, at each other, and think; each after a norm and added to what they were."""

    def __init__(self, width: int, *, heads: int, ffn_multiple: int, dropout: float):
        super().__init__()
        self.latent_norm, self.context_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.look = Attention(width, heads)
        self.self_norm = nn.LayerNorm(width)
        self.exchange = Attention(width, heads)
        self.ffn_norm = nn.LayerNorm(width)
        self.ffn = nn.Sequential(nn.Linear(width, ffn_multiple * width), nn.GELU(), nn.Linear(ffn_multiple * width, width))
        self.dropout = nn.Dropout(dropout)

    def forward(self, latents: Tensor, context: Tensor, slots: Tensor, is_known: Tensor) -> Tensor:
        """Latents `(B, L, W)` and the flat context `(N + V, W)`."""
        is_seen = is_known.any(dim=1)[:, None, None]
        # A sample without one valid token would be NaN; it looks at zeros instead and takes nothing.
        looked = self.look(self.latent_norm(latents), self.context_norm(context), slots=slots, is_known=is_known | ~is_seen[:, 0])
        latents = latents + self.dropout(torch.where(is_seen, looked, 0.0))
        normed = self.self_norm(latents)
        latents = latents + self.dropout(self.exchange(normed, normed))
        return latents + self.dropout(self.ffn(self.ffn_norm(latents)))


class Perceiver(nn.Module):
    """Per sample: one token for each view in order, then the latents."""

    name: ClassVar[str] = "perceiver"
    needs: ClassVar[str] = "features"
    makes: ClassVar[str] = "prefix"

    def __init__(self, sizes: Sizes, options: Mapping[str, Any]):
        super().__init__()
        o = build(PerceiverOptions, options, where="fusion 'perceiver'")
        _check(o)
        self.options, self.sizes = o, sizes
        width = o.latent_dim
        self.latents = nn.Parameter(torch.zeros(o.latents, width))
        self.view_embeddings = nn.Parameter(torch.zeros(o.max_views, width))
        self.camera_embedding = nn.Parameter(torch.zeros(width))  # in place of a place in the image
        self.input_norm = nn.LayerNorm(sizes.geometry_channels)
        self.input = nn.Linear(sizes.geometry_channels, width)
        self.layers = nn.ModuleList(
            ResamplerLayer(width, heads=o.heads, ffn_multiple=o.ffn_multiple, dropout=o.dropout) for _ in range(o.layers)
        )
        if o.geometry_tokens:
            self.facts = nn.Sequential(nn.Linear(len(LEGEND), width), nn.GELU(), nn.Linear(width, width))
        self.out_norm = nn.LayerNorm(width)
        self.out = nn.Linear(width, sizes.hidden_size)

    def prefix_tokens(self, views: int) -> int:
        """Tokens before the question of a sample with so many views. Raises ModelError for more than `max_views`."""
        self._expect_views(views)
        return self.options.latents + views * self.options.geometry_tokens

    def forward(self, geometry: GeometryTokens | None) -> Tensor:
        """Prefix tokens `(T, D)`, sample after sample. Invalid tokens and the camera tokens of views without a valid one are not looked at.

        Raises ModelError for features that do not stand on their grids, and for more views than `max_views`.
        """
        grids = expect_features(self.name, geometry, self.sizes.geometry_channels)
        for views in geometry.views_per_sample:
            self._expect_views(views)
        counts = [rows * columns for rows, columns in grids]
        device, tokens = geometry.features.device, len(geometry.features)
        view_of = view_of_token(geometry.grid_hw, tokens=tokens)
        per_sample = torch.tensor(geometry.views_per_sample, device=device)
        sample_of_view = torch.repeat_interleave(torch.arange(len(per_sample), device=device), per_sample, output_size=len(counts))
        place_of_view = torch.arange(len(counts), device=device) - (per_sample.cumsum(0) - per_sample)[sample_of_view]
        view_code = self.view_embeddings[place_of_view]
        is_seen = torch.zeros(len(counts), dtype=torch.int64, device=device).index_add(0, view_of, geometry.is_valid.long()) > 0

        place_code = waves(centres(geometry.grid_hw, tokens=tokens), self.options.latent_dim)
        context = self._entered(geometry.features, geometry.is_valid) + place_code.to(view_code.dtype) + view_code.index_select(0, view_of)
        is_known, sample_of = geometry.is_valid, sample_of_view[view_of]
        camera = None
        if geometry.camera is not None:
            camera = self._entered(geometry.camera, is_seen)
            context = torch.cat([context, camera + self.camera_embedding + view_code])
            is_known, sample_of = torch.cat([is_known, is_seen]), torch.cat([sample_of, sample_of_view])
        lengths = _sums(counts, geometry.views_per_sample, extra=geometry.camera is not None)
        slots = _slots(sample_of, lengths)
        known = torch.zeros(len(lengths) * max(lengths), dtype=torch.bool, device=device).index_copy(0, slots, is_known)
        known = known.unflatten(0, (len(lengths), max(lengths)))
        latents = self.latents.expand(len(lengths), -1, -1)
        for layer in self.layers:
            latents = layer(latents, context, slots, known)
        return self._assembled(geometry, latents, view_code, camera, is_seen)

    def _entered(self, features: Tensor, is_known: Tensor) -> Tensor:
        """`(N, C)` to `(N, W)`; what is not known enters as zeros, because a NaN times zero is still a NaN."""
        return self.input(self.input_norm(torch.where(is_known[:, None], features, 0.0).to(self.input.weight.dtype)))

    def _assembled(self, geometry: GeometryTokens, latents: Tensor, view_code: Tensor, camera: Tensor | None, is_seen: Tensor) -> Tensor:
        """The tokens of each sample's views, then its latents: `(T, D)`."""
        prefix = self.out(self.out_norm(latents))
        if not self.options.geometry_tokens:
            return prefix.flatten(0, 1)
        facts = view_code.new_zeros(len(view_code), len(LEGEND))
        if geometry.views is not None:
            facts = view_facts(geometry.views).to(facts)
        of_views = self.facts(facts) + view_code
        if camera is not None:
            of_views = of_views + torch.where(is_seen[:, None], camera, 0.0)
        of_views = torch.split(self.out(self.out_norm(of_views)), list(geometry.views_per_sample))
        return torch.cat([part for pair in zip(of_views, prefix, strict=True) for part in pair])

    def _expect_views(self, views: int) -> None:
        if views > self.options.max_views:
            raise ModelError(
                f"fusion 'perceiver': expected at most {self.options.max_views} views in a sample, found {views}: "
                "show fewer, or train with a larger max_views"
            )

    def reset(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Linear):
                init.normal_(module.weight, mean=0.0, std=module.in_features**-0.5)
                init.zeros_(module.bias)
            elif isinstance(module, nn.LayerNorm):
                init.ones_(module.weight)
                init.zeros_(module.bias)
        init.normal_(self.latents, mean=0.0, std=LATENT_STD)
        init.normal_(self.view_embeddings, mean=0.0, std=VIEW_STD)
        init.normal_(self.camera_embedding, mean=0.0, std=VIEW_STD)

    def gate_size(self) -> float:
        return math.nan


def _check(o: PerceiverOptions) -> None:
    for name in ("latents", "layers", "heads", "latent_dim", "ffn_multiple", "max_views"):
        if getattr(o, name) < 1:
            raise ConfigError(f"fusion 'perceiver': {name}: expected 1 or more, found {getattr(o, name)}")
    if o.latent_dim % o.heads or o.latent_dim % 4:
        raise ConfigError(f"fusion 'perceiver': latent_dim: expected a multiple of {o.heads} heads and of 4, found {o.latent_dim}")
    if not 0.0 <= o.dropout < 1.0:
        raise ConfigError(f"fusion 'perceiver': dropout: expected 0 to below 1, found {o.dropout}")
    if o.geometry_tokens not in (0, 1):
        raise ConfigError(f"fusion 'perceiver': geometry_tokens: expected 0 or 1 per view, found {o.geometry_tokens}")


def _sums(counts: list[int], views_per_sample: tuple[int, ...], *, extra: bool) -> list[int]:
    """Tokens of each sample, with one more per view for its camera."""
    sums, view = [], 0
    for views in views_per_sample:
        sums.append(sum(counts[view : view + views]) + views * extra)
        view += views
    return sums


def _slots(sample_of: Tensor, lengths: list[int]) -> Tensor:
    """`(N,)` where each flat token stands in a `(B, M)` table, given its sample: in order within its row."""
    order = torch.argsort(sample_of, stable=True)
    starts = torch.tensor([0, *lengths[:-1]], device=sample_of.device).cumsum(0)
    ranks = torch.empty_like(order).index_copy(0, order, torch.arange(len(order), device=order.device))
    return sample_of * max(lengths) + ranks - starts[sample_of]
