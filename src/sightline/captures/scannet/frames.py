"""Frames of a ScanNet scan, from its recording: JPEG bytes as they are, depth into a pack, cameras checked against their sizes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sightline.captures.assemble import MAX_BAD_SHARE, StoredFrame
from sightline.captures.capture import SkippedFrame
from sightline.captures.depth_packs import DepthPackWriter
from sightline.captures.images import write_rgb_png
from sightline.captures.intrinsics import ASPECT_TOLERANCE, size_problem
from sightline.captures.poses import pose_problem
from sightline.captures.scannet.options import ScanNetOptions
from sightline.captures.scannet.sens import SensFile
from sightline.errors import CaptureError, ShapeError
from sightline.geometry.cameras import Intrinsics

FRAME_RATE_HZ = 30.0  # of the recording app; counts time where there are no usable timestamps
SAME_CAMERA = 0.01  # relative: two camera matrices closer than this are one
PACK = "depth.depthpack"
NO_COLOUR, NO_DEPTH = "colour_damaged", "depth_damaged"
SUFFIXES = {"jpeg": ".jpg", "png": ".png", "raw": ".png"}
STARTS = {"jpeg": b"\xff\xd8\xff", "png": b"\x89PNG\r\n\x1a\n"}


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Recording:
    """Frames in the stored world, those left out, and what is noted of them."""

    frames: Sequence[StoredFrame]
    skipped: Sequence[SkippedFrame]
    where: str
    notes: Mapping[str, Any]


def read_recording(path: Path, options: ScanNetOptions, *, workspace: Path) -> Recording:
    """The chosen frames of a `.sens`, one in memory at a time. Images of frames without a usable pose are not taken out.

    Raises CaptureError: header, more than `MAX_BAD_SHARE` of the frames cut off or damaged, cameras of other image sizes.
    """
    with SensFile(path) as sens:
        header = sens.header
        skipped = _cut_off(sens)
        colour, depth = _cameras(sens, options)
        places = options.chosen(len(sens))
        times_s, timing = seconds(sens.times_us())
        (workspace / "color").mkdir()
        frames = []
        with DepthPackWriter(workspace / PACK) as pack:
            for index in places:
                pose, depth_index, rgb_path = sens.pose(index), 0, workspace / "color" / f"{index:06d}{SUFFIXES[header.colour_kind]}"
                if pose_problem(pose) is None:
                    stored_depth = sens.depth(index)
                    problem = NO_DEPTH if stored_depth is None else _write_colour(sens, index, rgb_path)
                    if problem is not None or stored_depth is None:
                        skipped.append(SkippedFrame(frame_id=str(index), reason=problem or NO_DEPTH))
                        _refuse_mostly_damaged(sens, skipped, places)
                        continue
                    depth_index = pack.append(stored_depth)
                frames.append(
                    StoredFrame(
                        frame_id=str(index),
                        time_s=float(times_s[index]),
                        rgb_path=rgb_path,
                        depth_path=workspace / PACK,
                        depth_scale_m=1.0 / header.depth_shift,
                        intrinsics=colour,
                        depth_intrinsics=depth,
                        stored_pose=pose,
                        pose_place=sens.place(index),
                        depth_index=depth_index,
                    )
                )
        notes: dict[str, Any] = {
            "sensor": header.sensor_name,
            "recording": f"{header.colour_kind} + {header.depth_kind}",
            "depth_unit_m": 1.0 / header.depth_shift,
            "frames_in_recording": header.num_frames,
            "timing": timing,
        }
        if header.colour_kind == "raw":
            notes["reencoded"] = "colour: raw pixels written as PNG, lossless"
        for key, matrix in (("colour_extrinsic", header.colour_extrinsic), ("depth_extrinsic", header.depth_extrinsic)):
            if np.isfinite(matrix).all() and not np.allclose(matrix, np.eye(4), atol=1e-6) and matrix.any():
                notes[f"{key}_not_applied"] = [float(value) for value in matrix.ravel()]
    return Recording(frames=frames, skipped=skipped, where=str(path), notes=notes)


def seconds(times_us: np.ndarray) -> tuple[np.ndarray, str]:
    """Seconds since the first frame, and where they come from: timestamps where they rise, else the count of frames."""
    counted = np.arange(len(times_us)) / FRAME_RATE_HZ
    if len(times_us) < 2 or not (times_us[1:] > times_us[:-1]).all():
        return counted, f"counted at {FRAME_RATE_HZ:g} Hz"
    return (times_us - times_us[0]) / 1e6, "timestamps of the colour images"


def checked_camera(K: np.ndarray, *, size: tuple[int, int], where: str, fix: str) -> Intrinsics:
    """The camera of images of `size`. Raises CaptureError with `fix` at its end where it cannot be theirs."""
    try:
        camera = Intrinsics.from_K(K, width=size[0], height=size[1])
    except ShapeError as error:
        raise CaptureError(f"{where}: {error}") from error
    problem = size_problem(camera)
    if problem:
        raise CaptureError(f"{where}: {problem}. Fix: {fix}")
    return camera


def colour_camera(K: np.ndarray, *, size: tuple[int, int], depth: Intrinsics, where: str, options: ScanNetOptions) -> Intrinsics:
    """The colour camera as stored, or made from the depth camera where asked.

    Raises CaptureError where it is a copy of the depth camera (reliability catalogue B07) or cannot belong to its images.
    """
    if options.colour_camera == "from_depth":
        if abs(size[0] / size[1] * depth.height / depth.width - 1.0) > ASPECT_TOLERANCE:
            raise CaptureError(
                f"{where}: colour images of {size[0]}x{size[1]} and depth images of {depth.width}x{depth.height} have different shapes, "
                "so the colour camera is not the depth camera scaled. Fix: leave out colour_camera=from_depth"
            )
        return depth.resized(width=size[0], height=size[1])
    stated = options.image_size or size
    fix = "image_size=WIDTHxHEIGHT of the images that the stored camera belongs to"
    if np.allclose(K[:2, :3], depth.K[:2], rtol=SAME_CAMERA, atol=1e-6):
        fix = (
            f"colour_camera=from_depth, because the stored one is that of the depth images ({depth.width}x{depth.height}), as some scans "
            "have it, and has to be scaled"
        )
    camera = checked_camera(K, size=stated, where=where, fix=fix)
    return camera if stated == size else camera.resized(width=size[0], height=size[1])


def refuse_lost(count: int, total: int, *, where: str, what: str) -> None:
    """Raises CaptureError where more than the allowed share of a scan's frames is gone."""
    if count > MAX_BAD_SHARE * total:
        raise CaptureError(
            f"{where}: expected {total} frames, found {count} of them {what}; more than {MAX_BAD_SHARE:.0%} is a broken file. "
            "Fix: copy or export the scan again"
        )


