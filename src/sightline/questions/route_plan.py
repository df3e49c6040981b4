"""Route plan: which turns lead a robot from one object, past others, to the object it has to reach."""

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from sightline.answers.answer import Answer
from sightline.facts.fact import FactTable
from sightline.geometry.shapes import stands_upright
from sightline.questions.choosing import Letters, choose, times
from sightline.questions.margins import margins_of
from sightline.questions.question import Question, Skip, TaskOptions
from sightline.questions.route_choice import MAX_LEGS, Route, evened_out, leads_alone, plausible, some_of_each
from sightline.questions.routes import (
    Floor,
    Landmark,
    border_deg,
    first_within,
    turn_deg,
    turn_word,
)
from sightline.questions.shown import Shown
from sightline.questions.templates import Wording, object_name

VIDEO_FRAMES = 8
STARTS_PER_QUESTION = 6  # pairs of start and faced object looked at per wanted question
ROUTES_PER_QUESTION = 10  # found per wanted question: no more are looked for
MIN_TRIED = 10  # routes of the same turns that are looked at closely, however few questions are wanted
BRANCHES = (3, 2)  # after the first and after the second leg, as many landmarks are gone on from
NEAR_MISS_M = 0.05  # who passes a landmark by so little more than the reach might think to be there
GAP = "(fill in)"
MAX_OPTIONS = 4

TEMPLATES = (
    ("A robot stands at {x}, facing {y}, and has to get to {z}. Its steps: {steps} {fill}?", "Go forward to {l}."),
    ("From {x}, looking at {y}, a robot is sent to {z}. It does this: {steps} What has to stand in {gap}?", "Drive straight on to {l}."),
    (
        "You guide a robot that waits at {x} with {y} right ahead. Its goal is {z}. {steps} Complete {gap}.",
        "Move ahead until you reach {l}.",
    ),
    ("Start at {x} and face {y}. To end up at {z}, follow these steps: {steps} What belongs in {gap}?", "Walk forward as far as {l}."),
    ("Standing at {x} and turned towards {y}, how do you walk to {z}? {steps} {fill}?", "Go straight until you are at {l}."),
    (
        "Here is a way that begins at {x}, with {y} in front of you, and ends at {z}. {steps} {fill}?",
        "Keep straight on until you come to {l}.",
    ),
    ("A delivery robot is at {x} and its camera points at {y}. Bring it to {z}: {steps} What is missing in {gap}?", "Roll forward to {l}."),
    ("Someone at {x} who looks towards {y} wants to go to {z}. {steps} Say what goes into {gap}.", "Walk straight up to {l}."),
)


