"""Tables, desks and chests: things with a top."""

import numpy as np

from sightline.captures.procedural.furniture.design import (
    DARK,
    METAL,
    VIVID,
    Design,
    Maker,
    Top,
    one_of,
    painted,
    timber,
    wood_or_paint,
)
from sightline.captures.procedural.textures import BOOKS, PLAIN, Material


def dining_table(rng: np.random.Generator, *, is_small: bool = False) -> Design:
    """A rectangular top on four legs, or a round one on a column; small ones seat two."""
    finish, m = wood_or_paint(rng, ("white", "black", "turquoise"), 0.75), Maker()
    if rng.random() < 0.3 and not is_small:
        radius = float(rng.uniform(0.48, 0.6))
        m.rod((0.0, 0.0, 0.0), 0.26, 0.03, finish.material)
        m.rod((0.0, 0.0, 0.03), 0.05, 0.67, finish.material)
        m.rod((0.0, 0.0, 0.7), radius, 0.04, finish.material)
        reach = radius * 0.6
        top = Top(low=(-reach, -reach), high=(reach, reach), z_m=0.74)
    else:
        x, y = (0.42, 0.36) if is_small else (float(rng.uniform(0.6, 0.85)), float(rng.uniform(0.38, 0.46)))
        m.legs(x - 0.03, y - 0.03, 0.7, 0.07, finish.material)
        m.box((-x + 0.08, -y + 0.05, 0.62), (x - 0.08, y - 0.05, 0.7), finish.material)
        m.box((-x, -y, 0.7), (x, y, 0.74), finish.material)
        top = Top(low=(-x + 0.1, -y + 0.1), high=(x - 0.1, y - 0.1), z_m=0.74)
    return Design(category="table", colour=finish.colour, material=finish.name, solids=tuple(m.solids), has_front=False, tops=(top,))


def coffee_table(rng: np.random.Generator) -> Design:
    """A low table with a shelf, or a round one."""
    finish, m = wood_or_paint(rng, ("white", "black", "yellow"), 0.7), Maker()
    height = float(rng.uniform(0.38, 0.46))
    if rng.random() < 0.35:
        radius = float(rng.uniform(0.33, 0.42))
        m.legs(radius * 0.7, radius * 0.7, height - 0.03, 0.04, finish.material, is_round=True)
        m.rod((0.0, 0.0, height - 0.03), radius, 0.03, finish.material)
        x = y = radius * 0.65
    else:
        x, y = float(rng.uniform(0.42, 0.58)), float(rng.uniform(0.26, 0.33))
        m.legs(x, y, height - 0.04, 0.05, finish.material)
        m.box((-x, -y, height - 0.04), (x, y, height), finish.material)
        m.box((-x + 0.05, -y + 0.05, 0.12), (x - 0.05, y - 0.05, 0.14), finish.material)
        x, y = x - 0.06, y - 0.06
    top = Top(low=(-x, -y), high=(x, y), z_m=height)
    return Design(category="table", colour=finish.colour, material=finish.name, solids=tuple(m.solids), has_front=False, tops=(top,))


def desk(rng: np.random.Generator) -> Design:
    """A work top with a drawer block on one side and legs on the other."""
    top_finish, m = wood_or_paint(rng, ("white", "grey"), 0.7), Maker()
    body = painted(one_of(rng, ("white", "grey", "turquoise", "orange", "black")))
    x, y, height = float(rng.uniform(0.58, 0.75)), float(rng.uniform(0.29, 0.36)), 0.74
    m.box((-x, -y, height - 0.03), (x, y, height), top_finish.material)
    side = 1.0 if rng.random() < 0.5 else -1.0
    a, b = sorted((side * (x - 0.02), side * (x - 0.4)))
    m.box((a, -y + 0.02, 0.05), (b, y - 0.03, height - 0.03), body.material)
    for k in range(3):
        z = 0.09 + k * 0.205
        m.box((a + 0.015, y - 0.03, z), (b - 0.015, y - 0.012, z + 0.19), body.material)
        m.box(((a + b) / 2.0 - 0.06, y - 0.012, z + 0.13), ((a + b) / 2.0 + 0.06, y + 0.006, z + 0.145), DARK)
    for y_leg in (-y + 0.02, y - 0.07):
        c, d = sorted((-side * (x - 0.02), -side * (x - 0.07)))
        m.box((c, y_leg, 0.0), (d, y_leg + 0.05, height - 0.03), METAL)
    m.box((a + 0.02, -y + 0.05, 0.0), (b - 0.02, y - 0.08, 0.05), DARK)
    top = Top(low=(-x + 0.08, -y + 0.06), high=(x - 0.08, y - 0.06), z_m=height)
    return Design(
        category="desk",
        colour=top_finish.colour,
        material=top_finish.name,
        solids=tuple(m.solids),
        has_front=True,
        tops=(top,),
        clearance_m=0.75,
    )


