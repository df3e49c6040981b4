"""Verbs from scans to samples: rooms, import, measure, generate."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from sightline.config import as_mapping, build, with_overrides
from sightline.errors import CaptureError, ConfigError, DataError
from sightline.files import fingerprint, read_json
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
    chosen_tasks,
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


def generate(
    store: Store,
    out: Annotated[Path, typer.Argument(help="Folder of the data set.")],
    overrides: Overrides = None,
    tasks: Annotated[str | None, typer.Option(help="Comma-separated question tasks; all by default, or those of the preset.")] = None,
    preset: Annotated[str | None, typer.Option(help="A named set of tasks and options: multispa, vsi, vsti, ...")] = None,
    benchmark: Annotated[
        int | None, typer.Option(help="Held-out questions per subtask in OUT/benchmark; as the preset says, else 0.")
    ] = None,
    benchmark_scenes: Annotated[
        str, typer.Option(help="Scans that benchmarks ask about: refuse, hold-out or allow in training.")
    ] = "refuse",
    more_benchmark_scenes: Annotated[Path | None, typer.Option(help="YAML with lists of such scans of your own.")] = None,
    seed: Annotated[int, typer.Option(help="Same seed, same questions.")] = 0,
    held_out_share: Annotated[float, typer.Option(help="Share of places kept for evaluation.")] = 0.25,
    index: Annotated[bool, typer.Option("--index", help="Write OUT/index too: 24 bytes per question, worded when read.")] = False,
    index_only: Annotated[bool, typer.Option("--index-only", help="Keep questions that an index can hold in OUT/index alone.")] = False,
    workers: Workers = None,
    executor: Executor = "local",
    address: Address = None,
    shards: Shards = None,
    shard: OneShard = None,
    merge: Merge = False,
    limit: Limit = None,
    dry_run: DryRun = False,
) -> None:
    """Ask questions of measured scenes and write them, with checked answers, as a Parquet data set."""
    from sightline.facts.measure import expect_one_visibility
    from sightline.mixtures.splits import check_no_leak, split_places
    from sightline.questions.question import TaskOptions
    from sightline.samples.benchmark_files import write_benchmark
    from sightline.samples.generate import finish_dataset, generate_scan
    from sightline.samples.index import Index, is_indexed
    from sightline.samples.preset import read_preset
    from sightline.samples.shards import read_samples
    from sightline.scenes.store import SceneStore

    how = spread(workers, executor, address=address, shards=shards, shard=shard, merge=merge)
    asked = read_preset(preset) if preset else None
    names = list(asked.tasks) if asked and not tasks else chosen_tasks(tasks)
    options = as_mapping(build(TaskOptions, with_overrides(asked.options if asked else {}, overrides or []), where="generate"))
    per_task = benchmark if benchmark is not None else asked.benchmark_per_task if asked else 0
    if index_only and per_task:
        raise ConfigError("--index-only, --benchmark: expected one of them; a benchmark is written from Parquet. Fix: --index")
    how_indexed = "only" if index_only else "beside" if index else "none"
    scan_ids = measurable(store, some_scans(store, limit))
    scenes = SceneStore(store)
    places = {scan_id: scenes.read(scan_id).place_id for scan_id in scan_ids}
    split_of = split_places(sorted(set(places.values())), held_out_share=held_out_share, seed=seed)
    split_of |= held_out_places(places, benchmark_scenes, split_of, more=more_benchmark_scenes)
    splits = {split: [scan_id for scan_id in scan_ids if split_of[places[scan_id]] == split] for split in ("train", "held_out")}
    told = ", ".join(f"{len(scans)} scans for {split}" for split, scans in splits.items())
    if dry_run:
        typer.echo(f"{told}; tasks {', '.join(names)}; into {out}")
        return
    for scan_id in scan_ids:
        if not (store / scan_id / "facts" / "finished.json").is_file():
            raise DataError(f"{store / scan_id}: expected measured facts, found none. Fix: sightline measure {store}")
    facts = {scan_id: read_json(store / scan_id / "facts" / "finished.json") for scan_id in scan_ids}
    expect_one_visibility(facts, store=store)
    if asked and asked.strict_facts and not all(marker["options"].get("strict", False) for marker in facts.values()):
        raise DataError(f"{store}: preset '{preset}' asks facts of strict visibility. Fix: sightline measure {store} --strict")
    made_from = fingerprint([facts, names, seed, options, *([how_indexed] if how_indexed != "none" else [])])
    results: dict[str, Any] = {}
    for split, scans in splits.items():
        outputs = {scan_id: out / "parts" / f"{scan_id}.parquet" for scan_id in how.of(scans)}
        arguments = {"store": str(store), "out": str(out), "tasks": names, "split": split, "seed": seed, "options": options}
        arguments["index"] = how_indexed
        if outputs:
            results |= run_stage(f"generate_{split}", generate_scan, outputs, arguments, out=out, made_from=made_from, how=how)
    if how.shard is not None:
        typer.echo(f"shard {how.part}: {len(results)} of {len(scan_ids)} scans in {out}; the data set is whole after `--merge`")
        return
    finish_dataset(out, store=store, scan_ids=scan_ids, results=results, seed=seed, options=options, index=how_indexed)
    samples = read_samples(out) if any((out / "data").glob("*.parquet")) else []
    indexed = []
    if how_indexed != "none":
        with Index.open(out) as rows:
            indexed = rows.first_of_each_scan()
            typer.echo(f"{len(rows)} questions in {out / 'index'}")
        plain = [name for name in names if not is_indexed(name)]
        if plain:
            typer.echo(f"  in Parquet alone: {', '.join(plain)}")
    check_no_leak([*samples, *indexed], scenes)
    typer.echo(f"{len(samples)} questions in {out} ({told}); train and held-out share no scan, place or image")
    if per_task:
        counts = write_benchmark(out, [sample for sample in samples if sample.split == "held_out"], per_task=per_task)
        typer.echo(f"{sum(counts.values())} of them in {out / 'benchmark'}, answers in a file of their own")
        short = ", ".join(f"{name} {count}" for name, count in counts.items() if count < per_task)
        if short:
            typer.echo(f"  fewer than {per_task}: {short}")
    for reason, count in sorted(skips_of(results).items(), key=lambda pair: -pair[1]):
        typer.echo(f"  skipped {count:6d}  {reason}")


def held_out_places(places: Mapping[str, str], how: str, split_of: Mapping[str, str], *, more: Path | None) -> dict[str, str]:
    """Places that have to move to the held-out split because a benchmark asks about them; DataError where they are refused."""
    from sightline.samples.benchmark_guard import guarded, refuse_guarded

    if how not in ("refuse", "hold-out", "allow"):
        raise ConfigError(f"--benchmark-scenes: expected refuse, hold-out or allow, found '{how}'")
    training = {scan_id: place for scan_id, place in places.items() if split_of[place] == "train"}
    if how == "refuse":
        refuse_guarded(training, fix="--benchmark-scenes hold-out keeps them out of training, allow trains on them knowingly", more=more)
    return {places[one.scan_id]: "held_out" for one in guarded(training, more=more)} if how == "hold-out" else {}


def skips_of(results: Mapping[str, Any]) -> dict[str, int]:
    """Skip counts of all scans together."""
    total: dict[str, int] = {}
    for result in results.values():
        for reason, count in result["skips"].items():
            total[reason] = total.get(reason, 0) + count
    return total
