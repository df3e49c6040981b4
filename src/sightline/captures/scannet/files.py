"""Finds the files of ScanNet scans: recordings, exported frames, what lies beside them, and the lists of the splits."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sightline.captures.layouts import natural
from sightline.captures.texts import read_text
from sightline.errors import CaptureError

SPLITS = ("train", "val", "test")
SCAN_FOLDERS = ("scans", "scans_test")
LIST_PLACES = ("", "splits", "meta_data", "..", "../splits", "../meta_data")
EXPORT_PLACES = ("", "exported", "export", "frames")
EXPORT_FOLDERS = ("color", "depth", "pose")
SIDECARS = (
    ".aggregation.json",
    "_vh_clean_2.ply",
    "_vh_clean.ply",
    "_vh_clean.aggregation.json",
    "_2d-instance-filt.zip",
    "_2d-instance.zip",
)
_SCENE = re.compile(r"(scene\d{4})_\d{2}")
_KEYS = re.compile(rb"(?m)^\s*(axisAlignment|numColorFrames|colorWidth|colorToDepthExtrinsics|sceneType)\s*=")
_HEAD_BYTES = 4096


@dataclass(frozen=True, kw_only=True, slots=True)
class ScanFiles:
    """Where the parts of one scan lie; None for those that are not there."""

    scan_id: str
    folder: Path
    sens: Path | None
    exported: Path | None  # holds color/, depth/ and pose/
    text: Path | None
    mesh: Path | None
    segments: Path | None
    groups: Path | None
    instance_zip: Path | None

    @property
    def place_id(self) -> str:
        """Scans of one space share it: `scene0000_00` and `scene0000_01` are of `scene0000`."""
        scene = _SCENE.fullmatch(self.scan_id)
        return f"scannet_{scene[1]}" if scene else self.scan_id

    @property
    def is_named_like_scannet(self) -> bool:
        """Whether the name is one of ScanNet's; other recordings are somebody's own."""
        return _SCENE.fullmatch(self.scan_id) is not None


def find_scans(root: Path) -> Iterator[ScanFiles]:
    """The scans of a `.sens` file, a scan's folder, a folder of scans, or a data set's root, in natural order. Images are not opened."""
    if root.is_file():
        if root.suffix == ".sens":
            yield _scan(root.parent, root.name.removesuffix(".sens"), sens=root, exported=None)
        return
    if not root.is_dir():
        return
    own = list(_scans_in(root))
    yield from own
    if own:
        return
    for place in (root, *(root / name for name in SCAN_FOLDERS)):
        if place.is_dir():
            children = (child for child in place.iterdir() if child.is_dir() and not child.name.startswith("."))
            for child in sorted(children, key=lambda path: natural(path.name)):
                yield from _scans_in(child)


def find_scan(root: Path, scan_id: str) -> ScanFiles | None:
    """One scan where its folder is named as it is, without looking through the other thousand; None where it is not so."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", scan_id):
        return None
    for place in ("", *SCAN_FOLDERS):
        folder = root / place / scan_id
        found = next((files for files in _scans_in(folder) if files.scan_id == scan_id), None) if folder.is_dir() else None
        if found is not None:
            return found
    return None


def listed_scans(root: Path, split: str) -> list[str] | None:
    """The ids of a split's list (`scannetv2_train.txt`) that lies at or beside `root`, None where there is none. Raises CaptureError."""
    base = root.parent if root.is_file() else root
    path = next(
        (base / place / f"scannetv2_{split}.txt" for place in LIST_PLACES if (base / place / f"scannetv2_{split}.txt").is_file()), None
    )
    if path is None:
        return None
    ids = []
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        if line.strip():
            if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}", line.strip()):
                raise CaptureError(f"{path}:{number}: expected a scan id such as scene0000_00, found {line.strip()[:40]!r}")
            ids.append(line.strip())
    return ids


def _scans_in(folder: Path) -> Iterator[ScanFiles]:
    """The scans that lie directly in a folder: each `.sens`, or frames exported beside files of ScanNet's names."""
    exported = next((folder / place for place in EXPORT_PLACES if all((folder / place / one).is_dir() for one in EXPORT_FOLDERS)), None)
    recordings = sorted(
        (path for path in folder.glob("*.sens") if path.is_file() and not path.name.startswith(".")), key=lambda path: natural(path.name)
    )
    for path in recordings:
        yield _scan(folder, path.name.removesuffix(".sens"), sens=path, exported=exported if len(recordings) == 1 else None)
    if not recordings and exported is not None:
        stem = _stem_beside(folder)
        if stem is not None:
            yield _scan(folder, stem, sens=None, exported=exported)


def _stem_beside(folder: Path) -> str | None:
    """The scan's name in the names of ScanNet's files beside exported frames, None where there are no such files."""
    for path in sorted(folder.iterdir()):
        for ending in SIDECARS:
            if path.name.endswith(ending) and len(path.name) > len(ending) and path.is_file():
                return path.name.removesuffix(ending).removesuffix("_vh_clean")
        if path.suffix == ".txt" and (path.stem == folder.name or _SCENE.fullmatch(path.stem)) and path.is_file():
            with path.open("rb") as stream:
                if _KEYS.search(stream.read(_HEAD_BYTES)):
                    return path.stem
    return None


def _scan(folder: Path, stem: str, *, sens: Path | None, exported: Path | None) -> ScanFiles:
    def there(name: str) -> Path | None:
        return folder / name if (folder / name).is_file() else None

    segments = sorted(path for path in folder.glob("*_vh_clean_2.*.segs.json") if path.name.startswith(f"{stem}_vh_clean_2."))
    return ScanFiles(
        scan_id=re.sub(r"[^A-Za-z0-9._-]+", "_", stem).strip("._-")[:128] or "scan",
        folder=folder,
        sens=sens,
        exported=exported,
        text=there(f"{stem}.txt"),
        mesh=there(f"{stem}_vh_clean_2.ply"),
        segments=segments[0] if segments else None,
        groups=there(f"{stem}.aggregation.json"),
        instance_zip=there(f"{stem}_2d-instance-filt.zip") or there(f"{stem}_2d-instance.zip"),
    )
