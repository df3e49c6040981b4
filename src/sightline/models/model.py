"""The model: Qwen3-VL with a slot in which 3-D coordinates join the merged visual tokens; contracts, catalogs, registration.

Shapes: B rows of a batch, L tokens of a row, I images of the whole batch, N merged visual tokens of the whole batch, D hidden size.
Visual tokens, coordinates and their validity are concatenated over the batch, so scenes with different view counts share one.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np
import torch
from huggingface_hub.dataclasses import strict
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, AutoModelForImageTextToText, Qwen3VLConfig, Qwen3VLForConditionalGeneration
from transformers.models.qwen3_vl.modeling_qwen3_vl import Qwen3VLModel, Qwen3VLPreTrainedModel

from sightline.catalog import Catalog
from sightline.errors import ModelError
from sightline.models.vision_attention import EqualGridAttention, FlatPatchEmbed

MODEL_TYPE = "sightline_spatial_vl"
IGNORED = -100  # label of a token that is not learned, as everywhere in transformers


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class GeometryTokens:
    """What is known in 3-D about each merged visual token. Coordinates of invalid tokens mean nothing and may be NaN."""

    coordinates_m: Tensor  # (N, 3) metres, in the coordinate frame of the config
    is_valid: Tensor  # (N,) bool
    grid_hw: Tensor  # (I, 2) rows and columns of merged tokens of each image


class Fusion(Protocol):
    """A module that adds geometry to visual tokens. Keeps the shape; leaves invalid tokens as they are; identity at initialisation."""

    name: ClassVar[str]
    needs_geometry: ClassVar[bool]

    def __init__(self, hidden_size: int, options: Mapping[str, Any]) -> None: ...

    def __call__(self, visual: Tensor, geometry: GeometryTokens | None) -> Tensor:
        """Visual tokens `(N, D)` with their geometry."""
        ...

    def reset(self) -> None:
        """Initialise the parameters, through `transformers.initialization` so that loaded ones stay."""
        ...

    def gate_size(self) -> float:
        """Mean absolute gate, 0 at initialisation: how much geometry the model lets in."""
        ...


class GeometryEncoder(Protocol):
    """Turns the posed depth of one view into points at the model's merged token grid."""

    name: ClassVar[str]

    def __init__(self, *, rows: int, columns: int, min_valid_fraction: float) -> None: ...

    def __call__(self, view: Any) -> tuple[np.ndarray, np.ndarray]:
        """Points in the world `(rows * columns, 3)` metres, and which are valid `(rows * columns,)`."""
        ...


FUSIONS: Catalog[type[Fusion]] = Catalog(
    "fusion",
    {
        "none": "sightline.models.fusions.none:NoFusion",
        "sin3d": "sightline.models.fusions.sin3d:Sin3d",
        "mlp3d": "sightline.models.fusions.mlp3d:Mlp3d",
    },
)
ENCODERS: Catalog[type[GeometryEncoder]] = Catalog(
    "geometry encoder",
    {
        "pointmap": "sightline.models.geometry_encoders.pointmap:PointmapEncoder",
    },
)
PRESETS: Catalog[Callable[..., "SpatialVLConfig"]] = Catalog(
    "model preset",
    {
        "tiny": "sightline.models.presets:tiny",
        "smallest": "sightline.models.presets:smallest",
    },
)

NO_DOT_WEIGHT = 0.1  # of a visual token without a dot when dots are named: there are dozens for each with one


@strict
class SpatialVLConfig(Qwen3VLConfig):
    """Qwen3-VL's config with the fusion, its options (wavelengths, scale), and what the coordinates mean."""

    model_type = MODEL_TYPE

    fusion: str = "none"
    fusion_options: dict | None = None
    fuse_deepstack: bool = False  # give geometry to the DeepStack levels too
    geometry_encoder: str = "pointmap"
    coordinate_frame: str = "first_camera"


class _FusionInit:
    """Initialises fusions by their own rule; everything else stays with transformers."""

    def _init_weights(self, module: nn.Module) -> None:
        if hasattr(module, "reset") and hasattr(module, "gate_size"):
            module.reset()
        else:
            super()._init_weights(module)


