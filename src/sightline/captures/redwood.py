"""Reads the Redwood / Open3D layout: colour and depth folders, a trajectory `.log` of numbered 4x4 blocks, an Open3D camera JSON."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import Field

from sightline.captures import layouts
from sightline.captures.assemble import MAX_BAD_SHARE, StoredConvention, StoredFrame, assemble
from sightline.captures.capture import Capture, SkippedFrame
from sightline.captures.conventions import AUTO
from sightline.captures.images import image_size
from sightline.captures.intrinsics import ASPECT_TOLERANCE, intrinsics_for, read_camera_matrix, read_open3d_camera
from sightline.captures.layouts import Named
from sightline.captures.options import ScanOptions, UpAxis, scan_options
from sightline.captures.scan_folders import by_scan_id, folder_of, refuse_split, scans_below
from sightline.captures.trajectory_logs import LogPose, looks_like_log, read_log
from sightline.config import config
from sightline.errors import CaptureError
from sightline.geometry.cameras import Intrinsics

PRIMESENSE_K = (525.0, 525.0, 319.5, 239.5)  # Open3D's and Redwood's default camera, at 640x480
PRIMESENSE_SIZE = (640, 480)
RATE_HZ = 30.0
COLORS = (*layouts.COLOR_NAMES, "colors")  # Open3D's copies of the Redwood rooms
LOGS = ("trajectory.log", "scene/trajectory.log", "*trajectory.log", "*.log", "*traj.txt")
NOT_THE_TRAJECTORY = ("odometry.log",)  # Open3D's samples hold the drifting one beside the good one
CAMERAS = ("camera_primesense.json", "camera_intrinsic.json", "intrinsic.json", "intrinsics.json", "camera.json")
_INDEX_AND_TIME = re.compile(r"(\d+)-\d+$")  # 000001-000000033369 of the Redwood recorder


@config
class RedwoodOptions(ScanOptions):
    """Options of an import from the Redwood / Open3D layout. Paths are relative to the scan's folder and may not lead out of it."""

    color: str | None = None
    """Folder of colour images. Usual: `color/ colour/ rgb/ images/ image/ colors/`."""
    depth: str | None = None
    """Folder of depth images. Usual: `depth/ depths/`."""
    trajectory: str | None = None
    """The trajectory. Usual: `trajectory.log scene/trajectory.log *trajectory.log *.log *traj.txt`."""
    intrinsics: str | tuple[float, float, float, float] | None = None
    """An Open3D camera JSON, or fx, fy, cx, cy in pixels of the images as they are. Usual: `camera_primesense.json camera_intrinsic.json
    intrinsic.json intrinsics.json camera.json`; without any, the PrimeSense default 525 525 319.5 239.5 at 640x480."""
    depth_unit_m: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 0.001
    """Metres per stored depth unit."""
    up_axis: UpAxis = AUTO
    """The stored world's axis that points up; measured by default, for each trajectory starts where its first camera was."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Pair:
    """The images of one frame and its place in the recording."""

    place: int
    color: Named
    depth_path: Path


class RedwoodReader:
    """One folder with colour, depth and a trajectory log, or a folder of such folders."""

    name: ClassVar[str] = "redwood"

    def __init__(self, root: Path, options: Mapping[str, Any]) -> None:
        self.root = Path(root)
        self.options = scan_options(RedwoodOptions, options)

    @classmethod
    def recognises(cls, root: Path) -> bool:
        return bool(scans_below(Path(root), _is_scan))

    def scan_ids(self, split: str) -> Sequence[str]:
        refuse_split(split, root=self.root, layout="Redwood")
        return tuple(self._folders)

    def source_files(self, scan_id: str) -> Sequence[Path]:
        """Every file below the scan's folder."""
        return layouts.files_below(folder_of(self._folders, scan_id, root=self.root))

    def read(self, scan_id: str, *, workspace: Path) -> Capture:
        """One scan. Raises CaptureError: images that do not pair up, a damaged log, too few poses, a camera of another image size."""
        folder = folder_of(self._folders, scan_id, root=self.root)
        options = self.options
        pairs = _pairs(folder, options)
        log = _trajectory(folder, options)
        poses = _poses_by_place(read_log(log), count=len(pairs), where=str(log))
        chosen = [pairs[place] for place in options.chosen(len(pairs))]
        skipped = [SkippedFrame(frame_id=one.color.key, reason="pose_missing") for one in chosen if one.place not in poses]
        if len(skipped) > MAX_BAD_SHARE * len(chosen):
            raise CaptureError(
                f"{log}: expected a pose for each of {len(chosen)} frames, found none for {len(skipped)} (first: {skipped[0].frame_id}); "
                "a trajectory of some frames only needs frame_step or a folder with those frames"
            )
        intrinsics, source = _camera(folder, options, size=image_size(chosen[0].color.path))
        stored = [_stored(one, poses[one.place], intrinsics, options) for one in chosen if one.place in poses]
        convention = StoredConvention(pose_direction="world_from_camera", camera_axes="opencv", up_axis=options.up_axis)
        assembled = assemble(stored, convention, where=str(log), skipped=skipped)
        return Capture(
            scan_id=scan_id,
            place_id=options.place_id or scan_id,
            source=self.name,
            licence=options.licence or "unknown",
            frames=assembled.frames,
            skipped=assembled.skipped,
            notes={
                "convention": assembled.convention.as_notes(),
                "depth_unit_m": options.depth_unit_m,
                "intrinsics_from": source,
                "trajectory": str(log.relative_to(folder)),
            },
        )

    @cached_property
    def _folders(self) -> dict[str, Path]:
        named = self.options.trajectory is not None or self.options.color is not None  # then the usual names need not be there
        folders = scans_below(self.root, _is_scan) or ([self.root] if named and self.root.is_dir() else [])
        return by_scan_id(self.root, folders, layout="Redwood")


