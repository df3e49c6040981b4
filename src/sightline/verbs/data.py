"""Verbs from scans to facts: rooms, import, measure."""

from pathlib import Path
from typing import Annotated

import typer

from sightline.config import as_mapping, build, with_overrides
from sightline.errors import CaptureError, ConfigError, DataError
from sightline.files import fingerprint
from sightline.verbs.common import (
    Address,
    DryRun,
    Executor,
    Limit,
    Merge,
    OneShard,
    Overrides,
    Shards,
    Spread,
    Store,
    Workers,
    first,
    measurable,
    run_stage,
    some_scans,
    spread,
)


def rooms(
    out: Annotated[Path, typer.Argument(help="Folder that gets one folder per scan.")],
    overrides: Overrides = None,
    num_scans: Annotated[int, typer.Option(help="How many scans.")] = 8,
    seed: Annotated[int, typer.Option(help="Same seed, same bytes.")] = 0,
    workers: Workers = None,
    dry_run: DryRun = False,
) -> None:
    """Make procedural rooms: posed RGB-D scans with exact depth, objects and structure."""
    from sightline.captures.rooms import RoomsOptions, room_scan_ids, write_room_scan

    if num_scans < 1:
        raise ConfigError(f"--num-scans: expected at least 1, found {num_scans}")
    options = build(RoomsOptions, with_overrides({}, overrides or []), where="rooms")
    if dry_run:
        typer.echo(f"{num_scans} scans of {options.num_frames} frames, {options.width}x{options.height}, would be written into {out}")
        return
    given = as_mapping(options)
    outputs = {scan_id: out / scan_id / "finished.json" for scan_id in room_scan_ids(num_scans)}
    arguments = {"out": str(out), "seed": seed, "options": given}
    run_stage("rooms", write_room_scan, outputs, arguments, out=out, made_from=fingerprint([seed, given]), how=Spread(workers=workers))
    typer.echo(f"{num_scans} scans in {out}")


def import_scans(
    source: Annotated[Path, typer.Argument(help="A scan, or a folder of scans.")],
    store: Store,
    overrides: Overrides = None,
    layout: Annotated[str | None, typer.Option("--format", help="Layout, such as scannet or colmap; found by itself by default.")] = None,
    depth_unit_m: Annotated[float | None, typer.Option(help="Metres per stored depth unit, 0.001 for millimetres.")] = None,
    pose_direction: Annotated[str | None, typer.Option(help="world_from_camera or camera_from_world.")] = None,
    camera_axes: Annotated[str | None, typer.Option(help="opencv or opengl.")] = None,
    up_axis: Annotated[str | None, typer.Option(help="The source world's up axis: +x -x +y -y +z -z or auto.")] = None,
    split: Annotated[str, typer.Option(help="Only the scans of a split that the layout names, such as train or Validation.")] = "all",
    copy_images: Annotated[bool, typer.Option(help="Copy the images instead of linking them.")] = False,
    verify: Annotated[bool, typer.Option(help="Check poses, axes and depth unit by reprojection.")] = True,
    workers: Workers = None,
    executor: Executor = "local",
    address: Address = None,
    shards: Shards = None,
    shard: OneShard = None,
    merge: Merge = False,
    limit: Limit = None,
    dry_run: DryRun = False,
) -> None:
    """Bring scans into a scene store, and check their conventions against their own depth."""
    from sightline.captures.capture import READERS
    from sightline.captures.detect import find_reader
    from sightline.scenes.build import check_scan, import_scan, reader_options, verdict_lines

    how = spread(workers, executor, address=address, shards=shards, shard=shard, merge=merge)
    name = layout or find_reader(source)
    named = {"depth_unit_m": depth_unit_m, "pose_direction": pose_direction, "camera_axes": camera_axes, "up_axis": up_axis}
    options = {key: value for key, value in named.items() if value is not None} | with_overrides({}, overrides or [])
    found = READERS[name](source, reader_options(options))
    every = first(found.scan_ids(split), limit)
    if not every:
        raise DataError(f"{source}: expected at least one scan of split '{split}', found none")
    scan_ids = how.of(every)  # a shard may have none
    if dry_run:
        typer.echo(f"{len(scan_ids)} scans would be read as '{name}' into {store}: {', '.join(scan_ids[:10])}")
        refused = []
        for scan_id in scan_ids:
            try:
                checked = check_scan(scan_id, source=str(source.resolve()), reader=name, options=options, verify=verify)
            except CaptureError as error:
                refused.append(scan_id)
                typer.echo(f"{scan_id}: would be refused: {error}")
            else:
                typer.echo("\n".join(verdict_lines(checked)))
        if refused:
            raise CaptureError(f"{len(refused)} of {len(scan_ids)} scans would be refused: {', '.join(refused[:10])}")
        return
    typer.echo(f"{source}: {len(scan_ids)} scan{'s' if len(scan_ids) != 1 else ''} of the layout '{name}'")
    stamps = {scan_id: fingerprint([[str(path), *_stamp(path)] for path in found.source_files(scan_id)]) for scan_id in scan_ids}
    outputs = {scan_id: store / scan_id / "finished.json" for scan_id in scan_ids}
    arguments = {
        "source": str(source.resolve()),
        "reader": name,
        "options": options,
        "store": str(store),
        "copy_images": copy_images,
        "verify": verify,
    }
    made_from = fingerprint([name, options, copy_images, verify])
    results = run_stage("import", import_scan, outputs, arguments, out=store, made_from=made_from, made_from_each=stamps, how=how)
    for result in results.values():
        typer.echo("\n".join(verdict_lines(result)))


def _stamp(path: Path) -> tuple[int, int]:
    """Size and time of change; a file that is gone is named by the import of its scan."""
    try:
        stat = path.stat()
    except OSError:
        return -1, -1
    return stat.st_size, stat.st_mtime_ns


def measure(
    store: Store,
    overrides: Overrides = None,
    strict: Annotated[bool, typer.Option("--strict", help="Visible by the one-sided test of published engines, on their scale.")] = False,
    workers: Workers = None,
    executor: Executor = "local",
    address: Address = None,
    shards: Shards = None,
    shard: OneShard = None,
    merge: Merge = False,
    limit: Limit = None,
    dry_run: DryRun = False,
) -> None:
    """Measure facts: motion and overlap of frames, visible points, objects, distances."""
    from sightline.facts.measure import MeasureOptions, describe, facts_fingerprint, measure_scan
    from sightline.facts.store import read_facts
    from sightline.scenes.store import SceneStore

    how = spread(workers, executor, address=address, shards=shards, shard=shard, merge=merge)
    chosen = build(MeasureOptions, with_overrides({"strict": True} if strict else {}, overrides or []), where="measure")
    scan_ids = measurable(store, how.of(some_scans(store, limit)), at_least_one=how.shard is None)
    if dry_run:
        typer.echo(f"{len(scan_ids)} scans of {store} would be measured")
        return
    scenes = SceneStore(store)
    each = {scan_id: facts_fingerprint(scenes.marker(scan_id) or {}, chosen) for scan_id in scan_ids}
    outputs = {scan_id: store / scan_id / "facts" / "finished.json" for scan_id in scan_ids}
    arguments = {"store": str(store), "options": as_mapping(chosen)}
    run_stage("measure", measure_scan, outputs, arguments, out=store, made_from="facts", made_from_each=each, how=how)
    for scan_id in scan_ids[:3]:
        typer.echo("\n".join(describe(read_facts(store / scan_id / "facts"))))
    if len(scan_ids) > 3:
        typer.echo(f"... and {len(scan_ids) - 3} more scans")
