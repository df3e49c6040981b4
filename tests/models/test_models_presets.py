"""Presets of the published designs: real sizes, their tiny siblings, what is said of them."""

import pytest
import torch

from sightline.errors import ConfigError, UnknownNameError
from sightline.models import PRESETS, SpatialVLForConditionalGeneration
from sightline.models.backbone_sizes import BACKBONES, backbone_config
from sightline.models.config import SpatialVLConfig, check_combination
from sightline.models.preset_notes import NOTES
from sightline.models.presets_tiny import tiny_of
from sightline.models.sizes import PARTS, on_meta, part_of, part_sizes, stages_of, tokens_of
from sightline.models.synthetic import synthetic_batch
from sightline.models.tokenizer import train_tokenizer
from sightline.models.workload import Workload

# Published parameter counts in billions: those of the models' cards, to their last digit.
PUBLISHED = {
    ("qwen3_vl", "2b"): 2.13,
    ("qwen3_vl", "4b"): 4.44,
    ("qwen3_vl", "8b"): 8.77,
    ("qwen2_5_vl", "3b"): 3.75,
    ("qwen2_5_vl", "7b"): 8.29,
    ("qwen3", "4b"): 4.02,
    ("internvl", "1b"): 0.94,
    ("internvl", "2b"): 2.09,
    ("internvl", "8b"): 7.94,
}
VIEWS = Workload(views=2, width_px=84, height_px=56, text_tokens=30, answer_tokens=5, samples=2)


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer(["How far is the red dot from the camera?", "0 1 2 3 A B"], vocab_size=320)


@pytest.mark.parametrize("backbone, size", PUBLISHED, ids=lambda name: name)
def test_a_backbone_has_the_published_number_of_parameters(backbone, size):
    config = SpatialVLConfig(backbone=backbone, backbone_config=backbone_config(backbone, size), geometry_encoder="none", fusion="none")
    with torch.device("meta"):
        built = config.backbone_kind.build(config.backbone_config, rope_rule="transformers_5")
    assert round(sum(parameter.numel() for parameter in built.parameters()) / 1e9, 2) == PUBLISHED[backbone, size]


def test_every_published_size_of_every_backbone_is_checked():
    assert {backbone for backbone, _ in PUBLISHED} == set(BACKBONES)
    with pytest.raises(UnknownNameError, match="Qwen2.5-VL: no published size '4b'. Known: 3b, 7b"):
        backbone_config("qwen2_5_vl", "4b")
    with pytest.raises(UnknownNameError, match="no backbone called 'qwen3vl'. Did you mean 'qwen3_vl'"):
        backbone_config("qwen3vl")


@pytest.mark.parametrize("preset", NOTES)
def test_a_preset_goes_together_and_says_where_its_weights_come_from(preset):
    config, note = PRESETS[preset](), NOTES[preset]
    check_combination(config)
    for size in note.sizes:
        weights = note.weights(size)
        assert all("/" in one.hub_id and one.licence for one in weights)
        assert any("VGGT" in one.hub_id for one in weights) == (config.geometry_encoder == "vggt")


@pytest.mark.parametrize("preset", [name for name in NOTES if len(NOTES[name].sizes) > 1])
def test_a_preset_comes_at_every_size_that_is_said(preset):
    sizes = NOTES[preset].sizes
    hidden = [PRESETS[preset](size=size).hidden_size for size in sizes]
    assert hidden[0] == PRESETS[preset]().hidden_size and len(set(hidden)) == len(sizes)


def test_the_presets_of_published_designs_are_all_described():
    assert set(PRESETS) - {"tiny", "smallest"} == set(NOTES)


def test_spatial_mllm_trains_merger_connector_and_language_model_alone():
    """Published: connector 302,024,704; VGGT's aggregator 909,112,320; 3.75 B Qwen2.5-VL with a vision tower of .669 B."""
    model = on_meta(PRESETS["spatial-mllm"]())
    sizes = part_sizes(model)
    assert sizes["fusion"].total == sizes["fusion"].trainable == 302_024_704
    assert (sizes["geometry"].total, sizes["geometry"].trainable) == (909_112_320, 0)
    assert (round(sizes["vision"].total / 1e9, 3), sizes["language"].trainable) == (0.669, sizes["language"].total)
    trained = {name.split(".")[3] for name, parameter in model.named_parameters() if part_of(name) == "vision" and parameter.requires_grad}
    assert trained == {"merger"}
    assert part_sizes(on_meta(PRESETS["spatial-mllm"](version="v1.0")))["fusion"].total == 310_419_456  # published too
    with pytest.raises(ConfigError, match=r"version: expected v1.1 or v1.0, found 'v2'"):
        PRESETS["spatial-mllm"](version="v2")


@pytest.mark.parametrize("preset", NOTES)
def test_a_tiny_sibling_is_small_and_built_of_the_same_parts(preset, tokenizer):
    real, tiny = PRESETS[preset](), tiny_of(preset, tokenizer)
    for field in ("backbone", "geometry_encoder", "fusion", "fuse_deepstack", "views_per_step", "rope_rule", "frozen"):
        assert getattr(tiny, field) == getattr(real, field)
    assert type(tiny.backbone_config) is type(real.backbone_config)
    large, small = on_meta(real), on_meta(tiny)
    assert sum(parameter.numel() for parameter in small.parameters()) < 1_000_000
    assert {_shape_of_name(name) for name in small.state_dict()} == {_shape_of_name(name) for name in large.state_dict()}


def _shape_of_name(name: str) -> str:
    """A parameter's name with its layer numbers left out."""
    return ".".join("#" if step.isdigit() else step for step in name.split("."))


def test_tiny_siblings_keep_what_is_special_of_their_towers(tokenizer):
    assert len(tiny_of("qwen3vl-base", tokenizer).backbone_config.vision_config.deepstack_visual_indexes) == 2
    vision = tiny_of("spatial-mllm", tokenizer).backbone_config.vision_config
    assert vision.window_size < 84 and 0 < len(vision.fullatt_block_indexes) < vision.depth  # more than one window in an image of 84 pixels
    assert tiny_of("qwen3vl-sin3d", tokenizer, fuse_deepstack=True).fuse_deepstack
    with pytest.raises(UnknownNameError, match="no tiny sibling of preset 'smallest'"):
        tiny_of("smallest", tokenizer)


@pytest.mark.parametrize("preset", NOTES)
def test_a_tiny_sibling_learns_from_a_batch_of_its_shape(preset, tokenizer):
    config = tiny_of(preset, tokenizer)
    torch.manual_seed(0)
    model = SpatialVLForConditionalGeneration(config).train()
    batch = synthetic_batch(config, tokens_of(model, VIEWS), VIEWS)
    loss, learned = model.answer_loss(**batch)
    loss.backward()
    assert learned == 10 and torch.isfinite(loss)
    frozen = [name for name, parameter in model.named_parameters() if not parameter.requires_grad]
    assert any(name.startswith("geometry_encoder.") for name in frozen) == (config.geometry_encoder == "vggt")


@pytest.mark.parametrize("preset", NOTES)
def test_every_parameter_of_a_preset_belongs_to_a_stage(preset):
    model = on_meta(PRESETS[preset]())
    work = Workload()
    beginnings = tuple(name for stage in stages_of(model, tokens_of(model, work), work) for name in stage.weights)
    # Norms between the stages hold no matrix.
    alone = {name for name, parameter in model.named_parameters() if not name.startswith(beginnings)}
    assert alone == set() and {part_of(name) for name, _ in model.named_parameters()} <= set(PARTS)
