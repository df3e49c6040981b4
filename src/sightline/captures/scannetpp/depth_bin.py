"""Reads the `depth.bin` of ScanNet++ phones in each of its encodings, map by map: one deflate stream, or lz4 or deflate per map."""

import os
import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import lz4.block
import numpy as np

from sightline.captures.float_depth import QUANTISED_M, quantised
from sightline.errors import CaptureError

WIDTH, HEIGHT = 256, 192
MILLIMETRE_M = 0.001
STREAM, PER_MAP = "one raw-deflate stream of float32 metres", "one payload per map"
_FLOAT_BYTES, _SHORT_BYTES = 4 * WIDTH * HEIGHT, 2 * WIDTH * HEIGHT
_SIZE = struct.Struct("<I")
_MAX_PAYLOAD = _FLOAT_BYTES + 1024  # what cannot be compressed grows by a few bytes
_CHUNK = 1 << 18
_MAX_MAPS = 200_000  # an hour at 60 Hz
_FARTHEST_M = 100.0  # no phone reads further: a decoded stream with other values is none of depth
_PLAUSIBLE = 0.99


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class StoredMap:
    """One depth map `(192, 256)` uint16, 0 without a reading; metres per value."""

    values: np.ndarray
    unit_m: float


def encoding(path: Path) -> str:
    """`STREAM` or `PER_MAP`. Raises CaptureError for a file that is neither, naming the byte where the chain of sizes breaks."""
    with _opened(path) as stream:
        maps, offset, found = _chain(stream)
        if found is None:
            return PER_MAP
        first = _first_of_stream(stream)
    if first is not None:
        return STREAM
    raise CaptureError(
        f"{path}: expected {PER_MAP} or {STREAM}, found {maps} whole maps and at byte {offset} {found}; the file is truncated or damaged"
    )


def depth_maps(path: Path, wanted: Sequence[int]) -> Iterator[tuple[int, StoredMap]]:
    """(index, map) of the wanted maps that the file holds, in ascending order; one map in memory.

    Fewer come where the file ends before the last wanted one. Raises CaptureError: neither encoding, damaged, or maps of another size.
    """
    places = sorted(set(wanted))
    if not places:
        return
    yield from (_of_stream if encoding(path) == STREAM else _of_payloads)(path, places)


