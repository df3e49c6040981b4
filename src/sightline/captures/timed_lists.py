"""Reads lists of timed files, `time_s path` per line, and associations of two such files per line (TUM RGB-D tools)."""

import math
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from sightline.captures.layouts import inside
from sightline.captures.texts import read_text
from sightline.errors import CaptureError


@dataclass(frozen=True, kw_only=True, slots=True)
class Timed:
    """A file and the time it was taken at."""

    time_s: float
    path: Path


def read_list(folder: Path, name: str) -> list[Timed]:
    """The files of one list in the order of the file. Raises CaptureError naming file and line."""
    rows = _rows(folder / name)
    if not rows:
        raise CaptureError(f"{folder / name}: expected lines of `time_s path`, found none")
    found = []
    for number, words in rows:
        if len(words) != 2:
            raise CaptureError(f"{folder / name}:{number}: expected `time_s path`, found {len(words)} words")
        found.append(_timed(folder, words[0], words[1], where=f"{name}:{number}"))
    return found


def read_associations(folder: Path, name: str) -> list[tuple[Timed, Timed]]:
    """(colour, depth) of each line `time_s path time_s path`; in either order; depth is what lies below `depth`. Raises CaptureError."""
    rows = _rows(folder / name)
    if not rows:
        raise CaptureError(f"{folder / name}: expected lines of `time_s path time_s path`, found none")
    found = []
    for number, words in rows:
        where = f"{name}:{number}"
        if len(words) != 4:
            raise CaptureError(f"{folder / where}: expected `time_s path time_s path`, found {len(words)} words")
        first, second = _timed(folder, words[0], words[1], where=where), _timed(folder, words[2], words[3], where=where)
        are_depth = ["depth" in PurePosixPath(words[place]).parts[0].lower() for place in (1, 3)]
        if are_depth[0] == are_depth[1]:
            raise CaptureError(f"{folder / where}: expected one path of the two below depth/, found '{words[1]}' and '{words[3]}'")
        found.append((second, first) if are_depth[0] else (first, second))
    return sorted(found, key=lambda pair: pair[0].time_s)


def _rows(path: Path) -> list[tuple[int, list[str]]]:
    """(line number, words) of every line that is neither empty nor a `#` comment."""
    text = read_text(path)
    rows = [(number, line.partition("#")[0].split()) for number, line in enumerate(text.splitlines(), start=1)]
    return [(number, words) for number, words in rows if words]


def _timed(folder: Path, time: str, relative: str, *, where: str) -> Timed:
    try:
        time_s = float(time)
    except ValueError as error:
        raise CaptureError(f"{folder / where}: expected a time in seconds, found {time[:40]!r}") from error
    if not math.isfinite(time_s):
        raise CaptureError(f"{folder / where}: expected a finite time in seconds, found {time[:40]}")
    return Timed(time_s=time_s, path=inside(folder, relative, key=where))
