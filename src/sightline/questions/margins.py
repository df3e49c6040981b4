"""A task's margins: its own defaults, with what the caller set over them."""

from collections.abc import Mapping
from types import MappingProxyType

from sightline.catalog import nearest
from sightline.errors import UnknownNameError
from sightline.questions.question import TASKS, QuestionTask, TaskOptions


def margins_of(task: type[QuestionTask] | QuestionTask, options: TaskOptions) -> Mapping[str, float]:
    """Margins of a task by name. Raises UnknownNameError for one that the task does not know."""
    asked = options.extra.get(task.name, {})
    for name in asked:
        if name not in task.MARGINS:
            raise UnknownNameError(
                f"extra.{task.name}.{name}: no such margin.{nearest(name, list(task.MARGINS))} Known: {', '.join(task.MARGINS)}"
            )
    return MappingProxyType({**task.MARGINS, **asked})


def refuse_unknown(options: TaskOptions) -> None:
    """Raise UnknownNameError where `options.extra` names a task or a margin that is not there."""
    for name in options.extra:
        margins_of(TASKS[name], options)
