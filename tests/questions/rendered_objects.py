"""The third method for objects: who is in which image by the instance images, how large and how far by the exact solids."""

import re
from collections.abc import Callable

import cv2
import numpy as np
from rendered_asked import Reading
from rendered_world import Body, gap_m

SOLID_M = 1e-3  # circles are polygons of 256 corners, poses are written in full
SIZE_M = 1e-3
SIDE_PX = 1.0
YAW_DEG = 0.1


def shown_ids(read: Reading) -> list[set[int]]:
    return [set(np.unique(read.world.ids(frame)).tolist()) - {-1} for frame in read.frames]


def seen(read: Reading, bodies: list[Body]) -> None:
    """Everything the text names is to be seen in the images."""
    shown = set().union(*shown_ids(read))
    for body in bodies:
        read.need(body.object_id in shown, f"no image shows the {body.category}")


def two(read: Reading) -> tuple[Body, Body]:
    bodies = read.mentions[1]
    read.need(len(bodies) == 2 and bodies[0] is not bodies[1], f"the text names {len(bodies)} objects")
    seen(read, bodies)
    return bodies[0], bodies[1]


def subject_first(read: Reading) -> tuple[Body, Body]:
    """The thing the text asks about, then the one it is compared with."""
    first, second = two(read)
    return (
        (second, first) if re.match(r"Starting (?:at|level with)|Look at @0 in the image: does @1", read.mentions[0]) else (first, second)
    )


def only(read: Reading) -> Body:
    bodies = read.mentions[1]
    read.need(len(bodies) == 1, f"the text names {len(bodies)} objects")
    seen(read, bodies)
    return bodies[0]


def object_count(read: Reading) -> None:
    members = {one.object_id for one in read.members(read.category)}
    shown = members & set().union(*shown_ids(read))
    read.need(read.form.unit == "" or read.form.unit is None, "a count has no unit")
    read.need(float(read.reply) == read.value == len(shown), f"said {read.reply}, the images show {len(shown)}")
    read.need(members == shown, "not all of them are shown")


def object_existence(read: Reading) -> None:
    members = {one.object_id for one in read.members(read.category)}
    read.expect_word("yes" if members & set().union(*shown_ids(read)) else "no")


def object_views(read: Reading) -> None:
    members = {one.object_id for one in read.members(read.category)}
    true = [str(place) for place, ids in enumerate(shown_ids(read), start=1) if members & ids]
    read.need(read.reply == (", ".join(true) or "none"), f"said {read.reply}, true {', '.join(true) or 'none'}")


def appearance_order(read: Reading) -> None:
    question = read.text[: read.text.index(" A. ")]
    names = {name for name in set(read.world.categories.values()) if f"the {name}" in question}
    names = {one for one in names if not any(one != other and f"the {one}" in f"the {other}" for other in names)}
    shown = shown_ids(read)
    first = {}
    for name in names:
        ids = {one.object_id for one in read.members(name)}
        read.need(len(ids) == 1, f"there are {len(ids)} of '{name}'")
        places = [place for place, here in enumerate(shown) if ids & here]
        read.need(bool(places), f"no image shows the {name}")
        first[name] = places[0]
    read.need(list(read.frames) == sorted(read.frames), "the images are not in the order of the walk")
    read.need(len(first) == 4 == len(set(first.values())), f"first seen in images {first}")
    read.expect_option(", ".join(sorted(first, key=first.get)))


def axis_m(read: Reading, pick: Callable[[np.ndarray], float]) -> None:
    body = only(read)
    read.expect_number(float(pick(body.size_m)), SIZE_M)


def object_height(read: Reading) -> None:
    read.search(r"height|tall|vertical|[Bb]ottom|highest|upright")
    axis_m(read, lambda size: size[2])


def object_width(read: Reading) -> None:
    read.search(r"shorter|smaller|narrower")
    axis_m(read, lambda size: size[:2].min())


def object_length(read: Reading) -> None:
    read.search(r"longer|larger")
    axis_m(read, lambda size: size[:2].max())


def object_size(read: Reading) -> None:
    read.search(r"longest|largest")
    axis_m(read, lambda size: size.max())


def object_distance(read: Reading) -> None:
    read.search(r"closest|shortest|narrowest|smallest|least|nearest")
    read.expect_number(gap_m(*two(read)), SOLID_M)


