"""Exported checkpoints: merged, whole, in shards, with a card whose every number is from the run; nothing of this machine in them."""

import json
import shutil

import pytest
import torch
import yaml
from safetensors.torch import load_file
from toy_models import toy_checkpoint, toy_samples
from transformers import AutoModelForImageTextToText, AutoProcessor

from sightline.errors import ConfigError, ModelError
from sightline.files import write_json
from sightline.models import export as exporting
from sightline.models.checkpoints import Checkpoint, load_checkpoint, save_checkpoint
from sightline.models.export import INDEX, export_checkpoint, plan, shard_bytes
from sightline.models.lora import LoraOptions, add_lora, save_adapter
from sightline.models.model_card import parts_of

COMMIT = "0123456789abcdef0123456789abcdef01234567"
RECIPE = {
    "data": {"samples": "/data/of/mine/flat_set", "scenes": "/data/of/mine/store", "split": "train", "tasks": ["depth", "distance"]},
    "model": {"preset": "smallest", "start_from": "/models/of/mine/base", "fusion": "sin3d"},
    "optimiser": {"learning_rate": 0.00123},
    "loop": {"updates": 77, "batch_size": 5, "seed": 11, "threads": 3},
}


def write_run(folder, *, made_from=None):
    """A finished training run as the trainer leaves it."""
    checkpoint = toy_checkpoint("sin3d", gate=0.3)
    if made_from:
        checkpoint.model.config.made_from = made_from
    save_checkpoint(checkpoint, folder / "checkpoint")
    for place in (folder, folder / "checkpoint"):
        (place / "recipe.yaml").write_text(yaml.safe_dump(RECIPE))
    write_json(folder / "finished.json", {"made_from": "x", "updates": 77, "samples": 321, "loss": 0.4567, "seconds": 89.1})
    return folder


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return write_run(tmp_path_factory.mktemp("export") / "my_run")


@pytest.fixture(scope="module")
def batch(run):
    processor = load_checkpoint(run).processor
    return processor.collate(toy_samples(processor, 3), padding_side="right")


@pytest.fixture(scope="module")
def lora_run(run, tmp_path_factory):
    """A run that ends in an adapter, and the model with it."""
    folder = tmp_path_factory.mktemp("export") / "lora_run"
    model = add_lora(load_checkpoint(run).model, LoraOptions(rank=3, alpha=6.0))
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(4)
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(0.1 * torch.randn_like(parameter))
    save_adapter(model, folder / "checkpoint", base=run / "checkpoint")
    return folder, model


def logits_of(model, batch):
    with torch.no_grad():
        return model.eval()(**batch.for_generation()).logits


def test_what_is_exported_loads_by_path_alone_to_equal_logits(run, batch, tmp_path):
    files = export_checkpoint(plan(run, tmp_path / "out", dtype="fp32"))
    assert {"config.json", "model.safetensors", "README.md", "recipe.yaml", "tokenizer.json", "processor_config.json"} <= set(files)
    assert {path.name for path in tmp_path.iterdir()} == {"out"}
    model, processor = AutoModelForImageTextToText.from_pretrained(tmp_path / "out"), AutoProcessor.from_pretrained(tmp_path / "out")
    assert torch.equal(logits_of(model, batch), logits_of(load_checkpoint(run).model, batch))
    assert processor.image_width == load_checkpoint(run).processor.image_width


def test_bf16_is_the_default_and_halves_the_file(run, tmp_path):
    planned = plan(run, tmp_path / "out")
    export_checkpoint(planned)
    weights = load_file(tmp_path / "out" / "model.safetensors")
    assert {weight.dtype for weight in weights.values()} == {torch.bfloat16}
    assert sum(weight.numel() for weight in weights.values()) == planned.parameters and planned.size_bytes == 2 * planned.parameters
    assert json.loads((tmp_path / "out" / "config.json").read_text())["dtype"] == "bfloat16"
    assert {parameter.dtype for parameter in AutoModelForImageTextToText.from_pretrained(tmp_path / "out").parameters()} == {torch.bfloat16}


