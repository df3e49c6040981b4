"""Whatever the image policy, shape and number of images: what stands in a patch, and how far it is, arrives at that patch's token.

Each picture is a ramp: its red says how far right a pixel is, its green how far down, and its depth both, as shares of the whole image.
"""

from functools import cache

import numpy as np
import pytest
import torch
from toy_models import camera, toy_family, toy_preset, toy_tokenizer

from sightline.geometry.transforms import rigid
from sightline.models.geometry_encoders.pointmap import PointmapEncoder
from sightline.models.processor import SpatialVLProcessor
from sightline.models.view_inputs import take_views, views_of
from sightline.samples.frames import View

SIZES = {"landscape": (160, 120), "portrait": (120, 160), "odd": (101, 77), "panorama": (250, 61)}
DEPTH_SIZE = 240  # of the longer side
POLICIES = {
    "fixed": {"image_policy": "fixed", "image_width": 64, "image_height": 48},
    "smart": {"image_policy": "smart", "min_pixels": 60**2, "max_pixels": 90**2},
    "tiles": {"image_policy": "tiles", "tile_px": 48},
    "square": {"image_policy": "square", "square_px": 48},
}
ACROSS_M, DOWN_M = 0.4, 4.0  # a row of tokens is nearer than the next one wherever in it a token is
IMAGE_M = 10.0  # and a picture nearer than the next
SLACK = 0.2  # of a token: edges of depth pixels and of tokens do not meet


def ramp_view(index: int, width: int, height: int) -> View:
    """Picture `index` of a sample, standing where all stand."""
    scale = DEPTH_SIZE / max(width, height)
    depth_width, depth_height = round(width * scale), round(height * scale)
    across, down = (np.arange(count) + 0.5 for count in (width, height))
    rgb = np.zeros((height, width, 3), np.float64)
    rgb[..., 0], rgb[..., 1], rgb[..., 2] = 255 * across / width, 255 * down[:, None] / height, 60 * index
    far = (np.arange(depth_width) + 0.5) / depth_width * ACROSS_M + (np.arange(depth_height) + 0.5)[:, None] / depth_height * DOWN_M
    return View(
        frame_id=f"{index:06d}",
        rgb=np.rint(rgb).astype(np.uint8),
        intrinsics=camera(width=width, height=height),
        depth_m=(1.0 + IMAGE_M * index + far).astype(np.float32),
        depth_intrinsics=camera(width=width, height=height).resized(width=depth_width, height=depth_height),
        world_from_camera=rigid(np.eye(3), np.zeros(3)),
    )


@cache
def processor(policy: str, **options) -> SpatialVLProcessor:
    return SpatialVLProcessor(tokenizer=toy_tokenizer(), max_tokens=4000, **POLICIES[policy], **options)


