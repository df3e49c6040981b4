"""Each thing that is wrong with a Matterport3D house is one clear line, a counted frame or a counted box."""

import json
from collections.abc import Callable
from pathlib import Path

import layout_matterport3d as layout
import numpy as np
import pytest
import true_room as true
from PIL import Image
from spoiling import copied, expect_verdict, halved, not_text, read, refusal, rewritten, with_line

from sightline.captures.matterport3d.reader import Matterport3DReader
from sightline.errors import CaptureError

CONF = Path("undistorted_camera_parameters") / f"{layout.HOUSE}.conf"
HOUSE_FILE = Path("house_segmentations") / f"{layout.HOUSE}.house"
HOUSE_MESH = HOUSE_FILE.with_suffix(".ply")


@pytest.fixture(scope="module")
def usual(tmp_path_factory):
    """A house of undistorted images with its objects; its large mesh is replaced by a triangle."""
    root = tmp_path_factory.mktemp("matterport3d") / "source"
    wrote = layout.undistorted(root)
    write_triangles(wrote.source / HOUSE_MESH, segments=[1])
    return wrote, root


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    root = tmp_path_factory.mktemp("matterport3d_raw") / "source"
    house = root / layout.HOUSE
    layout.write_raw(house, depth=True, lens=False)
    return layout.written(house, boxes=None), root


@pytest.fixture(scope="module")
def lens(tmp_path_factory):
    root = tmp_path_factory.mktemp("matterport3d_lens") / "source"
    house = root / layout.HOUSE
    layout.write_raw(house, depth=True, lens=True)
    return layout.written(house, boxes=None), root


def write_triangles(path: Path, *, segments: list[int], corner: str = "0 0 1") -> None:
    vertices = f"0 0 0\n1 0 0\n{corner}\n"
    header = "ply\nformat ascii 1.0\nelement vertex 3\nproperty float x\nproperty float y\nproperty float z\n"
    path.write_text(header + "element face 1\nproperty list uchar int vertex_indices\nend_header\n" + vertices + "3 0 1 2\n")
    path.with_suffix(".fsegs.json").write_text(json.dumps({"segIndices": segments}))


def conf(change: Callable[[str], str]) -> Callable[[Path], None]:
    return lambda house: rewritten(house / CONF, change)


def swapped(old: str, new: str) -> Callable[[str], str]:
    return lambda text: text.replace(old, new, 1)


def scan_pose(number: int, text: str) -> Callable[[str], str]:
    """The `number`-th scan with another pose."""

    def change(text_of_file: str) -> str:
        lines = text_of_file.splitlines()
        places = [place for place, line in enumerate(lines) if line.startswith("scan")]
        for place in places[:1] if number < 0 else [places[number]]:
            lines[place] = " ".join([*lines[place].split()[:3], text])
        return "\n".join(lines) + "\n"

    return change


def image(kind: str, place: str) -> Callable[[Path], Path]:
    return lambda house: house / f"{kind}_images" / f"{layout.PANORAMA}_{place}"


def without(kind: str, *places: str) -> Callable[[Path], None]:
    def spoil(house: Path) -> None:
        for place in places:
            image(kind, place)(house).unlink()

    return spoil


def depth_of_another_size(house: Path) -> None:
    Image.fromarray(np.ones((60, 90), dtype=np.uint16)).save(image("undistorted_depth", "d1_0.png")(house))


def a_cut_image(house: Path) -> None:
    path = image("undistorted_color", "i1_0.jpg")(house)
    path.write_bytes(path.read_bytes()[:10])


def house_line(kind: str, place: int, change: Callable[[list[str]], list[str]]) -> Callable[[Path], None]:
    """The `place`-th record of a kind with other words."""

    def spoil(house: Path) -> None:
        path = house / HOUSE_FILE
        lines = path.read_text().splitlines()
        row = [number for number, line in enumerate(lines) if line.split()[:1] == [kind]][place]
        with_line(path, row, " ".join(change(lines[row].split())))

    return spoil


def word(at: int, new: str) -> Callable[[list[str]], list[str]]:
    return lambda words: [*words[:at], new, *words[at + 1 :]]


def a_cut_house_file(house: Path) -> None:
    lines = (house / HOUSE_FILE).read_text().splitlines()
    (house / HOUSE_FILE).write_text("\n".join(lines[:-5]) + "\n")


def a_mesh_with_other_segments(house: Path) -> None:
    write_triangles(house / HOUSE_MESH, segments=[1, 2, 3])


def a_mesh_with_nan(house: Path) -> None:
    write_triangles(house / HOUSE_MESH, segments=[1], corner="0 nan 1")


