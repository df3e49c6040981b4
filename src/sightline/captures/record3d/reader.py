"""Reads `.r3d` files of the Record3D app: JPEG pictures, LZFSE depth and confidence, and ARKit poses in one zip archive."""

import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import Field

from sightline.captures.assemble import StoredConvention, StoredFrame, assemble
from sightline.captures.capture import Capture, SkippedFrame
from sightline.captures.confidence import FLOAT_UNIT_M, PACK_NAME, confidence_note, levels_of, masked, quantised
from sightline.captures.containers.archives import SafeZip
from sightline.captures.containers.lzfse import inflated
from sightline.captures.depth_packs import DepthPackWriter
from sightline.captures.image_lists import refuse_mostly_skipped
from sightline.captures.images import MAX_PIXELS, image_size
from sightline.captures.intrinsics import ASPECT_TOLERANCE
from sightline.captures.layouts import natural
from sightline.captures.options import ScanOptions, UpAxis, scan_options
from sightline.captures.poses import pose_problem
from sightline.captures.record3d.metadata import Record3DMetadata, read_metadata
from sightline.captures.scan_folders import by_scan_id, folder_of, refuse_split
from sightline.config import config
from sightline.errors import CaptureError
from sightline.geometry.cameras import Intrinsics

SUFFIX = ".r3d"
METADATA = "metadata"
LICENCE = "own recording (Record3D): the rights are its maker's"
MAX_MEMBER_BYTES = 512 << 20  # metadata take 300 bytes a frame; pictures and maps are far smaller
AT_START = 1e-3  # a first rotation nearer to none than this means that the world is the first camera
_COLOUR = re.compile(r"rgbd/(\d{1,9})\.jpg$")


@config
class Record3DOptions(ScanOptions):
    """Options of an import of Record3D recordings."""

    min_confidence: Annotated[int, Field(ge=0, le=2)] | None = None
    """Leave out depth readings below this confidence (0 low, 1 medium, 2 high). Left out: 1 where there are confidence maps."""
    up_axis: UpAxis | None = None
    """The recording's axis that points up. Left out: +y as in ARKit, or measured where the recording's world is its first camera."""