class SpatialVLModel(_FusionInit, Qwen3VLModel):
    """Vision tower, fusion and language model."""

    config: SpatialVLConfig

    def __init__(self, config: SpatialVLConfig):
        Qwen3VLPreTrainedModel.__init__(self, config)
        self.visual = AutoModel.from_config(config.vision_config)
        self.visual.patch_embed = FlatPatchEmbed(config.vision_config)
        for block in self.visual.blocks:
            block.attn = EqualGridAttention(config.vision_config)
        self.visual.init_weights()  # of what was replaced, now: after the fusion it would draw other numbers for each fusion
        self.language_model = AutoModel.from_config(config.text_config)
        self.rope_deltas = None
        # Last, so that the same seed gives the same other weights whatever the fusion.
        make, hidden_size = FUSIONS[config.fusion], config.text_config.hidden_size
        levels = len(config.vision_config.deepstack_visual_indexes) if config.fuse_deepstack else 0
        self.fusion = make(hidden_size, config.fusion_options or {})
        self.deepstack_fusions = nn.ModuleList([make(hidden_size, config.fusion_options or {}) for _ in range(levels)])
        self.post_init()

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        pixel_values: Tensor | None = None,
        image_grid_thw: Tensor | None = None,
        mm_encoder_outputs: dict | None = None,
        geometry_coordinates: Tensor | None = None,
        geometry_valid: Tensor | None = None,
        geometry_grid_hw: Tensor | None = None,
        **kwargs: Any,
    ) -> Any:
        """As Qwen3-VL's, with the geometry of the images in `pixel_values`; see `SpatialVLForConditionalGeneration.forward`."""
        if pixel_values is not None:
            mm_encoder_outputs = self.encode_images(
                input_ids, attention_mask, pixel_values, image_grid_thw, geometry_coordinates, geometry_valid, geometry_grid_hw
            )
        return super().forward(
            input_ids=input_ids,
            attention_mask=attention_mask,
            image_grid_thw=image_grid_thw,
            mm_encoder_outputs=mm_encoder_outputs,
            **kwargs,
        )

    def encode_images(
        self,
        input_ids: Tensor | None,
        attention_mask: Tensor | None,
        pixel_values: Tensor,
        image_grid_thw: Tensor,
        coordinates: Tensor | None,
        is_valid: Tensor | None,
        grid_hw: Tensor | None,
    ) -> dict[str, Any]:
        """Checked, fused visual tokens, as `forward` takes them. Raises ModelError."""
        self._expect_placeholders(input_ids, attention_mask, pixel_values, image_grid_thw)
        return {"image": self._fused_features(pixel_values, image_grid_thw, self._geometry(image_grid_thw, coordinates, is_valid, grid_hw))}

    def _fused_features(self, pixel_values: Tensor, image_grid_thw: Tensor, geometry: GeometryTokens | None) -> Any:
        features = self.get_image_features(pixel_values, image_grid_thw, return_dict=True)
        sizes = [len(tokens) for tokens in features.pooler_output]
        features.pooler_output = torch.split(self.fusion(torch.cat(features.pooler_output), geometry), sizes)
        for level, fusion in enumerate(self.deepstack_fusions):
            fused = fusion(torch.cat(features.deepstack_features[level]), geometry)
            features.deepstack_features[level] = torch.split(fused, sizes)
        return features

    def _expect_placeholders(self, input_ids: Tensor | None, attention_mask: Tensor | None, pixel_values: Tensor, grid: Tensor) -> None:
        """Placeholders = merged features = attended positions, row by row of the images, or ModelError with the numbers."""
        merge = self.config.vision_config.spatial_merge_size
        patches = int(grid.prod(-1).sum())
        if len(pixel_values) != patches:
            raise ModelError(f"pixel_values: expected {patches} patches for the grids {_shown(grid)}, found {len(pixel_values)}")
        if input_ids is None:
            return
        is_placeholder = input_ids == self.config.image_token_id
        placeholders, features = int(is_placeholder.sum()), patches // merge**2
        if placeholders != features:
            raise ModelError(f"input_ids: expected {features} image placeholders for the grids {_shown(grid)}, found {placeholders}")
        if attention_mask is not None and attention_mask.ndim == 2:
            attended = int((is_placeholder & attention_mask[:, -input_ids.shape[1] :].bool()).sum())
            if attended != placeholders:
                raise ModelError(f"attention_mask: expected all {placeholders} image placeholders attended, found {attended}")

    def _geometry(
        self, image_grid_thw: Tensor, coordinates: Tensor | None, is_valid: Tensor | None, grid_hw: Tensor | None
    ) -> GeometryTokens | None:
        merge = self.config.vision_config.spatial_merge_size
        wanted = image_grid_thw[:, 1:] // merge
        tokens = int(wanted.prod(-1).sum())
        if coordinates is None or is_valid is None:
            if self.fusion.needs_geometry:
                raise ModelError(f"fusion '{self.config.fusion}': expected geometry for {tokens} visual tokens, found none")
            return None
        if grid_hw is not None and (grid_hw.shape != wanted.shape or not torch.equal(grid_hw.to(wanted), wanted)):
            raise ModelError(
                f"fusion '{self.config.fusion}': expected geometry on the images' token grids {_shown(wanted)}, found {_shown(grid_hw)}"
            )
        if coordinates.shape != (tokens, 3) or is_valid.shape != (tokens,):
            raise ModelError(
                f"fusion '{self.config.fusion}': expected geometry ({tokens}, 3) with ({tokens},) flags for {tokens} visual tokens, "
                f"found {tuple(coordinates.shape)} with {tuple(is_valid.shape)}"
            )
        return GeometryTokens(coordinates_m=coordinates, is_valid=is_valid.bool(), grid_hw=wanted)


def _shown(grids: Tensor) -> str:
    """Grids as `6x8, 6x8`, no more than four of them."""
    words = ["x".join(str(int(size)) for size in row[-2:]) for row in grids]
    return ", ".join(words[:4]) + (f", ... ({len(words)} images)" if len(words) > 4 else "")


