"""Bathroom pieces: toilet, bathtub, washbasin, washer dryer."""

import numpy as np

from sightline.captures.procedural.furniture.design import (
    CERAMIC,
    COLOURS,
    DARK,
    METAL,
    VIVID,
    Design,
    Maker,
    Top,
    one_of,
    wood_or_paint,
)
from sightline.captures.procedural.textures import PLAIN, SCREEN, Material


def toilet(rng: np.random.Generator) -> Design:
    """Foot, bowl, lid and cistern."""
    m, lid = Maker(), Material(PLAIN, COLOURS["white"], COLOURS["white"])
    if rng.random() < 0.4:
        lid = Material(PLAIN, COLOURS["black"], COLOURS["black"])
    m.box((-0.19, -0.35, 0.38), (0.19, -0.17, 0.8), CERAMIC)
    m.box((-0.2, -0.355, 0.8), (0.2, -0.16, 0.83), CERAMIC)
    m.box((-0.11, -0.33, 0.0), (0.11, 0.05, 0.3), CERAMIC)
    m.rod((0.0, 0.03, 0.0), 0.12, 0.2, CERAMIC, depth=0.16)
    m.ball((0.0, 0.06, 0.38), (0.185, 0.27, 0.2), CERAMIC)
    m.rod((0.0, 0.06, 0.4), 0.19, 0.025, CERAMIC, depth=0.27)
    m.rod((0.0, 0.06, 0.425), 0.19, 0.02, lid, depth=0.27)
    m.box((-0.04, -0.27, 0.83), (0.04, -0.23, 0.84), METAL)
    return Design(category="toilet", colour="white", material="ceramic", solids=tuple(m.solids), has_front=True, clearance_m=0.55)


def bathtub(rng: np.random.Generator) -> Design:
    """Four sides around a floor, with a tap; you can look into it."""
    m, x, y, height, rim = Maker(), float(rng.uniform(0.75, 0.85)), float(rng.uniform(0.35, 0.39)), 0.56, 0.06
    apron = wood_or_paint(rng, ("white", "white", "turquoise", "blue"), 0.0)
    m.box((-x, -y, 0.0), (x, -y + rim, height), CERAMIC)
    m.box((-x, y - rim, 0.0), (x, y, height), apron.material)
    m.box((-x, -y + rim, 0.0), (-x + rim, y - rim, height), CERAMIC)
    m.box((x - rim, -y + rim, 0.0), (x, y - rim, height), CERAMIC)
    m.box((-x + rim, -y + rim, 0.0), (x - rim, y - rim, 0.14), CERAMIC)
    m.rod((-x + 0.03, -0.04, height), 0.015, 0.14, METAL)
    m.bar((-x + 0.09, -0.04, height + 0.13), 0.013, 0.14, "x", METAL)
    return Design(category="bathtub", colour=apron.colour, material="ceramic", solids=tuple(m.solids), has_front=True, clearance_m=0.55)


def washbasin(rng: np.random.Generator) -> Design:
    """A basin of four rims on a cupboard or a column, with a tap."""
    m, x, y, high = Maker(), float(rng.uniform(0.26, 0.34)), 0.23, 0.86
    front = wood_or_paint(rng, (*VIVID, "white"), 0.4)
    rim, deep = 0.035, 0.12
    if rng.random() < 0.65:
        m.box((-x + 0.02, -y, 0.2), (x - 0.02, y - 0.04, high - deep - 0.02), front.material)
        m.box((-x + 0.025, y - 0.04, 0.205), (-0.003, y - 0.022, high - deep - 0.03), front.material)
        m.box((0.003, y - 0.04, 0.205), (x - 0.025, y - 0.022, high - deep - 0.03), front.material)
        m.box((-0.03, y - 0.022, 0.55), (-0.015, y - 0.005, 0.65), METAL)
        m.box((0.015, y - 0.022, 0.55), (0.03, y - 0.005, 0.65), METAL)
        colour = front.colour
    else:
        m.rod((0.0, -0.08, 0.0), 0.09, high - deep - 0.02, CERAMIC)
        colour = "white"
    m.box((-x, -y, high - deep - 0.02), (x, y, high - deep), CERAMIC)
    m.box((-x, -y, high - deep), (x, -y + 0.09, high), CERAMIC)
    m.box((-x, y - rim, high - deep), (x, y, high), CERAMIC)
    m.box((-x, -y + 0.09, high - deep), (-x + rim, y - rim, high), CERAMIC)
    m.box((x - rim, -y + 0.09, high - deep), (x, y - rim, high), CERAMIC)
    m.rod((0.0, -y + 0.05, high), 0.014, 0.13, METAL)
    m.bar((0.0, -y + 0.1, high + 0.125), 0.012, 0.12, "y", METAL)
    return Design(category="sink", colour=colour, material="ceramic", solids=tuple(m.solids), has_front=True, clearance_m=0.6)


def washer_dryer(rng: np.random.Generator) -> Design:
    """A box with a round door and a panel."""
    colour = one_of(rng, ("white", "white", "grey"))
    body, m = Material(PLAIN, COLOURS[colour], COLOURS[colour]), Maker()
    m.box((-0.3, -0.29, 0.0), (0.3, 0.27, 0.85), body)
    m.box((-0.3, 0.27, 0.71), (0.3, 0.278, 0.85), Material(PLAIN, (204, 206, 208), (204, 206, 208)))
    m.bar((0.0, 0.28, 0.42), 0.2, 0.03, "y", METAL)
    m.bar((0.0, 0.29, 0.42), 0.155, 0.03, "y", Material(SCREEN, (36, 40, 48), (150, 164, 178)))
    m.bar((0.2, 0.285, 0.78), 0.035, 0.03, "y", DARK)
    m.box((-0.26, 0.278, 0.75), (-0.08, 0.282, 0.81), DARK)
    top = Top(low=(-0.25, -0.24), high=(0.25, 0.22), z_m=0.85, headroom_m=0.6)
    return Design(
        category="washer dryer", colour=colour, material="metal", solids=tuple(m.solids), has_front=True, tops=(top,), clearance_m=0.6
    )


def towel_rail(rng: np.random.Generator) -> Design:
    """A rail on the wall with a towel over it; its frame starts at its own lower edge."""
    m = Maker()
    from_wall = 0.04
    colour = one_of(rng, VIVID)
    towel = Material(PLAIN, COLOURS[colour], COLOURS[colour])
    m.bar((0.0, from_wall - 0.05, 0.5), 0.012, 0.56, "x", METAL)
    for x in (-0.27, 0.27):
        m.bar((x, from_wall - 0.07, 0.5), 0.01, 0.05, "y", METAL)
    m.box((-0.2, from_wall - 0.035, 0.0), (0.2, from_wall - 0.015, 0.52), towel)
    m.box((-0.2, from_wall - 0.085, 0.08), (0.2, from_wall - 0.065, 0.52), towel)
    m.box((-0.2, from_wall - 0.085, 0.512), (0.2, from_wall - 0.015, 0.53), towel)
    return Design(category="towel", colour=colour, material="fabric", solids=tuple(m.solids), has_front=True)
