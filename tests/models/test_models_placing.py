"""For every published design: LoRA, gradient checkpointing, device maps and export do what they say, and change nothing else."""

import pytest
import torch
from toy_models import QUESTION, toy_preset, toy_view
from transformers import AutoModelForImageTextToText

from sightline.models.base_weights import load_base
from sightline.models.checkpoints import Checkpoint, load_checkpoint, save_checkpoint
from sightline.models.export import export_checkpoint, plan
from sightline.models.lora import LoraOptions, add_lora, load_adapter, merged, save_adapter
from sightline.models.sources import Source

NAMES = ("qwen3vl-mlp3d", "spatial-mllm", "vggt-cross", "vggt-perceiver", "internvl")  # each backbone, each kind of fusion
TOLERANCE = 1e-5  # of logits of order one, in float32


@pytest.fixture(scope="module", params=NAMES)
def design(request):
    """A design's tiny sibling, its fusion open, and a batch of two samples with an answer."""
    checkpoint = toy_preset(request.param, gate=0.4)
    samples = [
        checkpoint.processor.encode(QUESTION, [toy_view(10 * row + view) for view in range(2 + row)], answer="1.5", where="toy")
        for row in range(2)
    ]
    return checkpoint, checkpoint.processor.collate(samples, padding_side="right")


@pytest.fixture
def model(design, tmp_path):
    """A copy that a test may change."""
    design[0].model.save_pretrained(tmp_path / "copy", save_original_format=False)
    return type(design[0].model).from_pretrained(tmp_path / "copy")


def logits_of(model, batch):
    with torch.no_grad():
        return model.eval()(**batch.for_generation()).logits


def gradients(model, batch):
    loss, _ = model.train().answer_loss(**batch.for_loss())
    loss.backward()
    return loss.detach(), {name: parameter.grad for name, parameter in model.named_parameters() if parameter.grad is not None}


def test_the_backbone_s_own_published_names_load(design, tmp_path):
    saved = design[0].model
    for place, options in (("published", {}), ("exact", {"save_original_format": False})):
        saved.backbone.save_pretrained(tmp_path / place, **options)
        loaded = load_base(saved.config, backbone=Source(place=str(tmp_path / place)), random_init=True)
        found, wanted = loaded.backbone.state_dict(), saved.backbone.state_dict()
        assert found.keys() == wanted.keys() and all(torch.equal(found[name], wanted[name]) for name in wanted)
        encoder = ["geometry_encoder"] if saved.config.geometry_encoder == "vggt" else []
        assert loaded.config.made_from["fresh"] == [*(["fusion"] if saved.config.fusion != "none" else []), *encoder]


def test_lora_is_added_saved_loaded_and_merged_to_equal_logits(design, model, tmp_path):
    checkpoint, batch = design
    before = logits_of(model, batch)
    save_checkpoint(Checkpoint(model=model, processor=checkpoint.processor), tmp_path / "base")
    lora = add_lora(model, LoraOptions(rank=2, alpha=8.0))
    assert torch.equal(logits_of(lora, batch), before)
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        for parameter in lora.parameters():
            if parameter.requires_grad:
                parameter.add_(0.05 * torch.randn_like(parameter))
    expected = logits_of(lora, batch)
    assert (expected - before).abs().max() > 1e-3
    save_adapter(lora, tmp_path / "adapter", base=tmp_path / "base")
    again = load_adapter(load_checkpoint(tmp_path / "base").model, tmp_path / "adapter")
    assert torch.equal(logits_of(again, batch), expected)
    assert torch.allclose(logits_of(merged(again), batch), expected, atol=TOLERANCE, rtol=0)
    export_checkpoint(plan(tmp_path / "adapter", tmp_path / "out", dtype="fp32"))
    assert torch.allclose(logits_of(load_checkpoint(tmp_path / "out").model, batch), expected, atol=TOLERANCE, rtol=0)


def test_lora_leaves_geometry_encoder_and_vision_tower_as_they_are(design, model):
    _, batch = design
    lora = add_lora(model, LoraOptions(rank=2, alpha=8.0)).train()
    loss, _ = lora.base_model.model.answer_loss(**batch.for_loss())
    loss.backward()
    learned = {name for name, parameter in lora.named_parameters() if parameter.grad is not None}
    assert learned and all("lora_" in name or ".fusion.modules_to_save." in name for name in learned)
    assert not any(module.training for name, module in lora.named_modules() if "geometry_encoder" in name and list(module.parameters()))


def test_gradient_checkpointing_recomputes_and_gives_the_same_gradients(design, model):
    _, batch = design
    model.train()
    loss, wanted = gradients(model, batch)
    model.zero_grad(set_to_none=True)
    model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    on = [name for name, module in model.named_modules() if getattr(module, "gradient_checkpointing", False)]
    assert any("language_model" in name or name.startswith("backbone.model") for name in on)
    layers = [module for module in model.backbone.modules() if type(module).__name__.endswith("DecoderLayer")]
    calls = []
    layers[0].input_layernorm.register_forward_hook(lambda *_: calls.append(1))
    again, found = gradients(model, batch)
    assert len(calls) == 2  # once forward, once more on the way back
    assert torch.allclose(loss, again, atol=1e-5) and found.keys() == wanted.keys()
    assert all(torch.allclose(found[name], wanted[name], atol=1e-5, rtol=1e-4) for name in wanted)
    model.gradient_checkpointing_disable()
    assert not any(getattr(module, "gradient_checkpointing", False) for module in model.modules())


def test_a_device_map_places_every_part_and_changes_no_logit(design, tmp_path):
    checkpoint, batch = design
    checkpoint.model.save_pretrained(tmp_path, save_original_format=False)
    device_map = {name: "cpu" for name, _ in checkpoint.model.named_children()}
    placed = AutoModelForImageTextToText.from_pretrained(tmp_path, device_map=device_map)
    assert torch.equal(logits_of(placed, batch), logits_of(checkpoint.model, batch))


def test_in_bf16_a_step_is_finite_and_stays_bf16(design, tmp_path):
    checkpoint, batch = design
    checkpoint.model.save_pretrained(tmp_path, save_original_format=False)
    half = AutoModelForImageTextToText.from_pretrained(tmp_path, dtype=torch.bfloat16)
    assert {parameter.dtype for parameter in half.parameters()} == {torch.bfloat16}
    loss, found = gradients(half, batch)
    assert torch.isfinite(loss) and found and all(torch.isfinite(one).all() and one.dtype == torch.bfloat16 for one in found.values())
    exact, near = logits_of(checkpoint.model, batch), logits_of(half, batch)
    assert near.dtype == torch.bfloat16 and (near.float() - exact).abs().mean() < 0.1 * exact.abs().mean()
