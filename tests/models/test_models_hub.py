"""The hub, played by a server on this machine: `push_to_hub` uploads the right files, and a pinned revision comes back from it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import original_layouts as layouts
import pytest
from fake_hub import running_hub

PUSH = """
import torch
from toy_models import toy_checkpoint
checkpoint = toy_checkpoint("sin3d", gate=0.3)
checkpoint.model.push_to_hub("me/room-model", token="t")
checkpoint.processor.push_to_hub("me/room-model", token="t")
weights = {name: weight.clone() for name, weight in checkpoint.model.state_dict().items()}

import sightline.models
from transformers import AutoModelForImageTextToText, AutoProcessor
again, report = AutoModelForImageTextToText.from_pretrained("me/room-model", output_loading_info=True)
found = again.state_dict()
say(
    pushed=not report["missing_keys"] and not report["unexpected_keys"] and found.keys() == weights.keys()
    and all(torch.equal(found[name], weights[name]) for name in found),
    width=AutoProcessor.from_pretrained("me/room-model").image_width,
)
"""
FETCH = """
from sightline.errors import ModelError
from sightline.models.base_weights import load_base
from sightline.models.config import SpatialVLConfig
from sightline.models.sources import Source

def load(revision):
    config = SpatialVLConfig(backbone="qwen2_5_vl", geometry_encoder="none", fusion="none")
    model = load_base(config, backbone=Source.parse("Qwen/Tiny" + (f"@{revision}" if revision else "")))
    return model.config.made_from["backbone"], float(model.backbone.model.language_model.norm.weight[0])

def refusal(revision, place="Qwen/Tiny"):
    try:
        Source(place=place, revision=revision).folder()
    except ModelError as error:
        return str(error)

say(
    tag=load("v1"), commit=load(COMMIT), branch=refusal("main"), none=refusal(None), typo=refusal("v2"), gone=refusal("v1", "Qwen/Gone"),
    missing=refusal("f" * 40),
)
"""
SAY = """
import json, sys
sys.path.insert(0, sys.argv[1])
COMMIT = sys.argv[2]
def say(**found):
    print("FOUND " + json.dumps(found))
"""


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    """A hub with base weights at a tag, which its branch has left behind."""
    with running_hub() as hub:
        folder = layouts.write_backbone(tmp_path_factory.mktemp("hub") / "tiny")
        hub.create("Qwen/Tiny")
        files = {path.name: path.read_bytes() for path in folder.iterdir()}
        hub.refs["Qwen/Tiny"]["tags"]["v1"] = hub.commit("Qwen/Tiny", {**files, "evil.py": b"raise SystemExit", "pytorch_model.bin": b"x"})
        hub.commit("Qwen/Tiny", {"model.safetensors": b"something else"})
        yield hub


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def found(hub, home):
    """What the scripts saw, in a process of their own: which hub is asked is settled when huggingface_hub is imported."""
    setting = {"HF_ENDPOINT": hub.url, "HF_HUB_OFFLINE": "0", "HF_HOME": str(home), "HF_HUB_DISABLE_XET": "1", "NO_PROXY": "127.0.0.1"}
    done = subprocess.run(
        [sys.executable, "-c", SAY + PUSH + FETCH, str(Path(__file__).parent), hub.refs["Qwen/Tiny"]["tags"]["v1"]],
        env={**os.environ, **setting},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    said = [json.loads(line.removeprefix("FOUND ")) for line in done.stdout.splitlines() if line.startswith("FOUND ")]
    return said[0] | said[1]


def test_a_pushed_model_has_all_its_files_and_loads_by_its_id_alone(hub, found):
    assert found["pushed"] and found["width"] == 64
    files = hub.trees["me/room-model"][hub.resolve("me/room-model", "main")]
    assert {"config.json", "model.safetensors", "processor_config.json", "tokenizer.json", "README.md"} <= set(files)
    assert not any(path.endswith((".bin", ".pt", ".py")) for path in files)
    assert json.loads(files["config.json"])["fusion"] == "sin3d" and len(files["model.safetensors"]) > 100_000


def test_base_weights_come_from_a_commit_or_a_tag(hub, found, home):
    pinned, first = hub.refs["Qwen/Tiny"]["tags"]["v1"], pytest.approx(float(layouts.weight("model.norm.weight", (32,))[0]))
    assert found["tag"] == [{"place": "Qwen/Tiny", "revision": "v1", "commit": pinned}, first]
    assert found["commit"] == [{"place": "Qwen/Tiny", "revision": pinned, "commit": pinned}, first]
    fetched = {path.name for path in (home / "hub" / "models--Qwen--Tiny").rglob("*")}
    assert "model.safetensors" in fetched and not {"evil.py", "pytorch_model.bin"} & fetched


def test_a_branch_a_typo_and_a_repository_that_is_not_there_say_what_to_do(hub, found):
    moved = hub.resolve("Qwen/Tiny", "main")
    assert found["branch"].endswith(f"found a branch, which moves. Fix: Qwen/Tiny@{moved} (where it points now)")
    assert "expected a pinned revision, found none" in found["none"] and found["typo"].endswith("Known tags: v1")
    assert found["gone"].startswith("Qwen/Gone@v1: expected") and found["missing"].startswith(f"Qwen/Tiny@{'f' * 40}: expected")
    assert not any("\n" in found[name] for name in ("branch", "none", "typo", "gone", "missing"))
