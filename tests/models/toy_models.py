"""Toy views, checkpoints and samples for the tests of models, training and inference."""

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache

import numpy as np
import torch
from transformers import PreTrainedTokenizerBase

from sightline.geometry.cameras import Intrinsics
from sightline.geometry.transforms import look_at
from sightline.models.checkpoints import Checkpoint
from sightline.models.encoded import Encoded
from sightline.models.model import PRESETS
from sightline.models.presets_tiny import FUSIONS as FUSION_OPTIONS
from sightline.models.presets_tiny import VGGT, VISION_PAD, tiny_of
from sightline.models.processor import SpatialVLProcessor
from sightline.models.spatial_vl import SpatialVLForConditionalGeneration
from sightline.models.tokenizer import train_tokenizer
from sightline.samples.frames import View

WIDTH, HEIGHT = 64, 48  # 4 x 3 tokens of 16 pixels
ROWS, COLUMNS = 3, 4
QUESTION = "How far is the red dot from the camera? Answer with a number in metres."
TEXTS = (QUESTION, "Which dot is closer? A. red B. blue Answer with the letter.", "0.1 2.3 4.5 6.7 8.9", "A", "B")
SMALL_IMAGES = {"min_pixels": 60**2, "max_pixels": 130**2, "square_px": 56}
BASES = {"qwen3_vl": "qwen3vl-base", "qwen2_5_vl": "vggt-cross", "internvl": "internvl", "qwen3": "vggt-perceiver"}  # preset of each
OPTIONS = {"none": {}, "sin3d": {"num_wavelengths": 4}, "mlp3d": {"width": 16}}


def camera(*, width: int = WIDTH, height: int = HEIGHT) -> Intrinsics:
    return Intrinsics.from_field_of_view(horizontal_deg=60.0, width=width, height=height)


def toy_view(seed: int, *, depth_m: np.ndarray | None = None, world_from_camera: np.ndarray | None = None) -> View:
    """A noisy image with depth at twice its size, seen from a random place."""
    rng = np.random.default_rng(seed)
    size = {"width": 2 * WIDTH, "height": 2 * HEIGHT}
    if depth_m is None:
        depth_m = rng.uniform(1.0, 4.0, (size["height"], size["width"])).astype(np.float32)
    if world_from_camera is None:
        world_from_camera = look_at(rng.uniform(-1.0, 1.0, 3) + [0.0, 0.0, 1.5], np.array([3.0, 2.0, 1.0]))
    return View(
        frame_id=f"{seed:06d}",
        rgb=rng.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8),
        intrinsics=camera(),
        depth_m=depth_m,
        depth_intrinsics=camera(**size),
        world_from_camera=world_from_camera,
    )


def toy_checkpoint(fusion: str = "sin3d", *, seed: int = 0, gate: float | None = None, **options: object) -> Checkpoint:
    """The smallest model with fresh weights; `gate` opens its fusion."""
    tokenizer = train_tokenizer(TEXTS, vocab_size=320)
    config = PRESETS["smallest"](tokenizer, fusion=fusion, fusion_options=OPTIONS[fusion], coordinate_frame="first_camera")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = SpatialVLForConditionalGeneration(config).eval()
    if gate is not None:
        with torch.no_grad():
            model.fusion.gate.fill_(gate)
    processor = SpatialVLProcessor.for_config(config, tokenizer, image_width=WIDTH, image_height=HEIGHT, **options)
    return Checkpoint(model=model, processor=processor)


@lru_cache(maxsize=1)
def toy_tokenizer() -> PreTrainedTokenizerBase:
    """As `train_tokenizer` makes it, with the placeholder of prefix tokens that every Qwen tokenizer has."""
    tokenizer = train_tokenizer(TEXTS, vocab_size=320)
    tokenizer.add_special_tokens({"additional_special_tokens": [VISION_PAD]}, replace_extra_special_tokens=False)
    return tokenizer


def toy_preset(
    name: str, *, seed: int = 0, gate: float | None = None, changes: Mapping[str, object] | None = None, **options
) -> Checkpoint:
    """The tiny sibling of a published design with fresh weights, shown images of at most a few tokens a side. `changes` are of the config,
    `options` of the processor; `gate` opens a fusion that has one.
    """
    config = tiny_of(name, toy_tokenizer(), **(changes or {}))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = SpatialVLForConditionalGeneration(config).eval()
    if gate is not None:
        with torch.no_grad():
            for fusion in (model.fusion, *model.deepstack_fusions):
                if getattr(fusion, "gate", None) is not None:
                    fusion.gate.fill_(gate)
    small = SMALL_IMAGES if "image_width" not in options else {}
    processor = SpatialVLProcessor.for_config(config, toy_tokenizer(), **{**small, **options})
    return Checkpoint(model=model, processor=processor)


def toy_family(
    backbone: str, geometry_encoder: str, fusion: str, *, changes: Mapping[str, object] | None = None, **options: object
) -> Checkpoint:
    """As `toy_preset`, for any three parts that go together."""
    chosen = {
        "geometry_encoder": geometry_encoder,
        "geometry_options": VGGT if geometry_encoder == "vggt" else {},
        "fusion": fusion,
        "fusion_options": FUSION_OPTIONS.get(fusion, {}),
        "prefix_token_id": toy_tokenizer().convert_tokens_to_ids(VISION_PAD),
    }
    return toy_preset(BASES[backbone], changes={**chosen, **(changes or {})}, **options)


def seen_view(seed: int, *, width: int, height: int, has_geometry: bool = True) -> View:
    """As `toy_view`, of any size; without geometry a mere picture."""
    rng = np.random.default_rng(seed)
    rgb = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    known = toy_view(seed)
    if not has_geometry:
        return replace(known, rgb=rgb, intrinsics=None, depth_m=None, depth_intrinsics=None, world_from_camera=None)
    return replace(known, rgb=rgb, intrinsics=camera(width=width, height=height))


def toy_samples(processor: SpatialVLProcessor, count: int, *, with_answer: bool = True) -> list[Encoded]:
    """Samples of one or two views whose answers depend on nothing but their number."""
    samples = []
    for index in range(count):
        views = [toy_view(10 * index + view) for view in range(1 + index % 2)]
        answer = f"{index % 9}.{index % 7}" if with_answer else None
        samples.append(processor.encode(QUESTION, views, answer=answer, where=f"toy/{index}"))
    return samples
