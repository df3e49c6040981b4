"""Walls, floors and light of a flat: pale paints, wood, tiles and carpet, lamps, the sun, and soft shade under furniture."""

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from sightline.captures.procedural.footprints import Footprint
from sightline.captures.procedural.layout import CELL_M, OUTSIDE, Plan
from sightline.captures.procedural.shading import FloorShade, Lighting
from sightline.captures.procedural.textures import PLAIN, PLANKS, RGB, SPECKLE, TILES, Material

# Walls and floors are pale, so that furniture stands out.
WALL_PAINTS: tuple[RGB, ...] = (
    (236, 232, 222),
    (226, 229, 226),
    (212, 222, 228),
    (230, 220, 206),
    (214, 224, 208),
    (234, 220, 214),
    (222, 216, 228),
    (232, 226, 200),
)
FLOORS: tuple[tuple[int, RGB, RGB, float], ...] = (
    (PLANKS, (196, 160, 118), (164, 126, 86), 0.14),
    (PLANKS, (168, 128, 92), (136, 98, 68), 0.12),
    (PLANKS, (206, 186, 156), (178, 156, 126), 0.16),
    (SPECKLE, (176, 172, 166), (146, 142, 138), 0.015),
    (SPECKLE, (190, 178, 158), (164, 150, 130), 0.015),
)
TILED_FLOORS: tuple[tuple[RGB, RGB], ...] = (
    ((206, 200, 188), (168, 162, 150)),
    ((188, 192, 194), (150, 152, 154)),
    ((170, 164, 156), (206, 202, 194)),
)
TILED_WALLS: tuple[RGB, ...] = ((222, 230, 232), (232, 230, 224), (206, 224, 222))
OUTDOORS = Material(PLAIN, (206, 198, 186), (206, 198, 186))
SHADE_CELL_M = 0.05
SHADE_SPREAD_M = 0.09


def room_finishes(plan: Plan, rng: np.random.Generator) -> tuple[list[Material], list[Material]]:
    """Wall and floor material of every room, the world outside last."""
    walls, floors = [], []
    for room in plan.structure.rooms:
        seed = int(rng.integers(1000))
        if room.label in ("kitchen", "bathroom"):
            tile, grout = TILED_FLOORS[int(rng.integers(len(TILED_FLOORS)))]
            floors.append(Material(TILES, tile, grout, float(rng.choice([0.3, 0.4, 0.6])), 0.0, seed))
        else:
            pattern, light, dark, scale_m = FLOORS[int(rng.integers(len(FLOORS)))]
            floors.append(Material(pattern, light, dark, scale_m, 0.0, seed))
        if room.label == "bathroom":
            tile = TILED_WALLS[int(rng.integers(len(TILED_WALLS)))]
            walls.append(Material(TILES, tile, (196, 198, 198), 0.2, 0.0, seed))
        else:
            paint = WALL_PAINTS[int(rng.integers(len(WALL_PAINTS)))]
            walls.append(Material(PLAIN, paint, paint, 0.1, 0.0, seed))
    return [*walls, OUTDOORS], [*floors, OUTDOORS]


def lamp_spots(plan: Plan) -> np.ndarray:
    """The place `(R, 2)` of each room that is farthest from its walls."""
    spots = []
    for room in plan.structure.rooms:
        inner = ndimage.distance_transform_edt(np.pad(plan.labels == room.room_index, 1))[1:-1, 1:-1]
        middle = np.argwhere(inner >= inner.max() - 1.0).mean(axis=0)
        ranked = np.argwhere(inner >= inner.max() - 1.0)
        cell = ranked[np.argmin(((ranked - middle) ** 2).sum(axis=1))]
        spots.append((cell + 0.5) * CELL_M + plan.origin_world)
    return np.array(spots)


def light_of(plan: Plan, footprints: Sequence[Footprint], rng: np.random.Generator) -> Lighting:
    """A lamp under every ceiling, the sun at a random bearing, and the shade that furniture lays on the floor."""
    lamps = np.column_stack([lamp_spots(plan), np.full(len(plan.structure.rooms), plan.height_m - 0.3)])
    bearing, elevation = rng.uniform(0.0, 2.0 * np.pi), np.radians(rng.uniform(28.0, 48.0))
    sun = np.array([np.cos(bearing) * np.cos(elevation), np.sin(bearing) * np.cos(elevation), np.sin(elevation)])
    linked = np.eye(len(lamps), dtype=bool)
    for opening in plan.structure.openings:
        if len(opening.rooms) == 2:
            linked[opening.rooms, opening.rooms[::-1]] = True
    return Lighting(
        lamps_world=lamps,
        sun_world=sun,
        shade=floor_shade(plan, footprints),
        ceiling_z_m=plan.height_m,
        linked=linked,
    )


def floor_shade(plan: Plan, footprints: Sequence[Footprint]) -> FloorShade:
    """How much of the sky of lamps a place on the floor sees: less under furniture and along walls."""
    fine = int(round(CELL_M / SHADE_CELL_M))
    room = np.kron(plan.labels != OUTSIDE, np.ones((fine, fine), dtype=bool))
    wall = np.zeros_like(room)
    labels = np.kron(plan.labels, np.ones((fine, fine), dtype=np.int32))
    wall[1:] |= labels[1:] != labels[:-1]
    wall[:, 1:] |= labels[:, 1:] != labels[:, :-1]
    centres = (np.argwhere(np.ones_like(room)) + 0.5) * SHADE_CELL_M + plan.origin_world
    cover = np.zeros(room.size)
    for footprint in footprints:
        if footprint.low_z_m < 0.06 and footprint.high_z_m > 0.1:
            cover = np.maximum(cover, footprint.grown(-0.02).covers(centres) * 1.0)
    soft = ndimage.gaussian_filter(cover.reshape(room.shape), SHADE_SPREAD_M / SHADE_CELL_M)
    edge = ndimage.gaussian_filter((wall | ~room) * 1.0, 0.16 / SHADE_CELL_M)
    return FloorShade(open_share=1.0 - 0.5 * soft - 0.35 * np.minimum(edge, 1.0), origin_world=plan.origin_world, cell_m=SHADE_CELL_M)
