"""Pictures inside tar shards, read in place: an index of offsets is made once per shard, nothing is unpacked."""

import os
import tarfile
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np

from sightline.captures.images import image_size, read_rgb
from sightline.errors import DataError

KEPT_SHARDS = 64


@dataclass(frozen=True, slots=True)
class Extent:
    """Where the bytes of a member lie in its shard."""

    offset: int
    num_bytes: int


class _Member(BytesIO):
    """Bytes that messages of the image decoder call by the member's name."""

    def __init__(self, content: bytes, *, name: str):
        super().__init__(content)
        self.name = name

    def __str__(self) -> str:
        return self.name

    def __format__(self, spec: str) -> str:
        return self.name


def tar_index(path: Path) -> Mapping[str, Extent]:
    """Member name -> extent, from the headers alone. Raises DataError for a missing, compressed or damaged shard."""
    try:
        with tarfile.open(path, "r:") as shard:
            return {member.name.removeprefix("./"): Extent(member.offset_data, member.size) for member in shard if member.isreg()}
    except FileNotFoundError as error:
        raise DataError(f"{path}: expected a tar shard, found none") from error
    except (tarfile.TarError, OSError, EOFError) as error:
        raise DataError(f"{path}: expected an uncompressed, whole tar shard, found something else ({error})") from error


class TarShards:
    """Indices of the last shards that were asked for."""

    def __init__(self) -> None:
        self._indices: OrderedDict[Path, tuple[tuple[int, int], Mapping[str, Extent]]] = OrderedDict()

    def holds(self, path: Path, member: str) -> bool:
        """Whether a shard has a member of that name."""
        return member in self._index(path)

    def read(self, path: Path, member: str) -> bytes:
        """The bytes of a member. Raises DataError for a missing one and for a truncated shard."""
        index = self._index(path)
        if member not in index:
            raise DataError(f"{path}: expected member '{member}', found {len(index)} members without it")
        extent = index[member]
        with path.open("rb") as stream:
            content = os.pread(stream.fileno(), extent.num_bytes, extent.offset)
        if len(content) != extent.num_bytes:
            raise DataError(f"{path}: member '{member}': expected {extent.num_bytes} bytes, found {len(content)}: the shard is truncated")
        return content

    def rgb(self, path: Path, member: str) -> np.ndarray:
        """The picture `(H, W, 3)` uint8."""
        return read_rgb(_Member(self.read(path, member), name=f"{path}/{member}"))

    def size(self, path: Path, member: str) -> tuple[int, int]:
        """(width, height) of a picture, from its header."""
        return image_size(_Member(self.read(path, member), name=f"{path}/{member}"))

    def _index(self, path: Path) -> Mapping[str, Extent]:
        found = path.stat() if path.is_file() else None
        stamp = (found.st_size, found.st_mtime_ns) if found else (0, 0)
        if path not in self._indices or self._indices[path][0] != stamp:
            self._indices[path] = (stamp, tar_index(path))
            while len(self._indices) > KEPT_SHARDS:
                self._indices.popitem(last=False)
        self._indices.move_to_end(path)
        return self._indices[path][1]
