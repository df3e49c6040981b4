"""Takes chosen frames out of a recorded video, decoded in order and as they were stored: never turned by a player's hint."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np

from sightline.captures.images import MAX_PIXELS
from sightline.errors import CaptureError

_MATROSKA = b"\x1a\x45\xdf\xa3"
_MP4_BOXES = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")


def video_size(path: Path) -> tuple[int, int]:
    """(width, height) of the stored frames, whatever rotation the file asks players for. Raises CaptureError."""
    capture = _opened(path)
    try:
        return _size(path, capture)
    finally:
        capture.release()


def video_frames(path: Path, wanted: Sequence[int]) -> Iterator[tuple[int, np.ndarray]]:
    """(index, `(H, W, 3)` uint8 sRGB) of the wanted frames in ascending order, counted from 0; one frame in memory.

    Raises CaptureError: no video, unreadable codec, or a file that ends before the last wanted frame.
    """
    for index, bgr in _bgr_frames(path, wanted):
        yield index, np.ascontiguousarray(bgr[:, :, ::-1])


def extract_frames(
    path: Path, wanted: Sequence[int], folder: Path, *, names: Sequence[str], quality: int = 95, quarters: int = 0
) -> dict[int, Path]:
    """Write the wanted frames as JPEG files `folder / name`, one name for each; index -> path. Raises CaptureError as `video_frames`.

    `quarters` turns each by that many quarter turns counter-clockwise before it is encoded.
    """
    if len(names) != len(wanted) or len(set(names)) != len(names) or any(Path(name).name != name for name in names):
        raise CaptureError(f"{path}: expected one plain file name for each of {len(wanted)} frames, found {len(set(names))}")
    folder.mkdir(parents=True, exist_ok=True)
    name_of = dict(zip(wanted, names))
    paths = {}
    for index, bgr in _bgr_frames(path, wanted):
        good, payload = cv2.imencode(".jpg", np.ascontiguousarray(np.rot90(bgr, quarters)), [cv2.IMWRITE_JPEG_QUALITY, quality])
        if not good:
            raise CaptureError(f"{path}: frame {index}: expected a picture that can be written as JPEG, found one that cannot")
        paths[index] = folder / name_of[index]
        paths[index].write_bytes(payload.tobytes())
    return paths


def _bgr_frames(path: Path, wanted: Sequence[int]) -> Iterator[tuple[int, np.ndarray]]:
    places = sorted(set(wanted))
    if not places:
        return
    if places[0] < 0 or len(places) != len(wanted):
        raise CaptureError(f"{path}: expected every wanted frame once and from 0 on, found {len(wanted)} of {places[0]} to {places[-1]}")
    capture = _opened(path)
    try:
        size, decoded = _size(path, capture), 0
        for index in places:
            while decoded <= index:  # every frame is decoded: seeking lands on neighbours in files with few key frames
                if not capture.grab():
                    raise CaptureError(f"{path}: expected at least {places[-1] + 1} frames, found {decoded} that can be decoded")
                decoded += 1
            good, bgr = capture.retrieve()
            if not good or bgr is None or bgr.ndim != 3 or bgr.dtype != np.uint8 or (bgr.shape[1], bgr.shape[0]) != size:
                found = "none" if bgr is None else f"{bgr.dtype} {bgr.shape}"
                raise CaptureError(f"{path}: frame {index}: expected a picture of {size[0]}x{size[1]}, found {found}")
            yield index, bgr
    finally:
        capture.release()


def _opened(path: Path) -> cv2.VideoCapture:
    try:
        with path.open("rb") as stream:
            head = stream.read(12)
    except OSError as error:
        raise CaptureError(f"{path}: expected a video, found no file that can be read ({error})") from error
    if not (head.startswith(_MATROSKA) or head[4:8] in _MP4_BOXES):  # a playlist would be followed to other files
        raise CaptureError(f"{path}: expected an MP4 or Matroska video, found a file that begins with {head[:8].hex(' ') or 'nothing'}")
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    if not capture.isOpened():
        raise CaptureError(f"{path}: expected a video, found one that is truncated or of a codec that this OpenCV cannot decode")
    capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 0)  # intrinsics belong to the stored picture
    return capture


def _size(path: Path, capture: cv2.VideoCapture) -> tuple[int, int]:
    width, height = int(capture.get(cv2.CAP_PROP_FRAME_WIDTH)), int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT))
    if width * height > MAX_PIXELS:
        raise CaptureError(f"{path}: expected at most {MAX_PIXELS} pixels a frame, found {width}x{height}")
    return width, height
