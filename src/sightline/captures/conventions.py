"""Stored poses of any layout into Sightline's world: the stated convention, with up measured where nobody states it."""

from collections.abc import Sequence

import numpy as np

from sightline.captures import gravity
from sightline.captures.poses import Convention
from sightline.geometry.cameras import Intrinsics

UP_FRAMES = 24  # depth maps looked at to find the floor
AUTO = "auto"


def stated(*, pose_direction: str, camera_axes: str, up_axis: str, world_from_stored: np.ndarray | None = None) -> Convention:
    """A convention whose up is known: by the name of the stored axis, or by the whole rigid `world_from_stored` (4, 4)."""
    turned = gravity.world_from_stored_by_axis(up_axis) if world_from_stored is None else world_from_stored
    return Convention(pose_direction=pose_direction, camera_axes=camera_axes, up_axis=up_axis, world_from_stored=turned)


def measured(
    stored: np.ndarray,
    *,
    pose_direction: str,
    camera_axes: str,
    depth_m: Sequence[tuple[int, np.ndarray, Intrinsics]],
) -> Convention:
    """A convention whose up is measured, from the way the cameras are held and the level surfaces of some depth maps.

    `stored` (N, 4, 4) are the poses as stored; `depth_m` holds (index of the pose, map in metres, its camera) for some frames, or for none.
    """
    level = Convention(pose_direction=pose_direction, camera_axes=camera_axes, world_from_stored=np.eye(4))
    areas = [gravity.normals_camera(one, camera) for _, one, camera in depth_m]
    up = gravity.measure_up(level.world_from_camera(stored), areas, [index for index, _, _ in depth_m])
    found, world_from_stored = gravity.world_from_stored_by_measurement(up)
    return Convention(
        pose_direction=pose_direction, camera_axes=camera_axes, up_axis=f"auto ({found})", world_from_stored=world_from_stored
    )


def evenly(count: int, most: int) -> list[int]:
    """At most `most` places spread evenly over `count`."""
    return [int(index) for index in np.unique(np.linspace(0, count - 1, min(most, count)).astype(int))] if count else []
