"""The depth maps of a capture, decoded once and kept while a scan is imported."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sightline.captures.capture import Capture
from sightline.captures.frame_images import stored_depth
from sightline.captures.images import NO_READING, SATURATED, depth_m_from_stored

MAX_KEPT_BYTES = 200_000_000  # 325 maps of 640x480; what does not fit is unpacked again when it is asked for


@dataclass(frozen=True, kw_only=True, slots=True)
class Coverage:
    """How much of the depth maps holds a reading."""

    share: float  # 0..1
    median_m: float  # NaN without any reading


class DepthMaps:
    """Gives the depth map of a frame by its place in the capture."""

    def __init__(self, capture: Capture):
        self.frames = capture.frames
        self._kept: dict[int, np.ndarray] = {}
        self._kept_bytes = 0
        self._shares: dict[int, float] = {}
        self._medians: dict[int, float] = {}

    def __getitem__(self, index: int) -> np.ndarray:
        """`(H, W)` float32 metres, NaN without a reading. Raises CaptureError for a missing, damaged or wrongly sized map."""
        return depth_m_from_stored(self.stored(index), depth_scale_m=self.frames[index].depth_scale_m)

    def at(self, index: int, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """Readings `(N,)` float64 metres of single pixels, NaN without a reading."""
        picked = self.stored(index)[rows, columns]
        return depth_m_from_stored(picked, depth_scale_m=self.frames[index].depth_scale_m).astype(np.float64)

    def stored(self, index: int) -> np.ndarray:
        """`(H, W)` uint16 as stored."""
        if index in self._kept:
            return self._kept[index]
        frame = self.frames[index]
        stored = stored_depth(frame)
        readings = stored[(stored != NO_READING) & (stored != SATURATED)]
        self._shares[index] = readings.size / stored.size
        self._medians[index] = (
            float(np.median(readings[:: max(1, readings.size // 4096)])) * frame.depth_scale_m if readings.size else np.nan
        )
        if self._kept_bytes + stored.nbytes <= MAX_KEPT_BYTES:
            self._kept[index] = stored
            self._kept_bytes += stored.nbytes
        return stored

    def share(self, index: int) -> float:
        """Share of the pixels of one map that hold a reading."""
        if index not in self._shares:
            self.stored(index)
        return self._shares[index]

    def leave_out(self, indices: Sequence[int]) -> None:
        """Forget some frames; the others close ranks."""
        kept = [index for index in range(len(self.frames)) if index not in set(indices)]
        self.frames = tuple(self.frames[index] for index in kept)
        tables: list[dict[int, Any]] = [self._kept, self._shares, self._medians]
        for table in tables:
            rest = {new: table[old] for new, old in enumerate(kept) if old in table}
            table.clear()
            table.update(rest)

    def coverage(self) -> Coverage:
        """Over the maps decoded so far."""
        medians = [median for median in self._medians.values() if np.isfinite(median)]
        return Coverage(
            share=float(np.mean(list(self._shares.values()))) if self._shares else 0.0,
            median_m=float(np.median(medians)) if medians else float("nan"),
        )
