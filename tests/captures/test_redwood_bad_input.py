"""Each thing that is wrong with a Redwood or Open3D folder is one clear line, or frames that are skipped and counted."""

import json
import shutil
from pathlib import Path

import layout_redwood as layout
import numpy as np
import pytest
from PIL import Image
from spoiling import copied, expect_verdict, not_text, refusal, rewritten, with_line

from sightline.captures.redwood import RedwoodReader
from sightline.errors import CaptureError


@pytest.fixture(scope="module")
def usual(tmp_path_factory):
    root = tmp_path_factory.mktemp("redwood") / "source"
    return layout.open3d(root), root


def log(scan: Path) -> Path:
    return scan / "scene" / "trajectory.log"


def without_the_log(scan: Path) -> None:
    log(scan).unlink()


def two_logs(scan: Path) -> None:
    for name in ("first.log", "second.log"):
        shutil.copy(log(scan), scan / name)
    log(scan).unlink()


def a_cut_log(scan: Path) -> None:
    rewritten(log(scan), lambda text: "\n".join(text.splitlines()[:-2]) + "\n")


def a_cut_row(scan: Path) -> None:
    with_line(log(scan), 12, "1 0 0")


def a_head_of_two_numbers(scan: Path) -> None:
    with_line(log(scan), 10, "2 2")


def a_head_that_is_no_number(scan: Path) -> None:
    with_line(log(scan), 10, "2.5 2 3")


def a_word_in_a_matrix(scan: Path) -> None:
    with_line(log(scan), 12, "1 0 0 x")


def a_log_that_is_not_text(scan: Path) -> None:
    content = log(scan).read_bytes()
    log(scan).write_bytes(content[:700] + b"\xff" + content[700:])


def a_frame_twice(scan: Path) -> None:
    with_line(log(scan), 10, "1 1 2")


def one_pose_less(scan: Path) -> None:
    rewritten(log(scan), lambda text: "\n".join(text.splitlines()[:15] + text.splitlines()[20:]) + "\n")


def half_of_the_poses(scan: Path) -> None:
    rewritten(log(scan), lambda text: "\n".join(text.splitlines()[:20]) + "\n")


def one_pose_more(scan: Path) -> None:
    rewritten(log(scan), lambda text: text + "8 8 9\n1 0 0 0\n0 1 0 0\n0 0 1 0\n0 0 0 1\n")


def numbers_beyond_the_images(scan: Path) -> None:
    rewritten(log(scan), lambda text: "\n".join(["0 0 1", *text.splitlines()[1:30], "99 99 100", *text.splitlines()[31:35]]) + "\n")


def an_infinite_pose(scan: Path) -> None:
    for row in range(11, 15):
        with_line(log(scan), row, "-inf -inf -inf -inf")


def a_nan_in_a_pose(scan: Path) -> None:
    with_line(log(scan), 11, "1 0 nan 0")


def a_scaled_pose(scan: Path) -> None:
    for row in range(11, 14):
        with_line(log(scan), row, "2 0 0 0")


def all_poses_zero(scan: Path) -> None:
    log(scan).write_text("".join(f"{index} {index} {index + 1}\n" + "0 0 0 0\n" * 4 for index in range(8)))


def a_depth_image_less(scan: Path) -> None:
    (scan / "depth" / "00004.png").unlink()


def no_images(scan: Path) -> None:
    for path in list((scan / "color").iterdir()):
        path.unlink()


def depth_of_another_size(scan: Path) -> None:
    Image.fromarray(np.ones((60, 80), dtype=np.uint16)).save(scan / "depth" / "00004.png")


def colour_of_another_size(scan: Path) -> None:
    Image.new("RGB", (80, 60)).save(scan / "color" / "00004.png")


def two_images_of_a_frame(scan: Path) -> None:
    Image.new("RGB", (160, 120)).save(scan / "color" / "00004.jpg")


def a_bomb(scan: Path) -> None:
    Image.new("1", (20_000, 15_000)).save(scan / "color" / "00000.png")


