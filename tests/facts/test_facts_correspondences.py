"""Correspondences are the same surface point in both images, by rays; what is hidden, doubtful or at an edge is not taken."""

from dataclasses import fields, replace

import numpy as np
import oracle_scenes
import pytest
from oracle_world import CAMERA, World, standard_world, write_scene

from sightline.captures.procedural.caster import cast
from sightline.captures.procedural.model import build_room
from sightline.captures.procedural.options import RoomsOptions
from sightline.captures.rooms import scan_seed, write_room_scan
from sightline.facts.correspondences import (
    Agreement,
    CorrespondenceOptions,
    Spots,
    chosen_rows,
    correspondences,
    matches,
    meet,
    read_view,
    spots_of,
    usable_at,
    why_none,
)
from sightline.facts.measure import MeasureOptions, measure
from sightline.facts.points import BORDER_SHARE, half_width_px, steady_pixels
from sightline.facts.visibility import pixels_in_colour
from sightline.geometry.boxes import Box
from sightline.geometry.transforms import apply, inverse, look_at, yaw_translation
from sightline.scenes.build import import_scan
from sightline.scenes.store import SceneStore

WIDE = CorrespondenceOptions(min_overlap=0.01, max_overlap=0.99, points_per_pair=1000)
DEPTH_SLACK_M = 2e-3  # depth is stored in millimetres


def of(scene, table, *, options=WIDE, agreement=None, seed=0, **rest):
    agreement = agreement or Agreement()
    return correspondences(
        scene.frames, table.pairs, table.points, scan_id=scene.scan_id, seed=seed, options=options, agreement=agreement, **rest
    )


@pytest.fixture(scope="module")
def table():
    return oracle_scenes.measured("same")


def rays_through(camera, pose, uv):
    rays = np.column_stack([(uv - [camera.cx, camera.cy]) / [camera.fx, camera.fy], np.ones(len(uv))])
    return rays @ pose[:3, :3].T


@pytest.mark.parametrize("kind", ["same", "other", "cloud"])
def test_both_pixels_show_the_point_and_rays_from_both_cameras_reach_it(kind):
    scene, table, world = oracle_scenes.scene(kind), oracle_scenes.measured(kind), standard_world()
    found = of(scene, table)
    assert len(found.first) > 400 and (found.first < found.second).all()
    reached = []
    for side in ("first", "second"):
        for index, frame in enumerate(scene.frames):
            own = getattr(found, side) == index
            uv, depth_m, points = getattr(found, f"{side}_uv")[own], getattr(found, f"{side}_depth_m")[own], found.point_world[own]
            pose, camera = frame.world_from_camera, frame.intrinsics
            assert np.abs(apply(pose, camera.unproject(uv, depth_m)) - points).max(initial=0.0) < 1e-9
            z_m, _ = world.cast(pose[:3, 3], rays_through(camera, pose, uv))
            reached.append(np.abs(z_m - depth_m) <= np.maximum(0.02, 0.02 * z_m) + DEPTH_SLACK_M)
            assert camera.contains(uv).all()
    assert np.concatenate(reached).all()


def test_both_pixels_show_the_same_object_where_ids_are_known(table):
    scene, world = oracle_scenes.scene("same"), standard_world()
    found = of(scene, table)
    assert len(np.unique(found.object_id)) >= 5
    for side in ("first", "second"):
        for index, frame in enumerate(scene.frames):
            own = getattr(found, side) == index
            uv = getattr(found, f"{side}_uv")[own]
            _, ids = world.cast(frame.world_from_camera[:3, 3], rays_through(CAMERA, frame.world_from_camera, uv))
            assert np.array_equal(ids, found.object_id[own])


def test_ids_of_both_sides_must_agree(table):
    """The second frame's ids are all shifted by one: nothing corresponds any more, though the geometry is the same."""
    scene = oracle_scenes.scene("same")
    rows = np.flatnonzero(table.points.frame == 0)
    one, view = spots_of(table.points, rows, scene.frames[0]), read_view(scene.frames[1])
    assert len(matches(one, view, Agreement())) > 10
    assert len(matches(one, replace(view, instances=view.instances + 1), Agreement())) == 0


