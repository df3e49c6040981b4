"""Objects and structure as JSON, read back strictly."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from sightline.captures.capture import Opening, Room, SceneObject, Structure, Wall
from sightline.errors import CaptureError
from sightline.geometry.boxes import Box
from sightline.geometry.transforms import ROTATION_TOLERANCE, rigidity_error

Vector2 = tuple[float, float]
Vector3 = tuple[float, float, float]
Vector4 = tuple[float, float, float, float]
Positive3 = tuple[float, float, float]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, strict=False)


class _Object(_Strict):
    object_id: int = Field(ge=0, le=65533)
    category: str = Field(min_length=1)
    size_m: Vector3
    world_from_object: tuple[Vector4, Vector4, Vector4, Vector4]
    front_world: Vector3 | None
    attributes: dict[str, str]


class _Room(_Strict):
    room_index: int
    label: str
    outline_world: list[Vector2] = Field(min_length=3)
    floor_z_m: float
    ceiling_z_m: float


class _Wall(_Strict):
    wall_id: int
    a_world: Vector3
    b_world: Vector3
    height_m: float = Field(gt=0)
    thickness_m: float = Field(gt=0)


class _Opening(_Strict):
    kind: str = Field(pattern="^(door|window|opening)$")
    wall_id: int
    centre_world: Vector3
    width_m: float = Field(gt=0)
    height_m: float = Field(gt=0)
    rooms: list[int] = Field(min_length=1, max_length=2)


class _Structure(_Strict):
    rooms: list[_Room]
    walls: list[_Wall]
    openings: list[_Opening]


def objects_to_json(objects: Sequence[SceneObject]) -> list[dict[str, Any]]:
    """A JSON list, one entry per object."""
    return [
        {
            "object_id": thing.object_id,
            "category": thing.category,
            "size_m": thing.box.size_m.tolist(),
            "world_from_object": thing.box.world_from_object.tolist(),
            "front_world": None if thing.front_world is None else thing.front_world.tolist(),
            "attributes": dict(thing.attributes),
        }
        for thing in objects
    ]


def objects_from_json(value: Any, where: str) -> tuple[SceneObject, ...]:
    """Strictly: every field checked, ids unique, poses rigid. Raises CaptureError naming the entry and the field."""
    objects: list[SceneObject] = []
    for index, entry in enumerate(_validated(list[_Object], value, where)):
        pose, size_m = np.array(entry.world_from_object), np.array(entry.size_m)
        if rigidity_error(pose) > ROTATION_TOLERANCE:
            raise CaptureError(
                f"{where}: entry {index}, field world_from_object: expected a rigid 4x4, found error {rigidity_error(pose):.3g}"
            )
        if not (size_m > 0).all():
            raise CaptureError(f"{where}: entry {index}, field size_m: expected positive sizes, found {size_m.tolist()}")
        if any(entry.object_id == other.object_id for other in objects):
            raise CaptureError(f"{where}: entry {index}, field object_id: {entry.object_id} stands twice")
        objects.append(
            SceneObject(
                object_id=entry.object_id,
                category=entry.category,
                box=Box(size_m=size_m, world_from_object=pose),
                front_world=None if entry.front_world is None else np.array(entry.front_world),
                attributes=entry.attributes,
            )
        )
    return tuple(objects)


def structure_to_json(structure: Structure) -> dict[str, Any]:
    """Rooms, walls and openings as a JSON mapping."""
    return {
        "rooms": [
            {
                "room_index": room.room_index,
                "label": room.label,
                "outline_world": room.outline_world.tolist(),
                "floor_z_m": room.floor_z_m,
                "ceiling_z_m": room.ceiling_z_m,
            }
            for room in structure.rooms
        ],
        "walls": [
            {
                "wall_id": wall.wall_id,
                "a_world": wall.a_world.tolist(),
                "b_world": wall.b_world.tolist(),
                "height_m": wall.height_m,
                "thickness_m": wall.thickness_m,
            }
            for wall in structure.walls
        ],
        "openings": [
            {
                "kind": opening.kind,
                "wall_id": opening.wall_id,
                "centre_world": opening.centre_world.tolist(),
                "width_m": opening.width_m,
                "height_m": opening.height_m,
                "rooms": list(opening.rooms),
            }
            for opening in structure.openings
        ],
    }


def structure_from_json(value: Any, where: str) -> Structure:
    """Strictly. Raises CaptureError naming the entry and the field."""
    read = _validated(_Structure, value, where)
    return Structure(
        rooms=tuple(
            Room(
                room_index=room.room_index,
                label=room.label,
                outline_world=np.array(room.outline_world),
                floor_z_m=room.floor_z_m,
                ceiling_z_m=room.ceiling_z_m,
            )
            for room in read.rooms
        ),
        walls=tuple(
            Wall(
                wall_id=wall.wall_id,
                a_world=np.array(wall.a_world),
                b_world=np.array(wall.b_world),
                height_m=wall.height_m,
                thickness_m=wall.thickness_m,
            )
            for wall in read.walls
        ),
        openings=tuple(
            Opening(
                kind=opening.kind,
                wall_id=opening.wall_id,
                centre_world=np.array(opening.centre_world),
                width_m=opening.width_m,
                height_m=opening.height_m,
                rooms=tuple(opening.rooms),
            )
            for opening in read.openings
        ),
    )


def _validated(shape: Any, value: Any, where: str) -> Any:
    try:
        return TypeAdapter(shape).validate_python(value)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(step) for step in first["loc"]) or "top level"
        raise CaptureError(f"{where}: field {place}: {first['msg']}, found {first['input']!r:.80}") from error
