"""Facts of a procedural room, written, imported and measured, against its analytic ray caster."""

import numpy as np
import pytest

from sightline.captures.images import read_uint16
from sightline.captures.procedural.caster import cast, visible_from
from sightline.captures.procedural.model import build_room
from sightline.captures.procedural.options import RoomsOptions
from sightline.captures.rooms import scan_seed, write_room_scan
from sightline.facts.measure import measure_scan
from sightline.facts.store import read_facts
from sightline.facts.visibility import cloud_of, view_frame
from sightline.geometry.depth import depth_at
from sightline.geometry.transforms import apply, inverse
from sightline.geometry.visibility import NEAR_M, TOLERANCE_M, TOLERANCE_SHARE
from sightline.scenes.build import import_scan
from sightline.scenes.store import SceneStore

ROOM = {"width": 200, "height": 150, "num_frames": 8, "min_rooms": 1, "max_rooms": 2, "antialias": False, "shadows": False}
SCAN = "rooms_0000"
SEED = 11


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """The scene of a room, its facts, and the room itself."""
    root = tmp_path_factory.mktemp("rooms")
    write_room_scan(SCAN, out=str(root / "scans"), seed=SEED, options=ROOM)
    store = str(root / "store")
    import_scan(SCAN, source=str(root / "scans"), reader="rooms", options={}, store=store, copy_images=False, verify=False)
    measure_scan(SCAN, store=store, options={})
    scenes = SceneStore(root / "store")
    return scenes.read(SCAN), read_facts(scenes.path(SCAN) / "facts"), build_room(scan_seed(SEED, SCAN), RoomsOptions(**ROOM))


def first_hits(room, frame, uv):
    """Exact z-depth and object ids of the rays through pixels `uv (N, 2)`."""
    rays = frame.intrinsics.unproject(uv, np.ones(len(uv))) @ frame.world_from_camera[:3, :3].T
    hits = cast(room.caster, frame.world_from_camera[:3, 3], rays)
    return hits.t, hits.object_ids


def test_sampled_points_have_the_depth_and_the_object_that_their_ray_meets(measured):
    scene, facts, room = measured
    assert len(facts.points.frame) > 150
    for index, frame in enumerate(scene.frames):
        own = facts.points.frame == index
        depth_m, ids = first_hits(room, frame, facts.points.uv[own])
        assert np.abs(facts.points.depth_m[own] - depth_m).max(initial=0.0) < 1e-3
        assert np.array_equal(facts.points.object_id[own], ids)


def test_the_visible_set_is_what_rays_reach_within_the_tolerance(measured):
    scene, _, room = measured
    cloud = cloud_of(scene)
    wrong = total = 0
    for frame in scene.frames:
        view = view_frame(frame, cloud, near_m=NEAR_M, tolerance_m=TOLERANCE_M, tolerance_share=TOLERANCE_SHARE)
        found = view.visible(len(cloud.points_world))
        local = apply(inverse(frame.world_from_camera), cloud.points_world)
        uv, z = frame.intrinsics.project(local)
        inside = frame.intrinsics.contains(uv) & (z >= NEAR_M)
        hit_m = np.full(len(z), np.nan)
        hit_m[inside], _ = first_hits(room, frame, uv[inside])
        expected = inside & (np.abs(z - hit_m) <= np.maximum(TOLERANCE_M, TOLERANCE_SHARE * hit_m))
        wrong, total = wrong + np.count_nonzero(found != expected), total + np.count_nonzero(found | expected)
    assert total > 5000 and wrong <= 0.05 * total, f"{wrong} of {total} differ"


def test_sampled_points_are_seen_by_their_own_camera_when_pulled_a_little_off_the_surface_and_not_when_pushed_in(measured):
    scene, facts, room = measured
    for index, frame in enumerate(scene.frames):
        eye = frame.world_from_camera[:3, 3]
        own = facts.points.point_world[facts.points.frame == index]
        pulled = eye + (own - eye) * 0.995
        assert visible_from(room.caster, eye, pulled).all()
        assert not visible_from(room.caster, eye, eye + (own - eye) * 1.005).any()


def test_points_that_another_frame_sees_show_the_same_object_there(measured):
    scene, facts, room = measured
    same = total = 0
    for index, frame in enumerate(scene.frames):
        uv, z = frame.intrinsics.project(apply(inverse(frame.world_from_camera), facts.points.point_world))
        chosen = frame.intrinsics.contains(uv) & (z > NEAR_M) & (facts.points.frame != index)
        pixels = np.floor(uv[chosen] + 0.5)
        depth_m, ids = first_hits(room, frame, pixels)
        seen = np.abs(z[chosen] - depth_m) <= np.maximum(TOLERANCE_M, TOLERANCE_SHARE * depth_m)
        same += np.count_nonzero(ids[seen] == facts.points.object_id[chosen][seen])
        total += np.count_nonzero(seen)
    assert total > 100 and same >= 0.975 * total, f"{same} of {total}"


def test_object_views_are_those_of_the_id_images(measured):
    scene, facts, room = measured
    views = facts.object_views
    assert len(views.frame) >= 10
    for index, frame in enumerate(scene.frames):
        ids = read_uint16(frame.instance_path).astype(int) - 1
        for at in np.flatnonzero(views.frame == index):
            v, u = np.nonzero(ids == views.object_id[at])
            assert np.allclose(views.box_uv[at], [u.min() - 0.5, v.min() - 0.5, u.max() + 0.5, v.max() + 0.5])
            assert np.isclose(views.pixel_share[at], len(u) / ids.size)
            depth_m, hit = first_hits(room, frame, views.anchor_uv[at : at + 1])
            assert hit[0] == views.object_id[at] and abs(depth_m[0] - views.anchor_depth_m[at]) < 1e-3
        large = [one for one in np.unique(ids[ids >= 0]) if np.count_nonzero(ids == one) >= 0.001 * ids.size]
        assert sorted(views.object_id[views.frame == index]) == large


def test_every_scene_point_of_an_object_lies_in_its_box(measured):
    scene, _, _ = measured
    for one in scene.objects:
        own = scene.points_world[scene.point_object_ids == one.object_id]
        if len(own):
            assert one.box.contains(own.astype(float), margin_m=0.03).mean() > 0.98


def test_the_motion_of_neighbours_is_within_the_walks_own_limits_and_they_overlap(measured):
    _, facts, _ = measured
    pairs = facts.pairs
    neighbours = pairs.second - pairs.first == 1
    assert pairs.distance_m[neighbours].max() <= RoomsOptions().step_m + 0.1
    # The walk may turn by 35 degrees and step 0.6 m at once, so a single pair can share little; most share a good part.
    assert np.median(pairs.overlap[neighbours]) > 0.35
    assert pairs.overlap[neighbours].min() > 0.1


def test_the_depth_images_hold_the_depth_that_rays_meet(measured):
    scene, _, room = measured
    frame = scene.frames[0]
    uv = np.random.default_rng(0).integers(0, [ROOM["width"], ROOM["height"]], (500, 2)).astype(float)
    cloud = cloud_of(scene)
    view = view_frame(frame, cloud, near_m=NEAR_M, tolerance_m=TOLERANCE_M, tolerance_share=TOLERANCE_SHARE)
    exact_m, _ = first_hits(room, frame, uv)
    stored_m = depth_at(view.depth_m, uv)
    both = np.isfinite(exact_m) & np.isfinite(stored_m)
    assert both.mean() > 0.5 and np.abs(exact_m - stored_m)[both].max() < 1e-3  # windows show no depth
