"""Finds which way is up in a scan: from how the cameras are held, refined by the largest level surfaces their depth shows."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sightline.arrays import expect
from sightline.captures.poses import UP_ROTATIONS
from sightline.geometry.cameras import Intrinsics
from sightline.geometry.depth import pixel_grid
from sightline.geometry.transforms import rigid

CONES_DEG = (30.0, 15.0, 8.0, 5.0, 5.0)  # level surfaces are searched in shrinking cones around the cameras' up
LEVEL_DEG = 5.0  # a surface this close to level counts as floor, table or ceiling
MIN_LEVEL_SHARE = 0.03  # less seen area than this is no floor
SNAP_DEG = 5.0  # a measured up this close to an axis is that axis: trackers with an accelerometer err by 1 to 2 degrees
SNAP_HELD_DEG = 25.0  # the same where no level surface was seen, from the way the cameras are held alone
CLEAR = 0.3  # one image axis must beat another by this to be believed over it
GRID = 48  # normals are taken on a grid this many pixels wide
STEP_SHARE = 0.15  # grid neighbours whose depth differs by more are not one surface; a floor 6 m away differs by 0.1


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Held:
    """How the cameras were held."""

    up_world: np.ndarray  # (3,) unit vector
    steadiness: float  # 0..1, length of the mean direction
    is_sideways: bool  # portrait: the line is known, which of its two ends is up is not


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Up:
    """A measured up direction."""

    up_world: np.ndarray  # (3,) unit vector in the world of the poses it was measured in
    held: float  # 0..1, how steadily the cameras were held along it
    level_share: float  # 0..1, share of the seen area that is level, NaN where no depth was given
    off_deg: float  # angle between `up_world` and the cameras' own mean up

    @property
    def has_floor(self) -> bool:
        return bool(self.level_share >= MIN_LEVEL_SHARE)


def held_up(world_from_camera: np.ndarray) -> Held:
    """The image side that is up in the world, from the poses alone.

    While someone walks and turns, the side of the image that is up keeps its direction and the others average out. A
    recording held in portrait has its up along the image's x axis, one that looks down along the optical axis.
    """
    expect(world_from_camera=(world_from_camera, "N 4 4"))
    right, down, forward = world_from_camera[:, :3, :3].mean(axis=0).T
    candidates = (-down, right, -forward)
    lengths = [float(np.linalg.norm(candidate)) for candidate in candidates]
    best = 0
    for other in (1, 2):
        if lengths[other] > lengths[best] + CLEAR:
            best = other
    if lengths[best] < 1e-9:
        return Held(up_world=np.array([0.0, 0.0, 1.0]), steadiness=0.0, is_sideways=False)
    return Held(up_world=candidates[best] / lengths[best], steadiness=lengths[best], is_sideways=best == 1)


def normals_camera(depth_m: np.ndarray, intrinsics: Intrinsics) -> np.ndarray:
    """Area vectors `(M, 3)` (unit normal, away from the camera, times seen area in m^2) of small patches of a depth map, camera frame."""
    expect(depth_m=(depth_m, f"{intrinsics.height} {intrinsics.width}"))
    step = max(1, intrinsics.width // GRID)
    grid_uv = pixel_grid(intrinsics.width, intrinsics.height)[::step, ::step]
    depth = depth_m[::step, ::step].astype(np.float64)
    points = intrinsics.unproject(grid_uv.reshape(-1, 2), depth.reshape(-1)).reshape(*depth.shape, 3)
    along, across = points[:-1, 1:] - points[:-1, :-1], points[1:, :-1] - points[:-1, :-1]
    with np.errstate(invalid="ignore"):
        limit_m = STEP_SHARE * depth[:-1, :-1]
        smooth = (np.abs(along[..., 2]) < limit_m) & (np.abs(across[..., 2]) < limit_m)
    return np.cross(along, across)[smooth]


def measure_up(world_from_camera: np.ndarray, areas_camera: Sequence[np.ndarray], frame_index: Sequence[int]) -> Up:
    """Up from poses `(N, 4, 4)` and, for some frames `frame_index`, the area vectors of their depth maps."""
    held = held_up(world_from_camera)
    turned = [areas @ world_from_camera[index, :3, :3].T for areas, index in zip(areas_camera, frame_index)]
    areas = np.concatenate(turned) if turned else np.zeros((0, 3))
    area = np.linalg.norm(areas, axis=1)
    areas, area = areas[area > 0], area[area > 0]
    if not len(areas):
        return Up(up_world=held.up_world, held=held.steadiness, level_share=float("nan"), off_deg=0.0)
    normals = areas / area[:, None]
    up = held.up_world
    for cone_deg in CONES_DEG:
        level = np.abs(normals @ up) > np.cos(np.radians(cone_deg))
        if not level.any():
            break
        mean = np.sign(normals[level] @ up) @ areas[level]
        up = mean / np.linalg.norm(mean)
    level = np.abs(normals @ up) > np.cos(np.radians(LEVEL_DEG))
    share = float(area[level].sum() / area.sum())
    if share < MIN_LEVEL_SHARE:
        return Up(up_world=held.up_world, held=held.steadiness, level_share=share, off_deg=0.0)
    if held.is_sideways and areas[level].sum(axis=0) @ up > 0:
        up = -up  # more floor is seen than ceiling, and its normal away from the camera points down
    return Up(up_world=up, held=held.steadiness, level_share=share, off_deg=angle_deg(up, held.up_world))


def angle_deg(a: np.ndarray, b: np.ndarray) -> float:
    """Angle between two unit vectors."""
    return float(np.degrees(np.arccos(np.clip(a @ b, -1.0, 1.0))))


def nearest_axis(up: np.ndarray) -> tuple[str, float]:
    """The signed axis closest to a direction, and the angle to it in degrees."""
    axis = int(np.argmax(np.abs(up)))
    name = ("+" if up[axis] > 0 else "-") + "xyz"[axis]
    unit = np.zeros(3)
    unit[axis] = np.sign(up[axis])
    return name, angle_deg(up, unit)


def world_from_stored_by_axis(up_axis: str) -> np.ndarray:
    """The 4x4 rotation that turns a signed axis to +z by quarter turns; `+y` gives (x, y, z) -> (x, -z, y)."""
    return rigid(UP_ROTATIONS[up_axis], np.zeros(3))


def world_from_stored_by_measurement(up: Up) -> tuple[str, np.ndarray]:
    """The name of the axis a measured up snaps to and its quarter turns, or `levelled` and the smallest rotation to +z."""
    axis, off_deg = nearest_axis(up.up_world)
    if off_deg <= (SNAP_DEG if up.has_floor else SNAP_HELD_DEG):
        return axis, world_from_stored_by_axis(axis)
    z = np.array([0.0, 0.0, 1.0])
    turn = np.cross(up.up_world, z)
    cosine = float(up.up_world @ z)
    if cosine < -1.0 + 1e-12:
        return "levelled", world_from_stored_by_axis("-z")
    skew = np.array([[0.0, -turn[2], turn[1]], [turn[2], 0.0, -turn[0]], [-turn[1], turn[0], 0.0]])
    return "levelled", rigid(np.eye(3) + skew + skew @ skew / (1.0 + cosine), np.zeros(3))
