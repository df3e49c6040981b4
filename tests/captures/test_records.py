"""Room structure as JSON: what is known comes back, old files still read, and what cannot be is refused by name."""

import json
from dataclasses import replace

import numpy as np
import pytest

from sightline.captures.capture import NO_WALL, Opening, Room, Structure, Wall
from sightline.captures.records import structure_as_json, structure_from_json
from sightline.errors import DataError

STRAIGHT = Wall(wall_id=0, a_world=np.array([0.0, 0.0, 0.1]), b_world=np.array([4.0, 0.0, 0.1]), height_m=2.5, thickness_m=0.1)
GABLE = replace(STRAIGHT, wall_id=4, outline_world=np.array([[0.0, 0.0, 0.1], [4.0, 0.0, 0.1], [4.0, 0.0, 2.0], [2.0, 0.0, 1 / 3]]))
ROUND = replace(STRAIGHT, wall_id=7, arc_centre_world=np.array([2.0, 1.5, 0.1]))
DOOR = Opening(kind="door", wall_id=7, centre_world=np.array([2.0, -0.5, 1.0]), width_m=0.9, height_m=2.0, rooms=(0,), is_open=True)
LOOSE = Opening(kind="window", wall_id=NO_WALL, centre_world=np.ones(3), width_m=0.5, height_m=0.5, rooms=())
ROOM = Room(room_index=0, label="kitchen", outline_world=np.array([[0.0, 0.0], [4.0, 0.0], [4.0, 3.0]]), floor_z_m=0.1, ceiling_z_m=2.6)
WHOLE = Structure(rooms=(ROOM,), walls=(STRAIGHT, GABLE, ROUND), openings=(DOOR, LOOSE))


def through_text(structure: Structure) -> Structure:
    return structure_from_json(json.loads(json.dumps(structure_as_json(structure), allow_nan=False)), where="structure.json")


def test_outlines_arcs_and_open_doors_come_back_bit_for_bit():
    back = through_text(WHOLE)
    assert [wall.wall_id for wall in back.walls] == [0, 4, 7]
    assert back.walls[0].outline_world is None and back.walls[0].arc_centre_world is None
    assert (back.walls[1].outline_world == GABLE.outline_world).all() and back.walls[1].arc_centre_world is None
    assert (back.walls[2].arc_centre_world == ROUND.arc_centre_world).all() and back.walls[2].outline_world is None
    assert [opening.is_open for opening in back.openings] == [True, None]
    assert [opening.wall_id for opening in back.openings] == [7, NO_WALL]
    for state in (True, False, None):
        assert through_text(replace(WHOLE, openings=(replace(DOOR, is_open=state),))).openings[0].is_open is state


def test_a_structure_without_the_newer_keys_reads_and_is_written_as_ever():
    plain = replace(WHOLE, walls=(STRAIGHT,), openings=(replace(LOOSE, wall_id=0),))
    value = structure_as_json(plain)
    assert set(value["walls"][0]) == {"wall_id", "a_world", "b_world", "height_m", "thickness_m"}
    assert set(value["openings"][0]) == {"kind", "wall_id", "centre_world", "width_m", "height_m", "rooms"}
    back = structure_from_json(value, where="old.json")
    assert back.walls[0].outline_world is None and back.openings[0].is_open is None


def outline_of_two(value):
    value["walls"][1]["outline_world"] = [[0, 0, 0], [1, 0, 0]]


def flat_outline(value):
    value["walls"][1]["outline_world"] = [[0, 0], [1, 0], [1, 1]]


def endless_outline(value):
    value["walls"][1]["outline_world"][2][1] = float("inf")


def arc_off_centre(value):
    value["walls"][2]["arc_centre_world"] = [1.0, 1.5, 0.1]


def short_arc_centre(value):
    value["walls"][2]["arc_centre_world"] = [1.0, 1.5]


def open_as_text(value):
    value["openings"][0]["is_open"] = "yes"


def wall_twice(value):
    value["walls"][1]["wall_id"] = 0


def negative_wall(value):
    value["walls"][0]["wall_id"] = -1


def unknown_wall(value):
    value["openings"][0]["wall_id"] = 3


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        (outline_of_two, "wall 1: outline_world: expected at least 3 finite corners"),
        (flat_outline, r"wall 1: outline_world: .* found shape \(3, 2\)"),
        (endless_outline, "wall 1: outline_world: expected at least 3 finite"),
        (arc_off_centre, "wall 2: arc_centre_world: expected a point as far from a as from b, found 1.803 m and 3.354 m"),
        (short_arc_centre, "wall 2: arc_centre_world: expected 3 finite numbers"),
        (open_as_text, "opening 0: is_open: expected true, false or null, found 'yes'"),
        (wall_twice, "wall_id 0 stands twice"),  # B33
        (negative_wall, "wall 0: wall_id: expected 0 or more, found -1"),
        (unknown_wall, r"opening 0: wall_id: expected one of the walls \[0, 4, 7\], or -1 where it is not known, found 3"),  # B43
    ],
)
def test_what_cannot_be_is_refused_naming_the_part(damage, expected):
    value = json.loads(json.dumps(structure_as_json(WHOLE)))
    damage(value)
    with pytest.raises(DataError, match=f"structure.json: {expected}"):
        structure_from_json(value, where="structure.json")
