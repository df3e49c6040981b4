"""What the Redwood reader makes of cameras written either way, of numbered poses and of names with times in them."""

import json

import layout_redwood as layout
import numpy as np
import pytest
import true_room as true

from sightline.captures.intrinsics import read_open3d_camera
from sightline.captures.redwood import RedwoodReader
from sightline.captures.trajectory_logs import looks_like_log, read_log


def test_a_camera_is_the_same_column_by_column_and_row_by_row(tmp_path):
    path = tmp_path / "camera.json"
    for matrix in (true.SMALL.K.T, true.SMALL.K):
        path.write_text(json.dumps({"width": 160, "height": 120, "intrinsic_matrix": matrix.reshape(-1).tolist()}))
        K, size = read_open3d_camera(path)
        assert np.array_equal(K, true.SMALL.K) and size == (160, 120)


def test_a_pose_that_a_log_leaves_out_is_counted_and_the_others_keep_their_frames(tmp_path):
    wrote = layout.open3d(tmp_path / "source")
    log = wrote.source / "living_room" / "scene" / "trajectory.log"
    lines = log.read_text().splitlines()
    log.write_text("\n".join(lines[:10] + lines[15:]) + "\n")  # without block 2
    capture = RedwoodReader(wrote.source, {}).read("living_room", workspace=tmp_path)
    assert [(one.frame_id, one.reason) for one in capture.skipped] == [("00002", "pose_missing")]
    for frame in capture.frames:
        assert np.abs(frame.world_from_camera - true.poses()[int(frame.frame_id)]).max() < 1e-6


def test_steps_are_taken_over_the_images_not_over_the_poses(tmp_path):
    wrote = layout.open3d(tmp_path / "source")
    capture = RedwoodReader(wrote.source, {"frame_step": 3, "place_id": "flat"}).read("living_room", workspace=tmp_path)
    assert [frame.frame_id for frame in capture.frames] == ["00000", "00003", "00006"] and capture.place_id == "flat"
    assert np.abs(capture.frames[2].world_from_camera - true.poses()[6]).max() < 1e-6
    assert capture.notes["trajectory"] == "scene/trajectory.log" and capture.notes["intrinsics_from"] == "camera_intrinsic.json"


def test_without_a_camera_file_it_is_the_primesense_default_and_the_notes_say_so(tmp_path):
    wrote = layout.recorder(tmp_path / "source")
    capture = RedwoodReader(wrote.source, {}).read("apartment", workspace=tmp_path)
    assert capture.notes["intrinsics_from"] == "PrimeSense default"
    assert capture.frames[0].intrinsics.fx == pytest.approx(525.0 / 4.0)


def test_a_log_is_known_by_its_first_block(tmp_path):
    layout.write_log(tmp_path / "good.log", [np.eye(4)] * 2, [0, 1])
    assert looks_like_log(tmp_path / "good.log") and [pose.index for pose in read_log(tmp_path / "good.log")] == [0, 1]
    for content in (b"", b"0 0 1\n", b"started\n0 0 1\n", b"1 0 0 0\n0 1 0 0\n", b"\xff\xfe0 0 1\n1 0 0 0\n"):
        (tmp_path / "other.log").write_bytes(content)
        assert not looks_like_log(tmp_path / "other.log")
