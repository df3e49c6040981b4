"""Reads the TUM RGB-D layout, which ICL-NUIM shares: timed lists of colour and depth images, and a trajectory of timed quaternions."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import Field

from sightline.captures import layouts
from sightline.captures.assemble import MAX_BAD_SHARE, StoredConvention, StoredFrame, assemble
from sightline.captures.capture import Capture, SkippedFrame
from sightline.captures.conventions import AUTO
from sightline.captures.images import image_size
from sightline.captures.intrinsics import ASPECT_TOLERANCE, intrinsics_for, read_camera_matrix, y_down
from sightline.captures.layouts import nearest_in_time
from sightline.captures.options import ScanOptions, UpAxis, scan_options
from sightline.captures.poses import read_pose_list
from sightline.captures.scan_folders import by_scan_id, folder_of, refuse_split, scans_below
from sightline.captures.timed_lists import Timed, read_associations, read_list
from sightline.captures.timed_poses import poses_at
from sightline.config import config
from sightline.errors import CaptureError
from sightline.geometry.cameras import Intrinsics

LISTS = ("rgb.txt", "depth.txt")
ASSOCIATIONS = ("associations.txt", "associate.txt", "associated.txt", "assoc.txt")
TRAJECTORIES = ("groundtruth.txt", "*.gt.freiburg")
NO_POSE = "pose_not_in_time"
NO_DEPTH = "no_depth_in_time"
CALIBRATED_SIZE = (640, 480)
FREIBURG_3_K = (535.4, 539.2, 320.1, 247.6)
CALIBRATIONS: tuple[tuple[str, str, tuple[float, float, float, float]], ...] = (  # published with the data sets; none lies in their folders
    (r"freiburg1|(^|[_-])fr1([_-]|$)", "TUM freiburg1, colour camera", (517.3, 516.5, 318.6, 255.3)),
    (r"freiburg2|(^|[_-])fr2([_-]|$)", "TUM freiburg2, colour camera", (520.9, 521.0, 325.1, 249.7)),
    (r"freiburg3|(^|[_-])fr3([_-]|$)", "TUM freiburg3, colour camera", FREIBURG_3_K),
    (r"icl[_-]?nuim|(living|office)_?room_?traj\d|\.gt\.freiburg$", "ICL-NUIM, rendered; y points up", (481.2, -480.0, 319.5, 239.5)),
)
DISTORTED = ("freiburg1", "freiburg2")  # freiburg3 was undistorted before it was published
TUM_LICENCE = "CC BY 4.0 (TUM RGB-D benchmark)"
ICL_LICENCE = "CC BY 3.0 (ICL-NUIM)"
Y_UP = np.diag([1.0, -1.0, 1.0, 1.0])  # mirrors the y axis; its own inverse


@config
class TumOptions(ScanOptions):
    """Options of an import from the TUM RGB-D layout."""

    intrinsics: tuple[float, float, float, float] | None = None
    """fx, fy, cx, cy in pixels of the images as they are. Needed unless the folder's name says which of the published cameras it was,
    or a `K.txt` lies in it. A negative fy says that the stored camera's y axis points up (ICL-NUIM): poses are then of a mirrored world."""
    depth_unit_m: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 0.0002
    """Metres per stored depth unit: 1/5000 m in this layout."""
    up_axis: UpAxis = AUTO
    """The stored world's axis that points up, after mirroring where there is any; measured by default."""
    max_time_gap_s: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 0.02
    """How far apart in time a colour image and its depth image may be."""
    max_pose_gap_s: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 0.05
    """How far from a colour image the pose before it and the pose after it may be; between them the pose is interpolated."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Camera:
    """The colour camera, and what is known of where its numbers come from."""

    intrinsics: Intrinsics
    mirrored: bool
    source: str


class TumReader:
    """One folder with `rgb.txt` and `depth.txt` (or `associations.txt`) and a trajectory, or a folder of such folders."""

    name: ClassVar[str] = "tum"

    def __init__(self, root: Path, options: Mapping[str, Any]) -> None:
        self.root = Path(root)
        self.options = scan_options(TumOptions, options)

    @classmethod
    def recognises(cls, root: Path) -> bool:
        return bool(scans_below(Path(root), _is_scan))

    def scan_ids(self, split: str) -> Sequence[str]:
        refuse_split(split, root=self.root, layout="TUM RGB-D")
        return tuple(self._folders)

    def source_files(self, scan_id: str) -> Sequence[Path]:
        """Every file below the scan's folder."""
        return layouts.files_below(folder_of(self._folders, scan_id, root=self.root))

    def read(self, scan_id: str, *, workspace: Path) -> Capture:
        """One scan. Raises CaptureError: a list or trajectory missing or damaged, no camera known, too few frames with depth and pose."""
        folder = folder_of(self._folders, scan_id, root=self.root)
        options = self.options
        pairs, skipped = _pairs(folder, options)
        trajectory = _trajectory(folder)
        camera = _camera(folder, trajectory, options, size=image_size(pairs[0][0].path))
        frames, unposed = _stored(pairs, trajectory, camera, options)
        skipped += unposed
        if len(unposed) > MAX_BAD_SHARE * len(pairs):
            raise CaptureError(
                f"{trajectory}: expected a pose within {options.max_pose_gap_s:g} s before and after each colour image, "
                f"found none for {len(unposed)} of {len(pairs)} (first: {unposed[0].frame_id}). Fix: max_pose_gap_s=SECONDS, "
                "where the trajectory is of these images"
            )
        convention = StoredConvention(pose_direction="world_from_camera", camera_axes="opencv", up_axis=options.up_axis)
        assembled = assemble(frames, convention, where=str(trajectory), skipped=skipped)
        notes: dict[str, Any] = {
            "convention": assembled.convention.as_notes(),
            "depth_unit_m": options.depth_unit_m,
            "intrinsics_from": camera.source,
            "distortion_removed": not any(word in camera.source for word in DISTORTED),
            "poses": "interpolated between the trajectory's neighbours in time",
        }
        if camera.mirrored:
            notes["mirrored"] = "stored camera x right, y up, z forward in a left-handed world; both mirrored along y, poses are proper"
        return Capture(
            scan_id=scan_id,
            place_id=options.place_id or scan_id,
            source=self.name,
            licence=options.licence or _licence(camera.source),
            frames=assembled.frames,
            skipped=assembled.skipped,
            notes=notes,
        )

    @cached_property
    def _folders(self) -> dict[str, Path]:
        return by_scan_id(self.root, scans_below(self.root, _is_scan), layout="TUM RGB-D")


