"""Each thing that is wrong with a 3RScan scan is one clear line, a counted frame or a counted box."""

import json
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path

import layout_threerscan as layout
import numpy as np
import pytest
import true_room as true
from PIL import Image
from spoiling import copied, expect_verdict, halved, not_text, read, refusal, rewritten

from sightline.captures.threerscan.reader import ThreeRScanReader
from sightline.errors import CaptureError


@pytest.fixture(scope="module")
def usual(tmp_path_factory):
    """An unpacked scan with its boxes; its large mesh is left out, and small ones are written where a test wants one."""
    root = tmp_path_factory.mktemp("threerscan") / "source"
    wrote = layout.unpacked(root)
    (wrote.source / "labels.instances.annotated.ply").unlink()
    return wrote, root


@pytest.fixture(scope="module")
def zipped(tmp_path_factory):
    root = tmp_path_factory.mktemp("threerscan_zip") / "source"
    wrote = layout.zipped_rescan(root)
    (root / layout.RESCAN / "labels.instances.annotated.v2.ply").unlink()
    return wrote, root


def frame(scan: Path, number: int, suffix: str) -> Path:
    return scan / "sequence" / f"frame-{number:06d}.{suffix}"


def info(old: str, new: str) -> Callable[[Path], None]:
    def spoil(scan: Path) -> None:
        rewritten(scan / "sequence" / "_info.txt", lambda text: text.replace(old, new, 1))

    return spoil


def less(suffix: str, *numbers: int) -> Callable[[Path], None]:
    def spoil(scan: Path) -> None:
        for number in numbers:
            frame(scan, number, suffix).unlink()

    return spoil


def pose(text: str, *numbers: int) -> Callable[[Path], None]:
    def spoil(scan: Path) -> None:
        for number in numbers:
            frame(scan, number, "pose.txt").write_text(text)

    return spoil


def depth(data: bytes) -> Callable[[Path], None]:
    return lambda scan: frame(scan, 3, "depth.pgm").write_bytes(data) and None


def info_not_text(scan: Path) -> None:
    not_text(scan / "sequence" / "_info.txt")


def a_pose_not_text(scan: Path) -> None:
    frame(scan, 3, "pose.txt").write_bytes(b"\xff\xfe1 0 0 0")


def a_cut_pose(scan: Path) -> None:
    halved(frame(scan, 3, "pose.txt"))


def a_huge_pose_file(scan: Path) -> None:
    frame(scan, 3, "pose.txt").write_text("0 " * 100_000)


def a_cut_colour_image(scan: Path) -> None:
    frame(scan, 3, "color.jpg").write_bytes(frame(scan, 3, "color.jpg").read_bytes()[:10])


def colour_of_another_size(scan: Path) -> None:
    Image.new("RGB", (96, 54)).save(frame(scan, 3, "color.jpg"))


def zero_frames(scan: Path) -> None:
    for path in (scan / "sequence").glob("frame-*"):
        path.unlink()


def group(place: int, **values) -> Callable[[Path], None]:
    def spoil(scan: Path) -> None:
        path = scan / "semseg.json"
        labels = json.loads(path.read_text())
        labels["segGroups"][place] |= values
        path.write_text(json.dumps(labels))

    return spoil


def labels_cut(scan: Path) -> None:
    halved(scan / "semseg.json")


def labels_not_text(scan: Path) -> None:
    not_text(scan / "semseg.json")


def write_mesh(scan: Path, rows: list[tuple], *, count: int | None = None, field: str = "objectId") -> None:
    header = f"ply\nformat ascii 1.0\nelement vertex {count or len(rows)}\nproperty float x\nproperty float y\nproperty float z\n"
    lines = "".join(" ".join(map(str, row)) + "\n" for row in rows)
    (scan / "labels.instances.annotated.v2.ply").write_text(header + f"property ushort {field}\nend_header\n" + lines)


def a_mesh_of_another_scan(scan: Path) -> None:
    write_mesh(scan, [(x, 0.0, 1.0, 900 + x) for x in range(10)])


def a_mesh_without_objects(scan: Path) -> None:
    write_mesh(scan, [(x, 0.0, 1.0, 1) for x in range(10)], field="label")


def a_mesh_that_claims_too_much(scan: Path) -> None:
    write_mesh(scan, [(0.0, 0.0, 1.0, 1)], count=2_000_000_000)


def a_mesh_with_nan(scan: Path) -> None:
    write_mesh(scan, [(0.0, "nan", 1.0, 1)])


