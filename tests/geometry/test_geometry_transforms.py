"""Transforms: composition, inverses, headings of constructed cameras."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from sightline.errors import ShapeError
from sightline.geometry.transforms import (
    apply,
    camera_pitch_deg,
    camera_roll_deg,
    camera_yaw_deg,
    inverse,
    look_at,
    nearest_rigid,
    rigid,
    rigidity_error,
    rotate,
    rotation_from_quat_wxyz,
    wrap_deg,
    yaw_matrix,
    yaw_translation,
)

angles = st.floats(-720, 720, allow_nan=False)


def random_pose(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rigid(Rotation.random(random_state=seed).as_matrix(), rng.uniform(-5, 5, 3))


@given(st.integers(0, 10_000))
@settings(max_examples=30, deadline=None)
def test_the_inverse_undoes_a_transform_and_products_apply_right_to_left(seed):
    a_from_b, b_from_c = random_pose(seed), random_pose(seed + 1)
    points_c = np.random.default_rng(seed).normal(size=(5, 3))
    assert np.allclose(apply(inverse(a_from_b), apply(a_from_b, points_c)), points_c, atol=1e-12)
    assert np.allclose(apply(a_from_b @ b_from_c, points_c), apply(a_from_b, apply(b_from_c, points_c)), atol=1e-12)
    assert np.allclose(inverse(a_from_b), np.linalg.inv(a_from_b), atol=1e-12)


def test_vectors_are_rotated_and_not_moved():
    b_from_a = yaw_translation(np.pi / 2, np.array([3.0, 4.0, 5.0]))
    assert np.allclose(rotate(b_from_a, np.array([1.0, 0.0, 0.0])), [0.0, 1.0, 0.0])
    assert np.allclose(apply(b_from_a, np.array([1.0, 0.0, 0.0])), [3.0, 5.0, 5.0])


@given(angles)
def test_a_wrapped_angle_is_the_same_direction_within_half_a_turn(angle_deg):
    wrapped = wrap_deg(angle_deg)
    assert -180.0 < wrapped <= 180.0
    assert abs(np.sin(np.radians((wrapped - angle_deg) / 2))) < 1e-9


def test_wrapping_keeps_half_a_turn_positive_and_small_angles_exact():
    assert wrap_deg(180.0) == 180.0 and wrap_deg(-180.0) == 180.0 and wrap_deg(540.0) == 180.0
    assert wrap_deg(190.0) == pytest.approx(-170.0) and wrap_deg(-340.0) == pytest.approx(20.0)
    assert np.allclose(wrap_deg(np.array([0.0, 359.0, np.nan])), [0.0, -1.0, np.nan], equal_nan=True)


@pytest.mark.parametrize("yaw_deg", [-179.0, -90.0, -30.0, 0.0, 45.0, 120.0, 180.0])
@pytest.mark.parametrize("pitch_deg", [-60.0, 0.0, 35.0])
@pytest.mark.parametrize("roll_deg", [-100.0, 0.0, 20.0])
def test_yaw_pitch_and_roll_come_back_from_a_camera_built_of_them(yaw_deg, pitch_deg, roll_deg):
    yaw, pitch, roll = np.radians([yaw_deg, pitch_deg, roll_deg])
    forward = np.array([np.cos(yaw) * np.cos(pitch), np.sin(yaw) * np.cos(pitch), np.sin(pitch)])
    level_right = np.array([np.sin(yaw), -np.cos(yaw), 0.0])
    upright_down = np.cross(forward, level_right)
    right = np.cos(roll) * level_right + np.sin(roll) * upright_down  # its right hand sinks: clockwise for the holder
    camera = rigid(np.stack([right, np.cross(forward, right), forward], axis=1), np.zeros(3))
    assert wrap_deg(camera_yaw_deg(camera) - yaw_deg) == pytest.approx(0.0, abs=1e-9)
    assert camera_pitch_deg(camera) == pytest.approx(pitch_deg, abs=1e-9)
    assert camera_roll_deg(camera) == pytest.approx(roll_deg, abs=1e-9)


def test_a_camera_looking_straight_down_has_no_heading_and_no_roll():
    down = rigid(np.array([[1.0, 0.0, 0.0], [0.0, -1.0, 0.0], [0.0, 0.0, -1.0]]), np.zeros(3))
    assert np.isnan(camera_yaw_deg(down)) and np.isnan(camera_roll_deg(down))
    assert camera_pitch_deg(down) == pytest.approx(-90.0)


def test_look_at_sees_its_target_in_the_middle_with_up_above():
    world_from_camera = look_at(np.array([1.0, 2.0, 1.5]), np.array([4.0, -1.0, 0.5]))
    assert rigidity_error(world_from_camera) < 1e-12
    target, above, left = apply(inverse(world_from_camera), np.array([[4.0, -1.0, 0.5], [4.0, -1.0, 1.0], [5.0, 0.0, 0.5]]))
    assert np.allclose(target[:2], 0.0, atol=1e-12) and target[2] > 0
    assert above[1] < 0 and left[0] < 0  # +y is down, +x is right; the third point lies to the left seen from there
    assert camera_roll_deg(world_from_camera) == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize("target", [[1.0, 2.0, 9.0], [1.0, 2.0, -9.0], [1.0, 2.0, 1.5]])
def test_look_at_refuses_a_target_straight_above_below_or_on_the_eye(target):
    with pytest.raises(ShapeError, match="beside the eye"):
        look_at(np.array([1.0, 2.0, 1.5]), np.array(target))


def test_a_quaternion_gives_the_rotation_that_scipy_gives_and_zero_is_refused():
    quat_wxyz = np.array([0.3, -0.5, 0.7, 0.2])
    expected = Rotation.from_quat(np.roll(quat_wxyz, -1)).as_matrix()
    assert np.allclose(rotation_from_quat_wxyz(quat_wxyz), expected, atol=1e-12)
    for bad in ([0.0, 0.0, 0.0, 0.0], [np.nan, 0.0, 0.0, 1.0]):
        with pytest.raises(ShapeError, match="quat_wxyz"):
            rotation_from_quat_wxyz(np.array(bad))


def test_rigidity_error_names_scale_mirror_and_a_wrong_last_row_and_passes_rotations():
    assert rigidity_error(random_pose(3)) < 1e-12
    for wrong in (np.diag([2.0, 2.0, 2.0, 1.0]), np.diag([1.0, 1.0, -1.0, 1.0]), np.diag([1.0, 1.0, 1.0, 2.0])):
        assert rigidity_error(wrong) >= 1.0


def test_the_nearest_rigid_transform_of_a_slightly_bent_one_is_rigid_and_near():
    pose = random_pose(4)
    bent = pose + np.pad(np.random.default_rng(0).normal(scale=1e-3, size=(3, 3)), ((0, 1), (0, 1)))
    straight = nearest_rigid(bent)
    assert rigidity_error(straight) < 1e-12 < rigidity_error(bent)
    assert np.abs(straight - pose).max() < 5e-3


def test_yaw_turns_counter_clockwise_seen_from_above():
    assert np.allclose(yaw_matrix(np.pi / 2) @ [1.0, 0.0, 0.0], [0.0, 1.0, 0.0])
