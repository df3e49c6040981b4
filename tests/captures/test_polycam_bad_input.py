"""Each thing that is wrong with a Polycam export is one clear line, or pictures that are skipped and counted."""

import io
import json
import re
import zipfile

import layout_polycam as layout
import numpy as np
import pytest
from PIL import Image
from spoiling import halved, read, refusal

from sightline.captures.detect import find_reader
from sightline.captures.polycam.reader import PolycamReader
from sightline.errors import CaptureError, UnknownNameError

FIRST, THIRD = layout.stamps()[0], layout.stamps()[2]
CAMERA, COLOUR = f"corrected_cameras/{THIRD}.json", f"corrected_images/{THIRD}.jpg"
DEPTH, CONFIDENCE = f"depth/{THIRD}.png", f"confidence/{THIRD}.png"


@pytest.fixture(scope="module")
def whole():
    return layout.members(camera=layout.FULL, quarters=0, prefix="corrected_", confidence=True)


def said(members: dict[str, bytes], name: str = CAMERA, **changes) -> None:
    values = json.loads(members[name]) | changes
    members[name] = json.dumps({key: value for key, value in values.items() if value is not ...}).encode()


def removed(members: dict[str, bytes], start: str, count: int) -> None:
    for name in sorted(name for name in members if name.startswith(start))[:count]:
        del members[name]


