"""The files of a Polycam raw export, lying in a folder or in the zip archive that the app shares."""

from pathlib import Path, PurePosixPath

from sightline.captures.containers.archives import SafeZip
from sightline.errors import CaptureError

KEYFRAMES = "keyframes"
CAMERA_FOLDERS = ("corrected_cameras", "cameras")
MAX_CAMERA_BYTES = 1 << 20
MAX_MEMBER_BYTES = 512 << 20


class KeyframeFiles:
    """Files below `keyframes/`, named `<folder>/<timestamp>.<kind>`; members of an archive are taken out one by one when asked for."""

    def __init__(self, source: Path, archive: SafeZip | None) -> None:
        self.source = source
        self._archive = archive
        self._prefix = _prefix(archive) if archive is not None else ""

    def stems(self, folder: str, suffixes: tuple[str, ...]) -> dict[str, str]:
        """Timestamp -> name, in the order of time. Raises CaptureError for a name that is no time in microseconds, or two of one."""
        found: dict[str, str] = {}
        for name in self._names(folder):
            path = PurePosixPath(name)
            if path.suffix.lower() not in suffixes or path.name.startswith("."):
                continue
            if not (path.stem.isascii() and path.stem.isdigit() and len(path.stem) <= 18):
                raise CaptureError(f"{self.where(name)}: expected a name that is a time in microseconds, found '{path.stem}'")
            if path.stem in found:
                raise CaptureError(f"{self.where(name)}: expected one file per time, found {found[path.stem]} too")
            found[path.stem] = name
        return dict(sorted(found.items(), key=lambda pair: int(pair[0])))

    def where(self, name: str) -> str:
        """A name for messages."""
        if self._archive is not None:
            return f"{self.source}: {self._prefix}{KEYFRAMES}/{name}"
        return str(self.source / KEYFRAMES / name)

    def content(self, name: str) -> bytes:
        """The bytes of a small file. Raises CaptureError."""
        if self._archive is not None:
            return self._archive.read(f"{self._prefix}{KEYFRAMES}/{name}", max_bytes=MAX_CAMERA_BYTES)
        path = self.source / KEYFRAMES / name
        try:
            if path.stat().st_size > MAX_CAMERA_BYTES:
                raise CaptureError(f"{path}: expected at most {MAX_CAMERA_BYTES} bytes, found {path.stat().st_size}")
            return path.read_bytes()
        except OSError as error:
            raise CaptureError(f"{path}: expected a file that can be read, found {error}") from error

    def path(self, name: str, workspace: Path) -> Path:
        """The file itself: where it lies, or taken out of the archive into `workspace`."""
        if self._archive is None:
            return self.source / KEYFRAMES / name
        member = f"{self._prefix}{KEYFRAMES}/{name}"
        return self._archive.extract([member], workspace / "unpacked")[member]

    @property
    def is_packed(self) -> bool:
        return self._archive is not None

    def _names(self, folder: str) -> list[str]:
        if self._archive is None:
            place = self.source / KEYFRAMES / folder
            return sorted(f"{folder}/{path.name}" for path in place.iterdir() if path.is_file()) if place.is_dir() else []
        start = f"{self._prefix}{KEYFRAMES}/"
        inside = (name.removeprefix(start) for name in self._archive.names() if name.startswith(f"{start}{folder}/"))
        return [name for name in inside if name.count("/") == 1]


def has_keyframes(folder: Path) -> bool:
    """Whether a folder is a raw export."""
    return any((folder / KEYFRAMES / name).is_dir() for name in CAMERA_FOLDERS)


def is_export_archive(path: Path) -> bool:
    """Whether a zip file holds a raw export; a file that is no archive holds none."""
    if path.suffix.lower() != ".zip" or not path.is_file():
        return False
    try:
        with SafeZip(path, max_member_bytes=MAX_MEMBER_BYTES) as archive:
            return _holds_export(archive)
    except CaptureError:  # another reader's, or nobody's: this one does not claim it
        return False


def _holds_export(archive: SafeZip) -> bool:
    return any(_keyframes_at(name) is not None for name in archive.names())


def _keyframes_at(name: str) -> str | None:
    """What stands before `keyframes/<cameras>/` in a member's name."""
    parts = PurePosixPath(name).parts
    for place in range(len(parts) - 2):
        if parts[place] == KEYFRAMES and parts[place + 1] in CAMERA_FOLDERS and "__MACOSX" not in parts:
            return "".join(f"{part}/" for part in parts[:place])
    return None


def _prefix(archive: SafeZip) -> str:
    found = {prefix for prefix in map(_keyframes_at, archive.names()) if prefix is not None}
    if len(found) != 1:
        places = ", ".join(sorted(f"{prefix}{KEYFRAMES}" for prefix in found)[:3]) or "none"
        raise CaptureError(f"{archive.path}: expected one folder {KEYFRAMES}/ with {' or '.join(CAMERA_FOLDERS)}, found {places}")
    return found.pop()
