"""The procedural scene in memory: solids, objects, structure and light of one seed, and its pictures."""

from dataclasses import dataclass

import numpy as np

from sightline.captures.capture import Room, SceneObject, Structure, Wall
from sightline.captures.procedural.caster import Caster, build_caster
from sightline.captures.procedural.options import RoomsOptions
from sightline.captures.procedural.primitives import BOX, NO_OBJECT, Primitive, table, tight_box
from sightline.captures.procedural.shading import Lighting, Rendering, shoot
from sightline.captures.procedural.textures import PLAIN, TILES, Material
from sightline.geometry.cameras import Intrinsics
from sightline.geometry.transforms import rigid, yaw_matrix, yaw_translation

__all__ = ["Rendering", "RoomModel", "build_room", "render"]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class RoomModel:
    """One furnished flat."""

    seed: int
    options: RoomsOptions
    objects: tuple[SceneObject, ...]
    structure: Structure
    lighting: Lighting
    caster: Caster


def build_room(seed: int, options: RoomsOptions) -> RoomModel:
    """The flat of a seed; equal seeds and options give equal flats."""
    rng = np.random.default_rng(seed)
    width, length, height = rng.uniform(4.0, 6.0), rng.uniform(4.0, 6.0), 2.6
    solids: list[Primitive] = []
    ids: list[int] = []
    wall = Material(PLAIN, (222, 216, 206), (222, 216, 206))
    floor = Material(TILES, (190, 180, 160), (170, 158, 136), 0.4)
    half_t = 0.06
    outline = np.array([[0.0, 0.0], [width, 0.0], [width, length], [0.0, length]])
    walls = []
    centre = np.array([[-half_t, -half_t], [width + half_t, -half_t], [width + half_t, length + half_t], [-half_t, length + half_t]])
    for index in range(4):
        a, b = centre[index], centre[(index + 1) % 4]
        middle = (a + b) / 2
        half = np.abs(b - a) / 2 + half_t
        solids.append(_box([*middle, height / 2], [*half, height / 2], wall))
        walls.append(
            Wall(
                wall_id=index,
                a_world=np.array([*a, 0.0]),
                b_world=np.array([*b, 0.0]),
                height_m=height,
                thickness_m=2 * half_t,
            )
        )
    solids.append(_box([width / 2, length / 2, -0.1], [width / 2 + 0.12, length / 2 + 0.12, 0.1], floor))
    solids.append(_box([width / 2, length / 2, height + 0.1], [width / 2 + 0.12, length / 2 + 0.12, 0.1], wall))
    ids += [NO_OBJECT] * len(solids)
    objects = []
    names = [("sofa", "blue", (62, 96, 150), (1.9, 0.85, 0.8)), ("table", "brown", (128, 84, 52), (1.4, 0.8, 0.74)),
             ("storage", "white", (225, 222, 215), (1.0, 0.45, 1.8)), ("chair", "orange", (212, 120, 50), (0.45, 0.45, 0.9)),
             ("chair", "green", (78, 130, 84), (0.45, 0.45, 0.9)), ("bed", "purple", (120, 84, 150), (1.5, 2.0, 0.5)),
             ("box", "red", (176, 62, 52), (0.4, 0.4, 0.4)), ("bin", "grey", (120, 122, 126), (0.3, 0.3, 0.4))]  # fmt: skip
    taken: list[tuple[np.ndarray, float]] = []
    for name, colour, rgb, size in names:
        radius = float(np.hypot(size[0], size[1])) / 2
        for _ in range(60):
            spot = rng.uniform([radius, radius], [width - radius, length - radius])
            if all(np.hypot(*(spot - other)) > radius + r for other, r in taken):
                break
        else:
            continue
        taken.append((spot, radius))
        pose = yaw_translation(rng.uniform(0, 2 * np.pi), np.array([*spot, 0.0]))
        part = _box([0, 0, size[2] / 2], np.array(size) / 2, Material(PLAIN, rgb, rgb))
        object_id = len(objects)
        solids.append(part.moved(pose))
        ids.append(object_id)
        objects.append(
            SceneObject(
                object_id=object_id,
                category=name,
                box=tight_box([part], pose),
                front_world=pose[:3, 1].copy(),
                attributes={"colour": colour},
            )
        )
    structure = Structure(
        rooms=(Room(room_index=0, label="living room", outline_world=outline, floor_z_m=0.0, ceiling_z_m=height),),
        walls=tuple(walls),
        openings=(),
    )
    lighting = Lighting(lamps_world=np.array([[width / 2, length / 2, height - 0.3]]), sun_world=np.array([0.6, 0.0, 0.8]))
    return RoomModel(
        seed=seed, options=options, objects=tuple(objects), structure=structure, lighting=lighting, caster=build_caster(table(solids, ids))
    )


def _box(centre: object, half: object, material: Material) -> Primitive:
    return Primitive(
        kind=BOX, half_m=np.array(half, dtype=float), parent_from_primitive=rigid(yaw_matrix(0.0), np.array(centre, dtype=float)),
        material=material,
    )  # fmt: skip


def render(room: RoomModel, intrinsics: Intrinsics, world_from_camera: np.ndarray) -> Rendering:
    """One picture of the flat: colour, z-depth, object ids, world normals."""
    return shoot(room.caster, room.lighting, intrinsics, world_from_camera, antialias=room.options.antialias, shadows=room.options.shadows)