def png(values: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(values).save(stream, format="PNG")
    return stream.getvalue()


CASES = {
    "one camera missing": (lambda m: m.pop(CAMERA), {"no_camera": 1}),
    "most cameras missing": (
        lambda m: removed(m, "corrected_cameras/", 4),
        "expected usable frames, found 4 of 8 that are not .*no_camera: 4",
    ),
    "B11 one depth map missing": (lambda m: m.pop(DEPTH), {"no_depth": 1}),
    "B11 all depth maps missing": (lambda m: removed(m, "depth/", 8), "expected usable frames, found 8 of 8 that are not .*no_depth: 8"),
    "one confidence map missing": (lambda m: m.pop(CONFIDENCE), {"no_confidence": 1}),
    "zero frames": (lambda m: (removed(m, "corrected_images/", 8), removed(m, "images/", 8)), "images: expected pictures, found none"),
    "B29 a cut camera": (lambda m: m.update({CAMERA: m[CAMERA][:60]}), f"{CAMERA}: expected JSON"),
    "B32 a camera that is no text": (
        lambda m: m.update({CAMERA: b'{"fx": "\xfe"}'}),
        f"{CAMERA}: expected UTF-8, found byte 0xfe at offset 8",
    ),
    "B34 NaN in a camera": (
        lambda m: m.update({CAMERA: m[CAMERA].replace(b'"t_00": ', b'"t_00": NaN, "u": ')}),
        f"{CAMERA}: expected JSON, found NaN",
    ),
    "B33 a key twice": (lambda m: m.update({CAMERA: b'{"fx": 1, "fx": 1}'}), "key 'fx' stands twice"),
    "a camera of another kind": (lambda m: m.update({CAMERA: b"[]"}), f"{CAMERA}: expected an object with fx"),
    "a camera without a focal length": (lambda m: said(m, fx=...), f"{CAMERA}: fx: expected a number, found none"),
    "a camera of words": (lambda m: said(m, cx="middle"), f'{CAMERA}: cx: expected a number, found "middle"'),
    "B07 no focal length": (lambda m: said(m, fx=0), f"{CAMERA}: .*fx=0.0"),
    "B07 a camera of another size": (
        lambda m: said(m, width=1024, height=768),
        rf"{COLOUR}: expected a colour image of 1024x768, found 320x240",
    ),
    "B07 a centre of another size": (lambda m: said(m, cx=512), "intrinsics do not fit images of 320x240: expected cx near 160"),
    "half a pixel": (lambda m: said(m, width=320.5), f"{CAMERA}: expected a whole width"),
    "a pose without an entry": (lambda m: said(m, t_12=...), f"{CAMERA}: t_12: expected a number, found none"),
    "B02 a pose with a null": (lambda m: said(m, t_12=None), {"pose_not_finite": 1}),
    "B01 a pose beyond all numbers": (
        lambda m: m.update({CAMERA: m[CAMERA].replace(b'"t_03": ', b'"t_03": 9e999, "u": ')}),
        "t_03: expected a number, found Inf",
    ),
    "B03 a pose that is no rotation": (lambda m: said(m, t_00=3.0), {"pose_not_rigid": 1}),
    "B01 most poses unknown": (
        lambda m: [said(m, f"corrected_cameras/{stamp}.json", t_03=None) for stamp in layout.stamps()[:5]],
        rf"expected usable poses, found 5 of 8 .*pose_not_finite: 5; first: .*{FIRST}.json",
    ),
    "depth of another size": (
        lambda m: m.update({DEPTH: png(np.full((30, 40), 900, np.uint16))}),
        f"{CONFIDENCE}: expected a confidence map of 40x30",
    ),
    "B13 depth of 8 bits": (
        lambda m: m.update({DEPTH: png(np.full((60, 80), 90, np.uint8))}),
        f"{DEPTH}: expected a 16-bit .*found mode L",
    ),
    "B19 cut depth": (lambda m: m.update({DEPTH: m[DEPTH][:500]}), f"{DEPTH}: expected a whole image"),
    "B19 a cut picture": (lambda m: m.update({COLOUR: m[COLOUR][:20]}), f"{COLOUR}: expected a JPEG/PNG/WEBP"),
    "a confidence of another scale": (
        lambda m: m.update({CONFIDENCE: png(np.full((60, 80), 2, np.uint8))}),
        f"{CONFIDENCE}: expected confidences of 0, 127, 255, found 2. Fix: min_confidence=0",
    ),
    "a picture that is named otherwise": (
        lambda m: m.update({"corrected_images/cover.jpg": m[COLOUR]}),
        "expected a name that is a time in microseconds, found 'cover'",
    ),
    "B33 two pictures of one time": (lambda m: m.update({f"corrected_images/{THIRD}.png": m[COLOUR]}), "expected one file per time"),
}


@pytest.mark.parametrize("packed", [False, True], ids=["folder", "archive"])
@pytest.mark.parametrize("case", CASES)
def test_what_is_wrong_is_named_or_counted(whole, tmp_path, case, packed):
    damage, told = CASES[case]
    spoilt = dict(whole)
    damage(spoilt)
    if packed:
        source = layout.write_archive(tmp_path / "in" / "room.zip", spoilt, inside="room/")
    else:
        source = layout.write_folder(tmp_path / "in" / "room", spoilt)
    wrote = layout.written(source, "room", camera=layout.FULL)
    if isinstance(told, str):
        message = refusal(wrote, source, tmp_path / "w")
        assert re.search(told, message), message
    else:
        capture = read(wrote, source, tmp_path / "w")
        reasons = [one.reason for one in capture.skipped]
        assert {reason: reasons.count(reason) for reason in reasons} == told
    assert {path.relative_to(tmp_path).parts[0] for path in tmp_path.rglob("*")} <= {"in", "w"}


def packed(folder, members: dict[str, bytes], *, inside: str = "room/"):
    source = layout.write_archive(folder / "room.zip", members, inside=inside)
    return layout.written(source, "room", camera=layout.FULL), source


def test_a_cut_archive_is_named(whole, tmp_path):
    wrote, source = packed(tmp_path, whole)
    halved(source)
    assert "room.zip: expected a zip archive" in refusal(wrote, source, tmp_path / "w")
    assert not PolycamReader.recognises(source)


def test_an_archive_that_leads_outside_is_refused_and_nothing_is_written(whole, tmp_path):
    wrote, source = packed(tmp_path / "in", whole | {"../../../evil.jpg": b"x"})
    assert "leads elsewhere" in refusal(wrote, source, tmp_path / "w")
    assert list((tmp_path / "w").iterdir()) == [] and {path.name for path in tmp_path.iterdir()} == {"in", "w"}


def test_a_link_in_an_archive_is_refused(whole, tmp_path):
    wrote, source = packed(tmp_path, whole)
    with zipfile.ZipFile(source, "a") as archive:
        link = zipfile.ZipInfo("room/keyframes/images/1.jpg")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    assert "found a link or a device" in refusal(wrote, source, tmp_path / "w")


def test_an_archive_of_two_exports_or_of_none_is_named(whole, tmp_path):
    wrote, source = packed(tmp_path, whole)
    with zipfile.ZipFile(source, "a") as archive:
        archive.writestr("other/keyframes/cameras/1.json", "{}")
    assert "expected one folder keyframes/" in refusal(wrote, source, tmp_path / "w")
    with zipfile.ZipFile(tmp_path / "none.zip", "w") as archive:
        archive.writestr("readme.txt", "hello")
    assert not PolycamReader.recognises(tmp_path / "none.zip")
    with pytest.raises(CaptureError, match="that none of them does"):
        find_reader(tmp_path / "none.zip")


def test_corrected_pictures_that_are_not_there_and_blurred_ones_that_all_are_are_named(tmp_path):
    wrote = layout.plain(tmp_path / "in")
    assert "Fix: corrected=false" in refusal(wrote, wrote.source, tmp_path / "w", corrected=True)
    message = refusal(wrote, wrote.source, tmp_path / "w", min_blur_score=1000.0)
    assert "expected pictures of a blur_score of 1000 or more, found none" in message


def test_options_and_ids_that_are_not_known_are_refused(whole, tmp_path):
    wrote, source = packed(tmp_path, whole)
    with pytest.raises(UnknownNameError, match="unknown key 'blur_score'.*min_blur_score"):
        PolycamReader(source, {"blur_score": 1})
    with pytest.raises(CaptureError, match="expected split 'all'"):
        PolycamReader(source, {}).scan_ids("train")
    with pytest.raises(CaptureError, match="expected one of the scans room, found 'x'"):
        PolycamReader(source, {}).read("x", workspace=tmp_path)
    with pytest.raises(CaptureError, match="expected a raw export of Polycam"):
        PolycamReader(tmp_path / "nothing", {}).scan_ids("all")
