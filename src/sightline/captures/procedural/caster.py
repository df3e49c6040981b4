"""The analytic ray caster: a bounding-volume tree over solids, exact hits, occlusion, and visibility of world points."""

from dataclasses import dataclass

import numpy as np

from sightline.arrays import expect
from sightline.captures.procedural import kernels
from sightline.captures.procedural.primitives import PrimitiveTable
from sightline.geometry.cameras import Intrinsics
from sightline.geometry.transforms import inverse

LEAF_SIZE = 4
BOUNDS_MARGIN_M = 1e-9  # rays that run exactly along a face must not slip through the tree
SURFACE_GAP_M = 1e-6  # a point counts as visible when nothing is hit before this last bit of the way
SHADOW_LIFT_M = 1e-5  # shadow rays start this far off their surface


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Caster:
    """Solids with their tree. Nodes are `[low, high]` bounds; `children` holds two node indices, or (-1 - first, count)."""

    solids: PrimitiveTable
    bounds: np.ndarray  # (B, 6)
    children: np.ndarray  # (B, 2) int32
    order: np.ndarray  # (P,) int32: solids in leaf order


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Hits:
    """What rays met. `t` is in units of the direction given; NaN where nothing was met."""

    t: np.ndarray  # (N,)
    primitives: np.ndarray  # (N,) int32, -1 nothing
    object_ids: np.ndarray  # (N,) int32, -1 nothing or shell
    points_world: np.ndarray  # (N, 3)
    normals_world: np.ndarray  # (N, 3) unit, towards the ray's origin
    local_m: np.ndarray  # (N, 3) point in the solid's own frame
    axis: np.ndarray  # (N,) int32: the local axis the surface faces most


def build_caster(solids: PrimitiveTable) -> Caster:
    """Build the tree: every node is split where the surface-area heuristic expects the fewest tests."""
    low, high = solids.low_world, solids.high_world
    centres = (low + high) / 2.0
    bounds: list[np.ndarray] = []
    children: list[tuple[int, int]] = []
    order: list[int] = []

    def node(members: np.ndarray) -> int:
        here = len(bounds)
        bounds.append(np.concatenate([low[members].min(axis=0) - BOUNDS_MARGIN_M, high[members].max(axis=0) + BOUNDS_MARGIN_M]))
        children.append((0, 0))
        left_members, right_members = _split(low[members], high[members], centres[members], members)
        if not len(right_members):
            children[here] = (-1 - len(order), len(members))
            order.extend(int(m) for m in members)
            return here
        left = node(left_members)
        children[here] = (left, node(right_members))
        return here

    node(np.arange(len(solids)))
    return Caster(
        solids=solids, bounds=np.array(bounds), children=np.array(children, dtype=np.int32), order=np.array(order, dtype=np.int32)
    )


