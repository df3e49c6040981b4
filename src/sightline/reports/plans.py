"""Top-down plans as SVG: rooms, walls, doors, windows, objects with labels, the camera's path and where it looked, a scale bar."""

import base64
import io
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image
from scipy.ndimage import uniform_filter
from scipy.spatial import ConvexHull

from sightline.captures.capture import Opening, SceneObject, Structure, Wall
from sightline.errors import SceneError
from sightline.reports import svg
from sightline.reports.cloud import ColouredCloud, evenly
from sightline.reports.svg import Markup
from sightline.scenes.scene import Scene

PLAN_PX = 620.0
MAX_HEIGHT_PX = 560.0
MARGIN_M = 0.45
BACKDROP_CELL_M = 0.03
VIEW_PX = 26.0  # length of a drawn view wedge
MAX_VIEWS = 14
LETTER_PX = 6.3  # mean width of a letter of the 12 px label font
FLAT = frozenset(("rug", "carpet", "mat"))  # drawn first and faintly: other things stand on them


@dataclass(frozen=True, kw_only=True, slots=True)
class Sheet:
    """Where the world lies on the drawing."""

    left_m: float
    top_m: float
    px_per_m: float
    width_px: float
    height_px: float

    def xy(self, point_world: np.ndarray | Sequence[float]) -> tuple[float, float]:
        """Drawing coordinates of a world point: +x right, +y up the page."""
        return (float(point_world[0]) - self.left_m) * self.px_per_m, (self.top_m - float(point_world[1])) * self.px_per_m

    def points(self, points_world: Sequence[np.ndarray]) -> str:
        return svg.points(self.xy(point) for point in points_world)


def plan(scene: Scene, *, cloud: ColouredCloud | None = None) -> Markup:
    """The plan of a scene. Where no walls are known, `cloud` seen from above stands for them.

    Raises SceneError for an opening without its wall, or a scene with nothing to draw.
    """
    sheet = _sheet(scene, cloud if scene.structure is None else None)
    drawn: list[Markup] = []
    if scene.structure is not None:
        drawn.extend(_rooms(scene.structure, sheet))
    elif cloud is not None:
        drawn.append(_backdrop(cloud, sheet))
    objects = sorted(scene.objects or (), key=_drawing_order)
    drawn.extend(_object(one, sheet) for one in objects)
    if scene.structure is not None:
        drawn.extend(_walls(scene.structure, sheet))
    drawn.extend(_path(scene, sheet))
    drawn.extend(_labels(scene, objects, sheet))
    drawn.append(_scale_bar(sheet))
    words = f"Plan of {scene.scan_id} from above"
    return svg.canvas(drawn, width=sheet.width_px, height=sheet.height_px, label=words, class_="plan")


def _sheet(scene: Scene, cloud: ColouredCloud | None) -> Sheet:
    spots = [frame.world_from_camera[:2, 3] for frame in scene.frames]
    spots += [corner[:2] for one in scene.objects or () for corner in one.box.corners_world()]
    if scene.structure is not None:
        spots += [end[:2] for wall in scene.structure.walls for end in (wall.a_world, wall.b_world)]
        spots += [corner for room in scene.structure.rooms for corner in room.outline_world]
    if cloud is not None and len(cloud.points_world):
        # a few stray readings through windows would shrink the room to a corner
        spots += list(np.quantile(cloud.points_world[:, :2], [0.005, 0.995], axis=0))
    if not spots:
        raise SceneError(f"scan '{scene.scan_id}': expected frames, objects or walls to draw a plan of, found none")
    low, high = np.min(spots, axis=0) - MARGIN_M, np.max(spots, axis=0) + MARGIN_M
    px_per_m = min(PLAN_PX / (high[0] - low[0]), MAX_HEIGHT_PX / (high[1] - low[1]))
    width_px, height_px = (high - low) * px_per_m
    return Sheet(
        left_m=float(low[0]), top_m=float(high[1]), px_per_m=float(px_per_m), width_px=float(width_px), height_px=float(height_px) + 34.0
    )


