"""View among: from images of one place from several sides, what lies left of, behind or before an object as one of the cameras has it."""

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from sightline.questions.viewpoints import (
    BACK,
    FRONT,
    LEFT,
    RIGHT,
    UNCLEAR,
    View,
    Viewpoints,
    ViewTask,
    frames_about,
    options_for,
    quarters,
    wrapped,
)

AHEAD_DEG = 85.0  # from the camera's line to the object asked around: nobody says of what is behind them that it is before something


class ViewAmong(ViewTask):
    """Choice of four objects, by where they lie around another one on the floor plan, its far side being the front quarter."""

    name: ClassVar[str] = "view_among"
    MARGINS: ClassVar[Mapping[str, float]] = {
        "min_border_deg": 15.0,  # of an option's middle from the border of its quarter; no part of its box reaches over it
        "min_view_deg": 25.0,  # between the directions from which any two of the images show the object asked around
        "min_apart_m": 0.7,  # on the plan, from that object to an option and from the camera to that object
        "max_about_m": 2.5,  # across the plan of that object: of a longer one, nobody agrees what is left of it
        "min_visible_share": 0.2,  # of an object's points, in an image that is said to show it
        "max_relation_share": 0.1,  # of the questions wanted, with the same object on the same side of the same other one
    }
    SIDES: ClassVar[Mapping[int, str]] = {
        FRONT: "behind {x}",
        LEFT: "to the left of {x}",
        BACK: "in front of {x}",
        RIGHT: "to the right of {x}",
    }
    TEMPLATES: ClassVar[tuple[str, ...]] = (
        "As seen from where image {n} was taken, looking at {x}, what is {side}?",
        "Take the viewpoint of image {n} and face {x}. Which of these is {side}?",
        "The images show one place from several angles. From the viewpoint of image {n}, what lies {side}?",
        "You look at {x} from where image {n} was taken. Which thing would be {side}?",
        "If you stood at the camera of image {n}, what would you find {side}?",
        "Put together what all images show: for someone who looks at {x} from the camera of image {n}, what is {side}?",
        "Not all of this place is in image {n}. From where its camera stood, which of these is {side}?",
        "Imagine looking towards {x} from the place of image {n}. Name what is {side}.",
    )

    def draw(self, places: Viewpoints, margins: Mapping[str, float], rng: np.random.Generator) -> list[View] | str:
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
        is_ahead = np.abs(wrapped(own.middle_deg - facing_deg)) < AHEAD_DEG
        sides = np.where(is_ahead, quarters(around, facing_deg=facing_deg, margin_deg=margins["min_border_deg"]), UNCLEAR)
        chosen = options_for(places, sides, asked=tuple(self.SIDES), stand=stand, frames=frames, without=(about,), rng=rng)
        if isinstance(chosen, str):
            return chosen
        return [
            View(
                frames=frames,
                stand=stand,
                options=one,
                about=about,
                bearing_deg=float(wrapped(around.middle_deg[one.target] - facing_deg)),
                evidence={
                    "min_border_deg": margins["min_border_deg"],
                    "apart_m": float(np.hypot(*(places.middles_xy[one.target] - places.middles_xy[about]))),
                    "view_deg": drawn.view_deg,
                    "min_view_deg": margins["min_view_deg"],
                },
            )
            for one in chosen
        ]
