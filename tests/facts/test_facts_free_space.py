"""Free space: a box room with a table by closed form, passages through doors, and grids that do not depend on order."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage
from seen_rooms import flat, level_points, seen_cloud, upright_object, wall_points

from sightline.captures.capture import Opening, Room, Structure, Wall
from sightline.facts.free_space import CELL_M, FREE, NOT_KNOWN, TAKEN, free_parts, free_space
from sightline.facts.rooms import seen_floor
from sightline.geometry.shapes import polygon_contains

ROOM = np.array([[0.0, 0.0], [4.0, 0.0], [4.0, 3.0], [0.0, 3.0]])
TABLE = upright_object(0, "table", (1.0, 1.0, 0.0), (2.2, 1.8, 0.75))
NO_POINTS = np.zeros((0, 3))


def box_room(*, outlines=(ROOM,), walls=(), openings=(), floors_m=None):
    floors_m = floors_m or [0.0] * len(outlines)
    rooms = tuple(
        Room(room_index=i, label="room", outline_world=outline, floor_z_m=floor_m, ceiling_z_m=floor_m + 2.5)
        for i, (outline, floor_m) in enumerate(zip(outlines, floors_m))
    )
    return Structure(rooms=rooms, walls=tuple(walls), openings=tuple(openings))


def space_of(points=NO_POINTS, *, structure=None, objects=(), floor=None):
    return free_space(points, structure=structure, objects=objects, floor=floor)


def cell_at(space, x, y):
    row = int((y - space.origin_world[0, 1]) / space.cell_m[0])
    return int(space.cells[row, int((x - space.origin_world[0, 0]) / space.cell_m[0])])


def area_m2(space, kind):
    return float((space.cells == kind).sum() * CELL_M**2)


def test_a_box_room_with_a_table_is_free_but_for_the_table():
    space = space_of(structure=box_room(), objects=[TABLE])
    assert np.isclose(area_m2(space, FREE), 4.0 * 3.0 - 1.2 * 0.8) and np.isclose(area_m2(space, TAKEN), 1.2 * 0.8)
    assert cell_at(space, 0.5, 0.5) == FREE and cell_at(space, 1.6, 1.4) == TAKEN and cell_at(space, 4.1, 1.5) == NOT_KNOWN
    rows = space.origin_world[:, 1]
    assert np.allclose(np.diff(rows), CELL_M) and (space.origin_world[:, 2] == 0.0).all() and (space.cell_m == CELL_M).all()


@pytest.mark.parametrize(
    ("low_z", "high_z", "in_the_way"), [(0.0, 0.05, False), (0.0, 0.5, True), (1.5, 2.0, True), (1.7, 2.2, False), (0.0, 2.4, True)]
)
def test_only_what_is_between_ankles_and_head_is_in_the_way(low_z, high_z, in_the_way):
    lifted_m = 0.4  # the floor of this room is not at zero
    thing = upright_object(0, "thing", (1.0, 1.0, low_z + lifted_m), (2.0, 2.0, high_z + lifted_m))
    structure = box_room(floors_m=[lifted_m])
    assert (cell_at(space_of(structure=structure, objects=[thing]), 1.5, 1.5) == TAKEN) is in_the_way
    points = level_points((1.0, 1.0), (2.0, 2.0), (low_z + high_z) / 2.0 + lifted_m)
    is_between = 0.1 <= (low_z + high_z) / 2.0 <= 1.6
    assert (cell_at(space_of(points, structure=structure), 1.5, 1.5) == TAKEN) is is_between


def test_boxes_of_walls_and_doors_do_not_fill_the_room_they_surround():
    shell = [upright_object(0, "wall", (0.0, 0.0, 0.0), (4.0, 3.0, 2.5)), upright_object(1, "door", (1.0, 1.0, 0.0), (2.0, 2.0, 2.0))]
    assert np.isclose(area_m2(space_of(structure=box_room(), objects=shell), FREE), 12.0)


def test_a_seen_floor_is_free_where_nothing_stands_and_unknown_beyond():
    scan = np.concatenate([level_points((0, 0), (4, 3), 0.0), wall_points(ROOM, 2.4), level_points((1, 1), (2, 2), 0.75)])
    hidden = (scan[:, 2] == 0.0) & (np.abs(scan[:, :2] - [3.0, 1.0]) < 0.4).all(axis=1)
    seen = scan[~hidden]
    space = space_of(seen, objects=None, floor=seen_floor(seen, [1.5]))
    assert cell_at(space, 0.5, 0.5) == FREE and cell_at(space, 1.5, 1.5) == TAKEN and cell_at(space, 3.0, 1.0) == NOT_KNOWN
    assert abs(area_m2(space, FREE) - (12.0 - 1.0 - 0.64)) < 0.05 * 12.0  # walls and the rim of the table take their cells
    assert space_of(floor=None) == "neither the outline of a room nor the floor is known"


def test_the_grid_does_not_depend_on_the_order_of_points_and_objects():
    points, structure, objects = seen_cloud(1, 1), flat(1, 1).structure, flat(1, 1).objects
    shuffled = points[np.random.default_rng(1).permutation(len(points))]
    one = space_of(points, structure=structure, objects=objects)
    two = space_of(shuffled, structure=replace(structure, walls=structure.walls[::-1]), objects=objects[::-1])
    assert np.array_equal(one.cells, two.cells) and np.array_equal(one.origin_world, two.origin_world)


def two_rooms(*, openings=()):
    other = ROOM + [4.2, 0.0]
    wall = Wall(wall_id=7, a_world=np.array([4.1, 0.0, 0.0]), b_world=np.array([4.1, 3.0, 0.0]), height_m=2.5, thickness_m=0.2)
    return box_room(outlines=(ROOM, other), walls=(wall,), openings=openings)


def door(kind="door", *, bottom_m=0.0):
    return Opening(kind=kind, wall_id=7, centre_world=np.array([4.1, 1.5, bottom_m + 1.0]), width_m=0.9, height_m=2.0, rooms=(0, 1))


def test_a_door_joins_two_rooms_that_a_wall_or_a_window_keeps_apart():
    closed_leaf = wall_points(np.array([[4.1, 1.1], [4.1, 1.9]]), 2.0)
    for points in (NO_POINTS, closed_leaf):  # doors open
        space = space_of(points, structure=two_rooms(openings=[door()]))
        assert free_parts(space).max() == 1 and cell_at(space, 4.1, 1.5) == FREE and cell_at(space, 4.1, 0.5) == TAKEN
    for openings in ([], [door("window", bottom_m=0.9)], [door("window")]):
        assert free_parts(space_of(structure=two_rooms(openings=openings))).max() == 2


def test_a_cupboard_before_the_door_closes_it():
    cupboard = upright_object(0, "cupboard", (3.4, 0.5, 0.0), (4.0, 2.5, 2.0))
    assert free_parts(space_of(structure=two_rooms(openings=[door()]), objects=[cupboard])).max() == 2


def test_a_curved_wall_stands_along_its_arc():
    wall = Wall(
        wall_id=0, a_world=np.array([3.0, 1.5, 0.0]), b_world=np.array([1.0, 1.5, 0.0]), height_m=2.5, thickness_m=0.1,
        arc_centre_world=np.array([2.0, 1.5, 0.0]),
    )  # fmt: skip
    space = space_of(structure=box_room(walls=[wall]))
    assert cell_at(space, 2.0, 2.5) == TAKEN and cell_at(space, 2.0, 1.5) == FREE and cell_at(space, 2.0, 0.5) == FREE


def test_heights_are_taken_over_the_floor_of_the_room_one_stands_in():
    structure = box_room(outlines=(ROOM, 0.5 * ROOM + [4.0, 0.0]), floors_m=[0.0, 0.2])  # one step up into the smaller room
    mats = [upright_object(0, "mat", (1.0, 1.0, 0.2), (1.5, 1.5, 0.25)), upright_object(1, "mat", (4.5, 0.5, 0.2), (5.0, 1.0, 0.25))]
    points = level_points((2.0, 1.0), (2.5, 1.5), 0.25), level_points((5.2, 0.5), (5.6, 1.0), 0.25)
    space = space_of(np.concatenate(points), structure=structure, objects=mats)
    assert cell_at(space, 1.2, 1.2) == TAKEN == cell_at(space, 2.2, 1.2) and cell_at(space, 4.7, 0.7) == FREE == cell_at(space, 5.4, 0.7)


def test_rooms_of_another_storey_are_left_out():
    space = space_of(structure=box_room(outlines=(ROOM, 0.5 * ROOM + [6.0, 0.0]), floors_m=[0.0, 2.8]))
    assert np.isclose(area_m2(space, FREE), 12.0)


@pytest.mark.parametrize(("seed", "rooms", "knows_structure"), [(2, 2, True), (5, 2, True), (1, 3, True), (2, 2, False), (5, 2, False)])
def test_a_person_can_walk_from_every_room_of_a_flat_to_every_other(seed, rooms, knows_structure):
    """A path joins the rooms among all furniture: 45 cm wide with outlines, 25 cm over a floor known by thin points alone."""
    room, points = flat(seed, rooms), seen_cloud(seed, rooms)
    structure = room.structure if knows_structure else None
    space = space_of(points, structure=structure, objects=room.objects, floor=seen_floor(points, [1.5]))
    wide = ndimage.binary_erosion(space.cells == FREE, np.ones((9, 9)) if knows_structure else np.ones((5, 5)))
    parts = ndimage.label(wide)[0]
    rows, columns = np.indices(space.cells.shape)
    spots = space.origin_world[0, :2] + (np.stack([columns, rows], axis=-1).reshape(-1, 2) + 0.5) * CELL_M
    largest = np.argmax(np.bincount(parts[parts > 0]))
    for one in room.structure.rooms:
        assert (parts.ravel()[polygon_contains(one.outline_world, spots)] == largest).any()