def _split(low: np.ndarray, high: np.ndarray, centres: np.ndarray, members: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The members of two children; the second is empty where a leaf is cheaper."""
    count = len(members)
    best = (_area(low.min(axis=0), high.max(axis=0)) * (count - 0.7) if count <= LEAF_SIZE else np.inf, members, members[:0])
    if count == 1:
        return best[1], best[2]
    for axis in range(3):
        ranked = np.argsort(centres[:, axis], kind="stable")
        up_low, up_high = np.minimum.accumulate(low[ranked]), np.maximum.accumulate(high[ranked])
        down_low, down_high = np.minimum.accumulate(low[ranked[::-1]])[::-1], np.maximum.accumulate(high[ranked[::-1]])[::-1]
        cut = np.arange(1, count)
        cost = _area(up_low[:-1], up_high[:-1]) * cut + _area(down_low[1:], down_high[1:]) * (count - cut)
        at = int(np.argmin(cost))
        if cost[at] < best[0]:
            best = (cost[at], members[ranked[: at + 1]], members[ranked[at + 1 :]])
    return best[1], best[2]


def _area(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    size = high - low
    return size[..., 0] * size[..., 1] + size[..., 1] * size[..., 2] + size[..., 2] * size[..., 0]


def cast(caster: Caster, origins_world: np.ndarray, directions_world: np.ndarray) -> Hits:
    """First hits of rays `origins_world (N, 3)` (or one `(3,)`), `directions_world (N, 3)` of any length."""
    directions = np.ascontiguousarray(directions_world, dtype=np.float64)
    origins = np.ascontiguousarray(origins_world, dtype=np.float64).reshape(-1, 3)
    expect(directions_world=(directions, "N 3"))
    if len(origins) != 1:
        expect(origins_world=(origins, "N 3"), directions_world=(directions, "N 3"))
    solids = caster.solids
    t, primitives = kernels.closest(origins, directions, caster.bounds, caster.children, caster.order, solids.kinds, solids.unit_from_world)
    return _hits(caster, origins, directions, t, primitives)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class View:
    """A caster seen by one camera: for every tile of the image, the solids that may show there."""

    caster: Caster
    intrinsics: Intrinsics
    world_from_camera: np.ndarray
    starts: np.ndarray
    members: np.ndarray
    near: np.ndarray


def view_of(caster: Caster, intrinsics: Intrinsics, world_from_camera: np.ndarray) -> View:
    """Sort solids into the tiles of an image."""
    solids, camera = caster.solids, (intrinsics.fx, intrinsics.fy, intrinsics.cx, intrinsics.cy, intrinsics.width, intrinsics.height)
    starts, members, near = kernels.tile_lists(solids.half_m, solids.world_from_primitive, inverse(world_from_camera), *camera)
    return View(caster=caster, intrinsics=intrinsics, world_from_camera=world_from_camera, starts=starts, members=members, near=near)


def cast_view(view: View, uv: np.ndarray, directions_world: np.ndarray) -> Hits:
    """As `cast`, faster, for rays of unit z in the camera through places `uv (N, 2)` of its image; `t` is the z-depth."""
    expect(uv=(uv, "N 2"), directions_world=(directions_world, "N 3"))
    solids, eye = view.caster.solids, np.ascontiguousarray(view.world_from_camera[:3, 3])
    size = (view.intrinsics.width, view.intrinsics.height)
    lists = (view.starts, view.members, view.near)
    t, primitives = kernels.closest_in_tiles(eye, directions_world, uv, *lists, *size, solids.kinds, solids.unit_from_world)
    return _hits(view.caster, eye[None], directions_world, t, primitives)


def _hits(caster: Caster, origins: np.ndarray, directions: np.ndarray, t: np.ndarray, primitives: np.ndarray) -> Hits:
    solids = caster.solids
    points, normals, local_m, axis = kernels.surface(
        origins, directions, t, primitives, solids.kinds, solids.unit_from_world, solids.half_m
    )
    object_ids = np.where(primitives >= 0, solids.object_ids[primitives], -1).astype(np.int32)
    return Hits(t=t, primitives=primitives, object_ids=object_ids, points_world=points, normals_world=normals, local_m=local_m, axis=axis)


def visible_from(caster: Caster, eye_world: np.ndarray, points_world: np.ndarray) -> np.ndarray:
    """Which points `(N, 3)` the eye `(3,)` sees: nothing stands between, up to a micrometre before the point itself."""
    expect(eye_world=(eye_world, "3"), points_world=(points_world, "N 3"))
    return ~occluded(caster, np.broadcast_to(eye_world, points_world.shape), points_world)


def occluded(caster: Caster, origins_world: np.ndarray, targets_world: np.ndarray) -> np.ndarray:
    """Which segments `(N, 3) -> (N, 3)` are blocked before their last micrometre."""
    solids = caster.solids
    origins = np.ascontiguousarray(origins_world, dtype=np.float64)
    targets = np.ascontiguousarray(targets_world, dtype=np.float64)
    everything = np.arange(len(origins))
    no_normals = np.zeros((1, 3))
    tree = (caster.bounds, caster.children, caster.order, solids.kinds, solids.unit_from_world)
    return kernels.blocked(origins, no_normals, 0.0, everything, targets, SURFACE_GAP_M, *tree)


def in_shadow(caster: Caster, hits: Hits, asked: np.ndarray, light_world: np.ndarray) -> np.ndarray:
    """Which of the hits `asked (M,)` do not see a light at one place `(3,)`."""
    solids = caster.solids
    tree = (caster.bounds, caster.children, caster.order, solids.kinds, solids.unit_from_world)
    lights = np.ascontiguousarray(light_world, dtype=np.float64)[None]
    return kernels.blocked(hits.points_world, hits.normals_world, SHADOW_LIFT_M, asked, lights, 0.0, *tree)