EYE = " ".join(str(value) for value in np.eye(4).ravel())
NAME = layout.PANORAMA
CASES = [
    ("truncated cameras", conf(lambda text: text[: len(text) // 2]), r"\.conf.*expected 16 numbers, found|truncated"),
    ("cameras cut between lines", conf(lambda text: "\n".join(text.splitlines()[:-2])), r"n_images 8 and as many scans, found 6"),
    ("no n_images", conf(swapped("n_images 8", "")), r"expected n_images COUNT and as many scans, found 8"),
    ("zero frames", conf(lambda text: "n_images 0\n"), r"2n8kARJN3HM: expected images .*, found none"),
    ("B33 an image twice", conf(swapped("_d0_1.png", "_d0_0.png")), r"expected `scan NAME_dC_Y\.png NAME_iC_Y\.jpg"),
    ("B33 a scan twice", conf(lambda text: text + text.splitlines()[6] + "\n"), r"expected every image once"),
    ("B26 an image upwards", conf(swapped(f"{NAME}_i0_1", f"../{NAME}_i0_1")), r"\.conf:8: expected `scan NAME_dC_Y"),
    ("B26 an absolute image", conf(swapped(f"{NAME}_i0_1", "/etc/x_i0_1")), r"\.conf:8: expected `scan NAME_dC_Y"),
    ("B07 no camera matrix", conf(swapped("intrinsics_matrix", "intrinsics")), r"expected an intrinsics_matrix before the first scan"),
    ("B07 eight numbers", conf(swapped("  0 0 1\n", "  0 0\n")), r"\.conf:6: expected 9 numbers, found 8"),
    ("B07 a camera of another size", conf(swapped("81.0", "640.0")), r"\.conf:7: intrinsics_matrix: intrinsics do not fit"),
    ("a pose of words", conf(scan_pose(3, "x " * 16)), r"\.conf:\d+: expected 16 numbers, found could not convert"),
    ("a pose of fifteen numbers", conf(scan_pose(3, EYE[:-4])), r"expected 16 numbers, found 15"),
    ("B01 an infinite pose", conf(scan_pose(3, "-inf " * 16)), {"pose_not_finite": 1}),
    ("B02 a pose of NaN", conf(scan_pose(3, "nan " * 16)), {"pose_not_finite": 1}),
    ("B03 a mirrored pose", conf(scan_pose(3, EYE.replace("1.0", "-1.0", 1))), {"pose_not_rigid": 1}),
    ("B32 cameras not UTF-8", lambda house: not_text(house / CONF), r"\.conf: expected UTF-8, found byte 0xff at offset 40"),
    ("B11 an image missing", without("undistorted_color", "i1_0.jpg"), {"image_missing": 1}),
    ("B11 a depth image missing", without("undistorted_depth", "d1_0.png"), {"depth_missing": 1}),
    ("B11 two images missing", without("undistorted_color", "i1_0.jpg", "i1_1.jpg"), r"found 2 without \(image_missing: 2\)"),
    ("B14 depth of another size", depth_of_another_size, r"d1_0\.png: expected a depth image of the shape of its 160x120"),
    ("B19 a cut image", a_cut_image, r"i1_0\.jpg: expected a .* image"),
    ("truncated house", a_cut_house_file, r"\.house: expected \d+ records E as line 2 says, found \d+; the file is truncated"),
    ("wrong version", lambda house: with_line(house / HOUSE_FILE, 0, "ASCII 2.0"), r"\.house:1: expected .*, found 'ASCII 2\.0'"),
    ("not a house", lambda house: (house / HOUSE_FILE).write_text("{}"), r"\.house:1: expected 'ASCII"),
    ("an empty house file", lambda house: (house / HOUSE_FILE).write_text(""), r"\.house:1: expected 'ASCII"),
    ("no head", lambda house: with_line(house / HOUSE_FILE, 1, "L 0"), r"\.house:2: expected a line 'H name"),
    ("B32 a house not UTF-8", lambda house: not_text(house / HOUSE_FILE), r"\.house: expected UTF-8"),
    ("an object cut short", house_line("O", 2, lambda words: words[:9]), r"\.house:\d+: expected a record O of at least 16 words, found 9"),
    ("an object of words", house_line("O", 2, word(5, "left")), r"\.house:\d+: expected 12 numbers from word 5 on"),
    ("an object with a fraction for id", house_line("O", 2, word(1, "1.5")), r"record O: expected a whole number, found '1\.5'"),
    ("B33 an object twice", house_line("O", 2, word(1, "0")), r"record O: expected each of 0 to 65534 once, found 0"),
    ("B33 an object id out of range", house_line("O", 2, word(1, "70000")), r"record O: expected each of 0 to 65534 once, found 70000"),
    ("a region of words", house_line("R", 0, word(7, "north")), r"\.house:\d+: expected 10 numbers from word 7 on"),
    ("B47 segments of another mesh", a_mesh_with_other_segments, r"fsegs\.json: key 'segIndices': expected one segment for each of the 1"),
    ("B17 a mesh with NaN", a_mesh_with_nan, r"\.ply: expected finite vertices"),
    ("a truncated mesh", lambda house: halved(house / HOUSE_MESH), r"\.ply:\d+: expected a line of a PLY header"),
]  # fmt: skip


@pytest.mark.parametrize(("spoil", "told"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_what_is_wrong_is_named_or_counted(usual, tmp_path, spoil, told):
    wrote, root = usual
    source = copied(wrote, root, tmp_path / "source")
    spoil(source)
    expect_verdict(wrote, source, tmp_path / "workspace", told)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (word(4, "nan"), "box_not_finite"),
        (word(13, "0"), "box_no_extent"),
        (word(13, "-1"), "box_no_extent"),
        (word(7, "0.5"), "box_not_orthogonal"),
        (word(3, "-1"), "label_missing"),
    ],
)
def test_boxes_that_are_none_are_left_out_and_counted(usual, tmp_path, change, reason):
    """B44"""
    wrote, root = usual
    source = copied(wrote, root, tmp_path / "source")
    house_line("O", 2, change)(source)
    capture = read(wrote, source, tmp_path / "workspace")
    assert capture.notes["objects_skipped"] == {reason: 1} and len(capture.objects) == len(true.objects()) - 1


def raw_file(kind: str, name: str) -> Callable[[Path], Path]:
    return lambda house: house / f"matterport_camera_{kind}" / f"{layout.PANORAMA}_{name}.txt"


POSE, CAMERA = raw_file("poses", "pose_1_0"), raw_file("intrinsics", "intrinsics_1")


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda house: POSE(house).unlink(), {"pose_missing": 1}),
        (lambda house: CAMERA(house).unlink(), r"found 3 without \(intrinsics_missing: 3\)"),
        (lambda house: POSE(house).write_text("-inf " * 16), {"pose_not_finite": 1}),
        (lambda house: POSE(house).write_text("1 0 0"), r"pose_1_0\.txt: expected a matrix of 4x4 or 16, found 3"),
        (lambda house: not_text(POSE(house)), r"pose_1_0\.txt: expected UTF-8, found byte 0xff"),
        (
            lambda house: CAMERA(house).write_text("160 120 112 113 81 58"),
            r"intrinsics_1\.txt: expected `width height fx .*found 6 numbers",
        ),
        (lambda house: CAMERA(house).write_text("160 120 nan 113 81 58 0 0 0 0 0"), r"intrinsics_1\.txt: expected `width height"),
        (lambda house: CAMERA(house).write_text("1280 1024 112 113 81 58 0 0 0 0 0"), r"intrinsics_1\.txt: intrinsics do not fit"),
        (lambda house: CAMERA(house).write_text("160 120 112 113 81 58 inf 0 0 0 0"), r"intrinsics_1\.txt: expected `width height"),
    ],
)
def test_what_is_wrong_with_raw_images_is_named_or_counted(raw, tmp_path, spoil, told):
    wrote, root = raw
    source = copied(wrote, root, tmp_path / "source")
    spoil(source)
    expect_verdict(wrote, source, tmp_path / "workspace", told)


