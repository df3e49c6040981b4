"""Which scene points a frame sees: in front of it, inside its image, and not hidden behind its depth map."""

from dataclasses import dataclass

import numpy as np

from sightline.arrays import expect
from sightline.geometry import visibility_kernels as kernels
from sightline.geometry.cameras import Intrinsics
from sightline.geometry.transforms import inverse
from sightline.geometry.visibility_kernels import popcount

__all__ = [
    "NEAR_M",
    "TOLERANCE_M",
    "TOLERANCE_SHARE",
    "StoredDepth",
    "block_bounds",
    "pack_words",
    "popcount",
    "spatial_order",
    "unpack_words",
    "visible_reference",
    "visible_words",
    "words_for",
]

NEAR_M = 0.05  # closer than any depth sensor reads; also keeps the division by z tame
TOLERANCE_M = 0.02  # a voxel of the cloud, a millimetre of quantisation and a few of sensor noise
TOLERANCE_SHARE = 0.02  # depth noise grows with depth; so does the slope of a surface within the half pixel of rounding
WORD_BITS = kernels.BLOCK


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class StoredDepth:
    """A depth map as sensors store it; 0 and 65535 are no reading. Its metres are `float32(stored) * float32(scale_m)`."""

    stored: np.ndarray  # (H, W) uint16
    scale_m: float

    @property
    def shape(self) -> tuple[int, ...]:
        return self.stored.shape


def visible_words(
    points_world: np.ndarray,
    *,
    depth_m: np.ndarray | StoredDepth,
    depth_intrinsics: Intrinsics,
    intrinsics: Intrinsics,
    world_from_camera: np.ndarray,
    near_m: float = NEAR_M,
    tolerance_m: float = TOLERANCE_M,
    tolerance_share: float = TOLERANCE_SHARE,
    bounds_world: np.ndarray | None = None,
) -> np.ndarray:
    """Packed visibility `(ceil(N / 64),)` uint64 of points `(N, 3)`: bit `i % 64` of word `i // 64` is point i.

    A point is visible where its z is at least `near_m`, its pixel lies inside the colour image and inside the depth map, and
    `|z - reading| <= max(tolerance_m, tolerance_share * reading)` at its nearest depth pixel. No reading (NaN, 0): not visible.
    The colour and the depth camera share their pose; `depth_m (H, W)` is of the depth camera, in metres or as stored. The result
    equals `visible_reference` bit for bit: what the quick arithmetic leaves in doubt is decided by the reference's own.
    `bounds_world` (of `block_bounds`) only saves time: blocks of points that lie wholly outside the view are not looked at; so
    do points and bounds kept in Fortran order, whose columns are read where they are.
    """
    depth = depth_m.stored if isinstance(depth_m, StoredDepth) else depth_m
    expect(points_world=(points_world, "N 3"), depth_m=(depth, f"{depth_intrinsics.height} {depth_intrinsics.width}"))
    expect(world_from_camera=(world_from_camera, "4 4"))
    if isinstance(depth_m, StoredDepth):
        depth, scale = np.ascontiguousarray(depth, dtype=np.uint16), np.float32(depth_m.scale_m)
    else:
        depth, scale = np.ascontiguousarray(depth, dtype=np.float32 if depth.dtype == np.float32 else np.float64), None
    words = np.empty(words_for(len(points_world)), dtype=np.uint64)
    cameras = (depth_intrinsics, intrinsics)
    kernels.fill_words(
        np.ascontiguousarray(np.transpose(points_world), dtype=np.float64),
        np.empty((6, 0)) if bounds_world is None else np.ascontiguousarray(np.transpose(bounds_world), dtype=np.float64),
        depth,
        scale,
        inverse(world_from_camera),
        *(_camera_row(camera) for camera in cameras),
        (float(near_m), float(tolerance_m), float(tolerance_share)),
        near_m >= kernels.QUICK_NEAR_M and all(_is_quick(camera) for camera in cameras),
        words,
    )
    return words


def visible_reference(
    points_world: np.ndarray,
    *,
    depth_m: np.ndarray,
    depth_intrinsics: Intrinsics,
    intrinsics: Intrinsics,
    world_from_camera: np.ndarray,
    near_m: float = NEAR_M,
    tolerance_m: float = TOLERANCE_M,
    tolerance_share: float = TOLERANCE_SHARE,
) -> np.ndarray:
    """The same test as `(N,)` bool in plain NumPy: the definition that the kernel is held to."""
    expect(points_world=(points_world, "N 3"), depth_m=(depth_m, f"{depth_intrinsics.height} {depth_intrinsics.width}"))
    px, py, pz = np.asarray(points_world, dtype=np.float64).T
    m = inverse(world_from_camera)
    x = m[0, 0] * px + m[0, 1] * py + m[0, 2] * pz + m[0, 3]
    y = m[1, 0] * px + m[1, 1] * py + m[1, 2] * pz + m[1, 3]
    z = m[2, 0] * px + m[2, 1] * py + m[2, 2] * pz + m[2, 3]
    in_front = z >= near_m
    z = np.where(in_front, z, 1.0)
    column, row, in_depth = _pixel_of(depth_intrinsics, x, y, z)
    _, _, in_colour = _pixel_of(intrinsics, x, y, z)
    visible = in_front & in_depth & in_colour
    reading = np.zeros(len(px))
    reading[visible] = depth_m[row[visible], column[visible]]
    has_reading = reading > 0.0
    return visible & has_reading & (np.abs(z - reading) <= np.maximum(tolerance_m, tolerance_share * reading))


