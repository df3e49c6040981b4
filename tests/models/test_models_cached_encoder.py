"""A frozen encoder with a cache says what it says without one, to the bit, and what is kept is never of other weights, views or code."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor, nn
from toy_models import HEIGHT, TEXTS, WIDTH, toy_samples

from sightline.errors import ModelError
from sightline.models.cached_encoder import CachedEncoder, Shown, code_hash, content_hash, weights_hash
from sightline.models.feature_cache import FeatureCache
from sightline.models.feature_entries import INT8
from sightline.models.model import PRESETS, GeometryTokens, Views
from sightline.models.processor import SpatialVLProcessor
from sightline.models.spatial_vl import SpatialVLForConditionalGeneration
from sightline.models.tokenizer import train_tokenizer

PATCH, CHANNELS = 14, 16
VGGT = "sightline.models.geometry_encoders.vggt_encoder:VggtEncoder"
VGGT_OPTIONS = {"img_size": 48, "patch_size": 8, "embed_dim": 16, "depth": 2, "num_heads": 2, "dino_depth": 1, "dino_heads": 2}


def cache_in(folder: Path, **changes: Any) -> FeatureCache:
    return FeatureCache(folder, **{"max_bytes": 10**9, **changes})


@dataclass(frozen=True, kw_only=True)
class StandInOptions:
    layer: int = 1


class StandIn(nn.Module):
    """Patches that look at the patches of all views of their sample, as in any encoder of many views."""

    name: ClassVar[str] = "stand-in"
    gives: ClassVar[str] = "features"
    needs_images: ClassVar[bool] = True
    needs_depth: ClassVar[bool] = False
    channels: ClassVar[int] = CHANNELS
    patch_px: ClassVar[int] = PATCH

    def __init__(self, options: Mapping[str, Any]):
        super().__init__()
        self.options = StandInOptions(**options)
        self.embed = nn.Linear(3 * PATCH**2, CHANNELS)
        self.look = nn.TransformerEncoderLayer(CHANNELS, 2, dim_feedforward=32, dropout=0.0, batch_first=True)
        self.runs: list[int] = []

    def forward(self, views: Views) -> GeometryTokens:
        self.runs.append(len(views.views_per_sample))
        features, camera, grids, first = [], [], [], 0
        for count in views.views_per_sample:
            images = views.images[first : first + count]
            first += count
            cut = [image.unfold(1, PATCH, PATCH).unfold(2, PATCH, PATCH).permute(1, 2, 0, 3, 4) for image in images]
            seen = self.look(self.embed(torch.cat([part.reshape(-1, 3 * PATCH**2) for part in cut]))[None])[0]
            of_view = seen.split([part.shape[0] * part.shape[1] for part in cut])
            features.append(seen)
            camera.extend(part.mean(0) for part in of_view)
            grids.extend(part.shape[:2] for part in cut)
        flat = torch.cat(features)
        return GeometryTokens(
            views_per_sample=views.views_per_sample,
            grid_hw=torch.tensor(grids),
            is_valid=torch.ones(len(flat), dtype=torch.bool),
            features=flat,
            camera=torch.stack(camera),
            views=views,
        )


def stand_in(**options: Any) -> StandIn:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return StandIn(options).eval().requires_grad_(False)


def some_views(counts: tuple[int, ...] = (2, 3, 1), seed: int = 0) -> tuple[Views, list[Shown]]:
    generator = torch.Generator().manual_seed(seed)
    total = sum(counts)
    images = tuple(torch.rand(3, 28, 28 + 14 * (view % 2), generator=generator) for view in range(total))
    grid = torch.tensor([[image.shape[1] // 14, image.shape[2] // 14] for image in images])
    shown = [
        Shown(scan_id=f"flat_{index:04d}", frame_ids=tuple(f"{frame:06d}" for frame in range(count))) for index, count in enumerate(counts)
    ]
    return Views(images=images, views_per_sample=counts, token_grid_hw=grid), shown


def expect_same_geometry(found: GeometryTokens, expected: GeometryTokens) -> None:
    assert found.views_per_sample == expected.views_per_sample
    for name in ("grid_hw", "is_valid", "features", "camera"):
        assert torch.equal(getattr(found, name), getattr(expected, name)), name


def test_hit_miss_and_plain_encoder_give_the_same_bits(tmp_path):
    encoder = stand_in()
    views, shown = some_views()
    expected = encoder(views)
    cached = CachedEncoder(encoder, cache_in(tmp_path))
    expect_same_geometry(cached.geometry(views, shown), expected)
    expect_same_geometry(cached.geometry(views, shown), expected)
    expect_same_geometry(CachedEncoder(stand_in(), cache_in(tmp_path)).geometry(views, shown), expected)
    assert encoder.runs == [3, 3]
    assert (cached.cache.statistics.hits, cached.cache.statistics.misses) == (3, 3)


def test_only_what_is_missing_is_computed_and_once_for_equal_samples(tmp_path):
    encoder = stand_in()
    cached = CachedEncoder(encoder, cache_in(tmp_path))
    views, shown = some_views((2, 2, 2))
    twice = replace(views, images=(*views.images[:2], *views.images[:2], *views.images[4:]))
    twice = replace(twice, token_grid_hw=views.token_grid_hw[[0, 1, 0, 1, 4, 5]])
    found = cached.geometry(twice, [shown[0], shown[0], shown[2]])
    assert encoder.runs == [2]
    expect_same_geometry(found, encoder(twice))
    cached.geometry(views, shown)
    assert encoder.runs[-1] == 1


@pytest.mark.parametrize("change", ["view order", "one view fewer", "one pixel"])
def test_features_depend_on_the_set_of_views_and_so_does_the_key(tmp_path, change):
    encoder = stand_in()
    cached = CachedEncoder(encoder, cache_in(tmp_path))
    views, (shown,) = some_views((4,))
    cached.geometry(views, [shown])
    order = {"view order": [2, 1, 0, 3], "one view fewer": [0, 1, 2], "one pixel": [0, 1, 2, 3]}[change]
    images = [views.images[view].clone() for view in order]
    if change == "one pixel":
        images[3][0, 0, 0] += 0.25  # the frame ids are the same: a dot drawn into it is not
    other = replace(views, images=tuple(images), views_per_sample=(len(order),), token_grid_hw=views.token_grid_hw[order])
    frames = replace(shown, frame_ids=tuple(shown.frame_ids[view] for view in order))
    expect_same_geometry(cached.geometry(other, [frames]), encoder(other))
    assert cached.cache.statistics.hits == 0


def test_who_knows_the_pixels_by_name_need_not_hash_them(tmp_path):
    cached = CachedEncoder(stand_in(), cache_in(tmp_path))
    views, (shown,) = some_views((2,))
    named = replace(shown, content="scannet v2, images as released")
    cached.geometry(views, [named])
    cached.geometry(views, [named])
    cached.geometry(views, [replace(named, content="scannet v2, dots drawn")])
    assert (cached.cache.statistics.hits, cached.cache.statistics.misses) == (1, 2)


def test_changed_weights_options_precision_and_types_are_misses(tmp_path):
    views, shown = some_views((2,))
    encoder = stand_in()
    cached = CachedEncoder(encoder, cache_in(tmp_path))
    cached.geometry(views, shown)
    with torch.no_grad():
        encoder.embed.weight[0, 0] += 1.0
    expect_same_geometry(cached.geometry(views, shown), encoder(views))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        expect_same_geometry(cached.geometry(views, shown), encoder(views))
    other = CachedEncoder(stand_in(layer=2), cache_in(tmp_path))
    other.geometry(views, shown)
    assert cached.cache.statistics.hits == other.cache.statistics.hits == 0
    assert cached.cache.statistics.misses == 3
    loaded = stand_in()
    encoder.load_state_dict(loaded.state_dict())
    cached.geometry(views, shown)
    assert cached.cache.statistics.hits == 1
    encoder.double()
    cached.geometry(replace(views, images=tuple(image.double() for image in views.images)), shown)
    assert cached.cache.statistics.hits == 1


def test_the_code_version_follows_the_source_of_the_encoder(tmp_path, monkeypatch):
    for version in ("one", "two", "one"):
        package = tmp_path / version / "my_lab_encoders"
        package.mkdir(parents=True, exist_ok=True)
        (package / "__init__.py").write_text("")
        (package / "helpers.py").write_text(f"SCALE = 1\n\ndef scaled(x):\n    return x  # {version}\n")
        (package / "eyes.py").write_text(
            "from torch import nn\nfrom my_lab_encoders.helpers import scaled\n\nclass Eyes(nn.Module):\n    name = 'eyes'\n"
        )
    found = []
    for version in ("one", "two", "one"):
        for name in [name for name in sys.modules if name.startswith("my_lab_encoders")]:
            monkeypatch.delitem(sys.modules, name)
        with monkeypatch.context() as context:
            context.syspath_prepend(str(tmp_path / version))
            from my_lab_encoders.eyes import Eyes

            found.append(code_hash(Eyes()))
    assert found[0] == found[2] != found[1]


def test_an_encoder_that_learns_or_drops_out_is_refused(tmp_path):
    views, shown = some_views((1,))
    learning = stand_in()
    cached = CachedEncoder(learning, cache_in(tmp_path))
    learning.embed.bias.requires_grad_(True)
    with pytest.raises(ModelError, match=r"expected a frozen encoder .* found 1 parameters that learn \('embed.bias', ...\)"):
        cached.geometry(views, shown)
    dropping = stand_in()
    dropping.look.dropout.train()
    with pytest.raises(ModelError, match=r"expected evaluation mode, found look.dropout in training mode"):
        CachedEncoder(dropping, cache_in(tmp_path))


def test_frames_that_do_not_match_the_views_are_refused_by_number(tmp_path):
    cached = CachedEncoder(stand_in(), cache_in(tmp_path))
    views, shown = some_views((2, 3))
    with pytest.raises(ModelError, match=r"expected frames for \[2, 3\] views per sample, found \[3, 2\]"):
        cached.geometry(views, shown[::-1])


def test_a_sample_without_views_takes_part_without_an_entry(tmp_path):
    cached = CachedEncoder(stand_in(), cache_in(tmp_path))
    views, shown = some_views((2, 0, 1))
    for _ in range(2):
        geometry = cached.geometry(views, shown)
        assert geometry.views_per_sample == (2, 0, 1) and len(geometry.grid_hw) == 3
    assert cached.cache.statistics.hits == cached.cache.statistics.misses == 2
    none, nobody = some_views((0,))
    with pytest.raises(ModelError, match="expected frames in some of the 1 samples, found none"):
        cached.geometry(none, nobody)


def test_the_report_says_what_happened(tmp_path):
    cached = CachedEncoder(stand_in(), cache_in(tmp_path, stored_as=INT8))
    views, shown = some_views((2, 2))
    cached.geometry(views, shown)
    cached.geometry(views, shown)
    text = str(cached.cache.statistics)
    assert text.startswith("2 hits, 2 misses (50.0% hits; 0 damaged, 0 of another key); read 0.0 MB at ")
    assert "relative error 0." in text


def test_hashes_change_with_every_name_shape_type_and_bit():
    def of(**changes: Tensor) -> str:
        module = nn.Module()
        for name, tensor in {"a": torch.zeros(4, 3), "b": torch.ones(2), **changes}.items():
            module.register_buffer(name, tensor)
        return weights_hash(module)

    last_bit = torch.zeros(4, 3)
    last_bit.view(torch.int32)[3, 2] = 1
    variants = [
        of(),
        of(a=last_bit),
        of(a=torch.zeros(3, 4)),
        of(a=torch.zeros(4, 3, dtype=torch.int32)),
        of(b=torch.tensor([1.0, -1.0])),
        of(c=torch.zeros(0)),
        of(a=torch.zeros(4, 3, dtype=torch.bfloat16)),
    ]
    assert len(set(variants)) == len(variants) and of() == of()
    transposed = torch.arange(6.0).view(2, 3)
    assert content_hash([transposed.T]) == content_hash([transposed.T.contiguous()]) != content_hash([transposed.reshape(3, 2)])
    assert len({content_hash(found) for found in ([], [None], [torch.zeros(0)], [None, None])}) == 4
    with pytest.raises(ModelError, match="found 'weight' on the meta device"):
        weights_hash(nn.Linear(2, 2, bias=False, device="meta"))


def test_the_hash_of_large_weights_does_not_depend_on_how_they_are_cut(monkeypatch):
    module = nn.Linear(100, 30)
    before = weights_hash(module)
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    assert weights_hash(module) == before
    with torch.no_grad():
        module.weight[29, 99] += 1e-6
    assert weights_hash(module) != before


# In a model


def vggt_model(frozen: tuple[str, ...] = ("geometry_encoder.*",)) -> tuple[SpatialVLForConditionalGeneration, SpatialVLProcessor]:
    """The smallest model, looking across at a frozen VGGT of two layers."""
    tokenizer = train_tokenizer(TEXTS, vocab_size=320)
    options = {"width": 32, "heads": 2}
    config = PRESETS["smallest"](tokenizer, fusion="cross", fusion_options=options, coordinate_frame="first_camera")
    config.geometry_encoder, config.geometry_options, config.frozen = VGGT, VGGT_OPTIONS, list(frozen)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = SpatialVLForConditionalGeneration(config).train()
        with torch.no_grad():
            model.fusion.gate.normal_()
    return model, SpatialVLProcessor.for_config(config, tokenizer, image_width=WIDTH, image_height=HEIGHT)


def batch_of(processor: SpatialVLProcessor, count: int) -> tuple[dict[str, Tensor], list[Shown]]:
    samples = toy_samples(processor, count)
    shown = [Shown(scan_id=f"flat_{index}", frame_ids=tuple(map(str, range(sample.views)))) for index, sample in enumerate(samples)]
    return processor.collate(samples, padding_side="right").for_loss(), shown


def loss_of(model: SpatialVLForConditionalGeneration, batch: dict[str, Any]) -> tuple[Tensor, list[Tensor]]:
    model.zero_grad(set_to_none=True)
    loss, _ = model.answer_loss(**{name: value for name, value in batch.items() if name != "dots"})
    loss.backward()
    return loss.detach(), [parameter.grad for parameter in model.parameters() if parameter.grad is not None]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_hit_miss_and_no_cache_train_alike(tmp_path, dtype):
    model, processor = vggt_model()
    model.geometry_encoder.to(dtype)
    batch, shown = batch_of(processor, 3)
    cached = CachedEncoder(model.geometry_encoder, cache_in(tmp_path))
    expected, gradients = None, None
    if dtype == torch.float32:  # images come in single precision; whoever halves the encoder hands it halves
        expected, gradients = loss_of(model, batch)
    else:
        model.geometry_encoder.register_forward_pre_hook(halved)
    losses = []
    for _ in range(2):
        given = cached.with_features(model.config, batch, shown)
        assert given["geometry_features"].dtype == dtype and "geometry_coordinates" not in given
        assert given["geometry_grid_hw"].tolist() == [[HEIGHT // 8, WIDTH // 8]] * 4
        loss, of_cached = loss_of(model, given)
        losses.append(loss)
        if expected is not None:
            assert torch.equal(loss, expected)
            assert all(torch.equal(a, b) for a, b in zip(of_cached, gradients, strict=True))
    assert torch.equal(*losses)
    assert (cached.cache.statistics.misses, cached.cache.statistics.hits) == (3, 3)
    without = loss_of(model, {**given, "geometry_features": torch.zeros_like(given["geometry_features"])})[0]
    assert not torch.equal(without, losses[0])  # the features matter


def halved(module: nn.Module, given: tuple[Views]) -> tuple[Views]:
    return (replace(given[0], images=tuple(image.bfloat16() for image in given[0].images)),)


def test_a_batch_computes_only_its_new_samples(tmp_path):
    model, processor = vggt_model()
    batch, shown = batch_of(processor, 4)
    some = processor.collate(toy_samples(processor, 2), padding_side="right").for_loss()
    cached = CachedEncoder(model.geometry_encoder, cache_in(tmp_path))
    cached.with_features(model.config, some, shown[:2])
    given = cached.with_features(model.config, batch, shown)
    assert (cached.cache.statistics.hits, cached.cache.statistics.misses) == (2, 4)
    torch.testing.assert_close(loss_of(model, given)[0], loss_of(model, batch)[0])


def test_a_batch_of_text_alone_passes_through(tmp_path):
    model, _ = vggt_model()
    batch = {"input_ids": torch.ones(1, 4, dtype=torch.long)}
    assert CachedEncoder(model.geometry_encoder, cache_in(tmp_path)).with_features(model.config, batch, []) == batch


def test_what_is_frozen_in_a_training_model_drops_nothing_out():
    model, _ = vggt_model()
    model.geometry_encoder.drop = nn.Dropout(0.5)
    model.train()
    assert model.training and model.fusion.training
    assert not any(module.training for module in model.geometry_encoder.modules())
    model.config.frozen = []
    model.train()
    assert model.geometry_encoder.drop.training