def _is_scan(folder: Path) -> bool:
    if all((folder / name).is_file() for name in LISTS):
        return True
    return layouts.usual(folder, ASSOCIATIONS) is not None and _trajectories(folder) != []


def _trajectories(folder: Path) -> list[Path]:
    return sorted(path for name in TRAJECTORIES for path in folder.glob(name))


def _trajectory(folder: Path) -> Path:
    found = _trajectories(folder)
    if len(found) != 1:
        names = ", ".join(path.name for path in found) or "none"
        raise CaptureError(f"{folder}: expected one trajectory ({' or '.join(TRAJECTORIES)}), found {names}")
    return found[0]


def _pairs(folder: Path, options: TumOptions) -> tuple[list[tuple[Timed, Timed]], list[SkippedFrame]]:
    """Colour images in the order of time, each with the depth image nearest in time."""
    if not all((folder / name).is_file() for name in LISTS):
        associated = read_associations(folder, next(name for name in ASSOCIATIONS if (folder / name).is_file()))
        return [associated[place] for place in options.chosen(len(associated))], []
    color, depth = (sorted(read_list(folder, name), key=lambda one: one.time_s) for name in LISTS)
    color = [color[place] for place in options.chosen(len(color))]
    found = nearest_in_time(
        np.array([one.time_s for one in depth]), np.array([one.time_s for one in color]), max_gap_s=options.max_time_gap_s
    )
    pairs = [(one, depth[index]) for one, index in zip(color, found) if index >= 0]
    skipped = [SkippedFrame(frame_id=one.path.stem, reason=NO_DEPTH) for one, index in zip(color, found) if index < 0]
    if len(skipped) > MAX_BAD_SHARE * len(color):
        raise CaptureError(
            f"{folder / LISTS[1]}: expected a depth image within {options.max_time_gap_s:g} s of each colour image, found none for "
            f"{len(skipped)} of {len(color)} (first: {skipped[0].frame_id}). Fix: max_time_gap_s=SECONDS"
        )
    return pairs, skipped


