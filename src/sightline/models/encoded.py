"""One sample as arrays, and a padded batch of them as tensors.

Shapes: L tokens of a sample, V views with p patches and n merged tokens each, N merged tokens of all views, B samples of a batch.
A view is one image as the vision tower sees it: a whole image, a tile of one, or a frame of a clip.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from sightline.geometry.cameras import Intrinsics
from sightline.models.backbones.backbone import VisionGrid
from sightline.models.images import normalised_tensor
from sightline.samples.frames import View


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Cameras:
    """What a geometry encoder on the device needs of V views; NaN where it is unknown."""

    intrinsics: np.ndarray  # (V, 6) float64, fx fy cx cy width height of the shown image
    depth_m: tuple[np.ndarray | None, ...]  # V maps (h, w) at their own sizes
    depth_intrinsics: np.ndarray  # (V, 6) float64
    world_from_camera: np.ndarray  # (V, 4, 4) float64


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Encoded:
    """One sample. Small, so that a whole data set fits in memory; depth maps are shared between samples."""

    input_ids: np.ndarray  # (L,) int32
    labels: np.ndarray  # (L,) int32, -100 outside the answer and its end-of-turn
    patches: np.ndarray  # (V p, 3 patch patch) uint8, in the order of the vision tower
    grid_hw: np.ndarray  # (V, 2) int32, rows and columns of merged tokens of each view
    coordinates_m: np.ndarray | None  # (N, 3) float32, in the model's coordinate frame; NaN where invalid; None where not computed here
    is_valid: np.ndarray | None  # (N,) bool
    views: int
    dots: np.ndarray  # (N,) int8, which of MARK_COLOURS has a dot's centre in the token, counted from 1; 0 = none
    cameras: Cameras | None = None


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ShownView:
    """One view, ready to stand in a sample."""

    patches: np.ndarray  # (p, 3 patch patch) uint8
    rows: int  # of merged tokens
    columns: int
    view: View
    points_world: np.ndarray | None  # (n, 3) metres, NaN where invalid
    is_valid: np.ndarray | None  # (n,)
    dots: np.ndarray | None = None  # (n,) int8, see Encoded


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Seen:
    """The images of a sample together, as all questions about them share them. Arrays as of Encoded."""

    pictures: int
    visual: Sequence[Sequence[int]]  # of each image (or of the one clip) the visual tokens of its views
    patches: np.ndarray
    grid_hw: np.ndarray
    coordinates_m: np.ndarray | None
    is_valid: np.ndarray | None
    dots: np.ndarray
    cameras: Cameras | None

    @property
    def views(self) -> int:
        return len(self.grid_hw)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ModelInputs:
    """A padded batch. Geometry and pixels are concatenated over the batch; what a model does not take is None."""

    input_ids: Tensor  # (B, L)
    attention_mask: Tensor  # (B, L)
    labels: Tensor  # (B, L)
    mm_token_type_ids: Tensor | None = None  # (B, L) 1 at image placeholders, 2 at a video's
    position_ids: Tensor | None = None  # (3, B, L) time, row, column
    pixel_values: Tensor | None = None  # normalised, or the uint8 patches that `with_pixels` normalises
    image_grid_thw: Tensor | None = None  # (V, 3) patches
    pixel_values_videos: Tensor | None = None
    video_grid_thw: Tensor | None = None  # (clips, 3) patches
    second_per_grid_ts: Tensor | None = None  # (clips,) seconds from one step to the next
    views_per_sample: Tensor | None = None  # (B,)
    view_intrinsics: Tensor | None = None  # (V, 6), see Cameras
    view_depth_m: Tensor | None = None  # (V, h, w), smaller maps padded with NaN on the right and below
    view_depth_intrinsics: Tensor | None = None  # (V, 6)
    view_world_from_camera: Tensor | None = None  # (V, 4, 4) float64
    geometry_coordinates: Tensor | None = None  # (N, 3)
    geometry_features: Tensor | None = None  # (M, C) what a frozen encoder said of these views before, on its own grid
    geometry_camera: Tensor | None = None  # (V, C) likewise
    geometry_valid: Tensor | None = None  # (N,) or (M,)
    geometry_grid_hw: Tensor | None = None  # (V, 2)
    dots: Tensor | None = None  # one for each visual token, see Encoded

    def for_generation(self) -> dict[str, Tensor]:
        """Keyword arguments of `generate`, which finds positions itself."""
        return {name: value for name, value in self._all().items() if name not in ("labels", "position_ids", "dots")}

    def for_loss(self) -> dict[str, Tensor]:
        """Keyword arguments of `answer_loss`."""
        return {name: value for name, value in self._all().items() if name not in ("mm_token_type_ids", "second_per_grid_ts")}

    def to(self, device: torch.device | str) -> "ModelInputs":
        """The same batch on a device."""
        return ModelInputs(**{name: getattr(self, name) if value is None else value.to(device) for name, value in self._every().items()})

    def with_pixels(self, grid: VisionGrid) -> "ModelInputs":
        """The same with float pixels, made where the patches are; unchanged where these are no uint8."""
        found: dict[str, Tensor] = {}
        for name in ("pixel_values", "pixel_values_videos"):
            patches = getattr(self, name)
            if patches is not None and patches.dtype == torch.uint8:
                found[name] = normalised_tensor(patches, grid, is_video=name == "pixel_values_videos")
        return replace(self, **found)

    def _every(self) -> dict[str, Tensor | None]:
        return {name: getattr(self, name) for name in self.__dataclass_fields__}

    def _all(self) -> dict[str, Tensor]:
        return {name: value for name, value in self._every().items() if value is not None}


def cameras_of(views: list[View]) -> Cameras:
    """The cameras of views, some of which may have neither pose nor depth."""
    unknown = np.full((4, 4), np.nan)
    poses = [unknown if view.world_from_camera is None else view.world_from_camera for view in views]
    return Cameras(
        intrinsics=_rows([view.intrinsics for view in views]),
        depth_m=tuple(view.depth_m for view in views),
        depth_intrinsics=_rows([view.depth_intrinsics for view in views]),
        world_from_camera=np.array(poses, dtype=np.float64).reshape(-1, 4, 4),
    )


def _rows(cameras: list[Intrinsics | None]) -> np.ndarray:
    unknown = (np.nan,) * 6
    rows = [unknown if one is None else (one.fx, one.fy, one.cx, one.cy, one.width, one.height) for one in cameras]
    return np.array(rows, dtype=np.float64).reshape(-1, 6)
