"""Images that a model or a list names by their paths: found below their folder, never outside it, and given frame ids."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from sightline.captures.assemble import MAX_BAD_SHARE
from sightline.captures.capture import SkippedFrame
from sightline.errors import CaptureError, DataError
from sightline.files import safe_join

HALF_PIXEL = 0.5  # between pixel centres at +0.5 (COLMAP, nerfstudio) and at integers (OpenCV, ours)


def frame_ids(names: Sequence[str]) -> list[str]:
    """One id per path: the file name without its suffix where all differ, else the whole path with '_' for '/'."""
    names = [name.replace("\\", "/") for name in names]
    stems = [PurePosixPath(name).stem for name in names]
    if len(set(stems)) == len(stems):
        return stems
    return ["_".join(PurePosixPath(name).with_suffix("").parts) for name in names]


def named_image(folder: Path, name: str, *, where: str) -> Path | None:
    """The file, None where there is none. Raises CaptureError for a name that leads out of the folder."""
    if not name or len(name) > 1000:
        raise CaptureError(f"{where}: expected the name of an image, found {name[:40]!r}")
    try:
        path = safe_join(folder, name)
        if "\\" in name and not path.is_file():
            path = safe_join(folder, name.replace("\\", "/"))  # as scripts on Windows write paths
    except DataError as error:
        raise CaptureError(f"{where}: {error}") from error
    return path if path.is_file() else None


def refuse_mostly_skipped(skipped: Sequence[SkippedFrame], *, count: int, where: str, fix: str = "") -> None:
    """Raise CaptureError where more than a fifth of the frames had to be left out before they were even looked at."""
    if not skipped or len(skipped) <= MAX_BAD_SHARE * count:
        return
    reasons = ", ".join(f"{reason}: {number}" for reason, number in sorted(Counter(one.reason for one in skipped).items()))
    raise CaptureError(
        f"{where}: expected usable frames, found {len(skipped)} of {count} that are not ({reasons}; first: {skipped[0].frame_id})"
        + (f". {fix}" if fix else "")
    )
