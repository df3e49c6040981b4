"""The browser of a data set: every question in it, hostile words harmless, and a page that runs in a real browser from disk."""

import json
import re
import shutil
import subprocess
from dataclasses import replace

import pytest
from small_store import write_scan

from sightline.answers.box import Box
from sightline.answers.point import Point
from sightline.errors import DataError
from sightline.questions.engine import ask_all
from sightline.questions.question import TaskOptions
from sightline.reports import browser
from sightline.reports.browser import write_browser
from sightline.samples.generate import samples_of
from sightline.samples.shards import write_samples
from sightline.scenes.store import SceneStore

EVIL = "</script><img src=x onerror=document.title=1>\u2028<!--"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    root = tmp_path_factory.mktemp("browsed")
    facts = write_scan(root, "scan_a", seed=1, cameras=6)
    asked = ask_all(facts, ["camera_distance", "depth_estimation", "object_count"], seed=0, options=TaskOptions(max_per_scan=12))
    samples = samples_of(asked.questions, SceneStore(root / "store").read("scan_a"), split="train", seed=0)
    samples[0] = replace(samples[0], question=f"How far is it? {EVIL}")
    write_samples(root / "data" / "data" / "train-00000-of-00001.parquet", samples)
    audit = {"camera_distance": {"chance": 0.2, "most_frequent": 0.3, "from_words": None, "repeated": 1, "contradicting": 0}}
    (root / "data" / "dataset.json").write_text(json.dumps({"scene_store": "../store", "audit": audit, "skips": {"a: b": 3}}))
    return root / "data", samples


def rows_of(folder):
    found = []
    for path in sorted((folder / "rows").glob("*.js")):
        found += json.loads(re.fullmatch(r"sightlineRows\(\d+, (.*)\);\n", path.read_text(), re.DOTALL)[1])
    return found


def test_every_question_is_in_it_once_with_its_words_marks_and_check_values(dataset, tmp_path, monkeypatch):
    monkeypatch.setattr(browser, "ROWS_PER_FILE", 10)
    folder, samples = dataset
    made = write_browser(folder, tmp_path / "out")
    rows = rows_of(tmp_path / "out")
    assert made.questions == len(samples) == len(rows) and [row["id"] for row in rows] == [sample.sample_id for sample in samples]
    assert len(list((tmp_path / "out" / "rows").glob("*.js"))) == -(-len(samples) // 10)
    assert len(list((tmp_path / "out" / "images").glob("*.jpg"))) == made.frames <= 6
    for row, sample in zip(rows, samples):
        assert [picture["frame"] for picture in row["pictures"]] == list(sample.frame_ids)
        assert sum(len(picture["marks"]) for picture in row["pictures"]) == len(sample.marks)
        assert row["checks"] and dict(map(tuple, row["from"]))["licence"] == "CC0-1.0"


def test_no_word_of_a_question_can_end_a_script(dataset, tmp_path):
    write_browser(dataset[0], tmp_path / "out")
    for path in [tmp_path / "out" / "index.html", *(tmp_path / "out" / "rows").glob("*.js")]:
        text = path.read_text()
        assert "onerror=document" not in text.replace("\\u003cimg src=x onerror=document", "") and "\u2028" not in text
    assert any(EVIL in row["question"] for row in rows_of(tmp_path / "out"))


@pytest.mark.parametrize(
    ("form", "value"), [(Point(width=320, height=240), (500.0, 500.0)), (Box(width=320, height=240), (250.0, 250.0, 750.0, 750.0))]
)
def test_an_answer_that_is_a_place_is_drawn_where_it_is(dataset, tmp_path, form, value):
    folder, samples = dataset
    placed = replace(samples[0], answer_kind=form.kind, answer_options=form.to_row(), answer_text=form.render(value), answer_value=value)
    (tmp_path / "data" / "data").mkdir(parents=True)
    write_samples(tmp_path / "data" / "data" / "train-00000-of-00001.parquet", [placed])
    (tmp_path / "data" / "dataset.json").write_text(json.dumps({"scene_store": str(folder.parent / "store")}))
    write_browser(tmp_path / "data", tmp_path / "out")
    (row,) = rows_of(tmp_path / "out")
    assert row["place"] == pytest.approx([159.5, 119.5] if form.kind == "point" else [79.5, 59.5, 239.5, 179.5])


def test_few_of_each_task_are_shown_where_that_is_asked(dataset, tmp_path):
    assert write_browser(dataset[0], tmp_path / "out", per_task=2).questions == 6


def test_a_data_set_without_questions_leaves_nothing_behind(dataset, tmp_path):
    (tmp_path / "data" / "data").mkdir(parents=True)
    write_samples(tmp_path / "data" / "data" / "train-00000-of-00001.parquet", [])
    (tmp_path / "data" / "dataset.json").write_text(json.dumps({"scene_store": "../store"}))
    with pytest.raises(DataError, match="expected questions to show"):
        write_browser(tmp_path / "data", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
def test_the_page_shows_its_cards_in_a_real_browser_from_disk(dataset, tmp_path):
    page = write_browser(dataset[0], tmp_path / "out").page

    def shown(height_px):
        command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", f"--window-size=1200,{height_px}", "--virtual-time-budget=8000"]
        return subprocess.run([*command, "--dump-dom", page.as_uri()], capture_output=True, text=True, timeout=120, check=True).stdout

    assert 0 < shown(600).count("<article") < len(dataset[1])  # what is far below is not made yet
    dom = shown(30_000)
    assert dom.count("<article") == len(dataset[1])
    assert dom.count("<circle") == 2 * sum(len(sample.marks) for sample in dataset[1])
    assert "no more" in dom and "<title>data</title>" in dom and "onerror=document.title=1&gt;" in dom
