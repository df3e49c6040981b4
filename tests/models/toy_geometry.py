"""Toy visual tokens and geometry features of views of many sizes, for the tests of fusions that take features."""

from collections.abc import Sequence

import torch

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
    """A fresh fusion of toy sizes, its gate opened so far."""
    torch.manual_seed(5)
    sizes = Sizes(hidden_size=HIDDEN, geometry_channels=CHANNELS, merge=merge, views_per_step=views_per_step)
    fusion = FUSIONS[name](sizes, options)
    fusion.reset()
    if opened is not None:
        torch.nn.init.constant_(fusion.gate, opened)
    return fusion.eval()
