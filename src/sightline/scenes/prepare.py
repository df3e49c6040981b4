"""Looks at every image of a capture before it becomes a scene: colour decoded once, depth packed, empty frames left out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sightline.captures.capture import Capture, Frame, SkippedFrame
from sightline.captures.depth_packs import DepthPackWriter
from sightline.captures.frame_images import depth_place, stored_depth
from sightline.captures.images import check_rgb
from sightline.errors import CaptureError
from sightline.scenes.depth_maps import DepthMaps

MIN_DEPTH_SHARE = 0.01  # a frame with fewer readings shows nothing
MAX_SKIPPED_SHARE = 0.2
PACK_NAME = "prepared.depthpack"


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Prepared:
    """A capture whose images are whole and whose depth, where it has any, lies in one pack."""

    capture: Capture
    depths: DepthMaps | None  # None: no frame has depth
    depth_images: Mapping[str, Path]  # frame id -> the depth image it came from, where that is an image file


def prepare(capture: Capture, workspace: Path) -> Prepared:
    """Decode every image, so that a damaged one is found now and not in training; leave out frames without depth readings.

    Raises CaptureError naming the image, or when more than a fifth of the frames show no depth. A capture in which no frame has
    depth stays as it is.
    """
    for frame in capture.frames:
        width, height = check_rgb(frame.rgb_path)
        if (width, height) != (frame.intrinsics.width, frame.intrinsics.height):
            wanted = f"{frame.intrinsics.width}x{frame.intrinsics.height}"
            raise CaptureError(f"{frame.rgb_path}: expected a colour image of {wanted}, found {width}x{height}")
    if all(frame.depth_path is None for frame in capture.frames):
        return Prepared(capture=capture, depths=None, depth_images={})
    capture = _without(capture, [frame.depth_path is None for frame in capture.frames], reason="depth_missing")
    images = {frame.frame_id: frame.depth_path for frame in capture.frames if frame.depth_path is not None and frame.depth_index is None}
    capture = replace(capture, frames=_packed(capture.frames, workspace))
    depths = DepthMaps(capture)
    empty = [depths.share(index) < MIN_DEPTH_SHARE for index in range(len(capture.frames))]
    kept = _without(capture, empty, reason="depth_empty", images=images)
    depths.leave_out([index for index, is_empty in enumerate(empty) if is_empty])
    return Prepared(capture=kept, depths=depths, depth_images=images)


def _packed(frames: Sequence[Frame], workspace: Path) -> tuple[Frame, ...]:
    """The frames with all their depth maps in one pack; those of a reader that packed them already stay where they are."""
    packs = {frame.depth_path for frame in frames if frame.depth_index is not None}
    if len(packs) == 1 and all(frame.depth_index is not None for frame in frames):
        return tuple(frames)
    path = workspace / PACK_NAME
    with DepthPackWriter(path) as writer:
        places = [writer.append(stored_depth(frame)) for frame in frames]
    return tuple(replace(frame, depth_path=path, depth_index=place) for frame, place in zip(frames, places))


def _without(capture: Capture, left_out: Sequence[bool], *, reason: str, images: Mapping[str, Path] | None = None) -> Capture:
    """The capture without some frames. Raises CaptureError when they are too many, naming the first by its file in `images`."""
    gone = [frame for frame, is_out in zip(capture.frames, left_out) if is_out]
    if not gone:
        return capture
    if len(gone) > MAX_SKIPPED_SHARE * len(capture.frames):
        first = gone[0]
        where = (images or {}).get(first.frame_id) or (depth_place(first) if first.depth_path is not None else f"frame {first.frame_id}")
        raise CaptureError(
            f"{capture.scan_id}: expected depth readings, found {len(gone)} of {len(capture.frames)} depth images with hardly any "
            f"(first: {where}); stored 0 and 65535 count as none"
        )
    kept = tuple(frame for frame, is_out in zip(capture.frames, left_out) if not is_out)
    skipped = tuple(SkippedFrame(frame_id=frame.frame_id, reason=reason) for frame in gone)
    return replace(capture, frames=kept, skipped=(*capture.skipped, *skipped))
