"""Object count: how many objects of a category there are, asked over frames that show every one of them."""

from collections.abc import Iterator, Mapping
from typing import ClassVar

import numpy as np

from sightline.answers.answer import Answer
from sightline.answers.number import Number
from sightline.facts.fact import FactTable
from sightline.questions.choosing import choose, times
from sightline.questions.margins import margins_of
from sightline.questions.question import Question, Skip, TaskOptions
from sightline.questions.shown import Shown
from sightline.questions.templates import is_plural, plural, sounds_alike, word

TEMPLATES = (
    "How many {things} are there in {here}, each counted once?",
    "How many {things} can you see in {here}, counting none of them twice?",
    "Count the {things} in {here}, each only once.",
    "What is the number of different {things} in {here}?",
    "Counting each one once, how many {things} appear in {here}?",
    "How many different {things} do you find in {here}?",
    "In {here}, how many separate {things} are there in total?",
    "Give the total number of {things} in {here}, leaving out none and repeating none.",
)


class ObjectCount:
    """A whole number. Every object of the category in the scan is clearly visible in at least one of the shown images, or of the video."""

    name: ClassVar[str] = "object_count"
    needs: ClassVar[frozenset[str]] = frozenset(("frames", "objects", "object_views"))
    MARGINS: ClassVar[Mapping[str, float]] = {
        "max_frames": 4,  # more images than this make a long prompt for a small model
        "tries_per_category": 4,  # different sets of frames asked of one category
        "min_visible_share": 0.2,  # of an object's points, in the frame that counts as showing it
        "min_count": 1,  # 2 asks of several alone, as VSI-Bench does
        "max_object_share": 0.25,  # of the questions wanted, about one category
    }

    def ask(self, facts: FactTable, rng: np.random.Generator, options: TaskOptions) -> Iterator[Question | Skip]:
        margins = margins_of(self, options)
        shown = Shown(facts, min_visible_share=margins["min_visible_share"], options=options, as_video=True)
        members: dict[str, list[int]] = {}
        for object_id in shown.object_ids:
            members.setdefault(shown.category(object_id), []).append(object_id)
        categories = []
        for category in sorted(members):
            if sounds_alike(category, facts.counts):
                yield Skip(task=self.name, scan_id=facts.scan_id, reason="another_category_sounds_alike")
            elif is_plural(category):
                yield Skip(task=self.name, scan_id=facts.scan_id, reason="name_is_of_several")  # one heap of toy blocks: how many?
            elif len(members[category]) < margins["min_count"]:
                yield Skip(task=self.name, scan_id=facts.scan_id, reason="too_few_to_count")
            else:
                categories.append(category)
        candidates: list[tuple[str, tuple[int, ...]]] = []
        for index in rng.permutation(len(categories)):
            category = categories[index]
            covers = {
                shown.cover_of(members[category], most=int(margins["max_frames"]), rng=rng)
                for _ in range(int(margins["tries_per_category"]))
            }
            if covers == {()}:
                yield from times(Skip(task=self.name, scan_id=facts.scan_id, reason="not_all_shown"), 1)
            candidates += [(category, cover) for cover in sorted(covers) if cover]
        candidates = [candidates[index] for index in rng.permutation(len(candidates))]

        form = Number(unit="", decimals=0, high=100.0, tolerance_share=options.tolerance_share)

        def build(candidate: tuple[str, tuple[int, ...]]) -> Question:
            category, frames = candidate
            object_ids = members[category]
            wording = word(self.name, TEMPLATES, rng, things=plural(category), here=shown.here(frames))
            return Question(
                task=self.name,
                scan_id=facts.scan_id,
                frame_ids=tuple(facts.frames.frame_ids[frame] for frame in frames),
                text=wording.text,
                answer=Answer(format=form, value=float(len(object_ids))),
                template_id=wording.template_id,
                evidence={
                    "count": float(len(object_ids)),
                    "category": category,
                    "least_visible_share": round(min(shown.best_view(one, frames).visible_share for one in object_ids), 4),
                },
                object_ids=tuple(object_ids),
            )

        def is_several(candidate: tuple[str, tuple[int, ...]]) -> bool:
            return len(members[candidate[0]]) > 1  # else "one" would answer most questions

        yield from choose(
            candidates,
            key=is_several,
            build=build,
            rng=rng,
            options=options,
            is_strict=True,
            video_ids=shown.video_ids,
            about=lambda candidate: (candidate[0],),
            max_object_share=margins["max_object_share"],
        )
