"""Reads `.npz` files of others without running anything they hold: plain arrays checked against their bytes, byte strings one by one."""

import io
import math
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

import numpy as np

from sightline.captures.archives import SafeZip
from sightline.captures.safe_pickle import read_pickle
from sightline.errors import CaptureError

SUFFIX = ".npy"
MAX_ARRAY_BYTES = 1 << 30  # 2000 tracks over 300 frames are 14 MB
MAX_HEADER_BYTES = 10_000
MAX_STRINGS = 100_000
_PLAIN = "biuf"  # kinds of arrays that are taken: whole and real numbers, truth values
_VERSIONS = ((1, 0), (2, 0))


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
        content = self._zip.read(name + SUFFIX, max_bytes=MAX_ARRAY_BYTES)
        stream = io.BytesIO(content)
        shape, is_fortran, dtype = self._header(name, stream)
        if dtype.kind not in _PLAIN:
            raise self._refusal(name, f"expected numbers, found an array of type {dtype}")
        offset = stream.tell()
        self._expect_bytes(name, shape, dtype, len(content) - offset)
        return np.frombuffer(content, dtype=dtype, offset=offset).reshape(shape, order="F" if is_fortran else "C")

    def byte_strings(self, name: str, *, workspace: Path) -> Iterator[bytes]:
        """The byte strings of an array of one axis, of fixed length or as objects; `workspace` holds its member meanwhile."""
        path = self._zip.extract([name + SUFFIX], workspace)[name + SUFFIX]
        try:
            with path.open("rb") as stream:
                shape, _, dtype = self._header(name, stream)
                offset = stream.tell()
            if len(shape) != 1 or shape[0] > MAX_STRINGS:
                raise self._refusal(name, f"expected one axis of at most {MAX_STRINGS} byte strings, found shape {shape}")
            if dtype.kind == "S":
                self._expect_bytes(name, shape, dtype, path.stat().st_size - offset)
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

    def _header(self, name: str, stream: BinaryIO) -> tuple[tuple[int, ...], bool, np.dtype]:
        try:
            version = np.lib.format.read_magic(stream)
            if version not in _VERSIONS:
                raise self._refusal(name, f"expected an array of format 1.0 or 2.0, found {version[0]}.{version[1]}")
            read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            shape, is_fortran, dtype = read(stream, max_header_size=MAX_HEADER_BYTES)
        except (ValueError, TypeError, SyntaxError, EOFError, RecursionError, MemoryError) as error:
            problem = " ".join(str(error).split())[:200]
            raise self._refusal(name, f"expected the header of an array, found a truncated or damaged one ({problem})") from error
        return shape, is_fortran, dtype

    def _expect_bytes(self, name: str, shape: tuple[int, ...], dtype: np.dtype, found: int) -> None:
        wanted = math.prod(shape) * dtype.itemsize
        if min(shape, default=0) < 0 or wanted != found:
            raise self._refusal(name, f"expected {wanted} bytes of {dtype} for shape {shape}, found {found}")

    def _refusal(self, name: str, problem: str) -> CaptureError:
        return CaptureError(f"{self.path}: array '{name}': {problem}")