def token_places(by: SpatialVLProcessor, view: View) -> list[np.ndarray]:
    """For each shown view of a picture `(n, 4)`: centre of each token in shares of the whole picture, and the token's own shares of it."""
    height, width = view.rgb.shape[:2]
    cell = by.patch_size * by.merge_size
    places = []
    for framing in by.framings(width, height):
        for window in framing.windows:
            down, across = np.meshgrid(
                np.arange(window.height // cell) * cell + cell / 2, np.arange(window.width // cell) * cell + cell / 2, indexing="ij"
            )
            shares = [(window.left + across) / framing.width, (window.top + down) / framing.height]
            own = [np.full_like(across, cell / framing.width), np.full_like(down, cell / framing.height)]
            places.append(np.stack([*shares, *own], axis=-1).reshape(-1, 4))
    return places


def expect_planted(coordinates_m: np.ndarray, places: np.ndarray, index: int, view: View) -> None:
    across, down, own_across, own_down = places.T
    slack = SLACK * (own_across * ACROSS_M + own_down * DOWN_M)
    wanted = 1.0 + IMAGE_M * index + across * ACROSS_M + down * DOWN_M
    assert (np.abs(coordinates_m[:, 2] - wanted) < slack).all()
    seen = view.intrinsics.project(coordinates_m.astype(np.float64))[0] + 0.5
    assert (np.abs(seen[:, 0] / view.intrinsics.width - across) < 0.5 * own_across).all()
    assert (np.abs(seen[:, 1] / view.intrinsics.height - down) < 0.5 * own_down).all()


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("shapes", [("landscape",), ("portrait",), ("odd",), ("landscape", "portrait", "odd", "panorama")], ids="+".join)
def test_pixels_and_depth_of_a_patch_arrive_at_its_token(shapes, policy):
    by = processor(policy)
    views = [ramp_view(index, *SIZES[shape]) for index, shape in enumerate(shapes)]
    sample = by.encode("How far?", views, answer="1", where="toy/0")
    assert sample.is_valid.all()
    start = shown = 0
    for index, view in enumerate(views):
        for places in token_places(by, view):
            tokens = slice(start, start + len(places))
            expect_planted(sample.coordinates_m[tokens], places, index, view)
            colours = sample.patches.reshape(-1, 4, 3, by.patch_size**2)[tokens].mean(axis=(1, 3))
            assert (np.abs(colours[:, 0] / 255 - places[:, 0]) < 0.5 * places[:, 2]).all()
            assert (np.abs(colours[:, 1] / 255 - places[:, 1]) < 0.5 * places[:, 3]).all()
            assert (np.abs(colours[:, 2] - 60 * index) < 1).all()
            assert sample.grid_hw[shown].prod() == len(places)
            start, shown = start + len(places), shown + 1
    assert (start, shown) == (len(sample.coordinates_m), sample.views)


@pytest.mark.parametrize("policy", POLICIES)
def test_placeholders_stand_in_the_order_of_views_and_as_many_as_their_tokens(policy):
    by = processor(policy)
    views = [ramp_view(index, *size) for index, size in enumerate(SIZES.values())]
    sample = by.encode("How far?", views, answer=None, where="toy/0")
    is_image = sample.input_ids == by.image_token_id
    edges = np.flatnonzero(np.diff(np.concatenate([[0], is_image.astype(int), [0]])))
    runs = (edges[1::2] - edges[::2]).tolist()
    assert runs == [sum(len(places) for places in token_places(by, view)) for view in views]


@pytest.mark.parametrize("policy", POLICIES)
def test_the_device_computes_the_coordinates_of_the_host(policy):
    checkpoint = toy_family("qwen3_vl", "pointmap", "sin3d", **POLICIES[policy])
    host, device = checkpoint.processor, toy_family("qwen3_vl", "pointmap", "sin3d", geometry_on="device", **POLICIES[policy]).processor
    sizes = list(SIZES.values())
    samples = [[ramp_view(0, *sizes[0])], [ramp_view(index, *size) for index, size in enumerate(sizes[1:])]]
    wanted, given = (
        by.collate([by.encode("How far?", views, answer="1", where="toy/0") for views in samples], padding_side="right")
        for by in (host, device)
    )
    assert given.geometry_coordinates is None and wanted.view_depth_m is None
    taken = take_views(given.for_loss(), has_vision=True).views
    found = PointmapEncoder({})(views_of(checkpoint.model.config, PointmapEncoder({}), taken, given.input_ids))
    assert torch.equal(found.is_valid, wanted.geometry_valid)
    torch.testing.assert_close(found.coordinates_m, wanted.geometry_coordinates, atol=1e-5, rtol=0)
    assert torch.equal(taken.grid_hw(checkpoint.model.config), wanted.geometry_grid_hw)


@pytest.mark.parametrize("name", ["qwen3vl-sin3d", "internvl", "vggt-perceiver", "spatial-mllm"])
def test_a_geometry_encoder_is_shown_the_same_pixels(name):
    """Back from patches to images: each is the picture's ramp over the window that it shows."""
    checkpoint = toy_preset(name)
    by, config, is_video = checkpoint.processor, checkpoint.model.config, name == "spatial-mllm"
    sizes = [SIZES["landscape"]] * 3 if is_video or name == "vggt-perceiver" else list(SIZES.values())[:3]
    views = [ramp_view(index, *size) for index, size in enumerate(sizes)]
    batch = by.collate([by.encode("How far?", views, answer="1", where="toy/0")], padding_side="right")
    taken = take_views(batch.for_loss(), has_vision=config.backbone_kind.has_vision).views
    looks = type("Looks", (), {"needs_depth": False, "needs_images": True})
    images = views_of(config, looks, taken, batch.input_ids).images
    planted = [*enumerate(views), *([(2, views[2])] if is_video else [])]  # an odd last frame fills its step
    framings = [(index, framing) for index, view in planted for framing in by.framings(*view.rgb.shape[1::-1])]
    windows = [(index, framing, window) for index, framing in framings for window in framing.windows]
    assert len(images) == len(windows)
    for image, (index, framing, window) in zip(images, windows, strict=True):
        assert image.shape == (3, window.height, window.width)
        across = (window.left + np.arange(window.width) + 0.5) / framing.width
        down = (window.top + np.arange(window.height) + 0.5) / framing.height
        np.testing.assert_allclose(image[0].mean(0), across, atol=0.012)
        np.testing.assert_allclose(image[1].mean(1), down, atol=0.012)
        np.testing.assert_allclose(image[2], 60 * index / 255, atol=1e-6)


def test_without_eyes_every_patch_is_a_token_of_the_encoder():
    checkpoint = toy_preset("vggt-perceiver", square_px=70)
    by = checkpoint.processor
    batch = by.collate([by.encode("How far?", [ramp_view(0, 101, 77)], answer=None, where="toy/0")], padding_side="left")
    assert batch.image_grid_thw.tolist() == [[1, 5, 5]] and batch.pixel_values.shape == (25, 3 * 14 * 14)
    assert batch.position_ids is None and batch.mm_token_type_ids is None and batch.dots is None
    cropped = batch.view_intrinsics[0]
    whole = camera(width=101, height=77).resized(width=92, height=70).cropped(left=11, top=0, width=70, height=70)
    assert cropped.tolist() == [whole.fx, whole.fy, whole.cx, whole.cy, 70, 70]
