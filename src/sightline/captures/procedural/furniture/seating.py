"""Things to sit and lie on: sofas, armchairs, chairs, stools, benches and beds."""

import numpy as np

from sightline.captures.procedural.furniture.design import (
    CALM,
    DARK,
    METAL,
    VIVID,
    Design,
    Maker,
    Top,
    cloth,
    one_of,
    painted,
    tilt,
    timber,
    wood_or_paint,
)


def sofa(rng: np.random.Generator) -> Design:
    """Base, seat cushions, back and two arms; some have a chaise."""
    finish = cloth(one_of(rng, (*VIVID, "beige", "grey")), rng)
    width, depth = float(rng.uniform(1.6, 2.15)), float(rng.uniform(0.82, 0.95))
    arm, seat_z, back_z, arm_z = 0.17, 0.42, float(rng.uniform(0.76, 0.88)), float(rng.uniform(0.55, 0.64))
    x, y, m = width / 2.0, depth / 2.0, Maker()
    m.legs(x - 0.05, y - 0.05, 0.1, 0.05, DARK, is_round=True)
    m.box((-x, -y, 0.1), (x, y, 0.26), finish.material)
    m.box((-x, -y, 0.26), (x, -y + 0.2, back_z), finish.material)
    for side in (-1.0, 1.0):
        a, b = sorted((side * x, side * (x - arm)))
        m.box((a, -y + 0.2, 0.26), (b, y, arm_z), finish.material)
        m.bar(((a + b) / 2.0, 0.1, arm_z), arm / 2.0, depth - 0.2, "y", finish.material)
    inner = x - arm
    seats = 3 if width > 1.9 else 2
    for k in range(seats):
        a = -inner + 2.0 * inner * k / seats
        m.box((a + 0.008, -y + 0.2, 0.26), (a + 2.0 * inner / seats - 0.008, y - 0.01, seat_z), finish.material)
        m.box((a + 0.02, -y + 0.2, seat_z), (a + 2.0 * inner / seats - 0.02, -y + 0.32, back_z - 0.05), finish.material)
    top = Top(low=(-inner + 0.05, -y + 0.33), high=(inner - 0.05, y - 0.12), z_m=seat_z, headroom_m=0.6)
    return Design(
        category="sofa", colour=finish.colour, material=finish.name, solids=tuple(m.solids), has_front=True, tops=(top,), clearance_m=0.75
    )


def armchair(rng: np.random.Generator) -> Design:
    """A small sofa for one."""
    finish = cloth(one_of(rng, (*VIVID, "grey")), rng)
    x, y, m = float(rng.uniform(0.38, 0.43)), float(rng.uniform(0.38, 0.43)), Maker()
    wood = timber(rng).material
    m.legs(x - 0.04, y - 0.04, 0.16, 0.045, wood, is_round=True)
    m.box((-x, -y, 0.16), (x, y, 0.3), finish.material)
    m.box((-x + 0.12, -y + 0.14, 0.3), (x - 0.12, y, 0.44), finish.material)
    m.box((-x, -y, 0.3), (x, -y + 0.14, 0.86), finish.material, turn=None)
    for side in (-1.0, 1.0):
        a, b = sorted((side * x, side * (x - 0.12)))
        m.box((a, -y + 0.14, 0.3), (b, y, 0.58), finish.material)
    top = Top(low=(-x + 0.15, -y + 0.18), high=(x - 0.15, y - 0.12), z_m=0.44, headroom_m=0.6)
    return Design(
        category="armchair",
        colour=finish.colour,
        material=finish.name,
        solids=tuple(m.solids),
        has_front=True,
        tops=(top,),
        clearance_m=0.6,
    )


def chair(rng: np.random.Generator) -> Design:
    """Four legs, a seat and a back, which is a panel, slats or an upholstered shell."""
    style = int(rng.integers(3))
    finish = wood_or_paint(rng, (*VIVID, "white", "black", "grey"), 0.3)
    m = Maker()
    x, y, seat_z = float(rng.uniform(0.2, 0.23)), float(rng.uniform(0.2, 0.23)), float(rng.uniform(0.44, 0.47))
    height = float(rng.uniform(0.82, 0.94))
    legs = finish.material if style != 2 else timber(rng).material
    m.legs(x, y, seat_z - 0.03, 0.04, legs, is_round=style == 2)
    m.box((-x, -y, seat_z - 0.03), (x, y, seat_z + (0.02 if style == 2 else 0.0)), finish.material)
    lean = tilt(6.0)
    if style == 1:
        for side in (-x, x - 0.04):
            m.box((side, -y - 0.01, seat_z), (side + 0.04, -y + 0.03, height), finish.material, turn=lean)
        for k in range(3):
            z = seat_z + 0.12 + k * (height - seat_z - 0.18) / 2.0
            m.box((-x + 0.03, -y - 0.005, z - 0.03), (x - 0.03, -y + 0.02, z + 0.03), finish.material, turn=lean)
    else:
        m.box((-x, -y - 0.01, seat_z + (0.0 if style == 2 else 0.1)), (x, -y + 0.03, height), finish.material, turn=lean)
        if style == 0:
            for side in (-x, x - 0.04):
                m.box((side, -y, seat_z), (side + 0.04, -y + 0.04, seat_z + 0.14), finish.material)
    return Design(category="chair", colour=finish.colour, material=finish.name, solids=tuple(m.solids), has_front=True)


