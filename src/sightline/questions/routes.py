"""Walking on the plan: which straight legs stay free, how far the shortest way is, and what each turn is called."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from math import atan2, degrees, isfinite, remainder

import numpy as np
from scipy import ndimage
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import dijkstra

from sightline.captures.capture import SceneObject
from sightline.facts.fact import FreeSpaceFacts

FREE = 1  # of `FreeSpaceFacts.cells`
TURNS = ("turn left", "turn right", "turn back")
STRAIGHT_DEG, BACK_DEG = 30.0, 120.0  # up to the first it is no turn, from the second on it is a turn back
SECTORS_DEG = {"turn left": (STRAIGHT_DEG, BACK_DEG), "turn right": (-BACK_DEG, -STRAIGHT_DEG), "turn back": (BACK_DEG, 360.0 - BACK_DEG)}
SAMPLE_M = 0.02  # of a leg: finer than half a cell
COARSE = 16  # one of so many samples of a leg is looked at first
SPOT_SECTORS = 16  # directions in which one may stand beside an object
ROOM_ENOUGH_M = 0.4  # more room around is no better
CORNERS = np.array([[-1.0, -1.0], [-1.0, 1.0], [1.0, -1.0], [1.0, 1.0]])
RAY_STEP_DEG = 3.0  # between headings tried in one kind of turn: half a metre at ten metres
MAX_STATES = 12  # places that a leg may end at, spread over all of them, from which the next one is tried


def turn_word(angle_deg: float, *, margin_deg: float) -> str | None:
    """What a turn by an angle (left positive) is called: one of TURNS, "" for straight on, None within the margin of a border or NaN."""
    if not isfinite(angle_deg) or border_deg(angle_deg) < margin_deg:
        return None
    size_deg = abs(remainder(angle_deg, 360.0))
    if size_deg < STRAIGHT_DEG:
        return ""
    if size_deg > BACK_DEG:
        return "turn back"
    return "turn left" if remainder(angle_deg, 360.0) > 0 else "turn right"


def border_deg(angle_deg: float) -> float:
    """How far a turn is from the nearest angle where its name changes."""
    size_deg = abs(remainder(angle_deg, 360.0))
    return min(abs(size_deg - STRAIGHT_DEG), abs(size_deg - BACK_DEG))


def turn_deg(heading_in: np.ndarray, heading_out: np.ndarray) -> float:
    """Angle from one heading `(2,)` to the next, left positive, in (-180, 180]."""
    cross = heading_in[0] * heading_out[1] - heading_in[1] * heading_out[0]
    return degrees(atan2(cross, heading_in[0] * heading_out[0] + heading_in[1] * heading_out[1]))


class Floor:
    """The part of the grid where the middle of a robot can be: free cells at least its radius away from any that is not free."""

    def __init__(self, space: FreeSpaceFacts, *, radius_m: float):
        self.radius_m = radius_m
        self.cell_m = float(space.cell_m[0])
        self.origin_xy = space.origin_world[0, :2] - self.cell_m  # of a rim that is not free
        self.floor_z_m = float(space.origin_world[0, 2])
        free = np.pad(space.cells == FREE, 1)
        self.clearance_m = (ndimage.distance_transform_edt(free) - 0.5) * self.cell_m  # to the edge of the nearest cell that is not free
        self.is_open = self.clearance_m >= radius_m
        self._index = np.full(free.shape, -1)
        self._index[self.is_open] = np.arange(int(self.is_open.sum()))
        self._steps: coo_matrix | None = None

    def _cells(self, points_xy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Row and column of each point; those beyond the grid fall on its rim, which is not free."""
        at = np.floor((points_xy - self.origin_xy) / self.cell_m).astype(np.int64)
        rows, columns = self.is_open.shape
        return np.clip(at[..., 1], 0, rows - 1), np.clip(at[..., 0], 0, columns - 1)

    def room_m(self, points_xy: np.ndarray) -> np.ndarray:
        """Distance of points `(..., 2)` from what is not free, between the middles of cells as a straight line; none beyond the grid."""
        at = (points_xy - self.origin_xy) / self.cell_m - 0.5
        return ndimage.map_coordinates(self.clearance_m, [at[..., 1], at[..., 0]], order=1, mode="nearest", prefilter=False)

    def can_walk(self, start_xy: np.ndarray, ends_xy: np.ndarray) -> np.ndarray:
        """Whether each straight leg from one place `(2,)` to ends `(N, 2)` stays open."""
        lengths_m = np.linalg.norm(ends_xy - start_xy, axis=1)
        count = int(np.ceil(lengths_m.max(initial=SAMPLE_M) / SAMPLE_M)) + 1
        along, legs = np.linspace(0.0, 1.0, count)[None, :, None], (ends_xy - start_xy)[:, None, :]
        is_free = (self.room_m(start_xy + along[:, ::COARSE] * legs) >= self.radius_m).all(axis=1)  # most legs fail at few of the samples
        is_free[is_free] = (self.room_m(start_xy + along * legs[is_free]) >= self.radius_m).all(axis=1)
        return is_free

    def spots_at(self, landmark: "Landmark", *, reach_m: float) -> np.ndarray:
        """Places `(S, 2)` to stand within reach of an object: the best in each of `SPOT_SECTORS` directions from it, the best of all first.

        The best is near the object with room around. Directions go by the object's own axes, so that a turned world changes nothing.
        """
        around_m = float(np.linalg.norm(landmark.half_m)) + reach_m
        row_range, column_range = self._cells(landmark.centre_xy + np.array([[-around_m], [around_m]]))
        (low_row, high_row), (low_column, high_column) = row_range, column_range
        rows, columns = np.nonzero(self.is_open[low_row : high_row + 1, low_column : high_column + 1])
        rows, columns = rows + low_row, columns + low_column
        places_xy = self.origin_xy + (np.stack([columns, rows], axis=1) + 0.5) * self.cell_m
        from_box_m = landmark.distances_m(places_xy)
        worth_m = np.minimum(self.clearance_m[rows, columns], ROOM_ENOUGH_M) - from_box_m / 2.0
        own = (places_xy - landmark.centre_xy) @ landmark.plan_from_object
        sector = np.floor((np.arctan2(own[:, 1], own[:, 0]) / (2.0 * np.pi) + 0.5) * SPOT_SECTORS).astype(np.int64)
        order = np.argsort(-worth_m, kind="stable")
        order = order[from_box_m[order] <= reach_m]
        _, firsts = np.unique(sector[order], return_index=True)
        return places_xy[order[np.sort(firsts)]]

    def least_clearance_m(self, start_xy: np.ndarray, end_xy: np.ndarray) -> float:
        """The narrowest place of a straight leg, from its middle line to what is not free."""
        count = int(np.ceil(np.linalg.norm(end_xy - start_xy) / SAMPLE_M)) + 1
        samples = start_xy + np.linspace(0.0, 1.0, count)[:, None] * (end_xy - start_xy)
        return float(self.room_m(samples).min())

    def ways_m(self, goal: "Landmark", *, reach_m: float) -> np.ndarray:
        """Length of the shortest way from every cell to within reach of a landmark, on a grid of eight neighbours; inf where there is none.

        Dijkstra from all goal cells at once. A way on such a grid is at most 8.3 % longer than the shortest one in the plane.
        """
        if self._steps is None:
            self._steps = self._graph()
        rows, columns = np.nonzero(self.is_open)
        centres = self.origin_xy + (np.stack([columns, rows], axis=1) + 0.5) * self.cell_m
        goals = np.flatnonzero(goal.distances_m(centres) <= reach_m)
        found = np.full(self.is_open.shape, np.inf)
        if len(goals):
            found[rows, columns] = dijkstra(self._steps, directed=False, indices=goals, min_only=True)
        return found

    def at(self, table: np.ndarray, point_xy: np.ndarray) -> float:
        """The value of a table over cells at a point."""
        return float(table[self._cells(point_xy)])

    def _graph(self) -> coo_matrix:
        """Steps between open neighbours; a slanting one needs both cells beside it, so that no corner is cut."""
        starts, ends, lengths = [], [], []
        open_, index = self.is_open, self._index
        here, right = (slice(0, -1), slice(0, -1)), (slice(0, -1), slice(1, None))
        up, slant = (slice(1, None), slice(0, -1)), (slice(1, None), slice(1, None))
        square = open_[here] & open_[right] & open_[up] & open_[slant]
        for a, b, allowed, length in (
            (here, right, open_[here] & open_[right], 1.0),
            (here, up, open_[here] & open_[up], 1.0),
            (here, slant, square, np.sqrt(2.0)),
            (right, up, square, np.sqrt(2.0)),
        ):
            starts.append(index[a][allowed])
            ends.append(index[b][allowed])
            lengths.append(np.full(len(starts[-1]), length * self.cell_m))
        count = int(open_.sum())
        return coo_matrix((np.concatenate(lengths), (np.concatenate(starts), np.concatenate(ends))), shape=(count, count)).tocsr()


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Landmark:
    """An object on the plan: the rectangle of its upright box."""

    object_id: int
    centre_xy: np.ndarray  # (2,)
    half_m: np.ndarray  # (2,)
    plan_from_object: np.ndarray  # (2, 2) rotation

    @classmethod
    def of(cls, one: SceneObject) -> "Landmark":
        box = one.box
        return cls(
            object_id=one.object_id,
            centre_xy=box.centre_world[:2].copy(),
            half_m=np.asarray(box.size_m[:2]) / 2.0,
            plan_from_object=box.world_from_object[:2, :2].copy(),
        )

    def distances_m(self, points_xy: np.ndarray) -> np.ndarray:
        """Distance of points `(..., 2)` from the rectangle, 0 inside."""
        beyond_m = np.abs((points_xy - self.centre_xy) @ self.plan_from_object) - self.half_m
        return np.linalg.norm(np.maximum(beyond_m, 0.0), axis=-1)


