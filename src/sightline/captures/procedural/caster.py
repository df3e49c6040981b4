"""The analytic ray caster: a bounding-volume tree over solids, exact hits, occlusion, and visibility of world points."""

from dataclasses import dataclass

import numba
import numpy as np

from sightline.arrays import expect
from sightline.captures.procedural.primitives import PrimitiveTable

LEAF_SIZE = 2
SURFACE_GAP_M = 1e-6  # a point counts as visible when the first hit is no nearer than this; rays leave surfaces by as much


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Caster:
    """Solids with their tree. Nodes are `[low, high]` bounds; `children` holds two node indices, or (-1 - first, count)."""

    solids: PrimitiveTable
    bounds: np.ndarray  # (B, 6)
    children: np.ndarray  # (B, 2) int32
    order: np.ndarray  # (P,) int32: solids in leaf order


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Hits:
    """What rays met. `t` is in units of the direction given; NaN where nothing was met."""

    t: np.ndarray  # (N,)
    primitives: np.ndarray  # (N,) int32, -1 nothing
    object_ids: np.ndarray  # (N,) int32, -1 nothing or shell
    points_world: np.ndarray  # (N, 3)
    normals_world: np.ndarray  # (N, 3) unit, towards the ray's origin
    local_m: np.ndarray  # (N, 3) point in the solid's own frame
    axis: np.ndarray  # (N,) int32: the local axis the surface faces most


def build_caster(solids: PrimitiveTable) -> Caster:
    """Build the tree: split at the median of the longest axis of the centres."""
    low, high = solids.low_world, solids.high_world
    centres = (low + high) / 2.0
    bounds: list[np.ndarray] = []
    children: list[tuple[int, int]] = []
    order: list[int] = []

    def node(members: np.ndarray) -> int:
        here = len(bounds)
        bounds.append(np.concatenate([low[members].min(axis=0), high[members].max(axis=0)]))
        children.append((0, 0))
        if len(members) <= LEAF_SIZE:
            children[here] = (-1 - len(order), len(members))
            order.extend(int(m) for m in members)
            return here
        axis = int(np.ptp(centres[members], axis=0).argmax())
        ranked = members[np.argsort(centres[members, axis], kind="stable")]
        half = len(ranked) // 2
        left = node(ranked[:half])
        children[here] = (left, node(ranked[half:]))
        return here

    node(np.arange(len(solids)))
    return Caster(
        solids=solids, bounds=np.array(bounds), children=np.array(children, dtype=np.int32), order=np.array(order, dtype=np.int32)
    )


def cast(caster: Caster, origins_world: np.ndarray, directions_world: np.ndarray) -> Hits:
    """First hits of rays `origins_world (N, 3)` (or one `(3,)`), `directions_world (N, 3)` of any length."""
    directions = np.ascontiguousarray(directions_world, dtype=np.float64)
    origins = np.ascontiguousarray(np.broadcast_to(origins_world, directions.shape), dtype=np.float64)
    expect(origins_world=(origins, "N 3"), directions_world=(directions, "N 3"))
    solids = caster.solids
    t, primitives = _closest(origins, directions, caster.bounds, caster.children, caster.order, solids.kinds, solids.unit_from_world)
    points, normals, local_m, axis = _surface(origins, directions, t, primitives, solids.kinds, solids.unit_from_world, solids.half_m)
    object_ids = np.where(primitives >= 0, solids.object_ids[primitives], -1).astype(np.int32)
    return Hits(t=t, primitives=primitives, object_ids=object_ids, points_world=points, normals_world=normals, local_m=local_m, axis=axis)


def visible_from(caster: Caster, eye_world: np.ndarray, points_world: np.ndarray) -> np.ndarray:
    """Which points `(N, 3)` the eye `(3,)` sees: nothing stands between, up to a micrometre before the point itself."""
    expect(eye_world=(eye_world, "3"), points_world=(points_world, "N 3"))
    return ~occluded(caster, np.broadcast_to(eye_world, points_world.shape), points_world)


