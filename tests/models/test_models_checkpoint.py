"""Checkpoints on disk: they load by path alone, are complete or refused, and take another fusion without losing a weight."""

import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file
from toy_models import OPTIONS, QUESTION, toy_checkpoint, toy_samples, toy_view
from transformers import AutoModelForImageTextToText, AutoProcessor

import sightline.models as models
from sightline.errors import ModelError
from sightline.inference.generate import Answerer
from sightline.models.checkpoints import NEEDED, Checkpoint, find_checkpoint, load_checkpoint, save_checkpoint, with_fusion


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("saved") / "model"
    save_checkpoint(toy_checkpoint("sin3d", gate=0.4, max_tokens=300, min_valid_fraction=0.5), folder)
    return folder


@pytest.fixture
def copied(saved, tmp_path):
    return shutil.copytree(saved, tmp_path / "model")


def logits_of(checkpoint: Checkpoint) -> torch.Tensor:
    batch = checkpoint.processor.collate(toy_samples(checkpoint.processor, 2), padding_side="right")
    with torch.no_grad():
        return checkpoint.model(**batch.for_generation()).logits


def test_the_auto_classes_load_it_by_path_alone(saved):
    model, processor = AutoModelForImageTextToText.from_pretrained(saved), AutoProcessor.from_pretrained(saved)
    assert type(model) is models.SpatialVLForConditionalGeneration and type(processor) is models.SpatialVLProcessor
    before = toy_checkpoint("sin3d", gate=0.4)
    assert torch.equal(logits_of(Checkpoint(model=model.eval(), processor=processor)), logits_of(before))
    assert (processor.image_width, processor.max_tokens, processor.min_valid_fraction) == (64, 300, 0.5)
    assert (model.config.fusion, model.config.fusion_options, model.config.coordinate_frame) == ("sin3d", OPTIONS["sin3d"], "first_camera")


def test_every_weight_comes_back(saved):
    before, after = toy_checkpoint("sin3d", gate=0.4).model.state_dict(), load_checkpoint(saved).model.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)


@pytest.mark.parametrize("name", [name for name in NEEDED if name != "config.json"])
def test_a_missing_file_is_named(copied, name):
    (copied / name).unlink()
    with pytest.raises(ModelError, match=rf"{copied}: expected a whole checkpoint, found none of {name}"):
        load_checkpoint(copied)


def test_a_folder_that_is_no_checkpoint_says_what_it_is(tmp_path):
    with pytest.raises(ModelError, match="found no such folder"):
        load_checkpoint(tmp_path / "nowhere")
    with pytest.raises(ModelError, match="found an unfinished training run"):
        load_checkpoint(tmp_path)


def test_the_folder_of_a_training_run_stands_for_its_checkpoint(saved, tmp_path):
    shutil.copytree(saved, tmp_path / "run" / "checkpoint")
    assert find_checkpoint(tmp_path / "run") == tmp_path / "run" / "checkpoint"


@pytest.mark.parametrize("name", ["fusion.gate", "backbone.model.language_model.norm.weight"])
def test_a_checkpoint_without_one_of_its_weights_is_refused(copied, name):
    weights = load_file(copied / "model.safetensors")
    weights.pop(name)
    save_file(weights, copied / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match=f"found 1 that do not fit, {name} first"):
        load_checkpoint(copied)


def test_a_checkpoint_with_a_weight_of_another_shape_or_a_strange_one_is_refused(copied):
    weights = load_file(copied / "model.safetensors")
    save_file({**weights, "model.extra": torch.zeros(2)}, copied / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match="model.extra"):
        load_checkpoint(copied)
    save_file({**weights, "fusion.gate": torch.zeros(7)}, copied / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match="fusion.gate"):
        load_checkpoint(copied)


def test_a_cut_off_weight_file_is_refused(copied):
    whole = (copied / "model.safetensors").read_bytes()
    (copied / "model.safetensors").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ModelError, match=str(copied)):
        load_checkpoint(copied)


@pytest.mark.parametrize("fusion", ["sin3d", "mlp3d"])
def test_another_fusion_keeps_every_weight_and_every_reply(fusion):
    base = toy_checkpoint("none", seed=3)
    model = with_fusion(base.model, fusion=fusion, fusion_options=OPTIONS[fusion], coordinate_frame="world", seed=5).eval()
    old, new = base.model.state_dict(), model.state_dict()
    assert all(torch.equal(new[name], weight) for name, weight in old.items()) and len(new) > len(old)
    assert (model.config.fusion, model.config.coordinate_frame, base.model.config.fusion) == (fusion, "world", "none")
    fused = Checkpoint(model=model, processor=base.processor)
    assert torch.equal(logits_of(fused), logits_of(base))
    views = [toy_view(0), toy_view(1)]
    assert Answerer(fused).ask(QUESTION, views).text == Answerer(base).ask(QUESTION, views).text


def test_the_same_seed_gives_the_same_fusion_and_leaves_the_random_state_alone():
    base = toy_checkpoint("none").model
    torch.manual_seed(9)
    untouched = torch.rand(3)
    torch.manual_seed(9)
    chosen = {"fusion": "mlp3d", "fusion_options": {"width": 16}, "coordinate_frame": "world"}
    first, again, other = (with_fusion(base, seed=seed, **chosen).fusion.layers[0].weight for seed in (1, 1, 2))
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert torch.equal(torch.rand(3), untouched)


def test_a_trained_fusion_is_not_thrown_away():
    with pytest.raises(ModelError, match="without fusion or with fusion 'mlp3d', found one with 'sin3d'"):
        with_fusion(toy_checkpoint("sin3d").model, fusion="mlp3d", fusion_options={}, coordinate_frame="world", seed=0)
