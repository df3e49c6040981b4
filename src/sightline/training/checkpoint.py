"""Training state on disk: weights, optimiser, random state and position, with a hash of every file; resumed only when whole."""

import logging
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from sightline.errors import ModelError
from sightline.files import read_json, replacing_folder, sha256_of, write_json

log = logging.getLogger("sightline")
MANIFEST = "manifest.json"
WEIGHTS, STATE = "weights.safetensors", "state.pt"


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class TrainingState:
    """Where a run stands after `update` updates. The data position follows from it: batches are numbered."""

    update: int
    weights: dict[str, torch.Tensor]
    optimiser: dict[str, Any]
    torch_rng: torch.Tensor
    seconds: float  # of training so far


def save_state(folder: Path, state: TrainingState, *, made_from: str, keep_last: int) -> Path:
    """Write `folder/step_<update>` whole or not at all, then drop all but the newest `keep_last`."""
    place = folder / f"step_{state.update:06d}"
    with replacing_folder(place) as beside:
        save_file({name: weight.contiguous() for name, weight in state.weights.items()}, beside / WEIGHTS)
        torch.save({"optimiser": state.optimiser, "torch_rng": state.torch_rng}, beside / STATE)
        hashes = {name: sha256_of(beside / name) for name in (WEIGHTS, STATE)}
        write_json(beside / MANIFEST, {"update": state.update, "seconds": state.seconds, "made_from": made_from, "sha256": hashes})
    for old in saved_states(folder)[:-keep_last]:
        shutil.rmtree(old)
    return place


def saved_states(folder: Path) -> list[Path]:
    """Finished state folders, oldest first."""
    if not folder.is_dir():
        return []
    found = [path for path in folder.iterdir() if re.fullmatch(r"step_\d+", path.name) and (path / MANIFEST).is_file()]
    return sorted(found, key=lambda path: int(path.name.removeprefix("step_")))


def newest_state(folder: Path, *, made_from: str) -> TrainingState | None:
    """The newest undamaged state, or None where nothing was saved. A damaged one is named and passed over.

    Raises ModelError when a state belongs to another recipe or data set: going on from it would mix two runs.
    """
    for path in reversed(saved_states(folder)):
        manifest = read_json(path / MANIFEST)
        if manifest["made_from"] != made_from:
            raise ModelError(
                f"{path}: expected a state of this recipe and data ({made_from}), found one of another ({manifest['made_from']}). "
                "Fix: train into a new folder, or without --resume"
            )
        damaged = [name for name, digest in manifest["sha256"].items() if not _is_whole(path / name, digest)]
        if damaged:
            log.warning("%s: %s does not match its hash; going back to the state before", path, ", ".join(damaged))
            continue
        state = torch.load(path / STATE, weights_only=True)
        return TrainingState(
            update=manifest["update"],
            weights=load_file(path / WEIGHTS),
            optimiser=state["optimiser"],
            torch_rng=state["torch_rng"],
            seconds=manifest["seconds"],
        )
    return None


def _is_whole(path: Path, digest: str) -> bool:
    return path.is_file() and sha256_of(path) == digest
