"""Two objects in one image: which is nearer to the camera, which is farther left in the image, which is higher up."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from sightline.answers.answer import Answer, AnswerFormat
from sightline.answers.word import Word
from sightline.facts.fact import FactTable
from sightline.questions.box_views import BoxViews, beside_m
from sightline.questions.choosing import Letters, choose, thinned
from sightline.questions.margins import margins_of
from sightline.questions.question import Question, Skip, TaskOptions
from sightline.questions.shown import Introduced, Shown
from sightline.questions.templates import Wording, word


@dataclass(frozen=True, kw_only=True, slots=True)
class Related:
    """Two objects in one frame, what is true of the first, and what it was measured by."""

    frame: int
    object_ids: tuple[int, int]
    relation: str  # of the first to the second; of near and far, what is asked for
    evidence: Mapping[str, float | str]


@dataclass(frozen=True, kw_only=True, slots=True)
class Worded:
    """A question's words with the answer they want."""

    wording: Wording
    answer: Answer


Rule = Callable[[int, int, int, np.random.Generator], Related | str]  # frame, two object ids -> their relation, or why there is none


class ObjectRelation:
    """What the three tasks share: which pairs are looked at, how they are evened out and named."""

    name: ClassVar[str]
    needs: ClassVar[frozenset[str]] = frozenset(("frames", "pairs", "objects", "object_views"))
    MARGINS: ClassVar[Mapping[str, float]]

    def rule(self, facts: FactTable, margins: Mapping[str, float]) -> Rule:
        raise NotImplementedError

    def worded(self, related: Related, named: Introduced, letters: Letters, rng: np.random.Generator) -> Worded:
        raise NotImplementedError

    def ask(self, facts: FactTable, rng: np.random.Generator, options: TaskOptions) -> Iterator[Question | Skip]:
        margins = margins_of(self, options)
        shown = Shown(facts, min_visible_share=margins["min_visible_share"], options=options)
        letters = Letters(rng, options)
        rule = self.rule(facts, margins)
        pairs = _pairs_in_frames(shown)
        candidates: list[Related] = []
        for index in thinned(len(pairs), rng=rng, options=options):
            frame, *rows = pairs[index].tolist()
            if rng.random() < 0.5:
                rows.reverse()
            related = rule(frame, *(shown.object_ids[row] for row in rows), rng)
            if isinstance(related, Related):
                candidates.append(related)
            else:
                yield Skip(task=self.name, scan_id=facts.scan_id, reason=related)

        def build(related: Related) -> Question | Skip:
            named = shown.introduce(related.object_ids, [related.frame], rng=rng)
            if isinstance(named, str):
                return Skip(task=self.name, scan_id=facts.scan_id, reason=named)
            worded = self.worded(related, named, letters, rng)
            return Question(
                task=self.name,
                scan_id=facts.scan_id,
                frame_ids=(facts.frames.frame_ids[related.frame],),
                text=worded.wording.text,
                answer=worded.answer,
                template_id=worded.wording.template_id,
                evidence=related.evidence,
                marks=named.marks,
                object_ids=related.object_ids,
            )

        yield from choose(
            candidates,
            key=lambda related: related.relation,
            build=build,
            rng=rng,
            options=options,
            is_strict=True,
            about=lambda related: (tuple(sorted(related.object_ids)),),
            max_object_share=margins["max_pair_share"],
        )


