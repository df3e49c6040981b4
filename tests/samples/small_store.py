"""A scene store with measured facts, made without rendering: the handmade room of boxes behind images of plain gradients."""

from pathlib import Path

import numpy as np
from handmade_facts import CAMERA, handmade_facts

from sightline.captures.capture import Capture, Frame
from sightline.captures.images import write_rgb_png, write_uint16_png
from sightline.facts.fact import FactTable
from sightline.facts.store import write_facts
from sightline.geometry.cameras import Intrinsics
from sightline.scenes.clouds import Cloud
from sightline.scenes.prepare import prepare
from sightline.scenes.store import SceneStore

DEPTH_CAMERA = CAMERA.resized(width=40, height=30)


def gradient(seed: int, camera: Intrinsics = CAMERA) -> np.ndarray:
    """A smooth picture that no other seed has."""
    u, v = np.meshgrid(np.linspace(0, 200, camera.width), np.linspace(0, 200, camera.height))
    return np.stack([u, v, np.full_like(u, seed % 256)], axis=-1).astype(np.uint8)


def write_scan(
    root: Path, scan_id: str, *, seed: int, cameras: int = 8, place_id: str | None = None, picture_seed: int | None = None
) -> FactTable:
    """One finished, measured scan in the store `root / "store"`; its source images lie beside the store."""
    facts = handmade_facts(seed=seed, cameras=cameras, scan_id=scan_id)
    facts = type(facts)(**{**{name: getattr(facts, name) for name in facts.__slots__}, "place_id": place_id or f"place_of_{scan_id}"})
    frames = []
    for index, frame_id in enumerate(facts.frames.frame_ids):
        rgb_path, depth_path = root / "source" / scan_id / f"c{frame_id}.png", root / "source" / scan_id / f"d{frame_id}.png"
        write_rgb_png(rgb_path, gradient((seed if picture_seed is None else picture_seed) * 50 + index))
        depth = np.full((DEPTH_CAMERA.height, DEPTH_CAMERA.width), 1000 + index, dtype=np.uint16)
        depth[0, 0] = 0
        write_uint16_png(depth_path, depth)
        frames.append(
            Frame(
                frame_id=frame_id,
                time_s=float(index),
                rgb_path=rgb_path,
                depth_path=depth_path,
                depth_scale_m=0.001,
                intrinsics=CAMERA,
                depth_intrinsics=DEPTH_CAMERA,
                world_from_camera=facts.frames.world_from_camera[index],
            )
        )
    capture = Capture(
        scan_id=scan_id,
        place_id=facts.place_id,
        source="handmade",
        licence="CC0-1.0",
        frames=tuple(frames),
        objects=facts.objects,
    )
    cloud = Cloud(points_world=np.zeros((10, 3), dtype=np.float32), object_ids=np.full(10, -1, dtype=np.int32))
    store = SceneStore(root / "store")
    packed = prepare(capture, root / "source" / scan_id)
    kept = {"depth_images": packed.depth_images, "workspace": root / "none"}
    store.write(packed.capture, cloud, verification=None, made_from=f"seed {seed}", copy_images=True, notes={}, **kept)
    write_facts(facts, store.path(scan_id) / "facts")
    return facts
