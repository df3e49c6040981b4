"""Apple RoomPlan's USDZ export: boxes of its shapes, as far as a file without documented names can tell."""

import math
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from sightline.captures.containers.archives import SafeZip
from sightline.captures.poses import UP_ROTATIONS
from sightline.captures.roomplan.captured_room import MARKS, RoomPlan, objects_of, parse_document, room_plan_of
from sightline.captures.roomplan.parts import FAR_M, LISTS, MAX_EXTENT_M, MIN_EXTENT_M, Part
from sightline.captures.roomplan.structure import build_structure
from sightline.captures.roomplan.usd_shapes import LAYERS, Shape, read_stage
from sightline.errors import CaptureError
from sightline.geometry.transforms import rigid

MAX_MEMBERS = 2000
MAX_BYTES = 512 << 20
MAX_METADATA_BYTES = 64 << 20
SHEAR = 1e-3  # cosine between two axes of a transform above which it is no box any more
SURFACES = {"wall": "walls", "door": "doors", "window": "windows", "opening": "openings", "floor": "floors"}


def looks_like_usdz(path: Path) -> bool:
    """Whether a file is a zip archive called `.usdz`."""
    if path.suffix.lower() != ".usdz" or not path.is_file():
        return False
    with path.open("rb") as stream:
        return stream.read(4) == b"PK\x03\x04"


def read_usdz(path: Path) -> RoomPlan:
    """The CapturedRoom inside the archive where there is one, else a box of every shape whose path names its kind.

    The package is checked as a zip before USD sees it: no path that leads outside, no bombs, and no layer that refers to a file
    outside the package. Raises CaptureError naming file and member, MissingExtraError without `usd-core`.
    """
    with SafeZip(path, max_members=MAX_MEMBERS, max_member_bytes=MAX_BYTES, max_total_bytes=2 * MAX_BYTES) as archive:
        names = archive.names()
        for name in names:
            if name.lower().endswith(".json") and archive.size(name) <= MAX_METADATA_BYTES:
                text = archive.read(name, max_bytes=MAX_METADATA_BYTES)
                if all(mark in text for mark in MARKS):
                    where = f"{path}[{name}]"
                    return room_plan_of(parse_document(text, where=where), where=where)
        for name in names:
            archive.read(name, max_bytes=MAX_BYTES)  # sizes and checksums, before another library trusts them
    if not names or not names[0].lower().endswith(LAYERS):
        raise CaptureError(f"{path}: expected a USD layer as the first member of the package, found {names[0] if names else 'no member'}")
    return _plan_of_stage(path, metadata=[name for name in names if name.lower().endswith((".plist", ".json"))])


def _plan_of_stage(path: Path, *, metadata: list[str]) -> RoomPlan:
    stage = read_stage(path)
    if not (math.isfinite(stage.unit_m) and 1e-4 <= stage.unit_m <= 10.0):
        raise CaptureError(f"{path}: metersPerUnit: expected a length between a tenth of a millimetre and 10 m, found {stage.unit_m:g}")
    skipped: Counter[str] = Counter(category_not_known=stage.num_unknown)
    parts: dict[str, list[Part]] = {kind: [] for kind in LISTS}
    for shape in stage.shapes:
        kind = SURFACES.get(shape.category, "objects")
        part = _part(f"{path}: {shape.path}", kind, shape, rigid(UP_ROTATIONS[stage.up_axis], np.zeros(3)), stage.unit_m)
        if isinstance(part, str):
            skipped[part] += 1
        else:
            parts[kind].append(part)
    if not any(parts.values()):
        raise CaptureError(f"{path}: expected shapes whose paths name walls or furniture, found none ({dict(+skipped)})")
    skipped["floor_of_unknown_outline"] += len(parts["floors"])  # a box says nothing of its corners: rooms come from the walls
    built = build_structure({**parts, "floors": []}, ())
    notes: dict[str, Any] = {"read_from": "boxes of USD shapes", "shapes_skipped": dict(sorted((+skipped).items()))}
    if metadata:
        notes["metadata_not_read"] = metadata
    if built.counts:
        notes["structure_counts"] = dict(built.counts)
    return RoomPlan(structure=built.structure, objects=objects_of(parts["objects"]), notes=notes)


def _part(place: str, kind: str, shape: Shape, world_from_stage: np.ndarray, unit_m: float) -> Part | str:
    """The box of a shape in its own axes, their scale taken out; its height is the axis that points up most, its width the longer other."""
    if not (np.isfinite([shape.low, shape.high]).all() and np.isfinite(shape.stage_from_shape).all()):
        return "shape_not_finite"
    if max(np.abs([shape.low, shape.high]).max(), np.abs(shape.stage_from_shape).max()) > FAR_M / unit_m:
        return "shape_far_away"
    world_from_shape = world_from_stage @ shape.stage_from_shape
    scale = np.linalg.norm(world_from_shape[:3, :3], axis=0)
    if (scale < 1e-9).any():
        return "extent_zero"
    axes = world_from_shape[:3, :3] / scale
    if np.abs(axes.T @ axes - np.eye(3)).max() > SHEAR:
        return "transform_sheared"
    size_m = (shape.high - shape.low) * scale * unit_m
    centre_m = (world_from_shape @ np.append((shape.low + shape.high) / 2.0, 1.0))[:3] * unit_m
    up = int(np.abs(axes[2]).argmax())
    across = [axis for axis in range(3) if axis != up]
    across.sort(key=lambda axis: -size_m[axis] if kind != "objects" else axis)
    height_axis = axes[:, up] * math.copysign(1.0, axes[2, up])
    width_axis = axes[:, across[0]]
    rotation = np.column_stack([width_axis, height_axis, np.cross(width_axis, height_axis)])
    size_m = size_m[[across[0], up, across[1]]]
    needed = size_m if kind == "objects" else size_m[:2]
    if (needed < MIN_EXTENT_M).any() and kind != "floors":
        return "extent_zero"
    if size_m.max() > MAX_EXTENT_M:
        return "extent_beyond_200_m"
    return Part(place=place, identifier=None, category=shape.category, size_m=size_m, world_from_part=rigid(rotation, centre_m))
