"""The compact index: the same samples as Parquet, the same bytes every time, and clear words where a file is not what it should be."""

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
from small_store import write_scan
from typer.testing import CliRunner

from sightline.cli import app
from sightline.errors import DataError, SightlineError
from sightline.files import read_json, sha256_of, write_json
from sightline.questions import TASKS
from sightline.questions.rows import ROW_BYTES, row_dtype
from sightline.samples import index as index_module
from sightline.samples.generate import finish_dataset, generate_scan
from sightline.samples.index import Index, is_indexed, row_struct
from sightline.samples.shards import read_samples

SCANS = {"scan_a": "train", "scan_b": "held_out", "scan_c": "train"}
OPTIONS = {"max_per_scan": 12}
INDEXED = [task for task in TASKS if is_indexed(task)]


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("indexed")
    for seed, scan_id in enumerate(SCANS):
        write_scan(root, scan_id, seed=seed)
        write_json(root / "store" / scan_id / "facts" / "finished.json", {"made_from": "hand", "options": {"strict": False}})
    return root


def make(root: Path, out: Path, *, index: str, tasks=(*INDEXED, "object_count"), scans=tuple(SCANS), splits=SCANS) -> None:
    given = {"store": str(root / "store"), "out": str(out), "tasks": list(tasks), "seed": 0, "options": OPTIONS, "index": index}
    results = {scan_id: generate_scan(scan_id, split=SCANS[scan_id], **given) for scan_id in scans}
    results = {scan_id: {**result, "split": splits[scan_id]} for scan_id, result in results.items()}
    finish_dataset(out, store=root / "store", scan_ids=list(SCANS), results=results, seed=0, options=OPTIONS, index=index)


@pytest.fixture(scope="module")
def dataset(root) -> Path:
    make(root, root / "set", index="beside")
    return root / "set"


@pytest.fixture
def copied(dataset, tmp_path) -> Path:
    for name in ("index.json", "rows.bin", "heads.bin"):
        (tmp_path / name).write_bytes((dataset / "index" / name).read_bytes())
    return tmp_path


def test_the_index_gives_the_samples_of_the_parquet_files_in_their_order(dataset):
    in_parquet = [sample for sample in read_samples(dataset) if is_indexed(sample.task)]
    with Index.open(dataset) as index:
        assert len(index) == len(in_parquet) >= 200
        assert {sample.task for sample in in_parquet} == set(INDEXED)
        for number, sample in enumerate(in_parquet):
            assert index[number] == sample
            assert index[number - len(index)] == sample
        order = np.random.default_rng(0).permutation(len(index)).tolist()
        assert index.sample_many(order) == [in_parquet[number] for number in order]
        assert list(index) == in_parquet


def test_an_index_alone_leaves_only_other_tasks_in_parquet(root, dataset, tmp_path):
    make(root, tmp_path, index="only")
    plain = read_samples(tmp_path)
    assert plain and not any(is_indexed(sample.task) for sample in plain)
    assert plain == [sample for sample in read_samples(dataset) if not is_indexed(sample.task)]
    with Index.open(tmp_path) as alone, Index.open(dataset) as beside:
        assert list(alone) == list(beside)
    assert "| camera_distance | held_out 12, train 24 |" in (tmp_path / "README.md").read_text()


def test_a_data_set_of_indexed_tasks_alone_has_no_parquet_rows(root, tmp_path):
    make(root, tmp_path, index="only", tasks=("camera_distance", "camera_vector"))
    assert list((tmp_path / "data").glob("*.parquet")) == []
    with Index.open(tmp_path) as index:
        assert index.counts == {"camera_distance": {"held_out": 12, "train": 24}, "camera_vector": {"held_out": 12, "train": 24}}
        assert {sample.scan_id for sample in index.first_of_each_scan()} == set(SCANS)


def test_the_same_parts_give_the_same_bytes_in_any_order_of_scans(root, dataset, tmp_path):
    make(root, tmp_path, index="beside", scans=tuple(SCANS)[::-1])
    for name in ("index.json", "rows.bin", "heads.bin"):
        assert sha256_of(tmp_path / "index" / name) == sha256_of(dataset / "index" / name)


def test_the_split_is_that_of_the_finish_and_not_of_the_part(root, tmp_path):
    make(root, tmp_path, index="beside", splits={"scan_a": "held_out", "scan_b": "train", "scan_c": "train"})
    with Index.open(tmp_path) as index:
        assert {(sample.scan_id, sample.split) for sample in index} == {("scan_a", "held_out"), ("scan_b", "train"), ("scan_c", "train")}
        assert list(index) == [sample for sample in read_samples(tmp_path) if is_indexed(sample.task)]


def test_a_question_that_was_left_out_is_not_in_the_index_and_the_others_keep_their_numbers(root, tmp_path, monkeypatch):
    from sightline.samples import generate

    def disagree(questions, facts):
        return generate_check(questions, facts) + tuple(
            type("Wrong", (), {"task": one.task, "text": one.text, "answer": one.answer.text})()
            for one in [one for one in questions if one.task == "camera_vector"][3:4]
        )

    generate_check = generate.check_all
    monkeypatch.setattr(generate, "check_all", disagree)
    make(root, tmp_path, index="beside", tasks=("camera_distance", "camera_vector"))
    samples = read_samples(tmp_path)
    with Index.open(tmp_path) as index:
        assert list(index) == samples
    assert [sample.sample_id for sample in samples if sample.scan_id == "scan_a"][-1] == "scan_a/camera_vector/0010"


