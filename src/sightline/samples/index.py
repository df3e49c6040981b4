"""The compact index of a data set: 24 bytes per question, mapped and not read, worded when a sample is asked for."""

import mmap
import struct
import zlib
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sightline.config import build
from sightline.errors import DataError
from sightline.files import parse_json, read_json, replacing_folder, sha256_of, write_json
from sightline.questions.engine import collector_paused
from sightline.questions.question import TASKS, TaskOptions
from sightline.questions.rows import ROW_BYTES, IndexedTask, Renderer, ScanHead, row_dtype
from sightline.samples.index_parts import FORMAT, HEADS, INDEX_FOLDER, MANIFEST, ROWS, VERSION, Part, join_parts, wording_of
from sightline.samples.making import Origin, sample_from
from sightline.samples.sample import SCHEMA_VERSION, Sample

KEPT_SCANS = 4096  # heads of scans kept at a time, some 50 kB each for 300 frames
CODES = {"u1": "B", "i1": "b", "u2": "H", "i2": "h", "u4": "I", "i4": "i", "u8": "Q", "i8": "q", "f2": "e", "f4": "f", "f8": "d"}
AGAIN = "Fix: sightline generate STORE OUT --index"


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Task:
    """How rows of one task are read."""

    number: int
    unpack_from: Callable[..., tuple]
    render: Renderer


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Scan:
    """One scan of an index: its blocks of rows, one per task, and what wording needs."""

    first_row: int
    block_starts: list[int]  # from first_row
    block_tasks: list[_Task]
    head: ScanHead
    origin: Origin


class Index:
    """Samples of indexed tasks by number, in the order of the Parquet files of the same data set. It pickles as its path.

    Memory is what was touched; `len`, `index[i]`, iteration and `sample_many` are all there is.
    """

    def __init__(self, folder: Path, manifest: Mapping[str, Any], rows: mmap.mmap, heads: mmap.mmap):
        """Use `Index.open`."""
        self.folder = folder
        self.manifest = manifest
        options = build(TaskOptions, manifest["options"], where=f"{folder / MANIFEST}: options")
        self._rows, self._heads = rows, heads
        self._num_rows: int = manifest["num_rows"]
        self._tasks = {name: _task(number, name, options, folder) for number, name in enumerate(manifest["tasks"])}
        self._first_rows = [int(first_row) for first_row, _, _ in manifest["scans"]]
        self._scans: dict[int, _Scan] = {}

    @classmethod
    def open(cls, folder: Path) -> "Index":
        """Open `OUT/index`, or the data set `OUT` that holds one.

        Raises DataError for a foreign, truncated or newer index, and for one whose questions this program would word otherwise.
        """
        folder = Path(folder)
        folder = folder / INDEX_FOLDER if not (folder / MANIFEST).is_file() and (folder / INDEX_FOLDER).is_dir() else folder
        manifest = _manifest(folder)
        index = cls(folder, manifest, *(_mapped(folder / name, manifest["files"][name]["num_bytes"]) for name in (ROWS, HEADS)))
        for task, wording in manifest["wording"].items():
            if index.wording(task) != wording:
                raise DataError(f"{folder}: questions of '{task}' are worded otherwise by this version of sightline. {AGAIN}")
        return index

    def __len__(self) -> int:
        return self._num_rows

    def __getitem__(self, number: int) -> Sample:
        """The sample of a row. Raises IndexError beyond the ends, DataError for a damaged row."""
        count = self._num_rows
        if not -count <= number < count:
            raise IndexError(f"index of {count} questions has no number {number}")
        if number < 0:
            number += count
        place = bisect_right(self._first_rows, number) - 1
        scan = self._scans.get(place) or self._scan(place)
        offset = number - scan.first_row
        block = bisect_right(scan.block_starts, offset) - 1
        task = scan.block_tasks[block]
        row = task.unpack_from(self._rows, number * ROW_BYTES)
        if row[0] != task.number:
            raise DataError(f"{self.folder / ROWS}: row {number}: expected task {task.number}, found {row[0]}. {AGAIN}")
        return sample_from(task.render(row, scan.head), scan.origin, number=offset - scan.block_starts[block])

    def sample_many(self, numbers: Iterable[int]) -> list[Sample]:
        """Samples of several rows, in the order asked for."""
        wanted = list(numbers)
        samples: list[Any] = [None] * len(wanted)
        with collector_paused():
            # In the order of the rows, so that names and paths of a scan are still in the processor's cache for its next row
            for place in sorted(range(len(wanted)), key=wanted.__getitem__):
                samples[place] = self[wanted[place]]
        return samples

    @property
    def counts(self) -> Mapping[str, Mapping[str, int]]:
        """Questions per task and split."""
        return self.manifest["counts"]

    def wording(self, task: str) -> str:
        """Fingerprint of a task's first questions as this program words them."""
        first_row, count = self.manifest["first_of"][task]
        return wording_of(self.sample_many(range(first_row, first_row + count)))

    def first_of_each_scan(self) -> list[Sample]:
        """One sample of every scan."""
        return self.sample_many(self._first_rows)

    def check_files(self) -> None:
        """Read everything once and compare its SHA-256. Raises DataError naming the file that differs."""
        for name in (ROWS, HEADS):
            found = sha256_of(self.folder / name)
            if found != self.manifest["files"][name]["sha256"]:
                raise DataError(f"{self.folder / name}: expected SHA-256 {self.manifest['files'][name]['sha256']}, found {found}. {AGAIN}")

    def close(self) -> None:
        self._rows.close()
        self._heads.close()

    def __enter__(self) -> "Index":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __reduce__(self) -> tuple[Any, tuple[Path]]:
        return Index.open, (self.folder,)

    def _scan(self, place: int) -> _Scan:
        """The head of a scan, parsed once; its rows are compared with their checksum when it is."""
        first_row, start, num_bytes = self.manifest["scans"][place]
        where = f"{self.folder / HEADS}: scan {place}"
        try:
            text = zlib.decompress(self._heads[start : start + num_bytes]).decode("utf-8")
        except (zlib.error, UnicodeDecodeError) as error:
            raise DataError(f"{where}: expected a packed head, found a damaged one ({error}). {AGAIN}") from error
        head = parse_json(text, where)
        paths = [_safe(path, head["scan_id"], where) for path in head["image_paths"]]
        starts = np.cumsum([0, *(count for _, count in head["blocks"])]).tolist()
        with memoryview(self._rows) as view:
            found = zlib.crc32(view[first_row * ROW_BYTES : (first_row + starts[-1]) * ROW_BYTES])
        if found != head["crc32"]:
            raise DataError(f"{self.folder / ROWS}: rows of scan '{head['scan_id']}': checksum differs. {AGAIN}")
        scan = _Scan(
            first_row=first_row,
            block_starts=starts[:-1],
            block_tasks=[self._tasks[task] for task, _ in head["blocks"]],
            head=ScanHead(
                scan_id=head["scan_id"],
                frame_ids=tuple(head["frame_ids"]),
                widths=tuple(head["widths"]),
                heights=tuple(head["heights"]),
                category_of={object_id: category for object_id, category in head["categories"]},
            ),
            origin=Origin(
                scan_id=head["scan_id"],
                place_id=head["place_id"],
                source=head["source"],
                licence=head["licence"],
                split=head["split"],
                seed=self.manifest["seed"],
                generator_version=self.manifest["generator_version"],
                image_paths=dict(zip(head["frame_ids"], paths)),
            ),
        )
        if len(self._scans) >= KEPT_SCANS:
            self._scans.pop(next(iter(self._scans)))
        self._scans[place] = scan
        return scan


