"""The images of a Matterport3D house with their cameras: the raw set (lens, one pose file each) or the undistorted set (one `.conf`)."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sightline.captures.distortion import LensCamera, radial_lens
from sightline.captures.images import image_size
from sightline.captures.matrices import camera_matrix, matrix_4x4, pinhole
from sightline.captures.poses import read_number_rows
from sightline.captures.texts import read_text
from sightline.errors import CaptureError

RAW, UNDISTORTED = "raw", "undistorted"
RAW_COLOR, RAW_DEPTH = "matterport_color_images", "matterport_depth_images"
CONF_COLOR, CONF_DEPTH = "undistorted_color_images", "undistorted_depth_images"
MAX_CONF_BYTES = 64 << 20
_COLOR = re.compile(r"([0-9A-Za-z]+)_i(\d)_(\d)\.jpg$")


@dataclass(frozen=True, kw_only=True, slots=True)
class ViewFiles:
    """One image by its panorama, camera and yaw, and where its files are (or should be)."""

    panorama: str
    camera: int
    yaw: int
    color_path: Path
    depth_path: Path | None  # None: the house has no depth images at all

    @property
    def frame_id(self) -> str:
        return f"{self.panorama}_{self.camera}_{self.yaw}"


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class View:
    """One image with its camera and stored pose."""

    files: ViewFiles
    camera: LensCamera
    stored_pose: np.ndarray  # (4, 4) world from camera; OpenCV axes in the raw set, OpenGL axes in the undistorted one
    pose_place: str


def conf_path(folder: Path) -> Path:
    """`undistorted_camera_parameters/<house>.conf`"""
    return folder / "undistorted_camera_parameters" / f"{folder.resolve().name}.conf"


def kinds_of(folder: Path) -> tuple[str, ...]:
    """The image sets a folder holds, the better one first."""
    undistorted = (folder / CONF_COLOR).is_dir() and conf_path(folder).is_file()
    return (*([UNDISTORTED] if undistorted else []), *([RAW] if (folder / RAW_COLOR).is_dir() else []))


def raw_files(folder: Path) -> list[ViewFiles]:
    """The raw images by panorama, camera and yaw."""
    has_depth = (folder / RAW_DEPTH).is_dir()
    found = []
    for path in (folder / RAW_COLOR).iterdir():
        match = _COLOR.match(path.name)
        if match:
            depth_path = folder / RAW_DEPTH / f"{match[1]}_d{match[2]}_{match[3]}.png" if has_depth else None
            found.append(ViewFiles(panorama=match[1], camera=int(match[2]), yaw=int(match[3]), color_path=path, depth_path=depth_path))
    return sorted(found, key=lambda one: (one.panorama, one.camera, one.yaw))


def raw_pose_path(files: ViewFiles) -> Path:
    """`<panorama>_pose_<camera>_<yaw>.txt`"""
    return files.color_path.parent.parent / "matterport_camera_poses" / f"{files.panorama}_pose_{files.camera}_{files.yaw}.txt"


def raw_intrinsics_path(files: ViewFiles) -> Path:
    """`<panorama>_intrinsics_<camera>.txt`"""
    return files.color_path.parent.parent / "matterport_camera_intrinsics" / f"{files.panorama}_intrinsics_{files.camera}.txt"


def raw_views(chosen: Iterable[ViewFiles], *, undistort: bool) -> list[View]:
    """Cameras and poses of raw images. Raises CaptureError: no numbers where they should be, or a lens where none was allowed."""
    cameras: dict[Path, LensCamera] = {}
    views = []
    for files in chosen:
        path = raw_intrinsics_path(files)
        if path not in cameras:
            cameras[path] = _raw_camera(path)
        camera = cameras[path]
        if camera.lens is not None and not undistort:
            shown = " ".join(f"{value:g}" for value in camera.lens.coefficients[:5])
            raise CaptureError(
                f"{path}: expected images without lens distortion, found k1 k2 p1 p2 k3 = {shown}. Fix: undistort=true, or put "
                "undistorted_color_images, undistorted_depth_images and undistorted_camera_parameters beside them"
            )
        pose_path = raw_pose_path(files)
        stored_pose = matrix_4x4(_numbers(pose_path), where=str(pose_path))
        views.append(View(files=files, camera=camera, stored_pose=stored_pose, pose_place=str(pose_path)))
    return views


def _raw_camera(path: Path) -> LensCamera:
    """`width height fx fy cx cy k1 k2 p1 p2 k3` in OpenCV's notation, image origin at the top left."""
    numbers = _numbers(path)
    if len(numbers) != 11 or not np.isfinite(numbers).all() or min(numbers[:2]) < 1 or numbers[0] % 1 or numbers[1] % 1:
        raise CaptureError(f"{path}: expected `width height fx fy cx cy k1 k2 p1 p2 k3`, found {len(numbers)} numbers: {numbers[:11]}")
    width, height, fx, fy, cx, cy, k1, k2, p1, p2, k3 = numbers
    K = np.array([[fx, 0.0, cx], [0.0, fy, cy], [0.0, 0.0, 1.0]])
    intrinsics = pinhole(K, size=(int(width), int(height)), where=str(path))
    return LensCamera(intrinsics=intrinsics, lens=radial_lens(k1=k1, k2=k2, p1=p1, p2=p2, k3=k3))


