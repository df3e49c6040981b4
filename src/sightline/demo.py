"""The whole pipeline by its own commands: rooms, import, measure, generate, train, evaluate, compare, report."""

import logging
import os
import shlex
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

from sightline import __version__
from sightline.config import config, read_yaml, recipe_path
from sightline.errors import ExecutionError
from sightline.files import fingerprint, read_json, write_json

log = logging.getLogger("sightline")
LOOK_EVERY_S = 10.0  # a person wants a sign of life; a log wants few lines


@config
class DemoRecipe:
    """What `sightline demo` runs. Every entry ends up in a command that the report prints."""

    num_scans: int
    seed: int
    held_out_share: float
    rooms: tuple[str, ...]  # key=value options of `sightline rooms`
    tasks: tuple[str, ...]  # asked
    train_tasks: tuple[str, ...]  # trained on and scored: some of those asked
    generate: tuple[str, ...]  # key=value options of `sightline generate`
    train: str  # name of a training recipe
    overrides: tuple[str, ...] = ()
    fusions: tuple[str, ...] = ("none", "sin3d")
    per_task: int = 200  # held-out questions of each task that are scored


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """One command of the pipeline."""

    name: str
    arguments: tuple[str, ...]
    reads: str = ""  # fingerprint of what the command reads beside its arguments: the training recipe

    @property
    def command(self) -> str:
        return shlex.join(("sightline", *self.arguments))


@dataclass(frozen=True, kw_only=True, slots=True)
class StepRecord:
    """What one command cost."""

    name: str
    command: str
    made_from: str
    wall_s: float
    cpu_s: float
    peak_memory_mb: float  # of its largest process


def plan(recipe: DemoRecipe, out: Path) -> list[list[list[Step]]]:
    """Phases of chains of steps: phases run one after the other, the chains of a phase side by side."""
    captures, store, samples, runs, scores = (str(out / name) for name in ("captures", "scenes", "samples", "runs", "evaluations"))
    tasks = ",".join(recipe.tasks)
    data = [
        Step(name="rooms", arguments=("rooms", captures, *recipe.rooms, f"--num-scans={recipe.num_scans}", f"--seed={recipe.seed}")),
        Step(name="import", arguments=("import", captures, store)),
        Step(name="measure", arguments=("measure", store)),
        Step(
            name="generate",
            arguments=(
                *("generate", store, samples, *recipe.generate, f"--tasks={tasks}"),
                *(f"--seed={recipe.seed}", f"--held-out-share={recipe.held_out_share}"),
            ),
        ),
    ]
    learned = f"data.tasks=[{','.join(recipe.train_tasks)}]"
    where = (f"data.samples={samples}", f"data.scenes={store}", learned, *recipe.overrides)
    training = fingerprint(read_yaml(recipe_path(recipe.train)))
    models = []
    for name in (*recipe.fusions, "blind"):
        choice = ("model.fusion=none", "data.blind=true") if name == "blind" else (f"model.fusion={name}",)
        run = str(Path(runs) / name)
        models.append(
            [
                Step(name=f"train {name}", arguments=("train", recipe.train, *where, *choice, f"--out={run}"), reads=training),
                Step(
                    name=f"evaluate {name}",
                    arguments=(
                        "evaluate",
                        run,
                        samples,
                        store,
                        f"--out={Path(scores) / name}",
                        f"--per-task={recipe.per_task}",
                        f"--name={name}",
                    ),
                ),
            ]
        )
    compared = tuple(str(Path(scores) / name) for name in (*recipe.fusions, "blind"))
    last = [
        Step(name="compare", arguments=("compare", *compared, f"--out={out / 'results.json'}")),
        Step(name="report", arguments=("report", str(out))),
    ]
    return [[data], models, [last]]


def run_demo(recipe: DemoRecipe, out: Path) -> list[StepRecord]:
    """Run what is not done yet, in order; returns the cost of every step. Raises ExecutionError naming the step and its log."""
    made_from = fingerprint([__version__])
    records: list[StepRecord] = []
    for phase in plan(recipe, out):
        with ThreadPoolExecutor(max_workers=max(os.cpu_count() or 1, 1)) as pool:
            stop = threading.Event()
            futures = [pool.submit(_run_chain, chain, out, made_from, len(phase) > 1, stop) for chain in phase]
            phase_records = [record for future in futures for record in future.result()]
        records += phase_records
        made_from = fingerprint([record.made_from for record in phase_records])
        write_json(out / "steps.json", [asdict(record) for record in records])
    return records


def _run_chain(chain: Sequence[Step], out: Path, made_from: str, shares_cores: bool, stop: threading.Event) -> list[StepRecord]:
    records = []
    for step in chain:
        if stop.is_set():
            raise ExecutionError(f"{step.name}: not started, because a step beside it failed")
        made_from = fingerprint([made_from, step.command, step.reads])
        try:
            records.append(_run_step(step, out, made_from, shares_cores))
        except ExecutionError:
            stop.set()
            raise
    return records


def _run_step(step: Step, out: Path, made_from: str, shares_cores: bool) -> StepRecord:
    done = out / "steps" / f"{step.name.replace(' ', '_')}.json"
    if done.is_file() and (before := StepRecord(**read_json(done))).made_from == made_from and step.name != "report":
        log.info("%-15s was done before (%.0f s)", step.name, before.wall_s)
        return before
    log.info("%-15s $ %s", step.name, step.command)
    log_path = out / "steps" / f"{step.name.replace(' ', '_')}.log"
    log_path.parent.mkdir(parents=True, exist_ok=True)
    environment = dict(os.environ)
    if shares_cores:
        environment |= dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    began_s = time.monotonic()
    with log_path.open("wb") as stream:
        process = subprocess.Popen(
            (sys.executable, "-m", "sightline.cli", *step.arguments), stdout=stream, stderr=subprocess.STDOUT, env=environment
        )
        usage = _watch(process, step, log_path)
    wall_s = time.monotonic() - began_s
    if process.returncode != 0:
        lines = log_path.read_text(encoding="utf-8", errors="replace").strip().splitlines() or ["(no output)"]
        raise ExecutionError(f"step '{step.name}' ended with exit code {process.returncode}: {lines[-1]} (log: {log_path})")
    record = StepRecord(
        name=step.name,
        command=step.command,
        made_from=made_from,
        wall_s=round(wall_s, 2),
        cpu_s=round(usage.ru_utime + usage.ru_stime, 2),
        peak_memory_mb=round(usage.ru_maxrss / 1024.0, 1),
    )
    log.info("%-15s took %.0f s (CPU %.0f s, %.0f MB)", step.name, record.wall_s, record.cpu_s, record.peak_memory_mb)
    write_json(done, asdict(record))
    return record


def _watch(process: subprocess.Popen, step: Step, log_path: Path):  # noqa: ANN202 - resource.struct_rusage, POSIX only
    """Wait for a step, passing its last log line on now and then; returns the resources it and its workers used."""
    looked_s = time.monotonic()
    while True:
        process_id, status, usage = os.wait4(process.pid, os.WNOHANG)
        if process_id:
            process.returncode = os.waitstatus_to_exitcode(status)
            return usage
        time.sleep(0.1)
        if time.monotonic() - looked_s > LOOK_EVERY_S:
            looked_s = time.monotonic()
            lines = log_path.read_text(encoding="utf-8", errors="replace").strip().splitlines()
            if lines:
                log.info("%-15s | %s", step.name, lines[-1][:150])
