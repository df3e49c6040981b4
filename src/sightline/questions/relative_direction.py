"""Relative direction: standing at one object and facing another, on which side a third one lies, in three levels of detail."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from sightline.answers.answer import Answer
from sightline.facts.direction import bearing_deg
from sightline.facts.fact import FactTable
from sightline.questions.choosing import Letters, choose
from sightline.questions.margins import margins_of
from sightline.questions.question import Question, Skip, TaskOptions
from sightline.questions.shown import Shown
from sightline.questions.templates import word

TRIED_PER_QUESTION = 25  # triples drawn: most are too close together, too near a border or straddle one

TEMPLATES = (
    "Stand at {a} and face {b}. Where is {c}?",
    "You stand at {a} and look at {b}. In which direction from you is {c}?",
    "If you stand at {a} facing {b}, where do you find {c}?",
    "Facing {b} from {a}, in which direction is {c}?",
    "From {a}, looking towards {b}, where is {c}?",
    "Imagine standing at {a} with {b} ahead of you. Where is {c}?",
    "I am at {a}, facing {b}. Where is {c}, as I see it?",
    "With {b} in front of you as you stand at {a}, where would {c} be?",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Sector:
    """A direction word and the bearings it covers, degrees on the plan from straight ahead, left positive, 0 to 360."""

    word: str
    low_deg: float
    high_deg: float

    def inside_deg(self, bearing: float) -> float:
        """How far a bearing is inside the sector's borders; negative outside."""
        middle, half = (self.low_deg + self.high_deg) / 2.0, (self.high_deg - self.low_deg) / 2.0
        return half - abs((bearing - middle + 180.0) % 360.0 - 180.0)


