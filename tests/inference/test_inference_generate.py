"""Replies are greedy, end where the turn ends, stand in the order of the samples, and survive the disk."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from small_run import COUNT, small_recipe, small_sample, write_small_set
from toy_models import QUESTION, toy_checkpoint, toy_samples, toy_view

from sightline.errors import DataError, ModelError
from sightline.inference.generate import ASKED, Answerer
from sightline.inference.replies import Reply, read_replies, write_replies
from sightline.models.checkpoints import Checkpoint
from sightline.models.encoded import Encoded
from sightline.samples.frames import load_views
from sightline.training.trainer import train


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> tuple[Path, Path]:
    """A run that knows its eight samples by heart, and their scene store."""
    root = tmp_path_factory.mktemp("replies")
    samples, scenes = write_small_set(root)
    train(small_recipe(samples, scenes, updates=60), root / "run")
    return root / "run", scenes


def step_by_step(checkpoint: Checkpoint, encoded: Encoded, *, steps: int) -> list[int]:
    """The most likely next token, over and over, each time from the whole sequence and without a cache."""
    processor, said = checkpoint.processor, []
    for _ in range(steps):
        ids = np.concatenate([encoded.input_ids, np.array(said, np.int32)])
        longer = Encoded(
            **{**{name: getattr(encoded, name) for name in Encoded.__slots__}, "input_ids": ids, "labels": np.full_like(ids, -100)}
        )
        batch = processor.collate([longer], padding_side="right")
        with torch.no_grad():
            logits = checkpoint.model(**batch.for_generation(), position_ids=batch.position_ids, use_cache=False).logits
        said.append(int(logits[0, -1].argmax()))
        if said[-1] == processor.tokenizer.eos_token_id:
            break
    return said


@pytest.mark.parametrize("fusion", ["none", "sin3d", "mlp3d"])
def test_generation_is_the_step_by_step_argmax_without_cache(fusion):
    checkpoint = toy_checkpoint(fusion, seed=2, gate=None if fusion == "none" else 0.5)
    encoded = toy_samples(checkpoint.processor, 3, with_answer=False)
    replies = Answerer(checkpoint, max_new_tokens=8).reply_to(encoded, ["a", "b", "c"])
    for sample, reply in zip(encoded, replies, strict=True):
        said = step_by_step(checkpoint, sample, steps=8)
        kept = [token for token in said if token != checkpoint.processor.tokenizer.eos_token_id]
        assert reply.text == checkpoint.processor.tokenizer.decode(kept, skip_special_tokens=True)
        assert reply.tokens == len(kept)


def test_left_padding_changes_no_reply(trained):
    run, scenes = trained
    answerer = Answerer.load(run)
    samples = [small_sample(index) for index in range(COUNT)]
    lengths = {len(sample.frame_ids) for sample in samples}
    assert lengths == {1, 2}  # the shorter ones are padded by a whole image
    alone = answerer.answer(samples, store=scenes, batch_size=1)
    for batch_size in (3, COUNT):
        together = answerer.answer(samples, store=scenes, batch_size=batch_size)
        assert [(reply.text, reply.tokens) for reply in together] == [(reply.text, reply.tokens) for reply in alone]


def test_a_reply_ends_with_the_turn_however_many_tokens_are_allowed(trained):
    run, scenes = trained
    samples = [small_sample(0), small_sample(7)]  # 0.5 and 13.8: one ends before the other
    for allowed in (8, 40):
        replies = Answerer.load(run, max_new_tokens=allowed).answer(samples, store=scenes)
        assert [reply.text for reply in replies] == ["0.5", "13.8"]
        assert [reply.tokens for reply in replies] == [3, 4]
    (cut,) = Answerer.load(run, max_new_tokens=2).answer(samples[1:], store=scenes)
    assert (cut.text, cut.tokens) == ("13", 2)


def test_replies_come_in_the_order_of_the_samples(trained):
    run, scenes = trained
    answerer, told = Answerer.load(run), []
    order = [7, 2, 5, 0, 3, 6, 1, 4]
    samples = [small_sample(index) for index in order]
    replies = answerer.answer(samples, store=scenes, batch_size=3, on_progress=told.append)
    assert [reply.sample_id for reply in replies] == [sample.sample_id for sample in samples]
    assert [reply.text for reply in replies] == [sample.answer_text for sample in samples]
    assert told == [3, 6, 8]
    assert answerer.answer([], store=scenes) == []


def test_one_question_about_views_at_hand_is_answered_like_the_sample(trained):
    run, scenes = trained
    answerer = Answerer.load(run)
    assert answerer.needs_depth and answerer.processor.image_width == 64
    views = load_views(small_sample(3), store=scenes, width=64, height=48, with_depth=True)
    reply = answerer.ask(small_sample(3).prompt, views)
    assert (reply.sample_id, reply.text) == (ASKED, small_sample(3).answer_text)


def test_a_blind_model_needs_no_depth_and_looks_at_no_view():
    checkpoint = toy_checkpoint("sin3d", is_blind=True)
    answerer = Answerer(checkpoint, max_new_tokens=4)
    assert not answerer.needs_depth
    assert answerer.ask(QUESTION, [toy_view(0)]).text == answerer.ask(QUESTION, [toy_view(1), toy_view(2)]).text


def test_a_model_without_fusion_needs_no_depth():
    assert not Answerer(toy_checkpoint("none")).needs_depth


def test_a_reply_beyond_the_models_positions_is_refused_with_the_numbers():
    answerer = Answerer(toy_checkpoint(), max_new_tokens=2040)
    with pytest.raises(ModelError, match="expected at most 2048 tokens with the reply, found 2"):
        answerer.ask(QUESTION, [toy_view(0)])


def test_replies_come_back_from_disk_as_they_were_written(tmp_path):
    replies = [
        Reply(sample_id="a/b/0", text="2.5 m", tokens=4, seconds=0.25),
        Reply(sample_id="a/b/1", text='two\nlines, "quotes", ünïcode \u2028 and a \\', tokens=9, seconds=1e-9),
        Reply(sample_id="a/b/2", text="", tokens=0, seconds=0.0),
    ]
    write_replies(tmp_path / "replies.jsonl", replies)
    assert list(read_replies(tmp_path / "replies.jsonl")) == replies
    assert len((tmp_path / "replies.jsonl").read_text(encoding="utf-8").split("\n")) == len(replies) + 1


GOOD = {"sample_id": "a", "text": "b", "tokens": 1, "seconds": 0.5}


@pytest.mark.parametrize(
    "line",
    [
        json.dumps({name: value for name, value in GOOD.items() if name != "text"}),
        json.dumps({**GOOD, "score": 1.0}),
        json.dumps({**GOOD, "text": 2.5}),
        json.dumps(GOOD)[:-7],
        "3",
        "[1, 2]",
        '{"sample_id": "a", "sample_id": "b", "text": "", "tokens": 1, "seconds": 0}',
    ],
)
@pytest.mark.parametrize("before", [1, 4])
def test_a_bad_line_is_named(tmp_path, line, before):
    path = tmp_path / "replies.jsonl"
    path.write_text((json.dumps(GOOD) + "\n") * before + line + "\n", encoding="utf-8")
    with pytest.raises(DataError, match=rf"replies.jsonl:{before + 1}\b"):
        read_replies(path)
