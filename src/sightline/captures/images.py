"""The one decoder of the library: colour, depth and instance images, strictly."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from sightline.errors import CaptureError
from sightline.files import replacing

FORMATS = ("JPEG", "PNG", "WEBP")  # other decoders are an attack surface (reliability catalogue B23)
MAX_PIXELS = 50_000_000  # a phone photo is 12 to 48 million; more is a mistake or a bomb (B22)
NO_READING = 0  # stored depth value of a pixel without a reading
SATURATED = 65535  # sensors write it for "too far": not a reading either


def _open(path: Path) -> Image.Image:
    try:
        image = Image.open(path, formats=FORMATS)
    except FileNotFoundError as error:
        raise CaptureError(f"{path}: expected an image, found no file") from error
    except (UnidentifiedImageError, OSError, Image.DecompressionBombError, ValueError) as error:
        raise CaptureError(f"{path}: expected a {'/'.join(FORMATS)} image, found something that does not open as one ({error})") from error
    if image.width * image.height > MAX_PIXELS:
        raise CaptureError(f"{path}: expected at most {MAX_PIXELS} pixels, found {image.width}x{image.height}")
    return image


def image_size(path: Path) -> tuple[int, int]:
    """(width, height) from the header alone."""
    with _open(path) as image:
        return image.size


def _load(image: Image.Image, path: Path) -> None:
    try:
        image.load()
    except (OSError, ValueError, SyntaxError, EOFError) as error:
        raise CaptureError(f"{path}: expected a whole image, found a truncated or damaged one ({error})") from error


def read_rgb(path: Path) -> np.ndarray:
    """`(H, W, 3)` uint8 sRGB. Raises CaptureError for a missing, truncated, rotated (EXIF) or 16-bit image."""
    with _open(path) as image:
        _load(image, path)
        _expect_colour(image, path)
        return np.asarray(image.convert("RGB"))


def check_rgb(path: Path) -> tuple[int, int]:
    """(width, height) of a colour image that `read_rgb` will read. A JPEG is decoded at an eighth of its size: all its data."""
    with _open(path) as image:
        size = image.size
        image.draft("RGB", (max(1, size[0] // 8), max(1, size[1] // 8)))
        _load(image, path)
        _expect_colour(image, path)
        return size


def _expect_colour(image: Image.Image, path: Path) -> None:
    if image.getexif().get(0x0112, 1) != 1:
        raise CaptureError(f"{path}: expected an image without EXIF rotation, found one; rotate the pixels and the intrinsics first")
    if image.mode in ("I", "I;16", "I;16B", "F"):
        raise CaptureError(f"{path}: expected an 8-bit colour image, found mode {image.mode} (a depth image?)")


def read_depth_m(path: Path, *, depth_scale_m: float) -> np.ndarray:
    """`(H, W)` float32 metres, NaN where the stored value is 0 or 65535. Raises CaptureError unless a 16-bit PNG."""
    return depth_m_from_stored(read_uint16(path), depth_scale_m=depth_scale_m)


def depth_m_from_stored(stored: np.ndarray, *, depth_scale_m: float) -> np.ndarray:
    """Metres, NaN where there is no reading."""
    depth_m = stored.astype(np.float32) * np.float32(depth_scale_m)
    depth_m[(stored == NO_READING) | (stored == SATURATED)] = np.nan
    return depth_m


def read_uint16(path: Path) -> np.ndarray:
    """`(H, W)` uint16 of a 16-bit single-channel PNG. Raises CaptureError: missing, damaged, of another kind."""
    from sightline.captures.png16 import (  # compiled code is loaded by the first such image, not by every command
        DamagedPngError,
        read_plain_png16,
    )

    try:
        values = read_plain_png16(path.read_bytes(), max_pixels=MAX_PIXELS)
    except DamagedPngError as error:
        raise CaptureError(f"{path}: expected a whole image, found a truncated or damaged one ({error})") from error
    except OSError:
        values = None  # what is wrong with the file is said below
    if values is not None:
        return values
    with _open(path) as image:
        if image.mode not in ("I;16", "I", "I;16B"):
            raise CaptureError(f"{path}: expected a 16-bit single-channel PNG, found mode {image.mode}")
        _load(image, path)
        values = np.asarray(image)
    if values.size and (int(values.min()) < 0 or int(values.max()) > 65535):
        raise CaptureError(f"{path}: expected values of 0 to 65535, found {values.min()} to {values.max()}")
    return values.astype(np.uint16)


def write_rgb_png(path: Path, rgb: np.ndarray) -> None:
    """Write `(H, W, 3)` uint8 losslessly; equal pixels give equal bytes."""
    with replacing(path) as beside:
        Image.fromarray(rgb, mode=None).save(beside, format="PNG", compress_level=3)


def write_uint16_png(path: Path, values: np.ndarray) -> None:
    """Write `(H, W)` uint16 (depth units or instance ids) losslessly."""
    with replacing(path) as beside:
        Image.fromarray(np.ascontiguousarray(values, dtype=np.uint16)).save(beside, format="PNG", compress_level=3)


def upright(image: Image.Image) -> Image.Image:
    """A picture of a user's own (no pose attached) turned the way its EXIF tag says."""
    return ImageOps.exif_transpose(image)
