"""The shell of a flat as solids: walls with holes, floors, ceilings, window frames, door leaves and casings."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from sightline.captures.capture import Opening, Wall
from sightline.captures.procedural.footprints import Footprint
from sightline.captures.procedural.layout import CELL_M, Plan
from sightline.captures.procedural.primitives import BOX, ELLIPSOID, Primitive
from sightline.captures.procedural.textures import PLAIN, ROOM_FLOOR, ROOM_WALL, WOOD, Material
from sightline.geometry.transforms import rigid, yaw_matrix

SLAB_M = 0.12
CASING_M = 0.07
CASING_DEPTH_M = 0.015
FRAME_M = 0.05
LEAF_M = 0.04
WALL = Material(ROOM_WALL, (0, 0, 0), (0, 0, 0))
FLOOR = Material(ROOM_FLOOR, (0, 0, 0), (0, 0, 0))
CEILING = Material(PLAIN, (240, 238, 233), (240, 238, 233))
WHITE = Material(PLAIN, (232, 231, 226), (232, 231, 226))
DOORS = (
    Material(PLAIN, (226, 224, 216), (226, 224, 216)),
    Material(WOOD, (176, 132, 86), (146, 104, 66), 0.09),
    Material(WOOD, (120, 84, 58), (98, 66, 46), 0.08),
    Material(PLAIN, (152, 168, 166), (152, 168, 166)),
)
METAL = Material(PLAIN, (150, 150, 152), (150, 150, 152))


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Shell:
    """Solids of the flat and the places they need free."""

    solids: tuple[Primitive, ...]
    leaves: tuple[Footprint, ...]  # where the open door leaves are
    keep_outs: tuple[Footprint, ...]


def build_shell(plan: Plan, rng: np.random.Generator) -> Shell:
    """Every solid of the flat that is no object."""
    structure = plan.structure
    solids: list[Primitive] = []
    leaves: list[Footprint] = []
    keep_outs: list[Footprint] = []
    thickness_m = structure.walls[0].thickness_m
    for low, high in rectangles(plan.labels >= 0):
        a = low * CELL_M + plan.origin_world - thickness_m / 2.0
        b = high * CELL_M + plan.origin_world + thickness_m / 2.0
        solids.append(block(np.array([*a, -SLAB_M]), np.array([*b, 0.0]), FLOOR))
        solids.append(block(np.array([*a, plan.height_m]), np.array([*b, plan.height_m + SLAB_M]), CEILING))
    door = DOORS[int(rng.integers(len(DOORS)))]
    for wall in structure.walls:
        holes = [opening for opening in structure.openings if opening.wall_id == wall.wall_id]
        solids.extend(_wall_pieces(wall, holes))
    for opening in structure.openings:
        wall = structure.walls[opening.wall_id]
        if opening.kind == "window":
            solids.extend(_window(wall, opening, plan))
            keep_outs.append(_before(wall, opening, reach_m=0.35, low_z_m=_bottom(opening) - 0.02, high_z_m=plan.height_m))
            continue
        keep_outs.append(_before(wall, opening, reach_m=0.85, low_z_m=0.0, high_z_m=plan.height_m))
        if opening.kind == "door":
            solids.extend(_casing(wall, opening))
            if opening is plan.entrance:
                solids.extend(_closed_leaf(wall, opening, door))
            else:
                leaf, place = _open_leaf(wall, opening, plan, door, rng)
                solids.extend(leaf)
                leaves.append(place)
    return Shell(solids=tuple(solids), leaves=tuple(leaves), keep_outs=(*keep_outs, *leaves))


def rectangles(region: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Cover a region of cells with rectangles `low, high` (high excluded) that do not overlap."""
    left = region.copy()
    while left.any():
        x, y = np.argwhere(left)[0]
        y_end = y
        while y_end < left.shape[1] and left[x, y_end]:
            y_end += 1
        x_end = x
        while x_end < left.shape[0] and left[x_end, y:y_end].all():
            x_end += 1
        left[x:x_end, y:y_end] = False
        yield np.array([x, y]), np.array([x_end, y_end])


