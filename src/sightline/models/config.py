"""The config of the family: backbone, geometry encoder and fusion, chosen apart; which choices fit together, and why others do not."""

from collections.abc import Mapping
from typing import Any, ClassVar

from transformers import AutoConfig, PreTrainedConfig

from sightline.errors import ConfigError
from sightline.models.backbones.backbone import Backbone, VisionGrid
from sightline.models.model import BACKBONES, ENCODERS, FUSIONS, MODEL_TYPE, Sizes
from sightline.models.positions import RULES

NO_ENCODER = "none"


class SpatialVLConfig(PreTrainedConfig):
    """`backbone_config` is the transformers config of `backbone`, or its dictionary with a `model_type`."""

    model_type: ClassVar[str] = MODEL_TYPE
    sub_configs: ClassVar[dict[str, type]] = {"backbone_config": AutoConfig}

    backbone: str = "qwen3_vl"
    backbone_config: Any = None
    geometry_encoder: str = "pointmap"
    geometry_options: dict | None = None
    fusion: str = "none"
    fusion_options: dict | None = None
    fuse_deepstack: bool = False  # give geometry to the DeepStack levels too
    coordinate_frame: str = "first_camera"
    views_per_step: int = 1  # 2: the views are a video's frames, two to a step
    rope_rule: str = "transformers_5"
    prefix_token_id: int | None = None  # placeholder of tokens that a fusion puts before the question
    frozen: list | None = None  # name patterns of the parameters that are not trained

    def __post_init__(self, **kwargs: Any) -> None:
        if self.backbone_config is None:
            self.backbone_config = {"model_type": self.backbone}
        if isinstance(self.backbone_config, Mapping):
            chosen = dict(self.backbone_config)
            self.backbone_config = AutoConfig.for_model(chosen.pop("model_type", self.backbone), **chosen)
        self.tie_word_embeddings = bool(getattr(self.backbone_config, "tie_word_embeddings", False))
        super().__post_init__(**kwargs)

    def get_text_config(self, decoder: bool | None = None, encoder: bool | None = None) -> PreTrainedConfig:
        """The language model's config, wherever the backbone keeps it."""
        return self.backbone_config.get_text_config(decoder=decoder, encoder=encoder)

    @property
    def text_config(self) -> PreTrainedConfig:
        """As other vision-language configs name it: generation's bookkeeping and launchers that size buffers look for it here."""
        return self.get_text_config()

    @property
    def vision_grid(self) -> VisionGrid:
        """How images become patches and tokens. A backbone without eyes takes the geometry encoder's patches."""
        return self.backbone_kind.grid(self.backbone_config)

    @property
    def backbone_kind(self) -> Backbone:
        return BACKBONES[self.backbone]()

    @property
    def hidden_size(self) -> int:
        return self.get_text_config().hidden_size

    @property
    def makes_prefix(self) -> bool:
        return FUSIONS[self.fusion].makes == "prefix"

    @property
    def has_encoder(self) -> bool:
        """Whether the fusion listens to the geometry encoder at all."""
        return FUSIONS[self.fusion].needs != "nothing"

    def sizes(self, *, geometry_channels: int, encoder_patch_px: int | None) -> Sizes:
        """What the fusion is built from."""
        window = self.vision_grid.window_px
        merge = 1 if encoder_patch_px is None else (window // encoder_patch_px if window % encoder_patch_px == 0 else 0)
        return Sizes(hidden_size=self.hidden_size, geometry_channels=geometry_channels, merge=merge, views_per_step=self.views_per_step)


def check_combination(config: SpatialVLConfig) -> None:
    """Raise ConfigError where backbone, geometry encoder and fusion cannot work together: what was found, why not, what to choose."""
    kind, fusion = config.backbone_kind, FUSIONS[config.fusion]
    chosen = f"backbone '{config.backbone}', geometry encoder '{config.geometry_encoder}', fusion '{config.fusion}'"
    if config.backbone_config.model_type != config.backbone:
        raise ConfigError(
            f"{chosen}: expected a backbone_config of model_type '{config.backbone}', found '{config.backbone_config.model_type}'"
        )
    if config.rope_rule not in RULES:
        raise ConfigError(f"rope_rule: expected one of {', '.join(RULES)}, found '{config.rope_rule}'")
    if config.rope_rule != "transformers_5" and not kind.takes_videos:
        raise ConfigError(f"{chosen}: rope_rule '{config.rope_rule}' is known for backbone 'qwen2_5_vl' alone; choose 'transformers_5'")
    if config.views_per_step not in (1, 2) or (config.views_per_step == 2 and not kind.takes_videos):
        raise ConfigError(
            f"{chosen}: views_per_step: expected 1 (2 with backbone 'qwen2_5_vl', whose videos take two frames to a step), "
            f"found {config.views_per_step}"
        )
    if fusion.makes == "visual" and not kind.has_vision:
        raise ConfigError(
            f"{chosen}: the backbone has no visual tokens to change; choose a fusion that makes a prefix, {_fusions('makes', 'prefix')}"
        )
    if config.fuse_deepstack and (fusion.makes != "visual" or not config.vision_grid.levels):
        raise ConfigError(f"{chosen}: fuse_deepstack: expected a backbone with DeepStack levels and a fusion that changes visual tokens")
    if config.makes_prefix and config.prefix_token_id is None:
        raise ConfigError(f"{chosen}: prefix_token_id: expected the id of the placeholder of prefix tokens, found none")
    if config.has_encoder:
        _check_encoder(config, chosen)


def _check_encoder(config: SpatialVLConfig, chosen: str) -> None:
    fusion = FUSIONS[config.fusion]
    if config.geometry_encoder == NO_ENCODER:
        raise ConfigError(
            f"{chosen}: the fusion needs {fusion.needs}; choose a geometry encoder that gives them, {_encoders(fusion.needs)}"
        )
    encoder = ENCODERS[config.geometry_encoder]
    if encoder.gives != fusion.needs:
        raise ConfigError(
            f"{chosen}: the fusion needs {fusion.needs}, the encoder gives {encoder.gives}; choose an encoder among "
            f"{_encoders(fusion.needs)} or a fusion among {_fusions('needs', encoder.gives)}"
        )
    if encoder.needs_images and config.vision_grid.tile_px is not None:
        raise ConfigError(
            f"{chosen}: the encoder looks at whole views, the backbone at tiles cut out of them; choose 'pointmap' or another backbone"
        )


def _encoders(gives: str) -> str:
    return ", ".join(f"'{name}'" for name in ENCODERS if ENCODERS[name].gives == gives) or "none is known"


def _fusions(attribute: str, value: str) -> str:
    return ", ".join(f"'{name}'" for name in FUSIONS if getattr(FUSIONS[name], attribute) == value) or "none is known"
