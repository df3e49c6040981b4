"""What every question task in the catalog must keep to."""

from dataclasses import replace

import numpy as np
import pytest
from handmade_circle import circle_facts
from handmade_facts import handmade_facts, moved
from handmade_walk import walk_facts

from sightline.answers.choice import Choice
from sightline.facts.fact import KINDS
from sightline.questions import TASKS
from sightline.questions.check import check_all
from sightline.questions.engine import ask_all, rendered, same_question_key
from sightline.questions.question import MARK_COLOURS, TaskOptions
from sightline.questions.rows import ROW_BYTES, IndexedTask, ScanHead, row_dtype

FACTS = handmade_facts()
ON_A_WALK = ("appearance_order", "object_existence", "object_views", "room_size", "view_rotation")
FACTS_FOR = dict.fromkeys(ON_A_WALK, walk_facts())  # not everything is in every image, and all walls are seen
FACTS_FOR |= dict.fromkeys(("view_among", "view_around"), circle_facts())  # one thing seen from all sides, others behind the cameras
MOST_WORDS: dict[str, int] = {  # tasks that have to say more than thirty words before their options
    "depth_estimation_coordinate": 36,  # in what its coordinates are, and from where: the instruction tells of metres alone
    "point_movement_distance_coordinate": 50,  # say what the coordinates mean, and that the camera may have moved
    "point_movement_vector": 35,  # say along whose axes, and that the camera may have moved
    "point_movement_vector_coordinate": 55,  # all of these
    **dict.fromkeys(("situated_count", "situated_direction", "situated_distance", "situated_existence"), 55),  # first tell the situation
    "route_plan": 80,  # tell every step of a way
}
ON_A_GRID = frozenset(("route_plan",))  # of cells along the world axes: a world turned by other than right angles has other cells
OPTIONS = TaskOptions()
EVERY_TASK = pytest.mark.parametrize("task", TASKS)


def facts_for(task):
    return FACTS_FOR.get(task, FACTS)


def asked(task, facts=None, *, seed=0, options=OPTIONS):
    return ask_all(facts or facts_for(task), [task], seed=seed, options=options)


@EVERY_TASK
def test_it_asks_something(task):
    assert len(asked(task).questions) >= 5


@EVERY_TASK
def test_the_same_seed_asks_the_same_and_another_seed_asks_otherwise(task):
    assert asked(task) == asked(task)
    assert asked(task).questions != asked(task, seed=1).questions


@EVERY_TASK
def test_what_it_asks_does_not_depend_on_what_else_is_asked(task):
    together = ask_all(facts_for(task), list(TASKS), seed=0, options=OPTIONS)
    assert tuple(one for one in together.questions if one.task == task) == asked(task).questions


@EVERY_TASK
def test_the_answers_own_text_scores_one(task):
    for one in asked(task).questions:
        assert one.answer.format.score(one.answer.text, one.answer.value).score == 1.0


@EVERY_TASK
def test_every_answer_is_confirmed_by_the_second_method(task):
    for seed in range(3):
        assert check_all(asked(task, seed=seed).questions, facts_for(task)) == ()


@EVERY_TASK
def test_evidence_is_there_with_units(task):
    endings = ("_m", "_m2", "_cm", "_deg", "_share", "overlap", "_over_next")
    for one in asked(task).questions:
        assert one.evidence
        for name, value in one.evidence.items():
            assert isinstance(value, str) or (np.isfinite(value) and (name.endswith(endings) or name == "count"))


@EVERY_TASK
@pytest.mark.parametrize("yaw_deg", [37.0, 180.0, -101.0])
def test_a_rigid_motion_of_the_world_changes_no_question_and_no_answer(task, yaw_deg):
    angle = np.radians(90.0 * round(yaw_deg / 90.0) if task in ON_A_GRID else yaw_deg)
    new_from_world = np.array(
        [[np.cos(angle), -np.sin(angle), 0, 7.0], [np.sin(angle), np.cos(angle), 0, -3.0], [0, 0, 1, 0.4], [0, 0, 0, 1.0]]
    )
    before, after = asked(task), asked(task, moved(facts_for(task), new_from_world))
    assert [(one.text, one.frame_ids, one.marks, one.answer.text) for one in before.questions] == [
        (one.text, one.frame_ids, one.marks, one.answer.text) for one in after.questions
    ]
    assert before.skip_counts == after.skip_counts


