"""Each thing that is wrong with an EmbodiedScan folder is one clear line, a counted frame or a counted box."""

import copy
import os
import pickle
from collections.abc import Callable
from pathlib import Path

import layout_embodiedscan as layout
import numpy as np
import pytest
from PIL import Image
from spoiling import copied, expect_verdict, halved, read, refusal

from sightline.captures.embodiedscan.reader import EmbodiedScanReader
from sightline.errors import CaptureError

RECORD = layout.scannet_record()
INFOS = "embodiedscan_infos_val.pkl"


@pytest.fixture(scope="module")
def usual(tmp_path_factory):
    root = tmp_path_factory.mktemp("embodiedscan") / "source"
    return layout.scannet(root), root


@pytest.fixture(scope="module")
def sequence(tmp_path_factory):
    root = tmp_path_factory.mktemp("embodiedscan_3rscan") / "source"
    return layout.threerscan(root), root


def image(folder: Path, index: int, suffix: str) -> Path:
    return folder / "scannet" / "posed_images" / "scene0011_01" / f"{10 * index:05d}.{suffix}"


def infos(folder: Path, value) -> None:
    (folder / INFOS).write_bytes(pickle.dumps(value))


def scans(folder: Path, *records: dict) -> None:
    layout.write_infos(folder / INFOS, list(records))


def changed(**values) -> Callable[[Path], None]:
    """The record with other values; None takes a key away."""

    def spoil(folder: Path) -> None:
        scans(folder, {key: value for key, value in {**RECORD, **values}.items() if value is not None})

    return spoil


def frame(index: int, **values) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        record = copy.deepcopy(RECORD)
        record["images"][index] |= values
        scans(folder, record)

    return spoil


def box(place: int, **values) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        record = copy.deepcopy(RECORD)
        record["instances"][place] |= values
        scans(folder, record)

    return spoil


def a_command(folder: Path) -> None:
    (folder / INFOS).write_bytes(b"cposix\nsystem\n(S'touch " + str(folder / "canary").encode() + b"'\ntR.")


def a_truncated_file(folder: Path) -> None:
    halved(folder / INFOS)


def text_in_its_place(folder: Path) -> None:
    (folder / INFOS).write_bytes(b"\xff\xfe not a pickle")


def a_list_alone(folder: Path) -> None:
    infos(folder, [RECORD])


def no_metainfo(folder: Path) -> None:
    infos(folder, {"data_list": [RECORD]})


def no_categories(folder: Path) -> None:
    infos(folder, {"metainfo": {"classes": ["chair"]}, "data_list": [RECORD]})


def the_same_scan_twice(folder: Path) -> None:
    scans(folder, RECORD, RECORD)


def the_same_scan_in_two_files(folder: Path) -> None:
    layout.write_infos(folder / "embodiedscan_infos_train.pkl", [RECORD])


def an_image_less(folder: Path) -> None:
    image(folder, 3, "jpg").unlink()


def a_depth_image_less(folder: Path) -> None:
    image(folder, 3, "png").unlink()


def no_images(folder: Path) -> None:
    for index in range(8):
        image(folder, index, "jpg").unlink()


def depth_of_another_size(folder: Path) -> None:
    Image.fromarray(np.ones((90, 120), dtype=np.uint16)).save(image(folder, 3, "png"))


def colour_of_another_size(folder: Path) -> None:
    Image.new("RGB", (330, 242)).save(image(folder, 3, "jpg"))


def a_colour_image_cut_in_its_header(folder: Path) -> None:
    image(folder, 3, "jpg").write_bytes(image(folder, 3, "jpg").read_bytes()[:12])


def a_link_that_leads_out(folder: Path) -> None:
    outside = folder.parent / "elsewhere.jpg"
    os.replace(image(folder, 3, "jpg"), outside)
    image(folder, 3, "jpg").symlink_to(outside)


def two_infinite_poses(folder: Path) -> None:
    record = copy.deepcopy(RECORD)
    for index in (1, 2):
        record["images"][index]["cam2global"] = np.full((4, 4), -np.inf)
    scans(folder, record)


def aligned(**values: float) -> np.ndarray:
    matrix = layout.ALIGN.copy()
    for key, value in values.items():
        matrix[int(key[1]), int(key[2])] = value
    return matrix


