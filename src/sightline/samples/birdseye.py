"""A picture of a scene from above: to scale, upright, without its ceiling; where every place of the world lies in it is known."""

import math
from dataclasses import dataclass, field
from typing import Annotated

import cv2
import numpy as np
from pydantic import Field

from sightline.captures.capture import Frame
from sightline.captures.images import read_rgb
from sightline.config import config
from sightline.errors import DataError
from sightline.geometry.depth import points_world_from_depth
from sightline.samples.birdseye_drawing import BAR_STRIP, Canvas, Surface, draw_arrow, draw_scale_bar
from sightline.samples.framing import resized
from sightline.samples.thinning import thinned_depth
from sightline.scenes.scene import Scene

BACKGROUND = (208, 208, 208)
FRAMED = (0.2, 99.8)  # percentiles of the cloud that the picture shows, and a margin: stray points do not shrink it
SLAB_M = 0.05  # thickness of the layers in which floor and ceiling are looked for
FLOOR_WITHIN_M = 0.4  # above the lowest hundredth of the points
LOWEST_CEILING_M = 1.8  # above the floor
CEILING_GAP_M = 0.12  # what is cut away below a ceiling
CEILING_SHARE = 0.25  # of the floor's points, that a layer needs to be a ceiling
APART_SHARE = (
    0.7  # half side of a point's square by the mean distance of points: neighbours' squares meet though points are not on a raster
)
SPECK_M2 = 0.004  # what stands apart from everything else and is smaller than two thumbs is a wrong reading
ARROW_M = 0.6
LEAST_ARROW_PX = 14.0


