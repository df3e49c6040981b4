"""Cameras with lens distortion, and their pictures brought to a pinhole camera of the same size."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from sightline.arrays import expect
from sightline.captures.images import write_rgb_png
from sightline.errors import CaptureError
from sightline.files import replacing
from sightline.geometry.cameras import Intrinsics

RADIAL, FISHEYE = "radial", "fisheye"
NUM_COEFFICIENTS = {RADIAL: 8, FISHEYE: 4}
MAX_EMPTY_SHARE = 0.5  # more of the pinhole picture without a source pixel is a wrong coefficient, not a lens
JPEG_QUALITY = 95


@dataclass(frozen=True, kw_only=True, slots=True)
class Lens:
    """Distortion in OpenCV's two models: `radial` k1 k2 p1 p2 k3 k4 k5 k6 (Brown, rational), `fisheye` k1 k2 k3 k4 (Kannala and Brandt)."""

    kind: str
    coefficients: tuple[float, ...]

    def __post_init__(self) -> None:
        if self.kind not in NUM_COEFFICIENTS or len(self.coefficients) != NUM_COEFFICIENTS[self.kind]:
            raise CaptureError(f"lens: expected {NUM_COEFFICIENTS} coefficients, found {self.kind} with {len(self.coefficients)}")
        if not np.isfinite(self.coefficients).all():
            raise CaptureError(f"lens: expected finite coefficients, found {list(self.coefficients)}")


@dataclass(frozen=True, kw_only=True, slots=True)
class LensCamera:
    """Focal lengths and principal point of a picture, and how its lens bends it; `lens` is None for a pinhole."""

    intrinsics: Intrinsics
    lens: Lens | None

    def resized(self, *, width: int, height: int) -> "LensCamera":
        """The same camera for the picture at another size; coefficients do not depend on pixels."""
        return LensCamera(intrinsics=self.intrinsics.resized(width=width, height=height), lens=self.lens)


def radial_lens(
    *, k1: float = 0.0, k2: float = 0.0, p1: float = 0.0, p2: float = 0.0, k3: float = 0.0, rational=(0.0, 0.0, 0.0)
) -> Lens | None:
    """A lens of the radial model, None where every coefficient is zero. Raises CaptureError for one that is not finite."""
    coefficients = tuple(map(float, (k1, k2, p1, p2, k3, *rational)))
    return Lens(kind=RADIAL, coefficients=coefficients) if any(coefficients) else None


def fisheye_lens(k1: float, k2: float, k3: float, k4: float) -> Lens:
    """A fisheye lens. With all coefficients zero it still is one: its picture grows with the angle, not with the tangent."""
    return Lens(kind=FISHEYE, coefficients=tuple(map(float, (k1, k2, k3, k4))))


class Undistorter:
    """Resamples pictures of one distorted camera into the pinhole of the same focal lengths, principal point and size."""

    def __init__(self, camera: LensCamera):
        assert camera.lens is not None, "asked of distorted cameras"
        self.pinhole = camera.intrinsics
        size = (self.pinhole.width, self.pinhole.height)
        coefficients, K = np.array(camera.lens.coefficients), self.pinhole.K
        rectify = cv2.fisheye.initUndistortRectifyMap if camera.lens.kind == FISHEYE else cv2.initUndistortRectifyMap
        u, v = rectify(K, coefficients, np.eye(3), K, size, cv2.CV_32FC1)
        self.source_uv = np.stack([u, v], axis=-1)  # (H, W, 2) where in the distorted picture each pinhole pixel is
        inside = (u >= -0.5) & (u <= size[0] - 0.5) & (v >= -0.5) & (v <= size[1] - 0.5) & _unfolded(u, v)
        self.source_uv[~inside] = -1e4
        self.empty_share = float(1.0 - inside.mean())
        if self.empty_share > MAX_EMPTY_SHARE:
            raise CaptureError(
                f"lens {camera.lens.kind} {list(camera.lens.coefficients)} of a {size[0]}x{size[1]} picture: expected a pinhole view that "
                f"it fills, found {self.empty_share:.0%} of it without a source pixel; the coefficients belong to another model or camera"
            )

    def colour(self, rgb: np.ndarray) -> np.ndarray:
        """`(H, W, 3)` uint8, bilinear; black where the distorted picture does not reach."""
        expect(rgb=(rgb, f"{self.pinhole.height} {self.pinhole.width} 3"))
        return cv2.remap(rgb, self.source_uv, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=0)

    def depth(self, stored: np.ndarray) -> np.ndarray:
        """`(H, W)` uint16 of the nearest pixel, so that no reading is a mixture of two; 0 where there is none."""
        expect(stored=(stored, f"{self.pinhole.height} {self.pinhole.width}"))
        return cv2.remap(stored, self.source_uv, None, cv2.INTER_NEAREST, borderMode=cv2.BORDER_CONSTANT, borderValue=0)


def _unfolded(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Where the map keeps its orientation: strong coefficients fold the far corners back into the picture."""
    if min(u.shape) < 2:
        return np.ones(u.shape, dtype=bool)
    u_down, u_right = np.gradient(u)
    v_down, v_right = np.gradient(v)
    return (u_right * v_down - u_down * v_right > 0) & (u_right > 0) & (v_down > 0)


@lru_cache(maxsize=4)
def undistorter(camera: LensCamera) -> Undistorter:
    """The resampler of a camera; those of the last few cameras are kept."""
    return Undistorter(camera)


def write_like(source: Path, rgb: np.ndarray, target: Path) -> Path:
    """Write `(H, W, 3)` uint8 as `target` with the suffix that fits its source: PNG stays lossless, all else becomes JPEG of quality 95."""
    if source.suffix.lower() == ".png":
        path = target.with_name(target.name + ".png")
        write_rgb_png(path, rgb)
        return path
    path = target.with_name(target.name + ".jpg")
    with replacing(path) as beside:
        Image.fromarray(rgb).save(beside, format="JPEG", quality=JPEG_QUALITY, subsampling=0)
    return path
