"""Rigid transforms named `a_from_b`: 4x4 float64 matrices that take points of frame b to frame a."""

import numpy as np

from sightline.arrays import expect
from sightline.errors import ShapeError

ROTATION_TOLERANCE = 1e-2  # beyond this a matrix is not a rotation but a mistake (reliability catalogue B03)


def apply(b_from_a: np.ndarray, points_a: np.ndarray) -> np.ndarray:
    """Points `(..., 3)` of frame a as points of frame b."""
    expect(b_from_a=(b_from_a, "4 4"), points_a=(points_a, "* 3"))
    return points_a @ b_from_a[:3, :3].T + b_from_a[:3, 3]


def rotate(b_from_a: np.ndarray, vectors_a: np.ndarray) -> np.ndarray:
    """Free vectors `(..., 3)`: rotated, not translated."""
    expect(b_from_a=(b_from_a, "4 4"), vectors_a=(vectors_a, "* 3"))
    return vectors_a @ b_from_a[:3, :3].T


def inverse(b_from_a: np.ndarray) -> np.ndarray:
    """`a_from_b` of a rigid `b_from_a`."""
    expect(b_from_a=(b_from_a, "4 4"))
    a_from_b = np.eye(4)
    a_from_b[:3, :3] = b_from_a[:3, :3].T
    a_from_b[:3, 3] = -b_from_a[:3, :3].T @ b_from_a[:3, 3]
    return a_from_b


def rigid(rotation: np.ndarray, translation: np.ndarray) -> np.ndarray:
    """4x4 from a 3x3 rotation and a translation in metres."""
    expect(rotation=(rotation, "3 3"), translation=(translation, "3"))
    b_from_a = np.eye(4)
    b_from_a[:3, :3] = rotation
    b_from_a[:3, 3] = translation
    return b_from_a


def yaw_matrix(yaw_rad: float) -> np.ndarray:
    """3x3 rotation about +z, counter-clockwise seen from above."""
    cosine, sine = np.cos(yaw_rad), np.sin(yaw_rad)
    return np.array([[cosine, -sine, 0.0], [sine, cosine, 0.0], [0.0, 0.0, 1.0]])


def yaw_translation(yaw_rad: float, translation: np.ndarray) -> np.ndarray:
    """Rigid transform of a yaw about +z and a translation in metres."""
    return rigid(yaw_matrix(yaw_rad), np.asarray(translation, dtype=np.float64))


def rigidity_error(matrix: np.ndarray) -> float:
    """How far a 4x4 is from a rigid transform: largest deviation of R^T R from I, of det R from +1, of the last row."""
    rotation = matrix[:3, :3]
    orthogonality = np.abs(rotation.T @ rotation - np.eye(3)).max()
    handedness = abs(np.linalg.det(rotation) - 1.0)
    bottom = np.abs(matrix[3] - np.array([0.0, 0.0, 0.0, 1.0])).max()
    return float(max(orthogonality, handedness, bottom))


def nearest_rigid(matrix: np.ndarray) -> np.ndarray:
    """The rigid transform closest to a nearly rigid 4x4 (polar decomposition of its rotation)."""
    u, _, vt = np.linalg.svd(matrix[:3, :3])
    rotation = u @ np.diag([1.0, 1.0, np.linalg.det(u @ vt)]) @ vt
    return rigid(rotation, matrix[:3, 3])


def rotation_from_quat_wxyz(quat_wxyz: np.ndarray) -> np.ndarray:
    """3x3 rotation of a quaternion in w, x, y, z order (normalised here). Raises ShapeError for one of no length or not finite."""
    expect(quat_wxyz=(quat_wxyz := np.asarray(quat_wxyz, dtype=np.float64), "4"))
    length = np.linalg.norm(quat_wxyz)
    if not (np.isfinite(length) and length > 0.0):
        raise ShapeError(f"quat_wxyz: expected a finite quaternion of some length, found {quat_wxyz.tolist()}")
    w, x, y, z = quat_wxyz / length
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )


def look_at(eye_world: np.ndarray, target_world: np.ndarray) -> np.ndarray:
    """`world_from_camera` of an OpenCV camera at `eye_world` looking at `target_world`, upright in a +z-up world.

    Raises ShapeError for a target straight above or below the eye, or on it: which way is right is then not said.
    """
    forward = np.asarray(target_world, dtype=np.float64) - np.asarray(eye_world, dtype=np.float64)
    level_m = np.hypot(forward[0], forward[1])
    if not level_m > 1e-9 * np.linalg.norm(forward):
        raise ShapeError(f"look_at: expected a target beside the eye, found {np.asarray(target_world)} straight above or below {eye_world}")
    forward /= np.linalg.norm(forward)
    right = np.cross(forward, np.array([0.0, 0.0, 1.0]))
    right /= np.linalg.norm(right)
    down = np.cross(forward, right)
    return rigid(np.stack([right, down, forward], axis=1), np.asarray(eye_world, dtype=np.float64))


def camera_yaw_deg(world_from_camera: np.ndarray) -> float:
    """Heading of the optical axis about +z, degrees counter-clockwise from world +x; NaN within 1 degree of the vertical."""
    forward = world_from_camera[:3, 2]
    if np.hypot(forward[0], forward[1]) < np.sin(np.radians(1.0)):
        return float("nan")
    return float(np.degrees(np.arctan2(forward[1], forward[0])))


def camera_pitch_deg(world_from_camera: np.ndarray) -> float:
    """Elevation of the optical axis above the horizon, degrees, up positive."""
    return float(np.degrees(np.arcsin(np.clip(world_from_camera[2, 2], -1.0, 1.0))))


def camera_roll_deg(world_from_camera: np.ndarray) -> float:
    """Turn about the optical axis from upright, degrees; the camera turned clockwise, as its holder sees it, is positive.

    The picture then leans counter-clockwise. NaN within 1 degree of the vertical.
    """
    right, down, forward = world_from_camera[:3, 0], world_from_camera[:3, 1], world_from_camera[:3, 2]
    level = np.cross(forward, np.array([0.0, 0.0, 1.0]))
    if np.linalg.norm(level) < np.sin(np.radians(1.0)):
        return float("nan")
    level /= np.linalg.norm(level)
    return float(np.degrees(np.arctan2(-level @ down, level @ right)))


def wrap_deg(angle_deg: np.ndarray | float) -> np.ndarray | float:
    """An angle brought into (-180, 180]."""
    wrapped = -((-np.asarray(angle_deg, dtype=np.float64) + 180.0) % 360.0 - 180.0)
    return float(wrapped) if np.ndim(angle_deg) == 0 else wrapped
