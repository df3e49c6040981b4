"""The audit: what words alone give away is found, what is fair is not blamed, and contradictions are counted."""

from dataclasses import replace

import numpy as np
import pytest

from sightline.answers.choice import Choice
from sightline.answers.number import Number
from sightline.answers.word import Word
from sightline.samples.audit import audit_of, audit_rows
from sightline.samples.guesses import guess_from_words
from sightline.samples.sample import Sample

SIDES = Choice(options=("left", "right"))
CM = Number(unit="cm", decimals=0)
TURNED = Word(words=("left", "right"))


def a_sample(index, form, value, question, *, split="train", frame_id="000000", task="t"):
    return Sample(
        sample_id=f"s/{task}/{index:04d}",
        task=task,
        split=split,
        scan_id=f"scan_{split}",
        place_id=f"place_{split}",
        frame_ids=(f"{frame_id}_{index}",),
        image_paths=(f"scan_{split}/color/{index}.png",),
        marks=(),
        question=question,
        answer_kind=form.kind,
        answer_options=form.to_row(),
        answer_text=form.render(value),
        answer_value=value,
        evidence={},
        template_id="t.0",
        seed=0,
        generator_version="x",
        source="s",
        licence="l",
    )


def rows(make, count=60):
    return [make(index, split) for split in ("train", "held_out") for index in range(count)]


def test_sizes_that_the_name_of_the_object_gives_away_are_found():
    sizes = {"bed": 200.0, "cup": 10.0, "chair": 90.0, "lamp": 40.0, "sofa": 150.0, "desk": 120.0}
    names = sorted(sizes)
    made = rows(lambda i, split: a_sample(i, CM, sizes[names[i % 6]], f"How long is the {names[i % 6]}?", split=split))
    (audit,) = audit_of(made)
    assert audit.from_words == 1.0 and audit.chance < 0.5
    assert any("words alone" in warning for warning in audit.warnings)


def test_an_option_that_is_always_right_is_found_and_a_fair_one_is_not():
    letters = [SIDES.letter_of("left" if i % 10 else "right") for i in range(60)]
    (lopsided,) = audit_of(rows(lambda i, split: a_sample(i, SIDES, letters[i], f"Where is it? {SIDES.listing}", split=split)))
    assert lopsided.from_words == pytest.approx(0.9) and lopsided.warnings
    rng = np.random.default_rng(0)
    fair = [str(letter) for letter in rng.permutation(["A", "B"] * 30)]
    (even,) = audit_of(rows(lambda i, split: a_sample(i, SIDES, fair[i], f"Where is it? {SIDES.listing}", split=split)))
    assert even.chance == 0.5 and even.from_words == 0.5 and not even.warnings


def test_chance_of_a_word_is_one_over_the_words():
    (audit,) = audit_of(rows(lambda i, split: a_sample(i, TURNED, ("left", "right")[i % 2], "Which way did it turn?", split=split)))
    assert audit.chance == 0.5 and audit.most_frequent == 0.5


def test_a_guess_is_learned_from_training_rows_alone():
    train = [a_sample(i, CM, 50.0, "How long is the bed?") for i in range(10)]
    held_out = [a_sample(i, CM, 200.0, "How long is the bed?", split="held_out") for i in range(10)]
    assert guess_from_words(held_out, train).max() == 0.0


def test_what_is_asked_again_is_counted_and_another_answer_is_a_contradiction():
    one = a_sample(0, CM, 50.0, "How long is the bed?")
    again, otherwise = replace(one, sample_id="b"), replace(one, sample_id="c", answer_text="60", answer_value=60.0)
    (audit,) = audit_of([one, again, otherwise])
    assert (audit.repeated, audit.contradicting) == (2, 1)
    assert audit.chance is None and "asked before with another answer" in audit.warnings[0]
    assert audit_rows([audit])["t"]["repeated"] == 2
