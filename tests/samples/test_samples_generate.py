"""From measured scans to a data set: same bytes, readable by `datasets`, traced to its scan, refused where damaged."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from small_store import write_scan

from sightline.errors import DataError, SceneError, UnknownNameError
from sightline.files import read_json, sha256_of
from sightline.mixtures.splits import check_no_leak, split_places
from sightline.questions import TASKS
from sightline.samples import generate
from sightline.samples.frames import load_views
from sightline.samples.generate import finish_dataset, generate_scan
from sightline.samples.shards import SCHEMA, read_samples, write_samples
from sightline.scenes.store import SceneStore

SCANS = ("scan_a", "scan_b", "scan_c")
OPTIONS = {"max_per_scan": 12}


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("small")
    for seed, scan_id in enumerate(SCANS):
        write_scan(root, scan_id, seed=seed)
    return root


def make(root: Path, out: Path, *, seed=0, scans=SCANS, options=OPTIONS) -> dict:
    splits = split_places([f"place_of_{scan_id}" for scan_id in scans], held_out_share=0.34, seed=0)
    results = {
        scan_id: generate_scan(
            scan_id,
            store=str(root / "store"),
            out=str(out),
            tasks=list(TASKS),
            split=splits[f"place_of_{scan_id}"],
            seed=seed,
            options=options,
        )
        for scan_id in scans
    }
    finish_dataset(out, store=root / "store", scan_ids=SCANS, results=results, seed=seed, options=options)
    return results


@pytest.fixture(scope="module")
def dataset(root) -> Path:
    make(root, root / "set")
    return root / "set"


def test_every_task_is_there_or_says_why_not_and_every_row_can_be_walked_back(root, dataset):
    samples = read_samples(dataset)
    asked = {sample.task for sample in samples}
    skipped = {reason.partition(":")[0] for reason in read_json(dataset / "dataset.json")["skips"]}
    assert len(asked) >= 40 and set(TASKS) - asked <= skipped
    assert len({sample.sample_id for sample in samples}) == len(samples)
    for sample in samples:
        assert sample.sample_id.startswith(f"{sample.scan_id}/{sample.task}/")
        assert sample.place_id == f"place_of_{sample.scan_id}" and sample.licence == "CC0-1.0" and sample.source == "handmade"
        assert sample.generator_version.startswith("sightline ") and sample.seed == 0 and sample.evidence
        assert all((root / "store" / path).is_file() for path in sample.image_paths)
        assert sample.answer_format.score(sample.answer_text, sample.answer_value).score == 1.0
        assert sample.prompt.endswith(sample.answer_format.instruction())


def test_the_same_seed_gives_the_same_bytes_in_any_order_of_scans(root, dataset, tmp_path):
    make(root, tmp_path / "again", scans=SCANS[::-1])
    for name in ("README.md", *(f"data/{path.name}" for path in (dataset / "data").iterdir())):
        assert sha256_of(dataset / name) == sha256_of(tmp_path / "again" / name)
    ours, again = read_json(dataset / "dataset.json"), read_json(tmp_path / "again" / "dataset.json")
    assert {**ours, "scene_store": ""} == {**again, "scene_store": ""}
    make(root, tmp_path / "other", seed=1)
    assert read_json(tmp_path / "other" / "dataset.json")["fingerprint"] != ours["fingerprint"]


def test_what_is_read_equals_what_was_written(dataset, tmp_path):
    samples = read_samples(dataset)
    write_samples(tmp_path / "copy.parquet", samples)
    assert read_samples(tmp_path / "copy.parquet") == samples


def test_datasets_loads_the_folder_offline(dataset, tmp_path, monkeypatch):
    datasets = pytest.importorskip("datasets")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    loaded = datasets.load_dataset(str(dataset), cache_dir=str(tmp_path))
    samples = read_samples(dataset)
    assert set(loaded) == {"train", "held_out"}
    assert {split: len(rows) for split, rows in loaded.items()} == {
        split: sum(sample.split == split for sample in samples) for split in ("train", "held_out")
    }
    first = loaded["train"][0]
    assert set(first) == set(SCHEMA.names) and json.loads(first["evidence"]) and first["images"][0].startswith(first["scan_id"])


def test_the_card_tells_counts_skips_and_licence(dataset):
    card = (dataset / "README.md").read_text()
    assert card.startswith("---\nlicense: cc0-1.0\n") and "path: data/held_out-*.parquet" in card
    for task in {sample.task for sample in read_samples(dataset)}:
        assert f"| {task} |" in card
    facts = read_json(dataset / "dataset.json")
    assert facts["scene_store"] == "../store" and (dataset / facts["scene_store"]).is_dir()
    assert sum(sum(counts.values()) for counts in facts["counts"].values()) == len(read_samples(dataset))
    assert all(f"| {reason} | {count} |" in card for reason, count in facts["skips"].items())


def test_samples_are_chosen_by_split_task_and_limit(dataset):
    train = read_samples(dataset, split="train")
    assert {sample.split for sample in train} == {"train"}
    assert {sample.task for sample in read_samples(dataset, tasks=["object_size"])} == {"object_size"}
    some = read_samples(dataset, limit=40)
    assert len(some) == 40 and some == read_samples(dataset, limit=40)
    assert len({sample.scan_id for sample in some}) == 3 and len({sample.task for sample in some}) >= 5
    with pytest.raises(DataError, match="expected one of train, held_out, found 'test'"):
        read_samples(dataset, split="test")


def test_splits_share_no_scan_place_or_image(root, dataset):
    check_no_leak(read_samples(dataset), SceneStore(root / "store"))


def test_views_show_the_dots_that_the_row_names(root, dataset):
    for task in ("relative_direction_hard", "depth_estimation", "camera_distance"):
        sample = read_samples(dataset, tasks=[task])[0]
        views = load_views(sample, store=root / "store", width=128, height=96, with_depth=True)
        assert [view.frame_id for view in views] == list(sample.frame_ids)
        assert all(view.rgb.shape == (96, 128, 3) and view.depth_m.shape == (30, 40) for view in views)


def test_an_answer_that_the_second_method_does_not_confirm_is_left_out_and_counted(root, tmp_path, monkeypatch):
    from sightline.questions.check import Disagreement

    def suspicious(questions, facts):
        first = questions[0]
        return (Disagreement(task=first.task, scan_id=first.scan_id, text=first.text, answer=first.answer.text, found="else"),)

    monkeypatch.setattr(generate, "check_all", suspicious)
    result = generate_scan(
        "scan_a", store=str(root / "store"), out=str(tmp_path), tasks=["camera_distance"], split="train", seed=0, options=OPTIONS
    )
    assert result["skips"]["camera_distance: check_disagrees"] == 1 and result["questions"] == {"camera_distance": 11}


def test_a_category_that_looks_like_a_placeholder_never_reaches_a_question(root, tmp_path):
    from sightline.facts.store import read_facts, write_facts

    other = tmp_path / "other"
    write_scan(other, "scan_x", seed=7)
    folder = other / "store" / "scan_x" / "facts"
    facts = read_facts(folder)
    poisoned = [type(one)(object_id=one.object_id, category="<image>", box=one.box) for one in facts.objects]
    write_facts(type(facts)(**{**{name: getattr(facts, name) for name in facts.__slots__}, "objects": tuple(poisoned)}), folder)
    result = generate_scan(
        "scan_x", store=str(other / "store"), out=str(tmp_path), tasks=["object_size"], split="train", seed=0, options=OPTIONS
    )
    assert result["questions"] == {} and result["skips"]["object_size: special_token_in_text"] >= 5


def test_facts_of_other_frames_are_refused(root, tmp_path):
    import shutil

    write_scan(tmp_path, "scan_y", seed=3, cameras=3)
    shutil.rmtree(tmp_path / "store" / "scan_y" / "facts")
    shutil.copytree(root / "store" / "scan_a" / "facts", tmp_path / "store" / "scan_y" / "facts")
    with pytest.raises(DataError, match="expected facts of these frames"):
        generate_scan("scan_y", store=str(tmp_path / "store"), out=str(tmp_path), tasks=list(TASKS), split="train", seed=0, options={})


def test_unknown_options_tasks_and_scans_are_named(root, tmp_path):
    arguments = dict(store=str(root / "store"), out=str(tmp_path), split="train", seed=0)
    with pytest.raises(UnknownNameError, match="Did you mean 'mark_objects'"):
        generate_scan("scan_a", tasks=["object_size"], options={"mark_object": False}, **arguments)
    with pytest.raises(UnknownNameError, match="Did you mean 'object_size'"):
        generate_scan("scan_a", tasks=["object_sise"], options={}, **arguments)
    with pytest.raises(SceneError, match="scan_z"):
        generate_scan("scan_z", tasks=["object_size"], options={}, **arguments)


def test_a_part_that_was_written_for_another_split_follows_its_scan_and_a_foreign_one_is_refused(root, tmp_path):
    results = make(root, tmp_path / "set")
    swapped = {scan_id: {**result, "split": "train"} for scan_id, result in results.items()}
    finish_dataset(tmp_path / "set", store=root / "store", scan_ids=SCANS, results=swapped, seed=0, options=OPTIONS)
    assert {sample.split for sample in read_samples(tmp_path / "set")} == {"train"}
    assert [path.name for path in (tmp_path / "set" / "data").iterdir()] == ["train-00000-of-00001.parquet"]
    (tmp_path / "set" / "parts" / "scan_a.parquet").write_bytes((tmp_path / "set" / "parts" / "scan_b.parquet").read_bytes())
    results["scan_a"]["questions"] = {"object_size": 3}
    with pytest.raises(DataError, match="scan_a.parquet: expected {'object_size': 3} questions, found"):
        finish_dataset(tmp_path / "set", store=root / "store", scan_ids=SCANS, results=results, seed=0, options=OPTIONS)


def test_a_data_set_without_a_question_is_refused(root, tmp_path):
    options = {"min_overlap": 0.99, "max_overlap": 1.0}
    result = generate_scan(
        "scan_a", store=str(root / "store"), out=str(tmp_path), tasks=["camera_distance"], split="train", seed=0, options=options
    )
    with pytest.raises(DataError, match="expected questions, found none"):
        finish_dataset(tmp_path, store=root / "store", scan_ids=["scan_a"], results={"scan_a": result}, seed=0, options=options)


def damaged(dataset, tmp_path, change):
    """A copy of one file of the data set with its table changed."""
    path = next((dataset / "data").glob("train-*.parquet"))
    table = change(pq.read_table(path))
    pq.write_table(table, tmp_path / "bad.parquet")
    return tmp_path / "bad.parquet"


def with_value(column, value, row=4):
    def change(table):
        values = table[column].to_pylist()
        values[row] = value
        return table.set_column(table.schema.get_field_index(column), column, pa.array(values, table.schema.field(column).type))

    return change


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (with_value("split", "test"), "row 5: column 'split': expected train or held_out, found 'test'"),
        (with_value("question", ""), "row 5: column 'question': expected text"),
        (with_value("question", None), "row 5: column 'question': expected a value, found null"),
        (with_value("answer", "Z"), "row 5: column 'answer'|row 5: the answer does not fit"),
        (with_value("answer_kind", "colour"), "row 5: column 'answer_kind'"),
        (with_value("answer_options", "{"), "row 5: column 'answer_options': expected JSON"),
        (with_value("answer_options", "[]"), "row 5: column 'answer_options': expected a JSON object"),
        (with_value("evidence", '{"a": NaN}'), "row 5: column 'evidence': expected JSON"),
        (with_value("images", ["/etc/passwd", "x"]), "row 5: column 'images'"),
        (with_value("images", []), "row 5: expected as many images as frame_ids"),
        (with_value("frame_ids", []), "row 5: expected as many images as frame_ids"),
        (with_value("marks", [{"frame_id": "none", "u_px": 1.0, "v_px": 1.0, "colour": "red", "label": ""}]), "row 5: column 'marks'"),
        (with_value("schema_version", 99), "row 5: expected schema_version 2, found 99"),
        (lambda table: table.drop_columns(["evidence"]), "expected column 'evidence'"),
        (lambda table: table.set_column(0, "id", pa.array(range(len(table)))), "column 'id': expected string, found int64"),
        (lambda table: pa.concat_tables([table.slice(0, 3), table.slice(0, 3)]), "row 4: id '.*' stands twice"),
    ],
)
def test_a_bad_row_is_named_by_file_and_row(dataset, tmp_path, change, told):
    path = damaged(dataset, tmp_path, change)
    with pytest.raises(DataError, match=told) as caught:
        read_samples(path)
    assert str(path) in str(caught.value)


def test_a_truncated_or_missing_file_is_refused(dataset, tmp_path):
    source = next((dataset / "data").glob("train-*.parquet"))
    (tmp_path / "cut.parquet").write_bytes(source.read_bytes()[:-100])
    with pytest.raises(DataError, match="damaged"):
        read_samples(tmp_path / "cut.parquet")
    with pytest.raises(DataError, match="Fix: sightline generate"):
        read_samples(tmp_path)