def nightstand(rng: np.random.Generator) -> Design:
    """A small chest with one or two drawers."""
    finish = wood_or_paint(rng, ("white", *VIVID), 0.55)
    return _chest(
        rng,
        "nightstand",
        finish,
        half_x=float(rng.uniform(0.2, 0.25)),
        half_y=0.19,
        height=float(rng.uniform(0.45, 0.55)),
        rows=2,
        columns=1,
    )


def dresser(rng: np.random.Generator) -> Design:
    """A chest of drawers."""
    finish = wood_or_paint(rng, ("white", "turquoise", "green", "grey"), 0.55)
    return _chest(
        rng, "storage", finish, half_x=float(rng.uniform(0.42, 0.6)), half_y=0.22, height=float(rng.uniform(0.78, 0.98)), rows=4, columns=2
    )


def sideboard(rng: np.random.Generator) -> Design:
    """A long low cupboard."""
    finish = wood_or_paint(rng, ("white", "blue", "green", "red"), 0.6)
    return _chest(
        rng, "storage", finish, half_x=float(rng.uniform(0.6, 0.8)), half_y=0.21, height=float(rng.uniform(0.68, 0.8)), rows=1, columns=3
    )


def tv_stand(rng: np.random.Generator) -> Design:
    """A low cupboard for a television."""
    finish = wood_or_paint(rng, ("white", "black", "grey"), 0.6)
    return _chest(
        rng, "storage", finish, half_x=float(rng.uniform(0.65, 0.8)), half_y=0.2, height=float(rng.uniform(0.42, 0.5)), rows=1, columns=3
    )


def _chest(
    rng: np.random.Generator, category: str, finish, *, half_x: float, half_y: float, height: float, rows: int, columns: int
) -> Design:
    m, x, y, foot = Maker(), half_x, half_y, 0.09
    m.legs(x - 0.03, y - 0.03, foot, 0.04, DARK)
    m.box((-x + 0.01, -y, foot), (x - 0.01, y - 0.02, height - 0.025), finish.material)
    m.box((-x, -y, height - 0.025), (x, y, height), finish.material)
    wide, tall = 2.0 * (x - 0.02) / columns, (height - 0.035 - foot) / rows
    is_knob = rng.random() < 0.5
    for row in range(rows):
        for column in range(columns):
            a, z = -x + 0.02 + column * wide, foot + 0.005 + row * tall
            m.box((a + 0.006, y - 0.02, z + 0.006), (a + wide - 0.006, y - 0.003, z + tall - 0.006), finish.material)
            middle = (a + wide / 2.0, z + tall * (0.55 if rows > 1 else 0.85))
            if is_knob:
                m.ball((middle[0], y + 0.01, middle[1]), (0.015, 0.015, 0.015), METAL)
            else:
                m.box((middle[0] - 0.05, y - 0.003, middle[1] - 0.008), (middle[0] + 0.05, y + 0.015, middle[1] + 0.008), DARK)
    top = Top(low=(-x + 0.05, -y + 0.04), high=(x - 0.05, y - 0.05), z_m=height)
    return Design(
        category=category,
        colour=finish.colour,
        material=finish.name,
        solids=tuple(m.solids),
        has_front=True,
        tops=(top,),
        clearance_m=0.5,
    )


