"""For every published design its tiny sibling with random weights, and batches of a few views built by hand: no processor in between.

Shapes: V views of a sample, each an image (3, H, W) in [0, 1] and a depth map (h, w); L tokens of a row.
"""

import copy
import math
from dataclasses import dataclass, field, replace
from functools import lru_cache

import torch
from torch import Tensor

from sightline.geometry.transforms import look_at
from sightline.models.model import IGNORED, PRESETS
from sightline.models.presets_tiny import tiny_of
from sightline.models.spatial_vl import SpatialVLForConditionalGeneration
from sightline.models.tokenizer import train_tokenizer
from sightline.models.view_inputs import IMAGE, VIDEO

TRAINED_FROM_NOTHING = ("tiny", "smallest")  # sizes of this project's own, tested with the processor and the trainer
REAL = [name for name in PRESETS if name not in TRAINED_FROM_NOTHING]
VARIANTS = {  # more of the same designs, built by other code paths
    "qwen3vl-sin3d, DeepStack too": ("qwen3vl-sin3d", {"fuse_deepstack": True}),
    "spatial-mllm v1.0": ("spatial-mllm", {"fusion_options": {"version": "v1.0"}}),
}
CASES = [*REAL, *(name for name, (preset, _) in VARIANTS.items() if preset in REAL)]
TOLERANCE = 1e-5  # of logits of order one, in float32
WORDS = range(20, 260)  # ids that are no special token
GATE = 0.5  # of an opened fusion


@lru_cache(maxsize=1)
def tokenizer():
    return train_tokenizer(["How far is it? 1.5 m"], vocab_size=320)


@lru_cache(maxsize=64)
def _built(name: str, seed: int) -> SpatialVLForConditionalGeneration:
    preset, changes = VARIANTS.get(name, (name, {}))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return SpatialVLForConditionalGeneration(tiny_of(preset, tokenizer(), **changes)).eval()


def model_of(name: str, *, is_open: bool = True, seed: int = 0) -> SpatialVLForConditionalGeneration:
    """A fresh copy in evaluation mode. Open: as after training, when a gated fusion is no longer the identity."""
    model = copy.deepcopy(_built(name, seed))
    return opened(model) if is_open else model


def opened(model: SpatialVLForConditionalGeneration) -> SpatialVLForConditionalGeneration:
    """The same model with every gate of its fusions open."""
    with torch.no_grad():
        for fusion in (model.fusion, *model.deepstack_fusions):
            if getattr(fusion, "gate", None) is not None:
                fusion.gate.fill_(GATE)
    return model


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Shot:
    """One view."""

    image: Tensor
    depth_m: Tensor
    depth_intrinsics: Tensor  # (6,) fx fy cx cy width height
    world_from_camera: Tensor  # (4, 4) float64

    @property
    def intrinsics(self) -> Tensor:
        return intrinsics_of(*self.image.shape[1:])


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Toy:
    """One sample."""

    shots: tuple[Shot, ...]
    question: tuple[int, ...]
    answer: tuple[int, ...]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Batch:
    """Keyword arguments of `forward`, and where in each row what stands."""

    inputs: dict[str, Tensor]
    labels: Tensor
    visual_at: list[list[int]] = field(default_factory=list)
    prefix_at: list[list[int]] = field(default_factory=list)
    answer_at: list[list[int]] = field(default_factory=list)

    def but(self, **changes: Tensor | None) -> dict[str, Tensor]:
        """The inputs with some replaced, or left out where None."""
        return {name: value for name, value in {**self.inputs, **changes}.items() if value is not None}


def intrinsics_of(height: int, width: int) -> Tensor:
    """Of an image 60 degrees wide, with its centre in the middle."""
    focal = width / 2 / math.tan(math.radians(30.0))
    return torch.tensor([focal, focal, (width - 1) / 2, (height - 1) / 2, width, height], dtype=torch.float64)


