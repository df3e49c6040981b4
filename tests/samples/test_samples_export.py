"""Exports: every answer kind in every format, a placeholder per image, marks drawn once, nothing else touched or passed on unasked."""

import base64
import hashlib
import io
import json
import os
import re
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml
from export_store import KINDS, exported, planned, rows_of, sample_of_kind, write_dataset
from PIL import Image
from typer.testing import CliRunner

from sightline.answers.answer import format_from_row
from sightline.captures.images import read_rgb
from sightline.cli import app
from sightline.files import read_json, read_jsonl
from sightline.geometry.cameras import Intrinsics
from sightline.samples.export import EXPORTS, ExportAbout, ExportedImage, ExportOptions, ExportRow
from sightline.samples.formats import lmms_scoring, tables
from sightline.samples.formats.pictures import place_files
from sightline.samples.formats.write import start
from sightline.samples.frames import draw_mark
from sightline.samples.shards import read_samples

FORMATS = [name for name in EXPORTS if name != "qwen-video"]  # videos need PyAV


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("exported"))


def turns_of(row: dict) -> tuple[str, str, list[str]]:
    """(what the user says, the answer, images) of a row of any conversation format, with `<image>` for an image part."""
    if "instruction" in row:
        return row["instruction"] + row["input"], row["output"], row["images"]
    if "messages" in row:
        user, assistant = row["messages"]
        urls = [part["image_url"]["url"] for part in user["content"] if part["type"] == "image_url"]
        words = [part["text"] if part["type"] == "text" else "<image>" for part in user["content"]]
        return "\n".join(words), assistant["content"], urls
    images = row.get("images", row.get("image"))
    human, gpt = row["conversations"]
    assert (human["from"], gpt["from"]) == ("human", "gpt")
    return human["value"], gpt["value"], [images] if isinstance(images, str) else images


def digest(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.rglob("*")) if path.is_file()
    }


@pytest.mark.parametrize("to", [name for name in FORMATS if name not in ("huggingface", "lmms-eval")])
def test_every_answer_kind_is_a_row_with_as_many_placeholders_as_images_and_the_answer_apart(dataset, tmp_path, to):
    out = exported(dataset, tmp_path / "out", to)
    samples = read_samples(dataset)
    for split in ("train", "held_out"):
        expected = [sample for sample in samples if sample.split == split]
        rows = rows_of(out, to, split)
        assert len(rows) == len(expected)
        for row, sample in zip(rows, expected, strict=True):
            said, answer, images = turns_of(row)
            assert answer == sample.answer_text and said.endswith(sample.prompt)
            assert said.count("<image>") == len(images) == len(sample.frame_ids)
            assert sample.answer_text not in said or sample.answer_text in sample.prompt
            for path in images:
                assert Image.open(out / path).size == (320, 240)
    assert {sample.answer_kind for sample in samples} == set(KINDS)


def test_a_row_of_internvl_has_numbered_images_sizes_and_the_value_before_rounding(dataset, tmp_path):
    out = exported(dataset, tmp_path / "lab set", "internvl")
    first = next(read_jsonl(out / "train.jsonl"))
    assert first["conversations"][0]["value"].startswith("Image-1: <image>\nImage-2: <image>\nWhat is it, and “where” is it? Answer with")
    assert (first["width_list"], first["height_list"], first["question_type"]) == ([320, 320], [240, 240], "number_task")
    assert first["gt_value"] == 1.234 and first["conversations"][1] == {"from": "gpt", "value": "1.23"}
    alone = next(row for row in read_jsonl(out / "train.jsonl") if len(row["image"]) == 1)
    assert alone["conversations"][0]["value"].startswith("<image>\nWhat")
    meta = read_json(out / "meta_train.json")
    entry = meta["sightline_lab_set_train"]
    assert entry["length"] == len(rows_of(out, "internvl")) and entry["data_augment"] is False and entry["repeat_time"] == 1
    assert Path(entry["annotation"]).is_file() and (Path(entry["root"]) / first["image"][0]).is_file()


