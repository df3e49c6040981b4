"""What the verbs share: option types, running a stage over scans, picking scans and tasks."""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sightline import __version__
from sightline.errors import ConfigError, SceneError
from sightline.files import fingerprint

if TYPE_CHECKING:
    from sightline.execution.execution import Executor as RunsJobs
    from sightline.execution.execution import Shard
    from sightline.scenes.scene import Scene

RECORDS = ".records"  # done-files, quarantine and reports of a stage, beside what it made

Workers = Annotated[int | None, typer.Option(help="Worker processes; 0 works in this one. Default: one per core.")]
Executor = Annotated[str, typer.Option(help="Where the work is done: local, slurm (sbatch on this machine) or ray.")]
Address = Annotated[str | None, typer.Option(help="A Ray cluster, such as auto or HOST:PORT; without it Ray starts here.")]
Shards = Annotated[int | None, typer.Option(help="Elements of the Slurm array; one per scan by default.")]
OneShard = Annotated[str | None, typer.Option("--shard", metavar="I/N", help="Only part I of N (from 0); --merge ends the stage.")]
Merge = Annotated[bool, typer.Option("--merge", help="Do no work: verify that every scan is finished, and end the stage.")]
Limit = Annotated[int | None, typer.Option(help="Only the first N scans.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")]
Overrides = Annotated[list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Options, such as width=160 or a.b=c.")]
Store = Annotated[Path, typer.Argument(help="Scene store: the folder that `sightline import` made.")]


@dataclass(frozen=True, kw_only=True, slots=True)
class Spread:
    """Where a stage works and on which part of its scans, as the options say. Raises ConfigError for options that do not go together."""

    workers: int | None
    executor: str = "local"
    address: str | None = None  # of a Ray cluster
    shards: int | None = None  # elements of a Slurm array
    shard: "Shard | None" = None
    merge: bool = False

    def __post_init__(self) -> None:
        if self.workers is not None and self.workers < 0:
            raise ConfigError(f"--workers: expected at least 0, found {self.workers}")
        if self.address is not None and self.executor != "ray":
            raise ConfigError(f"--address: expected --executor ray beside it, found --executor {self.executor}")
        if self.shards is not None and (self.executor != "slurm" or self.shards < 1):
            raise ConfigError(f"--shards: expected at least 1 and --executor slurm, found {self.shards} and --executor {self.executor}")
        if self.shard is not None and self.merge:
            raise ConfigError("--shard, --merge: expected one of them; the merge looks at the scans of all shards")
        if (self.shard is not None or self.merge) and self.executor != "local":
            raise ConfigError(f"--shard, --merge: expected --executor local, found {self.executor}: it divides the scans by itself")

    def of(self, scan_ids: Sequence[str]) -> list[str]:
        """The scans that this run looks at."""
        return list(scan_ids) if self.shard is None else self.shard.of(scan_ids)

    @property
    def part(self) -> str:
        return "" if self.shard is None else self.shard.name

    def runner(self) -> "RunsJobs":
        """The executor. Raises UnknownNameError naming the nearest."""
        from sightline.execution.execution import EXECUTORS

        given = {"address": self.address, "shards": self.shards}
        return EXECUTORS[self.executor](self.workers, **{name: value for name, value in given.items() if value is not None})


def spread(
    workers: int | None,
    executor: str,
    *,
    address: str | None = None,
    shards: int | None = None,
    shard: str | None = None,
    merge: bool = False,
) -> Spread:
    """The options of a verb together. Raises ConfigError and UnknownNameError."""
    from sightline.execution.execution import EXECUTORS, shard_named

    EXECUTORS[executor]
    part = None if shard is None else shard_named(shard)
    return Spread(workers=workers, executor=executor, address=address, shards=shards, shard=part, merge=merge)


def run_stage(
    name: str,
    function: Callable[..., Any],
    outputs: Mapping[str, Path],
    arguments: Mapping[str, Any],
    *,
    out: Path,
    made_from: str,
    how: Spread,
    made_from_each: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Run a stage for every scan in `outputs` (scan id -> what it makes). Raises ExecutionError after the others are done.

    `made_from_each` (scan id -> fingerprint of that scan's inputs): where given, one changed scan does not redo the others.
    """
    from sightline.execution.execution import Job
    from sightline.execution.records import collect, require_all

    job = Job(
        name=name,
        function=function,
        keys=list(outputs),
        record_dir=out / RECORDS / name,
        made_from=fingerprint([__version__, made_from]),
        made_from_each=made_from_each or {},
        arguments=arguments,
        outputs=outputs,
        part=how.part,
    )
    outcome = collect(job, reused=len(outputs), unfinished="no finished marker") if how.merge else how.runner().run(job)
    require_all(outcome, job)
    return dict(outcome.results)


def first(keys: Sequence[str], limit: int | None) -> list[str]:
    """The first `limit` keys. Raises ConfigError for a limit below 1."""
    if limit is not None and limit < 1:
        raise ConfigError(f"--limit: expected at least 1, found {limit}")
    return list(keys)[:limit]


def writable_folder(out: Path) -> None:
    """Make the folder `out`, and prove by a file that it can be written to. Raises ConfigError; then nothing is left."""
    there = next(path for path in (out, *out.absolute().parents) if path.exists())
    if not there.is_dir():
        raise ConfigError(f"{out}: expected a folder to write into, found the file {there}")
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out):
            pass
    except OSError as error:
        raise ConfigError(f"{out}: expected a folder to write into, found one that cannot be written ({error.strerror})") from error


def some_scans(store: Path, limit: int | None) -> list[str]:
    """Scan ids of a store, at least one. Raises SceneError."""
    from sightline.scenes.store import SceneStore

    scan_ids = first(SceneStore(store).scan_ids(), limit)
    if not scan_ids:
        raise SceneError(
            f"{store}: expected a scene store with at least one finished scan, found none. Fix: sightline import SOURCE {store}"
        )
    return scan_ids


def measurable(store: Path, scan_ids: Sequence[str], *, at_least_one: bool = True) -> list[str]:
    """Those scans that facts can be measured of; says which are left out, and why. Raises SceneError where none is left and one must."""
    from sightline.scenes.store import SceneStore

    scenes = SceneStore(store)
    why = {scan_id: _why_not_measurable(scenes.read(scan_id)) for scan_id in scan_ids}
    for scan_id, reason in why.items():
        if reason:
            typer.echo(f"left out {scan_id}: {reason}")
    kept = [scan_id for scan_id in scan_ids if why[scan_id] is None]
    if at_least_one and not kept:
        raise SceneError(f"{store}: expected a scan with frames and camera poses or tracks to measure, found none ({why[scan_ids[0]]})")
    return kept


def _why_not_measurable(scene: "Scene") -> str | None:
    if not scene.frames:
        return "it has no frames, only what its layout says of the room"
    return None if scene.has_poses or scene.tracks is not None else "nobody knows where its cameras were"


def chosen_tasks(tasks: str | None) -> list[str]:
    """Names of question tasks from a comma-separated list; all by default. Raises UnknownNameError naming the nearest."""
    from sightline.questions.question import TASKS

    names = [name.strip() for name in tasks.split(",") if name.strip()] if tasks else list(TASKS)
    for name in names:
        TASKS[name]
    return names
