"""Nearest objects, orders of appearance and sizes of rooms: closed forms, both sides of every margin, planted errors."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from handmade_facts import facts_of, handmade_facts, ring_of_cameras
from handmade_layout import DIRECTIONS, VIDEO, VSI, WALK, box_object, laid_out, questions, said, skips, views_of
from handmade_walk import RING, walk_facts

from sightline.answers.answer import Answer
from sightline.answers.choice import Choice
from sightline.captures.capture import Room, Structure
from sightline.facts.fact import RoomFacts
from sightline.facts.rooms import rooms_of
from sightline.geometry.transforms import look_at
from sightline.questions import TASKS
from sightline.questions.check import check_all
from sightline.questions.checks.scene import _area_by_slices, _turns_around
from sightline.questions.engine import ask_all
from sightline.questions.question import TaskOptions

# Relative distance


def nearest_facts(first_gap_m, second_gap_m):
    """A chair with four cubes of 40 cm in a row of directions, the two nearest at these gaps."""
    others = [("lamp", 0, first_gap_m), ("plant", 90, second_gap_m), ("sofa", 180, 3.0), ("oven", 270, 4.0)]
    objects = [box_object(0, "chair", [0, 0, 1])]
    for object_id, (category, angle_deg, gap_m) in enumerate(others, start=1):
        angle = np.radians(angle_deg)
        objects.append(box_object(object_id, category, [(0.4 + gap_m) * np.cos(angle), (0.4 + gap_m) * np.sin(angle), 1]))
    return laid_out(objects)


@pytest.mark.parametrize(
    ("first_m", "second_m", "nearest"),
    [
        (0.5, 0.66, "lamp"),
        (0.5, 0.64, None),  # 14 cm apart
        (2.0, 2.30, None),  # 30 cm apart, but that is 13 %
        (2.0, 2.40, "lamp"),
        (2.40, 2.0, "plant"),
        (0.0, 0.2, "lamp"),
    ],
)
def test_the_nearest_wins_by_a_margin_in_metres_and_in_per_cent(first_m, second_m, nearest):
    asked = [one for one in questions(nearest_facts(first_m, second_m), "relative_distance") if one.object_ids[0] == 0]
    assert {said(one) for one in asked} == ({nearest} if nearest else set())
    for one in asked:
        assert sorted(one.answer.format.options) == ["lamp", "oven", "plant", "sofa"] and "the chair" in one.text


def test_the_other_margins_of_a_relative_distance_drop_what_they_say():
    touching = {"relative_distance": {"min_nearest_m": 0.15}}
    assert not [one for one in questions(nearest_facts(0.1, 1.0), "relative_distance", extra=touching) if one.object_ids[0] == 0]
    assert [one for one in questions(nearest_facts(0.2, 1.0), "relative_distance", extra=touching) if one.object_ids[0] == 0]
    apart = {"relative_distance": {"min_between_m": 0.15}}
    assert not [one for one in questions(nearest_facts(0.2, 2.9), "relative_distance", extra=apart) if one.object_ids[0] == 0]
    assert [one for one in questions(nearest_facts(0.2, 2.9), "relative_distance") if one.object_ids[0] == 0]


def test_an_object_is_right_about_once_in_the_four_times_it_is_offered():
    right, offered, asked = Counter(), Counter(), 0
    for seed in range(4):
        facts = handmade_facts(seed=seed)
        for one in ask_all(facts, ["relative_distance"], seed=0, options=TaskOptions(max_per_frame=1000)).questions:
            asked += 1
            right[seed, said(one)] += 1
            offered.update((seed, option) for option in one.answer.format.options)
    assert asked > 60
    for key in offered:
        assert right[key] <= offered[key] / 4.0 + 2.6, key


# Order of appearance


def appearing(table, *, frames=8):
    """Objects 0, 1, ... of the ring's categories, seen as `{object_id: {frame: visible_share}}`."""
    objects = tuple(box_object(one, RING[one], [float(one), 3.0, 1.0]) for one in table)
    facts = facts_of(ring_of_cameras(frames), objects)
    return replace(facts, **views_of(table))


STEPS = {0: {0: 0.5}, 1: {2: 0.5, 3: 0.5}, 2: {4: 0.5}, 3: {6: 0.5, 1: 0.0}}
ORDER = TaskOptions(video_frames=8)


def orders(table, **margins):
    options = replace(ORDER, extra={"appearance_order": margins})
    return {said(one) for one in questions(appearing(table), "appearance_order", options=options)}


def test_the_order_is_that_of_the_first_frames():
    later = {**STEPS, 3: {6: 0.5}}
    assert orders(later) == {"chair, table, lamp, cabinet"}
    assert orders({**later, 0: {7: 0.5}}) == {"table, lamp, cabinet, chair"}


