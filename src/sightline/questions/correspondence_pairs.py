"""What the correspondence tasks share: points that two shown frames both see, whose place in the second image is not that in the first."""

from dataclasses import dataclass

import numpy as np

from sightline.facts.fact import FactTable
from sightline.questions.marks import are_whole, sizes_px
from sightline.questions.question import TaskOptions

SCORING_RADIUS_SHARE = 0.05  # of the image width: what a reply may be off (MultiSPA paper)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Matches:
    """K points, each seen in a first and a second frame; which of the pair's frames is first is drawn."""

    first: np.ndarray  # (K,)
    second: np.ndarray  # (K,)
    first_uv: np.ndarray  # (K, 2)
    second_uv: np.ndarray  # (K, 2)
    copied_uv: np.ndarray  # (K, 2) the first image's place as a pixel of the second: what copying the coordinate would say
    overlap: np.ndarray  # (K,)

    def taken(self, index: np.ndarray) -> "Matches":
        """Some of them."""
        return Matches(**{name: getattr(self, name)[index] for name in self.__dataclass_fields__})


def usable_matches(
    facts: FactTable, rng: np.random.Generator, options: TaskOptions, *, min_moved_share: float
) -> tuple[Matches, dict[str, int]]:
    """Correspondences inside the band of overlap, off both borders, moved in the image by `min_moved_share` of its width; and the others.

    The facts hold points of the still scene alone: those of objects that moved during the scan are left out when they are measured.
    """
    found, sizes = facts.correspondences, sizes_px(facts)
    overlap = overlaps_of(facts, found.first, found.second)
    in_band = (overlap >= options.min_overlap) & (overlap <= options.max_overlap)  # NaN compares false
    swap = rng.random(len(found.first)) < 0.5
    first, second = np.where(swap, found.second, found.first), np.where(swap, found.first, found.second)
    first_uv = np.where(swap[:, None], found.second_uv, found.first_uv)
    second_uv = np.where(swap[:, None], found.first_uv, found.second_uv)
    copied_uv = (first_uv + 0.5) / sizes[first] * sizes[second] - 0.5
    is_inside = are_whole(first_uv, sizes[first]) & are_whole(second_uv, sizes[second])
    moved_px = np.hypot(*(second_uv - copied_uv).T)
    has_moved = moved_px >= min_moved_share * sizes[second, 0]
    if options.point_scale == "pixels":  # copying pixels means another place than copying shares where the images differ in size
        has_moved &= np.hypot(*(second_uv - first_uv).T) >= min_moved_share * sizes[second, 0]
    skips = {
        "overlap_outside_band": int((~in_band).sum()),
        "dot_at_image_border": int((in_band & ~is_inside).sum()),
        "same_place_in_both_images": int((in_band & is_inside & ~has_moved).sum()),
    }
    index = np.flatnonzero(in_band & is_inside & has_moved)
    matches = Matches(first=first, second=second, first_uv=first_uv, second_uv=second_uv, copied_uv=copied_uv, overlap=overlap)
    return matches.taken(index), skips


def overlaps_of(facts: FactTable, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Overlap of frame pairs `(K,)`, first < second; NaN where the pair was not measured."""
    pairs, frames = facts.pairs, len(facts.frames.frame_ids)
    if not len(pairs.first):
        return np.full(len(first), np.nan)
    known = pairs.first.astype(np.int64) * frames + pairs.second
    order = np.argsort(known, kind="stable")
    wanted = np.asarray(first, dtype=np.int64) * frames + second
    place = order[np.minimum(np.searchsorted(known, wanted, sorter=order), len(known) - 1)]
    return np.where(known[place] == wanted, pairs.overlap[place], np.nan)
