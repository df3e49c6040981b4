"""The verb that hands a trained model to others: export-checkpoint."""

from pathlib import Path
from typing import Annotated

import typer

from sightline.verbs.common import DryRun


def export_checkpoint(
    run: Annotated[Path, typer.Argument(help="A training run, a checkpoint, or an adapter.")],
    out: Annotated[Path, typer.Argument(help="New folder; it appears whole or not at all.")],
    max_shard_size: Annotated[str, typer.Option(help="Largest weight file, such as 5GB or 500MB.")] = "5GB",
    dtype: Annotated[str, typer.Option(help="bf16, fp16 or fp32.")] = "bf16",
    base: Annotated[Path | None, typer.Option(help="Where the base of an adapter is now, if it was moved.")] = None,
    dry_run: DryRun = False,
) -> None:
    """Write a trained model as one folder: adapter merged, safetensors in shards, processor, tokenizer, model card."""
    from sightline.models.export import export_checkpoint as export
    from sightline.models.export import plan

    planned = plan(run, out, max_shard_size=max_shard_size, dtype=dtype, base=base)
    if dry_run:
        typer.echo(f"would be exported to {out}: {planned.words}")
        return
    files = export(planned)
    typer.echo(f"exported {planned.words}\n{out}: {', '.join(files)}")
