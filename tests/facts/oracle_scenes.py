"""Oracle checks of whole measured scenes: plain functions, called by the tests and by the mutants."""

import tempfile
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
from oracle_world import CAMERA, ROOM_HIGH, ROOM_LOW, World, standard_poses, standard_world, write_scene
from scipy.spatial import cKDTree

from sightline.captures.images import read_depth_m
from sightline.facts import measure
from sightline.facts.fact import FactTable
from sightline.geometry.cameras import Intrinsics
from sightline.geometry.transforms import yaw_translation
from sightline.scenes.scene import Scene

OPTIONS = measure.MeasureOptions()
OTHER_COLOUR = Intrinsics(fx=320.0, fy=285.0, cx=170.2, cy=115.1, width=330, height=236)  # another size, focal length and principal point
_FOLDER = tempfile.TemporaryDirectory(prefix="sightline-oracle-")


@cache
def scene(kind: str) -> Scene:
    """`same`: one camera for colour and depth; `other`: another colour camera; `cloud`: no id images; `bare`: no objects either."""
    folder = Path(_FOLDER.name) / kind
    folder.mkdir()
    return write_scene(
        folder,
        standard_world(),
        standard_poses(),
        colour_camera=OTHER_COLOUR if kind == "other" else CAMERA,
        with_ids=kind in ("same", "other"),
        with_objects=kind != "bare",
    )


def measured(kind: str) -> FactTable:
    return measure.measure(scene(kind), OPTIONS)


def surface_distance_m(world: World, points: np.ndarray) -> np.ndarray:
    """How far points are from the nearest surface of the room or of a box."""
    nearest = np.minimum(np.abs(points - ROOM_LOW), np.abs(points - ROOM_HIGH)).min(axis=1)
    for box in world.boxes:
        local = np.abs((points - box.centre_world) @ box.world_from_object[:3, :3]) - box.size_m / 2
        outside = np.linalg.norm(np.maximum(local, 0.0), axis=1)
        nearest = np.minimum(nearest, np.where((local < 0).all(axis=1), -local.max(axis=1), outside))
    return nearest


def sampled_points_lie_on_the_surface_their_pixel_shows() -> None:
    world = standard_world()
    for kind in ("same", "other"):
        points, frames = measured(kind).points, scene(kind).frames
        assert len(points.frame) > 250
        for index, frame in enumerate(frames):
            own = points.frame == index
            pose, camera = frame.world_from_camera, frame.intrinsics
            rays = np.column_stack([(points.uv[own] - [camera.cx, camera.cy]) / [camera.fx, camera.fy], np.ones(own.sum())])
            z, ids = world.cast(pose[:3, 3], rays @ pose[:3, :3].T)
            assert np.abs(points.depth_m[own] - z).max() < 2e-3
            assert np.array_equal(points.object_id[own], ids)
            assert np.allclose(points.point_world[own], pose[:3, 3] + (rays * points.depth_m[own, None]) @ pose[:3, :3].T, atol=1e-9)
        assert surface_distance_m(world, points.point_world).max() < 2e-3


def sampled_points_keep_away_from_edges_and_borders() -> None:
    world = standard_world()
    points = measured("same").points
    border = 0.04 * CAMERA.width
    assert (points.uv >= border - 0.5).all() and (points.uv <= np.array([CAMERA.width, CAMERA.height]) - 0.5 - border).all()
    for index, frame in enumerate(scene("same").frames):
        depth_m, ids = world.picture(CAMERA, frame.world_from_camera)
        for (u, v), z in zip(points.uv[points.frame == index].astype(int), points.depth_m[points.frame == index]):
            window = np.s_[v - 2 : v + 3, u - 2 : u + 3]
            assert np.ptp(depth_m[window]) <= max(0.03, 0.06 * z) + 2e-3 and np.ptp(ids[window]) == 0


def points_of_one_frame_are_spread_and_drawn_the_same_each_time() -> None:
    first, second = measured("same").points, measured("same").points
    assert np.array_equal(first.uv, second.uv) and np.array_equal(first.frame, second.frame)
    own = first.uv[first.frame == 0]
    quadrant = (own[:, 0] > CAMERA.width / 2) * 2 + (own[:, 1] > CAMERA.height / 2)
    assert len(own) <= OPTIONS.points_per_frame and (np.bincount(quadrant.astype(int), minlength=4) >= 4).all()


