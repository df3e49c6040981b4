"""What must not change, or must change in one known way, when the world is changed: every task, through its questions alone."""

from collections.abc import Iterator
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from handmade_circle import circle_facts
from handmade_facts import facts_of, handmade_facts
from handmade_situations import box_object, mirrored, scaled
from handmade_walk import walk_facts

from sightline.answers.box import Box
from sightline.answers.box3d import Box3d
from sightline.answers.choice import Choice
from sightline.answers.number import Number
from sightline.answers.point import Point
from sightline.answers.vector import Vector
from sightline.facts.fact import FactTable
from sightline.geometry.transforms import inverse
from sightline.questions import TASKS
from sightline.questions.check import check_all
from sightline.questions.engine import ask_all
from sightline.questions.question import Question, TaskOptions

WORLDS = {"room": handmade_facts(), "walk": walk_facts(), "circle": circle_facts()}
ON_A_WALK = ("appearance_order", "object_existence", "object_views", "room_size", "view_rotation")
WORLD_OF = dict.fromkeys(ON_A_WALK, "walk") | dict.fromkeys(("view_among", "view_around"), "circle")
FACTS = WORLDS["room"]
EVERY_TASK = pytest.mark.parametrize("task", TASKS)
# The fixtures draw points, matches, tracks and floors at random, in pixels and metres: those tables cannot be mirrored or scaled.
DRAWN = ("correspondence", "depth_", "dot_position", "point_", "room_size", "route_plan")
SEEN_FROM_AFAR = ("situated", "object_views", "view_rotation")  # 0.4 m beside a thing is another place there; or other draws
ANOTHER_DRAW = (  # one more object is one more to draw from: other questions, each still true
    "object_count",
    "object_distance",
    "object_existence",
    "object_size",
    "situated_direction",
    "situated_distance",
    "situated_existence",
)
CHOICES = [
    *("appearance_order", "camera_direction", "depth_comparison", "dot_position", "object_near_far", "relative_distance", "route_plan"),
    *("relative_direction_easy", "relative_direction_hard", "relative_direction_medium", "situated_direction"),
    *("view_among", "view_around", "view_rotation"),
]
SCALE = 2.0
LENGTHS = {"m": 1.0, "cm": 1.0, "mm": 1.0, "m2": 2.0}  # powers of the scale


def facts_for(task: str) -> FactTable:
    return WORLDS[WORLD_OF.get(task, "room")]


@cache
def changed(world: str, how: str) -> FactTable:
    """A world in the mirror, at another size, or with one more object that no image shows."""
    facts = WORLDS[world]
    if how == "more":
        zebra = box_object(99, "zebra", [40.0, 40.0, 1.0], [1.0, 1.0, 1.0])
        return facts_of(facts.frames.world_from_camera, (*facts.objects, zebra), scan_id=facts.scan_id)
    return replace(mirrored(facts) if how == "mirrored" else scaled(facts, SCALE), scan_id=facts.scan_id)


def changed_for(task: str, how: str) -> FactTable:
    return changed(WORLD_OF.get(task, "room"), how)


def asked(task: str, facts: FactTable, options: TaskOptions = TaskOptions(), seeds: int = 1) -> list[Question]:
    return [one for seed in range(seeds) for one in ask_all(facts, [task], seed=seed, options=options).questions]


def meaning(question: Question) -> str:
    """An answer in words: what the letter stands for, its colours replaced by the places of their dots."""
    form = question.answer.format
    words = form.option_of(question.answer.value) if isinstance(form, Choice) else question.answer.text
    for mark in question.marks:
        words = words.replace(f"({mark.colour} dot)", f"at {mark.frame_id}, {mark.u_px}, {mark.v_px}")
    return words


def subject(question: Question) -> tuple:
    """What a question is about, whatever its words, colours and letters."""
    spots = tuple((mark.frame_id, mark.u_px, mark.v_px) for mark in question.marks)
    return question.frame_ids, spots, question.object_ids


def together(before: list[Question], after: list[Question]) -> Iterator[tuple[Question, Question]]:
    """Questions in the same words about the same things, before and after."""
    there = {(subject(one)[0], subject(one)[2], told(one)): one for one in after}
    for one in before:
        if (subject(one)[0], subject(one)[2], told(one)) in there:
            yield one, there[subject(one)[0], subject(one)[2], told(one)]


def told(question: Question) -> str:
    """A question's words without the order of its options."""
    form = question.answer.format
    return question.text.removesuffix(form.listing) if isinstance(form, Choice) else question.text


def swapped_sides(words: str) -> str:
    return words.replace("left", "\0").replace("right", "left").replace("\0", "right")


@pytest.mark.parametrize("task", [one for one in TASKS if not one.startswith(DRAWN)])
def test_a_mirror_image_of_the_world_swaps_left_and_right_and_nothing_else(task):
    facts = facts_for(task)
    before, after = asked(task, facts, seeds=3), asked(task, changed_for(task, "mirrored"), seeds=3)
    assert len(after) >= 0.7 * len(before)
    assert check_all(after, changed_for(task, "mirrored")) == ()
    for one, other in together(before, after):
        form, value = one.answer.format, np.array(one.answer.value) if isinstance(one.answer.value, tuple) else one.answer.value
        asks_a_side = "left" in told(one) and not isinstance(form, Number) or "right" in told(one) and not isinstance(form, Number)
        if isinstance(form, Vector):
            assert np.allclose(other.answer.value, value * [-1, 1, 1], atol=2e-5)
        elif isinstance(form, Point):
            assert np.allclose(other.answer.value, [1000.0 - value[0], value[1]], atol=1e-6)
        elif isinstance(form, Box):
            assert np.allclose(other.answer.value, [1000.0 - value[2], value[1], 1000.0 - value[0], value[3]], atol=1e-6)
        elif isinstance(form, Box3d):
            assert np.allclose(other.answer.value[:6], value[:6] * [-1, 1, 1, 1, 1, 1], atol=1e-6)
            assert abs((other.answer.value[6] + value[6] + 45.0) % 90.0 - 45.0) < 1e-6
        elif isinstance(form, Number) and not (task == "situated_count" and asks_a_side):
            assert other.answer.value == pytest.approx(value, abs=2e-5) or "to your" in one.text
        elif task.startswith(("camera_x", "camera_yaw", "object_left", "camera_direction", "relative_direction", "situated_direction")):
            assert meaning(other) == swapped_sides(meaning(one))


