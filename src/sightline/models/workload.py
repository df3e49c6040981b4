"""What a model is given at once, and how many patches, tokens and tiles of each kind that makes."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sightline.errors import ConfigError
from sightline.models.image_sizes import Tiles

if TYPE_CHECKING:
    from sightline.models.config import SpatialVLConfig

MOST_TILES = 6  # per image, as in the MultiSPA recipe


@dataclass(frozen=True, kw_only=True, slots=True)
class Workload:
    """Equal samples: views of one size, and text. Raises ConfigError for a number below its least."""

    views: int = 8
    width_px: int = 640
    height_px: int = 480
    text_tokens: int = 150  # all that is neither an image nor a prefix: prompt, markers of images, question and answer
    answer_tokens: int = 20  # those of the text that are learned
    samples: int = 1

    def __post_init__(self) -> None:
        least = {"views": 0, "width_px": 1, "height_px": 1, "text_tokens": 1, "answer_tokens": 0, "samples": 1}
        for name, low in least.items():
            if getattr(self, name) < low:
                raise ConfigError(f"{name}: expected at least {low}, found {getattr(self, name)}")
        if self.answer_tokens > self.text_tokens:
            raise ConfigError(f"answer_tokens: expected at most the {self.text_tokens} text tokens, found {self.answer_tokens}")


@dataclass(frozen=True, kw_only=True, slots=True)
class TokenCounts:
    """One sample in numbers. `rows` and `columns` are of merged tokens, of one image, tile or step of a video."""

    images: int  # pictures that the vision tower sees: views, tiles, or steps of two views
    rows: int
    columns: int
    merge: int  # patches per token along each axis
    patch_values: int  # numbers in one flat patch
    visual: int  # tokens of the language model that come from the vision tower
    prefix: int  # tokens of the language model that a fusion makes
    sequence: int  # all tokens of the language model
    geometry_views: int  # an odd last frame of a video is doubled
    geometry_rows: int  # patches of the geometry encoder, of one view
    geometry_columns: int

    @property
    def geometry_tokens(self) -> int:
        """Patches of the geometry encoder, of all views."""
        return self.geometry_views * self.geometry_rows * self.geometry_columns

    @property
    def patches(self) -> int:
        """Of one image, before merging."""
        return self.rows * self.columns * self.merge**2


def count_tokens(
    config: "SpatialVLConfig", workload: Workload, *, prefix_tokens: int = 0, encoder_patch_px: int | None = None
) -> TokenCounts:
    """Tokens of one sample. Images are resized to the nearest whole number of tokens along each axis, at least one."""
    grid = config.vision_grid
    window = grid.window_px
    if grid.tile_px is not None:
        across, down = Tiles(side_px=grid.tile_px, most=MOST_TILES).arrangement(workload.width_px, workload.height_px)
        images = workload.views * (across * down + (across * down > 1))  # and the whole image once more, small
        rows = columns = grid.tile_px // window
    else:
        images = -(-workload.views // config.views_per_step)
        rows, columns = (max(1, round(side / window)) for side in (workload.height_px, workload.width_px))
    visual = images * rows * columns if config.backbone_kind.has_vision else 0
    patch = encoder_patch_px or window
    return TokenCounts(
        images=images if config.backbone_kind.has_vision else 0,
        rows=rows,
        columns=columns,
        merge=grid.merge,
        patch_values=3 * grid.temporal_patch * grid.patch_px**2,
        visual=visual,
        prefix=prefix_tokens,
        sequence=visual + prefix_tokens + workload.text_tokens,
        geometry_views=images * config.views_per_step if grid.tile_px is None else workload.views,
        geometry_rows=max(1, rows * window // patch),
        geometry_columns=max(1, columns * window // patch),
    )
