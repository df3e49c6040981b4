"""Published Spatial-MLLM checkpoints answer as their original classes did, number for number; what does not fit is refused by name."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import original_layouts as layouts
import pytest
import torch
from safetensors.torch import load_file, save_file
from toy_models import toy_checkpoint

from sightline.errors import ModelError
from sightline.models.checkpoints import save_checkpoint
from sightline.models.published import LAYOUTS, layout_of, load_published, tensor_shapes
from sightline.models.sources import Source
from sightline.models.spatial_vl import SpatialVLForConditionalGeneration

# Largest difference of a logit; they reach 11, so that this is 2e-6 of them. Measured: 1e-5.
LOGIT_TOLERANCE = 2e-5
CASES = [(version, case["name"]) for version in layouts.VERSIONS for case in layouts.frozen(version)["cases"]]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("published")
    return {version: layouts.write_original(version, root / version) for version in layouts.VERSIONS}


@pytest.fixture(scope="module")
def models(folders):
    return {version: load(folder) for version, folder in folders.items()}


@pytest.fixture
def copied(folders, tmp_path):
    return shutil.copytree(folders["v1_1"], tmp_path / "published")


def load(folder, **options):
    return load_published(Source(place=str(folder)), **options)


def case_of(version, name):
    return next(case for case in layouts.frozen(version)["cases"] if case["name"] == name)


def inputs_of(version, case):
    """As our processor gives them. Version 1.1 showed VGGT every still twice: for it, a still is a video of one step."""
    ids, mask = layouts.rows(case)
    clips = layouts.clips(case)
    is_still = case["media"] == "image"
    shown = [np.repeat(clip, 2, axis=0) for clip in clips] if is_still else clips
    pixels, grids = zip(*(layouts.patches(clip) for clip in shown), strict=True)
    pixels, grids = torch.from_numpy(np.concatenate(pixels)), list(grids)
    if is_still:
        grids = [[1, *grids[0][1:]]] * grids[0][0]
    inputs = {"input_ids": torch.tensor(ids), "attention_mask": torch.tensor(mask)}
    if is_still and version == "v1_0":
        inputs |= {"pixel_values": pixels, "image_grid_thw": torch.tensor(grids)}
    else:
        inputs["input_ids"] = torch.where(inputs["input_ids"] == layouts.IMAGE, layouts.VIDEO, inputs["input_ids"])
        inputs |= {"pixel_values_videos": pixels, "video_grid_thw": torch.tensor(grids)}
        inputs["second_per_grid_ts"] = torch.tensor(case["seconds_per_step"] or [1.0] * len(grids))
    inputs["mm_token_type_ids"] = (inputs["input_ids"] == layouts.IMAGE).long() + 2 * (inputs["input_ids"] == layouts.VIDEO).long()
    return inputs


def logits_of(model, version, case):
    with torch.no_grad():
        return model(**inputs_of(version, case)).logits[:, -case["last_tokens"] :]


def worst(model, version, name):
    case = case_of(version, name)
    return float((logits_of(model, version, case) - torch.tensor(case["logits"])).abs().max())


def change(folder, **changes):
    weights = load_file(folder / "model.safetensors") | changes
    save_file(
        {name: value for name, value in weights.items() if value is not None}, folder / "model.safetensors", metadata={"format": "pt"}
    )


@pytest.mark.parametrize("version, name", CASES)
def test_logits_are_those_of_the_original_class(models, version, name):
    assert worst(models[version], version, name) < LOGIT_TOLERANCE


@pytest.mark.parametrize("version, name", CASES)
def test_generation_goes_on_as_the_original_class_does(models, version, name):
    """Cached steps, with positions that go on where the prompt's ended: the same words, and the same logits at the last of them."""
    case = case_of(version, name)
    inputs = inputs_of(version, case)
    made = models[version].generate(
        **inputs,
        max_new_tokens=len(case["greedy"][0]),
        do_sample=False,
        eos_token_id=None,
        pad_token_id=layouts.PAD,
        return_dict_in_generate=True,
        output_logits=True,
    )
    assert made.sequences[:, -len(case["greedy"][0]) :].tolist() == case["greedy"]
    assert (made.logits[-1] - torch.tensor(case["greedy_logits"])).abs().max() < LOGIT_TOLERANCE


@pytest.mark.parametrize("version, name", CASES)
def test_positions_are_those_of_the_original_class(models, version, name):
    case = case_of(version, name)
    inputs = inputs_of(version, case)
    wanted = {
        key: inputs.get(key) for key in ("image_grid_thw", "video_grid_thw", "second_per_grid_ts", "attention_mask", "mm_token_type_ids")
    }
    positions, _ = models[version].backbone.model.get_rope_index(inputs["input_ids"], **wanted)
    attended = inputs["attention_mask"].bool()
    assert torch.equal(positions[:, attended], torch.tensor(case["position_ids"])[:, attended])