class SpatialVLForConditionalGeneration(_FusionInit, Qwen3VLForConditionalGeneration):
    """Answers questions about images whose visual tokens know where they are. Loads through `AutoModelForImageTextToText`."""

    config: SpatialVLConfig
    _tied_weights_keys = {"lm_head.weight": "model.language_model.embed_tokens.weight"}

    def __init__(self, config: SpatialVLConfig):
        Qwen3VLPreTrainedModel.__init__(self, config)
        self.model = SpatialVLModel(config)
        self.lm_head = nn.Linear(config.text_config.hidden_size, config.text_config.vocab_size, bias=False)
        self.post_init()

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        pixel_values: Tensor | None = None,
        image_grid_thw: Tensor | None = None,
        mm_token_type_ids: Tensor | None = None,
        geometry_coordinates: Tensor | None = None,
        geometry_valid: Tensor | None = None,
        geometry_grid_hw: Tensor | None = None,
        **kwargs: Any,
    ) -> Any:
        """As Qwen3-VL's, with `geometry_coordinates (N, 3)` metres, `geometry_valid (N,)` bool and `geometry_grid_hw (I, 2)`
        of the merged visual tokens, concatenated over the batch like `pixel_values`. Raises ModelError naming both numbers when
        placeholders, features and geometry do not match.
        """
        return super().forward(
            input_ids=input_ids,
            attention_mask=attention_mask,
            position_ids=position_ids,
            pixel_values=pixel_values,
            image_grid_thw=image_grid_thw,
            mm_token_type_ids=mm_token_type_ids,
            geometry_coordinates=geometry_coordinates,
            geometry_valid=geometry_valid,
            geometry_grid_hw=geometry_grid_hw,
            **kwargs,
        )

    def answer_loss(
        self, labels: Tensor, *, dots: Tensor | None = None, naming: Tensor | None = None, naming_weight: float = 0.0, **inputs: Any
    ) -> tuple[Tensor, int]:
        """Summed cross-entropy over the learned tokens of `labels (B, L)`, and how many there are; logits nowhere else.

        With `naming_weight`, visual tokens also learn to say which dot they hold: `dots (N,)` are rows of `naming (1 + C,)`, the token
        ids of the words for "no dot" and the C colours. That term counts as if it were that share of the learned tokens.
        """
        names = torch.zeros((), device=labels.device)
        if naming_weight and naming is not None and inputs.get("pixel_values") is not None:
            inputs, names = self._named(dots, naming, inputs)
        hidden = self.model(**inputs, use_cache=False)[0]
        is_learned = labels[:, 1:] != IGNORED
        logits = self.lm_head(hidden[:, :-1][is_learned]).float()
        learned = int(is_learned.sum())
        loss = nn.functional.cross_entropy(logits, labels[:, 1:][is_learned], reduction="sum")
        return loss + naming_weight * learned * names, learned

    def _named(self, dots: Tensor, naming: Tensor, inputs: dict[str, Any]) -> tuple[dict[str, Any], Tensor]:
        """The inputs with their images encoded already, and the loss of naming the dots in them."""
        inputs = dict(inputs)
        features = self.model.encode_images(
            inputs["input_ids"],
            inputs["attention_mask"],
            inputs.pop("pixel_values"),
            inputs["image_grid_thw"],
            *(inputs.pop(name, None) for name in ("geometry_coordinates", "geometry_valid", "geometry_grid_hw")),
        )
        visual = torch.cat(features["image"].pooler_output)
        words = self.get_input_embeddings().weight[naming]
        logits = nn.functional.layer_norm(visual, visual.shape[-1:]) @ words.T
        weight = torch.where(dots == 0, NO_DOT_WEIGHT, 1.0)
        names = (nn.functional.cross_entropy(logits, dots, reduction="none") * weight).sum() / weight.sum()
        return {**inputs, "mm_encoder_outputs": features}, names

    def prepare_inputs_for_generation(self, input_ids: Tensor, is_first_iteration: bool = False, **kwargs: Any) -> dict[str, Any]:
        """As transformers', with geometry dropped where the pixels are dropped: after the first step."""
        inputs = super().prepare_inputs_for_generation(input_ids, is_first_iteration=is_first_iteration, **kwargs)
        if inputs.get("pixel_values") is None:
            for name in ("geometry_coordinates", "geometry_valid", "geometry_grid_hw"):
                inputs.pop(name, None)
        return inputs

    def fusion_parameters(self) -> list[nn.Parameter]:
        """The parameters of all fusions, which learn at a rate of their own."""
        return [*self.model.fusion.parameters(), *self.model.deepstack_fusions.parameters()]

    def gate_size(self) -> float:
        """Mean absolute gate of the main fusion."""
        return self.model.fusion.gate_size()


AutoConfig.register(MODEL_TYPE, SpatialVLConfig, exist_ok=True)
AutoModelForImageTextToText.register(SpatialVLConfig, SpatialVLForConditionalGeneration, exist_ok=True)
