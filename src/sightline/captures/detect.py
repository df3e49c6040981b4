"""Finds the reader for a source folder."""

from pathlib import Path

from sightline.captures import layouts
from sightline.captures.capture import READERS
from sightline.errors import CaptureError

ORDER = ("rooms", "folder")  # the more particular layout first; readers not named here come before `folder`
MAX_LISTED = 12


def find_reader(source: Path) -> str:
    """The name of the first reader that recognises `source`. Raises CaptureError saying what was looked for and what is there."""
    source = Path(source)
    if not source.exists():
        raise CaptureError(f"{source}: expected a folder with a scan, found nothing")
    if not source.is_dir():
        raise CaptureError(f"{source}: expected a folder with a scan, found a file")
    for name in reader_order():
        if READERS[name].recognises(source):
            return name
    children = sorted(child.name + ("/" if child.is_dir() else "") for child in source.iterdir() if not child.name.startswith("."))
    there = ", ".join(children[:MAX_LISTED]) + (f" and {len(children) - MAX_LISTED} more" if len(children) > MAX_LISTED else "")
    raise CaptureError(
        f"{source}: expected a scan, or a folder of scans, that one of the readers {', '.join(READERS)} knows: a colour folder "
        f"({'/ '.join(layouts.COLOR_NAMES)}/) beside a depth folder ({'/ '.join(layouts.DEPTH_NAMES)}/), or a capture.yaml that says where "
        f"they are; found {there or 'an empty folder'}"
    )


def reader_order() -> list[str]:
    """Readers in the order they are asked: `rooms`, then any other, then `folder`, which recognises the most."""
    first, last = ORDER[0], ORDER[-1]
    return (
        [name for name in READERS if name == first]
        + [name for name in READERS if name not in ORDER]
        + [name for name in READERS if name == last]
    )
