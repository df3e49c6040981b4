"""Each thing that is wrong with a recording of ARKitScenes is one clear line, or frames and boxes that are skipped and counted."""

import json
import shutil
from pathlib import Path

import layout_arkitscenes as layout
import numpy as np
import pytest
from PIL import Image
from spoiling import copied, expect_verdict, halved, not_text, read, refusal, rewritten, with_line

from sightline.captures.arkitscenes.reader import ArkitScenesReader
from sightline.errors import CaptureError, UnknownNameError


@pytest.fixture(scope="module")
def usual(tmp_path_factory):
    root = tmp_path_factory.mktemp("arkit") / "source"
    return layout.threedod(root), root


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    root = tmp_path_factory.mktemp("arkit_raw") / "source"
    return layout.portrait_raw(root), root


def scan_of(source: Path) -> Path:
    return source / "3dod" / "Training" / layout.VIDEO


def frames_of(source: Path) -> Path:
    return scan_of(source) / f"{layout.VIDEO}_frames"


def trajectory_of(source: Path) -> Path:
    return frames_of(source) / "lowres_wide.traj"


def annotation_of(source: Path) -> Path:
    return scan_of(source) / f"{layout.VIDEO}_3dod_annotation.json"


def nth(source: Path, folder: str, place: int) -> Path:
    return sorted((frames_of(source) / folder).iterdir())[place]


def spoilt_box(source: Path, change) -> None:
    values = json.loads(annotation_of(source).read_text())
    change(values["data"])
    annotation_of(source).write_text(json.dumps(values))


def aligned(box: dict) -> dict:
    return box["segments"]["obbAligned"]


def frame_time(index: int) -> str:
    return f"{layout.times_s()[index]:.3f}"


