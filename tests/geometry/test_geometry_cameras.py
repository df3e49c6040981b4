"""Cameras and depth maps: pixels at centres, projection both ways, parity with OpenCV."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sightline.errors import ShapeError
from sightline.geometry.cameras import Intrinsics
from sightline.geometry.depth import depth_at, depth_from_range, pixel_grid, points_camera_from_depth, points_world_from_depth
from sightline.geometry.transforms import inverse, look_at

CAMERA = Intrinsics(fx=310.0, fy=295.0, cx=158.3, cy=121.9, width=320, height=240)


def random_points(seed: int, count: int = 50) -> np.ndarray:
    return np.random.default_rng(seed).uniform([-2, -2, 0.3], [2, 2, 6], (count, 3))


@given(st.integers(0, 10_000))
@settings(max_examples=30, deadline=None)
def test_projecting_what_was_unprojected_gives_the_same_pixels(seed):
    rng = np.random.default_rng(seed)
    uv, depth_m = rng.uniform([0, 0], [320, 240], (40, 2)), rng.uniform(0.1, 20, 40)
    back, depth_back = CAMERA.project(CAMERA.unproject(uv, depth_m))
    assert np.abs(back - uv).max() < 1e-6 and np.array_equal(depth_back, depth_m)


def test_projection_agrees_with_opencv():
    world_from_camera = look_at(np.array([1.0, 2.0, 1.5]), np.array([4.0, -1.0, 0.5]))
    camera_from_world = inverse(world_from_camera)
    points_camera = random_points(1)
    points_world = points_camera @ world_from_camera[:3, :3].T + world_from_camera[:3, 3]
    rotation, _ = cv2.Rodrigues(camera_from_world[:3, :3])
    theirs, _ = cv2.projectPoints(points_world, rotation, camera_from_world[:3, 3], CAMERA.K, None)
    ours, _ = CAMERA.project(points_camera)
    assert np.abs(ours - theirs[:, 0]).max() < 1e-6


def test_resizing_by_two_keeps_pixel_centres():
    double = CAMERA.resized(width=640, height=480)
    uv, _ = CAMERA.project(random_points(2))
    uv_double, _ = double.project(random_points(2))
    assert np.allclose(uv_double, 2.0 * uv + 0.5, atol=1e-9)  # pixel 0 becomes pixels 0 and 1, whose middle is 0.5
    assert np.allclose(double.resized(width=320, height=240).K, CAMERA.K)


def test_resizing_agrees_with_what_an_image_resize_does_to_a_ramp():
    ramp = np.broadcast_to(np.arange(40, dtype=np.float32), (30, 40))
    camera = Intrinsics(fx=30.0, fy=30.0, cx=19.5, cy=14.5, width=40, height=30)
    small, half = cv2.resize(ramp, (20, 15), interpolation=cv2.INTER_AREA), camera.resized(width=20, height=15)
    x_over_z = (np.arange(20) - half.cx) / half.fx
    assert np.allclose(small[7], x_over_z * camera.fx + camera.cx, atol=1e-5)


def test_each_axis_scales_on_its_own():
    wide = CAMERA.resized(width=640, height=240)
    assert wide.fx == 2 * CAMERA.fx and wide.fy == CAMERA.fy and wide.cy == CAMERA.cy


def test_cropping_moves_pixels_by_the_corner_of_the_window():
    window = CAMERA.cropped(left=20, top=10, width=100, height=80)
    uv, _ = CAMERA.project(random_points(3))
    uv_window, _ = window.project(random_points(3))
    assert np.allclose(uv_window, uv - [20, 10]) and (window.width, window.height) == (100, 80)


def test_a_field_of_view_spans_the_outer_pixel_edges():
    camera = Intrinsics.from_field_of_view(horizontal_deg=90.0, width=200, height=100)
    edges = camera.unproject(np.array([[-0.5, 49.5], [199.5, 49.5]]), np.ones(2))
    assert np.allclose(edges, [[-1.0, 0.0, 1.0], [1.0, 0.0, 1.0]])


def test_points_behind_the_camera_have_no_pixel():
    uv, depth_m = CAMERA.project(np.array([[0.1, 0.1, -1.0], [0.1, 0.1, 0.0], [0.0, 0.0, 2.0], [np.nan, 0.0, 1.0]]))
    assert np.isnan(uv[:2]).all() and np.allclose(uv[2], [CAMERA.cx, CAMERA.cy]) and depth_m[0] == -1.0
    assert not CAMERA.contains(uv)[[0, 1, 3]].any() and CAMERA.contains(uv)[2]


def test_the_image_runs_from_half_a_pixel_before_the_first_centre_to_half_a_pixel_after_the_last():
    uv = np.array([[-0.5, 0.0], [-0.5001, 0.0], [319.499, 239.499], [319.5, 0.0], [0.0, 239.5]])
    assert CAMERA.contains(uv).tolist() == [True, False, True, False, False]


@pytest.mark.parametrize("change", [{"fx": 0.0}, {"fy": -1.0}, {"cx": np.nan}, {"width": 0}, {"height": -3}])
def test_impossible_intrinsics_are_refused(change):
    values = {name: getattr(CAMERA, name) for name in ("fx", "fy", "cx", "cy", "width", "height")}
    with pytest.raises(ShapeError, match="intrinsics"):
        Intrinsics(**{**values, **change})


def test_K_and_from_K_are_inverses():
    assert Intrinsics.from_K(CAMERA.K, width=320, height=240) == CAMERA


def test_a_depth_map_of_a_plane_gives_points_on_that_plane():
    rays = CAMERA.unproject(pixel_grid(320, 240).reshape(-1, 2), np.ones(320 * 240))
    normal, offset = np.array([0.2, -0.3, 0.9]), 2.5
    depth_m = (offset / (rays @ normal)).reshape(240, 320)
    points = points_camera_from_depth(depth_m, CAMERA)
    assert np.abs(points @ normal - offset).max() < 1e-9
    assert np.allclose(depth_from_range(np.linalg.norm(points, axis=-1), CAMERA), depth_m, atol=1e-12)


def test_world_points_are_camera_points_moved_and_holes_stay_holes():
    world_from_camera = look_at(np.array([1.0, 2.0, 1.5]), np.array([4.0, -1.0, 0.5]))
    depth_m = np.full((240, 320), 2.0)
    depth_m[5, 7] = np.nan
    points = points_world_from_depth(depth_m, CAMERA, world_from_camera)
    assert np.isnan(points[5, 7]).all() and np.isfinite(np.delete(points.reshape(-1, 3), 5 * 320 + 7, axis=0)).all()
    assert np.allclose((points[100, 100] - world_from_camera[:3, 3]) @ world_from_camera[:3, 2], 2.0)


def test_depth_at_takes_the_nearest_pixel_and_knows_where_the_map_ends():
    depth_m = np.arange(12.0).reshape(3, 4)
    uv = np.array([[0.0, 0.0], [0.49, 0.0], [0.51, 0.0], [3.49, 2.49], [-0.5, -0.5], [-0.6, 0.0], [3.5, 0.0], [np.nan, 0.0], [1e300, 0.0]])
    expected = [0.0, 0.0, 1.0, 11.0, 0.0, np.nan, np.nan, np.nan, np.nan]
    with np.errstate(all="raise"):
        assert np.array_equal(depth_at(depth_m, uv), expected, equal_nan=True)


def test_a_depth_map_of_another_size_than_its_camera_is_refused():
    with pytest.raises(ShapeError, match="240 320"):
        points_camera_from_depth(np.ones((120, 160)), CAMERA)
