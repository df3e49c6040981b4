"""Every kind of question is documented with a definition and a picture, and every preset asks kinds that exist."""

import re
from pathlib import Path

import pytest

from sightline.config import build
from sightline.errors import ConfigError, UnknownNameError
from sightline.questions import TASKS
from sightline.questions.question import TaskOptions
from sightline.samples.preset import preset_names, read_preset

DOCS = Path(__file__).parents[2] / "docs"
PAGES = {page.stem: page.read_text("utf-8") for page in sorted((DOCS / "tasks").glob("*.md"))}


@pytest.mark.parametrize("task", TASKS)
def test_a_kind_of_question_has_one_section_with_its_picture(task):
    sections = [text for page in PAGES.values() for text in re.split(r"^## ", page, flags=re.M)[1:] if text.split("\n")[0].strip() == task]
    assert len(sections) == 1
    assert f"![{task}](../pictures/tasks/{task}.jpg)" in sections[0]
    assert (DOCS / "pictures" / "tasks" / f"{task}.jpg").stat().st_size > 5_000
    assert f"`{task}`" in (DOCS / "tasks.md").read_text("utf-8")


@pytest.mark.parametrize("name", preset_names())
def test_a_preset_asks_kinds_and_options_that_exist(name):
    preset = read_preset(name)
    assert len(set(preset.tasks)) == len(preset.tasks) and set(preset.tasks) <= set(TASKS)
    build(TaskOptions, preset.options, where=name)
    assert preset.about.endswith(".") and f"`{name}`" in (DOCS / "tasks.md").read_text("utf-8")


def test_the_presets_of_the_field_are_complete():
    assert len(read_preset("multispa").tasks) == 18 + 4  # and the four about movement count once per source: 26 subtasks
    assert len(read_preset("vsi").tasks) == 10
    assert read_preset("multispa-strict").strict_facts and read_preset("multispa-strict").options["max_overlap"] == 0.35


def test_a_preset_that_does_not_exist_is_answered_with_the_nearest(tmp_path):
    with pytest.raises(UnknownNameError, match="no question preset called 'multispah'. Did you mean 'multispa'"):
        read_preset("multispah")
    own = tmp_path / "own.yaml"
    own.write_text("about: Mine.\ntasks: [camera_distanse]\n")
    with pytest.raises(UnknownNameError, match="Did you mean 'camera_distance'"):
        read_preset(str(own))
    own.write_text("about: Mine.\ntask: [camera_distance]\n")
    with pytest.raises(ConfigError, match="own.yaml: key 'tasks' is missing"):
        read_preset(str(own))


def test_every_option_is_documented():
    page = (DOCS / "tasks.md").read_text("utf-8")
    for name in TaskOptions.__dataclass_fields__:
        assert f"`{name}`" in page or f"`{name}." in page, name
