"""Bad rows are named, counted and left out; imports are resumable, repeatable and refuse too many of them."""

import json
import shutil
from pathlib import Path

import pytest
from source_layouts import chat, sqa3d, write_lines

from sightline.errors import ConfigError, DataError
from sightline.mixtures import importing
from sightline.mixtures.importing import Import, conversations, import_source, manifest_of
from sightline.mixtures.registry import SplitFiles, data_set
from sightline.mixtures.validation import Checker, Report, SeenIds, require
from sightline.samples.conversation_files import ConversationTable
from sightline.samples.media import Media


def row(name: str, question: str = "<image>\nWhat is this?", answer: str = "a chair", *, scene: str = "scene0000_00", **more):
    return {"id": name, "image": f"{scene}/1.jpg", "conversations": chat(question, answer), **more}


GOOD = [row(f"good{number}") for number in range(6)]


def checked(folder: Path, *rows, split: SplitFiles | None = None, media: Media | None = None, allow=()):
    write_lines(folder / "rows.jsonl", list(rows))
    report, problems = Report(), []
    kept = list(Checker(split, media=media, allow=allow).good(conversations(job(folder)), report, problems))
    return kept, report, problems


def job(folder: Path, **how) -> Import:
    return Import.of(data_set("qwen_vl"), None, folder / "rows.jsonl", **how)


@pytest.mark.parametrize(
    ("bad", "kind"),
    [
        (GOOD[0], "duplicate_id"),
        (row("x", answer=" "), "empty_answer"),
        ({"id": "x", "conversations": chat(" ", "a chair")}, "empty_question"),
        (row("x", answer="You ask: WHAT is  this? A chair."), "answer_holds_question"),
        (row("x", scene_id="scene0001_00"), "scene_mismatch"),
        (row("x", "What is this?"), "placeholder_mismatch"),
        ({**row("x"), "conversations": chat("What?", "x")[:1]}, "broken_turns"),
    ],
)
def test_each_kind_of_bad_row_is_named_counted_and_left_out(tmp_path, bad, kind):
    kept, report, problems = checked(tmp_path, *GOOD[:2], bad, *GOOD[2:])
    assert [one.sample_id for one in kept] == [one["id"] for one in GOOD]
    assert (report.rows, report.bad_rows, dict(report.kinds)) == (7, 1, {kind: 1})
    assert [(one.kind, one.found_at) for one in problems] == [(kind, "rows.jsonl: line 3")]
    assert report.examples[kind][0].startswith("rows.jsonl: line 3, ")
    with pytest.raises(DataError, match=f"1 of 7 rows are bad .*: 1 {kind}. The first: rows.jsonl: line 3"):
        require(report, max_bad_share=0.0)
    require(report, max_bad_share=0.15)


def test_scenes_outside_the_split_are_found_by_room(tmp_path):
    inside, foreign = row("a", scene="scene0011_01"), row("b", scene="own_room")
    rows = [inside, row("c", scene="scene0000_00"), foreign]
    _, report, problems = checked(tmp_path, *rows, split=SplitFiles(files=(), scenes_in=("scannet_val",)))
    assert [one.found_at for one in problems] == ["rows.jsonl: line 2"] and report.kinds == {"outside_split": 1}
    _, report, problems = checked(tmp_path, *rows, split=SplitFiles(files=(), scenes_not_in=("scannet_val",)))
    assert [one.found_at for one in problems] == ["rows.jsonl: line 1"] and "expected no scene of scannet_val" in problems[0].message


def test_missing_pictures_are_looked_for_in_the_media_root(tmp_path):
    (tmp_path / "scene0000_00").mkdir()
    (tmp_path / "scene0000_00" / "1.jpg").write_bytes(b"x")
    _, report, problems = checked(tmp_path, row("a"), row("b", scene="scene0002_00"), media=Media(root=tmp_path))
    assert report.kinds == {"missing_picture": 1} and "scene0002_00/1.jpg" in problems[0].message
    assert checked(tmp_path, row("b", scene="scene0002_00"))[1].bad_rows == 0


def test_an_allowed_kind_is_counted_and_kept(tmp_path):
    kept, report, problems = checked(tmp_path, GOOD[0], GOOD[0], allow=("duplicate_id",))
    assert len(kept) == 2 and report.allowed == {"duplicate_id": 1} and not report.bad_rows and len(problems) == 1
    assert "(allowed)" in "\n".join(report.lines())
    with pytest.raises(ConfigError, match="expected kinds of .*, found 'duplicates'"):
        Checker(allow=("duplicates",))


def test_a_report_survives_json(tmp_path):
    report = checked(tmp_path, *GOOD, row("x", answer=""))[1]
    again = Report.from_json(json.loads(json.dumps(report.as_json())))
    assert again == report and again.lines() == report.lines()


def test_no_row_and_no_good_row_are_errors():
    with pytest.raises(DataError, match="expected at least one row"):
        require(Report(), max_bad_share=1.0)
    with pytest.raises(DataError, match="expected at least one good row, found none of 3"):
        require(Report(rows=3, bad_rows=3), max_bad_share=1.0)
    with pytest.raises(ConfigError, match="--max-bad-share: expected 0 to 1, found 2"):
        require(Report(rows=1), max_bad_share=2)


