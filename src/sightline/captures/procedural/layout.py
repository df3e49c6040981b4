"""Floor plans: a flat of 1 to 4 rectilinear rooms with walls, doors, windows and open passages."""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from sightline.captures.capture import Opening, Room, Structure, Wall

CELL_M = 0.1
OUTSIDE = -1
NARROWEST_M = 1.7  # no part of a room is narrower than this
DOOR_MARGIN_M = 0.25  # between an opening and the end of its wall
DOOR_HEIGHT_M = 2.05


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Plan:
    """A flat before furniture: the label of every cell, and the structure it means."""

    labels: np.ndarray  # (X, Y) int32 room index, OUTSIDE beyond; cell edges are the centre lines of walls
    origin_world: np.ndarray  # (2,) corner of cell (0, 0)
    structure: Structure
    entrance: Opening  # the closed door to the world outside

    @property
    def height_m(self) -> float:
        return self.structure.rooms[0].ceiling_z_m


@dataclass(frozen=True, kw_only=True, slots=True)
class Segment:
    """A straight piece of wall between two labels: at `fixed` on one axis, from `start` to `end` on the other, in cells."""

    axis: int  # 0: the wall stands at a constant x
    fixed: int
    start: int
    end: int
    low: int  # label on the side of smaller coordinates
    high: int

    @property
    def length_m(self) -> float:
        return (self.end - self.start) * CELL_M


def draw_plan(rng: np.random.Generator, num_rooms: int) -> Plan:
    """A flat of `num_rooms` rooms in which every room can be reached."""
    while True:
        labels = _jogged(_split(rng, num_rooms), rng)
        segments = wall_segments(labels)
        links = _links(segments, num_rooms, rng)
        if links is not None:
            break
    names = _room_names(labels, num_rooms, rng)
    thickness_m = float(rng.choice([0.1, 0.12, 0.14]))
    height_m = float(np.round(rng.uniform(2.45, 2.75), 2))
    origin = -np.array(labels.shape) * CELL_M / 2.0
    walls = tuple(_wall(i, segment, origin, thickness_m, height_m) for i, segment in enumerate(segments))
    rooms = tuple(
        Room(
            room_index=index,
            label=names[index],
            outline_world=inset(trace(labels == index) * CELL_M + origin, thickness_m / 2.0),
            floor_z_m=0.0,
            ceiling_z_m=height_m,
        )
        for index in range(num_rooms)
    )
    openings, entrance = _openings(segments, walls, links, names, height_m, rng)
    return Plan(
        labels=labels, origin_world=origin, structure=Structure(rooms=rooms, walls=walls, openings=tuple(openings)), entrance=entrance
    )


def _split(rng: np.random.Generator, num_rooms: int) -> np.ndarray:
    sides_m = {1: ((3.9, 5.6), (3.6, 5.0)), 2: ((6.4, 8.6), (3.6, 4.8)), 3: ((7.0, 9.0), (5.4, 6.6)), 4: ((7.4, 9.2), (6.4, 7.6))}
    (low_x, high_x), (low_y, high_y) = sides_m[num_rooms]
    width, depth = int(rng.uniform(low_x, high_x) / CELL_M), int(rng.uniform(low_y, high_y) / CELL_M)
    labels = np.zeros((width, depth), dtype=np.int32)
    if num_rooms >= 2:
        labels[int(width * rng.uniform(0.42, 0.6)) :] = 1
    if num_rooms >= 3:
        column = labels[:, 0] == int(rng.integers(2))
        labels[np.ix_(column, np.arange(depth) >= int(depth * rng.uniform(0.42, 0.58)))] = 2
    if num_rooms == 4:
        column = labels[:, -1] != 2
        labels[np.ix_(column, np.arange(depth) >= int(depth * rng.uniform(0.42, 0.58)))] = 3
    if rng.random() < 0.5:
        labels = labels[::-1]
    if rng.random() < 0.5:
        labels = labels.T
    return np.ascontiguousarray(labels)


