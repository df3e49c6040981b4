"""View among: from images of one place from several sides, what lies left of, behind or before an object as one of the cameras has it."""

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from sightline.questions.viewpoints import (
    BACK,
    FRONT,
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


class ViewAmong(ViewTask):
    """Choice of four objects, by where they lie around another one on the floor plan, its far side being the front quarter."""

    name: ClassVar[str] = "view_among"
    MARGINS: ClassVar[Mapping[str, float]] = {
        "min_border_deg": 15.0,  # of an option's middle from the border of its quarter; no part of its box reaches over it
        "min_view_deg": 25.0,  # between the directions from which any two of the images show the object asked around
        "min_apart_m": 0.7,  # on the plan, from that object to an option and from the camera to that object
        "max_about_m": 2.5,  # across the plan of that object: of a longer one, nobody agrees what is left of it
        "min_visible_share": 0.2,  # of an object's points, in an image that is said to show it
    }
    SIDES: ClassVar[Mapping[int, str]] = {
        FRONT: "behind {x}",
        LEFT: "to the left of {x}",
        BACK: "in front of {x}",
        RIGHT: "to the right of {x}",
    }
    TEMPLATES: ClassVar[tuple[str, ...]] = (
        "As seen from where image {n} was taken, what is {side}?",
        "Take the viewpoint of image {n}. Which of these is {side}?",
        "The images show one place from several sides. From the viewpoint of image {n}, what lies {side}?",
        "You look at {x} from where image {n} was taken. Which thing would be {side}?",
        "If you stood at the camera of image {n}, what would you find {side}?",
        "Put together what all images show: for someone at the camera of image {n}, what is {side}?",
        "Not everything is in image {n}. Seen from its camera, which of these is {side}?",
        "Imagine looking towards {x} from the place of image {n}. Name what is {side}.",
    )

    def draw(self, places: Viewpoints, margins: Mapping[str, float], rng: np.random.Generator) -> View | str:
        drawn = frames_about(places, margins, count=int(rng.integers(2, 5)), rng=rng)
        if isinstance(drawn, str):
            return drawn
        about, frames, stand = drawn.about, drawn.frames, drawn.stand
        if np.linalg.norm(np.ptp(places.corners_xy[about], axis=0)) > margins["max_about_m"]:
            return "object_asked_around_is_too_long"
        own = places.bearings_from_frame(stand)
        facing_deg = float(own.middle_deg[about])
        if not np.isfinite(facing_deg):
            return "camera_too_near"
        around = places.bearings_from(places.middles_xy[about])
        sides = quarters(around, facing_deg=facing_deg, margin_deg=margins["min_border_deg"])
        chosen = options_for(places, sides, asked=tuple(self.SIDES), stand=stand, frames=frames, without=(about,), rng=rng)
        if isinstance(chosen, str):
            return chosen
        return View(
            frames=frames,
            stand=stand,
            options=chosen,
            about=about,
            bearing_deg=float(wrapped(around.middle_deg[chosen.target] - facing_deg)),
            evidence={
                "min_border_deg": margins["min_border_deg"],
                "apart_m": float(np.hypot(*(places.middles_xy[chosen.target] - places.middles_xy[about]))),
                "view_deg": drawn.view_deg,
                "min_view_deg": margins["min_view_deg"],
            },
        )
