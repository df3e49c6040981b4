"""Reads raw exports of the Polycam app: pictures, depth, confidence and cameras of keyframes, in a folder or a zip archive."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import Field

from sightline.captures.assemble import StoredConvention, StoredFrame, assemble
from sightline.captures.capture import Capture, SkippedFrame
from sightline.captures.confidence import PACK_NAME, confidence_note, masked, read_confidence
from sightline.captures.containers.archives import SafeZip
from sightline.captures.depth_packs import DepthPackWriter
from sightline.captures.image_lists import refuse_mostly_skipped
from sightline.captures.images import image_size, read_uint16
from sightline.captures.layouts import files_below, natural
from sightline.captures.options import ScanOptions, scan_options
from sightline.captures.polycam.camera import KeyframeCamera, read_keyframe_camera
from sightline.captures.polycam.files import KEYFRAMES, MAX_MEMBER_BYTES, KeyframeFiles, has_keyframes, is_export_archive
from sightline.captures.poses import OPENCV_FROM_OPENGL, pose_problem
from sightline.captures.scan_folders import by_scan_id, folder_of, refuse_split
from sightline.captures.turning import NO_TURN, Turn, turned_camera, turned_colour, turned_pixels, turned_pose, turning_note, upright_turn
from sightline.config import config
from sightline.errors import CaptureError

LICENCE = "own recording (Polycam raw export): the rights are its maker's"
UP_WORLD = (0.0, 1.0, 0.0)  # ARKit's world
CONFIDENCES = (0, 127, 255)  # low, medium, high
READ = ("images", "cameras", "corrected_images", "corrected_cameras", "depth", "confidence")


@config
class PolycamOptions(ScanOptions):
    """Options of an import of a Polycam raw export."""

    corrected: bool | None = None
    """Read the undistorted pictures with the optimised cameras. Left out: where the export has both."""
    min_confidence: Annotated[int, Field(ge=0, le=2)] | None = None
    """Leave out depth readings below this confidence (0 low, 1 medium, 2 high). Left out: 1 where there are confidence maps."""
    min_blur_score: float | None = None
    """Leave out pictures whose `blur_score` is below this; lower is blurrier."""
    upright: bool = True
    """Turn the recording in quarter turns, so that up is up in most of its pictures; the app stores them as the sensor lies."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Keyframe:
    """The files of one picture."""

    stamp: str  # microseconds
    colour: str
    depth: str
    confidence: str | None
    camera: KeyframeCamera


class PolycamReader:
    """A folder with `keyframes/`, a zip archive with one, or a folder of such folders and archives."""

    name: ClassVar[str] = "polycam"

    def __init__(self, root: Path, options: Mapping[str, Any]) -> None:
        self.root = Path(root)
        self.options = scan_options(PolycamOptions, options)

    @classmethod
    def recognises(cls, root: Path) -> bool:
        return bool(_exports(Path(root)))

    def scan_ids(self, split: str) -> Sequence[str]:
        refuse_split(split, root=self.root, layout="Polycam")
        return tuple(self._paths)

    def source_files(self, scan_id: str) -> Sequence[Path]:
        """The archive, or the files of the folders that are read."""
        source = folder_of(self._paths, scan_id, root=self.root)
        if source.is_file():
            return (source,)
        return tuple(path for name in READ for path in files_below(source / "keyframes" / name))

    def read(self, scan_id: str, *, workspace: Path) -> Capture:
        """One export. Raises CaptureError: files missing or damaged, a hostile archive, mostly bad poses."""
        source, options = folder_of(self._paths, scan_id, root=self.root), self.options
        with ExitStack() as stack:
            archive = stack.enter_context(SafeZip(source, max_member_bytes=MAX_MEMBER_BYTES)) if source.is_file() else None
            files = KeyframeFiles(source, archive)
            prefix = "corrected_" if _is_corrected(files, options) else ""
            min_confidence = _min_confidence(files, options)
            keyframes, skipped = _keyframes(files, prefix, options, min_confidence)
            held = np.stack([one.camera.world_from_camera for one in keyframes]) if keyframes else np.empty((0, 4, 4))
            turn = NO_TURN
            if options.upright:
                with np.errstate(invalid="ignore"):
                    turn = upright_turn(held @ OPENCV_FROM_OPENGL, up_world=UP_WORLD)
            stored = _stored(files, keyframes, turn, min_confidence, workspace=workspace)
        convention = StoredConvention(pose_direction="world_from_camera", camera_axes="opencv", up_axis="+y")
        assembled = assemble(stored, convention, where=str(source), skipped=skipped)
        notes: dict[str, Any] = {
            "convention": assembled.convention.as_notes(),
            "device": "iPhone or iPad with LiDAR, Polycam",
            "corrected": bool(prefix),
            "depth_unit_m": 0.001,
            "upright": turn.as_notes(),
        }
        if turn.quarters:
            notes["reencoded"] = turning_note(turn, Path(keyframes[0].colour).suffix)
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
    def _paths(self) -> dict[str, Path]:
        places = _exports(self.root) or ([self.root] if self.root.suffix.lower() == ".zip" else [])
        wanted = "a raw export of Polycam, a folder or zip archive with keyframes/cameras"
        return by_scan_id(self.root, places, layout="Polycam", expected=wanted)


