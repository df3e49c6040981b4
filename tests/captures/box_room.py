"""A closed-form room for tests: the inside of a box with boxes on its floor, ray-cast exactly, written as anybody's scan folder."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from sightline.geometry.cameras import Intrinsics
from sightline.geometry.depth import pixel_grid
from sightline.geometry.transforms import look_at

ROOM_LOW, ROOM_HIGH = np.array([0.0, 0.0, 0.0]), np.array([5.0, 4.0, 2.6])
TABLE = (np.array([1.0, 2.6, 0.0]), np.array([2.2, 3.4, 0.75]))
TOWER = (np.array([3.6, 0.5, 0.0]), np.array([4.2, 1.2, 1.7]))
STEP = (np.array([0.2, 0.3, 0.0]), np.array([1.3, 1.0, 0.4]))
BOXES = (TABLE, TOWER, STEP)
CAMERA = Intrinsics(fx=95.0, fy=95.0, cx=79.5, cy=59.5, width=160, height=120)
UNIT_M = 0.001


@dataclass(frozen=True)
class Shot:
    depth_m: np.ndarray  # (H, W) z, exact
    solid: np.ndarray  # (H, W) 0 for the room's shell, 1.. for BOXES
    points_world: np.ndarray  # (H, W, 3)


def walk(num_frames: int) -> np.ndarray:
    """`world_from_camera (N, 4, 4)`: around the middle of the room, turning a full circle, looking a little down."""
    poses = []
    for turn in np.linspace(0.0, 2.0 * np.pi, num_frames, endpoint=False):
        eye = np.array([2.5 + 0.9 * np.cos(turn + 2.0), 2.0 + 0.7 * np.sin(turn + 2.0), 1.5 + 0.1 * np.sin(3.0 * turn)])
        target = eye + np.array([np.cos(turn), np.sin(turn), -0.3 - 0.15 * np.cos(2.0 * turn)])
        poses.append(look_at(eye, target))
    return np.stack(poses)


def shoot(world_from_camera: np.ndarray, camera: Intrinsics = CAMERA) -> Shot:
    """Exact z-depth by slab intersection."""
    uv = pixel_grid(camera.width, camera.height).reshape(-1, 2)
    rays = camera.unproject(uv, np.ones(len(uv))) @ world_from_camera[:3, :3].T  # one metre of z per unit
    eye = world_from_camera[:3, 3]
    with np.errstate(divide="ignore", invalid="ignore"):
        _, depth = slabs(eye, rays, ROOM_LOW, ROOM_HIGH)
        solid = np.zeros(len(uv), dtype=np.int64)
        for number, (low, high) in enumerate(BOXES, start=1):
            entry, leave = slabs(eye, rays, low, high)
            hit = (entry < leave) & (entry > 0) & (entry < depth)
            depth, solid = np.where(hit, entry, depth), np.where(hit, number, solid)
    shape = (camera.height, camera.width)
    return Shot(depth.reshape(shape), solid.reshape(shape), (eye + rays * depth[:, None]).reshape(*shape, 3))


def slabs(eye, rays, low, high):
    one, other = (low - eye) / rays, (high - eye) / rays
    return np.minimum(one, other).max(axis=1), np.maximum(one, other).min(axis=1)


def colour_of(shot: Shot) -> np.ndarray:
    """A 20 cm checkerboard in space, tinted by the solid that is seen."""
    odd = np.floor(shot.points_world / 0.2).sum(axis=-1).astype(int) % 2
    tints = np.array([[200, 190, 170], [150, 90, 60], [70, 110, 160], [90, 150, 80]])
    return (tints[shot.solid] * (0.6 + 0.4 * odd[..., None])).astype(np.uint8)


def numbers(matrix: np.ndarray) -> str:
    return " ".join(repr(float(value)) for value in np.asarray(matrix).reshape(-1))


def write_images(
    folder: Path, poses: np.ndarray, *, names=None, unit_m: float = UNIT_M, instances: bool = False, suffix: str = ".png"
) -> None:
    """`color/`, `depth/` and perhaps `instances/` of true poses."""
    names = names or [f"{index:04d}" for index in range(len(poses))]
    for place in ("color", "depth") + (("instances",) if instances else ()):
        (folder / place).mkdir(parents=True, exist_ok=True)
    for name, pose in zip(names, poses):
        shot = shoot(pose)
        Image.fromarray(colour_of(shot)).save(folder / "color" / f"{name}{suffix}")
        Image.fromarray(np.rint(shot.depth_m / unit_m).astype(np.uint16)).save(folder / "depth" / f"{name}.png")
        if instances:
            Image.fromarray(shot.solid.astype(np.uint16)).save(folder / "instances" / f"{name}.png")


def write_scan(folder: Path, poses: np.ndarray, *, stored: np.ndarray | None = None, **images) -> Path:
    """A whole scan folder; `stored` are the pose matrices as they stand in the file, the true ones by default."""
    write_images(folder, poses, **images)
    (folder / "poses.txt").write_text("".join(numbers(pose) + "\n" for pose in (poses if stored is None else stored)))
    (folder / "K.txt").write_text("\n".join(numbers(row) for row in CAMERA.K) + "\n")
    return folder
