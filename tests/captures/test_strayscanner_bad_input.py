"""Each thing that is wrong with a Stray Scanner recording is one clear line, or frames that are skipped and counted."""

import re
import shutil
from pathlib import Path

import layout_strayscanner as layout
import numpy as np
import pytest
from PIL import Image
from spoiling import copied, halved, not_text, read, refusal, rewritten, with_line

from sightline.captures.strayscanner.reader import StrayScannerReader
from sightline.errors import CaptureError, UnknownNameError

START = {"no_depth_yet": layout.FIRST}  # the recording's first frames have no depth


@pytest.fixture(scope="module")
def newer(tmp_path_factory):
    root = tmp_path_factory.mktemp("stray") / "source"
    return layout.newer(root), root


def odometry(scan: Path) -> Path:
    return scan / "odometry.csv"


def edited(scan: Path, line: int, column: int, word: str) -> None:
    words = odometry(scan).read_text().splitlines()[line].split(",")
    words[column] = word
    with_line(odometry(scan), line, ",".join(words))


def replaced_png(folder: Path, place: int, values: np.ndarray) -> None:
    Image.fromarray(values).save(sorted(folder.iterdir())[place])


def no_confidence_at_all(scan: Path) -> None:
    for path in (scan / "confidence").iterdir():
        path.unlink()


def a_video_of_fewer_frames(scan: Path) -> None:
    layout.write_video(scan / "rgb.mp4", [np.zeros((240, 320, 3), np.uint8)] * 6)


CASES = {
    "no video": (lambda s: (s / "rgb.mp4").unlink(), "rgb.mp4: expected a video, found no file"),
    "B29 a cut video": (lambda s: halved(s / "rgb.mp4"), "rgb.mp4: expected a video, found one that is truncated"),
    "a video that is none": (lambda s: (s / "rgb.mp4").write_text("#EXTM3U\n"), "rgb.mp4: expected an MP4 or Matroska video"),
    "a video of fewer frames": (a_video_of_fewer_frames, "rgb.mp4: expected at least 10 frames, found 6 that can be decoded"),
    "no odometry": (lambda s: odometry(s).unlink(), "expected a scan in the Stray Scanner layout"),
    "zero frames": (
        lambda s: rewritten(odometry(s), lambda t: t.splitlines()[0]),
        "odometry.csv: expected a line per frame, found none",
    ),
    "an empty odometry": (
        lambda s: odometry(s).write_text(""),
        "odometry.csv:1: expected a header with .*without timestamp",
    ),
    "wrong version: no header": (
        lambda s: rewritten(odometry(s), lambda t: t.partition("\n")[2]),
        "odometry.csv:1: expected a header .*found one without timestamp, frame",
    ),
    "a column twice": (lambda s: rewritten(odometry(s), lambda t: t.replace("fx", "x", 1)), "odometry.csv:1: .*with a name twice"),
    "B29 a cut line": (lambda s: rewritten(odometry(s), lambda t: t[:-60]), r"odometry.csv:11: expected 13 values .*found \d+"),
    "a word for a number": (lambda s: edited(s, 4, 2, "far"), "odometry.csv:5: x: expected a number, found 'far'"),
    "an empty field": (lambda s: edited(s, 4, 3, " "), "odometry.csv:5: y: expected a number, found ''"),
    "half a frame": (lambda s: edited(s, 4, 1, "2.5"), "odometry.csv:5: frame: expected a whole number"),
    "a frame beyond all": (lambda s: edited(s, 4, 1, "1e18"), "odometry.csv:5: frame: expected a whole number of 0 to 999999"),
    "B33 a frame twice": (lambda s: edited(s, 4, 1, "000002"), "odometry.csv:5: expected every frame once, found frame 2 also at .*csv:4"),
    "B34 a time that is no number": (lambda s: edited(s, 4, 0, "nan"), "odometry.csv:5: timestamp: expected a finite"),
    "B32 odometry that is no text": (lambda s: not_text(odometry(s)), "odometry.csv: expected UTF-8, found byte 0xff at offset 40"),
    "B02 one rotation not finite": (lambda s: edited(s, 5, 6, "nan"), START | {"pose_not_finite": 1}),
    "B02 one place infinite": (lambda s: edited(s, 5, 3, "inf"), START | {"pose_not_finite": 1}),
    "B03 one rotation of no length": (lambda s: edited(s, 5, 8, "0.0001"), START | {"pose_not_finite": 1}),
    "B01 most poses infinite": (
        lambda s: [edited(s, line, 2, "-inf") for line in range(3, 8)],
        r"expected usable poses, found 5 of 8 .*pose_not_finite: 5; first: .*odometry.csv:4",
    ),
    "B07 a camera of another video": (
        lambda s: edited(s, 5, 11, "960"),
        "csv:6: intrinsics do not fit images of 320x240: expected cx",
    ),
    "B07 no focal length": (lambda s: edited(s, 5, 9, "0"), "odometry.csv:6: .*fx=0.0"),
    "B34 a camera that is no number": (lambda s: edited(s, 5, 9, "nan"), "odometry.csv:6: expected finite fx"),
    "no depth folder": (lambda s: shutil.rmtree(s / "depth"), "depth: expected a folder of depth maps"),
    "wrong version: depth as arrays": (
        lambda s: [path.rename(path.with_suffix(".npy")) for path in (s / "depth").iterdir()],
        "depth: expected PNG depth maps, found .npy ones of the app's first version",
    ),
    "B11 most depth maps missing": (
        lambda s: [sorted((s / "depth").iterdir())[1].unlink() for _ in range(4)],
        "expected usable frames, found 4 of 8 that are not .*no_depth: 4; first: 000003",
    ),
    "B11 all depth maps missing": (
        lambda s: [path.unlink() for path in (s / "depth").iterdir()],
        "expected usable frames, found 10 of 10 that are not .*no_depth: 10",
    ),
    "B11 one depth map missing": (lambda s: (s / "depth" / "000004.png").unlink(), START | {"no_depth": 1}),
    "depth of another size": (
        lambda s: replaced_png(s / "depth", 3, np.full((30, 40), 900, np.uint16)),
        "expected a confidence map of 40x30",
    ),
    "B13 depth of 8 bits": (lambda s: replaced_png(s / "depth", 3, np.full((60, 80), 90, np.uint8)), "expected a 16-bit .*found mode L"),
    "B19 a cut depth map": (lambda s: halved(sorted((s / "depth").iterdir())[3]), "depth/000005.png: expected a whole image"),
    "a confidence beyond high": (
        lambda s: replaced_png(s / "confidence", 3, np.full((60, 80), 3, np.uint8)),
        "confidence/000005.png: expected confidences of 0, 1, 2, found 3. Fix: min_confidence=0",
    ),
    "no confidence at all": (no_confidence_at_all, "no_confidence: 8.*Fix: min_confidence=0"),
}


