"""Samples on disk: Parquet files with one stated schema, read back strictly."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from sightline.answers.answer import ANSWER_FORMATS
from sightline.errors import DataError, SightlineError
from sightline.files import fingerprint, parse_json, replacing
from sightline.questions.question import MARK_COLOURS, Mark
from sightline.samples.sample import SCHEMA_VERSION, Sample

SPLITS = ("train", "held_out")
DATA_FOLDER = "data"
MARK = pa.struct(
    [
        *(("frame_id", pa.string()), ("u_px", pa.float64()), ("v_px", pa.float64()), ("colour", pa.string()), ("label", pa.string())),
        *(("right_px", pa.float64()), ("bottom_px", pa.float64())),  # of a box; null for a dot
    ]
)
SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("task", pa.string()),
        ("split", pa.string()),
        ("scan_id", pa.string()),
        ("place_id", pa.string()),
        ("frame_ids", pa.list_(pa.string())),
        ("images", pa.list_(pa.string())),  # relative to the scene store
        ("marks", pa.list_(MARK)),
        ("question", pa.string()),
        ("options", pa.list_(pa.string())),  # of a choice, by letter; null otherwise
        ("answer", pa.string()),  # what a perfect model replies
        ("answer_value", pa.float64()),  # of a number, before rounding; null otherwise
        ("answer_values", pa.list_(pa.float64())),  # of a point, vector or box, before rounding; null otherwise
        ("answer_kind", pa.string()),
        ("answer_options", pa.string()),  # JSON, of the answer format
        ("unit", pa.string()),  # of a number; "" otherwise
        ("evidence", pa.string()),  # JSON
        ("template_id", pa.string()),
        ("seed", pa.int64()),
        ("generator_version", pa.string()),
        ("source", pa.string()),
        ("licence", pa.string()),
        ("schema_version", pa.int32()),
    ]
)
NULLABLE = frozenset(("options", "answer_value", "answer_values"))


def row_of(sample: Sample) -> dict[str, Any]:
    """A sample as one row of the schema."""
    options = dict(sample.answer_options)
    is_number = sample.answer_kind == "number"
    return {
        "id": sample.sample_id,
        "task": sample.task,
        "split": sample.split,
        "scan_id": sample.scan_id,
        "place_id": sample.place_id,
        "frame_ids": list(sample.frame_ids),
        "images": list(sample.image_paths),
        "marks": [
            {
                "frame_id": mark.frame_id,
                "u_px": mark.u_px,
                "v_px": mark.v_px,
                "colour": mark.colour,
                "label": mark.label,
                "right_px": mark.right_px,
                "bottom_px": mark.bottom_px,
            }
            for mark in sample.marks
        ],
        "question": sample.question,
        "options": list(options["options"]) if "options" in options else None,
        "answer": sample.answer_text,
        "answer_value": float(sample.answer_value) if is_number else None,
        "answer_values": [float(one) for one in sample.answer_value] if isinstance(sample.answer_value, tuple) else None,
        "answer_kind": sample.answer_kind,
        "answer_options": _json(options),
        "unit": options.get("unit", ""),
        "evidence": _json(dict(sample.evidence)),
        "template_id": sample.template_id,
        "seed": sample.seed,
        "generator_version": sample.generator_version,
        "source": sample.source,
        "licence": sample.licence,
        "schema_version": SCHEMA_VERSION,
    }


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def write_samples(path: Path, samples: Sequence[Sample]) -> None:
    """Write samples into one Parquet file, atomically; equal samples give equal bytes."""
    with replacing(path) as beside:
        pq.write_table(pa.Table.from_pylist([row_of(sample) for sample in samples], schema=SCHEMA), beside, compression="zstd")


def sample_files(folder: Path) -> list[Path]:
    """Parquet files of a data set, or the one file given. Raises DataError where there are none."""
    if folder.is_file():
        return [folder]
    files = sorted((folder / DATA_FOLDER).glob("*.parquet"))
    if not files:
        raise DataError(f"{folder}: expected a data set with {DATA_FOLDER}/*.parquet, found none. Fix: sightline generate STORE {folder}")
    return files


def read_samples(folder: Path, *, split: str | None = None, tasks: Sequence[str] | None = None, limit: int | None = None) -> list[Sample]:
    """Samples of a data set folder (or of one Parquet file), in the order of the files.

    `limit` keeps that many, drawn by a fixed hash of their ids: spread over scans and tasks, the same in every run.
    Raises DataError naming file and row: another schema, a bad value, an id that stands twice; and for an unknown split.
    """
    if split is not None and split not in SPLITS:
        raise DataError(f"split: expected one of {', '.join(SPLITS)}, found '{split}'")
    samples: list[Sample] = []
    seen: set[str] = set()
    for path in sample_files(Path(folder)):
        for where, row in _rows(path):
            if row["id"] in seen:
                raise DataError(f"{where}: id '{row['id']}' stands twice")
            seen.add(row["id"])
            if (split is None or row["split"] == split) and (tasks is None or row["task"] in tasks):
                samples.append(sample_of(row, where=where))
    if limit is not None and limit < len(samples):
        kept = set(sorted((sample.sample_id for sample in samples), key=fingerprint)[:limit])
        samples = [sample for sample in samples if sample.sample_id in kept]
    return samples


def _rows(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    try:
        stored = pq.ParquetFile(path)
        _check_schema(path, stored.schema_arrow)
        number = 0
        for batch in stored.iter_batches(batch_size=4096):
            for row in batch.to_pylist():
                number += 1
                yield f"{path}: row {number}", row
    except FileNotFoundError as error:
        raise DataError(f"{path}: expected a Parquet file of samples, found none") from error
    except (pa.ArrowInvalid, OSError) as error:
        raise DataError(f"{path}: expected a whole Parquet file of samples, found a damaged one ({error})") from error


def _check_schema(path: Path, found: pa.Schema) -> None:
    for field in SCHEMA:
        if field.name not in found.names:
            raise DataError(f"{path}: expected column '{field.name}' of samples, found columns {', '.join(found.names)}")
        kind = found.field(field.name).type
        if kind != field.type:
            raise DataError(f"{path}: column '{field.name}': expected {field.type}, found {kind}")


def sample_of(row: Mapping[str, Any], *, where: str) -> Sample:
    """A sample from one row of the schema. Raises DataError naming `where` and the column."""
    if row["schema_version"] != SCHEMA_VERSION:
        raise DataError(f"{where}: expected schema_version {SCHEMA_VERSION}, found {row['schema_version']}; generate the data set again")
    for name in SCHEMA.names:
        if name not in NULLABLE and row[name] is None:
            raise DataError(f"{where}: column '{name}': expected a value, found null")
    for name in ("id", "task", "scan_id", "place_id", "question", "answer", "template_id"):
        if not row[name]:
            raise DataError(f"{where}: column '{name}': expected text, found an empty one")
    if row["split"] not in SPLITS:
        raise DataError(f"{where}: column 'split': expected {' or '.join(SPLITS)}, found '{row['split']}'")
    if not row["frame_ids"] or len(row["frame_ids"]) != len(row["images"]):
        raise DataError(
            f"{where}: expected as many images as frame_ids, at least one, found {len(row['images'])} and {len(row['frame_ids'])}"
        )
    for image in row["images"]:
        if image.startswith("/") or ".." in image.split("/") or not image.startswith(row["scan_id"] + "/"):
            raise DataError(f"{where}: column 'images': expected paths below '{row['scan_id']}/', found '{image}'")
    for mark in row["marks"]:
        if mark["frame_id"] not in row["frame_ids"] or mark["colour"] not in MARK_COLOURS:
            raise DataError(f"{where}: column 'marks': expected a dot in {', '.join(MARK_COLOURS)} on a shown frame, found {mark}")
    if row["answer_kind"] not in ANSWER_FORMATS:
        raise DataError(f"{where}: column 'answer_kind': expected one of {', '.join(ANSWER_FORMATS)}, found '{row['answer_kind']}'")
    sample = Sample(
        sample_id=row["id"],
        task=row["task"],
        split=row["split"],
        scan_id=row["scan_id"],
        place_id=row["place_id"],
        frame_ids=tuple(row["frame_ids"]),
        image_paths=tuple(row["images"]),
        marks=tuple(Mark(**mark) for mark in row["marks"]),
        question=row["question"],
        answer_kind=row["answer_kind"],
        answer_options=_mapping(row["answer_options"], f"{where}: column 'answer_options'"),
        answer_text=row["answer"],
        answer_value=_value(row),
        evidence=_mapping(row["evidence"], f"{where}: column 'evidence'"),
        template_id=row["template_id"],
        seed=row["seed"],
        generator_version=row["generator_version"],
        source=row["source"],
        licence=row["licence"],
    )
    _check_answer(sample, where)
    return sample


def _value(row: Mapping[str, Any]) -> float | str | tuple[float, ...] | None:
    """The true value: a number, several of them, or the answer's own words."""
    if row["answer_kind"] == "number":
        return row["answer_value"]
    return tuple(row["answer_values"]) if row["answer_values"] is not None else row["answer"]


def _mapping(text: str, where: str) -> dict[str, Any]:
    value = parse_json(text, where)
    if not isinstance(value, dict):
        raise DataError(f"{where}: expected a JSON object, found {text[:60]!r}")
    return value


def _check_answer(sample: Sample, where: str) -> None:
    if sample.answer_value is None:
        raise DataError(f"{where}: column 'answer_value': expected a number, found null")
    try:
        rendered = sample.answer_format.render(sample.answer_value)
    except (SightlineError, TypeError) as error:
        raise DataError(f"{where}: the answer does not fit its format: {error}") from error
    if rendered != sample.answer_text:
        raise DataError(f"{where}: column 'answer': expected '{rendered}' as answer_value renders, found '{sample.answer_text}'")
