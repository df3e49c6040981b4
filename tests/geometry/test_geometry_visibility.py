"""The visibility kernel: equal to its plain reference bit for bit, and right on cases worked out by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sightline.errors import ShapeError
from sightline.geometry.cameras import Intrinsics
from sightline.geometry.transforms import apply, look_at
from sightline.geometry.visibility import (
    block_bounds,
    pack_words,
    popcount,
    spatial_order,
    unpack_words,
    visible_reference,
    visible_words,
    words_for,
)

DEPTH = Intrinsics(fx=52.0, fy=47.0, cx=31.2, cy=24.9, width=64, height=48)
COLOUR = Intrinsics(fx=150.0, fy=151.0, cx=88.0, cy=70.0, width=180, height=140)  # a little narrower than the depth camera
STRAIGHT = np.eye(4)


def seen(points, depth_m, pose=STRAIGHT, colour=DEPTH, **limits) -> list[bool]:
    points = np.asarray(points, dtype=np.float64)
    cameras = {"depth_m": depth_m, "depth_intrinsics": DEPTH, "intrinsics": colour, "world_from_camera": pose}
    words = visible_words(points, **cameras, **limits)
    reference = visible_reference(points, **cameras, **limits)
    assert np.array_equal(words, pack_words(reference))
    return reference.tolist()


def hostile_points(rng: np.random.Generator, depth_m: np.ndarray, pose: np.ndarray, count: int) -> np.ndarray:
    """Points that sit on every border of the test: pixel edges, image edges, both tolerances, the near plane, behind, not a number."""
    camera = DEPTH if rng.random() < 0.5 else COLOUR
    u = rng.choice([-0.5, 0.0, 0.5, 7.5, 31.5, camera.width - 0.5, camera.width - 1.0], count) + rng.choice(
        [0, 0, 1e-12, -1e-12, 1e-6], count
    )
    v = rng.choice([-0.5, 0.0, 0.5, 9.5, 23.5, camera.height - 0.5], count) + rng.choice([0, 0, 1e-12, -1e-12], count)
    u, v = np.where(rng.random((2, count)) < 0.5, [u, v], [rng.uniform(0, camera.width, count), rng.uniform(0, camera.height, count)])
    rows, columns = rng.integers(0, 48, count), rng.integers(0, 64, count)
    reading = np.nan_to_num(depth_m[rows, columns].astype(np.float64), nan=1.0)
    z = reading + rng.choice([-1, 0, 1], count) * np.maximum(0.02, 0.02 * reading) * rng.choice([1.0, 1 - 1e-12, 1 + 1e-12, 0.5], count)
    z = np.where(rng.random(count) < 0.1, rng.choice([0.05, 0.05 - 1e-12, 0.0, -1.0], count), z)
    points = apply(pose, camera.unproject(np.stack([u, v], axis=1), z))
    points[rng.random(count) < 0.02] = np.nan
    points[rng.random(count) < 0.02] *= 1e200
    return points


@given(seed=st.integers(0, 100_000), single=st.booleans())
@settings(max_examples=40, deadline=None)
def test_the_kernel_equals_the_reference_bit_for_bit_on_borders_and_edges(seed, single):
    rng = np.random.default_rng(seed)
    depth_m = rng.choice([0.5, 1.3, 2.5], (48, 64))
    depth_m[rng.random((48, 64)) < 0.2] = np.nan
    depth_m[rng.random((48, 64)) < 0.02] = 0.0
    depth_m = depth_m.astype(np.float32) if single else depth_m
    pose = STRAIGHT if rng.random() < 0.3 else look_at(rng.normal(size=3), rng.normal(size=3) + [3, 0, 0])
    points = np.concatenate([hostile_points(rng, depth_m, pose, 500), rng.normal(scale=3, size=(517, 3))])
    cameras = {"depth_m": depth_m, "depth_intrinsics": DEPTH, "intrinsics": COLOUR, "world_from_camera": pose}
    with np.errstate(all="ignore"):
        reference = visible_reference(points, **cameras)
    assert np.array_equal(unpack_words(visible_words(points, **cameras), len(points)), reference)
    assert reference.any()
    finite = points[np.isfinite(points).all(axis=1) & (np.abs(points) < 1e6).all(axis=1)]
    ordered = finite[spatial_order(finite)]
    words = visible_words(ordered, **cameras, bounds_world=block_bounds(ordered))
    assert np.array_equal(unpack_words(words, len(ordered)), visible_reference(ordered, **cameras))


def test_a_point_on_the_surface_is_visible_within_two_centimetres_or_two_percent_on_both_sides():
    near, far = np.full((48, 64), 0.5), np.full((48, 64), 4.0)
    along = np.array([0.0, 0.0, 1.0])
    assert seen([0.5 * along, 0.519 * along, 0.481 * along, 0.521 * along, 0.479 * along], near) == [True, True, True, False, False]
    assert seen([4.0 * along, 4.079 * along, 3.921 * along, 4.081 * along, 3.919 * along], far) == [True, True, True, False, False]


def test_tolerances_and_the_near_plane_are_what_the_caller_says():
    wall = np.full((48, 64), 2.0)
    points = [[0.0, 0.0, 2.09], [0.0, 0.0, 1.91], [0.0, 0.0, 2.11]]
    assert seen(points, wall, tolerance_m=0.1, tolerance_share=0.0) == [True, True, False]
    assert seen(points, wall, tolerance_m=0.0, tolerance_share=0.06) == [True, True, True]
    assert seen(points, wall, near_m=2.0, tolerance_m=0.1) == [True, False, False]


def test_no_reading_sees_nothing_neither_near_nor_far():
    empty = np.full((48, 64), np.nan)
    empty[:, 32:] = 0.0
    ys = np.linspace(0.1, 10, 40)
    assert not any(seen([[-0.1 * z, 0.0, z] for z in ys] + [[0.1 * z, 0.0, z] for z in ys], empty))


def test_what_lies_behind_the_camera_is_not_seen_though_its_lines_meet_the_image():
    assert seen([[0.0, 0.0, -2.0], [0.1, 0.1, -2.0], [0.0, 0.0, 0.0], [0.0, 0.0, 2.0]], np.full((48, 64), 2.0)) == [False] * 3 + [True]


def test_the_reading_is_that_of_the_pixel_whose_square_holds_the_point():
    depth_m = np.full((48, 64), 3.0)
    depth_m[20, 30] = 1.0
    inside = [(29.51, 20.0), (30.49, 20.0), (30.0, 19.51), (30.0, 20.49)]
    outside = [(29.49, 20.0), (30.51, 20.0), (30.0, 19.49), (30.0, 20.51)]
    points = DEPTH.unproject(np.array(inside + outside), np.ones(8))
    assert seen(points, depth_m) == [True] * 4 + [False] * 4


def test_a_point_must_lie_inside_the_colour_image_and_inside_the_depth_map():
    wall = np.full((48, 64), 2.0)
    narrow = Intrinsics(fx=150.0, fy=150.0, cx=40.0, cy=30.0, width=80, height=60)
    wide = Intrinsics(fx=20.0, fy=20.0, cx=40.0, cy=30.0, width=80, height=60)
    at_narrow_border = narrow.unproject(
        np.array([[-0.4, 30.0], [-0.6, 30.0], [79.4, 30.0], [79.6, 30.0], [40.0, 59.4], [40.0, 59.6]]), np.full(6, 2.0)
    )
    assert seen(at_narrow_border, wall, colour=narrow) == [True, False] * 3
    at_depth_border = DEPTH.unproject(np.array([[-0.4, 20.0], [-0.6, 20.0], [63.4, 20.0], [63.6, 20.0]]), np.full(4, 2.0))
    assert seen(at_depth_border, wall, colour=wide) == [True, False] * 2


@pytest.mark.parametrize("count", [0, 1, 63, 64, 65, 200])
def test_bits_are_packed_and_unpacked_without_loss_and_spare_bits_are_zero(count):
    bits = np.random.default_rng(count).random((3, count)) < 0.5
    words = pack_words(bits)
    assert words.shape == (3, words_for(count)) and words.dtype == np.uint64
    assert np.array_equal(unpack_words(words, count), bits)
    assert sum(popcount(word) for word in words.ravel()) == bits.sum()
    if count:
        assert int(words[0, (count - 1) // 64]) >> ((count - 1) % 64) == int(bits[0, count - 1])


@pytest.mark.parametrize("word", [0, 1, 0xFFFFFFFFFFFFFFFF, 0x8000000000000000, 0x5555555555555555, 0x123456789ABCDEF0])
def test_popcount_counts_bits(word):
    assert popcount(np.uint64(word)) == word.bit_count()


def test_the_spatial_order_is_a_permutation_that_makes_blocks_small():
    points = np.random.default_rng(0).uniform(-5, 5, (4000, 3))
    order = spatial_order(points)
    assert np.array_equal(np.sort(order), np.arange(4000))
    size = np.ptp(block_bounds(points[order]).reshape(-1, 2, 3), axis=1).prod(axis=1).mean()
    assert size < 0.15 * np.ptp(block_bounds(points).reshape(-1, 2, 3), axis=1).prod(axis=1).mean()
    assert spatial_order(np.empty((0, 3))).shape == (0,) and block_bounds(np.empty((0, 3))).shape == (0, 6)


def test_block_bounds_hold_their_points():
    points = np.random.default_rng(1).normal(size=(150, 3))
    bounds = block_bounds(points)
    assert bounds.shape == (3, 6)
    for block in range(3):
        own = points[64 * block : 64 * block + 64]
        assert np.allclose(bounds[block], [*own.min(axis=0), *own.max(axis=0)])


def test_a_depth_map_of_another_size_than_its_camera_is_refused():
    with pytest.raises(ShapeError, match="48 64"):
        visible_words(np.zeros((1, 3)), depth_m=np.ones((10, 10)), depth_intrinsics=DEPTH, intrinsics=DEPTH, world_from_camera=STRAIGHT)
