"""Reads the camera file of one Polycam keyframe."""

import json
from dataclasses import dataclass

import numpy as np

from sightline.captures.containers.json_bytes import json_object
from sightline.errors import CaptureError, ShapeError
from sightline.geometry.cameras import Intrinsics

_ENTRIES = [f"t_{row}{column}" for row in range(3) for column in range(4)]
_LARGEST = 1e12


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class KeyframeCamera:
    """Pinhole, pose, and how sharp the picture is."""

    where: str  # the file, for messages
    intrinsics: Intrinsics
    world_from_camera: np.ndarray  # (4, 4) OpenGL camera in ARKit's +y-up world; NaN where an entry is null
    blur_score: float | None  # lower is blurrier


def read_keyframe_camera(content: bytes, where: str) -> KeyframeCamera:
    """One JSON object: `fx fy cx cy width height`, the rows of the pose `t_00` to `t_23`, `blur_score`. Raises CaptureError."""
    values = json_object(content, where, expected="fx, fy, cx, cy, width, height, t_00 to t_23")
    width, height = (_number(values, key, where) for key in ("width", "height"))
    if width != int(width) or height != int(height):
        raise CaptureError(f"{where}: expected a whole width and height, found {width:g}x{height:g}")
    fx, fy, cx, cy = (_number(values, key, where) for key in ("fx", "fy", "cx", "cy"))
    try:
        intrinsics = Intrinsics(fx=fx, fy=fy, cx=cx, cy=cy, width=int(width), height=int(height))
    except ShapeError as error:
        raise CaptureError(f"{where}: {error}") from error
    rows = np.array([_number(values, key, where, null=np.nan) for key in _ENTRIES]).reshape(3, 4)
    return KeyframeCamera(
        where=where,
        intrinsics=intrinsics,
        world_from_camera=np.vstack([rows, [0.0, 0.0, 0.0, 1.0]]),
        blur_score=None if values.get("blur_score") is None else _number(values, "blur_score", where),
    )


def _number(values: dict[str, object], key: str, where: str, *, null: float | None = None) -> float:
    value = values.get(key)
    if key in values and value is None and null is not None:
        return null
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not abs(value) < _LARGEST:
        raise CaptureError(f"{where}: {key}: expected a number, found {json.dumps(value)[:40] if key in values else 'none'}")
    return float(value)
