"""Prints what geometry costs a model: points of depth maps, and features of a frozen encoder from disk. `model_geometry.py [--quick]`.

CPU seconds in interleaved rounds. Reads from disk are wall seconds with the file's pages dropped first.
"""

import os
import resource
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from transformers import Qwen3VLConfig
from transformers.models.qwen3_vl.modeling_qwen3_vl import Qwen3VLTextModel, Qwen3VLVisionModel

from sightline.geometry.cameras import Intrinsics
from sightline.geometry.transforms import look_at
from sightline.models.cached_encoder import CachedEncoder, Shown
from sightline.models.feature_cache import EncoderIdentity, FeatureCache, FeatureKey
from sightline.models.feature_entries import EXACT, STORED_AS, ViewFeatures
from sightline.models.geometry_encoders.pointmap import PointmapEncoder, token_points
from sightline.models.geometry_encoders.vggt_encoder import VggtEncoder
from sightline.models.model import Views
from sightline.samples.frames import View

from timing import Timed, interleaved, ratio, row

CODE_WIDTH = 2560  # of Qwen3-VL-4B, for the code of every pixel that is not made here
TEXT_LAYERS, VISION_LAYERS = 36, 24  # of Qwen3-VL-4B
TEXT = {
    "hidden_size": 2560,
    "intermediate_size": 9728,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "vocab_size": 32,
}
VISION = {"hidden_size": 1024, "intermediate_size": 4096, "num_heads": 16, "out_hidden_size": 2560, "deepstack_visual_indexes": []}
NO_LIMIT = 10**12


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """Of a whole run, or of one that takes seconds."""

    rounds: int = 7
    views: int = 32
    width: int = 640
    height: int = 480
    shown_views: int = 8  # in the forward pass whose share is taken
    layer_rounds: int = 2
    vggt: tuple[tuple[str, int], ...] = (("embed_dim", 384), ("depth", 12), ("num_heads", 6), ("dino_depth", 12), ("dino_heads", 6))
    image_px: int = 224
    encoder_rounds: int = 3
    entry_views: int = 8
    entry_tokens: int = 1024  # of a view of 448 px
    entry_channels: int = 2048


