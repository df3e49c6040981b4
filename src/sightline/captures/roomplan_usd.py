"""Apple RoomPlan's USDZ export: boxes of its shapes, as far as a file without documented names can tell."""

import math
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from sightline.captures.archives import SafeZip
from sightline.captures.poses import UP_ROTATIONS
from sightline.captures.roomplan_json import MARKS, RoomPlan, objects_of, parse_document, room_plan_of
from sightline.captures.roomplan_parts import LISTS, MAX_EXTENT_M, MIN_EXTENT_M, Part
from sightline.captures.roomplan_structure import build_structure
from sightline.errors import CaptureError, MissingExtraError
from sightline.geometry.transforms import rigid

MAX_MEMBERS = 2000
MAX_BYTES = 512 << 20
MAX_PRIMS = 100_000
MAX_METADATA_BYTES = 64 << 20
LAYERS = (".usd", ".usda", ".usdc")
SHEAR = 1e-3  # cosine between two axes of a transform above which it is no box any more
SURFACES = {"wall": "walls", "door": "doors", "window": "windows", "opening": "openings", "floor": "floors"}
OBJECTS = {
    name.lower(): name
    for name in "storage refrigerator stove bed sink washerDryer toilet bathtub oven dishwasher table sofa chair fireplace television "
    "stairs".split()
}


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
    with SafeZip(path, max_members=MAX_MEMBERS, max_member_bytes=MAX_BYTES, max_total_bytes=MAX_BYTES) as archive:
        names = archive.names()
        for name in names:
            if name.lower().endswith(".json") and archive.size(name) <= MAX_METADATA_BYTES:
                text = archive.read(name, max_bytes=MAX_METADATA_BYTES)
                if all(mark in text for mark in MARKS):
                    where = f"{path}[{name}]"
                    return room_plan_of(parse_document(text, where=where), where=where)
        for name in names:
            archive.read(name, max_bytes=MAX_BYTES)  # sizes and checksums, before another library trusts them
    layers = [name for name in names if name.lower().endswith(LAYERS)]
    if not layers or layers[0] != names[0]:
        raise CaptureError(f"{path}: expected a USD layer as the first member of the package, found {names[0] if names else 'no member'}")
    return _read_stage(path, layers, metadata=[name for name in names if name.lower().endswith((".plist", ".json"))])


def _read_stage(path: Path, layers: list[str], *, metadata: list[str]) -> RoomPlan:
    try:
        from pxr import Sdf, Tf, Usd, UsdGeom
    except ImportError as error:
        raise MissingExtraError("usd-core", "usd") from error
    try:
        for name in layers:
            layer = Sdf.Layer.FindOrOpen(f"{path}[{name}]")
            if layer is None:
                raise CaptureError(f"{path}[{name}]: expected a USD layer, found one that does not open")
            for asset in layer.GetCompositionAssetDependencies():
                if asset.startswith("/") or ":" in asset or ".." in asset.split("/"):
                    raise CaptureError(f"{path}[{name}]: expected no file outside the package, found a reference to {asset[:120]!r}")
        stage = Usd.Stage.Open(str(path))
        skipped: Counter[str] = Counter()
        parts: dict[str, list[Part]] = {kind: [] for kind in LISTS}
        unit_m = float(UsdGeom.GetStageMetersPerUnit(stage))
        up = "+z" if str(UsdGeom.GetStageUpAxis(stage)) == "Z" else "+y"
        for prim_path, category, points, stage_from_prim in _shapes(stage, skipped):
            kind = SURFACES.get(category, "objects")
            part = _part(f"{path}: {prim_path}", kind, category, points, rigid(UP_ROTATIONS[up], np.zeros(3)) @ stage_from_prim, unit_m)
            if isinstance(part, str):
                skipped[part] += 1
            else:
                parts[kind].append(part)
    except Tf.ErrorException as error:
        raise CaptureError(
            f"{path}: expected a USD package, found one that does not open ({str(error).split(chr(10))[0][:160]})"
        ) from error
    if not any(parts.values()):
        raise CaptureError(f"{path}: expected shapes whose paths name walls or furniture, found none ({dict(skipped)})")
    skipped["floor_of_unknown_outline"] += len(parts["floors"])  # a box says nothing of its corners: rooms come from the walls
    built = build_structure({**parts, "floors": []}, ())
    notes: dict[str, Any] = {"read_from": "boxes of USD shapes", "shapes_skipped": {key: n for key, n in sorted(skipped.items()) if n}}
    if metadata:
        notes["metadata_not_read"] = metadata
    if built.counts:
        notes["structure_counts"] = dict(built.counts)
    return RoomPlan(structure=built.structure, objects=objects_of(parts["objects"]), notes=notes)


def _shapes(stage: Any, skipped: Counter[str]) -> Iterator[tuple[str, str, np.ndarray, np.ndarray]]:
    """Path, category, points `(N, 3)` in its own axes and `stage_from_prim` (4, 4) of every mesh and cube of a known kind."""
    from pxr import Usd, UsdGeom

    cache = UsdGeom.XformCache(Usd.TimeCode.Default())
    for number, prim in enumerate(stage.Traverse()):
        if number >= MAX_PRIMS:
            raise CaptureError(f"{prim.GetPath()}: expected at most {MAX_PRIMS} prims, found more")
        if prim.IsA(UsdGeom.Mesh):
            points = np.array(UsdGeom.Mesh(prim).GetPointsAttr().Get() or [], dtype=np.float64).reshape(-1, 3)
        elif prim.IsA(UsdGeom.Cube):
            half = float(UsdGeom.Cube(prim).GetSizeAttr().Get() or 0.0) / 2.0
            points = np.array([[-half] * 3, [half] * 3])
        else:
            continue
        category = _category(prim)
        if category is None:
            skipped["category_not_known"] += 1
            continue
        yield str(prim.GetPath()), category, points, np.array(cache.GetLocalToWorldTransform(prim), dtype=np.float64).T


def _category(prim: Any) -> str | None:
    """The kind that a prim's `category` metadata says, or the nearest name on its path that is one but for numbers and `_grp`."""
    named = prim.GetCustomDataByKey("category")
    words = [str(named)] if named else []
    words += str(prim.GetPath()).strip("/").split("/")[::-1]
    for word in words:
        plain = re.sub(r"(_?grp|group)$", "", word, flags=re.IGNORECASE)
        plain = re.sub(r"[\d_]+", "", plain).lower()
        for name in (plain, plain.removesuffix("s")):
            if name in SURFACES:
                return name
            if name in OBJECTS:
                return OBJECTS[name]
    return None


def _part(place: str, kind: str, category: str, points: np.ndarray, stage_from_prim: np.ndarray, unit_m: float) -> Part | str:
    """The box of a shape in its own axes, their scale taken out; its height is the axis that points up most, its width the longer other."""
    if len(points) == 0 or not (np.isfinite(points).all() and np.isfinite(stage_from_prim).all()):
        return "shape_not_finite"
    scale = np.linalg.norm(stage_from_prim[:3, :3], axis=0)
    if (scale < 1e-9).any():
        return "extent_zero"
    axes = stage_from_prim[:3, :3] / scale
    if np.abs(axes.T @ axes - np.eye(3)).max() > SHEAR:
        return "transform_sheared"
    low, high = points.min(axis=0), points.max(axis=0)
    size_m = (high - low) * scale * unit_m
    centre_m = (stage_from_prim @ np.append((low + high) / 2.0, 1.0))[:3] * unit_m
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
    return Part(place=place, identifier=None, category=category, size_m=size_m, world_from_part=rigid(rotation, centre_m))
