"""Reads `.npz` files of others without running anything they hold: plain arrays checked against their bytes, byte strings one by one."""

import io
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tokenize import TokenError
from types import TracebackType
from typing import BinaryIO

import numpy as np

from sightline.captures.containers.archives import SafeZip
from sightline.captures.containers.safe_pickle import read_pickle
from sightline.errors import CaptureError

SUFFIX = ".npy"
MAX_ARRAY_BYTES = 1 << 30  # 2000 tracks over 300 frames are 14 MB
MAX_HEADER_BYTES = 10_000
MAX_STRINGS = 100_000
_PLAIN = "biuf"  # kinds of arrays that are taken: whole and real numbers, truth values
_VERSIONS = ((1, 0), (2, 0))
_BROKEN = (
    ValueError,
    TypeError,
    SyntaxError,
    TokenError,
    EOFError,
    KeyError,
    RecursionError,
    MemoryError,
)  # what a hostile header makes NumPy raise


class SafeNpz:
    """An archive of arrays: `with SafeNpz(path) as arrays: arrays.array("visibility")`. Raises CaptureError naming file and array."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._zip = SafeZip(path)

    def __enter__(self) -> "SafeNpz":
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self._zip.__exit__(kind, value, trace)

    def names(self) -> tuple[str, ...]:
        """Names of the arrays."""
        return tuple(name.removesuffix(SUFFIX) for name in self._zip.names() if name.endswith(SUFFIX))

    def array(self, name: str) -> np.ndarray:
        """An array of numbers or truth values. Read-only."""
        return _plain_array(self._zip.read(name + SUFFIX, max_bytes=MAX_ARRAY_BYTES), where=self._where(name))

    def byte_strings(self, name: str, *, workspace: Path) -> Iterator[bytes]:
        """The byte strings of an array of one axis, of fixed length or as objects; `workspace` holds its member meanwhile."""
        path = self._zip.extract([name + SUFFIX], workspace)[name + SUFFIX]
        try:
            with path.open("rb") as stream:
                header = _read_header(stream, where=self._where(name))
            shape, dtype, offset = header.shape, header.dtype, header.num_bytes
            if len(shape) != 1 or shape[0] > MAX_STRINGS:
                raise self._refusal(name, f"expected one axis of at most {MAX_STRINGS} byte strings, found shape {shape}")
            if dtype.kind == "S":
                _expect_bytes(header, path.stat().st_size - offset, where=self._where(name))
                fixed = np.memmap(path, dtype=dtype, mode="r", offset=offset, shape=shape) if shape[0] and dtype.itemsize else []
                for one in fixed:
                    yield bytes(one)  # without the zeros that fill it up; a JPEG ends with another byte
            elif dtype.kind == "O":
                yield from self._objects(name, path, offset, shape[0])
            else:
                raise self._refusal(name, f"expected byte strings, found an array of type {dtype}")
        finally:
            path.unlink()

    def _objects(self, name: str, path: Path, offset: int, count: int) -> Iterator[bytes]:
        try:
            held = read_pickle(path, offset=offset, object_arrays=True)
        except CaptureError as error:
            raise self._refusal(name, str(error).removeprefix(f"{path}: ")) from error
        if not isinstance(held, list) or len(held) != count:
            raise self._refusal(
                name, f"expected {count} byte strings, found {len(held) if isinstance(held, list) else type(held).__name__}"
            )
        for place, one in enumerate(held):
            if not isinstance(one, bytes):
                raise self._refusal(name, f"expected byte strings, found a {type(one).__name__} at {place}")
            yield one

    def _where(self, name: str) -> str:
        return f"{self.path}: array '{name}'"

    def _refusal(self, name: str, problem: str) -> CaptureError:
        return CaptureError(f"{self._where(name)}: {problem}")


@dataclass(frozen=True, kw_only=True, slots=True)
class _Header:
    """What an array file says of itself."""

    shape: tuple[int, ...]
    is_fortran: bool
    dtype: np.dtype
    num_bytes: int  # of the header


def read_npy(path: Path) -> np.ndarray:
    """The array of numbers or truth values of one `.npy` file. Read-only. Raises CaptureError naming the file."""
    try:
        size = path.stat().st_size
        if size > MAX_ARRAY_BYTES:
            raise CaptureError(f"{path}: expected an array of at most {MAX_ARRAY_BYTES} bytes, found {size}")
        return _plain_array(path.read_bytes(), where=str(path))
    except OSError as error:
        raise CaptureError(f"{path}: expected an array, found a file that cannot be read ({error})") from error


def _plain_array(content: bytes, *, where: str) -> np.ndarray:
    header = _read_header(io.BytesIO(content), where=where)
    if header.dtype.kind not in _PLAIN:
        raise CaptureError(f"{where}: expected numbers, found an array of type {header.dtype}")
    _expect_bytes(header, len(content) - header.num_bytes, where=where)
    values = np.frombuffer(content, dtype=header.dtype, offset=header.num_bytes)
    return values.reshape(header.shape, order="F" if header.is_fortran else "C")


def _read_header(stream: BinaryIO, *, where: str) -> _Header:
    try:
        version = np.lib.format.read_magic(stream)
        if version not in _VERSIONS:
            raise CaptureError(f"{where}: expected an array of format 1.0 or 2.0, found {version[0]}.{version[1]}")
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, is_fortran, dtype = read(stream, max_header_size=MAX_HEADER_BYTES)
    except _BROKEN as error:
        problem = " ".join(str(error).split())[:120]
        raise CaptureError(f"{where}: expected the header of an array, found a truncated or damaged one ({problem})") from error
    return _Header(shape=shape, is_fortran=is_fortran, dtype=dtype, num_bytes=stream.tell())


def _expect_bytes(header: _Header, found: int, *, where: str) -> None:
    wanted = math.prod(header.shape) * header.dtype.itemsize
    if min(header.shape, default=0) < 0 or wanted != found:
        raise CaptureError(f"{where}: expected {wanted} bytes of {header.dtype} for shape {header.shape}, found {found}")
