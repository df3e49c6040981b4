"""On a real Ray of two nodes, started here: what one machine gives, also when a node goes away in the middle."""

import threading
import time
from pathlib import Path

import pytest
from jobs_for_tests import copied_scan, slow

from sightline.errors import ExecutionError
from sightline.execution.execution import Job
from sightline.execution.local import LocalExecutor
from sightline.execution.ray import RayExecutor
from sightline.files import write_json

KEYS = [str(number) for number in range(1, 13)]
HERE = Path(__file__).parent
pytestmark = pytest.mark.cluster


def job(place: Path, function, **arguments) -> Job:
    place.mkdir(parents=True, exist_ok=True)
    return Job(name="test", function=function, keys=KEYS, record_dir=place / "records", made_from="a", arguments=arguments)


@pytest.fixture()
def two_nodes(monkeypatch):
    """A head and a second node of one core each; every node is processes of its own, as it would be a machine of its own."""
    pytest.importorskip("ray", reason="Ray is not installed: pip install 'sightline[ray]'")
    monkeypatch.setenv("PYTHONPATH", str(HERE))
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    node = cluster.add_node(num_cpus=1)
    cluster.wait_for_nodes()
    yield cluster, node
    cluster.shutdown()


def test_a_node_that_goes_away_costs_the_key_it_had_in_hand(tmp_path, two_nodes):
    cluster, node = two_nodes
    found = {}
    this = job(tmp_path, slow, folder=str(tmp_path), seconds=2.0)
    runner = threading.Thread(target=lambda: found.update(outcome=RayExecutor(address=cluster.address).run(this)))
    runner.start()
    nodes = wait_for_calls(tmp_path, 6)
    assert len(nodes) == 2, "both nodes were to work"
    cluster.remove_node(node, allow_graceful=False)
    runner.join(timeout=240)
    assert list(found["outcome"].results) == KEYS and not found["outcome"].failed
    calls = [line.split()[0] for line in (tmp_path / "calls").read_text().splitlines()]
    assert sorted(set(calls)) == sorted(KEYS) and len(calls) <= len(KEYS) + 1
    assert LocalExecutor(0).run(this).reused == len(KEYS)  # the same done-files


def wait_for_calls(place: Path, count: int) -> set[str]:
    until_s = time.monotonic() + 120
    while not (place / "calls").exists() or len((place / "calls").read_text().splitlines()) < count:
        assert time.monotonic() < until_s
        time.sleep(0.1)
    return {line.split()[-1] for line in (place / "calls").read_text().splitlines()}


def test_a_ray_started_here_gives_what_one_machine_gives_and_names_the_corrupt_scan(tmp_path):
    pytest.importorskip("ray", reason="Ray is not installed: pip install 'sightline[ray]'")

    def outcome(executor, name: str):
        for key in KEYS:
            write_json(tmp_path / f"{key}.json", [int(key), 1])
        (tmp_path / "3.json").write_text("[3,")
        (tmp_path / name).mkdir()
        return executor.run(job(tmp_path / name, copied_scan, source=str(tmp_path), folder=str(tmp_path / name)))

    ray, local = outcome(RayExecutor(2), "ray"), outcome(LocalExecutor(0), "local")
    assert ray == local and list(ray.results) == [key for key in KEYS if key != "3"] and list(ray.failed) == ["3"]
    for name in ("1.txt", "records/done/8.json", "records/report.json"):
        assert (tmp_path / "ray" / name).read_bytes() == (tmp_path / "local" / name).read_bytes()


def test_an_address_without_a_cluster_is_named(tmp_path):
    pytest.importorskip("ray", reason="Ray is not installed: pip install 'sightline[ray]'")
    with pytest.raises(ExecutionError, match="--address 127.0.0.1:1: expected a Ray cluster"):
        RayExecutor(address="127.0.0.1:1").run(job(tmp_path, slow, folder=str(tmp_path), seconds=0.0))