class RoutePlan:
    """Choice of the one sequence of turns that leads to the goal."""

    name: ClassVar[str] = "route_plan"
    needs: ClassVar[frozenset[str]] = frozenset(("frames", "pairs", "objects", "object_views", "free_space"))
    MARGINS: ClassVar[Mapping[str, float]] = {
        "robot_radius_m": 0.2,  # of a vacuum cleaner or a slim robot: no leg comes nearer to what is not free
        "reach_m": 0.4,  # from an object's box on the plan: so near, one is at it; twice the radius
        "min_leg_m": 0.8,  # a shorter way is not worth a step of its own
        "min_border_deg": 15.0,  # of each turn from 30 and 120 degrees, where its name changes; nobody calls 105 or less a turn back
        "max_detour": 1.5,  # times the shortest way: nobody goes on long ways round
        "max_bottom_m": 1.2,  # above the floor: what hangs higher is not something one walks up to
        "min_top_m": 0.15,  # above the floor: one walks across a carpet, not up to it
        "min_visible_share": 0.15,  # of an object's points, in a frame that is said to show it
        "max_way_share": 0.05,  # of the questions wanted, from one object to the same goal by the same turns
    }

    def ask(self, facts: FactTable, rng: np.random.Generator, options: TaskOptions) -> Iterator[Question | Skip]:
        margins = margins_of(self, options)
        shown = Shown(facts, min_visible_share=margins["min_visible_share"], options=options, as_video=True)
        floor = Floor(facts.free_space, radius_m=margins["robot_radius_m"])
        letters = Letters(rng, options)
        landmarks = landmarks_of(shown, floor, margins)
        search = _Search(landmarks, floor, margins)
        routes: list[Route] = []
        ways: dict[int, np.ndarray] = {}
        for found in search.drawn(rng, starts=STARTS_PER_QUESTION * options.max_per_scan):
            if len(routes) >= ROUTES_PER_QUESTION * options.max_per_scan:
                break
            if isinstance(found, Route):
                goal = found.landmarks[-1]
                if goal.object_id not in ways:
                    ways[goal.object_id] = floor.ways_m(goal, reach_m=margins["reach_m"])
                found = replace(found, shortest_m=floor.at(ways[goal.object_id], found.places_xy[0]))
                if found.legs_m.sum() <= margins["max_detour"] * found.shortest_m < np.inf:
                    routes.append(found)
                    continue
                found = "a_long_way_round"
            yield Skip(task=self.name, scan_id=facts.scan_id, reason=found)
        kept = some_of_each(
            [routes[index] for index in rng.permutation(len(routes))],
            most=max(MIN_TRIED, options.max_per_scan // 2),
            most_alike=max(1, round(margins["max_way_share"] * options.max_per_scan)),
        )
        yield from times(Skip(task=self.name, scan_id=facts.scan_id, reason="enough_of_these_turns"), len(routes) - len(kept))
        clear = [route for route in kept if leads_alone(route, near_m=margins["reach_m"] + NEAR_MISS_M)]
        yield from times(Skip(task=self.name, scan_id=facts.scan_id, reason="other_turns_lead_there_too"), len(kept) - len(clear))
        even = evened_out(clear) if options.balance else clear
        yield from times(Skip(task=self.name, scan_id=facts.scan_id, reason="other_options_would_hardly_be_right"), len(clear) - len(even))
        offered = {(route.shape, route.said) for route in even}

        def build(route: Route) -> Question | Skip:
            return self._question(route, offered, shown, facts, rng, letters, margins, floor)

        yield from choose(even, key=lambda route: route.turns, build=build, rng=rng, options=options, video_ids=shown.video_ids)

    def _question(
        self,
        route: Route,
        offered: Set[tuple[tuple[bool, ...], tuple[str, ...]]],
        shown: Shown,
        facts: FactTable,
        rng: np.random.Generator,
        letters: Letters,
        margins: Mapping[str, float],
        floor: Floor,
    ) -> Question | Skip:
        def skip(reason: str) -> Skip:
            return Skip(task=self.name, scan_id=facts.scan_id, reason=reason)

        frames = walk_of(shown, route.object_ids, rng=rng)
        if not frames:
            return skip("not_all_seen_in_the_video")
        ordered = [", ".join(said) for said in plausible(len(route.said)) if (route.shape, said) in offered]
        right = ", ".join(route.said)
        others = [said for said in ordered if said != right]
        wrong = [others[index] for index in sorted(rng.permutation(len(others))[: MAX_OPTIONS - 1])]
        choice = letters.choice(right, wrong, order=ordered)
        wording = worded(self.name, route, shown, rng)
        clearance_m = min(floor.least_clearance_m(a, b) for a, b in zip(route.places_xy, route.places_xy[1:]))
        return Question(
            task=self.name,
            scan_id=facts.scan_id,
            frame_ids=tuple(facts.frames.frame_ids[frame] for frame in frames),
            text=f"{wording.text} {choice.listing}",
            answer=Answer(format=choice, value=choice.letter_of(right)),
            template_id=wording.template_id,
            evidence={
                **{f"turn_{index}_deg": round(angle, 3) for index, angle in enumerate(route.turns_deg, start=1)},
                **{f"leg_{index}_m": round(float(length_m), 4) for index, length_m in enumerate(route.legs_m, start=1)},
                "border_deg": round(route.border_deg, 3),
                "min_border_deg": margins["min_border_deg"],
                "route_m": round(float(route.legs_m.sum()), 4),
                "shortest_m": round(route.shortest_m, 4),
                "clearance_m": round(clearance_m, 4),
                "robot_radius_m": margins["robot_radius_m"],
                "reach_m": margins["reach_m"],
                "turns": right,
            },
            object_ids=route.object_ids,
        )


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Way:
    """A way that is being built, and where it heads in three readings of its words that have to agree.

    As walked, from place to place; from each object's middle to the next one's; and by one who starts at the first one's middle and
    makes straight for each middle until the object is within reach.
    """

    path: tuple[int, ...]
    places: tuple[np.ndarray, ...]
    turns: tuple[str, ...]
    turns_deg: tuple[float, ...]
    border_deg: float
    walked: np.ndarray
    between: np.ndarray
    straight: np.ndarray
    straight_xy: np.ndarray  # where the third reading has got to


class _Search:
    """Routes between landmarks."""

    def __init__(self, landmarks: Sequence[Landmark], floor: Floor, margins: Mapping[str, float]):
        self.landmarks, self.floor, self.margins = landmarks, floor, margins
        self.centres_xy = np.array([one.centre_xy for one in landmarks]).reshape(-1, 2)
        spots = [floor.spots_at(one, reach_m=margins["reach_m"]) for one in landmarks]
        self.start_xy = [one[0] if len(one) else None for one in spots]
        self.spots_xy = np.concatenate([*spots, np.empty((0, 2))])
        self.spot_of = np.repeat(np.arange(len(spots)), [len(one) for one in spots])
        self._ends: dict[tuple[int, ...], dict[int, np.ndarray]] = {}

    def drawn(self, rng: np.random.Generator, *, starts: int) -> Iterator[Route | str]:
        """Routes of one to `MAX_LEGS` legs from random starts, and the reasons why others are none."""
        count = len(self.landmarks)
        pairs = [(a, b) for a in range(count) for b in range(count) if a != b] if count >= 3 else []
        for index in rng.permutation(len(pairs))[:starts]:
            start, faced = pairs[index]
            place_xy = self.start_xy[start]
            if place_xy is None:
                yield "no_room_to_stand_at_the_start"
                continue
            walked, between = self.centres_xy[faced] - place_xy, self.centres_xy[faced] - self.centres_xy[start]
            if min(np.linalg.norm(walked), np.linalg.norm(between)) < self.margins["min_leg_m"]:
                yield "start_too_near_to_what_it_faces"
                continue
            way = _Way(
                path=(start,),
                places=(place_xy,),
                turns=(),
                turns_deg=(),
                border_deg=np.inf,
                walked=walked,
                between=between,
                straight=between,
                straight_xy=self.centres_xy[start],
            )
            yield from self._on_from(way, faced, rng)

    def _on_from(self, way: _Way, faced: int, rng: np.random.Generator) -> Iterator[Route | str]:
        """Every route by one more leg, and some of those by more."""
        longer = []
        for target, end_xy in self.legs_from(way).items():
            found = self._longer(way, target, end_xy)
            if isinstance(found, str):
                yield found
                continue
            longer.append(found)
            if any(found.turns) and target != faced:
                yield self._route(found, faced)
        if len(way.turns) + 1 < MAX_LEGS:
            for index in rng.permutation(len(longer))[: BRANCHES[len(way.turns)]]:
                yield from self._on_from(longer[index], faced, rng)

    def _longer(self, way: _Way, target: int, end_xy: np.ndarray) -> _Way | str:
        """The way with one more leg, or why it cannot be told in words."""
        walked, between = end_xy - way.places[-1], self.centres_xy[target] - self.centres_xy[way.path[-1]]
        straight = self.centres_xy[target] - way.straight_xy
        angles_deg = turn_deg(way.walked, walked), turn_deg(way.between, between), turn_deg(way.straight, straight)
        turn, *others = (turn_word(angle, margin_deg=self.margins["min_border_deg"]) for angle in angles_deg)
        if turn is None or others != [turn, turn]:
            return "turn_too_near_a_border"
        if not turn and (way.turns or not self._is_straight_ahead(way, target)):
            return "a_bend_that_is_no_turn"
        ahead = straight / np.linalg.norm(straight)
        gone_m = first_within(way.straight_xy[None], ahead[None], self.landmarks[target], reach_m=self.margins["reach_m"])[0]
        return _Way(
            path=(*way.path, target),
            places=(*way.places, end_xy),
            turns=(*way.turns, turn),
            turns_deg=(*way.turns_deg, angles_deg[0]),
            border_deg=min(way.border_deg, *map(border_deg, angles_deg)),
            walked=walked,
            between=between,
            straight=straight,
            straight_xy=way.straight_xy + gone_m * ahead,
        )

    def legs_from(self, way: _Way) -> Mapping[int, np.ndarray]:
        """Where the shortest straight leg that stays free ends `(2,)`, for each landmark that has one and was not passed."""
        if way.path not in self._ends:
            here = way.places[-1]
            lengths_m = np.round(np.linalg.norm(self.spots_xy - here, axis=1), 6)  # middles of cells are often equally far: the first then
            is_here = [one.distances_m(here) < self.margins["min_leg_m"] for one in self.landmarks]  # nobody walks round to its far side
            can_go = (lengths_m >= self.margins["min_leg_m"]) & ~np.isin(self.spot_of, [*way.path, *np.flatnonzero(is_here)])
            can_go[can_go] = self.floor.can_walk(here, self.spots_xy[can_go])
            order = np.flatnonzero(can_go)[np.argsort(lengths_m[can_go], kind="stable")]
            targets, firsts = np.unique(self.spot_of[order], return_index=True)
            self._ends[way.path] = {int(target): self.spots_xy[order[first]] for target, first in zip(targets, firsts)}
        return self._ends[way.path]

    def _is_straight_ahead(self, way: _Way, target: int) -> bool:
        ahead = way.walked / np.linalg.norm(way.walked)
        return bool(
            np.isfinite(first_within(way.places[-1][None], ahead[None], self.landmarks[target], reach_m=self.margins["reach_m"])[0])
        )

    def _route(self, way: _Way, faced: int) -> Route:
        return Route(
            start=self.landmarks[way.path[0]],
            faced=self.landmarks[faced],
            landmarks=tuple(self.landmarks[index] for index in way.path[1:]),
            places_xy=np.array(way.places),
            turns=way.turns,
            turns_deg=way.turns_deg,
            border_deg=float(way.border_deg),
        )


def landmarks_of(shown: Shown, floor: Floor, margins: Mapping[str, float]) -> list[Landmark]:
    """Upright objects, each the only one in the scan that goes by its name, that one can walk up to and that some frame shows clearly."""
    found = []
    for object_id in shown.object_ids:
        one = shown.objects[object_id]
        heights_m = one.box.corners_world()[:, 2] - floor.floor_z_m
        is_in_reach = heights_m.min() <= margins["max_bottom_m"] and heights_m.max() >= margins["min_top_m"]
        if shown.is_unique[object_id] and is_in_reach and stands_upright(one.box) and shown.is_clear[shown.row_of[object_id]].any():
            found.append(Landmark.of(one))
    return found


def walk_of(shown: Shown, object_ids: Sequence[int], *, rng: np.random.Generator) -> tuple[int, ...]:
    """The video, or `VIDEO_FRAMES` frames in time order, one of each of as many equal stretches; () where they do not show every object.

    They are evenly spaced, unless another one of a stretch is needed because it shows what no other stretch does.
    """
    if shown.video:
        is_seen = shown.is_clear[[shown.row_of[one] for one in object_ids]][:, list(shown.video)].any(axis=1)
        return shown.video if is_seen.all() else ()
    total = shown.is_clear.shape[1]
    phase = rng.random()  # so that not every question shows the same frames
    stretches = [part for part in np.array_split(np.arange(total), min(VIDEO_FRAMES, total)) if len(part)]
    chosen: dict[int, int] = {}
    missing = {shown.row_of[one] for one in object_ids}
    while missing:
        rows = sorted(missing)
        gains = [(int(shown.is_clear[rows, frame].sum()), place, int(frame)) for place, part in enumerate(stretches) for frame in part]
        gains = [one for one in gains if one[1] not in chosen and one[0]]
        if not gains:
            return ()
        most = max(gain for gain, _, _ in gains)
        _, place, frame = [one for one in gains if one[0] == most][rng.integers(sum(one[0] == most for one in gains))]
        chosen[place] = frame
        missing = {row for row in missing if not shown.is_clear[row, frame]}
    return tuple(chosen.get(place, int(part[int(phase * len(part))])) for place, part in enumerate(stretches))


def worded(task: str, route: Route, shown: Shown, rng: np.random.Generator) -> Wording:
    """The route in words, its turns left out."""
    index = int(rng.integers(len(TEMPLATES)))
    sentence, step = TEMPLATES[index]
    x, y, *names = (object_name(shown.category(one), None) for one in route.object_ids)
    steps = []
    for turn, name in zip(route.turns, names):
        steps += [f"{GAP}."] if turn else []
        steps.append(step.format(l=name))
    is_one = len(route.said) == 1
    text = sentence.format(
        x=x,
        y=y,
        z=names[-1],
        steps=" ".join(f"{number}. {one}" for number, one in enumerate(steps, start=1)),
        fill="Which turn fills the gap" if is_one else "Which turns fill the gaps, in this order",
        gap="the gap" if is_one else "the gaps, in their order",
    )
    return Wording(text=text, template_id=f"{task}.{index}")
