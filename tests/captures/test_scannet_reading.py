"""What a ScanNet import makes of recordings, alignment, labels, splits and options, where the common room does not show it."""

import json
import shutil
import struct
import zlib
from pathlib import Path

import layout_scannet as layout
import numpy as np
import pytest
import true_room as true
from hypothesis import given, settings
from hypothesis import strategies as st

from sightline.captures.detect import find_reader
from sightline.captures.scannet.frames import seconds
from sightline.captures.scannet.label_tables import read_label_table
from sightline.captures.scannet.reader import ScanNetReader
from sightline.captures.scannet.sens import SensFile
from sightline.errors import CaptureError, ConfigError
from sightline.geometry.boxes import box_around
from sightline.geometry.transforms import apply

ALL_IDS = tuple(one.object_id for one in true.objects())
TABLE = "id\traw_category\tcategory\tnyu40id\tnyu40class\n1\tsofa\tsofa\t6\tsofa\n2\ttable\ttable\t\t\n3\tlamp\tlamp\t35\tlamp\n"


def read(source: Path, scan_id: str, workspace: Path, **options):
    workspace.mkdir()
    return ScanNetReader(source, options).read(scan_id, workspace=workspace)


@pytest.fixture(scope="module")
def turned(tmp_path_factory) -> Path:
    """A scan without alignment whose stored world is turned: objects stand askew in it. All of them are annotated."""
    folder = tmp_path_factory.mktemp("turned") / "scans" / "scene0123_00"
    folder.mkdir(parents=True)
    stored_from_world = layout.inverse(layout.ALIGNED_FROM_STORED)
    (folder / "scene0123_00.sens").write_bytes(layout.sens_bytes(colour=true.SMALL, poses=stored_from_world @ true.poses(), kinds=(2, 1)))
    layout.write_text(folder / "scene0123_00.txt", aligned_from_stored=None, colour=true.SMALL)
    layout.write_annotation(folder, "scene0123_00", stored_from_world=stored_from_world, object_ids=ALL_IDS)
    (folder.parent.parent / "scannetv2-labels.combined.tsv").write_text(TABLE)
    (folder.parent.parent / "scannetv2_val.txt").write_text("scene0999_00\nscene0123_00\n")
    return folder.parent.parent


@pytest.fixture(scope="module")
def askew(turned, tmp_path_factory):
    return read(turned, "scene0123_00", tmp_path_factory.mktemp("work") / "w")


def test_without_alignment_the_stored_world_stands_and_is_said_to(askew):
    assert askew.notes["axis_aligned"] is False and askew.notes["convention"]["up_axis"] == "+z"
    assert np.allclose(askew.frames[2].world_from_camera, layout.inverse(layout.ALIGNED_FROM_STORED) @ true.poses()[2], atol=1e-5)
    assert askew.notes["scene_type"] == "Apartment" and askew.notes["device"] == "a tablet" and askew.notes["sensor"] == "StructureSensor"
    assert askew.notes["colour_to_depth_not_applied"][3] == pytest.approx(0.02)


def test_oriented_boxes_follow_objects_that_stand_askew(askew):
    stored_from_world = layout.inverse(layout.ALIGNED_FROM_STORED)
    by_id = {one.object_id: one for one in askew.objects}
    for truth in true.objects():
        if truth.object_id in layout.SQUARE_FOOTED:
            corners = apply(stored_from_world, truth.box.corners_world())
            gaps_m = np.linalg.norm(by_id[truth.object_id].box.corners_world()[:, None] - corners, axis=2).min(axis=0)
            assert gaps_m.max() < 1e-3 and abs(by_id[truth.object_id].box.yaw_rad) > 0.1


