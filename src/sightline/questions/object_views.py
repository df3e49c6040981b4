"""Object views: which of several images show a category of objects."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from sightline.answers.answer import Answer
from sightline.answers.image_set import ImageSet
from sightline.facts.fact import FactTable
from sightline.questions.choosing import choose
from sightline.questions.margins import margins_of
from sightline.questions.object_existence import KindViews
from sightline.questions.question import Question, Skip, TaskOptions
from sightline.questions.templates import plural, word

TEMPLATES = (
    "Which of these images show any {things}?",
    "In which of the images can you see any {things}?",
    "Name every image with any {things} in it.",
    "Where do {things} appear: which of these images show at least one?",
    "Look for {things} in all images. Which ones show any?",
    "Pick out the images that show any {things}. Which are they?",
    "Some of these images may show {things}. Which ones do?",
    "List all images in which any {things} can be found.",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Lineup:
    """Frames in the order they are shown, and which of them show the category."""

    category: str
    frames: tuple[int, ...]
    showing: tuple[float, ...]  # numbers of images, from 1


class ObjectViews:
    """A set of image numbers. Every image either clearly shows an object of the category or certainly shows none."""

    name: ClassVar[str] = "object_views"
    needs: ClassVar[frozenset[str]] = frozenset(("frames", "pairs", "objects", "object_views"))
    MARGINS: ClassVar[Mapping[str, float]] = {
        "images": 4,  # shown at a time: 16 sets, and no longer prompt than a small model takes
        "min_visible_share": 0.3,  # of an object's points: less might be overlooked
        "tries_per_number": 4,  # sets of images drawn of each category and number of images that show it
        "max_category_share": 0.25,  # of the questions wanted, about one category
    }

    def ask(self, facts: FactTable, rng: np.random.Generator, options: TaskOptions) -> Iterator[Question | Skip]:
        margins = margins_of(self, options)
        kinds = KindViews(facts, min_visible_share=margins["min_visible_share"], options=options)
        count = int(margins["images"])
        form = ImageSet(count=count)
        candidates: list[Lineup] = []
        for category in kinds.categories:
            clear, absent = np.flatnonzero(kinds.is_clear(category)), np.flatnonzero(kinds.is_absent(category))
            numbers = [number for number in range(count + 1) if number <= len(clear) and count - number <= len(absent)]
            if not len(clear) or not len(absent) or len(numbers) < 2:  # with one number left, the category would tell it
                yield Skip(task=self.name, scan_id=facts.scan_id, reason="in_too_few_or_too_many_images")
                continue
            for number in numbers:
                for _ in range(int(margins["tries_per_number"])):
                    candidates.append(self._drawn(category, clear, absent, number=number, count=count, rng=rng))
        candidates = [candidates[index] for index in rng.permutation(len(candidates))]

        def build(lineup: Lineup) -> Question:
            wording = word(self.name, TEMPLATES, rng, things=plural(lineup.category))
            shares = [kinds.most_visible_share(lineup.category, lineup.frames[int(number) - 1]) for number in lineup.showing]
            return Question(
                task=self.name,
                scan_id=facts.scan_id,
                frame_ids=tuple(facts.frames.frame_ids[frame] for frame in lineup.frames),
                text=wording.text,
                answer=Answer(format=form, value=lineup.showing),
                template_id=wording.template_id,
                evidence={
                    "category": lineup.category,
                    "count": float(len(lineup.showing)),
                    "min_visible_share": margins["min_visible_share"],
                    **({"least_visible_share": round(min(shares), 4)} if shares else {}),
                },
                object_ids=kinds.members(lineup.category),
            )

        yield from choose(
            candidates,
            key=lambda lineup: lineup.showing,
            build=build,
            rng=rng,
            options=options,
            about=lambda lineup: (lineup.category,),
            max_object_share=margins["max_category_share"],
        )

    @staticmethod
    def _drawn(category: str, clear: np.ndarray, absent: np.ndarray, *, number: int, count: int, rng: np.random.Generator) -> Lineup:
        """`number` frames that show the category among `count`, in random order."""
        frames = [*rng.permutation(clear)[:number].tolist(), *rng.permutation(absent)[: count - number].tolist()]
        order = rng.permutation(count)
        showing = tuple(float(place + 1) for place, index in enumerate(order) if index < number)
        return Lineup(category=category, frames=tuple(frames[index] for index in order), showing=showing)
