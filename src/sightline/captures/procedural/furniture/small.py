"""Small things: on tops, on floors and on walls."""

import numpy as np

from sightline.captures.procedural.furniture.design import (
    CERAMIC,
    COLOURS,
    DARK,
    METAL,
    VIVID,
    Design,
    Maker,
    one_of,
    painted,
    timber,
    turn_z,
    wood_or_paint,
)
from sightline.captures.procedural.textures import ART, PLAIN, SCREEN, WOOD, Material


def carton(rng: np.random.Generator) -> Design:
    """A box with a lid or tape."""
    m = Maker()
    x, y, height = (float(rng.uniform(low, high)) for low, high in ((0.14, 0.25), (0.12, 0.2), (0.16, 0.36)))
    colour = one_of(rng, (*VIVID, "beige"))
    body = Material(PLAIN, COLOURS[colour], COLOURS[colour])
    if rng.random() < 0.5:
        m.box((-x, -y, 0.0), (x, y, height), body)
        m.box((-0.03, -y - 0.001, height * 0.6), (0.03, y + 0.001, height + 0.002), Material(PLAIN, (222, 206, 170), (222, 206, 170)))
    else:
        m.box((-x, -y, 0.0), (x, y, height - 0.01), body)
        m.box((-x - 0.01, -y - 0.01, height - 0.05), (x + 0.01, y + 0.01, height), painted("white").material)
    return Design(category="box", colour=colour, material="cardboard", solids=tuple(m.solids), has_front=False)


def ball(rng: np.random.Generator) -> Design:
    """A ball with a belt of another colour."""
    m, radius, colour = Maker(), float(rng.uniform(0.1, 0.17)), one_of(rng, VIVID)
    m.ball((0.0, 0.0, radius), (radius, radius, radius), Material(PLAIN, COLOURS[colour], COLOURS[colour]))
    m.rod((0.0, 0.0, radius - 0.018), radius * 1.0, 0.036, painted("white").material)
    return Design(category="ball", colour=colour, material="rubber", solids=tuple(m.solids), has_front=False)


def bin_(rng: np.random.Generator) -> Design:
    """A round or square waste bin, open at the top."""
    finish, m = painted(one_of(rng, (*VIVID, "grey", "black", "white"))), Maker()
    height = float(rng.uniform(0.3, 0.42))
    if rng.random() < 0.5:
        radius = float(rng.uniform(0.13, 0.16))
        m.rod((0.0, 0.0, 0.0), radius, height, finish.material)
        m.rod((0.0, 0.0, height), radius * 0.88, 0.003, DARK)
    else:
        x = float(rng.uniform(0.12, 0.15))
        for a, b in (((-x, -x), (-x + 0.012, x)), ((x - 0.012, -x), (x, x)), ((-x, -x), (x, -x + 0.012)), ((-x, x - 0.012), (x, x))):
            m.box((*a, 0.0), (*b, height), finish.material)
        m.box((-x, -x, 0.0), (x, x, 0.02), finish.material)
    return Design(category="bin", colour=finish.colour, material="plastic", solids=tuple(m.solids), has_front=False)


def vase(rng: np.random.Generator) -> Design:
    """A bellied vase, some with flowers."""
    finish, m = painted(one_of(rng, (*VIVID, "white"))), Maker()
    r = float(rng.uniform(0.06, 0.08))
    m.rod((0.0, 0.0, 0.0), r * 0.6, 0.02, finish.material)
    m.ball((0.0, 0.0, 0.11), (r, r, 0.1), finish.material)
    m.rod((0.0, 0.0, 0.18), r * 0.45, 0.07, finish.material)
    if rng.random() < 0.6:
        bloom = Material(PLAIN, COLOURS[one_of(rng, ("pink", "orange", "yellow", "purple", "white"))], (0, 0, 0))
        for k in range(5):
            a = 2.0 * np.pi * k / 5.0
            m.rod((0.03 * np.cos(a), 0.03 * np.sin(a), 0.24), 0.005, 0.1, Material(PLAIN, (84, 130, 66), (84, 130, 66)))
            m.ball((0.05 * np.cos(a), 0.05 * np.sin(a), 0.36 + 0.02 * (k % 2)), (0.035, 0.035, 0.03), bloom)
    return Design(category="vase", colour=finish.colour, material="ceramic", solids=tuple(m.solids), has_front=False)


