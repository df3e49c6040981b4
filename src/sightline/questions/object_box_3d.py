"""Object box in space: where an object stands, how large it is and how it is turned, from the camera of the first image."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from sightline.answers.answer import Answer
from sightline.answers.box3d import Box3d
from sightline.captures.capture import SceneObject
from sightline.facts.fact import FactTable
from sightline.questions.choosing import choose, log_bin
from sightline.questions.margins import margins_of
from sightline.questions.question import Question, Skip, TaskOptions
from sightline.questions.shown import Shown
from sightline.questions.templates import word

TEMPLATES = (
    "What is the upright 3D box of {a}, in metres, seen from the first camera?",
    "Where is {a} in space, how large is it in metres and how is it turned, as seen from the first camera?",
    "Give the 3D bounding box of {a} in metres, relative to the camera of the first image.",
    "Fit an upright box in metres around {a}, with its place given from the first camera.",
    "Seen from the first camera, which box in space, in metres, just holds {a}?",
    "Locate {a} in 3D, as seen from the first camera: give its centre and size in metres and its turn in degrees.",
    "With the first camera as the origin, what are the centre, size and turn of {a}, in metres and degrees?",
    "Describe the space that {a} fills as an upright box in metres, with the first camera at the origin.",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Placed:
    """An object, the frames that are shown, and its box seen from the first of them."""

    object_id: int
    frames: tuple[int, ...]
    box: tuple[float, ...]  # the value of `Box3d`
    distance_m: float  # of the box's centre from the first camera


class ObjectBox3d:
    """JSON of centre, size and yaw in the level frame of the first camera, see `Box3d`. One image, two that overlap, or the video."""

    name: ClassVar[str] = "object_box_3d"
    needs: ClassVar[frozenset[str]] = frozenset(("frames", "pairs", "objects", "object_views"))
    MARGINS: ClassVar[Mapping[str, float]] = {
        "min_visible_share": 0.3,  # of the object's points: a surface that is mostly hidden gives its extent away to nobody
        "max_distance_m": 8.0,  # from the first camera: beyond, the error of a good guess is larger than most objects
        "min_size_m": 0.1,  # the shortest side: of a flatter box the overlap is lost by a hand's breadth
        "max_tilt_deg": 60.0,  # of the first camera, up or down: beyond, its direction on the level is hard to tell
        "tries_per_object": 6,  # different sets of frames asked of one object
        "max_object_share": 0.25,  # of the questions wanted, about one object
    }

    def ask(self, facts: FactTable, rng: np.random.Generator, options: TaskOptions) -> Iterator[Question | Skip]:
        margins = margins_of(self, options)
        shown = Shown(facts, min_visible_share=margins["min_visible_share"], options=options, as_video=True)
        candidates: list[Placed] = []
        for object_id in shown.object_ids:
            one = shown.objects[object_id]
            uncut = [view.frame for view in shown.views_of(object_id) if not view.is_cut]
            reason = None
            if not one.box.is_upright:
                reason = "box_not_upright"
            elif one.box.size_m.min() < margins["min_size_m"]:
                reason = "too_flat"
            elif not uncut:
                reason = "not_wholly_shown"
            if reason:
                yield Skip(task=self.name, scan_id=facts.scan_id, reason=reason)
                continue
            for frames in self._frames(uncut, shown, rng, tries=int(margins["tries_per_object"])):
                placed = self._placed(one, frames, facts, margins)
                if isinstance(placed, Placed):
                    candidates.append(placed)
                else:
                    yield Skip(task=self.name, scan_id=facts.scan_id, reason=placed)
        candidates = [candidates[index] for index in rng.permutation(len(candidates))]

        def build(placed: Placed) -> Question | Skip:
            return self._question(placed, shown, facts, rng, margins)

        yield from choose(
            candidates,
            key=lambda placed: log_bin(placed.distance_m),
            build=build,
            rng=rng,
            options=options,
            video_ids=shown.video_ids,
            about=lambda placed: (placed.object_id,),
            max_object_share=margins["max_object_share"],
        )

    @staticmethod
    def _frames(uncut: list[int], shown: Shown, rng: np.random.Generator, *, tries: int) -> Iterator[tuple[int, ...]]:
        """The video, or views of the whole object: each alone, or first of two that overlap, in turn."""
        if shown.video:
            yield shown.video
            return
        first, second = shown.overlapping
        for turn, index in enumerate(rng.permutation(len(uncut))[:tries]):
            frame = uncut[index]
            beside = np.sort(np.concatenate([second[first == frame], first[second == frame]]))
            if turn % 2 and len(beside):
                yield frame, int(beside[rng.integers(len(beside))])
            else:
                yield (frame,)

    @staticmethod
    def _placed(one: SceneObject, frames: tuple[int, ...], facts: FactTable, margins: Mapping[str, float]) -> Placed | str:
        world_from_camera = facts.frames.world_from_camera[frames[0]]
        tilt_deg = float(np.degrees(np.arcsin(np.clip(world_from_camera[2, 2], -1.0, 1.0))))
        if abs(tilt_deg) > margins["max_tilt_deg"]:
            return "camera_looks_up_or_down"
        distance_m = float(np.linalg.norm(one.box.centre_world - world_from_camera[:3, 3]))
        if distance_m > margins["max_distance_m"]:
            return "too_far_away"
        return Placed(object_id=one.object_id, frames=frames, box=seen_level(one, world_from_camera), distance_m=distance_m)

    def _question(
        self, placed: Placed, shown: Shown, facts: FactTable, rng: np.random.Generator, margins: Mapping[str, float]
    ) -> Question | Skip:
        named = shown.introduce([placed.object_id], placed.frames, rng=rng)
        if isinstance(named, str):
            return Skip(task=self.name, scan_id=facts.scan_id, reason=named)
        wording = word(self.name, TEMPLATES, rng, a=named.names[0])
        return Question(
            task=self.name,
            scan_id=facts.scan_id,
            frame_ids=tuple(facts.frames.frame_ids[frame] for frame in placed.frames),
            text=wording.text,
            answer=Answer(format=Box3d(), value=placed.box),
            template_id=wording.template_id,
            evidence={
                "distance_m": round(placed.distance_m, 4),
                "visible_share": round(shown.best_view(placed.object_id, placed.frames).visible_share, 4),
                "max_distance_m": margins["max_distance_m"],
            },
            marks=named.marks,
            object_ids=(placed.object_id,),
        )


def seen_level(one: SceneObject, world_from_camera: np.ndarray) -> tuple[float, ...]:
    """An upright box in the level frame of a camera: x, y, z, length, width, height in metres, yaw in degrees from -90 up to 90.

    The frame has its origin at the camera's centre, z up, y along the viewing direction made horizontal, x to the right; the length is the
    longer of the two level sides.
    """
    forward = world_from_camera[:2, 2] / np.linalg.norm(world_from_camera[:2, 2])
    right = np.array([forward[1], -forward[0]])
    apart = one.box.centre_world - world_from_camera[:3, 3]
    length_m, width_m, height_m = one.box.size_m
    along = one.box.world_from_object[:2, 0]
    if width_m > length_m:
        length_m, width_m, along = width_m, length_m, one.box.world_from_object[:2, 1]
    yaw_deg = float(np.degrees(np.arctan2(along @ forward, along @ right)))
    yaw_deg = (yaw_deg + 90.0) % 180.0 - 90.0
    return tuple(map(float, (apart[:2] @ right, apart[:2] @ forward, apart[2], length_m, width_m, height_m, yaw_deg)))