def _cut_off(sens: SensFile) -> list[SkippedFrame]:
    if sens.lost_reason is None:
        return []
    refuse_lost(
        sens.num_lost, sens.header.num_frames, where=f"{sens.path}: byte {sens.break_at}", what=f"cut off or damaged ({sens.lost_reason})"
    )
    return [SkippedFrame(frame_id=str(index), reason=sens.lost_reason) for index in range(len(sens), sens.header.num_frames)]


def _refuse_mostly_damaged(sens: SensFile, skipped: Sequence[SkippedFrame], places: Sequence[int]) -> None:
    damaged = sum(one.reason in (NO_COLOUR, NO_DEPTH) for one in skipped)
    first = next(one for one in skipped if one.reason in (NO_COLOUR, NO_DEPTH))
    refuse_lost(damaged, len(places), where=sens.place(int(first.frame_id)), what=f"damaged or of another size ({first.reason})")


def _cameras(sens: SensFile, options: ScanNetOptions) -> tuple[Intrinsics, Intrinsics]:
    header, depth_where = sens.header, f"{sens.path}: depth camera"
    depth = checked_camera(header.depth_matrix, size=header.depth_size, where=depth_where, fix="export the recording again")
    where = f"{sens.path}: colour camera"
    return colour_camera(header.colour_matrix, size=header.colour_size, depth=depth, where=where, options=options), depth


def _write_colour(sens: SensFile, index: int, path: Path) -> str | None:
    """Write one colour image; the reason where its bytes are none."""
    stored, kind = sens.colour(index), sens.header.colour_kind
    if kind == "raw":
        width, height = sens.header.colour_size
        if len(stored) != 3 * width * height:
            return NO_COLOUR
        write_rgb_png(path, np.frombuffer(stored, dtype=np.uint8).reshape(height, width, 3))
        return None
    if not stored.startswith(STARTS[kind]):
        return NO_COLOUR
    path.write_bytes(stored)
    return None
