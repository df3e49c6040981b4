"""The model room's contract: views in, geometry tokens and visual tokens between, fusions; and the catalogs of all parts.

Shapes: B rows of a batch, V views of the whole batch, N tokens of the whole batch, D hidden size, C channels of a geometry encoder.
Everything is flat over the batch, sample after sample and view after view, so that samples with different view counts share one.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from torch import Tensor, nn

from sightline.catalog import Catalog

if TYPE_CHECKING:
    from sightline.models.config import SpatialVLConfig

MODEL_TYPE = "sightline_spatial_vl"
IGNORED = -100  # label of a token that is not learned, as everywhere in transformers


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Views:
    """All views of a batch, as a geometry encoder sees them. What it does not need may be missing."""

    images: Sequence[Tensor]  # V times (3, H, W) in [0, 1]; sizes may differ
    views_per_sample: tuple[int, ...]  # B numbers that sum to V
    token_grid_hw: Tensor  # (V, 2) rows and columns of the model's merged visual tokens, where coordinates are wanted
    intrinsics: Tensor | None = None  # (V, 6) fx fy cx cy width height, of the images
    depth_m: Tensor | None = None  # (V, h, w) metres; NaN or 0 where nothing was read, and where a smaller map was padded
    depth_intrinsics: Tensor | None = None  # (V, 6) of the depth maps before padding
    frame_from_camera: Tensor | None = None  # (V, 4, 4) float64, into the model's coordinate frame


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class GeometryTokens:
    """What is known in 3-D about each cell of each view. Coordinates of invalid tokens mean nothing and may be NaN."""

    views_per_sample: tuple[int, ...]  # B numbers that sum to V
    grid_hw: Tensor  # (V, 2) rows and columns of these tokens
    is_valid: Tensor  # (N,) bool
    coordinates_m: Tensor | None = None  # (N, 3) metres, in the coordinate frame of the config
    features: Tensor | None = None  # (N, C)
    camera: Tensor | None = None  # (V, C) one more token of each view
    views: Views | None = None  # what they were made from


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class VisualTokens:
    """Merged tokens of the vision tower."""

    tokens: Tensor  # (N, D)
    grid_thw: Tensor  # (I, 3) steps, rows and columns of each image or video
    views_per_step: int = 1  # 2 where two frames of a video make one step


@dataclass(frozen=True, kw_only=True, slots=True)
class Sizes:
    """What a fusion must know of its neighbours to size its weights."""

    hidden_size: int  # D of the language model
    geometry_channels: int  # C of the encoder; 3 for coordinates
    merge: int  # geometry tokens per visual token along each axis of the image; 1 where they share a grid, 0 where no whole number fits
    views_per_step: int = 1


class Fusion(Protocol):
    """A module that brings geometry to the language model: into the visual tokens, or as tokens of its own before the question.

    Our own designs leave invalid tokens as they are and are the identity at initialisation.
    """

    name: ClassVar[str]
    needs: ClassVar[str]  # "nothing", "coordinates" or "features"
    makes: ClassVar[str]  # "visual" or "prefix"

    def __init__(self, sizes: Sizes, options: Mapping[str, Any]) -> None: ...

    def __call__(self, visual: VisualTokens, geometry: GeometryTokens | None) -> Tensor:
        """New visual tokens `(N, D)`. One that makes a prefix takes the geometry alone and gives `(T, D)`, sample after sample;
        its `prefix_tokens(views)` tells how many of them a sample with so many views has.
        """
        ...

    def reset(self) -> None:
        """Initialise the parameters, through `transformers.initialization` so that loaded ones stay."""
        ...

    def gate_size(self) -> float:
        """Mean absolute gate, 0 at initialisation: how much geometry the model lets in. NaN where there is no gate."""
        ...


class GeometryEncoder(Protocol):
    """A module that turns views into geometry tokens."""

    name: ClassVar[str]
    gives: ClassVar[str]  # "coordinates" or "features"
    needs_images: ClassVar[bool]
    needs_depth: ClassVar[bool]

    def __init__(self, options: Mapping[str, Any]) -> None: ...

    @property
    def channels(self) -> int:
        """C of `features`, 3 for coordinates."""
        ...

    @property
    def patch_px(self) -> int | None:
        """Side of the image cell behind each token; None where tokens come on any grid that is asked for."""
        ...

    def __call__(self, views: Views) -> GeometryTokens: ...


BACKBONES: Catalog[Any] = Catalog(
    "backbone",
    {
        "qwen3_vl": "sightline.models.backbones.qwen3_vl:Qwen3VL",
        "qwen2_5_vl": "sightline.models.backbones.qwen2_5_vl:Qwen25VL",
        "internvl": "sightline.models.backbones.internvl:InternVL",
        "qwen3": "sightline.models.backbones.qwen3:Qwen3",
    },
)
FUSIONS: Catalog[type[nn.Module]] = Catalog(
    "fusion",
    {
        "none": "sightline.models.fusions.none:NoFusion",
        "sin3d": "sightline.models.fusions.sin3d:Sin3d",
        "mlp3d": "sightline.models.fusions.mlp3d:Mlp3d",
        "add": "sightline.models.fusions.add:Add",
        "cross": "sightline.models.fusions.cross:Cross",
        "perceiver": "sightline.models.fusions.perceiver:Perceiver",
    },
)
ENCODERS: Catalog[type[nn.Module]] = Catalog(
    "geometry encoder",
    {
        "pointmap": "sightline.models.geometry_encoders.pointmap:PointmapEncoder",
        "vggt": "sightline.models.geometry_encoders.vggt_encoder:VggtEncoder",
    },
)
PRESETS: Catalog[Callable[..., "SpatialVLConfig"]] = Catalog(
    "model preset",
    {
        "tiny": "sightline.models.presets:tiny",
        "smallest": "sightline.models.presets:smallest",
        "qwen3vl-base": "sightline.models.presets_real:qwen3vl_base",
        "qwen3vl-sin3d": "sightline.models.presets_real:qwen3vl_sin3d",
        "qwen3vl-mlp3d": "sightline.models.presets_real:qwen3vl_mlp3d",
        "spatial-mllm": "sightline.models.presets_real:spatial_mllm",
        "vggt-perceiver": "sightline.models.presets_real:vggt_perceiver",
        "vggt-cross": "sightline.models.presets_real:vggt_cross",
        "internvl": "sightline.models.presets_real:internvl",
    },
)
