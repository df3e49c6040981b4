"""Second opinions on objects: from their boxes' corners and a search for the closest two points."""

import re
from collections.abc import Iterator

import numpy as np

from sightline.questions.checks.checker import UNITS_PER_M, Checker, WrongError, expect_number
from sightline.questions.question import Question

LONGEST = re.compile(r"\b(longest|largest)\b")


def object_distance(checker: Checker, question: Question) -> None:
    expect_number(question, checker.box_gap_m(*question.object_ids) * UNITS_PER_M[question.answer.format.unit])


def object_count(checker: Checker, question: Question) -> None:
    category = checker.object_of[question.object_ids[0]].category
    alike = {one.object_id for one in checker.facts.objects or () if one.category == category}
    views = checker.facts.object_views
    frames = [checker.frame_of[frame_id] for frame_id in question.frame_ids]
    seen = {int(one) for one in views.object_id[np.isin(views.frame, frames)]}
    if not alike <= seen:
        raise WrongError(f"{len(alike - seen)} of {len(alike)} are in none of the images")
    if category.replace("_", " ").split()[0].lower()[:3] not in question.text.lower():
        raise WrongError(f"the text does not ask for {category}")
    expect_number(question, float(len(alike)))


def object_size(checker: Checker, question: Question) -> None:
    """The longest edge between neighbouring corners of the box; the text must not ask for another side."""
    box = checker.object_of[question.object_ids[0]].box
    corners_world = np.array(list(corners(box.world_from_object, box.size_m)))
    if not LONGEST.search(question.text.lower()):
        raise WrongError("the text does not say what is asked")
    expect_number(question, 100.0 * max(float(np.linalg.norm(corners_world[0] - corners_world[index])) for index in (1, 2, 4)))


def corners(world_from_object: np.ndarray, size_m: np.ndarray) -> Iterator[np.ndarray]:
    for index in range(8):
        signs = np.array([index & 1, index >> 1 & 1, index >> 2 & 1]) - 0.5
        yield world_from_object[:3, :3] @ (signs * size_m) + world_from_object[:3, 3]
