"""Charts as inline SVG: scores beside their baselines, training curves, histograms. Colours and fonts come from the page's style."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from sightline.evaluation.results import Interval
from sightline.reports import svg
from sightline.reports.svg import Markup

BAR_PX, BAR_GAP_PX, ROW_GAP_PX = 15.0, 3.0, 20.0
LABEL_PX, VALUE_PX = 190.0, 62.0  # room left of the bars for task names, right of them for numbers
CHART_PX = 860.0
HEADLINE_SERIES, BLIND_SERIES, RIVAL_SERIES = 1, 3, (0, 2, 4)  # colours of the page's style
NOISY = 4.0  # a curve that goes up and down this many times its range is read by its running mean
MAX_POINTS = 400  # of one drawn curve; more cannot be seen


@dataclass(frozen=True, kw_only=True, slots=True)
class Bar:
    """One model's score on one task. `series` counts the models and picks the colour."""

    series: int
    name: str
    value: Interval


@dataclass(frozen=True, kw_only=True, slots=True)
class Tick:
    """A baseline drawn across the bars of a task; `kind` is chance, most_frequent or blind."""

    kind: str
    name: str
    value: float


@dataclass(frozen=True, kw_only=True, slots=True)
class BarRow:
    """All bars and ticks of one task."""

    label: str
    bars: tuple[Bar, ...]
    ticks: tuple[Tick, ...]
    is_marked: bool = False  # the headline model is above all rivals with separated intervals
    is_total: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Curve:
    """A line of a chart: equally many x and y."""

    name: str
    series: int
    x: tuple[float, ...]
    y: tuple[float, ...]


def score_bars(rows: Sequence[BarRow], *, label: str) -> Markup:
    """Horizontal bars of scores 0..1, drawn as 0..100, with 95 % whiskers and baseline ticks."""
    left, right = LABEL_PX, CHART_PX - VALUE_PX
    drawn: list[Markup] = []
    y = 8.0
    tops = []
    for row in rows:
        height = len(row.bars) * (BAR_PX + BAR_GAP_PX) - BAR_GAP_PX
        tops.append((y, height))
        y += height + ROW_GAP_PX
    bottom = y - ROW_GAP_PX / 2

    def x_of(value: float) -> float:
        return left + (right - left) * min(max(value, 0.0), 1.0)

    for percent in range(0, 101, 20):
        x = x_of(percent / 100)
        drawn.append(svg.line(x, 0, x, bottom, class_="grid"))
        drawn.append(svg.text(x, bottom + 16, str(percent), class_="axis", text_anchor="middle"))
    for row, (top, height) in zip(rows, tops):
        if row.is_marked:
            band = svg.rect(0, top - ROW_GAP_PX / 2 + 1, CHART_PX, height + ROW_GAP_PX - 2, class_="separated", rx=4)
            drawn.append(band)
        if row.is_total:
            drawn.append(svg.line(0, top - ROW_GAP_PX / 2, CHART_PX, top - ROW_GAP_PX / 2, class_="rule"))
        middle = top + height / 2 + 4.5
        star = "\u2605 " if row.is_marked else ""
        drawn.append(svg.text(left - 12, middle, star + row.label, class_="total" if row.is_total else "label", text_anchor="end"))
        for index, bar in enumerate(row.bars):
            drawn.extend(_bar(bar, top + index * (BAR_PX + BAR_GAP_PX), left=left, x_of=x_of))
        for tick in row.ticks:
            x = x_of(tick.value)
            title = svg.element("title", f"{tick.name}: {100 * tick.value:.1f}")
            drawn.append(
                svg.element(
                    "path", title, d=f"M{svg.number(x)} {svg.number(top - 5)}V{svg.number(top + height + 5)}", class_=f"tick {tick.kind}"
                )
            )
        for index, bar in enumerate(row.bars):  # last, so that no tick hides a number
            words, x = f"{100 * bar.value.mean:.1f}", x_of(max(bar.value.high, bar.value.mean)) + 8
            drawn.append(svg.text(x, top + index * (BAR_PX + BAR_GAP_PX) + BAR_PX / 2 + 4, words, class_="value"))
    return svg.canvas(drawn, width=CHART_PX, height=bottom + 24, label=label, class_="chart bars")


