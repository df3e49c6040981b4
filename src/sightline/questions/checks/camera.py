"""Second opinions on camera movement: solving instead of multiplying with a transpose, headings as complex numbers."""

import numpy as np

from sightline.answers.vector import Vector
from sightline.answers.word import Word
from sightline.questions.checks.checker import SMALL_M, UNITS_PER_M, Checker, WrongError, expect_number, expect_option
from sightline.questions.question import Question

AXES = ("right", "down", "forward")


def camera_direction(checker: Checker, question: Question) -> None:
    right_m, down_m, forward_m = checker.step_m(question)
    along_m = {"right": right_m, "left": -right_m, "down": down_m, "up": -down_m, "forward": forward_m, "backward": -forward_m}
    expect_option(question, max(along_m, key=along_m.__getitem__))


def camera_distance(checker: Checker, question: Question) -> None:
    expect_number(question, float(np.sqrt((checker.step_m(question) ** 2).sum())) * UNITS_PER_M[question.answer.format.unit])


def camera_vector(checker: Checker, question: Question) -> None:
    """Every component to within its last digit, on the axes that the format names."""
    form = question.answer.format
    if not isinstance(form, Vector) or form.axes != AXES:
        raise WrongError("the answer is not along right, down and forward")
    said, per_m = form.parse(question.answer.text), UNITS_PER_M[form.unit]
    found = checker.step_m(question) * per_m
    reach = 0.5 * 10.0**-form.decimals + SMALL_M * per_m + 1e-9
    if said is None or np.abs(np.array(said) - found).max() > reach:
        raise WrongError(str(np.round(found, 4).tolist()))


def camera_x_movement(checker: Checker, question: Question) -> None:
    _expect_said(question, "left" if checker.step_m(question)[0] < 0 else "right")


def camera_y_movement(checker: Checker, question: Question) -> None:
    _expect_said(question, "up" if checker.step_m(question)[1] < 0 else "down")


def camera_z_movement(checker: Checker, question: Question) -> None:
    _expect_said(question, "backward" if checker.step_m(question)[2] < 0 else "forward")


def camera_yaw_movement(checker: Checker, question: Question) -> None:
    _expect_said(question, "right" if _yaw_deg(checker, question) < 0 else "left")


def camera_pitch_movement(checker: Checker, question: Question) -> None:
    _expect_said(question, "down" if _pitch_deg(checker, question) < 0 else "up")


def camera_yaw_angle(checker: Checker, question: Question) -> None:
    expect_number(question, abs(_yaw_deg(checker, question)))


def camera_pitch_angle(checker: Checker, question: Question) -> None:
    expect_number(question, abs(_pitch_deg(checker, question)))


def _sights_world(checker: Checker, question: Question) -> list[np.ndarray]:
    """Viewing directions `(3,)` of both images: where the point one metre ahead lies, less where the camera is."""
    ahead, here = np.array([0.0, 0.0, 1.0, 1.0]), np.array([0.0, 0.0, 0.0, 1.0])
    poses = [checker.facts.frames.world_from_camera[checker.frame_of[frame_id]] for frame_id in question.frame_ids]
    return [(pose @ ahead - pose @ here)[:3] for pose in poses]


def _yaw_deg(checker: Checker, question: Question) -> float:
    """From the first heading to the second, left positive, as the argument of a quotient of complex numbers."""
    first, second = (complex(sight[0], sight[1]) for sight in _sights_world(checker, question))
    return float(np.degrees(np.angle(second / first)))


def _pitch_deg(checker: Checker, question: Question) -> float:
    """By how much nearer to the zenith the second image looks."""
    first, second = (np.degrees(np.arctan2(np.hypot(sight[0], sight[1]), sight[2])) for sight in _sights_world(checker, question))
    return float(first - second)


def _expect_said(question: Question, found: str) -> None:
    form = question.answer.format
    if not isinstance(form, Word) or found not in form.words:
        raise WrongError(f"the answer's words do not hold '{found}'")
    if form.parse(question.answer.text) != found:
        raise WrongError(found)
