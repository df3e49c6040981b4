"""How an image is brought to a model: resized to a canvas, then windows cut out of it; the camera follows."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from sightline.samples.frames import View


@dataclass(frozen=True, kw_only=True, slots=True)
class Window:
    """A rectangle of whole pixels."""

    left: int
    top: int
    width: int
    height: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Framing:
    """Resize to `width` x `height`, each axis on its own, then show these windows of it."""

    width: int
    height: int
    windows: tuple[Window, ...]

    @classmethod
    def whole(cls, width: int, height: int) -> "Framing":
        """The image at that size, all of it."""
        return cls(width=width, height=height, windows=(Window(left=0, top=0, width=width, height=height),))


Framings = Callable[[int, int], Sequence[Framing]]  # width and height of an image to how it is shown, in that order


def resized(rgb: np.ndarray, *, width: int, height: int) -> np.ndarray:
    """Shrunk by averaging the area of each new pixel (no aliasing), grown linearly; pixel centres are kept, always a new array."""
    if rgb.shape[:2] == (height, width):
        return rgb.copy()
    shrinks = width <= rgb.shape[1] and height <= rgb.shape[0]
    return cv2.resize(rgb, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)


def windows_of(view: "View", framing: Framing) -> tuple["View", ...]:
    """The windows of a view that has the framing's size, each with the intrinsics of its crop. Depth and pose are the whole view's."""
    return tuple(_cut(view, window) for window in framing.windows)


def framed(view: "View", framings: Sequence[Framing]) -> tuple["View", ...]:
    """A view of any size as a model is shown it."""
    shown = []
    for framing in framings:
        intrinsics = view.intrinsics and view.intrinsics.resized(width=framing.width, height=framing.height)
        rgb = resized(view.rgb, width=framing.width, height=framing.height)
        shown.extend(windows_of(replace(view, rgb=rgb, intrinsics=intrinsics), framing))
    return tuple(shown)


def _cut(view: "View", window: Window) -> "View":
    if view.rgb.shape[:2] == (window.height, window.width):
        return view
    rgb = view.rgb[window.top : window.top + window.height, window.left : window.left + window.width]
    intrinsics = view.intrinsics and view.intrinsics.cropped(left=window.left, top=window.top, width=window.width, height=window.height)
    return replace(view, rgb=rgb, intrinsics=intrinsics)