def first_within(starts_xy: np.ndarray, headings: np.ndarray, landmark: Landmark, *, reach_m: float) -> np.ndarray:
    """How far along rays `(N, 2)`, unit headings `(N, 2)`, a landmark is first within reach: metres `(N,)`, 0 at once, inf never."""
    starts = (starts_xy - landmark.centre_xy) @ landmark.plan_from_object
    return entered_m(starts, headings @ landmark.plan_from_object, half_m=landmark.half_m, reach_m=reach_m)


def entered_m(starts: np.ndarray, headings: np.ndarray, *, half_m: np.ndarray, reach_m: float) -> np.ndarray:
    """How far along rays `(N, 2)`, in the rectangle's own axes, they first come within reach of it `(N,)`; half sizes `(2,)` or `(N, 2)`.

    All places within reach are the rectangle grown along either axis, and a disc around each corner: the first entry into any of them.
    """
    grown = half_m + reach_m * np.eye(2)[:, None, :]  # (2, N or 1, 2)
    with np.errstate(divide="ignore", invalid="ignore"):
        one, other = (-grown - starts) / headings, (grown - starts) / headings  # (2, N, 2)
    low_m, high_m = np.minimum(one, other), np.maximum(one, other)
    is_parallel = headings == 0.0
    if is_parallel.any():
        is_between = np.abs(starts) <= grown
        low_m = np.where(is_parallel, np.where(is_between, -np.inf, np.inf), low_m)
        high_m = np.where(is_parallel, np.where(is_between, np.inf, -np.inf), high_m)
    enter_m, leave_m = low_m.max(axis=2), high_m.min(axis=2)  # (2, N)
    by_side_m = np.where((enter_m <= leave_m) & (leave_m >= 0.0), np.maximum(enter_m, 0.0), np.inf)
    from_corner = starts - half_m * CORNERS[:, None, :]  # (4, N, 2)
    along_m = (from_corner * headings).sum(axis=2)
    inside = along_m**2 - (from_corner**2).sum(axis=2) + reach_m**2
    root = np.sqrt(np.maximum(inside, 0.0))
    by_corner_m = np.where((inside >= 0.0) & (root >= along_m), np.maximum(-along_m - root, 0.0), np.inf)
    return np.minimum(by_side_m.min(axis=0), by_corner_m.min(axis=0))


