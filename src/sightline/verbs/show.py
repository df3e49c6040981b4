"""Verbs that show: demo, report, view, cards, browse."""

from pathlib import Path
from typing import Annotated

import typer

from sightline.config import load
from sightline.verbs.common import DryRun, Overrides, Store


def demo(
    out: Annotated[Path, typer.Argument(help="Folder that gets everything.")] = Path("out/demo"),
    overrides: Overrides = None,
    recipe: Annotated[str, typer.Option(help="demo/standard, demo/smallest, or a YAML file.")] = "demo/standard",
    dry_run: DryRun = False,
) -> None:
    """Rooms, questions, two models trained on them, their scores on rooms they never saw, and a report."""
    from sightline.demo import DemoRecipe, plan, run_demo

    made = load(DemoRecipe, recipe, overrides or [])
    if dry_run:
        for phase in plan(made, out):
            for chain in phase:
                typer.echo("\n".join(step.command for step in chain))
        return
    records = run_demo(made, out)
    wall_s = sum(record.wall_s for record in records)
    typer.echo(f"{out / 'results.json'}")
    typer.echo(f"{out / 'report.html'}  ({len(records)} steps, {wall_s:.0f} s of step time)")


def report(
    folder: Annotated[Path, typer.Argument(help="Folder with scenes/ and, where they exist, samples/, runs/ and evaluations/.")],
    title: Annotated[str | None, typer.Option(help="Title of the page.")] = None,
    scene_pages: Annotated[int, typer.Option(help="3-D pages to write: so many scans.")] = 2,
) -> None:
    """Write one self-contained HTML page about everything in a folder."""
    from sightline.reports.collect import collect
    from sightline.reports.report import write_report

    path = folder / "report.html"
    write_report(collect(folder, title=title, scene_pages=scene_pages), path)
    typer.echo(str(path))


def view(
    store: Store,
    scan_id: Annotated[str | None, typer.Argument(help="A scan of the store. Default: the first.")] = None,
    out: Annotated[Path | None, typer.Option(help="The page. Default: STORE/<scan>.html.")] = None,
) -> None:
    """Write a 3-D page of a scene: cloud, boxes with labels, cameras. Opens from disk."""
    from sightline.reports.scene_view import write_scene_view
    from sightline.scenes.store import SceneStore
    from sightline.verbs.common import some_scans

    chosen = scan_id or some_scans(store, 1)[0]
    path = out or store / f"{chosen}.html"
    write_scene_view(SceneStore(store).read(chosen), path)
    typer.echo(str(path))


def cards(
    dataset: Annotated[Path, typer.Argument(help="Folder of a data set.")],
    out: Annotated[Path, typer.Argument(help="Folder that gets the pictures.")],
    tasks: Annotated[str | None, typer.Option(help="Comma-separated question tasks; all by default.")] = None,
    per_task: Annotated[int, typer.Option(min=1, help="Questions of each task, spread over scans.")] = 3,
    kind: Annotated[str, typer.Option(help="png or jpg.")] = "png",
    store: Annotated[Path | None, typer.Option(help="Scene store. Default: the one the data set was made from.")] = None,
) -> None:
    """Draw questions as pictures: images with marks, words, options, answer, and what it was measured from."""
    from sightline.errors import ConfigError
    from sightline.files import read_json
    from sightline.reports.cards import write_cards
    from sightline.samples.shards import read_samples
    from sightline.verbs.common import chosen_tasks, writable_folder

    if kind not in ("png", "jpg"):
        raise ConfigError(f"--kind: expected png or jpg, found '{kind}'")
    chosen = store or dataset / read_json(dataset / "dataset.json")["scene_store"]
    samples = read_samples(dataset, tasks=chosen_tasks(tasks) if tasks else None)
    writable_folder(out)
    paths = write_cards(samples, chosen, out, per_task=per_task, kind=kind)
    typer.echo(f"{len(paths)} pictures in {out}")


def browse(
    dataset: Annotated[Path, typer.Argument(help="Folder of a data set.")],
    out: Annotated[Path | None, typer.Argument(help="Folder of the browser. Default: DATASET/browser.")] = None,
    per_task: Annotated[int | None, typer.Option(min=1, help="At most N questions of each task, spread over scans. Default: all.")] = None,
    store: Annotated[Path | None, typer.Option(help="Scene store. Default: the one the data set was made from.")] = None,
) -> None:
    """Write a browser of all questions: a folder whose page opens from disk, with filters, marks, answers and check values."""
    from sightline.errors import ConfigError
    from sightline.reports.browser import write_browser

    folder = out or dataset / "browser"
    if folder.is_file():
        raise ConfigError(f"{folder}: expected a folder to write into, found the file {folder}")
    made = write_browser(dataset, folder, store=store, per_task=per_task)
    typer.echo(f"{made.page}  ({made.questions} questions over {made.frames} frames)")
