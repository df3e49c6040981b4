"""Qwen3-VL: 32-pixel tokens, DeepStack levels, images of any size."""

from typing import Any, ClassVar

from torch import Tensor
from transformers import PreTrainedConfig, PreTrainedModel, Qwen3VLForConditionalGeneration

from sightline.models.backbones.backbone import HALF_MEAN, HALF_STD, QwenFeatures, VisionGrid
from sightline.models.vision_attention import EqualGridAttention, FlatPatchEmbed


class Qwen3VL(QwenFeatures):
    """Views are still images: its videos carry time stamps in the text, which a set of views does not have."""

    name: ClassVar[str] = "qwen3_vl"
    has_vision: ClassVar[bool] = True
    takes_videos: ClassVar[bool] = False
    has_mrope: ClassVar[bool] = True

    def build(self, config: PreTrainedConfig, *, rope_rule: str) -> PreTrainedModel:
        model = Qwen3VLForConditionalGeneration(config)
        # Same parameters, faster forward: the class is changed in place so that the initial weights stay those of transformers.
        model.model.visual.patch_embed.__class__ = FlatPatchEmbed
        for block in model.model.visual.blocks:
            block.attn.__class__ = EqualGridAttention
        return model

    def grid(self, config: PreTrainedConfig) -> VisionGrid:
        vision = config.vision_config
        return VisionGrid(
            patch_px=vision.patch_size,
            merge=vision.spatial_merge_size,
            temporal_patch=vision.temporal_patch_size,
            mean=HALF_MEAN,
            std=HALF_STD,
            levels=len(vision.deepstack_visual_indexes),
        )

    def features(self, model: PreTrainedModel, pixel_values: Tensor, grid_thw: Tensor, *, is_video: bool) -> Any:
        return model.model.get_image_features(pixel_values, grid_thw, return_dict=True)
