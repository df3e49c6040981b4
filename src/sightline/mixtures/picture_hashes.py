"""SHA-256 of pictures by their content: of a scene store from its manifests, of other files read once and remembered."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from sightline.errors import DataError
from sightline.files import read_json, safe_join, sha256_of, write_json
from sightline.mixtures.asked import Shown
from sightline.mixtures.splits import image_hashes
from sightline.samples.conversation import STORE, TAR
from sightline.samples.tar_shards import TarShards
from sightline.scenes.store import MANIFEST, SceneStore

FORMAT = "sightline-picture-hashes"
TAR_MARK = ".tar/"


class PictureHashes:
    """Digests of picture files. With a `memory` file they are kept there, bound to each file's size and time, until the file changes."""

    def __init__(self, memory: Path | None = None):
        """Raises DataError where `memory` is another file."""
        self.memory = memory
        self._known: dict[str, list] = {}
        self._tars = TarShards()
        self.num_read = 0
        if memory is not None and memory.is_file():
            kept = read_json(memory)
            if not isinstance(kept, dict) or kept.get("format") != FORMAT:
                raise DataError(f"{memory}: expected format '{FORMAT}', found another file. Fix: another --hashes FILE")
            self._known = kept["files"]

    def of(self, path: Path, member: str = "") -> str | None:
        """SHA-256 of a file, or of a member of a tar shard; None where it is not there."""
        if not path.is_file():
            return None
        found = path.stat()
        key, stamp = f"{path.absolute()}\t{member}", [found.st_size, found.st_mtime_ns]
        if self._known.get(key, [])[:2] != stamp:
            if member and not self._tars.holds(path, member):
                return None
            digest = hashlib.sha256(self._tars.read(path, member)).hexdigest() if member else sha256_of(path)
            self._known[key] = [*stamp, digest]
            self.num_read += 1
        return self._known[key][2]

    def keep(self) -> None:
        """Write what is known."""
        if self.memory is not None:
            write_json(self.memory, {"format": FORMAT, "files": self._known})


def content_of(
    pictures: Iterable[Shown], *, media: Path | None, stores: Sequence[Path], hashes: PictureHashes | None
) -> tuple[Mapping[str, str], Counter[str]]:
    """SHA-256 -> path of a picture with that content, and how many were compared and how many not, by reason.

    Pictures of scene stores cost no reading; others are read where `hashes` is given.
    """
    found: dict[str, str] = {}
    counts: Counter[str] = Counter()
    of_scan: dict[str, Mapping[str, str]] = {}
    for picture in sorted(pictures):
        if picture.place == STORE:
            if picture.scan_id not in of_scan:
                of_scan[picture.scan_id] = _scan_hashes(picture.scan_id, stores)
            digest = of_scan[picture.scan_id].get(picture.path)
            reason = "in no scene store of the recipe"
        elif hashes is None:
            digest, reason = None, "not read, --hashes FILE reads them"
        else:
            digest = _file_hash(picture, media, hashes)
            reason = "not there" if media is not None else "no media root is known"
        counts["compared" if digest else reason] += 1
        if digest:
            found.setdefault(digest, picture.path)
    return found, counts


def _file_hash(picture: Shown, media: Path | None, hashes: PictureHashes) -> str | None:
    if media is None:
        return None
    if picture.place == TAR and TAR_MARK in picture.path:
        shard, _, member = picture.path.partition(TAR_MARK)
        return hashes.of(safe_join(media, f"{shard}.tar"), member)
    return hashes.of(safe_join(media, picture.path))


def _scan_hashes(scan_id: str, stores: Sequence[Path]) -> Mapping[str, str]:
    found: dict[str, str] = {}
    for store in stores:
        if (store / scan_id / MANIFEST).is_file():
            found.update(image_hashes(SceneStore(store), scan_id))
    return found
