"""Movement of tracked points between two images: how far, or by which vector; the point is a dot or a coordinate in the first image."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from math import floor, sqrt
from typing import ClassVar

import numpy as np

from sightline.answers.answer import Answer
from sightline.answers.number import Number
from sightline.answers.point import Point
from sightline.answers.vector import Vector
from sightline.facts.fact import FactTable
from sightline.questions.choosing import log_bins
from sightline.questions.crowded_dots import are_crowded, own_bodies
from sightline.questions.margins import margins_of
from sightline.questions.marks import BORDER_SHARE
from sightline.questions.picking import pick
from sightline.questions.question import MARK_COLOURS, Mark, Question, TaskOptions
from sightline.questions.rows import IndexedTask, Renderer, ScanHead, Selected, from_sixteenths, to_sixteenths
from sightline.questions.units import PER_M

COLOURS = tuple(MARK_COLOURS)
STILL_BIN = -1000  # far below every bin of lengths
MOVES, IS_STILL = 0, 1  # in the row's `order`
MULTISPA_SHARE = 0.2  # MultiSPA paper: right within 20 % of the true length

DISTANCES = (
    "The camera may have moved too. How far had the point {at} itself moved in the world by image 2?",
    "Leaving out the camera's own motion, how far did the point {at} move between the two images?",
    "Whatever the camera did, how far had the point {at} moved in the world by image 2?",
    "Take the point {at}. How far apart were its places in the world when the images were taken, wherever the camera was?",
    "Look at the point {at}. How far from that place in the world is it in image 2? The camera may have moved.",
    "In a straight line, how far had the point {at} travelled in the world by image 2? Leave out the camera's motion.",
    "How long is the straight line in the world from the point {at} to its place in image 2? The camera may have moved.",
    "Things may have moved, and so may the camera. How far had the point {at} moved in the world by image 2?",
)
VECTORS = (
    "Along the axes of the camera of image 1, how had the point {at} moved in the world by image 2? The camera may have moved too.",
    "The camera may have moved too. By which vector had the point {at} itself moved in the world by image 2, in the first camera's axes?",
    "Leaving out the camera's own motion, by which vector had the point {at} moved by image 2, in the axes of the first camera?",
    "Whatever the camera did, what is the movement of the point {at} by image 2, in the world but along the axes of the first camera?",
    "Look at the point {at}. In the first camera's axes, by which vector had it moved in the world by image 2? The camera may have moved.",
    "From image 1 to image 2, what is the displacement of the point {at} in the world, along the axes of the first camera?",
    "How far to the right, down and forward, as the first camera looks, had the point {at} moved in the world by image 2?",
    "Things may have moved, and so may the camera. How had the point {at} moved in the world by image 2, in the first camera's axes?",
)
KEPT_DISTANCES = (
    "Relative to the camera, which may move itself, how far had the point {at} moved by image 2?",
    "How far did the point {at} shift relative to the camera from image 1 to image 2, camera motion included?",
    "Taking the camera as fixed, how far had the point {at} moved relative to the camera by image 2?",
    "By how much had the place of the point {at} relative to the camera changed by image 2?",
    "Relative to the camera, how far apart were the places of the point {at} when the two images were taken?",
    "The camera's own motion counts: how far had the point {at} moved relative to the camera by image 2?",
    "Between the two images, how far did the point {at} move relative to the camera, in a straight line?",
    "Look at the point {at}. How far is its place relative to the camera in image 2 from that in image 1?",
)
KEPT_VECTORS = (
    "Relative to the camera, which may move itself, by which vector had the point {at} moved by image 2?",
    "By which vector did the point {at} shift relative to the camera from image 1 to image 2, camera motion included?",
    "Taking the camera as fixed, by which vector had the point {at} moved relative to the camera by image 2?",
    "How had the place of the point {at} relative to the camera changed by image 2, along the camera's own axes?",
    "Along the camera's own axes, what is the movement of the point {at} relative to the camera by image 2?",
    "The camera's own motion counts: how had the point {at} moved relative to the camera by image 2, along the camera's axes?",
    "How far to the right, down and forward had the point {at} moved relative to the camera by image 2?",
    "Look at the point {at}. What is its place relative to the camera in image 2 less that in image 1, along the camera's axes?",
)
MOVEMENT_MARGINS: Mapping[str, float] = {
    "still_cm": 1.0,  # below it a point did not move, as in the MultiSPA engine: tracks are no better
    "min_move_cm": 5.0,  # between the two nobody can tell; in whole centimetres, rounding moves a distance by 10 % at most
    "max_move_cm": 2000.0,
    "max_still_share": 0.1,  # of the questions: their answer is always the same
    "reversed_share": 0.05,  # of the questions show the later image first
    "dot_share": 0.01,  # of the image width: no point of another body, or of none, this near the dot (a dot's radius)
    "max_point_share": 0.05,  # of the questions wanted of a scan may be about one point
    "keep_camera_motion": 0.0,  # 1: the movement relative to the camera, for clips whose camera poses are not known
}


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Movements:
    """V movements of tracked points from a first frame to a second."""

    point: np.ndarray  # (V,) int64
    body: np.ndarray  # (V,) int64
    first: np.ndarray  # (V,) int64
    second: np.ndarray  # (V,) int64
    moved_m: np.ndarray  # (V, 3) right, down, forward; NaN where not known
    first_row: np.ndarray  # (V,) int64 row of tracks
    first_uv: np.ndarray  # (V, 2) pixel in the first image; NaN where it is not seen
    second_uv: np.ndarray  # (V, 2)

    @property
    def length_m(self) -> np.ndarray:
        return np.sqrt((self.moved_m**2).sum(axis=1))

    def are_still(self, margins: Mapping[str, float]) -> np.ndarray:
        """Which points did not move `(V,)`."""
        return self.length_m * 100.0 < margins["still_cm"]

    def kept(self, rows: np.ndarray) -> "Movements":
        """Those of the given places or marked True."""
        return Movements(**{one.name: getattr(self, one.name)[rows] for one in fields(self)})


class PointMovement(IndexedTask):
    """What a tracked point did between two images. Subclasses say whether its length or the vector is asked, and how it is named."""

    needs: ClassVar[frozenset[str]] = frozenset(("frames", "tracks", "track_windows"))
    MARGINS: ClassVar[Mapping[str, float]] = MOVEMENT_MARGINS
    PAYLOAD: ClassVar[np.dtype] = np.dtype([("u", "u2"), ("v", "u2"), ("right_m", "f4"), ("down_m", "f4"), ("forward_m", "f4")])
    IS_VECTOR: ClassVar[bool]
    HAS_DOT: ClassVar[bool]

    def select(self, facts: FactTable, rng: np.random.Generator, options: TaskOptions) -> Selected:
        margins = margins_of(self, options)
        keeps = margins["keep_camera_motion"] > 0.0
        found, skips = _fair(_movements(facts, rng, margins, keeps=keeps), facts, margins)
        length_m, is_still = found.length_m, found.are_still(margins)
        wanted = _spread_out(found, facts, rng, margins, options, skips)
        answer = np.full(len(wanted), STILL_BIN, dtype=np.int64)
        moves = ~is_still[wanted]
        answer[moves] = log_bins(length_m[wanted][moves])
        picked = pick(
            (found.first[wanted], found.second[wanted]),
            answer=answer,
            spread=found.body[wanted],
            rng=rng,
            most=options.max_per_scan,
            most_per_frame=options.max_per_frame,
            balance=options.balance,
            num_frames=len(facts.frames.frame_ids),
        )
        chosen = wanted[picked.index]
        still_most = floor(margins["max_still_share"] / (1.0 - margins["max_still_share"]) * (~is_still[chosen]).sum() + 1e-9)
        is_kept = ~is_still[chosen] | (np.cumsum(is_still[chosen]) <= still_most)
        skips["enough_still_points"] += int((~is_kept).sum())
        chosen = chosen[is_kept]
        kind = VECTORS if self.IS_VECTOR else DISTANCES  # the wordings of apparent movements follow, as many
        right_m, down_m, forward_m = found.moved_m[chosen].T
        rows = self.rows(
            len(chosen),
            template=rng.integers(len(kind), size=len(chosen)) + len(kind) * keeps,
            order=np.where(is_still[chosen], IS_STILL, MOVES),
            colours=rng.integers(len(COLOURS), size=len(chosen)),
            first=found.first[chosen],
            second=found.second[chosen],
            u=to_sixteenths(found.first_uv[chosen, 0]),
            v=to_sixteenths(found.first_uv[chosen, 1]),
            right_m=right_m,
            down_m=down_m,
            forward_m=forward_m,
        )
        return Selected(rows=rows, skips={**skips, "frame_asked_often_enough": picked.frame_used_up})

    def renderer(self, options: TaskOptions) -> Renderer:
        unit = "cm" if options.length_unit == "m" else options.length_unit  # most movements are shorter than a metre
        per_m = PER_M[unit]
        is_vector, has_dot, task = self.IS_VECTOR, self.HAS_DOT, self.name
        if is_vector:
            form = Vector(unit=unit, decimals=0, tolerance_share=options.tolerance_share or MULTISPA_SHARE)
        else:
            form = Number(unit=unit, decimals=0, high=100.0 * per_m, tolerance_share=options.tolerance_share)
        margins = margins_of(self, options)
        still_cm, min_move_cm = margins["still_cm"], margins["min_move_cm"]
        templates = (*VECTORS, *KEPT_VECTORS) if is_vector else (*DISTANCES, *KEPT_DISTANCES)
        template_ids = [f"{task}.{index}" for index in range(len(templates))]
        dotted = [[one.format(at=f"under the {colour} dot in image 1") for colour in COLOURS] for one in templates]
        scale = options.point_scale
        scale_words = "thousandths of the image's width and height" if scale == "thousandths" else "pixels"
        parts = [tuple(one.split("{at}")) for one in templates]
        place_forms: dict[tuple[int, int], Point] = {}

        def located(template: int, u_px: float, v_px: float, size: tuple[int, int]) -> str:
            place = place_forms.get(size)
            if place is None:
                place = place_forms[size] = Point(width=size[0], height=size[1], scale=scale)
            before, after = parts[template]
            x, y = place.from_px(u_px, v_px)
            where = f"at [x, y] = [{round(x)}, {round(y)}] in image 1"
            return f"{before}{where}{after} Coordinates are {scale_words}, from the top left corner."

        def render(row: tuple, scan: ScanHead) -> Question:
            _, template, order, colours, first, second, u, v, right_m, down_m, forward_m = row
            frame_id, u_px, v_px = scan.frame_ids[first], from_sixteenths(u), from_sixteenths(v)
            moved_m = sqrt(right_m * right_m + down_m * down_m + forward_m * forward_m)
            if order == IS_STILL:
                value = (0.0, 0.0, 0.0) if is_vector else 0.0
            else:
                value = (right_m * per_m, down_m * per_m, forward_m * per_m) if is_vector else moved_m * per_m
            if has_dot:
                text = dotted[template][colours]
                marks = (Mark.made(frame_id=frame_id, u_px=u_px, v_px=v_px, colour=COLOURS[colours]),)
            else:
                text, marks = located(template, u_px, v_px, (scan.widths[first], scan.heights[first])), ()
            return Question.made(
                task=task,
                scan_id=scan.scan_id,
                frame_ids=(frame_id, scan.frame_ids[second]),
                text=text,
                answer=Answer.made(format=form, value=value),
                template_id=template_ids[template],
                evidence={"moved_m": round(moved_m, 4), "still_below_cm": still_cm, "min_move_cm": min_move_cm},
                marks=marks,
            )

        return render


class PointMovementDistance(PointMovement):
    """How far a dotted point moved."""

    name: ClassVar[str] = "point_movement_distance"
    IS_VECTOR: ClassVar[bool] = False
    HAS_DOT: ClassVar[bool] = True


class PointMovementDistanceCoordinate(PointMovement):
    """How far the point at a coordinate moved."""

    name: ClassVar[str] = "point_movement_distance_coordinate"
    IS_VECTOR: ClassVar[bool] = False
    HAS_DOT: ClassVar[bool] = False


class PointMovementVector(PointMovement):
    """By which vector a dotted point moved, along the axes of the first camera."""

    name: ClassVar[str] = "point_movement_vector"
    IS_VECTOR: ClassVar[bool] = True
    HAS_DOT: ClassVar[bool] = True


class PointMovementVectorCoordinate(PointMovement):
    """By which vector the point at a coordinate moved, along the axes of the first camera."""

    name: ClassVar[str] = "point_movement_vector_coordinate"
    IS_VECTOR: ClassVar[bool] = True
    HAS_DOT: ClassVar[bool] = False


def _movements(facts: FactTable, rng: np.random.Generator, margins: Mapping[str, float], *, keeps: bool) -> Movements:
    """The scan's windows, some turned round: the later image first, the movement the other way and in that camera's axes."""
    windows, tracks = facts.track_windows, facts.tracks
    start, end = windows.start.astype(np.int64), windows.end.astype(np.int64)
    moved_m = np.array(windows.apparent_m if keeps else windows.displacement_m, dtype=np.float64)
    turned = np.flatnonzero(rng.random(len(start)) < margins["reversed_share"])
    if keeps:
        moved_m[turned] *= -1.0
    else:
        axes = facts.frames.world_from_camera[:, :3, :3]
        moved_world = np.einsum("nij,nj->ni", axes[start[turned]], moved_m[turned])
        moved_m[turned] = -np.einsum("nji,nj->ni", axes[end[turned]], moved_world)
    first, second = start.copy(), end.copy()
    first[turned], second[turned] = end[turned], start[turned]
    row_of = np.full((int(tracks.point.max(initial=-1)) + 1, len(facts.frames.frame_ids)), -1, dtype=np.int64)
    row_of[tracks.point, tracks.frame] = np.arange(len(tracks.point))
    first_row = row_of[windows.point, first]
    return Movements(
        point=windows.point.astype(np.int64),
        body=windows.body.astype(np.int64),
        first=first,
        second=second,
        moved_m=moved_m,
        first_row=first_row,
        first_uv=_pixels(facts, first_row),
        second_uv=_pixels(facts, row_of[windows.point, second]),
    )


def _fair(found: Movements, facts: FactTable, margins: Mapping[str, float]) -> tuple[Movements, dict[str, int]]:
    """Movements that make a fair question, and why the others make none."""
    moved_cm = found.length_m * 100.0
    image_px = np.array([[one.width, one.height] for one in facts.frames.intrinsics], dtype=float).reshape(-1, 2)
    border_px = BORDER_SHARE * image_px[found.first, :1]
    refused = {
        "camera_poses_not_known": ~np.isfinite(moved_cm),
        "moved_too_little_to_tell": (moved_cm >= margins["still_cm"]) & (moved_cm < margins["min_move_cm"]),
        "moved_too_far": moved_cm > margins["max_move_cm"],
        "not_in_both_images": ~(_are_inside(found.first_uv, image_px[found.first]) & _are_inside(found.second_uv, image_px[found.second])),
        "dot_at_image_border": ~((found.first_uv >= border_px) & (found.first_uv <= image_px[found.first] - 1.0 - border_px)).all(axis=1),
    }
    skips, is_fair = {}, np.ones(len(found.point), dtype=bool)
    for reason, is_refused in refused.items():
        skips[reason] = int((is_fair & is_refused).sum())
        is_fair &= ~is_refused
    return found.kept(is_fair), skips


def _are_inside(uv: np.ndarray, size_px: np.ndarray) -> np.ndarray:
    """Which pixels `(V, 2)` lie in images of `size_px (V, 2)`; NaN does not."""
    return ((uv >= -0.5) & (uv < size_px - 0.5)).all(axis=1)


def _pixels(facts: FactTable, rows: np.ndarray) -> np.ndarray:
    """Pixel `(V, 2)` of rows `(V,)` of tracks; NaN where the point is not seen."""
    tracks = facts.tracks
    cameras = np.array([[one.fx, one.fy, one.cx, one.cy] for one in facts.frames.intrinsics]).reshape(-1, 4)[tracks.frame[rows]]
    points = np.asarray(tracks.point_camera[rows], dtype=np.float64)
    z = np.where(tracks.visible[rows] & (rows >= 0) & (points[:, 2] > 0.0), points[:, 2], np.nan)
    return points[:, :2] / z[:, None] * cameras[:, :2] + cameras[:, 2:]


def _spread_out(
    found: Movements, facts: FactTable, rng: np.random.Generator, margins: Mapping[str, float], options: TaskOptions, skips: dict[str, int]
) -> np.ndarray:
    """Places `(K,)` of movements to draw from, in random order: of each body one in each pair of images, no point too often, few still."""
    frames = len(facts.frames.frame_ids)
    order = rng.permutation(len(found.point))
    early, late = np.minimum(found.first, found.second)[order], np.maximum(found.first, found.second)[order]
    _, body = np.unique(own_bodies(found.body, found.point)[order], return_inverse=True)
    _, once = np.unique((body * frames + early) * frames + late, return_index=True)
    skips["same_body_in_the_same_images"] = len(order) - len(once)
    order = order[np.sort(once)]
    is_at_edge = facts.tracks.at_edge[found.first_row[order]]
    skips["something_else_beside_the_point"] = int(is_at_edge.sum())
    order = order[~is_at_edge]
    if margins["dot_share"] > 0.0:
        is_crowded = are_crowded(facts, facts.tracks, found.first_row[order], share=margins["dot_share"])
        skips["another_body_at_the_dot"] = int(is_crowded.sum())
        order = order[~is_crowded]
    by_point = np.argsort(found.point[order], kind="stable")
    _, starts = np.unique(found.point[order][by_point], return_index=True)
    rank = np.empty(len(order), dtype=np.int64)
    rank[by_point] = np.arange(len(order)) - np.repeat(starts, np.diff(starts, append=len(order)))
    is_rare = rank < max(1, round(margins["max_point_share"] * options.max_per_scan))
    skips["point_asked_often_enough"] = int((~is_rare).sum())
    order = order[is_rare]
    is_still = found.are_still(margins)[order]
    is_kept = ~is_still | (np.cumsum(is_still) <= int(margins["max_still_share"] * options.max_per_scan))
    skips["enough_still_points"] = int((~is_kept).sum())
    return order[is_kept]
