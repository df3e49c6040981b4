"""Reads the `metadata` of a Record3D recording: sizes, camera, poses and times of its frames."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from sightline.captures.containers.json_bytes import json_object
from sightline.captures.intrinsics import size_problem
from sightline.errors import CaptureError, ShapeError
from sightline.geometry.cameras import Intrinsics
from sightline.geometry.transforms import ROTATION_TOLERANCE, rigid, rotation_from_quat_wxyz

MAX_SIDE = 20_000
MAX_FRAMES = 500_000


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Record3DMetadata:
    """What one recording says of itself."""

    where: str
    size: tuple[int, int]  # width, height that the cameras belong to
    depth_size: tuple[int, int] | None  # None where an older app did not write it
    camera: Intrinsics  # of the whole recording
    cameras: tuple[Intrinsics, ...]  # of each frame, empty in older files
    world_from_camera: np.ndarray  # (N, 4, 4) OpenGL cameras; NaN where a pose is none
    times_s: tuple[float, ...]


def read_metadata(content: bytes, where: str) -> Record3DMetadata:
    """Metadata from its JSON. Raises CaptureError naming the key: missing, of another kind, of another length than the poses."""
    values = json_object(content, where, expected="w, h, K and poses")
    size = (_whole(values, "w", where), _whole(values, "h", where))
    K = _numbers(values.get("K"), 9, f"{where}: K").reshape(3, 3).T  # written column by column
    poses = _rows(values, "poses", 7, where)
    cameras: tuple[Intrinsics, ...] = ()
    if values.get("perFrameIntrinsicCoeffs"):
        rows = _rows(values, "perFrameIntrinsicCoeffs", 4, where, count=len(poses))
        cameras = tuple(_camera(*row, size=size, where=f"{where}: perFrameIntrinsicCoeffs[{index}]") for index, row in enumerate(rows))
    return Record3DMetadata(
        where=where,
        size=size,
        depth_size=(_whole(values, "dw", where), _whole(values, "dh", where)) if "dw" in values else None,
        camera=_camera(K[0, 0], K[1, 1], K[0, 2], K[1, 2], size=size, where=f"{where}: K"),
        cameras=cameras,
        world_from_camera=np.stack([_pose(row) for row in poses]),
        times_s=_times(values, len(poses), where),
    )


def _whole(values: dict[str, Any], key: str, where: str) -> int:
    value = values.get(key)
    if not isinstance(value, (int, float)) or isinstance(value, bool) or value != int(value) or not 1 <= value <= MAX_SIDE:
        raise CaptureError(f"{where}: {key}: expected a whole number of 1 to {MAX_SIDE}, found {str(value)[:40]}")
    return int(value)


def _numbers(value: Any, count: int, where: str) -> np.ndarray:
    """`(count,)` numbers; null stands for one that is not known."""
    good = isinstance(value, list) and len(value) == count
    if not good or not all(one is None or (isinstance(one, (int, float)) and not isinstance(one, bool)) for one in value):
        raise CaptureError(f"{where}: expected {count} numbers, found {str(value)[:60]}")
    return np.array([np.nan if one is None else one for one in value], dtype=np.float64)


def _rows(values: dict[str, Any], key: str, length: int, where: str, *, count: int | None = None) -> np.ndarray:
    rows = values.get(key)
    if not isinstance(rows, list) or not 1 <= len(rows) <= MAX_FRAMES:
        found = len(rows) if isinstance(rows, list) else type(rows).__name__
        raise CaptureError(f"{where}: {key}: expected a list of 1 to {MAX_FRAMES} rows, found {found}")
    if count is not None and len(rows) != count:
        raise CaptureError(f"{where}: {key}: expected one row for each of {count} poses, found {len(rows)}")
    return np.stack([_numbers(row, length, f"{where}: {key}[{index}]") for index, row in enumerate(rows)])


def _camera(fx: float, fy: float, cx: float, cy: float, *, size: tuple[int, int], where: str) -> Intrinsics:
    try:
        camera = Intrinsics(fx=float(fx), fy=float(fy), cx=float(cx), cy=float(cy), width=size[0], height=size[1])
    except ShapeError as error:
        raise CaptureError(f"{where}: {error}") from error
    problem = size_problem(camera)
    if problem:
        raise CaptureError(f"{where}: {problem}")
    return camera


def _pose(row: np.ndarray) -> np.ndarray:
    """A matrix from `qx qy qz qw x y z`."""
    qx, qy, qz, qw = row[:4]
    quat_wxyz = np.array([qw, qx, qy, qz])
    if not (np.isfinite(row).all() and abs(np.linalg.norm(quat_wxyz) - 1.0) < ROTATION_TOLERANCE):
        return np.full((4, 4), np.nan)
    return rigid(rotation_from_quat_wxyz(quat_wxyz), row[4:])


def _times(values: dict[str, Any], count: int, where: str) -> tuple[float, ...]:
    if values.get("frameTimestamps"):
        stamps = values["frameTimestamps"]
        if not isinstance(stamps, list) or len(stamps) != count:
            raise CaptureError(f"{where}: frameTimestamps: expected one for each of {count} poses, found {str(stamps)[:40]}")
        times_s = _numbers(stamps, count, f"{where}: frameTimestamps")
    else:
        rate_hz = values.get("fps", 60)
        if not isinstance(rate_hz, (int, float)) or not 0 < rate_hz < 1e4:
            raise CaptureError(f"{where}: fps: expected frames per second, found {str(rate_hz)[:40]}")
        times_s = np.arange(count) / rate_hz
    if not np.isfinite(times_s).all():
        raise CaptureError(f"{where}: frameTimestamps: expected finite seconds, found {times_s[~np.isfinite(times_s)][0]}")
    return tuple(float(time_s) for time_s in times_s)
