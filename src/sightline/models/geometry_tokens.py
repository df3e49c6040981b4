"""The coordinate frames in which a model is told where its visual tokens are."""

import numpy as np

from sightline.arrays import expect
from sightline.errors import ConfigError
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
