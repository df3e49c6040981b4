"""Weights from local files: strict by name and shape, unused parts left out, damage told apart, the licence said."""

import logging
import pickle

import pytest
import torch
from safetensors.torch import save_file
from toy_vggt import EVERYTHING, TINY, images_of, made_vggt

from sightline.errors import ModelError
from sightline.models.geometry_encoders.vggt import Vggt, VggtOptions, load_vggt, load_weights
from sightline.models.geometry_encoders.vggt.weights import licence_of


@pytest.fixture(scope="module")
def published():
    """A checkpoint with every part that the published one has, the track head included."""
    state = made_vggt(**EVERYTHING).state_dict()
    return {**state, "track_head.tracker.corr_mlp.fc1.weight": torch.zeros(2, 2), "track_head.feature_extractor.norm.weight": torch.ones(3)}


@pytest.fixture
def file(published, tmp_path):
    path = tmp_path / "model.safetensors"
    save_file(published, path)
    return path


def changed(published, **changes):
    return {name: tensor for name, tensor in {**published, **changes}.items() if tensor is not None}


def test_loaded_weights_give_the_outputs_they_were_saved_from(file):
    images = images_of(1, 2, 28, 42)
    with torch.no_grad():
        loaded, original = load_vggt(file.parent, VggtOptions(**EVERYTHING))(images), made_vggt(**EVERYTHING)(images)
    assert torch.equal(loaded.tokens[-1], original.tokens[-1]) and torch.equal(loaded.depth.values, original.depth.values)
    assert torch.equal(loaded.pose_encoding, original.pose_encoding) and torch.equal(loaded.points.values, original.points.values)


def test_heads_and_late_blocks_that_were_not_built_are_left_in_the_file(file):
    images = images_of(1, 2, 28, 42)
    loaded = load_vggt(file, VggtOptions(**TINY, layers=(1,)))
    with torch.no_grad():
        assert torch.equal(loaded(images).tokens[0], made_vggt(**EVERYTHING)(images).tokens[1])


def test_weights_are_cast_on_the_way_in_and_heads_are_not(file):
    loaded = load_vggt(file, VggtOptions(**EVERYTHING), dtype=torch.bfloat16)
    assert {parameter.dtype for parameter in loaded.aggregator.parameters()} == {torch.bfloat16}
    assert {parameter.dtype for parameter in loaded.camera_head.parameters()} == {torch.float32}
    assert not loaded.training


def test_a_missing_weight_is_named(published, tmp_path):
    save_file(changed(published, **{"aggregator.camera_token": None}), tmp_path / "model.safetensors")
    with pytest.raises(ModelError, match="1 missing: aggregator.camera_token"):
        load_vggt(tmp_path, VggtOptions(**EVERYTHING))


def test_an_unknown_weight_is_named(published, tmp_path):
    save_file(changed(published, **{"aggregator.surprise": torch.zeros(1)}), tmp_path / "model.safetensors")
    with pytest.raises(ModelError, match="1 unknown: aggregator.surprise"):
        load_vggt(tmp_path, VggtOptions(**TINY))


def test_an_unknown_weight_of_a_head_that_was_built_is_named(published, tmp_path):
    save_file(changed(published, **{"depth_head.surprise": torch.zeros(1)}), tmp_path / "model.safetensors")
    load_vggt(tmp_path, VggtOptions(**TINY))
    with pytest.raises(ModelError, match="unknown: depth_head.surprise"):
        load_vggt(tmp_path, VggtOptions(**TINY, heads=("depth",)))


def test_a_weight_of_another_shape_is_named_with_both_and_nothing_is_changed(published, tmp_path):
    save_file(changed(published, **{"aggregator.camera_token": torch.zeros(1, 2, 1, 32)}), tmp_path / "model.safetensors")
    model = Vggt(VggtOptions(**TINY))
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(ModelError, match=r"aggregator.camera_token \(expected \[1, 2, 1, 64\], found \[1, 2, 1, 32\]\)"):
        load_weights(model, tmp_path)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


