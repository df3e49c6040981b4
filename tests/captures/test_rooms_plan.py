"""Floor plans: the structure record says exactly what the rays find."""

from functools import cache

import numpy as np
import pytest

from sightline.captures.procedural.caster import build_caster, cast, occluded
from sightline.captures.procedural.footprints import Footprint, contains, inside, overlap
from sightline.captures.procedural.layout import CELL_M, draw_plan, inset, rooms_reached, trace
from sightline.captures.procedural.primitives import NO_OBJECT, table
from sightline.captures.procedural.shell import build_shell

CASES = [(seed, rooms) for rooms in (1, 2, 3, 4) for seed in (0, 1)]
ABOVE_OPENINGS_M = 2.3


@cache
def empty_flat(seed, num_rooms):
    rng = np.random.default_rng(seed)
    plan = draw_plan(rng, num_rooms)
    shell = build_shell(plan, rng)
    return plan, shell, build_caster(table(shell.solids, [NO_OBJECT] * len(shell.solids)))


def polygon_distance(outline, origin, direction):
    """Closed form: where a ray in the plane leaves a polygon."""
    best = np.inf
    for a, b in zip(outline, np.roll(outline, -1, axis=0)):
        matrix = np.column_stack([direction, a - b])
        if abs(np.linalg.det(matrix)) > 1e-12:
            t, s = np.linalg.solve(matrix, a - origin)
            if t > 0 and -1e-12 <= s <= 1 + 1e-12:
                best = min(best, t)
    return best


def points_in(room, rng, count):
    low, high = room.outline_world.min(axis=0), room.outline_world.max(axis=0)
    points = rng.uniform(low, high, (30 * count, 2))
    inner = inset(room.outline_world, 0.1)  # beyond window sills and casings
    return points[contains(inner, points)][:count]


@pytest.mark.parametrize("seed,num_rooms", CASES)
def test_rays_meet_the_walls_where_the_outlines_are(seed, num_rooms):
    plan, shell, caster = empty_flat(seed, num_rooms)
    assert len(plan.structure.rooms) == num_rooms
    rng = np.random.default_rng(seed)
    for room in plan.structure.rooms:
        for spot in points_in(room, rng, 12):
            if any(leaf.covers(spot[None])[0] for leaf in shell.leaves):
                continue
            angle = rng.uniform(0.0, 2.0 * np.pi)
            direction = np.array([np.cos(angle), np.sin(angle)])
            hits = cast(caster, np.array([*spot, ABOVE_OPENINGS_M]), np.array([[*direction, 0.0], [0, 0, -1.0], [0, 0, 1.0]]))
            expected = polygon_distance(room.outline_world, spot, direction)
            np.testing.assert_allclose(
                hits.t, [expected, ABOVE_OPENINGS_M - room.floor_z_m, room.ceiling_z_m - ABOVE_OPENINGS_M], atol=1e-9
            )


@pytest.mark.parametrize("seed,num_rooms", CASES)
def test_openings_are_holes_of_just_their_size(seed, num_rooms):
    plan, _, caster = empty_flat(seed, num_rooms)
    for opening in plan.structure.openings:
        wall = plan.structure.walls[opening.wall_id]
        along = (wall.b_world - wall.a_world) / np.linalg.norm(wall.b_world - wall.a_world)
        across = np.array([-along[1], along[0], 0.0]) * (wall.thickness_m / 2.0 + 0.01)
        half_width, half_height = opening.width_m / 2.0, opening.height_m / 2.0
        free = [(0.31, 0.0), (-0.31, 0.3)]
        if opening.kind != "window":
            free += [(half_width - 0.005, 0.2), (-half_width + 0.005, -0.9), (0.1, half_height - 0.005)]
        shut = [(half_width + 0.005, 0.0), (-half_width - 0.005, 0.0), (0.0, half_height + 0.005)]
        if opening.kind == "window":
            shut.append((0.3, -half_height - 0.005))
            free = [(0.31 * half_width, 0.31 * half_height), (-0.31 * half_width, -0.31 * half_height)]
        for (s, z), is_free in [(place, True) for place in free] + [(place, False) for place in shut]:
            centre = opening.centre_world + along * s + [0.0, 0.0, z]
            is_free = is_free and opening is not plan.entrance
            assert occluded(caster, (centre - across)[None], (centre + across)[None])[0] == (not is_free), (opening.kind, s, z)


