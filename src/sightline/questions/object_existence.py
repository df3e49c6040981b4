"""Object existence: whether an image shows any object of a category that the scan has."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from sightline.answers.answer import Answer
from sightline.answers.word import Word
from sightline.facts.fact import FactTable
from sightline.questions.box_views import BoxViews
from sightline.questions.choosing import choose
from sightline.questions.margins import margins_of
from sightline.questions.question import Question, Skip, TaskOptions
from sightline.questions.shown import Shown
from sightline.questions.templates import plural, word

YES_NO = Word(words=("yes", "no"))

TEMPLATES = (
    "Are there any {things} in this image?",
    "Can you see any {things} in this image?",
    "Does this image show any {things}?",
    "Look at the image: are any {things} to be seen in it?",
    "Can any {things} be made out in this image?",
    "Do any {things} appear in this image?",
    "Would you find any {things} if you searched this image?",
    "Did the camera capture any {things} in this image?",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """A category in a frame."""

    category: str
    frame: int
    said: str  # yes | no


class ObjectExistence:
    """Yes where an object of the category is clearly seen; no where none of them, nor of a kind by that name, could be in the image."""

    name: ClassVar[str] = "object_existence"
    needs: ClassVar[frozenset[str]] = frozenset(("frames", "pairs", "objects", "object_views"))
    MARGINS: ClassVar[Mapping[str, float]] = {
        "min_visible_share": 0.3,  # of an object's points: less might be overlooked
        "max_category_share": 0.25,  # of the questions wanted, about one category
    }

    def ask(self, facts: FactTable, rng: np.random.Generator, options: TaskOptions) -> Iterator[Question | Skip]:
        margins = margins_of(self, options)
        kinds = KindViews(facts, min_visible_share=margins["min_visible_share"], options=options)
        candidates: list[Asked] = []
        for category in kinds.categories:
            said = {
                "yes": [Asked(category=category, frame=int(frame), said="yes") for frame in np.flatnonzero(kinds.is_clear(category))],
                "no": [Asked(category=category, frame=int(frame), said="no") for frame in np.flatnonzero(kinds.is_absent(category))],
            }
            even = min(map(len, said.values()))  # else a category alone would tell the answer
            if not even:
                yield Skip(task=self.name, scan_id=facts.scan_id, reason="in_every_image" if said["yes"] else "in_no_image_clearly")
            for asked in said.values():
                candidates += [asked[index] for index in rng.permutation(len(asked))[:even]]
        candidates = [candidates[index] for index in rng.permutation(len(candidates))]

        def build(asked: Asked) -> Question:
            wording = word(self.name, TEMPLATES, rng, things=plural(asked.category))
            members = kinds.members(asked.category)
            return Question(
                task=self.name,
                scan_id=facts.scan_id,
                frame_ids=(facts.frames.frame_ids[asked.frame],),
                text=wording.text,
                answer=Answer(format=YES_NO, value=asked.said),
                template_id=wording.template_id,
                evidence={
                    "category": asked.category,
                    "most_visible_share": round(kinds.most_visible_share(asked.category, asked.frame), 4),
                    "min_visible_share": margins["min_visible_share"],
                },
                object_ids=members,
            )

        yield from choose(
            candidates,
            key=lambda asked: asked.said,
            build=build,
            rng=rng,
            options=options,
            is_strict=True,
            about=lambda asked: ((asked.category, asked.said),),
            max_object_share=margins["max_category_share"] / 2.0,
        )


class KindViews:
    """Categories against frames: where one is clearly seen, and where it certainly is not."""

    def __init__(self, facts: FactTable, *, min_visible_share: float, options: TaskOptions):
        self.shown = Shown(facts, min_visible_share=min_visible_share, options=options)
        self.boxes = BoxViews(facts)
        self.categories = tuple(sorted({one.category for one in self.shown.objects.values()}))

    def members(self, category: str) -> tuple[int, ...]:
        """The objects of a category, by id."""
        return tuple(object_id for object_id in self.shown.object_ids if self.shown.category(object_id) == category)

    def is_clear(self, category: str) -> np.ndarray:
        """Frames `(F,)` bool that clearly show at least one of the category."""
        return self.shown.is_clear[[self.shown.row_of[one] for one in self.members(category)]].any(axis=0)

    def is_absent(self, category: str) -> np.ndarray:
        """Frames `(F,)` bool that certainly show none of it, nor of a kind that might be called the same."""
        return self.boxes.is_absent[self.boxes.rows_called(self.boxes.alike(category))].all(axis=0)

    def most_visible_share(self, category: str, frame: int) -> float:
        """The largest share of one of its objects that a frame clearly shows; 0 where none."""
        views = self.shown.views
        return max((views[one, frame].visible_share for one in self.members(category) if (one, frame) in views), default=0.0)
