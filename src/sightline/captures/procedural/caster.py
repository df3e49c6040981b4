"""The analytic ray caster: a bounding-volume tree over solids, exact hits, occlusion, and visibility of world points."""

from dataclasses import dataclass

import numba
import numpy as np

from sightline.arrays import expect
from sightline.captures.procedural.primitives import PrimitiveTable

LEAF_SIZE = 4
BOUNDS_MARGIN_M = 1e-9  # rays that run exactly along a face must not slip through the tree
SURFACE_GAP_M = 1e-6  # a point counts as visible when nothing is hit before this last bit of the way
SHADOW_LIFT_M = 1e-5  # shadow rays start this far off their surface


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
    """Build the tree: every node is split where the surface-area heuristic expects the fewest tests."""
    low, high = solids.low_world, solids.high_world
    centres = (low + high) / 2.0
    bounds: list[np.ndarray] = []
    children: list[tuple[int, int]] = []
    order: list[int] = []

    def node(members: np.ndarray) -> int:
        here = len(bounds)
        bounds.append(np.concatenate([low[members].min(axis=0) - BOUNDS_MARGIN_M, high[members].max(axis=0) + BOUNDS_MARGIN_M]))
        children.append((0, 0))
        left_members, right_members = _split(low[members], high[members], centres[members], members)
        if not len(right_members):
            children[here] = (-1 - len(order), len(members))
            order.extend(int(m) for m in members)
            return here
        left = node(left_members)
        children[here] = (left, node(right_members))
        return here

    node(np.arange(len(solids)))
    return Caster(
        solids=solids, bounds=np.array(bounds), children=np.array(children, dtype=np.int32), order=np.array(order, dtype=np.int32)
    )