def write_index(
    folder: Path, parts: Sequence[Part], *, seed: int, options: Mapping[str, Any], generator_version: str
) -> Mapping[str, Mapping[str, int]]:
    """Join the parts of scans, in the order given, into an index at `folder`; returns questions per task and split.

    The index appears complete or not at all, and the same parts give the same bytes. Raises DataError for a damaged part.
    """
    with replacing_folder(folder) as beside:
        manifest = join_parts(beside, parts, seed=seed, options=options, generator_version=generator_version)
        write_json(beside / MANIFEST, manifest)
        with Index.open(beside) as index:
            wording = {task: index.wording(task) for task in manifest["tasks"]}
        write_json(beside / MANIFEST, {**manifest, "wording": wording})
    return manifest["counts"]


def is_indexed(task: str) -> bool:
    """Whether questions of a task are rows of an index; others are kept in Parquet alone."""
    return issubclass(TASKS[task], IndexedTask)


def _task(number: int, name: str, options: TaskOptions, folder: Path) -> _Task:
    if name not in TASKS or not is_indexed(name):
        raise DataError(f"{folder / MANIFEST}: expected indexed tasks that this version of sightline has, found '{name}'. {AGAIN}")
    kind = TASKS[name]
    return _Task(number=number, unpack_from=row_struct(kind.PAYLOAD).unpack_from, render=kind().renderer(options))


def row_struct(payload: np.dtype) -> struct.Struct:
    """The packed row of a task for `struct`: the same scalars as `rows.tolist()` gives. Raises ValueError for a field that is no number."""
    codes = []
    for name in row_dtype(payload).names:
        kind = row_dtype(payload).fields[name][0]
        code = f"{kind.itemsize}s" if kind.kind == "V" and kind.subdtype is None else CODES.get(kind.str[1:])
        if code is None:
            raise ValueError(f"field '{name}': expected a number of a row, found {kind}")
        codes.append(code)
    return struct.Struct("<" + "".join(codes))


def _manifest(folder: Path) -> Mapping[str, Any]:
    path = folder / MANIFEST
    if not path.is_file():
        raise DataError(f"{folder}: expected an index with {MANIFEST}, found none. {AGAIN}")
    manifest = read_json(path)
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise DataError(f"{path}: expected format '{FORMAT}', found another file")
    if (manifest["version"], manifest["schema_version"]) != (VERSION, SCHEMA_VERSION):
        found = f"{manifest['version']} and {manifest['schema_version']}"
        raise DataError(f"{path}: expected version {VERSION} and schema {SCHEMA_VERSION}, found {found}. {AGAIN}")
    if manifest["files"][ROWS]["num_bytes"] != manifest["num_rows"] * ROW_BYTES:
        raise DataError(f"{path}: expected {ROW_BYTES} bytes for each of {manifest['num_rows']} rows, found another size. {AGAIN}")
    return manifest


def _mapped(path: Path, num_bytes: int) -> mmap.mmap:
    found = path.stat().st_size if path.is_file() else 0
    if found != num_bytes:
        raise DataError(f"{path}: expected {num_bytes} bytes, found {found}: the file is truncated or of another index. {AGAIN}")
    with path.open("rb") as stream:
        return mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)


def _safe(path: str, scan_id: str, where: str) -> str:
    if path.startswith("/") or ".." in path.split("/") or not path.startswith(f"{scan_id}/"):
        raise DataError(f"{where}: expected image paths below '{scan_id}/', found '{path}'")
    return path