@pytest.mark.parametrize("task", [one for one in TASKS if not one.startswith((*DRAWN, *SEEN_FROM_AFAR))])
def test_in_a_world_twice_as_large_lengths_double_and_words_pixels_and_angles_stay(task):
    facts = facts_for(task)
    powers = {"_m": 1.0, "_cm": 1.0, "_m2": 2.0}
    margins = {name: value * SCALE ** powers.get(f"_{name.rpartition('_')[2]}", 0.0) for name, value in TASKS[task].MARGINS.items()}
    after = asked(task, changed_for(task, "scaled"), TaskOptions(extra={task: margins}), seeds=4)
    pairs = list(together(asked(task, facts, seeds=4), after))
    assert check_all(after, changed_for(task, "scaled")) == ()
    for one, other in pairs:
        form, value = one.answer.format, one.answer.value
        if isinstance(form, Number | Vector):
            larger = SCALE ** LENGTHS.get(form.unit, 0.0)
            assert np.allclose(other.answer.value, np.array(value) * larger, atol=5e-5), one.text
        elif isinstance(form, Box3d):
            assert np.allclose(other.answer.value, np.array(value) * [*[SCALE] * 6, 1.0], atol=1e-6)
        else:
            assert meaning(other) == meaning(one), one.text
    assert len(pairs) >= 4


@EVERY_TASK
def test_an_object_that_no_image_shows_changes_nothing_about_the_others(task):
    facts = facts_for(task)
    more = changed_for(task, "more")
    before, after = asked(task, facts), asked(task, more)
    assert check_all(before, more) == () and check_all([one for one in after if 99 not in one.object_ids], facts) == ()
    if task not in ANOTHER_DRAW:
        assert [(one.text, one.answer.text) for one in before] == [(one.text, one.answer.text) for one in after]
    else:
        assert all(meaning(one) == meaning(other) for one, other in together(before, after))


@pytest.mark.parametrize("task", [one for one in TASKS if one.startswith("camera_") and "object" not in one])
def test_the_way_back_is_the_way_there_turned_round(task):
    by_pair = {one.frame_ids: one for one in asked(task, FACTS, TaskOptions(max_per_scan=400, max_per_frame=400), seeds=4)}
    pairs = [(one, by_pair[frames[::-1]]) for frames, one in by_pair.items() if frames[::-1] in by_pair]
    assert len(pairs) >= 2
    poses = dict(zip(FACTS.frames.frame_ids, FACTS.frames.world_from_camera))
    for one, other in pairs:
        if task in ("camera_distance", "camera_yaw_angle", "camera_pitch_angle"):
            assert other.answer.value == pytest.approx(one.answer.value, abs=2e-5)
        elif task == "camera_vector":
            turn = (inverse(poses[one.frame_ids[1]]) @ poses[one.frame_ids[0]])[:3, :3]
            assert np.allclose(other.answer.value, -turn @ one.answer.value, atol=5e-5)
        elif task in ("camera_yaw_movement", "camera_pitch_movement"):
            assert meaning(other) != meaning(one)  # turned back; steps are told in each camera's own axes and need not be opposite


@pytest.mark.parametrize("task", CHOICES)
def test_the_right_option_is_the_same_whatever_its_letter(task):
    facts = facts_for(task)
    shuffled, fixed = asked(task, facts), asked(task, facts, TaskOptions(shuffle_options=False))
    assert check_all(fixed, facts) == ()
    turned_round = []
    for one in shuffled:
        options = one.answer.format.options
        for turn in range(1, len(options)):
            turned = Choice(options=(*options[turn:], *options[:turn]))
            right = turned.letter_of(one.answer.format.option_of(one.answer.value))
            text = one.text.removesuffix(one.answer.format.listing) + turned.listing
            turned_round.append(replace(one, text=text, answer=replace(one.answer, format=turned, value=right)))
            assert meaning(turned_round[-1]) == meaning(one)
    assert check_all(turned_round, facts) == ()
    assert len({one.answer.value for one in shuffled}) >= 2


@pytest.mark.parametrize("task", ["object_height", "object_length", "object_size", "object_width"])
def test_fewer_frames_that_still_show_a_thing_change_no_size(task):
    fewer = facts_of(FACTS.frames.world_from_camera[::2], FACTS.objects)
    sizes = {one.object_ids: one.answer.value for one in asked(task, FACTS, seeds=3)}
    again = {one.object_ids: one.answer.value for one in asked(task, fewer, seeds=3)}
    assert len(set(sizes) & set(again)) >= 3
    assert all(again[one] == pytest.approx(sizes[one], abs=1e-6) for one in set(sizes) & set(again))