def camera(scan: Path, **changes) -> None:
    path = scan / "camera_intrinsic.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def a_camera_of_eight_numbers(scan: Path) -> None:
    camera(scan, intrinsic_matrix=[525.0] * 8)


def a_camera_of_words(scan: Path) -> None:
    camera(scan, intrinsic_matrix=["525"] * 9)


def a_camera_with_skew(scan: Path) -> None:
    camera(scan, intrinsic_matrix=[112.0, 0.0, 0.0, 3.0, 113.5, 0.0, 81.0, 58.0, 1.0])


def a_camera_without_a_size(scan: Path) -> None:
    camera(scan, width=None)


def a_camera_of_another_shape(scan: Path) -> None:
    camera(scan, width=1280, height=720)


def a_camera_of_another_size(scan: Path) -> None:
    camera(scan, intrinsic_matrix=[525.0, 0.0, 0.0, 0.0, 525.0, 0.0, 319.5, 239.5, 1.0])


def a_camera_that_looks_backwards(scan: Path) -> None:
    camera(scan, intrinsic_matrix=[-112.0, 0.0, 0.0, 0.0, 113.5, 0.0, 81.0, 58.0, 1.0])


def a_camera_that_is_not_json(scan: Path) -> None:
    (scan / "camera_intrinsic.json").write_text("{width: 160")


def a_camera_that_is_not_text(scan: Path) -> None:
    not_text(scan / "camera_intrinsic.json")


def a_camera_that_is_a_list(scan: Path) -> None:
    (scan / "camera_intrinsic.json").write_text("[1, 2]")


def a_camera_that_is_a_folder(scan: Path) -> None:
    (scan / "camera_intrinsic.json").unlink()
    (scan / "camera_intrinsic.json").mkdir()


CASES = [  # id in the catalogue of bad inputs, damage, pattern of the refusal or counted skips
    ("missing sidecar", without_the_log, r"expected a scan in the Redwood layout"),
    ("B05", two_logs, r"living_room: expected one trajectory .* found first\.log, second\.log\. Fix: trajectory=PATH"),
    ("truncated", a_cut_log, r"trajectory\.log:38: expected four rows after line 36, found the end of the file after 2"),
    ("truncated", a_cut_row, r"trajectory\.log:13: expected a row of a 4x4 matrix, found 3 numbers"),
    ("wrong version", a_head_of_two_numbers, r"trajectory\.log:11: expected three whole numbers, .* found 2 numbers"),
    ("wrong version", a_head_that_is_no_number, r"trajectory\.log:11: expected three whole numbers"),
    ("B29", a_word_in_a_matrix, r"trajectory\.log:13: expected a number, found 'x'"),
    ("non-UTF-8", a_log_that_is_not_text, r"trajectory\.log: expected UTF-8, found byte 0xff"),
    ("duplicate ids", a_frame_twice, r"trajectory\.log:11: expected each frame once, found frame 1 twice"),
    ("B05", one_pose_less, {"pose_missing": 1}),
    ("B05", half_of_the_poses, r"trajectory\.log: expected a pose for each of 8 frames, found none for 4 \(first: 00004\)"),
    ("B05", one_pose_more, r"trajectory\.log: expected a pose for each of 8 frames, .* found 9 poses with numbers 0 to 8"),
    ("B05", numbers_beyond_the_images, r"expected a pose for each of 8 frames, .* found 7 poses with numbers 0 to 99"),
    ("B01", an_infinite_pose, {"pose_not_finite": 1}),
    ("B02", a_nan_in_a_pose, {"pose_not_finite": 1}),
    ("B03", a_scaled_pose, {"pose_not_rigid": 1}),
    ("B03", all_poses_zero, r"trajectory\.log: expected usable poses, found 8 of 8 .*first: .*trajectory\.log:1\)"),
    ("B11", a_depth_image_less, r"8 colour images in .*, 7 depth images in .*: .* found no depth image for 00004\.png"),
    ("zero frames", no_images, r"color: expected colour images .*, found none"),
    ("B16", depth_of_another_size, r"frame 00004: expected depth images of 160x120 like frame 00000, found 80x60"),
    ("B16", colour_of_another_size, r"color/00004\.png: expected a colour image of 160x120, found 80x60"),
    ("duplicate ids", two_images_of_a_frame, r"color: expected one file per frame, found 00004\.jpg, 00004\.png"),
    ("B22", a_bomb, r"color/00000\.png: expected .*, found"),
    ("B07", a_camera_of_eight_numbers, r"camera_intrinsic\.json: expected an Open3D camera with `intrinsic_matrix` of 9 numbers"),
    ("B07", a_camera_of_words, r"camera_intrinsic\.json: expected an Open3D camera with `intrinsic_matrix` of 9 numbers"),
    ("B07", a_camera_with_skew, r"camera_intrinsic\.json: intrinsic_matrix: expected fx 0 0 0 fy 0 cx cy 1"),
    ("B07", a_camera_without_a_size, r"camera_intrinsic\.json: expected a whole `width` and `height`, found None and 120"),
    ("B07", a_camera_of_another_shape, r"camera_intrinsic\.json: expected images shaped like 1280x720, found 160x120"),
    ("B07", a_camera_of_another_size, r"camera_intrinsic\.json: intrinsics do not fit images of 160x120"),
    ("B07", a_camera_that_looks_backwards, r"camera_intrinsic\.json: intrinsics: expected finite fx, fy > 0, found fx=-112"),
    ("B29", a_camera_that_is_not_json, r"camera_intrinsic\.json: expected JSON"),
    ("non-UTF-8", a_camera_that_is_not_text, r"camera_intrinsic\.json: expected UTF-8"),
    ("B11", a_camera_that_is_a_folder, r"camera_intrinsic\.json: expected a file, found one that cannot be read"),
    ("wrong version", a_camera_that_is_a_list, r"camera_intrinsic\.json: expected an Open3D camera"),
]


