"""Bad input of generate, cards and browse is one line and leaves nothing; the same bytes come from any number of workers."""

import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from small_store import write_scan
from typer.testing import CliRunner

from sightline.cli import app
from sightline.files import mark_finished

TASKS = "camera_distance,depth_comparison,object_count,object_distance"
QUICK = ("--tasks", TASKS, "--workers", "0", "max_per_scan=4")


def sightline(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    """Three measured scans of three places in `store`, one alone in `single/store`."""
    root = tmp_path_factory.mktemp("generate")
    for seed, scan_id in enumerate(("scan_a", "scan_b", "scan_c")):
        write_scan(root, scan_id, seed=seed)
        mark_finished(root / "store" / scan_id / "facts", made_from="handmade", options={})
    shutil.copytree(root / "store" / "scan_a", root / "single" / "store" / "scan_a")
    return root


@pytest.fixture(scope="module")
def dataset(root) -> Path:
    done = sightline("generate", root / "store", root / "set", *QUICK)
    assert done.exit_code == 0, done.output
    return root / "set"


@pytest.fixture
def case(root, dataset, tmp_path) -> dict[str, Path]:
    """Folders that the rows below name, spoiled where their name says so."""
    (tmp_path / "file").write_text("not a folder")
    (tmp_path / "broken.yaml").write_text("about: a\ntasks: [camera_distance\n")
    (tmp_path / "wrong.yaml").write_text("about: a\ntasks: [camera_distence]\n")
    (tmp_path / "twice.yaml").write_text("about: a\nabout: b\ntasks: [camera_distance]\n")
    (tmp_path / "keys.yaml").write_text("about: a\ntasks: [camera_distance]\noptions: {max_per_scn: 3}\n")
    (tmp_path / "folder.yaml").mkdir()
    (tmp_path / "empty").mkdir()
    without = Path(shutil.copytree(root / "single" / "store", tmp_path / "without" / "store"))
    shutil.rmtree(without / "scan_a" / "facts")
    foreign = Path(shutil.copytree(root / "single" / "store", tmp_path / "foreign" / "store"))
    shutil.rmtree(foreign / "scan_a" / "facts")
    shutil.copytree(root / "store" / "scan_b" / "facts", foreign / "scan_a" / "facts")
    older = Path(shutil.copytree(dataset, tmp_path / "older"))
    for path in (older / "data").glob("*.parquet"):
        table = pq.read_table(path)
        version = pa.array([1] * len(table), pa.int32())
        pq.write_table(table.set_column(table.schema.get_field_index("schema_version"), "schema_version", version), path)
    return {"here": tmp_path, "store": root / "store", "single": root / "single" / "store", "set": dataset, "older": older}


BAD = {
    "no store": (("generate", "{here}/none", "{out}"), "expected a scene store"),
    "a store without scans": (("generate", "{here}/empty", "{out}"), "Fix: sightline import"),
    "no facts": (("generate", "{here}/without/store", "{out}"), "expected measured facts, found none. Fix: sightline measure"),
    "facts of another scan": (("generate", "{here}/foreign/store", "{out}", *QUICK), "Fix: sightline measure"),
    "an unknown task": (("generate", "{store}", "{out}", "--tasks", "camera_distence"), "Did you mean 'camera_distance'"),
    "an unknown preset": (("generate", "{store}", "{out}", "--preset", "multispaa"), "Did you mean 'multispa'"),
    "an unknown option": (("generate", "{store}", "{out}", "max_per_scn=3"), "Did you mean 'max_per_scan'"),
    "an unknown margin": (("generate", "{store}", "{out}", "extra.object_distance.min_gap=3"), "object_distance.min_gap: no such margin"),
    "a margin of no task": (("generate", "{store}", "{out}", "extra.object_distence.x=3"), "Did you mean 'object_distance'"),
    "an unknown executor": (("generate", "{store}", "{out}", "--executor", "slrum"), "Did you mean 'slurm'"),
    "a preset that is no YAML": (("generate", "{store}", "{out}", "--preset", "{here}/broken.yaml"), "broken.yaml:"),
    "a preset with a key twice": (("generate", "{store}", "{out}", "--preset", "{here}/twice.yaml"), "key 'about' stands twice"),
    "a preset of unknown tasks": (("generate", "{store}", "{out}", "--preset", "{here}/wrong.yaml"), "Did you mean 'camera_distance'"),
    "a preset of unknown options": (("generate", "{store}", "{out}", "--preset", "{here}/keys.yaml"), "Did you mean 'max_per_scan'"),
    "a preset that is a folder": (("generate", "{store}", "{out}", "--preset", "{here}/folder.yaml"), "folder.yaml: expected a YAML file"),
    "a preset that is not there": (("generate", "{store}", "{out}", "--preset", "{here}/none.yaml"), "expected a YAML file, found none"),
    "a benchmark from an index": (("generate", "{store}", "{out}", "--benchmark", "3", "--index-only"), "--index-only, --benchmark"),
    "a benchmark of one shard": (("generate", "{store}", "{out}", "--benchmark", "3", "--shard", "0/2"), "--shard, --benchmark"),
    "a benchmark of less than none": (("generate", "{store}", "{out}", "--benchmark", "-1"), "--benchmark: expected at least 0"),
    "a benchmark of one place": (("generate", "{single}", "{out}", "--benchmark", "3"), "--held-out-share 1"),
    "a shard beyond the last": (("generate", "{store}", "{out}", "--shard", "2/2"), "--shard: expected I/N"),
    "a merge of nothing": (("generate", "{store}", "{out}", *QUICK, "--merge"), "no finished marker"),
    "a share above one": (("generate", "{store}", "{out}", "--held-out-share", "1.5"), "held_out_share: expected 0 to 1"),
    "a share below none": (("generate", "{store}", "{out}", "--held-out-share", "-0.1"), "held_out_share: expected 0 to 1"),
    "guarded scans by another word": (("generate", "{store}", "{out}", "--benchmark-scenes", "keep"), "expected refuse, hold-out or allow"),
    "no question per scan": (("generate", "{store}", "{out}", "max_per_scan=0"), "greater than or equal to 1"),
    "a band upside down": (("generate", "{store}", "{out}", "min_overlap=0.6", "max_overlap=0.2"), "min_overlap <= max_overlap"),
    "a video longer than any scan": (("generate", "{store}", "{out}", "video_frames=9"), "expected at most 8"),
    "a limit of none": (("generate", "{store}", "{out}", "--limit", "0"), "--limit: expected at least 1"),
    "a file for a folder": (("generate", "{store}", "{here}/file", *QUICK), "found the file"),
    "a folder below a file": (("generate", "{store}", "{here}/file/out", *QUICK), "found the file"),
    "a folder that cannot be written": (("generate", "{store}", "/proc/none/out", *QUICK), "cannot be written"),
    "cards of no data set": (("cards", "{here}/empty", "{out}"), "{here}/empty"),
    "cards of an unknown task": (("cards", "{set}", "{out}", "--tasks", "object_cout"), "Did you mean 'object_count'"),
    "cards of an older data set": (("cards", "{older}", "{out}"), "expected schema_version"),
    "cards of another kind": (("cards", "{set}", "{out}", "--kind", "gif"), "--kind: expected png or jpg"),
    "cards over a file": (("cards", "{set}", "{here}/file"), "found the file"),
    "cards without their store": (("cards", "{set}", "{out}", "--store", "{here}/none"), "none"),
    "a browser of no data set": (("browse", "{here}/empty", "{out}"), "expected a data set"),
    "a browser of an older data set": (("browse", "{older}", "{out}"), "expected schema_version"),
    "a browser over a file": (("browse", "{set}", "{here}/file"), "found the file"),
    "a browser without its store": (("browse", "{set}", "{out}", "--store", "{here}/none"), "none"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_done_is_one_line_and_leaves_nothing(case, tmp_path, name):
    arguments, told = BAD[name]
    places = {**case, "out": tmp_path / "out"}
    before = contents(case["set"])
    done = sightline(*(argument.format(**places) for argument in arguments))
    assert done.exit_code == 2, done.output
    complaint = [line for line in done.stderr.splitlines() if line.startswith("sightline: ")]
    assert len(complaint) == 1 and told.format(**places) in complaint[0], done.stderr
    assert "Traceback" not in done.stderr
    left = [path for path in (tmp_path / "out").rglob("*") if path.is_file() and ".records" not in path.parts]
    assert left == [] and (tmp_path / "file").read_text() == "not a folder"
    assert contents(case["set"]) == before


def contents(folder: Path) -> dict[str, bytes]:
    """Every file of a data set but the records of its stages, which hold times."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and ".records" not in path.parts and "parts" not in path.relative_to(folder).parts
    }


def test_the_same_bytes_from_any_number_of_workers_and_from_shards(root):
    asked = ("--tasks", TASKS, "--index", "max_per_scan=4", "--held-out-share", "0.34")
    made = {}
    for workers in (0, 1, 2):
        out = root / f"workers_{workers}"
        done = sightline("generate", root / "store", out, *asked, "--benchmark", "5", "--workers", workers)
        assert done.exit_code == 0, done.output
        made[workers] = contents(out)
    for index in (1, 0):
        done = sightline("generate", root / "store", root / "sharded", *asked, "--shard", f"{index}/2", "--workers", 0)
        assert done.exit_code == 0 and not (root / "sharded" / "data").exists(), done.output
    done = sightline("generate", root / "store", root / "sharded", *asked, "--benchmark", "5", "--merge")
    assert done.exit_code == 0, done.output
    assert {Path(name).parts[0] for name in made[0]} == {"README.md", "benchmark", "data", "dataset.json", "index"}
    assert made[0] == made[1] == made[2] == contents(root / "sharded")


def test_a_store_of_one_place_is_all_for_training_and_a_preset_says_that_it_has_no_benchmark(root, tmp_path):
    done = sightline("generate", root / "single" / "store", tmp_path / "out", "--preset", "multispa", "--workers", 0, "max_per_scan=2")
    assert done.exit_code == 0, done.output
    assert "0 scans for held_out" in done.stdout and "no benchmark: nothing is held out" in done.stdout
    assert not (tmp_path / "out" / "benchmark").exists()


def test_a_preset_may_want_a_longer_video_than_a_scan_has_frames_and_says_so(root, tmp_path):
    done = sightline("generate", root / "single" / "store", tmp_path / "out", "--preset", "vsi", "--dry-run")
    assert done.exit_code == 0 and "1 of 1 scans have fewer than 32 frames" in done.stdout, done.output
