"""Named sets of question tasks with their options, as YAML: which questions a benchmark or training set of the field asks."""

from collections.abc import Mapping
from dataclasses import field
from importlib import resources
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from sightline.catalog import nearest
from sightline.config import build, config, read_yaml
from sightline.errors import UnknownNameError
from sightline.questions.question import TASKS

FOLDER = "recipes/questions"


@config
class QuestionPreset:
    """What to ask."""

    about: str  # one sentence for people
    tasks: tuple[str, ...]
    options: Mapping[str, Any] = field(default_factory=dict)  # of TaskOptions, over its defaults
    strict_facts: bool = False  # asks facts that were measured with the neighbours' visibility: `sightline measure STORE strict=true`
    benchmark_per_task: Annotated[int, Field(ge=0)] = 300  # held-out questions of each subtask in the benchmark


def preset_names() -> list[str]:
    """All presets that come with the package."""
    return sorted(path.stem for path in _root().glob("*.yaml"))


def read_preset(name: str) -> QuestionPreset:
    """A preset by name, or a YAML file by path. Raises UnknownNameError for an unknown preset or task, ConfigError for a bad file."""
    path = Path(name) if name.endswith((".yaml", ".yml")) else _root() / f"{name}.yaml"
    if not name.endswith((".yaml", ".yml")) and not path.is_file():
        known = preset_names()
        raise UnknownNameError(f"no question preset called '{name}'.{nearest(name, known)} Known: {', '.join(known)}")
    preset = build(QuestionPreset, read_yaml(path), where=str(name))
    for task in preset.tasks:
        TASKS[task]
    return preset


def _root() -> Path:
    return Path(str(resources.files("sightline") / FOLDER))
