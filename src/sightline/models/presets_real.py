"""The published model designs at their real sizes, one function each; `preset_notes.py` says where each comes from."""

from collections.abc import Mapping
from typing import Any

from sightline.errors import ConfigError
from sightline.models.backbone_sizes import backbone_config
from sightline.models.config import SpatialVLConfig

PREFIX_TOKEN_ID = 151654  # <|vision_pad|>, which every Qwen tokenizer has and no Qwen model uses
QWEN_TOWER = ("backbone.model.visual.patch_embed.*", "backbone.model.visual.blocks.*")  # of Qwen2.5-VL
GEOMETRY = ("geometry_encoder.*",)


def qwen3vl_base(*, size: str = "4b", frozen: tuple[str, ...] = ()) -> SpatialVLConfig:
    """Qwen3-VL as it is published, without geometry: the baseline of the next two."""
    return _qwen3vl("none", {}, size=size, fuse_deepstack=False, frozen=frozen)


def qwen3vl_sin3d(
    *, size: str = "4b", fuse_deepstack: bool = False, fusion_options: Mapping[str, Any] | None = None, frozen: tuple[str, ...] = ()
) -> SpatialVLConfig:
    """Qwen3-VL with a sinusoidal code of each visual token's 3-D position, from depth and pose."""
    return _qwen3vl("sin3d", fusion_options or {}, size=size, fuse_deepstack=fuse_deepstack, frozen=frozen)


def qwen3vl_mlp3d(
    *, size: str = "4b", fuse_deepstack: bool = False, fusion_options: Mapping[str, Any] | None = None, frozen: tuple[str, ...] = ()
) -> SpatialVLConfig:
    """Qwen3-VL with a learned code of each visual token's 3-D position, from depth and pose."""
    return _qwen3vl("mlp3d", fusion_options or {}, size=size, fuse_deepstack=fuse_deepstack, frozen=frozen)


def spatial_mllm(*, size: str = "3b", version: str = "v1.1", geometry_options: Mapping[str, Any] | None = None) -> SpatialVLConfig:
    """Qwen2.5-VL on a video of the views, VGGT's tokens of two frames and 2 x 2 patches added to each visual token.

    `version` names the published checkpoints' connector: v1.1, or v1.0 with another channel order and a second MLP. As in its training
    the vision tower's blocks and VGGT are frozen; the merger, the connector and the language model are not.
    """
    if version not in ("v1.0", "v1.1"):
        raise ConfigError(f"preset 'spatial-mllm': version: expected v1.1 or v1.0, found '{version}'")
    return SpatialVLConfig(
        backbone="qwen2_5_vl",
        backbone_config=backbone_config("qwen2_5_vl", size),
        geometry_encoder="vggt",
        geometry_options=dict(geometry_options or {}),
        fusion="add",
        fusion_options={"version": version},
        views_per_step=2,
        rope_rule="transformers_4",
        frozen=[*QWEN_TOWER, *GEOMETRY],
    )


def vggt_perceiver(
    *, geometry_options: Mapping[str, Any] | None = None, fusion_options: Mapping[str, Any] | None = None
) -> SpatialVLConfig:
    """Frozen VGGT, all its tokens resampled to a few latents beside one geometry token per view, before the question of a Qwen3."""
    return SpatialVLConfig(
        backbone="qwen3",
        backbone_config=backbone_config("qwen3", "4b"),
        geometry_encoder="vggt",
        geometry_options=dict(geometry_options or {}),
        fusion="perceiver",
        fusion_options=dict(fusion_options or {}),
        prefix_token_id=PREFIX_TOKEN_ID,
        frozen=[*GEOMETRY],
    )


def vggt_cross(
    *, size: str = "3b", geometry_options: Mapping[str, Any] | None = None, fusion_options: Mapping[str, Any] | None = None
) -> SpatialVLConfig:
    """Visual tokens of Qwen2.5-VL look at VGGT's patch and camera tokens of their view.

    Qwen2.5-VL because its 14-pixel patches are VGGT's: both see the same pixels, nothing is resampled, and the same backbone stands
    beside `spatial-mllm`. Frozen as there.
    """
    return SpatialVLConfig(
        backbone="qwen2_5_vl",
        backbone_config=backbone_config("qwen2_5_vl", size),
        geometry_encoder="vggt",
        geometry_options=dict(geometry_options or {}),
        fusion="cross",
        fusion_options=dict(fusion_options or {}),
        frozen=[*QWEN_TOWER, *GEOMETRY],
    )


def internvl(*, size: str = "2b") -> SpatialVLConfig:
    """InternVL3 without geometry, its views cut into at most six tiles: the backbone of the MultiSPA recipe."""
    return SpatialVLConfig(backbone="internvl", backbone_config=backbone_config("internvl", size), fusion="none", geometry_encoder="none")


def _qwen3vl(
    fusion: str, fusion_options: Mapping[str, Any], *, size: str, fuse_deepstack: bool, frozen: tuple[str, ...]
) -> SpatialVLConfig:
    return SpatialVLConfig(
        backbone="qwen3_vl",
        backbone_config=backbone_config("qwen3_vl", size),
        geometry_encoder="none" if fusion == "none" else "pointmap",
        fusion=fusion,
        fusion_options=dict(fusion_options),
        fuse_deepstack=fuse_deepstack,
        frozen=list(frozen),
    )
