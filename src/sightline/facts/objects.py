"""Objects as frames see them: how much of each is visible, where, and a pixel well inside it where a mark may stand."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import cv2
import numpy as np
from scipy import ndimage

from sightline.facts.fact import ObjectViewFacts
from sightline.facts.object_points import ObjectPoints, inside_counts, seen_counts
from sightline.facts.visibility import Cloud, FrameView, colour_from_depth_uv, pixels_in_colour
from sightline.geometry.visibility import NEAR_M

SPLAT_CLOSING_PX = 5  # scene points fall a few depth pixels apart; closing this wide makes one patch of them


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Patch:
    """The visible pixels of one object in one frame: a mask in a window of the depth image."""

    left: int
    top: int
    mask: np.ndarray  # (h, w) bool
    markable: np.ndarray  # (h, w) bool: pixels of the mask with a depth reading, inside the colour image


def object_views(
    view: FrameView,
    cloud: Cloud,
    owners: ObjectPoints,
    *,
    frame_index: int,
    near_m: float,
    min_pixel_share: float,
    min_points: int,
) -> ObjectViewFacts:
    """Rows of one frame, by object id. `near_m` is that of the visibility test.

    With an id image an object needs `min_pixel_share` of the depth pixels; without, `min_points` visible scene points. One
    without a pixel that has a reading has no row either: there would be no place for a mark.
    """
    if view.depth_m is None:
        return no_views()
    in_colour = pixels_in_colour(view.frame, border_px=0.0)
    visible = view.visible(len(cloud.points_world))
    shares = point_shares(view, cloud, owners, near_m=near_m)
    enough_points = shares.seen >= max(1, min_points)
    rows = []
    slices = [] if view.instances is None else ndimage.find_objects(view.instances)
    for place, object_id in enumerate(owners.object_ids):
        if view.instances is not None:
            patch = _patch_of_ids(view, in_colour, slices, int(object_id))
            enough = patch is not None and np.count_nonzero(patch.mask) >= max(1.0, min_pixel_share * view.instances.size)
        else:
            enough = enough_points[place]
            own = owners.of(place)
            patch = _patch_of_points(view, in_colour, cloud.points_world[own[visible[own]]]) if enough else None
        if not enough or patch is None or not patch.markable.any():
            continue
        rows.append(_row(patch, view, shares, place=place, object_id=int(object_id), frame_index=frame_index))
    return join_views(rows)


def glimpsed(view: FrameView, owners: ObjectPoints) -> np.ndarray:
    """Ids `(Y,)` of the objects of which the frame shows anything: a pixel of its id image, or a visible scene point."""
    ids = np.asarray(owners.object_ids)
    seen = seen_counts(owners, view.words[None])[0] > 0
    if view.instances is not None:
        seen |= np.isin(ids + 1, np.unique(view.instances))
    return ids[seen].astype(np.int32)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class PointShares:
    """Of K objects in one frame, each `(K,)`."""

    seen: np.ndarray  # how many points are visible
    visible_share: np.ndarray  # of all its points; NaN for an object that has none
    inside_share: np.ndarray  # of all its points, hidden or not; NaN for an object that has none
    hidden_share: np.ndarray  # of those inside, not visible; NaN where none is inside


def point_shares(view: FrameView, cloud: Cloud, owners: ObjectPoints, *, near_m: float) -> PointShares:
    """How much of each object's points the frame sees, holds and hides: `visible = inside * (1 - hidden)`."""
    frame = view.frame
    seen = seen_counts(owners, view.words[None])[0]
    limits = {"near_m": 0.0, "first_edge_px": 0.0} if view.is_strict else {"near_m": near_m}
    inside = inside_counts(owners, cloud, camera=frame.intrinsics, world_from_camera=frame.world_from_camera, **limits)
    return PointShares(
        seen=seen,
        visible_share=_share(seen, owners.counts),
        inside_share=_share(inside, owners.counts),
        hidden_share=_share(inside - seen, inside),
    )


def _share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.where(whole > 0, part / np.maximum(whole, 1), np.nan)


def _patch_of_ids(view: FrameView, in_colour: np.ndarray, slices: list, object_id: int) -> Patch | None:
    place = slices[object_id] if object_id < len(slices) else None
    if place is None:
        return None
    mask = (view.instances[place] == object_id + 1) & in_colour[place]
    readable = view.depth_m[place] >= NEAR_M
    return Patch(left=place[1].start, top=place[0].start, mask=mask, markable=mask & readable)


