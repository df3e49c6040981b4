"""The contract of every fusion in the catalog: same shape, identity at first, nothing where invalid, refused on a foreign grid."""

import pytest
import torch
from toy_models import OPTIONS, toy_checkpoint, toy_samples

from sightline.errors import ConfigError, ModelError, UnknownNameError
from sightline.models.checkpoints import load_checkpoint, save_checkpoint
from sightline.models.model import FUSIONS, GeometryTokens, Sizes, VisualTokens
from sightline.training.optimiser import make_optimiser
from sightline.training.recipe import OptimiserRecipe

HIDDEN = 24
SIZES = Sizes(hidden_size=HIDDEN, geometry_channels=3, merge=1)
GATED = ["sin3d", "mlp3d"]  # those that add a gated code of coordinates


@pytest.fixture(params=["none", *GATED])
def every(request):
    return request.param


@pytest.fixture(params=GATED)
def gated(request):
    return request.param


def made(name: str, *, gate: float | None = None):
    torch.manual_seed(1)
    fusion = FUSIONS[name](SIZES, OPTIONS[name])
    fusion.reset()
    if gate is not None:
        torch.nn.init.constant_(fusion.gate, gate)
    return fusion


def tokens(*, holes: tuple[int, ...] = ()) -> tuple[torch.Tensor, GeometryTokens]:
    """Twelve visual tokens of a 2x3 and another 2x3 image; NaN coordinates at `holes`."""
    generator = torch.Generator().manual_seed(7)
    coordinates = torch.randn(12, 3, generator=generator)
    is_valid = torch.ones(12, dtype=torch.bool)
    is_valid[list(holes)] = False
    coordinates[list(holes)] = float("nan")
    visual = torch.randn(12, HIDDEN, generator=generator)
    grid_hw = torch.tensor([[2, 3], [2, 3]])
    return visual, GeometryTokens(views_per_sample=(2,), coordinates_m=coordinates, is_valid=is_valid, grid_hw=grid_hw)


def shown(visual: torch.Tensor) -> VisualTokens:
    return VisualTokens(tokens=visual, grid_thw=torch.tensor([[1, 2, 3], [1, 2, 3]]))


def batch_of(checkpoint, count: int = 2):
    return checkpoint.processor.collate(toy_samples(checkpoint.processor, count), padding_side="right")


def logits_of(checkpoint, **changes) -> torch.Tensor:
    with torch.no_grad():
        return checkpoint.model(**{**batch_of(checkpoint).for_generation(), **changes}).logits


def test_every_fusion_has_options_here_so_that_a_new_one_is_tested():
    assert set(OPTIONS) <= set(FUSIONS)


def test_the_shape_is_kept(every):
    visual, geometry = tokens()
    assert made(every)(shown(visual), geometry).shape == visual.shape


def test_a_fresh_fusion_changes_no_token_and_an_open_one_changes_each(gated):
    visual, geometry = tokens()
    assert torch.equal(made(gated)(shown(visual), geometry), visual)
    assert (made(gated, gate=0.5)(shown(visual), geometry) != visual).any(dim=1).all()


def test_a_fresh_model_gives_the_logits_of_the_model_without_fusion(gated):
    assert torch.equal(logits_of(toy_checkpoint(gated)), logits_of(toy_checkpoint("none")))


def test_the_gate_reports_its_size(every):
    assert made(every).gate_size() == 0.0
    if every != "none":
        assert made(every, gate=-0.25).gate_size() == pytest.approx(0.25)


def test_the_gate_learns_from_the_first_update_and_everything_else_once_it_is_open(gated):
    visual, geometry = tokens()
    closed, opened = made(gated), made(gated, gate=0.1)
    closed(shown(visual), geometry).square().sum().backward()
    opened(shown(visual), geometry).square().sum().backward()
    assert closed.gate.grad.abs().min() > 0
    for name, parameter in opened.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().max() > 0, name


def test_gradients_reach_the_fusion_through_the_whole_model(gated):
    checkpoint = toy_checkpoint(gated, gate=0.1)
    loss, _ = checkpoint.model.answer_loss(**batch_of(checkpoint).for_loss())
    loss.backward()
    for parameter in checkpoint.model.fusion_parameters():
        assert parameter.grad.abs().max() > 0 and torch.isfinite(parameter.grad).all()


def test_invalid_tokens_stay_exactly_as_they_are_and_do_not_touch_their_neighbours(gated):
    visual, geometry = tokens(holes=(0, 5, 7))
    whole_visual, whole = tokens()
    fused, fused_whole = made(gated, gate=0.5)(shown(visual), geometry), made(gated, gate=0.5)(shown(whole_visual), whole)
    assert torch.equal(fused[~geometry.is_valid], visual[~geometry.is_valid])
    torch.testing.assert_close(fused[geometry.is_valid], fused_whole[geometry.is_valid], rtol=0, atol=0)


def test_what_stands_at_an_invalid_token_reaches_no_gradient(gated):
    grads = []
    for filler in (float("nan"), float("inf"), 1e6):
        visual, geometry = tokens(holes=(0, 5, 7))
        geometry.coordinates_m[~geometry.is_valid] = filler
        fusion = made(gated, gate=0.5)
        visual.requires_grad_()
        fusion(shown(visual), geometry).square().sum().backward()
        grads.append([visual.grad, *(parameter.grad for parameter in fusion.parameters())])
    for with_nan, with_inf, with_far in zip(*grads, strict=True):
        assert torch.isfinite(with_nan).all()
        assert torch.equal(with_nan, with_inf) and torch.equal(with_nan, with_far)


