"""The quick kernel against the plain reference, bit for bit: a million points on rooms' surfaces, and on every edge there is."""

import numpy as np
import pytest

from sightline.geometry.cameras import Intrinsics
from sightline.geometry.transforms import apply, look_at
from sightline.geometry.visibility import StoredDepth, block_bounds, pack_words, spatial_order, visible_reference, visible_words

SIZES = [(1, 1), (2, 3), (7, 5), (63, 65), (160, 120), (641, 479)]


def some_camera(rng: np.random.Generator, width: int, height: int) -> Intrinsics:
    fx, fy = rng.uniform(0.4, 1.6, 2) * max(width, height)
    return Intrinsics(fx=fx, fy=fy, cx=rng.uniform(0.2, 0.8) * width, cy=rng.uniform(0.2, 0.8) * height, width=width, height=height)


def stepped_depth(rng: np.random.Generator, width: int, height: int) -> np.ndarray:
    """Millimetres in blocks with steps between them, noise, holes and saturated pixels."""
    coarse = rng.integers(300, 5000, (-(-height // 6), -(-width // 6)))
    depth = np.kron(coarse, np.ones((6, 6), dtype=np.int64))[:height, :width] + rng.integers(0, 4, (height, width))
    depth[rng.random((height, width)) < 0.1] = 0
    depth[rng.random((height, width)) < 0.02] = 65535
    return depth.astype(np.uint16)


def metres(stored: np.ndarray, scale_m: float) -> np.ndarray:
    depth_m = stored.astype(np.float32) * np.float32(scale_m)
    return np.where((stored == 0) | (stored == 65535), np.float32("nan"), depth_m)


def points_at_edges(rng, depth_m, cameras, pose, count: int) -> np.ndarray:
    """Points on and a rounding beside pixel edges, image borders, both tolerances and the near plane, mixed with plain ones."""
    camera = cameras[rng.integers(len(cameras))]
    nudge = rng.choice([0.0, 0.0, 1e-15, -1e-15, 1e-9, -1e-9, 2e-6, -2e-6], (2, count))
    sides = np.array([[camera.width], [camera.height]])
    edges = np.floor(rng.uniform(-1, 1 + sides, (2, count))) - 0.5
    borders = np.where(rng.random((2, count)) < 0.5, -0.5, sides - 0.5)
    anywhere = rng.uniform(-1.0, sides + 1.0, (2, count))
    kind = rng.integers(0, 3, (2, count))
    uv = np.select([kind == 0, kind == 1], [edges + nudge, borders + nudge], anywhere).T
    place = np.clip(np.floor(uv[:, ::-1] + 0.5).astype(int), 0, np.array(depth_m.shape) - 1)
    reading = np.nan_to_num(depth_m[place[:, 0], place[:, 1]].astype(np.float64), nan=1.5)
    slack = np.maximum(0.02, 0.02 * reading) * rng.choice([0.0, 1.0, 1.0 - 1e-15, 1.0 + 1e-15, 0.7], count)
    z = np.where(
        rng.random(count) < 0.05, rng.choice([0.05, 0.05 - 1e-17, -0.05, 0.0], count), reading + rng.choice([-1, 1], count) * slack
    )
    return apply(pose, camera.unproject(uv, z))


@pytest.mark.parametrize("size", SIZES)
def test_points_on_all_edges_of_odd_cameras_are_told_as_the_reference_tells_them(size):
    rng = np.random.default_rng(size[0])
    agreed = 0
    for turn in range(12):
        depth_camera, colour = some_camera(rng, *size), some_camera(rng, *SIZES[rng.integers(len(SIZES))])
        stored, scale_m = stepped_depth(rng, *size), [0.001, 0.00025, 0.0002][turn % 3]
        pose = np.eye(4) if turn % 4 == 0 else look_at(rng.uniform(-3, 3, 3), rng.uniform(-3, 3, 3) + [6, 0, 0])
        if turn % 5 == 4:
            pose[:3, 3] += [3e5, -4e6, 100.0]  # map coordinates
        depth_m = metres(stored, scale_m)
        points = points_at_edges(rng, depth_m, (depth_camera, colour), pose, 6000)
        points = points[spatial_order(points)]
        cameras = {"depth_intrinsics": depth_camera, "intrinsics": colour, "world_from_camera": pose}
        expected = pack_words(visible_reference(points, depth_m=depth_m, **cameras))
        as_stored = StoredDepth(stored=stored, scale_m=scale_m)
        for depth in (as_stored, depth_m, depth_m.astype(np.float64)):
            assert np.array_equal(visible_words(points, depth_m=depth, **cameras), expected)
        for ordered in (points, np.asfortranarray(points)):
            assert np.array_equal(visible_words(ordered, depth_m=as_stored, **cameras, bounds_world=block_bounds(points)), expected)
        agreed += int(np.bitwise_count(expected).sum())
    assert agreed > 0 or size[0] < 7


def test_more_than_a_million_points_on_noisy_surfaces_are_told_as_the_reference_tells_them():
    rng = np.random.default_rng(0)
    camera = Intrinsics(fx=577.9, fy=576.1, cx=319.5, cy=239.5, width=640, height=480)
    colour = Intrinsics(fx=1170.2, fy=1170.2, cx=647.7, cy=483.7, width=1296, height=968)
    points = rng.uniform(-1, 1, (150_000, 3)) * [4.0, 3.0, 1.4]
    side = rng.integers(0, 3, len(points))
    points[np.arange(len(points)), side] = np.sign(points[np.arange(len(points)), side]) * np.array([4.0, 3.0, 1.4])[side]
    points = np.asfortranarray(points[spatial_order(points)].astype(np.float32).astype(np.float64))
    bounds, seen = block_bounds(points), 0
    grid = np.stack(np.meshgrid(np.arange(640.0), np.arange(480.0)), axis=-1).reshape(-1, 2)
    for _ in range(8):
        pose = look_at(rng.uniform(-1, 1, 3), rng.uniform(-1, 1, 3) * [4, 3, 0.5] + [0.1, 0, 0])
        rays = camera.unproject(grid, np.ones(len(grid))) @ pose[:3, :3].T
        z_m = ((np.sign(rays) * [4.0, 3.0, 1.4] - pose[:3, 3]) / rays).min(axis=1)
        stored = np.rint(1000 * z_m * (1 + 0.01 * rng.normal(size=len(z_m)))).astype(np.uint16).reshape(480, 640)
        cameras = {"depth_intrinsics": camera, "intrinsics": colour, "world_from_camera": pose}
        expected = pack_words(visible_reference(points, depth_m=metres(stored, 0.001), **cameras))
        words = visible_words(points, depth_m=StoredDepth(stored=stored, scale_m=0.001), **cameras, bounds_world=bounds)
        assert np.array_equal(words, expected)
        seen += int(np.bitwise_count(expected).sum())
    assert seen > 80_000


@pytest.mark.parametrize(
    "strange",
    [{"fx": 1e-3}, {"fy": 1e7}, {"cx": 1e9}, {"cy": -1e12}, {"width": 40_000, "height": 1}],
    ids=["wide", "narrow", "far", "farther", "long"],
)
@pytest.mark.parametrize("near_m", [0.05, 0.0, -1.0])
def test_cameras_that_the_quick_arithmetic_is_not_made_for_are_told_exactly_too(strange, near_m):
    rng = np.random.default_rng(3)
    plain = {"fx": 30.0, "fy": 31.0, "cx": 15.5, "cy": 11.0, "width": 32, "height": 24}
    depth_camera, colour = Intrinsics(**plain), Intrinsics(**{**plain, **strange})
    points = np.concatenate([rng.normal(size=(700, 3)), [[0, 0, 0], [0, 0, 1e-310], [1, 0, 1e-310], [np.nan, 0, 1], [0, np.inf, 1]]])
    points = np.concatenate([points, points[:50] * 1e-8, points[:50] * 1e300, [[0.0, 0.0, 1.0]] * 3])
    for first, second in ((depth_camera, colour), (colour, depth_camera)):
        depth_m = np.full((first.height, first.width), 1.0)
        cameras = {"depth_intrinsics": first, "intrinsics": second, "world_from_camera": np.eye(4)}
        with np.errstate(all="ignore"):
            expected = pack_words(visible_reference(points, depth_m=depth_m, near_m=near_m, tolerance_m=0.9, **cameras))
        assert np.array_equal(visible_words(points, depth_m=depth_m, near_m=near_m, tolerance_m=0.9, **cameras), expected)


def test_stored_zero_and_saturation_are_no_reading_also_where_the_tolerance_would_let_them_pass():
    camera = Intrinsics(fx=1.0, fy=1.0, cx=0.0, cy=0.0, width=3, height=1)
    stored = StoredDepth(stored=np.array([[0, 65535, 900]], dtype=np.uint16), scale_m=0.001)
    points = np.array([[0.0, 0.0, 0.06], [65.535, 0.0, 65.535], [1.8, 0.0, 0.9]])
    cameras = {"depth_intrinsics": camera, "intrinsics": camera, "world_from_camera": np.eye(4)}
    assert visible_words(points, depth_m=stored, tolerance_m=0.5, **cameras).tolist() == [0b100]
