"""Pictures and walks: exact depth and ids, colour that only the asked options change, poses a hand could have held."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from sightline.captures.procedural.caster import cast, cast_view, view_of, visible_from
from sightline.captures.procedural.footprints import contains
from sightline.captures.procedural.model import build_room, render
from sightline.captures.procedural.options import RoomsOptions, SensorOptions
from sightline.captures.procedural.sensor import depth_edges, jittered, sensed_depth_m
from sightline.captures.procedural.shading import rays_world
from sightline.captures.procedural.textures import linear_from_srgb, srgb_from_linear, srgb_from_linear_fast
from sightline.captures.procedural.walk import NEAREST_M, walk
from sightline.errors import ConfigError
from sightline.geometry.cameras import Intrinsics
from sightline.geometry.depth import pixel_grid, points_world_from_depth
from sightline.geometry.transforms import apply, camera_pitch_deg, camera_roll_deg, inverse, rigid, rigidity_error, rotation_from_quat_wxyz

CAMERA = Intrinsics.from_field_of_view(horizontal_deg=70.0, width=64, height=48)
OPTIONS = RoomsOptions(min_rooms=2, max_rooms=3)


@cache
def flat(seed):
    return build_room(seed, OPTIONS)


@cache
def poses_of(seed, count=12):
    return tuple(walk(flat(seed), np.random.default_rng(seed), num_frames=count))


def test_depth_and_ids_are_those_of_the_ray_through_the_pixel_centre():
    room, pose = flat(0), poses_of(0)[3]
    picture = render(room, CAMERA, pose)
    uv = pixel_grid(64, 48).reshape(-1, 2)
    hits = cast(room.caster, pose[:3, 3], rays_world(uv, CAMERA, pose))
    np.testing.assert_array_equal(picture.object_ids.reshape(-1), hits.object_ids)
    seen = hits.primitives >= 0
    found_uv, depth_m = CAMERA.project(apply(inverse(pose), hits.points_world[seen]))
    np.testing.assert_allclose(found_uv, uv[seen], atol=1e-8)
    np.testing.assert_allclose(depth_m, picture.depth_m.reshape(-1)[seen], atol=1e-9)


@pytest.mark.parametrize("seed", [0, 1])
def test_image_tiles_find_what_the_tree_finds_even_from_odd_places(seed):
    room, rng = flat(seed), np.random.default_rng(seed)
    low, high = room.plan.origin_world, -room.plan.origin_world
    for _ in range(12):
        pose = rigid(rotation_from_quat_wxyz(rng.standard_normal(4)), np.array([*rng.uniform(low, high), rng.uniform(0.1, 2.4)]))
        uv = rng.uniform(-0.5, [63.49, 47.49], (600, 2))
        directions = rays_world(uv, CAMERA, pose)
        tree, tiles = cast(room.caster, pose[:3, 3], directions), cast_view(view_of(room.caster, CAMERA, pose), uv, directions)
        np.testing.assert_array_equal(tree.primitives, tiles.primitives)
        np.testing.assert_array_equal(tree.t, tiles.t)


def test_every_point_that_was_drawn_is_visible_and_a_little_behind_is_not():
    room, pose = flat(0), poses_of(0)[5]
    picture = render(room, CAMERA, pose)
    for extra_m, expected in ((0.0, True), (-0.01, True), (0.01, False)):
        points = points_world_from_depth(picture.depth_m + extra_m, CAMERA, pose).reshape(-1, 3)
        points = points[np.isfinite(points).all(axis=1)]
        visible = visible_from(room.caster, pose[:3, 3], points)
        assert visible.mean() >= 0.999 if expected else visible.mean() <= 0.005  # a centimetre may lead out of a thin edge


def test_normals_are_those_of_the_depth_map():
    room, pose = flat(1), poses_of(1)[2]
    fine = Intrinsics.from_field_of_view(horizontal_deg=70.0, width=160, height=120)
    picture = render(room, fine, pose)
    points = points_world_from_depth(picture.depth_m, fine, pose)
    found = np.cross(points[1:-1, 2:] - points[1:-1, :-2], points[2:, 1:-1] - points[:-2, 1:-1])
    found /= np.linalg.norm(found, axis=2, keepdims=True)
    agree = np.abs((found * picture.normals_world[1:-1, 1:-1]).sum(axis=2))
    assert np.nanmedian(agree) > 0.999999


def test_antialiasing_and_shadows_change_colour_alone():
    room, pose = flat(0), poses_of(0)[3]
    plain = render(replace(room, options=RoomsOptions(antialias=False, shadows=False)), CAMERA, pose)
    full = render(room, CAMERA, pose)
    np.testing.assert_array_equal(plain.depth_m, full.depth_m)
    np.testing.assert_array_equal(plain.object_ids, full.object_ids)
    assert 0.02 < (plain.rgb != full.rgb).any(axis=2).mean() < 0.9


def test_pictures_are_bright_and_furniture_differs_from_walls():
    for seed in (0, 1):
        for pose in poses_of(seed)[::4]:
            picture = render(flat(seed), CAMERA, pose)
            assert 80 < picture.rgb.mean() < 225
            shell = picture.rgb[(picture.object_ids < 0) & np.isfinite(picture.depth_m)].astype(float)
            saturation = shell.max(axis=1) - shell.min(axis=1)
            assert np.median(saturation) < 70
            assert picture.rgb.std(axis=(0, 1)).max() > 15


@pytest.mark.parametrize("pure", [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0)])
def test_no_pixel_has_a_colour_of_the_marks(pure):
    for seed in (0, 1):
        for pose in poses_of(seed)[::3]:
            distance = np.abs(render(flat(seed), CAMERA, pose).rgb.astype(int) - pure).max(axis=2)
            assert distance.min() > 25


def test_the_encoding_table_is_at_most_one_grey_level_off():
    linear = np.linspace(-0.1, 1.1, 100_002).reshape(-1, 3)
    assert np.abs(srgb_from_linear(linear).astype(int) - srgb_from_linear_fast(linear)).max() <= 1
    levels = np.arange(256)
    np.testing.assert_array_equal(srgb_from_linear(linear_from_srgb(levels)), levels)


def test_equal_seeds_draw_equal_pictures_and_other_seeds_do_not():
    again = build_room(0, OPTIONS)
    poses = walk(again, np.random.default_rng(0), num_frames=4)
    np.testing.assert_array_equal(poses, poses_of(0)[:4])
    one, two = render(again, CAMERA, poses[2]), render(flat(0), CAMERA, poses[2])
    np.testing.assert_array_equal(one.rgb, two.rgb)
    np.testing.assert_array_equal(one.depth_m, two.depth_m)
    assert len(flat(1).objects) != len(flat(0).objects) or flat(1).structure.rooms[0].label != flat(0).structure.rooms[0].label


@pytest.mark.parametrize("seed", [0, 1])
def test_the_camera_walks_inside_rooms_at_eye_height_and_touches_nothing(seed):
    room = flat(seed)
    rng = np.random.default_rng(0)
    for pose in poses_of(seed):
        assert rigidity_error(pose) < 1e-9
        assert 1.3 < pose[2, 3] < 1.75
        assert abs(camera_roll_deg(pose)) < 3.0 and -25.0 < camera_pitch_deg(pose) < 0.0
        around = rng.standard_normal((400, 3))
        hits = cast(room.caster, pose[:3, 3], around / np.linalg.norm(around, axis=1, keepdims=True))
        assert np.nanmin(hits.t) > NEAREST_M
        picture = render(room, CAMERA, pose)
        assert np.nanmin(picture.depth_m) > NEAREST_M and np.nanmean(picture.depth_m) > 1.0
        assert any(contains(one.outline_world, pose[None, :2, 3])[0] for one in room.structure.rooms) or _in_a_passage(room, pose)
    assert np.mean([(render(room, CAMERA, pose).object_ids >= 0).mean() for pose in poses_of(seed)]) > 0.15


def _in_a_passage(room, pose):
    return min(np.hypot(*(opening.centre_world - pose[:3, 3])[:2]) for opening in room.structure.openings) < 1.0


@pytest.mark.parametrize("step_m,turn_deg", [(0.6, 35.0), (0.2, 12.0), (0.1, 5.0)])
def test_neighbouring_poses_keep_to_the_step_and_the_turn(step_m, turn_deg):
    room = replace(flat(2), options=RoomsOptions(step_m=step_m, turn_deg=turn_deg))
    poses = walk(room, np.random.default_rng(7), num_frames=20)
    kept = 0
    for a, b in zip(poses, poses[1:]):
        cosine = (np.sum(a[:3, :3] * b[:3, :3]) - 1.0) / 2.0
        kept += np.linalg.norm(a[:3, 3] - b[:3, 3]) <= step_m + 1e-9 and np.degrees(np.arccos(np.clip(cosine, -1, 1))) <= turn_deg + 1e-6
    assert kept >= 18  # a view of a blank wall may be left out
    assert np.linalg.norm(poses[0][:3, 3] - poses[-1][:3, 3]) > 0.0


def test_the_walk_passes_doors():
    seen = set()
    room = build_room(3, RoomsOptions(min_rooms=3, max_rooms=3))
    for pose in walk(room, np.random.default_rng(3), num_frames=60):
        seen |= {one.room_index for one in room.structure.rooms if contains(one.outline_world, pose[None, :2, 3])[0]}
    assert len(seen) >= 2


def test_the_sensor_makes_holes_at_edges_and_glancing_surfaces_and_keeps_its_noise_model():
    room, pose = flat(0), poses_of(0)[3]
    fine = Intrinsics.from_field_of_view(horizontal_deg=70.0, width=160, height=120)
    picture = render(room, fine, pose)
    sensor = SensorOptions(enabled=True, hole_rate=0.0, noise_m_at_1m=0.002, quantisation_m=0.001)
    sensed = sensed_depth_m(picture, fine, pose, sensor, np.random.default_rng(0))
    assert np.isnan(sensed[depth_edges(picture.depth_m)]).all()
    kept = np.isfinite(sensed)
    assert 0.5 < kept.mean() < 0.999
    error = (sensed - picture.depth_m)[kept] / picture.depth_m[kept] ** 2
    assert error.std() == pytest.approx(0.002, rel=0.1)
    np.testing.assert_allclose(sensed[kept] / 0.001, np.rint(sensed[kept] / 0.001), atol=1e-6)
    same = sensed_depth_m(picture, fine, pose, sensor, np.random.default_rng(0))
    np.testing.assert_array_equal(sensed, same)


def test_pose_jitter_is_rigid_and_of_the_stated_size():
    rng, sensor = np.random.default_rng(0), SensorOptions(enabled=True, pose_jitter_m=0.01, pose_jitter_deg=0.5)
    moved = [inverse(poses_of(0)[0]) @ jittered(poses_of(0)[0], sensor, rng) for _ in range(400)]
    assert max(rigidity_error(pose) for pose in moved) < 1e-9
    assert np.sqrt(np.mean([(pose[:3, 3] ** 2).sum() for pose in moved])) == pytest.approx(0.01, rel=0.15)
    angles = [np.degrees(np.arccos(np.clip((np.trace(pose[:3, :3]) - 1.0) / 2.0, -1, 1))) for pose in moved]
    assert np.sqrt(np.mean(np.square(angles))) == pytest.approx(0.5, rel=0.15)


def test_options_that_cannot_be_met_are_refused_by_name():
    from sightline.config import build

    for wrong, word in (({"min_rooms": 3, "max_rooms": 2}, "min_rooms"), ({"widht": 3}, "width"), ({"num_frames": 0}, "num_frames")):
        with pytest.raises(ConfigError, match=word):
            build(RoomsOptions, wrong, where="rooms options")
