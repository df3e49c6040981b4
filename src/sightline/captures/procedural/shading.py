"""Light and pictures: sun through windows, room lamps with shadows, anti-aliased colour; depth and ids of the exact pixel centre."""

from collections.abc import Sequence
from dataclasses import dataclass

import numba
import numpy as np

from sightline.captures.procedural.caster import Caster, Hits, cast_view, in_shadow, view_of
from sightline.captures.procedural.textures import Material, albedo, linear_from_srgb, material_table, srgb_from_linear_fast
from sightline.geometry.cameras import Intrinsics

SUB_PIXELS = np.array([[-0.125, -0.375], [0.375, -0.125], [-0.375, 0.125], [0.125, 0.375]])  # rotated grid
SKY = linear_from_srgb(np.array([168, 200, 232]))
GROUND = linear_from_srgb(np.array([146, 160, 124]))
FAINT = 0.01  # light weaker than this is left out, with its shadow ray
SUN_REACH_M = 1e5  # far enough to be in one direction from every place of a flat


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class FloorShade:
    """Share of the ambient light that reaches the floor, on a grid."""

    open_share: np.ndarray  # (X, Y)
    origin_world: np.ndarray  # (2,)
    cell_m: float


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Lighting:
    """Lamps `(L, 3)` in the world, the unit direction towards the sun, and how strong each is in linear light."""

    lamps_world: np.ndarray
    sun_world: np.ndarray
    shade: FloorShade
    ceiling_z_m: float
    linked: np.ndarray  # (L, R) bool: lamp l shines into room r, its own or one beside it through an opening
    lamp_strength: float = 2.6
    sun_strength: float = 1.1
    ambient: float = 0.52


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Paint:
    """Materials as the texture kernel reads them; walls and floors are looked up by the room a surface faces."""

    materials: np.ndarray  # (M, 10)
    labels: np.ndarray  # (X, Y) int32, -1 outside
    origin_world: np.ndarray  # (2,)
    cell_m: float
    wall_rows: np.ndarray  # (R + 1,) int32, the outside last
    floor_rows: np.ndarray  # (R + 1,)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Rendering:
    """One picture. Depth is z, NaN where nothing is; ids are -1 where there is no object."""

    rgb: np.ndarray  # (H, W, 3) uint8 sRGB
    depth_m: np.ndarray  # (H, W) float64
    object_ids: np.ndarray  # (H, W) int32
    normals_world: np.ndarray  # (H, W, 3) float64, NaN where nothing is


def paint_of(
    materials: Sequence[Material],
    *,
    walls: Sequence[Material],
    floors: Sequence[Material],
    labels: np.ndarray,
    origin_world: np.ndarray,
    cell_m: float,
) -> Paint:
    """Gather the materials of solids, walls and floors (the outside last in each)."""
    first = len(materials)
    return Paint(
        materials=material_table((*materials, *walls, *floors)),
        labels=np.ascontiguousarray(labels, dtype=np.int32),
        origin_world=np.ascontiguousarray(origin_world, dtype=np.float64),
        cell_m=cell_m,
        wall_rows=np.arange(first, first + len(walls), dtype=np.int32),
        floor_rows=np.arange(first + len(walls), first + len(walls) + len(floors), dtype=np.int32),
    )


def rays_world(uv: np.ndarray, intrinsics: Intrinsics, world_from_camera: np.ndarray) -> np.ndarray:
    """Directions `(N, 3)` of pixels `uv (N, 2)`, of unit z in the camera: a hit's `t` is its z-depth."""
    camera = (intrinsics.fx, intrinsics.fy, intrinsics.cx, intrinsics.cy)
    return _rays(np.ascontiguousarray(uv, dtype=np.float64), *camera, np.ascontiguousarray(world_from_camera[:3, :3]))


