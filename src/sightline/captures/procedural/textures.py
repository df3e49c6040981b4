"""Procedural solid textures: a material names a pattern and two colours; the kernel gives linear albedo at a point."""

from dataclasses import dataclass

import numba
import numpy as np

PLAIN, WOOD, PLANKS, TILES, FABRIC, STRIPES, SPECKLE, BOOKS, ART, BRICK, SCREEN, PAINT, FLOOR = range(13)


@dataclass(frozen=True, slots=True)
class Material:
    """Pattern, two sRGB colours 0..255, the size of the pattern in metres, how much light it gives by itself."""

    pattern: int
    colour: tuple[int, int, int]
    second: tuple[int, int, int]
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


def material_table(materials: tuple[Material, ...]) -> np.ndarray:
    """`(M, 10)`: pattern, scale, glow, seed, linear colour, linear second colour."""
    rows = np.empty((len(materials), 10))
    for row, material in enumerate(materials):
        rows[row, :4] = material.pattern, material.scale_m, material.glow, material.seed
        rows[row, 4:7] = linear_from_srgb(np.array(material.colour))
        rows[row, 7:10] = linear_from_srgb(np.array(material.second))
    return rows


@numba.njit(cache=True)
def _hash(x, y, z):
    h = np.uint32(x) * np.uint32(374761393) + np.uint32(y) * np.uint32(668265263) + np.uint32(z) * np.uint32(2246822519)
    h = (h ^ (h >> np.uint32(13))) * np.uint32(1274126177)
    h = h ^ (h >> np.uint32(16))
    return h / 4294967295.0


@numba.njit(cache=True)
def albedo(local_m, axis, rows, materials, footprint_m):
    """Linear albedo `(N, 3)` at points `local_m (N, 3)` of their solids, whose face looks along `axis (N,)`."""
    count = len(rows)
    out = np.empty((count, 3))
    for i in range(count):
        m = materials[rows[i]]
        if axis[i] == 0:
            u, v = local_m[i, 1], local_m[i, 2]
        elif axis[i] == 1:
            u, v = local_m[i, 0], local_m[i, 2]
        else:
            u, v = local_m[i, 0], local_m[i, 1]
        mix = 0.0
        scale = m[1]
        if m[0] != PLAIN:
            a, b = int(np.floor(u / scale)), int(np.floor(v / scale))
            mix = _hash(a, b, int(m[3]))
        for c in range(3):
            out[i, c] = m[4 + c] * (1.0 - mix) + m[7 + c] * mix
    return out
