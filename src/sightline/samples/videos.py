"""Frames of video files by their index in the order of showing: PyAV seeks and checks times, OpenCV counts from the start."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from sightline.errors import DataError

KEPT_VIDEOS = 256  # tables of times, eight bytes a frame


@dataclass(frozen=True, kw_only=True, slots=True)
class VideoFacts:
    """What a video is, before any frame is decoded (PyAV) or after counting them (OpenCV)."""

    num_frames: int
    duration_s: float
    width: int  # as shown: a turned recording's width is its height
    height: int

    @property
    def frames_per_s(self) -> float:
        return self.num_frames / self.duration_s


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Times:
    """When the frames of a video are shown, in units of its stream, and which of them can be decoded first."""

    facts: VideoFacts
    times: np.ndarray | None  # (frames,) int64, rising; None where the container does not say them: frames are counted then
    is_key: np.ndarray  # (frames,) bool


def video_facts(path: Path) -> VideoFacts:
    """Frames, duration and size. Raises DataError for a missing or damaged video."""
    av = _pyav()
    return _times_of(path, _stamp(path)).facts if av else _counted(path, _stamp(path))


def read_frames(path: Path, frames: Sequence[int]) -> list[np.ndarray]:
    """Frames `(H, W, 3)` uint8, upright, in the order asked for; each is decoded once. Raises DataError for an index that is not there."""
    wanted = sorted(set(frames))
    count = video_facts(path).num_frames
    if not wanted or wanted[0] < 0 or wanted[-1] >= count:
        raise DataError(f"{path}: expected frames of 0 to {count - 1}, found {wanted[:1]} to {wanted[-1:]}")
    reading = _with_pyav(path, wanted) if _pyav() else _with_opencv(path, wanted)
    found = dict(zip(wanted, reading))
    if len(found) != len(wanted):
        raise DataError(f"{path}: expected frame {wanted[len(found)]}, found no picture there: the video is damaged or truncated")
    return [found[frame] for frame in frames]


@lru_cache(maxsize=1)
def _pyav() -> Any:
    """The PyAV module, None where it is not installed: OpenCV reads the same frames then, from the start of the file each time."""
    try:
        import av
    except ModuleNotFoundError:
        return None
    return av


def _stamp(path: Path) -> int:
    if not path.is_file():
        raise DataError(f"{path}: expected a video file, found none")
    return path.stat().st_mtime_ns


@lru_cache(maxsize=KEPT_VIDEOS)
def _times_of(path: Path, stamp: int) -> _Times:
    """Packets are read, not decoded: their times in rising order are the frames' (they are stored in the order of decoding)."""
    with _container(path) as container:
        stream = _video_stream(container, path)
        packets = [(packet.pts, packet.is_keyframe) for packet in container.demux(stream) if packet.size and not packet.is_discard]
        base, rate = float(stream.time_base), float(stream.average_rate or 0)
    with _container(path) as container:
        first = next(container.decode(_video_stream(container, path)), None)
    if first is None or not packets:
        raise DataError(f"{path}: expected a video with frames, found none")
    has_times = len({time for time, _ in packets} - {None}) == len(packets)
    count = len(packets) if has_times else sum(1 for _ in _counted_frames(path))
    times = np.array(sorted(time for time, _ in packets), dtype=np.int64) if has_times else None
    frame_s = 1.0 / rate if rate else 1.0
    duration_s = count * frame_s
    if times is not None and count > 1:
        span_s = float(times[-1] - times[0]) * base
        duration_s = span_s * count / (count - 1)
    is_upright = round(first.rotation / 90) % 2 == 0
    width, height = (first.width, first.height) if is_upright else (first.height, first.width)
    return _Times(
        facts=VideoFacts(num_frames=count, duration_s=duration_s, width=width, height=height),
        times=times,
        is_key=np.array([is_key for _, is_key in sorted(packets)] if has_times else []),
    )


