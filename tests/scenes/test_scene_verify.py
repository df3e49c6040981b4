"""A wrong convention is refused with the option that mends it, a right one passes with known numbers."""

import re
from pathlib import Path

import numpy as np
import pytest
from box_room import CAMERA, UNIT_M, shoot, walk, write_scan
from PIL import Image
from scipy.spatial.transform import Rotation

from sightline.captures.folder import FolderReader
from sightline.captures.poses import OPENCV_FROM_OPENGL, UP_ROTATIONS, inverses
from sightline.errors import CaptureError
from sightline.geometry.transforms import look_at, rigid, yaw_matrix
from sightline.scenes.verify import verify_capture

SPARSE = walk(16)
STORED = {
    "as it should be": SPARSE,
    "inverted": inverses(SPARSE),
    "opengl": SPARSE @ OPENCV_FROM_OPENGL,
    "inverted opengl": inverses(SPARSE @ OPENCV_FROM_OPENGL),
    "y up": rigid(UP_ROTATIONS["+y"].T, np.zeros(3)) @ SPARSE,
}
MENDED = {
    "inverted": {"pose_direction": "camera_from_world"},
    "opengl": {"camera_axes": "opengl"},
    "inverted opengl": {"pose_direction": "camera_from_world", "camera_axes": "opengl"},
}


@pytest.fixture(scope="module")
def scans(tmp_path_factory) -> dict[str, Path]:
    """One set of images, and the poses stored in five ways."""
    first = write_scan(tmp_path_factory.mktemp("true") / "scan", SPARSE)
    folders = {}
    for name, stored in STORED.items():
        folder = tmp_path_factory.mktemp(name.replace(" ", "_")) / "scan"
        folder.mkdir()
        for kind in ("color", "depth", "K.txt"):
            (folder / kind).symlink_to(first / kind)
        write_poses(folder, stored)
        folders[name] = folder
    return folders


def write_poses(folder: Path, stored: np.ndarray) -> None:
    np.save(folder / "poses.npy", stored)


def verify(folder: Path, **options):
    return verify_capture(FolderReader(folder, options).read(folder.name, workspace=Path()))


