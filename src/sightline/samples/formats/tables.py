"""Rows as Parquet files that the `datasets` library reads with its own image type, without that library being here."""

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from sightline.samples.export import ExportRow
from sightline.samples.formats.texts import expect_placeholders, line_of
from sightline.samples.shards import row_of

COPIED = ("id", "task", "scan_id", "place_id", "frame_ids", "question", "answer", "answer_value", "answer_values", "options", "unit")
KINDS = {
    "answer_value": pa.float64(),
    "answer_values": pa.list_(pa.float64()),
    "options": pa.list_(pa.string()),
    "frame_ids": pa.list_(pa.string()),
}
WORDS = ("prompt", "answer_kind", "answer_options", "template_id", "source", "licence")
ROWS_PER_GROUP = 100  # what viewers of such files read at once
BYTES_PER_GROUP = 64 * 2**20
BYTES_PER_FILE = 400 * 2**20


def schema_of(*, embedded: bool) -> pa.Schema:
    """The schema; its metadata tells `datasets` that embedded images are images. `Sequence` is read by old and new versions."""
    image = pa.struct([("bytes", pa.binary()), ("path", pa.string())]) if embedded else pa.string()
    fields = [(name, KINDS.get(name, pa.string())) for name in COPIED]
    schema = pa.schema([*fields, *((name, pa.string()) for name in WORDS), ("images", pa.list_(image))])
    features = {field.name: _feature(field) for field in schema}
    if embedded:
        features["images"] = {"feature": {"_type": "Image"}, "_type": "Sequence"}
    return schema.with_metadata({"huggingface": json.dumps({"info": {"features": features}})})


def _feature(field: pa.Field) -> dict[str, Any]:
    if pa.types.is_list(field.type):
        return {"feature": {"dtype": _dtype(field.type.value_type), "_type": "Value"}, "_type": "Sequence"}
    return {"dtype": _dtype(field.type), "_type": "Value"}


def _dtype(kind: pa.DataType) -> str:
    return "float64" if pa.types.is_float64(kind) else "string"


def table_row(row: ExportRow, *, folder: Path, embedded: bool) -> dict[str, Any]:
    """One row of the schema; images as bytes with their name, or as paths."""
    sample = row.sample
    expect_placeholders(sample.prompt, images=0, videos=0, where=sample.sample_id)  # images are a column here, never words
    stored = row_of(sample)
    images: list[Any] = [one.path for one in row.images]
    if embedded:
        images = [{"bytes": (folder / path).read_bytes(), "path": PurePosixPath(path).name} for path in images]
    words = {
        "prompt": sample.prompt,
        "answer_kind": sample.answer_kind,
        "answer_options": line_of(dict(sample.answer_options)),
        "template_id": sample.template_id,
        "source": sample.source,
        "licence": sample.licence,
    }
    return {**{name: stored[name] for name in COPIED}, **words, "images": images}


def write_tables(folder: Path, stem: str, rows: Sequence[ExportRow], *, images_from: Path, embedded: bool) -> list[str]:
    """Write `<stem>-00000-of-N.parquet`, a new file whenever one is full; returns their names. Holds one row group in memory."""
    folder.mkdir(parents=True, exist_ok=True)
    schema = schema_of(embedded=embedded)
    parts: list[Path] = []
    writer: pq.ParquetWriter | None = None
    in_file = 0
    for group, num_bytes in _groups(table_row(row, folder=images_from, embedded=embedded) for row in rows):
        if writer is None:
            parts.append(folder / f".{stem}.{len(parts)}.tmp")
            writer = pq.ParquetWriter(parts[-1], schema, compression="snappy")
            in_file = 0
        writer.write_table(pa.Table.from_pylist(group, schema=schema), row_group_size=len(group))
        in_file += num_bytes
        if in_file >= BYTES_PER_FILE:
            writer.close()
            writer = None
    if writer is not None:
        writer.close()
    names = [f"{stem}-{index:05d}-of-{len(parts):05d}.parquet" for index in range(len(parts))]
    for part, name in zip(parts, names, strict=True):
        os.replace(part, folder / name)
    return names


def _groups(rows: Iterable[Mapping[str, Any]]) -> Iterable[tuple[list[Mapping[str, Any]], int]]:
    """Rows in groups of bounded number and size, with the bytes of their images."""
    group: list[Mapping[str, Any]] = []
    num_bytes = 0
    for row in rows:
        group.append(row)
        num_bytes += sum(len(one["bytes"]) for one in row["images"] if isinstance(one, dict))
        if len(group) == ROWS_PER_GROUP or num_bytes >= BYTES_PER_GROUP:
            yield group, num_bytes
            group, num_bytes = [], 0
    if group:
        yield group, num_bytes