def _exports(root: Path) -> list[Path]:
    if root.is_file():
        return [root] if is_export_archive(root) else []
    if not root.is_dir():
        return []
    if has_keyframes(root):
        return [root]
    if root.name == KEYFRAMES and has_keyframes(root.parent):
        return [root.parent]  # given one folder too low
    children = (child for child in root.iterdir() if not child.name.startswith("."))
    found = (child for child in children if (has_keyframes(child) if child.is_dir() else is_export_archive(child)))
    return sorted(found, key=lambda path: natural(path.name))


def _is_corrected(files: KeyframeFiles, options: PolycamOptions) -> bool:
    """One kind for the whole export: the two kinds of cameras are in worlds of their own."""
    pictures, cameras = files.stems("corrected_images", (".jpg", ".png")), files.stems("corrected_cameras", (".json",))
    if options.corrected and not (pictures and cameras):
        raise CaptureError(
            f"{files.where('corrected_images')}: expected undistorted pictures and optimised cameras, found {len(pictures)} and "
            f"{len(cameras)}; the app leaves them out for long recordings. Fix: corrected=false"
        )
    return bool(pictures and cameras) if options.corrected is None else options.corrected


def _min_confidence(files: KeyframeFiles, options: PolycamOptions) -> int:
    if options.min_confidence is not None:
        return options.min_confidence
    return 1 if files.stems("confidence", (".png",)) else 0


def _keyframes(
    files: KeyframeFiles, prefix: str, options: PolycamOptions, min_confidence: int
) -> tuple[list[_Keyframe], list[SkippedFrame]]:
    """The chosen pictures that have a camera, depth and the confidence asked for, and the others with the reason why not."""
    colours = files.stems(f"{prefix}images", (".jpg", ".png"))
    if not colours:
        raise CaptureError(f"{files.where(f'{prefix}images')}: expected pictures, found none")
    cameras = files.stems(f"{prefix}cameras", (".json",))
    depths, levels = files.stems("depth", (".png",)), files.stems("confidence", (".png",))
    stamps = list(colours)
    stamps = [stamps[place] for place in options.chosen(len(stamps))]
    kept: list[_Keyframe] = []
    missing: list[SkippedFrame] = []
    blurred: list[SkippedFrame] = []
    for stamp in stamps:
        reason = None
        if stamp not in cameras:
            reason = "no_camera"
        elif stamp not in depths:
            reason = "no_depth"
        elif min_confidence and stamp not in levels:
            reason = "no_confidence"
        if reason is not None:
            missing.append(SkippedFrame(frame_id=stamp, reason=reason))
            continue
        camera = read_keyframe_camera(files.content(cameras[stamp]), files.where(cameras[stamp]))
        if options.min_blur_score is not None and camera.blur_score is not None and camera.blur_score < options.min_blur_score:
            blurred.append(SkippedFrame(frame_id=stamp, reason="blurred"))
            continue
        confidence = levels[stamp] if min_confidence else None
        kept.append(_Keyframe(stamp=stamp, colour=colours[stamp], depth=depths[stamp], confidence=confidence, camera=camera))
    refuse_mostly_skipped(missing, count=len(stamps), where=str(files.source))
    if blurred and not kept:
        raise CaptureError(f"{files.source}: expected pictures of a blur_score of {options.min_blur_score:g} or more, found none")
    return kept, [*missing, *blurred]


