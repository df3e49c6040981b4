"""Rooms and their links: areas and centroids by closed form, of floors that were only seen, and flats in which every room is reached."""

import numpy as np
import pytest
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from seen_rooms import flat, level_points, seen_cloud, wall_points

from sightline.captures.capture import NO_WALL, Opening, Room, Structure
from sightline.facts.outline import convex_overlap_m2, footprint, polygon_centroid
from sightline.facts.rooms import OUTSIDE, links_of, room_seen, rooms_of, seen_floor
from sightline.geometry.boxes import Box
from sightline.geometry.shapes import polygon_area
from sightline.geometry.transforms import rigid

# an L: 5 x 2 m with 2 x 3 m on its left end: 16 m2, centroid by parts (10 * (2.5, 1) + 6 * (1, 3.5)) / 16
L_SHAPE = np.array([[0.0, 0.0], [5.0, 0.0], [5.0, 2.0], [2.0, 2.0], [2.0, 5.0], [0.0, 5.0]])
L_AREA_M2, L_CENTRE = 16.0, np.array([31.0 / 16.0, 31.0 / 16.0])
CAMERAS_M = [1.5]


def structure_of(outline, *, openings=()):
    room = Room(room_index=4, label="room", outline_world=outline, floor_z_m=0.2, ceiling_z_m=2.7)
    return Structure(rooms=(room,), walls=(), openings=tuple(openings))


def opening(kind, rooms):
    return Opening(kind=kind, wall_id=NO_WALL, centre_world=np.zeros(3), width_m=0.9, height_m=2.0, rooms=rooms)


def l_shaped_scan(*, step_m=0.04, with_walls=True):
    floor = np.concatenate([level_points((0, 0), (5, 2), 0.0, step_m=step_m), level_points((0, 2), (2, 5), 0.0, step_m=step_m)])
    return np.concatenate([floor, wall_points(L_SHAPE, 2.4)]) if with_walls else floor


@pytest.mark.parametrize("turned_deg", [0.0, 33.0])
@pytest.mark.parametrize("is_clockwise", [False, True])
def test_an_l_shaped_room_has_its_closed_form_area_and_centroid(turned_deg, is_clockwise):
    turn = np.array(
        [
            [np.cos(np.radians(turned_deg)), -np.sin(np.radians(turned_deg))],
            [np.sin(np.radians(turned_deg)), np.cos(np.radians(turned_deg))],
        ]
    )
    shift = np.array([1200.0, -340.0])  # far from the origin, as georeferenced scans are
    outline = L_SHAPE[:: -1 if is_clockwise else 1] @ turn.T + shift
    rooms = rooms_of(structure_of(outline))
    assert rooms.room_index.tolist() == [4] and rooms.from_outline.all()
    assert np.allclose(rooms.area_m2, L_AREA_M2, atol=1e-9)
    assert np.allclose(rooms.centre_world, [[*(turn @ L_CENTRE + shift), 0.2]], atol=1e-9)


def test_an_outline_without_area_has_the_middle_of_its_corners():
    rooms = rooms_of(structure_of(np.array([[0.0, 0.0], [2.0, 0.0], [4.0, 0.0]])))
    assert rooms.area_m2.tolist() == [0.0] and np.allclose(rooms.centre_world, [[2.0, 0.0, 0.2]])


def test_the_overlap_of_turned_squares_is_an_octagon():
    square = np.array([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]])
    turned = square @ np.array([[1.0, 1.0], [-1.0, 1.0]]) / np.sqrt(2.0)
    assert np.isclose(convex_overlap_m2(square, turned), 8.0 * (np.sqrt(2.0) - 1.0))
    assert np.isclose(convex_overlap_m2(square, square + [1.5, 0.0]), 1.0) and convex_overlap_m2(square, square + [2.5, 0.0]) == 0.0


@pytest.mark.parametrize("about_x", [0.0, 0.4, np.pi])
def test_a_footprint_runs_counter_clockwise_also_of_a_box_on_its_head(about_x):
    cosine, sine = np.cos(about_x), np.sin(about_x)
    turned = rigid(np.array([[1.0, 0.0, 0.0], [0.0, cosine, -sine], [0.0, sine, cosine]]), np.array([3.0, 2.0, 1.0]))
    plan = footprint(Box(size_m=np.array([1.0, 0.6, 0.4]), world_from_object=turned))
    assert np.isclose(polygon_area(plan), 0.6 * abs(cosine) + 0.4 * abs(sine)) and np.allclose(polygon_centroid(plan), [3.0, 2.0])


def test_the_centroid_of_a_triangle_is_the_mean_of_its_corners():
    triangle = np.array([[1.0, 1.0], [4.0, 2.0], [2.0, 6.0]])
    assert np.allclose(polygon_centroid(triangle), triangle.mean(axis=0))


