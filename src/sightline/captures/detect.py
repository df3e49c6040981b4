"""Finds the reader for a source folder or file, or says which folder near it to give instead."""

from itertools import islice
from pathlib import Path

from sightline.captures import layouts
from sightline.captures.capture import READERS
from sightline.captures.options import CAPTURE_FILE
from sightline.errors import CaptureError, SightlineError

GENERAL = ("folder",)  # asked last: they recognise what others also do
MAX_LISTED = 12
LEVELS_UP = 3  # from sparse/0/cameras.txt to its project
MAX_CHILDREN = 24  # that are looked at for a better folder to give


def find_reader(source: Path) -> str:
    """The name of the one reader that recognises `source`, a folder or a file.

    Raises CaptureError: naming the candidates where there are several, else saying what was looked for and what is there, and which
    folder above or below it is a scan.
    """
    source = Path(source)
    if not source.exists():
        raise CaptureError(f"{source}: expected a folder with a scan, found nothing")
    found = _specific(source)
    if not found:
        _refuse_several_of_another_layout(source)
        found = [name for name in GENERAL if READERS[name].recognises(source)]
    if len(found) == 1:
        return found[0]
    if found:
        raise CaptureError(f"{source}: expected one layout, found one that could be {' or '.join(found)}. Fix: --format {found[0]}")
    instead = _instead(source)
    if not source.is_dir():
        raise CaptureError(
            f"{source}: expected a scan that one of the readers {', '.join(READERS)} knows, found a file that none of them does. "
            + (instead or "Fix: give the folder that holds the scan")
        )
    children = sorted(child.name + ("/" if child.is_dir() else "") for child in source.iterdir() if not child.name.startswith("."))
    there = ", ".join(children[:MAX_LISTED]) + (f" and {len(children) - MAX_LISTED} more" if len(children) > MAX_LISTED else "")
    raise CaptureError(
        f"{source}: expected a scan, or a folder of scans, that one of the readers {', '.join(READERS)} knows: a colour folder "
        f"({'/ '.join(layouts.COLOR_NAMES)}/) beside a depth folder ({'/ '.join(layouts.DEPTH_NAMES)}/), or a {CAPTURE_FILE} that says "
        f"where they are; found {there or 'an empty folder'}" + (f". {instead}" if instead else "")
    )


def _specific(source: Path) -> list[str]:
    return [name for name in READERS if name not in GENERAL and READERS[name].recognises(source)]


def _refuse_several_of_another_layout(source: Path) -> None:
    """Images beside depth in subfolders look like own scans, also where they are projects of a layout that is given one at a time."""
    folders = [folder for folder in layouts.scan_folders(source) if folder != source and not (folder / CAPTURE_FILE).exists()]
    for folder in folders[:MAX_CHILDREN]:
        names = _specific(folder)
        if names:
            raise CaptureError(
                f"{source}: expected a scan, found folders of the layout '{names[0]}', which are imported one at a time. Fix: give {folder}"
            )


def _instead(source: Path) -> str:
    """What to give in its place: the scan that `source` is a part of, or the folder below that holds one. Empty where there is none."""
    for above in islice(source.absolute().parents, LEVELS_UP):
        for name in _recognised(above):
            if _reads(name, above, source.absolute()):
                return f"Fix: give {above}, a scan of the layout '{name}'" if name not in GENERAL else f"Fix: give {above}"
    if not source.is_dir():
        return ""
    below = sorted(child for child in source.iterdir() if child.is_dir() and not child.name.startswith("."))
    for folder in below[:MAX_CHILDREN]:
        names = _recognised(folder)
        if names:
            return f"Fix: give {folder}, which the reader '{names[0]}' knows"
    return ""


def _recognised(place: Path) -> list[str]:
    try:
        return _specific(place) or [name for name in GENERAL if READERS[name].recognises(place)]
    except OSError:  # a folder that may not be looked into
        return []


def _reads(name: str, root: Path, part: Path) -> bool:
    """Whether a file of the scans at `root` is `part` or lies below it."""
    try:
        reader = READERS[name](root, {})
        files = (path for scan_id in islice(reader.scan_ids("all"), MAX_CHILDREN) for path in reader.source_files(scan_id))
        return any(path.absolute().is_relative_to(part) for path in files)
    except (SightlineError, OSError):
        return False
