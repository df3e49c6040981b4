"""Checks a capture's conventions against its own depth, and refuses a wrong one with the option that mends it."""

from collections import Counter

import numpy as np

from sightline.captures.capture import Capture
from sightline.captures.gravity import Up, angle_deg, measure_up, nearest_axis, normals_camera
from sightline.captures.options import mend
from sightline.captures.poses import Convention
from sightline.errors import CaptureError
from sightline.scenes.depth_maps import DepthMaps
from sightline.scenes.hypotheses import Hypotheses
from sightline.scenes.scene import Verification

WRONG_UP_DEG = 45.0  # from the way the cameras are held alone
TILTED_DEG = 10.0  # with a floor: beyond the tilt of any tracker, and "above" and "level" would be wrong
MIN_STEADINESS = 0.6  # cameras held less steadily than this do not tell up
UP_FRAMES = 24
UP_WORLD = np.array([0.0, 0.0, 1.0])


def verify_capture(capture: Capture, *, depths: DepthMaps | None = None) -> Verification:
    """What reprojecting depth between well separated overlapping frames says.

    Raises CaptureError, naming the option that mends it, for inverted poses, OpenGL axes read as OpenCV, a wrong depth or pose
    unit, ray lengths read as depth, a camera matrix of another image size, a wrong up axis, and frames that fit together in no
    way that was tried. Agreement counts the readings that land on a reading of the other frame, leaving out those that are
    hidden behind its surface; a reading in front of that surface speaks against the poses.
    """
    depths = depths or DepthMaps(capture)
    poses = np.stack([frame.world_from_camera for frame in capture.frames])
    hypotheses = Hypotheses(capture, depths, poses)
    score = hypotheses.verdict()
    up = _up(capture, depths, poses)
    _refuse_wrong_up(capture, up, hypotheses.convention)
    return Verification(
        pairs_checked=len(hypotheses.pairs),
        agreement=score.agreement,
        residual_m=score.residual_m,
        depth_coverage=depths.coverage().share,
        gravity_tilt_deg=angle_deg(up.up_world, UP_WORLD) if up.has_floor else float("nan"),
        frames_used=len(capture.frames),
        frames_skipped=dict(sorted(Counter(skipped.reason for skipped in capture.skipped).items())),
        depth_unit_checked=hypotheses.tells_depth_unit(),
    )


def _up(capture: Capture, depths: DepthMaps, poses: np.ndarray) -> Up:
    chosen = np.unique(np.linspace(0, len(poses) - 1, min(UP_FRAMES, len(poses))).astype(int))
    areas = [normals_camera(depths[index], capture.frames[index].depth_intrinsics) for index in chosen]
    return measure_up(poses, areas, list(chosen))


def _refuse_wrong_up(capture: Capture, up: Up, convention: Convention) -> None:
    off_deg = angle_deg(up.up_world, UP_WORLD)
    if off_deg <= (TILTED_DEG if up.has_floor else WRONG_UP_DEG) or up.held < MIN_STEADINESS:
        return
    axis, axis_off_deg = nearest_axis(convention.world_from_stored[:3, :3].T @ up.up_world)
    looks, mended = (f"like {axis}", axis) if axis_off_deg <= TILTED_DEG else ("tilted against every axis", "auto")
    raise CaptureError(
        f"{capture.scan_id}: the world's up looks {looks} instead of {convention.up_axis}: the cameras and the floor show an up that is "
        f"{off_deg:.0f} degrees from it. {mend(capture.source, up_axis=mended)}"
    )
