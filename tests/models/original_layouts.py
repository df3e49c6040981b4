"""Writes checkpoints in the layouts that Spatial-MLLM published, at tiny size, every number by a formula; and their inputs.

Shapes: F frames of a video, P patches of 14 pixels. What the original classes computed from these very weights and inputs is frozen in
`tests/data/spatial_mllm/*.json`, beside the names and shapes of the tensors that they saved.
"""

import json
import zlib
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

FOLDER = Path(__file__).parent.parent / "data" / "spatial_mllm"
VERSIONS = ("v1_0", "v1_1")
PATCH, MERGE = 14, 2
MEAN = np.array([0.48145466, 0.4578275, 0.40821073])  # of Qwen's image processor
STD = np.array([0.26862954, 0.26130258, 0.27577711])
VISION_START, VISION_END, IMAGE, VIDEO, PAD = 40, 41, 42, 43, 44


def frozen(version: str) -> dict:
    """Config, tensor shapes and cases of one published layout."""
    return json.loads((FOLDER / f"{version}.json").read_text(encoding="utf-8"))


def uniform(name: str, count: int) -> np.ndarray:
    """Numbers in [-1, 1) from a name alone: splitmix64, in whole numbers, so they are the same on every machine."""
    with np.errstate(over="ignore"):
        mixed = np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(zlib.crc32(name.encode()))
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return ((mixed ^ (mixed >> np.uint64(31))) >> np.uint64(40)).astype(np.float64) / 2**23 - 1.0


def weight(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """A float32 tensor: gains about 1, biases small, matrices that keep the size of what they multiply."""
    values = uniform(name, int(np.prod(shape))).reshape(shape)
    if name.endswith(("norm.weight", "norm1.weight", "norm2.weight", "layernorm.weight", "ln_q.weight", "gamma")):
        values = 1.0 + 0.3 * values
    elif len(shape) == 1:
        values = 0.1 * values
    elif name.endswith(("embed_tokens.weight", "_token", "_tokens", "pos_embed")):
        pass
    else:
        values = values * np.sqrt(3.0 / np.prod(shape[1:]))
    return values.astype(np.float32)


def write_original(version: str, folder: Path, **changes: np.ndarray | None) -> Path:
    """The published folder: `config.json` and `model.safetensors`. `changes` replace tensors by name, or leave them out (None)."""
    layout = frozen(version)
    tensors = {name: weight(name, tuple(shape)) for name, shape in layout["tensors"].items()}
    tensors |= {name: value for name, value in changes.items() if value is not None}
    kept = {name: value for name, value in tensors.items() if name not in changes or changes[name] is not None}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(layout["config"]), encoding="utf-8")
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def backbone_config_4() -> dict:
    """The config of the backbone alone, as transformers 4.51 wrote it."""
    ours = ("spatial_config", "connector_config")
    return {key: value for key, value in frozen("v1_1")["config"].items() if key not in ours} | {"model_type": "qwen2_5_vl"}


def write_backbone(folder: Path) -> Path:
    """The folder of the backbone alone, in the names of transformers 4.51."""
    shapes = {name: shape for name, shape in frozen("v1_1")["tensors"].items() if name.startswith(("model.", "visual."))}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(backbone_config_4()), encoding="utf-8")
    tensors = {name: weight(name, tuple(shape)) for name, shape in shapes.items()}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def frames(name: str, *, count: int, height: int, width: int) -> np.ndarray:
    """(F, 3, height, width) in [0, 1], as 8-bit images give them, with structure in both directions."""
    noise = uniform(name, count * 3 * height * width).reshape(count, 3, height, width)
    slope = np.linspace(-1, 1, height)[:, None] * np.linspace(-0.5, 1, width)
    return (np.round(127.5 + 60 * noise + 60 * slope).clip(0, 255) / 255.0).astype(np.float32)


def patches(images: np.ndarray) -> tuple[np.ndarray, list[int]]:
    """Two frames to a step: (P, 3*2*14*14) in the order of Qwen2.5-VL (merge block by merge block), and the grid (t, h, w)."""
    normal = (images - MEAN[:, None, None]) / STD[:, None, None]
    count, _, height, width = normal.shape
    t, h, w = count // 2, height // PATCH, width // PATCH
    split = normal.reshape(t, 2, 3, h // MERGE, MERGE, PATCH, w // MERGE, MERGE, PATCH)
    flat = split.transpose(0, 3, 6, 4, 7, 2, 1, 5, 8).reshape(t * h * w, -1)
    return flat.astype(np.float32), [t, h, w]


def rows(case: dict) -> tuple[np.ndarray, np.ndarray]:
    """`input_ids` and `attention_mask` (B, L), padded on the left."""
    longest = max(len(row) for row in case["input_ids"])
    ids = np.array([[PAD] * (longest - len(row)) + row for row in case["input_ids"]])
    mask = np.array([[0] * (longest - len(row)) + [1] * len(row) for row in case["input_ids"]])
    return ids, mask


def clips(case: dict) -> list[np.ndarray]:
    """The frames of each video (or group of images) of a case, two to a step."""
    return [frames(f"{case['name']}/{index}", **size) for index, size in enumerate(case["clips"])]