def _split(low: np.ndarray, high: np.ndarray, centres: np.ndarray, members: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The members of two children; the second is empty where a leaf is cheaper."""
    count = len(members)
    best = (_area(low.min(axis=0), high.max(axis=0)) * (count - 0.7) if count <= LEAF_SIZE else np.inf, members, members[:0])
    if count == 1:
        return best[1], best[2]
    for axis in range(3):
        ranked = np.argsort(centres[:, axis], kind="stable")
        up_low, up_high = np.minimum.accumulate(low[ranked]), np.maximum.accumulate(high[ranked])
        down_low, down_high = np.minimum.accumulate(low[ranked[::-1]])[::-1], np.maximum.accumulate(high[ranked[::-1]])[::-1]
        cut = np.arange(1, count)
        cost = _area(up_low[:-1], up_high[:-1]) * cut + _area(down_low[1:], down_high[1:]) * (count - cut)
        at = int(np.argmin(cost))
        if cost[at] < best[0]:
            best = (cost[at], members[ranked[: at + 1]], members[ranked[at + 1 :]])
    return best[1], best[2]


def _area(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    size = high - low
    return size[..., 0] * size[..., 1] + size[..., 1] * size[..., 2] + size[..., 2] * size[..., 0]


def cast(caster: Caster, origins_world: np.ndarray, directions_world: np.ndarray) -> Hits:
    """First hits of rays `origins_world (N, 3)` (or one `(3,)`), `directions_world (N, 3)` of any length."""
    directions = np.ascontiguousarray(directions_world, dtype=np.float64)
    origins = np.ascontiguousarray(origins_world, dtype=np.float64).reshape(-1, 3)
    expect(directions_world=(directions, "N 3"))
    if len(origins) != 1:
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
    targets = np.ascontiguousarray(targets_world, dtype=np.float64)
    everything = np.arange(len(origins))
    no_normals = np.zeros((1, 3))
    tree = (caster.bounds, caster.children, caster.order, solids.kinds, solids.unit_from_world)
    return _blocked(origins, no_normals, 0.0, everything, targets, SURFACE_GAP_M, *tree)


def in_shadow(caster: Caster, hits: Hits, asked: np.ndarray, light_world: np.ndarray) -> np.ndarray:
    """Which of the hits `asked (M,)` do not see a light at one place `(3,)`."""
    solids = caster.solids
    tree = (caster.bounds, caster.children, caster.order, solids.kinds, solids.unit_from_world)
    lights = np.ascontiguousarray(light_world, dtype=np.float64)[None]
    return _blocked(hits.points_world, hits.normals_world, SHADOW_LIFT_M, asked, lights, 0.0, *tree)


@numba.njit(cache=True, error_model="numpy", inline="always")
def _hit(kind, unit_from_world, p, ox, oy, oz, dx, dy, dz):
    """Nearest t > 0 of one solid, or inf."""
    inf = np.inf
    m = unit_from_world[p]
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


@numba.njit(cache=True, error_model="numpy", inline="always")
def _enter(bounds, node, ox, oy, oz, ix, iy, iz, limit):
    """Where a ray enters bounds, or inf when it misses them or enters beyond the limit."""
    b = bounds[node]
    a, c = (b[0] - ox) * ix, (b[3] - ox) * ix
    near, far = min(a, c), max(a, c)
    a, c = (b[1] - oy) * iy, (b[4] - oy) * iy
    near, far = max(near, min(a, c)), min(far, max(a, c))
    a, c = (b[2] - oz) * iz, (b[5] - oz) * iz
    near, far = max(near, min(a, c)), min(far, max(a, c))
    if near > far * (1.0 + 1e-12) + 1e-12 or far < 0.0 or near > limit:
        return np.inf
    return max(near, 0.0)


@numba.njit(cache=True, error_model="numpy", inline="always")
def _reciprocal(x):
    if abs(x) < 1e-300:  # keeps 0 * inf = NaN out of the slab test
        return 1e300
    return 1.0 / x


@numba.njit(cache=True, error_model="numpy")
def _closest(origins, directions, bounds, children, order, kinds, unit_from_world):
    count = len(directions)
    t_out = np.full(count, np.nan)
    hit_out = np.full(count, -1, dtype=np.int32)
    stack = np.empty(64, dtype=np.int32)
    enter = np.empty(64)
    last = -1  # the solid of the ray before is a good first guess
    for i in range(count):
        k = i if len(origins) > 1 else 0
        ox, oy, oz = origins[k, 0], origins[k, 1], origins[k, 2]
        dx, dy, dz = directions[i, 0], directions[i, 1], directions[i, 2]
        ix, iy, iz = _reciprocal(dx), _reciprocal(dy), _reciprocal(dz)
        best, best_hit = np.inf, -1
        if last >= 0:
            best = _hit(kinds[last], unit_from_world, last, ox, oy, oz, dx, dy, dz)
            best_hit = last if best < np.inf else -1
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
                    t = _hit(kinds[p], unit_from_world, p, ox, oy, oz, dx, dy, dz)
                    if t < best or (t == best and t < np.inf and p < best_hit):
                        best, best_hit = t, p
                continue
            right = children[here, 1]
            t_left = _enter(bounds, left, ox, oy, oz, ix, iy, iz, best)
            t_right = _enter(bounds, right, ox, oy, oz, ix, iy, iz, best)
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
        last = best_hit
    return t_out, hit_out


@numba.njit(cache=True, error_model="numpy")
def _blocked(points, normals, lift, asked, targets, gap, bounds, children, order, kinds, unit_from_world):
    """Whether the way from each asked point (lifted along its normal) to its target, or to the one target, is blocked."""
    out = np.zeros(len(asked), dtype=np.bool_)
    stack = np.empty(64, dtype=np.int32)
    last = -1  # neighbours are mostly blocked by the same solid
    for j in range(len(asked)):
        i = asked[j]
        ox, oy, oz = points[i, 0], points[i, 1], points[i, 2]
        if lift > 0.0:
            ox, oy, oz = ox + lift * normals[i, 0], oy + lift * normals[i, 1], oz + lift * normals[i, 2]
        k = i if len(targets) > 1 else 0
        dx, dy, dz = targets[k, 0] - ox, targets[k, 1] - oy, targets[k, 2] - oz
        limit = 1.0
        if gap > 0.0:
            limit = 1.0 - gap / max(np.sqrt(dx * dx + dy * dy + dz * dz), gap)
            if not limit > 0.0:
                continue
        if last >= 0 and _hit(kinds[last], unit_from_world, last, ox, oy, oz, dx, dy, dz) < limit:
            out[j] = True
            continue
        ix, iy, iz = _reciprocal(dx), _reciprocal(dy), _reciprocal(dz)
        stack[0] = 0
        top = 1
        while top > 0:
            top -= 1
            here = stack[top]
            left = children[here, 0]
            if left < 0:
                for k in range(-1 - left, -1 - left + children[here, 1]):
                    p = order[k]
                    if _hit(kinds[p], unit_from_world, p, ox, oy, oz, dx, dy, dz) < limit:
                        out[j] = True
                        last = p
                        top = 0
                        break
                continue
            right = children[here, 1]
            if _enter(bounds, left, ox, oy, oz, ix, iy, iz, limit) < np.inf:
                stack[top] = left
                top += 1
            if _enter(bounds, right, ox, oy, oz, ix, iy, iz, limit) < np.inf:
                stack[top] = right
                top += 1
    return out


@numba.njit(cache=True, error_model="numpy")
def _surface(origins, directions, t, primitives, kinds, unit_from_world, half_m):
    """Points, unit normals towards the ray, places in the solid's own frame, and the local axis faced most."""
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
        dx, dy, dz = directions[i, 0], directions[i, 1], directions[i, 2]
        k = i if len(origins) > 1 else 0
        x, y, z = origins[k, 0] + t[i] * dx, origins[k, 1] + t[i] * dy, origins[k, 2] + t[i] * dz
        points[i, 0], points[i, 1], points[i, 2] = x, y, z
        u = m[0, 0] * x + m[0, 1] * y + m[0, 2] * z + m[0, 3]
        v = m[1, 0] * x + m[1, 1] * y + m[1, 2] * z + m[1, 3]
        w = m[2, 0] * x + m[2, 1] * y + m[2, 2] * z + m[2, 3]
        hx, hy, hz = half_m[p, 0], half_m[p, 1], half_m[p, 2]
        local[i, 0], local[i, 1], local[i, 2] = u * hx, v * hy, w * hz
        a, b, c = u, v, w  # the normal in unit space
        if kinds[p] == 0:
            au, av, aw = abs(u), abs(v), abs(w)
            if au >= av and au >= aw:
                b, c = 0.0, 0.0
            elif av >= aw:
                a, c = 0.0, 0.0
            else:
                a, b = 0.0, 0.0
        elif kinds[p] == 1:
            if abs(w) > np.sqrt(u * u + v * v):
                a, b = 0.0, 0.0
            else:
                c = 0.0
        nx = m[0, 0] * a + m[1, 0] * b + m[2, 0] * c
        ny = m[0, 1] * a + m[1, 1] * b + m[2, 1] * c
        nz = m[0, 2] * a + m[1, 2] * b + m[2, 2] * c
        length = np.sqrt(nx * nx + ny * ny + nz * nz)
        if nx * dx + ny * dy + nz * dz > 0.0:
            length = -length
        normals[i, 0], normals[i, 1], normals[i, 2] = nx / length, ny / length, nz / length
        a, b, c = abs(a / hx), abs(b / hy), abs(c / hz)
        if b > a + 1e-12:
            axes[i] = 2 if c > b + 1e-12 else 1
        else:
            axes[i] = 2 if c > a + 1e-12 else 0
    return points, normals, local, axes
