"""Which frames together show an object from end to end: all minimal sets of them, for its height, its width and its length."""

from collections.abc import Sequence
from dataclasses import dataclass

import numba
import numpy as np

from sightline.arrays import expect
from sightline.captures.capture import SceneObject
from sightline.facts.fact import CoverageFacts
from sightline.facts.object_points import ObjectPoints
from sightline.facts.visibility import Cloud
from sightline.geometry.boxes import Box
from sightline.geometry.visibility import popcount

HEIGHT, WIDTH, LENGTH = 0, 1, 2
COVERAGE_TOLERANCE = 0.1  # of the extent may stay unseen: half of the 20 % that a size may be off in the MultiSPA benchmark


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Spans:
    """What the frames see of K objects along their own axes. S rows, object by object, frames ascending; every frame sees a point."""

    starts: np.ndarray  # (K + 1,) int64: rows of object k are starts[k]:starts[k + 1]
    frame: np.ndarray  # (S,) int32
    low_m: np.ndarray  # (S, 3) height, width, length: least coordinate of the visible points, from the box centre
    high_m: np.ndarray  # (S, 3)
    extent_m: np.ndarray  # (K, 3) of all points, 0 for an object that has none


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Coverage:
    """The sets that were kept, or why there are none; where some were left out, that too."""

    sets: CoverageFacts | None
    why_not: str | None


def coverage_or_why_not(
    cloud: Cloud,
    owners: ObjectPoints | None,
    objects: Sequence[SceneObject] | None,
    words: np.ndarray,
    *,
    tolerance: float,
    max_sets: int,
    rng: np.random.Generator,
) -> Coverage:
    """All minimal sets of frames that span a dimension of an object, where objects are known and a frame sees a point."""
    if owners is None or objects is None:
        return Coverage(sets=None, why_not="the scan does not say which objects there are")
    if len(cloud.points_world) == 0:
        return Coverage(sets=None, why_not="the scan has no point cloud")
    if not words.any():
        return Coverage(sets=None, why_not="no frame sees a point of the cloud: there is no depth, or it does not fit")
    spans = object_spans(cloud, owners, objects, words)
    found = count_minimal_sets(spans, tolerance=tolerance)
    sets = minimal_sets(spans, owners.object_ids, found=found, tolerance=tolerance, max_sets=max_sets, rng=rng)
    if found <= max_sets:
        return Coverage(sets=sets, why_not=None)
    return Coverage(sets=sets, why_not=f"{max_sets} of {found} minimal sets kept, drawn evenly; raise max_coverage_sets for more")


def coverage(
    cloud: Cloud, owners: ObjectPoints, objects: Sequence[SceneObject], words: np.ndarray, *, tolerance: float = COVERAGE_TOLERANCE
) -> CoverageFacts:
    """All minimal sets of frames that span a dimension of an object, from packed visibility `words (F, W)`.

    A set spans it where the visible points of its frames together reach over `(1 - tolerance)` of what all of the object's
    points do. That reach is the highest of the frames' highs less the lowest of their lows, so one or two frames give it and no
    minimal set has more. Rows by object, axis, then single frames before pairs.
    """
    spans = object_spans(cloud, owners, objects, words)
    found = count_minimal_sets(spans, tolerance=tolerance)
    nothing_to_draw = np.random.default_rng(0)
    return minimal_sets(spans, owners.object_ids, found=found, tolerance=tolerance, max_sets=found, rng=nothing_to_draw)


def object_spans(cloud: Cloud, owners: ObjectPoints, objects: Sequence[SceneObject], words: np.ndarray) -> Spans:
    """Least and greatest coordinate of what each frame sees of each object, along the object's height, width and length."""
    expect(words=(words, "F W"))
    along_m = own_coordinates(cloud, owners, objects)
    words = np.ascontiguousarray(words, dtype=np.uint64)
    parts = (owners.words, owners.masks, owners.part_places)
    starts = np.zeros(len(owners.object_ids) + 1, dtype=np.int64)
    _count_frames(words, *parts, starts)
    np.cumsum(starts, out=starts)
    frame = np.empty(starts[-1], dtype=np.int32)
    low_m, high_m = np.empty((len(frame), 3)), np.empty((len(frame), 3))
    lows, highs = np.full((len(owners.words), 3), np.inf), np.full((len(owners.words), 3), -np.inf)
    whole_low, whole_high = np.full((len(owners.object_ids), 3), np.inf), np.full((len(owners.object_ids), 3), -np.inf)
    _fill_bounds(owners.part_places, owners.part_starts, owners.part_ends, along_m, lows, highs, whole_low, whole_high)
    _fill_spans(words, *parts, owners.part_starts, along_m, lows, highs, starts, frame, low_m, high_m)
    extent_m = np.where(owners.counts[:, None] > 0, whole_high - whole_low, 0.0)
    return Spans(starts=starts, frame=frame, low_m=low_m, high_m=high_m, extent_m=extent_m)


