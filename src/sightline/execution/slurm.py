"""Runs a job as an array of a Slurm cluster: submits, waits, verifies every marker; what elements lost is submitted again."""

import logging
import os
import shutil
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

from sightline.errors import DataError, ExecutionError
from sightline.execution.array_script import CPUS, ELEMENT, MAX_SHARDS, ArrayScript
from sightline.execution.element import job_path, write_job
from sightline.execution.execution import Job, Outcome
from sightline.execution.ledger import require_distinct
from sightline.execution.lock import Lock
from sightline.execution.records import collect, quarantine_path, read_done
from sightline.files import read_json, write_json, write_text

log = logging.getLogger("sightline")
POLL_S = 2.0
SLOWEST_POLL_S = 15.0  # a controller serves many: a long run asks it four times a minute
PATIENCE_S = 600.0  # how long a controller may be away; elements run on meanwhile
TELL_EVERY_S = 60.0


class SlurmExecutor:
    """`workers` cores per array element (1 by default), at most `shards` elements (one per key, up to Slurm's array size).

    Partition, account and time limit are those of sbatch: SBATCH_PARTITION, SBATCH_ACCOUNT, SBATCH_TIMELIMIT. The record folder
    lies on a disk that all nodes see. Where this process is killed the array runs on, and the next run waits for it.
    """

    def __init__(self, workers: int | None = None, *, shards: int | None = None):
        self.cpus = max(workers or 1, 1)
        self.shards = shards

    def run(self, job: Job) -> Outcome:
        """Submit what is not done yet and wait. See `Executor.run`."""
        for tool in ("sbatch", "squeue"):
            if shutil.which(tool) is None:
                raise ExecutionError(
                    f"--executor slurm: expected Slurm's '{tool}' on this machine, found none. Fix: run it on a login node, "
                    "or render a script here and submit it there: sightline slurm render STAGE ... --out job.sbatch"
                )
        require_distinct(job)
        job = replace(job, record_dir=job.record_dir.resolve())
        with Lock(job):
            reused = len(read_done(job))
            array = _running(job)
            if array is None:
                for key in job.keys:
                    quarantine_path(job.record_dir, key).unlink(missing_ok=True)
            else:
                log.info("%s: array %s of an earlier run still works; waiting for it", job.name, array)
                _wait(job, array)
            for _ in range(job.max_tries):
                done = read_done(job)
                lost = [key for key in job.keys if key not in done and not quarantine_path(job.record_dir, key).is_file()]
                if not lost:
                    break
                _wait(job, self._submit(replace(job, keys=lost)))
            return collect(job, reused=reused, unfinished=f"its array element did not reach it; see the logs in {_logs(job)}")

    def _submit(self, job: Job) -> str:
        write_job(job)
        shards = min(self.shards or MAX_SHARDS, len(job.keys))
        script = ArrayScript(
            name=f"sightline-{job.name}",
            folder=Path.cwd(),
            log_folder=_logs(job),
            element=[sys.executable, "-m", "sightline.execution.element", str(job.record_dir), f"{ELEMENT}/{shards}", CPUS],
            merge=(),
            shards=shards,
            cpus=self.cpus,
        )
        path = job.record_dir / "array.sbatch"
        write_text(path, script.text)
        script.log_folder.mkdir(exist_ok=True)
        done = subprocess.run(["sbatch", "--parsable", str(path)], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise ExecutionError(f"{job.name}: sbatch refused {path}: {done.stderr.strip()}")
        array = done.stdout.strip().partition(";")[0]
        write_json(job.record_dir / "array.json", {"array": array})
        log.info("%s: array %s of %d elements, %d keys; logs in %s", job.name, array, shards, len(job.keys), script.log_folder)
        return array


def _logs(job: Job) -> Path:
    return job.record_dir / "slurm"


def _running(job: Job) -> str | None:
    """The array that an earlier run of the same job submitted, where it still waits or works."""
    try:
        array = read_json(job.record_dir / "array.json")["array"]
        made_from = read_json(job_path(job.record_dir))["made_from"]
    except (DataError, KeyError, TypeError):
        return None
    if not isinstance(array, str) or not array.isdecimal() or not _states(array):
        return None
    if made_from != job.made_from:
        raise ExecutionError(f"{job.name}: array {array} still works on other inputs. Fix: scancel {array}, or wait for it")
    return array


def _states(array: str) -> Counter[str] | None:
    """How many elements wait, run and end; empty when the array is over, None when the controller does not answer."""
    command = ["squeue", "--noheader", "--array", "--format=%T", f"--jobs={array}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | {"LC_ALL": "C"})
    if done.returncode == 0:
        return Counter(done.stdout.split())
    if "Invalid job id" in done.stderr:
        return Counter()
    log.warning("squeue: %s", done.stderr.strip())
    return None


def _wait(job: Job, array: str) -> None:
    """Until no element waits or runs. Raises ExecutionError when the controller is away for too long."""
    answered_s = told_s = time.monotonic()
    pause_s = POLL_S
    while True:
        states = _states(array)
        now_s = time.monotonic()
        if states is not None:
            answered_s = now_s
            if not states:
                return
        elif now_s - answered_s > PATIENCE_S:
            raise ExecutionError(
                f"{job.name}: Slurm's controller has not answered for {PATIENCE_S:.0f} s; array {array} may still work. "
                "Fix: run the same command again, it waits for that array"
            )
        if now_s - told_s > TELL_EVERY_S and states:
            told_s = now_s
            log.info("%s: array %s: %s", job.name, array, ", ".join(f"{count} {state.lower()}" for state, count in sorted(states.items())))
        time.sleep(pause_s)
        pause_s = min(pause_s * 1.25, SLOWEST_POLL_S)
