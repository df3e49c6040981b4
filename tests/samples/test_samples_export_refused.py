"""Exports that are refused, and in which words: gated images, special tokens, foreign folders, options that do not go together."""

from dataclasses import replace
from pathlib import Path

import pytest
from export_store import GATED, exported, planned, sample_of_kind, some_samples, write_dataset
from PIL import Image
from typer.testing import CliRunner

from sightline.answers.answer import format_from_row
from sightline.cli import app
from sightline.errors import ConfigError, DataError, UnknownNameError
from sightline.files import read_json, read_jsonl
from sightline.questions.question import Mark
from sightline.samples.export import ExportedImage, ExportRow
from sightline.samples.formats.pictures import place_files
from sightline.samples.formats.texts import expect_placeholders, user_text
from sightline.samples.formats.write import start
from sightline.samples.shards import read_samples


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("exported"))


def test_images_of_another_size_say_so_and_what_speaks_of_pixels_is_refused(dataset, tmp_path):
    out = exported(dataset, tmp_path / "out", "internvl", width=160, height=120)
    for row in read_jsonl(out / "train.jsonl"):
        assert set(row["width_list"]) == {160} and all(Image.open(out / path).size == (160, 120) for path in row["image"])
    in_pixels = replace(sample_of_kind("point", frames=("0000",)), answer_options={"width": 320, "height": 240, "scale": "pixels"})
    frame_id = read_samples(dataset)[0].frame_ids[0]
    form = format_from_row("point", in_pixels.answer_options)
    in_pixels = replace(
        in_pixels,
        frame_ids=(frame_id,),
        image_paths=(f"scan_a/color/{frame_id}.png",),
        answer_options=form.to_row(),
        answer_text=form.render(in_pixels.answer_value),
    )
    pixels = write_dataset(tmp_path, [in_pixels])
    with pytest.raises(DataError, match="expected no sample that speaks of pixels, found 1, such as scan_a/point_task/0000"):
        planned(pixels, tmp_path / "refused", "qwen", width=160, height=120)
    assert planned(pixels, tmp_path / "kept", "qwen").num_rows == 1


