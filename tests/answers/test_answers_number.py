"""Numbers: rendered by rounding, parsed by a frozen table of replies, scored with the released MRA arithmetic."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sightline.answers import ANSWER_FORMATS, Answer, format_from_row
from sightline.answers.number import Number, mean_relative_accuracy
from sightline.errors import DataError

METRES = Number(unit="m", decimals=2)
COUNT = Number(unit="", decimals=0)
DEGREES = Number(unit="deg", decimals=0)
SQUARE_METRES = Number(unit="m2", decimals=1)

LENGTHS = {  # reply -> metres
    "2.35": 2.35,
    "2.35 m": 2.35,
    " 2.35m. ": 2.35,
    "**2.35** m": 2.35,
    "`2.35`": 2.35,
    "The distance is about 2.35 metres.": 2.35,
    "~2.35 meters": 2.35,
    "235 cm": 2.35,
    "2350 mm": 2.35,
    "0.00235 km": 2.35,
    "2.35 m (235 cm)": 2.35,
    "Between image 1 and image 2: 2.35 m": 2.35,
    "2,35 m": 2.35,
    "1,200": 1200.0,
    "1,200.5 m": 1200.5,
    "0,250 m": 0.25,
    ".5": 0.5,
    "2.": 2.0,
    "1e1": 10.0,
    "-0.5": -0.5,
    "\u22120.5 m": -0.5,
    "10 ft": 3.048,
    "10 inches": 0.254,
    "10 in": 0.254,
    "2 in the corner": 2.0,
    "\u200f2.35\u200e m": 2.35,
    "2.35\u00a0m": 2.35,
    '{"answer": 2.35}': 2.35,
    "\\boxed{2.35}": 2.35,
    "$235\\text{ cm}$": 2.35,
    "two metres": 2.0,
    "Twenty-three centimetres": 0.23,
    "three": 3.0,
    "": None,
    "   ": None,
    "I cannot tell.": None,
    "Images 1 and 2 are 2.35 m apart": 2.35,
    "2 or 3 m": None,
    "2-3 m": None,
    "1/2 m": None,
    "3.2.1": None,
    "12,345,67": None,
    "2m50": None,
    "4 m2": None,
    "4 m^2": None,
    "4 m\u00b2": None,
    "4 square metres": None,
    "4 sq m": None,
    "4 sq. ft": None,
    "4 sqm": None,
    "four square metres": None,
    "four degrees": None,
    "45 degrees": None,
    "50 %": None,
    "two and a half metres": None,
    "two point five": None,
    "\u0663": None,  # Arabic three
    "\uff12.5": None,  # full-width two
    "\u00bd": None,
    "nan": None,
    "inf": None,
    "1e999": None,
    "A1": None,
}


AREAS = {  # reply -> square metres
    "12.5": 12.5,
    "12.5 m2": 12.5,
    "12.5m2": 12.5,
    "12.5 m\u00b2": 12.5,
    "12.5 m^2.": 12.5,
    "$12.5\\text{ m}^2$": 12.5,
    "$12.5 m^{2}$": 12.5,
    "12.5 square metres": 12.5,
    "about 12.5 Square-Meters.": 12.5,
    "12.5 metres squared": 12.5,
    "12.5 sq m": 12.5,
    "12.5 sq. m.": 12.5,
    "12.5 sqm": 12.5,
    "12,5 m\u00b2": 12.5,
    "1,200 m2": 1200.0,
    "125000 cm2": 12.5,
    "125000 square centimetres": 12.5,
    "100 sq ft": 9.290304,
    "100 square feet": 9.290304,
    "The floor has 12.5 m2 (134.5 sq ft)": 12.5,
    "Image 2: 12.5 m2": 12.5,
    "twelve square metres": 12.0,
    "12.5 m": None,
    "12.5 metres": None,
    "twelve metres": None,
    "1250 cm": None,
    "5 m x 2.5 m": None,
    "12.5 m3": None,
    "12.5 m\u00b3": None,
    "12.5 m 2": None,
    "12.5 m^20": None,
    "12.5 m25": None,
    "12.5 degrees": None,
    "10 or 12 m2": None,
    "square metres": None,
}


@pytest.mark.parametrize("reply", AREAS)
def test_an_area_is_read_as_the_frozen_table_says(reply):
    wanted = AREAS[reply]
    found = SQUARE_METRES.parse(reply)
    assert found is None if wanted is None else found == pytest.approx(wanted, rel=1e-12)


@pytest.mark.parametrize("reply", LENGTHS)
def test_a_length_is_read_as_the_frozen_table_says(reply):
    wanted = LENGTHS[reply]
    found = METRES.parse(reply)
    assert found is None if wanted is None else found == pytest.approx(wanted, rel=1e-12)


@pytest.mark.parametrize(
    ("reply", "wanted"),
    [
        ("3", 3),
        ("3 chairs", 3),
        ("There are three.", 3),
        ("none", 0),
        ("3.0", 3),
        ("twenty-one", 21),
        ("3 m", None),
        ("no", 0),
        ("3 in the room", 3),
    ],
)
def test_a_count_is_read_as_the_frozen_table_says(reply, wanted):
    assert COUNT.parse(reply) == wanted


def test_angles_are_converted_and_lengths_are_not_angles():
    assert DEGREES.parse("90\u00b0") == 90.0
    assert DEGREES.parse("1.5707963267948966 rad") == pytest.approx(90.0)
    assert DEGREES.parse("2 m") is None


@pytest.mark.parametrize("reply", [None, [], 3, {}])
def test_a_reply_that_is_no_text_is_unparsable(reply):
    assert METRES.parse(reply) is None
    assert not METRES.score(reply, 1.0).is_parsed


@given(st.floats(-1e4, 1e4), st.integers(0, 6), st.sampled_from(["m", "cm", "deg", "m2", ""]))
def test_a_rendered_number_reads_back_to_within_half_a_last_digit(value, decimals, unit):
    form = Number(unit=unit, decimals=decimals)
    text = form.render(value)
    assert abs(form.parse(text) - value) <= 0.5 * 10.0**-decimals + 1e-9
    assert form.render(form.parse(text)) == text
    assert form.score(text, value).score == 1.0
    assert isinstance(json.loads(text), int | float)


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused_but_never_crashes(reply):
    for form in (METRES, COUNT, DEGREES, SQUARE_METRES):
        found = form.parse(reply)
        assert found is None or math.isfinite(found)
        assert form.score(reply, 2.0).explanation


def test_rendering_rounds_and_never_truncates():
    assert Number(unit="m", decimals=1).render(0.96) == "1.0"
    assert Number(unit="cm", decimals=0).render(99.6) == "100"
    assert Number(unit="m", decimals=1).render(-0.01) == "0.0"


@pytest.mark.parametrize("value", [math.nan, math.inf, "3", True])
def test_a_truth_that_is_no_finite_number_is_refused(value):
    with pytest.raises(DataError, match="expected a finite number"):
        METRES.render(value)


@pytest.mark.parametrize(
    ("said", "truth", "score"),
    [  # thresholds are 1 - 0.50, ... 1 - 0.95, and equality counts where float64 says so
        (2.0, 2.0, 1.0),
        (2.1, 2.0, 1.0),  # 0.05000000000000004 <= 1 - 0.95 in float64
        (2.11, 2.0, 0.9),
        (1.5, 2.0, 0.6),
        (3.0, 4.0, 0.6),
        (5.0, 4.0, 0.6),
        (2.0, 4.0, 0.1),
        (6.0, 4.0, 0.1),
        (3.0, 2.0, 0.1),
        (1.0, 4.0, 0.0),
        (8.01, 4.0, 0.0),
        (-2.0, 2.0, 0.0),
    ],
)
def test_mean_relative_accuracy_equals_frozen_cases_of_the_released_scorer(said, truth, score):
    assert mean_relative_accuracy(said, truth) == pytest.approx(score, abs=1e-12)


@given(st.floats(0, 1e3), st.floats(1e-3, 1e3))
def test_counting_allowed_errors_is_the_released_arithmetic_bit_for_bit(said, truth):
    released = (np.abs(np.float64(said) - np.float64(truth)) / np.float64(truth) <= 1 - np.linspace(0.5, 0.95, 10)).mean()
    assert mean_relative_accuracy(said, truth) == released


def test_equality_counts_where_the_other_published_scorer_differs():
    """The `<`, float32, + 1e-8 variant in circulation differs on exactly these 17 of 130 small-integer pairs."""
    halves = [(1, 2), (3, 2), (2, 4), (6, 4), (3, 6), (9, 6), (4, 8), (12, 8), (5, 10)]
    others = [(3, 4), (5, 4), (3, 5), (7, 5), (6, 8), (10, 8), (6, 10), (7, 10)]
    thresholds = np.linspace(0.5, 0.95, 10, dtype=np.float64).astype(np.float32)

    def variant(said, truth):
        error = abs(np.float32(said) - np.float32(truth)) / (np.float32(truth) + np.float32(1e-8))
        return (error < np.float32(1) - thresholds).mean()

    pairs = [(said, truth) for truth in range(1, 11) for said in range(13)]
    differing = [pair for pair in pairs if abs(mean_relative_accuracy(*pair) - variant(*pair)) > 1e-9]
    assert sorted(differing) == sorted(halves + others)
    assert all(mean_relative_accuracy(*pair) == pytest.approx(variant(*pair) + 0.1) for pair in differing)


def test_a_truth_of_zero_wants_a_reply_that_rounds_to_zero():
    assert COUNT.score("0", 0).score == 1.0
    assert METRES.score("0.004", 0.0).score == 1.0
    assert METRES.score("0.1", 0.0).score == 0.0
    assert METRES.score("0.1", 0.001).score == 0.0  # the truth as rendered is 0.00


def test_the_truth_is_the_rendered_one_so_a_perfect_reply_scores_one():
    assert Number(unit="m", decimals=0).score("1", 0.6).score == 1.0


def test_an_unparsable_reply_scores_zero_and_says_so():
    score = METRES.score("far away", 1.5)
    assert (score.score, score.is_parsed) == (0.0, False)
    assert "no single number" in score.explanation and "1.5 m" in score.explanation


def test_the_schema_bounds_and_quantises_the_number():
    assert METRES.json_schema() == {"type": "number", "minimum": 0.0, "maximum": 1000.0, "multipleOf": 0.01}
    assert COUNT.json_schema() == {"type": "integer", "minimum": 0, "maximum": 1000}


def test_the_instruction_names_the_unit():
    assert METRES.instruction() == "Answer with a number in metres."
    assert COUNT.instruction() == "Answer with a number."


@pytest.mark.parametrize(
    "options", [{"unit": "yd", "decimals": 1}, {"unit": "m", "decimals": -1}, {"unit": "m", "decimals": 1, "low": 2.0, "high": 1.0}]
)
def test_a_format_that_makes_no_sense_is_refused(options):
    with pytest.raises(DataError, match="number answer"):
        Number(**options)


def test_the_format_survives_its_row():
    assert format_from_row("number", METRES.to_row()) == METRES
    assert ANSWER_FORMATS["number"] is Number
    assert Answer(format=METRES, value=1.234).text == "1.23"