def _jogged(labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Corners given to the world outside or to a neighbour, so that outlines are not rectangles."""
    wanted = 1 + int(rng.integers(2))
    for _ in range(40):
        if not wanted:
            break
        changed = labels.copy()
        giver = int(rng.integers(labels.max() + 1))
        cells = np.argwhere(labels == giver)
        low, high = cells.min(axis=0), cells.max(axis=0) + 1
        bite = (rng.uniform(0.22, 0.42, 2) * (high - low)).astype(int)
        if bite.min() < 7:
            continue
        at_low = rng.random(2) < 0.5
        a = np.where(at_low, low, high - bite)
        window = (slice(a[0], a[0] + bite[0]), slice(a[1], a[1] + bite[1]))
        beyond = np.where(at_low, low - 1, high)
        axis = int(rng.integers(2))
        beside = np.where(np.arange(2) == axis, beyond, a + bite // 2)
        inside = (beside >= 0).all() and (beside < labels.shape).all()
        taker = int(labels[tuple(beside)]) if inside else OUTSIDE
        changed[window][labels[window] == giver] = taker
        if _is_sound(changed):
            labels = changed
            wanted -= 1
    return labels


def _is_sound(labels: np.ndarray) -> bool:
    """Every room in one piece, nowhere narrow, no corners that only touch; the outside has no pockets."""
    side = int(NARROWEST_M / CELL_M)
    for index in range(labels.max() + 1):
        room = np.pad(labels == index, side)
        if ndimage.label(room)[1] != 1 or not np.array_equal(ndimage.binary_opening(room, np.ones((side, side))), room):
            return False
    outside = np.pad(labels == OUTSIDE, 1, constant_values=True)
    if ndimage.label(outside)[1] != 1:
        return False
    padded = np.pad(labels, 1, constant_values=OUTSIDE)
    a, b, c, d = padded[:-1, :-1], padded[1:, :-1], padded[:-1, 1:], padded[1:, 1:]
    return not bool((((a == d) & (a != b) & (a != c)) | ((b == c) & (b != a) & (b != d))).any())


def wall_segments(labels: np.ndarray) -> list[Segment]:
    """Every straight boundary between two labels, in a fixed order."""
    padded = np.pad(labels, 1, constant_values=OUTSIDE)
    segments = []
    for axis in (0, 1):
        grid = padded if axis == 0 else padded.T
        for fixed in range(grid.shape[0] - 1):
            pairs = list(zip(grid[fixed].tolist(), grid[fixed + 1].tolist()))
            start = 0
            for at in range(1, len(pairs) + 1):
                if at == len(pairs) or pairs[at] != pairs[start]:
                    low, high = pairs[start]
                    if low != high:
                        segments.append(Segment(axis=axis, fixed=fixed, start=start - 1, end=at - 1, low=low, high=high))
                    start = at
    return segments


def trace(region: np.ndarray) -> np.ndarray:
    """Corners `(N, 2)` in cells of a region without holes, counter-clockwise, no corner on a straight line."""
    padded = np.pad(region, 1)
    following: dict[tuple[int, int], tuple[int, int]] = {}
    for x, y in np.argwhere(padded):
        here = (int(x) - 1, int(y) - 1)
        for (dx, dy), a, b in (((0, -1), (0, 0), (1, 0)), ((1, 0), (1, 0), (1, 1)), ((0, 1), (1, 1), (0, 1)), ((-1, 0), (0, 1), (0, 0))):
            if not padded[x + dx, y + dy]:
                following[(here[0] + a[0], here[1] + a[1])] = (here[0] + b[0], here[1] + b[1])
    first = min(following)
    corners, at = [first], following[first]
    while at != first:
        corners.append(at)
        at = following[at]
    points = np.array(corners)
    before, after = points - np.roll(points, 1, axis=0), np.roll(points, -1, axis=0) - points
    turns = before[:, 0] * after[:, 1] - before[:, 1] * after[:, 0]
    return points[turns != 0].astype(np.float64)


def inset(outline: np.ndarray, by_m: float) -> np.ndarray:
    """A rectilinear counter-clockwise outline with every side moved inwards."""
    ahead = np.roll(outline, -1, axis=0) - outline
    ahead /= np.linalg.norm(ahead, axis=1, keepdims=True)
    inward = np.stack([-ahead[:, 1], ahead[:, 0]], axis=1)
    return outline + by_m * (inward + np.roll(inward, 1, axis=0))


def _wall(wall_id: int, segment: Segment, origin: np.ndarray, thickness_m: float, height_m: float) -> Wall:
    a, b = np.zeros(3), np.zeros(3)
    along = 1 - segment.axis
    a[segment.axis] = b[segment.axis] = segment.fixed * CELL_M + origin[segment.axis]
    a[along], b[along] = segment.start * CELL_M + origin[along], segment.end * CELL_M + origin[along]
    return Wall(wall_id=wall_id, a_world=a, b_world=b, height_m=height_m, thickness_m=thickness_m)


def _links(segments: list[Segment], num_rooms: int, rng: np.random.Generator) -> list[int] | None:
    """Segments that get a passage: a tree over the rooms, sometimes one more. None when some room cannot be reached."""
    inner = [i for i, s in enumerate(segments) if s.low >= 0 and s.high >= 0 and s.length_m >= 1.6]
    chosen: list[int] = []
    joined = {0}
    while len(joined) < num_rooms:
        grow = [i for i in inner if (segments[i].low in joined) != (segments[i].high in joined)]
        if not grow:
            return None
        pick = grow[int(rng.integers(len(grow)))]
        chosen.append(pick)
        joined |= {segments[pick].low, segments[pick].high}
    paired = {frozenset((segments[i].low, segments[i].high)) for i in chosen}
    spare = [i for i in inner if frozenset((segments[i].low, segments[i].high)) not in paired]
    if spare and rng.random() < 0.35:
        chosen.append(spare[int(rng.integers(len(spare)))])
    return chosen


def rooms_reached(structure: Structure) -> set[int]:
    """Rooms that can be walked to from room 0."""
    reached = {0}
    passages = [set(opening.rooms) for opening in structure.openings if opening.kind != "window" and len(opening.rooms) == 2]
    for _ in passages:
        for pair in passages:
            if pair & reached:
                reached |= pair
    return reached


def _room_names(labels: np.ndarray, num_rooms: int, rng: np.random.Generator) -> list[str]:
    """The largest room is for living, the smallest is the bathroom where there is one."""
    if num_rooms == 1:
        return [str(rng.choice(["living room", "bedroom", "kitchen", "study"]))]
    by_size = np.argsort([-(labels == index).sum() for index in range(num_rooms)], kind="stable")
    others = {
        2: [str(rng.choice(["kitchen", "kitchen", "bedroom", "bathroom", "study"]))],
        3: ["kitchen", str(rng.choice(["bedroom", "bathroom", "bathroom", "study", "dining room"]))],
        4: ["kitchen", "bedroom", str(rng.choice(["bathroom", "bathroom", "study", "dining room"]))],
    }
    picks = [str(name) for name in rng.permutation(others[num_rooms])]
    if "bathroom" in picks:  # baths are small
        picks.remove("bathroom")
        picks.append("bathroom")
    names = [""] * num_rooms
    for index, name in zip(by_size, ["living room", *picks]):
        names[int(index)] = str(name)
    return names


def _openings(
    segments: list[Segment], walls: tuple[Wall, ...], links: list[int], names: list[str], height_m: float, rng: np.random.Generator
) -> tuple[list[Opening], Opening]:
    openings = []
    for index in links:
        segment = segments[index]
        private = {"bedroom", "bathroom", "study"} & {names[segment.low], names[segment.high]}
        if private or segment.length_m < 2.0 or rng.random() < 0.25:
            kind, width_m, top_m = "door", float(rng.choice([0.9, 0.95, 1.0])), DOOR_HEIGHT_M
        else:
            kind, width_m, top_m = "opening", float(np.round(rng.uniform(1.1, min(1.9, segment.length_m - 0.7)), 2)), 2.2
        openings.append(_opening(kind, segment, walls[index], width_m, 0.0, top_m, rng))
    outer = [i for i, s in enumerate(segments) if OUTSIDE in (s.low, s.high)]
    public = [
        i for i in outer if segments[i].length_m >= 1.7 and names[max(segments[i].low, segments[i].high)] in ("living room", "kitchen")
    ]
    doors = public or [i for i in outer if segments[i].length_m >= 1.7]
    entry = min(doors, key=lambda i: (segments[i].length_m, i))
    entrance = _opening("door", segments[entry], walls[entry], 0.95, 0.0, DOOR_HEIGHT_M, rng)
    for room in range(len(names)):
        mine = [i for i in outer if i != entry and max(segments[i].low, segments[i].high) == room and segments[i].length_m >= 1.8]
        mine.sort(key=lambda i: (-segments[i].length_m, i))
        for index in mine[: 1 if names[room] == "bathroom" or rng.random() < 0.6 else 2]:
            low, high = {"bathroom": (0.5, 0.7)}.get(names[room], (1.1, 1.9))
            sill_m = {"bathroom": 1.35, "kitchen": 1.2}.get(names[room], float(rng.choice([0.75, 0.9])))
            width_m = float(np.round(min(rng.uniform(low, high), segments[index].length_m - 0.7), 2))
            openings.append(_opening("window", segments[index], walls[index], width_m, sill_m, min(2.15, height_m - 0.2), rng))
    return [*openings, entrance], entrance


def _opening(kind: str, segment: Segment, wall: Wall, width_m: float, bottom_m: float, top_m: float, rng: np.random.Generator) -> Opening:
    margin = DOOR_MARGIN_M + wall.thickness_m / 2.0 + width_m / 2.0
    if kind == "window":
        margin = max(margin, segment.length_m * 0.35)  # windows near the middle leave walls for furniture
    margin = min(margin, segment.length_m / 2.0)
    at_m = rng.uniform(margin, segment.length_m - margin)
    centre = wall.a_world + (wall.b_world - wall.a_world) * (at_m / segment.length_m)
    centre[2] = (bottom_m + top_m) / 2.0
    rooms = tuple(label for label in (segment.low, segment.high) if label >= 0)
    return Opening(kind=kind, wall_id=wall.wall_id, centre_world=centre, width_m=width_m, height_m=top_m - bottom_m, rooms=rooms)
