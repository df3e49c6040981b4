"""`sightline facts`: prints and plots a measured scan, and says how to mend what is not there."""

import json

import pytest
from typer.testing import CliRunner

pytest.importorskip("jinja2")

from sightline.captures.rooms import write_room_scan
from sightline.cli import app
from sightline.facts.describe import describe
from sightline.facts.measure import measure_scan
from sightline.facts.store import read_facts
from sightline.scenes.build import import_scan

ROOM = {"width": 120, "height": 90, "num_frames": 6, "min_rooms": 2, "max_rooms": 2, "antialias": False, "shadows": False}


def sightline(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Two scans of a flat; the first is measured, the second is not."""
    root = tmp_path_factory.mktemp("facts")
    for scan_id in ("rooms_0000", "rooms_0001"):
        write_room_scan(scan_id, out=str(root / "scans"), seed=3, options=ROOM)
        known = {"source": str(root / "scans"), "reader": "rooms", "options": {}, "store": str(root / "store")}
        import_scan(scan_id, **known, copy_images=False, verify=False)
    measure_scan("rooms_0000", store=str(root / "store"), options={})
    return root / "store"


def test_the_first_scan_is_described_and_plotted_beside_its_store(store):
    done = sightline("facts", store)
    assert done.exit_code == 0, done.output
    table = read_facts(store / "rooms_0000" / "facts")
    assert done.output.splitlines() == [*describe(table), str(store / "rooms_0000.facts.html")]
    assert "room links: 1 between rooms, 1 outwards" in done.output and "free space:" in done.output and "object places:" in done.output
    page = (store / "rooms_0000.facts.html").read_text(encoding="utf-8")
    assert "Facts of rooms_0000" in page and "Plan with free space" in page
    assert sightline("facts", store).exit_code == 0  # a page among the scans is no scan


def test_a_summary_as_json_is_all_that_is_printed(store, tmp_path):
    done = sightline("facts", store, "rooms_0000", "--json")
    told = json.loads(done.stdout)
    table = read_facts(store / "rooms_0000" / "facts")
    assert told["scan_id"] == "rooms_0000" and set(told["rows"]) == table.kinds and set(told["skips"]) == set(table.skips)
    assert told["rows"]["frames"] == 6 and told["rows"]["pairs"] == 15 and told["rows"]["objects"] == len(table.objects)
    assert [room["area_m2"] for room in told["rooms"]] == table.rooms.area_m2.tolist() and told["objects"] == dict(table.counts)
    done = sightline("facts", store, "rooms_0000", "--json", "--out", tmp_path / "page.html")
    assert json.loads(done.stdout) == told and (tmp_path / "page.html").is_file()


def test_a_scan_that_was_not_measured_is_refused_with_the_fix(store):
    done = sightline("facts", store, "rooms_0001")
    assert done.exit_code == 2 and f"expected measured facts, found none. Fix: sightline measure {store}" in done.output
    assert "Traceback" not in done.output


def test_an_unknown_scan_and_a_folder_without_scans_are_refused_by_name(store, tmp_path):
    done = sightline("facts", store, "rooms_0009")
    assert done.exit_code == 2 and "expected a scan called 'rooms_0009', found rooms_0000, rooms_0001" in done.output
    done = sightline("facts", tmp_path)
    assert done.exit_code == 2 and "Fix: sightline import" in done.output
