"""Walls, openings and rooms out of the parts of an Apple RoomPlan scan."""

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sightline.captures.capture import NO_WALL, Opening, Room, Structure, Wall
from sightline.captures.roomplan.loops import closed_loops
from sightline.captures.roomplan.parts import MIN_EXTENT_M, Part
from sightline.geometry.shapes import polygon_area, polygon_contains
from sightline.geometry.transforms import apply

NEAR_WALL_M = 0.3  # an opening without a parent lies in a wall at most this far away
NEAR_WALL_DEG = 30.0  # and turned by at most this much from it
NEAR_ROOM_M = 0.4  # a room that an opening leads to: the thickness of a wall, and some
SAME_CORNER_M = 1e-3
LEVEL_M = 0.1  # how far the corners of a floor may differ in height
ARC_STEP_RAD = math.radians(3.0)
UPRIGHT = math.cos(math.radians(1.0))
OPENING_KINDS = {"doors": "door", "windows": "window", "openings": "opening"}


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Section:
    """What RoomPlan takes a part of the floor for."""

    label: str
    story: int
    centre_world: np.ndarray | None  # (3,)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class BuiltStructure:
    """The structure, and counts of what was left out of it or guessed."""

    structure: Structure
    counts: Mapping[str, int]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Standing:
    """A wall beside the part it came from."""

    wall: Wall
    part: Part


def build_structure(parts: Mapping[str, Sequence[Part]], sections: Sequence[Section]) -> BuiltStructure:
    """Walls in the order of the file, openings hung into them, and rooms from the floors, or from closed loops of walls without any."""
    counts: Counter[str] = Counter()
    standing: list[_Standing] = []
    for part in parts["walls"]:
        wall = _wall(part, len(standing), counts)
        if wall is not None:
            standing.append(_Standing(wall=wall, part=part))
    rooms = _rooms(parts["floors"], standing, sections, counts)
    openings = tuple(_opening(part, kind, standing, rooms, counts) for name, kind in OPENING_KINDS.items() for part in parts[name])
    return BuiltStructure(
        structure=Structure(rooms=rooms, walls=tuple(one.wall for one in standing), openings=openings),
        counts={key: number for key, number in sorted(counts.items())},
    )


def plan_line(wall: Wall) -> np.ndarray:
    """The wall seen from above, `(N, 2)` from a to b; an arc in steps of at most 3 degrees."""
    a, b = wall.a_world[:2], wall.b_world[:2]
    if wall.arc_centre_world is None:
        return np.stack([a, b])
    centre = wall.arc_centre_world[:2]
    start, end = (math.atan2(*(corner - centre)[::-1]) for corner in (a, b))
    sweep = (end - start) % (2.0 * math.pi)
    angles = start + np.linspace(0.0, sweep, max(2, math.ceil(sweep / ARC_STEP_RAD) + 1))
    line = centre + np.linalg.norm(a - centre) * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    line[0], line[-1] = a, b
    return line


def line_distance_m(line: np.ndarray, point: np.ndarray) -> float:
    """Distance of a point `(2,)` from a line of corners `(N, 2)`."""
    a, along = line[:-1], np.diff(line, axis=0)
    share = ((point - a) * along).sum(axis=1) / np.maximum((along**2).sum(axis=1), np.finfo(float).tiny)
    return float(np.linalg.norm(a + np.clip(share, 0.0, 1.0)[:, None] * along - point, axis=1).min())


