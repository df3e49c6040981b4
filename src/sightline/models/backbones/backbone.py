"""What the model asks of a backbone: how to build it, its token grid, and its image features opened for a fusion."""

from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor
from transformers import PreTrainedConfig, PreTrainedModel

OPENAI_MEAN, OPENAI_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
HALF_MEAN, HALF_STD = (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)


@dataclass(frozen=True, kw_only=True, slots=True)
class VisionGrid:
    """How a backbone cuts images into patches and merges them into tokens."""

    patch_px: int
    merge: int  # patches per token along each axis
    temporal_patch: int  # frames per patch; a still image fills them all
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    levels: int = 0  # DeepStack levels beside the final tokens
    tile_px: int | None = None  # images are cut into square tiles of this side, instead of any size

    @property
    def window_px(self) -> int:
        """Side of the image cell behind one merged token."""
        return self.patch_px * self.merge


class ImageFeatures(Protocol):
    """Features of the images or videos of a batch, as the backbone's forward takes them back."""

    pooler_output: Any
    deepstack_features: Any


class Backbone(Protocol):
    """One kind of backbone. Stateless: the weights live in the transformers model that `build` gives."""

    name: ClassVar[str]
    has_vision: ClassVar[bool]
    takes_videos: ClassVar[bool]  # frames may come as a video, two to a step
    has_mrope: ClassVar[bool]  # positions are (3, B, L)

    def build(self, config: PreTrainedConfig, *, rope_rule: str) -> PreTrainedModel: ...

    def grid(self, config: PreTrainedConfig) -> VisionGrid: ...

    def image_token_id(self, config: PreTrainedConfig) -> int | None: ...

    def features(self, model: PreTrainedModel, pixel_values: Tensor, grid_thw: Tensor, *, is_video: bool) -> ImageFeatures: ...

    def tokens(self, features: ImageFeatures) -> list[Tensor]:
        """The final tokens `(N, D)`, then those of each DeepStack level."""
        ...

    def with_tokens(self, features: ImageFeatures, levels: list[Tensor]) -> ImageFeatures:
        """The same features with other tokens."""
        ...


class QwenFeatures:
    """How the Qwen models hold image features: one tensor per image; of DeepStack levels so too, or in one piece (transformers 5.17)."""

    def image_token_id(self, config: PreTrainedConfig) -> int:
        return config.image_token_id

    def tokens(self, features: Any) -> list[Tensor]:
        levels = getattr(features, "deepstack_features", None) or []
        whole = [level if isinstance(level, Tensor) else torch.cat(list(level)) for level in levels]
        return [torch.cat(list(features.pooler_output)), *whole]

    def with_tokens(self, features: Any, levels: list[Tensor]) -> Any:
        sizes = [len(part) for part in features.pooler_output]
        features.pooler_output = torch.split(levels[0], sizes)
        if len(levels) > 1:
            is_whole = isinstance(features.deepstack_features[0], Tensor)
            features.deepstack_features = [level if is_whole else torch.split(level, sizes) for level in levels[1:]]
        return features
