"""LoRA: only the language model's projections and the new modules learn; adapters save, load and merge to equal logits."""

import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file
from toy_models import toy_checkpoint, toy_samples

from sightline.errors import ConfigError, ModelError
from sightline.models.checkpoints import load_checkpoint, save_checkpoint
from sightline.models.lora import LoraOptions, add_lora, base_of, load_adapter, merged, new_modules, save_adapter

OPTIONS = LoraOptions(rank=2, alpha=8.0)


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lora") / "base"
    save_checkpoint(toy_checkpoint("sin3d", gate=0.3), folder)
    return folder


@pytest.fixture(scope="module")
def batch(base):
    checkpoint = load_checkpoint(base)
    return checkpoint.processor.collate(toy_samples(checkpoint.processor, 3), padding_side="right")


def logits_of(model, batch):
    with torch.no_grad():
        return model.eval()(**batch.for_generation()).logits


def trained(base, batch, *, options=OPTIONS, steps=3):
    """An adapter after a few updates, so that no part of it is at its start."""
    model = add_lora(load_checkpoint(base).model, options, seed=1).train()
    optimiser = torch.optim.SGD([parameter for parameter in model.parameters() if parameter.requires_grad], lr=0.5)
    for _ in range(steps):
        optimiser.zero_grad()
        loss, learned = model.base_model.model.answer_loss(**batch.for_loss())
        (loss / learned).backward()
        optimiser.step()
    return model


@pytest.fixture(scope="module")
def saved(base, batch, tmp_path_factory):
    model, folder = trained(base, batch), tmp_path_factory.mktemp("adapter") / "adapter"
    save_adapter(model, folder, base=base)
    return folder, logits_of(model, batch)


def test_only_language_projections_and_new_modules_learn(base):
    model = add_lora(load_checkpoint(base).model, OPTIONS)
    learning = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    lora, whole = [name for name in learning if "lora_" in name], [name for name in learning if "lora_" not in name]
    assert len(lora) == 2 * 7 * 2 and all(".language_model.layers." in name for name in lora)  # A and B of seven projections, two layers
    assert whole and all(name.startswith("base_model.model.fusion.modules_to_save.default.") for name in whole)


def test_a_fresh_adapter_changes_nothing_and_a_trained_one_does(base, batch, saved):
    before = logits_of(load_checkpoint(base).model, batch)
    assert torch.equal(logits_of(add_lora(load_checkpoint(base).model, OPTIONS), batch), before)
    assert (saved[1] - before).abs().max() > 0.05


def test_every_learning_weight_gets_a_gradient_and_no_other(base, batch):
    model = trained(base, batch, steps=1)  # B is zero at first, and so is the gradient of A
    loss, _ = model.base_model.model.answer_loss(**batch.for_loss())
    model.zero_grad()
    loss.backward()
    for name, parameter in model.named_parameters():
        assert (parameter.grad is not None and bool(parameter.grad.abs().sum() > 0)) == parameter.requires_grad, name


def test_a_saved_adapter_comes_back_to_equal_logits_with_its_new_modules(base, batch, saved):
    folder, expected = saved
    assert torch.equal(logits_of(load_adapter(load_checkpoint(base).model, folder), batch), expected)
    names = list(load_file(folder / "adapter_model.safetensors"))
    assert any(".fusion." in name for name in names) and not any("embed_tokens" in name or "original_module" in name for name in names)


def test_merging_gives_a_plain_checkpoint_with_the_logits_of_the_adapter(base, batch, saved, tmp_path):
    folder, expected = saved
    checkpoint = load_checkpoint(base)
    plain = merged(load_adapter(checkpoint.model, folder))
    assert torch.allclose(logits_of(plain, batch), expected, atol=1e-5, rtol=0)
    assert plain.state_dict().keys() == load_checkpoint(base).model.state_dict().keys()
    save_checkpoint(type(checkpoint)(model=plain, processor=checkpoint.processor), tmp_path / "merged")
    assert torch.equal(logits_of(load_checkpoint(tmp_path / "merged").model, batch), logits_of(plain, batch))


