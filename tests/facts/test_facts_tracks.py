"""Tracks in camera and world, the bodies they move with, and their displacements, against exact motions."""

from dataclasses import fields, replace
from functools import cache
from pathlib import Path

import layout_tapvid3d
import numpy as np
import pytest

from sightline.captures.capture import Frame, PointTracks
from sightline.captures.procedural.model import build_room
from sightline.captures.procedural.motion import follow, plan_motions, rooms_in_time
from sightline.captures.procedural.options import RoomsOptions
from sightline.captures.procedural.walk import walk
from sightline.captures.rooms import write_room_scan
from sightline.facts.bodies import rigid_groups
from sightline.facts.describe import describe
from sightline.facts.measure import MeasureOptions, measure, measure_scan
from sightline.facts.store import read_facts
from sightline.facts.tracks import TrackOptions, bodies_of, measure_tracks
from sightline.geometry.cameras import Intrinsics
from sightline.geometry.transforms import apply, inverse, look_at, rigid, yaw_translation
from sightline.questions.check import check_all
from sightline.questions.engine import ask_all
from sightline.questions.question import TASKS, TaskOptions
from sightline.scenes.build import import_scan
from sightline.scenes.scene import Scene
from sightline.scenes.store import SceneStore
from sightline.verbs.common import measurable

CAMERA = Intrinsics.from_field_of_view(horizontal_deg=70.0, width=64, height=48)
ROOM_SEEDS = (7, 10, 13)
NUM_FRAMES = 10


def scene_of(poses, points_camera, visible, *, has_poses=True, object_ids=None):
    """A scene of frames without images."""
    level = rigid(np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]]), np.zeros(3))
    frames = tuple(
        Frame(
            frame_id=f"{index:06d}",
            time_s=index / 10.0,
            rgb_path=Path(f"{index}.jpg"),
            depth_path=None,
            depth_scale_m=0.001,
            intrinsics=CAMERA,
            depth_intrinsics=CAMERA,
            world_from_camera=pose if has_poses else level,
        )
        for index, pose in enumerate(poses)
    )
    named = tuple(frame.frame_id for frame in frames)
    return Scene(
        scan_id="clip",
        place_id="clip",
        source="made",
        licence="none",
        root=Path("."),
        frames=frames,
        points_world=np.zeros((0, 3), dtype=np.float32),
        point_object_ids=None,
        objects=None,
        structure=None,
        verification=None,
        notes={},
        tracks=PointTracks(frame_ids=named, points_camera=points_camera.astype(np.float32), visible=visible, object_ids=object_ids),
        has_poses=has_poses,
    )


def tracked(scene, **options):
    skips = {}
    found = measure_tracks(scene, seed=0, options=TrackOptions(**options), skips=skips)
    return found, skips


@cache
def second_pass(seed):
    """A flat walked through twice, things moving the second time: (poses, exact tracks)."""
    room = build_room(seed, RoomsOptions(min_rooms=1, max_rooms=1))
    rng = np.random.default_rng(seed)
    first, again = (walk(room, rng, num_frames=NUM_FRAMES) for _ in range(2))
    motions = plan_motions(room, again, CAMERA, rng)
    rooms, poses = [room] * len(first) + rooms_in_time(room, motions, len(again)), list(first) + list(again)
    return np.array(poses), follow(rooms, poses, CAMERA, motions, rng)


def room_scene(seed, *, has_poses=True):
    poses, truth = second_pass(seed)
    points_camera = np.stack([apply(inverse(pose), points) for pose, points in zip(poses, truth.points_world)])
    return scene_of(poses, points_camera, truth.visible, has_poses=has_poses, object_ids=truth.object_ids), truth


def seen_to_move_m(truth):
    """How far each point is from its mean place at most, where it is seen `(N,)`; and in how many frames it is seen."""
    offsets = []
    for point in range(truth.points_world.shape[1]):
        seen = truth.points_world[truth.visible[:, point], point]
        offsets.append(np.linalg.norm(seen - seen.mean(axis=0), axis=1).max())
    return np.array(offsets), truth.visible.sum(axis=0)


