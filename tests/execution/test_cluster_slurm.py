"""On a real Slurm (`start_cluster.sh`): arrays give what one machine gives, and lost elements and drivers cost no scan."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from jobs_for_tests import copied_scan, ends_its_element_once, slow

from sightline.execution.execution import Job
from sightline.execution.local import LocalExecutor
from sightline.execution.slurm import SlurmExecutor
from sightline.files import read_json, write_json

KEYS = [str(number) for number in range(1, 9)]
HERE = Path(__file__).parent
pytestmark = [pytest.mark.cluster, pytest.mark.skipif(shutil.which("sbatch") is None, reason="no Slurm here; see start_cluster.sh")]


@pytest.fixture(autouse=True)
def paths(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(HERE))
    monkeypatch.setenv("SBATCH_TIMELIMIT", "10")


def job(place: Path, function, **arguments) -> Job:
    place.mkdir(parents=True, exist_ok=True)
    return Job(name="test", function=function, keys=KEYS, record_dir=place / "records", made_from="a", arguments=arguments)


def test_an_array_gives_what_one_machine_gives_and_names_the_corrupt_scan(tmp_path):
    def outcome(executor, name: str):
        for key in KEYS:
            write_json(tmp_path / f"{key}.json", [int(key), 1])
        (tmp_path / "3.json").write_text("[3,")
        (tmp_path / name).mkdir()
        return executor.run(job(tmp_path / name, copied_scan, source=str(tmp_path), folder=str(tmp_path / name)))

    array, local = outcome(SlurmExecutor(shards=3), "array"), outcome(LocalExecutor(0), "local")
    assert array == local and list(array.failed) == ["3"] and len(array.results) == 7
    for name in ("1.txt", "records/done/8.json", "records/report.json"):
        assert (tmp_path / "array" / name).read_bytes() == (tmp_path / "local" / name).read_bytes()


def test_a_killed_element_is_submitted_again_for_what_it_lost(tmp_path):
    outcome = SlurmExecutor(shards=2).run(job(tmp_path, ends_its_element_once, folder=str(tmp_path)))
    assert list(outcome.results) == KEYS and not outcome.failed
    assert len(list((tmp_path / "records/slurm").iterdir())) > 2  # logs of two arrays


def test_the_array_of_a_killed_driver_works_on_and_the_next_run_waits_for_it(tmp_path):
    code = (
        "import sys; from test_cluster_slurm import *; place = Path(sys.argv[1]);"
        "SlurmExecutor(shards=2).run(job(place, slow, folder=str(place), seconds=1.0))"
    )
    driver = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stderr=subprocess.DEVNULL)
    until_s = time.monotonic() + 60
    while not (tmp_path / "calls").exists():
        assert time.monotonic() < until_s and driver.poll() is None
        time.sleep(0.1)
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    first = read_json(tmp_path / "records/array.json")
    outcome = SlurmExecutor(shards=2).run(job(tmp_path, slow, folder=str(tmp_path), seconds=1.0))
    assert list(outcome.results) == KEYS and read_json(tmp_path / "records/array.json") == first
    assert len((tmp_path / "calls").read_text().splitlines()) == len(KEYS)


def sightline(*words, folder: Path) -> str:
    command = [sys.executable, "-m", "sightline.cli", *map(str, words)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, env=os.environ | {"OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_rendered_scripts_and_the_executor_make_the_data_set_of_one_machine(tmp_path):
    captures = tmp_path / "captures"
    sightline("rooms", captures, "--num-scans", 4, "num_frames=6", "width=64", "height=48", folder=tmp_path)
    one, many = tmp_path / "one", tmp_path / "many"
    one.mkdir()
    many.mkdir()
    sightline("import", captures, "store", "--workers", 0, folder=one)
    sightline("measure", "store", "--workers", 0, folder=one)
    sightline("generate", "store", "data", "--workers", 0, folder=one)

    sightline("import", captures, "store", "--executor", "slurm", "--shards", 2, folder=many)
    submit_and_wait("measure", "store", folder=many)
    assert "finished already" in submit_and_wait("measure", "store", folder=many)  # safe to submit again
    submit_and_wait("generate", "store", "data", folder=many)

    for made in ("store", "data"):
        assert bytes_under(one / made) == bytes_under(many / made)


def submit_and_wait(*stage: str, folder: Path) -> str:
    """Submit a rendered script with its merge, wait for both; gives what the elements and the merge logged."""
    shutil.rmtree(folder / "logs", ignore_errors=True)
    sightline("slurm", "render", "--out", "job.sbatch", "--logs", "logs", "--shards", 2, *stage, folder=folder)
    told = subprocess.run(["bash", "job.sbatch", "submit"], cwd=folder, capture_output=True, text=True, check=True).stdout
    array, merge = (word.split()[1] for word in told.strip().split(", "))
    until_s = time.monotonic() + 300
    while subprocess.run(["squeue", "--noheader", "--jobs", f"{array},{merge}"], capture_output=True, check=False).stdout.strip():
        assert time.monotonic() < until_s, "the array or its merge did not end"
        time.sleep(1)
    logs = "".join(path.read_text() for path in sorted((folder / "logs").iterdir()))
    states = subprocess.run(["scontrol", "show", "job", merge], capture_output=True, text=True, check=True).stdout
    assert "JobState=COMPLETED" in states, logs
    return logs


def bytes_under(folder: Path) -> dict[str, bytes]:
    """Every file but the records, whose summaries also say what was reused."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and ".records" not in path.parts
    }
