"""Second opinions on view taking: the floor plan as complex numbers, sides read off the real and imaginary parts of quotients."""

import re

import numpy as np

from sightline.questions.checks.checker import Checker, WrongError, said_option
from sightline.questions.question import Question
from sightline.questions.templates import object_name

IMAGE = re.compile(r"\bimage (\d)\b")
OF_WHO_LOOKS = {"to your left": "left", "behind you": "back", "to your right": "right"}
OF_AN_OBJECT = {"to the left of": "left", "behind": "front", "in front of": "back", "to the right of": "right"}
SPOT_M, DRIFT_DEG = 0.5, 8.0  # of cameras said to have turned on one spot, and of what they see


def view_rotation(checker: Checker, question: Question) -> None:
    """The right option, and no other, is on the asked side of every camera, all turned as the one that is asked for."""
    stand, frames = _stand(checker, question)
    head = _head(question)
    side = _one_of(head, OF_WHO_LOOKS)
    forward = complex(*(checker.facts.frames.world_from_camera[stand][:2, :3] @ np.array([0.0, 0.0, 1.0])))
    eyes = [_eye(checker, frame) for frame in frames]
    centres = np.array([checker.facts.frames.world_from_camera[frame][:3, 3] for frame in frames])
    if np.linalg.norm(centres - checker.facts.frames.world_from_camera[stand][:3, 3], axis=1).max() > SPOT_M:
        raise WrongError("the cameras are not on one spot")
    for object_id in question.object_ids:
        seen = [(_place(checker, object_id) - eye) / forward for eye in eyes]
        if (
            max(abs(np.degrees(np.angle(one / ((_place(checker, object_id) - _eye(checker, stand)) / forward)))) for one in seen)
            > DRIFT_DEG
        ):
            raise WrongError(f"object {object_id} is not where another camera of the spot has it")
    for eye in eyes:
        _expect(checker, question, {one: _quotients(checker, one, eye, forward) for one in question.object_ids}, side, stand)


def view_among(checker: Checker, question: Question) -> None:
    """The right option, and no other, is on the asked side of the object, whose far side is ahead."""
    stand, _ = _stand(checker, question)
    *options, about = question.object_ids
    head = _head(question)
    name = _name(checker, about)
    sides = {words: side for words, side in OF_AN_OBJECT.items() if f"{words} {name}" in head}
    if len(sides) != 1:
        raise WrongError(f"the text does not ask for one side of {name}")
    _expect_common(checker, question, about)
    middle = _place(checker, about)
    forward = middle - _eye(checker, stand)
    _expect(checker, question, {one: _quotients(checker, one, middle, forward) for one in options}, next(iter(sides.values())), stand)


def view_around(checker: Checker, question: Question) -> None:
    """The right option, and no other, is on the asked side of who faces the object, around which the cameras go one way."""
    stand, frames = _stand(checker, question)
    *options, about = question.object_ids
    head = _head(question)
    if _name(checker, about) not in head:
        raise WrongError("the text does not name the object in the middle")
    _expect_common(checker, question, about)
    looks = [_place(checker, about) - _eye(checker, frame) for frame in frames]
    turns = [np.angle(after / before) for before, after in zip(looks, looks[1:])]
    if len({bool(turn > 0) for turn in turns}) != 1:
        raise WrongError("the camera does not go around one way")
    eye = _eye(checker, stand)
    forward = _place(checker, about) - eye
    _expect(checker, question, {one: _quotients(checker, one, eye, forward) for one in options}, _one_of(head, OF_WHO_LOOKS), stand)


def _stand(checker: Checker, question: Question) -> tuple[int, list[int]]:
    """The frame whose image the text asks for, and all frames."""
    frames = [checker.frame_of[one] for one in question.frame_ids]
    numbers = set(IMAGE.findall(question.text.partition(" A. ")[0].lower()))
    if len(numbers) != 1 or not 1 <= int(next(iter(numbers))) <= len(frames):
        raise WrongError("the text does not say at which image one stands")
    return frames[int(next(iter(numbers))) - 1], frames


def _head(question: Question) -> str:
    return question.text.partition(" A. ")[0].lower()


def _one_of(head: str, sides: dict[str, str]) -> str:
    found = {side for words, side in sides.items() if words in head}
    if len(found) != 1:
        raise WrongError("the text does not ask for one side")
    return found.pop()


def _eye(checker: Checker, frame: int) -> complex:
    return complex(*checker.facts.frames.world_from_camera[frame][:2, 3])


def _place(checker: Checker, object_id: int) -> complex:
    return complex(*checker.object_of[object_id].box.world_from_object[:2, 3])


def _name(checker: Checker, object_id: int) -> str:
    category = checker.object_of[object_id].category
    if sum(one.category == category for one in checker.object_of.values()) != 1:
        raise WrongError(f"there is more than one {category}")
    return object_name(category, None).lower()


def _quotients(checker: Checker, object_id: int, start: complex, forward: complex) -> np.ndarray:
    """Middle and corners `(9,)` of an object as real parts ahead and imaginary parts to the left."""
    box = checker.object_of[object_id].box
    grid = np.stack(np.meshgrid([-0.5, 0.5], [-0.5, 0.5], [-0.5, 0.5]), axis=-1).reshape(-1, 3)
    corners = (np.r_[np.zeros((1, 3)), grid] * box.size_m) @ box.world_from_object[:2, :3].T + box.world_from_object[:2, 3]
    return (corners[:, 0] + 1j * corners[:, 1] - start) / forward


def _is_on(points: np.ndarray, side: str) -> np.ndarray:
    ahead, left = points.real, points.imag
    return {"front": ahead >= abs(left), "back": -ahead >= abs(left), "left": left >= abs(ahead), "right": -left >= abs(ahead)}[side]


def _expect(checker: Checker, question: Question, points_of: dict[int, np.ndarray], side: str, stand: int) -> None:
    """Only the said option is on the side, with its whole box; the standing image does not show it, another one does."""
    wholly = [one for one, points in points_of.items() if _is_on(points, side).all()]
    partly = [one for one, points in points_of.items() if _is_on(points, side).any()]
    if len(wholly) != 1 or wholly != partly:
        raise WrongError(f"{len(wholly)} options are on the {side} side, {len(partly)} partly")
    target = wholly[0]
    views = checker.facts.object_views
    seen_by = set(views.frame[views.object_id == target].tolist())
    if stand in seen_by or not seen_by & {checker.frame_of[one] for one in question.frame_ids}:
        raise WrongError("the answer is in the standing image, or in none")
    colours = {object_id: mark.colour for object_id, mark in zip(question.object_ids, question.marks)}
    name = object_name(checker.object_of[target].category, None).lower()
    found = name + (f" ({colours[target]} dot)" if target in colours else "")
    if said_option(question).lower() != found:
        raise WrongError(found)


def _expect_common(checker: Checker, question: Question, about: int) -> None:
    """Every image shows the object that they have in common."""
    views = checker.facts.object_views
    if not {checker.frame_of[one] for one in question.frame_ids} <= set(views.frame[views.object_id == about].tolist()):
        raise WrongError("an image does not show the object that all have in common")