PLACE = "scannet/posed_images/scene0011_01"
CASES = [
    ("B30 a command instead of records", a_command, r"infos_val\.pkl: .*found the name 'posix\.system'; nothing of it was run"),
    ("B31 truncated", a_truncated_file, r"infos_val\.pkl: .*found a truncated or damaged file"),
    ("B32 not text, not records", text_in_its_place, r"infos_val\.pkl: expected pickled plain values"),
    ("wrong version: a list", a_list_alone, r"expected a mapping with 'metainfo' and 'data_list', found list"),
    ("wrong version: no metainfo", no_metainfo, r"expected a mapping with 'metainfo' and 'data_list', found dict without 'metainfo'"),
    ("wrong version: no categories", no_categories, r"metainfo: key 'categories': expected a mapping of names to numbers"),
    ("zero scans", lambda folder: scans(folder), r"expected one of its 0 scans"),
    ("zero frames", changed(images=[]), r"scannet/scene0011_01: key 'images': expected a list of images, found none"),
    ("B33 the same scan twice", the_same_scan_twice, r"data_list\[1\]: expected every sample_idx once"),
    ("B33 the same scan in two files", the_same_scan_in_two_files, r"is in embodiedscan_infos_train\.pkl as well\. Fix: give one"),
    ("B33 the same image twice", frame(4, img_path=f"{PLACE}/00000.jpg"), r"expected every frame once, found frame '00000' 2 times"),
    ("B26 upwards in sample_idx", changed(sample_idx="scannet/.."), r"key 'sample_idx': scan_id: expected letters"),
    ("B26 an unknown source", changed(sample_idx="hypersim/ai_001"), r"expected one of scannet/\.\.\., .*found 'hypersim/ai_001'"),
    ("B26 sample_idx is no text", changed(sample_idx=7), r"data_list\[0\]: key 'sample_idx'"),
    ("B26 an image upwards", frame(3, img_path=f"{PLACE}/../../../../secret.jpg"), r"images\[3\]: img_path: .*leads outside"),
    ("B26 an absolute image", frame(3, img_path="/etc/scene0011_01/a.jpg"), r"img_path: expected a path with a folder 'scannet'"),
    ("B26 NUL in a path", frame(3, depth_path=f"{PLACE}/a\0b.png"), r"images\[3\]: key 'depth_path': expected a path, found str .*a\\x00b"),
    ("B26 a line break in a path", frame(3, img_path=f"{PLACE}/a\nb.jpg"), r"images\[3\]: key 'img_path': expected a path, found str"),
    ("B26 a link that leads out", a_link_that_leads_out, r"images\[3\]: img_path: .*leads outside"),
    ("B35 an image of another scene", frame(3, img_path=f"{PLACE[:-2]}02/00030.jpg"), r"expected an image of 'scene0011_01', found"),
    ("B01 an infinite pose", frame(3, cam2global=np.full((4, 4), -np.inf)), {"pose_not_finite": 1}),
    ("B02 a pose with NaN", frame(3, cam2global=aligned(m12=np.nan)), {"pose_not_finite": 1}),
    ("B03 a scaled pose", frame(3, cam2global=np.diag([1.1, 1.1, 1.1, 1.0])), {"pose_not_rigid": 1}),
    ("B01 mostly infinite poses", two_infinite_poses, r"found 2 of 8 that are not \(pose_not_finite: 2; first: .*images\[1\]: cam2global"),
    ("B03 a pose of 3x4", frame(3, cam2global=np.eye(4)[:3]), r"images\[3\]: cam2global: expected a matrix of 4x4 or 16, found 3x4"),
    ("B02 NaN in the alignment", changed(axis_align_matrix=aligned(m03=np.nan)), r"axis_align_matrix: .*pose_not_finite"),
    ("B03 a scaled alignment", changed(axis_align_matrix=1.2 * np.eye(4)), r"axis_align_matrix: expected a finite rigid 4x4"),
    ("B08 no alignment", changed(axis_align_matrix=None), r"key 'axis_align_matrix' is missing"),
    ("B07 no camera", changed(cam2img=None), r"images\[0\]: cam2img: expected a matrix, found none here or in the scan"),
    ("B07 a camera of complex numbers", changed(cam2img=np.eye(4) * 1j), r"images\[0\]: cam2img: expected a matrix of numbers"),
    ("B01 no pose", frame(3, cam2global=None), r"images\[3\]: cam2global: expected a matrix, found none"),
    ("B07 the depth camera for colour", changed(cam2img=RECORD["depth_cam2img"]), r"cam2img: intrinsics do not fit images of 324x242"),
    ("B07 a skewed camera", changed(cam2img=layout.matrix_4x4(layout.COLOUR) + np.eye(4, k=1) * 9), r"cam2img: expected a camera without"),
    ("B11 an image missing", an_image_less, {"image_missing": 1}),
    ("B11 a depth image missing", a_depth_image_less, {"depth_missing": 1}),
    ("B11 all images missing", no_images, r"found 8 missing \(image_missing: 8; first: .*00000\.jpg\)\. Fix: put the raw data"),
    ("B14 depth of another size", depth_of_another_size, r"images\[3\]: depth_cam2img: intrinsics do not fit images of 120x90"),
    ("B16 colour of another size", colour_of_another_size, r"expected colour images of 324x242 like frame 00000, found 330x242"),
    ("B19 an image cut in its header", a_colour_image_cut_in_its_header, r"00030\.jpg: expected a .* image"),
    ("B33 a box id twice", box(4, bbox_id=0), r"instances\[4\]: key 'bbox_id': expected each of 0 to 65534 once, found 0"),
    ("B33 a box id out of range", box(4, bbox_id=65535), r"instances\[4\]: key 'bbox_id'"),
    ("B44 a box of seven numbers", box(4, bbox_3d=[0.0] * 7), r"instances\[4\]: key 'bbox_3d': .*\(nine numbers\), found 7"),
    ("B44 a box of words", box(4, bbox_3d=["a"] * 9), r"instances\[4\]: key 'bbox_3d': expected nine numbers"),
    ("a label that is no number", box(4, bbox_label_3d="chair"), r"key 'bbox_label_3d': expected a whole number, found str 'chair'"),
    ("visible ids that are words", frame(3, visible_instance_ids=["a"]), r"images\[3\]: key 'visible_instance_ids'"),
]


