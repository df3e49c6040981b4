"""Reprojects the depth of frames into each other under a hypothesis about poses and depth, and counts what agrees."""

from dataclasses import dataclass, replace

import numpy as np

from sightline.captures.capture import Capture
from sightline.captures.images import NO_READING, SATURATED
from sightline.captures.poses import inverses
from sightline.geometry.cameras import Intrinsics
from sightline.scenes.depth_maps import DepthMaps

MIN_TURN_DEG = 10.0  # frames closer than both of these agree under wrong conventions too
MIN_BASELINE_M = 0.2
WANTED_TURN_DEG, WANTED_BASELINE_M = 20.0, 0.4  # taken where a recording has them: wrong conventions then fall further below
MAX_TURN_SHARE = 0.75  # of the horizontal field of view; beyond it neighbours hardly overlap
MAX_PAIRS = 48
MAX_ANCHORS = 64
SEARCH_FRAMES = 400  # how far ahead of a frame its partner is looked for
MIN_OVERLAP = 0.3  # of coarse points, for pairs of frames that do not follow each other
COARSE_POINTS, MIDDLE_POINTS, FINE_POINTS = 64, 500, 4000  # per depth map
TOLERANCE_M = 0.03  # above the noise of time-of-flight and structured light at room distances
TOLERANCE_SHARE = 0.03


@dataclass(frozen=True, kw_only=True, slots=True)
class Hypothesis:
    """One reading of the same files."""

    pose_direction: str
    camera_axes: str
    depth_factor: float = 1.0  # true metres per metre as given
    is_range: bool = False  # depth is the length of the ray instead of z
    lag: int = 0  # the pose of a frame stands this many places further on in the file
    image_factor: float = 1.0  # width of the images the camera matrix belongs to, over the width of these


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Score:
    """How the readings of all pairs compare; both directions of each pair count."""

    cast: int  # readings sent to the other frame
    overlapping: int  # of them, landed on a reading of the other frame
    agreeing: int
    in_front: int  # nearer than the other frame's surface by more than the tolerance: impossible for a right pose
    residuals_m: np.ndarray  # absolute differences of the overlapping readings

    @property
    def agreement(self) -> float:
        """Agreeing readings among those that are not hidden behind the other frame's surface; 0 where none overlaps."""
        visible = self.agreeing + self.in_front
        return self.agreeing / visible if visible else 0.0

    @property
    def share(self) -> float:
        """Agreeing readings among all overlapping ones: stricter, for comparing hypotheses."""
        return self.agreeing / self.overlapping if self.overlapping else 0.0

    @property
    def overlap(self) -> float:
        return self.overlapping / self.cast if self.cast else 0.0

    @property
    def residual_m(self) -> float:
        return float(np.median(self.residuals_m)) if len(self.residuals_m) else float("nan")


@dataclass(frozen=True, kw_only=True, slots=True)
class Pair:
    """Two frames by their place in the capture."""

    first: int
    second: int


def turns_deg(rotations: np.ndarray, rotation: np.ndarray) -> np.ndarray:
    """Angles between `rotations (N, 3, 3)` and one rotation."""
    trace = np.einsum("nij,ij->n", rotations, rotation)
    return np.degrees(np.arccos(np.clip((trace - 1.0) / 2.0, -1.0, 1.0)))


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Motion:
    """How far some frames are from one frame."""

    turn_deg: np.ndarray  # (N,)
    baseline_m: np.ndarray  # (N,)

    def is_separated(self, *, wanted: bool) -> np.ndarray:
        """Which are far enough away for a wrong convention to show; `wanted` asks for more than the least."""
        turn_deg, baseline_m = (WANTED_TURN_DEG, WANTED_BASELINE_M) if wanted else (MIN_TURN_DEG, MIN_BASELINE_M)
        return (self.turn_deg >= turn_deg) | (self.baseline_m >= baseline_m)


def motion(world_from_camera: np.ndarray, index: int, others: np.ndarray) -> Motion:
    """Turn and baseline between frame `index` and the frames `others`."""
    return Motion(
        turn_deg=turns_deg(world_from_camera[others, :3, :3], world_from_camera[index, :3, :3]),
        baseline_m=np.linalg.norm(world_from_camera[others, :3, 3] - world_from_camera[index, :3, 3], axis=1),
    )


