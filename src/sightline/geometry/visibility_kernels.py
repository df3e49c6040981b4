"""The compiled loops of visibility: which points a depth map shows, 64 at a time, and how many bits a word has."""

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

BLOCK = 64
CULL_MARGIN_M = 1e-6  # a block is left out only when this far outside the view: rounding of kilometres in float64 is a million times less
TIE_PX = 1e-6  # pixels this near a rounding edge are decided by the reference's own arithmetic; `x * (1 / z)` differs from `x / z` by 1e-10
HUGE_M = 1e100  # beyond it 1 / z loses digits
# The kernel's quick arithmetic is used for cameras within these bounds, where its error is far below TIE_PX; any other is decided exactly.
QUICK_FOCAL_PX = (1.0, 1e5)
QUICK_SIDE_PX = 30_000
QUICK_CENTRE_PX = 1e6
QUICK_NEAR_M = 1e-3


@intrinsic
def _ctpop(typing_context, word):
    """LLVM's own count of set bits: one instruction, or vectors of them, on whatever processor runs it."""

    def codegen(context, builder, signature, arguments):
        return builder.call(builder.module.declare_intrinsic("llvm.ctpop", [ir.IntType(64)]), arguments)

    return types.uint64(types.uint64), codegen


@numba.njit(cache=True, nogil=True)
def popcount(word):  # pragma: no cover - compiled
    """Set bits of a uint64."""
    return _ctpop(word)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def mark_in_view(corners, m, depth_camera, colour_camera, near_m, in_view):  # pragma: no cover - compiled
    """Which blocks reach into the half spaces that bound the view: in front of `near_m` and inside both images."""
    normals = np.zeros((9, 3))
    normals[0, 2] = 1.0
    first = 1
    for fx, fy, cx, cy, width, height in (depth_camera, colour_camera):
        normals[first, 0], normals[first, 2] = fx, cx + 0.5
        normals[first + 1, 0], normals[first + 1, 2] = -fx, width - 0.5 - cx
        normals[first + 2, 1], normals[first + 2, 2] = fy, cy + 0.5
        normals[first + 3, 1], normals[first + 3, 2] = -fy, height - 0.5 - cy
        first += 4
    in_view[:] = True
    for k in range(9):
        length = np.sqrt(normals[k, 0] ** 2 + normals[k, 1] ** 2 + normals[k, 2] ** 2)
        nx, ny, nz = normals[k, 0] / length, normals[k, 1] / length, normals[k, 2] / length
        a = nx * m[0, 0] + ny * m[1, 0] + nz * m[2, 0]
        b = nx * m[0, 1] + ny * m[1, 1] + nz * m[2, 1]
        c = nx * m[0, 2] + ny * m[1, 2] + nz * m[2, 2]
        d = nx * m[0, 3] + ny * m[1, 3] + nz * m[2, 3] - (near_m if k == 0 else 0.0)
        x = corners[3] if a > 0.0 else corners[0]  # of each block the corner that lies farthest inside
        y = corners[4] if b > 0.0 else corners[1]
        z = corners[5] if c > 0.0 else corners[2]
        for i in range(in_view.size):
            in_view[i] &= not a * x[i] + b * y[i] + c * z[i] + d < -CULL_MARGIN_M  # what is not a number leaves nothing out


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _is_seen(px, py, pz, depth, scale, m, depth_camera, colour_camera, limits):  # pragma: no cover - compiled
    """One point, in the order of arithmetic of `visible_reference`."""
    near_m, tolerance_m, tolerance_share = limits
    z = m[2, 0] * px + m[2, 1] * py + m[2, 2] * pz + m[2, 3]
    if not z >= near_m:
        return False
    x = m[0, 0] * px + m[0, 1] * py + m[0, 2] * pz + m[0, 3]
    y = m[1, 0] * px + m[1, 1] * py + m[1, 2] * pz + m[1, 3]
    column, row = 0.0, 0.0
    for fx, fy, cx, cy, width, height in (colour_camera, depth_camera):  # the depth camera last: its pixel is kept
        column = np.floor(fx * x / z + cx + 0.5)
        row = np.floor(fy * y / z + cy + 0.5)
        if not (column >= 0.0 and column < width and row >= 0.0 and row < height):
            return False
    stored = depth[int(row), int(column)]
    if scale is None:
        reading = np.float64(stored)
    else:
        reading = np.float64(np.float32(stored) * scale) if stored != 0 and stored != 65535 else 0.0
    return reading > 0.0 and abs(z - reading) <= max(tolerance_m, tolerance_share * reading)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _edges(focal, centre, side, other_focal, other_centre, other_side):  # pragma: no cover - compiled
    """Where the second camera's image begins and ends inside the first one's, along one axis, in the first one's pixels + 0.5."""
    ratio = focal / other_focal
    low = max(0.0, ratio * (-other_centre - 0.5) + centre + 0.5)
    return low, min(side, ratio * (other_side - other_centre - 0.5) + centre + 0.5)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def fill_words(axes, corners, depth, scale, m, depth_camera, colour_camera, limits, is_quick, words):  # pragma: no cover - compiled
    """Packed visibility of the points `axes (3, N)` into `words`; returns how many blocks of 64 were looked at.

    `corners (6, ceil(N / 64))` are the low and high corners of the blocks, or none to look at every block.
    `depth` is a map of metres (`scale` None) or of stored uint16 with `scale` metres a step. Every comparison that the quick
    arithmetic could get wrong is made again by `_is_seen`.
    """
    near_m, tolerance_m, tolerance_share = limits
    fx, fy, cx, cy, width, height = depth_camera
    left, right = _edges(fx, cx, width, colour_camera[0], colour_camera[2], colour_camera[4])
    top, bottom = _edges(fy, cy, height, colour_camera[1], colour_camera[3], colour_camera[5])
    tie = TIE_PX if is_quick else np.inf
    m00, m01, m02, m03 = m[0, 0], m[0, 1], m[0, 2], m[0, 3]
    m10, m11, m12, m13 = m[1, 0], m[1, 1], m[1, 2], m[1, 3]
    m20, m21, m22, m23 = m[2, 0], m[2, 1], m[2, 2], m[2, 3]
    columns = np.int32(depth.shape[1])
    flat = depth.reshape(-1)
    z_m = np.zeros(BLOCK)
    place = np.zeros(BLOCK, dtype=np.int32)
    state = np.zeros(BLOCK, dtype=np.uint8)  # 0 outside the view, 1 inside, 2 too near an edge to say
    stored = np.zeros(BLOCK, dtype=depth.dtype)
    in_view = np.ones(words.size, dtype=np.bool_)
    if corners.shape[1] > 0:
        mark_in_view(corners, m, depth_camera, colour_camera, near_m, in_view)
    looked_at = 0
    for block in range(words.size):
        if not in_view[block]:
            words[block] = 0
            continue
        looked_at += 1
        start = block * BLOCK
        px, py, pz = axes[0, start : start + BLOCK], axes[1, start : start + BLOCK], axes[2, start : start + BLOCK]
        count = px.size
        doubtful = 0
        for i in range(count):
            wx, wy, wz = np.float64(px[i]), np.float64(py[i]), np.float64(pz[i])
            z = m20 * wx + m21 * wy + m22 * wz + m23
            x = m00 * wx + m01 * wy + m02 * wz + m03
            y = m10 * wx + m11 * wy + m12 * wz + m13
            per_z = 1.0 / z
            u = fx * x * per_z + cx + 0.5
            v = fy * y * per_z + cy + 0.5
            column, row = np.floor(u), np.floor(v)
            # Written so that what is not a number counts as possible, never as clear.
            possible = (z >= near_m) & (not u < left - tie) & (not u > right + tie) & (not v < top - tie) & (not v > bottom + tie)
            clear = (u > left + tie) & (u < right - tie) & (v > top + tie) & (v < bottom - tie) & (z < HUGE_M)
            clear &= (u - column > tie) & (u - column < 1.0 - tie) & (v - row > tie) & (v - row < 1.0 - tie)
            inside = possible & clear
            z_m[i] = z
            place[i] = np.int32(row if inside else 0.0) * columns + np.int32(column if inside else 0.0)
            state[i] = np.uint8(possible) + np.uint8(possible & (not clear))
            doubtful += possible & (not clear)
        for i in range(count):  # alone, so that many readings are on their way at once
            stored[i] = flat[place[i]]
        word = np.uint64(0)
        for i in range(count):
            if scale is None:
                reading = np.float64(stored[i])
                has_reading = reading > 0.0
            else:
                reading = np.float64(np.float32(stored[i]) * scale)
                has_reading = (stored[i] != 0) & (stored[i] != 65535) & (reading > 0.0)
            seen = (state[i] == 1) & has_reading & (abs(z_m[i] - reading) <= max(tolerance_m, tolerance_share * reading))
            word |= np.uint64(seen) << np.uint64(i)
        if doubtful > 0:
            for i in range(count):
                if state[i] == 2 and _is_seen(
                    np.float64(px[i]), np.float64(py[i]), np.float64(pz[i]), depth, scale, m, depth_camera, colour_camera, limits
                ):
                    word |= np.uint64(1) << np.uint64(i)
        words[block] = word
    return looked_at
