"""Truncation and occlusion of objects in frames, and when each is seen, where all of it is known in closed form."""

from pathlib import Path

import numpy as np
import oracle_scenes
import pytest
from scipy import ndimage

from sightline.captures.capture import Frame, SceneObject
from sightline.facts.fact import ObjectViewFacts
from sightline.facts.object_points import inside_counts, object_points, seen_counts
from sightline.facts.object_times import object_times
from sightline.facts.objects import deepest_pixel, object_views, point_shares
from sightline.facts.visibility import Cloud, FrameView
from sightline.geometry.boxes import Box
from sightline.geometry.cameras import Intrinsics
from sightline.geometry.transforms import apply, inverse, look_at
from sightline.geometry.visibility import NEAR_M, block_bounds, pack_words, spatial_order, visible_words

CAMERA = Intrinsics(fx=100.0, fy=100.0, cx=79.5, cy=59.5, width=160, height=120)
AWAY_M = 2.0
NOWHERE = Path("not_read.png")


def cloud_with(points_world, object_ids) -> Cloud:
    points_world = np.asarray(points_world, dtype=np.float64).reshape(-1, 3)
    order = spatial_order(points_world)
    points_world, ids = points_world[order], np.asarray(object_ids, dtype=np.int32)[order]
    return Cloud(points_world=points_world, object_ids=ids, bounds_world=block_bounds(points_world))


def thing(object_id: int) -> SceneObject:
    return SceneObject(object_id=object_id, category="chair", box=Box(size_m=np.ones(3), world_from_object=np.eye(4)))


def board(middle_u: float, middle_v: float) -> np.ndarray:
    """Points `(1600, 3)` of a flat board two metres ahead that shows as 40 x 40 pixels about a place of the image, one on each pixel."""
    v, u = np.mgrid[:40, :40] - 19.5
    u, v = u.ravel() + middle_u, v.ravel() + middle_v
    return np.stack([(u - CAMERA.cx) / CAMERA.fx * AWAY_M, (v - CAMERA.cy) / CAMERA.fy * AWAY_M, np.full(1600, AWAY_M)], axis=1)


def view_of(cloud: Cloud, depth_m: np.ndarray, *, world_from_camera=None, instances=None) -> FrameView:
    pose = np.eye(4) if world_from_camera is None else world_from_camera
    frame = Frame(
        frame_id="0",
        time_s=0.0,
        rgb_path=NOWHERE,
        depth_path=NOWHERE,
        depth_scale_m=0.001,
        intrinsics=CAMERA,
        depth_intrinsics=CAMERA,
        world_from_camera=pose,
    )
    words = visible_words(
        cloud.points_world,
        depth_m=depth_m,
        depth_intrinsics=CAMERA,
        intrinsics=CAMERA,
        world_from_camera=pose,
        bounds_world=cloud.bounds_world,
    )
    stored = np.rint(np.nan_to_num(depth_m, nan=0.0) * 1000.0).astype(np.uint16)  # of millimetres, as `frame` says
    return FrameView(frame=frame, stored_depth=stored, instances=instances, words=words)


def one_view(points: np.ndarray, depth_m: np.ndarray) -> ObjectViewFacts:
    cloud = cloud_with(points, np.zeros(len(points)))
    owners = object_points(cloud, (thing(0),))
    return object_views(view_of(cloud, depth_m), cloud, owners, frame_index=0, near_m=NEAR_M, min_pixel_share=0.001, min_points=12)


def plain_wall() -> np.ndarray:
    return np.full((CAMERA.height, CAMERA.width), AWAY_M, dtype=np.float32)


@pytest.mark.parametrize(
    ("middle", "inside"),
    [
        ((79.5, 59.5), 1.0),
        ((159.5, 59.5), 0.5),  # its middle on the right border of the image
        ((-0.5, 59.5), 0.5),
        ((79.5, -0.5), 0.5),
        ((79.5, 119.5), 0.5),
        ((159.5, 119.5), 0.25),  # on a corner
        ((-10.5, 59.5), 0.25),
    ],
)
def test_a_board_partly_beyond_the_image_is_truncated_by_that_part_and_hidden_by_none(middle, inside):
    views = one_view(board(*middle), plain_wall())
    assert views.inside_share.tolist() == [inside] and views.hidden_share.tolist() == [0.0] and views.visible_share.tolist() == [inside]


