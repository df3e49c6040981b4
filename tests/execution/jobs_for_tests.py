"""Module-level job functions that the execution tests run in worker processes."""

import os
import signal
from pathlib import Path

from sightline.errors import CaptureError


def squared(key: str, *, offset: int) -> int:
    return int(key) ** 2 + offset


def refused_on_three(key: str) -> int:
    if key == "3":
        raise CaptureError("scan3/poses.txt:7: expected 16 numbers, found 15")
    return int(key)


def breaks_once(key: str, *, folder: str) -> str:
    marker = Path(folder) / f"tried-{key}"
    if not marker.exists():
        marker.write_text("")
        raise ValueError("first try")
    return key


def killed_once(key: str, *, folder: str) -> str:
    marker = Path(folder) / f"tried-{key}"
    if key == "2" and not marker.exists():
        marker.write_text("")
        os.kill(os.getpid(), signal.SIGKILL)
    return key


def counted(key: str, *, folder: str) -> str:
    with (Path(folder) / "calls").open("a") as stream:
        stream.write(key + "\n")
    return key
