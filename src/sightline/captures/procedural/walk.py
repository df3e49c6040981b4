"""Camera walks through a procedural flat, as a hand that holds a phone does it: through doors, looking at furniture."""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import dijkstra

from sightline.captures.procedural.caster import cast
from sightline.captures.procedural.model import RoomModel
from sightline.captures.procedural.placement import FLAT_M
from sightline.captures.procedural.shading import rays_world
from sightline.errors import CaptureError
from sightline.geometry.cameras import Intrinsics
from sightline.geometry.transforms import rigid

NEAREST_M = 0.3  # a camera closer than this to anything is a bad picture
CLEARANCE_M = 0.31  # between the line that the camera walks and anything it could touch
GRID_M = 0.05
HEAD_M = 1.9  # furniture above this is walked under
NEAR_MEAN_M = 1.1  # views whose mean depth is less show a blank wall
COARSE = (24, 18)
YAW_TRIES = 9
BOB_M = 0.02
STRIDE_M = 0.7


@dataclass(slots=True)
class Hand:
    """Where the camera is: its pose, what it has seen, and its slow drifts."""

    pose: np.ndarray | None
    yaw_rad: float
    walked_m: float
    seen: np.ndarray  # (objects,) how much of each was in view so far


def walk(room: RoomModel, rng: np.random.Generator, *, num_frames: int) -> list[np.ndarray]:
    """Poses `world_from_camera (4, 4)`. Neighbours differ by at most `step_m` and `turn_deg`, except after a view had to be left out.

    Raises CaptureError when the flat has no place to stand.
    """
    options = room.options
    free, origin = free_space(room)
    line = _Line(free, origin, room, rng)
    coarse = Intrinsics.from_field_of_view(
        horizontal_deg=options.horizontal_fov_deg, width=COARSE[0], height=COARSE[1] * options.height * 4 // (options.width * 3) or 1
    )
    eye_m = float(rng.uniform(1.42, 1.66))
    drift = rng.uniform(0.0, 2.0 * np.pi, 6)
    hand = Hand(pose=None, yaw_rad=float(rng.uniform(-np.pi, np.pi)), walked_m=0.0, seen=np.zeros(len(room.objects)))
    poses: list[np.ndarray] = []
    misses = 0
    while len(poses) < num_frames:
        stride = 0.0 if not poses else float(rng.uniform(0.55, 0.92)) * options.step_m
        spot, heading = line.ahead(stride)
        hand.walked_m += stride
        wide = not poses or misses > 2
        pose = _look(room, hand, spot, heading, eye_m, drift, coarse, rng, wide=wide)
        if pose is None:
            misses += 1
            if misses > 400:
                raise CaptureError(f"procedural flat of seed {room.seed}: no pose with a free view was found; take another seed")
            continue
        misses = 0
        hand.pose = pose
        poses.append(pose)
    return poses


def free_space(room: RoomModel) -> tuple[np.ndarray, np.ndarray]:
    """Grid of places for the camera `(X, Y)` (cell `GRID_M`) and the corner of its first cell: clear of walls, doors and furniture."""
    plan = room.plan
    fine = int(round(0.1 / GRID_M))
    inside = np.kron(plan.labels >= 0, np.ones((fine, fine), dtype=bool))
    cells = np.argwhere(np.ones_like(inside))
    centres = (cells + 0.5) * GRID_M + plan.origin_world
    solids = room.caster.solids
    blocked = ~inside.reshape(-1)
    body = (solids.low_world[:, 2] < HEAD_M) & (solids.high_world[:, 2] > FLAT_M)
    boxes = np.column_stack([solids.low_world[body, :2], solids.high_world[body, :2]])
    turned = {i for i, one in enumerate(room.placed) if abs(np.sin(2.0 * one.yaw_rad)) > 1e-9}
    ids = solids.object_ids[body]
    for box, object_id in zip(boxes, ids):
        if int(object_id) not in turned:
            blocked |= (centres >= box[:2]).all(axis=1) & (centres <= box[2:]).all(axis=1)
    for index in turned:
        footprint = room.placed[index].footprint
        if footprint.low_z_m < HEAD_M and footprint.high_z_m > FLAT_M:
            blocked |= footprint.covers(centres)
    for leaf in room.shell.leaves:
        blocked |= leaf.covers(centres)
    away_m = ndimage.distance_transform_edt(np.pad(~blocked.reshape(inside.shape), 1))[1:-1, 1:-1] * GRID_M
    free = away_m > CLEARANCE_M + 0.71 * GRID_M  # places are cell centres, obstacles reach half a cell further
    parts, count = ndimage.label(free)
    if count == 0:
        raise CaptureError(f"procedural flat of seed {room.seed}: expected room to walk, found none; take another seed or a lower density")
    sizes = ndimage.sum_labels(np.ones_like(parts), parts, np.arange(1, count + 1))
    return np.where(parts == 1 + int(np.argmax(sizes)), away_m, 0.0), plan.origin_world