def test_shards_have_an_index_and_hold_every_weight_once(run, batch, tmp_path):
    planned = plan(run, tmp_path / "out", max_shard_size="50KB", dtype="fp32")
    export_checkpoint(planned)
    shards = sorted((tmp_path / "out").glob("model-*.safetensors"))
    assert len(shards) >= planned.shards > 2
    names = [name for shard in shards for name in load_file(shard)]
    places = json.loads((tmp_path / "out" / INDEX).read_text())["weight_map"]
    assert len(names) == len(set(names)) and set(places) == set(names)
    again = load_checkpoint(tmp_path / "out").model
    assert torch.equal(logits_of(again, batch), logits_of(load_checkpoint(run).model, batch))


def test_an_adapter_is_merged(lora_run, run, batch, tmp_path):
    folder, model = lora_run
    planned = plan(folder, tmp_path / "out", dtype="fp32")
    assert planned.adapter == folder / "checkpoint" and "merged" in planned.words
    export_checkpoint(planned)
    plain = load_checkpoint(tmp_path / "out").model
    expected = logits_of(model, batch)
    assert (expected - logits_of(load_checkpoint(run).model, batch)).abs().max() > 0.05
    assert torch.allclose(logits_of(plain, batch), expected, atol=1e-5, rtol=0)
    assert not any("lora" in name for name in plain.state_dict()) and not (tmp_path / "out" / "adapter_config.json").exists()
    assert "| LoRA, merged | rank 3, alpha 6.0, dropout 0.0 |" in (tmp_path / "out" / "README.md").read_text()


def test_the_base_of_an_adapter_may_have_moved(lora_run, run, tmp_path):
    folder, _ = lora_run
    moved = shutil.copytree(folder, tmp_path / "run")
    written = json.loads((moved / "checkpoint" / "base.json").read_text())
    (moved / "checkpoint" / "base.json").write_text(json.dumps(written | {"place": "/gone"}))
    with pytest.raises(ModelError, match="found no such folder. Fix: name where it is now"):
        plan(moved, tmp_path / "out")
    assert plan(moved, tmp_path / "out", base=run / "checkpoint").checkpoint == run / "checkpoint"
    with pytest.raises(ConfigError, match="--base: expected an adapter in"):
        plan(run, tmp_path / "out", base=run / "checkpoint")


def test_the_card_tells_what_the_run_tells_and_no_path_of_this_machine(tmp_path):
    made_from = {
        "backbone": {"place": "Qwen/Qwen3-VL-4B-Instruct", "revision": "v1", "commit": COMMIT},
        "geometry_encoder": {"place": "/models/of/mine/VGGT-1B"},
        "fresh": ["fusion"],
    }
    export_checkpoint(plan(write_run(tmp_path / "my_run", made_from=made_from), tmp_path / "out"))
    card = (tmp_path / "out" / "README.md").read_text()
    front = yaml.safe_load(card.split("---")[1])
    assert front["base_model"] == "Qwen/Qwen3-VL-4B-Instruct" and front["pipeline_tag"] == "image-text-to-text"
    for words in (
        "# my_run",
        f"| backbone | Qwen/Qwen3-VL-4B-Instruct | `{COMMIT}` (v1) | Apache-2.0 |",
        "| fusion | new, trained here | - | yours |",
        "| updates | 77 |",
        "| loss at the end | 0.4567 |",
        "| samples | 321 |",
        "| optimiser.learning_rate | 0.00123 |",
        "| data set | `flat_set` |",
        "| question tasks | depth, distance |",
    ):
        assert words in card
    assert "commercial" not in card  # this model has no VGGT inside, and Qwen3-VL allows it
    for path in (tmp_path / "out").iterdir():
        if path.suffix in (".json", ".md", ".yaml"):
            text = path.read_text()
            assert "of/mine" not in text and str(tmp_path) not in text, path.name
    assert yaml.safe_load((tmp_path / "out" / "recipe.yaml").read_text())["data"]["samples"] == "flat_set"


