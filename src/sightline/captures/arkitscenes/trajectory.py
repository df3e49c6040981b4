"""Reads what ARKitScenes says of its cameras: `.traj` trajectories and `.pincam` pinhole cameras."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sightline.captures.poses import inverses, read_number_rows
from sightline.errors import CaptureError, ShapeError
from sightline.geometry.cameras import Intrinsics


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Trajectory:
    """Where the camera was, line by line of the file."""

    path: Path
    times_s: np.ndarray  # (N,)
    world_from_camera: np.ndarray  # (N, 4, 4), NaN where the file has no number
    lines: tuple[int, ...]

    def place(self, index: int) -> str:
        """File and line of a pose, for messages."""
        return f"{self.path}:{self.lines[index]}"


def read_trajectory(path: Path) -> Trajectory:
    """Lines of `time_s rx ry rz tx ty tz`: the axis-angle rotation and translation that take world points to the camera.

    Raises CaptureError: no file, not text, a line of another length, a time that is not finite.
    """
    if not path.is_file():
        raise CaptureError(f"{path}: expected the poses of the recording, found no file. Fix: download the asset {path.name}")
    rows = read_number_rows(path)
    for line, row in rows:
        if len(row) != 7:
            raise CaptureError(f"{path}:{line}: expected `time_s rx ry rz tx ty tz`, found {len(row)} numbers")
        if not np.isfinite(row[0]):
            raise CaptureError(f"{path}:{line}: expected a finite time in seconds, found {row[0]}")
    if not rows:
        raise CaptureError(f"{path}: expected poses, found none")
    values = np.array([row for _, row in rows], dtype=np.float64)
    camera_from_world = np.tile(np.eye(4), (len(values), 1, 1))
    camera_from_world[:, :3, :3] = rotations_from_axis_angle(values[:, 1:4])
    camera_from_world[:, :3, 3] = values[:, 4:7]
    return Trajectory(
        path=path,
        times_s=values[:, 0],
        world_from_camera=inverses(camera_from_world),
        lines=tuple(line for line, _ in rows),
    )


def rotations_from_axis_angle(axis_angle_rad: np.ndarray) -> np.ndarray:
    """`(N, 3, 3)` rotations about `(N, 3)` axes by their length in radians (Rodrigues); NaN where the axis is not finite."""
    angle_rad = np.linalg.norm(axis_angle_rad, axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        axis = np.where(angle_rad[:, None] > 0, axis_angle_rad / angle_rad[:, None], 0.0)
    axis[~np.isfinite(axis_angle_rad).all(axis=1)] = np.nan
    skew = np.zeros((len(axis), 3, 3))
    skew[:, 2, 1], skew[:, 0, 2], skew[:, 1, 0] = axis[:, 0], axis[:, 1], axis[:, 2]
    skew -= np.swapaxes(skew, 1, 2)
    with np.errstate(invalid="ignore"):
        sine, versine = np.sin(angle_rad)[:, None, None], (1.0 - np.cos(angle_rad))[:, None, None]
        return np.eye(3) + sine * skew + versine * (skew @ skew)


def read_pincam(path: Path) -> Intrinsics:
    """One line `width height fx fy cx cy`, in pixels. Raises CaptureError."""
    values = [value for _, row in read_number_rows(path) for value in row]
    if len(values) != 6:
        raise CaptureError(f"{path}: expected `width height fx fy cx cy`, found {len(values)} numbers")
    width, height, fx, fy, cx, cy = values
    if not (np.isfinite(values).all() and width == round(width) and height == round(height)):
        raise CaptureError(f"{path}: expected a whole width and height and finite numbers, found {values}")
    try:
        return Intrinsics(fx=fx, fy=fy, cx=cx, cy=cy, width=int(width), height=int(height))
    except ShapeError as error:
        raise CaptureError(f"{path}: {error}") from error
