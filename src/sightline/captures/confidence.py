"""Depth maps of phones with the confidence that came with them: readings below the wanted confidence become no readings."""

from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from sightline.captures.depth_packs import SUFFIX
from sightline.captures.images import MAX_PIXELS, NO_READING, SATURATED
from sightline.errors import CaptureError

PACK_NAME = f"depth{SUFFIX}"
LEVELS = (0, 1, 2)  # ARKit: low, medium, high
FLOAT_UNIT_M = 0.00025  # of float depth once stored: finer than any phone measures, and far enough for any room


def read_confidence(path: Path, *, stored_levels: tuple[int, int, int] = LEVELS) -> np.ndarray:
    """`(H, W)` uint8 of 0, 1, 2 from an 8-bit PNG that writes those as `stored_levels`. Raises CaptureError for any other value."""
    try:
        with Image.open(path, formats=("PNG",)) as image:
            if image.mode != "L" or image.width * image.height > MAX_PIXELS:
                raise CaptureError(f"{path}: expected an 8-bit single-channel PNG, found mode {image.mode} of {image.width}x{image.height}")
            stored = np.asarray(image)
    except FileNotFoundError as error:
        raise CaptureError(f"{path}: expected a confidence map, found no file") from error
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise CaptureError(f"{path}: expected a PNG of confidences, found a damaged one or another file ({error})") from error
    return levels_of(stored, stored_levels=stored_levels, where=str(path))


def levels_of(stored: np.ndarray, *, stored_levels: tuple[int, int, int] = LEVELS, where: str) -> np.ndarray:
    """`(H, W)` uint8 of 0, 1, 2. Raises CaptureError naming `where` and the first other value."""
    table = np.full(256, 255, dtype=np.uint8)
    table[list(stored_levels)] = LEVELS
    levels = table[stored]
    if (levels == 255).any():
        found = int(stored[levels == 255][0])
        wanted = ", ".join(map(str, stored_levels))
        raise CaptureError(f"{where}: expected confidences of {wanted}, found {found}. Fix: min_confidence=0 reads none of them")
    return levels


def masked(stored_depth: np.ndarray, levels: np.ndarray, *, min_confidence: int, where: str) -> np.ndarray:
    """`(H, W)` uint16 depth without the readings below `min_confidence`. Raises CaptureError where the two differ in size."""
    if levels.shape != stored_depth.shape:
        wanted, found = (f"{shape[1]}x{shape[0]}" for shape in (stored_depth.shape, levels.shape))
        raise CaptureError(f"{where}: expected a confidence map of {wanted} like the depth image, found {found}")
    return np.where(levels >= min_confidence, stored_depth, NO_READING).astype(np.uint16)


def quantised(depth_m: np.ndarray) -> np.ndarray:
    """`(H, W)` uint16 in units of `FLOAT_UNIT_M`; what is not finite, not positive or beyond 16.38 m is no reading."""
    with np.errstate(invalid="ignore"):
        units = np.rint(depth_m.astype(np.float64) / FLOAT_UNIT_M)
        good = np.isfinite(units) & (units > NO_READING) & (units < SATURATED)
    return np.where(good, units, NO_READING).astype(np.uint16)


def confidence_note(min_confidence: int) -> str:
    """What was left out of the depth maps, for `Capture.notes["confidence"]`."""
    return f"depth readings of a confidence below {min_confidence} (of 0 low, 1 medium, 2 high) are no readings"