def shoot(
    caster: Caster,
    paint: Paint,
    lighting: Lighting,
    intrinsics: Intrinsics,
    world_from_camera: np.ndarray,
    *,
    antialias: bool,
    shadows: bool,
) -> Rendering:
    """Render one picture."""
    height, width = intrinsics.height, intrinsics.width
    v, u = np.divmod(np.arange(width * height), width)
    uv = np.stack([u, v], axis=1).astype(np.float64)
    view = view_of(caster, intrinsics, world_from_camera)
    directions = rays_world(uv, intrinsics, world_from_camera)
    hits = cast_view(view, uv, directions)
    lit = _lights_of_image(caster, paint, lighting, hits, width, height, shadows=shadows)
    colour = _colour(caster, paint, lighting, hits, lit, directions, intrinsics)
    if antialias:
        edge = np.flatnonzero(_edges(hits, caster.solids.material_rows, height, width))
        parts = (uv[edge][:, None] + SUB_PIXELS).reshape(-1, 2)
        around = rays_world(parts, intrinsics, world_from_camera)
        part_hits = cast_view(view, parts, around)
        pixels = np.repeat(edge, len(SUB_PIXELS))
        part_lit, missing = _borrowed(pixels, part_hits.primitives, part_hits.axis, hits.primitives, hits.axis, lit, width)
        _find_lights(part_lit, caster, paint, lighting, part_hits, np.flatnonzero(missing), shadows=shadows)
        fine = _colour(caster, paint, lighting, part_hits, part_lit, around, intrinsics)
        colour[edge] = fine.reshape(len(edge), len(SUB_PIXELS), 3).mean(axis=1)
    return Rendering(
        rgb=srgb_from_linear_fast(colour).reshape(height, width, 3),
        depth_m=hits.t.reshape(height, width),
        object_ids=hits.object_ids.reshape(height, width),
        normals_world=hits.normals_world.reshape(height, width, 3),
    )


def _edges(hits: Hits, material_rows: np.ndarray, height: int, width: int) -> np.ndarray:
    """Pixels beside another facet that looks different: other material, other direction or a step in depth."""
    return _edge_mask(hits.primitives, hits.axis, hits.normals_world, hits.t, material_rows, height, width)


def _lights_of_image(caster: Caster, paint: Paint, lighting: Lighting, hits: Hits, width: int, height: int, *, shadows: bool) -> np.ndarray:
    """Bits `(N,)` of the lights that reach each pixel. Every second pixel of every second row is asked first; the others
    take over what their neighbours agree on where these show the same facet, and are asked where not."""
    lit = np.zeros(width * height, dtype=np.uint8)
    every_second = np.arange(width * height).reshape(height, width)[::2, ::2].reshape(-1)
    _find_lights(lit, caster, paint, lighting, hits, every_second, shadows=shadows)
    missing = _spread(lit, hits.primitives, hits.axis, width, height)
    _find_lights(lit, caster, paint, lighting, hits, np.flatnonzero(missing), shadows=shadows)
    return lit


def _find_lights(
    lit: np.ndarray, caster: Caster, paint: Paint, lighting: Lighting, hits: Hits, asked: np.ndarray, *, shadows: bool
) -> None:
    """Set the bits of the lights that reach the hits `asked`: lamp l is bit l, the sun comes after the last lamp."""
    points, normals = hits.points_world, hits.normals_world
    room = (lighting.linked, lighting.ceiling_z_m, paint.labels, paint.origin_world, paint.cell_m)
    bits = _turned_to(points, normals, asked, lighting.lamps_world, lighting.sun_world, lighting.lamp_strength, *room)
    lights = [*lighting.lamps_world, SUN_REACH_M * lighting.sun_world]
    for number, light in enumerate(lights):
        if not shadows and number < len(lighting.lamps_world):
            continue  # walls always keep the sun out, or rooms would have no ceiling
        bit = np.uint8(1 << number)
        maybe = np.flatnonzero(bits & bit)
        bits[maybe[in_shadow(caster, hits, asked[maybe], light)]] &= ~bit
    lit[asked] = bits


def _colour(
    caster: Caster, paint: Paint, lighting: Lighting, hits: Hits, lit: np.ndarray, directions: np.ndarray, intrinsics: Intrinsics
) -> np.ndarray:
    """Linear colour `(N, 3)` in 0..1 of hits under the lights whose bits are set."""
    solids = caster.solids
    rows = np.where(hits.primitives >= 0, solids.material_rows[hits.primitives], -1).astype(np.int32)
    base = albedo(
        hits.local_m,
        hits.points_world,
        hits.normals_world,
        hits.axis,
        solids.half_m,
        hits.primitives,
        rows,
        paint.materials,
        hits.t / intrinsics.fx,
        paint.labels,
        paint.origin_world,
        paint.cell_m,
        paint.wall_rows,
        paint.floor_rows,
    )
    shade = lighting.shade
    light = _ambient(
        hits.points_world, hits.normals_world, lighting.ambient, lighting.ceiling_z_m, shade.open_share, shade.origin_world, shade.cell_m
    )
    lamps = (lighting.lamps_world, lighting.lamp_strength, lighting.sun_world, lighting.sun_strength)
    _add_lights(light, hits.points_world, hits.normals_world, lit, *lamps)
    return _finish(base, light, paint.materials[:, 2].copy(), rows, directions)