PGM = b"P5\n56 43\n65535\n"
CASES = [
    ("B01 an infinite pose", pose("-inf " * 16, 3), {"pose_not_finite": 1}),
    ("B02 a pose of NaN", pose("nan " * 16, 3), {"pose_not_finite": 1}),
    ("B03 a mirrored pose", pose("-1 0 0 0 0 1 0 0 0 0 1 0 0 0 0 1", 3), {"pose_not_rigid": 1}),
    ("B01 mostly infinite poses", pose("-inf " * 16, 1, 2), r"found 2 of 8 that are not \(pose_not_finite: 2; first: .*000001\.pose\.txt"),
    ("a cut pose", a_cut_pose, r"frame-000003\.pose\.txt: expected a matrix of 4x4 or 16, found"),
    ("a pose of words", pose("x " * 16, 3), r"frame-000003\.pose\.txt: expected 16 numbers, found could not convert"),
    ("a pose file of 200 kB", a_huge_pose_file, r"frame-000003\.pose\.txt: expected at most 65536 bytes, found 200000"),
    ("B32 a pose that is not UTF-8", a_pose_not_text, r"frame-000003\.pose\.txt: expected UTF-8, found byte 0xff at offset 0"),
    ("B05 a pose missing", less("pose.txt", 3), {"pose_missing": 1}),
    ("B05 most poses missing", less("pose.txt", 1, 2), r"expected 8 frames with colour, depth and pose, found 6 \(pose_missing: 2\)"),
    ("B05 the test set", less("pose.txt", *range(8)), r"found 0 \(pose_missing: 8\); the poses of the test set are not public"),
    (
        "B05 fewer frames than stated",
        info("m_frames.size = 8", "m_frames.size = 30"),
        r"expected 30 frames .* found 8 \(frame_missing: 22\)",
    ),
    ("zero frames", zero_frames, r"sequence: expected frames .*, found none"),
    ("B11 a depth image missing", less("depth.pgm", 3), {"depth_missing": 1}),
    ("B11 a colour image missing", less("color.jpg", 3), {"image_missing": 1}),
    ("B07 no depth camera", info("m_calibrationDepthIntrinsic", "m_other"), r"_info\.txt: key m_calibrationDepthIntrinsic is missing"),
    (
        "B07 a camera of another size",
        info("m_colorWidth = 192", "m_colorWidth = 960"),
        r"m_calibrationColorIntrinsic: intrinsics do not fit",
    ),
    ("B07 a negative focal length", info("Intrinsic = 151.4", "Intrinsic = -151.4"), r"m_calibrationColorIntrinsic: .*expected finite fx"),
    ("a camera of fifteen numbers", info("0 1 \n", "0\n"), r"m_calibrationColorIntrinsic: expected 16 numbers, found 15"),
    ("a width of zero", info("m_colorWidth = 192", "m_colorWidth = 0"), r"m_colorWidth: expected an image size, found 0x108"),
    ("a width of words", info("m_colorWidth = 192", "m_colorWidth = wide"), r"m_colorWidth: expected 1 numbers, found 'wide'"),
    (
        "B14 a depth unit of zero",
        info("m_depthShift = 1000", "m_depthShift = 0"),
        r"m_depthShift: expected units per metre above 0, found 0",
    ),
    ("wrong version", info("m_versionNumber = 4", "m_versionNumber = 3"), r"_info\.txt: key m_versionNumber: expected 4, found 3"),
    ("B33 a key twice", info("m_sensorName = tango", "m_colorWidth = 192"), r"_info\.txt:3: expected every key once"),
    ("B32 cameras not UTF-8", info_not_text, r"_info\.txt: expected UTF-8, found byte 0xff at offset 40"),
    (
        "B14 depth of another size",
        depth(b"P5\n40 30\n65535\n" + b"\0" * 2400),
        r"map 3 \(frame frame-000003\): expected a depth image of 56x43",
    ),
    ("B19 a cut depth image", depth(PGM + b"\0" * 99), r"frame-000003\.depth\.pgm: expected 4831 bytes .* truncated"),
    ("B22 a depth image that claims a bomb", depth(b"P5\n99999 99999\n65535\n"), r"expected 1 to 50000000 pixels, found 99999x99999"),
    ("B13 a depth image of eight bits", depth(b"P5\n56 43\n255\n" + b"\0" * 2408), r"expected a 16-bit PGM"),
    ("B19 a cut colour image", a_cut_colour_image, r"frame-000003\.color\.jpg: expected a .* image"),
    ("B16 colour of another size", colour_of_another_size, r"000003\.color\.jpg: expected a colour image of 192x108, found 96x54"),
    ("B29 labels cut off", labels_cut, r"semseg\.json: expected JSON"),
    ("B32 labels not UTF-8", labels_not_text, r"semseg\.json: expected UTF-8"),
    ("B33 an object twice", group(4, objectId=1, id=1), r"semseg\.json: segGroups\[4\]: expected every objectId once, found 1 twice"),
    ("an object id out of range", group(4, objectId=70_000), r"segGroups\[4\]: key 'objectId': expected a whole number of 0 to 65534"),
    ("an object without a label", group(4, label=None), r"segGroups\[4\]: key 'label': expected a word"),
    ("B47 a mesh of another scan", a_mesh_of_another_scan, r"v2\.ply: expected objects of .*, found 10 vertices of others"),
    ("a mesh without objects", a_mesh_without_objects, r"v2\.ply: expected a vertex property 'objectId', found label"),
    ("a mesh that claims too much", a_mesh_that_claims_too_much, r"v2\.ply: element vertex: expected 2000000000 rows .* truncated"),
    ("B17 a mesh with NaN", a_mesh_with_nan, r"v2\.ply: expected finite vertices"),
]