def book(rng: np.random.Generator) -> Design:
    """A lying book, or a pile of two or three."""
    m, z = Maker(), 0.0
    colour = ""
    for k in range(int(rng.integers(1, 4))):
        colour = one_of(rng, VIVID)
        cover = Material(PLAIN, COLOURS[colour], COLOURS[colour])
        x, y, t = float(rng.uniform(0.1, 0.13)), float(rng.uniform(0.08, 0.1)), float(rng.uniform(0.02, 0.04))
        turn = turn_z(float(rng.uniform(-14, 14))) if k else None
        m.box((-x, -y, z), (x, y, z + 0.005), cover, turn=turn)
        m.box((-x + 0.006, -y + 0.006, z + 0.005), (x - 0.004, y - 0.006, z + t - 0.005), CERAMIC, turn=turn)
        m.box((-x, -y, z + t - 0.005), (x, y, z + t), cover, turn=turn)
        m.box((-x, -y, z), (-x + 0.006, y, z + t), cover, turn=turn) if turn is None else None
        z += t
    return Design(category="book", colour=colour, material="paper", solids=tuple(m.solids), has_front=False)


def bottle(rng: np.random.Generator) -> Design:
    """Body, shoulder and neck."""
    colour, m = one_of(rng, ("green", "brown", "blue", "white", "orange", "purple")), Maker()
    glass = Material(PLAIN, COLOURS[colour], COLOURS[colour])
    m.rod((0.0, 0.0, 0.0), 0.04, 0.17, glass)
    m.ball((0.0, 0.0, 0.17), (0.04, 0.04, 0.045), glass)
    m.rod((0.0, 0.0, 0.2), 0.015, 0.08, glass)
    m.rod((0.0, 0.0, 0.28), 0.018, 0.02, DARK)
    return Design(category="bottle", colour=colour, material="glass", solids=tuple(m.solids), has_front=False)


def cup(rng: np.random.Generator) -> Design:
    """A mug with a handle, filled."""
    finish, m = painted(one_of(rng, (*VIVID, "white"))), Maker()
    m.rod((0.0, 0.0, 0.0), 0.042, 0.1, finish.material)
    m.rod((0.0, 0.0, 0.1), 0.036, 0.002, Material(PLAIN, (88, 56, 36), (88, 56, 36)))
    m.box((0.04, -0.008, 0.02), (0.068, 0.008, 0.034), finish.material)
    m.box((0.04, -0.008, 0.068), (0.068, 0.008, 0.082), finish.material)
    m.box((0.058, -0.008, 0.034), (0.068, 0.008, 0.068), finish.material)
    return Design(category="cup", colour=finish.colour, material="ceramic", solids=tuple(m.solids), has_front=False)


def bowl(rng: np.random.Generator) -> Design:
    """A dish with fruit."""
    finish, m = painted(one_of(rng, ("white", "turquoise", "yellow", "blue", "grey"))), Maker()
    m.rod((0.0, 0.0, 0.0), 0.06, 0.015, finish.material)
    m.rod((0.0, 0.0, 0.015), 0.13, 0.04, finish.material)
    for k in range(5):
        a = 2.0 * np.pi * k / 5.0
        colour = one_of(rng, ("orange", "red", "green", "yellow"))
        at = (0.075 * np.cos(a), 0.075 * np.sin(a), 0.075) if k < 4 else (0.0, 0.0, 0.1)
        m.ball(at, (0.042, 0.042, 0.042), Material(PLAIN, COLOURS[colour], COLOURS[colour]))
    return Design(category="bowl", colour=finish.colour, material="ceramic", solids=tuple(m.solids), has_front=False)


def monitor(rng: np.random.Generator) -> Design:
    """A screen on a stand."""
    m, x = Maker(), float(rng.uniform(0.25, 0.32))
    m.box((-0.11, -0.08, 0.0), (0.11, 0.08, 0.012), DARK)
    m.box((-0.025, -0.05, 0.012), (0.025, -0.025, 0.2), DARK)
    m.box((-x, -0.025, 0.12), (x, 0.015, 0.12 + x * 1.2), DARK)
    lit = (
        Material(SCREEN, (66, 128, 168), (206, 224, 232), 0.1, 0.5)
        if rng.random() < 0.6
        else Material(SCREEN, (24, 26, 32), (96, 108, 126))
    )
    m.box((-x + 0.012, 0.015, 0.132), (x - 0.012, 0.018, 0.108 + x * 1.2), lit)
    return Design(category="monitor", colour="black", material="plastic", solids=tuple(m.solids), has_front=True)