def test_weights_that_forbid_commercial_use_are_warned_of():
    config = toy_checkpoint("sin3d").model.config
    config.geometry_encoder, config.fusion, config.backbone = "vggt", "sin3d", "qwen2_5_vl"
    config.made_from = {
        "backbone": {"place": "Qwen/Qwen2.5-VL-3B-Instruct", "revision": COMMIT, "commit": COMMIT},
        "geometry_encoder": {"place": "/somewhere/VGGT-1B", "name": "cc-by-nc-4.0", "is_commercial_use_allowed": False},
    }
    card = exporting.model_card(config, exporting.Run(name="x"), dtype=torch.bfloat16, parameters=1234)
    assert "**Not for commercial use**: the licence of the backbone and geometry encoder weights inside forbids it" in card
    assert "license: other" in card and "a local folder named `VGGT-1B`" in card and "1,234 parameters" in card
    assert [part.what for part in parts_of(config)] == ["backbone", "geometry encoder", "fusion"]
    config.made_from["geometry_encoder"] |= {"name": "vggt-aup-license", "is_commercial_use_allowed": True}
    config.made_from["backbone"]["place"] = "Qwen/Qwen2.5-VL-7B-Instruct"
    assert "Not for commercial use" not in exporting.model_card(config, exporting.Run(name="x"), dtype=torch.bfloat16, parameters=1)


def test_a_run_that_tells_nothing_gives_a_card_that_says_so(tmp_path):
    save_checkpoint(toy_checkpoint("none"), tmp_path / "bare")
    export_checkpoint(plan(tmp_path / "bare", tmp_path / "out"))
    card = (tmp_path / "out" / "README.md").read_text()
    assert card.count("Not recorded in the run's folder.") == 2 and "recipe.yaml" not in {
        path.name for path in (tmp_path / "out").iterdir()
    }


def test_nothing_is_left_behind_when_the_export_fails(run, tmp_path, monkeypatch):
    def fail(*arguments, **options):
        raise OSError("disk full")

    monkeypatch.setattr(exporting, "model_card", fail)
    with pytest.raises(OSError, match="disk full"):
        export_checkpoint(plan(run, tmp_path / "out"))
    assert list(tmp_path.iterdir()) == []


def test_a_weight_that_was_not_written_is_noticed(run, tmp_path):
    checkpoint = load_checkpoint(run)
    place = shutil.copytree(run / "checkpoint", tmp_path / "copy")
    exporting._expect_whole(place, checkpoint)
    other = Checkpoint(model=toy_checkpoint("mlp3d").model, processor=checkpoint.processor)
    with pytest.raises(ModelError, match="expected every weight written, found"):
        exporting._expect_whole(place, other)


def test_files_of_others_are_never_replaced(run, tmp_path):
    (tmp_path / "out").mkdir()
    plan(run, tmp_path / "out")  # an empty folder is as good as none
    (tmp_path / "out" / "thesis.tex").write_text("years of work")
    with pytest.raises(ConfigError, match="expected a new or empty folder, found one with files"):
        plan(run, tmp_path / "out")
    with pytest.raises(ConfigError, match="expected a new or empty folder"):
        plan(run, tmp_path / "out" / "thesis.tex")


@pytest.mark.parametrize("words, size", [("5GB", 5 * 10**9), ("1.5 mb", 1_500_000), ("10KB", 10_000)])
def test_sizes_are_read(words, size):
    assert shard_bytes(words) == size


@pytest.mark.parametrize("words", ["5", "five GB", "0GB", "-1GB", "5GiB"])
def test_sizes_that_are_none_are_refused(words):
    with pytest.raises(ConfigError, match="expected a size such as 5GB or 500MB, found"):
        shard_bytes(words)


def test_a_dtype_that_is_none_is_refused(run, tmp_path):
    with pytest.raises(ConfigError, match="--dtype: expected one of bf16, fp16, fp32, found 'int4'"):
        plan(run, tmp_path / "out", dtype="int4")
    with pytest.raises(ModelError, match="expected a checkpoint .* found no such folder"):
        plan(tmp_path / "nothing", tmp_path / "out")