@pytest.mark.parametrize(("covered", "hidden"), [(0, 0.0), (10, 0.25), (20, 0.5), (39, 0.975)])
def test_a_board_partly_behind_another_is_hidden_by_that_part_and_not_truncated(covered, hidden):
    depth_m = plain_wall()
    depth_m[:, : 60 + covered] = 1.0  # the board begins at column 60
    views = one_view(board(79.5, 59.5), depth_m)
    assert views.inside_share.tolist() == [1.0] and np.allclose(views.hidden_share, hidden, atol=1e-15)


def test_what_is_both_beyond_the_image_and_behind_something_counts_as_beyond():
    depth_m = plain_wall()
    depth_m[:60] = 1.0  # the upper half of the board that is half beyond the right border
    views = one_view(board(159.5, 59.5), depth_m)
    assert views.inside_share.tolist() == [0.5] and views.hidden_share.tolist() == [0.5] and views.visible_share.tolist() == [0.25]


def test_points_behind_or_too_near_the_camera_are_not_inside():
    points = np.concatenate([board(79.5, 59.5), -board(79.5, 59.5), 0.01 * board(79.5, 59.5)])
    cloud = cloud_with(points, np.zeros(len(points)))
    shares = point_shares(view_of(cloud, plain_wall()), cloud, object_points(cloud, (thing(0),)), near_m=NEAR_M)
    assert shares.inside_share.tolist() == [1 / 3] and shares.hidden_share.tolist() == [0.0]
    line = cloud_with(np.c_[np.zeros((20, 2)), 0.01 * np.arange(1, 21) + 0.005], np.zeros(20))  # one word from 1.5 cm to 20.5 cm ahead
    shares = point_shares(view_of(line, plain_wall()), line, object_points(line, (thing(0),)), near_m=0.05)
    assert shares.inside_share.tolist() == [16 / 20] and shares.hidden_share.tolist() == [1.0]


def test_shares_of_nothing_are_not_known():
    cloud = cloud_with(-board(79.5, 59.5), np.zeros(1600))
    shares = point_shares(view_of(cloud, plain_wall()), cloud, object_points(cloud, (thing(0), thing(5))), near_m=NEAR_M)
    assert shares.inside_share[0] == 0.0 and np.isnan(shares.hidden_share[0])  # all behind the camera: nothing inside to be hidden
    assert np.isnan([shares.visible_share[1], shares.inside_share[1], shares.hidden_share[1]]).all()  # it has no points


def test_counts_inside_and_seen_are_those_of_every_point_for_itself():
    rng = np.random.default_rng(2)
    points = np.concatenate([rng.normal(rng.uniform(-3, 3, 3), 0.5, (700, 3)) for _ in range(12)])
    cloud = cloud_with(points, rng.choice([-1, 3, 4, 8, 70], size=len(points)))
    objects = tuple(thing(object_id) for object_id in (8, 3, 4, 11))
    owners = object_points(cloud, objects)
    assert owners.object_ids.tolist() == [3, 4, 8, 11]
    assert owners.counts.tolist() == [np.count_nonzero(cloud.object_ids == one) for one in owners.object_ids]
    depth_m = rng.uniform(0.5, 6.0, (CAMERA.height, CAMERA.width)).astype(np.float32)
    words, some_inside = [], 0
    for _ in range(40):
        pose = look_at(rng.uniform(-4, 4, 3), rng.uniform(-2, 2, 3))
        inside = inside_counts(owners, cloud, camera=CAMERA, world_from_camera=pose, near_m=NEAR_M)
        local = apply(inverse(pose), cloud.points_world)
        ahead = local[:, 2] >= NEAR_M
        z = np.where(ahead, local[:, 2], 1.0)
        u, v = CAMERA.fx * local[:, 0] / z + CAMERA.cx, CAMERA.fy * local[:, 1] / z + CAMERA.cy
        falls_in = ahead & (u >= -0.5) & (u < CAMERA.width - 0.5) & (v >= -0.5) & (v < CAMERA.height - 0.5)
        assert inside.tolist() == [np.count_nonzero(falls_in & (cloud.object_ids == one)) for one in owners.object_ids]
        words.append(view_of(cloud, depth_m, world_from_camera=pose).words)
        assert (seen_counts(owners, words[-1][None])[0] <= inside).all()
        some_inside += inside.sum()
    assert some_inside > 10_000
    visible = rng.random((5, len(points))) < 0.3
    expected = [[np.count_nonzero(row & (cloud.object_ids == one)) for one in owners.object_ids] for row in visible]
    assert seen_counts(owners, pack_words(visible)).tolist() == expected


