"""Object height, width and length: an object's size along its own axes, from the images that together show it from end to end."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from math import ceil
from typing import ClassVar

import numpy as np

from sightline.answers.answer import Answer
from sightline.answers.number import Number
from sightline.captures.capture import SceneObject
from sightline.facts.coverage import HEIGHT, LENGTH, WIDTH, size_axes
from sightline.facts.fact import FactTable
from sightline.questions.choosing import log_bins
from sightline.questions.margins import margins_of
from sightline.questions.marks import BORDER_SHARE, are_both
from sightline.questions.picking import pick
from sightline.questions.question import MARK_COLOURS, Mark, Question, TaskOptions
from sightline.questions.rows import NO_FRAME, WHOLE, IndexedTask, Renderer, ScanHead, Selected, to_sixteenths
from sightline.questions.shown import MIN_SIDE_SHARE, not_asked
from sightline.questions.templates import object_name
from sightline.questions.units import PER_M

MOST_VIEWS = 5  # images that one row has room for
NO_COLOUR = 255  # nothing is marked
COLOURS = tuple(MARK_COLOURS)
BOX_SLACK_M = 0.1  # boxes of real scans are no tighter
LARGEST_ID = 0xFFFF  # object ids are stored in two bytes

HEIGHTS = (
    "What is the height of {a}?",
    "Estimate the height of {a}, from bottom to top.",
    "How tall is {a}, measured straight up from its bottom to its top?",
    "How far is the top of {a} above its bottom?",
    "An upright ruler just spans {a} from its lowest to its highest point. How long is the ruler?",
    "What is the vertical size of {a}?",
    "Look at {a}. What is its vertical extent?",
    "By how much does the highest point of {a} lie above the lowest?",
    "How tall must an upright box be to just hold {a}?",
)
SIDES = (
    "What is the {name} of {a}, that is, the {which} of the two horizontal dimensions?",
    "Seen from overhead, how long is the {which} side of {a}?",
    "Measured along the sides of {a}, what is the {which} horizontal dimension?",
    "Imagine an upright box that fits tightly around {a}. How long is the {which} side of its base?",
    "Estimate the {name} of {a}: its extent along its {which} horizontal side.",
    "Looking straight down on {a}, what is its extent along its {which} side?",
    "Of the two horizontal sides of {a}, how long is the {which} one?",
    "Draw {a} on a floor plan as a rectangle. How long is its {which} side in reality?",
    "How much room does {a} need along the {which} side of its base?",
)
SIZE_MARGINS: Mapping[str, float] = {
    "min_size_cm": 10.0,  # in whole centimetres, rounding moves an answer by 5 % at most
    "max_size_cm": 1000.0,
    "views": 0.0,  # 1 or 2: minimal sets of exactly that many images; 3 to 5: such a set and further images; 0: one or two, evened out
    "min_covered_share": 0.9,  # of the size must be spanned by visible points: half of the 20 % that the MultiSPA paper lets a size be off
    "max_covered_share": 1.1,  # points that reach farther than the box: one of the two is wrong
    "min_visible_share": 0.3,  # of the object's points, in the best image: a camera sees about half of a closed box at most
    "min_part_share": 0.05,  # of them in every image: less of it can hardly be put together with the rest
    "max_tilt_deg": 5.0,  # of the box's upright axis: the height of what leans is not the height of its box
    "max_object_share": 0.15,  # of the questions wanted of a scan may be about one object
}
SIDE_MARGINS: Mapping[str, float] = {
    **SIZE_MARGINS,
    "min_length_over_width": 1.15,  # nearer to square, which side is the longer one hangs on the measurement
}


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class SizeTables:
    """Objects and their clear views of one scan as arrays: K objects, by id, and F frames."""

    ids: np.ndarray  # (K,) int64, ascending
    category: np.ndarray  # (K,) int64 code
    size_m: np.ndarray  # (K, 3) height, width, length
    refused: Mapping[str, np.ndarray]  # reason -> (K,) bool
    share: np.ndarray  # (K, F) visible share; 0 where the object is not clear in the frame
    uv: np.ndarray  # (K, F, 2) where a dot may stand
    can_be_marked: np.ndarray  # (K, F) bool


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Sets:
    """C minimal sets of frames that may be asked about, the frame with the dot first."""

    place: np.ndarray  # (C,) int64 object, as a row of SizeTables
    frames: np.ndarray  # (C, MOST_VIEWS) int64, -1 = none

    def kept(self, rows: np.ndarray) -> "Sets":
        """Those of the given places or marked True."""
        return Sets(place=self.place[rows], frames=self.frames[rows])


class ObjectDimension(IndexedTask):
    """One of the three sizes of an object's own box, asked of frames that span it. Subclasses say which."""

    needs: ClassVar[frozenset[str]] = frozenset(("frames", "pairs", "objects", "object_views", "coverage"))
    PAYLOAD: ClassVar[np.dtype] = np.dtype(
        [("object_id", "u2"), ("size_m", "f4"), ("u", "u2"), ("v", "u2"), ("third", "u2"), ("fourth", "u2"), ("fifth", "u2")]
    )
    AXIS: ClassVar[int]
    TEMPLATES: ClassVar[tuple[str, ...]]

    def select(self, facts: FactTable, rng: np.random.Generator, options: TaskOptions) -> Selected:
        margins = margins_of(self, options)
        views = min(int(margins["views"]), MOST_VIEWS)
        tables = _tables(facts, self.AXIS, margins, options)
        sets, skips = self._fair_sets(facts, tables, margins, options, views=views)
        most = max(1, ceil(margins["max_object_share"] * options.max_per_scan))
        sets = _thinned(sets, most, rng, skips)
        if views > 2:
            sets = _widened(sets, tables, views, rng, skips)
        size_m = tables.size_m[sets.place, self.AXIS]
        picked = pick(
            tuple(sets.frames.T),
            answer=log_bins(size_m) if len(size_m) else size_m,
            spread=tables.category[sets.place] * 2 + (sets.frames[:, 1] >= 0),
            rng=rng,
            most=options.max_per_scan,
            most_per_frame=options.max_per_frame,
            balance=options.balance,
            num_frames=len(facts.frames.frame_ids),
        )
        chosen = sets.kept(picked.index)
        frames = np.where(chosen.frames < 0, NO_FRAME, chosen.frames)
        u_px, v_px = tables.uv[chosen.place, chosen.frames[:, 0]].T if options.mark_objects else np.zeros((2, len(chosen.place)))
        count = len(chosen.place)
        rows = self.rows(
            count,
            template=rng.integers(len(self.TEMPLATES), size=count),
            colours=rng.integers(len(COLOURS), size=count) if options.mark_objects else NO_COLOUR,
            object_id=tables.ids[chosen.place],
            size_m=tables.size_m[chosen.place, self.AXIS],
            u=to_sixteenths(u_px),
            v=to_sixteenths(v_px),
            **dict(zip(("first", "second", "third", "fourth", "fifth"), frames.T, strict=True)),
        )
        return Selected(rows=rows, skips={**skips, "frame_asked_often_enough": picked.frame_used_up})

    def _fair_sets(
        self, facts: FactTable, tables: SizeTables, margins: Mapping[str, float], options: TaskOptions, *, views: int
    ) -> tuple[Sets, dict[str, int]]:
        """Minimal sets that make a fair question, and why the others make none, each counted under the first reason that holds."""
        sets = facts.coverage
        wanted = sets.axis == self.AXIS
        if views in (1, 2):
            wanted &= (sets.second >= 0) == (views == 2)
        index = np.flatnonzero(wanted)
        place = np.searchsorted(tables.ids, sets.object_id[index])
        first, second = sets.first[index].astype(np.int64), sets.second[index].astype(np.int64)
        is_pair = second >= 0
        other = np.where(is_pair, second, first)
        share, other_share = tables.share[place, first], tables.share[place, other]
        covered = sets.span_m[index] / tables.size_m[place, self.AXIS]
        is_marked, is_other_marked = tables.can_be_marked[place, first], tables.can_be_marked[place, other]
        refused = {reason: is_refused[place] for reason, is_refused in tables.refused.items()}
        refused |= {
            "not_shown_from_end_to_end": covered < margins["min_covered_share"],
            "points_reach_beyond_the_box": covered > margins["max_covered_share"],
            "hardly_shown_in_an_image": np.minimum(share, other_share) < max(margins["min_part_share"], 1e-9),
            "half_hidden": np.maximum(share, other_share) < margins["min_visible_share"],
            "overlap_outside_band": is_pair & ~_overlaps(facts, first, other, options.min_overlap),
        }
        if options.mark_objects:
            refused["dot_at_image_border"] = ~(is_marked | is_other_marked)
        skips, is_fair = {}, np.ones(len(index), dtype=bool)
        for reason, is_refused in refused.items():
            skips[reason] = int((is_fair & is_refused).sum())
            is_fair &= ~is_refused
        swaps = (other_share - 2.0 * ~is_other_marked > share - 2.0 * ~is_marked)[is_fair]  # the dot stands where most of it is seen
        first, second, other = first[is_fair], second[is_fair], other[is_fair]
        frames = np.full((len(first), MOST_VIEWS), -1, dtype=np.int64)
        frames[:, 0], frames[:, 1] = np.where(swaps, other, first), np.where(swaps, first, second)
        return Sets(place=place[is_fair], frames=frames), skips

    def renderer(self, options: TaskOptions) -> Renderer:
        unit = "cm" if options.length_unit == "m" else options.length_unit  # in tenths of a metre, furniture would all be alike
        per_m = PER_M[unit]
        form = Number(unit=unit, decimals=0, high=20.0 * per_m, tolerance_share=options.tolerance_share)
        margins = margins_of(self, options)
        covered_share, visible_share = margins["min_covered_share"], margins["min_visible_share"]
        task, templates = self.name, self.TEMPLATES
        template_ids = [f"{task}.{index}" for index in range(len(templates))]

        @cache
        def worded(template: int, category: str, colours: int, is_alone: bool) -> str:
            dot = "" if colours == NO_COLOUR else f" ({COLOURS[colours]} dot)" if is_alone else f" ({COLOURS[colours]} dot in image 1)"
            return templates[template].format(a=f"{object_name(category, None)}{dot}")

        def render(row: tuple, scan: ScanHead) -> Question:
            _, template, _, colours, first, second, object_id, size_m, u, v, third, fourth, fifth = row
            frame_id = scan.frame_ids[first]
            if second == NO_FRAME:
                frame_ids = (frame_id,)
            elif third == NO_FRAME:
                frame_ids = (frame_id, scan.frame_ids[second])
            else:
                frame_ids = tuple(scan.frame_ids[one] for one in (first, second, third, fourth, fifth) if one != NO_FRAME)
            marks = ()
            if colours != NO_COLOUR:
                marks = (Mark.made(frame_id=frame_id, u_px=u / 16.0, v_px=v / 16.0, colour=COLOURS[colours]),)
            return Question.made(
                task=task,
                scan_id=scan.scan_id,
                frame_ids=frame_ids,
                text=worded(template, scan.category_of[object_id], colours, second == NO_FRAME),
                answer=Answer.made(format=form, value=size_m * per_m),
                template_id=template_ids[template],
                evidence={
                    "size_cm": (size_m * 1e4 + WHOLE - WHOLE) / 1e2,
                    "min_covered_share": covered_share,
                    "min_visible_share": visible_share,
                },
                marks=marks,
                object_ids=(object_id,),
            )

        return render


