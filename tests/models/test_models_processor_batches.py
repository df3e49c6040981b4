"""Batches of every design: clips, positions by both rules, cameras and padding; a sample in a batch is the sample alone."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from toy_models import QUESTION, camera, seen_view, toy_family, toy_preset
from transformers import AutoProcessor

from sightline.errors import ModelError
from sightline.models.checkpoints import load_checkpoint, save_checkpoint
from sightline.models.preset_notes import NOTES
from sightline.models.processor import SpatialVLProcessor
from sightline.models.processor_options import DEVICE, HOST, NOWHERE

VIDEO_TRAINING = {"changes": {"rope_rule": "transformers_5"}}
NEW_TOKENS = 4


def shown(count: int, *, seed: int = 0, width: int = 64, height: int = 48, has_geometry: bool = True):
    return [seen_view(seed + index, width=width, height=height, has_geometry=has_geometry) for index in range(count)]


def mixed(by: SpatialVLProcessor, *, answered: bool = True):
    """One view, three views of another shape, two without geometry, with answers of other lengths."""
    views = [shown(1, seed=1, width=100, height=64), shown(3, seed=2, width=60, height=90), shown(2, seed=5, has_geometry=False)]
    answers = ["2", "0.45", "1.2"] if answered else [None] * 3
    return [by.encode(QUESTION, one, answer=answer, where="toy/0") for one, answer in zip(views, answers, strict=True)]


@pytest.mark.parametrize("name", NOTES)
def test_a_sample_in_a_mixed_batch_has_the_loss_it_has_alone(name):
    checkpoint = toy_preset(name, gate=0.5)
    samples = mixed(checkpoint.processor)
    with torch.no_grad():
        together, learned = checkpoint.model.answer_loss(**checkpoint.processor.collate(samples, padding_side="right").for_loss())
        alone = [checkpoint.model.answer_loss(**checkpoint.processor.collate([one], padding_side="right").for_loss()) for one in samples]
    assert learned == sum(count for _, count in alone) == 2 + 5 + 4
    torch.testing.assert_close(together, sum(loss for loss, _ in alone), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", NOTES)
def test_left_padded_replies_are_those_of_each_question_alone(name):
    checkpoint = toy_preset(name, gate=0.5)
    samples, ends = mixed(checkpoint.processor, answered=False), {"max_new_tokens": NEW_TOKENS, "do_sample": False, "eos_token_id": [0]}
    replies = []
    for rows in (samples, *([one] for one in samples)):
        batch = checkpoint.processor.collate(rows, padding_side="left")
        assert batch.attention_mask[:, -1].all()
        replies.extend(checkpoint.model.generate(**batch.for_generation(), **ends)[:, batch.input_ids.shape[1] :].tolist())
    assert replies[:3] == replies[3:]


@pytest.mark.parametrize("name", NOTES)
@pytest.mark.parametrize("padding_side", ["left", "right"])
def test_positions_are_those_the_backbone_finds_itself(name, padding_side):
    """By transformers' own rule, and for the clips of `spatial-mllm` by that of its training."""
    checkpoint = toy_preset(name)
    batch = checkpoint.processor.collate(mixed(checkpoint.processor), padding_side=padding_side)
    if not checkpoint.model.kind.has_mrope:
        assert batch.position_ids is None
        return
    expect_positions(checkpoint, batch)


@pytest.mark.parametrize("frames_per_s", [4.0, 2.0, 0.5])
def test_positions_of_clips_are_those_of_transformers_whatever_the_spacing(frames_per_s):
    checkpoint = toy_preset("spatial-mllm", **VIDEO_TRAINING, frames_per_s=frames_per_s)
    batch = checkpoint.processor.collate(mixed(checkpoint.processor), padding_side="right")
    assert batch.second_per_grid_ts.tolist() == [2 / frames_per_s] * 3
    expect_positions(checkpoint, batch)


def expect_positions(checkpoint, batch) -> None:
    theirs, _ = checkpoint.model.backbone.model.get_rope_index(
        batch.input_ids,
        mm_token_type_ids=batch.mm_token_type_ids,
        image_grid_thw=batch.image_grid_thw,
        video_grid_thw=batch.video_grid_thw,
        second_per_grid_ts=batch.second_per_grid_ts,
        attention_mask=batch.attention_mask,
    )
    attended = batch.attention_mask.bool()
    assert torch.equal(theirs[-3:][:, attended], batch.position_ids[:, attended])


