"""Free space: a grid over the floor of where one can walk, where something stands, and what is not known."""

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from sightline.captures.capture import NO_WALL, Opening, SceneObject, Structure, Wall
from sightline.facts.fact import FreeSpaceFacts
from sightline.facts.outline import Grid, chunks, closed_gaps, footprint
from sightline.facts.rooms import SeenFloor
from sightline.geometry.shapes import polygon_area

NOT_KNOWN, FREE, TAKEN = 0, 1, 2
CELL_M = 0.05
LOW_M, HIGH_M = 0.1, 1.6  # what stands between these heights over the floor is in the way; what is lower is stepped over
STOREY_M = 0.3  # rooms with a floor this near to that of the largest are of its storey
MARGIN_M = 0.3  # of grid around the outlines: walls and door sills lie there
ARC_STEP_RAD = np.radians(3.0)
SHELL = frozenset(("wall", "floor", "ceiling", "door", "doorframe", "door frame", "doorway", "window"))  # known by points, not by boxes


def free_space(
    points_world: np.ndarray, *, structure: Structure | None, objects: Sequence[SceneObject] | None, floor: SeenFloor | None
) -> FreeSpaceFacts | str:
    """The grid of a scan from its cloud `(N, 3)`, its known structure and boxes, and the floor that was seen, or why there is none.

    A cell is free where the floor is known and nothing is in the way from `LOW_M` to `HIGH_M` above it: no point of the cloud, no box of
    an object over the cell's centre, no wall. The floor is known inside a room's outline and in a door's gap; without outlines, where
    floor points lie, gaps of up to two cells filled. The gap of a door or passage is free whatever the cloud shows in it: doors open.
    """
    rooms = _storey(structure) if structure is not None else []
    if not rooms and floor is None:
        return "neither the outline of a room nor the floor is known"
    if rooms:
        corners = np.concatenate([np.asarray(room.outline_world) for room in rooms])
        grid = Grid.around(corners.min(axis=0) - MARGIN_M, corners.max(axis=0) + MARGIN_M, cell_m=CELL_M)
        floor_z_m = float(rooms[0].floor_z_m)
    else:
        assert floor is not None
        grid, floor_z_m = floor.grid, floor.z_m
    if grid is None:
        return "the outlines of rooms are hundreds of metres apart"
    ground_m = np.full(grid.shape, floor_z_m)
    known = np.zeros(grid.shape, dtype=bool)
    for room in rooms:
        inside = grid.inside(np.asarray(room.outline_world, dtype=np.float64))
        known |= inside
        ground_m[inside] = room.floor_z_m
    if not rooms and floor is not None:
        known = closed_gaps(floor.cells)
    walls = _near_storey(structure.walls, floor_z_m) if structure is not None else []
    gaps = _gaps(structure, walls, grid, floor_z_m) if structure is not None else np.zeros(grid.shape, dtype=bool)
    taken = _points_in_the_way(points_world, grid, ground_m) & ~gaps
    for wall in walls:
        taken |= _wall_cells(wall, grid) & ~gaps
    for one in objects or ():
        taken |= _box_cells(one, grid, ground_m)
    cells = np.where(taken, TAKEN, np.where(known | gaps, FREE, NOT_KNOWN)).astype(np.uint8)
    rows = np.arange(grid.shape[0])
    origin = np.stack([np.full(len(rows), grid.origin_xy[0]), (grid.first[1] + rows) * grid.cell_m, np.full(len(rows), floor_z_m)], axis=1)
    return FreeSpaceFacts(cells=cells, origin_world=origin, cell_m=np.full(len(rows), grid.cell_m))


def _storey(structure: Structure) -> list:
    """The rooms of one storey, that of the largest room, which comes first."""
    by_size = sorted(structure.rooms, key=lambda room: (-abs(polygon_area(np.asarray(room.outline_world))), room.room_index))
    return [room for room in by_size if abs(room.floor_z_m - by_size[0].floor_z_m) <= STOREY_M]


def _near_storey(walls: Sequence[Wall], floor_z_m: float) -> list[Wall]:
    """The walls that reach into the heights that matter."""
    feet = [min(wall.a_world[2], wall.b_world[2]) - floor_z_m for wall in walls]
    return [wall for wall, foot_m in zip(walls, feet) if foot_m < HIGH_M and foot_m + wall.height_m > LOW_M]


