"""Runs a job on this machine in spawned worker processes; a killed worker is replaced and its key tried again."""

import multiprocessing
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

from sightline.execution.execution import Job, Outcome
from sightline.execution.ledger import Ledger, opened
from sightline.execution.worker import ONE_THREAD, Task, attempt, function_path, serve


@dataclass(slots=True)
class _Worker:
    process: BaseProcess
    connection: Connection
    key: str | None = None


class LocalExecutor:
    """`workers=0` runs in this process; otherwise up to that many spawned ones. Results never depend on the number."""

    def __init__(self, workers: int | None = None):
        self.workers = usable_cores() if workers is None else workers

    def run(self, job: Job) -> Outcome:
        """Run what is not done yet. See `Executor.run`."""
        task = Task(function=function_path(job.function), arguments=dict(job.arguments), record_dir=job.record_dir)
        with opened(job) as ledger:
            if self.workers == 0:
                while ledger.queue:
                    key = ledger.queue.popleft()
                    ledger.settle(key, attempt(task, key, made_from=job.made_from_of(key)))
            else:
                self._in_workers(task, ledger)
            return ledger.outcome()

    def _in_workers(self, task: Task, ledger: Ledger) -> None:
        context = multiprocessing.get_context("spawn")
        pool: list[_Worker] = []

        def start() -> _Worker:
            ours, theirs = context.Pipe()
            process = context.Process(target=serve, args=(theirs, task), daemon=True)
            with _one_thread_each():
                process.start()
            theirs.close()
            return _Worker(process, ours)

        try:
            while ledger.queue or any(worker.key is not None for worker in pool):
                in_hand = sum(worker.key is not None for worker in pool)
                while len(pool) < min(self.workers, len(ledger.queue) + in_hand):
                    pool.append(start())
                for worker in pool:
                    if worker.key is None and ledger.queue:
                        worker.key = ledger.queue.popleft()
                        try:
                            worker.connection.send((worker.key, ledger.job.made_from_of(worker.key)))
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
                        ledger.vanished(key, f"worker process ended with exit code {worker.process.exitcode} while on key '{key}'")
                    else:
                        ledger.settle(key, answer)
        finally:
            for worker in pool:
                if worker.key is not None:
                    worker.process.terminate()
                worker.connection.close()
            for worker in pool:
                worker.process.join()


def usable_cores() -> int:
    """Cores that this process may use: a batch system often gives fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """Workers inherit one-thread settings: as many processes as cores, not as many threads squared."""
    before = {name: os.environ.get(name) for name in ONE_THREAD}
    os.environ.update(ONE_THREAD)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name)
            else:
                os.environ[name] = value
