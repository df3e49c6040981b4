"""Exports read back by the very libraries they are for, each in a virtual environment of its own; `make slow-test` runs these."""

import json
import os
import subprocess
import sys
import tempfile
import tomllib
import venv
from dataclasses import dataclass
from pathlib import Path

import pytest
from export_store import write_dataset

from sightline.files import read_json
from sightline.samples.export import ExportOptions
from sightline.samples.formats.pictures import place_files
from sightline.samples.formats.write import finish, prepare, start
from sightline.samples.sample import Sample
from sightline.samples.shards import read_samples

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent.parent
ENVIRONMENTS = Path(os.environ.get("SIGHTLINE_SLOW", Path(tempfile.gettempdir()) / "sightline-slow"))
TORCH = os.environ.get("TORCH", "torch==2.13.0")  # first and alone: what depends on torch then brings no CUDA packages


@dataclass(frozen=True, kw_only=True)
class Library:
    """What an environment holds. `alone` comes without its dependencies; a `stand_in` is an empty module of that name."""

    name: str
    packages: tuple[str, ...]
    alone: str
    stand_ins: tuple[str, ...] = ()


LLAMAFACTORY = Library(
    name="llamafactory",
    packages=(
        "transformers==4.57.1",
        "datasets==4.0.0",
        "peft==0.18.0",
        "accelerate==1.11.0",
        "omegaconf",
        "pillow",
        "av<16.1",
        "trl==0.24.0",
    ),
    alone="llamafactory==0.9.5",
    stand_ins=("torchaudio",),  # imported for sounds, and built for other versions of torch
)
LMMS_EVAL = Library(
    name="lmms-eval",
    packages=(
        *(
            "datasets",
            "transformers",
            "accelerate",
            "evaluate",
            "loguru",
            "tenacity",
            "tqdm",
            "pytz",
            "sacrebleu",
            "jinja2",
            "scikit-learn",
        ),
        *("httpx", "openai", "tqdm-multiprocess", "pytablewriter", "jsonlines", "python-dotenv", "packaging", "av<16", "zss", "sympy"),
        *("ftfy", "nltk"),
        *tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"],  # its tasks import sightline
    ),
    alone="lmms-eval==0.7.3",
)


def python_of(library: Library) -> Path:
    """The interpreter of a library's environment, made on first use. Skips, with pip's last words, what cannot be installed."""
    home = ENVIRONMENTS / library.name
    python, ready = home / "bin" / "python", home / ".ready"
    wanted = json.dumps([TORCH, library.packages, library.alone])
    if ready.is_file() and ready.read_text() == wanted:
        return python
    venv.create(home, with_pip=True, clear=True)
    for step in ([TORCH], list(library.packages), ["--no-deps", library.alone]):
        pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *step]
        done = subprocess.run(pip, capture_output=True, text=True)
        if done.returncode != 0:
            pytest.skip(f"{library.name} cannot be installed here: {done.stderr.strip().splitlines()[-1]}")
    for name in library.stand_ins:
        (next((home / "lib").glob("python*")) / "site-packages" / f"{name}.py").write_text('"""Empty."""\n')
    ready.write_text(wanted)
    return python


def told_by(library: Library, program: str, *arguments: str, cache: Path) -> dict:
    """The last line that a program prints in the library's environment, as JSON."""
    offline = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(cache), "PYTHONPATH": str(ROOT / "src")}
    command = [python_of(library), "-c", program, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **offline}, cwd=cache, timeout=600)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.strip().splitlines()[-1])


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("readback"))


def exported(dataset: Path, out: Path, to: str) -> Path:
    prepared = prepare(dataset, out, to=to, options=ExportOptions(), store=None, split=None, tasks=None, limit=None)
    for scan_id in start(prepared):
        place_files(scan_id, folder=str(prepared.about.folder))
    finish(prepared)
    return out


def samples_of(dataset: Path, split: str) -> list[Sample]:
    return [sample for sample in read_samples(dataset) if sample.split == split]