def token_hw(config, rows: int = 2, columns: int = 3) -> tuple[int, int]:
    """The grid of visual tokens of a small image; square tiles have no choice."""
    grid = config.vision_grid
    return (rows, columns) if grid.tile_px is None else (grid.tile_px // grid.window_px,) * 2


def shot(config, seed: int, *, rows: int = 2, columns: int = 3, depth_hw: tuple[int, int] = (26, 35)) -> Shot:
    """Noise, with noise for depth, from a random place in a room."""
    generator = torch.Generator().manual_seed(seed)
    height, width = (tokens * config.vision_grid.window_px for tokens in token_hw(config, rows, columns))
    place = torch.rand(3, generator=generator, dtype=torch.float64) + torch.tensor([0.0, 0.0, 1.0])
    return Shot(
        image=torch.rand(3, height, width, generator=generator),
        depth_m=1.0 + 3.0 * torch.rand(*depth_hw, generator=generator),
        depth_intrinsics=intrinsics_of(height, width) * _scale(depth_hw, (height, width)),
        world_from_camera=torch.from_numpy(look_at(place.numpy(), torch.tensor([3.0, 2.0, 1.0]).double().numpy())),
    )


def _scale(depth_hw: tuple[int, int], image_hw: tuple[int, int]) -> Tensor:
    """A depth sensor that sees a little less than the image, with its own pixels."""
    x, y = depth_hw[1] / image_hw[1], depth_hw[0] / image_hw[0]
    return torch.tensor([1.05 * x, 1.05 * y, x, y, x, y], dtype=torch.float64)


def toy(config, seed: int, views: int, *, question: int = 5, answer: int = 3, **size) -> Toy:
    generator = torch.Generator().manual_seed(1000 + seed)
    words = torch.randint(WORDS.start, WORDS.stop, (question + answer,), generator=generator).tolist()
    shots = tuple(shot(config, 100 * seed + view, **size) for view in range(views))
    return Toy(shots=shots, question=tuple(words[:question]), answer=tuple(words[question:]))


def shown(config, sample: Toy) -> tuple[Shot, ...]:
    """The views as the model takes them: the last one twice where a video's step would miss its second."""
    missing = -len(sample.shots) % config.views_per_step
    return (*sample.shots, *sample.shots[-1:] * missing)


def batch_of(model, samples, *, padding_side: str = "right", with_answer: bool = True, extra_pad: int = 0) -> Batch:
    """The samples as one padded batch."""
    rows = [_row(model, sample, with_answer) for sample in samples]
    length = max(len(row["ids"]) for row in rows) + extra_pad
    shape, pad = (len(rows), length), tokenizer().pad_token_id
    ids, types = torch.full(shape, pad), torch.zeros(shape, dtype=torch.long)
    attended, labels = torch.zeros(shape, dtype=torch.long), torch.full(shape, IGNORED)
    places: dict[str, list[list[int]]] = {"visual_at": [], "prefix_at": [], "answer_at": []}
    for index, row in enumerate(rows):
        start = 0 if padding_side == "right" else length - len(row["ids"])
        part = slice(start, start + len(row["ids"]))
        ids[index, part], types[index, part], attended[index, part] = torch.tensor(row["ids"]), torch.tensor(row["types"]), 1
        for name, found in places.items():
            found.append([start + at for at in row[name]])
        labels[index, places["answer_at"][-1]] = ids[index, places["answer_at"][-1]]
    inputs = {"input_ids": ids, "attention_mask": attended, "mm_token_type_ids": types}
    if any(sample.shots for sample in samples):
        inputs |= _views(model.config, samples)
    return Batch(inputs=inputs, labels=labels, **places)


def _row(model, sample: Toy, with_answer: bool) -> dict[str, list[int]]:
    config, known = model.config, tokenizer()
    shots = shown(config, sample)
    before, after = (known.convert_tokens_to_ids(name) for name in ("<|vision_start|>", "<|vision_end|>"))
    is_video = config.views_per_step > 1
    placeholder = known.convert_tokens_to_ids("<|video_pad|>" if is_video else "<|image_pad|>")
    ids, visual, prefix = [WORDS[0]], [], []
    if config.backbone_kind.has_vision and shots:
        counts = [math.prod(side // config.vision_grid.window_px for side in one.image.shape[1:]) for one in shots]
        for count in [sum(counts) // config.views_per_step] if is_video else counts:
            ids.append(before)
            visual.extend(range(len(ids), len(ids) + count))
            ids.extend([placeholder] * count + [after])
    if config.makes_prefix and shots:
        count = model.fusion.prefix_tokens(len(shots))
        prefix = list(range(len(ids), len(ids) + count))
        ids.extend([config.prefix_token_id] * count)
    ids.extend(sample.question)
    answer = [*sample.answer, known.eos_token_id] if with_answer else []
    types = [VIDEO if is_video and at in set(visual) else IMAGE if at in set(visual) else 0 for at in range(len(ids) + len(answer))]
    answer_at = list(range(len(ids), len(ids) + len(answer)))
    return {"ids": [*ids, *answer], "types": types, "visual_at": visual, "prefix_at": prefix, "answer_at": answer_at}


def _views(config, samples) -> dict[str, Tensor]:
    each = [shown(config, sample) for sample in samples]
    flat = [one for shots in each for one in shots]
    grid, is_video = config.vision_grid, config.views_per_step > 1
    height, width = (max(one.depth_m.shape[axis] for one in flat) for axis in (0, 1))
    depth = torch.full((len(flat), height, width), torch.nan)
    for index, one in enumerate(flat):
        depth[index, : one.depth_m.shape[0], : one.depth_m.shape[1]] = one.depth_m
    sides = [[side // grid.patch_px for side in one.image.shape[1:]] for one in flat]
    if is_video:
        grids = [[len(shots) // 2, *(side // grid.patch_px for side in shots[0].image.shape[1:])] for shots in each if shots]
        pixels = torch.cat([patches(torch.stack([one.image for one in flat[at : at + 2]]), grid) for at in range(0, len(flat), 2)])
        pictures = {"pixel_values_videos": pixels, "video_grid_thw": torch.tensor(grids)}
    else:
        pixels = torch.cat([patches(one.image.expand(grid.temporal_patch, -1, -1, -1), grid) for one in flat])
        pictures = {"pixel_values": pixels, "image_grid_thw": torch.tensor([[1, *side] for side in sides])}
    return {
        **pictures,
        "views_per_sample": torch.tensor([len(shots) for shots in each]),
        "view_intrinsics": torch.stack([one.intrinsics for one in flat]),
        "view_depth_m": depth,
        "view_depth_intrinsics": torch.stack([one.depth_intrinsics for one in flat]),
        "view_world_from_camera": torch.stack([one.world_from_camera for one in flat]),
    }


def patches(frames: Tensor, grid) -> Tensor:
    """`(T, 3, H, W)` to `(patches, 3 T p p)`: merge windows row by row, in each its patches, in each channels, frames, pixels."""
    mean, std = (torch.tensor(values)[:, None, None] for values in (grid.mean, grid.std))
    side, merge = grid.patch_px, grid.merge
    cut = ((frames - mean) / std).unflatten(3, (-1, merge, side)).unflatten(2, (-1, merge, side))
    return cut.permute(2, 5, 3, 6, 1, 0, 4, 7).flatten(0, 3).flatten(1)


def uses(config) -> set[str]:
    """Which of depth and pose reach the output."""
    if not config.has_encoder:
        return set()
    coordinates = config.geometry_encoder == "pointmap"
    return {"depth", "pose"} if coordinates or config.makes_prefix else set()


def with_last_view(sample: Toy, **changes: Tensor) -> Toy:
    """The sample with a changed last view."""
    return replace(sample, shots=(*sample.shots[:-1], replace(sample.shots[-1], **changes)))


def logits(model, inputs: dict[str, Tensor]) -> Tensor:
    """`(B, L, words)`."""
    with torch.no_grad():
        return model(**inputs).logits
