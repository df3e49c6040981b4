"""Depth comparison: which of two points of one image is closer to the camera, or farther from it; dotted, or given as coordinates."""

from itertools import permutations
from typing import ClassVar

from sightline.answers.answer import Answer
from sightline.answers.choice import Choice
from sightline.questions.depth_pairs import DepthPairTask
from sightline.questions.margins import margins_of
from sightline.questions.marks import APART_SHARE
from sightline.questions.question import MARK_COLOURS, Mark, Question, TaskOptions
from sightline.questions.rows import WHOLE, Renderer, ScanHead
from sightline.questions.single_points import WrittenPoints

COLOUR_PAIRS = tuple(permutations(MARK_COLOURS, 2))  # of the near dot and of the far one

CLOSER = (
    "Which dot is closer to the camera?",
    "Which of the two dots marks the point closer to the camera?",
    "Which marked point lies nearer to the camera?",
    "Compare the two dots. Which one is nearer to the camera?",
    "One of the dots is closer to the viewer. Which one?",
    "Which dot has the smaller depth, measured from the camera?",
    "Seen from the camera, which dot marks the nearer surface?",
    "From where the picture was taken, which dot is closer?",
)
FARTHER = (
    "Which dot is farther from the camera?",
    "Which of the two dots marks the point farther from the camera?",
    "Which marked point lies farther away from the camera?",
    "Compare the two dots. Which one is farther from the camera?",
    "One of the dots is farther from the viewer. Which one?",
    "Which dot has the larger depth, measured from the camera?",
    "Seen from the camera, which dot marks the farther surface?",
    "From where the picture was taken, which dot is farther away?",
)
CLOSER_POINT = (
    "Which of the points {one} and {other} is closer to the camera?",
    "Which point lies nearer to the camera: {one} or {other}?",
    "Compare the points {one} and {other}. Which one is nearer to the camera?",
    "One of the points {one} and {other} is closer to the viewer. Which one?",
    "Of the points {one} and {other}, which has the smaller depth, measured from the camera?",
    "Look at the surfaces at {one} and at {other}. Which of these points is closer to the camera?",
    "From where the picture was taken, which point is closer, {one} or {other}?",
    "Seen from the camera, which point is on the nearer surface: {one} or {other}?",
)
FARTHER_POINT = (
    "Which of the points {one} and {other} is farther from the camera?",
    "Which point lies farther away from the camera: {one} or {other}?",
    "Compare the points {one} and {other}. Which one is farther from the camera?",
    "One of the points {one} and {other} is farther from the viewer. Which one?",
    "Of the points {one} and {other}, which has the larger depth, measured from the camera?",
    "Look at the surfaces at {one} and at {other}. Which of these points is farther from the camera?",
    "From where the picture was taken, which point is farther away, {one} or {other}?",
    "Seen from the camera, which point is on the farther surface: {one} or {other}?",
)


