"""What stands in which room: living rooms, bedrooms, kitchens, bathrooms, studies and dining rooms."""

from collections.abc import Callable, Sequence

import numpy as np

from sightline.captures.capture import Room
from sightline.captures.procedural.furniture import bathroom, kitchen, living, seating, small, tables
from sightline.captures.procedural.furniture.design import Design
from sightline.captures.procedural.placement import Furnisher, Placed

Builder = Callable[[np.random.Generator], Design]
FLOOR_THINGS: tuple[Builder, ...] = (small.carton, small.ball, small.bin_, small.basket, seating.stool, small.toy_blocks, seating.pouf)
TABLE_THINGS: tuple[Builder, ...] = (small.vase, small.book, small.cup, small.bowl, small.bottle)
WALL_Z_M = (1.2, 1.45)


def furnish(furnisher: Furnisher) -> None:
    """Fill every room of the flat."""
    recipes = {
        "living room": _living_room,
        "bedroom": _bedroom,
        "kitchen": _kitchen,
        "bathroom": _bathroom,
        "study": _study,
        "dining room": _dining_room,
    }
    for room in furnisher.plan.structure.rooms:
        recipes[room.label](furnisher, room)
        _finish(furnisher, room)


def _area_m2(room: Room) -> float:
    x, y = room.outline_world.T
    return float(0.5 * abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))))


def _living_room(f: Furnisher, room: Room) -> None:
    rng, area = f.rng, _area_m2(room)
    if area > 13.0 and f.wants(0.4):
        f.against_wall(living.stairs(rng, rise_to_m=f.plan.height_m - 0.02), room, in_corner=True)
    sofa = f.somewhere_along_walls(seating.sofa, room, score=_openness(f, room))
    if sofa is not None:
        table = f.before(sofa, tables.coffee_table(rng), room, gap_m=float(rng.uniform(0.38, 0.5)), facing=False)
        spot = (table or sofa).world_from_object[:3, 3].copy()
        spot[2] = 0.0
        if f.wants(0.85):
            half_x, half_y = float(rng.uniform(0.9, 1.15)), float(rng.uniform(0.55, 0.7))
            spot += sofa.front_world * (0.12 if table is not None else 1.2)
            f.at(living.rug(rng, half_x=half_x, half_y=half_y), room, spot_world=spot, yaw_rad=sofa.yaw_rad)
        if table is not None:
            _scatter(f, table, TABLE_THINGS, 3)
        for x in (-0.6, 0.6):
            if f.wants(0.75):
                f.on_top(sofa, seating.cushion(rng), at=(x * sofa.design.high[0], sofa.design.tops[0].low[1] + 0.11), jitter_deg=8.0)
        facing = _facing(sofa)
        stand = f.against_wall(tables.tv_stand(rng), room, score=facing)
        if stand is not None:
            f.on_top(stand, living.television(rng), facing=True, at=(0.0, 0.0))
        for _ in range(2 if area > 16.0 else 1):
            if f.wants(0.8):
                armchair = f.on_floor(seating.armchair(rng), room, yaw_step_deg=45.0, score=_towards(sofa))
                if armchair is not None and f.wants(0.5):
                    f.on_top(armchair, seating.cushion(rng), at=(0.0, armchair.design.tops[0].low[1] + 0.1), jitter_deg=6.0)
    if f.wants(0.5):
        f.against_wall(living.fireplace(rng), room)
    for _ in range(2):
        if f.wants(0.7):
            f.against_wall(tables.bookshelf(rng), room, in_corner=bool(rng.random() < 0.5))
    if area > 14.0 and f.wants(0.6):
        _dining_set(f, room)
    if f.wants(0.85):
        f.against_wall(living.floor_lamp(rng), room, in_corner=True)
    if f.wants(0.85):
        f.against_wall(living.plant(rng, height=float(rng.uniform(0.9, 1.4))), room, in_corner=True)
    if f.wants(0.4):
        side = f.against_wall(tables.sideboard(rng), room)
        if side is not None:
            _scatter(f, side, (*TABLE_THINGS, living.table_lamp), 3)


