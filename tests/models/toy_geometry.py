"""Toy visual tokens, geometry features of views of many sizes and an encoder of them, for the tests of fusions that take features."""

from collections.abc import Mapping, Sequence

import torch
from transformers import initialization as init

from sightline.models.model import FUSIONS, GeometryTokens, Sizes, Views, VisualTokens

HIDDEN, CHANNELS = 12, 8


def features_of(
    grids: Sequence[tuple[int, int]],
    *,
    views_per_sample: tuple[int, ...] | None = None,
    seed: int = 0,
    invalid: Sequence[int] = (),
    with_camera: bool = True,
    views: Views | None = None,
) -> GeometryTokens:
    """Random features of views of these grids; NaN at the `invalid` tokens."""
    generator = torch.Generator().manual_seed(seed)
    tokens = sum(rows * columns for rows, columns in grids)
    features = torch.randn(tokens, CHANNELS, generator=generator)
    camera = torch.randn(len(grids), CHANNELS, generator=generator)
    is_valid = torch.ones(tokens, dtype=torch.bool)
    is_valid[list(invalid)] = False
    features[list(invalid)] = float("nan")
    return GeometryTokens(
        views_per_sample=(len(grids),) if views_per_sample is None else views_per_sample,
        grid_hw=torch.tensor(grids),
        is_valid=is_valid,
        features=features,
        camera=camera if with_camera else None,
        views=views,
    )


def visual_of(grids: Sequence[tuple[int, int, int]], *, seed: int = 1, views_per_step: int = 1) -> VisualTokens:
    """Random visual tokens of images or videos of these merged grids (steps, rows, columns)."""
    tokens = sum(steps * rows * columns for steps, rows, columns in grids)
    return VisualTokens(
        tokens=torch.randn(tokens, HIDDEN, generator=torch.Generator().manual_seed(seed)),
        grid_thw=torch.tensor(grids),
        views_per_step=views_per_step,
    )


def fusion_of(name: str, *, merge: int = 1, views_per_step: int = 1, opened: float | None = None, **options: object) -> torch.nn.Module:
    """A fresh fusion of toy sizes; or one as after training: its gate opened so far, its biases and norms no longer plain."""
    torch.manual_seed(5)
    sizes = Sizes(hidden_size=HIDDEN, geometry_channels=CHANNELS, merge=merge, views_per_step=views_per_step)
    fusion = FUSIONS[name](sizes, options)
    fusion.reset()
    if opened is not None:
        with torch.no_grad():
            for parameter in fusion.parameters():
                if parameter.ndim == 1:
                    parameter.add_(0.3 * torch.randn_like(parameter))
            if getattr(fusion, "gate", None) is not None:
                fusion.gate.fill_(opened)
    return fusion.eval()


class PatchFeatures(torch.nn.Module):
    """A geometry encoder from outside the catalog: a linear code of the mean colours of square patches, and of the whole view."""

    name = "patch features"
    gives = "features"
    needs_images = True
    needs_depth = False
    channels = CHANNELS

    def __init__(self, options: Mapping[str, object]):
        super().__init__()
        self.patch_px = int(options["patch_px"])
        self.code = torch.nn.Linear(3, CHANNELS)

    def forward(self, views: Views) -> GeometryTokens:
        maps = [torch.nn.functional.avg_pool2d(image[None], self.patch_px)[0] for image in views.images]
        dtype = self.code.weight.dtype
        features = self.code(torch.cat([colours.flatten(1).T for colours in maps]).to(dtype))
        return GeometryTokens(
            views_per_sample=views.views_per_sample,
            grid_hw=torch.tensor([colours.shape[1:] for colours in maps]),
            is_valid=torch.ones(len(features), dtype=torch.bool),
            features=features,
            camera=self.code(torch.stack([colours.mean(dim=(1, 2)) for colours in maps]).to(dtype)),
            views=views,
        )

    def reset(self) -> None:
        init.normal_(self.code.weight)
        init.zeros_(self.code.bias)