def stool(rng: np.random.Generator) -> Design:
    """A round seat on four legs, low or of bar height."""
    finish = wood_or_paint(rng, VIVID, 0.35)
    height, radius, m = float(rng.choice([0.45, 0.47, 0.64])), float(rng.uniform(0.16, 0.19)), Maker()
    m.legs(radius * 0.85, radius * 0.85, height - 0.04, 0.035, METAL if rng.random() < 0.4 else finish.material, is_round=True)
    m.rod((0.0, 0.0, height - 0.04), radius, 0.04, finish.material)
    if height > 0.6:
        reach = radius * 0.85 - 0.02
        m.bar((0.0, reach, 0.22), 0.012, 2.0 * reach, "x", METAL)
        m.bar((0.0, -reach, 0.22), 0.012, 2.0 * reach, "x", METAL)
    return Design(category="stool", colour=finish.colour, material=finish.name, solids=tuple(m.solids), has_front=False)


def bed(rng: np.random.Generator) -> Design:
    """Frame, mattress, cover, pillows and a headboard at the back."""
    double = rng.random() < 0.65
    x, y, m = (float(rng.choice([0.72, 0.82])) if double else 0.48), 1.03, Maker()
    frame = timber(rng)
    cover = cloth(one_of(rng, VIVID), rng)
    linen = painted("white").material
    m.legs(x - 0.02, y - 0.02, 0.12, 0.07, frame.material)
    m.box((-x, -y, 0.12), (x, y, 0.3), frame.material)
    m.box((-x + 0.02, -y + 0.05, 0.3), (x - 0.02, y - 0.03, 0.46), linen)
    m.box((-x + 0.005, -y + 0.62, 0.29), (x - 0.005, y - 0.015, 0.5), cover.material)
    m.box((-x, -y, 0.3), (x, -y + 0.05, float(rng.uniform(0.85, 1.1))), frame.material)
    pillows = (-x / 2.0, x / 2.0) if double else (0.0,)
    for centre in pillows:
        m.ball((centre, -y + 0.3, 0.5), (0.3, 0.19, 0.085), linen)
    top = Top(low=(-x + 0.1, -y + 0.7), high=(x - 0.1, y - 0.1), z_m=0.5)
    return Design(
        category="bed", colour=cover.colour, material="fabric", solids=tuple(m.solids), has_front=True, tops=(top,), clearance_m=0.4
    )


def cushion(rng: np.random.Generator) -> Design:
    """A soft square that leans back a little."""
    finish = cloth(one_of(rng, (*VIVID, "white", "beige")), rng)
    half, m = float(rng.uniform(0.18, 0.22)), Maker()
    m.ball((0.0, 0.0, half), (half * 1.1, 0.085, half), finish.material, turn=tilt(12.0))
    m.box((-half * 0.8, -0.05, half * 0.2), (half * 0.8, 0.05, half * 1.8), finish.material, turn=tilt(12.0))
    return Design(category="cushion", colour=finish.colour, material="fabric", solids=tuple(m.solids), has_front=False)


def pouf(rng: np.random.Generator) -> Design:
    """A round upholstered footrest."""
    finish = cloth(one_of(rng, VIVID), rng)
    radius, m = float(rng.uniform(0.24, 0.3)), Maker()
    m.rod((0.0, 0.0, 0.03), radius, 0.33, finish.material)
    m.rod((0.0, 0.0, 0.0), radius * 0.9, 0.03, DARK)
    m.ball((0.0, 0.0, 0.36), (radius, radius, 0.05), finish.material)
    return Design(category="pouf", colour=finish.colour, material="fabric", solids=tuple(m.solids), has_front=False)


def bench(rng: np.random.Generator) -> Design:
    """A plank on two boards."""
    finish = wood_or_paint(rng, CALM, 0.7)
    x, y, m = float(rng.uniform(0.5, 0.65)), 0.17, Maker()
    m.box((-x, -y, 0.4), (x, y, 0.45), finish.material)
    for side in (-x + 0.08, x - 0.12):
        m.box((side, -y + 0.02, 0.0), (side + 0.04, y - 0.02, 0.4), finish.material)
    m.box((-x + 0.12, -0.02, 0.18), (x - 0.12, 0.02, 0.24), finish.material)
    top = Top(low=(-x + 0.05, -y + 0.03), high=(x - 0.05, y - 0.03), z_m=0.45)
    return Design(category="bench", colour=finish.colour, material=finish.name, solids=tuple(m.solids), has_front=False, tops=(top,))
