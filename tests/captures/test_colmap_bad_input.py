"""Each thing that is wrong with a COLMAP project is one clear line that names the file and place, or a counted skip."""

import shutil
import struct
from pathlib import Path

import layout_colmap
import numpy as np
import pytest
from PIL import Image

from sightline.captures.colmap.reader import ColmapReader
from sightline.errors import SightlineError


@pytest.fixture(scope="module")
def projects(tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("colmap")
    return {name: layout_colmap.VARIANTS[name](folder / name).source for name in ("text", "binary_stereo", "depth_images", "distorted")}


def read(project: Path, **options):
    workspace = project.parent / f"workspace_{len(list(project.parent.iterdir()))}"
    workspace.mkdir()
    reader = ColmapReader(project, {"up_axis": "-y", **options})
    return reader.read(reader.scan_ids("all")[0], workspace=workspace)


def rewrite(path: Path, old: str, new: str, count: int = 1) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, count))


def patch(path: Path, offset: int, data: bytes) -> None:
    whole = bytearray(path.read_bytes())
    whole[offset : offset + len(data)] = data
    path.write_bytes(bytes(whole))


def cut(path: Path, keep: int) -> None:
    path.write_bytes(path.read_bytes()[:keep])


def image_lines(project: Path) -> list[str]:
    return (project / "sparse/0/images.txt").read_text().splitlines(keepends=True)


def change_pose(project: Path, rows: slice, value: str) -> None:
    """Writes `value` for the first number of the translation of some images."""
    path, lines = project / "sparse/0/images.txt", image_lines(project)
    heads = [index for index, line in enumerate(lines) if line.rstrip().endswith(".png")][rows]
    for index in heads:
        words = lines[index].split(" ")
        words[5] = value
        lines[index] = " ".join(words)
    path.write_text("".join(lines))


def rename_image(project: Path, name: str) -> None:
    rewrite(project / "sparse/0/images.txt", layout_colmap.NAMES[2], name)


def two_depth_sizes(project: Path) -> None:
    path = next((project / "depth").rglob("*.png"))
    Image.fromarray(np.ones((50, 90), dtype=np.uint16)).save(path)


def other_depth_names(project: Path) -> None:
    for path in list((project / "depth").rglob("*.png")):
        path.rename(path.with_name(f"depth_of_{path.name}"))


def other_photo(project: Path) -> None:
    Image.fromarray(np.zeros((60, 80, 3), dtype=np.uint8)).save(project / "images" / layout_colmap.NAMES[1])


def linked_outside(project: Path) -> None:
    path = project / "images" / layout_colmap.NAMES[1]
    outside = project.parent / "outside.png"
    shutil.move(path, outside)
    path.symlink_to(outside)


def half_the_images_gone(project: Path) -> None:
    for path in sorted((project / "images").iterdir())[:4]:
        path.unlink()


def stereo_of_distorted(project: Path) -> None:
    place = project / "stereo/depth_maps"
    place.mkdir(parents=True)
    (place / f"{layout_colmap.NAMES[0]}.geometric.bin").write_bytes(b"1&1&1&" + b"\0" * 4)


