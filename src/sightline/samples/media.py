"""Pictures of conversations, wherever they lie: scene stores, folders, tar shards, videos; with depth and camera where a store has them."""

import os
from collections.abc import Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from sightline.captures.capture import Frame
from sightline.captures.images import image_size, read_rgb
from sightline.errors import DataError, SceneError
from sightline.files import safe_join
from sightline.geometry.cameras import Intrinsics
from sightline.questions.question import Mark
from sightline.samples.conversation import FOLDER, STORE, TAR, VIDEO, Conversation, Picture
from sightline.samples.frames import FrameCache, View, draw_mark, expect_shown, image_path_of, stamp
from sightline.samples.framing import Framings, resized, windows_of
from sightline.samples.tar_shards import TarShards
from sightline.samples.videos import VideoFacts, read_frames, video_facts

SHAPE_TOLERANCE = 0.02  # pictures of a frame may differ from the store's in size, not in shape: 640x480 of 1296x968 is 0.4 % off
KEPT_FOLDERS = 64  # listings of names, for asking whether a picture is there


class Media:
    """Reads the pictures of a source. `root` is its media root, `store` the scene store that depth, pose and intrinsics come from.

    Decoded pictures are kept, the least recently used forgotten first when `max_bytes` of `cache` are exceeded.
    """

    def __init__(self, *, root: Path | None = None, store: Path | None = None, cache: FrameCache | None = None):
        self.root = None if root is None else Path(root)
        self.store = None if store is None else Path(store)
        self.cache = cache or FrameCache()
        self._tars = TarShards()
        self._listing = lru_cache(maxsize=KEPT_FOLDERS)(_names_in)
        self._facts = lru_cache(maxsize=1024)(video_facts)

    def __reduce__(self) -> tuple[Any, tuple[Path | None, Path | None, int]]:
        """It pickles as its folders, for loader processes; what is kept stays behind."""
        return _media, (self.root, self.store, self.cache.max_bytes)

    def views(self, conversation: Conversation, *, framings: Framings, with_depth: bool) -> tuple[tuple[View, ...], ...]:
        """Each picture, in order, as the views that `framings` makes of it, marks drawn before anything is cut.

        Raises DataError, CaptureError or SceneError naming the picture that is missing, damaged or does not fit its frame.
        """
        where = conversation.found_at or conversation.sample_id
        self._decode_videos(conversation.pictures)
        return tuple(
            self._views_of(
                picture,
                marks=[mark for mark in conversation.marks if mark.frame_id == picture.frame_id],
                framings=framings,
                with_depth=with_depth,
                where=where,
            )
            for picture in conversation.pictures
        )

    def rgb(self, picture: Picture, *, width: int, height: int, where: str = "") -> np.ndarray:
        """The picture `(height, width, 3)` uint8, shrunk by averaging areas; read-only."""
        if picture.place == STORE:
            return self.cache.rgb(self._frame(picture, where), width=width, height=height)
        path = self.path(picture)
        if picture.place == VIDEO:  # decoding is what costs, and models differ in sizes: whole frames are kept
            if picture.frame is None:
                raise DataError(f"{where or picture.path}: expected a frame of the video '{picture.path}', found none chosen")
            wanted = picture.frame
            whole = self.cache.kept(_video_key(path, wanted), lambda: read_frames(path, [wanted])[0])
            return whole if whole.shape[:2] == (height, width) else resized(whole, width=width, height=height)
        key = (picture.place, path, stamp(path), picture.path, width, height)
        read = (lambda: read_rgb(path)) if picture.place == FOLDER else (lambda: self._tars.rgb(path, _member(picture)))
        return self.cache.kept(key, lambda: resized(read(), width=width, height=height))

    def size(self, picture: Picture) -> tuple[int, int]:
        """(width, height), from headers alone."""
        if picture.place == STORE:
            frame = self._frame(picture, "")
            return frame.intrinsics.width, frame.intrinsics.height
        path = self.path(picture)
        if picture.place == VIDEO:
            facts = self._facts(path)
            return facts.width, facts.height
        return image_size(path) if picture.place == FOLDER else self._tars.size(path, _member(picture))

    def video(self, picture: Picture) -> VideoFacts:
        """Frames, duration and size of a picture's video."""
        return self._facts(self.path(picture))

    def is_there(self, picture: Picture) -> bool:
        """Whether a picture's file exists; of a tar shard, whether it holds the member. Frames of a video are not counted."""
        if picture.place == STORE:
            try:
                self._frame(picture, "")
            except (DataError, SceneError):
                return False
            return True
        path = self.path(picture)
        if picture.place == TAR:
            return path.name in self._listing(path.parent) and self._tars.holds(path, _member(picture))
        return path.name in self._listing(path.parent)

    def path(self, picture: Picture) -> Path:
        """The file that holds a picture: of a tar shard the shard. Raises DataError for a path that leads out of the media root."""
        if self.root is None:
            raise DataError(f"picture '{picture.path}': expected a media root to find it in. Fix: --media FOLDER")
        return safe_join(self.root, _shard(picture) if picture.place == TAR else picture.path)

    def _views_of(self, picture: Picture, *, marks: Sequence[Mark], framings: Framings, with_depth: bool, where: str) -> tuple[View, ...]:
        width, height = self.size(picture)
        has_frame = bool(picture.scan_id and picture.frame_id) and self.store is not None
        frame = self._frame(picture, where) if has_frame else None
        camera = None if frame is None else _camera_of(frame, width=width, height=height, where=f"{where or picture.path}")
        depth_m = self.cache.depth_m(frame) if with_depth and frame is not None else None
        chosen = framings(width, height)
        drawn_in = camera or Intrinsics(fx=1.0, fy=1.0, cx=0.0, cy=0.0, width=width, height=height)  # marks need its size alone
        for mark in marks:
            expect_shown(mark, chosen, stored=drawn_in, where=where)
        views: list[View] = []
        for framing in chosen:
            rgb = self.rgb(picture, width=framing.width, height=framing.height, where=where)
            rgb = rgb.copy() if marks else rgb
            for mark in marks:
                draw_mark(rgb, mark, stored=drawn_in, where=where)
            view = View(
                frame_id=picture.frame_id,
                rgb=rgb,
                intrinsics=camera and camera.resized(width=framing.width, height=framing.height),
                depth_m=depth_m,
                depth_intrinsics=frame.depth_intrinsics if frame is not None and depth_m is not None else None,
                world_from_camera=None if frame is None else frame.world_from_camera,
            )
            views.extend(windows_of(view, framing))
        return tuple(views)

    def _frame(self, picture: Picture, where: str) -> Frame:
        """The frame of the scene store. A foreign picture's frame may be named with other leading zeros than the store's."""
        if self.store is None:
            raise DataError(f"{where or picture.path}: expected a scene store for frame {picture.frame_id} of {picture.scan_id}")
        if picture.place == STORE:
            frame = self.cache.frame(self.store, picture.scan_id, picture.frame_id)
            if picture.path != image_path_of(picture.scan_id, frame):
                raise DataError(
                    f"{where or picture.path}: expected image '{image_path_of(picture.scan_id, frame)}' for frame {picture.frame_id}, "
                    f"found '{picture.path}': made from another scene store"
                )
            return frame
        frames = self.cache.frames(self.store, picture.scan_id)
        if picture.frame_id in frames:
            return frames[picture.frame_id]
        same = [frame for frame_id, frame in frames.items() if _same_number(frame_id, picture.frame_id)]
        if len(same) != 1:
            raise DataError(
                f"{where or picture.path}: expected frame '{picture.frame_id}' in {self.store / picture.scan_id}, "
                f"found {len(frames)} frames and {len(same)} of that number"
            )
        return same[0]

    def _decode_videos(self, pictures: Sequence[Picture]) -> None:
        """Decode those frames of each video that are not kept yet in one pass, instead of one by one."""
        wanted: dict[Path, set[int]] = {}
        for picture in pictures:
            if picture.place == VIDEO and picture.frame is not None:
                wanted.setdefault(self.path(picture), set()).add(picture.frame)
        for path, frames in wanted.items():
            missing = sorted(frame for frame in frames if not self.cache.holds(_video_key(path, frame)))
            if len(missing) > 1:
                for frame, rgb in zip(missing, read_frames(path, missing)):
                    self.cache.kept(_video_key(path, frame), partial(_itself, rgb))


