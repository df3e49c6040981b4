"""Second opinions on objects in images: OpenCV's projection of points all through their boxes, and boxes compared corner by corner."""

import cv2
import numpy as np

from sightline.captures.capture import SceneObject
from sightline.questions.checks.checker import BOX_SLACK_M, Checker, WrongError
from sightline.questions.question import Mark, Question
from sightline.questions.templates import object_name, plural, sounds_alike

GRID = np.stack(np.meshgrid(*[np.linspace(-0.5, 0.5, 6)] * 3), axis=-1).reshape(-1, 3)
SLACK_PX = 2.0  # of a pixel's extent and a depth image that is coarser than the colour image
LITTLE_HIDDEN = 0.05  # of an object's points: a visible part like this nearly spans the whole object
MIN_FILLED = 0.3  # of the projection of an object's box, by the rectangle of an object that is hardly hidden or cut
CORNER_SLACK_M = 0.015  # two rounded coordinates and a rounded half side


def object_point(checker: Checker, question: Question) -> None:
    """The sight line through the point crosses the object's box, and nothing else by its name may be in the image."""
    one = _only_one(checker, question)
    form = question.answer.format
    u_px, v_px = form.to_px(form.parse(question.answer.text))
    mark = Mark(frame_id=question.frame_ids[0], u_px=u_px, v_px=v_px, colour="answer's")
    checker.check_on_object(mark, one.object_id)
    box_px = _row_of(checker, question)
    reach_px = max(np.hypot(x - u_px, y - v_px) for x in box_px[::2] for y in box_px[1::2])
    if reach_px > form.radius_share * form.width + 1.0:
        raise WrongError("a point of the object lies outside the radius")


def object_box(checker: Checker, question: Question) -> None:
    """The rectangle holds the measured points of the object, lies in the projection of its box, and fills it where nothing hides it."""
    one = _only_one(checker, question)
    form = question.answer.format
    said = np.array(form.parse(question.answer.text))
    scale = np.array([form.width, form.height] * 2) / 1000.0 if form.scale == "thousandths" else np.ones(4)
    box_px = said * scale - (0.5 if form.scale == "thousandths" else 0.0)
    views, frame = checker.facts.object_views, checker.frame_of[question.frame_ids[0]]
    row = np.flatnonzero((views.object_id == one.object_id) & (views.frame == frame))
    if not len(row) or np.abs(box_px - views.box_uv[row[0]]).max() > 0.5 * scale.max() + 0.51:
        raise WrongError("not the rectangle of the visible pixels")
    points = checker.facts.points
    own_uv = points.uv[(points.frame == frame) & (points.object_id == one.object_id)]
    if len(own_uv) and ((own_uv < box_px[:2] - SLACK_PX) | (own_uv > box_px[2:] + SLACK_PX)).any():
        raise WrongError("a measured point of the object lies outside")
    uv, depth_m = _projected(checker, one, frame, grown_m=BOX_SLACK_M)
    if depth_m.min() <= 0.0:
        return  # what reaches behind the camera has no projection
    low, high = uv.min(axis=0), uv.max(axis=0)
    if (box_px[:2] < low - SLACK_PX).any() or (box_px[2:] > high + SLACK_PX).any():
        raise WrongError("reaches beyond the projection of the object's box")
    uv, depth_m = _projected(checker, one, frame, grown_m=0.0)
    low, high = uv.min(axis=0), uv.max(axis=0)
    is_whole = (low >= 0.0).all() and (high <= [form.width - 1.0, form.height - 1.0]).all()
    if is_whole and views.hidden_share[row[0]] <= LITTLE_HIDDEN and np.prod(box_px[2:] - box_px[:2]) < MIN_FILLED * np.prod(high - low):
        raise WrongError("fills too little of the projection of the object's box")


def object_box_3d(checker: Checker, question: Question) -> None:
    """The eight corners of the answer, put back into the world, are the box's own."""
    said = question.answer.format.parse(question.answer.text)
    one = checker.object_of[question.object_ids[0]]
    if said is None:
        raise WrongError("the answer's own text has no box")
    pose = checker.facts.frames.world_from_camera[checker.frame_of[question.frame_ids[0]]]
    ahead = complex(*(pose @ [0.0, 0.0, 1.0, 1.0] - pose @ [0.0, 0.0, 0.0, 1.0])[:2])
    to_world = ahead / abs(ahead) / 1j  # the level frame's y is the heading
    x, y, z, *size_m, yaw_deg = said
    signs = np.array(np.meshgrid([-0.5, 0.5], [-0.5, 0.5], [-0.5, 0.5])).reshape(3, -1)
    level = x + 1j * y + (signs[0] * size_m[0] + 1j * signs[1] * size_m[1]) * np.exp(1j * np.radians(yaw_deg))
    level = complex(pose[0, 3], pose[1, 3]) + level * to_world
    found_world = np.stack([level.real, level.imag, pose[2, 3] + z + signs[2] * size_m[2]], axis=1)
    corners_world = np.c_[signs.T * one.box.size_m, np.ones(8)] @ one.box.world_from_object.T[:, :3]
    off_m = np.linalg.norm(found_world[:, None] - corners_world[None], axis=-1)
    allowed_m = CORNER_SLACK_M + np.radians(0.5) * float(np.hypot(*one.box.size_m[:2])) / 2.0
    if max(off_m.min(axis=0).max(), off_m.min(axis=1).max()) > allowed_m:
        raise WrongError(f"corners are up to {off_m.min(axis=1).max():.3f} m off")


