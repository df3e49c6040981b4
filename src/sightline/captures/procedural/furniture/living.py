"""Large pieces that are neither seats nor tables: television, fireplace, stairs, rugs, lamps, plants."""

import numpy as np

from sightline.captures.procedural.furniture.design import (
    COLOURS,
    DARK,
    METAL,
    VIVID,
    Design,
    Maker,
    one_of,
    painted,
    tilt,
    timber,
    turn_z,
    wood_or_paint,
)
from sightline.captures.procedural.textures import BRICK, CHECK, LEAVES, PLAIN, SCREEN, SPECKLE, STRIPES, Material

SCREEN_OFF = Material(SCREEN, (22, 24, 30), (96, 108, 126))


def television(rng: np.random.Generator) -> Design:
    """A flat screen on a foot."""
    m, x = Maker(), float(rng.uniform(0.45, 0.62))
    height = x * 1.12
    m.box((-0.2, -0.1, 0.0), (0.2, 0.1, 0.015), DARK)
    m.box((-0.04, -0.02, 0.015), (0.04, 0.01, 0.1), DARK)
    m.box((-x, -0.025, 0.07), (x, 0.02, 0.07 + height), DARK)
    m.box((-x + 0.015, 0.02, 0.085), (x - 0.015, 0.024, 0.055 + height), SCREEN_OFF)
    return Design(category="television", colour="black", material="glass", solids=tuple(m.solids), has_front=True)


def fireplace(rng: np.random.Generator) -> Design:
    """Brick pillars, a dark hearth with logs and embers, a mantel and a breast above."""
    m, x, y = Maker(), float(rng.uniform(0.6, 0.75)), 0.2
    stone = Material(BRICK, *[((158, 84, 66), (196, 186, 172)), ((196, 190, 178), (150, 144, 134))][int(rng.integers(2))], 0.075)
    soot = Material(PLAIN, (36, 33, 32), (36, 33, 32))
    m.box((-x, -y, 0.0), (-x + 0.25, y, 1.0), stone)
    m.box((x - 0.25, -y, 0.0), (x, y, 1.0), stone)
    m.box((-x + 0.25, -y, 0.7), (x - 0.25, y, 1.0), stone)
    m.box((-x + 0.25, -y, 0.06), (x - 0.25, -y + 0.04, 0.7), soot)
    m.box((-x + 0.25, -y, 0.0), (x - 0.25, y, 0.06), stone)
    m.box((-x - 0.06, -y, 1.0), (x + 0.06, y + 0.06, 1.06), timber(rng).material)
    ember = Material(PLAIN, (232, 128, 52), (232, 128, 52), 0.1, 0.8)
    m.bar((0.0, 0.0, 0.11), 0.05, 0.5, "x", Material(PLAIN, (92, 62, 44), (92, 62, 44)))
    m.bar((0.04, -0.06, 0.19), 0.045, 0.42, "x", Material(PLAIN, (84, 56, 40), (84, 56, 40)))
    m.ball((0.0, -0.02, 0.1), (0.2, 0.07, 0.06), ember)
    return Design(
        category="fireplace",
        colour="brown" if stone.colour[0] < 180 else "grey",
        material="brick",
        solids=tuple(m.solids),
        has_front=True,
        clearance_m=0.7,
    )


def stairs(rng: np.random.Generator, *, rise_to_m: float) -> Design:
    """A straight flight along a wall (its back), climbing towards +x, with treads, a string and a rail."""
    m, steps, run, half_y = Maker(), int(np.floor(rise_to_m / 0.19)), 0.2, 0.4
    rise = rise_to_m / steps
    wood = timber(rng)
    white = painted("white").material
    x = steps * run / 2.0
    for k in range(steps):
        a = -x + k * run
        m.box((a, -half_y, (k + 1) * rise - 0.04), (a + run + 0.02, half_y, (k + 1) * rise), wood.material)
        m.box((a + run - 0.01, -half_y, k * rise), (a + run, half_y, (k + 1) * rise - 0.04), white)
        if k % 3 == 1 and k + 2 < steps:
            rail_z = min((k + 1) * rise + 0.72, rise_to_m)  # it ends at the ceiling
            m.box((a + 0.08, half_y - 0.04, (k + 1) * rise), (a + 0.11, half_y - 0.01, rail_z), DARK)
    return Design(category="stairs", colour=wood.colour, material="wood", solids=tuple(m.solids), has_front=False, clearance_m=0.3)


def rug(rng: np.random.Generator, *, half_x: float, half_y: float) -> Design:
    """A flat carpet with a border."""
    m = Maker()
    names = list(VIVID)
    colour = one_of(rng, names)
    other = one_of(rng, ("white", "beige", "grey"))
    pattern, scale = ((SPECKLE, 0.02), (STRIPES, float(rng.uniform(0.2, 0.4))), (CHECK, 0.22))[int(rng.integers(3))]
    second = COLOURS[other] if pattern != SPECKLE else tuple(int(0.75 * c + 40) for c in COLOURS[colour])
    body = Material(pattern, COLOURS[colour], second, scale, 0.0, int(rng.integers(1000)))  # type: ignore[arg-type]
    m.box((-half_x, -half_y, 0.0), (half_x, half_y, 0.008), Material(PLAIN, COLOURS[colour], COLOURS[colour]))
    m.box((-half_x + 0.09, -half_y + 0.09, 0.008), (half_x - 0.09, half_y - 0.09, 0.012), body)
    return Design(category="rug", colour=colour, material="fabric", solids=tuple(m.solids), has_front=False)


