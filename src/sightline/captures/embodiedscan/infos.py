"""The records of EmbodiedScan's `embodiedscan_infos_*.pkl`: scans, their images, cameras and boxes, checked one scan at a time."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from sightline.captures.capture import SceneObject
from sightline.captures.containers.safe_pickle import read_pickle
from sightline.captures.matrices import camera_matrix, matrix_4x4, rigid_4x4
from sightline.captures.options import check_scan_id
from sightline.errors import CaptureError, ConfigError, ShapeError
from sightline.geometry.boxes import Box
from sightline.geometry.transforms import rigid

FILES = re.compile(r"embodiedscan_infos_(train|val|test)(?:[_-][\w-]+)?\.pkl$")
SPLITS = ("train", "val", "test")
SOURCES = {"scannet": 2, "3rscan": 2, "matterport3d": 3, "arkitscenes": 3}  # first part of `sample_idx` -> how many parts it has
MAX_OBJECT_ID = 65534


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class InfoImage:
    """One image as recorded; paths are still the record's own."""

    img_path: str
    depth_path: str | None
    global_from_camera: np.ndarray  # (4, 4), before the alignment; may hold infinity
    K: np.ndarray  # (3, 3)
    K_depth: np.ndarray | None  # None: the colour camera at the size of the depth image
    visible: tuple[int, ...] | None  # places in `InfoScan.instances` of what is seen


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class InfoScan:
    """One scan as recorded."""

    where: str
    parts: tuple[str, ...]  # of `sample_idx`
    split: str
    world_from_global: np.ndarray  # (4, 4) `axis_align_matrix`
    images: tuple[InfoImage, ...]
    instances: Sequence[Any] | None


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class InfoFile:
    """One file: the names of its categories, and the records of its scans, not yet looked at."""

    path: Path
    split: str
    category_of: Mapping[int, str]  # without numbers that two names share
    records: Mapping[str, Mapping[str, Any]]  # scan id -> record


def info_paths(root: Path) -> list[Path]:
    """The files of a folder, or the one that was given."""
    if root.is_file():
        return [root] if FILES.match(root.name) else []
    return sorted(path for path in root.glob("embodiedscan_infos_*.pkl") if FILES.match(path.name)) if root.is_dir() else []


def read_infos(path: Path) -> InfoFile:
    """The records of one file; kept while it does not change, because a whole one takes minutes. Raises CaptureError."""
    stat = path.stat()
    return _read_infos(path, stat.st_size, stat.st_mtime_ns)


@lru_cache(maxsize=len(SPLITS))
def _read_infos(path: Path, _num_bytes: int, _changed: int) -> InfoFile:
    value = read_pickle(path)
    if not isinstance(value, dict) or not {"metainfo", "data_list"} <= set(value):
        lacks = "" if not isinstance(value, dict) else f" without '{min({'metainfo', 'data_list'} - set(value))}'"
        raise CaptureError(f"{path}: expected a mapping with 'metainfo' and 'data_list', found {_said(value)}{lacks}")
    categories = value["metainfo"].get("categories") if isinstance(value["metainfo"], dict) else None
    if not isinstance(categories, dict) or not all(type(name) is str and type(number) is int for name, number in categories.items()):
        raise CaptureError(f"{path}: metainfo: key 'categories': expected a mapping of names to numbers, found {_said(categories)}")
    if not isinstance(value["data_list"], list):
        raise CaptureError(f"{path}: key 'data_list': expected a list of scans, found {_said(value['data_list'])}")
    records: dict[str, Mapping[str, Any]] = {}
    for number, record in enumerate(value["data_list"]):
        where = f"{path}: data_list[{number}]"
        if not isinstance(record, dict):
            raise CaptureError(f"{where}: expected a mapping, found {_said(record)}")
        scan_id = "__".join(_parts(record.get("sample_idx"), where=where))
        if scan_id in records:
            raise CaptureError(f"{where}: expected every sample_idx once, found {record['sample_idx']!r} twice")
        records[scan_id] = record
    match = FILES.match(path.name)
    assert match is not None, "asked of files of that name"
    names = Counter(categories.values())
    category_of = {number: name for name, number in categories.items() if names[number] == 1}  # a box of two names has none
    return InfoFile(path=path, split=match[1], category_of=category_of, records=records)


def _parts(sample_idx: Any, *, where: str) -> tuple[str, ...]:
    """`scannet/scene0000_00` as its parts, which name folders and places: nothing else may stand there."""
    parts = tuple(sample_idx.split("/")) if isinstance(sample_idx, str) else ()
    if not parts or len(parts) != SOURCES.get(parts[0]):
        known = ", ".join(name + "/..." * (count - 1) for name, count in SOURCES.items())
        raise CaptureError(f"{where}: key 'sample_idx': expected one of {known}, found {str(sample_idx)[:80]!a}")
    try:
        for part in parts:
            check_scan_id(part, where=f"{where}: key 'sample_idx'")
        check_scan_id("__".join(parts), where=f"{where}: key 'sample_idx'")
    except ConfigError as error:
        raise CaptureError(str(error)) from error
    return parts


def scan_of(infos: InfoFile, scan_id: str) -> InfoScan:
    """One scan's record, checked. Raises CaptureError naming the key."""
    record = infos.records[scan_id]
    where = f"{infos.path}: {record['sample_idx']}"
    if "axis_align_matrix" not in record:
        raise CaptureError(f"{where}: key 'axis_align_matrix' is missing: without it the boxes and the images have different worlds")
    images, instances = record.get("images"), record.get("instances")
    if not isinstance(images, list) or not images:
        raise CaptureError(f"{where}: key 'images': expected a list of images, found {_said(images) if images else 'none'}")
    if not isinstance(instances, list | None):
        raise CaptureError(f"{where}: key 'instances': expected a list of boxes, found {_said(instances)}")
    return InfoScan(
        where=where,
        parts=_parts(record["sample_idx"], where=where),
        split=infos.split,
        world_from_global=rigid_4x4(record["axis_align_matrix"], where=f"{where}: axis_align_matrix"),
        images=tuple(_image(one, record, where=f"{where}: images[{number}]") for number, one in enumerate(images)),
        instances=instances,
    )


