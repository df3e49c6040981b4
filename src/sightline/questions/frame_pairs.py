"""Frame pairs that may be shown together: overlapping enough to be compared, not so much that nothing changed."""

import numpy as np

from sightline.facts.fact import FactTable
from sightline.questions.question import TaskOptions

OVERLAP_BINS = 20  # over 0..1, to spread questions over easy and hard pairs


def pairs_in_band(facts: FactTable, options: TaskOptions) -> tuple[np.ndarray, dict[str, int]]:
    """Places `(K,)` in `facts.pairs` with an overlap inside the band, and how many have none or lie outside."""
    overlap = facts.pairs.overlap
    inside = (overlap >= options.min_overlap) & (overlap <= options.max_overlap)  # NaN compares false
    return np.flatnonzero(inside), {"overlap_outside_band": int((~inside).sum())}


def overlap_bins(overlap: np.ndarray) -> np.ndarray:
    """Bin of each overlap, in twentieths."""
    return np.minimum((np.asarray(overlap) * OVERLAP_BINS).astype(np.int64), OVERLAP_BINS - 1)
