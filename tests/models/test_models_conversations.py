"""Conversations become the same model inputs as samples do, wherever their pictures lie, and say what is missing."""

from dataclasses import replace

import numpy as np
import pytest
from small_run import COUNT, small_sample, write_small_set
from toy_models import toy_checkpoint, toy_preset

from sightline.captures.images import read_rgb, write_rgb_png
from sightline.errors import DataError, SightlineError
from sightline.models.conversation_encoder import ConversationEncoder
from sightline.models.model import IGNORED
from sightline.models.sample_encoder import SampleEncoder
from sightline.samples.conversation import FOLDER, Picture, Turn, conversation_of
from sightline.samples.media import Media

ARRAYS = ("input_ids", "labels", "patches", "grid_hw", "coordinates_m", "is_valid", "dots")


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return write_small_set(tmp_path_factory.mktemp("small"))[1]


@pytest.fixture(scope="module")
def processor():
    return toy_checkpoint().processor


def same(one, other) -> None:
    for name in ARRAYS:
        first, second = getattr(one, name), getattr(other, name)
        assert (first is None) == (second is None)
        if first is not None:
            np.testing.assert_array_equal(first, second, err_msg=name)
    if one.cameras is not None:
        np.testing.assert_array_equal(one.cameras.world_from_camera, other.cameras.world_from_camera)
        np.testing.assert_array_equal(one.cameras.depth_m[0], other.cameras.depth_m[0])


@pytest.mark.parametrize("preset", ["smallest", "qwen3vl-sin3d", "vggt-perceiver", "internvl", "vggt-cross"])
def test_our_own_samples_are_encoded_to_the_same_bits_as_conversations(store, preset):
    by = toy_checkpoint().processor if preset == "smallest" else toy_preset(preset).processor
    ours, encoder = SampleEncoder(by, store=store), ConversationEncoder(by, Media(store=store))
    for index in range(COUNT):
        sample = small_sample(index)
        for with_answer in (True, False):
            found = encoder.encode(conversation_of(sample, source="ours"), with_answer=with_answer)
            same(found, ours.encode(sample, with_answer=with_answer))
            assert int((found.dots > 0).sum()) == (2 if preset == "internvl" else 1)  # a tile and the whole


def foreign(store, folder, *, width: int, height: int, frame_id: str = "000003", scan_id: str = "scan_a"):
    """The store's frame as another data set ships it: shrunk, in a folder, its frame named without leading zeros."""
    import cv2

    picture = read_rgb(next((store / "scan_a" / "color").glob(f"{frame_id}.*")))
    write_rgb_png(folder / "other" / "3.png", cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA))
    base = conversation_of(small_sample(2), source="theirs")
    shown = Picture(place=FOLDER, path="other/3.png", scan_id=scan_id, frame_id=str(int(frame_id)))
    return replace(base, pictures=(shown,), marks=(), found_at="theirs.json: line 7")


def test_foreign_pictures_get_depth_and_pose_of_the_scene_store_through_the_same_resize(store, tmp_path, processor):
    conversation = foreign(store, tmp_path, width=160, height=120)
    found = ConversationEncoder(processor, Media(root=tmp_path, store=store)).encode(conversation)
    own = replace(small_sample(2), frame_ids=("000003",), image_paths=("scan_a/color/000003.png",), marks=())
    expected = SampleEncoder(processor, store=store).encode(own, with_answer=True)
    np.testing.assert_array_equal(found.coordinates_m, expected.coordinates_m)
    np.testing.assert_array_equal(found.is_valid, expected.is_valid)
    assert found.is_valid.any() and np.abs(found.patches.astype(int) - expected.patches).max() <= 1


