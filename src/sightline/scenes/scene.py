"""The contract of a scene: a verified scan, cleaned, with its point cloud, ready to be measured."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sightline.captures.capture import Frame, PointTracks, SceneObject, Structure


@dataclass(frozen=True, kw_only=True, slots=True)
class Verification:
    """What reprojecting depth between well-separated overlapping frames said about the poses, the depth unit and the axes."""

    pairs_checked: int
    agreement: float  # share of overlapping readings that agree within tolerance, 0..1
    residual_m: float  # median absolute depth difference over overlapping readings
    depth_coverage: float  # share of depth pixels with a reading
    gravity_tilt_deg: float  # angle between the dominant floor normal and +z; NaN where no floor was seen
    frames_used: int
    frames_skipped: Mapping[str, int]  # reason -> count
    depth_unit_checked: bool = True  # False: the camera only turned, and turning alone cannot tell a depth unit


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Scene:
    """One scan in the store. Paths are absolute; arrays are read-only."""

    scan_id: str
    place_id: str
    source: str
    licence: str
    root: Path  # the scan's folder in the store
    frames: tuple[Frame, ...]
    points_world: np.ndarray  # (N, 3) float32, memory-mapped
    point_object_ids: np.ndarray | None  # (N,) int32, -1 = no object; None where objects are not known
    objects: tuple[SceneObject, ...] | None
    structure: Structure | None
    verification: Verification | None  # None: not asked for, or no depth or poses to check
    notes: Mapping[str, Any]
    tracks: PointTracks | None = None
    has_poses: bool = True

    @property
    def is_metric(self) -> bool:
        """Whether a metre here is a metre: the layout has a unit, or the poses were found to fit images of a depth sensor."""
        if self.notes.get("metric", True):
            return True
        from_sensor = "depth_from" not in self.notes  # stereo depth has the unit of the poses it was made from
        return from_sensor and self.verification is not None and self.verification.depth_unit_checked

    def frame(self, frame_id: str) -> Frame:
        """The frame of that id. Raises KeyError."""
        for frame in self.frames:
            if frame.frame_id == frame_id:
                return frame
        raise KeyError(frame_id)
