"""Vision-language models with 3-D coordinates at their visual tokens: contract, catalogs and registration.

Importing this room registers the classes with the Auto classes of transformers, so that a checkpoint loads by path alone.
"""

from sightline.models.config import SpatialVLConfig, check_combination
from sightline.models.model import (
    BACKBONES,
    ENCODERS,
    FUSIONS,
    PRESETS,
    Fusion,
    GeometryEncoder,
    GeometryTokens,
    Sizes,
    Views,
    VisualTokens,
)
from sightline.models.processor import SpatialVLProcessor
from sightline.models.spatial_vl import SpatialVLForConditionalGeneration

__all__ = [
    "BACKBONES",
    "ENCODERS",
    "FUSIONS",
    "PRESETS",
    "Fusion",
    "GeometryEncoder",
    "GeometryTokens",
    "Sizes",
    "SpatialVLConfig",
    "SpatialVLForConditionalGeneration",
    "SpatialVLProcessor",
    "Views",
    "VisualTokens",
    "check_combination",
]
