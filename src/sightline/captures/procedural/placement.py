"""Placing furniture: against walls, in front of things, on the floor, on tops and on walls, never through each other."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy import ndimage

from sightline.captures.capture import Room
from sightline.captures.procedural.footprints import Footprint, contains, inside, overlap
from sightline.captures.procedural.furniture.design import Design, Top
from sightline.captures.procedural.layout import CELL_M, Plan
from sightline.geometry.transforms import yaw_translation

WALL_GAP_M = 0.01
FLAT_M = 0.05  # a thing no higher than this (a rug) is stepped on, not walked around
BODY_M = 0.34  # half of what a person walking with a camera needs
GATE_M = 0.55  # a person steps this far into a room


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Placed:
    """A design in the world. `support` is the index of the object it stands on, -1 the floor or a wall."""

    design: Design
    world_from_object: np.ndarray
    room_index: int
    support: int = -1
    footprint: Footprint = field(init=False)
    front_zone: Footprint | None = field(init=False)  # the floor before it that it needs free

    def __post_init__(self) -> None:
        low, high = self.design.low, self.design.high
        object.__setattr__(self, "footprint", _footprint(low, high, self.world_from_object))
        zone = None
        if self.design.clearance_m > 0.0:
            before_low, before_high = np.array([low[0], high[1], FLAT_M]), high + [0.0, self.design.clearance_m, 0.0]
            zone = _footprint(before_low, before_high, self.world_from_object)
        object.__setattr__(self, "front_zone", zone)

    @property
    def yaw_rad(self) -> float:
        return float(np.arctan2(self.world_from_object[1, 0], self.world_from_object[0, 0]))

    @property
    def front_world(self) -> np.ndarray:
        return self.world_from_object[:3, 1]


def _footprint(low: np.ndarray, high: np.ndarray, world_from_object: np.ndarray) -> Footprint:
    middle = (low + high) / 2.0
    centre = world_from_object[:3, :3] @ middle + world_from_object[:3, 3]
    return Footprint(
        centre_world=centre[:2],
        half_m=(high - low)[:2] / 2.0,
        yaw_rad=float(np.arctan2(world_from_object[1, 0], world_from_object[0, 0])),
        low_z_m=float(low[2] + world_from_object[2, 3]),
        high_z_m=float(high[2] + world_from_object[2, 3]),
    )


@dataclass(slots=True)
class Furnisher:
    """Fills one flat. Each method tries some places and returns what it placed, or None."""

    plan: Plan
    keep_outs: Sequence[Footprint]
    rng: np.random.Generator
    density: float
    placed: list[Placed] = field(default_factory=list)

    def wants(self, share: float) -> bool:
        """Whether an optional piece is wanted, given how full rooms should be."""
        return bool(self.rng.random() < share * self.density)

    def against_wall(
        self,
        design: Design,
        room: Room,
        *,
        z_m: float = 0.0,
        score: Callable[[Placed], float] | None = None,
        in_corner: bool = False,
        every_m: float | None = None,
    ) -> Placed | None:
        """Back to a wall: at random places, in corners only, or at places `every_m` apart. Without a score any free place will do."""
        low, high = design.low, design.high
        wide = high[0] - low[0]
        candidates = []
        for a, b in zip(room.outline_world, np.roll(room.outline_world, -1, axis=0)):
            length = float(np.hypot(*(b - a)))
            if length < wide + 2.0 * WALL_GAP_M:
                continue
            along = (b - a) / length
            inward = np.array([-along[1], along[0]])
            yaw_rad = float(np.arctan2(along[1], along[0]))
            ends = np.array([WALL_GAP_M, length - wide - WALL_GAP_M])
            between = self.rng.uniform(*ends, 10) if every_m is None else np.arange(ends[0], ends[1], every_m)
            starts = ends if in_corner else np.concatenate([ends, between])
            for start in starts:
                spot = a + along * (start - low[0]) + inward * (WALL_GAP_M - low[1])
                candidates.append(self._posed(design, room, np.array([*spot, z_m]), yaw_rad))
        return self._first_or_best(candidates, room, score, ())

    def somewhere_along_walls(
        self,
        builder: Callable[[np.random.Generator], Design],
        room: Room,
        *,
        tries: int = 3,
        score: Callable[[Placed], float] | None = None,
    ) -> Placed | None:
        """Back to a wall, in a corner where there is one free, drawing again when a piece is too large."""
        for _ in range(tries):
            design = builder(self.rng)
            placed = self.against_wall(design, room, score=score, in_corner=score is None) or self.against_wall(design, room, score=score)
            if placed is not None:
                return placed
        return None

    def on_floor(
        self,
        design: Design,
        room: Room,
        *,
        margin_m: float = 0.03,
        yaw_step_deg: float = 0.0,
        score: Callable[[Placed], float] | None = None,
        tries: int = 40,
    ) -> Placed | None:
        """Somewhere on the floor; `yaw_step_deg` 90 keeps it square to the walls."""
        low, high = room.outline_world.min(axis=0), room.outline_world.max(axis=0)
        candidates = []
        for _ in range(tries):
            yaw = float(self.rng.uniform(0.0, 360.0))
            yaw = np.floor(yaw / yaw_step_deg) * yaw_step_deg if yaw_step_deg else yaw
            candidates.append(self._posed(design, room, np.array([*self.rng.uniform(low, high), 0.0]), float(np.radians(yaw))))
        return self._first_or_best(candidates, room, score, (), margin_m=margin_m)

    def before(
        self,
        anchor: Placed,
        design: Design,
        room: Room,
        *,
        gap_m: float,
        facing: bool,
        aside_m: float = 0.0,
        jitter_deg: float = 0.0,
        ignore: Sequence[Placed] = (),
    ) -> Placed | None:
        """In front of something; `facing` turns its own front back to it."""
        turn = np.pi if facing else 0.0
        near = design.high[1] if facing else -design.low[1]
        yaw_rad = anchor.yaw_rad + turn + np.radians(self.rng.uniform(-jitter_deg, jitter_deg))
        local = np.array([aside_m, anchor.design.high[1] + gap_m + near, 0.0])
        spot = anchor.world_from_object[:3, :3] @ local + anchor.world_from_object[:3, 3]
        spot[2] = 0.0
        return self._first_or_best([self._posed(design, room, spot, float(yaw_rad))], room, None, (anchor, *ignore))

    def beside(self, anchor: Placed, design: Design, room: Room, *, side: float, gap_m: float) -> Placed | None:
        """Left (-1) or right (+1) of something, backs in one line."""
        x = anchor.design.high[0] + gap_m - design.low[0] if side > 0 else anchor.design.low[0] - gap_m - design.high[0]
        local = np.array([x, anchor.design.low[1] - design.low[1], 0.0])
        spot = anchor.world_from_object[:3, :3] @ local + anchor.world_from_object[:3, 3]
        return self._first_or_best([self._posed(design, room, spot, anchor.yaw_rad)], room, None, (anchor,))

    def at(self, design: Design, room: Room, *, spot_world: np.ndarray, yaw_rad: float, ignore: Sequence[Placed] = ()) -> Placed | None:
        """Exactly there, if it fits."""
        return self._first_or_best([self._posed(design, room, spot_world, yaw_rad)], room, None, ignore)

    def on_top(
        self, parent: Placed, design: Design, *, facing: bool = False, at: tuple[float, float] | None = None, jitter_deg: float = 180.0
    ) -> Placed | None:
        """On one of the tops of something; `facing` keeps its front the parent's way."""
        index = next(i for i, one in enumerate(self.placed) if one is parent)
        for top in parent.design.tops:
            if design.high[2] - design.low[2] > top.headroom_m:
                continue
            for _ in range(12):
                spot = self._spot(top, design, at)
                if spot is None:
                    break
                turn = 0.0 if facing else np.radians(self.rng.uniform(-jitter_deg, jitter_deg))
                local = parent.world_from_object @ yaw_translation(float(turn), np.array([*spot, top.z_m - design.low[2]]))
                new = Placed(design=design, world_from_object=local, room_index=parent.room_index, support=index)
                if not any(overlap(new.footprint, other.footprint) for other in self.placed if other is not parent):
                    self.placed.append(new)
                    return new
                if at is not None:
                    break
        return None

    def _spot(self, top: Top, design: Design, at: tuple[float, float] | None) -> tuple[float, float] | None:
        if at is not None:
            return at
        reach = float(np.hypot(*np.maximum(np.abs(design.low[:2]), np.abs(design.high[:2]))))
        low, high = np.array(top.low) - 0.04 + reach, np.array(top.high) + 0.04 - reach
        middle = (np.array(top.low) + np.array(top.high)) / 2.0
        low, high = np.minimum(low, middle), np.maximum(high, middle)
        if (np.array(top.high) - np.array(top.low)).min() + 0.1 < 2.0 * min(reach, 0.14):
            return None
        spot = self.rng.uniform(low, high)
        return float(spot[0]), float(spot[1])

    def _posed(self, design: Design, room: Room, spot: np.ndarray, yaw_rad: float) -> Placed:
        return Placed(design=design, world_from_object=yaw_translation(yaw_rad, spot), room_index=room.room_index)

    def _first_or_best(
        self,
        candidates: list[Placed],
        room: Room,
        score: Callable[[Placed], float] | None,
        ignore: Sequence[Placed],
        *,
        margin_m: float = 0.0,
    ) -> Placed | None:
        order = self.rng.permutation(len(candidates))
        fitting = []
        for index in order:
            if self.fits(candidates[index], room, ignore, margin_m=margin_m):
                fitting.append(candidates[index])
                if score is None and self._keeps_ways_free(candidates[index], room):
                    self.placed.append(candidates[index])
                    return candidates[index]
        if score is None:
            return None
        for new in sorted(fitting, key=score, reverse=True)[:8]:
            if self._keeps_ways_free(new, room):
                self.placed.append(new)
                return new
        return None

    def fits(self, new: Placed, room: Room, ignore: Sequence[Placed] = (), *, margin_m: float = 0.0) -> bool:
        """Inside the room, clear of openings, of other things and of the floor they need."""
        mine, flat = new.footprint, new.footprint.high_z_m < FLAT_M
        grown = mine.grown(margin_m)
        if not inside(room.outline_world, grown):
            return False
        if not flat and any(overlap(mine, keep_out) for keep_out in self.keep_outs):
            return False
        zone = new.front_zone
        for other in self.placed:
            if other.room_index != room.room_index or other.support >= 0:
                continue
            theirs = other.footprint
            if overlap(mine, theirs) or (margin_m and not flat and theirs.high_z_m >= FLAT_M and overlap(grown, theirs)):
                return False
            if flat or theirs.high_z_m < FLAT_M or any(other is one for one in ignore):
                continue
            if zone is not None and overlap(zone, theirs):
                return False
            their_zone = other.front_zone
            if their_zone is not None and overlap(their_zone, mine):
                return False
        return zone is None or inside(room.outline_world, zone.grown(-0.15))

    def _keeps_ways_free(self, new: Placed, room: Room) -> bool:
        """Whether a person can still walk from every door of the room to every other, and stand somewhere."""
        if new.footprint.low_z_m > 1.0 or new.footprint.high_z_m < FLAT_M:
            return True
        free = walkable(self.plan, room, [one.footprint for one in self.placed if one.room_index == room.room_index] + [new.footprint])
        parts, count = ndimage.label(free)
        if count == 0:
            return False
        cells = [tuple(np.floor((gate - self.plan.origin_world) / CELL_M).astype(int)) for gate in gates(self.plan, room)]
        found = {int(parts[cell]) for cell in cells}
        return len(found) <= 1 and 0 not in found and (parts > 0).sum() * CELL_M**2 > 0.8


