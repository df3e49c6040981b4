"""The page of one scan's facts: overlap, visible points, the plan with free space, objects over frames, coverage and tracks."""

import base64
import io
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from pathlib import Path

import numpy as np
from PIL import Image

from sightline.errors import MissingExtraError
from sightline.facts.describe import describe
from sightline.facts.fact import ON_FLOOR, FactTable, FreeSpaceFacts
from sightline.facts.outline import footprint
from sightline.files import write_text
from sightline.reports import fact_summaries, plots, svg
from sightline.reports.fact_summaries import Table
from sightline.reports.plans import MARGIN_M, PLAN_PX, Sheet, hue_of
from sightline.reports.sections import Tile
from sightline.reports.svg import Markup

try:
    import jinja2
except ModuleNotFoundError as error:
    raise MissingExtraError("jinja2", "view") from error

MATRIX_CELLS = 480  # on one side of a drawn matrix: more cannot be seen, so neighbours are averaged
MATRIX_PX = 460.0
MAX_LABELS = 60  # rows with names; more could not be read
PLAN_HEIGHT_PX = 560.0
INK, UNKNOWN = (15, 157, 118), (140, 146, 158, 70)  # full cells in the style's green, cells that are not known in grey
FREE_RGBA, TAKEN_RGBA = (15, 157, 118, 95), (194, 96, 127, 120)


@dataclass(frozen=True, kw_only=True, slots=True)
class Drawing:
    """One panel of the page."""

    title: str
    words: str
    drawing: Markup


def write_fact_page(table: FactTable, path: Path) -> None:
    """Write the page to `path`, atomically: one HTML file that needs nothing else."""
    write_text(path, render_fact_page(table))


def render_fact_page(table: FactTable) -> str:
    """The page as one HTML document; what was not measured is listed with its reason."""
    panels = [overlap_panel(table), curve_panel(table), plan_panel(table), object_panel(table)]
    summaries = (fact_summaries.rooms(table), fact_summaries.coverage(table), fact_summaries.tracks(table), fact_summaries.windows(table))
    tables: list[Table] = [one for one in (*summaries, fact_summaries.correspondences(table)) if one is not None]
    return _template().render(
        table=table,
        tiles=_tiles(table),
        lines=describe(table),
        panels=[one for one in panels if one is not None],
        tables=tables,
        skips=sorted(table.skips.items()),
    )


def _tiles(table: FactTable) -> list[Tile]:
    tiles = [Tile(value=f"{len(table.frames.frame_ids):,}", name="frames", detail=f"{len(table.pairs.first):,} pairs")]
    if table.objects is not None:
        tiles.append(Tile(value=f"{len(table.objects):,}", name="objects", detail=f"{len(table.counts)} categories"))
    if table.rooms is not None:
        detail = "by outline" if table.rooms.from_outline.all() else "of the floor seen"
        tiles.append(Tile(value=f"{table.rooms.area_m2.sum():.1f} m\u00b2", name="floor area", detail=detail))
    if table.free_space is not None:
        free_m2 = ((table.free_space.cells == 1).sum(axis=1) * table.free_space.cell_m**2).sum()
        tiles.append(Tile(value=f"{free_m2:.1f} m\u00b2", name="free to walk"))
    return tiles


def matrix_image(row: np.ndarray, column: np.ndarray, value: np.ndarray, *, shape: tuple[int, int]) -> np.ndarray:
    """Values 0..1 at rows and columns of a matrix `shape` as an `(H, W, 4)` picture, at most `MATRIX_CELLS` on a side.

    Where several fall into one cell it shows the mean of the known ones; NaN and cells without a value are grey.
    """
    height, width = (min(size, MATRIX_CELLS) for size in shape)
    known = np.isfinite(value)
    at = (row[known].astype(np.int64) * height // shape[0]) * width + column[known].astype(np.int64) * width // shape[1]
    counts = np.bincount(at, minlength=height * width)
    means = np.bincount(at, weights=value[known], minlength=height * width) / np.maximum(counts, 1)
    picture = np.empty((height * width, 4), dtype=np.uint8)
    picture[:, :3] = INK
    picture[:, 3] = np.rint(255.0 * np.clip(means, 0.0, 1.0))
    picture[counts == 0] = UNKNOWN
    return picture.reshape(height, width, 4)


def _picture(pixels: np.ndarray, *, x: float, y: float, width: float, height: float) -> Markup:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, format="PNG", optimize=True)
    href = "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode("ascii")
    return svg.element(
        "image", href=href, x=x, y=y, width=width, height=height, preserveAspectRatio="none", style="image-rendering:pixelated"
    )


