"""For every preset: depth, pose and the last view matter where the design uses them, and geometry arrives at the token it belongs to."""

from dataclasses import replace

import pytest
import torch
from preset_cases import CASES, batch_of, intrinsics_of, logits, model_of, shot, shown, toy, uses, with_last_view

from sightline.models.model import FUSIONS
from sightline.models.view_inputs import take_views, views_of

LAYOUTS = {  # rows and columns of visual tokens, and the depth map's own size
    "landscape": {"rows": 2, "columns": 3, "depth_hw": (24, 36)},
    "portrait": {"rows": 4, "columns": 2, "depth_hw": (64, 32)},
    "odd sizes": {"rows": 3, "columns": 5, "depth_hw": (37, 61)},
    "one row": {"rows": 1, "columns": 4, "depth_hw": (17, 29)},
}
POSED = [name for name in CASES if model_of(name).config.geometry_encoder == "pointmap" and model_of(name).config.has_encoder]
FEATURED = [name for name in CASES if model_of(name).config.geometry_encoder == "vggt"]


@pytest.fixture(params=CASES)
def name(request):
    return request.param


def moved(pose: torch.Tensor) -> torch.Tensor:
    found = pose.clone()
    found[:3, 3] += torch.tensor([0.3, -0.2, 0.1], dtype=pose.dtype)
    return found


@pytest.mark.parametrize("what", ["depth", "pose", "last view", "order of views"])
def test_a_changed_depth_pose_or_last_view_changes_the_answer_where_the_design_uses_it(name, what):
    model = model_of(name)
    sample, neighbour = toy(model.config, 1, 4), toy(model.config, 2, 2)
    last = sample.shots[-1]
    other = {
        "depth": lambda: with_last_view(sample, depth_m=last.depth_m + 0.2),
        "pose": lambda: with_last_view(sample, world_from_camera=moved(last.world_from_camera)),
        "last view": lambda: with_last_view(sample, image=last.image.flip(2)),
        "order of views": lambda: replace(sample, shots=sample.shots[:2] + sample.shots[:1:-1]),
    }[what]()
    batch, changed = batch_of(model, [sample, neighbour]), batch_of(model, [other, neighbour])
    before, after = logits(model, batch.inputs), logits(model, changed.inputs)
    at = [position - 1 for position in batch.answer_at[0]]
    difference = (after[0, at] - before[0, at]).abs().amax(dim=1)
    if what in ("depth", "pose") and what not in uses(model.config):
        assert torch.equal(after, before)
    else:
        assert (difference > 1e-6).all(), f"{what}: {difference.tolist()}"
    assert torch.equal(after[1], before[1]), "nothing of it reaches the neighbour in the batch"


def language_inputs(model, inputs) -> torch.Tensor:
    """`(B, L, D)` what the language model is given: the embeddings with visual and prefix tokens in their places."""
    language = model.backbone.get_decoder()
    seen = []
    handle = language.register_forward_pre_hook(lambda module, args, kwargs: seen.append(kwargs["inputs_embeds"]), with_kwargs=True)
    logits(model, inputs)
    handle.remove()
    return seen[0]


def planted(model, sample, view: int, row: int, column: int, rows: int, columns: int):
    """The sample with depth in one cell of one view alone, 2 m from its camera, and where in the world that is."""
    one = sample.shots[view]
    height, width = one.depth_m.shape
    intrinsics = intrinsics_of(height, width)  # the depth camera sees what the image shows
    depth = torch.full((height, width), torch.nan)
    u, v = torch.meshgrid(torch.arange(width), torch.arange(height), indexing="xy")
    is_inside = ((u + 0.5) * columns / width).floor().eq(column) & ((v + 0.5) * rows / height).floor().eq(row)
    depth[is_inside] = 2.0
    fx, fy, cx, cy = intrinsics[:4]
    ray = torch.stack([(u[is_inside].mean(dtype=torch.float64) - cx) / fx, (v[is_inside].mean(dtype=torch.float64) - cy) / fy, fx / fx])
    shots = [replace(s, depth_m=torch.full_like(s.depth_m, torch.nan), depth_intrinsics=intrinsics) for s in sample.shots]
    shots[view] = replace(shots[view], depth_m=depth)
    return replace(sample, shots=tuple(shots)), one.world_from_camera[:3, :3] @ (2.0 * ray) + one.world_from_camera[:3, 3]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", POSED[:1])  # the encoder is one for all of them
