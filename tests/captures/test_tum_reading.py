"""What the TUM RGB-D reader makes of clocks, neighbours in time, cameras that no file names and mirrored worlds."""

import layout_tum as layout
import numpy as np
import pytest
import true_room as true
from scipy.spatial.transform import Rotation, Slerp

from sightline.captures.intrinsics import y_down
from sightline.captures.timed_poses import poses_at
from sightline.captures.tum import TumReader
from sightline.geometry.transforms import rigid


def some_poses(count: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    turns = Rotation.random(count, random_state=seed).as_matrix()
    return np.stack([rigid(turn, rng.normal(size=3)) for turn in turns])


def test_rotations_between_neighbours_are_those_of_an_independent_slerp():
    poses = some_poses(2, seed=4)
    times_s, wanted_s = np.array([2.0, 3.0]), np.linspace(2.0, 3.0, 21)
    found, places = poses_at(times_s, poses, wanted_s, max_gap_s=1.0)
    expected = Slerp(times_s, Rotation.from_matrix(poses[:, :3, :3]))(wanted_s).as_matrix()
    assert np.abs(found[:, :3, :3] - expected).max() < 1e-12
    assert np.allclose(found[:, :3, 3], poses[0, :3, 3] + (wanted_s - 2.0)[:, None] * (poses[1, :3, 3] - poses[0, :3, 3]))
    assert (places[:-1] == 0).all() and places[-1] == 1


def test_a_pose_is_taken_as_it_stands_at_its_own_time_and_never_beyond_the_ends():
    poses = some_poses(3)
    found, places = poses_at(np.array([3.0, 1.0, 2.0]), poses, np.array([1.0, 3.0, 0.99, 3.01, 1.5]), max_gap_s=0.1)
    assert np.array_equal(found[0], poses[1]) and np.array_equal(found[1], poses[0])
    assert places.tolist() == [1, 0, -1, -1, -1] and np.isnan(found[2:]).all()


def test_one_neighbour_that_is_not_finite_spoils_what_lies_between():
    poses = some_poses(3)
    poses[1, 0, 3] = np.nan
    found, _ = poses_at(np.arange(3.0), poses, np.array([0.5, 1.5, 0.0, 2.0]), max_gap_s=1.0)
    assert np.isnan(found[:2]).all() and np.isfinite(found[2:]).all()


@pytest.mark.parametrize(
    ("name", "focal"),
    [
        ("rgbd_dataset_freiburg1_xyz", 517.3),
        ("rgbd_dataset_freiburg2_desk", 520.9),
        ("rgbd_dataset_freiburg3_long_office_household", 535.4),
        ("fr2_desk", 520.9),
        ("office_room_traj1_loop", 481.2),
    ],
)
def test_the_name_of_a_sequence_says_which_published_camera_it_was(tmp_path, name, focal):
    wrote = layout.freiburg(tmp_path / "source")
    scan = (wrote.source / "rgbd_dataset_freiburg1_room").rename(wrote.source / name)
    capture = TumReader(scan, {}).read(name, workspace=tmp_path)
    assert capture.frames[0].intrinsics.fx == pytest.approx(focal / 4.0)
    assert capture.notes["distortion_removed"] == (focal not in (517.3, 520.9))
    assert ("mirrored" in capture.notes) == (focal == 481.2)


def test_a_camera_file_in_the_folder_and_an_option_win_over_the_name(tmp_path):
    wrote = layout.freiburg(tmp_path / "source")
    scan = wrote.source / wrote.scan_id
    (scan / "K.txt").write_text("130 130 80 60\n")
    assert TumReader(scan, {}).read(wrote.scan_id, workspace=tmp_path).frames[0].intrinsics.fx == 130.0
    given = TumReader(scan, {"intrinsics": [140.0, 140.0, 80.0, 60.0]}).read(wrote.scan_id, workspace=tmp_path)
    assert given.frames[0].intrinsics.fx == 140.0 and given.notes["intrinsics_from"] == "option intrinsics"


def test_fewer_frames_are_chosen_before_anything_is_opened(tmp_path):
    wrote = layout.freiburg(tmp_path / "source")
    scan = wrote.source / wrote.scan_id
    for place in (1, 3, 5, 7):
        sorted((scan / "rgb").iterdir())[place].write_bytes(b"never opened")
    capture = TumReader(scan, {"frame_step": 2}).read(wrote.scan_id, workspace=tmp_path)
    assert [frame.frame_id for frame in capture.frames] == [frame.frame_id for frame in wrote.frames[::2]]
    assert [
        frame.frame_id for frame in TumReader(scan, {"max_frames": 2, "frame_step": 2}).read(wrote.scan_id, workspace=tmp_path).frames
    ] == [
        wrote.frames[0].frame_id,
        wrote.frames[6].frame_id,
    ]


def test_a_negative_focal_length_is_a_mirrored_y_axis():
    K, mirrored = y_down(np.array([[481.2, 0.0, 319.5], [0.0, -480.0, 239.5], [0.0, 0.0, 1.0]]))
    assert mirrored and K[1, 1] == 480.0 and K[1, 2] == 239.5
    assert y_down(true.SMALL.K)[1] is False


def test_reading_the_mirrored_world_as_it_stands_would_be_wrong(tmp_path):
    """The check that the true points see the difference: with a positive fy the same files give another room."""
    wrote = layout.icl_nuim(tmp_path / "source")
    as_it_stands = TumReader(wrote.source, {"intrinsics": [120.3, 120.0, 79.5, 59.5]}).read(wrote.scan_id, workspace=tmp_path)
    off = [np.abs(frame.world_from_camera - one.world_from_camera).max() for frame, one in zip(as_it_stands.frames, wrote.frames)]
    assert min(off) > 0.1
