"""Cameras and points so extreme that whole-number or single-precision pixels would wrap: nothing far away lands in the image."""

from dataclasses import replace

import numpy as np
import pytest

from sightline.geometry import visibility
from sightline.geometry import visibility_kernels as kernels
from sightline.geometry.cameras import Intrinsics
from sightline.geometry.transforms import inverse
from sightline.geometry.visibility import StoredDepth, block_bounds, pack_words, spatial_order, visible_reference, visible_words

SMALL = Intrinsics(fx=30.0, fy=31.0, cx=15.5, cy=11.0, width=32, height=24)
FARTHEST_PX = (2.0**15, 2.0**16, 2.0**24, 2.0**31, 2.0**32, 2.0**33, 2.0**53, 2.0**63, 2.0**64, 1e30, 3.5e38, 1e100, 1e300)
AT_BOUND = {
    "fx": kernels.QUICK_FOCAL_PX,
    "fy": kernels.QUICK_FOCAL_PX,
    "cx": (-kernels.QUICK_CENTRE_PX, kernels.QUICK_CENTRE_PX),
    "cy": (-kernels.QUICK_CENTRE_PX, kernels.QUICK_CENTRE_PX),
    "width": (kernels.QUICK_SIDE_PX,),
    "height": (kernels.QUICK_SIDE_PX,),
}


def told(points, camera, *, other=SMALL, pose=None, near_m=0.05, depth_m=None):
    """Words of the kernel, with and without bounds of blocks and for metres and stored depth, which must all be those of the reference."""
    pose = np.eye(4) if pose is None else pose
    depth_m = np.ones((camera.height, camera.width), dtype=np.float32) if depth_m is None else depth_m
    known = {"depth_intrinsics": camera, "intrinsics": other, "world_from_camera": pose, "near_m": near_m, "tolerance_m": 0.9}
    stored = StoredDepth(stored=np.rint(depth_m * 1000.0).astype(np.uint16), scale_m=0.001)
    with np.errstate(all="ignore"):
        expected = pack_words(visible_reference(points, depth_m=depth_m, **known))
        bounds = block_bounds(points)
    for depth in (depth_m, depth_m.astype(np.float64), stored):
        assert np.array_equal(visible_words(points, depth_m=depth, **known), expected)
        assert np.array_equal(visible_words(points, depth_m=depth, **known, bounds_world=bounds), expected)
    return expected


def beside(camera, rng, count=3000):
    """Points 0.5 to 1.5 m before a camera, in its image, on its pixel edges and a little outside."""
    sides = np.array([camera.width, camera.height])
    uv = rng.uniform(-2.0, sides + 1.0, (count, 2))
    uv[::3] = np.floor(uv[::3]) + 0.5
    return camera.unproject(uv, rng.uniform(0.5, 1.5, count))


@pytest.mark.parametrize("far_px", FARTHEST_PX)
def test_a_point_whole_turns_of_an_integer_away_is_not_taken_for_the_pixel_it_would_wrap_to(far_px):
    """`far_px + 5` keeps only its low bits in 16, 32 or 64 of them: pixel 5, which shows a surface right there."""
    at = np.array([[15.5, 11.0], [far_px + 5.0, 11.0], [-far_px + 5.0, 11.0], [15.5, far_px + 7.0], [15.5, -far_px + 7.0]])
    points = SMALL.unproject(np.concatenate([at, [[far_px + 5.0, far_px + 7.0]]]), np.ones(6))
    assert np.isfinite(points).all()
    assert told(points, SMALL).tolist() == [1]
    assert told(points, replace(SMALL, fx=1e7, fy=1e7), other=SMALL).tolist() == [1]  # the quick arithmetic is not for this one


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1.7e308, -1.7e308, 3.5e38, 5e-324])
@pytest.mark.parametrize("near_m", [0.05, 0.0])
def test_coordinates_that_overflow_or_are_no_numbers_are_seen_by_nobody(value, near_m):
    others = np.array([[value, 0.0, 1.0], [0.0, value, 1.0], [0.0, 0.0, value], [value, value, value], [value, 0.0, value]])
    points = np.concatenate([[[0.0, 0.0, 1.0]], others, np.tile([[9.0, 9.0, 1.0]], (200, 1)), others])
    words = told(points, SMALL, near_m=near_m)
    tiny = abs(value) < 1.0  # beside 1 m it is nothing, and a depth of it is nearer than any surface
    assert words[0] == (0b111 if tiny else 0b1) and bool(words[-1]) == tiny


@pytest.mark.parametrize("shift_m", [1e6, 1e12, 1e30, 1e200])
def test_a_camera_out_of_reach_of_float64_is_told_as_the_reference_tells_it(shift_m):
    rng = np.random.default_rng(1)
    pose = np.eye(4)
    pose[:3, 3] = [shift_m, -shift_m, shift_m / 3.0]
    points = beside(SMALL, rng) + pose[:3, 3]
    words = told(points, SMALL, pose=pose)
    assert np.bitwise_count(words).sum() > 1000 if shift_m <= 1e6 else len(words) == 47


@pytest.mark.parametrize(("name", "bound"), [(name, bound) for name, bounds in AT_BOUND.items() for bound in bounds])
def test_on_both_sides_of_each_bound_of_the_quick_arithmetic_the_answer_is_the_references(name, bound):
    rng = np.random.default_rng(2)
    is_lower = name in ("fx", "fy") and bound == kernels.QUICK_FOCAL_PX[0]
    beyond = bound + 1 if isinstance(bound, int) else float(np.nextafter(bound, 0.0 if is_lower else np.sign(bound) * np.inf))
    for value, is_quick in ((bound, True), (beyond, False)):
        small = {"width": {"height": 3}, "height": {"width": 3}}.get(name, {})
        camera = replace(SMALL, **small, **{name: value})
        assert visibility._is_quick(camera) == is_quick
        words = told(beside(camera, rng), camera, other=camera)
        assert np.bitwise_count(words).sum() > 300


def test_the_places_of_all_pixels_of_the_largest_quick_image_fit_into_32_bits():
    assert kernels.QUICK_SIDE_PX**2 <= np.iinfo(np.int32).max


def test_the_guard_is_needed_beyond_the_bounds_the_quick_arithmetic_is_wrong():
    rng = np.random.default_rng(3)
    camera = replace(SMALL, cx=1e12, fx=1e11)
    points = beside(camera, rng, 20_000)
    depth_m = np.where(np.arange(camera.width) % 2 == 0, 1.0, np.nan) * np.ones((camera.height, 1))
    row = (camera.fx, camera.fy, camera.cx, camera.cy, float(camera.width), float(camera.height))
    expected = told(points, camera, other=camera, depth_m=np.nan_to_num(depth_m))
    words = {}
    for is_quick in (False, True):
        words[is_quick] = np.empty_like(expected)
        arrays = (np.ascontiguousarray(points.T), np.empty((6, 0)), np.ascontiguousarray(depth_m), None, inverse(np.eye(4)))
        kernels.fill_words(*arrays, row, row, (0.05, 0.9, 0.02), is_quick, words[is_quick])
    assert np.array_equal(words[False], expected) and not np.array_equal(words[True], expected)


def test_points_at_the_ends_of_single_precision_are_put_in_an_order_and_each_once():
    most = float(np.finfo(np.float32).max)
    points = np.array([[most, 0, 0], [-most, 0, 0], [0, most, -most], [1, 2, 3], [1.05, 2, 3], [0, 0, 0]])
    assert sorted(spatial_order(points).tolist()) == list(range(len(points)))
    assert not told(points[:3], SMALL).any()
