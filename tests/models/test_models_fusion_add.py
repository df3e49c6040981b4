"""The additive connector: each channel of each patch at its published place, for every shape of clip; and what is refused."""

import math

import pytest
import torch
from toy_geometry import CHANNELS, HIDDEN, features_of, fusion_of, visual_of

from sightline.errors import ConfigError, ModelError
from sightline.models.model import FUSIONS, GeometryTokens, Sizes, VisualTokens

SHAPES = {
    "landscape": [(2, 2, 3)],
    "portrait": [(2, 3, 2)],
    "several clips": [(1, 2, 3), (3, 2, 3)],
    "mixed sizes": [(2, 1, 3), (1, 3, 2), (2, 2, 2), (1, 1, 3)],
}


def code(view: int, row: int, column: int, channel: int) -> float:
    """A number that names its patch and channel."""
    return float(((view * 10 + row) * 10 + column) * 10 + channel)


def planted(grids: list[tuple[int, int]]) -> GeometryTokens:
    """Features that say where they stand."""
    features = [
        [code(view, row, column, channel) for channel in range(CHANNELS)]
        for view, (rows, columns) in enumerate(grids)
        for row in range(rows)
        for column in range(columns)
    ]
    return GeometryTokens(
        views_per_sample=(len(grids),),
        grid_hw=torch.tensor(grids),
        is_valid=torch.ones(len(features), dtype=torch.bool),
        features=torch.tensor(features),
    )


def merged_by(fusion: torch.nn.Module, visual: VisualTokens, geometry: GeometryTokens) -> torch.Tensor:
    """What reaches the first norm."""
    seen = []
    norm = fusion.ln_q if fusion.version == "1.1" else fusion.token_merge_ln_q
    handle = norm.register_forward_pre_hook(lambda module, given: seen.append(given[0]))
    fusion(visual, geometry)
    handle.remove()
    return seen[0]


def grids_of(clips: list[tuple[int, int, int]], *, views_per_step: int, merge: int) -> list[tuple[int, int]]:
    return [(rows * merge, columns * merge) for steps, rows, columns in clips for _ in range(steps * views_per_step)]


