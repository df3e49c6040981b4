"""Whose the scene points are, laid over the packed words of visibility, so that counting an object's points is a few masked words."""

from collections.abc import Sequence
from dataclasses import dataclass

import numba
import numpy as np

from sightline.captures.capture import SceneObject
from sightline.facts.visibility import Cloud
from sightline.geometry.cameras import Intrinsics
from sightline.geometry.transforms import inverse
from sightline.geometry.visibility import WORD_BITS, popcount

MARGIN_M = 1e-6  # a word is told by its bounds only this far from the border: rounding of kilometres in float64 is a million times less


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ObjectPoints:
    """The points of K objects in a cloud, and E parts: the points that one object has in one word, ascending by word."""

    object_ids: np.ndarray  # (K,) int32, ascending
    points: np.ndarray  # (P,) int64 places in the cloud, object by object, ascending within each
    point_starts: np.ndarray  # (K + 1,) int64
    words: np.ndarray  # (E,) uint64 place of the part's word, ascending: a frame's words are read once, in order
    masks: np.ndarray  # (E,) uint64 which bits of the word are the part's
    part_places: np.ndarray  # (E,) uint64 place in `object_ids` of the object whose part it is
    part_starts: np.ndarray  # (E,) int64 where in `points` the part begins
    part_ends: np.ndarray  # (E,) int64
    bounds_world: np.ndarray  # (K, 6) low and high corner of each object's points; 0 for an object that has none

    @property
    def counts(self) -> np.ndarray:
        """How many points each object has `(K,)`."""
        return np.diff(self.point_starts)

    def of(self, place: int) -> np.ndarray:
        """Places in the cloud of the points of one object, given by its place in `object_ids`."""
        return self.points[self.point_starts[place] : self.point_starts[place + 1]]


def object_points(cloud: Cloud, objects: Sequence[SceneObject]) -> ObjectPoints:
    """The points of each object, by object id; ids of the cloud that no object has are left out."""
    ids = np.unique(np.array([one.object_id for one in objects], dtype=np.int32))
    owned = np.empty(0, dtype=np.int64) if cloud.object_ids is None else np.flatnonzero(np.isin(cloud.object_ids, ids))
    owner = np.searchsorted(ids, cloud.object_ids[owned]) if len(owned) else owned
    order = np.argsort(owner, kind="stable")
    points, owner = owned[order], owner[order]
    word = points // WORD_BITS
    is_first = np.ones(len(points), dtype=bool)
    is_first[1:] = (owner[1:] != owner[:-1]) | (word[1:] != word[:-1])
    starts = np.flatnonzero(is_first)
    ends = np.append(starts[1:], len(points)) if len(points) else starts
    by_word = np.argsort(word[starts], kind="stable")
    bits = np.uint64(1) << (points % WORD_BITS).astype(np.uint64)
    every = np.arange(len(ids) + 1)
    point_starts = np.searchsorted(owner, every)
    bounds_world = np.zeros((len(ids), 6))
    with_points = np.flatnonzero(np.diff(point_starts))
    if len(with_points):
        own_world = cloud.points_world[points]
        bounds_world[with_points, :3] = np.minimum.reduceat(own_world, point_starts[with_points], axis=0)
        bounds_world[with_points, 3:] = np.maximum.reduceat(own_world, point_starts[with_points], axis=0)
    return ObjectPoints(
        object_ids=ids,
        points=points,
        point_starts=point_starts,
        words=word[starts][by_word].astype(np.uint64),
        masks=(np.bitwise_or.reduceat(bits, starts) if len(points) else bits)[by_word],
        part_places=owner[starts][by_word].astype(np.uint64),
        part_starts=starts[by_word],
        part_ends=ends[by_word],
        bounds_world=bounds_world,
    )


def seen_counts(owners: ObjectPoints, words: np.ndarray) -> np.ndarray:
    """How many points of each object each frame sees `(F, K)` int64, of packed visibility `words (F, W)`."""
    counts = np.zeros((len(words), len(owners.object_ids)), dtype=np.int64)
    _count_seen(np.ascontiguousarray(words, dtype=np.uint64), owners.words, owners.masks, owners.part_places, counts)
    return counts


