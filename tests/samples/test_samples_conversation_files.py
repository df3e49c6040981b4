"""Conversations on disk: what is written is read back, equal rows give equal bytes, any row at random, damage is named."""

import pickle
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sightline.errors import DataError
from sightline.questions.question import Mark
from sightline.samples import conversation_files
from sightline.samples.conversation import FOLDER, STORE, TAR, VIDEO, Conversation, Picture, Turn
from sightline.samples.conversation_files import ConversationTable, part_path, write_conversations, write_part
from sightline.samples.conversation_rows import SCHEMA


def small(number: int = 0) -> Conversation:
    return Conversation(
        sample_id=f"n{number}",
        source="own",
        task="",
        split="train",
        scan_id="",
        place_id="",
        pictures=(),
        turns=(Turn(question=f"What is {number}?", answer=str(number)),),
    )


def full() -> Conversation:
    """One with something in every field."""
    return Conversation(
        sample_id="s/日本",
        source="own",
        task="count",
        split="held_out",
        scan_id="scene0000_00",
        place_id="scannet_scene0000",
        pictures=(
            Picture(place=STORE, path="scene0000_00/color/1.jpg", scan_id="scene0000_00", frame_id="1"),
            Picture(place=FOLDER, path="a/b.jpg"),
            Picture(place=TAR, path="a.tar/b.jpg"),
            Picture(place=VIDEO, path="a.mp4", frame=7),
            Picture(place=VIDEO, path="b.mp4"),
        ),
        turns=(
            Turn(question="Compare  and .", answer="equal", picture_offsets=(8, 13)),
            Turn(question="And ?", answer="other", picture_offsets=(4, 4, 5)),
        ),
        is_video=True,
        frame_policy="uniform 16",
        system="Be brief.",
        references=("other", "another"),
        marks=(
            Mark(frame_id="1", u_px=1.5, v_px=2.0, colour="red", label="A"),
            Mark(frame_id="1", u_px=1.5, v_px=2.0, colour="blue", right_px=4.0, bottom_px=5.0),
        ),
        licence="CC0-1.0",
        found_at="a.jsonl: line 3",
        extra={"situation": "I stand", "dataset": "x"},
    )


def test_every_field_comes_back(tmp_path):
    rows = [small(), full(), small(2)]
    assert write_conversations(tmp_path, rows) == 3
    table = ConversationTable(tmp_path)
    assert len(table) == 3 and list(table) == rows and [table[number] for number in range(3)] == rows
    assert table[-1] == rows[-1] and table.many([2, 0, 1]) == [rows[2], rows[0], rows[1]]
    assert list(table.column("id")) == ["n0", "s/日本", "n2"]
    with pytest.raises(IndexError, match="no number 3"):
        table[3]


def test_rows_lie_in_small_groups_of_files_of_one_size_and_any_is_found(tmp_path, monkeypatch):
    monkeypatch.setattr(conversation_files, "ROWS_PER_GROUP", 4)
    monkeypatch.setattr(conversation_files, "ROWS_PER_FILE", 10)
    assert write_conversations(tmp_path, (small(number) for number in range(23))) == 23
    table = ConversationTable(tmp_path, kept_groups=2)
    assert [pq.read_metadata(path).num_rows for path in table.files] == [10, 10, 3]
    assert [table[number].sample_id for number in (22, 0, 13, 9, 10, 19, 20)] == ["n22", "n0", "n13", "n9", "n10", "n19", "n20"]
    assert [one.sample_id for one in table] == [f"n{number}" for number in range(23)]
    assert table.where(13) == f"{part_path(tmp_path, 1)}: row 4" and len(table._groups) <= 2
    assert pickle.loads(pickle.dumps(table))[13] == table[13]


