"""Depth packs: all depth maps of a scan in one file, compressed without loss, each found and checked on its own."""

import json
import os
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

import blosc2
import numpy as np

from sightline.arrays import expect
from sightline.errors import CaptureError, DataError
from sightline.files import parse_json

MAGIC = b"SLDEPTH1"
SUFFIX = ".depthpack"
LEVEL = 1  # zstd; measured on recorded depth: 1.1 ms a map and 0.73 of the PNG; 2 takes 1.4 ms for 0.66, 5 takes 8 ms for 0.59
TRY_EVERY = 64
WORTH_IT = 1.25  # differences take a fifth longer to read; recordings with few levels do not need them, finely graded noise does
MAX_MAPS = 1_000_000
MAX_INDEX_BYTES = 64_000_000
_TAIL = struct.Struct("<QI8s")  # offset of the index, its CRC-32, MAGIC


@dataclass(frozen=True, kw_only=True, slots=True)
class _Entry:
    offset: int
    num_bytes: int
    crc32: int
    width: int
    height: int


def compressed(stored: np.ndarray, *, with_differences: bool) -> bytes:
    """One map `(H, W)` uint16 as it stands in a pack: its byte planes, or the differences of neighbours in them.

    Equal maps give equal bytes.
    """
    expect(stored=(stored, "H W"))
    if stored.dtype != np.uint16:
        raise CaptureError(f"depth map: expected uint16, found {stored.dtype}")
    return bytes(
        blosc2.compress2(
            np.ascontiguousarray(stored),
            typesize=2,
            clevel=LEVEL,
            codec=blosc2.Codec.ZSTD,
            filters=[blosc2.Filter.SHUFFLE, *([blosc2.Filter.BYTEDELTA] if with_differences else [])],
            filters_meta=[0, *([stored.itemsize] if with_differences else [])],
            nthreads=1,  # whatever the machine, so that workers do not multiply
            blocksize=1 << max(10, (stored.nbytes - 1).bit_length()),  # the map in one block: a tenth smaller than in blosc2's own
        )
    )


class DepthPackWriter:
    """Appends maps to a pack. The file is whole only after `close` (or the end of its `with` block)."""

    def __init__(self, path: Path):
        self.path = path
        self._stream: BinaryIO = path.open("wb")
        self._stream.write(MAGIC)
        self._entries: list[_Entry] = []
        self._with_differences = False

    def append(self, stored: np.ndarray) -> int:
        """Add one map `(H, W)` uint16 and return its place."""
        payload = self._payload(stored)
        entry = _Entry(
            offset=self._stream.tell(), num_bytes=len(payload), crc32=zlib.crc32(payload), width=stored.shape[1], height=stored.shape[0]
        )
        self._stream.write(payload)
        self._entries.append(entry)
        return len(self._entries) - 1

    def _payload(self, stored: np.ndarray) -> bytes:
        """Compressed with or without differences, whichever suits a map of this recording: tried on one of `TRY_EVERY`."""
        if len(self._entries) % TRY_EVERY:
            return compressed(stored, with_differences=self._with_differences)
        plain, differences = (compressed(stored, with_differences=choice) for choice in (False, True))
        self._with_differences = len(plain) > WORTH_IT * len(differences)
        return differences if self._with_differences else plain

    def close(self) -> None:
        """Write the index. Without it the file is no pack."""
        rows = [[one.offset, one.num_bytes, one.crc32, one.width, one.height] for one in self._entries]
        index = json.dumps(rows, separators=(",", ":")).encode("ascii")
        offset = self._stream.tell()
        self._stream.write(index)
        self._stream.write(_TAIL.pack(offset, zlib.crc32(index), MAGIC))
        self._stream.close()

    def __enter__(self) -> "DepthPackWriter":
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        if kind is None:
            self.close()
        else:
            self._stream.close()