def _stored(
    pairs: list[tuple[Timed, Timed]], trajectory: Path, camera: _Camera, options: TumOptions
) -> tuple[list[StoredFrame], list[SkippedFrame]]:
    """Frames with poses at the colour images' times, and those that the trajectory says nothing of."""
    lines = read_pose_list(trajectory)
    untimed = next((line for line in lines if line.time_s is None or not np.isfinite(line.time_s)), None)
    if untimed is not None or not lines:
        where = f"{trajectory}" if untimed is None else untimed.where
        raise CaptureError(
            f"{where}: expected `time_s x y z qx qy qz qw`, found {'no pose' if untimed is None else 'a pose without a time'}"
        )
    times_s = np.array([line.time_s for line in lines], dtype=np.float64)
    poses, places = poses_at(
        times_s, np.stack([line.matrix for line in lines]), np.array([one.time_s for one, _ in pairs]), max_gap_s=options.max_pose_gap_s
    )
    if camera.mirrored:
        poses = Y_UP @ poses @ Y_UP
    frames = [
        StoredFrame(
            frame_id=color.path.stem,
            time_s=color.time_s,
            rgb_path=color.path,
            depth_path=depth.path,
            depth_scale_m=options.depth_unit_m,
            intrinsics=camera.intrinsics,
            depth_intrinsics=None,
            stored_pose=pose,
            pose_place=lines[place].where,
        )
        for (color, depth), pose, place in zip(pairs, poses, places)
        if place >= 0
    ]
    return frames, [SkippedFrame(frame_id=color.path.stem, reason=NO_POSE) for (color, _), place in zip(pairs, places) if place < 0]


def _camera(folder: Path, trajectory: Path, options: TumOptions, *, size: tuple[int, int]) -> _Camera:
    """The camera that an option gives, a file in the folder, or the folder's name."""
    own = layouts.usual(folder, layouts.INTRINSICS_NAMES)
    stated_size = None
    if options.intrinsics is not None:
        K, source, where = read_camera_matrix(options.intrinsics), "option intrinsics", "intrinsics"
    elif own is not None:
        K, source, where = read_camera_matrix(own), own.name, str(own)
    else:
        given, source = _published(folder, trajectory)
        K, where, stated_size = read_camera_matrix(given), f"{folder}: {source}", CALIBRATED_SIZE
        if abs(size[0] * stated_size[1] / (size[1] * stated_size[0]) - 1.0) > ASPECT_TOLERANCE:
            raise CaptureError(f"{where}: expected images shaped like 640x480, found {size[0]}x{size[1]}. Fix: intrinsics=[FX,FY,CX,CY]")
    K, mirrored = y_down(K)
    intrinsics = intrinsics_for(K, size=size, stated_size=stated_size, where=where, mend="intrinsics")
    return _Camera(intrinsics=intrinsics, mirrored=mirrored, source=source)


def _published(folder: Path, trajectory: Path) -> tuple[tuple[float, float, float, float], str]:
    for name in (trajectory.name, folder.resolve().name):
        for pattern, source, numbers in CALIBRATIONS:
            if re.search(pattern, name, re.IGNORECASE):
                return numbers, source
    raise CaptureError(
        f"{folder}: expected to know the camera: this layout keeps it in no file, and the folder's name names none of freiburg1, "
        "freiburg2, freiburg3, ICL-NUIM. Fix: intrinsics=[FX,FY,CX,CY] (TUM's own default is [525,525,319.5,239.5])"
    )


def _licence(source: str) -> str:
    if source.startswith("TUM"):
        return TUM_LICENCE
    return ICL_LICENCE if source.startswith("ICL") else "unknown"
