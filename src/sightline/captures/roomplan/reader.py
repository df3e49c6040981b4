"""Reads Apple RoomPlan scans: a room's walls, openings, floors and furniture without any picture."""

import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from sightline.captures import conventions
from sightline.captures.capture import Capture
from sightline.captures.options import ScanOptions, check_scan_id, scan_options
from sightline.captures.roomplan.captured_room import looks_like_roomplan, read_captured_room
from sightline.captures.roomplan.usd import looks_like_usdz, read_usdz
from sightline.config import config
from sightline.errors import CaptureError

LICENCE = "unknown"  # a scan of your own: it is for you to say
SUFFIXES = (".json", ".usdz")
MAX_FILES = 2000  # of a folder that is looked at


@config
class RoomPlanOptions(ScanOptions):
    """Options of a RoomPlan import. There are no frames, so `frame_step` and `max_frames` change nothing."""


class RoomPlanReader:
    """Reads a CapturedRoom or CapturedStructure `.json`, a `.usdz`, or a folder of such JSON files, one scan each."""

    name: ClassVar[str] = "roomplan"

    def __init__(self, root: Path, options: Mapping[str, Any]) -> None:
        self.root = Path(root)
        self.options = scan_options(RoomPlanOptions, options)
        if not self.root.exists():
            raise CaptureError(f"{self.root}: expected a RoomPlan .json or .usdz file, or a folder with one, found nothing")

    @classmethod
    def recognises(cls, root: Path) -> bool:
        """Whether `root` is such a file, or a folder without subfolders that holds one."""
        return bool(_files(Path(root)))

    def scan_ids(self, split: str) -> Sequence[str]:
        """Names of the files without their endings, sorted; the folder's name where it holds a single one."""
        if split != "all":
            raise CaptureError(f"{self.root}: expected the split 'all', found '{split}'; RoomPlan scans are split by place later")
        return list(self._by_id)

    def source_files(self, scan_id: str) -> Sequence[Path]:
        """The one file of the scan."""
        return (self._file(scan_id),)

    def read(self, scan_id: str, *, workspace: Path) -> Capture:
        """A capture without frames. Raises CaptureError as `read_captured_room` and `read_usdz` do."""
        path = self._file(scan_id)
        plan = read_usdz(path) if path.suffix.lower() == ".usdz" else read_captured_room(path)
        convention = conventions.stated(pose_direction="world_from_camera", camera_axes="opencv", up_axis="+y")
        return Capture(
            scan_id=scan_id,
            place_id=self.options.place_id or scan_id,
            source=self.name,
            licence=self.options.licence or LICENCE,
            frames=(),
            objects=plan.objects,
            structure=plan.structure,
            notes={"convention": convention.as_notes(), "device": "Apple RoomPlan", **plan.notes},
        )

    @cached_property
    def _by_id(self) -> dict[str, Path]:
        forced = self.root.is_file() and self.root.suffix.lower() in SUFFIXES  # says itself what is wrong with it
        files = [self.root] if forced else _files(self.root)
        if not files:
            raise CaptureError(f"{self.root}: expected a RoomPlan .json or .usdz file, or a folder with one, found none")
        named = {}
        for path in files:
            name = self.root.resolve().name if self.root.is_dir() and len(files) == 1 else path.stem
            scan_id = check_scan_id(re.sub(r"[^A-Za-z0-9._-]+", "_", name).strip("._-") or "room", where=str(path))
            if scan_id in named:
                raise CaptureError(f"{path}: expected scans of different names, found '{scan_id}' again, first of {named[scan_id]}")
            named[scan_id] = path
        return dict(sorted(named.items()))

    def _file(self, scan_id: str) -> Path:
        files = self._by_id
        if scan_id not in files:
            raise CaptureError(f"{self.root}: expected a RoomPlan scan called '{scan_id}', found {', '.join(list(files)[:12])}")
        return files[scan_id]


def _files(root: Path) -> list[Path]:
    if root.is_file():
        return [root] if looks_like_roomplan(root) or looks_like_usdz(root) else []
    if not root.is_dir():
        return []
    inside = [path for path in root.iterdir() if not path.name.startswith(".")]
    if len(inside) > MAX_FILES or any(path.is_dir() for path in inside):
        return []  # a scan with pictures, which another reader knows
    return sorted(path for path in inside if looks_like_roomplan(path))
