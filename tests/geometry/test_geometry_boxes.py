"""Oriented boxes: corners, containment, motion, and what is refused."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from sightline.errors import ShapeError
from sightline.geometry.boxes import Box, box_around
from sightline.geometry.transforms import rigid, yaw_translation


def tilted_box(seed: int) -> Box:
    rng = np.random.default_rng(seed)
    return Box(size_m=rng.uniform(0.2, 2, 3), world_from_object=rigid(Rotation.random(random_state=seed).as_matrix(), rng.normal(size=3)))


def test_corners_are_half_the_size_from_the_centre_with_z_fastest():
    box = Box.upright(centre_world=np.array([1.0, 2.0, 3.0]), size_m=np.array([2.0, 4.0, 6.0]), yaw_rad=0.0)
    corners = box.corners_world()
    assert (
        np.allclose(corners[0], [0.0, 0.0, 0.0]) and np.allclose(corners[1], [0.0, 0.0, 6.0]) and np.allclose(corners[7], [2.0, 4.0, 6.0])
    )
    assert box.volume_m3 == 48.0 and np.allclose(corners.mean(axis=0), box.centre_world)


def test_a_quarter_turn_swaps_the_extents_seen_from_above():
    box = Box.upright(centre_world=np.zeros(3), size_m=np.array([2.0, 4.0, 1.0]), yaw_rad=np.pi / 2)
    assert np.allclose(np.ptp(box.corners_world(), axis=0), [4.0, 2.0, 1.0])
    assert box.yaw_rad == pytest.approx(np.pi / 2) and box.is_upright


def test_containment_is_measured_along_the_boxs_own_axes_with_its_margin():
    box = Box.upright(centre_world=np.zeros(3), size_m=np.array([2.0, 0.2, 1.0]), yaw_rad=np.pi / 4)
    along, across = np.array([1.0, 1.0, 0.0]) / np.sqrt(2), np.array([-1.0, 1.0, 0.0]) / np.sqrt(2)
    points = np.array([0.99 * along, 1.01 * along, 0.09 * across, 0.11 * across, [0, 0, 0.499], [0, 0, 0.501]])
    assert box.contains(points, margin_m=0.0).tolist() == [True, False, True, False, True, False]
    assert box.contains(points, margin_m=0.02).all()


@pytest.mark.parametrize("seed", range(5))
def test_a_box_holds_its_own_corners_wherever_the_world_is_moved(seed):
    box = tilted_box(seed)
    moved = box.moved(yaw_translation(0.7, np.array([1.0, -2.0, 0.5])))
    assert moved.contains(moved.corners_world(), margin_m=1e-9).all() and not moved.contains(moved.corners_world(), margin_m=-1e-6).any()
    assert np.allclose(np.linalg.norm(moved.corners_world() - moved.centre_world, axis=1), np.linalg.norm(box.size_m) / 2)
    assert moved.is_upright == box.is_upright is False


def test_a_box_around_points_touches_the_outermost_and_is_never_flat():
    points = np.array([[0.0, 1.0, 2.0], [3.0, 1.0, -1.0]])
    box = box_around(points)
    assert np.allclose(box.size_m, [3.0, 1e-3, 3.0]) and np.allclose(box.centre_world, [1.5, 1.0, 0.5])
    with pytest.raises(ShapeError, match="at least one point"):
        box_around(np.empty((0, 3)))


@pytest.mark.parametrize(
    ("size", "pose"),
    [
        ([1.0, 0.0, 1.0], np.eye(4)),
        ([1.0, -1.0, 1.0], np.eye(4)),
        ([1.0, np.nan, 1.0], np.eye(4)),
        ([1.0, 1.0, 1.0], np.full((4, 4), np.inf)),
        ([1.0, 1.0, 1.0], np.diag([1.0, 1.0, -1.0, 1.0])),
        ([1.0, 1.0, 1.0], np.diag([2.0, 2.0, 2.0, 1.0])),
    ],
)
def test_degenerate_sizes_and_poses_that_are_not_rigid_are_refused(size, pose):
    with pytest.raises(ShapeError, match="box"):
        Box(size_m=np.array(size), world_from_object=pose)
