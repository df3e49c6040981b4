"""Which objects each frame shows clearly enough to be asked about, and which frames show several of them together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sightline.captures.capture import SceneObject
from sightline.facts.fact import FactTable
from sightline.questions.marks import Spot
from sightline.questions.question import TaskOptions

NOT_ASKED = frozenset(("wall", "floor", "ceiling", "object", "other", "unknown", "misc", "remove", "undefined"))
MIN_SIDE_SHARE = 0.03  # of the image width and height: what is smaller can hardly be made out
BORDER_PX = 2.0  # a visible part that comes this close to the image's edge may go on beyond it


@dataclass(frozen=True, kw_only=True, slots=True)
class ObjectView:
    """One object clearly seen in one frame."""

    object_id: int
    frame: int
    visible_share: float
    spot: Spot  # where its dot may stand
    is_cut: bool  # reaches the image's edge


class Shown:
    """Clear views of the objects that may be asked about."""

    def __init__(self, facts: FactTable, *, min_visible_share: float, options: TaskOptions):
        views = facts.object_views
        if facts.objects is None or views is None:
            raise ValueError("object questions need objects and object_views")
        self.facts = facts
        self.objects: Mapping[int, SceneObject] = {one.object_id: one for one in facts.objects if one.category not in NOT_ASKED}
        self.views: dict[tuple[int, int], ObjectView] = {}
        self.object_ids = tuple(sorted(self.objects))
        self.row_of = {object_id: row for row, object_id in enumerate(self.object_ids)}
        self.is_clear = np.zeros((len(self.object_ids), len(facts.frames.frame_ids)), dtype=bool)
        for row in range(len(views.object_id)):
            view = self._view(row)
            if view is not None and view.visible_share >= min_visible_share:
                self.views[view.object_id, view.frame] = view
                self.is_clear[self.row_of[view.object_id], view.frame] = True
        overlapping = facts.pairs.overlap >= options.min_overlap
        self.overlapping = (facts.pairs.first[overlapping], facts.pairs.second[overlapping])
        self.names_by_dot = options.mark_objects

    def _view(self, row: int) -> ObjectView | None:
        views = self.facts.object_views
        object_id, frame = int(views.object_id[row]), int(views.frame[row])
        camera = self.facts.frames.intrinsics[frame]
        left, top, right, bottom = views.box_uv[row]
        u_px, v_px = views.anchor_uv[row]
        is_big = right - left >= MIN_SIDE_SHARE * camera.width and bottom - top >= MIN_SIDE_SHARE * camera.height
        if object_id not in self.objects or not is_big or not np.isfinite([u_px, v_px]).all():
            return None
        is_cut = min(left, top, camera.width - 1 - right, camera.height - 1 - bottom) < BORDER_PX
        spot = Spot(frame=frame, u_px=float(u_px), v_px=float(v_px))
        return ObjectView(object_id=object_id, frame=frame, visible_share=float(views.visible_share[row]), spot=spot, is_cut=bool(is_cut))

    def views_of(self, object_id: int) -> list[ObjectView]:
        """Clear views of one object, in time order."""
        return [self.views[object_id, int(frame)] for frame in np.flatnonzero(self.is_clear[self.row_of[object_id]])]

    def category(self, object_id: int) -> str:
        return self.objects[object_id].category

    def is_named(self, object_ids: Sequence[int]) -> bool:
        """Whether each object can be told from its name: by its dot, or because it is the only one of its category in the scan."""
        counts = self.facts.counts
        return self.names_by_dot or all(counts[self.category(object_id)] == 1 for object_id in object_ids)

    def frames_of(self, object_ids: Sequence[int], *, rng: np.random.Generator) -> tuple[int, ...]:
        """One frame that shows all the objects, else two overlapping ones that show them together, in time order; () where none do."""
        clear = self.is_clear[[self.row_of[object_id] for object_id in object_ids]]
        single = np.flatnonzero(clear.all(axis=0))
        if len(single):
            return (int(single[rng.integers(len(single))]),)
        first, second = self.overlapping
        together = np.flatnonzero((clear[:, first] | clear[:, second]).all(axis=0))
        if not len(together):
            return ()
        index = together[rng.integers(len(together))]
        return int(first[index]), int(second[index])

    def together_table(self) -> np.ndarray:
        """Which two objects `(K, K)` one frame, or two overlapping ones, show together; rows as in `object_ids`."""
        clear = self.is_clear.astype(np.float32)
        near = np.eye(clear.shape[1], dtype=np.float32)
        near[self.overlapping] = near[self.overlapping[::-1]] = 1.0
        return clear @ near @ clear.T > 0.0

    def best_view(self, object_id: int, frames: Sequence[int]) -> ObjectView:
        """The view that shows most of the object, among frames of which at least one shows it."""
        return max(
            (self.views[object_id, frame] for frame in frames if (object_id, frame) in self.views), key=lambda view: view.visible_share
        )
