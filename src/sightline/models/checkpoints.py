"""A model and its processor on disk: one folder in the layout of transformers, complete or refused."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import AutoModelForImageTextToText, AutoProcessor, PreTrainedTokenizerBase

from sightline.errors import ModelError
from sightline.files import replacing_folder
from sightline.models.processor import SpatialVLProcessor
from sightline.models.quiet import quiet
from sightline.models.spatial_vl import SpatialVLForConditionalGeneration

NEEDED = ("config.json", "model.safetensors", "processor_config.json", "tokenizer.json")


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Checkpoint:
    """What a model folder holds."""

    model: SpatialVLForConditionalGeneration
    processor: SpatialVLProcessor

    @property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        return self.processor.tokenizer


def save_checkpoint(checkpoint: Checkpoint, folder: Path) -> None:
    """Write model, processor and tokenizer; the folder appears complete or not at all."""
    with quiet(), replacing_folder(folder) as beside:
        # Under our own names; else transformers writes some under those that the backbone's older releases had.
        checkpoint.model.save_pretrained(beside, save_original_format=False)
        checkpoint.processor.save_pretrained(beside)


def find_checkpoint(folder: Path) -> Path:
    """The model folder in `folder`: itself, or the `checkpoint` of a training run. Raises ModelError naming what is missing."""
    for place in (folder, folder / "checkpoint"):
        if (place / "config.json").is_file():
            missing = [name for name in NEEDED if not (place / name).is_file()]
            if missing and not (missing == ["model.safetensors"] and (place / "model.safetensors.index.json").is_file()):
                raise ModelError(f"{place}: expected a whole checkpoint, found none of {', '.join(missing)}")
            return place
    found = "an unfinished training run" if folder.is_dir() else "no such folder"
    raise ModelError(f"{folder}: expected a checkpoint (config.json) or a finished training run, found {found}")


def load_checkpoint(folder: Path, *, device: str = "cpu", dtype: torch.dtype | str = "auto") -> Checkpoint:
    """Model (in evaluation mode) and processor; `dtype` "auto" is the one that was saved.

    Raises ModelError for a missing, incomplete or foreign checkpoint.
    """
    place = find_checkpoint(folder)
    with quiet():
        try:
            # Mismatches are refused below, by name; transformers would refuse them without.
            model, report = AutoModelForImageTextToText.from_pretrained(
                place, dtype=dtype, output_loading_info=True, ignore_mismatched_sizes=True
            )
            processor = AutoProcessor.from_pretrained(place)
        except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
            raise ModelError(f"{place}: expected a checkpoint that loads, found {error}") from error
    if not isinstance(model, SpatialVLForConditionalGeneration) or not isinstance(processor, SpatialVLProcessor):
        raise ModelError(f"{place}: expected a Sightline checkpoint, found a {type(model).__name__} with a {type(processor).__name__}")
    wrong = [*report["missing_keys"], *report["unexpected_keys"], *(key for key, *_ in report["mismatched_keys"])]
    if wrong:
        raise ModelError(
            f"{place}: expected the weights of fusion '{model.config.fusion}', found {len(wrong)} that do not fit, {wrong[0]} first"
        )
    return Checkpoint(model=model.to(torch.device(device)).eval(), processor=processor)


def with_fusion(
    old: SpatialVLForConditionalGeneration, *, fusion: str, fusion_options: Mapping[str, Any], coordinate_frame: str, seed: int
) -> SpatialVLForConditionalGeneration:
    """The same weights with another fusion, fresh from `seed`: what a comparison of fusions starts from.

    A fusion is the identity at first, so whatever is chosen here, the replies are the given model's until it is trained. Raises
    ModelError for a model that carries another, trained fusion, which would be lost.
    """
    if old.config.fusion not in ("none", fusion):
        raise ModelError(f"expected a checkpoint without fusion or with fusion '{fusion}', found one with '{old.config.fusion}'")
    if old.config.fusion == fusion:
        return old
    config = copy.deepcopy(old.config)
    config.fusion, config.fusion_options, config.coordinate_frame = fusion, dict(fusion_options), coordinate_frame
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = SpatialVLForConditionalGeneration(config)
    missing, unexpected = model.load_state_dict(old.state_dict(), strict=False)
    foreign = [name for name in missing if "fusion" not in name] + list(unexpected)
    if foreign:
        raise ModelError(f"expected every weight but the fusion's in the checkpoint, {len(foreign)} do not fit, {foreign[0]} first")
    return model
