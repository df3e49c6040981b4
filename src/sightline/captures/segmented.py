"""Objects of over-segmented meshes, as ScanNet, ScanNet++ and 3RScan share them: segments of vertices, groups of segments, boxes."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from sightline.errors import CaptureError, DataError
from sightline.files import read_json
from sightline.geometry.boxes import Box, box_around
from sightline.geometry.transforms import ROTATION_TOLERANCE, nearest_rigid, rigid, yaw_matrix

MAX_OBJECT_ID = 65534
MAX_UNKNOWN_SHARE = 0.05  # of the segments that groups name: more is the segmentation of another mesh
MIN_VERTICES = 3
FLAT_M = 1e-3  # no side of a box is thinner; an object smaller than this in every direction is none
SAME_AREA = 1e-6  # relative: rectangles that differ by rounding alone

NO_VERTICES, NO_EXTENT, NOT_FINITE, NOT_ORTHOGONAL = "no_vertices", "box_no_extent", "box_not_finite", "box_not_orthogonal"


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class StoredBox:
    """An oriented box as annotated, in the frame of the mesh; may hold NaN."""

    centre_stored: np.ndarray  # (3,)
    size_m: np.ndarray  # (3,) full lengths
    axes_stored: np.ndarray  # (3, 3) rows are the box's axes


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Group:
    """One annotated object: the segments it is made of."""

    group_id: int
    object_id: int
    label: str
    segments: np.ndarray  # (S,) int64, each once
    obb: StoredBox | None


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class VertexObjects:
    """Which object each vertex belongs to, and the vertices of each object (a vertex may be of several)."""

    object_ids: np.ndarray  # (V,) int32, -1 = none; where objects share a segment, the one with fewer vertices
    vertices_of: Mapping[int, np.ndarray]  # object_id -> (N,) indices
    shared_segments: int
    unknown_segments: int  # named by a group, not in the mesh


def read_segments(path: Path, *, num_vertices: int) -> np.ndarray:
    """`(V,)` int64 segment of every vertex (key `segIndices`). Raises CaptureError: not as many as vertices, not whole numbers."""
    values = _mapping(path).get("segIndices")
    if not isinstance(values, list):
        raise CaptureError(f"{path}: key 'segIndices': expected a list of whole numbers, found {type(values).__name__}")
    if len(values) != num_vertices:
        raise CaptureError(
            f"{path}: key 'segIndices': expected one segment for each of the {num_vertices} vertices of the mesh, found {len(values)}; "
            "the segmentation belongs to another mesh"
        )
    return _integers(values, where=f"{path}: key 'segIndices'")


def read_groups(path: Path, *, scene_id: str | None = None, ids: str = r".*") -> tuple[Group, ...]:
    """The objects of `segGroups`, in the file's order. Raises CaptureError: an id twice or out of range, a label that is no text.

    Where `scene_id` is given, a file that says it is of another scene (`sceneId`, perhaps after `scannet.`) is refused.
    `ids` is what a scene's id looks like: whatever else `sceneId` says is a name of its maker's, and tells nothing.
    """
    content = _mapping(path)
    stated = content.get("sceneId")
    named = "" if stated is None else str(stated).rpartition(".")[2]
    if scene_id is not None and stated is not None and named != scene_id and re.fullmatch(ids, named, re.DOTALL):
        raise CaptureError(f"{path}: key 'sceneId': expected {scene_id}, found {str(stated)[:60]!r}; the file belongs to another scan")
    values = content.get("segGroups")
    if not isinstance(values, list):
        raise CaptureError(f"{path}: key 'segGroups': expected a list of objects, found {type(values).__name__}")
    groups = tuple(_group(value, where=f"{path}: segGroups[{number}]") for number, value in enumerate(values))
    seen: set[int] = set()
    for number, group in enumerate(groups):
        if group.object_id in seen:
            raise CaptureError(f"{path}: segGroups[{number}]: expected every objectId once, found {group.object_id} twice")
        seen.add(group.object_id)
    return groups


def vertex_object_ids(segments: np.ndarray, groups: Sequence[Group], *, where: str) -> VertexObjects:
    """Vertices and objects joined through their segments. Raises CaptureError where many groups name segments that are not there."""
    known, places, counts = np.unique(segments, return_inverse=True, return_counts=True)
    order = np.argsort(places, kind="stable")
    starts = np.concatenate([[0], np.cumsum(counts)])
    unknown = total = 0
    rows_of: dict[int, np.ndarray] = {}  # object -> its segments' rows in `known`
    for group in groups:
        rows = np.searchsorted(known, group.segments)
        there = rows < len(known)
        there[there] = known[rows[there]] == group.segments[there]
        rows_of[group.object_id] = rows[there]
        unknown, total = unknown + int((~there).sum()), total + len(there)
    if unknown > MAX_UNKNOWN_SHARE * total:
        raise CaptureError(
            f"{where}: expected groups of segments that the mesh has, found {unknown} of {total} that it has not; "
            "segmentation and groups belong to different meshes"
        )
    vertices_of = {
        object_id: np.concatenate([order[starts[row] : starts[row + 1]] for row in rows]) if len(rows) else np.empty(0, dtype=np.int64)
        for object_id, rows in rows_of.items()
    }
    object_ids = np.full(len(segments), -1, dtype=np.int32)
    for object_id in sorted(vertices_of, key=lambda one: (-len(vertices_of[one]), -one)):  # the smallest writes last
        object_ids[vertices_of[object_id]] = object_id
    named = np.concatenate(list(rows_of.values())) if rows_of else np.empty(0, dtype=np.int64)
    shared = int((np.bincount(named, minlength=1) > 1).sum())
    return VertexObjects(object_ids=object_ids, vertices_of=vertices_of, shared_segments=shared, unknown_segments=unknown)


def points_problem(points_world: np.ndarray) -> str | None:
    """The reason code of points `(N, 3)` that no box can be put around, None where one can."""
    if len(points_world) < MIN_VERTICES:
        return NO_VERTICES
    return NO_EXTENT if np.ptp(points_world, axis=0).max() < FLAT_M else None


def axis_box(points_world: np.ndarray) -> Box:
    """The box along the world's axes around points `(N, 3)`."""
    return box_around(points_world)


