"""A second opinion on every answer: recomputed from poses, boxes and pixels by other arithmetic than the task's, evidence unread."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from sightline.catalog import Catalog
from sightline.facts.fact import FactTable
from sightline.questions.checks.checker import Checker, WrongError
from sightline.questions.question import Question

CHECKS: Catalog[Callable[[Checker, Question], None]] = Catalog(
    "check of a question task",
    {
        "appearance_order": "sightline.questions.checks.scene:appearance_order",
        "camera_direction": "sightline.questions.checks.camera:camera_direction",
        "camera_distance": "sightline.questions.checks.camera:camera_distance",
        "camera_object_distance": "sightline.questions.checks.situated:camera_object_distance",
        "camera_pitch_angle": "sightline.questions.checks.camera:camera_pitch_angle",
        "camera_pitch_movement": "sightline.questions.checks.camera:camera_pitch_movement",
        "camera_vector": "sightline.questions.checks.camera:camera_vector",
        "camera_x_movement": "sightline.questions.checks.camera:camera_x_movement",
        "camera_y_movement": "sightline.questions.checks.camera:camera_y_movement",
        "camera_yaw_angle": "sightline.questions.checks.camera:camera_yaw_angle",
        "camera_yaw_movement": "sightline.questions.checks.camera:camera_yaw_movement",
        "camera_z_movement": "sightline.questions.checks.camera:camera_z_movement",
        "correspondence_choice": "sightline.questions.checks.correspondences:correspondence_choice",
        "correspondence_coordinate": "sightline.questions.checks.correspondences:correspondence_coordinate",
        "depth_comparison": "sightline.questions.checks.points:depth_comparison",
        "depth_comparison_coordinate": "sightline.questions.checks.points:depth_comparison_coordinate",
        "depth_estimation": "sightline.questions.checks.points:depth_estimation",
        "depth_estimation_coordinate": "sightline.questions.checks.points:depth_estimation_coordinate",
        "dot_position": "sightline.questions.checks.points:dot_position",
        "object_box": "sightline.questions.checks.grounding:object_box",
        "object_box_3d": "sightline.questions.checks.grounding:object_box_3d",
        "object_count": "sightline.questions.checks.objects:object_count",
        "object_distance": "sightline.questions.checks.objects:object_distance",
        "object_existence": "sightline.questions.checks.grounding:object_existence",
        "object_height": "sightline.questions.checks.sizes:object_height",
        "object_left_right": "sightline.questions.checks.situated:object_left_right",
        "object_length": "sightline.questions.checks.sizes:object_length",
        "object_near_far": "sightline.questions.checks.situated:object_near_far",
        "object_point": "sightline.questions.checks.grounding:object_point",
        "object_size": "sightline.questions.checks.objects:object_size",
        "object_up_down": "sightline.questions.checks.situated:object_up_down",
        "object_views": "sightline.questions.checks.grounding:object_views",
        "object_width": "sightline.questions.checks.sizes:object_width",
        "point_height": "sightline.questions.checks.points:point_height",
        "point_movement_distance": "sightline.questions.checks.movement:point_movement_distance",
        "point_movement_distance_coordinate": "sightline.questions.checks.movement:point_movement_distance",
        "point_movement_vector": "sightline.questions.checks.movement:point_movement_vector",
        "point_movement_vector_coordinate": "sightline.questions.checks.movement:point_movement_vector",
        "point_sideways": "sightline.questions.checks.points:point_sideways",
        "relative_direction_easy": "sightline.questions.checks.scene:relative_direction_easy",
        "relative_direction_hard": "sightline.questions.checks.scene:relative_direction_hard",
        "relative_direction_medium": "sightline.questions.checks.scene:relative_direction_medium",
        "relative_distance": "sightline.questions.checks.scene:relative_distance",
        "room_size": "sightline.questions.checks.scene:room_size",
        "route_plan": "sightline.questions.checks.routes:route_plan",
        "situated_count": "sightline.questions.checks.situated:situated_count",
        "situated_direction": "sightline.questions.checks.situated:situated_direction",
        "situated_distance": "sightline.questions.checks.situated:situated_distance",
        "situated_existence": "sightline.questions.checks.situated:situated_existence",
        "view_among": "sightline.questions.checks.viewpoints:view_among",
        "view_around": "sightline.questions.checks.viewpoints:view_around",
        "view_rotation": "sightline.questions.checks.viewpoints:view_rotation",
    },
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Disagreement:
    """A question whose answer the second method does not confirm."""

    task: str
    scan_id: str
    text: str
    answer: str
    found: str


def check_all(questions: Iterable[Question], facts: FactTable) -> tuple[Disagreement, ...]:
    """Disagreements over questions of one scan, in order. Tasks without a check of their own are checked for their marks alone."""
    checker = Checker(facts)
    return tuple(
        Disagreement(task=one.task, scan_id=one.scan_id, text=one.text, answer=one.answer.text, found=found)
        for one in questions
        if (found := _trouble(checker, one)) is not None
    )


def _trouble(checker: Checker, question: Question) -> str | None:
    """What is wrong with a question's answer, dots or words, or None."""
    try:
        for mark in question.marks:
            checker.check_named(mark, question)
        for mark, object_id in zip(question.marks, question.object_ids):
            checker.check_on_object(mark, object_id)
        if question.task in CHECKS:
            CHECKS[question.task](checker, question)
    except WrongError as wrong:
        return str(wrong)
    return None
