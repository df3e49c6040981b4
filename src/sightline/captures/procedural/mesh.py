"""The same flat as triangles, cast by Embree: an independent second opinion on the analytic caster. Needs the extra `mesh`."""

from dataclasses import dataclass

import numpy as np

from sightline.arrays import expect
from sightline.captures.procedural.primitives import BOX, CYLINDER, PrimitiveTable
from sightline.errors import MissingExtraError

NO_TRIANGLE = -1


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class TriangleMesh:
    """Triangles `(F, 3, 3)` in the world and the solid that each belongs to `(F,)`."""

    triangles_world: np.ndarray
    primitives: np.ndarray


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class MeshHits:
    """`t` in units of the direction given, NaN where nothing was met; `primitives` -1 there."""

    t: np.ndarray  # (N,)
    primitives: np.ndarray  # (N,)


def tessellate(solids: PrimitiveTable, *, segments: int) -> TriangleMesh:
    """Boxes exactly, cylinders and ellipsoids with `segments` around. Their facets straddle the true surface, half in and half out."""
    shapes = {BOX: _unit_box(), CYLINDER: _unit_cylinder(segments)}
    ball = _unit_ball(segments)
    triangles, owners = [], []
    for index, kind in enumerate(solids.kinds):
        unit = shapes.get(int(kind), ball)
        pose = solids.world_from_primitive[index]
        triangles.append((unit * solids.half_m[index]) @ pose[:3, :3].T + pose[:3, 3])
        owners.append(np.full(len(unit), index, dtype=np.int64))
    return TriangleMesh(triangles_world=np.concatenate(triangles), primitives=np.concatenate(owners))


def cast_mesh(mesh: TriangleMesh, origins_world: np.ndarray, directions_world: np.ndarray) -> MeshHits:
    """First triangles met by rays `(N, 3)`, found by Embree in single precision; `t` is then computed in double from the triangle."""
    try:
        from embreex.mesh_construction import TriangleMesh as EmbreeMesh
        from embreex.rtcore_scene import EmbreeScene
    except ModuleNotFoundError as error:
        raise MissingExtraError("embreex", "mesh") from error
    expect(origins_world=(origins_world, "N 3"), directions_world=(directions_world, "N 3"))
    scene = EmbreeScene()
    EmbreeMesh(scene, np.ascontiguousarray(mesh.triangles_world, dtype=np.float32))
    faces = scene.run(
        np.ascontiguousarray(origins_world, dtype=np.float32), np.ascontiguousarray(directions_world, dtype=np.float32), query="INTERSECT"
    ).astype(np.int64)
    met = faces != NO_TRIANGLE
    corners = mesh.triangles_world[faces[met]]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    t = np.full(len(faces), np.nan)
    ahead = (normals * directions_world[met]).sum(axis=1)
    t[met] = (normals * (corners[:, 0] - origins_world[met])).sum(axis=1) / ahead
    return MeshHits(t=t, primitives=np.where(met, mesh.primitives[faces], -1))


def _unit_box() -> np.ndarray:
    """12 triangles of the cube from -1 to 1."""
    triangles = []
    for axis in range(3):
        for side in (-1.0, 1.0):
            square = np.empty((4, 3))
            square[:, axis] = side
            square[:, (axis + 1) % 3] = [-1.0, 1.0, 1.0, -1.0]
            square[:, (axis + 2) % 3] = [-1.0, -1.0, 1.0, 1.0]
            triangles += [square[[0, 1, 2]], square[[0, 2, 3]]]
    return np.array(triangles)


def _ring(segments: int) -> np.ndarray:
    """Corners `(S + 1, 2)` of a polygon that encloses the unit circle's area; the last repeats the first."""
    angles = 2.0 * np.pi * np.arange(segments + 1) / segments
    radius = np.sqrt(2.0 * np.pi / segments / np.sin(2.0 * np.pi / segments))
    return radius * np.stack([np.cos(angles), np.sin(angles)], axis=1)


def _unit_cylinder(segments: int) -> np.ndarray:
    ring = _ring(segments)
    low = np.column_stack([ring, np.full(len(ring), -1.0)])
    high = np.column_stack([ring, np.full(len(ring), 1.0)])
    side = [np.stack([low[:-1], low[1:], high[1:]], axis=1), np.stack([low[:-1], high[1:], high[:-1]], axis=1)]
    caps = []
    for edge, z in ((low, -1.0), (high, 1.0)):
        middle = np.broadcast_to(np.array([0.0, 0.0, z]), edge[:-1].shape)
        caps.append(np.stack([middle, edge[:-1], edge[1:]], axis=1))
    return np.concatenate([*side, *caps])


def _unit_ball(segments: int) -> np.ndarray:
    rows = segments // 2
    polar = np.pi * np.arange(rows + 1) / rows
    ring = _ring(segments)
    grid = np.empty((rows + 1, segments + 1, 3))
    grid[:, :, :2] = np.sin(polar)[:, None, None] * ring[None]
    grid[:, :, 2] = np.cos(polar)[:, None]
    a, b, c, d = grid[:-1, :-1], grid[1:, :-1], grid[1:, 1:], grid[:-1, 1:]
    both = np.concatenate([np.stack([a, b, c], axis=2).reshape(-1, 3, 3), np.stack([a, c, d], axis=2).reshape(-1, 3, 3)])
    area = np.linalg.norm(np.cross(both[:, 1] - both[:, 0], both[:, 2] - both[:, 0]), axis=1)
    return both[area > 1e-12]  # the poles have empty ones
