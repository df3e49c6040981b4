"""The verb that shows what was measured of one scan: facts."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sightline.errors import DataError, SceneError
from sightline.verbs.common import Store

if TYPE_CHECKING:
    from sightline.facts.fact import FactTable


def facts(
    store: Store,
    scan_id: Annotated[str | None, typer.Argument(help="A scan of the store. Default: the first.")] = None,
    out: Annotated[Path | None, typer.Option(help="The page. Default: STORE/<scan>.facts.html.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a summary as JSON; a page only with --out.")] = False,
) -> None:
    """Print the measured facts of a scan and plot them on one HTML page."""
    from sightline.facts.describe import describe
    from sightline.facts.measure import FACTS_FOLDER
    from sightline.facts.store import read_facts
    from sightline.files import FINISHED
    from sightline.scenes.store import SceneStore
    from sightline.verbs.common import some_scans

    known = some_scans(store, None)
    chosen = scan_id or known[0]
    if chosen not in known:
        raise SceneError(f"{store}: expected a scan called '{chosen}', found {', '.join(known[:10])}{' ...' if len(known) > 10 else ''}")
    folder = SceneStore(store).path(chosen) / FACTS_FOLDER
    if not (folder / FINISHED).is_file():
        raise DataError(f"{folder}: expected measured facts, found none. Fix: sightline measure {store}")
    table = read_facts(folder)
    typer.echo(json.dumps(_summary(table), indent=2) if as_json else "\n".join(describe(table)))
    if as_json and out is None:
        return
    from sightline.reports.fact_plots import write_fact_page

    path = out or store / f"{chosen}.facts.html"
    write_fact_page(table, path)
    typer.echo(str(path), err=as_json)


def _summary(table: "FactTable") -> dict[str, Any]:
    """What was measured: rows of every table, reasons for those that are not there, objects by category, rooms."""
    from dataclasses import fields

    tables = {kind: getattr(table, kind) for kind in sorted(table.kinds)}
    rows = {kind: len(one if isinstance(one, tuple) else getattr(one, fields(one)[0].name)) for kind, one in tables.items()}
    named = {name: getattr(table, name) for name in ("scan_id", "place_id", "source", "licence")}
    rooms = None
    if table.rooms is not None:
        columns = (table.rooms.room_index.tolist(), table.rooms.area_m2.tolist(), table.rooms.centre_world.tolist())
        rooms = [{"room_index": index, "area_m2": area, "centre_world": centre} for index, area, centre in zip(*columns)]
    objects = None if table.objects is None else dict(table.counts)
    return {**named, "rows": rows, "skips": dict(table.skips), "objects": objects, "rooms": rooms}