def walkable(plan: Plan, room: Room, footprints: Sequence[Footprint]) -> np.ndarray:
    """Cells of a room whose centre is a body's half width away from walls and furniture."""
    cells = np.argwhere(plan.labels == room.room_index)
    centres = (cells + 0.5) * CELL_M + plan.origin_world
    free = contains(room.outline_world, centres)
    for step in (np.array([BODY_M, 0.0]), np.array([0.0, BODY_M])):
        free &= contains(room.outline_world, centres + step) & contains(room.outline_world, centres - step)
    for footprint in footprints:
        if footprint.high_z_m >= FLAT_M and footprint.low_z_m < 1.8:
            free &= ~footprint.grown(BODY_M).covers(centres)
    grid = np.zeros(plan.labels.shape, dtype=bool)
    grid[tuple(cells.T)] = free
    return grid


def gates(plan: Plan, room: Room) -> list[np.ndarray]:
    """Points `(2,)` just inside a room, one per door or passage."""
    points = []
    for opening in plan.structure.openings:
        if opening.kind == "window" or room.room_index not in opening.rooms:
            continue
        wall = plan.structure.walls[opening.wall_id]
        along = (wall.b_world - wall.a_world)[:2]
        normal = np.array([along[1], along[0]]) / np.hypot(*along)
        for side in (-1.0, 1.0):
            spot = opening.centre_world[:2] + side * normal * (wall.thickness_m / 2.0 + GATE_M)
            if contains(room.outline_world, spot[None])[0]:
                points.append(spot)
    return points
