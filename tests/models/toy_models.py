"""Toy views, checkpoints and samples for the tests of models, training and inference."""

import numpy as np
import torch

from sightline.geometry.cameras import Intrinsics
from sightline.geometry.transforms import look_at
from sightline.models.checkpoints import Checkpoint
from sightline.models.encoded import Encoded
from sightline.models.model import PRESETS
from sightline.models.processor import SpatialVLProcessor
from sightline.models.spatial_vl import SpatialVLForConditionalGeneration
from sightline.models.tokenizer import train_tokenizer
from sightline.samples.frames import View

WIDTH, HEIGHT = 64, 48  # 4 x 3 tokens of 16 pixels
ROWS, COLUMNS = 3, 4
QUESTION = "How far is the red dot from the camera? Answer with a number in metres."
TEXTS = (QUESTION, "Which dot is closer? A. red B. blue Answer with the letter.", "0.1 2.3 4.5 6.7 8.9", "A", "B")
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


def toy_samples(processor: SpatialVLProcessor, count: int, *, with_answer: bool = True) -> list[Encoded]:
    """Samples of one or two views whose answers depend on nothing but their number."""
    samples = []
    for index in range(count):
        views = [toy_view(10 * index + view) for view in range(1 + index % 2)]
        answer = f"{index % 9}.{index % 7}" if with_answer else None
        samples.append(processor.encode(QUESTION, views, answer=answer, where=f"toy/{index}"))
    return samples
