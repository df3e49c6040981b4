"""Kitchen pieces: a run of cupboards with sink, stove, oven and dishwasher under one work top, and a refrigerator."""

import numpy as np

from sightline.captures.procedural.furniture.design import (
    CERAMIC,
    COLOURS,
    DARK,
    METAL,
    PALE,
    Design,
    Finish,
    Maker,
    Top,
    one_of,
    painted,
    timber,
)
from sightline.captures.procedural.textures import PLAIN, SCREEN, Material

UNIT_M = 0.6  # width and depth of a kitchen unit
COUNTER_M = 0.9
GLASS = Material(SCREEN, (28, 30, 34), (110, 118, 126))
STEEL = Material(PLAIN, (186, 188, 190), (186, 188, 190))
WORK_TOP_M = 0.04


def kitchen_finish(rng: np.random.Generator) -> Finish:
    """The fronts of one kitchen."""
    return timber(rng) if rng.random() < 0.3 else painted(one_of(rng, ("white", "green", "blue", "turquoise", "orange", "grey")))


def work_top(rng: np.random.Generator) -> Material:
    return timber(rng).material if rng.random() < 0.5 else Material(PLAIN, (92, 90, 90), (92, 90, 90))


def _unit(m: Maker, front: Material, *, low_z: float = 0.1, high_z: float = COUNTER_M - WORK_TOP_M) -> None:
    x, y = UNIT_M / 2.0, UNIT_M / 2.0
    m.box((-x, -y, 0.0), (x, y - 0.06, low_z), DARK)
    m.box((-x, -y, low_z), (x, y - 0.03, high_z), PALE)
    m.box((-x + 0.003, y - 0.03, low_z + 0.003), (x - 0.003, y - 0.01, high_z - 0.003), front)


def _cover(m: Maker, top: Material) -> None:
    x = UNIT_M / 2.0
    m.box((-x, -x, COUNTER_M - WORK_TOP_M), (x, x, COUNTER_M), top)


def cupboard(finish: Finish, top: Material) -> Design:
    """A base cupboard."""
    m, x = Maker(), UNIT_M / 2.0
    _unit(m, finish.material)
    _cover(m, top)
    m.box((-0.09, x - 0.01, 0.78), (0.09, x + 0.012, 0.795), METAL)
    tops = (Top(low=(-x + 0.06, -x + 0.08), high=(x - 0.06, x - 0.08), z_m=COUNTER_M, headroom_m=0.45),)
    return Design(
        category="storage", colour=finish.colour, material=finish.name, solids=tuple(m.solids), has_front=True, tops=tops, clearance_m=0.8
    )


def sink_unit(finish: Finish, top: Material) -> Design:
    """A cupboard whose work top has a basin let into it, and a tap."""
    m, x = Maker(), UNIT_M / 2.0
    _unit(m, finish.material, high_z=COUNTER_M - 0.2)
    m.box((-x, x - 0.03, COUNTER_M - 0.2), (x, x - 0.01, COUNTER_M - WORK_TOP_M), finish.material)
    low, high, hole = COUNTER_M - WORK_TOP_M, COUNTER_M, 0.22
    m.box((-x, -x, low), (x, -x + 0.12, high), top)
    m.box((-x, x - 0.08, low), (x, x, high), top)
    m.box((-x, -x + 0.12, low), (-hole, x - 0.08, high), top)
    m.box((hole, -x + 0.12, low), (x, x - 0.08, high), top)
    floor, rim = COUNTER_M - 0.18, high + 0.004
    back, front, steel = -x + 0.12, x - 0.08, 0.006  # the basin stands inside the hole
    m.box((-hole, back, floor - 0.01), (hole, front, floor), STEEL)
    m.box((-hole, back, floor), (-hole + steel, front, rim), STEEL)
    m.box((hole - steel, back, floor), (hole, front, rim), STEEL)
    m.box((-hole + steel, back, floor), (hole - steel, back + steel, rim), STEEL)
    m.box((-hole + steel, front - steel, floor), (hole - steel, front, rim), STEEL)
    m.rod((0.0, -x + 0.06, high), 0.014, 0.24, METAL)
    m.bar((0.0, -x + 0.14, high + 0.235), 0.012, 0.18, "y", METAL)
    m.rod((0.0, -x + 0.22, high + 0.19), 0.012, 0.05, METAL)
    return Design(category="sink", colour="grey", material="metal", solids=tuple(m.solids), has_front=True, clearance_m=0.8)


def dishwasher(rng: np.random.Generator, top: Material) -> Design:
    """A white or steel front with a handle and a strip of buttons."""
    m, x = Maker(), UNIT_M / 2.0
    colour = one_of(rng, ("white", "grey"))
    _unit(m, Material(PLAIN, COLOURS[colour], COLOURS[colour]))
    _cover(m, top)
    m.box((-x + 0.01, x - 0.01, 0.76), (x - 0.01, x - 0.004, 0.84), DARK)
    m.bar((0.0, x + 0.012, 0.72), 0.012, 0.44, "x", METAL)
    for k in range(3):
        m.box((0.1 + 0.05 * k, x - 0.004, 0.79), (0.12 + 0.05 * k, x, 0.81), PALE)
    tops = (Top(low=(-x + 0.06, -x + 0.08), high=(x - 0.06, x - 0.08), z_m=COUNTER_M, headroom_m=0.45),)
    return Design(
        category="dishwasher", colour=colour, material="metal", solids=tuple(m.solids), has_front=True, tops=tops, clearance_m=0.8
    )


