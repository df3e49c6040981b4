"""Procedural rooms: an analytic scene that renders colour, depth, ids and normals exactly, from a seed."""

from sightline.captures.procedural.caster import cast, occluded, visible_from
from sightline.captures.procedural.model import Rendering, RoomModel, build_room, render
from sightline.captures.procedural.options import RoomsOptions, SensorOptions
from sightline.captures.procedural.walk import walk

__all__ = ["Rendering", "RoomModel", "RoomsOptions", "SensorOptions", "build_room", "cast", "occluded", "render", "visible_from", "walk"]