class Record3DReader:
    """One `.r3d` file, or a folder that holds some."""

    name: ClassVar[str] = "record3d"

    def __init__(self, root: Path, options: Mapping[str, Any]) -> None:
        self.root = Path(root)
        self.options = scan_options(Record3DOptions, options)

    @classmethod
    def recognises(cls, root: Path) -> bool:
        return bool(_recordings(Path(root)))

    def scan_ids(self, split: str) -> Sequence[str]:
        refuse_split(split, root=self.root, layout="Record3D")
        return tuple(self._paths)

    def source_files(self, scan_id: str) -> Sequence[Path]:
        return (folder_of(self._paths, scan_id, root=self.root),)

    def read(self, scan_id: str, *, workspace: Path) -> Capture:
        """One recording. Raises CaptureError: a damaged or hostile archive, metadata that do not fit it, mostly bad poses."""
        path, options = folder_of(self._paths, scan_id, root=self.root), self.options
        with SafeZip(path, max_member_bytes=MAX_MEMBER_BYTES) as archive:
            if METADATA not in archive:
                raise CaptureError(f"{path}: expected a member '{METADATA}', found none; is this a Record3D recording?")
            metadata = read_metadata(archive.read(METADATA, max_bytes=MAX_MEMBER_BYTES), f"{path}: {METADATA}")
            _refuse_without_poses(metadata)
            min_confidence = _min_confidence(archive, options)
            indices, skipped = _frames_of(archive, metadata, options, min_confidence)
            stored = _stored(archive, metadata, indices, min_confidence, workspace=workspace)
        up_axis = options.up_axis or _up_axis(metadata)
        convention = StoredConvention(pose_direction="world_from_camera", camera_axes="opengl", up_axis=up_axis)
        assembled = assemble(stored, convention, where=str(path), skipped=skipped)
        notes: dict[str, Any] = {
            "convention": assembled.convention.as_notes(),
            "device": "iPhone or iPad with LiDAR, Record3D",
            "depth_quantised_m": FLOAT_UNIT_M,
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
    def _paths(self) -> dict[str, Path]:
        return by_scan_id(self.root, _recordings(self.root), layout="Record3D", expected=f"an {SUFFIX} file, or a folder of them")


def _recordings(root: Path) -> list[Path]:
    if root.is_file():
        return [root] if root.suffix.lower() == SUFFIX else []
    if not root.is_dir():
        return []
    found = (path for path in root.iterdir() if path.suffix.lower() == SUFFIX and path.is_file() and not path.name.startswith("."))
    return sorted(found, key=lambda path: natural(path.name))


def _refuse_without_poses(metadata: Record3DMetadata) -> None:
    poses = metadata.world_from_camera
    if len(poses) > 1 and np.isfinite(poses).all() and (np.abs(poses - np.eye(4)).max() < AT_START):
        raise CaptureError(
            f"{metadata.where}: poses: expected a moving camera, found all {len(poses)} poses at the origin (the front camera has none). "
            "Fix: record with the LiDAR camera on the back"
        )


def _up_axis(metadata: Record3DMetadata) -> str:
    """Older apps start every recording at the identity: which way is up is then nowhere written, and measured."""
    first = metadata.world_from_camera[0]
    return "auto" if np.abs(first[:3, :3] - np.eye(3)).max() < AT_START else "+y"


def _min_confidence(archive: SafeZip, options: Record3DOptions) -> int:
    if options.min_confidence is not None:
        return options.min_confidence
    return 1 if any(name.startswith("rgbd/") and name.endswith(".conf") for name in archive.names()) else 0


def _frames_of(
    archive: SafeZip, metadata: Record3DMetadata, options: Record3DOptions, min_confidence: int
) -> tuple[list[int], list[SkippedFrame]]:
    """The chosen pictures that have a pose and a depth map, and the others with the reason why they are left out."""
    matches = [match for match in map(_COLOUR.match, archive.names()) if match is not None]
    numbers = sorted(int(match[1]) for match in matches)
    if not numbers:
        raise CaptureError(f"{metadata.where}: expected pictures rgbd/0.jpg and on beside it, found none")
    chosen = [numbers[place] for place in options.chosen(len(numbers))]
    kept, skipped = [], []
    for number in chosen:
        reason = None
        if number >= len(metadata.world_from_camera):
            reason = "pose_missing"
        elif f"rgbd/{number}.depth" not in archive:
            reason = "no_depth"
        elif min_confidence and f"rgbd/{number}.conf" not in archive:
            reason = "no_confidence"
        if reason is None:
            kept.append(number)
        else:
            skipped.append(SkippedFrame(frame_id=str(number), reason=reason))
    refuse_mostly_skipped(skipped, count=len(chosen), where=str(archive.path))
    return kept, skipped


def _stored(
    archive: SafeZip, metadata: Record3DMetadata, indices: Sequence[int], min_confidence: int, *, workspace: Path
) -> list[StoredFrame]:
    """Frames with their JPEG files as they were, and depth in a pack."""
    frames = []
    with DepthPackWriter(workspace / PACK_NAME) as pack:
        for number in indices:
            pose = metadata.world_from_camera[number]
            colour, depth_index, camera = workspace / "rgbd" / f"{number}.jpg", None, metadata.camera
            if pose_problem(pose) is None:  # frames without a usable pose are counted, not taken out
                name = f"rgbd/{number}.jpg"
                colour = archive.extract([name], workspace)[name]
                camera = _camera(metadata, number, colour)
                depth_index = pack.append(_depth(archive, metadata, number, min_confidence))
            frames.append(
                StoredFrame(
                    frame_id=str(number),
                    time_s=metadata.times_s[number],
                    rgb_path=colour,
                    depth_path=pack.path,
                    depth_scale_m=FLOAT_UNIT_M,
                    intrinsics=camera,
                    depth_intrinsics=camera if depth_index is None else None,
                    stored_pose=pose,
                    pose_place=f"{metadata.where}: poses[{number}]",
                    depth_index=depth_index,
                )
            )
    return frames


def _camera(metadata: Record3DMetadata, number: int, colour: Path) -> Intrinsics:
    """The camera at the size of the picture, which may be larger than the size that the metadata speak of."""
    camera = metadata.cameras[number] if metadata.cameras else metadata.camera
    width, height = image_size(colour)
    if (width, height) == metadata.size:
        return camera
    if abs(width * camera.height / (height * camera.width) - 1.0) > ASPECT_TOLERANCE:
        raise CaptureError(
            f"{metadata.where}: expected pictures shaped like {camera.width}x{camera.height}, found rgbd/{number}.jpg of {width}x{height}"
        )
    return camera.resized(width=width, height=height)


def _depth(archive: SafeZip, metadata: Record3DMetadata, number: int, min_confidence: int) -> np.ndarray:
    """`(H, W)` uint16 depth of one frame, masked by its confidence."""
    width, height = _depth_size(metadata)
    name, num_pixels = f"rgbd/{number}.depth", width * height
    raw = _member(archive, name, num_bytes=4 * num_pixels)
    depth = quantised(np.frombuffer(raw, dtype="<f4").reshape(height, width))
    if not min_confidence:
        return depth
    name = f"rgbd/{number}.conf"
    levels = np.frombuffer(_member(archive, name, num_bytes=num_pixels), dtype=np.uint8).reshape(height, width)
    where = f"{archive.path}: {name}"
    return masked(depth, levels_of(levels, where=where), min_confidence=min_confidence, where=where)


def _member(archive: SafeZip, name: str, *, num_bytes: int) -> bytes:
    payload = archive.read(name, max_bytes=2 * num_bytes + 4096)  # LZFSE adds a few bytes where data cannot be made smaller
    return inflated(payload, num_bytes=num_bytes, where=f"{archive.path}: {name}")


def _depth_size(metadata: Record3DMetadata) -> tuple[int, int]:
    """(width, height) as stated; older apps wrote none and had 192x256 of LiDAR, held either way."""
    width, height = metadata.depth_size or ((192, 256) if metadata.size[0] < metadata.size[1] else (256, 192))
    if width * height > MAX_PIXELS:
        raise CaptureError(f"{metadata.where}: dw, dh: expected at most {MAX_PIXELS} pixels, found {width}x{height}")
    return width, height
