"""The local executor: same results whatever the worker count, nothing lost, nothing done twice."""

from dataclasses import replace

import pytest
from jobs_for_tests import breaks_once, counted, killed_once, refused_on_three, squared

from sightline.errors import ExecutionError
from sightline.execution.execution import EXECUTORS, Job
from sightline.execution.local import LocalExecutor
from sightline.execution.records import require_all
from sightline.files import read_json


def job(function, place, keys, made_from="a", **arguments):
    return Job(name="test", function=function, keys=keys, record_dir=place / "records", made_from=made_from, arguments=arguments)


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_results_come_in_key_order_whatever_the_worker_count(tmp_path, workers):
    outcome = LocalExecutor(workers).run(job(squared, tmp_path, ["3", "1", "2"], offset=1))
    assert list(outcome.results.items()) == [("3", 10), ("1", 2), ("2", 5)]
    assert read_json(tmp_path / "records/report.json")["finished"] == 3


def test_a_second_run_does_nothing_and_another_input_does_it_again(tmp_path):
    keys = ["a", "b/c"]
    LocalExecutor(0).run(job(counted, tmp_path, keys, folder=str(tmp_path)))
    again = LocalExecutor(0).run(job(counted, tmp_path, keys, folder=str(tmp_path)))
    assert again.reused == 2
    LocalExecutor(0).run(job(counted, tmp_path, keys, made_from="b", folder=str(tmp_path)))
    assert (tmp_path / "calls").read_text().split() == ["a", "b/c", "a", "b/c"]


def test_a_key_whose_output_was_deleted_is_done_again(tmp_path):
    def run():
        this = job(counted, tmp_path, ["a", "b"], folder=str(tmp_path))
        return LocalExecutor(0).run(replace(this, outputs={"a": tmp_path / "a.out", "b": tmp_path})).reused

    assert [run(), run()] == [0, 1]  # a.out never appears, so "a" is never trusted


@pytest.mark.parametrize("workers", [0, 2])
def test_a_refused_key_is_quarantined_and_its_neighbours_are_done(tmp_path, workers):
    this = job(refused_on_three, tmp_path, ["2", "3", "4"])
    outcome = LocalExecutor(workers).run(this)
    assert outcome.results == {"2": 2, "4": 4}
    assert "poses.txt:7" in (tmp_path / "records/quarantine/3.txt").read_text()
    with pytest.raises(ExecutionError, match=r"1 of 3 failed. 3: scan3/poses.txt:7: expected 16 numbers, found 15"):
        require_all(outcome, this)


def test_a_failure_that_is_no_users_mistake_is_tried_again(tmp_path):
    outcome = LocalExecutor(0).run(job(breaks_once, tmp_path, ["1"], folder=str(tmp_path)))
    assert outcome.results == {"1": "1"} and not outcome.failed


def test_a_killed_worker_loses_no_key(tmp_path):
    keys = [str(number) for number in range(6)]
    outcome = LocalExecutor(2).run(job(killed_once, tmp_path, keys, folder=str(tmp_path)))
    assert list(outcome.results) == keys and not outcome.failed


def test_two_jobs_do_not_share_a_record_folder(tmp_path):
    (tmp_path / "records").mkdir()
    (tmp_path / "records/lock").write_text("1")  # process 1 always lives
    with pytest.raises(ExecutionError, match="process 1 works in"):
        LocalExecutor(0).run(job(squared, tmp_path, ["1"], offset=0))


def test_a_lock_left_by_a_killed_run_is_taken_over(tmp_path):
    (tmp_path / "records").mkdir()
    (tmp_path / "records/lock").write_text("999999999")
    assert LocalExecutor(0).run(job(squared, tmp_path, ["1"], offset=0)).results == {"1": 1}


def test_the_catalog_builds_the_local_executor(tmp_path):
    assert EXECUTORS["local"](0).run(job(squared, tmp_path, ["2"], offset=0)).results == {"2": 4}
