"""What may go wrong in a long run: nothing is lost, at most one key is done again, and the output is that of an undisturbed run."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from jobs_for_tests import copied_scan, written

from sightline.errors import ExecutionError
from sightline.execution import lock
from sightline.execution.execution import Job
from sightline.execution.local import LocalExecutor
from sightline.execution.records import require_all
from sightline.files import write_json

KEYS = [str(number) for number in range(1, 9)]


def job(place: Path, trouble: str = "") -> Job:
    (place / "out").mkdir(parents=True, exist_ok=True)
    arguments = {"folder": str(place / "out"), "calls": str(place / "calls"), "trouble": str(place / "trouble") if trouble else ""}
    if trouble:
        (place / "trouble").write_text(trouble)
    outputs = {key: place / "out" / f"{key}.txt" for key in KEYS}
    records = {"record_dir": place / "records", "made_from": "a"}
    return Job(name="test", function=written, keys=KEYS, arguments=arguments, outputs=outputs, **records)


def output(place: Path) -> dict[str, bytes]:
    kept = {"out": "*.txt", "records/done": "*.json"}
    return {path.name: path.read_bytes() for folder, pattern in kept.items() for path in (place / folder).glob(pattern)}


def calls(place: Path) -> list[str]:
    return (place / "calls").read_text().split()


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    place = tmp_path_factory.mktemp("undisturbed")
    assert len(LocalExecutor(0).run(job(place)).results) == len(KEYS)
    return output(place)


@pytest.mark.parametrize("trouble", ["killed", "killed after writing"])
def test_a_killed_worker_costs_one_key_of_work(tmp_path, undisturbed, trouble):
    outcome = LocalExecutor(2).run(job(tmp_path, trouble))
    assert not outcome.failed and output(tmp_path) == undisturbed
    assert sorted(calls(tmp_path)) == sorted([*KEYS, "3"])


def test_a_killed_driver_costs_one_key_of_work(tmp_path, undisturbed):
    this = job(tmp_path, "wait")
    code = "import sys; from test_execution_faults import *; LocalExecutor(1).run(job(Path(sys.argv[1]), 'wait'))"
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parent)}
    driver = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], env=environment, stderr=subprocess.DEVNULL)
    wait_until(lambda: (tmp_path / "calls").exists() and "3" in calls(tmp_path))
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    (tmp_path / "trouble").unlink()
    outcome = LocalExecutor(1).run(this)
    assert not outcome.failed and outcome.reused >= 2 and output(tmp_path) == undisturbed
    assert sorted(set(calls(tmp_path))) == KEYS and len(calls(tmp_path)) <= len(KEYS) + 1


def test_the_key_in_hand_of_a_killed_driver_is_still_recorded(tmp_path):
    job(tmp_path, "wait")
    code = "import sys; from test_execution_faults import *; LocalExecutor(1).run(job(Path(sys.argv[1]), 'wait'))"
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parent)}
    driver = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], env=environment, stderr=subprocess.DEVNULL)
    wait_until(lambda: (tmp_path / "calls").exists() and "3" in calls(tmp_path))
    driver.kill()
    driver.wait()
    (tmp_path / "trouble").unlink()
    wait_until(lambda: (tmp_path / "records/done/3.json").exists())


@pytest.mark.parametrize("workers", [0, 2])
def test_a_full_disk_stops_the_run_and_blames_no_key(tmp_path, undisturbed, workers):
    with pytest.raises(ExecutionError, match=r"test: no space left while on 3 \(.*No space left.*\); \d of 8 are finished and stay so"):
        LocalExecutor(workers).run(job(tmp_path, "full"))
    assert not (tmp_path / "records/quarantine").exists()
    (tmp_path / "trouble").unlink()
    outcome = LocalExecutor(workers).run(job(tmp_path))
    assert not outcome.failed and outcome.reused >= 1 and output(tmp_path) == undisturbed


def test_a_run_on_a_disk_that_really_fills_up_ends_when_there_is_room(tmp_path, undisturbed):
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)], capture_output=True, check=False).returncode:
        pytest.skip("a small disk can be mounted by root alone")
    try:
        with pytest.raises(ExecutionError, match="no space left"):
            LocalExecutor(2).run(job(disk))
        subprocess.run(["mount", "-o", "remount,size=1m", str(disk)], check=True)
        outcome = LocalExecutor(2).run(job(disk))
        assert not outcome.failed and outcome.reused >= 1 and output(disk) == undisturbed
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_corrupt_scan_among_good_ones_is_named_and_the_others_are_done(tmp_path, workers):
    def run(name: str, corrupt: bool):
        place = tmp_path / name
        (place / "out").mkdir(parents=True)
        for key in KEYS:
            write_json(place / f"{key}.json", [int(key), 1])
        if corrupt:
            (place / "3.json").write_bytes(b"[3, \xff")
        arguments = {"source": str(place), "folder": str(place / "out")}
        this = Job(name="test", function=copied_scan, keys=KEYS, record_dir=place / "records", made_from="a", arguments=arguments)
        return this, LocalExecutor(workers).run(this), output(place)

    _, _, good = run("good", corrupt=False)
    this, outcome, found = run("bad", corrupt=True)
    assert list(outcome.failed) == ["3"] and found == {name: kept for name, kept in good.items() if not name.startswith("3.")}
    with pytest.raises(ExecutionError, match=r"1 of 8 failed. 3: .*3.json: expected UTF-8, found byte 0xff at offset 4 \(whole traceback"):
        require_all(outcome, this)


def test_a_done_file_cut_short_by_a_power_cut_is_not_believed(tmp_path, undisturbed):
    LocalExecutor(0).run(job(tmp_path))
    (tmp_path / "records/done/3.json").write_bytes(b"")
    assert LocalExecutor(0).run(job(tmp_path)).reused == len(KEYS) - 1 and output(tmp_path) == undisturbed


def test_a_change_of_one_input_does_not_redo_the_others(tmp_path):
    from dataclasses import replace

    for change in ("a", "b"):
        LocalExecutor(0).run(replace(job(tmp_path), made_from_each={key: change if key == "3" else "same" for key in KEYS}))
    assert sorted(calls(tmp_path)) == sorted([*KEYS, "3"])


def test_a_silent_lock_of_another_machine_is_taken_over_and_a_beating_one_is_not(tmp_path, monkeypatch):
    monkeypatch.setattr(lock, "SILENT_S", 1.0)
    monkeypatch.setattr(lock, "BEAT_S", 0.1)
    path = tmp_path / "records/lock"
    path.parent.mkdir()
    path.write_text("17 elsewhere 0")
    assert not LocalExecutor(0).run(job(tmp_path)).failed and not path.exists()

    path.write_text("17 elsewhere 0")
    ended = threading.Event()

    def beat() -> None:
        while not ended.wait(0.1):
            os.utime(path)

    threading.Thread(target=beat).start()
    try:
        with pytest.raises(ExecutionError, match="process 17 of machine elsewhere works in"):
            LocalExecutor(0).run(job(tmp_path))
    finally:
        ended.set()


def wait_until(is_so, limit_s: float = 60.0) -> None:
    until_s = time.monotonic() + limit_s
    while not is_so():
        assert time.monotonic() < until_s, "it did not happen in time"
        time.sleep(0.02)