def camera_object_distance(read: Reading) -> None:
    read.search(r"closest|near")
    body, frame = only(read), read.frames[0]
    truth = body.distance_from(read.world.poses[frame][:3, 3])
    rows, columns = np.nonzero(read.world.ids(frame) == body.object_id)
    rays = np.linalg.inv(read.world.K) @ np.stack([columns, rows, np.ones(len(rows))])
    ranges = np.linalg.norm(rays, axis=0) * read.world.depth_m(frame)[rows, columns]
    read.need(len(ranges) > 0 and np.nanmin(ranges) >= truth - 2e-3, "the image shows it nearer than its box")
    read.expect_number(truth, SOLID_M)


def object_near_far(read: Reading) -> None:
    text, bodies = read.mentions
    eye = read.world.poses[read.frames[0]][:3, 3]
    options = [bodies[int(one)] for one in _tokens(text[text.index(" A. ") :])]
    read.need(len(options) == 2, "not two objects to choose from")
    distance = [one.distance_from(eye) for one in options]
    nearer = (
        read.one_of(near=r"closer|nearer|smaller distance|reach first", far=r"farther|more distant|larger distance|reach last") == "near"
    )
    best = "AB"[int(np.argmin(distance) if nearer else np.argmax(distance))]
    read.need(abs(distance[0] - distance[1]) > 0.2, "both are as far")
    read.need(read.reply == best, f"said {read.reply}, true {best}: {np.round(distance, 2)} m")


def _tokens(text: str) -> list[str]:
    return [word.strip("@.?,") for word in text.split() if word.startswith("@")]


def object_left_right(read: Reading) -> None:
    first, second = subject_first(read)
    frame = read.frames[0]
    reach = []
    for body in (first, second):
        uv, depth_m = read.world.project(frame, body.points_world)
        read.need(depth_m.min() > 0.0, f"the {body.category} reaches behind the camera")
        columns = np.nonzero(read.world.ids(frame) == body.object_id)[1]
        read.need(columns.min() >= uv[:, 0].min() - 1 and columns.max() <= uv[:, 0].max() + 1, "the image shows it elsewhere")
        reach.append((uv[:, 0].min(), uv[:, 0].max()))
    (low_a, high_a), (low_b, high_b) = reach
    read.need(high_a < low_b or high_b < low_a, "they overlap from side to side")
    read.expect_word("left" if high_a < low_b else "right")


def object_up_down(read: Reading) -> None:
    first, second = subject_first(read)
    above = first.middle[2] - second.middle[2]
    read.need(abs(above) > 0.2, "both are as high")
    read.search(r"middle|[Hh]alfway|centre")
    read.expect_word("higher" if above > 0 else "lower")


def named_once(read: Reading) -> tuple[Body, np.ndarray]:
    """The object that a text names without a dot, the only one of its kind in the image, and its visible pixels."""
    names = [one for one in set(read.world.categories.values()) if re.search(rf"\bthe {re.escape(one)}\b", read.text)]
    names = [one for one in names if not any(one != other and f"the {other}".startswith(f"the {one} ") for other in names)]
    read.need(len(names) == 1, f"the text names {names}")
    inside = [one for one in read.members(names[0]) if np.any(read.world.ids(read.frames[0]) == one.object_id)]
    read.need(len(inside) == 1, f"the image shows {len(inside)} of '{names[0]}'")
    return inside[0], read.world.ids(read.frames[0]) == inside[0].object_id


def object_box(read: Reading) -> None:
    rows, columns = np.nonzero(named_once(read)[1])
    wide, tall = read.world.width, read.world.height
    true = np.array([columns.min() / wide, rows.min() / tall, (columns.max() + 1) / wide, (rows.max() + 1) / tall]) * 1000.0
    slack = SIDE_PX * 1000.0 / np.array([wide, tall, wide, tall])
    if read.form.scale == "pixels":
        true, slack = true / 1000.0 * [wide, tall, wide, tall] - 0.5, np.full(4, SIDE_PX)
    said = np.array(read.form.parse(read.reply))
    read.need(bool((np.abs(np.array(read.value) - true) <= slack).all()), f"stored {np.round(read.value, 1)}, true {np.round(true, 1)}")
    read.need(bool((np.abs(said - true) <= slack + 0.51).all()), f"said {said}, true {np.round(true, 1)}")


