"""The resampler: all views reach the prefix, holes and neighbours in the batch do not; and what each view's own token says."""

import math

import pytest
import torch
from toy_geometry import CHANNELS, HIDDEN, features_of, fusion_of

from sightline.errors import ConfigError, ModelError
from sightline.models.fusions.view_facts import LEGEND
from sightline.models.model import FUSIONS, GeometryTokens, Sizes, Views

SMALL = {"latents": 5, "layers": 2, "heads": 2, "latent_dim": 16, "max_views": 4}
GRIDS = [(2, 3), (3, 2), (2, 2), (4, 3), (1, 2), (3, 3)]
SAMPLES = (1, 3, 2)


def alone(geometry: GeometryTokens, first: int, last: int) -> GeometryTokens:
    """The views from `first` to before `last` as the only sample."""
    starts = [0, *geometry.grid_hw.prod(-1).cumsum(0).tolist()]
    tokens = slice(starts[first], starts[last])
    return GeometryTokens(
        views_per_sample=(last - first,),
        grid_hw=geometry.grid_hw[first:last],
        is_valid=geometry.is_valid[tokens],
        features=geometry.features[tokens],
        camera=geometry.camera[first:last],
    )


def posed(poses: torch.Tensor, views_per_sample: tuple[int, ...]) -> Views:
    return Views(
        images=(), views_per_sample=views_per_sample, token_grid_hw=torch.ones(len(poses), 2, dtype=torch.long), frame_from_camera=poses
    )


@pytest.mark.parametrize("geometry_tokens", [0, 1])
def test_a_sample_has_as_many_prefix_tokens_as_it_says(geometry_tokens):
    fusion = fusion_of("perceiver", opened=1.0, geometry_tokens=geometry_tokens, **SMALL)
    prefix = fusion(features_of(GRIDS, views_per_sample=SAMPLES))
    assert [fusion.prefix_tokens(views) for views in SAMPLES] == [5 + views * geometry_tokens for views in SAMPLES]
    assert prefix.shape == (sum(fusion.prefix_tokens(views) for views in SAMPLES), HIDDEN)


def test_the_views_tokens_come_first_in_order_and_the_latents_after():
    fusion, bare = fusion_of("perceiver", opened=1.0, **SMALL), fusion_of("perceiver", opened=1.0, geometry_tokens=0, **SMALL)
    bare.load_state_dict({name: value for name, value in fusion.state_dict().items() if not name.startswith("facts.")})
    geometry = features_of(GRIDS, views_per_sample=SAMPLES)
    prefix, latents = fusion(geometry).split([6, 8, 7]), bare(geometry).split([5, 5, 5])
    for own, expected in zip(prefix, latents, strict=True):
        assert torch.equal(own[-5:], expected)
    moved = features_of(GRIDS, views_per_sample=SAMPLES)
    moved.camera[2] += 1.0  # the second view of the second sample
    changed = (fusion(moved) != torch.cat(prefix)).any(dim=1)
    assert changed.nonzero().flatten().tolist() == [7, *range(9, 14)]


def test_the_batch_around_a_sample_does_not_matter():
    fusion = fusion_of("perceiver", opened=1.0, **SMALL)
    whole = features_of(GRIDS, views_per_sample=(3, 1, 2), invalid=(2, 17))
    for own, first, last in zip(fusion(whole).split([8, 6, 7]), (0, 3, 4), (3, 4, 6), strict=True):
        torch.testing.assert_close(own, fusion(alone(whole, first, last)), rtol=0, atol=1e-6)


def test_invalid_tokens_are_as_if_they_were_not_there():
    fusion = fusion_of("perceiver", opened=1.0, geometry_tokens=0, **SMALL)
    geometry = features_of(GRIDS[:4], invalid=range(16, 28))
    torch.testing.assert_close(fusion(geometry), fusion(alone(geometry, 0, 3)), rtol=0, atol=1e-6)


def test_every_token_of_every_view_reaches_the_latents_and_only_its_own_samples():
    fusion = fusion_of("perceiver", opened=1.0, **SMALL)
    geometry = features_of(GRIDS, views_per_sample=SAMPLES)
    geometry.features.requires_grad_()
    geometry.camera.requires_grad_()
    prefix = fusion(geometry).split([6, 8, 7])
    starts = [0, 6, 28, 39]
    for sample, own in enumerate(prefix):
        features, camera = torch.autograd.grad(own[-5:].square().sum(), [geometry.features, geometry.camera], retain_graph=True)
        is_own = torch.zeros(len(features), dtype=torch.bool)
        is_own[starts[sample] : starts[sample + 1]] = True
        assert (features.abs().amax(1) > 0).tolist() == is_own.tolist()
        assert (camera.abs().amax(1) > 0).nonzero().flatten().tolist() == [[0], [1, 2, 3], [4, 5]][sample]


