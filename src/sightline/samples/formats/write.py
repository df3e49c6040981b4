"""From a data set to an export: what would be written, the images scan by scan, then the rows, and all of it in place at once."""

import os
import re
import shutil
import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sightline import __version__
from sightline.catalog import nearest
from sightline.config import as_mapping
from sightline.errors import ConfigError, DataError
from sightline.files import FINISHED, fingerprint, is_finished, mark_finished, read_json, sha256_of, write_json
from sightline.samples.export import EXPORTS, ExportAbout, ExportFormat, ExportOptions, ExportRow
from sightline.samples.formats.pictures import IMAGES, PLANS, Planner, ScanPlan, is_walk, plan_as_json
from sightline.samples.formats.texts import refuse_tokens_of
from sightline.samples.rebuild import check_images, is_gated
from sightline.samples.sample import Sample
from sightline.samples.shards import SPLITS, read_samples, sample_files
from sightline.scenes.store import SceneStore

MADE_FROM = ".made_from.json"  # of an export that was not finished yet
MARKED = "samples with marks, which --no-bake-marks cannot show"


@dataclass(frozen=True, kw_only=True, slots=True)
class Prepared:
    """An export before anything is written: rows by split in the data set's order, and the files they need by scan."""

    to: str
    out: Path
    about: ExportAbout
    rows: Mapping[str, Sequence[ExportRow]]
    plans: Mapping[str, ScanPlan]
    left_out: Mapping[str, int]  # reason -> samples
    made_from: str

    @property
    def is_finished(self) -> bool:
        """Whether `out` holds exactly this export already."""
        return is_finished(self.out, made_from=self.made_from)

    @property
    def num_rows(self) -> int:
        return sum(map(len, self.rows.values()))

    def file_counts(self) -> dict[str, int]:
        """Files to be made: link, copy, draw, video -> how many."""
        counts: Counter[str] = Counter()
        for plan in self.plans.values():
            counts.update(picture.how for picture in plan.pictures.values())
            counts["video"] += len(plan.videos)
        return {how: count for how, count in sorted(counts.items()) if count}


def prepare(
    dataset: Path,
    out: Path,
    *,
    to: str,
    options: ExportOptions,
    store: Path | None,
    split: str | None,
    tasks: Sequence[str] | None,
    limit: int | None,
) -> Prepared:
    """Read, check and plan; writes nothing.

    Raises UnknownNameError for a format or task that is not there, ConfigError for options that do not go together, DataError for
    samples that cannot be exported (special tokens, images that may not be passed on, another scene store).
    """
    form = EXPORTS[to]
    _check_options(to, form, options)
    samples = read_samples(dataset, split=split, tasks=tasks, limit=limit)
    _expect_tasks(dataset, tasks or (), samples)
    if not samples:
        raise DataError(f"{dataset}: expected samples{f' of split {split}' if split else ''}{_named(tasks)}, found none")
    scenes = SceneStore(store or _store_of(dataset))
    left_out: Counter[str] = Counter()
    kept: list[Sample] = []
    for sample in samples:
        refuse_tokens_of(sample)
        if sample.marks and not options.bake_marks:
            left_out[MARKED] += 1
        else:
            kept.append(sample)
    if not kept:
        raise DataError(f"{dataset}: expected a sample without marks, found {len(samples)} with them. Fix: leave out --no-bake-marks")
    gated = _refuse_gated(kept, form, options, out=out)
    _refuse_pixels(kept, options)
    if dataset.is_dir():
        check_images(dataset, scenes, scan_ids={sample.scan_id for sample in kept})
    planner = Planner(scenes, options, out=out, with_video=form.with_video)
    rows: dict[str, list[ExportRow]] = {name: [] for name in SPLITS}
    for sample in kept:
        rows[sample.split].append(planner.row(sample))
    made_from = [
        __version__,
        to,
        as_mapping(options),
        [split, tasks, limit],
        [sha256_of(path) for path in sample_files(dataset)],
        {scan_id: (scenes.marker(scan_id) or {}).get("content") for scan_id in sorted(planner.plans)},
        str(out.resolve()),  # stands in some formats' files
    ]
    return Prepared(
        to=to,
        out=out,
        about=ExportAbout(
            name=_name_of(out),
            folder=out.with_name(f".{out.name}.exporting"),
            out=out,
            options=options,
            licences=tuple(sorted({sample.licence for sample in kept})),
            sources=tuple(sorted({sample.source for sample in kept})),
            is_gated=gated,
        ),
        rows={name: of_split for name, of_split in rows.items() if of_split},
        plans=planner.plans,
        left_out=dict(left_out),
        made_from=fingerprint(made_from),
    )


def start(prepared: Prepared) -> dict[str, Path]:
    """Make the folder that the export grows in, or go on with that of a stopped one; scan id -> its plan.

    Raises ConfigError where `out` holds something that no export made.
    """
    _expect_ours(prepared.out)
    folder = prepared.about.folder
    marker = folder / MADE_FROM
    if folder.exists() and not (marker.is_file() and read_json(marker) == prepared.made_from):
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    write_json(marker, prepared.made_from)
    paths = {}
    for scan_id, plan in prepared.plans.items():
        if plan.pictures or plan.videos:
            paths[scan_id] = folder / PLANS / f"{scan_id}.json"
            write_json(paths[scan_id], plan_as_json(plan))
    return paths


