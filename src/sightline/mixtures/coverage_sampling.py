"""Choosing frames that together see as much as possible: voxel sets from points, and lazy greedy maximum coverage over their bits."""

import heapq
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numba
import numpy as np

from sightline.errors import DataError
from sightline.geometry.visibility_kernels import popcount

UNSEEN, OUTSIDE = -1, -2  # numbers of cells: not seen yet, and not counted at all
MOST_DENSE_CELLS = 1 << 25  # beyond it (256 MB of two int32 grids) cells are sorted instead of looked up
MOST_CELLS_EACH_WAY = 1 << 20  # three of them fit a code of 63 bits
BOUNDS_SAMPLE = 1 << 20  # points that percentiles of the bounds are taken over, evenly strided


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class VoxelBox:
    """A grid of voxels in the points' own frame. Arithmetic is done in the type of `low`, which should be that of the points."""

    low: np.ndarray  # (3,) float32 or float64: where cell 0 begins
    edge: float
    cells: tuple[int, int, int]  # points beyond them are not counted


@dataclass(frozen=True, kw_only=True, slots=True)
class VoxelSets:
    """Voxels that each frame sees, numbered 0 .. count - 1 over all frames."""

    frames: tuple[np.ndarray, ...]  # of each frame (n,) int32, every number once
    count: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Picks:
    """Frames in the order of picking, and how many voxels each was the first to see; 0 from where the others only fill up."""

    order: tuple[int, ...]
    new_voxels: tuple[int, ...]
    all_voxels: int  # that any frame sees

    @property
    def frames(self) -> tuple[int, ...]:
        """In order of time."""
        return tuple(sorted(self.order))

    @property
    def covered(self) -> float:
        """Share of all voxels that the picked frames see."""
        return sum(self.new_voxels) / self.all_voxels if self.all_voxels else 0.0


