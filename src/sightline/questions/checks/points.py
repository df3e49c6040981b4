"""Second opinions on single points: from their world positions, by solving for the camera's axes, not from the measured depths."""

import re

import numpy as np

from sightline.questions.checks.checker import UNITS_PER_M, Checker, WrongError, expect_number, expect_option, one_of
from sightline.questions.question import Question

CLOSER = re.compile(r"\b(closer|nearer|smaller depth)\b")
FARTHER = re.compile(r"\b(farther|deeper|larger depth)\b")
ALONG = re.compile(r"\balong (the|its) viewing direction\b")
LEFT, RIGHT = re.compile(r"\bto the left\b"), re.compile(r"\bto the right\b")
PLACE = re.compile(r"\[(\d+), (\d+)\]")
REACH_PX, REACH_SHARE = 1.5, 0.001  # a written place is this near to the point it was rounded from: pixels, or share of the width


def depth_estimation(checker: Checker, question: Question) -> None:
    mark = question.marks[0]
    expect_depth(question, seen_from(checker, mark.frame_id, checker.dot_world(mark))[2])


def depth_estimation_coordinate(checker: Checker, question: Question) -> None:
    expect_depth(question, only_depths(checker, question, count=1)[0])


def point_height(checker: Checker, question: Question) -> None:
    floor_m = checker.facts.structure.rooms[0].floor_z_m
    expect_length(question, float(checker.dot_world(question.marks[0])[2]) - floor_m)


def point_sideways(checker: Checker, question: Question) -> None:
    mark = question.marks[0]
    right_m = seen_from(checker, mark.frame_id, checker.dot_world(mark))[0]
    if one_of(question.text.lower(), RIGHT, LEFT) != (right_m > 0):
        raise WrongError("the dot is on the other side")
    expect_length(question, abs(right_m))


def depth_comparison(checker: Checker, question: Question) -> None:
    depth_of = {mark.colour: seen_from(checker, mark.frame_id, checker.dot_world(mark))[2] for mark in question.marks}
    expect_option(question, wanted_of(question, depth_of))


def depth_comparison_coordinate(checker: Checker, question: Question) -> None:
    depths_m = only_depths(checker, question, count=2)
    depth_of = dict(zip((match[0] for match in PLACE.finditer(question.text)), depths_m))
    if question.answer.text != (found := wanted_of(question, depth_of)):
        raise WrongError(found)


def dot_position(checker: Checker, question: Question) -> None:
    colour = re.search(r"the (\w+) dot", question.text.lower())
    mark = next((one for one in question.marks if colour and one.colour == colour[1]), None)
    if mark is None:
        raise WrongError("the text names no dot that is drawn")
    checker.dot_world(mark)  # raises where the dot stands on no measured point
    camera = checker.facts.frames.intrinsics[checker.frame_of[mark.frame_id]]
    above, left_of = 2 * mark.v_px < camera.height - 1, 2 * mark.u_px < camera.width - 1
    expect_option(question, f"{'upper' if above else 'lower'} {'left' if left_of else 'right'}")


def wanted_of(question: Question, depth_of: dict[str, float]) -> str:
    """The name of the point that the text asks for."""
    asks_closer = one_of(question.text.lower(), CLOSER, FARTHER)
    return (min if asks_closer else max)(depth_of, key=depth_of.__getitem__)


def seen_from(checker: Checker, frame_id: str, point_world: np.ndarray) -> np.ndarray:
    """A world point in the axes of a frame's camera `(3,)`: right, down, forward."""
    pose = checker.facts.frames.world_from_camera[checker.frame_of[frame_id]]
    return np.linalg.solve(pose[:3, :3], point_world - pose[:3, 3])


def only_depths(checker: Checker, question: Question, *, count: int) -> list[float]:
    """Depths of the points that the text of a question about one image gives by their coordinates, in order."""
    frame_id = question.frame_ids[0]
    frame = checker.frame_of[frame_id]
    camera, rows = checker.facts.frames.intrinsics[frame], checker.points_of[frame]
    places_px = written_px(question.text, scale_of(question), width=camera.width, height=camera.height)
    if len(places_px) != count or len(question.frame_ids) != 1 or question.marks:
        raise WrongError(f"expected {count} coordinates in one image without dots")
    seen = [seen_from(checker, frame_id, checker.facts.points.point_world[row]) for row in rows]
    uv = np.array([(one[0] / one[2] * camera.fx + camera.cx, one[1] / one[2] * camera.fy + camera.cy) for one in seen]).reshape(-1, 2)
    depths_m = []
    for place_px in places_px:
        off_px = np.hypot(*(uv - place_px).T)
        if not len(rows) or off_px.min() > max(REACH_PX, REACH_SHARE * camera.width):
            raise WrongError(f"no measured point at ({place_px[0]:.1f}, {place_px[1]:.1f}) pixels")
        depths_m.append(float(seen[int(np.argmin(off_px))][2]))
    return depths_m


def scale_of(question: Question) -> str:
    """In what the coordinates of a question are: its text says so, or its instruction."""
    said = question.text + question.answer.format.instruction()
    scales = [scale for scale, words in (("thousandths", "in thousandths of the image"), ("pixels", "in pixels")) if words in said]
    if len(scales) != 1:
        raise WrongError("the question does not say in what its coordinates are")
    return scales[0]


def written_px(text: str, scale: str, *, width: int, height: int) -> np.ndarray:
    """The pixels `(K, 2)` of the coordinates in a text."""
    places = np.array([(float(x), float(y)) for x, y in PLACE.findall(text)]).reshape(-1, 2)
    return places if scale == "pixels" else places * (width, height) / 1000.0 - 0.5


def expect_depth(question: Question, depth_m: float) -> None:
    if not ALONG.search(question.text):
        raise WrongError("the text does not say that depth is meant along the viewing direction")
    expect_length(question, depth_m)


def expect_length(question: Question, metres: float) -> None:
    expect_number(question, metres * UNITS_PER_M[question.answer.format.unit])
