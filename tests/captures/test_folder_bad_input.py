"""Each thing that is wrong with a scan folder is one clear line that names the file and what to do."""

import ast
import inspect
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from box_room import CAMERA, numbers, walk, write_scan
from PIL import Image

from sightline.captures import options as options_module
from sightline.captures.folder import FolderReader
from sightline.errors import CaptureError, ConfigError, SightlineError, UnknownNameError

POSES = walk(12)


@pytest.fixture(scope="module")
def usual(tmp_path_factory) -> Path:
    return write_scan(tmp_path_factory.mktemp("own") / "my_room", POSES)


@pytest.fixture
def folder(usual, tmp_path) -> Path:
    return Path(shutil.copytree(usual, tmp_path / "my_room"))


def read(folder: Path, **options):
    reader = FolderReader(folder, options)
    return reader.read(reader.scan_ids("all")[0], workspace=Path())


def refusal(folder: Path, **options) -> str:
    """The message of the refusal, which must be a single line."""
    with pytest.raises(SightlineError) as caught:
        read(folder, **options)
    message = str(caught.value)
    assert "\n" not in message and len(message) < 500
    return message


def rewrite(path: Path, pattern: str, replacement: str) -> None:
    path.write_text(re.sub(pattern, replacement, path.read_text(), count=1))


def lines_of(folder: Path) -> list[str]:
    return (folder / "poses.txt").read_text().splitlines(keepends=True)


def no_depth_folder(folder: Path) -> None:
    shutil.rmtree(folder / "depth")
    (folder / "capture.yaml").touch()  # still known to be a scan


def no_poses(folder: Path) -> None:
    (folder / "poses.txt").unlink()


def no_intrinsics(folder: Path) -> None:
    (folder / "K.txt").unlink()


def one_depth_image_less(folder: Path) -> None:
    (folder / "depth" / "0007.png").unlink()


def one_colour_image_less(folder: Path) -> None:
    (folder / "color" / "0007.png").unlink()


def one_pose_less(folder: Path) -> None:
    (folder / "poses.txt").write_text("".join(lines_of(folder)[:-1]))


def a_cut_pose_line(folder: Path) -> None:
    lines = lines_of(folder)
    (folder / "poses.txt").write_text("".join(lines[:-1]) + lines[-1][:40].rsplit(" ", 1)[0])


def a_word_among_the_poses(folder: Path) -> None:
    rewrite(folder / "poses.txt", r"^\S+", "nought")


def another_colour_size(folder: Path) -> None:
    Image.new("RGB", (80, 60)).save(folder / "color" / "0003.png")


def another_depth_size(folder: Path) -> None:
    Image.fromarray(np.ones((60, 80), dtype=np.uint16)).save(folder / "depth" / "0003.png")


def empty_images(folder: Path) -> None:
    for path in (folder / "color").iterdir():
        path.unlink()


def depth_as_arrays(folder: Path) -> None:
    for path in (folder / "depth").iterdir():
        path.rename(path.with_suffix(".npy"))


def two_images_of_one_frame(folder: Path) -> None:
    shutil.copy(folder / "color" / "0003.png", folder / "color" / "0003.jpg")


def text_called_png(folder: Path) -> None:
    (folder / "color" / "0003.png").write_text("not an image")


def a_matrix_of_five(folder: Path) -> None:
    (folder / "K.txt").write_text("1 2 3 4 5")


def a_skewed_matrix(folder: Path) -> None:
    (folder / "K.txt").write_text("95 3 79.5 0 95 59.5 0 0 1")


def a_transposed_matrix(folder: Path) -> None:
    (folder / "K.txt").write_text("95 0 0 0 95 0 79.5 59.5 1")


def intrinsics_of_twice_the_size(folder: Path) -> None:
    (folder / "K.txt").write_text("190 190 159.5 119.5")


def a_focal_length_in_metres(folder: Path) -> None:
    (folder / "K.txt").write_text("0.5 0.5 79.5 59.5")


def a_negative_focal_length(folder: Path) -> None:
    (folder / "K.txt").write_text("-95 95 79.5 59.5")


def a_misspelt_key(folder: Path) -> None:
    (folder / "capture.yaml").write_text("depth_units_m: 0.001\n")


def a_path_upwards(folder: Path) -> None:
    (folder / "capture.yaml").write_text("color: ../../elsewhere\n")