def block(low_world: np.ndarray, high_world: np.ndarray, material: Material) -> Primitive:
    """A box along the world's axes."""
    return Primitive(
        kind=BOX,
        half_m=(high_world - low_world) / 2.0,
        parent_from_primitive=rigid(np.eye(3), (low_world + high_world) / 2.0),
        material=material,
    )


def _frame(wall: Wall) -> tuple[np.ndarray, np.ndarray]:
    """Unit vectors along a wall and across it (towards larger coordinates)."""
    along = (wall.b_world - wall.a_world) / np.linalg.norm(wall.b_world - wall.a_world)
    return along, np.array([along[1], along[0], 0.0])


def _slab(wall: Wall, *, s: tuple[float, float], z: tuple[float, float], across: tuple[float, float], material: Material) -> Primitive:
    """A box given along a wall (`s` from its start), across it (from its centre line) and in height."""
    along, normal = _frame(wall)
    a = wall.a_world + along * s[0] + normal * across[0] + [0.0, 0.0, z[0]]
    b = wall.a_world + along * s[1] + normal * across[1] + [0.0, 0.0, z[1]]
    return block(np.minimum(a, b), np.maximum(a, b), material)


def _bottom(opening: Opening) -> float:
    return float(opening.centre_world[2] - opening.height_m / 2.0)


def _top(opening: Opening) -> float:
    return float(opening.centre_world[2] + opening.height_m / 2.0)


def _span(wall: Wall, opening: Opening) -> tuple[float, float]:
    along, _ = _frame(wall)
    middle = float((opening.centre_world - wall.a_world) @ along)
    return middle - opening.width_m / 2.0, middle + opening.width_m / 2.0


def _wall_pieces(wall: Wall, holes: list[Opening]) -> Iterator[Primitive]:
    half = wall.thickness_m / 2.0
    length = float(np.linalg.norm(wall.b_world - wall.a_world))
    at = -half  # reaching over both ends fills the corners
    for hole in sorted(holes, key=lambda one: _span(wall, one)):
        start, end = _span(wall, hole)
        yield _slab(wall, s=(at, start), z=(0.0, wall.height_m), across=(-half, half), material=WALL)
        if _bottom(hole) > 1e-9:
            yield _slab(wall, s=(start, end), z=(0.0, _bottom(hole)), across=(-half, half), material=WALL)
        if _top(hole) < wall.height_m - 1e-9:
            yield _slab(wall, s=(start, end), z=(_top(hole), wall.height_m), across=(-half, half), material=WALL)
        at = end
    yield _slab(wall, s=(at, length + half), z=(0.0, wall.height_m), across=(-half, half), material=WALL)


def inner_side(wall: Wall, opening: Opening, plan: Plan) -> float:
    """+1 when the first room of an opening lies towards larger coordinates, else -1."""
    _, normal = _frame(wall)
    spot = opening.centre_world[:2] + normal[:2] * (wall.thickness_m / 2.0 + CELL_M / 2.0)
    cell = np.floor((spot - plan.origin_world) / CELL_M).astype(int)
    inside = (cell >= 0).all() and (cell < plan.labels.shape).all()
    return 1.0 if inside and plan.labels[tuple(cell)] == opening.rooms[0] else -1.0


def _window(wall: Wall, opening: Opening, plan: Plan) -> Iterator[Primitive]:
    (start, end), bottom, top = _span(wall, opening), _bottom(opening), _top(opening)
    bars = [(start, start + FRAME_M), (end - FRAME_M, end)]
    if opening.width_m > 1.15:
        bars.append(((start + end) / 2.0 - FRAME_M / 2.0, (start + end) / 2.0 + FRAME_M / 2.0))
    for bar in bars:
        yield _slab(wall, s=bar, z=(bottom, top), across=(-0.03, 0.03), material=WHITE)
    for z in ((bottom, bottom + FRAME_M), (top - FRAME_M, top)):
        yield _slab(wall, s=(start, end), z=z, across=(-0.03, 0.03), material=WHITE)
    side, half = inner_side(wall, opening, plan), wall.thickness_m / 2.0
    sill = (side * half, side * (half + 0.06))
    yield _slab(wall, s=(start - 0.04, end + 0.04), z=(bottom - 0.03, bottom), across=sill, material=WHITE)


