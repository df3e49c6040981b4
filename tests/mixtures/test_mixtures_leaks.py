"""The leak guard finds rooms, pictures and questions of benchmarks in a mixture, names them, and lets them pass only when told to."""

import json
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest
from made_sources import conversation
from small_store import write_scan

from sightline.errors import DataError, UnknownNameError
from sightline.mixtures.leaks import leaks_of, refuse_leaks
from sightline.mixtures.mixture import MixtureRecipe, SourceRecipe
from sightline.mixtures.picture_hashes import PictureHashes
from sightline.mixtures.plan import planned
from sightline.samples.conversation import FOLDER, STORE, TAR, Picture, Turn
from sightline.samples.conversation_files import write_conversations

VAL = "scene0011_00"  # of ScanNet's validation split: vsibench, vstibench, scanqa and multispa ask about it, sqa3d does not


def row(number: int, *, source: str = "a", scan: str = "", question: str = "", answer: str = "4", pictures=(), place: str = ""):
    made = conversation(source, number, sets=1000)
    turn = Turn(question=question or f"Where is thing number {number} of source {source}?", answer=answer)
    return replace(made, scan_id=scan, place_id=place, turns=(turn,), pictures=tuple(pictures) or made.pictures)


def folder(root: Path, name: str, *rows, benchmark: bool = False, media: Path | None = None) -> None:
    write_conversations(root / name, rows)
    manifest = {"format": "sightline-conversations", "source": "vsi_bench", "split": "test", "is_benchmark": benchmark}
    (root / name / "conversations.json").write_text(json.dumps({**manifest, "media_root": None if media is None else str(media)}))


def report_of(root: Path, *names: str, on=(), hashes=None, scenes: str = "", **options):
    sources = tuple(SourceRecipe(data=name, scenes=scenes) for name in names)
    return leaks_of(planned(MixtureRecipe(sources=sources, evaluates_on=on, **options), root=root), root=root, hashes=hashes)


def test_rooms_of_a_named_benchmark_are_refused_with_their_list(tmp_path):
    rooms = [f"scene{number:04d}_0{number % 3}" for number in (11, 15, 19, 25, 30, 46, 50, 0)]
    folder(tmp_path, "a", *(row(number, scan=scan) for number, scan in enumerate([*rooms, VAL])))
    report = report_of(tmp_path, "a", on=("scanqa",))
    assert [(one.room, one.rows, one.benchmarks) for one in report.rooms][0] == ("scene0011", 2, ("scanqa",))  # both scans
    assert len(report.rooms) == 7
    with pytest.raises(DataError) as refused:
        refuse_leaks(report, allow=False)
    assert "mixture: rooms of scanqa: 7, with 8 of 9 rows, in a (scene0011, scene0015, scene0019, scene0025, scene0030 and 2 more)" in str(
        refused.value
    )
    assert "Fix: import the source again without these rooms" in str(refused.value) and "allow_leaks: true" in str(refused.value)
    forced = refuse_leaks(report, allow=True)
    assert len(forced) == 1 and forced[0].startswith("forced by allow_leaks: rooms of scanqa: 7, ")


def test_rooms_of_benchmarks_that_are_not_named_are_a_warning_with_counts(tmp_path):
    folder(tmp_path, "a", row(0, scan=VAL), row(1, scan="scene0000_00"), row(2, scan="scene0000_01"))
    report = report_of(tmp_path, "a", on=("sqa3d",))
    assert not report.has_leaks and refuse_leaks(report, allow=False) == []
    (line,) = report.warnings()
    assert line.startswith("rooms of multispa, scanqa, vsibench, vstibench: 1, with 1 of 3 rows, in a (scene0011)")
    named = report_of(tmp_path, "a", on=("vsibench",))
    assert [one.benchmarks for one in named.other_rooms] == [("multispa", "scanqa", "vstibench")]
    assert report_of(tmp_path, "a", on=("vsibench",)).rooms and not report_of(tmp_path, "a", on=("mindcube",)).rooms


def test_rows_that_are_not_taken_do_not_leak(tmp_path):
    folder(tmp_path, "a", replace(row(0, scan=VAL), split="held_out"), row(1, scan="scene0000_00"))
    assert not report_of(tmp_path, "a", on=("scanqa",)).has_leaks


def test_a_scan_of_a_picture_counts_as_the_room_of_its_row(tmp_path):
    shown = Picture(place=FOLDER, path="x.jpg", scan_id="scene0011_01", frame_id="7")
    folder(tmp_path, "a", row(0, pictures=[shown]), row(1))
    assert [one.room for one in report_of(tmp_path, "a", on=("scanqa",)).rooms] == ["scene0011"]


