"""Writes the report: one HTML file that opens from disk and needs nothing else."""

from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from pathlib import Path

from sightline.errors import DataError, MissingExtraError
from sightline.evaluation.results import MEAN
from sightline.files import write_text
from sightline.reports import sections
from sightline.reports.cards import plain_name
from sightline.reports.cloud import coloured_cloud
from sightline.reports.gallery import FrameLibrary, QuestionCard, TaskReplies, chosen_samples, question_card, task_replies
from sightline.reports.inputs import ReportInputs
from sightline.reports.plans import plan
from sightline.reports.svg import Markup
from sightline.scenes.scene import Scene

try:
    import jinja2
except ModuleNotFoundError as error:
    raise MissingExtraError("jinja2", "view") from error

PLAN_CLOUD_POINTS = 150_000


@dataclass(frozen=True, kw_only=True, slots=True)
class PlanCard:
    """One scan's plan with what is known of it."""

    scene: Scene
    drawing: Markup
    page: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskCards:
    task: str
    cards: tuple[QuestionCard, ...]


def write_report(inputs: ReportInputs, path: Path) -> None:
    """Write the report to `path`, atomically. Raises DataError for samples without a store, and what reading their images raises."""
    page = render_report(inputs)
    write_text(path, page.encode("utf-8", "replace").decode("utf-8"))  # a reply may hold half a character


def render_report(inputs: ReportInputs) -> str:
    """The report as one HTML document; images, charts and styles are inside, nothing is fetched, no script is needed."""
    if inputs.samples and inputs.store is None:
        raise DataError("report: expected the scene store that the samples' images lie in, found none")
    library = FrameLibrary(store=inputs.store or Path(), scenes={scene.scan_id: scene for scene in inputs.scenes})
    shown = chosen_samples(inputs.samples, inputs.cards_per_task)
    cards = [question_card(sample, library) for sample in shown]
    scores = sections.scores(inputs)
    replies = _replies(inputs, library, headline=scores.headline if scores is not None else "")
    return _template().render(
        inputs=inputs,
        tiles=_tiles(inputs, scores),
        scores=scores,
        series=sections.series_of([one.model for one in inputs.evaluations] or [run.model for run in inputs.runs], inputs.headline),
        plans=_plans(inputs),
        gallery=_grouped(cards),
        replies=replies,
        curves=sections.training_charts(inputs.runs, inputs.headline),
        statistics=sections.statistics(inputs.samples),
        splits=sections.splits_of(inputs.samples),
        skips=sorted(inputs.skips, key=lambda one: (one.task, -one.count, one.reason)),
        verified=[scene for scene in inputs.scenes if scene.verification is not None],
        total_s=sum(step.seconds or 0.0 for step in inputs.steps),
        frames=library.embedded() if library.keys else "",
    )


def _plans(inputs: ReportInputs) -> list[PlanCard]:
    drawn = []
    for scene in inputs.scenes:
        cloud = coloured_cloud(scene, max_points=PLAN_CLOUD_POINTS) if scene.structure is None else None
        drawn.append(PlanCard(scene=scene, drawing=plan(scene, cloud=cloud), page=inputs.scene_pages.get(scene.scan_id)))
    return drawn


def _replies(inputs: ReportInputs, library: FrameLibrary, *, headline: str) -> list[TaskReplies]:
    if headline not in inputs.results:
        return []
    by_id = {sample.sample_id: sample for sample in inputs.samples}
    return task_replies(by_id, inputs.results, headline=headline, per_task=inputs.replies_per_task, library=library)


def _grouped(cards: list[QuestionCard]) -> list[TaskCards]:
    tasks = dict.fromkeys(card.words.task for card in cards)
    return [TaskCards(task=task, cards=tuple(card for card in cards if card.words.task == task)) for task in tasks]


def _tiles(inputs: ReportInputs, scores: sections.Scores | None) -> list[sections.Tile]:
    tiles = []
    if scores is not None:
        mean = next(row for row in scores.rows if row.is_total)
        by_model = dict(zip(scores.models, mean.models))
        others = ", ".join(f"{model} {100 * interval.mean:.1f}" for model, interval in by_model.items() if model != scores.headline)
        tiles.append(
            sections.Tile(value=f"{100 * by_model[scores.headline].mean:.1f}", name=f"mean score of {scores.headline}", detail=others)
        )
        of = len(scores.rows) - 1
        detail = "and on the mean" if scores.is_mean_separated else "not on the mean"
        tiles.append(sections.Tile(value=f"{len(scores.separated)} of {of}", name="tasks above all rivals", detail=detail))
    if inputs.scenes:
        frames = sum(len(scene.frames) for scene in inputs.scenes)
        name = ("scan" if len(inputs.scenes) == 1 else "scans") + (" shown" if inputs.samples else "")
        tiles.append(sections.Tile(value=f"{len(inputs.scenes)}", name=name, detail=f"{frames:,} frames"))
    if inputs.samples:
        scans = len({sample.scan_id for sample in inputs.samples})
        tiles.append(
            sections.Tile(value=f"{len(inputs.samples):,}", name="questions", detail=f"from {scans} scan{'s' if scans != 1 else ''}")
        )
    if any(step.seconds for step in inputs.steps):
        total_s = sum(step.seconds or 0.0 for step in inputs.steps)
        tiles.append(sections.Tile(value=seconds(total_s), name="of steps, some side by side", detail=f"{len(inputs.steps)} steps"))
    return tiles


def seconds(value: float | None) -> str:
    """`42 s`, `3 min 05 s`, `1 h 02 min`."""
    if value is None:
        return "\u2013"
    if value < 10:
        return f"{value:.1f} s"
    if value < 100:
        return f"{value:.0f} s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def percent(value: float) -> str:
    """A share or score 0..1 as 0..100 with one decimal."""
    return f"{100 * value:.1f}"


@lru_cache(maxsize=1)
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(str(resources.files("sightline.reports") / "templates")),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(seconds=seconds, percent=percent, plain=plain_name)
    environment.globals["MEAN"] = MEAN
    return environment.get_template("report.html.j2")
