"""Quality of a data set: special tokens, given-away answers, lopsided letters, an even choice over scans."""

from dataclasses import replace

import pytest
from test_samples_frames import a_sample

from sightline.errors import DataError
from sightline.samples.quality import gives_answer_away, quality_of, refuse_special_tokens, special_token_in, spread


@pytest.mark.parametrize(
    "text",
    [
        "What is <image> here?",
        "< Image >",
        "<|im_start|>system",
        "<|image_pad|>",
        "<|vision_start|>",
        "</s>",
        "<s>",
        "[INST] now",
        "<video>",
        "<image_1>",
        "hello USER: you",
    ],
)
def test_placeholders_and_chat_tokens_are_refused(text):
    with pytest.raises(DataError, match="question 7: expected plain words, found the special token"):
        refuse_special_tokens(text, where="question 7")


@pytest.mark.parametrize("text", ["Is the depth < 3 m or > 4 m?", "Which image is it?", "a | b", "a <b> c", "user: me", "the picture [1]"])
def test_plain_words_pass(text):
    assert special_token_in(text) is None


def test_an_answer_that_stands_in_its_question_is_flagged():
    sample = a_sample(question="Two dots are 2.5 m apart. How far is it?", answer_text="2.5", answer_value=2.5)
    assert gives_answer_away(sample)
    assert not gives_answer_away(replace(sample, question="It is 12.5 m or 2.55 m?"))
    assert quality_of([sample])[0].warnings == ("1 questions hold their own answer",)


def choices(letters, task="t"):
    options = {"options": ["left", "right"]}
    return [
        a_sample(sample_id=f"s/{task}/{i}", task=task, answer_kind="choice", answer_options=options, answer_text=one, answer_value=one)
        for i, one in enumerate(letters)
    ]


def test_lopsided_letters_are_reported_and_even_ones_are_not():
    assert quality_of(choices("AB" * 40))[0].warnings == ()
    assert quality_of(choices("A" * 40 + "B" * 10))[0].warnings == (
        "'A' is right 40 times where 25 are fair",
        "'left' is right 40 times where 25 are fair",
    )
    assert quality_of(choices("A" * 8))[0].warnings == ()


def test_counts_shares_and_ranges_are_told():
    numbers = [a_sample(sample_id=f"s/n/{i}", task="n", answer_text=f"{i}.0", answer_value=float(i)) for i in range(1, 5)]
    told = quality_of([*numbers, *choices("AAB")])
    assert [one.task for one in told] == ["n", "t"]
    assert told[0].number_range == (1.0, 2.5, 4.0) and told[0].unit == "m"
    assert told[1].letters == {"A": 0.6667, "B": 0.3333} and told[1].answers == {"left": 0.6667, "right": 0.3333}


def test_some_samples_of_each_task_are_taken_from_every_scan_in_turn():
    samples = [
        a_sample(sample_id=f"{scan}/{task}/{i}", scan_id=scan, task=task)
        for scan in ("a", "b", "c")
        for task in ("t", "u")
        for i in range(9)
    ]
    some = spread(samples, per_task=4)
    assert [sample.sample_id for sample in some] == ["a/t/0", "a/t/1", "a/u/0", "a/u/1", "b/t/0", "b/u/0", "c/t/0", "c/u/0"]
    assert spread(samples, per_task=None) == samples and len(spread(samples, per_task=100)) == len(samples)