@config
class BirdsEyeOptions:
    """How a scene is shown from above, by an orthographic camera that looks along -z, +y of the world up in the picture."""

    size_px: Annotated[int, Field(ge=64, le=8192)] = 1024
    """Long side of the picture, the strip of the scale bar included."""
    cut_above_floor_m: Annotated[float, Field(gt=0.0)] = 2.2
    """What is higher is cut away; so is a ceiling below it."""
    margin_m: Annotated[float, Field(ge=0.0)] = 0.2
    """Around the scene."""
    most_frames: Annotated[int, Field(ge=1)] = 64
    """Frames that are fused, evenly spread."""
    columns: Annotated[int, Field(ge=16)] = 240
    """Readings along a row of a depth map that are drawn, at most."""
    scale_bar: bool = True
    """Draw a bar of a round length in a strip below the scene."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class BirdsEye:
    """A scene from above. Pixels `uv` are integers at pixel centres; u grows with x, v against y."""

    rgb: np.ndarray  # (H, W, 3) uint8
    is_drawn: np.ndarray  # (H, W) bool, where something was seen
    metres_per_pixel: float
    pixel_from_world: np.ndarray  # (2, 4) float64: uv = pixel_from_world @ (x, y, z, 1)
    floor_m: float  # height of the floor in the world
    cut_m: float  # heights from here on are cut away
    strip_px: int  # rows at the lower edge that hold the scale bar

    def pixels(self, points_world: np.ndarray) -> np.ndarray:
        """Where world points `(N, 3)` lie, `uv (N, 2)`, inside the picture or not."""
        return points_world @ self.pixel_from_world[:, :3].T + self.pixel_from_world[:, 3]

    def shows(self, point_world: np.ndarray) -> bool:
        """Whether a place lies above the strip of the scale bar and inside the picture."""
        u_px, v_px = self.pixels(np.asarray(point_world, np.float64)[None])[0]
        height, width = self.is_drawn.shape
        return bool(-0.5 <= u_px <= width - 0.5 and -0.5 <= v_px <= height - self.strip_px - 0.5)

    def with_agent(self, position_world: np.ndarray, heading_rad: float) -> np.ndarray:
        """A copy of the picture with an arrow at a place, towards `heading_rad` from +x to +y. Raises DataError for a place outside."""
        rgb = self.rgb.copy()
        u_px, v_px = self.pixels(np.asarray(position_world, np.float64)[None])[0]
        towards = (math.cos(heading_rad), -math.sin(heading_rad))
        draw_arrow(rgb, u_px=u_px, v_px=v_px, towards_uv=towards, length_px=max(LEAST_ARROW_PX, ARROW_M / self.metres_per_pixel))
        return rgb


@dataclass(frozen=True, kw_only=True, slots=True)
class _Frame:
    """The picture before anything is drawn."""

    width: int
    height: int
    strip_px: int
    metres_per_pixel: float
    pixel_from_world: np.ndarray
    floor_m: float
    cut_m: float
    canvas: Canvas = field(repr=False)

    @classmethod
    def around(cls, points_world: np.ndarray, options: BirdsEyeOptions, *, corners_world: np.ndarray | None = None) -> "_Frame":
        """What is below the cut: all `corners_world` where they are given, else of the points all but the outermost. DataError: none."""
        floor_m, cut_m = floor_and_cut_m(points_world, options.cut_above_floor_m)
        bounding, percentiles = (points_world, FRAMED) if corners_world is None else (corners_world, (0.0, 100.0))
        shown = bounding[bounding[:, 2] < cut_m, :2].astype(np.float64)
        low, high = np.percentile(shown, percentiles, axis=0)
        low, high = low - options.margin_m, high + options.margin_m
        strip_px = max(16, round(BAR_STRIP * options.size_px)) if options.scale_bar else 0
        span = np.maximum(high - low, 0.1)
        metres_per_pixel = float(max(span[0] / options.size_px, span[1] / (options.size_px - strip_px)))
        width = min(options.size_px, math.ceil(span[0] / metres_per_pixel - 1e-9))
        height = min(options.size_px - strip_px, math.ceil(span[1] / metres_per_pixel - 1e-9))
        scale = 1.0 / metres_per_pixel
        middle = (low + high) / 2
        pixel_from_world = np.array(
            [
                [scale, 0.0, 0.0, (width - 1) / 2 - middle[0] * scale],
                [0.0, -scale, 0.0, (height - 1) / 2 + middle[1] * scale],
            ]
        )
        return cls(
            width=width,
            height=height,
            strip_px=strip_px,
            metres_per_pixel=metres_per_pixel,
            pixel_from_world=pixel_from_world,
            floor_m=floor_m,
            cut_m=cut_m,
            canvas=Canvas(width, height),
        )

    def uvz(self, points_world: np.ndarray) -> np.ndarray:
        """Pixels and height of points `(..., 3)`, float32."""
        uv = points_world @ self.pixel_from_world[:, :3].T + self.pixel_from_world[:, 3]
        return np.concatenate([uv, points_world[..., 2:]], axis=-1).astype(np.float32)

    def finished(self) -> BirdsEye:
        rgb = self.canvas.image(BACKGROUND)
        drawn = self.canvas.weights > 0
        if self.strip_px:
            rgb = np.concatenate([rgb, np.full((self.strip_px, self.width, 3), BACKGROUND, np.uint8)])
            drawn = np.concatenate([drawn, np.zeros((self.strip_px, self.width), bool)])
            draw_scale_bar(rgb, metres_per_pixel=self.metres_per_pixel, strip_px=self.strip_px)
        return BirdsEye(
            rgb=rgb,
            is_drawn=drawn,
            metres_per_pixel=self.metres_per_pixel,
            pixel_from_world=self.pixel_from_world,
            floor_m=self.floor_m,
            cut_m=self.cut_m,
            strip_px=self.strip_px,
        )


def birdseye_of_scene(scene: Scene, options: BirdsEyeOptions | None = None) -> BirdsEye:
    """A scan from above: the surfaces of its depth maps in the colours of its images; without depth or poses its cloud, grey by height.

    Raises DataError for a scan with neither, SceneError or CaptureError for a damaged image.
    """
    chosen = options or BirdsEyeOptions()
    with_depth = [frame for frame in scene.frames if frame.depth_path is not None] if scene.has_poses else []
    points = np.asarray(scene.points_world)
    if not len(points):
        raise DataError(f"{scene.root}: expected depth or points to show from above, found neither")
    if not with_depth:
        return birdseye_of_points(points, None, options=chosen)
    step = np.linspace(0, len(with_depth) - 1, min(chosen.most_frames, len(with_depth)), dtype=int)
    frame = _Frame.around(points, chosen)
    surfaces = [_surface(with_depth[number], frame, chosen) for number in step]
    for colour in (False, True):
        for surface in surfaces:
            frame.canvas.depth_map(surface, metres_per_pixel=frame.metres_per_pixel, cut_m=frame.cut_m, colour=colour)
    frame.canvas.forget_specks(least_px=SPECK_M2 / frame.metres_per_pixel**2)
    return frame.finished()


def birdseye_of_points(points_world: np.ndarray, rgb: np.ndarray | None, *, options: BirdsEyeOptions | None = None) -> BirdsEye:
    """A cloud `(N, 3)` from above in its colours `(N, 3)` uint8, grey by height without them. Each point is as large as they are apart."""
    frame = _Frame.around(points_world, options or BirdsEyeOptions())
    colours = _grey_by_height(points_world[:, 2], frame) if rgb is None else np.ascontiguousarray(rgb, np.uint8)
    uvz = frame.uvz(points_world.astype(np.float64))
    shown = uvz[uvz[:, 2] < frame.cut_m]
    apart_px = 1.0 / math.sqrt(max(1, len(np.unique(np.rint(shown[:, :2]), axis=0))) / (frame.width * frame.height))
    half_px = min(math.ceil(APART_SHARE * apart_px), frame.width // 50)
    for colour in (False, True):
        frame.canvas.points(uvz, colours, half_px=half_px, cut_m=frame.cut_m, colour=colour)
    return frame.finished()


def birdseye_of_mesh(
    vertices_world: np.ndarray, triangles: np.ndarray, rgb: np.ndarray | None, *, options: BirdsEyeOptions | None = None
) -> BirdsEye:
    """A mesh from above: vertices `(N, 3)`, triangles `(T, 3)` of their numbers, colours `(N, 3)` uint8 or grey by height."""
    spread = _spread(vertices_world, triangles)
    frame = _Frame.around(spread, options or BirdsEyeOptions(), corners_world=vertices_world[np.unique(triangles)])
    colours = _grey_by_height(vertices_world[:, 2], frame) if rgb is None else np.ascontiguousarray(rgb, np.uint8)
    uvz = frame.uvz(vertices_world.astype(np.float64))
    for colour in (False, True):
        frame.canvas.triangles(uvz, colours, np.ascontiguousarray(triangles, np.int64), cut_m=frame.cut_m, colour=colour)
    return frame.finished()


def floor_and_cut_m(points_world: np.ndarray, cut_above_floor_m: float) -> tuple[float, float]:
    """Height of the floor, and from where on things are cut away: so much above it, or below a ceiling that is lower.

    The floor is the fullest layer near the lowest points, the ceiling the fullest one higher than a door frame's beginning.
    """
    heights = np.asarray(points_world[:, 2], np.float64)
    heights = heights[np.isfinite(heights)]
    if not len(heights):
        raise DataError("bird's-eye view: expected points to show, found none")
    lowest = float(np.percentile(heights, 1.0))
    near = heights[(heights >= lowest - FLOOR_WITHIN_M) & (heights <= lowest + FLOOR_WITHIN_M)]
    floor_m, floor_count = _fullest_layer(near)
    high = heights[heights > floor_m + LOWEST_CEILING_M]
    cut_m = floor_m + cut_above_floor_m
    if len(high):
        ceiling_m, count = _fullest_layer(high)
        if count >= CEILING_SHARE * floor_count:
            cut_m = min(cut_m, ceiling_m - CEILING_GAP_M)
    return floor_m, cut_m


def sqa3d_heading_rad(rotation_z: float, rotation_w: float) -> float:
    """Where SQA3D's agent looks, from +x to +y: its rotation is about z, and without any its arrow points to -x."""
    return math.remainder(2.0 * math.atan2(rotation_z, rotation_w) + math.pi, 2.0 * math.pi)