def test_a_model_with_no_valid_token_is_the_model_without_fusion(gated):
    checkpoint, plain = toy_checkpoint(gated, gate=0.7), toy_checkpoint("none")
    batch = batch_of(checkpoint)
    nothing = {
        "geometry_coordinates": torch.full_like(batch.geometry_coordinates, float("nan")),
        "geometry_valid": torch.zeros_like(batch.geometry_valid),
    }
    assert torch.equal(logits_of(checkpoint, **nothing), logits_of(plain))


def test_geometry_of_another_grid_is_refused_by_the_fusions_name(gated):
    visual, geometry = tokens()
    short = GeometryTokens(
        views_per_sample=(1,), coordinates_m=geometry.coordinates_m[:6], is_valid=geometry.is_valid[:6], grid_hw=geometry.grid_hw[:1]
    )
    with pytest.raises(
        ModelError, match=rf"fusion '{gated}': expected geometry for 12 visual tokens, found 6 coordinates.*2x3 \(6 tokens\)"
    ):
        made(gated)(shown(visual), short)


def test_a_model_refuses_a_turned_grid_of_equal_size(gated):
    checkpoint = toy_checkpoint(gated)
    turned = batch_of(checkpoint).geometry_grid_hw.flip(1)
    with pytest.raises(ModelError, match=rf"fusion '{gated}': expected geometry on the images' token grids 3x4, 3x4, 3x4, found 4x3"):
        logits_of(checkpoint, geometry_grid_hw=turned)


def test_a_model_with_a_fusion_refuses_images_without_geometry(gated):
    checkpoint = toy_checkpoint(gated)
    with pytest.raises(ModelError, match=rf"fusion '{gated}': expected geometry for 3 views"):
        logits_of(checkpoint, geometry_coordinates=None, geometry_valid=None, geometry_grid_hw=None)
    with pytest.raises(ModelError, match=f"fusion '{gated}'.*found none"):
        made(gated)(shown(tokens()[0]), None)


def test_saved_and_reloaded_gives_equal_logits(gated, tmp_path):
    checkpoint = toy_checkpoint(gated, gate=0.3)
    before = logits_of(checkpoint)
    save_checkpoint(checkpoint, tmp_path / "model")
    assert torch.equal(logits_of(load_checkpoint(tmp_path / "model")), before)


def test_other_coordinates_change_the_logits_only_where_the_gate_is_open(gated):
    opened, closed = toy_checkpoint(gated, gate=0.3), toy_checkpoint(gated)
    moved = batch_of(opened).geometry_coordinates + 0.5
    assert (logits_of(opened, geometry_coordinates=moved) - logits_of(opened)).abs().max() > 1e-3
    assert torch.equal(logits_of(closed, geometry_coordinates=moved), logits_of(closed))


def test_fusion_parameters_are_saved_and_learn_at_their_own_rate(gated):
    model = toy_checkpoint(gated).model
    names = [name for name in model.state_dict() if name.startswith("fusion.")]
    assert len(names) == len(model.fusion_parameters()) == len(list(FUSIONS[gated](SIZES, OPTIONS[gated]).parameters())) > 0
    optimiser = make_optimiser(model, OptimiserRecipe(learning_rate=1e-3, fusion_learning_rate=7e-3))
    rates = {id(parameter): group["lr"] for group in optimiser.param_groups for parameter in group["params"]}
    assert {rates[id(parameter)] for parameter in model.fusion_parameters()} == {7e-3}


@pytest.mark.parametrize(
    ("name", "options", "error", "message"),
    [
        ("none", {"width": 3}, UnknownNameError, "fusion 'none': takes no options, found 'width'"),
        ("sin3d", {"min_wavelength_m": 3.0, "max_wavelength_m": 2.0}, ConfigError, "fusion 'sin3d': expected 0 < min_wavelength_m"),
        ("mlp3d", {"scale_m": 0.0}, ConfigError, "fusion 'mlp3d': expected scale_m > 0"),
    ],
)
def test_wrong_options_are_refused_by_name(name, options, error, message):
    with pytest.raises(error, match=message):
        FUSIONS[name](SIZES, options)


def test_sine_codes_repeat_after_one_wavelength_and_have_unit_power():
    fusion = FUSIONS["sin3d"](SIZES, {"min_wavelength_m": 0.5, "max_wavelength_m": 8.0, "num_wavelengths": 5})  # 8, 4, 2, 1, 0.5 metres
    points = torch.rand(4000, 3, generator=torch.Generator().manual_seed(0)) * 8.0
    waves = fusion.waves(points)
    torch.testing.assert_close(fusion.waves(points + 8.0), waves, rtol=0, atol=2e-4)
    assert (fusion.waves(points + 4.0) - waves).abs().max() > 1.0
    assert waves.square().mean() == pytest.approx(1.0, abs=1e-3)  # sine and cosine squared of each phase, times two


@pytest.mark.parametrize("way", ["weights", "autocast"])
def test_half_precision_rounds_the_code_and_not_the_metres(gated, way):
    fusion = made(gated, gate=1.0)
    coordinates = 4.0 * torch.rand(200, 3, generator=torch.Generator().manual_seed(3))
    coordinates[1:3] = coordinates[0] + torch.tensor([[0.005, 0.0, 0.0], [0.0, 0.0, 0.005]])  # less than bfloat16 tells apart at 4 m
    with torch.no_grad():
        exact = fusion.code(coordinates)
        if way == "weights":
            half = fusion.to(torch.bfloat16).code(coordinates)
        else:
            with torch.autocast("cpu", torch.bfloat16):
                half = fusion.code(coordinates)
    assert half.dtype == torch.bfloat16
    assert (half.float() - exact).abs().max() < 0.03 * exact.abs().max()
    assert (half[1:3] != half[0]).any(dim=1).all()
