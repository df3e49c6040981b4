"""Rigid bodies among tracked points: those whose distances to each other stay the same in all frames that see both."""

from dataclasses import dataclass

import numba
import numpy as np

from sightline.arrays import expect

ALIKE, UNKNOWN, APART = 1, 0, -1
MIN_BODY_POINTS = 4  # fewer that keep their distances say little: three may do so by chance for a while
CONFLICT_SHARE = 0.1  # of a body's members may disagree with a point that still belongs to it: noise exceeds any tolerance at times
NO_BODY = -1


def rest_centres(points: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Mean place `(N, 3)` of points `(N, T, 3)` over the frames `(N, T)` bool that see them; NaN where none does."""
    counts = seen.sum(axis=1)
    sums = np.where(seen[:, :, None], points, 0.0).sum(axis=1)
    return np.where(counts[:, None] > 0, sums / np.maximum(counts, 1)[:, None], np.nan)


def still_points(points_world: np.ndarray, seen: np.ndarray, limits_m: np.ndarray) -> np.ndarray:
    """Which points `(N, T, 3)` stay within their limit `(N,)` of their mean place in all frames that see them, at least two."""
    expect(points_world=(points_world, "N T 3"), seen=(seen, "N T"), limits_m=(limits_m, "N"))
    offsets_m = np.linalg.norm(points_world - rest_centres(points_world, seen)[:, None], axis=2)
    return (seen.sum(axis=1) >= 2) & (np.where(seen, offsets_m, 0.0).max(axis=1, initial=0.0) <= limits_m)


def rigid_groups(points: np.ndarray, seen: np.ndarray, limits_m: np.ndarray) -> list[np.ndarray]:
    """Groups of points `(N, T, 3)` that move as one, largest first, as places `(M,)` in order; a point is in one of them or in none.

    Two points are alike where the distance between them varies by at most the sum of their limits `(N,)` over the frames that see
    both, one of them having moved; they are apart where it varies by more; else nothing is known of them. A group grows from the point
    with the most alike ones, weighted by the frames shared, taking in what is alike with its members but for `CONFLICT_SHARE`.
    No random numbers. Time grows with N squared and T.
    """
    expect(points=(points, "N T 3"), seen=(seen, "N T"), limits_m=(limits_m, "N"))
    pairs = compare_tracks(points, seen, limits_m)
    alike, apart, shared = pairs.relation == ALIKE, pairs.relation == APART, pairs.shared
    free = alike.sum(axis=1) >= MIN_BODY_POINTS - 1
    groups = []
    while free.any():
        weights = np.where(alike & free[None, :], shared, 0).sum(axis=1)
        seed = int(np.argmax(np.where(free, weights, -1)))
        members = _grown(seed, alike, apart, shared, free)
        if members.sum() >= MIN_BODY_POINTS:
            groups.append(np.flatnonzero(members))
            free &= ~members
        else:
            free[seed] = False
    groups = [group for group in _best_fits(groups, pairs) if len(group) >= MIN_BODY_POINTS]
    return sorted(groups, key=lambda group: (-len(group), int(group[0])))


def _best_fits(groups: list[np.ndarray], pairs: "TrackPairs") -> list[np.ndarray]:
    """The groups with each point moved to the one it fits best: one seen while little moved may fit more than the group it came into.

    It fits where no more than `CONFLICT_SHARE` disagree; of the groups that hold at least half as many alike ones as the one with
    most, it goes to that where its distances vary least.
    """
    if not groups:
        return []
    belongs = np.zeros((len(pairs.relation), len(groups)))
    for number, group in enumerate(groups):
        belongs[group, number] = 1.0
    alike = pairs.relation == ALIKE
    for_it, against = alike @ belongs, (pairs.relation == APART) @ belongs
    fits = (for_it > 0) & (against <= CONFLICT_SHARE * (for_it + against))
    fits &= for_it >= np.where(fits, for_it, 0.0).max(axis=1, keepdims=True) / 2.0
    variation_m = (np.where(alike, pairs.variation_m, 0.0) @ belongs) / np.maximum(for_it, 1.0)
    best = np.argmin(np.where(fits, variation_m, np.inf), axis=1)
    return [np.flatnonzero(fits.any(axis=1) & (best == number)) for number in range(len(groups))]


def _grown(seed: int, alike: np.ndarray, apart: np.ndarray, shared: np.ndarray, free: np.ndarray) -> np.ndarray:
    """The group `(N,)` bool around a seed: first those alike with it, best known first, then what fits them, until nothing changes."""
    members = np.zeros(len(free), dtype=bool)
    members[seed] = True
    for_it, against = alike[seed].astype(np.int64), apart[seed].astype(np.int64)
    near = np.flatnonzero(alike[seed] & free)
    near = near[np.argsort(-shared[seed, near], kind="stable")]
    while len(near):
        before = members.copy()
        for one in near:
            if against[one] <= CONFLICT_SHARE * (for_it[one] + against[one]):
                members[one] = True
                for_it += alike[one]
                against += apart[one]
        for one in np.flatnonzero(members & (against > CONFLICT_SHARE * (for_it + against))):
            members[one] = False
            for_it -= alike[one]
            against -= apart[one]
        if members.sum() <= before.sum():
            break
        near = np.flatnonzero(free & ~members & (for_it > 0))
        near = near[np.argsort(-for_it[near], kind="stable")]
    return members


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class TrackPairs:
    """Each two of N tracks compared. The last two hold where they are not APART."""

    relation: np.ndarray  # (N, N) int8: ALIKE, UNKNOWN or APART
    shared: np.ndarray  # (N, N) int32: frames that see both
    variation_m: np.ndarray  # (N, N) float32: largest less smallest distance in those frames


def compare_tracks(points: np.ndarray, seen: np.ndarray, limits_m: np.ndarray) -> TrackPairs:
    """Compare points `(N, T, 3)` seen in frames `(N, T)`, each good to within its limit `(N,)`."""
    size = (len(points), len(points))
    pairs = TrackPairs(
        relation=np.zeros(size, dtype=np.int8), shared=np.zeros(size, dtype=np.int32), variation_m=np.zeros(size, dtype=np.float32)
    )
    _compare(
        np.ascontiguousarray(points, dtype=np.float64),
        np.ascontiguousarray(seen),
        np.ascontiguousarray(limits_m, dtype=np.float64),
        pairs.relation,
        pairs.shared,
        pairs.variation_m,
    )
    return pairs


@numba.njit(cache=True, nogil=True)
def _compare(points, seen, limits_m, relation, shared, variation_m):  # pragma: no cover - compiled
    count, frames = seen.shape
    for i in range(count):
        for j in range(i + 1, count):
            limit_m = limits_m[i] + limits_m[j]
            low, high, both, start, moved, torn = np.inf, -np.inf, 0, -1, False, False
            for t in range(frames):
                if not (seen[i, t] and seen[j, t]):
                    continue
                distance_m = _distance(points[i, t], points[j, t])
                low, high, both = min(low, distance_m), max(high, distance_m), both + 1
                if high - low > limit_m:
                    torn = True
                    break
                if start < 0:
                    start = t
                elif not moved:
                    moved = _distance(points[i, t], points[i, start]) > limits_m[i]
                    moved = moved or _distance(points[j, t], points[j, start]) > limits_m[j]
            verdict = -1 if torn else (1 if moved else 0)
            relation[i, j] = relation[j, i] = verdict
            shared[i, j] = shared[j, i] = both
            variation_m[i, j] = variation_m[j, i] = max(high - low, 0.0)


@numba.njit(cache=True, nogil=True)
def _distance(a, b):  # pragma: no cover - compiled
    return np.sqrt((a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2 + (a[2] - b[2]) ** 2)
