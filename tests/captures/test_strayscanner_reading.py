"""What the layout contract does not see of Stray Scanner: which video frames are decoded, what is masked, what is left alone."""

import layout_strayscanner as layout
import numpy as np
import pytest
import true_room as true
from PIL import Image
from spoiling import read, rewritten

from sightline.captures.frame_images import stored_depth
from sightline.captures.images import read_rgb
from sightline.captures.strayscanner.reader import StrayScannerReader


@pytest.fixture(scope="module")
def newer(tmp_path_factory):
    return layout.newer(tmp_path_factory.mktemp("stray") / "source")


def test_readings_of_low_confidence_are_left_out_unless_asked_for(newer, tmp_path):
    usual, every = read(newer, newer.source, tmp_path / "a"), read(newer, newer.source, tmp_path / "b", min_confidence=0)
    assert "below 1" in usual.notes["confidence"] and "confidence" not in every.notes
    for some, all_of_it in zip(usual.frames, every.frames):
        masked, whole = stored_depth(some), stored_depth(all_of_it)
        assert not masked[-2:, :8].any() and whole[-2:, :8].any()
        whole[-2:, :8] = 0
        assert (masked == whole).all()


def test_only_chosen_frames_are_decoded_and_each_is_the_right_one(newer, tmp_path):
    capture = read(newer, newer.source, tmp_path / "w", frame_step=4)
    assert [frame.frame_id for frame in capture.frames] == ["000002", "000006"]
    assert sorted(path.name for path in (tmp_path / "w" / "color").iterdir()) == ["000002.jpg", "000006.jpg"]
    for frame in capture.frames:
        off = [np.abs(read_rgb(frame.rgb_path).astype(int) - true.shoot(layout.PORTRAIT, pose).rgb).mean() for pose in true.poses()]
        assert int(np.argmin(off)) == int(frame.frame_id) - layout.FIRST


def test_a_line_that_was_removed_shifts_no_other_frame(newer, tmp_path):
    root = tmp_path / "source"
    wrote = layout.newer(root)
    rewritten(wrote.source / "odometry.csv", lambda text: "\n".join(line for line in text.splitlines() if ", 000005," not in line))
    capture = read(wrote, wrote.source, tmp_path / "w")
    assert "000005" not in [frame.frame_id for frame in capture.frames] and len(capture.frames) == len(wrote.frames) - 1
    for frame in capture.frames:
        truth = true.shoot(layout.PORTRAIT, true.poses()[int(frame.frame_id) - layout.FIRST]).rgb
        assert np.abs(read_rgb(frame.rgb_path).astype(int) - truth).mean() < 18.0


def test_depth_that_is_neither_turned_nor_masked_stays_where_it_is(tmp_path):
    wrote = layout.older(tmp_path / "source")
    capture = read(wrote, wrote.source, tmp_path / "w")
    assert all(frame.depth_path.is_relative_to(wrote.source) and frame.depth_index is None for frame in capture.frames)
    assert capture.notes["reencoded"] == "colour: decoded from rgb.mp4, JPEG quality 95"


def test_left_on_its_side_the_recording_still_fits_the_room(newer, tmp_path):
    capture = read(newer, newer.source, tmp_path / "w", upright=False, min_confidence=0)
    stored = sorted((newer.source / "depth").iterdir())
    for frame, pose, path in zip(capture.frames, true.poses(), stored):
        assert (frame.intrinsics.width, frame.intrinsics.height) == (320, 240)
        np.testing.assert_allclose(frame.world_from_camera, layout.stored_pose(pose, 1), atol=1e-9)
        assert (stored_depth(frame) == np.asarray(Image.open(path))).all()


def test_source_files_are_those_that_are_read(newer):
    names = {path.name for path in StrayScannerReader(newer.source, {}).source_files(newer.scan_id)}
    assert {"rgb.mp4", "odometry.csv", "camera_matrix.csv", "000005.png"} <= names and "imu.csv" not in names
