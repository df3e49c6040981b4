"""Each thing that is wrong with a 7-Scenes sequence is one clear line, or frames that are skipped and counted."""

import stat
import zipfile
from pathlib import Path

import layout_sevenscenes as layout
import numpy as np
import pytest
from PIL import Image
from spoiling import copied, expect_verdict, halved, not_text, refusal, rewritten

from sightline.captures.sevenscenes import SevenScenesReader
from sightline.errors import CaptureError


@pytest.fixture(scope="module")
def usual(tmp_path_factory):
    root = tmp_path_factory.mktemp("sevenscenes") / "source"
    return layout.scene(root), root


@pytest.fixture(scope="module")
def archived(tmp_path_factory):
    root = tmp_path_factory.mktemp("sevenscenes_zip") / "source"
    return layout.archives(root), root


def frame(scene: Path, number: int, kind: str) -> Path:
    return scene / "seq-01" / f"frame-{number:06d}.{kind}"


def a_depth_image_less(scene: Path) -> None:
    frame(scene, 4, "depth.png").unlink()


def a_colour_image_less(scene: Path) -> None:
    frame(scene, 4, "color.png").unlink()


def a_pose_less(scene: Path) -> None:
    frame(scene, 4, "pose.txt").unlink()


def three_poses_less(scene: Path) -> None:
    for number in (2, 4, 5):
        frame(scene, number, "pose.txt").unlink()


def a_pose_of_infinities(scene: Path) -> None:
    frame(scene, 4, "pose.txt").write_text("-inf " * 16)


def a_pose_of_nans(scene: Path) -> None:
    rewritten(frame(scene, 4, "pose.txt"), lambda text: "nan" + text[16:])


def a_mirrored_pose(scene: Path) -> None:
    frame(scene, 4, "pose.txt").write_text("-1 0 0 0  0 1 0 0  0 0 1 0  0 0 0 1")


def poses_all_zero(scene: Path) -> None:
    for number in range(8):
        frame(scene, number, "pose.txt").write_text("0 " * 16)


def a_cut_pose(scene: Path) -> None:
    halved(frame(scene, 4, "pose.txt"))


def a_pose_of_words(scene: Path) -> None:
    frame(scene, 4, "pose.txt").write_text("one 0 0 0 0 1 0 0 0 0 1 0 0 0 0 1")


def a_pose_that_is_not_text(scene: Path) -> None:
    not_text(frame(scene, 4, "pose.txt"))


def an_empty_sequence(scene: Path) -> None:
    for path in list((scene / "seq-01").iterdir()):
        path.unlink()


def one_frame(scene: Path) -> None:
    for path in list((scene / "seq-01").iterdir()):
        if "000000" not in path.name:
            path.unlink()


def depth_of_another_size(scene: Path) -> None:
    Image.fromarray(np.ones((60, 80), dtype=np.uint16)).save(frame(scene, 4, "depth.png"))


def colour_of_another_shape(scene: Path) -> None:
    Image.new("RGB", (160, 90)).save(frame(scene, 4, "color.png"))


def text_for_an_image(scene: Path) -> None:
    frame(scene, 4, "color.png").write_text("no image")


def a_frame_twice(scene: Path) -> None:
    for kind in ("color.png", "depth.png", "pose.txt"):
        frame(scene, 4, kind).rename(scene / "seq-01" / f"frame-4.{kind}")
        (scene / "seq-01" / f"frame-04.{kind}").write_bytes((scene / "seq-01" / f"frame-4.{kind}").read_bytes())


def a_bad_split(scene: Path) -> None:
    (scene / "TrainSplit.txt").write_text("sequence1\nchess\n")


def a_split_that_is_not_text(scene: Path) -> None:
    not_text(scene / "TrainSplit.txt")


def a_split_with_an_endless_number(scene: Path) -> None:
    (scene / "TrainSplit.txt").write_text(f"sequence{'1' * 5000}\n")


def a_bomb(scene: Path) -> None:
    Image.new("1", (20_000, 15_000)).save(frame(scene, 0, "color.png"))


