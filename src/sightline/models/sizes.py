"""A model described without its weights: parameters of each part, tokens, operations and memory for a given input, in seconds.

The model is built on torch's meta device, which holds shapes alone.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import nn

from sightline.errors import ConfigError, ModelError
from sightline.models.config import SpatialVLConfig
from sightline.models.flops import Training, Work, work_by_part
from sightline.models.memory import BYTES, Memory, adapter_parameters, memory_of
from sightline.models.stages import FUSION, GEOMETRY, LANGUAGE, PARTS, VISION, Stage, backbone_stages
from sightline.models.stages_fusion import fusion_stages
from sightline.models.stages_geometry import geometry_stages
from sightline.models.workload import TokenCounts, Workload, count_tokens

if TYPE_CHECKING:
    from sightline.models.spatial_vl import SpatialVLForConditionalGeneration

AS_PRESET, FULL, FROZEN_VISION, LORA = "preset", "full", "frozen-vision", "lora"
TRAINED = {
    AS_PRESET: "what the preset's own list of frozen parameters leaves",
    FULL: "everything but the geometry encoder",
    FROZEN_VISION: "as full, without the vision tower's patch embedding and blocks",
    LORA: "the fusion, and adapters on every linear layer of the language model",
}
ENCODER, BACKBONE = ("geometry_encoder.*",), ("backbone.*",)
TOWER = ("*.visual.patch_embed.*", "*.visual.pos_embed.*", "*.visual.blocks.*", "*.vision_tower.*")
RANK = 16


@dataclass(frozen=True, kw_only=True, slots=True)
class PartSizes:
    """Parameters of one part. Those of adapters count as trainable ones of the part that they adapt."""

    total: int
    trainable: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Described:
    """All that is known of a model before any weight is read."""

    counts: TokenCounts
    parameters: dict[str, PartSizes]  # by part
    work: dict[str, Work]  # by part
    memory: Memory
    stages: tuple[Stage, ...]
    training: Training


def on_meta(config: SpatialVLConfig) -> "SpatialVLForConditionalGeneration":
    """The model without memory for its weights. Raises ConfigError where its parts do not go together."""
    from sightline.models.spatial_vl import SpatialVLForConditionalGeneration

    with torch.device("meta"):
        return SpatialVLForConditionalGeneration(config)


def describe(
    config: SpatialVLConfig,
    workload: Workload,
    *,
    train: str = AS_PRESET,
    dtype: str = "bf16",
    lora_rank: int = RANK,
    is_checkpointed: bool = False,
) -> Described:
    """Sizes, operations and memory of a model for a workload. Raises ConfigError for an unknown way to train or number format."""
    if dtype not in BYTES:
        raise ConfigError(f"dtype: expected one of {', '.join(BYTES)}, found '{dtype}'")
    model = on_meta(trained_as(config, train))
    counts = tokens_of(model, workload)
    stages = stages_of(model, counts, workload)
    training = training_of(model, stages, lora_rank=lora_rank if train == LORA else 0)
    adapters = adapter_parameters(stages, training)
    parameters = part_sizes(model, adapters=adapters)
    memory = memory_of(
        stages,
        training,
        parameters=sum(part.total for part in parameters.values()) - adapters,
        trainable=sum(part.trainable for part in parameters.values()) - adapters,
        dtype=dtype,
        is_checkpointed=is_checkpointed,
    )
    work = work_by_part(stages, training)
    return Described(counts=counts, parameters=parameters, work=work, memory=memory, stages=tuple(stages), training=training)


def trained_as(config: SpatialVLConfig, train: str) -> SpatialVLConfig:
    """The same config with the frozen parameters of a way to train (a key of TRAINED). Raises ConfigError."""
    if train not in TRAINED:
        raise ConfigError(f"train: expected one of {', '.join(TRAINED)}, found '{train}'")
    changed = copy.copy(config)
    changed.frozen = {AS_PRESET: config.frozen, FULL: [*ENCODER], FROZEN_VISION: [*ENCODER, *TOWER], LORA: [*ENCODER, *BACKBONE]}[train]
    return changed


def part_of(name: str) -> str:
    """The part that a parameter belongs to, by its name."""
    if name.startswith(("fusion.", "deepstack_fusions.")):
        return FUSION
    if name.startswith("geometry_encoder."):
        return GEOMETRY
    return VISION if ".visual." in name or ".vision_tower." in name or ".multi_modal_projector." in name else LANGUAGE


def part_sizes(model: nn.Module, *, adapters: int = 0) -> dict[str, PartSizes]:
    """Parameters by part; a tied one counts once."""
    total, trainable = dict.fromkeys(PARTS, 0), dict.fromkeys(PARTS, 0)
    for name, parameter in model.named_parameters():
        total[part_of(name)] += parameter.numel()
        trainable[part_of(name)] += parameter.numel() * parameter.requires_grad
    total[LANGUAGE] += adapters
    trainable[LANGUAGE] += adapters
    return {part: PartSizes(total=total[part], trainable=trainable[part]) for part in PARTS}


def tokens_of(model: "SpatialVLForConditionalGeneration", workload: Workload) -> TokenCounts:
    """Tokens of one sample."""
    encoder = model.geometry_encoder
    prefix = model.fusion.prefix_tokens(workload.views) if model.config.makes_prefix and workload.views else 0
    return count_tokens(model.config, workload, prefix_tokens=prefix, encoder_patch_px=None if encoder is None else encoder.patch_px)


def stages_of(model: "SpatialVLForConditionalGeneration", counts: TokenCounts, workload: Workload) -> list[Stage]:
    """Every stage of a forward, those of an unknown encoder or fusion by their linear layers. See `Stage`."""
    if not workload.views:
        return backbone_stages(model.config, counts, workload, ())
    geometry = geometry_stages(model.geometry_encoder, counts, workload.samples)
    has_tower = model.config.backbone_kind.has_vision
    seen = ("merger", "DeepStack mergers") if has_tower else ()
    fused = fusion_stages(model, counts, workload.samples, sources=(*(() if model.config.makes_prefix else seen), *_last(geometry)))
    return [*geometry, *fused, *backbone_stages(model.config, counts, workload, (*seen, *_last(fused)))]


def training_of(model: nn.Module, stages: Sequence[Stage], *, lora_rank: int = 0) -> Training:
    """Which share of each stage's matrices has a gradient. Raises ModelError for a stage whose parameters the model does not have."""
    matrices = [(name, parameter) for name, parameter in model.named_parameters()]
    shares = {}
    for stage in stages:
        own = [parameter for name, parameter in matrices if name.startswith(stage.weights)]
        if not own:
            raise ModelError(f"stage '{stage.name}': expected parameters named {', '.join(stage.weights)}, found none")
        shares[stage.name] = sum(p.numel() for p in own if p.requires_grad) / sum(p.numel() for p in own)
    adapted = ("language layers",) if lora_rank else ()
    return Training(trained_share=shares, lora_rank=lora_rank, adapted=adapted)


def _last(stages: Sequence[Stage]) -> tuple[str, ...]:
    """Names of the stages that feed no other."""
    feeding = {name for stage in stages for name in stage.sources}
    return tuple(stage.name for stage in stages if stage.name not in feeding)
