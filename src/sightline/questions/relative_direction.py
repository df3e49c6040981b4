"""Relative direction: standing at one object and facing another, to which corner does a third one lie."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from sightline.answers.answer import Answer
from sightline.facts.direction import bearing_deg, border_distance_deg, corner
from sightline.facts.fact import FactTable
from sightline.questions.choosing import Letters, choose
from sightline.questions.margins import margins_of
from sightline.questions.marks import dots, trouble_with
from sightline.questions.question import Question, Skip, TaskOptions
from sightline.questions.shown import Shown
from sightline.questions.templates import object_name, word

TRIED_PER_QUESTION = 12  # triples drawn: about half are too close together or too near a border
WORDS = ("front-left", "front-right", "back-left", "back-right")

TEMPLATES = (
    "Stand at {a} and face {b}. Where is {c}?",
    "You stand at {a} and look at {b}. On which side is {c}?",
    "If you stand at {a} facing {b}, where do you find {c}?",
    "Facing {b} from {a}, in which direction is {c}?",
    "From {a}, looking towards {b}, where is {c}?",
    "Imagine standing at {a} with {b} ahead of you. Where is {c}?",
    "I am at {a} and turned to {b}. To which corner of me is {c}?",
    "With {b} in front of you as you stand at {a}, where would {c} be?",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Triple:
    """Three objects in their roles and where the third one lies."""

    stand: int
    face: int
    target: int
    bearing: float  # degrees on the plan, left positive
    word: str

    @property
    def object_ids(self) -> tuple[int, int, int]:
        return self.stand, self.face, self.target


class RelativeDirection:
    """Choice of one of four corners, by the boxes' centres on the floor plan."""

    name: ClassVar[str] = "relative_direction"
    needs: ClassVar[frozenset[str]] = frozenset(("frames", "pairs", "objects", "object_views"))
    MARGINS: ClassVar[Mapping[str, float]] = {
        "min_border_deg": 15.0,  # from straight ahead, left, right and behind
        "min_apart_m": 0.7,  # on the plan, from where one stands to what one faces and what is asked for
        "min_visible_share": 0.2,  # of an object's points, in a frame that is said to show it
    }

    def ask(self, facts: FactTable, rng: np.random.Generator, options: TaskOptions) -> Iterator[Question | Skip]:
        margins = margins_of(self, options)
        shown = Shown(facts, min_visible_share=margins["min_visible_share"], options=options)
        letters = Letters(rng, options)
        triples: list[Triple] = []
        for object_ids in self._drawn(shown, rng, options):
            triple = self._measured(object_ids, shown, margins)
            if isinstance(triple, Triple):
                triples.append(triple)
            else:
                yield Skip(task=self.name, scan_id=facts.scan_id, reason=triple)

        def build(triple: Triple) -> Question | Skip:
            return self._question(triple, shown, facts, rng, options, letters, margins)

        yield from choose(triples, key=lambda triple: triple.word, build=build, rng=rng, options=options, is_strict=True)

    @staticmethod
    def _drawn(shown: Shown, rng: np.random.Generator, options: TaskOptions) -> Iterator[tuple[int, int, int]]:
        """Distinct ordered triples of objects, at random: half of them from one frame, the rest from frame pairs that overlap."""
        frames = range(shown.is_clear.shape[1])
        single = [rows for rows in (np.flatnonzero(shown.is_clear[:, frame]) for frame in frames) if len(rows) >= 3]
        first, second = shown.overlapping
        several = (shown.is_clear[:, first] | shown.is_clear[:, second]).T
        several = several[several.sum(axis=1) >= 3]
        seen: set[tuple[int, ...]] = set()
        for turn in range(TRIED_PER_QUESTION * options.max_per_scan if len(single) or len(several) else 0):
            from_one = bool(single) and (turn % 2 == 0 or not len(several))
            rows = single[rng.integers(len(single))] if from_one else np.flatnonzero(several[rng.integers(len(several))])
            object_ids = tuple(shown.object_ids[row] for row in rng.permutation(rows)[:3])
            if object_ids not in seen:
                seen.add(object_ids)
                yield object_ids

    @staticmethod
    def _measured(object_ids: tuple[int, int, int], shown: Shown, margins: Mapping[str, float]) -> Triple | str:
        """The triple with its direction, or the reason why there is none."""
        stand, face, target = (shown.objects[one].box.centre_world for one in object_ids)
        if min(np.hypot(*(face - stand)[:2]), np.hypot(*(target - stand)[:2])) < margins["min_apart_m"]:
            return "too_close_to_tell"
        bearing = bearing_deg(stand, face, target)
        found = corner(bearing, margin_deg=margins["min_border_deg"])
        if found is None:
            return "too_near_a_border"
        return Triple(stand=object_ids[0], face=object_ids[1], target=object_ids[2], bearing=bearing, word=found)

    def _question(
        self,
        triple: Triple,
        shown: Shown,
        facts: FactTable,
        rng: np.random.Generator,
        options: TaskOptions,
        letters: Letters,
        margins: Mapping[str, float],
    ) -> Question | Skip:
        frames = shown.frames_of(triple.object_ids, rng=rng)
        if not frames:
            return Skip(task=self.name, scan_id=facts.scan_id, reason="not_shown_together")
        if not shown.is_named(triple.object_ids):
            return Skip(task=self.name, scan_id=facts.scan_id, reason="category_not_unique")
        spots = [shown.best_view(object_id, frames).spot for object_id in triple.object_ids]
        trouble = trouble_with(spots, facts) if options.mark_objects else None
        if trouble:
            return Skip(task=self.name, scan_id=facts.scan_id, reason=trouble)
        marks = dots(spots, facts, rng) if options.mark_objects else ()
        names = [object_name(shown.category(one), mark) for one, mark in zip(triple.object_ids, marks or (None, None, None))]
        choice = letters.choice(triple.word, [one for one in WORDS if one != triple.word], order=WORDS)
        wording = word(self.name, TEMPLATES, rng, a=names[0], b=names[1], c=names[2])
        return Question(
            task=self.name,
            scan_id=facts.scan_id,
            frame_ids=tuple(facts.frames.frame_ids[frame] for frame in frames),
            text=f"{wording.text} {choice.listing}",
            answer=Answer(format=choice, value=choice.letter_of(triple.word)),
            template_id=wording.template_id,
            evidence={
                "bearing_deg": round(triple.bearing, 3),
                "border_deg": round(border_distance_deg(triple.bearing, sectors=4, first_deg=0.0), 3),
                "min_border_deg": margins["min_border_deg"],
                "direction": triple.word,
            },
            marks=marks,
            object_ids=triple.object_ids,
        )
