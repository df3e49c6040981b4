"""Situated count: how many objects of a category are on one side of you, from a described place and heading."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import ClassVar

import numpy as np

from sightline.answers.answer import Answer
from sightline.answers.number import Number
from sightline.facts.fact import FactTable
from sightline.questions.choosing import choose
from sightline.questions.margins import margins_of
from sightline.questions.question import Question, Skip, TaskOptions
from sightline.questions.shown import Shown
from sightline.questions.situated_stance import SIDE_WORDS, SIDES, STANCE_MARGINS, Floor, Stance
from sightline.questions.situated_task import Asking, Case, SituatedTask
from sightline.questions.templates import is_plural, plural, sounds_alike

TEMPLATES = (
    "How many {things} are {side}?",
    "How many {things} do you count {side}?",
    "Count the {things} {side}.",
    "What is the number of {things} {side}?",
    "Of all the {things} shown, how many are {side}?",
    "How many of the {things} would you find {side}?",
    "Counting each one once, how many {things} are there {side}?",
    "Say how many {things} there are {side}.",
)


class SituatedCount(SituatedTask):
    """A whole number. The images show every object of the category; each is wholly in one quarter round the described place."""

    name: ClassVar[str] = "situated_count"
    MARGINS: ClassVar[Mapping[str, float]] = {
        **STANCE_MARGINS,
        "min_members": 2,  # objects of the category in the scan: of a single one, existence is asked
        "max_frames": 4,  # more images than this make a long prompt for a small model
    }

    def ask(self, facts: FactTable, rng: np.random.Generator, options: TaskOptions) -> Iterator[Question | Skip]:
        margins = margins_of(self, options)
        shown = Shown(facts, min_visible_share=margins["min_visible_share"], options=options, as_video=True)
        floor = Floor(facts, margins)
        kinds = {one: ids for one, ids in members_by_category(shown, facts).items() if len(ids) >= margins["min_members"]}
        kinds = {one: ids for one, ids in kinds.items() if not is_plural(one)}  # a set of toy blocks is one thing or several
        cases: list[Case] = []
        for stance in self.stances(floor, shown, rng, options):
            if isinstance(stance, str):
                yield self.skip(facts, stance)
                continue
            for category in kinds:
                surely = sides_of_all(category, kinds[category], stance, floor, shown)
                if isinstance(surely, str):
                    yield self.skip(facts, surely)
                    continue
                wanted = [stance.beside, stance.towards, *kinds[category]]
                frames = shown.cover_of(wanted, most=int(margins["max_frames"]), rng=rng, is_linked=True)
                if not frames:
                    yield self.skip(facts, "not_all_shown")
                    continue
                counted = Counter(surely)
                for side in SIDES:
                    cases.append(Case(stance=stance, targets=kinds[category], side=side, value=float(counted[side]), frames=frames))
        cases = evened([cases[index] for index in rng.permutation(len(cases))])
        form = Number(unit="", decimals=0, high=100.0)

        def build(case: Case) -> Question | Skip:
            named = shown.introduce([case.stance.beside, case.stance.towards], case.frames, rng=rng)
            if isinstance(named, str):
                return self.skip(facts, named)
            category = shown.category(case.targets[0])
            index = int(rng.integers(len(TEMPLATES)))
            text = TEMPLATES[index].format(things=plural(category), side=SIDE_WORDS[case.side])
            asking = Asking(text=text, index=index, answer=Answer(format=form, value=case.value))
            evidence = {"count": case.value, "category": category, "side": case.side}
            return self.question(case, asking, named=named, floor=floor, facts=facts, rng=rng, evidence=evidence)

        yield from choose(cases, key=lambda case: case.value, build=build, rng=rng, options=options, video_ids=shown.video_ids)


def members_by_category(shown: Shown, facts: FactTable) -> dict[str, tuple[int, ...]]:
    """The objects of each category that nothing else in the scan might be called by, by category and id."""
    found: dict[str, tuple[int, ...]] = {}
    for category in sorted({one.category for one in shown.objects.values()}):
        if not sounds_alike(category, facts.counts):
            found[category] = tuple(one for one in shown.object_ids if shown.category(one) == category)
    return found


def sides_of_all(category: str, members: tuple[int, ...], stance: Stance, floor: Floor, shown: Shown) -> list[str] | str:
    """The quarter that holds each object of a category, or the reason why one of them cannot be told."""
    if category in (shown.category(stance.beside), shown.category(stance.towards)):
        return "category_is_in_the_situation"
    sides = [floor.side_of(one, stance) for one in members]
    known = [side for side in sides if side is not None]
    return known if len(known) == len(sides) else "one_is_between_two_sides"


def evened(cases: list[Case]) -> list[Case]:
    """Cases of which no answer comes more often than all others together: most sides of most places are empty."""
    counts = Counter(case.value for case in cases)
    if len(counts) < 2:
        return []
    (value, most), *others = counts.most_common()
    surplus = most - sum(count for _, count in others)
    kept = []
    for case in reversed(cases):
        if case.value == value and surplus > 0:
            surplus -= 1
        else:
            kept.append(case)
    return kept[::-1]
