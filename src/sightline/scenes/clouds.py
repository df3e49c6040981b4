"""The point cloud of a scan: depth readings of all frames gathered in a voxel grid, each voxel with the object it belongs to."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from pydantic import Field
from scipy.spatial import cKDTree

from sightline.captures.capture import Capture, Frame, SceneObject
from sightline.captures.images import read_uint16
from sightline.config import config
from sightline.errors import CaptureError
from sightline.geometry.transforms import apply, inverse
from sightline.scenes.depth_maps import DepthMaps

MAX_READINGS_PER_FRAME = 80_000  # beyond it a frame is thinned evenly; voxels of 4 cm do not gain from more
AXIS_BITS = 16
HALF_GRID = 1 << (AXIS_BITS - 1)  # voxels each way: 1.3 km at 4 cm
NO_OBJECT = -1
NEAR_BOX_M = 0.1
MIN_INSIDE_SHARE = 0.5  # of the points an instance image gives an object; ids that are off by one fall far below


@config
class CloudOptions:
    """How the point cloud is made. Keys may stand among the options of an import."""

    voxel_m: Annotated[float, Field(gt=0.002, le=1.0)] = 0.04
    """Edge of the voxels; each that holds enough readings becomes one point, their centroid."""
    min_readings: Annotated[int, Field(ge=1)] = 2
    """Readings a voxel needs: a single one is often a flying pixel between a near edge and what lies behind it."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Cloud:
    """Points in the order of their voxels (x, then y, then z), so that the same frames give the same cloud."""

    points_world: np.ndarray  # (N, 3) float32
    object_ids: np.ndarray | None  # (N,) int32, NO_OBJECT for none; None where objects are not known


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Runs:
    """Readings summed by voxel and instance label, sorted by both."""

    codes: np.ndarray  # (R,) uint64: voxel in the upper 48 bits, label (object_id + 1, 0 none) in the lower 16
    counts: np.ndarray  # (R,) int64
    sums: np.ndarray  # (R, 3) float64


def build_cloud(capture: Capture, depths: DepthMaps | None, options: CloudOptions) -> Cloud:
    """The cloud of a capture. Object ids come from instance images by majority in each voxel, else from a labelled surface or the boxes.

    Without depth (`depths` is None) it holds the points of the labelled surface, else those that were tracked, else none.

    Raises CaptureError for a damaged instance image, one that does not fit the objects, or a scan without any reading.
    """
    if depths is None:
        return _cloud_without_depth(capture, options)
    with_instances = capture.objects is not None and all(frame.instance_path is not None for frame in capture.frames)
    parts = [_frame_runs(frame, depths[index], options, with_instances=with_instances) for index, frame in enumerate(capture.frames)]
    runs = _merged(parts)
    voxels = runs.codes >> np.uint64(AXIS_BITS)
    starts = _starts(voxels)
    counts = np.add.reduceat(runs.counts, starts) if len(starts) else np.zeros(0, dtype=np.int64)
    kept = counts >= options.min_readings
    if not kept.any():
        raise CaptureError(
            f"{capture.scan_id}: expected depth readings for a point cloud, found no voxel with {options.min_readings} of them"
        )
    points = (np.add.reduceat(runs.sums, starts, axis=0)[kept] / counts[kept, None]).astype(np.float32)
    if capture.objects is None:
        return Cloud(points_world=points, object_ids=None)
    if not with_instances:
        return Cloud(points_world=points, object_ids=_ids_of(capture, points, options))
    ids = (_majority(runs, voxels, starts)[kept] - 1).astype(np.int32)
    _check_ids(capture, points, ids)
    return Cloud(points_world=points, object_ids=ids)


def _cloud_without_depth(capture: Capture, options: CloudOptions) -> Cloud:
    known = np.zeros((0, 3))
    if capture.surface is not None:
        known = capture.surface.points_world
    elif capture.tracks is not None and capture.has_poses:
        known = tracked_points_world(capture)
    cells = np.floor(known / options.voxel_m).astype(np.int64)
    _, first = np.unique(cells, axis=0, return_index=True)
    points = known[first].astype(np.float32)
    return Cloud(points_world=points, object_ids=None if capture.objects is None else _ids_of(capture, points, options))


def tracked_points_world(capture: Capture) -> np.ndarray:
    """Where the tracked points were seen, `(N, 3)`, all frames together."""
    assert capture.tracks is not None
    poses = {frame.frame_id: frame.world_from_camera for frame in capture.frames}
    seen = [
        apply(poses[frame_id], points[visible & np.isfinite(points).all(axis=1)].astype(np.float64))
        for frame_id, points, visible in zip(capture.tracks.frame_ids, capture.tracks.points_camera, capture.tracks.visible)
        if frame_id in poses
    ]
    return np.concatenate(seen) if seen else np.zeros((0, 3))


def _ids_of(capture: Capture, points_world: np.ndarray, options: CloudOptions) -> np.ndarray:
    """Object ids of points from the labelled surface where there is one, else from the boxes."""
    assert capture.objects is not None
    if capture.surface is None:
        return ids_from_boxes(points_world, capture.objects, voxel_m=options.voxel_m)
    reach_m = max(NEAR_BOX_M, 2.0 * options.voxel_m)
    gap_m, nearest = cKDTree(capture.surface.points_world).query(points_world, distance_upper_bound=reach_m)
    ids = np.append(capture.surface.object_ids, NO_OBJECT)[np.minimum(nearest, len(capture.surface.object_ids))]
    known = np.array([one.object_id for one in capture.objects])
    return np.where(np.isfinite(gap_m) & np.isin(ids, known), ids, NO_OBJECT).astype(np.int32)


