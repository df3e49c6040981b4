"""Reads `transforms.json` files of nerfstudio: cameras of the whole file or of each frame, poses, depth names and what was applied."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sightline.captures.distortion import Lens, LensCamera, fisheye_lens, radial_lens
from sightline.captures.image_lists import HALF_PIXEL
from sightline.captures.poses import pose_problem
from sightline.errors import CaptureError, DataError, ShapeError
from sightline.files import read_json
from sightline.geometry.cameras import Intrinsics

MAX_FILE_BYTES = 512_000_000  # a million frames
FISHEYE_MODEL = "OPENCV_FISHEYE"
RADIAL_MODELS = ("OPENCV", "PINHOLE", "SIMPLE_PINHOLE", "SIMPLE_RADIAL", "RADIAL")
DEPTH_UNIT_KEY = "depth_unit_scale_factor"
DEPTH_UNIT = 1e-3  # nerfstudio's own default, of images and of arrays


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class TransformsFrame:
    """One frame as stored: OpenGL camera, pixel centres moved to integers. `camera` is None where nobody says the image size."""

    name: str  # `file_path`
    depth_name: str | None
    camera: LensCamera | None
    stored_pose: np.ndarray  # (4, 4) world from an OpenGL camera, may hold infinity
    is_bad: bool
    where: str


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Transforms:
    """A whole file."""

    path: Path
    frames: tuple[TransformsFrame, ...]
    test_frames: tuple[TransformsFrame, ...]
    depth_unit: float | None  # world units per stored depth value, None where the file does not say it
    applied_transform: np.ndarray  # (4, 4) that was put before every pose, identity where none was
    applied_scale: float  # by which every position was multiplied after that
    camera_models: tuple[str, ...]

    def undone(self, stored_pose: np.ndarray) -> np.ndarray:
        """A pose before the applied transform and scale."""
        before = stored_pose.copy()
        before[:3, 3] /= self.applied_scale
        return np.linalg.inv(self.applied_transform) @ before


def read_transforms(path: Path, size_of: Callable[[str], tuple[int, int] | None]) -> Transforms:
    """The file's frames. `size_of(file_path)` is asked for (width, height) only where the file does not say them.

    Raises CaptureError naming the file, the frame and the key: no JSON, no frames, a frame twice, a camera model that is not known.
    """
    whole = _mapping(path)
    frames = _frames(whole.get("frames"), whole, where=f"{path}: frames", size_of=size_of)
    if not frames:
        raise CaptureError(f"{path}: key 'frames': expected at least one frame, found none")
    test_frames = _frames(whole.get("test_frames", []), whole, where=f"{path}: test_frames", size_of=size_of)
    seen: set[str] = set()
    for frame in (*frames, *test_frames):
        if frame.name in seen:
            raise CaptureError(f"{frame.where}: key 'file_path': expected every image once, found '{frame.name}' again")
        seen.add(frame.name)
    models = {str(value.get("camera_model", whole.get("camera_model", "OPENCV"))) for value in whole["frames"]}
    return Transforms(
        path=path,
        frames=frames,
        test_frames=test_frames,
        depth_unit=_positive(whole, DEPTH_UNIT_KEY, DEPTH_UNIT, where=str(path)) if DEPTH_UNIT_KEY in whole else None,
        applied_transform=_applied_transform(whole, where=str(path)),
        applied_scale=_positive(whole, "applied_scale", 1.0, where=str(path)),
        camera_models=tuple(sorted(models)),
    )


def _mapping(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise CaptureError(f"{path}: expected at most {MAX_FILE_BYTES} bytes, found {path.stat().st_size}")
        value = read_json(path)
    except DataError as error:
        raise CaptureError(str(error)) from error
    except (OSError, RecursionError) as error:
        raise CaptureError(f"{path}: expected JSON, found a file that cannot be read ({error})") from error
    if not isinstance(value, dict):
        raise CaptureError(f"{path}: expected a JSON object with 'frames', found {type(value).__name__}")
    return value


def _frames(
    values: Any, whole: Mapping[str, Any], *, where: str, size_of: Callable[[str], tuple[int, int] | None]
) -> tuple[TransformsFrame, ...]:
    if not isinstance(values, list):
        raise CaptureError(f"{where}: expected a list of frames, found {type(values).__name__}")
    return tuple(_frame(value, whole, where=f"{where}[{number}]", size_of=size_of) for number, value in enumerate(values))


def _frame(value: Any, whole: Mapping[str, Any], *, where: str, size_of: Callable[[str], tuple[int, int] | None]) -> TransformsFrame:
    if not isinstance(value, dict):
        raise CaptureError(f"{where}: expected an object, found {type(value).__name__}")
    name, depth_name = value.get("file_path"), value.get("depth_file_path")
    if not isinstance(name, str) or not name:
        raise CaptureError(f"{where}: key 'file_path': expected the path of an image, found {str(name)[:40]!r}")
    if depth_name is not None and (not isinstance(depth_name, str) or not depth_name):
        raise CaptureError(f"{where}: key 'depth_file_path': expected the path of a depth image, found {str(depth_name)[:40]!r}")
    is_bad = value.get("is_bad", False)
    if not isinstance(is_bad, bool):
        raise CaptureError(f"{where}: key 'is_bad': expected true or false, found {str(is_bad)[:40]!r}")
    return TransformsFrame(
        name=name,
        depth_name=depth_name,
        camera=_camera({**whole, **value}, name, where=where, size_of=size_of),
        stored_pose=_matrix(value.get("transform_matrix"), where=f"{where}: key 'transform_matrix'"),
        is_bad=is_bad,
        where=where,
    )


def _matrix(value: Any, *, where: str) -> np.ndarray:
    """(4, 4) of four or three rows of four numbers."""
    rows = value if isinstance(value, list) else []
    if len(rows) not in (3, 4) or any(not isinstance(row, list) or len(row) != 4 or not all(map(_is_number, row)) for row in rows):
        raise CaptureError(f"{where}: expected four rows of four numbers, found {str(value)[:60]}")
    matrix = np.array(rows, dtype=np.float64)
    return matrix if len(rows) == 4 else np.vstack([matrix, [0.0, 0.0, 0.0, 1.0]])


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= float("inf")


def _number(values: Mapping[str, Any], key: str, default: float | None, *, where: str) -> float:
    value = values.get(key, default)
    if not _is_number(value) or not np.isfinite(float(value)):
        raise CaptureError(f"{where}: key '{key}': expected a finite number, found {'none' if value is None else str(value)[:40]!r}")
    return float(value)


def _positive(values: Mapping[str, Any], key: str, default: float, *, where: str) -> float:
    number = _number(values, key, default, where=where)
    if number <= 0:
        raise CaptureError(f"{where}: key '{key}': expected a number above 0, found {number:g}")
    return number


def _camera(values: Mapping[str, Any], name: str, *, where: str, size_of: Callable[[str], tuple[int, int] | None]) -> LensCamera | None:
    size = (values["w"], values["h"]) if "w" in values and "h" in values else size_of(name)
    if size is None:
        return None
    width, height = (int(_number({"size": side}, "size", None, where=f"{where}: keys 'w', 'h'")) for side in size)
    fx = _focal(values, width, where=where)
    try:
        intrinsics = Intrinsics(
            fx=fx,
            fy=_number(values, "fl_y", fx, where=where),
            cx=_number(values, "cx", width / 2, where=where) - HALF_PIXEL,
            cy=_number(values, "cy", height / 2, where=where) - HALF_PIXEL,
            width=width,
            height=height,
        )
    except ShapeError as error:
        raise CaptureError(f"{where}: {error}") from error
    return LensCamera(intrinsics=intrinsics, lens=_lens(values, where=where))


def _focal(values: Mapping[str, Any], width: int, *, where: str) -> float:
    """`fl_x`, or the horizontal field of view of instant-ngp's files."""
    if "fl_x" in values or "camera_angle_x" not in values:
        return _number(values, "fl_x", None, where=where)
    angle_rad = _number(values, "camera_angle_x", None, where=where)
    if not 0.0 < angle_rad < np.pi:
        raise CaptureError(f"{where}: key 'camera_angle_x': expected radians of 0 to pi, found {angle_rad:g}")
    return width / 2.0 / float(np.tan(angle_rad / 2.0))


