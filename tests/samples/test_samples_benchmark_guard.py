"""The guard: a scan that a benchmark asks about is known by any name its room has, and never enters training unnoticed."""

import pytest
from small_store import write_scan
from typer.testing import CliRunner

from sightline.cli import app
from sightline.errors import ConfigError, DataError
from sightline.files import mark_finished
from sightline.samples.benchmark_guard import benchmarks_of, guarded, refuse_guarded
from sightline.samples.shards import read_samples


@pytest.mark.parametrize(
    ("scan_id", "place_id", "names"),
    [
        ("scene0050_00", "scene0050", ("multispa", "scanqa", "sqa3d", "vsibench", "vstibench")),
        ("scene0050_01", "scene0050", ("multispa", "scanqa", "sqa3d", "vsibench", "vstibench")),
        ("scene0568_02", "scene0568", ("multispa", "scanqa", "vsibench", "vstibench")),
        ("scannet__scene0050_00", "x", ("multispa", "scanqa", "sqa3d", "vsibench", "vstibench")),
        ("7b6477cb95", "7b6477cb95", ("vsibench", "vstibench")),
        ("41069021", "visit", ("mindcube", "vsibench", "vstibench")),
        ("scene0000_00", "scene0000", ()),
        ("rooms_0011", "place_0011", ()),
        ("myscene0050_00", "here", ()),
        ("scene00505", "here", ()),
        ("410690211", "visit", ()),
        ("", "", ()),
    ],
)
def test_a_scan_is_known_by_the_room_it_shows(scan_id, place_id, names):
    assert benchmarks_of(scan_id, place_id) == names


def test_the_lists_have_the_published_sizes():
    from sightline.samples.benchmark_guard import _ids_of

    ids = _ids_of(None)
    assert len(ids["scanqa"]) == 142 and len(ids["sqa3d"]) == 67 and ids["sqa3d"] <= ids["scanqa"]
    assert len(ids["vsibench"]) == 142 + 50 + 551


def test_training_on_them_is_refused_by_name_with_what_to_do():
    places = {"scene0050_00": "scene0050", "scene0000_00": "scene0000"}
    assert [one.scan_id for one in guarded(places)] == ["scene0050_00"]
    with pytest.raises(DataError, match="1 of 2 training scans .*sqa3d.*: scene0050_00. Fix: leave it out"):
        refuse_guarded(places, fix="leave it out")
    refuse_guarded({"scene0000_00": "scene0000"}, fix="")


def test_lists_of_ones_own_are_read_and_a_list_that_is_not_there_is_named(tmp_path):
    own = tmp_path / "own.yaml"
    own.write_text("benchmarks: {house: [mine]}\nlists: {mine: scene0001 scene0002}\n")
    assert benchmarks_of("scene0001_00", "scene0001", more=own) == ("house",)
    own_bad = tmp_path / "bad.yaml"
    own_bad.write_text("benchmarks: {house: [yours]}\nlists: {mine: scene0001}\n")
    with pytest.raises(ConfigError, match="bad.yaml: benchmark 'house': no list called 'yours', known: mine"):
        benchmarks_of("scene0001_00", "scene0001", more=own_bad)


def test_generating_refuses_holds_out_or_allows(tmp_path):
    for index, scan_id in enumerate(["scene0050_00", "scene0000_00", "scene0001_00", "scene0002_00"]):
        write_scan(tmp_path, scan_id, seed=index, place_id=scan_id[:9])
        mark_finished(tmp_path / "store" / scan_id / "facts", made_from=str(index), options={})

    def generate(out, *more):
        arguments = ["generate", tmp_path / "store", tmp_path / out, "--tasks", "camera_distance", "--workers", "0", *more]
        return CliRunner().invoke(app, [str(one) for one in arguments])

    refused = generate("a", "--held-out-share", "0")
    assert refused.exit_code == 2 and "scene0050_00" in refused.stderr and "--benchmark-scenes hold-out" in refused.stderr
    assert not (tmp_path / "a" / "data").exists()
    held = generate("b", "--held-out-share", "0", "--benchmark-scenes", "hold-out")
    assert held.exit_code == 0, held.stderr
    assert {sample.scan_id for sample in read_samples(tmp_path / "b", split="held_out")} == {"scene0050_00"}
    assert generate("c", "--held-out-share", "0", "--benchmark-scenes", "allow").exit_code == 0
    assert {sample.scan_id for sample in read_samples(tmp_path / "c", split="train")} >= {"scene0050_00"}
    wrong = generate("d", "--benchmark-scenes", "maybe")
    assert wrong.exit_code == 2 and "expected refuse, hold-out or allow" in wrong.stderr
