"""Procedural textures: a material names a pattern and two sRGB colours; the kernel gives linear albedo at a point."""

from dataclasses import dataclass

import numba
import numpy as np

PLAIN, WOOD, PLANKS, TILES, FABRIC, STRIPES, SPECKLE, BOOKS, ART, BRICK, SCREEN, CHECK, LEAVES = range(13)
ROOM_WALL, ROOM_FLOOR = 20, 21  # the shell: looked up by the room that the surface faces
SKIRTING_M = 0.09
RGB = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Material:
    """Pattern, two sRGB colours 0..255, the size of the pattern in metres, how much light it gives by itself, a seed for its details."""

    pattern: int
    colour: RGB
    second: RGB
    scale_m: float = 0.1
    glow: float = 0.0
    seed: int = 0


def linear_from_srgb(srgb: np.ndarray) -> np.ndarray:
    """Linear light 0..1 of sRGB values 0..255 (IEC 61966-2-1)."""
    value = np.asarray(srgb, dtype=np.float64) / 255.0
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def srgb_from_linear(linear: np.ndarray) -> np.ndarray:
    """sRGB uint8 of linear light, clipped to 0..1."""
    value = np.clip(linear, 0.0, 1.0)
    encoded = np.where(value <= 0.0031308, value * 12.92, 1.055 * value ** (1.0 / 2.4) - 0.055)
    return np.floor(encoded * 255.0 + 0.5).astype(np.uint8)


_ENCODED = srgb_from_linear(np.arange(16384) / 16383.0)


def srgb_from_linear_fast(linear: np.ndarray) -> np.ndarray:
    """As `srgb_from_linear` for `(N, 3)`, from a table of 16384 steps: at most one grey level off."""
    return _encode(np.ascontiguousarray(linear, dtype=np.float64), _ENCODED)


@numba.njit(cache=True, error_model="numpy")
def _encode(linear, encoded):
    out = np.empty(linear.shape, dtype=np.uint8)
    last = len(encoded) - 1
    for i in range(linear.shape[0]):
        for c in range(linear.shape[1]):
            out[i, c] = encoded[int(min(max(linear[i, c], 0.0), 1.0) * last + 0.5)]
    return out


def material_table(materials: tuple[Material, ...]) -> np.ndarray:
    """`(M, 10)`: pattern, scale, glow, seed, linear colour, linear second colour."""
    rows = np.empty((len(materials), 10))
    for row, material in enumerate(materials):
        rows[row, :4] = material.pattern, material.scale_m, material.glow, material.seed
        rows[row, 4:7] = linear_from_srgb(np.array(material.colour))
        rows[row, 7:10] = linear_from_srgb(np.array(material.second))
    return rows


@numba.njit(cache=True, error_model="numpy")
def _hash(x, y, z):
    """Integer lattice to 0..1."""
    h = np.uint64(x + 1000003) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(y + 2000003) * np.uint64(0xC2B2AE3D27D4EB4F)
    h = (h ^ (h >> np.uint64(29))) * np.uint64(0xBF58476D1CE4E5B9) + np.uint64(z + 17) * np.uint64(0x94D049BB133111EB)
    h = (h ^ (h >> np.uint64(32))) * np.uint64(0xBF58476D1CE4E5B9)
    return np.float64(h >> np.uint64(11)) / 9007199254740992.0


@numba.njit(cache=True, error_model="numpy")
def _noise(x, y, z):
    """Smooth value noise 0..1 on a unit lattice."""
    fx, fy = np.floor(x), np.floor(y)
    ix, iy = np.int64(fx), np.int64(fy)
    x, y = x - fx, y - fy
    x, y = x * x * (3.0 - 2.0 * x), y * y * (3.0 - 2.0 * y)
    low = _hash(ix, iy, z) * (1.0 - x) + _hash(ix + 1, iy, z) * x
    high = _hash(ix, iy + 1, z) * (1.0 - x) + _hash(ix + 1, iy + 1, z) * x
    return low * (1.0 - y) + high * y


@numba.njit(cache=True, error_model="numpy")
def _line(x, width, footprint):
    """How much of a footprint around x (period 1) a line of some width at 0 covers, 0..1."""
    x = abs(x - np.floor(x + 0.5))
    reach = max(footprint, 1e-6)
    cover = (width / 2.0 + reach / 2.0 - x) / reach
    return min(max(cover, 0.0), 1.0) * min(1.0, width / reach)