def test_marks_are_drawn_once_per_frame_and_marks_and_all_other_images_keep_their_bytes(dataset, tmp_path):
    out = exported(dataset, tmp_path / "out", "llava", marked_as="png")
    store = dataset.parent / "store"
    samples = {sample.sample_id: sample for sample in read_samples(dataset)}
    drawn = set()
    for row in rows_of(out, "llava"):
        sample = samples[row["id"]]
        images = [row["image"]] if isinstance(row["image"], str) else row["image"]
        for path, stored, frame_id in zip(images, sample.image_paths, sample.frame_ids, strict=True):
            marks = [mark for mark in sample.marks if mark.frame_id == frame_id]
            if not marks:
                assert os.path.samefile(out / path, (store / stored).resolve())
                continue
            expected = read_rgb(store / stored).copy()
            size = Intrinsics(fx=1.0, fy=1.0, cx=0.0, cy=0.0, width=320, height=240)
            for mark in marks:
                draw_mark(expected, mark, stored=size, where="test")
            assert np.array_equal(read_rgb(out / path), expected) and not np.array_equal(expected, read_rgb(store / stored))
            drawn.add((path, frame_id, tuple(marks)))
    files = {str(path.relative_to(out)) for path in (out / "images").rglob("*") if path.parent.name == "marked"}
    assert files == {path for path, _, _ in drawn} and len(drawn) == 3  # one dotted frame stands in four samples, once with another dot
    assert len({key[1:] for key in drawn}) == len(drawn)


def test_jpeg_copies_keep_a_dot_in_its_colour(dataset, tmp_path):
    out = exported(dataset, tmp_path / "out", "llava", tasks=["number_task"])
    path = next(row["image"] for row in rows_of(out, "llava") if "marked" in row["image"])
    with Image.open(out / path) as image:
        assert image.format == "JPEG" and image.quantization[0][0] <= 2  # quality 95
        assert [part[1:3] for part in image.layer] == [(1, 1)] * 3  # no colour subsampling
    assert np.abs(read_rgb(out / path)[60, 100].astype(int) - (255, 0, 0)).max() <= 12


def test_without_drawing_samples_with_marks_are_left_out_and_counted(dataset, tmp_path):
    out = exported(dataset, tmp_path / "out", "qwen", bake_marks=False)
    expected = [sample.sample_id for sample in read_samples(dataset, split="train") if not sample.marks]
    assert [row["id"] for row in rows_of(out, "qwen")] == expected
    assert sum(read_json(out / "finished.json")["left_out"].values()) == 5
    assert not list(out.rglob("marked"))


def test_copies_are_files_of_their_own_and_paths_lead_to_the_store(dataset, tmp_path):
    copied = exported(dataset, tmp_path / "copied", "llava", images="copy", bake_marks=False)
    image = next(path for path in (copied / "images").rglob("*.png"))
    assert image.stat().st_nlink == 1
    named = exported(dataset, tmp_path / "named", "llava", images="path")
    assert {path.parent.name for path in (named / "images").rglob("*.jpg")} == {"marked"} and not list(named.rglob("*.png"))
    for row in rows_of(named, "llava"):
        for path in [row["image"]] if isinstance(row["image"], str) else row["image"]:
            assert not path.startswith("/") and (named / path).is_file()


def test_llamafactory_registers_what_lies_in_the_folder(dataset, tmp_path):
    for to, formatting in (("llamafactory-alpaca", "alpaca"), ("llamafactory-sharegpt", "sharegpt")):
        out = exported(dataset, tmp_path / to, to)
        info = read_json(out / "dataset_info.json")
        assert len(info) == 2
        for name, entry in info.items():
            rows = read_json(out / entry["file_name"])
            assert entry["formatting"] == formatting and name.endswith(entry["file_name"].removesuffix(".json"))
            assert set(entry["columns"].values()) <= set(rows[0])


def test_data_urls_hold_the_very_bytes_and_no_folder_of_images_is_left(dataset, tmp_path):
    plain, whole = exported(dataset, tmp_path / "plain", "openai"), exported(dataset, tmp_path / "whole", "openai", data_urls=True)
    assert not (whole / "images").exists() and (plain / "train.ids.txt").read_bytes() == (whole / "train.ids.txt").read_bytes()
    for by_path, inside in zip(rows_of(plain, "openai"), rows_of(whole, "openai"), strict=True):
        for path, url in zip(turns_of(by_path)[2], turns_of(inside)[2], strict=True):
            kind, _, text = url.partition(";base64,")
            assert kind == f"data:image/{'jpeg' if path.endswith('.jpg') else 'png'}"
            assert base64.b64decode(text) == (plain / path).read_bytes()
    assert set(rows_of(plain, "openai")[0]) == {"messages"}


