"""`sightline export-checkpoint`: says what it would do, does it whole, and tells a mistake in one line."""

import pytest
from toy_models import toy_checkpoint
from typer.testing import CliRunner

from sightline.cli import app
from sightline.models.checkpoints import load_checkpoint, save_checkpoint


def sightline(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run") / "my_run"
    save_checkpoint(toy_checkpoint("mlp3d"), folder / "checkpoint")
    return folder


def test_a_dry_run_says_what_would_be_written_and_writes_nothing(run, tmp_path):
    done = sightline("export-checkpoint", run, tmp_path / "out", "--max-shard-size", "50KB", "--dry-run")
    assert done.exit_code == 0, done.output
    parameters = sum(parameter.numel() for parameter in load_checkpoint(run).model.parameters())
    assert f"would be exported to {tmp_path / 'out'}: " in done.output and f"{parameters:,} parameters in bfloat16" in done.output
    assert f"{-(-2 * parameters // 50_000)} shards or more" in done.output
    assert list(tmp_path.iterdir()) == []


def test_the_folder_is_whole_and_loads(run, tmp_path):
    done = sightline("export-checkpoint", run, tmp_path / "out", "--dtype", "fp32")
    assert done.exit_code == 0, done.output
    assert "README.md" in done.output and "model.safetensors" in done.output
    assert load_checkpoint(tmp_path / "out").model.config.fusion == "mlp3d"
    again = sightline("export-checkpoint", run, tmp_path / "out")
    assert again.exit_code == 2 and "expected a new or empty folder, found one with files" in again.output


@pytest.mark.parametrize(
    "options, words",
    [
        (("--dtype", "int3"), "--dtype: expected one of bf16, fp16, fp32, found 'int3'"),
        (("--max-shard-size", "big"), "--max-shard-size: expected a size such as 5GB or 500MB, found 'big'"),
        (("--base", "elsewhere"), "--base: expected an adapter in"),
    ],
)
def test_a_mistake_is_one_line(run, tmp_path, options, words):
    done = sightline("export-checkpoint", run, tmp_path / "out", *options)
    assert done.exit_code == 2 and words in done.output and len(done.output.strip().splitlines()) == 1


def test_a_run_that_is_not_there_or_not_done_says_so(tmp_path):
    for made, words in ((False, "found no such folder"), (True, "found an unfinished training run")):
        if made:
            (tmp_path / "run").mkdir()
        done = sightline("export-checkpoint", tmp_path / "run", tmp_path / "out")
        assert done.exit_code == 2 and words in done.output
