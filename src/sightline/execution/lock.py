"""One job per record folder and shard: a second one is refused while the first lives, on this machine or another."""

import os
import socket
import threading
import time
import uuid
from pathlib import Path

from sightline.errors import ExecutionError
from sightline.execution.execution import Job

BEAT_S = 5.0  # how often the holder touches its lock
SILENT_S = 20.0  # a holder elsewhere that does not touch it for so long is dead; four beats, as shared disks cache times for seconds
SETTLE_S = 0.2  # two that take over the same dead lock see within this time whose name is in it


class Lock:
    """A file that names process, machine and run; touched while its holder lives. A dead holder's lock is taken over.

    Whether a process of this machine lives is asked of the system. A process of another machine is watched for `SILENT_S`.
    """

    def __init__(self, job: Job):
        self.path = job.record_dir / (f"lock-{job.part}" if job.part else "lock")
        self.name = job.name
        self._token = f"{os.getpid()} {socket.gethostname()} {uuid.uuid4().hex}"
        self._released = threading.Event()

    def __enter__(self) -> "Lock":
        self.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            handle = os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
        except FileExistsError:
            self._take_over()
        else:
            with os.fdopen(handle, "w") as stream:
                stream.write(self._token)
        threading.Thread(target=self._beat, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._released.set()
        if _text(self.path) == self._token:
            self.path.unlink(missing_ok=True)

    def _take_over(self) -> None:
        """Put our name into a dead holder's lock. Raises ExecutionError where it lives."""
        holder = _text(self.path)
        process_id, _, rest = holder.partition(" ")
        host = rest.partition(" ")[0] or socket.gethostname()
        if host == socket.gethostname():
            lives = process_id.isdecimal() and _is_alive(int(process_id))
        else:
            lives = self._beats_on()
        if lives:
            where = "" if host == socket.gethostname() else f" of machine {host}"
            raise ExecutionError(f"{self.name}: process {process_id}{where} works in {self.path.parent} already; wait for it or stop it")
        ours = self.path.with_name(f".{self.path.name}.{uuid.uuid4().hex[:8]}.tmp")
        ours.write_text(self._token, encoding="utf-8")
        os.replace(ours, self.path)
        time.sleep(SETTLE_S)
        if _text(self.path) != self._token:
            raise ExecutionError(f"{self.name}: another run has just begun in {self.path.parent}; wait for it or stop it")

    def _beats_on(self) -> bool:
        before = _touched_ns(self.path)
        until_s = time.monotonic() + SILENT_S
        while time.monotonic() < until_s:
            if _touched_ns(self.path) != before:
                return True
            time.sleep(min(0.5, SILENT_S))
        return False

    def _beat(self) -> None:
        while not self._released.wait(BEAT_S):
            try:
                os.utime(self.path)
            except OSError:  # removed by hand, or the disk is away for a moment: the work itself will say
                continue


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return ""


def _touched_ns(path: Path) -> int | None:
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:
        return None


def _is_alive(process_id: int) -> bool:
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