def test_datasets_reads_the_folder_offline_with_decoded_images(dataset, tmp_path, monkeypatch):
    datasets = pytest.importorskip("datasets")
    out = exported(dataset, tmp_path / "out", "huggingface")
    assert not (out / "images").exists()
    loaded = datasets.load_dataset(str(out), cache_dir=str(tmp_path / "cache"))
    samples = read_samples(dataset)
    assert {split: rows.num_rows for split, rows in loaded.items()} == {"train": 16, "held_out": 2}
    for row, sample in zip(loaded["train"], [sample for sample in samples if sample.split == "train"], strict=True):
        assert (row["id"], row["prompt"], row["answer"]) == (sample.sample_id, sample.prompt, sample.answer_text)
        assert [image.size for image in row["images"]] == [(320, 240)] * len(sample.frame_ids)
        form = format_from_row(row["answer_kind"], json.loads(row["answer_options"]))
        assert form.to_row() == sample.answer_format.to_row()
    by_path = exported(dataset, tmp_path / "by_path", "huggingface", images="path")
    named = datasets.load_dataset(str(by_path), cache_dir=str(tmp_path / "cache"), split="train")
    assert all((by_path / path).is_file() for row in named for path in row["images"])


def test_full_parquet_files_are_followed_by_others_and_the_rows_keep_their_order(dataset, tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "ROWS_PER_GROUP", 4)
    one = exported(dataset, tmp_path / "one", "huggingface", split="train")
    assert pq.ParquetFile(one / "data" / "train-00000-of-00001.parquet").num_row_groups == 4
    monkeypatch.setattr(tables, "BYTES_PER_FILE", 1)
    out = exported(dataset, tmp_path / "out", "huggingface", split="train")
    files = sorted((out / "data").iterdir())
    assert [path.name for path in files] == [f"train-0000{index}-of-00004.parquet" for index in range(4)]
    ids = [name for path in files for name in pq.read_table(path)["id"].to_pylist()]
    assert ids == [sample.sample_id for sample in read_samples(dataset, split="train")]


def test_the_card_names_licence_size_and_files(dataset, tmp_path):
    out = exported(dataset, tmp_path / "out", "huggingface")
    head = yaml.safe_load((out / "README.md").read_text().split("---")[1])
    assert head["license"] == "cc0-1.0" and head["size_categories"] == ["n<1K"]
    paths = {one["split"]: one["path"] for one in head["configs"][0]["data_files"]}
    assert paths == {"train": "data/train-*.parquet", "held_out": "data/held_out-*.parquet"}


def test_lmms_eval_tasks_show_the_prompt_and_score_the_truth_as_right_and_nonsense_as_wrong(dataset, tmp_path):
    out = exported(dataset, tmp_path / "out", "lmms-eval")
    group = yaml.safe_load((out / "sightline_out_train.yaml").read_text())
    assert len(group["task"]) == len(KINDS) and group["aggregate_metric_list"][0]["weight_by_size"] is False
    seen = set()
    for name in group["task"]:
        text = (out / f"{name}.yaml").read_text()
        assert "!function utils.process_results" in text
        (path,) = yaml.safe_load(text.replace("!function ", ""))["dataset_kwargs"]["data_files"]["test"]
        for doc in pq.read_table(path).to_pylist():
            seen.add(doc["answer_kind"])
            assert doc["answer"] == lmms_scoring.doc_to_target(doc)
            assert lmms_scoring.doc_to_text(doc, {"pre_prompt": "Look. "}) == f"Look. {doc['prompt']}"
            assert lmms_scoring.process_results(doc, [doc["answer"]]) == {"score": 1.0, "parsed": 1.0}
            assert lmms_scoring.process_results(doc, ["I would rather not say so"])["score"] == 0.0
            doc["images"] = [Image.open(io.BytesIO(one["bytes"])) for one in doc["images"]]
            assert [image.mode for image in lmms_scoring.doc_to_visual(doc)] == ["RGB"] * len(doc["images"])
    assert seen == set(KINDS) and lmms_scoring.mean([0.0, 1.0, 0.5]) == 0.5


