"""Qwen3, a language model without eyes: geometry reaches it as tokens before the question."""

from typing import Any, ClassVar

from torch import Tensor
from transformers import PreTrainedConfig, PreTrainedModel, Qwen3ForCausalLM

from sightline.errors import ModelError
from sightline.models.backbones.backbone import IMAGENET_MEAN, IMAGENET_STD, VisionGrid


class Qwen3:
    """Its images are cut into the geometry encoder's patches, one to a token."""

    name: ClassVar[str] = "qwen3"
    has_vision: ClassVar[bool] = False
    takes_videos: ClassVar[bool] = False
    has_mrope: ClassVar[bool] = False

    def build(self, config: PreTrainedConfig, *, rope_rule: str) -> PreTrainedModel:
        return Qwen3ForCausalLM(config)

    def grid(self, config: PreTrainedConfig) -> VisionGrid:
        return VisionGrid(patch_px=14, merge=1, temporal_patch=1, mean=IMAGENET_MEAN, std=IMAGENET_STD)

    def image_token_id(self, config: PreTrainedConfig) -> None:
        return None

    def features(self, model: PreTrainedModel, pixel_values: Tensor, grid_thw: Tensor, *, is_video: bool) -> Any:
        raise ModelError("backbone 'qwen3': expected no visual tokens to be asked of it, it has no vision tower")

    def tokens(self, features: Any) -> list[Tensor]:
        return []

    def with_tokens(self, features: Any, levels: list[Tensor]) -> Any:
        return features