@pytest.mark.parametrize("with_camera", [True, False])
def test_views_in_another_order_give_other_latents_and_without_view_embeddings_the_same(with_camera):
    fusion = fusion_of("perceiver", opened=1.0, geometry_tokens=0, **SMALL)
    geometry = features_of([(2, 3), (2, 3)], with_camera=with_camera)
    swapped = GeometryTokens(
        views_per_sample=(2,),
        grid_hw=geometry.grid_hw,
        is_valid=geometry.is_valid,
        features=geometry.features.roll(6, dims=0),
        camera=geometry.camera.flip(0) if with_camera else None,
    )
    assert (fusion(geometry) - fusion(swapped)).abs().max() > 1e-2
    torch.nn.init.zeros_(fusion.view_embeddings)
    torch.testing.assert_close(fusion(geometry), fusion(swapped), rtol=0, atol=1e-5)


def test_the_place_of_a_patch_in_its_image_matters():
    fusion = fusion_of("perceiver", opened=1.0, geometry_tokens=0, **SMALL)
    geometry, turned = features_of([(2, 3)]), features_of([(2, 3)])
    turned.features.copy_(geometry.features.flip(0))
    assert (fusion(geometry) - fusion(turned)).abs().max() > 1e-2


@pytest.mark.parametrize("filler", [float("nan"), float("inf"), -1e30])
def test_what_stands_at_an_invalid_token_reaches_neither_output_nor_gradient(filler):
    results = []
    for value in (0.0, filler):
        fusion = fusion_of("perceiver", opened=1.0, **SMALL)
        geometry = features_of(GRIDS, views_per_sample=SAMPLES, invalid=(*range(6), 8, 30, 31))
        geometry.features[~geometry.is_valid] = value
        geometry.camera[0] = value  # its view has no valid token
        geometry.features.requires_grad_()
        prefix = fusion(geometry)
        prefix.square().sum().backward()
        results.append([prefix, geometry.features.grad, *(parameter.grad for parameter in fusion.parameters())])
    for plain, filled in zip(*results, strict=True):
        assert torch.isfinite(filled).all() and torch.equal(plain, filled)


def test_a_sample_without_a_valid_token_has_the_prefix_of_no_view_at_all():
    fusion = fusion_of("perceiver", opened=1.0, geometry_tokens=0, **SMALL)
    blind = fusion(features_of(GRIDS, views_per_sample=SAMPLES, invalid=range(6)))
    sightless = features_of([(1, 2)], views_per_sample=(0, 1))
    torch.testing.assert_close(blind[:5], fusion(sightless)[:5], rtol=0, atol=1e-6)


def test_every_parameter_learns_and_view_embeddings_of_unseen_views_do_not():
    fusion = fusion_of("perceiver", opened=1.0, **SMALL)
    poses = torch.eye(4, dtype=torch.float64).repeat(6, 1, 1)
    fusion(features_of(GRIDS, views_per_sample=SAMPLES, views=posed(poses, SAMPLES))).pow(4).sum().backward()
    for name, parameter in fusion.named_parameters():
        assert torch.isfinite(parameter.grad).all() and parameter.grad.abs().max() > 1e-6, name
    assert (fusion.view_embeddings.grad.abs().amax(1) > 0).tolist() == [True, True, True, False]


def test_each_view_has_a_token_of_its_own_that_follows_its_pose_from_the_first_camera():
    fusion = fusion_of("perceiver", opened=1.0, **SMALL)
    poses = torch.eye(4, dtype=torch.float64).repeat(3, 1, 1)
    poses[:, 0, 3] = torch.tensor([0.0, 1.0, 2.0])
    base = fusion(features_of(GRIDS[:3], views=posed(poses, (3,))))
    assert all((base[i] - base[j]).abs().max() > 1e-2 for i in range(3) for j in range(i))
    moved = poses.clone()
    moved[2, 0, 3] = 3.0
    changed = (fusion(features_of(GRIDS[:3], views=posed(moved, (3,)))) != base).any(dim=1)
    assert changed.nonzero().flatten().tolist() == [2]
    elsewhere = poses.clone()
    elsewhere[:, :3, 3] += torch.tensor([5.0, -2.0, 1.0])
    torch.testing.assert_close(fusion(features_of(GRIDS[:3], views=posed(elsewhere, (3,)))), base, rtol=0, atol=1e-5)
    unknown = fusion(features_of(GRIDS[:3]))
    assert ((unknown - base).abs().amax(dim=1) > 1e-3).tolist() == [True] * 3 + [False] * 5