FILES = {
    "B05 no trajectory": (
        lambda s: trajectory_of(s).unlink(),
        "lowres_wide.traj: .*found no file. Fix: download the asset lowres_wide.traj",
    ),
    "B05 an empty trajectory": (lambda s: trajectory_of(s).write_text("\n"), "lowres_wide.traj: expected poses, found none"),
    "a cut trajectory line": (
        lambda s: with_line(trajectory_of(s), 3, "3036.067 0.1 0.2"),
        r"traj:4: expected `time_s rx .*found 3 numbers",
    ),
    "B02 a pose at no time": (lambda s: with_line(trajectory_of(s), 3, "nan 0 0 0 0 0 0"), "traj:4: expected a finite time"),
    "a word for a number": (lambda s: with_line(trajectory_of(s), 3, "1 0 0 0 0 0 none"), "traj:4: expected a number, found 'none'"),
    "B32 a trajectory that is no text": (lambda s: not_text(trajectory_of(s)), "traj: expected UTF-8, found byte 0xff at offset 40"),
    "B02 one pose not finite": (
        lambda s: with_line(trajectory_of(s), 3, f"{frame_time(3)} nan 0 0 0 0 0"),
        {"pose_not_finite": 1},
    ),
    "B01 one pose infinite": (lambda s: with_line(trajectory_of(s), 5, f"{frame_time(5)} 0 0 0 0 -inf 0"), {"pose_not_finite": 1}),
    "B01 most poses infinite": (
        lambda s: [with_line(trajectory_of(s), n, f"{frame_time(n)} 0 0 0 -inf -inf -inf") for n in range(5)],
        r"expected usable poses, found 5 of 8 .*pose_not_finite: 5; first: .*traj:1",
    ),
    "B05 one pose missing, the next too far": (
        lambda s: rewritten(trajectory_of(s), lambda text: "".join(text.splitlines(True)[:-1])),
        {"pose_not_in_time": 1},
    ),
    "B05 a trajectory of another day": (
        lambda s: rewritten(trajectory_of(s), lambda text: text.replace("303", "903")),
        r"expected usable frames, found 8 of 8 that are not \(pose_not_in_time: 8; first: 3034.567\)",
    ),
    "no colour folder": (lambda s: shutil.rmtree(frames_of(s) / "lowres_wide"), "expected a recording of ARKitScenes"),
    "zero frames": (
        lambda s: [p.unlink() for p in (frames_of(s) / "lowres_wide").iterdir()],
        "lowres_wide: expected .png/.jpg files .*found none",
    ),
    "no camera folder": (
        lambda s: shutil.rmtree(frames_of(s) / "lowres_wide_intrinsics"),
        "lowres_wide_intrinsics: expected a folder of .pincam",
    ),
    "one camera missing": (lambda s: nth(s, "lowres_wide_intrinsics", 2).unlink(), {"no_intrinsics": 1}),
    "B07 a camera of another image size": (
        lambda s: nth(s, "lowres_wide_intrinsics", 0).write_text("640 480 448 454 324 232\n"),
        "lowres_wide/.*png: expected a colour image of 640x480, found 160x120",
    ),
    "B07 a centre of another image size": (
        lambda s: nth(s, "lowres_wide_intrinsics", 0).write_text("160 120 112 113 324 232\n"),
        "intrinsics do not fit images of 160x120: expected cx near 80",
    ),
    "B07 no focal length": (lambda s: nth(s, "lowres_wide_intrinsics", 0).write_text("160 120 0 113 80 60\n"), r"pincam: .*fx=0\.0"),
    "a camera of five numbers": (
        lambda s: nth(s, "lowres_wide_intrinsics", 0).write_text("160 120 1 1 1\n"),
        "pincam: expected `width .*found 5",
    ),
    "a camera without a number": (
        lambda s: nth(s, "lowres_wide_intrinsics", 0).write_text("160 120 nan 1 1 1\n"),
        "pincam: .*finite numbers",
    ),
    "a camera of half pixels": (lambda s: nth(s, "lowres_wide_intrinsics", 0).write_text("160.5 120 1 1 1 1\n"), "pincam: .*whole width"),
    "B11 one depth image missing": (lambda s: nth(s, "lowres_depth", 2).unlink(), {"no_depth_in_time": 1}),
    "B11 most depth images missing": (
        lambda s: [nth(s, "lowres_depth", 0).unlink() for _ in range(4)],
        "expected usable frames, found 4 of 8 that are not .*no_depth_in_time: 4",
    ),
    "depth of another size": (
        lambda s: Image.fromarray(np.full((48, 64), 2000, np.uint16)).save(nth(s, "lowres_depth", 4)),
        "expected depth images of 160x120 like frame 3034.567, found 64x48",
    ),
    "B19 a cut colour image": (lambda s: nth(s, "lowres_wide", 1).write_bytes(b"\x89PNG\r\n"), "lowres_wide/.*expected a JPEG/PNG/WEBP"),
    "B35 a frame of another recording": (
        lambda s: nth(s, "lowres_wide", 1).rename(frames_of(s) / "lowres_wide" / "47333462_3035.067.png"),
        "47333462_3035.067.png: expected a name like 41069021_SECONDS.png of this recording",
    ),
    "B33 two frames of one time": (
        lambda s: shutil.copy(nth(s, "lowres_wide", 1), frames_of(s) / "lowres_wide" / f"{layout.VIDEO}_3035.0671.png"),
        "expected one file per millisecond",
    ),
    "B29 a cut annotation": (lambda s: halved(annotation_of(s)), "annotation.json: expected JSON"),
    "B32 an annotation that is no text": (lambda s: not_text(annotation_of(s)), "annotation.json: expected UTF-8"),
    "B34 NaN in an annotation": (
        lambda s: rewritten(annotation_of(s), lambda t: t.replace('"centroid": [', '"centroid": [NaN, ', 1)),
        "NaN is not JSON",
    ),
    "an annotation of another kind": (lambda s: annotation_of(s).write_text("[]"), "annotation.json: data: expected a list"),
    "B35 an annotation of another recording": (
        lambda s: annotation_of(s).rename(annotation_of(s).with_name("40000000_3dod_annotation.json")),
        r"40000000_3dod_annotation.json: expected \d+_3dod_annotation.json, found an annotation of another recording. Fix: move it away",
    ),
    "a box without segments": (
        lambda s: spoilt_box(s, lambda d: d[2].pop("segments")),
        r"data\[2\]: expected `label` and `segments.obbAligned`",
    ),
    "a box of two lengths": (
        lambda s: spoilt_box(s, lambda d: aligned(d[2])["axesLengths"].pop()),
        r"data\[2\]: obbAligned.axesLengths: expected 3",
    ),
    "a box of words": (
        lambda s: spoilt_box(s, lambda d: aligned(d[2]).update(centroid=["a", 0, 0])),
        r"data\[2\]: obbAligned.centroid: expected 3",
    ),
    "a box without a name": (lambda s: spoilt_box(s, lambda d: d[2].update(label="")), r"data\[2\]: label: expected a word"),
    "B33 a uid twice": (
        lambda s: spoilt_box(s, lambda d: d[2].update(uid=d[1]["uid"])),
        "expected every box once, found uid 'uid-1' 2 times",
    ),
    "B32 a table that is no text": (lambda s: not_text(s / "3dod" / "3dod_train_val_splits.csv"), "splits.csv: expected a table .*damaged"),
    "a table of another kind": (
        lambda s: (s / "3dod" / "3dod_train_val_splits.csv").write_text("a,b\n1,2\n"),
        "expected columns video_id and visit_id",
    ),
    "B33 a video twice": (
        lambda s: rewritten(s / "3dod" / "3dod_train_val_splits.csv", lambda t: t + f"{layout.VIDEO},77,Training\n"),
        "csv:4: expected video 41069021 once",
    ),
    "B26 a visit that is a path": (
        lambda s: rewritten(s / "3dod" / "3dod_train_val_splits.csv", lambda t: t.replace(layout.VISIT, "../../x")),
        r"csv:2: visit_id: expected a number, found '\.\./\.\./x'",
    ),
}


