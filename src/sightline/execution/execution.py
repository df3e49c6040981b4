"""The contract of execution: run one function over many keys, resumable, retried, with failures kept in quarantine."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from sightline.catalog import Catalog
from sightline.errors import ConfigError
from sightline.files import fingerprint


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """`function(key, **arguments)` for every key; it returns a small JSON-able value that its done-file keeps.

    `function` must be importable (a module-level function). `record_dir` holds `done/<key>.json`, `quarantine/<key>.txt`
    and `report.json`; on many machines it lies on a file system that all of them see. `made_from` binds done-files to the
    inputs: another fingerprint means do it again. `made_from_each` adds what single keys are made from, so that a change of
    one input does not touch the others.
    """

    name: str
    function: Callable[..., Any]
    keys: Sequence[str]
    record_dir: Path
    made_from: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    outputs: Mapping[str, Path] = field(default_factory=dict)  # key -> what it makes; where that is gone, the key is done again
    made_from_each: Mapping[str, str] = field(default_factory=dict)
    part: str = ""  # the shard's name, such as 3-of-8, where this is only a part of the keys
    max_tries: int = 2

    def made_from_of(self, key: str) -> str:
        """The fingerprint that the done-file of `key` carries."""
        each = self.made_from_each.get(key)
        return self.made_from if each is None else fingerprint([self.made_from, each])


@dataclass(frozen=True, kw_only=True, slots=True)
class Shard:
    """One of `count` equal parts of the keys: those at `index`, `index + count`, ... Counted from 0."""

    index: int
    count: int

    @property
    def name(self) -> str:
        return f"{self.index}-of-{self.count}"

    def of(self, keys: Sequence[str]) -> list[str]:
        """This shard's keys. Neighbours go to different shards: long scans often stand together."""
        return list(keys)[self.index :: self.count]

    def part_of(self, job: Job) -> Job:
        """The job of this shard alone."""
        return replace(job, keys=self.of(job.keys), part=self.name)


def shard_named(text: str) -> Shard:
    """`I/N`, I from 0 to N-1. Raises ConfigError."""
    index, _, count = text.partition("/")
    if not (index.isdecimal() and count.isdecimal() and int(index) < int(count)):
        raise ConfigError(f"--shard: expected I/N with I from 0 to N-1, such as 0/8, found '{text}'")
    return Shard(index=int(index), count=int(count))


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What came of a job: results in the order of its keys, whatever the worker count."""

    results: Mapping[str, Any]
    failed: Mapping[str, str]  # key -> last line of its traceback
    reused: int  # keys whose done-file was already there


class Executor(Protocol):
    """Runs a job. Raises nothing for failed keys: they are in the outcome; `require_all` turns them into an error.

    Made as `EXECUTORS[name](workers)`: how many keys at once on each machine that it is given; None: as many as fit. Raises
    ExecutionError where going on is pointless (a full disk, a cluster that is gone): what is finished stays finished.
    """

    def run(self, job: Job) -> Outcome: ...


EXECUTORS: Catalog[type[Executor]] = Catalog(
    "executor",
    {
        "local": "sightline.execution.local:LocalExecutor",
        "slurm": "sightline.execution.slurm:SlurmExecutor",
        "ray": "sightline.execution.ray:RayExecutor",
    },
)
