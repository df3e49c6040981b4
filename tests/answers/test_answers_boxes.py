"""Boxes in images and in space, and sets of images: overlaps that pencil and paper give, round trips, replies in the wild."""

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sightline.answers import format_from_row
from sightline.answers.box import Box, intersection_over_union
from sightline.answers.box3d import Box3d, box_iou
from sightline.answers.image_set import ImageSet
from sightline.errors import DataError

IN_IMAGE = Box(width=640, height=480)
IN_SPACE = Box3d()
FOUR = ImageSet(count=4)
CUBE = (0.0, 2.0, 0.0, 1.0, 1.0, 1.0, 0.0)


def jsonable(form):
    return format_from_row(form.kind, json.loads(json.dumps(form.to_row())))


@pytest.mark.parametrize("form", [IN_IMAGE, Box(width=320, height=240, scale="pixels"), IN_SPACE, FOUR])
def test_a_format_survives_its_row(form):
    assert jsonable(form) == form
    assert form.instruction().endswith(".")


# boxes in an image


@pytest.mark.parametrize("form", [IN_IMAGE, Box(width=320, height=240, scale="pixels")])
def test_pixels_come_back_from_a_box(form):
    assert form.to_px(form.from_px(-0.5, 10.0, 99.5, 200.25)) == pytest.approx((-0.5, 10.0, 99.5, 200.25))


@pytest.mark.parametrize(
    ("other", "shared"),
    [
        ((0, 0, 10, 10), 1.0),
        ((5, 0, 15, 10), 1 / 3),
        ((0, 5, 10, 10), 0.5),
        ((2, 2, 8, 8), 0.36),
        ((10, 0, 20, 10), 0.0),
        ((20, 20, 30, 30), 0.0),
        ((8, 8, 2, 2), 0.0),
        ((5, 5, 5, 9), 0.0),
    ],
)
def test_two_rectangles_share_what_a_drawing_shows(other, shared):
    assert intersection_over_union((0, 0, 10, 10), other) == pytest.approx(shared)
    assert intersection_over_union(other, (0, 0, 10, 10)) == pytest.approx(shared)


def test_the_whole_image_runs_from_zero_to_a_thousand():
    assert IN_IMAGE.from_px(-0.5, -0.5, 639.5, 479.5) == pytest.approx((0.0, 0.0, 1000.0, 1000.0))
    pixels = Box(width=640, height=480, scale="pixels")
    assert pixels.from_px(-0.5, 3, 639.5, 479.5) == (-0.5, 3.0, 639.5, 479.5)
    assert pixels.render((-0.5, 3.0, 639.5, 479.5)) == "[0, 3, 640, 480]"


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        ("[100, 200, 300, 400]", (100, 200, 300, 400)),
        ("100 200 300 400", (100, 200, 300, 400)),
        ("The box is (100, 200, 300, 400).", (100, 200, 300, 400)),
        ("```json\n[100,200,300,400]\n```", (100, 200, 300, 400)),
        ("[100, 200, 300]", None),
        ("[1, 2, 3, 4] or [5, 6, 7, 8]", None),
        ("", None),
        ("on the left", None),
    ],
)
def test_a_box_is_read_from_a_reply(reply, said):
    assert IN_IMAGE.parse(reply) == said
    assert IN_IMAGE.score(reply, (100.0, 200.0, 300.0, 400.0)).is_parsed == (said is not None)


def test_a_box_scores_its_overlap_with_the_truth_as_it_is_said():
    truth = (100.4, 199.6, 300.2, 400.3)
    assert IN_IMAGE.score(IN_IMAGE.render(truth), truth).score == 1.0
    assert IN_IMAGE.score("[100, 200, 200, 400]", truth).score == pytest.approx(0.5)
    assert IN_IMAGE.score("[300, 200, 100, 400]", truth).score == 0.0
    assert IN_IMAGE.score("[500, 500, 600, 600]", truth).score == 0.0


@pytest.mark.parametrize("bad", [(1, 2, 3), (1, 2, math.nan, 4), (5, 1, 4, 9), (1.2, 1, 1.4, 9), "1234"])
def test_a_truth_that_is_no_box_is_refused(bad):
    with pytest.raises(DataError, match="box answer"):
        IN_IMAGE.render(bad)