def test_usable_pixels_are_the_steady_ones_inside_the_picture():
    for kind in ("same", "other"):
        view = read_view(oracle_scenes.scene(kind).frames[3])
        grid = np.stack(np.meshgrid(np.arange(CAMERA.width), np.arange(CAMERA.height)), axis=-1).reshape(-1, 2)
        steady = steady_pixels(view.depth_m, view.instances, half_width=half_width_px(CAMERA.width))
        border_px = BORDER_SHARE * view.frame.intrinsics.width
        expected = steady & pixels_in_colour(view.frame, border_px=border_px)
        assert np.array_equal(usable_at(view, grid).reshape(CAMERA.height, CAMERA.width), expected)


def screen_scene(folder, *, gap_m):
    """A wall at x = 5 seen by two cameras; a screen `gap_m` before it hides its middle from the second alone."""
    screen = Box.upright(centre_world=np.array([4.95 - gap_m, 2.6, 1.25]), size_m=np.array([0.1, 1.0, 2.4]), yaw_rad=0.0)
    world = World(boxes=(screen,))
    poses = [
        look_at(np.array([4.85 - gap_m, 0.5, 1.3]), np.array([5.0, 2.6, 1.25])),
        look_at(np.array([1.0, 2.4, 1.3]), np.array([5.0, 2.4, 1.25])),
    ]
    return write_scene(folder, world, poses, with_ids=False, with_objects=False), world, poses


@pytest.mark.parametrize("gap_m", [0.6, 0.9])
def test_points_that_the_second_camera_cannot_see_are_never_accepted(tmp_path, gap_m):
    """The screen stands between the second camera and the wall: a test of depth with one side alone would take the wall for seen."""
    scene, world, poses = screen_scene(tmp_path, gap_m=gap_m)
    table = measure(scene, MeasureOptions(points_per_frame=400))
    for first, second in ((0, 1), (1, 0)):
        rows = np.flatnonzero(table.points.frame == first)
        points = table.points.point_world[rows]
        one = spots_of(table.points, rows, scene.frames[first])
        taken = np.zeros(len(rows), dtype=bool)
        taken[matches(one, read_view(scene.frames[second]), Agreement())] = True
        seen = world.sees(poses[second][:3, 3], points + 0.02 * unit(poses[second][:3, 3] - points))
        uv, depth_m = CAMERA.project(apply(inverse(poses[second]), points))
        in_picture = CAMERA.contains(uv) & (depth_m > 0)
        assert (in_picture & ~seen).sum() > 10, "the scene must have hidden points to refuse"
        assert taken.sum() > 10 and not (taken & ~(seen & in_picture)).any()


def unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_tolerance_has_two_sides(table):
    """Moved towards the second camera or away from it by ten centimetres, its own reading no longer matches."""
    scene = oracle_scenes.scene("same")
    rows = np.flatnonzero(table.points.frame == 0)
    one, view = spots_of(table.points, rows, scene.frames[0]), read_view(scene.frames[1])
    assert len(matches(one, view, Agreement())) > 10
    for offset_m in (-0.2, 0.2):
        assert len(matches(one, replace(view, depth_m=view.depth_m + np.float32(offset_m)), Agreement())) == 0