def _frame_runs(frame: Frame, depth_m: np.ndarray, options: CloudOptions, *, with_instances: bool) -> _Runs:
    step = int(np.ceil(np.sqrt(depth_m.size / MAX_READINGS_PER_FRAME)))
    part = depth_m[::step, ::step]
    rows, columns = np.nonzero(np.isfinite(part))
    uv = np.stack([columns * step, rows * step], axis=1).astype(np.float64)
    points = apply(frame.world_from_camera, frame.depth_intrinsics.unproject(uv, part[rows, columns].astype(np.float64)))
    cells = np.floor(points / options.voxel_m).astype(np.int64)
    if len(cells) and np.abs(cells).max() >= HALF_GRID:
        reach_m = HALF_GRID * options.voxel_m
        raise CaptureError(
            f"frame {frame.frame_id}: expected points within {reach_m:.0f} m of the world's origin, found one beyond; move the poses nearer"
        )
    shifted = (cells + HALF_GRID).astype(np.uint64)
    bits = np.uint64(AXIS_BITS)
    codes = ((((shifted[:, 0] << bits) | shifted[:, 1]) << bits) | shifted[:, 2]) << bits
    if with_instances:
        codes |= _labels(frame)[rows * step, columns * step].astype(np.uint64)
    return _summed(codes, np.ones(len(codes), dtype=np.int64), points)


def _labels(frame: Frame) -> np.ndarray:
    assert frame.instance_path is not None
    labels = read_uint16(frame.instance_path)
    camera = frame.depth_intrinsics
    if labels.shape != (camera.height, camera.width):
        found = f"{labels.shape[1]}x{labels.shape[0]}"
        raise CaptureError(
            f"{frame.instance_path}: expected an instance image of the depth size {camera.width}x{camera.height}, found {found}"
        )
    return labels


def _summed(codes: np.ndarray, counts: np.ndarray, sums: np.ndarray) -> _Runs:
    order = np.argsort(codes, kind="stable")
    codes = codes[order]
    starts = _starts(codes)
    if not len(starts):
        return _Runs(codes=codes, counts=counts[:0], sums=np.zeros((0, 3)))
    return _Runs(codes=codes[starts], counts=np.add.reduceat(counts[order], starts), sums=np.add.reduceat(sums[order], starts, axis=0))


def _merged(parts: Sequence[_Runs]) -> _Runs:
    """All frames together, frame by frame in order, so that the sums do not depend on anything else."""
    return _summed(
        np.concatenate([part.codes for part in parts]),
        np.concatenate([part.counts for part in parts]),
        np.concatenate([part.sums for part in parts]),
    )


def _starts(sorted_codes: np.ndarray) -> np.ndarray:
    """Where each run of equal values begins."""
    if not len(sorted_codes):
        return np.zeros(0, dtype=np.int64)
    return np.flatnonzero(np.concatenate([[True], sorted_codes[1:] != sorted_codes[:-1]]))


def _majority(runs: _Runs, voxels: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """The label with the most readings of each voxel; of equal ones the smallest."""
    labels = (runs.codes & np.uint64(2**AXIS_BITS - 1)).astype(np.int64)
    place = np.cumsum(np.concatenate([[False], voxels[1:] != voxels[:-1]]))
    order = np.lexsort((labels, -runs.counts, place))
    return labels[order][starts]


def _check_ids(capture: Capture, points: np.ndarray, ids: np.ndarray) -> None:
    """Refuse instance images whose ids are not those of the objects (reliability catalogue B47)."""
    assert capture.objects is not None
    boxes = {one.object_id: one.box for one in capture.objects}
    unknown = sorted(set(np.unique(ids).tolist()) - set(boxes) - {NO_OBJECT})
    if unknown:
        raise CaptureError(
            f"{capture.scan_id}: instance images hold object_id {unknown[0]}, which is none of the {len(boxes)} known objects"
        )
    inside = total = 0
    for object_id, box in boxes.items():
        mine = points[ids == object_id].astype(np.float64)
        inside += int(box.contains(mine, margin_m=NEAR_BOX_M).sum())
        total += len(mine)
    if total and inside < MIN_INSIDE_SHARE * total:
        raise CaptureError(
            f"{capture.scan_id}: expected the pixels of an object inside its box, found {inside / total:.0%} of them there; "
            "instance images hold object_id + 1, and boxes stand in the world of the poses"
        )


def ids_from_boxes(points_world: np.ndarray, objects: Sequence[SceneObject], *, voxel_m: float) -> np.ndarray:
    """`(N,)` int32: the smallest box that holds each point, NO_OBJECT for none. The lowest half voxel of a box is what it stands on."""
    ids = np.full(len(points_world), NO_OBJECT, dtype=np.int32)
    for one in sorted(objects, key=lambda one: (-one.box.volume_m3, one.object_id)):
        points_object = apply(inverse(one.box.world_from_object), points_world.astype(np.float64))
        half_m = one.box.size_m / 2.0
        above_ground = points_object[:, 2] > -half_m[2] + min(voxel_m / 2.0, half_m[2] / 4.0)
        ids[(np.abs(points_object) <= half_m).all(axis=1) & above_ground] = one.object_id
    return ids
