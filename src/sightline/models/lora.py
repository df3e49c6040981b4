"""LoRA on the language model, with the new modules trained whole beside it: added, saved, loaded, merged."""

import re
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from sightline.config import config
from sightline.errors import ConfigError, MissingExtraError, ModelError
from sightline.files import read_json, replacing_folder, sha256_of, write_json
from sightline.models.quiet import quiet
from sightline.models.spatial_vl import SpatialVLForConditionalGeneration

if TYPE_CHECKING:
    from peft import PeftModel

# The projections of the language model's blocks; those of a vision tower have the same last names but another way to them.
LANGUAGE_PROJECTIONS = r"backbone\.model\.(language_model\.)?layers\.\d+\.(self_attn\.(q|k|v|o)_proj|mlp\.(gate|up|down)_proj)"
ADAPTER, WEIGHTS, BASE = "adapter_config.json", "adapter_model.safetensors", "base.json"


@config
class LoraOptions:
    """`targets` is a pattern over whole module names. Modules in `also_train` are trained and saved whole, as the new ones always are."""

    rank: int = 16
    alpha: float = 32.0  # the update is scaled by alpha / rank
    dropout: float = 0.0
    targets: str = LANGUAGE_PROJECTIONS
    also_train: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.rank < 1 or self.alpha <= 0 or not 0 <= self.dropout < 1:
            raise ConfigError(
                f"lora: expected rank at least 1, alpha above 0 and dropout in [0, 1), found {self.rank}, {self.alpha} and {self.dropout}"
            )


def new_modules(model: SpatialVLForConditionalGeneration) -> list[str]:
    """Names of the modules that no published weights hold: the fusions that have parameters."""
    named = [("fusion", model.fusion), *((f"deepstack_fusions.{at}", one) for at, one in enumerate(model.deepstack_fusions))]
    return [name for name, module in named if any(True for _ in module.parameters())]