def _itself(rgb: np.ndarray) -> np.ndarray:
    return rgb


def _media(root: Path | None, store: Path | None, max_bytes: int) -> Media:
    return Media(root=root, store=store, cache=FrameCache(max_bytes))


def _video_key(path: Path, frame: int) -> tuple:
    return (VIDEO, path, stamp(path), frame)


def _shard(picture: Picture) -> str:
    shard, found, _ = picture.path.partition(".tar/")
    if not found:
        raise DataError(f"picture '{picture.path}': expected a path such as shard.tar/member.jpg of a tar shard")
    return f"{shard}.tar"


def _member(picture: Picture) -> str:
    return picture.path.partition(".tar/")[2]


def _names_in(folder: Path) -> frozenset[str]:
    return frozenset(child.name for child in os.scandir(folder)) if folder.is_dir() else frozenset()


def _same_number(first: str, second: str) -> bool:
    return first.isdecimal() and second.isdecimal() and int(first) == int(second)


def _camera_of(frame: Frame, *, width: int, height: int, where: str) -> Intrinsics | None:
    """The frame's intrinsics at the picture's own size. Raises DataError for a picture of another shape, which was cropped or turned."""
    stored = frame.intrinsics
    if stored is None or (stored.width, stored.height) == (width, height):
        return stored
    if abs(width * stored.height / (height * stored.width) - 1.0) > SHAPE_TOLERANCE:
        raise DataError(
            f"{where}: expected a picture of the shape of frame {frame.frame_id} ({stored.width}x{stored.height}), found {width}x{height}: "
            "cropped or turned, so that the store's depth and camera are not its own"
        )
    return stored.resized(width=width, height=height)
