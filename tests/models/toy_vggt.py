"""A tiny VGGT whose weights and images follow from their names and places by integer arithmetic: the same numbers on every machine."""

import hashlib

import numpy as np
import torch
from torch import Tensor, nn

from sightline.models.geometry_encoders.vggt import Vggt, VggtOptions

TINY = {
    "img_size": 56,
    "embed_dim": 64,
    "depth": 4,
    "num_heads": 4,
    "dino_depth": 2,
    "dino_heads": 4,
    "camera_depth": 2,
    "camera_heads": 4,
    "dense_features": 32,
    "dense_channels": (16, 16, 32, 32),
    "dense_layers": (0, 1, 2, 3),
}
EVERYTHING = {**TINY, "layers": (0, 1, 2, 3), "heads": ("camera", "depth", "point")}


def uniform(count: int, seed: int) -> np.ndarray:
    """`count` numbers of mean 0 and variance 1: the SplitMix64 sequence, scaled."""
    with np.errstate(over="ignore"):
        x = np.uint64(seed) + np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        x = x ^ (x >> np.uint64(31))
    return ((x >> np.uint64(11)).astype(np.float64) / 2.0**52 - 1.0) * 3.0**0.5


def weight_of(name: str, shape: tuple[int, ...]) -> Tensor:
    """Sizes that keep activations near one, and every bias, scale and token away from what initialisation would give."""
    seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "little")
    values = uniform(int(np.prod(shape)), seed).reshape(shape)
    if name.endswith("gamma"):
        values = 0.2 + 0.1 * values
    elif "norm" in name and name.endswith("weight"):
        values = 1.0 + 0.1 * values
    elif name.endswith("bias"):
        values = 0.1 * values
    elif len(shape) > 1 and "token" not in name and "pos_embed" not in name:
        gain = 0.8 if name.startswith(("depth_head", "point_head")) else 0.5
        values = gain * values / np.prod(shape[1:]) ** 0.5
    return torch.from_numpy(values.astype(np.float32))


def fill(module: nn.Module) -> nn.Module:
    """Every parameter by its name, whoever wrote the module."""
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            parameter.copy_(weight_of(name, tuple(parameter.shape)))
    return module


def made_vggt(**options: object) -> Vggt:
    return fill(Vggt(VggtOptions(**{**TINY, **options}))).eval()


def images_of(scenes: int, frames: int, height: int, width: int, seed: int = 0) -> Tensor:
    """Pictures `(scenes, frames, 3, height, width)` in [0, 1]."""
    values = uniform(scenes * frames * 3 * height * width, seed) / 3.0**0.5 * 0.5 + 0.5
    return torch.from_numpy(values.astype(np.float32)).view(scenes, frames, 3, height, width)