def an_absolute_path(folder: Path) -> None:
    (folder / "capture.yaml").write_text("poses: /etc/hostname\n")


def a_link_that_leads_out(folder: Path) -> None:
    (folder / "inner").symlink_to(folder.parent)
    (folder / "capture.yaml").write_text("color: inner\n")


def a_path_to_nothing(folder: Path) -> None:
    (folder / "capture.yaml").write_text("depth: range_images\n")


def broken_yaml(folder: Path) -> None:
    (folder / "capture.yaml").write_text("color: [\n")


def a_wrong_word(folder: Path) -> None:
    (folder / "capture.yaml").write_text("pose_direction: c2w\n")


def an_id_that_is_a_path(folder: Path) -> None:
    (folder / "capture.yaml").write_text("scan_id: ../other\n")


CASES = [
    (no_depth_folder, r"my_room: expected a folder of depth images, found none of depth, depths\. Fix: depth=PATH"),
    (no_poses, r"my_room: expected poses\.txt or a folder pose/.*found none of poses\.txt.*Fix: poses=PATH"),
    (no_intrinsics, r"my_room: expected a camera matrix, found none of K\.txt.*Fix: intrinsics=PATH"),
    (one_depth_image_less, r"12 colour images in .*color, 11 depth images in .*found no depth image for 0007\.png"),
    (one_colour_image_less, r"11 colour images in .*color, 12 depth images in .*found no colour image for 0007\.png"),
    (one_pose_less, r"poses\.txt: expected one pose for each of the 12 colour images, found 11 poses"),
    (a_cut_pose_line, r"poses\.txt:12: expected a pose of 16 or 12 numbers.*found [1-9] numbers"),
    (a_word_among_the_poses, r"poses\.txt:1: expected a number, found 'nought'"),
    (another_colour_size, r"color/0003\.png: expected a colour image of 160x120 like 0000\.png, found 80x60"),
    (another_depth_size, r"depth/0003\.png: expected a depth image of 160x120 like 0000\.png, found 80x60"),
    (empty_images, r"color: expected colour images \(\.png .*\), found none"),
    (depth_as_arrays, r"depth: expected depth images \(\.png\), found none \(only \.npy files\)"),
    (two_images_of_one_frame, r"color: expected one file per frame, found 0003\.jpg, 0003\.png for frame '0003'"),
    (text_called_png, r"color/0003\.png: expected a JPEG/PNG/WEBP image, found something that does not open as one"),
    (a_matrix_of_five, r"K\.txt: expected a 3x3, a 4x4 or `fx fy cx cy`, found 5 numbers"),
    (a_skewed_matrix, r"K\.txt: expected a camera without skew, found 3"),
    (a_transposed_matrix, r"K\.txt: expected rows `fx 0 cx`"),
    (
        intrinsics_of_twice_the_size,
        r"K\.txt: intrinsics do not fit images of 160x120: expected cx near 80, found 159\.5.*perhaps 320x240\. Fix: image_size=320x240",
    ),
    (a_focal_length_in_metres, r"K\.txt: intrinsics do not fit images of 160x120: expected fx of 32 to 800, found 0\.5\. Fix: give"),
    (a_negative_focal_length, r"K\.txt: intrinsics: expected finite fx, fy > 0, found fx=-95"),
    (a_misspelt_key, r"capture\.yaml: unknown key 'depth_units_m'\. Did you mean 'depth_unit_m'\?"),
    (a_path_upwards, r"color: path '\.\./\.\./elsewhere': expected a path inside .*, found one that leads outside"),
    (an_absolute_path, r"poses: path '/etc/hostname': expected a path inside"),
    (a_link_that_leads_out, r"color: path 'inner': expected a path inside"),
    (a_path_to_nothing, r"range_images: expected what `depth` names, found nothing there"),
    (broken_yaml, r"capture\.yaml:2: expected YAML"),
    (a_wrong_word, r"capture\.yaml: key 'pose_direction': Input should be 'world_from_camera' or 'camera_from_world', found 'c2w'"),
    (an_id_that_is_a_path, r"my_room: scan_id: expected letters, digits.*found '\.\./other'"),
]


@pytest.mark.parametrize(("spoil", "expected"), CASES, ids=[spoil.__name__ for spoil, _ in CASES])
def test_what_is_wrong_is_named_with_its_place(folder, spoil, expected):
    spoil(folder)
    assert re.search(expected, refusal(folder))


