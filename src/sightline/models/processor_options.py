"""What a model's config asks of its processor: image sizes, placeholders, where geometry is computed."""

import math
from collections.abc import Mapping
from typing import Any

import torch

from sightline.errors import ModelError
from sightline.models.config import NO_ENCODER, SpatialVLConfig
from sightline.models.image_sizes import SMART, SQUARE, TILES
from sightline.models.model import ENCODERS, FUSIONS, Sizes

NOWHERE, HOST, DEVICE = "none", "host", "device"  # where 3-D coordinates of tokens are computed
ON_HOST = "pointmap"  # the one encoder that knows how
LEAST_TOKENS, MOST_TOKENS = 128, 768  # per view of any size, as in Qwen's own tools for the frames of a video
VIDEO_PIXELS = (293216, 324576)  # least and most per frame of a clip, as in the training of Spatial-MLLM
VIEW_PX = 448  # side of the room-plan recipe's views, and of InternVL's tiles
MOST_TILES = 6  # per image, as in the MultiSPA recipe
LONGEST = 32768  # tokens, unless the backbone reads fewer


def chosen_for(config: SpatialVLConfig, tokenizer: Any, options: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of a processor that fits the config, but those which `options` name. Raises ModelError."""
    grid, kind = config.vision_grid, config.backbone_kind
    vision = getattr(config.backbone_config, "vision_config", None)
    ids = {
        "image_token": kind.image_token_id(config.backbone_config),
        "video_token": config.backbone_config.video_token_id if config.views_per_step > 1 else None,
        "prefix_token": config.prefix_token_id if config.makes_prefix else None,
    }
    return {
        "backbone": config.backbone,
        "patch_size": grid.patch_px,
        "merge_size": grid.merge,
        "temporal_patch_size": grid.temporal_patch,
        "pixel_mean": grid.mean,
        "pixel_std": grid.std,
        "views_per_step": config.views_per_step,
        "tokens_per_second": getattr(vision, "tokens_per_second", None) or 1.0,
        "rope_rule": config.rope_rule,
        **{name: None if one is None else tokenizer.convert_ids_to_tokens(one) for name, one in ids.items()},
        "coordinate_frame": config.coordinate_frame,
        "max_tokens": min(config.get_text_config().max_position_embeddings, LONGEST),
        **_images(config, options),
        **_geometry(config, options),
        **(_prefix_counts(config) if config.makes_prefix else {}),
    }


def _images(config: SpatialVLConfig, options: Mapping[str, Any]) -> dict[str, Any]:
    """Sizes of images; those of one fixed size where it is given."""
    grid, multiple = config.vision_grid, side_multiple_px(config)
    if "image_width" in options or "image_height" in options:
        return {"side_multiple_px": multiple}
    least, most = VIDEO_PIXELS if config.views_per_step > 1 else (tokens * grid.window_px**2 for tokens in (LEAST_TOKENS, MOST_TOKENS))
    return {
        "side_multiple_px": multiple,
        "image_policy": TILES if grid.tile_px else SMART if config.backbone_kind.has_vision else SQUARE,
        "min_pixels": least,
        "max_pixels": max(most, multiple**2),
        "tile_px": grid.tile_px or VIEW_PX,
    }


def _geometry(config: SpatialVLConfig, options: Mapping[str, Any]) -> dict[str, Any]:
    """Where geometry is computed, and whether the device is sent cameras and depth for it."""
    encoder = ENCODERS[config.geometry_encoder] if config.has_encoder else None
    usual = HOST if config.geometry_encoder == ON_HOST else NOWHERE if encoder is None or config.geometry_encoder == NO_ENCODER else DEVICE
    on = options.get("geometry_on", usual)
    is_sent = on == DEVICE and encoder is not None and (encoder.needs_depth or config.makes_prefix)
    return {"geometry_encoder": config.geometry_encoder, "geometry_on": on, "sends_cameras": is_sent}


def side_multiple_px(config: SpatialVLConfig) -> int:
    """What image sides must be multiples of, for the backbone's tokens and for an encoder that looks at the same pixels."""
    window = config.vision_grid.window_px
    if not config.has_encoder or not ENCODERS[config.geometry_encoder].needs_images:
        return window
    with torch.device("meta"):
        patch_px = ENCODERS[config.geometry_encoder](config.geometry_options or {}).patch_px
    return math.lcm(window, patch_px or 1)


def _prefix_counts(config: SpatialVLConfig) -> dict[str, int]:
    """How many prefix tokens a sample has, and how many more for each of its views, as its fusion says. Raises ModelError."""
    with torch.device("meta"):
        sizes = Sizes(hidden_size=config.hidden_size, geometry_channels=config.hidden_size, merge=1, views_per_step=config.views_per_step)
        fusion = FUSIONS[config.fusion](sizes, config.fusion_options or {})
    none, one, two = (fusion.prefix_tokens(views) for views in range(3))
    if two - one != one - none:
        raise ModelError(f"fusion '{config.fusion}': expected as many prefix tokens for each view, found {none}, {one}, {two} for 0, 1, 2")
    return {"prefix_per_sample": none, "prefix_per_view": one - none}
