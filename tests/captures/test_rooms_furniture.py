"""Furniture: categories, sizes, tight boxes, and places that make sense."""

from collections import Counter
from functools import cache

import numpy as np
import pytest

from sightline.captures.procedural.caster import cast
from sightline.captures.procedural.footprints import inside, overlap
from sightline.captures.procedural.furniture.design import COLOURS
from sightline.captures.procedural.model import build_room, render
from sightline.captures.procedural.options import RoomsOptions
from sightline.captures.procedural.placement import FLAT_M
from sightline.captures.procedural.primitives import BOX, ELLIPSOID
from sightline.captures.procedural.walk import walk
from sightline.geometry.cameras import Intrinsics
from sightline.geometry.depth import points_world_from_depth
from sightline.geometry.transforms import apply, inverse

ROOMPLAN = (
    "storage", "refrigerator", "stove", "bed", "sink", "washer dryer", "toilet", "bathtub", "oven", "dishwasher", "table",
    "sofa", "chair", "fireplace", "television", "stairs",
)  # fmt: skip
SEEDS = (0, 1, 2)
FLATS = {0: 4, 1: 1, 2: 3}


@cache
def flat(seed):
    return build_room(seed, RoomsOptions(min_rooms=FLATS.get(seed, 4), max_rooms=FLATS.get(seed, 4)))


def test_flats_hold_all_categories_of_roomplan_and_many_more():
    found = Counter()
    for seed in (0, 1, 2, 3, 8):
        found.update(thing.category for thing in build_room(seed, RoomsOptions(min_rooms=3, max_rooms=3)).objects)
    assert not set(ROOMPLAN) - set(found)
    assert len(found) >= 36


def test_categories_repeat_within_a_flat():
    for seed in SEEDS:
        counts = Counter(thing.category for thing in flat(seed).objects)
        assert sum(count >= 2 for count in counts.values()) >= 3


def test_pieces_are_built_of_several_solids():
    room = flat(0)
    parts = np.bincount(room.caster.solids.object_ids[room.caster.solids.object_ids >= 0], minlength=len(room.objects))
    assert parts.min() >= 2
    by_category = {thing.category: parts[thing.object_id] for thing in room.objects}
    for category in {"chair", "table", "bed", "sofa", "storage"} & set(by_category):
        assert by_category[category] >= 4


@pytest.mark.parametrize("seed", SEEDS)
def test_sizes_colours_and_fronts_are_plausible(seed):
    for thing in flat(seed).objects:
        assert (thing.box.size_m > 0.003).all() and (thing.box.size_m < 3.2).all(), thing.category
        assert thing.attributes["colour"] in COLOURS
        if thing.front_world is not None:
            np.testing.assert_allclose(thing.front_world, thing.box.world_from_object[:3, 1], atol=1e-12)
    limits = {"chair": (0.75, 1.05), "table": (0.35, 0.8), "bed": (0.8, 1.2), "sofa": (0.7, 0.95), "refrigerator": (1.6, 1.95)}
    for thing in flat(seed).objects:
        if thing.category in limits:
            low, high = limits[thing.category]
            assert low <= thing.box.size_m[2] <= high, (thing.category, thing.box.size_m)


@pytest.mark.parametrize("seed", SEEDS)
def test_things_stand_inside_their_room_and_not_in_each_other(seed):
    room = flat(seed)
    for index, one in enumerate(room.placed):
        outline = room.structure.rooms[one.room_index].outline_world
        if one.support < 0:
            assert inside(outline, one.footprint), one.design.category
            assert not any(overlap(one.footprint, leaf) for leaf in room.shell.leaves) or one.footprint.high_z_m < FLAT_M
        else:
            below = room.objects[one.support].box
            assert below.contains(room.objects[index].box.centre_world[None] * [1, 1, 0] + [0, 0, below.centre_world[2]], margin_m=0.05)[0]
            lowest = room.objects[index].box.centre_world[2] - room.objects[index].box.size_m[2] / 2.0
            parent = room.placed[one.support]
            assert any(abs(lowest - top.z_m - parent.world_from_object[2, 3]) < 1e-9 for top in parent.design.tops)
        assert room.objects[index].box.corners_world()[:, 2].min() >= -1e-9
        assert room.objects[index].box.corners_world()[:, 2].max() <= room.structure.rooms[0].ceiling_z_m + 1e-9
        for other in room.placed[index + 1 :]:
            if other.support >= 0 or one.support >= 0:
                continue
            assert not overlap(one.footprint.grown(-1e-6), other.footprint.grown(-1e-6)), (one.design.category, other.design.category)