def _bedroom(f: Furnisher, room: Room) -> None:
    rng = f.rng
    bed = f.somewhere_along_walls(seating.bed, room, score=_openness(f, room), tries=6)
    if bed is not None:
        stand = tables.nightstand(rng)
        for side in (-1.0, 1.0):
            if f.wants(0.9):
                one = f.beside(bed, stand, room, side=side, gap_m=0.04)
                if one is not None and f.wants(0.85):
                    f.on_top(one, living.table_lamp(rng), at=(0.0, 0.0))
                elif one is not None:
                    _scatter(f, one, TABLE_THINGS, 1)
        if f.wants(0.6):
            f.on_top(bed, seating.cushion(rng), at=(float(rng.uniform(-0.2, 0.2)), -0.28), jitter_deg=12.0)
    f.somewhere_along_walls(tables.wardrobe, room)
    if f.wants(0.8):
        chest = f.against_wall(tables.dresser(rng), room)
        if chest is not None:
            _scatter(f, chest, (*TABLE_THINGS, living.table_lamp), 2)
    if f.wants(0.45):
        _desk_set(f, room)
    if f.wants(0.5):
        f.against_wall(seating.armchair(rng), room)
    if f.wants(0.6):
        f.against_wall(small.basket(rng), room)
    if f.wants(0.6):
        f.on_floor(living.rug(rng, half_x=float(rng.uniform(0.6, 0.9)), half_y=float(rng.uniform(0.4, 0.55))), room, yaw_step_deg=90.0)
    if f.wants(0.6):
        f.against_wall(living.plant(rng, height=float(rng.uniform(0.7, 1.2))), room, in_corner=True)
    _hang(f, room, small.mirror, 1, z_m=0.9)


def _kitchen(f: Furnisher, room: Room) -> None:
    rng = f.rng
    _kitchen_run(f, room)
    f.somewhere_along_walls(kitchen.refrigerator, room)
    if f.wants(0.95):
        _dining_set(f, room)
    if f.wants(0.4):
        f.against_wall(bathroom.washer_dryer(rng), room)
    if f.wants(0.5):
        rack = f.against_wall(tables.shelf_rack(rng), room)
        if rack is not None:
            _scatter(f, rack, TABLE_THINGS, 2)
    if f.wants(0.8):
        f.against_wall(small.bin_(rng), room)
    if f.wants(0.5):
        f.against_wall(living.plant(rng, height=float(rng.uniform(0.7, 1.1))), room, in_corner=True)
    _hang(f, room, small.clock, 1, z_m=1.75)


def _kitchen_run(f: Furnisher, room: Room) -> None:
    """Kitchen units side by side along one wall, hanging cupboards above."""
    rng, finish, top = f.rng, kitchen.kitchen_finish(f.rng), kitchen.work_top(f.rng)
    for count in (6, 5, 4, 3):
        middle = [kitchen.oven(top), kitchen.cupboard(finish, top), kitchen.dishwasher(rng, top)]
        units = [kitchen.sink_unit(finish, top), *(middle[int(i)] for i in rng.permutation(3))][: max(count, 3)]
        if count == 3:
            units = [kitchen.cupboard(finish, top), kitchen.oven(top), kitchen.sink_unit(finish, top)]
        units += [kitchen.cupboard(finish, top) for _ in range(count - len(units))]
        units = [units[int(i)] for i in rng.permutation(len(units))]
        before = len(f.placed)
        first = f.against_wall(units[0], room, score=_run_score(f, room, count), every_m=0.1)
        if first is None:
            continue
        run = [first]
        for unit in units[1:]:
            one = f.beside(run[-1], unit, room, side=1.0, gap_m=0.0)
            if one is None:
                break
            run.append(one)
        if len(run) == count:
            break
        del f.placed[before:]
    else:
        return
    for unit in run:
        spot = unit.world_from_object[:3, 3].copy()
        if unit.design.category == "oven":
            f.on_top(unit, kitchen.stove(rng), facing=True, at=(0.0, 0.0))
            spot[2] = 1.55
            _hang_at(f, room, kitchen.hood(rng), unit, spot)
        elif f.wants(0.8):
            spot[2] = 1.45
            _hang_at(f, room, kitchen.wall_cupboard(finish, kitchen.UNIT_M), unit, spot)
        if unit.design.category != "oven" and unit.design.tops and f.wants(0.8):
            _scatter(f, unit, (kitchen.kettle, *TABLE_THINGS), 1)


def _run_score(f: Furnisher, room: Room, count: int) -> Callable[[Placed], float]:
    """Starts from which a whole run fits: as far to the left as its length needs, the longest wall first."""

    def score(first: Placed) -> float:
        pose = first.world_from_object
        fitting = 0
        for k in range(1, count):
            probe = Placed(
                design=first.design,
                world_from_object=np.block([[pose[:3, :3], (pose[:3, 3] + pose[:3, 0] * kitchen.UNIT_M * k)[:, None]], [pose[3:]]]),
                room_index=room.room_index,
            )
            if not f.fits(probe, room):
                break
            fitting += 1
        return float(fitting)

    return score


def _hang_at(f: Furnisher, room: Room, design: Design, below: Placed, spot: np.ndarray) -> None:
    """On the wall behind a floor unit."""
    spot = spot + below.front_world * (below.design.low[1] - design.low[1])
    f.at(design, room, spot_world=spot, yaw_rad=below.yaw_rad)


