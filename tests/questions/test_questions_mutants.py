"""Seeded bugs in what questions rest on: asked of wrong facts, the second method, which holds the right ones, must object."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pytest
from handmade_facts import handmade_facts

from sightline.answers.number import Number
from sightline.facts.fact import FactTable
from sightline.geometry.boxes import Box
from sightline.questions.check import check_all
from sightline.questions.engine import ask_all
from sightline.questions.question import TaskOptions

RIGHT = handmade_facts()


@dataclass(frozen=True, kw_only=True)
class Mutant:
    """A bug, as what it makes of right facts, and the tasks whose answers it makes wrong: each must be caught."""

    bug: Callable[[FactTable], FactTable]
    caught_in: tuple[str, ...]


def pairs(**changes: Callable) -> Callable[[FactTable], FactTable]:
    return lambda facts: replace(facts, pairs=replace(facts.pairs, **{name: change(facts) for name, change in changes.items()}))


def table(kind: str, **changes: Callable) -> Callable[[FactTable], FactTable]:
    def wrong(facts: FactTable) -> FactTable:
        rows = getattr(facts, kind)
        return replace(facts, **{kind: replace(rows, **{name: change(getattr(rows, name)) for name, change in changes.items()})})

    return wrong


def steps_world(facts: FactTable) -> np.ndarray:
    poses = facts.frames.world_from_camera
    return poses[facts.pairs.second, :3, 3] - poses[facts.pairs.first, :3, 3]


def in_second_axes(facts: FactTable) -> np.ndarray:
    return np.einsum("pji,pj->pi", facts.frames.world_from_camera[facts.pairs.second, :3, :3], steps_world(facts))


def wrong_centres(facts: FactTable) -> np.ndarray:
    """-R^T t of a matrix that already takes camera points to the world."""
    poses = facts.frames.world_from_camera
    centres = -np.einsum("fji,fj->fi", poses[:, :3, :3], poses[:, :3, 3])
    return np.einsum("pji,pj->pi", poses[facts.pairs.first, :3, :3], centres[facts.pairs.second] - centres[facts.pairs.first])


def boxes(change: Callable[[Box], Box]) -> Callable[[FactTable], FactTable]:
    return lambda facts: replace(facts, objects=tuple(replace(one, box=change(one.box)) for one in facts.objects))


def along_world_axes(box: Box) -> Box:
    corners = box.corners_world()
    pose = np.eye(4)
    pose[:3, 3] = box.centre_world
    return Box(size_m=corners.max(axis=0) - corners.min(axis=0), world_from_object=pose)


def mirrored(box: Box) -> Box:
    flip = np.diag([-1.0, 1.0, 1.0, 1.0])
    return Box(size_m=box.size_m, world_from_object=flip @ box.world_from_object @ flip)


def lifted(box: Box) -> Box:
    """The middle taken for the bottom."""
    pose = box.world_from_object.copy()
    pose[2, 3] += box.size_m[2] / 2.0
    return Box(size_m=box.size_m, world_from_object=pose)


def size_along_wrong_axis(box: Box) -> Box:
    return Box(size_m=box.size_m[[0, 2, 1]], world_from_object=box.world_from_object)


STEPS = ("camera_vector", "camera_direction")
DIRECTIONS = ("relative_direction_easy", "relative_direction_medium", "relative_direction_hard")
MUTANTS = {
    "flipped y": Mutant(
        bug=pairs(displacement_m=lambda f: f.pairs.displacement_m * [1, -1, 1]), caught_in=(*STEPS[:1], "camera_y_movement")
    ),
    "flipped x": Mutant(bug=pairs(displacement_m=lambda f: f.pairs.displacement_m * [-1, 1, 1]), caught_in=(*STEPS, "camera_x_movement")),
    "flipped z": Mutant(bug=pairs(displacement_m=lambda f: f.pairs.displacement_m * [1, 1, -1]), caught_in=(*STEPS, "camera_z_movement")),
    "world frame": Mutant(bug=pairs(displacement_m=steps_world), caught_in=(*STEPS, "camera_x_movement")),
    "second camera's frame": Mutant(bug=pairs(displacement_m=in_second_axes), caught_in=STEPS),
    "first and second swapped": Mutant(
        bug=pairs(first=lambda f: f.pairs.second, second=lambda f: f.pairs.first), caught_in=("camera_vector", "camera_yaw_movement")
    ),
    "wrong camera centre": Mutant(
        bug=pairs(displacement_m=wrong_centres, distance_m=lambda f: np.linalg.norm(wrong_centres(f), axis=1)),
        caught_in=("camera_vector", "camera_distance"),
    ),
    "missing wrap": Mutant(
        bug=pairs(yaw_deg=lambda f: np.where(f.pairs.yaw_deg > 0, f.pairs.yaw_deg - 360.0, f.pairs.yaw_deg)),
        caught_in=("camera_yaw_angle",),  # which way is asked away from half a turn alone, where a lost wrap is out of range
    ),
    "yaw right positive": Mutant(bug=pairs(yaw_deg=lambda f: -f.pairs.yaw_deg), caught_in=("camera_yaw_movement",)),
    "pitch down positive": Mutant(bug=pairs(pitch_deg=lambda f: -f.pairs.pitch_deg), caught_in=("camera_pitch_movement",)),
    "degrees for radians": Mutant(bug=pairs(yaw_deg=lambda f: np.radians(f.pairs.yaw_deg) * 20), caught_in=("camera_yaw_angle",)),
    "millimetres for metres": Mutant(bug=pairs(distance_m=lambda f: f.pairs.distance_m * 1000.0), caught_in=("camera_distance",)),
    "sum for length": Mutant(bug=pairs(distance_m=lambda f: np.abs(f.pairs.displacement_m).sum(axis=1)), caught_in=("camera_distance",)),
    "range for depth": Mutant(
        bug=lambda f: table("points", depth_m=lambda z: z * 1.12)(f), caught_in=("depth_estimation", "depth_estimation_coordinate")
    ),
    "flipped depth order": Mutant(
        bug=table("points", depth_m=lambda z: z.max() + z.min() - z), caught_in=("depth_comparison", "depth_comparison_coordinate")
    ),
    "rows and columns exchanged": Mutant(
        bug=table("points", uv=lambda uv: uv[:, ::-1]), caught_in=("depth_estimation", "dot_position")[:1]
    ),
    "points of the next frame": Mutant(bug=table("points", point_world=lambda p: np.roll(p, 12, axis=0)), caught_in=("point_height",)),
    "matches in the wrong image": Mutant(
        bug=table("correspondences", second_uv=lambda uv: np.roll(uv, 1, axis=0)),
        caught_in=("correspondence_choice", "correspondence_coordinate"),
    ),
    "centre distance for surface distance": Mutant(
        bug=lambda f: replace(f, object_pairs=replace(f.object_pairs, closest_m=f.object_pairs.centre_m)),
        caught_in=("object_distance",),  # here the nearest middle is the nearest surface too
    ),
    "axis-aligned size": Mutant(bug=boxes(along_world_axes), caught_in=("object_box_3d",)),
    "left and right swapped": Mutant(bug=boxes(mirrored), caught_in=(*DIRECTIONS, "situated_direction", "object_box_3d")),
    "middle for bottom": Mutant(bug=boxes(lifted), caught_in=("object_box_3d", "camera_object_distance")),
    "depth axis for height": Mutant(bug=boxes(size_along_wrong_axis), caught_in=("object_height",)),
    "objects one off": Mutant(
        bug=lambda f: replace(f, objects=tuple(replace(one, box=f.objects[index - 1].box) for index, one in enumerate(f.objects))),
        caught_in=(*DIRECTIONS, "object_near_far", "camera_object_distance"),
    ),
    "camera motion left in": Mutant(
        bug=lambda f: replace(f, track_windows=replace(f.track_windows, displacement_m=f.track_windows.apparent_m)),
        caught_in=("point_movement_vector", "point_movement_distance"),
    ),
    "movement with y up": Mutant(bug=table("track_windows", displacement_m=lambda d: d * [1, -1, 1]), caught_in=("point_movement_vector",)),
}
PROVEN = [(name, task) for name, mutant in MUTANTS.items() for task in mutant.caught_in]


def asked(facts: FactTable, task: str, seeds: int = 2) -> list:
    return [one for seed in range(seeds) for one in ask_all(facts, [task], seed=seed, options=TaskOptions()).questions]


@pytest.mark.parametrize(("name", "task"), PROVEN)
def test_the_second_method_catches(name, task):
    questions = asked(MUTANTS[name].bug(RIGHT), task)
    assert questions and check_all(questions, RIGHT), f"'{name}' passes in {task}"


@pytest.mark.parametrize("task", sorted({task for _, task in PROVEN}))
def test_without_a_bug_nothing_is_caught(task):
    assert check_all(asked(RIGHT, task), RIGHT) == ()


def are_rounded(questions: list) -> bool:
    """Whether every spoken number is within half of its last digit of the stored one."""
    return all(abs(float(one.answer.text) - one.answer.value) <= 0.5000001 * 10.0**-one.answer.format.decimals for one in questions)


@pytest.mark.parametrize("task", ["camera_distance", "camera_yaw_angle", "depth_estimation", "object_distance", "object_height"])
def test_an_answer_cut_off_instead_of_rounded_is_noticed(task, monkeypatch):
    right, questions = Number.render, asked(RIGHT, task)
    assert are_rounded(questions)
    monkeypatch.setattr(Number, "render", lambda self, value: right(self, np.floor(value * 10**self.decimals) / 10**self.decimals))
    assert not are_rounded(questions)
