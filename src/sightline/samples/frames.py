"""A sample's images at a model's size, with their dots drawn, their cameras and their depth."""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np

from sightline.captures.capture import Frame
from sightline.captures.frame_images import frame_depth_m
from sightline.captures.images import read_rgb
from sightline.errors import DataError
from sightline.files import FINISHED
from sightline.geometry.cameras import Intrinsics
from sightline.questions.question import MARK_COLOURS, Mark
from sightline.samples.framing import Framing, Framings, Window, resized, windows_of
from sightline.samples.sample import Sample
from sightline.scenes.store import SceneStore

DOT_RADIUS_PX = 3.5  # at 128x96, growing with the image
LEAST_RADIUS_PX, MOST_RADIUS_PX = 3.0, 12.0  # visible in thumbnails; no larger than an object in photographs
DEFAULT_CACHE_BYTES = 256 * 2**20
KEPT_SCANS = 128  # tables of frames, a few kilobytes each


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class View:
    """One image of a sample. A picture without pose or depth has None there."""

    frame_id: str
    rgb: np.ndarray  # (H, W, 3) uint8, dots drawn after resizing
    intrinsics: Intrinsics | None  # of rgb at its size
    depth_m: np.ndarray | None  # (h, w) float32 at the sensor's own size, NaN where there is no reading
    depth_intrinsics: Intrinsics | None  # of depth_m
    world_from_camera: np.ndarray | None  # (4, 4)


class FrameCache:
    """Decoded frames of scene stores, the least recently used forgotten first when `max_bytes` are exceeded."""

    def __init__(self, max_bytes: int = DEFAULT_CACHE_BYTES):
        self.max_bytes = max_bytes
        self.num_bytes = 0
        self._arrays: OrderedDict[tuple, np.ndarray] = OrderedDict()
        self._scans: OrderedDict[tuple, dict[str, Frame]] = OrderedDict()

    def frame(self, store: Path, scan_id: str, frame_id: str) -> Frame:
        """The frame of a scan. Raises SceneError for a missing scan, DataError for a missing frame."""
        frames = self.frames(store, scan_id)
        if frame_id not in frames:
            raise DataError(f"{store / scan_id}: expected frame '{frame_id}', found {len(frames)} frames without it")
        return frames[frame_id]

    def rgb(self, frame: Frame, *, width: int, height: int) -> np.ndarray:
        """The image `(height, width, 3)` uint8, read-only, shrunk by averaging areas."""
        key = ("rgb", frame.rgb_path, stamp(frame.rgb_path), width, height)
        return self.kept(key, lambda: resized(read_rgb(frame.rgb_path), width=width, height=height))

    def depth_m(self, frame: Frame) -> np.ndarray | None:
        """The depth map at its own size, read-only; None where the frame has none."""
        if frame.depth_path is None:
            return None
        key = ("depth", frame.depth_path, frame.depth_index, stamp(frame.depth_path), frame.depth_scale_m)
        return self.kept(key, lambda: frame_depth_m(frame))

    def frames(self, store: Path, scan_id: str) -> dict[str, Frame]:
        """The frames of a scan by id. Raises SceneError for a missing scan."""
        key = (store, scan_id, stamp(store / scan_id / FINISHED))
        if key not in self._scans:
            self._scans[key] = {frame.frame_id: frame for frame in SceneStore(store).read(scan_id).frames}
            while len(self._scans) > KEPT_SCANS:
                self._scans.popitem(last=False)
        self._scans.move_to_end(key)
        return self._scans[key]

    def holds(self, key: tuple) -> bool:
        """Whether an array is kept now."""
        return key in self._arrays

    def kept(self, key: tuple, read: Callable[[], np.ndarray]) -> np.ndarray:
        """The array of a key, read-only; `read` makes it where it is not kept."""
        if key not in self._arrays:
            array = read()
            array.flags.writeable = False
            self._arrays[key] = array
            self.num_bytes += array.nbytes
            while self.num_bytes > self.max_bytes and len(self._arrays) > 1:
                self.num_bytes -= self._arrays.popitem(last=False)[1].nbytes
        self._arrays.move_to_end(key)
        return self._arrays[key]


def stamp(path: Path) -> int:
    """When a file was last written; 0 where it is missing, which its reader will say better."""
    return path.stat().st_mtime_ns if path.exists() else 0


@lru_cache(maxsize=1)
def shared_cache() -> FrameCache:
    """The process's own cache, made on first use."""
    return FrameCache()


