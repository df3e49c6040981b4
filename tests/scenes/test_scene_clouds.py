"""Point clouds lie on the surfaces they were read from, and know whose surface that is."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from box_room import BOXES, ROOM_HIGH, ROOM_LOW, walk, write_scan
from PIL import Image

from sightline.captures.capture import SceneObject
from sightline.captures.folder import FolderReader
from sightline.errors import CaptureError
from sightline.geometry.boxes import Box
from sightline.geometry.transforms import rigid, yaw_translation
from sightline.scenes.clouds import NO_OBJECT, CloudOptions, build_cloud, ids_from_boxes
from sightline.scenes.depth_maps import DepthMaps

OBJECTS = tuple(
    SceneObject(object_id=index, category=name, box=Box(size_m=high - low, world_from_object=rigid(np.eye(3), (low + high) / 2.0)))
    for index, (name, (low, high)) in enumerate(zip(("table", "storage", "step"), BOXES))
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return write_scan(tmp_path_factory.mktemp("own") / "scan", walk(16), instances=True)


@pytest.fixture(scope="module")
def capture(folder):
    """Objects known, instance images beside them."""
    plain = FolderReader(folder, {}).read("scan", workspace=Path())
    frames = tuple(
        replace(frame, instance_path=folder / "instances" / f"{frame.frame_id}.png", world_from_camera=pose)
        for frame, pose in zip(plain.frames, walk(16))
    )
    return replace(plain, frames=frames, objects=OBJECTS)


def without_instances(capture):
    return replace(capture, frames=tuple(replace(frame, instance_path=None) for frame in capture.frames))


def distance_to_surfaces_m(points: np.ndarray) -> np.ndarray:
    """Closed form: to the nearest of the room's six sides and the boxes' surfaces."""
    to_shell = np.minimum(points - ROOM_LOW, ROOM_HIGH - points).min(axis=1)
    distances = [np.abs(to_shell)]
    for low, high in BOXES:
        outside = np.linalg.norm(np.maximum(np.maximum(low - points, points - high), 0.0), axis=1)
        inside = np.minimum(points - low, high - points).min(axis=1)
        distances.append(np.where(inside > 0, inside, outside))
    return np.min(distances, axis=0)


def test_points_lie_on_the_surfaces_one_per_voxel(capture):
    options = CloudOptions(voxel_m=0.05)
    points = build_cloud(capture, DepthMaps(capture), options).points_world
    assert points.dtype == np.float32 and len(points) > 5000
    assert np.quantile(distance_to_surfaces_m(points.astype(np.float64)), 0.99) < 0.015
    cells = np.floor(points.astype(np.float64) / 0.05 + 1e-6).astype(int)
    assert len(np.unique(cells, axis=0)) > 0.995 * len(points)  # float32 may push a centroid onto a voxel's edge
    order = np.lexsort((cells[:, 2], cells[:, 1], cells[:, 0]))
    assert np.mean(order == np.arange(len(order))) > 0.9


def test_a_floor_of_known_size_gets_the_points_it_must(capture):
    """A bare piece of floor, 1 m by 1 m at 10 cm voxels, holds a hundred of them."""
    points = build_cloud(capture, DepthMaps(capture), CloudOptions(voxel_m=0.1)).points_world
    here = (points[:, 0] > 3.5) & (points[:, 0] < 4.5) & (points[:, 1] > 2.0) & (points[:, 1] < 3.0) & (np.abs(points[:, 2]) < 0.02)
    assert 95 <= here.sum() <= 200  # a floor at z = 0 falls into the voxels above and below it as rounding has it


def test_instance_images_and_boxes_give_points_the_same_owner(capture):
    by_image = build_cloud(capture, DepthMaps(capture), CloudOptions())
    plain = without_instances(capture)
    by_box = build_cloud(plain, DepthMaps(plain), CloudOptions())
    assert np.array_equal(by_image.points_world.shape, by_box.points_world.shape)
    assert by_image.object_ids.dtype == np.int32 and set(np.unique(by_image.object_ids)) == {NO_OBJECT, 0, 1, 2}
    for one in OBJECTS:
        mine = by_image.points_world[by_image.object_ids == one.object_id].astype(np.float64)
        assert len(mine) > 100 and one.box.contains(mine, margin_m=0.04).all()
    assert np.mean(by_image.object_ids == by_box.object_ids) > 0.95


def test_without_objects_there_are_no_ids(capture):
    unknown = replace(capture, objects=None)
    assert build_cloud(unknown, DepthMaps(unknown), CloudOptions()).object_ids is None
    empty = replace(without_instances(capture), objects=())
    assert (build_cloud(empty, DepthMaps(empty), CloudOptions()).object_ids == NO_OBJECT).all()


def test_the_smallest_box_wins_and_what_an_object_stands_on_is_not_the_object():
    table = SceneObject(
        object_id=7, category="table", box=Box.upright(centre_world=np.array([0, 0, 0.4]), size_m=np.array([2, 1, 0.8]), yaw_rad=0.3)
    )
    cup = SceneObject(
        object_id=2, category="cup", box=Box.upright(centre_world=np.array([0, 0, 0.75]), size_m=np.array([0.1, 0.1, 0.1]), yaw_rad=1.0)
    )
    pose = yaw_translation(0.3, np.zeros(3))
    points = np.array([[0, 0, 0.76], [0.9, 0.4, 0.7], [0.9, 0.4, 0.0], [1.1, 0.0, 0.5]]) @ pose[:3, :3].T
    assert ids_from_boxes(points, [cup, table], voxel_m=0.04).tolist() == [2, 7, NO_OBJECT, NO_OBJECT]
    assert ids_from_boxes(points, [table, cup], voxel_m=0.04).tolist() == [2, 7, NO_OBJECT, NO_OBJECT]


def test_a_majority_of_readings_decides_a_voxel(folder, capture, tmp_path):
    """Labels flipped in a third of the frames change (nearly) nothing."""
    (tmp_path / "instances").mkdir()
    frames = []
    for index, frame in enumerate(capture.frames):
        labels = np.asarray(Image.open(frame.instance_path)).copy()
        if index % 3 == 0:
            labels[labels > 0] = 1
        path = tmp_path / "instances" / f"{index}.png"
        Image.fromarray(labels).save(path)
        frames.append(replace(frame, instance_path=path))
    spoilt = replace(capture, frames=tuple(frames))
    right = build_cloud(capture, DepthMaps(capture), CloudOptions()).object_ids
    voted = build_cloud(spoilt, DepthMaps(spoilt), CloudOptions()).object_ids
    assert np.mean(right == voted) > 0.97 and (right != voted).any()


def test_ids_that_are_off_by_one_are_refused(capture):
    shifted = tuple(replace(one, object_id=(one.object_id + 1) % 3) for one in OBJECTS)
    wrong = replace(capture, objects=shifted)
    with pytest.raises(CaptureError, match=r"expected the pixels of an object inside its box, found \d+% of them there; .*object_id \+ 1"):
        build_cloud(wrong, DepthMaps(wrong), CloudOptions())
    fewer = replace(capture, objects=OBJECTS[:2])
    with pytest.raises(CaptureError, match="instance images hold object_id 2, which is none of the 2 known objects"):
        build_cloud(fewer, DepthMaps(fewer), CloudOptions())


def test_lone_readings_are_left_out(capture):
    few = build_cloud(capture, DepthMaps(capture), CloudOptions(min_readings=4))
    many = build_cloud(capture, DepthMaps(capture), CloudOptions(min_readings=1))
    assert len(few.points_world) < len(many.points_world)


def test_the_same_frames_give_the_same_bytes(capture):
    one, other = (build_cloud(capture, DepthMaps(capture), CloudOptions()) for _ in range(2))
    assert one.points_world.tobytes() == other.points_world.tobytes() and one.object_ids.tobytes() == other.object_ids.tobytes()


def test_poses_far_from_the_origin_are_refused(capture):
    far = rigid(np.eye(3), np.array([5000.0, 0.0, 0.0]))
    moved = replace(capture, frames=tuple(replace(frame, world_from_camera=far @ frame.world_from_camera) for frame in capture.frames))
    with pytest.raises(CaptureError, match="expected points within 1311 m of the world's origin"):
        build_cloud(moved, DepthMaps(moved), CloudOptions())


def test_depth_maps_close_ranks_when_frames_are_left_out(capture):
    depths = DepthMaps(capture)
    before = [depths[index].copy() for index in range(4)]
    depths.leave_out([1])
    assert len(depths.frames) == 15 and np.array_equal(depths[1], before[2]) and np.array_equal(depths[2], before[3])
