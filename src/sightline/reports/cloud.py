"""A scene's point cloud with the colours its frames saw, for plans and the 3-D page."""

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from sightline.captures.capture import Frame
from sightline.captures.frame_images import frame_depth_m
from sightline.captures.images import read_rgb
from sightline.geometry.transforms import apply, inverse
from sightline.geometry.visibility import unpack_words, visible_words
from sightline.scenes.scene import Scene

MAX_COLOUR_FRAMES = 80  # evenly spaced; a hand-held walk sees the same surface in many neighbours
UNSEEN = (150, 150, 150)  # sRGB of points that none of these frames saw
BORROW_M = 0.12  # an unseen point takes the colour of a seen one this near: mostly the back of the same edge
CEILING_CLEARANCE_M = 0.12  # points this close below a known ceiling belong to it
HEAD_ROOM_M = 0.45  # above the highest cameras there is only ceiling and the top of walls


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ColouredCloud:
    """K points of a scene."""

    points_world: np.ndarray  # (K, 3) float32
    colours: np.ndarray  # (K, 3) uint8 sRGB
    is_overhead: np.ndarray  # (K,) bool: ceiling and whatever else would hide the room from above


def coloured_cloud(scene: Scene, *, max_points: int) -> ColouredCloud:
    """Evenly thinned points, each with the colour of the nearest camera that sees it. Reads the images of at most 80 frames."""
    every = max(1, -(-len(scene.points_world) // max_points))
    points_world = np.ascontiguousarray(scene.points_world[::every], dtype=np.float32)
    colours = np.tile(np.array(UNSEEN, dtype=np.uint8), (len(points_world), 1))
    nearest_m = np.full(len(points_world), np.inf)
    for frame in evenly(scene.frames, MAX_COLOUR_FRAMES):
        _colour_from(frame, points_world, colours, nearest_m)
    _borrow_colours(points_world, colours, is_seen=np.isfinite(nearest_m))
    return ColouredCloud(points_world=points_world, colours=colours, is_overhead=points_world[:, 2] > overhead_z_m(scene))


def _colour_from(frame: Frame, points_world: np.ndarray, colours: np.ndarray, nearest_m: np.ndarray) -> None:
    if frame.depth_path is None or len(points_world) == 0:
        return
    words = visible_words(
        points_world,
        depth_m=frame_depth_m(frame),
        depth_intrinsics=frame.depth_intrinsics,
        intrinsics=frame.intrinsics,
        world_from_camera=frame.world_from_camera,
    )
    seen = np.flatnonzero(unpack_words(words, len(points_world)))
    uv, depth_m = frame.intrinsics.project(apply(inverse(frame.world_from_camera), points_world[seen].astype(np.float64)))
    nearer = depth_m < nearest_m[seen]
    seen, uv = seen[nearer], np.floor(uv[nearer] + 0.5).astype(np.int64)
    nearest_m[seen] = depth_m[nearer]
    colours[seen] = read_rgb(frame.rgb_path)[uv[:, 1], uv[:, 0]]


def _borrow_colours(points_world: np.ndarray, colours: np.ndarray, *, is_seen: np.ndarray) -> None:
    if is_seen.all() or not is_seen.any():
        return
    distance_m, nearest = cKDTree(points_world[is_seen]).query(points_world[~is_seen], distance_upper_bound=BORROW_M)
    has_neighbour = np.isfinite(distance_m)
    colours[np.flatnonzero(~is_seen)[has_neighbour]] = colours[is_seen][nearest[has_neighbour]]


def overhead_z_m(scene: Scene) -> float:
    """The height above which points are left out of views from above."""
    if scene.structure is not None and scene.structure.rooms:
        return min(room.ceiling_z_m for room in scene.structure.rooms) - CEILING_CLEARANCE_M
    heights_m = [float(frame.world_from_camera[2, 3]) for frame in scene.frames]
    return (float(np.quantile(heights_m, 0.9)) if heights_m else np.inf) + HEAD_ROOM_M


def evenly(values: tuple, most: int) -> tuple:
    """At most `most` of the values, evenly spaced, first and last kept."""
    if len(values) <= most:
        return tuple(values)
    places = np.round(np.linspace(0, len(values) - 1, most)).astype(int)
    return tuple(values[place] for place in places)