@pytest.mark.parametrize("version", layouts.VERSIONS)
def test_the_positions_of_transformers_5_agree_on_a_short_video_and_not_on_a_long_one(folders, models, version):
    config = models[version].config
    other = SpatialVLForConditionalGeneration(type(config).from_dict({**config.to_dict(), "rope_rule": "transformers_5"})).eval()
    other.load_state_dict(models[version].state_dict())
    assert worst(other, version, "short") < LOGIT_TOLERANCE and worst(other, version, "long") > 0.1


@pytest.mark.parametrize("version, wrong", [("v1_0", "1.1"), ("v1_1", "1.0")])
def test_the_other_version_s_channel_order_would_show(models, monkeypatch, version, wrong):
    model = models[version]
    right = model.fusion.version
    ordered = type(model.fusion)._ordered

    def swapped(fusion, merged):
        monkeypatch.setattr(fusion, "version", wrong)
        found = ordered(fusion, merged)
        monkeypatch.setattr(fusion, "version", right)
        return found

    monkeypatch.setattr(type(model.fusion), "_ordered", swapped)
    assert worst(model, version, "short") > 0.1


@pytest.mark.parametrize("version", layouts.VERSIONS)
def test_every_stored_weight_is_in_the_model_but_those_of_unused_heads(folders, models, version):
    stored, ours = load_file(folders[version] / "model.safetensors"), models[version].state_dict()
    layout = layout_of({name: tuple(weight.shape) for name, weight in stored.items()}, folders[version])
    heads = [name for name in stored if "_head." in name and name.startswith(layout.encoder)]
    used = {name: weight for name, weight in stored.items() if name not in heads}
    assert len(heads) > 50 and len(used) + 1 == len(ours)  # lm_head is tied, and not stored
    assert torch.equal(ours["backbone.lm_head.weight"], stored["model.embed_tokens.weight"])
    for theirs, name in (
        ("model.layers.1.mlp.up_proj.weight", "backbone.model.language_model.layers.1.mlp.up_proj.weight"),
        ("visual.merger.mlp.2.bias", "backbone.model.visual.merger.mlp.2.bias"),
        (f"{layout.encoder}aggregator.global_blocks.1.ls2.gamma", "geometry_encoder.vggt.aggregator.global_blocks.1.ls2.gamma"),
    ):
        assert torch.equal(ours[name], stored[theirs])
    connector = [name for name in stored if name.startswith(layout.connector)]
    assert len(connector) == (5 if version == "v1_1" else 10)
    assert all(torch.equal(ours[f"fusion.{name.removeprefix(layout.connector)}"], stored[name]) for name in connector)


@pytest.mark.parametrize("version", layouts.VERSIONS)
def test_the_config_says_what_it_is_and_nothing_is_left_of_the_published_one(models, version):
    config = models[version].config
    assert (config.backbone, config.geometry_encoder, config.fusion, config.rope_rule) == ("qwen2_5_vl", "vggt", "add", "transformers_4")
    assert config.geometry_options == {
        "img_size": 56,
        "patch_size": 14,
        "embed_dim": 16,
        "depth": 2,
        "num_heads": 2,
        "num_registers": 4,
        "dino_depth": 2,
        "dino_heads": 2,
        "layer": -1,
    }
    assert config.made_from["published"]["model"] == f"Spatial-MLLM {version[1:].replace('_', '.')}" and config.made_from["fresh"] == []
    assert not {"spatial_config", "connector_config"} & config.to_dict()["backbone_config"].keys()
    trained = {name for name, parameter in models[version].named_parameters() if parameter.requires_grad}
    assert trained and not any(name.startswith("geometry_encoder.") for name in trained)


@pytest.mark.parametrize("version", layouts.VERSIONS)
def test_saved_by_us_it_comes_back_with_equal_logits(models, tmp_path, version):
    models[version].save_pretrained(tmp_path, save_original_format=False)
    again, report = SpatialVLForConditionalGeneration.from_pretrained(tmp_path, output_loading_info=True)
    assert not report["missing_keys"] and not report["unexpected_keys"]
    case = case_of(version, "long")
    assert torch.equal(logits_of(again.eval(), version, case), logits_of(models[version], version, case))


