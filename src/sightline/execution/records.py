"""What a job leaves on disk: a done-file per key, a quarantine file per failed key, and one report."""

import os
import re
from pathlib import Path
from typing import Any

from sightline.errors import ExecutionError
from sightline.execution.execution import Job, Outcome
from sightline.files import read_json, write_json, write_text


def _file_name(key: str) -> str:
    """A key as a file name; keys that are plain stay readable, others are escaped byte by byte."""
    return re.sub(r"[^A-Za-z0-9_.-]", lambda match: "".join(f"%{byte:02X}" for byte in match.group().encode()), key)


def done_path(job: Job, key: str) -> Path:
    return job.record_dir / "done" / f"{_file_name(key)}.json"


def quarantine_path(job: Job, key: str) -> Path:
    return job.record_dir / "quarantine" / f"{_file_name(key)}.txt"


def read_done(job: Job) -> dict[str, Any]:
    """Results of keys that were finished from the same inputs before."""
    results = {}
    for key in job.keys:
        path = done_path(job, key)
        if path.is_file() and (key not in job.outputs or job.outputs[key].exists()):
            record = read_json(path)
            if record.get("made_from") == job.made_from:
                results[key] = record["result"]
    return results


def record_done(job: Job, key: str, result: Any) -> None:
    quarantine_path(job, key).unlink(missing_ok=True)
    write_json(done_path(job, key), {"key": key, "made_from": job.made_from, "result": result})


def record_failure(job: Job, key: str, traceback_text: str) -> None:
    write_text(quarantine_path(job, key), traceback_text)


def write_report(job: Job, outcome: Outcome) -> None:
    """Counts that must add up: keys = finished + failed."""
    if len(outcome.results) + len(outcome.failed) != len(job.keys):
        raise ExecutionError(f"{job.name}: {len(job.keys)} keys in, {len(outcome.results)} finished and {len(outcome.failed)} failed")
    write_json(
        job.record_dir / "report.json",
        {
            "job": job.name,
            "made_from": job.made_from,
            "keys": len(job.keys),
            "finished": len(outcome.results),
            "failed": dict(outcome.failed),
        },
    )


class Lock:
    """One job per record folder: a second one is refused while the first lives."""

    def __init__(self, job: Job):
        self.path = job.record_dir / "lock"
        self.name = job.name

    def __enter__(self) -> "Lock":
        self.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            handle = os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
        except FileExistsError:
            holder = self.path.read_text(encoding="utf-8").strip()
            if holder.isdigit() and _is_alive(int(holder)):
                raise ExecutionError(f"{self.name}: process {holder} works in {self.path.parent} already; wait for it or stop it") from None
            self.path.unlink(missing_ok=True)  # left by a killed run
            return self.__enter__()
        with os.fdopen(handle, "w") as stream:
            stream.write(str(os.getpid()))
        return self

    def __exit__(self, *_: object) -> None:
        self.path.unlink(missing_ok=True)


def _is_alive(process_id: int) -> bool:
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
