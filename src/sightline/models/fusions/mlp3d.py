"""A learned two-layer network on scaled coordinates."""

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from sightline.config import build, config
from sightline.errors import ConfigError
from sightline.models.fusions.gated import GatedFusion
from sightline.models.model import Sizes


@config
class Mlp3dOptions:
    """`scale_m` is the length that becomes 1: about half a room, so that inputs are of unit size."""

    scale_m: float = 2.0
    width: int = 128


class Mlp3d(GatedFusion):
    """Adds a learned code of the coordinates."""

    name: ClassVar[str] = "mlp3d"

    def __init__(self, sizes: Sizes, options: Mapping[str, Any]):
        super().__init__(sizes, options)
        chosen = build(Mlp3dOptions, options, where="fusion 'mlp3d'")
        if not chosen.scale_m > 0 or chosen.width < 1:
            raise ConfigError(f"fusion 'mlp3d': expected scale_m > 0 and width >= 1, found {chosen}")
        self.options = chosen
        self.layers = nn.Sequential(nn.Linear(3, chosen.width), nn.GELU(), nn.Linear(chosen.width, sizes.hidden_size))

    def code(self, coordinates_m: Tensor) -> Tensor:
        first, *others = self.layers
        scaled = coordinates_m / self.options.scale_m
        with torch.autocast(scaled.device.type, enabled=False):  # three exact numbers in; what comes out may be rounded as the rest is
            hidden = nn.functional.linear(scaled, first.weight.to(scaled.dtype), first.bias.to(scaled.dtype))
        hidden = hidden.to(first.weight.dtype)
        for layer in others:
            hidden = layer(hidden)
        return hidden