def _image(image: Any, record: Mapping[str, Any], *, where: str) -> InfoImage:
    if not isinstance(image, dict):
        raise CaptureError(f"{where}: expected a mapping, found {_said(image)}")
    K = image.get("cam2img", record.get("cam2img"))
    K_depth = image.get("depth_cam2img", record.get("depth_cam2img"))
    missing = next((key for key, value in (("cam2img", K), ("cam2global", image.get("cam2global"))) if value is None), None)
    if missing is not None:
        raise CaptureError(f"{where}: {missing}: expected a matrix, found none{' here or in the scan' if missing == 'cam2img' else ''}")
    visible = image.get("visible_instance_ids")
    if not isinstance(visible, list | np.ndarray | None) or any(
        not isinstance(one, int | np.integer) for one in (() if visible is None else visible)
    ):
        raise CaptureError(f"{where}: key 'visible_instance_ids': expected whole numbers, found {_said(visible)}")
    return InfoImage(
        img_path=_path(image, "img_path", where=where),
        depth_path=_path(image, "depth_path", where=where) if image.get("depth_path") is not None else None,
        global_from_camera=matrix_4x4(image.get("cam2global"), where=f"{where}: cam2global"),
        K=camera_matrix(K, where=f"{where}: cam2img"),
        K_depth=None if K_depth is None else camera_matrix(K_depth, where=f"{where}: depth_cam2img"),
        visible=None if visible is None else tuple(int(one) for one in visible),
    )


def _path(image: Mapping[str, Any], key: str, *, where: str) -> str:
    path = image.get(key)
    if not isinstance(path, str) or not path or not path.isprintable():
        raise CaptureError(f"{where}: key '{key}': expected a path, found {_said(path)}")
    return path


def objects_of(scan: InfoScan, category_of: Mapping[int, str]) -> tuple[dict[int, SceneObject], dict[str, int]]:
    """Place in `instances` -> object, in the aligned world; and how many boxes were left out, by reason.

    Raises CaptureError: a box of other than nine numbers, an id twice or out of range.
    """
    objects: dict[int, SceneObject] = {}
    skipped: Counter[str] = Counter()
    seen: set[int] = set()
    for place, instance in enumerate(scan.instances or ()):
        where = f"{scan.where}: instances[{place}]"
        if not isinstance(instance, dict):
            raise CaptureError(f"{where}: expected a mapping, found {_said(instance)}")
        object_id = _whole(instance, "bbox_id", where=where)
        if not 0 <= object_id <= MAX_OBJECT_ID or object_id in seen:
            raise CaptureError(f"{where}: key 'bbox_id': expected each of 0 to {MAX_OBJECT_ID} once, found {object_id}")
        seen.add(object_id)
        label = _whole(instance, "bbox_label_3d", where=where)
        box = _box(instance.get("bbox_3d"), where=where)
        if isinstance(box, str) or label not in category_of:
            skipped[box if isinstance(box, str) else "label_unknown"] += 1
            continue
        objects[place] = SceneObject(object_id=object_id, category=category_of[label], box=box)
    return objects, dict(sorted(skipped.items()))


def _whole(instance: Mapping[str, Any], key: str, *, where: str) -> int:
    value = instance.get(key)
    if not isinstance(value, int | np.integer) or isinstance(value, bool):
        raise CaptureError(f"{where}: key '{key}': expected a whole number, found {_said(value)}")
    return int(value)


def _box(value: Any, *, where: str) -> Box | str:
    """The box of centre, full extents and three angles, or the reason why it is none."""
    try:
        numbers = np.asarray(value, dtype=np.float64)
    except (ValueError, TypeError, OverflowError) as error:
        raise CaptureError(f"{where}: key 'bbox_3d': expected nine numbers, found {_said(value)}") from error
    if numbers.shape != (9,):
        raise CaptureError(f"{where}: key 'bbox_3d': expected centre, extents and three angles (nine numbers), found {numbers.size}")
    if not np.isfinite(numbers).all():
        return "box_not_finite"
    if (numbers[3:6] <= 0).any():
        return "box_no_extent"
    try:
        return Box(size_m=numbers[3:6], world_from_object=rigid(rotation_of_zxy(*numbers[6:]), numbers[:3]))
    except ShapeError:
        return "box_not_finite"


def rotation_of_zxy(alpha_rad: float, beta_rad: float, gamma_rad: float) -> np.ndarray:
    """`world_from_object` (3, 3) of EmbodiedScan's angles: Rz(alpha) Rx(beta) Ry(gamma) (its Euler boxes, convention ZXY)."""
    (sa, sb, sg), (ca, cb, cg) = np.sin([alpha_rad, beta_rad, gamma_rad]), np.cos([alpha_rad, beta_rad, gamma_rad])
    about_z = np.array([[ca, -sa, 0.0], [sa, ca, 0.0], [0.0, 0.0, 1.0]])
    about_x = np.array([[1.0, 0.0, 0.0], [0.0, cb, -sb], [0.0, sb, cb]])
    about_y = np.array([[cg, 0.0, sg], [0.0, 1.0, 0.0], [-sg, 0.0, cg]])
    return about_z @ about_x @ about_y


def _said(value: Any) -> str:
    return f"{type(value).__name__} {str(value)[:40]!a}" if isinstance(value, str | int | float) else type(value).__name__