def level_faces(solids):
    """Faces of unturned boxes and lids of cylinders: axis, side, where, extent across, material."""
    for number, one in enumerate(solids):
        pose = one.parent_from_primitive
        if one.kind == ELLIPSOID or not np.allclose(pose[:3, :3], np.eye(3)):
            continue
        for axis in range(3) if one.kind == BOX else (2,):
            across = [k for k in range(3) if k != axis]
            half = one.half_m[across] * (1.0 if one.kind == BOX else 0.7)
            for side in (-1, 1):
                where = pose[axis, 3] + side * one.half_m[axis]
                yield number, (axis, side), where, pose[across, 3] - half, pose[across, 3] + half, one.material


@pytest.mark.parametrize("seed", SEEDS)
def test_no_two_surfaces_of_different_material_coincide(seed):
    """Where two do, which one a ray meets is a matter of rounding, and the picture speckles."""
    for solids in [flat(seed).shell.solids, *(one.design.solids for one in flat(seed).placed)]:
        faces = [face for face in level_faces(solids) if face[1] != (2, -1)]  # nobody sees what stands on the floor from below
        for index, (number, way, where, low, high, material) in enumerate(faces):
            for other, other_way, other_where, other_low, other_high, other_material in faces[index + 1 :]:
                if way != other_way or abs(where - other_where) > 1e-6 or material == other_material or number == other:
                    continue
                assert (np.minimum(high, other_high) - np.maximum(low, other_low)).min() < 1e-3


@pytest.mark.parametrize("seed", SEEDS)
def test_doors_stay_free(seed):
    room = flat(seed)
    for opening in room.structure.openings:
        if opening.kind == "window":
            continue
        wall = room.structure.walls[opening.wall_id]
        along = (wall.b_world - wall.a_world)[:2] / np.linalg.norm(wall.b_world - wall.a_world)
        for side in (-1.0, 1.0):
            spot = opening.centre_world[:2] + side * np.array([-along[1], along[0]]) * 0.5
            for one in room.placed:
                if one.footprint.high_z_m > FLAT_M and one.footprint.low_z_m < 1.9:
                    assert not one.footprint.grown(0.05).covers(spot[None])[0], one.design.category


@pytest.mark.parametrize("seed", SEEDS[:2])
def test_pixels_of_an_object_lie_in_its_box(seed):
    room = flat(seed)
    camera = Intrinsics.from_field_of_view(horizontal_deg=70.0, width=96, height=72)
    for pose in walk(room, np.random.default_rng(seed), num_frames=4):
        picture = render(room, camera, pose)
        points = points_world_from_depth(picture.depth_m, camera, pose)
        for object_id in np.unique(picture.object_ids[picture.object_ids >= 0]):
            mine = points[picture.object_ids == object_id]
            assert room.objects[int(object_id)].box.contains(mine, margin_m=1e-9).all()


def test_boxes_are_tight_on_all_six_sides():
    """Rays shot inwards over each face come as close to it as their spacing allows, and never start inside."""
    room = flat(1)
    for thing in room.objects[:30]:
        solids = room.caster.solids
        mine = np.flatnonzero(solids.object_ids == thing.object_id)
        object_from_world = inverse(thing.box.world_from_object)
        pose = np.einsum("ij,njk->nik", object_from_world, solids.world_from_primitive[mine])
        reach = np.abs(pose[:, :3, :3] * solids.half_m[mine][:, None, :])
        kinds = solids.kinds[mine][:, None]
        cylinder_reach = np.hypot(reach[:, :, 0], reach[:, :, 1]) + reach[:, :, 2]
        round_reach = np.choose(kinds, [reach.sum(axis=2), cylinder_reach, np.sqrt((reach**2).sum(axis=2))])
        np.testing.assert_allclose((pose[:, :3, 3] + round_reach).max(axis=0), thing.box.size_m / 2.0, atol=1e-9)
        np.testing.assert_allclose((pose[:, :3, 3] - round_reach).min(axis=0), -thing.box.size_m / 2.0, atol=1e-9)


def test_a_sofa_is_touched_by_rays_at_its_highest_point():
    room = flat(0)
    sofa = next(thing for thing in room.objects if thing.category == "sofa")
    grid = np.stack(np.meshgrid(*(np.linspace(-0.499, 0.499, 60) * size for size in sofa.box.size_m[:2])), axis=-1).reshape(-1, 2)
    start = apply(sofa.box.world_from_object, np.column_stack([grid, np.full(len(grid), sofa.box.size_m[2] / 2.0 + 0.001)]))
    hits = cast(room.caster, start, np.tile([0.0, 0.0, -1.0], (len(grid), 1)))
    mine = hits.object_ids == sofa.object_id
    assert hits.t[mine].min() == pytest.approx(0.001, abs=1e-9)
