"""Where objects' boxes fall in the images: which frames cannot show an object at all, and how far it reaches in those that do."""

from collections.abc import Iterable
from functools import cached_property

import numpy as np

from sightline.facts.fact import FactTable
from sightline.questions.templates import sounds_alike

GROWN_M = 0.1  # annotated boxes cut off legs and cables: each is taken to be this much larger on every side
BEYOND_SHARE = 0.02  # of the image's width and height: a box outside by less might be in it with a slightly other pose
NEAR_M = 0.05  # in front of the camera: what is nearer has no place in the image
_SIGNS = np.array([[x, y, z] for x in (-0.5, 0.5) for y in (-0.5, 0.5) for z in (-0.5, 0.5)])


class BoxViews:
    """All objects of a scan against all its frames; rows in the order of `object_ids`."""

    def __init__(self, facts: FactTable):
        if facts.objects is None or facts.object_views is None:
            raise ValueError("boxes in images need objects and object_views")
        self.facts = facts
        self.objects = facts.objects
        self.object_ids = tuple(one.object_id for one in facts.objects)
        self.row_of = {object_id: row for row, object_id in enumerate(self.object_ids)}
        self.rows_by_category: dict[str, list[int]] = {}
        for row, one in enumerate(facts.objects):
            self.rows_by_category.setdefault(one.category, []).append(row)
        self._corners_world: dict[int, np.ndarray] = {}
        self._reaches_px: dict[tuple[int, int], tuple[float, float, float, float] | None] = {}

    def corners_world(self, *, grown_m: float) -> np.ndarray:
        """Corners `(K, 8, 3)` of the boxes, larger by `grown_m` on every side."""
        boxes = [one.box for one in self.objects]
        found = [(_SIGNS * (box.size_m + 2 * grown_m)) @ box.world_from_object[:3, :3].T + box.world_from_object[:3, 3] for box in boxes]
        return np.array(found).reshape(-1, 8, 3)

    @cached_property
    def is_absent(self) -> np.ndarray:
        """Which frames certainly show nothing of an object `(K, F)` bool: no point of it was seen, and its grown box lies wholly beyond
        one edge of the image, or behind the camera. Of an object that moves nothing is certain."""
        frames = self.facts.frames
        corners = self.corners_world(grown_m=GROWN_M)
        absent = np.zeros((len(self.object_ids), len(frames.frame_ids)), dtype=bool)
        for frame, (camera, world_from_camera) in enumerate(zip(frames.intrinsics, frames.world_from_camera)):
            points = (corners - world_from_camera[:3, 3]) @ world_from_camera[:3, :3]
            x, y, z = points[..., 0], points[..., 1], points[..., 2]
            left, right = (-0.5 - BEYOND_SHARE * camera.width - camera.cx), (camera.width * (1 + BEYOND_SHARE) - 0.5 - camera.cx)
            top, bottom = (-0.5 - BEYOND_SHARE * camera.height - camera.cy), (camera.height * (1 + BEYOND_SHARE) - 0.5 - camera.cy)
            beyond = [camera.fx * x < left * z, camera.fx * x > right * z, camera.fy * y < top * z, camera.fy * y > bottom * z, z <= 0.0]
            absent[:, frame] = np.any([side.all(axis=1) for side in beyond], axis=0)
        for object_id in self.facts.moving_ids:
            absent[self.row_of[object_id]] = False  # it may be anywhere
        views = self.facts.object_views
        for object_id, frame in zip(views.object_id.tolist(), views.frame.tolist()):
            if object_id in self.row_of:
                absent[self.row_of[object_id], frame] = False
        return absent

    def alike(self, category: str) -> list[str]:
        """The categories of the scan that might be called by the same name, itself among them."""
        return [one for one in self.rows_by_category if one == category or sounds_alike(category, [one]) or sounds_alike(one, [category])]

    def rows_called(self, categories: Iterable[str]) -> list[int]:
        """Rows of all objects of these categories."""
        return [row for category in categories for row in self.rows_by_category[category]]

    @cached_property
    def is_only_one(self) -> np.ndarray:
        """Where an object `(K, F)` bool is the only one of its name that a frame could show: every other is certainly absent."""
        alone = np.ones((len(self.object_ids), len(self.facts.frames.frame_ids)), dtype=bool)
        for category in self.rows_by_category:
            rows = self.rows_called(self.alike(category))
            for row in self.rows_by_category[category]:
                alone[row] = self.is_absent[[other for other in rows if other != row]].all(axis=0)
        return alone

    def reach_px(self, object_id: int, frame: int) -> tuple[float, float, float, float] | None:
        """Left, top, right and bottom of the whole box in a frame's image, hidden and cut-off parts too; None where it reaches behind."""
        if (object_id, frame) not in self._reaches_px:
            self._reaches_px[object_id, frame] = self._reach_px(object_id, frame)
        return self._reaches_px[object_id, frame]

    def _reach_px(self, object_id: int, frame: int) -> tuple[float, float, float, float] | None:
        box = self.objects[self.row_of[object_id]].box
        world_from_camera, camera = self.facts.frames.world_from_camera[frame], self.facts.frames.intrinsics[frame]
        if object_id not in self._corners_world:
            self._corners_world[object_id] = box.corners_world()
        uv, depth_m = camera.project((self._corners_world[object_id] - world_from_camera[:3, 3]) @ world_from_camera[:3, :3])
        if depth_m.min() < NEAR_M:
            return None
        (left, top), (right, bottom) = uv.min(axis=0), uv.max(axis=0)
        return float(left), float(top), float(right), float(bottom)


def beside_m(box_world_from_object: np.ndarray, size_m: np.ndarray, point_world: np.ndarray) -> float:
    """Distance of a point `(3,)` from a box's surface, 0 inside."""
    point_object = (point_world - box_world_from_object[:3, 3]) @ box_world_from_object[:3, :3]
    return float(np.linalg.norm(np.maximum(np.abs(point_object) - size_m / 2.0, 0.0)))
