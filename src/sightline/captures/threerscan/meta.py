"""The list of 3RScan's scans, `3RScan.json`: which scans show the same room, their split, and how a rescan lies in its reference."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from sightline.captures.matrices import rigid_4x4
from sightline.errors import CaptureError, DataError
from sightline.files import read_json

META_FILE = "3RScan.json"
SPLIT_OF_TYPE = {"train": "train", "validation": "val", "val": "val", "test": "test"}
MM = 1e-3  # translations of the file are millimetres, unlike those of poses and meshes (3RScan FAQ)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ScanMeta:
    """What the list says of one scan."""

    reference: str  # scan id of the first scan of the same room; its own for a first scan
    split: str | None
    transform: Any  # as stored, None for a reference and where the test set hides it
    where: str

    def reference_from_rescan(self) -> np.ndarray | None:
        """(4, 4) metres: points of a rescan in the world of its reference scan; None where the list does not say.

        Stored column by column, translation in millimetres. Raises CaptureError for another shape or no rigid motion.
        """
        if self.transform is None:
            return None
        stored = np.array(self.transform, dtype=np.float64) if isinstance(self.transform, list) and _numbers(self.transform) else None
        if stored is None or stored.shape != (16,):
            raise CaptureError(f"{self.where}: key 'transform': expected 16 numbers, found {str(self.transform)[:60]!a}")
        matrix = stored.reshape(4, 4).T.copy()
        matrix[:3, 3] *= MM
        return rigid_4x4(matrix, where=f"{self.where}: key 'transform'")


def _numbers(values: list[Any]) -> bool:
    return all(type(value) in (int, float) for value in values)


def find_meta(*folders: Path) -> Path | None:
    """The list in the first of these folders that holds one."""
    return next((folder / META_FILE for folder in folders if (folder / META_FILE).is_file()), None)


def read_meta(path: Path) -> Mapping[str, ScanMeta]:
    """Scan id -> what the list says. Raises CaptureError."""
    stat = path.stat()
    return _read_meta(path, stat.st_size, stat.st_mtime_ns)


@lru_cache(maxsize=4)
def _read_meta(path: Path, _num_bytes: int, _changed: int) -> Mapping[str, ScanMeta]:
    try:
        rooms = read_json(path)
    except (DataError, OSError, RecursionError) as error:
        raise CaptureError(str(error) if isinstance(error, DataError) else f"{path}: expected JSON, found {error}") from error
    if not isinstance(rooms, list):
        raise CaptureError(f"{path}: expected a list of rooms, found {type(rooms).__name__}")
    known: dict[str, ScanMeta] = {}
    for number, room in enumerate(rooms):
        where = f"{path}: [{number}]"
        reference = _scan_id(room, where=where)
        split = SPLIT_OF_TYPE.get(str(room.get("type")))
        entries = [(reference, None, where)]
        rescans = room.get("scans", [])
        if not isinstance(rescans, list):
            raise CaptureError(f"{where}: key 'scans': expected a list, found {type(rescans).__name__}")
        for place, rescan in enumerate(rescans):
            inner = f"{where}.scans[{place}]"
            entries.append((_scan_id(rescan, where=inner), rescan.get("transform"), inner))
        for scan_id, transform, inner in entries:
            if scan_id in known:
                raise CaptureError(f"{inner}: expected every scan once, found '{scan_id}' twice")
            known[scan_id] = ScanMeta(reference=reference, split=split, transform=transform, where=inner)
    return known


def _scan_id(value: Any, *, where: str) -> str:
    scan_id = value.get("reference") if isinstance(value, dict) else None
    if not isinstance(scan_id, str) or not scan_id:
        raise CaptureError(f"{where}: key 'reference': expected a scan id, found {str(scan_id)[:40]!a}")
    return scan_id
