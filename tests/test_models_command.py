"""`sightline models`: what is listed of every preset, other choices of its parts, and what is refused with a reason."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

pytest.importorskip("transformers")

from sightline.cli import app
from sightline.models.preset_notes import NOTES


def sightline(*arguments):
    return CliRunner().invoke(app, ["models", *(str(argument) for argument in arguments)])


def test_every_preset_is_listed_with_its_numbers():
    done = sightline("--views", 2)
    assert done.exit_code == 0, done.output
    header, *rows, given = done.output.splitlines()
    assert [row.split()[0] for row in rows] == list(NOTES)
    assert header.split()[:3] == ["preset", "B", "params"] and "\x1b" not in done.output
    assert rows[0].split()[1:4] == ["4.44", "4.44", "0.415"]
    assert given.startswith("for 1 x 2 views of 640x480, 150 text tokens (20 learned), bf16")


def test_one_preset_is_told_in_full():
    done = sightline("spatial-mllm", "--views", 16, "--text-tokens", 100)
    assert done.exit_code == 0, done.output
    assert "weights: Qwen/Qwen2.5-VL-3B-Instruct@REVISION (Qwen Research License" in done.output
    assert "weights: facebook/VGGT-1B@REVISION (CC-BY-NC-4.0" in done.output
    assert "tokens: 3128 visual + 0 prefix + 100 text = 3228 of a sample" in done.output
    row = next(line for line in done.output.splitlines() if line.startswith("fusion"))
    assert row.split()[1:3] == ["302.02", "302.02"]


def test_json_holds_the_exact_numbers():
    done = sightline("qwen3vl-sin3d", "--size", "2b", "--json", "--train", "frozen-vision")
    told = json.loads(done.stdout)["qwen3vl-sin3d"]
    assert told["weights"] == [{"hub_id": "Qwen/Qwen3-VL-2B-Instruct", "licence": "Apache-2.0"}]
    assert told["parameters"] == sum(part["parameters"] for part in told["parts"].values()) == 2_127_532_032 + (72 + 2) * 2048
    assert 0 < told["parts"]["vision"]["trainable"] < told["parts"]["vision"]["parameters"]
    assert (told["visual_tokens"], told["prefix_tokens"], told["sequence_tokens"]) == (2400, 0, 2550)
    memory = told["memory_bytes"]
    assert memory["weights"] == 2 * told["parameters"] and memory["optimiser"] == 12 * told["trainable"]
    assert memory["training"] == sum(value for name, value in memory.items() if name != "training")
    assert told["step_flops"] == sum(part["step_flops"] for part in told["parts"].values()) > told["forward_flops"]


def test_adapters_and_checkpointing_make_a_step_smaller():
    whole, adapted = (json.loads(sightline("qwen3vl-base", "--json", *more).stdout)["qwen3vl-base"] for more in ([], ["--train", "lora"]))
    assert adapted["trainable"] < whole["trainable"] / 100 and adapted["step_flops"] < whole["step_flops"]
    less = json.loads(sightline("qwen3vl-base", "--json", "--checkpointing").stdout)["qwen3vl-base"]
    assert less["memory_bytes"]["activations"] < whole["memory_bytes"]["activations"] / 5
    assert less["step_flops"] == whole["step_flops"]  # what is computed twice is no more useful


def test_parts_are_exchanged_one_by_one():
    told = json.loads(sightline("qwen3vl-sin3d", "--backbone", "qwen2_5_vl", "--fusion", "mlp3d", "--json").stdout)["qwen3vl-sin3d"]
    assert told["visual_tokens"] == 8 * 23 * 17
    told = json.loads(sightline("vggt-cross", "--fusion", "perceiver", "--json").stdout)["vggt-cross"]
    assert told["prefix_tokens"] == 128 + 8 and told["visual_tokens"] == 8 * 23 * 17


@pytest.mark.parametrize(
    "arguments, reason",
    [
        (["qwen3vl-sin3d", "--backbone", "qwen3"], "the backbone has no visual tokens to change; choose a fusion that makes a prefix"),
        (["spatial-mllm", "--backbone", "qwen3_vl"], "expected visual tokens whose side is a whole number of geometry patches"),
        (["qwen3vl-sin3d", "--encoder", "vggt"], "the fusion needs coordinates, the encoder gives features"),
        (["qwen3vl-sin3d", "--encoder", "none"], "the fusion needs coordinates; choose a geometry encoder that gives them, 'pointmap'"),
        (["internvl", "--deepstack"], "fuse_deepstack: expected a backbone with DeepStack levels"),
        (["spatial-mllm", "--version", "v2"], "version: expected v1.1 or v1.0, found 'v2'"),
        (["qwen3vl-base", "--version", "v1.0"], "preset 'qwen3vl-base': has no choice of version"),
        (["qwen3vl-base", "--size", "3b"], "Qwen3-VL: no published size '3b'. Known: 2b, 4b, 8b"),
        (["qwen3vl-basse"], "Did you mean 'qwen3vl-base'?"),
        (["tiny"], "preset 'tiny' is sized by its tokenizer"),
        (["qwen3vl-sin3d", "--fusion", "sin4d"], "Did you mean 'sin3d'?"),
        (["--fusion", "sin3d"], "--fusion: expected a preset to change, found none"),
        (["--dtype", "int4"], "dtype: expected one of bf16, fp16, fp32, found 'int4'"),
        (["--train", "some"], "train: expected one of preset, full, frozen-vision, lora, found 'some'"),
        (["--views", "-1"], "views: expected at least 0, found -1"),
        (["qwen3vl-base", "--train", "lora", "--lora-rank", "0"], "--lora-rank: expected at least 1, found 0"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_says_why(arguments, reason):
    done = sightline(*arguments)
    assert done.exit_code == 2 and reason in done.output, done.output


def test_the_page_of_models_shows_what_the_command_says():
    page = (Path(__file__).parent.parent / "docs" / "models.md").read_text("utf-8")
    told = [row.split() for row in sightline().output.splitlines()[1:-1]]
    for name, parameters, trained, _, _, _, _, *rest in told:
        assert f"| `{name}` | {' | '.join([parameters, trained, *rest])} |" in page
