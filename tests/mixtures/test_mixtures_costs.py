"""Costs of a mixture equal what counting every row by hand gives, and packing is really packed."""

from dataclasses import replace

import pytest
from made_sources import conversation, write_source

from sightline.errors import ConfigError
from sightline.mixtures.costs import (
    MARKER_TOKENS,
    SYSTEM_TOKENS,
    TURN_TOKENS,
    ImageCost,
    costs_of,
    images_of,
    text_tokens_of,
    visual_tokens_of,
)
from sightline.mixtures.mixture import MixtureRecipe, SourceRecipe
from sightline.mixtures.packing import balanced_rows
from sightline.mixtures.plan import planned
from sightline.mixtures.stream import MixtureStream
from sightline.samples.conversation import FOLDER, VIDEO, Picture, Turn
from sightline.samples.conversation_files import write_conversations

VGA = ImageCost(width_px=640, height_px=480)


@pytest.fixture
def sources(tmp_path):
    write_source(tmp_path, "big", rows=90, sets=30)
    write_source(tmp_path, "small", rows=20, sets=20)
    return tmp_path


def plan_of(root, *sources, **options):
    return planned(MixtureRecipe(sources=tuple(SourceRecipe(**one) for one in sources), **{"sets_per_step": 8, **options}), root=root)


def words(text: str) -> int:
    return len(text.split())


def test_visual_tokens_of_published_models():
    assert VGA.tokens == 17 * 23  # Qwen2.5-VL: 640x480 becomes 644x476 of windows of 28
    assert ImageCost(width_px=640, height_px=480, window_px=32).tokens == 20 * 15  # Qwen3-VL
    video = ImageCost(width_px=640, height_px=480, frames_per_step=2)
    row = replace(conversation("a", 0, sets=1), pictures=(Picture(place=VIDEO, path="v.mp4"),), frame_policy="uniform 16")
    assert visual_tokens_of(row, video) == 3128  # Spatial-MLLM: 16 frames in 8 steps of 17 x 23
    frames = tuple(Picture(place=VIDEO, path="v.mp4", frame=number) for number in range(5))
    assert visual_tokens_of(replace(row, pictures=frames, is_video=True), video) == 3 * 391  # five frames take three steps
    assert visual_tokens_of(replace(row, pictures=frames, is_video=False), video) == 5 * 391  # five stills
    with pytest.raises(ConfigError, match="expected sizes and windows of at least 1, found 0x480"):
        ImageCost(width_px=0, height_px=480)


def test_images_of_stills_videos_and_scans():
    row = conversation("a", 0, sets=1)
    video = Picture(place=VIDEO, path="v.mp4")
    assert images_of(row) == (2, True)
    assert images_of(replace(row, pictures=(replace(video, frame=3),))) == (1, True)
    assert images_of(replace(row, pictures=(video,), frame_policy="uniform 32")) == (32, True)
    assert images_of(replace(row, pictures=(Picture(place=FOLDER, path="x.jpg"), video), frame_policy="uniform 8")) == (9, True)
    assert images_of(replace(row, pictures=(), frame_policy="uniform 24")) == (24, True)
    assert images_of(replace(row, pictures=(video,))) == (1, False)
    assert images_of(replace(row, pictures=())) == (0, True)


def test_text_tokens_count_every_turn_and_the_marks_around_them():
    row = replace(
        conversation("a", 0, sets=1),
        system="be brief",
        turns=(Turn(question="one two three", answer="four"), Turn(question="five", answer="six seven")),
    )
    assert text_tokens_of([row], words) == (2 + SYSTEM_TOKENS) + 2 * MARKER_TOKENS + (4 + TURN_TOKENS) + (3 + TURN_TOKENS)
    assert text_tokens_of([row, row], words) == text_tokens_of([row], words) + 7 + 2 * TURN_TOKENS  # pictures and system once


def test_totals_of_a_whole_sampled_run_equal_counting_it(sources):
    plan = plan_of(sources, {"data": "big"}, {"data": "small", "weight": 2}, questions_per_set=3)
    costs = costs_of(plan, image=VGA, count_tokens=words)
    units = list(MixtureStream(plan))
    assert costs.images == sum(len(unit.conversations[0].pictures) for unit in units) == 140
    assert costs.visual_tokens == pytest.approx(sum(visual_tokens_of(unit.conversations[0], VGA) for unit in units))
    assert costs.text_tokens == pytest.approx(sum(text_tokens_of(unit.conversations, words) for unit in units))
    assert costs.by_source["big"].questions_per_unit == 3 and costs.tokens == costs.visual_tokens + costs.text_tokens
    assert (costs.sets, costs.steps) == (70, 9)


@pytest.mark.parametrize("world", [1, 2])
def test_packing_is_that_of_the_steps_themselves(sources, world):
    plan = plan_of(sources, {"data": "big"}, {"data": "small"}, questions_per_set=2, token_budget=2000)
    costs = costs_of(plan, image=VGA, count_tokens=words, world=world)
    rows = useful = computed = 0
    for step in range(plan.steps):
        for rank in range(world):
            units = MixtureStream(plan).step(step, rank=rank, world=world)
            lengths = [2 * VGA.tokens + text_tokens_of(unit.conversations, words) for unit in units]
            packing = balanced_rows(lengths, budget=2000)
            rows, useful, computed = rows + len(packing.rows), useful + packing.tokens, computed + packing.budget * len(packing.rows)
    assert costs.packed_steps == plan.steps and costs.too_long == 0
    assert costs.rows_per_step == rows / plan.steps and costs.useful_share == useful / computed
    assert 0.5 < costs.useful_share <= 1.0


def test_sets_beyond_the_budget_are_counted_and_named(sources):
    costs = costs_of(plan_of(sources, {"data": "small"}, token_budget=100), image=VGA)
    assert costs.too_long == 20 and costs.longest.startswith("small/") and costs.useful_share == 0.0
    assert costs.by_source["small"].longest_unit > 782


def test_four_characters_are_a_token_where_there_is_no_tokenizer(sources):
    plan = plan_of(sources, {"data": "small"})
    costs = costs_of(plan, image=VGA)
    row = MixtureStream(plan).units([0])[0].conversations[0]
    question = len(row.turns[0].question)
    assert abs(costs.by_source["small"].text_tokens_per_unit - (question / 4 + 1 + TURN_TOKENS + 2 * MARKER_TOKENS)) < 1.5


def test_rows_that_leave_their_frames_to_be_chosen_are_counted(tmp_path):
    rows = [replace(conversation("v", n, sets=9), pictures=(Picture(place=VIDEO, path=f"{n}.mp4"),)) for n in range(4)]
    write_conversations(tmp_path / "v", rows)
    assert costs_of(plan_of(tmp_path, {"data": "v"}), image=VGA).by_source["v"].unknown_frames == 4
