"""What a job leaves on disk: a done-file per key, a quarantine file per failed key, and one report."""

import json
import re
from pathlib import Path
from typing import Any

from sightline.errors import DataError, ExecutionError
from sightline.execution.execution import Job, Outcome
from sightline.files import fingerprint, read_json, write_json, write_text


def _file_name(key: str) -> str:
    """A key as a file name; keys that are plain stay readable, others are escaped byte by byte."""
    return re.sub(r"[^A-Za-z0-9_.-]", lambda match: "".join(f"%{byte:02X}" for byte in match.group().encode()), key)


def done_path(record_dir: Path, key: str) -> Path:
    return record_dir / "done" / f"{_file_name(key)}.json"


def quarantine_path(record_dir: Path, key: str) -> Path:
    return record_dir / "quarantine" / f"{_file_name(key)}.txt"


def report_path(job: Job) -> Path:
    return job.record_dir / (f"report-{job.part}.json" if job.part else "report.json")


def read_done(job: Job) -> dict[str, Any]:
    """Results of keys that were finished from the same inputs before and whose output is still there."""
    results = {}
    for key in job.keys:
        if key in job.outputs and not job.outputs[key].exists():
            continue
        try:
            record = read_json(done_path(job.record_dir, key))
        except DataError:  # never finished, or cut short when the machine lost power: the key is done again
            continue
        if isinstance(record, dict) and record.get("made_from") == job.made_from_of(key):
            results[key] = record["result"]
    return results


def record_done(record_dir: Path, key: str, *, made_from: str, result: Any) -> Any:
    """Write a done-file; gives the result as a later run will read it (a tuple comes back as a list). Raises ValueError or TypeError."""
    write_json(done_path(record_dir, key), {"key": key, "made_from": made_from, "result": result})
    quarantine_path(record_dir, key).unlink(missing_ok=True)
    return json.loads(json.dumps(result))


def record_failure(record_dir: Path, key: str, traceback_text: str) -> None:
    write_text(quarantine_path(record_dir, key), traceback_text)


def last_line(traceback_text: str) -> str:
    return (traceback_text.strip().splitlines() or ["it left no traceback"])[-1]


def collect(job: Job, *, reused: int, unfinished: str) -> Outcome:
    """What other processes left of this job: verifies the marker of every key, does no work itself. `unfinished`: why one may lack."""
    results = read_done(job)
    failed = {}
    for key in job.keys:
        if key not in results:
            path = quarantine_path(job.record_dir, key)
            failed[key] = last_line(path.read_text(encoding="utf-8")) if path.is_file() else unfinished
    outcome = Outcome(results=results, failed=failed, reused=reused)
    write_report(job, outcome)
    return outcome


def write_report(job: Job, outcome: Outcome) -> None:
    """Counts that must add up: keys = finished + failed."""
    if len(outcome.results) + len(outcome.failed) != len(job.keys):
        raise ExecutionError(f"{job.name}: {len(job.keys)} keys in, {len(outcome.results)} finished and {len(outcome.failed)} failed")
    each = {key: job.made_from_each[key] for key in job.keys if key in job.made_from_each}
    write_json(
        report_path(job),
        {
            "job": job.name,
            "made_from": fingerprint([job.made_from, each]) if each else job.made_from,
            "keys": len(job.keys),
            "finished": len(outcome.results),
            "failed": dict(outcome.failed),
        },
    )


def require_all(outcome: Outcome, job: Job) -> None:
    """Raise ExecutionError when a key failed, with the first reason and where the tracebacks lie."""
    if not outcome.failed:
        return
    key, reason = next(iter(outcome.failed.items()))
    _, separator, message = reason.partition("Error: ")
    told = message if separator and reason.startswith("sightline.errors.") else reason
    told = told.removeprefix(f"{key}: ")
    path = quarantine_path(job.record_dir, key)
    where = f"whole traceback: {path}" if path.is_file() else f"markers: {path.parent.parent / 'done'}"
    raise ExecutionError(f"{job.name}: {len(outcome.failed)} of {len(job.keys)} failed. {key}: {told} ({where})")
