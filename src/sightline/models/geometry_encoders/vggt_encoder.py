"""VGGT as a geometry encoder: patch tokens of one layer for every view, and one camera token per view.

Shapes: V views of the whole batch, N patches of all of them, C channels (twice VGGT's own).
"""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from sightline.config import build, config
from sightline.errors import ModelError
from sightline.models.geometry_encoders.vggt.options import VggtOptions
from sightline.models.geometry_encoders.vggt.vggt import Vggt
from sightline.models.geometry_encoders.vggt.weights import Licence, load_weights
from sightline.models.model import GeometryTokens, Views


@config
class VggtEncoderOptions:
    """Which aggregator layer the tokens are of (its later blocks are not built), and the sizes: the published ones by default."""

    layer: int = -1
    img_size: int = 518
    patch_size: int = 14
    embed_dim: int = 1024
    depth: int = 24
    num_heads: int = 16
    num_registers: int = 4
    dino_depth: int = 24
    dino_heads: int = 16


class VggtEncoder(nn.Module):
    """Views of equal count and size run as one batch. Without a trainable parameter nothing is kept for a backward pass."""

    name: ClassVar[str] = "vggt"
    gives: ClassVar[str] = "features"
    needs_images: ClassVar[bool] = True
    needs_depth: ClassVar[bool] = False

    def __init__(self, options: Mapping[str, Any]):
        super().__init__()
        self.options = build(VggtEncoderOptions, options, where="geometry encoder 'vggt'")
        sizes = {name: value for name, value in vars(self.options).items() if name in VggtOptions.__dataclass_fields__}
        self.vggt = Vggt(VggtOptions(**sizes, layers=(self.options.layer,)))

    @property
    def channels(self) -> int:
        return 2 * self.options.embed_dim

    @property
    def patch_px(self) -> int:
        return self.options.patch_size

    def load_weights(self, path: Path, *, prefix: str = "") -> Licence:
        """Published weights from a local file or folder; see `vggt.weights.load_weights`."""
        return load_weights(self.vggt, path, prefix=prefix)

    def reset(self) -> None:
        """Initialise the parameters, leaving loaded ones as they are."""
        self.vggt.initialise()

    def forward(self, views: Views) -> GeometryTokens:
        """Features in the order of the views. All tokens are valid. Raises ModelError for frames of one sample that differ in size."""
        is_trained = any(parameter.requires_grad for parameter in self.parameters())
        features: dict[int, Tensor] = {}
        camera: dict[int, Tensor] = {}
        special = self.vggt.aggregator.num_special_tokens
        with nullcontext() if is_trained else torch.no_grad():
            for group in _equal_scenes(views.images, views.views_per_sample):
                scenes = torch.stack([torch.stack([views.images[view] for view in scene]) for scene in group])
                (tokens,) = self.vggt.aggregator(scenes)
                for scene, of_scene in zip(group, tokens):
                    for view, of_view in zip(scene, of_scene):
                        features[view], camera[view] = of_view[special:], of_view[0]
        order = range(len(views.images))
        sides = [[side // self.patch_px for side in image.shape[-2:]] for image in views.images]
        flat = torch.cat([features[view] for view in order])
        return GeometryTokens(
            views_per_sample=tuple(views.views_per_sample),
            grid_hw=torch.tensor(sides, device=views.token_grid_hw.device, dtype=views.token_grid_hw.dtype),
            is_valid=torch.ones(len(flat), dtype=torch.bool, device=flat.device),
            features=flat,
            camera=torch.stack([camera[view] for view in order]),
            views=views,
        )


def _equal_scenes(images: Sequence[Tensor], views_per_sample: Sequence[int]) -> list[list[range]]:
    """The view numbers of each sample, samples of equal view count and size together."""
    if sum(views_per_sample) != len(images) or not len(images) or min(views_per_sample) < 0:
        raise ModelError(f"geometry encoder 'vggt': expected images for {list(views_per_sample)} views per sample, found {len(images)}")
    groups: dict[tuple, list[range]] = {}
    start = 0
    for sample, count in enumerate(views_per_sample):
        scene = range(start, start + count)
        start += count
        if not count:
            continue
        sizes = {tuple(images[view].shape) for view in scene}
        if len(sizes) > 1:
            shown = ", ".join(f"{size[-2]}x{size[-1]}" for size in sorted(sizes))
            raise ModelError(f"geometry encoder 'vggt': expected frames of one size in sample {sample}, found {shown}: resize them alike")
        groups.setdefault((count, *sizes), []).append(scene)
    return list(groups.values())
