"""Sizes of the model that are trained from nothing on one machine."""

from collections.abc import Mapping
from typing import Any

from transformers import PreTrainedTokenizerBase

from sightline.models.config import SpatialVLConfig
from sightline.models.tokenizer import IMAGE, VIDEO, VISION_END, VISION_START

INITIAL_STD = 0.05  # of weights: at a width of 128 the usual 0.02 makes every signal fainter than its norm layers expect


def tiny(tokenizer: PreTrainedTokenizerBase, *, fusion: str, fusion_options: Mapping[str, Any], coordinate_frame: str) -> SpatialVLConfig:
    """About a million parameters: trains on one CPU core in minutes. 16-pixel patches, each a token."""
    return _config(
        tokenizer,
        fusion=fusion,
        fusion_options=fusion_options,
        coordinate_frame=coordinate_frame,
        vision={
            "depth": 1,
            "hidden_size": 96,
            "intermediate_size": 256,
            "num_heads": 4,
            "patch_size": 16,
            "spatial_merge_size": 1,
            "num_position_embeddings": 256,
        },
        text={"num_hidden_layers": 3, "hidden_size": 128, "intermediate_size": 256, "num_attention_heads": 4, "head_dim": 32},
    )


def smallest(
    tokenizer: PreTrainedTokenizerBase, *, fusion: str, fusion_options: Mapping[str, Any], coordinate_frame: str
) -> SpatialVLConfig:
    """For tests of the machinery: learns little, in seconds."""
    return _config(
        tokenizer,
        fusion=fusion,
        fusion_options=fusion_options,
        coordinate_frame=coordinate_frame,
        vision={"depth": 1, "hidden_size": 32, "intermediate_size": 64, "num_heads": 2, "patch_size": 8, "num_position_embeddings": 64},
        text={"num_hidden_layers": 2, "hidden_size": 48, "intermediate_size": 96, "num_attention_heads": 3, "head_dim": 16},
    )


def _config(
    tokenizer: PreTrainedTokenizerBase,
    *,
    fusion: str,
    fusion_options: Mapping[str, Any],
    coordinate_frame: str,
    vision: Mapping[str, Any],
    text: Mapping[str, Any],
) -> SpatialVLConfig:
    half = text["head_dim"] // 2
    initial = {"initializer_range": INITIAL_STD}
    return SpatialVLConfig(
        backbone="qwen3_vl",
        backbone_config={
            "model_type": "qwen3_vl",
            "vision_config": {
                "spatial_merge_size": 2,
                **vision,
                **initial,
                "temporal_patch_size": 1,  # single images: a second, equal frame would only double the work
                "out_hidden_size": text["hidden_size"],
                "deepstack_visual_indexes": [],
            },
            "text_config": {
                **text,
                **initial,
                "vocab_size": len(tokenizer),
                "num_key_value_heads": text["num_attention_heads"],
                "max_position_embeddings": 2048,
                "rope_parameters": {
                    "rope_type": "default",
                    "rope_theta": 10000.0,
                    "mrope_section": [half - 2 * (half // 3), half // 3, half // 3],
                    "mrope_interleaved": True,
                },
                "pad_token_id": tokenizer.pad_token_id,
                "eos_token_id": tokenizer.eos_token_id,
                "tie_word_embeddings": True,
            },
            **initial,
            "image_token_id": tokenizer.convert_tokens_to_ids(IMAGE),
            "video_token_id": tokenizer.convert_tokens_to_ids(VIDEO),
            "vision_start_token_id": tokenizer.convert_tokens_to_ids(VISION_START),
            "vision_end_token_id": tokenizer.convert_tokens_to_ids(VISION_END),
            "tie_word_embeddings": True,
        },
        fusion=fusion,
        fusion_options=dict(fusion_options),
        coordinate_frame=coordinate_frame,
    )
