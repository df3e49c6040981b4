"""Procedural rooms: an analytic scene that renders colour, depth, ids and normals exactly, from a seed."""

from sightline.captures.procedural.model import Rendering, RoomModel, build_room, render
from sightline.captures.procedural.options import RoomsOptions, SensorOptions

__all__ = ["Rendering", "RoomModel", "RoomsOptions", "SensorOptions", "build_room", "render"]
