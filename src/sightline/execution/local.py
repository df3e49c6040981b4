"""Runs a job on this machine in spawned worker processes; a killed worker is replaced and its key tried again."""

import logging
import multiprocessing
import os
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

from sightline.errors import ExecutionError
from sightline.execution.execution import Job, Outcome
from sightline.execution.progress import Counter, counting
from sightline.execution.records import Lock, quarantine_path, read_done, record_done, record_failure, write_report
from sightline.execution.worker import attempt, function_path, serve

log = logging.getLogger("sightline")


@dataclass(slots=True)
class _Worker:
    process: BaseProcess
    connection: Connection
    key: str | None = None


class LocalExecutor:
    """`workers=0` runs in this process; otherwise up to that many spawned ones. Results never depend on the number."""

    def __init__(self, workers: int | None = None):
        self.workers = (os.cpu_count() or 1) if workers is None else workers

    def run(self, job: Job) -> Outcome:
        """Run what is not done yet. See `Executor.run`."""
        if len(set(job.keys)) != len(job.keys):
            twice = next(key for key in job.keys if list(job.keys).count(key) > 1)
            raise ExecutionError(f"{job.name}: key '{twice}' stands twice")
        with Lock(job):
            results = read_done(job)
            reused = len(results)
            failed: dict[str, str] = {}
            queue = deque(key for key in job.keys if key not in results)
            if reused:
                log.info("%s: %d of %d are finished already", job.name, reused, len(job.keys))
            with counting(job.name, len(queue)) as counter:
                runner = self._in_process if self.workers == 0 else self._in_workers
                runner(job, queue, results, failed, counter)
            outcome = Outcome(
                results={key: results[key] for key in job.keys if key in results},
                failed={key: failed[key] for key in job.keys if key in failed},
                reused=reused,
            )
            write_report(job, outcome)
        return outcome

    def _in_process(self, job: Job, queue: deque[str], results: dict, failed: dict, counter: Counter) -> None:
        tries: dict[str, int] = {}
        while queue:
            key = queue.popleft()
            _settle(job, key, attempt(job.function, key, job.arguments), tries, queue, results, failed, counter)

    def _in_workers(self, job: Job, queue: deque[str], results: dict, failed: dict, counter: Counter) -> None:
        tries: dict[str, int] = {}
        path = function_path(job.function)
        context = multiprocessing.get_context("spawn")
        pool: list[_Worker] = []

        def start() -> _Worker:
            ours, theirs = context.Pipe()
            process = context.Process(target=serve, args=(theirs, path, dict(job.arguments)), daemon=True)
            with _one_thread_each():
                process.start()
            theirs.close()
            return _Worker(process, ours)

        try:
            while queue or any(worker.key is not None for worker in pool):
                while queue and len(pool) < min(self.workers, len(job.keys)):
                    pool.append(start())
                for worker in pool:
                    if worker.key is None and queue:
                        worker.key = queue.popleft()
                        try:
                            worker.connection.send(worker.key)
                        except (BrokenPipeError, ConnectionResetError):
                            pass  # it died while idle; the wait below sees the closed pipe and tries the key again
                busy = {worker.connection: worker for worker in pool if worker.key is not None}
                for connection in wait(list(busy)):
                    worker = busy[connection]
                    key, worker.key = worker.key, None
                    try:
                        answer = connection.recv()
                    except (EOFError, ConnectionResetError):
                        worker.process.join()
                        pool.remove(worker)
                        answer = ("broke", f"worker process ended with exit code {worker.process.exitcode} while on key '{key}'\n")
                    _settle(job, key, answer, tries, queue, results, failed, counter)
        finally:
            for worker in pool:
                if worker.key is not None:
                    worker.process.terminate()
                worker.connection.close()
            for worker in pool:
                worker.process.join()


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """Workers inherit one-thread settings: as many processes as cores, not as many threads squared."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(dict.fromkeys(names, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name)
            else:
                os.environ[name] = value


def _settle(
    job: Job, key: str, answer: tuple[str, Any], tries: dict[str, int], queue: deque[str], results: dict, failed: dict, counter: Counter
) -> None:
    word, value = answer
    if word == "done":
        record_done(job, key, value)
        results[key] = value
    else:
        tries[key] = tries.get(key, 0) + 1
        if word == "broke" and tries[key] < job.max_tries:
            queue.append(key)
            return
        record_failure(job, key, value)
        failed[key] = value.strip().splitlines()[-1]
    counter.advance(note=key)


def require_all(outcome: Outcome, job: Job) -> None:
    """Raise ExecutionError when a key failed, with the first reason and where the tracebacks lie."""
    if not outcome.failed:
        return
    key, reason = next(iter(outcome.failed.items()))
    _, separator, message = reason.partition("Error: ")
    told = message if separator and reason.startswith("sightline.errors.") else reason
    told = told.removeprefix(f"{key}: ")
    raise ExecutionError(
        f"{job.name}: {len(outcome.failed)} of {len(job.keys)} failed. {key}: {told} (whole traceback: {quarantine_path(job, key)})"
    )
