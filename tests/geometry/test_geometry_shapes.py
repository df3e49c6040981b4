"""Distances of polygons and boxes: closed forms, a bounded least-squares second method, and dense samples."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import lsq_linear
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from sightline.geometry.boxes import Box
from sightline.geometry.shapes import box_distance_m, box_distances_m, box_outline, convex_polygon_distances, polygon_area, polygon_contains
from sightline.geometry.transforms import rigid, yaw_translation


def upright(centre, size, yaw_deg=0.0) -> Box:
    return Box.upright(centre_world=np.array(centre, dtype=float), size_m=np.array(size, dtype=float), yaw_rad=np.radians(yaw_deg))


def random_box(rng: np.random.Generator, *, tilted: bool) -> Box:
    size, centre = rng.uniform(0.05, 1.5, 3), rng.uniform(-1.5, 1.5, 3)
    if not tilted:
        return Box.upright(centre_world=centre, size_m=size, yaw_rad=rng.uniform(-np.pi, np.pi))
    return Box(size_m=size, world_from_object=rigid(Rotation.random(random_state=int(rng.integers(1 << 30))).as_matrix(), centre))


def by_least_squares(first: Box, second: Box) -> float:
    """min |A x - B y| over both boxes' own coordinates within their halves: the same distance as a bounded linear problem."""
    A = np.concatenate([first.world_from_object[:3, :3], -second.world_from_object[:3, :3]], axis=1)
    halves = np.concatenate([first.size_m, second.size_m]) / 2
    found = lsq_linear(A, second.centre_world - first.centre_world, bounds=(-halves, halves), method="bvls", tol=1e-15)
    return float(np.sqrt(2 * found.cost))


CLOSED_FORMS = {
    "side by side": (upright([0, 0, 0], [1, 1, 1]), upright([2, 0, 0], [1, 1, 1]), 1.0),
    "one above the other": (upright([0, 0, 0], [1, 1, 1]), upright([0.3, 0.2, 1.4], [1, 1, 1]), 0.4),
    "corner to corner": (upright([0, 0, 0], [2, 2, 2]), upright([3, 4, 14], [2, 2, 2]), np.sqrt(1 + 4 + 144)),
    "touching": (upright([0, 0, 0], [1, 1, 1]), upright([1, 0, 0], [1, 1, 1]), 0.0),
    "overlapping": (upright([0, 0, 0], [1, 1, 1]), upright([0.5, 0.2, 0.1], [1, 1, 1], 30), 0.0),
    "one inside the other": (upright([0, 0, 0], [4, 4, 4]), upright([0.2, 0, 0], [1, 1, 1], 10), 0.0),
    "crossing without a corner inside": (upright([0, 0, 0], [4, 0.2, 0.2]), upright([0, 0, 0], [0.2, 4, 0.2]), 0.0),
    "edge of a turned box to a face": (upright([0, 0, 0], [1, 1, 1]), upright([2, 0, 0], [1, 1, 1], 45), 2 - 0.5 - np.sqrt(0.5)),
    "two turned boxes, edge to edge": (upright([0, 0, 0], [1, 1, 1], 45), upright([3, 0, 0], [1, 1, 1], 45), 3 - np.sqrt(2)),
}


@pytest.mark.parametrize("name", CLOSED_FORMS)
def test_boxes_with_a_known_gap_have_that_distance(name):
    first, second, expected_m = CLOSED_FORMS[name]
    assert box_distance_m(first, second) == pytest.approx(expected_m, abs=1e-12)


@pytest.mark.parametrize("name", CLOSED_FORMS)
def test_the_distance_of_tilted_boxes_is_that_of_the_same_boxes_upright(name):
    first, second, expected_m = CLOSED_FORMS[name]
    tilt = rigid(Rotation.from_euler("xyz", [0.4, -0.9, 0.3]).as_matrix(), np.array([1.0, 2.0, 3.0]))
    assert box_distance_m(first.moved(tilt), second.moved(tilt)) == pytest.approx(expected_m, abs=1e-9)


def test_two_crossed_edges_of_tilted_boxes_have_the_gap_between_them():
    along_x = Box(size_m=np.ones(3), world_from_object=rigid(Rotation.from_euler("x", 45, degrees=True).as_matrix(), np.zeros(3)))
    along_y = Rotation.from_euler("y", 45, degrees=True).as_matrix()
    other = Box(size_m=np.ones(3), world_from_object=rigid(along_y, np.array([0.1, -0.1, np.sqrt(2) + 0.25])))
    assert box_distance_m(along_x, other) == pytest.approx(0.25, abs=1e-12)


