"""The procedural scene in memory: solids, objects, structure and light of one seed, and its pictures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from sightline.captures.capture import SceneObject, Structure
from sightline.captures.procedural.caster import Caster, build_caster
from sightline.captures.procedural.finishes import lamp_spots, light_of, room_finishes
from sightline.captures.procedural.footprints import Footprint
from sightline.captures.procedural.furnish import furnish
from sightline.captures.procedural.furniture.living import ceiling_light
from sightline.captures.procedural.layout import CELL_M, Plan, draw_plan
from sightline.captures.procedural.options import RoomsOptions
from sightline.captures.procedural.placement import Furnisher, Placed
from sightline.captures.procedural.primitives import NO_OBJECT, Primitive, table, tight_box
from sightline.captures.procedural.shading import Lighting, Paint, Rendering, paint_of, shoot
from sightline.captures.procedural.shell import Shell, build_shell
from sightline.geometry.cameras import Intrinsics
from sightline.geometry.transforms import yaw_translation

__all__ = ["Rendering", "RoomModel", "build_room", "model_of", "render"]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class RoomModel:
    """One furnished flat. `placed[i]` is the design and pose of object i."""

    seed: int
    options: RoomsOptions
    plan: Plan
    shell: Shell
    placed: tuple[Placed, ...]
    objects: tuple[SceneObject, ...]
    lighting: Lighting
    paint: Paint
    caster: Caster

    @property
    def structure(self) -> Structure:
        return self.plan.structure

    def moved(self, world_from_objects: Mapping[int, np.ndarray]) -> "RoomModel":
        """The same flat with some objects (and what stands on them) at other poses `(4, 4)`."""
        placed = list(self.placed)
        for index, one in enumerate(self.placed):
            if index in world_from_objects:
                placed[index] = replace(one, world_from_object=world_from_objects[index])
        caster = build_caster(_solids(self.shell, placed))
        objects = tuple(_scene_object(i, one, self.plan) for i, one in enumerate(placed))
        return replace(self, placed=tuple(placed), objects=objects, caster=caster)


def build_room(seed: int, options: RoomsOptions) -> RoomModel:
    """The flat of a seed; equal seeds and options give equal flats."""
    rng = np.random.default_rng([seed, 0])
    plan = draw_plan(rng, int(rng.integers(options.min_rooms, options.max_rooms + 1)))
    shell = build_shell(plan, rng)
    furnisher = Furnisher(plan=plan, keep_outs=shell.keep_outs, rng=rng, density=options.density)
    furnish(furnisher)
    for room, spot in zip(plan.structure.rooms, lamp_spots(plan)):
        design = ceiling_light(rng)
        pose = yaw_translation(0.0, np.array([*spot, plan.height_m - design.high[2]]))
        furnisher.placed.append(Placed(design=design, world_from_object=pose, room_index=room.room_index))
    return model_of(plan, shell, furnisher.placed, rng, seed=seed, options=options)


def model_of(
    plan: Plan, shell: Shell, placed: Sequence[Placed], rng: np.random.Generator, *, seed: int, options: RoomsOptions
) -> RoomModel:
    """A flat from its parts."""
    solids = _solids(shell, placed)
    walls, floors = room_finishes(plan, rng)
    footprints: list[Footprint] = [one.footprint for one in placed]
    return RoomModel(
        seed=seed,
        options=options,
        plan=plan,
        shell=shell,
        placed=tuple(placed),
        objects=tuple(_scene_object(i, one, plan) for i, one in enumerate(placed)),
        lighting=light_of(plan, footprints, rng),
        paint=paint_of(solids.materials, walls=walls, floors=floors, labels=plan.labels, origin_world=plan.origin_world, cell_m=CELL_M),
        caster=build_caster(solids),
    )


def _solids(shell: Shell, placed: Sequence[Placed]):
    solids: list[Primitive] = list(shell.solids)
    ids = [NO_OBJECT] * len(solids)
    for index, one in enumerate(placed):
        solids.extend(solid.moved(one.world_from_object) for solid in one.design.solids)
        ids.extend([index] * len(one.design.solids))
    return table(solids, ids)


def _scene_object(index: int, one: Placed, plan: Plan) -> SceneObject:
    design = one.design
    return SceneObject(
        object_id=index,
        category=design.category,
        box=tight_box(design.solids, one.world_from_object),
        front_world=one.front_world.copy() if design.has_front else None,
        attributes={"colour": design.colour, "material": design.material, "room": plan.structure.rooms[one.room_index].label},
    )


def render(room: RoomModel, intrinsics: Intrinsics, world_from_camera: np.ndarray) -> Rendering:
    """One picture of the flat: colour, z-depth, object ids, world normals."""
    return shoot(
        room.caster,
        room.paint,
        room.lighting,
        intrinsics,
        world_from_camera,
        antialias=room.options.antialias,
        shadows=room.options.shadows,
    )
