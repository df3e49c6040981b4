"""Clouds of rooms seen from all sides, for structure facts: exact rays decide which points of the surfaces a walk could see."""

from functools import cache

import numpy as np

from sightline.captures.capture import SceneObject
from sightline.captures.procedural.caster import visible_from
from sightline.captures.procedural.layout import CELL_M
from sightline.captures.procedural.mesh import tessellate
from sightline.captures.procedural.model import RoomModel, build_room
from sightline.captures.procedural.options import RoomsOptions
from sightline.captures.procedural.placement import walkable
from sightline.geometry.boxes import Box

EYES_PER_ROOM = 6


@cache
def flat(seed: int, rooms: int) -> RoomModel:
    return build_room(seed, RoomsOptions(min_rooms=rooms, max_rooms=rooms, antialias=False, shadows=False))


@cache
def seen_cloud(seed: int, rooms: int, count: int = 70_000) -> np.ndarray:
    """Points `(N, 3)` spread evenly over the surfaces of a flat, those that one of several places to stand sees."""
    room = flat(seed, rooms)
    triangles = tessellate(room.caster.solids, segments=8).triangles_world
    rng = np.random.default_rng(seed)
    a, along, across = triangles[:, 0], triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0]
    areas = np.linalg.norm(np.cross(along, across), axis=1)
    drawn = rng.choice(len(triangles), size=count, p=areas / areas.sum())
    u, v = rng.random((2, count, 1))
    u, v = np.where(u + v > 1, 1 - u, u), np.where(u + v > 1, 1 - v, v)
    points = a[drawn] + u * along[drawn] + v * across[drawn]
    seen = np.zeros(count, dtype=bool)
    for one in room.structure.rooms:
        cells = np.argwhere(walkable(room.plan, one, [placed.footprint for placed in room.placed if placed.room_index == one.room_index]))
        for cell in cells[:: max(1, len(cells) // EYES_PER_ROOM)]:
            left = np.flatnonzero(~seen)
            eye = np.array([*((cell + 0.5) * CELL_M + room.plan.origin_world), 1.5])
            seen[left] = visible_from(room.caster, eye, points[left])
    return points[seen]


def level_points(low: tuple[float, float], high: tuple[float, float], z_m: float, *, step_m: float = 0.04) -> np.ndarray:
    """A level rectangle of points, on a raster from `low` to at most `high`."""
    x, y = (np.arange(a, b + 1e-9, step_m) for a, b in zip(low, high))
    spots = np.stack(np.meshgrid(x, y, indexing="ij"), axis=-1).reshape(-1, 2)
    return np.c_[spots, np.full(len(spots), z_m)]


def wall_points(outline: np.ndarray, height_m: float, *, step_m: float = 0.04) -> np.ndarray:
    """Points on upright walls along an outline `(N, 2)`, from the floor up."""
    heights = np.arange(0.0, height_m + 1e-9, step_m)
    sides = []
    for a, b in zip(outline, np.roll(outline, -1, axis=0)):
        shares = np.linspace(0.0, 1.0, int(np.ceil(np.linalg.norm(b - a) / step_m)) + 1)[:, None]
        spots = a + shares * (b - a)
        sides.append(np.c_[np.repeat(spots, len(heights), axis=0), np.tile(heights, len(spots))])
    return np.concatenate(sides)


def upright_object(object_id: int, category: str, low: tuple[float, float, float], high: tuple[float, float, float]) -> SceneObject:
    """An object whose box reaches from `low` to `high`."""
    low_m, high_m = np.array(low), np.array(high)
    box = Box.upright(centre_world=(low_m + high_m) / 2.0, size_m=high_m - low_m, yaw_rad=0.0)
    return SceneObject(object_id=object_id, category=category, box=box)