def object_views_agree_with_the_id_map() -> None:
    world = standard_world()
    views = measured("same").object_views
    rows = 0
    for index, frame in enumerate(scene("same").frames):
        depth_m, ids = world.picture(CAMERA, frame.world_from_camera)
        for object_id in range(len(world.boxes)):
            mask = ids == object_id
            found = (views.frame == index) & (views.object_id == object_id)
            assert found.sum() == (mask.sum() >= OPTIONS.min_object_pixel_share * mask.size)
            if not found.any():
                continue
            rows += 1
            at = int(np.flatnonzero(found)[0])
            v, u = np.nonzero(mask)
            assert np.allclose(views.box_uv[at], [u.min() - 0.5, v.min() - 0.5, u.max() + 0.5, v.max() + 0.5], atol=1e-9)
            assert np.isclose(views.pixel_share[at], mask.mean(), atol=1e-12)
            column, row = views.anchor_uv[at].round().astype(int)
            assert mask[row, column] and abs(views.anchor_depth_m[at] - depth_m[row, column]) < 1e-3
            outside = cKDTree(np.argwhere(np.pad(~mask, 1, constant_values=True)) - 1)
            deepest = outside.query(np.argwhere(mask))[0].max()
            assert abs(outside.query([row, column])[0] - deepest) < 1e-5
    assert rows == len(views.frame) > 25


def views_of_another_colour_camera_fall_on_the_object_there() -> None:
    world = standard_world()
    views = measured("other").object_views
    assert len(views.frame) > 25
    for index, frame in enumerate(scene("other").frames):
        _, ids = world.picture(OTHER_COLOUR, frame.world_from_camera)
        for at in np.flatnonzero(views.frame == index):
            column, row = np.floor(views.anchor_uv[at] + 0.5).astype(int)
            assert ids[row, column] == views.object_id[at]
            v, u = np.nonzero(ids == views.object_id[at])
            assert np.abs(views.box_uv[at] - [u.min() - 0.5, v.min() - 0.5, u.max() + 0.5, v.max() + 0.5]).max() <= 3.0


def visible_shares_are_what_rays_reach() -> None:
    world, built = standard_world(), scene("same")
    table = measured("same")
    points, off = built.points_world.astype(np.float64), []
    for index, frame in enumerate(built.frames):
        pose = frame.world_from_camera
        local = (points - pose[:3, 3]) @ pose[:3, :3]
        uv = local[:, :2] / np.maximum(local[:, 2:], 1e-9) * [CAMERA.fx, CAMERA.fy] + [CAMERA.cx, CAMERA.cy]
        inside = (local[:, 2] > 0.05) & (uv >= -0.5).all(axis=1) & (uv < np.array([CAMERA.width, CAMERA.height]) - 0.5).all(axis=1)
        hit_m = local[:, 2] * world.cast(pose[:3, 3], points - pose[:3, 3])[0]
        reached = inside & (local[:, 2] - hit_m <= np.maximum(0.02, 0.02 * hit_m))
        assert abs(table.frames.visible_points[index] - reached.sum()) <= 0.03 * reached.sum()
        for at in np.flatnonzero(table.object_views.frame == index):
            own = built.point_object_ids == table.object_views.object_id[at]
            off.append(abs(table.object_views.visible_share[at] - reached[own].mean()))
    assert max(off) < 0.15 and np.mean(off) < 0.03  # small things seen edge-on lose points to the half pixel of rounding


def points_seen_by_two_frames_show_the_same_object_in_both() -> None:
    world = standard_world()
    table = measured("same")
    same = total = 0
    for frame_j, frame in enumerate(scene("same").frames):
        pose = frame.world_from_camera
        local = (table.points.point_world - pose[:3, 3]) @ pose[:3, :3]
        ahead = local[:, 2] > 0.05
        uv = np.floor(
            local[:, :2] / np.where(ahead, local[:, 2], 1.0)[:, None] * [CAMERA.fx, CAMERA.fy] + [CAMERA.cx, CAMERA.cy] + 0.5
        ).astype(int)
        inside = ahead & (uv >= 0).all(axis=1) & (uv < [CAMERA.width, CAMERA.height]).all(axis=1) & (table.points.frame != frame_j)
        depth_m = read_depth_m(frame.depth_path, depth_scale_m=0.001)
        _, ids = world.picture(CAMERA, pose)
        chosen = np.flatnonzero(inside)
        reading = depth_m[uv[chosen, 1], uv[chosen, 0]]
        visible = np.abs(local[chosen, 2] - reading) <= np.maximum(0.02, 0.02 * reading)
        same += np.count_nonzero(ids[uv[chosen, 1], uv[chosen, 0]][visible] == table.points.object_id[chosen][visible])
        total += np.count_nonzero(visible)
    assert total > 300 and same >= 0.975 * total


