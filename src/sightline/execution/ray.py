"""Runs a job as tasks of a Ray cluster, or of one started here; a node that goes away loses no key."""

import logging
import os
import socket
import sys
from typing import Any

from sightline.errors import ExecutionError, MissingExtraError
from sightline.execution.execution import Job, Outcome
from sightline.execution.ledger import Ledger, opened
from sightline.execution.local import usable_cores
from sightline.execution.worker import ONE_THREAD, Answer, Task, attempt, function_path

log = logging.getLogger("sightline")
IN_FLIGHT_PER_CORE = 4  # enough that no core waits for the driver; not so many that a driver's memory grows with the keys
KNOCK_S = 10.0
NODE_LOSSES = 3  # how often one key may lose its node before it counts as a try; Ray moves it to another node each time


class RayExecutor:
    """Tasks on the cluster at `address` (`auto`: the one that RAY_ADDRESS or this machine knows); else on a Ray of `workers` cores.

    The record folder and the outputs lie on a disk that all nodes see, and every node has the same Sightline installed.
    """

    def __init__(self, workers: int | None = None, *, address: str | None = None):
        self.workers = workers
        self.address = address

    def run(self, job: Job) -> Outcome:
        """Run what is not done yet. Raises MissingExtraError without Ray; see `Executor.run`."""
        ray = _ray()
        task = Task(function=function_path(job.function), arguments=dict(job.arguments), record_dir=job.record_dir.resolve())
        with opened(job) as ledger:
            if ledger.queue:
                ours = self._connect(ray)
                try:
                    _in_tasks(ray, task, ledger)
                finally:
                    if ours:
                        ray.shutdown()
            return ledger.outcome()

    def _connect(self, ray: Any) -> bool:
        """Whether this run opened the connection. Raises ExecutionError where no cluster answers."""
        if ray.is_initialized():
            return False
        if self.address is not None:
            _require_open(self.address)
        paths = os.pathsep.join(path for path in sys.path if path)
        quiet = {"include_dashboard": False, "logging_level": logging.ERROR, "log_to_driver": False}
        try:
            if self.address is None:
                environment = {"env_vars": ONE_THREAD | {"PYTHONPATH": paths}}
                ray.init(num_cpus=self.workers or usable_cores(), runtime_env=environment, **quiet)
            else:
                del quiet["include_dashboard"]
                ray.init(address=self.address, runtime_env={"env_vars": ONE_THREAD}, **quiet)
        except (ConnectionError, ValueError, RuntimeError) as error:
            where = f"--address {self.address}: expected a Ray cluster" if self.address else "expected to start Ray here"
            found = str(error).strip().splitlines()[0]
            raise ExecutionError(f"{where}, found: {found}. Fix: ray start --head, or leave --address out") from error
        return True


def _require_open(address: str) -> None:
    """Knock at HOST:PORT: Ray itself tries a silent address for minutes. Raises ExecutionError."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdecimal():
        return  # a word such as auto, which Ray looks up
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=KNOCK_S).close()
    except OSError as error:
        raise ExecutionError(f"--address {address}: expected a Ray cluster, found no answer ({error}). Fix: ray start --head") from error


def _ray() -> Any:
    try:
        import ray
    except ModuleNotFoundError as error:
        raise MissingExtraError("ray", "ray") from error
    return ray


def _in_tasks(ray: Any, task: Task, ledger: Ledger) -> None:
    """Keep the cluster's cores busy until the queue is empty."""
    remote = ray.remote(num_cpus=1, max_retries=NODE_LOSSES, retry_exceptions=False)(_attempt_in)
    shared, folder = ray.put(task), os.getcwd()
    in_flight: dict[Any, str] = {}
    while ledger.queue or in_flight:
        cores = max(int(ray.cluster_resources().get("CPU", 1)), 1)
        while ledger.queue and len(in_flight) < IN_FLIGHT_PER_CORE * cores:
            key = ledger.queue.popleft()
            in_flight[remote.remote(shared, key, folder=folder, made_from=ledger.job.made_from_of(key))] = key
        ready, _ = ray.wait(list(in_flight), num_returns=1)
        for reference in ready:
            key = in_flight.pop(reference)
            try:
                answer: Answer = ray.get(reference)
            except ray.exceptions.RayError as error:
                ledger.vanished(key, f"Ray lost the task of key '{key}' {NODE_LOSSES + 1} times: {str(error).strip().splitlines()[0]}")
            else:
                ledger.settle(key, answer)


def _attempt_in(task: Task, key: str, *, folder: str, made_from: str) -> Answer:
    """As `attempt`, in the driver's folder: relative paths mean the same on every node."""
    os.chdir(folder)
    return attempt(task, key, made_from=made_from)
