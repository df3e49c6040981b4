"""Correspondences: surface points that both frames of a pair see, cycle consistent, for pairs whose overlap is in a useful band."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from pydantic import Field

from sightline.arrays import expect
from sightline.captures.capture import Frame
from sightline.captures.frame_images import frame_depth_m
from sightline.captures.images import read_uint16
from sightline.config import config
from sightline.facts.fact import CorrespondenceFacts, PairFacts, PointFacts
from sightline.facts.points import BORDER_SHARE, STEADY_M, STEADY_SHARE, generator_for, half_width_px
from sightline.facts.visibility import colour_from_depth_uv
from sightline.geometry.transforms import apply, inverse
from sightline.geometry.visibility import NEAR_M, TOLERANCE_M, TOLERANCE_SHARE

OVERLAP_BINS = 10  # pairs are drawn evenly over this many equal parts of the band of overlap
COLUMNS = ("first", "second", "first_uv", "second_uv", "first_depth_m", "second_depth_m", "point_world", "object_id")


@config
class CorrespondenceOptions:
    """Which pairs and points are taken."""

    min_overlap: Annotated[float, Field(ge=0.0, le=1.0)] = 0.05  # below, nothing but a sliver is shared
    max_overlap: Annotated[float, Field(ge=0.0, le=1.0)] = 0.6  # above, the two images are nearly the same and the answer is the question
    max_pairs: Annotated[int, Field(ge=0)] = 300
    points_per_pair: Annotated[int, Field(ge=1)] = 8

    def __post_init__(self) -> None:
        if self.min_overlap > self.max_overlap:
            raise ValueError(f"expected min_overlap <= max_overlap, found {self.min_overlap} and {self.max_overlap}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Agreement:
    """When two pixels count as the same surface point; as for visible points."""

    near_m: float = NEAR_M
    tolerance_m: float = TOLERANCE_M
    tolerance_share: float = TOLERANCE_SHARE

    def agrees(self, depth_m: np.ndarray, reading_m: np.ndarray) -> np.ndarray:
        """Whether depths `(K,)` are those of the surface read, on both sides of it; False for NaN."""
        return (depth_m >= self.near_m) & (np.abs(depth_m - reading_m) <= np.maximum(self.tolerance_m, self.tolerance_share * reading_m))


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Spots:
    """K depth pixels of one frame with what each reads."""

    frame: Frame
    pixels: np.ndarray  # (K, 2) int, of the depth map
    depth_m: np.ndarray  # (K,) reading, NaN without one
    object_id: np.ndarray | None  # (K,), -1 = none; None where the frame does not say whose its pixels are

    @property
    def points_world(self) -> np.ndarray:
        """Where the surface lies that each pixel reads `(K, 3)`."""
        camera = self.frame.depth_intrinsics
        return apply(self.frame.world_from_camera, camera.unproject(self.pixels.astype(np.float64), self.depth_m))

    def taken(self, chosen: np.ndarray) -> "Spots":
        """Some of them."""
        ids = None if self.object_id is None else self.object_id[chosen]
        return Spots(frame=self.frame, pixels=self.pixels[chosen], depth_m=self.depth_m[chosen], object_id=ids)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class DepthView:
    """A frame with its depth and, where known, whose each pixel is."""

    frame: Frame
    depth_m: np.ndarray  # (H, W) float32, NaN without a reading
    instances: np.ndarray | None  # (H, W) int object_id + 1, 0 = none

    def spots(self, pixels: np.ndarray) -> Spots:
        """What pixels `(K, 2)` int inside the map read."""
        ids = None if self.instances is None else self.instances[pixels[:, 1], pixels[:, 0]] - 1
        return Spots(frame=self.frame, pixels=pixels, depth_m=self.depth_m[pixels[:, 1], pixels[:, 0]].astype(np.float64), object_id=ids)


def read_view(frame: Frame) -> DepthView:
    """A frame with its images. Raises CaptureError for one that is missing or damaged."""
    instances = None if frame.instance_path is None else read_uint16(frame.instance_path).astype(np.int32)
    return DepthView(frame=frame, depth_m=frame_depth_m(frame), instances=instances)


def usable_at(view: DepthView, pixels: np.ndarray) -> np.ndarray:
    """Which depth pixels `(K, 2)` int may be marked: steady as `facts/points.py steady_pixels` says, and off the colour image's border."""
    expect(pixels=(pixels, "K 2"))
    height, width = view.depth_m.shape
    colour, half = view.frame.intrinsics, half_width_px(width)
    usable = (pixels >= half).all(axis=1) & (pixels[:, 0] < width - half) & (pixels[:, 1] < height - half)
    uv = colour_from_depth_uv(pixels.astype(np.float64), view.frame)
    border_px = BORDER_SHARE * colour.width
    usable &= (uv >= border_px - 0.5).all(axis=1) & (uv < np.array([colour.width, colour.height]) - 0.5 - border_px).all(axis=1)
    at = np.flatnonzero(usable)
    reach = np.arange(-half, half + 1)
    rows, columns = pixels[at, 1][:, None, None] + reach[:, None], pixels[at, 0][:, None, None] + reach
    windows = view.depth_m[rows, columns].reshape(len(at), len(reach) ** 2)
    spans_m = windows.max(axis=1) - windows.min(axis=1)  # NaN where any reading is missing: then not steady
    steady = spans_m <= np.maximum(STEADY_M, STEADY_SHARE * view.depth_m[pixels[at, 1], pixels[at, 0]])
    if view.instances is not None:
        owners = view.instances[rows, columns].reshape(len(at), len(reach) ** 2)
        steady &= owners.max(axis=1) == owners.min(axis=1)
    usable[at] = steady
    return usable


