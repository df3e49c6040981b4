"""Second opinions on camera movement: solving instead of multiplying with a transpose."""

import numpy as np

from sightline.questions.checks.checker import Checker, expect_number, expect_option
from sightline.questions.question import Question


def camera_direction(checker: Checker, question: Question) -> None:
    right_m, down_m, forward_m = checker.step_m(question)
    along_m = {"right": right_m, "left": -right_m, "down": down_m, "up": -down_m, "forward": forward_m, "backward": -forward_m}
    expect_option(question, max(along_m, key=along_m.__getitem__))


def camera_distance(checker: Checker, question: Question) -> None:
    expect_number(question, float(np.sqrt((checker.step_m(question) ** 2).sum())))
