"""The contract of a question: what is asked about which frames, with which marks, and why the answer is right."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Literal, Protocol

import numpy as np
from pydantic import Field

from sightline.answers.answer import Answer
from sightline.catalog import Catalog
from sightline.config import config
from sightline.facts.fact import FactTable
from sightline.quick import quickly_made

MARK_COLOURS: Mapping[str, tuple[int, int, int]] = {  # sRGB, far apart from each other and from the rooms' own colours
    "red": (255, 0, 0),
    "blue": (0, 64, 255),
    "green": (0, 220, 0),
    "yellow": (255, 230, 0),
}


@quickly_made
@dataclass(frozen=True, kw_only=True, slots=True)
class Mark:
    """A dot, or a box, drawn on one of the question's frames, in pixels of the stored colour image; drawn when the image is loaded."""

    frame_id: str
    u_px: float  # of the dot, or of the box's left edge
    v_px: float  # of the dot, or of the box's top edge
    colour: str  # a key of MARK_COLOURS
    label: str = ""  # a letter beside it, or none
    right_px: float | None = None  # of a box; None makes it a dot
    bottom_px: float | None = None

    @property
    def is_box(self) -> bool:
        return self.right_px is not None


@quickly_made
@dataclass(frozen=True, kw_only=True, slots=True)
class Question:
    """One question with its provable answer. `text` holds no image placeholder and no answer instruction."""

    task: str
    scan_id: str
    frame_ids: tuple[str, ...]  # the images, in the order they are shown
    text: str
    answer: Answer
    template_id: str  # "<task>.<index>"
    evidence: Mapping[str, float | str]  # the measured values the answer rests on, with unit suffixes, and the margins
    marks: tuple[Mark, ...] = ()
    object_ids: tuple[int, ...] = ()  # in their roles; a dot on an object stands at the same place in `marks`


@dataclass(frozen=True, kw_only=True, slots=True)
class Skip:
    """A counted drop."""

    task: str
    scan_id: str
    reason: str


@config
class TaskOptions:
    """What the caller may set for every task."""

    max_per_scan: Annotated[int, Field(ge=1)] = 40  # questions wanted of one task in one scan
    max_per_frame: Annotated[int, Field(ge=1)] = 10  # of which at most this many show the same frame
    mark_objects: bool = True  # put a coloured dot on each named object, so that the question needs no recognition
    min_overlap: Annotated[float, Field(ge=0.0, le=1.0)] = 0.15  # of the frames of one question, intersection over union of visible points
    max_overlap: Annotated[float, Field(ge=0.0, le=1.0)] = 0.9
    balance: bool = True  # even out answers: directions and letters equally often, distances spread over their range
    shuffle_options: bool = True  # False: options always in the same order, so that a letter means one word
    length_unit: Literal["m", "cm", "mm"] = "m"  # of answers that are lengths or displacements, where the task leaves it open
    tolerance_share: Annotated[float, Field(gt=0.0, lt=1.0)] | None = None  # numbers are right within it; None: mean relative accuracy
    point_scale: Literal["thousandths", "pixels"] = "thousandths"  # of coordinates in questions and answers
    hard_distractors: bool = False  # wrong places near the right one, but always farther off than the scoring radius
    video_frames: Annotated[int, Field(ge=1)] | None = None  # show that many evenly spaced frames of the walk, where a task can; None: few
    extra: Mapping[str, Mapping[str, float]] = field(default_factory=dict)  # task -> its own margins by name, see each task's MARGINS

    def __post_init__(self) -> None:
        if self.min_overlap > self.max_overlap:
            raise ValueError(f"expected min_overlap <= max_overlap, found {self.min_overlap} and {self.max_overlap}")


class QuestionTask(Protocol):
    """One kind of question. All randomness comes from `rng`; at most `options.max_per_scan` questions, any number of skips."""

    name: ClassVar[str]
    needs: ClassVar[frozenset[str]]  # fact kinds
    MARGINS: ClassVar[Mapping[str, float]]  # what keeps a question from being a coin toss, by name with unit; set through `options.extra`

    def ask(self, facts: FactTable, rng: np.random.Generator, options: TaskOptions) -> Iterator[Question | Skip]: ...


