"""What the tasks about one point share: a length measured at it, asked where it is neither tiny nor absurd, the point dotted or given."""

from typing import ClassVar

import numpy as np

from sightline.answers.answer import Answer
from sightline.answers.number import Number
from sightline.answers.point import SCALES, Point
from sightline.facts.fact import FactTable
from sightline.questions.choosing import log_bins
from sightline.questions.margins import margins_of
from sightline.questions.marks import are_whole, sizes_px
from sightline.questions.picking import pick
from sightline.questions.question import MARK_COLOURS, Mark, Question, TaskOptions
from sightline.questions.rows import WHOLE, IndexedTask, Renderer, ScanHead, Selected, to_sixteenths
from sightline.questions.units import DECIMALS, PER_M

COLOURS = tuple(MARK_COLOURS)
SIDES = ("left", "right")


class SinglePointTask(IndexedTask):
    """A length at one measured point, in `options.length_unit`; answers are evened out over bins of 30 %.

    A task names its `TEMPLATES` (slots: point, side), the name `WHAT` of the value in the evidence, margins `min_<WHAT>` and
    `max_<WHAT>`, and gives `values_m`. The sign of a value tells the side, its size is the answer.
    """

    TEMPLATES: ClassVar[tuple[str, ...]]
    WHAT: ClassVar[str]
    IS_DOTTED: ClassVar[bool] = True
    PAYLOAD: ClassVar[np.dtype] = np.dtype([("u_16", "u2"), ("v_16", "u2"), ("value_m", "f4")])

    def values_m(self, facts: FactTable) -> np.ndarray | str:
        """A metre value per row of `facts.points` `(M,)`, or the reason why the scan has none."""
        raise NotImplementedError

    def select(self, facts: FactTable, rng: np.random.Generator, options: TaskOptions) -> Selected:
        values_m = self.values_m(facts)
        if isinstance(values_m, str):
            return Selected(rows=self.rows(0), skips={values_m: 1})
        margins = margins_of(self, options)
        points = facts.points
        is_enough = np.abs(values_m) >= margins[f"min_{self.WHAT}"]
        is_usual = np.abs(values_m) <= margins[f"max_{self.WHAT}"]
        is_inside = are_whole(points.uv, sizes_px(facts)[points.frame])
        skips = {
            "too_small_to_measure": int((~is_enough).sum()),
            "too_far": int((~is_usual).sum()),
            "dot_at_image_border": int((is_enough & is_usual & ~is_inside).sum()),
        }
        index = np.flatnonzero(is_enough & is_usual & is_inside)
        picked = pick(
            (points.frame[index],),
            answer=log_bins(np.abs(values_m[index])),
            rng=rng,
            most=options.max_per_scan,
            most_per_frame=options.max_per_frame,
            balance=options.balance,
            num_frames=len(facts.frames.frame_ids),
        )
        chosen = index[picked.index]
        rows = self.rows(
            len(chosen),
            template=rng.integers(len(self.TEMPLATES), size=len(chosen)),
            colours=rng.integers(len(COLOURS), size=len(chosen)),
            first=points.frame[chosen],
            u_16=to_sixteenths(points.uv[chosen, 0]),
            v_16=to_sixteenths(points.uv[chosen, 1]),
            value_m=values_m[chosen],
        )
        return Selected(rows=rows, skips={**skips, "frame_asked_often_enough": picked.frame_used_up})

    def renderer(self, options: TaskOptions) -> Renderer:
        name, what, is_dotted, templates = self.name, self.WHAT, self.IS_DOTTED, self.TEMPLATES
        unit, scale = options.length_unit, options.point_scale
        per_m = PER_M[unit]
        form = Number(unit=unit, decimals=DECIMALS[unit], high=100.0 * per_m, tolerance_share=options.tolerance_share)
        least_name, least_m = f"min_{what}", margins_of(self, options)[f"min_{what}"]
        template_ids = [f"{name}.{index}" for index in range(len(templates))]
        texts = [
            [[_capital(one.format(point=f"the {colour} dot", side=side)) for colour in COLOURS] for side in SIDES] for one in templates
        ]
        of_point = [one.partition("{point}") for one in templates]
        written = WrittenPoints(scale)

        def render(row: tuple, scan: ScanHead) -> Question:
            _, template, _, colour, first, _, u_16, v_16, value_m, _ = row
            frame_id = scan.frame_ids[first]
            if is_dotted:
                text = texts[template][value_m > 0][colour]
                marks: tuple[Mark, ...] = (Mark.made(frame_id=frame_id, u_px=u_16 / 16.0, v_px=v_16 / 16.0, colour=COLOURS[colour]),)
            else:
                before, _, after = of_point[template]
                point = written.of(u_16 / 16.0, v_16 / 16.0, width=scan.widths[first], height=scan.heights[first])
                text, marks = f"{before}the point {point} ({written.scale_words}){after}", ()
            size_m = abs(value_m)
            return Question.made(
                task=name,
                scan_id=scan.scan_id,
                frame_ids=(frame_id,),
                text=text,
                answer=Answer.made(format=form, value=size_m * per_m),
                template_id=template_ids[template],
                evidence={what: (size_m * 1e4 + WHOLE - WHOLE) / 1e4, least_name: least_m},
                marks=marks,
            )

        return render


class WrittenPoints:
    """Writes pixels as `[x, y]` of the wanted scale, the same way as answers do; one format per image size is kept."""

    def __init__(self, scale: str):
        self.scale = scale
        self.scale_words = f"x, y from the top left, in {SCALES[scale]}"
        self.forms: dict[tuple[int, int], Point] = {}

    def form(self, width: int, height: int) -> Point:
        """The answer format of images of that size."""
        found = self.forms.get((width, height))
        if found is None:
            found = self.forms[width, height] = Point(width=width, height=height, scale=self.scale)
        return found

    def of(self, u_px: float, v_px: float, *, width: int, height: int) -> str:
        """`[412, 655]`."""
        form = self.form(width, height)
        return form.render(form.from_px(u_px, v_px))


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]
