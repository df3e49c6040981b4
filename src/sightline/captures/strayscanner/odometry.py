"""Reads `odometry.csv` of Stray Scanner: one line per frame with its time, place, rotation and, in newer files, its camera."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sightline.captures.texts import read_text
from sightline.errors import CaptureError
from sightline.geometry.transforms import ROTATION_TOLERANCE, rigid, rotation_from_quat_wxyz

ODOMETRY = "odometry.csv"
COLUMNS = ("timestamp", "frame", "x", "y", "z", "qx", "qy", "qz", "qw")
CAMERA_COLUMNS = ("fx", "fy", "cx", "cy")
MAX_FRAMES = 1_000_000


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class OdometryRow:
    """One frame of the recording."""

    frame: int  # its number in the video, and the name of its depth map
    time_s: float
    world_from_camera: np.ndarray  # (4, 4) OpenCV camera in ARKit's +y-up world; NaN where the line holds no pose
    focal_and_centre: tuple[float, float, float, float] | None  # fx fy cx cy of the video's pixels
    place: str  # file and line

    @property
    def frame_id(self) -> str:
        return f"{self.frame:06d}"


def read_odometry(path: Path) -> list[OdometryRow]:
    """Every line in the order of the file. Raises CaptureError naming file, line and column.

    The app multiplies ARKit's rotation with half a turn about the camera's x axis before it writes it (its OdometryEncoder),
    which makes the camera an OpenCV one in an ARKit world.
    """
    lines = read_text(path).splitlines()
    columns = _columns(lines[0] if lines else "", f"{path}:1")
    rows: list[OdometryRow] = []
    seen: dict[int, str] = {}
    for number, line in enumerate(lines[1:], start=2):
        if not line.strip():
            continue
        where = f"{path}:{number}"
        named = _values(line, columns, where)
        frame = named["frame"]
        if not (np.isfinite(frame) and frame == round(frame) and 0 <= frame < MAX_FRAMES):
            raise CaptureError(f"{where}: frame: expected a whole number of 0 to {MAX_FRAMES - 1}, found {frame:g}")
        if not np.isfinite(named["timestamp"]):
            raise CaptureError(f"{where}: timestamp: expected a finite number of seconds, found {named['timestamp']}")
        if int(frame) in seen:
            raise CaptureError(f"{where}: expected every frame once, found frame {int(frame)} also at {seen[int(frame)]}")
        seen[int(frame)] = where
        rows.append(
            OdometryRow(
                frame=int(frame),
                time_s=named["timestamp"],
                world_from_camera=_pose(named),
                focal_and_centre=_focal_and_centre(named, where=where),
                place=where,
            )
        )
    if not rows:
        raise CaptureError(f"{path}: expected a line per frame, found none")
    return rows


def _columns(head: str, where: str) -> tuple[str, ...]:
    columns = tuple(word.strip().lower() for word in head.split(","))
    missing = [name for name in COLUMNS if name not in columns]
    if missing or len(set(columns)) != len(columns):
        problem = f"without {', '.join(missing)}" if missing else "with a name twice"
        raise CaptureError(f"{where}: expected a header with {', '.join(COLUMNS)}, found one {problem}")
    return columns


def _values(line: str, columns: tuple[str, ...], where: str) -> dict[str, float]:
    words = [word.strip() for word in line.split(",")]
    if len(words) != len(columns):
        raise CaptureError(f"{where}: expected {len(columns)} values ({', '.join(columns)}), found {len(words)}")
    named = {}
    for name, word in zip(columns, words):
        try:
            named[name] = float(word)
        except ValueError as error:
            raise CaptureError(f"{where}: {name}: expected a number, found {word[:40]!r}") from error
    return named


def _pose(named: dict[str, float]) -> np.ndarray:
    quat_wxyz = np.array([named[key] for key in ("qw", "qx", "qy", "qz")])
    centre = np.array([named[key] for key in ("x", "y", "z")])
    if not (np.isfinite(quat_wxyz).all() and abs(np.linalg.norm(quat_wxyz) - 1.0) < ROTATION_TOLERANCE):
        return np.full((4, 4), np.nan)
    return rigid(rotation_from_quat_wxyz(quat_wxyz), centre)


def _focal_and_centre(named: dict[str, float], *, where: str) -> tuple[float, float, float, float] | None:
    if not all(key in named for key in CAMERA_COLUMNS):
        return None
    fx, fy, cx, cy = (named[key] for key in CAMERA_COLUMNS)
    if not np.isfinite([fx, fy, cx, cy]).all():
        raise CaptureError(f"{where}: expected finite fx, fy, cx, cy, found {fx}, {fy}, {cx}, {cy}")
    return fx, fy, cx, cy
