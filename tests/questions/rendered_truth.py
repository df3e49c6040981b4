"""The third method: every answer again from image files, matrices and exact solids, reading the question's own words.

Nothing here touches facts, tasks or their checks. Tolerances, in metres, degrees or pixels, stand in TOLERANCES with their reason.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import rendered_objects
import rendered_plan
from rendered_asked import COLOURS, UNITS, Reading, UntrueError
from rendered_world import World, moved

from sightline.questions.question import Question

STEP_M = 2e-5  # rows hold hundredths of millimetres
TURN_DEG = 2e-4  # rows hold thousandths of degrees, poses seventeen digits
DEPTH_M = 2e-3  # depth images hold quarters of millimetres; a dot may stand between pixels
SPOT_PX = 0.75  # half a pixel along each axis: dots and coordinates may be rounded to pixel centres
STILL_M = 0.01  # what moved less is answered by 0, and its page says so
MOVED_M = 5e-3  # tracks are in single precision; what a body's turn adds within a pixel is added where it is used


@dataclass(frozen=True, kw_only=True)
class Untruth:
    """A question that the images contradict."""

    task: str
    scan_id: str
    text: str
    answer: str
    found: str


def steps(read: Reading) -> np.ndarray:
    read.need(len(read.frames) == 2 and len(set(read.frames)) == 2, "two different images are needed")
    return read.world.step(*read.frames)


def camera_distance(read: Reading) -> None:
    read.search(r"how far|distance|straight line|By how much did the camera change its place|How far")
    read.expect_number(float(np.linalg.norm(steps(read))), STEP_M)


def camera_vector(read: Reading) -> None:
    read.search(r"right, down and forward|right, down, forward|axes to its right, down and forward")
    read.expect_vector(steps(read), STEP_M)


def camera_direction(read: Reading) -> None:
    read.search(r"camera")
    right, down, forward = steps(read)
    along = {"right": right, "left": -right, "down": down, "up": -down, "forward": forward, "backward": -forward}
    read.expect_option(max(along, key=along.get))


def along_axis(axis: int, words: tuple[str, str]) -> Callable[[Reading], None]:
    def truth(read: Reading) -> None:
        read.expect_word(words[0] if steps(read)[axis] > 0 else words[1])

    return truth


def turn_left_deg(read: Reading) -> float:
    first, second = (complex(*read.world.gaze(frame)[:2]) for frame in read.frames)
    return float(np.degrees(np.angle(second * first.conjugate())))


def tilt_up_deg(read: Reading) -> float:
    level = [np.linalg.norm(read.world.gaze(frame)[:2]) for frame in read.frames]
    first, second = (np.arctan2(read.world.gaze(frame)[2], one) for frame, one in zip(read.frames, level))
    return float(np.degrees(second - first))


def camera_yaw_movement(read: Reading) -> None:
    read.expect_word("left" if turn_left_deg(read) > 0 else "right")


def camera_pitch_movement(read: Reading) -> None:
    read.expect_word("up" if tilt_up_deg(read) > 0 else "down")


def camera_yaw_angle(read: Reading) -> None:
    read.search(r"turn|heading|from above|floor plan|to the side|directions")
    read.expect_number(abs(turn_left_deg(read)), TURN_DEG)


def camera_pitch_angle(read: Reading) -> None:
    read.search(r"tilt|horizon|raised or lowered")
    read.expect_number(abs(tilt_up_deg(read)), TURN_DEG)


def dot(read: Reading) -> tuple[float, float]:
    """Pixel of the one dot that the text names."""
    mark = read.mark(read.search(rf"\b({COLOURS}) dot").group(1))
    read.need(int(mark.frame_id) == read.frames[0], "the dot is in another image")
    return mark.u_px, mark.v_px


def depth_between(read: Reading, frame: int, uv: tuple[float, float]) -> tuple[float, float]:
    """Lowest and highest rendered depth at a pixel; with its neighbours where it is between pixels."""
    near = read.world.around(read.world.depth_m(frame), *uv)
    return float(np.nanmin(near)), float(np.nanmax(near))


def spot(read: Reading) -> tuple[float, float]:
    return read.named_pixels[0] if read.named_pixels else dot(read)


def depth_estimation(read: Reading) -> None:
    read.search(r"along (?:the|its) viewing direction")
    read.expect_number(float(read.world.point(read.frames[0], *spot(read))[2]), DEPTH_M)


def point_height(read: Reading) -> None:
    read.search(r"floor")
    floors = {room["floor_z_m"] for room in read.world.structure["rooms"]}
    read.need(len(floors) == 1, "floors at several heights")
    read.expect_number(float(read.world.world_point(read.frames[0], *dot(read))[2] - floors.pop()), DEPTH_M)


def point_sideways(read: Reading) -> None:
    x = float(read.world.point(read.frames[0], *dot(read))[0])
    side = read.search(r"to the (left|right)").group(1)
    read.need((side == "right") == (x > 0), f"the text says {side}, the point is at {x:.2f} m")
    read.expect_number(abs(x), DEPTH_M)


def wanted_nearer(read: Reading) -> bool:
    return read.one_of(near=r"\b(closer|nearer|smaller depth)\b", far=r"\b(farther|larger depth)\b") == "near"


def depth_comparison(read: Reading) -> None:
    colours = list(read.options.values())
    depth = {one: float(read.world.point(read.frames[0], read.mark(one).u_px, read.mark(one).v_px)[2]) for one in colours}
    read.need(len(read.question.marks) == 2 == len(depth), "not two dots")
    read.expect_option((min if wanted_nearer(read) else max)(depth, key=depth.get))


def depth_comparison_coordinate(read: Reading) -> None:
    read.need(len(read.named_pixels) == 2, "not two points")
    depth = [float(read.world.point(read.frames[0], *uv)[2]) for uv in read.named_pixels]
    read.need(min(depth) * 1.1 < max(depth), "both points are as deep")
    true = read.named_pixels[int(np.argmin(depth) if wanted_nearer(read) else np.argmax(depth))]
    said = read.pixels(tuple(read.form.parse(read.reply)))
    read.need(np.hypot(said[0] - true[0], said[1] - true[1]) <= SPOT_PX, f"said {said}, true {true}")


def dot_position(read: Reading) -> None:
    colour = read.search(rf"\b({COLOURS}) (?:dot|one)\b").group(1)
    mark = read.mark(colour)
    side = "left" if mark.u_px < (read.world.width - 1) / 2 else "right"
    read.expect_option(f"{'upper' if mark.v_px < (read.world.height - 1) / 2 else 'lower'} {side}")


def seen_again(read: Reading, uv: tuple[float, float]) -> tuple[np.ndarray, np.ndarray]:
    """The world point under a pixel of image 1, and where image 2 must show it; raises where something covers it there."""
    first, second = read.frames
    point = read.world.world_point(first, *uv)
    at, depth_m = (one[0] for one in read.world.project(second, point[None]))
    read.need(depth_m > 0 and -0.5 <= at[0] <= read.world.width - 0.5 and -0.5 <= at[1] <= read.world.height - 0.5, "not in image 2")
    low, high = depth_between(read, second, tuple(at))
    slack = 0.02 + 0.02 * depth_m
    read.need(low - slack <= depth_m <= high + slack, f"at depth {depth_m:.2f} m, image 2 shows {low:.2f} to {high:.2f} m there")
    return point, at


def same_body(read: Reading, uv: tuple[float, float], at: tuple[float, float]) -> bool:
    """Whether the instance images allow both pixels to show one object."""
    ids = [set(read.world.around(read.world.ids(frame), *one).ravel()) for frame, one in zip(read.frames, (uv, at))]
    return bool(ids[0] & ids[1])


def off_px(read: Reading, uv: tuple[float, float]) -> float:
    """How far a half pixel in image 1 can shift a point in image 2: by the same share of depths, and slanted surfaces more."""
    first, second = read.frames
    ahead = read.world.project(second, read.world.world_point(first, *uv)[None])[1][0]
    return SPOT_PX + 0.75 * float(read.world.point(first, *uv)[2] / ahead)


def correspondence_choice(read: Reading) -> None:
    read.need(list(read.form.words) == ["A", "B", "C", "D"], "the letters are not A to D")
    source = [one for one in read.question.marks if int(one.frame_id) == read.frames[0]]
    dots = {one.label: one for one in read.question.marks if int(one.frame_id) == read.frames[1]}
    read.need(len(source) == 1 and sorted(dots) == ["A", "B", "C", "D"], "not one dot against four")
    read.need(len({one.colour for one in read.question.marks}) == 1 and source[0].colour in read.text, "dots are not of the named colour")
    uv = (source[0].u_px, source[0].v_px)
    _, at = seen_again(read, uv)
    off = {label: float(np.hypot(one.u_px - at[0], one.v_px - at[1])) for label, one in dots.items()}
    read.expect_word(min(off, key=off.get))
    right = dots[read.reply]
    read.need(off[read.reply] <= off_px(read, uv), f"the right dot is {off[read.reply]:.2f} px off")
    read.need(same_body(read, uv, (right.u_px, right.v_px)), "the right dot is on another object")
    wrong = min(value for label, value in off.items() if label != read.reply)
    read.need(wrong >= 0.05 * read.world.width, f"a wrong dot is {wrong:.1f} px from the true place")


def correspondence_coordinate(read: Reading) -> None:
    uv = read.named_pixels[0]
    _, at = seen_again(read, uv)
    said = read.pixels(tuple(read.form.parse(read.reply)))
    off = float(np.hypot(said[0] - at[0], said[1] - at[1]))
    read.need(off <= off_px(read, uv), f"said {np.round(said, 1)}, true {np.round(at, 1)}")
    read.need(same_body(read, uv, said), "the point said is on another object")


def movements(read: Reading) -> list[tuple[np.ndarray, float]]:
    """What the point under the dot may have done in the world, in the first camera's axes, and how far off that may be.

    By the poses of the bodies in its pixels: a dot stands between pixels, and may be at a body's edge, so every surface within one pixel
    counts. A body that turns moves points one pixel apart by different ways.
    """
    read.search(r"in image 1")
    first, second = read.frames
    u_px, v_px = spot(read)
    found = []
    for u, v in {(round(u_px) + i, round(v_px) + j) for i in (-1, 0, 1) for j in (-1, 0, 1)}:
        if not (0 <= u < read.world.width and 0 <= v < read.world.height):
            continue
        poses, point = read.world.moves.get(int(read.world.ids(first)[v, u])), read.world.world_point(first, u, v)
        motion = np.eye(4) if poses is None else poses[second] @ np.linalg.inv(poses[first])
        step = moved(motion, point[None])[0] - point
        turn = np.linalg.norm(motion[:3, :3] - np.eye(3), ord=2)  # by how much points a metre apart move differently
        pixel_m = read.world.depth_m(first)[v, u] / read.world.K[0, 0]
        found.append((np.linalg.inv(read.world.poses[first][:3, :3]) @ step, MOVED_M + float(turn * pixel_m)))
    return found


def is_still(read: Reading, said_m: float) -> bool:
    """Whether the answer is no movement, and a surface at the dot moved by less than what the task's page calls still."""
    return said_m == 0.0 and min(float(np.linalg.norm(step)) for step, _ in movements(read)) < STILL_M


