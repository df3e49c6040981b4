"""Reads ARKitScenes, the `3dod` and the `raw` download: iPad recordings turned upright, with poses, depth and labelled boxes."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from sightline.captures.arkitscenes.annotation import read_annotation
from sightline.captures.arkitscenes.files import (
    FOLDS,
    TRAJECTORY,
    ArkitScan,
    Row,
    files_by_time,
    nearest,
    scans_at,
    seconds_of,
    table_row,
)
from sightline.captures.arkitscenes.trajectory import Trajectory, read_pincam, read_trajectory
from sightline.captures.assemble import StoredConvention, StoredFrame, assemble
from sightline.captures.capture import Capture, SkippedFrame
from sightline.captures.confidence import PACK_NAME, confidence_note, masked, read_confidence
from sightline.captures.depth_packs import DepthPackWriter
from sightline.captures.image_lists import refuse_mostly_skipped
from sightline.captures.images import image_size, read_uint16
from sightline.captures.options import ScanOptions, scan_options
from sightline.captures.timed_poses import poses_at
from sightline.captures.turning import (
    NO_TURN,
    Turn,
    turned_camera,
    turned_colour,
    turned_pixels,
    turned_pose,
    turning_note,
    upright_turn,
)
from sightline.config import config
from sightline.errors import CaptureError
from sightline.geometry.cameras import Intrinsics

LICENCE = "Apple ARKitScenes licence (non-commercial use; redistribution keeps Apple's notice)"
UP_WORLD = (0.0, 0.0, 1.0)
NAMES_APART_MS = 1  # a camera's file name may be rounded otherwise than its image's
SPLITS = {"training": "Training", "train": "Training", "validation": "Validation", "val": "Validation"}


@config
class ArkitScenesOptions(ScanOptions):
    """Options of an import from ARKitScenes."""

    layout: Literal["auto", "3dod", "raw"] = "auto"
    """Which download to read where a folder holds both."""
    images: Literal["lowres_wide", "vga_wide", "wide"] = "lowres_wide"
    """Which colour images: 256x192 at 60 Hz (the only ones in `3dod`), 640x480 at 30 Hz, or 1920x1440 at 10 Hz."""
    depth: Literal["auto", "lowres", "highres"] = "auto"
    """Which depth: of the iPad, or rendered from the laser scan; `auto` takes the latter beside `wide` images where it is there."""
    min_confidence: Annotated[int, Field(ge=0, le=2)] | None = None
    """Leave out readings of the iPad's depth below this confidence (0 low, 1 medium, 2 high); needs `confidence/` of the raw download."""
    upright: bool = True
    """Turn the recording in quarter turns, so that up is up in most of its images."""
    max_time_gap_s: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 0.005
    """How far apart in time a colour image and its depth image may be."""
    max_pose_gap_s: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 0.2
    """How far from an image the pose before it and the pose after it may be; between them the pose is interpolated."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _View:
    """One colour image with its camera, depth and pose, before anything is turned."""

    time_ms: int
    color: Path
    depth: Path
    confidence: Path | None
    intrinsics: Intrinsics
    depth_intrinsics: Intrinsics | None
    world_from_camera: np.ndarray  # (4, 4), may hold NaN
    pose_place: str


class ArkitScenesReader:
    """One recording, a folder of them, or the whole download with its `Training` and `Validation` folders."""

    name: ClassVar[str] = "arkitscenes"

    def __init__(self, root: Path, options: Mapping[str, Any]) -> None:
        self.root = Path(root)
        self.options = scan_options(ArkitScenesOptions, options)
        self._tables: dict[Path, dict[str, Row]] = {}
        self._found: dict[str, ArkitScan] | None = None

    @classmethod
    def recognises(cls, root: Path) -> bool:
        return next(scans_at(Path(root)), None) is not None

    def scan_ids(self, split: str) -> Sequence[str]:
        scans = self._scans
        if split == "all":
            return tuple(scans)
        fold = SPLITS.get(split.lower())
        if fold is None:
            raise CaptureError(f"{self.root}: expected split all, {' or '.join(FOLDS)}, found '{split}'")
        return tuple(video_id for video_id, scan in scans.items() if table_row(scan, self._tables).fold == fold)

    def source_files(self, scan_id: str) -> Sequence[Path]:
        """Images, depth, cameras, confidence, trajectory, annotation and the tables that name the recording's visit."""
        scan = self._scan(scan_id)
        folders = [self.options.images, f"{self.options.images}_intrinsics", _depth_name(scan, self.options)]
        folders += ["confidence"] if self.options.min_confidence else []
        folders += [_depth_camera_name(scan, self.options) or folders[0]]
        present = [scan.frames / name for name in dict.fromkeys(folders) if (scan.frames / name).is_dir()]
        below = [path for folder in present for path in sorted(folder.iterdir())]
        others = [scan.frames / TRAJECTORY, *([scan.annotation] if scan.annotation else []), *table_row(scan, self._tables).tables]
        return tuple(path for path in (*below, *others) if path.is_file())

    def read(self, scan_id: str, *, workspace: Path) -> Capture:
        """One recording. Raises CaptureError: a folder or the trajectory missing or damaged, most frames without camera, depth or pose."""
        scan, options = self._scan(scan_id), self.options
        row = table_row(scan, self._tables)
        trajectory = read_trajectory(scan.frames / TRAJECTORY)
        views, skipped = _views(scan, trajectory, options)
        turn = upright_turn(trajectory.world_from_camera, up_world=UP_WORLD) if options.upright else NO_TURN
        stored = _stored(views, turn, options, workspace=workspace)
        convention = StoredConvention(pose_direction="world_from_camera", camera_axes="opencv", up_axis="+z")
        assembled = assemble(stored, convention, where=str(scan.frames), skipped=skipped)
        annotation = None if scan.annotation is None else read_annotation(scan.annotation)
        notes: dict[str, Any] = {
            "convention": assembled.convention.as_notes(),
            "layout": scan.layout,
            "images": options.images,
            "depth": _depth_name(scan, options),
            "depth_unit_m": 0.001,
            "poses": "interpolated between the trajectory's neighbours in time",
            "upright": turn.as_notes(),
        }
        if turn.quarters:
            notes["reencoded"] = turning_note(turn, views[0].color.suffix)
        if options.min_confidence:
            notes["confidence"] = confidence_note(options.min_confidence)
        if annotation is not None and annotation.skipped:
            notes["objects_skipped"] = annotation.skipped
        notes |= _table_notes(row)
        return Capture(
            scan_id=scan_id,
            place_id=options.place_id or (f"arkitscenes_visit_{row.visit_id}" if row.visit_id else f"arkitscenes_{scan.video_id}"),
            source=self.name,
            licence=options.licence or LICENCE,
            frames=assembled.frames,
            skipped=assembled.skipped,
            objects=None if annotation is None else annotation.objects,
            notes=notes,
        )

    def _scan(self, scan_id: str) -> ArkitScan:
        scans = self._scans
        if scan_id not in scans:
            raise CaptureError(f"{self.root}: expected one of the recordings {', '.join(list(scans)[:12])}, found '{scan_id}'")
        return scans[scan_id]

    @cached_property
    def _scans(self) -> dict[str, ArkitScan]:
        if self._found is None:
            scans: dict[str, ArkitScan] = {}
            for scan in scans_at(self.root):
                if self.options.layout not in ("auto", scan.layout):
                    continue
                if scan.video_id in scans:
                    raise CaptureError(
                        f"{scan.folder}: recording {scan.video_id} is also in {scans[scan.video_id].folder}. Fix: layout=3dod or layout=raw"
                    )
                scans[scan.video_id] = scan
            if not scans:
                raise CaptureError(
                    f"{self.root}: expected a recording of ARKitScenes, <id>/<id>_frames/lowres_wide (3dod) or <id>/lowres_wide beside "
                    f"<id>/lowres_wide_intrinsics (raw), or a folder of them, found {'none' if self.root.exists() else 'nothing'}"
                )
            self._found = scans
        return self._found