def own_coordinates(cloud: Cloud, owners: ObjectPoints, objects: Sequence[SceneObject]) -> np.ndarray:
    """The points of `owners` as `(P, 3)` metres from the centre of their object's box along its height, width and length."""
    boxes = {one.object_id: one.box for one in objects}
    ordered = [boxes[object_id] for object_id in owners.object_ids.tolist()]
    axes_world = np.array([box.world_from_object[:3, size_axes(box)].T for box in ordered]).reshape(-1, 3, 3)
    centres_world = np.array([box.centre_world for box in ordered]).reshape(-1, 3)
    along_m = np.empty((len(owners.points), 3))
    _fill_coordinates(cloud.points_world, owners.points, owners.point_starts, centres_world, axes_world, along_m)
    return along_m


def size_axes(box: Box) -> tuple[int, int, int]:
    """Which of the box's axes is its height (z), its width (the shorter of x and y; x of equals) and its length."""
    return (2, 0, 1) if box.size_m[0] <= box.size_m[1] else (2, 1, 0)


def count_minimal_sets(spans: Spans, *, tolerance: float) -> int:
    """How many minimal sets of one or two frames there are, without listing them."""
    return int(_count_sets(spans.starts, spans.low_m, spans.high_m, _needed_m(spans, tolerance)))


def minimal_sets(
    spans: Spans, object_ids: np.ndarray, *, found: int, tolerance: float, max_sets: int, rng: np.random.Generator
) -> CoverageFacts:
    """All `found` minimal sets of one or two frames, or `max_sets` of them drawn evenly when there are more."""
    need_m = _needed_m(spans, tolerance)
    if found > max_sets:
        edges = np.arange(max_sets + 1, dtype=np.int64) * found // max_sets
        kept = rng.integers(edges[:-1], edges[1:])  # one of each equal stretch: even over objects, and no list of all there are
    else:
        kept = np.empty(0, dtype=np.int64)
    count = min(found, max_sets)
    place, axis = np.empty(count, dtype=np.int32), np.empty(count, dtype=np.int8)
    first, second, span_m = np.empty(count, dtype=np.int32), np.empty(count, dtype=np.int32), np.empty(count)
    _fill_sets(spans.starts, spans.frame, spans.low_m, spans.high_m, need_m, kept, place, axis, first, second, span_m)
    extent_m = spans.extent_m[place, axis]
    return CoverageFacts(object_id=object_ids[place], axis=axis, first=first, second=second, span_m=span_m, extent_m=extent_m)


def _needed_m(spans: Spans, tolerance: float) -> np.ndarray:
    if not 0.0 <= tolerance < 1.0:
        raise ValueError(f"tolerance: expected a share from 0 to below 1, found {tolerance!r}")
    return (1.0 - tolerance) * spans.extent_m


@numba.njit(cache=True, nogil=True)
def _fill_coordinates(points, own, starts, centres, axes, along):  # pragma: no cover - compiled
    """Each point for itself: a matrix product may round a point differently by where it stands in the array."""
    for place in range(starts.size - 1):
        for row in range(starts[place], starts[place + 1]):
            point = own[row]
            x, y, z = points[point, 0] - centres[place, 0], points[point, 1] - centres[place, 1], points[point, 2] - centres[place, 2]
            for axis in range(3):
                along[row, axis] = x * axes[place, axis, 0] + y * axes[place, axis, 1] + z * axes[place, axis, 2]


@numba.njit(cache=True, nogil=True)
def _fill_bounds(places, part_starts, part_ends, along, lows, highs, whole_low, whole_high):  # pragma: no cover - compiled
    for k in range(part_starts.size):
        for axis in range(3):
            for point in range(part_starts[k], part_ends[k]):
                lows[k, axis] = min(lows[k, axis], along[point, axis])
                highs[k, axis] = max(highs[k, axis], along[point, axis])
            whole_low[places[k], axis] = min(whole_low[places[k], axis], lows[k, axis])
            whole_high[places[k], axis] = max(whole_high[places[k], axis], highs[k, axis])


@numba.njit(cache=True, nogil=True)
def _count_frames(seen, words, masks, places, starts):  # pragma: no cover - compiled
    """Into starts[k + 1]: how many frames see a point of object k."""
    last_frame = np.full(starts.size, -1)
    for frame in range(seen.shape[0]):
        row = seen[frame]
        for k in range(words.size):
            if row[words[k]] & masks[k] != np.uint64(0) and last_frame[places[k]] != frame:
                last_frame[places[k]] = frame
                starts[places[k] + np.uint64(1)] += 1


