"""The verb that hands a data set to other trainers and benchmarks: export."""

from pathlib import Path
from typing import Annotated

import typer

from sightline.verbs.common import DryRun, Spread, Workers, run_stage


def export(
    dataset: Annotated[Path, typer.Argument(help="Folder of a data set, or one of its Parquet files.")],
    out: Annotated[Path, typer.Argument(help="Folder of the export; it appears whole or not at all.")],
    to: Annotated[str, typer.Option(help="Format: internvl, qwen, qwen-video, llava, sharegpt, llamafactory-alpaca, ...")],
    split: Annotated[str | None, typer.Option(help="train or held_out; both by default, in files of their own.")] = None,
    tasks: Annotated[str | None, typer.Option(help="Comma-separated question tasks; all by default.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="So many samples, spread over scans and tasks.")] = None,
    images: Annotated[
        str, typer.Option(help="link (hard link where possible), copy, or path: rows name the scene store's files.")
    ] = "link",
    bake_marks: Annotated[
        bool, typer.Option(help="Draw marks into copies of the images; without, samples with marks are left out.")
    ] = True,
    marked_as: Annotated[str, typer.Option(help="jpg (quality 95) or png: images with marks drawn, or of another size.")] = "jpg",
    width: Annotated[int | None, typer.Option(help="With --height: every image at that size.")] = None,
    height: Annotated[int | None, typer.Option(help="See --width.")] = None,
    data_urls: Annotated[bool, typer.Option("--data-urls", help="openai: images inside the rows as base64.")] = False,
    allow_gated_images: Annotated[
        bool, typer.Option("--allow-gated-images", help="Copy images that may not be passed on, for your own use.")
    ] = False,
    store: Annotated[Path | None, typer.Option(help="Scene store. Default: the one the data set was made from.")] = None,
    workers: Workers = None,
    dry_run: DryRun = False,
) -> None:
    """Write a data set the way another trainer or benchmark reads it, marks drawn into copies of the images."""
    from sightline.config import build
    from sightline.samples.export import EXPORTS, ExportOptions
    from sightline.samples.formats.pictures import place_files
    from sightline.samples.formats.write import finish, prepare, start

    EXPORTS[to]
    how = Spread(workers=workers)
    given = {
        "images": images,
        "bake_marks": bake_marks,
        "marked_as": marked_as,
        "width": width,
        "height": height,
        "data_urls": data_urls,
        "allow_gated_images": allow_gated_images,
    }
    options = build(ExportOptions, given, where="export")
    names = [name.strip() for name in tasks.split(",") if name.strip()] if tasks else None
    prepared = prepare(dataset, out, to=to, options=options, store=store, split=split, tasks=names, limit=limit)
    rows = ", ".join(f"{len(of_split)} {name}" for name, of_split in prepared.rows.items())
    files = ", ".join(f"{count} to {what}" if what != "video" else f"{count} videos" for what, count in prepared.file_counts().items())
    for reason, count in prepared.left_out.items():
        typer.echo(f"left out {count} {reason}")
    if prepared.about.is_gated:
        typer.echo(f"{out} holds images that may not be passed on: keep it to yourself")
    if dry_run:
        typer.echo(f"{rows} rows would be written as '{to}' into {out}; images: {files or 'none, rows name those of the scene store'}")
        return
    if prepared.is_finished:
        typer.echo(f"{out} is finished: {rows} rows as '{to}'")
        return
    plans = start(prepared)
    folder = prepared.about.folder
    run_stage("export", place_files, plans, {"folder": str(folder)}, out=folder, made_from=prepared.made_from, how=how)
    finish(prepared)
    typer.echo(f"{rows} rows as '{to}' in {out}; images: {files or 'none, rows name those of the scene store'}")
