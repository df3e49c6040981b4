"""Second opinions on what takes several objects or a whole room: from corners, from a walk through the frames, from slices of the floor."""

import re

import numpy as np

from sightline.questions.checks.checker import Checker, WrongError, expect_number, expect_option, said_number, said_option
from sightline.questions.checks.objects import corners
from sightline.questions.question import Question

SEEN_FLOOR_SLACK = 1.1  # the floor that was seen may end this much beyond the hull of the sampled points


def relative_direction_easy(checker: Checker, question: Question) -> None:
    _direction(checker, question, _side)


def relative_direction_medium(checker: Checker, question: Question) -> None:
    _direction(checker, question, _third)


def relative_direction_hard(checker: Checker, question: Question) -> None:
    _direction(checker, question, _corner)


def _direction(checker: Checker, question: Question, word_of) -> None:
    """By lengths along two unit vectors on the plan, without an angle; the box's corners must agree with its centre."""
    stand, face, target = (checker.object_of[one] for one in question.object_ids)
    said = [question.text.lower().find(one.category.replace("_", " ").lower()) for one in (stand, face, target)]
    if min(said) < 0:
        raise WrongError("the text does not name the three objects")
    ahead_m, left_m = checker.plan_sides(question)
    expect_option(question, word_of(ahead_m, left_m))
    at, to = stand.box.world_from_object[:2, 3], face.box.world_from_object[:2, 3]
    ahead = (to - at) / np.linalg.norm(to - at)
    for corner in corners(target.box.world_from_object, target.box.size_m):
        apart = corner[:2] - at
        if word_of(float(apart @ ahead), float(ahead[0] * apart[1] - ahead[1] * apart[0])) != word_of(ahead_m, left_m):
            raise WrongError("the object reaches over the border between two directions")


def _side(ahead_m: float, left_m: float) -> str:
    return "behind" if _is_behind(ahead_m, left_m) else "left" if left_m > 0 else "right"


def _third(ahead_m: float, left_m: float) -> str:
    return "back" if _is_behind(ahead_m, left_m) else "left" if left_m > 0 else "right"


def _corner(ahead_m: float, left_m: float) -> str:
    return f"{'front' if ahead_m > 0 else 'back'}-{'left' if left_m > 0 else 'right'}"


def _is_behind(ahead_m: float, left_m: float) -> bool:
    """In the quarter behind."""
    return -ahead_m > abs(left_m)


def relative_distance(checker: Checker, question: Question) -> None:
    """Every option's gap to the object that the text names, by bounded least squares over a point in each box."""
    named = _objects_by_name(checker)
    before = question.text.split(" A. ")[0].lower()
    main = checker.object_of[question.object_ids[0]]
    if not re.search(rf"the (set of )?{re.escape(_spoken(main.category))}\b", before):
        raise WrongError(f"the text does not name the {main.category}")
    gaps_m = {option: checker.box_gap_m(main.object_id, _only(named, option)) for option in question.answer.format.options}
    expect_option(question, min(gaps_m, key=gaps_m.__getitem__))


def appearance_order(checker: Checker, question: Question) -> None:
    """By going through the shown frames one after another and noting who is new; two newcomers in one frame have no order."""
    named = _objects_by_name(checker)
    said = said_option(question).split(", ")
    wanted = {_only(named, name): name for name in said}
    before = question.text.split(" A. ")[0].lower()
    if any(not re.search(rf"the (set of )?{re.escape(name.lower())}\b", before) for name in said):
        raise WrongError("the text does not name the four objects")
    views, found = checker.facts.object_views, []
    for frame_id in question.frame_ids:
        here = {int(one) for one in views.object_id[views.frame == checker.frame_of[frame_id]]}
        new = [object_id for object_id in wanted if object_id in here and wanted[object_id] not in found]
        if len(new) > 1:
            raise WrongError(f"{' and '.join(wanted[one] for one in new)} appear in the same image")
        found += [wanted[one] for one in new]
    expect_option(question, ", ".join(found))


def room_size(checker: Checker, question: Question) -> None:
    """Rooms found by turning around each camera, their floor by slices; without outlines, no more than all that was seen can hold."""
    structure, rooms = checker.facts.structure, checker.facts.rooms
    if structure is None or not structure.rooms or not rooms.from_outline.all():
        corners_xy = checker.facts.points.point_world[:, :2]
        low, high = corners_xy.min(axis=0), corners_xy.max(axis=0)
        if said_number(question) > SEEN_FLOOR_SLACK * float(np.prod(high - low)):
            raise WrongError("more floor than all measured points span")
        expect_number(question, float(rooms.area_m2[0]))
        return
    cameras = checker.facts.frames.world_from_camera[[checker.frame_of[one] for one in question.frame_ids], :3, 3]
    entered = [
        room
        for room in structure.rooms
        if any(room.floor_z_m <= one[2] <= room.ceiling_z_m and _turns_around(np.asarray(room.outline_world), one[:2]) for one in cameras)
    ]
    if (len(entered) > 1) != bool(re.search(r"\ball rooms\b", question.text)):
        raise WrongError(f"the images were taken in {len(entered)} rooms")
    expect_number(question, sum(_area_by_slices(np.asarray(room.outline_world)) for room in entered))


def _turns_around(outline: np.ndarray, place: np.ndarray) -> bool:
    """Whether an outline goes around a place: the angles from corner to corner add up to a full turn."""
    to = outline - place
    after = np.roll(to, -1, axis=0)
    turns = np.arctan2(to[:, 0] * after[:, 1] - to[:, 1] * after[:, 0], (to * after).sum(axis=1))
    return bool(abs(turns.sum()) > np.pi)


def _area_by_slices(outline: np.ndarray) -> float:
    """Area of a simple polygon `(N, 2)`: between two neighbouring heights of corners it is a pile of trapezoids."""
    levels = np.unique(outline[:, 1])
    after = np.roll(outline, -1, axis=0)
    total_m2 = 0.0
    for low, high in zip(levels[:-1], levels[1:]):
        middle = (low + high) / 2.0
        crossed = (outline[:, 1] > middle) != (after[:, 1] > middle)
        a, b = outline[crossed], after[crossed]
        x = np.sort(a[:, 0] + (middle - a[:, 1]) / (b[:, 1] - a[:, 1]) * (b[:, 0] - a[:, 0]))
        total_m2 += float((x[1::2] - x[::2]).sum() * (high - low))
    return total_m2


def _spoken(category: str) -> str:
    return category.replace("_", " ").replace("/", " or ").lower()


def _objects_by_name(checker: Checker) -> dict[str, list[int]]:
    """Object ids by lower-case spoken category."""
    found: dict[str, list[int]] = {}
    for one in checker.facts.objects or ():
        found.setdefault(_spoken(one.category), []).append(one.object_id)
    return found


def _only(named: dict[str, list[int]], name: str) -> int:
    alike = named.get(name.lower(), [])
    if len(alike) != 1:
        raise WrongError(f"{len(alike)} objects go by the name {name}")
    return alike[0]
