"""Ray kernels: exact hits of solids, first hits and blocked ways through the tree, first hits through image tiles.

Kernels that call each other stay in one file: the compiler's cache looks at the file of the outermost one alone.
"""

import numba
import numpy as np

TILE_PX = 8


@numba.njit(cache=True, error_model="numpy")
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


@numba.njit(cache=True, error_model="numpy")
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


@numba.njit(cache=True, error_model="numpy")
def _reciprocal(x):
    if abs(x) < 1e-300:  # keeps 0 * inf = NaN out of the slab test
        return 1e300
    return 1.0 / x


@numba.njit(cache=True, error_model="numpy")
def closest(origins, directions, bounds, children, order, kinds, unit_from_world):
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
def blocked(points, normals, lift, asked, targets, gap, bounds, children, order, kinds, unit_from_world):
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
def surface(origins, directions, t, primitives, kinds, unit_from_world, half_m):
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


@numba.njit(cache=True, error_model="numpy")
def tile_lists(half_m, world_from_primitive, camera_from_world, fx, fy, cx, cy, width, height):
    """Solids that may show in each tile of an image, nearest first.

    Returns `starts (T + 1,)` into `members`, `members`, and `near (P,)`, a lower bound of each solid's depth.
    """
    count = len(half_m)
    columns, rows = (width + TILE_PX - 1) // TILE_PX, (height + TILE_PX - 1) // TILE_PX
    rect = np.zeros((count, 4), dtype=np.int64)
    near = np.full(count, np.inf)
    corner = np.empty((8, 3))
    plane = 1e-4  # what is nearer than a tenth of a millimetre is not drawn
    for p in range(count):
        low_z = np.inf
        for k in range(8):
            x = half_m[p, 0] if k & 1 else -half_m[p, 0]
            y = half_m[p, 1] if k & 2 else -half_m[p, 1]
            z = half_m[p, 2] if k & 4 else -half_m[p, 2]
            w = world_from_primitive[p]
            wx = w[0, 0] * x + w[0, 1] * y + w[0, 2] * z + w[0, 3]
            wy = w[1, 0] * x + w[1, 1] * y + w[1, 2] * z + w[1, 3]
            wz = w[2, 0] * x + w[2, 1] * y + w[2, 2] * z + w[2, 3]
            for c in range(3):
                m = camera_from_world[c]
                corner[k, c] = m[0] * wx + m[1] * wy + m[2] * wz + m[3]
            low_z = min(low_z, corner[k, 2])
        left, top, right, bottom = np.inf, np.inf, -np.inf, -np.inf
        for a in range(8):
            for bit in (0, 1, 2, 4):
                b = a | bit
                if bit and b == a:
                    continue
                za, zb = corner[a, 2], corner[b, 2]
                share = 0.0
                if za < plane:
                    if not zb > plane:
                        continue
                    share = (plane - za) / (zb - za)
                elif bit and zb < plane:
                    share = (plane - za) / (zb - za)
                elif bit:
                    continue  # both corners are taken on their own
                z = max(za + share * (zb - za), plane)
                u = fx * (corner[a, 0] + share * (corner[b, 0] - corner[a, 0])) / z + cx
                v = fy * (corner[a, 1] + share * (corner[b, 1] - corner[a, 1])) / z + cy
                left, right = min(left, u), max(right, u)
                top, bottom = min(top, v), max(bottom, v)
        if not (right > -2.0 and left < width + 1.0 and bottom > -2.0 and top < height + 1.0):
            continue
        near[p] = max(low_z, 0.0) - 1e-9
        rect[p, 0] = int(max(left - 1.0, 0.0)) // TILE_PX  # one pixel more: parts of a pixel lie beside its centre
        rect[p, 1] = int(min(max(right + 2.0, 0.0), width - 1.0)) // TILE_PX
        rect[p, 2] = int(max(top - 1.0, 0.0)) // TILE_PX
        rect[p, 3] = int(min(max(bottom + 2.0, 0.0), height - 1.0)) // TILE_PX
    starts = np.zeros(columns * rows + 1, dtype=np.int64)
    for p in range(count):
        if near[p] < np.inf:
            for row in range(rect[p, 2], rect[p, 3] + 1):
                for column in range(rect[p, 0], rect[p, 1] + 1):
                    starts[row * columns + column + 1] += 1
    for tile in range(columns * rows):
        starts[tile + 1] += starts[tile]
    members = np.empty(starts[-1], dtype=np.int32)
    filled = starts[:-1].copy()
    for p in np.argsort(near, kind="mergesort"):
        if near[p] < np.inf:
            for row in range(rect[p, 2], rect[p, 3] + 1):
                for column in range(rect[p, 0], rect[p, 1] + 1):
                    members[filled[row * columns + column]] = p
                    filled[row * columns + column] += 1
    return starts, members, near


@numba.njit(cache=True, error_model="numpy")
def closest_in_tiles(eye, directions, uv, starts, members, near, width, height, kinds, unit_from_world):
    """As `closest`, for rays of unit z from one eye through pixels `uv (N, 2)` of an image."""
    count = len(directions)
    columns = (width + TILE_PX - 1) // TILE_PX
    t_out = np.full(count, np.nan)
    hit_out = np.full(count, -1, dtype=np.int32)
    ox, oy, oz = eye[0], eye[1], eye[2]
    for i in range(count):
        dx, dy, dz = directions[i, 0], directions[i, 1], directions[i, 2]
        column = min(max(int(uv[i, 0] + 0.5), 0), width - 1) // TILE_PX
        row = min(max(int(uv[i, 1] + 0.5), 0), height - 1) // TILE_PX
        best, best_hit = np.inf, -1
        for k in range(starts[row * columns + column], starts[row * columns + column + 1]):
            p = members[k]
            if near[p] > best:
                break
            t = _hit(kinds[p], unit_from_world, p, ox, oy, oz, dx, dy, dz)
            if t < best or (t == best and t < np.inf and p < best_hit):
                best, best_hit = t, p
        if best_hit >= 0:
            t_out[i] = best
            hit_out[i] = best_hit
    return t_out, hit_out
