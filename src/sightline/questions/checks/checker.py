"""What all checks share: one scan's matrices, dots traced to measured points, and the comparisons that raise."""

import re

import numpy as np
from scipy.optimize import lsq_linear

from sightline.answers.choice import Choice
from sightline.facts.fact import FactTable
from sightline.questions.question import Mark, Question

POINT_REACH_PX = 1.5  # a dot belongs to the point whose own projection is this near
BOX_SLACK_M = 0.1  # a dot's sight line passes an object's box at most this far off: boxes of scans are no tighter
WITH_DISTRACTORS = frozenset(("dot_position",))  # dots that the text does not name are part of the question
SMALL_M = 1e-4  # what two ways of computing a length may differ by before rounding
UNITS_PER_M = {"m": 1.0, "cm": 100.0, "mm": 1000.0}


class WrongError(Exception):
    """What the second method found instead."""


class Checker:
    """What the checks share: matrices of one scan."""

    def __init__(self, facts: FactTable):
        self.facts = facts
        self.frame_of = {frame_id: index for index, frame_id in enumerate(facts.frames.frame_ids)}
        self.camera_from_world = np.linalg.inv(facts.frames.world_from_camera)
        self.object_of = {one.object_id: one for one in facts.objects or ()}
        self.points_of = {frame: np.flatnonzero(facts.points.frame == frame) for frame in range(len(facts.frames.frame_ids))}

    def check_named(self, mark: Mark, question: Question) -> None:
        if mark.frame_id not in question.frame_ids:
            raise WrongError(f"the {mark.colour} dot is on an image that is not shown")
        if mark.colour not in question.text.lower() and question.task not in WITH_DISTRACTORS:
            raise WrongError(f"the text does not name the {mark.colour} dot")

    def check_on_object(self, mark: Mark, object_id: int) -> None:
        """The sight line through the dot crosses the object's box (slab test in the box's own axes)."""
        one = self.object_of[object_id]
        frame = self.frame_of[mark.frame_id]
        K = self.facts.frames.intrinsics[frame].K
        ray_world = self.facts.frames.world_from_camera[frame][:3, :3] @ np.linalg.solve(K, [mark.u_px, mark.v_px, 1.0])
        object_from_world = np.linalg.inv(one.box.world_from_object)
        start = object_from_world[:3, :3] @ self.facts.frames.world_from_camera[frame][:3, 3] + object_from_world[:3, 3]
        ray = object_from_world[:3, :3] @ ray_world
        half_m = one.box.size_m / 2.0 + BOX_SLACK_M
        with np.errstate(divide="ignore", invalid="ignore"):
            ends = np.stack([(-half_m - start) / ray, (half_m - start) / ray])
        enters, leaves = np.nanmin(ends, axis=0).max(), np.nanmax(ends, axis=0).min()
        if not (enters <= leaves and leaves > 0):
            raise WrongError(f"the {mark.colour} dot is not on object {object_id} ({one.category})")

    def step_m(self, question: Question) -> np.ndarray:
        """Second camera centre in the first camera's axes, by solving instead of multiplying with a transpose."""
        first, second = (self.facts.frames.world_from_camera[self.frame_of[frame_id]] for frame_id in question.frame_ids)
        return np.linalg.solve(first, second @ np.array([0.0, 0.0, 0.0, 1.0]))[:3]

    def dot_world(self, mark: Mark) -> np.ndarray:
        """World position `(3,)` of the measured point under a dot."""
        frame = self.frame_of[mark.frame_id]
        rows = self.points_of[frame]
        points_world = np.c_[self.facts.points.point_world[rows], np.ones(len(rows))]
        points_camera = points_world @ self.camera_from_world[frame].T
        image = points_camera[:, :3] @ self.facts.frames.intrinsics[frame].K.T
        off_px = np.hypot(image[:, 0] / image[:, 2] - mark.u_px, image[:, 1] / image[:, 2] - mark.v_px)
        if not len(rows) or off_px.min() > POINT_REACH_PX:
            raise WrongError(f"no measured point under the {mark.colour} dot")
        return self.facts.points.point_world[rows[int(np.argmin(off_px))]]

    def box_gap_m(self, first: int, second: int) -> float:
        """Closest distance of two boxes as a bounded least-squares problem over one point in each."""
        boxes = [self.object_of[one].box for one in (first, second)]
        axes = [box.world_from_object[:3, :3] * (box.size_m / 2.0) for box in boxes]
        apart = boxes[1].world_from_object[:3, 3] - boxes[0].world_from_object[:3, 3]
        found = lsq_linear(np.c_[axes[0], -axes[1]], apart, bounds=(-1.0, 1.0), method="bvls")
        return float(np.linalg.norm(found.fun))

    def plan_sides(self, question: Question) -> tuple[float, float]:
        """How far ahead and how far to the left the third object lies, in metres along unit vectors on the plan."""
        stand, face, target = (self.object_of[one].box.world_from_object[:2, 3] for one in question.object_ids)
        ahead = (face - stand) / np.linalg.norm(face - stand)
        left = np.array([-ahead[1], ahead[0]])
        return float((target - stand) @ ahead), float((target - stand) @ left)


def said_number(question: Question) -> float:
    said = question.answer.format.parse(question.answer.text)
    if said is None:
        raise WrongError("the answer's own text has no number")
    return said


def said_option(question: Question) -> str:
    choice = question.answer.format
    if not isinstance(choice, Choice) or choice.listing not in question.text:
        raise WrongError("the text does not list the options")
    return choice.option_of(question.answer.text)


def expect_number(question: Question, found: float) -> None:
    half_digit = 0.5 * 10.0**-question.answer.format.decimals
    small = SMALL_M * UNITS_PER_M.get(question.answer.format.unit, 1.0)
    if abs(said_number(question) - found) > half_digit + small + 1e-9:
        raise WrongError(f"{found:.4f}")


def expect_option(question: Question, found: str) -> None:
    if said_option(question) != found:
        raise WrongError(found)


def one_of(text: str, first: re.Pattern[str], second: re.Pattern[str]) -> bool:
    """Whether the text asks the first of two things."""
    asks = bool(first.search(text)), bool(second.search(text))
    if asks[0] == asks[1]:
        raise WrongError("the text does not say what is asked")
    return asks[0]
