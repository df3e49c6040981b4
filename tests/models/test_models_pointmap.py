"""Where visual tokens are: planted coordinates come back at their token, whatever the depth map's size, holes or frame."""

import tracemalloc
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from toy_models import COLUMNS, HEIGHT, ROWS, WIDTH, camera, toy_view

from sightline.errors import ConfigError
from sightline.geometry.transforms import apply, inverse, look_at, rigid, yaw_matrix
from sightline.models.geometry_encoders.pointmap import token_points
from sightline.models.geometry_tokens import COORDINATE_FRAMES, frame_from_world

TOKENS = ROWS * COLUMNS


def encoder(min_valid_fraction: float = 0.25) -> partial:
    return partial(token_points, rows=ROWS, columns=COLUMNS, min_valid_fraction=min_valid_fraction)


def per_token_depth(scale: int) -> np.ndarray:
    """A depth map at `scale` times the image size in which token k lies at 1 + k / 10 metres."""
    by_token = 1.0 + np.arange(TOKENS, dtype=np.float32).reshape(ROWS, COLUMNS) / 10.0
    return np.kron(by_token, np.ones((16 * scale, 16 * scale), np.float32))


def planted(scale: int, **changes: object):
    depth_intrinsics = camera(width=scale * WIDTH, height=scale * HEIGHT)
    view = toy_view(0, depth_m=per_token_depth(scale), world_from_camera=np.eye(4))
    return replace(view, depth_intrinsics=depth_intrinsics, **changes)


@pytest.mark.parametrize("scale", [1, 2, 5])
def test_planted_coordinates_come_back_at_their_token_at_any_depth_resolution(scale):
    points_world, is_valid = encoder()(planted(scale))
    assert is_valid.all()
    z_m = 1.0 + np.arange(TOKENS) / 10.0
    centre_uv = np.stack(np.meshgrid(np.arange(COLUMNS) * 16 + 7.5, np.arange(ROWS) * 16 + 7.5), axis=-1).reshape(-1, 2)
    expected = camera().unproject(centre_uv, z_m)  # a patch's mean ray is the ray of its centre
    np.testing.assert_allclose(points_world, expected, atol=1e-6)


def test_the_image_may_be_a_crop_of_what_the_depth_camera_sees():
    """The colour image shows the lower right quarter of the depth map: its tokens get that quarter, not the whole."""
    whole = camera(width=2 * WIDTH, height=2 * HEIGHT)
    shown = whole.cropped(left=WIDTH, top=HEIGHT, width=WIDTH, height=HEIGHT)
    depth_m = np.full((2 * HEIGHT, 2 * WIDTH), 9.0, np.float32)
    depth_m[HEIGHT:, WIDTH:] = per_token_depth(1)
    points_world, is_valid = encoder()(planted(2, intrinsics=shown, depth_m=depth_m))
    assert is_valid.all()
    np.testing.assert_allclose(points_world[:, 2], 1.0 + np.arange(TOKENS) / 10.0, atol=1e-6)


def test_tokens_outside_the_depth_cameras_view_are_invalid():
    narrow = camera(width=2 * WIDTH, height=2 * HEIGHT).cropped(left=WIDTH, top=0, width=WIDTH, height=2 * HEIGHT)
    view = planted(2, depth_m=np.full((2 * HEIGHT, WIDTH), 2.0, np.float32))
    view = replace(view, depth_intrinsics=narrow)
    _, is_valid = encoder()(view)
    assert is_valid.reshape(ROWS, COLUMNS).tolist() == [[False, False, True, True]] * ROWS


@pytest.mark.parametrize("hole", [np.nan, 0.0])
def test_holes_do_not_move_a_token(hole):
    view = planted(5)
    depth_m = view.depth_m.copy()
    depth_m[np.random.default_rng(3).random(depth_m.shape) < 0.2] = hole
    whole, _ = encoder()(view)
    with_holes, is_valid = encoder()(replace(view, depth_m=depth_m))
    assert is_valid.all()
    np.testing.assert_allclose(with_holes[:, 2], whole[:, 2], atol=1e-6)  # a hole read as zero would pull it to the camera
    assert np.abs(with_holes - whole).max() < 0.01


