"""A COLMAP sparse model: its cameras, its posed images, and where below a folder it lies, as text or binary files."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sightline.captures.distortion import LensCamera, fisheye_lens, radial_lens
from sightline.captures.image_lists import HALF_PIXEL
from sightline.errors import CaptureError, ShapeError
from sightline.geometry.cameras import Intrinsics
from sightline.geometry.transforms import ROTATION_TOLERANCE, rigid, rotation_from_quat_wxyz

MODEL_PLACES = ("sparse/0", "sparse", ".", "colmap/sparse/0", "colmap/sparse", "colmap/0", "colmap")
SUFFIXES = (".bin", ".txt")  # COLMAP itself prefers binary where both are there
MAX_SIDE_PX = 100_000
PARAMETERS = {  # names as COLMAP orders them (its documentation of camera models)
    "SIMPLE_PINHOLE": ("f", "cx", "cy"),
    "PINHOLE": ("fx", "fy", "cx", "cy"),
    "SIMPLE_RADIAL": ("f", "cx", "cy", "k1"),
    "RADIAL": ("f", "cx", "cy", "k1", "k2"),
    "OPENCV": ("fx", "fy", "cx", "cy", "k1", "k2", "p1", "p2"),
    "OPENCV_FISHEYE": ("fx", "fy", "cx", "cy", "k1", "k2", "k3", "k4"),
    "FULL_OPENCV": ("fx", "fy", "cx", "cy", "k1", "k2", "p1", "p2", "k3", "k4", "k5", "k6"),
}
MODEL_NAMES = (  # by the number that binary files hold
    *("SIMPLE_PINHOLE", "PINHOLE", "SIMPLE_RADIAL", "RADIAL", "OPENCV", "OPENCV_FISHEYE", "FULL_OPENCV", "FOV"),
    *("SIMPLE_RADIAL_FISHEYE", "RADIAL_FISHEYE", "THIN_PRISM_FISHEYE", "RAD_TAN_THIN_PRISM_FISHEYE"),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class ColmapCamera:
    """One camera as stored: pixel centres at +0.5."""

    camera_id: int
    model: str
    width: int
    height: int
    parameters: tuple[float, ...]
    where: str  # file and line or byte, for messages


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ColmapImage:
    """One registered image: its name below the image folder and its pose, camera from world."""

    name: str
    camera_id: int
    camera_from_world: np.ndarray  # (4, 4); NaN where the stored quaternion is none
    where: str


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ColmapModel:
    """Cameras by their id, and images in the order of their file."""

    cameras: dict[int, ColmapCamera]
    images: tuple[ColmapImage, ...]


def find_model(root: Path) -> Path | None:
    """The folder of the model below `root`, None where there is none."""
    return next((root / place for place in MODEL_PLACES if model_suffix(root / place) is not None), None)


def model_suffix(folder: Path) -> str | None:
    """`.bin` or `.txt`, whichever the folder's cameras and images are stored as; None where it holds no model."""
    return next((suffix for suffix in SUFFIXES if all((folder / f"{name}{suffix}").is_file() for name in ("cameras", "images"))), None)


def camera_from_world(quat_wxyz: tuple[float, ...], translation: tuple[float, ...]) -> np.ndarray:
    """(4, 4); NaN where the quaternion is not finite or not of length 1."""
    quat = np.array(quat_wxyz)
    if not (np.isfinite(quat).all() and abs(np.linalg.norm(quat) - 1.0) < ROTATION_TOLERANCE):
        return np.full((4, 4), np.nan)
    return rigid(rotation_from_quat_wxyz(quat), np.array(translation))


def checked_camera(*, camera_id: int, model: str, width: int, height: int, parameters: tuple[float, ...], where: str) -> ColmapCamera:
    """A stored camera whose model is known. Raises CaptureError naming the models that are."""
    if model not in PARAMETERS:
        raise CaptureError(
            f"{where}: expected a camera model of {', '.join(PARAMETERS)}, found {model[:40]}. "
            "Fix: run COLMAP's image_undistorter and import its output"
        )
    if len(parameters) != len(PARAMETERS[model]):
        raise CaptureError(
            f"{where}: expected {len(PARAMETERS[model])} parameters of {model} ({', '.join(PARAMETERS[model])}), found {len(parameters)}"
        )
    if not (0 < width <= MAX_SIDE_PX and 0 < height <= MAX_SIDE_PX):
        raise CaptureError(f"{where}: expected an image size of 1 to {MAX_SIDE_PX} pixels, found {width}x{height}")
    return ColmapCamera(camera_id=camera_id, model=model, width=width, height=height, parameters=parameters, where=where)


def lens_camera(camera: ColmapCamera) -> LensCamera:
    """The camera with pixel centres at integers. Raises CaptureError for parameters that are no camera."""
    values = dict(zip(PARAMETERS[camera.model], camera.parameters))
    try:
        intrinsics = Intrinsics(
            fx=values.get("fx", values.get("f", np.nan)),
            fy=values.get("fy", values.get("f", np.nan)),
            cx=values["cx"] - HALF_PIXEL,
            cy=values["cy"] - HALF_PIXEL,
            width=camera.width,
            height=camera.height,
        )
        if camera.model == "OPENCV_FISHEYE":
            lens = fisheye_lens(values["k1"], values["k2"], values["k3"], values["k4"])
        else:
            rational = tuple(values.get(name, 0.0) for name in ("k4", "k5", "k6"))
            lens = radial_lens(**{name: values.get(name, 0.0) for name in ("k1", "k2", "p1", "p2", "k3")}, rational=rational)
    except (ShapeError, CaptureError) as error:
        raise CaptureError(f"{camera.where}: camera {camera.camera_id}: {error}") from error
    return LensCamera(intrinsics=intrinsics, lens=lens)
