"""Features of a frozen encoder on disk: found again under their whole key, checked, and the least recently used removed first.

One file holds all views of a sample, because what an encoder says of a view depends on the views beside it. Any number of processes may
share a folder: files appear whole or not at all, and one that another process removed is a miss.
"""

import contextlib
import errno
import hashlib
import json
import logging
import os
import time
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from sightline.errors import ModelError
from sightline.files import replacing
from sightline.models.feature_entries import (
    EXACT,
    STORED_AS,
    DamagedEntryError,
    ForeignEntryError,
    ViewFeatures,
    pack,
    unpack,
)

FORMAT = 1  # of the files; another number is another key
SUFFIX = ".safetensors"
STALE_S = 3600.0  # a file still being written after an hour belongs to a process that died
SLACK = 0.01  # of the limit: how much is freed beyond need, and how much a process writes before it counts again what others wrote
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES)  # a cache that cannot grow is a slow one, not a wrong one
LOG = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class EncoderIdentity:
    """Everything about an encoder that its features depend on."""

    name: str
    options: str  # as JSON: layers, sizes
    weights: str  # hash of names, shapes, types and bytes
    dtype: str  # of the parameters, and what autocast or product precision makes of them
    code: str  # hash of the source, and torch's version


@dataclass(frozen=True, kw_only=True, slots=True)
class FeatureKey:
    """What a set of features is of. Two keys that differ anywhere are two entries."""

    scan_id: str
    frame_ids: tuple[str, ...]  # in order
    sizes_hw: tuple[tuple[int, int], ...]  # of each image as the encoder sees it
    content: str  # hash of everything that the encoder is shown: two samples may draw other dots into one frame
    encoder: EncoderIdentity

    def text(self) -> str:
        """The whole key in one line, stored beside the features and compared when they are read."""
        return json.dumps({"format": FORMAT, **asdict(self)}, sort_keys=True, ensure_ascii=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class CacheStatistics:
    """What a process asked of its cache so far."""

    hits: int
    absent: int  # misses: no file
    damaged: int  # misses: a file that is no whole entry, which was removed
    foreign: int  # misses: a whole entry of another key under this one's name
    written: int
    unwritten: int  # larger than the cache, or the disk is full or read-only
    removed: int  # least recently used, for room
    bytes_read: int
    bytes_written: int
    read_s: float
    write_s: float
    mean_relative_error: float  # of tokens stored in one byte per number; 0 where stored exactly
    largest_relative_error: float

    @property
    def misses(self) -> int:
        return self.absent + self.damaged + self.foreign

    def __str__(self) -> str:
        share = self.hits / max(1, self.hits + self.misses)
        rate = self.bytes_read / self.read_s / 1e6 if self.read_s else 0.0
        parts = [f"{self.hits} hits, {self.misses} misses ({share:.1%} hits; {self.damaged} damaged, {self.foreign} of another key)"]
        parts.append(
            f"read {self.bytes_read / 1e6:.1f} MB at {rate:.0f} MB/s, wrote {self.bytes_written / 1e6:.1f} MB in {self.write_s:.2f} s"
        )
        parts.append(f"{self.removed} removed, {self.unwritten} not written")
        if self.largest_relative_error:
            parts.append(f"relative error {self.mean_relative_error:.2%} (largest {self.largest_relative_error:.2%})")
        return "; ".join(parts)


class FeatureCache:
    """A folder of at most `max_bytes`. Each process that writes may pass the limit by a hundredth of it, until it looks again."""

    def __init__(self, folder: Path, *, max_bytes: int, stored_as: str = EXACT):
        if stored_as not in STORED_AS or max_bytes <= 0:
            raise ModelError(
                f"feature cache: expected max_bytes > 0 and stored_as one of {', '.join(STORED_AS)}, found {max_bytes} and '{stored_as}'"
            )
        self.folder, self.max_bytes, self.stored_as = Path(folder), max_bytes, stored_as
        self._counts: Counter[str] = Counter()
        self._largest_error = 0.0
        self._known_bytes: int | None = None  # in the folder when last looked, and what this process wrote since
        self._since_look = 0

    def get(self, key: FeatureKey, *, device: torch.device | str = "cpu") -> ViewFeatures | None:
        """Features of exactly this key on a device, or None. A file that is no whole entry is removed."""
        began_s = time.perf_counter()
        path, text = self.path(key), key.text()
        try:
            data = path.read_bytes()
            found = unpack(data, key=text, stored_as=self.stored_as, device=device)
        except (FileNotFoundError, NotADirectoryError):
            self._counts["absent"] += 1
            return None
        except ForeignEntryError as error:
            LOG.warning("%s: %s", path, error)
            self._counts["foreign"] += 1
            return None
        except (DamagedEntryError, OSError) as error:
            LOG.warning("%s: %s; removed", path, error)
            with contextlib.suppress(OSError):
                path.unlink()
            self._counts["damaged"] += 1
            return None
        self._used(path)
        self._counts.update(hits=1, bytes_read=len(data), read_ns=int((time.perf_counter() - began_s) * 1e9))
        return found

    def put(self, key: FeatureKey, features: ViewFeatures) -> ViewFeatures:
        """Store, and give what `get` will give: the same bits where stored exactly. Raises ModelError for features it cannot hold."""
        began_s = time.perf_counter()
        path, packed = self.path(key), pack(features, key=key.text(), stored_as=self.stored_as)
        if len(packed.relative_error):
            self._counts.update(tokens=len(packed.relative_error), error_ppb=int(packed.relative_error.double().sum() * 1e9))
            self._largest_error = max(self._largest_error, float(packed.relative_error.max()))
        try:
            self._write(path, packed.data)
        except OSError as error:
            if error.errno not in FULL:
                raise
            if not self._counts["unwritten"]:
                LOG.warning("%s: %s; features are computed, not kept", self.folder, error)
            self._counts["unwritten"] += 1
        self._counts["write_ns"] += int((time.perf_counter() - began_s) * 1e9)
        return packed.features

    def path(self, key: FeatureKey) -> Path:
        """Where an entry of this key is, if it is. Ways of storing have files of their own."""
        name = hashlib.blake2b(f"{self.stored_as} {key.text()}".encode(), digest_size=20).hexdigest()
        return self.folder / name[:2] / f"{name}{SUFFIX}"

    @property
    def statistics(self) -> CacheStatistics:
        counts = self._counts
        names = ("hits", "absent", "damaged", "foreign", "written", "unwritten", "removed", "bytes_read", "bytes_written")
        return CacheStatistics(
            **{name: counts[name] for name in names},
            read_s=counts["read_ns"] / 1e9,
            write_s=counts["write_ns"] / 1e9,
            mean_relative_error=counts["error_ppb"] / 1e9 / max(1, counts["tokens"]),
            largest_relative_error=self._largest_error,
        )

    def bytes_on_disk(self) -> int:
        """Of all files in the folder now."""
        return sum(size for _, size, _ in self._files())

    def _write(self, path: Path, data: bytes) -> None:
        if len(data) > self.max_bytes:
            self._counts["unwritten"] += 1
            return
        self._make_room(len(data))
        with replacing(path) as beside:
            beside.write_bytes(data)
            self._used(beside)
        self._known_bytes += len(data)
        self._since_look += len(data)
        self._counts.update(written=1, bytes_written=len(data))

    def _make_room(self, wanted: int) -> None:
        """Remove the least recently used until `wanted` bytes fit."""
        is_known = self._known_bytes is not None and self._since_look < SLACK * self.max_bytes
        if is_known and self._known_bytes + wanted <= self.max_bytes:
            return
        files = sorted(self._files(), key=lambda file: file[0])
        self._known_bytes, self._since_look = sum(size for _, size, _ in files), 0
        if self._known_bytes + wanted <= self.max_bytes:
            return
        for _, size, path in files:
            if self._known_bytes + wanted <= (1.0 - SLACK) * self.max_bytes:
                break
            with contextlib.suppress(FileNotFoundError):
                path.unlink()
                self._counts["removed"] += 1
            self._known_bytes -= size

    def _files(self) -> list[tuple[int, int, Path]]:
        """Time of last use in nanoseconds, bytes and path of each entry; what dead processes left half written is removed."""
        found, now_s = [], time.time()
        for shard in self.folder.glob("??"):
            with contextlib.suppress(FileNotFoundError, NotADirectoryError), os.scandir(shard) as files:
                for file in files:
                    with contextlib.suppress(FileNotFoundError):
                        stat = file.stat(follow_symlinks=False)
                        if file.name.endswith(SUFFIX):
                            found.append((stat.st_mtime_ns, stat.st_size, Path(file.path)))
                        elif file.name.endswith(".tmp") and now_s - stat.st_mtime > STALE_S:
                            os.unlink(file.path)
        return found

    def _used(self, path: Path) -> None:
        """Stamp a file with now; the clock of the system calls is too coarse to order reads within a few milliseconds."""
        with contextlib.suppress(OSError):
            now_ns = time.time_ns()
            os.utime(path, ns=(now_ns, now_ns))