@pytest.mark.parametrize(
    ("first_m", "second_m", "accepted"),
    [
        (2.0, 2.0, True),
        (2.03, 2.0, True),
        (2.05, 2.0, False),  # each reads a point before the other's
        (1.97, 2.0, True),
        (1.95, 2.0, False),  # each reads a point behind the other's: the two sides of a panel of 5 cm
        (0.5, 3.55, False),  # 5 cm are within 2 % of what the second reads, not of what the first does
        (3.55, 0.5, False),
        (0.485, 3.5, True),
    ],
)
def test_readings_of_cameras_that_face_each_other_must_add_up_to_the_way_between_them(first_m, second_m, accepted):
    """Four metres apart on one axis: z of the first's point in the second is 4 m minus the first's reading, whatever the pixel."""
    camera = replace(CAMERA, cx=80.0, cy=58.0)
    poses = (look_at(np.array([0.0, 0.0, 1.0]), np.array([4.0, 0.0, 1.0])), look_at(np.array([4.0, 0.0, 1.0]), np.array([0.0, 0.0, 1.0])))
    sides = [
        Spots(
            frame=replace(oracle_scenes.scene("same").frames[0], depth_intrinsics=camera, intrinsics=camera, world_from_camera=pose),
            pixels=np.array([[80, 58]]),
            depth_m=np.array([depth_m]),
            object_id=None,
        )
        for pose, depth_m in zip(poses, (first_m, second_m))
    ]
    assert meet(*sides, Agreement()).tolist() == meet(*sides[::-1], Agreement()).tolist() == [accepted]


def test_a_pair_and_its_mirror_image_are_the_same_relation(table):
    """`meet` is symmetric to the row; starting from the pixel found in the second frame leads back to within a mark of the first."""
    scene = oracle_scenes.scene("same")
    compared = 0
    for a, b in ((0, 1), (1, 2), (0, 4), (4, 5), (6, 7)):
        rows = np.flatnonzero(table.points.frame == a)
        one, here, there = spots_of(table.points, rows, scene.frames[a]), read_view(scene.frames[a]), read_view(scene.frames[b])
        kept = one.taken(matches(one, there, Agreement()))
        uv, _ = there.frame.depth_intrinsics.project(apply(inverse(there.frame.world_from_camera), kept.points_world))
        other = there.spots(np.floor(uv + 0.5).astype(int))
        assert meet(kept, other, Agreement()).all() and meet(other, kept, Agreement()).all()
        everything = there.spots(np.roll(other.pixels, 1, axis=0))  # wrong partners: refused alike from both sides
        assert np.array_equal(meet(kept, everything, Agreement()), meet(everything, kept, Agreement()))
        back, _ = here.frame.depth_intrinsics.project(apply(inverse(here.frame.world_from_camera), other.points_world))
        assert np.abs(back - kept.pixels).max(initial=0.0) <= half_width_px(CAMERA.width)
        compared += len(kept.pixels)
    assert compared > 60


def test_a_rigid_motion_of_the_world_moves_the_points_and_nothing_else(table):
    scene, motion = oracle_scenes.scene("same"), yaw_translation(2.1, np.array([3.0, -7.0, 0.9]))
    moved_frames = tuple(replace(frame, world_from_camera=motion @ frame.world_from_camera) for frame in scene.frames)
    moved_points = replace(table.points, point_world=apply(motion, table.points.point_world))
    before = of(scene, table)
    after = of(replace(scene, frames=moved_frames), replace(table, points=moved_points))
    assert len(before.first) > 400
    for one in fields(before):
        expected = getattr(before, one.name)
        expected = apply(motion, expected) if one.name == "point_world" else expected
        assert np.allclose(getattr(after, one.name), expected, atol=1e-8, rtol=0), one.name


def test_draws_are_capped_repeat_and_depend_on_the_pair_alone(table):
    scene = oracle_scenes.scene("same")
    few = CorrespondenceOptions(min_overlap=0.01, max_overlap=0.99, max_pairs=6, points_per_pair=3)
    one, again, other = of(scene, table, options=few), of(scene, table, options=few), of(scene, table, options=few, seed=1)
    pairs, counts = np.unique(np.stack([one.first, one.second]), axis=1, return_counts=True)
    assert pairs.shape[1] <= 6 and counts.max() == 3
    assert all(np.array_equal(getattr(one, column.name), getattr(again, column.name)) for column in fields(one))
    assert len(one.first) != len(other.first) or not np.array_equal(one.first_uv, other.first_uv)
    every = of(scene, table, options=replace(few, max_pairs=100))
    for first, second in pairs.T:
        own, own_of_every = (one.first == first) & (one.second == second), (every.first == first) & (every.second == second)
        assert np.array_equal(one.first_uv[own], every.first_uv[own_of_every])


