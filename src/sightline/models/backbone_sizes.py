"""The published dimensions of the vision-language and language backbones, as configs of transformers.

Every number is that of the `config.json` of the named hub repository. Token ids are those of its tokenizer.
"""

from collections.abc import Callable, Mapping
from typing import Any

from transformers import InternVLConfig, PreTrainedConfig, Qwen2_5_VLConfig, Qwen3Config, Qwen3VLConfig

from sightline.catalog import nearest
from sightline.errors import UnknownNameError

QWEN_VOCAB = 151936  # rows of the embedding; the tokenizer uses fewer
QWEN_TOKENS = {"image_token_id": 151655, "video_token_id": 151656, "vision_start_token_id": 151652, "vision_end_token_id": 151653}
QWEN_ENDS = {"bos_token_id": 151643, "eos_token_id": 151645, "pad_token_id": 151643}


def qwen3_vl(size: str = "4b") -> Qwen3VLConfig:
    """Qwen/Qwen3-VL-2B-Instruct, -4B-Instruct, -8B-Instruct."""
    text, vision, is_tied = _chosen(
        "Qwen3-VL",
        size,
        {
            "2b": ((2048, 28, 16, 6144), "small", True),
            "4b": ((2560, 36, 32, 9728), "small", True),
            "8b": ((4096, 36, 32, 12288), "large", False),
        },
    )
    hidden_size, layers, heads, intermediate_size = text
    towers = {
        "small": {"depth": 24, "hidden_size": 1024, "intermediate_size": 4096, "deepstack_visual_indexes": [5, 11, 17]},
        "large": {"depth": 27, "hidden_size": 1152, "intermediate_size": 4304, "deepstack_visual_indexes": [8, 16, 24]},
    }
    return Qwen3VLConfig(
        text_config={
            "vocab_size": QWEN_VOCAB,
            "hidden_size": hidden_size,
            "num_hidden_layers": layers,
            "num_attention_heads": heads,
            "num_key_value_heads": 8,
            "head_dim": 128,
            "intermediate_size": intermediate_size,
            "max_position_embeddings": 262144,
            "rms_norm_eps": 1e-6,
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 5000000.0,
                "mrope_section": [24, 20, 20],
                "mrope_interleaved": True,
            },
            "tie_word_embeddings": is_tied,
            **QWEN_ENDS,
        },
        vision_config={
            **towers[vision],
            "num_heads": 16,
            "patch_size": 16,
            "temporal_patch_size": 2,
            "spatial_merge_size": 2,
            "num_position_embeddings": 2304,
            "out_hidden_size": hidden_size,
        },
        tie_word_embeddings=is_tied,
        **QWEN_TOKENS,
    )


def qwen2_5_vl(size: str = "3b") -> Qwen2_5_VLConfig:
    """Qwen/Qwen2.5-VL-3B-Instruct, -7B-Instruct."""
    text, vocab_size, is_tied = _chosen(
        "Qwen2.5-VL",
        size,
        {
            "3b": ((2048, 36, 16, 2, 11008), QWEN_VOCAB, True),
            "7b": ((3584, 28, 28, 4, 18944), 152064, False),
        },
    )
    hidden_size, layers, heads, key_value_heads, intermediate_size = text
    return Qwen2_5_VLConfig(
        text_config={
            "vocab_size": vocab_size,
            "hidden_size": hidden_size,
            "num_hidden_layers": layers,
            "num_attention_heads": heads,
            "num_key_value_heads": key_value_heads,
            "intermediate_size": intermediate_size,
            "max_position_embeddings": 128000,
            "rms_norm_eps": 1e-6,
            "use_sliding_window": False,
            "rope_parameters": {"rope_type": "default", "rope_theta": 1000000.0, "mrope_section": [16, 24, 24]},
            "tie_word_embeddings": is_tied,
            **QWEN_ENDS,
        },
        vision_config={
            "depth": 32,
            "hidden_size": 1280,
            "intermediate_size": 3420,
            "num_heads": 16,
            "patch_size": 14,
            "temporal_patch_size": 2,
            "spatial_merge_size": 2,
            "tokens_per_second": 2,
            "window_size": 112,
            "fullatt_block_indexes": [7, 15, 23, 31],
            "out_hidden_size": hidden_size,
        },
        tie_word_embeddings=is_tied,
        **QWEN_TOKENS,
    )


def qwen3(size: str = "4b") -> Qwen3Config:
    """Qwen/Qwen3-4B-Instruct-2507: a language model without a vision tower."""
    hidden_size, layers, heads, intermediate_size = _chosen("Qwen3", size, {"4b": (2560, 36, 32, 9728)})
    return Qwen3Config(
        vocab_size=QWEN_VOCAB,
        hidden_size=hidden_size,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=8,
        head_dim=128,
        intermediate_size=intermediate_size,
        max_position_embeddings=262144,
        rms_norm_eps=1e-6,
        rope_parameters={"rope_type": "default", "rope_theta": 5000000.0},
        tie_word_embeddings=True,
        **QWEN_ENDS,
    )


def internvl(size: str = "2b") -> InternVLConfig:
    """OpenGVLab/InternVL3-1B-hf, -2B-hf, -8B-hf: InternViT-300M and a Qwen2.5 language model."""
    hidden_size, layers, heads, key_value_heads, intermediate_size = _chosen(
        "InternVL3",
        size,
        {"1b": (896, 24, 14, 2, 4864), "2b": (1536, 28, 12, 2, 8960), "8b": (3584, 28, 28, 4, 18944)},
    )
    return InternVLConfig(
        text_config={
            "model_type": "qwen2",
            "vocab_size": 151674,
            "hidden_size": hidden_size,
            "num_hidden_layers": layers,
            "num_attention_heads": heads,
            "num_key_value_heads": key_value_heads,
            "intermediate_size": intermediate_size,
            "max_position_embeddings": 32768,
            "rms_norm_eps": 1e-6,
            "use_sliding_window": False,
            "rope_parameters": {"rope_type": "dynamic", "rope_theta": 1000000.0, "factor": 2.0},
            "tie_word_embeddings": False,
            **QWEN_ENDS,
        },
        vision_config={
            "hidden_size": 1024,
            "num_hidden_layers": 24,
            "num_attention_heads": 16,
            "intermediate_size": 4096,
            "attention_bias": True,
            "image_size": [448, 448],
            "patch_size": [14, 14],
            "norm_type": "layer_norm",
            "layer_scale_init_value": 0.1,
        },
        image_token_id=151667,
        image_seq_length=256,
        downsample_ratio=0.5,
        tie_word_embeddings=False,
    )


BACKBONES: Mapping[str, Callable[..., PreTrainedConfig]] = {
    "qwen3_vl": qwen3_vl,
    "qwen2_5_vl": qwen2_5_vl,
    "internvl": internvl,
    "qwen3": qwen3,
}


def backbone_config(name: str, size: str | None = None) -> PreTrainedConfig:
    """The config of a backbone at a published size, its default one without. Raises UnknownNameError."""
    if name not in BACKBONES:
        raise UnknownNameError(f"no backbone called '{name}'.{nearest(name, list(BACKBONES))} Known: {', '.join(BACKBONES)}")
    return BACKBONES[name]() if size is None else BACKBONES[name](size)


def _chosen(family: str, size: str, published: Mapping[str, Any]) -> Any:
    if size not in published:
        raise UnknownNameError(f"{family}: no published size '{size}'. Known: {', '.join(published)}")
    return published[size]
