"""Instance images of ScanNet frames: taken out of the scan's archive, brought to the depth images' size, checked against the mesh."""

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from sightline.captures.assemble import StoredFrame
from sightline.captures.capture import Frame, LabelledSurface
from sightline.captures.containers.archives import SafeZip
from sightline.captures.conventions import evenly
from sightline.captures.frame_images import frame_depth_m
from sightline.captures.images import read_uint16, write_uint16_png
from sightline.captures.poses import pose_problem
from sightline.errors import CaptureError
from sightline.geometry.cameras import Intrinsics
from sightline.geometry.transforms import apply, inverse

MAX_IMAGE_BYTES = 64_000_000
MAX_ID = 254  # an 8-bit image holds object_id + 1
VOTE_FRAMES = 5
VOTE_VERTICES = 20_000
MIN_VOTES = 200
MIN_AGREEMENT = 0.8  # of the vertices seen: images and mesh number their objects alike (reliability catalogue B47)
ON_SURFACE_M = 0.05
_NUMBER = re.compile(r"(?:^|/)(\d{1,9})\.png$")


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class InstanceImages:
    """Frames with their instance images where the archive has them."""

    frames: Sequence[StoredFrame]
    missing: int  # frames that the archive has no image of


def write_instances(archive_path: Path, frames: Sequence[StoredFrame], *, known_ids: Sequence[int], folder: Path) -> InstanceImages:
    """An image of object_id + 1 at depth size for each frame with a usable pose, one in memory at a time.

    Each depth pixel takes the colour pixel on its ray. Ids of no known object become none. Raises CaptureError: archive unsafe or
    damaged, images that are no 8-bit PNG of the colour size.
    """
    if max(known_ids, default=0) > MAX_ID:
        raise CaptureError(
            f"{archive_path}: expected object ids of at most {MAX_ID}, which 8-bit images can hold, found {max(known_ids)}. "
            "Fix: instances=false"
        )
    kept = np.zeros(256, dtype=np.uint16)
    kept[np.array(known_ids, dtype=np.int64) + 1] = np.array(known_ids, dtype=np.uint16) + 1
    folder.mkdir()
    done, missing = [], 0
    with SafeZip(archive_path) as archive:
        members = {int(match[1]): name for name in archive.names() if (match := _NUMBER.search(name))}
        for frame in frames:
            number = int(re.findall(r"\d+", frame.frame_id)[-1])
            if pose_problem(frame.stored_pose) is not None:
                done.append(frame)
                continue
            if number not in members:
                missing += 1
                done.append(frame)
                continue
            where = f"{archive_path}: member '{members[number]}'"
            ids = _decoded(archive.read(members[number], max_bytes=MAX_IMAGE_BYTES), frame.intrinsics, where=where)
            assert frame.depth_intrinsics is not None
            path = folder / f"{number:06d}.png"
            write_uint16_png(path, kept[_at_depth_pixels(ids, frame.intrinsics, frame.depth_intrinsics)])
            done.append(replace(frame, instance_path=path))
    return InstanceImages(frames=done, missing=missing)


def refuse_shifted(frames: Sequence[Frame], surface: LabelledSurface, *, where: str) -> None:
    """Compare the ids of mesh vertices with the pixels that see them. Raises CaptureError where they mostly differ."""
    chosen = [frames[index] for index in evenly(len(frames), VOTE_FRAMES) if frames[index].instance_path is not None]
    places = evenly(len(surface.points_world), VOTE_VERTICES)
    points_world, ids = surface.points_world[places], surface.object_ids[places]
    same = total = 0
    for frame in chosen:
        camera = frame.depth_intrinsics
        uv, z_m = camera.project(apply(inverse(frame.world_from_camera), points_world))
        inside = (z_m > 0.0) & camera.contains(np.nan_to_num(uv, nan=-9.0))
        u, v = np.rint(uv[inside]).astype(np.int64).T
        on_surface = np.abs(frame_depth_m(frame)[v, u] - z_m[inside]) < ON_SURFACE_M
        assert frame.instance_path is not None
        image_ids = read_uint16(frame.instance_path)[v, u].astype(np.int64) - 1
        votes = on_surface & (image_ids >= 0) & (ids[inside] >= 0)
        same, total = same + int((image_ids == ids[inside])[votes].sum()), total + int(votes.sum())
    if total >= MIN_VOTES and same < MIN_AGREEMENT * total:
        raise CaptureError(
            f"{where}: expected instance images that number objects as the mesh does, found {same} of {total} vertices agreeing. "
            "Fix: download the archive and the aggregation again, or instances=false"
        )


def _decoded(content: bytes, camera: Intrinsics, *, where: str) -> np.ndarray:
    """`(H, W)` uint8."""
    try:
        with Image.open(io.BytesIO(content), formats=("PNG",)) as image:
            if image.mode not in ("L", "P") or image.size != (camera.width, camera.height):
                raise CaptureError(
                    f"{where}: expected an 8-bit image of the colour size {camera.width}x{camera.height}, found {image.mode} "
                    f"{image.width}x{image.height}"
                )
            return np.asarray(image)
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        raise CaptureError(f"{where}: expected a whole PNG, found none or a damaged one ({error})") from error


def _at_depth_pixels(ids: np.ndarray, colour: Intrinsics, depth: Intrinsics) -> np.ndarray:
    """`(H, W)` of the depth images: the id of the nearest colour pixel on the same ray, 0 outside the colour image."""
    u = np.rint((np.arange(depth.width) - depth.cx) * (colour.fx / depth.fx) + colour.cx).astype(np.int64)
    v = np.rint((np.arange(depth.height) - depth.cy) * (colour.fy / depth.fy) + colour.cy).astype(np.int64)
    inside = ((v >= 0) & (v < colour.height))[:, None] & ((u >= 0) & (u < colour.width))[None, :]
    taken = ids[np.clip(v, 0, colour.height - 1)[:, None], np.clip(u, 0, colour.width - 1)[None, :]]
    return np.where(inside, taken, 0)