def test_an_unknown_benchmark_is_refused_by_name_with_the_nearest(tmp_path):
    folder(tmp_path, "a", row(0))
    with pytest.raises(UnknownNameError, match="no benchmark called 'vsi_bench', and no folder .* Did you mean 'vsibench'"):
        report_of(tmp_path, "a", on=("vsi_bench",))


def test_rooms_of_an_imported_benchmark_are_found_by_place_and_by_scan(tmp_path):
    folder(tmp_path, "a", row(0, scan="flat_1", place="house"), row(1, scan="flat_2"), row(2, scan="flat_3"))
    folder(tmp_path, "bench", row(0, source="b", scan="flat_9", place="house"), row(1, source="b", scan="flat_2"))
    report = report_of(tmp_path, "a", on=("bench",))
    assert [(one.room, one.benchmarks) for one in report.rooms] == [("flat_2", ("bench",)), ("house", ("bench",))]


def test_a_benchmark_itself_is_never_a_source(tmp_path):
    folder(tmp_path, "a", row(0), benchmark=True)
    with pytest.raises(DataError, match="source 'a' is split 'test' of vsi_bench, a benchmark"):
        refuse_leaks(report_of(tmp_path, "a"), allow=False)


def test_a_question_with_its_answer_is_found_in_other_punctuation_about_the_same_pictures(tmp_path):
    shown = [Picture(place=FOLDER, path="shared/1.jpg")]
    asked = dict(source="b", pictures=shown, question="How many red chairs are there?", answer="Four.")
    folder(tmp_path, "bench", row(0, **asked))
    folder(
        tmp_path,
        "a",
        row(0, pictures=shown, question="how many RED chairs are there", answer="four"),
        row(1, pictures=shown, question="how many red chairs are there", answer="five"),
        row(2, question="how many red chairs are there", answer="four"),  # about other pictures
        row(3, pictures=shown, question="how many tables are there", answer="four"),
    )
    report = report_of(tmp_path, "a", on=("bench",))
    assert report.questions == {"bench": 1} and [(one.found, one.same_as) for one in report.question_examples] == [("a/0", "b/0")]
    assert "questions that stand in bench too, with their answers: 1 (a/0 = b/0)" in " ".join(report.leaks())
    assert report.duplicates.same_in_benchmark == 1 and report.duplicates.benchmark_texts == 1


def test_a_question_is_found_by_its_room_and_by_its_pictures_each_alone(tmp_path):
    one, other = Picture(place=FOLDER, path="one.jpg"), Picture(place=FOLDER, path="other.jpg")
    asked = dict(question="How many red chairs are there?", answer="4")
    folder(tmp_path, "bench", row(0, source="b", scan="flat_1", pictures=[one], **asked))
    folder(
        tmp_path,
        "a",
        row(0, scan="flat_1", pictures=[other], **asked),
        row(1, scan="flat_2", pictures=[one], **asked),  # the same picture under another name of its room
        row(2, scan="flat_2", pictures=[other], **asked),
    )
    report = report_of(tmp_path, "a", on=("bench",))
    assert [one.found for one in report.question_examples] == ["a/0", "a/1"] and report.questions == {"bench": 2}


def test_signs_and_points_of_numbers_keep_answers_apart(tmp_path):
    shown = [Picture(place=FOLDER, path="shared/1.jpg")]
    folder(tmp_path, "bench", row(0, pictures=shown, question="How far?", answer="-1.5"))
    folder(tmp_path, "a", *(row(n, pictures=shown, question="How far?", answer=one) for n, one in enumerate(("1.5", "15", "-1.5"))))
    assert report_of(tmp_path, "a", on=("bench",)).questions == {"bench": 1}


def test_a_picture_is_found_by_content_under_another_name_in_folders_and_tar_shards(tmp_path):
    media = tmp_path / "media"
    media.mkdir()
    for name, content in (("ours.jpg", b"same"), ("other.jpg", b"else"), ("theirs.jpg", b"same")):
        (media / name).write_bytes(content)
    with tarfile.open(media / "shard.tar", "w") as shard:
        shard.add(media / "theirs.jpg", "inside.jpg")
    ours = [Picture(place=FOLDER, path="ours.jpg"), Picture(place=FOLDER, path="other.jpg"), Picture(place=FOLDER, path="gone.jpg")]
    folder(tmp_path, "a", row(0, pictures=ours), media=media)
    folder(tmp_path, "bench", row(0, source="b", pictures=[Picture(place=TAR, path="shard.tar/inside.jpg")]), media=media)
    unread = report_of(tmp_path, "a", on=("bench",))
    assert not unread.has_leaks and unread.picture_counts == {"not read, --hashes FILE reads them": 3}
    memory = tmp_path / "hashes.json"
    report = report_of(tmp_path, "a", on=("bench",), hashes=PictureHashes(memory))
    assert [(one.found, one.same_as, one.benchmark) for one in report.pictures] == [("ours.jpg", "shard.tar/inside.jpg", "bench")]
    assert report.picture_counts == {"compared": 2, "not there": 1}
    again = PictureHashes(memory)
    assert report_of(tmp_path, "a", on=("bench",), hashes=again).pictures == report.pictures and again.num_read == 0
    (media / "ours.jpg").write_bytes(b"changed")
    changed = PictureHashes(memory)
    assert not report_of(tmp_path, "a", on=("bench",), hashes=changed).pictures and changed.num_read == 1
    (tmp_path / "x.json").write_text("{}")
    with pytest.raises(DataError, match="expected format 'sightline-picture-hashes'"):
        PictureHashes(tmp_path / "x.json")


