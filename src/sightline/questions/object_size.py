"""Object size: the height or the longest side of an object, in centimetres."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from sightline.answers.answer import Answer
from sightline.answers.number import Number
from sightline.captures.capture import SceneObject
from sightline.facts.fact import FactTable
from sightline.questions.choosing import choose, log_bin
from sightline.questions.margins import margins_of
from sightline.questions.marks import dots, trouble_with
from sightline.questions.question import Question, Skip, TaskOptions
from sightline.questions.shown import ObjectView, Shown
from sightline.questions.templates import object_name, word

HEIGHT = (
    "How tall is {a}?",
    "What is the height of {a}?",
    "How high is {a} from its bottom to its top?",
    "Estimate the height of {a}.",
    "From its lowest to its highest point, how tall is {a}?",
    "Look at {a}. What is its height?",
)
LONGEST = (
    "How long is the longest side of {a}?",
    "What is the length of {a} along its longest side?",
    "How large is {a} along its largest dimension?",
    "Estimate the largest dimension of {a}.",
    "What is the largest of the three dimensions of {a}?",
    "Look at {a}. How long is its longest side?",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Measured:
    """One view of an object and what is asked of it."""

    view: ObjectView
    aspect: str  # height | longest
    size_cm: float


class ObjectSize:
    """Centimetres of one object's oriented box. Its view must not be cut by the image's edge, and must show enough of it."""

    name: ClassVar[str] = "object_size"
    needs: ClassVar[frozenset[str]] = frozenset(("frames", "pairs", "objects", "object_views"))
    MARGINS: ClassVar[Mapping[str, float]] = {
        "min_size_cm": 10.0,
        "max_size_cm": 1000.0,
        "min_visible_share": 0.3,  # of the object's points: a surface that is mostly hidden gives its size away to nobody
        "tries_per_object": 3,  # different views of one object
    }

    def ask(self, facts: FactTable, rng: np.random.Generator, options: TaskOptions) -> Iterator[Question | Skip]:
        margins = margins_of(self, options)
        shown = Shown(facts, min_visible_share=margins["min_visible_share"], options=options)
        candidates: list[Measured] = []
        for object_id in (shown.object_ids[index] for index in rng.permutation(len(shown.object_ids))):
            whole = [view for view in shown.views_of(object_id) if not view.is_cut]
            if not whole:
                yield Skip(task=self.name, scan_id=facts.scan_id, reason="not_wholly_shown")
                continue
            for aspect, size_cm in sizes_cm(shown.objects[object_id]).items():
                if not margins["min_size_cm"] <= size_cm <= margins["max_size_cm"]:
                    yield Skip(
                        task=self.name, scan_id=facts.scan_id, reason="too_small" if size_cm < margins["min_size_cm"] else "too_large"
                    )
                    continue
                for index in rng.permutation(len(whole))[: int(margins["tries_per_object"])]:
                    candidates.append(Measured(view=whole[index], aspect=aspect, size_cm=size_cm))

        candidates = [candidates[index] for index in rng.permutation(len(candidates))]

        def build(measured: Measured) -> Question | Skip:
            return self._question(measured, shown, facts, rng, options)

        yield from choose(
            candidates, key=lambda measured: (measured.aspect, log_bin(measured.size_cm)), build=build, rng=rng, options=options
        )

    def _question(
        self, measured: Measured, shown: Shown, facts: FactTable, rng: np.random.Generator, options: TaskOptions
    ) -> Question | Skip:
        view = measured.view
        if not shown.is_named([view.object_id]):
            return Skip(task=self.name, scan_id=facts.scan_id, reason="category_not_unique")
        trouble = trouble_with([view.spot], facts) if options.mark_objects else None
        if trouble:
            return Skip(task=self.name, scan_id=facts.scan_id, reason=trouble)
        marks = dots([view.spot], facts, rng) if options.mark_objects else ()
        name = object_name(shown.category(view.object_id), marks[0] if marks else None)
        if measured.aspect == "height":
            wording = word(self.name, HEIGHT, rng, a=name)
        else:
            wording = word(self.name, LONGEST, rng, first_index=len(HEIGHT), a=name)
        return Question(
            task=self.name,
            scan_id=facts.scan_id,
            frame_ids=(facts.frames.frame_ids[view.frame],),
            text=wording.text,
            answer=Answer(format=Number(unit="cm", decimals=0, high=2000.0), value=measured.size_cm),
            template_id=wording.template_id,
            evidence={"aspect": measured.aspect, "size_cm": round(measured.size_cm, 2), "visible_share": round(view.visible_share, 4)},
            marks=marks,
            object_ids=(view.object_id,),
        )


def sizes_cm(one: SceneObject) -> dict[str, float]:
    """Height (the extent along gravity) and longest side of an object's box."""
    axes_m = one.box.world_from_object[:3, :3] * one.box.size_m
    return {"height": float(np.abs(axes_m[2]).sum() * 100.0), "longest": float(one.box.size_m.max() * 100.0)}
