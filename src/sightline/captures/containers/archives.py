"""Reads zip archives of others safely: nothing leads outside, nothing inflates beyond its limit, nothing is hidden in a name."""

import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType

from sightline.errors import CaptureError

MAX_MEMBERS = 500_000  # an hour of recording at 60 Hz is 216 000 frames
MAX_MEMBER_BYTES = 4 << 30
MAX_TOTAL_BYTES = 256 << 30
RATIO_FROM_BYTES = 16 << 20  # smaller members cannot hurt; a blank depth map may shrink a thousandfold
MAX_RATIO = 200  # of inflated to stored bytes, for members above that size
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # the others cannot be inflated piece by piece with a bound
_CHUNK = 1 << 20
_END = struct.Struct("<4s4H2LH")  # end of central directory
_END64_AT = struct.Struct("<4sLQL")  # where the zip64 one stands
_END64 = struct.Struct("<4sQ2H2L4Q")
_DIRECTORY_ENTRY = b"PK\x01\x02"


class SafeZip:
    """A zip archive that was checked as a whole when it was opened: `with SafeZip(path) as archive: archive.read(name, max_bytes=...)`.

    Refused with one CaptureError that names archive and member: `..`, absolute and drive paths, NUL, backslashes, links and devices,
    encryption, a name twice, compression other than deflate, too many members, members or totals above their limits, and contents
    that are not of the size or checksum that the directory states (the bytes really inflated are counted).
    """

    def __init__(
        self,
        path: Path,
        *,
        max_members: int = MAX_MEMBERS,
        max_member_bytes: int = MAX_MEMBER_BYTES,
        max_total_bytes: int = MAX_TOTAL_BYTES,
    ) -> None:
        self.path = path
        self.max_member_bytes = max_member_bytes
        self.max_total_bytes = max_total_bytes
        self._inflated = 0
        try:
            _refuse_many(path, max_members=max_members)
            self._zip = zipfile.ZipFile(path)
        except (OSError, zipfile.BadZipFile, struct.error, ValueError, NotImplementedError, UnicodeDecodeError) as error:
            raise CaptureError(f"{path}: expected a zip archive, found none or a damaged one ({error})") from error
        try:
            self._members = self._checked(self._zip.infolist())
        except CaptureError:
            self._zip.close()
            raise

    def __enter__(self) -> "SafeZip":
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self._zip.close()

    def names(self) -> tuple[str, ...]:
        """Every file in the archive, in its order; folders are not listed."""
        return tuple(name for name, member in self._members.items() if not member.is_dir())

    def __contains__(self, name: str) -> bool:
        return name in self._members and not self._members[name].is_dir()

    def size(self, name: str) -> int:
        """Bytes of a member once inflated, as the directory states them (`read` and `extract` check it)."""
        return self._member(name).file_size

    def read(self, name: str, *, max_bytes: int) -> bytes:
        """The contents of one member. Raises CaptureError: not there, larger than `max_bytes`, not of its stated size or checksum."""
        return b"".join(self._chunks(self._member(name), max_bytes=max_bytes))

    def extract(self, names: Sequence[str], folder: Path) -> dict[str, Path]:
        """Write these members below `folder` under their own names, unchanged, one chunk in memory. Nothing there is overwritten."""
        paths = {}
        for name in names:
            member, path = self._member(name), folder / name
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                with path.open("xb") as stream:
                    for chunk in self._chunks(member, max_bytes=self.max_member_bytes):
                        stream.write(chunk)
            except OSError as error:
                raise self._refusal(name, f"expected to write it below {folder}, found {error}") from error
            paths[name] = path
        return paths

    def _checked(self, members: Sequence[zipfile.ZipInfo]) -> dict[str, zipfile.ZipInfo]:
        by_name: dict[str, zipfile.ZipInfo] = {}
        total = 0
        for member in members:
            problem = _problem(member)
            if problem is None and member.filename in by_name:
                problem = "expected every name once, found it twice"
            if problem is None and member.file_size > self.max_member_bytes:
                problem = f"expected at most {self.max_member_bytes} bytes, found {member.file_size}"
            if problem is not None:
                raise self._refusal(member.orig_filename, problem)
            by_name[member.filename] = member
            total += member.file_size
        if total > self.max_total_bytes:
            raise CaptureError(f"{self.path}: expected at most {self.max_total_bytes} bytes once inflated, found {total}")
        return by_name

    def _member(self, name: str) -> zipfile.ZipInfo:
        if name not in self:
            raise self._refusal(name, "expected this file in the archive, found none of that name")
        return self._members[name]

    def _chunks(self, member: zipfile.ZipInfo, *, max_bytes: int) -> Iterator[bytes]:
        name = member.filename
        if member.file_size > max_bytes:
            raise self._refusal(name, f"expected at most {max_bytes} bytes, found {member.file_size}")
        found = 0
        try:
            with self._zip.open(member) as stream:
                while chunk := stream.read(_CHUNK):
                    found += len(chunk)
                    self._inflated += len(chunk)
                    if self._inflated > self.max_total_bytes:  # members read again and again, or lying over one another
                        raise self._refusal(name, f"expected at most {self.max_total_bytes} bytes from the archive, found more")
                    yield chunk
        except (OSError, EOFError, ValueError, RuntimeError, NotImplementedError, zipfile.BadZipFile, zlib.error, struct.error) as error:
            raise self._refusal(name, f"expected a whole member, found a truncated or damaged one ({error})") from error
        if found != member.file_size:
            raise self._refusal(name, f"expected {member.file_size} bytes as stated, found {found}")

    def _refusal(self, name: str, problem: str) -> CaptureError:
        return CaptureError(f"{self.path}: member {_quoted(name)}: {problem}")


