"""Files that are never half written: write beside, rename, and a finished marker last."""

import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sightline.errors import DataError

FINISHED = "finished.json"
BYTE_ORDER_MARK = "\ufeff"
NO_MARK = "expected UTF-8 without a byte order mark, found one at offset 0. Fix: save the file as plain UTF-8"


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path`; rename it over `path` when the block ends well, delete it otherwise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        yield beside
        os.replace(beside, path)
    finally:
        if beside.is_dir():
            shutil.rmtree(beside)
        elif beside.exists():
            beside.unlink()


@contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """As `replacing`, for a whole folder: `path` appears complete or not at all; an older one is replaced."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.tmp")
    beside.mkdir()
    try:
        yield beside
        if path.exists():
            old = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.old.tmp")
            os.replace(path, old)
            os.replace(beside, path)
            shutil.rmtree(old)
        else:
            os.replace(beside, path)
    finally:
        if beside.exists():
            shutil.rmtree(beside)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text with `\\n` line ends, atomically."""
    with replacing(path) as beside:
        beside.write_bytes(text.encode("utf-8"))


def write_json(path: Path, value: Any) -> None:
    """Write JSON atomically; NaN and infinity are refused (ValueError) because JSON has no word for them."""
    write_text(path, json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


def _refuse_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    keys = [key for key, _ in pairs]
    if len(set(keys)) != len(keys):
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"key '{twice}' stands twice")
    return dict(pairs)


def parse_json(text: str, where: str) -> Any:
    """Strict JSON: no NaN, no infinity, no key twice. Raises DataError naming `where`."""
    try:
        return json.loads(text, parse_constant=_refuse_constant, object_pairs_hook=_refuse_duplicates)
    except ValueError as error:
        raise DataError(f"{where}: expected JSON, found {error}") from error
    except RecursionError as error:
        raise DataError(f"{where}: expected JSON, found brackets nested too deeply to be read") from error


def read_json(path: Path) -> Any:
    """Read strict JSON. Raises DataError for a missing, non-UTF-8 or malformed file."""
    try:
        text = path.read_bytes().decode("utf-8")
    except FileNotFoundError as error:
        raise DataError(f"{path}: expected a file, found none") from error
    except OSError as error:
        raise DataError(f"{path}: expected a file, found one that cannot be read ({error})") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: expected UTF-8, found byte {error.object[error.start]:#x} at offset {error.start}") from error
    if text.startswith(BYTE_ORDER_MARK):
        raise DataError(f"{path}: {NO_MARK}")
    return parse_json(text, str(path))


def read_jsonl(path: Path) -> Iterator[Any]:
    """Read a file of one strict JSON value per line. Raises DataError naming file and line."""
    with path.open("rb") as stream:
        for number, line in enumerate(stream, start=1):
            try:
                text = line.decode("utf-8")
            except UnicodeDecodeError as error:
                raise DataError(f"{path}:{number}: expected UTF-8, found byte {line[error.start]:#x}") from error
            if text.strip():
                yield parse_json(text, f"{path}:{number}")


def sha256_of(path: Path) -> str:
    """Hex SHA-256 of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def fingerprint(value: Any) -> str:
    """Sixteen hex digits of the SHA-256 of a JSON-able value; equal values give equal fingerprints everywhere."""
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str)
    return hashlib.sha256(canonical.encode("utf-8")).hexdigest()[:16]


def mark_finished(folder: Path, *, made_from: str, **facts: Any) -> None:
    """Write the finished marker of `folder`, bound to the fingerprint of what it was made from."""
    write_json(folder / FINISHED, {"made_from": made_from, **facts})


def is_finished(folder: Path, *, made_from: str) -> bool:
    """Whether `folder` was finished from exactly this input. A missing or foreign marker reads as unfinished."""
    marker = folder / FINISHED
    return marker.is_file() and read_json(marker).get("made_from") == made_from


def safe_join(root: Path, relative: str) -> Path:
    """`root / relative`, refusing absolute paths, `..` and links that lead outside `root`. Raises DataError."""
    if "\0" in relative:
        raise DataError(f"path {relative!r}: expected no NUL character")
    joined = (root / relative).resolve()
    if not joined.is_relative_to(root.resolve()):
        raise DataError(f"path '{relative}': expected a path inside {root}, found one that leads outside")
    return root / relative
