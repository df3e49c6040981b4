"""Every published layout, written small and read back: words, pictures at their places, answers, scans, ids."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from source_layouts import WRITERS, A, B, chat, write_lines, write_list

from sightline.errors import DataError
from sightline.mixtures.importing import Import, conversations
from sightline.mixtures.registry import data_set, data_sets
from sightline.mixtures.source import SOURCES, BadRow, place_of, scan_named
from sightline.samples.conversation import FOLDER, TAR, VIDEO, with_frames
from sightline.samples.conversation_rows import check

REAL = Path(__file__).parents[3] / "shared" / "data" / "sqa3d"


def read(name: str, folder: Path, *, split: str | None = None, media_root: Path | None = None, **options):
    return list(conversations(Import.of(data_set(name), split, folder, options=options, media_root=media_root)))


def written(name: str, folder: Path, **options):
    WRITERS[name](folder)
    split = {"vsi_bench": "test", "video_3d_llm": "val"}.get(name)
    return read(name, folder, split=split, **options)


def rows(folder: Path, *given, name: str = "qwen_vl", **options):
    write_lines(folder / "rows.jsonl", list(given))
    return read(name, folder, **options)


@pytest.mark.parametrize("name", WRITERS)
def test_every_row_of_a_published_layout_becomes_a_sound_conversation(name, tmp_path):
    found = written(name, tmp_path)
    assert len(found) >= 2
    for one in found:
        assert not isinstance(one, BadRow), one
        check(one, where=name)
        assert one.source == name and one.turns[-1].answer and one.found_at and "<image>" not in one.turns[0].question
    assert len({one.sample_id for one in found}) == len(found)


def test_every_data_set_of_the_registry_has_a_writer():
    assert set(data_sets()) - set(WRITERS) == {"sightline"}  # which has a test of its own among those of the verbs


def test_every_layout_of_the_catalog_is_one_of_a_data_set():
    assert {one.entry.layout for one in data_sets().values()} == set(SOURCES)


def test_several_turns_and_several_images_of_llava_keep_their_order(tmp_path):
    one, two = written("llava", tmp_path)
    assert [turn.answer for turn in two.turns] == ["the first", "it is larger"] and two.turns[0].question == "Which is nearer?"
    assert [picture.path for picture in two.pictures] == [A, B] and two.turns[0].picture_offsets == ()
    assert (one.scan_id, one.place_id, one.pictures[0].frame_id) == ("scene0000_00", "scannet_scene0000", "00010")
    assert one.sample_id == "one" and one.found_at == "train.json: row 1" and two.split == "train"


def test_images_inside_the_words_keep_their_places(tmp_path):
    _, inside, video = written("sharegpt", tmp_path)
    words = inside.turns[0].question
    assert words == "Compare  with ." and [words[:at] for at in inside.turns[0].picture_offsets] == ["Compare ", "Compare  with "]
    assert video.is_video and [picture.path for picture in video.pictures] == [A, B] and video.turns[0].question == "What happens?"


def test_parts_of_openai_messages_keep_their_places(tmp_path):
    several, single = written("openai", tmp_path)
    words = several.turns[0].question
    assert words == "First  then : which is nearer?" and [words[:at] for at in several.turns[0].picture_offsets] == [
        "First ",
        "First  then ",
    ]
    assert several.system == "Be brief." and several.sample_id == "train/1" and single.turns[0].question == "What is this?"


def test_the_input_of_alpaca_stands_below_the_instruction_and_history_before_both(tmp_path):
    two, later = written("alpaca", tmp_path)
    assert two.turns[0].question == "Which is nearer?\nName it." and len(two.pictures) == 2
    assert [turn.answer for turn in later.turns] == ["yes", "gone"] and later.turns[1].picture_offsets == () and later.system == "Short."


def test_pictures_of_a_later_turn_belong_to_it(tmp_path):
    turns = [*chat("<image>\nWhat is this?", "a chair"), *chat("And <image>?", "a table")]
    (one,) = rows(tmp_path, {"image": [A, B], "conversations": turns})
    assert [turn.picture_offsets for turn in one.turns] == [(), (4,)]


def test_a_whole_video_keeps_its_path_and_policy_until_frames_are_chosen(tmp_path):
    _, video, text = written("spatial_mllm_mix_133k", tmp_path)
    assert video.is_video and video.pictures[0].place == VIDEO and video.pictures[0].frame is None
    assert video.frame_policy == "uniform 16" and video.task == "object_counting" and video.scan_id == "scene0000_00"
    assert text.pictures == () and text.frame_policy == ""
    shown = with_frames(video, [30, 0, 10])
    assert [picture.frame for picture in shown.pictures] == [0, 10, 30] and shown.turns == video.turns
    check(shown, where="shown")


def test_frames_of_a_video_stand_where_the_video_stood(tmp_path):
    (one,) = rows(tmp_path, {"video": "a.mp4", "conversations": chat("Look: <video> and say.", "yes")})
    shown = with_frames(one, [5, 6])
    assert one.turns[0].picture_offsets == (6,) and shown.turns[0].picture_offsets == (6, 6)
    with pytest.raises(DataError, match="expected one whole video"):
        with_frames(shown, [1])


def test_vsi_590k_gets_its_prefix_once_and_takes_image_placeholders_for_videos(tmp_path):
    video, image = written("vsi_590k", tmp_path)
    assert video.pictures[0].path == "vsi-590k/scannet/scene0000_00.mp4" and video.turns[0].question == "How many chairs?"
    assert image.pictures[0].path == "vsi-590k/a.jpg"


def test_multispa_answers_units_and_frames_behind_marks(tmp_path):
    vector, depth, pair, asked = written("multispa", tmp_path)
    assert vector.sample_id == "displacement_vector/17" and depth.sample_id == "depth_estimation_dot/17"
    assert vector.turns[0].question.startswith("Image-1: \nImage-2: \nTask.") and vector.turns[0].picture_offsets == (9, 19)
    assert depth.pictures[0].frame_id == "00310" and [picture.frame_id for picture in pair.pictures] == ["00310", "00125"]
    assert pair.turns[0].answer == "`C`" and asked.turns[0].answer == "`[ 412 , -38 , 906 ]`"
    assert json.loads(vector.extra["gt_value"])[2] == 0.9057


def test_mindcube_counts_by_setting_and_reads_its_finetuning_rows(tmp_path):
    raw, tuned = written("mindcube_21k", tmp_path)
    assert raw.task == "among" and raw.turns[0].answer == "B" and len(raw.pictures) == 2
    assert tuned.turns[0].answer == "<answer>B. Door</answer>" and tuned.sample_id == "MindCube_train/2"


def test_scanqa_keeps_every_accepted_answer(tmp_path):
    first, _ = written("scanqa", tmp_path)
    assert first.references == ("brown", "dark brown") and first.turns[0].answer == "brown" and first.pictures == ()
    assert first.turns[0].question == "What colour is the table? Answer the question simply."
    each = read("scanqa", tmp_path, answers="each")
    assert [(one.sample_id, one.turns[0].answer) for one in each[:2]] == [
        ("train-scene0000-0", "brown"),
        ("train-scene0000-0/1", "dark brown"),
    ]


def test_a_test_file_of_scanqa_without_answers_is_refused_row_by_row(tmp_path):
    write_list(tmp_path / "ScanQA_v1.0_train.json", [{"scene_id": "scene0000_00", "question_id": "q", "question": "What?"}])
    (bad,) = read("scanqa", tmp_path)
    assert (bad.kind, bad.field) == ("empty_answer", "answers")


def test_sqa3d_joins_by_question_and_puts_the_situation_into_the_prompt(tmp_path):
    first, second = written("sqa3d", tmp_path)
    assert (
        first.turns[0].question == ("I stand at the sink. What is left of me? Answer the question using a single word or phrase.")
        and first.turns[0].answer == "window"
    )
    assert second.turns[0].answer == "yes" and second.task == "sqa3d_can" and json.loads(first.extra["position"])["y"] == -2.0
    each = read("sqa3d", tmp_path, situations="each")
    assert [one.sample_id for one in each[:2]] == ["220602000000", "220602000000/1"] and "I wash my hands." in each[1].turns[0].question


def test_a_question_of_sqa3d_without_its_annotation_is_named(tmp_path):
    written("sqa3d", tmp_path)
    path = tmp_path / "v1_balanced_sqa_annotations_train_scannetv2.json"
    stored = json.loads(path.read_text())
    stored["annotations"][0]["question_id"] = 5
    path.write_text(json.dumps(stored))
    kinds = [(one.found_at, one.kind) for one in read("sqa3d", tmp_path) if isinstance(one, BadRow)]
    assert kinds == [
        ("v1_balanced_questions_train_scannetv2.json: row 2", "unreadable"),
        ("v1_balanced_sqa_annotations_train_scannetv2.json: question 5", "unreadable"),
    ]
    stored["annotations"][0]["question_id"] = [5]
    path.write_text(json.dumps(stored))
    assert [one.kind for one in read("sqa3d", tmp_path) if isinstance(one, BadRow)] == ["unreadable", "unreadable"]
    path.unlink()
    with pytest.raises(DataError, match="annotations_train"):
        read("sqa3d", tmp_path)


def test_a_table_that_holds_no_samples_is_refused_as_a_generated_set(tmp_path):
    (tmp_path / "data").mkdir()
    pq.write_table(pa.table({"id": [1]}), tmp_path / "data" / "a.parquet")
    with pytest.raises(DataError, match="a.parquet: expected samples with column 'id' of string, found int64"):
        read("sightline", tmp_path)


@pytest.mark.skipif(not REAL.is_dir(), reason="the real test split of SQA3D is not here")
def test_the_real_test_split_of_sqa3d_is_read_whole():
    found = read("sqa3d", REAL, split="test")
    assert len(found) == 3519 and not any(isinstance(one, BadRow) for one in found)
    counts = {}
    for one in found:
        counts[one.task] = counts.get(one.task, 0) + 1
    assert counts == {"sqa3d_what": 1147, "sqa3d_is": 652, "sqa3d_how": 465, "sqa3d_which": 351, "sqa3d_can": 338, "sqa3d_others": 566}
    assert len({one.scan_id for one in found}) == 67 and found[0].turns[0].answer == "piano"
    assert found[0].turns[0].question.startswith("I am standing by the ottoman on my right facing a couple of toolboxes. What instrument")


def test_vsi_bench_words_its_two_kinds_of_questions_as_published(tmp_path):
    number, choice = written("vsi_bench", tmp_path)
    assert number.turns[0].question == (
        "These are frames of a video.\nHow many chairs?\nPlease answer the question using a single word or phrase."
    )
    assert choice.turns[0].question.split("\n")[2:] == [
        "Options:", "A. lamp", "B. door", "Answer with the option's letter from the given choices directly."
    ]  # fmt: skip
    assert choice.pictures[0].path == "arkitscenes/41069021.mp4" and choice.place_id == "arkitscenes_41069021"
    plain = read("vsi_bench", tmp_path, split="test", prompt="spatial_mllm")
    assert plain[0].turns[0].question.startswith("How many chairs?")


def test_video_3d_llm_names_a_scan_whose_frames_are_still_to_be_chosen(tmp_path):
    one, _ = written("video_3d_llm", tmp_path)
    assert (one.scan_id, one.pictures, one.frame_policy, one.is_video) == ("scene0011_00", (), "uniform 32", True)
    assert one.references == ("a chair", "chair") and one.task == "Place"
    assert one.turns[0].question == "What is by the door? Answer the question simply."


def test_embodiedscan_chats_show_their_32_frames_before_the_words(tmp_path):
    one, two = written("embodiedscan_sft", tmp_path)
    assert len(one.pictures) == 32 and one.turns[0].question == "What is left?" and one.turns[0].picture_offsets == ()
    assert one.pictures[31].frame_id == "00310" and one.scan_id == "scene0000_00" and two.sample_id == "train/2"


def test_pictures_of_tar_shards_are_known_by_their_path(tmp_path):
    (one,) = rows(tmp_path, {"image": "shards/00.tar/a.jpg", "conversations": chat("<image>What?", "x")})
    assert one.pictures[0].place == TAR
    (one,) = rows(tmp_path, {"image": str(tmp_path / "a/b.jpg"), "conversations": chat("<image>What?", "x")}, media_root=tmp_path)
    assert (one.pictures[0].place, one.pictures[0].path) == (FOLDER, "a/b.jpg")


@pytest.mark.parametrize(
    ("row", "kind", "field"),
    [
        ({"image": A, "conversations": chat("What?", "x")}, "placeholder_mismatch", "question"),
        ({"image": [A, B], "conversations": chat("<image>What?", "x")}, "placeholder_mismatch", "question"),
        ({"conversations": chat("<image>What?", "x")}, "placeholder_mismatch", "question"),
        ({"image": A, "conversations": chat("<image>What?", "<image>x")}, "placeholder_mismatch", "answer"),
        ({"image": "/etc/a.jpg", "conversations": chat("<image>What?", "x")}, "bad_path", "image"),
        ({"image": "../a.jpg", "conversations": chat("<image>What?", "x")}, "bad_path", "image"),
        ({"image": "https://a/b.jpg", "conversations": chat("<image>What?", "x")}, "unsupported", "image"),
        ({"image": "data:image/png;base64,AA", "conversations": chat("<image>What?", "x")}, "unsupported", "image"),
        ({"image": A, "images": [A], "conversations": chat("<image>What?", "x")}, "malformed", "images"),
        ({"image": A, "video": "a.mp4", "conversations": chat("<image>What?", "x")}, "unsupported", "video"),
        ({"image": 5, "conversations": chat("<image>What?", "x")}, "malformed", "image"),
        ({"conversations": chat("What?", "x")[:1]}, "broken_turns", "conversations"),
        ({"conversations": chat("What?", "x")[::-1]}, "broken_turns", "conversations[0]"),
        ({"conversations": chat("a", "b")[:1] + chat("What?", "x")}, "broken_turns", "conversations[1]"),
        ({"conversations": []}, "broken_turns", "conversations"),
        ({"conversations": "What?"}, "malformed", "conversations"),
        ({"conversations": [{"from": "human"}]}, "malformed", "conversations[0]"),
        ({"id": "x"}, "malformed", "conversations"),
        (["x"], "unreadable", ""),
    ],
)
def test_a_row_that_cannot_be_taken_is_named_and_its_neighbours_stay(tmp_path, row, kind, field):
    good = {"id": "good", "conversations": chat("What is it?", "x")}
    before, bad, after = rows(tmp_path, good, row, {**good, "id": "after"})
    assert (before.sample_id, after.sample_id) == ("good", "after")
    assert isinstance(bad, BadRow) and (bad.kind, bad.field, bad.found_at) == (kind, field, "rows.jsonl: line 2")


def test_a_line_that_is_no_json_and_blank_lines_do_not_move_the_numbers(tmp_path):
    good = json.dumps({"conversations": chat("What?", "x")})
    (tmp_path / "rows.jsonl").write_bytes(f"\ufeff{good}\n\n{{oops\n{good}\n".encode())
    found = read("qwen_vl", tmp_path)
    assert [getattr(one, "kind", "good") for one in found] == ["good", "unreadable", "good"]
    assert [one.found_at for one in found] == ["rows.jsonl: line 1", "rows.jsonl: line 3", "rows.jsonl: line 4"]


def test_half_a_character_is_a_bad_row_and_a_whole_one_is_text(tmp_path):
    for name, separator in (("rows.jsonl", "\n"), ("rows.json", ",")):
        lines = [json.dumps({"conversations": chat(f"What {word}?", "x")}) for word in ("\ud83d", "\U0001f600", "is")]
        text = separator.join(lines)
        (tmp_path / name).write_text(text if name.endswith("l") else f"[{text}]")
        bad, whole, plain = read("qwen_vl", tmp_path / name)
        assert bad.kind == "unreadable" and "half a character" in bad.message
        assert whole.turns[0].question == "What \U0001f600?" and plain.turns[0].question == "What is?"


def test_a_list_larger_than_the_window_is_read_element_by_element(tmp_path, monkeypatch):
    monkeypatch.setattr("sightline.mixtures.sources.reading.CHUNK", 7)
    given = [
        {"id": f"n{number}", "conversations": chat("Was heißt das, 日本?" * (number % 5), "é" * number or "x")} for number in range(40)
    ]
    (tmp_path / "rows.json").write_text(json.dumps(given, ensure_ascii=False), encoding="utf-8")
    found = read("qwen_vl", tmp_path)
    assert [one.turns[0].answer for one in found] == [row["conversations"][1]["value"] for row in given]


def test_a_list_that_breaks_off_says_where(tmp_path):
    (tmp_path / "rows.json").write_text('[{"conversations": []}, {"conversations": [')
    assert [one.found_at for one in read("qwen_vl", tmp_path)] == ["rows.json: row 1", "rows.json: row 2"]
    (tmp_path / "rows.json").write_text('{"conversations": []}')
    with pytest.raises(DataError, match="expected a JSON list of rows"):
        read("qwen_vl", tmp_path)


@pytest.mark.parametrize(
    ("text", "dataset", "scan_id", "place_id"),
    [
        ("posed_images/scene0011_01/00000.jpg", "", "scene0011_01", "scannet_scene0011"),
        ("train-scene0011-0", "", "", ""),
        ("arkitscenes/47333462.mp4", "", "47333462", "arkitscenes_47333462"),
        ("47333462", "ARKitScenes", "47333462", "arkitscenes_47333462"),
        ("coco/47333462.jpg", "", "", ""),
        ("scannetpp/videos/09c1414f1b.mp4", "", "09c1414f1b", "scannetpp_09c1414f1b"),
        ("09c1414f1b", "scannet++", "09c1414f1b", "scannetpp_09c1414f1b"),
    ],
)
def test_scans_and_their_rooms_are_recognised(text, dataset, scan_id, place_id):
    assert scan_named(text, dataset=dataset) == scan_id and place_of(scan_id) == place_id
