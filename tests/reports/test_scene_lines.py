"""Walls, openings and tracks become lines at the right places of the 3-D page."""

import numpy as np
import pytest

from sightline.captures.capture import NO_WALL, Opening, PointTracks, Structure, Wall
from sightline.reports.scene_lines import opening_segments_world, track_segments_world, wall_segments_world


def wall(**changes) -> Wall:
    straight = {
        "wall_id": 0,
        "a_world": np.array([0.0, 0.0, 0.1]),
        "b_world": np.array([3.0, 0.0, 0.1]),
        "height_m": 2.5,
        "thickness_m": 0.1,
    }
    return Wall(**{**straight, **changes})


def door(**changes) -> Opening:
    usual = {"kind": "door", "wall_id": 0, "centre_world": np.array([1.0, 0.0, 1.1]), "width_m": 0.8, "height_m": 2.0, "rooms": (0,)}
    return Opening(**{**usual, **changes})


def test_a_straight_wall_is_a_rectangle_of_four_lines():
    segments = wall_segments_world(wall())
    lengths = np.linalg.norm(segments[:, 1] - segments[:, 0], axis=1)
    assert sorted(lengths.round(6)) == [2.5, 2.5, 3.0, 3.0]
    assert segments[..., 2].min() == 0.1 and segments[..., 2].max() == pytest.approx(2.6)


def test_a_curved_wall_stays_on_its_circle_counter_clockwise():
    curved = wall(a_world=np.array([1.0, 0.0, 0.0]), b_world=np.array([-1.0, 0.0, 0.0]), arc_centre_world=np.zeros(3))
    foot = wall_segments_world(curved)[:24]
    points = foot.reshape(-1, 3)
    assert np.allclose(np.linalg.norm(points[:, :2], axis=1), 1.0) and points[:, 1].min() > -1e-9 and points[:, 1].max() > 0.99


def test_a_wall_of_its_own_outline_is_drawn_as_it_is():
    corners = np.array([[0.0, 0, 0], [2, 0, 0], [2, 0, 3], [1, 0, 4], [0, 0, 3]])
    segments = wall_segments_world(wall(outline_world=corners))
    assert segments.shape == (5, 2, 3) and np.array_equal(segments[:, 0], corners)


def test_a_door_lies_in_its_wall_and_one_without_a_wall_is_not_drawn():
    structure = Structure(rooms=(), walls=(wall(),), openings=(door(),))
    segments = opening_segments_world(door(), structure)
    assert segments[..., 1].max() == 0.0 and (segments[..., 0].min(), segments[..., 0].max()) == (0.6, 1.4)
    assert (segments[..., 2].min().round(6), segments[..., 2].max()) == (0.1, 2.1)
    assert len(opening_segments_world(door(wall_id=NO_WALL), structure)) == 0


def test_tracks_are_drawn_between_frames_that_both_see_them():
    class Posed:
        def __init__(self, frame_id, x):
            self.frame_id, self.world_from_camera = frame_id, np.eye(4)
            self.world_from_camera[0, 3] = x

    class Moving:
        has_poses = True
        frames = (Posed("a", 0.0), Posed("b", 1.0))
        tracks = PointTracks(
            frame_ids=("a", "b"),
            points_camera=np.array([[[0, 0, 2], [0, 1, 2]], [[-1, 0, 2], [0, 1, 2]]], dtype=np.float32),
            visible=np.array([[True, True], [True, False]]),
        )

    segments = track_segments_world(Moving())
    assert np.allclose(segments, [[[0, 0, 2], [0, 0, 2]]])  # the camera moved, the point did not