class _Line:
    """An endless line through free space from one place worth visiting to the next."""

    def __init__(self, away_m: np.ndarray, origin: np.ndarray, room: RoomModel, rng: np.random.Generator):
        self.away_m, self.origin, self.rng = away_m, origin, rng
        self.cells = np.argwhere(away_m > 0.0)
        self.number = np.full(away_m.shape, -1)
        self.number[tuple(self.cells.T)] = np.arange(len(self.cells))
        self.graph = self._graph()
        labels = np.kron(room.plan.labels, np.ones((2, 2), dtype=np.int32))
        self.room_of = labels[tuple(self.cells.T)]
        self.visits = np.zeros(len(room.structure.rooms))
        self.at = int(rng.integers(len(self.cells)))
        self.points = self._place(self.at)[None]
        self.done_m = 0.0

    def _place(self, node: int) -> np.ndarray:
        return (self.cells[node] + 0.5) * GRID_M + self.origin

    def _graph(self) -> csr_matrix:
        rows, columns, costs = [], [], []
        for dx, dy in ((1, 0), (0, 1), (1, 1), (1, -1)):
            other = self.cells + [dx, dy]
            inside = (other >= 0).all(axis=1) & (other < self.away_m.shape).all(axis=1)
            nodes = np.flatnonzero(inside)
            neighbours = self.number[tuple(other[nodes].T)]
            nodes, neighbours = nodes[neighbours >= 0], neighbours[neighbours >= 0]
            room_m = self.away_m[tuple(self.cells[neighbours].T)]
            rows.append(nodes)
            columns.append(neighbours)
            costs.append(np.hypot(dx, dy) * (1.0 + 0.6 / np.maximum(room_m, 0.1)))  # keeps to the middle
        count = len(self.cells)
        return csr_matrix((np.concatenate(costs), (np.concatenate(rows), np.concatenate(columns))), shape=(count, count))

    def ahead(self, step_m: float) -> tuple[np.ndarray, float]:
        """The place `(2,)` that many metres further on, and the heading there."""
        self.done_m += step_m
        while True:
            steps = np.diff(self.points, axis=0)
            lengths = np.concatenate([[0.0], np.cumsum(np.hypot(steps[:, 0], steps[:, 1]))])
            if lengths[-1] > self.done_m:
                break
            self._extend()
        spot = np.array([np.interp(self.done_m, lengths, self.points[:, k]) for k in range(2)])
        later = np.array([np.interp(self.done_m + 0.3, lengths, self.points[:, k]) for k in range(2)])
        return spot, float(np.arctan2(*(later - spot)[::-1]))

    def _extend(self) -> None:
        """Walk on to a place far from here, in a room that was visited least."""
        cost, before = dijkstra(self.graph, directed=False, indices=self.at, return_predecessors=True)
        rooms = np.unique(self.room_of[self.room_of >= 0])
        target_room = min(rooms, key=lambda r: (self.visits[r], self.rng.random()))
        self.visits[target_room] += 1.0
        choices = np.flatnonzero((self.room_of == target_room) & np.isfinite(cost) & (np.arange(len(cost)) != self.at))
        if not len(choices):
            choices = np.flatnonzero(np.isfinite(cost) & (np.arange(len(cost)) != self.at))
        tried = choices[self.rng.integers(len(choices), size=12)]
        target = int(tried[np.argmax(np.minimum(cost[tried] * GRID_M, 3.0) + self.away_m[tuple(self.cells[tried].T)])])
        nodes = [target]
        while nodes[-1] != self.at:
            nodes.append(int(before[nodes[-1]]))
        way = np.array([self._place(node) for node in nodes[::-1]])
        self.points = np.concatenate([self.points, self._smoothed(way)[1:]])
        self.at = target

    def _smoothed(self, way: np.ndarray) -> np.ndarray:
        """The way with its corners cut, wherever that stays in free space."""
        for _ in range(25):
            softer = way.copy()
            softer[1:-1] = (way[:-2] + 2.0 * way[1:-1] + way[2:]) / 4.0
            cells = np.floor((softer - self.origin) / GRID_M).astype(int)
            way = np.where((self.away_m[tuple(cells.T)] > 0.0)[:, None], softer, way)
        return way


