"""From measured scans to a data set: questions asked and checked per scan, then one folder of Parquet files with its card."""

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from sightline import __version__
from sightline.config import as_mapping, build
from sightline.errors import DataError
from sightline.facts.store import read_facts
from sightline.files import fingerprint, replacing_folder, sha256_of, write_json, write_text
from sightline.questions.check import check_all
from sightline.questions.engine import ask_all
from sightline.questions.question import Question, TaskOptions
from sightline.questions.rows import ScanHead
from sightline.samples.audit import audit_of, audit_rows
from sightline.samples.card import card_of
from sightline.samples.index import is_indexed, write_index
from sightline.samples.index_parts import INDEX_FOLDER, Part, write_part
from sightline.samples.making import Origin, sample_from
from sightline.samples.quality import quality_of, special_token_in
from sightline.samples.rebuild import sources_of
from sightline.samples.sample import SCHEMA_VERSION, Sample
from sightline.samples.shards import DATA_FOLDER, SPLITS, read_samples, write_samples
from sightline.scenes.scene import Scene
from sightline.scenes.store import SceneStore

PARTS_FOLDER = "parts"
FACTS_FOLDER = "facts"
ROWS_PER_FILE = 50_000
GENERATOR = f"sightline {__version__}"
INDEX_MODES = ("none", "beside", "only")  # no index; one beside the Parquet rows; indexed tasks in the index alone


def generate_scan(
    scan_id: str, *, store: str, out: str, tasks: list[str], split: str, seed: int, options: dict[str, Any], index: str = "none"
) -> dict[str, Any]:
    """Ask the named tasks of one measured scan and write `OUT/parts/<scan_id>.parquet`, and `.index` where asked; a Job function.

    Every answer is recomputed by a second method; a question it does not confirm is left out and counted as `check_disagrees`.
    Returns `place_id`, `split`, `questions` (task -> count) and `skips` ("task: reason" -> count).
    """
    chosen = build(TaskOptions, options, where="generate options")
    scene = SceneStore(Path(store)).read(scan_id)
    facts = read_facts(Path(store) / scan_id / FACTS_FOLDER)
    known = {frame.frame_id for frame in scene.frames}
    if facts.scan_id != scan_id or not set(facts.frames.frame_ids) <= known:
        raise DataError(f"{Path(store) / scan_id}: expected facts of these frames, found facts of others. Fix: sightline measure {store}")
    asked = ask_all(facts, tasks, seed=seed, options=chosen)
    skips = Counter({f"{task}: {reason}": count for task, reasons in asked.skip_counts.items() for reason, count in reasons.items()})
    unconfirmed = {(wrong.task, wrong.text, wrong.answer) for wrong in check_all(asked.questions, facts)}
    kept: list[Question] = []
    places: dict[str, list[int]] = {task: [] for task in asked.selected}  # of kept questions among the rows of their task
    passed: Counter[str] = Counter()
    for question in asked.questions:
        passed[question.task] += 1
        if (question.task, question.text, question.answer.text) in unconfirmed:
            skips[f"{question.task}: check_disagrees"] += 1
        elif special_token_in(question.text):
            skips[f"{question.task}: special_token_in_text"] += 1
        else:
            kept.append(question)
            if question.task in places:
                places[question.task].append(passed[question.task] - 1)
    parts = Path(out) / PARTS_FOLDER
    if index != "none":
        rows = {task: selected.rows[places[task]] for task, selected in asked.selected.items()}
        origin = Origin.of(scene, split=split, seed=seed, generator_version=GENERATOR)
        write_part(parts / f"{scan_id}.index", rows, ScanHead.of(facts), origin)
    written = [one for one in kept if index != "only" or one.task not in places]
    write_samples(parts / f"{scan_id}.parquet", samples_of(written, scene, split=split, seed=seed))
    questions = Counter(question.task for question in kept)
    return {"place_id": scene.place_id, "split": split, "questions": dict(questions), "skips": dict(sorted(skips.items()))}


def samples_of(questions: Sequence[Question], scene: Scene, *, split: str, seed: int) -> list[Sample]:
    """Questions of one scan as rows, numbered within their task."""
    origin = Origin.of(scene, split=split, seed=seed, generator_version=GENERATOR)
    numbers: Counter[str] = Counter()
    samples = []
    for question in questions:
        samples.append(sample_from(question, origin, number=numbers[question.task]))
        numbers[question.task] += 1
    return samples