@pytest.mark.parametrize(("spoil", "told"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_what_is_wrong_is_named_or_counted(usual, tmp_path, spoil, told):
    wrote, root = usual
    source = copied(wrote, root, tmp_path / "source")
    spoil(source)
    expect_verdict(wrote, source, tmp_path / "workspace", told)
    assert not (source / "canary").exists()


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (box(2, bbox_3d=[np.nan] * 9), "box_not_finite"),
        (box(2, bbox_3d=[1, 1, 1, 0.0, 1, 1, 0, 0, 0]), "box_no_extent"),
        (box(2, bbox_3d=[1, 1, 1, 1, -1, 1, 0, 0, 0]), "box_no_extent"),
        (box(2, bbox_label_3d=9999), "label_unknown"),
    ],
)
def test_boxes_that_are_none_are_left_out_and_counted(usual, tmp_path, spoil, reason):
    """B44"""
    wrote, root = usual
    source = copied(wrote, root, tmp_path / "source")
    spoil(source)
    capture = read(wrote, source, tmp_path / "workspace")
    assert capture.notes["objects_skipped"] == {reason: 1}
    assert 2 not in [one.object_id for one in capture.objects] and len(capture.objects) == len(layout.instances()) - 1


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"P5\n56 43\n65535\n" + b"\0" * 100, r"expected 4831 bytes for a PGM of 56x43, found 115; the image is truncated"),
        (b"P5\n56 43\n65535\n" + b"\0" * 5000, r"followed by something else"),
        (b"P5\n56 43\n255\n" + b"\0" * 2408, r"expected a 16-bit PGM"),
        (b"P2\n56 43\n65535\n1 2 3", r"expected a binary PGM"),
        (b"P5\n999999999 999999999\n65535\n", r"expected 1 to 50000000 pixels, found 999999999x999999999"),
        (b"", r"expected a binary PGM"),
    ],
    ids=["truncated", "too long", "eight bits", "text", "a claim of a bomb (B22)", "empty"],
)
def test_a_damaged_pgm_is_named(sequence, tmp_path, data, told):
    wrote, root = sequence
    source = copied(wrote, root, tmp_path / "source")
    (source.parent / "3rscan" / layout.UUID / "sequence" / "frame-000003.depth.pgm").write_bytes(data)
    expect_verdict(wrote, source, tmp_path / "workspace", rf"frame-000003\.depth\.pgm: .*{told}")


def test_a_folder_without_the_files_and_an_unknown_scan_have_their_own_words(usual, tmp_path):
    wrote, root = usual
    with pytest.raises(CaptureError, match="expected embodiedscan_infos_train.pkl, _val.pkl or _test.pkl, found none"):
        EmbodiedScanReader(tmp_path, {}).scan_ids("all")
    with pytest.raises(CaptureError, match="expected split all, train, val, test, found 'dev'"):
        EmbodiedScanReader(wrote.source, {}).scan_ids("dev")
    with pytest.raises(CaptureError, match=r"expected one of its 1 scans \(scannet__scene0011_01, \.\.\.\), found 'x'"):
        EmbodiedScanReader(wrote.source, {}).read("x", workspace=tmp_path)
    assert "Did you mean 'data_root'" in refusal(wrote, wrote.source, tmp_path / "workspace", data_rot="x")


def test_a_number_that_two_categories_share_names_no_object(usual, tmp_path):
    """B44: a label is never guessed."""
    wrote, root = usual
    source = copied(wrote, root, tmp_path / "source")
    number = RECORD["instances"][0]["bbox_label_3d"]
    infos(source, {"metainfo": {"categories": {**layout.LABEL_OF, "another": number}}, "data_list": [RECORD]})
    capture = read(wrote, source, tmp_path / "workspace")
    doubtful = [one["bbox_id"] for one in RECORD["instances"] if one["bbox_label_3d"] == number]
    assert capture.notes["objects_skipped"] == {"label_unknown": len(doubtful)}
    assert not {one.object_id for one in capture.objects} & set(doubtful)