def test_pictures_of_a_scene_store_are_compared_without_reading_them(tmp_path):
    for scan, seed in (("scan_a", 1), ("scan_b", 1), ("scan_c", 2)):
        write_scan(tmp_path, scan, seed=seed, picture_seed=seed, cameras=4)

    def shown(scan):
        return [Picture(place=STORE, path=f"{scan}/color/000000.png", scan_id=scan, frame_id="000000")]

    folder(tmp_path, "a", row(0, scan="scan_a", pictures=shown("scan_a")), row(1, scan="scan_c", pictures=shown("scan_c")))
    folder(tmp_path, "bench", row(0, source="b", scan="scan_b", pictures=shown("scan_b")))
    report = report_of(tmp_path, "a", on=("bench",), scenes="store")
    assert [(one.found, one.same_as) for one in report.pictures] == [("scan_a/color/000000.png", "scan_b/color/000000.png")]
    assert report.picture_counts == {"compared": 2} and not report.rooms
    assert report_of(tmp_path, "a", on=("bench",)).picture_counts == {"in no scene store of the recipe": 2}


def test_repeated_and_nearly_repeated_questions_are_counted_with_examples(tmp_path):
    shown = [Picture(place=FOLDER, path="one.jpg")]
    words = "measuring from the closest point of each object what is the distance between the red chair and the tall blue lamp in metres"
    folder(
        tmp_path,
        "a",
        row(0, pictures=shown, question=f"{words}?", answer="2"),
        row(1, pictures=shown, question=words.upper(), answer="2"),
        row(2, pictures=shown, question=f"Please: {words}", answer="2"),
        row(3, question=words, answer="2"),  # about other pictures
        row(4),
    )
    folder(tmp_path, "b", row(0, source="b", pictures=shown, question=words, answer="3"))
    found = report_of(tmp_path, "a", "b").duplicates
    assert (found.questions, found.texts, found.repeated, found.near) == (6, 3, 1, 2)
    (one,) = found.examples
    assert {one.first_id, one.second_id} == {"a/0", "a/2"} and one.jaccard == pytest.approx(22 / 23, abs=0.01)
    folder(tmp_path, "bench", row(0, source="c", question=f"Say: {words}", answer="9", scan="x"))
    across = report_of(tmp_path, "a", on=("bench",)).duplicates
    assert (across.benchmark_texts, across.same_in_benchmark, across.near_in_benchmark) == (1, 0, 1)
    assert across.benchmark_examples[0].second_id == "c/0"


def test_the_same_words_about_other_pictures_of_one_room_are_no_repetition(tmp_path):
    words = "how far did the camera move between the first image and the second image of this pair in metres if it went straight"
    pictures = [[Picture(place=FOLDER, path=f"{number}.jpg")] for number in range(3)]
    rows = [row(number, scan="flat", pictures=pictures[number // 2], question=words, answer="2") for number in range(3)]
    rows += [row(3, scan="flat", pictures=pictures[2], question=f"say {words}", answer="2")]
    folder(tmp_path, "a", *rows)
    found = report_of(tmp_path, "a").duplicates
    assert (found.questions, found.repeated, found.near) == (4, 1, 0)


def test_every_turn_is_asked_about(tmp_path):
    shown = (Picture(place=FOLDER, path="one.jpg"),)
    turns = (Turn(question="What is this?", answer="a chair"), Turn(question="How many legs?", answer="4"))
    folder(tmp_path, "a", replace(row(0, pictures=shown), turns=turns))
    folder(tmp_path, "bench", row(0, source="b", pictures=shown, question="How many legs?", answer="4"))
    report = report_of(tmp_path, "a", on=("bench",))
    assert report.duplicates.questions == 2 and report.questions == {"bench": 1}