def _bathroom(f: Furnisher, room: Room) -> None:
    rng = f.rng
    f.somewhere_along_walls(bathroom.bathtub, room)
    f.somewhere_along_walls(bathroom.toilet, room)
    basin = f.somewhere_along_walls(bathroom.washbasin, room)
    if basin is not None:
        mirror = small.mirror(rng)
        spot = basin.world_from_object[:3, 3] + basin.front_world * (basin.design.low[1] - mirror.low[1])
        spot[2] = 1.15
        f.at(mirror, room, spot_world=spot, yaw_rad=basin.yaw_rad)
    if f.wants(0.85):
        washer = f.against_wall(bathroom.washer_dryer(rng), room)
        if washer is not None:
            _scatter(f, washer, (small.bottle, small.carton), 1)
    if f.wants(0.7):
        rack = f.against_wall(tables.shelf_rack(rng), room)
        if rack is not None:
            _scatter(f, rack, (small.bottle, small.cup), 2)
    if f.wants(0.8):
        f.on_floor(living.rug(rng, half_x=0.45, half_y=0.3), room, yaw_step_deg=90.0)
    if f.wants(0.6):
        f.against_wall(small.basket(rng), room)
    _hang(f, room, bathroom.towel_rail, 2, z_m=0.95)


def _study(f: Furnisher, room: Room) -> None:
    rng = f.rng
    _desk_set(f, room)
    for _ in range(2):
        f.against_wall(tables.bookshelf(rng), room, in_corner=bool(rng.random() < 0.6))
    if f.wants(0.5):
        _desk_set(f, room)
    if f.wants(0.7):
        f.on_floor(seating.armchair(rng), room, yaw_step_deg=45.0, score=_openness(f, room))
    if f.wants(0.7):
        chest = f.against_wall(tables.dresser(rng), room)
        if chest is not None:
            _scatter(f, chest, (*TABLE_THINGS, living.table_lamp, small.carton), 3)
    if f.wants(0.7):
        f.against_wall(living.floor_lamp(rng), room, in_corner=True)
    if f.wants(0.7):
        f.against_wall(living.plant(rng, height=float(rng.uniform(0.8, 1.3))), room, in_corner=True)
    if f.wants(0.6):
        f.on_floor(living.rug(rng, half_x=float(rng.uniform(0.7, 1.0)), half_y=float(rng.uniform(0.5, 0.6))), room, yaw_step_deg=90.0)


def _dining_room(f: Furnisher, room: Room) -> None:
    rng = f.rng
    _dining_set(f, room)
    side = f.against_wall(tables.sideboard(rng), room)
    if side is not None:
        _scatter(f, side, (*TABLE_THINGS, living.table_lamp), 4)
    if f.wants(0.5):
        f.against_wall(tables.bookshelf(rng), room, in_corner=True)
    if f.wants(0.5):
        f.against_wall(seating.bench(rng), room)
    if f.wants(0.5):
        f.against_wall(living.fireplace(rng), room)
    if f.wants(0.8):
        f.against_wall(living.plant(rng, height=float(rng.uniform(0.9, 1.4))), room, in_corner=True)


def _dining_set(f: Furnisher, room: Room) -> None:
    """A table with equal chairs around it."""
    rng = f.rng
    for margin_m, is_small in ((0.62, False), (0.5, False), (0.5, True), (0.3, True)):
        table = f.on_floor(tables.dining_table(rng, is_small=is_small), room, margin_m=margin_m, yaw_step_deg=90.0, tries=80)
        if table is not None:
            break
    else:
        return
    design = seating.chair(rng)
    x, y = table.design.high[0], table.design.high[1]
    places = [(0.0, y, 180.0), (0.0, -y, 0.0), (x, 0.0, 90.0), (-x, 0.0, -90.0)]
    if x > y + 0.1:
        aside = x * 0.48
        places = [(-aside, y, 180.0), (aside, y, 180.0), (-aside, -y, 0.0), (aside, -y, 0.0), (x, 0.0, 90.0), (-x, 0.0, -90.0)]
    for px, py, yaw_deg in places:
        if not f.wants(0.85):
            continue
        away = np.array([px if abs(yaw_deg) == 90.0 else 0.0, py if abs(yaw_deg) != 90.0 else 0.0])
        away /= np.hypot(*away)
        local = np.array([px, py, 0.0]) + np.array([*away, 0.0]) * (design.high[1] + float(rng.uniform(0.03, 0.14)))
        spot = table.world_from_object[:3, :3] @ local + table.world_from_object[:3, 3]
        yaw_rad = table.yaw_rad + np.radians(yaw_deg + rng.uniform(-10.0, 10.0))
        f.at(design, room, spot_world=spot, yaw_rad=float(yaw_rad))
    _scatter(f, table, TABLE_THINGS, 3)


