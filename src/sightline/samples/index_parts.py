"""Writing an index: each scan leaves its rows and its head in one part file, and the parts are joined in order into one folder."""

import hashlib
import json
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from sightline.errors import DataError
from sightline.files import fingerprint, parse_json, replacing
from sightline.questions.rows import ROW_BYTES, ScanHead
from sightline.samples.making import Origin
from sightline.samples.sample import SCHEMA_VERSION, Sample

INDEX_FOLDER = "index"
MANIFEST, ROWS, HEADS = "index.json", "rows.bin", "heads.bin"
FORMAT, VERSION = "sightline-index", 1
PROBE_ROWS = 64  # questions of each task that are worded anew when an index is opened, to see that they still read as they did


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """A scan's part file, and the split it has now."""

    path: Path
    split: str


def write_part(path: Path, rows: Mapping[str, np.ndarray], scan: ScanHead, origin: Origin) -> None:
    """Write the rows of each task (in this order) and all that reading them needs of the scan, atomically; equal input, equal bytes."""
    body = b"".join(np.ascontiguousarray(of_task).tobytes() for of_task in rows.values())
    head = {
        "scan_id": scan.scan_id,
        "place_id": origin.place_id,
        "source": origin.source,
        "licence": origin.licence,
        "frame_ids": list(scan.frame_ids),
        "image_paths": [origin.image_paths[frame_id] for frame_id in scan.frame_ids],
        "widths": list(scan.widths),
        "heights": list(scan.heights),
        "categories": [[object_id, category] for object_id, category in scan.category_of.items()],
        "blocks": [[task, len(of_task)] for task, of_task in rows.items() if len(of_task)],
    }
    with replacing(path) as beside:
        beside.write_bytes(_json(head) + b"\n" + body)


def join_parts(folder: Path, parts: Sequence[Part], *, seed: int, options: Mapping[str, Any], generator_version: str) -> Mapping[str, Any]:
    """Join parts, in the order given, into the files of an index, and return its manifest. Raises DataError for a damaged part.

    One scan is held in memory at a time. The same parts give the same bytes.
    """
    heads = [_head_of(part.path) for part in parts]
    tasks = sorted({task for head in heads for task, _ in head["blocks"]})
    if not tasks:
        raise DataError(f"{folder}: expected questions of indexed tasks, found none in {len(parts)} scans")
    counts: dict[str, Counter[str]] = {task: Counter() for task in tasks}
    first_of: dict[str, list[int]] = {}  # task -> first row and count of the questions worded anew when the index is opened
    scans: list[list[int]] = []
    with Hashed(folder / ROWS) as rows_file, Hashed(folder / HEADS) as heads_file:
        for part, head in zip(parts, heads):
            rows = _rows_of(part.path, head, tasks)
            if not rows:
                continue
            packed = zlib.compress(_json({**head, "split": part.split, "crc32": zlib.crc32(rows)}), 9)
            first_row = rows_file.num_bytes // ROW_BYTES
            scans.append([first_row, heads_file.num_bytes, len(packed)])
            rows_file.write(rows)
            heads_file.write(packed)
            for task, count in head["blocks"]:
                first_of.setdefault(task, [first_row, min(count, PROBE_ROWS)])
                counts[task][part.split] += count
                first_row += count
    return {
        "format": FORMAT,
        "version": VERSION,
        "schema_version": SCHEMA_VERSION,
        "generator_version": generator_version,
        "seed": seed,
        "options": dict(options),
        "num_rows": rows_file.num_bytes // ROW_BYTES,
        "files": {one.path.name: {"num_bytes": one.num_bytes, "sha256": one.sha256} for one in (rows_file, heads_file)},
        "tasks": tasks,
        "counts": {task: dict(counts[task]) for task in tasks},
        "first_of": first_of,
        "wording": {},
        "scans": scans,
    }


def wording_of(samples: Sequence[Sample]) -> str:
    """Fingerprint of what questions say and what is right."""
    return fingerprint([[one.sample_id, one.question, one.answer_text, one.template_id] for one in samples])


class Hashed:
    """A file that counts and hashes what is written into it."""

    def __init__(self, path: Path):
        self.path = path
        self.num_bytes = 0
        self._digest = hashlib.sha256()
        self._stream: BinaryIO = path.open("wb")

    def write(self, block: bytes) -> None:
        self._stream.write(block)
        self._digest.update(block)
        self.num_bytes += len(block)

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()

    def __enter__(self) -> "Hashed":
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()


def _head_of(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as stream:
            line = stream.readline()
    except FileNotFoundError as error:
        raise DataError(f"{path}: expected the index part of a scan, found none. Fix: generate again") from error
    if not line.endswith(b"\n"):
        raise DataError(f"{path}: expected the head of a scan in the first line, found a damaged file. Fix: generate again")
    return parse_json(line.decode("utf-8", errors="replace"), str(path))


def _rows_of(path: Path, head: Mapping[str, Any], tasks: Sequence[str]) -> bytes:
    """The part's rows, each with the number of its task."""
    _, _, body = path.read_bytes().partition(b"\n")
    expected = sum(count for _, count in head["blocks"]) * ROW_BYTES
    if len(body) != expected:
        raise DataError(f"{path}: expected {expected} bytes of rows, found {len(body)}. Fix: delete it and generate again")
    rows = np.frombuffer(body, dtype=np.uint8).reshape(-1, ROW_BYTES).copy()
    start = 0
    for task, count in head["blocks"]:
        rows[start : start + count, 0] = tasks.index(task)
        start += count
    return rows.tobytes()


def _json(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode("utf-8")
