"""Each thing that is wrong with a Record3D file is one clear line, or frames that are skipped and counted."""

import json
import re
import zipfile

import layout_record3d as layout
import numpy as np
import pytest
import true_room as true
from spoiling import halved, read, refusal

from sightline.captures.record3d.reader import Record3DReader
from sightline.errors import CaptureError, UnknownNameError

liblzfse = pytest.importorskip("liblzfse", reason="the extra `record3d` is not installed")

SCAN = "2024-05-01--10-11-12"


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    wrote = layout.newer(tmp_path_factory.mktemp("record3d"))
    with zipfile.ZipFile(wrote.source) as archive:
        return wrote, {name: archive.read(name) for name in archive.namelist()}


def said(members: dict[str, bytes], **changes) -> None:
    """Change or remove keys of the metadata."""
    values = json.loads(members["metadata"]) | changes
    members["metadata"] = json.dumps({key: value for key, value in values.items() if value is not ...}).encode()


def poses(members: dict[str, bytes], places: range | list[int], row: list) -> None:
    rows = json.loads(members["metadata"])["poses"]
    said(members, poses=[row if index in places else one for index, one in enumerate(rows)])


def depth(members: dict[str, bytes], place: int, values: np.ndarray) -> None:
    members[f"rgbd/{place}.depth"] = liblzfse.compress(values.tobytes())


CASES = {
    "no metadata": (lambda m: m.pop("metadata"), "r3d: expected a member 'metadata', found none"),
    "B29 cut metadata": (lambda m: m.update(metadata=m["metadata"][:200]), "metadata: expected JSON"),
    "B32 metadata that are no text": (
        lambda m: m.update(metadata=b'{"w": "\xff"}'),
        "metadata: expected UTF-8, found byte 0xff at offset 7",
    ),
    "B34 NaN in metadata": (lambda m: m.update(metadata=m["metadata"].replace(b"0.5,", b"NaN,")), "metadata: expected JSON, found NaN"),
    "B33 a key twice": (lambda m: m.update(metadata=b'{"w": 1, "w": 2}'), "key 'w' stands twice"),
    "metadata of another kind": (lambda m: m.update(metadata=b"[]"), "metadata: expected an object with w, h, K and poses"),
    "no width": (lambda m: said(m, w=...), "metadata: w: expected a whole number of 1 to 20000, found None"),
    "a height of words": (lambda m: said(m, h="big"), "metadata: h: expected a whole number"),
    "an endless width": (lambda m: said(m, w=1e9), "metadata: w: expected a whole number of 1 to 20000, found 1000000000"),
    "no camera": (lambda m: said(m, K=...), "metadata: K: expected 9 numbers, found None"),
    "B07 a camera of another size": (
        lambda m: said(m, w=320, h=240),
        r"metadata: perFrameIntrinsicCoeffs\[0\]: intrinsics do not fit images of 320x240",
    ),
    "B07 a camera row by row": (
        lambda m: said(m, K=true.SMALL.K.reshape(-1).tolist()),
        "metadata: K: intrinsics do not fit images of 160x120: expected cx",
    ),
    "a camera short": (lambda m: said(m, perFrameIntrinsicCoeffs=[[1, 2, 3]] * 8), r"perFrameIntrinsicCoeffs\[0\]: expected 4 numbers"),
    "cameras of some frames": (
        lambda m: said(m, perFrameIntrinsicCoeffs=[[112, 113, 81, 58]] * 3),
        "expected one row for each of 8 poses, found 3",
    ),
    "no poses": (lambda m: said(m, poses=...), "metadata: poses: expected a list of 1 to 500000 rows, found NoneType"),
    "zero frames said": (lambda m: said(m, poses=[]), "metadata: poses: expected a list of 1 to 500000 rows, found 0"),
    "a pose short": (lambda m: poses(m, [3], [0, 0, 0, 1]), r"metadata: poses\[3\]: expected 7 numbers"),
    "a pose of words": (lambda m: poses(m, [3], ["a"] * 7), r"metadata: poses\[3\]: expected 7 numbers"),
    "B05 fewer times than poses": (lambda m: said(m, frameTimestamps=[1.0]), "frameTimestamps: expected one for each of 8 poses"),
    "no speed": (lambda m: said(m, frameTimestamps=..., fps=0), "metadata: fps: expected frames per second, found 0"),
    "B01 one pose infinite": (lambda m: poses(m, [3], [0, 0, 0, 1, 1e999, 0, 0]), "metadata: expected JSON, found Infinity"),
    "B02 one pose of nulls": (lambda m: poses(m, [3], [None] * 7), {"pose_not_finite": 1}),
    "B03 one rotation of no length": (lambda m: poses(m, [3], [0, 0, 0, 0, 1, 1, 1]), {"pose_not_finite": 1}),
    "B01 most poses not known": (
        lambda m: poses(m, range(5), [None] * 7),
        r"expected usable poses, found 5 of 8 .*pose_not_finite: 5; first: .*metadata: poses\[0\]",
    ),
    "a recording of the front camera": (
        lambda m: poses(m, range(8), [0, 0, 0, 1, 0, 0, 0]),
        "poses: expected a moving camera, found all 8 poses at the origin.*Fix: record with the LiDAR camera",
    ),
    "no pictures": (
        lambda m: [m.pop(f"rgbd/{index}.jpg") for index in range(8)],
        "expected pictures rgbd/0.jpg and on beside it, found none",
    ),
    "B05 more pictures than poses": (lambda m: m.update({"rgbd/8.jpg": m["rgbd/0.jpg"]}), {"pose_missing": 1}),
    "B11 one depth map missing": (lambda m: m.pop("rgbd/2.depth"), {"no_depth": 1}),
    "one confidence map missing": (lambda m: m.pop("rgbd/2.conf"), {"no_confidence": 1}),
    "B11 most depth maps missing": (
        lambda m: [m.pop(f"rgbd/{index}.depth") for index in range(3)],
        "r3d: expected usable frames, found 3 of 8 that are not .*no_depth: 3; first: 0",
    ),
    "depth of another size": (
        lambda m: depth(m, 2, np.ones((30, 40), "<f4")),
        "rgbd/2.depth: expected 19200 bytes once inflated, found a stream of 4800",
    ),
    "B25 depth that is a bomb": (
        lambda m: depth(m, 2, np.zeros((800, 800), "<f4")),
        "rgbd/2.depth: expected 19200 bytes once inflated, found a stream",
    ),
    "B29 cut depth": (lambda m: m.update({"rgbd/2.depth": m["rgbd/2.depth"][:99]}), "rgbd/2.depth: byte 0: expected an LZFSE block"),
    "depth that is none": (
        lambda m: m.update({"rgbd/2.depth": b"no depth"}),
        "rgbd/2.depth: byte 0: expected an LZFSE block, found bytes 6e 6f",
    ),
    "a confidence beyond high": (
        lambda m: m.update({"rgbd/2.conf": liblzfse.compress(bytes([9]) * 4800)}),
        "rgbd/2.conf: expected confidences of 0, 1, 2, found 9",
    ),
    "confidence of another size": (
        lambda m: m.update({"rgbd/2.conf": liblzfse.compress(bytes(99))}),
        "rgbd/2.conf: expected 4800 bytes once inflated, found",
    ),
    "B19 a cut picture": (lambda m: m.update({"rgbd/2.jpg": m["rgbd/2.jpg"][:20]}), "rgbd/2.jpg: expected a JPEG/PNG/WEBP"),
    "a picture of another shape": (
        lambda m: m.update({"rgbd/2.jpg": layout.jpeg(np.zeros((80, 80, 3), np.uint8))}),
        "shaped like 160x120, found rgbd/2.jpg of 80x80",
    ),
    "B22 an endless depth": (lambda m: said(m, dw=20000, dh=20000), "dw, dh: expected at most 50000000 pixels, found 20000x20000"),
    "B25 a member that leads outside": (lambda m: m.update({"../evil.jpg": b"x"}), r"member '\.\./evil.jpg': expected a path inside"),
    "B25 an absolute member": (lambda m: m.update({"/tmp/evil.jpg": b"x"}), "member '/tmp/evil.jpg': expected a relative path"),
}


