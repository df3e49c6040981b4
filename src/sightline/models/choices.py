"""A preset with some of its parts exchanged: another size, backbone, geometry encoder or fusion."""

from sightline.errors import UnknownNameError
from sightline.models.backbone_sizes import backbone_config
from sightline.models.config import SpatialVLConfig, check_combination
from sightline.models.model import ENCODERS, FUSIONS, PRESETS
from sightline.models.preset_notes import NOTES
from sightline.models.presets_real import PREFIX_TOKEN_ID


def choose(
    preset: str,
    *,
    size: str | None = None,
    version: str | None = None,
    backbone: str | None = None,
    encoder: str | None = None,
    fusion: str | None = None,
    fuse_deepstack: bool | None = None,
) -> SpatialVLConfig:
    """The config of a preset of NOTES with other choices. Options of a part that is exchanged fall back to the new part's defaults.

    Raises UnknownNameError for a name that nobody knows, ConfigError where the parts do not go together, saying why.
    """
    PRESETS[preset]  # told by the nearest name
    if preset not in NOTES:
        raise UnknownNameError(f"preset '{preset}' is sized by its tokenizer; choose one of {', '.join(NOTES)}")
    given = {"size": None if backbone else size, "version": version}
    known = {name: value for name, value in given.items() if value is not None}
    try:
        config = PRESETS[preset](**known)
    except TypeError as error:
        raise UnknownNameError(f"preset '{preset}': has no choice of {' or '.join(known)}") from error
    if backbone is not None:
        config.backbone, config.backbone_config = backbone, backbone_config(backbone, size)
        config.tie_word_embeddings = bool(config.backbone_config.tie_word_embeddings)
        if not config.backbone_kind.takes_videos:
            config.views_per_step, config.rope_rule = 1, "transformers_5"
        config.frozen = [pattern for pattern in config.frozen or [] if not pattern.startswith("backbone.")]
    if encoder is not None and encoder != config.geometry_encoder:
        if encoder != "none":
            ENCODERS[encoder]
        config.geometry_encoder, config.geometry_options = encoder, {}
    if fusion is not None and fusion != config.fusion:
        FUSIONS[fusion]
        config.fusion, config.fusion_options = fusion, {}
        if config.makes_prefix and config.prefix_token_id is None:
            config.prefix_token_id = PREFIX_TOKEN_ID
    if fuse_deepstack is not None:
        config.fuse_deepstack = fuse_deepstack
    check_combination(config)
    return config
