"""A second opinion on routes: the text is read again and walked in the plane of complex numbers, with nothing but boxes."""

import cmath
import re
from collections.abc import Mapping
from math import degrees

import numpy as np

from sightline.questions.checks.checker import Checker, WrongError, said_option
from sightline.questions.question import Question
from sightline.questions.templates import object_name

STEP = re.compile(r"\b\d\. ([^.]*)\.")
GAP = "(fill in)"
REACH_M, STEP_M, FAR_M = 0.4, 0.01, 40.0  # of a landmark; of a walk that looks around after each step; of one that finds nothing
BY_WORD = {"turn left": 1j, "turn right": -1j, "turn back": -1.0 + 0j}


def route_plan(checker: Checker, question: Question) -> None:
    """The chosen turns are those that the walk needs, and no other listed ones arrive."""
    head, _, _ = question.text.partition(" A. ")
    introduction, _, _ = head.partition("1. ")
    named = _named(checker, introduction)
    steps = STEP.findall(head[len(introduction) :])
    stations = [None if GAP in step else _named(checker, step)[-1] for step in steps]
    path = [one for one in stations if one is not None]
    if len(named) != 3 or not path or path[-1] != named[2] or (*named[:2], *path) != question.object_ids:
        raise WrongError("the text does not lead from the named start to the named goal")
    right = said_option(question)
    options = [option.split(", ") for option in question.answer.format.options]
    arriving = [", ".join(option) for option in options if _arrives(checker, named[0], named[1], stations, option)]
    if arriving != [right]:
        raise WrongError(" or ".join(arriving) if arriving else "no option leads there")


def _named(checker: Checker, text: str) -> list[int]:
    """Objects in the order in which the text names them; each the only one of its category."""
    ids: Mapping[str, list[int]] = {}
    for one in checker.object_of.values():
        ids.setdefault(object_name(one.category, None).lower(), []).append(one.object_id)
    words = "|".join(re.escape(name) for name in sorted(ids, key=len, reverse=True))
    found = re.findall(rf"\b({words})\b", text.lower())
    if not found or any(len(ids[name]) > 1 for name in found):
        raise WrongError("the text names no object, or one of several alike")
    return [ids[name][0] for name in found]


def _place(checker: Checker, object_id: int) -> complex:
    return complex(*checker.object_of[object_id].box.world_from_object[:2, 3])


def _arrives(checker: Checker, start: int, faced: int, stations: list[int | None], turns: list[str]) -> bool:
    """Whether one who stands at the start's middle, faces the other object and takes these turns gets to each landmark in turn.

    A turn that fits is made exactly as far as the landmark needs; one that does not is made by a quarter or a half.
    """
    here, heading = _place(checker, start), _place(checker, faced) - _place(checker, start)
    waiting = list(turns)
    turn = ""
    for station in stations:
        if station is None:
            turn = waiting.pop(0)
            continue
        wanted = _place(checker, station) - here
        needed = degrees(cmath.phase(wanted / heading))
        heading = wanted if _name(needed) == turn else heading * BY_WORD.get(turn, 1.0)
        reached = _walked(checker, here, heading / abs(heading), station)
        if reached is None:
            return False
        here, turn = reached, ""
    return not waiting


def _name(angle_deg: float) -> str:
    if abs(angle_deg) < 30.0:
        return ""
    return "turn back" if abs(angle_deg) > 120.0 else "turn left" if angle_deg > 0 else "turn right"


def _walked(checker: Checker, here: complex, ahead: complex, station: int) -> complex | None:
    """The first place on a straight walk where the landmark's box is within reach."""
    box = checker.object_of[station].box
    axis = complex(*box.world_from_object[:2, 0])
    places = here + np.arange(0.0, FAR_M, STEP_M) * ahead
    beside = (places - complex(*box.world_from_object[:2, 3])) * axis.conjugate()
    gaps_m = np.hypot(np.maximum(np.abs(beside.real) - box.size_m[0] / 2, 0), np.maximum(np.abs(beside.imag) - box.size_m[1] / 2, 0))
    at = np.flatnonzero(gaps_m <= REACH_M)
    return complex(places[at[0]]) if len(at) else None
