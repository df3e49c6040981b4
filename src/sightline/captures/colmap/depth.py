"""COLMAP's dense depth maps: `width&height&channels&` as text, then float32 values row by row, 0 without a reading."""

import re
from pathlib import Path

import numpy as np

from sightline.captures.images import MAX_PIXELS
from sightline.errors import CaptureError

KINDS = (".geometric.bin", ".photometric.bin")  # the first is filtered by agreement between views
_HEADER = re.compile(rb"(\d{1,9})&(\d{1,9})&(\d{1,9})&")
_HEADER_BYTES = 32


def find_depth_map(folder: Path, name: str) -> Path | None:
    """The depth map of an image by its name, geometric before photometric."""
    return next((path for kind in KINDS if (path := folder / f"{name}{kind}").is_file()), None)


def read_depth_map(path: Path) -> np.ndarray:
    """`(H, W)` float32 in the model's unit. Raises CaptureError: no such header, or a size that the file does not have."""
    with path.open("rb") as stream:
        head = stream.read(_HEADER_BYTES)
        match = _HEADER.match(head)
        if match is None:
            raise CaptureError(f"{path}: expected 'width&height&channels&' at its start, found {head[:16]!r}")
        width, height, channels = (int(digits) for digits in match.groups())
        if channels != 1 or not 0 < width * height <= MAX_PIXELS:
            raise CaptureError(f"{path}: expected one channel of at most {MAX_PIXELS} pixels, found {width}x{height}x{channels}")
        wanted, left = 4 * width * height, path.stat().st_size - match.end()
        if left != wanted:
            raise CaptureError(f"{path}: expected {wanted} bytes after byte {match.end()} for {width}x{height} floats, found {left}")
        stream.seek(match.end())
        return np.frombuffer(stream.read(wanted), dtype="<f4").reshape(height, width)
