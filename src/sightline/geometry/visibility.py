"""Which scene points a frame sees: in front of it, inside its image, and not hidden behind its depth map."""

import numba
import numpy as np

from sightline.arrays import expect
from sightline.geometry.cameras import Intrinsics
from sightline.geometry.transforms import inverse

NEAR_M = 0.05  # closer than any depth sensor reads; also keeps the division by z tame
TOLERANCE_M = 0.02  # a voxel of the cloud, a millimetre of quantisation and a few of sensor noise
TOLERANCE_SHARE = 0.02  # depth noise grows with depth; so does the slope of a surface within the half pixel of rounding
WORD_BITS = 64
CULL_MARGIN_M = 1e-6  # a block is left out only when this far outside the view: rounding of kilometres in float64 is a million times less


def visible_words(
    points_world: np.ndarray,
    *,
    depth_m: np.ndarray,
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
    The colour and the depth camera share their pose; `depth_m (H, W)` is of the depth camera. All arithmetic is float64 in
    the order of `visible_reference`, so the two agree bit for bit. `bounds_world` (of `block_bounds`) only saves time: blocks of
    points that lie wholly outside the view are not looked at.
    """
    expect(points_world=(points_world, "N 3"), depth_m=(depth_m, f"{depth_intrinsics.height} {depth_intrinsics.width}"))
    expect(world_from_camera=(world_from_camera, "4 4"))
    words = np.zeros(words_for(len(points_world)), dtype=np.uint64)
    _fill_words(
        np.ascontiguousarray(points_world, dtype=np.float64),
        np.ascontiguousarray(depth_m, dtype=np.float32 if depth_m.dtype == np.float32 else np.float64),
        inverse(world_from_camera),
        _camera_row(depth_intrinsics),
        _camera_row(intrinsics),
        np.array([near_m, tolerance_m, tolerance_share], dtype=np.float64),
        np.empty((0, 6)) if bounds_world is None else bounds_world,
        _view_planes(world_from_camera, (depth_intrinsics, intrinsics), near_m),
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


def _camera_row(camera: Intrinsics) -> np.ndarray:
    return np.array([camera.fx, camera.fy, camera.cx, camera.cy, camera.width, camera.height], dtype=np.float64)


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
    """Low and high corner `(ceil(N / 64), 6)` of each 64 consecutive points, for `visible_words`."""
    expect(points_world=(points_world, "N 3"))
    if len(points_world) == 0:
        return np.empty((0, 6))
    starts = np.arange(0, len(points_world), WORD_BITS)
    low = np.minimum.reduceat(points_world, starts, axis=0)
    high = np.maximum.reduceat(points_world, starts, axis=0)
    return np.concatenate([low, high], axis=1).astype(np.float64)


def _view_planes(world_from_camera: np.ndarray, cameras: tuple[Intrinsics, ...], near_m: float) -> np.ndarray:
    """Planes `(P, 4)` of the view in the world, unit normals inwards: `n . p + d < 0` is outside."""
    planes_camera = [[0.0, 0.0, 1.0, -near_m]]
    for camera in cameras:
        planes_camera += [
            [camera.fx, 0.0, camera.cx + 0.5, 0.0],
            [-camera.fx, 0.0, camera.width - 0.5 - camera.cx, 0.0],
            [0.0, camera.fy, camera.cy + 0.5, 0.0],
            [0.0, -camera.fy, camera.height - 0.5 - camera.cy, 0.0],
        ]
    planes = np.array(planes_camera)
    planes /= np.linalg.norm(planes[:, :3], axis=1, keepdims=True)
    return planes @ inverse(world_from_camera)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _is_outside(bound, planes):  # pragma: no cover - compiled
    for k in range(planes.shape[0]):
        reach = planes[k, 3]
        for axis in range(3):
            reach += planes[k, axis] * (bound[axis + 3] if planes[k, axis] > 0.0 else bound[axis])
        if reach < -CULL_MARGIN_M:
            return True
    return False


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _fill_words(points, depth, m, depth_camera, colour_camera, limits, bounds, planes, words):  # pragma: no cover - compiled
    dfx, dfy, dcx, dcy, dwidth, dheight = depth_camera
    cfx, cfy, ccx, ccy, cwidth, cheight = colour_camera
    near_m, tolerance_m, tolerance_share = limits
    for word_index in range(words.size):
        if bounds.shape[0] > 0 and _is_outside(bounds[word_index], planes):
            continue
        word = np.uint64(0)
        start = word_index * 64
        for bit in range(min(64, points.shape[0] - start)):
            px, py, pz = points[start + bit, 0], points[start + bit, 1], points[start + bit, 2]
            z = m[2, 0] * px + m[2, 1] * py + m[2, 2] * pz + m[2, 3]
            if not z >= near_m:
                continue
            x = m[0, 0] * px + m[0, 1] * py + m[0, 2] * pz + m[0, 3]
            column = np.floor(dfx * x / z + dcx + 0.5)
            if not (column >= 0.0 and column < dwidth):
                continue
            y = m[1, 0] * px + m[1, 1] * py + m[1, 2] * pz + m[1, 3]
            row = np.floor(dfy * y / z + dcy + 0.5)
            if not (row >= 0.0 and row < dheight):
                continue
            colour_column = np.floor(cfx * x / z + ccx + 0.5)
            colour_row = np.floor(cfy * y / z + ccy + 0.5)
            if not (colour_column >= 0.0 and colour_column < cwidth and colour_row >= 0.0 and colour_row < cheight):
                continue
            reading = np.float64(depth[int(row), int(column)])
            if reading > 0.0 and abs(z - reading) <= max(tolerance_m, tolerance_share * reading):
                word |= np.uint64(1) << np.uint64(bit)
        words[word_index] = word


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


@numba.njit(cache=True)
def popcount(word):  # pragma: no cover - compiled
    """Set bits of a uint64 (the compiler turns this sum into the processor's own instruction)."""
    word = word - ((word >> np.uint64(1)) & np.uint64(0x5555555555555555))
    word = (word & np.uint64(0x3333333333333333)) + ((word >> np.uint64(2)) & np.uint64(0x3333333333333333))
    word = (word + (word >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return (word * np.uint64(0x0101010101010101)) >> np.uint64(56)