@contextmanager
def _container(path: Path) -> Iterator[Any]:
    av = _pyav()
    try:
        with av.open(str(path)) as container:
            yield container
    except (av.error.FFmpegError, OSError) as error:
        raise DataError(f"{path}: expected a video, found one that cannot be read ({error})") from error


def _video_stream(container: Any, path: Path) -> Any:
    if not container.streams.video:
        raise DataError(f"{path}: expected a video stream, found none")
    stream = container.streams.video[0]
    stream.thread_type = "NONE"  # workers share the cores already
    return stream


def _counted_frames(path: Path) -> Iterator[Any]:
    with _container(path) as container:
        yield from container.decode(_video_stream(container, path))


def _with_pyav(path: Path, wanted: Sequence[int]) -> Iterator[np.ndarray]:
    """By seeking where the container can; the rest, where a seek lands elsewhere than asked, by counting from the start."""
    done = 0
    for rgb in _by_seeking(path, wanted):
        done += 1
        yield rgb
    left = list(wanted[done:])
    if left:
        for number, frame in enumerate(_counted_frames(path)):
            if number == left[0]:
                yield _upright(frame)
                left.pop(0)
                if not left:
                    return


def _by_seeking(path: Path, wanted: Sequence[int]) -> Iterator[np.ndarray]:
    """Decode forwards, and jump to the last key frame before a wanted one where that skips something. Ends at the first it misses."""
    table = _times_of(path, _stamp(path))
    if table.times is None:
        return
    keys = np.flatnonzero(table.is_key)
    with _container(path) as container:
        stream = _video_stream(container, path)
        decoded, at = None, -1  # a running decoder and the index of the frame it gave last
        for index in wanted:
            place = np.searchsorted(keys, index, side="right") - 1
            if decoded is None or (place >= 0 and keys[place] > at):
                container.seek(int(table.times[keys[place] if place >= 0 else 0]), stream=stream, backward=True, any_frame=False)
                decoded = container.decode(stream)
            frame = next((one for one in decoded if one.pts is not None and one.pts >= table.times[index]), None)
            if frame is None or frame.pts != table.times[index]:
                return
            at = index
            yield _upright(frame)


def _upright(frame: Any) -> np.ndarray:
    """A recording's display matrix applied: phones store what the sensor saw and say how it was held."""
    rgb = frame.to_ndarray(format="rgb24")
    quarters = round(frame.rotation / 90) % 4
    return np.ascontiguousarray(np.rot90(rgb, quarters)) if quarters else rgb


@lru_cache(maxsize=KEPT_VIDEOS)
def _counted(path: Path, stamp: int) -> VideoFacts:
    """By counting: containers' own counts are estimates."""
    video = _opened(path)
    try:
        count = 0
        while video.grab():
            count += 1
        rate = video.get(cv2.CAP_PROP_FPS) or 1.0
        if not count:
            raise DataError(f"{path}: expected a video with frames, found none")
        width, height = int(video.get(cv2.CAP_PROP_FRAME_WIDTH)), int(video.get(cv2.CAP_PROP_FRAME_HEIGHT))
        return VideoFacts(num_frames=count, duration_s=count / rate, width=width, height=height)
    finally:
        video.release()


def _with_opencv(path: Path, wanted: Sequence[int]) -> Iterator[np.ndarray]:
    """Every frame before is decoded too: OpenCV's seeking is not exact for every file."""
    video = _opened(path)
    try:
        at = -1
        for index in wanted:
            while at < index:
                if not video.grab():
                    return
                at += 1
            is_read, bgr = video.retrieve()
            if not is_read:
                return
            yield np.ascontiguousarray(bgr[..., ::-1])
    finally:
        video.release()


def _opened(path: Path) -> cv2.VideoCapture:
    video = cv2.VideoCapture(str(path))
    if not video.isOpened():
        raise DataError(f"{path}: expected a video, found one that cannot be read")
    return video