@pytest.mark.parametrize("case", CASES)
def test_what_is_wrong_is_named_or_counted(newer, tmp_path, case):
    wrote, root = newer
    damage, told = CASES[case]
    source = copied(wrote, root, tmp_path / "copy")
    damage(source)
    if isinstance(told, str):
        message = refusal(wrote, source, tmp_path / "w")
        assert re.search(told, message), message
        return
    capture = read(wrote, source, tmp_path / "w")
    reasons = [one.reason for one in capture.skipped]
    assert {reason: reasons.count(reason) for reason in reasons} == told
    assert len(capture.frames) == layout.FIRST + len(wrote.frames) - len(reasons)


def test_one_depth_map_of_another_size_is_named(tmp_path):
    wrote = layout.older(tmp_path / "source")
    replaced_png(wrote.source / wrote.scan_id / "depth", 3, np.full((30, 40), 900, np.uint16))
    assert "expected depth images of 80x60 like frame 000002, found 40x30" in refusal(wrote, wrote.source, tmp_path / "w")


def test_a_missing_or_damaged_camera_matrix_is_named(tmp_path):
    wrote = layout.older(tmp_path / "source")
    matrix = wrote.source / wrote.scan_id / "camera_matrix.csv"
    for text, told in (("1, 2, 3", "expected a 3x3"), ("9, 0, 9\n0, 9, 9\n0, 0, 1", "intrinsics do not fit images of 320x240")):
        matrix.write_text(text)
        assert told in refusal(wrote, wrote.source, tmp_path / "w")
    matrix.unlink()
    assert "camera_matrix.csv: expected a text file" in refusal(wrote, wrote.source, tmp_path / "w")


def test_options_and_ids_that_are_not_known_are_refused(newer, tmp_path):
    wrote, _ = newer
    with pytest.raises(UnknownNameError, match="unknown key 'confidence'.*min_confidence"):
        StrayScannerReader(wrote.source, {"confidence": 1})
    with pytest.raises(CaptureError, match="expected split 'all'"):
        StrayScannerReader(wrote.source, {}).scan_ids("train")
    with pytest.raises(CaptureError, match="expected one of the scans 0d1c6e9a44, found 'x'"):
        StrayScannerReader(wrote.source, {}).read("x", workspace=tmp_path)