def motion_of(truth):
    """For each point the number of the motion it follows: those that stand on a moved thing move as it does; -1 = none."""
    steps = [truth.world_from_moved[:, k] @ np.linalg.inv(truth.world_from_moved[0, k]) for k in range(len(truth.moved_object_ids))]
    numbers = [next(j for j, other in enumerate(steps) if np.allclose(step, other, atol=1e-6)) for step in steps]
    number_of = dict(zip(truth.moved_object_ids.tolist(), numbers))
    return np.array([number_of.get(int(one), -1) for one in truth.object_ids])


@pytest.mark.parametrize("seed", ROOM_SEEDS)
def test_bodies_of_a_procedural_room_are_its_moved_objects(seed):
    """Every point seen to move beyond doubt is of the body of its object, bodies mix no two motions, and the rest is still."""
    scene, truth = room_scene(seed)
    found, _ = tracked(scene)
    body = found.tracks.body.reshape(-1, len(scene.frames))[:, 0]
    moved_m, times = seen_to_move_m(truth)
    motion = motion_of(truth)
    often = times >= 2
    assert (body[~often] == -1).all()
    assert (body[often & (moved_m < 0.005)] == 0).all() and (body[often & (moved_m > 0.05)] != 0).all()
    assert (motion >= 0).any() and body.max() >= 1
    for number in range(1, body.max() + 1):
        assert len(np.unique(motion[body == number])) == 1 and (motion[body == number] >= 0).all()
    for number in np.unique(motion[motion >= 0]):
        own = body[(motion == number) & often & (moved_m > 0.05)]
        if len(own) >= 8:
            assert np.bincount(own + 1).max() >= 0.8 * len(own), f"motion {number}: {np.bincount(own + 1)}"
    assert found.moving_ids == frozenset(truth.object_ids[body >= 1].tolist())
    assert found.moving_ids <= frozenset(truth.moved_object_ids.tolist())


@pytest.mark.parametrize("seed", ROOM_SEEDS)
def test_displacements_of_a_procedural_room_are_the_true_ones(seed):
    scene, truth = room_scene(seed)
    poses, _ = second_pass(seed)
    windows = tracked(scene)[0].windows
    assert len(windows.point) > 200 and (windows.start < windows.end).all()
    assert truth.visible[windows.start, windows.point].all() and truth.visible[windows.end, windows.point].all()
    moved_world = truth.points_world[windows.end, windows.point] - truth.points_world[windows.start, windows.point]
    expected = np.stack([poses[start][:3, :3].T @ moved for start, moved in zip(windows.start, moved_world)])
    assert np.abs(windows.displacement_m - expected).max() < 1e-5
    assert np.linalg.norm(windows.displacement_m[windows.body == 0], axis=1).max() <= 0.05  # a still thing has not moved
    assert np.linalg.norm(windows.displacement_m[windows.body >= 1], axis=1).max() > 0.3
    for row in range(0, len(windows.point), 7):
        start, end, point = windows.start[row], windows.end[row], windows.point[row]
        here = apply(inverse(poses[start]), truth.points_world[start, point])
        there = apply(inverse(poses[end]), truth.points_world[end, point])
        assert np.abs(windows.apparent_m[row] - (there - here)).max() < 1e-5


@pytest.mark.parametrize("seed", ROOM_SEEDS)
def test_without_poses_the_largest_body_is_the_room_and_movements_are_apparent_alone(seed):
    scene, truth = room_scene(seed, has_poses=False)
    found, skips = tracked(scene)
    assert "nobody knows where the cameras were" in skips["track_windows"] and "tracks" not in skips
    assert np.isnan(found.windows.displacement_m).all() and np.isnan(found.tracks.point_world).all()
    known, _ = tracked(room_scene(seed)[0])
    assert np.isfinite(found.windows.apparent_m).all() and np.isfinite(known.windows.displacement_m).all()
    body = found.tracks.body.reshape(-1, len(scene.frames))[:, 0]
    moved_m, times = seen_to_move_m(truth)
    resting, moving = moved_m < 0.005, moved_m > 0.3
    assert (body[resting & (times >= 4)] == 0).mean() > 0.9, "what rests is the background"
    assert (body[moving] == 0).mean() < 0.1, "what moves is not"


