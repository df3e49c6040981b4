"""Objects and room structure as plain JSON values and back: `objects.json`, `structure.json` and the scene manifest."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np

from sightline.captures.capture import NO_WALL, Opening, Room, SceneObject, Structure, Wall
from sightline.errors import DataError, ShapeError
from sightline.geometry.boxes import Box

T = TypeVar("T")
ON_ARC_M = 0.01  # how far the two ends of a curved wall may differ in their distance from its centre


def objects_as_json(objects: Sequence[SceneObject]) -> list[dict[str, Any]]:
    """One mapping per object: `object_id, category, size_m (3), world_from_object (16, row-major), front_world (3) or null, attributes`."""
    return [
        {
            "object_id": int(one.object_id),
            "category": one.category,
            "size_m": _floats(one.box.size_m),
            "world_from_object": _floats(one.box.world_from_object),
            "front_world": None if one.front_world is None else _floats(one.front_world),
            "attributes": {str(key): str(value) for key, value in one.attributes.items()},
        }
        for one in objects
    ]


def objects_from_json(values: Any, *, where: str) -> tuple[SceneObject, ...]:
    """The inverse of `objects_as_json`; `front_world` and `attributes` may be left out. Raises DataError naming `where` and the object."""
    objects = _each(values, _object, where=where, kind="object")
    ids = [one.object_id for one in objects]
    if len(set(ids)) != len(ids):
        twice = next(one for one in ids if ids.count(one) > 1)
        raise DataError(f"{where}: object_id {twice} stands twice")
    return objects


def _object(value: dict[str, Any]) -> SceneObject:
    object_id = int(value["object_id"])
    if not 0 <= object_id < 65535:
        raise ValueError(f"object_id: expected 0 to 65534, found {object_id}")
    pose = _array(value, "world_from_object", 16).reshape(4, 4)
    front = value.get("front_world")
    return SceneObject(
        object_id=object_id,
        category=str(value["category"]),
        box=Box(size_m=_array(value, "size_m", 3), world_from_object=pose),
        front_world=None if front is None else _array(value, "front_world", 3),
        attributes={str(key): str(inner) for key, inner in value.get("attributes", {}).items()},
    )


def structure_as_json(structure: Structure) -> dict[str, Any]:
    """`rooms`, `walls` and `openings` as lists of mappings with the names of their records' fields.

    `outline_world` and `arc_centre_world` of a wall and `is_open` of an opening are written only where they are known, so a
    structure without them is written as it was before they existed.
    """
    return {
        "rooms": [
            {
                "room_index": int(room.room_index),
                "label": room.label,
                "outline_world": [_floats(corner) for corner in room.outline_world],
                "floor_z_m": float(room.floor_z_m),
                "ceiling_z_m": float(room.ceiling_z_m),
            }
            for room in structure.rooms
        ],
        "walls": [_wall_as_json(wall) for wall in structure.walls],
        "openings": [_opening_as_json(opening) for opening in structure.openings],
    }


def _wall_as_json(wall: Wall) -> dict[str, Any]:
    value: dict[str, Any] = {
        "wall_id": int(wall.wall_id),
        "a_world": _floats(wall.a_world),
        "b_world": _floats(wall.b_world),
        "height_m": float(wall.height_m),
        "thickness_m": float(wall.thickness_m),
    }
    if wall.outline_world is not None:
        value["outline_world"] = [_floats(corner) for corner in wall.outline_world]
    if wall.arc_centre_world is not None:
        value["arc_centre_world"] = _floats(wall.arc_centre_world)
    return value


def _opening_as_json(opening: Opening) -> dict[str, Any]:
    value: dict[str, Any] = {
        "kind": opening.kind,
        "wall_id": int(opening.wall_id),
        "centre_world": _floats(opening.centre_world),
        "width_m": float(opening.width_m),
        "height_m": float(opening.height_m),
        "rooms": [int(room) for room in opening.rooms],
    }
    if opening.is_open is not None:
        value["is_open"] = bool(opening.is_open)
    return value


def structure_from_json(value: Any, *, where: str) -> Structure:
    """The inverse of `structure_as_json`. Raises DataError naming `where` and the part."""
    if not isinstance(value, dict):
        raise DataError(f"{where}: expected a mapping with rooms, walls and openings, found {type(value).__name__}")
    structure = Structure(
        rooms=_each(value.get("rooms", []), _room, where=where, kind="room"),
        walls=_each(value.get("walls", []), _wall, where=where, kind="wall"),
        openings=_each(value.get("openings", []), _opening, where=where, kind="opening"),
    )
    wall_ids = [wall.wall_id for wall in structure.walls]
    if len(set(wall_ids)) != len(wall_ids):
        raise DataError(f"{where}: wall_id {next(one for one in wall_ids if wall_ids.count(one) > 1)} stands twice")
    for number, opening in enumerate(structure.openings):
        if opening.wall_id != NO_WALL and opening.wall_id not in wall_ids:
            raise DataError(
                f"{where}: opening {number}: wall_id: expected one of the walls {wall_ids}, or {NO_WALL} where it is not known, "
                f"found {opening.wall_id}"
            )
    return structure


def _room(value: dict[str, Any]) -> Room:
    outline = np.array(value["outline_world"], dtype=np.float64)
    if outline.ndim != 2 or outline.shape[1] != 2 or len(outline) < 3 or not np.isfinite(outline).all():
        raise ValueError(f"outline_world: expected at least 3 finite corners (x, y), found shape {outline.shape}")
    return Room(
        room_index=int(value["room_index"]),
        label=str(value["label"]),
        outline_world=outline,
        floor_z_m=_number(value, "floor_z_m"),
        ceiling_z_m=_number(value, "ceiling_z_m"),
    )


def _wall(value: dict[str, Any]) -> Wall:
    wall_id = int(value["wall_id"])
    if wall_id < 0:
        raise ValueError(f"wall_id: expected 0 or more, found {wall_id}")
    wall = Wall(
        wall_id=wall_id,
        a_world=_array(value, "a_world", 3),
        b_world=_array(value, "b_world", 3),
        height_m=_number(value, "height_m"),
        thickness_m=_number(value, "thickness_m"),
        outline_world=None if value.get("outline_world") is None else _corners(value, "outline_world"),
        arc_centre_world=None if value.get("arc_centre_world") is None else _array(value, "arc_centre_world", 3),
    )
    if wall.arc_centre_world is not None:
        radii_m = [float(np.linalg.norm((end - wall.arc_centre_world)[:2])) for end in (wall.a_world, wall.b_world)]
        if abs(radii_m[0] - radii_m[1]) > ON_ARC_M or min(radii_m) <= 0.0:
            raise ValueError(f"arc_centre_world: expected a point as far from a as from b, found {radii_m[0]:.3f} m and {radii_m[1]:.3f} m")
    return wall


def _corners(value: dict[str, Any], key: str) -> np.ndarray:
    corners = np.array(value[key], dtype=np.float64)
    if corners.ndim != 2 or corners.shape[1] != 3 or len(corners) < 3 or not np.isfinite(corners).all():
        raise ValueError(f"{key}: expected at least 3 finite corners (x, y, z), found shape {corners.shape}")
    return corners


def _opening(value: dict[str, Any]) -> Opening:
    is_open = value.get("is_open")
    if not (is_open is None or isinstance(is_open, bool)):
        raise ValueError(f"is_open: expected true, false or null, found {is_open!r}")
    return Opening(
        kind=str(value["kind"]),
        wall_id=int(value["wall_id"]),
        centre_world=_array(value, "centre_world", 3),
        width_m=_number(value, "width_m"),
        height_m=_number(value, "height_m"),
        rooms=tuple(int(room) for room in value["rooms"]),
        is_open=is_open,
    )


def _each(values: Any, read: Callable[[dict[str, Any]], T], *, where: str, kind: str) -> tuple[T, ...]:
    if not isinstance(values, list):
        raise DataError(f"{where}: expected a list with one mapping per {kind}, found {type(values).__name__}")
    records = []
    for number, value in enumerate(values):
        try:
            records.append(read(value))
        except KeyError as error:
            raise DataError(f"{where}: {kind} {number}: key {error} is missing") from error
        except (ValueError, TypeError, AttributeError, ShapeError) as error:
            raise DataError(f"{where}: {kind} {number}: {error}") from error
    return tuple(records)


def _floats(array: np.ndarray) -> list[float]:
    return [float(value) for value in np.asarray(array, dtype=np.float64).reshape(-1)]


def _array(value: dict[str, Any], key: str, count: int) -> np.ndarray:
    array = np.array(value[key], dtype=np.float64).reshape(-1)
    if array.size != count or not np.isfinite(array).all():
        raise ValueError(f"{key}: expected {count} finite numbers, found {value[key]!r}")
    return array


def _number(value: dict[str, Any], key: str) -> float:
    number = float(value[key])
    if not np.isfinite(number):
        raise ValueError(f"{key}: expected a finite number, found {value[key]!r}")
    return number
