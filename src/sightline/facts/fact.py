"""The contract of facts: what was measured of one scene, as tables with units, all that a question may look at."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from sightline.captures.capture import SceneObject, Structure
from sightline.geometry.cameras import Intrinsics

KINDS = ("frames", "pairs", "points", "objects", "object_views", "object_pairs")
# frames, pairs and points need no labels; the other three need known objects


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class FrameFacts:
    """F frames, in time order."""

    frame_ids: tuple[str, ...]
    intrinsics: tuple[Intrinsics, ...]  # of the colour images
    world_from_camera: np.ndarray  # (F, 4, 4)
    visible_points: np.ndarray  # (F,) how many scene points each frame sees
    depth_coverage: np.ndarray  # (F,) share of depth pixels with a reading


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class PairFacts:
    """P unordered frame pairs, first < second. Motion is from the first camera to the second."""

    first: np.ndarray  # (P,) int32 index into frames
    second: np.ndarray  # (P,) int32
    overlap: np.ndarray  # (P,) intersection over union of visible points, 0..1; NaN where neither sees any
    distance_m: np.ndarray  # (P,)
    displacement_m: np.ndarray  # (P, 3) in the first camera's axes: right, down, forward
    yaw_deg: np.ndarray  # (P,) change of heading, counter-clockwise from above (left) positive; NaN looking along the vertical
    pitch_deg: np.ndarray  # (P,) change of elevation, up positive
    roll_deg: np.ndarray  # (P,)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class PointFacts:
    """M visible points sampled for questions; each is seen by its frame and away from depth edges."""

    frame: np.ndarray  # (M,) int32 index into frames
    uv: np.ndarray  # (M, 2) pixels of the colour image
    depth_m: np.ndarray  # (M,) z in that camera
    point_world: np.ndarray  # (M, 3)
    object_id: np.ndarray  # (M,) int32, -1 = none or not known


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ObjectViewFacts:
    """W object-in-frame rows, where at least one point of the object is visible."""

    object_id: np.ndarray  # (W,) int32
    frame: np.ndarray  # (W,) int32 index into frames
    visible_share: np.ndarray  # (W,) share of the object's scene points that this frame sees, 0..1
    pixel_share: np.ndarray  # (W,) share of the image its visible pixels cover; NaN where no instance image is known
    box_uv: np.ndarray  # (W, 4) left, top, right, bottom of what is visible, colour pixels
    anchor_uv: np.ndarray  # (W, 2) a visible surface pixel well inside the visible part: where a mark may stand
    anchor_depth_m: np.ndarray  # (W,)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ObjectPairFacts:
    """Distances of unordered object pairs, first < second by object_id."""

    first: np.ndarray  # (Q,) int32 object_id
    second: np.ndarray  # (Q,) int32
    closest_m: np.ndarray  # (Q,) box surface to box surface, 0 when they touch or overlap
    centre_m: np.ndarray  # (Q,)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class FactTable:
    """Everything measured of one scan. Tables that need objects are None where objects are not known."""

    scan_id: str
    place_id: str
    source: str
    licence: str
    frames: FrameFacts
    pairs: PairFacts
    points: PointFacts
    objects: tuple[SceneObject, ...] | None
    object_views: ObjectViewFacts | None
    object_pairs: ObjectPairFacts | None
    structure: Structure | None

    @property
    def kinds(self) -> frozenset[str]:
        """The fact kinds this table holds; `QuestionTask.needs` is checked against it."""
        known = {"frames", "pairs", "points"}
        if self.objects is not None:
            known |= {"objects"}
        if self.object_views is not None:
            known |= {"object_views"}
        if self.object_pairs is not None:
            known |= {"object_pairs"}
        return frozenset(known)

    @property
    def counts(self) -> Mapping[str, int]:
        """How many objects of each category."""
        counted: dict[str, int] = {}
        for one in self.objects or ():
            counted[one.category] = counted.get(one.category, 0) + 1
        return counted
