"""Turning a recording upright moves no world point: pixels, cameras and poses turn together."""

import numpy as np
import pytest
import true_room as true
from PIL import Image

from sightline.captures.turning import NO_TURN, camera_from_turned, turned_camera, turned_colour, turned_pixels, turning_note, upright_turn
from sightline.errors import CaptureError
from sightline.geometry.depth import points_world_from_depth
from sightline.geometry.transforms import look_at, rigid

UP = (0.0, 0.0, 1.0)


@pytest.mark.parametrize("quarters", [0, 1, 2, 3])
def test_every_pixel_stays_at_its_world_point(quarters):
    view = true.shoot(true.SMALL, true.poses()[0])
    camera = turned_camera(true.SMALL, quarters)
    pose = view.world_from_camera @ camera_from_turned(quarters)
    depth_m = turned_pixels(view.depth_m, quarters)
    assert depth_m.shape == (camera.height, camera.width)
    points = points_world_from_depth(depth_m, camera, pose)
    np.testing.assert_allclose(points, turned_pixels(view.points_world, quarters), atol=1e-9)


@pytest.mark.parametrize("quarters", [0, 1, 2, 3])
def test_the_turned_view_is_what_a_turned_camera_sees(quarters):
    pose = true.poses()[2]
    turned = true.shoot(turned_camera(true.SMALL, quarters), pose @ camera_from_turned(quarters))
    off = np.abs(turned.rgb.astype(int) - turned_pixels(true.shoot(true.SMALL, pose).rgb, quarters))
    assert (off.max(axis=2) == 0).mean() > 0.97 and off.mean() < 0.5  # textures are sampled by the pixel's width


@pytest.mark.parametrize("quarters", [0, 1, 2, 3])
def test_cameras_held_turned_are_found_and_turned_upright(quarters):
    held = true.poses() @ camera_from_turned(quarters).T  # the camera that must be turned so often
    turn = upright_turn(held, up_world=UP)
    assert turn.quarters == quarters and turn.frames_told == true.NUM_FRAMES and turn.frames_otherwise == 0
    assert (held @ camera_from_turned(turn.quarters))[:, 2, 1].max() < 0.0  # down in the picture is down in the world


def test_the_majority_decides_and_the_others_are_counted():
    mixed = np.concatenate([true.poses()[:6] @ camera_from_turned(1).T, true.poses()[6:]])
    turn = upright_turn(mixed, up_world=UP)
    assert (turn.quarters, turn.frames_told, turn.frames_otherwise) == (1, 8, 2)
    assert turn.as_notes()["turned_counter_clockwise_deg"] == 90


def test_views_straight_down_and_broken_poses_have_no_vote():
    down = look_at(np.array([0.0, 0.0, 2.0]), np.array([0.05, 0.0, 0.0])) @ camera_from_turned(1)
    broken = np.full((4, 4), np.nan)
    turn = upright_turn(np.stack([down, down, broken, true.poses()[0]]), up_world=UP)
    assert (turn.quarters, turn.frames_told) == (0, 1)
    assert upright_turn(np.stack([down, broken]), up_world=UP) == NO_TURN


def test_up_may_be_any_axis():
    turned_world = rigid(np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]]), np.zeros(3))  # +z up to +y up
    assert upright_turn(turned_world @ true.poses() @ camera_from_turned(3).T, up_world=(0.0, 1.0, 0.0)).quarters == 3


def test_a_png_is_turned_without_loss_and_a_jpeg_stays_close(tmp_path):
    rgb = true.shoot(true.SMALL, true.poses()[0]).rgb
    for name in ("a.png", "b.jpg"):
        Image.fromarray(rgb).save(tmp_path / name, quality=97)
    lossless = turned_colour(tmp_path / "a.png", tmp_path / "out", 1)
    assert lossless == tmp_path / "out" / "a.png" and (np.asarray(Image.open(lossless)) == np.rot90(rgb)).all()
    lossy = turned_colour(tmp_path / "b.jpg", tmp_path / "out", 3)
    assert np.abs(np.asarray(Image.open(lossy)).astype(int) - np.rot90(rgb, 3)).mean() < 4.0
    assert "without loss" in turning_note(NO_TURN, ".png") and "JPEG" in turning_note(NO_TURN, ".jpg")
    (tmp_path / "c.png").write_bytes(b"no image")
    with pytest.raises(CaptureError, match="c.png"):
        turned_colour(tmp_path / "c.png", tmp_path / "out", 1)
