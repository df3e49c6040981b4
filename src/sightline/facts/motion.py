"""Camera motion between frames: how far, which way in the first camera's own axes, and how much it turned."""

from dataclasses import dataclass

import numpy as np

from sightline.arrays import expect
from sightline.geometry.transforms import camera_pitch_deg, camera_roll_deg, camera_yaw_deg, wrap_deg


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class PairMotion:
    """Motion of P pairs, from the first camera to the second."""

    distance_m: np.ndarray  # (P,)
    displacement_m: np.ndarray  # (P, 3) in the first camera's axes: right, down, forward
    yaw_deg: np.ndarray  # (P,) left positive, in (-180, 180]; NaN where either camera looks along the vertical
    pitch_deg: np.ndarray  # (P,) up positive
    roll_deg: np.ndarray  # (P,) camera turned clockwise seen from behind positive, in (-180, 180]; NaN as yaw


def all_pairs(count: int) -> tuple[np.ndarray, np.ndarray]:
    """First and second index, int32, of all `count (count - 1) / 2` unordered pairs, in order."""
    first, second = np.triu_indices(count, k=1)
    return first.astype(np.int32), second.astype(np.int32)


def pair_motion(world_from_camera: np.ndarray, first: np.ndarray, second: np.ndarray) -> PairMotion:
    """Motion between cameras `(F, 4, 4)` for index pairs `(P,)`.

    `displacement_m` is the translation of `first_from_second`, so swapping a pair gives minus its rotation by the same matrix.
    """
    expect(world_from_camera=(world_from_camera, "F 4 4"), first=(first, "P"), second=(second, "P"))
    centres = world_from_camera[:, :3, 3]
    step_world = centres[second] - centres[first]
    displacement_m = np.einsum("pji,pj->pi", world_from_camera[first, :3, :3], step_world)
    return PairMotion(
        distance_m=np.linalg.norm(step_world, axis=1),
        displacement_m=displacement_m,
        yaw_deg=_turned_deg(_each(camera_yaw_deg, world_from_camera), first, second),
        pitch_deg=_turned_deg(_each(camera_pitch_deg, world_from_camera), first, second),
        roll_deg=_turned_deg(_each(camera_roll_deg, world_from_camera), first, second),
    )


def _each(angle_of, world_from_camera: np.ndarray) -> np.ndarray:
    return np.array([angle_of(pose) for pose in world_from_camera], dtype=np.float64)


def _turned_deg(angle_deg: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    return np.asarray(wrap_deg(angle_deg[second] - angle_deg[first]))
