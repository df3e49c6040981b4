"""Verbs of models: train, evaluate, compare, ask."""

import platform
import time
from pathlib import Path
from typing import Annotated

import typer

from sightline import __version__
from sightline.config import read_yaml
from sightline.errors import ConfigError, DataError
from sightline.files import fingerprint, is_finished, mark_finished, read_json, sha256_of
from sightline.verbs.common import DryRun, Overrides, chosen_tasks

Dataset = Annotated[Path, typer.Argument(help="Data set: the folder that `sightline generate` made.")]
SceneStoreFolder = Annotated[Path, typer.Argument(help="Scene store that its images lie in.")]


def train(
    recipe: Annotated[str, typer.Argument(help="A packaged recipe such as rooms/demo, or a YAML file.")],
    overrides: Overrides = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the run. Default: out/runs/<recipe>.")] = None,
    resume: Annotated[bool, typer.Option(help="Go on from the newest saved state, if there is one.")] = True,
    dry_run: DryRun = False,
) -> None:
    """Train a model as a recipe says; single keys are set with a.b=c."""
    from sightline.training.recipe import load_recipe

    made = load_recipe(recipe, overrides or [])
    place = out or Path("out/runs") / recipe
    if dry_run:
        from sightline.training.plan import describe

        typer.echo("\n".join(describe(made)))
        return
    from sightline.samples.rebuild import check_images
    from sightline.scenes.store import SceneStore
    from sightline.training.trainer import train as run

    if made.mixture is None:
        check_images(Path(made.data.samples), SceneStore(Path(made.data.scenes)), scan_ids=made.data.scans or None)
    typer.echo(f"trained: {run(made, place, resume=resume)}")


def evaluate(
    run: Annotated[Path, typer.Argument(help="A training run or a checkpoint.")],
    dataset: Dataset,
    store: SceneStoreFolder,
    out: Annotated[Path, typer.Option(help="Folder that gets replies, scored replies and the evaluation.")],
    name: Annotated[str | None, typer.Option(help="Short name of the model. Default: the run folder's.")] = None,
    split: Annotated[str, typer.Option(help="Which split is answered.")] = "held_out",
    tasks: Annotated[str | None, typer.Option(help="Comma-separated question tasks. Default: those the run was trained on.")] = None,
    per_task: Annotated[int | None, typer.Option(help="At most N questions of each task, spread over all scans.")] = None,
    batch_size: Annotated[int, typer.Option(help="Questions answered at a time.")] = 64,
    seed: Annotated[int, typer.Option(help="Of the bootstrap.")] = 0,
    dry_run: DryRun = False,
) -> None:
    """Answer held-out questions and score the replies beside chance and the most frequent answer."""
    from sightline.evaluation.results import write_evaluation, write_results
    from sightline.evaluation.run import evaluate as score
    from sightline.inference.replies import read_replies, write_replies
    from sightline.samples.quality import spread
    from sightline.samples.shards import read_samples

    names = chosen_tasks(tasks) if tasks else trained_tasks(run)
    samples = spread(read_samples(dataset, split=split, tasks=names), per_task=per_task)
    train_samples = read_samples(dataset, split="train", tasks=names)
    if not samples:
        raise DataError(f"{dataset}: expected questions of split '{split}', found none")
    if dry_run:
        typer.echo(f"{len(samples)} questions of {len({sample.scan_id for sample in samples})} scans would be answered by {run}")
        return
    from sightline.models.checkpoints import find_checkpoint
    from sightline.samples.rebuild import check_images
    from sightline.scenes.store import SceneStore

    check_images(dataset, SceneStore(store), scan_ids={sample.scan_id for sample in samples})
    checkpoint = find_checkpoint(run)
    hashes = {str(path.relative_to(checkpoint)): sha256_of(path) for path in sorted(checkpoint.rglob("*")) if path.is_file()}
    asked = fingerprint([(sample.sample_id, sample.prompt, sample.answer_text) for sample in samples])
    made_from = fingerprint([__version__, hashes, asked])
    began_s = time.monotonic()
    if is_finished(out, made_from=made_from):
        replies = read_replies(out / "replies.jsonl")
        seconds = float(read_json(out / "finished.json")["seconds"])
    else:
        from sightline.execution.progress import counting
        from sightline.inference.generate import Answerer

        answerer = Answerer.load(checkpoint)
        with counting("answer", len(samples)) as counter:
            replies = answerer.answer(
                samples, store=store, batch_size=batch_size, on_progress=lambda done: counter.advance(done - counter.done)
            )
        seconds = time.monotonic() - began_s
        write_replies(out / "replies.jsonl", replies)
    card = {
        "checkpoint": str(checkpoint),
        "checkpoint_sha256": fingerprint(hashes),
        "dataset": str(dataset),
        "dataset_fingerprint": asked,
        "split": split,
        "questions": len(samples),
        "train_questions": len(train_samples),
        "seconds": round(seconds, 2),
        "sightline": __version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
    }
    evaluation, results = score(samples, replies, train_samples, model=name or run.name, card=card, seed=seed)
    write_results(out / "results.jsonl", results)
    write_evaluation(out / "evaluation.json", evaluation)
    mark_finished(out, made_from=made_from, seconds=round(seconds, 2))
    for one in (*evaluation.tasks, evaluation.mean):
        typer.echo(
            f"{one.task:20s} n={one.n:4d}  {one.score.mean:6.1%} [{one.score.low:6.1%}, {one.score.high:6.1%}]  "
            f"chance {one.chance:6.1%}  most frequent {one.most_frequent.mean:6.1%}  unparsable {one.unparsable}"
        )