def test_sixteen_frames_stand_at_eight_times_and_text_goes_on_after_the_last():
    """As in the training of Spatial-MLLM: 4 frames a second, two to a step, two positions a second; then the largest position plus one."""
    by = toy_preset("spatial-mllm", min_pixels=28 * 28, max_pixels=3 * 28 * 28).processor
    batch = by.collate([by.encode(QUESTION, shown(16, width=56, height=28), answer="2", where="toy/0")], padding_side="right")
    assert batch.video_grid_thw.tolist() == [[8, 2, 4]] and batch.second_per_grid_ts.tolist() == [0.5]
    is_video = batch.mm_token_type_ids[0] == 2
    time, _, column = batch.position_ids[:, 0, is_video]
    start = int(time[0])
    assert (time - start).tolist() == [step for step in range(8) for _ in range(2)]
    assert (column - start).tolist() == [0, 1] * 8
    after = int(is_video.nonzero().max()) + 1
    assert batch.position_ids[:, 0, after].tolist() == [start + 8] * 3


def test_an_odd_last_frame_is_shown_twice_to_both_towers():
    by = toy_preset("spatial-mllm", sends_cameras=True).processor
    three, four = shown(3), shown(3)
    four.append(four[-1])
    odd, even = (by.collate([by.encode(QUESTION, one, answer="2", where="toy/0")], padding_side="right") for one in (three, four))
    assert odd.views_per_sample.tolist() == [4] and odd.video_grid_thw[0, 0] == 2
    for name, wanted in even.for_loss().items():
        torch.testing.assert_close(odd.for_loss()[name], wanted, rtol=0, atol=0, equal_nan=True)


def test_frames_of_a_step_are_pixels_of_one_patch():
    """Channels outside, then the two frames, then the pixels, as transformers cuts its videos."""
    by = toy_preset("spatial-mllm").processor
    views = shown(2, width=84, height=56)
    batch = by.collate([by.encode(QUESTION, views, answer=None, where="toy/0")], padding_side="left")
    first = batch.pixel_values_videos[0].view(3, 2, 14, 14)
    mean, std = torch.tensor(by.pixel_mean), torch.tensor(by.pixel_std)
    for frame, view in enumerate(views):
        wanted = (torch.from_numpy(view.rgb[:14, :14] / 255.0).float() - mean) / std
        torch.testing.assert_close(first[:, frame], wanted.permute(2, 0, 1), atol=1e-5, rtol=0)


def test_frames_of_a_clip_that_differ_in_shape_are_refused():
    by = toy_preset("spatial-mllm").processor
    with pytest.raises(ModelError, match="toy/0: expected the frames of a clip on one grid, found 3x4, 4x3"):
        by.encode(QUESTION, [*shown(1, width=120, height=80), *shown(1, width=80, height=120)], answer=None, where="toy/0")


@pytest.mark.parametrize("name", ["qwen2_5_vl", "internvl", "qwen3_vl"])
def test_pixels_are_normalised_as_the_backbone_was_taught(name):
    checkpoint = toy_family(name, "none", "none", max_tiles=1)
    by, grid = checkpoint.processor, checkpoint.model.config.vision_grid
    width, height = (grid.tile_px,) * 2 if grid.tile_px else (4 * grid.window_px,) * 2
    view = shown(1, width=width, height=height)[0]
    batch = by.collate([by.encode(QUESTION, [view], answer=None, where="toy/0")], padding_side="left")
    side = grid.patch_px
    wanted = (view.rgb[:side, side : 2 * side] / 255.0 - np.array(grid.mean)) / np.array(grid.std)
    found = batch.pixel_values[1].view(3, grid.temporal_patch, side, side)
    np.testing.assert_allclose(found, np.broadcast_to(wanted.transpose(2, 0, 1)[:, None], found.shape), atol=1e-5)


@pytest.mark.parametrize(("name", "on", "is_sent"), [
    ("qwen3vl-base", NOWHERE, False),
    ("qwen3vl-sin3d", HOST, False),
    ("spatial-mllm", DEVICE, False),
    ("vggt-perceiver", DEVICE, True),
    ("vggt-cross", DEVICE, False),
    ("internvl", NOWHERE, False),
])  # fmt: skip
def test_each_design_is_given_what_its_encoder_asks_for_and_no_more(name, on, is_sent):
    by = toy_preset(name).processor
    batch = by.collate(mixed(by), padding_side="right")
    assert (by.geometry_on, by.needs_depth) == (on, on == HOST or is_sent)
    assert (batch.view_depth_m is not None) == (batch.view_world_from_camera is not None) == is_sent
    assert (batch.geometry_coordinates is not None) == (on == HOST)
    assert (batch.views_per_sample is not None) == (on != NOWHERE)


