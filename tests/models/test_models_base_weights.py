"""Base weights: by folder or pinned hub id, every weight or an error that names it, and nothing random unless asked."""

import json
import shutil

import original_layouts as layouts
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForImageTextToText, Qwen2_5_VLForConditionalGeneration

from sightline.errors import ModelError
from sightline.models.base_weights import load_base
from sightline.models.config import SpatialVLConfig
from sightline.models.sources import Source


@pytest.fixture(scope="module")
def flat(tmp_path_factory):
    """Qwen2.5-VL as transformers 4.51 wrote it: text sizes flat in the config, names `model.layers.*` and `visual.*`."""
    return layouts.write_backbone(tmp_path_factory.mktemp("base") / "flat")


@pytest.fixture
def copied(flat, tmp_path):
    return shutil.copytree(flat, tmp_path / "base")


def config(**changes):
    return SpatialVLConfig(**{"backbone": "qwen2_5_vl", "geometry_encoder": "none", "fusion": "none", **changes})


def load(folder, *, configured=None, **options):
    return load_base(configured or config(), backbone=Source(place=str(folder)), **options)


def change(folder, **changes):
    """Weights of the folder replaced by name (dots as they are), or left out (None)."""
    weights = load_file(folder / "model.safetensors") | changes
    save_file(
        {name: value for name, value in weights.items() if value is not None}, folder / "model.safetensors", metadata={"format": "pt"}
    )


def same(first, second):
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def test_names_of_older_transformers_give_the_weights_that_transformers_itself_gives(flat):
    theirs, report = Qwen2_5_VLForConditionalGeneration.from_pretrained(flat, output_loading_info=True)
    assert not report["missing_keys"] and not report["unexpected_keys"]
    ours = load(flat)
    assert same(ours.backbone.state_dict(), theirs.state_dict())
    ids = torch.tensor([[3, 1, 4, 1, 5]])
    with torch.no_grad():
        assert torch.equal(ours(input_ids=ids).logits, theirs.eval()(input_ids=ids).logits)
    assert ours.config.backbone_config.text_config.hidden_size == 32 and not ours.training
    assert torch.equal(ours.backbone.model.language_model.norm.weight, torch.from_numpy(layouts.weight("model.norm.weight", (32,))))


def test_names_of_newer_transformers_give_the_same(flat, tmp_path):
    theirs = Qwen2_5_VLForConditionalGeneration.from_pretrained(flat)
    theirs.save_pretrained(tmp_path / "new", save_original_format=False)
    assert any(name.startswith("model.language_model.") for name in load_file(tmp_path / "new" / "model.safetensors"))
    assert same(load(tmp_path / "new").state_dict(), load(flat).state_dict())


def test_what_was_loaded_from_other_names_is_saved_under_ours_and_comes_back(flat, tmp_path):
    model = load(flat, configured=config(fusion="mlp3d", fusion_options={"width": 8}, geometry_encoder="pointmap"), seed=3)
    for place, options in (("plain", {}), ("exact", {"save_original_format": False})):
        model.save_pretrained(tmp_path / place, **options)
        again, report = AutoModelForImageTextToText.from_pretrained(tmp_path / place, output_loading_info=True)
        assert not report["missing_keys"] and not report["unexpected_keys"]
        assert same(again.state_dict(), model.state_dict())
        assert again.config.made_from == {"backbone": {"place": str(flat)}, "fresh": ["fusion"]}
    assert all(name.startswith(("backbone.model.", "fusion.")) for name in load_file(tmp_path / "exact" / "model.safetensors"))


def test_the_fusion_alone_is_drawn_from_the_seed_and_the_random_state_is_left_alone(flat):
    fused = config(fusion="mlp3d", fusion_options={"width": 8}, geometry_encoder="pointmap")
    torch.manual_seed(5)
    first, again, other = (load(flat, configured=fused, seed=seed) for seed in (1, 1, 2))
    after = torch.rand(2)
    torch.manual_seed(5)
    assert torch.equal(torch.rand(2), after)
    assert same(first.state_dict(), again.state_dict()) and not same(first.fusion.state_dict(), other.fusion.state_dict())
    assert same(first.backbone.state_dict(), other.backbone.state_dict()) and fused.backbone_config is not first.config.backbone_config
    assert not hasattr(fused, "made_from")


