"""Small scenes for tests of relations, situations and grounding: boxes at round places, cameras along the axes, changed copies."""

from dataclasses import replace

import numpy as np
from handmade_facts import facts_of

from sightline.answers.answer import Answer
from sightline.answers.box import Box as BoxAnswer
from sightline.answers.box3d import Box3d
from sightline.answers.choice import Choice
from sightline.answers.image_set import ImageSet
from sightline.answers.point import Point
from sightline.answers.word import Word
from sightline.captures.capture import SceneObject
from sightline.facts.fact import FactTable
from sightline.geometry.boxes import Box
from sightline.geometry.transforms import look_at
from sightline.questions.engine import ask_all
from sightline.questions.question import Question, TaskOptions

EYE = np.array([0.0, 0.0, 1.5])
NORTH, SOUTH, EAST, WEST = (look_at(EYE, EYE + [x, y, 0.0]) for x, y in ((0.0, 5.0), (0.0, -5.0), (5.0, 0.0), (-5.0, 0.0)))
FROM_AFAR = look_at(np.array([0.0, -5.5, 4.5]), np.array([0.0, 0.5, 0.0]))  # sees the whole floor


def box_object(object_id: int, category: str, centre: list[float], size: list[float], yaw_deg: float = 0.0) -> SceneObject:
    box = Box.upright(centre_world=np.array(centre, dtype=float), size_m=np.array(size, dtype=float), yaw_rad=np.radians(yaw_deg))
    return SceneObject(object_id=object_id, category=category, box=box)


def scene(poses: list[np.ndarray], *objects: SceneObject) -> FactTable:
    return facts_of(np.array(poses), tuple(objects))


def questions(facts: FactTable, task: str, *, seeds=range(6), **options) -> list[Question]:
    chosen = TaskOptions(**{"max_per_frame": 100, **options})  # there is but one frame
    return [one for seed in seeds for one in ask_all(facts, [task], seed=seed, options=chosen).questions]


def skips(facts: FactTable, task: str, **options) -> dict[str, int]:
    asked = ask_all(facts, [task], seed=0, options=TaskOptions(**options))
    assert asked.questions == ()
    return dict(asked.skip_counts[task])


def said(question: Question) -> str:
    """The answer in words, a letter replaced by its option."""
    form = question.answer.format
    return form.option_of(question.answer.value) if isinstance(form, Choice) else question.answer.text


def mirrored(facts: FactTable) -> FactTable:
    """The scene in a mirror that exchanges east and west; every image becomes its mirror image."""
    mirror = np.diag([-1.0, 1.0, 1.0, 1.0])
    objects = tuple(
        replace(one, box=Box(size_m=one.box.size_m, world_from_object=mirror @ one.box.world_from_object @ mirror)) for one in facts.objects
    )
    return facts_of(mirror @ facts.frames.world_from_camera @ mirror, objects)


def scaled(facts: FactTable, by: float) -> FactTable:
    """The scene at another size; the images stay as they are."""
    poses = facts.frames.world_from_camera.copy()
    poses[:, :3, 3] *= by
    objects = []
    for one in facts.objects:
        pose = one.box.world_from_object.copy()
        pose[:3, 3] *= by
        objects.append(replace(one, box=Box(size_m=by * one.box.size_m, world_from_object=pose)))
    return facts_of(poses, tuple(objects))


def wrong_answers(question: Question) -> list[Question]:
    """The question with answers that are false: other letters and words, numbers and places off by a fifth, other sets."""
    form, value = question.answer.format, question.answer.value
    if isinstance(form, Choice):
        values = [one for one in form.letters if one != value]
    elif isinstance(form, Word):
        values = [one for one in form.words if one != value]
    elif isinstance(form, ImageSet):
        values = [form.parse(one) for one in form.json_schema()["enum"] if form.parse(one) != value]
    elif isinstance(form, Point):
        x, y = form.to_px(value)
        values = [form.from_px((x + 0.2 * form.width) % form.width, y)]
    elif isinstance(form, BoxAnswer):
        left, top, right, bottom = value
        wide, tall = 0.2 * (right - left), 0.2 * (bottom - top)
        values = [(left - wide, top, right - wide, bottom), (left, top + tall, right, bottom + tall), (left, top, right + wide, bottom)]
    elif isinstance(form, Box3d):
        steps = 0.2 * np.array([value[3], value[4], value[5], value[3], value[4], value[5]])
        values = [tuple(np.array(value) + np.eye(7)[index] * step) for index, step in enumerate(steps)]
        values += [(*value[:6], value[6] + 90.0)] if value[3] > 1.2 * value[4] else []
    else:
        values = [value * 1.2, value * 0.8] if value >= 1.0 and form.decimals else [value + 1.0, abs(value - 1.0)]
    return [replace(question, answer=Answer(format=form, value=one)) for one in values]
