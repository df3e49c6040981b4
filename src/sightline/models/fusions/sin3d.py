"""Sines and cosines of the three coordinates at wavelengths from decimetres to the size of a room, through a learned projection."""

import math
from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from sightline.config import build, config
from sightline.errors import ConfigError
from sightline.models.fusions.gated import GatedFusion
from sightline.models.model import Sizes


@config
class Sin3dOptions:
    """Wavelengths spread geometrically between two lengths. Waves much longer than a room hardly vary inside one."""

    min_wavelength_m: float = 0.1
    max_wavelength_m: float = 20.0
    num_wavelengths: int = 12


class Sin3d(GatedFusion):
    """Adds a projected sinusoidal code of the coordinates."""

    name: ClassVar[str] = "sin3d"

    def __init__(self, sizes: Sizes, options: Mapping[str, Any]):
        super().__init__(sizes, options)
        chosen = build(Sin3dOptions, options, where="fusion 'sin3d'")
        if not 0 < chosen.min_wavelength_m < chosen.max_wavelength_m or chosen.num_wavelengths < 2:
            raise ConfigError(f"fusion 'sin3d': expected 0 < min_wavelength_m < max_wavelength_m and two or more of them, found {chosen}")
        self.options = chosen
        self.projection = nn.Linear(6 * chosen.num_wavelengths, sizes.hidden_size)

    def phases_rad_per_m(self, like: Tensor) -> Tensor:
        """`(F,)` angular wave numbers, longest wave first. Computed, not stored: a buffer would be lost or rounded on the way to disk."""
        lengths = torch.linspace(
            math.log(self.options.max_wavelength_m), math.log(self.options.min_wavelength_m), self.options.num_wavelengths
        ).exp()
        return (2.0 * math.pi / lengths).to(like)

    def waves(self, coordinates_m: Tensor) -> Tensor:
        """`(N, 3)` metres to `(N, 6 F)` sines and cosines, each of unit variance over many phases."""
        phases = coordinates_m[:, :, None] * self.phases_rad_per_m(coordinates_m)
        return math.sqrt(2.0) * torch.cat([phases.sin(), phases.cos()], dim=-1).flatten(1)

    def code(self, coordinates_m: Tensor) -> Tensor:
        return self.projection(self.waves(coordinates_m).to(self.projection.weight.dtype))
