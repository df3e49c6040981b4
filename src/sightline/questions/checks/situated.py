"""Second opinions on relations to the camera and described situations: least squares, complex numbers, halving."""

import cmath
import re

import numpy as np
from scipy.optimize import lsq_linear

from sightline.captures.capture import SceneObject
from sightline.facts.free_space import FREE
from sightline.questions.checks.checker import UNITS_PER_M, Checker, WrongError, expect_number, expect_option, one_of
from sightline.questions.question import Question
from sightline.questions.templates import object_name, plural

NEARER = re.compile(r"\b(closer|nearer|smaller distance|reach first)\b")
FARTHER = re.compile(r"\b(farther|more distant|larger distance|reach last)\b")
AWAY = re.compile(r"\b(turn your back|facing away from)\b")
HALFWAY = re.compile(r"\b(halfway between|in the middle between)\b")
QUARTERS = ("in front of you", "to your left", "behind you", "to your right")
STAND_OFF_M = 0.4  # as the pages of the tasks define "beside"
HALVINGS = 40  # of a few metres: far below a nanometre


def camera_object_distance(checker: Checker, question: Question) -> None:
    expect_number(question, _eye_gap_m(checker, question, question.object_ids[0]) * UNITS_PER_M[question.answer.format.unit])


def object_near_far(checker: Checker, question: Question) -> None:
    gaps_m = [_eye_gap_m(checker, question, one) for one in question.object_ids]
    names = [_name(checker, question, place) for place in (0, 1)]
    is_first = one_of(question.text.split(" A. ")[0].lower(), NEARER, FARTHER) == (gaps_m[0] < gaps_m[1])
    expect_option(question, names[0 if is_first else 1])


def object_left_right(checker: Checker, question: Question) -> None:
    """By points all over both boxes: one's leftmost is right of the other's rightmost."""
    frame = checker.frame_of[question.frame_ids[0]]
    columns = [_columns_px(checker, checker.object_of[one], frame) for one in question.object_ids]
    _expect_order(checker, question)
    if columns[0].max() < columns[1].min():
        _expect_word(question, "left")
    elif columns[0].min() > columns[1].max():
        _expect_word(question, "right")
    else:
        raise WrongError("the two overlap from left to right")


def object_up_down(checker: Checker, question: Question) -> None:
    """A box's middle between top and bottom is its centre's height, whatever its turn."""
    heights_m = [float((checker.object_of[one].box.world_from_object @ [0.0, 0.0, 0.0, 1.0])[2]) for one in question.object_ids]
    _expect_order(checker, question)
    _expect_word(question, "higher" if heights_m[0] > heights_m[1] else "lower")


def situated_direction(checker: Checker, question: Question) -> None:
    expect_option(question, _quarter(checker, question, question.object_ids[2]))


def situated_distance(checker: Checker, question: Question) -> None:
    place, _ = _stance(checker, question)
    gap_m = _plan_gap_m(checker.object_of[question.object_ids[2]], place)
    per_m = UNITS_PER_M[question.answer.format.unit]
    expect_number(question, gap_m * per_m)


def situated_count(checker: Checker, question: Question) -> None:
    expect_number(question, float(sum(_on_asked_side(checker, question))))


def situated_existence(checker: Checker, question: Question) -> None:
    _expect_word(question, "yes" if any(_on_asked_side(checker, question)) else "no")


def _eye_gap_m(checker: Checker, question: Question, object_id: int) -> float:
    """From the camera to the nearest point of a box, as a bounded least-squares problem over that point."""
    box = checker.object_of[object_id].box
    eye_world = checker.facts.frames.world_from_camera[checker.frame_of[question.frame_ids[0]]][:3, 3]
    axes = box.world_from_object[:3, :3] * (box.size_m / 2.0)
    found = lsq_linear(axes, eye_world - box.world_from_object[:3, 3], bounds=(-1.0, 1.0), method="bvls")
    return float(np.linalg.norm(found.fun))


def _columns_px(checker: Checker, one: SceneObject, frame: int) -> np.ndarray:
    """Columns of points on a grid through a box."""
    steps = np.linspace(-0.5, 0.5, 7)
    grid = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(-1, 3) * one.box.size_m
    points_world = np.c_[grid, np.ones(len(grid))] @ one.box.world_from_object.T
    image = (points_world @ checker.camera_from_world[frame].T)[:, :3] @ checker.facts.frames.intrinsics[frame].K.T
    if image[:, 2].min() <= 0.0:
        raise WrongError(f"object {one.object_id} reaches behind the camera")
    return image[:, 0] / image[:, 2]


def _name(checker: Checker, question: Question, place: int) -> str:
    category = checker.object_of[question.object_ids[place]].category
    return object_name(category, question.marks[place] if question.marks else None)


