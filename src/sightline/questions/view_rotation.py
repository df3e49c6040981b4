"""View rotation: from images taken while turning on one spot, what is left, right or behind of who looks into one of them."""

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from sightline.questions.viewpoints import (
    BACK,
    LEFT,
    RIGHT,
    UNCLEAR,
    View,
    Viewpoints,
    ViewTask,
    options_for,
    quarters,
    wrapped,
)


class ViewRotation(ViewTask):
    """Choice of four objects, by where they lie on the floor plan for who stands at the camera and heads as it does."""

    name: ClassVar[str] = "view_rotation"
    MARGINS: ClassVar[Mapping[str, float]] = {
        "min_border_deg": 15.0,  # of an option's middle from the border of its quarter; no part of its box reaches over it
        "max_step_m": 0.5,  # between the cameras: who turns around on a spot takes a step
        "max_drift_deg": 8.0,  # by so much an option's bearing may differ between the cameras, half the border's margin
        "min_turn_deg": 15.0,  # between any two of the images
        "min_apart_m": 0.7,  # on the plan, from the cameras to an option
        "min_visible_share": 0.2,  # of an object's points, in an image that is said to show it
        "max_relation_share": 0.1,  # of the questions wanted, with the same object on the same side of who looks
    }
    SIDES: ClassVar[Mapping[int, str]] = {LEFT: "to your left", BACK: "behind you", RIGHT: "to your right"}
    TEMPLATES: ClassVar[tuple[str, ...]] = (
        "These images were taken from nearly one spot while turning. If you look the way image {n} does, what is {side}?",
        "The camera turned almost in place. Which of these is {side} when you face the way it did for image {n}?",
        "You turn on the spot and see these images. With image {n} straight ahead, what do you have {side}?",
        "From one spot, several directions were photographed. Which thing is {side} while you look in the direction of image {n}?",
        "All images share nearly one viewpoint. Suppose the view of image {n} is ahead of you: what lies {side}?",
        "Imagine standing where these images were taken and facing as in image {n}. Name what is {side}.",
        "Between these images the camera turned but hardly moved. Looking as in image {n}, what would you find {side}?",
        "Stand where the camera turned, and look the way image {n} looks. What is {side}?",
    )

    def draw(self, places: Viewpoints, margins: Mapping[str, float], rng: np.random.Generator) -> list[View] | str:
        stand = int(rng.integers(len(places.heading_deg)))
        facing_deg = float(places.heading_deg[stand])
        if not np.isfinite(facing_deg):
            return "camera_looks_up_or_down"
        steps_m = np.linalg.norm(places.centres_world - places.centres_world[stand], axis=1)

        def differs(frame: int) -> np.ndarray:
            return np.round(np.abs(wrapped(places.heading_deg - places.heading_deg[frame])), 6) >= margins["min_turn_deg"]

        turned_deg = np.nan_to_num(np.round(np.abs(wrapped(places.heading_deg - facing_deg)), 3), nan=-1.0)
        frames = places.chained(
            stand,
            steps_m <= margins["max_step_m"],
            count=int(rng.integers(2, 5)),
            differs=differs,
            rng=rng,
            prefers=turned_deg if rng.random() < 0.5 else None,  # what is behind is seen by cameras that turned far
        )
        if len(frames) < 2:
            return "camera_did_not_turn_on_the_spot"
        seen = [places.bearings_from_frame(frame) for frame in frames]
        table = np.array([quarters(one, facing_deg=facing_deg, margin_deg=margins["min_border_deg"]) for one in seen])
        own = places.bearings_from_frame(stand)
        drifts_deg = np.abs(wrapped(np.array([one.middle_deg for one in seen]) - own.middle_deg)).max(axis=0)
        is_steady = (table == table[0]).all(axis=0) & (drifts_deg <= margins["max_drift_deg"])
        sides = np.where(is_steady, table[0], UNCLEAR)
        chosen = options_for(places, sides, asked=tuple(self.SIDES), stand=stand, frames=frames, without=(), rng=rng)
        if isinstance(chosen, str):
            return chosen
        return [
            View(
                frames=frames,
                stand=stand,
                options=one,
                about=None,
                bearing_deg=float(wrapped(own.middle_deg[one.target] - facing_deg)),
                evidence={
                    "min_border_deg": margins["min_border_deg"],
                    "step_m": float(steps_m[list(frames)].max()),
                    "drift_deg": float(drifts_deg[one.rows].max()),
                    "max_drift_deg": margins["max_drift_deg"],
                },
            )
            for one in chosen
        ]
