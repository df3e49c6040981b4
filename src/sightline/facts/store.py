"""Facts on disk: one Parquet file per table and one JSON file for the rest; what is read back equals what was written, bit for bit."""

from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from sightline.captures.records import objects_as_json, objects_from_json, structure_as_json, structure_from_json
from sightline.errors import DataError
from sightline.facts.fact import (
    CorrespondenceFacts,
    CoverageFacts,
    FactTable,
    FrameFacts,
    FreeSpaceFacts,
    ObjectGlimpseFacts,
    ObjectPairFacts,
    ObjectPlaceFacts,
    ObjectTimeFacts,
    ObjectViewFacts,
    PairFacts,
    PointFacts,
    RoomFacts,
    RoomLinkFacts,
    TrackFacts,
    TrackWindowFacts,
)
from sightline.files import read_json, replacing, write_json
from sightline.geometry.cameras import Intrinsics

REST = "facts.json"
CAMERA = ("fx", "fy", "cx", "cy", "width", "height")
T = TypeVar("T")
TABLES = {
    "pairs": PairFacts,
    "points": PointFacts,
    "object_views": ObjectViewFacts,
    "object_glimpses": ObjectGlimpseFacts,
    "object_pairs": ObjectPairFacts,
    "object_times": ObjectTimeFacts,
    "object_places": ObjectPlaceFacts,
    "coverage": CoverageFacts,
    "correspondences": CorrespondenceFacts,
    "tracks": TrackFacts,
    "track_windows": TrackWindowFacts,
    "rooms": RoomFacts,
    "room_links": RoomLinkFacts,
    "free_space": FreeSpaceFacts,
}


def write_facts(table: FactTable, folder: Path) -> None:
    """Write a table into a folder, which is made if need be; a table that is None has no file."""
    folder.mkdir(parents=True, exist_ok=True)
    frames = table.frames
    columns = {"frame_id": pa.array(frames.frame_ids, pa.string()), **{name: _column(_camera(frames, name)) for name in CAMERA}}
    columns |= {name: _column(getattr(frames, name)) for name in ("world_from_camera", "visible_points", "depth_coverage")}
    _write(folder / "frames.parquet", columns)
    for name in TABLES:
        part = getattr(table, name)
        path = folder / f"{name}.parquet"
        if part is not None:
            _write(path, {field.name: _column(getattr(part, field.name)) for field in fields(part)})
        else:
            path.unlink(missing_ok=True)
    rest = {name: getattr(table, name) for name in ("scan_id", "place_id", "source", "licence")}
    rest["tables"] = [name for name in TABLES if getattr(table, name) is not None]
    rest["skips"] = dict(table.skips)
    if table.is_strict:
        rest["is_strict"] = True
    rest["objects"] = None if table.objects is None else objects_as_json(table.objects)
    rest["structure"] = None if table.structure is None else structure_as_json(table.structure)
    write_json(folder / REST, rest)


def read_facts(folder: Path) -> FactTable:
    """Read what `write_facts` wrote. Raises DataError for a missing or damaged file."""
    if not (folder / REST).is_file():
        raise DataError(f"{folder}: expected measured facts, found no {REST}; run `sightline measure` first")
    rest = read_json(folder / REST)
    where = str(folder / REST)
    try:
        objects = None if rest["objects"] is None else objects_from_json(rest["objects"], where=where)
        return FactTable(
            scan_id=rest["scan_id"],
            place_id=rest["place_id"],
            source=rest["source"],
            licence=rest["licence"],
            frames=_frames_from(_read(folder / "frames.parquet")),
            objects=objects,
            skips=rest["skips"],
            is_strict=rest.get("is_strict", False),
            **{name: _read_table(kind, folder / f"{name}.parquet") for name, kind in TABLES.items() if name in rest["tables"]},
            **{name: None for name in ("object_views", "object_pairs") if name not in rest["tables"]},
            structure=None if rest["structure"] is None else structure_from_json(rest["structure"], where=where),
        )
    except (KeyError, TypeError) as error:
        raise DataError(f"{folder}: expected facts as this version writes them, found {error!r}; measure the scan again") from error


def _frames_from(columns: dict[str, Any]) -> FrameFacts:
    rows = zip(*(columns[name] for name in CAMERA))
    return FrameFacts(
        frame_ids=tuple(columns["frame_id"]),
        intrinsics=tuple(
            Intrinsics(fx=float(fx), fy=float(fy), cx=float(cx), cy=float(cy), width=int(width), height=int(height))
            for fx, fy, cx, cy, width, height in rows
        ),
        world_from_camera=columns["world_from_camera"],
        visible_points=columns["visible_points"],
        depth_coverage=columns["depth_coverage"],
    )


def _camera(frames: FrameFacts, name: str) -> np.ndarray:
    return np.array([getattr(one, name) for one in frames.intrinsics])


def _column(values: np.ndarray) -> pa.Array:
    """Rows of any shape; the shape of one row is kept as nested fixed-size lists."""
    values = np.ascontiguousarray(values)
    column = pa.array(values.reshape(-1))
    for size in reversed(values.shape[1:]):
        column = pa.FixedSizeListArray.from_arrays(column, size)
    return column


def _array(column: pa.ChunkedArray) -> Any:
    shape: list[int] = []
    kind, flat = column.type, column.combine_chunks()
    while pa.types.is_fixed_size_list(kind):
        shape.append(kind.list_size)
        kind, flat = kind.value_type, flat.flatten()
    if pa.types.is_string(kind):
        return flat.to_pylist()
    return np.array(flat.to_numpy(zero_copy_only=False)).reshape(len(column), *shape)


def _write(path: Path, columns: dict[str, pa.Array]) -> None:
    with replacing(path) as beside:
        pq.write_table(pa.table(columns), beside, compression="zstd")


def _read(path: Path) -> dict[str, Any]:
    try:
        table = pq.read_table(path)
    except FileNotFoundError as error:
        raise DataError(f"{path}: expected a table of facts, found no file; measure the scan again") from error
    except (pa.ArrowInvalid, OSError) as error:
        raise DataError(f"{path}: expected a Parquet table, found a damaged one ({error}); measure the scan again") from error
    return {name: _array(table[name]) for name in table.column_names}


def _read_table(cls: type[T], path: Path) -> T:
    return cls(**_read(path))
