"""Distances between objects: from box surface to box surface, and from centre to centre."""

from collections.abc import Sequence

import numpy as np

from sightline.captures.capture import SceneObject
from sightline.facts.fact import ObjectPairFacts
from sightline.facts.motion import all_pairs
from sightline.geometry.boxes import Box
from sightline.geometry.shapes import box_distance_m, box_distances_m


def closest_distance_m(first: Box, second: Box) -> float:
    """Surface to surface, 0 where the boxes touch or overlap; exact to 1e-9 m, tilted boxes included."""
    return box_distance_m(first, second)


def centre_distance_m(first: Box, second: Box) -> float:
    """From box centre to box centre."""
    return float(np.linalg.norm(second.centre_world - first.centre_world))


def object_pairs(objects: Sequence[SceneObject]) -> ObjectPairFacts:
    """Both distances of every unordered pair of objects, first < second by object id."""
    ordered = sorted(objects, key=lambda one: one.object_id)
    ids = np.array([one.object_id for one in ordered], dtype=np.int32)
    boxes = [one.box for one in ordered]
    first, second = all_pairs(len(ordered))
    centres = np.array([box.centre_world for box in boxes], dtype=np.float64).reshape(-1, 3)
    return ObjectPairFacts(
        first=ids[first],
        second=ids[second],
        closest_m=box_distances_m([boxes[i] for i in first], [boxes[i] for i in second]),
        centre_m=np.linalg.norm(centres[second] - centres[first], axis=1),
    )