def overlap_panel(table: FactTable) -> Drawing | None:
    """Overlap of all pairs as a symmetric matrix; None for a single frame."""
    count, pairs = len(table.frames.frame_ids), table.pairs
    if count < 2:
        return None
    here = np.arange(count)
    row, column = np.concatenate([pairs.first, pairs.second, here]), np.concatenate([pairs.second, pairs.first, here])
    seeing = np.where(table.frames.visible_points > 0, 1.0, np.nan)
    pixels = matrix_image(row, column, np.concatenate([pairs.overlap, pairs.overlap, seeing]), shape=(count, count))
    left, top, side = 34.0, 6.0, MATRIX_PX - 46.0
    drawn = [_picture(pixels, x=left, y=top, width=side, height=side), _frame_of(left, top, side, side)]
    drawn += _frame_axis(count, left=left, width=side, y=top + side)
    for tick in _round_ticks(count):
        drawn.append(svg.text(left - 6, top + side * (tick + 0.5) / count + 4, str(tick), class_="axis", text_anchor="end"))
    drawing = svg.canvas(drawn, width=MATRIX_PX, height=top + side + 36, label="Overlap of frame pairs")
    words = "Intersection over union of visible points, from none (paper) to all (green); grey: not measured, or neither sees a point."
    return Drawing(title="Overlap of frame pairs", words=words, drawing=drawing)


def curve_panel(table: FactTable) -> Drawing:
    """How many points each frame sees."""
    seen = table.frames.visible_points
    curve = plots.Curve(name="visible points", series=1, x=tuple(map(float, range(len(seen)))), y=tuple(map(float, seen)))
    drawing = plots.line_chart([curve], title="points", x_label="frame", width=MATRIX_PX, height=300.0)
    words = f"Scene points each frame sees; depth readings on {table.frames.depth_coverage.mean():.0%} of pixels."
    return Drawing(title="Visible points", words=words, drawing=drawing)


def object_panel(table: FactTable) -> Drawing | None:
    """Visible share of every object in every frame, objects in the order of their first appearance; None where none is seen."""
    views, count = table.object_views, len(table.frames.frame_ids)
    if views is None or len(views.frame) == 0:
        return None
    ids, at = np.unique(views.object_id, return_inverse=True)
    appears = np.full(len(ids), count)
    np.minimum.at(appears, at, views.frame)
    order = np.lexsort((ids, appears))
    place = np.empty(len(ids), dtype=np.int64)
    place[order] = np.arange(len(ids))
    rows = place[at]
    shares = np.where(np.isfinite(views.visible_share), views.visible_share, 1.0)  # without scene points of its own: seen is all we know
    pixels = matrix_image(rows, views.frame, shares, shape=(len(ids), count))
    pixels[(pixels == UNKNOWN).all(axis=2)] = 0  # no row here means not seen
    named = len(ids) <= MAX_LABELS
    left, top, width = (130.0 if named else 16.0), 6.0, MATRIX_PX - (142.0 if named else 28.0)
    height = len(ids) * 13.0 if named else MATRIX_PX
    drawn = [_picture(pixels, x=left, y=top, width=width, height=height), _frame_of(left, top, width, height)]
    category = {one.object_id: one.category for one in table.objects or ()}
    for line, one in enumerate(ids[order] if named else ()):
        name = f"{category.get(int(one), 'object')} {one}"
        shown = name if len(name) <= 19 else name[:18] + "\u2026"
        drawn.append(svg.text(left - 6, top + 13.0 * line + 10, shown, class_="axis", text_anchor="end"))
    drawn += _frame_axis(count, left=left, width=width, y=top + height)
    drawing = svg.canvas(drawn, width=MATRIX_PX, height=top + height + 36, label="Objects over frames")
    words = f"Visible share of an object's points; {len(ids)} of {len(table.objects or ())} objects are seen, in the order they appear."
    return Drawing(title="Objects over frames", words=words, drawing=drawing)


def _frame_of(left: float, top: float, width: float, height: float) -> Markup:
    return svg.rect(left, top, width, height, fill="none", class_="rule")


def _frame_axis(count: int, *, left: float, width: float, y: float) -> list[Markup]:
    drawn = []
    for tick in _round_ticks(count):
        drawn.append(svg.text(left + width * (tick + 0.5) / count, y + 15, str(tick), class_="axis", text_anchor="middle"))
    return [*drawn, svg.text(left + width / 2, y + 31, "frame", class_="axis", text_anchor="middle")]


def _round_ticks(count: int) -> list[int]:
    """At most seven frame numbers from 0, evenly and roundly apart."""
    step = next(power * factor for power in (1, 10, 100, 1000, 10_000, 100_000) for factor in (1, 2, 5) if power * factor * 7 >= count)
    return list(range(0, count, step))