def test_an_object_that_is_glimpsed_before_it_is_clear_has_no_place_in_an_order():
    assert orders({**STEPS, 3: {6: 0.5, 1: 0.05}}) == set()
    assert orders({**STEPS, 3: {6: 0.5, 7: 0.05}}) == {"chair, table, lamp, cabinet"}
    counts = ask_all(appearing({**STEPS, 3: {6: 0.5, 1: 0.05}}), ["appearance_order"], seed=0, options=ORDER).skip_counts
    assert counts["appearance_order"]["glimpsed_before_it_is_clear"] == 1


def test_two_that_appear_in_one_frame_are_not_put_in_order_and_steps_can_be_asked_for():
    later = {**STEPS, 3: {6: 0.5}}
    assert orders({**later, 1: {0: 0.5}}) == set()
    assert orders(later, min_step_count=2) == {"chair, table, lamp, cabinet"}
    assert orders(later, min_step_count=3) == set()


def test_wrong_orders_are_any_other_orders_and_the_mention_tells_nothing():
    same_place, listed_first = [], []
    for seed in range(4):
        for one in ask_all(walk_facts(seed=seed), ["appearance_order"], seed=seed, options=TaskOptions()).questions:
            right = said(one).split(", ")
            assert all(sorted(option.split(", ")) == sorted(right) for option in one.answer.format.options)
            before = one.text.split(" A. ")[0].lower()
            listed = sorted(right, key=lambda name: before.index(f"the {name.lower()}"))
            listed_first.append(listed[0] == right[0])
            others = [option.split(", ") for option in one.answer.format.options if option != said(one)]
            same_place += [sum(a == b for a, b in zip(other, right)) for other in others]
    assert len(listed_first) > 80
    assert abs(np.mean(listed_first) - 0.25) < 0.12
    assert abs(np.mean(same_place) - 20 / 23) < 0.15  # places that the 23 other orders of four share with one: 8 * 1 + 6 * 2 of them


# Room size


def room(index, low_x, high_x, *, depth_m=4.0):
    outline = np.array([[low_x, 0.0], [high_x, 0.0], [high_x, depth_m], [low_x, depth_m]])
    return Room(room_index=index, label="room", outline_world=outline, floor_z_m=0.0, ceiling_z_m=2.5)


def flat_facts(*, seen=(True, True), split=4):
    """Two rooms of 12 and 20 m2; frames 0 to 3 stand in the first, 4 to 7 in the second; points on the floor of the rooms that are seen."""
    structure = Structure(rooms=(room(0, 0.0, 3.0), room(1, 3.0, 8.0)), walls=(), openings=())
    eyes = [np.array([1.5 if index < split else 5.5, 2.0, 1.5]) for index in range(8)]
    poses = np.array([look_at(eye, eye + [np.cos(index), np.sin(index), -0.5]) for index, eye in enumerate(eyes)])
    facts = facts_of(poses, None)
    rows = []
    for frame in range(8):
        low_x, high_x = (0.0, 3.0) if frame < split else (3.0, 8.0)
        if seen[int(frame >= split)]:
            rows += [(frame, x, y) for x in np.linspace(low_x, high_x, 7) for y in np.linspace(0.0, 4.0, 7)]
    points = np.array(rows)
    sampled = replace(
        facts.points,
        frame=points[:, 0].astype(np.int32),
        uv=np.zeros((len(points), 2)),
        depth_m=np.ones(len(points)),
        point_world=np.c_[points[:, 1:], np.zeros(len(points))],
        object_id=np.full(len(points), -1, dtype=np.int32),
    )
    return replace(facts, structure=structure, rooms=rooms_of(structure), points=sampled)


def test_few_images_are_asked_of_the_room_they_were_taken_in():
    asked = questions(flat_facts(), "room_size")
    assert {(one.answer.text, int(one.frame_ids[0]) < 4) for one in asked} == {("12.0", True), ("20.0", False)}
    assert all("the room in which" in one.text and "all rooms" not in one.text for one in asked)
    assert asked[0].answer.format.instruction() == "Answer with a number in square metres."
    assert check_all(asked, flat_facts()) == ()


def test_a_video_through_two_rooms_is_asked_for_both_together_and_says_so():
    facts = flat_facts()
    asked = questions(facts, "room_size", video_frames=8)
    assert {one.answer.text for one in asked} == {"32.0"} and all("all rooms that the camera enters" in one.text for one in asked)
    in_one = flat_facts(split=8)
    alone = questions(in_one, "room_size", video_frames=8)
    assert {one.answer.text for one in alone} == {"12.0"} and all("the room in which" in one.text for one in alone)
    assert check_all(asked, facts) == () and check_all(alone, in_one) == ()


