"""Where dots may stand: whole inside the image, apart from each other, told apart by colour or letter."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sightline.facts.fact import FactTable
from sightline.questions.question import MARK_COLOURS, Mark

BORDER_SHARE = 0.025  # of the image width: a dot stays whole
APART_SHARE = 0.08  # of the image width: two dots never touch, whatever the size they are drawn at


def sizes_px(facts: FactTable) -> np.ndarray:
    """Width and height of every frame's colour image `(F, 2)` float."""
    return np.array([(camera.width, camera.height) for camera in facts.frames.intrinsics], dtype=float).reshape(-1, 2)


def are_whole(uv: np.ndarray, size_px: np.ndarray) -> np.ndarray:
    """Which pixels `(N, 2)` of images of `size_px (N, 2)` are far enough from the border for a whole dot `(N,)`."""
    border_px = BORDER_SHARE * size_px[:, :1]
    return are_both((uv >= border_px) & (uv <= size_px - 1 - border_px))


def are_both(holds: np.ndarray) -> np.ndarray:
    """Which rows `(N, 2)` bool are true and true `(N,)`: `all(axis=1)` in a fraction of the time."""
    return holds[:, 0] & holds[:, 1]


@dataclass(frozen=True, kw_only=True, slots=True)
class Spot:
    """A pixel that wants a dot."""

    frame: int
    u_px: float
    v_px: float


def trouble_with(spots: Sequence[Spot], facts: FactTable) -> str | None:
    """Why dots cannot stand at these spots (a skip reason), or None."""
    for index, spot in enumerate(spots):
        camera = facts.frames.intrinsics[spot.frame]
        border_px = BORDER_SHARE * camera.width
        if not (border_px <= spot.u_px <= camera.width - 1 - border_px and border_px <= spot.v_px <= camera.height - 1 - border_px):
            return "dot_at_image_border"
        for other in spots[:index]:
            if other.frame == spot.frame and np.hypot(other.u_px - spot.u_px, other.v_px - spot.v_px) < APART_SHARE * camera.width:
                return "dots_too_close_in_image"
    return None


def dots(spots: Sequence[Spot], facts: FactTable, rng: np.random.Generator) -> tuple[Mark, ...]:
    """A dot per spot, colours drawn without replacement."""
    colours = [tuple(MARK_COLOURS)[index] for index in rng.permutation(len(MARK_COLOURS))]
    return tuple(
        Mark(frame_id=facts.frames.frame_ids[spot.frame], u_px=round(spot.u_px, 2), v_px=round(spot.v_px, 2), colour=colour)
        for spot, colour in zip(spots, colours, strict=False)
    )