def test_a_folder_that_no_export_made_is_never_replaced(dataset, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("words")
    for place in (tmp_path / "mine", dataset):
        with pytest.raises(ConfigError, match="expected a new folder or an older export, found something else"):
            start(planned(dataset, place, "llava"))
    assert (tmp_path / "mine" / "thesis.tex").read_text() == "words"


def test_images_that_may_not_be_passed_on_are_neither_copied_nor_drawn_unless_asked(dataset, tmp_path):
    frame_ids = read_samples(dataset, tasks=["text_task"])[1].frame_ids
    gated = [replace(sample, licence=GATED) for sample in some_samples(frame_ids)]
    folder = write_dataset(tmp_path, gated)
    for to, options in (
        ("llava", {}),
        ("llava", {"images": "path"}),
        ("openai", {"images": "path", "bake_marks": False, "data_urls": True}),
    ):
        with pytest.raises(DataError, match=r"samples show images that may not be passed on \(Terms of Use .*--allow-gated-images"):
            planned(folder, tmp_path / "out", to, **options)
    out = exported(folder, tmp_path / "out", "llava", images="path", bake_marks=False)
    assert {path.name for path in out.iterdir()} == {"train.json", "held_out.json", "finished.json"}
    assert read_json(out / "finished.json")["may_be_passed_on"] is True
    with pytest.raises(DataError, match="1 of 13 samples show images"):  # of the walk, a video would be made
        planned(folder, tmp_path / "walks", "qwen-video", images="path", bake_marks=False)
    own = exported(folder, tmp_path / "own", "huggingface", allow_gated_images=True)
    assert read_json(own / "finished.json")["may_be_passed_on"] is False and "may not be passed on" in (own / "README.md").read_text()


def test_special_tokens_and_wrong_counts_of_placeholders_are_refused(dataset, tmp_path):
    frame_id = read_samples(dataset)[0].frame_ids[0]
    for word in ("<image>", "<|vision_start|>", "<IMG_CONTEXT>", "<ref>"):
        asked = replace(sample_of_kind("word", frames=(frame_id,)), question=f"What is {word} here?")
        bad = write_dataset(tmp_path, [asked])
        with pytest.raises(DataError, match="sample scan_a/word_task/0000: expected plain words, found the special token"):
            planned(bad, tmp_path / "out", "qwen")
    with pytest.raises(DataError, match="expected 2 <image> and 0 <video> in the user's turn, found 1 and 0"):
        expect_placeholders("<image>\nWhat?", images=2, videos=0, where="a/b/0")
    row = ExportRow(sample=replace(asked, question="<image> or what?"), images=(ExportedImage(path="a.png", width=4, height=4),))
    with pytest.raises(DataError, match="expected 1 <image> and 0 <video> in the user's turn, found 2"):
        user_text(row)


def test_bad_input_is_one_clear_line(dataset, tmp_path):
    with pytest.raises(UnknownNameError, match="no export format called 'interval'. Did you mean 'internvl'"):
        planned(dataset, tmp_path / "out", "interval")
    with pytest.raises(ConfigError, match="--width, --height: expected both or neither"):
        planned(dataset, tmp_path / "out", "qwen", width=320)
    with pytest.raises(ConfigError, match="--images path: expected no --width"):
        planned(dataset, tmp_path / "out", "qwen", width=32, height=24, images="path")
    with pytest.raises(ConfigError, match="--data-urls: expected --to openai, found --to qwen"):
        planned(dataset, tmp_path / "out", "qwen", data_urls=True)
    with pytest.raises(ConfigError, match="expected link or copy for lmms-eval"):
        planned(dataset, tmp_path / "out", "lmms-eval", images="path")
    with pytest.raises(ConfigError, match="--store: expected the scene store"):
        planned(dataset / "data" / "train-00000-of-00001.parquet", tmp_path / "out", "qwen")
    marked = write_dataset(tmp_path, [one for one in read_samples(dataset) if one.marks])
    with pytest.raises(DataError, match="expected a sample without marks, found 5 with them"):
        planned(marked, tmp_path / "out", "qwen", bake_marks=False)
    done = CliRunner().invoke(app, ["export", str(dataset), str(tmp_path / "out"), "--to", "qwen", "--tasks", "wrd_task"])
    assert done.exit_code == 2 and "Did you mean 'word_task'?" in done.output
    done = CliRunner().invoke(app, ["export", str(dataset), str(tmp_path / "out"), "--to", "qwen", "--images", "hard"])
    assert done.exit_code == 2 and "images" in done.output and "Traceback" not in done.output


def test_a_dry_run_says_what_would_be_done_and_writes_nothing(dataset, tmp_path):
    done = CliRunner().invoke(app, ["export", str(dataset), str(tmp_path / "out"), "--to", "qwen", "--dry-run", "--no-bake-marks"])
    assert (
        done.exit_code == 0
        and "left out 5 samples with marks" in done.output
        and "11 train, 2 held_out rows would be written" in done.output
    )
    assert list(tmp_path.iterdir()) == []


def test_a_mark_outside_its_image_is_named_with_its_sample(dataset, tmp_path):
    frame_id = read_samples(dataset)[0].frame_ids[0]
    out_of_it = Mark(frame_id=frame_id, u_px=900.0, v_px=10.0, colour="red")
    bad = write_dataset(tmp_path, [sample_of_kind("number", frames=(frame_id,), marks=(out_of_it,))])
    prepared = planned(bad, tmp_path / "out", "qwen")
    start(prepared)
    with pytest.raises(DataError, match="sample scan_a/number_task/0000: expected a mark inside the 320x240 image"):
        place_files("scan_a", folder=str(prepared.about.folder))