def load_views(
    sample: Sample, *, store: Path, width: int, height: int, with_depth: bool, cache: FrameCache | None = None
) -> tuple[View, ...]:
    """The sample's images in the order they are shown, resized to `width` x `height`, dots drawn, depth at its own size.

    Raises DataError where the sample and the store do not fit together, SceneError and CaptureError for a missing or damaged one.
    """
    whole = (Framing.whole(width, height),)
    shown = load_framed(sample, store=store, framings=lambda *_: whole, with_depth=with_depth, cache=cache)
    return tuple(view for views in shown for view in views)


def load_framed(
    sample: Sample, *, store: Path, framings: Framings, with_depth: bool, cache: FrameCache | None = None
) -> tuple[tuple[View, ...], ...]:
    """As `load_views`, each image as the views that `framings` makes of it. Dots are drawn at the size shown, before anything is cut.

    Raises DataError, too, for a mark that no window shows whole: the question would speak of what cannot be seen.
    """
    cache = cache or shared_cache()
    shown = []
    for frame_id, image_path in zip(sample.frame_ids, sample.image_paths, strict=True):
        frame = cache.frame(Path(store), sample.scan_id, frame_id)
        if image_path != image_path_of(sample.scan_id, frame):
            raise DataError(
                f"sample {sample.sample_id}: expected image '{image_path_of(sample.scan_id, frame)}' for frame {frame_id}, "
                f"found '{image_path}': made from another scene store"
            )
        marks = [mark for mark in sample.marks if mark.frame_id == frame_id]
        chosen = framings(frame.intrinsics.width, frame.intrinsics.height)
        for mark in marks:
            expect_shown(mark, chosen, stored=frame.intrinsics, where=sample.sample_id)
        depth_m = cache.depth_m(frame) if with_depth else None
        views: list[View] = []
        for framing in chosen:
            rgb = cache.rgb(frame, width=framing.width, height=framing.height).copy()
            for mark in marks:
                draw_mark(rgb, mark, stored=frame.intrinsics, where=sample.sample_id)
            view = View(
                frame_id=frame_id,
                rgb=rgb,
                intrinsics=frame.intrinsics.resized(width=framing.width, height=framing.height),
                depth_m=depth_m,
                depth_intrinsics=frame.depth_intrinsics if depth_m is not None else None,
                world_from_camera=frame.world_from_camera,
            )
            views.extend(windows_of(view, framing))
        shown.append(tuple(views))
    return tuple(shown)


def place_in(mark: Mark, framing: Framing, window: Window, *, stored: Intrinsics) -> tuple[float, float]:
    """Where a mark's dot (a box's left upper corner) is in a window, as shares of its width and height; outside 0 to 1 it is not shown."""
    return _share_of(mark.u_px, mark.v_px, framing, window, stored=stored)


def _share_of(u_px: float, v_px: float, framing: Framing, window: Window, *, stored: Intrinsics) -> tuple[float, float]:
    across, down = (u_px + 0.5) * framing.width / stored.width, (v_px + 0.5) * framing.height / stored.height
    return (across - window.left) / window.width, (down - window.top) / window.height


def expect_shown(mark: Mark, framings: Sequence[Framing], *, stored: Intrinsics, where: str) -> None:
    """Raises DataError for a mark that no window of the framings shows whole."""
    corners = [(mark.u_px, mark.v_px), *([(mark.right_px, mark.bottom_px)] if mark.is_box else [])]
    for framing in framings:
        for window in framing.windows:
            is_whole = (window.width, window.height) == (framing.width, framing.height)  # outside the image is told when it is drawn
            if is_whole or all(0 <= share <= 1 for corner in corners for share in _share_of(*corner, framing, window, stored=stored)):
                return
    raise DataError(
        f"sample {where}: expected its {mark.colour} mark in the part of frame {mark.frame_id} that is shown, found it cut away at "
        f"({mark.u_px:.0f}, {mark.v_px:.0f}) of {stored.width}x{stored.height}; choose an image policy that keeps whole images"
    )


def image_path_of(scan_id: str, frame: Frame) -> str:
    """Path of a frame's image relative to its scene store, with forward slashes."""
    return f"{scan_id}/{frame.rgb_path.parent.name}/{frame.rgb_path.name}"


def dot_radius_px(width: int, height: int) -> float:
    """Radius of a dot's coloured part in an image of that size."""
    return float(np.clip(DOT_RADIUS_PX * np.sqrt(width * height / (128 * 96)), LEAST_RADIUS_PX, MOST_RADIUS_PX))


