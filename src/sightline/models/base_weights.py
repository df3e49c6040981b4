"""A model from published weights: the backbone by folder or hub id, the geometry encoder by file; nothing random unless asked.

Weights are safetensors alone, read by transformers straight into our module names. What is missing, unknown or of another shape is an
error that names it. A fusion is new by design: it is drawn from the seed, and listed.
"""

import copy
import dataclasses
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import CONFIG_MAPPING, PreTrainedConfig

from sightline.errors import ModelError
from sightline.files import read_json
from sightline.models.config import SpatialVLConfig
from sightline.models.quiet import quiet
from sightline.models.sources import Source
from sightline.models.spatial_vl import SpatialVLForConditionalGeneration

log = logging.getLogger("sightline")
FRESH = ("fusion", "deepstack_fusions")  # new modules of ours, which no published weights hold
NAMED = 3  # keys that an error names
_QWEN_VL = {
    # Text weights were `model.*` and the vision tower `visual.*` before transformers 4.52.
    r"^model\.(?!language_model\.|visual\.)": "backbone.model.language_model.",
    r"^model\.(?=language_model\.|visual\.)": "backbone.model.",
    r"^visual\.": "backbone.model.visual.",
    r"^lm_head\.": "backbone.lm_head.",
}
KEY_MAPPING: Mapping[str, Mapping[str, str]] = {
    "qwen3_vl": _QWEN_VL,
    "qwen2_5_vl": _QWEN_VL,
    "qwen3": {r"^model\.": "backbone.model.", r"^lm_head\.": "backbone.lm_head."},
    "internvl": {
        r"^language_model\.lm_head\.": "backbone.lm_head.",
        r"^language_model\.model\.": "backbone.model.language_model.",
        r"^vision_tower\.": "backbone.model.vision_tower.",
        r"^multi_modal_projector\.": "backbone.model.multi_modal_projector.",
        r"^model\.": "backbone.model.",
        r"^lm_head\.": "backbone.lm_head.",
    },
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Misfits:
    """Weights that a folder lacks, has too many, or has in another shape, by our names."""

    missing: tuple[str, ...]
    unknown: tuple[str, ...]
    reshaped: tuple[str, ...]  # with both shapes

    def __bool__(self) -> bool:
        return bool(self.missing or self.unknown or self.reshaped)

    def __str__(self) -> str:
        kinds = ((self.missing, "missing"), (self.reshaped, "of another shape"), (self.unknown, "unknown"))
        return "; ".join(f"{len(names)} {kind}, first {', '.join(names[:NAMED])}" for names, kind in kinds if names)


def load_base(
    config: SpatialVLConfig,
    *,
    backbone: Source | None,
    geometry: Path | None = None,
    random_init: bool = False,
    seed: int = 0,
    dtype: torch.dtype | str = "auto",
    device_map: Any = None,
) -> SpatialVLForConditionalGeneration:
    """The model of `config` with published weights in its backbone and geometry encoder, and fresh ones in its fusion.

    The backbone's sizes are those of its own `config.json`. `dtype` "auto" is the one the backbone was saved in. With `random_init`,
    what is missing, or all of a part that no place is given for, is drawn from `seed` instead of being an error. Where everything came
    from stays in `config.made_from`. Raises ModelError.
    """
    config = copy.deepcopy(config)
    config.made_from = {"fresh": [name for name in FRESH if _has_module(config, name)]}
    if backbone is None:
        if not random_init:
            raise ModelError(
                f"backbone '{config.backbone}': expected its weights, found no place for them. Fix: a folder or hub id, or --random-init"
            )
        model = _from_nothing(config, seed=seed, dtype=dtype)
        config.made_from["fresh"].insert(0, "backbone")
    else:
        folder = backbone.folder()
        config.backbone_config = backbone_config(folder, expected=config.backbone)
        config.tie_word_embeddings = bool(config.backbone_config.tie_word_embeddings)
        config.made_from["backbone"] = backbone.record()
        model, misfits = load_mapped(
            folder, config, KEY_MAPPING[config.backbone], part="backbone.", seed=seed, dtype=dtype, device_map=device_map
        )
        if misfits.unknown or (misfits and not random_init):
            raise ModelError(
                f"{folder}: expected every weight of backbone '{config.backbone}' and no other, found {misfits}. "
                "Fix: a whole copy of the model, or --random-init to draw what is missing"
            )
        if misfits:
            config.made_from["fresh"] += [*misfits.missing, *(name.split(" ")[0] for name in misfits.reshaped)]
            log.warning("%s: drawn at random, as asked: %s", folder, misfits)
    _load_geometry(model, geometry, random_init=random_init, made_from=config.made_from)
    model.config.made_from = config.made_from
    log.info("fresh, to be trained: %s", ", ".join(config.made_from["fresh"]) or "nothing")
    return model.eval()


def backbone_config(folder: Path, *, expected: str) -> PreTrainedConfig:
    """The transformers config in `folder`. Raises ModelError where it is none, or of another kind than `expected`."""
    written = read_config(folder)
    found = written.get("model_type")
    if found != expected or found not in CONFIG_MAPPING:
        raise ModelError(f"{folder}/config.json: expected model_type '{expected}', found '{found}'")
    return CONFIG_MAPPING[found].from_dict(written)


def read_config(folder: Path) -> dict[str, Any]:
    """`config.json` as it is. Raises ModelError for a folder without it or without safetensors."""
    if not (folder / "config.json").is_file():
        raise ModelError(f"{folder}: expected a model folder with config.json, found none")
    if not any(folder.glob("*.safetensors")):
        others = sorted(path.name for pattern in ("*.bin", "*.pt", "*.pth") for path in folder.glob(pattern))
        found = f"{', '.join(others[:NAMED])} (formats that can run code when read)" if others else "no weights"
        raise ModelError(f"{folder}: expected *.safetensors, found {found}. Fix: take a revision with safetensors, or convert it")
    written = read_json(folder / "config.json")
    if not isinstance(written, dict):
        raise ModelError(f"{folder}/config.json: expected an object, found {type(written).__name__}")
    return written


def load_mapped(
    folder: Path,
    config: SpatialVLConfig,
    key_mapping: Mapping[str, str],
    *,
    part: str | Sequence[str],
    seed: int,
    dtype: torch.dtype | str,
    device_map: Any,
    unused: tuple[str, ...] = (),
) -> tuple[SpatialVLForConditionalGeneration, Misfits]:
    """The model of `config` from a folder in another layout, and what did not fit of the modules whose names begin with `part`.

    Weights whose names in the folder begin with one of `unused` are left out.
    """
    read_config(folder)
    _without_inner_dtypes(config)
    try:
        with quiet(), torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model, report = SpatialVLForConditionalGeneration.from_pretrained(
                folder,
                config=config,
                key_mapping=dict(key_mapping),
                use_safetensors=True,
                local_files_only=True,
                dtype=dtype,
                device_map=device_map,
                output_loading_info=True,
                ignore_mismatched_sizes=True,  # named below, with the missing ones
            )
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise ModelError(f"{folder}: expected weights that load, found {error}") from error
    # Else transformers would undo the mapping when the model is saved, and write names that nothing of ours reads.
    model.__dict__.pop("_weight_conversions", None)
    parts = (part,) if isinstance(part, str) else tuple(part)
    return model, Misfits(
        missing=tuple(sorted(name for name in report["missing_keys"] if name.startswith(parts))),
        unknown=tuple(sorted(name for name in report["unexpected_keys"] if not name.startswith(unused))),
        reshaped=tuple(
            f"{name} {list(found)} for {list(wanted)}" for name, found, wanted in sorted(report["mismatched_keys"], key=lambda row: row[0])
        ),
    )


def _without_inner_dtypes(config: SpatialVLConfig) -> None:
    """The dtype of the whole model holds: one that a nested config remembers would build that part in another."""
    for nested in (config.backbone_config, *(getattr(config.backbone_config, name, None) for name in config.backbone_config.sub_configs)):
        if nested is not None:
            nested.dtype = None


def _from_nothing(config: SpatialVLConfig, *, seed: int, dtype: torch.dtype | str) -> SpatialVLForConditionalGeneration:
    chosen = (config.dtype or torch.float32) if dtype == "auto" else dtype
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return SpatialVLForConditionalGeneration(config).to(chosen)


def _load_geometry(
    model: SpatialVLForConditionalGeneration, geometry: Path | None, *, random_init: bool, made_from: dict[str, Any]
) -> None:
    encoder = model.geometry_encoder
    has_weights = encoder is not None and any(True for _ in encoder.parameters())
    name = model.config.geometry_encoder
    if not has_weights:
        if geometry is not None:
            raise ModelError(f"{geometry}: expected no weights for geometry encoder '{name}', which has none in this model")
        return
    if geometry is None:
        if not random_init:
            raise ModelError(
                f"geometry encoder '{name}': expected its weights, found no place for them. "
                "Fix: a folder or file of safetensors (for 'vggt': facebook/VGGT-1B), or --random-init"
            )
        made_from["fresh"].append("geometry_encoder")
        return
    if not hasattr(encoder, "load_weights"):
        raise ModelError(f"{geometry}: expected an encoder that loads weights, found '{name}' without `load_weights(path)`")
    licence = encoder.load_weights(geometry)
    made_from["geometry_encoder"] = {"place": str(geometry), **({} if licence is None else dataclasses.asdict(licence))}


def _has_module(config: SpatialVLConfig, name: str) -> bool:
    return config.fusion != "none" and (name == "fusion" or config.fuse_deepstack)
