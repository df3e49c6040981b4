"""Conversations on disk: Parquet files with one stated schema, read back strictly, any row at random."""

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from sightline.errors import DataError
from sightline.files import replacing
from sightline.samples.conversation import Conversation
from sightline.samples.conversation_rows import SCHEMA, SCHEMA_VERSION, conversation_from, table_of

DATA_FOLDER = "data"
ROWS_PER_GROUP = 128  # what one random read decodes; fewer make the files' tables of contents larger than they are worth
ROWS_PER_FILE = 65_536
KEPT_GROUPS = 32  # decoded, some 100 kB each
KEPT_FILES = 24  # open, with their tables of contents, some megabytes each
# Columns that are often the same in a whole row group, by the leaf whose least and greatest value tell it: decoding costs by the column
ONE_VALUE = ("source", "task", "split", "scan_id", "place_id", "is_video", "frame_policy", "system", "licence", "schema_version")
OFTEN_EMPTY = {  # lists, by one of their leaves
    "pictures": "pictures.list.element.place",
    "references": "references.list.element",
    "marks": "marks.list.element.frame_id",
    "extra": "extra.key_value.key",
}
STATISTICS = [*ONE_VALUE, *OFTEN_EMPTY.values()]

__all__ = ["SCHEMA", "SCHEMA_VERSION", "ConversationTable", "part_path", "write_conversations", "write_part"]


def part_path(folder: Path, number: int) -> Path:
    """The file of a numbered part of a data set."""
    return folder / DATA_FOLDER / f"part-{number:05d}.parquet"


def write_conversations(folder: Path, conversations: Iterable[Conversation]) -> int:
    """Write `folder/data/part-*.parquet` and return how many rows they hold. Equal rows give equal bytes."""
    stream, total = iter(conversations), 0
    for number in range(10**5):
        count = write_part(part_path(folder, number), islice(stream, ROWS_PER_FILE))
        total += count
        if count < ROWS_PER_FILE:
            break
    return total


def write_part(path: Path, conversations: Iterable[Conversation]) -> int:
    """Write one file, atomically, one row group in memory at a time; without rows there is no file. Returns the rows written."""
    stream, count = iter(conversations), 0
    group = list(islice(stream, ROWS_PER_GROUP))
    if not group:
        return 0
    with (
        replacing(path) as beside,
        pq.ParquetWriter(beside, SCHEMA, compression="zstd", use_dictionary=False, write_statistics=STATISTICS) as writer,
    ):
        while group:
            writer.write_table(table_of(group), row_group_size=ROWS_PER_GROUP)
            count += len(group)
            group = list(islice(stream, ROWS_PER_GROUP))
    return count


