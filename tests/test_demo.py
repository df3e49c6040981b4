"""The demo at its smallest, by its own command: every step, every file, nothing twice."""

import html.parser
import json
import subprocess
import sys
import time

import pytest

from sightline.config import load
from sightline.demo import DemoRecipe, plan


def sightline(*arguments, timeout=600):
    return subprocess.run([sys.executable, "-m", "sightline.cli", *map(str, arguments)], capture_output=True, text=True, timeout=timeout)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    out = tmp_path_factory.mktemp("demo") / "out"
    done = sightline("demo", out, "--recipe", "demo/smallest")
    assert done.returncode == 0, done.stderr[-3000:]
    return out, done


@pytest.mark.end_to_end
def test_the_demo_ends_with_results_and_the_path_of_its_report(made):
    out, done = made
    assert str(out / "report.html") in done.stdout
    results = json.loads((out / "results.json").read_text())
    assert {model["model"] for model in results["models"]} == {"none", "sin3d", "blind"}
    for model in results["models"]:
        for task in [*model["tasks"], model["mean"]]:
            score = task["score"]
            assert 0.0 <= score["low"] <= score["mean"] <= score["high"] <= 1.0
            assert 0.0 <= task["chance"] <= 1.0 and task["most_frequent"]["mean"] >= 0.0
            if model["model"] != "blind":
                assert task["blind"] is not None


@pytest.mark.end_to_end
def test_the_report_opens_from_disk_alone(made):
    out, _ = made
    page = (out / "report.html").read_text(encoding="utf-8")
    assert 'href="browser/index.html"' in page and "sightlineRows" in (out / "browser" / "index.html").read_text(encoding="utf-8")
    links = []

    class Links(html.parser.HTMLParser):
        def handle_starttag(self, tag, attrs):
            links.extend(value for name, value in attrs if name in ("src", "href", "data", "action") and value)

    Links().feed(page)
    outside = [link for link in links if link.startswith(("http:", "https:", "//"))]
    assert links and not outside
    for link in links:
        if not link.startswith(("#", "data:")):
            assert (out / link).is_file(), link


@pytest.mark.end_to_end
def test_a_second_run_repeats_no_work(made):
    out, _ = made
    began_s = time.monotonic()
    again = sightline("demo", out, "--recipe", "demo/smallest")
    assert again.returncode == 0, again.stderr[-2000:]
    assert again.stderr.count("was done before") >= 10
    assert time.monotonic() - began_s < 60  # only the report is written anew


@pytest.mark.end_to_end
def test_a_trained_model_answers_a_question_of_ones_own(made):
    out, _ = made
    scan = next(path for path in sorted((out / "scenes").iterdir()) if path.is_dir() and not path.name.startswith("."))
    done = sightline("ask", "How far away is the red dot? Answer with a number in metres.", "--run", out / "runs/sin3d", "--scan", scan)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.count("\n") == 1  # one reply, which after eight updates may well be empty
    assert "2 images" in done.stderr and "tokens" in done.stderr
    wrong = sightline("ask", "What is <image> this?", "--run", out / "runs/sin3d", "--scan", scan)
    assert wrong.returncode == 2 and wrong.stderr.strip().count("\n") == 0 and "<image>" in wrong.stderr


@pytest.mark.parametrize("recipe", ["demo/standard", "demo/smallest"])
def test_the_plan_is_made_of_commands_that_exist(recipe, tmp_path):
    steps = [step for phase in plan(load(DemoRecipe, recipe), tmp_path) for chain in phase for step in chain]
    assert [step.name for step in steps][:4] == ["rooms", "import", "measure", "generate"]
    listed = sightline("--help").stdout
    assert all(f"  {step.arguments[0]} " in listed for step in steps)