@EVERY_TASK
def test_the_text_is_one_plain_short_sentence_or_two(task):
    for seed in range(3):
        for one in asked(task, seed=seed).questions:
            words = one.text.split(" A. ")[0].split()
            assert 4 <= len(words) <= MOST_WORDS.get(task, 30), one.text
            assert one.text[0].isupper() and "  " not in one.text and "{" not in one.text and "<" not in one.text and "_" not in one.text
            assert words[-1][-1] in "?.", one.text
            assert "Answer with" not in one.text  # the instruction belongs to the answer


@EVERY_TASK
def test_it_is_worded_in_at_least_six_ways(task):
    wordings = {one.template_id for seed in range(12) for one in asked(task, seed=seed).questions}
    assert len(wordings) >= 6
    assert all(wording.rpartition(".")[0] == task and wording.rpartition(".")[2].isdigit() for wording in wordings)


@EVERY_TASK
def test_no_question_is_asked_twice(task):
    keys = [same_question_key(one) for one in asked(task).questions]
    assert len(set(keys)) == len(keys)


@EVERY_TASK
def test_no_more_is_asked_than_wanted_and_no_frame_is_worn_out(task):
    options = TaskOptions(max_per_scan=7, max_per_frame=2)
    questions = asked(task, options=options).questions
    assert 0 < len(questions) <= 7
    shown = [frame_id for one in questions for frame_id in one.frame_ids]
    assert max(shown.count(frame_id) for frame_id in shown) <= 2


@EVERY_TASK
def test_dots_stand_inside_shown_images_apart_in_different_colours(task):
    for one in asked(task).questions:
        assert len(one.marks) <= 5
        assert len({(mark.frame_id, mark.colour, mark.label) for mark in one.marks}) == len(one.marks)
        for index, mark in enumerate(one.marks):
            assert mark.frame_id in one.frame_ids and mark.colour in MARK_COLOURS
            assert 8 <= mark.u_px <= 311 and 8 <= mark.v_px <= 231
            for other in one.marks[:index]:
                assert mark.frame_id != other.frame_id or np.hypot(mark.u_px - other.u_px, mark.v_px - other.v_px) >= 0.08 * 320


@EVERY_TASK
def test_choices_list_their_options_once_and_have_one_right_letter(task):
    for one in asked(task).questions:
        if isinstance(one.answer.format, Choice):
            assert one.text.endswith(one.answer.format.listing)
            assert one.answer.value in one.answer.format.letters


@EVERY_TASK
def test_facts_that_are_missing_are_a_counted_skip(task):
    always = {"frames", "pairs", "points"}
    bare = replace(facts_for(task), **{kind: None for kind in KINDS if kind not in always})
    result = asked(task, bare)
    missing = [kind for kind in KINDS if kind in TASKS[task].needs - always]
    if missing:
        assert result.questions == ()
        assert result.skip_counts == {task: {f"needs_{missing[0]}": 1}}
    else:
        assert result.questions == asked(task).questions


@EVERY_TASK
def test_an_empty_scan_asks_nothing_says_why_and_does_not_fail(task):
    empty = asked(task, handmade_facts(cameras=0))
    assert empty.questions == () and empty.skip_counts[task]
    assert asked(task, handmade_facts(cameras=1)).questions == () or task not in ("camera_direction", "camera_distance")


@pytest.mark.parametrize("task", [name for name in TASKS if issubclass(TASKS[name], IndexedTask)])
def test_a_row_alone_words_the_same_question_again(task):
    kind = TASKS[task]
    selected = kind().select(FACTS, np.random.default_rng(0), OPTIONS)
    assert row_dtype(kind.PAYLOAD).itemsize == selected.rows.dtype.itemsize == ROW_BYTES
    stored = np.frombuffer(selected.rows.tobytes(), dtype=row_dtype(kind.PAYLOAD))
    again = rendered(kind(), type(selected)(rows=stored, skips={}), ScanHead.of(FACTS), OPTIONS)
    assert again == rendered(kind(), selected, ScanHead.of(FACTS), OPTIONS) and len(again) >= 5
    assert len(np.unique(selected.rows)) == len(selected.rows)
