"""Array scripts and shards: every scan in exactly one shard, words survive the shell, markers are verified at the end."""

import subprocess
from pathlib import Path

import pytest
from jobs_for_tests import squared
from typer.testing import CliRunner

from sightline.cli import app
from sightline.errors import ConfigError, ExecutionError, UnknownNameError
from sightline.execution.array_script import CPUS, ELEMENT, ArrayScript
from sightline.execution.element import main, read_job, write_job
from sightline.execution.execution import Job, Shard, shard_named
from sightline.execution.ray import RayExecutor
from sightline.execution.slurm import SlurmExecutor
from sightline.verbs.common import run_stage, spread

AWKWARD = ["it's", "a b", "$HOME", "`date`", 'say "no"', "*", "-x", "", "ünï", "a\\b", "100%"]


def script(**changes) -> ArrayScript:
    given = {"name": "test", "folder": Path("/tmp/some where"), "log_folder": Path("/tmp/logs"), "shards": 3, "cpus": 2}
    return ArrayScript(**given | {"element": ["echo", *AWKWARD, f"{ELEMENT}/3", CPUS], "merge": ["echo", "merge"]} | changes)


@pytest.mark.parametrize("count", [1, 2, 3, 7, 20])
def test_every_key_is_in_exactly_one_shard(count):
    keys = [f"scan{number}" for number in range(11)]
    parts = [Shard(index=index, count=count).of(keys) for index in range(count)]
    assert sorted(key for part in parts for key in part) == sorted(keys)
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


@pytest.mark.parametrize("text", ["8/8", "-1/8", "1", "a/b", "1/0", "1.0/2", ""])
def test_a_shard_that_is_none_is_refused(text):
    with pytest.raises(ConfigError, match="expected I/N"):
        shard_named(text)


