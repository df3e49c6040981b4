"""VGGT behind the geometry encoder's contract: whatever views share a batch, each gets its own tokens, in its place."""

import pytest
import torch
from toy_vggt import TINY, fill, images_of

from sightline.errors import ModelError, UnknownNameError
from sightline.models.geometry_encoders.vggt_encoder import VggtEncoder
from sightline.models.model import Views

OPTIONS = {name: TINY[name] for name in ("img_size", "embed_dim", "depth", "num_heads", "dino_depth", "dino_heads")}
CLOSE = 1e-5


@pytest.fixture
def encoder() -> VggtEncoder:
    return fill(VggtEncoder(OPTIONS)).eval()


def views_of(*scenes: torch.Tensor) -> Views:
    """One sample of each scene `(frames, 3, h, w)`."""
    images = [image for scene in scenes for image in scene]
    grids = [[image.shape[-2] // 28, image.shape[-1] // 28] for image in images]
    return Views(images=images, views_per_sample=tuple(map(len, scenes)), token_grid_hw=torch.tensor(grids).view(-1, 2))


def scene(frames: int, height: int, width: int, seed: int) -> torch.Tensor:
    return images_of(1, frames, height, width, seed)[0]


def test_samples_of_mixed_sizes_and_counts_get_the_tokens_they_get_alone(encoder):
    scenes = [scene(2, 28, 56, 1), scene(3, 42, 28, 2), scene(2, 28, 56, 3), scene(1, 28, 56, 4)]
    together = encoder(views_of(*scenes))
    assert together.views_per_sample == (2, 3, 2, 1)
    assert together.grid_hw.tolist() == [[2, 4]] * 2 + [[3, 2]] * 3 + [[2, 4]] * 3
    assert together.features.shape == (5 * 8 + 3 * 6, encoder.channels) and together.camera.shape == (8, encoder.channels)
    assert together.is_valid.all() and len(together.is_valid) == len(together.features) and together.coordinates_m is None
    alone = [encoder(views_of(one)) for one in scenes]
    assert together.features.sub(torch.cat([one.features for one in alone])).abs().max() <= CLOSE
    assert together.camera.sub(torch.cat([one.camera for one in alone])).abs().max() <= CLOSE


def test_samples_alike_run_as_one_batch(encoder):
    batches = []
    encoder.vggt.aggregator.register_forward_pre_hook(lambda module, inputs: batches.append(tuple(inputs[0].shape)))
    encoder(views_of(scene(2, 28, 56, 1), scene(1, 28, 56, 2), scene(2, 28, 56, 3)))
    assert sorted(batches) == [(1, 1, 3, 28, 56), (2, 2, 3, 28, 56)]


def test_features_are_the_patch_tokens_of_the_layer_and_camera_its_first_token(encoder):
    one = scene(2, 28, 42, 5)
    found = encoder(views_of(one))
    with torch.no_grad():
        (tokens,) = encoder.vggt.aggregator(one[None])
    assert torch.equal(found.features.view(2, 6, -1), tokens[0, :, 5:]) and torch.equal(found.camera, tokens[0, :, 0])


def test_an_earlier_layer_needs_no_later_blocks(encoder):
    early = fill(VggtEncoder({**OPTIONS, "layer": 1})).eval()
    one = scene(2, 28, 42, 5)
    with torch.no_grad():
        (tokens,) = encoder.vggt.aggregator(one[None], (1,))
    assert torch.equal(early(views_of(one)).camera, tokens[0, :, 0])
    assert len(early.vggt.aggregator.frame_blocks) == 2


def test_a_frozen_encoder_keeps_nothing_for_a_backward_pass_and_a_trained_one_does(encoder):
    views = views_of(scene(2, 28, 28, 1))
    assert encoder(views).features.requires_grad
    encoder.requires_grad_(False)
    assert not encoder(views).features.requires_grad
    encoder.vggt.aggregator.camera_token.requires_grad_(True)
    encoder(views).camera.sum().backward()
    assert encoder.vggt.aggregator.camera_token.grad.abs().max() > 0


def test_changing_the_last_view_changes_the_first_views_tokens(encoder):
    one = scene(3, 28, 28, 1)
    other = one.clone()
    other[2] = 0.5
    assert encoder(views_of(one)).features[:4].sub(encoder(views_of(other)).features[:4]).abs().max() > 1e-4


def test_frames_of_one_sample_that_differ_in_size_are_refused(encoder):
    mixed = Views(images=[torch.zeros(3, 28, 28), torch.zeros(3, 28, 42)], views_per_sample=(2,), token_grid_hw=torch.ones(2, 2))
    with pytest.raises(ModelError, match="one size in sample 0, found 28x28, 28x42"):
        encoder(mixed)


def test_images_that_do_not_match_the_counts_are_refused(encoder):
    with pytest.raises(ModelError, match=r"\[3\] views per sample, found 2"):
        encoder(Views(images=list(torch.zeros(2, 3, 28, 28)), views_per_sample=(3,), token_grid_hw=torch.ones(2, 2)))


def test_a_sample_without_views_has_no_tokens(encoder):
    with_none = encoder(views_of(scene(2, 28, 28, 1), torch.zeros(0, 3, 28, 28), scene(1, 28, 28, 2)))
    assert with_none.views_per_sample == (2, 0, 1) and with_none.camera.shape[0] == 3


def test_an_unknown_option_is_named():
    with pytest.raises(UnknownNameError, match="layers"):
        VggtEncoder({"layers": -1})


def test_the_encoder_builds_at_full_size_on_the_meta_device():
    with torch.device("meta"):
        encoder = VggtEncoder({})
    assert encoder.channels == 2048 and encoder.patch_px == 14
    assert sum(parameter.numel() for parameter in encoder.parameters()) == 909_112_320
