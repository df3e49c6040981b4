"""Room size: the floor area of the room that the images show, or of all rooms of the walk together, in square metres."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy.spatial import ConvexHull, QhullError

from sightline.answers.answer import Answer
from sightline.answers.number import Number
from sightline.facts.fact import FactTable
from sightline.geometry.shapes import polygon_contains
from sightline.questions.choosing import choose
from sightline.questions.margins import margins_of
from sightline.questions.question import Question, Skip, TaskOptions
from sightline.questions.shown import video_of
from sightline.questions.templates import word

THE_ROOM = "the room in which {here} were taken"
ALL_ROOMS = "the whole space of all rooms that the camera enters in {here}"
ALL_SEEN = "the whole space that {here} show"
STEP_BACK_M = 0.05  # towards the camera: a point on a wall lies on the outline, neither inside nor outside
TRIED_FRAMES = 8  # from which the next one is taken
MIN_EACH_SHARE = 0.5  # of each of several rooms, by the same measure: the size of one that was hardly seen cannot be added up

TEMPLATES = (
    "What is the floor area of {what}?",
    "How large is the floor of {what}?",
    "Estimate the floor area of {what}.",
    "How big is {what}, measured by its floor?",
    "How much floor does {what} have, counting what lies under the furniture?",
    "What area does the floor of {what} cover, from wall to wall?",
    "Going by its floor, how large is {what}?",
    "If {what} were empty, how large would its floor be?",
)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Space:
    """Floor that may be asked for: how it is called, how large it is, and where its points can lie."""

    what: str
    area_m2: float
    room_index: tuple[int, ...]  # empty where no outline is known
    outlines: tuple[np.ndarray, ...]  # (N, 2) each; none where no outline is known
    frames: np.ndarray  # indices of the frames that may be shown
    is_outlined: bool


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Seen:
    """A space and frames that show enough of it."""

    space: Space
    frames: tuple[int, ...]
    seen_share: float


class RoomSize:
    """Square metres of floor, where the images together reach into all of it. Few images are of one room; a video is of the whole walk."""

    name: ClassVar[str] = "room_size"
    needs: ClassVar[frozenset[str]] = frozenset(("frames", "points", "rooms"))
    MARGINS: ClassVar[Mapping[str, float]] = {
        "min_seen_share": 0.75,  # convex hull, on the plan, of the sampled points that the images show of a room, over that of its outline
        "min_area_m2": 2.0,
        "max_area_m2": 300.0,
        "outline_only": 0.0,  # 1: not from the floor that was seen, whose area is 2 to 5 % off
        "frames": 8,  # at most, of one question; a video shows more
        "tries_per_room": 8,  # different sets of frames of one room
    }

    def ask(self, facts: FactTable, rng: np.random.Generator, options: TaskOptions) -> Iterator[Question | Skip]:
        margins = margins_of(self, options)
        video = video_of(len(facts.frames.frame_ids), options)
        candidates: list[Seen] = []
        for space in _spaces(facts, video):
            reason = None
            if not margins["min_area_m2"] <= space.area_m2 <= margins["max_area_m2"]:
                reason = "too_small" if space.area_m2 < margins["min_area_m2"] else "too_large"
            elif margins["outline_only"] and not space.is_outlined:
                reason = "outline_not_known"
            found = [] if reason else self._seen(space, facts, video, rng, margins)
            if not found:
                yield Skip(task=self.name, scan_id=facts.scan_id, reason=reason or "room_not_seen_whole")
            candidates += found
        candidates = [candidates[index] for index in rng.permutation(len(candidates))]

        def build(seen: Seen) -> Question:
            here = "these video frames" if video else "these images" if len(seen.frames) > 1 else "this image"
            what = seen.space.what.format(here=here)
            what = what.replace("this image were", "this image was").replace("this image show", "this image shows")
            wording = word(self.name, TEMPLATES, rng, what=what)
            form = Number(unit="m2", decimals=1, high=10_000.0, tolerance_share=options.tolerance_share)
            return Question(
                task=self.name,
                scan_id=facts.scan_id,
                frame_ids=tuple(facts.frames.frame_ids[frame] for frame in seen.frames),
                text=wording.text,
                answer=Answer(format=form, value=seen.space.area_m2),
                template_id=wording.template_id,
                evidence={
                    "area_m2": round(seen.space.area_m2, 4),
                    "seen_share": round(seen.seen_share, 4),
                    "min_seen_share": margins["min_seen_share"],
                    "measured": "outline" if seen.space.is_outlined else "seen floor",
                    "rooms": ", ".join(map(str, seen.space.room_index)) or "not told apart",
                },
            )

        yield from choose(
            candidates,
            key=lambda seen: seen.space.room_index,
            build=build,
            rng=rng,
            options=options,
            video_ids=tuple(facts.frames.frame_ids[frame] for frame in video),
        )

    def _seen(
        self, space: Space, facts: FactTable, video: tuple[int, ...], rng: np.random.Generator, margins: Mapping[str, float]
    ) -> list[Seen]:
        """The video, or sets of frames of the space, that show enough of each of its rooms."""
        places = _Places(space, facts)
        if video:
            share = places.seen_share(video)
            return [Seen(space=space, frames=video, seen_share=share)] if share >= margins["min_seen_share"] else []
        found: dict[tuple[int, ...], Seen] = {}
        for _ in range(int(margins["tries_per_room"]) if len(space.frames) else 0):
            frames = places.covering(rng, most=int(margins["frames"]), enough=margins["min_seen_share"])
            share = places.seen_share(frames)
            if share >= margins["min_seen_share"]:
                found[frames] = Seen(space=space, frames=frames, seen_share=share)
        return list(found.values())


class _Places:
    """The measured points of a space, on the plan, by frame."""

    def __init__(self, space: Space, facts: FactTable):
        self.space = space
        cameras = facts.frames.world_from_camera[facts.points.frame, :2, 3]
        plan = facts.points.point_world[:, :2]
        back_m = np.linalg.norm(cameras - plan, axis=1, keepdims=True)
        plan = plan + (cameras - plan) * (STEP_BACK_M / np.maximum(back_m, STEP_BACK_M))  # off the wall, into the room it is seen from
        self.whole_m2 = [hull_m2(outline) for outline in space.outlines or (plan,)]
        self.parts = [
            (facts.points.frame[inside], plan[inside])
            for inside in ([polygon_contains(one, plan) for one in space.outlines] or [np.ones(len(plan), dtype=bool)])
        ]

    def seen_share(self, frames: tuple[int, ...]) -> float:
        """Hull of what the frames show over the hull of the whole, rooms weighed by size; 0 where less than half of one of them is seen."""
        seen_m2 = [min(hull_m2(plan[np.isin(frame, frames)]), whole) for (frame, plan), whole in zip(self.parts, self.whole_m2)]
        if not sum(self.whole_m2) or (len(seen_m2) > 1 and min(one / whole for one, whole in zip(seen_m2, self.whole_m2)) < MIN_EACH_SHARE):
            return 0.0
        return sum(seen_m2) / sum(self.whole_m2)

    def covering(self, rng: np.random.Generator, *, most: int, enough: float) -> tuple[int, ...]:
        """A frame at random, and then whichever frame of the space grows the hull most, until it is enough; in time order."""
        frames = [int(self.space.frames[rng.integers(len(self.space.frames))])]
        while len(frames) < most and self.seen_share(tuple(frames)) < enough:
            others = [int(one) for one in rng.permutation(self.space.frames)[:TRIED_FRAMES] if one not in frames]
            grown = [self.seen_share((*frames, one)) for one in others]
            if not others or max(grown) <= self.seen_share(tuple(frames)):
                break
            frames.append(others[int(np.argmax(grown))])
        return tuple(sorted(frames))


def _spaces(facts: FactTable, video: tuple[int, ...]) -> list[Space]:
    """What can be asked for: each room that frames were taken in, or what a video goes through as a whole."""
    rooms = facts.rooms
    outlined = {room.room_index: np.asarray(room.outline_world) for room in facts.structure.rooms} if facts.structure is not None else {}
    frames = np.arange(len(facts.frames.frame_ids))
    if not rooms.from_outline.all() or not outlined:
        areas = zip(rooms.room_index.tolist(), rooms.area_m2.tolist())
        return [Space(what=ALL_SEEN, area_m2=area_m2, room_index=(), outlines=(), frames=frames, is_outlined=False) for _, area_m2 in areas]
    area_of = dict(zip(rooms.room_index.tolist(), rooms.area_m2.tolist()))
    cameras = facts.frames.world_from_camera[:, :3, 3]
    inside = {index: polygon_contains(outlined[index], cameras[:, :2]) & _on_floor(facts, index, cameras) for index in area_of}
    walked = tuple(index for index in area_of if inside[index][list(video)].any()) if video else ()
    if video:
        if not walked:
            return []
        outlines = tuple(outlined[index] for index in walked)
        area_m2 = sum(area_of[index] for index in walked)
        what = THE_ROOM if len(walked) == 1 else ALL_ROOMS
        return [Space(what=what, area_m2=area_m2, room_index=walked, outlines=outlines, frames=frames, is_outlined=True)]
    return [
        Space(
            what=THE_ROOM,
            area_m2=area_of[index],
            room_index=(index,),
            outlines=(outlined[index],),
            frames=np.flatnonzero(inside[index]),
            is_outlined=True,
        )
        for index in area_of
        if inside[index].any()
    ]


def _on_floor(facts: FactTable, room_index: int, places_world: np.ndarray) -> np.ndarray:
    """Which places are between the floor and the ceiling of a room: flats lie above each other."""
    room = next(one for one in facts.structure.rooms if one.room_index == room_index)
    return (places_world[:, 2] >= room.floor_z_m) & (places_world[:, 2] <= room.ceiling_z_m)


def hull_m2(plan: np.ndarray) -> float:
    """Area of the convex hull of points on the plan `(N, 2)`; 0 where they lie on a line."""
    if len(plan) < 3:
        return 0.0
    try:
        return float(ConvexHull(plan).volume)  # of a hull in the plane, `volume` is its area
    except QhullError:
        return 0.0