@pytest.mark.parametrize("clips", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("version", ["1.1", "1.0"])
def test_every_channel_of_every_patch_lands_at_its_published_place(version, clips):
    fusion = fusion_of("add", opened=1.0, merge=2, views_per_step=2, version=version)
    merged = merged_by(fusion, visual_of(clips, views_per_step=2), planted(grids_of(clips, views_per_step=2, merge=2)))
    expected, first_view = [], 0
    for steps, rows, columns in clips:
        for step in range(steps):
            for row in range(rows):
                for column in range(columns):
                    vector = [0.0] * (2 * 2 * 2 * CHANNELS)
                    for frame in range(2):
                        for down in range(2):
                            for right in range(2):
                                for channel in range(CHANNELS):
                                    if version == "1.1":  # the frame changes fastest, then the channel, the column, the row
                                        place = ((down * 2 + right) * CHANNELS + channel) * 2 + frame
                                    else:  # the channel changes fastest, then the column, the row, the frame
                                        place = ((frame * 2 + down) * 2 + right) * CHANNELS + channel
                                    vector[place] = code(first_view + 2 * step + frame, 2 * row + down, 2 * column + right, channel)
                    expected.append(vector)
        first_view += 2 * steps
    assert torch.equal(merged, torch.tensor(expected))


def test_a_still_image_fills_both_frames_of_a_pair_whether_it_was_encoded_once_or_twice():
    fusion = fusion_of("add", merge=2, views_per_step=2)
    visual = visual_of([(1, 1, 2), (1, 2, 1)])
    once = features_of([(2, 4), (4, 2)])
    first, second = once.features.split(8)
    twice = GeometryTokens(
        views_per_sample=(4,),
        grid_hw=once.grid_hw.repeat_interleave(2, dim=0),
        is_valid=torch.ones(32, dtype=torch.bool),
        features=torch.cat([first, first, second, second]),
    )
    merged = merged_by(fusion, visual, once).view(4, 4 * CHANNELS, 2)
    assert torch.equal(merged[:, :, 0], merged[:, :, 1])
    assert torch.equal(fusion(visual, once), fusion(visual, twice))


@pytest.mark.parametrize("version", ["1.1", "1.0"])
def test_the_sum_is_the_published_one(version):
    fusion = fusion_of("add", opened=1.0, merge=2, views_per_step=2, version=version)
    visual, geometry = visual_of([(2, 1, 2)], views_per_step=2), features_of([(2, 4)] * 4)
    x = merged_by(fusion, visual, geometry).double()
    weights = {name: value.double() for name, value in fusion.state_dict().items()}

    def layers(x: torch.Tensor, norm: str, mlp: str) -> torch.Tensor:
        x = weights[f"{norm}.weight"] * x / (x.square().mean(1, keepdim=True) + 1e-6).sqrt()
        x = x @ weights[f"{mlp}.0.weight"].T + weights[f"{mlp}.0.bias"]
        x = 0.5 * x * (1.0 + torch.erf(x / math.sqrt(2.0)))
        return x @ weights[f"{mlp}.2.weight"].T + weights[f"{mlp}.2.bias"]

    if version == "1.1":
        x = layers(x, "ln_q", "mlp")
    else:
        x = layers(layers(x, "token_merge_ln_q", "token_merge_mlp"), "vgg_to_language_ln_q", "vgg_to_language_mlp")
    torch.testing.assert_close(fusion(visual, geometry).double(), visual.tokens.double() + x, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("options", "names", "parameters"),
    [
        ({}, {"ln_q.weight", "mlp.0.weight", "mlp.0.bias", "mlp.2.weight", "mlp.2.bias"}, 302_024_704),
        (
            {"version": "v1.0"},
            {"token_merge_ln_q.weight", "vgg_to_language_ln_q.weight"}
            | {
                f"{mlp}.{layer}.{kind}"
                for mlp in ("token_merge_mlp", "vgg_to_language_mlp")
                for layer in (0, 2)
                for kind in ("weight", "bias")
            },
            310_419_456,
        ),
    ],
    ids=["1.1", "1.0"],
)
def test_names_and_size_are_the_published_ones(options, names, parameters):
    with torch.device("meta"):
        fusion = FUSIONS["add"](Sizes(hidden_size=2048, geometry_channels=2048, merge=2, views_per_step=2), options)
    assert {name for name, _ in fusion.named_parameters()} == names
    assert sum(parameter.numel() for parameter in fusion.parameters()) == parameters


def test_a_fresh_published_connector_is_drawn_as_torch_draws_linear_layers():
    fusion = fusion_of("add", merge=2, views_per_step=2)
    bound = (8 * CHANNELS) ** -0.5
    for parameter in (fusion.mlp[0].weight, fusion.mlp[0].bias):
        assert 0.9 * bound < parameter.abs().max() <= bound
    assert torch.equal(fusion.ln_q.weight, torch.ones(8 * CHANNELS))


def test_a_bottleneck_narrows_each_patch_before_the_merge():
    fusion = fusion_of("add", merge=2, views_per_step=2, bottleneck_width=3)
    visual, geometry = visual_of([(1, 1, 2)], views_per_step=2), features_of([(2, 4)] * 2)
    narrow = fusion.narrow(geometry.features).view(2, 2, 2, 2, 3)  # view, row, column, sub-column, channel
    expected = torch.stack([narrow[:, :, column].permute(1, 2, 3, 0).reshape(-1) for column in range(2)])
    torch.testing.assert_close(merged_by(fusion, visual, geometry), expected)
    assert fusion.mlp[0].weight.shape == (24, 24)


def test_a_closed_gate_is_the_identity_and_an_open_one_lets_through_its_share():
    visual, geometry = visual_of([(1, 2, 2)]), features_of([(4, 4)])
    gate = {"merge": 2, "gate": True}
    assert torch.equal(fusion_of("add", **gate)(visual, geometry), visual.tokens)
    half, whole = (fusion_of("add", opened=opened, **gate)(visual, geometry) - visual.tokens for opened in (0.5, 1.0))
    torch.testing.assert_close(2.0 * half, whole)
    assert whole.abs().min() > 0
    assert fusion_of("add", **gate).gate_size() == 0.0 and fusion_of("add", opened=-0.5, **gate).gate_size() == 0.5
    assert math.isnan(fusion_of("add", merge=2).gate_size())


@pytest.mark.parametrize("bottleneck_width", [None, 3])
def test_invalid_patches_count_as_zeros_and_a_token_without_a_valid_one_stays_as_it_is(bottleneck_width):
    fusion = fusion_of("add", opened=1.0, merge=2, bottleneck_width=bottleneck_width)
    visual, whole = visual_of([(1, 1, 3)]), features_of([(2, 6)])
    holes = (0, 1, 6, 7, 8)  # all of the first token, one patch of the second
    geometry = features_of([(2, 6)], invalid=holes)
    merged = merged_by(fusion, visual, geometry)
    assert torch.isfinite(merged).all() and (merged.view(3, 4, -1)[1, 2] == 0).all()
    fused, complete = fusion(visual, geometry), fusion(visual, whole)
    assert torch.equal(fused[0], visual.tokens[0])
    assert (fused[1] != complete[1]).any() and torch.equal(fused[2], complete[2])


@pytest.mark.parametrize("filler", [float("nan"), float("inf")])
@pytest.mark.parametrize("bottleneck_width", [None, 3])
def test_gradients_are_finite_and_reach_every_parameter_past_invalid_patches(filler, bottleneck_width):
    fusion = fusion_of("add", merge=2, opened=0.3, gate=True, bottleneck_width=bottleneck_width)
    visual, geometry = visual_of([(1, 1, 3)]), features_of([(2, 6)], invalid=(0, 1, 6, 7, 8))
    geometry.features[~geometry.is_valid] = filler
    geometry.features.requires_grad_()
    fusion(visual, geometry).square().sum().backward()
    for name, parameter in fusion.named_parameters():
        assert torch.isfinite(parameter.grad).all() and parameter.grad.abs().max() > 0, name
    assert torch.isfinite(geometry.features.grad).all() and (geometry.features.grad[~geometry.is_valid] == 0).all()


def test_the_batch_around_a_sample_does_not_matter():
    fusion = fusion_of("add", merge=2)
    alone = fusion(visual_of([(1, 2, 2)]), features_of([(4, 4)]))
    visual, geometry = visual_of([(1, 2, 2), (1, 1, 3)]), features_of([(4, 4), (2, 6)])
    geometry.features[:16] = features_of([(4, 4)]).features
    visual.tokens[:4] = visual_of([(1, 2, 2)]).tokens
    torch.testing.assert_close(fusion(visual, geometry)[:4], alone, rtol=0, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_the_tokens_keep_their_type_whatever_the_weights_and_features_are(dtype):
    visual, geometry = visual_of([(1, 1, 2)]), features_of([(2, 4)])
    visual = VisualTokens(tokens=visual.tokens.to(dtype), grid_thw=visual.grid_thw)
    for weights in (torch.bfloat16, torch.float32):
        fused = fusion_of("add", merge=2).to(weights)(visual, geometry)
        assert fused.dtype == dtype
    with torch.autocast("cpu", dtype=torch.bfloat16):
        fused = fusion_of("add", merge=2)(visual, geometry)
    exact = fusion_of("add", merge=2)(visual_of([(1, 1, 2)]), geometry)
    assert fused.dtype == dtype and (fused - exact).abs().max() < 0.05


@pytest.mark.parametrize(
    ("clips", "grids", "views_per_step", "message"),
    [
        ([(1, 2, 3)], [(4, 5)], 1, "expected geometry on the grid 4x6 for visual tokens on 2x3, found 4x5"),
        ([(1, 2, 3)], [(6, 4)], 1, "expected geometry on the grid 4x6 for visual tokens on 2x3, found 6x4"),
        (
            [(1, 2, 3), (1, 2, 3)],
            [(4, 6)],
            1,
            r"expected geometry of 2 views for 12 visual tokens in 2 steps, found 1 views on the grids 4x6",
        ),
        ([(1, 2, 3)], [(4, 6), (4, 6)], 2, "expected 1 views to a step, for which it was built, found 2"),
    ],
)
def test_a_foreign_grid_is_refused_by_name(clips, grids, views_per_step, message):
    fusion = fusion_of("add", merge=2)
    with pytest.raises(ModelError, match=f"fusion 'add': {message}"):
        fusion(visual_of(clips, views_per_step=views_per_step), features_of(grids))


def test_frames_of_two_sizes_in_one_step_are_refused():
    with pytest.raises(ModelError, match="fusion 'add': expected views of one step on one grid, found 4x6, 2x6"):
        fusion_of("add", merge=2, views_per_step=2)(visual_of([(1, 2, 3)], views_per_step=2), features_of([(4, 6), (2, 6)]))


def test_a_batch_without_features_is_refused():
    with pytest.raises(ModelError, match="fusion 'add': expected features of a geometry encoder, found none"):
        fusion_of("add", merge=2)(visual_of([(1, 2, 3)]), None)


@pytest.mark.parametrize(
    ("merge", "options", "message"),
    [
        (0, {}, "expected visual tokens whose side is a whole number of geometry patches, found none that fits; choose fusion 'cross'"),
        (2, {"version": "1.2"}, r"version: expected one of 1.1, 1.0, found '1.2'"),
        (2, {"bottleneck_width": 0}, "bottleneck_width: expected 1 or more, found 0"),
    ],
)
def test_what_cannot_be_built_is_refused_by_name(merge, options, message):
    with pytest.raises(ConfigError, match=f"fusion 'add': {message}"):
        FUSIONS["add"](Sizes(hidden_size=HIDDEN, geometry_channels=CHANNELS, merge=merge), options)