class ConversationTable:
    """Conversations of a folder (or of one file) by number, in the order of the files. It pickles as its path.

    Files are mapped and not read; one row group is decoded at a time and the last few are kept, so memory does not grow with the rows.
    """

    def __init__(self, folder: Path, *, kept_groups: int = KEPT_GROUPS):
        """Raises DataError where there are no such files, or one has another schema or is damaged."""
        self.folder = Path(folder)
        self.kept_groups = kept_groups
        self.files = _files(self.folder)
        self._open: OrderedDict[int, tuple[pq.ParquetFile, Mapping[str, int]]] = OrderedDict()
        self._groups: OrderedDict[tuple[int, int], _Group] = OrderedDict()
        counts = [_group_rows(path) for path in self.files]
        self._file_of = np.repeat(np.arange(len(counts)), [len(one) for one in counts])
        self._group_of = np.concatenate([np.arange(len(one)) for one in counts])
        self._starts = np.concatenate([[0], np.cumsum(np.concatenate([np.asarray(one, np.int64) for one in counts]))])
        self._first_of_file = np.concatenate([[0], np.cumsum([sum(one) for one in counts])])

    def __len__(self) -> int:
        return int(self._starts[-1])

    def __getitem__(self, number: int) -> Conversation:
        """The conversation of a row. Raises IndexError beyond the ends, DataError naming file and row for a bad one."""
        count = len(self)
        if not -count <= number < count:
            raise IndexError(f"table of {count} conversations has no number {number}")
        number %= count
        place = int(np.searchsorted(self._starts, number, side="right")) - 1
        group = self._group(place)
        row = group.table.slice(number - int(self._starts[place]), 1).to_pylist()[0]
        return conversation_from({**row, **group.same}, where=self.where(number))

    def many(self, numbers: Sequence[int]) -> list[Conversation]:
        """Conversations of several rows, in the order asked for; each row group they lie in is decoded once."""
        wanted: list[Any] = [None] * len(numbers)
        for place in sorted(range(len(numbers)), key=lambda place: numbers[place]):
            wanted[place] = self[numbers[place]]
        return wanted

    def __iter__(self) -> Iterator[Conversation]:
        for number, path in enumerate(self.files):
            row_number = 0
            with self._reading(path):
                for batch in self._opened(number)[0].iter_batches(batch_size=ROWS_PER_GROUP, use_threads=False):
                    for row in batch.to_pylist():
                        row_number += 1
                        yield conversation_from(row, where=f"{path}: row {row_number}")

    def column(self, name: str) -> Iterator[str]:
        """One column of text, file by file."""
        for number, path in enumerate(self.files):
            with self._reading(path):
                for batch in self._opened(number)[0].iter_batches(batch_size=65_536, columns=[name], use_threads=False):
                    yield from batch.column(0).to_pylist()

    def where(self, number: int) -> str:
        """File and row (counted from 1), for messages."""
        file = int(np.searchsorted(self._first_of_file, number, side="right")) - 1
        return f"{self.files[file]}: row {number - int(self._first_of_file[file]) + 1}"

    def __reduce__(self) -> tuple[Any, tuple[Path]]:
        return ConversationTable, (self.folder,)

    def _group(self, place: int) -> "_Group":
        key = (int(self._file_of[place]), int(self._group_of[place]))
        if key not in self._groups:
            with self._reading(self.files[key[0]]):
                file, leaves = self._opened(key[0])
                same = _same_in(file.metadata.row_group(key[1]), leaves)
                wanted = [name for name in SCHEMA.names if name not in same]
                self._groups[key] = _Group(table=file.read_row_group(key[1], columns=wanted, use_threads=False), same=same)
            while len(self._groups) > self.kept_groups:
                self._groups.popitem(last=False)
        self._groups.move_to_end(key)
        return self._groups[key]

    def _opened(self, number: int) -> tuple[pq.ParquetFile, Mapping[str, int]]:
        """A file and its leaf columns by path."""
        if number not in self._open:
            file = pq.ParquetFile(self.files[number], memory_map=True)
            schema = file.metadata.schema
            self._open[number] = (file, {schema.column(place).path: place for place in range(file.metadata.num_columns)})
            while len(self._open) > KEPT_FILES:
                self._open.popitem(last=False)[1][0].close()
        self._open.move_to_end(number)
        return self._open[number]

    def _reading(self, path: Path) -> "_Reading":
        return _Reading(path)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Group:
    """A decoded row group: the columns whose values differ, and the values of the others."""

    table: pa.Table
    same: Mapping[str, Any]


def _same_in(group: Any, leaves: Mapping[str, int]) -> dict[str, Any]:
    """Columns that have one value in a whole row group, by its statistics; a column without them is read."""
    same: dict[str, Any] = {}
    for name in ONE_VALUE:
        found = group.column(leaves[name]).statistics
        if found is not None and found.has_min_max and not found.null_count and found.min == found.max:
            same[name] = found.min
    for name, leaf in OFTEN_EMPTY.items():
        column = group.column(leaves[leaf]) if leaf in leaves else None
        found = column.statistics if column is not None else None
        if found is not None and found.has_null_count and found.null_count == column.num_values == group.num_rows:
            same[name] = []
    return same


class _Reading:
    """Says of a file that cannot be read which one it is."""

    def __init__(self, path: Path):
        self.path = path

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, FileNotFoundError):
            raise DataError(f"{self.path}: expected a Parquet file of conversations, found none") from error
        if isinstance(error, pa.ArrowException | OSError):
            raise DataError(f"{self.path}: expected a whole Parquet file of conversations, found a damaged one ({error})") from error


def _files(folder: Path) -> tuple[Path, ...]:
    if folder.is_file():
        return (folder,)
    files = tuple(sorted((folder / DATA_FOLDER).glob("*.parquet")))
    if not files:
        raise DataError(
            f"{folder}: expected conversations in {DATA_FOLDER}/*.parquet, found none. Fix: sightline data import NAME SOURCE {folder}"
        )
    return files


def _group_rows(path: Path) -> Sequence[int]:
    """Rows of each row group, from the file's table of contents alone. Raises DataError for another schema."""
    with _Reading(path):
        found = pq.read_metadata(path)
        check_schema(path, found.schema.to_arrow_schema())
        return [found.row_group(number).num_rows for number in range(found.num_row_groups)]


def check_schema(path: Path, found: pa.Schema) -> None:
    """Raises DataError naming the first column that is missing or of another type."""
    for field in SCHEMA:
        if field.name not in found.names:
            raise DataError(f"{path}: expected column '{field.name}' of conversations, found columns {', '.join(found.names)}")
        kind = found.field(field.name).type
        if kind != field.type:
            raise DataError(f"{path}: column '{field.name}': expected {field.type}, found {kind}")