class ObjectHeight(ObjectDimension):
    """Along the upright axis of the object's box."""

    name: ClassVar[str] = "object_height"
    MARGINS: ClassVar[Mapping[str, float]] = SIZE_MARGINS
    AXIS: ClassVar[int] = HEIGHT
    TEMPLATES: ClassVar[tuple[str, ...]] = HEIGHTS


class ObjectWidth(ObjectDimension):
    """Along the shorter horizontal axis of the object's box, however the object is turned."""

    name: ClassVar[str] = "object_width"
    MARGINS: ClassVar[Mapping[str, float]] = SIDE_MARGINS
    AXIS: ClassVar[int] = WIDTH
    TEMPLATES: ClassVar[tuple[str, ...]] = tuple(one.format(name="width", which="shorter", a="{a}") for one in SIDES)


class ObjectLength(ObjectDimension):
    """Along the longer horizontal axis of the object's box, however the object is turned."""

    name: ClassVar[str] = "object_length"
    MARGINS: ClassVar[Mapping[str, float]] = SIDE_MARGINS
    AXIS: ClassVar[int] = LENGTH
    TEMPLATES: ClassVar[tuple[str, ...]] = tuple(one.format(name="length", which="longer", a="{a}") for one in SIDES)


def _tables(facts: FactTable, axis: int, margins: Mapping[str, float], options: TaskOptions) -> SizeTables:
    """Arrays of a scan's objects and of their views that are large enough to be made out."""
    objects = sorted(facts.objects or (), key=lambda one: one.object_id)
    ids = np.array([one.object_id for one in objects], dtype=np.int64)
    size_m = np.array([one.box.size_m[list(size_axes(one.box))] for one in objects]).reshape(-1, 3)
    up_cos = np.array([one.box.world_from_object[2, 2] for one in objects])
    counts, codes = facts.counts, {name: code for code, name in enumerate(sorted(facts.counts))}
    asked_cm, unasked = size_m[:, axis] * 100.0, not_asked(facts)
    refused = {
        "not_asked_about": np.array([one.category in unasked for one in objects], dtype=bool),
        "object_id_out_of_range": (ids < 0) | (ids > LARGEST_ID),
        "category_not_unique": np.array([not options.mark_objects and counts[one.category] > 1 for one in objects], dtype=bool),
        "box_is_tilted": up_cos < np.cos(np.radians(margins["max_tilt_deg"])),
        "too_small": asked_cm < margins["min_size_cm"],
        "too_large": asked_cm > margins["max_size_cm"],
    }
    if axis != HEIGHT:
        refused["width_and_length_alike"] = size_m[:, 2] < margins["min_length_over_width"] * size_m[:, 1]
    views, frames = facts.object_views, len(facts.frames.frame_ids)
    image_px = np.array([[camera.width, camera.height] for camera in facts.frames.intrinsics], dtype=float).reshape(-1, 2)[views.frame]
    side_px = views.box_uv[:, 2:] - views.box_uv[:, :2]
    is_clear = are_both(side_px >= MIN_SIDE_SHARE * image_px) & are_both(np.isfinite(views.anchor_uv))
    border_px = BORDER_SHARE * image_px[:, :1]
    is_inside = are_both((views.anchor_uv >= border_px) & (views.anchor_uv <= image_px - 1.0 - border_px))
    place = np.searchsorted(ids, views.object_id)
    is_clear &= _are_in_box(facts, objects, place)
    share, uv = np.zeros((len(ids), frames)), np.zeros((len(ids), frames, 2))
    can_be_marked = np.zeros((len(ids), frames), dtype=bool)
    share[place, views.frame] = np.where(is_clear, np.nan_to_num(views.visible_share), 0.0)
    uv[place, views.frame] = np.where(is_inside[:, None], views.anchor_uv, 0.0)
    can_be_marked[place, views.frame] = is_clear & is_inside
    return SizeTables(
        ids=ids,
        category=np.array([codes[one.category] for one in objects], dtype=np.int64),
        size_m=size_m,
        refused=refused,
        share=share,
        uv=uv,
        can_be_marked=can_be_marked,
    )