def max_turn_deg(camera: Intrinsics) -> float:
    """The largest turn between frames that still overlap."""
    return MAX_TURN_SHARE * float(np.degrees(2.0 * np.arctan(camera.width / 2.0 / camera.fx)))


def following_pairs(world_from_camera: np.ndarray, camera: Intrinsics) -> list[Pair]:
    """For evenly spread frames, the next one that is well separated: neighbours in time overlap whatever the convention."""
    count = len(world_from_camera)
    anchors = np.unique(np.linspace(0, count - 1, min(MAX_ANCHORS, count)).astype(int))
    pairs = []
    for anchor in anchors:
        later = np.arange(anchor + 1, min(count, anchor + 1 + SEARCH_FRAMES))
        apart = motion(world_from_camera, anchor, later)
        meets = apart.turn_deg <= max_turn_deg(camera)
        for good in (later[meets & apart.is_separated(wanted=True)], later[meets & apart.is_separated(wanted=False)]):
            if len(good):
                pairs.append(Pair(first=int(anchor), second=int(good[0])))
                break
    return thinned(pairs)


def thinned(pairs: list[Pair]) -> list[Pair]:
    """At most MAX_PAIRS of them, evenly."""
    if len(pairs) <= MAX_PAIRS:
        return pairs
    return [pairs[index] for index in np.linspace(0, len(pairs) - 1, MAX_PAIRS).astype(int)]