IMAGES, CAMERAS, IMAGES_TEXT, CAMERAS_TEXT = "sparse/images.bin", "sparse/cameras.bin", "sparse/0/images.txt", "sparse/0/cameras.txt"
NAMES = layout_colmap.NAMES
DEPTH_MAP = f"stereo/depth_maps/{NAMES[3]}.geometric.bin"
REFUSED = [  # (catalogue, project, damage, options, message)
    ("B29", "text", lambda p: (p / IMAGES_TEXT).unlink(), {}, r"expected a COLMAP model .* found none. Fix: model=FOLDER"),
    ("B21", "binary_stereo", lambda p: cut(p / IMAGES, 300), {}, r"images.bin: byte \d+: expected .* truncated"),
    ("B21", "binary_stereo", lambda p: cut(p / IMAGES, 5), {}, r"images.bin: byte 0: expected the number of images"),
    ("B21", "binary_stereo", lambda p: cut(p / CAMERAS, 40), {}, r"cameras.bin: byte \d+: expected the parameters of PINHOLE"),
    (
        "B21",
        "binary_stereo",
        lambda p: patch(p / IMAGES, 0, b"\xff" * 8),
        {},
        r"at most \d+ images in what is left, found 18446",
    ),
    ("B21", "binary_stereo", lambda p: patch(p / CAMERAS, 0, b"\0\0\0\0\1\0\0\0"), {}, r"at most 2 cameras in what is left"),
    ("B21", "binary_stereo", lambda p: patch(p / IMAGES, 8 + 64 + 16, b"\xff" * 7), {}, r"points of an image in what is left"),
    (
        "B32",
        "binary_stereo",
        lambda p: patch(p / IMAGES, 8 + 64, b"\xff\xfe"),
        {},
        r"byte 72: expected a UTF-8 name",
    ),
    (
        "B21",
        "binary_stereo",
        lambda p: (p / IMAGES).open("ab").write(b"more"),
        {},
        r"expected the end .* found 4 more",
    ),
    ("B46", "binary_stereo", lambda p: (p / IMAGES).write_bytes(b"\0" * 8), {}, r"expected registered images, found none"),
    ("model", "binary_stereo", lambda p: patch(p / CAMERAS, 12, b"\x0a"), {}, r"found THIN_PRISM_FISHEYE. Fix: run COLMAP's"),
    ("model", "binary_stereo", lambda p: patch(p / CAMERAS, 12, b"\x63"), {}, r"found model number 99"),
    ("model", "text", lambda p: rewrite(p / CAMERAS_TEXT, "PINHOLE", "FOV"), {}, r"cameras.txt:2: .*found FOV"),
    ("model", "text", lambda p: rewrite(p / CAMERAS_TEXT, "PINHOLE", "RADIAL"), {}, r"expected 5 parameters of RADIAL .*found 4"),
    ("B07", "text", lambda p: rewrite(p / CAMERAS_TEXT, "112.0", "-112.0"), {}, r"camera 1: .*fx=-112"),
    ("B07", "text", lambda p: rewrite(p / CAMERAS_TEXT, "112.0", "nan"), {}, r"camera 1: .*fx=nan"),
    ("B07", "text", lambda p: rewrite(p / CAMERAS_TEXT, "81.5", "640.5"), {}, r"intrinsics do not fit images of 160x120"),
    ("B33", "text", lambda p: rewrite(p / IMAGES_TEXT, NAMES[1], NAMES[2]), {}, r"every image once"),
    (
        "B33",
        "text",
        lambda p: rewrite(p / IMAGES_TEXT, "\n8 ", "\n9 "),
        {},
        r"images.txt:\d+: .*once, found image 9",
    ),
    (
        "B43",
        "text",
        lambda p: rewrite(p / IMAGES_TEXT, " 1 frame", " 5 frame"),
        {},
        r"cameras.txt holds, found camera 5",
    ),
    ("B32", "text", lambda p: patch(p / IMAGES_TEXT, 60, b"\xff"), {}, r"images.txt:\d+: expected UTF-8, found byte 0xff"),
    ("B29", "text", lambda p: cut(p / IMAGES_TEXT, 150), {}, r"images.txt:2: expected .IMAGE_ID"),
    ("B32", "text", lambda p: rewrite(p / CAMERAS_TEXT, "112.0", "abc"), {}, r"cameras.txt:2: expected a number, found 'abc'"),
    ("B26", "text", lambda p: rename_image(p, "../../../etc/passwd"), {}, r"expected a path inside .*, found one that leads outside"),
    ("B26", "text", lambda p: rename_image(p, "/etc/passwd"), {}, r"expected a path inside .*, found one that leads outside"),
    ("B26", "text", linked_outside, {}, r"expected a path inside .*, found one that leads outside"),
    ("B26", "text", lambda p: None, {"images": "../.."}, r"images: .*leads outside"),
    (
        "B01",
        "text",
        lambda p: change_pose(p, slice(0, 4), "-inf"),
        {},
        r"found 4 of 8 .*\(pose_not_finite: 4; first: .*images.txt:",
    ),
    (
        "B11",
        "text",
        half_the_images_gone,
        {},
        r"found 4 of 8 .*image_missing: 4.*images=FOLDER",
    ),
    ("B11", "text", lambda p: shutil.rmtree(p / "images"), {}, r"expected a folder of images"),
    ("B07", "text", other_photo, {}, r"expected a colour image of 160x120, found 80x60"),
    ("B19", "distorted", lambda p: cut(next((p / "images").iterdir()), 900), {"undistort": True}, r"expected a whole image"),
    (
        "lens",
        "distorted",
        lambda p: None,
        {},
        r"cameras.txt:2: .*found OPENCV with -0.21.*undistort=true",
    ),
    ("lens", "distorted", stereo_of_distorted, {"undistort": True}, r"expected depth maps of images without distortion"),
    ("depth", "depth_images", two_depth_sizes, {}, r"expected a depth image of the shape of its"),
    ("B21", "binary_stereo", lambda p: cut(p / DEPTH_MAP, 200), {}, r"geometric.bin: expected 43200 bytes after byte 9 for 120x90"),
    ("B21", "binary_stereo", lambda p: patch(p / DEPTH_MAP, 0, b"junk"), {}, r"expected 'width&height&channels&' at its start"),
    (
        "B22",
        "binary_stereo",
        lambda p: patch(p / DEPTH_MAP, 0, b"999999999&999999999&1&"),
        {},
        r"at most \d+ pixels, found 9999",
    ),
    (
        "depth",
        "depth_images",
        other_depth_names,
        {},
        r"depth: expected depth maps named after the images, such as cam0/shot0.png, found none",
    ),
    ("options", "text", lambda p: None, {"max_frames": 1}, r"max_frames"),
]


