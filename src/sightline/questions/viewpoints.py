"""What lies on which side of a standpoint, on the floor plan, and the question that all tasks of view taking build from it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from sightline.answers.answer import Answer
from sightline.facts.fact import FactTable
from sightline.questions.choosing import Letters, choose
from sightline.questions.margins import margins_of
from sightline.questions.question import Question, Skip, TaskOptions
from sightline.questions.shown import Shown
from sightline.questions.templates import object_name, word

FRONT, LEFT, BACK, RIGHT = range(4)  # quarters, counter-clockwise from above
UNCLEAR = -1
OPTION_COUNT = 4
TRIED_PER_QUESTION = 50  # sets of images drawn: most have nothing clear on any asked side, or show the answer
STEEP_COS = np.sin(np.radians(45.0))  # a camera that looks up or down by more than 45 degrees has no heading worth the name


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Bearings:
    """Where K objects lie from one place on the plan: azimuths in degrees, counter-clockwise from world +x."""

    middle_deg: np.ndarray  # (K,) of the box's centre; NaN where the place is at the object
    low_deg: np.ndarray  # (K,) how far its box reaches to the right of that, 0 or less
    high_deg: np.ndarray  # (K,) how far to the left, 0 or more


def wrapped(angle_deg: np.ndarray | float) -> np.ndarray:
    """Angles brought to [-180, 180)."""
    return (np.asarray(angle_deg) + 180.0) % 360.0 - 180.0


def quarters(bearings: Bearings, *, facing_deg: float, margin_deg: float) -> np.ndarray:
    """The quarter `(K,)` int8 that holds each object for who faces an azimuth; UNCLEAR within the margin of a border.

    Quarters are 90 degrees wide, the front one from -45 to 45. The middle of the object keeps the margin, and no part of its box
    reaches over a border.
    """
    into_deg = np.round(bearings.middle_deg - facing_deg + 45.0, 6) % 360.0  # a tie with a margin is one in a turned world too
    within_deg = into_deg % 90.0
    is_clear = (np.minimum(within_deg, 90.0 - within_deg) >= margin_deg) & (within_deg + bearings.low_deg >= 0.0)
    is_clear &= within_deg + bearings.high_deg <= 90.0
    return np.where(is_clear, np.nan_to_num(into_deg) // 90.0, UNCLEAR).astype(np.int8)


class Viewpoints:
    """Cameras and objects of one scan on the plan."""

    def __init__(self, shown: Shown, *, min_apart_m: float):
        facts = shown.facts
        self.shown = shown
        self.min_apart_m = min_apart_m
        self.clear = shown.is_clear
        self.centres_world = facts.frames.world_from_camera[:, :3, 3]
        ahead_xy = facts.frames.world_from_camera[:, :2, 2]
        is_level = np.hypot(*ahead_xy.T) >= STEEP_COS
        self.heading_deg = np.where(is_level, np.degrees(np.arctan2(ahead_xy[:, 1], ahead_xy[:, 0])), np.nan)
        boxes = [shown.objects[one].box for one in shown.object_ids]
        self.corners_xy = np.array([box.corners_world()[:, :2] for box in boxes]).reshape(-1, 8, 2)
        self.middles_xy = np.array([box.centre_world[:2] for box in boxes]).reshape(-1, 2)
        self.in_view = np.zeros_like(self.clear)
        views = facts.object_views
        for object_id, frame in zip(views.object_id.tolist(), views.frame.tolist()):
            if object_id in shown.row_of:
                self.in_view[shown.row_of[object_id], frame] = True
        self.unique = np.array([shown.is_unique[one] for one in shown.object_ids], dtype=bool)
        self.nameable = shown.nameable
        first, second = shown.overlapping
        self.near = np.zeros((len(self.heading_deg),) * 2, dtype=bool)
        self.near[first, second] = self.near[second, first] = True
        self._from_frame: dict[int, Bearings] = {}

    def bearings_from(self, place_xy: np.ndarray) -> Bearings:
        """Bearings of all objects from a place `(2,)`."""
        apart = self.middles_xy - place_xy
        middle_deg = np.degrees(np.arctan2(apart[:, 1], apart[:, 0]))
        to_corners = self.corners_xy - place_xy
        off_deg = wrapped(np.degrees(np.arctan2(to_corners[..., 1], to_corners[..., 0])) - middle_deg[:, None])
        low_deg, high_deg = off_deg.min(axis=1, initial=0.0), off_deg.max(axis=1, initial=0.0)
        is_apart = (np.hypot(*apart.T) >= self.min_apart_m) & (high_deg - low_deg < 180.0)
        return Bearings(middle_deg=np.where(is_apart, middle_deg, np.nan), low_deg=low_deg, high_deg=high_deg)

    def bearings_from_frame(self, frame: int) -> Bearings:
        if frame not in self._from_frame:
            self._from_frame[frame] = self.bearings_from(self.centres_world[frame, :2])
        return self._from_frame[frame]

    def directions_to_deg(self, row: int) -> np.ndarray:
        """Azimuth `(F,)` in which each camera has an object."""
        apart = self.middles_xy[row] - self.centres_world[:, :2]
        return np.degrees(np.arctan2(apart[:, 1], apart[:, 0]))

    def chained(
        self,
        start: int,
        allowed: np.ndarray,
        *,
        count: int,
        differs: Callable[[int], np.ndarray],
        rng: np.random.Generator,
        prefers: np.ndarray | None = None,
    ) -> tuple[int, ...]:
        """Up to `count` frames from `start` on, drawn at random, each overlapping one of those before it; in time order.

        `allowed (F,)` says which may join at all, `differs(frame) (F,)` which are another view than that frame. With `prefers (F,)` the
        one with the largest number joins, not any.
        """
        frames, beside, other = [start], self.near[start].copy(), allowed & differs(start)
        while len(frames) < count:
            open_ = np.flatnonzero(beside & other)
            if not len(open_):
                break
            frames.append(int(open_[rng.integers(len(open_)) if prefers is None else np.argmax(prefers[open_])]))
            beside |= self.near[frames[-1]]
            other &= differs(frames[-1])
        return tuple(sorted(frames))


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """A side with the object that is clearly on it, and three that are clearly on others."""

    side: int
    target: int
    others: tuple[int, ...]

    @property
    def rows(self) -> list[int]:
        return [self.target, *self.others]


def options_for(
    places: Viewpoints,
    sides: np.ndarray,
    *,
    asked: Sequence[int],
    stand: int,
    frames: Sequence[int],
    without: Sequence[int],
    rng: np.random.Generator,
) -> list[Options] | str:
    """For each asked side where there is one, an object that the standing image does not show, and three on other sides; or why for none.

    One at least of the three is not in the standing image either: what is missing there does not give the answer away.
    """
    may_name = places.nameable & places.clear[:, list(frames)].any(axis=1) & (sides != UNCLEAR)
    may_name[list(without)] = False
    unseen = may_name & ~places.in_view[:, stand]
    open_sides = [side for side in asked if (unseen & (sides == side)).any()]
    if not open_sides:
        return "nothing_clearly_on_a_side"
    found: list[Options] = []
    reason = "answer_given_away_by_what_the_image_lacks"
    for side in open_sides:
        targets, hidden = np.flatnonzero(unseen & (sides == side)), np.flatnonzero(unseen & (sides != side))
        wrong = np.flatnonzero(may_name & (sides != side))
        if len(hidden) and len(wrong) < OPTION_COUNT - 1:
            reason = "too_few_clear_options"
        elif len(hidden):
            first = int(hidden[rng.integers(len(hidden))])
            rest = rng.permutation(wrong[wrong != first])[: OPTION_COUNT - 2]
            target = int(targets[rng.integers(len(targets))])
            found.append(Options(side=side, target=target, others=(first, *(int(one) for one in rest))))
    return found or reason


@dataclass(frozen=True, kw_only=True, slots=True)
class View:
    """One question to be: whose eyes one borrows, which side is asked, which objects are the options. Objects are rows of Viewpoints."""

    frames: tuple[int, ...]  # in time order
    stand: int  # the frame one stands at
    options: Options
    about: int | None  # the object one faces, or asks around
    bearing_deg: float  # of the target, left positive
    evidence: Mapping[str, float]  # what else was measured, and the margins


@dataclass(frozen=True, kw_only=True, slots=True)
class FramesAbout:
    """Frames that all show one object, from different directions."""

    about: int
    frames: tuple[int, ...]  # in time order
    stand: int
    view_deg: float  # least angle between two of the directions


def frames_about(places: Viewpoints, margins: Mapping[str, float], *, count: int, rng: np.random.Generator) -> FramesAbout | str:
    """Up to `count` overlapping frames that clearly show one object that its name tells, from directions `min_view_deg` apart."""
    abouts = np.flatnonzero(places.unique & (places.clear.sum(axis=1) >= 2))
    if not len(abouts):
        return "no_object_named_by_its_category"
    about = int(abouts[rng.integers(len(abouts))])
    shows = np.flatnonzero(places.clear[about])
    stand = int(shows[rng.integers(len(shows))])
    to_deg = places.directions_to_deg(about)

    def differs(frame: int) -> np.ndarray:
        return np.abs(wrapped(to_deg - to_deg[frame])) >= margins["min_view_deg"]

    frames = places.chained(stand, places.clear[about], count=count, differs=differs, rng=rng)
    if len(frames) < 2:
        return "seen_from_one_side_only"
    pairs = [abs(float(wrapped(to_deg[a] - to_deg[b]))) for a in frames for b in frames if a < b]
    return FramesAbout(about=about, frames=frames, stand=stand, view_deg=min(pairs))


class ViewTask:
    """What the tasks of view taking have in common: views are drawn at random, those that are fair become questions, sides evened out."""

    name: ClassVar[str]
    needs: ClassVar[frozenset[str]] = frozenset(("frames", "pairs", "objects", "object_views"))
    MARGINS: ClassVar[Mapping[str, float]]
    TEMPLATES: ClassVar[tuple[str, ...]]  # with slots n (number of the image), side, x (the object that one faces or asks around)
    SIDES: ClassVar[Mapping[int, str]]  # may have the slot x

    def draw(self, places: Viewpoints, margins: Mapping[str, float], rng: np.random.Generator) -> list[View] | str:
        """Of images at random one view for each side that can be asked for, or why there is none."""
        raise NotImplementedError

    def ask(self, facts: FactTable, rng: np.random.Generator, options: TaskOptions) -> Iterator[Question | Skip]:
        """Questions of one scan, and what was left out."""
        margins = margins_of(self, options)
        shown = Shown(facts, min_visible_share=margins["min_visible_share"], options=options)
        places = Viewpoints(shown, min_apart_m=margins["min_apart_m"])
        letters = Letters(rng, options)
        views: dict[tuple, View] = {}
        tries = TRIED_PER_QUESTION * options.max_per_scan if len(places.heading_deg) >= 2 and len(shown.object_ids) >= OPTION_COUNT else 0
        for _ in range(tries):
            found = self.draw(places, margins, rng)
            if isinstance(found, str):
                yield Skip(task=self.name, scan_id=facts.scan_id, reason=found)
                continue
            for view in found:
                views.setdefault((view.frames, view.stand, view.options.side, view.about), view)

        def build(view: View) -> Question | Skip:
            return self._question(view, places, facts, rng, options, letters)

        yield from choose(
            list(views.values()),
            key=lambda view: view.options.side,
            build=build,
            rng=rng,
            options=options,
            about=lambda view: ((view.about, view.options.side, view.options.target),),
            max_object_share=margins["max_relation_share"],
        )

    def _question(
        self, view: View, places: Viewpoints, facts: FactTable, rng: np.random.Generator, options: TaskOptions, letters: Letters
    ) -> Question | Skip:
        """The view as a question, each option with its dot or by its name."""
        shown = places.shown
        object_ids = tuple(shown.object_ids[row] for row in view.options.rows)
        introduced = shown.introduce(object_ids, view.frames, rng=rng)
        if isinstance(introduced, str):
            return Skip(task=self.name, scan_id=facts.scan_id, reason=introduced)
        right, *wrong = introduced.names
        choice = letters.choice(right, wrong, order=sorted(introduced.names))
        about = () if view.about is None else (shown.object_ids[view.about],)
        x = object_name(shown.category(about[0]), None) if about else ""
        side = self.SIDES[view.options.side].format(x=x)
        wording = word(self.name, self.TEMPLATES, rng, n=str(view.frames.index(view.stand) + 1), side=side, x=x)
        into_deg = (view.bearing_deg + 45.0) % 90.0
        return Question(
            task=self.name,
            scan_id=facts.scan_id,
            frame_ids=tuple(facts.frames.frame_ids[frame] for frame in view.frames),
            text=f"{wording.text} {choice.listing}",
            answer=Answer(format=choice, value=choice.letter_of(right)),
            template_id=wording.template_id,
            evidence={
                "bearing_deg": round(view.bearing_deg, 3),
                "border_deg": round(min(into_deg, 90.0 - into_deg), 3),
                **{name: round(value, 4) for name, value in view.evidence.items()},
                "side": side,
            },
            marks=introduced.marks,
            object_ids=(*object_ids, *about),
        )
