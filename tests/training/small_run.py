"""Eight samples that only the pictures tell apart, and a recipe that learns them in seconds."""

from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import numpy as np
from handmade_facts import CAMERA
from small_store import write_scan

from sightline.questions.question import Mark
from sightline.samples.sample import Sample
from sightline.samples.shards import write_samples
from sightline.training.recipe import DataRecipe, LoopRecipe, ModelRecipe, OptimiserRecipe, TrainRecipe

COUNT = 8
QUESTIONS = ("How far is the red dot from the camera?", "How far away is the wall behind the red dot in the last of these images?")


def small_sample(index: int) -> Sample:
    """Sample `index` shows frame `index`, every second one after frame 0; all ask the same of it in one of two lengths."""
    frame_ids = (f"{index:06d}",) if index % 2 == 0 else ("000000", f"{index:06d}")
    value = round(0.5 + 1.9 * index, 1)  # the last three have a digit more
    return Sample(
        sample_id=f"scan_a/depth/{index:04d}",
        task="depth",
        split="train",
        scan_id="scan_a",
        place_id="place_of_scan_a",
        frame_ids=frame_ids,
        image_paths=tuple(f"scan_a/color/{frame_id}.png" for frame_id in frame_ids),
        marks=(Mark(frame_id=frame_ids[-1], u_px=160.0, v_px=120.0, colour="red"),),
        question=QUESTIONS[index % 2],
        answer_kind="number",
        answer_options={"unit": "m", "decimals": 1},
        answer_text=f"{value:.1f}",
        answer_value=value,
        evidence={},
        template_id="depth.0",
        seed=0,
        generator_version="x",
        source="handmade",
        licence="CC0-1.0",
    )


def write_small_set(root: Path) -> tuple[Path, Path]:
    """The data set and its scene store, whose eight pictures are the corners of the colour cube."""
    with patch("small_store.gradient", _plain_picture):
        write_scan(root, "scan_a", seed=1, cameras=COUNT, picture_seed=0)
    write_samples(root / "set" / "data" / "train-00000.parquet", [small_sample(index) for index in range(COUNT)])
    return root / "set", root / "store"


def _plain_picture(index: int) -> np.ndarray:
    picture = np.empty((CAMERA.height, CAMERA.width, 3), np.uint8)
    picture[:] = [230 if index & bit else 25 for bit in (1, 2, 4)]
    return picture


def small_recipe(samples: Path, scenes: Path, *, data: dict | None = None, model: dict | None = None, **loop: object) -> TrainRecipe:
    """The smallest preset on 64x48 images."""
    options = {"updates": 6, "batch_size": COUNT, "log_every": 2, "save_every": 100, **loop}
    return TrainRecipe(
        data=replace(DataRecipe(samples=str(samples), scenes=str(scenes), image_width=64, image_height=48), **(data or {})),
        model=replace(ModelRecipe(preset="smallest", vocab_size=340, fusion_options={"num_wavelengths": 4}), **(model or {})),
        optimiser=OptimiserRecipe(learning_rate=8e-3, warmup_updates=min(10, options["updates"] // 3), weight_decay=0.01),
        loop=LoopRecipe(**options),
    )
