"""Object distance: the closest distance between two objects, from surface to surface of their boxes."""

from collections.abc import Iterator, Mapping
from typing import ClassVar

import numpy as np

from sightline.answers.answer import Answer
from sightline.answers.number import Number
from sightline.facts.fact import FactTable
from sightline.questions.choosing import choose, log_bin, thinned, times
from sightline.questions.margins import margins_of
from sightline.questions.question import Question, Skip, TaskOptions
from sightline.questions.shown import Shown
from sightline.questions.templates import word
from sightline.questions.units import DECIMALS, PER_M

TEMPLATES = (
    "How far apart are {a} and {b} at their closest points?",
    "What is the distance between the closest points of {a} and {b}?",
    "What is the shortest distance from {a} to {b}?",
    "How much space is there between {a} and {b} where they come closest?",
    "How far is {a} from {b}, measured between their closest points?",
    "How wide is the gap between {a} and {b} where it is narrowest?",
    "Measure from {a} to {b}: what is the smallest distance?",
    "From surface to surface in a straight line, what is the least distance between {a} and {b}?",
)


class ObjectDistance:
    """Length between the boxes of two objects that the shown images, or the video, show together, in `options.length_unit`."""

    name: ClassVar[str] = "object_distance"
    needs: ClassVar[frozenset[str]] = frozenset(("frames", "pairs", "objects", "object_views", "object_pairs"))
    MARGINS: ClassVar[Mapping[str, float]] = {
        "decimals": 1,  # of an answer in metres
        "min_in_last_digits": 5,  # an answer is at least this many of its last digits, so that rounding moves it by 10 % at most
        "min_distance_m": 0.2,  # boxes fit their objects to some centimetres: a smaller gap is mostly that error
        "max_distance_m": 20.0,
        "min_visible_share": 0.2,  # of an object's points, in a frame that is said to show it
        "max_object_share": 0.25,  # of the questions wanted, about one object
    }

    def ask(self, facts: FactTable, rng: np.random.Generator, options: TaskOptions) -> Iterator[Question | Skip]:
        margins = margins_of(self, options)
        shown = Shown(facts, min_visible_share=margins["min_visible_share"], options=options, as_video=True)
        pairs = facts.object_pairs
        ids = np.array(shown.object_ids, dtype=np.int64)
        is_asked = np.isin(pairs.first, ids) & np.isin(pairs.second, ids)
        is_named = np.isin(pairs.first, ids[shown.nameable]) & np.isin(pairs.second, ids[shown.nameable])
        named = np.flatnonzero(is_named)
        rows = named[thinned(len(named), rng=rng, options=options)]
        is_shown = shown.together_table()[np.searchsorted(ids, pairs.first[rows]), np.searchsorted(ids, pairs.second[rows])]
        unit = options.length_unit
        decimals = int(margins["decimals"]) if unit == "m" else DECIMALS[unit]
        least_m = max(margins["min_distance_m"], margins["min_in_last_digits"] * 10.0**-decimals / PER_M[unit])
        is_far = pairs.closest_m[rows] >= least_m
        is_near = pairs.closest_m[rows] <= margins["max_distance_m"]
        for reason, dropped in (
            ("category_not_asked", ~is_asked),
            ("category_not_unique", is_asked & ~is_named),
            ("not_shown_together", ~is_shown),
            ("too_close_to_measure", is_shown & ~is_far),
            ("too_far_apart", is_shown & ~is_near),
        ):
            yield from times(Skip(task=self.name, scan_id=facts.scan_id, reason=reason), dropped.sum())
        form = Number(unit=unit, decimals=decimals, high=100.0 * PER_M[unit], tolerance_share=options.tolerance_share)

        def build(row: int) -> Question | Skip:
            object_ids = [int(pairs.first[row]), int(pairs.second[row])]
            if rng.random() < 0.5:
                object_ids.reverse()
            frames = shown.frames_of(object_ids, rng=rng)
            named = shown.introduce(object_ids, frames, rng=rng)
            if isinstance(named, str):
                return Skip(task=self.name, scan_id=facts.scan_id, reason=named)
            wording = word(self.name, TEMPLATES, rng, a=named.names[0], b=named.names[1])
            return Question(
                task=self.name,
                scan_id=facts.scan_id,
                frame_ids=tuple(facts.frames.frame_ids[frame] for frame in frames),
                text=wording.text,
                answer=Answer(format=form, value=float(pairs.closest_m[row]) * PER_M[unit]),
                template_id=wording.template_id,
                evidence={
                    "closest_m": round(float(pairs.closest_m[row]), 4),
                    "centre_m": round(float(pairs.centre_m[row]), 4),
                    "min_distance_m": least_m,
                    "least_visible_share": round(min(shown.best_view(one, frames).visible_share for one in object_ids), 4),
                },
                marks=named.marks,
                object_ids=tuple(object_ids),
            )

        yield from choose(
            [int(row) for row in rows[is_shown & is_far & is_near]],
            key=lambda row: log_bin(pairs.closest_m[row]),
            build=build,
            rng=rng,
            options=options,
            video_ids=shown.video_ids,
            about=lambda row: (int(pairs.first[row]), int(pairs.second[row])),
            max_object_share=margins["max_object_share"],
        )