def _are_in_box(facts: FactTable, objects: list[SceneObject], place: np.ndarray) -> np.ndarray:
    """Whether the anchor of each view `(W,)` lies in its object's box: of an object that was moved later, the box tells nothing there."""
    views = facts.object_views
    if not len(place):
        return np.zeros(0, dtype=bool)
    cameras = np.array([[one.fx, one.fy, one.cx, one.cy] for one in facts.frames.intrinsics])[views.frame]
    rays = np.c_[(views.anchor_uv - cameras[:, 2:]) / cameras[:, :2], np.ones(len(place))]
    poses = facts.frames.world_from_camera[views.frame]
    points_world = np.einsum("wij,wj->wi", poses[:, :3, :3], rays * views.anchor_depth_m[:, None]) + poses[:, :3, 3]
    boxes_world = np.array([one.box.world_from_object for one in objects])[place]
    reach_m = np.array([one.box.size_m for one in objects])[place] / 2.0 + BOX_SLACK_M
    points_object = np.einsum("wji,wj->wi", boxes_world[:, :3, :3], points_world - boxes_world[:, :3, 3])
    return (np.abs(points_object) <= reach_m).all(axis=1)  # NaN compares false


def _overlaps(facts: FactTable, first: np.ndarray, second: np.ndarray, least: float) -> np.ndarray:
    """Whether the frames of each pair `(C,)` share at least so much that they can be put together."""
    frames = len(facts.frames.frame_ids)
    enough = facts.pairs.overlap >= least
    keys = np.sort(facts.pairs.first[enough].astype(np.int64) * frames + facts.pairs.second[enough])
    wanted = np.minimum(first, second) * frames + np.maximum(first, second)
    found = np.searchsorted(keys, wanted)
    return (found < len(keys)) & (keys[np.minimum(found, len(keys) - 1)] == wanted) if len(keys) else np.zeros(len(first), dtype=bool)


