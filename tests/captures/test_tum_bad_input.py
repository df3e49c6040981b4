"""Each thing that is wrong with a TUM RGB-D folder is one clear line, or frames that are skipped and counted."""

import shutil
from pathlib import Path

import layout_tum as layout
import numpy as np
import pytest
from PIL import Image
from spoiling import copied, expect_verdict, halved, not_text, refusal, rewritten, with_line

from sightline.captures.tum import TumReader
from sightline.errors import CaptureError, UnknownNameError


@pytest.fixture(scope="module")
def usual(tmp_path_factory):
    root = tmp_path_factory.mktemp("tum") / "source"
    return layout.freiburg(root), root


@pytest.fixture(scope="module")
def associated(tmp_path_factory):
    root = tmp_path_factory.mktemp("icl") / "source"
    return layout.icl_nuim(root), root


def scan_of(source: Path) -> Path:
    return source / "rgbd_dataset_freiburg1_room" if (source / "rgbd_dataset_freiburg1_room").is_dir() else source


def no_trajectory(scan: Path) -> None:
    (scan / "groundtruth.txt").unlink()


def two_trajectories(scan: Path) -> None:
    shutil.copy(scan / "groundtruth.txt", scan / "other.gt.freiburg")


def an_empty_trajectory(scan: Path) -> None:
    (scan / "groundtruth.txt").write_text("# timestamp tx ty tz qx qy qz qw\n")


def a_cut_trajectory_line(scan: Path) -> None:
    rewritten(scan / "groundtruth.txt", lambda text: text[:-60] + "\n")


def matrices_for_a_trajectory(scan: Path) -> None:
    (scan / "groundtruth.txt").write_text("1 0 0 0 0 1 0 0 0 0 1 0\n")


def a_pose_at_no_time(scan: Path) -> None:
    with_line(scan / "groundtruth.txt", 5, "nan 0 0 0 0 0 0 1")


def a_trajectory_of_another_day(scan: Path) -> None:
    rewritten(scan / "groundtruth.txt", lambda text: text.replace("13050311", "14050311"))


def one_pose_not_finite(scan: Path) -> None:
    def change(text: str) -> str:
        lines = text.splitlines()
        for place in range(3, 7):  # the four around the first image
            lines[place] = lines[place].split()[0] + " nan 0 0 0 0 0 1"
        return "\n".join(lines) + "\n"

    rewritten(scan / "groundtruth.txt", change)


def all_poses_infinite(scan: Path) -> None:
    rewritten(scan / "groundtruth.txt", lambda text: "".join(line.split()[0] + " -inf 0 0 0 0 0 1\n" for line in text.splitlines()[3:]))


def quaternions_of_no_length(scan: Path) -> None:
    rewritten(scan / "groundtruth.txt", lambda text: "".join(line.split()[0] + " 0 0 0 0 0 0 0\n" for line in text.splitlines()[3:]))


def a_gap_in_the_trajectory(scan: Path) -> None:
    rewritten(scan / "groundtruth.txt", lambda text: "\n".join(text.splitlines()[:3] + text.splitlines()[7:]) + "\n")


def one_depth_not_in_time(scan: Path) -> None:
    rewritten(scan / "depth.txt", lambda text: "\n".join(line for line in text.splitlines() if "1305031102.16" not in line) + "\n")


def depth_of_another_clock(scan: Path) -> None:
    rewritten(scan / "depth.txt", lambda text: text.replace("\n13050311", "\n14050311"))


def an_empty_list(scan: Path) -> None:
    (scan / "rgb.txt").write_text("# nothing\n")


def a_list_with_one_word(scan: Path) -> None:
    with_line(scan / "rgb.txt", 4, "rgb/1305031102.675304.png")


def a_list_with_a_word_for_a_time(scan: Path) -> None:
    with_line(scan / "depth.txt", 4, "noon depth/1.png")


def a_list_at_no_time(scan: Path) -> None:
    with_line(scan / "rgb.txt", 4, "inf rgb/1.png")


def a_list_that_is_not_text(scan: Path) -> None:
    not_text(scan / "rgb.txt")


def a_trajectory_that_is_not_text(scan: Path) -> None:
    not_text(scan / "groundtruth.txt")


def a_list_that_leads_out(scan: Path) -> None:
    with_line(scan / "rgb.txt", 4, "1305031102.675304 ../../../secret.png")


def a_list_with_an_absolute_path(scan: Path) -> None:
    with_line(scan / "rgb.txt", 4, "1305031102.675304 /etc/hostname")