def meet(one: Spots, other: Spots, agreement: Agreement) -> np.ndarray:
    """Which spots of two frames, row by row, are the same surface `(K,)` bool; the same answer with the two swapped.

    Each one's point, projected into the other frame, must fall within the half width of a mark of the other's pixel and agree with
    its reading; and both must be of one object where both frames say.
    """
    same = np.ones(len(one.pixels), dtype=bool)
    if one.object_id is not None and other.object_id is not None:
        same &= one.object_id == other.object_id
    for here, there in ((one, other), (other, one)):
        uv, depth_m = seen_from(there.frame, here.points_world)
        same &= agreement.agrees(depth_m, there.depth_m)
        same &= (np.abs(uv - there.pixels) <= half_width_px(there.frame.depth_intrinsics.width)).all(axis=1)
    return same


def seen_from(frame: Frame, points_world: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Depth pixels `(K, 2)` float and z `(K,)` of world points; NaN pixels behind the camera."""
    return frame.depth_intrinsics.project(apply(inverse(frame.world_from_camera), points_world))


def matches(one: Spots, view: DepthView, agreement: Agreement) -> np.ndarray:
    """Places `(M,)` of those spots of a frame that another frame sees as well, at the nearest pixel there."""
    uv, _ = seen_from(view.frame, one.points_world)
    pixels = np.floor(np.where(np.isfinite(uv), uv, -9.0) + 0.5)
    inside = np.flatnonzero((pixels >= 0).all(axis=1) & (pixels < np.array(view.depth_m.shape[::-1])).all(axis=1))
    pixels = pixels[inside].astype(np.int64)
    usable = usable_at(view, pixels)
    inside, pixels = inside[usable], pixels[usable]
    return inside[meet(one.taken(inside), view.spots(pixels), agreement)]


def spots_of(points: PointFacts, rows: np.ndarray, frame: Frame) -> Spots:
    """Sampled points of one frame as the depth pixels they were read from."""
    depth, colour = frame.depth_intrinsics, frame.intrinsics
    u = (points.uv[rows, 0] - colour.cx) / colour.fx * depth.fx + depth.cx
    v = (points.uv[rows, 1] - colour.cy) / colour.fy * depth.fy + depth.cy
    ids = None if frame.instance_path is None else points.object_id[rows]
    return Spots(frame=frame, pixels=np.rint(np.stack([u, v], axis=1)).astype(np.int64), depth_m=points.depth_m[rows], object_id=ids)


def chosen_rows(overlap: np.ndarray, options: CorrespondenceOptions, rng: np.random.Generator) -> np.ndarray:
    """At most `max_pairs` rows of the pairs within the band, in order, drawn evenly over its parts as far as each part reaches."""
    within = np.flatnonzero((overlap >= options.min_overlap) & (overlap <= options.max_overlap))  # NaN is not
    drawn = rng.permutation(within)
    share = (overlap[drawn] - options.min_overlap) / max(options.max_overlap - options.min_overlap, 1e-9)
    part = np.minimum((share * OVERLAP_BINS).astype(np.int64), OVERLAP_BINS - 1)
    turn = np.empty(len(drawn), dtype=np.int64)  # the how-manieth of its part each one is
    for one in range(OVERLAP_BINS):
        mine = np.flatnonzero(part == one)
        turn[mine] = np.arange(len(mine))
    return np.sort(drawn[np.argsort(turn, kind="stable")[: options.max_pairs]])


def correspondences(
    frames: Sequence[Frame],
    pairs: PairFacts,
    points: PointFacts,
    *,
    scan_id: str,
    seed: int,
    options: CorrespondenceOptions,
    agreement: Agreement,
    moving_ids: frozenset[int] = frozenset(),
) -> CorrespondenceFacts:
    """Points of `points` that another frame sees too, by pair; those of `moving_ids` are left out, for they need not be where they were.

    Each drawn pair's second frame is read once. What is drawn for a pair depends on its two frames alone.
    """
    rows = chosen_rows(pairs.overlap, options, generator_for(scan_id, "correspondences", seed))
    still = ~np.isin(points.object_id, np.array(sorted(moving_ids), dtype=np.int64))
    own = {int(frame): np.flatnonzero((points.frame == frame) & still) for frame in np.unique(pairs.first[rows])}
    parts: dict[tuple[int, int], CorrespondenceFacts] = {}
    for second in np.unique(pairs.second[rows]).tolist():
        if frames[second].depth_path is None:
            continue
        view = read_view(frames[second])
        for first in np.sort(pairs.first[rows[pairs.second[rows] == second]]).tolist():
            rng = generator_for(scan_id, f"{frames[first].frame_id} to {frames[second].frame_id}", seed)
            shared = own[first][matches(spots_of(points, own[first], frames[first]), view, agreement)]
            drawn = np.sort(rng.permutation(shared)[: options.points_per_pair])
            parts[first, second] = _table(points, drawn, first, second, frames[second])
    none = _table(points, np.zeros(0, dtype=np.int64), 0, 0, frames[0])
    every = [none, *(parts[key] for key in sorted(parts))]
    return CorrespondenceFacts(**{name: np.concatenate([getattr(part, name) for part in every]) for name in COLUMNS})


def _table(points: PointFacts, rows: np.ndarray, first: int, second: int, second_frame: Frame) -> CorrespondenceFacts:
    uv, depth_m = seen_from(second_frame, points.point_world[rows])
    return CorrespondenceFacts(
        first=np.full(len(rows), first, dtype=np.int32),
        second=np.full(len(rows), second, dtype=np.int32),
        first_uv=points.uv[rows],
        second_uv=colour_from_depth_uv(uv, second_frame),
        first_depth_m=points.depth_m[rows],
        second_depth_m=depth_m,
        point_world=points.point_world[rows],
        object_id=points.object_id[rows],
    )


def why_none(frames: Sequence[Frame], pairs: PairFacts, options: CorrespondenceOptions) -> str | None:
    """Why correspondences cannot be looked for; None where they can."""
    if all(frame.depth_path is None for frame in frames):
        return "no frame has a depth image"
    if not ((pairs.overlap >= options.min_overlap) & (pairs.overlap <= options.max_overlap)).any():
        return f"no two frames overlap by {options.min_overlap:.0%} to {options.max_overlap:.0%}"
    return None
