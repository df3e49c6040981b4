"""For every preset: missing or wrong inputs give one ModelError that names the field, what was expected and what was found."""

from dataclasses import replace

import pytest
import torch
from preset_cases import REAL, batch_of, logits, model_of, shot, toy, uses

from sightline.errors import ModelError
from sightline.models.view_inputs import take_views

IMAGES = {"pixel_values": "image_grid_thw", "pixel_values_videos": "video_grid_thw"}


@pytest.fixture(params=REAL)
def name(request):
    return request.param


@pytest.fixture
def model(name):
    return model_of(name)


@pytest.fixture
def batch(model):
    return batch_of(model, [toy(model.config, 1, 2), toy(model.config, 2, 4)])


def pixels_of(batch) -> str:
    return next(name for name in IMAGES if name in batch.inputs)


def expect(model, inputs, *words: str) -> None:
    """One ModelError, of one line, with all the words, from a pass and from generation alike."""
    for call in (lambda: logits(model, inputs), lambda: model.generate(**inputs, max_new_tokens=1)):
        with pytest.raises(ModelError) as caught:
            call()
        assert "\n" not in str(caught.value)
        for word in ("expected", "found", *words):
            assert word in str(caught.value), f"'{word}' in: {caught.value}"


def test_missing_grids_of_images_are_named(model, batch):
    expect(model, batch.but(**{IMAGES[pixels_of(batch)]: None}), pixels_of(batch), IMAGES[pixels_of(batch)])


def test_images_and_videos_at_once_are_refused(model, batch):
    both = {name: batch.inputs[pixels_of(batch)] for name in IMAGES}
    expect(model, batch.but(**both), "pixel_values", "pixel_values_videos", "both")


def test_pixels_that_do_not_fill_their_grids_are_counted(model, batch):
    name = pixels_of(batch)
    count = len(batch.inputs[name])
    expect(model, batch.but(**{name: batch.inputs[name][:-1]}), "pixel_values", str(count), str(count - 1))


def test_a_lost_placeholder_is_counted(model, batch):
    row = max(range(2), key=lambda index: len(batch.prefix_at[index] or batch.visual_at[index]))
    places = batch.prefix_at if model.config.makes_prefix else batch.visual_at
    total = sum(len(at) for at in places)
    ids = batch.inputs["input_ids"].clone()
    ids[row, places[row][0]] = 30
    expect(model, batch.but(input_ids=ids), "input_ids", str(total), str(total - 1))


def test_placeholders_that_moved_to_another_sample_are_noticed(model, batch):
    """As many as wanted in all, but one sample's question would be told of another's view."""
    places = batch.prefix_at if model.config.makes_prefix else batch.visual_at
    ids = batch.inputs["input_ids"].clone()
    placeholder = int(ids[0, places[0][0]])
    ids[0, places[0][-1]] = 30
    ids[1, batch.answer_at[1][0]] = placeholder
    expect(model, batch.but(input_ids=ids), "input_ids", f"[{len(places[0]) - 1}, {len(places[1]) + 1}]")


def test_placeholders_that_are_not_attended_are_counted(model, batch):
    places = batch.prefix_at if model.config.makes_prefix else batch.visual_at
    attended = batch.inputs["attention_mask"].clone()
    attended[0, places[0][1]] = 0
    total = sum(len(at) for at in places)
    expect(model, batch.but(attention_mask=attended), "attention_mask", str(total), str(total - 1))


@pytest.mark.parametrize("field", ["view_depth_m", "view_world_from_camera", "view_intrinsics", "view_depth_intrinsics"])
def test_missing_depth_or_pose_is_named_where_the_encoder_needs_it_and_not_missed_elsewhere(model, batch, field):
    inputs = batch.but(**{field: None})
    if model.config.has_encoder and model.geometry_encoder.needs_depth:
        expect(model, inputs, {"view_depth_m": "depth", "view_world_from_camera": "pose"}.get(field, "intrinsics"))
    else:
        assert logits(model, inputs).isfinite().all()


@pytest.mark.parametrize("field", ["view_depth_m", "view_world_from_camera", "view_intrinsics", "view_depth_intrinsics"])
def test_fewer_cameras_or_depth_maps_than_views_are_counted(model, batch, field):
    if not uses(model.config):
        pytest.skip("the design reads neither depth nor pose")
    count = len(batch.inputs[field])
    expect(model, batch.but(**{field: batch.inputs[field][:-1]}), field, str(count), str(count - 1))


def test_view_counts_that_do_not_sum_to_the_views_shown_are_named(model, batch):
    if not model.config.has_encoder:
        pytest.skip("without an encoder nobody counts the views of a sample")
    total = int(batch.inputs["views_per_sample"].sum())
    expect(model, batch.but(views_per_sample=torch.tensor([1, 2])), "views_per_sample", str(total), "[1, 2]")


def test_view_counts_of_fewer_samples_than_rows_are_named(model, batch):
    if not model.config.has_encoder:
        pytest.skip("without an encoder nobody counts the views of a sample")
    expect(model, batch.but(views_per_sample=batch.inputs["views_per_sample"].sum()[None]), "views_per_sample", "2 samples")


def test_integer_depth_is_refused_because_its_unit_is_unknown(model, batch):
    if "depth" not in uses(model.config) or not model.geometry_encoder.needs_depth:
        pytest.skip("the design does not need depth")
    expect(model, batch.but(view_depth_m=(1000 * batch.inputs["view_depth_m"].nan_to_num()).to(torch.int32)), "view_depth_m", "metres")


def test_geometry_of_another_grid_is_refused_by_both_numbers(model, batch):
    if not model.config.has_encoder:
        pytest.skip("the preset has no geometry encoder")
    found = take_views(dict(batch.inputs), has_vision=model.kind.has_vision).views
    geometry = model._geometry(found, batch.inputs["input_ids"])
    tokens = len(geometry.is_valid)
    name = "geometry_coordinates" if model.geometry_encoder.gives == "coordinates" else "geometry_features"
    values = geometry.coordinates_m if model.geometry_encoder.gives == "coordinates" else geometry.features
    given = {"geometry_valid": geometry.is_valid, "geometry_grid_hw": geometry.grid_hw, "geometry_camera": geometry.camera}
    expect(model, batch.but(**given, **{name: values[:-1]}), str(tokens), str(tokens - 1))
    expect(model, batch.but(**given, **{name: values[:, :-1]}), str(values.shape[1]))


def test_views_of_several_sizes_in_one_sample_are_refused_where_they_must_be_one_size(name):
    model = model_of(name)
    if model.config.geometry_encoder != "vggt":
        pytest.skip("images of any size share a sample")
    sample = toy(model.config, 1, 2)
    one, other = sample.shots[0], shot(model.config, 5, rows=3, columns=2)
    mixed = replace(sample, shots=(one, one, other, other))
    if model.config.views_per_step > 1:
        pytest.skip("a video has one size by its form")
    expect(model, batch_of(model, [mixed]).inputs, "one size", "sample 0")