def _numbers(path: Path) -> list[float]:
    return [value for _, row in read_number_rows(path) for value in row]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Scan:
    """One `scan` line of a `.conf` file, with the camera matrix that stands above it."""

    files: ViewFiles
    K_from_below: np.ndarray
    stored_pose: np.ndarray
    where: str


def conf_files(folder: Path) -> tuple[list[ViewFiles], Mapping[str, _Scan]]:
    """The undistorted images in the order of their panoramas, and what the `.conf` file says of each. Raises CaptureError."""
    path = conf_path(folder)
    scans: dict[str, _Scan] = {}
    stated, K = None, None
    for number, line in enumerate(read_text(path, max_bytes=MAX_CONF_BYTES).split("\n"), start=1):
        where, words = f"{path}:{number}", line.split()
        match words:
            case ["n_images", count] if count.isdigit():
                stated = int(count)
            case ["intrinsics_matrix", *numbers]:
                K = camera_matrix(_parsed(numbers, 9, where=where), where=where)
            case ["scan", depth_name, color_name, *numbers]:
                if K is None:
                    raise CaptureError(f"{where}: expected an intrinsics_matrix before the first scan, found none")
                files = _conf_view(folder, depth_name, color_name, where=where)
                if files.frame_id in scans:
                    raise CaptureError(f"{where}: expected every image once, found {color_name[:60]!a} twice")
                pose = matrix_4x4(_parsed(numbers, 16, where=where), where=where)
                scans[files.frame_id] = _Scan(files=files, K_from_below=K, stored_pose=pose, where=where)
    if stated is None or stated != len(scans):
        raise CaptureError(f"{path}: expected n_images {stated or 'COUNT'} and as many scans, found {len(scans)}; the file is truncated")
    ordered = sorted((scan.files for scan in scans.values()), key=lambda one: (one.panorama, one.camera, one.yaw))
    return ordered, scans


def conf_views(chosen: Iterable[ViewFiles], scans: Mapping[str, _Scan]) -> list[View]:
    """Cameras and poses of undistorted images.

    The file counts rows from the bottom, so cy = height - 1 - its own: a published house has 513.798 in its raw camera file and
    509.202 here, for images of 1024 rows.
    """
    views = []
    for files in chosen:
        scan = scans[files.frame_id]
        size = image_size(files.color_path)
        K = scan.K_from_below.copy()
        K[1, 2] = size[1] - 1 - K[1, 2]
        camera = LensCamera(intrinsics=pinhole(K, size=size, where=f"{scan.where}: intrinsics_matrix"), lens=None)
        views.append(View(files=files, camera=camera, stored_pose=scan.stored_pose, pose_place=scan.where))
    return views


def _conf_view(folder: Path, depth_name: str, color_name: str, *, where: str) -> ViewFiles:
    """File names of the usual pattern only: they cannot lead anywhere else."""
    match = _COLOR.match(color_name)
    if match is None or depth_name != f"{match[1]}_d{match[2]}_{match[3]}.png":
        raise CaptureError(f"{where}: expected `scan NAME_dC_Y.png NAME_iC_Y.jpg ...`, found {depth_name[:60]!a} {color_name[:60]!a}")
    depth_path = folder / CONF_DEPTH / depth_name if (folder / CONF_DEPTH).is_dir() else None
    return ViewFiles(
        panorama=match[1], camera=int(match[2]), yaw=int(match[3]), color_path=folder / CONF_COLOR / color_name, depth_path=depth_path
    )


def _parsed(words: list[str], count: int, *, where: str) -> list[float]:
    try:
        numbers = [float(word) for word in words]
    except ValueError as error:
        raise CaptureError(f"{where}: expected {count} numbers, found {error}") from error
    if len(numbers) != count:
        raise CaptureError(f"{where}: expected {count} numbers, found {len(numbers)}")
    return numbers