@pytest.mark.parametrize("case", FILES)
def test_what_is_wrong_is_named_or_counted(usual, tmp_path, case):
    wrote, root = usual
    damage, told = FILES[case]
    source = copied(wrote, root, tmp_path / "copy")
    damage(source)
    expect_verdict(wrote, source, tmp_path / "workspace", told)


BOXES = {  # B44
    "a box that is not finite": (lambda d: aligned(d[2]).update(centroid=[1e999, 0, 0]), "box_not_finite"),
    "a box with a null": (lambda d: aligned(d[2]).update(axesLengths=[None, 1, 1]), "box_not_finite"),
    "a box without extent": (lambda d: aligned(d[2]).update(axesLengths=[0.0, 1, 1]), "box_without_extent"),
    "a box with a negative extent": (lambda d: aligned(d[2]).update(axesLengths=[-0.2, 1, 1]), "box_without_extent"),
    "a box whose axes are no rotation": (
        lambda d: aligned(d[2]).update(normalizedAxes=[1, 0, 0, 1, 0, 0, 0, 0, 1]),
        "box_axes_no_rotation",
    ),
}


@pytest.mark.parametrize("case", BOXES)
def test_boxes_that_are_none_are_left_out_and_counted(usual, tmp_path, case):
    wrote, root = usual
    damage, reason = BOXES[case]
    source = copied(wrote, root, tmp_path / "copy")
    spoilt_box(source, damage)
    rewritten(annotation_of(source), lambda text: text.replace("Infinity", "1e999"))
    capture = read(wrote, source, tmp_path / "workspace")
    whole = read(wrote, wrote.source, tmp_path / "workspace2")
    assert capture.notes["objects_skipped"] == {reason: 1}
    assert [one.object_id for one in capture.objects] == [one.object_id for one in whole.objects if one.object_id != 2]


