"""Direction words: margins abstain, and turning or moving the world changes nothing."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sightline.facts.direction import (
    bearing_deg,
    border_distance_deg,
    camera_bearing_deg,
    camera_elevation_deg,
    corner,
    facing,
    quarter,
    side,
    signed_angle_deg,
)
from sightline.geometry.transforms import apply, look_at, rigid, wrap_deg, yaw_translation

seeds = st.integers(0, 100_000)


@pytest.mark.parametrize(
    ("bearing", "words"),
    [
        (0.0, ("front", None, None, "front")),
        (30.0, ("front", "front-left", "left", "front")),
        (90.0, ("left", None, "left", None)),
        (150.0, ("back", "back-left", "left", "back")),
        (180.0, ("back", None, None, "back")),
        (-30.0, ("front", "front-right", "right", "front")),
        (-120.0, ("right", "back-right", "right", "back")),
        (44.0, (None, "front-left", "left", "front")),
        (float("nan"), (None, None, None, None)),
    ],
)
def test_words_are_given_inside_their_sector_and_withheld_near_its_borders(bearing, words):
    assert tuple(word(bearing, margin_deg=5.0) for word in (quarter, corner, side, facing)) == words


@given(bearing=st.floats(-180, 180), narrow=st.floats(0, 20), more=st.floats(0, 20))
def test_a_wider_margin_only_withholds_words(bearing, narrow, more):
    for word in (quarter, corner, side, facing):
        wide = word(bearing, margin_deg=narrow + more)
        assert wide is None or wide == word(bearing, margin_deg=narrow)


@given(bearing=st.floats(-180, 180))
def test_the_border_distance_is_half_a_sector_at_most_and_zero_on_a_border(bearing):
    assert 0.0 <= border_distance_deg(bearing, sectors=4, first_deg=-45.0) <= 45.0
    assert border_distance_deg(45.0, sectors=4, first_deg=-45.0) == 0.0 == border_distance_deg(-135.0, sectors=4, first_deg=-45.0)


@given(seed=seeds)
@settings(max_examples=40, deadline=None)
def test_a_rigid_motion_of_the_world_changes_no_bearing(seed):
    rng = np.random.default_rng(seed)
    places = rng.uniform(-4, 4, (3, 3))
    motion = yaw_translation(rng.uniform(-4, 4), rng.normal(size=3))
    before, after = bearing_deg(*places), bearing_deg(*apply(motion, places))
    assert abs(wrap_deg(after - before)) < 1e-8


@given(seed=seeds)
@settings(max_examples=40, deadline=None)
def test_swapping_what_is_faced_and_what_is_sought_swaps_left_and_right(seed):
    stand, face, target = np.random.default_rng(seed).uniform(-4, 4, (3, 3))
    assert abs(wrap_deg(bearing_deg(stand, face, target) + bearing_deg(stand, target, face))) < 1e-9


@given(seed=seeds)
@settings(max_examples=40, deadline=None)
def test_heights_change_no_bearing(seed):
    rng = np.random.default_rng(seed)
    places = rng.uniform(-4, 4, (3, 3))
    lifted = places + np.array([0.0, 0.0, 1.0]) * rng.normal(size=(3, 1))
    assert bearing_deg(*places) == bearing_deg(*lifted)


def test_what_is_straight_above_has_no_direction():
    here = np.array([1.0, 2.0, 0.0])
    assert np.isnan(bearing_deg(here, here + [0, 0, 1], here + [1, 0, 0]))
    assert np.isnan(bearing_deg(here, here + [1, 0, 0], here + [0, 0, 1]))
    assert signed_angle_deg(np.array([1.0, 0.0]), np.array([-1.0, -0.0])) == 180.0


def test_a_camera_bears_on_a_thing_as_someone_who_stands_there_and_faces_its_way():
    eye, target, thing = np.array([1.0, 0.5, 1.5]), np.array([3.0, 2.0, 0.9]), np.array([0.0, 3.0, 1.5])
    camera = look_at(eye, target)
    assert camera_bearing_deg(camera, thing) == pytest.approx(bearing_deg(eye, target, thing), abs=1e-9)
    assert camera_elevation_deg(camera, thing) == pytest.approx(0.0, abs=1e-9)
    assert camera_elevation_deg(camera, eye + [1.0, 0.0, 1.0]) == pytest.approx(45.0)


def test_a_camera_that_looks_straight_down_bears_on_nothing():
    down = rigid(np.array([[1.0, 0.0, 0.0], [0.0, -1.0, 0.0], [0.0, 0.0, -1.0]]), np.zeros(3))
    assert np.isnan(camera_bearing_deg(down, np.array([1.0, 1.0, 0.0])))
    assert np.isnan(camera_elevation_deg(down, np.zeros(3)))
