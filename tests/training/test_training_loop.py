"""Training learns, resumes to the bit, counts in updates, and stops with a name where a sample is at fault."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from small_run import COUNT, small_recipe, small_sample, write_small_set
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from toy_models import toy_checkpoint, toy_samples

from sightline.errors import ConfigError, DataError, ModelError
from sightline.files import read_jsonl
from sightline.inference.generate import Answerer
from sightline.models.model import IGNORED
from sightline.models.sample_encoder import SampleEncoder
from sightline.training import trainer
from sightline.training.checkpoint import newest_state, saved_states
from sightline.training.data import TrainingData
from sightline.training.optimiser import make_optimiser, share_of_rate
from sightline.training.recipe import LoopRecipe, OptimiserRecipe, TrainRecipe
from sightline.training.trainer import chosen_samples, fit, start, train


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> tuple[Path, Path]:
    return write_small_set(tmp_path_factory.mktemp("small"))


def rows_of(run: Path) -> list[dict]:
    return [row for row in read_jsonl(run / "metrics.jsonl") if "loss" in row]


def weights_of(run: Path) -> dict[str, torch.Tensor]:
    return load_file(run / "checkpoint" / "model.safetensors")


def prepared(small, **options):
    """Model, processor and encoded samples as `train` would have them before the first update."""
    recipe = small_recipe(*small, **options)
    samples = chosen_samples(recipe.data)
    checkpoint = start(recipe, samples)
    data = TrainingData.encode(
        samples, SampleEncoder(checkpoint.processor, store=small[1]), batch_size=recipe.loop.batch_size, seed=recipe.loop.seed
    )
    return recipe, checkpoint, data


def test_eight_samples_that_only_the_pictures_tell_apart_are_learned_by_heart(small, tmp_path):
    checkpoint = train(small_recipe(*small, updates=60, log_every=20), tmp_path / "run")
    assert [row["update"] for row in rows_of(tmp_path / "run")] == [20, 40, 60]
    assert rows_of(tmp_path / "run")[-1]["loss"] < 0.1
    samples = [small_sample(index) for index in range(COUNT)]
    replies = Answerer.load(checkpoint).answer(samples, store=small[1], batch_size=3)
    assert [reply.text for reply in replies] == [sample.answer_text for sample in samples]


def test_a_blind_run_sees_no_image_and_learns_only_what_the_words_say(small, tmp_path):
    recipe = small_recipe(*small, updates=30, data={"blind": True})
    _, checkpoint, data = prepared(small, data={"blind": True})
    inputs = data.inputs(0, checkpoint.processor)
    assert inputs.pixel_values is None and inputs.geometry_coordinates is None and not inputs.mm_token_type_ids.any()
    replies = Answerer.load(train(recipe, tmp_path / "run")).answer([small_sample(index) for index in range(COUNT)], store=small[1])
    for length in (0, 1):  # samples of one question get one reply
        assert len({reply.text for reply in replies[length::2]}) == 1
    assert rows_of(tmp_path / "run")[-1]["loss"] > 0.2


class MachineLostError(Exception):
    pass


def lost_at(update: int):
    def validate(checkpoint, done):
        if done == update:
            raise MachineLostError
        return {"done": float(done)}

    return validate


def test_a_run_lost_midway_goes_on_to_the_same_bits(small, tmp_path):
    whole = {"updates": 6, "batch_size": 3, "accumulate": 2, "save_every": 3, "log_every": 1, "validate_every": 1, "naming_weight": 0.2}
    recipe = small_recipe(*small, **whole)
    train(recipe, tmp_path / "whole", validate=lost_at(-1))
    with pytest.raises(MachineLostError):
        train(recipe, tmp_path / "lost", validate=lost_at(5))
    assert [path.name for path in saved_states(tmp_path / "lost" / "states")] == ["step_000003"]
    assert not (tmp_path / "lost" / "finished.json").exists()
    torch.rand(7)  # the random state of the new process is another one
    train(recipe, tmp_path / "lost", resume=True, validate=lost_at(-1))
    ours, theirs = weights_of(tmp_path / "lost"), weights_of(tmp_path / "whole")
    assert ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)
    kept = ("update", "loss", "learning_rate", "gradient_norm", "gate", "validation/done")
    logged = [
        [{name: row[name] for name in kept if name in row} for row in read_jsonl(tmp_path / run / "metrics.jsonl")]
        for run in ("lost", "whole")
    ]
    assert logged[0] == logged[1] and len(logged[0]) == 12


def test_twice_the_same_recipe_gives_the_same_bytes_and_another_seed_does_not(small, tmp_path):
    for run, seed in (("one", 0), ("two", 0), ("other", 1)):
        train(small_recipe(*small, updates=2, seed=seed), tmp_path / run)
    one, two, other = ((tmp_path / run / "checkpoint" / "model.safetensors").read_bytes() for run in ("one", "two", "other"))
    assert one == two and one != other


def test_a_finished_run_is_left_alone_and_a_state_of_another_recipe_is_refused(small, tmp_path):
    recipe = small_recipe(*small, updates=2)
    first = train(recipe, tmp_path / "run")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "run").rglob("*") if path.is_file()}
    quieter = small_recipe(*small, updates=2, log_every=1)  # how often it logs changes no weight
    assert train(recipe, tmp_path / "run") == train(quieter, tmp_path / "run") == first
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "run").rglob("*") if path.is_file()} == before
    with pytest.raises(ModelError, match="step_000002: expected a state of this recipe and data"):
        train(small_recipe(*small, updates=3), tmp_path / "run", resume=True)


def test_a_damaged_state_is_passed_over_for_the_one_before(small, tmp_path, caplog):
    recipe, checkpoint, data = prepared(small, updates=4, save_every=2)
    fit(checkpoint, data, recipe, tmp_path, made_from="x", resume=False)
    weights = tmp_path / "states" / "step_000004" / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    assert newest_state(tmp_path / "states", made_from="x").update == 2
    assert "weights.safetensors does not match its hash" in caplog.text
    with pytest.raises(ModelError, match=r"this recipe and data \(y\), found one of another \(x\)"):
        newest_state(tmp_path / "states", made_from="y")


def test_only_the_newest_states_are_kept(small, tmp_path):
    recipe, checkpoint, data = prepared(small, updates=5, save_every=1, keep_last=2)
    fit(checkpoint, data, recipe, tmp_path, made_from="x", resume=False)
    assert [path.name for path in saved_states(tmp_path / "states")] == ["step_000004", "step_000005"]


def test_metrics_have_one_row_per_log_at_the_true_update_whatever_is_accumulated(small, tmp_path):
    train(small_recipe(*small, updates=5, batch_size=4, accumulate=2, log_every=2), tmp_path / "run")
    rows = rows_of(tmp_path / "run")
    assert [row["update"] for row in rows] == [2, 4, 5]
    assert all(math.isfinite(value) for row in rows for value in row.values())
    board = EventAccumulator(str(tmp_path / "run" / "tensorboard"))
    board.Reload()
    logged = board.Scalars("train/loss")
    assert [event.step for event in logged] == [2, 4, 5]
    assert [event.value for event in logged] == pytest.approx([row["loss"] for row in rows], rel=1e-6)
    finished = json.loads((tmp_path / "run" / "finished.json").read_text())
    assert (finished["updates"], finished["samples"], finished["loss"]) == (5, COUNT, rows[-1]["loss"])


def test_two_batches_of_four_make_the_update_of_one_batch_of_eight(small, tmp_path, monkeypatch):
    """With plain gradient descent, because Adam makes a whole step out of a rounding error."""

    def descent(model, recipe):
        return torch.optim.SGD([{"params": list(model.parameters()), "lr": 0.05, "peak_rate": 0.05}])

    monkeypatch.setattr(trainer, "make_optimiser", descent)
    halves, _, data = prepared(small, batch_size=4)
    assert data.learned_tokens(0) != data.learned_tokens(1)  # a mean of two means would be another number
    train(small_recipe(*small, updates=3, batch_size=8, log_every=1), tmp_path / "whole")
    train(small_recipe(*small, updates=3, batch_size=4, accumulate=2, log_every=1), tmp_path / "halves")
    ours, theirs = weights_of(tmp_path / "halves"), weights_of(tmp_path / "whole")
    for name, weight in theirs.items():
        torch.testing.assert_close(ours[name], weight, rtol=0, atol=1e-5, msg=name)
    for row, other in zip(rows_of(tmp_path / "halves"), rows_of(tmp_path / "whole"), strict=True):
        assert (row["loss"], row["gradient_norm"]) == pytest.approx((other["loss"], other["gradient_norm"]), rel=1e-4)


def test_a_sample_that_is_not_a_number_stops_training_by_its_name(small, tmp_path):
    recipe, checkpoint, data = prepared(small)
    data.encoded[5] = replace(
        data.encoded[5], coordinates_m=np.full_like(data.encoded[5].coordinates_m, np.nan), is_valid=np.ones_like(data.encoded[5].is_valid)
    )
    before = {name: weight.clone() for name, weight in checkpoint.model.state_dict().items()}
    with pytest.raises(ModelError, match=r"update 1: the loss is nan on scan_a/depth/0005 \(look at these samples\)"):
        fit(checkpoint, data, recipe, tmp_path, made_from="x", resume=False)
    assert all(torch.equal(weight, before[name]) for name, weight in checkpoint.model.state_dict().items())
    assert not saved_states(tmp_path / "states")


def test_weights_that_are_not_numbers_blame_the_learning_rate(small, tmp_path):
    recipe, checkpoint, data = prepared(small)
    with torch.no_grad():
        checkpoint.model.backbone.model.language_model.norm.weight.fill_(float("nan"))
    with pytest.raises(ModelError, match="and more .every sample of the batch: lower optimiser.learning_rate"):
        fit(checkpoint, data, recipe, tmp_path, made_from="x", resume=False)


def test_the_order_of_the_data_is_a_pure_function_of_seed_and_batch():
    encoded = toy_samples(toy_checkpoint().processor, 11)
    ids = [f"toy/{index}" for index in range(11)]

    def data(seed: int) -> TrainingData:
        return TrainingData(encoded, ids, batch_size=4, seed=seed)

    forwards, backwards = data(3), data(3)
    order = {batch: forwards.ids(batch) for batch in range(20)}
    assert {batch: backwards.ids(batch) for batch in reversed(range(20))} == order
    assert forwards.batches_per_epoch == 2
    assert [data(4).ids(batch) for batch in range(20)] != list(order.values())
    assert {tuple(order[batch] + order[batch + 1]) for batch in range(0, 20, 2)} != {tuple(order[0] + order[1])}
    for epoch in range(10):
        assert len(set(order[2 * epoch] + order[2 * epoch + 1])) == 8  # none twice in an epoch
    assert {name for batch in order.values() for name in batch} == set(ids)  # and none left out for good


def test_a_batch_larger_than_the_data_is_the_data_and_no_data_is_refused():
    encoded = toy_samples(toy_checkpoint().processor, 3)
    data = TrainingData(encoded, ["a", "b", "c"], batch_size=64, seed=0)
    assert sorted(data.ids(0)) == sorted(data.ids(1)) == ["a", "b", "c"]
    with pytest.raises(DataError, match="expected at least one sample, found none"):
        TrainingData([], [], batch_size=4, seed=0)


def test_the_learning_rate_warms_up_linearly_and_falls_along_half_a_cosine():
    shares = [share_of_rate(update, updates=111, warmup_updates=10, final_share=0.1) for update in range(111)]
    np.testing.assert_allclose(shares[:10], np.arange(1, 11) / 10)
    done = np.arange(101) / 100
    np.testing.assert_allclose(shares[10:], 0.1 + 0.9 * (1 + np.cos(np.pi * done)) / 2, atol=1e-12)
    assert (shares[10], shares[60], shares[110]) == pytest.approx((1.0, 0.55, 0.1))


def test_the_logged_rate_is_the_schedules(small, tmp_path):
    recipe = small_recipe(*small, updates=6, log_every=1)
    train(recipe, tmp_path / "run")
    expected = [
        recipe.optimiser.learning_rate
        * share_of_rate(update, updates=6, warmup_updates=recipe.optimiser.warmup_updates, final_share=recipe.optimiser.final_share)
        for update in range(6)
    ]
    assert [row["learning_rate"] for row in rows_of(tmp_path / "run")] == pytest.approx(expected)


def test_matrices_decay_and_norms_biases_gates_and_embeddings_do_not():
    model = toy_checkpoint("mlp3d").model
    optimiser = make_optimiser(model, OptimiserRecipe(learning_rate=1e-3, fusion_learning_rate=5e-3, weight_decay=0.07))
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    placed = [(names[id(parameter)], group) for group in optimiser.param_groups for parameter in group["params"]]
    assert sorted(name for name, _ in placed) == sorted(names.values())  # each once
    for name, group in placed:
        is_exempt = any(word in name for word in ("norm", "bias", "gate", "embed_tokens", "pos_embed")) and "gate_proj" not in name
        assert group["weight_decay"] == (0.0 if is_exempt else 0.07), name
        assert group["lr"] == (5e-3 if "fusion" in name else 1e-3), name


def test_the_loss_is_the_cross_entropy_of_the_answers_alone(small):
    _, checkpoint, data = prepared(small)
    batch = data.inputs(0, checkpoint.processor)
    loss, learned = checkpoint.model.eval().answer_loss(**batch.for_loss())
    logits = checkpoint.model(**batch.for_generation(), position_ids=batch.position_ids).logits
    expected = torch.nn.functional.cross_entropy(
        logits[:, :-1].flatten(0, 1), batch.labels[:, 1:].flatten(), ignore_index=IGNORED, reduction="sum"
    )
    assert learned == data.learned_tokens(0) == int((batch.labels != IGNORED).sum())
    torch.testing.assert_close(loss, expected)


def test_naming_dots_adds_a_term_and_a_weight_of_zero_adds_none(small):
    _, checkpoint, data = prepared(small)
    model, inputs = checkpoint.model.eval(), data.inputs(0, checkpoint.processor).for_loss()
    assert int((inputs["dots"] > 0).sum()) == COUNT  # one dot a sample
    naming = torch.tensor(checkpoint.processor.dot_word_ids())
    (plain, learned), (zero, _) = model.answer_loss(**inputs), model.answer_loss(**inputs, naming=naming, naming_weight=0.0)
    assert torch.equal(plain, zero)
    once, twice = (model.answer_loss(**inputs, naming=naming, naming_weight=weight)[0] for weight in (0.5, 1.0))
    names = (twice - plain) / learned
    assert names > 0.1
    torch.testing.assert_close(once - plain, 0.5 * learned * names, rtol=1e-4, atol=1e-4)


def test_only_the_chosen_samples_are_trained_on(small):
    assert len(chosen_samples(small_recipe(*small, data={"per_task": 3}).data)) == 3
    with pytest.raises(DataError, match=r"expected samples of split 'held_out' for tasks all, found none"):
        chosen_samples(small_recipe(*small, data={"split": "held_out"}).data)
    with pytest.raises(DataError, match="data.samples and data.scenes"):
        chosen_samples(TrainRecipe().data)


@pytest.mark.parametrize(
    ("loop", "message"),
    [
        ({"updates": 0}, "loop.updates: expected at least 1"),
        ({"accumulate": 0}, "loop.accumulate"),
        ({"updates": 20}, "warmup_updates=50 would last"),
    ],
)
def test_a_recipe_that_cannot_work_is_refused_before_any_work(loop, message):
    with pytest.raises(ConfigError, match=message):
        TrainRecipe(loop=LoopRecipe(**loop))


def test_a_run_may_start_from_another_runs_checkpoint_with_a_fusion(small, tmp_path):
    base = train(small_recipe(*small, updates=2, model={"fusion": "none", "fusion_options": {}}), tmp_path / "base")
    recipe = small_recipe(*small, updates=2, model={"start_from": str(base)})
    checkpoint = start(recipe, chosen_samples(recipe.data))
    assert checkpoint.model.config.fusion == "sin3d" and checkpoint.model.gate_size() == 0.0
    old, new = weights_of(tmp_path / "base"), checkpoint.model.state_dict()
    assert all(torch.equal(new[name], weight) for name, weight in old.items())
    train(recipe, tmp_path / "fused")
    assert float(weights_of(tmp_path / "fused")["fusion.gate"].abs().mean()) > 0.0
