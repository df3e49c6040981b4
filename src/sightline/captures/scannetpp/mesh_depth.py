"""Depth maps of a mesh as a camera sees it, by casting a ray through every pixel centre (package embreex, the extra `mesh`)."""

import importlib.util

import numpy as np

from sightline.arrays import expect
from sightline.errors import MissingExtraError
from sightline.geometry.cameras import Intrinsics

PACKAGE, EXTRA = "embreex", "mesh"
_NO_HIT = 1e36  # Embree gives 1e37


def is_available() -> bool:
    """Whether the ray caster is installed."""
    return importlib.util.find_spec(PACKAGE) is not None


def at_most(camera: Intrinsics, *, long_side_px: int) -> Intrinsics:
    """The camera at its own size, or smaller so that its longer side has `long_side_px`."""
    scale = long_side_px / max(camera.width, camera.height)
    if scale >= 1.0:
        return camera
    return camera.resized(width=max(1, round(camera.width * scale)), height=max(1, round(camera.height * scale)))


class MeshCaster:
    """Casts rays at triangles. Embree computes in float32, so everything is moved to the middle of the mesh first."""

    def __init__(self, vertices_world: np.ndarray, faces: np.ndarray):
        """`vertices_world` (V, 3) metres, `faces` (F, 3). Raises MissingExtraError."""
        expect(vertices_world=(vertices_world, "V 3"), faces=(faces, "F 3"))
        if not is_available():
            raise MissingExtraError(PACKAGE, EXTRA)
        from embreex.mesh_construction import TriangleMesh
        from embreex.rtcore_scene import EmbreeScene

        self.middle_world = (vertices_world.min(axis=0) + vertices_world.max(axis=0)) / 2.0
        triangles = np.ascontiguousarray((vertices_world - self.middle_world)[faces], dtype=np.float32)
        self._scene = EmbreeScene()
        self._mesh = TriangleMesh(self._scene, triangles)  # kept: the scene looks at its memory

    def depth_m(self, camera: Intrinsics, world_from_camera: np.ndarray) -> np.ndarray:
        """`(H, W)` float32 z-depth, NaN where no surface is hit. Both sides of a triangle are hit."""
        u, v = np.meshgrid(np.arange(camera.width), np.arange(camera.height))
        rays_camera = np.stack([(u - camera.cx) / camera.fx, (v - camera.cy) / camera.fy, np.ones(u.shape)], axis=-1).reshape(-1, 3)
        rays_world = (rays_camera @ world_from_camera[:3, :3].T).astype(np.float32)
        starts = np.tile((world_from_camera[:3, 3] - self.middle_world).astype(np.float32), (len(rays_world), 1))
        along = self._scene.run(starts, rays_world, query="DISTANCE")  # in lengths of the ray, whose z in the camera is 1
        return np.where(along < _NO_HIT, along, np.nan).astype(np.float32).reshape(u.shape)
