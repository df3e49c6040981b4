"""What the ScanNet++ reader finds beyond the contract: roots and splits, sensors, encodings of depth, depth of the mesh."""

import shutil
import struct
import tracemalloc
from pathlib import Path

import layout_scannetpp
import numpy as np
import pytest
import true_room as true
from test_scannetpp_bad_input import gone, read, scenes, small_scan  # noqa: F401

from sightline.captures.frame_images import frame_depth_m
from sightline.captures.scannetpp import mesh_depth
from sightline.captures.scannetpp.depth_bin import PER_MAP, STREAM, depth_maps, encoding
from sightline.captures.scannetpp.mesh_depth import MeshCaster, at_most
from sightline.captures.scannetpp.reader import ScanNetPPReader
from sightline.errors import CaptureError, MissingExtraError

ENCODINGS = {
    "stream": (layout_scannetpp.as_stream, STREAM),
    "lz4": (layout_scannetpp.as_lz4, PER_MAP),
    "deflated maps": (layout_scannetpp.as_deflated_maps, PER_MAP),
}


def maps(count: int) -> list[np.ndarray]:
    """Metres in whole millimetres; a hole in the first row."""
    rng = np.random.default_rng(3)
    made = [np.round(rng.uniform(0.3, 5.0, size=(192, 256)), 3) for _ in range(count)]
    for one in made:
        one[0] = 0.0
    return made


@pytest.mark.parametrize("name", ENCODINGS)
def test_every_encoding_gives_the_wanted_maps_and_no_others(tmp_path, name):
    encode, kind = ENCODINGS[name]
    stored = maps(7)
    (tmp_path / "depth.bin").write_bytes(encode(stored))
    assert encoding(tmp_path / "depth.bin") == kind
    found = dict(depth_maps(tmp_path / "depth.bin", [5, 0, 2, 99]))
    assert list(found) == [0, 2, 5]  # in order; those beyond the end do not come
    for index, one in found.items():
        assert (one.values[0] == 0).all()
        assert np.abs(one.values * one.unit_m - stored[index]).max() <= one.unit_m / 2 + 1e-6


def test_metres_that_are_no_reading_become_none(tmp_path):
    odd = np.full((192, 256), 2.0)
    odd[0, :5] = [np.nan, np.inf, -np.inf, -1.0, 40.0]
    (tmp_path / "depth.bin").write_bytes(layout_scannetpp.as_stream([odd]))
    ((_, one),) = depth_maps(tmp_path / "depth.bin", [0])
    assert (one.values[0, :5] == 0).all() and (one.values.reshape(-1)[5:] == 8000).all()


