"""Where someone stands in a described situation, which way they face, and on which side of them an object lies beyond doubt."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import hypot

import numpy as np

from sightline.captures.capture import SceneObject
from sightline.facts.fact import FactTable
from sightline.facts.free_space import FREE, HIGH_M, LOW_M, SHELL

STAND_OFF_M = 0.4  # from an object's side to the middle of someone who stands beside it
HALF_BODY_M = 0.2  # from the middle of someone to their side: nothing may be in there
MOST_HALFWAY_M = 0.25  # by which halfway between two objects' sides and halfway between their middles may differ
OVERHEAD_M = 2.0  # above the floor: nobody faces what hangs as high as a ceiling light, or turns from it
FOOT_M, TALL_M = 0.5, 0.3  # one stands beside what begins at most this high over the floor and is at least this tall itself
SIDES = ("front", "left", "behind", "right")  # each a quarter, counter-clockwise, the first round straight ahead
SIDE_WORDS = {"front": "in front of you", "left": "to your left", "behind": "behind you", "right": "to your right"}
KINDS = ("beside", "away", "halfway")

STANCE_MARGINS: Mapping[str, float] = {
    "place_error_m": 0.25,  # a reader may put themselves this far from the place that is meant; no answer changes by it
    "min_ahead_m": 0.6,  # from the place to the object that is faced or turned from: else the heading hangs on the exact place
    "min_apart_m": 0.6,  # from the place to what is asked for: what one almost touches is on several sides
    "min_visible_share": 0.2,  # of an object's points, in an image that is said to show it
}

SITUATIONS = {
    "beside": (
        "You are standing beside {a}, on the side nearest {b}, which you face.",
        "Imagine standing next to {a}, on the side towards {b}, looking at {b}.",
    ),
    "away": (
        "You are standing beside {a}, on the side nearest {b}, to which you turn your back.",
        "Imagine standing next to {a}, on the side towards {b}, facing away from {b}.",
    ),
    "halfway": (
        "You are standing halfway between {a} and {b}, facing {b}.",
        "Imagine standing in the middle between {a} and {b}, looking at {b}.",
    ),
}
WORDINGS = sum(len(one) for one in SITUATIONS.values())


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Stance:
    """A described place and heading on the floor plan."""

    kind: str  # of KINDS
    beside: int  # object id
    towards: int  # object id
    place_world: np.ndarray  # (2,)
    towards_world: np.ndarray  # (2,) middle of that object

    @property
    def turn(self) -> float:
        """1 facing the object `towards`, -1 facing away from it."""
        return -1.0 if self.kind == "away" else 1.0

    def situation(self, names: Sequence[str], rng: np.random.Generator) -> tuple[str, int]:
        """The words that put someone there, of the names of both objects, and their number."""
        index = int(rng.integers(len(SITUATIONS[self.kind])))
        before = sum(len(SITUATIONS[kind]) for kind in KINDS[: KINDS.index(self.kind)])
        text = SITUATIONS[self.kind][index].format(a=names[0], b=names[1])
        return text, before + index


class Floor:
    """The floor plan of a scan: footprints of its objects, what stands in the way, and where one can stand."""

    def __init__(self, facts: FactTable, margins: Mapping[str, float]):
        space = facts.free_space
        if space is None or facts.objects is None:
            raise ValueError("situations need objects and free_space")
        self.margins = margins
        self.space = space
        self.floor_z_m = float(space.origin_world[0, 2])
        self.objects: dict[int, SceneObject] = {one.object_id: one for one in facts.objects}
        self.footprint = {one.object_id: footprint_of(one) for one in facts.objects}
        self.heights_m = {one.object_id: one.box.corners_world()[:, 2] - self.floor_z_m for one in facts.objects}
        self.in_the_way = [
            object_id
            for object_id, heights_m in self.heights_m.items()
            if self.objects[object_id].category not in SHELL and heights_m.min() <= HIGH_M and heights_m.max() >= LOW_M
        ]
        footprints = np.array([self.footprint[one] for one in self.in_the_way]).reshape(-1, 4, 2)
        self.middles = footprints.mean(axis=1)
        self.reaches_m = np.linalg.norm(footprints - self.middles[:, None], axis=2).max(axis=1, initial=0.0)
        place_error_m = margins["place_error_m"]
        angles = np.arange(8) * (np.pi / 4.0)
        self.nudges = place_error_m * np.stack([np.cos(angles), np.sin(angles)], axis=1)  # in the stance's own axes: ahead, left

    def stance(self, kind: str, beside: int, towards: int) -> Stance | str:
        """The situation of a kind, or the reason why nobody stands there."""
        heights_m = self.heights_m[beside]
        if heights_m.min() > FOOT_M or np.ptp(heights_m) < TALL_M:
            return "nothing_to_stand_beside"
        if self.heights_m[towards].min() > OVERHEAD_M:
            return "faced_object_hangs_overhead"
        start, end = self.objects[beside].box.centre_world[:2], self.objects[towards].box.centre_world[:2]
        length_m = float(np.linalg.norm(end - start))
        if length_m < 1e-6:
            return "no_room_between"
        ahead = (end - start) / length_m
        leaves_m = exit_m(self.footprint[beside], start, ahead)
        enters_m = length_m - exit_m(self.footprint[towards], end, -ahead)
        if kind == "halfway":
            at_m = (leaves_m + enters_m) / 2.0
            if abs(at_m - length_m / 2.0) > MOST_HALFWAY_M or enters_m - leaves_m < 2.0 * STAND_OFF_M:
                return "halfway_is_not_one_place"
        else:
            at_m = leaves_m + STAND_OFF_M
        if enters_m - at_m < HALF_BODY_M or length_m - at_m < self.margins["min_ahead_m"]:
            return "no_room_between"
        place = start + at_m * ahead
        if not self.is_free(place):
            return "no_free_floor"
        return Stance(kind=kind, beside=beside, towards=towards, place_world=place, towards_world=end)

    def is_free(self, place: np.ndarray) -> bool:
        """Whether someone fits there: no box within half a body, and the floor free in the cells round the place's middle."""
        near = np.abs(self.middles - place).max(axis=1) < self.reaches_m + HALF_BODY_M
        if any(distance_m(self.footprint[self.in_the_way[row]], place) < HALF_BODY_M for row in np.flatnonzero(near)):
            return False
        cell_m = float(self.space.cell_m[0])
        steps = np.array([[0, 0], [1, 0], [-1, 0], [0, 1], [0, -1]])
        columns, rows = (np.floor((place - self.space.origin_world[0, :2]) / cell_m).astype(np.int64) + steps).T
        height, width = self.space.cells.shape
        inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
        return bool(inside.all() and (self.space.cells[rows, columns] == FREE).all())

    def side_of(self, object_id: int, stance: Stance) -> str | None:
        """The quarter round someone that holds an object beyond doubt, or None.

        The whole footprint lies in it, seen from the place itself, and its middle does from anywhere within `place_error_m`, the heading
        taken anew from there.
        """
        footprint = self.footprint[object_id]
        if distance_m(footprint, stance.place_world) < self.margins["min_apart_m"]:
            return None
        ahead_x, ahead_y = unit(stance.towards_world - stance.place_world)
        places, targets = np.empty((12, 2)), np.empty((12, 2))
        places[:8] = stance.place_world + self.nudges @ np.array([[ahead_x, ahead_y], [-ahead_y, ahead_x]])
        places[8:], targets[:8], targets[8:] = stance.place_world, self.objects[object_id].box.centre_world[:2], footprint
        found = quarters(stance, places, targets)
        return SIDES[found[0]] if (found == found[0]).all() else None

    def distance_m(self, object_id: int, stance: Stance) -> float:
        """Level distance from the place to the nearest point of an object's footprint."""
        return distance_m(self.footprint[object_id], stance.place_world)