@pytest.mark.parametrize("merge", [["echo", "merge"], []])
def test_a_script_is_bash_and_its_words_arrive_as_they_were(tmp_path, merge):
    path = tmp_path / "job.sbatch"
    path.write_text(script(element=["printf", "%s\\n", *AWKWARD, f"{ELEMENT}/3", CPUS], merge=merge).text)
    assert subprocess.run(["bash", "-n", path], capture_output=True, check=False).stderr == b""
    environment = {"SLURM_ARRAY_TASK_ID": "2", "SLURM_CPUS_PER_TASK": "4", "PATH": "/usr/bin:/bin"}
    done = subprocess.run(["bash", path], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.split("\n") == [*AWKWARD, "2/3", "4", ""]


def test_what_slurm_reads_stands_before_the_first_command():
    lines = script(partition="some", time_limit="1:00:00").text.splitlines()
    head = lines[1 : next(number for number, line in enumerate(lines) if number and not line.startswith("#SBATCH"))]
    assert lines[0] == "#!/bin/bash" and {"#SBATCH --array=0-2", "#SBATCH --cpus-per-task=2", "#SBATCH --requeue"} <= set(head)
    assert {"#SBATCH --partition=some", "#SBATCH --time=1:00:00"} <= set(head)
    assert not any("partition" in line or "time" in line for line in script(merge=()).text.splitlines())


@pytest.mark.parametrize(
    "wrong", [{"shards": 0}, {"shards": 1002}, {"cpus": 0}, {"partition": "a\n#SBATCH --x"}, {"time_limit": ""}, {"folder": Path("/a\nb")}]
)
def test_a_script_that_slurm_would_read_otherwise_is_refused(wrong):
    with pytest.raises(ConfigError, match="expected"):
        script(**wrong)


def test_submitting_makes_the_array_and_a_merge_that_waits_for_it(tmp_path):
    """A stand-in for sbatch tells what it was given; the real one runs in the cluster tests."""
    fake = tmp_path / "sbatch"
    fake.write_text('#!/bin/bash\necho "$*" >> "$(dirname "$0")/given"\necho "17;cluster"\n')
    fake.chmod(0o755)
    path = tmp_path / "job.sbatch"
    path.write_text(script(log_folder=tmp_path / "logs").text)
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    done = subprocess.run(["bash", path, "submit"], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout == "array 17, merge 17\n" and (tmp_path / "logs").is_dir()
    assert (tmp_path / "given").read_text().splitlines() == [
        f"--parsable {path} element",
        f"--parsable --array=0 --dependency=afterany:17 {path} merge",
    ]
    assert subprocess.run(["bash", path, "nonsense"], capture_output=True, check=False, env=environment).returncode == 2


def test_a_rendered_stage_runs_its_shard_and_its_merge_as_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = ["slurm", "render", "--out", "job.sbatch", "--shards", "4", "--cpus", "2", "--time", "9", "measure", "sto re", "--limit", "3"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    text = (tmp_path / "job.sbatch").read_text()
    assert '-m sightline.cli measure \'sto re\' --limit 3 --shard "$SLURM_ARRAY_TASK_ID"/4 --workers "$SLURM_CPUS_PER_TASK"\n' in text
    assert "-m sightline.cli measure 'sto re' --limit 3 --merge\n" in text and "--partition" not in text
    assert (tmp_path / "job.sbatch.logs").is_dir()


@pytest.mark.parametrize("words", ["train x", "measure x --merge", "measure x --shard=0/2", "measure x --workers 2"])
def test_what_cannot_be_divided_is_not_rendered(tmp_path, words):
    done = CliRunner().invoke(app, ["slurm", "render", "--out", str(tmp_path / "job.sbatch"), *words.split()])
    assert done.exit_code == 2 and "sightline: slurm render: " in done.output and not (tmp_path / "job.sbatch").exists()


KEYS = [str(number) for number in range(7)]


def stage(place: Path, **how) -> dict:
    outputs = dict.fromkeys(KEYS, place)
    given = spread(0, how.pop("executor", "local"), **how)
    if given.shard is not None:
        outputs = dict.fromkeys(given.of(KEYS), place)
    return run_stage("square", squared, outputs, {"offset": 1}, out=place, made_from="a", how=given)


def test_shards_and_a_merge_give_what_one_run_gives(tmp_path):
    (tmp_path / "one").mkdir()
    whole = stage(tmp_path / "one")
    for index in (2, 0, 1, 0):  # in any order, and one of them twice
        (tmp_path / "many").mkdir(exist_ok=True)
        stage(tmp_path / "many", shard=f"{index}/3")
    merged = stage(tmp_path / "many", merge=True)
    assert list(merged.items()) == list(whole.items())
    records = "{}/.records/square/report.json"
    assert (tmp_path / records.format("one")).read_bytes() == (tmp_path / records.format("many")).read_bytes()


def test_a_merge_names_what_is_not_finished_and_does_no_work(tmp_path):
    stage(tmp_path, shard="0/2")
    with pytest.raises(ExecutionError, match="square: 3 of 7 failed. 1: no finished marker"):
        stage(tmp_path, merge=True)
    stage(tmp_path, shard="1/2")
    assert len(stage(tmp_path, merge=True)) == 7


@pytest.mark.parametrize(
    "wrong",
    [
        {"address": "auto"},
        {"shards": 2},
        {"shard": "0/2", "merge": True},
        {"shard": "0/2", "executor": "ray"},
        {"shards": 0, "executor": "slurm"},
    ],
)
def test_options_that_do_not_go_together_are_refused(tmp_path, wrong):
    with pytest.raises(ConfigError, match="expected"):
        stage(tmp_path, **wrong)


def test_a_misspelt_executor_is_answered_with_the_nearest():
    with pytest.raises(UnknownNameError, match="Did you mean 'slurm'"):
        spread(None, "slrm")


def test_without_slurm_or_ray_it_is_said_what_is_missing(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    this = Job(name="test", function=squared, keys=["1"], record_dir=tmp_path / "records", made_from="a", arguments={"offset": 0})
    with pytest.raises(ExecutionError, match="expected Slurm's 'sbatch' on this machine, found none. Fix: .*sightline slurm render"):
        SlurmExecutor().run(this)
    with pytest.raises(Exception, match=r"pip install 'sightline\[ray\]'"):
        RayExecutor().run(this)


def test_a_job_reads_back_as_it_was_written_and_an_element_does_its_shard(tmp_path):
    each = {key: key for key in KEYS}
    outputs = {"0": tmp_path}
    this = Job(
        name="test",
        function=squared,
        keys=KEYS,
        record_dir=tmp_path,
        made_from="a",
        made_from_each=each,
        arguments={"offset": 0},
        outputs=outputs,
    )
    write_job(this)
    assert read_job(tmp_path) == this
    assert main([str(tmp_path), "1/3", "0"]) == 0
    assert sorted(path.stem for path in (tmp_path / "done").iterdir()) == ["1", "4"]