def test_a_missing_weight_is_named_and_drawn_only_when_asked(copied):
    change(copied, **{"model.norm.weight": None, "visual.merger.mlp.0.bias": None})
    with pytest.raises(
        ModelError, match=r"2 missing, first backbone\.model\.language_model\.norm\.weight, backbone\.model\.visual\.merger"
    ) as error:
        load(copied)
    assert "--random-init" in str(error.value) and "\n" not in str(error.value)
    model = load(copied, random_init=True)
    assert model.config.made_from["fresh"] == ["backbone.model.language_model.norm.weight", "backbone.model.visual.merger.mlp.0.bias"]
    assert torch.isfinite(model.backbone.model.language_model.norm.weight).all()


def test_a_weight_of_another_shape_is_named_with_both_shapes(copied):
    change(copied, **{"model.norm.weight": torch.ones(31)})
    with pytest.raises(ModelError, match=r"1 of another shape, first backbone\.model\.language_model\.norm\.weight \[31\] for \[32\]"):
        load(copied)


def test_an_unknown_weight_is_refused_even_when_missing_ones_may_be_drawn(copied):
    change(copied, **{"model.layers.7.mlp.extra": torch.ones(3)})
    with pytest.raises(ModelError, match=r"1 unknown, first .*layers\.7\.mlp\.extra"):
        load(copied, random_init=True)


@pytest.mark.parametrize("asked, dtype", [("auto", torch.float32), (torch.bfloat16, torch.bfloat16)])
def test_weights_have_the_dtype_asked_for(flat, asked, dtype):
    assert {parameter.dtype for parameter in load(flat, dtype=asked).parameters()} == {dtype}


@pytest.mark.parametrize("device_map", ["cpu", {"": "cpu"}, {"backbone": "cpu", "fusion": "cpu", "geometry_encoder": "cpu"}])
def test_a_device_map_places_every_part(flat, device_map):
    model = load(flat, configured=config(fusion="mlp3d", fusion_options={"width": 8}, geometry_encoder="pointmap"), device_map=device_map)
    assert same(model.backbone.state_dict(), load(flat).backbone.state_dict())
    assert torch.isfinite(model(input_ids=torch.tensor([[1, 2]])).logits).all()


def test_a_folder_of_another_kind_or_without_safetensors_says_so(copied, tmp_path):
    with pytest.raises(ModelError, match="expected model_type 'qwen3', found 'qwen2_5_vl'"):
        load(copied, configured=config(backbone="qwen3"))
    (copied / "model.safetensors").rename(copied / "pytorch_model.bin")
    with pytest.raises(ModelError, match=r"expected \*\.safetensors, found pytorch_model\.bin \(formats that can run code"):
        load(copied)
    with pytest.raises(ModelError, match=r"expected a model folder with config\.json"):
        load(tmp_path)
    (copied / "pytorch_model.bin").rename(copied / "model.safetensors")
    whole = (copied / "model.safetensors").read_bytes()
    (copied / "model.safetensors").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ModelError, match="expected weights that load"):
        load(copied)


