"""Procedural rooms as anybody's scan folder: both readers see the same world, and wrong conventions are refused."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml

from sightline.captures.detect import find_reader
from sightline.captures.folder import FolderReader
from sightline.captures.images import read_depth_m
from sightline.captures.poses import OPENCV_FROM_OPENGL, UP_ROTATIONS, inverses
from sightline.captures.rooms import RoomsReader, write_room_scan
from sightline.errors import CaptureError
from sightline.geometry.depth import points_world_from_depth
from sightline.geometry.transforms import rigid
from sightline.scenes.build import import_scan
from sightline.scenes.store import SceneStore
from sightline.scenes.verify import verify_capture

SMALL = {"width": 160, "height": 120, "num_frames": 16, "antialias": False, "shadows": False}


@pytest.fixture(scope="module")
def rooms(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("rooms")
    write_room_scan("rooms_0000", out=str(out), seed=7, options=SMALL)
    return out


def test_the_folder_reader_sees_the_same_world_as_the_rooms_reader(rooms):
    ours, theirs = RoomsReader(rooms, {}).read("rooms_0000", workspace=Path()), FolderReader(rooms, {}).read("rooms_0000", workspace=Path())
    assert find_reader(rooms) == find_reader(rooms / "rooms_0000") == "rooms"
    assert (theirs.scan_id, theirs.place_id, theirs.licence) == (ours.scan_id, ours.place_id, ours.licence)
    assert [one.category for one in theirs.objects] == [one.category for one in ours.objects]
    assert len(theirs.structure.walls) == len(ours.structure.walls)
    for one, other in zip(ours.frames, theirs.frames, strict=True):
        points = [
            points_world_from_depth(
                read_depth_m(frame.depth_path, depth_scale_m=frame.depth_scale_m), frame.depth_intrinsics, frame.world_from_camera
            )
            for frame in (one, other)
        ]
        assert np.nanmax(np.linalg.norm(points[0] - points[1], axis=-1)) < 0.001
        assert (one.frame_id, one.time_s, one.instance_path) == (other.frame_id, other.time_s, other.instance_path)


def test_a_room_imports_with_objects_on_its_points(rooms, tmp_path):
    result = import_scan("rooms_0000", source=str(rooms), reader="rooms", options={}, store=str(tmp_path), copy_images=False, verify=True)
    assert result["agreement"] > 0.97 and result["residual_cm"] < 1.0 and result["gravity_tilt_deg"] < 0.5
    scene = SceneStore(tmp_path).read("rooms_0000")
    boxes = {one.object_id: one.box for one in scene.objects}
    for object_id, box in boxes.items():
        points = scene.points_world[scene.point_object_ids == object_id].astype(np.float64)
        assert len(points) == 0 or box.contains(points, margin_m=0.05).mean() > 0.95
    assert (scene.point_object_ids >= 0).mean() > 0.05


def restored(rooms: Path, target: Path, stored: np.ndarray, **changes) -> Path:
    """A copy of the scan whose poses are stored in another way, and whose description says nothing of it."""
    shutil.copytree(rooms / "rooms_0000", target)
    np.savetxt(target / "poses.txt", stored.reshape(-1, 16))
    about = yaml.safe_load((target / "capture.yaml").read_text()) | changes
    (target / "capture.yaml").write_text(yaml.safe_dump(about))
    for name in ("objects.json", "structure.json"):
        (target / name).unlink()
    return target


def poses_of(rooms: Path) -> np.ndarray:
    return np.loadtxt(rooms / "rooms_0000" / "poses.txt").reshape(-1, 4, 4)


@pytest.mark.parametrize(
    ("change", "described", "fix"),
    [
        (inverses, {}, "--pose-direction camera_from_world"),
        (lambda poses: poses @ OPENCV_FROM_OPENGL, {}, "--camera-axes opengl"),
        (lambda poses: rigid(UP_ROTATIONS["+y"].T, np.zeros(3)) @ poses, {}, "--up-axis +y"),
        (lambda poses: poses, {"depth_unit_m": 0.0005}, "--depth-unit-m 0.00025"),
        (lambda poses: poses, {"depth_unit_m": 0.000125}, "--depth-unit-m 0.00025"),
        (lambda poses: poses, {"depth_unit_m": 0.25}, "--depth-unit-m 0.00025"),
        (lambda poses: poses, {"depth_unit_m": 2.5e-7}, "--depth-unit-m 0.00025"),
    ],
    ids=["inverted", "opengl", "y up", "twice", "half", "thousandfold", "thousandth"],
)
def test_a_room_under_a_wrong_convention_is_refused_with_the_fix(rooms, tmp_path, change, described, fix):
    folder = restored(rooms, tmp_path / "room", change(poses_of(rooms)), **described)
    reader = FolderReader(folder, {})
    with pytest.raises(CaptureError) as caught:
        verify_capture(reader.read("rooms_0000", workspace=Path()))
    assert f"Fix: {fix} (or" in str(caught.value)
    name, value = fix.removeprefix("--").split(" ")
    assert verify_capture(FolderReader(folder, {name: value}).read("rooms_0000", workspace=Path())).agreement > 0.97