@pytest.mark.parametrize("seed,num_rooms", CASES)
def test_every_room_can_be_reached_and_openings_name_their_rooms(seed, num_rooms):
    plan, _, _ = empty_flat(seed, num_rooms)
    assert rooms_reached(plan.structure) == set(range(num_rooms))
    for opening in plan.structure.openings:
        wall = plan.structure.walls[opening.wall_id]
        assert opening.kind in ("door", "window", "opening")
        along = (wall.b_world - wall.a_world)[:2] / np.linalg.norm(wall.b_world - wall.a_world)
        beside = [opening.centre_world[:2] + side * np.array([-along[1], along[0]]) * (wall.thickness_m / 2 + 0.05) for side in (-1, 1)]
        found = {room.room_index for room in plan.structure.rooms if contains(room.outline_world, np.array(beside)).any()}
        assert found == set(opening.rooms)
        assert len(opening.rooms) == (1 if opening.kind == "window" or opening is plan.entrance else 2)
        assert np.linalg.norm(wall.b_world - wall.a_world) >= opening.width_m


def test_outlines_are_counter_clockwise_rectilinear_and_often_not_rectangles():
    corners = []
    for seed in range(12):
        plan = draw_plan(np.random.default_rng(seed), 1 + seed % 4)
        for room in plan.structure.rooms:
            x, y = room.outline_world.T
            assert 0.5 * np.sum(x * np.roll(y, -1) - y * np.roll(x, -1)) > 4.0
            steps = np.roll(room.outline_world, -1, axis=0) - room.outline_world
            assert (np.abs(steps).min(axis=1) < 1e-12).all()
            corners.append(len(x))
    assert sum(count > 4 for count in corners) >= 8


def test_traced_and_inset_outline_of_an_l_has_the_closed_form_area():
    region = np.zeros((6, 5), dtype=bool)
    region[:, :2] = True
    region[:2] = True
    outline = inset(trace(region) * CELL_M, 0.02)
    x, y = outline.T
    assert len(outline) == 6
    whole, perimeter = 18 * CELL_M**2, 22 * CELL_M
    assert 0.5 * np.sum(x * np.roll(y, -1) - y * np.roll(x, -1)) == pytest.approx(whole - perimeter * 0.02 + 4 * 0.02**2)


def box_at(x, y, yaw=0.0, half=(0.5, 0.25), z=(0.0, 1.0)):
    return Footprint(centre_world=np.array([x, y]), half_m=np.array(half), yaw_rad=yaw, low_z_m=z[0], high_z_m=z[1])


def test_footprints_overlap_only_when_they_share_ground_and_height():
    assert overlap(box_at(0, 0), box_at(0.9, 0))
    assert not overlap(box_at(0, 0), box_at(1.0, 0))  # touching
    assert not overlap(box_at(0, 0), box_at(0.9, 0, z=(1.0, 2.0)))
    assert overlap(box_at(0, 0), box_at(0.7, 0, yaw=np.pi / 2))
    assert not overlap(box_at(0, 0), box_at(0.76, 0, yaw=np.pi / 2))


def test_footprint_overlap_agrees_with_sampling():
    rng = np.random.default_rng(0)
    for _ in range(60):
        a = box_at(0.0, 0.0, rng.uniform(0, 7), half=rng.uniform(0.2, 0.8, 2))
        b = box_at(*rng.uniform(-1.2, 1.2, 2), rng.uniform(0, 7), half=rng.uniform(0.2, 0.8, 2))
        points = (rng.uniform(-1, 1, (4000, 2)) * a.half_m) @ a.axes
        if b.covers(points + a.centre_world).any():
            assert overlap(a, b)
        if b.grown(-0.02).half_m.min() > 0 and not b.grown(0.03).covers(points + a.centre_world).any():
            assert not overlap(a, b)


def test_inside_refuses_what_an_l_shaped_room_cuts():
    outline = np.array([[0, 0], [3, 0], [3, 1], [1, 1], [1, 3], [0, 3]], dtype=float)
    assert inside(outline, box_at(0.5, 0.25))
    assert not inside(outline, box_at(1.0, 1.0, half=(0.4, 0.4)))
    assert not inside(outline, box_at(1.5, 1.5, half=(1.4, 1.4)))
    assert not inside(outline, box_at(2.0, 2.0, half=(0.1, 0.1)))