@numba.njit(cache=True, error_model="numpy")
def _fade(footprint, scale):
    """Detail finer than a pixel fades to its mean."""
    return min(max(1.5 - 3.0 * footprint / scale, 0.0), 1.0)


@numba.njit(cache=True, error_model="numpy")
def _rainbow(h, out):
    """One of twelve book and picture colours, linear."""
    k = np.int64(h * 12.0)
    for c in range(3):
        out[c] = 0.08 + 0.45 * (0.5 + 0.5 * np.cos(6.2831853 * (k / 12.0 + c / 3.0))) ** 1.5 + 0.12 * ((k * 7) % 5) / 4.0


@numba.njit(cache=True, error_model="numpy")
def albedo(
    local_m,
    points_world,
    normals_world,
    axis,
    half_m,
    primitives,
    rows,
    materials,
    footprint_m,
    labels,
    origin,
    cell_m,
    wall_rows,
    floor_rows,
):
    """Linear albedo `(N, 3)` of points: in their solid's frame `local_m`, whose face looks along `axis`."""
    count = len(rows)
    out = np.zeros((count, 3))
    tint = np.empty(3)
    for i in range(count):
        if rows[i] < 0:  # nothing was met
            continue
        m = materials[rows[i]]
        pattern = np.int64(m[0])
        lx, ly, lz = local_m[i, 0], local_m[i, 1], local_m[i, 2]
        p = primitives[i]
        hx, hy, hz = half_m[p, 0], half_m[p, 1], half_m[p, 2]
        skirting = False
        if pattern >= 20:
            lx, ly, lz = points_world[i, 0], points_world[i, 1], points_world[i, 2]
            hx, hy, hz = 3.0, 2.0, 1.0
            a = np.int64(np.floor((lx + 0.03 * normals_world[i, 0] - origin[0]) / cell_m))
            b = np.int64(np.floor((ly + 0.03 * normals_world[i, 1] - origin[1]) / cell_m))
            room = -1
            if 0 <= a < labels.shape[0] and 0 <= b < labels.shape[1]:
                room = labels[a, b]
            if pattern == 20:
                skirting = lz < 0.09 and room >= 0
                m = materials[wall_rows[room]]
            else:
                m = materials[floor_rows[room]]
            pattern = np.int64(m[0])
        if axis[i] == 0:
            u, v, hu, hv = ly, lz, hy, hz
        elif axis[i] == 1:
            u, v, hu, hv = lx, lz, hx, hz
        else:
            u, v, hu, hv = lx, ly, hx, hy
        scale, seed, foot = m[1], np.int64(m[3]), footprint_m[i]
        mix, shade = 0.0, 1.0
        tinted = False
        if pattern == 0:
            shade = 1.0 + 0.05 * (_noise(u * 3.0, v * 3.0, seed) - 0.5)
        elif pattern == 1:  # wood: grain along the longer side of the face
            if hv > hu:
                u, v = v, u
            bend = _noise(u * 1.3, v * 4.0, seed)
            wave = v / scale + 2.2 * bend
            mix = 0.5 + _fade(foot, scale) * 0.5 * np.sin(6.2831853 * wave)
            shade = 1.0 + 0.10 * _fade(foot, 0.02) * (_noise(u * 6.0, v * 90.0, seed + 1) - 0.5)
        elif pattern == 2:  # planks
            row = np.int64(np.floor(v / scale))
            along = u / (scale * 8.0) + _hash(row, 3, seed)
            plank = np.int64(np.floor(along))
            mix = 0.15 + 0.5 * _hash(row, plank, seed) + _fade(foot, 0.03) * 0.35 * _noise(u * 3.0, v * 45.0 + 17.0 * row, seed)
            seam = max(_line(v / scale, 0.03, foot / scale), _line(along, 0.004, foot / scale / 8.0))
            shade = 1.0 - 0.55 * seam
        elif pattern == 3:  # tiles with grout
            a, b = np.int64(np.floor(u / scale)), np.int64(np.floor(v / scale))
            shade = 0.94 + 0.12 * _hash(a, b, seed) * _fade(foot, scale)
            mix = max(_line(u / scale, 0.025, foot / scale), _line(v / scale, 0.025, foot / scale))
        elif pattern == 4:  # woven cloth
            weave = np.sin(u / scale * 6.2831853) * np.sin(v / scale * 6.2831853)
            shade = 1.0 + _fade(foot, scale) * 0.16 * weave + 0.12 * (_noise(u * 9.0, v * 9.0, seed) - 0.5)
        elif pattern == 5:  # stripes
            part = v / scale - np.floor(v / scale)
            soft = max(foot / scale, 1e-3)
            mix = min(max((abs(part - 0.5) - 0.25) / soft + 0.5, 0.0), 1.0)
            if foot > scale:
                mix = 0.5
        elif pattern == 6:  # speckle, carpet
            fine = _noise(u / scale, v / scale, seed)
            mix = 0.5 + _fade(foot, scale) * (fine - 0.5) + 0.3 * (_noise(u * 2.0, v * 2.0, seed + 5) - 0.5)
            mix = min(max(mix, 0.0), 1.0)
        elif pattern == 7:  # spines of books
            slot = np.int64(np.floor(u / scale))
            part = u / scale - slot
            cut = 0.35 + 0.3 * _hash(slot, 1, seed)
            book = slot * 2 + (1 if part > cut else 0)
            _rainbow(_hash(book, 2, seed), tint)
            tall = -0.15 + 1.1 * _hash(book, 3, seed)
            tinted = v / max(hv, 1e-6) < tall
            shade = 1.0 - 0.5 * max(_line(part - cut, 0.06, foot / scale), _line(part, 0.06, foot / scale))
            if tinted and _line(v / max(hv, 1e-6) * 0.5 - 0.2 * _hash(book, 4, seed), 0.05, foot / max(hv, 1e-6)) > 0.5:
                shade *= 1.5
        elif pattern == 8:  # a painting: hills, blocks or rings
            s, t = u / max(hu, 1e-6), v / max(hv, 1e-6)
            style = seed % 3
            if style == 0:
                layer = 0.0
                for k in range(4):
                    ridge = 0.55 - 0.4 * k + 0.35 * (_noise(s * 1.7 + 9.0 * k, 0.5, seed + k) - 0.5)
                    if t < ridge:
                        layer = k + 1.0
                _rainbow(_hash(np.int64(layer), 7, seed), tint)
            elif style == 1:
                a, b = np.int64(np.floor(s * 1.6 + 9.0)), np.int64(np.floor(t * 1.9 + 9.0))
                _rainbow(_hash(a, b, seed), tint)
                shade = 1.0 - 0.9 * max(_line(s * 1.6, 0.09, foot / max(hu, 1e-6)), _line(t * 1.9, 0.09, foot / max(hv, 1e-6)))
            else:
                _rainbow(_hash(np.int64(np.sqrt((s + 0.2) ** 2 + (t - 0.1) ** 2) * 3.5), 8, seed), tint)
            tinted = True
        elif pattern == 9:  # bricks
            row = np.int64(np.floor(v / scale))
            along = u / (scale * 3.0) + 0.5 * (row % 2)
            shade = 0.85 + 0.3 * _hash(np.int64(np.floor(along)), row, seed)
            mix = max(_line(v / scale, 0.14, foot / scale), _line(along, 0.05, foot / scale / 3.0))
        elif pattern == 10:  # a dark screen with a soft gleam
            s, t = u / max(hu, 1e-6), v / max(hv, 1e-6)
            mix = min(max(0.5 * (s + t) - 0.1, 0.0), 1.0) * 0.6
        elif pattern == 11:  # checks
            a, b = np.int64(np.floor(u / scale)), np.int64(np.floor(v / scale))
            mix = 0.5 + _fade(foot, scale) * (0.5 if (a + b) % 2 == 0 else -0.5)
        else:  # leaves
            mix = _noise(u * 28.0, v * 28.0, seed)
            shade = 0.75 + 0.5 * _noise(u * 60.0 + lx * 40.0, v * 60.0, seed + 3)
        if skirting:
            shade, mix = 1.0, 0.0
        for c in range(3):
            base = tint[c] if tinted else m[4 + c] * (1.0 - mix) + m[7 + c] * mix
            if skirting:
                base = 0.72
            out[i, c] = base * shade
    return out