def _rooms(structure: Structure, sheet: Sheet) -> list[Markup]:
    drawn = []
    for room in structure.rooms:
        words = svg.element("title", f"{room.label}, {_area_m2(room.outline_world):.1f} m\u00b2")
        drawn.append(svg.element("polygon", words, points=sheet.points(room.outline_world), class_="floor"))
    return drawn


def _area_m2(outline: np.ndarray) -> float:
    """Shoelace formula."""
    x, y = outline[:, 0], outline[:, 1]
    return float(abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2.0)


def _walls(structure: Structure, sheet: Sheet) -> list[Markup]:
    drawn = []
    walls = {wall.wall_id: wall for wall in structure.walls}
    for wall in structure.walls:
        thickness_px = max(wall.thickness_m * sheet.px_per_m, 3.0)
        (ax, ay), (bx, by) = sheet.xy(wall.a_world), sheet.xy(wall.b_world)
        drawn.append(svg.line(ax, ay, bx, by, class_="wall", stroke_width=thickness_px, stroke_linecap="square"))
    for opening in structure.openings:
        if opening.wall_id not in walls:
            raise SceneError(f"{opening.kind}: expected wall {opening.wall_id} that it lies in, found walls {sorted(walls)}")
        drawn.append(_opening(opening, walls[opening.wall_id], sheet))
    return drawn


def _opening(opening: Opening, wall: Wall, sheet: Sheet) -> Markup:
    along = (wall.b_world - wall.a_world)[:2].astype(np.float64)
    along /= np.linalg.norm(along)
    across = np.array([-along[1], along[0]])
    centre = np.asarray(opening.centre_world, dtype=np.float64)[:2]
    start, end = centre - along * opening.width_m / 2.0, centre + along * opening.width_m / 2.0
    (ax, ay), (bx, by) = sheet.xy(start), sheet.xy(end)
    thickness_px = max(wall.thickness_m * sheet.px_per_m, 3.0)
    words = svg.element("title", f"{opening.kind}, {opening.width_m:.2f} m wide")
    parts: list[svg.Child] = [words, svg.line(ax, ay, bx, by, class_="gap", stroke_width=thickness_px + 1.0)]
    if opening.kind == "window":
        for side in (-1.0, 1.0):
            offset = across * side * wall.thickness_m * 0.25
            (cx, cy), (dx, dy) = sheet.xy(start + offset), sheet.xy(end + offset)
            parts.append(svg.line(cx, cy, dx, dy, class_="window"))
    elif opening.kind == "door":
        leaf_x, leaf_y = sheet.xy(start + across * opening.width_m)
        radius = opening.width_m * sheet.px_per_m
        arc = (
            f"M{svg.number(leaf_x)} {svg.number(leaf_y)}A{svg.number(radius)} {svg.number(radius)} 0 0 1 {svg.number(bx)} {svg.number(by)}"
        )
        parts += [svg.line(ax, ay, leaf_x, leaf_y, class_="door"), svg.element("path", d=arc, class_="swing")]
    return svg.group(parts)


def _drawing_order(one: SceneObject) -> tuple[bool, float, int]:
    """Flat things first, then from low to high tops: what stands on another thing is drawn over it."""
    top_m = float(one.box.corners_world()[:, 2].max())
    return one.category not in FLAT, top_m, one.object_id


def _footprint(one: SceneObject) -> np.ndarray:
    """What the box covers of the floor, `(K, 2)` in order around it."""
    corners = one.box.corners_world()[:, :2]
    return corners[ConvexHull(corners).vertices]


def hue_of(category: str) -> int:
    """A hue in degrees, the same for a category everywhere."""
    return (zlib.crc32(category.encode("utf-8")) * 137) % 360


