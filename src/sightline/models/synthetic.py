"""Random model inputs of a workload's shape, for measuring speed and checking arithmetic without data.

Shapes: B samples, L tokens of a sample, V views of all of them.
"""

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from sightline.errors import ConfigError
from sightline.models.model import IGNORED
from sightline.models.view_inputs import IMAGE, VIDEO
from sightline.models.workload import TokenCounts, Workload

if TYPE_CHECKING:
    from sightline.models.config import SpatialVLConfig

FOCAL_SHARE = 0.9  # focal length over image width: a field of view of 58 degrees
NEAR_M, FAR_M = 1.5, 4.0
STEP_M = 0.2  # between neighbouring cameras
MARKERS = 2  # tokens around each picture, where a backbone tells pictures apart by the text between them
WORDS = 256  # token ids that text is drawn from


def synthetic_batch(
    config: "SpatialVLConfig",
    counts: TokenCounts,
    workload: Workload,
    *,
    seed: int = 0,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> dict[str, Tensor]:
    """Keyword arguments of `answer_loss`, `labels (B, L)` among them: images of noise, depth of a slanted wall, cameras in a row.

    Raises ConfigError where the text is too short for the markers around each picture.
    """
    generator = torch.Generator().manual_seed(seed)
    batch = _text(config, counts, workload, generator)
    if workload.views:
        batch |= _pictures(config, counts, workload, generator, dtype)
        if config.has_encoder:
            batch |= _views(counts, workload)
    return {name: tensor.to(device) for name, tensor in batch.items()}


def _text(config: "SpatialVLConfig", counts: TokenCounts, workload: Workload, generator: torch.Generator) -> dict[str, Tensor]:
    """Pictures first, then the prefix, then text whose last tokens are learned."""
    backbone, is_video = config.backbone_config, config.views_per_step > 1
    pictures = min(counts.images, 1) if is_video else counts.images
    markers = MARKERS if config.backbone_kind.has_mrope else 0
    around = (markers // 2) * [-1]  # to be drawn
    picture = [] if not pictures else (counts.visual // pictures) * [backbone.video_token_id if is_video else backbone.image_token_id]
    shown = pictures * (around + picture + around)
    prefix = counts.prefix * [config.prefix_token_id]
    words = counts.sequence - len(shown) - len(prefix)
    if words < max(1, workload.answer_tokens):
        least = pictures * markers + max(1, workload.answer_tokens)
        raise ConfigError(f"text_tokens: expected at least {least} for {pictures} pictures and the answer, found {workload.text_tokens}")
    row = torch.tensor(shown + prefix + words * [-1])
    rows = row.repeat(workload.samples, 1)
    drawn = torch.randint(_first_word(config), _first_word(config) + WORDS, rows.shape, generator=generator)
    labels = torch.full_like(rows, IGNORED)
    input_ids = torch.where(rows < 0, drawn, rows)
    if workload.answer_tokens:
        labels[:, -workload.answer_tokens :] = input_ids[:, -workload.answer_tokens :]
    types = torch.where(rows == picture[0], VIDEO if is_video else IMAGE, 0) if picture else torch.zeros_like(rows)
    return {"input_ids": input_ids, "attention_mask": torch.ones_like(rows), "mm_token_type_ids": types, "labels": labels}


def _first_word(config: "SpatialVLConfig") -> int:
    """Ids from here on are plain words: special tokens stand at the end of Qwen's vocabulary, at the beginning of our own."""
    vocabulary = config.get_text_config().vocab_size
    return min(32, max(0, vocabulary - WORDS))


def _pictures(
    config: "SpatialVLConfig", counts: TokenCounts, workload: Workload, generator: torch.Generator, dtype: torch.dtype
) -> dict[str, Tensor]:
    """Patches of noise. A backbone without eyes still shows its views to the geometry encoder."""
    pictures = counts.images or workload.views
    is_video = config.views_per_step > 1
    grid = [pictures if is_video else 1, counts.rows * counts.merge, counts.columns * counts.merge]
    patches = torch.randn((workload.samples * pictures * counts.patches, counts.patch_values), generator=generator)
    values, grids = ("pixel_values_videos", "video_grid_thw") if is_video else ("pixel_values", "image_grid_thw")
    return {values: patches.to(dtype), grids: torch.tensor(grid).repeat(workload.samples * (1 if is_video else pictures), 1)}


def _views(counts: TokenCounts, workload: Workload) -> dict[str, Tensor]:
    """Depth and cameras of every view, in single and double precision whatever the model's."""
    width, height, per_sample = workload.width_px, workload.height_px, counts.geometry_views
    views = workload.samples * per_sample
    focal = FOCAL_SHARE * width
    camera = torch.tensor([focal, focal, (width - 1) / 2, (height - 1) / 2, width, height], dtype=torch.float64).repeat(views, 1)
    poses = torch.eye(4, dtype=torch.float64).repeat(views, 1, 1)
    poses[:, 0, 3] = STEP_M * (torch.arange(views) % per_sample)
    return {
        "views_per_sample": torch.full((workload.samples,), per_sample),
        "view_intrinsics": camera,
        "view_depth_m": torch.linspace(NEAR_M, FAR_M, width).expand(views, height, width),
        "view_depth_intrinsics": camera,
        "view_world_from_camera": poses,
    }
