"""The coordinate frames in which a model is told where its visual tokens are."""

from collections.abc import Sequence
from itertools import accumulate

import numpy as np
import torch
from torch import Tensor

from sightline.arrays import expect
from sightline.errors import ConfigError, ModelError
from sightline.geometry.transforms import inverse, rigid

WORLD, FIRST_CAMERA, FIRST_CAMERA_LEVEL = "world", "first_camera", "first_camera_level"
COORDINATE_FRAMES = (WORLD, FIRST_CAMERA, FIRST_CAMERA_LEVEL)


def frame_from_world(coordinate_frame: str, world_from_camera: np.ndarray) -> np.ndarray:
    """4x4 that takes world points to a model's coordinate frame, given the first shown camera.

    `world`: as they are. `first_camera`: its OpenCV axes (x right, y down, z forward). `first_camera_level`: at its centre, +z up along
    gravity, +y the way it faces, +x to its right. Raises ConfigError for another name.
    """
    expect(world_from_camera=(world_from_camera, "4 4"))
    if coordinate_frame == WORLD:
        return np.eye(4)
    if coordinate_frame == FIRST_CAMERA:
        return inverse(world_from_camera)
    if coordinate_frame == FIRST_CAMERA_LEVEL:
        return inverse(rigid(_level_axes(world_from_camera[:3, :3]), world_from_camera[:3, 3]))
    raise ConfigError(f"coordinate_frame: expected one of {', '.join(COORDINATE_FRAMES)}, found '{coordinate_frame}'")


def _level_axes(rotation: np.ndarray) -> np.ndarray:
    """Right, forward, up as columns. Taken from the image's right, which is level for an upright camera wherever it looks."""
    up = np.array([0.0, 0.0, 1.0])
    right = np.array([rotation[0, 0], rotation[1, 0], 0.0])
    if np.linalg.norm(right) < np.sin(np.radians(1.0)):  # rolled by a quarter turn: the image's right is the vertical
        right = np.cross(rotation[:, 2], up)
    right /= np.linalg.norm(right)
    return np.stack([right, np.cross(up, right), up], axis=1)


def frame_from_camera(coordinate_frame: str, world_from_camera: Tensor, views_per_sample: Sequence[int]) -> Tensor:
    """`(V, 4, 4)` poses in the model's frame, each sample's given by its first view; as `frame_from_world`, on any device, in float64.

    Raises ConfigError for another frame, ModelError for poses in half precision.
    """
    expect_precise(world_from_camera, name="view_world_from_camera")
    world_from_camera = world_from_camera.double()
    if coordinate_frame == WORLD:
        return world_from_camera
    if coordinate_frame not in COORDINATE_FRAMES:
        raise ConfigError(f"coordinate_frame: expected one of {', '.join(COORDINATE_FRAMES)}, found '{coordinate_frame}'")
    first_of_view = [start for start, count in zip(accumulate(views_per_sample, initial=0), views_per_sample) for _ in range(count)]
    if len(first_of_view) != len(world_from_camera):
        raise ModelError(
            f"views_per_sample: expected numbers that sum to the {len(world_from_camera)} poses, found {list(views_per_sample)}"
        )
    world_from_first = world_from_camera[torch.tensor(first_of_view, dtype=torch.long, device=world_from_camera.device)]
    if coordinate_frame == FIRST_CAMERA_LEVEL:
        world_from_first = torch.cat(
            [torch.cat([_level_axes_of(world_from_first), world_from_first[:, :3, 3:]], 2), world_from_first[:, 3:]], 1
        )
    rotation, centre = world_from_first[:, :3, :3], world_from_first[:, :3, 3:]
    turned = rotation.transpose(1, 2) @ torch.cat([world_from_camera[:, :3, :3], world_from_camera[:, :3, 3:] - centre], dim=2)
    return torch.cat([turned, world_from_camera[:, 3:]], dim=1)


def _level_axes_of(world_from_camera: Tensor) -> Tensor:
    """`_level_axes` of many cameras, `(V, 3, 3)`."""
    rotation = world_from_camera[:, :3, :3]
    up = torch.zeros_like(rotation[:, :, 0])
    up[:, 2] = 1.0
    right = rotation[:, :, 0] * (1.0 - up)
    is_rolled = right.norm(dim=1, keepdim=True) < np.sin(np.radians(1.0))
    right = torch.where(is_rolled, torch.linalg.cross(rotation[:, :, 2], up), right)
    right = right / right.norm(dim=1, keepdim=True)
    return torch.stack([right, torch.linalg.cross(up, right), up], dim=2)


def expect_precise(cameras: Tensor, *, name: str) -> None:
    """Raise ModelError for cameras or poses in half precision: a batch cast as a whole loses a pixel in 500 and a centimetre in 3 m."""
    if cameras.dtype not in (torch.float32, torch.float64):
        raise ModelError(f"{name}: expected float64 or float32, found {cameras.dtype}. Fix: leave cameras out of casts of a batch")