def _bar(bar: Bar, top: float, *, left: float, x_of) -> list[Markup]:  # noqa: ANN001 - the scale of the chart above
    interval = bar.value
    end, low, high = x_of(interval.mean), x_of(interval.low), x_of(interval.high)
    middle = top + BAR_PX / 2
    words = f"{bar.name}: {100 * interval.mean:.1f} ({100 * interval.low:.1f} to {100 * interval.high:.1f})"
    cap = 3.5
    whisker = f"M{svg.number(low)} {svg.number(middle)}H{svg.number(high)}"
    whisker += "".join(f"M{svg.number(x)} {svg.number(middle - cap)}v{svg.number(2 * cap)}" for x in (low, high))
    return [
        svg.rect(left, top, max(end - left, 1.0), BAR_PX, svg.element("title", words), class_=f"bar series-{bar.series}", rx=2),
        svg.element("path", d=whisker, class_="whisker"),
    ]


def line_chart(
    curves: Sequence[Curve], *, title: str, x_label: str, is_log: bool = False, width: float = 420.0, height: float = 230.0
) -> Markup:
    """Curves over one x axis. Faint raw points with a running mean over them where a curve is long and noisy."""
    curves = [curve for curve in curves if curve.x]
    if is_log:
        curves = [_only_positive(curve) for curve in curves]
    values = [y for curve in curves for y in curve.y]
    if not values:
        return svg.canvas(
            [svg.text(width / 2, height / 2, "nothing recorded", class_="axis", text_anchor="middle")],
            width=width,
            height=height,
            label=title,
        )
    scaled = [math.log10(value) for value in values] if is_log else values
    ticks = _log_ticks(min(scaled), max(scaled)) if is_log else _ticks(min(scaled), max(scaled))
    low, high = min(min(scaled), ticks[0]), max(max(scaled), ticks[-1])
    x_ticks = _ticks(min(min(curve.x) for curve in curves), max(max(curve.x) for curve in curves))
    x_low, x_high = min(x_ticks[0], min(min(c.x) for c in curves)), max(x_ticks[-1], max(max(c.x) for c in curves))
    left, top, right, bottom = 54.0, 30.0, width - 14.0, height - 36.0

    def x_of(value: float) -> float:
        return left + (right - left) * (value - x_low) / ((x_high - x_low) or 1.0)

    def y_of(value: float) -> float:
        at = math.log10(value) if is_log else value
        return bottom - (bottom - top) * (at - low) / ((high - low) or 1.0)

    drawn = [svg.text(left, 16, title, class_="heading")]
    for tick in ticks:
        at = 10.0**tick if is_log else tick
        drawn.append(svg.line(left, y_of(at), right, y_of(at), class_="grid"))
        drawn.append(svg.text(left - 7, y_of(at) + 4, _short(at), class_="axis", text_anchor="end"))
    for tick in x_ticks:
        drawn.append(svg.text(x_of(tick), bottom + 16, _short(tick), class_="axis", text_anchor="middle"))
    drawn.append(svg.text((left + right) / 2, height - 4, x_label, class_="axis", text_anchor="middle"))
    for curve in curves:
        smooth = _running_mean(curve)
        for shape, kind in ((curve, "raw"), (smooth, "line")) if smooth is not None else ((curve, "line"),):
            path = svg.points((x_of(x), y_of(y)) for x, y in _thinned(shape))
            drawn.append(svg.element("polyline", svg.element("title", curve.name), points=path, class_=f"{kind} stroke-{curve.series}"))
    return svg.canvas(drawn, width=width, height=height, label=title)


