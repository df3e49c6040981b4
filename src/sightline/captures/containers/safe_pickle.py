"""Reads pickled plain values and NumPy arrays without running anything they hold: allow-listed names, in a limited child process.

A pickle is a program. Here its only callables are eight of this file's own, reached by exact (module, name) pairs; every other name is
refused. The load happens in a child process under limits of memory and processor time, which hands its result back as JSON and raw
bytes, so a file that claims gigabytes, nests without end or is cut off ends in one CaptureError (reliability catalogue B30, B31).
"""

import gc
import json
import math
import os
import pickle
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

from sightline.errors import CaptureError

BASE_MEMORY_BYTES = 1 << 30  # of the child, on top of what the size of the file calls for
MEMORY_PER_BYTE = 24  # a pickled frame record takes 8 to 15 bytes of memory per byte of file
BASE_CPU_S = 30
CPU_S_PER_MB = 2.0  # a plain load takes 0.02 to 0.1 s
MAX_DEPTH = 64  # of lists in lists; dataset files have six
SPARE_VALUES = 10_000  # values beyond one per byte: more is a file that repeats itself on purpose
MAX_ITEM_BYTES = 4096  # of one array element
_DTYPE = re.compile(r"(?:[biu][1248]|f[248]|c(?:8|16)|[SU]\d{1,4})$")
_PLAIN = {type(None), bool, int, str}
_KEYS = _PLAIN | {float, bytes}
_BROKEN = (
    pickle.UnpicklingError,
    EOFError,
    ValueError,
    TypeError,
    AttributeError,
    KeyError,
    IndexError,
    OverflowError,
    ImportError,
    RecursionError,
)


class _RefusedError(Exception):
    """What a file holds is not on the list."""


class _Sealed:
    """Something that a pickle may hold and not change."""

    __slots__ = ()

    def __setstate__(self, state: Any) -> NoReturn:
        raise _RefusedError("a change to an allowed name or a number")


class _Allowed(_Sealed):
    """A callable of ours that a pickle may name."""

    __slots__ = ("_call",)

    def __init__(self, call: Callable[..., Any]):
        self._call = call

    def __call__(self, *arguments: Any) -> Any:
        return self._call(*arguments)


class _Dtype:
    """The type of an array: a code such as `f8`, and a byte order that BUILD may set once."""

    __slots__ = ("code", "order")

    def __init__(self, code: str):
        self.code = code
        self.order = "<"

    def __setstate__(self, state: Any) -> None:
        if type(state) is not tuple or len(state) < 5 or state[1] not in ("<", ">", "|", "=") or any(state[2:5]):
            raise _RefusedError(f"an array type with fields or parts: {state!r:.80}")
        self.order = "<" if state[1] in "|=" else state[1]

    @property
    def text(self) -> str:
        return self.order + self.code

    @property
    def num_bytes(self) -> int:
        return int(self.code[1:]) * (4 if self.code[0] == "U" else 1)


class _Array:
    """An array as its parts: type, shape, order of the axes in memory, and bytes (or the list of its plain values)."""

    __slots__ = ("dtype", "shape", "data", "is_fortran")

    def __init__(self) -> None:
        self.dtype: _Dtype | None = None
        self.shape: tuple[int, ...] = ()
        self.data: bytes | list = b""
        self.is_fortran = False

    def __setstate__(self, state: Any) -> None:
        if type(state) is not tuple or len(state) != 5:
            raise _RefusedError("an array whose state is not (version, shape, type, order, data)")
        self.fill(state[2], state[1], state[4], is_fortran=bool(state[3]))

    def fill(self, dtype: Any, shape: Any, data: Any, *, is_fortran: bool) -> None:
        if type(dtype) is not _Dtype or type(shape) is not tuple or any(type(size) is not int or size < 0 for size in shape):
            raise _RefusedError("an array without a plain type and shape")
        count = math.prod(shape)
        if dtype.code == "O":
            if type(data) is not list or len(data) != count:
                raise ValueError(f"an array of {count} objects that holds another number of them")
        elif type(data) not in (bytes, bytearray) or len(data) != count * dtype.num_bytes:
            raise ValueError(f"an array of shape {shape} and type {dtype.text} without its {count * dtype.num_bytes} bytes")
        self.dtype, self.shape, self.data, self.is_fortran = dtype, shape, data, is_fortran


