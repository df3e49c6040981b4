"""The verb that asks questions of measured scenes: what is wanted, which scans may be asked, the work, and what came of it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sightline.config import as_mapping, build, with_overrides
from sightline.errors import ConfigError, DataError, SceneError
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
    measurable,
    run_stage,
    some_scans,
    spread,
    writable_folder,
)

if TYPE_CHECKING:
    from sightline.samples.sample import Sample
    from sightline.scenes.scene import Scene


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """What the options of the command line ask for, a preset's where they are silent."""

    tasks: tuple[str, ...]
    options: Mapping[str, Any]  # of TaskOptions, all of them
    benchmark_per_task: int
    benchmark_is_asked: bool  # by the command line, and not by a preset alone
    index: str  # of INDEX_MODES
    strict_facts_of: str | None  # the preset that asks them
    video_is_asked: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Divided:
    """Scans and the split that each belongs to."""

    scan_ids: tuple[str, ...]
    splits: Mapping[str, tuple[str, ...]]  # train and held_out

    @property
    def told(self) -> str:
        return ", ".join(f"{len(scans)} scans for {split}" for split, scans in self.splits.items())


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
    how = spread(workers, executor, address=address, shards=shards, shard=shard, merge=merge)
    how_indexed = "only" if index_only else "beside" if index else "none"
    wanted = what_is_wanted(overrides or [], tasks=tasks, preset=preset, benchmark=benchmark, index=how_indexed)
    if benchmark and how.shard is not None:
        raise ConfigError("--shard, --benchmark: expected one of them; the benchmark is written by `--merge --benchmark`, from all shards")
    scenes = in_metres(store, measurable(store, some_scans(store, limit)))
    divided = divide(
        {scan_id: scene.place_id for scan_id, scene in scenes.items()},
        held_out_share=held_out_share,
        seed=seed,
        benchmark_scenes=benchmark_scenes,
        more=more_benchmark_scenes,
    )
    refuse_what_scans_cannot_give(wanted, divided, store, frame_counts=[len(scene.frames) for scene in scenes.values()])
    if dry_run:
        typer.echo(f"{divided.told}; tasks {', '.join(wanted.tasks)}; into {out}")
        return
    facts = facts_markers(store, divided.scan_ids, wanted)
    writable_folder(out)
    results = ask(wanted, divided, facts, store=store, out=out, seed=seed, how=how)
    if how.shard is not None:
        typer.echo(f"shard {how.part}: {len(results)} of {len(divided.scan_ids)} scans in {out}; the data set is whole after `--merge`")
        return
    finish(wanted, divided, results, store=store, out=out, seed=seed)


def what_is_wanted(overrides: Sequence[str], *, tasks: str | None, preset: str | None, benchmark: int | None, index: str) -> Wanted:
    """Options, checked for themselves. Raises ConfigError, and UnknownNameError naming the nearest."""
    from sightline.questions.margins import refuse_unknown
    from sightline.questions.question import TaskOptions
    from sightline.samples.preset import read_preset

    asked = read_preset(preset) if preset else None
    names = list(asked.tasks) if asked and not tasks else chosen_tasks(tasks)
    options = build(TaskOptions, with_overrides(asked.options if asked else {}, overrides), where="generate")
    refuse_unknown(options)
    if benchmark is not None and benchmark < 0:
        raise ConfigError(f"--benchmark: expected at least 0, found {benchmark}")
    per_task = benchmark if benchmark is not None else asked.benchmark_per_task if asked else 0
    if index == "only" and per_task:
        raise ConfigError("--index-only, --benchmark: expected one of them; a benchmark is written from Parquet. Fix: --index")
    return Wanted(
        tasks=tuple(names),
        options=as_mapping(options),
        benchmark_per_task=per_task,
        benchmark_is_asked=bool(benchmark),
        index=index,
        strict_facts_of=preset if asked and asked.strict_facts else None,
        video_is_asked=any(one.partition("=")[0] == "video_frames" for one in overrides),
    )