def _look(
    room: RoomModel,
    hand: Hand,
    spot: np.ndarray,
    heading: float,
    eye_m: float,
    drift: np.ndarray,
    coarse: Intrinsics,
    rng: np.random.Generator,
    *,
    wide: bool,
) -> np.ndarray | None:
    """The best of some directions within reach: furniture not seen yet, no blank walls. None when none is good enough."""
    options, s = room.options, hand.walked_m
    eye = np.array([*spot, eye_m + BOB_M * np.sin(2.0 * np.pi * s / STRIDE_M + drift[0]) + 0.03 * np.sin(s / 2.3 + drift[1])])
    turn = np.pi if wide else 0.92 * np.radians(options.turn_deg)
    offsets = np.linspace(-turn, turn, 25 if wide else YAW_TRIES)
    v, u = np.divmod(np.arange(coarse.width * coarse.height), coarse.width)
    uv = np.stack([u, v], axis=1).astype(np.float64)
    best, best_pose, best_view = -np.inf, None, np.zeros(0)
    sway = np.radians(1.2) * np.sin(s / 0.9 + drift[2])
    roll = np.radians(1.3) * np.sin(s / 1.7 + drift[3])
    nod = np.radians(3.0) * np.sin(s / 2.9 + drift[4])
    for offset in offsets + rng.uniform(-0.02, 0.02):
        for pitch_deg in (-9.0, -17.0):
            pose = camera_at(eye, hand.yaw_rad + offset + sway, np.radians(pitch_deg) + nod, roll)
            if not wide and hand.pose is not None and not _within(hand.pose, pose, options.step_m, options.turn_deg):
                continue
            hits = cast(room.caster, eye, rays_world(uv, coarse, pose))
            depth_m = np.nan_to_num(hits.t, nan=8.0)
            if depth_m.min() < NEAREST_M + 0.05 or depth_m.mean() < NEAR_MEAN_M:
                continue
            share = np.bincount(hits.object_ids[hits.object_ids >= 0], minlength=len(room.objects)) / len(uv)
            news = np.sqrt(share) / (1.0 + 6.0 * hand.seen)
            along = np.cos(hand.yaw_rad + offset - heading)
            score = news.sum() + 0.8 * min(share.sum(), 0.4) + 0.12 * min(depth_m.mean(), 4.0) + 0.25 * along - 0.1 * abs(offset)
            score -= 1.0 if share.sum() < 0.08 else 0.0
            if score > best:
                best, best_pose, best_view = score, pose, share
    if best_pose is None:
        return None
    hand.seen += np.minimum(best_view * 4.0, 0.35)
    hand.yaw_rad = float(np.arctan2(best_pose[1, 2], best_pose[0, 2]))
    return best_pose


def camera_at(eye_world: np.ndarray, yaw_rad: float, pitch_rad: float, roll_rad: float) -> np.ndarray:
    """`world_from_camera` of a camera that looks along a heading, up by `pitch_rad`, rolled clockwise about its axis."""
    c, s = np.cos(yaw_rad), np.sin(yaw_rad)
    forward = np.array([c * np.cos(pitch_rad), s * np.cos(pitch_rad), np.sin(pitch_rad)])
    right = np.array([s, -c, 0.0])
    down = np.array([c * np.sin(pitch_rad), s * np.sin(pitch_rad), -np.cos(pitch_rad)])
    rolled_right = np.cos(roll_rad) * right + np.sin(roll_rad) * down
    rolled_down = np.cos(roll_rad) * down - np.sin(roll_rad) * right
    return rigid(np.stack([rolled_right, rolled_down, forward], axis=1), eye_world)


def _within(a: np.ndarray, b: np.ndarray, step_m: float, turn_deg: float) -> bool:
    """Whether two poses are at most a step and a turn apart."""
    cosine = (np.sum(a[:3, :3] * b[:3, :3]) - 1.0) / 2.0
    return bool(np.linalg.norm(a[:3, 3] - b[:3, 3]) <= step_m and np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0))) <= turn_deg)