def test_a_seen_l_shaped_floor_has_its_area_within_three_percent_also_where_a_table_hides_it():
    scan = l_shaped_scan()
    hidden = (np.abs(scan[:, :2] - [3.5, 1.0]) < [0.9, 0.5]).all(axis=1) & (scan[:, 2] == 0.0)
    for points in (scan, scan[~hidden], np.concatenate([scan, level_points((0, 0), (5, 2), 2.4)])):  # whole, with a hole, with a ceiling
        floor = seen_floor(points, CAMERAS_M)
        assert abs(floor.z_m) < 0.01
        rooms = room_seen(floor, points)
        assert not rooms.from_outline.any() and rooms.room_index.tolist() == [0]
        assert abs(rooms.area_m2[0] / L_AREA_M2 - 1.0) < 0.03
        assert np.linalg.norm(rooms.centre_world[0, :2] - L_CENTRE) < 0.05


def test_the_seen_floor_does_not_depend_on_the_order_of_points():
    scan = l_shaped_scan()
    shuffled = scan[np.random.default_rng(0).permutation(len(scan))]
    one, two = (room_seen(seen_floor(points, CAMERAS_M), points) for points in (scan, shuffled))
    assert np.array_equal(one.area_m2, two.area_m2) and np.array_equal(one.centre_world, two.centre_world)


@pytest.mark.parametrize(("seed", "rooms", "within"), [(0, 1, 0.03), (1, 1, 0.03), (3, 1, 0.03), (2, 2, 0.06), (1, 3, 0.06)])
def test_a_flat_seen_from_all_sides_has_its_area(seed, rooms, within):
    """One room within 3 %; several within 6 %, the inner walls between them counting as floor."""
    truth = rooms_of(flat(seed, rooms).structure)
    points = seen_cloud(seed, rooms)
    found = room_seen(seen_floor(points, CAMERAS_M), points)
    assert abs(found.area_m2[0] / truth.area_m2.sum() - 1.0) < within
    centre = (truth.centre_world * truth.area_m2[:, None]).sum(axis=0) / truth.area_m2.sum()
    assert np.linalg.norm(found.centre_world[0] - centre) < 0.15


def test_what_was_not_seen_well_enough_is_skipped_with_its_reason():
    assert seen_floor(np.zeros((0, 3)), CAMERAS_M) == "no scene points"
    assert "square metre" in seen_floor(np.array([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0]]), CAMERAS_M)
    assert "below the cameras" in seen_floor(level_points((0, 0), (3, 3), 0.0), [0.1])
    sparse = l_shaped_scan(step_m=0.3, with_walls=False)
    assert "apart, more than 0.1 m" in room_seen(seen_floor(sparse, CAMERAS_M), sparse)
    in_the_open = l_shaped_scan(with_walls=False)
    assert "has no wall beside it" in room_seen(seen_floor(in_the_open, CAMERAS_M), in_the_open)


def test_half_of_a_room_is_not_taken_for_the_room():
    points = seen_cloud(1, 1)
    half = points[points[:, 0] < np.median(points[:, 0])]
    assert isinstance(room_seen(seen_floor(half, CAMERAS_M), half), str)


def test_links_join_the_two_rooms_of_a_door_or_lead_outside_and_windows_do_not():
    openings = [opening("window", (0,)), opening("door", (2, 0)), opening("door", (1,)), opening("opening", (1, 2)), opening("door", ())]
    links = links_of(structure_of(L_SHAPE, openings=openings))
    rows = list(zip(links.first.tolist(), links.second.tolist(), links.opening.tolist()))
    assert rows == [(0, 2, 1), (1, OUTSIDE, 2), (1, 2, 3)]
    assert len(links_of(structure_of(L_SHAPE)).first) == 0


@pytest.mark.parametrize("seed", range(8))
def test_every_room_of_a_flat_is_reached_through_its_links_and_one_door_leads_outside(seed):
    room = flat(seed, 2 + seed % 3)
    links, count = links_of(room.structure), len(room.structure.rooms)
    inner = links.second >= 0
    graph = coo_matrix((np.ones(inner.sum()), (links.first[inner], links.second[inner])), shape=(count, count))
    assert connected_components(graph, directed=False)[0] == 1
    assert links.opening[~inner].tolist() == [i for i, one in enumerate(room.structure.openings) if one is room.plan.entrance]


def test_areas_of_flats_are_those_of_their_cells():
    """Independent of the shoelace formula: cells of the plan, less the strip that walls take on every side."""
    room = flat(3, 3)
    for index, area_m2 in enumerate(rooms_of(room.structure).area_m2):
        outline = room.structure.rooms[index].outline_world
        sides_m = np.linalg.norm(np.roll(outline, -1, axis=0) - outline, axis=1).sum()
        half_m = room.structure.walls[0].thickness_m / 2.0
        cells_m2 = (room.plan.labels == index).sum() * 0.01
        assert np.isclose(area_m2, cells_m2 - half_m * sides_m - 4.0 * half_m**2, atol=1e-9)  # a rectilinear outline turns once
        assert polygon_area(outline) > 0