def test_seen_ids_behave_as_a_set_while_they_grow():
    seen, known = SeenIds(), set()
    for number in range(5000):
        name = f"id{number % 3001}"
        assert seen.add(name) == (name not in known)
        known.add(name)
    assert len(seen) == 3001


def imported(folder: Path, out: Path, **how):
    given = job(folder, **{"max_bad_share": 0.5, **how})
    return import_source(given, out, Checker(allow=given.allow), rows_per_file=4)


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def some_rows(folder: Path) -> None:
    write_lines(folder / "rows.jsonl", [*GOOD, row("bad", answer=""), *(row(f"more{number}") for number in range(6)), row("bad"), GOOD[0]])


def test_an_import_writes_parts_a_manifest_and_every_problem(tmp_path):
    some_rows(tmp_path)
    report, is_new = imported(tmp_path, tmp_path / "out")
    manifest = manifest_of(tmp_path / "out")
    assert is_new and report.kept == 12 and len(ConversationTable(tmp_path / "out")) == manifest["num_rows"] == 12
    assert manifest["source_rows"] == 15 and manifest["source_files"][0]["file"] == "rows.jsonl" and manifest["source"] == "qwen_vl"
    assert len(manifest["source_files"][0]["sha256"]) == 64 and manifest["converter_version"] == 1
    problems = [json.loads(line) for line in (tmp_path / "out" / "problems.jsonl").read_text().splitlines()]
    assert [(one["found_at"], one["kind"]) for one in problems] == [
        ("rows.jsonl: line 7", "empty_answer"),
        ("rows.jsonl: line 14", "duplicate_id"),
        ("rows.jsonl: line 15", "duplicate_id"),
    ]
    assert not (tmp_path / "out" / importing.STAGING).exists()


def test_the_same_import_again_does_nothing_and_another_one_replaces_it(tmp_path):
    some_rows(tmp_path)
    imported(tmp_path, tmp_path / "out")
    before = bytes_of(tmp_path / "out")
    assert imported(tmp_path, tmp_path / "out")[1] is False and bytes_of(tmp_path / "out") == before
    assert imported(tmp_path, tmp_path / "out", limit=3)[0].kept == 3 and len(ConversationTable(tmp_path / "out")) == 3
    assert not (tmp_path / "out" / "problems.jsonl").exists()


@pytest.mark.parametrize("stop_after", [1, 2, 3])
def test_an_import_stopped_after_any_part_goes_on_to_the_same_bytes(tmp_path, monkeypatch, stop_after):
    some_rows(tmp_path)
    imported(tmp_path, tmp_path / "whole")
    calls, write = [], importing.write_part

    def stopping(path, stream):
        if len(calls) == stop_after:
            path.parent.mkdir(exist_ok=True, parents=True)
            path.write_bytes(b"half a part")
            raise KeyboardInterrupt
        calls.append(path)
        return write(path, stream)

    monkeypatch.setattr(importing, "write_part", stopping)
    with pytest.raises(KeyboardInterrupt):
        imported(tmp_path, tmp_path / "out")
    with (tmp_path / "out" / importing.STAGING / "problems.jsonl").open("a") as stream:
        stream.write('{"found_at": "rows.jsonl: li')  # stopped while it wrote of a part that has no record yet
    assert manifest_of(tmp_path / "out") is None and not (tmp_path / "out" / "data").exists()
    calls.clear()
    monkeypatch.setattr(importing, "write_part", lambda path, stream: calls.append(path) or write(path, stream))
    imported(tmp_path, tmp_path / "out")
    assert len(calls) == 5 - stop_after  # four parts of rows, and the look that finds no more
    assert bytes_of(tmp_path / "out") == bytes_of(tmp_path / "whole")


def test_a_stopped_import_of_other_files_starts_anew(tmp_path, monkeypatch):
    some_rows(tmp_path)
    monkeypatch.setattr(importing, "_finish", lambda *_, **__: None)
    imported(tmp_path, tmp_path / "out")
    monkeypatch.undo()
    write_lines(tmp_path / "rows.jsonl", GOOD)
    assert imported(tmp_path, tmp_path / "out")[0].rows == 6 and len(ConversationTable(tmp_path / "out")) == 6


def test_too_many_bad_rows_leave_their_names_and_no_data(tmp_path):
    some_rows(tmp_path)
    with pytest.raises(DataError, match=r"3 of 15 rows are bad \(20.00%, at most 0.00% may be\): 2 duplicate_id, 1 empty_answer"):
        imported(tmp_path, tmp_path / "out", max_bad_share=0.0)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["problems.jsonl"]


def test_rows_with_several_conversations_are_never_cut_in_two_by_a_part(tmp_path):
    sqa3d(tmp_path)
    given = Import.of(data_set("sqa3d"), "train", tmp_path, options={"situations": "each"})
    report, _ = import_source(given, tmp_path / "out", Checker(), rows_per_file=1)
    assert report.kept == 4 and [part["num_rows"] for part in manifest_of(tmp_path / "out")["files"]] == [2, 2]
    shutil.rmtree(tmp_path / "out")
