"""The verb mix: the tree that people read, the ids that a run will see, and one line with exit code 2 where a run may not be."""

import json
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from made_sources import conversation, write_source
from typer.testing import CliRunner

from sightline.cli import app
from sightline.config import read_yaml, recipe_path
from sightline.mixtures.recipes import read_mixture
from sightline.samples.conversation_files import write_conversations

RECIPE = """
mixture:
  sources:
    - data: big
    - {data: tasks, cap: 200, name: mixed}
  sets_per_step: 8
  questions_per_set: 3
  evaluates_on: [vsibench]
train: {anything: 1}
"""


def sightline(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def refused(done, *words):
    assert done.exit_code == 2 and "Traceback" not in done.output, done.output
    said = " ".join(done.output.split())
    assert said.count("sightline: ") == 1
    for word in words:
        assert word in said, said


@pytest.fixture
def root(tmp_path) -> Path:
    write_source(tmp_path, "big", rows=90, sets=30)
    write_source(tmp_path, "tasks", rows=300, sets=300, tasks={"count": 100, "size": 100, "where": 100})
    (tmp_path / "mine.yaml").write_text(RECIPE)
    return tmp_path


def mix(root, *arguments):
    return sightline("mix", root / "mine.yaml", *arguments, "--root", root)


def test_the_tree_says_what_will_be_seen(root):
    done = mix(root, "--show", 2)
    assert done.exit_code == 0, done.output
    for line in (
        "  sources: 2",
        "    big: 90 of 90 rows, big, split 'train'",
        "      30 sets of pictures, 3.00 questions each, at most 3",
        "      weight 1: drawn 30 times (13.0%), 1.00 passes",
        "    mixed: 200 of 300 rows, tasks, split 'train'",
        "      left out: 100 beyond the cap of 200",
        "    29 steps of 8 sets: 230 sets of pictures, 460 images",
        "    no room, picture or question of theirs is in training",
        "  questions: 290 taken, 233 different by their words",
    ):
        assert line in done.output.splitlines(), done.output
    assert "four characters a token, images of 640x480 with 391 tokens" in done.output
    assert "position 0, " in done.output and "position 1, " in done.output and "position 2, " not in done.output


def test_json_holds_the_same(root):
    found = json.loads(mix(root, "--json", "--no-near").output)
    assert (found["steps"], found["sets"], found["sources"]["mixed"]["rows"]) == (29, 230, 200)
    assert found["costs"]["images"] == 460 and found["leaks"]["has_leaks"] is False and sum(found["tasks"].values()) == 290
    assert found["leaks"]["duplicates"]["was_looked_for"] is False


def test_phases_of_a_curriculum_are_listed(root):
    done = mix(root, "steps=10", "sources.mixed.first_step=4")
    assert "  phases: 2" in done.output and "    from step 0: big 32 sets" in done.output and "steps 4 to the last" in done.output


def test_overrides_name_sources_by_their_labels(root):
    found = json.loads(mix(root, "sources.mixed.cap=50", "mixture.sources.big.weight=2", "seed=7", "--json").output)
    assert found["sources"]["mixed"]["rows"] == 50 and found["sources"]["big"]["draws"] == 60 and found["recipe"]["seed"] == 7
    refused(mix(root, "sources.bik.weight=2"), "no source called 'bik'", "Did you mean 'big'")
    refused(mix(root, "sources.big.wieght=2"), "sources, number 1: unknown key 'wieght'", "Did you mean 'weight'")
    refused(mix(root, "stepz=2"), "unknown key 'stepz'", "Did you mean 'steps'")


def test_tokens_are_counted_by_a_tokenizer_where_one_is_given(root):
    from tokenizers import Tokenizer, models, pre_tokenizers

    made = Tokenizer(models.WordLevel({"?": 0}, unk_token="?"))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    (root / "words").mkdir()
    made.save(str(root / "words" / "tokenizer.json"))
    found = json.loads(mix(root, "--tokenizer", root / "words", "--no-near", "--json").output)["costs"]
    assert found["measured"].startswith(f"tokens of {root / 'words'}, ")
    assert found["by_source"]["mixed"]["text_tokens_per_unit"] == (7 + 1 + 10) + 2 * 2  # question, answer, marks of the turn, two images
    refused(mix(root, "--tokenizer", root / "big"), "--tokenizer: expected a folder with one of tokenizer.json, tokenizer_config.json")


def test_dumps_of_all_processes_hold_the_ids_of_the_run_once(root):
    def dumped(*options):
        done = mix(root, "--no-near", "--dump", root / "ids.jsonl", *options)
        assert done.exit_code == 0, done.output
        return [json.loads(line) for line in (root / "ids.jsonl").read_text().splitlines()]

    whole = dumped("--steps", 29)
    assert Counter(name for one in whole for name in one["ids"]).most_common(1)[0][1] == 1 and sum(len(one["ids"]) for one in whole) == 290
    parts = [one for rank in range(3) for one in dumped("--steps", 9, "--first-step", 20, "--rank", rank, "--world", 3)]
    assert sorted(parts, key=lambda one: one["position"]) == [one for one in whole if one["step"] >= 20]
    refused(mix(root, "--dump", root / "x", "--steps", 30), "step: expected 0 to 28, found 29")
    refused(mix(root, "--rank", 2, "--world", 2), "--rank: expected 0 to 1")


def test_leaks_decide_the_exit_code_after_the_tree_is_printed(root):
    rows = [
        replace(conversation("big", number, sets=30), scan_id=f"scene{(11, 15)[number % 2]:04d}_01", place_id="") for number in range(90)
    ]
    write_conversations(root / "big", rows)
    done = mix(root)
    refused(done, "rooms of vsibench: 2, with 90 of 290 rows, in big (scene0011, scene0015)", "Fix:", "allow_leaks: true")
    assert "LEAK: rooms of vsibench: 2" in done.output
    done = mix(root, "allow_leaks=true")
    assert done.exit_code == 0 and "forced by allow_leaks: rooms of vsibench: 2" in done.output
    done = mix(root, "evaluates_on=[]")
    assert done.exit_code == 0 and "warning: rooms of multispa, scanqa, sqa3d, vsibench, vstibench: 2" in done.output
    refused(mix(root, "evaluates_on=[scanqqa]"), "no benchmark called 'scanqqa'", "Did you mean 'scanqa'")


def test_nothing_is_written_but_what_is_asked_for(root):
    before = sorted(root.rglob("*"))
    mix(root, "--show", 3)
    assert sorted(root.rglob("*")) == before


def test_what_cannot_be_met_is_one_line_with_two_fixes(root):
    refused(mix(root, "steps=2000", "sources.big.most_passes=2"), "are missing. Fix: most_passes:", "or steps:")
    refused(mix(root, "sources.big.split=test"), "expected rows in", "found none of 90 to take")
    refused(mix(root, "sources.big.data=none"), "expected conversations in data/*.parquet, found none")
    refused(mix(root, "--image", "big"), "--image: expected WIDTHxHEIGHT such as 640x480, found 'big'")
    (root / "none.yaml").write_text("train: 1\n")
    refused(sightline("mix", root / "none.yaml"), "expected a block 'mixture:' with sources, found none")
    refused(sightline("mix", "mixtures/romms"), "no recipe called 'mixtures/romms'", "Did you mean 'mixtures/rooms'")


def test_the_commands_of_the_documentation_run(tmp_path, monkeypatch):
    page = (Path(__file__).parent.parent / "docs" / "mixtures.md").read_text("utf-8")
    (tmp_path / "mine.yaml").write_text(re.search(r"```yaml\n(.*?)```", page, re.S)[1])
    write_source(tmp_path / "DATA", "rooms", rows=160, sets=40)
    write_source(tmp_path / "DATA", "vsi_590k", rows=900, sets=900)
    model = Path(__file__).parent.parent / "nowhere"
    monkeypatch.chdir(tmp_path)
    commands = [line.partition("#")[0].split() for line in page.splitlines() if line.startswith("sightline mix ")]
    assert len(commands) >= 5
    for command in commands:
        if "MODEL" in command:
            command = [str(model) if word == "MODEL" else word for word in command]
            refused(sightline(*command[1:]), "--tokenizer: expected a folder")
        else:
            done = sightline(*command[1:])
            assert done.exit_code == 0, (command, done.output)
    assert (tmp_path / "ids.jsonl").is_file() and (tmp_path / "hashes.json").is_file()


def test_examples_of_long_questions_show_where_they_differ(root):
    begin = "I stand at the long wooden table by the window and look at the sofa with the many cushions and the lamp behind it, " * 2
    rows = [conversation("big", 0, sets=1), conversation("big", 0, sets=1)]
    turns = [replace(rows[0].turns[0], question=begin + end) for end in ("where is the cat?", "where is the dog?")]
    write_conversations(root / "big", [replace(one, sample_id=f"big/{n}", turns=(turns[n],)) for n, one in enumerate(rows)])
    output = mix(root).output
    assert "where is the cat?' (big/0)" in output and "where is the dog?' (big/1)" in output and "'I stand" not in output


def packaged() -> list[str]:
    return sorted(f"mixtures/{path.stem}" for path in recipe_path("mixtures/rooms").parent.glob("*.yaml"))


@pytest.mark.parametrize("name", packaged())
def test_every_packaged_mixture_reads_and_names_known_data_sets_and_benchmarks(name):
    from sightline.mixtures.registry import data_sets
    from sightline.samples.benchmark_guard import benchmark_ids

    recipe = read_mixture(name)
    assert set(recipe.evaluates_on) <= set(benchmark_ids()) and recipe.evaluates_on
    assert {source.label for source in recipe.sources} <= {*data_sets(), "rooms"}
    assert set(read_yaml(recipe_path(name))) == {"mixture"}


def test_the_mix_of_scanqa_and_sqa3d_is_seventy_to_thirty():
    scanqa, sqa3d = read_mixture("mixtures/scanqa-sqa3d").sources
    assert (scanqa.share, sqa3d.share) == (0.7, 0.3)
