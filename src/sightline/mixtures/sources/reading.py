"""Rows out of JSON lines and JSON lists of any length, one in memory at a time, each with the place it stands at."""

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from sightline.errors import DataError
from sightline.files import read_json
from sightline.mixtures.source import RawRow

CHUNK = 1 << 20
SPACE = " \t\r\n"
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


_DECODER = json.JSONDecoder(parse_constant=_refuse_constant)


def rows_of(files: Sequence[Path], *, skip: int = 0) -> Iterator[RawRow]:
    """Rows of `.jsonl` files (by line), `.parquet` files, and any other (one JSON list), without the first `skip`.

    Raises DataError for a file that is missing or is none of these.
    """
    for path, name in zip(files, names_of(files)):
        for row in _reading(path, name, skip):
            if row is None or skip > 0:  # a line that need not be parsed, or an element that comes before
                skip -= 1
                continue
            yield row


def _reading(path: Path, name: str, skip: int) -> Iterator[RawRow | None]:
    if path.suffix.lower() in (".jsonl", ".ndjson"):
        return _lines(path, name, skip)
    return _table_rows(path, name) if path.suffix.lower() == ".parquet" else _elements(path, name)


def _table_rows(path: Path, name: str) -> Iterator[RawRow]:
    try:
        number = 0
        for batch in pq.ParquetFile(path).iter_batches(batch_size=1024, use_threads=False):
            for row in batch.to_pylist():
                number += 1
                yield RawRow(f"{name}: row {number}", f"{Path(name).stem}/{number}", row)
    except FileNotFoundError as error:
        raise DataError(f"{path}: expected a file of rows, found none") from error
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path}: expected a whole Parquet file, found a damaged one ({error})") from error


def names_of(files: Sequence[Path]) -> list[str]:
    """The files as messages call them: below the folder that they share."""
    if len({path.name for path in files}) == len(files):
        return [path.name for path in files]
    shared = Path(os.path.commonpath([path.parent for path in files]))
    return [path.relative_to(shared).as_posix() for path in files]


def values_of(path: Path, key: str) -> list[Any]:
    """The list that a whole JSON file holds under a key. Raises DataError for anything else."""
    value = read_json(path)
    if not isinstance(value, dict) or not isinstance(value.get(key), list):
        raise DataError(f"{path}: expected an object with a list '{key}', found {_kind(value)}")
    return value[key]


def _lines(path: Path, name: str, skip: int) -> Iterator[RawRow | None]:
    with _opened(path) as stream:
        left = skip
        for number, line in enumerate(stream, start=1):
            if number == 1 and line.startswith(BYTE_ORDER_MARK):
                line = line[3:]
            if not line.strip():
                continue
            if left > 0:
                left -= 1
                yield None
                continue
            yield _parsed(line, f"{name}: line {number}", f"{Path(name).stem}/{number}")


def _parsed(line: bytes, where: str, row_name: str) -> RawRow:
    try:
        text = line.decode("utf-8")
        value = _DECODER.decode(text)
    except (ValueError, RecursionError) as error:
        return RawRow(where, row_name, None, f"expected JSON, found {error}")
    return _row(where, row_name, value, text)


def _elements(path: Path, name: str) -> Iterator[RawRow]:
    """Elements of one JSON list. A damaged element ends the file: where the next one starts cannot be known."""
    with _opened(path) as stream:
        text = _Text(stream, path)
        if text.next_sign() != "[":
            raise DataError(f"{path}: expected a JSON list of rows (or a .jsonl file), found a file that starts otherwise")
        text.take()
        number = 0
        while (sign := text.next_sign()) != "]":
            if sign == "," and number:
                text.take()
                text.next_sign()
            elif number or sign == "":
                yield RawRow(
                    f"{name}: row {number + 1}",
                    f"{Path(name).stem}/{number + 1}",
                    None,
                    f"expected ',' or ']' after row {number}, found {sign or 'the end'!r}",
                )
                return
            number += 1
            where, row_name = f"{name}: row {number}", f"{Path(name).stem}/{number}"
            try:
                value, written = text.value()
            except (ValueError, RecursionError) as error:
                yield RawRow(where, row_name, None, f"expected JSON, found {error}; the rows after it cannot be read")
                return
            yield _row(where, row_name, value, written)


def _row(where: str, row_name: str, value: Any, written: str) -> RawRow:
    if not isinstance(value, dict):
        return RawRow(where, row_name, None, f"expected an object, found {_kind(value)}")
    if "\\ud" in written or "\\uD" in written:  # half a character (a surrogate alone) is JSON, and no text that can be written
        try:
            json.dumps(value, ensure_ascii=False).encode("utf-8")
        except UnicodeEncodeError as error:
            return RawRow(where, row_name, None, f"expected text, found half a character: {error.object[error.start]!a}")
    return RawRow(where, row_name, value)


class _Text:
    """A window over the text of a file that grows until a value fits in it."""

    def __init__(self, stream: BinaryIO, path: Path):
        self.stream, self.path = stream, path
        self.window, self.at, self.rest = "", 0, b""
        self.is_whole = False
        self._grow(CHUNK)
        self.window = self.window.removeprefix("\ufeff")

    def next_sign(self) -> str:
        """The next character that is no white space, not taken; "" at the end."""
        while True:
            while self.at < len(self.window) and self.window[self.at] in SPACE:
                self.at += 1
            if self.at < len(self.window):
                return self.window[self.at]
            if self.is_whole:
                return ""
            self._grow(CHUNK)

    def take(self) -> None:
        self.at += 1

    def value(self) -> tuple[Any, str]:
        """The value that starts here, and how it is written. Raises ValueError where there is none, once the file was read to its end."""
        size = CHUNK
        while True:
            try:
                value, end = _DECODER.raw_decode(self.window, self.at)
            except ValueError:
                if self.is_whole:
                    raise
            else:
                if end < len(self.window) or self.is_whole:  # a number at the edge may go on
                    written, self.at = self.window[self.at : end], end
                    return value, written
            self._grow(size)
            size *= 2

    def _grow(self, size: int) -> None:
        block = self.stream.read(size)
        self.is_whole = not block
        whole = self.rest + block
        try:
            text, self.rest = whole.decode("utf-8"), b""
        except UnicodeDecodeError as error:
            if self.is_whole or error.start < len(whole) - 4:
                raise DataError(f"{self.path}: expected UTF-8, found byte {whole[error.start]:#x}") from error
            text, self.rest = whole[: error.start].decode("utf-8"), whole[error.start :]
        self.window, self.at = self.window[self.at :] + text, 0


def _opened(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except FileNotFoundError as error:
        raise DataError(f"{path}: expected a file of rows, found none") from error
    except OSError as error:
        raise DataError(f"{path}: expected a file of rows, found one that cannot be read ({error.strerror})") from error


def _kind(value: Any) -> str:
    return {dict: "an object", list: "a list", str: "text", type(None): "null"}.get(type(value), type(value).__name__)
