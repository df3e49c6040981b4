"""Camera turning: left or right about the vertical, up or down against the horizon, and by how many degrees."""

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from sightline.answers.answer import Answer
from sightline.answers.number import Number
from sightline.answers.word import Word
from sightline.questions.camera_task import CameraTask, Measured, length_bins
from sightline.questions.frame_pairs import OrderedPairs
from sightline.questions.margins import margins_of
from sightline.questions.question import Question, TaskOptions
from sightline.questions.rows import ANGLE_PER_DEG, SHARE_PER_ONE, Renderer, ScanHead

YAW_MARGINS: Mapping[str, float] = {
    "min_from_vertical_deg": 20.0  # of both viewing directions: straight up or down there is no heading, and near it only noise
}
ANGLE_BIN_DEG = 5.0  # answers of the angle tasks are evened out over bins of this width


class CameraTurn(CameraTask):
    """Measures one angle; the sign is its direction."""

    WORDS: ClassVar[tuple[str, str]]  # of a positive angle, and of a negative one
    PAYLOAD: ClassVar[np.dtype] = np.dtype([("turn_deg", "i4"), ("other_deg", "i4"), ("overlap", "u2")])

    def angles_deg(self, pairs: OrderedPairs) -> tuple[np.ndarray, np.ndarray]:
        """The asked angle `(K,)` and the other one `(K,)`; NaN where heading has no meaning."""
        raise NotImplementedError

    def refusals(self, pairs: OrderedPairs, turn_deg: np.ndarray, margins: Mapping[str, float]) -> dict[str, np.ndarray]:
        """Pairs too near the vertical (where the task minds) or turned too little."""
        refused = {}
        if "min_from_vertical_deg" in margins:
            refused["looks_along_the_vertical"] = np.isnan(turn_deg) | (pairs.least_from_vertical_deg < margins["min_from_vertical_deg"])
        return refused | {"turned_too_little": (np.abs(turn_deg) < margins["min_turn_deg"]) | (turn_deg == 0.0)}


class CameraTurnWord(CameraTurn):
    """Which way the camera turned."""

    def measured(self, pairs: OrderedPairs, margins: Mapping[str, float]) -> Measured:
        turn_deg, other_deg = self.angles_deg(pairs)
        refused = self.refusals(pairs, turn_deg, margins)
        refused["axis_hardly_matters"] = np.abs(turn_deg) < margins["min_axis_share"] * np.hypot(turn_deg, other_deg)
        if "min_from_half_turn_deg" in margins:
            refused["half_turn"] = 180.0 - np.abs(turn_deg) < margins["min_from_half_turn_deg"]
        word = (turn_deg < 0.0).astype(np.uint8)
        return Measured(
            payload={"turn_deg": turn_deg, "other_deg": other_deg},
            answer=word,
            word=word,
            spread=length_bins(pairs.distance_m),
            refused=refused,
        )

    def renderer(self, options: TaskOptions) -> Renderer:
        margins = margins_of(self, options)
        least_deg, least_share = margins["min_turn_deg"], margins["min_axis_share"]
        form = Word(words=self.WORDS)
        answers = tuple(Answer(format=form, value=one) for one in self.WORDS)
        task, texts, template_ids = self.name, self.TEMPLATES, self.template_ids

        def render(row: tuple, scan: ScanHead) -> Question:
            _, template, word, _, first, second, turn, other, overlap, _ = row
            return Question.made(
                task=task,
                scan_id=scan.scan_id,
                frame_ids=(scan.frame_ids[first], scan.frame_ids[second]),
                text=texts[template],
                answer=answers[word],
                template_id=template_ids[template],
                evidence={
                    "turn_deg": turn / ANGLE_PER_DEG,
                    "other_turn_deg": other / ANGLE_PER_DEG,
                    "overlap": overlap / SHARE_PER_ONE,
                    "min_turn_deg": least_deg,
                    "min_axis_share": least_share,
                },
            )

        return render


class CameraTurnAngle(CameraTurn):
    """By how many degrees the camera turned, whichever way; both ways equally often."""

    def measured(self, pairs: OrderedPairs, margins: Mapping[str, float]) -> Measured:
        turn_deg, other_deg = self.angles_deg(pairs)
        known_deg = np.where(np.isnan(turn_deg), 0.0, turn_deg)
        return Measured(
            payload={"turn_deg": turn_deg, "other_deg": other_deg},
            answer=(np.abs(known_deg) / ANGLE_BIN_DEG).astype(np.int64),
            spread=(turn_deg > 0.0).astype(np.int64),
            refused=self.refusals(pairs, turn_deg, margins),
        )

    def renderer(self, options: TaskOptions) -> Renderer:
        least_deg = margins_of(self, options)["min_turn_deg"]
        form = Number(unit="deg", decimals=0, high=180.0, tolerance_share=options.tolerance_share)
        task, texts, template_ids = self.name, self.TEMPLATES, self.template_ids

        def render(row: tuple, scan: ScanHead) -> Question:
            _, template, _, _, first, second, turn, other, overlap, _ = row
            return Question.made(
                task=task,
                scan_id=scan.scan_id,
                frame_ids=(scan.frame_ids[first], scan.frame_ids[second]),
                text=texts[template],
                answer=Answer.made(format=form, value=abs(turn) / ANGLE_PER_DEG),
                template_id=template_ids[template],
                evidence={
                    "turn_deg": turn / ANGLE_PER_DEG,
                    "other_turn_deg": other / ANGLE_PER_DEG,
                    "overlap": overlap / SHARE_PER_ONE,
                    "min_turn_deg": least_deg,
                },
            )

        return render