def _wall(part: Part, wall_id: int, counts: Counter[str]) -> Wall | None:
    corners = part.corners_part if part.corners_part is not None else _rectangle(part)
    low, high = corners.min(axis=0), corners.max(axis=0)
    if (high - low)[:2].min() < MIN_EXTENT_M:
        counts["walls_without_area"] += 1
        return None
    foot_world = apply(part.world_from_part, np.array([[low[0], low[1], 0.0], [high[0], low[1], 0.0]]))
    height_m, outline, arc_centre = float(high[1] - low[1]), None, None
    upright = part.world_from_part[2, 1] >= UPRIGHT
    if not upright:  # leaning, or standing on its head: between its lowest and highest corner, and its outline tells the rest
        outline = apply(part.world_from_part, corners)
        height_m = float(np.ptp(outline[:, 2]))
        if height_m < MIN_EXTENT_M:
            counts["walls_lying_flat"] += 1
            return None
        foot_world[:, 2] = outline[:, 2].min()
    elif not _is_rectangle(corners):
        outline = apply(part.world_from_part, corners)
    curve = part.curve
    if curve is not None and (curve.centre_part is None or not upright):
        counts["curves_taken_straight"] += 1
    elif curve is not None and curve.centre_part is not None:
        x, z = curve.centre_part
        ends = [[x + curve.radius_m * math.cos(turn), low[1], z + curve.radius_m * math.sin(turn)]
                for turn in sorted((curve.start_rad, curve.end_rad), reverse=True)]  # fmt: skip
        foot_world = apply(part.world_from_part, np.array(ends))  # from +x to +z is clockwise from above: it starts at the larger angle
        arc_centre = apply(part.world_from_part, np.array([x, low[1], z]))
    return Wall(
        wall_id=wall_id,
        a_world=foot_world[0],
        b_world=foot_world[1],
        height_m=height_m,
        thickness_m=float(part.size_m[2]),
        outline_world=outline,
        arc_centre_world=arc_centre,
    )


def _rectangle(part: Part) -> np.ndarray:
    """The four corners of a surface without a polygon, in its own axes."""
    x, y = part.size_m[:2] / 2.0
    return np.array([[-x, -y, 0.0], [x, -y, 0.0], [x, y, 0.0], [-x, y, 0.0]])


def _is_rectangle(corners: np.ndarray) -> bool:
    """Whether a polygon is its own upright bounding rectangle."""
    low, high = corners.min(axis=0), corners.max(axis=0)
    if len(corners) != 4 or high[2] - low[2] > SAME_CORNER_M:
        return False
    wanted = np.array([[low[0], low[1]], [high[0], low[1]], [high[0], high[1]], [low[0], high[1]]])
    gaps_m = np.linalg.norm(corners[:, None, :2] - wanted[None], axis=2)
    return bool(gaps_m.min(axis=0).max() < SAME_CORNER_M)


def _opening(part: Part, kind: str, standing: Sequence[_Standing], rooms: Sequence[Room], counts: Counter[str]) -> Opening:
    centre = part.world_from_part[:3, 3]
    wall_id = next((one.wall.wall_id for one in standing if part.parent is not None and one.part.identifier == part.parent), None)
    if wall_id is None:
        counts["openings_without_parent" if part.parent is None else "openings_of_unknown_parent"] += 1
        wall_id = _nearest_wall(part, standing)
        counts["openings_in_no_wall" if wall_id == NO_WALL else "openings_hung_into_nearest_wall"] += 1
    near = sorted((gap_m, room.room_index) for room in rooms if (gap_m := _room_gap_m(room, centre)) <= NEAR_ROOM_M)
    return Opening(
        kind=kind,
        wall_id=wall_id,
        centre_world=centre,
        width_m=float(part.size_m[0]),
        height_m=float(part.size_m[1]),
        rooms=tuple(index for _, index in near[:2]),
        is_open=part.is_open if kind == "door" else None,
    )


def _nearest_wall(part: Part, standing: Sequence[_Standing]) -> int:
    """The wall that an opening lies in by its place and its turn, NO_WALL where none is near."""
    centre, along = part.world_from_part[:3, 3], part.world_from_part[:2, 0]
    best, best_m = NO_WALL, NEAR_WALL_M
    for one in standing:
        wall, line = one.wall, plan_line(one.wall)
        if not wall.a_world[2] - NEAR_WALL_M <= centre[2] <= wall.a_world[2] + wall.height_m + NEAR_WALL_M:
            continue
        straight = line[-1] - line[0]
        if wall.arc_centre_world is None and abs(straight @ along) < math.cos(math.radians(NEAR_WALL_DEG)) * np.linalg.norm(straight):
            continue
        gap_m = line_distance_m(line, centre[:2])
        if gap_m <= best_m:
            best, best_m = wall.wall_id, gap_m
    return best


