"""What the nerfstudio reader finds beyond the contract: sizes and focal lengths that are not said, lenses with depth, what it claims."""

import json
import shutil
from pathlib import Path

import layout_nerfstudio
import numpy as np
import pytest
import true_room as true
from lens_pictures import distorted_view
from PIL import Image

from sightline.captures.frame_images import frame_depth_m
from sightline.captures.images import read_depth_m
from sightline.captures.nerfstudio import NerfstudioReader
from sightline.errors import CaptureError
from sightline.geometry.depth import points_world_from_depth


@pytest.fixture
def usual(tmp_path) -> Path:
    return layout_nerfstudio.usual(tmp_path / "source").source


def read(folder: Path, **options):
    workspace = folder.parent / f"workspace_{len(list(folder.parent.iterdir()))}"
    workspace.mkdir()
    reader = NerfstudioReader(folder, options)
    return reader.read(reader.scan_ids("all")[0], workspace=workspace)


def change(folder: Path, **keys) -> None:
    path = folder / "transforms.json"
    value = {key: inner for key, inner in {**json.loads(path.read_text()), **keys}.items() if inner is not None}
    path.write_text(json.dumps(value))


def test_a_size_that_is_not_said_is_that_of_the_images(usual):
    change(usual, w=None, h=None)
    capture = read(usual)
    assert (capture.frames[0].intrinsics.width, capture.frames[0].intrinsics.height) == (160, 120)


def test_a_field_of_view_gives_the_focal_length(usual):
    """The files of instant-ngp and Blender: 2 atan(w / 2f), principal point in the middle, names without suffix."""
    path = usual / "transforms.json"
    value = json.loads(path.read_text())
    frames = [{**one, "file_path": "./" + one["file_path"].removesuffix(".png")} for one in value["frames"]]
    path.write_text(json.dumps({"camera_angle_x": 2 * np.arctan(80 / 130.0), "frames": frames}))
    camera = read(usual).frames[0].intrinsics
    assert camera.fx == pytest.approx(130.0) and camera.fy == pytest.approx(130.0)
    assert (camera.cx, camera.cy) == (79.5, 59.5)  # the middle of the picture, with pixel centres at integers


def test_depth_is_in_the_unit_that_the_file_says(usual):
    median = np.nanmedian(frame_depth_m(read(usual).frames[0]))
    change(usual, depth_unit_scale_factor=0.002)
    assert np.nanmedian(frame_depth_m(read(usual, up_axis="+z").frames[0])) == pytest.approx(2 * median)


def test_the_worlds_unit_stretches_poses_and_depth_alike(usual):
    plain, stretched = read(usual), read(usual, world_unit_m=2.0)
    assert np.allclose(stretched.frames[3].world_from_camera[:3, 3], 2.0 * plain.frames[3].world_from_camera[:3, 3])
    assert np.nanmedian(frame_depth_m(stretched.frames[3])) == pytest.approx(2.0 * np.nanmedian(frame_depth_m(plain.frames[3])))
    assert stretched.notes["metric"] is True and plain.notes["metric"] is False


def test_depth_seen_through_a_lens_is_straightened_with_its_picture(tmp_path):
    """Most readings land within a pixel's worth of the surface that the pinhole sees; left bent, they would not."""
    folder = layout_nerfstudio.distorted(tmp_path / "source").source
    k1, k2, p1, p2, k3 = layout_nerfstudio.RADIAL_LENS.values()
    path = folder / "transforms.json"
    value = json.loads(path.read_text())
    (folder / "depth").mkdir()
    for index in (0, true.NUM_FRAMES - 1):
        one, pose = value["frames"][index], true.poses()[index]
        _, depth_m = distorted_view(true.SMALL, "radial", (k1, k2, p1, p2, k3, 0.0, 0.0, 0.0), pose)
        Image.fromarray(np.rint(np.nan_to_num(depth_m) * 1000).astype(np.uint16)).save(folder / f"depth/{index}.png")
        one["depth_file_path"] = f"depth/{index}.png"
    path.write_text(json.dumps(value))
    capture = read(folder, undistort=True, up_axis="+z", max_frames=2)
    assert capture.notes["reencoded"] == "colour: undistorted, PNG; depth: undistorted, nearest pixel"
    for frame, place in zip(capture.frames, (0, true.NUM_FRAMES - 1), strict=True):
        one, pose = value["frames"][place], true.poses()[place]
        truth = true.shoot(true.SMALL, pose)
        bent_m = read_depth_m(folder / one["depth_file_path"], depth_scale_m=0.001)
        off_m, bent_off_m = (
            np.linalg.norm(points_world_from_depth(depth_m, true.SMALL, frame.world_from_camera) - truth.points_world, axis=-1)
            for depth_m in (frame_depth_m(frame), bent_m)
        )
        assert np.nanmedian(off_m) < 0.006 and np.nanmean(off_m < 0.05) > 0.85
        assert np.nanmean(off_m) < 0.6 * np.nanmean(bent_off_m)


