"""Packed samples learn exactly what they learn apart: equal loss, equal gradients, for every published design."""

import pytest
import torch
from toy_models import TEXTS, seen_view, toy_preset

from sightline.errors import ModelError
from sightline.models.model import IGNORED, PRESETS
from sightline.models.packed import COMMON, pack, share

REAL = [name for name in PRESETS if name not in ("tiny", "smallest")]
QUESTIONS = (*TEXTS[:2], "How many chairs?", "Is the door open?")
ANSWERS = ("1.5 m", "B", "3", "no, it is closed")


def opened(name):
    checkpoint = toy_preset(name, gate=0.5)
    checkpoint.model.train()
    return checkpoint


def encoded(checkpoint, scene: int, questions: range, *, views: int = 2, width: int = 64, height: int = 48):
    shown = [seen_view(10 * scene + view, width=width, height=height) for view in range(views)]
    return [checkpoint.processor.encode(QUESTIONS[one], shown, answer=ANSWERS[one], where=f"{scene}/{one}") for one in questions]


def loss_and_gradients(model, losses):
    model.zero_grad()
    total, learned = torch.zeros(()), 0
    for loss, count in losses:
        total, learned = total + loss, learned + count
    (total / learned).backward()
    return float(total.detach()), learned, {name: one.grad.clone() for name, one in model.named_parameters() if one.grad is not None}


def apart(checkpoint, samples):
    model = checkpoint.model
    return loss_and_gradients(
        model, (model.answer_loss(**checkpoint.processor.collate([one], padding_side="right").for_loss()) for one in samples)
    )


def together(checkpoint, rows, **options):
    packed = pack(rows, checkpoint.processor.form, **options)
    return loss_and_gradients(checkpoint.model, [checkpoint.model.answer_loss(**packed.for_loss(dtype=torch.float32, attention="sdpa"))])


@pytest.mark.parametrize("name", REAL)
def test_questions_over_shared_pictures_and_several_sets_in_a_row_learn_what_they_learn_apart(name):
    checkpoint = opened(name)
    first, second = encoded(checkpoint, 1, range(4)), encoded(checkpoint, 2, range(2), views=3, width=48, height=64)
    third = encoded(checkpoint, 3, range(1), views=1)
    rows = [[share(first), share(third)], [share(second)]]
    loss, learned, gradients = apart(checkpoint, [*first, *second, *third])
    packed_loss, packed_learned, packed_gradients = together(checkpoint, rows)
    assert packed_learned == learned
    assert packed_loss == pytest.approx(loss, rel=1e-6)
    assert packed_gradients.keys() == gradients.keys()
    whole = torch.sqrt(sum(one.double().square().sum() for one in gradients.values()))
    for parameter, gradient in gradients.items():
        assert (packed_gradients[parameter] - gradient).norm() <= 1e-5 * max(gradient.norm(), 1e-2 * whole), parameter


@pytest.mark.parametrize("name", ["qwen3vl-sin3d", "vggt-perceiver"])
def test_a_branch_does_not_hear_the_others(name):
    """The first branch is only there to be overheard: another answer in it changes no loss of those after it."""
    checkpoint = opened(name)
    samples, other = encoded(checkpoint, 1, range(3)), encoded(checkpoint, 1, range(3))
    other[0].input_ids[-3:-1] = 40
    for one in (samples, other):
        one[0].labels[:] = IGNORED
    losses = [together(checkpoint, [[share(one)]])[0] for one in (samples, other)]
    assert losses[0] == losses[1]


def test_pictures_stand_once_and_rows_may_be_longer_than_needed():
    checkpoint = opened("qwen3vl-sin3d")
    samples = encoded(checkpoint, 1, range(4))
    group = share(samples)
    visual = int((samples[0].input_ids == checkpoint.model.config.backbone_config.image_token_id).sum())
    packed = pack([[group]], checkpoint.processor.form, length=group.tokens + 7)
    is_image = packed.inputs.input_ids == checkpoint.model.config.backbone_config.image_token_id
    assert int(is_image.sum()) == visual and (packed.branch[is_image] == COMMON).all()
    assert packed.useful_tokens == group.tokens < sum(len(one.input_ids) for one in samples) - 2 * visual
    tight, roomy = together(checkpoint, [[group]]), together(checkpoint, [[group]], length=group.tokens + 7)
    assert roomy[0] == pytest.approx(tight[0], rel=1e-6)


def test_the_flexible_mask_is_the_dense_mask():
    checkpoint = opened("qwen3vl-base")
    rows = [[share(encoded(checkpoint, 1, range(3))), share(encoded(checkpoint, 2, range(2)))], [share(encoded(checkpoint, 3, range(1)))]]
    packed = pack(rows, checkpoint.processor.form)
    flexible = packed.flex_mask()
    length = packed.group.shape[1]
    every = torch.arange(length)
    for row in range(len(rows)):
        seen = flexible.mask_mod(torch.tensor(row), torch.tensor(0), every[:, None], every[None, :])
        assert torch.equal(seen, packed.dense_mask(torch.float32)[row, 0] == 0.0)


def test_what_cannot_share_a_row_is_refused():
    checkpoint = opened("qwen3vl-base")
    one, other = encoded(checkpoint, 1, range(1)), encoded(checkpoint, 2, range(1))
    with pytest.raises(ModelError, match="expected questions over the same pictures with the same marks"):
        share([*one, *other])
    group = share(one)
    with pytest.raises(ModelError, match=f"expected rows of at most 9 tokens, found {group.tokens}"):
        pack([[group]], checkpoint.processor.form, length=9)


def test_equal_questions_share_all_but_the_token_that_predicts_the_answer():
    checkpoint = opened("qwen3vl-base")
    twice = encoded(checkpoint, 1, range(1)) * 2
    group = share(twice)
    assert group.shared == int((twice[0].labels != IGNORED).argmax()) - 1
    loss, learned, _ = apart(checkpoint, twice)
    packed_loss, packed_learned, _ = together(checkpoint, [[group]])
    assert packed_loss == pytest.approx(loss, rel=1e-6) and packed_learned == learned