def inside_counts(
    owners: ObjectPoints,
    cloud: Cloud,
    *,
    camera: Intrinsics,
    world_from_camera: np.ndarray,
    near_m: float,
    first_edge_px: float = -0.5,
) -> np.ndarray:
    """How many points of each object fall into an image `(K,)` int64, hidden or not: z at least `near_m`, nearest pixel in the image.

    The arithmetic is that of `visible_words`, so a visible point is always inside. Objects, and words
    of points, that lie wholly outside or wholly inside the view are told by their bounds. The image begins at `first_edge_px` in
    both directions: half a pixel before the centre of its first pixel, or at 0 as the strict test has it.
    """
    counts = np.zeros(len(owners.object_ids), dtype=np.int64)
    camera_from_world = inverse(world_from_camera)
    _count_inside(
        cloud.points_world,
        cloud.bounds_world,
        camera_from_world,
        np.array([camera.fx, camera.fy, camera.cx, camera.cy, camera.width, camera.height, near_m, first_edge_px], dtype=np.float64),
        _image_planes(camera, camera_from_world, near_m, first_edge_px),
        owners.words,
        owners.masks,
        owners.part_places,
        owners.point_starts,
        owners.bounds_world,
        counts,
    )
    return counts


def _image_planes(camera: Intrinsics, camera_from_world: np.ndarray, near_m: float, first_edge_px: float) -> np.ndarray:
    """Planes `(5, 4)` round what the image can show, in the world, unit normals inwards."""
    right, bottom = camera.width + first_edge_px - camera.cx, camera.height + first_edge_px - camera.cy
    left, top = camera.cx - first_edge_px, camera.cy - first_edge_px
    sides = [[camera.fx, 0.0, left, 0.0], [-camera.fx, 0.0, right, 0.0], [0.0, camera.fy, top, 0.0], [0.0, -camera.fy, bottom, 0.0]]
    planes_camera = np.array([[0.0, 0.0, 1.0, -near_m], *sides])
    planes_camera /= np.linalg.norm(planes_camera[:, :3], axis=1, keepdims=True)
    return planes_camera @ camera_from_world


@numba.njit(cache=True, nogil=True)
def _count_seen(seen, words, masks, places, counts):  # pragma: no cover - compiled
    for frame in range(seen.shape[0]):
        row, count = seen[frame], counts[frame]
        for k in range(words.size):
            bits = row[words[k]] & masks[k]
            if bits != np.uint64(0):  # of most parts a frame sees nothing
                count[places[k]] += np.int64(popcount(bits))


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _side(bound, planes):  # pragma: no cover - compiled
    """-1: the bound lies wholly outside, 1: wholly inside, 0: neither is sure."""
    side = 1
    for k in range(planes.shape[0]):
        farthest = nearest = planes[k, 3]
        for axis in range(3):
            low, high = planes[k, axis] * bound[axis], planes[k, axis] * bound[axis + 3]
            farthest += max(low, high)
            nearest += min(low, high)
        if farthest < -MARGIN_M:
            return -1
        if nearest < MARGIN_M:
            side = 0
    return side


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _count_inside(
    points, bounds, m, camera, planes, words, masks, places, point_starts, object_bounds, counts
):  # pragma: no cover - compiled
    fx, fy, cx, cy, width, height, near_m, first_edge_px = camera
    sides = np.empty(counts.size, dtype=np.int64)
    for place in range(counts.size):
        sides[place] = _side(object_bounds[place], planes)
        if sides[place] == 1:
            counts[place] = point_starts[place + 1] - point_starts[place]
    for k in range(words.size):
        place = places[k]
        if sides[place] != 0:
            continue
        side = _side(bounds[words[k]], planes)
        if side == 1:
            counts[place] += np.int64(popcount(masks[k]))
        if side != 0:
            continue
        for bit in range(64):
            if (masks[k] >> np.uint64(bit)) & np.uint64(1) == np.uint64(0):
                continue
            point = np.int64(words[k]) * 64 + bit
            px, py, pz = points[point, 0], points[point, 1], points[point, 2]
            z = m[2, 0] * px + m[2, 1] * py + m[2, 2] * pz + m[2, 3]
            if not z >= near_m:
                continue
            x = m[0, 0] * px + m[0, 1] * py + m[0, 2] * pz + m[0, 3]
            y = m[1, 0] * px + m[1, 1] * py + m[1, 2] * pz + m[1, 3]
            column = np.floor(fx * x / z + cx - first_edge_px)
            row = np.floor(fy * y / z + cy - first_edge_px)
            if column >= 0.0 and column < width and row >= 0.0 and row < height:
                counts[place] += 1
