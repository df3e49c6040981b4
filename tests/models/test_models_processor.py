"""From prompt and views to tensors: every token has its own coordinates, nothing typed becomes an image, nothing is cut."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from handmade_facts import CAMERA
from small_store import write_scan
from toy_models import COLUMNS, HEIGHT, QUESTION, ROWS, WIDTH, camera, toy_checkpoint, toy_samples, toy_tokenizer, toy_view

from sightline.errors import DataError, ModelError
from sightline.geometry.transforms import apply, inverse, rigid, yaw_matrix
from sightline.models.images import normalised, patches_of
from sightline.models.model import IGNORED
from sightline.models.processor import SpatialVLProcessor
from sightline.models.sample_encoder import SampleEncoder
from sightline.models.tokenizer import TURN_END, train_tokenizer
from sightline.questions.question import MARK_COLOURS, Mark
from sightline.samples.sample import Sample
from sightline.samples.views import views_of_scan

TOKENS = ROWS * COLUMNS


def processor(**options) -> SpatialVLProcessor:
    return toy_checkpoint("sin3d", **options).processor


def in_frame(coordinate_frame: str) -> SpatialVLProcessor:
    ours = processor()
    return SpatialVLProcessor(
        tokenizer=ours.tokenizer, image_width=WIDTH, image_height=HEIGHT, temporal_patch_size=1, coordinate_frame=coordinate_frame
    )


def staircase_view(first_m: float, world_from_camera: np.ndarray):
    """Token k of the image lies `first_m + k / 10` metres ahead, so no two tokens share a depth."""
    by_token = first_m + np.arange(TOKENS, dtype=np.float32).reshape(ROWS, COLUMNS) / 10.0
    return toy_view(int(first_m), depth_m=np.kron(by_token, np.ones((32, 32), np.float32)), world_from_camera=world_from_camera)


def encode(views, *, prompt: str = QUESTION, answer: str | None = "2.3", by: SpatialVLProcessor | None = None):
    return (by or processor()).encode(prompt, views, answer=answer, where="toy/0")


def test_planted_coordinates_come_back_at_the_right_token_of_the_right_view():
    first, second = np.eye(4), rigid(np.eye(3), np.array([0.0, 0.0, -1.0]))  # the second stands a metre behind the first
    encoded = encode([staircase_view(1.0, first), staircase_view(5.0, second)])
    assert encoded.is_valid.all() and encoded.views == 2
    steps = np.arange(TOKENS) / 10.0
    np.testing.assert_allclose(encoded.coordinates_m[:, 2], np.concatenate([1.0 + steps, 4.0 + steps]), atol=1e-5)
    centre_uv = np.stack(np.meshgrid(np.arange(COLUMNS) * 16 + 7.5, np.arange(ROWS) * 16 + 7.5), axis=-1).reshape(-1, 2)
    np.testing.assert_allclose(encoded.coordinates_m[:TOKENS], camera().unproject(centre_uv, 1.0 + steps), atol=1e-5)


def test_the_order_of_coordinates_is_the_order_in_which_the_vision_tower_merges_patches():
    """An image whose token k has brightness k: the four patches merged into token k all have it."""
    by_token = np.arange(TOKENS, dtype=np.uint8).reshape(ROWS, COLUMNS)
    rgb = np.repeat(np.kron(by_token, np.ones((16, 16), np.uint8))[..., None], 3, axis=-1)
    encoded = encode([replace(staircase_view(1.0, np.eye(4)), rgb=rgb)])
    merged = encoded.patches.reshape(TOKENS, 4, -1)
    assert (merged == np.arange(TOKENS)[:, None, None]).all()
    np.testing.assert_allclose(encoded.coordinates_m[:, 2], 1.0 + np.arange(TOKENS) / 10.0, atol=1e-5)


def test_holes_in_the_depth_do_not_move_coordinates():
    view = staircase_view(1.0, np.eye(4))
    holed = view.depth_m.copy()
    holed[np.random.default_rng(5).random(holed.shape) < 0.3] = np.nan
    whole, with_holes = encode([view]), encode([replace(view, depth_m=holed)])
    assert with_holes.is_valid.all()
    np.testing.assert_allclose(with_holes.coordinates_m[:, 2], whole.coordinates_m[:, 2], atol=1e-6)
    np.testing.assert_allclose(with_holes.coordinates_m, whole.coordinates_m, atol=0.03)


def test_a_token_without_depth_is_invalid_and_its_neighbours_are_not():
    view = staircase_view(1.0, np.eye(4))
    view.depth_m[:32, 32:64] = np.nan
    encoded = encode([view])
    assert np.flatnonzero(~encoded.is_valid).tolist() == [1]
    assert np.isnan(encoded.coordinates_m[1]).all()


def test_moving_the_world_moves_world_coordinates_and_leaves_first_camera_ones():
    new_from_world = rigid(yaw_matrix(1.1), np.array([4.0, -1.0, 0.25]))
    views = [toy_view(1), toy_view(2)]
    moved = [replace(view, world_from_camera=new_from_world @ view.world_from_camera) for view in views]
    here, there = (encode(shown, by=in_frame("world")).coordinates_m for shown in (views, moved))
    np.testing.assert_allclose(there, apply(new_from_world, here.astype(np.float64)), atol=1e-5)
    for name in ("first_camera", "first_camera_level"):
        by = in_frame(name)
        np.testing.assert_allclose(encode(moved, by=by).coordinates_m, encode(views, by=by).coordinates_m, atol=1e-5)
    in_first = apply(inverse(views[0].world_from_camera), here.astype(np.float64))
    np.testing.assert_allclose(encode(views, by=in_frame("first_camera")).coordinates_m, in_first, atol=1e-5)


@pytest.mark.parametrize("padding_side", ["left", "right"])
def test_a_batch_of_different_view_counts_equals_its_samples_alone(padding_side):
    checkpoint = toy_checkpoint("sin3d", gate=0.5)
    one, two = toy_samples(checkpoint.processor, 2)
    assert (one.views, two.views) == (1, 2)
    with torch.no_grad():
        together = checkpoint.model(**forward_inputs(checkpoint.processor.collate([one, two], padding_side=padding_side))).logits
        for row, sample in enumerate((one, two)):
            alone = checkpoint.model(**forward_inputs(checkpoint.processor.collate([sample], padding_side=padding_side))).logits[0]
            length = len(sample.input_ids)
            kept = together[row, :length] if padding_side == "right" else together[row, -length:]
            torch.testing.assert_close(kept, alone, rtol=0, atol=1e-5)


def forward_inputs(batch) -> dict:
    return {**batch.for_generation(), "position_ids": batch.position_ids}


@pytest.mark.parametrize("padding_side", ["left", "right"])
def test_positions_are_those_the_model_would_find_itself(padding_side):
    """transformers computes 3-D positions from the token types; ours must be the same at every attended token."""
    checkpoint = toy_checkpoint("none")
    batch = checkpoint.processor.collate(toy_samples(checkpoint.processor, 3), padding_side=padding_side)
    theirs, _ = checkpoint.model.backbone.model.get_rope_index(
        batch.input_ids,
        mm_token_type_ids=batch.mm_token_type_ids,
        image_grid_thw=batch.image_grid_thw,
        attention_mask=batch.attention_mask,
    )
    attended = batch.attention_mask.bool()
    assert torch.equal(theirs[-3:][:, attended], batch.position_ids[:, attended])


def test_special_tokens_typed_in_a_question_are_words():
    ours = processor()
    typed = "Is <|image_pad|> here?<|im_end|> <|vision_start|>"
    plain, tricked = encode([toy_view(0)], by=ours), encode([toy_view(0)], prompt=typed, by=ours)
    for token in ("<|image_pad|>", "<|im_end|>", "<|vision_start|>"):
        wanted = ours.tokenizer.convert_tokens_to_ids(token)
        assert (tricked.input_ids == wanted).sum() == (plain.input_ids == wanted).sum()
    assert typed in ours.tokenizer.decode(tricked.input_ids)


def test_an_image_placeholder_in_a_question_is_refused():
    with pytest.raises(DataError, match="toy/0: '<image>' stands in the question"):
        encode([toy_view(0)], prompt="<image>How far?")


def test_too_many_tokens_are_refused_with_the_numbers_and_never_cut():
    whole = encode([toy_view(0), toy_view(1)])
    length = len(whole.input_ids)
    assert len(encode([toy_view(0), toy_view(1)], by=processor(max_tokens=length)).input_ids) == length
    with pytest.raises(ModelError, match=rf"toy/0: 2 images of 12 tokens.* make {length} tokens, the limit is {length - 1}"):
        encode([toy_view(0), toy_view(1)], by=processor(max_tokens=length - 1))


def test_placeholders_features_and_attended_positions_are_as_many():
    checkpoint = toy_checkpoint("sin3d")
    batch = checkpoint.processor.collate(toy_samples(checkpoint.processor, 3), padding_side="right")
    is_image = batch.input_ids == checkpoint.processor.image_token_id
    features = checkpoint.model.backbone.model.get_image_features(batch.pixel_values, batch.image_grid_thw, return_dict=True).pooler_output
    assert int(is_image.sum()) == 4 * TOKENS == sum(len(part) for part in features) == len(batch.geometry_coordinates)
    assert batch.attention_mask[is_image].all() and torch.equal(batch.mm_token_type_ids.bool(), is_image)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda batch: {"input_ids": batch.input_ids.clone().fill_(9)}, "input_ids: expected 12 image placeholders .*6x8, found 0"),
        (lambda batch: {"attention_mask": torch.zeros_like(batch.attention_mask)}, "attention_mask: expected all 12 .*found 0"),
        (lambda batch: {"pixel_values": batch.pixel_values[:-4]}, "pixel_values: expected 48 patches .*found 44"),
        (lambda batch: {"geometry_valid": batch.geometry_valid[:-1]}, r"expected geometry \(12, 3\) with \(12,\).*\(11,\)"),
    ],
)
def test_a_batch_that_does_not_fit_together_is_refused_with_both_numbers(change, message):
    checkpoint = toy_checkpoint("sin3d")
    batch = checkpoint.processor.collate(toy_samples(checkpoint.processor, 1), padding_side="right")
    with pytest.raises(ModelError, match=message):
        checkpoint.model(**{**batch.for_generation(), **change(batch)})


def test_only_the_answer_and_its_end_are_learned():
    ours = processor()
    encoded = encode([toy_view(0)], answer="2.3", by=ours)
    learned = encoded.labels != IGNORED
    assert ours.tokenizer.decode(encoded.labels[learned]) == "2.3" + TURN_END
    assert learned[-int(learned.sum()) :].all() and (encoded.input_ids[learned] == encoded.labels[learned]).all()
    assert (encode([toy_view(0)], answer=None, by=ours).labels == IGNORED).all()
    batch = ours.collate(toy_samples(ours, 2), padding_side="right")
    assert (batch.labels[batch.attention_mask == 0] == IGNORED).all()


def test_a_question_with_an_answer_begins_as_the_open_question():
    ours = processor()
    opened, answered = encode([toy_view(0)], answer=None, by=ours), encode([toy_view(0)], answer="2.3", by=ours)
    assert answered.input_ids[: len(opened.input_ids)].tolist() == opened.input_ids.tolist()


def test_the_turns_are_those_of_the_chat_template():
    ours = processor()
    content = [{"type": "image"}, {"type": "text", "text": QUESTION}]
    text = ours.tokenizer.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True, tokenize=False)
    shown = ours.tokenizer.decode(encode([toy_view(0)], answer=None, by=ours).input_ids)
    assert shown == text.replace("<|image_pad|>", "<|image_pad|>" * TOKENS)


@pytest.mark.parametrize(("patch_size", "merge_size", "frames"), [(8, 2, 1), (16, 1, 1), (8, 2, 2)])
def test_patches_equal_those_of_the_released_image_processor(patch_size, merge_size, frames):
    released = pytest.importorskip("transformers.models.qwen2_vl.image_processing_pil_qwen2_vl").Qwen2VLImageProcessorPil(
        do_resize=False,
        patch_size=patch_size,
        merge_size=merge_size,
        temporal_patch_size=frames,
        image_mean=[0.5] * 3,
        image_std=[0.5] * 3,
    )
    rgb = toy_view(3).rgb
    theirs = released(images=[rgb], return_tensors="np")
    ours = normalised(patches_of(rgb, patch_size=patch_size, merge_size=merge_size), patch_size=patch_size, temporal_patch_size=frames)
    assert theirs["image_grid_thw"].tolist() == [[1, HEIGHT // patch_size, WIDTH // patch_size]]
    np.testing.assert_allclose(ours, theirs["pixel_values"], atol=1e-6)


def test_an_image_of_another_size_is_refused_and_a_plain_picture_is_resized():
    ours = processor()
    with pytest.raises(ModelError, match="frame 000000: expected an image of 64x48, found 60x48"):
        ours.view_patches(replace(toy_view(0), rgb=np.zeros((48, 60, 3), np.uint8)))
    picture = np.zeros((100, 30, 3), np.uint8)
    assert ours(images=[[picture]], text=["How far?"])["image_grid_thw"].tolist() == [[1, 2 * ROWS, 2 * COLUMNS]]
    with pytest.raises(ModelError, match="multiples of 16 pixels, found 60x48"):
        SpatialVLProcessor(tokenizer=ours.tokenizer, image_width=60, image_height=48)


def test_plain_images_without_geometry_are_left_padded_and_marked_invalid():
    ours = processor()
    picture = np.zeros((30, 40, 3), np.uint8)
    batch = ours(images=[[picture], [picture, picture]], text=["How far?", "How far is it from here to there?"])
    assert batch["attention_mask"][:, -1].all() and not batch["attention_mask"][0, 0]
    assert not batch["geometry_valid"].any() and len(batch["geometry_valid"]) == 3 * TOKENS
    with pytest.raises(ModelError, match="expected one list of images per question, found 1 lists and 2 questions"):
        ours(images=[[picture]], text=["a", "b"])


def test_dots_stand_at_the_token_that_shows_them(tmp_path: Path):
    write_scan(tmp_path, "scan_a", seed=1, cameras=2)
    frame_ids = ("000000", "000001")
    width, height = 128, 96  # multiples of the token size; the stored images are larger
    tokenizer = train_tokenizer([f"the {colour} dot" for colour in MARK_COLOURS], vocab_size=400)
    by = SpatialVLProcessor(tokenizer=tokenizer, image_width=width, image_height=height, temporal_patch_size=1)
    stored_width, stored_height = CAMERA.width, CAMERA.height
    marks = (
        Mark(frame_id="000001", u_px=0.0, v_px=0.0, colour="blue"),
        Mark(frame_id="000000", u_px=stored_width - 1.0, v_px=stored_height - 1.0, colour="yellow"),
        Mark(frame_id="000001", u_px=0.53 * stored_width, v_px=0.45 * stored_height, colour="red"),
    )
    encoded = SampleEncoder(by, store=tmp_path / "store").encode(stored_sample(frame_ids, marks), with_answer=True)
    dots = encoded.dots.reshape(2, by.rows, by.columns)
    colours = list(MARK_COLOURS)
    expected = np.zeros_like(dots)
    expected[1, 0, 0] = 1 + colours.index("blue")
    expected[0, -1, -1] = 1 + colours.index("yellow")
    expected[1, int(0.45 * by.rows), int(0.53 * by.columns)] = 1 + colours.index("red")
    assert dots.tolist() == expected.tolist()
    colour_at_dot = encoded.patches.reshape(2, by.rows, by.columns, 4, 3, 64)[0, -1, -1].astype(float)
    assert (colour_at_dot[3, 0, -1], colour_at_dot[3, 2, -1]) == (255.0, 0.0)  # yellow in the very corner
    names = by.tokenizer.convert_ids_to_tokens(by.dot_word_ids())
    assert len(set(names)) == len(names) == 1 + len(MARK_COLOURS)


@pytest.mark.parametrize(
    ("policy", "views"),
    [
        ({"image_policy": "smart", "min_pixels": 90**2, "max_pixels": 110**2}, 1),
        ({"image_policy": "tiles", "tile_px": 48}, 7),
        ({"image_policy": "square", "square_px": 96}, 1),
    ],
)
def test_dots_stand_at_the_token_that_shows_them_however_images_are_shown(policy, views, tmp_path: Path):
    """Wherever the colour of the dot fills most of a token's middle, that token is said to hold it."""
    write_scan(tmp_path, "scan_a", seed=1, cameras=2)
    by = SpatialVLProcessor(tokenizer=toy_tokenizer(), patch_size=8, **policy)
    mark = Mark(frame_id="000001", u_px=0.41 * CAMERA.width, v_px=0.37 * CAMERA.height, colour="red")
    encoded = SampleEncoder(by, store=tmp_path / "store").encode(stored_sample(("000000", "000001"), (mark,)), with_answer=True)
    assert encoded.views == 2 * views and len(encoded.dots) == encoded.grid_hw.prod(1).sum() == len(encoded.coordinates_m)
    found = np.flatnonzero(encoded.dots)
    assert (encoded.dots[found] == 1 + list(MARK_COLOURS).index("red")).all()
    assert len(found) == (2 if views > 1 else 1)  # in a tile, and in the whole image after the tiles
    red, green, blue = encoded.patches.reshape(-1, 4, 3, 64).astype(float).transpose(2, 0, 1, 3)
    coloured = ((red > 200) & (green < 90) & (blue < 90)).sum(axis=(1, 2))
    second = len(encoded.dots) // 2
    assert set(found) == {second + int(coloured[second:].argmax())} if views == 1 else coloured[found].min() > 0