def test_pairs_are_drawn_evenly_over_the_band():
    rng = np.random.default_rng(0)
    overlap = np.concatenate([rng.uniform(0.0, 0.1, 5000), rng.uniform(0.1, 1.0, 500), [np.nan]])
    options = CorrespondenceOptions(min_overlap=0.05, max_overlap=0.55, max_pairs=100)
    rows = chosen_rows(overlap, options, np.random.default_rng(1))
    parts = np.bincount(((overlap[rows] - 0.05) / 0.05).astype(int), minlength=10)
    assert (np.diff(rows) > 0).all() and parts.tolist() == [10] * 10
    scarce = chosen_rows(np.array([0.06, 0.07, 0.3, 0.8, 0.01]), options, np.random.default_rng(1))
    assert scarce.tolist() == [0, 1, 2]


def test_moving_objects_are_left_out(table):
    scene = oracle_scenes.scene("same")
    assert (of(scene, table).object_id == 1).any()
    assert not (of(scene, table, moving_ids=frozenset({1})).object_id == 1).any()


def test_scenes_without_depth_or_overlap_say_why(table):
    scene = oracle_scenes.scene("same")
    blind = [replace(frame, depth_path=None, instance_path=None) for frame in scene.frames]
    assert why_none(scene.frames, table.pairs, WIDE) is None
    assert why_none(blind, table.pairs, WIDE) == "no frame has a depth image"
    narrow = CorrespondenceOptions(min_overlap=0.991, max_overlap=0.992)
    assert why_none(scene.frames, table.pairs, narrow) == "no two frames overlap by 99% to 99%"
    with pytest.raises(ValueError, match="min_overlap <= max_overlap"):
        CorrespondenceOptions(min_overlap=0.5, max_overlap=0.4)
    some_blind = replace(scene, frames=(*scene.frames[:-1], blind[-1]))
    assert not (of(some_blind, table).second == len(blind) - 1).any()


@pytest.fixture(scope="module")
def room_scan(tmp_path_factory):
    """A procedural flat and its imported scene."""
    root = tmp_path_factory.mktemp("rooms")
    options = {"width": 320, "height": 240, "num_frames": 14, "min_rooms": 1, "max_rooms": 2, "antialias": False, "shadows": False}
    write_room_scan("rooms_0000", out=str(root / "scans"), seed=11, options=options)
    where = {"source": str(root / "scans"), "reader": "rooms", "options": {}, "store": str(root / "store")}
    import_scan("rooms_0000", **where, copy_images=False, verify=False)
    return build_room(scan_seed(11, "rooms_0000"), RoomsOptions(**options)), SceneStore(root / "store").read("rooms_0000")


@pytest.mark.parametrize("ids_known", [True, False])
def test_in_a_procedural_room_both_rays_meet_the_same_object(room_scan, ids_known):
    """By the analytic caster, with the id images and without: what geometry alone takes for one point is of one object as well."""
    room, scene = room_scan
    if not ids_known:
        frames = tuple(replace(frame, instance_path=None) for frame in scene.frames)
        scene = replace(scene, frames=frames, objects=None, point_object_ids=None)
    found = of(scene, measure(scene, MeasureOptions(points_per_frame=100)))
    ids = []
    for side in ("first", "second"):
        hit = np.full(len(found.first), -9)
        for index, frame in enumerate(scene.frames):
            own = getattr(found, side) == index
            rays = frame.intrinsics.unproject(getattr(found, f"{side}_uv")[own], np.ones(own.sum()))
            hit[own] = cast(room.caster, frame.world_from_camera[:3, 3], rays @ frame.world_from_camera[:3, :3].T).object_ids
        ids.append(hit)
    same, total = int((ids[0] == ids[1]).sum()), len(ids[0])
    assert total > 500 and same >= 0.998 * total, f"{same} of {total}"
