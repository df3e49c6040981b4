"""Units of a source: the rows that are taken of it, questions about the same pictures together.

Which rows, and which of them share pictures, is read from the columns of the files alone, without a row in memory at a time being rebuilt.
"""

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from sightline.errors import DataError
from sightline.mixtures.mixture import SourceRecipe
from sightline.samples.conversation_files import ConversationTable

BATCH = 65_536


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Units:
    """Groups of row numbers: unit u holds `rows[starts[u] : starts[u + 1]]`."""

    starts: np.ndarray  # (U + 1,) int64
    rows: np.ndarray  # (n,) int64
    left_out: Mapping[str, int]  # rows that are not taken, by reason
    rows_of_task: Mapping[str, int]  # of those taken
    pictures: int  # of those taken, each set once per unit

    def __len__(self) -> int:
        return len(self.starts) - 1

    def __getitem__(self, unit: int) -> np.ndarray:
        return self.rows[self.starts[unit] : self.starts[unit + 1]]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Columns:
    """What is read of every row: `(n,)` each."""

    draw: np.ndarray  # uint64, a hash of the id
    task: np.ndarray  # of str
    is_split: np.ndarray  # bool
    shown: np.ndarray  # uint64, a hash of what is shown
    pictures: np.ndarray  # how many


def units_of(table: ConversationTable, source: SourceRecipe, *, most: int) -> Units:
    """The units of a source, of at most `most` questions each, in the order of their first rows. Raises DataError where nothing is left.

    What is left out depends on hashes of ids alone: on neither the order of files nor a random state.
    """
    columns = _read(table, source.split)
    left_out: Counter[str] = Counter()
    is_taken = _leave(left_out, f"not of split '{source.split}'", np.ones(len(columns.draw), bool), columns.is_split)
    if source.tasks:
        unknown = sorted(set(source.tasks) - set(np.unique(columns.task[is_taken]).tolist()))
        if unknown:
            known = ", ".join(sorted(set(columns.task[is_taken].tolist()))) or "none"
            raise DataError(
                f"source '{source.label}': tasks: expected those of its split '{source.split}', found {unknown}. Known: {known}"
            )
        largest = max(source.tasks.values())
        share = np.array([source.tasks.get(task, 0.0) / largest for task in columns.task.tolist()])
        keeps = columns.draw < (share * 2.0**64).clip(max=2.0**64 - 2048)
        is_taken = _leave(left_out, "task not asked for, or by its weight", is_taken, keeps)
    wanted = int(round(is_taken.sum() * source.percent / 100.0))
    is_taken = _leave(left_out, f"beyond {source.percent:g} per cent", is_taken, _first(columns.draw, is_taken, wanted))
    if source.cap is not None:
        is_taken = _leave(left_out, f"beyond the cap of {source.cap}", is_taken, _first(columns.draw, is_taken, source.cap))
    rows = np.flatnonzero(is_taken)
    if not len(rows):
        reasons = ", ".join(f"{count} {reason}" for reason, count in left_out.items())
        raise DataError(f"source '{source.label}': expected rows in {table.folder}, found none of {len(is_taken)} to take: {reasons}")
    starts, ordered = _grouped(rows, columns.shown[rows], most)
    return Units(
        starts=starts,
        rows=ordered,
        left_out=dict(left_out),
        rows_of_task=dict(sorted(Counter(columns.task[rows].tolist()).items())),
        pictures=int(columns.pictures[ordered[starts[:-1]]].sum()),
    )


def _leave(counts: Counter[str], reason: str, is_taken: np.ndarray, keeps: np.ndarray) -> np.ndarray:
    left = is_taken & ~keeps
    if left.any():
        counts[reason] += int(left.sum())
    return is_taken & keeps


def _first(draw: np.ndarray, is_taken: np.ndarray, count: int) -> np.ndarray:
    """The `count` taken rows of the smallest hashes."""
    rows = np.flatnonzero(is_taken)
    kept = np.zeros(len(draw), bool)
    kept[rows[np.argsort(draw[rows], kind="stable")[:count]]] = True
    return kept


def _grouped(rows: np.ndarray, shown: np.ndarray, most: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows of equal hash together, at most so many, groups in the order of their first row: starts `(U + 1,)` and rows `(n,)`."""
    by_key = np.argsort(shown, kind="stable")
    is_new = np.concatenate([[True], np.diff(shown[by_key]) != 0])
    first_of_key = np.flatnonzero(is_new)
    rank = np.arange(len(rows)) - np.repeat(first_of_key, np.diff([*first_of_key, len(rows)]))
    begins = np.flatnonzero(rank % most == 0)
    leader = rows[by_key][begins]
    order = np.argsort(leader, kind="stable")
    sizes = np.diff([*begins, len(rows)])[order]
    starts = np.concatenate([[0], np.cumsum(sizes)])
    within = np.arange(len(rows)) - np.repeat(starts[:-1], sizes)
    return starts, rows[by_key][np.repeat(begins[order], sizes) + within]


def _read(table: ConversationTable, split: str) -> _Columns:
    parts = list(_parts(table, split))
    return _Columns(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in _Columns.__dataclass_fields__})


def _parts(table: ConversationTable, split: str) -> Iterator[_Columns]:
    names = ["id", "task", "split", "scan_id", "is_video", "frame_policy", "system", "pictures", "marks"]
    for path in table.files:
        with pq.ParquetFile(path, memory_map=True) as file:
            for batch in file.iter_batches(batch_size=BATCH, columns=names, use_threads=False):
                column = {name: batch.column(name) for name in names}
                alone = [column[name] for name in ("scan_id", "frame_policy", "system")]
                shown = pc.binary_join_element_wise(
                    *alone, _words(column["pictures"]), _words(column["marks"]), column["is_video"].cast(pa.string()), "\x1f"
                )
                yield _Columns(
                    draw=_hashes(column["id"]),
                    task=np.array(column["task"].to_pylist(), dtype=object),
                    is_split=np.array(pc.equal(column["split"], split)),
                    shown=_hashes(shown),
                    pictures=np.array(pc.list_value_length(column["pictures"])),
                )


def _words(lists: pa.ListArray) -> pa.Array:
    """Each row's list of structs as one text that is equal for equal lists."""
    flat = lists.flatten()
    fields = [pc.fill_null(field.cast(pa.string()), "\x00") for field in flat.flatten()]
    joined = pc.binary_join_element_wise(*fields, "\x1d")
    offsets = pc.subtract(lists.offsets, lists.offsets[0])
    return pc.binary_join(pa.ListArray.from_arrays(offsets.cast(pa.int32()), joined), "\x1e")


def _hashes(texts: pa.Array) -> np.ndarray:
    digests = b"".join(hashlib.blake2b(text.encode(), digest_size=8).digest() for text in texts.to_pylist())
    return np.frombuffer(digests, dtype="<u8")
