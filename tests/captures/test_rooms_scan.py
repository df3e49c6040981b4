"""Procedural scans on disk: written by seed, read back, refused when damaged."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from sightline.captures.folder import FolderReader
from sightline.captures.images import read_depth_m, read_rgb, read_uint16
from sightline.captures.procedural import build_room, render
from sightline.captures.procedural.motion import read_tracks
from sightline.captures.rooms import RoomsOptions, RoomsReader, room_scan_ids, scan_seed, write_room_scan
from sightline.errors import CaptureError, ConfigError
from sightline.geometry.transforms import apply

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


def test_another_process_writes_the_same_bytes(scan_root, tmp_path):
    code = "import json, sys; from sightline.captures.rooms import write_room_scan; "
    code += "write_room_scan('rooms_0003', out=sys.argv[1], seed=5, options=json.loads(sys.argv[2]))"
    environment = {**os.environ, "PYTHONHASHSEED": "123", "OMP_NUM_THREADS": "2"}
    subprocess.run([sys.executable, "-c", code, str(tmp_path), json.dumps(SMALL)], check=True, env=environment)
    assert files_of(tmp_path / "rooms_0003") == files_of(scan_root / "rooms_0003")


def test_stored_depth_is_exact_to_half_a_unit(scan_root):
    capture = RoomsReader(scan_root, {}).read("rooms_0003", workspace=Path())
    room = build_room(scan_seed(5, "rooms_0003"), RoomsOptions(**SMALL))
    for frame in capture.frames:
        exact = render(room, frame.intrinsics, frame.world_from_camera)
        depth_m = read_depth_m(frame.depth_path, depth_scale_m=frame.depth_scale_m)
        assert np.nanmax(np.abs(depth_m - exact.depth_m)) <= 0.5 * frame.depth_scale_m + 1e-6
        np.testing.assert_array_equal(np.isnan(depth_m), np.isnan(exact.depth_m))
        np.testing.assert_array_equal(read_uint16(frame.instance_path).astype(int) - 1, exact.object_ids)
        np.testing.assert_array_equal(read_rgb(frame.rgb_path), exact.rgb)


def test_sensor_and_second_pass_are_recorded(tmp_path):
    options = {**SMALL, "num_frames": 3, "second_pass": True, "sensor": {"enabled": True}}
    result = write_room_scan("rooms_0001", out=str(tmp_path), seed=2, options=options)
    capture = RoomsReader(tmp_path, {}).read("rooms_0001", workspace=Path())
    assert result["frames"] == len(capture.frames) == 6
    assert capture.notes["options"]["sensor"]["enabled"] is True
    assert capture.notes["second_pass"]["first_frame"] == 3
    tracks = read_tracks(tmp_path / "rooms_0001" / capture.notes["second_pass"]["tracks"])
    assert tracks.points_world.shape[0] == 6
    assert tracks.moved_object_ids.tolist() == capture.notes["second_pass"]["moved_object_ids"]
    assert capture.tracks.frame_ids == tuple(frame.frame_id for frame in capture.frames)
    for frame, points_world, points_camera in zip(capture.frames, tracks.points_world, capture.tracks.points_camera):
        np.testing.assert_allclose(apply(frame.world_from_camera, points_camera.astype(np.float64)), points_world, atol=1e-5)


def test_a_scan_is_also_a_plain_folder_of_images(scan_root):
    plain, known = (
        FolderReader(scan_root / "rooms_0003", {}).read("rooms_0003", workspace=Path()),
        RoomsReader(scan_root, {}).read("rooms_0003", workspace=Path()),
    )
    assert len(plain.frames) == len(known.frames) and len(plain.objects) == len(known.objects)
    for a, b in zip(plain.frames, known.frames):
        assert a.depth_scale_m == b.depth_scale_m and a.intrinsics == b.intrinsics
        np.testing.assert_allclose(a.world_from_camera, b.world_from_camera, atol=1e-12)


def test_a_scan_id_that_leads_out_of_the_folder_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="scan_id"):
        write_room_scan("../elsewhere", out=str(tmp_path), seed=0, options=SMALL)


def test_a_scan_reads_back_as_it_was_written(scan_root):
    capture = RoomsReader(scan_root, {}).read("rooms_0003", workspace=Path())
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
        RoomsReader(tmp_path, {}).read("rooms_0003", workspace=Path())


@pytest.mark.parametrize("name", ["objects.json", "structure.json", "poses.txt", "K.txt", "finished.json", "depth/000000.png"])
def test_a_missing_file_is_named(tmp_path, name):
    write_room_scan("rooms_0003", out=str(tmp_path), seed=5, options={**SMALL, "num_frames": 1})
    (tmp_path / "rooms_0003" / name).unlink()
    with pytest.raises(CaptureError, match=name.replace(".", r"\.")):
        RoomsReader(tmp_path, {}).read("rooms_0003", workspace=Path())