def test_a_multiple_of_the_file_size_makes_no_empty_file(tmp_path, monkeypatch):
    monkeypatch.setattr(conversation_files, "ROWS_PER_FILE", 4)
    assert write_conversations(tmp_path, (small(number) for number in range(8))) == 8
    assert len(ConversationTable(tmp_path).files) == 2
    assert write_part(tmp_path / "none.parquet", []) == 0 and not (tmp_path / "none.parquet").exists()


def test_equal_rows_give_equal_bytes(tmp_path):
    write_part(tmp_path / "a.parquet", [full(), small()])
    write_part(tmp_path / "b.parquet", iter([replace(full(), extra={"dataset": "x", "situation": "I stand"}), small()]))
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()


def damaged(tmp_path: Path, **columns: list) -> Path:
    """A file whose second row holds other values than it may."""
    write_part(tmp_path / "good.parquet", [small(), small(1)])
    table = pq.read_table(tmp_path / "good.parquet", schema=SCHEMA)
    for name, values in columns.items():
        place = table.schema.get_field_index(name)
        table = table.set_column(place, table.schema.field(place), pa.array(values, table.schema.field(place).type))
    pq.write_table(table, tmp_path / "bad.parquet")
    return tmp_path / "bad.parquet"


PICTURE = {"place": "folder", "path": "a.jpg", "frame": None, "scan_id": "", "frame_id": ""}
TURN = {"question": "What?", "answer": "x", "picture_offsets": []}


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("id", "", "column 'id': expected text, found an empty one"),
        ("source", None, "column 'source': expected a value, found null"),
        ("schema_version", 7, "expected schema_version 1, found 7"),
        ("turns", [], "expected at least one question"),
        ("turns", [{**TURN, "answer": None}], "column 'turns': expected no null"),
        ("turns", [{**TURN, "picture_offsets": [0]}], "expected an offset for each of 0 pictures"),
        ("pictures", [{**PICTURE, "place": "web"}], "expected a place of store, folder, tar, video, found 'web'"),
        ("pictures", [{**PICTURE, "path": "../a.jpg"}], "expected a path inside the media root"),
        ("pictures", [{**PICTURE, "frame": 3}], "expected a frame from 0 of a video alone"),
        ("pictures", [{**PICTURE, "place": "store"}], "expected scan and frame of a store picture"),
    ],
)
def test_a_bad_row_is_named_by_file_row_and_column(tmp_path, column, value, message):
    good = {"id": "n0", "source": "own", "schema_version": 1, "turns": [TURN], "pictures": []}[column]
    path = damaged(tmp_path, **{column: [good, value]})
    table = ConversationTable(path)
    assert table[0].sample_id == "n0"
    with pytest.raises(DataError, match="bad.parquet: row 2: ") as raised:
        table[1]
    assert message in str(raised.value)


def test_offsets_outside_the_words_are_named(tmp_path):
    turns = [[TURN], [{**TURN, "picture_offsets": [9]}]]
    path = damaged(tmp_path, turns=turns, pictures=[[], [PICTURE]])
    with pytest.raises(DataError, match="row 2: column 'turns': expected rising offsets of 0 to 5, found"):
        ConversationTable(path)[1]


def test_files_that_are_missing_foreign_or_damaged_are_named(tmp_path):
    with pytest.raises(DataError, match=r"expected conversations in data/\*.parquet, found none. Fix: sightline data import"):
        ConversationTable(tmp_path)
    pq.write_table(pa.table({"a": [1]}), tmp_path / "other.parquet")
    with pytest.raises(DataError, match="other.parquet: expected column 'id' of conversations, found columns a"):
        ConversationTable(tmp_path / "other.parquet")
    write_part(tmp_path / "cut.parquet", [small(number) for number in range(50)])
    (tmp_path / "cut.parquet").write_bytes((tmp_path / "cut.parquet").read_bytes()[:-30])
    with pytest.raises(DataError, match="cut.parquet: expected a whole Parquet file of conversations"):
        ConversationTable(tmp_path / "cut.parquet")