class _Scalar(_Sealed):
    __slots__ = ("dtype", "data")

    def __init__(self, dtype: _Dtype, data: bytes):
        self.dtype, self.data = dtype, data


class _Name(_Sealed):
    """Stands for `numpy.ndarray`, which array records name and nothing may call."""

    __slots__ = ()


_NDARRAY = _Name()


def _reconstruct(kind: Any, shape: Any, code: Any) -> _Array:
    if kind is not _NDARRAY:
        raise _RefusedError("an array of a class of its own")
    return _Array()


def _from_buffer(data: Any, dtype: Any, shape: Any, order: Any, *axes: Any) -> _Array:
    if order not in ("C", "F") or axes not in ((), (None,)):
        raise _RefusedError(f"an array in memory order {order!r:.20}")
    array = _Array()
    array.fill(dtype, shape, data, is_fortran=order == "F")
    return array


def _scalar(dtype: Any, data: Any) -> _Scalar:
    if type(dtype) is not _Dtype or type(data) is not bytes or dtype.code == "O" or len(data) != dtype.num_bytes:
        raise _RefusedError("a number without a plain type and its bytes")
    return _Scalar(dtype, data)


def _encode(text: Any, encoding: Any) -> bytes:
    if type(text) is not str or encoding not in ("latin1", "latin-1"):
        raise _RefusedError(f"the encoding {encoding!r:.40}")
    return text.encode("latin-1")


def _no_bytes() -> bytes:
    return b""


def _set(values: Any = ()) -> set:
    if type(values) not in (list, tuple):
        raise _RefusedError("a set of something else than a list")
    return set(values)


def _dtype_maker(object_arrays: bool) -> Callable[..., _Dtype]:
    def make(code: Any, align: Any = False, copy: Any = True) -> _Dtype:
        if type(code) is str and object_arrays and code in ("O", "O8"):
            return _Dtype("O")
        if type(code) is not str or not _DTYPE.match(code) or _Dtype(code).num_bytes > MAX_ITEM_BYTES:
            raise _RefusedError(f"an array of type {code!r:.40}")
        return _Dtype(code)

    return make


def _names(object_arrays: bool) -> dict[tuple[str, str], Any]:
    """Everything that a file may name, and what it gets."""
    names: dict[tuple[str, str], Any] = {
        ("numpy", "ndarray"): _NDARRAY,
        ("numpy", "dtype"): _Allowed(_dtype_maker(object_arrays)),
        ("_codecs", "encode"): _Allowed(_encode),
        ("__builtin__", "bytes"): _Allowed(_no_bytes),  # how protocol 2 writes b""
        ("__builtin__", "set"): _Allowed(_set),  # and sets, which protocol 3 calls by their name of today
        ("builtins", "set"): _Allowed(_set),
    }
    for core in ("numpy.core", "numpy._core"):  # the name before and since NumPy 2
        names[f"{core}.multiarray", "_reconstruct"] = _Allowed(_reconstruct)
        names[f"{core}.multiarray", "scalar"] = _Allowed(_scalar)
        names[f"{core}.numeric", "_frombuffer"] = _Allowed(_from_buffer)
    return names


class _Unpickler(pickle.Unpickler):
    def __init__(self, stream: BinaryIO, *, object_arrays: bool):
        super().__init__(stream)
        self._names = _names(object_arrays)

    def find_class(self, module: str, name: str) -> Any:
        try:
            return self._names[module, name]
        except KeyError:
            shown = f"{module}.{name}"[:160]
            raise _RefusedError(f"the name {shown!a}") from None

    def persistent_load(self, pid: Any) -> NoReturn:
        raise _RefusedError("a reference to something outside the file")


