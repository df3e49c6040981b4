"""Camera movement along one axis: to the right or left, down or up, forward or backward, in the first camera's own axes."""

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from sightline.answers.answer import Answer
from sightline.answers.word import Word
from sightline.questions.camera_task import CameraTask, Measured, length_bins
from sightline.questions.frame_pairs import OrderedPairs
from sightline.questions.margins import margins_of
from sightline.questions.question import Question, TaskOptions
from sightline.questions.rows import LENGTH_PER_M, SHARE_PER_ONE, Renderer, ScanHead


class CameraAxisMovement(CameraTask):
    """Which way along one axis of the first camera the second camera's place lies."""

    AXIS: ClassVar[int]
    WORDS: ClassVar[tuple[str, str]]  # along the axis, and against it
    MARGINS: ClassVar[Mapping[str, float]] = {
        "min_move_m": 0.1,  # along the axis: a hand's width, several times the noise of tracked poses
        "min_axis_share": 0.2,  # of the whole movement: at least 11 degrees out of the plane in which nothing moves along the axis
    }
    PAYLOAD: ClassVar[np.dtype] = np.dtype([("moved_m", "i4"), ("distance_m", "i4"), ("overlap", "u2")])

    def measured(self, pairs: OrderedPairs, margins: Mapping[str, float]) -> Measured:
        moved_m = pairs.step_m[:, self.AXIS]
        word = (moved_m < 0.0).astype(np.uint8)
        return Measured(
            payload={"moved_m": moved_m, "distance_m": pairs.distance_m},
            answer=word,
            word=word,
            spread=length_bins(pairs.distance_m),
            refused={
                "moved_too_little": (np.abs(moved_m) < margins["min_move_m"]) | (moved_m == 0.0),
                "axis_hardly_matters": np.abs(moved_m) < margins["min_axis_share"] * pairs.distance_m,
            },
        )

    def renderer(self, options: TaskOptions) -> Renderer:
        margins = margins_of(self, options)
        least_m, least_share = margins["min_move_m"], margins["min_axis_share"]
        form = Word(words=self.WORDS)
        answers = tuple(Answer(format=form, value=one) for one in self.WORDS)
        task, texts, template_ids = self.name, self.TEMPLATES, self.template_ids

        def render(row: tuple, scan: ScanHead) -> Question:
            _, template, word, _, first, second, moved, distance, overlap, _ = row
            return Question.made(
                task=task,
                scan_id=scan.scan_id,
                frame_ids=(scan.frame_ids[first], scan.frame_ids[second]),
                text=texts[template],
                answer=answers[word],
                template_id=template_ids[template],
                evidence={
                    "moved_m": moved / LENGTH_PER_M,
                    "distance_m": distance / LENGTH_PER_M,
                    "overlap": overlap / SHARE_PER_ONE,
                    "min_move_m": least_m,
                    "min_axis_share": least_share,
                },
            )

        return render


class CameraXMovement(CameraAxisMovement):
    """Right or left."""

    name: ClassVar[str] = "camera_x_movement"
    AXIS: ClassVar[int] = 0
    WORDS: ClassVar[tuple[str, str]] = ("right", "left")
    TEMPLATES: ClassVar[tuple[str, ...]] = (
        "Seen from the first image, did the camera move to the right or to the left to take the second one?",
        "Facing the way the first camera faces, on which side of it was the second image taken, left or right?",
        "To which side did the camera shift from image 1 to image 2, judged by the view in image 1?",
        "Looking only at sideways movement in the first camera's view, did it go left or right to take the second image?",
        "Does the second camera position lie to the left or to the right of the first one, as the first camera sees it?",
        "Take the first camera as the reference. Was the second image taken to the right or to the left of it?",
        "If you held the camera of view 1, would you step left or right to get to where view 2 was taken?",
        "Seen from the first viewpoint, does the second viewpoint lie further right or further left?",
    )


class CameraYMovement(CameraAxisMovement):
    """Down or up, along the first camera's own upright axis."""

    name: ClassVar[str] = "camera_y_movement"
    MARGINS: ClassVar[Mapping[str, float]] = {
        **CameraAxisMovement.MARGINS,
        "min_axis_share": 0.1,  # people carry cameras along the floor: 6 degrees, still several times the error of tracked poses
    }
    AXIS: ClassVar[int] = 1
    WORDS: ClassVar[tuple[str, str]] = ("down", "up")
    TEMPLATES: ClassVar[tuple[str, ...]] = (
        "Along the side edges of the first image, did the camera move up or down to take the second one?",
        "In the first camera's own axes, was the camera shifted up or down between the two images?",
        "Taking the top of image 1 as up, which way did the camera go to take image 2, up or down?",
        "Take the first view as the reference. Did the camera move towards its top or its bottom, that is, up or down?",
        "Looking only at movement along the first image's upright axis, did the camera go up or down for the second image?",
        "Holding the camera as in view 1, would you move it down or up, along its own upright axis, to get to view 2?",
        "In the first camera's view, is the second camera position further up or further down than the first?",
        "Hold your head tilted as the first camera is. From there, did it move down or up to take the second image?",
    )


class CameraZMovement(CameraAxisMovement):
    """Forward or backward, along the first camera's viewing direction."""

    name: ClassVar[str] = "camera_z_movement"
    AXIS: ClassVar[int] = 2
    WORDS: ClassVar[tuple[str, str]] = ("forward", "backward")
    TEMPLATES: ClassVar[tuple[str, ...]] = (
        "Along the viewing direction of the first image, did the camera move forward or backward to take the second one?",
        "Facing the way the first camera faces, was the second image taken further forward or further backward?",
        "Judged by where image 1 looks, which way did the camera go to take image 2, backward or forward?",
        "Take the first view as the reference. Was the camera moved forward or backward for the second view?",
        "Looking only at movement along the first camera's line of sight, did it go forward or backward to take the second image?",
        "Pointing the camera as in view 1, would you move it backward or forward to get to the place of view 2?",
        "Did the camera go forward into the first view or backward out of it before the second image was taken?",
        "In the first camera's own axes, is the second camera position forward of the first or backward of it?",
    )