def _expect_order(checker: Checker, question: Question) -> None:
    """The text names both, the one that is asked about first."""
    text = question.text.lower()
    first, second = (text.find(_name(checker, question, place).lower()) for place in (0, 1))
    if min(first, second) < 0 or first > second:
        raise WrongError("the text does not ask about the first object beside the second")


def _stance(checker: Checker, question: Question) -> tuple[complex, complex]:
    """Place and heading on the plan as complex numbers, found by halving the ways out of both objects."""
    beside, towards = (checker.object_of[one] for one in question.object_ids[:2])
    start, end = (complex(*one.box.world_from_object[:2, 3]) for one in (beside, towards))
    ahead = (end - start) / abs(end - start)
    leaves_m = _border_m(beside, start, ahead)
    if HALFWAY.search(question.text):
        enters_m = abs(end - start) - _border_m(towards, end, -ahead)
        place = start + (leaves_m + enters_m) / 2.0 * ahead
    else:
        place = start + (leaves_m + STAND_OFF_M) * ahead
    heading = (end - place) / abs(end - place) * (-1.0 if AWAY.search(question.text) else 1.0)
    _expect_free(checker, place)
    return place, heading


def _border_m(one: SceneObject, start: complex, ahead: complex) -> float:
    """How far one walks from a box's middle until one is out of it, by halving the way again and again."""
    inside_m, outside_m = 0.0, float(one.box.size_m.sum())
    for _ in range(HALVINGS):
        middle_m = (inside_m + outside_m) / 2.0
        if _is_inside(one, np.array([start + middle_m * ahead]))[0]:
            inside_m = middle_m
        else:
            outside_m = middle_m
    return inside_m


def _is_inside(one: SceneObject, points: np.ndarray) -> np.ndarray:
    """Which points of the plan an upright box stands over."""
    turn = complex(one.box.world_from_object[0, 0], one.box.world_from_object[1, 0])
    own = (points - complex(*one.box.world_from_object[:2, 3])) / (turn / abs(turn))
    length_m, width_m, _ = one.box.size_m
    return (np.abs(own.real) <= length_m / 2.0) & (np.abs(own.imag) <= width_m / 2.0)


def _expect_free(checker: Checker, place: complex) -> None:
    space = checker.facts.free_space
    column = int((place.real - space.origin_world[0, 0]) // space.cell_m[0])
    row = int((place.imag - space.origin_world[0, 1]) // space.cell_m[0])
    if not (0 <= row < space.cells.shape[0] and 0 <= column < space.cells.shape[1] and space.cells[row, column] == FREE):
        raise WrongError("nobody can stand at the place that is described")


def _plan_gap_m(one: SceneObject, place: complex) -> float:
    """From a place to the nearest point under an upright box, as a bounded least-squares problem."""
    axes = one.box.world_from_object[:2, :2] * (one.box.size_m[:2] / 2.0)
    apart = np.array([place.real, place.imag]) - one.box.world_from_object[:2, 3]
    return float(np.linalg.norm(lsq_linear(axes, apart, bounds=(-1.0, 1.0), method="bvls").fun))


def _quarter(checker: Checker, question: Question, object_id: int) -> str:
    """The words for the quarter that holds an object, all points of a grid under it; raises where they differ."""
    place, heading = _stance(checker, question)
    one = checker.object_of[object_id]
    steps = np.linspace(-0.5, 0.5, 5)
    found = set()
    for x, y in ((x, y) for x in steps for y in steps):
        under = one.box.world_from_object @ np.array([x * one.box.size_m[0], y * one.box.size_m[1], 0.0, 1.0])
        turned_rad = cmath.phase((complex(under[0], under[1]) - place) / heading)
        found.add(QUARTERS[round(turned_rad / (np.pi / 2.0)) % 4])
    if len(found) != 1:
        raise WrongError(f"object {object_id} is partly {' and partly '.join(sorted(found))}")
    return found.pop()


def _on_asked_side(checker: Checker, question: Question) -> list[bool]:
    """Of every object of the asked category, whether it is on the asked side; raises where the text asks for another."""
    members = question.object_ids[2:]
    category = checker.object_of[members[0]].category
    alike = {one.object_id for one in checker.facts.objects or () if one.category == category}
    asked = question.text.split(". ", 1)[1]  # after the situation
    if alike != set(members) or plural(category).lower() not in asked.lower():
        raise WrongError(f"the question is not about all {plural(category)}")
    sides = [one for one in QUARTERS if one in asked]
    if len(sides) != 1:
        raise WrongError("the text does not say which side is asked for")
    views = checker.facts.object_views
    frames = [checker.frame_of[frame_id] for frame_id in question.frame_ids]
    if not alike <= {int(one) for one in views.object_id[np.isin(views.frame, frames)]}:
        raise WrongError(f"not all {plural(category)} are shown")
    return [_quarter(checker, question, one) == sides[0] for one in members]


def _expect_word(question: Question, found: str) -> None:
    if question.answer.format.parse(question.answer.text) != found:
        raise WrongError(found)
