"""Choices and short texts: frozen tables of replies, round trips, and refusals."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sightline.answers import format_from_row
from sightline.answers.choice import Choice
from sightline.answers.text import Text
from sightline.errors import DataError

SIDES = Choice(options=("left", "right", "front-left", "front-right"))

REPLIES = {
    "B": "B",
    "b": "B",
    "B.": "B",
    "(B)": "B",
    "[b]": "B",
    "**B**": "B",
    '"B"': "B",
    "\u200fB": "B",
    "B. right": "B",
    "B) right": "B",
    "B: right": "B",
    "B right": "B",
    "right": "B",
    "Right.": "B",
    "front left": "C",
    "Front-left!": "C",
    "The answer is B": "B",
    "The answer is (B).": "B",
    "Answer: **B**": "B",
    "answer: option B": "B",
    "I think B": "B",
    "It went to the right.": "B",
    "It is to the front-right of it.": "D",
    "A": "A",
    "a": "A",
    "A. left, not right": "A",
    "B. left": None,  # letter and words disagree
    "B left": None,
    "The answer is B, left": None,
    "left or right": None,
    "not left": None,
    "A or B": None,
    "B and C": None,
    "A chair": None,
    "E": None,  # out of range
    "E. right": None,
    "": None,
    "...": None,
    "yes": None,
    "7": None,
    "\uff22": None,  # full-width B
}


@pytest.mark.parametrize("reply", REPLIES)
def test_a_choice_is_read_as_the_frozen_table_says(reply):
    assert SIDES.parse(reply) == REPLIES[reply]


@pytest.mark.parametrize("reply", [None, 3, [], {}])
def test_a_reply_that_is_no_text_is_unparsable(reply):
    assert SIDES.parse(reply) is None
    assert not SIDES.score(reply, "A").is_parsed


@given(
    st.lists(st.text(st.characters(codec="ascii", categories=["Ll"]), min_size=2, max_size=8), min_size=2, max_size=26, unique=True),
    st.data(),
)
def test_a_letter_and_its_words_read_back(options, data):
    choice = Choice(options=tuple(options))
    letter = data.draw(st.sampled_from(choice.letters))
    option = choice.option_of(letter)
    assert choice.parse(choice.render(letter)) == letter
    assert choice.parse(option) == letter
    assert choice.parse(f"{letter}. {option}") == letter
    assert choice.letter_of(option) == letter
    assert choice.score(choice.render(letter), letter).score == 1.0


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused_but_never_crashes(reply):
    assert SIDES.parse(reply) in (None, *SIDES.letters)
    assert Text().parse(reply) is None or Text().score(reply, reply).score == 1.0


def test_options_are_listed_by_letter():
    assert Choice(options=("left", "right")).listing == "A. left B. right"
    assert Choice(options=("left", "right")).json_schema() == {"type": "string", "enum": ["A", "B"]}


@pytest.mark.parametrize("options", [(), ("left",), ("left", "Left."), ("left", ""), ("x",) * 30])
def test_options_that_are_not_distinct_words_are_refused(options):
    with pytest.raises(DataError, match="distinct, non-empty options"):
        Choice(options=options)


def test_a_truth_outside_the_letters_is_refused():
    with pytest.raises(DataError, match="expected a letter of A, B, C, D, found 'E'"):
        SIDES.score("A", "E")
    with pytest.raises(DataError, match="found 'up'"):
        SIDES.letter_of("up")


def test_a_wrong_choice_is_explained():
    score = SIDES.score("A", "B")
    assert (score.score, score.is_parsed, score.explanation) == (0.0, True, "said A (left), truth B (right)")


def test_formats_survive_their_rows():
    assert format_from_row("choice", SIDES.to_row()) == SIDES
    assert format_from_row("text", Text(max_chars=9).to_row()) == Text(max_chars=9)


def test_text_is_compared_without_case_articles_and_punctuation():
    assert Text().score("The  wooden chair.", "wooden chair").score == 1.0
    assert Text().score("a table", "chair").score == 0.0
    assert Text().score("", "chair").is_parsed is False
    assert Text(max_chars=5).parse("longer than that") is None
    assert Text().render("  two\nlines ") == "two lines"


def test_an_empty_truth_is_refused():
    with pytest.raises(DataError, match="text answer"):
        Text().score("x", " ")
