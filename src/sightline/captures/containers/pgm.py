"""Reads 16-bit binary PGM depth maps (`P5`), strictly: header, size and bytes must agree."""

import re
from pathlib import Path

import numpy as np

from sightline.captures.images import MAX_PIXELS
from sightline.errors import CaptureError

MAX_HEADER_BYTES = 4096
_HEADER = re.compile(rb"P5(?:\s+|\s*#[^\n]*\n)+(\d{1,9})(?:\s+|\s*#[^\n]*\n)+(\d{1,9})(?:\s+|\s*#[^\n]*\n)+(\d{1,9})\s")


def parse_pgm(data: bytes, *, where: str) -> np.ndarray:
    """`(H, W)` uint16 of the bytes of one file; two bytes per pixel, the high one first, as the format says. Raises CaptureError."""
    width, height, at = _header(data, where=where)
    expected = at + 2 * width * height
    if len(data) != expected:
        fault = "truncated" if len(data) < expected else "followed by something else"
        raise CaptureError(f"{where}: expected {expected} bytes for a PGM of {width}x{height}, found {len(data)}; the image is {fault}")
    return np.frombuffer(data, dtype=">u2", offset=at).reshape(height, width).astype(np.uint16)


def read_pgm(path: Path) -> np.ndarray:
    """`(H, W)` uint16 of one file. Raises CaptureError."""
    try:
        num_bytes = path.stat().st_size
        if num_bytes > MAX_HEADER_BYTES + 2 * MAX_PIXELS:
            raise CaptureError(f"{path}: expected a PGM of at most {MAX_PIXELS} pixels, found {num_bytes} bytes")
        return parse_pgm(path.read_bytes(), where=str(path))
    except OSError as error:
        raise CaptureError(f"{path}: expected a PGM depth map, found a file that cannot be read ({error})") from error


def _header(data: bytes, *, where: str) -> tuple[int, int, int]:
    """Width, height and where the pixels start."""
    match = _HEADER.match(data[:MAX_HEADER_BYTES])
    if match is None:
        raise CaptureError(f"{where}: expected a binary PGM (`P5 WIDTH HEIGHT MAXIMUM`), found {data[:24]!r}")
    width, height, maximum = (int(word) for word in match.groups())
    if not 255 < maximum <= 65535:
        raise CaptureError(f"{where}: expected a 16-bit PGM (a maximum of 256 to 65535), found {maximum}")
    if not 0 < width * height <= MAX_PIXELS:
        raise CaptureError(f"{where}: expected 1 to {MAX_PIXELS} pixels, found {width}x{height}")
    return width, height, match.end()
