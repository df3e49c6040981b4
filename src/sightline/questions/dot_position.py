"""Dot position: in which quarter of the image a dot is. A control: it needs eyes and no geometry."""

from collections.abc import Iterator, Mapping
from typing import ClassVar

import numpy as np

from sightline.answers.answer import Answer
from sightline.facts.fact import FactTable
from sightline.questions.choosing import Letters, choose, thinned
from sightline.questions.margins import margins_of
from sightline.questions.marks import Spot, dots, trouble_with
from sightline.questions.question import Question, Skip, TaskOptions
from sightline.questions.templates import word

QUARTERS = ("upper left", "upper right", "lower left", "lower right")
DISTRACTORS = 2  # other dots in the image, so that the colour in the question matters

TEMPLATES = (
    "In which part of the image is the {colour} dot?",
    "Where in the image is the {colour} dot?",
    "Which quarter of the picture holds the {colour} dot?",
    "Find the {colour} dot. In which part of the image is it?",
    "Look for the {colour} dot. Where is it in the picture?",
    "The {colour} dot lies in which part of the image?",
)


class DotPosition:
    """Choice of the quarter of the image that holds the dot of a colour."""

    name: ClassVar[str] = "dot_position"
    needs: ClassVar[frozenset[str]] = frozenset(("frames", "points"))
    MARGINS: ClassVar[Mapping[str, float]] = {"min_off_centre_share": 0.06}  # of the image size, from both middle lines

    def ask(self, facts: FactTable, rng: np.random.Generator, options: TaskOptions) -> Iterator[Question | Skip]:
        margins = margins_of(self, options)
        letters = Letters(rng, options)
        points = facts.points
        rows_of = {int(frame): np.flatnonzero(points.frame == frame) for frame in np.unique(points.frame)}

        def off_centre(row: int) -> np.ndarray:
            camera = facts.frames.intrinsics[int(points.frame[row])]
            return (points.uv[row] + 0.5) / (camera.width, camera.height) - 0.5

        def quarter(row: int) -> str:
            right, down = off_centre(row) > 0
            return f"{'lower' if down else 'upper'} {'right' if right else 'left'}"

        def build(row: int) -> Question | Skip:
            if (np.abs(off_centre(row)) < margins["min_off_centre_share"]).any():
                return Skip(task=self.name, scan_id=facts.scan_id, reason="too_near_the_middle")
            frame = int(points.frame[row])
            rows = [row, *(int(other) for other in rng.permutation(rows_of[frame]) if other != row)][: DISTRACTORS + 1]
            spots = [Spot(frame=frame, u_px=float(points.uv[one, 0]), v_px=float(points.uv[one, 1])) for one in rows]
            if trouble := trouble_with(spots, facts):
                return Skip(task=self.name, scan_id=facts.scan_id, reason=trouble)
            marks = dots(spots, facts, rng)
            choice = letters.choice(quarter(row), [one for one in QUARTERS if one != quarter(row)], order=QUARTERS)
            wording = word(self.name, TEMPLATES, rng, colour=marks[0].colour)
            right_share, down_share = off_centre(row)
            return Question(
                task=self.name,
                scan_id=facts.scan_id,
                frame_ids=(facts.frames.frame_ids[frame],),
                text=f"{wording.text} {choice.listing}",
                answer=Answer(format=choice, value=choice.letter_of(quarter(row))),
                template_id=wording.template_id,
                evidence={
                    "right_of_centre_share": round(float(right_share), 4),
                    "below_centre_share": round(float(down_share), 4),
                    "min_off_centre_share": margins["min_off_centre_share"],
                },
                marks=marks,
            )

        yield from choose(
            [int(row) for row in thinned(len(points.frame), rng=rng, options=options)],
            key=quarter,
            build=build,
            rng=rng,
            options=options,
        )