def quarters(stance: Stance, places: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Place in SIDES `(N,)` of the side that each target `(N, 2)` is on, for someone at its row's place, heading as the stance says."""
    ahead = stance.turn * (stance.towards_world - places)
    apart = targets - places
    across = ahead[:, 0] * apart[:, 1] - ahead[:, 1] * apart[:, 0]
    bearings_rad = np.arctan2(across, (ahead * apart).sum(axis=1))
    return np.floor(bearings_rad / (np.pi / 2.0) + 0.5).astype(np.int64) % len(SIDES)


def bearing_deg(stance: Stance, target: np.ndarray) -> float:
    """Degrees from straight ahead to a target, left positive."""
    ahead = stance.turn * (stance.towards_world - stance.place_world)
    apart = target - stance.place_world
    return float(np.degrees(np.arctan2(ahead[0] * apart[1] - ahead[1] * apart[0], ahead @ apart)))


def footprint_of(one: SceneObject) -> np.ndarray:
    """The corners `(4, 2)` of an object's box seen from above, counter-clockwise; of a tilted box, of the upright box round it."""
    corners = one.box.corners_world()
    axis = one.box.world_from_object[:2, 0]
    along = unit(axis) if np.linalg.norm(axis) > 1e-6 else np.array([1.0, 0.0])
    axes = np.stack([along, [-along[1], along[0]]])
    own = corners[:, :2] @ axes.T
    (low_x, low_y), (high_x, high_y) = own.min(axis=0), own.max(axis=0)
    return np.array([[low_x, low_y], [high_x, low_y], [high_x, high_y], [low_x, high_y]]) @ axes


def distance_m(footprint: np.ndarray, point: np.ndarray) -> float:
    """From a point `(2,)` of the plan to a footprint `(4, 2)`, 0 inside."""
    corner, (x, y) = footprint[0], point - (footprint[0] + footprint[2]) / 2.0
    beyond_m = []
    for end in (footprint[1], footprint[3]):  # plain numbers: asked of thousands of single points
        side_x, side_y = end - corner
        length_m = hypot(side_x, side_y)
        beyond_m.append(max(abs(side_x * x + side_y * y) / max(length_m, 1e-12) - length_m / 2.0, 0.0))
    return hypot(*beyond_m)


def exit_m(footprint: np.ndarray, start: np.ndarray, ahead: np.ndarray) -> float:
    """How far it is from a point inside a footprint to its border, along a unit vector."""
    middle = (footprint[0] + footprint[2]) / 2.0
    ways = []
    for side in (footprint[1] - footprint[0], footprint[3] - footprint[0]):
        length_m = float(np.linalg.norm(side))
        across = side / max(length_m, 1e-12)
        speed = float(ahead @ across)
        if abs(speed) > 1e-9:
            ways.append((length_m / 2.0 - np.sign(speed) * float((start - middle) @ across)) / abs(speed))
    return float(min(ways))


def unit(vector: np.ndarray) -> np.ndarray:
    """A vector's direction."""
    return vector / hypot(*vector)