def test_code_in_a_model_folder_is_never_run(copied, tmp_path):
    changed = json.loads((copied / "config.json").read_text()) | {"auto_map": {"AutoConfig": "evil.Config", "AutoModel": "evil.Model"}}
    (copied / "config.json").write_text(json.dumps(changed))
    (copied / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    load(copied)
    assert not (tmp_path / "ran").exists()


def test_nothing_is_random_unless_asked():
    with pytest.raises(ModelError, match="expected its weights, found no place for them. Fix: a folder or hub id, or --random-init"):
        load_base(config(), backbone=None)
    tiny = json.loads(json.dumps(layouts.backbone_config_4()))
    model = load_base(config(backbone_config=tiny), backbone=None, random_init=True, seed=2)
    again = load_base(config(backbone_config=tiny), backbone=None, random_init=True, seed=2)
    assert model.config.made_from["fresh"] == ["backbone"] and same(model.state_dict(), again.state_dict())


@pytest.mark.parametrize(
    "place, revision, message",
    [
        ("Qwen/Qwen3-VL-4B-Instruct", None, r"expected a pinned revision, found none. Fix: Qwen/Qwen3-VL-4B-Instruct@COMMIT"),
        ("no/such/folder", None, "expected a folder that exists, or a hub id"),
        ("nothing", None, "expected a folder that exists, or a hub id"),
    ],
)
def test_a_place_that_is_not_pinned_or_not_there_says_what_to_do(place, revision, message):
    with pytest.raises(ModelError, match=message):
        Source(place=place, revision=revision).folder()


def test_a_place_is_read_from_one_word(tmp_path):
    assert Source.parse("Qwen/Qwen3-VL-4B-Instruct@" + "a" * 40) == Source(place="Qwen/Qwen3-VL-4B-Instruct", revision="a" * 40)
    assert Source.parse(str(tmp_path)) == Source(place=str(tmp_path))
    with pytest.raises(ModelError, match="expected no revision for a local folder, found 'v1'"):
        Source(place=str(tmp_path), revision="v1").folder()


VGGT = {"img_size": 56, "embed_dim": 16, "depth": 2, "num_heads": 2, "dino_depth": 2, "dino_heads": 2}


def with_vggt():
    return config(geometry_encoder="vggt", geometry_options=VGGT, fusion="add", views_per_step=2)


def write_vggt(folder, **changes):
    """The published file of VGGT at tiny size: its aggregator and heads, most of which are not built here."""
    prefix = "spatial_encoder.vggt_model."
    shapes = {name.removeprefix(prefix): shape for name, shape in layouts.frozen("v1_1")["tensors"].items() if name.startswith(prefix)}
    weights = {name: torch.from_numpy(layouts.weight(name, tuple(shape))) for name, shape in shapes.items()} | changes
    folder.mkdir()
    save_file(
        {name: value for name, value in weights.items() if value is not None}, folder / "model.safetensors", metadata={"format": "pt"}
    )
    (folder / "README.md").write_text("---\nlicense: cc-by-nc-4.0\n---\n")
    return folder


def test_the_geometry_encoder_s_weights_come_from_their_own_file_with_their_licence(flat, tmp_path):
    folder = write_vggt(tmp_path / "vggt")
    model = load(flat, configured=with_vggt(), geometry=folder)
    found, stored = model.geometry_encoder.vggt.state_dict(), load_file(folder / "model.safetensors")
    assert len(found) > 50 and all(torch.equal(weight, stored[name]) for name, weight in found.items())
    record = model.config.made_from["geometry_encoder"]
    assert (record["place"], record["name"], record["is_commercial_use_allowed"]) == (str(folder), "cc-by-nc-4.0", False)
    assert model.config.made_from["fresh"] == ["fusion"]


def test_a_geometry_encoder_is_never_silently_random(flat, tmp_path):
    with pytest.raises(ModelError, match="geometry encoder 'vggt': expected its weights, found no place for them. Fix: a folder or file"):
        load(flat, configured=with_vggt())
    assert load(flat, configured=with_vggt(), random_init=True).config.made_from["fresh"] == ["fusion", "geometry_encoder"]
    with pytest.raises(ModelError, match="1 missing: aggregator.camera_token"):
        load(flat, configured=with_vggt(), geometry=write_vggt(tmp_path / "short", **{"aggregator.camera_token": None}))
    with pytest.raises(ModelError, match="expected no weights for geometry encoder 'none'"):
        load(flat, geometry=tmp_path / "short")
