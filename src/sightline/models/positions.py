"""Rotary positions of text, images and videos, by the rule of transformers 5 or by the one that Qwen2.5-VL models were trained with.

Shapes: L tokens of a row, B rows. Token types: 0 text, 1 image, 2 video. Grids are patches `(t, h, w)`.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

RULES = ("transformers_5", "transformers_4")


def row_positions(types: np.ndarray, grids: Iterator[tuple[Sequence[int], float]], *, merge: int, rule: str) -> np.ndarray:
    """`(3, L)` time, row and column of one row's tokens. `grids` gives, in order, each image's or video's grid and how far apart its
    steps are in time positions (0 for an image).

    Text counts on. After an image or video, transformers 5 goes on at its start plus the longer side; transformers 4.51 at its largest
    position plus one, which differs once a video's time positions outgrow its sides.
    """
    positions, at, following = np.zeros((3, len(types)), np.int64), 0, 0
    while at < len(types):
        same = types[at:] == types[at]
        run = len(same) if same.all() else int(same.argmin())
        if types[at] == 0:
            positions[:, at : at + run] = following + np.arange(run)
            following += run
        else:
            (steps, rows, columns), step = next(grids)
            rows, columns = rows // merge, columns // merge
            run = steps * rows * columns
            time = (np.arange(steps) * step).astype(np.int64)
            place = np.stack(np.meshgrid(time, np.arange(rows), np.arange(columns), indexing="ij")).reshape(3, -1)
            positions[:, at : at + run] = following + place
            following += max(rows, columns) if rule == "transformers_5" else int(place.max()) + 1
        at += run
    return positions


def batch_positions(
    types: Tensor,
    image_grid_thw: Tensor | None,
    video_grid_thw: Tensor | None,
    attention_mask: Tensor | None,
    *,
    merge: int,
    tokens_per_second: float,
    second_per_grid: Tensor | Sequence[float] | None,
    rule: str,
) -> tuple[Tensor, Tensor]:
    """Positions `(3, B, L)` of a padded batch, and next position minus length, `(B, 1)`."""
    images = iter([] if image_grid_thw is None else image_grid_thw.tolist())
    videos = iter([] if video_grid_thw is None else video_grid_thw.tolist())
    seconds = iter([] if second_per_grid is None else [float(one) for one in second_per_grid])
    attended = torch.ones_like(types).bool() if attention_mask is None else attention_mask.bool()
    positions = torch.zeros((3, *types.shape), dtype=torch.long, device=types.device)
    ahead = []
    for row in range(len(types)):
        row_types = types[row][attended[row]].cpu().numpy()
        found = _grids(row_types, images, videos, seconds, tokens_per_second)
        place = torch.from_numpy(row_positions(row_types, found, merge=merge, rule=rule)).to(types.device)
        positions[:, row, attended[row]] = place
        ahead.append(int(place.max()) + 1 - place.shape[1] if place.shape[1] else 0)  # both rules count from the largest
    return positions, torch.tensor(ahead, device=types.device)[:, None]


def _grids(
    types: np.ndarray, images: Iterator[list[int]], videos: Iterator[list[int]], seconds: Iterator[float], tokens_per_second: float
) -> Iterator[tuple[list[int], float]]:
    starts = np.flatnonzero(np.diff(np.concatenate([[0], types])) * (types != 0))
    for start in starts:
        yield (next(images), 0.0) if types[start] == 1 else (next(videos), tokens_per_second * next(seconds, 1.0))
