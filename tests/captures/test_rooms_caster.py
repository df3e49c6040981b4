"""The analytic caster: closed forms, exact surfaces, visibility against brute force."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sightline.captures.procedural.caster import build_caster, cast, occluded, visible_from
from sightline.captures.procedural.primitives import BOX, CYLINDER, ELLIPSOID, Primitive, extents, table, tight_box
from sightline.captures.procedural.shading import rays_world
from sightline.captures.procedural.textures import PLAIN, Material
from sightline.geometry.cameras import Intrinsics
from sightline.geometry.depth import pixel_grid
from sightline.geometry.transforms import look_at, rigid, rotation_from_quat_wxyz, yaw_matrix

GREY = Material(PLAIN, (128, 128, 128), (128, 128, 128))


def solid(kind, half_m, centre, rotation=None):
    pose = rigid(np.eye(3) if rotation is None else rotation, np.array(centre, dtype=float))
    return Primitive(kind=kind, half_m=np.array(half_m, dtype=float), parent_from_primitive=pose, material=GREY)


def scene_of(*solids):
    return build_caster(table(solids, list(range(len(solids)))))


def random_solids(rng, count, kinds=(BOX, CYLINDER, ELLIPSOID)):
    return [
        solid(
            kinds[int(rng.integers(len(kinds)))],
            rng.uniform(0.05, 0.5, 3) if kinds != (CYLINDER,) else [0.3, 0.3, 0.5],
            rng.uniform(-3.0, 3.0, 3),
            rotation_from_quat_wxyz(rng.standard_normal(4)),
        )
        for _ in range(count)
    ]


def off_surface(caster, hits):
    """How far hits are from the surface of their solid, in units of the solid's own size."""
    met = hits.primitives >= 0
    unit = np.einsum("nij,nj->ni", caster.solids.unit_from_world[hits.primitives[met]][:, :, :3], hits.points_world[met])
    unit += caster.solids.unit_from_world[hits.primitives[met]][:, :, 3]
    kinds = caster.solids.kinds[hits.primitives[met]]
    box = np.abs(unit).max(axis=1)
    cylinder = np.maximum(np.hypot(unit[:, 0], unit[:, 1]), np.abs(unit[:, 2]))
    ball = np.linalg.norm(unit, axis=1)
    return np.abs(np.choose(kinds, [box, cylinder, ball]) - 1.0)


def test_a_box_in_front_of_the_camera_has_the_closed_form_depth():
    caster = scene_of(solid(BOX, [0.5, 0.25, 0.75], [3.0, 0.0, 1.0]))
    camera = Intrinsics.from_field_of_view(horizontal_deg=60.0, width=41, height=31)
    pose = look_at(np.array([0.0, 0.0, 1.0]), np.array([1.0, 0.0, 1.0]))
    uv = pixel_grid(41, 31).reshape(-1, 2)
    hits = cast(caster, pose[:3, 3], rays_world(uv, camera, pose))
    y, z = -(uv[:, 0] - camera.cx) / camera.fx * 2.5, 1.0 - (uv[:, 1] - camera.cy) / camera.fy * 2.5
    expected = (np.abs(y) <= 0.25) & (np.abs(z - 1.0) <= 0.75)
    assert expected.sum() > 50
    np.testing.assert_array_equal(hits.object_ids == 0, expected)
    np.testing.assert_allclose(hits.t[expected], 2.5, atol=1e-12)  # z-depth of a plane that faces the camera is constant
    np.testing.assert_allclose(hits.normals_world[expected], [[-1.0, 0.0, 0.0]] * expected.sum(), atol=1e-12)
    assert np.isnan(hits.t[~expected]).all()


def test_a_sphere_has_the_closed_form_range_and_normal():
    caster = scene_of(solid(ELLIPSOID, [0.7, 0.7, 0.7], [0.0, 0.0, 4.0], rotation_from_quat_wxyz(np.array([0.3, 0.5, -0.2, 0.8]))))
    direction = np.array([[0.05, 0.08, 1.0]]) / np.linalg.norm([0.05, 0.08, 1.0])
    along = 4.0 * direction[0, 2]
    expected = along - np.sqrt(0.7**2 - (16.0 - along**2))
    hits = cast(caster, np.zeros(3), direction)
    np.testing.assert_allclose(hits.t, expected, atol=1e-12)
    np.testing.assert_allclose(hits.normals_world[0], (hits.points_world[0] - [0, 0, 4.0]) / 0.7, atol=1e-12)


def test_a_cylinder_is_hit_on_its_side_and_on_its_lid():
    caster = scene_of(solid(CYLINDER, [0.4, 0.4, 1.0], [0.0, 0.0, 0.0]))
    hits = cast(
        caster, np.array([[3.0, 0.0, 0.3], [0.1, 0.2, 5.0], [0.35, 0.35, 5.0]]), np.array([[-1.0, 0, 0], [0, 0, -1.0], [0, 0, -1.0]])
    )
    np.testing.assert_allclose(hits.t[:2], [2.6, 4.0], atol=1e-12)
    np.testing.assert_allclose(hits.normals_world[:2], [[1, 0, 0], [0, 0, 1]], atol=1e-12)
    assert np.isnan(hits.t[2])  # (0.35, 0.35) is outside the round lid, inside its square


@pytest.mark.parametrize("seed", range(3))
def test_hits_lie_on_the_surface_of_their_solid(seed):
    rng = np.random.default_rng(seed)
    caster = scene_of(*random_solids(rng, 60))
    directions = rng.standard_normal((4000, 3))
    hits = cast(caster, np.array([0.0, -6.0, 0.0]), directions)
    assert (hits.primitives >= 0).sum() > 100
    assert off_surface(caster, hits).max() < 1e-9
    met = hits.primitives >= 0
    np.testing.assert_allclose(np.linalg.norm(hits.normals_world[met], axis=1), 1.0, atol=1e-12)
    assert ((hits.normals_world[met] * directions[met]).sum(axis=1) <= 1e-12).all()