def test_an_empty_folder_and_a_missing_one_have_their_own_words(tmp_path):
    assert "found an empty one" in refusal(tmp_path)
    assert "found nothing" in refusal(tmp_path / "gone")


def test_a_misspelt_option_is_answered_with_the_nearest(folder):
    with pytest.raises(UnknownNameError, match="import options: unknown key 'up_axes'. Did you mean 'up_axis'"):
        read(folder, up_axes="+y")
    with pytest.raises(ConfigError, match="import options: key 'depth_unit_m': .* found -1"):
        read(folder, depth_unit_m=-1)


def test_every_key_of_the_capture_file_says_what_it_means():
    """Each field of the options is followed by a docstring: the reference of `capture.yaml`."""
    (options,) = [node for node in ast.parse(inspect.getsource(options_module)).body if getattr(node, "name", "") == "FolderOptions"]
    body = options.body[1:]
    for place, node in enumerate(body):
        if isinstance(node, ast.AnnAssign):
            said = body[place + 1]
            assert isinstance(said, ast.Expr) and len(said.value.value) > 20, node.target.id


def poses_with(bad: dict[int, np.ndarray]) -> str:
    return "".join(numbers(bad.get(index, pose)) + "\n" for index, pose in enumerate(POSES))


def spoilt(kind: str) -> np.ndarray:
    pose = POSES[0].copy()
    if kind == "-inf":
        return np.full((4, 4), -np.inf)
    if kind == "nan":
        pose[1, 2] = np.nan
    elif kind == "scaled":
        pose[:3, :3] *= 1.1
    elif kind == "mirrored":
        pose[:3, 0] *= -1.0
    elif kind == "zeros":
        return np.zeros((4, 4))
    elif kind == "transposed":
        pose = pose.T.copy()
    return pose


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("-inf", "pose_not_finite"),
        ("nan", "pose_not_finite"),
        ("scaled", "pose_not_rigid"),
        ("mirrored", "pose_not_rigid"),
        ("zeros", "pose_not_rigid"),
        ("transposed", "pose_not_rigid"),
    ],
)
def test_a_frame_with_an_impossible_pose_is_skipped_and_counted(folder, kind, reason):
    (folder / "poses.txt").write_text(poses_with({3: spoilt(kind), 8: spoilt(kind)}))
    capture = read(folder)
    assert [(skipped.frame_id, skipped.reason) for skipped in capture.skipped] == [("0003", reason), ("0008", reason)]
    assert [frame.frame_id for frame in capture.frames] == [f"{index:04d}" for index in range(12) if index not in (3, 8)]


def test_every_entry_of_a_pose_is_looked_at(folder):
    """A not-a-number in any one of the sixteen places is found."""
    for place in range(16):
        bad = POSES[5].copy().reshape(-1)
        bad[place] = np.nan
        (folder / "poses.txt").write_text(poses_with({5: bad}))
        assert [skipped.frame_id for skipped in read(folder, up_axis="+z").skipped] == ["0005"]


def test_more_than_a_fifth_of_bad_poses_is_refused(folder):
    (folder / "poses.txt").write_text(poses_with({index: spoilt("-inf") for index in (1, 4, 9)}))
    message = refusal(folder)
    assert re.search(
        r"poses\.txt: expected usable poses, found 3 of 12 that are not \(pose_not_finite: 3; first: .*poses\.txt:2\)", message
    )


def test_matrices_written_column_by_column_are_recognised(folder):
    (folder / "poses.txt").write_text("".join(numbers(pose.T) + "\n" for pose in POSES))
    assert re.search(r"found 12 of 12 that are not .* look transposed.*row by row", refusal(folder))


def test_a_depth_image_of_eight_bits_is_refused_by_name(folder):
    Image.fromarray(np.full((120, 160), 100, dtype=np.uint8)).save(folder / "depth" / "0000.png")
    assert re.search(r"depth/0000\.png: expected a 16-bit single-channel PNG, found mode L", refusal(folder))


def test_a_scan_id_that_two_folders_claim_is_refused(usual, tmp_path):
    for name in ("a b", "a_b"):
        shutil.copytree(usual, tmp_path / name)
    with pytest.raises(CaptureError, match="scan id 'a_b' is already that of"):
        FolderReader(tmp_path, {}).scan_ids("all")


def test_the_camera_of_the_tests_is_the_one_they_write(usual):
    assert read(usual).frames[0].intrinsics == CAMERA
