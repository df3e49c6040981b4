"""Object box: the rectangle round the visible part of a named object in an image."""

from collections.abc import Iterator, Mapping
from typing import ClassVar

import numpy as np

from sightline.answers.answer import Answer
from sightline.answers.box import Box
from sightline.facts.fact import FactTable
from sightline.questions.choosing import choose
from sightline.questions.grounded import Grounded, GroundedViews, third
from sightline.questions.margins import margins_of
from sightline.questions.question import Question, Skip, TaskOptions
from sightline.questions.templates import object_name, word

TEMPLATES = (
    "Draw the tightest box around what you see of {a} in this image.",
    "Which rectangle in the image just holds the visible part of {a}?",
    "Give the smallest rectangle that holds everything visible of {a}.",
    "Find {a} and draw a rectangle around the part of it that can be seen.",
    "How far does the visible part of {a} reach in the image, to the left, top, right and bottom?",
    "Put a frame around {a}, as tight as possible around the part that is visible.",
    "Where is {a}? Frame its visible part with a rectangle.",
    "Detect {a}: which rectangle bounds what is visible of it?",
)


class ObjectBox:
    """The rectangle of an object's visible pixels, in `options.point_scale`."""

    name: ClassVar[str] = "object_box"
    needs: ClassVar[frozenset[str]] = frozenset(("frames", "pairs", "objects", "object_views"))
    MARGINS: ClassVar[Mapping[str, float]] = {
        "min_side_share": 0.05,  # of the image's width and height: of smaller boxes a few pixels' error costs much of the overlap
        "max_side_share": 0.95,  # of the image's width and height, not both: a box of nearly everything is no question
        "max_hidden_share": 0.5,  # of the object's points inside the image: what is mostly hidden is in several pieces
        "min_visible_share": 0.2,  # of all its points
        "max_object_share": 0.25,  # of the questions wanted, about one object
    }

    def ask(self, facts: FactTable, rng: np.random.Generator, options: TaskOptions) -> Iterator[Question | Skip]:
        margins = margins_of(self, options)
        candidates: list[Grounded] = []
        for view in GroundedViews(facts, margins=margins, options=options).views:
            reason = view if isinstance(view, str) else self._trouble(view, facts, margins)
            if reason is None:
                candidates.append(view)
            else:
                yield Skip(task=self.name, scan_id=facts.scan_id, reason=reason)
        candidates = [candidates[index] for index in rng.permutation(len(candidates))]

        def build(view: Grounded) -> Question:
            camera = facts.frames.intrinsics[view.frame]
            form = Box(width=camera.width, height=camera.height, scale=options.point_scale)
            wording = word(self.name, TEMPLATES, rng, a=object_name(view.one.category, None))
            return Question(
                task=self.name,
                scan_id=facts.scan_id,
                frame_ids=(facts.frames.frame_ids[view.frame],),
                text=wording.text,
                answer=Answer(format=form, value=form.from_px(*view.box_px)),
                template_id=wording.template_id,
                evidence={
                    "width_share": round(view.sides_px[0] / camera.width, 4),
                    "height_share": round(view.sides_px[1] / camera.height, 4),
                    "hidden_share": round(view.hidden_share, 4),
                    "visible_share": round(view.visible_share, 4),
                },
                object_ids=(view.one.object_id,),
            )

        def place(view: Grounded) -> tuple[int, int]:
            camera = facts.frames.intrinsics[view.frame]
            left, top, right, bottom = view.box_px
            return third((left + right) / 2.0, camera.width), third((top + bottom) / 2.0, camera.height)

        yield from choose(
            candidates,
            key=place,
            build=build,
            rng=rng,
            options=options,
            about=lambda view: (view.one.object_id,),
            max_object_share=margins["max_object_share"],
        )

    @staticmethod
    def _trouble(view: Grounded, facts: FactTable, margins: Mapping[str, float]) -> str | None:
        camera = facts.frames.intrinsics[view.frame]
        shares = view.sides_px[0] / camera.width, view.sides_px[1] / camera.height
        if min(shares) < margins["min_side_share"]:
            return "too_small_in_image"
        return "fills_the_image" if min(shares) > margins["max_side_share"] else None
