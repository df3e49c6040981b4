"""Stored camera poses of any usual text layout, checked and turned into `world_from_camera` of an OpenCV camera."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sightline.captures.containers.safe_npz import read_npy
from sightline.captures.texts import decoded
from sightline.errors import CaptureError
from sightline.geometry.transforms import ROTATION_TOLERANCE, nearest_rigid, rigid, rigidity_error, rotation_from_quat_wxyz

FARTHEST = 1e7  # in stored units: ten thousand kilometres, or ten where they are millimetres; beyond it arithmetic means nothing
EXACT = 1e-9  # below this a rotation is left bit for bit as it was stored
OPENCV_FROM_OPENGL = np.diag([1.0, -1.0, -1.0, 1.0])  # its own inverse
UP_ROTATIONS = {  # world_from_stored of a stored world whose named axis points up
    "+z": np.eye(3),
    "-z": np.diag([1.0, -1.0, -1.0]),
    "+y": np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]]),
    "-y": np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]]),
    "+x": np.array([[0.0, 0.0, -1.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]]),
    "-x": np.array([[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [-1.0, 0.0, 0.0]]),
}


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Convention:
    """How a capture's poses were stored, kept with it so that the other readings of the same files can be tried."""

    pose_direction: str = "world_from_camera"
    camera_axes: str = "opencv"
    up_axis: str = "+z"  # as asked for; `auto` where it was measured
    world_from_stored: np.ndarray  # (4, 4) the rotation that brought up to +z

    def world_from_camera(self, stored: np.ndarray) -> np.ndarray:
        """`(N, 4, 4)` stored matrices in Sightline's convention."""
        directed = inverses(stored) if self.pose_direction == "camera_from_world" else stored
        return self.world_from_stored @ (directed @ OPENCV_FROM_OPENGL if self.camera_axes == "opengl" else directed)

    def stored(self, world_from_camera: np.ndarray) -> np.ndarray:
        """`(N, 4, 4)` matrices as they stood in the files: the inverse of `world_from_camera`."""
        directed = inverses(self.world_from_stored[None]) @ world_from_camera
        directed = directed @ OPENCV_FROM_OPENGL if self.camera_axes == "opengl" else directed
        return inverses(directed) if self.pose_direction == "camera_from_world" else directed

    def as_notes(self) -> dict[str, Any]:
        """JSON-able values for `Capture.notes["convention"]`."""
        return {
            "pose_direction": self.pose_direction,
            "camera_axes": self.camera_axes,
            "up_axis": self.up_axis,
            "world_from_stored": [float(value) for value in self.world_from_stored.reshape(-1)],
        }


def convention_of_notes(all_notes: Mapping[str, Any]) -> Convention:
    """The convention a reader left in a capture's or scene's notes, or Sightline's own where it left none."""
    notes: Mapping[str, Any] = all_notes.get("convention", {})
    stored = notes.get("world_from_stored")
    return Convention(
        pose_direction=notes.get("pose_direction", "world_from_camera"),
        camera_axes=notes.get("camera_axes", "opencv"),
        up_axis=notes.get("up_axis", "+z"),
        world_from_stored=np.eye(4) if stored is None else np.array(stored, dtype=np.float64).reshape(4, 4),
    )


def inverses(poses: np.ndarray) -> np.ndarray:
    """The inverses of rigid `(N, 4, 4)`."""
    turned = np.swapaxes(poses[:, :3, :3], 1, 2)
    result = np.tile(np.eye(4), (len(poses), 1, 1))
    result[:, :3, :3] = turned
    result[:, :3, 3] = -np.einsum("nij,nj->ni", turned, poses[:, :3, 3])
    return result


def pose_problem(matrix: np.ndarray) -> str | None:
    """The reason code of a pose that cannot be used, None for a good one."""
    if not np.isfinite(matrix).all():
        return "pose_not_finite"
    if np.abs(matrix).max() > FARTHEST:
        return "pose_out_of_reach"
    return "pose_not_rigid" if rigidity_error(matrix) > ROTATION_TOLERANCE else None


