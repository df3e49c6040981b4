"""Points, boxes, existence and sets of images: answers that follow from where a camera stands and looks."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from handmade_facts import CAMERA, handmade_facts
from handmade_situations import EAST, EYE, NORTH, SOUTH, WEST, box_object, questions, said, scene, skips, wrong_answers
from handmade_walk import walk_facts

from sightline.geometry.transforms import look_at
from sightline.questions.box_views import BoxViews
from sightline.questions.check import check_all
from sightline.questions.engine import ask_all
from sightline.questions.object_box_3d import seen_level
from sightline.questions.question import TaskOptions

FACTS, WALK = handmade_facts(), walk_facts()
GROUNDING = ("object_box", "object_box_3d", "object_existence", "object_point", "object_views")
CHAIR = box_object(0, "chair", [0.5, 4, 1.2], [0.6, 0.6, 0.6])


def facts_for(task):
    return WALK if task in ("object_existence", "object_views") else FACTS


# points


def test_every_corner_of_the_visible_part_is_right_and_what_lies_farther_out_is_wrong():
    facts = scene([NORTH], CHAIR)
    (one,) = questions(facts, "object_point", seeds=[0])
    left, top, right, bottom = facts.object_views.box_uv[0]
    form = one.answer.format
    u, v = form.to_px(one.answer.value)
    assert (u, v) == pytest.approx(tuple(facts.object_views.anchor_uv[0]))
    for x, y in ((left, top), (right, top), (left, bottom), (right, bottom)):
        assert form.score(form.render(form.from_px(x, y)), one.answer.value).score == 1.0
        assert form.score(form.render(form.from_px(u + 1.2 * (x - u), v + 1.2 * (y - v))), one.answer.value).score == 0.0


@pytest.mark.parametrize(
    ("size", "reason"), [([0.6, 0.6, 0.6], None), ([1.6, 1.6, 1.6], "too_large_to_point_to"), ([0.2, 0.2, 1.7], "too_thin_to_point_to")]
)
def test_what_fills_the_image_or_is_a_mere_stroke_is_not_pointed_to(size, reason):
    facts = scene([NORTH], box_object(0, "chair", [0.0, 4, 1.5], size))
    if reason:
        assert skips(facts, "object_point") == {reason: 1}
    else:
        assert questions(facts, "object_point", seeds=[0])


@pytest.mark.parametrize("task", ["object_point", "object_box"])
@pytest.mark.parametrize(
    ("other", "is_asked"),
    [
        (box_object(1, "chair", [-1, 4, 1.2], [0.6, 0.6, 0.6]), False),  # beside it
        (box_object(1, "armchair", [-1, 4, 1.2], [0.6, 0.6, 0.6]), False),  # by nearly the same name
        (box_object(1, "chair", [0, -4, 1.2], [0.6, 0.6, 0.6]), True),  # behind the camera
        (box_object(1, "table", [-1, 4, 1.2], [0.6, 0.6, 0.6]), True),
    ],
)
def test_a_name_must_mean_one_thing_in_the_image(task, other, is_asked):
    asked = [one for one in questions(scene([NORTH], CHAIR, other), task) if one.object_ids == (0,)]
    assert bool(asked) == is_asked


@pytest.mark.parametrize("task", ["object_point", "object_box"])
def test_a_second_chair_that_is_only_hidden_makes_the_name_unclear(task):
    facts = scene([NORTH], CHAIR, box_object(1, "chair", [0.5, 6, 1.2], [0.4, 0.4, 0.4]))
    views = facts.object_views
    only_first = {name: getattr(views, name)[:1] for name in views.__dataclass_fields__}
    assert skips(replace(facts, object_views=type(views)(**only_first)), task) == {"name_not_unique_in_image": 1}


# boxes in the image


@pytest.mark.parametrize("scale", ["pixels", "thousandths"])
def test_the_box_is_that_of_the_visible_pixels(scale):
    facts = scene([NORTH], CHAIR)
    facts = replace(facts, object_views=replace(facts.object_views, box_uv=np.array([[159.5, 119.5, 191.5, 179.5]])))
    (one,) = questions(facts, "object_box", seeds=[0], point_scale=scale)
    assert one.answer.value == pytest.approx((159.5, 119.5, 191.5, 179.5) if scale == "pixels" else (500.0, 500.0, 600.0, 750.0))


@pytest.mark.parametrize(("hidden", "is_asked"), [(0.49, True), (0.51, False), (np.nan, False)])
def test_what_is_mostly_hidden_is_not_boxed(hidden, is_asked):
    facts = scene([NORTH], CHAIR)
    facts = replace(facts, object_views=replace(facts.object_views, hidden_share=np.array([hidden])))
    assert bool(questions(facts, "object_box")) == is_asked


# boxes in space

TABLE = box_object(0, "table", [1.0, 4.0, 0.5], [2.0, 1.0, 1.0], 30.0)
LOOKING_DOWN = look_at(EYE, EYE + [0.0, 5.0, -3.0])


@pytest.mark.parametrize(
    ("pose", "wanted"),
    [
        (NORTH, (1.0, 4.0, -1.0, 2.0, 1.0, 1.0, 30.0)),
        (LOOKING_DOWN, (1.0, 4.0, -1.0, 2.0, 1.0, 1.0, 30.0)),  # the frame stays level
        (EAST, (-4.0, 1.0, -1.0, 2.0, 1.0, 1.0, -60.0)),
        (WEST, (4.0, -1.0, -1.0, 2.0, 1.0, 1.0, -60.0)),
        (SOUTH, (-1.0, -4.0, -1.0, 2.0, 1.0, 1.0, 30.0)),
    ],
)
def test_a_box_is_seen_from_the_level_first_camera(pose, wanted):
    found = seen_level(TABLE, pose)
    assert found == pytest.approx(wanted)


def test_the_first_image_is_the_origin_also_where_two_are_shown():
    stepped = look_at(EYE + [1.0, 0.0, 0.0], EYE + [1.0, 5.0, 0.0])
    facts = scene([NORTH, stepped], TABLE)
    asked = questions(facts, "object_box_3d", seeds=range(12))
    assert {len(one.frame_ids) for one in asked} == {1, 2}
    for one in asked:
        assert one.answer.value[0] == pytest.approx(1.0 if one.frame_ids[0] == "000000" else 0.0)


def test_the_length_is_the_longer_side():
    turned = box_object(0, "table", [1.0, 4.0, 0.5], [1.0, 2.0, 1.0], -60.0)
    assert seen_level(turned, NORTH) == pytest.approx(seen_level(TABLE, NORTH))


@pytest.mark.parametrize(
    ("one", "pose", "reason"),
    [
        (box_object(0, "table", [0, 4, 0.9], [2.0, 1.0, 0.05]), NORTH, "too_flat"),
        (box_object(0, "table", [0, 9, 0.9], [2.0, 1.0, 1.0]), NORTH, "too_far_away"),
        (box_object(0, "table", [2.8, 4, 0.9], [2.0, 1.0, 1.0]), NORTH, "not_wholly_shown"),
        (box_object(0, "table", [0, 0.6, -0.4], [0.5, 0.5, 0.3]), look_at(EYE, EYE + [0.0, 0.5, -1.5]), "camera_looks_up_or_down"),
    ],
)
def test_boxes_that_nobody_could_tell_are_not_asked_for(one, pose, reason):
    assert set(skips(scene([pose], one), "object_box_3d")) == {reason}


# existence and sets of images

AROUND = (
    box_object(0, "chair", [0, 4, 1.2], [0.6] * 3),
    box_object(1, "table", [0, -4, 1.2], [0.6] * 3),
    box_object(2, "lamp", [4, 0, 1.2], [0.6] * 3),
)


def test_a_thing_is_in_the_image_that_looks_at_it_and_in_no_other():
    facts = scene([NORTH, SOUTH, EAST, WEST], *AROUND)
    seen = {("chair", "000000"), ("table", "000001"), ("lamp", "000002")}
    asked = questions(facts, "object_existence", seeds=range(12))
    assert {said(one) for one in asked} == {"yes", "no"}
    for one in asked:
        assert (said(one) == "yes") == ((one.evidence["category"], one.frame_ids[0]) in seen)


def test_exactly_the_images_that_look_at_it_show_it():
    facts = scene([NORTH, SOUTH, EAST, WEST, WEST], *AROUND)
    asked = questions(facts, "object_views", seeds=range(6), max_per_frame=500)
    facing = {"chair": "000000", "table": "000001", "lamp": "000002"}
    assert len(asked) >= 5
    for one in asked:
        showing = [str(place + 1) for place, frame_id in enumerate(one.frame_ids) if frame_id == facing[one.evidence["category"]]]
        assert said(one) == (showing[0] if showing else "none")


def test_what_might_be_in_the_image_without_being_seen_is_neither_yes_nor_no():
    facts = scene([NORTH, SOUTH], AROUND[0], AROUND[1])
    views = facts.object_views
    unseen = {name: getattr(views, name)[views.object_id != 0] for name in views.__dataclass_fields__}
    hidden = replace(facts, object_views=type(views)(**unseen))
    assert not [one for one in questions(hidden, "object_existence") if one.evidence["category"] == "chair"]


@pytest.mark.parametrize(("x_m", "is_absent"), [(3.0, False), (3.85, False), (4.0, True), (5.0, True)])
def test_a_box_beyond_the_edge_with_room_to_spare_is_absent(x_m, is_absent):
    """With 0.1 m round it the box's far face is at y = 4.4, where the image and 2 % more end at 4.4 * 1.04 tan(37.5 degrees) = 3.51."""
    one = box_object(0, "chair", [x_m, 4, 1.5], [0.6] * 3)
    facts = scene([NORTH, SOUTH], one)
    assert BoxViews(facts).is_absent[0].tolist() == [is_absent, True]