def _object(one: SceneObject, sheet: Sheet) -> Markup:
    size = " \u00d7 ".join(f"{metres:.2f}" for metres in one.box.size_m)
    hue = hue_of(one.category)
    style = f"fill:hsl({hue} 60% 55%/{0.25 if one.category in FLAT else 0.55});stroke:hsl({hue} 55% 45%)"
    parts: list[svg.Child] = [
        svg.element("title", f"{one.category} {one.object_id}: {size} m"),
        svg.element("polygon", points=sheet.points(_footprint(one)), class_="object", style=style),
    ]
    if one.front_world is not None and np.hypot(*one.front_world[:2]) > 1e-6:
        heading = one.front_world[:2] / np.hypot(*one.front_world[:2])
        reach = float(np.abs(heading @ one.box.world_from_object[:2, :2]) @ one.box.size_m[:2]) / 2.0
        (ax, ay), (bx, by) = sheet.xy(one.box.centre_world), sheet.xy(one.box.centre_world[:2] + heading * reach)
        parts.append(svg.line(ax, ay, bx, by, class_="front", style=f"stroke:hsl({hue} 55% 45%)"))
    return svg.group(parts)


def _path(scene: Scene, sheet: Sheet) -> list[Markup]:
    if not scene.frames:
        return []
    centres = [sheet.xy(frame.world_from_camera[:2, 3]) for frame in scene.frames]
    drawn = [svg.element("polyline", points=svg.points(centres), class_="path")]
    for frame in evenly(scene.frames, MAX_VIEWS):
        drawn.append(_view(frame.world_from_camera, frame.intrinsics.width / frame.intrinsics.fx, frame.frame_id, sheet))
    drawn.append(svg.circle(*centres[0], 5.0, svg.element("title", "start of the walk"), class_="start"))
    drawn.append(svg.circle(*centres[-1], 5.0, svg.element("title", "end of the walk"), class_="end"))
    return drawn


def _view(world_from_camera: np.ndarray, spread: float, frame_id: str, sheet: Sheet) -> Markup:
    """The horizontal wedge a frame sees; `spread` is image width over focal length."""
    eye = world_from_camera[:2, 3]
    forward, right = world_from_camera[:2, 2], world_from_camera[:2, 0]
    reach_m = VIEW_PX / sheet.px_per_m
    corners = [eye, eye + reach_m * (forward - right * spread / 2.0), eye + reach_m * (forward + right * spread / 2.0)]
    return svg.element("polygon", svg.element("title", f"frame {frame_id}"), points=sheet.points(corners), class_="view")


def _labels(scene: Scene, objects: Sequence[SceneObject], sheet: Sheet) -> list[Markup]:
    """Labels of rooms and objects, big things first; one that would touch another is left to the tooltip."""
    taken: list[tuple[float, float, float, float]] = []
    drawn = []
    wanted = sorted(objects, key=lambda one: (-float(np.prod(one.box.size_m[:2])), one.object_id))
    for one in wanted:
        x, y = sheet.xy(one.box.centre_world)
        for down in (4.0, -8.0, 16.0, -20.0, 28.0):
            if _place(taken, x, y + down, one.category):
                drawn.append(svg.text(x, y + down, one.category, class_="object-label", text_anchor="middle"))
                break
    for room in scene.structure.rooms if scene.structure is not None else ():
        content = f"{room.label} \u00b7 {_area_m2(room.outline_world):.1f} m\u00b2"
        for spot in _roomy_spots(room.outline_world):
            x, y = sheet.xy(spot)
            if _place(taken, x, y, content):
                drawn.append(svg.text(x, y, content, class_="room-label", text_anchor="middle"))
                break
    return drawn


