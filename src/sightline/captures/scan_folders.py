"""Finds the scans below a folder for readers whose scans are one folder or one file each, and names them."""

from collections.abc import Callable, Sequence
from pathlib import Path

from sightline.captures.folder import id_of
from sightline.captures.layouts import natural
from sightline.errors import CaptureError


def scans_below(root: Path, is_scan: Callable[[Path], bool]) -> list[Path]:
    """`root` itself where it is a scan, else those of its subfolders that are, in natural order. Hidden folders are left out."""
    if not root.is_dir():
        return []
    if is_scan(root):
        return [root]
    children = (child for child in root.iterdir() if child.is_dir() and not child.name.startswith("."))
    return sorted((child for child in children if is_scan(child)), key=lambda path: natural(path.name))


def by_scan_id(root: Path, places: Sequence[Path], *, layout: str, expected: str | None = None) -> dict[str, Path]:
    """Scan id -> folder or file. Raises CaptureError where there is none (of what `expected` says), or where two make the same id."""
    if not places:
        wanted = expected or f"a scan in the {layout} layout, or a folder of them"
        raise CaptureError(f"{root}: expected {wanted}, found {'none' if root.exists() else 'nothing'}")
    named: dict[str, Path] = {}
    for place in places:
        scan_id = id_of(place.with_suffix("") if place.is_file() else place)
        if scan_id in named:
            raise CaptureError(f"{place}: scan id '{scan_id}' is already that of {named[scan_id]}; rename one of them")
        named[scan_id] = place
    return named


def folder_of(named: dict[str, Path], scan_id: str, *, root: Path) -> Path:
    """The folder of one scan. Raises CaptureError naming some of the known ones."""
    if scan_id not in named:
        raise CaptureError(f"{root}: expected one of the scans {', '.join(list(named)[:12])}, found '{scan_id}'")
    return named[scan_id]


def refuse_split(split: str, *, root: Path, layout: str) -> None:
    """For layouts without splits of their own. Raises CaptureError for any but `all`."""
    if split != "all":
        raise CaptureError(f"{root}: expected split 'all' (the {layout} layout has no other), found '{split}'")
