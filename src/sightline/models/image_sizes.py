"""At what size a model is shown an image: one fixed size, the published rules for free sizes and for tiles, or a square from its centre."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from sightline.errors import ModelError
from sightline.samples.framing import Framing, Window

FIXED, SMART, TILES, SQUARE = "fixed", "smart", "tiles", "square"
POLICIES = (FIXED, SMART, TILES, SQUARE)
MOST_ASPECT = 200.0  # longer side over shorter, beyond which Qwen's rule refuses an image


class ImageSizes(Protocol):
    """A policy."""

    def framings(self, width: int, height: int) -> Sequence[Framing]:
        """How an image of that size is shown. Raises ModelError for one that cannot be."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class FixedSize:
    """Every image at one size, whatever its shape; multiples of `window_px`, the side of the image cell behind one token."""

    width: int
    height: int
    window_px: int

    def __post_init__(self) -> None:
        _expect_multiples(self.window_px, self.width, self.height)

    def framings(self, width: int, height: int) -> Sequence[Framing]:
        return (Framing.whole(self.width, self.height),)


@dataclass(frozen=True, kw_only=True, slots=True)
class SmartSize:
    """Nearly the image's own shape, sides multiples of `window_px`, between `min_pixels` and `max_pixels`. Qwen's published rule."""

    window_px: int
    min_pixels: int
    max_pixels: int

    def __post_init__(self) -> None:
        if not 0 < self.min_pixels <= self.max_pixels or self.max_pixels < self.window_px**2:
            raise ModelError(
                f"image sizes: expected 0 < min_pixels <= max_pixels and room for one token of {self.window_px} pixels, "
                f"found {self.min_pixels} and {self.max_pixels}"
            )

    def framings(self, width: int, height: int) -> Sequence[Framing]:
        if max(width, height) > MOST_ASPECT * min(width, height):
            raise ModelError(f"image sizes: expected an image at most {MOST_ASPECT:g} times longer than wide, found {width}x{height}")
        sides = [round(side / self.window_px) * self.window_px for side in (width, height)]
        if sides[0] * sides[1] > self.max_pixels:
            shrink = math.sqrt(width * height / self.max_pixels)
            sides = [max(self.window_px, math.floor(side / shrink / self.window_px) * self.window_px) for side in (width, height)]
        elif sides[0] * sides[1] < self.min_pixels:
            grow = math.sqrt(self.min_pixels / (width * height))
            sides = [math.ceil(side * grow / self.window_px) * self.window_px for side in (width, height)]
        return (Framing.whole(*sides),)


@dataclass(frozen=True, kw_only=True, slots=True)
class Tiles:
    """Square tiles in the arrangement of at most `most` whose shape is nearest to the image's, row by row; then the whole image on one
    more tile, unless it already is one. InternVL's published rule: of equally near arrangements the larger, if the image has more than half
    its pixels.
    """

    side_px: int
    most: int

    def __post_init__(self) -> None:
        if self.most < 1 or self.side_px < 1:
            raise ModelError(f"image sizes: expected at least one tile of at least one pixel, found {self.most} of {self.side_px}")

    def arrangement(self, width: int, height: int) -> tuple[int, int]:
        """Tiles across and down."""
        counts = range(1, self.most + 1)
        choices = sorted(((a, d) for a in counts for d in counts if a * d <= self.most), key=lambda choice: choice[0] * choice[1])
        best, nearest = (1, 1), math.inf
        for across, down in choices:
            off = abs(width / height - across / down)
            has_pixels = width * height > 0.5 * self.side_px**2 * across * down
            if off < nearest or (off == nearest and has_pixels):
                best, nearest = (across, down), off
        return best

    def framings(self, width: int, height: int) -> Sequence[Framing]:
        (across, down), side = self.arrangement(width, height), self.side_px
        windows = tuple(
            Window(left=column * side, top=row * side, width=side, height=side) for row in range(down) for column in range(across)
        )
        tiles = Framing(width=across * side, height=down * side, windows=windows)
        return (tiles,) if len(windows) == 1 else (tiles, Framing.whole(side, side))


@dataclass(frozen=True, kw_only=True, slots=True)
class CentreSquare:
    """The shorter side at `side_px`, then a square out of the middle: the views of the room-plan recipe."""

    side_px: int
    window_px: int

    def __post_init__(self) -> None:
        _expect_multiples(self.window_px, self.side_px, self.side_px)

    def framings(self, width: int, height: int) -> Sequence[Framing]:
        side, shorter = self.side_px, min(width, height)
        across, down = (side if length == shorter else round(length * side / shorter) for length in (width, height))
        window = Window(left=(across - side) // 2, top=(down - side) // 2, width=side, height=side)
        return (Framing(width=across, height=down, windows=(window,)),)


def _expect_multiples(window_px: int, width: int, height: int) -> None:
    if width % window_px or height % window_px or min(width, height) < window_px:
        raise ModelError(f"processor: expected an image size of multiples of {window_px} pixels, found {width}x{height}")