def test_one_map_is_in_memory_however_many_there_are(tmp_path):
    """A stream of 200 maps (39 MB) is walked in a few maps' worth of memory."""
    (tmp_path / "depth.bin").write_bytes(layout_scannetpp.deflated(np.full(200 * 192 * 256, 2.0, dtype="<f4").tobytes()))
    tracemalloc.start()
    count = sum(1 for _ in depth_maps(tmp_path / "depth.bin", range(200)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 200 and peak < 4_000_000


def test_a_chain_of_sizes_is_never_taken_for_a_stream(tmp_path):
    payload = layout_scannetpp.deflated(np.full((192, 256), 2.0, dtype="<f4").tobytes())
    (tmp_path / "depth.bin").write_bytes((struct.pack("<I", len(payload)) + payload) * 3)
    assert encoding(tmp_path / "depth.bin") == PER_MAP


@pytest.mark.parametrize("name", ENCODINGS)
def test_a_depth_file_cut_or_changed_anywhere_is_an_error_or_shorter(tmp_path, name):
    """Never a crash, never a map that is not the stored one without a word (lz4 has no checksum, so changed bytes may pass)."""
    stored = maps(3)
    whole, path, rng = ENCODINGS[name][0](stored), tmp_path / "depth.bin", np.random.default_rng(11)
    for keep in rng.integers(0, len(whole), size=30):
        path.write_bytes(whole[: int(keep)])
        try:
            found = dict(depth_maps(path, [0, 1, 2]))
        except CaptureError as error:
            assert str(path) in str(error) and "\n" not in str(error)
            continue
        assert len(found) < 3 and all(np.abs(one.values * one.unit_m - stored[index]).max() < 0.001 for index, one in found.items())
    for place in rng.integers(0, len(whole), size=30):
        damaged = bytearray(whole)
        damaged[place] ^= 0x55
        path.write_bytes(bytes(damaged))
        try:
            assert all(one.values.shape == (192, 256) for _, one in depth_maps(path, [0, 1, 2]))
        except CaptureError as error:
            assert str(path) in str(error)


def test_the_dataset_its_data_folder_and_a_scene_are_all_taken(scenes, tmp_path):  # noqa: F811
    data = tmp_path / "set/data"
    data.mkdir(parents=True)
    for scene_id in ("00000000aa", "00000000bb"):
        (data / scene_id).symlink_to(scenes["lz4"], target_is_directory=True)
    (data / "not_a_scene").mkdir()
    real = tmp_path / "set/data/00000000cc"
    (real / "scans").mkdir(parents=True)
    (real / "scans/segments_anno.json").write_text('{"segGroups": []}')
    assert ScanNetPPReader.recognises(tmp_path / "set") and ScanNetPPReader.recognises(data) and ScanNetPPReader.recognises(real)
    assert not ScanNetPPReader.recognises(data / "not_a_scene") and not ScanNetPPReader.recognises(tmp_path / "nothing")
    assert ScanNetPPReader(tmp_path / "set", {}).scan_ids("all")[-1] == "00000000cc"


def test_splits_are_those_of_the_lists_and_hold_what_is_there(tmp_path):
    for scene_id in ("00000000aa", "00000000bb"):
        (tmp_path / "data" / scene_id / "scans").mkdir(parents=True)
        (tmp_path / "data" / scene_id / "scans/segments_anno.json").write_text("{}")
    (tmp_path / "splits").mkdir()
    (tmp_path / "splits/nvs_sem_val.txt").write_text("00000000bb\r\n00000000ff\n\n")
    (tmp_path / "splits/sem_test.txt").write_text("00000000bb\nscene0000_00\n")
    for root in (tmp_path, tmp_path / "data"):
        reader = ScanNetPPReader(root, {})
        assert reader.scan_ids("all") == ("00000000aa", "00000000bb")
        assert reader.scan_ids("nvs_sem_val") == ("00000000bb",)
        with pytest.raises(CaptureError, match="expected a split of all, nvs_sem_val, sem_test, found 'train'"):
            reader.scan_ids("train")
        with pytest.raises(CaptureError, match=r"sem_test.txt:2: expected a scene id of ten hexadecimal digits, found 'scene0000_00'"):
            reader.scan_ids("sem_test")


def test_a_scene_without_a_laser_scan_has_no_objects_and_one_without_faces_no_depth(scenes, tmp_path):  # noqa: F811
    scene = Path(shutil.copytree(scenes["dslr"], tmp_path / "aaaaaaaaaa"))
    gone("scans")(scene)
    capture = read(scene)
    assert capture.objects is None and capture.surface is None and capture.frames[0].depth_path is None
    small_scan(scene)
    capture = read(scene)
    assert [one.category for one in capture.objects] == ["chair", "table"] and capture.surface.object_ids.tolist() == [1, 1, 2]
    assert capture.notes["depth_from"] == "mesh" and capture.frames[0].depth_path is not None
    assert read(scene, depth="none").frames[0].depth_path is None


def test_without_the_ray_caster_pictures_have_no_depth_unless_it_is_asked_for(scenes, monkeypatch):  # noqa: F811
    monkeypatch.setattr("sightline.captures.scannetpp.reader.is_available", lambda: False)
    assert read(scenes["dslr"]).frames[0].depth_path is None
    with pytest.raises(MissingExtraError, match=r"'embreex' is needed here .* pip install 'sightline\[mesh\]'"):
        read(scenes["dslr"], depth="mesh")
    monkeypatch.setattr(mesh_depth, "is_available", lambda: False)
    with pytest.raises(MissingExtraError):
        MeshCaster(np.zeros((3, 3)), np.array([[0, 1, 2]]))


def test_rendered_depth_is_the_distance_along_the_optical_axis():
    """A wall at 3 m fills the view: every pixel reads 3, not the length of its ray; past its edge there is nothing."""
    wall = (
        np.array([[-9.0, -9.0, 3.0], [9.0, -9.0, 3.0], [9.0, 9.0, 3.0], [-9.0, 9.0, 3.0]]) + 1000.0
    )  # far off: float32 alone would blur it
    pose = np.eye(4)
    pose[:3, 3] = 1000.0
    caster = MeshCaster(wall, np.array([[0, 1, 2], [0, 2, 3]]))
    assert np.abs(caster.depth_m(true.SMALL, pose) - 3.0).max() < 1e-5
    pose[0, 3] += 9.0
    half = caster.depth_m(true.SMALL, pose)
    assert np.isnan(half[:, 83:]).all() and np.abs(half[:, :80] - 3.0).max() < 1e-5


def test_rendered_depth_is_no_larger_than_asked():
    large = true.SMALL.resized(width=1752, height=1168)
    small = at_most(large, long_side_px=640)
    assert (small.width, small.height) == (640, 427) and at_most(true.SMALL, long_side_px=640) is true.SMALL
    assert (small.cx + 0.5) / 640 == pytest.approx((large.cx + 0.5) / 1752)


def test_only_the_frames_that_are_used_are_decoded(scenes):  # noqa: F811
    capture = read(scenes["stream"], frame_step=3)
    assert [frame.frame_id for frame in capture.frames] == ["frame_000000", "frame_000003", "frame_000006"]
    assert [frame.time_s for frame in capture.frames] == pytest.approx([100.0, 100.05, 100.1])
    assert sorted(path.name for path in capture.frames[0].rgb_path.parent.iterdir()) == [f"frame_00000{n}.jpg" for n in (0, 3, 6)]
    assert capture.notes["reencoded"] == "colour: decoded from rgb.mkv, JPEG quality 95"
    assert capture.notes["depth_quantised_m"] == 0.00025


def test_millimetres_are_kept_as_they_are(scenes):  # noqa: F811
    capture = read(scenes["lz4"])
    assert capture.frames[0].depth_scale_m == 0.001 and "depth_quantised_m" not in capture.notes and "reencoded" not in capture.notes
    truth = true.shoot(layout_scannetpp.DEPTH, true.poses()[0]).depth_m
    assert np.nanmax(np.abs(frame_depth_m(capture.frames[0]) - truth)) <= 0.0005 + 1e-5


def test_withheld_test_pictures_are_counted_and_do_not_refuse_the_scene(scenes, tmp_path):  # noqa: F811
    scene = Path(shutil.copytree(scenes["dslr"], tmp_path / "aaaaaaaaaa"))
    for name in ("DSC00016.JPG", "DSC00017.JPG"):
        (scene / "dslr/resized_undistorted_images" / name).unlink()
    capture = read(scene, depth="none")
    assert sorted(one.reason for one in capture.skipped) == ["image_missing", "image_missing", "marked_bad"] and len(capture.frames) == 6
