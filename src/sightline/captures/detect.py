"""Finds the reader for a source folder or file."""

from pathlib import Path

from sightline.captures import layouts
from sightline.captures.capture import READERS
from sightline.errors import CaptureError

GENERAL = ("folder",)  # asked last: they recognise what others also do
MAX_LISTED = 12


def find_reader(source: Path) -> str:
    """The name of the one reader that recognises `source`, a folder or a file.

    Raises CaptureError: naming the candidates where there are several, else saying what was looked for and what is there.
    """
    source = Path(source)
    if not source.exists():
        raise CaptureError(f"{source}: expected a folder with a scan, found nothing")
    found = [name for name in READERS if name not in GENERAL and READERS[name].recognises(source)]
    found = found or [name for name in GENERAL if READERS[name].recognises(source)]
    if len(found) == 1:
        return found[0]
    if found:
        raise CaptureError(f"{source}: expected one layout, found one that could be {' or '.join(found)}. Fix: --format {found[0]}")
    if not source.is_dir():
        raise CaptureError(
            f"{source}: expected a scan that one of the readers {', '.join(READERS)} knows, found a file that none of them does. "
            "Fix: give the folder that holds the scan"
        )
    children = sorted(child.name + ("/" if child.is_dir() else "") for child in source.iterdir() if not child.name.startswith("."))
    there = ", ".join(children[:MAX_LISTED]) + (f" and {len(children) - MAX_LISTED} more" if len(children) > MAX_LISTED else "")
    raise CaptureError(
        f"{source}: expected a scan, or a folder of scans, that one of the readers {', '.join(READERS)} knows: a colour folder "
        f"({'/ '.join(layouts.COLOR_NAMES)}/) beside a depth folder ({'/ '.join(layouts.DEPTH_NAMES)}/), or a capture.yaml that says where "
        f"they are; found {there or 'an empty folder'}"
    )
