"""A small sibling of every published design: same parts, same code path, under a million parameters, for tests that take seconds."""

from typing import Any

from transformers import PreTrainedTokenizerBase

from sightline.errors import UnknownNameError
from sightline.models.config import SpatialVLConfig
from sightline.models.model import PRESETS
from sightline.models.preset_notes import NOTES
from sightline.models.presets import INITIAL_STD
from sightline.models.tokenizer import IMAGE, VIDEO, VISION_END, VISION_START

VISION_PAD = "<|vision_pad|>"
TEXT = {
    "hidden_size": 64,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 128,
    "max_position_embeddings": 4096,
    "initializer_range": INITIAL_STD,
}
HEAD = 16  # channels of an attention head
MROPE = [4, 2, 2]  # of the HEAD / 2 frequencies: time, row, column
VGGT = {
    "img_size": 56,
    "embed_dim": 32,
    "depth": 2,
    "num_heads": 2,
    "dino_depth": 1,
    "dino_heads": 2,
}
FUSIONS = {
    "sin3d": {"num_wavelengths": 4},
    "mlp3d": {"width": 16},
    "cross": {"width": 32, "heads": 2},
    "perceiver": {"latent_dim": 32, "latents": 6, "layers": 2, "heads": 2, "max_views": 16},
}


def tiny_of(preset: str, tokenizer: PreTrainedTokenizerBase, **changes: Any) -> SpatialVLConfig:
    """The sibling of `preset` for a tokenizer; `changes` replace fields of the config. Raises UnknownNameError."""
    if preset not in NOTES:
        raise UnknownNameError(f"no tiny sibling of preset '{preset}'. Known: {', '.join(NOTES)}")
    real = PRESETS[preset]()
    geometry_options = {**(real.geometry_options or {}), **(VGGT if real.geometry_encoder == "vggt" else {})}
    fields: dict[str, Any] = {
        "backbone": real.backbone,
        "backbone_config": _backbone(real.backbone, tokenizer),
        "geometry_encoder": real.geometry_encoder,
        "geometry_options": geometry_options,
        "fusion": real.fusion,
        "fusion_options": {**(real.fusion_options or {}), **FUSIONS.get(real.fusion, {})},
        "fuse_deepstack": real.fuse_deepstack,
        "coordinate_frame": real.coordinate_frame,
        "views_per_step": real.views_per_step,
        "rope_rule": real.rope_rule,
        "prefix_token_id": None if real.prefix_token_id is None else _prefix_token_id(tokenizer),
        "frozen": real.frozen,
        "initializer_range": INITIAL_STD,
    }
    return SpatialVLConfig(**{**fields, **changes})


def _prefix_token_id(tokenizer: PreTrainedTokenizerBase) -> int:
    known = tokenizer.convert_tokens_to_ids(VISION_PAD)
    return tokenizer.convert_tokens_to_ids(VIDEO) if known is None or known == tokenizer.unk_token_id else known


def _backbone(name: str, tokenizer: PreTrainedTokenizerBase) -> dict[str, Any]:
    ends = {"pad_token_id": tokenizer.pad_token_id, "eos_token_id": tokenizer.eos_token_id, "bos_token_id": None}
    text = {**TEXT, **ends, "vocab_size": len(tokenizer), "tie_word_embeddings": True}
    markers = {
        "image_token_id": tokenizer.convert_tokens_to_ids(IMAGE),
        "video_token_id": tokenizer.convert_tokens_to_ids(VIDEO),
        "vision_start_token_id": tokenizer.convert_tokens_to_ids(VISION_START),
        "vision_end_token_id": tokenizer.convert_tokens_to_ids(VISION_END),
    }
    small = {"hidden_size": 32, "intermediate_size": 48, "initializer_range": INITIAL_STD}
    rope = {"rope_type": "default", "rope_theta": 10000.0}
    common = {"model_type": name, "initializer_range": INITIAL_STD, "tie_word_embeddings": True}
    if name == "qwen3":
        return {**text, **common, "head_dim": HEAD, "rope_parameters": rope}
    if name == "qwen3_vl":
        vision = {"depth": 3, "num_heads": 2, "patch_size": 8, "temporal_patch_size": 2, "spatial_merge_size": 2}
        stacked = {"deepstack_visual_indexes": [0, 1], "num_position_embeddings": 64, "out_hidden_size": TEXT["hidden_size"]}
        interleaved = {**rope, "mrope_section": MROPE, "mrope_interleaved": True}
        return {
            **common,
            **markers,
            "vision_config": {**small, **vision, **stacked},
            "text_config": {**text, "head_dim": HEAD, "rope_parameters": interleaved},
        }
    if name == "qwen2_5_vl":
        vision = {"depth": 3, "num_heads": 2, "patch_size": 14, "temporal_patch_size": 2, "spatial_merge_size": 2}
        # One block sees the whole image, the others windows of 2 x 2 tokens: more than one even in a small image.
        windows = {"window_size": 56, "fullatt_block_indexes": [1], "tokens_per_second": 2, "out_hidden_size": TEXT["hidden_size"]}
        return {
            **common,
            **markers,
            "vision_config": {**small, **vision, **windows},
            "text_config": {**text, "use_sliding_window": False, "rope_parameters": {**rope, "mrope_section": MROPE}},
        }
    vision = {"num_hidden_layers": 2, "num_attention_heads": 2, "attention_bias": True, "image_size": [56, 56], "patch_size": [14, 14]}
    return {
        **common,
        "image_token_id": markers["image_token_id"],
        "image_seq_length": 4,
        "downsample_ratio": 0.5,
        "tie_word_embeddings": False,
        "vision_config": {**small, **vision},
        "text_config": {**text, "model_type": "qwen2", "tie_word_embeddings": False, "rope_parameters": rope},
    }