def box_around(
    points: Sequence[np.ndarray],
    *,
    cells: int,
    robust: tuple[float, float] | None,
    confidence: Sequence[np.ndarray] | None = None,
    at_least: float = 0.0,
    above: float = -np.inf,
) -> VoxelBox:
    """The grid around the points that count (as in `voxels_seen`) whose shortest side has `cells` voxels.

    `robust` is a pair of percentiles, of up to a million points evenly strided: the sides are measured between them, so that a stray point
    changes nothing, and points beyond by more than a voxel are not counted. None is the published rule: between least and greatest. A side
    of no length is left out of the choice of the edge. Raises DataError where no point counts.
    """
    step = 1 if robust is None else -(-sum(frame.size // 3 for frame in points) // BOUNDS_SAMPLE)
    kept = []
    for number, frame in enumerate(points):
        flat, sure = frame.reshape(-1, 3)[::step], np.empty(0, np.float32)
        if confidence is not None:
            sure = np.ascontiguousarray(confidence[number].reshape(-1)[::step], dtype=np.float32)
        counted = _counted(np.ascontiguousarray(flat), sure, np.float32(at_least), np.float32(above), robust is None)
        if len(counted):
            kept.append(counted)
    if not kept:
        raise DataError("space-aware sampling: expected points to count, found none that is finite and confident enough")
    every = np.concatenate(kept)
    low, high = (every.min(axis=0), every.max(axis=0)) if robust is None else np.percentile(every, robust, axis=0).astype(every.dtype)
    sides = high - low
    longer = sides[sides > 0]
    edge = longer.min() / sides.dtype.type(cells) if len(longer) else sides.dtype.type(1.0)
    if robust is not None:
        low, sides = low - edge, sides + 2 * edge
    return VoxelBox(low=low, edge=float(edge), cells=_cells(sides, float(edge)))


def box_of_size(points: np.ndarray, *, edge: float) -> VoxelBox:
    """The grid of voxels of that edge, aligned to multiples of it, that holds points `(N, 3)`. Raises DataError for none."""
    if not len(points):
        raise DataError("coverage sampling: expected a cloud to lay the grid around, found no point")
    low = np.floor(points.min(axis=0).astype(np.float64) / edge) * edge
    return VoxelBox(low=low, edge=edge, cells=_cells(points.max(axis=0).astype(np.float64) - low, edge))


def voxels_seen(
    points: Iterable[np.ndarray],
    box: VoxelBox,
    *,
    confidence: Iterable[np.ndarray] | None = None,
    at_least: float = 0.0,
    above: float = -np.inf,
    within: np.ndarray | None = None,
) -> VoxelSets:
    """The voxels of each frame's points `(..., 3)`; those that are not finite are left out.

    With `confidence (...)` a point counts where it is `at_least` and `above` so much. `within` `(N, 3)`: only voxels that hold one of them.
    """
    dense = int(np.prod(box.cells, dtype=np.int64)) <= MOST_DENSE_CELLS
    number_voxels = _Dense(box, within) if dense else _Sorted(box, within)
    values = iter(confidence) if confidence is not None else None
    for frame in points:
        flat = np.ascontiguousarray(frame.reshape(-1, 3), dtype=box.low.dtype)
        sure = np.empty(0, np.float32) if values is None else np.ascontiguousarray(next(values).reshape(-1), dtype=np.float32)
        number_voxels.add(flat, sure, at_least, above)
    return number_voxels.sets()


def greedy_cover(sets: VoxelSets, count: int) -> Picks:
    """Up to `count` frames, each the one that sees most of what none before it saw, the earliest of equal ones; ends where nothing is new.

    Lazy: a frame's gain only falls, so one whose old gain is no better than another's present one is not counted again (Minoux 1978).
    """
    words = -(-sets.count // 64)
    bits = np.zeros((len(sets.frames), words), np.uint64)
    for row, frame in zip(bits, sets.frames):
        marks = np.zeros(words * 64, np.uint8)
        marks[frame] = 1
        row[:] = np.packbits(marks, bitorder="little").view(np.uint64)
    covered = np.zeros(words, np.uint64)
    heap = [(-len(frame), number) for number, frame in enumerate(sets.frames) if len(frame)]
    heapq.heapify(heap)
    order: list[int] = []
    gains: list[int] = []
    while heap and len(order) < count:
        _, number = heapq.heappop(heap)
        now = (-int(_new_bits(bits[number], covered)), number)
        if now[0] == 0:
            continue
        if heap and now > heap[0]:
            heapq.heappush(heap, now)
            continue
        order.append(number)
        gains.append(-now[0])
        covered |= bits[number]
    return Picks(order=tuple(order), new_voxels=tuple(gains), all_voxels=sets.count)


def filled_up(picks: Picks, times_s: np.ndarray, count: int) -> Picks:
    """Add those frames that are farthest in time from all picked ones, the earliest of equal ones, until there are `count` or all."""
    times = np.asarray(times_s, np.float64)
    if not np.isfinite(times).all() or len(times) < 2 or times.min() == times.max():
        times = np.arange(len(times), dtype=np.float64)  # nobody wrote down when: by their order
    order = list(picks.order)
    gap = np.full(len(times), np.inf)
    for number in order:
        gap = np.minimum(gap, np.abs(times - times[number]))
    gap[order] = -1.0
    while len(order) < min(count, len(times)):
        number = int(np.argmax(gap))
        order.append(number)
        gap = np.where(gap < 0, gap, np.minimum(gap, np.abs(times - times[number])))
        gap[number] = -1.0
    added = len(order) - len(picks.order)
    return Picks(order=tuple(order), new_voxels=(*picks.new_voxels, *([0] * added)), all_voxels=picks.all_voxels)


def _cells(sides: np.ndarray, edge: float) -> tuple[int, int, int]:
    counts = np.floor(sides.astype(np.float64) / edge) + 2  # the greatest point has a cell, whatever the rounding
    if counts.max() > MOST_CELLS_EACH_WAY:
        raise DataError(
            f"voxels of {edge:g}: expected at most {MOST_CELLS_EACH_WAY} along each side, found {counts.max():.0f}: "
            "a stray point far away, or a flat scene. Fix: robust bounds"
        )
    return int(counts[0]), int(counts[1]), int(counts[2])


class _Dense:
    """Numbers voxels through a table of all cells."""

    def __init__(self, box: VoxelBox, within: np.ndarray | None):
        self.box = box
        total = int(np.prod(box.cells, dtype=np.int64))
        self.number_of = np.full(total, UNSEEN, np.int32)
        if within is not None:
            self.number_of[:] = OUTSIDE
            self.number_of[_codes(within, box)] = UNSEEN
        self.last_frame = np.full(total, -1, np.int32)
        self.cells = np.array(box.cells, np.int64)
        self.count, self.found = 0, []

    def add(self, points: np.ndarray, confidence: np.ndarray, at_least: float, above: float) -> None:
        seen = np.empty(min(len(points), len(self.number_of)), np.int32)
        dtype, grids = self.box.low.dtype.type, (self.number_of, self.last_frame)
        sure = (confidence, np.float32(at_least), np.float32(above))
        added, self.count = _number(
            points, *sure, self.box.low, dtype(self.box.edge), self.cells, *grids, len(self.found), self.count, seen
        )
        self.found.append(seen[:added].copy())

    def sets(self) -> VoxelSets:
        return VoxelSets(frames=tuple(self.found), count=self.count)


class _Sorted:
    """Numbers voxels of grids too large for a table, by sorting."""

    def __init__(self, box: VoxelBox, within: np.ndarray | None):
        self.box, self.found = box, []
        self.within = None if within is None else np.unique(_codes(within, box))

    def add(self, points: np.ndarray, confidence: np.ndarray, at_least: float, above: float) -> None:
        if len(confidence):
            points = points[(confidence >= np.float32(at_least)) & (confidence > np.float32(above))]
        codes = np.unique(_codes(points, self.box))
        self.found.append(codes if self.within is None else codes[np.isin(codes, self.within)])

    def sets(self) -> VoxelSets:
        every = np.unique(np.concatenate(self.found)) if self.found else np.zeros(0, np.int64)
        return VoxelSets(frames=tuple(np.searchsorted(every, one).astype(np.int32) for one in self.found), count=len(every))


def _codes(points: np.ndarray, box: VoxelBox) -> np.ndarray:
    """Cell numbers (n,) int64 of the points that lie in the grid."""
    dtype = box.low.dtype.type
    with np.errstate(invalid="ignore"):
        cells = np.floor((points.astype(dtype) - box.low) / dtype(box.edge))
        inside = ((cells >= 0) & (cells < np.array(box.cells))).all(axis=1)
    x, y, z = cells[inside].astype(np.int64).T
    return (x * box.cells[1] + y) * box.cells[2] + z


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _number(
    points, confidence, at_least, above, low, edge, cells, number_of, last_frame, frame, count, seen
):  # pragma: no cover - compiled
    """Give each new cell the next number, and note each cell of this frame once."""
    added = 0
    for row in range(len(points)):
        if len(confidence) and not (confidence[row] >= at_least and confidence[row] > above):
            continue
        x = np.floor((points[row, 0] - low[0]) / edge)
        y = np.floor((points[row, 1] - low[1]) / edge)
        z = np.floor((points[row, 2] - low[2]) / edge)
        if not (x >= 0 and y >= 0 and z >= 0 and x < cells[0] and y < cells[1] and z < cells[2]):  # also where one is NaN
            continue
        cell = (np.int64(x) * cells[1] + np.int64(y)) * cells[2] + np.int64(z)
        if last_frame[cell] == frame or number_of[cell] == OUTSIDE:
            continue
        last_frame[cell] = frame
        if number_of[cell] == UNSEEN:
            number_of[cell] = count
            count += 1
        seen[added] = number_of[cell]
        added += 1
    return added, count


@numba.njit(cache=True, nogil=True)
def _counted(points, confidence, at_least, above, bounds_only):  # pragma: no cover - compiled
    """The points that count, or of them the two corners of their box alone."""
    kept = np.empty((2 if bounds_only else len(points), 3), points.dtype)
    count = 0
    for row in range(len(points)):
        if len(confidence) and not (confidence[row] >= at_least and confidence[row] > above):
            continue
        x, y, z = points[row, 0], points[row, 1], points[row, 2]
        if not (np.isfinite(x) and np.isfinite(y) and np.isfinite(z)):
            continue
        if not bounds_only:
            kept[count, 0], kept[count, 1], kept[count, 2] = x, y, z
        for axis in range(3):
            if bounds_only and (count == 0 or points[row, axis] < kept[0, axis]):
                kept[0, axis] = points[row, axis]
            if bounds_only and (count == 0 or points[row, axis] > kept[1, axis]):
                kept[1, axis] = points[row, axis]
        count += 1
    if bounds_only:
        return kept[: 2 if count else 0]
    return kept[:count]


@numba.njit(cache=True, nogil=True)
def _new_bits(bits, covered):  # pragma: no cover - compiled
    total = np.uint64(0)
    for word in range(len(bits)):
        total += popcount(bits[word] & ~covered[word])
    return total