def a_link_that_leads_out(scan: Path) -> None:
    (scan.parent.parent / "away").mkdir()
    shutil.move(scan / "rgb", scan.parent.parent / "away" / "rgb")
    (scan / "rgb").symlink_to(scan.parent.parent / "away" / "rgb")


def a_colour_image_less(scan: Path) -> None:
    sorted((scan / "rgb").iterdir())[2].unlink()


def a_depth_image_less(scan: Path) -> None:
    sorted((scan / "depth").iterdir())[2].unlink()


def a_colour_image_twice(scan: Path) -> None:
    rewritten(scan / "rgb.txt", lambda text: text + text.splitlines()[-1] + "\n")


def depth_of_another_size(scan: Path) -> None:
    Image.fromarray(np.ones((60, 80), dtype=np.uint16)).save(sorted((scan / "depth").iterdir())[3])


def a_cut_depth_image_header(scan: Path) -> None:
    path = sorted((scan / "depth").iterdir())[3]
    path.write_bytes(path.read_bytes()[:20])


def colour_of_another_size(scan: Path) -> None:
    Image.new("RGB", (80, 60)).save(sorted((scan / "rgb").iterdir())[3])


def portrait_images(scan: Path) -> None:
    for path in (scan / "rgb").iterdir():
        Image.new("RGB", (120, 160)).save(path)


def a_bomb(scan: Path) -> None:
    Image.new("1", (20_000, 10_000)).save(sorted((scan / "rgb").iterdir())[0])


CASES = [  # what is done to it, what is told: a pattern of the refusal or counted skips; ids of the catalogue of bad inputs
    ("B05", no_trajectory, r"freiburg1_room: expected one trajectory \(groundtruth\.txt or \*\.gt\.freiburg\), found none"),
    ("B05", two_trajectories, r"expected one trajectory .* found groundtruth\.txt, other\.gt\.freiburg"),
    ("B05", an_empty_trajectory, r"groundtruth\.txt: expected `time_s x y z qx qy qz qw`, found no pose"),
    (
        "B05",
        a_cut_trajectory_line,
        r"groundtruth\.txt:35: expected a pose of 16 or 12 numbers, or `time_s x y z qx qy qz qw`, found \d numbers",
    ),
    ("B05", matrices_for_a_trajectory, r"groundtruth\.txt:1: expected `time_s x y z qx qy qz qw`, found a pose without a time"),
    ("B05", a_pose_at_no_time, r"groundtruth\.txt:6: expected `time_s x y z qx qy qz qw`"),
    (
        "B05",
        a_trajectory_of_another_day,
        r"groundtruth\.txt: expected a pose within 0\.05 s .* found none for 8 of 8 .*Fix: max_pose_gap_s",
    ),
    ("B02", one_pose_not_finite, {"pose_not_finite": 1}),
    ("B01", all_poses_infinite, r"groundtruth\.txt: expected usable poses, found 8 of 8 that are not \(pose_not_finite: 8; first: .*:2\)"),
    ("B03", quaternions_of_no_length, r"expected usable poses, found 8 of 8"),
    ("B05", a_gap_in_the_trajectory, {"pose_not_in_time": 1}),
    ("B05", one_depth_not_in_time, {"no_depth_in_time": 1}),
    ("B05", depth_of_another_clock, r"depth\.txt: expected a depth image within 0\.02 s .* 8 of 8 .*Fix: max_time_gap_s"),
    ("zero frames", an_empty_list, r"rgb\.txt: expected lines of `time_s path`, found none"),
    ("B29", a_list_with_one_word, r"rgb\.txt:5: expected `time_s path`, found 1 words"),
    ("B29", a_list_with_a_word_for_a_time, r"depth\.txt:5: expected a time in seconds, found 'noon'"),
    ("B29", a_list_at_no_time, r"rgb\.txt:5: expected a finite time in seconds, found inf"),
    ("non-UTF-8", a_list_that_is_not_text, r"rgb\.txt: expected UTF-8, found byte 0xff at offset 40"),
    ("non-UTF-8", a_trajectory_that_is_not_text, r"groundtruth\.txt: expected UTF-8, found byte 0xff"),
    (
        "B26",
        a_list_that_leads_out,
        r"rgb\.txt:5: path '\.\./\.\./\.\./secret\.png': expected a path inside .*, found one that leads outside",
    ),
    ("B26", a_list_with_an_absolute_path, r"rgb\.txt:5: path '/etc/hostname': expected a path inside"),
    ("B26", a_link_that_leads_out, r"rgb\.txt:4: path 'rgb/.*': expected a path inside"),
    ("B11", a_colour_image_less, r"1305031103\.175304\.png: expected what `rgb\.txt:6` names, found nothing there"),
    ("B11", a_depth_image_less, r"1305031103\.164304\.png: expected what `depth\.txt:6` names, found nothing there"),
    ("duplicate ids", a_colour_image_twice, r"expected every frame once, found frame '1305031105\.675304' 2 times"),
    ("B16", depth_of_another_size, r"expected depth images of 160x120 like frame .*, found 80x60"),
    ("B19", a_cut_depth_image_header, r"depth/.*\.png: expected a JPEG/PNG/WEBP image, found something that does not open"),
    ("B16", colour_of_another_size, r"rgb/.*\.png: expected a colour image of 160x120, found 80x60"),
    ("B07", portrait_images, r"freiburg1, colour camera: expected images shaped like 640x480, found 120x160\. Fix: intrinsics="),
    ("B22", a_bomb, r"rgb/.*\.png: expected .*(pixels|image), found"),
]