class _Result:
    """Values as JSON: plain ones as they are, everything else as a mapping of one letter; the bytes of arrays lie in one file beside."""

    def __init__(self, stream: BinaryIO, *, max_values: int):
        self._stream = stream
        self._left = max_values
        self._offset = 0
        self._places: dict[int, tuple[Any, int]] = {}  # an object that stands in several places is written once

    def json_of(self, value: Any, depth: int = 0) -> Any:
        kind = type(value)
        if kind in _PLAIN:
            self._left -= 1
            return value
        if depth > MAX_DEPTH:
            raise _RefusedError(f"values nested more than {MAX_DEPTH} deep")
        if self._left < 0:
            raise _RefusedError("values that repeat themselves without end")
        if kind is list:
            return self._list(value, depth + 1)
        if kind is dict:
            self._check_keys(value)
            return {"d": [self._list(list(value), depth + 1), self._list(list(value.values()), depth + 1)]}
        self._left -= 1
        if kind is float:
            return value if math.isfinite(value) else {"f": repr(value)}
        if kind is tuple or kind is set or kind is frozenset:
            if kind is not tuple:
                self._check_keys(value)
            return {"t" if kind is tuple else "z": self._list(list(value), depth + 1)}
        if kind is bytes or kind is bytearray:
            return {"b": [self._placed(value), len(value)]}
        if kind is _Scalar:
            return {"s": [value.dtype.text, value.data.hex()]}
        if kind is _Array and value.dtype is not None:
            if value.dtype.code == "O":
                value.fill(value.dtype, value.shape, value.data, is_fortran=value.is_fortran)  # a list can grow after it was checked
                return {"o": [list(value.shape), value.is_fortran, self._list(value.data, depth + 1)]}
            return {"a": [value.dtype.text, list(value.shape), "F" if value.is_fortran else "C", self._placed(value.data)]}
        raise _RefusedError("a name where a value should be, or an array that was never filled")

    def _list(self, values: list, depth: int) -> list:
        self._left -= 1
        if _PLAIN.issuperset(map(type, values)):
            self._left -= len(values)
            return values
        return [self.json_of(one, depth) for one in values]

    def _check_keys(self, keys: Any) -> None:
        for key in keys:
            if type(key) not in _KEYS and not (type(key) is tuple and _KEYS.issuperset(map(type, key))):
                raise _RefusedError("a key that is no plain value")

    def _placed(self, data: bytes | bytearray) -> int:
        if id(data) not in self._places:
            self._places[id(data)] = (data, self._offset)
            self._stream.write(data)
            self._offset += len(data)
        return self._places[id(data)][1]


def read_pickle(path: Path, *, offset: int = 0, object_arrays: bool = False) -> Any:
    """The value of a pickle of plain values (None, bool, numbers, str, bytes, list, tuple, set, dict), NumPy arrays and NumPy numbers.

    Arrays are read-only. `offset` is where it starts in the file; `object_arrays` takes arrays of objects too, as nested lists of
    their plain values. Nothing in the file is ever called or imported. Raises CaptureError naming what is refused or broken.
    """
    path = Path(path)
    if not path.is_file():
        raise CaptureError(f"{path}: expected a file of pickled values, found {'no file' if not path.exists() else 'something else'}")
    num_bytes = max(path.stat().st_size - offset, 0)
    cpu_s = BASE_CPU_S + int(CPU_S_PER_MB * num_bytes / 1e6)
    with tempfile.TemporaryDirectory(prefix="sightline-") as place:
        asked = {
            "path": str(path),
            "offset": offset,
            "object_arrays": object_arrays,
            "place": place,
            "num_bytes": num_bytes,
            "cpu_s": cpu_s,
            "memory_bytes": BASE_MEMORY_BYTES + MEMORY_PER_BYTE * num_bytes,
        }
        command = [sys.executable, "-P", __file__]  # -P: names beside this file are not the standard library's
        try:
            done = subprocess.run(command, input=json.dumps(asked).encode(), capture_output=True, timeout=4 * cpu_s, check=False)
        except subprocess.TimeoutExpired as error:
            raise CaptureError(f"{path}: expected pickled values that load in {4 * cpu_s} s, found one that takes longer") from error
        said = (Path(place) / "problem.txt").read_text(encoding="utf-8") if (Path(place) / "problem.txt").is_file() else ""
        if said:
            raise CaptureError(f"{path}: expected pickled plain values and NumPy arrays, found {said}; nothing of it was run")
        if done.returncode != 0:
            raise CaptureError(
                f"{path}: expected pickled plain values and NumPy arrays, found one whose loading was stopped "
                f"(exit status {done.returncode}: beyond {asked['memory_bytes'] >> 20} MB of memory or {cpu_s} s, or damaged)"
            )
        return _value((Path(place) / "values.json").read_bytes(), (Path(place) / "bytes.bin").read_bytes())


