"""What the 7-Scenes reader makes of scenes, splits, archives and readings that are none."""

import zipfile

import layout_sevenscenes as layout
import numpy as np
import true_room as true
from PIL import Image

from sightline.captures.frame_images import frame_depth_m
from sightline.captures.sevenscenes import SevenScenesReader


def test_sequences_of_one_scene_share_their_place_and_follow_the_lists(tmp_path):
    wrote = layout.scene(tmp_path / "source")
    reader = SevenScenesReader(wrote.source, {})
    assert reader.scan_ids("all") == ("chess_seq-01", "chess_seq-02", "chess_seq-03")
    assert reader.scan_ids("train") == ("chess_seq-01", "chess_seq-03") and reader.scan_ids("test") == ("chess_seq-02",)
    captures = [reader.read(scan_id, workspace=tmp_path) for scan_id in reader.scan_ids("all")]
    assert {capture.place_id for capture in captures} == {"sevenscenes_chess"}
    assert [capture.notes["split"] for capture in captures] == ["train", "test", "train"]
    assert reader.read("chess_seq-01", workspace=tmp_path).frames[0].rgb_path.parent == wrote.source / "seq-01"  # used where it lies


def test_an_archive_beside_the_folder_it_was_taken_from_is_not_read_twice(tmp_path):
    wrote = layout.scene(tmp_path / "source")
    with zipfile.ZipFile(wrote.source / "seq-01.zip", "w") as archive:
        archive.writestr("seq-01/nothing.txt", "")
    assert SevenScenesReader(wrote.source, {}).scan_ids("all") == ("chess_seq-01", "chess_seq-02", "chess_seq-03")


def test_colour_images_leave_an_archive_byte_for_byte_and_depth_goes_into_one_pack(tmp_path):
    wrote = layout.archives(tmp_path / "source")
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    capture = SevenScenesReader(wrote.source, {}).read(wrote.scan_id, workspace=workspace)
    with zipfile.ZipFile(wrote.source / "red kitchen" / "seq-01.zip") as archive:
        for frame in capture.frames:
            assert frame.rgb_path.read_bytes() == archive.read(f"seq-01/{frame.frame_id}.color.png")
    assert {frame.depth_path for frame in capture.frames} == {workspace / "depth.depthpack"}
    assert not list(workspace.rglob("*.depth.png")) and len(list(workspace.rglob("*.png"))) == len(capture.frames)


def test_only_the_chosen_frames_leave_an_archive(tmp_path):
    wrote = layout.archives(tmp_path / "source")
    capture = SevenScenesReader(wrote.source, {"frame_step": 3}).read(wrote.scan_id, workspace=tmp_path)
    assert [frame.frame_id for frame in capture.frames] == ["frame-000000", "frame-000003", "frame-000006"]
    assert len(list(tmp_path.glob("seq-01/*"))) == 3
    assert [round(frame.time_s, 3) for frame in capture.frames] == [0.0, 0.1, 0.2]


def test_what_the_sensor_could_not_measure_is_no_reading(tmp_path):
    wrote = layout.one_sequence(tmp_path / "source")
    path = wrote.source / "frame-000000.depth.png"
    stored = np.asarray(Image.open(path)).astype(np.uint16)
    stored[10:20, 10:30], stored[40:50, 10:30] = 65535, 0
    Image.fromarray(stored).save(path)
    capture = SevenScenesReader(wrote.source, wrote.options).read(wrote.scan_id, workspace=tmp_path)
    depth_m = frame_depth_m(capture.frames[0])
    assert np.isnan(depth_m[10:20, 10:30]).all() and np.isnan(depth_m[40:50, 10:30]).all()
    assert np.isfinite(depth_m).mean() > 0.7 * np.isfinite(true.shoot(layout.DEPTH, true.poses()[0]).depth_m).mean()