@numba.njit(cache=True, nogil=True)
def _fill_spans(seen, words, masks, places, part_starts, along, lows, highs, starts, frames, low, high):  # pragma: no cover - compiled
    """A part wholly seen counts by its bounds; one partly seen is opened only where it could reach farther than what is known."""
    last_frame, next_row = np.full(starts.size, -1), starts.copy()
    for frame in range(seen.shape[0]):
        seen_words = seen[frame]
        for k in range(words.size):
            bits = seen_words[words[k]] & masks[k]
            if bits == np.uint64(0):
                continue
            place = places[k]
            if last_frame[place] != frame:
                last_frame[place] = frame
                frames[next_row[place]] = frame
                low[next_row[place]], high[next_row[place]] = np.inf, -np.inf
                next_row[place] += 1
            row = next_row[place] - 1
            farther = False
            for axis in range(3):
                farther |= lows[k, axis] < low[row, axis] or highs[k, axis] > high[row, axis]
            if not farther:
                continue
            if bits == masks[k]:
                for axis in range(3):
                    low[row, axis] = min(low[row, axis], lows[k, axis])
                    high[row, axis] = max(high[row, axis], highs[k, axis])
                continue
            low_0, low_1, low_2 = low[row]
            high_0, high_1, high_2 = high[row]
            while bits != np.uint64(0):
                before = (bits & (~bits + np.uint64(1))) - np.uint64(1)  # the bits below the lowest one set
                point = part_starts[k] + np.int64(popcount(masks[k] & before))
                bits &= bits - np.uint64(1)
                low_0, high_0 = min(low_0, along[point, 0]), max(high_0, along[point, 0])
                low_1, high_1 = min(low_1, along[point, 1]), max(high_1, along[point, 1])
                low_2, high_2 = min(low_2, along[point, 2]), max(high_2, along[point, 2])
            low[row, 0], low[row, 1], low[row, 2] = low_0, low_1, low_2
            high[row, 0], high[row, 1], high[row, 2] = high_0, high_1, high_2


@numba.njit(cache=True, nogil=True)
def _alone_and_rest(start, end, axis, low, high, need, rest):  # pragma: no cover - compiled
    """How many frames span an axis alone; the rows of the others, ascending, are put into `rest`, followed by how many they are."""
    others = 0
    for row in range(start, end):
        if high[row, axis] - low[row, axis] < need:
            rest[others] = row
            others += 1
    return others


@numba.njit(cache=True, nogil=True)
def _count_sets(starts, low, high, needs):  # pragma: no cover - compiled
    total = np.int64(0)
    for place in range(starts.size - 1):
        start, end = starts[place], starts[place + 1]
        rest, highs = np.empty(end - start, dtype=np.int64), np.empty(end - start)
        for axis in range(3):
            need = needs[place, axis]
            others = _alone_and_rest(start, end, axis, low, high, need, rest)
            total += end - start - others
            for a in range(others):
                highs[a] = high[rest[a], axis]
            highs[:others].sort()
            for a in range(others):  # a pair spans it in one of its two orders, never in both: neither frame does alone
                below, above = 0, others
                while below < above:
                    middle = (below + above) // 2
                    if highs[middle] - low[rest[a], axis] < need:
                        below = middle + 1
                    else:
                        above = middle
                total += others - below
    return total


@numba.njit(cache=True, nogil=True)
def _fill_sets(starts, frames, low, high, needs, kept, places, axes, first, second, spans):  # pragma: no cover - compiled
    """Every set in order; where `kept` is not empty, only those of its ranks."""
    rank, row, size = 0, 0, first.size
    for place in range(starts.size - 1):
        start, end = starts[place], starts[place + 1]
        rest = np.empty(end - start, dtype=np.int64)
        for axis in range(3):
            need = needs[place, axis]
            for a in range(start, end):
                span = high[a, axis] - low[a, axis]
                if span >= need:
                    if row < size and (kept.size == 0 or kept[row] == rank):
                        places[row], axes[row], first[row], second[row], spans[row] = place, axis, frames[a], -1, span
                        row += 1
                    rank += 1
            others = _alone_and_rest(start, end, axis, low, high, need, rest)
            lowest, highest = np.inf, -np.inf
            for a in range(others):
                lowest, highest = min(lowest, low[rest[a], axis]), max(highest, high[rest[a], axis])
            for a in range(others):
                low_a, high_a = low[rest[a], axis], high[rest[a], axis]
                if highest - low_a < need and high_a - lowest < need:
                    continue  # no partner reaches far enough
                for b in range(a + 1, others):
                    span = max(high_a, high[rest[b], axis]) - min(low_a, low[rest[b], axis])
                    if span >= need:
                        if row < size and (kept.size == 0 or kept[row] == rank):
                            places[row], axes[row], spans[row] = place, axis, span
                            first[row], second[row] = frames[rest[a]], frames[rest[b]]
                            row += 1
                        rank += 1
