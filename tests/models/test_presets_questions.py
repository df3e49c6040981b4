"""For every preset: the whole question and the whole answer reach the model, however long, or an error says what does not fit."""

import pytest
import torch
from preset_cases import REAL
from toy_models import QUESTION, seen_view, toy_preset

from sightline.errors import ModelError
from sightline.models.model import IGNORED

ANSWER = "2.35"
LONG = " ".join(f"Chair {number} stands beside table {number}." for number in range(60))


@pytest.fixture(params=REAL)
def name(request):
    return request.param


def views(count: int = 2):
    return [seen_view(seed, width=64, height=48) for seed in range(count)]


def test_question_answer_and_end_of_turn_are_in_the_row_as_they_were_written(name):
    by = toy_preset(name).processor
    for question in (QUESTION, LONG):
        encoded = by.encode(question, views(), answer=ANSWER, where="toy/0")
        text = by.tokenizer.decode(encoded.input_ids, skip_special_tokens=False)
        learned = by.tokenizer.decode(encoded.labels[encoded.labels != IGNORED], skip_special_tokens=False)
        assert text.count(question) == 1 and text.index(question) < text.rindex(ANSWER)
        assert learned.startswith(ANSWER) and learned[len(ANSWER) :].strip() == by.tokenizer.eos_token


def test_a_question_too_long_is_refused_with_the_numbers_and_never_cut(name):
    needed = len(toy_preset(name).processor.encode(LONG, views(), answer=ANSWER, where="toy/0").input_ids)
    assert len(toy_preset(name, max_tokens=needed).processor.encode(LONG, views(), answer=ANSWER, where="toy/0").input_ids) == needed
    with pytest.raises(ModelError, match=rf"^toy/0: .*make {needed} tokens, the limit is {needed - 1}"):
        toy_preset(name, max_tokens=needed - 1).processor.encode(LONG, views(), answer=ANSWER, where="toy/0")


def test_a_word_in_the_middle_of_a_long_question_reaches_the_answer(name):
    checkpoint = toy_preset(name, gate=0.5)
    losses = []
    for question in (LONG, LONG.replace("Chair 30", "Stool 30")):
        batch = checkpoint.processor.collate(
            [checkpoint.processor.encode(question, views(), answer=ANSWER, where="toy/0")], padding_side="right"
        )
        with torch.no_grad():
            losses.append(float(checkpoint.model.answer_loss(**batch.for_loss())[0]))
    assert losses[0] != losses[1]
