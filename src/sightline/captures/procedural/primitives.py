"""The solids everything is built of: boxes, elliptical cylinders and ellipsoids, posed in the world, with exact extents."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from sightline.captures.procedural.textures import Material
from sightline.geometry.boxes import Box
from sightline.geometry.transforms import rigid

BOX, CYLINDER, ELLIPSOID = 0, 1, 2  # a cylinder stands along its own z axis and is closed at both ends
NO_OBJECT = -1


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Primitive:
    """A solid of half extents `half_m (3,)` along the axes of `parent_from_primitive (4, 4)`."""

    kind: int
    half_m: np.ndarray
    parent_from_primitive: np.ndarray
    material: Material

    def __post_init__(self) -> None:
        if not (self.half_m > 0.0).all():
            raise ValueError(f"solid: expected positive half extents, found {self.half_m.tolist()}")

    def moved(self, new_from_parent: np.ndarray) -> "Primitive":
        """The same solid in another parent frame."""
        return replace(self, parent_from_primitive=new_from_parent @ self.parent_from_primitive)

    def extent_m(self) -> np.ndarray:
        """Exact half extents `(3,)` along the parent's axes (support function of each solid)."""
        reach = self.parent_from_primitive[:3, :3] * self.half_m
        if self.kind == BOX:
            return np.abs(reach).sum(axis=1)
        if self.kind == ELLIPSOID:
            return np.sqrt((reach**2).sum(axis=1))
        return np.hypot(reach[:, 0], reach[:, 1]) + np.abs(reach[:, 2])


def extents(primitives: Sequence[Primitive]) -> tuple[np.ndarray, np.ndarray]:
    """Lowest and highest corner `(3,)` of solids in their common parent frame; exact."""
    centres = np.array([p.parent_from_primitive[:3, 3] for p in primitives])
    halves = np.array([p.extent_m() for p in primitives])
    return (centres - halves).min(axis=0), (centres + halves).max(axis=0)


def tight_box(primitives_object: Sequence[Primitive], world_from_object: np.ndarray) -> Box:
    """The smallest box along the object's own axes that holds all its solids."""
    low, high = extents(primitives_object)
    return Box(size_m=high - low, world_from_object=world_from_object @ rigid(np.eye(3), (low + high) / 2.0))


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class PrimitiveTable:
    """World solids as arrays, the form the caster reads. `unit_from_world` maps a solid onto |x|, |y|, |z| <= 1."""

    kinds: np.ndarray  # (P,) int32
    half_m: np.ndarray  # (P, 3)
    world_from_primitive: np.ndarray  # (P, 4, 4)
    unit_from_world: np.ndarray  # (P, 3, 4)
    object_ids: np.ndarray  # (P,) int32, NO_OBJECT for the shell
    material_rows: np.ndarray  # (P,) int32 into `materials`
    materials: tuple[Material, ...]
    low_world: np.ndarray  # (P, 3) bounds along the world's axes
    high_world: np.ndarray  # (P, 3)

    def __len__(self) -> int:
        return len(self.kinds)


def table(primitives_world: Sequence[Primitive], object_ids: Sequence[int]) -> PrimitiveTable:
    """Arrays of world solids; the object id of each stands at the same place."""
    rows: dict[Material, int] = {}
    material_rows = [rows.setdefault(p.material, len(rows)) for p in primitives_world]
    poses = np.array([p.parent_from_primitive for p in primitives_world])
    half_m = np.array([p.half_m for p in primitives_world], dtype=np.float64)
    extent_m = np.array([p.extent_m() for p in primitives_world])
    rotation_t = np.swapaxes(poses[:, :3, :3], 1, 2)
    linear = rotation_t / half_m[:, :, None]
    offset = -np.einsum("pij,pj->pi", linear, poses[:, :3, 3])
    return PrimitiveTable(
        kinds=np.array([p.kind for p in primitives_world], dtype=np.int32),
        half_m=half_m,
        world_from_primitive=poses,
        unit_from_world=np.ascontiguousarray(np.concatenate([linear, offset[:, :, None]], axis=2)),
        object_ids=np.asarray(object_ids, dtype=np.int32),
        material_rows=np.asarray(material_rows, dtype=np.int32),
        materials=tuple(rows),
        low_world=poses[:, :3, 3] - extent_m,
        high_world=poses[:, :3, 3] + extent_m,
    )
