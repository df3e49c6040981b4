"""A model is trained from a mixture: packed steps that are a pure function of recipe, step, rank and world, resumed to the bit."""

import pickle
from collections import Counter
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from small_run import COUNT, small_sample, write_small_set
from toy_models import toy_preset
from typer.testing import CliRunner

from sightline.cli import app
from sightline.config import save
from sightline.errors import ConfigError, DataError
from sightline.files import read_jsonl
from sightline.mixtures.mixture import MixtureRecipe, SourceRecipe
from sightline.models.model import IGNORED, PRESETS
from sightline.samples.conversation import Turn, conversation_of
from sightline.samples.conversation_files import write_conversations
from sightline.training.mixture_data import planned_mixture, streamed, words_of
from sightline.training.recipe import DataRecipe, LoopRecipe, ModelRecipe, OptimiserRecipe, TrainRecipe, load_recipe
from sightline.training.trainer import start, train


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    """Two data sets over one scene store: single questions, some about the same pictures, and talks of two turns."""
    root = tmp_path_factory.mktemp("mixture")
    write_small_set(root)
    rows = []
    for index in range(COUNT):
        row = conversation_of(small_sample(index), source="single")
        rows += [replace(row, sample_id=f"{row.sample_id}/{number}", turns=(asked(row, number),)) for number in range(1 + index % 3)]
    write_conversations(root / "single", rows)
    talks = []
    for index in range(0, COUNT, 2):
        row = conversation_of(small_sample(index), source="talk")
        turns = (Turn(question="Look here", answer="yes", picture_offsets=(9,)), *row.turns)
        talks += [replace(row, turns=turns, system="Be brief." if index else "")]
        other = (replace(turns[0], question="And this?"), Turn(question="?", answer="B"))
        talks += [replace(row, sample_id=f"{row.sample_id}/other", turns=other)]
    write_conversations(root / "talk", talks)
    return root


def asked(row, number: int) -> Turn:
    return row.turns[0] if number == 0 else Turn(question=f"Is the dot number {number} red?", answer=f"yes, {number}")


def recipe_of(root: Path, *, mixture: dict | None = None, loop: dict | None = None, **source) -> TrainRecipe:
    sources = tuple(
        SourceRecipe(data=str(root / name), scenes=str(root / "store"), weight=weight, most_passes=1e3, **source)
        for name, weight in (("single", 1.0), ("talk", 0.7))
    )
    chosen = {"sources": sources, "steps": 8, "sets_per_step": 5, "questions_per_set": 3, "token_budget": 300, "seed": 3, **(mixture or {})}
    return TrainRecipe(
        mixture=MixtureRecipe(**chosen),
        data=DataRecipe(image_width=64, image_height=48),
        model=ModelRecipe(preset="smallest", vocab_size=340, fusion_options={"num_wavelengths": 4}),
        optimiser=OptimiserRecipe(learning_rate=8e-3, warmup_updates=1, weight_decay=0.01),
        loop=LoopRecipe(**{"log_every": 1, "save_every": 3, "rows_per_pass": 2, **(loop or {})}),
    )


@pytest.fixture(scope="module")
def made(root):
    """A plan and the processor of its fresh model."""
    recipe = recipe_of(root)
    plan = planned_mixture(recipe)
    return recipe, plan, start(recipe, (), words=words_of(plan))


def equal(one, other) -> bool:
    if len(one.portions) != len(other.portions) or one.ids != other.ids:
        return False
    for first, second in zip(one.portions, other.portions, strict=True):
        for name in first.packed.inputs.__dataclass_fields__:
            left, right = getattr(first.packed.inputs, name), getattr(second.packed.inputs, name)
            if (left is None) != (right is None) or (left is not None and not torch.equal(torch.nan_to_num(left), torch.nan_to_num(right))):
                return False
        if not torch.equal(first.packed.group, second.packed.group) or not torch.equal(first.packed.branch, second.packed.branch):
            return False
    return True