@pytest.mark.parametrize("case", CASES)
def test_what_is_wrong_is_named_or_counted(whole, tmp_path, case):
    wrote, members = whole
    damage, told = CASES[case]
    spoilt = dict(members)
    damage(spoilt)
    source = layout.write(tmp_path / "in" / f"{SCAN}.r3d", spoilt)
    if isinstance(told, str):
        message = refusal(wrote, source, tmp_path / "w")
        assert re.search(told, message), message
    else:
        capture = read(wrote, source, tmp_path / "w")
        reasons = [one.reason for one in capture.skipped]
        assert {reason: reasons.count(reason) for reason in reasons} == told
    assert {path.relative_to(tmp_path).parts[0] for path in tmp_path.rglob("*")} <= {"in", "w"}


def test_a_cut_file_is_named(whole, tmp_path):
    wrote, members = whole
    source = layout.write(tmp_path / f"{SCAN}.r3d", members)
    halved(source)
    assert "expected a zip archive" in refusal(wrote, source, tmp_path / "w")


def test_a_link_in_the_archive_is_refused_and_nothing_is_written(whole, tmp_path):
    wrote, members = whole
    source = tmp_path / f"{SCAN}.r3d"
    with zipfile.ZipFile(source, "w") as archive:
        link = zipfile.ZipInfo("rgbd/0.jpg")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
        for name, payload in members.items():
            if name != "rgbd/0.jpg":
                archive.writestr(name, payload)
    assert "member 'rgbd/0.jpg': expected a file or a folder, found a link" in refusal(wrote, source, tmp_path / "w")
    assert list((tmp_path / "w").iterdir()) == []


def test_options_and_ids_that_are_not_known_are_refused(whole, tmp_path):
    wrote, _ = whole
    with pytest.raises(UnknownNameError, match="unknown key 'up'.*up_axis"):
        Record3DReader(wrote.source, {"up": "+y"})
    with pytest.raises(CaptureError, match="expected split 'all'"):
        Record3DReader(wrote.source, {}).scan_ids("train")
    with pytest.raises(CaptureError, match="expected one of the scans 2024-05-01--10-11-12, found 'x'"):
        Record3DReader(wrote.source, {}).read("x", workspace=tmp_path)
    with pytest.raises(CaptureError, match="expected an .r3d file"):
        Record3DReader(tmp_path, {}).scan_ids("all")
