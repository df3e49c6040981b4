"""Situated existence: whether there is any object of a category on one side of you, from a described place and heading."""

from collections.abc import Iterator, Mapping
from typing import ClassVar

import numpy as np

from sightline.answers.answer import Answer
from sightline.answers.word import Word
from sightline.facts.fact import FactTable
from sightline.questions.choosing import choose
from sightline.questions.margins import margins_of
from sightline.questions.question import Question, Skip, TaskOptions
from sightline.questions.shown import Shown
from sightline.questions.situated_count import members_by_category, sides_of_all
from sightline.questions.situated_stance import SIDE_WORDS, SIDES, STANCE_MARGINS, Floor
from sightline.questions.situated_task import Asking, Case, SituatedTask
from sightline.questions.templates import plural

CATEGORIES_PER_STANCE = 4
YES_NO = Word(words=("yes", "no"))

TEMPLATES = (
    "Are there any {things} {side}?",
    "Do you find any {things} {side}?",
    "Is at least one of the {things} {side}?",
    "Do you have any {things} {side}?",
    "Are any of the {things} that the images show {side}?",
    "Looking for {things}, would you find any {side}?",
    "Could any {things} be found {side}?",
    "From where you stand, are any {things} {side}?",
)


class SituatedExistence(SituatedTask):
    """Yes or no. The images show every object of the category; each is wholly in one quarter round the described place."""

    name: ClassVar[str] = "situated_existence"
    MARGINS: ClassVar[Mapping[str, float]] = {
        **STANCE_MARGINS,
        "max_frames": 4,  # more images than this make a long prompt for a small model
        "max_category_share": 0.25,  # of the questions wanted, about one category
    }

    def ask(self, facts: FactTable, rng: np.random.Generator, options: TaskOptions) -> Iterator[Question | Skip]:
        margins = margins_of(self, options)
        shown = Shown(facts, min_visible_share=margins["min_visible_share"], options=options, as_video=True)
        floor = Floor(facts, margins)
        kinds = members_by_category(shown, facts)
        categories = list(kinds)
        cases: list[Case] = []
        for stance in self.stances(floor, shown, rng, options):
            if isinstance(stance, str):
                yield self.skip(facts, stance)
                continue
            for index in rng.permutation(len(categories))[:CATEGORIES_PER_STANCE]:
                members = kinds[categories[index]]
                surely = sides_of_all(categories[index], members, stance, floor, shown)
                if isinstance(surely, str):
                    yield self.skip(facts, surely)
                    continue
                wanted = [stance.beside, stance.towards, *members]
                frames = shown.cover_of(wanted, most=int(margins["max_frames"]), rng=rng, is_linked=True)
                if not frames:
                    yield self.skip(facts, "not_all_shown")
                    continue
                for said, sides in (("yes", sorted(set(surely))), ("no", [one for one in SIDES if one not in surely])):
                    if sides and len(set(surely)) < len(SIDES):  # one of each, or the category would tell the answer
                        side = sides[rng.integers(len(sides))]
                        cases.append(Case(stance=stance, targets=members, side=side, value=said, frames=frames))
        cases = [cases[index] for index in rng.permutation(len(cases))]

        def build(case: Case) -> Question | Skip:
            named = shown.introduce([case.stance.beside, case.stance.towards], case.frames, rng=rng)
            if isinstance(named, str):
                return self.skip(facts, named)
            category = shown.category(case.targets[0])
            index = int(rng.integers(len(TEMPLATES)))
            text = TEMPLATES[index].format(things=plural(category), side=SIDE_WORDS[case.side])
            asking = Asking(text=text, index=index, answer=Answer(format=YES_NO, value=case.value))
            evidence = {"count": float(len(case.targets)), "category": category, "side": case.side}
            return self.question(case, asking, named=named, floor=floor, facts=facts, rng=rng, evidence=evidence)

        yield from choose(
            cases,
            key=lambda case: case.value,
            build=build,
            rng=rng,
            options=options,
            is_strict=True,
            video_ids=shown.video_ids,
            about=lambda case: ((shown.category(case.targets[0]), case.value),),
            max_object_share=margins["max_category_share"] / 2.0,
        )