READ_BY_LLAMAFACTORY = """
import json, sys
from types import SimpleNamespace
from llamafactory.data.loader import _load_single_dataset
from llamafactory.data.mm_plugin import get_mm_plugin
from llamafactory.data.parser import get_dataset_list
from llamafactory.hparams import DataArguments, ModelArguments, TrainingArguments

folder, names, cache = sys.argv[1], sys.argv[2].split(","), sys.argv[3]
data = DataArguments(dataset=",".join(names), dataset_dir=folder, overwrite_cache=True)
model, training = ModelArguments(model_name_or_path="none", cache_dir=cache), TrainingArguments(output_dir=cache)
plugin = get_mm_plugin("qwen2_vl", image_token="<|image_pad|>", video_token="<|video_pad|>")
processor = SimpleNamespace(image_processor=object(), video_processor=object(), feature_extractor=None)
told = {}
for name, found in zip(names, get_dataset_list(names, folder), strict=True):
    told[name] = []
    for row in _load_single_dataset(found, model, data, training):
        images = row["_images"]
        plugin._validate_input(processor, images, [], [])
        plugin._validate_messages(row["_prompt"] + row["_response"], images, [], [])  # placeholders against images
        opened = plugin._regularize_images(images, image_max_pixels=768 * 768, image_min_pixels=32 * 32)["images"]
        (user,), (assistant,) = row["_prompt"], row["_response"]
        told[name].append([user["role"], user["content"], assistant["role"], assistant["content"], [one.size for one in opened]])
print(json.dumps(told))
"""


@pytest.mark.parametrize("to", ["llamafactory-alpaca", "llamafactory-sharegpt"])
def test_llamafactory_loads_converts_and_validates_every_row_and_opens_its_images(dataset, tmp_path, to):
    out = exported(dataset, tmp_path / "rooms", to)
    names = list(read_json(out / "dataset_info.json"))
    told = told_by(LLAMAFACTORY, READ_BY_LLAMAFACTORY, str(out), ",".join(names), str(tmp_path / "cache"), cache=tmp_path)
    assert list(told) == names == ["sightline_rooms_train", "sightline_rooms_held_out"]
    for name, split in zip(names, ("train", "held_out"), strict=True):
        samples = samples_of(dataset, split)
        assert len(told[name]) == len(samples)
        for (asker, said, answerer, answer, sizes), sample in zip(told[name], samples, strict=True):
            assert (asker, answerer, answer) == ("user", "assistant", sample.answer_text)
            assert said == "<image>\n" * len(sample.frame_ids) + sample.prompt
            assert sizes == [[320, 240]] * len(sample.frame_ids)


RUN_BY_LMMS_EVAL = """
import json, sys
from lmms_eval import evaluator
from lmms_eval.api.model import lmms
from lmms_eval.tasks import TaskManager

class Model(lmms):
    is_simple = True

    def __init__(self):
        super().__init__()
        self.seen = {}

    def generate_until(self, requests):
        replies = []
        for request in requests:
            text, _, doc_to_visual, doc_id, task, split = request.args
            doc = self.task_dict[task][split][doc_id]
            self.seen[doc["id"]] = [text, [image.size for image in doc_to_visual(doc)]]
            replies.append(doc["answer"] if sys.argv[3] == "truth" else "I would rather not say")
        return replies

    def loglikelihood(self, requests):
        raise NotImplementedError

    generate_until_multi_round = loglikelihood

model = Model()
manager = TaskManager(include_path=sys.argv[1], include_defaults=False)
made = evaluator.simple_evaluate(model=model, tasks=[sys.argv[2]], task_manager=manager, log_samples=False, bootstrap_iters=0)
scores = {name: [one["score,none"], one["parsed,none"]] for name, one in made["results"].items()}
print(json.dumps({"all": manager.all_tasks, "scores": scores, "seen": model.seen}))
"""


@pytest.mark.parametrize(("replies", "score"), [("truth", 1.0), ("nothing", 0.0)])
def test_lmms_eval_finds_the_tasks_shows_prompt_and_images_and_scores_with_our_formats(dataset, tmp_path, replies, score):
    out = exported(dataset, tmp_path / "rooms", "lmms-eval")
    group = "sightline_rooms_train"
    told = told_by(LMMS_EVAL, RUN_BY_LMMS_EVAL, str(out), group, replies, cache=tmp_path)
    samples = samples_of(dataset, "train")
    tasks = {f"{group}_{sample.task}" for sample in samples}
    assert set(told["scores"]) == {group, *tasks} and {group, "sightline_rooms_held_out", *tasks} <= set(told["all"])
    assert told["seen"] == {sample.sample_id: [sample.prompt, [[320, 240]] * len(sample.frame_ids)] for sample in samples}
    for name, (reached, parsed) in told["scores"].items():
        is_words = name.endswith("text_task")  # any words are a text: read, and wrong
        assert reached == score, name
        assert parsed == (1.0 if replies == "truth" or is_words else 0.0) or name == group, name


def test_the_environment_of_this_suite_holds_none_of_these_libraries():
    for name in ("llamafactory", "lmms_eval"):
        done = subprocess.run([sys.executable, "-c", f"import {name}"], capture_output=True)
        assert done.returncode != 0, f"{name} would drag its own versions into the project's environment"
