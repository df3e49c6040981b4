"""Second opinions on the three sizes of objects: from the corners of their boxes, sorted round the plan."""

import re

import numpy as np

from sightline.questions.checks.checker import Checker, WrongError, expect_number
from sightline.questions.checks.objects import corners
from sightline.questions.question import Question
from sightline.questions.templates import object_name, spoken

UNITS_PER_M = {"cm": 100.0, "mm": 1000.0}
SHORTER = re.compile(r"\bshorter\b")
LONGER = re.compile(r"\blonger\b")
UPRIGHT = re.compile(r"\b(height|vertical|highest|tall|top)\b")
HEIGHT, WIDTH, LENGTH = 0, 1, 2  # as coverage numbers them


def object_height(checker: Checker, question: Question) -> None:
    _expect_size(checker, question, HEIGHT)


def object_width(checker: Checker, question: Question) -> None:
    _expect_size(checker, question, WIDTH)


def object_length(checker: Checker, question: Question) -> None:
    _expect_size(checker, question, LENGTH)


def _expect_size(checker: Checker, question: Question, axis: int) -> None:
    object_id = question.object_ids[0]
    text = question.text.replace(spoken(checker.object_of[object_id].category), "")  # a counter top is not about its top
    asks = {HEIGHT: UPRIGHT.search(text), WIDTH: SHORTER.search(text), LENGTH: LONGER.search(text)}
    if [one for one, found in asks.items() if found] != [axis]:
        raise WrongError("the text does not say which size is asked")
    _expect_named(checker, question, object_id)
    _expect_spanned(checker, question, object_id, axis)
    box = checker.object_of[object_id].box
    world = np.array(list(corners(box.world_from_object, box.size_m)))
    below, above = world[:4], world[4:]  # the two faces across the upright axis
    from_middle = below - below.mean(axis=0)
    round_plan = np.argsort(np.arctan2(from_middle[:, 1], from_middle[:, 0]))
    ring = below[round_plan]
    sides_m = np.sqrt(((ring - np.roll(ring, 1, axis=0)) ** 2).sum(axis=1))
    found_m = (float(np.sqrt(((above - below) ** 2).sum(axis=1)).mean()), float(sides_m.min()), float(sides_m.max()))[axis]
    expect_number(question, found_m * UNITS_PER_M[question.answer.format.unit])


def _expect_named(checker: Checker, question: Question, object_id: int) -> None:
    category = checker.object_of[object_id].category
    if object_name(category, None) not in question.text:
        raise WrongError(f"the text does not name the {category}")
    if not question.marks and sum(one.category == category for one in checker.object_of.values()) > 1:
        raise WrongError(f"there are several of category {category}, and none is marked")
    if question.marks and question.marks[0].frame_id != question.frame_ids[0]:
        raise WrongError("the dot is not in image 1")


def _expect_spanned(checker: Checker, question: Question, object_id: int, axis: int) -> None:
    """The images hold a set that shows the object from end to end, and the object is to be seen in each of them."""
    facts = checker.facts
    frames = [checker.frame_of[frame_id] for frame_id in question.frame_ids]
    seen_in = set(facts.object_views.frame[facts.object_views.object_id == object_id].tolist())
    if len(set(frames)) != len(frames) or not seen_in.issuperset(frames):
        raise WrongError("an image is shown twice, or does not show the object")
    sets = facts.coverage
    mine = (sets.object_id == object_id) & (sets.axis == axis)
    wanted = {frozenset((int(first), int(second))) - {-1} for first, second in zip(sets.first[mine], sets.second[mine])}
    if not any(one <= set(frames) for one in wanted):
        raise WrongError("the images do not show the object from end to end")