# all of them


@pytest.mark.parametrize("task", GROUNDING)
def test_planted_errors_are_found(task):
    facts = facts_for(task)
    planted = found = 0
    for seed in range(2):
        for one in ask_all(facts, [task], seed=seed, options=TaskOptions()).questions:
            wrong = wrong_answers(one)
            planted += len(wrong)
            found += len(check_all(wrong, facts))
    assert planted > 60 and found == planted


@pytest.mark.parametrize("task", GROUNDING)
def test_an_image_that_is_exchanged_for_another_is_found(task):
    facts = facts_for(task)
    asked = ask_all(facts, [task], seed=0, options=TaskOptions()).questions
    ids = facts.frames.frame_ids
    across = {frame_id: ids[(index + len(ids) // 2) % len(ids)] for index, frame_id in enumerate(ids)}
    exchanged = [replace(one, frame_ids=tuple(across[each] for each in one.frame_ids), marks=()) for one in asked]
    found = len(check_all(exchanged, facts))
    assert found > 0.4 * len(asked) if task in ("object_existence", "object_views") else found > 0.9 * len(asked)


def test_yes_and_no_are_even_for_every_category():
    counted = Counter()
    for seed in range(8):
        counted.update(
            (one.evidence["category"], said(one)) for one in ask_all(WALK, ["object_existence"], seed=seed, options=TaskOptions()).questions
        )
    for category in {category for category, _ in counted}:
        assert abs(counted[category, "yes"] - counted[category, "no"]) <= 0.35 * (counted[category, "yes"] + counted[category, "no"])


def test_no_set_of_images_is_much_more_frequent_than_others():
    answers = Counter(said(one) for seed in range(4) for one in ask_all(WALK, ["object_views"], seed=seed, options=TaskOptions()).questions)
    assert len(answers) == 16 and max(answers.values()) <= 0.15 * sum(answers.values())


def test_an_irrelevant_object_changes_no_answer():
    for task in ("object_box", "object_point"):
        found = [
            {(one.object_ids, one.answer.text) for one in questions(scene([NORTH], CHAIR, *more), task)}
            for more in ((), (box_object(9, "bin", [-2, 4, 1.2], [0.5] * 3),))
        ]
        assert found[0] == {each for each in found[1] if each[0] == (0,)} and found[0]
    assert CAMERA.width == 320
