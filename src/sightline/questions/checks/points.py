"""Second opinions on dotted points: from their world positions, not from the measured depths."""

import re

import numpy as np

from sightline.questions.checks.checker import Checker, WrongError, expect_number, expect_option, one_of
from sightline.questions.question import Question

CLOSER = re.compile(r"\b(closer|nearer|smaller depth)\b")
FARTHER = re.compile(r"\b(farther|deeper|larger depth)\b")


def depth_estimation(checker: Checker, question: Question) -> None:
    expect_number(question, checker.dot_depth_m(question.marks[0]))


def point_height(checker: Checker, question: Question) -> None:
    floor_m = checker.facts.structure.rooms[0].floor_z_m
    expect_number(question, float(checker.dot_world(question.marks[0])[2]) - floor_m)


def point_sideways(checker: Checker, question: Question) -> None:
    mark = question.marks[0]
    seen = checker.camera_from_world[checker.frame_of[mark.frame_id]] @ np.append(checker.dot_world(mark), 1.0)
    if one_of(question.text.lower(), re.compile(r"\bto the right\b"), re.compile(r"\bto the left\b")) != (seen[0] > 0):
        raise WrongError("the dot is on the other side")
    expect_number(question, abs(float(seen[0])))


def depth_comparison(checker: Checker, question: Question) -> None:
    depth_of = {mark.colour: checker.dot_depth_m(mark) for mark in question.marks}
    asks_closer = one_of(question.text.lower(), CLOSER, FARTHER)
    expect_option(question, (min if asks_closer else max)(depth_of, key=depth_of.__getitem__))


def dot_position(checker: Checker, question: Question) -> None:
    colour = re.search(r"the (\w+) dot", question.text.lower())
    mark = next((one for one in question.marks if colour and one.colour == colour[1]), None)
    if mark is None:
        raise WrongError("the text names no dot that is drawn")
    checker.dot_depth_m(mark)  # raises where the dot stands on no measured point
    camera = checker.facts.frames.intrinsics[checker.frame_of[mark.frame_id]]
    above, left_of = 2 * mark.v_px < camera.height - 1, 2 * mark.u_px < camera.width - 1
    expect_option(question, f"{'upper' if above else 'lower'} {'left' if left_of else 'right'}")