def test_unknown_scales_and_empty_images_are_refused():
    with pytest.raises(DataError, match="scale"):
        Box(width=10, height=10, scale="percent")
    with pytest.raises(DataError, match="size above 0"):
        Box(width=0, height=10)


# boxes in space


@pytest.mark.parametrize(
    ("other", "shared"),
    [
        (CUBE, 1.0),
        ((0.5, 2, 0, 1, 1, 1, 0), 1 / 3),
        ((0, 2, 0.5, 1, 1, 1, 0), 1 / 3),
        ((0, 2, 0, 1, 1, 2, 0), 0.5),
        ((0, 2, 0, 0.5, 0.5, 0.5, 0), 0.125),
        ((0, 2, 0, 1, 1, 1, 45), (2 * math.sqrt(2) - 2) / (2 - (2 * math.sqrt(2) - 2))),  # two squares at 45 degrees share an octagon
        ((1, 2, 0, 1, 1, 1, 0), 0.0),
        ((0, 2, 1, 1, 1, 1, 0), 0.0),
        ((9, 9, 9, 1, 1, 1, 30), 0.0),
        ((0, 2, 0, 3, 0.2, 1, 30), 0.2 / math.cos(math.radians(30)) / (1 + 0.6 - 0.2 / math.cos(math.radians(30)))),  # a bar across
    ],
)
def test_two_boxes_share_what_geometry_says(other, shared):
    assert box_iou(CUBE, other) == pytest.approx(shared, abs=1e-12)
    assert box_iou(other, CUBE) == pytest.approx(shared, abs=1e-12)


def test_half_a_turn_and_exchanged_sides_are_the_same_box():
    box = (1.0, 3.0, -0.4, 2.0, 0.7, 0.9, 25.0)
    for same in ((1.0, 3.0, -0.4, 2.0, 0.7, 0.9, -155.0), (1.0, 3.0, -0.4, 0.7, 2.0, 0.9, 115.0), (1.0, 3.0, -0.4, 0.7, 2.0, 0.9, -65.0)):
        assert IN_SPACE.score(IN_SPACE.render(same), box).score == 1.0
    assert IN_SPACE.score(IN_SPACE.render((1.0, 3.0, -0.4, 0.7, 2.0, 0.9, 25.0)), box).score < 0.5


def test_the_overlap_agrees_with_counting_random_points():
    rng = np.random.default_rng(0)
    for _ in range(8):
        first, second = (
            (*rng.uniform(-0.3, 0.3, 3).tolist(), *rng.uniform(0.5, 1.5, 3).tolist(), float(rng.uniform(-90, 90))) for _ in range(2)
        )
        points = rng.uniform(-1.6, 1.6, (200_000, 3))
        inside = []
        for x, y, z, *size, yaw in (first, second):
            turn = np.exp(-1j * np.radians(yaw))
            level = (points[:, 0] - x + 1j * (points[:, 1] - y)) * turn
            own = np.stack([level.real, level.imag, points[:, 2] - z], axis=1)
            inside.append((np.abs(own) <= np.array(size) / 2).all(axis=1))
        counted = (inside[0] & inside[1]).sum() / (inside[0] | inside[1]).sum()
        assert box_iou(first, second) == pytest.approx(counted, abs=0.02)


SIZES = st.floats(0.05, 8.0)
PLACES = st.floats(-20.0, 20.0)
BOXES = st.tuples(PLACES, PLACES, PLACES, SIZES, SIZES, SIZES, st.floats(-90.0, 90.0))


@settings(max_examples=200, deadline=None)
@given(BOXES, BOXES)
def test_any_box_reads_back_scores_one_and_overlaps_within_bounds(first, second):
    said = IN_SPACE.parse(IN_SPACE.render(first))
    assert said == pytest.approx(first, abs=0.51) and said[:6] == pytest.approx(first[:6], abs=0.00501)
    assert IN_SPACE.score(IN_SPACE.render(first), first).score == 1.0
    assert 0.0 <= box_iou(first, second) <= 1.0
    assert box_iou(first, second) == pytest.approx(box_iou(second, first), abs=1e-9)


SAID = '{"centre_m":[0.0,2.0,0.0],"size_m":[1.0,1.0,1.0],"yaw_deg":0}'