@pytest.mark.parametrize("task", INDEXED)
def test_a_row_unpacked_alone_is_the_row_of_the_array(task):
    dtype = row_dtype(TASKS[task].PAYLOAD)
    stored = np.random.default_rng(0).integers(0, 256, (50, ROW_BYTES), dtype=np.uint8).tobytes()
    unpacked = [row_struct(TASKS[task].PAYLOAD).unpack_from(stored, ROW_BYTES * number) for number in range(50)]
    assert repr(unpacked) == repr(np.frombuffer(stored, dtype=dtype).tolist())


def test_a_payload_that_is_no_number_is_refused():
    with pytest.raises(ValueError, match="field 'steps'"):
        row_struct(np.dtype([("steps", "f4", (3,))]))


def test_numbers_beyond_the_ends_are_refused(dataset):
    with Index.open(dataset) as index:
        for number in (len(index), -len(index) - 1):
            with pytest.raises(IndexError):
                index[number]


def test_it_pickles_as_its_path(dataset):
    with Index.open(dataset) as index, pickle.loads(pickle.dumps(index)) as again:
        assert again[7] == index[7]


@pytest.mark.parametrize("name", ["rows.bin", "heads.bin"])
def test_a_truncated_file_is_named(copied, name):
    (copied / name).write_bytes((copied / name).read_bytes()[:-1])
    with pytest.raises(DataError, match=f"{name}: expected .* bytes, found .*truncated"):
        Index.open(copied)
    (copied / name).unlink()
    with pytest.raises(DataError, match=f"{name}: expected .* bytes, found 0"):
        Index.open(copied)


@pytest.mark.parametrize("name", ["rows.bin", "heads.bin"])
def test_one_changed_byte_is_found(copied, name):
    with Index.open(copied) as index:
        index.check_files()
        last = len(index) - 1
    damaged = bytearray((copied / name).read_bytes())
    damaged[-9] ^= 1  # in the last scan
    (copied / name).write_bytes(damaged)
    with pytest.raises(DataError, match=rf"{name}.*Fix: sightline generate"), Index.open(copied) as index:
        index[last]
    with pytest.raises(DataError, match=f"{name}: expected SHA-256"):
        manifest = {**read_json(copied / "index.json"), "wording": {}}
        write_json(copied / "index.json", manifest)
        Index.open(copied).check_files()


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"format": "other"}, "expected format 'sightline-index'"),
        ({"version": 99}, "expected version 1 and schema"),
        ({"num_rows": 5}, "expected 24 bytes for each of 5 rows"),
        ({"tasks": ["no_such_task"]}, "found 'no_such_task'"),
        ({"options": {"max_per_scam": 3}}, "max_per_scan"),
    ],
)
def test_a_foreign_manifest_is_refused(copied, change, found):
    write_json(copied / "index.json", {**read_json(copied / "index.json"), **change})
    with pytest.raises(SightlineError, match=found):
        Index.open(copied)


def test_a_folder_without_an_index_is_refused(tmp_path):
    with pytest.raises(DataError, match="expected an index with index.json, found none. Fix: sightline generate"):
        Index.open(tmp_path)


def test_other_words_than_when_it_was_written_are_noticed(copied, monkeypatch):
    kind = TASKS["camera_distance"]
    monkeypatch.setattr(kind, "TEMPLATES", tuple(text.replace("camera", "photographer") for text in kind.TEMPLATES))
    with pytest.raises(DataError, match="questions of 'camera_distance' are worded otherwise"):
        Index.open(copied)


def test_image_paths_that_lead_elsewhere_are_refused():
    for path in ("/etc/passwd", "scan_a/../other", "scan_b/color/0.png"):
        with pytest.raises(DataError, match="expected image paths below 'scan_a/'"):
            index_module._safe(path, "scan_a", "here")


def test_a_damaged_part_is_named(root, tmp_path):
    make(root, tmp_path, index="beside", tasks=("camera_distance",))
    results = {
        scan_id: {"questions": {"camera_distance": 12}, "split": split, "skips": {}, "place_id": "p"} for scan_id, split in SCANS.items()
    }
    path = tmp_path / "parts" / "scan_b.index"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DataError, match="scan_b.index: expected 288 bytes of rows, found 287"):
        finish_dataset(tmp_path, store=root / "store", scan_ids=list(SCANS), results=results, seed=0, options=OPTIONS, index="beside")


@pytest.mark.parametrize("how", ["--index", "--index-only"])
def test_generate_writes_the_index_and_says_what_stays_in_parquet(root, tmp_path, how):
    told = CliRunner().invoke(
        app,
        [
            "generate",
            str(root / "store"),
            str(tmp_path),
            "max_per_scan=5",
            "--tasks",
            "camera_distance,object_count",
            "--workers",
            "0",
            how,
        ],
    )
    assert told.exit_code == 0, told.output
    assert "index" in told.output and "object_count" in told.output
    with Index.open(tmp_path) as index:
        assert {sample.task for sample in index} == {"camera_distance"}
    assert {sample.task for sample in read_samples(tmp_path)} == {"object_count"} | ({"camera_distance"} if how == "--index" else set())
    assert json.loads((tmp_path / "dataset.json").read_text())["index"]["camera_distance"]