def _roomy_spots(outline: np.ndarray) -> np.ndarray:
    """Places `(K, 2)` inside an outline, the farthest from its sides first."""
    low, high = outline.min(axis=0), outline.max(axis=0)
    steps = np.linspace(0.05, 0.95, 19)
    spots = np.stack(np.meshgrid(*(low[axis] + (high[axis] - low[axis]) * steps for axis in (0, 1))), axis=-1).reshape(-1, 2)
    a, b = outline, np.roll(outline, -1, axis=0)
    offset, side = spots[:, None] - a, b - a
    along = np.clip((offset * side).sum(axis=2) / (side**2).sum(axis=1), 0.0, 1.0)
    gap_m = np.linalg.norm(offset - along[:, :, None] * side, axis=2).min(axis=1)
    # a ray to the right crosses the outline an odd number of times from inside
    spans = (a[:, 1] > spots[:, None, 1]) != (b[:, 1] > spots[:, None, 1])
    with np.errstate(divide="ignore", invalid="ignore"):
        crossing_x = a[:, 0] + (spots[:, None, 1] - a[:, 1]) / side[:, 1] * side[:, 0]
    is_inside = (spans & (spots[:, None, 0] < crossing_x)).sum(axis=1) % 2 == 1
    return spots[is_inside][np.argsort(-gap_m[is_inside], kind="stable")]


def _place(taken: list[tuple[float, float, float, float]], x: float, y: float, content: str) -> bool:
    half = len(content) * LETTER_PX / 2.0 + 2.0
    box = (x - half, y - 11.0, x + half, y + 3.0)
    if any(box[0] < other[2] and other[0] < box[2] and box[1] < other[3] and other[1] < box[3] for other in taken):
        return False
    taken.append(box)
    return True


def _scale_bar(sheet: Sheet) -> Markup:
    length_m = next((length for length in (5.0, 2.0, 1.0, 0.5) if length * sheet.px_per_m <= sheet.width_px * 0.3), 0.2)
    left, y = 14.0, sheet.height_px - 14.0
    right = left + length_m * sheet.px_per_m
    path = f"M{svg.number(left)} {svg.number(y - 5)}v10m0 -5H{svg.number(right)}m0 -5v10"
    words = svg.text(right + 8, y + 4, f"{length_m:g} m", class_="axis")
    return svg.group([svg.element("path", d=path, class_="scale"), words])


def _backdrop(cloud: ColouredCloud, sheet: Sheet) -> Markup:
    """The cloud from above as a picture, the highest point of each cell on top."""
    below = ~cloud.is_overhead
    columns = max(1, round(sheet.width_px / sheet.px_per_m / BACKDROP_CELL_M))
    rows = max(1, round((sheet.height_px - 34.0) / sheet.px_per_m / BACKDROP_CELL_M))
    points_world, colours = cloud.points_world[below], cloud.colours[below]
    column = np.floor((points_world[:, 0] - sheet.left_m) / BACKDROP_CELL_M).astype(np.int64)
    row = np.floor((sheet.top_m - points_world[:, 1]) / BACKDROP_CELL_M).astype(np.int64)
    inside = (column >= 0) & (column < columns) & (row >= 0) & (row < rows)
    upwards = np.argsort(points_world[inside, 2], kind="stable")
    picture = np.zeros((rows, columns, 4), dtype=np.uint8)
    picture[row[inside][upwards], column[inside][upwards], :3] = colours[inside][upwards]
    picture[row[inside], column[inside], 3] = 255
    picture = _closed(picture)
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, format="PNG", optimize=True)
    href = "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode("ascii")
    width_px, height_px = columns * BACKDROP_CELL_M * sheet.px_per_m, rows * BACKDROP_CELL_M * sheet.px_per_m
    return svg.element("image", href=href, x=0, y=0, width=width_px, height=height_px, class_="backdrop")


def _closed(picture: np.ndarray) -> np.ndarray:
    """`(H, W, 4)` with small holes between the cloud's points filled from the cells around them."""
    is_filled = picture[..., 3] > 0
    around = uniform_filter(is_filled.astype(np.float64), size=3, mode="constant")
    is_hole = ~is_filled & (around >= 3.5 / 9.0)
    for channel in range(3):
        total = uniform_filter(np.where(is_filled, picture[..., channel], 0).astype(np.float64), size=3, mode="constant")
        picture[is_hole, channel] = (total[is_hole] / around[is_hole]).round()
    picture[is_hole, 3] = 255
    return picture