def upright_box(points_world: np.ndarray) -> Box:
    """The upright box around points `(N, 3)` whose footprint is the smallest rectangle; its yaw lies within 45 degrees of world +x.

    Exact: the smallest rectangle has a side along an edge of the convex hull (Freeman and Shapira 1975), and all are tried.
    """
    middle = points_world[:, :2].mean(axis=0)
    flat = points_world[:, :2] - middle
    hull = flat[cv2.convexHull(flat.astype(np.float32), returnPoints=False)[:, 0]]
    edges = np.roll(hull, -1, axis=0) - hull
    edges = edges[np.linalg.norm(edges, axis=1) > 1e-9]
    yaw_rad = np.arctan2(edges[:, 1], edges[:, 0]) if len(edges) else np.zeros(1)
    yaw_rad = (yaw_rad + np.pi / 4) % (np.pi / 2) - np.pi / 4
    along = np.stack([np.cos(yaw_rad), np.sin(yaw_rad)], axis=1) @ hull.T  # (edges, corners)
    across = np.stack([-np.sin(yaw_rad), np.cos(yaw_rad)], axis=1) @ hull.T
    area_m2 = np.maximum(np.ptp(along, axis=1), FLAT_M) * np.maximum(np.ptp(across, axis=1), FLAT_M)
    nearly = np.flatnonzero(area_m2 <= area_m2.min() * (1.0 + SAME_AREA))
    yaw = float(yaw_rad[nearly[np.abs(yaw_rad[nearly]).argmin()]])
    turned = points_world @ yaw_matrix(yaw)  # in axes turned by yaw about the world's origin
    low, high = turned.min(axis=0), turned.max(axis=0)
    return Box.upright(centre_world=yaw_matrix(yaw) @ ((low + high) / 2.0), size_m=np.maximum(high - low, FLAT_M), yaw_rad=yaw)