def occluded(caster: Caster, origins_world: np.ndarray, targets_world: np.ndarray) -> np.ndarray:
    """Which segments `(N, 3) -> (N, 3)` are blocked before their last micrometre."""
    solids = caster.solids
    origins = np.ascontiguousarray(origins_world, dtype=np.float64)
    steps = np.ascontiguousarray(targets_world, dtype=np.float64) - origins
    lengths = np.sqrt((steps**2).sum(axis=1))
    limit = 1.0 - SURFACE_GAP_M / np.maximum(lengths, SURFACE_GAP_M)
    return _any(origins, steps, limit, caster.bounds, caster.children, caster.order, solids.kinds, solids.unit_from_world)


@numba.njit(cache=True, inline="always")
def _hit(kind, m, ox, oy, oz, dx, dy, dz):
    """Nearest t > 0 of one solid, or inf."""
    inf = np.inf
    px = m[0, 0] * ox + m[0, 1] * oy + m[0, 2] * oz + m[0, 3]
    py = m[1, 0] * ox + m[1, 1] * oy + m[1, 2] * oz + m[1, 3]
    pz = m[2, 0] * ox + m[2, 1] * oy + m[2, 2] * oz + m[2, 3]
    qx = m[0, 0] * dx + m[0, 1] * dy + m[0, 2] * dz
    qy = m[1, 0] * dx + m[1, 1] * dy + m[1, 2] * dz
    qz = m[2, 0] * dx + m[2, 1] * dy + m[2, 2] * dz
    near, far = -inf, inf
    if kind != 2:  # slab along z, for boxes and cylinders
        if qz == 0.0:
            if abs(pz) > 1.0:
                return inf
        else:
            a, b = (-1.0 - pz) / qz, (1.0 - pz) / qz
            near, far = min(a, b), max(a, b)
    if kind == 0:
        if qx == 0.0:
            if abs(px) > 1.0:
                return inf
        else:
            a, b = (-1.0 - px) / qx, (1.0 - px) / qx
            near, far = max(near, min(a, b)), min(far, max(a, b))
        if qy == 0.0:
            if abs(py) > 1.0:
                return inf
        else:
            a, b = (-1.0 - py) / qy, (1.0 - py) / qy
            near, far = max(near, min(a, b)), min(far, max(a, b))
    else:
        aa = qx * qx + qy * qy
        bb = px * qx + py * qy
        cc = px * px + py * py - 1.0
        if kind == 2:
            aa += qz * qz
            bb += pz * qz
            cc += pz * pz
        if aa == 0.0:
            if cc > 0.0:
                return inf
        else:
            under = bb * bb - aa * cc
            if under < 0.0:
                return inf
            root = np.sqrt(under)
            near, far = max(near, (-bb - root) / aa), min(far, (-bb + root) / aa)
    if near > far or far <= 0.0:
        return inf
    return near if near > 0.0 else far


@numba.njit(cache=True, inline="always")
def _enter(b, ox, oy, oz, ix, iy, iz, limit):
    """Where a ray enters bounds, or inf when it misses them or enters beyond the limit."""
    a, c = (b[0] - ox) * ix, (b[3] - ox) * ix
    near, far = min(a, c), max(a, c)
    a, c = (b[1] - oy) * iy, (b[4] - oy) * iy
    near, far = max(near, min(a, c)), min(far, max(a, c))
    a, c = (b[2] - oz) * iz, (b[5] - oz) * iz
    near, far = max(near, min(a, c)), min(far, max(a, c))
    if near > far * (1.0 + 1e-12) + 1e-12 or far < 0.0 or near > limit:
        return np.inf
    return max(near, 0.0)


@numba.njit(cache=True, inline="always")
def _reciprocal(x):
    if abs(x) < 1e-300:  # keeps 0 * inf = NaN out of the slab test
        return 1e300
    return 1.0 / x