def plan_panel(table: FactTable) -> Drawing | None:
    """Rooms, free space, objects and the camera's path from above; None where nothing of the floor is known."""
    if table.free_space is None and table.rooms is None:
        return None
    path = table.frames.world_from_camera[:, :2, 3]
    sheet = _sheet(table, path)
    drawn: list[Markup] = []
    outlines = table.structure.rooms if table.structure is not None else ()
    for room in outlines:
        drawn.append(svg.element("polygon", svg.element("title", room.label), points=sheet.points(room.outline_world), class_="floor"))
    if table.free_space is not None:
        drawn.append(_free_picture(table.free_space, sheet))
    for room in outlines:
        drawn.append(svg.element("polygon", points=sheet.points(room.outline_world), class_="wall", fill="none", stroke_width=2))
    drawn += _footprints(table, sheet)
    if table.room_links is not None and table.structure is not None:
        for first, second, place in zip(table.room_links.first, table.room_links.second, table.room_links.opening):
            opening = table.structure.openings[int(place)]
            words = f"{opening.kind}: room {first} to {'outside' if second < 0 else f'room {second}'}"
            drawn.append(svg.circle(*sheet.xy(opening.centre_world), 6.0, svg.element("title", words), class_="start"))
    spots = [sheet.xy(spot) for spot in path if np.isfinite(spot).all()]
    drawn.append(svg.element("polyline", points=svg.points(spots), class_="path"))
    drawn += [svg.circle(*spot, 4.0, class_="end") for spot in spots[-1:]]
    if table.rooms is not None:
        for centre, area_m2 in zip(table.rooms.centre_world, table.rooms.area_m2):
            drawn.append(svg.text(*sheet.xy(centre), f"{area_m2:.1f} m\u00b2", class_="room-label", text_anchor="middle"))
    drawing = svg.canvas(drawn, width=sheet.width_px, height=sheet.height_px, label="Plan with free space", class_="plan")
    words = "Green: one can walk there. Red: something stands there. Rings: doors and passages. The line: the camera's path."
    return Drawing(title="Plan with free space", words=words, drawing=drawing)


def _sheet(table: FactTable, path: np.ndarray) -> Sheet:
    spots = [path[np.isfinite(path).all(axis=1)]]
    spots += [room.outline_world for room in table.structure.rooms] if table.structure is not None else []
    space = table.free_space
    if space is not None:
        rows, columns = np.nonzero(space.cells)
        if len(rows):
            ends = np.array([[columns.min(), rows.min()], [columns.max() + 1, rows.max() + 1]])
            spots.append(space.origin_world[0, :2] + ends * space.cell_m[0])
    if table.rooms is not None:
        spots.append(table.rooms.centre_world[:, :2])
    every = np.concatenate(spots)
    low, high = every.min(axis=0) - MARGIN_M, every.max(axis=0) + MARGIN_M
    px_per_m = float(min(PLAN_PX / (high[0] - low[0]), PLAN_HEIGHT_PX / (high[1] - low[1])))
    left_m = float(low[0] + high[0] - PLAN_PX / px_per_m) / 2.0
    return Sheet(left_m=left_m, top_m=float(high[1]), px_per_m=px_per_m, width_px=PLAN_PX, height_px=float(high[1] - low[1]) * px_per_m)


def _free_picture(space: FreeSpaceFacts, sheet: Sheet) -> Markup:
    pixels = np.array([(0, 0, 0, 0), FREE_RGBA, TAKEN_RGBA], dtype=np.uint8)[space.cells[::-1]]  # row 0 of the grid is the lowest
    rows, columns = space.cells.shape
    cell_px = float(space.cell_m[0]) * sheet.px_per_m
    x, y = sheet.xy(space.origin_world[0, :2] + [0.0, rows * space.cell_m[0]])
    return _picture(pixels, x=x, y=y, width=columns * cell_px, height=rows * cell_px)


def _footprints(table: FactTable, sheet: Sheet) -> list[Markup]:
    places = table.object_places
    support = dict(zip(places.object_id.tolist(), places.support_id.tolist())) if places is not None else {}
    name = {one.object_id: f"{one.category} {one.object_id}" for one in table.objects or ()}
    drawn = []
    for one in table.objects or ():
        on = support.get(one.object_id)
        stands = (
            "" if on is None else " on the floor" if on == ON_FLOOR else f" on {name[on]}" if on in name else ", stands on nothing known"
        )
        style = f"fill:none;stroke:hsl({hue_of(one.category)} 55% 45%)"
        words = svg.element("title", name[one.object_id] + stands)
        drawn.append(svg.element("polygon", words, points=sheet.points(footprint(one.box)), class_="object", style=style))
    return drawn


@lru_cache(maxsize=1)
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(str(resources.files("sightline.reports") / "templates")),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("facts.html.j2")