def _quoted(name: str) -> str:
    return repr(name if len(name) <= 120 else name[:117] + "...")


def _problem(member: zipfile.ZipInfo) -> str | None:
    """What is wrong with one entry of the directory."""
    name, kind = member.orig_filename, stat.S_IFMT(member.external_attr >> 16)
    parts = name.rstrip("/").split("/")
    if "\0" in name or "\\" in name or any(ord(letter) < 32 for letter in name):
        return "expected a name without NUL, control letters and backslashes"
    if name.startswith("/") or (len(parts[0]) > 1 and parts[0][1] == ":"):
        return "expected a relative path, found an absolute one"
    if any(part in ("", ".", "..") for part in parts):
        return "expected a path inside the archive, found one that leads elsewhere"
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "expected a file or a folder, found a link or a device"
    if member.flag_bits & 0x1:
        return "expected no encryption, found an encrypted member"
    if member.compress_type not in METHODS:
        return f"expected a stored or deflated member, found compression method {member.compress_type}"
    if member.file_size > RATIO_FROM_BYTES and member.file_size > MAX_RATIO * max(member.compress_size, 1):
        return f"expected at most {MAX_RATIO} times its {member.compress_size} stored bytes, found {member.file_size}"
    return None


def _refuse_many(path: Path, *, max_members: int) -> None:
    """Count the directory's entries before they are parsed: each takes half a kilobyte of memory, ten millions take five gigabytes."""
    with path.open("rb") as stream:
        total = stream.seek(0, 2)
        tail_at = max(0, total - _END.size - 0xFFFF)
        stream.seek(tail_at)
        tail = stream.read()
        place = tail.rfind(b"PK\x05\x06")
        if place < 0 or len(tail) - place < _END.size:
            raise zipfile.BadZipFile("no end of a central directory")
        end_at, num_bytes = tail_at + place, _END.unpack_from(tail, place)[5]
        if tail[max(0, place - _END64_AT.size) :].startswith(b"PK\x06\x07"):
            _, _, end_at, _ = _END64_AT.unpack_from(tail, place - _END64_AT.size)
            stream.seek(min(end_at, total))
            signature, *_, num_bytes, _ = _END64.unpack(stream.read(_END64.size))
            if signature != b"PK\x06\x06":
                raise zipfile.BadZipFile("no zip64 end of a central directory")
        if num_bytes > end_at:
            raise zipfile.BadZipFile(f"a central directory of {num_bytes} bytes before byte {end_at}")
        stream.seek(end_at - num_bytes)
        entries, carried = 0, b""
        for start in range(0, num_bytes, _CHUNK):
            piece = carried + stream.read(min(_CHUNK, num_bytes - start))
            entries += piece.count(_DIRECTORY_ENTRY)
            carried = piece[-3:]
    if entries > max_members:
        raise CaptureError(f"{path}: expected at most {max_members} files in the archive, found about {entries}")