def test_axis_boxes_hold_exactly_the_vertices_of_every_object(turned, tmp_path):
    capture = read(turned, "scene0123_00", tmp_path / "w", boxes="axis")
    mesh, stored_from_world = true.mesh(), layout.inverse(layout.ALIGNED_FROM_STORED)
    assert [one.object_id for one in capture.objects] == list(ALL_IDS)
    for one in capture.objects:
        expected = box_around(apply(stored_from_world, mesh.vertices_world[mesh.object_ids == one.object_id]))
        assert np.allclose(one.box.corners_world(), expected.corners_world(), atol=1e-5)


def test_labels_keep_the_annotators_word_and_gain_the_tables(askew):
    attributes = {one.category: one.attributes for one in askew.objects}
    assert attributes["sofa"] == {"raw_category": "sofa", "nyu40": "6", "nyu40_class": "sofa"}
    assert attributes["table"] == {"raw_category": "table"}  # empty cells
    assert attributes["cushion"] == {"raw_category": "cushion"} and askew.notes["labels_not_in_table"] == sum(
        one.category not in ("sofa", "table", "lamp") for one in askew.objects
    )


def test_without_a_table_objects_have_no_attributes(turned, tmp_path):
    alone = Path(shutil.copytree(turned / "scans" / "scene0123_00", tmp_path / "scene0123_00"))
    capture = read(alone, "scene0123_00", tmp_path / "w", max_frames=2)
    assert all(one.attributes == {} for one in capture.objects)
    given_map = read(alone, "scene0123_00", tmp_path / "w2", max_frames=2, label_map=str(turned / "scannetv2-labels.combined.tsv"))
    assert next(one for one in given_map.objects if one.category == "sofa").attributes["nyu40"] == "6"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"id\tname\n", "tsv:1: expected tab-separated columns with raw_category and nyu40id, found no raw_category and no nyu40id"),
        (b"raw_category\tnyu40id\nsofa\n", "tsv:2: expected 2 cells like the first line, found 1"),
        (b"raw_category\tnyu40id\nsofa\tsix\n", "tsv:2: nyu40id: expected a whole number or nothing, found 'six'"),
        (b"raw_category\tnyu40id\ns\xf6fa\t6\n", "tsv: expected UTF-8, found byte 0xf6 at offset 22"),
        (b"", "tsv:1: expected tab-separated"),
    ],
)
def test_a_table_of_another_shape_is_refused(tmp_path, content, message):
    path = tmp_path / "labels.tsv"
    path.write_bytes(content)
    with pytest.raises(CaptureError, match=message):
        read_label_table(path)


def test_splits_come_from_lists_beside_the_scans(turned, tmp_path):
    reader = ScanNetReader(turned, {})
    assert reader.scan_ids("all") == ("scene0123_00",) and reader.scan_ids("val") == ("scene0123_00",)
    assert ScanNetReader(turned / "scans", {}).scan_ids("val") == ("scene0123_00",)
    with pytest.raises(CaptureError, match="expected the list scannetv2_train.txt at or beside it, found none"):
        reader.scan_ids("train")
    with pytest.raises(CaptureError, match="expected split all, train, val, test, found 'valid'"):
        reader.scan_ids("valid")
    layout.exported(tmp_path / "tests")
    assert ScanNetReader(tmp_path / "tests", {}).scan_ids("test") == ("scene0800_00",)


def test_jpeg_bytes_are_those_of_the_recording(askew):
    for index, frame in enumerate(askew.frames):
        assert frame.rgb_path.read_bytes() == layout.jpeg(true.shoot(true.SMALL, true.poses()[index]).rgb)
    assert "reencoded" not in askew.notes and [round(frame.time_s, 6) for frame in askew.frames[:3]] == [0.0, 0.033333, 0.066666]


def test_steps_and_limits_take_out_only_the_frames_they_choose(turned, tmp_path):
    capture = read(turned, "scene0123_00", tmp_path / "w", frame_step=2, max_frames=3)
    assert [frame.frame_id for frame in capture.frames] == ["0", "4", "6"]
    assert len(list((tmp_path / "w" / "color").iterdir())) == 3