@pytest.mark.parametrize(
    ("reply", "is_read"),
    [
        (SAID, True),
        (f"```json\n{SAID}\n```", True),
        (f"Here it is: {SAID} as asked.", True),
        (f"{SAID} {SAID}", True),
        (SAID.replace(",", " , \n"), True),
        (SAID.replace("centre", "center"), True),
        (f"{SAID} or {SAID.replace('2.0', '3.0')}", False),
        (SAID.replace('"yaw_deg":0', '"yaw_deg":NaN'), False),
        (SAID.replace('"yaw_deg":0', '"yaw_deg":true'), False),
        (SAID.replace('"yaw_deg":0', '"yaw_deg":"0"'), False),
        (SAID.replace("[1.0,1.0,1.0]", "[1.0,1.0,0.0]"), False),
        (SAID.replace("[1.0,1.0,1.0]", "[1.0,1.0]"), False),
        (SAID.replace(',"yaw_deg":0', ""), False),
        (SAID.replace('"yaw_deg":0', '"yaw_deg":0,"label":"chair"'), False),
        ("[0, 2, 0, 1, 1, 1, 0]", False),
        ("{" * 5000, False),
        ('{"a":' * 100_000, False),
        ("", False),
    ],
)
def test_json_in_a_reply_is_read_strictly_but_kindly(reply, is_read):
    assert (IN_SPACE.parse(reply) == CUBE) == is_read
    assert IN_SPACE.score(reply, CUBE).score == float(is_read)


def test_what_is_no_box_is_not_rendered():
    for bad in ((1.0,) * 6, (0, 0, 0, 1, 1, -1, 0), (0, 0, 0, 1, 1, 0.001, 0), (0, 0, math.inf, 1, 1, 1, 0), "seven77"):
        with pytest.raises(DataError, match="box3d answer"):
            IN_SPACE.render(bad)
    assert IN_SPACE.render((-0.001, 0, 0, 1, 1, 1, -0.2)) == '{"centre_m":[0.0,0.0,0.0],"size_m":[1.0,1.0,1.0],"yaw_deg":0}'


# sets of images


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        ("1, 3", (1.0, 3.0)),
        ("3,1", (1.0, 3.0)),
        ("[1, 3]", (1.0, 3.0)),
        ("1 and 3", (1.0, 3.0)),
        ("Images 1 and 3.", (1.0, 3.0)),
        ("**2**", (2.0,)),
        ("It is shown in image 2.", (2.0,)),
        ("none", ()),
        ("None.", ()),
        ("no images", ()),
        ("None of the images", ()),
        ("1, 5", None),
        ("0", None),
        ("1-3", None),
        ("1 to 3", None),
        ("1 or 3", None),
        ("not 2", None),
        ("all but 2", None),
        ("1, 2 but not 3", None),
        ("1.5", None),
        ("-1", None),
        ("", None),
        ("the chair", None),
        (None, None),
    ],
)
def test_a_set_of_images_is_read_from_a_reply(reply, said):
    assert FOUR.parse(reply) == said


def test_only_exactly_the_true_set_is_right():
    assert FOUR.score("1, 3", (1.0, 3.0)).score == 1.0
    assert FOUR.score("1", (1.0, 3.0)).score == FOUR.score("1, 2, 3", (1.0, 3.0)).score == FOUR.score("none", (1.0, 3.0)).score == 0.0
    assert FOUR.score("none", ()).score == 1.0 and FOUR.score("4", ()).score == 0.0
    assert not FOUR.score("perhaps", ()).is_parsed


def test_every_set_is_in_the_schema_and_reads_back():
    texts = FOUR.json_schema()["enum"]
    assert len(texts) == len(set(texts)) == 16
    assert all(FOUR.render(FOUR.parse(text)) == text for text in texts)


@pytest.mark.parametrize("bad", [(0.0,), (5.0,), (1.0, 1.0), (1.5,)])
def test_numbers_of_no_image_are_refused(bad):
    with pytest.raises(DataError, match="image_set answer"):
        FOUR.render(bad)


@pytest.mark.parametrize("count", [1, 9, 2.0])
def test_a_set_is_of_two_to_eight_images(count):
    with pytest.raises(DataError, match="images"):
        ImageSet(count=count)
