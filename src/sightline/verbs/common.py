"""What the verbs share: option types, running a stage over scans, picking scans and tasks."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sightline import __version__
from sightline.errors import ConfigError, SceneError
from sightline.files import fingerprint

if TYPE_CHECKING:
    from sightline.scenes.scene import Scene

RECORDS = ".records"  # done-files, quarantine and reports of a stage, beside what it made

Workers = Annotated[int | None, typer.Option(help="Worker processes; 0 works in this one. Default: one per core.")]
Limit = Annotated[int | None, typer.Option(help="Only the first N scans.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")]
Overrides = Annotated[list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Options, such as width=160 or a.b=c.")]
Store = Annotated[Path, typer.Argument(help="Scene store: the folder that `sightline import` made.")]


def run_stage(
    name: str,
    function: Callable[..., Any],
    outputs: Mapping[str, Path],
    arguments: Mapping[str, Any],
    *,
    out: Path,
    made_from: str,
    workers: int | None,
) -> dict[str, Any]:
    """Run a stage for every scan in `outputs` (scan id -> what it makes). Raises ExecutionError after the others are done."""
    from sightline.execution.execution import Job
    from sightline.execution.local import LocalExecutor, require_all

    record_dir = out / RECORDS / name
    job = Job(
        name=name,
        function=function,
        keys=list(outputs),
        record_dir=record_dir,
        made_from=fingerprint([__version__, made_from]),
        arguments=arguments,
        outputs=outputs,
    )
    outcome = LocalExecutor(workers).run(job)
    require_all(outcome, job)
    return dict(outcome.results)


def first(keys: Sequence[str], limit: int | None) -> list[str]:
    """The first `limit` keys. Raises ConfigError for a limit below 1."""
    if limit is not None and limit < 1:
        raise ConfigError(f"--limit: expected at least 1, found {limit}")
    return list(keys)[:limit]


def some_scans(store: Path, limit: int | None) -> list[str]:
    """Scan ids of a store, at least one. Raises SceneError."""
    from sightline.scenes.store import SceneStore

    scan_ids = first(SceneStore(store).scan_ids(), limit)
    if not scan_ids:
        raise SceneError(
            f"{store}: expected a scene store with at least one finished scan, found none. Fix: sightline import SOURCE {store}"
        )
    return scan_ids


def measurable(store: Path, scan_ids: Sequence[str]) -> list[str]:
    """Those scans that facts can be measured of; says which are left out, and why. Raises SceneError where none is left."""
    from sightline.scenes.store import SceneStore

    scenes = SceneStore(store)
    why = {scan_id: _why_not_measurable(scenes.read(scan_id)) for scan_id in scan_ids}
    for scan_id, reason in why.items():
        if reason:
            typer.echo(f"left out {scan_id}: {reason}")
    kept = [scan_id for scan_id in scan_ids if why[scan_id] is None]
    if not kept:
        raise SceneError(f"{store}: expected a scan with frames and camera poses to measure, found none ({why[scan_ids[0]]})")
    return kept


def _why_not_measurable(scene: "Scene") -> str | None:
    if not scene.frames:
        return "it has no frames, only what its layout says of the room"
    return None if scene.has_poses else "nobody knows where its cameras were"


def chosen_tasks(tasks: str | None) -> list[str]:
    """Names of question tasks from a comma-separated list; all by default. Raises UnknownNameError naming the nearest."""
    from sightline.questions.question import TASKS

    names = [name.strip() for name in tasks.split(",") if name.strip()] if tasks else list(TASKS)
    for name in names:
        TASKS[name]
    return names
