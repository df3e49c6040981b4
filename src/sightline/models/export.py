"""A trained run as one folder that others load: adapter merged, weights in shards with an index, processor, model card."""

import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml
from transformers import PreTrainedConfig

from sightline.config import read_yaml
from sightline.errors import ConfigError, ModelError
from sightline.files import read_json, replacing_folder, write_text
from sightline.models.checkpoints import Checkpoint, find_checkpoint, load_checkpoint
from sightline.models.lora import ADAPTER, base_of, load_adapter, merged
from sightline.models.model_card import Run, model_card
from sightline.models.published import tensor_shapes
from sightline.models.quiet import quiet

DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}
INDEX = "model.safetensors.index.json"
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]B)", re.IGNORECASE)
_UNITS = {"KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What an export would read and write."""

    checkpoint: Path
    adapter: Path | None
    out: Path
    dtype: torch.dtype
    max_shard_bytes: int
    parameters: int
    run: Run

    @property
    def size_bytes(self) -> int:
        return self.parameters * self.dtype.itemsize

    @property
    def shards(self) -> int:
        """At the least: a shard holds whole tensors."""
        return max(1, math.ceil(self.size_bytes / self.max_shard_bytes))

    @property
    def words(self) -> str:
        adapter = f" with the adapter {self.adapter} merged" if self.adapter else ""
        return (
            f"{self.checkpoint}{adapter}: {self.parameters:,} parameters in {str(self.dtype).removeprefix('torch.')}, "
            f"{self.size_bytes / 1e9:.3g} GB, {self.shards} shard{'s' * (self.shards > 1)} or more"
        )


def plan(run: Path, out: Path, *, max_shard_size: str = "5GB", dtype: str = "bf16", base: Path | None = None) -> Plan:
    """Look at everything and write nothing. Raises ConfigError and ModelError for what would fail later.

    `run` is a training run, a checkpoint or an adapter; `base` is where the adapter's base is now, if it was moved.
    """
    if dtype not in DTYPES:
        raise ConfigError(f"--dtype: expected one of {', '.join(DTYPES)}, found '{dtype}'")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ConfigError(f"{out}: expected a new or empty folder, found one with files. Fix: another folder, or remove it first")
    adapter = find_adapter(run)
    if base is not None and adapter is None:
        raise ConfigError(f"--base: expected an adapter in {run}, found a whole checkpoint")
    checkpoint = find_checkpoint(run if adapter is None else base_of(adapter, moved_to=base))
    return Plan(
        checkpoint=checkpoint,
        adapter=adapter,
        out=out,
        dtype=DTYPES[dtype],
        max_shard_bytes=shard_bytes(max_shard_size),
        parameters=sum(math.prod(shape) for shape in tensor_shapes(checkpoint).values()),
        run=read_run(run, checkpoint),
    )


def export_checkpoint(planned: Plan) -> list[str]:
    """Write the folder, complete or not at all; returns its file names. Raises ModelError."""
    # A merge is a sum of products: in float32, and rounded once.
    checkpoint = load_checkpoint(planned.checkpoint, dtype=torch.float32 if planned.adapter else planned.dtype)
    model = checkpoint.model
    if planned.adapter is not None:
        model = merged(load_adapter(model, planned.adapter))
    model = model.to(planned.dtype)
    _forget_places(model.config)
    with quiet(), replacing_folder(planned.out) as beside:
        model.save_pretrained(beside, max_shard_size=planned.max_shard_bytes, save_original_format=False)
        checkpoint.processor.save_pretrained(beside)
        _expect_whole(beside, Checkpoint(model=model, processor=checkpoint.processor))
        if planned.run.recipe:
            write_text(beside / "recipe.yaml", yaml.safe_dump(_named(planned.run.recipe), sort_keys=False))
        write_text(beside / "README.md", model_card(model.config, planned.run, dtype=planned.dtype, parameters=_count(model)))
        return sorted(path.name for path in beside.iterdir())


def find_adapter(run: Path) -> Path | None:
    """The adapter of a run: in its folder, in `checkpoint/` or in `adapter/`. None where the run has whole checkpoints."""
    places = [place for place in (run, run / "checkpoint", run / "adapter") if (place / ADAPTER).is_file()]
    return places[0] if places else None


def read_run(run: Path, checkpoint: Path) -> Run:
    """What the files of a run tell of its training: nothing where they tell nothing."""
    places = [run, run / "checkpoint", checkpoint]
    recipe = next((read_yaml(place / "recipe.yaml") for place in places if (place / "recipe.yaml").is_file()), {})
    finished = read_json(run / "finished.json") if (run / "finished.json").is_file() else {}
    adapter = find_adapter(run)
    lora = read_json(adapter / ADAPTER) if adapter else {}
    return Run(name=run.absolute().name, recipe=recipe, finished=finished, lora=lora)


def shard_bytes(words: str) -> int:
    """`5GB` in bytes (10^9). Raises ConfigError."""
    found = _SIZE.fullmatch(words.strip())
    if not found or float(found[1]) <= 0:
        raise ConfigError(f"--max-shard-size: expected a size such as 5GB or 500MB, found '{words}'")
    return int(float(found[1]) * _UNITS[found[2].upper()])


def _expect_whole(folder: Path, checkpoint: Checkpoint) -> None:
    """Every weight is in a file, under its own name and shape, and the index says where. Raises ModelError."""
    written = tensor_shapes(folder)
    wanted = {name: tuple(weight.shape) for name, weight in checkpoint.model.state_dict().items()}
    tied = set(wanted) - set(written) & set(wanted)
    pointers = {weight.data_ptr() for name, weight in checkpoint.model.state_dict().items() if name in written}
    lost = [name for name in tied if checkpoint.model.state_dict()[name].data_ptr() not in pointers]
    wrong = [*lost, *(name for name, shape in written.items() if wanted.get(name) != shape)]
    if (folder / INDEX).is_file():
        places = json.loads((folder / INDEX).read_text(encoding="utf-8"))["weight_map"]
        wrong += sorted(set(places) ^ set(written))
    if wrong:
        raise ModelError(f"{folder}: expected every weight written, found {len(wrong)} that are not, {wrong[0]} first")


def _forget_places(config: PreTrainedConfig) -> None:
    """Folders of this machine mean nothing elsewhere: their last names stay."""
    for nested in (config, config.backbone_config, *(getattr(config.backbone_config, name) for name in config.backbone_config.sub_configs)):
        nested.name_or_path = ""
    made_from = getattr(config, "made_from", None)
    if made_from:
        config.made_from = _named(made_from)


def _named(value: Any) -> Any:
    """The same values with absolute paths cut to their last name."""
    if isinstance(value, dict):
        return {key: _named(inner) for key, inner in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_named(inner) for inner in value]
    return Path(value).name if isinstance(value, str) and Path(value).is_absolute() else value


def _count(model: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())