@pytest.mark.parametrize("tilted", [False, True])
@given(seed=st.integers(0, 100_000))
@settings(max_examples=60, deadline=None)
def test_the_distance_is_that_of_a_bounded_least_squares_solver(tilted, seed):
    rng = np.random.default_rng(seed)
    first, second = random_box(rng, tilted=tilted), random_box(rng, tilted=tilted)
    distance_m = box_distance_m(first, second)
    assert distance_m == pytest.approx(by_least_squares(first, second), abs=2e-8)
    assert box_distance_m(second, first) == pytest.approx(distance_m, abs=1e-12)
    assert box_distance_m(first, first) == 0.0


@pytest.mark.parametrize("tilted", [False, True])
@pytest.mark.parametrize("seed", range(8))
def test_no_pair_of_sampled_surface_points_is_nearer_and_some_pair_is_nearly_as_near(tilted, seed):
    rng = np.random.default_rng(seed)
    first, second = random_box(rng, tilted=tilted), random_box(rng, tilted=tilted)
    grids = []
    for box in (first, second):
        ticks = np.stack(np.meshgrid(*[np.linspace(-0.5, 0.5, 41)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
        on_surface = ticks[(np.abs(ticks) == 0.5).any(axis=1)]
        grids.append((on_surface * box.size_m) @ box.world_from_object[:3, :3].T + box.centre_world)
    sampled_m = cKDTree(grids[0]).query(grids[1])[0].min()
    distance_m = box_distance_m(first, second)
    assert distance_m <= sampled_m + 1e-12
    if distance_m > 0:
        assert sampled_m - distance_m < 0.05  # a step of the grid is at most 1.5 / 40 m along each axis


@pytest.mark.parametrize("seed", range(5))
def test_a_rigid_motion_of_the_world_changes_no_distance(seed):
    rng = np.random.default_rng(seed)
    boxes = [random_box(rng, tilted=bool(k % 2)) for k in range(6)]
    motion = yaw_translation(rng.uniform(-3, 3), rng.normal(size=3))
    before = box_distances_m(boxes[:-1], boxes[1:])
    after = box_distances_m([box.moved(motion) for box in boxes[:-1]], [box.moved(motion) for box in boxes[1:]])
    assert np.allclose(before, after, atol=1e-9)


def test_a_barely_tilted_box_is_not_taken_for_an_upright_one():
    tilt_rad = 1e-3
    pose = rigid(Rotation.from_euler("y", tilt_rad).as_matrix(), np.array([3.0, 0.0, 0.0]))
    tall = Box(size_m=np.array([1.0, 1.0, 4.0]), world_from_object=pose)
    expected_m = 3.0 - 0.5 * np.cos(tilt_rad) - 2.0 * np.sin(tilt_rad) - 0.5
    assert box_distance_m(upright([0, 0, 0], [1, 1, 9]), tall) == pytest.approx(expected_m, abs=1e-9)


def test_no_pairs_give_no_distances():
    assert box_distances_m([], []).shape == (0,)


def test_the_outline_of_an_upright_box_is_its_corners_seen_from_above():
    box = upright([1, 2, 3], [2, 1, 5], 33)
    assert polygon_area(box_outline(box)) == pytest.approx(2.0)
    corners = {tuple(np.round(corner, 9)) for corner in box.corners_world()[:, :2]}
    assert {tuple(np.round(corner, 9)) for corner in box_outline(box)} == corners


def test_polygons_of_different_corner_counts_are_measured_in_one_call():
    triangle = np.array([[0.0, 0.0], [2.0, 0.0], [0.0, 2.0]])
    squares = np.array(
        [[[3, 0], [4, 0], [4, 1], [3, 1]], [[2, 2], [3, 2], [3, 3], [2, 3]], [[0.2, 0.2], [0.4, 0.2], [0.4, 0.4], [0.2, 0.4]]]
    )
    assert np.allclose(convex_polygon_distances(np.stack([triangle] * 3), squares), [1.0, np.sqrt(2), 0.0])


def test_area_and_containment_of_a_room_with_a_corner_cut_out():
    outline = np.array([[0, 0], [4, 0], [4, 2], [2, 2], [2, 5], [0, 5]], dtype=float)
    assert polygon_area(outline) == pytest.approx(14.0) and polygon_area(outline[::-1] + 100) == pytest.approx(-14.0)
    points = np.array([[1, 4], [3, 1], [3, 3], [-1, 1], [1, 6], [1.9, 2.1], [2.1, 2.1]])
    assert polygon_contains(outline, points).tolist() == [True, True, False, False, False, True, False]
