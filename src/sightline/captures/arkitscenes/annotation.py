"""Reads the labelled boxes of an ARKitScenes annotation."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sightline.captures.capture import SceneObject
from sightline.errors import CaptureError, DataError, ShapeError
from sightline.files import read_json
from sightline.geometry.boxes import Box
from sightline.geometry.transforms import rigid


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Annotation:
    """The objects, and how many boxes were left out for which reason."""

    objects: tuple[SceneObject, ...]
    skipped: dict[str, int]


def read_annotation(path: Path) -> Annotation:
    """Objects of `<id>_3dod_annotation.json`, numbered by their place in it, in the world of the trajectory.

    `obbAligned` gives a centre, full lengths, and three axes as the rows of a matrix. A box that is not finite, has no extent or
    whose axes are no rotation is left out and counted. Raises CaptureError for anything that is no annotation, and for a uid twice.
    """
    try:
        values = read_json(path)
    except DataError as error:
        raise CaptureError(str(error)) from error
    data = values.get("data") if isinstance(values, dict) else None
    if not isinstance(data, list) or len(data) > 65535:
        raise CaptureError(f"{path}: data: expected a list of at most 65535 boxes, found {type(data).__name__}")
    uids = Counter(one.get("uid") for one in data if isinstance(one, dict) and isinstance(one.get("uid"), str))
    twice = next((uid for uid, count in uids.items() if count > 1), None)
    if twice is not None:
        raise CaptureError(f"{path}: data: expected every box once, found uid {twice!r} {uids[twice]} times")
    objects: list[SceneObject] = []
    skipped: Counter[str] = Counter()
    for index, one in enumerate(data):
        found = _object(one, index, where=f"{path}: data[{index}]")
        if isinstance(found, str):
            skipped[found] += 1
        else:
            objects.append(found)
    return Annotation(objects=tuple(objects), skipped=dict(skipped))


def _object(one: Any, index: int, *, where: str) -> SceneObject | str:
    """The object, or the reason why its box is left out."""
    try:
        obb, label = one["segments"]["obbAligned"], one["label"]
    except (TypeError, KeyError) as error:
        raise CaptureError(f"{where}: expected `label` and `segments.obbAligned`, found neither or not both ({error})") from error
    if not isinstance(label, str) or not label:
        raise CaptureError(f"{where}: label: expected a word, found {label!r}")
    centre_world = _numbers(obb, "centroid", 3, where=where)
    size_m = _numbers(obb, "axesLengths", 3, where=where)
    axes = _numbers(obb, "normalizedAxes", 9, where=where).reshape(3, 3)
    if not all(np.isfinite(values).all() for values in (centre_world, size_m, axes)):
        return "box_not_finite"
    if not (size_m > 0).all():
        return "box_without_extent"
    if np.linalg.det(axes) < 0:  # a box is the same seen in a mirror along its own axis
        axes = axes * np.array([[1.0], [1.0], [-1.0]])
    try:
        box = Box(size_m=size_m, world_from_object=rigid(axes.T, centre_world))
    except ShapeError:
        return "box_axes_no_rotation"
    uid = one.get("uid")
    return SceneObject(object_id=index, category=label, box=box, attributes={"uid": uid} if isinstance(uid, str) else {})


def _numbers(obb: Any, key: str, count: int, *, where: str) -> np.ndarray:
    """Numbers of a list, NaN for a null. Raises CaptureError."""
    values = obb.get(key) if isinstance(obb, dict) else None
    if not isinstance(values, list) or len(values) != count or not all(_is_number(value) or value is None for value in values):
        raise CaptureError(f"{where}: obbAligned.{key}: expected {count} numbers, found {str(values)[:60]}")
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
