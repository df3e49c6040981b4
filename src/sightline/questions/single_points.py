"""What the tasks about one dotted point share: a number measured at the point, asked where it is neither tiny nor absurd."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from sightline.answers.answer import Answer
from sightline.answers.number import Number
from sightline.facts.fact import FactTable
from sightline.questions.choosing import choose, log_bin, thinned, times
from sightline.questions.marks import Spot, dots, trouble_with
from sightline.questions.question import Question, Skip, TaskOptions
from sightline.questions.templates import word


def ask_points(
    name: str,
    facts: FactTable,
    rng: np.random.Generator,
    options: TaskOptions,
    *,
    values_m: np.ndarray,
    what: str,
    templates: Sequence[str],
    margins: Mapping[str, float],
    slots: Sequence[Mapping[str, str]] | None = None,
) -> Iterator[Question | Skip]:
    """Questions about `values_m (M,)`, one metre value per row of `facts.points`; `slots` fill further words of the templates per row."""
    points = facts.points
    rows = thinned(len(points.frame), rng=rng, options=options)
    least_m = margins["min_in_last_digits"] * 10.0 ** -margins["decimals"]
    is_enough = values_m[rows] >= least_m
    yield from times(Skip(task=name, scan_id=facts.scan_id, reason="too_small_to_measure"), (~is_enough).sum())
    form = Number(unit="m", decimals=int(margins["decimals"]), high=100.0)

    def build(row: int) -> Question | Skip:
        spot = Spot(frame=int(points.frame[row]), u_px=float(points.uv[row, 0]), v_px=float(points.uv[row, 1]))
        if trouble := trouble_with([spot], facts):
            return Skip(task=name, scan_id=facts.scan_id, reason=trouble)
        marks = dots([spot], facts, rng)
        wording = word(name, templates, rng, colour=marks[0].colour, **(slots[row] if slots else {}))
        return Question(
            task=name,
            scan_id=facts.scan_id,
            frame_ids=(facts.frames.frame_ids[spot.frame],),
            text=wording.text,
            answer=Answer(format=form, value=float(values_m[row])),
            template_id=wording.template_id,
            evidence={what: round(float(values_m[row]), 4), "least_asked_m": round(least_m, 4)},
            marks=marks,
        )

    chosen = [int(row) for row in rows[is_enough]]
    yield from choose(chosen, key=lambda row: log_bin(values_m[row]), build=build, rng=rng, options=options)