def _casing(wall: Wall, opening: Opening) -> Iterator[Primitive]:
    (start, end), top, half = _span(wall, opening), _top(opening), wall.thickness_m / 2.0
    for side in (-1.0, 1.0):
        across = (side * half, side * (half + CASING_DEPTH_M))
        yield _slab(wall, s=(start - CASING_M, start), z=(0.0, top + CASING_M), across=across, material=WHITE)
        yield _slab(wall, s=(end, end + CASING_M), z=(0.0, top + CASING_M), across=across, material=WHITE)
        yield _slab(wall, s=(start, end), z=(top, top + CASING_M), across=across, material=WHITE)


def _knob(centre: np.ndarray) -> Primitive:
    return Primitive(kind=ELLIPSOID, half_m=np.full(3, 0.03), parent_from_primitive=rigid(np.eye(3), centre), material=METAL)


def _closed_leaf(wall: Wall, opening: Opening, material: Material) -> Iterator[Primitive]:
    start, end = _span(wall, opening)
    yield _slab(wall, s=(start, end), z=(0.0, _top(opening)), across=(-LEAF_M / 2.0, LEAF_M / 2.0), material=material)
    along, normal = _frame(wall)
    for side in (-1.0, 1.0):
        yield _knob(wall.a_world + along * (end - 0.08) + normal * side * (LEAF_M / 2.0 + 0.03) + [0.0, 0.0, 1.0])


def _open_leaf(wall: Wall, opening: Opening, plan: Plan, material: Material, rng: np.random.Generator) -> tuple[list[Primitive], Footprint]:
    """A leaf hinged at the end of the hole nearer to the wall's end, opened at about a right angle into the first room."""
    along, normal = _frame(wall)
    start, end = _span(wall, opening)
    length = float(np.linalg.norm(wall.b_world - wall.a_world))
    at_start = start < length - end
    side = inner_side(wall, opening, plan)
    hinge = wall.a_world + along * (start if at_start else end) + normal * side * (wall.thickness_m / 2.0 + CASING_DEPTH_M)
    away = -along if at_start else along
    opened_rad = np.radians(rng.uniform(2.0, 14.0))  # beyond the right angle
    out = side * normal * np.cos(opened_rad) + away * np.sin(opened_rad)
    yaw_rad = float(np.arctan2(out[1], out[0]))
    width, height = opening.width_m - 0.02, _top(opening) - 0.02
    hinge = hinge + away * (LEAF_M / 2.0)  # the leaf clears the hole
    centre = hinge + out * (width / 2.0 + 0.01)
    centre[2] = height / 2.0 + 0.01
    leaf = Primitive(
        kind=BOX,
        half_m=np.array([width, LEAF_M, height]) / 2.0,
        parent_from_primitive=rigid(yaw_matrix(yaw_rad), centre),
        material=material,
    )
    sideways = np.array([-out[1], out[0], 0.0])
    grip = hinge + out * (width - 0.06)
    grip[2] = 1.0
    knobs = [_knob(grip + sideways * sign * (LEAF_M / 2.0 + 0.03)) for sign in (-1.0, 1.0)]
    place = Footprint(
        centre_world=centre[:2].copy(), half_m=np.array([width / 2.0 + 0.03, 0.1]), yaw_rad=yaw_rad, low_z_m=0.0, high_z_m=height
    )
    return [leaf, *knobs], place


def _before(wall: Wall, opening: Opening, *, reach_m: float, low_z_m: float, high_z_m: float) -> Footprint:
    """The place before and behind an opening."""
    along, _ = _frame(wall)
    half = np.array([opening.width_m / 2.0 + 0.05, wall.thickness_m / 2.0 + reach_m])
    return Footprint(
        centre_world=opening.centre_world[:2].copy(),
        half_m=half,
        yaw_rad=float(np.arctan2(along[1], along[0])),
        low_z_m=low_z_m,
        high_z_m=high_z_m,
    )