def _desk_set(f: Furnisher, room: Room) -> None:
    rng = f.rng
    desk = f.against_wall(tables.desk(rng), room)
    if desk is None:
        return
    f.before(
        desk,
        seating.chair(rng),
        room,
        gap_m=float(rng.uniform(0.03, 0.15)),
        facing=True,
        aside_m=float(rng.uniform(-0.15, 0.15)),
        jitter_deg=14.0,
    )
    screen = small.monitor(rng) if rng.random() < 0.65 else small.laptop(rng)
    f.on_top(desk, screen, facing=True, at=(float(rng.uniform(-0.15, 0.15)), -0.06))
    if f.wants(0.6):
        f.on_top(desk, living.table_lamp(rng), at=(float(rng.choice([-1.0, 1.0])) * (desk.design.high[0] - 0.15), -0.08))
    _scatter(f, desk, (small.book, small.cup, small.vase), 2)
    if f.wants(0.5):
        f.against_wall(small.bin_(rng), room)


def _finish(f: Furnisher, room: Room) -> None:
    """Things that any room may have: pictures, radiators, things lying on the floor."""
    rng = f.rng
    for opening in f.plan.structure.openings:
        if opening.kind == "window" and opening.rooms[0] == room.room_index and f.wants(0.5):
            _radiator(f, room, opening.centre_world)
    if room.label not in ("bathroom", "kitchen"):
        _hang(f, room, small.picture, 3)
        if f.wants(0.3):
            _hang(f, room, small.clock, 1, z_m=1.7)
        if f.wants(0.4):
            _hang(f, room, tables.hanging_shelf, 1, z_m=1.35)
    count = int(rng.integers(2, 5)) if _area_m2(room) > 8.0 else int(rng.integers(1, 3))
    for builder in (FLOOR_THINGS[int(i)] for i in rng.permutation(len(FLOOR_THINGS))[: max(count, 1)]):
        if not f.wants(0.85):
            continue
        for _ in range(1 + int(rng.random() < 0.45)):
            if rng.random() < 0.6:
                f.against_wall(builder(rng), room)
            else:
                f.on_floor(builder(rng), room, margin_m=0.12)


def _radiator(f: Furnisher, room: Room, window: np.ndarray) -> None:
    def nearness(one: Placed) -> float:
        return -float(np.hypot(*(one.world_from_object[:2, 3] - window[:2])))

    f.against_wall(living.radiator(f.rng), room, z_m=0.12, score=nearness)


def _hang(f: Furnisher, room: Room, builder: Builder, count: int, *, z_m: float | None = None) -> None:
    for _ in range(count):
        if f.wants(0.8):
            height = float(f.rng.uniform(*WALL_Z_M)) if z_m is None else z_m
            f.against_wall(builder(f.rng), room, z_m=height)


def _scatter(f: Furnisher, parent: Placed, builders: Sequence[Builder], most: int) -> None:
    for _ in range(int(f.rng.integers(1, most + 1))):
        if f.wants(0.9):
            f.on_top(parent, builders[int(f.rng.integers(len(builders)))](f.rng))


def _openness(f: Furnisher, room: Room) -> Callable[[Placed], float]:
    """Prefer places that look along the room."""
    middle = room.outline_world.mean(axis=0)
    noise = f.rng.uniform(0.0, 0.6, 4096)

    def score(one: Placed) -> float:
        towards = middle - one.world_from_object[:2, 3]
        which = int(abs(one.world_from_object[0, 3] * 917.0 + one.world_from_object[1, 3] * 331.0)) % 4096
        return float(towards @ one.front_world[:2]) + float(noise[which])

    return score


def _facing(anchor: Placed) -> Callable[[Placed], float]:
    """Prefer places straight before the anchor that look back at it."""

    def score(one: Placed) -> float:
        between = one.world_from_object[:2, 3] - anchor.world_from_object[:2, 3]
        ahead = float(between @ anchor.front_world[:2])
        aside = abs(float(between @ anchor.world_from_object[:2, 0]))
        return -aside - 2.0 * float(one.front_world[:2] @ anchor.front_world[:2]) + min(ahead, 2.0)

    return score


def _towards(anchor: Placed) -> Callable[[Placed], float]:
    """Prefer places one to two metres before the anchor whose front looks at it."""

    def score(one: Placed) -> float:
        target = anchor.world_from_object[:2, 3] + 0.9 * anchor.front_world[:2]
        between = target - one.world_from_object[:2, 3]
        distance = float(np.hypot(*between))
        return float(between @ one.front_world[:2]) / max(distance, 1e-6) - abs(distance - 1.3)

    return score
