"""Writes the true room as Apple RoomPlan exports it: JSON of iOS 16 and 17 in both spellings, a structure of rooms, and USDZ."""

import importlib.util
import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import true_room as true

from sightline.captures.capture import Opening, SceneObject, Structure, Wall

SPELLED = {"stairs": "stairs", "sofa": "sofa", "table": "table", "storage": "storage", "television": "television", "stool": "chair"}
IDS = tuple(one.object_id for one in true.objects() if one.category in SPELLED)  # RoomPlan sees large furniture alone


def stored(points_world: np.ndarray) -> np.ndarray:
    """A world point or direction (x, y, z) with z up as RoomPlan keeps it, y up: (x, z, -y)."""
    points_world = np.asarray(points_world, dtype=np.float64)
    return np.stack([points_world[..., 0], points_world[..., 2], -points_world[..., 1]], axis=-1)


def columns(x: np.ndarray, y: np.ndarray, z: np.ndarray, centre: np.ndarray) -> list[float]:
    """16 numbers, one axis after the other and the centre last, in single precision as Swift writes them."""
    rows = [[*stored(x), 0.0], [*stored(y), 0.0], [*stored(z), 0.0], [*stored(centre), 1.0]]
    return [float(np.float32(value)) for row in rows for value in row]


def name_of(*words: object) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_OID, " ".join(map(str, words)))).upper()


def surface(
    category: str, key: object, *, along: np.ndarray, centre: np.ndarray, width: float, height: float, **more: Any
) -> dict[str, Any]:
    """A standing surface: x along it, y up, z = x cross y."""
    up = np.array([0.0, 0.0, 1.0])
    along = np.asarray(along, dtype=np.float64) / np.linalg.norm(along)
    return {
        "identifier": name_of(category, key),
        "category": {category: {}},
        "confidence": {"high": {}},
        "dimensions": [float(width), float(height), 0.0],
        "transform": columns(along, up, np.cross(along, up), centre),
        "completedEdges": [{"top": {}}, {"bottom": {}}, {"left": {}}, {"right": {}}],
        "polygonCorners": [],
        "curve": None,
        "parentIdentifier": None,
        "story": 0,
        **more,
    }


def wall_surface(wall: Wall) -> dict[str, Any]:
    along = wall.b_world - wall.a_world
    centre = (wall.a_world + wall.b_world) / 2.0 + np.array([0.0, 0.0, wall.height_m / 2.0])
    return surface("wall", wall.wall_id, along=along, centre=centre, width=np.linalg.norm(along), height=wall.height_m)


def opening_surface(opening: Opening, number: int, walls: Mapping[int, Wall]) -> dict[str, Any]:
    wall = walls[opening.wall_id]
    made = surface(
        opening.kind,
        number,
        along=wall.b_world - wall.a_world,
        centre=opening.centre_world,
        width=opening.width_m,
        height=opening.height_m,
        parentIdentifier=name_of("wall", opening.wall_id),
    )
    if opening.kind == "door":
        made["category"] = {"door": {"isOpen": bool(opening.is_open)}}
    return made


def floor_surface(outline: np.ndarray, floor_z_m: float, *, key: object = 0) -> dict[str, Any]:
    """A floor: its plane's y runs to the world's -y, so its z points down (the polygon comes out clockwise from above)."""
    low, high = outline.min(axis=0), outline.max(axis=0)
    middle = np.array([*(low + high) / 2.0, floor_z_m])
    local = (outline - middle[:2]) * [1.0, -1.0]
    made = surface("floor", key, along=np.array([1.0, 0.0, 0.0]), centre=middle, width=high[0] - low[0], height=high[1] - low[1])
    made["transform"] = columns(np.array([1.0, 0, 0]), np.array([0, -1.0, 0]), np.array([0, 0, -1.0]), middle)
    made["polygonCorners"] = [[float(np.float32(x)), float(np.float32(y)), 0.0] for x, y in local]
    return made


def object_box(one: SceneObject) -> dict[str, Any]:
    """The box with RoomPlan's axes: its height is y, and its z is what is -y of a box whose height is z."""
    x, y, z = one.box.world_from_object[:3, :3].T
    width, depth, height = one.box.size_m
    return {
        "identifier": name_of("object", one.object_id),
        "category": {SPELLED[one.category]: {}},
        "confidence": {"medium": {}},
        "dimensions": [float(np.float32(value)) for value in (width, height, depth)],
        "transform": columns(x, z, -y, one.box.centre_world),
        "attributes": {"ChairType": "stool"} if one.category == "stool" else {},
        "parentIdentifier": None,
        "story": 0,
    }


