"""The images of a frame, wherever they are kept: colour file, depth image or depth pack, instance image."""

import numpy as np

from sightline.captures.capture import Frame
from sightline.captures.depth_packs import open_pack
from sightline.captures.images import depth_m_from_stored, image_size, read_uint16
from sightline.errors import CaptureError


def stored_depth(frame: Frame) -> np.ndarray:
    """`(H, W)` uint16 in the stored unit, 0 and 65535 without a reading. Raises CaptureError: none, damaged, not of its camera's size."""
    if frame.depth_path is None:
        raise CaptureError(f"frame {frame.frame_id}: expected a depth image, found none")
    stored = read_uint16(frame.depth_path) if frame.depth_index is None else open_pack(frame.depth_path).read(frame.depth_index)
    camera = frame.depth_intrinsics
    if stored.shape != (camera.height, camera.width):
        found = f"{stored.shape[1]}x{stored.shape[0]}"
        raise CaptureError(f"{depth_place(frame)}: expected a depth image of {camera.width}x{camera.height}, found {found}")
    return stored


def frame_depth_m(frame: Frame) -> np.ndarray:
    """`(H, W)` float32 metres, NaN without a reading. Raises CaptureError as `stored_depth`."""
    return depth_m_from_stored(stored_depth(frame), depth_scale_m=frame.depth_scale_m)


def depth_size(frame: Frame) -> tuple[int, int]:
    """(width, height) of the depth image from its header. Raises CaptureError."""
    assert frame.depth_path is not None, "asked of frames with depth"
    return image_size(frame.depth_path) if frame.depth_index is None else open_pack(frame.depth_path).size(frame.depth_index)


def depth_place(frame: Frame) -> str:
    """Where the depth of a frame stands, for messages."""
    return str(frame.depth_path) if frame.depth_index is None else f"{frame.depth_path}: map {frame.depth_index} (frame {frame.frame_id})"
