"""Every so manieth reading of a depth map, with the camera that has just these pixels."""

import math

import numpy as np

from sightline.captures.capture import Frame
from sightline.captures.frame_images import frame_depth_m
from sightline.geometry.cameras import Intrinsics


def thinned_depth(frame: Frame, *, columns: int) -> tuple[np.ndarray, Intrinsics]:
    """Depth `(h, w)` float32 of at most so many columns, NaN without a reading, and its camera. Raises CaptureError without depth.

    Readings are taken, never averaged: a mean over an edge lies on neither side. Of each block the reading nearest to its middle that is
    there stands for the block, so that thinning loses no surface to single missing readings.
    """
    depth_m, camera = frame_depth_m(frame), frame.depth_intrinsics
    step = max(1, math.ceil(depth_m.shape[1] / columns))
    if step == 1:
        return depth_m, camera
    height, width = depth_m.shape[0] // step, depth_m.shape[1] // step
    blocks = depth_m[: height * step, : width * step].reshape(height, step, width, step)
    middle = (step - 1) / 2
    places = sorted(((row - middle) ** 2 + (column - middle) ** 2, row, column) for row in range(step) for column in range(step))
    first = step // 2 if step % 2 else (step - 1) // 2
    part = blocks[:, first, :, first].copy()
    for _, row, column in places:
        missing = np.isnan(part)
        if not missing.any():
            break
        part[missing] = blocks[:, row, :, column][missing]
    # pixel (u, v) of the thinned map is pixel (first + u * step, first + v * step); a stand-in is off by less than a block
    return part, Intrinsics(
        fx=camera.fx / step,
        fy=camera.fy / step,
        cx=(camera.cx - first) / step,
        cy=(camera.cy - first) / step,
        width=width,
        height=height,
    )
