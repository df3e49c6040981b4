"""One stated schema for conversations: rows into columns without a dict per row, and back, strictly."""

from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from typing import Any

import pyarrow as pa

from sightline.errors import DataError
from sightline.questions.question import MARK_COLOURS, Mark
from sightline.samples.conversation import PLACES, STORE, VIDEO, Conversation, Picture, Turn
from sightline.samples.shards import MARK

SCHEMA_VERSION = 1
PICTURE = pa.struct(
    [("place", pa.string()), ("path", pa.string()), ("frame", pa.int32()), ("scan_id", pa.string()), ("frame_id", pa.string())]
)
TURN = pa.struct([("question", pa.string()), ("answer", pa.string()), ("picture_offsets", pa.list_(pa.int32()))])
SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("source", pa.string()),
        ("task", pa.string()),  # "" where the source has none
        ("split", pa.string()),
        ("scan_id", pa.string()),  # "" where the source names none
        ("place_id", pa.string()),
        ("pictures", pa.list_(PICTURE)),  # frame: null for an image, and for a whole video
        ("turns", pa.list_(TURN)),
        ("is_video", pa.bool_()),
        ("frame_policy", pa.string()),
        ("system", pa.string()),
        ("references", pa.list_(pa.string())),
        ("marks", pa.list_(MARK)),
        ("licence", pa.string()),
        ("found_at", pa.string()),
        ("extra", pa.map_(pa.string(), pa.string())),
        ("schema_version", pa.int32()),
    ]
)
TEXTS = ("source", "task", "split", "scan_id", "place_id", "frame_policy", "system", "licence", "found_at")
MARK_FIELDS = tuple(field.name for field in MARK)


def table_of(rows: Sequence[Conversation]) -> pa.Table:
    """Rows as one table of the schema."""
    columns: dict[str, pa.Array] = {name: pa.array([getattr(row, name) for row in rows], pa.string()) for name in TEXTS}
    columns["id"] = pa.array([row.sample_id for row in rows], pa.string())
    columns["is_video"] = pa.array([row.is_video for row in rows], pa.bool_())
    columns["schema_version"] = pa.array([SCHEMA_VERSION] * len(rows), pa.int32())
    columns["references"] = pa.array([row.references for row in rows], pa.list_(pa.string()))
    columns["pictures"] = _structs([row.pictures for row in rows], PICTURE)
    columns["turns"] = _structs([row.turns for row in rows], TURN)
    columns["marks"] = _structs([row.marks for row in rows], MARK)
    keys = [sorted(row.extra) for row in rows]
    columns["extra"] = pa.MapArray.from_arrays(
        _offsets(keys),
        pa.array(list(chain.from_iterable(keys)), pa.string()),
        pa.array([row.extra[key] for row, own in zip(rows, keys) for key in own], pa.string()),
    )
    return pa.Table.from_arrays([columns[name] for name in SCHEMA.names], schema=SCHEMA)


def _structs(lists: Sequence[Sequence[Any]], kind: pa.StructType) -> pa.ListArray:
    every = list(chain.from_iterable(lists))
    fields = [pa.array([getattr(one, field.name) for one in every], field.type) for field in kind]
    return pa.ListArray.from_arrays(_offsets(lists), pa.StructArray.from_arrays(fields, fields=list(kind)))


def _offsets(lists: Sequence[Sequence[Any]]) -> pa.Array:
    starts = [0]
    for one in lists:
        starts.append(starts[-1] + len(one))
    return pa.array(starts, pa.int32())


def conversation_from(row: Mapping[str, Any], *, where: str) -> Conversation:
    """A conversation from one row of the schema. Raises DataError naming `where` and the column."""
    if row["schema_version"] != SCHEMA_VERSION:
        raise DataError(f"{where}: expected schema_version {SCHEMA_VERSION}, found {row['schema_version']}; import the data set again")
    for name, value in row.items():
        if value is None:
            raise DataError(f"{where}: column '{name}': expected a value, found null")
    for name in ("id", "source", "split"):
        if not row[name]:
            raise DataError(f"{where}: column '{name}': expected text, found an empty one")
    pictures = tuple(_each(Picture, row["pictures"], f"{where}: column 'pictures'", {"frame"}))
    turns = tuple(
        Turn(question=turn.question, answer=turn.answer, picture_offsets=tuple(turn.picture_offsets))
        for turn in _each(Turn, row["turns"], f"{where}: column 'turns'", set())
    )
    marks = tuple(_each(Mark, row["marks"], f"{where}: column 'marks'", {"right_px", "bottom_px"}))
    conversation = Conversation(
        sample_id=row["id"],
        pictures=pictures,
        turns=turns,
        is_video=row["is_video"],
        references=tuple(row["references"]),
        marks=marks,
        extra=dict(row["extra"]),
        **{name: row[name] for name in TEXTS},
    )
    check(conversation, where=where)
    return conversation


def _each(cls: Callable[..., Any], values: Sequence[Mapping[str, Any] | None], where: str, may_be_null: set[str]) -> Sequence[Any]:
    for value in values:
        if value is None or any(inner is None and name not in may_be_null for name, inner in value.items()):
            raise DataError(f"{where}: expected no null, found {value}")
    return [cls(**value) for value in values if value is not None]


def check(conversation: Conversation, *, where: str) -> None:
    """What every conversation must hold, wherever it comes from. Raises DataError naming `where` and the column."""
    if not conversation.turns:
        raise DataError(f"{where}: column 'turns': expected at least one question with its answer, found none")
    for picture in conversation.pictures:
        if picture.place not in PLACES:
            raise DataError(f"{where}: column 'pictures': expected a place of {', '.join(PLACES)}, found '{picture.place}'")
        if not picture.path or picture.path.startswith("/") or ".." in picture.path.split("/"):
            raise DataError(f"{where}: column 'pictures': expected a path inside the media root, found '{picture.path}'")
        if picture.frame is not None and (picture.place != VIDEO or picture.frame < 0):
            raise DataError(f"{where}: column 'pictures': expected a frame from 0 of a video alone, found {picture}")
        if picture.place == STORE and not (picture.scan_id and picture.frame_id):
            raise DataError(f"{where}: column 'pictures': expected scan and frame of a store picture, found {picture}")
    placed = sum(len(turn.picture_offsets) for turn in conversation.turns)
    if placed != len(conversation.pictures) and (placed > len(conversation.pictures) or conversation.turns[0].picture_offsets):
        raise DataError(
            f"{where}: column 'turns': expected an offset for each of {len(conversation.pictures)} pictures, or none in the first turn, "
            f"found {placed}"
        )
    for turn in conversation.turns:
        offsets = turn.picture_offsets
        if offsets and (list(offsets) != sorted(offsets) or offsets[0] < 0 or offsets[-1] > len(turn.question)):
            raise DataError(f"{where}: column 'turns': expected rising offsets of 0 to {len(turn.question)}, found {offsets}")
    shown = {picture.frame_id for picture in conversation.pictures}
    for mark in conversation.marks:
        if mark.colour not in MARK_COLOURS or mark.frame_id not in shown:
            raise DataError(f"{where}: column 'marks': expected a dot in {', '.join(MARK_COLOURS)} on a shown frame, found {mark}")