def _lens(values: Mapping[str, Any], *, where: str) -> Lens | None:
    model = values.get("camera_model", "OPENCV")
    number = {key: _number(values, key, 0.0, where=where) for key in ("k1", "k2", "k3", "k4", "p1", "p2")}
    if model == FISHEYE_MODEL:
        return fisheye_lens(number["k1"], number["k2"], number["k3"], number["k4"])
    if model not in RADIAL_MODELS:
        raise CaptureError(
            f"{where}: key 'camera_model': expected one of {', '.join((*RADIAL_MODELS, FISHEYE_MODEL))}, found {str(model)[:40]!r}"
        )
    if number["k4"] != 0.0:
        raise CaptureError(f"{where}: key 'k4': expected 0 for camera model {model}, found {number['k4']:g}; only a fisheye has it")
    return radial_lens(k1=number["k1"], k2=number["k2"], p1=number["p1"], p2=number["p2"], k3=number["k3"])


def _applied_transform(whole: Mapping[str, Any], *, where: str) -> np.ndarray:
    if "applied_transform" not in whole:
        return np.eye(4)
    matrix = _matrix(whole["applied_transform"], where=f"{where}: key 'applied_transform'")
    problem = pose_problem(matrix)
    if problem is not None:
        raise CaptureError(f"{where}: key 'applied_transform': expected a rigid transform, found one that is not ({problem})")
    return matrix
