"""Light and pictures: sun through windows, room lamps with shadows, anti-aliased colour; depth and ids of the exact pixel centre."""

from dataclasses import dataclass

import numpy as np

from sightline.captures.procedural.caster import Caster, Hits, cast, occluded
from sightline.captures.procedural.textures import albedo, linear_from_srgb, material_table, srgb_from_linear
from sightline.geometry.cameras import Intrinsics
from sightline.geometry.depth import pixel_grid
from sightline.geometry.transforms import rotate

SUB_PIXELS = np.array([[-0.125, -0.375], [0.375, -0.125], [-0.375, 0.125], [0.125, 0.375]])  # rotated grid
SKY = linear_from_srgb(np.array([150, 190, 230]))
GROUND = linear_from_srgb(np.array([150, 165, 130]))


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Lighting:
    """Lamps `(L, 3)` in the world, the unit direction towards the sun, and how strong each is in linear light."""

    lamps_world: np.ndarray
    sun_world: np.ndarray
    lamp_strength: float = 1.6
    sun_strength: float = 1.1
    ambient: float = 0.42


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Rendering:
    """One picture. Depth is z, NaN where nothing is; ids are -1 where there is no object."""

    rgb: np.ndarray  # (H, W, 3) uint8 sRGB
    depth_m: np.ndarray  # (H, W) float64
    object_ids: np.ndarray  # (H, W) int32
    normals_world: np.ndarray  # (H, W, 3) float64, NaN where nothing is


def rays_world(uv: np.ndarray, intrinsics: Intrinsics, world_from_camera: np.ndarray) -> np.ndarray:
    """Directions `(N, 3)` of pixels `uv (N, 2)`, of unit z in the camera: a hit's `t` is its z-depth."""
    return rotate(world_from_camera, intrinsics.unproject(uv, np.ones(len(uv))))


def shoot(
    caster: Caster, lighting: Lighting, intrinsics: Intrinsics, world_from_camera: np.ndarray, *, antialias: bool, shadows: bool
) -> Rendering:
    """Render one picture."""
    height, width = intrinsics.height, intrinsics.width
    eye = np.ascontiguousarray(world_from_camera[:3, 3])
    uv = pixel_grid(width, height).reshape(-1, 2)
    directions = rays_world(uv, intrinsics, world_from_camera)
    hits = cast(caster, eye, directions)
    colour = _colour(caster, lighting, hits, directions, intrinsics, shadows)
    if antialias:
        edge = np.flatnonzero(_edges(hits, height, width))
        total = np.zeros((len(edge), 3))
        for shift in SUB_PIXELS:
            around = rays_world(uv[edge] + shift, intrinsics, world_from_camera)
            total += _colour(caster, lighting, cast(caster, eye, around), around, intrinsics, shadows)
        colour[edge] = total / len(SUB_PIXELS)
    return Rendering(
        rgb=srgb_from_linear(colour).reshape(height, width, 3),
        depth_m=hits.t.reshape(height, width),
        object_ids=hits.object_ids.reshape(height, width),
        normals_world=hits.normals_world.reshape(height, width, 3),
    )


def _edges(hits: Hits, height: int, width: int) -> np.ndarray:
    """Pixels beside another solid or another facet."""
    solid = hits.primitives.reshape(height, width)
    facet = solid * 4 + hits.axis.reshape(height, width)
    edge = np.zeros((height, width), dtype=bool)
    across, down = facet[:, 1:] != facet[:, :-1], facet[1:] != facet[:-1]
    edge[:, 1:] |= across
    edge[:, :-1] |= across
    edge[1:] |= down
    edge[:-1] |= down
    return edge.reshape(-1)


def _colour(caster: Caster, lighting: Lighting, hits: Hits, directions: np.ndarray, intrinsics: Intrinsics, shadows: bool) -> np.ndarray:
    """Linear colour `(N, 3)` in 0..1 of hits."""
    out = np.empty((len(hits.t), 3))
    lift = directions[:, 2] / np.sqrt((directions**2).sum(axis=1))
    sky = lift > 0.0
    out[sky] = SKY + (1.0 - SKY) * np.exp(-6.0 * lift[sky])[:, None]
    out[~sky] = GROUND + (1.0 - GROUND) * np.exp(12.0 * lift[~sky])[:, None]
    hit = np.flatnonzero(hits.primitives >= 0)
    if not len(hit):
        return out
    solids = caster.solids
    rows = solids.material_rows[hits.primitives[hit]]
    materials = material_table(solids.materials)
    footprint_m = hits.t[hit] / intrinsics.fx
    base = albedo(hits.local_m[hit], hits.axis[hit], rows, materials, footprint_m)
    points, normals = hits.points_world[hit], hits.normals_world[hit]
    light = np.full(len(hit), lighting.ambient) * (0.85 + 0.15 * normals[:, 2])
    start = points + normals * 1e-5
    for lamp in lighting.lamps_world:
        towards = lamp - points
        square = (towards**2).sum(axis=1)
        cosine = (towards * normals).sum(axis=1) / np.sqrt(square)
        strength = lighting.lamp_strength * np.maximum(cosine, 0.0) / (1.0 + square)
        _add(light, strength, caster, start, np.broadcast_to(lamp, start.shape), shadows)
    sun = lighting.sun_strength * np.maximum(normals @ lighting.sun_world, 0.0)
    _add(light, sun, caster, start, start + 50.0 * lighting.sun_world, True)
    lit = base * np.minimum(light + materials[rows, 2], 1.6)[:, None]
    out[hit] = np.where(lit < 0.7, lit, 0.7 + 0.3 * (1.0 - np.exp(-(lit - 0.7) / 0.3)))  # a soft shoulder instead of clipping
    return out


def _add(light: np.ndarray, strength: np.ndarray, caster: Caster, start: np.ndarray, end: np.ndarray, shadows: bool) -> None:
    asked = np.flatnonzero(strength > 0.004)
    if shadows:
        asked = asked[~occluded(caster, start[asked], end[asked])]
    light[asked] += strength[asked]
