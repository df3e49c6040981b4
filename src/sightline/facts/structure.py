"""Facts of structure together: rooms, links of rooms, free space and places of objects, each with a reason where it is not known."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from sightline.facts.fact import FreeSpaceFacts, ObjectPlaceFacts, RoomFacts, RoomLinkFacts
from sightline.facts.free_space import free_space
from sightline.facts.rooms import links_of, room_seen, rooms_of, seen_floor
from sightline.facts.support import object_places
from sightline.facts.visibility import Cloud
from sightline.scenes.scene import Scene


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class StructureFacts:
    """The four tables; None where `skips` says why."""

    rooms: RoomFacts | None = None
    room_links: RoomLinkFacts | None = None
    free_space: FreeSpaceFacts | None = None
    object_places: ObjectPlaceFacts | None = None
    skips: Mapping[str, str] = field(default_factory=dict)


def structure_facts(scene: Scene, cloud: Cloud) -> StructureFacts:
    """All facts of a scan's structure; never raises for what is not there."""
    skips: dict[str, str] = {}
    structure = scene.structure
    has_outlines = structure is not None and len(structure.rooms) > 0
    cameras_m = np.array([frame.world_from_camera[2, 3] for frame in scene.frames]) if scene.has_poses else np.empty(0)
    found = seen_floor(cloud.points_world, cameras_m)
    floor = None if isinstance(found, str) else found
    if structure is not None and has_outlines:
        rooms: RoomFacts | str = rooms_of(structure)
    else:
        rooms = found if isinstance(found, str) else room_seen(found, cloud.points_world)
    if isinstance(rooms, str):
        skips["rooms"] = rooms
    links = links_of(structure) if structure is not None else None
    if links is None:
        skips["room_links"] = "walls and doors are not known in this scan"
    space = free_space(cloud.points_world, structure=structure, objects=scene.objects, floor=floor)
    if isinstance(space, str):
        skips["free_space"] = found if isinstance(found, str) and not has_outlines else space
    places = None
    if scene.objects is None:
        skips["object_places"] = "objects are not known in this scan"
    else:
        places = object_places(
            scene.objects,
            structure=structure,
            floor_z_m=None if floor is None else floor.z_m,
            points_world=cloud.points_world,
            point_object_ids=cloud.object_ids,
        )
    return StructureFacts(
        rooms=None if isinstance(rooms, str) else rooms,
        room_links=links,
        free_space=None if isinstance(space, str) else space,
        object_places=places,
        skips=skips,
    )
