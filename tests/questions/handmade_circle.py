"""A circle made by hand for tests of view taking: cameras walk around a table and look at it, other things stand all around them."""

import numpy as np
from handmade_facts import facts_of

from sightline.captures.capture import SceneObject
from sightline.facts.fact import FactTable
from sightline.geometry.boxes import Box
from sightline.geometry.transforms import look_at

AROUND = ("lamp", "cabinet", "plant", "washing_machine", "bed", "sofa", "chair", "chair", "bin", "mirror", "clock", "oven")


def circle_facts(*, seed: int = 0, cameras: int = 16, scan_id: str = "circle", mirrored: bool = False) -> FactTable:
    """A table in the middle, twelve things 3.2 m from it every 30 degrees, cameras 2 m from it every 22.5 degrees, looking at it."""
    rng = np.random.default_rng(seed)
    sign = -1.0 if mirrored else 1.0
    poses, objects = [], [SceneObject(object_id=0, category="table", box=box([0.0, 0.0, 0.35], [0.7, 0.7, 0.7], 0.3 * sign))]
    for index in range(cameras):
        angle, radius_m = 2.0 * np.pi * index / max(cameras, 1), 2.0 + rng.normal(0.0, 0.1)
        eye = np.array([radius_m * np.cos(angle), sign * radius_m * np.sin(angle), 1.4])
        poses.append(look_at(eye, np.array([0.0, 0.0, 0.7])))
    for place, category in enumerate(AROUND, start=1):
        angle, size_m = 2.0 * np.pi * place / len(AROUND), rng.uniform([0.3, 0.3, 0.5], [0.6, 0.6, 1.2])
        centre = [3.2 * np.cos(angle), sign * 3.2 * np.sin(angle), size_m[2] / 2.0]
        objects.append(SceneObject(object_id=place, category=category, box=box(centre, size_m, sign * rng.uniform(-np.pi, np.pi))))
    return facts_of(np.array(poses).reshape(-1, 4, 4), tuple(objects), scan_id=scan_id)


def box(centre_world, size_m, yaw_rad: float) -> Box:
    return Box.upright(centre_world=np.array(centre_world, dtype=float), size_m=np.array(size_m, dtype=float), yaw_rad=float(yaw_rad))
