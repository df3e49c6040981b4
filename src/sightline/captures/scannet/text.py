"""Reads what ScanNet's `<scan>.txt` says of a scan; every key may be missing."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sightline.captures.poses import made_rigid, pose_problem
from sightline.captures.texts import read_text
from sightline.errors import CaptureError

NOTED = {
    "sceneType": "scene_type",
    "deviceName": "device",
    "deviceId": "device_id",
    "appVersionId": "app_version",
}  # stored key -> key of the notes


@dataclass(frozen=True, kw_only=True, slots=True)
class ScanText:
    """The file's keys and values, as written."""

    path: Path | None
    values: Mapping[str, str]

    def world_from_stored(self) -> np.ndarray | None:
        """`(4, 4)` rigid of `axisAlignment`, None where the scan has none. Raises CaptureError for one that is no rigid motion."""
        matrix = self._matrix("axisAlignment")
        if matrix is None:
            return None
        problem = pose_problem(matrix)
        if problem:
            raise CaptureError(
                f"{self.path}: key 'axisAlignment': expected a rigid motion, found one that is not ({problem.removeprefix('pose_')}). "
                "Fix: copy the file again; a scan without alignment has no such line"
            )
        return made_rigid(matrix)

    def camera_matrix(self, kind: str) -> np.ndarray | None:
        """`(3, 3)` of `color` or `depth` from fx, fy and the centre mx, my; None unless all four are there."""
        numbers = [self._number(f"{key}_{kind}") for key in ("fx", "fy", "mx", "my")]
        if any(number is None for number in numbers):
            return None
        fx, fy, cx, cy = numbers
        return np.array([[fx, 0.0, cx], [0.0, fy, cy], [0.0, 0.0, 1.0]])

    def notes(self) -> dict[str, Any]:
        """What is kept with the scan, and what is known but not applied."""
        kept: dict[str, Any] = {name: self.values[key] for key, name in NOTED.items() if key in self.values}
        colour_to_depth = self._matrix("colorToDepthExtrinsics")
        if colour_to_depth is not None and np.isfinite(colour_to_depth).all():
            kept["colour_to_depth_not_applied"] = [float(value) for value in colour_to_depth.ravel()]
        return kept

    def _number(self, key: str) -> float | None:
        found = self._numbers(key, 1)
        return None if found is None else float(found[0])

    def _matrix(self, key: str) -> np.ndarray | None:
        found = self._numbers(key, 16)
        return None if found is None else found.reshape(4, 4)

    def _numbers(self, key: str, count: int) -> np.ndarray | None:
        if key not in self.values:
            return None
        try:
            numbers = np.array([float(word) for word in self.values[key].split()])
        except ValueError as error:
            raise CaptureError(f"{self.path}: key '{key}': expected {count} numbers, found {self.values[key][:60]!r}") from error
        if len(numbers) != count:
            raise CaptureError(f"{self.path}: key '{key}': expected {count} numbers, found {len(numbers)}")
        return numbers


def read_scan_text(path: Path | None) -> ScanText:
    """Lines of `key = value`; no file gives no keys. Raises CaptureError: not UTF-8, another kind of line, a key twice."""
    values: dict[str, str] = {}
    for number, line in enumerate(read_text(path).splitlines() if path else (), start=1):
        key, equals, value = line.partition("=")
        if not line.strip():
            continue
        if not equals or not key.strip():
            raise CaptureError(f"{path}:{number}: expected a line `key = value`, found {line.strip()[:60]!r}")
        if key.strip() in values:
            raise CaptureError(f"{path}:{number}: expected every key once, found '{key.strip()}' twice")
        values[key.strip()] = value.strip()
    return ScanText(path=path, values=values)