def point_movement_distance(read: Reading) -> None:
    said_m = read.value * UNITS[read.form.unit][1]
    if is_still(read, said_m):
        return
    best = min(movements(read), key=lambda one: abs(np.linalg.norm(one[0]) - said_m) - one[1])
    read.expect_number(float(np.linalg.norm(best[0])), best[1])


def point_movement_vector(read: Reading) -> None:
    read.search(r"first camera|camera of image 1")
    said_m = np.array(read.value) * UNITS[read.form.unit][1]
    if is_still(read, float(np.abs(said_m).max())):
        return
    best = min(movements(read), key=lambda one: float(np.abs(one[0] - said_m).max()) - one[1])
    read.expect_vector(*best)


TRUTHS: dict[str, Callable[[Reading], None]] = {
    "camera_direction": camera_direction,
    "camera_distance": camera_distance,
    "camera_pitch_angle": camera_pitch_angle,
    "camera_pitch_movement": camera_pitch_movement,
    "camera_vector": camera_vector,
    "camera_x_movement": along_axis(0, ("right", "left")),
    "camera_y_movement": along_axis(1, ("down", "up")),
    "camera_yaw_angle": camera_yaw_angle,
    "camera_yaw_movement": camera_yaw_movement,
    "camera_z_movement": along_axis(2, ("forward", "backward")),
    "correspondence_choice": correspondence_choice,
    "correspondence_coordinate": correspondence_coordinate,
    "depth_comparison": depth_comparison,
    "depth_comparison_coordinate": depth_comparison_coordinate,
    "depth_estimation": depth_estimation,
    "depth_estimation_coordinate": depth_estimation,
    "dot_position": dot_position,
    "point_height": point_height,
    "point_movement_distance": point_movement_distance,
    "point_movement_distance_coordinate": point_movement_distance,
    "point_movement_vector": point_movement_vector,
    "point_movement_vector_coordinate": point_movement_vector,
    "point_sideways": point_sideways,
    **rendered_objects.TRUTHS,
    **rendered_plan.TRUTHS,
}


def trouble(world: World, question: Question) -> str | None:
    """What the images say against one question, or None."""
    read = Reading(world, question)
    try:
        read.need(all(int(one.frame_id) in read.frames for one in question.marks), "a dot is in an image that is not shown")
        numbers = [int(one) for one in re.findall(r"\b[Ii]mage (\d+)", question.text)]
        read.need(all(1 <= one <= len(read.frames) for one in numbers), "the text names an image that is not shown")
        TRUTHS[question.task](read)
    except UntrueError as untrue:
        return str(untrue)
    return None


def untruths(questions: Iterable[Question], world: World) -> tuple[Untruth, ...]:
    """Questions of one scan that the images contradict, in order."""
    return tuple(
        Untruth(task=one.task, scan_id=one.scan_id, text=one.text, answer=one.answer.text, found=found)
        for one in questions
        if (found := trouble(world, one)) is not None
    )
