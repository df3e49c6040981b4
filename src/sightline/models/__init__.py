"""Vision-language models with 3-D coordinates at their visual tokens: contract, catalogs and registration.

Importing this room registers the classes with the Auto classes of transformers, so that a checkpoint loads by path alone.
"""

from sightline.models.model import (
    ENCODERS,
    FUSIONS,
    PRESETS,
    Fusion,
    GeometryEncoder,
    GeometryTokens,
    SpatialVLConfig,
    SpatialVLForConditionalGeneration,
)
from sightline.models.processor import SpatialVLProcessor

__all__ = [
    "ENCODERS",
    "FUSIONS",
    "PRESETS",
    "Fusion",
    "GeometryEncoder",
    "GeometryTokens",
    "SpatialVLConfig",
    "SpatialVLForConditionalGeneration",
    "SpatialVLProcessor",
]
