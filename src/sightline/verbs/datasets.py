"""Verbs about the sources of a mixture: data list, data check, data import."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sightline.errors import ConfigError, DataError
from sightline.verbs.common import DryRun, Overrides, writable_folder

if TYPE_CHECKING:
    from sightline.mixtures.registry import Named, SplitFiles
    from sightline.mixtures.source import BadRow
    from sightline.mixtures.validation import Report
    from sightline.samples.conversation import Conversation

DRY_ROWS = 1000  # rows that a dry run looks at

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Sources of a mixture: list them, check their rows, import them.")

Registry = Annotated[list[Path] | None, typer.Option(help="YAML files of data sets of your own, or folders of them.")]
Split = Annotated[str | None, typer.Option(help="Split of the data set, as its publishers call it. Default: train, or the only one.")]
MediaRoot = Annotated[Path | None, typer.Option("--media", help="Folder that the rows' pictures lie below; without it none is looked for.")]
Store = Annotated[Path | None, typer.Option(help="Scene store, for rows that show frames of one.")]
Allow = Annotated[str, typer.Option(help="Comma-separated kinds of problems that are counted and let pass.")]
MaxBadShare = Annotated[float, typer.Option(help="Share of bad rows from which the whole is refused.")]
Rows = Annotated[int | None, typer.Option("--limit", min=1, help="Only the first N rows.")]
AsJson = Annotated[Path | None, typer.Option("--json", help="Write the counts there, too.")]


@app.command(name="list")
def list_sets(
    name: Annotated[str | None, typer.Argument(help="One data set, with all that is known of it.")] = None,
    registry: Registry = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Name the data sets that can be imported, with layout, rows and licence."""
    from sightline.config import as_mapping
    from sightline.mixtures.registry import data_set, data_sets

    found = data_sets(registry or ())
    chosen = list(found.values()) if name is None else [data_set(name, registry or ())]
    if as_json:
        typer.echo(json.dumps({one.name: as_mapping(one.entry) for one in chosen}, indent=1, ensure_ascii=False))
    elif name is not None:
        typer.echo("\n".join(_described(chosen[0])))
    else:
        width = max(len(one.name) for one in chosen)
        for one in chosen:
            rows = ", ".join(f"{split} {files.rows if files.rows is not None else '?'}" for split, files in one.entry.splits.items())
            typer.echo(f"{one.name:<{width}}  {one.entry.layout:<12}  {rows:<34}  {one.entry.licence}")
            typer.echo(f"{'':<{width}}  {one.entry.what}")


def _described(one: "Named") -> list[str]:
    entry = one.entry
    facts = {
        "what": entry.what,
        "layout": entry.layout,
        "where": entry.where,
        "how to obtain": entry.obtain,
        "licence": entry.licence,
        "pictures": entry.media,
        "options": ", ".join(f"{key}={value}" for key, value in entry.options.items()),
        "notes": entry.notes,
        "entry": str(one.path),
    }
    lines = [one.name, *(f"  {key + ':':<15} {value}" for key, value in facts.items() if value)]
    for split, files in entry.splits.items():
        rows = f"{files.rows} rows" if files.rows is not None else "number of rows unknown"
        held = ", a benchmark: never to be trained on" if split in entry.benchmark_splits else ""
        lines.append(f"  split {split}: {', '.join(files.files)} ({rows}{held})")
    return lines


@app.command()
def check(
    what: Annotated[str, typer.Argument(help="Name of a data set, or a folder or file of conversations or generated samples.")],
    source: Annotated[Path | None, typer.Argument(help="Folder (or file) of the data set, as obtained; with a name alone.")] = None,
    split: Split = None,
    media: MediaRoot = None,
    store: Store = None,
    max_bad_share: MaxBadShare = 0.0,
    allow: Allow = "",
    limit: Rows = None,
    as_json: AsJson = None,
    registry: Registry = None,
) -> None:
    """Count and name the bad rows of a source; exit code 2 where more are bad than may be."""
    from itertools import islice

    from sightline.mixtures.importing import Import, conversations, manifest_of
    from sightline.mixtures.validation import Checker, Report, require

    report = Report()
    lists: SplitFiles | None
    if source is None and Path(what).exists() and not what.endswith((".yaml", ".yml")):
        folder = Path(what)
        manifest = manifest_of(folder) if folder.is_dir() else None
        stream, lists = _rows_of_folder(folder, manifest, registry)
        stream = islice(stream, limit)
        root = media or (Path(manifest["media_root"]) if manifest and manifest["media_root"] else None)
        expected = manifest and manifest["num_rows"]
    else:
        if source is None:
            raise ConfigError(f"{what}: expected a folder, or a name with the folder of the data set beside it (sightline data list)")
        job = Import.of(_named(what, registry), split, source, media_root=_absolute(media), limit=limit)
        stream, root = conversations(job), media
        lists = job.named.entry.splits[job.split]
        expected = lists.rows
    checker = Checker(lists, media=_media(root, store), allow=_kinds(allow))
    for _ in checker.good(stream, report):
        pass
    typer.echo("\n".join(_summary(what, report, expected=None if limit else expected)))
    _write_json(as_json, report)
    require(report, max_bad_share=max_bad_share)