def _depth_name(scan: ArkitScan, options: ArkitScenesOptions) -> str:
    if options.depth == "auto":
        return "highres_depth" if options.images == "wide" and (scan.frames / "highres_depth").is_dir() else "lowres_depth"
    return f"{options.depth}_depth"


def _depth_camera_name(scan: ArkitScan, options: ArkitScenesOptions) -> str | None:
    """The folder of the depth's own cameras, None where it is the colour camera at another size."""
    name = "lowres_wide_intrinsics"
    is_own = _depth_name(scan, options) == "lowres_depth" and options.images != "lowres_wide" and (scan.frames / name).is_dir()
    return name if is_own else None


def _views(scan: ArkitScan, trajectory: Trajectory, options: ArkitScenesOptions) -> tuple[list[_View], list[SkippedFrame]]:
    """The chosen colour images that have a camera, a depth image and a pose, and the others with the reason why they are left out."""
    folder, depth_name = scan.frames, _depth_name(scan, options)
    color = files_by_time(folder / options.images, (".png", ".jpg"), video_id=scan.video_id)
    cameras = files_by_time(folder / f"{options.images}_intrinsics", (".pincam",), video_id=scan.video_id)
    confidence = _confidence(scan, depth_name, options)
    depth = files_by_time(folder / depth_name, (".png",), video_id=scan.video_id)
    own_name = _depth_camera_name(scan, options)
    own = {} if own_name is None else files_by_time(folder / own_name, (".pincam",), video_id=scan.video_id)
    times_ms = list(color)
    times_ms = [times_ms[place] for place in options.chosen(len(times_ms))]
    poses, places = poses_at(
        trajectory.times_s, trajectory.world_from_camera, np.array(times_ms) / 1000.0, max_gap_s=options.max_pose_gap_s
    )
    gap_ms = int(round(options.max_time_gap_s * 1000))
    views: list[_View] = []
    skipped: list[SkippedFrame] = []
    for time_ms, pose, place in zip(times_ms, poses, places):
        camera_path = nearest(cameras, time_ms, within_ms=NAMES_APART_MS)
        depth_path = nearest(depth, time_ms, within_ms=gap_ms)
        levels_path = None if confidence is None else nearest(confidence, time_ms, within_ms=gap_ms)
        reason = None
        if camera_path is None:
            reason = "no_intrinsics"
        elif depth_path is None:
            reason = "no_depth_in_time"
        elif confidence is not None and levels_path is None:
            reason = "no_confidence_in_time"
        elif place < 0:
            reason = "pose_not_in_time"
        if reason is not None or camera_path is None or depth_path is None:
            skipped.append(SkippedFrame(frame_id=seconds_of(color[time_ms]), reason=reason or "no_intrinsics"))
            continue
        own_path = nearest(own, time_ms, within_ms=gap_ms)
        views.append(
            _View(
                time_ms=time_ms,
                color=color[time_ms],
                depth=depth_path,
                confidence=levels_path,
                intrinsics=read_pincam(camera_path),
                depth_intrinsics=None if own_path is None else read_pincam(own_path),
                world_from_camera=pose,
                pose_place=trajectory.place(int(place)),
            )
        )
    refuse_mostly_skipped(skipped, count=len(times_ms), where=str(folder), fix="max_time_gap_s and max_pose_gap_s say how near is near")
    return views, skipped