LEFT, RIGHT = Sector(word="left", low_deg=0.0, high_deg=135.0), Sector(word="right", low_deg=225.0, high_deg=360.0)
BACK = Sector(word="back", low_deg=135.0, high_deg=225.0)
CORNERS = tuple(
    Sector(word=word, low_deg=low_deg, high_deg=low_deg + 90.0)
    for word, low_deg in (("front-left", 0.0), ("front-right", 270.0), ("back-left", 90.0), ("back-right", 180.0))
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Triple:
    """Three objects in their roles and where the third one lies."""

    object_ids: tuple[int, int, int]  # where one stands, what one faces, what is asked for
    bearing: float  # degrees on the plan, left positive
    border_deg: float  # from the nearest border between two words, of the centre
    corner_border_deg: float  # of the box corner that comes nearest to one; negative beyond it
    word: str


class _RelativeDirection:
    """Choice of a direction word. Centres of boxes give the answer, corners of boxes say whether it may be asked."""

    name: ClassVar[str]
    SECTORS: ClassVar[tuple[Sector, ...]]
    needs: ClassVar[frozenset[str]] = frozenset(("frames", "pairs", "objects", "object_views", "object_pairs"))
    MARGINS: ClassVar[Mapping[str, float]] = {
        "min_border_deg": 15.0,  # from the centre's bearing to the nearest border between two words, on either side
        "max_corners_beyond": 0,  # of the target's eight box corners, in another word's sector: an object on the border has two answers
        "max_faced_deg": 75.0,  # width of the faced object as seen from the stand: facing a wider one says little of the heading
        "min_apart_m": 0.7,  # on the plan between centres, from where one stands to what one faces and what is asked for
        "min_gap_m": 0.3,  # between the boxes of each two of the three: nobody can stand at one and turn to another that touches it
        "max_gap_m": 5.0,  # farther than this one mostly looks through a wall
        "max_stand_bottom_m": 1.0,  # of the object one stands at, above the lowest thing of the scan: nobody stands at a ceiling light
        "min_visible_share": 0.2,  # of an object's points, in a frame that is said to show it
        "max_object_share": 0.25,  # of the questions wanted, about one object as the target
    }

    def ask(self, facts: FactTable, rng: np.random.Generator, options: TaskOptions) -> Iterator[Question | Skip]:
        margins = margins_of(self, options)
        shown = Shown(facts, min_visible_share=margins["min_visible_share"], options=options, as_video=True)
        letters = Letters(rng, options)
        pairs = facts.object_pairs
        gaps_m = dict(zip(zip(pairs.first.tolist(), pairs.second.tolist()), pairs.closest_m.tolist()))
        self.lowest_m = min((float(one.box.corners_world()[:, 2].min()) for one in facts.objects or ()), default=0.0)
        triples: list[Triple] = []
        for object_ids in self._drawn(shown, rng, options):
            triple = self._measured(object_ids, shown, gaps_m, margins)
            if isinstance(triple, Triple):
                triples.append(triple)
            else:
                yield Skip(task=self.name, scan_id=facts.scan_id, reason=triple)

        def build(triple: Triple) -> Question | Skip:
            return self._question(triple, shown, facts, rng, letters, margins)

        yield from choose(
            triples,
            key=lambda triple: triple.word,
            build=build,
            rng=rng,
            options=options,
            is_strict=True,
            video_ids=shown.video_ids,
            about=lambda triple: triple.object_ids[2:],
            max_object_share=margins["max_object_share"],
        )

    @staticmethod
    def _drawn(shown: Shown, rng: np.random.Generator, options: TaskOptions) -> Iterator[tuple[int, int, int]]:
        """Distinct ordered triples of objects that are shown together, at random."""
        seen: set[tuple[int, int, int]] = set()
        for _, rows in zip(range(TRIED_PER_QUESTION * options.max_per_scan), shown.groups(rng=rng)):
            if len(rows) < 3:
                continue
            stand, face, target = (shown.object_ids[row] for row in rng.permutation(rows)[:3])
            if (stand, face, target) not in seen:
                seen.add((stand, face, target))
                yield stand, face, target

    def _measured(
        self, object_ids: tuple[int, int, int], shown: Shown, gaps_m: Mapping[tuple[int, int], float], margins: Mapping[str, float]
    ) -> Triple | str:
        """The triple with its direction, or the reason why there is none."""
        boxes = [shown.objects[one].box for one in object_ids]
        if boxes[0].corners_world()[:, 2].min() - self.lowest_m > margins["max_stand_bottom_m"]:
            return "nobody_stands_there"
        stand, face, target = (box.centre_world for box in boxes)
        gaps = [gaps_m[min(one, other), max(one, other)] for one, other in zip(object_ids, (*object_ids[1:], object_ids[0]))]
        if min(np.hypot(*(face - stand)[:2]), np.hypot(*(target - stand)[:2])) < margins["min_apart_m"] or min(gaps) < margins["min_gap_m"]:
            return "too_close_to_tell"
        if max(gaps) > margins["max_gap_m"]:
            return "too_far_apart"
        if 2.0 * np.abs(bearings_deg(stand, face, boxes[1].corners_world())).max() > margins["max_faced_deg"]:
            return "faced_object_too_wide"
        bearing = bearing_deg(stand, face, target)
        sector = max(self.SECTORS, key=lambda one: one.inside_deg(bearing))
        border_deg = sector.inside_deg(bearing)
        if border_deg < -margins["min_border_deg"]:
            return "behind"  # outside every sector: easy questions have no word for what lies behind
        if border_deg < margins["min_border_deg"]:
            return "too_near_a_border"
        corners_deg = [sector.inside_deg(one) for one in bearings_deg(stand, face, boxes[2].corners_world())]
        if sum(one < 0.0 for one in corners_deg) > margins["max_corners_beyond"]:
            return "straddles_a_border"
        return Triple(
            object_ids=object_ids, bearing=bearing, border_deg=border_deg, corner_border_deg=float(min(corners_deg)), word=sector.word
        )

    def _question(
        self,
        triple: Triple,
        shown: Shown,
        facts: FactTable,
        rng: np.random.Generator,
        letters: Letters,
        margins: Mapping[str, float],
    ) -> Question | Skip:
        frames = shown.frames_of(triple.object_ids, rng=rng)
        if not frames:
            return Skip(task=self.name, scan_id=facts.scan_id, reason="not_shown_together")
        named = shown.introduce(triple.object_ids, frames, rng=rng)
        if isinstance(named, str):
            return Skip(task=self.name, scan_id=facts.scan_id, reason=named)
        words = tuple(one.word for one in self.SECTORS)
        choice = letters.choice(triple.word, [one for one in words if one != triple.word], order=words)
        wording = word(self.name, TEMPLATES, rng, **dict(zip("abc", named.names)))
        return Question(
            task=self.name,
            scan_id=facts.scan_id,
            frame_ids=tuple(facts.frames.frame_ids[frame] for frame in frames),
            text=f"{wording.text} {choice.listing}",
            answer=Answer(format=choice, value=choice.letter_of(triple.word)),
            template_id=wording.template_id,
            evidence={
                "bearing_deg": round(triple.bearing, 3),
                "border_deg": round(triple.border_deg, 3),
                "corner_border_deg": round(triple.corner_border_deg, 3),
                "min_border_deg": margins["min_border_deg"],
                "direction": triple.word,
            },
            marks=named.marks,
            object_ids=triple.object_ids,
        )


class RelativeDirectionEasy(_RelativeDirection):
    """Left or right; what lies behind is not asked."""

    name: ClassVar[str] = "relative_direction_easy"
    SECTORS: ClassVar[tuple[Sector, ...]] = (LEFT, RIGHT)


class RelativeDirectionMedium(_RelativeDirection):
    """Left, right, or back: the quarter behind."""

    name: ClassVar[str] = "relative_direction_medium"
    SECTORS: ClassVar[tuple[Sector, ...]] = (LEFT, RIGHT, BACK)


class RelativeDirectionHard(_RelativeDirection):
    """One of four corners."""

    name: ClassVar[str] = "relative_direction_hard"
    SECTORS: ClassVar[tuple[Sector, ...]] = CORNERS


def bearings_deg(stand_world: np.ndarray, face_world: np.ndarray, points_world: np.ndarray) -> np.ndarray:
    """Bearings of points `(N, 3)` as `bearing_deg` has them, in one go; one straight above or below the stand counts as ahead."""
    ahead, to = (face_world - stand_world)[:2], (points_world - stand_world)[:, :2]
    return np.degrees(np.arctan2(ahead[0] * to[:, 1] - ahead[1] * to[:, 0], to @ ahead))
