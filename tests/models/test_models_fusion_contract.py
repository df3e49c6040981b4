"""What every fusion of the catalog keeps in a whole model with inputs built by hand: shapes, identity at first, gradients, files."""

from dataclasses import dataclass, field
from functools import lru_cache

import pytest
import torch
from toy_geometry import fusion_of
from transformers import initialization as init

from sightline.errors import ModelError
from sightline.models.model import FUSIONS, PRESETS, Sizes
from sightline.models.spatial_vl import SpatialVLForConditionalGeneration
from sightline.models.tokenizer import VIDEO, train_tokenizer

SIZES_PX = ((48, 96), (96, 48), (48, 48))  # heights and widths of three views, of 16-pixel tokens
SAMPLES = (2, 1)
PIXELS = 3 * 8 * 8  # of one patch of the smallest backbone


@dataclass(frozen=True, kw_only=True)
class Case:
    """How one fusion is built here, and what is promised of it."""

    options: dict = field(default_factory=dict)
    patch_px: int | None = None  # of an encoder of features; None: points of depth maps
    begins_as_identity: bool = True


CASES = {
    "none": ("none", Case()),
    "sin3d": ("sin3d", Case(options={"num_wavelengths": 4})),
    "mlp3d": ("mlp3d", Case(options={"width": 16})),
    "add, as published": ("add", Case(patch_px=8, begins_as_identity=False)),
    "add, gated and slim": ("add", Case(options={"gate": True, "bottleneck_width": 4}, patch_px=8)),
    "cross": ("cross", Case(options={"width": 16, "heads": 2}, patch_px=12)),
    "perceiver": (
        "perceiver",
        Case(options={"latents": 4, "layers": 2, "heads": 2, "latent_dim": 16, "max_views": 3}, patch_px=12, begins_as_identity=False),
    ),
}
ALL = list(CASES)
LISTENING = [name for name in CASES if name != "none"]
OURS = [name for name in LISTENING if CASES[name][1].begins_as_identity]
FEATURES = [name for name in CASES if CASES[name][1].patch_px]
VISUAL = [name for name in LISTENING if name != "perceiver"]


@lru_cache(maxsize=1)
def words():
    return train_tokenizer(("How far is it? 1.5 m",), vocab_size=320)


def model_of(name: str, *, gate: float | None = None, **changes: object) -> SpatialVLForConditionalGeneration:
    """The smallest model with this fusion; `gate` opens it."""
    fusion, case = CASES[name]
    config = PRESETS["smallest"](words(), fusion=fusion, fusion_options=case.options | changes, coordinate_frame="first_camera")
    if case.patch_px:
        config.geometry_encoder, config.geometry_options = "toy_geometry:PatchFeatures", {"patch_px": case.patch_px}
    config.prefix_token_id = words().convert_tokens_to_ids(VIDEO)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        model = SpatialVLForConditionalGeneration(config).eval()
    if gate is not None and getattr(model.fusion, "gate", None) is not None:
        torch.nn.init.constant_(model.fusion.gate, gate)
    return model