def _pixel_of(camera: Intrinsics, x: np.ndarray, y: np.ndarray, z: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Nearest column and row of camera points and whether they lie inside the image."""
    column = np.floor(camera.fx * x / z + camera.cx + 0.5)
    row = np.floor(camera.fy * y / z + camera.cy + 0.5)
    inside = (column >= 0.0) & (column < camera.width) & (row >= 0.0) & (row < camera.height)
    return np.where(inside, column, 0).astype(np.int64), np.where(inside, row, 0).astype(np.int64), inside


def _camera_row(camera: Intrinsics) -> tuple[float, ...]:
    return tuple(float(value) for value in (camera.fx, camera.fy, camera.cx, camera.cy, camera.width, camera.height))


def _is_quick(camera: Intrinsics) -> bool:
    """Whether the bounds hold within which the quick arithmetic was shown to be good enough."""
    low, high = kernels.QUICK_FOCAL_PX
    is_common = low <= camera.fx <= high and low <= camera.fy <= high
    is_small = max(camera.width, camera.height) <= kernels.QUICK_SIDE_PX
    return is_common and is_small and max(abs(camera.cx), abs(camera.cy)) <= kernels.QUICK_CENTRE_PX


def spatial_order(points_world: np.ndarray, *, cell_m: float = 0.1) -> np.ndarray:
    """Indices `(N,)` that put near points near each other (Morton order of `cell_m` cells), so that blocks of 64 are small."""
    expect(points_world=(points_world, "N 3"))
    if len(points_world) == 0:
        return np.empty(0, dtype=np.int64)
    low = points_world.min(axis=0)
    cell = np.clip((points_world - low) / cell_m, 0, (1 << 21) - 1).astype(np.uint64)
    code = np.zeros(len(points_world), dtype=np.uint64)
    for axis in range(3):
        code |= _spread_bits(cell[:, axis]) << np.uint64(axis)
    return np.argsort(code, kind="stable")


def _spread_bits(value: np.ndarray) -> np.ndarray:
    """The low 21 bits of uint64 values, each moved to three times its place."""
    value = value & np.uint64(0x1FFFFF)
    for shift, mask in (
        (32, 0x1F00000000FFFF),
        (16, 0x1F0000FF0000FF),
        (8, 0x100F00F00F00F00F),
        (4, 0x10C30C30C30C30C3),
        (2, 0x1249249249249249),
    ):
        value = (value | (value << np.uint64(shift))) & np.uint64(mask)
    return value


def block_bounds(points_world: np.ndarray) -> np.ndarray:
    """Low and high corner `(ceil(N / 64), 6)` of each 64 consecutive points, for `visible_words`, in Fortran order."""
    expect(points_world=(points_world, "N 3"))
    if len(points_world) == 0:
        return np.empty((0, 6), order="F")
    starts = np.arange(0, len(points_world), WORD_BITS)
    low = np.minimum.reduceat(points_world, starts, axis=0)
    high = np.maximum.reduceat(points_world, starts, axis=0)
    return np.asfortranarray(np.concatenate([low, high], axis=1), dtype=np.float64)


def words_for(count: int) -> int:
    """How many 64-bit words hold `count` bits."""
    return -(-count // WORD_BITS)


def pack_words(visible: np.ndarray) -> np.ndarray:
    """Bits `(..., N)` bool as words `(..., ceil(N / 64))` uint64, the unused high bits 0."""
    count = visible.shape[-1]
    padded = np.zeros((*visible.shape[:-1], words_for(count) * WORD_BITS), dtype=bool)
    padded[..., :count] = visible
    return np.packbits(padded, axis=-1, bitorder="little").view("<u8").astype(np.uint64, copy=False)


def unpack_words(words: np.ndarray, count: int) -> np.ndarray:
    """Words `(..., W)` uint64 as bits `(..., count)` bool."""
    as_bytes = np.ascontiguousarray(words, dtype="<u8").view(np.uint8)
    return np.unpackbits(as_bytes, axis=-1, count=count, bitorder="little").astype(bool)
