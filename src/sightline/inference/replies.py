"""Replies on disk: one JSON line per answered sample, saved once, scored as often as wanted."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from sightline.errors import DataError
from sightline.files import read_jsonl, write_text


@dataclass(frozen=True, kw_only=True, slots=True)
class Reply:
    """What a model said to one sample."""

    sample_id: str
    text: str
    tokens: int
    seconds: float


FIELDS = frozenset(field.name for field in fields(Reply))


def write_replies(path: Path, replies: Iterable[Reply]) -> None:
    """Write all replies at once, atomically."""
    write_text(path, "".join(json.dumps(asdict(reply)) + "\n" for reply in replies))


def read_replies(path: Path) -> Sequence[Reply]:
    """Read replies. Raises DataError naming file and line."""
    replies = []
    for number, row in enumerate(read_jsonl(path), start=1):
        if not isinstance(row, dict) or set(row) != FIELDS or not isinstance(row["sample_id"], str) or not isinstance(row["text"], str):
            found = sorted(row) if isinstance(row, dict) and set(row) != FIELDS else row
            raise DataError(f"{path}:{number}: expected the texts sample_id and text with tokens and seconds, found {found}")
        replies.append(Reply(**row))
    return replies
