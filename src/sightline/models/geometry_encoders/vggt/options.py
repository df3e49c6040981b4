"""The sizes of a VGGT: those of the published one by default, any smaller one for tests."""

from typing import Literal

from sightline.config import config
from sightline.errors import ConfigError


@config
class VggtOptions:
    """Sizes, and which heads exist. `layers` are the aggregator layers whose tokens are kept when no head asks for more.

    Aggregator blocks after the last layer that anything asks for are not built.
    """

    img_size: int = 518  # square side in pixels that the learned position embedding stands for; images may have any size
    patch_size: int = 14
    embed_dim: int = 1024
    depth: int = 24
    num_heads: int = 16
    mlp_ratio: float = 4.0
    num_registers: int = 4
    patch_embed: Literal["dinov2", "conv"] = "dinov2"
    dino_depth: int = 24
    dino_heads: int = 16
    rope_base: float = 100.0
    layers: tuple[int, ...] = (-1,)
    heads: tuple[Literal["camera", "depth", "point"], ...] = ()
    camera_depth: int = 4
    camera_heads: int = 16
    camera_passes: int = 4
    dense_features: int = 256
    dense_channels: tuple[int, int, int, int] = (256, 512, 1024, 1024)
    dense_layers: tuple[int, int, int, int] = (4, 11, 17, 23)

    def __post_init__(self) -> None:
        if self.embed_dim % self.num_heads or self.embed_dim // self.num_heads % 4:
            raise ConfigError(
                f"vggt: expected embed_dim a multiple of 4 x num_heads (positions turn four channels of a head together), "
                f"found {self.embed_dim} and {self.num_heads}"
            )
        if self.patch_embed == "dinov2" and self.embed_dim % self.dino_heads:
            raise ConfigError(f"vggt: expected embed_dim a multiple of dino_heads, found {self.embed_dim} and {self.dino_heads}")
        if "camera" in self.heads and 2 * self.embed_dim % self.camera_heads:
            raise ConfigError(f"vggt: expected 2 x embed_dim a multiple of camera_heads, found {self.embed_dim} and {self.camera_heads}")
        if self.img_size % self.patch_size:
            raise ConfigError(f"vggt: expected img_size a multiple of patch_size, found {self.img_size} and {self.patch_size}")
        if {"depth", "point"} & set(self.heads) and (self.dense_features % 8 or any(width % 4 for width in self.dense_channels)):
            raise ConfigError(
                "vggt: expected dense_features a multiple of 8 and dense_channels multiples of 4 (sines and cosines of x and y), "
                f"found {self.dense_features} and {self.dense_channels}"
            )
        if not self.layers:
            raise ConfigError("vggt: expected at least one layer to keep, found none")
        resolved_layers(self.layers, self.depth)
        if {"depth", "point"} & set(self.heads):
            resolved_layers(self.dense_layers, self.depth)

    @property
    def needed_layers(self) -> tuple[int, ...]:
        """The aggregator layers that the caller or a head asks for, each once, ascending, from 0."""
        asked = set(resolved_layers(self.layers, self.depth))
        if "camera" in self.heads:
            asked.add(self.depth - 1)
        if {"depth", "point"} & set(self.heads):
            asked.update(resolved_layers(self.dense_layers, self.depth))
        return tuple(sorted(asked))


def resolved_layers(layers: tuple[int, ...], depth: int) -> tuple[int, ...]:
    """Layers counted from 0, negative ones from the end. Raises ConfigError naming one that is not there."""
    for layer in layers:
        if not -depth <= layer < depth:
            raise ConfigError(f"vggt: expected layers from {-depth} to {depth - 1}, found {layer}")
    return tuple(layer % depth for layer in layers)