class Yaw:
    """Change of heading about the vertical, left positive."""

    def angles_deg(self, pairs: OrderedPairs) -> tuple[np.ndarray, np.ndarray]:
        return pairs.yaw_deg, pairs.pitch_deg


class Pitch:
    """Change of elevation above the horizon, up positive. Where heading has no meaning, the other angle counts as 0."""

    def angles_deg(self, pairs: OrderedPairs) -> tuple[np.ndarray, np.ndarray]:
        return pairs.pitch_deg, np.nan_to_num(pairs.yaw_deg)


class CameraYawMovement(Yaw, CameraTurnWord):
    """Turned left or right."""

    name: ClassVar[str] = "camera_yaw_movement"
    WORDS: ClassVar[tuple[str, str]] = ("left", "right")
    MARGINS: ClassVar[Mapping[str, float]] = {
        **YAW_MARGINS,
        "min_turn_deg": 5.0,  # a twelfth of a usual field of view; poses are known to a degree or two
        "min_axis_share": 0.25,  # of both turns together
        "min_from_half_turn_deg": 15.0,  # near a half turn, left and right lead to the same view
    }
    TEMPLATES: ClassVar[tuple[str, ...]] = (
        "Seen from above, did the camera turn to the left or to the right between the first and the second image?",
        "From image 1 to image 2, which way did the camera turn, left or right, by the shorter way?",
        "About the vertical axis, was the camera turned left or right to take the second image?",
        "Compared with the first view, does the second camera face more to the left or more to the right?",
        "To face the way the second image looks, would someone facing as in the first turn right or left?",
        "Looking only at turning and not at movement, did the camera turn right or left from view 1 to view 2?",
        "Was the camera's heading turned to the right or to the left between these two images?",
        "Which way did the camera's heading turn after image 1, by the shorter way, to reach that of image 2?",
    )


class CameraYawAngle(Yaw, CameraTurnAngle):
    """Degrees turned about the vertical."""

    name: ClassVar[str] = "camera_yaw_angle"
    WORDS: ClassVar[tuple[str, str]] = ("left", "right")
    MARGINS: ClassVar[Mapping[str, float]] = {
        **YAW_MARGINS,
        "min_turn_deg": 10.0,  # whole degrees: rounding moves an answer by 5 % at most
    }
    TEMPLATES: ClassVar[tuple[str, ...]] = (
        "By how many degrees did the camera turn about the vertical axis between the two images?",
        "From the first image to the second, by what angle did the camera's heading change?",
        "Seen from above, what is the angle between the directions in which the two images look?",
        "How many degrees did the camera turn to the side, whichever way is shorter, from view 1 to view 2?",
        "Looking only at turning left or right, how far did the camera turn to get from the first view to the second?",
        "What turn about the vertical takes the camera from its heading in image 1 to that in image 2, by the shorter way?",
        "How far to the side would someone facing as in the first view turn to face as in the second?",
        "On a floor plan, by how many degrees do the viewing directions of the two images differ?",
    )


class CameraPitchMovement(Pitch, CameraTurnWord):
    """Tilted up or down."""

    name: ClassVar[str] = "camera_pitch_movement"
    WORDS: ClassVar[tuple[str, str]] = ("up", "down")
    MARGINS: ClassVar[Mapping[str, float]] = {
        "min_turn_deg": 5.0,  # a tenth of a usual upright field of view; poses are known to a degree or two
        "min_axis_share": 0.15,  # of both turns together; cameras are turned far more than they are tilted
    }
    TEMPLATES: ClassVar[tuple[str, ...]] = (
        "Relative to the horizon, did the camera tilt up or down between the first and the second image?",
        "From image 1 to image 2, was the camera tilted up or down?",
        "Does the second image look further up or further down than the first, measured relative to the horizon?",
        "Looking only at tilting and not at movement, which way did the camera tilt for the second image, down or up?",
        "Was the camera's viewing direction raised or lowered for the second image, that is, did it tilt up or down?",
        "Someone whose gaze is tilted as in the first image wants to look as in the second. Must the gaze go up or down?",
        "Compared with the first view, is the camera pointed further down or further up in the second, relative to the horizon?",
        "Which way did the camera tilt relative to the horizon to get from view 1 to view 2, down or up?",
    )


class CameraPitchAngle(Pitch, CameraTurnAngle):
    """Degrees tilted against the horizon."""

    name: ClassVar[str] = "camera_pitch_angle"
    WORDS: ClassVar[tuple[str, str]] = ("up", "down")
    MARGINS: ClassVar[Mapping[str, float]] = {
        "min_turn_deg": 5.0  # whole degrees: rounding moves an answer by 10 % at most; few hand-held pairs tilt by more
    }
    TEMPLATES: ClassVar[tuple[str, ...]] = (
        "By how many degrees did the camera tilt up or down between the two images, measured relative to the horizon?",
        "From the first image to the second, by what angle did the camera's tilt relative to the horizon change?",
        "By how many degrees does the second image look higher or lower than the first, relative to the horizon?",
        "Looking only at tilting up or down, how far did the camera tilt to get from the first view to the second?",
        "What is the difference in tilt between image 1 and image 2, relative to the horizon?",
        "How far up or down was the viewing direction tilted from view 1 to view 2?",
        "By what angle was the camera's gaze raised or lowered, without counting turns to the side?",
        "Take each camera's tilt above or below the horizon. By how many degrees do the two tilts differ?",
    )
