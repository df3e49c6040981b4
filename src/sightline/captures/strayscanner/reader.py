"""Reads recordings of the Stray Scanner app: a video, depth and confidence per frame, and odometry of ARKit."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import Field

from sightline.captures.assemble import StoredConvention, StoredFrame, assemble
from sightline.captures.capture import Capture, SkippedFrame
from sightline.captures.confidence import PACK_NAME, confidence_note, masked, read_confidence
from sightline.captures.containers.videos import extract_frames, video_size
from sightline.captures.depth_packs import DepthPackWriter
from sightline.captures.image_lists import refuse_mostly_skipped
from sightline.captures.images import read_uint16
from sightline.captures.intrinsics import read_camera_matrix, size_problem
from sightline.captures.options import ScanOptions, scan_options
from sightline.captures.poses import pose_problem
from sightline.captures.scan_folders import by_scan_id, folder_of, refuse_split, scans_below
from sightline.captures.strayscanner.odometry import ODOMETRY, OdometryRow, read_odometry
from sightline.captures.turning import NO_TURN, Turn, turned_camera, turned_pixels, turned_pose, upright_turn
from sightline.config import config
from sightline.errors import CaptureError, ShapeError
from sightline.geometry.cameras import Intrinsics

VIDEO = "rgb.mp4"
CAMERA_MATRIX = "camera_matrix.csv"
LICENCE = "own recording (Stray Scanner): the rights are its maker's"
UP_WORLD = (0.0, 1.0, 0.0)  # ARKit's world


@config
class StrayScannerOptions(ScanOptions):
    """Options of an import of a Stray Scanner recording."""

    min_confidence: Annotated[int, Field(ge=0, le=2)] | None = None
    """Leave out depth readings below this confidence (0 low, 1 medium, 2 high). Left out: 1 where there are confidence maps."""
    upright: bool = True
    """Turn the recording in quarter turns, so that up is up in most of its frames; the app stores them as the sensor lies."""


class StrayScannerReader:
    """One folder with `rgb.mp4` and `odometry.csv`, or a folder of such folders."""

    name: ClassVar[str] = "strayscanner"

    def __init__(self, root: Path, options: Mapping[str, Any]) -> None:
        self.root = Path(root)
        self.options = scan_options(StrayScannerOptions, options)

    @classmethod
    def recognises(cls, root: Path) -> bool:
        return bool(scans_below(Path(root), _is_scan))

    def scan_ids(self, split: str) -> Sequence[str]:
        refuse_split(split, root=self.root, layout="Stray Scanner")
        return tuple(self._folders)

    def source_files(self, scan_id: str) -> Sequence[Path]:
        """Video, odometry, camera matrix, depth and confidence maps."""
        folder = folder_of(self._folders, scan_id, root=self.root)
        single = [path for path in (folder / VIDEO, folder / ODOMETRY, folder / CAMERA_MATRIX) if path.is_file()]
        return (*single, *(path for name in ("depth", "confidence") for path in sorted((folder / name).glob("*.png"))))

    def read(self, scan_id: str, *, workspace: Path) -> Capture:
        """One recording. Raises CaptureError: files missing or damaged, a video with fewer frames than the odometry, mostly bad poses."""
        folder, options = folder_of(self._folders, scan_id, root=self.root), self.options
        rows = read_odometry(folder / ODOMETRY)
        turn = upright_turn(np.stack([row.world_from_camera for row in rows]), up_world=UP_WORLD) if options.upright else NO_TURN
        _refuse_depth_folder(folder)
        first = next((place for place, row in enumerate(rows) if _depth(folder, row).is_file()), 0)  # the sensor wakes up after the camera
        early = [SkippedFrame(frame_id=row.frame_id, reason="no_depth_yet") for row in rows[:first]]
        rows = [rows[first + place] for place in options.chosen(len(rows) - first)]
        min_confidence = _min_confidence(folder, options)
        kept, skipped = _with_depth(folder, rows, min_confidence)
        cameras = _cameras(folder, kept)
        good = [row for row in kept if pose_problem(row.world_from_camera) is None]
        colour = extract_frames(
            folder / VIDEO,
            [row.frame for row in good],
            workspace / "color",
            names=[f"{row.frame_id}.jpg" for row in good],
            quarters=turn.quarters,
        )
        stored = _stored(folder, kept, cameras, colour, turn, min_confidence, workspace=workspace)
        convention = StoredConvention(pose_direction="world_from_camera", camera_axes="opencv", up_axis="+y")
        assembled = assemble(stored, convention, where=str(folder), skipped=[*early, *skipped])
        turned = f", turned {90 * turn.quarters} degrees counter-clockwise" if turn.quarters else ""
        notes: dict[str, Any] = {
            "convention": assembled.convention.as_notes(),
            "device": "iPhone or iPad with LiDAR, Stray Scanner",
            "depth_unit_m": 0.001,
            "upright": turn.as_notes(),
            "reencoded": f"colour: decoded from {VIDEO}{turned}, JPEG quality 95",
        }
        if min_confidence:
            notes["confidence"] = confidence_note(min_confidence)
        return Capture(
            scan_id=scan_id,
            place_id=options.place_id or scan_id,
            source=self.name,
            licence=options.licence or LICENCE,
            frames=assembled.frames,
            skipped=assembled.skipped,
            notes=notes,
        )

    @cached_property
    def _folders(self) -> dict[str, Path]:
        return by_scan_id(self.root, scans_below(self.root, _is_scan), layout="Stray Scanner")


def _is_scan(folder: Path) -> bool:
    return (folder / ODOMETRY).is_file() and ((folder / VIDEO).is_file() or (folder / CAMERA_MATRIX).is_file())


def _min_confidence(folder: Path, options: StrayScannerOptions) -> int:
    """The wanted confidence; without the option, medium where there are maps."""
    if options.min_confidence is not None:
        return options.min_confidence
    return 1 if (folder / "confidence").is_dir() else 0


def _refuse_depth_folder(folder: Path) -> None:
    depth = folder / "depth"
    if not depth.is_dir():
        raise CaptureError(f"{depth}: expected a folder of depth maps, found no folder")
    if any(depth.glob("*.npy")) and not any(depth.glob("*.png")):
        raise CaptureError(f"{depth}: expected PNG depth maps, found .npy ones of the app's first version, which are not read")


def _with_depth(folder: Path, rows: Sequence[OdometryRow], min_confidence: int) -> tuple[list[OdometryRow], list[SkippedFrame]]:
    """The frames that have a depth map, and a confidence map where one is asked for."""
    kept, skipped = [], []
    for row in rows:
        if not _depth(folder, row).is_file():
            skipped.append(SkippedFrame(frame_id=row.frame_id, reason="no_depth"))
        elif min_confidence and not _confidence(folder, row).is_file():
            skipped.append(SkippedFrame(frame_id=row.frame_id, reason="no_confidence"))
        else:
            kept.append(row)
    fix = "Fix: min_confidence=0 takes depth of any confidence" if any(one.reason == "no_confidence" for one in skipped) else ""
    refuse_mostly_skipped(skipped, count=len(rows), where=str(folder), fix=fix)
    return kept, skipped


def _depth(folder: Path, row: OdometryRow) -> Path:
    return folder / "depth" / f"{row.frame_id}.png"


def _confidence(folder: Path, row: OdometryRow) -> Path:
    return folder / "confidence" / f"{row.frame_id}.png"


def _cameras(folder: Path, rows: Sequence[OdometryRow]) -> list[Intrinsics]:
    """The camera of each frame: from its line of the odometry where that has one, else the one of the whole recording."""
    width, height = video_size(folder / VIDEO)
    common = None
    if any(row.focal_and_centre is None for row in rows):
        common = _camera(read_camera_matrix(folder / CAMERA_MATRIX), width, height, where=str(folder / CAMERA_MATRIX))
    cameras = []
    for row in rows:
        if row.focal_and_centre is None:
            assert common is not None, "read above where any line has no camera"
            cameras.append(common)
        else:
            cameras.append(_camera(read_camera_matrix(row.focal_and_centre), width, height, where=row.place))
    return cameras


def _camera(K: np.ndarray, width: int, height: int, *, where: str) -> Intrinsics:
    try:
        camera = Intrinsics.from_K(K, width=width, height=height)
    except ShapeError as error:
        raise CaptureError(f"{where}: {error}") from error
    problem = size_problem(camera)
    if problem:
        raise CaptureError(f"{where}: {problem}, the size of {VIDEO}")
    return camera


def _stored(
    folder: Path,
    rows: Sequence[OdometryRow],
    cameras: Sequence[Intrinsics],
    colour: Mapping[int, Path],
    turn: Turn,
    min_confidence: int,
    *,
    workspace: Path,
) -> list[StoredFrame]:
    """Frames turned upright; depth maps that are neither turned nor masked stay where they are."""
    frames = []
    with ExitStack() as stack:
        repacked = bool(turn.quarters or min_confidence)
        pack = stack.enter_context(DepthPackWriter(workspace / PACK_NAME)) if repacked and rows else None
        for row, camera in zip(rows, cameras, strict=True):
            depth_index = None
            if pack is not None:
                values = read_uint16(_depth(folder, row))
                if min_confidence:
                    where = _confidence(folder, row)
                    values = masked(values, read_confidence(where), min_confidence=min_confidence, where=str(where))
                depth_index = pack.append(turned_pixels(values, turn.quarters))
            frames.append(
                StoredFrame(
                    frame_id=row.frame_id,
                    time_s=row.time_s,
                    rgb_path=colour.get(row.frame, folder / VIDEO),  # frames with a pose that cannot be used are not decoded
                    depth_path=_depth(folder, row) if pack is None else pack.path,
                    depth_scale_m=0.001,
                    intrinsics=turned_camera(camera, turn.quarters),
                    depth_intrinsics=None,
                    stored_pose=turned_pose(row.world_from_camera, turn.quarters),
                    pose_place=row.place,
                    depth_index=depth_index,
                )
            )
    return frames