@numba.njit(cache=True, error_model="numpy")
def _rays(uv, fx, fy, cx, cy, world_from_camera):
    out = np.empty((len(uv), 3))
    for i in range(len(uv)):
        x, y = (uv[i, 0] - cx) / fx, (uv[i, 1] - cy) / fy
        for k in range(3):
            out[i, k] = world_from_camera[k, 0] * x + world_from_camera[k, 1] * y + world_from_camera[k, 2]
    return out


@numba.njit(cache=True, error_model="numpy")
def _ambient(points, normals, ambient, ceiling_z, open_share, origin, cell):
    """Light from all around: weaker from below, in the corners of floor and ceiling, and beside furniture on the floor."""
    out = np.empty(len(points))
    for i in range(len(points)):
        z, up = points[i, 2], normals[i, 2]
        value = ambient * (0.86 + 0.14 * up + 0.05 * normals[i, 0] - 0.04 * normals[i, 1])
        if z < 0.03 and up > 0.5:
            a, b = (points[i, 0] - origin[0]) / cell - 0.5, (points[i, 1] - origin[1]) / cell - 0.5
            a, b = min(max(a, 0.0), open_share.shape[0] - 1.001), min(max(b, 0.0), open_share.shape[1] - 1.001)
            ia, ib = int(a), int(b)
            a, b = a - ia, b - ib
            low = open_share[ia, ib] * (1.0 - a) + open_share[ia + 1, ib] * a
            high = open_share[ia, ib + 1] * (1.0 - a) + open_share[ia + 1, ib + 1] * a
            value *= low * (1.0 - b) + high * b
        elif abs(up) < 0.5:
            value *= 1.0 - 0.22 * np.exp(-max(z, 0.0) / 0.2) - 0.16 * np.exp(-max(ceiling_z - z, 0.0) / 0.25)
        out[i] = value
    return out


@numba.njit(cache=True, error_model="numpy")
def _turned_to(points, normals, asked, lamps, sun, strength, linked, ceiling_z, labels, origin, cell):
    """Bits of the lights that each asked point faces: lamps of its own room and of rooms beside it through an opening,
    where they are not too faint; the sun where the way to it does not end at the ceiling. Shadows are asked later."""
    out = np.zeros(len(asked), dtype=np.uint8)
    for j in range(len(asked)):
        i = asked[j]
        px, py, pz = points[i, 0], points[i, 1], points[i, 2]
        if not pz == pz:  # NaN: nothing was met
            continue
        nx, ny, nz = normals[i, 0], normals[i, 1], normals[i, 2]
        a, b = int(np.floor((px - origin[0]) / cell)), int(np.floor((py - origin[1]) / cell))
        room = labels[a, b] if 0 <= a < labels.shape[0] and 0 <= b < labels.shape[1] else -1
        bits = 0
        for k in range(len(lamps)):
            if room >= 0 and not linked[k, room]:
                continue
            x, y, z = lamps[k, 0] - px, lamps[k, 1] - py, lamps[k, 2] - pz
            square = x * x + y * y + z * z
            if strength * (x * nx + y * ny + z * nz) > FAINT * (1.2 + square) * np.sqrt(square):
                bits |= 1 << k
        if nx * sun[0] + ny * sun[1] + nz * sun[2] > FAINT:
            rise = max((ceiling_z - pz) / sun[2], 0.0)
            a = int(np.floor((px + rise * sun[0] - origin[0]) / cell))
            b = int(np.floor((py + rise * sun[1] - origin[1]) / cell))
            if rise == 0.0 or not (0 <= a < labels.shape[0] and 0 <= b < labels.shape[1] and labels[a, b] >= 0):
                bits |= 1 << len(lamps)
        out[j] = bits
    return out


