"""Stored camera matrices: read from text, tied to an image size, and checked against it."""

from pathlib import Path

import numpy as np

from sightline.captures.options import fix
from sightline.captures.poses import read_number_rows
from sightline.errors import CaptureError, DataError, ShapeError
from sightline.files import read_json
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


def y_down(K: np.ndarray) -> tuple[np.ndarray, bool]:
    """A camera matrix with positive fy, and whether its y axis was mirrored: a negative fy is written for a camera whose y points up."""
    mirrored = bool(K[1, 1] < 0.0)
    turned = K.copy()
    turned[1, 1] = abs(K[1, 1])
    return turned, mirrored


def read_open3d_camera(path: Path) -> tuple[np.ndarray, tuple[int, int]]:
    """Camera matrix (3, 3) and (width, height) of an Open3D camera JSON, whose `intrinsic_matrix` runs column by column.

    One written row by row is told apart by where its zeros stand. Raises CaptureError.
    """
    try:
        value = read_json(path)
    except DataError as error:
        raise CaptureError(str(error)) from error
    value = value.get("intrinsic", value) if isinstance(value, dict) else value  # PinholeCameraParameters holds one inside
    numbers = value.get("intrinsic_matrix") if isinstance(value, dict) else None
    if not isinstance(numbers, list) or len(numbers) != 9 or not all(isinstance(one, (int, float)) for one in numbers):
        raise CaptureError(f"{path}: expected an Open3D camera with `intrinsic_matrix` of 9 numbers, found {str(numbers)[:60]}")
    size = (value.get("width"), value.get("height"))
    if not all(isinstance(one, int) and 0 < one < 100_000 for one in size):
        raise CaptureError(f"{path}: expected a whole `width` and `height`, found {size[0]!r} and {size[1]!r}")
    stored = np.array(numbers, dtype=np.float64).reshape(3, 3)
    for K in (stored.T, stored):
        if np.isfinite(K).all() and np.array_equal(K[2], [0.0, 0.0, 1.0]) and K[1, 0] == 0.0 and abs(K[0, 1]) <= MAX_SKEW * abs(K[0, 0]):
            return K, (size[0], size[1])
    raise CaptureError(f"{path}: intrinsic_matrix: expected fx 0 0 0 fy 0 cx cy 1 (column by column), found {numbers}")


def intrinsics_for(
    K: np.ndarray, *, size: tuple[int, int], stated_size: tuple[int, int] | None, where: str, mend: str | None
) -> Intrinsics:
    """The camera of images of `size`; scaled per axis from `stated_size` where that differs.

    Raises CaptureError for numbers that belong to another image size; `mend` is the option that would tell which (`image_size`), or the
    one that takes other numbers; None where they stand in the data set's own files.
    """
    width, height = stated_size or size
    try:
        camera = Intrinsics.from_K(K, width=width, height=height)
    except ShapeError as error:
        raise CaptureError(f"{where}: {error}") from error
    problem = size_problem(camera)
    if problem:
        likely = (int(round(2 * camera.cx + 1)), int(round(2 * camera.cy + 1)))
        if mend is None or min(likely) < 1 or likely == (width, height):
            raise CaptureError(f"{where}: {problem}. Fix: give the camera matrix of these images, in their pixels")
        looks = f"these look like numbers for images of perhaps {likely[0]}x{likely[1]}"
        way = fix(image_size=likely) if mend == "image_size" else f"Fix: {mend}=[FX,FY,CX,CY] in pixels of {width}x{height} images"
        raise CaptureError(f"{where}: {problem}; {looks}. {way}")
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