def test_a_picture_without_geometry_is_refused_by_name_or_masked_as_the_recipe_says(store, tmp_path, processor):
    conversation = foreign(store, tmp_path, width=160, height=120, scan_id="")
    media = Media(root=tmp_path, store=store)
    message = (
        r"theirs: scan_a/depth/0002 \(theirs.json: line 7\): expected depth and pose of picture 1 of 1, "
        "found no depth and no camera and no pose"
    )
    with pytest.raises(DataError, match=message):
        ConversationEncoder(processor, media).encode(conversation)
    masked = ConversationEncoder(processor, media, without_geometry="mask").encode(conversation)
    assert not masked.is_valid.any() and masked.patches.any()
    for preset in ("vggt-cross", "qwen3vl-base"):  # a model that needs no depth asks for none
        assert not ConversationEncoder(toy_preset(preset).processor, media).needs_geometry
        ConversationEncoder(toy_preset(preset).processor, media).encode(conversation)


def test_questions_over_one_set_of_pictures_share_their_arrays(store, processor):
    rows = [conversation_of(small_sample(3), source="ours")]
    rows.append(replace(rows[0], sample_id="other", turns=(Turn(question="Which?", answer="B"), Turn(question="Sure?", answer="yes"))))
    encoder = ConversationEncoder(processor, Media(store=store))
    both = encoder.encode_many(rows)
    assert both[0].patches is both[1].patches and both[0].coordinates_m is both[1].coordinates_m
    for found, row in zip(both, rows, strict=True):
        same(found, encoder.encode(row))
    assert processor.tokenizer.decode(both[1].labels[both[1].labels != IGNORED]) == "B<|im_end|>yes<|im_end|>"
    with pytest.raises(DataError, match="expected the pictures and marks of ours: scan_a/depth/0003, found others"):
        encoder.encode_many([rows[0], conversation_of(small_sample(1), source="ours")])


def test_pictures_are_read_in_the_order_of_their_places_in_the_words(store, processor):
    row = conversation_of(small_sample(3), source="ours")
    turns = (Turn(question="Here or?", answer="A", picture_offsets=(4,)), Turn(question="Or this?", answer="B", picture_offsets=(3,)))
    found = ConversationEncoder(processor, Media(store=store)).encode(replace(row, turns=turns, system="Be brief."))
    written = processor.tokenizer.decode(found.input_ids)
    image = "<|vision_start|>" + "<|image_pad|>" * processor.tokens_per_image + "<|vision_end|>"
    assert written == (
        f"<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHere{image} or?<|im_end|>\n<|im_start|>assistant\nA<|im_end|>\n"
        f"<|im_start|>user\nOr {image}this?<|im_end|>\n<|im_start|>assistant\nB<|im_end|>"
    )
    same(replace(found, input_ids=found.input_ids[:0], labels=found.labels[:0]), _without_words(processor, store, row))


def _without_words(processor, store, row):
    found = ConversationEncoder(processor, Media(store=store)).encode(row)
    return replace(found, input_ids=found.input_ids[:0], labels=found.labels[:0])


def test_a_blind_model_is_given_the_words_of_every_turn_and_no_picture(store):
    by = toy_checkpoint(is_blind=True).processor
    row = conversation_of(small_sample(3), source="ours")
    row = replace(row, turns=(Turn(question="Here or?", answer="A", picture_offsets=(4, 4)), Turn(question="Sure?", answer="yes")))
    found = ConversationEncoder(by, Media()).encode(row)
    assert found.views == 0 and "<|vision_start|>" not in by.tokenizer.decode(found.input_ids)


def test_rows_that_leave_their_pictures_open_are_filled_in_before_they_are_read(store, processor):
    row = conversation_of(small_sample(3), source="ours")
    encoder = ConversationEncoder(
        processor, Media(store=store), frames=lambda one, media, position: replace(one, pictures=row.pictures, marks=row.marks)
    )
    same(encoder.encode(replace(row, pictures=(), marks=())), ConversationEncoder(processor, Media(store=store)).encode(row))


def test_a_missing_picture_is_named(store, tmp_path, processor):
    conversation = foreign(store, tmp_path, width=160, height=120)
    (tmp_path / "other" / "3.png").unlink()
    with pytest.raises(SightlineError, match=r"3\.png"):
        ConversationEncoder(processor, Media(root=tmp_path, store=store)).encode(conversation)
