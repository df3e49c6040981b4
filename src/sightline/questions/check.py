"""A second opinion on every answer: recomputed from poses, boxes and pixels by other arithmetic than the task's, evidence unread."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from scipy.optimize import lsq_linear

from sightline.answers.choice import Choice
from sightline.facts.fact import FactTable
from sightline.questions.question import Mark, Question

POINT_REACH_PX = 1.5  # a dot belongs to the point whose own projection is this near
BOX_SLACK_M = 0.1  # a dot's sight line passes an object's box at most this far off: boxes of scans are no tighter
_WITH_DISTRACTORS = frozenset(("dot_position",))  # dots that the text does not name are part of the question
SMALL_M = 1e-4  # what two ways of computing a length may differ by before rounding
CLOSER = re.compile(r"\b(closer|nearer|smaller depth)\b")
FARTHER = re.compile(r"\b(farther|deeper|larger depth)\b")
HEIGHT = re.compile(r"\b(tall|height|high)\b")
LONGEST = re.compile(r"\b(longest|largest)\b")


@dataclass(frozen=True, kw_only=True, slots=True)
class Disagreement:
    """A question whose answer the second method does not confirm."""

    task: str
    scan_id: str
    text: str
    answer: str
    found: str


class _WrongError(Exception):
    """What the second method found instead."""


def check_all(questions: Iterable[Question], facts: FactTable) -> tuple[Disagreement, ...]:
    """Disagreements over questions of one scan, in order. Tasks without a check of their own are checked for their marks alone."""
    checker = _Checker(facts)
    return tuple(
        Disagreement(task=one.task, scan_id=one.scan_id, text=one.text, answer=one.answer.text, found=found)
        for one in questions
        if (found := checker.trouble(one)) is not None
    )


class _Checker:
    """What the checks share: matrices of one scan."""

    def __init__(self, facts: FactTable):
        self.facts = facts
        self.frame_of = {frame_id: index for index, frame_id in enumerate(facts.frames.frame_ids)}
        self.camera_from_world = np.linalg.inv(facts.frames.world_from_camera)
        self.object_of = {one.object_id: one for one in facts.objects or ()}
        self.points_of = {frame: np.flatnonzero(facts.points.frame == frame) for frame in range(len(facts.frames.frame_ids))}

    def trouble(self, question: Question) -> str | None:
        """What is wrong with a question's answer, dots or words, or None."""
        try:
            for mark in question.marks:
                self._check_named(mark, question)
            for mark, object_id in zip(question.marks, question.object_ids):
                self._check_on_object(mark, object_id)
            if question.task in _CHECKS:
                _CHECKS[question.task](self, question)
        except _WrongError as wrong:
            return str(wrong)
        return None

    def _check_named(self, mark: Mark, question: Question) -> None:
        if mark.frame_id not in question.frame_ids:
            raise _WrongError(f"the {mark.colour} dot is on an image that is not shown")
        if mark.colour not in question.text.lower() and question.task not in _WITH_DISTRACTORS:
            raise _WrongError(f"the text does not name the {mark.colour} dot")

    def _check_on_object(self, mark: Mark, object_id: int) -> None:
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
            raise _WrongError(f"the {mark.colour} dot is not on object {object_id} ({one.category})")

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
            raise _WrongError(f"no measured point under the {mark.colour} dot")
        return self.facts.points.point_world[rows[int(np.argmin(off_px))]]

    def dot_depth_m(self, mark: Mark) -> float:
        """Depth of the measured point under a dot, from its world position."""
        return float((self.camera_from_world[self.frame_of[mark.frame_id]] @ np.append(self.dot_world(mark), 1.0))[2])

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


def _said_number(question: Question) -> float:
    said = question.answer.format.parse(question.answer.text)
    if said is None:
        raise _WrongError("the answer's own text has no number")
    return said


def _said_option(question: Question) -> str:
    choice = question.answer.format
    if not isinstance(choice, Choice) or choice.listing not in question.text:
        raise _WrongError("the text does not list the options")
    return choice.option_of(question.answer.text)


def _expect_number(question: Question, found: float) -> None:
    half_digit = 0.5 * 10.0**-question.answer.format.decimals
    small = SMALL_M * {"m": 1.0, "cm": 100.0, "": 0.0}[question.answer.format.unit]
    if abs(_said_number(question) - found) > half_digit + small + 1e-9:
        raise _WrongError(f"{found:.4f}")


def _expect_option(question: Question, found: str) -> None:
    if _said_option(question) != found:
        raise _WrongError(found)


def _one_of(text: str, first: re.Pattern[str], second: re.Pattern[str]) -> bool:
    """Whether the text asks the first of two things."""
    asks = bool(first.search(text)), bool(second.search(text))
    if asks[0] == asks[1]:
        raise _WrongError("the text does not say what is asked")
    return asks[0]


