"""Matrices of other people's records, checked where they come in: right size, numbers, cameras that are pinholes."""

from typing import Any

import numpy as np

from sightline.captures.intrinsics import MAX_SKEW, size_problem
from sightline.captures.poses import pose_problem
from sightline.errors import CaptureError, ShapeError
from sightline.geometry.cameras import Intrinsics
from sightline.geometry.transforms import nearest_rigid


def matrix_4x4(value: Any, *, where: str) -> np.ndarray:
    """A (4, 4) float64, row by row; it may hold NaN or infinity. Raises CaptureError for another shape or something else than numbers."""
    return _numbers(value, ((4, 4), (16,)), where=where).reshape(4, 4)


def rigid_4x4(value: Any, *, where: str) -> np.ndarray:
    """A (4, 4) rigid motion, made exactly so. Raises CaptureError for one that is not finite or not nearly rigid."""
    matrix = matrix_4x4(value, where=where)
    problem = pose_problem(matrix)
    if problem:
        raise CaptureError(f"{where}: expected a finite rigid 4x4 matrix, found one that is not ({problem})")
    return nearest_rigid(matrix)


def camera_matrix(value: Any, *, where: str) -> np.ndarray:
    """A (3, 3) camera matrix without skew from a 3x3 or 4x4. Raises CaptureError for one that is none."""
    stored = _numbers(value, ((3, 3), (4, 4), (9,), (16,)), where=where)
    side = 3 if stored.size == 9 else 4
    K = stored.reshape(side, side)[:3, :3]
    if not np.isfinite(K).all() or np.abs(K[2] - [0.0, 0.0, 1.0]).max() > 1e-6 or abs(K[1, 0]) > 1e-6 * abs(K[0, 0]):
        raise CaptureError(f"{where}: expected rows `fx 0 cx`, `0 fy cy`, `0 0 1`, found {K.tolist()}")
    if abs(K[0, 1]) > MAX_SKEW * abs(K[0, 0]):
        raise CaptureError(f"{where}: expected a camera without skew, found {K[0, 1]:g}")
    return K


def pinhole(K: np.ndarray, *, size: tuple[int, int], where: str) -> Intrinsics:
    """The camera of images of `size` (width, height). Raises CaptureError for numbers that cannot belong to them."""
    try:
        camera = Intrinsics.from_K(K, width=size[0], height=size[1])
    except ShapeError as error:
        raise CaptureError(f"{where}: {error}") from error
    problem = size_problem(camera)
    if problem:
        raise CaptureError(f"{where}: {problem}")
    return camera


def _numbers(value: Any, shapes: tuple[tuple[int, ...], ...], *, where: str) -> np.ndarray:
    try:
        if np.iscomplexobj(value):  # NumPy would drop the imaginary part with no more than a warning
            raise TypeError("complex numbers")
        stored = np.asarray(value, dtype=np.float64)
    except (ValueError, TypeError, OverflowError) as error:
        raise CaptureError(f"{where}: expected a matrix of numbers, found {str(value)[:60]!r}") from error
    if stored.shape not in shapes:
        wanted = " or ".join("x".join(map(str, shape)) for shape in shapes)
        raise CaptureError(f"{where}: expected a matrix of {wanted}, found {'x'.join(map(str, stored.shape)) or 'one number'}")
    return stored