def _fullest_layer(heights: np.ndarray) -> tuple[float, int]:
    """Middle height of the points of the fullest layer, the lower of equal ones, and how many it has."""
    ordered = np.sort(heights)
    last = np.searchsorted(ordered, ordered + SLAB_M, side="right")
    counts = last - np.arange(len(ordered))
    best = int(np.argmax(counts))
    return float(np.median(ordered[best : last[best]])), int(counts[best])


def _surface(frame: Frame, shown: _Frame, options: BirdsEyeOptions) -> Surface:
    """What a frame saw, in the picture's pixels."""
    depth_m, camera = thinned_depth(frame, columns=options.columns)
    points = points_world_from_depth(depth_m, camera, frame.world_from_camera)
    colour = frame.intrinsics.resized(width=camera.width, height=camera.height)
    rgb = resized(read_rgb(frame.rgb_path), width=camera.width, height=camera.height)
    # where each reading lies in the colour image: one camera, two sizes
    u = ((np.arange(camera.width) - camera.cx) / camera.fx * colour.fx + colour.cx).astype(np.float32)
    v = ((np.arange(camera.height) - camera.cy) / camera.fy * colour.fy + colour.cy).astype(np.float32)
    placed = cv2.remap(rgb, *np.meshgrid(u, v), interpolation=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    eye_uvz = shown.uvz(frame.world_from_camera[:3, 3][None])[0]
    return Surface(uvz=shown.uvz(points), eye_uvz=eye_uvz, depth_m=depth_m, rgb=placed)


def _grey_by_height(heights: np.ndarray, frame: _Frame) -> np.ndarray:
    """Light above, dark at the floor."""
    share = np.clip((heights - frame.floor_m) / (frame.cut_m - frame.floor_m), 0.0, 1.0)
    grey = np.rint(70 + 150 * share).astype(np.uint8)
    return np.repeat(grey[:, None], 3, axis=1)


def _spread(vertices_world: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """Points of a mesh that tell its layers: vertices and the middles of its triangles, large ones as often as they are large."""
    corners = vertices_world[triangles].astype(np.float64)
    areas = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1) / 2.0
    total = float(areas.sum())
    times = np.maximum(1, np.rint(10_000 * areas / total)).astype(int) if total > 0 else np.ones(len(areas), int)
    return np.concatenate([vertices_world.astype(np.float64), np.repeat(corners.mean(axis=1), times, axis=0)])
