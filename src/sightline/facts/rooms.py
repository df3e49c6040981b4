"""Rooms: floor area and centroid from the known outline or from the floor that was seen, and which rooms the openings join."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy.ndimage import binary_dilation
from scipy.spatial import cKDTree

from sightline.captures.capture import Structure
from sightline.facts.fact import RoomFacts, RoomLinkFacts
from sightline.facts.outline import AlphaShape, Grid, alpha_shape, chunks, polygon_centroid
from sightline.geometry.shapes import polygon_area

OUTSIDE = -1  # as the second room of a link
LEVEL_M = 0.05  # points within this height of the floor are of the floor
LARGE_SHARE = 0.25  # of the largest level surface: a level that is smaller is a table or a shelf, a floor seen in part is not
MIN_FLOOR_M2 = 1.0
BELOW_CAMERA_M = 0.3  # a person who films holds the camera at least this high above the floor
AREA_CELL_M = 0.05
ALPHA_M = 0.25  # circumradius: gaps of the seen floor up to half a metre wide are floor
MAX_OPEN_SHARE = 0.15  # of the outline without a wall; 0.02 to 0.11 in rooms seen whole, 0.2 and more where the camera missed a part
WALL_REACH_CELLS = 3
CODE_BITS = 21  # of a cell's number on one axis: 100 km of 10 cm squares
HALF_CODE = 1 << (CODE_BITS - 1)
SPARSE_M = 0.1  # floor points farther apart than this say nothing of the outline


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class SeenFloor:
    """The lowest large level surface of a cloud."""

    z_m: float
    grid: Grid
    cells: np.ndarray  # rows, columns bool: where floor points lie


def rooms_of(structure: Structure) -> RoomFacts:
    """Area and centroid of every known outline."""
    outlines = [np.asarray(room.outline_world, dtype=np.float64) for room in structure.rooms]
    centres = [[*polygon_centroid(outline), room.floor_z_m] for room, outline in zip(structure.rooms, outlines)]
    return RoomFacts(
        room_index=np.array([room.room_index for room in structure.rooms], dtype=np.int32),
        area_m2=np.array([abs(polygon_area(outline)) for outline in outlines], dtype=np.float64),
        centre_world=np.array(centres, dtype=np.float64).reshape(-1, 3),
        from_outline=np.ones(len(outlines), dtype=bool),
    )


def links_of(structure: Structure) -> RoomLinkFacts:
    """Doors and passages with the rooms they join; a window joins nothing. One that is beside no known room has no row."""
    rows = []
    for place, opening in enumerate(structure.openings):
        if opening.kind == "window" or not opening.rooms:
            continue
        rooms = sorted(set(opening.rooms))
        rows += [(a, b, place) for a, b in combinations(rooms, 2)] or [(rooms[0], OUTSIDE, place)]
    first, second, at = np.array(rows, dtype=np.int32).reshape(-1, 3).T
    return RoomLinkFacts(first=first.copy(), second=second.copy(), opening=at.copy())


def seen_floor(points_world: np.ndarray, camera_heights_m: Sequence[float] | np.ndarray) -> SeenFloor | str:
    """The floor in a cloud `(N, 3)` of a gravity-aligned world, or why none is found.

    Levels are slabs of 10 cm; a level is as large as its 10 cm squares of plan that hold a point. The floor is the lowest level of at
    least a square metre that is a quarter as large as the largest. Its height is the median of its points.
    """
    if len(points_world) == 0:
        return "no scene points"
    levels, areas_m2 = _levels(points_world)
    slab_m2 = areas_m2 + np.where(np.append(np.diff(levels) == 1, False), np.append(areas_m2[1:], 0.0), 0.0)
    large = (slab_m2 >= MIN_FLOOR_M2) & (slab_m2 >= LARGE_SHARE * slab_m2.max())
    if not large.any():
        return "no level surface of a square metre"
    low_m = float(levels[np.argmax(large)]) * LEVEL_M
    z_m = _median_z(points_world, low_m, low_m + 2.0 * LEVEL_M)
    z_m = _median_z(points_world, z_m - LEVEL_M, z_m + LEVEL_M)
    if len(camera_heights_m) and z_m > float(np.median(camera_heights_m)) - BELOW_CAMERA_M:
        return "no large level surface below the cameras"
    parts = [part[np.abs(part[:, 2] - z_m) <= LEVEL_M, :2] for part in chunks(points_world)]
    spots = np.concatenate(parts)
    grid = Grid.around(spots.min(axis=0), spots.max(axis=0), cell_m=AREA_CELL_M)
    if grid is None:
        return "floor points are hundreds of metres apart"
    return SeenFloor(z_m=z_m, grid=grid, cells=grid.hit(spots))


def _levels(points_world: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Levels of 5 cm that hold points, from below, and the area in plan of each in square metres, counted in 10 cm squares."""
    square_m = 2.0 * LEVEL_M
    codes = np.empty(0, dtype=np.int64)
    for part in chunks(points_world):
        cells = np.floor(part / [square_m, square_m, LEVEL_M]).astype(np.int64)
        x, y, level = (np.clip(cells, -HALF_CODE, HALF_CODE - 1) + HALF_CODE).T
        codes = np.union1d(codes, (level << 2 * CODE_BITS) | (y << CODE_BITS) | x)
    levels, counts = np.unique(codes >> 2 * CODE_BITS, return_counts=True)
    return levels - HALF_CODE, counts * square_m**2