def finish_dataset(
    out: Path,
    *,
    store: Path,
    scan_ids: Sequence[str],
    results: Mapping[str, Mapping[str, Any]],
    seed: int,
    options: Mapping[str, Any],
    index: str = "none",
) -> None:
    """Join the parts of the named scans into `OUT/data/<split>-*.parquet`, with `README.md` (the card) and `dataset.json`.

    With an index (see INDEX_MODES), `OUT/index/` is written too, its rows in the order of the Parquet rows.

    `results` are the values that `generate_scan` returned, by scan. The same parts give the same bytes. Raises DataError for a missing
    or damaged part, an id that stands twice, or a data set without a single question.
    """
    samples: list[Sample] = []
    for scan_id in sorted(scan_ids):
        samples += _part(out / PARTS_FOLDER / f"{scan_id}.parquet", results[scan_id], index)
    if not any(result["questions"] for result in results.values()):
        reasons = Counter(reason for result in results.values() for reason in result["skips"]).most_common(5)
        raise DataError(f"{out}: expected questions, found none in {len(scan_ids)} scans; most frequent reasons: {reasons}")
    with replacing_folder(out / DATA_FOLDER) as beside:
        for split in SPLITS:
            rows = [sample for sample in samples if sample.split == split]
            files = -(-len(rows) // ROWS_PER_FILE)
            for number in range(files):
                part = rows[number * ROWS_PER_FILE : (number + 1) * ROWS_PER_FILE]
                write_samples(beside / f"{split}-{number:05d}-of-{files:05d}.parquet", part)
    chosen = as_mapping(build(TaskOptions, options, where="generate options"))
    indexed: Mapping[str, Mapping[str, int]] = {}
    if index != "none":
        # as the Parquet files are read: by name
        ordered = [scan_id for split in sorted(SPLITS) for scan_id in sorted(scan_ids) if results[scan_id]["split"] == split]
        joined = [Part(path=out / PARTS_FOLDER / f"{scan_id}.index", split=results[scan_id]["split"]) for scan_id in ordered]
        indexed = write_index(out / INDEX_FOLDER, joined, seed=seed, options=chosen, generator_version=GENERATOR)
    skips: Counter[str] = Counter()
    for scan_id in sorted(results):
        skips.update(results[scan_id]["skips"])
    quality, audits = quality_of(samples), audit_of(samples)
    files = {path.name: sha256_of(path) for path in sorted((out / DATA_FOLDER).glob("*.parquet"))}
    sources = sources_of(SceneStore(store), sorted(scan_id for scan_id in scan_ids if results[scan_id]["questions"]))
    write_json(
        out / "dataset.json",
        {
            "schema_version": SCHEMA_VERSION,
            "generator_version": GENERATOR,
            "fingerprint": fingerprint(files),
            "files": files,
            "scene_store": _relative(store, out),
            "sources": sources,
            "seed": seed,
            "options": chosen,
            "scans": {scan_id: {key: results[scan_id][key] for key in ("split", "place_id", "questions")} for scan_id in sorted(results)},
            "index": {task: dict(counts) for task, counts in indexed.items()},
            "counts": {one.task: dict(one.counts) for one in quality},
            "warnings": {one.task: list(one.warnings) for one in quality if one.warnings},
            "skips": dict(sorted(skips.items())),
            "audit": audit_rows(audits),
        },
    )
    card = card_of(samples, quality, sources, audits=audits, skips=skips, seed=seed)
    write_text(out / "README.md", card + _index_section(indexed) if indexed else card)


def _index_section(counts: Mapping[str, Mapping[str, int]]) -> str:
    """What `OUT/index/` holds, for the card."""
    lines = [f"| {task} | {', '.join(f'{split} {count}' for split, count in one.items())} |" for task, one in counts.items()]
    told = "`index/` holds questions as rows of 24 bytes, worded when they are read: `sightline.samples.index.Index.open(folder)`."
    return "\n".join(["## Index", "", told, "", "| task | questions |", "|---|---|", *lines, ""])


def _part(path: Path, result: Mapping[str, Any], index: str) -> list[Sample]:
    """Rows of one scan under the split it has now, which may be another than when they were written."""
    samples = read_samples(path)
    counted = dict(Counter(sample.task for sample in samples))
    expected = {task: count for task, count in result["questions"].items() if index != "only" or not is_indexed(task)}
    if counted != expected:
        raise DataError(f"{path}: expected {expected} questions, found {counted}. Fix: delete {path.parent} and generate again")
    return [sample if sample.split == result["split"] else replace(sample, split=result["split"]) for sample in samples]


def _relative(store: Path, out: Path) -> str:
    """The store's path from the data set's folder, so that both may move together."""
    try:
        return Path(os.path.relpath(store.resolve(), out.resolve())).as_posix()
    except ValueError:  # another drive
        return store.resolve().as_posix()