def test_a_token_with_too_few_readings_is_invalid_and_has_no_coordinates():
    view = planted(2)
    depth_m = view.depth_m.copy()
    depth_m[:32, :32] = np.nan  # token 0: nothing
    depth_m[:32, 32:58] = np.nan  # token 1: 6 of 32 columns left, 19 %
    depth_m[:32, 64:86] = np.nan  # token 2: 10 of 32 columns left, 31 %
    points_world, is_valid = encoder(0.25)(replace(view, depth_m=depth_m))
    assert is_valid[:4].tolist() == [False, False, True, True]
    assert np.isnan(points_world[:2]).all() and np.isfinite(points_world[2:]).all()


@pytest.mark.parametrize("missing", ["depth_m", "world_from_camera"])
def test_a_view_without_depth_or_pose_has_no_valid_token(missing):
    points_world, is_valid = encoder()(replace(toy_view(1), **{missing: None}))
    assert not is_valid.any() and np.isnan(points_world).all()


def test_a_pose_that_is_not_finite_spreads_no_nan_into_other_frames():
    broken = np.eye(4)
    broken[0, 3] = -np.inf
    _, is_valid = encoder()(toy_view(1, world_from_camera=broken))
    assert not is_valid.any()


def test_moving_the_world_moves_the_points_and_leaves_the_first_camera_frame_alone():
    new_from_world = rigid(yaw_matrix(0.7), np.array([3.0, -2.0, 0.5]))
    view = toy_view(2)
    moved = replace(view, world_from_camera=new_from_world @ view.world_from_camera)
    points_world, _ = encoder()(view)
    points_new, _ = encoder()(moved)
    np.testing.assert_allclose(points_new, apply(new_from_world, points_world), atol=1e-9)
    for name in ("first_camera", "first_camera_level"):
        before = apply(frame_from_world(name, view.world_from_camera), points_world)
        after = apply(frame_from_world(name, moved.world_from_camera), points_new)
        np.testing.assert_allclose(after, before, atol=1e-9)


def test_an_average_in_the_world_re_expressed_is_the_average_in_the_camera():
    view = toy_view(4)
    in_world, _ = encoder()(view)
    in_camera, _ = encoder()(replace(view, world_from_camera=np.eye(4)))
    np.testing.assert_allclose(apply(inverse(view.world_from_camera), in_world), in_camera, atol=1e-9)


def test_the_level_frame_has_gravity_down_and_the_camera_ahead():
    eye = np.array([1.0, 2.0, 1.5])
    world_from_camera = look_at(eye, np.array([1.0, 5.0, 0.0]))  # looking along +y and down
    points_world = np.array([[1.0, 3.0, 1.5], [2.0, 2.0, 1.5], [1.0, 2.0, 2.5]])  # a metre ahead, right, above
    expected = [[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]
    np.testing.assert_allclose(apply(frame_from_world("first_camera_level", world_from_camera), points_world), expected, atol=1e-12)


def test_every_coordinate_frame_is_a_rigid_motion_even_straight_down():
    straight_down = rigid(np.array([[1.0, 0.0, 0.0], [0.0, -1.0, 0.0], [0.0, 0.0, -1.0]]), np.array([0.0, 0.0, 2.0]))
    rolled = rigid(np.array([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]).T, np.zeros(3))
    for name in COORDINATE_FRAMES:
        for pose in (straight_down, rolled):
            rotation = frame_from_world(name, pose)[:3, :3]
            np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-12)
            assert np.linalg.det(rotation) == pytest.approx(1.0)


def test_an_unknown_coordinate_frame_is_named():
    with pytest.raises(ConfigError, match="expected one of world, first_camera, first_camera_level, found 'camera'"):
        frame_from_world("camera", np.eye(4))


def test_encoding_a_large_depth_map_needs_little_memory():
    """640x480 takes a few arrays of that size; a code per pixel and channel would take gigabytes."""
    view = replace(toy_view(0, depth_m=np.full((480, 640), 2.0, np.float32)), depth_intrinsics=camera(width=640, height=480))
    tracemalloc.start()
    encoder()(view)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 60e6
