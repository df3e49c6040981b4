"""Reads trajectory logs of Redwood and Open3D: blocks of one line with three whole numbers and four lines of a 4x4 matrix."""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sightline.captures.poses import read_number_rows
from sightline.errors import CaptureError

BLOCK_LINES = 5
_HEAD_BYTES = 512
_FIRST_LINES = re.compile(rb"\s*-?\d+\s+-?\d+\s+-?\d+[ \t]*\r?\n\s*[-+.\deEnaif]+(?:[ \t]+[-+.\deEnaif]+){3}\s")


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class LogPose:
    """One block: the number of its frame, its matrix `(4, 4)` as stored (may hold NaN), and where it stands."""

    index: int
    matrix: np.ndarray
    where: str


def looks_like_log(path: Path) -> bool:
    """Whether a file starts like a trajectory log; its first half kilobyte is looked at."""
    if not path.is_file():
        return False
    with path.open("rb") as stream:
        return _FIRST_LINES.match(stream.read(_HEAD_BYTES)) is not None


def read_log(path: Path) -> list[LogPose]:
    """Every pose of a log, in its order. Raises CaptureError naming the line: cut off, a line of another length, no whole number."""
    rows = read_number_rows(path)
    if not rows:
        raise CaptureError(f"{path}: expected blocks of a frame number and a 4x4 matrix, found no line")
    poses = []
    for first in range(0, len(rows), BLOCK_LINES):
        block = rows[first : first + BLOCK_LINES]
        line, head = block[0]
        if len(head) != 3 or not all(value.is_integer() for value in head):
            raise CaptureError(f"{path}:{line}: expected three whole numbers, the first that of the frame, found {len(head)} numbers")
        for number, row in block[1:]:
            if len(row) != 4:
                raise CaptureError(f"{path}:{number}: expected a row of a 4x4 matrix, found {len(row)} numbers")
        if len(block) < BLOCK_LINES:
            raise CaptureError(
                f"{path}:{block[-1][0]}: expected four rows after line {line}, found the end of the file after {len(block) - 1}"
            )
        poses.append(LogPose(index=int(head[0]), matrix=np.array([row for _, row in block[1:]]), where=f"{path}:{line}"))
    return poses