CASES = [  # id in the catalogue of bad inputs, damage, pattern of the refusal or counted skips
    ("B11", a_depth_image_less, r"seq-01: 8 colour images, 7 depth images: .*found no frame-000004\.depth\.png"),
    ("B11", a_colour_image_less, r"7 colour images, 8 depth images: .*found no frame-000004\.color\.png"),
    ("B05", a_pose_less, {"pose_missing": 1}),
    ("B05", three_poses_less, r"seq-01: expected a pose file for each frame, found none for 3 of 8 \(first: frame-000002\.pose\.txt\)"),
    ("B01", a_pose_of_infinities, {"pose_not_finite": 1}),
    ("B02", a_pose_of_nans, {"pose_not_finite": 1}),
    ("B03", a_mirrored_pose, {"pose_not_rigid": 1}),
    ("B03", poses_all_zero, r"seq-01: expected usable poses, found 8 of 8 that are not \(pose_not_rigid: 8; first: .*000000\.pose\.txt\)"),
    ("truncated", a_cut_pose, r"frame-000004\.pose\.txt: expected a pose of 16 or 12 numbers.*found [4-9] numbers"),
    ("truncated", a_pose_of_words, r"frame-000004\.pose\.txt:1: expected a number, found 'one'"),
    ("non-UTF-8", a_pose_that_is_not_text, r"frame-000004\.pose\.txt: expected UTF-8, found byte 0xff"),
    ("zero frames", an_empty_sequence, r"expected one of the scans chess_seq-02, chess_seq-03, found 'chess_seq-01'"),
    ("zero frames", one_frame, r"seq-01: expected at least 2 frames with a usable pose, found 1"),
    ("B16", depth_of_another_size, r"seq-01: frame frame-000004: expected depth images of 160x120 like frame frame-000000, found 80x60"),
    ("B16", colour_of_another_shape, r"frame-000004\.color\.png: expected an image shaped like 640x480, found 160x90"),
    ("B19", text_for_an_image, r"frame-000004\.color\.png: expected a JPEG/PNG/WEBP image"),
    ("B22", a_bomb, r"frame-000000\.color\.png: expected .*, found"),
    ("B29", a_bad_split, r"TrainSplit\.txt:2: expected a line such as sequence1, found 'chess'"),
    ("B14", a_split_with_an_endless_number, r"TrainSplit\.txt:1: expected a line such as sequence1, found 'sequence1+'"),
    ("non-UTF-8", a_split_that_is_not_text, r"TrainSplit\.txt: expected UTF-8, found byte 0x"),
]


@pytest.mark.parametrize(("spoil", "told"), [case[1:] for case in CASES], ids=[f"{case[0]} {case[1].__name__}" for case in CASES])
def test_what_is_wrong_is_named_or_counted(usual, tmp_path, spoil, told):
    wrote, root = usual
    source = copied(wrote, root, tmp_path / "source")
    spoil(source)
    expect_verdict(wrote, source, tmp_path / "workspace", told)


def test_names_of_one_number_are_two_frames_as_long_as_they_differ(usual, tmp_path):
    """`frame-4` and `frame-04` have ids of their own; the real files always have six digits."""
    wrote, root = usual
    source = copied(wrote, root, tmp_path / "source")
    a_frame_twice(source)
    ids = [one.frame_id for one in SevenScenesReader(source, {}).read("chess_seq-01", workspace=tmp_path).frames]
    assert len(ids) == len(set(ids)) == 9


