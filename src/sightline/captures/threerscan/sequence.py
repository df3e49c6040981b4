"""The RGB-D sequence of a 3RScan scan, zipped or unpacked: its cameras (`_info.txt`) and its files by frame number."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sightline.captures.containers.archives import SafeZip
from sightline.captures.containers.pgm import MAX_HEADER_BYTES
from sightline.captures.matrices import camera_matrix, matrix_4x4, pinhole
from sightline.captures.texts import decoded
from sightline.errors import CaptureError
from sightline.geometry.cameras import Intrinsics

INFO_FILE = "_info.txt"
VERSION = 4
MAX_TEXT_BYTES = 1 << 16
MAX_IMAGE_BYTES = 64 << 20
MAX_FRAMES = 200_000
COLOR, DEPTH, POSE = ".color.jpg", ".depth.pgm", ".pose.txt"
_FRAME = re.compile(r"frame-(\d{6})(\.color\.jpg|\.depth\.pgm|\.pose\.txt)$")


@dataclass(frozen=True, kw_only=True, slots=True)
class SequenceInfo:
    """What `_info.txt` says."""

    intrinsics: Intrinsics
    depth_intrinsics: Intrinsics
    depth_scale_m: float  # metres per stored unit
    num_frames: int | None


class Sequence:
    """The files of one sequence. `colour_path` gives a file in place, or takes it out of the archive unchanged."""

    def __init__(self, place: Path, archive: SafeZip | None, workspace: Path | None):
        self.place = place
        self._archive = archive
        self._workspace = workspace
        self._prefix = self._found_prefix() if archive is not None else ""
        self.numbers = self._numbered()

    def where(self, name: str) -> str:
        """The place of a file, for messages."""
        return f"{self.place}: {self._prefix}{name}" if self._archive is not None else str(self.place / name)

    def read(self, name: str, *, max_bytes: int) -> bytes:
        """The bytes of one file. Raises CaptureError: missing, too large, damaged."""
        if self._archive is not None:
            return self._archive.read(self._prefix + name, max_bytes=max_bytes)
        path = self.place / name
        try:
            if path.stat().st_size > max_bytes:
                raise CaptureError(f"{path}: expected at most {max_bytes} bytes, found {path.stat().st_size}")
            return path.read_bytes()
        except OSError as error:
            raise CaptureError(f"{path}: expected a file of the sequence, found none that can be read ({error})") from error

    def text(self, name: str) -> str:
        """A small text file. Raises CaptureError where it is not UTF-8."""
        return decoded(self.read(name, max_bytes=MAX_TEXT_BYTES), self.where(name))

    def colour_path(self, name: str) -> Path:
        """A colour image as a file of its own, byte for byte."""
        if self._archive is None:
            return self.place / name
        assert self._workspace is not None, "opened to be read"
        path = self._workspace / "color" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(self.read(name, max_bytes=MAX_IMAGE_BYTES))
        return path

    def pose(self, number: int) -> np.ndarray:
        """(4, 4) stored pose of one frame, which may hold NaN or infinity. Raises CaptureError for no 16 numbers."""
        name = file_name(number, POSE)
        try:
            numbers = [float(word) for word in self.text(name).split()]
        except ValueError as error:
            raise CaptureError(f"{self.where(name)}: expected 16 numbers, found {error}") from error
        return matrix_4x4(numbers, where=self.where(name))

    def depth_bytes(self, number: int, info: SequenceInfo) -> bytes:
        """The PGM of one frame; it cannot be larger than its camera says."""
        most = MAX_HEADER_BYTES + 2 * info.depth_intrinsics.width * info.depth_intrinsics.height
        return self.read(file_name(number, DEPTH), max_bytes=max(most, MAX_TEXT_BYTES))

    def info(self) -> SequenceInfo:
        """The cameras. Raises CaptureError naming the line or key."""
        where = self.where(INFO_FILE)
        values: dict[str, str] = {}
        for number, line in enumerate(self.text(INFO_FILE).splitlines(), start=1):
            key, sign, value = line.partition("=")
            if not line.strip():
                continue
            if not sign or key.strip() in values:
                raise CaptureError(f"{where}:{number}: expected every key once as `key = value`, found {line[:60]!a}")
            values[key.strip()] = value.strip()
        version = _whole(values, "m_versionNumber", where=where) if "m_versionNumber" in values else VERSION
        if version != VERSION:
            raise CaptureError(f"{where}: key m_versionNumber: expected {VERSION}, found {version}")
        shift = _numbers(values, "m_depthShift", 1, where=where)[0] if "m_depthShift" in values else 1000.0
        if not (np.isfinite(shift) and shift > 0):
            raise CaptureError(f"{where}: key m_depthShift: expected units per metre above 0, found {shift}")
        return SequenceInfo(
            intrinsics=_camera(values, "Color", where=where),
            depth_intrinsics=_camera(values, "Depth", where=where),
            depth_scale_m=1.0 / shift,
            num_frames=_whole(values, "m_frames.size", where=where) if "m_frames.size" in values else None,
        )

    def _names(self) -> Iterator[str]:
        if self._archive is not None:
            return (name.removeprefix(self._prefix) for name in self._archive.names() if name.startswith(self._prefix))
        return (path.name for path in self.place.iterdir())

    def _numbered(self) -> dict[str, set[int]]:
        """Suffix -> numbers of the frames that have such a file."""
        found: dict[str, set[int]] = {COLOR: set(), DEPTH: set(), POSE: set()}
        for match in filter(None, map(_FRAME.match, self._names())):
            found[match[2]].add(int(match[1]))
        if len(found[COLOR]) > MAX_FRAMES:
            raise CaptureError(f"{self.place}: expected at most {MAX_FRAMES} frames, found {len(found[COLOR])}")
        return found

    def _found_prefix(self) -> str:
        """The folder inside the archive that holds the sequence."""
        assert self._archive is not None
        infos = [name for name in self._archive.names() if name.rsplit("/", 1)[-1] == INFO_FILE]
        if len(infos) != 1:
            raise CaptureError(f"{self.place}: expected one {INFO_FILE} in the archive, found {len(infos)}")
        return infos[0].removesuffix(INFO_FILE)


@contextmanager
def opened(folder: Path, *, workspace: Path | None = None) -> Iterator[Sequence]:
    """The sequence of a scan's folder; an unpacked one is preferred, because its images can stay where they are."""
    if (folder / "sequence" / INFO_FILE).is_file():
        yield Sequence(folder / "sequence", None, workspace)
        return
    if not (folder / "sequence.zip").is_file():
        raise CaptureError(f"{folder}: expected sequence.zip or sequence/{INFO_FILE}, found neither")
    with SafeZip(folder / "sequence.zip") as archive:
        yield Sequence(folder / "sequence.zip", archive, workspace)


