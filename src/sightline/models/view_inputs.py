"""The views among a model's inputs: found, checked against placeholders and grids, and handed to a geometry encoder.

Shapes: B rows of a batch, I images or videos and V views of the whole batch, N geometry tokens of the whole batch.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from sightline.errors import ModelError
from sightline.models.geometry_tokens import frame_from_camera
from sightline.models.images import images_of
from sightline.models.model import GeometryTokens, Views

if TYPE_CHECKING:
    from sightline.models.config import SpatialVLConfig

VIEW_NAMES = ("views_per_sample", "view_intrinsics", "view_depth_m", "view_depth_intrinsics", "view_world_from_camera")
GEOMETRY_NAMES = ("geometry_coordinates", "geometry_features", "geometry_camera", "geometry_valid", "geometry_grid_hw")
SHAPES = {"view_intrinsics": "6", "view_depth_m": "h w", "view_depth_intrinsics": "6", "view_world_from_camera": "4 4"}  # of one view
IMAGE, VIDEO = 1, 2


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ViewInputs:
    """The part of a model's inputs that shows views."""

    pixel_values: Tensor  # (patches, 3 T p p), normalised as the backbone's vision tower wants it
    grid_thw: Tensor  # (I, 3) patches
    is_video: bool
    given: dict[str, Any] = field(default_factory=dict)  # of VIEW_NAMES and GEOMETRY_NAMES

    def views_per_image(self, temporal_patch: int) -> list[int]:
        """How many views each image or video shows."""
        return [int(steps) * temporal_patch if self.is_video else 1 for steps in self.grid_thw[:, 0]]

    def ready_geometry(self, config: "SpatialVLConfig", encoder: Any, input_ids: Tensor | None) -> GeometryTokens | None:
        """What an encoder computed before, where it is given. Raises ModelError for tokens that do not stand on the views' grids."""
        coordinates, features, is_valid = (self.given.get(name) for name in ("geometry_coordinates", "geometry_features", "geometry_valid"))
        tokens = coordinates if encoder.gives == "coordinates" else features
        if tokens is None or is_valid is None:
            return None
        grid = self.given.get("geometry_grid_hw")
        wanted = self.grid_hw(config) if encoder.patch_px is None or grid is None else None
        if wanted is not None and grid is not None and (grid.shape != wanted.shape or not torch.equal(grid.to(wanted), wanted)):
            raise ModelError(f"fusion '{config.fusion}': expected geometry on the images' token grids {shown(wanted)}, found {shown(grid)}")
        grid = grid if grid is not None else wanted
        count = int(grid.prod(-1).sum())
        if tokens.shape != (count, encoder.channels) or is_valid.shape != (count,):
            raise ModelError(
                f"fusion '{config.fusion}': expected geometry ({count}, {encoder.channels}) with ({count},) flags for {count} tokens, "
                f"found {tuple(tokens.shape)} with {tuple(is_valid.shape)}"
            )
        return GeometryTokens(
            views_per_sample=self.views_per_sample(config, input_ids),
            grid_hw=grid,
            is_valid=is_valid.bool(),
            coordinates_m=coordinates,
            features=features,
            camera=self.given.get("geometry_camera"),
            views=self._told(config, input_ids),
        )

    def grid_hw(self, config: "SpatialVLConfig") -> Tensor:
        """`(V, 2)` rows and columns of merged visual tokens of each view."""
        grid = config.vision_grid
        counts = torch.tensor(self.views_per_image(grid.temporal_patch), device=self.grid_thw.device)
        return torch.repeat_interleave(self.grid_thw[:, 1:] // grid.merge, counts, dim=0)

    def views_per_sample(self, config: "SpatialVLConfig", input_ids: Tensor | None) -> tuple[int, ...]:
        """As given, or counted from the placeholders of each row."""
        counts = self.views_per_image(config.vision_grid.temporal_patch)
        stated = self.given.get("views_per_sample")
        if stated is not None:
            stated = tuple(int(count) for count in stated)
            if input_ids is not None and len(stated) != len(input_ids):
                raise ModelError(f"views_per_sample: expected a number for each of {len(input_ids)} samples, found {list(stated)}")
            if sum(stated) != sum(counts):
                raise ModelError(f"views_per_sample: expected numbers that sum to the {sum(counts)} views shown, found {list(stated)}")
            return stated
        if input_ids is None or not config.backbone_kind.has_vision:
            if input_ids is not None and len(input_ids) > 1:
                raise ModelError(f"views_per_sample: expected the number of views of each of {len(input_ids)} samples, found none")
            return (sum(counts),)
        placeholder = placeholder_id(config, is_video=self.is_video)
        tokens_of = (self.grid_thw.prod(-1) // config.vision_grid.merge**2).tolist()
        per_sample, image = [], 0
        for in_row in (input_ids == placeholder).sum(1).tolist():
            first = image
            while in_row > 0 and image < len(tokens_of):
                in_row, image = in_row - tokens_of[image], image + 1
            per_sample.append(sum(counts[first:image]))
        return tuple(per_sample)

    def _told(self, config: "SpatialVLConfig", input_ids: Tensor | None) -> Views:
        """The views without their pixels, with what is known of their cameras: as an encoder that had been asked would hand them on."""
        poses = self.given.get("view_world_from_camera")
        per_sample = self.views_per_sample(config, input_ids)
        expect_each_view(self.given, sum(per_sample))
        return Views(
            images=(),
            views_per_sample=per_sample,
            token_grid_hw=self.grid_hw(config),
            intrinsics=self.given.get("view_intrinsics"),
            depth_m=self.given.get("view_depth_m"),
            depth_intrinsics=self.given.get("view_depth_intrinsics"),
            frame_from_camera=None if poses is None else frame_from_camera(config.coordinate_frame, poses, per_sample),
        )


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Taken:
    """A model's inputs, the views apart."""

    views: ViewInputs | None
    others: dict[str, Any]


def take_views(inputs: dict[str, Any], *, has_vision: bool) -> Taken:
    """Split keyword arguments of a forward pass. Text alone, or a step whose images are in the cache already, has no views."""
    others = dict(inputs)
    given = {name: value for name in (*VIEW_NAMES, *GEOMETRY_NAMES) if (value := others.pop(name, None)) is not None}
    images, videos = others.pop("pixel_values", None), others.pop("pixel_values_videos", None)
    if images is not None and videos is not None:
        raise ModelError("pixel_values, pixel_values_videos: expected images or the frames of a video, found both")
    if images is None and videos is None:
        if not has_vision:
            for name in ("image_grid_thw", "video_grid_thw", "mm_token_type_ids"):
                others.pop(name, None)
        return Taken(views=None, others=others)
    image_grid, video_grid = others.pop("image_grid_thw", None), others.pop("video_grid_thw", None)
    grid = image_grid if videos is None else video_grid
    if grid is None:
        named = "pixel_values: expected image_grid_thw" if videos is None else "pixel_values_videos: expected video_grid_thw"
        raise ModelError(f"{named}, the grid of patches of each, found none")
    if not has_vision:
        others.pop("mm_token_type_ids", None)
    pixels = images if videos is None else videos
    return Taken(views=ViewInputs(pixel_values=pixels, grid_thw=grid, is_video=videos is not None, given=given), others=others)


def views_of(config: "SpatialVLConfig", encoder: Any, found: ViewInputs, input_ids: Tensor | None) -> Views:
    """Views as an encoder takes them. Raises ModelError where it needs depth or poses that are not given."""
    per_sample = found.views_per_sample(config, input_ids)
    poses = found.given.get("view_world_from_camera")
    if encoder.needs_depth and (poses is None or found.given.get("view_depth_m") is None):
        raise ModelError(
            f"fusion '{config.fusion}': expected geometry for {sum(per_sample)} views (depth and pose, or coordinates), found none"
        )
    expect_each_view(found.given, sum(per_sample))
    grid = config.vision_grid
    images = ()
    if encoder.needs_images:
        images = images_of(found.pixel_values, found.grid_thw, grid, first_only=not found.is_video)
    return Views(
        images=images,
        views_per_sample=per_sample,
        token_grid_hw=found.grid_hw(config),
        intrinsics=found.given.get("view_intrinsics"),
        depth_m=found.given.get("view_depth_m"),
        depth_intrinsics=found.given.get("view_depth_intrinsics"),
        frame_from_camera=None if poses is None else frame_from_camera(config.coordinate_frame, poses, per_sample),
    )


def placeholder_id(config: "SpatialVLConfig", *, is_video: bool) -> int | None:
    """The token id that stands for one visual token."""
    return config.backbone_config.video_token_id if is_video else config.backbone_kind.image_token_id(config.backbone_config)


def expect_placeholders(config: "SpatialVLConfig", input_ids: Tensor | None, attention_mask: Tensor | None, found: ViewInputs) -> None:
    """Placeholders = merged features = attended positions, or ModelError with the numbers."""
    grid, patches = config.vision_grid, int(found.grid_thw.prod(-1).sum())
    if len(found.pixel_values) != patches:
        raise ModelError(f"pixel_values: expected {patches} patches for the grids {shown(found.grid_thw)}, found {len(found.pixel_values)}")
    if input_ids is None or not config.backbone_kind.has_vision:
        return
    is_placeholder = input_ids == placeholder_id(config, is_video=found.is_video)
    in_rows = is_placeholder.sum(1).tolist()
    placeholders, features = sum(in_rows), patches // grid.merge**2
    if placeholders != features:
        raise ModelError(f"input_ids: expected {features} image placeholders for the grids {shown(found.grid_thw)}, found {placeholders}")
    ends = {0, *accumulate(int(tokens) for tokens in (found.grid_thw.prod(-1) // grid.merge**2).tolist())}
    if not ends.issuperset(accumulate(in_rows)):  # one sample's question would be told of a part of another's view
        raise ModelError(
            f"input_ids: expected placeholders of whole images {shown(found.grid_thw)} in each sample, found {in_rows} of them"
        )
    expect_attended("image", is_placeholder, attention_mask)


def is_packed(attention_mask: Any) -> bool:
    """Whether rows hold several samples, so that a mask of four dimensions says who sees whom."""
    return attention_mask is not None and len(attention_mask.shape) == 4


def expect_prefix(in_rows: Sequence[int], is_prefix: Tensor, attention_mask: Tensor | None) -> None:
    """Prefix placeholders of each sample where the fusion makes so many, all attended, or ModelError with the numbers."""
    found = is_prefix.sum(1).tolist()
    if sum(found) != sum(in_rows):
        raise ModelError(f"input_ids: expected {sum(in_rows)} prefix placeholders for these views, found {sum(found)}")
    if found != list(in_rows) and not is_packed(attention_mask):
        raise ModelError(f"input_ids: expected {list(in_rows)} prefix placeholders in the samples, found {found}")
    expect_attended("prefix", is_prefix, attention_mask)


def expect_attended(what: str, is_placeholder: Tensor, attention_mask: Tensor | None) -> None:
    """Every placeholder attended, or ModelError with the numbers. A mask of another form is left to the backbone."""
    if attention_mask is None or len(attention_mask.shape) != 2:
        return
    placeholders = int(is_placeholder.sum())
    attended = int((is_placeholder & attention_mask[:, -is_placeholder.shape[1] :].bool()).sum())
    if attended != placeholders:
        raise ModelError(f"attention_mask: expected all {placeholders} {what} placeholders attended, found {attended}")


def expect_each_view(given: dict[str, Any], count: int) -> None:
    """Cameras and depth maps for so many views, of the right form, or ModelError naming the first that is not."""
    for name, form in SHAPES.items():
        value, wanted = given.get(name), form.split()
        if value is None:
            continue
        fits = value.ndim == len(wanted) + 1 and len(value) == count
        if not fits or any(word.isdigit() and int(word) != size for word, size in zip(wanted, value.shape[1:], strict=True)):
            raise ModelError(f"{name}: expected ({', '.join([str(count), *wanted])}) for the views shown, found {tuple(value.shape)}")


def shown(grids: Sequence[Any] | Tensor) -> str:
    """Grids as `6x8, 6x8`, no more than four of them."""
    words = ["x".join(str(int(size)) for size in row[-2:]) for row in grids]
    return ", ".join(words[:4]) + (f", ... ({len(words)} images)" if len(words) > 4 else "")