def test_raw_pixels_are_said_to_be_written_again(tmp_path):
    written = layout.bare(tmp_path / "source")
    capture = read(written.source, "my_walk", tmp_path / "w")
    assert capture.notes["reencoded"] == "colour: raw pixels written as PNG, lossless"
    assert capture.objects is None and capture.place_id == "my_walk" and capture.licence == "unknown"


def test_scans_of_one_space_share_a_place(turned):
    files = ScanNetReader(turned, {})._scan("scene0123_00")
    assert files.place_id == "scannet_scene0123"


def test_every_file_read_is_a_source_file(turned):
    names = [path.name for path in ScanNetReader(turned, {}).source_files("scene0123_00")]
    assert names == [
        "scene0123_00.sens",
        "scene0123_00.txt",
        "scene0123_00_vh_clean_2.ply",
        "scene0123_00_vh_clean_2.0.010000.segs.json",
        "scene0123_00.aggregation.json",
        "scannetv2-labels.combined.tsv",
    ]
    bare = [path.name for path in ScanNetReader(turned, {"annotations": False}).source_files("scene0123_00")]
    assert bare[:2] == ["scene0123_00.sens", "scene0123_00.txt"] and not any(name.endswith((".ply", ".json")) for name in bare)


def test_without_annotations_the_mesh_is_not_opened(turned, tmp_path):
    scan = Path(shutil.copytree(turned / "scans" / "scene0123_00", tmp_path / "scene0123_00"))
    (scan / "scene0123_00_vh_clean_2.ply").write_bytes(b"damaged")
    capture = read(scan, "scene0123_00", tmp_path / "w", annotations=False, max_frames=2)
    assert capture.objects is None and capture.surface is None


def test_a_colour_camera_copied_from_depth_can_be_made_from_it(tmp_path):
    content = bytearray(layout.sens_bytes(colour=layout.WIDE, poses=true.poses(), kinds=(2, 1)))
    content[27:91] = layout.matrix_4x4(true.SMALL).astype("<f4").tobytes()
    (tmp_path / "scene0704_00.sens").write_bytes(content)
    with pytest.raises(CaptureError, match="Fix: colour_camera=from_depth"):
        read(tmp_path / "scene0704_00.sens", "scene0704_00", tmp_path / "w1")
    capture = read(tmp_path / "scene0704_00.sens", "scene0704_00", tmp_path / "w2", colour_camera="from_depth")
    assert capture.frames[0].intrinsics.fx == pytest.approx(layout.WIDE.fx) and capture.frames[0].intrinsics.width == 480


def test_resized_exports_take_the_size_that_their_camera_belongs_to(tmp_path):
    written = layout.exported(tmp_path / "source")
    for path in (written.source / "scans_test" / "scene0800_00" / "color").iterdir():
        index = int(path.stem) // 5
        path.write_bytes(layout.jpeg(true.shoot(true.SMALL, true.poses()[index]).rgb))
    capture = read(written.source, "scene0800_00", tmp_path / "w", image_size="480x360")
    assert capture.frames[0].intrinsics.cx == pytest.approx(true.SMALL.cx, abs=1e-4)
    assert capture.notes["timing"].startswith("frame numbers") and capture.frames[3].time_s == pytest.approx(0.5)


def test_frames_and_instances_asked_for_must_be_there(turned, tmp_path):
    with pytest.raises(CaptureError, match="expected what frames=exported names, found a .sens recording alone"):
        read(turned, "scene0123_00", tmp_path / "w1", frames="exported")
    with pytest.raises(CaptureError, match="_2d-instance-filt.zip and annotations for instances=true"):
        read(turned, "scene0123_00", tmp_path / "w2", instances=True)
    with pytest.raises(ConfigError, match="unknown key 'instance'. Did you mean 'instances'"):
        ScanNetReader(turned, {"instance": True})