def _points_in_the_way(points_world: np.ndarray, grid: Grid, ground_m: np.ndarray) -> np.ndarray:
    found = np.zeros(grid.shape, dtype=bool)
    for part in chunks(points_world):
        at = np.floor(part[:, :2] / grid.cell_m).astype(np.int64) - grid.first
        inside = ((at >= 0) & (at < grid.shape[::-1])).all(axis=1)
        at, heights_m = at[inside], part[inside, 2]
        above_m = heights_m - ground_m[at[:, 1], at[:, 0]]
        hit = at[(above_m >= LOW_M) & (above_m <= HIGH_M)]
        found[hit[:, 1], hit[:, 0]] = True
    return found


def _box_cells(one: SceneObject, grid: Grid, ground_m: np.ndarray) -> np.ndarray:
    if one.category in SHELL:
        return np.zeros(grid.shape, dtype=bool)
    heights_m = one.box.corners_world()[:, 2]
    cells = grid.inside(footprint(one.box))
    return cells & (heights_m.max() - ground_m >= LOW_M) & (heights_m.min() - ground_m <= HIGH_M)


def _wall_line(wall: Wall) -> np.ndarray:
    """The wall seen from above `(N, 2)`, an arc in short straight pieces, counter-clockwise from a to b."""
    a, b = np.asarray(wall.a_world)[:2], np.asarray(wall.b_world)[:2]
    if wall.arc_centre_world is None:
        return np.stack([a, b])
    centre = np.asarray(wall.arc_centre_world)[:2]
    start, end = (float(np.arctan2(*(spot - centre)[::-1])) for spot in (a, b))
    sweep = (end - start) % (2.0 * np.pi)
    angles = start + np.linspace(0.0, sweep, max(2, int(np.ceil(sweep / ARC_STEP_RAD)) + 1))
    return centre + np.linalg.norm(a - centre) * np.stack([np.cos(angles), np.sin(angles)], axis=1)


def _wall_cells(wall: Wall, grid: Grid) -> np.ndarray:
    """Cells whose centre is in the wall; a wall thinner than a cell still stands in a closed row of them."""
    half_m = max(wall.thickness_m / 2.0, grid.cell_m * np.sqrt(0.5))
    line = _wall_line(wall)
    found = np.zeros(grid.shape, dtype=bool)
    for a, b in zip(line, line[1:]):
        found |= _strip(a, b, grid, half_m=half_m)
    return found


def _strip(a: np.ndarray, b: np.ndarray, grid: Grid, *, half_m: float) -> np.ndarray:
    """Cells whose centre is within `half_m` of the straight line from a to b, beside it, not beyond its ends."""
    length_m = float(np.linalg.norm(b - a))
    if length_m < 1e-9:
        return np.zeros(grid.shape, dtype=bool)
    along = (b - a) / length_m
    across = half_m * np.array([-along[1], along[0]])
    return grid.inside(np.stack([a - across, b - across, b + across, a + across]))


def _gaps(structure: Structure, walls: Sequence[Wall], grid: Grid, floor_z_m: float) -> np.ndarray:
    """Cells in the gaps of doors and passages that one can walk through, as deep as their wall and a cell on both sides."""
    found = np.zeros(grid.shape, dtype=bool)
    by_id = {wall.wall_id: wall for wall in walls}
    for opening in structure.openings:
        wall = by_id.get(opening.wall_id)
        if opening.kind == "window" or opening.wall_id == NO_WALL or wall is None:
            continue
        if opening.centre_world[2] - opening.height_m / 2.0 - floor_z_m > STOREY_M:
            continue
        along = _along(opening, wall)
        centre = np.asarray(opening.centre_world)[:2]
        reach_m = wall.thickness_m / 2.0 + 2.0 * grid.cell_m
        found |= _strip(centre - along * opening.width_m / 2.0, centre + along * opening.width_m / 2.0, grid, half_m=reach_m)
    return found


def _along(opening: Opening, wall: Wall) -> np.ndarray:
    """The level unit vector `(2,)` along a wall where an opening is; along its circle in a curved one."""
    along = np.asarray(wall.b_world)[:2] - np.asarray(wall.a_world)[:2]
    if wall.arc_centre_world is not None:
        radius = np.asarray(opening.centre_world)[:2] - np.asarray(wall.arc_centre_world)[:2]
        along = np.array([-radius[1], radius[0]])
    return along / max(float(np.linalg.norm(along)), 1e-9)


def free_parts(table: FreeSpaceFacts) -> np.ndarray:
    """The number of the connected free part of every cell, 1 and up; 0 where it is not free. Cells are joined across sides."""
    return ndimage.label(table.cells == FREE)[0].astype(np.int32)
