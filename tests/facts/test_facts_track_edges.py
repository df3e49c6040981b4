"""Tracked points beside something else, and objects known to move by a lone point: both against maps painted by hand."""

from dataclasses import replace

import numpy as np
import pytest
from test_facts_tracks import CAMERA, scene_of

from sightline.captures.images import write_uint16_png
from sightline.facts.tracks import TrackOptions, measure_tracks

LEVEL = np.array([[1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0], [0.0, -1.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0]])


def measured(tmp_path, depth_mm, points_camera, **options):
    """Tables of points `(T, N, 3)` seen by cameras that do not move, over one depth map."""
    points_camera = np.asarray(points_camera, dtype=float)
    visible = np.ones(points_camera.shape[:2], dtype=bool)
    scene = scene_of([LEVEL] * len(points_camera), points_camera, visible, **options)
    if depth_mm is not None:
        write_uint16_png(tmp_path / "depth.png", depth_mm)
        scene = replace(scene, frames=tuple(replace(frame, depth_path=tmp_path / "depth.png") for frame in scene.frames))
    return measure_tracks(scene, seed=0, options=TrackOptions(), skips={})


def at_pixel(u, v, z):
    return CAMERA.unproject(np.array([[u, v]], dtype=float), np.array([z]))[0]


def two_halves():
    """A surface at 2 m, the right half of the image (from column 32) at 3 m, one pixel without a reading."""
    depth_mm = np.full((CAMERA.height, CAMERA.width), 2000, dtype=np.uint16)
    depth_mm[:, 32:] = 3000
    depth_mm[40, 10] = 0
    return depth_mm


@pytest.mark.parametrize(
    ("pixel", "z_m", "is_at_edge"),
    [
        ((20, 20), 2.0, False),
        ((20, 20), 2.04, False),  # within 5 cm
        ((20, 20), 2.2, True),
        ((30, 20), 2.0, False),
        ((31, 20), 2.0, True),  # the next column is 3 m away
        ((33, 20), 3.0, False),
        ((32, 20), 3.0, True),
        ((11, 41), 2.0, True),  # a neighbour has no reading
        ((13, 40), 2.0, False),
        ((0, 0), 2.0, False),  # the image's corner has fewer neighbours
    ],
)
def test_a_point_is_at_an_edge_where_a_pixel_beside_it_is_of_something_else(tmp_path, pixel, z_m, is_at_edge):
    tables = measured(tmp_path, two_halves(), [[at_pixel(*pixel, z_m)]] * 2)
    assert tables.tracks.at_edge.tolist() == [is_at_edge] * 2


def test_without_depth_or_where_it_is_not_seen_no_point_is_at_an_edge(tmp_path):
    behind = [[np.array([0.0, 0.0, -1.0])]] * 2
    assert not measured(tmp_path, None, [[at_pixel(31, 20, 2.0)]] * 2).tracks.at_edge.any()
    assert not measured(tmp_path, two_halves(), behind).tracks.at_edge.any()


def test_an_object_moves_when_a_lone_point_on_it_leaves_its_place_by_more_than_two_centimetres():
    still, near, far = at_pixel(20, 20, 2.0), at_pixel(40, 20, 2.0), at_pixel(10, 30, 2.0)
    frames = [[still, near + [0.004 * time, 0, 0], far + [0.02 * time, 0, 0]] for time in range(4)]
    tables = measured(None, None, frames, object_ids=np.array([5, 6, 7], dtype=np.int32))
    assert (tables.tracks.body <= 0).all() and tables.moving_ids == {7}