@pytest.mark.parametrize(("spoil", "told"), [case[1:] for case in CASES], ids=[f"{case[0]} {case[1].__name__}" for case in CASES])
def test_what_is_wrong_is_named_or_counted(usual, tmp_path, spoil, told):
    wrote, root = usual
    source = copied(wrote, root, tmp_path / "source")
    spoil(scan_of(source))
    expect_verdict(wrote, source, tmp_path / "workspace", told)
    assert not list((tmp_path / "workspace").iterdir())


def test_a_folder_whose_name_names_no_camera_asks_for_one(usual, tmp_path):
    wrote, root = usual
    scan = scan_of(copied(wrote, root, tmp_path / "source"))
    scan.rename(scan.with_name("room"))
    with pytest.raises(CaptureError, match=r"room: expected to know the camera.*Fix: intrinsics=\[FX,FY,CX,CY\]"):
        TumReader(tmp_path / "source", {}).read("room", workspace=tmp_path)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("1 depth/1.png 1", r"associations\.txt:2: expected `time_s path time_s path`, found 3 words"),
        ("1 depth/1.png 1 depth/1.png", r"associations\.txt:2: expected one path of the two below depth/"),
        ("1 rgb/1.png 1 rgb/1.png", r"associations\.txt:2: expected one path of the two below depth/"),
        ("1 depth/1.png x rgb/1.png", r"associations\.txt:2: expected a time in seconds, found 'x'"),
        ("1 ../depth/1.png 1 rgb/1.png", r"associations\.txt:2: path '\.\./depth/1\.png': expected a path inside"),
    ],
)
def test_a_bad_association_is_named_with_its_line(associated, tmp_path, line, told):
    wrote, root = associated
    source = copied(wrote, root, tmp_path / "source")
    with_line(source / "associations.txt", 1, line)
    expect_verdict(wrote, source, tmp_path / "workspace", told)


def test_intrinsics_of_another_size_and_misspelt_options_are_refused(usual, tmp_path):
    wrote, root = usual
    told = refusal(wrote, wrote.source, tmp_path, intrinsics=[525.0, 525.0, 319.5, 239.5])
    assert "intrinsics do not fit images of 160x120" in told and "640x480" in told  # B07
    with pytest.raises(UnknownNameError, match="Did you mean 'max_pose_gap_s'"):
        TumReader(wrote.source, {"max_pose_gap": 1.0})


def test_a_truncated_image_is_found_when_it_is_decoded(usual, tmp_path):
    """The import decodes every image once (`tests/test_bad_captures.py`); the reader looks at headers alone."""
    from sightline.captures.images import read_rgb

    wrote, root = usual
    path = sorted((scan_of(copied(wrote, root, tmp_path / "source")) / "rgb").iterdir())[2]
    halved(path)
    with pytest.raises(CaptureError, match="truncated or damaged"):
        read_rgb(path)


def test_other_layouts_are_not_claimed(usual, tmp_path):
    wrote, root = usual
    scan = scan_of(copied(wrote, root, tmp_path / "source"))
    (scan / "depth.txt").unlink()  # a groundtruth.txt beside two folders is anybody's own scan
    assert not TumReader.recognises(scan) and not TumReader.recognises(tmp_path) and not TumReader.recognises(tmp_path / "gone")
    with pytest.raises(CaptureError, match="expected a scan in the TUM RGB-D layout"):
        TumReader(scan, {}).scan_ids("all")
    with pytest.raises(CaptureError, match="expected split 'all'"):
        TumReader(wrote.source, {}).scan_ids("train")
    with pytest.raises(CaptureError, match="expected one of the scans rgbd_dataset_freiburg1_room, found 'x'"):
        TumReader(wrote.source, {}).read("x", workspace=tmp_path)
