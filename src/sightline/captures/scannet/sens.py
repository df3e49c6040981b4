"""Reads `.sens` recordings (version 4): a checked header, an index of the frames, then one frame at a time."""

import os
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from isal import isal_zlib

from sightline.captures.images import MAX_PIXELS
from sightline.errors import CaptureError

VERSION = 4
MAX_PART_BYTES = 64_000_000  # of one colour or depth image (reliability catalogue B21)
MAX_FRAMES = 200_000
MAX_NAME_BYTES = 4096
COLOUR = {0: "raw", 1: "png", 2: "jpeg"}
DEPTH = {0: "raw_ushort", 1: "zlib_ushort"}
OCCI = 2
TRUNCATED, DAMAGED = "sens_truncated", "sens_damaged"

_START = struct.Struct("<IQ")  # version, length of the sensor's name
_REST = struct.Struct("<64f2i4IfQ")  # four 4x4 matrices, compressions, sizes, depth shift, number of frames
_FRAME = struct.Struct("<16f4Q")  # pose, microseconds of colour and depth, bytes of colour and depth
_ROW = np.dtype(
    [
        ("pose", "<f4", (4, 4)),
        ("colour_us", "<u8"),
        ("depth_us", "<u8"),
        ("colour_at", "<i8"),
        ("colour_bytes", "<i8"),
        ("depth_bytes", "<i8"),
    ]
)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class SensHeader:
    """What a recording says of itself. Matrices are as stored; sizes are (width, height)."""

    sensor_name: str
    header_bytes: int
    colour_matrix: np.ndarray  # (4, 4)
    colour_extrinsic: np.ndarray  # (4, 4)
    depth_matrix: np.ndarray  # (4, 4)
    depth_extrinsic: np.ndarray  # (4, 4)
    colour_kind: str  # raw | png | jpeg
    depth_kind: str  # raw_ushort | zlib_ushort
    colour_size: tuple[int, int]
    depth_size: tuple[int, int]
    depth_shift: float  # stored units per metre
    num_frames: int  # as stated


