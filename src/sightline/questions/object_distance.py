"""Object distance: the closest distance between two objects, from surface to surface of their boxes."""

from collections.abc import Iterator, Mapping
from typing import ClassVar

import numpy as np

from sightline.answers.answer import Answer
from sightline.answers.number import Number
from sightline.facts.fact import FactTable
from sightline.questions.choosing import choose, log_bin, thinned, times
from sightline.questions.margins import margins_of
from sightline.questions.marks import dots, trouble_with
from sightline.questions.question import Question, Skip, TaskOptions
from sightline.questions.shown import Shown
from sightline.questions.templates import object_name, word

TEMPLATES = (
    "How far apart are {a} and {b} at their closest points?",
    "What is the distance between {a} and {b}?",
    "What is the shortest distance from {a} to {b}?",
    "How much space is there between {a} and {b}?",
    "How far is {a} from {b}, measured between their closest points?",
    "How wide is the gap between {a} and {b}?",
    "Measure from {a} to {b}: what is the smallest distance?",
    "How far would you have to go from {a} to touch {b}?",
)


class ObjectDistance:
    """Metres between the boxes of two objects that the shown images show together."""

    name: ClassVar[str] = "object_distance"
    needs: ClassVar[frozenset[str]] = frozenset(("frames", "pairs", "objects", "object_views", "object_pairs"))
    MARGINS: ClassVar[Mapping[str, float]] = {
        "decimals": 1,
        "min_in_last_digits": 5,  # an answer is at least this many of its last digits, so that rounding moves it by 10 % at most
        "max_distance_m": 20.0,
        "min_visible_share": 0.2,  # of an object's points, in a frame that is said to show it
    }

    def ask(self, facts: FactTable, rng: np.random.Generator, options: TaskOptions) -> Iterator[Question | Skip]:
        margins = margins_of(self, options)
        shown = Shown(facts, min_visible_share=margins["min_visible_share"], options=options)
        pairs = facts.object_pairs
        rows = thinned(len(pairs.first), rng=rng, options=options)
        is_asked = np.isin(pairs.first[rows], shown.object_ids) & np.isin(pairs.second[rows], shown.object_ids)
        row_of = np.zeros(1 + max(shown.object_ids, default=0), dtype=np.int64)
        row_of[list(shown.object_ids)] = np.arange(len(shown.object_ids))
        is_shown = np.zeros(len(rows), dtype=bool)
        is_shown[is_asked] = shown.together_table()[row_of[pairs.first[rows[is_asked]]], row_of[pairs.second[rows[is_asked]]]]
        is_far = pairs.closest_m[rows] >= margins["min_in_last_digits"] * 10.0 ** -margins["decimals"]
        is_near = pairs.closest_m[rows] <= margins["max_distance_m"]
        for reason, dropped in (
            ("category_not_asked", ~is_asked),
            ("not_shown_together", is_asked & ~is_shown),
            ("too_close_to_measure", is_shown & ~is_far),
            ("too_far_apart", is_shown & ~is_near),
        ):
            yield from times(Skip(task=self.name, scan_id=facts.scan_id, reason=reason), dropped.sum())
        form = Number(unit="m", decimals=int(margins["decimals"]), high=100.0)

        def build(row: int) -> Question | Skip:
            object_ids = [int(pairs.first[row]), int(pairs.second[row])]
            if rng.random() < 0.5:
                object_ids.reverse()
            frames = shown.frames_of(object_ids, rng=rng)
            if not shown.is_named(object_ids):
                return Skip(task=self.name, scan_id=facts.scan_id, reason="category_not_unique")
            spots = [shown.best_view(object_id, frames).spot for object_id in object_ids]
            trouble = trouble_with(spots, facts) if options.mark_objects else None
            if trouble:
                return Skip(task=self.name, scan_id=facts.scan_id, reason=trouble)
            marks = dots(spots, facts, rng) if options.mark_objects else ()
            names = [object_name(shown.category(one), mark) for one, mark in zip(object_ids, marks or (None, None))]
            wording = word(self.name, TEMPLATES, rng, a=names[0], b=names[1])
            return Question(
                task=self.name,
                scan_id=facts.scan_id,
                frame_ids=tuple(facts.frames.frame_ids[frame] for frame in frames),
                text=wording.text,
                answer=Answer(format=form, value=float(pairs.closest_m[row])),
                template_id=wording.template_id,
                evidence={
                    "closest_m": round(float(pairs.closest_m[row]), 4),
                    "centre_m": round(float(pairs.centre_m[row]), 4),
                    "least_visible_share": round(min(shown.best_view(one, frames).visible_share for one in object_ids), 4),
                },
                marks=marks,
                object_ids=tuple(object_ids),
            )

        yield from choose(
            [int(row) for row in rows[is_shown & is_far & is_near]],
            key=lambda row: log_bin(pairs.closest_m[row]),
            build=build,
            rng=rng,
            options=options,
        )