def test_long_runs_of_images_become_a_real_video_and_short_ones_stay_images(dataset, tmp_path):
    av = pytest.importorskip("av")
    out = exported(dataset, tmp_path / "out", "qwen-video")
    rows = {row["id"]: row for row in rows_of(out, "qwen-video")}
    walks = [row for row in rows.values() if "video" in row]
    assert len(walks) == 2 and len(rows) == 16 and walks[0]["video"] != walks[1]["video"]  # one of them has a dot
    samples = {sample.sample_id: sample for sample in read_samples(dataset)}
    for row in walks:
        assert row["conversations"][0]["value"].startswith("<video>\nWhat") and "image" not in row
        with av.open(str(out / row["video"])) as container:
            frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
            assert float(container.streams.video[0].average_rate) == 1.0
        sample = samples[row["id"]]
        assert len(frames) == len(sample.frame_ids) == 8
        for frame, stored in list(zip(frames, sample.image_paths, strict=True))[1:]:  # the first may bear the dot
            assert np.abs(frame.astype(int) - read_rgb(dataset.parent / "store" / stored)).mean() < 4.0
    again = exported(dataset, tmp_path / "again", "qwen-video")
    assert digest(again / "videos") == digest(out / "videos")


def test_worker_count_changes_no_byte_and_a_finished_export_is_left_alone(dataset, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    to = "llamafactory-sharegpt"
    runner = CliRunner()
    made = []
    for workers in (0, 2):
        done = runner.invoke(app, ["export", str(dataset), "out", "--to", to, "--workers", str(workers)])
        assert done.exit_code == 0, done.output
        made.append(digest(tmp_path / "out"))
        again = runner.invoke(app, ["export", str(dataset), "out", "--to", to])
        assert again.exit_code == 0 and "out is finished: 16 train, 2 held_out rows" in again.output
        (tmp_path / "out").rename(tmp_path / f"out_{workers}")
    assert made[0] == made[1] and len(made[0]) > 3
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_a_stopped_export_leaves_no_folder_and_goes_on_where_it_was(dataset, tmp_path):
    prepared = planned(dataset, tmp_path / "out", "llava")
    plans = start(prepared)
    place_files("scan_a", folder=str(prepared.about.folder))
    kept = next((prepared.about.folder / "images").rglob("*.jpg"))
    before = kept.stat().st_mtime_ns
    assert set(plans) == {"scan_a", "scan_b"} and not (tmp_path / "out").exists()
    exported(dataset, tmp_path / "out", "llava")
    after = tmp_path / "out" / kept.relative_to(prepared.about.folder)
    assert after.stat().st_mtime_ns == before and not prepared.about.folder.exists()
    other = planned(dataset, tmp_path / "out", "llava", limit=3)  # another export begins anew and replaces the older one
    assert not other.is_finished
    exported(dataset, tmp_path / "out", "llava", limit=3)
    assert len(rows_of(tmp_path / "out", "llava")) <= 3 and planned(dataset, tmp_path / "out", "llava", limit=3).is_finished


def test_the_rows_on_the_documentation_page_are_the_rows_that_are_written():
    page = (Path(__file__).parent.parent.parent / "docs" / "exporting.md").read_text("utf-8")
    shown = {name: json.loads(row) for name, row in re.findall(r"^## ([\w-]+)\n\n```json\n(.*?)\n```", page, re.M)}
    asked = replace(sample_of_kind("vector", frames=("000000", "000001")), question="How did the camera move from image 1 to image 2?")
    images = tuple(ExportedImage(path=f"images/{path}", width=320, height=240) for path in asked.image_paths)
    row = ExportRow(sample=asked, images=images)
    video = replace(row, video="videos/scan_a/0123456789abcdef.mp4")
    assert {name: row_as_written(name, video if name == "qwen-video" else row) for name in shown} == shown
    assert set(re.findall(r"^## ([\w-]+)$", page, re.M)) == set(EXPORTS) and len(shown) == len(EXPORTS) - 2


def row_as_written(to: str, row: ExportRow) -> dict:
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        about = ExportAbout(name="n", folder=out, out=out, options=ExportOptions(), licences=("",), sources=("",), is_gated=False)
        EXPORTS[to]().write({"train": [row]}, about)
        (written,) = rows_of(out, to)
    return written
