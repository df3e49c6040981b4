"""The contract of facts: what was measured of one scene, as tables with units, all that a question may look at."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from sightline.captures.capture import SceneObject, Structure
from sightline.geometry.cameras import Intrinsics

KINDS = ("frames", "pairs", "points", "objects", "object_views", "object_pairs", "object_times", "object_places", "coverage")
KINDS += ("object_glimpses", "correspondences", "tracks", "track_windows", "rooms", "room_links", "free_space")
# frames, pairs, points and correspondences need no labels; those of objects need known objects, tracks a scan that followed points


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
    first_in_second: np.ndarray  # (P,) share of the points that the first frame sees which the second sees too; NaN where it sees none
    second_in_first: np.ndarray  # (P,)
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
    inside_share: np.ndarray  # (W,) share of them that falls inside the image, hidden or not; 1 - it is the truncation
    hidden_share: np.ndarray  # (W,) share of those inside that this frame does not see: the occlusion; NaN where none is inside
    pixel_share: np.ndarray  # (W,) share of the image its visible pixels cover; NaN where no instance image is known
    box_uv: np.ndarray  # (W, 4) left, top, right, bottom of what is visible, colour pixels
    anchor_uv: np.ndarray  # (W, 2) a visible surface pixel well inside the visible part: where a mark may stand
    anchor_depth_m: np.ndarray  # (W,)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ObjectGlimpseFacts:
    """Y object-in-frame rows: the frame shows something of the object, if only one pixel or one visible point."""

    object_id: np.ndarray  # (Y,) int32
    frame: np.ndarray  # (Y,) int32 index into frames


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ObjectPairFacts:
    """Distances of unordered object pairs, first < second by object_id."""

    first: np.ndarray  # (Q,) int32 object_id
    second: np.ndarray  # (Q,) int32
    closest_m: np.ndarray  # (Q,) box surface to box surface, 0 when they touch or overlap
    centre_m: np.ndarray  # (Q,)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ObjectTimeFacts:
    """K objects: when each is seen."""

    object_id: np.ndarray  # (K,) int32
    first_frame: np.ndarray  # (K,) int32 index into frames of the first appearance, -1 = never seen
    best_frame: np.ndarray  # (K,) int32 where the largest share is visible, the first of equals; -1 = never seen
    views: np.ndarray  # (K,) int32 in how many frames it is seen
    moves: np.ndarray  # (K,) bool: points on it were followed and moved, so its box holds for a part of the scan at most


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ObjectPlaceFacts:
    """K objects: what each stands on, and in which room."""

    object_id: np.ndarray  # (K,) int32
    support_id: np.ndarray  # (K,) int32 object it stands on; ON_FLOOR, or NO_SUPPORT where it hangs or nobody can tell
    room_index: np.ndarray  # (K,) int32 of `Structure.rooms` that holds its centre; -1 = none or not known


ON_FLOOR, NO_SUPPORT = -1, -2


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class CoverageFacts:
    """C minimal sets of frames whose visible points span one dimension of an object within tolerance. One or two frames always suffice."""

    object_id: np.ndarray  # (C,) int32
    axis: np.ndarray  # (C,) int8: 0 height, 1 width (shorter horizontal), 2 length (longer horizontal)
    first: np.ndarray  # (C,) int32 index into frames
    second: np.ndarray  # (C,) int32, -1 = the first alone spans it; otherwise neither does alone
    span_m: np.ndarray  # (C,) what they span together
    extent_m: np.ndarray  # (C,) what all points of the object span


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class CorrespondenceFacts:
    """D surface points that both frames of a pair see, each with its pixel in both."""

    first: np.ndarray  # (D,) int32 index into frames
    second: np.ndarray  # (D,) int32
    first_uv: np.ndarray  # (D, 2) pixel centre in the first colour image
    second_uv: np.ndarray  # (D, 2) where the point falls in the second colour image, exactly
    first_depth_m: np.ndarray  # (D,)
    second_depth_m: np.ndarray  # (D,)
    point_world: np.ndarray  # (D, 3)
    object_id: np.ndarray  # (D,) int32, -1 = none or not known


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class TrackFacts:
    """N tracked points over the T frames of a dynamic scan, as one row per point and frame (R = N * T, point-major)."""

    point: np.ndarray  # (R,) int32
    frame: np.ndarray  # (R,) int32 index into frames
    visible: np.ndarray  # (R,) bool
    point_camera: np.ndarray  # (R, 3) metres in that frame's camera; NaN where not known
    point_world: np.ndarray  # (R, 3); NaN where it or the camera's pose is not known
    body: np.ndarray  # (R,) int32 rigid body that the point moves with: 0 = still, -1 = none found
    at_edge: np.ndarray  # (R,) bool: a depth pixel at or beside it shows something else; False where it is not seen or has no depth map


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class TrackWindowFacts:
    """V movements of tracked points between two frames that both see them."""

    point: np.ndarray  # (V,) int32
    start: np.ndarray  # (V,) int32 index into frames
    end: np.ndarray  # (V,) int32
    displacement_m: np.ndarray  # (V, 3) in the start camera's axes, camera motion removed; NaN where poses are not known
    apparent_m: np.ndarray  # (V, 3) in camera axes, camera motion kept: end camera's coordinates minus start camera's
    body: np.ndarray  # (V,) int32


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class RoomFacts:
    """Rooms with their floor area."""

    room_index: np.ndarray  # (S,) int32, of `Structure.rooms`; 0 for the whole scan where no outline is known
    area_m2: np.ndarray  # (S,)
    centre_world: np.ndarray  # (S, 3) centroid of the floor area, on the floor
    from_outline: np.ndarray  # (S,) bool: measured from the known outline; else from the alpha shape of the floor that was seen


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class RoomLinkFacts:
    """Openings that join rooms."""

    first: np.ndarray  # (L,) int32 room_index
    second: np.ndarray  # (L,) int32 room_index, -1 = leads outside
    opening: np.ndarray  # (L,) int32 place in `Structure.openings`


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class FreeSpaceFacts:
    """Where one can walk: a grid of floor cells, row 0 at the lowest y, column 0 at the lowest x. One row of this table per grid row."""

    cells: np.ndarray  # (G, H) uint8: 0 not known, 1 free, 2 taken
    origin_world: np.ndarray  # (G, 3) corner of column 0 of that row, on the floor
    cell_m: np.ndarray  # (G,) edge of a cell


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
    object_glimpses: ObjectGlimpseFacts | None = None
    object_times: ObjectTimeFacts | None = None
    object_places: ObjectPlaceFacts | None = None
    coverage: CoverageFacts | None = None
    correspondences: CorrespondenceFacts | None = None
    tracks: TrackFacts | None = None
    track_windows: TrackWindowFacts | None = None
    rooms: RoomFacts | None = None
    room_links: RoomLinkFacts | None = None
    free_space: FreeSpaceFacts | None = None
    is_strict: bool = False  # visible points are those of the strict, one-sided test: overlap and shares are on another scale
    skips: Mapping[str, str] = field(default_factory=dict)  # kind -> why it could not be measured, or was not kept whole

    @property
    def kinds(self) -> frozenset[str]:
        """The fact kinds this table holds; `QuestionTask.needs` is checked against it."""
        return frozenset(kind for kind in KINDS if getattr(self, kind) is not None)

    @property
    def moving_ids(self) -> frozenset[int]:
        """Objects that are known to move."""
        times = self.object_times
        return frozenset() if times is None else frozenset(times.object_id[times.moves].tolist())

    @property
    def counts(self) -> Mapping[str, int]:
        """How many objects of each category."""
        counted: dict[str, int] = {}
        for one in self.objects or ():
            counted[one.category] = counted.get(one.category, 0) + 1
        return counted