CONFIDENCES = {
    "no confidence at all": (lambda s: shutil.rmtree(s / "confidence"), {}, "confidence: expected a folder of .png"),
    "one confidence map missing": (lambda s: sorted((s / "confidence").iterdir())[3].unlink(), {}, {"no_confidence_in_time": 1}),
    "a confidence map of another size": (
        lambda s: Image.fromarray(np.full((10, 10), 2, np.uint8)).save(sorted((s / "confidence").iterdir())[3]),
        {},
        "expected a confidence map of 80x60 like the depth image, found 10x10",
    ),
    "a confidence beyond high": (
        lambda s: Image.fromarray(np.full((60, 80), 7, np.uint8)).save(sorted((s / "confidence").iterdir())[3]),
        {},
        "expected confidences of 0, 1, 2, found 7",
    ),
    "confidence asked of the laser's depth": (
        lambda s: None,
        {"depth": "highres"},
        "min_confidence: expected depth of the iPad.*Fix: depth=lowres",
    ),
    "depth that was not downloaded": (lambda s: None, {"depth": "highres", "min_confidence": 0}, "highres_depth: expected a folder"),
    "images that were not downloaded": (lambda s: None, {"images": "wide"}, "wide: expected a folder of .png/.jpg"),
    "B13 depth of 8 bits": (
        lambda s: Image.fromarray(np.full((60, 80), 20, np.uint8)).save(sorted((s / "lowres_depth").iterdir())[3]),
        {},
        "expected a 16-bit single-channel PNG, found mode L",
    ),
    "B19 a cut depth image": (lambda s: halved(sorted((s / "lowres_depth").iterdir())[2]), {}, "lowres_depth/.*expected a whole image"),
    "B07 a camera of the picture once turned": (
        lambda s: sorted((s / "vga_wide_intrinsics").iterdir())[2].write_text("120 160 118 116.5 57 82\n"),
        {},
        "vga_wide/.*png: expected a colour image of 120x160, found 160x120",
    ),
}


@pytest.mark.parametrize("case", CONFIDENCES)
def test_what_is_wrong_with_a_raw_download_is_named_or_counted(raw, tmp_path, case):
    wrote, root = raw
    damage, options, told = CONFIDENCES[case]
    source = copied(wrote, root, tmp_path / "copy")
    damage(source / "Validation" / layout.VIDEO)
    expect_verdict(wrote, source, tmp_path / "workspace", told, **options)


def test_options_and_splits_that_are_not_known_are_refused(usual, raw, tmp_path):
    wrote, _ = usual
    with pytest.raises(UnknownNameError, match="unknown key 'image'.*images"):
        ArkitScenesReader(wrote.source, {"image": "wide"})
    with pytest.raises(CaptureError, match="expected split all, Training or Validation, found 'test'"):
        ArkitScenesReader(wrote.source, {}).scan_ids("test")
    with pytest.raises(CaptureError, match="expected one of the recordings 41069021, found '1'"):
        ArkitScenesReader(wrote.source, {}).read("1", workspace=tmp_path)
    with pytest.raises(CaptureError, match="expected a recording of ARKitScenes.*found nothing"):
        ArkitScenesReader(tmp_path / "none", {}).scan_ids("all")


def test_a_recording_in_both_downloads_must_be_chosen(usual, raw, tmp_path):
    wrote, root = usual
    both = tmp_path / "both"
    shutil.copytree(root, both)
    shutil.copytree(raw[1] / "raw", both / "raw")
    assert "is also in" in refusal(wrote, both, tmp_path / "w1") and "layout=3dod" in refusal(wrote, both, tmp_path / "w1")
    assert read(wrote, both, tmp_path / "w2", layout="3dod").notes["layout"] == "3dod"
    assert read(wrote, both, tmp_path / "w3", layout="raw").notes["layout"] == "raw"