def oven(top: Material) -> Design:
    """An oven with a dark window, under the work top."""
    m, x = Maker(), UNIT_M / 2.0
    _unit(m, STEEL)
    _cover(m, top)
    m.box((-0.22, x - 0.01, 0.28), (0.22, x - 0.004, 0.62), GLASS)
    m.bar((0.0, x + 0.02, 0.68), 0.012, 0.46, "x", DARK)
    for k in range(4):
        m.bar((-0.18 + 0.12 * k, x + 0.002, 0.79), 0.02, 0.024, "y", DARK)
    hob = Top(low=(-x, -x), high=(x, x), z_m=COUNTER_M, headroom_m=0.03)  # only a stove lies there
    return Design(category="oven", colour="grey", material="metal", solids=tuple(m.solids), has_front=True, tops=(hob,), clearance_m=0.8)


def stove(rng: np.random.Generator) -> Design:
    """A hob of four plates that lies on the work top above the oven."""
    m = Maker()
    m.box((-0.28, -0.26, 0.0), (0.28, 0.26, 0.015), Material(PLAIN, (30, 30, 32), (30, 30, 32)))
    ring = Material(PLAIN, (94, 40, 36), (94, 40, 36)) if rng.random() < 0.6 else STEEL
    for x, y, radius in ((-0.13, -0.11, 0.09), (0.13, -0.11, 0.075), (-0.13, 0.12, 0.075), (0.13, 0.12, 0.09)):
        m.rod((x, y, 0.015), radius, 0.006, ring)
    return Design(category="stove", colour="black", material="glass", solids=tuple(m.solids), has_front=True)


def refrigerator(rng: np.random.Generator) -> Design:
    """A tall fridge with a freezer below."""
    colour = one_of(rng, ("white", "grey", "grey", "red", "turquoise"))
    finish, m = painted(colour).material, Maker()
    x, y, height, split = 0.3, 0.31, float(rng.uniform(1.65, 1.9)), float(rng.uniform(0.55, 0.75))
    m.box((-x + 0.03, -y, 0.0), (x - 0.03, y - 0.08, 0.05), DARK)
    m.box((-x, -y, 0.05), (x, y - 0.05, height), finish)
    m.box((-x, y - 0.045, 0.06), (x, y, split - 0.005), finish)
    m.box((-x, y - 0.045, split + 0.005), (x, y, height), finish)
    m.box((-x + 0.01, y - 0.05, 0.06), (x - 0.01, y - 0.045, height), DARK)
    m.box((x - 0.07, y, split - 0.25), (x - 0.045, y + 0.03, split - 0.06), METAL)
    m.box((x - 0.07, y, split + 0.08), (x - 0.045, y + 0.03, split + 0.45), METAL)
    return Design(category="refrigerator", colour=colour, material="metal", solids=tuple(m.solids), has_front=True, clearance_m=0.75)


def wall_cupboard(finish: Finish, width: float) -> Design:
    """A hanging cupboard with two doors; its frame starts at its own lower edge."""
    m, x, y, height = Maker(), width / 2.0, 0.17, 0.62
    m.box((-x, -y, 0.0), (x, y - 0.02, height), PALE)
    for a, b in ((-x, 0.0), (0.0, x)):
        m.box((a + 0.003, y - 0.02, 0.003), (b - 0.003, y, height - 0.003), finish.material)
    for side in (-0.05, 0.035):
        m.box((side, y, 0.06), (side + 0.015, y + 0.02, 0.2), METAL)
    return Design(category="storage", colour=finish.colour, material=finish.name, solids=tuple(m.solids), has_front=True)


def hood(rng: np.random.Generator) -> Design:
    """An extractor hood above the stove; its frame starts at its own lower edge."""
    m = Maker()
    m.box((-0.3, -0.25, 0.0), (0.3, 0.2, 0.07), STEEL)
    m.box((-0.14, -0.25, 0.07), (0.14, 0.0, 0.7), STEEL)
    m.box((-0.2, 0.2, 0.02), (0.2, 0.206, 0.05), DARK)
    return Design(category="extractor hood", colour="grey", material="metal", solids=tuple(m.solids), has_front=True)


def kettle(rng: np.random.Generator) -> Design:
    """A kettle with spout and handle."""
    finish, m = painted(one_of(rng, ("white", "black", "red", "turquoise"))), Maker()
    m.rod((0.0, 0.0, 0.0), 0.085, 0.17, finish.material)
    m.ball((0.0, 0.0, 0.17), (0.085, 0.085, 0.04), CERAMIC)
    m.box((0.08, -0.015, 0.03), (0.13, 0.015, 0.16), DARK)
    m.ball((-0.09, 0.0, 0.14), (0.04, 0.02, 0.02), finish.material)
    return Design(category="kettle", colour=finish.colour, material="metal", solids=tuple(m.solids), has_front=False)