def test_a_dot_that_the_square_cuts_away_is_refused_by_name(tmp_path: Path):
    write_scan(tmp_path, "scan_a", seed=1, cameras=1)
    by = SpatialVLProcessor(tokenizer=toy_tokenizer(), patch_size=8, image_policy="square", square_px=96)
    mark = Mark(frame_id="000000", u_px=2.0, v_px=50.0, colour="blue")
    with pytest.raises(DataError, match=r"t/0000: expected its blue mark in the part of frame 000000 that is shown, .* at \(2, 50\)"):
        SampleEncoder(by, store=tmp_path / "store").encode(stored_sample(("000000",), (mark,)), with_answer=True)


def test_a_question_asked_by_hand_shows_what_a_sample_shows(tmp_path: Path):
    """The same frames and dots, once as a sample and once as `sightline ask` makes them: equal pixels, equal coordinates."""
    write_scan(tmp_path, "scan_a", seed=1, cameras=2)
    frame_ids, mark = ("000000", "000001"), Mark(frame_id="000001", u_px=130.0, v_px=100.0, colour="red")
    for policy in ({"image_policy": "smart", "min_pixels": 90**2, "max_pixels": 110**2}, {"image_policy": "square", "square_px": 96}):
        by = SpatialVLProcessor(tokenizer=toy_tokenizer(), patch_size=8, **policy)
        sample = stored_sample(frame_ids, (mark,))
        wanted = SampleEncoder(by, store=tmp_path / "store").encode(sample, with_answer=False)
        views = views_of_scan(
            tmp_path / "store" / "scan_a", frame_ids=frame_ids, marks=["000001:130,100:red"], with_depth=True, framings=by.framings
        )
        asked = by.encode(sample.prompt, views, answer=None, where="question")
        for name in ("input_ids", "patches", "grid_hw", "coordinates_m"):
            np.testing.assert_array_equal(getattr(asked, name), getattr(wanted, name))


def stored_sample(frame_ids: tuple[str, ...], marks: tuple[Mark, ...]) -> Sample:
    return Sample(
        sample_id="scan_a/t/0000",
        task="t",
        split="train",
        scan_id="scan_a",
        place_id="p",
        frame_ids=frame_ids,
        image_paths=tuple(f"scan_a/color/{frame_id}.png" for frame_id in frame_ids),
        marks=marks,
        question="How far?",
        answer_kind="number",
        answer_options={"unit": "m", "decimals": 1},
        answer_text="1.0",
        answer_value=1.0,
        evidence={},
        template_id="t.0",
        seed=0,
        generator_version="x",
        source="s",
        licence="l",
    )
