"""The command line: one verb per stage. Every verb imports its room when it is called."""

import logging
import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from sightline import __version__
from sightline.errors import SightlineError
from sightline.verbs import data, datasets, export, export_checkpoint, facts, frames, generate, mix, model, models, show, slurm


class Verbs(TyperGroup):
    """Turns a user's mistake into one line and exit code 2; lists verbs in the order of the pipeline."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except SightlineError as error:
            typer.echo(f"sightline: {error}", err=True)
            raise typer.Exit(2) from error


app = typer.Typer(cls=Verbs, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)


def show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def common(
    version: Annotated[bool, typer.Option("--version", callback=show_version, is_eager=True, help="Print the version.")] = False,
) -> None:
    """Sightline: posed RGB-D scans in, a vision-language model that understands space out."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    logging.getLogger("sightline").setLevel(logging.INFO)


app.command()(show.demo)
app.command()(data.rooms)
app.command(name="import")(data.import_scans)
app.command()(data.measure)
app.command()(facts.facts)
app.command()(generate.generate)
app.command()(export.export)
app.command()(frames.frames)
app.command()(frames.birdseye)
app.add_typer(datasets.app, name="data")
app.command()(mix.mix)
app.add_typer(slurm.app, name="slurm")
app.command()(models.models)
app.command()(model.train)
app.command(name="export-checkpoint")(export_checkpoint.export_checkpoint)
app.command()(model.evaluate)
app.command()(model.compare)
app.command()(model.ask)
app.command()(show.report)
app.command()(show.view)
app.command()(show.cards)
app.command()(show.browse)


def main() -> None:
    """Entry point of the `sightline` command."""
    app()


if __name__ == "__main__":
    main()
