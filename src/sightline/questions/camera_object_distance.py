"""Camera-object distance: how far an object is from the camera that took the image, to the closest point of its box."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from sightline.answers.answer import Answer
from sightline.answers.number import Number
from sightline.facts.fact import FactTable
from sightline.questions.box_views import beside_m
from sightline.questions.choosing import choose, log_bin, thinned
from sightline.questions.margins import margins_of
from sightline.questions.question import Question, Skip, TaskOptions
from sightline.questions.shown import ObjectView, Shown
from sightline.questions.templates import word
from sightline.questions.units import DECIMALS, PER_M

TEMPLATES = (
    "How far is {a} from the camera, measured to its closest point?",
    "What is the distance between the camera and the closest point of {a}?",
    "How far away from the camera is the nearest part of {a}?",
    "In a straight line, how far is it from the camera to the closest point of {a}?",
    "Measure from the camera to {a}: how far is its nearest point?",
    "The camera is where this image was taken from. How far from it is the closest point of {a}?",
    "How much distance lies between the camera and {a} where they come closest?",
    "Give the distance from the camera to the part of {a} that is nearest to it.",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Seen:
    """A view of an object and how far it is from the camera."""

    view: ObjectView
    distance_m: float


class CameraObjectDistance:
    """Straight distance from a camera centre to the surface of an object's box, in `options.length_unit`."""

    name: ClassVar[str] = "camera_object_distance"
    needs: ClassVar[frozenset[str]] = frozenset(("frames", "pairs", "objects", "object_views"))
    MARGINS: ClassVar[Mapping[str, float]] = {
        "min_distance_m": 0.5,  # in metres with one decimal, rounding moves an answer by 10 % at most
        "max_distance_m": 15.0,  # boxes of what is farther off are seldom right to a few per cent
        "min_visible_share": 0.2,  # of the object's points, in the image
        "max_object_share": 0.25,  # of the questions wanted, about one object
    }

    def ask(self, facts: FactTable, rng: np.random.Generator, options: TaskOptions) -> Iterator[Question | Skip]:
        margins = margins_of(self, options)
        shown = Shown(facts, min_visible_share=margins["min_visible_share"], options=options)
        views = [shown.views[one] for one in sorted(shown.views)]
        candidates: list[Seen] = []
        for index in thinned(len(views), rng=rng, options=options):
            view = views[index]
            box = shown.objects[view.object_id].box
            distance_m = beside_m(box.world_from_object, box.size_m, facts.frames.world_from_camera[view.frame][:3, 3])
            if margins["min_distance_m"] <= distance_m <= margins["max_distance_m"]:
                candidates.append(Seen(view=view, distance_m=distance_m))
            else:
                reason = "too_close_to_measure" if distance_m < margins["min_distance_m"] else "too_far_away"
                yield Skip(task=self.name, scan_id=facts.scan_id, reason=reason)
        unit = options.length_unit
        form = Number(unit=unit, decimals=DECIMALS[unit], high=100.0 * PER_M[unit], tolerance_share=options.tolerance_share)

        def build(seen: Seen) -> Question | Skip:
            view = seen.view
            named = shown.introduce([view.object_id], [view.frame], rng=rng)
            if isinstance(named, str):
                return Skip(task=self.name, scan_id=facts.scan_id, reason=named)
            wording = word(self.name, TEMPLATES, rng, a=named.names[0])
            return Question(
                task=self.name,
                scan_id=facts.scan_id,
                frame_ids=(facts.frames.frame_ids[view.frame],),
                text=wording.text,
                answer=Answer(format=form, value=seen.distance_m * PER_M[unit]),
                template_id=wording.template_id,
                evidence={
                    "distance_m": round(seen.distance_m, 4),
                    "min_distance_m": margins["min_distance_m"],
                    "visible_share": round(view.visible_share, 4),
                },
                marks=named.marks,
                object_ids=(view.object_id,),
            )

        yield from choose(
            candidates,
            key=lambda seen: log_bin(seen.distance_m),
            build=build,
            rng=rng,
            options=options,
            about=lambda seen: (seen.view.object_id,),
            max_object_share=margins["max_object_share"],
        )
