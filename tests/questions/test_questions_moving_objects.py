"""Objects that move during a scan: nothing is asked whose answer rests on their boxes, and nothing is called absent because of them."""

from dataclasses import replace

import numpy as np
import pytest
from handmade_facts import handmade_facts

from sightline.questions import TASKS
from sightline.questions.box_views import BoxViews
from sightline.questions.engine import ask_all
from sightline.questions.question import TaskOptions

FACTS = handmade_facts()
CHAIRS = {one.object_id for one in FACTS.objects if one.category == "chair"}
MOVED = min(CHAIRS)
MOVING = replace(FACTS, object_times=replace(FACTS.object_times, moves=FACTS.object_times.object_id == MOVED))
ABOUT_OBJECTS = [name for name in TASKS if "objects" in TASKS[name].needs]


@pytest.mark.parametrize("task", ABOUT_OBJECTS)
def test_nothing_is_asked_about_a_category_with_an_object_that_moves(task):
    for seed in range(3):
        asked = ask_all(MOVING, [task], seed=seed, options=TaskOptions()).questions
        assert not [one.text for one in asked if CHAIRS & set(one.object_ids) or "chair" in one.text.split(" A. ")[0].lower()]


def test_otherwise_chairs_are_asked_about():
    assert any(CHAIRS & set(one.object_ids) for one in ask_all(FACTS, ABOUT_OBJECTS, seed=0, options=TaskOptions()).questions)


def test_a_tracked_point_beside_something_else_is_not_asked_about():
    tasks = [name for name in TASKS if name.startswith("point_movement")]
    assert len(ask_all(FACTS, tasks, seed=0, options=TaskOptions()).questions) > 20
    edgy = replace(FACTS, tracks=replace(FACTS.tracks, at_edge=np.ones(len(FACTS.tracks.point), dtype=bool)))
    asked = ask_all(edgy, tasks, seed=0, options=TaskOptions())
    assert asked.questions == () and all("something_else_beside_the_point" in reasons for reasons in asked.skip_counts.values())


def test_an_object_that_moves_is_certainly_absent_nowhere():
    row = BoxViews(FACTS).row_of[MOVED]
    assert BoxViews(FACTS).is_absent[row].any() or (FACTS.object_views.object_id == MOVED).sum() == len(FACTS.frames.frame_ids)
    assert not BoxViews(MOVING).is_absent[row].any()
    others = np.arange(len(FACTS.objects)) != row
    assert np.array_equal(BoxViews(MOVING).is_absent[others], BoxViews(FACTS).is_absent[others])
