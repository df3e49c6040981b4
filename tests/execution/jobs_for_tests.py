"""Module-level job functions that the execution tests run in worker processes."""

import os
import signal
import time
from pathlib import Path

from sightline.errors import CaptureError
from sightline.files import read_json, write_text


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


def written(key: str, *, folder: str, calls: str, trouble: str = "") -> int:
    """Writes `folder/<key>.txt` and counts the call; `trouble` names a file: while it is there, key 3 meets what it says."""
    with Path(calls).open("a") as stream:
        stream.write(key + "\n")
    text = "".join(f"{key} {number**2}\n" for number in range(int(key) * 100))
    meets = Path(trouble).read_text() if trouble and key == "3" and Path(trouble).exists() else ""
    if meets == "killed":
        Path(trouble).unlink()
        (Path(folder) / "3.txt.half").write_text(text[: len(text) // 2])
        os.kill(os.getpid(), signal.SIGKILL)
    if meets == "killed after writing":
        Path(trouble).unlink()
        write_text(Path(folder) / f"{key}.txt", text)
        os.kill(os.getpid(), signal.SIGKILL)
    if meets == "wait":
        until_s = time.monotonic() + 30
        while Path(trouble).exists() and time.monotonic() < until_s:
            time.sleep(0.02)
    if meets == "full":
        with Path("/dev/full").open("w") as stream:  # the system's own full disk
            stream.write(text)
    write_text(Path(folder) / f"{key}.txt", text)
    return len(text)


def copied_scan(key: str, *, source: str, folder: str) -> int:
    """Reads a scan's JSON and writes its sum; a corrupt one is refused."""
    value = read_json(Path(source) / f"{key}.json")
    write_text(Path(folder) / f"{key}.txt", f"{sum(value)}\n")
    return sum(value)


def slow(key: str, *, folder: str, seconds: float) -> str:
    """Counts the call with the name of its Ray node or machine, sleeps, writes."""
    with (Path(folder) / "calls").open("a") as stream:
        stream.write(f"{key} {os.environ.get('NODE_OF_TEST', '')} {os.getppid()}\n")
    time.sleep(seconds)
    write_text(Path(folder) / f"{key}.txt", f"{key} is done\n")
    return key


def ends_its_element_once(key: str, *, folder: str) -> str:
    """Key 3 kills the process that started its worker, the first time."""
    marker = Path(folder) / "ended"
    if key == "3" and not marker.exists():
        marker.write_text("")
        os.kill(os.getppid(), signal.SIGKILL)
        os.kill(os.getpid(), signal.SIGKILL)
    return key