def two_bodies(noise_m, *, seed=0, num_frames=40, per_body=40):
    """A moving camera, a still wall of points, a cart that drives and turns, a ball that rises, and 12 points that jump about."""
    rng = np.random.default_rng(seed)
    share = np.linspace(0.0, 1.0, num_frames)
    poses = np.array([look_at(np.array([3.0 * s, -4.0, 1.5 + 0.3 * s]), np.array([1.5, 3.0, 1.0])) for s in share])
    wall = rng.uniform([-2.0, 4.0, 0.0], [5.0, 5.0, 3.0], (3 * per_body, 3))
    cart, ball = rng.uniform(-0.5, 0.5, (per_body, 3)), rng.uniform(-0.15, 0.15, (per_body // 2, 3))
    world = np.concatenate(
        [
            np.broadcast_to(wall, (num_frames, *wall.shape)),
            np.stack([apply(yaw_translation(1.5 * s, np.array([2.5 * s, 1.0 + s, 0.6])), cart) for s in share]),
            np.stack([ball + [1.0, 2.0, 0.2 + 1.8 * s * s] for s in share]),
            rng.uniform([0.0, 0.0, 0.0], [3.0, 3.0, 2.0], (num_frames, 12, 3)),
        ],
        axis=1,
    )
    body = np.repeat([0, 1, 2, -1], [3 * per_body, per_body, per_body // 2, 12])
    camera = np.stack([apply(inverse(pose), points) for pose, points in zip(poses, world)])
    visible = rng.uniform(size=body.shape + (num_frames,)).T < 0.8
    return poses, world, camera + rng.normal(scale=noise_m, size=camera.shape) if noise_m else camera, visible, body


@pytest.mark.parametrize("has_poses", [True, False])
@pytest.mark.parametrize("noise_m", [0.0, 0.001, 0.002])
def test_two_rigid_bodies_and_loose_points_come_apart_through_noise(noise_m, has_poses):
    poses, world, camera, visible, truth = two_bodies(noise_m)
    found, _ = tracked(scene_of(poses, camera, visible, has_poses=has_poses))
    body = found.tracks.body.reshape(-1, len(poses))[:, 0]
    for number in (0, 1, 2):
        assert (body[truth == number] == number).mean() >= 0.97, number
        assert (truth[body == number] == number).all()
    assert (body[truth == -1] == -1).all()
    if has_poses:
        windows = found.windows
        moved = world[windows.end, windows.point] - world[windows.start, windows.point]
        expected = np.stack([poses[start][:3, :3].T @ one for start, one in zip(windows.start, moved)])
        assert np.linalg.norm(windows.displacement_m - expected, axis=1).max() <= 1e-5 + 8.0 * noise_m


def test_tolerance_is_what_tells_still_from_moving():
    """A point that drifts 15 mm is within 1 cm of its mean place; one that drifts 25 mm is not."""
    drift_m, count = np.array([0.0, 0.015, 0.025]), 21
    points = np.zeros((3, count, 3))
    points[:, :, 2] = 2.0
    points[:, :, 0] = drift_m[:, None] * np.linspace(0.0, 1.0, count)
    seen = np.ones((3, count), dtype=bool)
    assert bodies_of(points, points, seen, options=TrackOptions()).tolist() == [0, 0, -1]
    assert bodies_of(points, points, seen, options=TrackOptions(tolerance_m=0.02)).tolist() == [0, 0, 0]
    far = points + [0.0, 0.0, 18.0]
    assert bodies_of(far, far, seen, options=TrackOptions()).tolist() == [0, 0, 0]  # 0.2 % of 20 m
    seen[0, 1:] = False
    assert bodies_of(points, points, seen, options=TrackOptions()).tolist() == [-1, 0, -1]  # seen once: nobody can tell


def test_groups_need_four_points_and_do_not_depend_on_a_rigid_motion_or_on_the_order():
    _, world, _, visible, truth = two_bodies(0.0)
    points, seen, limits_m = world.transpose(1, 0, 2), visible.T, np.full(len(truth), 0.01)
    moving = np.flatnonzero(truth != 0)
    groups = [moving[group] for group in rigid_groups(points[moving], seen[moving], limits_m[moving])]
    assert [set(truth[group]) for group in groups] == [{1}, {2}]
    motion = yaw_translation(1.1, np.array([4.0, -2.0, 0.3]))
    turned = rigid_groups(apply(motion, points[moving]), seen[moving], limits_m[moving])
    assert all(np.array_equal(moving[one], other) for one, other in zip(turned, groups))
    mixed = np.random.default_rng(3).permutation(moving)
    again = rigid_groups(points[mixed], seen[mixed], limits_m[mixed])
    assert all(np.array_equal(np.sort(mixed[one]), other) for one, other in zip(again, groups))
    three = np.flatnonzero(truth == 1)[:3]
    assert rigid_groups(points[three], seen[three], limits_m[three]) == []


def test_windows_are_capped_spread_over_small_and_large_movements_and_drawn_the_same_again():
    poses, _, camera, visible, truth = two_bodies(0.0)
    scene = scene_of(poses, camera, visible)
    found, again = tracked(scene)[0].windows, tracked(scene)[0].windows
    assert all(np.array_equal(getattr(found, one.name), getattr(again, one.name), equal_nan=True) for one in fields(found))
    counts = np.bincount(found.point, minlength=len(truth))
    assert (counts[truth == 0] == 2).all() and (counts[truth == 1] == 12).all()
    assert len(np.unique(np.stack([found.point, found.start, found.end]), axis=1).T) == len(found.point)
    moved_m = np.linalg.norm(found.displacement_m[truth[found.point] == 1], axis=1)
    assert np.histogram(moved_m, bins=4, range=(0.0, 2.5))[0].min() > 0.05 * len(moved_m)
    assert len(tracked(scene, max_windows=50)[0].windows.point) == 50


def test_rows_are_point_major_and_frames_without_a_row_of_tracks_are_left_out():
    poses, world, camera, visible, truth = two_bodies(0.0)
    scene = scene_of(poses, camera, visible)
    thinned = replace(scene.tracks, frame_ids=scene.tracks.frame_ids[::-2], points_camera=camera[::-2], visible=visible[::-2])
    table = tracked(replace(scene, tracks=thinned))[0].tracks
    kept = np.arange(len(poses))[::-2][::-1]
    assert table.frame.reshape(len(truth), -1).tolist() == [kept.tolist()] * len(truth)
    assert np.array_equal(table.point, np.repeat(np.arange(len(truth)), len(kept)))
    assert np.abs(table.point_world.reshape(len(truth), -1, 3) - world[kept].transpose(1, 0, 2)).max() < 1e-5
    assert np.array_equal(table.visible.reshape(len(truth), -1), visible[kept].T)


def test_positions_that_are_not_known_are_neither_seen_nor_in_a_window():
    poses, _, camera, visible, truth = two_bodies(0.0)
    camera[5:9, :30] = np.nan
    found = tracked(scene_of(poses, camera, visible))[0]
    body = found.tracks.body.reshape(len(truth), -1)[:, 0]
    assert (body[:30] == 0).all() and np.isfinite(found.windows.displacement_m).all()
    assert not found.tracks.visible.reshape(len(truth), -1)[:30, 5:9].any()


def test_a_scan_without_tracks_says_so():
    poses, _, camera, visible, _ = two_bodies(0.0)
    scene = scene_of(poses, camera, visible)
    for lacking in (replace(scene, tracks=None), replace(scene, tracks=replace(scene.tracks, frame_ids=("x",) * len(poses)))):
        found, skips = tracked(lacking)
        assert (
            found.tracks is None
            and found.windows is None
            and skips["tracks"] == skips["track_windows"] == "no points were followed in this scan"
        )


def test_a_measured_second_pass_keeps_its_tracks_bit_for_bit_and_moving_things_correspond_to_nothing(tmp_path):
    options = {"width": 96, "height": 72, "num_frames": 6, "min_rooms": 1, "max_rooms": 1, "second_pass": True}
    write_room_scan("rooms_0002", out=str(tmp_path / "scans"), seed=5, options={**options, "antialias": False, "shadows": False})
    where = {"source": str(tmp_path / "scans"), "reader": "rooms", "options": {}, "store": str(tmp_path / "store")}
    import_scan("rooms_0002", **where, copy_images=False, verify=False)
    measure_scan("rooms_0002", store=where["store"], options={})
    scenes = SceneStore(tmp_path / "store")
    scene, table = scenes.read("rooms_0002"), read_facts(scenes.path("rooms_0002") / "facts")
    again = measure(scene, MeasureOptions())
    assert table.kinds >= {"tracks", "track_windows", "correspondences"}
    for kind in ("tracks", "track_windows", "correspondences"):
        for one in fields(getattr(again, kind)):
            assert np.array_equal(getattr(getattr(table, kind), one.name), getattr(getattr(again, kind), one.name), equal_nan=True)
    moving = np.unique(scene.tracks.object_ids[table.tracks.body.reshape(-1, len(scene.frames))[:, 0] > 0])
    assert len(moving) and not np.isin(table.correspondences.object_id, moving).any() and len(table.correspondences.first) > 20
    assert any("moving bodies" in line for line in describe(table)) and any("correspondences" in line for line in describe(table))


@pytest.mark.parametrize("variant", ["adt", "drivetrack", "pstudio"])
def test_clips_in_the_written_layout_of_tapvid3d_are_measured(tmp_path, variant):
    """Points of a room where nothing moves: all still where poses are known, one body and no displacements where they are not."""
    wrote = layout_tapvid3d.VARIANTS[variant](tmp_path / "source")
    where = {"source": str(wrote.source), "reader": "tapvid3d", "options": {}, "store": str(tmp_path / "store")}
    import_scan(wrote.scan_id, **where, copy_images=True, verify=False)
    assert measurable(tmp_path / "store", [wrote.scan_id]) == [wrote.scan_id]
    measure_scan(wrote.scan_id, store=where["store"], options={})
    scenes = SceneStore(tmp_path / "store")
    scene, table = scenes.read(wrote.scan_id), read_facts(scenes.path(wrote.scan_id) / "facts")
    times = scene.tracks.visible.sum(axis=0)
    body = table.tracks.body.reshape(-1, len(scene.frames))[:, 0]
    assert table.skips["correspondences"] and len(table.track_windows.point) > 30 and describe(table)
    if scene.has_poses:
        assert (body == np.where(times >= 2, 0, -1)).all() and "tracks" not in table.skips
        assert np.linalg.norm(table.track_windows.displacement_m, axis=1).max() < 1e-3
        return
    assert body.max() == 0 and (body[times >= 5] == 0).all()
    assert np.isnan(table.track_windows.displacement_m).all() and np.isnan(table.frames.world_from_camera).all()
    assert np.isfinite(table.track_windows.apparent_m).all() and np.abs(table.track_windows.apparent_m).max() > 0.1
    assert len(table.pairs.first) == len(table.points.frame) == 0 and "nobody knows" in table.skips["track_windows"]
    asked = ask_all(table, list(TASKS), seed=0, options=TaskOptions())
    assert not asked.questions and check_all(asked.questions, table) == ()
