"""Pixels that travel as uint8 are those of transformers' own image processors, in the order of the vision tower's patches."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from toy_models import seen_view, toy_preset

from sightline.models.model import PRESETS
from sightline.models.packed import pack, share
from sightline.models.processor import SpatialVLProcessor
from sightline.models.tokenizer import train_tokenizer

TOKENIZERS = Path(__file__).parents[3] / "shared" / "data" / "tokenizers"
REAL = [name for name in PRESETS if name not in ("tiny", "smallest")]
# patch side, merge, frames to a patch, mean and std of each channel, as the published preprocessors have them
OPENAI = ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))
PUBLISHED = {"qwen2_5_vl": (14, *OPENAI), "qwen3_vl": (16, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))}


def picture(seed: int, width: int, height: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize("name", list(PUBLISHED))
def test_uint8_patches_become_the_pixels_of_transformers_own_processor_in_its_order(name):
    pytest.importorskip("transformers.models.qwen2_vl.image_processing_pil_qwen2_vl")
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

    patch, mean, std = PUBLISHED[name]
    window = 2 * patch
    sizes = [(4 * window, 3 * window), (2 * window, 5 * window)]
    limits = {"min_pixels": window**2, "max_pixels": 64 * window**2}
    size = {"shortest_edge": window**2, "longest_edge": 64 * window**2}
    theirs = Qwen2VLImageProcessorPil(
        patch_size=patch, merge_size=2, temporal_patch_size=2, image_mean=list(mean), image_std=list(std), size=size
    )
    pictures = [picture(seed, width, height) for seed, (width, height) in enumerate(sizes)]
    expected = theirs(images=[Image.fromarray(one) for one in pictures], return_tensors="pt")
    ours = SpatialVLProcessor(
        tokenizer=train_tokenizer(["How far?"], vocab_size=300),
        backbone=name,
        image_policy="smart",
        patch_size=patch,
        temporal_patch_size=2,
        pixel_mean=mean,
        pixel_std=std,
        geometry_encoder="none",
        geometry_on="none",
        **limits,
    )
    views = [_as_view(one) for one in pictures]
    form = ours.form
    packed = pack([[share([ours.encode("How far?", views, answer="1", where="toy/0")])]], form, as_bytes=True)
    assert packed.inputs.pixel_values.dtype == torch.uint8
    assert torch.equal(packed.inputs.image_grid_thw, expected["image_grid_thw"])
    found = packed.inputs.with_pixels(form.grid).pixel_values
    assert found.shape == expected["pixel_values"].shape
    in_steps = (found - expected["pixel_values"]).abs() * torch.tensor(std).view(1, 3, 1).repeat_interleave(2 * patch**2, 2).view(1, -1)
    assert float(in_steps.max()) < 1e-5 < 1 / 255
    settings = TOKENIZERS / name / "preprocessor_config.json"
    if settings.is_file():  # the numbers above are the published ones
        published = json.loads(settings.read_text())
        assert (published["patch_size"], published["image_mean"], published["image_std"]) == (patch, list(mean), list(std))


def _as_view(rgb: np.ndarray):
    return replace(seen_view(0, width=rgb.shape[1], height=rgb.shape[0], has_geometry=False), rgb=rgb)


@pytest.mark.parametrize("name", REAL)
def test_bytes_normalised_on_the_device_are_the_floats_made_on_the_host_to_the_bit(name):
    by = toy_preset(name).processor
    samples = [
        by.encode("How far?", [seen_view(10 * sample + view, width=64, height=48) for view in range(2 + sample)], answer="1", where="toy")
        for sample in range(3)
    ]
    rows = [[share([samples[0]]), share([samples[2]])], [share([samples[1]])]]
    bytes_, floats = (pack(rows, by.form, as_bytes=as_bytes).inputs for as_bytes in (True, False))
    for pixels in ("pixel_values", "pixel_values_videos"):
        wanted = getattr(floats, pixels)
        if wanted is None:
            assert getattr(bytes_, pixels) is None
            continue
        travelling = getattr(bytes_, pixels)
        assert travelling.dtype == torch.uint8 and 4 * travelling.nbytes <= wanted.nbytes
        assert torch.equal(getattr(bytes_.with_pixels(by.form.grid), pixels), wanted)
    assert torch.equal(floats.with_pixels(by.form.grid).input_ids, floats.input_ids)
