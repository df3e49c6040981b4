"""Embree on the tessellated flat: an independent caster agrees with the analytic one."""

import numpy as np
import pytest

from sightline.captures.procedural.caster import cast
from sightline.captures.procedural.mesh import cast_mesh, tessellate
from sightline.captures.procedural.model import build_room
from sightline.captures.procedural.options import RoomsOptions
from sightline.captures.procedural.shading import rays_world
from sightline.captures.procedural.walk import walk
from sightline.geometry.cameras import Intrinsics
from sightline.geometry.depth import pixel_grid


def test_embree_and_the_analytic_caster_agree_on_a_furnished_flat():
    pytest.importorskip("embreex")
    room = build_room(7, RoomsOptions(min_rooms=2, max_rooms=2))
    mesh = tessellate(room.caster.solids, segments=48)
    camera = Intrinsics.from_field_of_view(horizontal_deg=70.0, width=320, height=240)
    uv = pixel_grid(320, 240).reshape(-1, 2)
    poses = walk(room, np.random.default_rng(1), num_frames=6)[::2]
    differing, errors = 0, []
    for pose in poses:
        directions = rays_world(uv, camera, pose)
        found = cast_mesh(mesh, np.tile(pose[:3, 3], (len(uv), 1)), directions)
        exact = cast(room.caster, pose[:3, 3], directions)
        ids = np.where(found.primitives >= 0, room.caster.solids.object_ids[found.primitives], -1)
        differing += int((ids != exact.object_ids).sum())
        np.testing.assert_array_equal(np.isnan(found.t), np.isnan(exact.t))
        errors.append(np.abs(found.t - exact.t))
    assert differing <= 1e-4 * len(uv) * len(poses)
    assert np.nanmedian(np.concatenate(errors)) < 1e-5
    assert np.nanpercentile(np.concatenate(errors), 99.0) < 2e-3  # facets of cylinders and balls


def test_the_volume_of_tessellated_solids_comes_close_to_theirs():
    room = build_room(7, RoomsOptions(max_rooms=1))
    mesh = tessellate(room.caster.solids, segments=48)
    factor = np.array([8.0, 2.0 * np.pi, 4.0 / 3.0 * np.pi])
    for index in range(0, len(room.caster.solids), 5):
        a, b, c = np.moveaxis(mesh.triangles_world[mesh.primitives == index], 1, 0)
        centre = room.caster.solids.world_from_primitive[index, :3, 3]
        volume = np.abs(np.einsum("fi,fi->f", a - centre, np.cross(b - centre, c - centre))).sum() / 6.0
        expected = factor[room.caster.solids.kinds[index]] * room.caster.solids.half_m[index].prod()
        assert volume == pytest.approx(expected, rel=6e-3)
