"""Replies on disk: one JSON line per answered sample, saved once, scored as often as wanted."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
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


def write_replies(path: Path, replies: Iterable[Reply]) -> None:
    """Write all replies at once, atomically."""
    write_text(path, "".join(json.dumps(asdict(reply)) + "\n" for reply in replies))


def read_replies(path: Path) -> Sequence[Reply]:
    """Read replies. Raises DataError naming file and line."""
    replies = []
    for number, row in enumerate(read_jsonl(path), start=1):
        try:
            replies.append(Reply(**row))
        except TypeError as error:
            raise DataError(f"{path}:{number}: expected sample_id, text, tokens, seconds, found {sorted(row)}") from error
    return replies
