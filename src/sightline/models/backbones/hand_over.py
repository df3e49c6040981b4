"""Hands image features to a backbone: by name where transformers takes them (5.18 and later), in the place of pixels where it does not.

Shapes: N visual tokens of the whole batch, D hidden size, P patches that were merged into them.
"""

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel, Qwen3VLModel

FEATURES = "mm_encoder_outputs"
TAKES_FEATURES = FEATURES in inspect.signature(Qwen3VLModel.forward).parameters
PIXELS = {"image": "pixel_values", "video": "pixel_values_videos"}


class ReadyFeatures:
    """Mixed into a backbone's model: while features are handed over, its pixels are features already, and are only unpacked."""

    def get_image_features(self, pixel_values: Tensor, *args: Any, **kwargs: Any) -> Any:
        ready = self.__dict__.get("ready")
        return super().get_image_features(pixel_values, *args, **kwargs) if ready is None else ready.unpacked(pixel_values, *args, **kwargs)

    def get_video_features(self, pixel_values_videos: Tensor, *args: Any, **kwargs: Any) -> Any:
        ready = self.__dict__.get("ready")
        if ready is None:
            return super().get_video_features(pixel_values_videos, *args, **kwargs)
        return ready.unpacked(pixel_values_videos, *args, **kwargs)


def ready_for_features(model: PreTrainedModel, *, takes_features: bool = TAKES_FEATURES) -> PreTrainedModel:
    """The same backbone, able to take features whatever version of transformers it comes from."""
    if not takes_features and hasattr(model.model, "get_image_features"):
        kind = type(model.model)
        model.model.__class__ = type(kind.__name__, (ReadyFeatures, kind), {"__module__": kind.__module__})
    return model


@contextmanager
def handed_over(backbone: PreTrainedModel, passed: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The keyword arguments to call `backbone` or its model with, inside the context; features among them as its version takes them."""
    features = passed.get(FEATURES)
    if features is None or not isinstance(backbone.model, ReadyFeatures):
        yield passed
        return
    (kind, found), *_ = features.items()
    carrier = _TileCarrier() if isinstance(found.pooler_output, Tensor) else _PatchCarrier(found, backbone.config)
    backbone.model.__dict__["ready"] = carrier
    try:
        yield {**{name: value for name, value in passed.items() if name != FEATURES}, PIXELS[kind]: carrier.packed(found)}
    finally:
        del backbone.model.__dict__["ready"]


class _PatchCarrier:
    """Features of the Qwen models in as many rows as there were patches, so that beams and samples are divided as pixels are."""

    def __init__(self, features: Any, config: Any):
        self.merged = config.vision_config.spatial_merge_size**2  # patches to a token
        self.levels = 1 + len(getattr(features, "deepstack_features", None) or [])

    def packed(self, features: Any) -> Tensor:
        """`(P, levels D / merged)`, filled up with zeros where that is no whole number."""
        levels = [features.pooler_output, *(getattr(features, "deepstack_features", None) or [])]
        joined = torch.cat([level if isinstance(level, Tensor) else torch.cat(list(level)) for level in levels], dim=1)
        self.channels = joined.shape[1]
        padded = torch.nn.functional.pad(joined, (0, -self.channels % self.merged))
        return padded.view(len(joined) * self.merged, -1)

    def unpacked(self, pixels: Tensor, grid_thw: Tensor | None = None, **kwargs: Any) -> Any:
        """The features of the images or videos of those grids, as the model's own method gives them."""
        tokens = pixels.reshape(len(pixels) // self.merged, -1)[:, : self.channels]
        final, *deepstack = tokens.chunk(self.levels, dim=1)
        sizes = (grid_thw.prod(-1) // self.merged).tolist()
        return SimpleNamespace(pooler_output=torch.split(final, sizes), deepstack_features=deepstack)


class _TileCarrier:
    """Features of InternVL, which are one tensor of tiles already."""

    def packed(self, features: Any) -> Tensor:
        return features.pooler_output

    def unpacked(self, pixel_values: Tensor, *args: Any, **kwargs: Any) -> Any:
        return SimpleNamespace(pooler_output=pixel_values)
