"""Frame pairs that may be shown together: overlapping enough to be compared, not so much that nothing changed."""

from dataclasses import dataclass

import numpy as np

from sightline.facts.fact import FactTable
from sightline.questions.question import TaskOptions

OVERLAP_BINS = 20  # over 0..1, to spread questions over easy and hard pairs


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class OrderedPairs:
    """K frame pairs in the order they are shown, and the camera's motion from the first image to the second."""

    first: np.ndarray  # (K,) index into frames
    second: np.ndarray  # (K,)
    overlap: np.ndarray  # (K,)
    distance_m: np.ndarray  # (K,)
    step_m: np.ndarray  # (K, 3) right, down, forward in the first camera's axes
    yaw_deg: np.ndarray  # (K,) left positive, within -180..180; NaN looking along the vertical
    pitch_deg: np.ndarray  # (K,) up positive
    least_from_vertical_deg: np.ndarray  # (K,) of the two viewing directions, the smaller angle to the vertical


def pairs_in_band(facts: FactTable, options: TaskOptions) -> tuple[np.ndarray, dict[str, int]]:
    """Places `(K,)` in `facts.pairs` with an overlap inside the band, and how many have none or lie outside."""
    overlap = facts.pairs.overlap
    inside = (overlap >= options.min_overlap) & (overlap <= options.max_overlap)  # NaN compares false
    unknown = int(np.isnan(overlap).sum())  # without depth
    return np.flatnonzero(inside), {"overlap_outside_band": int((~inside).sum()) - unknown, "overlap_not_known": unknown}


def ordered_pairs(facts: FactTable, rng: np.random.Generator, options: TaskOptions) -> tuple[OrderedPairs, dict[str, int]]:
    """Every frame pair inside the band once, in an order drawn by a fair coin, and how many lie outside."""
    index, skips = pairs_in_band(facts, options)
    pairs, poses = facts.pairs, facts.frames.world_from_camera
    swaps = rng.random(len(index)) < 0.5
    one, other = pairs.first[index].astype(np.int64), pairs.second[index].astype(np.int64)
    sign = np.where(swaps, -1.0, 1.0)
    there_m = pairs.displacement_m[index]
    step_world_m = np.einsum("kij,kj->ki", poses[one[swaps], :3, :3], there_m[swaps])
    step_m = there_m.copy()
    step_m[swaps] = -np.einsum("kji,kj->ki", poses[other[swaps], :3, :3], step_world_m)
    elevation_deg = np.degrees(np.arcsin(np.clip(poses[:, 2, 2], -1.0, 1.0)))
    return OrderedPairs(
        first=np.where(swaps, other, one),
        second=np.where(swaps, one, other),
        overlap=pairs.overlap[index],
        distance_m=pairs.distance_m[index],
        step_m=step_m,
        yaw_deg=sign * pairs.yaw_deg[index],
        pitch_deg=sign * pairs.pitch_deg[index],
        least_from_vertical_deg=90.0 - np.maximum(np.abs(elevation_deg[one]), np.abs(elevation_deg[other])),
    ), skips


def overlap_bins(overlap: np.ndarray) -> np.ndarray:
    """Bin of each overlap, in twentieths."""
    return np.minimum((np.asarray(overlap) * OVERLAP_BINS).astype(np.int64), OVERLAP_BINS - 1)
