"""A depth sensor and a tracker that err: holes, noise, quantisation, pose jitter. Off unless asked for."""

import numpy as np
from scipy import ndimage

from sightline.arrays import expect
from sightline.captures.procedural.options import SensorOptions
from sightline.captures.procedural.shading import Rendering, rays_world
from sightline.geometry.cameras import Intrinsics
from sightline.geometry.depth import pixel_grid
from sightline.geometry.transforms import rigid

EDGE_STEP = 0.04  # a relative depth step larger than this is an edge


def sensed_depth_m(
    picture: Rendering, intrinsics: Intrinsics, world_from_camera: np.ndarray, sensor: SensorOptions, rng: np.random.Generator
) -> np.ndarray:
    """Depth `(H, W)` as the sensor would store it, NaN where it has no reading."""
    expect(depth=(picture.depth_m, f"{intrinsics.height} {intrinsics.width}"))
    true_m = picture.depth_m
    noise = rng.standard_normal(true_m.shape)
    lost = rng.random(true_m.shape) < sensor.hole_rate
    rays = rays_world(pixel_grid(intrinsics.width, intrinsics.height).reshape(-1, 2), intrinsics, world_from_camera)
    rays /= np.sqrt((rays**2).sum(axis=1, keepdims=True))
    facing = np.abs((picture.normals_world * rays.reshape(picture.normals_world.shape)).sum(axis=2))
    lost |= ~np.isfinite(true_m) | (facing < np.sin(np.radians(sensor.hole_glancing_deg))) | (true_m > sensor.max_range_m)
    if sensor.hole_edge_px > 0:
        lost |= (
            ndimage.binary_dilation(depth_edges(true_m), iterations=sensor.hole_edge_px - 1)
            if sensor.hole_edge_px > 1
            else depth_edges(true_m)
        )
    depth_m = true_m + noise * sensor.noise_m_at_1m * true_m**2
    if sensor.quantisation_m > 0.0:
        depth_m = np.rint(depth_m / sensor.quantisation_m) * sensor.quantisation_m
    return np.where(lost | (depth_m <= 0.0), np.nan, depth_m)


def depth_edges(depth_m: np.ndarray) -> np.ndarray:
    """Pixels `(H, W)` on either side of a depth step."""
    filled = np.where(np.isfinite(depth_m), depth_m, 1e3)
    edge = np.zeros(depth_m.shape, dtype=bool)
    for axis in (0, 1):
        near, far = np.moveaxis(filled, axis, 0)[:-1], np.moveaxis(filled, axis, 0)[1:]
        step = np.abs(near - far) > EDGE_STEP * np.minimum(near, far)
        view = np.moveaxis(edge, axis, 0)
        view[:-1] |= step
        view[1:] |= step
    return edge


def jittered(world_from_camera: np.ndarray, sensor: SensorOptions, rng: np.random.Generator) -> np.ndarray:
    """The pose a tracker would report: a small random turn about a random axis and a small random shift."""
    axis = rng.standard_normal(3)
    axis /= np.linalg.norm(axis)
    angle = np.radians(sensor.pose_jitter_deg) * rng.standard_normal()
    cross = np.array([[0.0, -axis[2], axis[1]], [axis[2], 0.0, -axis[0]], [-axis[1], axis[0], 0.0]])
    turn = np.eye(3) + np.sin(angle) * cross + (1.0 - np.cos(angle)) * cross @ cross
    shift = sensor.pose_jitter_m / np.sqrt(3.0) * rng.standard_normal(3)
    return rigid(world_from_camera[:3, :3] @ turn, world_from_camera[:3, 3] + shift)
