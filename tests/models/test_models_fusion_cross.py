"""Cross-attention from visual tokens to the geometry of their own view: against attention written out, on any pair of grids, with holes."""

import math

import pytest
import torch
from toy_geometry import CHANNELS, HIDDEN, features_of, fusion_of, visual_of

from sightline.errors import ConfigError, ModelError
from sightline.models.fusions.patch_places import LONGEST, SHORTEST, centres
from sightline.models.model import FUSIONS, GeometryTokens, Sizes, VisualTokens

SMALL = {"width": 16, "heads": 2}
MIXED_CLIPS = [(2, 2, 3), (1, 3, 2), (1, 2, 3)]
MIXED_GRIDS = [(4, 5), (4, 5), (5, 4), (4, 5)]  # no whole number of cells fits a visual token


def written_out(fusion: torch.nn.Module, visual: VisualTokens, geometry: GeometryTokens) -> torch.Tensor:
    """The same attention in float64, one visual token and one head at a time."""
    w = {name: value.double() for name, value in fusion.state_dict().items()}
    width, heads = fusion.options.width, fusion.options.heads
    each = width // heads
    turns = each // 4
    numbers = [2 * math.pi * LONGEST ** -(1 - i / (turns - 1)) * SHORTEST ** -(i / (turns - 1)) for i in range(turns)]

    def norm(x: torch.Tensor, name: str) -> torch.Tensor:
        spread = (x - x.mean()).square().mean()
        return (x - x.mean()) / (spread + 1e-5).sqrt() * w[f"{name}.weight"] + w[f"{name}.bias"]

    def turned(x: torch.Tensor, place: tuple[float, float]) -> torch.Tensor:
        if not fusion.options.positions:
            return x
        pairs = torch.complex(x[: each // 2], x[each // 2 :])
        angles = torch.tensor([number * axis for axis in place for number in numbers], dtype=torch.float64)
        pairs = pairs * torch.polar(torch.ones_like(angles), angles)
        return torch.cat([pairs.real, pairs.imag])

    out, view, first_token, first_cell = [], 0, 0, 0
    for steps, rows, columns in visual.grid_thw.tolist():
        for _ in range(steps):
            cells = []
            for _ in range(visual.views_per_step):
                own_rows, own_columns = geometry.grid_hw[view].tolist()
                valid = [i for i in range(own_rows * own_columns) if geometry.is_valid[first_cell + i]]
                for i in valid:
                    place = ((i // own_columns + 0.5) / own_rows, (i % own_columns + 0.5) / own_columns)
                    cells.append((geometry.features[first_cell + i].double(), place))
                if valid and geometry.camera is not None:
                    cells.append((geometry.camera[view].double(), (0.0, 0.0)))
                first_cell += own_rows * own_columns
                view += 1
            for i in range(rows * columns):
                token = visual.tokens[first_token + i].double()
                if not cells:
                    out.append(token)
                    continue
                place = ((i // columns + 0.5) / rows, (i % columns + 0.5) / columns)
                q = w["query.weight"] @ norm(token, "visual_norm") + w["query.bias"]
                normed = [(norm(cell, "geometry_norm"), where) for cell, where in cells]
                ks = [(w["key.weight"] @ cell, where) for cell, where in normed]
                vs = torch.stack([w["value.weight"] @ cell + w["value.bias"] for cell, _ in normed])
                found = []
                for head in range(heads):
                    part = slice(head * each, (head + 1) * each)
                    logits = torch.stack([turned(q[part], place) @ turned(k[part], where) for k, where in ks]) / math.sqrt(each)
                    found.append(logits.softmax(0) @ vs[:, part])
                added = norm(w["out.weight"] @ torch.cat(found) + w["out.bias"], "out_norm")
                out.append(token + token.square().mean().sqrt() * w["gate"] * added)
            first_token += rows * columns
    return torch.stack(out)


@pytest.mark.parametrize(("positions", "with_camera", "views_per_step"), [(True, True, 2), (True, True, 1), (False, False, 1)])
def test_it_is_attention_of_each_view_on_its_own_as_written_out(positions, with_camera, views_per_step):
    fusion = fusion_of("cross", opened=0.7, positions=positions, **SMALL)
    grids = [grid for grid in MIXED_GRIDS for _ in range(views_per_step)]
    visual = visual_of(MIXED_CLIPS, views_per_step=views_per_step)
    geometry = features_of(grids, invalid=(0, 3, 20, 21, 45), with_camera=with_camera)
    torch.testing.assert_close(fusion(visual, geometry).double(), written_out(fusion, visual, geometry), rtol=0, atol=2e-5)


def test_fresh_it_changes_nothing_and_open_it_changes_every_token():
    visual, geometry = visual_of(MIXED_CLIPS), features_of(MIXED_GRIDS)
    assert torch.equal(fusion_of("cross", **SMALL)(visual, geometry), visual.tokens)
    assert (fusion_of("cross", opened=0.5, **SMALL)(visual, geometry) != visual.tokens).any(dim=1).all()
    assert fusion_of("cross", **SMALL).gate_size() == 0.0 and fusion_of("cross", opened=-0.5, **SMALL).gate_size() == 0.5


@pytest.mark.parametrize("positions", [True, False])
def test_a_fresh_gate_learns_and_an_open_one_lets_every_parameter_learn(positions):
    for opened in (None, 0.3):
        fusion = fusion_of("cross", opened=opened, positions=positions, **SMALL)
        fusion(visual_of(MIXED_CLIPS), features_of(MIXED_GRIDS, invalid=range(20))).pow(4).sum().backward()
        learning = {name for name, parameter in fusion.named_parameters() if parameter.grad.abs().max() > 1e-6}
        assert learning == ({"gate"} if opened is None else {name for name, _ in fusion.named_parameters()})


def test_a_view_changes_only_its_own_tokens():
    fusion = fusion_of("cross", opened=0.5, **SMALL)
    visual, geometry, other = visual_of(MIXED_CLIPS), features_of(MIXED_GRIDS), features_of(MIXED_GRIDS)
    other.features[20:40] += 1.0
    changed = (fusion(visual, geometry) != fusion(visual, other)).any(dim=1)
    assert changed.nonzero().flatten().tolist() == list(range(6, 12))  # the second step of the first clip


def test_the_camera_token_is_looked_at():
    fusion = fusion_of("cross", opened=0.5, **SMALL)
    visual, geometry = visual_of([(1, 2, 3)]), features_of([(4, 5)])
    without = features_of([(4, 5)], with_camera=False)
    assert (fusion(visual, geometry) != fusion(visual, without)).any(dim=1).all()


def test_a_view_without_a_valid_token_stays_as_it_is_even_where_its_camera_token_is_given():
    fusion = fusion_of("cross", opened=0.5, **SMALL)
    visual, geometry = visual_of(MIXED_CLIPS), features_of(MIXED_GRIDS, invalid=range(20))
    geometry.camera[0] = float("nan")
    fused, whole = fusion(visual, geometry), fusion(visual, features_of(MIXED_GRIDS))
    assert torch.equal(fused[:6], visual.tokens[:6])
    assert torch.equal(fused[6:], whole[6:])


@pytest.mark.parametrize("filler", [float("nan"), float("inf"), -1e30])
@pytest.mark.parametrize("views_per_step", [1, 2])
def test_what_stands_at_an_invalid_token_reaches_neither_output_nor_gradient(filler, views_per_step):
    results = []
    clips = [(1, 2, 3), (1, 3, 2)] if views_per_step == 2 else MIXED_CLIPS
    grids = [(4, 5)] * 2 + [(5, 4)] * 2 if views_per_step == 2 else MIXED_GRIDS
    for value in (0.0, filler):
        fusion = fusion_of("cross", opened=0.5, **SMALL)
        visual, geometry = visual_of(clips, views_per_step=views_per_step), features_of(grids, invalid=(*range(20), 23, 41))
        geometry.features[~geometry.is_valid] = value
        geometry.camera[0] = value  # its view has no valid token
        geometry.features.requires_grad_()
        geometry.camera.requires_grad_()
        fused = fusion(visual, geometry)
        fused.square().sum().backward()
        assert (geometry.camera.grad[0] == 0).all() and geometry.camera.grad[1:].abs().amin(1).min() > 0
        results.append([fused, geometry.features.grad, *(parameter.grad for parameter in fusion.parameters())])
    for plain, filled in zip(*results, strict=True):
        assert torch.isfinite(filled).all() and torch.equal(plain, filled)


def test_the_batch_around_a_sample_does_not_matter():
    fusion = fusion_of("cross", opened=0.5, **SMALL)
    visual, geometry = visual_of(MIXED_CLIPS), features_of(MIXED_GRIDS)
    alone = fusion(
        VisualTokens(tokens=visual.tokens[12:18], grid_thw=visual.grid_thw[1:2]),
        GeometryTokens(
            views_per_sample=(1,),
            grid_hw=geometry.grid_hw[2:3],
            is_valid=geometry.is_valid[40:60],
            features=geometry.features[40:60],
            camera=geometry.camera[2:3],
        ),
    )
    torch.testing.assert_close(fusion(visual, geometry)[12:18], alone, rtol=0, atol=1e-6)


def test_without_positions_the_order_of_patches_does_not_matter_and_with_them_it_does():
    visual, geometry = visual_of([(1, 2, 3)]), features_of([(4, 5)])
    turned = features_of([(4, 5)])
    turned.features.copy_(geometry.features.flip(0))
    for positions, is_equal in ((False, True), (True, False)):
        fusion = fusion_of("cross", opened=0.5, positions=positions, **SMALL)
        assert torch.allclose(fusion(visual, geometry), fusion(visual, turned), rtol=0, atol=1e-5) == is_equal


def test_a_place_is_a_share_of_the_image_whatever_the_cells():
    fine = centres(torch.tensor([[2, 3], [6, 9]]), tokens=60)
    assert torch.allclose(fine[:6].view(2, 3, 2), fine[6:].view(6, 9, 2)[1::3, 1::3], rtol=0, atol=1e-7)
    expected = torch.tensor([[row, column] for row in (0.25, 0.75) for column in (1 / 6, 0.5, 5 / 6)])
    torch.testing.assert_close(fine[:6], expected)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_the_tokens_keep_their_type_whatever_the_weights_and_features_are(dtype):
    visual, geometry = visual_of(MIXED_CLIPS), features_of(MIXED_GRIDS, invalid=(3,))
    exact = fusion_of("cross", opened=0.5, **SMALL)(visual, geometry)
    given = VisualTokens(tokens=visual.tokens.to(dtype), grid_thw=visual.grid_thw)
    for weights in (torch.bfloat16, torch.float32):
        fused = fusion_of("cross", opened=0.5, **SMALL).to(weights)(given, geometry)
        assert fused.dtype == dtype and (fused - exact).abs().max() < 0.2
    with torch.autocast("cpu", dtype=torch.bfloat16):
        fused = fusion_of("cross", opened=0.5, **SMALL)(given, geometry)
    assert fused.dtype == dtype and (fused - exact).abs().max() < 0.2


@pytest.mark.parametrize(
    ("clips", "grids", "message"),
    [
        ([(1, 2, 3), (1, 2, 3)], [(4, 5)], r"expected geometry of 2 views for 12 visual tokens in 2 steps, found 1 views on the grids 4x5"),
        (
            [(1, 2, 3)],
            [(4, 5), (4, 5)],
            r"expected geometry of 1 views for 6 visual tokens in 1 steps, found 2 views on the grids 4x5, 4x5",
        ),
    ],
)
def test_views_that_do_not_fit_the_steps_are_refused_by_name(clips, grids, message):
    with pytest.raises(ModelError, match=f"fusion 'cross': {message}"):
        fusion_of("cross", **SMALL)(visual_of(clips), features_of(grids))


def test_features_that_do_not_stand_on_their_grids_are_refused_by_name():
    geometry = features_of([(4, 5)])
    wrong = GeometryTokens(views_per_sample=(1,), grid_hw=torch.tensor([[4, 6]]), is_valid=geometry.is_valid, features=geometry.features)
    message = (
        rf"fusion 'cross': expected features \(24, {CHANNELS}\) with \(24,\) flags for the grids 4x6, found \(20, {CHANNELS}\) with \(20,\)"
    )
    with pytest.raises(ModelError, match=message):
        fusion_of("cross", **SMALL)(visual_of([(1, 2, 3)]), wrong)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"width": 20, "heads": 2}, "expected a width that is a multiple of four times the heads"),
        ({"dropout": 1.0}, "dropout: expected 0 to below 1, found 1.0"),
    ],
)
def test_wrong_options_are_refused_by_name(options, message):
    with pytest.raises(ConfigError, match=f"fusion 'cross': {message}"):
        FUSIONS["cross"](Sizes(hidden_size=HIDDEN, geometry_channels=CHANNELS, merge=1), options)