def draw_mark(rgb: np.ndarray, mark: Mark, *, stored: Intrinsics, where: str) -> None:
    """Draw a dot or a box, and its letter if it has one, into `rgb (H, W, 3)`. The mark is in pixels of the stored image.

    A white and a dark ring around the colour keep it visible on any background: one of the two always stands out. Raises DataError
    for a mark outside the image or in an unknown colour.
    """
    if mark.colour not in MARK_COLOURS:
        raise DataError(f"sample {where}: expected a mark's colour of {', '.join(MARK_COLOURS)}, found '{mark.colour}'")
    u_px, v_px = _scaled(rgb, mark.u_px, mark.v_px, stored=stored, where=where)
    radius_px = dot_radius_px(rgb.shape[1], rgb.shape[0])
    if mark.is_box:
        right_px, bottom_px = _scaled(rgb, mark.right_px, mark.bottom_px, stored=stored, where=where)
        if right_px < u_px or bottom_px < v_px:
            raise DataError(f"sample {where}: expected a box's right and bottom edge beyond its left and top edge, found {mark}")
        _outline(rgb, (u_px, v_px, right_px, bottom_px), MARK_COLOURS[mark.colour], line_px=max(1, round(radius_px / 2.5)))
    else:
        white_px = radius_px + max(1.0, 0.2 * radius_px)
        _disc(rgb, u_px, v_px, white_px + max(0.5, 0.12 * radius_px), (24, 24, 24))
        _disc(rgb, u_px, v_px, white_px, (255, 255, 255))
        _disc(rgb, u_px, v_px, radius_px, MARK_COLOURS[mark.colour])
    if mark.label:
        _letter(rgb, mark.label, u_px, v_px, radius_px)


def _scaled(rgb: np.ndarray, u_px: float, v_px: float, *, stored: Intrinsics, where: str) -> tuple[float, float]:
    """A pixel of the stored image in this one, pixel centres kept. Raises DataError outside it."""
    height, width = rgb.shape[:2]
    u, v = (u_px + 0.5) * width / stored.width - 0.5, (v_px + 0.5) * height / stored.height - 0.5
    if not (-0.5 <= u <= width - 0.5 and -0.5 <= v <= height - 0.5):
        raise DataError(f"sample {where}: expected a mark inside the {stored.width}x{stored.height} image, found ({u_px:.1f}, {v_px:.1f})")
    return u, v


def _outline(rgb: np.ndarray, box: tuple[float, float, float, float], colour: tuple[int, int, int], *, line_px: int) -> None:
    """A rectangle's outline with a white and a dark line along it, clipped at the image."""
    height, width = rgb.shape[:2]
    left, top, right, bottom = (int(round(one)) for one in box)
    for line, out in (((24, 24, 24), line_px + 2), ((255, 255, 255), line_px + 1), (colour, line_px)):
        for low, high in (((left - out, top - out), (right + out, top)), ((left - out, bottom), (right + out, bottom + out))):
            rgb[max(0, low[1]) : min(height, high[1] + 1), max(0, low[0]) : min(width, high[0] + 1)] = line
        for low, high in (((left - out, top - out), (left, bottom + out)), ((right, top - out), (right + out, bottom + out))):
            rgb[max(0, low[1]) : min(height, high[1] + 1), max(0, low[0]) : min(width, high[0] + 1)] = line


def _disc(rgb: np.ndarray, u_px: float, v_px: float, radius_px: float, colour: tuple[int, int, int]) -> None:
    """An anti-aliased disc, clipped at the image."""
    height, width = rgb.shape[:2]
    left, right = max(0, int(u_px - radius_px - 1)), min(width, int(u_px + radius_px + 3))
    top, bottom = max(0, int(v_px - radius_px - 1)), min(height, int(v_px + radius_px + 3))
    u, v = np.meshgrid(np.arange(left, right), np.arange(top, bottom))
    cover = np.clip(radius_px + 0.5 - np.hypot(u - u_px, v - v_px), 0.0, 1.0)[..., None]
    window = rgb[top:bottom, left:right]
    window[:] = np.rint(window * (1.0 - cover) + np.array(colour) * cover).astype(np.uint8)


def _letter(rgb: np.ndarray, label: str, u_px: float, v_px: float, radius_px: float) -> None:
    """A white letter with a dark edge beside the dot, on the side where it stays inside the image."""
    height, width = rgb.shape[:2]
    scale, thickness = radius_px / 9.0, max(1, round(radius_px / 4.0))
    (text_width, text_height), _ = cv2.getTextSize(label, cv2.FONT_HERSHEY_SIMPLEX, scale, thickness)
    left = u_px + 1.8 * radius_px
    if left + text_width + thickness > width - 1:
        left = u_px - 1.8 * radius_px - text_width
    bottom = min(max(v_px + text_height / 2.0, text_height + thickness), height - 1 - thickness)
    place = (int(round(left)), int(round(bottom)))
    for colour, extra in (((24, 24, 24), 2), ((255, 255, 255), 0)):
        cv2.putText(rgb, label, place, cv2.FONT_HERSHEY_SIMPLEX, scale, colour, thickness + extra, cv2.LINE_AA)