def test_exported_frames_without_scannets_files_stay_those_of_a_folder(tmp_path):
    written = layout.exported(tmp_path / "source")
    scan = written.source / "scans_test" / "scene0800_00"
    (scan / "scene0800_00.txt").unlink()
    assert not ScanNetReader.recognises(scan) and find_reader(scan) == "folder"
    (scan / "notes.txt").write_text("sceneType = attic\n")  # a text of another name says nothing
    assert not ScanNetReader.recognises(scan)
    (scan / "scene0800_00.aggregation.json").write_text(json.dumps({"segGroups": []}))
    assert ScanNetReader.recognises(scan)


def test_two_scans_of_one_id_are_refused(turned, tmp_path):
    for place in ("scans", "scans_test"):
        (tmp_path / place / "a").mkdir(parents=True)
        (tmp_path / place / "a" / "scene0001_00.sens").write_bytes(b"")
    with pytest.raises(CaptureError, match="scan id 'scene0001_00' is already that of"):
        ScanNetReader(tmp_path, {}).scan_ids("all")


def test_times_that_do_not_rise_are_counted_instead():
    """B05."""
    assert seconds(np.array([5, 5, 9], dtype=np.uint64))[0].tolist() == pytest.approx([0.0, 1 / 30, 2 / 30])
    assert seconds(np.array([9, 5], dtype=np.uint64))[1] == "counted at 30 Hz"
    times_s, source = seconds(np.array([2_000_000, 2_500_000], dtype=np.uint64))
    assert times_s.tolist() == [0.0, 0.5] and source.startswith("timestamps")


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10_000), level=st.integers(0, 9), width=st.integers(1, 90), height=st.integers(1, 60), spread=st.integers(1, 65535)
)
def test_deflated_depth_of_any_kind_is_the_map_that_was_stored(tmp_path_factory, seed, level, width, height, spread):
    rng = np.random.default_rng(seed)
    stored = (rng.integers(0, spread, size=(height, width)) * (rng.uniform(size=(height, width)) < 0.7)).astype("<u2")
    camera = true.SMALL.resized(width=width, height=height)
    path = tmp_path_factory.mktemp("depth") / "one.sens"
    header = layout.sens_header(colour=true.SMALL, depth=camera, num_frames=1)
    path.write_bytes(header + layout.sens_frame(np.eye(4), b"\xff\xd8\xff", zlib.compress(stored.tobytes(), level)) + struct.pack("<Q", 0))
    with SensFile(path) as sens:
        assert len(sens) == 1 and np.array_equal(sens.depth(0), stored)


def test_one_scan_is_found_without_looking_through_the_others(turned, tmp_path, monkeypatch):
    monkeypatch.setattr("sightline.captures.scannet.reader.find_scans", lambda root: pytest.fail("looked through all of them"))
    for root in (turned, turned / "scans"):
        assert ScanNetReader(root, {}).source_files("scene0123_00")[0].name == "scene0123_00.sens"


def test_a_scan_that_is_not_there_is_refused_with_those_that_are(turned):
    for scan_id in ("scene0124_00", "../scans/scene0123_00", ""):
        with pytest.raises(CaptureError, match="expected one of the scans scene0123_00, found"):
            ScanNetReader(turned, {}).source_files(scan_id)


def test_a_depth_map_with_a_flipped_bit_is_never_given(tmp_path):
    """B20: the checksum of the stream is looked at."""
    rng = np.random.default_rng(4)
    path, camera = tmp_path / "flipped.sens", true.SMALL.resized(width=40, height=30)
    header = layout.sens_header(colour=true.SMALL, depth=camera, num_frames=200)
    whole = zlib.compress(np.repeat(rng.integers(0, 4000, size=300), 4).astype("<u2").tobytes())
    frames = []
    for _ in range(200):
        flipped = bytearray(whole)
        flipped[int(rng.integers(2, len(whole)))] ^= 1 << int(rng.integers(0, 8))
        frames.append(layout.sens_frame(np.eye(4), b"\xff\xd8\xff", bytes(flipped)))
    path.write_bytes(header + b"".join(frames))
    with SensFile(path) as sens:
        assert len(sens) == 200 and all(sens.depth(index) is None for index in range(200))
