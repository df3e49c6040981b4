"""At what size images are shown: the published rules, and a camera that follows every resize and crop."""

import numpy as np
import pytest
from toy_models import camera

from sightline.errors import ModelError
from sightline.models.image_sizes import CentreSquare, FixedSize, SmartSize, Tiles
from sightline.samples.frames import View
from sightline.samples.framing import Framing, Window, framed

TRAINING = SmartSize(window_px=28, min_pixels=293216, max_pixels=324576)  # of Spatial-MLLM


def shown_size(sizes, width: int, height: int) -> tuple[int, int]:
    (framing,) = sizes.framings(width, height)
    return framing.width, framing.height


@pytest.mark.parametrize(
    ("size", "wanted"),
    [
        ((640, 480), (644, 476)),
        ((1920, 1440), (644, 476)),
        ((1920, 1080), (756, 420)),
        ((1280, 720), (756, 420)),
        ((384, 384), (560, 560)),
        ((480, 640), (476, 644)),
    ],
)
def test_free_sizes_are_those_of_the_published_training(size, wanted):
    assert shown_size(TRAINING, *size) == wanted


def test_free_sizes_equal_those_of_the_released_image_processor():
    released = pytest.importorskip("transformers.models.qwen2_vl.image_processing_pil_qwen2_vl").smart_resize
    rng = np.random.default_rng(0)
    for width, height in rng.integers(20, 3000, (300, 2)).tolist():
        for sizes in (TRAINING, SmartSize(window_px=32, min_pixels=131072, max_pixels=786432)):
            limits = {"factor": sizes.window_px, "min_pixels": sizes.min_pixels, "max_pixels": sizes.max_pixels}
            assert shown_size(sizes, width, height)[::-1] == released(height, width, **limits)


def test_a_portrait_is_shown_as_its_landscape_turned():
    rng = np.random.default_rng(1)
    for width, height in rng.integers(30, 3000, (100, 2)).tolist():
        assert shown_size(TRAINING, width, height) == shown_size(TRAINING, height, width)[::-1]


def test_a_size_that_is_shown_stays_as_it_is():
    sizes = SmartSize(window_px=32, min_pixels=131072, max_pixels=786432)
    for width, height in np.random.default_rng(2).integers(30, 3000, (100, 2)).tolist():
        shown = shown_size(sizes, width, height)
        assert shown_size(sizes, *shown) == shown


@pytest.mark.parametrize(
    ("size", "wanted"),
    [((448, 448), (1, 1)), ((640, 480), (3, 2)), ((480, 640), (2, 3)), ((1344, 448), (3, 1)), ((100, 900), (1, 6)), ((896, 896), (2, 2))],
)
def test_tiles_stand_in_the_arrangement_nearest_to_the_images_shape(size, wanted):
    assert Tiles(side_px=448, most=6).arrangement(*size) == wanted


def test_arrangements_of_tiles_equal_those_of_the_released_image_processor():
    released = pytest.importorskip("transformers.models.got_ocr2.image_processing_pil_got_ocr2").get_optimal_tiled_canvas
    rng = np.random.default_rng(3)
    for width, height in [*rng.integers(20, 3000, (300, 2)).tolist(), (896, 896), (300, 300), (500, 1000)]:
        for most in (1, 6, 12):
            assert Tiles(side_px=448, most=most).arrangement(width, height) == released((height, width), (448, 448), 1, most)


def test_tiles_cover_the_image_row_by_row_and_the_whole_image_follows():
    tiles, whole = Tiles(side_px=448, most=6).framings(640, 480)
    assert (tiles.width, tiles.height) == (1344, 896) and whole == Framing.whole(448, 448)
    assert [(window.left, window.top) for window in tiles.windows] == [(0, 0), (448, 0), (896, 0), (0, 448), (448, 448), (896, 448)]
    assert len(Tiles(side_px=448, most=6).framings(448, 448)) == 1  # no second look at what is one tile


@pytest.mark.parametrize(
    ("size", "canvas", "place"),
    [
        ((640, 480), (597, 448), (74, 0)),
        ((480, 640), (448, 597), (0, 74)),
        ((448, 448), (448, 448), (0, 0)),
        ((101, 77), (588, 448), (70, 0)),
    ],
)
def test_a_square_is_cut_from_the_middle(size, canvas, place):
    (framing,) = CentreSquare(side_px=448, window_px=14).framings(*size)
    assert (framing.width, framing.height) == canvas
    assert framing.windows == (Window(left=place[0], top=place[1], width=448, height=448),)


SHAPES = [(640, 480), (480, 640), (333, 517), (1001, 77)]
POLICIES = [
    FixedSize(width=128, height=96, window_px=16),
    TRAINING,
    Tiles(side_px=56, most=6),
    CentreSquare(side_px=112, window_px=14),
]


@pytest.mark.parametrize("sizes", POLICIES, ids=lambda sizes: type(sizes).__name__)
@pytest.mark.parametrize("size", SHAPES, ids=lambda size: f"{size[0]}x{size[1]}")
def test_the_camera_follows_every_resize_and_crop(size, sizes):
    """A point seen at a share of the whole image is seen at the same share of it in each window, by the window's own intrinsics."""
    width, height = size
    view = View(
        frame_id="",
        rgb=np.zeros((height, width, 3), np.uint8),
        intrinsics=camera(width=width, height=height),
        depth_m=None,
        depth_intrinsics=None,
        world_from_camera=None,
    )
    shares = np.random.default_rng(4).uniform(0.0, 1.0, (20, 2))
    points = view.intrinsics.unproject(shares * [width, height] - 0.5, np.full(20, 2.0))
    framings = sizes.framings(width, height)
    windows = [(framing, window) for framing in framings for window in framing.windows]
    views = framed(view, framings)
    assert len(views) == len(windows)
    for shown, (framing, window) in zip(views, windows, strict=True):
        assert shown.rgb.shape == (window.height, window.width, 3)
        assert (shown.intrinsics.width, shown.intrinsics.height) == (window.width, window.height)
        uv = shown.intrinsics.project(points)[0]
        np.testing.assert_allclose(uv + 0.5 + [window.left, window.top], shares * [framing.width, framing.height], atol=1e-9)


def test_sizes_that_cannot_be_are_refused_with_the_numbers():
    with pytest.raises(ModelError, match="at most 200 times longer than wide, found 2010x10"):
        TRAINING.framings(2010, 10)
    with pytest.raises(ModelError, match="0 < min_pixels <= max_pixels .* found 9 and 8"):
        SmartSize(window_px=1, min_pixels=9, max_pixels=8)
    with pytest.raises(ModelError, match="multiples of 28 pixels, found 60x56"):
        FixedSize(width=60, height=56, window_px=28)
    with pytest.raises(ModelError, match="at least one tile"):
        Tiles(side_px=448, most=0)
