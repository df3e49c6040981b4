"""The pixels of a plain 16-bit grey PNG, the usual kind of depth image, in half the time of a general decoder."""

import struct

import numba
import numpy as np
from isal import isal_zlib

SIGNATURE = b"\x89PNG\r\n\x1a\n"
PLAIN = (16, 0, 0, 0, 0)  # bits, grey, deflate, the five filters, not interlaced: PNG specification (third edition), 11.2.1
MOST_CHUNK_BYTES = (1 << 31) - 1


class DamagedPngError(ValueError):
    """A plain 16-bit grey PNG whose data is not whole; says what is wrong with it."""


def read_plain_png16(data: bytes, *, max_pixels: int) -> np.ndarray | None:
    """`(H, W)` uint16 of the file `data`; None for anything but a plain 16-bit grey PNG of at most `max_pixels`, which others may read.

    Checksums of all chunks and of the pixels are verified. Raises DamagedPngError for a plain file that is cut, altered, or holds more
    or fewer pixels than it says.
    """
    if len(data) < 33 or data[:8] != SIGNATURE or data[8:16] != b"\x00\x00\x00\rIHDR":
        return None
    width, height, *kind = struct.unpack(">IIBBBBB", data[16:29])
    if tuple(kind) != PLAIN or not 0 < width * height <= max_pixels:
        return None
    deflated = _joined(data)
    expected = height * (1 + 2 * width)
    inflating = isal_zlib.decompressobj()
    try:
        filtered = inflating.decompress(deflated, expected + 1)  # one more than there may be, so that too many are noticed
        if len(filtered) == expected and not inflating.eof:
            filtered += inflating.decompress(inflating.unconsumed_tail, 1)  # the checksum may be left
    except isal_zlib.error as error:
        raise DamagedPngError(f"its pixels do not inflate: {error}") from error
    if len(filtered) != expected or not inflating.eof:
        raise DamagedPngError(f"expected {expected} bytes of pixels, found {'more' if len(filtered) > expected else len(filtered)}")
    values = np.empty((height, width), dtype=np.uint16)
    row = _unfilter(np.frombuffer(filtered, dtype=np.uint8).reshape(height, 1 + 2 * width), values)
    if row >= 0:
        raise DamagedPngError(f"expected a filter of 0 to 4 in row {row}, found {filtered[row * (1 + 2 * width)]}")
    return values


def _joined(data: bytes) -> bytes | memoryview:
    """The deflated pixels, of all IDAT chunks together. Raises DamagedPngError."""
    view, at, parts = memoryview(data), 8, []
    while True:
        if at + 12 > len(data):
            raise DamagedPngError(f"it ends at byte {len(data)}, before its end chunk")
        size, name = int.from_bytes(view[at : at + 4], "big"), bytes(view[at + 4 : at + 8])
        end = at + 8 + size
        if size > MOST_CHUNK_BYTES or end + 4 > len(data):
            raise DamagedPngError(f"it ends at byte {len(data)}, within a chunk of {size} bytes that begins at {at}")
        if isal_zlib.crc32(view[at + 4 : end]) != int.from_bytes(view[end : end + 4], "big"):
            raise DamagedPngError(f"the checksum of the chunk at byte {at} is not that of its data")
        if name == b"IDAT":
            parts.append(view[at + 8 : end])
        if name == b"IEND":
            return parts[0] if len(parts) == 1 else b"".join(parts)
        at = end + 4


@numba.njit(cache=True, nogil=True)
def _unfilter(filtered, values):  # pragma: no cover - compiled
    """Undo the filters of rows of big-endian pairs of bytes; returns the first row of an unknown filter, -1 for none."""
    height, width = values.shape
    above = np.zeros(width, dtype=np.uint16)
    for row in range(height):
        line, out, kind = filtered[row], values[row], filtered[row, 0]
        if kind == 0:
            for k in range(width):
                out[k] = np.uint16(np.uint32(line[1 + 2 * k]) << 8 | np.uint32(line[2 + 2 * k]))
        elif kind == 1:
            high, low = np.uint32(0), np.uint32(0)
            for k in range(width):
                high = high + np.uint32(line[1 + 2 * k])
                low = low + np.uint32(line[2 + 2 * k])
                out[k] = np.uint16((high & np.uint32(255)) << np.uint32(8) | (low & np.uint32(255)))
        elif kind == 2:
            for k in range(width):
                high = np.uint32(line[1 + 2 * k]) + np.uint32(above[k] >> 8)
                low = np.uint32(line[2 + 2 * k]) + np.uint32(above[k] & 255)
                out[k] = np.uint16((high & np.uint32(255)) << np.uint32(8) | (low & np.uint32(255)))
        elif kind == 3:
            left_high, left_low = np.int32(0), np.int32(0)
            for k in range(width):
                left_high = (np.int32(line[1 + 2 * k]) + ((left_high + np.int32(above[k] >> 8)) >> 1)) & 255
                left_low = (np.int32(line[2 + 2 * k]) + ((left_low + np.int32(above[k] & 255)) >> 1)) & 255
                out[k] = np.uint16(left_high << 8 | left_low)
        elif kind == 4:
            left_high, left_low, corner_high, corner_low = np.int32(0), np.int32(0), np.int32(0), np.int32(0)
            for k in range(width):
                up_high, up_low = np.int32(above[k] >> 8), np.int32(above[k] & 255)
                left_high = (np.int32(line[1 + 2 * k]) + _paeth(left_high, up_high, corner_high)) & 255
                left_low = (np.int32(line[2 + 2 * k]) + _paeth(left_low, up_low, corner_low)) & 255
                out[k] = np.uint16(left_high << 8 | left_low)
                corner_high, corner_low = up_high, up_low
        else:
            return row
        above = out
    return -1


@numba.njit(cache=True, nogil=True, inline="always")
def _paeth(left, up, corner):  # pragma: no cover - compiled
    """The neighbour nearest to `left + up - corner`; of equals the left one, then the upper one."""
    from_left, from_up = abs(up - corner), abs(left - corner)
    from_corner = abs(left + up - corner - corner)
    nearest = corner
    if from_up <= from_corner:
        nearest = up
    if from_left <= from_up and from_left <= from_corner:
        nearest = left
    return nearest