def captured_room() -> dict[str, Any]:
    """The true room as iOS 17 writes it."""
    structure = true.structure()
    walls = {wall.wall_id: wall for wall in structure.walls}
    openings = [opening_surface(one, number, walls) for number, one in enumerate(structure.openings)]
    room = structure.rooms[0]
    middle = np.array([*room.outline_world.mean(axis=0), 1.2])
    return {
        "identifier": name_of("room"),
        "version": 2,
        "story": 0,
        "walls": [wall_surface(wall) for wall in structure.walls],
        "doors": [one for one in openings if "door" in one["category"]],
        "windows": [one for one in openings if "window" in one["category"]],
        "openings": [one for one in openings if "opening" in one["category"]],
        "floors": [floor_surface(room.outline_world, room.floor_z_m)],
        "objects": [object_box(one) for one in true.objects() if one.object_id in IDS],
        "sections": [{"label": "livingRoom", "story": 0, "center": [float(value) for value in stored(middle)]}],
        "coreModel": "opaque" * 30_000,
        "referenceOriginTransform": [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0.5, 0, 2, 1],
    }


def expected_structure(*, loop: bool = False, label: str | None = None, thickness_m: float = 0.0, opens: bool = True) -> Structure:
    """What RoomPlan can say of the true room: walls are surfaces; without a floor, the room ends where they stand."""
    structure = true.structure()
    room = structure.rooms[0]
    corners = np.unique(np.concatenate([[wall.a_world[:2], wall.b_world[:2]] for wall in structure.walls]), axis=0)
    if loop:
        nearest = np.linalg.norm(room.outline_world[:, None] - corners, axis=2).argmin(axis=1)
        room = replace(room, outline_world=corners[nearest])
    if label is not None:
        room = replace(room, label=label)
    openings = tuple(replace(one, is_open=bool(one.is_open) if one.kind == "door" and opens else None) for one in structure.openings)
    return Structure(rooms=(room,), walls=tuple(replace(wall, thickness_m=thickness_m) for wall in structure.walls), openings=openings)


def written(source: Path, scan_id: str, structure: Structure) -> true.Written:
    return true.Written(
        source=source,
        reader="roomplan",
        scan_id=scan_id,
        place_id=scan_id,
        frames=(),
        options={},
        boxes="own",
        object_ids=IDS,
        own_ids=False,
        categories={given: word for given, word in SPELLED.items() if given != word},
        licence="unknown",
        structure=structure,
    )


def save(document: Any, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, allow_nan=True), encoding="utf-8")
    return path


def ios17(folder: Path) -> true.Written:
    """CapturedRoom with floors, sections and parents."""
    return written(save(captured_room(), folder / "My room.json"), "My_room", expected_structure())


def as_ios16(document: dict[str, Any]) -> dict[str, Any]:
    """Without all that came with iOS 17."""
    old = {key: value for key, value in document.items() if key not in ("floors", "sections", "referenceOriginTransform", "story")}
    for kind in ("walls", "doors", "windows", "openings", "objects"):
        new_keys = ("polygonCorners", "parentIdentifier", "story", "attributes")
        old[kind] = [{key: value for key, value in part.items() if key not in new_keys} for part in document[kind]]
    return {**old, "version": 1}


def ios16(folder: Path) -> true.Written:
    """CapturedRoom without floors, sections and parents: openings find their wall, and the walls close around the room."""
    structure = expected_structure(loop=True, label="room")
    return written(save(as_ios16(captured_room()), folder / "kitchen" / "Room.json").parent, "kitchen", structure)


def as_plain(value: Any) -> Any:
    """Enumerations as plain words, and transforms as four columns of four: what other programs' encoders write."""
    if isinstance(value, list):
        return [as_plain(inner) for inner in value]
    if not isinstance(value, dict):
        return value
    plain = {key: as_plain(inner) for key, inner in value.items()}
    for key in ("category", "confidence"):
        if isinstance(value.get(key), dict):
            plain[key], inner = next(iter(value[key].items()))
            if "isOpen" in inner:
                plain["isOpen"] = inner["isOpen"]
    if "transform" in value:
        plain["transform"] = [value["transform"][first : first + 4] for first in (0, 4, 8, 12)]
        plain["completedEdges"] = [next(iter(edge)) for edge in value.get("completedEdges", [])]
    return plain