@pytest.mark.parametrize("kind", ["same", "other", "cloud"])
def test_what_is_visible_is_inside_and_not_hidden(kind):
    views = oracle_scenes.measured(kind).object_views
    assert np.allclose(views.visible_share, views.inside_share * (1.0 - views.hidden_share), atol=1e-12)
    assert (views.inside_share < 0.9).any() and (views.hidden_share > 0.2).any()


def rows(object_id, frame, visible_share, pixel_share) -> ObjectViewFacts:
    count = len(object_id)
    return ObjectViewFacts(
        object_id=np.array(object_id, dtype=np.int32),
        frame=np.array(frame, dtype=np.int32),
        visible_share=np.array(visible_share, dtype=float),
        inside_share=np.ones(count),
        hidden_share=np.zeros(count),
        pixel_share=np.array(pixel_share, dtype=float),
        box_uv=np.zeros((count, 4)),
        anchor_uv=np.zeros((count, 2)),
        anchor_depth_m=np.ones(count),
    )


def test_times_are_the_first_frame_the_best_frame_and_the_number_of_frames():
    unknown = float("nan")
    views = rows(
        [2, 5, 5, 2, 9, 5, 9, 2],
        [1, 1, 2, 4, 4, 5, 6, 7],
        [0.5, 0.2, 0.9, 0.7, unknown, 0.9, unknown, 0.7],
        [0.1, 0.5, 0.1, 0.1, 0.02, 0.6, 0.03, 0.9],
    )
    times = object_times(views, tuple(thing(one) for one in (9, 7, 5, 2)))
    assert times.object_id.tolist() == [2, 5, 7, 9] and times.views.tolist() == [3, 3, 0, 2]
    assert times.first_frame.tolist() == [1, 1, -1, 4]
    assert times.best_frame.tolist() == [4, 2, -1, 6]  # the first of equal shares; by pixels where there are no points


def test_measured_times_are_those_of_the_views_in_any_order():
    table = oracle_scenes.measured("same")
    times, views = table.object_times, table.object_views
    assert times.object_id.tolist() == sorted(one.object_id for one in table.objects) and times.views.sum() == len(views.frame)
    order = np.random.default_rng(0).permutation(len(views.frame))
    mixed = ObjectViewFacts(**{name: getattr(views, name)[order] for name in ObjectViewFacts.__slots__})
    again = object_times(mixed, table.objects)
    for place, object_id in enumerate(times.object_id):
        own = np.flatnonzero(views.object_id == object_id)
        best = own[np.argmax(views.visible_share[own])]  # rows are in time order: argmax takes the first of equals
        assert times.first_frame[place] == views.frame[own].min() and times.best_frame[place] == views.frame[best]
    for name in ("first_frame", "best_frame", "views"):
        assert np.array_equal(getattr(times, name), getattr(again, name))


def test_a_scan_without_objects_says_why_it_has_no_times():
    table = oracle_scenes.measured("bare")
    assert table.object_times is None and "which objects" in table.skips["object_times"]


def test_of_pixels_equally_deep_the_first_is_taken():
    rng = np.random.default_rng(0)
    for _ in range(400):
        corner = rng.random(rng.integers(10, 30, 2)) > 0.05
        mask = np.block([[corner, corner[:, ::-1]], [corner[::-1], corner[::-1, ::-1]]])  # mirrored, so that the deepest has equals
        squares = np.rint(ndimage.distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1] ** 2)  # in float64: another method
        row, column = np.unravel_index(np.argmax(np.where(mask, squares, -1.0)), mask.shape)
        assert deepest_pixel(mask, mask) == (column, row)
