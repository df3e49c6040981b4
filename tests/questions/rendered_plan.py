"""The third method on the floor plan: which way things lie for who stands somewhere, and where a described way leads."""

import re
from collections.abc import Callable

import cv2
import numpy as np
from rendered_asked import Reading
from rendered_objects import seen
from rendered_world import Body

STAND_OFF_M = 0.4  # beside a thing stands who is that far from its side, see docs/tasks
PLACE_M = 2e-3  # OpenCV's outlines are in single precision


def on_plan(body: Body) -> complex:
    return complex(*body.middle[:2])


def bearing_deg(ahead: complex, towards: complex) -> float:
    """Counter-clockwise from above, so left is positive."""
    return float(np.degrees(np.angle(towards * ahead.conjugate())))


def quarter(angle_deg: float) -> str:
    if abs(angle_deg) <= 45.0:
        return "front"
    if abs(angle_deg) >= 135.0:
        return "behind"
    return "left" if angle_deg > 0 else "right"


def roles(read: Reading) -> tuple[Body, Body, Body]:
    """Where one stands, what one faces, what is asked."""
    text, bodies = read.mentions
    read.need(len(bodies) == 3 and len({one.object_id for one in bodies}) == 3, f"the text names {len(bodies)} objects")
    stand = re.search(r"(?:[Ss]tand(?:ing)? at|[Ff]rom|I am at|you stand at) @(\d)", text)
    face = re.search(r"(?:face|[Ff]acing|look at|looking towards|turned to) @(\d)|[Ww]ith @(\d) (?:ahead|in front)", text)
    read.need(stand is not None and face is not None, "the text does not say where one stands and what one faces")
    standing, facing = int(stand.group(1)), int(face.group(1) or face.group(2))
    asked = ({0, 1, 2} - {standing, facing}).pop()
    read.need(standing != facing, "standing at what one faces")
    seen(read, bodies)
    return bodies[standing], bodies[facing], bodies[asked]


def relative(words: Callable[[float], str]) -> Callable[[Reading], None]:
    def truth(read: Reading) -> None:
        stand, face, asked = (on_plan(one) for one in roles(read))
        read.expect_option(words(bearing_deg(face - stand, asked - stand)))

    return truth


def corner(angle_deg: float) -> str:
    return f"{'front' if abs(angle_deg) < 90 else 'back'}-{'left' if angle_deg > 0 else 'right'}"


def third(angle_deg: float) -> str:
    return "back" if abs(angle_deg) > 135 else "left" if angle_deg > 0 else "right"


def situation(read: Reading) -> tuple[complex, complex, list[Body]]:
    """The described place, the way one faces, and the objects named after it."""
    text, bodies = read.mentions
    beside = re.search(r"(?:beside|next to) @(\d+), on the side (?:nearest|towards) @(\d+)", text)
    between = re.search(r"(?:halfway|in the middle) between @(\d+) and @(\d+), (?:facing|looking at) @(\d+)", text)
    read.need((beside is None) != (between is None), "the text describes no place")
    first, second = (bodies[int(one)] for one in (beside or between).groups()[:2])
    used = {first.object_id, second.object_id}
    rest = [one for one in bodies if one.object_id not in used]
    seen(read, bodies)
    if between:
        third_one = bodies[int(between.group(3))]
        place = (rim(first, on_plan(second)) + rim(second, on_plan(first))) / 2.0
        read.need(third_one.object_id in used, "facing something else")
        return place, on_plan(third_one) - place, rest
    middle, far = on_plan(first), on_plan(second)
    place = rim(first, far) + STAND_OFF_M * (far - middle) / abs(far - middle)
    away = re.search(r"turn your back|facing away from", text) is not None
    towards = re.search(r"which you face|looking at @", text) is not None
    read.need(away != towards, "the text does not say which way one faces")
    heading = on_plan(second) - place
    return place, -heading if away else heading, rest


def rim(body: Body, towards: complex) -> complex:
    """Where the straight line from a body's middle to a point leaves its rectangle."""
    middle, far = on_plan(body), towards
    origin = body.rectangle.mean(axis=0)
    outline = (body.rectangle - origin).astype(np.float32).reshape(-1, 1, 2)
    near = middle
    for _ in range(40):
        half = (near + far) / 2.0
        inside = cv2.pointPolygonTest(outline, (half.real - origin[0], half.imag - origin[1]), False) >= 0
        near, far = (half, far) if inside else (near, half)
    return near


def level_distance_m(body: Body, place: complex) -> float:
    origin = body.rectangle.mean(axis=0)
    outline = (body.rectangle - origin).astype(np.float32).reshape(-1, 1, 2)
    return max(-cv2.pointPolygonTest(outline, (place.real - origin[0], place.imag - origin[1]), True), 0.0)