def made_rigid(matrix: np.ndarray) -> np.ndarray:
    """A nearly rigid pose as an exactly rigid one (rounded text gives errors of 1e-8 to 1e-3)."""
    return matrix if rigidity_error(matrix) <= EXACT else nearest_rigid(matrix)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class PoseLine:
    """One stored pose and the place it was read from."""

    where: str
    matrix: np.ndarray  # (4, 4), may hold NaN or infinity
    time_s: float | None = None


def read_pose_list(path: Path) -> list[PoseLine]:
    """Every pose of one file: lines of 16 or 12 numbers, blocks of four lines of four, `time_s x y z qx qy qz qw`, or an (N, 4, 4) .npy."""
    if path.suffix == ".npy":
        return _poses_of_array(path)
    rows = read_number_rows(path)
    if rows and all(len(row) == 4 for _, row in rows) and len(rows) % 4 == 0:
        blocks = [rows[first : first + 4] for first in range(0, len(rows), 4)]
        rows = [(block[0][0], [value for _, row in block for value in row]) for block in blocks]
    return [_pose_of_row(row, f"{path}:{line}") for line, row in rows]


def read_pose_file(path: Path) -> PoseLine:
    """The single pose of one file, a 4x4 or 3x4 matrix. Raises CaptureError unless it holds exactly one."""
    return _single([value for _, row in read_number_rows(path) for value in row], str(path))


def read_pose_bytes(content: bytes, where: str) -> PoseLine:
    """As `read_pose_file`, for a member of an archive."""
    return _single([value for _, row in _number_rows(content, where) for value in row], where)


def _single(values: Sequence[float], where: str) -> PoseLine:
    if len(values) not in (12, 16):  # half a matrix has the eight numbers of a timed quaternion
        raise CaptureError(f"{where}: expected a pose of 16 or 12 numbers, found {len(values)} numbers")
    return _pose_of_row(values, where)


def read_number_rows(path: Path) -> list[tuple[int, list[float]]]:
    """(line number, numbers) of every line that is neither empty nor a `#` comment; commas count as spaces. Raises CaptureError."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise CaptureError(f"{path}: expected a text file of numbers, found one that cannot be read ({error})") from error
    return _number_rows(content, str(path))


def _number_rows(content: bytes, where: str) -> list[tuple[int, list[float]]]:
    text = decoded(content, where)
    rows = []
    for number, line in enumerate(text.splitlines(), start=1):
        words = line.partition("#")[0].replace(",", " ").split()
        if words:
            rows.append((number, [_number(word, f"{where}:{number}") for word in words]))
    return rows


def _number(word: str, where: str) -> float:
    try:
        return float(word)
    except ValueError as error:
        raise CaptureError(f"{where}: expected a number, found {word[:40]!r}") from error


def _pose_of_row(row: Sequence[float], where: str) -> PoseLine:
    if len(row) in (12, 16):
        rows = np.array(row, dtype=np.float64).reshape(-1, 4)
        return PoseLine(where=where, matrix=rows if len(rows) == 4 else np.vstack([rows, [0.0, 0.0, 0.0, 1.0]]))
    if len(row) == 8:
        time_s, x, y, z, qx, qy, qz, qw = row
        quat_wxyz = np.array([qw, qx, qy, qz])
        if not (np.isfinite(quat_wxyz).all() and abs(np.linalg.norm(quat_wxyz) - 1.0) < ROTATION_TOLERANCE):
            return PoseLine(where=where, matrix=np.full((4, 4), np.nan), time_s=time_s)
        return PoseLine(where=where, matrix=rigid(rotation_from_quat_wxyz(quat_wxyz), np.array([x, y, z])), time_s=time_s)
    raise CaptureError(f"{where}: expected a pose of 16 or 12 numbers, or `time_s x y z qx qy qz qw`, found {len(row)} numbers")


def _poses_of_array(path: Path) -> list[PoseLine]:
    poses = read_npy(path)
    if poses.ndim != 3 or poses.shape[1:] not in ((4, 4), (3, 4)) or poses.dtype.kind != "f":
        raise CaptureError(f"{path}: expected a float array of shape (N, 4, 4), found {poses.dtype} {poses.shape}")
    return [_pose_of_row(list(map(float, pose.reshape(-1))), f"{path}[{index}]") for index, pose in enumerate(poses)]
