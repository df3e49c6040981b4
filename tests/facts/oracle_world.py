"""A room of oriented boxes with closed-form rays: exact depth, ids and occlusion, and scenes written from it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sightline.captures.capture import Frame, SceneObject
from sightline.captures.images import write_uint16_png
from sightline.geometry.boxes import Box
from sightline.geometry.cameras import Intrinsics
from sightline.geometry.depth import pixel_grid
from sightline.geometry.transforms import look_at
from sightline.scenes.scene import Scene

ROOM_LOW, ROOM_HIGH = np.array([0.0, 0.0, 0.0]), np.array([5.0, 4.0, 2.5])
CAMERA = Intrinsics(fx=150.0, fy=140.0, cx=81.0, cy=58.5, width=160, height=120)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class World:
    """Boxes that stand in one empty room; box k has object id k."""

    boxes: tuple[Box, ...]

    def cast(self, eye_world: np.ndarray, directions_world: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Ray parameter of the first hit `(N,)` (in units of the direction's length) and object id, -1 for the room."""
        with np.errstate(divide="ignore"):
            slabs = (np.where(directions_world > 0, ROOM_HIGH, ROOM_LOW) - eye_world) / directions_world
        nearest, ids = np.where(directions_world == 0.0, np.inf, slabs).min(axis=1), np.full(len(directions_world), -1)
        for object_id, box in enumerate(self.boxes):
            rotation = box.world_from_object[:3, :3]
            eye, along = (eye_world - box.centre_world) @ rotation, directions_world @ rotation
            with np.errstate(divide="ignore", invalid="ignore"):
                one, two = (-box.size_m / 2 - eye) / along, (box.size_m / 2 - eye) / along
            enter, leave = np.minimum(one, two).max(axis=1), np.maximum(one, two).min(axis=1)
            hits = (enter <= leave) & (enter > 1e-9) & (enter < nearest)
            nearest, ids = np.where(hits, enter, nearest), np.where(hits, object_id, ids)
        return nearest, ids

    def picture(self, camera: Intrinsics, world_from_camera: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Exact z-depth and object ids `(H, W)`."""
        uv = pixel_grid(camera.width, camera.height).reshape(-1, 2)
        rays = np.stack([(uv[:, 0] - camera.cx) / camera.fx, (uv[:, 1] - camera.cy) / camera.fy, np.ones(len(uv))], axis=1)
        depth_m, ids = self.cast(world_from_camera[:3, 3], rays @ world_from_camera[:3, :3].T)  # z of the ray is 1
        return depth_m.reshape(camera.height, camera.width), ids.reshape(camera.height, camera.width)

    def sees(self, eye_world: np.ndarray, points_world: np.ndarray) -> np.ndarray:
        """Whether nothing stands between the eye and each surface point."""
        return self.cast(eye_world, points_world - eye_world)[0] > 1.0 - 1e-6

    def surface(self, count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Points spread evenly over all surfaces, with object ids (-1 for the room)."""
        room = Box(size_m=ROOM_HIGH - ROOM_LOW, world_from_object=_at((ROOM_HIGH + ROOM_LOW) / 2))
        solids = [(-1, room), *enumerate(self.boxes)]
        areas = np.array([2 * (s[0] * s[1] + s[1] * s[2] + s[0] * s[2]) for s in (box.size_m for _, box in solids)])
        points, ids = [], []
        for (object_id, box), share in zip(solids, areas / areas.sum()):
            number = max(300, int(count * share))
            inside = rng.uniform(-0.5, 0.5, (number, 3)) * box.size_m
            face = np.array([box.size_m[1] * box.size_m[2], box.size_m[0] * box.size_m[2], box.size_m[0] * box.size_m[1]])
            axis = rng.choice(3, size=number, p=face / face.sum())
            inside[np.arange(number), axis] = rng.choice([-0.5, 0.5], size=number) * box.size_m[axis]
            points.append(inside @ box.world_from_object[:3, :3].T + box.centre_world)
            ids.append(np.full(number, object_id, dtype=np.int32))
        return np.concatenate(points), np.concatenate(ids)

    def moved(self, new_from_world: np.ndarray) -> tuple[Box, ...]:
        return tuple(box.moved(new_from_world) for box in self.boxes)


def _at(centre: np.ndarray) -> np.ndarray:
    pose = np.eye(4)
    pose[:3, 3] = centre
    return pose


def standard_world() -> World:
    """A table-like slab, a cupboard, a low box behind it, a thin post, and a small box on the slab."""

    def upright(centre: list[float], size: list[float], yaw_deg: float) -> Box:
        return Box.upright(centre_world=np.array(centre), size_m=np.array(size), yaw_rad=np.radians(yaw_deg))

    return World(
        boxes=(
            upright([2.5, 2.0, 0.72], [1.2, 0.7, 0.1], 25.0),
            upright([4.4, 1.2, 0.9], [0.5, 0.9, 1.8], 10.0),
            upright([3.4, 3.3, 0.3], [0.8, 0.6, 0.6], -30.0),
            upright([1.6, 3.0, 1.0], [0.12, 0.12, 2.0], 45.0),
            upright([2.6, 2.0, 0.87], [0.25, 0.2, 0.2], 0.0),
        )
    )


def standard_poses() -> list[np.ndarray]:
    """Eight cameras in the room, neighbours overlapping."""
    eyes = [(0.5, 0.5), (0.8, 0.45), (1.2, 0.6), (2.2, 0.4), (0.4, 1.6), (0.5, 2.4), (2.4, 3.6), (4.6, 3.6)]
    targets = [
        (3.2, 2.4, 0.6),
        (3.4, 2.2, 0.7),
        (3.4, 2.1, 0.8),
        (3.0, 2.5, 0.5),
        (3.5, 2.0, 0.6),
        (3.6, 1.8, 0.7),
        (3.0, 1.5, 0.6),
        (2.2, 1.8, 0.5),
    ]
    return [look_at(np.array([*eye, 1.45]), np.array(target)) for eye, target in zip(eyes, targets)]


def write_scene(
    folder: Path,
    world: World,
    poses: Sequence[np.ndarray],
    *,
    depth_camera: Intrinsics = CAMERA,
    colour_camera: Intrinsics = CAMERA,
    num_points: int = 12_000,
    with_ids: bool = True,
    with_objects: bool = True,
    scan_id: str = "oracle_0000",
) -> Scene:
    """A scene with millimetre depth and id images written beside each other, its cloud spread over the surfaces."""
    frames = []
    for index, pose in enumerate(poses):
        depth_m, ids = world.picture(depth_camera, pose)
        depth_path, instance_path = folder / f"depth_{index:03d}.png", folder / f"ids_{index:03d}.png"
        write_uint16_png(depth_path, np.round(depth_m * 1000.0))
        write_uint16_png(instance_path, ids + 1)
        frames.append(
            Frame(
                frame_id=f"{index:06d}",
                time_s=index / 2.0,
                rgb_path=folder / f"{index:03d}.png",
                depth_path=depth_path,
                depth_scale_m=0.001,
                intrinsics=colour_camera,
                depth_intrinsics=depth_camera,
                world_from_camera=pose,
                instance_path=instance_path if with_ids else None,
            )
        )
    points, ids = world.surface(num_points, np.random.default_rng(7))
    names = ("table", "cupboard", "box", "post", "box")
    objects = tuple(SceneObject(object_id=k, category=names[k % 5], box=box) for k, box in enumerate(world.boxes))
    return Scene(
        scan_id=scan_id,
        place_id=scan_id,
        source="oracle",
        licence="none",
        root=folder,
        frames=tuple(frames),
        points_world=points.astype(np.float32),
        point_object_ids=ids if with_objects else None,
        objects=objects if with_objects else None,
        structure=None,
        verification=None,
        notes={},
    )