def objects_without_id_images_are_found_by_their_points() -> None:
    exact, found = measured("same"), measured("cloud")
    world = standard_world()
    known = {(int(f), int(o)): k for k, (f, o) in enumerate(zip(exact.object_views.frame, exact.object_views.object_id))}
    views = found.object_views
    assert np.isnan(views.pixel_share).all() and len(views.frame) > 20
    for at, key in enumerate(zip(views.frame.tolist(), views.object_id.tolist())):
        _, ids = world.picture(CAMERA, scene("cloud").frames[key[0]].world_from_camera)
        column, row = views.anchor_uv[at].round().astype(int)
        assert key[1] in ids[max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2]
        if key in known:
            box = exact.object_views.box_uv[known[key]]
            assert (views.box_uv[at][:2] >= box[:2] - 1.5).all() and (views.box_uv[at][2:] <= box[2:] + 1.5).all()
    labelled = found.points.object_id >= 0
    assert labelled.sum() > 20


def a_rigid_motion_of_the_world_changes_no_fact() -> None:
    motion = yaw_translation(2.1, np.array([3.0, -7.0, 0.9]))
    before_scene = scene("same")
    moved_objects = tuple(replace(one, box=one.box.moved(motion)) for one in before_scene.objects)
    after_scene = replace(
        before_scene,
        frames=tuple(replace(frame, world_from_camera=motion @ frame.world_from_camera) for frame in before_scene.frames),
        points_world=before_scene.points_world.astype(np.float64) @ motion[:3, :3].T + motion[:3, 3],
        objects=moved_objects,
    )
    before, after = measured("same"), measure.measure(after_scene, OPTIONS)
    for part in ("pairs", "object_views", "object_pairs", "points"):
        for name in getattr(before, part).__slots__:
            one, two = getattr(getattr(before, part), name), getattr(getattr(after, part), name)
            if name == "point_world":
                one = one @ motion[:3, :3].T + motion[:3, 3]
            loose = 2e-3 if name in ("overlap", "visible_share") else 1e-8  # a point on the very tolerance may fall either way
            assert np.allclose(one, two, atol=loose, rtol=0, equal_nan=True), f"{part}.{name}"


def object_distances_are_those_of_the_boxes() -> None:
    pairs = measured("same").object_pairs
    boxes = standard_world().boxes
    assert len(pairs.first) == 10 and (pairs.first < pairs.second).all()
    on_table = (pairs.first == 0) & (pairs.second == 4)
    assert abs(pairs.closest_m[on_table][0]) < 1e-12 and pairs.centre_m[on_table][0] > 0.15
    for first, second, closest_m, centre_m in zip(pairs.first, pairs.second, pairs.closest_m, pairs.centre_m):
        assert np.isclose(centre_m, np.linalg.norm(boxes[first].centre_world - boxes[second].centre_world), atol=1e-12)
        reach = (np.linalg.norm(boxes[first].size_m) + np.linalg.norm(boxes[second].size_m)) / 2
        assert max(centre_m - reach, 0.0) - 1e-12 <= closest_m <= centre_m


CHECKS = {
    check.__name__: check
    for check in (
        sampled_points_lie_on_the_surface_their_pixel_shows,
        sampled_points_keep_away_from_edges_and_borders,
        points_of_one_frame_are_spread_and_drawn_the_same_each_time,
        object_views_agree_with_the_id_map,
        views_of_another_colour_camera_fall_on_the_object_there,
        visible_shares_are_what_rays_reach,
        points_seen_by_two_frames_show_the_same_object_in_both,
        objects_without_id_images_are_found_by_their_points,
        a_rigid_motion_of_the_world_changes_no_fact,
        object_distances_are_those_of_the_boxes,
    )
}