def _confidence(scan: ArkitScan, depth_name: str, options: ArkitScenesOptions) -> dict[int, Path] | None:
    if not options.min_confidence:
        return None
    if depth_name != "lowres_depth":
        raise CaptureError(f"{scan.frames}: min_confidence: expected depth of the iPad, found {depth_name}. Fix: depth=lowres")
    return files_by_time(scan.frames / "confidence", (".png",), video_id=scan.video_id)


def _stored(views: Sequence[_View], turn: Turn, options: ArkitScenesOptions, *, workspace: Path) -> list[StoredFrame]:
    """Frames turned upright. What is not turned or masked stays where it is."""
    frames = []
    with ExitStack() as stack:
        repacked = bool(turn.quarters or options.min_confidence)
        pack = stack.enter_context(DepthPackWriter(workspace / PACK_NAME)) if repacked and views else None
        for view in views:
            _refuse_size(view)
            depth_index = None
            if pack is not None:
                values = read_uint16(view.depth)
                if view.confidence is not None and options.min_confidence:
                    levels = read_confidence(view.confidence)
                    values = masked(values, levels, min_confidence=options.min_confidence, where=str(view.confidence))
                depth_index = pack.append(turned_pixels(values, turn.quarters))
            own = view.depth_intrinsics
            frames.append(
                StoredFrame(
                    frame_id=seconds_of(view.color),
                    time_s=view.time_ms / 1000.0,
                    rgb_path=turned_colour(view.color, workspace / "color", turn.quarters) if turn.quarters else view.color,
                    depth_path=view.depth if pack is None else pack.path,
                    depth_scale_m=0.001,
                    intrinsics=turned_camera(view.intrinsics, turn.quarters),
                    depth_intrinsics=None if own is None else turned_camera(own, turn.quarters),
                    stored_pose=turned_pose(view.world_from_camera, turn.quarters),
                    pose_place=view.pose_place,
                    depth_index=depth_index,
                )
            )
    return frames


def _refuse_size(view: _View) -> None:
    """Before anything is turned, so that the message names the file as it is."""
    found, camera = image_size(view.color), view.intrinsics
    if found != (camera.width, camera.height):
        raise CaptureError(f"{view.color}: expected a colour image of {camera.width}x{camera.height}, found {found[0]}x{found[1]}")


def _table_notes(row: Row) -> dict[str, Any]:
    notes: dict[str, Any] = {"split": row.fold, "visit_id": row.visit_id, "sky_direction": row.sky_direction}
    if len(row.visit_folds) > 1:
        notes["split_warning"] = (
            f"visit {row.visit_id} lies in {' and '.join(row.visit_folds)}: the same rooms are on both sides of the split"
        )
    return {key: value for key, value in notes.items() if value is not None}
