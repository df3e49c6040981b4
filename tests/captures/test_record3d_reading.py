"""What the layout contract does not see of Record3D: untouched pictures, rounded depth, masks, and recordings without a known up."""

import zipfile

import layout_record3d as layout
import numpy as np
import pytest
import true_room as true
from layout_strayscanner import arkit_pose
from scipy.spatial.transform import Rotation
from spoiling import read

from sightline.captures.capture import Capture
from sightline.captures.frame_images import frame_depth_m, stored_depth
from sightline.captures.record3d.reader import Record3DReader
from sightline.scenes.verify import verify_capture


@pytest.fixture(scope="module")
def newer(tmp_path_factory):
    return layout.newer(tmp_path_factory.mktemp("record3d"))


def test_pictures_come_out_byte_for_byte(newer, tmp_path):
    capture = read(newer, newer.source, tmp_path / "w")
    with zipfile.ZipFile(newer.source) as archive:
        for frame in capture.frames:
            assert frame.rgb_path.read_bytes() == archive.read(f"rgbd/{frame.frame_id}.jpg")
    assert sorted(path.name for path in (tmp_path / "w").iterdir()) == ["depth.depthpack", "rgbd"]
    assert "reencoded" not in capture.notes and capture.notes["depth_quantised_m"] == 0.00025


def test_times_are_those_of_the_file(newer, tmp_path):
    assert [frame.time_s for frame in read(newer, newer.source, tmp_path / "w").frames] == [0.5 + 0.25 * index for index in range(8)]


def test_readings_of_low_confidence_are_left_out_unless_asked_for(newer, tmp_path):
    usual, every = read(newer, newer.source, tmp_path / "a"), read(newer, newer.source, tmp_path / "b", min_confidence=0)
    for some, all_of_it in zip(usual.frames, every.frames):
        masked, whole = stored_depth(some), stored_depth(all_of_it)
        assert not masked[:3, -6:].any() and whole[:3, -6:].any()
        whole[:3, -6:] = 0
        assert (masked == whole).all()


def test_only_chosen_frames_are_taken_out(newer, tmp_path):
    capture = read(newer, newer.source, tmp_path / "w", frame_step=3)
    assert [frame.frame_id for frame in capture.frames] == ["0", "3", "6"]
    assert sorted(path.name for path in (tmp_path / "w" / "rgbd").iterdir()) == ["0.jpg", "3.jpg", "6.jpg"]


def from_first_camera(folder, tmp_path) -> Capture:
    """A recording whose world is its first camera, which was held tilted and upright: nothing in the file says where up is."""
    first = arkit_pose(true.poses()[0]) @ layout.OPENGL_FROM_OPENCV
    rows = []
    for pose in true.poses():
        held = np.linalg.inv(first) @ arkit_pose(pose) @ layout.OPENGL_FROM_OPENCV
        rows.append([*map(float, Rotation.from_matrix(held[:3, :3]).as_quat()), *map(float, held[:3, 3])])
    said = layout.members(camera=true.SMALL, said=true.SMALL, depth_camera=true.SMALL, newer=True, poses=rows)
    wrote = layout.written(layout.write(folder / "r.r3d", said), "r", camera=true.SMALL, depth_camera=true.SMALL)
    return read(wrote, wrote.source, tmp_path / "w")


def test_up_is_measured_where_the_world_is_the_first_camera(tmp_path):
    capture = from_first_camera(tmp_path / "in", tmp_path)
    assert capture.notes["convention"]["up_axis"].startswith("auto")
    for frame, pose in zip(capture.frames, true.poses()):
        tilt_deg = np.degrees(np.arccos(np.clip(frame.world_from_camera[2, :3] @ pose[2, :3], -1.0, 1.0)))
        assert tilt_deg < 1.0  # the world's up, seen from each camera
    assert verify_capture(capture).agreement > 0.95


def test_depth_is_exact_to_an_eighth_of_a_millimetre(newer, tmp_path):
    capture = read(newer, newer.source, tmp_path / "w", min_confidence=0)
    for frame, expected in zip(capture.frames, newer.frames):
        truth = true.shoot(expected.depth_intrinsics, expected.world_from_camera).depth_m
        off_m = np.abs(frame_depth_m(frame) - truth)
        assert np.nanmax(off_m) < 0.000126 and (np.isnan(frame_depth_m(frame)) == np.isnan(truth)).all()


def test_the_archive_is_the_only_source_file(newer):
    assert list(Record3DReader(newer.source, {}).source_files(newer.scan_id)) == [newer.source]
