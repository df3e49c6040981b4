"""Situated distance: how far it is to an object from a described place."""

from collections.abc import Iterator, Mapping
from typing import ClassVar

import numpy as np

from sightline.answers.answer import Answer
from sightline.answers.number import Number
from sightline.facts.fact import FactTable
from sightline.questions.choosing import choose, log_bin
from sightline.questions.margins import margins_of
from sightline.questions.question import Question, Skip, TaskOptions
from sightline.questions.shown import Shown
from sightline.questions.situated_stance import STANCE_MARGINS, Floor
from sightline.questions.situated_task import Asking, Case, SituatedTask
from sightline.questions.units import DECIMALS, PER_M

TARGETS_PER_STANCE = 3

TEMPLATES = (
    "How far is it along the floor from you to the nearest point of {c}?",
    "Measured level with the floor, how far away from you is the closest part of {c}?",
    "What is the level distance between you and the nearest side of {c}?",
    "On the floor plan, how far are you from the closest point of {c}?",
    "How long is the straight line along the floor from your feet to the nearest point of {c}?",
    "If nothing were in the way, how far would you have to walk in a straight line until you are right at {c}?",
    "Estimate how far away from you {c} begins, measured along the floor.",
    "Seen from above, how much distance lies between you and the closest edge of {c}?",
)


class SituatedDistance(SituatedTask):
    """Level distance from the described place to the nearest point of an object's footprint, in `options.length_unit`."""

    name: ClassVar[str] = "situated_distance"
    MARGINS: ClassVar[Mapping[str, float]] = {
        **STANCE_MARGINS,
        "min_distance_m": 1.25,  # the described place may be off by `place_error_m`: 20 % of this
        "max_distance_m": 15.0,
    }

    def ask(self, facts: FactTable, rng: np.random.Generator, options: TaskOptions) -> Iterator[Question | Skip]:
        margins = margins_of(self, options)
        shown = Shown(facts, min_visible_share=margins["min_visible_share"], options=options, as_video=True)
        floor = Floor(facts, margins)
        targets = [shown.object_ids[row] for row in np.flatnonzero(shown.nameable)]
        unit = options.length_unit
        form = Number(unit=unit, decimals=DECIMALS[unit], high=100.0 * PER_M[unit], tolerance_share=options.tolerance_share)
        cases: list[Case] = []
        for stance in self.stances(floor, shown, rng, options):
            if isinstance(stance, str):
                yield self.skip(facts, stance)
                continue
            others = [one for one in targets if one not in (stance.beside, stance.towards)]
            for index in rng.permutation(len(others))[:TARGETS_PER_STANCE]:
                target = others[index]
                distance_m = floor.distance_m(target, stance)
                frames = shown.frames_of([stance.beside, stance.towards, target], rng=rng)
                if not margins["min_distance_m"] <= distance_m <= margins["max_distance_m"]:
                    yield self.skip(facts, "too_close_to_measure" if distance_m < margins["min_distance_m"] else "too_far_away")
                elif not frames:
                    yield self.skip(facts, "not_shown_together")
                else:
                    cases.append(Case(stance=stance, targets=(target,), side="", value=distance_m, frames=frames))

        def build(case: Case) -> Question | Skip:
            named = shown.introduce([case.stance.beside, case.stance.towards, *case.targets], case.frames, rng=rng)
            if isinstance(named, str):
                return self.skip(facts, named)
            index = int(rng.integers(len(TEMPLATES)))
            answer = Answer(format=form, value=float(case.value) * PER_M[unit])
            asking = Asking(text=TEMPLATES[index].format(c=named.names[2]), index=index, answer=answer)
            evidence = {"distance_m": round(float(case.value), 4), "min_distance_m": margins["min_distance_m"]}
            return self.question(case, asking, named=named, floor=floor, facts=facts, rng=rng, evidence=evidence)

        yield from choose(
            cases, key=lambda case: log_bin(float(case.value)), build=build, rng=rng, options=options, video_ids=shown.video_ids
        )