def test_a_room_of_which_little_was_seen_is_not_asked_for_and_neither_is_a_sum_with_it():
    facts = flat_facts(seen=(True, False))
    assert {one.answer.text for one in questions(facts, "room_size")} == {"12.0"}
    assert skips(facts, "room_size") == {"room_not_seen_whole": 1}
    assert questions(facts, "room_size", video_frames=8) == []
    larger = flat_facts(seen=(False, True))  # 20 of 32 m2 is more than half, but the other room was not seen at all
    assert questions(larger, "room_size", video_frames=8, extra={"room_size": {"min_seen_share": 0.5}}) == []


def test_the_seen_share_of_a_room_is_the_hull_of_its_points_over_its_own():
    """Points on 80 % of the width: asked at 75 %, not at 85 %."""
    facts = flat_facts(split=8)
    near = replace(facts.points, point_world=facts.points.point_world * np.array([0.8, 1.0, 1.0]))
    facts = replace(facts, points=near)
    asked = questions(facts, "room_size")
    assert asked and all(0.73 < one.evidence["seen_share"] <= 0.80 for one in asked)  # points on walls count 5 cm off them
    assert questions(facts, "room_size", extra={"room_size": {"min_seen_share": 0.85}}) == []


def test_without_outlines_the_floor_that_was_seen_is_asked_for_as_the_whole_space():
    facts = flat_facts()
    seen = RoomFacts(
        room_index=np.zeros(1, np.int32), area_m2=np.array([31.4]), centre_world=np.zeros((1, 3)), from_outline=np.zeros(1, bool)
    )
    facts = replace(facts, structure=None, rooms=seen)
    asked = questions(facts, "room_size", video_frames=8)
    assert {one.answer.text for one in asked} == {"31.4"} and all(
        "the whole space that these video frames show" in one.text for one in asked
    )
    assert check_all(asked, facts) == ()
    assert skips(facts, "room_size", extra={"room_size": {"outline_only": 1.0}}) == {"outline_not_known": 1}


def test_the_second_method_knows_an_outline_with_a_corner_cut_out():
    outline = np.array([[0.0, 0.0], [4.0, 0.0], [4.0, 1.0], [1.0, 1.0], [1.0, 3.0], [0.0, 3.0]])
    angle = np.radians(31.0)
    turned = outline @ np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]) + [5.0, -2.0]
    assert _area_by_slices(outline) == pytest.approx(6.0) and _area_by_slices(turned) == pytest.approx(6.0)
    assert _turns_around(outline, np.array([0.5, 2.0])) and not _turns_around(outline, np.array([2.0, 2.0]))


# Planted errors, and the neighbours' filters


def wrong_ones(question):
    """Ways in which a question could be wrong."""
    form, value = question.answer.format, question.answer.value
    if isinstance(form, Choice):
        yield from (replace(question, answer=Answer(format=form, value=letter)) for letter in form.letters if letter != value)
    else:
        for wrong in (value + 1, value - 1) if question.task == "object_count" else (0.8 * value, 1.2 * value):
            yield replace(question, answer=Answer(format=form, value=wrong))
    if question.task == "appearance_order":
        yield replace(question, frame_ids=question.frame_ids[::-1])
    if question.task in DIRECTIONS:
        yield replace(question, object_ids=(question.object_ids[1], question.object_ids[0], question.object_ids[0]))


@pytest.mark.parametrize("task", VSI)
@pytest.mark.parametrize("options", [TaskOptions(), VIDEO], ids=["few", "video"])
def test_planted_errors_are_found(task, options):
    planted = [wrong for one in questions(WALK, task, options=options) for wrong in wrong_ones(one)]
    assert planted and all(check_all([one], WALK) for one in planted)


THEIRS = {
    "object_count": {"min_count": 2},
    "object_distance": {"min_in_last_digits": 0, "min_distance_m": 0.2},
    "relative_distance": {"min_lead_m": 0.0, "min_lead_share": 0.0, "min_nearest_m": 0.15, "min_between_m": 0.15},
    **{
        task: {
            "min_border_deg": 10.0,
            "max_corners_beyond": 2,
            "max_faced_deg": 360.0,
            "min_apart_m": 0.0,
            "min_gap_m": 0.3,
            "max_gap_m": 5.0,
        }
        for task in DIRECTIONS
    },
}


@pytest.mark.parametrize("task", THEIRS)
def test_the_filters_of_vsi_bench_can_be_set_by_name(task):
    assert set(THEIRS[task]) <= set(TASKS[task].MARGINS)
    facts = handmade_facts()
    asked = questions(facts, task, extra=THEIRS)
    assert asked
    if task == "relative_distance":
        for one in asked:
            assert one.evidence["nearest_m"] >= 0.15 and one.evidence["second_m"] - one.evidence["nearest_m"] >= 0.15 - 1e-4
    if task in DIRECTIONS:
        assert min(one.evidence["border_deg"] for one in asked) < 15.0
