"""What the layout contract does not see of ARKitScenes: tables and visits, masked and turned files, one way for all frames."""

import layout_arkitscenes as layout
import numpy as np
import pytest
import true_room as true
from PIL import Image
from scipy.spatial.transform import Rotation
from spoiling import read, rewritten

from sightline.captures.arkitscenes.reader import ArkitScenesReader
from sightline.captures.arkitscenes.trajectory import rotations_from_axis_angle
from sightline.captures.frame_images import stored_depth


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    return layout.portrait_raw(tmp_path_factory.mktemp("arkit_raw") / "source")


@pytest.fixture(scope="module")
def usual(tmp_path_factory):
    return layout.threedod(tmp_path_factory.mktemp("arkit") / "source")


def test_axis_angles_are_rotations_also_at_zero_and_where_they_are_no_numbers():
    rng = np.random.default_rng(1)
    vectors = np.concatenate([rng.normal(size=(50, 3)), np.zeros((1, 3)), rng.normal(size=(5, 3)) * 1e-9, [[np.pi, 0.0, 0.0]]])
    np.testing.assert_allclose(rotations_from_axis_angle(vectors), Rotation.from_rotvec(vectors).as_matrix(), atol=1e-12)
    assert np.isnan(rotations_from_axis_angle(np.array([[np.nan, 0.0, 0.0]]))).any()


def test_a_visit_with_rooms_on_both_sides_of_the_split_is_noted(raw, usual, tmp_path):
    notes = read(raw, raw.source, tmp_path / "a").notes
    assert notes["split"] == "Validation" and notes["visit_id"] == layout.VISIT and notes["sky_direction"] == "Left"
    assert "Training and Validation" in notes["split_warning"]
    assert "split_warning" not in read(usual, usual.source, tmp_path / "b").notes


def test_splits_come_from_folders_and_tables(usual, raw):
    for split, ids in (("all", (layout.VIDEO,)), ("Training", (layout.VIDEO,)), ("train", (layout.VIDEO,)), ("Validation", ())):
        assert ArkitScenesReader(usual.source, {}).scan_ids(split) == ids
    assert ArkitScenesReader(raw.source, {}).scan_ids("val") == (layout.VIDEO,)
    alone = layout.VIDEO, raw.source / "Validation" / layout.VIDEO
    assert ArkitScenesReader(alone[1], {}).scan_ids("Validation") == (alone[0],)


def test_a_video_whose_visit_is_not_known_is_a_place_of_its_own(usual, tmp_path):
    root = tmp_path / "source"
    wrote = layout.threedod(root)
    rewritten(root / "3dod" / "3dod_train_val_splits.csv", lambda text: text.replace(layout.VISIT, "NA"))
    assert read(wrote, wrote.source, tmp_path / "w").place_id == f"arkitscenes_{layout.VIDEO}"
    assert read(wrote, wrote.source, tmp_path / "w2", place_id="kitchen").place_id == "kitchen"


def test_a_foreign_table_of_the_same_name_says_nothing(tmp_path):
    wrote = layout.threedod(tmp_path / "source")
    (tmp_path / "source" / "metadata.csv").write_bytes(b"\xff\xfe not a table")
    (tmp_path / "source" / "3dod" / "metadata.csv").write_text("a,b\n1,2\n")
    assert read(wrote, wrote.source, tmp_path / "w").place_id == wrote.place_id


def test_upright_recordings_stay_where_they_are(usual, tmp_path):
    capture = read(usual, usual.source, tmp_path / "w")
    assert all(frame.rgb_path.is_relative_to(usual.source) and frame.depth_path.is_relative_to(usual.source) for frame in capture.frames)
    assert list((tmp_path / "w").iterdir()) == [] and "reencoded" not in capture.notes


def test_turned_recordings_are_turned_without_loss_and_say_so(raw, tmp_path):
    capture = read(raw, raw.source, tmp_path / "w", min_confidence=0)
    assert "270 degrees" in capture.notes["reencoded"] and "without loss" in capture.notes["reencoded"]
    assert capture.notes["upright"] == {"turned_counter_clockwise_deg": 270, "frames_told": 32, "frames_otherwise": 0}
    source = sorted((raw.source / "Validation" / layout.VIDEO / "lowres_depth").iterdir())
    for frame, path in zip(capture.frames, source):
        assert (stored_depth(frame) == np.rot90(np.asarray(Image.open(path)), 3)).all()


def test_left_as_it_was_held_the_recording_still_fits_the_room(raw, tmp_path):
    capture = read(raw, raw.source, tmp_path / "w", upright=False, min_confidence=0)
    for frame, pose in zip(capture.frames, true.poses()):
        assert (frame.intrinsics.width, frame.intrinsics.height) == (160, 120)
        np.testing.assert_allclose(frame.world_from_camera, layout.stored_pose(pose, 3), atol=1e-9)


def test_readings_of_low_confidence_are_left_out_where_they_lie(raw, tmp_path):
    kept = read(raw, raw.source, tmp_path / "a", min_confidence=1)
    strict = read(raw, raw.source, tmp_path / "b", min_confidence=2)
    assert "below 2" in strict.notes["confidence"] and "below 1" in kept.notes["confidence"]
    for some, fewer in zip(kept.frames, strict.frames):
        before, after = stored_depth(some), stored_depth(fewer)
        assert (before[:2, :10] > 0).any() and not after[:2, :10].any()
        before[:2, :10] = 0
        assert (before == after).all()


def test_frames_are_thinned_and_the_trajectory_still_decides_the_turn(raw, tmp_path):
    capture = read(raw, raw.source, tmp_path / "w", frame_step=2, max_frames=3)
    assert [frame.frame_id for frame in capture.frames] == [raw.frames[place].frame_id for place in (0, 4, 6)]
    assert capture.notes["upright"]["frames_told"] == 32


def test_source_files_are_those_that_are_read_and_no_others(raw):
    reader = ArkitScenesReader(raw.source, raw.options)
    names = {path.parent.name for path in reader.source_files(layout.VIDEO)}
    folders = {"vga_wide", "vga_wide_intrinsics", "lowres_depth", "lowres_wide_intrinsics", "confidence"}
    assert names == {*folders, layout.VIDEO, raw.source.name}
