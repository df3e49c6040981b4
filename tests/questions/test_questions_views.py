"""View taking in closed form: quarters and their margins, what the standing image shows, mirror images, and planted errors."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from handmade_circle import circle_facts
from handmade_walk import walk_facts

from sightline.answers.answer import Answer
from sightline.questions import TASKS
from sightline.questions.check import check_all
from sightline.questions.engine import ask_all
from sightline.questions.question import TaskOptions
from sightline.questions.viewpoints import BACK, FRONT, LEFT, RIGHT, UNCLEAR, Bearings, quarters

FACTS = {"view_rotation": walk_facts(), "view_among": circle_facts(), "view_around": circle_facts()}
EVERY_VIEW = pytest.mark.parametrize("task", FACTS)


def questions(task, *, facts=None, options=None):
    return ask_all(facts or FACTS[task], [task], seed=0, options=options or TaskOptions()).questions


def bearings(middle_deg, *, reach_deg=0.0):
    middle = np.array(middle_deg, dtype=float)
    return Bearings(middle_deg=middle, low_deg=np.full(len(middle), -reach_deg), high_deg=np.full(len(middle), reach_deg))


def test_quarters_are_front_left_back_right_and_unclear_within_the_margin():
    found = quarters(bearings([0, 90, 180, -90, 31, 59, 61, 29, np.nan]), facing_deg=0.0, margin_deg=15.0)
    assert found.tolist() == [FRONT, LEFT, BACK, RIGHT, UNCLEAR, UNCLEAR, LEFT, FRONT, UNCLEAR]


def test_who_turns_left_finds_on_the_right_what_was_ahead():
    assert quarters(bearings([0.0]), facing_deg=90.0, margin_deg=15.0).tolist() == [RIGHT]


def test_a_box_that_reaches_over_a_border_is_unclear():
    assert quarters(bearings([70.0], reach_deg=24.9), facing_deg=0.0, margin_deg=15.0).tolist() == [LEFT]
    assert quarters(bearings([70.0], reach_deg=25.1), facing_deg=0.0, margin_deg=15.0).tolist() == [UNCLEAR]


@EVERY_VIEW
def test_the_standing_image_shows_neither_the_answer_nor_all_the_other_options(task):
    views = FACTS[task].object_views
    for one in questions(task):
        stand = int(one.text.partition("image ")[2][0]) - 1
        seen = set(views.object_id[views.frame == int(one.frame_ids[stand])].tolist())
        assert one.object_ids[0] not in seen and set(one.object_ids[1:4]) - seen


@EVERY_VIEW
def test_a_wrong_letter_another_image_and_another_side_are_caught(task):
    for one in questions(task):
        wrong = next(letter for letter in one.answer.format.letters if letter != one.answer.value)
        assert check_all([replace(one, answer=Answer(format=one.answer.format, value=wrong))], FACTS[task])
        swapped = (
            one.text.replace(" your left", " your right") if " your left" in one.text else one.text.replace(" your right", " your left")
        )
        if swapped != one.text:
            assert check_all([replace(one, text=swapped)], FACTS[task])
    caught = [check_all([replace(one, frame_ids=one.frame_ids[::-1])], FACTS[task]) for one in questions(task) if len(one.frame_ids) == 2]
    assert all(caught)


@EVERY_VIEW
def test_without_dots_all_options_go_by_unique_names(task):
    asked = questions(task, options=TaskOptions(mark_objects=False))
    assert asked and all(not one.marks and "dot" not in one.text for one in asked)
    assert not any("the chair" in option for one in asked for option in one.answer.format.options if task != "view_rotation")


@pytest.mark.parametrize("task", ["view_among", "view_around"])
def test_a_mirror_image_asks_the_same_with_left_and_right_exchanged(task):
    def bearings_of(facts):
        asked = ask_all(facts, [task], seed=0, options=TaskOptions(max_per_scan=80, max_per_frame=80)).questions
        return {
            (one.frame_ids, one.text.partition("image ")[2][0], one.object_ids[0], one.object_ids[-1]): one.evidence["bearing_deg"]
            for one in asked
        }

    plain, mirrored = bearings_of(circle_facts()), bearings_of(circle_facts(mirrored=True))
    both = plain.keys() & mirrored.keys()
    assert len(both) >= 2
    assert all(abs((plain[one] + mirrored[one] + 180.0) % 360.0 - 180.0) < 1e-2 for one in both)


@EVERY_VIEW
def test_no_camera_moves_too_far_and_margins_are_kept(task):
    for one in questions(task):
        assert one.evidence["border_deg"] >= one.evidence["min_border_deg"] == TASKS[task].MARGINS["min_border_deg"]
        if task == "view_rotation":
            assert one.evidence["step_m"] <= 0.5 and one.evidence["drift_deg"] <= 8.0
        else:
            assert one.evidence["view_deg"] >= one.evidence["min_view_deg"]


@EVERY_VIEW
def test_one_relation_is_not_asked_again_and_again(task):
    relations = Counter((one.object_ids[0], one.object_ids[4:], one.evidence["side"]) for one in questions(task))
    assert max(relations.values()) <= round(TASKS[task].MARGINS["max_relation_share"] * TaskOptions().max_per_scan)


def test_nothing_behind_the_camera_is_said_to_be_beside_or_before_the_object_asked_around():
    facts = FACTS["view_among"]
    box_of = {one.object_id: one.box for one in facts.objects}
    for one in questions("view_among"):
        stand = int(one.frame_ids[int(one.text.partition("image ")[2][0]) - 1])
        eye = facts.frames.world_from_camera[stand][:2, 3]
        ahead = box_of[one.object_ids[-1]].centre_world[:2] - eye
        assert all((box_of[option].centre_world[:2] - eye) @ ahead > 0.0 for option in one.object_ids[:4])
