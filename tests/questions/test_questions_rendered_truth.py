"""Answers of every task hold against images, matrices and exact solids, and spoiled ones are found by both methods."""

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from planted_errors import spoiled, wrongs
from rendered_truth import TRUTHS, untruths
from rendered_world import World

from sightline.captures.rooms import RoomsOptions, write_room_scan
from sightline.config import as_mapping
from sightline.facts.fact import FactTable
from sightline.facts.measure import MeasureOptions, measure
from sightline.questions import TASKS
from sightline.questions.check import check_all
from sightline.questions.engine import ask_all
from sightline.questions.question import Question, TaskOptions
from sightline.scenes.build import import_scan
from sightline.scenes.store import SceneStore

SMALL = replace(RoomsOptions(), width=128, height=96, num_frames=12, max_rooms=2, antialias=False, shadows=False)
ROOMS = {"rooms_0000": False, "rooms_0001": True}  # the second one has things that move
SEED = 2
FEW = {"appearance_order": 5, "room_size": 5, "route_plan": 10, "view_among": 10, "view_around": 5, "view_rotation": 5}
FEW |= {f"point_movement_{one}": 5 for one in ("distance", "distance_coordinate", "vector", "vector_coordinate")}
EVERY_TASK = pytest.mark.parametrize("task", TASKS)


@pytest.fixture(scope="module")
def scans(tmp_path_factory) -> list[tuple[World, FactTable]]:
    folder: Path = tmp_path_factory.mktemp("rendered")
    made = []
    for scan_id, moving in ROOMS.items():
        write_room_scan(scan_id, out=str(folder / "captures"), seed=SEED, options=as_mapping(replace(SMALL, second_pass=moving)))
        where = {"source": str(folder / "captures" / scan_id), "reader": "rooms", "options": {}, "store": str(folder / "scenes")}
        import_scan(scan_id, **where, copy_images=False, verify=False)
        made.append((World(folder / "captures" / scan_id), measure(SceneStore(folder / "scenes").read(scan_id), MeasureOptions())))
    return made


@pytest.fixture(scope="module")
def asked(scans):
    @cache
    def questions(task: str) -> list[tuple[World, FactTable, tuple[Question, ...]]]:
        options = (TaskOptions(max_per_scan=20), TaskOptions(max_per_scan=8, mark_objects=False, length_unit="cm"))
        return [(world, facts, ask_all(facts, [task], seed=0, options=one).questions) for world, facts in scans for one in options]

    return questions


def test_every_task_has_a_truth_of_its_own():
    assert set(TRUTHS) == set(TASKS)


@EVERY_TASK
def test_no_image_matrix_or_solid_contradicts_an_answer(task, asked):
    assert [found for world, _, questions in asked(task) for found in untruths(questions, world)] == []
    assert sum(len(questions) for _, _, questions in asked(task)) >= FEW.get(task, 20)


@EVERY_TASK
def test_the_second_method_agrees_on_measured_rooms(task, asked):
    assert [found for _, facts, questions in asked(task) for found in check_all(questions, facts)] == []


@EVERY_TASK
def test_every_spoiled_answer_is_found_by_both_methods(task, asked):
    rng = np.random.default_rng(0)
    for world, facts, questions in asked(task):
        wrong = [spoiled(one, rng) for one in questions[:6]] + [way(one, rng) for one in questions[:2] for way in wrongs(one)]
        assert len(untruths(wrong, world)) == len(wrong)
        assert len(check_all(wrong, facts)) == len(wrong)
