"""Which views stand behind which visual tokens: the steps of images and videos beside the views of a geometry encoder, checked.

Shapes: S steps of the whole batch (a still image is one), V views, N visual tokens, C channels.
"""

from dataclasses import dataclass
from itertools import accumulate

from sightline.errors import ModelError
from sightline.models.model import GeometryTokens, VisualTokens


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """One time step: its visual tokens, row-major from `first_token`, and its views, each a grid of geometry tokens."""

    rows: int
    columns: int
    first_token: int
    view_rows: int
    view_columns: int
    first_geometry: tuple[int, ...]  # where the tokens of each of its views start
    views: tuple[int, ...]


def expect_features(name: str, geometry: GeometryTokens | None, channels: int) -> list[list[int]]:
    """The grids of the views, on the host, if features of that width stand on them; ModelError naming the fusion otherwise."""
    if geometry is None or geometry.features is None:
        raise ModelError(f"fusion '{name}': expected features of a geometry encoder, found none")
    grids = geometry.grid_hw.tolist()
    tokens = sum(rows * columns for rows, columns in grids)
    if geometry.features.shape != (tokens, channels) or geometry.is_valid.shape != (tokens,):
        raise ModelError(
            f"fusion '{name}': expected features ({tokens}, {channels}) with ({tokens},) flags for the grids {words(grids)}, "
            f"found {tuple(geometry.features.shape)} with {tuple(geometry.is_valid.shape)}"
        )
    if geometry.camera is not None and geometry.camera.shape != (len(grids), channels):
        raise ModelError(f"fusion '{name}': expected camera tokens ({len(grids)}, {channels}), found {tuple(geometry.camera.shape)}")
    if sum(geometry.views_per_sample) != len(grids):
        raise ModelError(f"fusion '{name}': expected {sum(geometry.views_per_sample)} views of the samples, found {len(grids)} grids")
    return grids


def steps_of(name: str, visual: VisualTokens, geometry: GeometryTokens | None, channels: int, *, still_views: int) -> list[Step]:
    """The steps of a batch in order. Every step shows `visual.views_per_step` views, or `still_views` copies of one.

    Raises ModelError naming the fusion and both numbers where tokens, steps and views do not match.
    """
    grids = expect_features(name, geometry, channels)
    shown = [[rows, columns] for steps, rows, columns in visual.grid_thw.tolist() for _ in range(steps)]
    tokens = sum(rows * columns for rows, columns in shown)
    if tokens != len(visual.tokens):
        raise ModelError(f"fusion '{name}': expected {tokens} visual tokens on the grids {words(shown)}, found {len(visual.tokens)}")
    each = visual.views_per_step
    if each == 1 and len(grids) == still_views * len(shown):
        each = still_views
    if len(grids) != each * len(shown):
        raise ModelError(
            f"fusion '{name}': expected geometry of {each * len(shown)} views for {len(visual.tokens)} visual tokens in {len(shown)} "
            f"steps, found {len(grids)} views on the grids {words(grids)}"
        )
    token_starts = [0, *accumulate(rows * columns for rows, columns in shown)]
    geometry_starts = [0, *accumulate(rows * columns for rows, columns in grids)]
    steps = []
    for step, (rows, columns) in enumerate(shown):
        views = tuple(range(step * each, (step + 1) * each))
        if any(grids[view] != grids[views[0]] for view in views):
            raise ModelError(f"fusion '{name}': expected views of one step on one grid, found {words([grids[view] for view in views])}")
        starts = tuple(geometry_starts[view] for view in views)
        view_rows, view_columns = grids[views[0]]
        steps.append(
            Step(
                rows=rows,
                columns=columns,
                first_token=token_starts[step],
                view_rows=view_rows,
                view_columns=view_columns,
                first_geometry=starts,
                views=views,
            )
        )
    return steps


def words(grids: list[list[int]]) -> str:
    """Grids as `6x8, 6x8`, no more than four of them."""
    return ", ".join(f"{rows}x{columns}" for rows, columns in grids[:4]) + (f", ... ({len(grids)} in all)" if len(grids) > 4 else "")
