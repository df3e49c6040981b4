"""Exact distances and areas of convex polygons and oriented boxes."""

from collections.abc import Sequence

import numpy as np

from sightline.arrays import expect
from sightline.geometry.boxes import Box

UPRIGHT_TOLERANCE = 1e-12  # off-axis part of a rotation below which treating a box as upright changes no distance by 1e-9 m
_EDGES = np.array([[0, 1], [2, 3], [4, 5], [6, 7], [0, 2], [1, 3], [4, 6], [5, 7], [0, 4], [1, 5], [2, 6], [3, 7]])  # corner indices
PARALLEL = 1e-9  # sine below which the cross product of two unit axes says nothing about a separating direction


def polygon_area(outline: np.ndarray) -> float:
    """Signed area of a simple polygon `(N, 2)`: positive when counter-clockwise."""
    expect(outline=(outline, "N 2"))
    x, y = (outline - outline[:1]).T
    return float(0.5 * (x @ np.roll(y, -1) - y @ np.roll(x, -1)))


def polygon_contains(outline: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Which points `(M, 2)` lie inside a simple polygon `(N, 2)` (even-odd rule; the outline itself may fall either way)."""
    expect(outline=(outline, "N 2"), points=(points, "M 2"))
    a, b = outline, np.roll(outline, -1, axis=0)
    x, y = points[:, :1], points[:, 1:]
    crosses = (a[:, 1] > y) != (b[:, 1] > y)
    rise = np.where(a[:, 1] == b[:, 1], 1.0, b[:, 1] - a[:, 1])
    at_x = a[:, 0] + (y - a[:, 1]) / rise * (b[:, 0] - a[:, 0])
    return (np.count_nonzero(crosses & (x < at_x), axis=1) % 2).astype(bool)


def convex_polygon_distances(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Distances `(Q,)` of pairs of convex polygons `(Q, N, 2)` and `(Q, M, 2)`; 0 where they touch or overlap."""
    expect(first=(first, "Q N 2"), second=(second, "Q M 2"))
    gap = np.minimum(_corner_to_edge(first, second), _corner_to_edge(second, first))
    return np.where(_polygons_apart(first, second), gap, 0.0)


def _corner_to_edge(corners: np.ndarray, polygon: np.ndarray) -> np.ndarray:
    """Least distance `(Q,)` from any corner of one polygon to any edge of the other."""
    a = polygon[:, None, :, :]
    along = np.roll(polygon, -1, axis=1)[:, None, :, :] - a
    to_corner = corners[:, :, None, :] - a
    length2 = np.maximum((along**2).sum(-1), np.finfo(float).tiny)
    share = np.clip((to_corner * along).sum(-1) / length2, 0.0, 1.0)
    return np.sqrt(((to_corner - share[..., None] * along) ** 2).sum(-1)).min(axis=(1, 2))


def _polygons_apart(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Whether some edge normal of either polygon separates the pair `(Q,)` (separating axis theorem)."""
    apart = np.zeros(len(first), dtype=bool)
    for polygon in (first, second):
        along = np.roll(polygon, -1, axis=1) - polygon
        normals = np.stack([along[..., 1], -along[..., 0]], axis=-1)
        reach_first = np.einsum("qec,qnc->qen", normals, first)
        reach_second = np.einsum("qec,qmc->qem", normals, second)
        gap = np.maximum(reach_first.min(-1) - reach_second.max(-1), reach_second.min(-1) - reach_first.max(-1))
        apart |= (gap > 0.0).any(axis=1)
    return apart


def stands_upright(box: Box) -> bool:
    """Whether one of the box's own z directions is vertical to within rounding, so that its plan and its height part ways exactly."""
    rotation = box.world_from_object[:3, :3]
    return bool(max(np.abs(rotation[2, :2]).max(), np.abs(rotation[:2, 2]).max()) <= UPRIGHT_TOLERANCE)


def box_outline(box: Box) -> np.ndarray:
    """Plan `(4, 2)` of an upright box, corners in order around it."""
    half = box.size_m[:2] / 2.0
    signs = np.array([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]])
    return signs * half @ box.world_from_object[:2, :2].T + box.world_from_object[:2, 3]


def box_distances_m(first: Sequence[Box], second: Sequence[Box]) -> np.ndarray:
    """Surface-to-surface distances `(Q,)` of box pairs, 0 where they touch or overlap. Exact for upright and for tilted boxes."""
    distances = np.empty(len(first))
    upright = np.array([stands_upright(a) and stands_upright(b) for a, b in zip(first, second, strict=True)], dtype=bool)
    if upright.any():
        pairs = [(a, b) for a, b, both in zip(first, second, upright) if both]
        plans = convex_polygon_distances(np.stack([box_outline(a) for a, _ in pairs]), np.stack([box_outline(b) for _, b in pairs]))
        reach = np.array([[a.centre_world[2], a.size_m[2] / 2, b.centre_world[2], b.size_m[2] / 2] for a, b in pairs])
        rises = np.maximum(np.abs(reach[:, 0] - reach[:, 2]) - reach[:, 1] - reach[:, 3], 0.0)
        distances[upright] = np.hypot(plans, rises)
    for index in np.flatnonzero(~upright):
        distances[index] = _tilted_distance_m(first[index], second[index])
    return distances


def box_distance_m(first: Box, second: Box) -> float:
    """Surface-to-surface distance of two boxes, 0 where they touch or overlap."""
    return float(box_distances_m([first], [second])[0])


def _tilted_distance_m(first: Box, second: Box) -> float:
    """Any two boxes: apart, their closest points are a corner and a face, or two edges; both are closed forms."""
    if not _boxes_apart(first, second):
        return 0.0
    corners = min(_corner_distance_m(first, second), _corner_distance_m(second, first))
    return min(corners, _edge_distance_m(first.corners_world()[_EDGES], second.corners_world()[_EDGES]))


def _boxes_apart(first: Box, second: Box) -> bool:
    """Separating axis theorem over the 3 + 3 face normals and the 9 cross products of axes."""
    a, b = first.world_from_object[:3, :3].T, second.world_from_object[:3, :3].T
    axes = np.concatenate([a, b, np.cross(a[:, None], b[None, :]).reshape(-1, 3)])
    length = np.linalg.norm(axes, axis=1)
    axes = axes[length > PARALLEL] / length[length > PARALLEL, None]
    between = np.abs(axes @ (second.centre_world - first.centre_world))
    reach = (np.abs(axes @ a.T) @ first.size_m + np.abs(axes @ b.T) @ second.size_m) / 2.0
    return bool((between > reach).any())


def _corner_distance_m(corners_of: Box, other: Box) -> float:
    rotation = other.world_from_object[:3, :3]
    corners = (corners_of.corners_world() - other.centre_world) @ rotation
    beyond = np.maximum(np.abs(corners) - other.size_m / 2.0, 0.0)
    return float(np.linalg.norm(beyond, axis=1).min())


def _edge_distance_m(first: np.ndarray, second: np.ndarray) -> float:
    """Least distance of segments `(N, 2, 3)` and `(M, 2, 3)`, where the closest points lie inside both; else infinity.

    Closest points at an end of a segment are a corner against a box and are found there.
    """
    p, u = first[:, None, 0], (first[:, 1] - first[:, 0])[:, None]
    q, v = second[None, :, 0], (second[:, 1] - second[:, 0])[None]
    normal = np.cross(u, v)
    normal2 = (normal**2).sum(-1)
    skew = normal2 > (PARALLEL**2) * (u**2).sum(-1) * (v**2).sum(-1)
    safe = np.where(skew, normal2, 1.0)
    between = q - p
    s = (np.cross(between, v) * normal).sum(-1) / safe
    t = (np.cross(between, u) * normal).sum(-1) / safe
    inside = skew & (s >= 0.0) & (s <= 1.0) & (t >= 0.0) & (t <= 1.0)
    gap = np.abs((between * normal).sum(-1)) / np.sqrt(safe)
    return float(gap[inside].min()) if inside.any() else float("inf")
