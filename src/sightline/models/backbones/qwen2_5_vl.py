"""Qwen2.5-VL: 28-pixel tokens, window attention, frames as videos; position ids by the rule of its training or of transformers 5."""

from typing import Any, ClassVar

import torch
from torch import Tensor
from transformers import PreTrainedConfig, PreTrainedModel, Qwen2_5_VLForConditionalGeneration
from transformers.models.qwen2_5_vl.modeling_qwen2_5_vl import Qwen2_5_VisionPatchEmbed, Qwen2_5_VLModel

from sightline.models.backbones.backbone import OPENAI_MEAN, OPENAI_STD, QwenFeatures, VisionGrid
from sightline.models.positions import batch_positions


class FlatVideoPatchEmbed(Qwen2_5_VisionPatchEmbed):
    """Patches arrive flat and do not overlap, so their convolution is one matrix product; a convolution over them is far slower."""

    def forward(self, hidden_states: Tensor) -> Tensor:
        """`(patches, 3 T p p)` pixel values to `(patches, D)`."""
        weight = self.proj.weight.flatten(1)
        return torch.nn.functional.linear(hidden_states.to(weight.dtype), weight)


class OwnPositionsModel(Qwen2_5_VLModel):
    """Positions by a rule of the config's: versions of transformers space the steps of a video differently (5.17 in whole seconds)."""

    rope_rule: ClassVar[str] = "transformers_5"

    def get_rope_index(
        self,
        input_ids: Tensor,
        mm_token_type_ids: Tensor,
        image_grid_thw: Tensor | None = None,
        video_grid_thw: Tensor | None = None,
        second_per_grid_ts: Tensor | None = None,
        attention_mask: Tensor | None = None,
        **kwargs: Any,
    ) -> tuple[Tensor, Tensor]:
        """Positions `(3, B, L)` and how far each row's next position is ahead of its length `(B, 1)`."""
        return batch_positions(
            mm_token_type_ids,
            image_grid_thw,
            video_grid_thw,
            attention_mask,
            merge=self.config.vision_config.spatial_merge_size,
            tokens_per_second=self.config.vision_config.tokens_per_second,
            second_per_grid=second_per_grid_ts,
            rule=self.rope_rule,
        )


class OriginalPositionsModel(OwnPositionsModel):
    """Text after a video goes on after its largest position, as in transformers 4 and the training of Spatial-MLLM."""

    rope_rule: ClassVar[str] = "transformers_4"


class Qwen25VL(QwenFeatures):
    """Still images, or frames of a video two to a step."""

    name: ClassVar[str] = "qwen2_5_vl"
    has_vision: ClassVar[bool] = True
    takes_videos: ClassVar[bool] = True
    has_mrope: ClassVar[bool] = True

    def build(self, config: PreTrainedConfig, *, rope_rule: str) -> PreTrainedModel:
        model = Qwen2_5_VLForConditionalGeneration(config)
        # Same parameters, other behaviour: the class is changed in place so that the initial weights stay those of transformers.
        model.model.visual.patch_embed.__class__ = FlatVideoPatchEmbed
        model.model.__class__ = OriginalPositionsModel if rope_rule == "transformers_4" else OwnPositionsModel
        return model

    def grid(self, config: PreTrainedConfig) -> VisionGrid:
        vision = config.vision_config
        return VisionGrid(
            patch_px=vision.patch_size,
            merge=vision.spatial_merge_size,
            temporal_patch=vision.temporal_patch_size,
            mean=OPENAI_MEAN,
            std=OPENAI_STD,
        )

    def features(self, model: PreTrainedModel, pixel_values: Tensor, grid_thw: Tensor, *, is_video: bool) -> Any:
        take = model.model.get_video_features if is_video else model.model.get_image_features
        return take(pixel_values, grid_thw, return_dict=True)