def _median_z(points_world: np.ndarray, low_m: float, high_m: float) -> float:
    heights = [part[(part[:, 2] >= low_m) & (part[:, 2] <= high_m), 2] for part in chunks(points_world)]
    return float(np.median(np.concatenate(heights)))


def room_seen(floor: SeenFloor, points_world: np.ndarray) -> RoomFacts | str:
    """The whole scan as one room: the alpha shape of the floor that was seen, or why its points do not tell it.

    Floor hidden by furniture counts: cells over which the cloud has points up to 1.5 m join the floor points before the shape is
    drawn (points on walls among them, which is where the floor ends), and what the shape encloses is filled. A floor that ends in the
    open, with nothing upright beside it, was not seen whole: its area would be that of the camera's view and not of the room.
    """
    spacing_m = _spacing_m(floor)
    if spacing_m > SPARSE_M:
        return f"floor points are {spacing_m:.2f} m apart, more than {SPARSE_M:g} m"
    grid = Grid.around(points_world[:, :2].min(axis=0), points_world[:, :2].max(axis=0), cell_m=AREA_CELL_M)
    if grid is None:
        return "scene points are hundreds of metres apart"
    low, middle = (_between(points_world, grid, floor.z_m + near, floor.z_m + far) for near, far in ((-LEVEL_M, 1.0), (1.0, 1.5)))
    shape = alpha_shape(low | middle, grid, alpha_m=ALPHA_M)
    if shape is None or shape.area_m2 < MIN_FLOOR_M2:
        return "less than a square metre of floor in one piece"
    open_share = _open_share(shape, middle, grid)
    if open_share > MAX_OPEN_SHARE:
        return f"{open_share:.0%} of the outline of the floor that was seen has no wall beside it, more than {MAX_OPEN_SHARE:.0%}"
    return RoomFacts(
        room_index=np.zeros(1, dtype=np.int32),
        area_m2=np.array([shape.area_m2]),
        centre_world=np.array([[*shape.centroid, floor.z_m]]),
        from_outline=np.zeros(1, dtype=bool),
    )


def _open_share(shape: AlphaShape, upright: np.ndarray, grid: Grid) -> float:
    """Share of the length of an outline that has nothing upright within `WALL_REACH_CELLS`."""
    near = binary_dilation(upright, np.ones((3, 3), dtype=bool), iterations=WALL_REACH_CELLS)
    lengths_m = np.linalg.norm(shape.border_xy[:, 1] - shape.border_xy[:, 0], axis=1)
    at = np.floor(shape.border_xy.mean(axis=1) / grid.cell_m).astype(np.int64) - grid.first
    at = np.clip(at, 0, np.array(grid.shape[::-1]) - 1)
    return float(lengths_m[~near[at[:, 1], at[:, 0]]].sum() / lengths_m.sum())


def _spacing_m(floor: SeenFloor) -> float:
    """Median distance from a floor cell to the next one."""
    rows, columns = np.nonzero(floor.cells)
    spots = np.stack([columns, rows], axis=1) * floor.grid.cell_m
    return float(np.median(cKDTree(spots).query(spots, k=2)[0][:, 1])) if len(spots) > 1 else float("inf")


def _between(points_world: np.ndarray, grid: Grid, low_m: float, high_m: float) -> np.ndarray:
    """Cells with points of the cloud between two heights of the world."""
    found = np.zeros(grid.shape, dtype=bool)
    for part in chunks(points_world):
        found |= grid.hit(part[(part[:, 2] >= low_m) & (part[:, 2] <= high_m), :2])
    return found