def add_lora(model: SpatialVLForConditionalGeneration, options: LoraOptions, *, seed: int = 0) -> "PeftModel":
    """`model` with LoRA on `targets`; all else is frozen but the new modules. Changes no output until it is trained. Raises ModelError."""
    try:
        from peft import LoraConfig, get_peft_model
    except ImportError as error:
        raise MissingExtraError("peft", "train") from error
    targets = [name for name, module in model.named_modules() if isinstance(module, nn.Linear) and re.fullmatch(options.targets, name)]
    if not targets:
        raise ModelError(
            f"lora: expected targets '{options.targets}' to name linear layers of backbone '{model.config.backbone}', found none"
        )
    whole = [*new_modules(model), *options.also_train]
    frozen = [
        pattern for pattern in model.config.frozen or [] if any(fnmatchcase(f"{name}.lora_A", pattern) for name in [*targets, *whole])
    ]
    if frozen:
        raise ModelError(
            f"lora: expected targets and new modules that may learn, found config.frozen {frozen}. Fix: take these patterns out"
        )
    known = dict(model.named_modules())
    for name in options.also_train:
        if name not in known or any(target == name or target.startswith(f"{name}.") for target in targets):
            reason = "no module of that name" if name not in known else "one that holds LoRA targets"
            raise ModelError(f"lora: also_train: expected a module apart from the targets, found '{name}', {reason}")
    chosen = LoraConfig(
        r=options.rank,
        lora_alpha=options.alpha,
        lora_dropout=options.dropout,
        target_modules=options.targets,
        modules_to_save=whole or None,
        bias="none",
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return get_peft_model(model, chosen)


def save_adapter(model: "PeftModel", folder: Path, *, base: Path) -> None:
    """Write the adapter and the new modules; the folder appears complete or not at all. `base` is the folder of the checkpoint it is for.

    The base's files are named by their hashes: an adapter on other weights would answer nonsense without an error.
    """
    with quiet(), replacing_folder(folder) as beside:
        # The embedding is never a target here; without this, peft would ask the hub whether it changed.
        model.save_pretrained(beside, save_embedding_layers=False)
        write_json(beside / BASE, {"place": str(base.absolute()), "sha256": weight_hashes(base)})


def load_adapter(model: SpatialVLForConditionalGeneration, folder: Path, *, is_trainable: bool = False) -> "PeftModel":
    """A saved adapter on its base. Raises ModelError for a folder without one, or one whose weights do not fit."""
    try:
        from peft import PeftConfig, get_peft_model, get_peft_model_state_dict, set_peft_model_state_dict
    except ImportError as error:
        raise MissingExtraError("peft", "train") from error
    for name in (ADAPTER, WEIGHTS):
        if not (folder / name).is_file():
            raise ModelError(f"{folder}: expected an adapter, found no {name}")
    try:
        chosen, weights = PeftConfig.from_pretrained(str(folder)), load_file(folder / WEIGHTS)
    except (ValueError, TypeError, KeyError, OSError, SafetensorError) as error:
        raise ModelError(f"{folder}: expected an adapter that reads, found {_first_line(error)}") from error
    left_out = [name for name in new_modules(model) if name not in (chosen.modules_to_save or [])]
    if left_out:
        raise ModelError(
            f"{folder}: expected an adapter with the new modules of fusion '{model.config.fusion}', found none of {', '.join(left_out)}"
        )
    chosen.inference_mode = not is_trainable
    try:
        loaded = get_peft_model(model, chosen)
    except ValueError as error:  # no module has the names that it adapts
        raise ModelError(f"{folder}: expected an adapter for backbone '{model.config.backbone}', found {_first_line(error)}") from error
    # Compared here: peft draws what is missing at random, and leaves out what is unknown, with no more than a warning.
    wanted = {name: tuple(weight.shape) for name, weight in get_peft_model_state_dict(loaded, save_embedding_layers=False).items()}
    stored = {name: tuple(weight.shape) for name, weight in weights.items()}
    wrong = sorted(name for name in wanted.keys() | stored.keys() if wanted.get(name) != stored.get(name))
    if wrong:
        shapes = f"{stored.get(wrong[0], 'missing')} for {wanted.get(wrong[0], 'none')}"
        raise ModelError(
            f"{folder}: expected an adapter of {len(wanted)} weights, found {len(wrong)} that do not fit, {wrong[0]} first: {shapes}"
        )
    broken = [name for name, weight in weights.items() if not torch.isfinite(weight).all()]
    if broken:
        raise ModelError(f"{folder}: expected finite weights, found others in {len(broken)}, {broken[0]} first")
    set_peft_model_state_dict(loaded, weights)
    return loaded.train(is_trainable)


def base_of(folder: Path, *, moved_to: Path | None = None) -> Path:
    """The checkpoint that an adapter is for. Raises ModelError where it is gone or has other weights."""
    if not (folder / BASE).is_file():
        raise ModelError(f"{folder}: expected an adapter that Sightline saved, found no {BASE} that names its base")
    written = read_json(folder / BASE)
    base = moved_to or Path(written["place"])
    if not base.is_dir():
        raise ModelError(f"{folder}/{BASE}: expected the adapter's base in {base}, found no such folder. Fix: name where it is now")
    if weight_hashes(base) != written["sha256"]:
        raise ModelError(f"{base}: expected the weights that the adapter in {folder} was trained on, found others")
    return base


def merged(model: "PeftModel") -> SpatialVLForConditionalGeneration:
    """The model with LoRA added into its weights and the trained modules in their places, as a plain checkpoint."""
    plain = model.merge_and_unload(safe_merge=True)
    # Left by peft on what it once wrapped; transformers would then save an adapter instead of the model.
    plain.__dict__.pop("peft_config", None)
    plain.__dict__.pop("_hf_peft_config_loaded", None)
    return plain


def weight_hashes(folder: Path) -> dict[str, str]:
    """SHA-256 of every weight file of a checkpoint, and of its config."""
    return {path.name: sha256_of(path) for path in sorted([*folder.glob("*.safetensors"), folder / "config.json"])}


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0]
