"""Pictures of distorted cameras made pinhole as frames are read: colour files and a depth pack in the import's workspace."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from sightline.captures.assemble import StoredFrame
from sightline.captures.depth_packs import SUFFIX, DepthPackWriter, open_pack
from sightline.captures.distortion import JPEG_QUALITY, LensCamera, undistorter, write_like
from sightline.captures.images import image_size, read_rgb, read_uint16
from sightline.captures.intrinsics import ASPECT_TOLERANCE
from sightline.errors import CaptureError


class LensImages:
    """Gives files back in place where the camera is a pinhole, and undistorts them into `workspace` where it is not.

    Depth images stay in place too, unless `pack_depth` asks for the pack: where any camera of the scan has a lens, or any depth map is
    no image, so that a scan keeps its depth in one way.
    """

    def __init__(self, workspace: Path, *, pack_depth: bool):
        self.workspace = workspace
        self.pack_depth = pack_depth
        self.pack_path = workspace / f"depth{SUFFIX}"
        self._pack: DepthPackWriter | None = None
        self._empty_share = 0.0
        self._kinds: set[str] = set()  # what was made anew

    def colour(self, source: Path, camera: LensCamera, frame_id: str) -> Path:
        """The colour image as a pinhole sees it. Raises CaptureError where its size is not the camera's."""
        if camera.lens is None:
            return source
        _expect_size(source, image_size(source), camera)
        worker = undistorter(camera)
        self._empty_share = max(self._empty_share, worker.empty_share)
        path = write_like(source, worker.colour(read_rgb(source)), _made(self.workspace / "color") / frame_id)
        self._kinds.add("png" if path.suffix == ".png" else "jpg")
        return path

    def depth(self, source: Path, camera: LensCamera) -> tuple[Path, int | None]:
        """A 16-bit depth image: itself, or (the pack, its place there). Raises CaptureError where its shape is not the colour image's."""
        _expect_shape(source, image_size(source), camera)
        if not self.pack_depth:
            return source, None
        return self.pack_path, self.append_undistorted(read_uint16(source), camera, where=source)

    def append_undistorted(self, stored: np.ndarray, camera: LensCamera, *, where: Path) -> int:
        """Add a depth map `(H, W)` uint16 of a camera to the pack, as a pinhole sees it; its place. Raises CaptureError as `depth`."""
        height, width = stored.shape
        _expect_shape(where, (width, height), camera)
        if camera.lens is not None:
            stored = undistorter(camera.resized(width=width, height=height)).depth(stored)
            self._kinds.add("depth")
        return self.append(stored)

    def append(self, stored: np.ndarray) -> int:
        """Add a depth map `(H, W)` uint16 to the pack; its place."""
        if self._pack is None:
            self._pack = DepthPackWriter(self.pack_path)
        return self._pack.append(stored)

    def notes(self) -> dict[str, Any]:
        """What was made anew, in words, and how much of the pictures has no source; nothing where all files are in place."""
        made = []
        if self._kinds & {"png", "jpg"}:
            how = " and ".join(words for kind, words in (("png", "PNG"), ("jpg", f"JPEG quality {JPEG_QUALITY}")) if kind in self._kinds)
            made.append(f"colour: undistorted, {how}")
        if "depth" in self._kinds:
            made.append("depth: undistorted, nearest pixel")
        return {"reencoded": "; ".join(made), "undistorted_empty_share": self._empty_share} if made else {}

    def __enter__(self) -> "LensImages":
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        if self._pack is not None:
            self._pack.__exit__(kind, value, trace)


def with_depth_cameras(stored: Sequence[StoredFrame]) -> list[StoredFrame]:
    """Frames that lack a depth map get the depth camera that they would have, of the size of the first map there is."""
    first = next((frame for frame in stored if frame.depth_path is not None), None)
    if first is None or first.depth_path is None:
        return list(stored)
    size = image_size(first.depth_path) if first.depth_index is None else open_pack(first.depth_path).size(first.depth_index)
    return [
        replace(frame, depth_intrinsics=frame.intrinsics.resized(width=size[0], height=size[1])) if frame.depth_path is None else frame
        for frame in stored
    ]


def _expect_size(source: Path, found: tuple[int, int], camera: LensCamera) -> None:
    wanted = (camera.intrinsics.width, camera.intrinsics.height)
    if found != wanted:
        raise CaptureError(f"{source}: expected a colour image of {wanted[0]}x{wanted[1]}, found {found[0]}x{found[1]}")


def _expect_shape(source: Path, found: tuple[int, int], camera: LensCamera) -> None:
    """Depth of another size is the same camera resized; of another shape it is not."""
    color = camera.intrinsics
    if abs(found[0] * color.height / (found[1] * color.width) - 1.0) > ASPECT_TOLERANCE:
        raise CaptureError(
            f"{source}: expected a depth image of the shape of its {color.width}x{color.height} colour image, found {found[0]}x{found[1]}"
        )


def _made(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    return folder
