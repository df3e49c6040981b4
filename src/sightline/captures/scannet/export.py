"""Frames of a ScanNet scan that were exported from its recording: `color/ depth/ pose/ intrinsic/` with unpadded numbers."""

from pathlib import Path

import numpy as np

from sightline.captures import layouts
from sightline.captures.assemble import StoredFrame
from sightline.captures.capture import SkippedFrame
from sightline.captures.images import image_size
from sightline.captures.intrinsics import read_camera_matrix
from sightline.captures.layouts import Named
from sightline.captures.poses import read_pose_file
from sightline.captures.scannet.frames import FRAME_RATE_HZ, Recording, checked_camera, colour_camera, refuse_lost
from sightline.captures.scannet.options import ScanNetOptions
from sightline.captures.scannet.text import ScanText
from sightline.errors import CaptureError
from sightline.geometry.cameras import Intrinsics

DEPTH_UNIT_M = 0.001
NO_POSE = "pose_missing"


def exported_files(folder: Path) -> list[Path]:
    """Every file that exported frames are read from; none is opened."""
    return [
        path
        for place in ("color", "depth", "pose", "intrinsic")
        if (folder / place).is_dir()
        for path in layouts.files_below(folder / place)
    ]


def read_exported(folder: Path, options: ScanNetOptions, text: ScanText) -> Recording:
    """The chosen frames, images in place. Raises CaptureError: a depth image missing, most poses missing, cameras of other sizes."""
    colour = _numbered(layouts.files_of(folder / "color", suffixes=layouts.IMAGE_SUFFIXES, what="colour images"))
    depth = _numbered(layouts.files_of(folder / "depth", suffixes=(".png",), what="depth images"))
    poses = _numbered(layouts.files_of(folder / "pose", suffixes=layouts.TEXT_SUFFIXES, what="pose files"))
    numbers = sorted(colour)
    chosen = [numbers[place] for place in options.chosen(len(numbers))]
    without = next((number for number in chosen if number not in depth), None)
    if without is not None:
        raise CaptureError(f"{folder / 'depth'}: expected a depth image for every colour image, found none for {colour[without].name}")
    colour_K, depth_K = _camera_matrices(folder, text)
    sizes = image_size(colour[chosen[0]]), image_size(depth[chosen[0]])
    depth_camera = checked_camera(depth_K, size=sizes[1], where=f"{folder}: depth camera", fix="export the scan again")
    camera = colour_camera(colour_K, size=sizes[0], depth=depth_camera, where=f"{folder}: colour camera", options=options)
    skipped = [SkippedFrame(frame_id=colour[number].stem, reason=NO_POSE) for number in chosen if number not in poses]
    refuse_lost(len(skipped), len(chosen), where=str(folder / "pose"), what="without a pose file")
    frames = [_frame(number, colour[number], depth[number], poses[number], camera, depth_camera) for number in chosen if number in poses]
    notes = {"recording": "exported images", "depth_unit_m": DEPTH_UNIT_M, "timing": f"frame numbers at {FRAME_RATE_HZ:g} Hz"}
    return Recording(frames=frames, skipped=skipped, where=str(folder / "pose"), notes=notes)


def _frame(number: int, colour: Path, depth: Path, pose: Path, camera: Intrinsics, depth_camera: Intrinsics) -> StoredFrame:
    return StoredFrame(
        frame_id=colour.stem,
        time_s=number / FRAME_RATE_HZ,
        rgb_path=colour,
        depth_path=depth,
        depth_scale_m=DEPTH_UNIT_M,
        intrinsics=camera,
        depth_intrinsics=depth_camera,
        stored_pose=read_pose_file(pose).matrix,
        pose_place=str(pose),
    )


def _numbered(files: list[Named]) -> dict[int, Path]:
    """Frame number -> file. Names are numbers; `7` comes before `10`."""
    numbered: dict[int, Path] = {}
    for one in files:
        number = one.number
        if number is None:
            raise CaptureError(f"{one.path}: expected a frame's number as its name, found '{one.key}'")
        if number in numbered:
            raise CaptureError(f"{one.path}: expected every frame number once, found {number} also in {numbered[number].name}")
        numbered[number] = one.path
    return numbered


def _camera_matrices(folder: Path, text: ScanText) -> tuple[np.ndarray, np.ndarray]:
    """Of colour and depth images: from `intrinsic/`, else from the scan's text."""
    matrices = []
    for kind in ("color", "depth"):
        path = layouts.usual(folder, (f"intrinsic/intrinsic_{kind}.txt", f"intrinsics/intrinsic_{kind}.txt", f"intrinsic_{kind}.txt"))
        matrix = read_camera_matrix(path) if path is not None else text.camera_matrix(kind)
        if matrix is None:
            raise CaptureError(
                f"{folder}: expected the camera of the {kind} images in intrinsic/intrinsic_{kind}.txt, or as fx_{kind}, fy_{kind}, "
                f"mx_{kind}, my_{kind} in the scan's .txt, found neither"
            )
        matrices.append(matrix)
    return matrices[0], matrices[1]