def inputs_for(model: SpatialVLForConditionalGeneration, **changes: torch.Tensor | None) -> dict[str, torch.Tensor]:
    """Two samples of two views and of one, with depth and poses."""
    generator = torch.Generator().manual_seed(11)
    image, prefix = model.config.backbone_config.image_token_id, model.config.prefix_token_id
    tokens = [height * width // 256 for height, width in SIZES_PX]
    rows, view = [], 0
    for views in SAMPLES:
        placeholders = [prefix] * model.fusion.prefix_tokens(views) if model.config.makes_prefix else []
        for count in tokens[view : view + views]:
            placeholders += [44, *[image] * count, 45]
        rows.append([40, *placeholders, 41, 42, 43])
        view += views
    length = max(len(row) for row in rows)
    ids = torch.tensor([row + [0] * (length - len(row)) for row in rows])
    intrinsics = torch.tensor([[60.0, 60.0, width / 2 - 0.5, height / 2 - 0.5, width, height] for height, width in SIZES_PX])
    poses = torch.eye(4, dtype=torch.float64).repeat(3, 1, 1)
    poses[1, 0, 3] = 0.5
    given = {
        "input_ids": ids,
        "attention_mask": torch.tensor([[1] * len(row) + [0] * (length - len(row)) for row in rows]),
        "mm_token_type_ids": (ids == image).long(),
        "pixel_values": torch.rand(sum(height * width // 64 for height, width in SIZES_PX), PIXELS, generator=generator) * 2 - 1,
        "image_grid_thw": torch.tensor([[1, height // 8, width // 8] for height, width in SIZES_PX]),
        "views_per_sample": torch.tensor(SAMPLES),
        "view_intrinsics": intrinsics,
        "view_depth_m": 1.0 + 3.0 * torch.rand(3, 96, 96, generator=generator),
        "view_depth_intrinsics": torch.tensor([[60.0, 60.0, 47.5, 47.5, 96.0, 96.0]]).repeat(3, 1),
        "view_world_from_camera": poses,
    }
    return {key: value for key, value in {**given, **changes}.items() if value is not None}


def logits_of(model: SpatialVLForConditionalGeneration, **changes: torch.Tensor | None) -> torch.Tensor:
    """Of the last question token of each sample."""
    given = inputs_for(model, **changes)
    with torch.no_grad():
        logits = model(**given).logits
    return logits[torch.arange(len(logits)), given["attention_mask"].sum(1) - 1]


@lru_cache(maxsize=1)
def plain_logits() -> torch.Tensor:
    return logits_of(model_of("none"))


def without_geometry(name: str) -> dict[str, torch.Tensor]:
    """Inputs in which an encoder found nothing anywhere."""
    patch_px = CASES[name][1].patch_px
    if patch_px is None:
        return {"view_depth_m": torch.full((3, 96, 96), torch.nan)}
    grids = torch.tensor([[height // patch_px, width // patch_px] for height, width in SIZES_PX])
    count = int(grids.prod(1).sum())
    return {
        "geometry_features": torch.full((count, 8), torch.nan),
        "geometry_camera": torch.full((3, 8), torch.nan),
        "geometry_valid": torch.zeros(count, dtype=torch.bool),
        "geometry_grid_hw": grids,
    }


def test_every_fusion_of_the_catalog_is_tested_here():
    assert {fusion for fusion, _ in CASES.values()} == set(FUSIONS)


@pytest.mark.parametrize("name", ALL)
def test_logits_have_the_shape_of_the_ids_and_are_finite(name):
    model = model_of(name, gate=0.5)
    given = inputs_for(model)
    logits = model(**given).logits
    assert logits.shape == (*given["input_ids"].shape, len(words())) and torch.isfinite(logits[given["attention_mask"].bool()]).all()


@pytest.mark.parametrize("name", OURS)
def test_a_fresh_model_gives_the_logits_of_the_model_without_fusion(name):
    assert torch.equal(logits_of(model_of(name)), plain_logits())
    assert (logits_of(model_of(name, gate=0.5)) - plain_logits()).abs().max() > 1e-3


@pytest.mark.parametrize("name", VISUAL)
def test_a_model_that_finds_no_valid_geometry_is_the_model_without_fusion(name):
    assert torch.equal(logits_of(model_of(name, gate=0.5), **without_geometry(name)), plain_logits())


@pytest.mark.parametrize("name", LISTENING)
def test_gradients_reach_every_parameter_and_are_finite(name):
    model = model_of(name, gate=0.3)
    given = inputs_for(model)
    logits = model(**given).logits
    logits[given["attention_mask"].bool()].log_softmax(-1)[:, 7].sum().backward()
    for key, parameter in model.fusion.named_parameters():
        assert parameter.grad is not None and torch.isfinite(parameter.grad).all() and parameter.grad.abs().max() > 0, key


@pytest.mark.parametrize("name", LISTENING)
def test_the_last_view_of_a_sample_changes_its_answer_and_no_other(name):
    model = model_of(name, gate=0.5)
    if CASES[name][1].patch_px:
        pixels = inputs_for(model)["pixel_values"].clone()
        pixels[72:144] = pixels[72:144].flip(0)  # the patches of the second view, of 96 x 48 pixels
        changed = logits_of(model, pixel_values=pixels)
    else:
        depth_m = inputs_for(model)["view_depth_m"].clone()
        depth_m[1] += 0.5
        changed = logits_of(model, view_depth_m=depth_m)
    difference = (changed - logits_of(model)).abs().amax(dim=1)
    assert difference[0] > 1e-4 and difference[1] == 0


@pytest.mark.parametrize("has_poses", [True, False])
@pytest.mark.parametrize("name", FEATURES)
def test_what_the_encoder_said_before_gives_the_same_logits(name, has_poses):
    model = model_of(name, gate=0.5)
    changes = {} if has_poses else {"view_world_from_camera": None}
    seen = []
    model.geometry_encoder.register_forward_hook(lambda module, inputs, output: seen.append(output))
    expected = logits_of(model, **changes)
    model.geometry_encoder.forward = None  # it is not asked again
    ready = {
        "geometry_features": seen[0].features,
        "geometry_camera": seen[0].camera,
        "geometry_valid": seen[0].is_valid,
        "geometry_grid_hw": seen[0].grid_hw,
    }
    assert torch.equal(logits_of(model, **changes, **ready), expected)


@pytest.mark.parametrize("name", FEATURES)
def test_features_of_a_foreign_grid_are_refused_by_the_fusions_name(name):
    model = model_of(name)
    ready = without_geometry(name)
    ready["geometry_grid_hw"] = ready["geometry_grid_hw"] + 1
    with pytest.raises(ModelError, match=f"fusion '{model.config.fusion}': expected geometry .* found"):
        logits_of(model, **ready)
    fewer = without_geometry(name)
    fewer = {key: value[:2] if key in ("geometry_grid_hw", "geometry_camera") else value for key, value in fewer.items()}
    count = int(fewer["geometry_grid_hw"].prod(1).sum())
    fewer |= {key: fewer[key][:count] for key in ("geometry_features", "geometry_valid")}
    with pytest.raises(ModelError, match=f"fusion '{model.config.fusion}': expected 3 views of the samples, found 2 grids"):
        logits_of(model, **fewer)


@pytest.mark.parametrize("name", ALL)
def test_saved_and_reloaded_gives_equal_logits(name, tmp_path):
    model = model_of(name, gate=0.3)
    expected = logits_of(model)
    model.save_pretrained(tmp_path)
    loaded, report = SpatialVLForConditionalGeneration.from_pretrained(tmp_path, output_loading_info=True)
    assert not report["missing_keys"] and not report["unexpected_keys"]
    assert torch.equal(logits_of(loaded.eval()), expected)


@pytest.mark.parametrize("name", LISTENING)
def test_reset_draws_every_parameter_anew_and_leaves_loaded_ones(name):
    fusion, case = CASES[name]
    made = FUSIONS[fusion](Sizes(hidden_size=12, geometry_channels=8 if case.patch_px else 3, merge=2), case.options)
    parameters = dict(made.named_parameters())
    for parameter in parameters.values():
        torch.nn.init.constant_(parameter, torch.nan)
    kept = next(reversed(parameters))
    parameters[kept]._is_hf_initialized = True
    with init.guard_torch_init_functions():
        made.reset()
    for key, parameter in parameters.items():
        assert torch.isnan(parameter).all() if key == kept else torch.isfinite(parameter).all(), key


@pytest.mark.parametrize("name", LISTENING)
def test_half_precision_runs_and_stays_near(name):
    exact = logits_of(model_of(name, gate=0.3))
    half = logits_of(model_of(name, gate=0.3).to(torch.bfloat16))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = logits_of(model_of(name, gate=0.3))
    for logits in (half, mixed):
        assert (logits - exact).abs().max() < 0.1 * exact.abs().max()


def test_the_toy_sizes_build_every_fusion_of_features():
    for name in FEATURES:
        fusion, case = CASES[name]
        assert fusion_of(fusion, merge=2, **case.options).name == fusion
