"""The packed visibility of a scan beside its facts: one bit per frame and scene point, memory-mapped when it is read."""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sightline.arrays import expect
from sightline.errors import DataError
from sightline.files import replacing
from sightline.geometry.visibility import unpack_words, words_for

WORDS = "visibility.npy"  # (F, ceil(N / 64)) little-endian uint64
ORDER = "visibility_order.npy"  # (N,) little-endian int32
_WORD, _INDEX = np.dtype("<u8"), np.dtype("<i4")


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class VisibleBits:
    """What F frames see of N points. Bit `i % 64` of word `i // 64` is the scene's point `order[i]`: neighbours in space are near."""

    words: np.ndarray  # (F, ceil(N / 64)) uint64, memory-mapped
    order: np.ndarray  # (N,) int32 index into the scene's points, memory-mapped

    def seen_points(self, frame: int) -> np.ndarray:
        """Sorted indices `(K,)` int64 into the scene's points of what one frame sees."""
        return np.sort(self.order[unpack_words(self.words[frame], len(self.order))]).astype(np.int64)


def new_words(folder: Path | None, *, num_frames: int, num_points: int) -> np.ndarray:
    """Zeroed words `(F, ceil(N / 64))` to be filled: in memory, or memory-mapped in `folder` where one is given.

    The file's space is taken at once, so a full disk is an OSError here and not a crash at some later write.
    """
    shape = (num_frames, words_for(num_points))
    if folder is None or 0 in shape:
        words = np.zeros(shape, dtype=_WORD)
        if folder is not None:
            _save(folder / WORDS, words)
        return words
    path = folder / WORDS
    words = np.lib.format.open_memmap(path, mode="w+", dtype=_WORD, shape=shape)
    with path.open("r+b") as stream:
        os.posix_fallocate(stream.fileno(), 0, path.stat().st_size)
    return words


def write_order(folder: Path, order: np.ndarray) -> None:
    """Keep whose bit is whose, beside the words."""
    expect(order=(order, "N"))
    _save(folder / ORDER, order.astype(_INDEX))


def read_visibility(folder: Path) -> VisibleBits:
    """The visibility beside the facts in `folder`, without reading it into memory. Raises DataError for missing or damaged files."""
    words, order = _load(folder / WORDS, _WORD, dimensions=2), _load(folder / ORDER, _INDEX, dimensions=1)
    if words.shape[1] != words_for(len(order)):
        raise DataError(f"{folder / WORDS}: expected {words_for(len(order))} words a frame, found {words.shape[1]}; measure the scan again")
    return VisibleBits(words=words, order=order)


def _save(path: Path, values: np.ndarray) -> None:
    with replacing(path) as beside, beside.open("wb") as stream:
        np.save(stream, values, allow_pickle=False)


def _load(path: Path, dtype: np.dtype, *, dimensions: int) -> np.ndarray:
    try:
        with path.open("rb") as stream:
            np.lib.format.read_magic(stream)
            shape, _, found = np.lib.format.read_array_header_1_0(stream)
            is_empty = 0 in shape  # nothing to map
        values = np.zeros(shape, dtype=found) if is_empty else np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError as error:
        raise DataError(f"{path}: expected the visibility of a measured scan, found no file; measure the scan again") from error
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: expected a NumPy array, found a damaged file ({error}); measure the scan again") from error
    if values.dtype != dtype or values.ndim != dimensions:
        raise DataError(f"{path}: expected {dimensions} dimensions of {dtype}, found {values.ndim} of {values.dtype}; measure again")
    return values