def _thinned(sets: Sets, most: int, rng: np.random.Generator, skips: dict[str, int]) -> Sets:
    """At most `most` sets of each object, drawn at random, in random order; those of one frame and of two in turn."""
    order = rng.permutation(len(sets.place))
    group = sets.place[order] * 2 + (sets.frames[order, 1] >= 0)
    by_turn = order[np.lexsort((_rank_within(group), sets.place[order]))]
    kept = by_turn[_rank_within(sets.place[by_turn]) < most]
    skips["object_asked_often_enough"] = len(order) - len(kept)
    return sets.kept(rng.permutation(kept))


def _rank_within(group: np.ndarray) -> np.ndarray:
    """For each element `(N,)`: how many before it are of the same group."""
    order = np.argsort(group, kind="stable")
    ordered = group[order]
    starts = np.flatnonzero(np.diff(ordered, prepend=ordered[:1] - 1))
    rank = np.empty(len(group), dtype=np.int64)
    rank[order] = np.arange(len(group)) - np.repeat(starts, np.diff(starts, append=len(group)))
    return rank


def _widened(sets: Sets, tables: SizeTables, views: int, rng: np.random.Generator, skips: dict[str, int]) -> Sets:
    """Each set with further frames that show the object clearly, `views` in all, no two alike: more frames span no less."""
    is_clear = tables.share > 0.0
    shuffled = np.argsort(np.where(is_clear, rng.random(is_clear.shape), 2.0), axis=1)  # an object's clear frames first, in random order
    count = is_clear.sum(axis=1)[sets.place]
    has_enough = count >= views
    skips["too_few_images_show_it"] = int((~has_enough).sum())
    place, base, count = sets.place[has_enough], sets.frames[has_enough], count[has_enough]
    turn = (rng.integers(np.maximum(count, 1))[:, None] + np.arange(views)) % np.maximum(count, 1)[:, None]
    window = shuffled[place[:, None], turn]  # as many different clear frames as wanted in all: enough besides those of the set
    is_new = (window[:, :, None] != base[:, None, :2]).all(axis=2)
    window = np.take_along_axis(window, np.argsort(~is_new, axis=1, kind="stable"), axis=1)
    frames = np.full_like(base, -1)
    is_pair = base[:, 1] >= 0
    frames[:, 0] = base[:, 0]
    frames[is_pair, 1], frames[is_pair, 2:views] = base[is_pair, 1], window[is_pair, : views - 2]
    frames[~is_pair, 1:views] = window[~is_pair, : views - 1]
    _, kept = np.unique(np.c_[place, np.sort(frames, axis=1)], axis=0, return_index=True)
    skips["same_images_as_another"] = len(place) - len(kept)
    return Sets(place=place, frames=frames).kept(np.sort(kept))