class SensFile:
    """A recording: `header`, and `len()` whole frames, each read on its own. `lost_reason` says why frames at the end are missing."""

    def __init__(self, path: Path):
        """Checks the header and walks over the frames' own headers. Raises CaptureError naming the byte."""
        self.path = path
        try:
            self._stream = path.open("rb")
        except OSError as error:
            raise CaptureError(f"{path}: expected a .sens recording, found one that cannot be opened ({error})") from error
        self.lost_reason: str | None = None
        self.break_at: int | None = None  # byte of the first frame that is not whole
        try:
            self.header = _header(path, self._stream)
            self._rows = self._index()
        except CaptureError:
            self._stream.close()
            raise

    def __enter__(self) -> "SensFile":
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def num_lost(self) -> int:
        return self.header.num_frames - len(self)

    def pose(self, index: int) -> np.ndarray:
        """`(4, 4)` float64 world from camera as stored; may hold infinity."""
        return self._rows["pose"][index].astype(np.float64)

    def times_us(self) -> np.ndarray:
        """`(N,)` uint64 timestamps of the colour images."""
        return self._rows["colour_us"].copy()

    def place(self, index: int) -> str:
        """Where a frame stands, for messages."""
        return f"{self.path}: frame {index} at byte {int(self._rows['colour_at'][index]) - _FRAME.size}"

    def colour(self, index: int) -> bytes:
        """The stored bytes of a colour image, unchanged."""
        row = self._rows[index]
        return self._read(int(row["colour_at"]), int(row["colour_bytes"]), index)

    def depth_bytes(self, index: int) -> bytes:
        """The stored bytes of a depth map."""
        row = self._rows[index]
        return self._read(int(row["colour_at"]) + int(row["colour_bytes"]), int(row["depth_bytes"]), index)

    def depth(self, index: int) -> np.ndarray | None:
        """`(H, W)` uint16 in stored units; None where the bytes do not give a map of the stated size."""
        width, height = self.header.depth_size
        payload, wanted = self.depth_bytes(index), 2 * width * height
        if self.header.depth_kind == "zlib_ushort":
            values = _inflated(payload, wanted)
        else:
            values = np.frombuffer(payload, dtype=np.uint8) if len(payload) == wanted else None
        return None if values is None else values.view("<u2").reshape(height, width)

    def _read(self, offset: int, count: int, index: int) -> bytes:
        found = os.pread(self._stream.fileno(), count, offset)
        if len(found) != count:
            raise CaptureError(
                f"{self.place(index)}: expected {count} bytes at {offset}, found {len(found)}; the file changed while it was read"
            )
        return found

    def _index(self) -> np.ndarray:
        """One row per whole frame, in the order of the file. The walk ends where a frame does not fit into the rest."""
        total, offset = self._stream.seek(0, 2), self.header.header_bytes
        rows = np.zeros(min(self.header.num_frames, (total - offset) // _FRAME.size), dtype=_ROW)
        number = 0
        while number < self.header.num_frames:
            head = os.pread(self._stream.fileno(), _FRAME.size, offset)
            if len(head) < _FRAME.size:
                self.lost_reason = TRUNCATED
                break
            *pose, colour_us, depth_us, colour_bytes, depth_bytes = _FRAME.unpack(head)
            if max(colour_bytes, depth_bytes) > MAX_PART_BYTES:
                self.lost_reason = DAMAGED
                break
            after = offset + _FRAME.size + colour_bytes + depth_bytes
            if after > total:
                self.lost_reason = TRUNCATED
                break
            rows[number] = (np.reshape(pose, (4, 4)), colour_us, depth_us, offset + _FRAME.size, colour_bytes, depth_bytes)
            number, offset = number + 1, after
        self.break_at = offset if self.lost_reason else None
        return rows[:number]


def _header(path: Path, stream: BinaryIO) -> SensHeader:
    start = stream.read(_START.size)
    if len(start) < _START.size:
        raise CaptureError(f"{path}: byte 0: expected the header of a .sens recording, found {len(start)} bytes; the file is truncated")
    version, name_bytes = _START.unpack(start)
    if version != VERSION:
        raise CaptureError(
            f"{path}: byte 0: expected .sens version {VERSION}, found {version}. Fix: "
            + ("write it again with a current sens tool" if version < VERSION else "is it a .sens recording?")
        )
    if name_bytes > MAX_NAME_BYTES:
        raise CaptureError(f"{path}: byte 4: expected a sensor name of at most {MAX_NAME_BYTES} bytes, found a length of {name_bytes}")
    name, rest = stream.read(name_bytes), stream.read(_REST.size)
    if len(rest) < _REST.size:
        at = _START.size + name_bytes
        raise CaptureError(f"{path}: byte {at}: expected {_REST.size} bytes of header, found {len(rest)}; the file is truncated")
    *values, colour, depth, colour_width, colour_height, depth_width, depth_height, shift, num_frames = _REST.unpack(rest)
    at = _START.size + name_bytes + 4 * 64
    if colour not in COLOUR:
        raise CaptureError(f"{path}: byte {at}: expected colour compression {_choices(COLOUR)}, found {colour}")
    if depth not in DEPTH:
        found = f"{depth} (occi_ushort, which needs a codec of the first Structure sensors)" if depth == OCCI else f"{depth}"
        raise CaptureError(f"{path}: byte {at + 4}: expected depth compression {_choices(DEPTH)}, found {found}")
    for place, what, width, height in ((at + 8, "colour", colour_width, colour_height), (at + 16, "depth", depth_width, depth_height)):
        if not (0 < width and 0 < height and width * height <= MAX_PIXELS):
            raise CaptureError(f"{path}: byte {place}: expected a {what} size of 1 to {MAX_PIXELS} pixels, found {width}x{height}")
    if not (np.isfinite(shift) and shift > 0.0):
        raise CaptureError(f"{path}: byte {at + 24}: expected a positive depth shift (usually 1000), found {shift}")
    if not 0 < num_frames <= MAX_FRAMES:
        raise CaptureError(f"{path}: byte {at + 28}: expected 1 to {MAX_FRAMES} frames, found {num_frames}")
    matrices = np.array(values, dtype=np.float64).reshape(4, 4, 4)
    return SensHeader(
        sensor_name=name.decode("utf-8", errors="backslashreplace").rstrip("\0"),
        header_bytes=_START.size + name_bytes + _REST.size,
        colour_matrix=matrices[0],
        colour_extrinsic=matrices[1],
        depth_matrix=matrices[2],
        depth_extrinsic=matrices[3],
        colour_kind=COLOUR[colour],
        depth_kind=DEPTH[depth],
        colour_size=(colour_width, colour_height),
        depth_size=(depth_width, depth_height),
        depth_shift=float(shift),
        num_frames=num_frames,
    )


def _inflated(payload: bytes, wanted: int) -> np.ndarray | None:
    """`(wanted,)` uint8 of a zlib stream; None where it is damaged or holds another number of bytes."""
    inflating = isal_zlib.decompressobj()  # half the time of zlib
    try:
        values = inflating.decompress(payload, wanted + 1)  # one more than wanted shows a map that is too large, and no bomb goes off
    except isal_zlib.error:
        return None
    return np.frombuffer(values, dtype=np.uint8) if inflating.eof and len(values) == wanted else None


def _choices(kinds: dict[int, str]) -> str:
    return " or ".join(f"{code} ({name})" for code, name in kinds.items())