def object_existence(checker: Checker, question: Question) -> None:
    found = "yes" if _shows(checker, question, question.frame_ids[0]) else "no"
    if question.answer.format.parse(question.answer.text) != found:
        raise WrongError(found)


def object_views(checker: Checker, question: Question) -> None:
    showing = tuple(float(place + 1) for place, frame_id in enumerate(question.frame_ids) if _shows(checker, question, frame_id))
    said = question.answer.format.parse(question.answer.text)
    if len(question.frame_ids) != question.answer.format.count or said != showing:
        raise WrongError(question.answer.format.render(showing))


def _only_one(checker: Checker, question: Question) -> SceneObject:
    """The object that is asked for; raises where the text does not name it or the image may show another of that name."""
    one = checker.object_of[question.object_ids[0]]
    if object_name(one.category, None).lower() not in question.text.lower():
        raise WrongError(f"the text does not ask for {object_name(one.category, None)}")
    frame = checker.frame_of[question.frame_ids[0]]
    for other in checker.facts.objects or ():
        if other.object_id != one.object_id and _same_name(one.category, other.category) and _may_be_in(checker, other, frame):
            raise WrongError(f"object {other.object_id} ({other.category}) may be in the image too")
    return one


def _shows(checker: Checker, question: Question, frame_id: str) -> bool:
    """Whether an image shows a category; raises where it only may, and where the text asks for another."""
    category = checker.object_of[question.object_ids[0]].category
    if plural(category).lower() not in question.text.lower():
        raise WrongError(f"the text does not ask for {plural(category)}")
    frame = checker.frame_of[frame_id]
    views = checker.facts.object_views
    seen = set(views.object_id[views.frame == frame].tolist())
    members = [one for one in checker.facts.objects or () if one.category == category]
    if any(one.object_id in seen and _may_be_in(checker, one, frame) for one in members):
        return True
    for one in checker.facts.objects or ():
        if _same_name(category, one.category) and (one.object_id in seen or _may_be_in(checker, one, frame)):
            raise WrongError(f"object {one.object_id} ({one.category}) may be in image {frame_id}, though no pixel of it was seen")
    return False


def _same_name(category: str, other: str) -> bool:
    return category == other or sounds_alike(category, [other]) or sounds_alike(other, [category])


def _may_be_in(checker: Checker, one: SceneObject, frame: int) -> bool:
    """Whether any point of a grid through an object's box falls into the image."""
    camera = checker.facts.frames.intrinsics[frame]
    uv, depth_m = _projected(checker, one, frame, grown_m=0.0)
    inside = (uv >= -0.5).all(axis=1) & (uv[:, 0] <= camera.width - 0.5) & (uv[:, 1] <= camera.height - 0.5)
    return bool((inside & (depth_m > 0.0)).any())


def _projected(checker: Checker, one: SceneObject, frame: int, *, grown_m: float) -> tuple[np.ndarray, np.ndarray]:
    """Pixels `(N, 2)` and depths `(N,)` of a grid of points through an object's box, by OpenCV."""
    points_world = np.c_[GRID * (one.box.size_m + 2.0 * grown_m), np.ones(len(GRID))] @ one.box.world_from_object.T[:, :3]
    camera_from_world = checker.camera_from_world[frame]
    turn, _ = cv2.Rodrigues(camera_from_world[:3, :3])
    uv, _ = cv2.projectPoints(points_world, turn, camera_from_world[:3, 3], checker.facts.frames.intrinsics[frame].K, None)
    return uv.reshape(-1, 2), points_world @ camera_from_world[2, :3] + camera_from_world[2, 3]


def _row_of(checker: Checker, question: Question) -> np.ndarray:
    views, frame = checker.facts.object_views, checker.frame_of[question.frame_ids[0]]
    row = np.flatnonzero((views.object_id == question.object_ids[0]) & (views.frame == frame))
    if not len(row):
        raise WrongError("the object is not seen in the image")
    return views.box_uv[row[0]]