def test_bf16_is_bf16_throughout(folders):
    model = load(folders["v1_1"], dtype=torch.bfloat16)
    assert {parameter.dtype for parameter in model.parameters()} == {torch.bfloat16}
    case = case_of("v1_1", "short")
    assert (logits_of(model, "v1_1", case).float() - torch.tensor(case["logits"])).abs().mean() < 0.2  # of 3 on average


@pytest.mark.parametrize(
    "name, ours",
    [
        ("connector.mlp.2.bias", r"fusion\.mlp\.2\.bias"),
        ("spatial_encoder.vggt_model.aggregator.camera_token", r"geometry_encoder\.vggt\.aggregator\.camera_token"),
        ("model.norm.weight", r"backbone\.model\.language_model\.norm\.weight"),
    ],
)
def test_a_missing_weight_is_named(copied, name, ours):
    change(copied, **{name: None})
    with pytest.raises(ModelError, match=rf"expected the weights of Spatial-MLLM 1\.1 and no other, found 1 missing, first {ours}"):
        load(copied)


@pytest.mark.parametrize("name", ["spatial_encoder.vggt_model.other_head.weight", "connector.mlp.4.weight", "adapter.weight"])
def test_only_the_heads_that_are_known_are_left_out(copied, name):
    change(copied, **{name: torch.ones(2)})
    with pytest.raises(ModelError, match=r"found 1 unknown, first .*(other_head|mlp\.4|adapter)\.weight"):
        load(copied)


def test_a_weight_of_another_shape_is_named(copied):
    change(copied, **{"connector.mlp.2.bias": torch.ones(33)})
    with pytest.raises(ModelError, match=r"1 of another shape, first fusion\.mlp\.2\.bias \[33\] for \[32\]"):
        load(copied)


def test_another_model_or_connector_is_refused(copied, tmp_path):
    with pytest.raises(ModelError, match=r"expected the weights of Spatial-MLLM, 'spatial_encoder\.vggt_model\.\*' with"):
        load(layouts.write_backbone(tmp_path / "qwen"))
    written = json.loads((copied / "config.json").read_text())
    written["connector_config"]["connector_type"] = "cross_attn"
    (copied / "config.json").write_text(json.dumps(written))
    with pytest.raises(ModelError, match="connector_type: expected 'mlp_add', the one that was published, found 'cross_attn'"):
        load(copied)


def test_shards_are_read_as_one(folders, tmp_path):
    weights = load_file(folders["v1_0"] / "model.safetensors")
    names = sorted(weights)
    parts = {f"model-{part + 1:05d}-of-00003.safetensors": names[part::3] for part in range(3)}
    for file, some in parts.items():
        save_file({name: weights[name] for name in some}, tmp_path / file, metadata={"format": "pt"})
    places = {name: file for file, some in parts.items() for name in some}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": places}))
    shutil.copy(folders["v1_0"] / "config.json", tmp_path)
    assert worst(load(tmp_path), "v1_0", "batch") < LOGIT_TOLERANCE


def test_shapes_come_from_the_headers_and_a_damaged_file_is_named(copied):
    shapes = tensor_shapes(copied)
    assert shapes == {name: tuple(shape) for name, shape in layouts.frozen("v1_1")["tensors"].items()}
    (copied / "model.safetensors").write_bytes(b"\xff" * 20)
    with pytest.raises(ModelError, match=r"model\.safetensors: expected a whole safetensors file, found one that is cut off"):
        load(copied)
    (copied / "model.safetensors").write_bytes((4).to_bytes(8, "little") + b"nope")
    with pytest.raises(ModelError, match=r"model\.safetensors: expected a safetensors header"):
        load(copied)


def test_the_layouts_name_both_versions():
    assert {layout.version for layout in LAYOUTS} == {"1.0", "1.1"}


def test_the_page_of_checkpoints_loads_both_and_merges_what_it_adapts(folders, tmp_path):
    """The functions of docs/models/checkpoints.md, on folders at hand."""
    page = (Path(__file__).parents[2] / "docs" / "models" / "checkpoints.md").read_text("utf-8")
    shown: dict = {}
    for block in re.findall(r"```python\n(.*?)```", page, re.S):
        exec(compile(block, "checkpoints.md", "exec"), shown)
    assert worst(shown["published"](str(folders["v1_0"])), "v1_0", "short") < LOGIT_TOLERANCE
    base = toy_checkpoint("mlp3d")
    save_checkpoint(base, tmp_path / "base")
    shown["save_adapter"](shown["adapted"](tmp_path / "base"), tmp_path / "adapter", base=tmp_path / "base")
    plain, wanted = shown["plain"](tmp_path / "adapter").state_dict(), base.model.state_dict()
    assert plain.keys() == wanted.keys() and all(torch.allclose(plain[name], wanted[name]) for name in wanted)
