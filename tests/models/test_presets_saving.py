"""For every preset: written and read again it is the same model, in shards and in half precision, under published names."""

import pytest
import torch
from preset_cases import CASES, REAL, batch_of, logits, model_of, toy
from safetensors import safe_open
from transformers import AutoModelForImageTextToText

from sightline.models.spatial_vl import SpatialVLForConditionalGeneration


@pytest.fixture(params=REAL)
def name(request):
    return request.param


@pytest.mark.parametrize("name", CASES)
def test_a_reloaded_model_gives_equal_logits(name, tmp_path):
    model = model_of(name)
    inputs = batch_of(model, [toy(model.config, 1, 2), toy(model.config, 2, 3)]).inputs
    model.save_pretrained(tmp_path, max_shard_size="200KB")
    assert (tmp_path / "model.safetensors.index.json").is_file()
    loaded, report = AutoModelForImageTextToText.from_pretrained(tmp_path, output_loading_info=True)
    assert type(loaded) is SpatialVLForConditionalGeneration and not loaded.training
    assert not report["missing_keys"] and not report["unexpected_keys"] and not report["mismatched_keys"]
    assert torch.equal(logits(loaded, inputs), logits(model, inputs))
    assert loaded.config.to_dict().keys() == model.config.to_dict().keys()
    before, after = model.config.to_dict(), loaded.config.to_dict()
    for field in ("fusion", "fusion_options", "geometry_encoder", "geometry_options", "frozen", "rope_rule", "views_per_step"):
        assert before[field] == after[field]


def test_a_reloaded_half_precision_model_gives_equal_logits(name, tmp_path):
    model_of(name).save_pretrained(tmp_path / "exact")
    model = SpatialVLForConditionalGeneration.from_pretrained(tmp_path / "exact", dtype=torch.bfloat16)
    inputs = batch_of(model, [toy(model.config, 1, 2)]).inputs
    model.save_pretrained(tmp_path / "half")
    loaded = SpatialVLForConditionalGeneration.from_pretrained(tmp_path / "half")
    assert {parameter.dtype for parameter in loaded.parameters()} == {torch.bfloat16}
    assert torch.equal(logits(loaded, inputs), logits(model, inputs))


def test_the_backbone_is_saved_under_the_names_of_its_own_published_checkpoints(name, tmp_path):
    model = model_of(name)
    model.save_pretrained(tmp_path / "whole")
    model.backbone.save_pretrained(tmp_path / "backbone")
    whole, backbone = (keys_of(tmp_path / part) for part in ("whole", "backbone"))
    assert {key.removeprefix("backbone.") for key in whole if key.startswith("backbone.")} == backbone
    others = {key for key in model.state_dict() if not key.startswith("backbone.")}
    assert {key for key in whole if not key.startswith("backbone.")} == others


def keys_of(folder) -> set[str]:
    with safe_open(folder / "model.safetensors", framework="pt") as file:
        return set(file.keys())


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(name):
    first, again, other = (dict(model_of(name, seed=seed).named_parameters()) for seed in (0, 0, 1))
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert any(not torch.equal(first[key], other[key]) for key in first)