@pytest.mark.parametrize(("spoil", "told"), [case[1:] for case in CASES], ids=[f"{case[0]} {case[1].__name__}" for case in CASES])
def test_what_is_wrong_is_named_or_counted(usual, tmp_path, spoil, told):
    wrote, root = usual
    source = copied(wrote, root, tmp_path / "source")
    spoil(source / wrote.scan_id)
    expect_verdict(wrote, source, tmp_path / "workspace", told)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"trajectory": "../elsewhere.log"}, r"trajectory: path '\.\./elsewhere\.log': expected a path inside"),
        ({"trajectory": "none.log"}, r"none\.log: expected what `trajectory` names, found nothing there"),
        ({"trajectory": "camera_intrinsic.json"}, r"camera_intrinsic\.json:1: expected a number"),
        ({"intrinsics": "/etc/hostname"}, r"intrinsics: path '/etc/hostname': expected a path inside"),
        ({"color": "colours"}, r"colours: expected what `color` names, found nothing there"),
        ({"colour": "color"}, r"unknown key 'colour'\. Did you mean 'color'\?"),
    ],
)
def test_options_that_lead_out_or_to_nothing_are_refused(usual, tmp_path, options, told):
    """B26: paths in options."""
    import re

    wrote, _ = usual
    assert re.search(told, refusal(wrote, wrote.source, tmp_path, **options))


def test_other_layouts_are_not_claimed(usual, tmp_path):
    wrote, root = usual
    scan = copied(wrote, root, tmp_path / "source") / wrote.scan_id
    log(scan).write_text("0 0 1 a line of some program's log\n")
    assert not RedwoodReader.recognises(scan) and not RedwoodReader.recognises(tmp_path / "gone")
    with pytest.raises(CaptureError, match="expected a scan in the Redwood layout, or a folder of them, found none"):
        RedwoodReader(scan, {}).scan_ids("all")
    with pytest.raises(CaptureError, match="expected split 'all'"):
        RedwoodReader(wrote.source, {}).scan_ids("train")