def members(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def write_zip(path: Path, contents: dict[str, bytes]) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in contents.items():
            archive.writestr(name, content)


def a_cut_archive(path: Path) -> None:
    halved(path)


def an_empty_file(path: Path) -> None:
    path.write_bytes(b"")


def an_archive_that_leads_out(path: Path) -> None:
    write_zip(path, {**members(path), "../../escaped.txt": b"out"})


def an_archive_with_an_absolute_name(path: Path) -> None:
    write_zip(path, {**members(path), "/etc/escaped.txt": b"out"})


def an_archive_with_a_link(path: Path) -> None:
    contents = members(path)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in contents.items():
            info = zipfile.ZipInfo(name)
            info.external_attr = (stat.S_IFLNK | 0o777) << 16 if name.endswith("000003.color.png") else 0o644 << 16
            archive.writestr(info, b"/etc/hostname" if name.endswith("000003.color.png") else content)


def an_archive_that_inflates(path: Path) -> None:
    write_zip(path, {**members(path), "seq-01/frame-000009.color.png": bytes(40 << 20)})


def an_archive_with_a_frame_in_two_folders(path: Path) -> None:
    contents = members(path)
    write_zip(path, {**contents, "copy/frame-000003.color.png": contents["seq-01/frame-000003.color.png"]})


def an_archive_with_a_huge_pose(path: Path) -> None:
    write_zip(path, {**members(path), "seq-01/frame-000003.pose.txt": b"0 " * 100_000})


def an_archive_with_a_bad_depth_image(path: Path) -> None:
    write_zip(path, {**members(path), "seq-01/frame-000003.depth.png": b"no image"})


def a_depth_image_less_in_the_archive(path: Path) -> None:
    write_zip(path, {name: content for name, content in members(path).items() if not name.endswith("000003.depth.png")})


def a_broken_member(path: Path) -> None:
    content = bytearray(path.read_bytes())
    start = content.find(b"frame-000003.color.png") + 400
    content[start : start + 50] = bytes(50)
    path.write_bytes(bytes(content))


ARCHIVES = [
    ("B25", a_cut_archive, r"seq-01\.zip: expected a zip archive, found none or a damaged one"),
    ("B25", an_empty_file, r"seq-01\.zip: expected a zip archive"),
    ("B25", an_archive_that_leads_out, r"seq-01\.zip: member '\.\./\.\./escaped\.txt': expected a path inside the archive"),
    ("B25", an_archive_with_an_absolute_name, r"seq-01\.zip: member '/etc/escaped\.txt': expected a relative path"),
    ("B25", an_archive_with_a_link, r"member 'seq-01/frame-000003\.color\.png': expected a file or a folder, found a link"),
    ("B25", an_archive_that_inflates, r"frame-000009\.color\.png': expected at most 200 times its"),
    ("B25", a_broken_member, r"frame-000003\.color\.png': expected a whole member, found a truncated or damaged one"),
    ("duplicate ids", an_archive_with_a_frame_in_two_folders, r"expected frame 000003 once, found seq-01/.* and copy/"),
    ("B22", an_archive_with_a_huge_pose, r"frame-000003\.pose\.txt': expected at most 4096 bytes, found 200000"),
    ("B19", an_archive_with_a_bad_depth_image, r"seq-01\.zip: member 'seq-01/frame-000003\.depth\.png': .*expected a JPEG/PNG/WEBP image"),
    ("B11", a_depth_image_less_in_the_archive, r"seq-01\.zip: .*found no frame-000003\.depth\.png"),
]


@pytest.mark.parametrize(("spoil", "told"), [case[1:] for case in ARCHIVES], ids=[f"{case[0]} {case[1].__name__}" for case in ARCHIVES])
def test_a_bad_archive_is_refused_by_name_and_nothing_leads_out(archived, tmp_path, spoil, told):
    wrote, root = archived
    source = copied(wrote, root, tmp_path / "source")
    spoil(source / "red kitchen" / "seq-01.zip")
    expect_verdict(wrote, source, tmp_path / "workspace", told)
    assert {path.name for path in tmp_path.iterdir()} == {"source", "workspace"} and not list(tmp_path.rglob("escaped*"))


def test_intrinsics_for_another_size_of_image_are_refused(usual, tmp_path):
    wrote, _ = usual
    told = refusal(wrote, wrote.source, tmp_path, intrinsics=[130.0, 130.0, 80.0, 60.0])  # B07
    assert "intrinsics do not fit images of 640x480" in told and told.endswith("Fix: intrinsics=[FX,FY,CX,CY] in pixels of 640x480 images")


def test_a_folder_without_sequences_and_unknown_splits_are_named(usual, tmp_path):
    wrote, _ = usual
    assert not SevenScenesReader.recognises(tmp_path)
    with pytest.raises(CaptureError, match="expected a scene with folders or archives seq-01"):
        SevenScenesReader(tmp_path, {}).scan_ids("all")
    with pytest.raises(CaptureError, match="expected split all, train or test, found 'val'"):
        SevenScenesReader(wrote.source, {}).scan_ids("val")
    (tmp_path / "TrainSplit.txt").unlink(missing_ok=True)
