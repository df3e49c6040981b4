"""The model: a backbone of transformers whose visual tokens, or a prefix before its question, know where they are in space.

Shapes: B rows of a batch, L tokens of a row, I images or videos and V views of the whole batch, N visual tokens of the whole batch,
D hidden size. One image is one view; a video is two views to each of its steps.
"""

from fnmatch import fnmatchcase
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from transformers import AutoConfig, AutoModelForImageTextToText, GenerationMixin, PreTrainedModel

from sightline.models.backbones.hand_over import FEATURES, handed_over, ready_for_features
from sightline.models.config import SpatialVLConfig, check_combination
from sightline.models.model import ENCODERS, FUSIONS, IGNORED, MODEL_TYPE, GeometryTokens, VisualTokens
from sightline.models.view_inputs import ViewInputs, expect_placeholders, expect_prefix, is_packed, take_views, views_of

NO_DOT_WEIGHT = 0.1  # of a visual token without a dot when dots are named: there are dozens for each with one


class SpatialVLForConditionalGeneration(PreTrainedModel, GenerationMixin):
    """Answers questions about views of a room. Loads through `AutoModelForImageTextToText`."""

    config_class: ClassVar[type] = SpatialVLConfig
    config: SpatialVLConfig
    base_model_prefix = ""
    input_modalities = ("image", "text")
    supports_gradient_checkpointing = True
    _supports_sdpa = True
    _supports_flash_attn = True
    _supports_flex_attn = True
    _supports_attention_backend = True
    _can_compile_fullgraph = False
    _skip_keys_device_placement = ["past_key_values"]

    def __init__(self, config: SpatialVLConfig):
        super().__init__(config)
        check_combination(config)
        self.kind = config.backbone_kind
        self.backbone = ready_for_features(self.kind.build(config.backbone_config, rope_rule=config.rope_rule))
        # After the backbone, so that the same seed gives the same backbone whatever the geometry; the fusion last of all.
        self.geometry_encoder = ENCODERS[config.geometry_encoder](config.geometry_options or {}) if config.has_encoder else None
        sizes = config.sizes(
            geometry_channels=0 if self.geometry_encoder is None else self.geometry_encoder.channels,
            encoder_patch_px=None if self.geometry_encoder is None else self.geometry_encoder.patch_px,
        )
        make, options = FUSIONS[config.fusion], config.fusion_options or {}
        self.fusion = make(sizes, options)
        levels = config.vision_grid.levels if config.fuse_deepstack else 0
        self.deepstack_fusions = nn.ModuleList([make(sizes, options) for _ in range(levels)])
        self.post_init()
        self.train(self.training)

    def _init_weights(self, module: nn.Module) -> None:
        """Fusions and encoders by their own rule; what transformers made initialises itself."""
        if hasattr(module, "reset"):
            module.reset()

    def train(self, mode: bool = True) -> "SpatialVLForConditionalGeneration":
        """As torch's, but frozen parts stay in evaluation mode and without gradients."""
        super().train(mode)
        patterns = self.config.frozen or []
        if patterns:
            for name, parameter in self.named_parameters():
                if any(fnmatchcase(name, pattern) for pattern in patterns):
                    parameter.requires_grad_(False)
            for module in self.modules():
                parameters = list(module.parameters())
                if parameters and not any(parameter.requires_grad for parameter in parameters):
                    for part in module.modules():  # dropout has no parameters of its own
                        part.training = False
        return self

    def get_input_embeddings(self) -> nn.Module:
        return self.backbone.get_input_embeddings()

    def set_input_embeddings(self, value: nn.Module) -> None:
        self.backbone.set_input_embeddings(value)

    def get_output_embeddings(self) -> nn.Module:
        return self.backbone.get_output_embeddings()

    def set_output_embeddings(self, new_embeddings: nn.Module) -> None:
        self.backbone.set_output_embeddings(new_embeddings)

    def forward(self, input_ids: Tensor | None = None, attention_mask: Tensor | None = None, **inputs: Any) -> Any:
        """As the backbone's, with the views of the batch.

        `pixel_values` flat patches and `image_grid_thw (I, 3)` (`pixel_values_videos`, `video_grid_thw` for frames of a video), then
        either what a geometry encoder needs (`views_per_sample (B,)`, `view_intrinsics (V, 6)`, `view_depth_m (V, h, w)` metres,
        `view_depth_intrinsics (V, 6)`, `view_world_from_camera (V, 4, 4)`) or what it gave before (`geometry_coordinates (N, 3)` metres
        or `geometry_features (N, C)` with `geometry_camera (V, C)`, `geometry_valid (N,)`, `geometry_grid_hw (V, 2)`). Raises ModelError
        naming both numbers when placeholders, features and geometry do not match.
        """
        with handed_over(self.backbone, self.encoded(input_ids, attention_mask, inputs)) as passed:
            return self.backbone(**passed)

    @torch.no_grad()
    def generate(self, inputs: Tensor | None = None, **kwargs: Any) -> Any:
        """As transformers', with the inputs of `forward`: views are encoded once, then the backbone generates."""
        input_ids = kwargs.pop("input_ids", inputs)
        attention_mask = kwargs.pop("attention_mask", None)
        self.backbone.generation_config = self.generation_config  # one for both, so that neither is said beside other settings
        given = self.encoded(input_ids, attention_mask, kwargs)
        if "inputs_embeds" in given and input_ids is not None:
            given["input_ids"] = input_ids
        with handed_over(self.backbone, given) as passed:
            return self.backbone.generate(**{name: value for name, value in passed.items() if value is not None})

    def encoded(self, input_ids: Tensor | None, attention_mask: Tensor | None, inputs: dict[str, Any]) -> dict[str, Any]:
        """The backbone's own inputs, with views encoded and fused. Leaves text-only and cached steps as they are. Raises ModelError."""
        given = take_views(inputs, has_vision=self.kind.has_vision)
        found, passed = given.views, {"input_ids": input_ids, "attention_mask": attention_mask, **given.others}
        if not self.kind.has_mrope:
            for name in ("mm_token_type_ids", "image_grid_thw", "video_grid_thw"):  # of M-RoPE alone; others refuse them in `generate`
                passed.pop(name, None)
        if found is None:
            return passed
        expect_placeholders(self.config, input_ids, attention_mask, found)
        geometry = self._geometry(found, None if is_packed(attention_mask) else input_ids)
        if self.kind.has_vision:
            features = self._fused(found, geometry)
            passed[FEATURES] = {"video" if found.is_video else "image": features}
            if self.kind.has_mrope:
                passed["video_grid_thw" if found.is_video else "image_grid_thw"] = found.grid_thw
        if self.config.makes_prefix:
            passed |= self._with_prefix(input_ids, geometry, passed)
        return passed

    def _geometry(self, found: ViewInputs, input_ids: Tensor | None) -> GeometryTokens | None:
        """What the encoder says of the views, or said before."""
        if self.geometry_encoder is None:
            return None
        ready = found.ready_geometry(self.config, self.geometry_encoder, input_ids)
        return self.geometry_encoder(views_of(self.config, self.geometry_encoder, found, input_ids)) if ready is None else ready

    def _fused(self, found: ViewInputs, geometry: GeometryTokens | None) -> Any:
        features = self.kind.features(self.backbone, found.pixel_values, found.grid_thw, is_video=found.is_video)
        if self.config.makes_prefix:
            return features
        levels = self.kind.tokens(features)
        merge = torch.tensor([1, self.config.vision_grid.merge, self.config.vision_grid.merge], device=found.grid_thw.device)
        grid, per_step = found.grid_thw // merge, self.config.views_per_step if found.is_video else 1
        fusions = [self.fusion, *self.deepstack_fusions]
        fused = [
            fusion(VisualTokens(tokens=tokens, grid_thw=grid, views_per_step=per_step), geometry)
            for fusion, tokens in zip(fusions, levels, strict=False)
        ]
        return self.kind.with_tokens(features, [*fused, *levels[len(fused) :]])

    def _with_prefix(self, input_ids: Tensor | None, geometry: GeometryTokens, passed: dict[str, Any]) -> dict[str, Any]:
        """Embeddings with the prefix tokens at their placeholders, in place of token ids."""
        embeddings, embeds = self.get_input_embeddings(), passed.get("inputs_embeds")
        embeds = embeddings(input_ids) if embeds is None else embeds
        if input_ids is not None:
            is_prefix = input_ids == self.config.prefix_token_id
        else:  # as transformers finds the places of images where it is given embeddings alone
            is_prefix = (embeds == embeddings(torch.tensor(self.config.prefix_token_id, device=embeds.device))).all(-1)
        counts = [self.fusion.prefix_tokens(views) for views in geometry.views_per_sample]
        # Nothing is put before a question without views, alone or beside others.
        has_views = [views > 0 for views in geometry.views_per_sample]
        expect_prefix([count * shown for count, shown in zip(counts, has_views)], is_prefix, passed["attention_mask"])
        prefix = self.fusion(geometry)
        if not all(has_views):
            prefix = torch.cat([part for part, shown in zip(prefix.split(counts), has_views) if shown])
        embeds = embeds.masked_scatter(is_prefix[..., None], prefix.to(embeds.dtype))
        changed = {"inputs_embeds": embeds, "input_ids": None}
        is_placed = passed.get("position_ids") is not None or passed.get("mm_token_type_ids") is None
        if self.kind.has_mrope and input_ids is not None and not is_placed:
            grids = {name: passed.get(name) for name in ("image_grid_thw", "video_grid_thw")}
            changed["position_ids"], self.backbone.model.rope_deltas = self.backbone.model.get_rope_index(
                input_ids, mm_token_type_ids=passed["mm_token_type_ids"], attention_mask=passed["attention_mask"], **grids
            )
        return changed

    def answer_loss(
        self, labels: Tensor, *, dots: Tensor | None = None, naming: Tensor | None = None, naming_weight: float = 0.0, **inputs: Any
    ) -> tuple[Tensor, int]:
        """Summed cross-entropy over the learned tokens of `labels (B, L)`, and how many there are; logits nowhere else.

        With `naming_weight`, visual tokens also learn to say which dot they hold: `dots (N,)` are rows of `naming (1 + C,)`, the token
        ids of the words for "no dot" and the C colours. That term counts as if it were that share of the learned tokens.
        """
        passed = self.encoded(inputs.pop("input_ids"), inputs.pop("attention_mask", None), inputs)
        with handed_over(self.backbone, passed) as given:
            hidden = self.backbone.base_model(**given, use_cache=False)[0]
        is_learned = labels[:, 1:] != IGNORED
        logits = self.get_output_embeddings()(hidden[:, :-1][is_learned]).float()
        learned = int(is_learned.sum())
        loss = nn.functional.cross_entropy(logits, labels[:, 1:][is_learned], reduction="sum")
        features = passed.get(FEATURES)
        if naming_weight and naming is not None and features is not None:
            loss = loss + naming_weight * learned * self._naming_loss(next(iter(features.values())), dots, naming)
        return loss, learned

    def _naming_loss(self, features: Any, dots: Tensor, naming: Tensor) -> Tensor:
        visual = self.kind.tokens(features)[0]
        words = self.get_input_embeddings().weight[naming]
        logits = nn.functional.layer_norm(visual, visual.shape[-1:]) @ words.T
        weight = torch.where(dots == 0, NO_DOT_WEIGHT, 1.0)
        return (nn.functional.cross_entropy(logits, dots, reduction="none") * weight).sum() / weight.sum()

    def fusion_parameters(self) -> list[nn.Parameter]:
        """The parameters of all fusions, which learn at a rate of their own."""
        return [*self.fusion.parameters(), *self.deepstack_fusions.parameters()]

    def gate_size(self) -> float:
        """Mean absolute gate of the main fusion."""
        return self.fusion.gate_size()


AutoConfig.register(MODEL_TYPE, SpatialVLConfig, exist_ok=True)
AutoModelForImageTextToText.register(SpatialVLConfig, SpatialVLForConditionalGeneration, exist_ok=True)