QUICK = Sizes(
    rounds=1,
    views=2,
    width=64,
    height=48,
    shown_views=1,
    layer_rounds=0,
    vggt=(("embed_dim", 16), ("depth", 1), ("num_heads", 2), ("dino_depth", 1), ("dino_heads", 2)),
    image_px=28,
    encoder_rounds=1,
    entry_tokens=16,
    entry_channels=32,
)


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def posed_views(sizes: Sizes) -> tuple[list[View], Views, tuple[int, int]]:
    """The same noisy depth maps for the host and for the device, and the grid of 32-pixel tokens."""
    camera = Intrinsics.from_field_of_view(horizontal_deg=60.0, width=sizes.width, height=sizes.height)
    grid, rng = (sizes.height // 32 or 1, sizes.width // 32 or 1), np.random.default_rng(0)
    views = []
    for index in range(sizes.views):
        depth_m = rng.uniform(0.5, 6.0, (sizes.height, sizes.width)).astype(np.float32)
        depth_m[rng.random(depth_m.shape) < 0.1] = np.nan
        pose = look_at(rng.uniform(-1.0, 1.0, 3) + [0.0, 0.0, 1.5], np.array([3.0, 2.0, 1.0]))
        rgb = np.zeros((sizes.height, sizes.width, 3), np.uint8)
        views.append(
            View(frame_id=f"{index}", rgb=rgb, intrinsics=camera, depth_m=depth_m, depth_intrinsics=camera, world_from_camera=pose)
        )
    six = torch.tensor([[camera.fx, camera.fy, camera.cx, camera.cy, camera.width, camera.height]] * len(views), dtype=torch.float64)
    batch = Views(
        images=(),
        views_per_sample=(len(views),),
        token_grid_hw=torch.tensor([grid] * len(views)),
        intrinsics=six,
        depth_m=torch.from_numpy(np.stack([view.depth_m for view in views])),
        depth_intrinsics=six,
        frame_from_camera=torch.from_numpy(np.stack([view.world_from_camera for view in views])),
    )
    return views, batch, grid


def bench_pointmap(sizes: Sizes) -> None:
    views, batch, (rows, columns) = posed_views(sizes)
    encoder = PointmapEncoder({})
    few = replace(batch, token_grid_hw=batch.token_grid_hw[:1], views_per_sample=(1,))
    few = replace(few, **{name: getattr(few, name)[:1] for name in ("depth_m", "intrinsics", "depth_intrinsics", "frame_from_camera")})
    encoder(few)  # what the libraries take at their first call
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found = encoder(batch)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    expected = np.concatenate([token_points(view, rows=rows, columns=columns, min_valid_fraction=0.25)[0] for view in views])
    say(f"largest difference between the two ways: {np.nanmax(np.abs(found.coordinates_m.numpy() - expected)):.1e} m")
    pixels = sizes.views * sizes.width * sizes.height
    say(f"{sizes.views} views of {sizes.width}x{sizes.height}: resident memory grows by {grown / 1e6:.0f} MB")
    say(f"a code of {CODE_WIDTH} for every pixel, computed: {pixels * CODE_WIDTH * 4 / 1e9:.1f} GB")
    host, device = "points, one view after the other (NumPy)", "points, all views (torch)"
    cases = {
        host: (lambda: [token_points(view, rows=rows, columns=columns, min_valid_fraction=0.25) for view in views], sizes.views),
        device: (lambda: encoder(batch), sizes.views),
    }
    timed = interleaved(cases, rounds=sizes.rounds)
    for case in timed.values():
        say(row(case, "view"))
    say(ratio(timed[host], timed[device]))
    if sizes.layer_rounds:
        bench_share(sizes, timed[device])


def bench_share(sizes: Sizes, points: Timed) -> None:
    """One text layer and one vision layer at the widths of Qwen3-VL-4B, in single precision, times their number there."""
    config = Qwen3VLConfig(
        text_config={**TEXT, "num_hidden_layers": 1, "pad_token_id": 0}, vision_config={**VISION, "depth": 1}, tie_word_embeddings=True
    )
    text = Qwen3VLTextModel(config.text_config).eval()
    vision = Qwen3VLVisionModel(config.vision_config).eval()
    grid = torch.tensor([[1, sizes.height // 16, sizes.width // 16]] * sizes.shown_views)
    patches = torch.rand(int(grid.prod(1).sum()), 3 * 2 * 16 * 16)
    embeds = torch.rand(1, len(patches) // 4, TEXT["hidden_size"])
    with torch.no_grad():
        cases = {
            "one text layer": (lambda: text(inputs_embeds=embeds, use_cache=False), 1),
            "one vision layer, patches and merger": (lambda: vision(patches, grid_thw=grid), 1),
        }
        timed = interleaved(cases, rounds=sizes.layer_rounds)
    for case in timed.values():
        say(row(case, f"{sizes.shown_views} views"))
    seconds = [statistics.median(case.cpu_s) for case in timed.values()]
    forward_s = TEXT_LAYERS * seconds[0] + VISION_LAYERS * seconds[1]
    points_s = sizes.shown_views * statistics.median(points.cpu_s)
    say(f"forward of {TEXT_LAYERS} and {VISION_LAYERS} such layers, computed: {forward_s:.0f} s; points are {points_s / forward_s:.4%}")


def bench_cache(sizes: Sizes, folder: Path) -> None:
    """A modest VGGT: computed anew, computed and kept, found; and how much is kept."""
    torch.manual_seed(0)
    encoder = VggtEncoder({"img_size": sizes.image_px, **dict(sizes.vggt)}).eval().requires_grad_(False)
    side = sizes.image_px // 14
    views = Views(
        images=tuple(torch.rand(sizes.entry_views, 3, sizes.image_px, sizes.image_px)),
        views_per_sample=(sizes.entry_views,),
        token_grid_hw=torch.full((sizes.entry_views, 2), side),
    )
    frames = tuple(f"{index}" for index in range(sizes.entry_views))
    shown = Shown(scan_id="flat", frame_ids=frames)
    caches = {stored_as: FeatureCache(folder / stored_as, max_bytes=NO_LIMIT, stored_as=stored_as) for stored_as in STORED_AS}
    cached = {stored_as: CachedEncoder(encoder, cache) for stored_as, cache in caches.items()}
    parameters = sum(parameter.numel() for parameter in encoder.parameters())
    began_s = time.process_time()
    cached[EXACT].identity()
    say(f"weights of {parameters / 1e6:.1f} million parameters hashed in {time.process_time() - began_s:.2f} s of CPU, once a run")
    for stored_as, one in cached.items():
        one.geometry(views, [shown])
        kept_mb = caches[stored_as].bytes_on_disk() / 1e6
        say(f"features of {sizes.entry_views} views of {sizes.image_px} px kept as {stored_as}: {kept_mb:.2f} MB")
    turn = iter(range(10**6))
    named = replace(shown, content="these very pixels")
    cached[EXACT].geometry(views, [named])
    cases = {
        "computed anew": (lambda: encoder(views), 1),
        "miss: computed and kept": (lambda: cached[EXACT].geometry(views, [replace(shown, scan_id=f"flat {next(turn)}")]), 1),
        **{f"hit, kept as {stored_as}": ((lambda one=one: one.geometry(views, [shown])), 1) for stored_as, one in cached.items()},
        "hit, kept as exact, pixels known by name": (lambda: cached[EXACT].geometry(views, [named]), 1),
    }
    timed = interleaved(cases, rounds=sizes.encoder_rounds)
    for case in timed.values():
        say(row(case, "sample"))
    for name in list(cases)[2:]:
        say(ratio(timed["computed anew"], timed[name]))
    for stored_as, cache in caches.items():
        say(f"{stored_as}: {cache.statistics}")


def bench_disk(sizes: Sizes, folder: Path) -> None:
    """An entry of the size that 8 views of 448 px have at full width in bf16: from disk, and from memory, beside a plain read."""
    tokens = sizes.entry_views * sizes.entry_tokens
    side = int(sizes.entry_tokens**0.5)
    features = ViewFeatures(
        grid_hw=torch.full((sizes.entry_views, 2), side),
        is_valid=torch.ones(tokens, dtype=torch.bool),
        features=torch.randn(tokens, sizes.entry_channels).bfloat16(),
        camera=torch.randn(sizes.entry_views, sizes.entry_channels).bfloat16(),
    )
    identity = EncoderIdentity(name="vggt", options="{}", weights="w", dtype="bf16", code="c")
    frames = tuple(f"{index}" for index in range(sizes.entry_views))
    key = FeatureKey(scan_id="flat", frame_ids=frames, sizes_hw=((448, 448),) * sizes.entry_views, content="c", encoder=identity)
    for stored_as in STORED_AS:
        cache = FeatureCache(folder / f"disk_{stored_as}", max_bytes=NO_LIMIT, stored_as=stored_as)
        cache.put(key, features)
        bench_entry(sizes, cache, key)


def bench_entry(sizes: Sizes, cache: FeatureCache, key: FeatureKey) -> None:
    path = cache.path(key)
    size = path.stat().st_size
    cold: dict[str, list[float]] = {"plain read": [], "hit": []}
    for _ in range(max(2, sizes.rounds)):
        for name, read in (("plain read", path.read_bytes), ("hit", lambda: cache.get(key))):
            drop_pages(path)
            began_s = time.perf_counter()
            read()
            cold[name].append(time.perf_counter() - began_s)
    cases = {
        f"plain read from memory, {size / 1e6:.1f} MB": (path.read_bytes, 1),
        f"hit from memory, {size / 1e6:.1f} MB as {cache.stored_as}": (lambda: cache.get(key), 1),
    }
    for case in interleaved(cases, rounds=sizes.rounds).values():
        say(row(case, "sample"))
    shown = ", ".join(f"{name} {size / statistics.median(walls) / 1e6:.0f} MB/s" for name, walls in cold.items())
    say(f"from disk (wall): {shown}; relative error {cache.statistics.mean_relative_error:.2%}")


def drop_pages(path: Path) -> None:
    """Make the next read of a file go to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(descriptor)


def main(arguments: list[str]) -> None:
    sizes = QUICK if "--quick" in arguments else Sizes()
    torch.set_num_threads(1)
    bench_pointmap(sizes)
    with tempfile.TemporaryDirectory() as place:
        bench_cache(sizes, Path(place))
        bench_disk(sizes, Path(place))


if __name__ == "__main__":
    main(sys.argv[1:])