def file_name(number: int, suffix: str) -> str:
    """`frame-000012.color.jpg`"""
    return f"frame-{number:06d}{suffix}"


def _camera(values: dict[str, str], kind: str, *, where: str) -> Intrinsics:
    size = tuple(_whole(values, f"m_{kind.lower()}{side}", where=where) for side in ("Width", "Height"))
    key = f"m_calibration{kind}Intrinsic"
    if min(size) < 1:
        raise CaptureError(f"{where}: key m_{kind.lower()}Width: expected an image size, found {size[0]}x{size[1]}")
    K = camera_matrix(_numbers(values, key, 16, where=where), where=f"{where}: key {key}")
    return pinhole(K, size=(size[0], size[1]), where=f"{where}: key {key}")


def _numbers(values: dict[str, str], key: str, count: int, *, where: str) -> list[float]:
    if key not in values:
        raise CaptureError(f"{where}: key {key} is missing")
    try:
        numbers = [float(word) for word in values[key].split()]
    except ValueError as error:
        raise CaptureError(f"{where}: key {key}: expected {count} numbers, found {values[key][:60]!a}") from error
    if len(numbers) != count:
        raise CaptureError(f"{where}: key {key}: expected {count} numbers, found {len(numbers)}")
    return numbers


def _whole(values: dict[str, str], key: str, *, where: str) -> int:
    number = _numbers(values, key, 1, where=where)[0]
    if not (np.isfinite(number) and number == int(number) and 0 <= number < 1e7):
        raise CaptureError(f"{where}: key {key}: expected a whole number, found {values[key][:40]!a}")
    return int(number)