TASKS: Catalog[type[QuestionTask]] = Catalog(
    "question task",
    {
        "appearance_order": "sightline.questions.appearance_order:AppearanceOrder",
        "camera_direction": "sightline.questions.camera_direction:CameraDirection",
        "camera_distance": "sightline.questions.camera_distance:CameraDistance",
        "camera_object_distance": "sightline.questions.camera_object_distance:CameraObjectDistance",
        "camera_pitch_angle": "sightline.questions.camera_turn:CameraPitchAngle",
        "camera_pitch_movement": "sightline.questions.camera_turn:CameraPitchMovement",
        "camera_vector": "sightline.questions.camera_vector:CameraVector",
        "camera_x_movement": "sightline.questions.camera_movement:CameraXMovement",
        "camera_y_movement": "sightline.questions.camera_movement:CameraYMovement",
        "camera_yaw_angle": "sightline.questions.camera_turn:CameraYawAngle",
        "camera_yaw_movement": "sightline.questions.camera_turn:CameraYawMovement",
        "camera_z_movement": "sightline.questions.camera_movement:CameraZMovement",
        "correspondence_choice": "sightline.questions.correspondence_choice:CorrespondenceChoice",
        "correspondence_coordinate": "sightline.questions.correspondence_coordinate:CorrespondenceCoordinate",
        "depth_comparison": "sightline.questions.depth_comparison:DepthComparison",
        "depth_comparison_coordinate": "sightline.questions.depth_comparison:DepthComparisonCoordinate",
        "depth_estimation": "sightline.questions.depth_estimation:DepthEstimation",
        "depth_estimation_coordinate": "sightline.questions.depth_estimation:DepthEstimationCoordinate",
        "dot_position": "sightline.questions.dot_position:DotPosition",
        "object_box": "sightline.questions.object_box:ObjectBox",
        "object_box_3d": "sightline.questions.object_box_3d:ObjectBox3d",
        "object_count": "sightline.questions.object_count:ObjectCount",
        "object_distance": "sightline.questions.object_distance:ObjectDistance",
        "object_existence": "sightline.questions.object_existence:ObjectExistence",
        "object_height": "sightline.questions.object_dimension:ObjectHeight",
        "object_left_right": "sightline.questions.object_relation:ObjectLeftRight",
        "object_length": "sightline.questions.object_dimension:ObjectLength",
        "object_near_far": "sightline.questions.object_relation:ObjectNearFar",
        "object_point": "sightline.questions.object_point:ObjectPoint",
        "object_size": "sightline.questions.object_size:ObjectSize",
        "object_up_down": "sightline.questions.object_relation:ObjectUpDown",
        "object_views": "sightline.questions.object_views:ObjectViews",
        "object_width": "sightline.questions.object_dimension:ObjectWidth",
        "point_height": "sightline.questions.point_height:PointHeight",
        "point_movement_distance": "sightline.questions.point_movement:PointMovementDistance",
        "point_movement_distance_coordinate": "sightline.questions.point_movement:PointMovementDistanceCoordinate",
        "point_movement_vector": "sightline.questions.point_movement:PointMovementVector",
        "point_movement_vector_coordinate": "sightline.questions.point_movement:PointMovementVectorCoordinate",
        "point_sideways": "sightline.questions.point_sideways:PointSideways",
        "relative_direction_easy": "sightline.questions.relative_direction:RelativeDirectionEasy",
        "relative_direction_hard": "sightline.questions.relative_direction:RelativeDirectionHard",
        "relative_direction_medium": "sightline.questions.relative_direction:RelativeDirectionMedium",
        "relative_distance": "sightline.questions.relative_distance:RelativeDistance",
        "room_size": "sightline.questions.room_size:RoomSize",
        "route_plan": "sightline.questions.route_plan:RoutePlan",
        "situated_count": "sightline.questions.situated_count:SituatedCount",
        "situated_direction": "sightline.questions.situated_direction:SituatedDirection",
        "situated_distance": "sightline.questions.situated_distance:SituatedDistance",
        "situated_existence": "sightline.questions.situated_existence:SituatedExistence",
        "view_among": "sightline.questions.view_among:ViewAmong",
        "view_around": "sightline.questions.view_around:ViewAround",
        "view_rotation": "sightline.questions.view_rotation:ViewRotation",
    },
)