def test_views_of_which_nothing_is_known_but_their_number_have_tokens_that_differ():
    fusion = fusion_of("perceiver", opened=1.0, **SMALL)
    tokens = fusion(features_of([(2, 3)] * 3, with_camera=False))[:3]
    assert all((tokens[i] - tokens[j]).abs().max() > 1e-2 for i in range(3) for j in range(i))


def test_more_views_than_it_can_tell_apart_are_refused_by_name():
    fusion = fusion_of("perceiver", opened=1.0, **SMALL)
    message = "fusion 'perceiver': expected at most 4 views in a sample, found 5: show fewer, or train with a larger max_views"
    with pytest.raises(ModelError, match=message):
        fusion(features_of([(1, 2)] * 5))
    with pytest.raises(ModelError, match=message):
        fusion.prefix_tokens(5)


def test_features_that_do_not_stand_on_their_grids_are_refused_by_name():
    geometry = features_of([(2, 3)])
    wrong = GeometryTokens(views_per_sample=(1,), grid_hw=torch.tensor([[2, 4]]), is_valid=geometry.is_valid, features=geometry.features)
    with pytest.raises(
        ModelError, match=rf"fusion 'perceiver': expected features \(8, {CHANNELS}\).* for the grids 2x4, found \(6, {CHANNELS}\)"
    ):
        fusion_of("perceiver", opened=1.0, **SMALL)(wrong)
    few = GeometryTokens(views_per_sample=(2,), grid_hw=geometry.grid_hw, is_valid=geometry.is_valid, features=geometry.features)
    with pytest.raises(ModelError, match="fusion 'perceiver': expected 2 views of the samples, found 1 grids"):
        fusion_of("perceiver", opened=1.0, **SMALL)(few)


@pytest.mark.parametrize("weights", [torch.bfloat16, torch.float32])
def test_half_precision_gives_nearly_the_same(weights):
    geometry = features_of(GRIDS, views_per_sample=SAMPLES, invalid=(3,))
    exact = fusion_of("perceiver", opened=1.0, **SMALL)(geometry)
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=weights == torch.float32):
        prefix = fusion_of("perceiver", opened=1.0, **SMALL).to(weights)(geometry)
    assert (prefix - exact).abs().max() < 0.1 * exact.abs().max()


def test_the_default_resampler_is_a_tenth_of_the_neighbours():
    with torch.device("meta"):
        fusion = FUSIONS["perceiver"](Sizes(hidden_size=2560, geometry_channels=2048, merge=1), {})
    width, layers = 1024, 6
    norms, attention, ffn = 4 * 2 * width, 4 * (width + 1) * width, (4 * width + 1) * width + (width + 1) * 4 * width
    edges = 2 * 2048 + 2049 * width + 2 * width + (width + 1) * 2560
    facts = (len(LEGEND) + 1) * width + (width + 1) * width
    tokens = (128 + 64 + 1) * width
    expected = layers * (norms + 2 * attention + ffn) + edges + facts + tokens
    assert sum(parameter.numel() for parameter in fusion.parameters()) == expected < 1_228_000_000 / 10
    assert math.isnan(fusion.gate_size())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"latents": 0}, "latents: expected 1 or more, found 0"),
        ({"latent_dim": 20, "heads": 3}, "latent_dim: expected a multiple of 3 heads and of 4, found 20"),
        ({"dropout": -0.1}, "dropout: expected 0 to below 1, found -0.1"),
        ({"geometry_tokens": 2}, "geometry_tokens: expected 0 or 1 per view, found 2"),
    ],
)
def test_wrong_options_are_refused_by_name(options, message):
    with pytest.raises(ConfigError, match=f"fusion 'perceiver': {message}"):
        FUSIONS["perceiver"](Sizes(hidden_size=HIDDEN, geometry_channels=CHANNELS, merge=1), options)