@pytest.mark.parametrize(("spoil", "told"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_what_is_wrong_is_named_or_counted(usual, tmp_path, spoil, told):
    wrote, root = usual
    source = copied(wrote, root, tmp_path / "source")
    spoil(source)
    expect_verdict(wrote, source, tmp_path / "workspace", told)


NOT_FINITE = {"centroid": [None, 0, 0], "axesLengths": [1, 1, 1], "normalizedAxes": [1, 0, 0, 0, 1, 0, 0, 0, 1]}
FLAT = {"centroid": [0, 0, 0], "axesLengths": [1, 0, 1], "normalizedAxes": [1, 0, 0, 0, 1, 0, 0, 0, 1]}
SHEARED = {"centroid": [0, 0, 0], "axesLengths": [1, 1, 1], "normalizedAxes": [1, 0, 0, 1, 1, 0, 0, 0, 1]}


@pytest.mark.parametrize(
    ("obb", "reason"),
    [(NOT_FINITE, "box_not_finite"), (FLAT, "box_no_extent"), (SHEARED, "box_not_orthogonal"), (None, "box_missing")],
)
def test_boxes_that_are_none_are_left_out_and_counted(usual, tmp_path, obb, reason):
    """B44"""
    wrote, root = usual
    source = copied(wrote, root, tmp_path / "source")
    group(2, obb=obb)(source)
    capture = read(wrote, source, tmp_path / "workspace")
    assert capture.notes["objects_skipped"] == {reason: 1} and len(capture.objects) == len(true.objects()) - 1


def archived(name: str, data: bytes = b"x", *, attributes: int = 0, keep: bool = True) -> Callable[[Path], None]:
    """The archive with one more member, or with nothing but it."""

    def spoil(path: Path) -> None:
        with zipfile.ZipFile(path, "a" if keep else "w", zipfile.ZIP_DEFLATED) as archive:
            member = zipfile.ZipInfo(name)
            member.external_attr = attributes << 16
            member.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(member, data)

    return spoil


def a_damaged_member(path: Path) -> None:
    data = bytearray(path.read_bytes())
    at = data.index(b"frame-000003.color.jpg") + 2000
    data[at : at + 50] = b"\0" * 50
    path.write_bytes(bytes(data))


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (halved, r"sequence\.zip: expected a zip archive"),
        (lambda path: path.write_bytes(b""), r"sequence\.zip: expected a zip archive"),
        (archived("../frame-000009.pose.txt"), r"member '\.\./frame-000009\.pose\.txt': .*leads elsewhere"),
        (archived("/tmp/frame-000009.pose.txt"), r"expected a relative path, found an absolute one"),
        (archived("frame-000009.color.jpg", b"/etc/passwd", attributes=stat.S_IFLNK | 0o777), r"found a link or a device"),
        (archived("frame-000003.color.jpg"), r"expected every name once, found it twice"),
        (archived("bomb.bin", b"\0" * (64 << 20)), r"member 'bomb\.bin': expected at most 200 times"),
        (archived("readme.txt", keep=False), r"expected one _info\.txt in the archive, found 0"),
        (archived("other/_info.txt"), r"expected one _info\.txt in the archive, found 2"),
        (a_damaged_member, r"sequence\.zip: member 'frame-000003\.color\.jpg': expected a whole member"),
    ],
    ids=["truncated", "empty", "upwards", "absolute", "link", "twice", "bomb", "no cameras", "two sequences", "damaged"],
)
def test_a_hostile_or_damaged_archive_is_refused(zipped, tmp_path, spoil, told):
    """B25"""
    wrote, root = zipped
    source = copied(wrote, root, tmp_path / "source")
    spoil(source / layout.RESCAN / "sequence.zip")
    expect_verdict(wrote, source, tmp_path / "workspace", told)
    assert {path.name for path in tmp_path.iterdir()} <= {"source", "workspace"}


