"""Procedural scans on disk: written by seed, read back, refused when damaged."""

import json

import numpy as np
import pytest

from sightline.captures.images import read_depth_m, read_uint16
from sightline.captures.rooms import RoomsReader, room_scan_ids, write_room_scan
from sightline.errors import CaptureError

SMALL = {"width": 64, "height": 48, "num_frames": 4, "max_rooms": 2}


@pytest.fixture(scope="module")
def scan_root(tmp_path_factory):
    out = tmp_path_factory.mktemp("rooms")
    write_room_scan("rooms_0003", out=str(out), seed=5, options=SMALL)
    return out


def files_of(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_scan_ids_are_numbered():
    assert room_scan_ids(2) == ["rooms_0000", "rooms_0001"]


def test_same_seed_writes_the_same_bytes(scan_root, tmp_path):
    write_room_scan("rooms_0003", out=str(tmp_path), seed=5, options=SMALL)
    assert files_of(tmp_path / "rooms_0003") == files_of(scan_root / "rooms_0003")
    write_room_scan("rooms_0003", out=str(tmp_path), seed=6, options=SMALL)
    assert files_of(tmp_path / "rooms_0003")["objects.json"] != files_of(scan_root / "rooms_0003")["objects.json"]


def test_a_scan_reads_back_as_it_was_written(scan_root):
    capture = RoomsReader(scan_root, {}).read("rooms_0003")
    assert capture.place_id == "rooms_0003" and capture.licence == "CC0-1.0"
    assert len(capture.frames) == 4
    ids = {thing.object_id for thing in capture.objects}
    for frame in capture.frames:
        depth_m = read_depth_m(frame.depth_path, depth_scale_m=frame.depth_scale_m)
        stored = read_uint16(frame.instance_path)
        assert depth_m.shape == stored.shape == (48, 64)
        assert np.nanmin(depth_m) > 0.25
        assert set(np.unique(stored).tolist()) - {0} <= {object_id + 1 for object_id in ids}


@pytest.mark.parametrize(
    "damage",
    [
        lambda entries: entries[0].pop("size_m"),
        lambda entries: entries[0].update(size_m=[1.0, -1.0, 1.0]),
        lambda entries: entries[1].update(object_id=entries[0]["object_id"]),
        lambda entries: entries[0]["world_from_object"].__setitem__(0, 7.0),
    ],
)
def test_damaged_objects_are_refused(scan_root, tmp_path, damage):
    write_room_scan("rooms_0003", out=str(tmp_path), seed=5, options={**SMALL, "num_frames": 1})
    path = tmp_path / "rooms_0003" / "objects.json"
    entries = json.loads(path.read_text())
    damage(entries)
    path.write_text(json.dumps(entries))
    with pytest.raises(CaptureError, match="objects.json"):
        RoomsReader(tmp_path, {}).read("rooms_0003")


@pytest.mark.parametrize("name", ["objects.json", "structure.json", "poses.txt", "K.txt", "finished.json", "depth/000000.png"])
def test_a_missing_file_is_named(tmp_path, name):
    write_room_scan("rooms_0003", out=str(tmp_path), seed=5, options={**SMALL, "num_frames": 1})
    (tmp_path / "rooms_0003" / name).unlink()
    with pytest.raises(CaptureError, match=name.replace(".", r"\.")):
        RoomsReader(tmp_path, {}).read("rooms_0003")