@numba.njit(cache=True)
def _closest(origins, directions, bounds, children, order, kinds, unit_from_world):
    count = len(directions)
    t_out = np.full(count, np.nan)
    hit_out = np.full(count, -1, dtype=np.int32)
    stack = np.empty(64, dtype=np.int32)
    enter = np.empty(64)
    for i in range(count):
        ox, oy, oz = origins[i, 0], origins[i, 1], origins[i, 2]
        dx, dy, dz = directions[i, 0], directions[i, 1], directions[i, 2]
        ix, iy, iz = _reciprocal(dx), _reciprocal(dy), _reciprocal(dz)
        best, best_hit = np.inf, -1
        stack[0] = 0
        enter[0] = 0.0
        top = 1
        while top > 0:
            top -= 1
            if enter[top] > best:
                continue
            here = stack[top]
            left = children[here, 0]
            if left < 0:
                for k in range(-1 - left, -1 - left + children[here, 1]):
                    p = order[k]
                    t = _hit(kinds[p], unit_from_world[p], ox, oy, oz, dx, dy, dz)
                    if t < best or (t == best and t < np.inf and p < best_hit):
                        best, best_hit = t, p
                continue
            right = children[here, 1]
            t_left = _enter(bounds[left], ox, oy, oz, ix, iy, iz, best)
            t_right = _enter(bounds[right], ox, oy, oz, ix, iy, iz, best)
            if t_left > t_right:
                left, right = right, left
                t_left, t_right = t_right, t_left
            if t_right < np.inf:
                stack[top], enter[top] = right, t_right
                top += 1
            if t_left < np.inf:
                stack[top], enter[top] = left, t_left
                top += 1
        if best_hit >= 0:
            t_out[i] = best
            hit_out[i] = best_hit
    return t_out, hit_out


@numba.njit(cache=True)
def _any(origins, directions, limits, bounds, children, order, kinds, unit_from_world):
    count = len(directions)
    out = np.zeros(count, dtype=np.bool_)
    stack = np.empty(64, dtype=np.int32)
    for i in range(count):
        limit = limits[i]
        if not limit > 0.0:
            continue
        ox, oy, oz = origins[i, 0], origins[i, 1], origins[i, 2]
        dx, dy, dz = directions[i, 0], directions[i, 1], directions[i, 2]
        ix, iy, iz = _reciprocal(dx), _reciprocal(dy), _reciprocal(dz)
        stack[0] = 0
        top = 1
        while top > 0:
            top -= 1
            here = stack[top]
            if _enter(bounds[here], ox, oy, oz, ix, iy, iz, limit) == np.inf:
                continue
            left = children[here, 0]
            if left < 0:
                for k in range(-1 - left, -1 - left + children[here, 1]):
                    p = order[k]
                    if _hit(kinds[p], unit_from_world[p], ox, oy, oz, dx, dy, dz) < limit:
                        out[i] = True
                        top = 0
                        break
                continue
            stack[top] = left
            stack[top + 1] = children[here, 1]
            top += 2
    return out


@numba.njit(cache=True)
def _surface(origins, directions, t, primitives, kinds, unit_from_world, half_m):
    count = len(t)
    points = np.full((count, 3), np.nan)
    normals = np.full((count, 3), np.nan)
    local = np.zeros((count, 3))
    axes = np.zeros(count, dtype=np.int32)
    for i in range(count):
        p = primitives[i]
        if p < 0:
            continue
        m = unit_from_world[p]
        unit = np.empty(3)
        for k in range(3):
            points[i, k] = origins[i, k] + t[i] * directions[i, k]
        for k in range(3):
            unit[k] = m[k, 0] * points[i, 0] + m[k, 1] * points[i, 1] + m[k, 2] * points[i, 2] + m[k, 3]
            local[i, k] = unit[k] * half_m[p, k]
        n = np.zeros(3)
        if kinds[p] == 0:
            a = 0
            for k in range(1, 3):
                if abs(unit[k]) > abs(unit[a]):
                    a = k
            n[a] = 1.0 if unit[a] > 0.0 else -1.0
        elif kinds[p] == 1:
            if abs(unit[2]) - 1.0 > np.sqrt(unit[0] * unit[0] + unit[1] * unit[1]) - 1.0:
                n[2] = 1.0 if unit[2] > 0.0 else -1.0
            else:
                n[0], n[1] = unit[0], unit[1]
        else:
            n[:] = unit
        length = 0.0
        facing = 0.0
        world = np.empty(3)
        for k in range(3):
            world[k] = m[0, k] * n[0] + m[1, k] * n[1] + m[2, k] * n[2]
            length += world[k] * world[k]
            facing += world[k] * directions[i, k]
        length = np.sqrt(length) * (-1.0 if facing > 0.0 else 1.0)
        for k in range(3):
            normals[i, k] = world[k] / length
        a = 0
        for k in range(1, 3):
            if abs(n[k] / half_m[p, k]) > abs(n[a] / half_m[p, a]) + 1e-12:
                a = k
        axes[i] = a
    return points, normals, local, axes