def test_a_step_is_the_same_whoever_prepares_it_and_whatever_was_prepared_before(made):
    recipe, plan, checkpoint = made
    data = streamed(recipe, plan, checkpoint.processor)
    forwards = [data[step] for step in range(len(data))]
    copy = pickle.loads(pickle.dumps(data))
    assert all(equal(copy[step], forwards[step]) for step in reversed(range(len(data))))
    cv2.setNumThreads(2)  # of this process: a fork of it would wait for them for ever
    cv2.resize(np.zeros((2000, 2000, 3), np.uint8), (1000, 1000), interpolation=cv2.INTER_AREA)
    with_workers = streamed(replace(recipe, loop=replace(recipe.loop, workers=2, ahead=1)), plan, checkpoint.processor)
    for step, update in enumerate(with_workers.updates(2, 6), start=2):
        assert update.learned == forwards[step].learned and update.count == len(forwards[step].portions)
        assert equal(replace(forwards[step], portions=tuple(update.portions)), forwards[step])


def test_rows_keep_the_budget_and_hold_every_question_once_with_all_its_answers(made):
    recipe, plan, checkpoint = made
    data = streamed(recipe, plan, checkpoint.processor)
    tokenizer = checkpoint.processor.tokenizer
    for step in range(len(data)):
        found = data[step]
        rows = {f"{unit.source}/{row.sample_id}": row for unit in data.stream.step(step) for row in unit.conversations}
        assert Counter(found.ids) == Counter(rows.keys())
        answers: Counter = Counter()
        for portion in found.portions:
            inputs = portion.packed.inputs
            assert inputs.input_ids.shape[1] <= 300 and len(inputs.input_ids) <= 2 and inputs.pixel_values.dtype == torch.uint8
            learned = inputs.labels != IGNORED
            assert portion.learned == int(learned.sum()) and torch.equal(inputs.labels[learned], inputs.input_ids[learned])
            answers.update(tokenizer.decode(inputs.input_ids[learned]).split("<|im_end|>")[:-1])
        assert answers == Counter(turn.answer for row in rows.values() for turn in row.turns)


def test_the_loss_of_a_step_is_that_of_its_questions_apart(made):
    recipe, plan, checkpoint = made
    data, model = streamed(recipe, plan, checkpoint.processor), checkpoint.model.eval()
    for step in (0, 5):
        together, learned, apart = 0.0, 0, 0.0
        for number, portion in enumerate(data[step].portions):
            loss, count = model.answer_loss(**portion.on(torch.device("cpu"), dtype=torch.float32, attention="sdpa"))
            together, learned = together + loss.item(), learned + count
            for _, sample in data.shown(step, number):
                apart += model.answer_loss(**checkpoint.processor.collate([sample], padding_side="right").for_loss())[0].item()
        assert learned == data[step].learned
        assert together == pytest.approx(apart, rel=1e-5)


@pytest.mark.parametrize("name", [name for name in PRESETS if name not in ("tiny", "smallest")])
def test_a_step_of_every_published_design_has_the_loss_of_its_questions_apart(root, name):
    checkpoint = toy_preset(name, gate=0.5)
    recipe = recipe_of(root, mixture={"token_budget": 3000, "sets_per_step": 3})
    data, model = streamed(recipe, planned_mixture(recipe), checkpoint.processor), checkpoint.model.eval()
    step = next(step for step in range(len(data)) if {unit.source for unit in data.stream.step(step)} == {"single", "talk"})
    together = apart = 0.0
    with torch.no_grad():
        for number, portion in enumerate(data[step].portions):
            together += model.answer_loss(**portion.on(torch.device("cpu"), dtype=torch.float32, attention="sdpa"))[0].item()
            for _, sample in data.shown(step, number):
                apart += model.answer_loss(**checkpoint.processor.collate([sample], padding_side="right").for_loss())[0].item()
    assert together == pytest.approx(apart, rel=1e-5)


def test_questions_share_pictures_only_where_these_stand_in_their_common_part(made):
    recipe, plan, checkpoint = made
    data = streamed(recipe, plan, checkpoint.processor)
    sizes = Counter()
    for step in range(len(data)):
        for unit in data.stream.step(step):
            sizes.update((unit.source, len(unit.conversations), len(member.ids)) for member in data._members(unit))
    assert ("single", 3, 3) in sizes
    assert not any(source == "talk" and rows > 1 and together > 1 for source, rows, together in sizes)  # words come before their pictures


