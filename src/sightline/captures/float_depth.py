"""Depth that a layout keeps as floating-point metres, as the 16-bit values of a depth pack."""

import numpy as np

QUANTISED_M = 0.00025  # a quarter of a millimetre: finer than any depth sensor reads, and 16 bits still reach 16.38 m
_LARGEST = 65534  # 65535 is kept for "saturated"


def quantised(depth_m: np.ndarray) -> np.ndarray:
    """`(H, W)` uint16 of `QUANTISED_M`; 0, negative, not finite and beyond the reach become 0, which is no reading."""
    with np.errstate(invalid="ignore"):  # damaged values may be signalling NaNs
        values = np.rint(np.nan_to_num(depth_m.astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0) / QUANTISED_M)
    return np.where((values > 0) & (values <= _LARGEST), values, 0).astype(np.uint16)


def share_beyond(depth_m: np.ndarray) -> float:
    """Share of the readings that are further than 16 bits reach."""
    readings = np.isfinite(depth_m) & (depth_m > 0)
    return float((depth_m[readings] > (_LARGEST + 0.5) * QUANTISED_M).mean()) if readings.any() else 0.0