def trained_tasks(run: Path) -> list[str] | None:
    """Tasks that a run's recipe names; None where it names none (all)."""
    for place in (run, run / "checkpoint"):
        if (place / "recipe.yaml").is_file():
            return list(read_yaml(place / "recipe.yaml").get("data", {}).get("tasks") or []) or None
    return None


def compare(
    evaluations: Annotated[list[Path], typer.Argument(help="Folders that `sightline evaluate` made.")],
    out: Annotated[Path, typer.Option(help="File that gets all scores and the verdict.")] = Path("results.json"),
    headline: Annotated[
        str | None, typer.Option(help="Model that is set against the others. Default: the last that is not 'blind'.")
    ] = None,
) -> None:
    """Set models side by side on the same questions: intervals, paired differences, which tasks are separated."""
    from sightline.evaluation.compare import with_blind, write_comparison
    from sightline.evaluation.results import read_evaluation, read_results

    found = [read_evaluation(folder / "evaluation.json") for folder in evaluations]
    results = {one.model: read_results(folder / "results.jsonl") for one, folder in zip(found, evaluations, strict=True)}
    seen = [one.model for one in found if one.model != "blind"]
    if not seen:
        raise ConfigError("compare: expected at least one evaluation of a model that sees, found none")
    found = with_blind(found)
    verdict = write_comparison(out, found, headline=headline or seen[-1], results=results)
    for comparison in verdict.comparisons:
        typer.echo(
            f"{verdict.model} against {comparison.rival}: above in {', '.join(comparison.above) or 'nothing'}; "
            f"below in {', '.join(comparison.below) or 'nothing'}"
        )
    typer.echo(f"above all of them in: {', '.join(verdict.above_all) or 'nothing'}")


def ask(
    question: Annotated[str, typer.Argument(help="A question in words.")],
    run: Annotated[Path, typer.Option(help="A training run or a checkpoint.")],
    scan: Annotated[Path | None, typer.Option(help="A scan of a scene store (STORE/SCAN).")] = None,
    frames: Annotated[str | None, typer.Option(help="Comma-separated frame ids of the scan. Default: two that overlap.")] = None,
    images: Annotated[list[Path] | None, typer.Option(help="Images instead of a scan; no geometry then. May stand several times.")] = None,
    mark: Annotated[
        list[str] | None, typer.Option(help="A dot: FRAME:u,v:colour (pixels of the stored image). May stand several times.")
    ] = None,
) -> None:
    """Ask a trained model one question about a scan or about plain images."""
    from sightline.inference.generate import Answerer
    from sightline.samples.views import views_of_images, views_of_scan

    if (scan is None) == (not images):
        raise ConfigError("ask: expected either --scan STORE/SCAN or --images FILE, found " + ("neither" if scan is None else "both"))
    answerer = Answerer.load(run)
    framings = answerer.processor.framings
    if scan is not None:
        frame_ids = [one.strip() for one in frames.split(",")] if frames else None
        views = views_of_scan(scan, frame_ids=frame_ids, marks=mark or [], with_depth=answerer.needs_depth, framings=framings)
    else:
        if mark:
            raise ConfigError("ask: --mark names a frame of a scan, expected --scan with it")
        views = views_of_images(images or [])
    reply = answerer.ask(question, views)
    typer.echo(reply.text)
    typer.echo(
        f"({len(views)} images: {', '.join(view.frame_id for view in views)}; {reply.tokens} tokens, {reply.seconds:.2f} s)", err=True
    )
