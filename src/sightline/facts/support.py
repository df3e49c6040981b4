"""Places of objects: what each one stands on, and the room that holds its centre."""

from collections.abc import Sequence

import numpy as np

from sightline.captures.capture import SceneObject, Structure
from sightline.facts.fact import NO_SUPPORT, ON_FLOOR, ObjectPlaceFacts
from sightline.facts.outline import convex_overlap_m2, footprint
from sightline.geometry.shapes import polygon_area, polygon_contains

TOUCH_M = 0.05  # between what stands and what carries it; boxes of scans are no better
CARRIED_SHARE = 0.5  # of the footprint that lies over what carries it
FLAT_M2 = 1e-9
SURFACE_POINTS = 6  # of the carrier right below: fewer may be stray
SURFACE_REACH_M = 0.08  # around the footprint: what carries is seen beside what it carries, not under it
ROOM_HEIGHT_MARGIN_M = 0.3
SURFACE_UP, SURFACE_DOWN = 0.03, 0.05  # the visible surface may lie a little above the bottom of a box, or below it


def object_places(
    objects: Sequence[SceneObject],
    *,
    structure: Structure | None,
    floor_z_m: float | None,
    points_world: np.ndarray,
    point_object_ids: np.ndarray | None,
) -> ObjectPlaceFacts:
    """What every object stands on and where. `floor_z_m` is the floor that was seen; a known room's own floor goes before it.

    An object stands on the floor or on the top of another box that lies within `TOUCH_M` of its bottom, with half of its footprint over
    that box; of several, on the nearest in height. One that stands on neither may stand on a surface inside another's box (the seat of a
    sofa, the mattress of a bed): where points of that other object lie level with its bottom, under it or beside it.
    """
    rooms = np.array([_room_of(one, structure) for one in objects], dtype=np.int32)
    floors = _floors(objects, rooms, structure, floor_z_m)
    heights = np.array([_ends_m(one) for one in objects], dtype=np.float64).reshape(-1, 2)
    middles = heights.mean(axis=1)
    plans = [footprint(one.box) for one in objects]
    bounds = np.array([np.concatenate([plan.min(axis=0), plan.max(axis=0)]) for plan in plans]).reshape(-1, 4)
    support = np.full(len(objects), NO_SUPPORT, dtype=np.int32)
    by_id = _points_by_id(points_world, point_object_ids)
    for index in range(len(objects)):
        carriers = _overlapping(index, bounds, heights, middles)
        on = _on_top(index, carriers, heights, plans, floor_gap_m=abs(heights[index, 0] - floors[index]))
        if on is None:
            on = _on_surface(index, carriers, heights, plans, [by_id.get(objects[other].object_id) for other in carriers])
        if on is not None:
            support[index] = ON_FLOOR if on < 0 else objects[on].object_id
    return ObjectPlaceFacts(object_id=np.array([one.object_id for one in objects], dtype=np.int32), support_id=support, room_index=rooms)


def _ends_m(one: SceneObject) -> tuple[float, float]:
    """Heights of the lowest and of the highest corner."""
    half_m = float(np.abs(one.box.world_from_object[2, :3]) @ one.box.size_m) / 2.0
    return float(one.box.centre_world[2]) - half_m, float(one.box.centre_world[2]) + half_m


def _room_of(one: SceneObject, structure: Structure | None) -> int:
    """`room_index` of the room that holds the centre, -1 for none."""
    centre = one.box.centre_world
    for room in structure.rooms if structure is not None else ():
        low_m, high_m = room.floor_z_m - ROOM_HEIGHT_MARGIN_M, room.ceiling_z_m + ROOM_HEIGHT_MARGIN_M
        outline = np.asarray(room.outline_world, dtype=np.float64)
        if low_m <= centre[2] <= high_m and polygon_contains(outline, centre[None, :2])[0]:
            return room.room_index
    return -1


def _floors(objects: Sequence[SceneObject], rooms: np.ndarray, structure: Structure | None, floor_z_m: float | None) -> np.ndarray:
    """Height of the floor under every object `(K,)`; NaN where it is not known."""
    known = {room.room_index: room.floor_z_m for room in structure.rooms} if structure is not None else {}
    elsewhere = floor_z_m if floor_z_m is not None else (min(known.values()) if known else np.nan)
    return np.array([known.get(int(room), elsewhere) for room in rooms], dtype=np.float64)


def _overlapping(index: int, bounds: np.ndarray, heights: np.ndarray, middles: np.ndarray) -> np.ndarray:
    """Objects whose bounds in plan meet those of one object, that start lower and whose middle is lower: a pair cannot carry each other."""
    near = np.flatnonzero((bounds[:, 0] < bounds[index, 2]) & (bounds[:, 2] > bounds[index, 0]))
    near = near[(bounds[near, 1] < bounds[index, 3]) & (bounds[near, 3] > bounds[index, 1])]
    lower = (middles[near] < middles[index]) & (heights[near, 0] < heights[index, 0])
    return near[lower & (heights[near, 1] >= heights[index, 0] - TOUCH_M)]


def _share_over(index: int, other: int, plans: Sequence[np.ndarray]) -> float:
    """Share of one object's footprint that lies over another's."""
    return convex_overlap_m2(plans[index], plans[other]) / max(abs(polygon_area(plans[index])), FLAT_M2)


def _on_top(index: int, carriers: np.ndarray, heights: np.ndarray, plans: Sequence[np.ndarray], *, floor_gap_m: float) -> int | None:
    """The object whose top carries this one, -1 for the floor, None for neither."""
    best, best_gap_m = (-1, floor_gap_m) if floor_gap_m <= TOUCH_M else (None, np.inf)
    for other in carriers:
        gap_m = abs(heights[index, 0] - heights[other, 1])
        if gap_m <= TOUCH_M and gap_m < best_gap_m and _share_over(index, other, plans) >= CARRIED_SHARE:
            best, best_gap_m = int(other), gap_m
    return best


def _on_surface(
    index: int, carriers: np.ndarray, heights: np.ndarray, plans: Sequence[np.ndarray], points: Sequence[np.ndarray | None]
) -> int | None:
    """The object that has most points level with this one's bottom, under it or right beside it; None where none has enough."""
    bottom_m, plan = heights[index, 0], plans[index]
    low, high = plan.min(axis=0) - SURFACE_REACH_M, plan.max(axis=0) + SURFACE_REACH_M
    best, most = None, SURFACE_POINTS - 1
    for other, mine in zip(carriers, points):
        if mine is None:
            continue
        level = (mine[:, 2] >= bottom_m - SURFACE_DOWN) & (mine[:, 2] <= bottom_m + SURFACE_UP)
        number = int((level & (mine[:, :2] >= low).all(axis=1) & (mine[:, :2] <= high).all(axis=1)).sum())
        if number > most and _share_over(index, int(other), plans) >= CARRIED_SHARE:
            best, most = int(other), number
    return best


def _points_by_id(points_world: np.ndarray, ids: np.ndarray | None) -> dict[int, np.ndarray]:
    """Points of every object."""
    if ids is None or len(ids) == 0:
        return {}
    order = np.argsort(ids, kind="stable")
    order = order[np.searchsorted(ids[order], 0) :]  # -1: of no object
    if len(order) == 0:
        return {}
    sorted_ids = ids[order]
    starts = np.flatnonzero(np.concatenate([[True], sorted_ids[1:] != sorted_ids[:-1]]))
    parts = np.split(np.asarray(points_world, dtype=np.float64)[order], starts[1:])
    return {int(sorted_ids[start]): part for start, part in zip(starts, parts)}
