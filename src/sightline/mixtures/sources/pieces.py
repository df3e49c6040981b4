"""What converters share: fields by name, paths of pictures, placeholders in words, and the refusal that becomes a named bad row."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from sightline.mixtures.source import BadRow, Origin, RawRow, scan_named
from sightline.samples.conversation import FOLDER, TAR, VIDEO, Picture, Turn

VIDEO_SUFFIXES = (".mp4", ".mov", ".mkv", ".avi", ".webm", ".m4v")
PLACEHOLDER = re.compile(r"<image>|<video>")


class RefusedRowError(Exception):
    """A row that cannot be taken: the field, a key of PROBLEMS, and what was expected and found."""

    def __init__(self, field: str, kind: str, message: str):
        super().__init__(message)
        self.field, self.kind = field, kind

    def at(self, found_at: str) -> BadRow:
        return BadRow(found_at=found_at, field=self.field, kind=self.kind, message=str(self))


def expect_read(raw: RawRow) -> Mapping[str, Any]:
    """The row's object. Raises RefusedRowError where it could not be read."""
    if raw.value is None:
        raise RefusedRowError("", "unreadable", raw.problem)
    return raw.value


def text_of(row: Mapping[str, Any], key: str, *, default: str | None = None) -> str:
    """A field of words, or a whole number as its digits."""
    value = row.get(key)
    if value is None and default is not None:
        return default
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str):
        raise RefusedRowError(key, "malformed", f"expected text, found {shortly(value)}")
    return value


def texts_of(row: Mapping[str, Any], key: str) -> tuple[str, ...]:
    """A field that holds one text or a list of them; nothing where it is missing or null."""
    value = row.get(key)
    if value is None:
        return ()
    values = value if isinstance(value, list) else [value]
    for one in values:
        if not isinstance(one, str):
            raise RefusedRowError(key, "malformed", f"expected text or a list of texts, found {shortly(one)}")
    return tuple(values)


def id_of(row: Mapping[str, Any], raw: RawRow, key: str = "id") -> str:
    """The row's own id, or the place it stands at."""
    return text_of(row, key, default="") or raw.name


def shortly(value: Any) -> str:
    """A value as messages quote it."""
    if value is None:
        return "nothing"
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 80 else f"{text[:77]}..."


def media_path(value: str, field: str, origin: Origin, *, prefix: str = "") -> str:
    """A path relative to the media root. Raises RefusedRowError for one outside it, a web address, or bytes in the row."""
    path = value.removeprefix("file://").replace("\\", "/").removeprefix("./")
    if path.startswith("data:"):
        raise RefusedRowError(field, "unsupported", "expected the path of a picture, found its bytes in the row; save them as files first")
    if "://" in path:
        raise RefusedRowError(field, "unsupported", f"expected the path of a picture, found the address {shortly(value)}; download it")
    if path.startswith("/"):
        root = None if origin.media_root is None else f"{Path(origin.media_root).as_posix().rstrip('/')}/"
        if root is None or not path.startswith(root):
            raise RefusedRowError(field, "bad_path", f"expected a path inside the media root {origin.media_root}, found {shortly(value)}")
        path = path[len(root) :]
    elif prefix and not path.startswith(prefix):
        path = prefix + path
    if not path or ".." in path.split("/") or "\0" in path:
        raise RefusedRowError(field, "bad_path", f"expected a path inside the media root, found {shortly(value)}")
    return path


def picture_of(path: str, *, dataset: str = "", frame: int | None = None) -> Picture:
    """A picture at a path of the media root, with the scan and frame that its name says."""
    if path.lower().endswith(VIDEO_SUFFIXES):
        return Picture(place=VIDEO, path=path, frame=frame, scan_id=scan_named(path, dataset=dataset))
    scan_id = scan_named(path, dataset=dataset)
    stem = path.rpartition("/")[2].rpartition(".")[0]
    return Picture(place=TAR if ".tar/" in path else FOLDER, path=path, scan_id=scan_id, frame_id=stem if scan_id else "")


def is_video_path(path: str) -> bool:
    return path.lower().endswith(VIDEO_SUFFIXES)


def words_and_offsets(text: str) -> tuple[str, tuple[int, ...]]:
    """Words without placeholders, and before which of their characters each placeholder stood.

    Where all placeholders come before the words, the white space around them goes with them; elsewhere every character stays.
    """
    if "<" not in text:
        return text, ()
    pieces = PLACEHOLDER.split(text)
    if len(pieces) == 1:
        return text, ()
    if not any(piece.strip() for piece in pieces[:-1]):
        return pieces[-1].lstrip(), (0,) * (len(pieces) - 1)
    offsets, at = [], 0
    for piece in pieces[:-1]:
        at += len(piece)
        offsets.append(at)
    return "".join(pieces), tuple(offsets)


def turns_of(pairs: Sequence[tuple[str, str]], *, pictures: int, per_placeholder: int = 1, placeless: bool = False) -> tuple[Turn, ...]:
    """Turns from questions with placeholders and their answers. Raises RefusedRowError where placeholders and pictures do not match.

    `per_placeholder`: frames of a video that one placeholder stands for. `placeless`: a placeholder without pictures is right,
    because the frames of a scan will be put before the words.
    """
    turns, placed = [], 0
    for number, (question, answer) in enumerate(pairs):
        if PLACEHOLDER.search(answer):
            raise RefusedRowError("answer", "placeholder_mismatch", f"expected no placeholder in an answer, found {shortly(answer)}")
        words, offsets = words_and_offsets(question)
        placed += len(offsets)
        if placeless:
            if number or any(offsets):
                _refuse_inside(offsets, question)
            offsets = ()
        elif per_placeholder > 1:
            offsets = tuple(offset for offset in offsets for _ in range(per_placeholder))
        turns.append(Turn(question=words, answer=answer, picture_offsets=offsets))
    expected = 1 if placeless else pictures // per_placeholder
    if placed != expected and not (placeless and placed == 0):
        raise RefusedRowError(
            "question",
            "placeholder_mismatch",
            f"expected {expected} placeholders, one for each picture, found {placed} in the questions",
        )
    if not placeless and turns and not any(turns[0].picture_offsets) and placed:
        turns[0] = Turn(question=turns[0].question, answer=turns[0].answer)  # all come before the words
    return tuple(turns)


def _refuse_inside(offsets: Sequence[int], question: str) -> None:
    if offsets:
        raise RefusedRowError("question", "unsupported", f"expected the scan's placeholder before the words, found {shortly(question)}")


def each(values: Any, field: str) -> Iterator[Any]:
    """Elements of a list. Raises RefusedRowError for anything else."""
    if not isinstance(values, list):
        raise RefusedRowError(field, "malformed", f"expected a list, found {shortly(values)}")
    yield from values
