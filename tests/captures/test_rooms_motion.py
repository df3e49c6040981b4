"""The second pass: objects move rigidly, tracks are exact."""

from functools import cache

import numpy as np
import pytest

from sightline.captures.procedural.caster import cast
from sightline.captures.procedural.model import build_room
from sightline.captures.procedural.motion import follow, plan_motions, read_tracks, rooms_in_time, write_tracks
from sightline.captures.procedural.options import RoomsOptions
from sightline.captures.procedural.walk import walk
from sightline.errors import CaptureError
from sightline.geometry.cameras import Intrinsics
from sightline.geometry.transforms import apply, inverse, rigidity_error

CAMERA = Intrinsics.from_field_of_view(horizontal_deg=70.0, width=64, height=48)
NUM_FRAMES = 8


@cache
def second_pass():
    room = build_room(6, RoomsOptions(min_rooms=2, max_rooms=2))
    rng = np.random.default_rng(6)
    poses = walk(room, rng, num_frames=NUM_FRAMES)
    motions = plan_motions(room, poses, CAMERA, rng)
    rooms = rooms_in_time(room, motions, NUM_FRAMES)
    return room, rooms, poses, motions, follow(rooms, poses, CAMERA, motions, rng)


def test_some_objects_move_and_the_others_stay():
    room, rooms, _, motions, tracks = second_pass()
    assert motions and len(tracks.moved_object_ids) >= 1
    moved = set(tracks.moved_object_ids.tolist())
    for thing in room.objects:
        path = np.array([at.objects[thing.object_id].box.centre_world for at in rooms])
        travelled = np.linalg.norm(path[-1] - path[0])
        assert travelled > 0.2 if thing.object_id in moved else travelled == 0.0
    for at, frame in zip(rooms, tracks.world_from_moved):
        for object_id, pose in zip(tracks.moved_object_ids, frame):
            np.testing.assert_array_equal(pose, at.objects[int(object_id)].box.world_from_object)
            assert rigidity_error(pose) < 1e-9


def test_tracks_are_rigid_per_object():
    *_, tracks = second_pass()
    for object_id in np.unique(tracks.object_ids):
        points = tracks.points_world[:, tracks.object_ids == object_id]
        gaps = np.linalg.norm(points[:, :, None] - points[:, None, :], axis=-1)
        np.testing.assert_allclose(gaps, np.broadcast_to(gaps[0], gaps.shape), atol=1e-9)
        if object_id not in tracks.moved_object_ids:
            np.testing.assert_array_equal(points, np.broadcast_to(points[0], points.shape))


def test_a_visible_track_point_is_what_the_ray_through_it_meets():
    _, rooms, poses, _, tracks = second_pass()
    assert tracks.visible.any(axis=0).all()  # every point was seen at least once
    for time, (room, pose) in enumerate(zip(rooms, poses)):
        eye = pose[:3, 3]
        hits = cast(room.caster, eye, tracks.points_world[time] - eye)
        uv, _ = CAMERA.project(apply(inverse(pose), tracks.points_world[time]))
        in_view = CAMERA.contains(uv)
        met = in_view & (np.abs(hits.t - 1.0) < 1e-6)
        np.testing.assert_array_equal(tracks.visible[time], met)
        np.testing.assert_array_equal(hits.object_ids[met], tracks.object_ids[met])


def test_tracks_read_back_and_damage_is_named(tmp_path):
    *_, tracks = second_pass()
    path = tmp_path / "tracks.npz"
    write_tracks(tracks, path)
    again = read_tracks(path)
    for name in tracks.__dataclass_fields__:
        np.testing.assert_array_equal(getattr(tracks, name), getattr(again, name))
    first = path.read_bytes()
    write_tracks(tracks, path)
    assert path.read_bytes() == first
    path.write_bytes(first[: len(first) // 2])
    with pytest.raises(CaptureError, match="tracks.npz"):
        read_tracks(path)