@pytest.mark.parametrize("kept", [0.5, 0.999, 0.0001])
def test_a_file_cut_short_is_one_clear_error(file, kept):
    content = file.read_bytes()
    file.write_bytes(content[: int(len(content) * kept)])
    with pytest.raises(ModelError, match="damaged"):
        load_vggt(file, VggtOptions(**TINY))


def test_a_torch_file_loads_the_same_and_a_cut_one_is_refused(published, tmp_path):
    file = tmp_path / "model.pt"
    torch.save(published, file)
    loaded = load_vggt(tmp_path, VggtOptions(**EVERYTHING))
    assert all(torch.equal(tensor, published[name]) for name, tensor in loaded.state_dict().items())
    file.write_bytes(file.read_bytes()[:5000])
    with pytest.raises(ModelError, match="damaged"):
        load_vggt(tmp_path, VggtOptions(**EVERYTHING))


class Runs:
    """Calls something when unpickled, as a hostile file would."""

    def __reduce__(self):
        return (exec, ("raise SystemExit('ran')",))


def test_a_pickle_that_would_run_something_is_refused_unrun(tmp_path):
    file = tmp_path / "model.pt"
    torch.save({"aggregator.camera_token": Runs()}, file)
    with pytest.raises(ModelError, match="weights alone, found one that also holds .*exec"):
        load_vggt(file, VggtOptions(**TINY))
    file.write_bytes(pickle.dumps(Runs()))
    with pytest.raises(ModelError, match="another kind"):
        load_vggt(file, VggtOptions(**TINY))


def test_a_place_without_weights_is_said(tmp_path):
    with pytest.raises(ModelError, match="model.safetensors or model.pt"):
        load_vggt(tmp_path, VggtOptions(**TINY))
    with pytest.raises(ModelError, match="found none"):
        load_vggt(tmp_path / "nothing.safetensors", VggtOptions(**TINY))


def test_weights_inside_a_larger_checkpoint_are_found_by_their_prefix(published, tmp_path):
    whole = {f"spatial_encoder.vggt_model.{name}": tensor for name, tensor in published.items()}
    save_file({**whole, "connector.mlp.0.weight": torch.zeros(2)}, tmp_path / "model.safetensors")
    model = Vggt(VggtOptions(**EVERYTHING))
    load_weights(model, tmp_path, prefix="spatial_encoder.vggt_model.")
    assert all(torch.equal(tensor, published[name]) for name, tensor in model.state_dict().items())


@pytest.mark.parametrize(
    "folder, card, name, is_commercial",
    [
        ("weights", "---\nlicense: cc-by-nc-4.0\n---\n# VGGT", "cc-by-nc-4.0", False),
        ("weights", "---\nlicense: other\nlicense_name: vggt-aup-license\n---\n", "vggt-aup-license", True),
        ("weights", "no front matter\nlicense: mit\n", "unknown", None),
        ("VGGT-1B", None, "cc-by-nc-4.0", False),
        ("models--facebook--VGGT-1B-Commercial", None, "vggt-aup-license", True),
        ("weights", None, "unknown", None),
    ],
)
def test_the_licence_is_read_from_the_card_or_the_name(tmp_path, folder, card, name, is_commercial):
    place = tmp_path / folder
    place.mkdir()
    if card is not None:
        (place / "README.md").write_text(card, encoding="utf-8")
    licence = licence_of(place)
    assert (licence.name, licence.is_commercial_use_allowed) == (name, is_commercial)


def test_loading_says_the_licence(published, tmp_path, caplog):
    place = tmp_path / "VGGT-1B"
    place.mkdir()
    save_file(published, place / "model.safetensors")
    with caplog.at_level(logging.WARNING):
        load_vggt(place, VggtOptions(**TINY))
    assert "licence cc-by-nc-4.0, no commercial use" in caplog.text
