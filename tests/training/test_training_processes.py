"""Two processes that share the steps of a mixture train the model that one process trains."""

import os
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from small_run import COUNT, small_sample, write_small_set

from sightline.config import save
from sightline.files import read_jsonl
from sightline.mixtures.mixture import MixtureRecipe, SourceRecipe
from sightline.samples.conversation import Turn, conversation_of
from sightline.samples.conversation_files import write_conversations
from sightline.training.recipe import DataRecipe, LoopRecipe, ModelRecipe, OptimiserRecipe, TrainRecipe
from sightline.training.trainer import train

PROCESS = "from sightline.cli import main; main()"


def recipe_of(root: Path) -> TrainRecipe:
    """Five sets in steps of two: in the last step one process has none."""
    write_small_set(root)
    rows = [conversation_of(small_sample(index), source="made") for index in range(0, COUNT, 2)]
    rows += [replace(rows[0], sample_id="other", turns=(Turn(question="Is the dot red?", answer="yes, it is"),))]
    rows += [replace(conversation_of(small_sample(1), source="made"), sample_id="last")]
    write_conversations(root / "made", rows)
    return TrainRecipe(
        mixture=MixtureRecipe(
            sources=(SourceRecipe(data=str(root / "made"), scenes=str(root / "store")),), sets_per_step=2, questions_per_set=2, passes=1
        ),
        data=DataRecipe(image_width=64, image_height=48),
        model=ModelRecipe(preset="smallest", vocab_size=340, fusion_options={"num_wavelengths": 4}),
        optimiser=OptimiserRecipe(warmup_updates=1),
        loop=LoopRecipe(log_every=1, save_every=2),
    )


@pytest.mark.slow
def test_two_processes_end_with_the_weights_and_the_curve_of_one(tmp_path):
    recipe = recipe_of(tmp_path)
    train(recipe, tmp_path / "one")
    save(recipe, tmp_path / "recipe.yaml")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    shared = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1"}
    arguments = [sys.executable, "-c", PROCESS, "train", str(tmp_path / "recipe.yaml"), "--out", str(tmp_path / "two")]
    ranks = [{**os.environ, **shared, "RANK": str(rank), "LOCAL_RANK": str(rank)} for rank in range(2)]
    processes = [subprocess.Popen(arguments, env=env, stderr=subprocess.PIPE, text=True) for env in ranks]
    said = [process.communicate(timeout=240)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], said
    ours, theirs = (load_file(tmp_path / run / "checkpoint" / "model.safetensors") for run in ("two", "one"))
    assert ours.keys() == theirs.keys()
    for name, weight in theirs.items():
        torch.testing.assert_close(ours[name], weight, rtol=1e-3, atol=1e-4)
    curves = [[(row["update"], round(row["loss"], 3)) for row in read_jsonl(tmp_path / run / "metrics.jsonl")] for run in ("two", "one")]
    assert curves[0] == curves[1] and len(curves[0]) == 3
