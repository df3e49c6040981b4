"""InternVL of transformers: square tiles of one size, each a fixed number of tokens."""

from typing import Any, ClassVar

from torch import Tensor
from transformers import InternVLForConditionalGeneration, PreTrainedConfig, PreTrainedModel

from sightline.models.backbones.backbone import IMAGENET_MEAN, IMAGENET_STD, VisionGrid


class InternVL:
    """Every tile is a view of its own, with the intrinsics of its crop."""

    name: ClassVar[str] = "internvl"
    has_vision: ClassVar[bool] = True
    takes_videos: ClassVar[bool] = False
    has_mrope: ClassVar[bool] = False

    def build(self, config: PreTrainedConfig, *, rope_rule: str) -> PreTrainedModel:
        return InternVLForConditionalGeneration(config)

    def grid(self, config: PreTrainedConfig) -> VisionGrid:
        vision = config.vision_config
        side = vision.image_size[0] if isinstance(vision.image_size, (list, tuple)) else vision.image_size
        patch = vision.patch_size[0] if isinstance(vision.patch_size, (list, tuple)) else vision.patch_size
        return VisionGrid(
            patch_px=patch, merge=round(1.0 / config.downsample_ratio), temporal_patch=1, mean=IMAGENET_MEAN, std=IMAGENET_STD, tile_px=side
        )

    def image_token_id(self, config: PreTrainedConfig) -> int:
        return config.image_token_id

    def features(self, model: PreTrainedModel, pixel_values: Tensor, grid_thw: Tensor, *, is_video: bool) -> Any:
        grid = self.grid(model.config)
        return model.model.get_image_features(
            tiles_of(pixel_values, side=grid.tile_px, patch=grid.patch_px, merge=grid.merge),
            vision_feature_layer=model.config.vision_feature_layer,
            vision_feature_select_strategy=model.config.vision_feature_select_strategy,
            return_dict=True,
        )

    def tokens(self, features: Any) -> list[Tensor]:
        return [features.pooler_output.flatten(0, 1)]

    def with_tokens(self, features: Any, levels: list[Tensor]) -> Any:
        features.pooler_output = levels[0].view(features.pooler_output.shape)
        return features


def tiles_of(patches: Tensor, *, side: int, patch: int, merge: int) -> Tensor:
    """Flat patches in merge-window order `(P, 3 p p)` to tiles `(T, 3, side, side)`."""
    windows = side // (patch * merge)
    cut = patches.view(-1, windows, windows, merge, merge, 3, patch, patch)
    return cut.permute(0, 5, 1, 3, 6, 2, 4, 7).reshape(-1, 3, side, side)
