"""Questions spoiled on purpose, each so that its answer is no longer true by far more than any tolerance."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from sightline.answers.answer import Answer
from sightline.answers.box import Box
from sightline.answers.box3d import Box3d
from sightline.answers.choice import Choice
from sightline.answers.image_set import ImageSet
from sightline.answers.number import Number
from sightline.answers.point import Point
from sightline.answers.vector import Vector
from sightline.answers.word import Word
from sightline.questions.question import Question

TOO_LARGE = 1.25
TURNED = frozenset(("camera_vector", "camera_yaw_movement", "camera_pitch_movement"))  # of the other order of frames nothing is the same
TOLD_APART = frozenset(("object_near_far", "object_up_down", "object_left_right", "depth_comparison"))  # by the colours of two dots


def answered(question: Question, value: object) -> Question:
    return replace(question, answer=Answer(format=question.answer.format, value=value))


def another_answer(question: Question, rng: np.random.Generator) -> Question:
    """Another letter or word, a number or vector a quarter larger, another place, box or set."""
    form, value = question.answer.format, question.answer.value
    if isinstance(form, Choice | Word):
        others = [one for one in (form.letters if isinstance(form, Choice) else form.words) if one != value]
        return answered(question, others[int(rng.integers(len(others)))])
    if isinstance(form, Number):
        least = 1.0 if form.unit in ("", None) else 0.2 * {"m": 1.0, "cm": 100.0, "mm": 1000.0}.get(form.unit, 5.0)
        larger = value + max(abs(value) * (TOO_LARGE - 1.0), least)
        return answered(question, float(round(larger)) if form.unit in ("", None) else larger)
    if isinstance(form, Vector):
        longer = np.array(value) * TOO_LARGE
        apart = 0.1 / {"m": 1.0, "cm": 0.01, "mm": 0.001}[form.unit]
        return answered(question, tuple(longer if np.abs(longer - value).max() > apart else np.array(value) + 2 * apart))
    if isinstance(form, Point):
        u_px, v_px = form.to_px(value)
        return answered(
            question, form.from_px((u_px + 0.4 * form.width) % (form.width - 1), (v_px + 0.4 * form.height) % (form.height - 1))
        )
    if isinstance(form, Box):
        left, top, right, bottom = value
        wide, tall = right - left, bottom - top
        return answered(question, (left, top, left + 0.75 * wide, top + 0.75 * tall))
    if isinstance(form, Box3d):
        return answered(question, (*value[:3], *(TOO_LARGE * one for one in value[3:6]), value[6]))
    if isinstance(form, ImageSet):
        toggled = float(rng.integers(1, form.count + 1))
        return answered(question, tuple(sorted(set(value) ^ {toggled})))
    raise TypeError(f"no error known for {form}")


def swapped_frames(question: Question, rng: np.random.Generator) -> Question:
    return replace(question, frame_ids=question.frame_ids[::-1])


def mirrored_words(question: Question, rng: np.random.Generator) -> Question:
    return replace(question, text=question.text.replace("left", "\0").replace("right", "left").replace("\0", "right"))


def swapped_colours(question: Question, rng: np.random.Generator) -> Question:
    """The words for one dot's thing are now those of the other's."""
    first, second = question.marks
    return replace(question, marks=(replace(first, colour=second.colour), replace(second, colour=first.colour)))


def wrongs(question: Question) -> tuple[Callable[[Question, np.random.Generator], Question], ...]:
    """The ways in which this question can be spoiled."""
    ways: list[Callable[[Question, np.random.Generator], Question]] = [another_answer]
    if question.task in TURNED:
        ways.append(swapped_frames)
    if question.task == "point_sideways":
        ways.append(mirrored_words)
    if question.task in TOLD_APART and len(question.marks) == 2:
        ways.append(swapped_colours)
    return tuple(ways)


def spoiled(question: Question, rng: np.random.Generator) -> Question:
    """The question with one error, any way it can have one."""
    ways = wrongs(question)
    return ways[int(rng.integers(len(ways)))](question, rng)