def laptop(rng: np.random.Generator) -> Design:
    """A base with a screen that leans back."""
    m = Maker()
    m.box((-0.17, -0.12, 0.0), (0.17, 0.12, 0.018), METAL)
    m.box((-0.145, -0.06, 0.018), (0.145, 0.04, 0.02), DARK)
    c, s = np.cos(np.radians(15.0)), np.sin(np.radians(15.0))
    turn = np.array([[1.0, 0.0, 0.0], [0.0, c, -s], [0.0, s, c]])
    m.box((-0.17, -0.155, 0.02), (0.17, -0.143, 0.24), METAL, turn=turn)
    centre = np.array([0.0, -0.149, 0.13]) + turn @ np.array([0.0, 0.007, 0.0])
    m.box(
        centre - [0.155, 0.001, 0.1], centre + [0.155, 0.001, 0.1], Material(SCREEN, (70, 120, 150), (210, 226, 232), 0.1, 0.5), turn=turn
    )
    return Design(category="laptop", colour="grey", material="metal", solids=tuple(m.solids), has_front=True)


def basket(rng: np.random.Generator) -> Design:
    """A woven basket with cloth in it."""
    m, radius, height = Maker(), float(rng.uniform(0.18, 0.24)), float(rng.uniform(0.26, 0.4))
    cane = Material(WOOD, (190, 150, 96), (150, 112, 66), 0.03, 0.0, int(rng.integers(1000)))
    m.rod((0.0, 0.0, 0.0), radius, height, cane)
    colour = one_of(rng, VIVID)
    m.ball((0.0, 0.0, height), (radius * 0.88, radius * 0.88, 0.07), Material(PLAIN, COLOURS[colour], COLOURS[colour]))
    return Design(category="basket", colour="beige", material="cane", solids=tuple(m.solids), has_front=False)


def picture(rng: np.random.Generator) -> Design:
    """A framed painting; on the wall its frame of reference starts at its own lower edge."""
    m, x, height = Maker(), float(rng.uniform(0.22, 0.5)), float(rng.uniform(0.4, 0.75))
    frame = wood_or_paint(rng, ("black", "white", "brown"), 0.4)
    m.box((-x, -0.015, 0.0), (x, 0.012, height), frame.material)
    art = Material(ART, (200, 200, 200), (120, 120, 120), 0.1, 0.0, int(rng.integers(100000)))
    m.box((-x + 0.035, 0.012, 0.035), (x - 0.035, 0.015, height - 0.035), art)
    return Design(category="picture", colour=frame.colour, material="canvas", solids=tuple(m.solids), has_front=True)


def mirror(rng: np.random.Generator) -> Design:
    """A pane in a frame, round or tall; it reflects nothing, it is pale."""
    m = Maker()
    pane = Material(SCREEN, (176, 196, 206), (232, 240, 244))
    frame = wood_or_paint(rng, ("black", "white", "yellow"), 0.4)
    if rng.random() < 0.4:
        r = float(rng.uniform(0.28, 0.36))
        m.bar((0.0, 0.0, r), r, 0.03, "y", frame.material)
        m.bar((0.0, 0.016, r), r - 0.03, 0.01, "y", pane)
    else:
        x, height = float(rng.uniform(0.24, 0.34)), float(rng.uniform(0.6, 0.95))
        m.box((-x, -0.015, 0.0), (x, 0.012, height), frame.material)
        m.box((-x + 0.03, 0.012, 0.03), (x - 0.03, 0.016, height - 0.03), pane)
    return Design(category="mirror", colour=frame.colour, material="glass", solids=tuple(m.solids), has_front=True)


def clock(rng: np.random.Generator) -> Design:
    """A round clock with two hands."""
    m, r = Maker(), float(rng.uniform(0.13, 0.19))
    rim = painted(one_of(rng, (*VIVID, "black")))
    m.bar((0.0, 0.0, r), r, 0.04, "y", rim.material)
    m.bar((0.0, 0.021, r), r * 0.86, 0.008, "y", CERAMIC)
    m.box((-0.008, 0.025, r), (0.008, 0.03, r + r * 0.65), DARK)
    m.box((0.0, 0.025, r - 0.008), (r * 0.5, 0.03, r + 0.008), DARK)
    return Design(category="clock", colour=rim.colour, material="plastic", solids=tuple(m.solids), has_front=True)


def toy_blocks(rng: np.random.Generator) -> Design:
    """Three stacked wooden cubes of different colours."""
    m, s, colour = Maker(), 0.06, one_of(rng, VIVID)
    for k, at in enumerate(((-0.065, 0.0, 0.0), (0.065, 0.01, 0.0), (0.0, 0.0, 0.12))):
        name = colour if k == 2 else one_of(rng, VIVID)
        paint = Material(PLAIN, COLOURS[name], COLOURS[name])
        m.box((at[0] - s, at[1] - s, at[2]), (at[0] + s, at[1] + s, at[2] + 2 * s), paint, turn=turn_z(float(rng.uniform(-10, 10))))
    return Design(category="toy blocks", colour=colour, material=timber(rng).name, solids=tuple(m.solids), has_front=False)
