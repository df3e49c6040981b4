"""Reads triangle meshes and point clouds from PLY files, binary or text, and trusts no count that the file cannot hold."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from plyfile import PlyData, PlyParseError

from sightline.errors import CaptureError

MAX_HEADER_LINES = 1000
MAX_HEADER_LINE_BYTES = 4096
MAX_VERTICES = 200_000_000
MAX_CORNERS = 64  # of one polygon
FORMATS = ("ascii", "binary_little_endian", "binary_big_endian")
TYPE_BYTES = {
    **dict.fromkeys(("char", "uchar", "int8", "uint8"), 1),
    **dict.fromkeys(("short", "ushort", "int16", "uint16"), 2),
    **dict.fromkeys(("int", "uint", "int32", "uint32", "float", "float32"), 4),
    **dict.fromkeys(("double", "float64"), 8),
}
CORNER_NAMES = ("vertex_indices", "vertex_index")
_COORDINATES = ("x", "y", "z")
_COLOURS = ("red", "green", "blue")


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class PlyMesh:
    """A mesh in the frame it is stored in; polygons are cut into triangles."""

    vertices_stored: np.ndarray  # (V, 3) float64
    faces: np.ndarray | None  # (F, 3) int64, None where the file has no face element
    colours: np.ndarray | None  # (V, 3) uint8
    fields: Mapping[str, np.ndarray]  # every other vertex property that is one number: name -> (V,)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Element:
    name: str
    count: int
    scalars: tuple[tuple[str, str], ...]  # (name, type)
    lists: tuple[tuple[str, str, str], ...]  # (name, type of the length, type of the values)

    def least_bytes(self, *, as_text: bool) -> int:
        """Fewest bytes that one row takes: as text a digit and a blank per number."""
        if as_text:
            return max(2 * (len(self.scalars) + len(self.lists)), 1)
        return sum(TYPE_BYTES[kind] for _, kind in self.scalars) + sum(TYPE_BYTES[length] for _, length, _ in self.lists)


def read_ply(path: Path) -> PlyMesh:
    """The mesh of one PLY file. Raises CaptureError: no PLY, truncated, vertices not finite, faces of vertices that are not there."""
    elements = _checked_header(path)
    vertex = elements.get("vertex")
    names = [name for name, _ in vertex.scalars] if vertex else []
    if vertex is None or not set(_COORDINATES) <= set(names):
        raise CaptureError(f"{path}: expected a PLY file of vertices with x, y, z, found {', '.join(elements) or 'no elements'}")
    rows_of = _text_rows(path, elements) or _general_rows(path, elements)
    rows = rows_of["vertex"]
    vertices = np.stack([np.asarray(rows[name], dtype=np.float64) for name in _COORDINATES], axis=1)
    bad = ~np.isfinite(vertices).all(axis=1)
    if bad.any():
        raise CaptureError(f"{path}: expected finite vertices, found {vertices[bad.argmax()].tolist()} at vertex {int(bad.argmax())}")
    coloured = set(_COLOURS) <= set(names) and all(rows[name].dtype == np.uint8 for name in _COLOURS)
    colours = np.stack([np.asarray(rows[name]) for name in _COLOURS], axis=1) if coloured else None
    used = {*_COORDINATES, *(_COLOURS if coloured else ())}
    fields = {name: np.array(rows[name]) for name in names if name not in used}
    return PlyMesh(
        vertices_stored=vertices, faces=_faces(path, rows_of.get("face"), elements, len(vertices)), colours=colours, fields=fields
    )


def _checked_header(path: Path) -> dict[str, _Element]:
    """The elements by name; their rows are known to fit into the file."""
    try:
        with path.open("rb") as stream:
            form, elements = _header(path, stream)
            remaining = path.stat().st_size - stream.tell()
    except FileNotFoundError as error:
        raise CaptureError(f"{path}: expected a PLY file, found none") from error
    except OSError as error:
        raise CaptureError(f"{path}: expected a PLY file, found one that cannot be read ({error})") from error
    for one in elements.values():
        least = one.count * one.least_bytes(as_text=form == "ascii")
        if least > remaining + 1:  # the last line of a text may lack its end
            raise CaptureError(
                f"{path}: element {one.name}: expected {one.count} rows of at least {least} bytes, found {remaining} left; "
                "the file is truncated"
            )
        remaining -= least
    if any(one.count > MAX_VERTICES for one in elements.values()):
        raise CaptureError(f"{path}: expected at most {MAX_VERTICES} rows per element, found more")
    return elements


def _header(path: Path, stream: BinaryIO) -> tuple[str, dict[str, _Element]]:
    if stream.readline(MAX_HEADER_LINE_BYTES).strip() != b"ply":
        raise CaptureError(f"{path}: expected a PLY file, found one that does not start with 'ply'")
    form, elements = "", []
    for number in range(2, MAX_HEADER_LINES):
        line = stream.readline(MAX_HEADER_LINE_BYTES)
        try:
            words = line.decode("ascii").split()
        except UnicodeDecodeError as error:
            raise CaptureError(f"{path}:{number}: expected ASCII in the header, found byte {line[error.start]:#x}") from error
        match words:
            case ["end_header"]:
                break
            case [] | ["comment" | "obj_info", *_] if line.endswith(b"\n"):
                continue
            case ["format", found, _] if found in FORMATS:
                form = found
            case ["element", name, count] if count.isascii() and count.isdigit() and name not in [one[0] for one in elements]:
                elements.append((name, int(count[:20]), [], []))
            case ["property", "list", length, kind, name] if elements and {length, kind} <= set(TYPE_BYTES):
                elements[-1][3].append((name, length, kind))
            case ["property", kind, name] if elements and kind in TYPE_BYTES:
                elements[-1][2].append((name, kind))
            case _:
                found = line.decode("ascii").strip()[:60]
                raise CaptureError(f"{path}:{number}: expected a line of a PLY header, found {found!r}")
    else:
        raise CaptureError(f"{path}: expected 'end_header' within {MAX_HEADER_LINES} lines, found none")
    if not form:
        raise CaptureError(f"{path}: expected a line 'format {' | '.join(FORMATS)} 1.0', found none")
    return form, {one[0]: _Element(name=one[0], count=one[1], scalars=tuple(one[2]), lists=tuple(one[3])) for one in elements}


def _text_rows(path: Path, elements: Mapping[str, _Element]) -> dict[str, dict[str, np.ndarray]] | None:
    """Columns of a text whose lists are all triangles, read as one run of numbers: a dozen times faster than line by line.

    None for a binary file, other polygons, numbers beyond their type and anything odd: the general way reads it or says what is wrong.
    """
    if any(len(one.lists) > 1 or (one.lists and one.scalars) for one in elements.values()):
        return None
    with path.open("rb") as stream:
        if b"format ascii" not in stream.read(MAX_HEADER_LINE_BYTES).partition(b"end_header")[0]:
            return None  # binary, or a header of many comments
    _, _, body = path.read_bytes().partition(b"end_header")
    widths = {name: 4 if one.lists else len(one.scalars) for name, one in elements.items()}
    with warnings.catch_warnings():
        warnings.simplefilter("error", DeprecationWarning)  # NumPy's word for "this is no number"
        try:
            numbers = np.fromstring(body.partition(b"\n")[2].decode("ascii"), sep=" ")
        except (DeprecationWarning, ValueError):
            return None
    if len(numbers) != sum(one.count * widths[name] for name, one in elements.items()):
        return None
    rows_of: dict[str, dict[str, np.ndarray]] = {}
    start = 0
    for name, one in elements.items():
        block = numbers[start : start + one.count * widths[name]].reshape(one.count, widths[name])
        start += block.size
        if one.lists:
            corners = block[:, 1:].astype(np.int64)
            if (block[:, 0] != 3.0).any() or (corners != block[:, 1:]).any():
                return None
            rows_of[name] = {one.lists[0][0]: corners}
            continue
        columns = {key: _typed(block[:, place], kind) for place, (key, kind) in enumerate(one.scalars)}
        if any(column is None for column in columns.values()):
            return None
        rows_of[name] = {key: column for key, column in columns.items() if column is not None}
    return rows_of


def _typed(values: np.ndarray, kind: str) -> np.ndarray | None:
    """Numbers of a text as the type the header gives them; None where one does not fit it."""
    if kind in ("float", "float32", "double", "float64"):
        return values.astype(np.float32 if TYPE_BYTES[kind] == 4 else np.float64)
    wanted = np.dtype(f"{'u' if kind.startswith('u') else 'i'}{TYPE_BYTES[kind]}")
    limits = np.iinfo(wanted)
    fits = (values >= limits.min) & (values <= limits.max) & (values == np.floor(values))
    return values.astype(wanted) if fits.all() else None


def _general_rows(path: Path, elements: Mapping[str, _Element]) -> dict[str, Any]:
    data = _parsed(path, elements)
    return {name: data[name].data for name in elements}


def _parsed(path: Path, elements: Mapping[str, _Element]) -> PlyData:
    """The data; files of triangles alone are mapped, which takes a hundredth of the time of the general way."""
    triangles = {one.name: {name: 3 for name, _, _ in one.lists if name in CORNER_NAMES} for one in elements.values()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of an empty list in a text, which is refused below
        if any(triangles.values()):
            try:
                return PlyData.read(str(path), known_list_len=triangles)
            except (PlyParseError, ValueError, OverflowError):
                pass  # other polygons, or damage: the general way tells which
        try:
            return PlyData.read(str(path))
        except (PlyParseError, ValueError, OverflowError, EOFError, IndexError, TypeError, OSError) as error:
            raise CaptureError(f"{path}: expected a whole PLY file, found a truncated or damaged one ({_one_line(error)})") from error


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:120]


def _faces(path: Path, rows: Any, elements: Mapping[str, _Element], num_vertices: int) -> np.ndarray | None:
    element = elements.get("face")
    name = next((name for name, _, _ in element.lists if name in CORNER_NAMES), None) if element else None
    if name is None:
        return None
    stored = rows[name]
    faces = np.asarray(stored, dtype=np.int64).reshape(-1, 3) if stored.dtype != object else _triangulated(path, stored)
    outside = ((faces < 0) | (faces >= num_vertices)).any(axis=1)
    if outside.any():
        found = faces[outside.argmax()].tolist()
        raise CaptureError(f"{path}: expected faces of vertices 0 to {num_vertices - 1}, found {found}")
    return faces


def _triangulated(path: Path, polygons: np.ndarray) -> np.ndarray:
    """Fans around the first corner of each polygon."""
    counts = np.array([len(polygon) for polygon in polygons], dtype=np.int64)
    odd = (counts < 3) | (counts > MAX_CORNERS)
    if odd.any():
        raise CaptureError(f"{path}: expected faces of 3 to {MAX_CORNERS} corners, found {counts[odd][0]} at face {int(odd.argmax())}")
    parts: list[Any] = []
    for count in np.unique(counts):
        chosen = np.stack([np.asarray(polygon, dtype=np.int64) for polygon in polygons[counts == count]])
        parts += [chosen[:, [0, corner, corner + 1]] for corner in range(1, count - 1)]
    return np.concatenate(parts) if parts else np.empty((0, 3), dtype=np.int64)
