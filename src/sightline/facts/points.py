"""Visible points for questions: spread over each frame, away from depth edges, object borders and the image border."""

from collections.abc import Sequence
from zlib import crc32

import cv2
import numpy as np
from scipy.spatial import cKDTree

from sightline.facts.fact import PointFacts
from sightline.facts.visibility import Cloud, FrameView, colour_from_depth_uv, pixels_in_colour
from sightline.geometry.transforms import apply

STEADY_SHARE = 0.06  # depth within a mark's dot may differ by this share: +-3 %, well under any question's margin
STEADY_M = 0.03  # and by this much however near
WINDOW_SHARE = 0.01  # half width of the window, of the image width: about the dot that is drawn
BORDER_SHARE = 0.04  # of the image width: a dot and its letter stay inside the picture
OWNER_REACH_M = 0.05  # a scene point this near says whose a surface pixel is where there is no id image


def steady_pixels(depth_m: np.ndarray, instances: np.ndarray | None, *, half_width: int) -> np.ndarray:
    """Depth pixels `(H, W)` bool whose whole window has readings of nearly one depth and of one object.

    The window is a square of `2 half_width + 1` pixels; one that leaves the map is not steady.
    """
    window = np.ones((2 * half_width + 1, 2 * half_width + 1), dtype=np.uint8)
    has_reading = np.isfinite(depth_m)
    filled = np.where(has_reading, depth_m, 0.0).astype(np.float32)
    nearest = cv2.erode(filled, window, borderType=cv2.BORDER_CONSTANT, borderValue=0.0)
    farthest = cv2.dilate(filled, window, borderType=cv2.BORDER_CONSTANT, borderValue=0.0)
    steady = (nearest > 0.0) & (farthest - nearest <= np.maximum(STEADY_M, STEADY_SHARE * filled))
    if instances is not None:
        ids = instances.astype(np.float32)
        steady &= cv2.erode(ids, window) == cv2.dilate(ids, window)
    return steady


def half_width_px(width: int) -> int:
    """Half width of the steadiness window for an image of that width."""
    return max(2, round(WINDOW_SHARE * width))


def spread_pixels(candidates: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """At most `count` of the candidate pixels `(H, W)` bool as `(K, 2)` int column and row, at most one per cell of an even grid."""
    height, width = candidates.shape
    across = max(1, round(np.sqrt(count * width / height)))
    down = -(-count // across)
    lefts, tops = np.arange(across + 1) * width // across, np.arange(down + 1) * height // down
    chosen = []
    for top, bottom in zip(tops, tops[1:]):
        for left, right in zip(lefts, lefts[1:]):
            inside = np.flatnonzero(candidates[top:bottom, left:right])
            if len(inside):
                row, column = divmod(int(inside[rng.integers(len(inside))]), int(right - left))
                chosen.append((left + column, top + row))
    kept = np.sort(rng.permutation(len(chosen))[:count])
    return np.array(chosen, dtype=np.int64).reshape(-1, 2)[kept]


def generator_for(scan_id: str, frame_id: str, seed: int) -> np.random.Generator:
    """The frame's own random numbers: the same whatever other frames there are, whoever works on it."""
    return np.random.default_rng([seed, crc32(scan_id.encode()), crc32(frame_id.encode())])


def sample_points(view: FrameView, cloud: Cloud, *, frame_index: int, count: int, rng: np.random.Generator) -> PointFacts:
    """At most `count` points of one frame. Their depth is the reading of their own depth pixel; `uv` is its centre in the colour image."""
    frame = view.frame
    if view.depth_m is None:
        return no_points()
    camera = frame.depth_intrinsics
    steady = steady_pixels(view.depth_m, view.instances, half_width=half_width_px(camera.width))
    pixels = spread_pixels(steady & pixels_in_colour(frame, border_px=BORDER_SHARE * frame.intrinsics.width), count, rng)
    uv_depth = pixels.astype(np.float64)
    depth_m = view.depth_m[pixels[:, 1], pixels[:, 0]].astype(np.float64)
    point_world = apply(frame.world_from_camera, camera.unproject(uv_depth, depth_m))
    if view.instances is not None:
        object_id = view.instances[pixels[:, 1], pixels[:, 0]].astype(np.int32) - 1
    else:
        object_id = _owners(point_world, view, cloud)
    return PointFacts(
        frame=np.full(len(pixels), frame_index, dtype=np.int32),
        uv=colour_from_depth_uv(uv_depth, frame),
        depth_m=depth_m,
        point_world=point_world,
        object_id=object_id.astype(np.int32),
    )


def _owners(point_world: np.ndarray, view: FrameView, cloud: Cloud) -> np.ndarray:
    """Object id of the nearest visible scene point within reach `(K,)`; -1 where there is none."""
    owners = np.full(len(point_world), -1, dtype=np.int32)
    if cloud.object_ids is None or len(point_world) == 0:
        return owners
    seen = np.flatnonzero(view.visible(len(cloud.points_world)))
    if len(seen) == 0:
        return owners
    distance_m, nearest = cKDTree(cloud.points_world[seen]).query(point_world, distance_upper_bound=OWNER_REACH_M)
    reached = np.isfinite(distance_m)
    owners[reached] = cloud.object_ids[seen[nearest[reached]]]
    return owners


def no_points() -> PointFacts:
    """An empty table."""
    return PointFacts(
        frame=np.empty(0, dtype=np.int32),
        uv=np.empty((0, 2)),
        depth_m=np.empty(0),
        point_world=np.empty((0, 3)),
        object_id=np.empty(0, dtype=np.int32),
    )


def join_points(parts: Sequence[PointFacts]) -> PointFacts:
    """The tables of several frames as one, in their order."""
    parts = [no_points(), *parts]
    names = ("frame", "uv", "depth_m", "point_world", "object_id")
    return PointFacts(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in names})
