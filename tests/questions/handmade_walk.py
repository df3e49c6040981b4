"""Facts made by hand of a walk: a camera turns in the middle of a ring of objects, so that they come into sight one after another."""

import numpy as np
from handmade_facts import facts_of

from sightline.captures.capture import SceneObject
from sightline.facts.fact import FactTable
from sightline.geometry.boxes import Box
from sightline.geometry.transforms import look_at

RING = ("chair", "table", "lamp", "cabinet", "plant", "washing_machine", "shelf", "tv", "sofa", "bed", "oven", "piano")


def walk_facts(*, seed: int = 0, cameras: int = 24, scan_id: str = "walk", categories: tuple[str, ...] = RING) -> FactTable:
    """Objects three metres away every 30 degrees, cameras that turn left by 15 degrees from one frame to the next."""
    rng = np.random.default_rng(seed)
    poses, objects = [], []
    for index in range(cameras):
        angle, eye = np.radians(15.0 * index), np.array([*rng.normal(0.0, 0.1, 2), 1.4])
        poses.append(look_at(eye, eye + [np.cos(angle), np.sin(angle), -0.15]))
    for object_id, place in enumerate(rng.permutation(len(categories))):
        angle = 2.0 * np.pi * place / len(categories)
        size_m = rng.uniform([0.3, 0.3, 0.5], [0.6, 0.6, 1.2])
        centre_world = np.array([3.0 * np.cos(angle), 3.0 * np.sin(angle), size_m[2] / 2.0 + 0.3])
        box = Box.upright(centre_world=centre_world, size_m=size_m, yaw_rad=float(rng.uniform(-np.pi, np.pi)))
        objects.append(SceneObject(object_id=object_id, category=categories[object_id], box=box))
    return facts_of(np.array(poses).reshape(-1, 4, 4), tuple(objects), scan_id=scan_id)