def floor_lamp(rng: np.random.Generator) -> Design:
    """A foot, a pole and a glowing shade."""
    m, height = Maker(), float(rng.uniform(1.4, 1.7))
    shade, radius = _shade(rng), float(rng.uniform(0.16, 0.21))
    m.rod((0.0, 0.0, 0.0), 0.14, 0.025, DARK)
    m.rod((0.0, 0.0, 0.025), 0.014, height - 0.28, METAL)
    m.rod((0.0, 0.0, height - 0.28), radius, 0.28, shade.material)
    return Design(category="lamp", colour=shade.colour, material="fabric", solids=tuple(m.solids), has_front=False)


def table_lamp(rng: np.random.Generator) -> Design:
    """A round body under a shade."""
    m, shade = Maker(), _shade(rng)
    body = painted(one_of(rng, (*VIVID, "white"))).material
    m.rod((0.0, 0.0, 0.0), 0.06, 0.02, body)
    m.ball((0.0, 0.0, 0.1), (0.065, 0.065, 0.09), body)
    m.rod((0.0, 0.0, 0.16), 0.012, 0.06, METAL)
    m.rod((0.0, 0.0, 0.2), 0.11, 0.17, shade.material)
    return Design(category="lamp", colour=shade.colour, material="fabric", solids=tuple(m.solids), has_front=False)


def _shade(rng: np.random.Generator):
    return painted(one_of(rng, ("yellow", "white", "orange", "pink", "beige")), glow=0.45)


def plant(rng: np.random.Generator, *, height: float) -> Design:
    """A pot with a trunk and crowns of leaves."""
    m = Maker()
    pot = wood_or_paint(rng, ("orange", "white", "grey", "turquoise", "black"), 0.0)
    leaf = Material(LEAVES, (84, 148, 66), (40, 92, 44), 0.1, 0.0, int(rng.integers(1000)))
    radius, pot_z = height * 0.15, height * 0.26
    m.rod((0.0, 0.0, 0.0), radius, pot_z, pot.material)
    m.rod((0.0, 0.0, pot_z), radius * 0.9, 0.006, Material(PLAIN, (70, 52, 40), (70, 52, 40)))
    m.rod((0.0, 0.0, pot_z), radius * 0.12, height * 0.4, Material(PLAIN, (104, 78, 52), (104, 78, 52)))
    if rng.random() < 0.5:
        m.ball((0.0, 0.0, height * 0.72), (height * 0.22, height * 0.22, height * 0.28), leaf)
        m.ball((height * 0.1, height * 0.08, height * 0.55), (height * 0.15, height * 0.15, height * 0.13), leaf)
        m.ball((-height * 0.1, -height * 0.06, height * 0.53), (height * 0.15, height * 0.14, height * 0.12), leaf)
    else:
        for k in range(7):
            around, lean = 360.0 / 7.0 * k + float(rng.uniform(-12, 12)), float(rng.uniform(18, 42))
            turn = turn_z(around) @ tilt(-lean)
            up = turn @ np.array([0.0, 0.0, 1.0])
            base = np.array([0.0, 0.0, pot_z + 0.02])
            m.ball(base + up * height * 0.34, (height * 0.055, height * 0.015, height * 0.36), leaf, turn=turn)
    return Design(category="plant", colour="green", material="leaves", solids=tuple(m.solids), has_front=False)


def radiator(rng: np.random.Generator) -> Design:
    """Ribs under a window; its frame starts at its own lower edge."""
    m, white, count = Maker(), painted("white").material, int(rng.integers(8, 13))
    for k in range(count):
        x = (k - (count - 1) / 2.0) * 0.07
        m.box((x - 0.028, -0.045, 0.0), (x + 0.028, 0.045, 0.5), white)
    m.box((-count * 0.035, -0.02, 0.03), (count * 0.035, 0.02, 0.06), white)
    m.box((-count * 0.035, -0.02, 0.44), (count * 0.035, 0.02, 0.47), white)
    return Design(category="radiator", colour="white", material="metal", solids=tuple(m.solids), has_front=True)


def ceiling_light(rng: np.random.Generator) -> Design:
    """A flat glowing dish under the ceiling; its frame starts at its own lower edge."""
    m, radius = Maker(), float(rng.uniform(0.18, 0.24))
    m.rod((0.0, 0.0, 0.02), radius, 0.05, Material(PLAIN, (244, 238, 220), (244, 238, 220), 0.1, 1.0))
    m.ball((0.0, 0.0, 0.03), (radius * 0.9, radius * 0.9, 0.03), Material(PLAIN, (248, 244, 230), (248, 244, 230), 0.1, 1.0))
    m.rod((0.0, 0.0, 0.07), 0.06, 0.02, METAL)
    return Design(category="ceiling light", colour="white", material="glass", solids=tuple(m.solids), has_front=False)
