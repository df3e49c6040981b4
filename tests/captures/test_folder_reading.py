"""A scan folder of any usual layout reads to the same frames in the same world."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from box_room import CAMERA, TABLE, numbers, shoot, walk, write_images, write_scan
from PIL import Image
from scipy.spatial.transform import Rotation

from sightline.captures.detect import find_reader
from sightline.captures.folder import FolderReader
from sightline.captures.images import read_depth_m
from sightline.captures.poses import OPENCV_FROM_OPENGL, UP_ROTATIONS, Convention, convention_of_notes, inverses
from sightline.captures.records import objects_as_json, objects_from_json
from sightline.errors import CaptureError
from sightline.geometry.depth import points_world_from_depth
from sightline.geometry.transforms import rigid, yaw_matrix

POSES = walk(12)
Y_UP_FROM_WORLD = rigid(UP_ROTATIONS["+y"].T, np.zeros(3))


@pytest.fixture(scope="module")
def usual(tmp_path_factory) -> Path:
    return write_scan(tmp_path_factory.mktemp("own") / "my_room", POSES)


@pytest.fixture
def folder(usual, tmp_path) -> Path:
    """A copy of the usual folder that a test may change."""
    return Path(shutil.copytree(usual, tmp_path / "my_room"))


def read(folder: Path, **options):
    reader = FolderReader(folder, options)
    (scan_id,) = reader.scan_ids("all")
    return reader.read(scan_id, workspace=Path())


def poses_of(capture) -> np.ndarray:
    return np.stack([frame.world_from_camera for frame in capture.frames])


def store_poses(folder: Path, stored: np.ndarray) -> None:
    (folder / "poses.txt").write_text("".join(numbers(pose) + "\n" for pose in stored))


def worst_error_m(capture, indices=(0, 5)) -> float:
    """Largest distance between points read from the folder and the exact ones."""
    worst = 0.0
    for index in indices:
        frame = capture.frames[index]
        depth_m = read_depth_m(frame.depth_path, depth_scale_m=frame.depth_scale_m)
        points = points_world_from_depth(depth_m, frame.depth_intrinsics, frame.world_from_camera)
        worst = max(worst, float(np.linalg.norm(points - shoot(POSES[index]).points_world, axis=-1).max()))
    return worst


def test_the_usual_layout_reads_without_any_description(usual):
    capture = read(usual)
    assert (capture.scan_id, capture.place_id, capture.source, capture.licence) == ("my_room", "my_room", "folder", "unknown")
    assert [frame.frame_id for frame in capture.frames] == [f"{index:04d}" for index in range(12)]
    assert np.allclose(poses_of(capture), POSES, rtol=0, atol=1e-12)
    assert capture.frames[3].intrinsics == CAMERA and capture.frames[3].depth_intrinsics == CAMERA
    assert capture.objects is None and capture.structure is None and capture.skipped == ()
    assert worst_error_m(capture) < 0.001


def test_numbers_without_leading_zeros_sort_as_numbers(tmp_path):
    folder = write_scan(tmp_path / "scan", POSES, names=[str(index) for index in range(12)])
    capture = read(folder)
    assert [frame.frame_id for frame in capture.frames] == [str(index) for index in range(12)]
    assert worst_error_m(capture, indices=range(12)) < 0.001


def test_colour_and_depth_with_other_prefixes_match_by_number(folder):
    for path in sorted((folder / "depth").iterdir()):
        path.rename(path.with_name(f"d{int(path.stem)}.png"))
    assert worst_error_m(read(folder), indices=range(12)) < 0.001


@pytest.mark.parametrize("layout", ["3x4 lines", "blocks of four lines", "commas and comments", "array"])
def test_every_usual_pose_list_reads_the_same(folder, layout):
    path = folder / "poses.txt"
    if layout == "3x4 lines":
        path.write_text("".join(numbers(pose[:3]) + "\n" for pose in POSES))
    elif layout == "blocks of four lines":
        path.write_text("\n\n".join("\n".join(numbers(row) for row in pose) for pose in POSES))
    elif layout == "commas and comments":
        path.write_text("# world_from_camera\n" + "".join(numbers(pose).replace(" ", ", ") + "  # pose\n" for pose in POSES))
    else:
        path.unlink()
        np.save(folder / "poses.npy", POSES)
    assert np.allclose(poses_of(read(folder)), POSES, rtol=0, atol=1e-12)


def test_a_folder_of_pose_files_may_miss_a_few_which_are_counted(folder):
    (folder / "poses.txt").unlink()
    (folder / "pose").mkdir()
    for index, pose in enumerate(POSES):
        if index != 4:
            (folder / "pose" / f"{index:04d}.txt").write_text("\n".join(numbers(row) for row in pose))
    capture = read(folder)
    assert [(skipped.frame_id, skipped.reason) for skipped in capture.skipped] == [("0004", "pose_missing")]
    assert np.allclose(poses_of(capture), np.delete(POSES, 4, axis=0), rtol=0, atol=1e-12)


def test_timestamps_bring_images_and_a_trajectory_together(tmp_path):
    folder = tmp_path / "tum"
    names = [f"{100 + index / 10:.6f}" for index in range(12)]
    write_images(folder, POSES, names=names)
    (folder / "color").rename(folder / "rgb")
    for path in sorted((folder / "depth").iterdir()):
        path.rename(path.with_name(f"{float(path.stem) + 0.007:.6f}.png"))
    (folder / "depth" / f"{101.1 + 0.007:.6f}.png").rename(folder / "depth" / "103.000000.png")  # the last frame loses its depth
    lines = []
    for index, pose in enumerate(POSES):
        x, y, z, w = (float(value) for value in Rotation.from_matrix(pose[:3, :3]).as_quat())
        lines.append(f"{100 + index / 10 + 0.004:.4f} {numbers(pose[:3, 3])} {x!r} {y!r} {z!r} {w!r}\n")
    (folder / "groundtruth.txt").write_text("# time x y z qx qy qz qw\n" + "".join(lines))
    (folder / "K.txt").write_text(f"{CAMERA.fx} {CAMERA.fy} {CAMERA.cx} {CAMERA.cy}\n")
    capture = read(folder)
    assert [(skipped.frame_id, skipped.reason) for skipped in capture.skipped] == [("101.100000", "no_depth_in_time")]
    assert np.allclose(poses_of(capture), POSES[:11], rtol=0, atol=1e-9)
    assert [frame.time_s for frame in capture.frames[:2]] == [100.0, 100.1]
    assert worst_error_m(capture) < 0.001


@pytest.mark.parametrize("direction", ["world_from_camera", "camera_from_world"])
@pytest.mark.parametrize("axes", ["opencv", "opengl"])
@pytest.mark.parametrize("up_axis", ["+x", "-x", "+y", "-y", "+z", "-z"])
def test_foreign_conventions_stop_at_the_reader(folder, direction, axes, up_axis):
    stored = rigid(UP_ROTATIONS[up_axis].T, np.zeros(3)) @ POSES
    stored = stored @ OPENCV_FROM_OPENGL if axes == "opengl" else stored
    stored = inverses(stored) if direction == "camera_from_world" else stored
    store_poses(folder, stored)
    capture = read(folder, pose_direction=direction, camera_axes=axes, up_axis=up_axis)
    assert np.allclose(poses_of(capture), POSES, rtol=0, atol=1e-9)
    convention = convention_of_notes(capture.notes)
    assert np.allclose(convention.stored(poses_of(capture)), stored, rtol=0, atol=1e-9)


def test_y_up_becomes_z_up_by_the_rotation_x_minus_z_y():
    convention = Convention(up_axis="+y", world_from_stored=rigid(UP_ROTATIONS["+y"], np.zeros(3)))
    stored = rigid(np.eye(3), np.array([1.0, 2.0, 3.0]))
    assert convention.world_from_camera(stored[None])[0, :3, 3].tolist() == [1.0, -3.0, 2.0]
    assert all(np.linalg.det(rotation) == pytest.approx(1.0) for rotation in UP_ROTATIONS.values())


def test_auto_finds_the_axis_that_is_up(folder):
    store_poses(folder, Y_UP_FROM_WORLD @ POSES)
    capture = read(folder)
    assert convention_of_notes(capture.notes).up_axis == "auto (+y)"
    assert np.allclose(poses_of(capture), POSES, rtol=0, atol=1e-9)


def test_auto_levels_a_world_that_starts_at_the_first_camera(folder):
    """Most trackers without an accelerometer call the first camera the world; its floor lies anywhere."""
    store_poses(folder, np.linalg.inv(POSES[0]) @ POSES)
    capture = read(folder)
    assert convention_of_notes(capture.notes).up_axis == "auto (levelled)"
    world_from_true = capture.frames[0].world_from_camera @ np.linalg.inv(POSES[0])
    tilt_deg = np.degrees(np.arccos(world_from_true[2, 2]))
    assert tilt_deg < 0.1


@pytest.mark.parametrize("turn", [1, -1])
def test_auto_knows_a_recording_held_in_portrait(folder, turn):
    """The pixels lie on their side: the images are the same, turned by a quarter."""
    new_from_old = rigid(yaw_matrix(turn * np.pi / 2.0), np.zeros(3))  # about the optical axis
    for kind in ("color", "depth"):
        for path in (folder / kind).iterdir():
            turned = np.rot90(np.asarray(Image.open(path)), k=-turn)
            Image.fromarray(np.ascontiguousarray(turned)).save(path)
    store_poses(folder, Y_UP_FROM_WORLD @ POSES @ np.linalg.inv(new_from_old))
    (folder / "K.txt").write_text(f"{CAMERA.fy} {CAMERA.fx} {CAMERA.cy} {CAMERA.cx}")
    capture = read(folder)
    assert convention_of_notes(capture.notes).up_axis == "auto (+y)"


def test_depth_of_another_size_gets_the_colour_camera_scaled_per_axis(folder):
    for path in (folder / "depth").iterdir():
        depth = np.asarray(Image.open(path))
        Image.fromarray(np.ascontiguousarray(depth[1::3, 1::2])).save(path)  # 80x40 of 160x120 would be another shape
    with pytest.raises(CaptureError, match="80x40 and colour images of 160x120 have different shapes.*Fix: depth_intrinsics=\\[FX"):
        read(folder)
    (folder / "K_depth.txt").write_text(f"{CAMERA.fx / 2} {CAMERA.fy / 3} {(CAMERA.cx - 1) / 2} {(CAMERA.cy - 1) / 3}")
    capture = read(folder)
    camera = capture.frames[0].depth_intrinsics
    depth_m = read_depth_m(capture.frames[0].depth_path, depth_scale_m=0.001)
    points = points_world_from_depth(depth_m, camera, capture.frames[0].world_from_camera)
    assert np.abs(points - shoot(POSES[0]).points_world[1::3, 1::2]).max() < 0.001


def test_depth_of_half_the_size_keeps_pixel_centres(folder):
    for path in (folder / "depth").iterdir():
        Image.fromarray(np.ascontiguousarray(np.asarray(Image.open(path))[::2, ::2])).save(path)
    camera = read(folder).frames[0].depth_intrinsics
    assert (camera.width, camera.height, camera.fx) == (80, 60, CAMERA.fx / 2)
    assert camera.cx == pytest.approx((CAMERA.cx + 0.5) / 2 - 0.5)


@pytest.mark.parametrize(
    "text",
    [
        "95 95 79.5 59.5",
        "95,0,79.5\n0,95,59.5\n0,0,1\n",
        "95 0 79.5 0\n0 95 59.5 0\n0 0 1 0\n0 0 0 1\n",
        "# fx 0 cx\n95 0 79.5\n0 95 59.5\n0 0 1",
    ],
)
def test_camera_matrices_read_from_every_usual_form(folder, text):
    (folder / "K.txt").unlink()
    (folder / "intrinsic").mkdir()
    (folder / "intrinsic" / "intrinsic_color.txt").write_text(text)
    assert read(folder).frames[0].intrinsics == CAMERA


def test_intrinsics_of_a_stated_other_size_are_scaled(folder):
    double = CAMERA.resized(width=320, height=240)
    (folder / "K.txt").write_text(f"{double.fx} {double.fy} {double.cx} {double.cy}")
    camera = read(folder, image_size="320x240").frames[0].intrinsics
    assert (camera.width, camera.height) == (160, 120)
    assert np.allclose([camera.fx, camera.fy, camera.cx, camera.cy], [95.0, 95.0, 79.5, 59.5])


def test_a_capture_file_describes_any_layout_and_options_win_over_it(folder):
    (folder / "frames").mkdir()
    for kind in ("color", "depth"):
        for path in sorted((folder / kind).iterdir()):
            path.rename(folder / "frames" / f"frame-{path.stem}.{kind}.png")
        (folder / kind).rmdir()
    (folder / "poses.txt").rename(folder / "trajectory.dat")
    (folder / "K.txt").unlink()
    (folder / "capture.yaml").write_text(
        "scan_id: kitchen-1\nplace_id: flat-7\nlicence: CC-BY-4.0\n"
        "color: frames/*.color.png\ndepth: frames/*.depth.png\nposes: trajectory.dat\n"
        "intrinsics: [95, 95, 79.5, 59.5]\nframe_rate_hz: 10\nframe_step: 2\nup_axis: -y\nnotes: {device: tripod}\n"
    )
    capture = read(folder, up_axis="+z")
    assert (capture.scan_id, capture.place_id, capture.licence) == ("kitchen-1", "flat-7", "CC-BY-4.0")
    assert capture.notes["device"] == "tripod" and convention_of_notes(capture.notes).up_axis == "+z"
    assert [frame.frame_id for frame in capture.frames] == [f"frame-{index:04d}" for index in range(0, 12, 2)]
    assert [frame.time_s for frame in capture.frames] == [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    assert np.allclose(poses_of(capture), POSES[::2], rtol=0, atol=1e-12)


def test_a_folder_of_folders_is_many_scans(usual, tmp_path):
    for name in ("room 10", "room 2"):
        shutil.copytree(usual, tmp_path / name)
    (tmp_path / "notes").mkdir()
    reader = FolderReader(tmp_path, {})
    assert reader.scan_ids("all") == ("room_2", "room_10")
    assert reader.read("room_10", workspace=Path()).frames[0].rgb_path.parent.parent == tmp_path / "room 10"
    with pytest.raises(CaptureError, match="expected one of the scans room_2, room_10, found 'room_3'"):
        reader.read("room_3", workspace=Path())
    with pytest.raises(CaptureError, match="expected split 'all'"):
        reader.scan_ids("train")


def test_known_objects_turn_with_the_world(folder):
    low, high = TABLE
    box = {"size_m": (high - low).tolist(), "world_from_object": rigid(np.eye(3), (low + high) / 2).reshape(-1).tolist()}
    (one,) = objects_from_json([{"object_id": 0, "category": "table", "front_world": [0.0, -1.0, 0.0], **box}], where="here")
    stored = one.box.moved(Y_UP_FROM_WORLD)
    value = objects_as_json([one])[0] | {"world_from_object": stored.world_from_object.reshape(-1).tolist(), "front_world": [0.0, 0.0, 1.0]}
    (folder / "objects.json").write_text(json.dumps([value]))
    store_poses(folder, Y_UP_FROM_WORLD @ POSES)
    (found,) = read(folder).objects
    assert np.allclose(found.box.corners_world(), one.box.corners_world())
    assert np.allclose(found.front_world, [0.0, -1.0, 0.0])


def test_slightly_rounded_rotations_are_made_exact(folder):
    store_poses(folder, np.round(POSES, 4))
    rotations = poses_of(read(folder))[:, :3, :3]
    assert np.abs(np.einsum("nji,njk->nik", rotations, rotations) - np.eye(3)).max() < 1e-12


def test_the_reader_is_found_by_itself(usual, tmp_path):
    assert find_reader(usual) == "folder" and find_reader(usual.parent) == "folder"
    (tmp_path / "holiday.mp4").touch()
    with pytest.raises(CaptureError, match=r"one of the readers rooms, folder, .* knows.*depth/.*found holiday\.mp4"):
        find_reader(tmp_path)
    with pytest.raises(CaptureError, match="expected a folder with a scan, found nothing"):
        find_reader(tmp_path / "gone")
    with pytest.raises(CaptureError, match="found a file that none of them does"):
        find_reader(tmp_path / "holiday.mp4")