def _room_gap_m(room: Room, centre_world: np.ndarray) -> float:
    if not room.floor_z_m - NEAR_ROOM_M <= centre_world[2] <= room.ceiling_z_m + NEAR_ROOM_M:
        return math.inf
    return line_distance_m(np.vstack([room.outline_world, room.outline_world[:1]]), centre_world[:2])


def _rooms(floors: Sequence[Part], standing: Sequence[_Standing], sections: Sequence[Section], counts: Counter[str]) -> tuple[Room, ...]:
    outlines: list[tuple[int, np.ndarray, float]] = []  # storey, outline, height of the floor
    for part in floors:
        corners = apply(part.world_from_part, part.corners_part if part.corners_part is not None else _rectangle(part))
        outline = _cleaned(corners[:, :2])
        if np.ptp(corners[:, 2]) > LEVEL_M:
            counts["floors_not_level"] += 1
        elif outline is None:
            counts["floors_without_area"] += 1
        else:
            outlines.append((part.story, outline, float(corners[:, 2].mean())))
    for story in sorted({one.part.story for one in standing} - {part.story for part in floors}):
        walls = [one.wall for one in standing if one.part.story == story]
        loops = [outline for loop in closed_loops([plan_line(wall) for wall in walls]) if (outline := _cleaned(loop)) is not None]
        outlines += [(story, outline, min(float(wall.a_world[2]) for wall in walls)) for outline in loops]
        counts["rooms_from_loops_of_walls"] += len(loops)
        counts["storeys_whose_walls_do_not_close"] += not loops
    rooms: list[Room] = []
    for story, outline, floor_z_m in outlines:
        tops = _tops_m(outline, floor_z_m, [one.wall for one in standing])
        if not tops:
            counts["floors_without_walls"] += 1
            continue
        label = _label(outline, story, sections, alone=len(outlines) == 1)
        rooms.append(Room(room_index=len(rooms), label=label, outline_world=outline, floor_z_m=floor_z_m, ceiling_z_m=max(tops)))
    counts += Counter()  # drops the zeros
    return tuple(rooms)


def _cleaned(outline: np.ndarray) -> np.ndarray | None:
    """The outline counter-clockwise without corners that stand twice; None where it holds no area."""
    kept = outline[np.linalg.norm(outline - np.roll(outline, 1, axis=0), axis=1) > SAME_CORNER_M / 10.0]
    if len(kept) < 3 or abs(polygon_area(kept)) < MIN_EXTENT_M:
        return None
    return kept if polygon_area(kept) > 0.0 else kept[::-1]


def _tops_m(outline: np.ndarray, floor_z_m: float, walls: Sequence[Wall]) -> list[float]:
    """Heights of the upper edges of the walls around a floor; of all walls standing at its height where none is near."""
    level = [wall for wall in walls if abs(wall.a_world[2] - floor_z_m) < 1.0]
    ring = np.vstack([outline, outline[:1]])
    near = [wall for wall in level if line_distance_m(ring, plan_line(wall).mean(axis=0)) <= NEAR_ROOM_M]
    return [float(wall.a_world[2] + wall.height_m) for wall in near or level]


def _label(outline: np.ndarray, story: int, sections: Sequence[Section], *, alone: bool) -> str:
    """The section whose centre lies in the room, nearest to its middle; the only one of its storey where it is the only room."""
    mine = [one for one in sections if one.story == story]
    placed = [one for one in mine if one.centre_world is not None]
    inside = [one for one in placed if polygon_contains(outline, one.centre_world[None, :2])[0]]
    inside.sort(key=lambda one: float(np.linalg.norm(one.centre_world[:2] - outline.mean(axis=0))))
    chosen = inside[:1] or (mine if alone and len(mine) == 1 else [])
    return room_word(chosen[0].label) if chosen else "room"


def room_word(label: str) -> str:
    """`livingRoom` as `living room`; a section that RoomPlan could not identify is a `room`."""
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", label).replace("_", " ").lower().strip()
    return "room" if words in ("", "unidentified") else words
