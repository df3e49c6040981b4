"""The verb that writes a Slurm array script for a stage, to be read, changed and submitted by hand."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from sightline.errors import ConfigError
from sightline.files import write_text

STAGES = ("import", "measure", "generate")
OWN = ("--executor", "--address", "--shards", "--shard", "--merge", "--dry-run")  # what the script itself decides

app = typer.Typer(help="Array scripts for a Slurm cluster.", no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def slurm() -> None:
    """Array scripts for a Slurm cluster."""


@app.command(context_settings={"ignore_unknown_options": True})
def render(
    stage: Annotated[list[str], typer.Argument(metavar="STAGE [ARGUMENTS]...", help="A stage as on the command line: measure STORE.")],
    out: Annotated[Path, typer.Option(help="The script that is written.")],
    shards: Annotated[int, typer.Option(help="Elements of the array; each does its share of the scans.")] = 8,
    cpus: Annotated[int, typer.Option(help="Cores, and worker processes, of each element.")] = 1,
    partition: Annotated[str | None, typer.Option(help="Partition; without it the cluster's default.")] = None,
    time: Annotated[str | None, typer.Option(help="Time limit of an element as Slurm writes it, such as 2:00:00.")] = None,
    logs: Annotated[Path | None, typer.Option(help="Folder of the logs; by default beside the script.")] = None,
) -> None:
    """Write an array script for a stage: each element does a shard, a last job verifies every marker and ends the stage."""
    from sightline.execution.array_script import CPUS, ELEMENT, ArrayScript

    words = _checked(stage)
    command = [sys.executable, "-m", "sightline.cli", *words]
    out = out.absolute()
    script = ArrayScript(
        name=f"sightline-{words[0]}",
        folder=Path.cwd(),
        log_folder=(logs or out.with_name(out.name + ".logs")).absolute(),
        element=[*command, "--shard", f"{ELEMENT}/{shards}", "--workers", CPUS],
        merge=[*command, "--merge"],
        shards=shards,
        cpus=cpus,
        partition=partition,
        time_limit=time,
    )
    script.log_folder.mkdir(parents=True, exist_ok=True)  # Slurm fails a job whose log it cannot write
    write_text(out, script.text)
    typer.echo(f"{out}: {shards} shards of {cpus} core{'s' if cpus > 1 else ''}. Submit: bash {out} submit")


def _checked(stage: Sequence[str]) -> list[str]:
    """The words of a stage. Raises ConfigError for a verb that cannot be divided, or options that the script sets itself."""
    words = list(stage)
    if words[0] not in STAGES:
        raise ConfigError(f"slurm render: expected one of {', '.join(STAGES)}, found '{words[0]}'")
    for word in words:
        if word.partition("=")[0] in (*OWN, "--workers"):
            raise ConfigError(f"slurm render: {word}: the script sets it. Fix: leave it out; cores are --cpus")
    return words
