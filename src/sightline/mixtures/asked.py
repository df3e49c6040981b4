"""What a table asks: rooms, pictures and questions of its rows, as columns of hashes that are small enough for millions of rows."""

import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from sightline.mixtures.near_duplicates import Ragged
from sightline.samples.benchmark_guard import room_tokens
from sightline.samples.conversation_files import ConversationTable

BATCH = 16_384
COLUMNS = ["scan_id", "place_id", "pictures", "turns"]
_WORD = re.compile(r"\w+")
_SEP, _FIELD = "\x1e", "\x1f"


@dataclass(frozen=True, order=True, slots=True)
class Shown:
    """A picture file that rows show."""

    place: str
    path: str
    scan_id: str


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Asked:
    """The rows of one table. Questions are its turns, in order; texts its distinct questions, by their normalised words."""

    name: str
    table: ConversationTable
    rooms: Mapping[tuple[str, ...], int]  # (scan, place, scans of the pictures...) -> rows
    pictures: frozenset[Shown]
    row: np.ndarray  # (q,) int64
    turn: np.ndarray  # (q,) int64
    where: np.ndarray  # (q,) uint64: the room, or the pictures where no room is named
    shown: np.ndarray  # (q,) uint64: the pictures' paths
    text: np.ndarray  # (q,) int64, index of its text
    answer: np.ndarray  # (q,) uint64
    text_hash: np.ndarray  # (t,) uint64
    words: Ragged  # of t texts

    @property
    def num_rows(self) -> int:
        return sum(self.rooms.values())

    def id_of(self, number: int) -> str:
        """Id of the row of a question."""
        return self.table[int(self.row[number])].sample_id

    def question(self, number: int) -> tuple[str, str]:
        """Id of the row and the words of a question, as they stand."""
        row = self.table[int(self.row[number])]
        return row.sample_id, row.turns[int(self.turn[number])].question


def asked_by(name: str, table: ConversationTable, rows: np.ndarray | None = None) -> Asked:
    """Read the columns of these rows (all by default), batch by batch. Raises DataError for a damaged file."""
    taken = np.ones(len(table), bool) if rows is None else np.zeros(len(table), bool)
    if rows is not None:
        taken[rows] = True
    columns, first = _Columns(), 0
    for batch in _batches(table):
        here = taken[first : first + batch.num_rows]
        if here.any():
            columns.add(batch if here.all() else batch.filter(pa.array(here)), first + np.flatnonzero(here))
        first += batch.num_rows
    return columns.asked(name, table)


def normal_words(text: str) -> list[str]:
    """Words and numbers in one case, without punctuation."""
    return _WORD.findall((text if text.isascii() else unicodedata.normalize("NFKC", text)).casefold())


def normal_answer(text: str) -> str:
    """An answer in one case, one kind of space, without the full stop: signs and decimal points of numbers stay."""
    return " ".join((text if text.isascii() else unicodedata.normalize("NFKC", text)).casefold().split()).rstrip(".")


def _batches(table: ConversationTable) -> Iterator[pa.RecordBatch]:
    for path in table.files:
        with pq.ParquetFile(path, memory_map=True) as file:
            yield from file.iter_batches(batch_size=BATCH, columns=COLUMNS, use_threads=False)


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")


_word = lru_cache(maxsize=1 << 18)(_hash)


@lru_cache(maxsize=1 << 16)
def _room(scan_id: str, place_id: str) -> int:
    """Hash of the room's name, 0 where none is named."""
    tokens = room_tokens(scan_id, place_id)
    name = min(tokens) if tokens else place_id or scan_id
    return _hash(f"room {name}") if name else 0


class _Columns:
    """Grows by batches."""

    def __init__(self) -> None:
        self.rooms: Counter[tuple[str, ...]] = Counter()
        self.pictures: set[Shown] = set()
        self.rows: list[np.ndarray] = []
        self.turns: list[np.ndarray] = []
        self.hashes: dict[str, list[np.ndarray]] = {name: [] for name in ("where", "shown", "answer")}
        self.text: list[np.ndarray] = []
        self.known: dict[bytes, int] = {}  # digest of the words -> text
        self.starts: list[int] = [0]
        self.words: list[int] = []
        self.word_parts: list[np.ndarray] = []

    def add(self, batch: pa.RecordBatch, numbers: np.ndarray) -> None:
        pictures = batch.column("pictures")
        place, path, _, scan_id, _ = pictures.flatten().flatten()
        scans, places = batch.column("scan_id").to_pylist(), batch.column("place_id").to_pylist()
        picture_scans = [tuple(dict.fromkeys(one.split(_SEP))) if one else () for one in _joined(pictures, scan_id)]
        self.rooms.update((scan, room, *(one for one in of if one and one != scan)) for scan, room, of in zip(scans, places, picture_scans))
        for one in pc.unique(pc.binary_join_element_wise(place, path, scan_id, _FIELD)).to_pylist():
            self.pictures.add(Shown(*one.split(_FIELD)))
        shown = np.array([_hash(one) if one else 0 for one in _joined(pictures, path)], np.uint64)
        rooms = np.array([_room(scan or (of[0] if of else ""), room) for scan, room, of in zip(scans, places, picture_scans)], np.uint64)
        turns = batch.column("turns")
        question, answer, _ = turns.flatten().flatten()
        counts = np.diff(np.array(turns.offsets))
        row = np.repeat(np.arange(len(numbers)), counts)
        self.rows.append(numbers[row])
        self.turns.append(np.arange(len(row)) - np.repeat(np.cumsum(counts) - counts, counts))
        self.hashes["where"].append(np.where(rooms != 0, rooms, shown)[row])
        self.hashes["shown"].append(shown[row])
        self.hashes["answer"].append(np.array([_hash(normal_answer(one)) for one in answer.to_pylist()], np.uint64))
        self.text.append(np.array([self._text(one) for one in question.to_pylist()], np.int64))
        self.word_parts.append(np.array(self.words, np.uint64))
        self.words = []

    def _text(self, question: str) -> int:
        words = normal_words(question)
        digest = hashlib.blake2b(" ".join(words).encode("utf-8", "surrogatepass"), digest_size=8).digest()
        number = self.known.setdefault(digest, len(self.known))
        if number == len(self.starts) - 1:
            self.starts.append(self.starts[-1] + len(words))
            self.words += map(_word, words)
        return number

    def asked(self, name: str, table: ConversationTable) -> Asked:
        whole = {key: _end_to_end(parts, np.uint64) for key, parts in self.hashes.items()}
        return Asked(
            name=name,
            table=table,
            rooms=dict(self.rooms),
            pictures=frozenset(self.pictures),
            row=_end_to_end(self.rows, np.int64),
            turn=_end_to_end(self.turns, np.int64),
            text=_end_to_end(self.text, np.int64),
            text_hash=np.frombuffer(b"".join(self.known), "<u8"),
            words=Ragged(starts=np.array(self.starts, np.int64), values=_end_to_end(self.word_parts, np.uint64)),
            **whole,
        )


def _joined(lists: pa.ListArray, field: pa.Array) -> list[str]:
    """One field of each row's structs as one text."""
    offsets = pc.subtract(lists.offsets, lists.offsets[0]).cast(pa.int32())
    return pc.binary_join(pa.ListArray.from_arrays(offsets, field), _SEP).to_pylist()


def _end_to_end(parts: list[np.ndarray], kind: type) -> np.ndarray:
    return np.concatenate([np.zeros(0, kind), *parts])
