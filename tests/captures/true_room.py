"""The one procedural room that every layout is written from: its truth in Sightline's frames, and pictures of it from any camera."""

from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np

from sightline.captures.capture import SceneObject, Structure
from sightline.captures.procedural import RoomsOptions, build_room, render, walk
from sightline.captures.procedural.mesh import tessellate
from sightline.geometry.cameras import Intrinsics
from sightline.geometry.depth import points_world_from_depth

SEED = 3
NUM_FRAMES = 8
SMALL = Intrinsics(fx=112.0, fy=113.5, cx=81.0, cy=58.0, width=160, height=120)  # off-centre, unequal: a swap shows
MESH_EDGE_M = 0.08


@dataclass(frozen=True, kw_only=True, eq=False)
class TrueView:
    """What a perfect sensor sees. `depth_m` is NaN where there is no surface; `object_ids` -1 for the room's shell."""

    rgb: np.ndarray  # (H, W, 3) uint8
    depth_m: np.ndarray  # (H, W) float64, z
    object_ids: np.ndarray  # (H, W) int32
    intrinsics: Intrinsics
    world_from_camera: np.ndarray  # (4, 4)

    @property
    def points_world(self) -> np.ndarray:
        return points_world_from_depth(self.depth_m, self.intrinsics, self.world_from_camera)


@dataclass(frozen=True, kw_only=True, eq=False)
class TrueMesh:
    """The room as triangles with edges of at most `MESH_EDGE_M`; objects share no vertices."""

    vertices_world: np.ndarray  # (V, 3)
    faces: np.ndarray  # (F, 3) int
    colours: np.ndarray  # (V, 3) uint8
    object_ids: np.ndarray  # (V,) int32, -1 for the room's shell


@lru_cache(maxsize=1)
def model():
    return build_room(SEED, RoomsOptions(min_rooms=1, max_rooms=1, antialias=False, shadows=False, num_frames=NUM_FRAMES))


@lru_cache(maxsize=1)
def poses() -> np.ndarray:
    """`world_from_camera (N, 4, 4)`."""
    return np.stack(walk(model(), np.random.default_rng(SEED), num_frames=NUM_FRAMES))


def objects() -> tuple[SceneObject, ...]:
    return model().objects


def structure() -> Structure:
    return model().structure


@lru_cache(maxsize=512)
def _shoot(camera: Intrinsics, pose_bytes: bytes) -> TrueView:
    pose = np.frombuffer(pose_bytes).reshape(4, 4)
    seen = render(model(), camera, pose)
    return TrueView(
        rgb=seen.rgb, depth_m=seen.depth_m.astype(np.float64), object_ids=seen.object_ids, intrinsics=camera, world_from_camera=pose
    )


def shoot(camera: Intrinsics, world_from_camera: np.ndarray) -> TrueView:
    """The view from any pose. Cached: do not write into its arrays."""
    return _shoot(camera, np.ascontiguousarray(world_from_camera, dtype=np.float64).tobytes())


def stored_depth(view: TrueView, *, unit_m: float = 0.001) -> np.ndarray:
    """`(H, W)` uint16 in a layout's unit, 0 without a reading."""
    return np.rint(np.nan_to_num(view.depth_m, nan=0.0) / unit_m).astype(np.uint16)


@lru_cache(maxsize=2)
def mesh(segments: int = 24) -> TrueMesh:
    """Every solid's surface, split until no edge is longer than `MESH_EDGE_M`; what is round has as many `segments` around."""
    solids = model().caster.solids
    whole = tessellate(solids, segments=segments)
    triangles, owners = whole.triangles_world, solids.object_ids[whole.primitives]
    while True:
        edges = np.linalg.norm(triangles - np.roll(triangles, -1, axis=1), axis=2)
        longest = edges.argmax(axis=1)
        split = edges.max(axis=1) > MESH_EDGE_M
        if not split.any():
            break
        rows = np.arange(len(triangles))[split]
        a, b, c = (triangles[rows, (longest[split] + step) % 3] for step in range(3))  # the longest edge runs from a to b
        middle = (a + b) / 2.0
        halves = np.concatenate([np.stack([a, middle, c], axis=1), np.stack([middle, b, c], axis=1)])
        triangles = np.concatenate([triangles[~split], halves])
        owners = np.concatenate([owners[~split], owners[split], owners[split]])
    corners = np.column_stack([np.rint(triangles.reshape(-1, 3) * 1e5), np.repeat(owners, 3)]).astype(np.int64)
    _, first, places = np.unique(corners, axis=0, return_index=True, return_inverse=True)
    vertex_ids = np.repeat(owners, 3)[first].astype(np.int32)
    palette = np.random.default_rng(0).integers(40, 230, size=(int(vertex_ids.max()) + 2, 3)).astype(np.uint8)
    return TrueMesh(
        vertices_world=triangles.reshape(-1, 3)[first],
        faces=places.reshape(-1, 3).astype(np.int64),
        colours=palette[vertex_ids + 1],
        object_ids=vertex_ids,
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class ExpectedFrame:
    """One frame as a reader must give it back: upright, pinhole, in the true world."""

    frame_id: str
    world_from_camera: np.ndarray  # (4, 4)
    intrinsics: Intrinsics
    depth_intrinsics: Intrinsics | None  # None: this layout has no depth
    shown_from: np.ndarray | None = None  # (4, 4) true pose of a camera whose place the layout cannot say; None: world_from_camera
    pixels: str = "same"  # same: colour equal byte for byte once decoded; close: it went through a lossy video or a resampling


@dataclass(frozen=True, kw_only=True, eq=False)
class Written:
    """What a writer of a layout wrote, and what its reader must make of it."""

    source: Path  # what a user gives to `sightline import`
    reader: str
    scan_id: str
    place_id: str
    frames: tuple[ExpectedFrame, ...]
    options: dict  # of the import, those that the user must give
    boxes: str | None  # None: objects not known; "own": oriented as they are; "axis": the axis-aligned box around
    object_ids: tuple[int, ...] | None = None  # those that the layout can hold, in the order of its own ids; None: all
    id_shift: int = 0  # what the layout adds to true ids, where it has a number of its own for "no object"
    own_ids: bool = True  # False: the layout numbers objects anew, so boxes are matched by place
    categories: dict[str, str] = field(default_factory=dict)  # true category -> the layout's word for it, where that differs
    instances: str | None = None  # "pixels": instance images; "surface": labelled mesh; None: by boxes at most
    box_tolerance_m: float = 1e-3
    licence: str | None = None  # a word that the licence must hold
    auto_detected: bool = True
    facet_share: float = 0.0  # of a frame's pixels: those at the rim of round things, where depth was rendered from a mesh of facets
    structure: Structure | None = None  # walls, openings and rooms, where the layout has them; a layout without frames must