def rooms(change: Callable[[list], None]) -> Callable[[Path], None]:
    def spoil(root: Path) -> None:
        path = root / "3RScan.json"
        value = json.loads(path.read_text())
        change(value)
        path.write_text(json.dumps(value))

    return spoil


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda root: halved(root / "3RScan.json"), r"3RScan\.json: expected JSON"),
        (lambda root: (root / "3RScan.json").write_text("{}"), r"3RScan\.json: expected a list of rooms, found dict"),
        (lambda root: (root / "3RScan.json").unlink(), r"to_reference: expected 3RScan\.json to know"),
        (rooms(lambda value: value[1].pop("reference")), r"3RScan\.json: \[1\]: key 'reference': expected a scan id"),
        (rooms(lambda value: value[1]["scans"].append(value[1]["scans"][0])), r"\[1\]\.scans\[1\]: expected every scan once"),
        (rooms(lambda value: value[1]["scans"][0].update(transform=[1.0] * 12)), r"key 'transform': expected 16 numbers"),
        (rooms(lambda value: value[1]["scans"][0].update(transform=[2.0] * 16)), r"key 'transform': expected a finite rigid 4x4"),
        (rooms(lambda value: value[1]["scans"][0].pop("transform")), r"to_reference: expected a transform of this rescan, found none"),
        (rooms(lambda value: value[1].update(scans="none")), r"\[1\]: key 'scans': expected a list"),
    ],
    ids=["cut", "no list", "gone", "no id", "twice", "twelve numbers", "not rigid", "no transform", "no rescans"],
)  # fmt: skip
def test_a_wrong_list_of_rooms_is_named(zipped, tmp_path, spoil, told):
    wrote, root = zipped
    source = copied(wrote, root, tmp_path / "source")
    spoil(source)
    expect_verdict(wrote, source, tmp_path / "workspace", told)


def test_an_unknown_scan_split_or_option_has_its_own_words(usual, zipped, tmp_path):
    wrote, _ = usual
    with pytest.raises(CaptureError, match=r"expected split 'all' \(3RScan\.json, which knows the others, is not there\), found 'train'"):
        ThreeRScanReader(wrote.source, {}).scan_ids("train")
    with pytest.raises(CaptureError, match="expected a scan in the 3RScan layout"):
        ThreeRScanReader(tmp_path, {}).scan_ids("all")
    assert ThreeRScanReader(zipped[0].source, {}).scan_ids("train") == (layout.RESCAN,)
    assert ThreeRScanReader(zipped[0].source, {}).scan_ids("val") == ()
    assert "Did you mean 'to_reference'" in refusal(wrote, wrote.source, tmp_path / "workspace", to_referenc=True)


def test_a_rescan_keeps_its_own_world_unless_asked_and_knows_the_way_to_the_other(zipped, tmp_path):
    wrote, _ = zipped
    capture = read(wrote, wrote.source, tmp_path / "workspace", to_reference=False)
    found = np.array(capture.notes["reference_from_rescan"]).reshape(4, 4)
    assert np.allclose(found, layout.YAWED, atol=1e-9)
    pose_in_reference = found @ capture.frames[2].world_from_camera
    assert np.allclose(pose_in_reference, true.poses()[2], atol=1e-9)
    assert capture.place_id == f"threerscan_{layout.REFERENCE}" and capture.notes["is_rescan"] is True
    jpeg = (tmp_path / "workspace" / "color" / "frame-000002.color.jpg").read_bytes()
    with zipfile.ZipFile(wrote.source / layout.RESCAN / "sequence.zip") as archive:
        assert archive.read("frame-000002.color.jpg") == jpeg
