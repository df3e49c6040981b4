"""Gathers what lies in a folder (scenes, samples, runs, evaluations, steps) into the inputs of a report."""

import os
import platform
from pathlib import Path

from sightline import __version__
from sightline.evaluation.results import Evaluation, Result, read_evaluation, read_results
from sightline.files import read_json
from sightline.reports.browser import write_browser
from sightline.reports.inputs import ReportInputs, SkipCount, StepTime, TrainingRun
from sightline.reports.scene_view import write_scene_view
from sightline.samples.sample import Sample
from sightline.samples.shards import read_samples
from sightline.scenes.scene import Scene
from sightline.scenes.store import SceneStore

BLIND = "blind"
NOTES = {
    "none": "the same model, data, steps and seed, without geometry",
    "sin3d": "with sinusoidal codes of the 3-D point behind each visual token",
    "mlp3d": "with learned codes of the 3-D point behind each visual token",
    BLIND: "the same model, data, steps and seed, shown no image",
}
BROWSED_PER_TASK = 200  # questions of each kind in the page beside the report; `sightline browse` shows all
MAX_PLANS = 8  # plans and verification rows of more scans would bury the rest of the page


def collect(folder: Path, *, title: str | None, scene_pages: int) -> ReportInputs:
    """Everything the report of `folder` shows; writes the 3-D pages beside it. Raises SceneError, DataError."""
    store = SceneStore(folder / "scenes")
    scan_ids = store.scan_ids()
    samples = tuple(read_samples(folder / "samples")) if (folder / "samples" / "dataset.json").is_file() else ()
    held_out = sorted({sample.scan_id for sample in samples if sample.split == "held_out"})
    shown = [*held_out, *(scan_id for scan_id in scan_ids if scan_id not in held_out)][:MAX_PLANS]
    scenes = tuple(store.read(scan_id) for scan_id in shown)
    evaluations, results = _evaluations(folder / "evaluations")
    seeing = [evaluation.model for evaluation in evaluations if evaluation.model != BLIND]
    runs = sorted(path.parent for path in (folder / "runs").glob("*/metrics.jsonl"))
    return ReportInputs(
        title=title or ("Rooms, questions, models, scores" if evaluations else f"Scan report: {', '.join(scan_ids[:3])}"),
        summary=_summary(scan_ids, samples, evaluations),
        command=f"sightline demo {folder}" if evaluations else "",
        steps=_steps(folder / "steps", folder),
        store=folder / "scenes",
        scenes=scenes,
        scene_pages=_pages(scenes[:scene_pages], folder),
        samples=samples,
        browser=_browser(folder) if samples else None,
        skips=_skips(folder / "samples"),
        runs=tuple(TrainingRun(model=run.name, metrics_path=run / "metrics.jsonl") for run in runs),
        evaluations=evaluations,
        results=results,
        headline=seeing[-1] if seeing else None,
        model_notes=NOTES,
        machine=_machine(),
        notes=_limits(evaluations),
    )


def _browser(folder: Path) -> str:
    """Write the page of the questions beside the report; its path from there."""
    made = write_browser(folder / "samples", folder / "browser", store=folder / "scenes", per_task=BROWSED_PER_TASK)
    return made.page.relative_to(folder).as_posix()


def _evaluations(folder: Path) -> tuple[tuple[Evaluation, ...], dict[str, tuple[Result, ...]]]:
    paths = sorted(folder.glob("*/evaluation.json"))
    found = [(read_evaluation(path), tuple(read_results(path.parent / "results.jsonl"))) for path in paths]
    found.sort(key=lambda pair: (pair[0].model != BLIND, pair[0].mean.score.mean))  # blind first, the best model last
    return tuple(one for one, _ in found), {one.model: rows for one, rows in found}


def _summary(scan_ids: list[str], samples: tuple[Sample, ...], evaluations: tuple[Evaluation, ...]) -> str:
    parts = ["1 scan" if len(scan_ids) == 1 else f"{len(scan_ids)} scans"]
    if samples:
        held_out = sum(sample.split == "held_out" for sample in samples)
        parts.append(f"{len(samples)} questions of {len({sample.task for sample in samples})} kinds, {held_out} of them on held-out scans")
    if evaluations:
        names = ", ".join(evaluation.model for evaluation in evaluations)
        parts.append(f"models trained on the same questions and scored on rooms they never saw: {names}")
    return "; ".join(parts) + "."


def _steps(folder: Path, place: Path) -> tuple[StepTime, ...]:
    if not (place / "steps.json").is_file():
        return ()
    return tuple(
        StepTime(
            title=str(row["name"]),
            detail=f"CPU {row['cpu_s']:.0f} s, {row['peak_memory_mb']:.0f} MB in its largest process",
            seconds=float(row["wall_s"]),
            command=str(row["command"]),
        )
        for row in read_json(place / "steps.json")
    )


def _skips(dataset: Path) -> tuple[SkipCount, ...]:
    if not (dataset / "dataset.json").is_file():
        return ()
    counted = []
    for name, count in sorted(read_json(dataset / "dataset.json")["skips"].items()):
        task, _, reason = name.partition(": ")
        counted.append(SkipCount(task=task, reason=reason, count=int(count)))
    return tuple(counted)


def _pages(scenes: tuple[Scene, ...], folder: Path) -> dict[str, str]:
    pages = {}
    for scene in scenes:
        name = f"scene_{scene.scan_id}.html"
        write_scene_view(scene, folder / name)
        pages[scene.scan_id] = name
    return pages


def _machine() -> dict[str, str]:
    return {
        "Sightline": __version__,
        "Python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cores": str(os.cpu_count()),
    }


def _limits(evaluations: tuple[Evaluation, ...]) -> tuple[str, ...]:
    if not evaluations:
        return ()
    return (
        "Procedural rooms and a tiny model prove the pipeline and the comparison; they do not make a model good on real benchmarks.",
        "Objects are pointed at by coloured dots, so that the questions test geometry more than recognition.",
    )
