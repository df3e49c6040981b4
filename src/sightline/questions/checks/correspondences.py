"""Second opinions on correspondences: the world point under the first dot, projected anew by OpenCV."""

import cv2
import numpy as np

from sightline.answers.point import Point
from sightline.questions.checks.checker import Checker, WrongError
from sightline.questions.checks.points import PLACE, REACH_PX, REACH_SHARE, scale_of, written_px
from sightline.questions.question import Question

RADIUS_SHARE = 0.05  # of the width: what a reply may be off
LETTERS = ("A", "B", "C", "D")


def correspondence_choice(checker: Checker, question: Question) -> None:
    first, *lettered = question.marks
    if first.frame_id != question.frame_ids[0] or first.label or {one.frame_id for one in lettered} != {question.frame_ids[1]}:
        raise WrongError("expected one dot in image 1 and the lettered ones in image 2")
    if tuple(one.label for one in lettered) != LETTERS or len({one.colour for one in question.marks}) != 1:
        raise WrongError("expected dots A, B, C and D of one colour")
    found_px = found_in_second(checker, question, np.array([first.u_px, first.v_px]))
    camera = camera_of(checker, question.frame_ids[1])
    off_px = {one.label: float(np.hypot(one.u_px - found_px[0], one.v_px - found_px[1])) for one in lettered}
    nearest = min(off_px, key=off_px.__getitem__)
    if off_px[nearest] > reach_px(camera.width):
        raise WrongError(f"no dot within {reach_px(camera.width):.1f} pixels of the point")
    if question.answer.text != nearest:
        raise WrongError(nearest)
    if any(off <= RADIUS_SHARE * camera.width for label, off in off_px.items() if label != nearest):
        raise WrongError("a wrong dot is within the scoring radius of the point")
    for index, one in enumerate(lettered):
        if not (0 <= one.u_px <= camera.width - 1 and 0 <= one.v_px <= camera.height - 1):
            raise WrongError(f"dot {one.label} is outside the image")
        if any(np.hypot(one.u_px - other.u_px, one.v_px - other.v_px) <= RADIUS_SHARE * camera.width for other in lettered[:index]):
            raise WrongError(f"dot {one.label} is within the scoring radius of another")


def correspondence_coordinate(checker: Checker, question: Question) -> None:
    form, camera = question.answer.format, camera_of(checker, question.frame_ids[1])
    if not isinstance(form, Point) or (form.width, form.height) != (camera.width, camera.height) or question.marks:
        raise WrongError("expected a point in the second image, and no dots")
    shown = camera_of(checker, question.frame_ids[0])
    places_px = written_px(question.text, scale_of(question), width=shown.width, height=shown.height)
    if len(places_px) != 1:
        raise WrongError("expected one coordinate in the text")
    found_px = found_in_second(checker, question, places_px[0])
    match = PLACE.fullmatch(question.answer.text)
    said_px = written_px(match[0], form.scale, width=camera.width, height=camera.height)[0] if match else np.full(2, np.inf)
    if np.hypot(*(said_px - found_px)) > reach_px(camera.width):
        raise WrongError(f"({found_px[0]:.1f}, {found_px[1]:.1f}) pixels")


def found_in_second(checker: Checker, question: Question, first_px: np.ndarray) -> np.ndarray:
    """Where the measured point at a pixel of the first image falls in the second one `(2,)`."""
    if len(question.frame_ids) != 2:
        raise WrongError("expected two images")
    table = checker.facts.correspondences
    frames = [checker.frame_of[frame_id] for frame_id in question.frame_ids]
    points_world = table.point_world[(table.first == min(frames)) & (table.second == max(frames))]
    if not len(points_world):
        raise WrongError("no measured point in both images")
    off_px = np.hypot(*(projected(checker, frames[0], points_world) - first_px).T)
    nearest = int(np.argmin(off_px))
    if off_px[nearest] > reach_px(camera_of(checker, question.frame_ids[0]).width):
        raise WrongError("no measured point at the place in image 1")
    return projected(checker, frames[1], points_world[nearest][None])[0]


def projected(checker: Checker, frame: int, points_world: np.ndarray) -> np.ndarray:
    """Pixels `(K, 2)` of world points by OpenCV's pinhole model."""
    camera_from_world = checker.camera_from_world[frame]
    turn = cv2.Rodrigues(camera_from_world[:3, :3])[0]
    K = checker.facts.frames.intrinsics[frame].K
    return cv2.projectPoints(points_world.reshape(-1, 1, 3), turn, camera_from_world[:3, 3], K, None)[0].reshape(-1, 2)


def camera_of(checker: Checker, frame_id: str):  # noqa: ANN201 - Intrinsics, which this room does not import
    return checker.facts.frames.intrinsics[checker.frame_of[frame_id]]


def reach_px(width: int) -> float:
    """How far two ways of finding a pixel may differ after rounding to whole thousandths."""
    return max(REACH_PX, REACH_SHARE * width)