@app.command(name="import")
def import_set(
    name: Annotated[str, typer.Argument(help="Name of a data set (sightline data list), or the YAML file of one.")],
    source: Annotated[Path, typer.Argument(help="Folder (or file) of the data set, as obtained.")],
    out: Annotated[Path, typer.Argument(help="Folder of the conversations; it is whole or not there.")],
    overrides: Overrides = None,
    split: Split = None,
    media: MediaRoot = None,
    store: Store = None,
    max_bad_share: MaxBadShare = 0.0,
    allow: Allow = "",
    limit: Rows = None,
    as_json: AsJson = None,
    registry: Registry = None,
    dry_run: DryRun = False,
) -> None:
    """Convert a data set into Parquet of conversations; pictures are named, never copied. A stopped import goes on."""
    from sightline.config import with_overrides
    from sightline.mixtures.importing import Import, conversations, import_source
    from sightline.mixtures.validation import Checker, Report, require

    kinds = _kinds(allow)
    job = Import.of(
        _named(name, registry),
        split,
        source,
        media_root=_absolute(media),
        allow=kinds,
        max_bad_share=max_bad_share,
        limit=min(limit or DRY_ROWS, DRY_ROWS) if dry_run else limit,
        options=with_overrides({}, overrides or []),
    )
    lists = job.named.entry.splits[job.split]
    checker = Checker(lists, media=_media(media, store), allow=kinds)
    if dry_run:
        report = Report()
        for row in checker.good(conversations(job), report):
            if report.kept == 1:
                typer.echo(f"first row: {row}")
        typer.echo("\n".join(_summary(f"first {job.limit} rows of {job.named.name}", report, expected=None)))
        require(report, max_bad_share=max_bad_share)
        return
    writable_folder(out)
    report, is_new = import_source(job, out, checker)
    typer.echo("\n".join(_summary(job.named.name, report, expected=None if limit else lists.rows)))
    _write_json(as_json, report)
    typer.echo(f"{report.kept} conversations in {out}" + ("" if is_new else ", finished before"))


def _rows_of_folder(
    folder: Path, manifest: dict[str, Any] | None, registry: list[Path] | None
) -> "tuple[Iterator[Conversation | BadRow], SplitFiles | None]":
    """Rows of a folder of conversations or of generated samples, and the lists of scenes of the split they came from."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from sightline.mixtures.importing import Import, conversations
    from sightline.mixtures.registry import data_set, data_sets
    from sightline.samples.conversation_files import ConversationTable

    files = [folder] if folder.is_file() else sorted((folder / "data").glob("*.parquet"))
    if not files or files[0].suffix != ".parquet":
        raise DataError(
            f"{folder}: expected conversations or samples in data/*.parquet; of other files say whose layout they have: "
            f"sightline data check NAME {folder}"
        )
    try:
        columns = pq.read_schema(files[0]).names
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{files[0]}: expected a whole Parquet file, found a damaged one ({error})") from error
    if "turns" not in columns:
        return conversations(Import.of(data_set("sightline"), "all", folder)), None
    known = data_sets(registry or ())
    if manifest and manifest["source"] in known:
        entry = known[manifest["source"]].entry
        return iter(ConversationTable(folder)), entry.splits.get(manifest["split"])
    return iter(ConversationTable(folder)), None


def _named(name: str, registry: list[Path] | None) -> "Named":
    from sightline.mixtures.registry import data_set

    return data_set(name, registry or ())


def _media(root: Path | None, store: Path | None) -> Any:
    from sightline.samples.media import Media

    if root is not None and not root.is_dir():
        raise ConfigError(f"--media: expected a folder, found none at {root}")
    return None if root is None and store is None else Media(root=root, store=store)


def _absolute(path: Path | None) -> Path | None:
    return None if path is None else path.absolute()


def _kinds(allow: str) -> tuple[str, ...]:
    return tuple(kind.strip() for kind in allow.split(",") if kind.strip())


def _summary(what: str, report: "Report", *, expected: int | None) -> list[str]:
    first, *lines = report.lines()
    out = [f"{what}: {first}", *lines]
    if expected is not None and expected != report.rows:
        out.append(f"  expected {expected} rows, found {report.rows}")
    return out


def _write_json(path: Path | None, report: "Report") -> None:
    from sightline.files import write_json

    if path is not None:
        write_json(path, report.as_json())