@numba.njit(cache=True, error_model="numpy")
def _add_lights(light, points, normals, lit, lamps, lamp_strength, sun, sun_strength):
    for i in range(len(light)):
        bits = np.int64(lit[i])
        if bits == 0:
            continue
        nx, ny, nz = normals[i, 0], normals[i, 1], normals[i, 2]
        for k in range(len(lamps)):
            if bits & (1 << k):
                x, y, z = lamps[k, 0] - points[i, 0], lamps[k, 1] - points[i, 1], lamps[k, 2] - points[i, 2]
                square = x * x + y * y + z * z
                light[i] += lamp_strength * max(x * nx + y * ny + z * nz, 0.0) / (np.sqrt(square) * (1.2 + square))
        if bits & (1 << len(lamps)):
            light[i] += sun_strength * max(nx * sun[0] + ny * sun[1] + nz * sun[2], 0.0)


@numba.njit(cache=True, error_model="numpy")
def _spread(lit, primitives, axis, width, height):
    """Fill pixels between those of even row and column; returns which are still to be asked."""
    missing = np.zeros(width * height, dtype=np.bool_)
    for row in range(height):
        for column in range(width):
            if row % 2 == 0 and column % 2 == 0:
                continue
            i = row * width + column
            first = True
            for r in (row - row % 2, row + row % 2):
                for c in (column - column % 2, column + column % 2):
                    if r >= height or c >= width:
                        continue
                    j = r * width + c
                    if primitives[j] != primitives[i] or axis[j] != axis[i] or (not first and lit[j] != lit[i]):
                        missing[i] = True
                    lit[i] = lit[j]
                    first = False
    return missing


@numba.njit(cache=True, error_model="numpy")
def _edge_mask(primitives, axis, normals, t, material_rows, height, width):
    edge = np.zeros(height * width, dtype=np.bool_)
    for row in range(height):
        for column in range(width):
            i = row * width + column
            for step in range(2):
                if (step == 0 and column + 1 == width) or (step == 1 and row + 1 == height):
                    continue
                j = i + (1 if step == 0 else width)
                p, q = primitives[i], primitives[j]
                if p == q and (p < 0 or axis[i] == axis[j]):
                    continue
                if p >= 0 and q >= 0 and (p == q or material_rows[p] == material_rows[q]):
                    dot = normals[i, 0] * normals[j, 0] + normals[i, 1] * normals[j, 1] + normals[i, 2] * normals[j, 2]
                    if dot > 0.99 and abs(t[i] - t[j]) < 0.02 * min(t[i], t[j]):
                        continue
                edge[i] = True
                edge[j] = True
    return edge


@numba.njit(cache=True, error_model="numpy")
def _borrowed(pixel, primitives, axis, whole_primitives, whole_axis, lit, width):
    """Light bits of the nearest whole pixel that shows the same facet, and where none of five does."""
    out = np.zeros(len(pixel), dtype=np.uint8)
    missing = np.ones(len(pixel), dtype=np.bool_)
    for j in range(len(pixel)):
        i = pixel[j]
        for k in (i, i - 1, i + 1, i - width, i + width):
            if 0 <= k < len(lit) and whole_primitives[k] == primitives[j] and whole_axis[k] == axis[j]:
                out[j] = lit[k]
                missing[j] = False
                break
    return out, missing


@numba.njit(cache=True, error_model="numpy")
def _finish(base, light, glow, rows, directions):
    """Albedo times light with a soft shoulder instead of clipping; sky and far ground where nothing was met."""
    out = np.empty_like(base)
    for i in range(len(base)):
        if rows[i] < 0:
            x, y, z = directions[i, 0], directions[i, 1], directions[i, 2]
            lift = z / np.sqrt(x * x + y * y + z * z)
            for c in range(3):
                far = SKY[c] if lift > 0.0 else GROUND[c]
                out[i, c] = far + (0.95 - far) * np.exp(-(6.0 if lift > 0.0 else 12.0) * abs(lift))
            continue
        for c in range(3):
            lit = base[i, c] * (light[i] + 1.3 * glow[rows[i]])
            out[i, c] = lit if lit < 0.6 else 1.0 - 0.4 * np.exp(-(lit - 0.6) / 0.4)
    return out
