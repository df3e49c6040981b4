"""For every preset: what an answer token sees: all visual and geometry tokens of its sample, no later text, nothing of others."""

import pytest
import torch
from preset_cases import CASES, Batch, batch_of, logits, model_of, toy

from sightline.models.backbones.hand_over import handed_over
from sightline.models.model import IGNORED
from sightline.models.view_inputs import take_views

WITHOUT_CAMERA_TOKENS = ("add",)  # as published: Spatial-MLLM adds patch tokens alone
GEOMETRY = {"coordinates_m": "geometry_coordinates", "features": "geometry_features", "camera": "geometry_camera"}


@pytest.fixture(params=CASES)
def name(request):
    return request.param


def pair(model) -> Batch:
    """A sample of two views and one of three (four where a video needs them), with answers."""
    return batch_of(model, [toy(model.config, 1, 2), toy(model.config, 2, 3)])


def answer_gradients(given: list[torch.Tensor], outputs: torch.Tensor, batch: Batch) -> list[list[torch.Tensor]]:
    """For each row, for each of its answer tokens, the size of the gradient to every token of each tensor of `given`."""
    sizes = []
    for row, at in enumerate(batch.answer_at):
        chosen = [outputs[row, position - 1, batch.inputs["input_ids"][row, position]] for position in at]
        found = [torch.autograd.grad(logit, given, retain_graph=True, allow_unused=True) for logit in chosen]
        sizes.append([[torch.zeros(len(x)) if g is None else g.abs().amax(dim=-1) for x, g in zip(given, grads)] for grads in found])
    return sizes


def test_each_answer_token_sees_every_visual_and_prefix_token_of_its_sample_and_no_other(name):
    model = model_of(name)
    batch = pair(model)
    passed = model.encoded(batch.inputs["input_ids"], batch.inputs["attention_mask"], batch.but(input_ids=None, attention_mask=None))
    if model.config.makes_prefix:
        places = batch.prefix_at
        rows = torch.tensor([row for row, at in enumerate(places) for _ in at])
        columns = torch.tensor([position for at in places for position in at])
        leaves = [passed["inputs_embeds"][rows, columns].detach().requires_grad_()]
        passed["inputs_embeds"] = passed["inputs_embeds"].detach().index_put((rows, columns), leaves[0])
    else:
        places = batch.visual_at
        (kind, features), *_ = passed["mm_encoder_outputs"].items()
        leaves = [level.detach().requires_grad_() for level in model.kind.tokens(features)]
        passed["mm_encoder_outputs"] = {kind: model.kind.with_tokens(features, leaves)}
    counts = [len(at) for at in places]
    assert all(len(leaf) == sum(counts) and sum(counts) > 0 for leaf in leaves)
    with handed_over(model.backbone, passed) as given:
        outputs = model.backbone(**given).logits
    for row, tokens in enumerate(answer_gradients(leaves, outputs, batch)):
        is_own = torch.arange(sum(counts)) >= counts[0] if row else torch.arange(sum(counts)) < counts[0]
        for sizes in (size for of_token in tokens for size in of_token):
            assert (sizes[is_own] > 0).all(), f"{int((sizes[is_own] == 0).sum())} of {int(is_own.sum())} tokens unseen"
            assert (sizes[~is_own] == 0).all()


def test_each_answer_token_sees_every_geometry_token_of_its_sample_and_no_other(name):
    model = model_of(name)
    if not model.config.has_encoder:
        pytest.skip("the preset has no geometry encoder")
    batch = pair(model)
    found = take_views(dict(batch.inputs), has_vision=model.kind.has_vision).views
    geometry = model._geometry(found, batch.inputs["input_ids"])
    assert geometry.is_valid.all()
    leaves = {name: getattr(geometry, name).detach().requires_grad_() for name in GEOMETRY if getattr(geometry, name) is not None}
    if model.config.fusion in WITHOUT_CAMERA_TOKENS:
        leaves.pop("camera")
    given = {GEOMETRY[name]: leaf for name, leaf in leaves.items()}
    outputs = model(**batch.inputs, **given, geometry_valid=geometry.is_valid, geometry_grid_hw=geometry.grid_hw).logits
    assert torch.equal(outputs, logits(model, batch.inputs)), "what the encoder gave before and what it gives now are one"
    first = geometry.views_per_sample[0]
    own = {"camera": first}
    for row, tokens in enumerate(answer_gradients(list(leaves.values()), outputs, batch)):
        for of_token in tokens:
            for kind, sizes in zip(leaves, of_token, strict=True):
                end = own.get(kind, int(geometry.grid_hw[:first].prod(-1).sum()))
                is_own = torch.arange(len(sizes)) >= end if row else torch.arange(len(sizes)) < end
                assert (sizes[is_own] > 0).all(), f"{kind}: {int((sizes[is_own] == 0).sum())} of {int(is_own.sum())} tokens unseen"
                assert (sizes[~is_own] == 0).all()


def test_a_later_token_changes_no_earlier_logit_and_the_next_one(name):
    model = model_of(name)
    batch = pair(model)
    before = logits(model, batch.inputs)
    for row, at in enumerate(batch.answer_at):
        for position in (at[0], at[-1]):
            changed = batch.inputs["input_ids"].clone()
            changed[row, position] += 1
            after = logits(model, batch.but(input_ids=changed))
            assert torch.equal(after[row, :position], before[row, :position])
            assert not torch.equal(after[row, position], before[row, position])
            assert torch.equal(after[1 - row], before[1 - row])


def test_two_answers_give_two_losses_and_the_same_loss_by_either_way(name):
    model = model_of(name)
    batch = pair(model)
    with torch.no_grad():
        total, learned = model.answer_loss(batch.labels, **batch.inputs)
        assert learned == int((batch.labels != IGNORED).sum()) == sum(len(at) for at in batch.answer_at)
        mean = model(**batch.inputs, labels=batch.labels).loss
        assert float(total) / learned == pytest.approx(float(mean), rel=1e-5)
        labels, ids = batch.labels.clone(), batch.inputs["input_ids"].clone()
        labels[0, batch.answer_at[0][0]] += 1
        other = model.answer_loss(labels, **batch.inputs)[0]
        ids[0, batch.answer_at[0][0]] += 1
        assert float(other) != float(total)
        assert float(model.answer_loss(labels, **batch.but(input_ids=ids))[0]) not in (float(other), float(total))


def test_the_end_of_the_turn_is_learned(name):
    model = model_of(name)
    batch = pair(model)
    cut = batch.labels.clone()
    for row, at in enumerate(batch.answer_at):
        cut[row, at[-1]] = IGNORED
    with torch.no_grad():
        assert float(model.answer_loss(batch.labels, **batch.inputs)[0]) > float(model.answer_loss(cut, **batch.inputs)[0])