class ObjectNearFar(ObjectRelation):
    """Choice of two objects: which is nearer to the camera, or farther from it, by the closest points of their boxes."""

    name: ClassVar[str] = "object_near_far"
    MARGINS: ClassVar[Mapping[str, float]] = {
        "min_gap_m": 0.25,  # between the two distances: twice what a box may be off
        "min_gap_share": 0.15,  # of the larger distance: people compare distances to about a tenth
        "min_visible_share": 0.2,  # of an object's points, in the image
        "max_pair_share": 0.1,  # of the questions wanted, about the same two objects
    }
    NEARER: ClassVar[tuple[str, ...]] = (
        "Which object is closer to the camera?",
        "Which of these two objects is nearer to the camera that took this image?",
        "Measured to their closest points, which object is at the smaller distance from the camera?",
        "From where the camera stands, which object would you reach first in a straight line?",
    )
    FARTHER: ClassVar[tuple[str, ...]] = (
        "Which object is farther from the camera?",
        "Which of these two objects is more distant from the camera that took this image?",
        "Measured to their closest points, which object is at the larger distance from the camera?",
        "From where the camera stands, which object would you reach last in a straight line?",
    )

    def rule(self, facts: FactTable, margins: Mapping[str, float]) -> Rule:
        box_of = {one.object_id: one.box for one in facts.objects or ()}

        def related(frame: int, first: int, second: int, rng: np.random.Generator) -> Related | str:
            eye_world = facts.frames.world_from_camera[frame][:3, 3]
            boxes = [box_of[first], box_of[second]]
            closest_m = [beside_m(box.world_from_object, box.size_m, eye_world) for box in boxes]
            centre_m = [float(np.linalg.norm(box.centre_world - eye_world)) for box in boxes]
            gap_m = abs(closest_m[1] - closest_m[0])
            if gap_m < max(margins["min_gap_m"], margins["min_gap_share"] * max(closest_m)):
                return "too_close_to_tell"
            if (closest_m[1] > closest_m[0]) != (centre_m[1] > centre_m[0]):
                return "closest_points_and_centres_disagree"
            evidence = {
                "first_m": round(closest_m[0], 4),
                "second_m": round(closest_m[1], 4),
                "gap_m": round(gap_m, 4),
                "min_gap_m": margins["min_gap_m"],
                "min_gap_share": margins["min_gap_share"],
            }
            relation = "nearer" if rng.random() < 0.5 else "farther"
            return Related(frame=frame, object_ids=(first, second), relation=relation, evidence=evidence)

        return related

    def worded(self, related: Related, named: Introduced, letters: Letters, rng: np.random.Generator) -> Worded:
        is_first_nearer = related.evidence["first_m"] < related.evidence["second_m"]
        right, wrong = named.names if is_first_nearer == (related.relation == "nearer") else named.names[::-1]
        choice = letters.choice(right, [wrong], order=named.names)
        lists = {"nearer": (self.NEARER, 0), "farther": (self.FARTHER, len(self.NEARER))}
        templates, first_index = lists[related.relation]
        wording = word(self.name, templates, rng, first_index=first_index)
        wording = Wording(text=f"{wording.text} {choice.listing}", template_id=wording.template_id)
        return Worded(wording=wording, answer=Answer(format=choice, value=choice.letter_of(right)))


class ObjectLeftRight(ObjectRelation):
    """One word: on which side of the second object the first one is, in the image, by the extents of their whole boxes."""

    name: ClassVar[str] = "object_left_right"
    MARGINS: ClassVar[Mapping[str, float]] = {
        "min_gap_share": 0.02,  # of the image's width, between the two extents: a few pixels in which boxes and poses may be off
        "min_visible_share": 0.2,  # of an object's points, in the image
        "max_pair_share": 0.1,  # of the questions wanted, about the same two objects
    }
    TEMPLATES: ClassVar[tuple[str, ...]] = (
        "In this image, is {a} to the left or to the right of {b}?",
        "As the camera sees it, is {a} left or right of {b}?",
        "Seen from the camera, does {a} lie on the left or on the right side of {b}?",
        "Do you find {a} to the left or to the right of {b} in the image?",
        "To point at {a} in the image, does your finger go left or right from {b}?",
        "From the camera's point of view, {a} is on which side of {b}, left or right?",
        "Compare where {a} and {b} appear in the image. Is the first one farther left or farther right than the second?",
        "Look at the image: does {a} appear to the left or to the right of {b}?",
    )
    WORDS: ClassVar[tuple[str, ...]] = ("left", "right")

    def rule(self, facts: FactTable, margins: Mapping[str, float]) -> Rule:
        boxes = BoxViews(facts)

        def related(frame: int, first: int, second: int, rng: np.random.Generator) -> Related | str:
            one, other = boxes.reach_px(first, frame), boxes.reach_px(second, frame)
            if one is None or other is None:
                return "reaches_behind_the_camera"
            width = facts.frames.intrinsics[frame].width
            left_gap, right_gap = (other[0] - one[2]) / width, (one[0] - other[2]) / width
            gap = max(left_gap, right_gap)
            if gap < margins["min_gap_share"]:
                return "side_by_side_only_in_part"
            word = "left" if left_gap > right_gap else "right"
            evidence = {"gap_share": round(gap, 4), "min_gap_share": margins["min_gap_share"]}
            return Related(frame=frame, object_ids=(first, second), relation=word, evidence=evidence)

        return related

    def worded(self, related: Related, named: Introduced, letters: Letters, rng: np.random.Generator) -> Worded:
        wording = word(self.name, self.TEMPLATES, rng, a=named.names[0], b=named.names[1])
        return Worded(wording=wording, answer=Answer(format=Word(words=self.WORDS), value=related.relation))