def test_an_adapter_knows_its_base_and_refuses_another(base, saved, tmp_path):
    folder, _ = saved
    assert base_of(folder) == base.absolute()
    copied, other = shutil.copytree(folder, tmp_path / "adapter"), shutil.copytree(base, tmp_path / "base")
    text = (copied / "base.json").read_text().replace(str(base.absolute()), str(other))
    (copied / "base.json").write_text(text)
    assert base_of(copied) == other
    weights = load_file(other / "model.safetensors")
    weights["fusion.gate"] += 1e-3
    save_file(weights, other / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match="expected the weights that the adapter in .* was trained on, found others"):
        base_of(copied)
    shutil.rmtree(other)
    with pytest.raises(ModelError, match="found no such folder. Fix: name where it is now"):
        base_of(copied)


@pytest.mark.parametrize("pattern", ["lora_A", "lora_B", "fusion"])
def test_an_adapter_that_lacks_a_weight_or_has_one_of_another_shape_is_refused(base, saved, tmp_path, pattern):
    copied = shutil.copytree(saved[0], tmp_path / "adapter")
    weights = load_file(copied / "adapter_model.safetensors")
    name = next(name for name in weights if pattern in name)
    save_file(weights | {name: torch.ones(3, 5)}, copied / "adapter_model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"found 1 that do not fit, .* first: \(3, 5\) for \(\d+(, \d+)?,?\)"):
        load_adapter(load_checkpoint(base).model, copied)
    save_file({other: value for other, value in weights.items() if other != name}, copied / "adapter_model.safetensors")
    with pytest.raises(ModelError, match=r"found 1 that do not fit, .* first: missing for"):
        load_adapter(load_checkpoint(base).model, copied)


def test_an_adapter_for_another_fusion_or_no_adapter_is_refused(saved, tmp_path):
    with pytest.raises(ModelError, match=r"found \d+ that do not fit, base_model\.model\.fusion\."):
        load_adapter(toy_checkpoint("mlp3d").model, saved[0])
    with pytest.raises(ModelError, match="expected an adapter for backbone 'qwen3_vl'|do not fit"):
        load_adapter(toy_checkpoint("none").model, saved[0])
    with pytest.raises(ModelError, match="expected an adapter, found no adapter_config.json"):
        load_adapter(toy_checkpoint("none").model, tmp_path)


def test_the_adapter_is_drawn_from_its_seed_alone(base):
    def drawn(seed):
        return {
            name: value
            for name, value in add_lora(load_checkpoint(base).model, OPTIONS, seed=seed).state_dict().items()
            if "lora_A" in name
        }

    first, again, other = drawn(1), drawn(1), drawn(2)
    assert all(torch.equal(first[name], again[name]) for name in first) and not torch.equal(
        *(next(iter(one.values())) for one in (first, other))
    )


def test_options_that_cannot_be_meant_are_refused(base):
    with pytest.raises(ConfigError, match="expected rank at least 1"):
        LoraOptions(rank=0)
    model = load_checkpoint(base).model
    with pytest.raises(ModelError, match="to name linear layers of backbone 'qwen3_vl', found none"):
        add_lora(model, LoraOptions(targets="no_such_layer"))
    with pytest.raises(ModelError, match="also_train: .* found 'nothing', no module of that name"):
        add_lora(model, LoraOptions(also_train=("nothing",)))
    with pytest.raises(ModelError, match="found 'backbone.model.language_model', one that holds LoRA targets"):
        add_lora(model, LoraOptions(also_train=("backbone.model.language_model",)))
    model.config.frozen = ["backbone.*"]
    with pytest.raises(ModelError, match=r"found config\.frozen \['backbone\.\*'\]"):
        add_lora(model, OPTIONS)


def test_the_merger_of_the_vision_tower_can_be_trained_along(base):
    model = add_lora(load_checkpoint(base).model, LoraOptions(rank=2, also_train=("backbone.model.visual.merger",)))
    learning = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert any("visual.merger.modules_to_save.default" in name for name in learning)


def test_a_model_without_fusion_has_no_new_modules():
    assert new_modules(toy_checkpoint("none").model) == [] and new_modules(toy_checkpoint("mlp3d").model) == ["fusion"]
