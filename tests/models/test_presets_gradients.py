"""For every preset: what learns and what stays. Finite gradients to every trained tensor; none to a frozen one, which sleeps on."""

from fnmatch import fnmatchcase

import pytest
import torch
from preset_cases import CASES, REAL, VARIANTS, batch_of, logits, model_of, opened, toy

from sightline.models.model import PRESETS
from sightline.models.spatial_vl import SpatialVLForConditionalGeneration

# Softmax does not change when every score gets the same number, which is all that a key's bias does where nothing turns the keys.
NO_GRADIENT_BY_ARITHMETIC = ("backbone.model.vision_tower.*.k_proj.bias",)
QWEN3_VL_ALONE = "backbone.model.visual.pos_embed.*"  # in the patterns that both Qwen towers share


@pytest.fixture(params=CASES)
def name(request):
    return request.param


def loss_of(model, batch):
    total, learned = model.answer_loss(batch.labels, **batch.inputs)
    return total / learned


def learned_batch(model):
    return batch_of(model, [toy(model.config, 1, 2), toy(model.config, 2, 3)])


def is_frozen(model, parameter: str) -> bool:
    return any(fnmatchcase(parameter, pattern) for pattern in model.config.frozen or [])


def gradients(model) -> dict[str, torch.Tensor | None]:
    model.zero_grad()
    loss_of(model, learned_batch(model)).backward()
    return {name: parameter.grad for name, parameter in model.named_parameters()}


def expect_frozen_parts_asleep(model) -> None:
    """Frozen parameters have no gradient to come, and no module that holds nothing else is in training mode."""
    frozen = {name for name, _ in model.named_parameters() if is_frozen(model, name)}
    assert all(parameter.requires_grad == (name not in frozen) for name, parameter in model.named_parameters())
    for name, module in model.named_modules():
        inside = [f"{name}.{inner}".lstrip(".") for inner, _ in module.named_parameters()]
        if inside:
            assert module.training == (not set(inside) <= frozen), name


def test_every_trained_tensor_gets_a_finite_gradient_and_no_frozen_one_any(name):
    model = model_of(name).train()
    scale = 0.0
    found = gradients(model)
    for grad in found.values():
        scale = max(scale, 0.0 if grad is None else float(grad.abs().max()))
    assert scale > 0
    for parameter, grad in found.items():
        if is_frozen(model, parameter):
            assert grad is None, parameter
        else:
            assert grad is not None and grad.isfinite().all(), parameter
            arithmetic = any(fnmatchcase(parameter, pattern) for pattern in NO_GRADIENT_BY_ARITHMETIC)
            size = float(grad.abs().max())
            assert size < 1e-6 * scale if arithmetic else size > 1e-6 * scale, f"{parameter}: {size} of {scale}"


def test_a_frozen_part_of_the_published_preset_is_frozen_in_its_tiny_sibling_by_the_same_patterns(name):
    preset = VARIANTS.get(name, (name,))[0]
    model = model_of(name)
    assert list(model.config.frozen or []) == list(PRESETS[preset]().frozen or [])
    for pattern in set(model.config.frozen or []) - {QWEN3_VL_ALONE}:
        assert any(fnmatchcase(parameter, pattern) for parameter, _ in model.named_parameters()), f"{pattern} freezes nothing"


def test_training_leaves_frozen_parts_in_evaluation_mode(name, tmp_path):
    model = model_of(name)
    expect_frozen_parts_asleep(model.train())
    expect_frozen_parts_asleep(model.eval().train())
    model.gradient_checkpointing_enable()  # the name of transformers 5.17 too
    expect_frozen_parts_asleep(model.train())
    model.enable_input_require_grads()
    expect_frozen_parts_asleep(model.train())
    model.save_pretrained(tmp_path)
    loaded = SpatialVLForConditionalGeneration.from_pretrained(tmp_path)
    assert not loaded.training
    expect_frozen_parts_asleep(loaded.train())


@pytest.mark.parametrize("name", REAL)
def test_a_loaded_model_is_frozen_before_anyone_calls_train(name, tmp_path):
    model = model_of(name)
    model.save_pretrained(tmp_path)
    loaded = SpatialVLForConditionalGeneration.from_pretrained(tmp_path)
    assert all(parameter.requires_grad != is_frozen(loaded, name) for name, parameter in loaded.named_parameters())


@pytest.mark.parametrize("use_reentrant", [False, True])
@pytest.mark.parametrize("name", REAL)
def test_gradient_checkpointing_gives_the_same_gradients(name, use_reentrant):
    model = model_of(name).train()
    plain = {key: None if grad is None else grad.clone() for key, grad in gradients(model).items()}
    model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": use_reentrant})
    assert model.is_gradient_checkpointing
    if use_reentrant:  # a reentrant checkpoint passes no gradient on where its input wants none
        model.enable_input_require_grads()
    again = gradients(model)
    for key, grad in plain.items():
        assert (grad is None) == (again[key] is None), key
        if grad is not None:
            torch.testing.assert_close(again[key], grad, rtol=1e-4, atol=1e-7)


def test_bf16_is_finite_forward_and_backward_and_close_to_float32(name, tmp_path):
    model_of(name).save_pretrained(tmp_path)
    model = SpatialVLForConditionalGeneration.from_pretrained(tmp_path, dtype=torch.bfloat16).train()
    batch = learned_batch(model)
    assert logits(model, batch.inputs).dtype == torch.bfloat16
    assert logits(model, batch.inputs).isfinite().all()
    assert all(grad is None or grad.isfinite().all() for grad in gradients(model).values())
    exact = logits(model_of(name), batch.inputs)
    assert (logits(model.eval(), batch.inputs).float() - exact).abs().max() < 0.05 * exact.abs().max()


def test_a_closed_gate_learns_from_the_first_step(name):
    model = model_of(name, is_open=False).train()
    gates = [fusion.gate for fusion in (model.fusion, *model.deepstack_fusions) if getattr(fusion, "gate", None) is not None]
    if not gates:
        pytest.skip("the fusion has no gate")
    assert model.gate_size() == 0.0
    gradients(model)
    assert all((gate.grad != 0).any() for gate in gates)
    assert opened(model).gate_size() > 0