def refusal(folder: Path, **options) -> str:
    with pytest.raises(CaptureError) as caught:
        verify(folder, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_exact_depth_and_poses_agree_almost_everywhere(scans):
    """Only pixels that straddle an edge, and millimetre rounding times nearest-pixel look-up, are left."""
    said = verify(scans["as it should be"])
    assert said.agreement > 0.995 and said.residual_m < 0.01
    assert said.pairs_checked >= 12 and said.frames_used == 16 and said.frames_skipped == {}
    assert said.depth_coverage == 1.0 and said.gravity_tilt_deg < 0.1 and said.depth_unit_checked


@pytest.mark.parametrize("name", MENDED)
def test_wrong_poses_are_refused_and_the_named_option_mends_them(scans, name):
    message = refusal(scans[name])
    flags = " ".join(f"--{key.replace('_', '-')} {value}" for key, value in MENDED[name].items())
    assert f"Fix: {flags} (or" in message
    as_given, mended = (float(number) for number in re.search(r"agreement (\S+) as given, (\S+) as", message).groups())
    assert as_given < 0.6 and mended > 0.97
    assert verify(scans[name], **MENDED[name]).agreement > 0.995


@pytest.mark.parametrize("name", MENDED)
def test_right_poses_read_with_a_wrong_option_are_refused_with_the_way_back(scans, name):
    message = refusal(scans["as it should be"], **MENDED[name])
    back = {"pose_direction": "world_from_camera", "camera_axes": "opencv"}
    assert all(f"--{key.replace('_', '-')} {back[key]}" in message for key in MENDED[name])


@pytest.mark.parametrize("factor", [2.0, 0.5, 1000.0, 0.001, 5.0, 0.2, 4.0, 1.25])
def test_a_wrong_depth_unit_is_found_from_the_motion(scans, factor):
    message = refusal(scans["as it should be"], depth_unit_m=UNIT_M * factor)
    times = float(re.search(r"depth looks (\S+) times", message)[1])
    assert times == pytest.approx(max(factor, 1.0 / factor), rel=0.05)
    assert f"times too {'large' if factor > 1 else 'small'}" in message
    assert "Fix: --depth-unit-m 0.001 (or" in message


@pytest.mark.parametrize("width", [128, 144, 176, 192])
def test_the_camera_matrix_of_another_image_size_is_named(scans, width):
    """Too close to the right size for the centre to tell, yet 10 to 20 % off in focal length."""
    other = CAMERA.resized(width=width, height=width * 3 // 4)
    message = refusal(scans["as it should be"], intrinsics=(other.fx, other.fy, other.cx, other.cy))
    found = re.search(r"intrinsics look like those of images of (\d+)x(\d+) instead of 160x120: .* Fix: image_size=\1x\2 \(or", message)
    assert abs(int(found[1]) - width) <= 3
    size = f"{found[1]}x{found[2]}"
    assert verify(scans["as it should be"], intrinsics=(other.fx, other.fy, other.cx, other.cy), image_size=size).agreement > 0.97


def test_a_wrongly_stated_image_size_is_mended_from_what_was_stated(scans):
    message = refusal(scans["as it should be"], image_size="140x105")
    found = re.search(r"images of (\d+)x\d+ instead of 140x105: .* Fix: image_size=\1x", message)
    assert abs(int(found[1]) - 160) <= 3


def test_two_mistakes_are_found_together(scans):
    message = refusal(scans["inverted"], depth_unit_m=1.0)
    assert "Fix: --pose-direction camera_from_world --depth-unit-m 0.001 (or" in message


def test_poses_in_millimetres_are_named_as_such(scans, tmp_path):
    folder = tmp_path / "scan"
    folder.mkdir()
    for kind in ("color", "depth", "K.txt"):
        (folder / kind).symlink_to(scans["as it should be"] / kind)
    stored = SPARSE.copy()
    stored[:, :3, 3] *= 1000.0
    write_poses(folder, stored)
    assert "pose translations look" in (message := refusal(folder)) and "Fix: pose_unit_m=0.001 (or" in message
    assert verify(folder, pose_unit_m=0.001).agreement > 0.995


def test_a_wrong_up_axis_is_refused_with_the_right_one(scans):
    assert "looks like +y instead of +z" in (message := refusal(scans["y up"], up_axis="+z"))
    assert "Fix: --up-axis +y (or" in message
    assert "Fix: --up-axis +z (or" in refusal(scans["as it should be"], up_axis="-y")
    assert verify(scans["y up"]).gravity_tilt_deg < 0.1


def test_a_tilted_world_is_sent_to_the_measured_up(scans, tmp_path):
    folder = tmp_path / "scan"
    folder.mkdir()
    for kind in ("color", "depth", "K.txt"):
        (folder / kind).symlink_to(scans["as it should be"] / kind)
    tilt = rigid(UP_ROTATIONS["+x"].T @ yaw_matrix(np.radians(20.0)) @ UP_ROTATIONS["+x"], np.zeros(3))
    write_poses(folder, tilt @ SPARSE)
    assert "Fix: --up-axis auto (or" in refusal(folder, up_axis="+z")
    assert verify(folder).gravity_tilt_deg < 0.1


def test_ray_lengths_are_not_depth(tmp_path):
    folder = write_scan(tmp_path / "scan", SPARSE)
    u, v = np.meshgrid(np.arange(CAMERA.width), np.arange(CAMERA.height))
    longer = np.sqrt(1 + ((u - CAMERA.cx) / CAMERA.fx) ** 2 + ((v - CAMERA.cy) / CAMERA.fy) ** 2)
    for index, pose in enumerate(SPARSE):
        stored = np.rint(shoot(pose).depth_m * longer / UNIT_M).astype(np.uint16)
        Image.fromarray(stored).save(folder / "depth" / f"{index:04d}.png")
    assert "look like lengths along the ray instead of z" in refusal(folder)


def test_depth_of_another_recording_fits_in_no_way(scans, tmp_path):
    folder = tmp_path / "scan"
    folder.mkdir()
    for kind in ("color", "depth", "K.txt"):
        (folder / kind).symlink_to(scans["as it should be"] / kind)
    write_poses(folder, SPARSE[np.random.default_rng(0).permutation(len(SPARSE))])
    message = refusal(folder)
    assert "expected depth of overlapping frames to agree" in message and "belong to the same frames" in message


def test_poses_that_err_by_a_few_degrees_fit_in_no_way(scans, tmp_path):
    """4 degrees and 8 cm: nothing that another convention could mend, and too much to measure with."""
    rng = np.random.default_rng(2)
    rotations = Rotation.from_rotvec(np.radians(4.0) * rng.standard_normal((16, 3))).as_matrix()
    shaken = [pose @ rigid(turn, 0.08 * rng.standard_normal(3)) for pose, turn in zip(SPARSE, rotations)]
    folder = tmp_path / "scan"
    folder.mkdir()
    for kind in ("color", "depth", "K.txt"):
        (folder / kind).symlink_to(scans["as it should be"] / kind)
    write_poses(folder, np.stack(shaken))
    message = refusal(folder, up_axis="+z")
    assert 0.3 < float(re.search(r"found agreement (\S+) as given", message)[1]) < 0.75


@pytest.mark.parametrize(("places", "words"), [(1, "1 frame late"), (-2, "2 frames early")])
def test_poses_out_of_step_with_the_images_are_named(scans, tmp_path, places, words):
    folder = tmp_path / "scan"
    folder.mkdir()
    for kind in ("color", "depth", "K.txt"):
        (folder / kind).symlink_to(scans["as it should be"] / kind)
    write_poses(folder, np.roll(SPARSE, places, axis=0))
    assert f"poses look out of step with the images, {words}" in refusal(folder, up_axis="+z")


def test_frames_that_hardly_differ_are_not_taken_for_proof(tmp_path):
    """Near-identical frames agree under inverted poses too, so they may neither pass nor refuse."""
    poses = np.stack([look_at(np.array([2.5 + 0.005 * k, 2.0, 1.5]), np.array([4.0, 2.2, 1.2])) for k in range(8)])
    folder = write_scan(tmp_path / "scan", poses)
    assert "found 0: the conventions cannot be checked" in refusal(folder)
    folder = write_scan(tmp_path / "again", poses, stored=inverses(poses))
    assert "cannot be checked" in refusal(folder)


def test_turning_on_the_spot_passes_and_says_that_the_unit_is_open(tmp_path):
    eye = np.array([2.5, 2.0, 1.5])
    turns = np.linspace(0.0, 2.0 * np.pi, 16, endpoint=False)
    poses = np.stack([look_at(eye, eye + np.array([np.cos(turn), np.sin(turn), -0.4 - 0.2 * np.sin(2 * turn)])) for turn in turns])
    folder = write_scan(tmp_path / "scan", poses)
    said = verify(folder)
    assert said.agreement > 0.99 and not said.depth_unit_checked
    message = refusal(folder, depth_unit_m=1.0)  # two kilometres is no room, motion or not
    assert "expected a median depth of 0.1 to 30 m" in message and "Fix: --depth-unit-m 0.001" in message


def test_pictures_in_no_order_are_paired_by_what_they_see(tmp_path):
    shuffled = walk(24)[np.random.default_rng(3).permutation(24)]
    folder = write_scan(tmp_path / "scan", shuffled)
    assert verify(folder).agreement > 0.99
    write_poses(folder, inverses(shuffled))
    assert "Fix: --pose-direction camera_from_world" in refusal(folder, poses="poses.npy")


def test_a_dense_recording_is_judged_on_frames_that_are_apart(tmp_path):
    """48 frames, 7.5 degrees apart: the verdict must not be diluted by neighbours."""
    dense = walk(48)
    folder = write_scan(tmp_path / "scan", dense)
    assert verify(folder).agreement > 0.99
    write_poses(folder, inverses(dense))
    message = refusal(folder, poses="poses.npy")
    assert "Fix: --pose-direction camera_from_world" in message
    assert float(re.search(r"agreement (\S+) as given", message)[1]) < 0.6


def test_holes_and_noise_are_no_reason_to_refuse(tmp_path):
    """A third of the readings lost, noise of 1 % of the depth."""
    rng = np.random.default_rng(5)
    folder = write_scan(tmp_path / "scan", SPARSE)
    for index, pose in enumerate(SPARSE):
        depth_m = shoot(pose).depth_m * (1.0 + 0.01 * rng.standard_normal((CAMERA.height, CAMERA.width)))
        stored = np.where(rng.random(depth_m.shape) < 1 / 3, 0, np.rint(depth_m / UNIT_M)).astype(np.uint16)
        Image.fromarray(stored).save(folder / "depth" / f"{index:04d}.png")
    said = verify(folder)
    assert said.agreement > 0.95 and said.residual_m < 0.03
    assert said.depth_coverage == pytest.approx(2 / 3, abs=0.01)


def test_the_same_folder_gives_the_same_verdict(scans):
    assert verify(scans["as it should be"]) == verify(scans["as it should be"])
