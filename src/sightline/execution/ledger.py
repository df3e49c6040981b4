"""The books of one run of a job: which keys wait, which are finished, which failed and how often each was tried."""

import logging
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from sightline.errors import ExecutionError
from sightline.execution.execution import Job, Outcome
from sightline.execution.lock import Lock
from sightline.execution.progress import Counter, counting
from sightline.execution.records import last_line, read_done, record_failure, write_report
from sightline.execution.worker import NO_SPACE, Answer

log = logging.getLogger("sightline")


@dataclass(slots=True)
class Ledger:
    """Takes the answers of workers in any order; gives an outcome in the order of the keys."""

    job: Job
    results: dict[str, Any]
    queue: deque[str]
    reused: int
    counter: Counter
    failed: dict[str, str] = field(default_factory=dict)
    tries: dict[str, int] = field(default_factory=dict)

    def settle(self, key: str, answer: Answer) -> None:
        """Book an answer: finished, to be tried again, or in quarantine. Raises ExecutionError for a full disk."""
        if answer.word == "done":
            self.results[key] = answer.result
        elif answer.word == "full":
            raise self._stopped(key, last_line(answer.text))
        else:
            self.tries[key] = self.tries.get(key, 0) + 1
            if answer.word == "broke" and self.tries[key] < self.job.max_tries:
                self.queue.append(key)
                return
            self.failed[key] = last_line(answer.text)
            try:
                record_failure(self.job.record_dir, key, answer.text)
            except OSError as error:
                if error.errno not in NO_SPACE:
                    raise
                raise self._stopped(key, str(error)) from error
        self.counter.advance(note=key)

    def vanished(self, key: str, why: str) -> None:
        """Book a key whose worker is gone: it may have finished the key before it went."""
        done = read_done(_alone(self.job, key))
        self.settle(key, Answer(word="done", result=done[key]) if key in done else Answer(word="broke", text=why + "\n"))

    def outcome(self) -> Outcome:
        """Results and failures in the order of the keys, also written as the report."""
        outcome = Outcome(
            results={key: self.results[key] for key in self.job.keys if key in self.results},
            failed={key: self.failed[key] for key in self.job.keys if key in self.failed},
            reused=self.reused,
        )
        write_report(self.job, outcome)
        return outcome

    def _stopped(self, key: str, why: str) -> ExecutionError:
        """A full disk is no key's fault: trying the others would only put all of them into quarantine."""
        return ExecutionError(
            f"{self.job.name}: no space left while on {key} ({why}); {len(self.results)} of {len(self.job.keys)} are finished and stay so. "
            "Fix: make room and run the same command again"
        )


@contextmanager
def opened(job: Job) -> Iterator[Ledger]:
    """The ledger of a job that nobody else works on. Raises ExecutionError for a key that stands twice, or a second run."""
    require_distinct(job)
    with Lock(job):
        results = read_done(job)
        queue = deque(key for key in job.keys if key not in results)
        if results:
            log.info("%s: %d of %d are finished already", job.name, len(results), len(job.keys))
        with counting(job.name, len(queue)) as counter:
            yield Ledger(job=job, results=results, queue=queue, reused=len(results), counter=counter)


def require_distinct(job: Job) -> None:
    """Raises ExecutionError for a key that stands twice."""
    seen: set[str] = set()
    for key in job.keys:
        if key in seen:
            raise ExecutionError(f"{job.name}: key '{key}' stands twice")
        seen.add(key)


def _alone(job: Job, key: str) -> Job:
    return replace(job, keys=[key])
