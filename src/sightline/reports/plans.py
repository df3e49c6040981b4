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

from sightline.captures.capture import NO_WALL, Opening, SceneObject, Structure, Wall
from sightline.errors import SceneError
from sightline.reports import svg
from sightline.reports.cloud import ColouredCloud, evenly
from sightline.reports.scene_lines import along_opening_world, foot_segments_world
from sightline.reports.svg import Markup
from sightline.scenes.scene import Scene

PLAN_PX = 620.0
MAX_HEIGHT_PX = 560.0
MARGIN_M = 0.4
FOOT_PX = 34.0  # room for the scale bar
BACKDROP_CELL_M = 0.03
HANGING_M = 1.7  # what starts this high above the floor of the scene hangs over other things and is drawn as an outline
VIEW_PX = 21.0  # length of a drawn view wedge
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
    floor_z_m = _floor_z_m(scene)
    drawn.extend(_object(one, sheet, floor_z_m=floor_z_m) for one in objects)
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
        spots += [spot[:2] for wall in scene.structure.walls for spot in foot_segments_world(wall).reshape(-1, 3)]
        spots += [corner for room in scene.structure.rooms for corner in room.outline_world]
    if cloud is not None and len(cloud.points_world):
        # a few stray readings through windows would shrink the room to a corner
        spots += list(np.quantile(cloud.points_world[:, :2], [0.005, 0.995], axis=0))
    if not spots:
        raise SceneError(f"scan '{scene.scan_id}': expected frames, objects or walls to draw a plan of, found none")
    low, high = np.min(spots, axis=0) - MARGIN_M, np.max(spots, axis=0) + MARGIN_M
    px_per_m = float(min(PLAN_PX / (high[0] - low[0]), MAX_HEIGHT_PX / (high[1] - low[1])))
    left_m = float(low[0] + high[0] - PLAN_PX / px_per_m) / 2.0  # every plan is equally wide, so that its letters are equally large
    height_px = float(high[1] - low[1]) * px_per_m + FOOT_PX
    return Sheet(left_m=left_m, top_m=float(high[1]), px_per_m=px_per_m, width_px=PLAN_PX, height_px=height_px)


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
        for start, end in foot_segments_world(wall):
            (ax, ay), (bx, by) = sheet.xy(start), sheet.xy(end)
            drawn.append(svg.line(ax, ay, bx, by, class_="wall", stroke_width=thickness_px, stroke_linecap="square"))
    for opening in structure.openings:
        if opening.wall_id == NO_WALL:
            continue  # nobody knows which way it faces
        if opening.wall_id not in walls:
            raise SceneError(f"{opening.kind}: expected wall {opening.wall_id} that it lies in, found walls {sorted(walls)}")
        drawn.append(_opening(opening, walls[opening.wall_id], structure, sheet))
    return drawn


def _opening(opening: Opening, wall: Wall, structure: Structure, sheet: Sheet) -> Markup:
    along = along_opening_world(opening, wall)[:2]
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
        parts += _door(start, end, across * _swing_side(centre, across, opening, structure), sheet)
    return svg.group(parts)


def _door(hinge: np.ndarray, end: np.ndarray, across: np.ndarray, sheet: Sheet) -> list[Markup]:
    """An open leaf at the hinge and the arc it swings through to the other end of its gap."""
    (hinge_x, hinge_y), (end_x, end_y) = sheet.xy(hinge), sheet.xy(end)
    radius = float(np.hypot(end_x - hinge_x, end_y - hinge_y))
    leaf_x, leaf_y = sheet.xy(hinge + across * radius / sheet.px_per_m)
    turn = (leaf_x - hinge_x) * (end_y - hinge_y) - (leaf_y - hinge_y) * (end_x - hinge_x)  # > 0: clockwise on the page
    numbers = [svg.number(value) for value in (leaf_x, leaf_y, radius, radius, end_x, end_y)]
    arc = "M{} {}A{} {} 0 0 {} {} {}".format(*numbers[:4], int(turn > 0), *numbers[4:])
    return [svg.line(hinge_x, hinge_y, leaf_x, leaf_y, class_="door"), svg.element("path", d=arc, class_="swing")]


def _swing_side(centre: np.ndarray, across: np.ndarray, opening: Opening, structure: Structure) -> float:
    """+1 or -1: the side of the wall on which the first of the door's rooms lies."""
    outline = next((room.outline_world for room in structure.rooms if room.room_index in opening.rooms), None)
    if outline is None:
        return 1.0
    sides = centre + np.array([[1.0], [-1.0]]) * across * 0.3
    return 1.0 if _is_inside(sides, outline)[0] else -1.0


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


def _floor_z_m(scene: Scene) -> float:
    if scene.structure is not None and scene.structure.rooms:
        return min(room.floor_z_m for room in scene.structure.rooms)
    return min((float(one.box.corners_world()[:, 2].min()) for one in scene.objects or ()), default=0.0)


def _object(one: SceneObject, sheet: Sheet, *, floor_z_m: float) -> Markup:
    size = " \u00d7 ".join(f"{metres:.2f}" for metres in one.box.size_m)
    hue = hue_of(one.category)
    is_hanging = float(one.box.corners_world()[:, 2].min()) > floor_z_m + HANGING_M
    opacity = 0.05 if is_hanging else 0.25 if one.category in FLAT else 0.55
    style = f"fill:hsl({hue} 60% 55%/{opacity});stroke:hsl({hue} 55% 45%)" + (";stroke-dasharray:4 3" if is_hanging else "")
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
    is_inside = _is_inside(spots, outline)
    return spots[is_inside][np.argsort(-gap_m[is_inside], kind="stable")]


def _is_inside(spots: np.ndarray, outline: np.ndarray) -> np.ndarray:
    """Which places `(K, 2)` lie inside an outline: a ray to the right crosses it an odd number of times."""
    a, b = outline, np.roll(outline, -1, axis=0)
    spans = (a[:, 1] > spots[:, None, 1]) != (b[:, 1] > spots[:, None, 1])
    with np.errstate(divide="ignore", invalid="ignore"):
        crossing_x = a[:, 0] + (spots[:, None, 1] - a[:, 1]) / (b - a)[:, 1] * (b - a)[:, 0]
    return (spans & (spots[:, None, 0] < crossing_x)).sum(axis=1) % 2 == 1


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
    rows = max(1, round((sheet.height_px - FOOT_PX) / sheet.px_per_m / BACKDROP_CELL_M))
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
