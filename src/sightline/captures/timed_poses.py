"""Camera poses at times between those of a trajectory file: turned and moved evenly between the two neighbours."""

import numpy as np

from sightline.arrays import expect
from sightline.geometry.transforms import rigid

SAME_TIME_S = 1e-6  # the resolution that timestamps are written with


def poses_at(times_s: np.ndarray, poses: np.ndarray, wanted_s: np.ndarray, *, max_gap_s: float) -> tuple[np.ndarray, np.ndarray]:
    """`(M, 4, 4)` poses at `wanted_s (M,)`, and `(M,) int` places in the trajectory that they come from, -1 where there is no pose.

    `times_s (N,)` in any order belong to rigid `poses (N, 4, 4)`. A pose at the same time is taken as it stands; between two
    that are both at most `max_gap_s` away the rotation turns about one axis and the place moves on a straight line; else NaN.
    """
    expect(times_s=(times_s, "N"), poses=(poses, "N 4 4"), wanted_s=(wanted_s, "M"))
    found = np.full((len(wanted_s), 4, 4), np.nan)
    places = np.full(len(wanted_s), -1)
    order = np.argsort(times_s, kind="stable")
    times_s, poses = times_s[order], poses[order]
    for row, time_s in enumerate(wanted_s):
        after = int(np.searchsorted(times_s, time_s))
        nearest = [index for index in (after - 1, after) if 0 <= index < len(times_s)]
        same = [index for index in nearest if abs(times_s[index] - time_s) <= SAME_TIME_S]
        if same:
            found[row], places[row] = poses[same[0]], order[same[0]]
        elif len(nearest) == 2 and all(abs(times_s[index] - time_s) <= max_gap_s for index in nearest):
            low, high = nearest
            share = (time_s - times_s[low]) / (times_s[high] - times_s[low])
            found[row], places[row] = between(poses[low], poses[high], share), order[low]
    return found, places


def between(first: np.ndarray, second: np.ndarray, share: float) -> np.ndarray:
    """The rigid pose `share` of the way from `first` to `second`; NaN where either is not finite."""
    if not (np.isfinite(first).all() and np.isfinite(second).all()):
        return np.full((4, 4), np.nan)
    turn = first[:3, :3].T @ second[:3, :3]
    rotation = first[:3, :3] @ _turned(turn, share)
    return rigid(rotation, (1.0 - share) * first[:3, 3] + share * second[:3, 3])


def _turned(rotation: np.ndarray, share: float) -> np.ndarray:
    """`share` of a rotation about its own axis (Rodrigues); neighbours of a trajectory are far from half a turn apart."""
    skew = (rotation - rotation.T) / 2.0
    sine = float(np.sqrt(skew[2, 1] ** 2 + skew[0, 2] ** 2 + skew[1, 0] ** 2))
    angle_rad = float(np.arctan2(sine, (np.trace(rotation) - 1.0) / 2.0))
    if sine < 1e-12:
        return np.eye(3)
    axis = skew / sine
    part_rad = share * angle_rad
    return np.eye(3) + np.sin(part_rad) * axis + (1.0 - np.cos(part_rad)) * (axis @ axis)