def test_distorted_images_are_refused_by_name_until_asked(lens, tmp_path):
    wrote, _ = lens
    message = refusal(wrote, wrote.source, tmp_path / "workspace")
    assert "_intrinsics_0.txt: expected images without lens distortion, found k1 k2 p1 p2 k3 = 0.05 -0.03" in message
    assert "Fix: undistort=true" in message
    assert "images=undistorted: expected that set of images, found raw only" in refusal(
        wrote, wrote.source, tmp_path / "workspace", images="undistorted"
    )


def test_an_unknown_house_or_split_has_its_own_words(usual, tmp_path):
    wrote, root = usual
    reader = Matterport3DReader(wrote.source, {})
    with pytest.raises(CaptureError, match=r"expected one of the scans 2n8kARJN3HM, found 'x'"):
        reader.read("x", workspace=tmp_path)
    with pytest.raises(CaptureError, match=r"expected split 'all', or one whose list scenes_SPLIT\.txt lies there, found 'train'"):
        reader.scan_ids("train")
    with pytest.raises(CaptureError, match="expected a scan in the Matterport3D layout"):
        Matterport3DReader(tmp_path, {}).scan_ids("all")
    source = copied(wrote, root, tmp_path / "source").parent
    (source / "scenes_val.txt").write_text("aaaa\n2n8kARJN3HM\n")
    (source / "scenes_test.txt").write_text("aaaa\n")
    assert Matterport3DReader(source, {}).scan_ids("val") == (layout.HOUSE,) and Matterport3DReader(source, {}).scan_ids("test") == ()
