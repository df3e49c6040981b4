"""The verbs data list, data check and data import: what people read, what files they get, one line and exit code 2 for mistakes."""

import json
import re
from pathlib import Path

import pytest
from small_store import write_scan
from source_layouts import chat, qwen_vl, sqa3d, write_lines
from typer.testing import CliRunner

from sightline.cli import app
from sightline.files import mark_finished
from sightline.samples.conversation_files import ConversationTable

DOCS = Path(__file__).parent.parent / "docs" / "datasets.md"


def sightline(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def refused(done, *words):
    assert done.exit_code == 2 and "Traceback" not in done.output, done.output
    said = " ".join(done.output.split())
    assert said.count("sightline: ") == 1
    for word in words:
        assert word in said, said


@pytest.fixture
def rows(tmp_path) -> Path:
    qwen_vl(tmp_path / "rows")
    return tmp_path / "rows"


def test_list_names_every_data_set_with_its_terms():
    done = sightline("data", "list")
    assert done.exit_code == 0 and "train 26623, val 3261, test 3519" in done.output and "CC-BY-4.0" in done.output
    one = sightline("data", "list", "vsi_bench").output
    assert "5130 rows, a benchmark: never to be trained on" in one and "nyu-visionx/VSI-Bench" in one
    assert json.loads(sightline("data", "list", "--json").output)["scanqa"]["layout"] == "scanqa"
    refused(sightline("data", "list", "scanqaa"), "Did you mean 'scanqa'")


def test_every_data_set_stands_on_the_page():
    from sightline.mixtures import SOURCES
    from sightline.mixtures.registry import data_sets
    from sightline.mixtures.source import PROBLEMS

    page = DOCS.read_text("utf-8")
    missing = [name for name in (*data_sets(), *SOURCES, *PROBLEMS) if f"`{name}`" not in page]
    assert missing == []


def test_check_counts_and_imports_write_what_a_table_reads(rows, tmp_path):
    done = sightline("data", "check", "qwen_vl", rows)
    assert done.exit_code == 0 and "3 rows, 3 good, 0 bad; 3 answers, 3 pictures" in done.output
    done = sightline("data", "import", "qwen_vl", rows, tmp_path / "out", "frame_policy=uniform 8", "--json", tmp_path / "counts.json")
    assert done.exit_code == 0 and "3 conversations in" in done.output
    assert [one.frame_policy for one in ConversationTable(tmp_path / "out")] == ["", "uniform 8", ""]
    assert json.loads((tmp_path / "counts.json").read_text())["rows"] == 3
    assert "finished before" in sightline("data", "import", "qwen_vl", rows, tmp_path / "out", "frame_policy=uniform 8").output
    assert "3 rows, 3 good" in sightline("data", "check", tmp_path / "out").output


def test_missing_pictures_decide_the_exit_code(rows, tmp_path):
    (tmp_path / "media" / "scannet" / "videos").mkdir(parents=True)
    (tmp_path / "media" / "scannet" / "videos" / "scene0000_00.mp4").write_bytes(b"x")
    options = ("--media", tmp_path / "media")
    refused(sightline("data", "check", "qwen_vl", rows, *options), "1 of 3 rows are bad (33.33%, at most 0.00% may be): 2 missing_picture")
    assert sightline("data", "check", "qwen_vl", rows, *options, "--max-bad-share", 0.4).exit_code == 0
    done = sightline("data", "check", "qwen_vl", rows, *options, "--allow", "missing_picture")
    assert done.exit_code == 0 and "(allowed)" in done.output
    refused(sightline("data", "import", "qwen_vl", rows, tmp_path / "out", *options), "All of them:", "problems.jsonl")
    assert not (tmp_path / "out" / "data").exists()
    done = sightline("data", "import", "qwen_vl", rows, tmp_path / "out", *options, "--max-bad-share", 0.4)
    assert done.exit_code == 0 and len(ConversationTable(tmp_path / "out")) == 2
    assert "2 rows, 2 good" in sightline("data", "check", tmp_path / "out").output  # with the media root that it was imported with


def test_a_dry_run_shows_the_first_row_and_writes_nothing(rows, tmp_path):
    done = sightline("data", "import", "qwen_vl", rows, tmp_path / "out", "--dry-run")
    assert done.exit_code == 0 and "first row: Conversation(sample_id='one'" in done.output and not (tmp_path / "out").exists()


def test_a_limit_takes_the_first_rows_of_the_source(rows, tmp_path):
    assert "2 conversations in" in sightline("data", "import", "qwen_vl", rows, tmp_path / "out", "--limit", 2).output


def test_fewer_rows_than_published_are_told(tmp_path):
    sqa3d(tmp_path)
    done = sightline("data", "check", "sqa3d", tmp_path, "--split", "train")
    assert done.exit_code == 0 and "expected 26623 rows, found 2" in done.output


def test_generated_samples_are_checked_and_imported(tmp_path):
    write_scan(tmp_path, "scan_a", seed=1)
    mark_finished(tmp_path / "store" / "scan_a" / "facts", made_from="handmade", options={})
    done = sightline("generate", tmp_path / "store", tmp_path / "set", "--tasks", "camera_distance", "--workers", "0", "max_per_scan=4")
    assert done.exit_code == 0, done.output
    done = sightline("data", "check", tmp_path / "set", "--store", tmp_path / "store")
    assert done.exit_code == 0 and re.search(r"[1-4] rows, ([1-4]) good, 0 bad", done.output), done.output
    refused(sightline("data", "check", tmp_path / "set", "--store", tmp_path), "missing_picture")
    assert sightline("data", "import", "sightline", tmp_path / "set", tmp_path / "out").exit_code == 0
    refused(sightline("data", "import", "sightline", tmp_path / "set", tmp_path / "held", "--split", "held_out"), "at least one row")
    one = ConversationTable(tmp_path / "out")[0]
    assert one.split == "train" and one.task == "camera_distance" and one.pictures[0].place == "store" and one.scan_id == "scan_a"


def test_a_data_set_of_ones_own_is_imported_by_its_file(tmp_path):
    write_lines(tmp_path / "mine" / "a.jsonl", [{"image": "x.jpg", "conversations": chat("<image>What?", "x")}])
    (tmp_path / "lab.yaml").write_text("what: Ours.\nlayout: llava\nlicence: CC0-1.0\nsplits:\n  train: {files: [a.jsonl]}\n")
    assert sightline("data", "import", tmp_path / "lab.yaml", tmp_path / "mine", tmp_path / "out").exit_code == 0
    assert ConversationTable(tmp_path / "out")[0].source == "lab"
    assert "lab" in sightline("data", "list", "--registry", tmp_path / "lab.yaml").output


def test_mistakes_are_one_line(rows, tmp_path):
    refused(sightline("data", "check", "qwen_vl"), "expected a folder, or a name with the folder")
    refused(sightline("data", "check", rows), "say whose layout they have: sightline data check NAME")
    refused(sightline("data", "check", "qwen_vl", tmp_path / "none"), "found none. How to obtain it")
    refused(sightline("data", "check", "qwen_vl", rows, "--media", tmp_path / "none"), "--media: expected a folder")
    refused(sightline("data", "check", "qwen_vl", rows, "--allow", "missing_pictures"), "--allow: expected kinds of")
    refused(sightline("data", "import", "qwen_vl", rows, tmp_path / "out", "media_prefx=x"), "Did you mean 'media_prefix'")
    refused(sightline("data", "import", "qwen_vl", rows, tmp_path / "out", "--split", "test"), "no split called 'test'")
    (tmp_path / "file").write_text("x")
    refused(sightline("data", "import", "qwen_vl", rows, tmp_path / "file"), "expected a folder to write into")