def test_files_of_pinholes_stay_where_they_are(usual):
    capture = read(usual)
    assert all(frame.rgb_path.is_relative_to(usual) and frame.depth_path.is_relative_to(usual) for frame in capture.frames)
    assert "reencoded" not in capture.notes


def test_a_frame_that_names_no_depth_is_kept_without(tmp_path):
    folder = layout_nerfstudio.applied(tmp_path / "source").source
    value = json.loads((folder / "transforms.json").read_text())
    del value["frames"][0]["depth_file_path"]
    change(folder, frames=value["frames"])
    frames = read(folder, undo_applied=True).frames
    assert frames[0].depth_path is None and all(frame.depth_path is not None for frame in frames[1:])
    assert {(frame.depth_intrinsics.width, frame.depth_intrinsics.height) for frame in frames} == {(80, 60)}


def test_depth_is_left_out_when_asked(usual):
    assert all(frame.depth_path is None for frame in read(usual, depth=False, up_axis="+z").frames)


def test_only_its_own_folder_is_claimed(usual, tmp_path):
    assert NerfstudioReader.recognises(usual) and not NerfstudioReader.recognises(usual.parent)
    scene = tmp_path / "0123456789"
    shutil.copytree(usual, scene)
    assert NerfstudioReader.recognises(scene)  # ten digits alone make no ScanNet++ scene
    (scene / "scans").mkdir()
    (scene / "scans/segments_anno.json").write_text("{}")
    assert not NerfstudioReader.recognises(scene)


def test_paths_of_windows_name_the_same_files(usual):
    path = usual / "transforms.json"
    value = json.loads(path.read_text())
    expected = [frame.frame_id for frame in read(usual).frames]
    for one in value["frames"]:
        one.update({key: one[key].replace("/", "\\") for key in ("file_path", "depth_file_path") if key in one})
    path.write_bytes(json.dumps(value, indent=1).replace("\n", "\r\n").encode())
    found = read(usual)
    assert [frame.frame_id for frame in found.frames] == expected and all(frame.depth_path is not None for frame in found.frames)


def test_arrays_in_the_unit_of_the_poses_need_the_factor_that_the_file_does_not_say(tmp_path):
    """nerfstudio multiplies arrays too by 0.001 where nothing else is said; metres would then be pictures of a room of millimetres."""
    folder = layout_nerfstudio.applied(tmp_path / "source").source
    expected = np.nanmedian(frame_depth_m(read(folder).frames[0]))
    change(folder, depth_unit_scale_factor=None)
    with pytest.raises(CaptureError, match=r"npy: expected values of 1/1000 .* found a median of \d.* Fix: depth_unit_scale_factor=1$"):
        read(folder)
    assert np.nanmedian(frame_depth_m(read(folder, depth_unit_scale_factor=1).frames[0])) == pytest.approx(expected)


def test_an_option_wins_over_the_unit_of_the_file(usual):
    median = np.nanmedian(frame_depth_m(read(usual).frames[0]))
    assert np.nanmedian(frame_depth_m(read(usual, up_axis="+z", depth_unit_scale_factor=0.002).frames[0])) == pytest.approx(2 * median)


def test_a_byte_order_mark_is_named(usual):
    path = usual / "transforms.json"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    with pytest.raises(CaptureError, match="transforms.json: expected UTF-8 without a byte order mark, found one at offset 0"):
        read(usual)