def _stored(files: KeyframeFiles, keyframes: Sequence[_Keyframe], turn: Turn, min_confidence: int, *, workspace: Path) -> list[StoredFrame]:
    """Frames turned upright. In a folder, what is neither turned nor masked stays where it is."""
    frames = []
    with ExitStack() as stack:
        repacked = bool(turn.quarters or min_confidence or files.is_packed)
        pack = stack.enter_context(DepthPackWriter(workspace / PACK_NAME)) if repacked and keyframes else None
        for one in keyframes:
            camera, pose = one.camera.intrinsics, one.camera.world_from_camera
            usable = pose_problem(pose) is None
            colour, depth_path, depth_index = workspace / one.colour, workspace / one.depth, None
            if usable:  # frames without a usable pose are counted, not taken out
                colour = _colour(files, one, turn, workspace)
                depth_path = files.path(one.depth, workspace)
            if usable and pack is not None:
                values = _masked_depth(files, one, depth_path, min_confidence, workspace)
                depth_path, depth_index = pack.path, pack.append(turned_pixels(values, turn.quarters))
            with np.errstate(invalid="ignore"):
                held = pose @ OPENCV_FROM_OPENGL
            turned = turned_camera(camera, turn.quarters)
            frames.append(
                StoredFrame(
                    frame_id=one.stamp,
                    time_s=int(one.stamp) * 1e-6,
                    rgb_path=colour,
                    depth_path=depth_path,
                    depth_scale_m=0.001,
                    intrinsics=turned,
                    depth_intrinsics=None if usable else turned,
                    stored_pose=turned_pose(held, turn.quarters),
                    pose_place=one.camera.where,
                    depth_index=depth_index,
                )
            )
    return frames


def _colour(files: KeyframeFiles, one: _Keyframe, turn: Turn, workspace: Path) -> Path:
    """The picture, turned where it must be; its size is checked before, so that the message names the file as it is."""
    path, camera = files.path(one.colour, workspace), one.camera.intrinsics
    found = image_size(path)
    if found != (camera.width, camera.height):
        raise CaptureError(
            f"{files.where(one.colour)}: expected a colour image of {camera.width}x{camera.height}, found {found[0]}x{found[1]}"
        )
    if turn.quarters == 0:
        return path
    turned = turned_colour(path, workspace / "color", turn.quarters)
    _forget(files, path)
    return turned


def _masked_depth(files: KeyframeFiles, one: _Keyframe, depth_path: Path, min_confidence: int, workspace: Path) -> np.ndarray:
    values = read_uint16(depth_path)
    _forget(files, depth_path)
    if not min_confidence or one.confidence is None:
        return values
    path = files.path(one.confidence, workspace)
    levels = read_confidence(path, stored_levels=CONFIDENCES)
    _forget(files, path)
    return masked(values, levels, min_confidence=min_confidence, where=files.where(one.confidence))


def _forget(files: KeyframeFiles, path: Path) -> None:
    """Delete what was only taken out of an archive to be read."""
    if files.is_packed:
        path.unlink()
