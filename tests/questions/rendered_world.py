"""A procedural scan as a third party sees it: image files, matrices and exact solids, read with OpenCV and NumPy alone."""

import json
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

import cv2
import numpy as np
import yaml

from sightline.captures.procedural.model import build_room
from sightline.captures.rooms import RoomsOptions, scan_seed
from sightline.config import build

RING = 256  # corners that stand for a circle: a radius of 1 m is short by 0.08 mm
CUBE = np.array([[x, y, z] for x in (-1.0, 1.0) for y in (-1.0, 1.0) for z in (-1.0, 1.0)])
ANGLES = 2.0 * np.pi * np.arange(RING) / RING
TUBE = np.array([[np.cos(a), np.sin(a), z] for a in ANGLES for z in (-1.0, 1.0)])
HEIGHTS = np.linspace(-np.pi / 2, np.pi / 2, 65)
BALL = np.array([[np.cos(a) * np.cos(b), np.sin(a) * np.cos(b), np.sin(b)] for a in ANGLES[::4] for b in HEIGHTS])
SHAPES = (CUBE, TUBE, BALL)  # by kind of solid


@dataclass(frozen=True, kw_only=True, eq=False)
class Body:
    """One object: its surface points along its own axes, and where that frame stands in the world before anything moves."""

    object_id: int
    category: str
    points_object: np.ndarray  # (N, 3)
    pose: np.ndarray  # (4, 4) world from object

    @cached_property
    def low(self) -> np.ndarray:
        return self.points_object.min(axis=0)

    @cached_property
    def high(self) -> np.ndarray:
        return self.points_object.max(axis=0)

    @cached_property
    def size_m(self) -> np.ndarray:
        return self.high - self.low

    @cached_property
    def points_world(self) -> np.ndarray:
        return moved(self.pose, self.points_object)

    @cached_property
    def middle(self) -> np.ndarray:
        return moved(self.pose, (self.low + self.high)[None] / 2.0)[0]

    @cached_property
    def rectangle(self) -> np.ndarray:
        """Corners `(4, 2)` of the upright box from above, in order."""
        corners = [[self.low[0], self.low[1]], [self.high[0], self.low[1]], [self.high[0], self.high[1]], [self.low[0], self.high[1]]]
        return moved(self.pose, np.column_stack([corners, np.zeros(4)]))[:, :2]

    @cached_property
    def bottom_top(self) -> tuple[float, float]:
        return float(self.points_world[:, 2].min()), float(self.points_world[:, 2].max())

    def distance_from(self, point_world: np.ndarray) -> float:
        """From a point to the box, 0 inside."""
        local = moved(np.linalg.inv(self.pose), point_world[None])[0]
        return float(np.linalg.norm(local - np.clip(local, self.low, self.high)))


