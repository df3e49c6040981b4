"""What the layout contract does not see of Polycam: which pictures are taken, what is left where it lies, what leaves an archive."""

import layout_polycam as layout
import numpy as np
import pytest
import true_room as true
from PIL import Image
from spoiling import read

from sightline.captures.frame_images import stored_depth
from sightline.captures.images import read_rgb
from sightline.captures.polycam.reader import PolycamReader


@pytest.fixture(scope="module")
def corrected(tmp_path_factory):
    return layout.corrected(tmp_path_factory.mktemp("polycam"))


def test_the_other_pictures_are_read_when_they_are_asked_for(corrected, tmp_path):
    capture = read(corrected, corrected.source, tmp_path / "w", corrected=False, upright=False)
    assert capture.notes["corrected"] is False and read(corrected, corrected.source, tmp_path / "w2").notes["corrected"] is True
    for frame, pose in zip(capture.frames, true.poses()):
        assert frame.rgb_path.parent.name == "images"
        assert np.abs(read_rgb(frame.rgb_path).astype(int) - (255 - true.shoot(layout.FULL, pose).rgb)).mean() < 4.0


def test_pictures_that_are_not_turned_stay_where_they_are(corrected, tmp_path):
    capture = read(corrected, corrected.source, tmp_path / "w", min_confidence=0)
    assert all(
        frame.rgb_path.is_relative_to(corrected.source) and frame.depth_path.is_relative_to(corrected.source) for frame in capture.frames
    )
    assert list((tmp_path / "w").iterdir()) == [] and "reencoded" not in capture.notes and "confidence" not in capture.notes


def test_readings_of_low_confidence_are_left_out_step_by_step(corrected, tmp_path):
    usual, strict = read(corrected, corrected.source, tmp_path / "a"), read(corrected, corrected.source, tmp_path / "b", min_confidence=2)
    for frame, stricter, stamp in zip(usual.frames, strict.frames, layout.stamps()):
        whole = np.asarray(Image.open(corrected.source / "keyframes" / "depth" / f"{stamp}.png")).copy()
        whole[-1:, :6] = 0
        assert (stored_depth(frame) == whole).all()
        whole[:1, :6] = 0
        assert (stored_depth(stricter) == whole).all()


def test_blurred_pictures_are_left_out_and_counted(corrected, tmp_path):
    capture = read(corrected, corrected.source, tmp_path / "w", min_blur_score=105.0)
    assert [frame.frame_id for frame in capture.frames] == layout.stamps()[5:]
    assert [(one.frame_id, one.reason) for one in capture.skipped] == [(stamp, "blurred") for stamp in layout.stamps()[:5]]


def test_an_archive_gives_its_pictures_byte_for_byte_and_leaves_nothing_else(tmp_path):
    wrote = layout.archive_level(tmp_path / "in")
    capture = read(wrote, wrote.source, tmp_path / "w")
    found = layout.members(camera=layout.FULL, quarters=0, prefix="", confidence=False)
    assert [frame.rgb_path.read_bytes() for frame in capture.frames] == [found[f"images/{stamp}.jpg"] for stamp in layout.stamps()]
    files = {path.name for path in (tmp_path / "w").rglob("*") if path.is_file()}
    assert files == {"depth.depthpack", *(f"{stamp}.jpg" for stamp in layout.stamps())}


def test_a_turned_archive_leaves_only_the_turned_pictures(tmp_path):
    wrote = layout.archive(tmp_path / "in")
    capture = read(wrote, wrote.source, tmp_path / "w", frame_step=4)
    assert "turned 180 degrees" in capture.notes["reencoded"]
    files = sorted(str(path.relative_to(tmp_path / "w")) for path in (tmp_path / "w").rglob("*") if path.is_file())
    assert files == sorted(["depth.depthpack", *(f"color/{stamp}.jpg" for stamp in layout.stamps()[::4])])


def test_frames_are_in_the_order_of_time_though_their_names_have_more_digits_later(corrected, tmp_path):
    capture = read(corrected, corrected.source, tmp_path / "w")
    assert {len(frame.frame_id) for frame in capture.frames} == {10, 11}
    times_s = [frame.time_s for frame in capture.frames]
    assert times_s == sorted(times_s) and times_s[0] == pytest.approx(layout.START_US / 1e6)


def test_source_files_are_those_that_are_read(corrected, tmp_path):
    parents = {path.parent.name for path in PolycamReader(corrected.source, {}).source_files("kitchen")}
    assert parents == {"images", "cameras", "corrected_images", "corrected_cameras", "depth", "confidence"}
    wrote = layout.archive_level(tmp_path)
    assert list(PolycamReader(wrote.source, {}).source_files("level")) == [wrote.source]
