"""What the tasks share that ask where a named object is in an image: its name must mean nothing else there, and needs no dot."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from sightline.captures.capture import SceneObject
from sightline.facts.fact import FactTable
from sightline.questions.box_views import BoxViews
from sightline.questions.question import TaskOptions
from sightline.questions.shown import Shown


@dataclass(frozen=True, kw_only=True, slots=True)
class Grounded:
    """An object in a frame: its visible part as pixels of the colour image."""

    one: SceneObject
    frame: int
    anchor_px: tuple[float, float]  # on the object, well inside the visible part
    box_px: tuple[float, float, float, float]  # left, top, right, bottom of the visible part, edges
    visible_share: float
    hidden_share: float

    @property
    def sides_px(self) -> tuple[float, float]:
        """Width and height."""
        return self.box_px[2] - self.box_px[0], self.box_px[3] - self.box_px[1]


class GroundedViews:
    """Clear views of objects that are the only thing in the image that their name may mean."""

    def __init__(self, facts: FactTable, *, margins: Mapping[str, float], options: TaskOptions):
        self.facts = facts
        self.shown = Shown(facts, min_visible_share=margins["min_visible_share"], options=options)
        self.boxes = BoxViews(facts)
        self.max_hidden_share = margins["max_hidden_share"]

    @cached_property
    def views(self) -> list[Grounded | str]:
        """Each clear view, or the reason why it cannot be asked for by name; by object, then frame."""
        return list(self._each())

    def _each(self) -> Iterator[Grounded | str]:
        views = self.facts.object_views
        place_of = {pair: place for place, pair in enumerate(zip(views.object_id.tolist(), views.frame.tolist()))}
        for object_id, frame in sorted(self.shown.views):
            place = place_of[object_id, frame]
            hidden_share = float(views.hidden_share[place])
            if not self.boxes.is_only_one[self.boxes.row_of[object_id], frame]:
                yield "name_not_unique_in_image"
            elif not hidden_share <= self.max_hidden_share:  # NaN is not known
                yield "too_much_hidden"
            else:
                yield Grounded(
                    one=self.shown.objects[object_id],
                    frame=frame,
                    anchor_px=tuple(views.anchor_uv[place].tolist()),
                    box_px=tuple(views.box_uv[place].tolist()),
                    visible_share=float(views.visible_share[place]),
                    hidden_share=hidden_share,
                )


def third(value_px: float, size_px: int) -> int:
    """Which third of the image's width or height a pixel is in."""
    return int(np.clip(3.0 * (value_px + 0.5) / size_px, 0.0, 2.0))