def test_cameras_and_depth_maps_travel_with_their_views_and_unknown_ones_are_nan():
    by = toy_preset("qwen3vl-sin3d", geometry_on="device").processor
    posed, plain = shown(2, width=64, height=48), shown(1, has_geometry=False)
    small = replace(seen_view(9, width=48, height=64), depth_m=np.full((24, 32), 2.0, np.float32))
    batch = by.collate([by.encode(QUESTION, one, answer="2", where="toy/0") for one in (posed, plain, [small])], padding_side="right")
    assert batch.views_per_sample.tolist() == [2, 1, 1]
    assert batch.view_depth_m.shape == (4, 96, 128) and batch.view_depth_m.dtype == torch.float32
    for view in range(2):
        np.testing.assert_array_equal(batch.view_depth_m[view], posed[view].depth_m)
        np.testing.assert_array_equal(batch.view_world_from_camera[view], posed[view].world_from_camera)
    assert batch.view_world_from_camera.dtype == torch.float64
    for unknown in (batch.view_depth_m[2], batch.view_world_from_camera[2], batch.view_intrinsics[2], batch.view_depth_intrinsics[2]):
        assert unknown.isnan().all()
    assert (batch.view_depth_m[3, :24, :32] == 2.0).all() and batch.view_depth_m[3].isnan().sum() == 96 * 128 - 24 * 32
    (framing,) = by.framings(48, 64)
    assert batch.view_intrinsics[3, 4:].tolist() == [framing.width, framing.height]


def test_arrays_and_tensors_and_pictures_make_the_same_inputs_as_views():
    for on in (HOST, DEVICE):
        by = toy_preset("qwen3vl-sin3d", geometry_on=on).processor
        views = shown(2, width=80, height=60)
        views = [replace(view, depth_intrinsics=view.intrinsics.resized(width=128, height=96)) for view in views]
        wanted = by.collate([by.encode(QUESTION, views, answer=None, where="x")], padding_side="left").for_generation()
        beside = {
            "depths": [torch.from_numpy(views[0].depth_m), views[1].depth_m],
            "poses": [views[0].world_from_camera, torch.from_numpy(views[1].world_from_camera)],
            "intrinsics": [views[0].intrinsics, torch.from_numpy(views[1].intrinsics.K)],
        }
        pictures = [Image.fromarray(views[0].rgb), torch.from_numpy(views[1].rgb).permute(2, 0, 1)]
        one = by(images=pictures, text=QUESTION, **beside)
        nested = by(images=[pictures], text=[QUESTION], **{name: [value] for name, value in beside.items()})
        for found in (one, nested):
            assert set(found) == set(wanted)
            for name, value in wanted.items():
                torch.testing.assert_close(found[name], value, rtol=0, atol=0, equal_nan=True)


def test_what_does_not_fit_the_images_is_refused_by_name():
    by = toy_preset("qwen3vl-sin3d").processor
    picture = np.zeros((48, 64, 3), np.uint8)
    depth, pose, K = np.ones((24, 32), np.float32), np.eye(4), camera(width=64, height=48).K
    for given, message in [
        ({"depths": [depth]}, r"depths: expected one for each image, \[2\], found \[1\]"),
        ({"poses": [pose[:3], pose]}, r"poses: expected \(4, 4\) world from camera, found \(3, 4\)"),
        ({"depths": [depth, depth]}, "depths: expected maps .* with intrinsics beside them"),
        ({"intrinsics": [K[0], K]}, r"intrinsics: expected a camera matrix \(3, 3\), found \(3,\)"),
        ({"videos": [picture]}, "expected images, text, depths, poses and intrinsics, found videos"),
    ]:
        with pytest.raises(ModelError, match=message):
            by(images=[picture, picture], text=QUESTION, **given)
    with pytest.raises(ModelError, match=r"expected pictures or uint8 arrays \(H, W, 3\), found float64 \(4, 4\)"):
        by(images=[pose], text=QUESTION)


@pytest.mark.parametrize("name", NOTES)
def test_a_saved_processor_makes_the_same_inputs(name, tmp_path: Path):
    checkpoint = toy_preset(name)
    save_checkpoint(checkpoint, tmp_path / "saved")
    loaded = load_checkpoint(tmp_path / "saved").processor
    assert isinstance(AutoProcessor.from_pretrained(tmp_path / "saved"), SpatialVLProcessor)
    wanted, found = (by.collate(mixed(by), padding_side="right").for_loss() for by in (checkpoint.processor, loaded))
    assert set(found) == set(wanted)
    for key, value in wanted.items():
        torch.testing.assert_close(found[key], value, rtol=0, atol=0, equal_nan=True)