class ObjectUpDown(ObjectRelation):
    """One word: whether the middle of the first object is higher or lower above the floor than that of the second."""

    name: ClassVar[str] = "object_up_down"
    MARGINS: ClassVar[Mapping[str, float]] = {
        "min_gap_m": 0.25,  # between the heights of the middles: beyond what boxes and gravity are off across a room
        "min_visible_share": 0.2,  # of an object's points, in the image
        "max_pair_share": 0.1,  # of the questions wanted, about the same two objects
    }
    TEMPLATES: ClassVar[tuple[str, ...]] = (
        "Is the middle of {a} higher or lower than the middle of {b}, measured from the floor?",
        "Think of each object's middle: is that of {a} higher or lower above the floor than that of {b}?",
        "Halfway between top and bottom of {a}: is that point higher or lower than the one halfway up {b}?",
        "Does the middle of {a} lie higher or lower in the room, compared with the middle of {b}?",
        "In the room, not in the image: is the middle of {a} higher or lower than that of {b}?",
        "To get level with the middle of {a}, would you go higher or lower from the middle of {b}?",
        "Measured straight up from the floor, is the centre of {a} higher or lower than the centre of {b}?",
        "Compare the centres of {a} and {b}. Is the first one higher or lower above the floor?",
    )
    WORDS: ClassVar[tuple[str, ...]] = ("higher", "lower")

    def rule(self, facts: FactTable, margins: Mapping[str, float]) -> Rule:
        middle_m = {}
        for one in facts.objects or ():
            heights_m = one.box.corners_world()[:, 2]
            middle_m[one.object_id] = float(heights_m.min() + heights_m.max()) / 2.0

        def related(frame: int, first: int, second: int, rng: np.random.Generator) -> Related | str:
            above_m = middle_m[first] - middle_m[second]
            if abs(above_m) < margins["min_gap_m"]:
                return "too_close_to_tell"
            evidence = {"above_m": round(above_m, 4), "min_gap_m": margins["min_gap_m"]}
            return Related(frame=frame, object_ids=(first, second), relation="higher" if above_m > 0 else "lower", evidence=evidence)

        return related

    def worded(self, related: Related, named: Introduced, letters: Letters, rng: np.random.Generator) -> Worded:
        wording = word(self.name, self.TEMPLATES, rng, a=named.names[0], b=named.names[1])
        form: AnswerFormat = Word(words=self.WORDS)
        return Worded(wording=wording, answer=Answer(format=form, value=related.relation))


def _pairs_in_frames(shown: Shown) -> np.ndarray:
    """Every two nameable objects that one frame shows: rows `(N, 3)` of frame and two places in `shown.object_ids`."""
    found = [np.empty((0, 3), dtype=np.int64)]
    clear = shown.is_clear & shown.nameable[:, None]
    for frame in range(clear.shape[1]):
        rows = np.flatnonzero(clear[:, frame])
        first, second = np.triu_indices(len(rows), k=1)
        found.append(np.stack([np.full(len(first), frame), rows[first], rows[second]], axis=1))
    return np.concatenate(found)
