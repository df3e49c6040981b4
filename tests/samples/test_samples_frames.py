"""Views: dots where the mark says at any size, areas averaged, depth untouched, decoded once."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from handmade_facts import CAMERA
from hypothesis import given, settings
from hypothesis import strategies as st
from small_store import gradient, write_scan

from sightline.errors import DataError, SceneError
from sightline.geometry.cameras import Intrinsics
from sightline.questions.question import MARK_COLOURS, Mark
from sightline.samples import frames
from sightline.samples.frames import FrameCache, draw_mark, load_views, resized
from sightline.samples.sample import Sample


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("views")
    write_scan(root, "scan_a", seed=1, cameras=4)
    return root / "store"


def a_sample(**changes) -> Sample:
    values = dict(
        sample_id="scan_a/t/0000",
        task="t",
        split="train",
        scan_id="scan_a",
        place_id="p",
        frame_ids=("000002",),
        image_paths=("scan_a/color/000002.png",),
        marks=(),
        question="q",
        answer_kind="number",
        answer_options={"unit": "m", "decimals": 1},
        answer_text="1.0",
        answer_value=1.0,
        evidence={},
        template_id="t.0",
        seed=0,
        generator_version="x",
        source="s",
        licence="l",
    )
    return Sample(**{**values, **changes})


def test_a_view_carries_its_camera_and_its_depth(store):
    (view,) = load_views(a_sample(), store=store, width=128, height=96, with_depth=True)
    assert view.rgb.shape == (96, 128, 3) and view.rgb.dtype == np.uint8
    assert view.intrinsics == CAMERA.resized(width=128, height=96)
    assert view.depth_m.shape == (30, 40) and view.depth_m.dtype == np.float32
    assert np.isnan(view.depth_m[0, 0]) and view.depth_m[5, 5] == pytest.approx(1.002, abs=1e-6)
    assert (view.depth_intrinsics.width, view.depth_intrinsics.height) == (40, 30)
    assert view.world_from_camera.shape == (4, 4)


def test_depth_is_left_out_where_it_is_not_wanted(store):
    (view,) = load_views(a_sample(), store=store, width=64, height=48, with_depth=False)
    assert view.depth_m is None and view.depth_intrinsics is None


def test_the_stored_size_gives_the_stored_pixels(store):
    (view,) = load_views(a_sample(), store=store, width=320, height=240, with_depth=False)
    assert np.array_equal(view.rgb, gradient(1 * 50 + 2))


def test_shrinking_averages_areas_exactly():
    rgb = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    means = rgb.reshape(12, 4, 16, 4, 3).astype(float).mean(axis=(1, 3))
    assert np.abs(resized(rgb, width=16, height=12) - means).max() <= 0.5 + 1e-9


@pytest.mark.parametrize(("width", "height"), [(128, 96), (160, 120), (320, 240), (640, 480), (200, 96)])
@settings(max_examples=25)
@given(u=st.floats(8, 311), v=st.floats(8, 231))
def test_a_dot_stands_on_its_point_at_any_size(width, height, u, v):
    """The centre of mass of the dot's pixels is the mark's place in the resized camera."""
    rgb = np.zeros((height, width, 3), dtype=np.uint8)
    draw_mark(rgb, Mark(frame_id="f", u_px=u, v_px=v, colour="red"), stored=CAMERA, where="s")
    weights = rgb.max(axis=-1).astype(float)
    wanted_u, wanted_v = (u + 0.5) * width / 320 - 0.5, (v + 0.5) * height / 240 - 0.5
    reach = 1.4 * frames.dot_radius_px(width, height) + 1.5
    if reach <= wanted_u <= width - 1 - reach and reach <= wanted_v <= height - 1 - reach:
        vs, us = np.nonzero(weights)
        assert np.average(us, weights=weights[vs, us]) == pytest.approx(wanted_u, abs=0.1)
        assert np.average(vs, weights=weights[vs, us]) == pytest.approx(wanted_v, abs=0.1)
    assert rgb.any()


@pytest.mark.parametrize("colour", MARK_COLOURS)
@pytest.mark.parametrize("background", [0, 128, 255])
def test_a_dot_has_its_colour_and_two_rings_on_any_background(colour, background):
    rgb = np.full((96, 128, 3), background, dtype=np.uint8)
    draw_mark(rgb, Mark(frame_id="f", u_px=160.75, v_px=120.75, colour=colour), stored=CAMERA, where="s")
    assert tuple(rgb[48, 64]) == MARK_COLOURS[colour]
    line = rgb[48, 64:].astype(int).sum(axis=-1)  # the dot is centred on pixel (64, 48)
    assert line[4] > 600, "a white ring"
    assert line[5] < 500, "a dark ring around it"
    assert np.array_equal(rgb[:, :50], np.full((96, 50, 3), background, dtype=np.uint8))


def test_a_dot_at_the_edge_is_clipped_and_one_outside_is_refused():
    rgb = np.zeros((96, 128, 3), dtype=np.uint8)
    draw_mark(rgb, Mark(frame_id="f", u_px=0.0, v_px=0.0, colour="red", label="A"), stored=CAMERA, where="s")
    draw_mark(rgb, Mark(frame_id="f", u_px=319.4, v_px=239.4, colour="red", label="B"), stored=CAMERA, where="s")
    with pytest.raises(DataError, match="sample s1: expected a mark inside the 320x240 image, found \\(320.0, 10.0\\)"):
        draw_mark(rgb, Mark(frame_id="f", u_px=320.0, v_px=10.0, colour="red"), stored=CAMERA, where="s1")
    with pytest.raises(DataError, match="expected a mark.s colour of red, blue"):
        draw_mark(rgb, Mark(frame_id="f", u_px=20.0, v_px=10.0, colour="mauve"), stored=CAMERA, where="s1")


@pytest.mark.parametrize("u", [5.0, 160.0, 315.0])
@pytest.mark.parametrize("v", [5.0, 120.0, 235.0])
def test_a_letter_stays_inside_the_image(u, v):
    """Drawn on a canvas with a margin, nothing of the letter would lie in the margin."""
    wide = Intrinsics(fx=1, fy=1, cx=0, cy=0, width=320, height=240)
    with_letter, without = np.zeros((240, 320, 3), dtype=np.uint8), np.zeros((240, 320, 3), dtype=np.uint8)
    draw_mark(with_letter, Mark(frame_id="f", u_px=u, v_px=v, colour="red", label="A"), stored=wide, where="s")
    draw_mark(without, Mark(frame_id="f", u_px=u, v_px=v, colour="red"), stored=wide, where="s")
    letter = (with_letter != without).any(axis=-1)
    rows, columns = np.nonzero(letter)
    assert letter.sum() > 40 and rows.min() >= 1 and columns.min() >= 1 and rows.max() <= 238 and columns.max() <= 318


@pytest.mark.parametrize("background", [0, 90, 255])
def test_a_box_has_its_colour_along_its_edges_between_lines_that_stand_out_and_nothing_inside(background):
    stored = Intrinsics.from_field_of_view(horizontal_deg=60.0, width=320, height=240)
    rgb = np.full((240, 320, 3), background, dtype=np.uint8)
    box = Mark(frame_id="f", u_px=80.0, v_px=60.0, right_px=200.0, bottom_px=150.0, colour="red")
    draw_mark(rgb, box, stored=stored, where="here")
    for u, v in ((80, 100), (200, 100), (140, 60), (140, 150)):
        assert tuple(rgb[v, u]) == MARK_COLOURS["red"]
    assert (rgb[64:146, 84:196] == background).all() and (rgb[:40] == background).all()
    brightness = rgb[100, 60:90].mean(axis=1)
    assert np.abs(brightness - background).max() > 100  # the white or the dark line


def test_a_box_that_leaves_the_image_or_is_turned_over_is_refused():
    stored = Intrinsics.from_field_of_view(horizontal_deg=60.0, width=320, height=240)
    rgb = np.zeros((240, 320, 3), dtype=np.uint8)
    for right_px, bottom_px in ((400.0, 100.0), (40.0, 100.0)):
        with pytest.raises(DataError, match="mark inside|beyond its left"):
            draw_mark(
                rgb,
                Mark(frame_id="f", u_px=80.0, v_px=60.0, right_px=right_px, bottom_px=bottom_px, colour="red"),
                stored=stored,
                where="x",
            )


def test_dots_are_drawn_on_their_own_frame_only(store):
    sample = a_sample(
        frame_ids=("000001", "000002"),
        image_paths=("scan_a/color/000001.png", "scan_a/color/000002.png"),
        marks=(Mark(frame_id="000002", u_px=100.0, v_px=100.0, colour="green"),),
    )
    plain = load_views(replace(sample, marks=()), store=store, width=128, height=96, with_depth=False)
    dotted = load_views(sample, store=store, width=128, height=96, with_depth=False)
    assert np.array_equal(plain[0].rgb, dotted[0].rgb) and not np.array_equal(plain[1].rgb, dotted[1].rgb)


def test_a_frame_is_decoded_once_and_a_dot_is_never_cached(store, monkeypatch):
    cache, reads = FrameCache(), []
    monkeypatch.setattr(frames, "read_rgb", lambda path: reads.append(path) or gradient(0))
    dotted = a_sample(marks=(Mark(frame_id="000002", u_px=100.0, v_px=100.0, colour="green"),))
    first = load_views(dotted, store=store, width=128, height=96, with_depth=False, cache=cache)
    plain = load_views(a_sample(), store=store, width=128, height=96, with_depth=False, cache=cache)
    assert len(reads) == 1
    assert np.array_equal(plain[0].rgb, resized(gradient(0), width=128, height=96)) and not np.array_equal(plain[0].rgb, first[0].rgb)
    load_views(a_sample(), store=store, width=64, height=48, with_depth=False, cache=cache)
    assert len(reads) == 2


def test_the_cache_keeps_to_its_bytes_and_forgets_the_oldest(store, monkeypatch):
    one = 96 * 128 * 3
    cache, reads = FrameCache(max_bytes=2 * one), []
    monkeypatch.setattr(frames, "read_rgb", lambda path: reads.append(path.name) or gradient(0))

    def show(frame_id):
        sample = a_sample(frame_ids=(frame_id,), image_paths=(f"scan_a/color/{frame_id}.png",))
        load_views(sample, store=store, width=128, height=96, with_depth=False, cache=cache)

    for frame_id in ("000000", "000001", "000000", "000002", "000000", "000001"):
        show(frame_id)
        assert cache.num_bytes <= 2 * one
    assert reads == ["000000.png", "000001.png", "000002.png", "000001.png"]


def test_a_sample_of_another_store_is_refused(store, tmp_path):
    with pytest.raises(DataError, match="expected frame '000009', found 4 frames without it"):
        load_views(a_sample(frame_ids=("000009",)), store=store, width=64, height=48, with_depth=False)
    with pytest.raises(DataError, match="expected image 'scan_a/color/000002.png' for frame 000002, found 'scan_a/rgb/7.png'"):
        load_views(a_sample(image_paths=("scan_a/rgb/7.png",)), store=store, width=64, height=48, with_depth=False)
    with pytest.raises(SceneError):
        load_views(a_sample(), store=tmp_path, width=64, height=48, with_depth=False)