class DepthPack:
    """Reads maps of a pack, in any order; every map is checked against its CRC-32 when it is read."""

    def __init__(self, path: Path):
        self.path = path
        self._entries = _index(path)
        self._stream = path.open("rb")

    def __len__(self) -> int:
        return len(self._entries)

    def size(self, index: int) -> tuple[int, int]:
        """(width, height) of one map, without reading it."""
        entry = self._entry(index)
        return entry.width, entry.height

    def num_bytes(self, index: int) -> int:
        """What one map takes in the file."""
        return self._entry(index).num_bytes

    def read(self, index: int) -> np.ndarray:
        """`(H, W)` uint16 of one map. Raises CaptureError where it is damaged."""
        entry = self._entry(index)
        payload = os.pread(self._stream.fileno(), entry.num_bytes, entry.offset)
        if len(payload) != entry.num_bytes or zlib.crc32(payload) != entry.crc32:
            raise CaptureError(f"{self.path}: map {index}: expected the bytes that were written, found damaged ones; import the scan again")
        stored = np.empty((entry.height, entry.width), dtype=np.uint16)
        try:
            blosc2.decompress2(payload, dst=stored, nthreads=1)
        except (RuntimeError, ValueError, TypeError) as error:
            raise CaptureError(f"{self.path}: map {index}: expected {entry.width}x{entry.height} depth, found {error}") from error
        return stored

    def _entry(self, index: int) -> _Entry:
        if not 0 <= index < len(self._entries):
            raise CaptureError(f"{self.path}: expected a map below {len(self._entries)}, found {index}")
        return self._entries[index]


_OPEN: dict[tuple[str, int, int], DepthPack] = {}
_MAX_OPEN = 64  # indices kept; a pack of 5000 maps has one of 200 kB


def open_pack(path: Path) -> DepthPack:
    """The pack at `path`; its index is kept while the file does not change. Raises CaptureError."""
    try:
        stat = path.stat()
    except OSError as error:
        raise CaptureError(f"{path}: expected a depth pack, found no file") from error
    key = (str(path), stat.st_size, stat.st_mtime_ns)
    if key not in _OPEN:
        if len(_OPEN) >= _MAX_OPEN:
            _OPEN.pop(next(iter(_OPEN)))
        _OPEN[key] = DepthPack(path)
    return _OPEN[key]


def write_depth_pack(path: Path, maps: Sequence[np.ndarray]) -> None:
    """A whole pack at once; `maps` are `(H, W)` uint16."""
    with DepthPackWriter(path) as writer:
        for stored in maps:
            writer.append(stored)


def _index(path: Path) -> tuple[_Entry, ...]:
    try:
        with path.open("rb") as stream:
            head = stream.read(len(MAGIC))
            stream.seek(0, 2)
            total = stream.tell()
            if head != MAGIC or total < len(MAGIC) + _TAIL.size:
                raise CaptureError(f"{path}: expected a depth pack, found another file or one that was not written to its end")
            stream.seek(total - _TAIL.size)
            offset, crc32, magic = _TAIL.unpack(stream.read(_TAIL.size))
            length = total - _TAIL.size - offset
            if magic != MAGIC or not 0 <= length <= MAX_INDEX_BYTES:
                raise CaptureError(f"{path}: expected a depth pack with its index at the end, found one that is truncated or damaged")
            stream.seek(offset)
            index = stream.read(length)
    except OSError as error:
        raise CaptureError(f"{path}: expected a depth pack, found one that cannot be read ({error})") from error
    if zlib.crc32(index) != crc32:
        raise CaptureError(f"{path}: expected the index that was written, found a damaged one; import the scan again")
    try:
        rows = parse_json(index.decode("ascii"), str(path))
    except DataError as error:
        raise CaptureError(str(error)) from error
    if len(rows) > MAX_MAPS:
        raise CaptureError(f"{path}: expected at most {MAX_MAPS} maps, found {len(rows)}")
    return tuple(_Entry(offset=o, num_bytes=n, crc32=c, width=w, height=h) for o, n, c, w, h in rows)