def object_point(read: Reading) -> None:
    mask = named_once(read)[1]
    u_px, v_px = read.pixels(tuple(read.form.parse(read.reply)))
    read.need(bool(mask[round(v_px), round(u_px)]), f"[{u_px:.1f}, {v_px:.1f}] px is not on it")


def object_box_3d(read: Reading) -> None:
    body, frame = only(read), read.frames[0]
    ahead = read.world.gaze(frame)[:2] / np.linalg.norm(read.world.gaze(frame)[:2])
    level_from_world = np.array([[ahead[1], -ahead[0], 0.0], [ahead[0], ahead[1], 0.0], [0.0, 0.0, 1.0]])
    centre = level_from_world @ (body.middle - read.world.poses[frame][:3, 3])
    own_x = level_from_world @ body.pose[:3, 0]
    yaw = float(np.degrees(np.arctan2(own_x[1], own_x[0])))
    readings = ((np.array(read.value), 0.0, 0.0), (np.array(read.form.parse(read.reply)), 0.0051, 0.51))
    for said, last_m, last_deg in readings:
        straight = np.abs(said[3:6] - body.size_m).max(), yaw
        turned = np.abs(said[3:6] - body.size_m[[1, 0, 2]]).max(), yaw + 90.0
        fits = [
            off <= SIZE_M + last_m and abs((said[6] - angle + 90.0) % 180.0 - 90.0) <= YAW_DEG + last_deg
            for off, angle in (straight, turned)
        ]
        read.need(np.abs(said[:3] - centre).max() <= SOLID_M + last_m, f"centre said {said[:3]}, true {np.round(centre, 3)}")
        read.need(any(fits), f"size and yaw said {said[3:]}, true {np.round(body.size_m, 3)}, {yaw:.1f}")


def relative_distance(read: Reading) -> None:
    question = read.text[: read.text.index(" A. ")]
    anchors = [one for one in set(read.world.categories.values()) if f"the {one}" in question]
    anchors = [one for one in anchors if not any(one != other and f"the {one}" in f"the {other}" for other in anchors)]
    read.need(len(anchors) == 1, f"the text asks about {anchors}")
    bodies = {name: read.members(name) for name in [*anchors, *read.options.values()]}
    read.need(all(len(one) == 1 for one in bodies.values()), "a name is not unique")
    seen(read, [one[0] for one in bodies.values()])
    gaps = {name: gap_m(bodies[anchors[0]][0], bodies[name][0]) for name in read.options.values()}
    read.expect_option(min(gaps, key=gaps.get))


def room_size(read: Reading) -> None:
    areas = []
    for room in read.world.structure["rooms"]:
        outline = np.array(room["outline_world"], dtype=np.float64)
        flat = (outline - outline[0]).astype(np.float32).reshape(-1, 1, 2)
        eyes = [read.world.poses[frame][:2, 3] - outline[0] for frame in read.frames]
        inside = [cv2.pointPolygonTest(flat, tuple(map(float, eye)), False) >= 0 for eye in eyes]
        areas.append((sum(inside), float(cv2.contourArea(flat))))
    several = read.one_of(one=r"\bthe room in which these", all=r"\brooms\b") == "all"
    entered = [area for count, area in areas if count]
    if several:
        read.need(len(entered) > 1, "all images are of one room")
        read.expect_number(sum(entered), 2e-3)
    else:
        read.need(len(entered) == 1, f"the images were taken in {len(entered)} rooms")
        read.expect_number(entered[0], 2e-3)


TRUTHS: dict[str, Callable[[Reading], None]] = {
    "appearance_order": appearance_order,
    "camera_object_distance": camera_object_distance,
    "object_box": object_box,
    "object_box_3d": object_box_3d,
    "object_count": object_count,
    "object_distance": object_distance,
    "object_existence": object_existence,
    "object_height": object_height,
    "object_left_right": object_left_right,
    "object_length": object_length,
    "object_near_far": object_near_far,
    "object_point": object_point,
    "object_size": object_size,
    "object_up_down": object_up_down,
    "object_views": object_views,
    "object_width": object_width,
    "relative_distance": relative_distance,
    "room_size": room_size,
}