def bookshelf(rng: np.random.Generator) -> Design:
    """Boards with rows of books and some gaps."""
    finish = wood_or_paint(rng, ("white", "black"), 0.8)
    m, x, y, height = Maker(), float(rng.uniform(0.38, 0.55)), 0.15, float(rng.uniform(1.5, 2.0))
    m.box((-x, -y, 0.0), (-x + 0.025, y, height), finish.material)
    m.box((x - 0.025, -y, 0.0), (x, y, height), finish.material)
    m.box((-x, -y, 0.0), (x, -y + 0.015, height), finish.material)
    shelves = int(round(height / 0.36))
    inner = x - 0.025
    for k in range(shelves + 1):
        z = 0.06 + k * (height - 0.085) / shelves
        m.box((-inner, -y + 0.015, z), (inner, y - 0.005, z + 0.022), finish.material)
        if k == shelves:
            break
        room = (height - 0.085) / shelves - 0.03
        share = float(rng.uniform(0.5, 1.0))
        tall = room * float(rng.uniform(0.72, 0.92))
        seed = int(rng.integers(100000))
        spines = Material(BOOKS, (90, 74, 60), (90, 74, 60), 0.085, 0.0, seed)
        start = -inner if rng.random() < 0.5 else inner - 2.0 * inner * share
        m.box((start, -y + 0.03, z + 0.022), (start + 2.0 * inner * share, y - 0.05, z + 0.022 + tall), spines)
    top = Top(low=(-x + 0.05, -y + 0.05), high=(x - 0.05, y - 0.05), z_m=0.06 + (height - 0.085) + 0.022, headroom_m=0.4)
    return Design(
        category="bookshelf",
        colour=finish.colour,
        material=finish.name,
        solids=tuple(m.solids),
        has_front=True,
        tops=(top,) if height < 1.7 else (),
        clearance_m=0.5,
    )


def wardrobe(rng: np.random.Generator) -> Design:
    """A tall cupboard with two or three doors."""
    finish = wood_or_paint(rng, ("white", "white", "blue", "green", "grey"), 0.5)
    m, doors, height = Maker(), int(rng.integers(2, 4)), float(rng.uniform(1.9, 2.15))
    x, y = doors * float(rng.uniform(0.22, 0.27)), 0.29
    m.box((-x + 0.02, -y + 0.02, 0.0), (x - 0.02, y - 0.05, 0.07), DARK)
    m.box((-x, -y, 0.07), (x, y - 0.02, height), finish.material)
    wide = 2.0 * x / doors
    for k in range(doors):
        a = -x + k * wide
        m.box((a + 0.005, y - 0.02, 0.08), (a + wide - 0.005, y, height - 0.01), finish.material)
        grip = a + (wide - 0.06 if k % 2 == 0 else 0.04)
        m.box((grip, y, 0.95), (grip + 0.02, y + 0.025, 1.2), METAL)
    return Design(category="storage", colour=finish.colour, material=finish.name, solids=tuple(m.solids), has_front=True, clearance_m=0.55)


def shelf_rack(rng: np.random.Generator) -> Design:
    """An open rack on four posts with baskets."""
    finish, m = timber(rng), Maker()
    x, y, height = float(rng.uniform(0.3, 0.42)), 0.17, float(rng.uniform(0.9, 1.4))
    m.legs(x, y, height, 0.035, finish.material)
    basket = painted(one_of(rng, VIVID)).material
    levels = 3 if height > 1.1 else 2
    for k in range(levels):
        z = 0.12 + k * (height - 0.15) / (levels - 1) - (0.0 if k < levels - 1 else 0.025)
        m.box((-x + 0.01, -y + 0.01, z), (x - 0.01, y - 0.01, z + 0.025), finish.material)
        if k < levels - 1 and rng.random() < 0.8:
            side = 1.0 if rng.random() < 0.5 else -1.0
            a, b = sorted((side * 0.02, side * (x - 0.05)))
            m.box((a, -y + 0.04, z + 0.025), (b, y - 0.04, z + 0.2), basket)
    top = Top(low=(-x + 0.06, -y + 0.05), high=(x - 0.06, y - 0.05), z_m=0.12 + (height - 0.15), headroom_m=0.6)
    return Design(
        category="storage", colour=finish.colour, material="wood", solids=tuple(m.solids), has_front=True, tops=(top,), clearance_m=0.4
    )


def hanging_shelf(rng: np.random.Generator) -> Design:
    """A board on the wall with books on it; its frame starts at its own lower edge."""
    finish, m = timber(rng), Maker()
    x = float(rng.uniform(0.35, 0.5))
    m.box((-x, -0.11, 0.0), (x, 0.11, 0.03), finish.material)
    share = float(rng.uniform(0.4, 0.7))
    m.box(
        (-x + 0.04, -0.1, 0.03),
        (-x + 0.04 + 2.0 * x * share, 0.06, 0.24),
        Material(BOOKS, (90, 74, 60), (90, 74, 60), 0.08, 0.0, int(rng.integers(9999))),
    )
    m.rod((x - 0.12, 0.0, 0.03), 0.05, 0.12, Material(PLAIN, (200, 120, 60), (200, 120, 60)))
    return Design(category="shelf", colour=finish.colour, material="wood", solids=tuple(m.solids), has_front=True)
