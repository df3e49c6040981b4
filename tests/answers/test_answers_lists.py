"""Words, points and vectors: frozen tables of replies, round trips, refusals, and the edges of their tolerances."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sightline.answers import format_from_row
from sightline.answers.number import Number
from sightline.answers.point import Point
from sightline.answers.vector import Vector
from sightline.answers.word import Word
from sightline.errors import DataError

SIDES = Word(words=("left", "right"))
MM = Vector(unit="mm", decimals=0)
METRES = Vector(unit="m", decimals=2)
POINT = Point(width=640, height=480)
PIXELS = Point(width=640, height=480, scale="pixels")
FORMATS = {"word": SIDES, "vector": METRES, "point": POINT}

WORDS = {
    "left": "left",
    "Left.": "left",
    "**left**": "left",
    "to the left": "left",
    "The camera moved to the left.": "left",
    "not left": None,
    "left or right": None,
    "it isn't left": None,
    "leftish": None,
    "": None,
    "up": None,
}
VECTORS = {
    "[412, -38, 905]": (412, -38, 905),
    "412, -38, 905": (412, -38, 905),
    "[ 412 , -38 , 905 ] mm": (412, -38, 905),
    "`[412, -38, 905]`": (412, -38, 905),
    "(0.412, -0.038, 0.905) m": (412, -38, 905),
    "[0.412 m, -0.038 m, 0.905 m]": (412, -38, 905),
    "right=412, down=-38, forward=905": (412, -38, 905),
    "right: 412 down: \u221238 forward: 905": (412, -38, 905),
    "The answer is [412, -38, 905].": (412, -38, 905),
    "[1, 2] then [412, -38, 905]": (412, -38, 905),
    "[412, -38, 905] or [1, 2, 3]": None,
    "[412, -38]": None,
    "412, -38, 905, 7": None,
    "nothing": None,
    "[412 m, -38 mm, 905 mm]": None,
    "": None,
}
POINTS = {
    "[500, 250]": (500, 250),
    "(500, 250)": (500, 250),
    "500 250": (500, 250),
    "x=500, y=250": (500, 250),
    "It is at [500, 250].": (500, 250),
    "[500]": None,
    "[1, 2] [3, 4]": None,
}


@pytest.mark.parametrize(("reply", "said"), WORDS.items())
def test_a_word_is_read(reply, said):
    assert SIDES.parse(reply) == said


@pytest.mark.parametrize(("reply", "said"), VECTORS.items())
def test_a_vector_is_read(reply, said):
    found = MM.parse(reply)
    assert found is None if said is None else found == pytest.approx(said)


@pytest.mark.parametrize(("reply", "said"), POINTS.items())
def test_a_point_is_read(reply, said):
    assert POINT.parse(reply) == said


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("reply", [None, 3, "nan, nan, nan", "[inf, 1, 2]", "\u0000", "[" * 5000])
def test_what_is_no_answer_scores_zero_and_counts_as_unparsable(kind, reply):
    truth = {"word": "left", "vector": (1.0, 2.0, 3.0), "point": (500.0, 250.0)}[kind]
    scored = FORMATS[kind].score(reply, truth)
    assert scored.score == 0.0 and not scored.is_parsed


@pytest.mark.parametrize("kind", FORMATS)
def test_a_format_comes_back_from_its_row(kind):
    form = FORMATS[kind]
    assert format_from_row(kind, form.to_row()) == form
    assert hash(format_from_row(kind, form.to_row())) == hash(form)


@given(st.tuples(*[st.floats(-50, 50)] * 3))
def test_a_vector_is_read_back_within_half_a_digit_and_is_right(value):
    text = METRES.render(value)
    assert METRES.parse(text) == pytest.approx(value, abs=0.005 + 1e-9)
    assert METRES.score(text, value).score == 1.0


@given(st.floats(0, 639), st.floats(0, 479), st.sampled_from([POINT, PIXELS]))
def test_a_point_is_read_back_within_half_a_step_and_its_pixel_is_kept(u_px, v_px, form):
    value = form.from_px(u_px, v_px)
    assert form.to_px(value) == pytest.approx((u_px, v_px), abs=1e-9)
    assert form.parse(form.render(value)) == pytest.approx(value, abs=0.5 + 1e-9)
    assert form.score(form.render(value), value).score == 1.0


def test_a_vector_is_right_up_to_a_fifth_of_its_length():
    truth = (300.0, 0.0, 400.0)
    assert MM.score("[300, 100, 400]", truth).score == 1.0
    assert MM.score("[300, 101, 400]", truth).score == 0.0


def test_no_movement_wants_no_movement():
    assert MM.score("[0, 0, 0]", (0.0, 0.0, 0.0)).score == 1.0
    assert MM.score("[0.2, -0.3, 0]", (0.0, 0.0, 0.0)).score == 1.0
    assert MM.score("[1, 0, 0]", (0.0, 0.0, 0.0)).score == 0.0


def test_a_point_is_right_within_a_twentieth_of_the_width_in_pixels_whatever_the_direction():
    truth = PIXELS.from_px(320, 240)
    for angle in range(0, 360, 30):
        across, along = math.cos(math.radians(angle)), math.sin(math.radians(angle))
        near = f"[{320 + round(30 * across)}, {240 + round(30 * along)}]"
        far = f"[{320 + round(34 * across)}, {240 + round(34 * along)}]"
        assert PIXELS.score(near, truth).score == 1.0 and PIXELS.score(far, truth).score == 0.0


def test_the_corners_of_an_image_are_0_and_1000():
    assert POINT.from_px(-0.5, -0.5) == (0.0, 0.0)
    assert POINT.from_px(639.5, 479.5) == (1000.0, 1000.0)


def test_a_number_within_a_fifth_is_right_where_that_is_the_rule():
    form = Number(unit="mm", decimals=0, high=100000.0, tolerance_share=0.2)
    assert [form.score(said, 1000.0).score for said in ("800", "1200", "799", "1201")] == [1.0, 1.0, 0.0, 0.0]
    assert form.score("1.2 m", 1000.0).score == 1.0
    assert format_from_row("number", form.to_row()) == form


@pytest.mark.parametrize(
    "make",
    [
        lambda: Word(words=("left",)),
        lambda: Word(words=("left", "Left.")),
        lambda: Vector(unit="", decimals=0),
        lambda: Vector(unit="mm", decimals=9),
        lambda: Vector(unit="mm", decimals=0, tolerance_share=0.0),
        lambda: Point(width=0, height=4),
        lambda: Point(width=4, height=4, scale="share"),
        lambda: SIDES.render("up"),
        lambda: MM.render((1.0, 2.0)),
        lambda: MM.render((1.0, 2.0, math.nan)),
        lambda: POINT.render("12"),
    ],
)
def test_what_makes_no_sense_is_refused(make):
    with pytest.raises(DataError):
        make()


def test_instructions_name_unit_frame_and_words():
    assert SIDES.instruction() == "Answer with one word: left or right."
    assert Word(words=("A", "B", "C")).instruction() == "Answer with one letter: A, B or C."
    assert MM.instruction() == "Answer with [right, down, forward] in millimetres."
    assert POINT.instruction().startswith("Answer with the point as [x, y] in thousandths of the image's width and height")
