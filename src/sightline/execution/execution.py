"""The contract of execution: run one function over many keys, resumable, retried, with failures kept in quarantine."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from sightline.catalog import Catalog


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """`function(key, **arguments)` for every key; it returns a small JSON-able value that its done-file keeps.

    `function` must be importable (a module-level function). `record_dir` holds `done/<key>.json`, `quarantine/<key>.txt`
    and `report.json`. `made_from` binds done-files to the inputs: another fingerprint means do it again.
    """

    name: str
    function: Callable[..., Any]
    keys: Sequence[str]
    record_dir: Path
    made_from: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    outputs: Mapping[str, Path] = field(default_factory=dict)  # key -> what it makes; where that is gone, the key is done again
    max_tries: int = 2


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What came of a job: results in the order of its keys, whatever the worker count."""

    results: Mapping[str, Any]
    failed: Mapping[str, str]  # key -> last line of its traceback
    reused: int  # keys whose done-file was already there


class Executor(Protocol):
    """Runs a job. Raises nothing for failed keys: they are in the outcome; `require_all` turns them into an error."""

    def run(self, job: Job) -> Outcome: ...


EXECUTORS: Catalog[type[Executor]] = Catalog(
    "executor",
    {
        "local": "sightline.execution.local:LocalExecutor",
    },
)