def in_metres(store: Path, scan_ids: Sequence[str]) -> "dict[str, Scene]":
    """The scenes of those scans whose unit is the metre, which answers are in; says which are left out. Raises SceneError for none."""
    from sightline.scenes.store import SceneStore

    scenes = SceneStore(store)
    kept = {}
    for scan_id in scan_ids:
        scene = scenes.read(scan_id)
        if scene.is_metric:
            kept[scan_id] = scene
        else:
            typer.echo(f"left out {scan_id}: its metres are not known")
    if not kept:
        raise SceneError(
            f"{store}: expected a scan whose metres are known, found none among {len(scan_ids)}. "
            "Fix: sightline import SOURCE STORE world_unit_m=METRES"
        )
    return kept


def divide(places: Mapping[str, str], *, held_out_share: float, seed: int, benchmark_scenes: str, more: Path | None) -> Divided:
    """Train and held-out scans of `places` (scan id -> place id). Raises DataError for a share outside 0 to 1, and benchmarks' scans."""
    from sightline.mixtures.splits import split_places

    split_of = split_places(sorted(set(places.values())), held_out_share=held_out_share, seed=seed)
    split_of |= held_out_places(places, benchmark_scenes, split_of, more=more)
    splits = {split: tuple(scan_id for scan_id, place in places.items() if split_of[place] == split) for split in ("train", "held_out")}
    return Divided(scan_ids=tuple(places), splits=splits)


def held_out_places(places: Mapping[str, str], how: str, split_of: Mapping[str, str], *, more: Path | None) -> dict[str, str]:
    """Places that have to move to the held-out split because a benchmark asks about them; DataError where they are refused."""
    from sightline.samples.benchmark_guard import guarded, refuse_guarded

    if how not in ("refuse", "hold-out", "allow"):
        raise ConfigError(f"--benchmark-scenes: expected refuse, hold-out or allow, found '{how}'")
    training = {scan_id: place for scan_id, place in places.items() if split_of[place] == "train"}
    if how == "refuse":
        refuse_guarded(training, fix="--benchmark-scenes hold-out keeps them out of training, allow trains on them knowingly", more=more)
    return {places[one.scan_id]: "held_out" for one in guarded(training, more=more)} if how == "hold-out" else {}


def refuse_what_scans_cannot_give(wanted: Wanted, divided: Divided, store: Path, *, frame_counts: Sequence[int]) -> None:
    """Raise ConfigError where the command line asks for what no scan of the store has; say where some have less."""
    if wanted.benchmark_is_asked and not divided.splits["held_out"]:
        raise ConfigError(
            f"--benchmark {wanted.benchmark_per_task}: expected held-out scans, found none among {len(divided.scan_ids)}: a place is in "
            "one split, whole. Fix: import a second place, or --held-out-share 1 for a benchmark alone"
        )
    video_frames = wanted.options["video_frames"]
    if video_frames is None:
        return
    if wanted.video_is_asked and max(frame_counts) < video_frames:
        raise ConfigError(
            f"video_frames: expected at most {max(frame_counts)}, the frames of the longest scan of {store}, found {video_frames}"
        )
    shorter = sum(count < video_frames for count in frame_counts)
    if shorter:
        typer.echo(f"{shorter} of {len(frame_counts)} scans have fewer than {video_frames} frames: their videos show all of them")


def facts_markers(store: Path, scan_ids: Sequence[str], wanted: Wanted) -> dict[str, Any]:
    """What the measured facts of each scan say of themselves. Raises DataError for facts that are missing or of another kind."""
    from sightline.facts.measure import expect_one_visibility

    for scan_id in scan_ids:
        if not (store / scan_id / "facts" / "finished.json").is_file():
            raise DataError(f"{store / scan_id}: expected measured facts, found none. Fix: sightline measure {store}")
    facts = {scan_id: read_json(store / scan_id / "facts" / "finished.json") for scan_id in scan_ids}
    expect_one_visibility(facts, store=store)
    if wanted.strict_facts_of and not all(marker["options"].get("strict", False) for marker in facts.values()):
        raise DataError(
            f"{store}: preset '{wanted.strict_facts_of}' asks facts of strict visibility. Fix: sightline measure {store} --strict"
        )
    return facts