def test_the_tree_finds_what_testing_every_solid_finds():
    rng = np.random.default_rng(11)
    solids = random_solids(rng, 80)
    origins, directions = rng.uniform(-5.0, 5.0, (1500, 3)), rng.standard_normal((1500, 3))
    together = cast(scene_of(*solids), origins, directions)
    alone = np.stack([np.nan_to_num(cast(scene_of(one), origins, directions).t, nan=np.inf) for one in solids])
    np.testing.assert_array_equal(np.nan_to_num(together.t, nan=np.inf), alone.min(axis=0))
    met = np.isfinite(alone.min(axis=0))
    np.testing.assert_array_equal(together.primitives[met], alone.argmin(axis=0)[met])


def test_rays_along_the_axes_and_from_the_faces_are_safe():
    caster = scene_of(solid(BOX, [1, 1, 1], [0, 0, 0]), solid(BOX, [1, 1, 1], [4, 0, 0]))
    origins = np.array([[-3.0, 1.0, 1.0], [-3.0, 0.0, 0.0], [0.0, 0.0, 3.0], [-3.0, 1.5, 0.0], [2.0, 0.0, 0.0]])
    directions = np.array([[1.0, 0, 0], [1.0, 0, 0], [0, 0, -1.0], [1.0, 0, 0], [0.0, 1.0, 0.0]])
    hits = cast(caster, origins, directions)
    np.testing.assert_allclose(hits.t[[1, 2]], [2.0, 2.0])
    assert hits.t[0] == 2.0  # grazing an edge counts as a hit
    assert np.isnan(hits.t[[3, 4]]).all()


def test_visibility_agrees_with_the_first_hit():
    rng = np.random.default_rng(4)
    caster = scene_of(*random_solids(rng, 60))
    eye = np.array([0.5, -6.0, 0.2])
    points = rng.uniform(-3.0, 3.0, (3000, 3))
    hits = cast(caster, eye, points - eye)
    blocked = hits.t < 1.0  # of the way to the point; NaN compares false
    np.testing.assert_array_equal(visible_from(caster, eye, points), ~blocked)
    assert 0.1 < blocked.mean() < 0.95


def test_points_on_surfaces_are_visible_from_where_they_were_seen_and_not_from_behind():
    rng = np.random.default_rng(5)
    caster = scene_of(solid(BOX, [1, 1, 1], [0, 0, 0]), *random_solids(rng, 20))
    eye = np.array([0.0, -6.0, 0.5])
    hits = cast(caster, eye, rng.uniform(-2.0, 2.0, (800, 3)) - eye)
    seen = hits.points_world[hits.primitives >= 0]
    assert visible_from(caster, eye, seen).all()
    behind = seen - eye
    behind /= np.linalg.norm(behind, axis=1, keepdims=True)
    assert not visible_from(caster, eye, seen + 1e-4 * behind).any()
    front = hits.points_world[hits.primitives == 0]
    assert not visible_from(caster, np.array([0.0, 6.0, 0.5]), front[np.abs(front[:, 1] + 1.0) < 1e-9]).any()


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000))
def test_a_segment_is_blocked_in_both_directions_or_in_none(seed):
    rng = np.random.default_rng(seed)
    caster = scene_of(*random_solids(rng, 12))
    a, b = rng.uniform(3.2, 5.0, (40, 3)), -rng.uniform(3.2, 5.0, (40, 3))  # ends outside every solid
    np.testing.assert_array_equal(occluded(caster, a, b), occluded(caster, b, a))


@pytest.mark.parametrize("kind", [BOX, CYLINDER, ELLIPSOID])
def test_extents_are_exact(kind):
    rng = np.random.default_rng(kind)
    for _ in range(5):
        one = solid(kind, rng.uniform(0.1, 0.6, 3), rng.uniform(-1, 1, 3), rotation_from_quat_wxyz(rng.standard_normal(4)))
        angle = np.linspace(0.0, 2.0 * np.pi, 721)
        if kind == BOX:
            unit = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], dtype=float)
        elif kind == CYLINDER:
            unit = np.concatenate([np.column_stack([np.cos(angle), np.sin(angle), np.full(721, z)]) for z in (-1.0, 1.0)])
        else:
            polar = np.linspace(0.0, np.pi, 361)[:, None]
            x, y, z = np.broadcast_arrays(np.sin(polar) * np.cos(angle), np.sin(polar) * np.sin(angle), np.cos(polar))
            unit = np.stack([x, y, z], axis=-1).reshape(-1, 3)
        points = (unit * one.half_m) @ one.parent_from_primitive[:3, :3].T + one.parent_from_primitive[:3, 3]
        low, high = extents([one])
        np.testing.assert_allclose(points.min(axis=0), low, atol=1e-4)
        np.testing.assert_allclose(points.max(axis=0), high, atol=1e-4)
        assert (points >= low - 1e-12).all() and (points <= high + 1e-12).all()


def test_a_tight_box_follows_its_object():
    parts = [solid(BOX, [0.5, 0.2, 0.1], [0, 0, 0.1]), solid(BOX, [0.1, 0.2, 0.4], [-0.4, 0, 0.6])]
    box = tight_box(parts, rigid(yaw_matrix(0.7), np.array([1.0, 2.0, 0.0])))
    np.testing.assert_allclose(box.size_m, [1.0, 0.4, 1.0])
    assert box.yaw_rad == pytest.approx(0.7)
    np.testing.assert_allclose(box.centre_world, [1.0, 2.0, 0.5])