@pytest.mark.parametrize(("catalogue", "project", "damage", "options", "message"), REFUSED)
def test_what_is_wrong_is_named_in_one_line(projects, tmp_path, catalogue, project, damage, options, message):
    folder = Path(shutil.copytree(projects[project], tmp_path / "flat", symlinks=True))
    damage(folder)
    with pytest.raises(SightlineError, match=message) as caught:
        read(folder, **options)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 600


SKIPPED = [
    ("B01", "text", lambda p: change_pose(p, slice(0, 1), "-inf"), "pose_not_finite"),
    ("B02", "text", lambda p: change_pose(p, slice(2, 3), "nan"), "pose_not_finite"),
    ("B11", "text", lambda p: (p / "images" / NAMES[4]).unlink(), "image_missing"),
]


@pytest.mark.parametrize(("catalogue", "project", "damage", "reason"), SKIPPED)
def test_a_frame_that_cannot_be_used_is_left_out_and_counted(projects, tmp_path, catalogue, project, damage, reason):
    folder = Path(shutil.copytree(projects[project], tmp_path / "flat"))
    damage(folder)
    capture = read(folder)
    assert [one.reason for one in capture.skipped] == [reason] and len(capture.frames) == 7


def test_cutting_the_binary_files_anywhere_is_one_clear_error(projects, tmp_path):
    folder = Path(shutil.copytree(projects["binary_stereo"], tmp_path / "flat"))
    for name in ("cameras.bin", "images.bin"):
        whole = (folder / "sparse" / name).read_bytes()
        for keep in np.random.default_rng(5).integers(0, len(whole) - 1, size=40):
            (folder / "sparse" / name).write_bytes(whole[: int(keep)])
            with pytest.raises(SightlineError, match=name):
                read(folder)
        (folder / "sparse" / name).write_bytes(whole)
    assert struct.unpack("<Q", (folder / IMAGES).read_bytes()[:8]) == (8,)