class DepthComparison(DepthPairTask):
    """Choice between the colours of two dots."""

    name: ClassVar[str] = "depth_comparison"
    needs: ClassVar[frozenset[str]] = frozenset(("frames", "points"))
    TEMPLATES: ClassVar[tuple[str, ...]] = tuple(text for both in zip(CLOSER, FARTHER) for text in both)

    def renderer(self, options: TaskOptions) -> Renderer:
        margins = margins_of(self, options)
        least_m, least_share = margins["min_gap_m"], margins["min_gap_share"]
        rounded_least_m = round(least_m, 4)
        template_ids = [f"{self.name}.{index}" for index in range(len(self.TEMPLATES))]
        orders = {pair: pair for pair in COLOUR_PAIRS}
        if not options.shuffle_options:
            orders = {pair: tuple(colour for colour in MARK_COLOURS if colour in pair) for pair in COLOUR_PAIRS}
        choices = {pair: Choice(options=orders[pair]) for pair in COLOUR_PAIRS}  # right colour first, unless the order is fixed

        def case(pair: tuple[str, str], order: int, template: int) -> tuple[str, Answer]:
            """The words and the answer: there are so few that all are made beforehand."""
            near, far = pair
            right, wrong = (far, near) if template % 2 else (near, far)
            choice = choices[(wrong, right) if order else (right, wrong)]
            answer = Answer(format=choice, value="A" if choice.options[0] == right else "B")
            return f"{self.TEMPLATES[template]} {choice.listing}", answer

        numbers = range(len(self.TEMPLATES))
        cases = [[[case(pair, order, template) for template in numbers] for order in (0, 1)] for pair in COLOUR_PAIRS]

        def render(row: tuple, scan: ScanHead) -> Question:
            _, template, order, colours, first, _, near_u, near_v, far_u, far_v, near_m, far_m = row
            near, far = COLOUR_PAIRS[colours]
            worded, answer = cases[colours][order][template]
            frame_id = scan.frame_ids[first]
            min_gap_m = least_share * near_m
            near_mark = Mark.made(frame_id=frame_id, u_px=near_u / 16.0, v_px=near_v / 16.0, colour=near)
            far_mark = Mark.made(frame_id=frame_id, u_px=far_u / 16.0, v_px=far_v / 16.0, colour=far)
            return Question.made(
                task="depth_comparison",
                scan_id=scan.scan_id,
                frame_ids=(frame_id,),
                text=worded,
                answer=answer,
                template_id=template_ids[template],
                evidence={
                    "near": near,
                    "near_depth_m": (near_m * 1e4 + WHOLE - WHOLE) / 1e4,
                    "far_depth_m": (far_m * 1e4 + WHOLE - WHOLE) / 1e4,
                    "gap_m": ((far_m - near_m) * 1e4 + WHOLE - WHOLE) / 1e4,
                    "min_gap_m": round(min_gap_m, 4) if min_gap_m > least_m else rounded_least_m,
                },
                marks=(near_mark, far_mark) if near < far else (far_mark, near_mark),  # by name: their order tells nothing
            )

        return render


class DepthComparisonCoordinate(DepthPairTask):
    """The nearer, or the farther, of two points given as `[x, y]` in `options.point_scale`; the answer is that point."""

    name: ClassVar[str] = "depth_comparison_coordinate"
    needs: ClassVar[frozenset[str]] = frozenset(("frames", "points"))
    MARGINS = {**DepthPairTask.MARGINS, "min_apart_share": max(APART_SHARE, 0.15)}  # three times what a reply may be off: never both right
    TEMPLATES: ClassVar[tuple[str, ...]] = tuple(text for both in zip(CLOSER_POINT, FARTHER_POINT) for text in both)

    def renderer(self, options: TaskOptions) -> Renderer:
        margins = margins_of(self, options)
        least_m, least_share = margins["min_gap_m"], margins["min_gap_share"]
        rounded_least_m = round(least_m, 4)
        template_ids = [f"{self.name}.{index}" for index in range(len(self.TEMPLATES))]
        pieces = [cut(one) for one in self.TEMPLATES]
        written = WrittenPoints(options.point_scale)

        def render(row: tuple, scan: ScanHead) -> Question:
            _, template, order, _, first, _, near_u, near_v, far_u, far_v, near_m, far_m = row
            form = written.form(scan.widths[first], scan.heights[first])
            near, far = form.from_px(near_u / 16.0, near_v / 16.0), form.from_px(far_u / 16.0, far_v / 16.0)
            near_text, far_text = form.render(near), form.render(far)
            is_far_asked = template % 2
            one, other = (near_text, far_text) if is_far_asked == order else (far_text, near_text)  # the right one first unless `order`
            before, between, after = pieces[template]
            min_gap_m = least_share * near_m
            return Question.made(
                task="depth_comparison_coordinate",
                scan_id=scan.scan_id,
                frame_ids=(scan.frame_ids[first],),
                text=f"{before}{one}{between}{other}{after}",
                answer=Answer.made(format=form, value=far if is_far_asked else near),
                template_id=template_ids[template],
                evidence={
                    "near": near_text,
                    "near_depth_m": (near_m * 1e4 + WHOLE - WHOLE) / 1e4,
                    "far_depth_m": (far_m * 1e4 + WHOLE - WHOLE) / 1e4,
                    "gap_m": ((far_m - near_m) * 1e4 + WHOLE - WHOLE) / 1e4,
                    "min_gap_m": round(min_gap_m, 4) if min_gap_m > least_m else rounded_least_m,
                },
            )

        return render


def cut(template: str) -> tuple[str, str, str]:
    """A template around its slots `{one}` and `{other}`, which filling in needs a tenth of the time for."""
    before, _, rest = template.partition("{one}")
    between, _, after = rest.partition("{other}")
    return before, between, after
