"""Which objects each frame shows clearly enough to be asked about, and which frames show several of them together."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from sightline.captures.capture import SceneObject
from sightline.facts.fact import FactTable
from sightline.questions.marks import Spot, dots, trouble_with
from sightline.questions.question import Mark, TaskOptions
from sightline.questions.templates import object_name, sounds_alike

NO_THING = """
wall, floor, ceiling, roof, closet wall, shower wall, shower floor, wall object,
object, objects, other, other object, other furniture, other structure, unknown, unlabeled, unlabelled, undefined, void, misc, remove,
split, item, items, stuff, clutter, thing, things, none, structure, furniture, device, machine, support, set, pack, appliances, lighting,
seating, shelving, ridge, grass, wood, food, garbage, decoration
"""
NOT_ASKED = frozenset(one.strip() for one in NO_THING.split(","))  # labels for surfaces, for what has no name, for words of no one thing
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


@dataclass(frozen=True, kw_only=True, slots=True)
class Introduced:
    """Objects as a question's text names them, with their dots."""

    names: tuple[str, ...]
    marks: tuple[Mark, ...]


def video_of(frame_count: int, options: TaskOptions) -> tuple[int, ...]:
    """The frames that stand for the whole walk: `options.video_frames` of them, evenly spaced, both ends included; () without a video."""
    if options.video_frames is None or not frame_count:
        return ()
    places = np.linspace(0.0, frame_count - 1.0, min(options.video_frames, frame_count))
    return tuple(int(one) for one in np.round(places))


def video_ids_of(facts: FactTable, options: TaskOptions) -> tuple[str, ...]:
    """Frame ids of the walk's video; () without a video."""
    return tuple(facts.frames.frame_ids[frame] for frame in video_of(len(facts.frames.frame_ids), options))


def not_asked(facts: FactTable) -> frozenset[str]:
    """Categories that nothing is asked about: what is no thing, and what holds an object that moves, whose box holds for a while only."""
    return NOT_ASKED | {one.category for one in facts.objects or () if one.object_id in facts.moving_ids}