def _patch_of_points(view: FrameView, in_colour: np.ndarray, seen_world: np.ndarray) -> Patch:
    """An object's visible points `(N, 3)` splatted on the depth image and closed to one patch; only splatted pixels are markable."""
    camera = view.frame.depth_intrinsics
    rotation, centre = view.frame.world_from_camera[:3, :3], view.frame.world_from_camera[:3, 3]
    uv, _ = camera.project((seen_world - centre) @ rotation)
    pixels = np.clip(np.floor(uv + 0.5).astype(np.int64), 0, [camera.width - 1, camera.height - 1])
    left, top = pixels.min(axis=0)
    width, height = pixels.max(axis=0) - (left, top) + 1
    splat = np.zeros((height, width), dtype=np.uint8)
    splat[pixels[:, 1] - top, pixels[:, 0] - left] = 1
    wide = cv2.copyMakeBorder(splat, *([SPLAT_CLOSING_PX] * 4), cv2.BORDER_CONSTANT, value=0)
    closed = cv2.morphologyEx(wide, cv2.MORPH_CLOSE, np.ones((SPLAT_CLOSING_PX, SPLAT_CLOSING_PX), dtype=np.uint8))
    closed = closed[SPLAT_CLOSING_PX:-SPLAT_CLOSING_PX, SPLAT_CLOSING_PX:-SPLAT_CLOSING_PX].astype(bool)
    window = in_colour[top : top + height, left : left + width]
    markable = splat.astype(bool) & window
    if view.is_strict:  # that test reads another pixel of the depth map than the one the point falls on
        markable &= view.depth_m[top : top + height, left : left + width] >= NEAR_M
    return Patch(left=int(left), top=int(top), mask=closed & window, markable=markable)


def deepest_pixel(mask: np.ndarray, markable: np.ndarray) -> tuple[int, int]:
    """Column and row of the markable pixel farthest from the outside of the mask (window edges count as outside); the first of equals."""
    padded = cv2.copyMakeBorder(mask.astype(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    inwards = cv2.distanceTransform(padded, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)[1:-1, 1:-1]
    inwards = np.rint(np.square(inwards))  # squares are whole numbers: OpenCV's roots differ in the last digit from run to run
    row, column = np.unravel_index(np.argmax(np.where(markable, inwards, -1.0)), mask.shape)
    return int(column), int(row)


def _row(patch: Patch, view: FrameView, shares: PointShares, *, place: int, object_id: int, frame_index: int) -> ObjectViewFacts:
    column, row = deepest_pixel(patch.markable if view.instances is not None else patch.mask, patch.markable)
    column, row = column + patch.left, row + patch.top
    rows, columns = np.nonzero(patch.mask)
    colour = view.frame.intrinsics
    corners = np.array([[columns.min() - 0.5, rows.min() - 0.5], [columns.max() + 0.5, rows.max() + 0.5]]) + (patch.left, patch.top)
    corners = np.clip(colour_from_depth_uv(corners, view.frame), -0.5, [colour.width - 0.5, colour.height - 0.5])
    pixel_share = len(rows) / view.instances.size if view.instances is not None else float("nan")
    return ObjectViewFacts(
        object_id=np.array([object_id], dtype=np.int32),
        frame=np.array([frame_index], dtype=np.int32),
        visible_share=shares.visible_share[place : place + 1],
        inside_share=shares.inside_share[place : place + 1],
        hidden_share=shares.hidden_share[place : place + 1],
        pixel_share=np.array([pixel_share]),
        box_uv=corners.reshape(1, 4),
        anchor_uv=colour_from_depth_uv(np.array([[column, row]], dtype=np.float64), view.frame),
        anchor_depth_m=np.array([view.depth_m[row, column]], dtype=np.float64),
    )


def no_views() -> ObjectViewFacts:
    """An empty table."""
    return ObjectViewFacts(
        object_id=np.empty(0, dtype=np.int32),
        frame=np.empty(0, dtype=np.int32),
        visible_share=np.empty(0),
        inside_share=np.empty(0),
        hidden_share=np.empty(0),
        pixel_share=np.empty(0),
        box_uv=np.empty((0, 4)),
        anchor_uv=np.empty((0, 2)),
        anchor_depth_m=np.empty(0),
    )


def join_views(parts: Sequence[ObjectViewFacts]) -> ObjectViewFacts:
    """Several tables as one, in their order."""
    parts = [no_views(), *parts]
    columns = {one.name: np.concatenate([getattr(part, one.name) for part in parts]) for one in fields(ObjectViewFacts)}
    return ObjectViewFacts(**columns)