def histogram(
    counts: Sequence[int], labels: Sequence[str], *, title: str, series: int = 0, width: float = 300.0, height: float = 150.0
) -> Markup:
    """Bars of counts with a label under each; labels thin out where they would touch."""
    shows_counts = len(counts) <= 8
    left, top, right, bottom = 6.0, 42.0 if shows_counts else 28.0, width - 6.0, height - 22.0
    step = (right - left) / max(len(counts), 1)
    peak = max([*counts, 1])
    widest = max((len(one) for one in labels), default=1) * 6.2 + 6  # px of an 11 px digit
    every = max(1, math.ceil(widest / step))
    drawn = [svg.text(left, 15, title, class_="heading"), svg.line(left, bottom, right, bottom, class_="rule")]
    for index, (count, label) in enumerate(zip(counts, labels)):
        bar_height = (bottom - top) * count / peak
        x = left + index * step
        words = svg.element("title", f"{label}: {count}")
        drawn.append(svg.rect(x + step * 0.08, bottom - bar_height, step * 0.84, bar_height, words, class_=f"bar series-{series}", rx=1.5))
        if index % every == 0:
            drawn.append(svg.text(x + step / 2, bottom + 15, label, class_="axis", text_anchor="middle"))
        if shows_counts:
            drawn.append(svg.text(x + step / 2, bottom - bar_height - 4, str(count), class_="axis", text_anchor="middle"))
    return svg.canvas(drawn, width=width, height=height, label=title)


def word_bars(counts: Sequence[int], words: Sequence[str], *, title: str, series: int = 0, width: float = 300.0) -> Markup:
    """Horizontal bars of counts beside their words."""
    top, step = 26.0, 17.0
    left = min(130.0, 12.0 + max((len(word) for word in words), default=0) * 6.4)
    peak = max([*counts, 1])
    drawn = [svg.text(6.0, 15, title, class_="heading")]
    for index, (count, word) in enumerate(zip(counts, words)):
        y = top + index * step
        shown = word if len(word) <= 18 else word[:17] + "\u2026"
        drawn.append(svg.text(left - 6, y + 11, shown, class_="axis", text_anchor="end"))
        length = (width - left - 40.0) * count / peak
        drawn.append(
            svg.rect(left, y + 1, max(length, 1.0), step - 4, svg.element("title", f"{word}: {count}"), class_=f"bar series-{series}", rx=2)
        )
        drawn.append(svg.text(left + length + 5, y + 11, str(count), class_="axis"))
    return svg.canvas(drawn, width=width, height=top + step * len(counts) + 6, label=title)


def _only_positive(curve: Curve) -> Curve:
    kept = [(x, y) for x, y in zip(curve.x, curve.y) if y > 0]
    return Curve(name=curve.name, series=curve.series, x=tuple(x for x, _ in kept), y=tuple(y for _, y in kept))


def _running_mean(curve: Curve) -> Curve | None:
    """Mean over the last 5 % of a curve, or None where it is too short or too smooth to need one."""
    window = len(curve.y) // 20
    climbed = sum(abs(after - before) for before, after in zip(curve.y, curve.y[1:]))
    if window < 2 or climbed <= NOISY * (max(curve.y) - min(curve.y)):
        return None
    total, means = 0.0, []
    for index, value in enumerate(curve.y):
        total += value
        if index >= window:
            total -= curve.y[index - window]
        means.append(total / min(index + 1, window))
    return Curve(name=curve.name, series=curve.series, x=curve.x, y=tuple(means))


def _thinned(curve: Curve) -> list[tuple[float, float]]:
    every = max(1, math.ceil(len(curve.x) / MAX_POINTS))
    pairs = list(zip(curve.x, curve.y))
    return pairs[::every] if (len(pairs) - 1) % every == 0 else [*pairs[::every], pairs[-1]]


def _ticks(low: float, high: float, *, wanted: int = 4) -> list[float]:
    """Round values (1, 2 or 5 times a power of ten) from at most `low` to at least `high`."""
    if high <= low:
        low, high = low - (abs(low) * 0.1 or 0.5), high + (abs(high) * 0.1 or 0.5)
    rough = (high - low) / wanted
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [index * step for index in range(first, last + 1)]


def _log_ticks(low: float, high: float) -> list[float]:
    first, last = math.floor(low), math.ceil(high)
    every = max(1, math.ceil((last - first) / 5))
    return [float(power) for power in range(first, max(last, first + 1) + 1, every)]


def _short(value: float) -> str:
    if value != 0 and (abs(value) < 1e-3 or abs(value) >= 1e5):
        mantissa, exponent = f"{value:.0e}".split("e")
        return f"{mantissa}e{int(exponent)}"
    return f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.0f}"
