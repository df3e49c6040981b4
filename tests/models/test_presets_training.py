"""For every preset: one step lowers the loss of its batch, and two hundred at most learn a few answers by heart."""

import pytest
import torch
from preset_cases import CASES, REAL, batch_of, logits, model_of, toy

from sightline.models.view_inputs import take_views

STEPS, LEARNING_RATE = 200, 3e-3
LOOK_EVERY = 10  # steps between two looks at whether the answers are known


@pytest.fixture(params=CASES)
def name(request):
    return request.param


def with_geometry(model, inputs):
    """The inputs with what a frozen encoder says of their views, as a feature cache gives it."""
    if model.geometry_encoder is None or not any(True for _ in model.geometry_encoder.parameters()):
        return inputs
    with torch.no_grad():
        geometry = model._geometry(take_views(dict(inputs), has_vision=model.kind.has_vision).views, inputs["input_ids"])
    return inputs | {
        "geometry_features": geometry.features,
        "geometry_camera": geometry.camera,
        "geometry_valid": geometry.is_valid,
        "geometry_grid_hw": geometry.grid_hw,
    }


def optimiser_of(model, learning_rate: float) -> torch.optim.Optimizer:
    return torch.optim.AdamW([parameter for parameter in model.parameters() if parameter.requires_grad], lr=learning_rate, weight_decay=0.0)


def step(model, optimiser, inputs, labels) -> float:
    optimiser.zero_grad()
    total, learned = model.answer_loss(labels, **inputs)
    (total / learned).backward()
    optimiser.step()
    return float(total) / learned


def test_one_step_lowers_the_loss_of_its_batch_and_moves_no_frozen_weight(name):
    model = model_of(name, is_open=False).train()
    batch = batch_of(model, [toy(model.config, 1, 2), toy(model.config, 2, 3)])
    before = {key: parameter.detach().clone() for key, parameter in model.named_parameters()}
    optimiser = optimiser_of(model, 1e-3)
    first = step(model, optimiser, batch.inputs, batch.labels)
    with torch.no_grad():
        total, learned = model.answer_loss(batch.labels, **batch.inputs)
    assert float(total) / learned < first - 1e-3
    for key, parameter in model.named_parameters():
        assert parameter.requires_grad or torch.equal(parameter, before[key])


@pytest.mark.parametrize("name", REAL)
def test_at_most_two_hundred_steps_learn_every_answer_to_the_token(name):
    torch.manual_seed(0)
    model = model_of(name, is_open=False).train()
    # The same question about other views, so that only the views can tell the answers apart.
    question = toy(model.config, 50, 1).question
    samples = [toy(model.config, 50 + index, views) for index, views in enumerate((2, 2, 4))]
    samples = [type(one)(shots=one.shots, question=question, answer=one.answer) for one in samples]
    batch = batch_of(model, samples)
    inputs = with_geometry(model, batch.inputs)
    optimiser = optimiser_of(model, LEARNING_RATE)
    is_learned = batch.labels[:, 1:] != -100
    for taken in range(1, STEPS + 1):
        step(model, optimiser, inputs, batch.labels)
        if taken % LOOK_EVERY == 0:
            said = logits(model, inputs).argmax(dim=-1)[:, :-1]
            if torch.equal(said[is_learned], batch.labels[:, 1:][is_learned]):
                break
    else:
        pytest.fail(f"after {STEPS} steps {int((said[is_learned] != batch.labels[:, 1:][is_learned]).sum())} answer tokens are wrong")
    prompt = batch_of(model.eval(), samples, padding_side="left", with_answer=False)
    found = model.generate(**prompt.inputs, max_new_tokens=len(samples[0].answer) + 1, do_sample=False)
    replies = found[:, prompt.inputs["input_ids"].shape[1] :]
    assert [reply[: len(sample.answer)].tolist() for reply, sample in zip(replies, samples)] == [list(one.answer) for one in samples]