def _is_scan(folder: Path) -> bool:
    return all(layouts.usual(folder, names) is not None for names in (COLORS, layouts.DEPTH_NAMES)) and _logs(folder) != []


def _logs(folder: Path) -> list[Path]:
    """The trajectories of the first usual name that there is."""
    for pattern in LOGS:
        found = sorted(path for path in folder.glob(pattern) if path.name not in NOT_THE_TRAJECTORY and looks_like_log(path))
        if found:
            return found
    return []


def _trajectory(folder: Path, options: RedwoodOptions) -> Path:
    if options.trajectory is not None:
        return layouts.inside(folder, options.trajectory, key="trajectory")
    found = _logs(folder)
    if len(found) != 1:
        names = ", ".join(path.name for path in found) or "none"
        raise CaptureError(f"{folder}: expected one trajectory ({', '.join(LOGS)}), found {names}. Fix: trajectory=PATH")
    return found[0]


def _pairs(folder: Path, options: RedwoodOptions) -> list[_Pair]:
    """Colour and depth images by name or number; names of the Redwood recorder by the number before their time."""
    places = [
        layouts.found(folder, given, names, key=key, what=f"a folder of {what}")
        for given, names, key, what in (
            (options.color, COLORS, "color", "colour images"),
            (options.depth, layouts.DEPTH_NAMES, "depth", "depth images"),
        )
    ]
    color = [_by_index(one) for one in layouts.files_of(places[0], suffixes=layouts.IMAGE_SUFFIXES, what="colour images")]
    depth = [_by_index(one) for one in layouts.files_of(places[1], suffixes=(".png",), what="depth images")]
    paths = layouts.match_all(color, depth, what="depth images")
    return [_Pair(place=place, color=one, depth_path=path) for place, (one, path) in enumerate(zip(color, paths))]


def _by_index(one: Named) -> Named:
    match = _INDEX_AND_TIME.match(one.key)
    return one if match is None else replace(one, key=match[1])


def _poses_by_place(log: Sequence[LogPose], *, count: int, where: str) -> dict[int, LogPose]:
    """Poses by the place of their frame: in order where there is one for each, else by the number that the block states."""
    indices = [one.index for one in log]
    twice = next((one for one, before in zip(log[1:], indices) if one.index == before), None)
    if twice is not None:
        raise CaptureError(f"{twice.where}: expected each frame once, found frame {twice.index} twice")
    if len(log) == count:
        return dict(enumerate(log))
    falling = next((one for one, before in zip(log[1:], indices) if one.index < before), None)
    if falling is not None or len(log) > count or indices[-1] >= count:
        raise CaptureError(
            f"{where}: expected a pose for each of {count} frames, or blocks with rising frame numbers below {count}, "
            f"found {len(log)} poses with numbers {min(indices)} to {max(indices)}"
        )
    return {one.index: one for one in log}


def _stored(pair: _Pair, pose: LogPose, intrinsics: Intrinsics, options: RedwoodOptions) -> StoredFrame:
    return StoredFrame(
        frame_id=pair.color.key,
        time_s=pair.place / RATE_HZ,
        rgb_path=pair.color.path,
        depth_path=pair.depth_path,
        depth_scale_m=options.depth_unit_m,
        intrinsics=intrinsics,
        depth_intrinsics=None,
        stored_pose=pose.matrix,
        pose_place=pose.where,
    )


def _camera(folder: Path, options: RedwoodOptions, *, size: tuple[int, int]) -> tuple[Intrinsics, str]:
    """The camera of the images and where it is from: an option, a JSON file, or the PrimeSense default."""
    stated_size: tuple[int, int] | None = None
    given = options.intrinsics
    path = layouts.inside(folder, given, key="intrinsics") if isinstance(given, str) else layouts.usual(folder, CAMERAS)
    if isinstance(given, tuple):
        K, source, where = read_camera_matrix(given), "option intrinsics", "intrinsics"
    elif path is not None:
        (K, stated_size), source, where = read_open3d_camera(path), path.name, str(path)
    else:
        K, stated_size = read_camera_matrix(PRIMESENSE_K), PRIMESENSE_SIZE
        source, where = "PrimeSense default", f"{folder}: PrimeSense default camera"
    if stated_size is not None and abs(size[0] * stated_size[1] / (size[1] * stated_size[0]) - 1.0) > ASPECT_TOLERANCE:
        raise CaptureError(
            f"{where}: expected images shaped like {stated_size[0]}x{stated_size[1]}, found {size[0]}x{size[1]}. "
            "Fix: intrinsics=[FX,FY,CX,CY]"
        )
    return intrinsics_for(K, size=size, stated_size=stated_size, where=where, mend="intrinsics"), source
