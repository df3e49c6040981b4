"""Camera vector: where the second camera stands, as right, down and forward in the first camera's own axes."""

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from sightline.answers.answer import Answer
from sightline.answers.vector import Vector
from sightline.questions.camera_task import CameraTask, Measured, length_bins
from sightline.questions.frame_pairs import OrderedPairs
from sightline.questions.margins import margins_of
from sightline.questions.question import Question, TaskOptions
from sightline.questions.rows import LENGTH_PER_M, SHARE_PER_ONE, Renderer, ScanHead
from sightline.questions.units import PER_M, VECTOR_DECIMALS

MULTISPA_SHARE = 0.2  # MultiSPA paper: right within 20 % of the true length
OCTANT_BITS = np.array([1, 2, 4])  # which of the three components are positive, as one number


class CameraVector(CameraTask):
    """Displacement of the camera centre along the first camera's axes, in `options.length_unit`."""

    name: ClassVar[str] = "camera_vector"
    MARGINS: ClassVar[Mapping[str, float]] = {
        "min_length_m": 0.3,  # in metres with two decimals, rounding moves the vector by 3 % of its length at most
    }
    PAYLOAD: ClassVar[np.dtype] = np.dtype([("right_m", "i4"), ("down_m", "i4"), ("forward_m", "i4"), ("overlap", "u2")])
    TEMPLATES: ClassVar[tuple[str, ...]] = (
        "By how much did the camera move right, down and forward, in the first camera's axes, to take the second image?",
        "Where does the second camera stand, seen from the first: how far to the right, down and forward?",
        "What is the camera's displacement from image 1 to image 2 along the right, down and forward axes of image 1?",
        "In the first camera's own axes (right, down, forward), which vector leads to the second camera position?",
        "Give the position of the second camera relative to the first one, as right, down and forward of the first view.",
        "How far right, down and forward, judged by the first view, was the camera moved for the second view?",
        "Take the first camera as the origin, with axes to its right, down and forward. Where was the second image taken?",
        "State the camera's movement between the two images as three numbers: right, down and forward of the first camera.",
    )

    def measured(self, pairs: OrderedPairs, margins: Mapping[str, float]) -> Measured:
        right_m, down_m, forward_m = pairs.step_m.T
        return Measured(
            payload={"right_m": right_m, "down_m": down_m, "forward_m": forward_m},
            answer=(pairs.step_m > 0.0) @ OCTANT_BITS,
            spread=length_bins(pairs.distance_m),
            refused={"moved_too_little": pairs.distance_m < margins["min_length_m"]},
        )

    def renderer(self, options: TaskOptions) -> Renderer:
        unit = options.length_unit
        per_m = PER_M[unit]
        form = Vector(unit=unit, decimals=VECTOR_DECIMALS[unit], tolerance_share=options.tolerance_share or MULTISPA_SHARE)
        margin_m = margins_of(self, options)["min_length_m"]
        task, texts, template_ids = self.name, self.TEMPLATES, self.template_ids

        def render(row: tuple, scan: ScanHead) -> Question:
            _, template, _, _, first, second, right, down, forward, overlap, _ = row
            right_m, down_m, forward_m = right / LENGTH_PER_M, down / LENGTH_PER_M, forward / LENGTH_PER_M
            return Question.made(
                task=task,
                scan_id=scan.scan_id,
                frame_ids=(scan.frame_ids[first], scan.frame_ids[second]),
                text=texts[template],
                answer=Answer.made(format=form, value=(right_m * per_m, down_m * per_m, forward_m * per_m)),
                template_id=template_ids[template],
                evidence={
                    "right_m": right_m,
                    "down_m": down_m,
                    "forward_m": forward_m,
                    "overlap": overlap / SHARE_PER_ONE,
                    "min_length_m": margin_m,
                },
            )

        return render