def test_a_group_beyond_the_budget_is_divided_and_a_question_beyond_it_refused_by_name(root, made):
    _, _, checkpoint = made
    longest = max(len(one.input_ids) for one in _alone(root, checkpoint))
    recipe = recipe_of(root, mixture={"token_budget": longest})
    data = streamed(recipe, planned_mixture(recipe), checkpoint.processor)
    assert max(portion.packed.group.shape[1] for step in range(len(data)) for portion in data[step].portions) <= longest
    recipe = recipe_of(root, mixture={"token_budget": longest - 1})
    data = streamed(recipe, planned_mixture(recipe), checkpoint.processor)
    with pytest.raises(DataError, match=rf"(single|talk)/scan_a/depth/\S+: expected 1 to {longest - 1} tokens, found {longest}"):
        [data[step] for step in range(len(data))]


def _alone(root, checkpoint):
    recipe = recipe_of(root, mixture={"questions_per_set": 1, "passes": 1, "steps": None})
    data = streamed(recipe, planned_mixture(recipe), checkpoint.processor)
    return [sample for step in range(len(data)) for portion in range(len(data[step].portions)) for _, sample in data.shown(step, portion)]


@pytest.mark.parametrize("seed", range(4))
def test_runs_killed_and_gone_on_with_other_processes_and_workers_show_each_question_as_often_as_one_whole_run(root, made, seed):
    """Packed batches, not only positions: every process with workers of its own, a step after the last saved one is prepared in vain."""
    _, _, checkpoint = made
    rng = np.random.default_rng(seed)
    one_pass = {"steps": None, "passes": 1, "sets_per_step": 4, "questions_per_set": int(rng.integers(1, 4)), "seed": seed}
    recipe = recipe_of(root, mixture=one_pass)
    sources = tuple(replace(one, weight=1.0) for one in recipe.mixture.sources)
    recipe = replace(recipe, mixture=replace(recipe.mixture, sources=sources))
    plan = planned_mixture(recipe)
    stops = sorted(rng.choice(np.arange(1, plan.steps), size=min(2, plan.steps - 1), replace=False).tolist())
    seen: Counter = Counter()
    for first, last in zip([0, *stops], [*stops, plan.steps], strict=True):
        world, workers = int(rng.integers(1, 4)), int(rng.integers(0, 2))
        changed = replace(recipe, loop=replace(recipe.loop, workers=workers))
        prepared = range(first, min(last + 1, plan.steps))
        for rank in range(world):
            data = streamed(changed, planned_mixture(changed), checkpoint.processor, rank=rank, world=world)
            for step, update in zip(prepared, data.updates(prepared.start, prepared.stop), strict=True):
                if step < last:
                    seen.update(name for portion in update.portions for name in portion.ids)
    names = [f"{one.recipe.label}/{row.sample_id}" for one in plan.sources for row in one.table]
    assert seen == Counter(names)  # one pass: each row exactly once


def test_a_process_without_a_set_in_a_short_last_step_runs_with_the_others_and_learns_nothing(root, made):
    _, _, checkpoint = made
    recipe = recipe_of(root, mixture={"steps": None, "passes": 0.5, "sets_per_step": 5})
    plan = planned_mixture(recipe)
    assert len(plan.positions_of(plan.steps - 1)) == 1
    shown = [streamed(recipe, plan, checkpoint.processor, rank=rank, world=2)[plan.steps - 1] for rank in range(2)]
    idle, busy = sorted(shown, key=lambda one: one.learned)
    assert busy.learned > 0 and idle.learned == 0 and idle.ids == () and len(idle.portions) == 1
    loss, learned = checkpoint.model.answer_loss(**idle.portions[0].on(torch.device("cpu"), dtype=torch.float32, attention="sdpa"))
    loss.backward()
    assert loss.item() == 0.0 and learned == 0
    with pytest.raises(DataError, match="sets_per_step: expected at least one for each of 6 processes, found 5"):
        streamed(recipe, plan, checkpoint.processor, rank=0, world=6)


class MachineLostError(Exception):
    pass


def lost_at(update: int):
    def validate(checkpoint, done):
        if done == update:
            raise MachineLostError
        return {}

    return validate