def stored_box_problem(stored: StoredBox) -> str | None:
    """The reason code of an annotated box that cannot be used, None for a good one."""
    if not all(np.isfinite(part).all() for part in (stored.centre_stored, stored.size_m, stored.axes_stored)):
        return NOT_FINITE
    if (stored.size_m <= 0).any():
        return NO_EXTENT
    off = np.abs(stored.axes_stored @ stored.axes_stored.T - np.eye(3)).max()
    return NOT_ORTHOGONAL if off > ROTATION_TOLERANCE else None


def box_from_stored(stored: StoredBox, *, world_from_stored: np.ndarray) -> Box:
    """An annotated box in the world; left-handed axes are made right-handed, which leaves the box the same."""
    stored_from_object = stored.axes_stored.T.copy()  # rows are axes, so columns of the rotation
    if np.linalg.det(stored_from_object) < 0:
        stored_from_object[:, 2] *= -1.0
    return Box(size_m=stored.size_m, world_from_object=world_from_stored @ nearest_rigid(rigid(stored_from_object, stored.centre_stored)))


def _mapping(path: Path) -> dict[str, Any]:
    try:
        value = read_json(path)
    except DataError as error:
        raise CaptureError(str(error)) from error
    except (OSError, RecursionError) as error:
        raise CaptureError(f"{path}: expected JSON, found a file that cannot be read ({error})") from error
    if not isinstance(value, dict):
        raise CaptureError(f"{path}: expected a JSON object, found {type(value).__name__}")
    return value


def _integers(values: list[Any], *, where: str) -> np.ndarray:
    for number, value in enumerate(values):
        if type(value) is not int or not -(2**31) <= value < 2**32:
            raise CaptureError(f"{where}[{number}]: expected a whole number of 32 bits, found {str(value)[:40]!r}")
    return np.array(values, dtype=np.int64)


def _group(value: Any, *, where: str) -> Group:
    if not isinstance(value, dict):
        raise CaptureError(f"{where}: expected an object, found {type(value).__name__}")
    object_id = value.get("objectId", value.get("id"))
    group_id = value.get("id", object_id)
    for key, found in (("objectId", object_id), ("id", group_id)):
        if type(found) is not int or not 0 <= found <= MAX_OBJECT_ID:
            raise CaptureError(f"{where}: key '{key}': expected a whole number of 0 to {MAX_OBJECT_ID}, found {str(found)[:40]!r}")
    label, segments = value.get("label"), value.get("segments")
    if not isinstance(label, str) or not label.strip():
        raise CaptureError(f"{where}: key 'label': expected a word, found {str(label)[:40]!r}")
    if not isinstance(segments, list):
        raise CaptureError(f"{where}: key 'segments': expected a list of whole numbers, found {type(segments).__name__}")
    return Group(
        group_id=group_id,
        object_id=object_id,
        label=label.strip(),
        segments=np.unique(_integers(segments, where=f"{where}: key 'segments'")),
        obb=None if value.get("obb") is None else _stored_box(value["obb"], where=f"{where}: obb"),
    )


def _stored_box(value: Any, *, where: str) -> StoredBox:
    if not isinstance(value, dict):
        raise CaptureError(f"{where}: expected an object, found {type(value).__name__}")
    return StoredBox(
        centre_stored=_numbers(value, "centroid", 3, where=where),
        size_m=_numbers(value, "axesLengths", 3, where=where),
        axes_stored=_numbers(value, "normalizedAxes", 9, where=where).reshape(3, 3),
    )


def _numbers(value: dict[str, Any], key: str, count: int, *, where: str) -> np.ndarray:
    """Numbers of a list; `null` is NaN, because JSON has no word for it."""
    found = value.get(key)
    if not isinstance(found, list) or len(found) != count or any(type(one) not in (int, float, type(None)) for one in found):
        raise CaptureError(f"{where}: key '{key}': expected {count} numbers, found {str(found)[:60]}")
    try:
        return np.array([np.nan if one is None else float(one) for one in found])
    except OverflowError as error:
        raise CaptureError(f"{where}: key '{key}': expected {count} numbers, found one that is too large") from error
