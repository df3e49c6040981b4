"""Encoded samples to one padded batch: ids, positions, pixels, geometry.

Shapes: L tokens, V views, N merged tokens of all views, B samples, as in `encoded.py`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sightline.models.backbones.backbone import VisionGrid
from sightline.models.encoded import Cameras, Encoded, ModelInputs
from sightline.models.images import normalised, paired
from sightline.models.model import IGNORED
from sightline.models.positions import row_positions
from sightline.models.view_inputs import IMAGE, VIDEO


@dataclass(frozen=True, kw_only=True, slots=True)
class InputForm:
    """What a model's inputs look like."""

    grid: VisionGrid
    pad_id: int
    visual_id: int | None  # the placeholder of one visual token; None for a backbone without eyes
    is_video: bool  # the views of a sample are the frames of one clip
    has_mrope: bool
    rope_rule: str
    tokens_per_second: float
    seconds_per_step: float
    tells_views: bool  # a geometry encoder asks whose view is whose
    sends_cameras: bool


def collated(encoded: Sequence[Encoded], form: InputForm, *, padding_side: str, as_bytes: bool = False) -> ModelInputs:
    """Pad to one length: `right` for training, `left` for generation. `as_bytes` leaves pixels to `ModelInputs.with_pixels`."""
    length = max(len(sample.input_ids) for sample in encoded)
    shape = (len(encoded), length)
    ids = np.full(shape, form.pad_id, np.int64)
    labels, attended = np.full(shape, IGNORED, np.int64), np.zeros(shape, np.int64)
    types = np.zeros(shape, np.int64)
    positions = np.zeros((3, *shape), np.int64)
    for row, sample in enumerate(encoded):
        count = len(sample.input_ids)
        place = slice(0, count) if padding_side == "right" else slice(length - count, length)
        ids[row, place], labels[row, place], attended[row, place] = sample.input_ids, sample.labels, 1
        if form.has_mrope:
            types[row, place], positions[:, row, place] = token_positions(sample, form)
    inputs: dict[str, Any] = {
        "input_ids": torch.from_numpy(ids),
        "attention_mask": torch.from_numpy(attended),
        "labels": torch.from_numpy(labels),
    }
    if form.has_mrope:
        inputs |= {"mm_token_type_ids": torch.from_numpy(types), "position_ids": torch.from_numpy(positions)}
    if any(sample.views for sample in encoded):
        inputs |= _pixels(encoded, form, as_bytes=as_bytes) | _geometry(encoded, form)
    return ModelInputs(**inputs)


def token_positions(sample: Encoded, form: InputForm) -> tuple[np.ndarray, np.ndarray]:
    """Token types `(L,)` and positions `(3, L)` of one sample; without rotary grids every token is text."""
    if not form.has_mrope:
        return np.zeros(len(sample.input_ids), np.int64), np.tile(np.arange(len(sample.input_ids)), (3, 1))
    types = (sample.input_ids == form.visual_id) * (VIDEO if form.is_video else IMAGE)
    apart = form.tokens_per_second * form.seconds_per_step if form.is_video else 0.0
    grids = ((grid, apart) for grid in _grids(sample, form))
    return types, row_positions(types, grids, merge=form.grid.merge, rule=form.rope_rule)


def _grids(sample: Encoded, form: InputForm) -> list[list[int]]:
    """Steps, rows and columns of patches: of each view, or of the one clip."""
    merge = form.grid.merge
    grids = [[1, rows * merge, columns * merge] for rows, columns in sample.grid_hw.tolist()]
    return [[sample.views // form.grid.temporal_patch, *grids[0][1:]]] if form.is_video and grids else grids


def _pixels(encoded: Sequence[Encoded], form: InputForm, *, as_bytes: bool) -> dict[str, Tensor]:
    values = np.concatenate([sample.patches for sample in encoded])
    if not as_bytes:
        values = normalised(
            values,
            patch_size=form.grid.patch_px,
            temporal_patch_size=form.grid.temporal_patch,
            mean=form.grid.mean,
            std=form.grid.std,
            is_video=form.is_video,
        )
    grid_thw = torch.tensor([grid for sample in encoded for grid in _grids(sample, form)])
    found = {} if form.visual_id is None else {"dots": _joined([sample.dots for sample in encoded]).long()}
    if not form.is_video:
        return {**found, "pixel_values": torch.from_numpy(values), "image_grid_thw": grid_thw}
    clips, start = [], 0
    for sample in encoded:
        if sample.views:
            of_clip = values[start : start + len(sample.patches)]
            clips.append(paired(of_clip, frames=sample.views, temporal_patch_size=form.grid.temporal_patch))
            start += len(sample.patches)
    return {
        **found,
        "pixel_values_videos": torch.from_numpy(np.concatenate(clips)),
        "video_grid_thw": grid_thw,
        "second_per_grid_ts": torch.full((len(clips),), form.seconds_per_step),
    }


def _geometry(encoded: Sequence[Encoded], form: InputForm) -> dict[str, Tensor]:
    """What is known of the views in space: computed on the host, or what an encoder on the device starts from."""
    found: dict[str, Tensor] = {}
    if form.tells_views:
        found["views_per_sample"] = torch.tensor([sample.views for sample in encoded])
    if form.sends_cameras:
        found |= _cameras([sample.cameras for sample in encoded if sample.cameras is not None])
    shown = [sample for sample in encoded if sample.views]
    if any(sample.coordinates_m is not None for sample in shown):
        found |= {
            "geometry_coordinates": _joined([sample.coordinates_m for sample in shown]),
            "geometry_valid": _joined([sample.is_valid for sample in shown]),
            "geometry_grid_hw": _joined([sample.grid_hw for sample in shown]).long(),
        }
    return found


def _cameras(cameras: Sequence[Cameras]) -> dict[str, Tensor]:
    maps = [depth_m for one in cameras for depth_m in one.depth_m]
    height, width = (max((map_m.shape[axis] for map_m in maps if map_m is not None), default=1) for axis in (0, 1))
    padded = np.full((len(maps), height, width), np.nan, np.float32)
    for view, map_m in enumerate(maps):
        if map_m is not None:
            padded[view, : map_m.shape[0], : map_m.shape[1]] = map_m
    return {
        "view_intrinsics": _joined([one.intrinsics for one in cameras]),
        "view_depth_m": torch.from_numpy(padded),
        "view_depth_intrinsics": _joined([one.depth_intrinsics for one in cameras]),
        "view_world_from_camera": _joined([one.world_from_camera for one in cameras]),
    }


def _joined(arrays: Sequence[np.ndarray]) -> Tensor:
    return torch.from_numpy(np.concatenate(arrays))
