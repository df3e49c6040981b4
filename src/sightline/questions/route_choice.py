"""Routes as records, and which of them are asked about: those with one right answer, all offered answers right about equally often."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from math import ceil

import numpy as np

from sightline.questions.routes import TURNS, Landmark, sequences_that_arrive

MAX_LEGS = 3
MOST_OVER_RAREST = 1.5  # times as often as the rarest option, the most frequent one is right
MIN_OPTIONS = 3


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Route:
    """A way of straight legs, each from where the last one ended to the nearest place beside its landmark."""

    start: Landmark
    faced: Landmark
    landmarks: tuple[Landmark, ...]  # the last one is the goal
    places_xy: np.ndarray  # (L + 1, 2) start and ends of the legs
    turns: tuple[str, ...]  # before each leg; "" where it goes straight on, before the first leg only
    turns_deg: tuple[float, ...]  # as walked, left positive
    border_deg: float  # least, of the turns in all three readings of the words
    shortest_m: float = np.inf  # any way from the start to the goal

    @property
    def said(self) -> tuple[str, ...]:
        return tuple(turn for turn in self.turns if turn)

    @property
    def shape(self) -> tuple[bool, ...]:
        """Before which legs there is a turn: routes of one shape read alike."""
        return tuple(map(bool, self.turns))

    @property
    def legs_m(self) -> np.ndarray:
        return np.linalg.norm(np.diff(self.places_xy, axis=0), axis=1)

    @property
    def object_ids(self) -> tuple[int, ...]:
        return (self.start.object_id, self.faced.object_id, *(one.object_id for one in self.landmarks))


def some_of_each(routes: Sequence[Route], *, most: int, most_alike: int) -> list[Route]:
    """The first `most` routes of each sequence of turns, of them the first `most_alike` from one object to the same goal."""
    count: Counter[tuple] = Counter()
    kept = []
    for route in routes:
        alike = (route.turns, route.start.object_id, route.landmarks[-1].object_id)
        if count[route.turns] < most and count[alike] < most_alike:
            count.update((route.turns, alike))
            kept.append(route)
    return kept


def leads_alone(route: Route, *, near_m: float) -> bool:
    """Whether no other turns lead past all landmarks, for who starts where the route does or, reading "at the sofa" so, at its middle."""
    has_turn = [bool(turn) for turn in route.turns]
    return all(
        sequences_that_arrive(start_xy, route.faced.centre_xy - start_xy, route.landmarks, has_turn=has_turn, reach_m=near_m)
        == {route.said}
        for start_xy in (route.places_xy[0], route.start.centre_xy)
    )


def evened_out(routes: Sequence[Route]) -> list[Route]:
    """The routes whose turns may be asked for: of one shape, the sequences that are right about equally often, three of them at least.

    All of these are offered as options, and none else: an option that is almost never right would be no option. Of the ways to leave
    rare sequences out, the one that keeps most routes is taken; a frequent one comes `MOST_OVER_RAREST` times as often as the rarest.
    """
    most: dict[tuple[str, ...], int] = {}
    counts = Counter(route.turns for route in routes)
    for shape in sorted({route.shape for route in routes}):
        ranked = sorted((turns for turns in counts if tuple(map(bool, turns)) == shape), key=lambda turns: (-counts[turns], turns))
        best: dict[tuple[str, ...], int] = {}
        for kept in range(MIN_OPTIONS, len(ranked) + 1):
            limit = ceil(MOST_OVER_RAREST * counts[ranked[kept - 1]])
            allowed = {turns: min(counts[turns], limit) for turns in ranked[:kept]}
            best = max(best, allowed, key=lambda one: sum(one.values()))
        most |= best
    seen: Counter[tuple[str, ...]] = Counter()
    even = []
    for route in routes:
        seen[route.turns] += 1
        if seen[route.turns] <= most.get(route.turns, 0):
            even.append(route)
    return even


def plausible(count: int) -> list[tuple[str, ...]]:
    """Sequences of turns that a reasonable way can have: nobody turns back on the way."""
    return [said for said in product(TURNS, repeat=count) if "turn back" not in said[1:]]