def sequences_that_arrive(
    start_xy: np.ndarray, heading: np.ndarray, landmarks: Sequence[Landmark], *, has_turn: Sequence[bool], reach_m: float
) -> frozenset[tuple[str, ...]]:
    """Which sequences of turns could be followed to the last landmark, each heading of each turn tried, as if nothing stood in the way.

    A leg without a turn goes straight on. Whoever passes within reach of a leg's landmark is there. What cannot be reached across
    open space cannot be reached between furniture either, so a sequence that is not in here leads nowhere. Of very many places where a
    leg may end, `MAX_STATES` spread over them are gone on from.
    """
    waiting = {(): (start_xy[None], np.array([np.arctan2(heading[1], heading[0])]))}
    for landmark, turns_here in zip(landmarks, has_turn, strict=True):
        arrived = {}
        for (said, (places, angles)), turn in product(waiting.items(), TURNS if turns_here else ("",)):
            offsets = np.radians(np.arange(SECTORS_DEG[turn][0], SECTORS_DEG[turn][1] + 1e-6, RAY_STEP_DEG)) if turn else np.zeros(1)
            new_angles = (angles[:, None] + offsets).ravel()
            headings = np.stack([np.cos(new_angles), np.sin(new_angles)], axis=1)
            starts = np.repeat(places, len(offsets), axis=0)
            gone_m = first_within(starts, headings, landmark, reach_m=reach_m)
            hit = np.isfinite(gone_m)
            if hit.any():
                some = np.flatnonzero(hit)[:: -(-int(hit.sum()) // MAX_STATES)]
                arrived[(*said, turn) if turns_here else said] = (starts[some] + gone_m[some, None] * headings[some], new_angles[some])
        waiting = arrived
    return frozenset(waiting)