def test_planted_coordinates_arrive_at_their_token_and_at_no_other(name, layout):
    model = model_of(name)
    size = LAYOUTS[layout]
    rows, columns = size["rows"], size["columns"]
    samples = [toy(model.config, 1, 2, **size), toy(model.config, 2, 3, **size)]
    for sample, view, row, column in ((0, 1, rows - 1, 0), (1, 0, 0, columns - 1), (1, 2, rows // 2, columns // 2)):
        with_point, point_world = planted(model, samples[sample], view, row, column, rows, columns)
        nothing = [planted(model, one, 0, rows, columns, rows, columns)[0] for one in samples]
        chosen = [with_point if index == sample else one for index, one in enumerate(nothing)]
        batch = batch_of(model, chosen)
        difference = (language_inputs(model, batch.inputs) - language_inputs(model, batch_of(model, nothing).inputs)).abs().amax(dim=2)
        expected = batch.visual_at[sample][(view * rows + row) * columns + column]
        assert difference.nonzero().tolist() == [[sample, expected]]

        found = take_views(dict(batch.inputs), has_vision=True).views
        geometry = model.geometry_encoder(views_of(model.config, model.geometry_encoder, found, batch.inputs["input_ids"]))
        index = ((2 if sample else 0) + view) * rows * columns + row * columns + column
        assert geometry.is_valid.nonzero().flatten().tolist() == [index]
        first = samples[sample].shots[0].world_from_camera  # the model's frame is the sample's first camera
        expected_m = first[:3, :3].T @ (point_world - first[:3, 3])
        torch.testing.assert_close(geometry.coordinates_m[index].double(), expected_m, rtol=0.0, atol=1e-5)


@pytest.mark.parametrize("name", POSED)
def test_images_of_several_shapes_share_a_batch_and_a_sample(name):
    model = model_of(name)
    mixed = [shot(model.config, 7 + index, **size) for index, size in enumerate(LAYOUTS.values())]
    sample = replace(toy(model.config, 1, 1), shots=tuple(mixed))
    batch = batch_of(model, [sample, toy(model.config, 2, 2)])
    alone = batch_of(model, [sample])
    at = range(batch.answer_at[0][-1])
    torch.testing.assert_close(logits(model, batch.inputs)[0, at], logits(model, alone.inputs)[0, at], rtol=0.0, atol=1e-5)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", FEATURED)
def test_a_planted_feature_arrives_where_its_patch_lies(name, layout):
    model = model_of(name)
    size = LAYOUTS[layout]
    samples = [toy(model.config, 1, 2, **size), toy(model.config, 2, 3, **size)]
    batch = batch_of(model, samples)
    found = take_views(dict(batch.inputs), has_vision=model.kind.has_vision).views
    geometry = model._geometry(found, batch.inputs["input_ids"])
    sample, view = 1, len(shown(model.config, samples[1])) - 1
    index = sum(geometry.views_per_sample[:sample]) + view
    patch_rows, patch_columns = geometry.grid_hw[index].tolist()
    row, column = patch_rows - 1, patch_columns // 2
    token = int(geometry.grid_hw[:index].prod(-1).sum()) + row * patch_columns + column
    features = geometry.features.clone()
    features[token] = -features[token] + 1.0
    given = {"geometry_camera": geometry.camera, "geometry_valid": geometry.is_valid, "geometry_grid_hw": geometry.grid_hw}
    both = [language_inputs(model, batch.but(geometry_features=values, **given)) for values in (geometry.features, features)]
    changed = (both[1] - both[0]).abs().amax(dim=2).nonzero().tolist()
    merge, each = model.config.vision_grid.merge, model.config.views_per_step
    rows, columns = patch_rows // merge, patch_columns // merge
    if model.config.fusion == "add":
        step = view // each
        expected = [batch.visual_at[sample][(step * rows + row // merge) * columns + column // merge]]
    elif model.config.fusion == "cross":
        expected = batch.visual_at[sample][view * rows * columns : (view + 1) * rows * columns]
    else:
        expected = batch.prefix_at[sample][-model.fusion.options.latents :]
    assert changed == [[sample, position] for position in expected]


def test_nothing_read_gives_exactly_the_output_without_geometry_before_training(name):
    model = model_of(name, is_open=False)
    if not getattr(model.fusion, "gate_size", None) or model.gate_size() != 0.0 or FUSIONS[model.config.fusion].needs == "nothing":
        pytest.skip("the published design has no gate: it adds geometry from the first step on")
    samples = [toy(model.config, 1, 2), toy(model.config, 2, 3)]
    batch = batch_of(model, samples)
    plain = model_of(name, is_open=False)
    plain.fusion, plain.deepstack_fusions, plain.geometry_encoder = torch.nn.Identity(), torch.nn.ModuleList(), None
    plain.fusion.forward = lambda visual, geometry: visual.tokens
    assert torch.equal(logits(model, batch.inputs), logits(plain, batch.inputs))
    if "depth" in uses(model.config):
        nothing = batch.but(view_depth_m=torch.full_like(batch.inputs["view_depth_m"], torch.nan))
        assert torch.equal(logits(model, nothing), logits(plain, batch.inputs))
        open_model = model_of(name)
        assert torch.equal(logits(open_model, nothing), logits(plain, batch.inputs))
        zeros = batch.but(view_depth_m=torch.zeros_like(batch.inputs["view_depth_m"]))
        assert torch.equal(logits(open_model, zeros), logits(plain, batch.inputs))


@pytest.mark.parametrize("name", FEATURED)
def test_invalid_features_are_as_if_they_were_not_there(name):
    model = model_of(name)
    batch = batch_of(model, [toy(model.config, 1, 2), toy(model.config, 2, 2)])
    found = take_views(dict(batch.inputs), has_vision=model.kind.has_vision).views
    geometry = model._geometry(found, batch.inputs["input_ids"])
    is_valid = geometry.is_valid.clone()
    is_valid[: len(is_valid) // 2] = False
    given = {"geometry_camera": geometry.camera, "geometry_valid": is_valid, "geometry_grid_hw": geometry.grid_hw}
    wild = torch.where(is_valid[:, None], geometry.features, torch.nan)
    assert torch.equal(
        logits(model, batch.but(geometry_features=wild, **given)), logits(model, batch.but(geometry_features=geometry.features, **given))
    )
