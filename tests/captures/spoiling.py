"""What tests of bad input share: a fresh copy of a written layout, bytes spoilt on purpose, the refusal or the counted skips."""

import re
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from true_room import Written

from sightline.captures.capture import READERS, Capture
from sightline.errors import SightlineError


def copied(wrote: Written, root: Path, target: Path) -> Path:
    """The written layout again below `target`; `root` is the folder that it was written under."""
    shutil.copytree(root, target, symlinks=True)
    return target / wrote.source.relative_to(root)


def read(wrote: Written, source: Path, workspace: Path, **options) -> Capture:
    """The first scan of a layout that may be spoilt."""
    workspace.mkdir(exist_ok=True)
    reader = READERS[wrote.reader](source, {**wrote.options, **options})
    return reader.read(wrote.scan_id, workspace=workspace)


def refusal(wrote: Written, source: Path, workspace: Path, **options) -> str:
    """The message of the refusal, which must be one line that a terminal can show."""
    with pytest.raises(SightlineError) as caught:
        read(wrote, source, workspace, **options)
    message = str(caught.value)
    assert "\n" not in message and len(message) < 700
    return message


def expect_verdict(wrote: Written, source: Path, workspace: Path, told: str | dict[str, int], **options) -> None:
    """`told` is a pattern of the refusal, or the counted skips of a scan that is read all the same."""
    if isinstance(told, str):
        message = refusal(wrote, source, workspace, **options)
        assert re.search(told, message), message
        return
    capture = read(wrote, source, workspace, **options)
    assert Counter(skipped.reason for skipped in capture.skipped) == told
    assert len(capture.frames) == len(wrote.frames) - sum(told.values())


def rewritten(path: Path, change: Callable[[str], str]) -> None:
    path.write_text(change(path.read_text()))


def halved(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def not_text(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:40] + b"\xff\xfe\x00" + path.read_bytes()[40:])


def with_line(path: Path, place: int, line: str) -> None:
    lines = path.read_text().splitlines()
    lines[place] = line
    path.write_text("\n".join(lines) + "\n")
