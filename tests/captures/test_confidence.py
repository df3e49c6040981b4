"""Confidence maps: strict about what they hold, and what they leave out becomes no reading."""

import numpy as np
import pytest
from PIL import Image

from sightline.captures.confidence import confidence_note, levels_of, masked, quantised, read_confidence
from sightline.errors import CaptureError

LEVELS = np.array([[0, 1, 2], [2, 1, 0]], dtype=np.uint8)
DEPTH = np.array([[1000, 1100, 1200], [1300, 1400, 0]], dtype=np.uint16)


def test_both_ways_of_writing_levels_are_read(tmp_path):
    Image.fromarray(LEVELS).save(tmp_path / "a.png")
    Image.fromarray(np.array([0, 127, 255], dtype=np.uint8)[LEVELS]).save(tmp_path / "b.png")
    assert (read_confidence(tmp_path / "a.png") == LEVELS).all()
    assert (read_confidence(tmp_path / "b.png", stored_levels=(0, 127, 255)) == LEVELS).all()
    with pytest.raises(CaptureError, match="b.png: expected confidences of 0, 1, 2, found (127|255)"):
        read_confidence(tmp_path / "b.png")


def test_readings_below_the_wanted_confidence_are_no_readings():
    assert masked(DEPTH, LEVELS, min_confidence=0, where="").tolist() == DEPTH.tolist()
    assert masked(DEPTH, LEVELS, min_confidence=1, where="").tolist() == [[0, 1100, 1200], [1300, 1400, 0]]
    assert masked(DEPTH, LEVELS, min_confidence=2, where="").tolist() == [[0, 0, 1200], [1300, 0, 0]]
    assert "below 2" in confidence_note(2)


def test_a_map_of_another_size_kind_or_none_at_all_is_named(tmp_path):
    with pytest.raises(CaptureError, match="x.png: expected a confidence map of 3x2 like the depth image, found 2x3"):
        masked(DEPTH, LEVELS.T, min_confidence=1, where="x.png")
    Image.fromarray(DEPTH).save(tmp_path / "deep.png")
    (tmp_path / "text.png").write_text("no image")
    with pytest.raises(CaptureError, match="deep.png: expected an 8-bit single-channel PNG, found mode I;16"):
        read_confidence(tmp_path / "deep.png")
    with pytest.raises(CaptureError, match="text.png: expected a PNG of confidences"):
        read_confidence(tmp_path / "text.png")
    with pytest.raises(CaptureError, match="none.png: expected a confidence map, found no file"):
        read_confidence(tmp_path / "none.png")
    Image.fromarray(LEVELS).save(tmp_path / "cut.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "cut.png").read_bytes()[:45])
    with pytest.raises(CaptureError, match="cut.png: expected a PNG of confidences"):
        read_confidence(tmp_path / "cut.png")
    with pytest.raises(CaptureError, match="found 9"):
        levels_of(np.array([[9]], dtype=np.uint8), where="x")


def test_float_depth_is_rounded_to_a_quarter_millimetre_and_nonsense_is_no_reading():
    depth_m = np.array([[1.0001, 16.38, 16.4], [np.nan, np.inf, -1.0], [0.0, 1e-5, 1e30]], dtype=np.float32)
    assert quantised(depth_m).tolist() == [[4000, 65520, 0], [0, 0, 0], [0, 0, 0]]
    rng = np.random.default_rng(0)
    some_m = rng.uniform(0.3, 12.0, size=(40, 30)).astype(np.float32)
    assert np.abs(quantised(some_m) * 0.00025 - some_m).max() < 0.000126