@pytest.mark.parametrize("workers", [0, 1])
def test_a_run_lost_in_the_middle_of_a_pass_goes_on_to_the_same_bits(root, tmp_path, workers):
    recipe = recipe_of(root, loop={"validate_every": 1})
    train(recipe, tmp_path / "whole")
    with pytest.raises(MachineLostError):
        train(recipe, tmp_path / "lost", validate=lost_at(5))
    torch.rand(7)
    changed = replace(recipe, loop=replace(recipe.loop, workers=workers))  # which changes no weight
    train(changed, tmp_path / "lost", resume=True)
    ours, theirs = (load_file(tmp_path / run / "checkpoint" / "model.safetensors") for run in ("lost", "whole"))
    assert ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)
    logged = [
        [(row["update"], row["loss"]) for row in read_jsonl(tmp_path / run / "metrics.jsonl") if "loss" in row] for run in ("lost", "whole")
    ]
    assert logged[0] == logged[1] and len(logged[0]) == 8


def test_a_model_learns_from_a_mixture_and_the_command_says_what_it_will_see(root, tmp_path):
    recipe = recipe_of(root, mixture={"steps": 30, "sets_per_step": 8}, loop={"log_every": 10})
    save(recipe, tmp_path / "recipe.yaml")
    run = CliRunner()
    said = run.invoke(app, ["train", str(tmp_path / "recipe.yaml"), "--dry-run"])
    assert said.exit_code == 0, said.output
    for words in ("single: 15 questions over 8 sets of pictures", "talk: 8 questions over", "30 updates of 8 sets", "useful tokens"):
        assert words in said.output
    done = run.invoke(app, ["train", str(tmp_path / "recipe.yaml"), "mixture.sources.talk.weight=1", "--out", str(tmp_path / "run")])
    assert done.exit_code == 0, done.output
    rows = list(read_jsonl(tmp_path / "run" / "metrics.jsonl"))
    assert rows[-1]["loss"] < 0.5 * rows[0]["loss"] and all(0.0 <= row["waited"] <= 1.0 for row in rows)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"loop": {"updates": 5}}, "loop.updates: expected none beside a mixture, found 5. Fix: mixture.steps or mixture.passes"),
        ({"loop": {"batch_size": 5}}, "Fix: mixture.sets_per_step"),
        ({"loop": {"workers": -1}}, "loop.workers: expected 0 or more, found -1"),
    ],
)
def test_what_a_mixture_says_itself_is_not_said_twice(root, changes, message):
    with pytest.raises(ConfigError, match=message):
        recipe_of(root, **changes)


def test_a_mixture_too_short_to_warm_up_and_a_data_set_beside_it_are_refused(root):
    recipe = recipe_of(root)
    with pytest.raises(ConfigError, match="warmup_updates=8 would last through all 8 steps of the mixture"):
        planned_mixture(replace(recipe, optimiser=replace(recipe.optimiser, warmup_updates=8)))
    with pytest.raises(ConfigError, match="data.samples: expected none beside a mixture"):
        replace(recipe, data=replace(recipe.data, samples="rooms-set"))


def test_a_recipe_without_a_mixture_is_read_as_before_and_sources_are_overridden_by_name(tmp_path, root):
    assert load_recipe("rooms/smallest").mixture is None
    save(recipe_of(root), tmp_path / "recipe.yaml")
    changed = load_recipe(str(tmp_path / "recipe.yaml"), ["mixture.sources.talk.weight=3", "mixture.steps=9", "loop.rows_per_pass=4"])
    assert (changed.mixture.sources[1].weight, changed.mixture.steps, changed.loop.rows_per_pass) == (3.0, 9, 4)


def test_what_is_wrong_with_a_row_is_said_by_a_worker_as_by_the_run_itself(root, made):
    _, _, checkpoint = made
    recipe = recipe_of(root, mixture={"token_budget": 60})
    for workers in (0, 1):
        data = streamed(replace(recipe, loop=replace(recipe.loop, workers=workers)), planned_mixture(recipe), checkpoint.processor)
        with pytest.raises(DataError, match=r"^(single|talk)/\S+: expected 1 to 60 tokens, found \d+. Fix: a larger token budget"):
            list(data.updates(0, 8))
