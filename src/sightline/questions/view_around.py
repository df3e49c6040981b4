"""View around: the camera went around an object; what is beside or behind who stands where one of the images was taken and faces it."""

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from sightline.questions.viewpoints import (
    BACK,
    LEFT,
    RIGHT,
    View,
    Viewpoints,
    ViewTask,
    frames_about,
    options_for,
    quarters,
    wrapped,
)


class ViewAround(ViewTask):
    """Choice of four objects, by where they lie on the floor plan for who stands at the camera and faces the object in the middle."""

    name: ClassVar[str] = "view_around"
    MARGINS: ClassVar[Mapping[str, float]] = {
        "min_border_deg": 15.0,  # of an option's middle from the border of its quarter; no part of its box reaches over it
        "min_view_deg": 15.0,  # between the directions from which one image and the next show the object: the camera went on around it
        "min_way_deg": 40.0,  # from the first to the last of these directions
        "max_view_deg": 120.0,  # between them: what is more may have been the other way round
        "min_apart_m": 0.7,  # on the plan, from the camera to the object and to an option
        "min_visible_share": 0.2,  # of an object's points, in an image that is said to show it
        "max_relation_share": 0.1,  # of the questions wanted, with the same object on the same side of who faces the same other one
    }
    SIDES: ClassVar[Mapping[int, str]] = {LEFT: "to your left", BACK: "behind you", RIGHT: "to your right"}
    TEMPLATES: ClassVar[tuple[str, ...]] = (
        "The camera moves in an arc and keeps {x} in view. Stand where image {n} was taken and face {x}: what is {side}?",
        "Walking past {x}, someone took these images. If you face {x} from where image {n} was taken, what is {side}?",
        "These images look at {x} from several directions. Which of these is {side} when you face {x} at the place of image {n}?",
        "You are at the camera of image {n} and turn towards {x}, which all images show. What do you have {side}?",
        "Image by image, {x} is seen from farther round. Facing {x} at the place of image {n}, what would you find {side}?",
        "With {x} straight ahead of you, at the spot where image {n} was taken, which thing is {side}?",
        "Imagine standing where the camera was for image {n} and looking straight at {x}. Name what is {side}.",
        "The images show {x} from one angle after another. Suppose you look at {x} from the camera of image {n}: what lies {side}?",
    )

    def draw(self, places: Viewpoints, margins: Mapping[str, float], rng: np.random.Generator) -> list[View] | str:
        drawn = frames_about(places, margins, count=int(rng.integers(3, 5)), rng=rng)
        if isinstance(drawn, str):
            return drawn
        if len(drawn.frames) < 3:
            return "camera_did_not_go_around"
        about, frames, stand = drawn.about, drawn.frames, drawn.stand
        steps_deg = wrapped(np.diff(places.directions_to_deg(about)[list(frames)]))
        sizes_deg = np.abs(steps_deg)
        goes_on = (steps_deg > 0).all() or (steps_deg < 0).all()
        if not goes_on or sizes_deg.sum() < margins["min_way_deg"] or sizes_deg.max() > margins["max_view_deg"]:
            return "camera_did_not_go_around"
        own = places.bearings_from_frame(stand)
        facing_deg = float(own.middle_deg[about])
        if not np.isfinite(facing_deg):
            return "camera_too_near"
        sides = quarters(own, facing_deg=facing_deg, margin_deg=margins["min_border_deg"])
        chosen = options_for(places, sides, asked=tuple(self.SIDES), stand=stand, frames=frames, without=(about,), rng=rng)
        if isinstance(chosen, str):
            return chosen
        return [
            View(
                frames=frames,
                stand=stand,
                options=one,
                about=about,
                bearing_deg=float(wrapped(own.middle_deg[one.target] - facing_deg)),
                evidence={
                    "min_border_deg": margins["min_border_deg"],
                    "way_deg": float(sizes_deg.sum()),
                    "view_deg": drawn.view_deg,
                    "min_view_deg": margins["min_view_deg"],
                },
            )
            for one in chosen
        ]