def moved(pose: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Points `(N, 3)` by homogeneous products."""
    return (np.column_stack([points, np.ones(len(points))]) @ pose.T)[:, :3]


def level_gap_m(first: np.ndarray, second: np.ndarray) -> float:
    """Between two convex outlines `(N, 2)` on the plan; of outlines apart, a corner of one is nearest to the other."""
    origin = first.mean(axis=0)
    a, b = ((one - origin).astype(np.float32).reshape(-1, 1, 2) for one in (first, second))
    if cv2.intersectConvexConvex(a, b)[0] > 0.0:
        return 0.0
    reach = [cv2.pointPolygonTest(b, tuple(map(float, p[0])), True) for p in a] + [
        cv2.pointPolygonTest(a, tuple(map(float, p[0])), True) for p in b
    ]
    return max(-max(reach), 0.0)


def gap_m(first: Body, second: Body) -> float:
    """Between the upright boxes of two bodies."""
    (low_a, high_a), (low_b, high_b) = first.bottom_top, second.bottom_top
    return float(np.hypot(level_gap_m(first.rectangle, second.rectangle), max(low_a - high_b, low_b - high_a, 0.0)))


class World:
    """One scan folder. Frames are numbers; `ids` holds object ids per pixel (-1 none), `depth_m` z-depth per pixel."""

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)
        self.about = yaml.safe_load((self.folder / "capture.yaml").read_text())
        self.poses = np.loadtxt(self.folder / "poses.txt", ndmin=2).reshape(-1, 4, 4)
        self.K = np.loadtxt(self.folder / "K.txt")
        self.categories = {one["object_id"]: one["category"] for one in json.loads((self.folder / "objects.json").read_text())}
        self.structure = json.loads((self.folder / "structure.json").read_text())
        self.height, self.width = self.ids(0).shape

    @lru_cache(maxsize=64)  # noqa: B019 - a world is as short-lived as its images
    def ids(self, frame: int) -> np.ndarray:
        return cv2.imread(str(self.folder / "instances" / f"{frame:06d}.png"), cv2.IMREAD_UNCHANGED).astype(int) - 1

    @lru_cache(maxsize=64)  # noqa: B019
    def depth_m(self, frame: int) -> np.ndarray:
        stored = cv2.imread(str(self.folder / "depth" / f"{frame:06d}.png"), cv2.IMREAD_UNCHANGED).astype(float)
        return np.where(stored > 0, stored * self.about["depth_unit_m"], np.nan)

    @cached_property
    def bodies(self) -> dict[int, Body]:
        """Every object from the exact solids it is built of, not from its stored box."""
        notes = self.about["notes"]
        room = build_room(scan_seed(notes["seed"], self.about["scan_id"]), build(RoomsOptions, notes["options"], where="capture.yaml"))
        bodies = {}
        for object_id, placed in enumerate(room.placed):
            points = [moved(one.parent_from_primitive, SHAPES[one.kind] * one.half_m) for one in placed.design.solids]
            bodies[object_id] = Body(
                object_id=object_id,
                category=self.categories[object_id],
                points_object=np.concatenate(points),
                pose=placed.world_from_object,
            )
        return bodies

    @cached_property
    def moves(self) -> dict[int, np.ndarray]:
        """Objects that move in the second pass, with a pose `(T, 4, 4)` per frame."""
        path = self.folder / "tracks.npz"
        if not path.is_file():
            return {}
        with np.load(path) as tracks:
            return {int(one): tracks["world_from_moved"][:, index] for index, one in enumerate(tracks["moved_object_ids"])}

    def point(self, frame: int, u_px: float, v_px: float) -> np.ndarray:
        """The surface point `(3,)` in the camera at a pixel's rendered depth."""
        column, row = round(u_px), round(v_px)
        return np.linalg.inv(self.K) @ [u_px, v_px, 1.0] * self.depth_m(frame)[row, column]

    def world_point(self, frame: int, u_px: float, v_px: float) -> np.ndarray:
        return moved(self.poses[frame], self.point(frame, u_px, v_px)[None])[0]

    def around(self, image: np.ndarray, u_px: float, v_px: float) -> np.ndarray:
        """The pixel and its neighbours."""
        column, row = round(u_px), round(v_px)
        return image[max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2]

    def project(self, frame: int, points_world: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Pixels `(N, 2)` and z-depths of world points, by OpenCV."""
        camera_from_world = np.linalg.inv(self.poses[frame])
        turn, _ = cv2.Rodrigues(camera_from_world[:3, :3])
        uv, _ = cv2.projectPoints(np.ascontiguousarray(points_world).reshape(-1, 1, 3), turn, camera_from_world[:3, 3].copy(), self.K, None)
        return uv.reshape(-1, 2), moved(camera_from_world, points_world)[:, 2]

    def step(self, first: int, second: int) -> np.ndarray:
        """Where the second camera stands in the first one's axes, by OpenCV's composition of two motions."""
        one_from_world = np.linalg.inv(self.poses[first])
        turns = [cv2.Rodrigues(pose[:3, :3])[0] for pose in (self.poses[second], one_from_world)]
        places = [pose[:3, 3].reshape(3, 1).copy() for pose in (self.poses[second], one_from_world)]
        return cv2.composeRT(turns[0], places[0], turns[1], places[1])[1].ravel()

    def gaze(self, frame: int) -> np.ndarray:
        """Viewing direction `(3,)` in the world."""
        return cv2.Rodrigues(cv2.Rodrigues(self.poses[frame][:3, :3])[0])[0][:, 2]