def side_of(read: Reading, body: Body, place: complex, ahead: complex) -> str:
    """The quarter that holds every point of a body."""
    points = body.points_world[:, 0] + 1j * body.points_world[:, 1]
    sides = {quarter(bearing_deg(ahead, one - place)) for one in points[:: max(len(points) // 200, 1)]}
    read.need(len(sides) == 1, f"the {body.category} is on sides {sorted(sides)}")
    return sides.pop()


SAID = {"front": "in front of you", "behind": "behind you", "left": "to your left", "right": "to your right"}


def situated_direction(read: Reading) -> None:
    place, ahead, rest = situation(read)
    read.need(len(rest) == 1, f"{len(rest)} objects are asked about")
    read.expect_option(SAID[side_of(read, rest[0], place, ahead)])


def situated_distance(read: Reading) -> None:
    place, _, rest = situation(read)
    read.need(len(rest) == 1, f"{len(rest)} objects are asked about")
    read.search(r"how far|distance|How far|how long|How long|how many metres|far")
    read.expect_number(level_distance_m(rest[0], place), PLACE_M)


def on_side(read: Reading) -> int:
    place, ahead, rest = situation(read)
    read.need(not rest, "another object is named")
    wanted = read.one_of(**SAID)
    members = read.members(read.category)
    seen(read, members)
    return sum(side_of(read, one, place, ahead) == wanted for one in members)


def situated_count(read: Reading) -> None:
    count = on_side(read)
    read.need(read.value == float(read.reply) == count, f"said {read.reply}, true {count}")


def situated_existence(read: Reading) -> None:
    read.expect_word("yes" if on_side(read) else "no")


def view_choice(read: Reading, *, around: str) -> None:
    """One object of four is on the asked side; `around`: the origin is the object itself, or the camera."""
    text, bodies = read.mentions
    start = text.index(" A. ")
    options = [bodies[int(one)] for one in re.findall(r"[A-D]\. @(\d+)", text[start:])]
    read.need(len(options) == 4 == len({one.object_id for one in options}), "not four objects to choose from")
    seen(read, bodies)
    number = {int(one) for one in re.findall(r"\b[Ii]mage (\d+)", text[:start])}
    read.need(len(number) == 1, f"the text speaks from images {number}")
    frame = read.frames[number.pop() - 1]
    eye = complex(*read.world.poses[frame][:2, 3])
    anchors = {one.object_id: one for one in bodies[: len(bodies) - 4]}
    read.need(len(anchors) == (0 if around == "gaze" else 1), f"the text names {len(anchors)} objects")
    if around == "gaze":
        ahead, origin = complex(*read.world.gaze(frame)[:2]), eye
    else:
        anchor = on_plan(next(iter(anchors.values())))
        ahead, origin = anchor - eye, anchor if around == "object" else eye
    if around == "object":
        wanted = read.one_of(front=r"\bbehind the", behind=r"\bin front of the", left=r"to the left of", right=r"to the right of")
    else:
        wanted = read.one_of(**SAID)
    angles = [bearing_deg(ahead, on_plan(one) - origin) for one in options]
    right = [letter for letter, angle in zip("ABCD", angles) if quarter(angle) == wanted]
    read.need(right == [read.reply], f"said {read.reply}, true {right}: {np.round(angles)} deg")


def turn_of(angle_deg: float) -> str:
    return {"front": "straight", "left": "turn left", "right": "turn right", "behind": "turn back"}[quarter(angle_deg)]


def route_plan(read: Reading) -> None:
    """Walk from middle to middle, and call each turn by the quarter it is in."""
    text, bodies = read.mentions
    told = text[: text.index(" A. ")]
    tale = re.search(r"(?<!@)\b1\. ", told).start()
    read.need(len(re.findall(r"@\d", told[:tale])) >= 2, f"start and facing are not told: {told}")
    start, facing = bodies[0], bodies[1]
    goal = bodies[2] if "@2" in told[:tale] else None
    seen(read, bodies)
    place, ahead, turn, answers, filled = on_plan(start), on_plan(facing) - on_plan(start), "straight", [], False
    last = start
    for step in re.findall(r"(?<!@)\b\d+\. (\(fill in\)|[A-Z][^.]*)\.", told[tale:]):
        target = re.search(r"@(\d+)", step)
        if "(fill in)" in step:
            filled = True
        elif target is None:
            turn = step.lower().strip()
        else:
            last = bodies[int(target.group(1))]
            true = turn_of(bearing_deg(ahead, on_plan(last) - place))
            if filled:
                answers.append(true)
            else:
                read.need(turn == true, f"the way says {turn}, true {true}")
            place, ahead, turn, filled = on_plan(last), on_plan(last) - place, "straight", False
    read.need(goal is None or goal is last, "the way does not end at its goal")
    read.expect_option(", ".join(answers))


TRUTHS: dict[str, Callable[[Reading], None]] = {
    "relative_direction_easy": relative(lambda angle: "left" if angle > 0 else "right"),
    "relative_direction_hard": relative(corner),
    "relative_direction_medium": relative(third),
    "route_plan": route_plan,
    "situated_count": situated_count,
    "situated_direction": situated_direction,
    "situated_distance": situated_distance,
    "situated_existence": situated_existence,
    "view_among": lambda read: view_choice(read, around="object"),
    "view_around": lambda read: view_choice(read, around="camera"),
    "view_rotation": lambda read: view_choice(read, around="gaze"),
}
