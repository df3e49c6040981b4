"""Plane geometry of floors: centroids and overlaps of polygons, cells of a grid, and the alpha shape of a floor that was seen."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import ConvexHull, Delaunay, QhullError

from sightline.arrays import expect
from sightline.geometry.boxes import Box
from sightline.geometry.shapes import box_outline, polygon_area, polygon_contains, stands_upright

CHUNK = 1_000_000  # points looked at together, so that memory does not grow with the cloud
MAX_GRID_CELLS = 16_000_000  # 200 m by 200 m in cells of 5 cm: more is a stray point, not a floor
FLAT_M2 = 1e-12


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Grid:
    """Square cells over the floor. Cell `[row, column]` starts at `(x, y) = cell_m * (first[0] + column, first[1] + row)`."""

    first: np.ndarray  # (2,) int64 column and row of the world that the lowest cell has
    shape: tuple[int, int]  # rows, columns
    cell_m: float

    @classmethod
    def around(cls, low: np.ndarray, high: np.ndarray, *, cell_m: float) -> "Grid | None":
        """The cells that reach from `low (2,)` to `high (2,)` metres; None where that is more than any floor has."""
        first = np.floor(np.asarray(low) / cell_m).astype(np.int64)
        columns, rows = (np.floor(np.asarray(high) / cell_m).astype(np.int64) - first + 1).tolist()
        return None if rows * columns > MAX_GRID_CELLS else cls(first=first, shape=(rows, columns), cell_m=cell_m)

    @property
    def origin_xy(self) -> np.ndarray:
        """The corner `(2,)` of the lowest cell."""
        return self.first * self.cell_m

    def centres(self) -> np.ndarray:
        """Centres `(rows * columns, 2)`, row by row."""
        rows, columns = np.indices(self.shape)
        return (np.stack([columns.ravel(), rows.ravel()], axis=1) + self.first + 0.5) * self.cell_m

    def hit(self, points_xy: np.ndarray) -> np.ndarray:
        """Which cells `shape` bool hold at least one of the points `(N, 2)`."""
        found = np.zeros(self.shape, dtype=bool)
        at = np.floor(points_xy / self.cell_m).astype(np.int64) - self.first
        at = at[((at >= 0) & (at < self.shape[::-1])).all(axis=1)]
        found[at[:, 1], at[:, 0]] = True
        return found

    def inside(self, outline: np.ndarray) -> np.ndarray:
        """Which cells have their centre in a simple polygon `(N, 2)`; only those near it are looked at."""
        found = np.zeros(self.shape, dtype=bool)
        low = np.floor(outline.min(axis=0) / self.cell_m).astype(np.int64) - self.first
        high = np.floor(outline.max(axis=0) / self.cell_m).astype(np.int64) - self.first + 1
        low, high = np.maximum(low, 0), np.minimum(high, self.shape[::-1])
        if (high <= low).any():
            return found
        part = Grid(first=self.first + low, shape=(int(high[1] - low[1]), int(high[0] - low[0])), cell_m=self.cell_m)
        found[low[1] : high[1], low[0] : high[0]] = polygon_contains(outline, part.centres()).reshape(part.shape)
        return found


def chunks(points: np.ndarray) -> Iterator[np.ndarray]:
    """The points in parts of at most `CHUNK`."""
    for start in range(0, len(points), CHUNK):
        yield np.asarray(points[start : start + CHUNK], dtype=np.float64)


def polygon_centroid(outline: np.ndarray) -> np.ndarray:
    """Centroid `(2,)` of the area of a simple polygon `(N, 2)`; the mean of its corners where it has no area."""
    expect(outline=(outline, "N 2"))
    area_m2 = polygon_area(outline)
    if abs(area_m2) < FLAT_M2:
        return outline.mean(axis=0)
    a = outline - outline[:1]  # near the origin, so that places far from the world's lose no digits
    b = np.roll(a, -1, axis=0)
    cross = a[:, 0] * b[:, 1] - b[:, 0] * a[:, 1]
    return outline[0] + ((a + b) * cross[:, None]).sum(axis=0) / (6.0 * area_m2)


def convex_overlap_m2(first: np.ndarray, second: np.ndarray) -> float:
    """Area that two convex counter-clockwise polygons `(N, 2)` and `(M, 2)` share: the first is cut along every side of the second."""
    kept = first
    for a, b in zip(second, np.roll(second, -1, axis=0)):
        along = b - a
        side = along[0] * (kept[:, 1] - a[1]) - along[1] * (kept[:, 0] - a[0])
        corners = []
        for here, there, near, far in zip(kept, np.roll(kept, -1, axis=0), side, np.roll(side, -1)):
            if near >= 0.0:
                corners.append(here)
            if near * far < 0.0:
                corners.append(here + (there - here) * (near / (near - far)))
        if len(corners) < 3:
            return 0.0
        kept = np.array(corners)
    return abs(polygon_area(kept))


def footprint(box: Box) -> np.ndarray:
    """What a box, tilted or not, covers of the floor: a convex polygon `(N, 2)`, counter-clockwise."""
    if stands_upright(box):
        return box_outline(box)[:: 1 if box.world_from_object[2, 2] > 0 else -1]  # seen from above, one on its head runs clockwise
    corners = box.corners_world()[:, :2]
    return corners[ConvexHull(corners).vertices]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class AlphaShape:
    """The largest connected part of a set of cells, as one area."""

    area_m2: float
    centroid: np.ndarray  # (2,)
    border_xy: np.ndarray  # (E, 2, 2) its outer sides


def alpha_shape(cells: np.ndarray, grid: Grid, *, alpha_m: float) -> AlphaShape | None:
    """The alpha shape of the centres of marked cells `shape` bool, its holes filled; the largest part where there are several.

    Delaunay triangles with a circumradius of at most `alpha_m` are kept (Edelsbrunner, Kirkpatrick and Seidel 1983); triangles that
    are left out but from which no way leads outwards across left-out triangles are a hole and kept too. Area and centroid are those of
    the kept triangles. None where nothing spans an area.
    """
    rows, columns = np.nonzero(cells)
    points = (np.stack([columns, rows], axis=1) + grid.first + 0.5) * grid.cell_m
    if len(points) < 3:
        return None
    middle = points.mean(axis=0)
    try:
        mesh = Delaunay(points - middle)
    except QhullError:  # all on one line
        return None
    corners = (points - middle)[mesh.simplices]
    a, b, c = corners[:, 0], corners[:, 1], corners[:, 2]
    area_m2 = 0.5 * np.abs((b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0])
    sides = np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=2).prod(axis=1)
    small = (area_m2 > FLAT_M2) & (sides <= 4.0 * area_m2 * alpha_m)  # circumradius = product of sides / (4 area)
    kept = _with_holes(small, mesh.neighbors)
    parts = _parts(kept, mesh.neighbors)
    if parts.max(initial=-1) < 0:
        return None
    sizes = np.bincount(parts[kept], weights=area_m2[kept])
    largest = parts == int(np.argmax(sizes))
    total = float(area_m2[largest].sum())
    centroid = (corners[largest].mean(axis=1) * area_m2[largest, None]).sum(axis=0) / total + middle
    border = largest[:, None] & ~np.append(largest, False)[mesh.neighbors]  # beyond the hull there is no triangle: -1
    ends = np.stack([np.roll(corners, -1, axis=1), np.roll(corners, -2, axis=1)], axis=2)  # the side across from each corner
    return AlphaShape(area_m2=total, centroid=centroid, border_xy=ends[border] + middle)


def _with_holes(kept: np.ndarray, neighbours: np.ndarray) -> np.ndarray:
    """The kept triangles and those that they enclose."""
    parts = _parts(~kept, neighbours)
    on_hull = (neighbours < 0).any(axis=1) & ~kept
    open_parts = np.unique(parts[on_hull])
    return kept | (~kept & ~np.isin(parts, open_parts))


def _parts(marked: np.ndarray, neighbours: np.ndarray) -> np.ndarray:
    """The number of the connected part `(T,)` of every marked triangle, joined across sides; -1 for the others."""
    numbers = np.full(len(marked), -1, dtype=np.int64)
    own = np.repeat(np.arange(len(marked)), 3)
    other = neighbours.ravel()
    joined = (other >= 0) & marked[own] & marked[other]
    graph = coo_matrix((np.ones(joined.sum(), dtype=np.int8), (own[joined], other[joined])), shape=(len(marked),) * 2)
    _, found = connected_components(graph, directed=False)
    if marked.any():
        numbers[marked] = np.unique(found[marked], return_inverse=True)[1]
    return numbers


def closed_gaps(cells: np.ndarray) -> np.ndarray:
    """The cells and the gaps between them that are at most two cells wide (a morphological closing with 3 x 3 cells)."""
    return ndimage.binary_closing(np.pad(cells, 1), np.ones((3, 3), dtype=bool))[1:-1, 1:-1] | cells