def _opened(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except OSError as error:
        raise CaptureError(f"{path}: expected a depth file, found none that can be read ({error})") from error


def _chain(stream: BinaryIO) -> tuple[int, int, str | None]:
    """Follow the sizes: (maps passed, byte where it ended, what broke it or None where it ends with the file)."""
    total, offset, maps = os.fstat(stream.fileno()).st_size, 0, 0
    if total == 0:
        return 0, 0, "an empty file"
    while offset < total:
        stream.seek(offset)
        head = stream.read(_SIZE.size)
        if len(head) < _SIZE.size:
            return maps, offset, f"{len(head)} bytes instead of a size"
        (size,) = _SIZE.unpack(head)
        left = total - offset - _SIZE.size
        if not 0 < size <= min(_MAX_PAYLOAD, left):
            return maps, offset, f"a size of {size} bytes where {left} are left and a map takes at most {_MAX_PAYLOAD}"
        offset, maps = offset + _SIZE.size + size, maps + 1
    return maps, offset, None


def _first_of_stream(stream: BinaryIO) -> np.ndarray | None:
    """The first map where the file is one deflate stream of plausible metres, else None."""
    stream.seek(0)
    worker = zlib.decompressobj(-zlib.MAX_WBITS)
    out = b""
    try:
        while len(out) < _FLOAT_BYTES and not worker.eof:
            chunk = worker.unconsumed_tail or stream.read(_CHUNK)
            more = worker.decompress(chunk, _FLOAT_BYTES - len(out))
            if not chunk and not more:
                break
            out += more
    except zlib.error:
        return None
    if len(out) < _FLOAT_BYTES:
        return None
    first = np.frombuffer(out, dtype="<f4")
    return first if (~np.isfinite(first) | ((first >= 0) & (first < _FARTHEST_M))).mean() > _PLAUSIBLE else None


def _of_stream(path: Path, places: list[int]) -> Iterator[tuple[int, StoredMap]]:
    """Goes on to the end of the stream after the last wanted map: only there a wrong size of maps shows."""
    asked = set(places)
    with _opened(path) as stream:
        worker = zlib.decompressobj(-zlib.MAX_WBITS)
        for index in range(_MAX_MAPS):
            raw = _next_of_stream(path, stream, worker, index)
            if not raw:
                return
            if len(raw) < _FLOAT_BYTES:
                raise CaptureError(
                    f"{path}: map {index}: expected {_FLOAT_BYTES} bytes ({WIDTH}x{HEIGHT} float32), found {len(raw)}; another size"
                )
            if index in asked:
                yield index, _of_metres(raw)
    raise CaptureError(f"{path}: expected at most {_MAX_MAPS} maps, found more")


def _next_of_stream(path: Path, stream: BinaryIO, worker: "zlib._Decompress", index: int) -> bytes:
    """The next map's bytes, fewer at the end of the stream."""
    out = bytearray()
    while len(out) < _FLOAT_BYTES and not worker.eof:
        where = stream.tell()
        chunk = worker.unconsumed_tail or stream.read(_CHUNK)
        try:
            more = worker.decompress(chunk, _FLOAT_BYTES - len(out))  # may give what an earlier chunk had no room for
        except zlib.error as error:
            raise CaptureError(f"{path}: near byte {where}: expected deflated depth, found damage in map {index} ({error})") from error
        if not chunk and not more and not worker.eof:
            raise CaptureError(
                f"{path}: byte {where}: expected more of the stream of depth, found the end of the file in map {index}; it is truncated"
            )
        out += more
    return bytes(out)


def _of_payloads(path: Path, places: list[int]) -> Iterator[tuple[int, StoredMap]]:
    asked = set(places)
    with _opened(path) as stream:
        for index in range(places[-1] + 1):
            where = stream.tell()
            head = stream.read(_SIZE.size)
            if not head:
                return
            (size,) = _SIZE.unpack(head)  # the chain of sizes was checked to end with the file
            if index in asked:
                yield index, _of_payload(stream.read(size), where=f"{path}: map {index} at byte {where}")
            else:
                stream.seek(size, os.SEEK_CUR)


def _of_payload(payload: bytes, *, where: str) -> StoredMap:
    """lz4 of uint16 millimetres, else raw deflate of float32 metres; both bounded by the size of a map."""
    try:
        values = lz4.block.decompress(payload, uncompressed_size=_SHORT_BYTES)
    except lz4.block.LZ4BlockError:
        values = b""
    if len(values) == _SHORT_BYTES:
        return StoredMap(values=np.frombuffer(values, dtype="<u2").reshape(HEIGHT, WIDTH), unit_m=MILLIMETRE_M)
    worker = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        metres = worker.decompress(payload, _FLOAT_BYTES + 1)
    except zlib.error as error:
        raise CaptureError(f"{where}: expected lz4 or deflated depth, found neither ({error})") from error
    if len(metres) != _FLOAT_BYTES or not worker.eof or worker.unused_data:
        raise CaptureError(
            f"{where}: expected {_FLOAT_BYTES} bytes ({WIDTH}x{HEIGHT} float32) or {_SHORT_BYTES} (uint16), found "
            f"{'more than ' if len(metres) > _FLOAT_BYTES else ''}{min(len(metres), _FLOAT_BYTES)}; depth of another size or damaged"
        )
    return _of_metres(metres)


def _of_metres(raw: bytes) -> StoredMap:
    return StoredMap(values=quantised(np.frombuffer(raw, dtype="<f4").reshape(HEIGHT, WIDTH)), unit_m=QUANTISED_M)
