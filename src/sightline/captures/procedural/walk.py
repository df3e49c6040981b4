"""Camera walks through a procedural flat, as a hand that holds a phone would do it."""

import numpy as np

from sightline.captures.procedural.caster import cast
from sightline.captures.procedural.model import RoomModel
from sightline.captures.procedural.shading import rays_world
from sightline.geometry.cameras import Intrinsics
from sightline.geometry.depth import pixel_grid
from sightline.geometry.transforms import look_at

NEAREST_M = 0.3  # a camera closer than this to anything is a bad picture


def walk(room: RoomModel, rng: np.random.Generator) -> list[np.ndarray]:
    """`num_frames` poses `world_from_camera (4, 4)`."""
    outline = room.structure.rooms[0].outline_world
    low, high = outline.min(axis=0) + 0.4, outline.max(axis=0) - 0.4
    coarse = Intrinsics.from_field_of_view(horizontal_deg=room.options.horizontal_fov_deg, width=16, height=12)
    uv = pixel_grid(16, 12).reshape(-1, 2)
    poses: list[np.ndarray] = []
    start = rng.uniform(0, 2 * np.pi)
    for turn in range(4000):
        if len(poses) == room.options.num_frames:
            break
        angle = start + len(poses) * 0.25
        middle = (low + high) / 2
        eye2 = np.clip(middle + (high - low) / 2 * [np.cos(angle), np.sin(angle)] * rng.uniform(0.3, 0.95), low, high)
        eye = np.array([*eye2, rng.uniform(1.4, 1.65)])
        target = np.array([*(middle + rng.uniform(-0.5, 0.5, 2)), rng.uniform(0.4, 0.9)])
        pose = look_at(eye, target)
        t = cast(room.caster, eye, rays_world(uv, coarse, pose)).t
        if np.nanmin(t) > NEAREST_M and np.nanmean(t) > 1.0:
            poses.append(pose)
    return poses