def _value(said: bytes, data: bytes) -> Any:
    """The inverse of `_Result.json_of`."""
    import numpy as np  # not at the top: the child, which runs this same file, starts five times faster without it

    def array(dtype: str, shape: list[int], order: str, offset: int) -> np.ndarray:
        count = math.prod(shape)
        return np.frombuffer(data, dtype=dtype, count=count, offset=offset if count else 0).reshape(shape, order=order)

    def objects(shape: list[int], is_fortran: bool, values: list) -> list:
        shaped = np.empty(len(values), dtype=object)
        for place, one in enumerate(values):
            shaped[place] = one
        return shaped.reshape(shape, order="F" if is_fortran else "C").tolist()

    of_letter: dict[str, Callable[[Any], Any]] = {
        "d": lambda held: dict(zip(*held)),
        "t": tuple,
        "z": set,
        "f": float,
        "b": lambda held: data[held[0] : held[0] + held[1]],
        "s": lambda held: np.frombuffer(bytes.fromhex(held[1]), dtype=held[0])[0],
        "o": lambda held: objects(*held),
        "a": lambda held: array(*held),
    }

    def of(pairs: list[tuple[str, Any]]) -> Any:
        ((letter, held),) = pairs
        return of_letter[letter](held)

    return json.loads(said, object_pairs_hook=of)


def load_to(asked: dict[str, Any]) -> str | None:
    """What the child does: the values into `place`. Returns what is wrong with the file, None where nothing is."""
    place = Path(asked["place"])
    with Path(asked["path"]).open("rb") as stream, (place / "bytes.bin").open("wb") as bytes_stream:
        try:
            stream.seek(asked["offset"])
            value = _Unpickler(stream, object_arrays=asked["object_arrays"]).load()
            said = _Result(bytes_stream, max_values=SPARE_VALUES + asked["num_bytes"]).json_of(value)
            (place / "values.json").write_text(json.dumps(said, separators=(",", ":")), encoding="ascii")
        except _RefusedError as error:
            return str(error)
        except MemoryError:
            return f"one that claims more than {asked['memory_bytes'] >> 20} MB of memory"
        except _BROKEN as error:
            return f"a truncated or damaged file ({type(error).__name__} before byte {stream.tell()}: {error!s:.120})"
    return None


def _limit(asked: dict[str, Any]) -> None:
    """The child may not use more than it was given, nor start another process that is not root's."""
    import resource  # POSIX only, and only the child needs it

    for kind, most in (("AS", asked["memory_bytes"]), ("CPU", asked["cpu_s"]), ("CORE", 0), ("NPROC", 0)):
        limit = getattr(resource, f"RLIMIT_{kind}")
        _, hard = resource.getrlimit(limit)  # a scheduler may have set a lower one, which nobody may raise
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(limit, (most, most))


def _child() -> NoReturn:
    asked = json.loads(sys.stdin.buffer.read())
    _limit(asked)
    gc.disable()  # a million values and no cycle worth finding: two thirds of the time
    problem = load_to(asked)
    if problem is not None:
        (Path(asked["place"]) / "problem.txt").write_text(problem.replace("\n", " "), encoding="utf-8", errors="replace")
    os._exit(0)  # without taking apart a million values


if __name__ == "__main__":
    _child()
