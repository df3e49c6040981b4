"""What each frame of a scene sees: its depth and id images, and the scene points that pass the visibility test."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from sightline.arrays import expect, expect_finite
from sightline.captures.capture import Frame
from sightline.captures.frame_images import stored_depth
from sightline.captures.images import NO_READING, SATURATED, depth_m_from_stored, read_uint16
from sightline.errors import SceneError
from sightline.geometry.cameras import Intrinsics
from sightline.geometry.strict_visibility import strict_words
from sightline.geometry.visibility import StoredDepth, block_bounds, spatial_order, unpack_words, visible_words
from sightline.scenes.scene import Scene

BOX_MARGIN_M = 0.01  # points within a centimetre of a box are the object's own where nothing better says whose they are


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Cloud:
    """The scene's points in an order where neighbours are near, with whose they are. Facts do not depend on the order."""

    points_world: np.ndarray  # (N, 3) float64; Fortran order is read fastest
    object_ids: np.ndarray | None  # (N,) int32, -1 = none; None where objects are not known
    bounds_world: np.ndarray  # (ceil(N / 64), 6)
    order: np.ndarray | None = None  # (N,) index into the scene's own points; None where they are not a scene's


@dataclass(frozen=True, kw_only=True, eq=False)  # no slots: metres are kept once asked for
class FrameView:
    """One frame with its images read and its visible points marked."""

    frame: Frame
    stored_depth: np.ndarray | None  # (H, W) uint16 at depth size; None where the frame has no depth
    instances: np.ndarray | None  # (H, W) int32 object_id + 1 at depth size, 0 = none
    words: np.ndarray  # (ceil(N / 64),) uint64 packed visibility of the cloud
    is_strict: bool = False  # marked by the strict, one-sided test

    def visible(self, count: int) -> np.ndarray:
        """The packed bits as `(count,)` bool."""
        return unpack_words(self.words, count)

    @cached_property
    def depth_m(self) -> np.ndarray | None:
        """`(H, W)` float32 at depth size, NaN = no reading; None where the frame has no depth."""
        return None if self.stored_depth is None else depth_m_from_stored(self.stored_depth, depth_scale_m=self.frame.depth_scale_m)

    @property
    def depth_coverage(self) -> float:
        """Share of depth pixels with a reading; 0 without a depth image."""
        if self.stored_depth is None:
            return 0.0
        return float(((self.stored_depth != NO_READING) & (self.stored_depth != SATURATED)).mean())


def cloud_of(scene: Scene) -> Cloud:
    """The scene's cloud, sorted in space; points without ids take those of the object boxes they lie in.

    Raises ShapeError for points that are not `(N, 3)` finite numbers.
    """
    expect(points_world=(scene.points_world, "N 3"))
    expect_finite(points_world=scene.points_world)
    points_world = np.array(scene.points_world, dtype=np.float64)
    order = spatial_order(points_world)
    points_world = np.asfortranarray(points_world[order])
    object_ids = None
    if scene.point_object_ids is not None:
        object_ids = np.asarray(scene.point_object_ids, dtype=np.int32)[order]
    elif scene.objects is not None:
        object_ids = ids_from_boxes(points_world, scene)
    return Cloud(points_world=points_world, object_ids=object_ids, bounds_world=block_bounds(points_world), order=order)


def ids_from_boxes(points_world: np.ndarray, scene: Scene) -> np.ndarray:
    """Object ids `(N,)` int32 of points by the boxes they lie in, the smallest box first; -1 outside all."""
    ids = np.full(len(points_world), -1, dtype=np.int32)
    for one in sorted(scene.objects or (), key=lambda each: (-each.box.volume_m3, each.object_id)):
        ids[one.box.contains(points_world, margin_m=BOX_MARGIN_M)] = one.object_id
    return ids


def view_frame(
    frame: Frame, cloud: Cloud, *, near_m: float, tolerance_m: float, tolerance_share: float, is_strict: bool = False
) -> FrameView:
    """Read a frame's depth and ids and mark the points it sees. Raises SceneError when an image has another size than its camera.

    With `is_strict` by the test of `strict_words`, into which the three limits do not enter.
    """
    if frame.depth_path is None:
        words = np.zeros(len(cloud.bounds_world), dtype=np.uint64)
        return FrameView(frame=frame, stored_depth=None, instances=None, words=words, is_strict=is_strict)
    stored = stored_depth(frame)
    instances = None
    if frame.instance_path is not None:
        instances = read_uint16(frame.instance_path).astype(np.int32)
        _expect_size(instances, frame.depth_intrinsics, str(frame.instance_path))
    depth = StoredDepth(stored=stored, scale_m=frame.depth_scale_m)
    where = {"intrinsics": frame.intrinsics, "world_from_camera": frame.world_from_camera, "bounds_world": cloud.bounds_world}
    if is_strict:
        words = strict_words(cloud.points_world, depth=depth, **where)
    else:
        limits = {"near_m": near_m, "tolerance_m": tolerance_m, "tolerance_share": tolerance_share}
        words = visible_words(cloud.points_world, depth_m=depth, depth_intrinsics=frame.depth_intrinsics, **where, **limits)
    return FrameView(frame=frame, stored_depth=stored, instances=instances, words=words, is_strict=is_strict)


def _expect_size(image: np.ndarray, camera: Intrinsics, where: str) -> None:
    if image.shape != (camera.height, camera.width):
        raise SceneError(
            f"{where}: expected {camera.width}x{camera.height} pixels as its depth camera says, "
            f"found {image.shape[1]}x{image.shape[0]}; import the scan again with the right intrinsics"
        )


def colour_from_depth_uv(uv: np.ndarray, frame: Frame) -> np.ndarray:
    """Depth pixels `(N, 2)` as colour pixels: the two cameras share their centre and axes, so no depth is needed."""
    depth, colour = frame.depth_intrinsics, frame.intrinsics
    u = colour.fx * (uv[:, 0] - depth.cx) / depth.fx + colour.cx
    v = colour.fy * (uv[:, 1] - depth.cy) / depth.fy + colour.cy
    return np.stack([u, v], axis=1)


def pixels_in_colour(frame: Frame, *, border_px: float) -> np.ndarray:
    """Depth pixels `(H, W)` bool whose centre falls inside the colour image, at least `border_px` colour pixels from its edge."""
    depth, colour = frame.depth_intrinsics, frame.intrinsics
    u = colour_from_depth_uv(np.stack([np.arange(depth.width), np.zeros(depth.width)], axis=1), frame)[:, 0]
    v = colour_from_depth_uv(np.stack([np.zeros(depth.height), np.arange(depth.height)], axis=1), frame)[:, 1]
    columns = (u >= border_px - 0.5) & (u < colour.width - 0.5 - border_px)
    rows = (v >= border_px - 0.5) & (v < colour.height - 0.5 - border_px)
    return rows[:, None] & columns[None, :]