def _camera_direction(checker: _Checker, question: Question) -> None:
    right_m, down_m, forward_m = checker.step_m(question)
    along_m = {"right": right_m, "left": -right_m, "down": down_m, "up": -down_m, "forward": forward_m, "backward": -forward_m}
    _expect_option(question, max(along_m, key=along_m.__getitem__))


def _camera_distance(checker: _Checker, question: Question) -> None:
    _expect_number(question, float(np.sqrt((checker.step_m(question) ** 2).sum())))


def _depth_estimation(checker: _Checker, question: Question) -> None:
    _expect_number(question, checker.dot_depth_m(question.marks[0]))


def _point_height(checker: _Checker, question: Question) -> None:
    floor_m = checker.facts.structure.rooms[0].floor_z_m
    _expect_number(question, float(checker.dot_world(question.marks[0])[2]) - floor_m)


def _point_sideways(checker: _Checker, question: Question) -> None:
    mark = question.marks[0]
    seen = checker.camera_from_world[checker.frame_of[mark.frame_id]] @ np.append(checker.dot_world(mark), 1.0)
    if _one_of(question.text.lower(), re.compile(r"\bto the right\b"), re.compile(r"\bto the left\b")) != (seen[0] > 0):
        raise _WrongError("the dot is on the other side")
    _expect_number(question, abs(float(seen[0])))


def _depth_comparison(checker: _Checker, question: Question) -> None:
    depth_of = {mark.colour: checker.dot_depth_m(mark) for mark in question.marks}
    asks_closer = _one_of(question.text.lower(), CLOSER, FARTHER)
    _expect_option(question, (min if asks_closer else max)(depth_of, key=depth_of.__getitem__))


def _dot_position(checker: _Checker, question: Question) -> None:
    colour = re.search(r"the (\w+) dot", question.text.lower())
    mark = next((one for one in question.marks if colour and one.colour == colour[1]), None)
    if mark is None:
        raise _WrongError("the text names no dot that is drawn")
    checker.dot_depth_m(mark)  # raises where the dot stands on no measured point
    camera = checker.facts.frames.intrinsics[checker.frame_of[mark.frame_id]]
    above, left_of = 2 * mark.v_px < camera.height - 1, 2 * mark.u_px < camera.width - 1
    _expect_option(question, f"{'upper' if above else 'lower'} {'left' if left_of else 'right'}")


def _object_distance(checker: _Checker, question: Question) -> None:
    _expect_number(question, checker.box_gap_m(*question.object_ids))


def _object_count(checker: _Checker, question: Question) -> None:
    category = checker.object_of[question.object_ids[0]].category
    alike = {one.object_id for one in checker.facts.objects or () if one.category == category}
    views = checker.facts.object_views
    frames = [checker.frame_of[frame_id] for frame_id in question.frame_ids]
    seen = {int(one) for one in views.object_id[np.isin(views.frame, frames)]}
    if not alike <= seen:
        raise _WrongError(f"{len(alike - seen)} of {len(alike)} are in none of the images")
    if category.replace("_", " ").split()[0].lower()[:3] not in question.text.lower():
        raise _WrongError(f"the text does not ask for {category}")
    _expect_number(question, float(len(alike)))


def _object_size(checker: _Checker, question: Question) -> None:
    box = checker.object_of[question.object_ids[0]].box
    corners_world = np.array(list(_corners(box.world_from_object, box.size_m)))
    if _one_of(question.text.lower(), HEIGHT, LONGEST):
        found_m = float(np.ptp(corners_world[:, 2]))
    else:
        found_m = max(float(np.linalg.norm(corners_world[0] - corners_world[index])) for index in (1, 2, 4))
    _expect_number(question, found_m * 100.0)


def _corners(world_from_object: np.ndarray, size_m: np.ndarray) -> Iterator[np.ndarray]:
    for index in range(8):
        signs = np.array([index & 1, index >> 1 & 1, index >> 2 & 1]) - 0.5
        yield world_from_object[:3, :3] @ (signs * size_m) + world_from_object[:3, 3]


def _relative_direction(checker: _Checker, question: Question) -> None:
    ahead_m, left_m = checker.plan_sides(question)
    _expect_option(question, f"{'front' if ahead_m > 0 else 'back'}-{'left' if left_m > 0 else 'right'}")


_CHECKS: Mapping[str, Callable[[_Checker, Question], None]] = {
    "camera_direction": _camera_direction,
    "camera_distance": _camera_distance,
    "depth_comparison": _depth_comparison,
    "depth_estimation": _depth_estimation,
    "dot_position": _dot_position,
    "object_count": _object_count,
    "object_distance": _object_distance,
    "object_size": _object_size,
    "point_height": _point_height,
    "point_sideways": _point_sideways,
    "relative_direction": _relative_direction,
}
