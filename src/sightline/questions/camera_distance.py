"""Camera distance: how far the camera moved between two images, in a straight line."""

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from sightline.answers.answer import Answer
from sightline.answers.number import Number
from sightline.questions.camera_task import CameraTask, Measured, length_bins
from sightline.questions.frame_pairs import OrderedPairs
from sightline.questions.margins import margins_of
from sightline.questions.question import Question, TaskOptions
from sightline.questions.rows import LENGTH_PER_M, SHARE_PER_ONE, Renderer, ScanHead
from sightline.questions.units import DECIMALS, PER_M


class CameraDistance(CameraTask):
    """Straight distance of two camera centres, in `options.length_unit`."""

    name: ClassVar[str] = "camera_distance"
    MARGINS: ClassVar[Mapping[str, float]] = {
        "min_distance_m": 0.5,  # in metres with one decimal, rounding moves an answer by 10 % at most
    }
    PAYLOAD: ClassVar[np.dtype] = np.dtype([("distance_m", "i4"), ("overlap", "u2")])
    TEMPLATES: ClassVar[tuple[str, ...]] = (
        "How far did the camera move between the two images, measured in a straight line?",
        "What is the distance between the two camera positions?",
        "How far apart are the places from which these images were taken?",
        "How far is the second camera position from the first?",
        "The camera moved from view 1 to view 2. How long is the straight line between the two places?",
        "Draw a straight line from the first camera to the second. How long is it?",
        "Going straight from where image 1 was taken to where image 2 was taken, how far is it?",
        "What distance lies between the camera of image 1 and the camera of image 2?",
    )

    def measured(self, pairs: OrderedPairs, margins: Mapping[str, float]) -> Measured:
        return Measured(
            payload={"distance_m": pairs.distance_m},
            answer=length_bins(pairs.distance_m),
            spread=np.zeros(len(pairs.first), dtype=np.int64),
            refused={"moved_too_little": pairs.distance_m < margins["min_distance_m"]},
        )

    def renderer(self, options: TaskOptions) -> Renderer:
        unit = options.length_unit
        per_m = PER_M[unit]
        form = Number(unit=unit, decimals=DECIMALS[unit], high=1000.0 * per_m, tolerance_share=options.tolerance_share)
        margin_m = margins_of(self, options)["min_distance_m"]
        task, texts, template_ids = self.name, self.TEMPLATES, self.template_ids

        def render(row: tuple, scan: ScanHead) -> Question:
            _, template, _, _, first, second, distance, overlap, _ = row
            distance_m = distance / LENGTH_PER_M
            return Question.made(
                task=task,
                scan_id=scan.scan_id,
                frame_ids=(scan.frame_ids[first], scan.frame_ids[second]),
                text=texts[template],
                answer=Answer.made(format=form, value=distance_m * per_m),
                template_id=template_ids[template],
                evidence={"distance_m": distance_m, "overlap": overlap / SHARE_PER_ONE, "min_distance_m": margin_m},
            )

        return render