class Reprojector:
    """Scores hypotheses on the pairs of one capture."""

    def __init__(self, capture: Capture, depths: DepthMaps):
        self.frames = capture.frames
        self.depths = depths
        self._kept: dict[tuple[tuple[Pair, ...], int, bool, float], _Casts] = {}
        self._maps: dict[tuple[int, ...], np.ndarray] = {}

    def overlapping_pairs(self, world_from_camera: np.ndarray) -> list[Pair]:
        """Well separated pairs of any frames whose coarse depth lands in each other: for pictures that are in no order."""
        count = len(self.frames)
        anchors = np.unique(np.linspace(0, count - 1, min(MAX_ANCHORS, count)).astype(int))
        camera_from_world = inverses(world_from_camera)
        pairs = []
        for place, first in enumerate(anchors):
            points = self.points_camera(int(first), COARSE_POINTS)
            others = anchors[place + 1 :]
            apart = motion(world_from_camera, first, others)
            others = others[apart.is_separated(wanted=False) & (apart.turn_deg <= max_turn_deg(self.frames[first].intrinsics))]
            for second in others:
                moved = _moved(points, camera_from_world[second] @ world_from_camera[first])
                camera = self.frames[second].depth_intrinsics
                uv, _ = camera.project(moved)
                if len(uv) and camera.contains(uv).mean() >= MIN_OVERLAP:
                    pairs.append(Pair(first=int(first), second=int(second)))
        return thinned(pairs)

    def camera(self, index: int, image_factor: float) -> Intrinsics:
        """The depth camera of a frame under a hypothesis about the image size its matrix belongs to."""
        given = self.frames[index].depth_intrinsics
        if image_factor == 1.0:
            return given
        cx, cy = ((centre + 0.5) / image_factor - 0.5 for centre in (given.cx, given.cy))
        return replace(given, fx=given.fx / image_factor, fy=given.fy / image_factor, cx=cx, cy=cy)

    def points_camera(self, index: int, points: int, *, is_range: bool = False, image_factor: float = 1.0) -> np.ndarray:
        """About `points` camera points `(N, 3)` of a frame, on an even grid."""
        camera = self.camera(index, image_factor)
        step = max(1, int(round(np.sqrt(camera.width * camera.height / points))))
        rows, columns = np.mgrid[step // 2 : camera.height : step, step // 2 : camera.width : step].reshape(2, -1)
        reading_m = self.depths.at(index, rows, columns)
        known = np.isfinite(reading_m)
        uv = np.stack([columns[known], rows[known]], axis=1).astype(np.float64)
        rays = camera.unproject(uv, np.ones(len(uv)))
        if is_range:
            rays /= np.linalg.norm(rays, axis=1, keepdims=True)
        return rays * reading_m[known, None]

    def maps(self, used: tuple[int, ...]) -> np.ndarray:
        """The stored depth maps of these frames, one after the other in one flat array."""
        if used not in self._maps:
            self._maps = {used: np.concatenate([self.depths.stored(index).reshape(-1) for index in used])}
        return self._maps[used]

    def score(self, world_from_camera: np.ndarray, pairs: list[Pair], *, hypothesis: Hypothesis, points: int, is_metric: bool) -> Score:
        """Counts over all pairs (at least one), both ways. `world_from_camera (N, 4, 4)` are the poses under the hypothesis.

        Depth that is wrong by a factor is tried by dividing the motion by it instead. The absolute tolerance counts only
        where `is_metric`: it means nothing while the unit is in question.
        """
        casts = self._casts(pairs, points, hypothesis)
        points_target = np.empty_like(casts.points_source)
        camera_from_world = inverses(world_from_camera)
        for source, target, part in casts.parts:
            target_from_source = camera_from_world[target] @ world_from_camera[source]
            target_from_source[:3, 3] /= hypothesis.depth_factor
            points_target[part] = _moved(casts.points_source[part], target_from_source)
        landed, surface_m = casts.look_up(points_target)
        found_m = np.linalg.norm(points_target[landed], axis=1) if hypothesis.is_range else points_target[landed, 2]
        difference_m = found_m - surface_m
        tolerance_m = np.maximum(TOLERANCE_M if is_metric else 0.0, TOLERANCE_SHARE * surface_m)
        return Score(
            cast=len(points_target),
            overlapping=len(difference_m),
            agreeing=int(np.count_nonzero(np.abs(difference_m) <= tolerance_m)),
            in_front=int(np.count_nonzero(difference_m < -tolerance_m)),
            residuals_m=np.abs(difference_m),
        )

    def _casts(self, pairs: list[Pair], points: int, hypothesis: Hypothesis) -> "_Casts":
        key = (tuple(pairs), points, hypothesis.is_range, hypothesis.image_factor)
        if key not in self._kept:
            self._kept[key] = _Casts(self, pairs, points, hypothesis)
        return self._kept[key]


class _Casts:
    """All points of all pairs in one array, and the depth maps they land on in another: one look-up per hypothesis."""

    def __init__(self, owner: Reprojector, pairs: list[Pair], points: int, hypothesis: Hypothesis):
        used = tuple(sorted({index for pair in pairs for index in (pair.first, pair.second)}))
        is_range, image_factor = hypothesis.is_range, hypothesis.image_factor
        clouds = {index: owner.points_camera(index, points, is_range=is_range, image_factor=image_factor) for index in used}
        ways = [way for pair in pairs for way in ((pair.first, pair.second), (pair.second, pair.first))]
        lengths = [len(clouds[source]) for source, _ in ways]
        ends = np.cumsum([0, *lengths])
        self.parts = [(source, target, slice(ends[place], ends[place + 1])) for place, (source, target) in enumerate(ways)]
        self.points_source = np.concatenate([clouds[source] for source, _ in ways])
        cameras = [owner.camera(target, image_factor) for _, target in ways]
        self.fx, self.fy, self.cx, self.cy, self.width, self.height = (
            np.repeat([getattr(camera, name) for camera in cameras], lengths) for name in ("fx", "fy", "cx", "cy", "width", "height")
        )
        sizes = [owner.frames[index].depth_intrinsics.width * owner.frames[index].depth_intrinsics.height for index in used]
        starts = dict(zip(used, np.cumsum([0, *sizes])))
        self.stored = owner.maps(used)
        self.start = np.repeat([starts[target] for _, target in ways], lengths)
        self.scale_m = np.repeat([owner.frames[target].depth_scale_m for _, target in ways], lengths)

    def look_up(self, points_target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Which points land on a reading of their target frame (indices), and the depth read there in metres."""
        x, y, z = points_target.T
        with np.errstate(divide="ignore", invalid="ignore"):
            column = np.floor(self.fx * x / z + self.cx + 0.5)
            row = np.floor(self.fy * y / z + self.cy + 0.5)
            inside = np.flatnonzero((z > 0) & (column >= 0) & (column < self.width) & (row >= 0) & (row < self.height))
        flat = self.start[inside] + row[inside].astype(np.int64) * self.width[inside] + column[inside].astype(np.int64)
        stored = self.stored[flat]
        known = (stored != NO_READING) & (stored != SATURATED)
        landed = inside[known]
        return landed, stored[known] * self.scale_m[landed]


def _moved(points: np.ndarray, b_from_a: np.ndarray) -> np.ndarray:
    return points @ b_from_a[:3, :3].T + b_from_a[:3, 3]
