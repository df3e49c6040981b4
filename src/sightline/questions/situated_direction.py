"""Situated direction: on which side of you an object is, from a described place and heading."""

from collections.abc import Iterator
from typing import ClassVar

import numpy as np

from sightline.answers.answer import Answer
from sightline.facts.fact import FactTable
from sightline.questions.choosing import Letters, choose
from sightline.questions.margins import margins_of
from sightline.questions.question import Question, Skip, TaskOptions
from sightline.questions.shown import Shown
from sightline.questions.situated_stance import SIDE_WORDS, SIDES, Floor
from sightline.questions.situated_task import Asking, Case, SituatedTask, target_bearing_deg

TARGETS_PER_STANCE = 4

TEMPLATES = (
    "Where is {c}?",
    "In which direction is {c} from you?",
    "On which side of you do you find {c}?",
    "Relative to the way you face, where is {c}?",
    "Which of these tells where {c} is, as you stand there?",
    "Seen from there, which way is {c}?",
    "Someone asks you where {c} is. Which way do you point?",
    "Where would you look for {c}?",
)


class SituatedDirection(SituatedTask):
    """Choice of in front, left, behind and right: the quarter round the described place that holds the whole object."""

    name: ClassVar[str] = "situated_direction"

    def ask(self, facts: FactTable, rng: np.random.Generator, options: TaskOptions) -> Iterator[Question | Skip]:
        margins = margins_of(self, options)
        shown = Shown(facts, min_visible_share=margins["min_visible_share"], options=options, as_video=True)
        floor = Floor(facts, margins)
        letters = Letters(rng, options)
        targets = [shown.object_ids[row] for row in np.flatnonzero(shown.nameable)]
        cases: list[Case] = []
        for stance in self.stances(floor, shown, rng, options):
            if isinstance(stance, str):
                yield self.skip(facts, stance)
                continue
            others = [one for one in targets if one not in (stance.beside, stance.towards)]
            for index in rng.permutation(len(others))[:TARGETS_PER_STANCE]:
                target = others[index]
                side = floor.side_of(target, stance)
                if side is None:
                    yield self.skip(facts, "between_two_sides")
                    continue
                frames = shown.frames_of([stance.beside, stance.towards, target], rng=rng)
                if frames:
                    cases.append(Case(stance=stance, targets=(target,), side=side, value=side, frames=frames))
                else:
                    yield self.skip(facts, "not_shown_together")

        def build(case: Case) -> Question | Skip:
            named = shown.introduce([case.stance.beside, case.stance.towards, *case.targets], case.frames, rng=rng)
            if isinstance(named, str):
                return self.skip(facts, named)
            index = int(rng.integers(len(TEMPLATES)))
            right = SIDE_WORDS[case.side]
            order = [SIDE_WORDS[side] for side in SIDES]
            choice = letters.choice(right, [one for one in order if one != right], order=order)
            asking = Asking(
                text=TEMPLATES[index].format(c=named.names[2]),
                index=index,
                answer=Answer(format=choice, value=choice.letter_of(right)),
                listing=choice.listing,
            )
            evidence = {
                "bearing_deg": round(target_bearing_deg(case, floor), 2),
                "distance_m": round(floor.distance_m(case.targets[0], case.stance), 4),
            }
            return self.question(case, asking, named=named, floor=floor, facts=facts, rng=rng, evidence=evidence)

        yield from choose(
            cases, key=lambda case: case.side, build=build, rng=rng, options=options, is_strict=True, video_ids=shown.video_ids
        )
