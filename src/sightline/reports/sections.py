"""The sections of a report as small records: what the page's template prints and the charts draw."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sightline.answers.choice import Choice
from sightline.answers.vector import Vector
from sightline.evaluation.compare import BASELINES, Comparison, Verdict, compare, rival_interval
from sightline.evaluation.results import MEAN, Evaluation, Interval, TaskScore
from sightline.reports import plots
from sightline.reports.cards import UNITS, plain_name
from sightline.reports.curves import in_order, read_metrics
from sightline.reports.inputs import ReportInputs, TrainingRun
from sightline.reports.svg import Markup
from sightline.samples.sample import Sample

BASELINE_NAMES = {"chance": "chance", "most_frequent": "most frequent answer", "blind": "blind (no images)"}
BLIND = "blind"  # the model that is shown no image
LOG_SCALE = frozenset(("loss",))
BINS = 14
MAX_WORDS = 10  # options shown in one histogram


@dataclass(frozen=True, kw_only=True, slots=True)
class Tile:
    """One number of the headline."""

    value: str
    name: str
    detail: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class ScoreRow:
    """One line of the score table."""

    task: str
    n: int
    models: tuple[Interval, ...]
    unparsable: tuple[int, ...]
    baselines: tuple[Interval | None, ...]
    constant: str
    difference: Interval | None  # headline minus one rival model, paired
    is_separated: bool
    is_total: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Scores:
    """The comparison of models."""

    headline: str
    models: tuple[str, ...]
    series: tuple[int, ...]
    baselines: tuple[str, ...]
    rows: tuple[ScoreRow, ...]
    chart: Markup
    separated: tuple[str, ...]  # tasks, without the mean
    is_mean_separated: bool
    rivals: tuple[str, ...]
    difference_from: str  # "" where the replies are not known
    resampled: str
    interval: str


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskStatistics:
    """What the data set holds of one task."""

    task: str
    counts: tuple[int, ...]  # per split, in the order of the section's splits
    templates: int
    charts: tuple[Markup, ...]


def scores(inputs: ReportInputs) -> Scores | None:
    """The comparison section, or None where nothing was evaluated."""
    if not inputs.evaluations:
        return None
    headline = next((one for one in inputs.evaluations if one.model == inputs.headline), inputs.evaluations[-1])
    others = [one for one in inputs.evaluations if one is not headline]
    models = [*others, headline]
    colours = series_of([one.model for one in models], headline.model)
    series = tuple(colours[one.model] for one in models)
    verdict = compare(headline, others, results=inputs.results)
    names = {one.model for one in models}
    baselines = tuple(one for one in BASELINES if one not in names and rival_interval(headline.mean, one) is not None)
    twin = _twin(verdict)
    rows = tuple(_score_row(task, models, headline, baselines, verdict) for task in (*headline.task_names, MEAN))
    return Scores(
        headline=headline.model,
        models=tuple(one.model for one in models),
        series=series,
        baselines=tuple(BASELINE_NAMES[one] for one in baselines),
        rows=rows,
        chart=plots.score_bars(
            [_bar_row(task, models, series, headline, baselines, verdict) for task in (*headline.task_names, MEAN)], label="Scores per task"
        ),
        separated=tuple(task for task in verdict.above_all if task != MEAN),
        is_mean_separated=MEAN in verdict.above_all,
        rivals=tuple(BASELINE_NAMES.get(one.rival, one.rival) for one in verdict.comparisons),
        difference_from=twin.rival if twin is not None else "",
        resampled=twin.differences.resampled if twin is not None and twin.differences is not None else "",
        interval=str(headline.card.get("interval", "95 % bootstrap")),
    )


def _twin(verdict: Verdict) -> Comparison | None:
    """The rival whose paired difference is shown: of the models whose replies are known the last one that sees."""
    paired = [one for one in verdict.comparisons if one.differences is not None]
    return next((one for one in reversed(paired) if one.rival != BLIND), paired[0] if paired else None)


def _score_row(task: str, models: Sequence[Evaluation], headline: Evaluation, baselines: Sequence[str], verdict: Verdict) -> ScoreRow:
    own, twin = headline.task(task), _twin(verdict)
    return ScoreRow(
        task=plain_name(task),
        n=own.n,
        models=tuple(one.task(task).score for one in models),
        unparsable=tuple(one.task(task).unparsable + one.task(task).missing for one in models),
        baselines=tuple(rival_interval(own, one) for one in baselines),
        constant=own.most_frequent_answer,
        difference=twin.differences.by_task[task] if twin is not None and twin.differences is not None else None,
        is_separated=task in verdict.above_all,
        is_total=task == MEAN,
    )


def _bar_row(
    task: str, models: Sequence[Evaluation], series: Sequence[int], headline: Evaluation, baselines: Sequence[str], verdict: Verdict
) -> plots.BarRow:
    own: TaskScore = headline.task(task)
    ticks = []
    for baseline in baselines:
        reached = rival_interval(own, baseline)
        if reached is not None:
            ticks.append(plots.Tick(kind=baseline, name=BASELINE_NAMES[baseline], value=reached.mean))
    return plots.BarRow(
        label=plain_name(task),
        bars=tuple(plots.Bar(series=colour, name=one.model, value=one.task(task).score) for colour, one in zip(series, models)),
        ticks=tuple(ticks),
        is_marked=task in verdict.above_all,
        is_total=task == MEAN,
    )


def training_charts(runs: Sequence[TrainingRun], headline: str | None) -> tuple[Markup, ...]:
    """One chart per logged number, all runs in it; the usual ones first."""
    logged = {run.model: read_metrics(run.metrics_path) for run in runs}
    names = {name for series in logged.values() for name in series}
    colours = series_of([run.model for run in runs], headline)
    charts = []
    for name in in_order(names):
        curves = [
            plots.Curve(name=model, series=colours[model], x=series[name].updates, y=series[name].values)
            for model, series in logged.items()
            if name in series
        ]
        is_log = name in LOG_SCALE and all(value > 0 for curve in curves for value in curve.y)
        charts.append(
            plots.line_chart(curves, title=plain_name(name) + (" (log scale)" if is_log else ""), x_label="update", is_log=is_log)
        )
    return tuple(charts)


def series_of(models: Sequence[str], headline: str | None = None) -> dict[str, int]:
    """A colour for every model; the headline model (or the last one) and the blind one have their own."""
    headline = headline if headline in models else (models[-1] if models else None)
    others = [model for model in models if model not in (headline, BLIND)]
    colours = {model: plots.RIVAL_SERIES[index % len(plots.RIVAL_SERIES)] for index, model in enumerate(others)}
    if BLIND in models:
        colours[BLIND] = plots.BLIND_SERIES
    if headline is not None:
        colours[headline] = plots.HEADLINE_SERIES
    return {model: colours[model] for model in models}


def splits_of(samples: Sequence[Sample]) -> tuple[str, ...]:
    """The splits of a data set, train first."""
    return tuple(sorted({sample.split for sample in samples}, key=lambda split: (split != "train", split)))


def statistics(samples: Sequence[Sample]) -> tuple[TaskStatistics, ...]:
    """Counts, answer histograms and the balance of option letters, per task."""
    splits = splits_of(samples)
    by_task: dict[str, list[Sample]] = {}
    for sample in samples:
        by_task.setdefault(sample.task, []).append(sample)
    return tuple(
        TaskStatistics(
            task=plain_name(task),
            counts=tuple(sum(sample.split == split for sample in rows) for split in splits),
            templates=len({sample.template_id for sample in rows}),
            charts=tuple(_answer_charts(rows)),
        )
        for task, rows in sorted(by_task.items())
    )


def _answer_charts(rows: Sequence[Sample]) -> list[Markup]:
    numbers: dict[str, list[float]] = {}
    for sample in rows:
        if isinstance(sample.answer_value, int | float):
            numbers.setdefault(UNITS.get(str(sample.answer_options.get("unit", "")), ""), []).append(float(sample.answer_value))
        elif sample.answer_kind == Vector.kind:
            unit = f"{UNITS[str(sample.answer_options['unit'])]}, length of the vector"
            numbers.setdefault(unit, []).append(float(np.linalg.norm(sample.answer_value)))
    charts = [_number_histogram(np.array(values), f"answers, {unit}" if unit else "answers") for unit, values in sorted(numbers.items())]
    letters: Counter[str] = Counter()
    words: Counter[str] = Counter()
    for sample in rows:
        if sample.answer_kind == Choice.kind:
            letters[str(sample.answer_value)] += 1
            words[sample.answer_format.option_of(str(sample.answer_value))] += 1
        elif isinstance(sample.answer_value, str):
            words[sample.answer_value] += 1
    if letters:
        offered = sorted({letter for sample in rows for letter in sample.answer_format.letters})
        charts.append(plots.histogram([letters[letter] for letter in offered], offered, title="right letter"))
    if words:
        common = words.most_common(MAX_WORDS)
        rest = sum(words.values()) - sum(count for _, count in common)
        shown = [*common, ("others", rest)] if rest else common
        charts.append(plots.word_bars([count for _, count in shown], [word for word, _ in shown], title="right answer"))
    return charts


def _number_histogram(numbers: np.ndarray, title: str) -> Markup:
    whole = bool((numbers == np.round(numbers)).all()) and numbers.max() - numbers.min() < 2 * BINS
    if whole:
        low, high = int(numbers.min()), int(numbers.max())
        counts = np.bincount(numbers.astype(np.int64) - low, minlength=high - low + 1)
        return plots.histogram(counts.tolist(), [str(value) for value in range(low, high + 1)], title=title)
    counts, edges = np.histogram(numbers, bins=BINS)
    digits = 0 if edges[-1] - edges[0] > 20 else 1
    return plots.histogram(counts.tolist(), [f"{edge:.{digits}f}" for edge in (edges[:-1] + edges[1:]) / 2], title=title)