def finish(prepared: Prepared) -> None:
    """Write the rows beside the images, and put the whole in the place of `out`."""
    form, about = EXPORTS[prepared.to], prepared.about
    form().write(prepared.rows, about)
    if _are_embedded(form, about.options):
        shutil.rmtree(about.folder / IMAGES, ignore_errors=True)
    shutil.rmtree(about.folder / PLANS, ignore_errors=True)
    for hidden in about.folder.glob(".*"):  # records of the stage and the mark of an unfinished export
        shutil.rmtree(hidden) if hidden.is_dir() else hidden.unlink()
    mark_finished(
        about.folder,
        made_from=prepared.made_from,
        export=prepared.to,
        sightline_version=__version__,
        rows={split: len(of_split) for split, of_split in prepared.rows.items()},
        left_out=prepared.left_out,
        files=prepared.file_counts(),
        licences=list(about.licences),
        may_be_passed_on=not about.is_gated,
    )
    _replace(prepared.out, about.folder)


def _check_options(to: str, form: type[ExportFormat], options: ExportOptions) -> None:
    if (options.width is None) != (options.height is None):
        raise ConfigError(f"--width, --height: expected both or neither, found {options.width} and {options.height}")
    if options.width is not None and options.images == "path":
        raise ConfigError("--images path: expected no --width and --height, whose images would be copies")
    if options.data_urls and not form.takes_data_urls:
        takers = [name for name in EXPORTS if EXPORTS[name].takes_data_urls]
        raise ConfigError(f"--data-urls: expected --to {' or '.join(takers)}, found --to {to}")
    if to == "lmms-eval" and options.images == "path":
        raise ConfigError("--images path: expected link or copy for lmms-eval, which reads images out of the rows")


def _are_embedded(form: type[ExportFormat], options: ExportOptions) -> bool:
    return options.data_urls or (form.embeds_images and options.images != "path")


def _refuse_gated(samples: Sequence[Sample], form: type[ExportFormat], options: ExportOptions, *, out: Path) -> bool:
    """Whether copies of images that may not be passed on will lie in the export. Raises DataError where that was not allowed."""
    everywhere = options.images != "path" or options.data_urls
    copied = [
        sample for sample in samples if is_gated(sample.licence) and (everywhere or sample.marks or (form.with_video and is_walk(sample)))
    ]
    if copied and not options.allow_gated_images:
        licences = "; ".join(sorted({sample.licence for sample in copied}))
        raise DataError(
            f"{len(copied)} of {len(samples)} samples show images that may not be passed on ({licences}), and {out} would hold copies. "
            "Fix: --images path --no-bake-marks exports annotations that name the images, --allow-gated-images copies for your own use"
        )
    return bool(copied)


def _refuse_pixels(samples: Sequence[Sample], options: ExportOptions) -> None:
    """Questions and answers in pixels are true at the stored size alone."""
    if options.width is None:
        return
    in_pixels = [sample.sample_id for sample in samples if re.search(r"\bpixels?\b", sample.prompt)]
    if in_pixels:
        raise DataError(
            f"--width, --height: expected no sample that speaks of pixels, found {len(in_pixels)}, such as {in_pixels[0]}. "
            "Fix: leave the size out, or generate with point_scale=thousandths"
        )


def _store_of(dataset: Path) -> Path:
    if not (dataset / "dataset.json").is_file():
        raise ConfigError(f"--store: expected the scene store, because {dataset} names none in a dataset.json beside it")
    return dataset / read_json(dataset / "dataset.json")["scene_store"]


def _named(tasks: Sequence[str] | None) -> str:
    return f" of {', '.join(tasks)}" if tasks else ""


def _name_of(out: Path) -> str:
    name = re.sub(r"[^a-z0-9]+", "_", out.resolve().name.lower()).strip("_")
    return name if name.startswith("sightline") else f"sightline_{name}".rstrip("_")


def _expect_ours(out: Path) -> None:
    """Raise ConfigError for a place that holds files of someone else."""
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return
    if not (out.is_dir() and (out / FINISHED).is_file() and "export" in read_json(out / FINISHED)):
        raise ConfigError(f"{out}: expected a new folder or an older export, found something else. Fix: name another folder")


def _replace(out: Path, folder: Path) -> None:
    """Rename the finished folder to its name; an older export there goes first aside and then away."""
    if not out.exists():
        os.replace(folder, out)
        return
    old = out.with_name(f".{out.name}.{uuid.uuid4().hex[:8]}.old.tmp")
    os.replace(out, old)
    os.replace(folder, out)
    shutil.rmtree(old)


def _expect_tasks(dataset: Path, tasks: Sequence[str], samples: Sequence[Sample]) -> None:
    """Raise DataError, naming the nearest, for a task that the data set has in no split."""
    missing = sorted(set(tasks) - {sample.task for sample in samples})
    known = sorted({sample.task for sample in read_samples(dataset)}) if missing else []
    for name in missing:
        if name not in known:
            raise DataError(f"{dataset}: no samples of task '{name}'.{nearest(name, known)} Known: {', '.join(known)}")
