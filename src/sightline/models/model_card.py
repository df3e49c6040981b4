"""The model card of an exported checkpoint: what it is made of, under which licences, trained on what. Every number is from the run."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from sightline.models.config import SpatialVLConfig
from sightline.models.preset_notes import VGGT_WEIGHTS, WEIGHTS

UNKNOWN = "not recorded"


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """What the files of a training run say: `recipe.yaml`, `finished.json`, `adapter_config.json`. Empty where there is no file."""

    name: str
    recipe: Mapping[str, Any] = field(default_factory=dict)
    finished: Mapping[str, Any] = field(default_factory=dict)
    lora: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """A part of the model that came with weights of its own."""

    what: str
    weights: str
    revision: str
    licence: str


def model_card(config: SpatialVLConfig, run: Run, *, dtype: torch.dtype, parameters: int) -> str:
    """Markdown with the front matter that the hub reads."""
    parts = parts_of(config)
    restricted = [part for part in parts if _is_restricted(part.licence)]
    lines = [*_front_matter(parts, config), f"# {run.name}", ""]
    lines += [
        f"Answers questions about views of a room: a {config.backbone} language model, geometry encoder `{_encoder(config)}`, fusion "
        f"`{config.fusion}`. {parameters:,} parameters in {str(dtype).removeprefix('torch.')}.",
        "",
    ]
    if restricted:
        names = " and ".join(part.what for part in restricted)
        lines += [f"> **Not for commercial use**: the licence of the {names} weights inside forbids it; see below.", ""]
    lines += [
        "```python",
        "import sightline.models  # registers the classes",
        "from transformers import AutoModelForImageTextToText, AutoProcessor",
    ]
    lines += [
        'model = AutoModelForImageTextToText.from_pretrained("FOLDER")',
        'processor = AutoProcessor.from_pretrained("FOLDER")',
        "```",
        "",
    ]
    lines += ["## Parts", "", "| part | weights | revision | licence |", "|---|---|---|---|"]
    lines += [f"| {part.what} | {part.weights} | {part.revision} | {part.licence} |" for part in parts]
    lines += ["", *_table("Design", _design(config)), *_table("Data", _data(run)), *_table("Training", _training(run))]
    return "\n".join(lines).rstrip() + "\n"


def parts_of(config: SpatialVLConfig) -> list[Part]:
    """Where the weights of each part came from, as the config remembers it."""
    made_from = getattr(config, "made_from", None) or {}
    fresh = made_from.get("fresh") or []
    found = []
    if "published" in made_from:
        published = made_from["published"]
        found.append(Part(what="whole model", weights=published["model"], revision=_revision(published), licence=_see(published)))
    found.append(_part("backbone", made_from.get("backbone"), is_fresh="backbone" in fresh or not made_from))
    if config.has_encoder and config.geometry_encoder not in ("none", "pointmap"):
        found.append(_part("geometry encoder", made_from.get("geometry_encoder"), is_fresh="geometry_encoder" in fresh))
    if config.fusion != "none":
        origin = "the published connector" if "published" in made_from else "new, trained here"
        found.append(
            Part(what="fusion", weights=origin, revision="-", licence="as the parts above" if "published" in made_from else "yours")
        )
    return found


def _part(what: str, record: Mapping[str, Any] | None, *, is_fresh: bool) -> Part:
    if record is None:
        return Part(what=what, weights="new, trained here" if is_fresh else UNKNOWN, revision="-", licence="yours" if is_fresh else UNKNOWN)
    return Part(what=what, weights=_place(record), revision=_revision(record), licence=_licence(record))


def _place(record: Mapping[str, Any]) -> str:
    place = record["place"]
    return place if _is_hub(record) else f"a local folder named `{Path(place).name}`"


def _is_hub(record: Mapping[str, Any]) -> bool:
    place = record["place"]
    return "commit" in record or any(place == weights.hub_id for weights in _known())


def _revision(record: Mapping[str, Any]) -> str:
    return (
        f"`{record['commit']}`" + (f" ({record['revision']})" if record["revision"] != record["commit"] else "")
        if "commit" in record
        else UNKNOWN
    )


def _licence(record: Mapping[str, Any]) -> str:
    for weights in _known():
        if record["place"] == weights.hub_id:
            return weights.licence
    if record.get("name"):
        terms = {True: "commercial use allowed", False: "no commercial use", None: "terms unknown, read them"}
        return f"{record['name']}, {terms[record.get('is_commercial_use_allowed')]}"
    return _see(record)


def _see(record: Mapping[str, Any]) -> str:
    return f"see the card of {record['place']}" if _is_hub(record) else "unknown: see where the folder came from"


def _known() -> list[Any]:
    return [VGGT_WEIGHTS, *(weights for sizes in WEIGHTS.values() for of_size in sizes.values() for weights in of_size)]


def _is_restricted(licence: str) -> bool:
    words = licence.lower()
    return "-nc" in words or "not for commercial" in words or "no commercial" in words


def _front_matter(parts: list[Part], config: SpatialVLConfig) -> list[str]:
    made_from = getattr(config, "made_from", None) or {}
    base = made_from.get("backbone") or {}
    lines = ["---", "library_name: transformers", "pipeline_tag: image-text-to-text", "tags:", "- sightline", "- spatial-reasoning"]
    if base and _is_hub(base):
        lines += [f"base_model: {base['place']}"]
    if any(_is_restricted(part.licence) for part in parts):
        lines += ["license: other", "license_name: non-commercial-parts"]
    return [*lines, "---", ""]


def _encoder(config: SpatialVLConfig) -> str:
    return config.geometry_encoder if config.has_encoder else "none"


def _design(config: SpatialVLConfig) -> dict[str, Any]:
    design = {
        "backbone": config.backbone,
        "geometry encoder": _encoder(config),
        "fusion": config.fusion,
        "fusion options": config.fusion_options or None,
        "DeepStack levels fused": config.fuse_deepstack,
        "coordinate frame": config.coordinate_frame if _encoder(config) == "pointmap" else None,
        "position rule": config.rope_rule,
        "views per temporal step": config.views_per_step,
        "frozen in training": ", ".join(f"`{pattern}`" for pattern in config.frozen or []) or None,
    }
    return {key: value for key, value in design.items() if value is not None}


def _data(run: Run) -> dict[str, Any]:
    data = run.recipe.get("data") or {}
    kept = {"samples": "data set", "scenes": "scene store", "mixture": "mixture"}
    found = {words: f"`{Path(str(data[key])).name}`" for key, words in kept.items() if data.get(key)}
    for key, words in (("split", "split"), ("tasks", "question tasks"), ("per_task", "samples per task"), ("blind", "shown no images")):
        if data.get(key):
            value = data[key]
            found[words] = ", ".join(map(str, value)) if isinstance(value, list | tuple) else value
    if "samples" in run.finished:
        found["samples"] = run.finished["samples"]
    return found


def _training(run: Run) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, words in (("updates", "updates"), ("loss", "loss at the end"), ("seconds", "seconds")):
        if key in run.finished:
            found[words] = run.finished[key]
    for group in ("optimiser", "loop"):
        chosen = run.recipe.get(group) or {}
        found |= {
            f"{group}.{key}": value for key, value in chosen.items() if key not in ("log_every", "save_every", "keep_last", "threads")
        }
    if run.lora:
        found["LoRA, merged"] = f"rank {run.lora.get('r')}, alpha {run.lora.get('lora_alpha')}, dropout {run.lora.get('lora_dropout')}"
        found["trained whole"] = ", ".join(f"`{name}`" for name in run.lora.get("modules_to_save") or []) or "nothing"
    return found


def _table(title: str, rows: Mapping[str, Any]) -> list[str]:
    if not rows:
        return [f"## {title}", "", f"{UNKNOWN.capitalize()} in the run's folder.", ""]
    return [f"## {title}", "", "| | |", "|---|---|", *(f"| {key} | {_cell(value)} |" for key, value in rows.items()), ""]


def _cell(value: Any) -> str:
    return str(value).replace("|", "\\|").replace("\n", " ")
