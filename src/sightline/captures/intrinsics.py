"""Stored camera matrices: read from text, tied to an image size, and checked against it."""

from pathlib import Path

import numpy as np

from sightline.captures.options import fix
from sightline.captures.poses import read_number_rows
from sightline.errors import CaptureError, ShapeError
from sightline.geometry.cameras import Intrinsics

CENTRE_TOLERANCE = 0.25  # |2 cx - W| / W beyond this is the camera of another image size (reliability catalogue B07)
FOCAL_RANGE = (0.2, 5.0)  # fx in image widths: fields of view of 136 to 11 degrees
ASPECT_TOLERANCE = 0.02  # colour and depth of one camera agree to 0.5 % (1296x968 against 640x480)
MAX_SKEW = 1e-3  # of fx; a pinhole without skew is all that is modelled


def read_camera_matrix(source: Path | tuple[float, float, float, float]) -> np.ndarray:
    """A 3x3 camera matrix from a text file with a 3x3, a 4x4 or `fx fy cx cy`, or from those four numbers. Raises CaptureError."""
    if isinstance(source, tuple):
        values, where = list(source), "intrinsics"
    else:
        values, where = [value for _, row in read_number_rows(source) for value in row], str(source)
    if len(values) == 4:
        fx, fy, cx, cy = values
        return np.array([[fx, 0.0, cx], [0.0, fy, cy], [0.0, 0.0, 1.0]])
    if len(values) not in (9, 16):
        raise CaptureError(f"{where}: expected a 3x3, a 4x4 or `fx fy cx cy`, found {len(values)} numbers")
    side = 3 if len(values) == 9 else 4
    K = np.array(values).reshape(side, side)[:3, :3]
    if not np.isfinite(K).all() or np.abs(K[2] - [0.0, 0.0, 1.0]).max() > 1e-6 or abs(K[1, 0]) > 1e-6 * abs(K[0, 0]):
        raise CaptureError(f"{where}: expected rows `fx 0 cx`, `0 fy cy`, `0 0 1`, found {K.tolist()}")
    if abs(K[0, 1]) > MAX_SKEW * abs(K[0, 0]):
        raise CaptureError(f"{where}: expected a camera without skew, found {K[0, 1]:g}; undistort and rectify the images first")
    return K


def intrinsics_for(K: np.ndarray, *, size: tuple[int, int], stated_size: tuple[int, int] | None, where: str, mend: str) -> Intrinsics:
    """The camera of images of `size`; scaled per axis from `stated_size` where that differs.

    Raises CaptureError for numbers that belong to another image size; `mend` is the option that would tell which.
    """
    width, height = stated_size or size
    try:
        camera = Intrinsics.from_K(K, width=width, height=height)
    except ShapeError as error:
        raise CaptureError(f"{where}: {error}") from error
    problem = size_problem(camera)
    if problem:
        likely = (int(round(2 * camera.cx + 1)), int(round(2 * camera.cy + 1)))
        if min(likely) < 1 or likely == (width, height):
            raise CaptureError(f"{where}: {problem}. Fix: give the camera matrix of these images, in their pixels")
        looks = f"these look like numbers for images of perhaps {likely[0]}x{likely[1]}"
        raise CaptureError(f"{where}: {problem}; {looks}. {fix(**{mend: likely})}")
    return camera if (width, height) == size else camera.resized(width=size[0], height=size[1])


def size_problem(camera: Intrinsics) -> str | None:
    """What is wrong with a camera for its image size, None where nothing is."""
    size = f"{camera.width}x{camera.height}"
    for name, centre, extent in (("cx", camera.cx, camera.width), ("cy", camera.cy, camera.height)):
        if abs(2.0 * centre - extent) / extent > CENTRE_TOLERANCE:
            return f"intrinsics do not fit images of {size}: expected {name} near {extent / 2:g}, found {centre:g}"
    for name, focal in (("fx", camera.fx), ("fy", camera.fy)):
        if not FOCAL_RANGE[0] * camera.width <= focal <= FOCAL_RANGE[1] * camera.width:
            low, high = FOCAL_RANGE[0] * camera.width, FOCAL_RANGE[1] * camera.width
            return f"intrinsics do not fit images of {size}: expected {name} of {low:g} to {high:g}, found {focal:g}"
    return None


def depth_camera(color: Intrinsics, *, size: tuple[int, int], where: str) -> Intrinsics:
    """The colour camera at the size of the depth images. Raises CaptureError where their shapes differ too much for that."""
    ratio = (size[0] / size[1]) / (color.width / color.height)
    if abs(ratio - 1.0) > ASPECT_TOLERANCE:
        raise CaptureError(
            f"{where}: depth images of {size[0]}x{size[1]} and colour images of {color.width}x{color.height} have different shapes, "
            f"so the depth camera is not the colour camera scaled. {fix(depth_intrinsics='[FX,FY,CX,CY]')}"
        )
    return color if size == (color.width, color.height) else color.resized(width=size[0], height=size[1])
