"""Distances between objects: from box surface to box surface, and from centre to centre."""

from collections.abc import Sequence

import numpy as np

from sightline.captures.capture import SceneObject
from sightline.facts.fact import ObjectPairFacts
from sightline.facts.motion import all_pairs
from sightline.geometry.boxes import Box
from sightline.geometry.shapes import box_distance_m, box_distances_m

MAX_OBJECT_PAIRS = 250_000  # as many as of frames: all pairs of 707 objects; ten thousand objects would have 50 million
PAIRS_AT_ONCE = 20_000  # so that memory grows with the pairs by the 24 bytes that are kept of each


def closest_distance_m(first: Box, second: Box) -> float:
    """Surface to surface, 0 where the boxes touch or overlap; exact to 1e-9 m, tilted boxes included."""
    return box_distance_m(first, second)


def centre_distance_m(first: Box, second: Box) -> float:
    """From box centre to box centre."""
    return float(np.linalg.norm(second.centre_world - first.centre_world))


def object_pairs(objects: Sequence[SceneObject], chosen: tuple[np.ndarray, np.ndarray] | None = None) -> ObjectPairFacts:
    """Both distances of every unordered pair of objects, first < second by object id.

    Or of the pairs `chosen`: two index arrays `(Q,)`, first < second, into the objects in the order of their ids.
    """
    ordered = sorted(objects, key=lambda one: one.object_id)
    ids = np.array([one.object_id for one in ordered], dtype=np.int32)
    boxes = [one.box for one in ordered]
    first, second = all_pairs(len(ordered)) if chosen is None else chosen
    closest_m = np.empty(len(first))
    for start in range(0, len(first), PAIRS_AT_ONCE):
        part = slice(start, start + PAIRS_AT_ONCE)
        closest_m[part] = box_distances_m([boxes[i] for i in first[part]], [boxes[i] for i in second[part]])
    centres = np.array([box.centre_world for box in boxes], dtype=np.float64).reshape(-1, 3)
    return ObjectPairFacts(
        first=ids[first],
        second=ids[second],
        closest_m=closest_m,
        centre_m=np.linalg.norm(centres[second] - centres[first], axis=1),
    )