class Shown:
    """Clear views of the objects that may be asked about.

    With `as_video`, and where `options.video_frames` is set, only the frames of the video count, every question shows all of them, and
    objects go by their names alone: a dot stands in one frame and says nothing of the others.
    """

    def __init__(self, facts: FactTable, *, min_visible_share: float, options: TaskOptions, as_video: bool = False):
        views = facts.object_views
        if facts.objects is None or views is None:
            raise ValueError("object questions need objects and object_views")
        self.facts = facts
        unasked = not_asked(facts)
        self.objects: Mapping[int, SceneObject] = {one.object_id: one for one in facts.objects if one.category not in unasked}
        self.views: dict[tuple[int, int], ObjectView] = {}
        self.object_ids = tuple(sorted(self.objects))
        self.row_of = {object_id: row for row, object_id in enumerate(self.object_ids)}
        frame_count = len(facts.frames.frame_ids)
        self.video = video_of(frame_count, options) if as_video else ()
        self.video_ids = tuple(facts.frames.frame_ids[frame] for frame in self.video)
        self.is_clear = np.zeros((len(self.object_ids), frame_count), dtype=bool)
        in_video = frozenset(self.video)
        for row in range(len(views.object_id)):
            if in_video and int(views.frame[row]) not in in_video:
                continue
            view = self._view(row)
            if view is not None and view.visible_share >= min_visible_share:
                self.views[view.object_id, view.frame] = view
                self.is_clear[self.row_of[view.object_id], view.frame] = True
        overlapping = facts.pairs.overlap >= options.min_overlap
        self.overlapping = (facts.pairs.first[overlapping], facts.pairs.second[overlapping])
        self.names_by_dot = options.mark_objects and not self.video
        counts = facts.counts
        self.is_unique = {one: counts[self.category(one)] == 1 and not sounds_alike(self.category(one), counts) for one in self.object_ids}

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
        """Whether each object can be told from its name: by its dot, or because nothing else in the scan goes by it."""
        return self.names_by_dot or all(self.is_unique[object_id] for object_id in object_ids)

    def here(self, frames: Sequence[int]) -> str:
        """What a text calls the images."""
        return "these video frames" if self.video else "this image" if len(frames) == 1 else "these images"

    def introduce(self, object_ids: Sequence[int], frames: Sequence[int], *, rng: np.random.Generator) -> Introduced | str:
        """Names of objects that the frames show, and dots where they are marked; or the reason why they cannot be named."""
        if not self.is_named(object_ids):
            return "category_not_unique"
        if not self.names_by_dot:
            return Introduced(names=tuple(object_name(self.category(one), None) for one in object_ids), marks=())
        spots = [self.best_view(one, frames).spot for one in object_ids]
        trouble = trouble_with(spots, self.facts)
        if trouble:
            return trouble
        marks = dots(spots, self.facts, rng)
        return Introduced(names=tuple(object_name(self.category(one), mark) for one, mark in zip(object_ids, marks)), marks=marks)

    def frames_of(self, object_ids: Sequence[int], *, rng: np.random.Generator) -> tuple[int, ...]:
        """The video, or one frame that shows all the objects, else two overlapping ones, in time order; () where none show them all."""
        clear = self.is_clear[[self.row_of[object_id] for object_id in object_ids]]
        if self.video:
            return self.video if clear.any(axis=1).all() else ()
        single = np.flatnonzero(clear.all(axis=0))
        if len(single):
            return (int(single[rng.integers(len(single))]),)
        first, second = self.overlapping
        together = np.flatnonzero((clear[:, first] | clear[:, second]).all(axis=0))
        if not len(together):
            return ()
        index = together[rng.integers(len(together))]
        return int(first[index]), int(second[index])

    def groups(self, *, rng: np.random.Generator) -> Iterator[np.ndarray]:
        """Without end, rows of nameable objects that are shown together: in the video, else in one frame and in two in turn."""
        if self.video:
            everything = np.flatnonzero(self.is_clear.any(axis=1) & self.nameable)
            while len(everything):
                yield everything
        clear = self.is_clear & self.nameable[:, None]
        first, second = self.overlapping
        single, several = clear.T, (clear[:, first] | clear[:, second]).T
        kinds = [kind[kind.sum(axis=1) >= 2] for kind in (single, several)]
        turn = 0
        while any(len(kind) for kind in kinds) and not self.video:
            kind = kinds[turn % 2] if len(kinds[turn % 2]) else kinds[1 - turn % 2]
            turn += 1
            yield np.flatnonzero(kind[rng.integers(len(kind))])

    @cached_property
    def nameable(self) -> np.ndarray:
        """Which objects `(K,)` bool may be named in a text; rows as in `object_ids`."""
        return np.array([self.names_by_dot or self.is_unique[one] for one in self.object_ids], dtype=bool)

    def chain(self, *, most: int, rng: np.random.Generator) -> tuple[int, ...]:
        """The video, or up to `most` frames at random of which each overlaps one drawn before it, in time order."""
        if self.video:
            return self.video
        frames = [int(rng.integers(self.is_clear.shape[1]))]
        reached = self._is_near[frames[0]].copy()
        while len(frames) < most:
            reached[frames] = False
            beside = np.flatnonzero(reached)
            if not len(beside):
                break
            frames.append(int(beside[rng.integers(len(beside))]))
            reached |= self._is_near[frames[-1]]
        return tuple(sorted(frames))

    @cached_property
    def _is_near(self) -> np.ndarray:
        """Which frames `(F, F)` bool overlap."""
        is_near = np.zeros((self.is_clear.shape[1],) * 2, dtype=bool)
        is_near[self.overlapping] = is_near[self.overlapping[::-1]] = True
        return is_near

    def cover_of(self, object_ids: Sequence[int], *, most: int, rng: np.random.Generator, is_linked: bool = False) -> tuple[int, ...]:
        """The video, or frames in time order that together show all objects, greedily with random ties; () where `most` frames do not.

        Where `is_linked`, each frame overlaps one that was taken before it: what is in one can be placed beside what is in another.
        """
        clear = self.is_clear[[self.row_of[object_id] for object_id in object_ids]]
        if self.video:
            return self.video if clear.any(axis=1).all() else ()
        missing = np.ones(len(object_ids), dtype=bool)
        frames: list[int] = []
        may_join = np.ones(clear.shape[1], dtype=bool)
        while missing.any() and len(frames) < min(most, clear.shape[1]):
            gains = clear[missing].sum(axis=0) * may_join
            best = np.flatnonzero(gains == gains.max())
            if gains.max() == 0:
                return ()
            frames.append(int(best[rng.integers(len(best))]))
            missing &= ~clear[:, frames[-1]]
            may_join = self._is_near[frames].any(axis=0) if is_linked else may_join
        return () if missing.any() else tuple(sorted(frames))

    def together_table(self) -> np.ndarray:
        """Which two objects `(K, K)` the video, one frame, or two overlapping ones show together; rows as in `object_ids`."""
        if self.video:
            is_shown = self.is_clear.any(axis=1)
            return is_shown[:, None] & is_shown[None, :]
        clear = self.is_clear.astype(np.float32)
        near = np.eye(clear.shape[1], dtype=np.float32)
        near[self.overlapping] = near[self.overlapping[::-1]] = 1.0
        return clear @ near @ clear.T > 0.0

    def best_view(self, object_id: int, frames: Sequence[int]) -> ObjectView:
        """The view that shows most of the object, among frames of which at least one shows it."""
        return max(
            (self.views[object_id, frame] for frame in frames if (object_id, frame) in self.views), key=lambda view: view.visible_share
        )