def plain(folder: Path) -> true.Written:
    """The plain spelling, nested transforms."""
    return written(save(as_plain(captured_room()), folder / "plain.json"), "plain", expected_structure())


def structure_document() -> dict[str, Any]:
    """A CapturedStructure of two rooms, which is the true one cut in two; wall 2 and the floor belong to both."""
    whole = captured_room()
    halves = []
    for number, (walls, objects) in enumerate([((0, 1, 2), slice(0, 3)), ((2, 3, 4, 5), slice(3, None))]):
        half = {**whole, "identifier": name_of("half", number), "walls": [whole["walls"][index] for index in walls]}
        half["objects"] = whole["objects"][objects]
        if number:
            half |= {"doors": [], "sections": []}
        else:
            half["windows"] = []
        halves.append(half)
    return {"identifier": name_of("structure"), "version": 2, "rooms": halves}


def structure(folder: Path) -> true.Written:
    """CapturedStructure: rooms that share a wall and the floor."""
    return written(save(structure_document(), folder / "flat.json"), "flat", expected_structure())


WALL_M = 0.1  # thickness of the boxes that stand for walls in a USD file


def usd_text(structure: Structure, objects: Sequence[SceneObject]) -> str:
    """Unit cubes, scaled and turned, in groups named as RoomPlan names them; +y up."""
    shapes: dict[str, list[str]] = {}

    def cube(group: str, name: str, pose: list[float], size: Sequence[float]) -> None:
        rows = np.array(pose).reshape(4, 4)
        rows[:3, :3] *= np.array(size)[:, None]
        matrix = ", ".join(f"({', '.join(repr(float(value)) for value in row)})" for row in rows)
        text = (
            f'def Xform "{name}_grp" {{\n matrix4d xformOp:transform = ( {matrix} )\n'
            f' uniform token[] xformOpOrder = ["xformOp:transform"]\n def Cube "{name}" {{\n  double size = 1\n }}\n}}\n'
        )
        shapes.setdefault(group, []).append(text)

    walls = {wall.wall_id: wall for wall in structure.walls}
    for number, wall in enumerate(structure.walls):
        made = wall_surface(wall)
        cube("Wall_grp", f"Wall{number}", made["transform"], [*made["dimensions"][:2], WALL_M])
    for number, opening in enumerate(structure.openings):
        made = opening_surface(opening, number, walls)
        cube("Arch_grp", f"{opening.kind.title()}{number}", made["transform"], [*made["dimensions"][:2], 0.05])
    for number, one in enumerate(objects):
        made = object_box(one)
        word = SPELLED[one.category]
        cube("Object_grp", f"{word[0].upper()}{word[1:]}{number}", made["transform"], made["dimensions"])
    groups = "".join(f'def Xform "{group}" {{\n{"".join(inner)}}}\n' for group, inner in shapes.items())
    return f'#usda 1.0\n(\n defaultPrim = "Room"\n metersPerUnit = 1\n upAxis = "Y"\n)\ndef Xform "Room" {{\n{groups}}}\n'


def pack_usdz(text: str, path: Path) -> Path:
    """A USDZ of one text layer, made by USD itself."""
    from pxr import UsdUtils

    path.parent.mkdir(parents=True, exist_ok=True)
    layer = path.with_name("Room.usda")
    layer.write_text(text, encoding="utf-8")
    assert UsdUtils.CreateNewUsdzPackage(str(layer), str(path))
    layer.unlink()
    return path


def usdz(folder: Path) -> true.Written:
    """USDZ of boxes: rooms come from the walls, and nobody knows whether a door is open."""
    text = usd_text(true.structure(), [one for one in true.objects() if one.object_id in IDS])
    structure = expected_structure(loop=True, label="room", thickness_m=WALL_M, opens=False)
    return written(pack_usdz(text, folder / "Room.usdz"), "Room", structure)


VARIANTS = {"ios17": ios17, "ios16": ios16, "plain": plain, "structure": structure}
if importlib.util.find_spec("pxr") is not None:
    VARIANTS["usdz"] = usdz