def ask(wanted: Wanted, divided: Divided, facts: Mapping[str, Any], *, store: Path, out: Path, seed: int, how: Spread) -> dict[str, Any]:
    """Ask the scans of each split that this run looks at; what each came to, by scan."""
    from sightline.samples.generate import generate_scan

    tasks, options = list(wanted.tasks), dict(wanted.options)
    made_from = fingerprint([facts, tasks, seed, options, *([wanted.index] if wanted.index != "none" else [])])
    results: dict[str, Any] = {}
    for split, scans in divided.splits.items():
        outputs = {scan_id: out / "parts" / f"{scan_id}.parquet" for scan_id in how.of(scans)}
        arguments = {"store": str(store), "out": str(out), "tasks": tasks, "split": split, "seed": seed, "options": options}
        arguments["index"] = wanted.index
        if outputs:
            results |= run_stage(f"generate_{split}", generate_scan, outputs, arguments, out=out, made_from=made_from, how=how)
    return results


def finish(wanted: Wanted, divided: Divided, results: Mapping[str, Any], *, store: Path, out: Path, seed: int) -> None:
    """Join the parts into the data set, prove that its splits share nothing, write the benchmark, and say what came of it."""
    from sightline.mixtures.splits import check_no_leak
    from sightline.samples.generate import finish_dataset
    from sightline.samples.shards import read_samples
    from sightline.scenes.store import SceneStore

    options = wanted.options
    finish_dataset(out, store=store, scan_ids=divided.scan_ids, results=results, seed=seed, options=options, index=wanted.index)
    samples = read_samples(out) if any((out / "data").glob("*.parquet")) else []
    indexed = indexed_samples(wanted, out) if wanted.index != "none" else []
    check_no_leak([*samples, *indexed], SceneStore(store))
    typer.echo(f"{len(samples)} questions in {out} ({divided.told}); train and held-out share no scan, place or image")
    if wanted.benchmark_per_task:
        tell_benchmark([sample for sample in samples if sample.split == "held_out"], out, per_task=wanted.benchmark_per_task)
    skips: Counter[str] = Counter()
    for result in results.values():
        skips.update(result["skips"])
    for reason, count in skips.most_common():
        typer.echo(f"  skipped {count:6d}  {reason}")


def indexed_samples(wanted: Wanted, out: Path) -> "list[Sample]":
    """The first sample of each scan in the index; says how many it holds, and which tasks it cannot."""
    from sightline.samples.index import Index, is_indexed

    with Index.open(out) as rows:
        indexed = rows.first_of_each_scan()
        typer.echo(f"{len(rows)} questions in {out / 'index'}")
    plain = [name for name in wanted.tasks if not is_indexed(name)]
    if plain:
        typer.echo(f"  in Parquet alone: {', '.join(plain)}")
    return indexed


def tell_benchmark(held_out: "Sequence[Sample]", out: Path, *, per_task: int) -> None:
    """Write `OUT/benchmark` from the held-out samples and say what is in it."""
    from sightline.samples.benchmark_files import write_benchmark

    if not held_out:
        typer.echo("  no benchmark: nothing is held out")
        return
    counts = write_benchmark(out, held_out, per_task=per_task)
    typer.echo(f"{sum(counts.values())} of them in {out / 'benchmark'}, answers in a file of their own")
    short = ", ".join(f"{name} {count}" for name, count in counts.items() if count < per_task)
    if short:
        typer.echo(f"  fewer than {per_task}: {short}")
