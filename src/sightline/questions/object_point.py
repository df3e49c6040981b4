"""Object point: point to a named object in an image."""

from collections.abc import Iterator, Mapping
from typing import ClassVar

import numpy as np

from sightline.answers.answer import Answer
from sightline.answers.point import Point
from sightline.facts.fact import FactTable
from sightline.questions.choosing import choose
from sightline.questions.grounded import Grounded, GroundedViews, third
from sightline.questions.margins import margins_of
from sightline.questions.question import Question, Skip, TaskOptions
from sightline.questions.templates import object_name, word

TEMPLATES = (
    "Point to {a} in this image.",
    "Where in this image is {a}?",
    "Give one point that lies on {a}.",
    "At which place in the image would you touch {a}?",
    "Find {a}. Which point of the image is on it?",
    "Locate {a} with a single point.",
    "Put your finger on {a}: where in the image is that?",
    "Mark {a} in this image with one point.",
)


class ObjectPoint:
    """A place in the image, in `options.point_scale`.

    The true point is the object's anchor, a surface pixel well inside its visible part. Its radius reaches to the farthest corner of the
    visible part's box, so that every point of the object is right.
    """

    name: ClassVar[str] = "object_point"
    needs: ClassVar[frozenset[str]] = frozenset(("frames", "pairs", "objects", "object_views"))
    MARGINS: ClassVar[Mapping[str, float]] = {
        "max_radius_share": 0.15,  # of the image's width: a guess at random hits the circle of a larger object too often
        "min_fill_share": 0.3,  # of the circle, by the visible part's box: round a long object most right points would be beside it
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
            radius_px = _radius_px(view)
            radius_share = round(radius_px / camera.width + 0.0005, 4)  # never less than to the corner, after the answer is rounded
            form = Point(width=camera.width, height=camera.height, scale=options.point_scale, radius_share=radius_share)
            wording = word(self.name, TEMPLATES, rng, a=object_name(view.one.category, None))
            return Question(
                task=self.name,
                scan_id=facts.scan_id,
                frame_ids=(facts.frames.frame_ids[view.frame],),
                text=wording.text,
                answer=Answer(format=form, value=form.from_px(*view.anchor_px)),
                template_id=wording.template_id,
                evidence={
                    "radius_share": radius_share,
                    "fill_share": round(_fill_share(view, radius_px), 4),
                    "hidden_share": round(view.hidden_share, 4),
                    "visible_share": round(view.visible_share, 4),
                },
                object_ids=(view.one.object_id,),
            )

        def ninth(view: Grounded) -> tuple[int, int]:
            camera = facts.frames.intrinsics[view.frame]
            return third(view.anchor_px[0], camera.width), third(view.anchor_px[1], camera.height)

        yield from choose(
            candidates,
            key=ninth,
            build=build,
            rng=rng,
            options=options,
            about=lambda view: (view.one.object_id,),
            max_object_share=margins["max_object_share"],
        )

    @staticmethod
    def _trouble(view: Grounded, facts: FactTable, margins: Mapping[str, float]) -> str | None:
        radius_px = _radius_px(view)
        if radius_px > margins["max_radius_share"] * facts.frames.intrinsics[view.frame].width:
            return "too_large_to_point_to"
        if _fill_share(view, radius_px) < margins["min_fill_share"]:
            return "too_thin_to_point_to"
        return None


def _radius_px(view: Grounded) -> float:
    """From the anchor to the farthest corner of the visible part's box."""
    (u, v), (left, top, right, bottom) = view.anchor_px, view.box_px
    return float(np.hypot(max(u - left, right - u), max(v - top, bottom - v)))


def _fill_share(view: Grounded, radius_px: float) -> float:
    width_px, height_px = view.sides_px
    return float(width_px * height_px / (np.pi * radius_px**2))
