"""Camera distance: how far the camera moved between two images, in a straight line."""

from collections.abc import Iterator, Mapping
from typing import ClassVar

import numpy as np

from sightline.answers.answer import Answer
from sightline.answers.number import Number
from sightline.facts.fact import FactTable
from sightline.questions.choosing import choose, log_bin, thinned, times
from sightline.questions.margins import margins_of
from sightline.questions.question import Question, Skip, TaskOptions
from sightline.questions.templates import word

TEMPLATES = (
    "How far did the camera move between the two images?",
    "What is the distance between the two camera positions?",
    "How far apart are the places from which these images were taken?",
    "How far is the second camera position from the first?",
    "The camera moved from view 1 to view 2. How long is the straight line between them?",
    "From the first image to the second, how far did the camera travel in a straight line?",
    "By how much did the camera change its place between these two views?",
    "What distance lies between the camera of image 1 and the camera of image 2?",
)


class CameraDistance:
    """Metres between two camera centres."""

    name: ClassVar[str] = "camera_distance"
    needs: ClassVar[frozenset[str]] = frozenset(("frames", "pairs"))
    MARGINS: ClassVar[Mapping[str, float]] = {
        "decimals": 1,
        "min_in_last_digits": 5,  # an answer is at least this many of its last digits, so that rounding moves it by 10 % at most
        "max_distance_m": 20.0,
    }

    def ask(self, facts: FactTable, rng: np.random.Generator, options: TaskOptions) -> Iterator[Question | Skip]:
        margins = margins_of(self, options)
        pairs = facts.pairs
        rows = thinned(len(pairs.first), rng=rng, options=options)
        in_band = (pairs.overlap[rows] >= options.min_overlap) & (pairs.overlap[rows] <= options.max_overlap)
        is_far = pairs.distance_m[rows] >= margins["min_in_last_digits"] * 10.0 ** -margins["decimals"]
        is_near = pairs.distance_m[rows] <= margins["max_distance_m"]
        for reason, dropped in (
            ("overlap_outside_band", ~in_band),
            ("moved_too_little", in_band & ~is_far),
            ("moved_too_far", in_band & ~is_near),
        ):
            yield from times(Skip(task=self.name, scan_id=facts.scan_id, reason=reason), dropped.sum())
        form = Number(unit="m", decimals=int(margins["decimals"]), high=100.0)

        def build(row: int) -> Question:
            frames = [int(pairs.first[row]), int(pairs.second[row])]
            if rng.random() < 0.5:
                frames.reverse()
            wording = word(self.name, TEMPLATES, rng)
            return Question(
                task=self.name,
                scan_id=facts.scan_id,
                frame_ids=tuple(facts.frames.frame_ids[frame] for frame in frames),
                text=wording.text,
                answer=Answer(format=form, value=float(pairs.distance_m[row])),
                template_id=wording.template_id,
                evidence={
                    "distance_m": round(float(pairs.distance_m[row]), 4),
                    "overlap": round(float(pairs.overlap[row]), 4),
                },
            )

        yield from choose(
            [int(row) for row in rows[in_band & is_far & is_near]],
            key=lambda row: log_bin(pairs.distance_m[row]),
            build=build,
            rng=rng,
            options=options,
        )
