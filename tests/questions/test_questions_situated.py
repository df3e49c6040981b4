"""Objects against the camera and against each other, and described situations: answers that a floor plan on paper gives."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from handmade_facts import handmade_facts
from handmade_situations import EYE, FROM_AFAR, NORTH, SOUTH, box_object, mirrored, questions, said, scaled, scene, skips, wrong_answers
from handmade_walk import walk_facts

from sightline.geometry.transforms import look_at
from sightline.questions.check import check_all
from sightline.questions.engine import ask_all
from sightline.questions.question import TaskOptions
from sightline.questions.shown import Shown
from sightline.questions.situated_stance import SIDE_WORDS, STANCE_MARGINS, Floor

FACTS = handmade_facts()
RELATIONS = ("camera_object_distance", "object_left_right", "object_near_far", "object_up_down")
SITUATED = ("situated_count", "situated_direction", "situated_distance", "situated_existence")
ONE_METRE = [1.0, 1.0, 1.0]
UPSIDE_DOWN = NORTH @ np.diag([-1.0, -1.0, 1.0, 1.0])


# an object and the camera


@pytest.mark.parametrize(("yaw_deg", "wanted_m"), [(0.0, 3.5), (45.0, 4.0 - np.sqrt(0.5))])
def test_an_object_is_as_far_as_its_nearest_face_or_edge(yaw_deg, wanted_m):
    facts = scene([NORTH], box_object(0, "chair", [0, 4, 1.5], ONE_METRE, yaw_deg))
    (one,) = questions(facts, "camera_object_distance", seeds=[0])
    assert one.answer.value == pytest.approx(wanted_m, abs=1e-9)
    (in_cm,) = questions(facts, "camera_object_distance", seeds=[0], length_unit="cm")
    assert in_cm.answer.text == f"{100 * wanted_m:.0f}"


def test_an_object_off_to_the_side_is_measured_to_its_nearest_corner():
    """The box's nearest edge is at x 1.5, y 3.5, its height that of the eye."""
    facts = scene([NORTH], box_object(0, "chair", [2, 4, 1.5], ONE_METRE))
    (one,) = questions(facts, "camera_object_distance", seeds=[0])
    assert one.answer.value == pytest.approx(np.hypot(1.5, 3.5))


@pytest.mark.parametrize(("near_face_m", "reason"), [(0.49, "too_close_to_measure"), (0.51, None), (14.9, None), (15.1, "too_far_away")])
def test_what_is_within_reach_or_very_far_is_not_measured(near_face_m, reason):
    size = [1.0, 1.0, 1.0] if near_face_m > 2 else [0.1, 0.1, 0.1]
    facts = scene([NORTH], box_object(0, "chair", [0, near_face_m + size[1] / 2, 1.5], size))
    facts = replace(facts, object_views=replace(facts.object_views, box_uv=np.array([[100.0, 80.0, 200.0, 160.0]])))
    if reason:
        assert skips(facts, "camera_object_distance") == {"camera_object_distance": 1} or skips(facts, "camera_object_distance") == {
            reason: 1
        }
    else:
        assert len(questions(facts, "camera_object_distance", seeds=[0])) == 1


# two objects in one image


def test_the_nearer_object_is_the_one_with_the_nearer_face_and_the_farther_one_the_other():
    facts = scene([NORTH], box_object(0, "chair", [-1, 3, 1.5], ONE_METRE), box_object(1, "table", [1.5, 5, 1.5], ONE_METRE))
    asked = questions(facts, "object_near_far", seeds=range(20), mark_objects=False)
    assert {said(one) for one in asked} == {"the chair", "the table"}
    for one in asked:
        asks_near = any(words in one.text for words in ("closer", "nearer", "smaller", "first"))
        assert said(one) == ("the chair" if asks_near else "the table")


@pytest.mark.parametrize(("apart_m", "is_asked"), [(0.2, False), (0.4, False), (0.75, True)])
def test_objects_at_nearly_the_same_distance_are_not_compared(apart_m, is_asked):
    """At three metres the margin is 15 % of the larger distance: 0.53 m."""
    facts = scene([NORTH], box_object(0, "chair", [-0.8, 3, 1.5], [0.5] * 3), box_object(1, "table", [0.8, 3 + apart_m, 1.5], [0.5] * 3))
    if is_asked:
        assert questions(facts, "object_near_far", seeds=[0])
    else:
        assert skips(facts, "object_near_far") == {"too_close_to_tell": 1}


def test_objects_whose_faces_and_centres_disagree_are_not_compared():
    """A long table begins nearer, but its centre is farther off."""
    facts = scene([NORTH], box_object(0, "table", [-1, 5, 1.5], [0.6, 4.4, 0.6]), box_object(1, "lamp", [1.2, 4, 1.5], [0.3] * 3))
    assert skips(facts, "object_near_far") == {"closest_points_and_centres_disagree": 1}


@pytest.mark.parametrize(("pose", "swaps"), [(NORTH, False), (UPSIDE_DOWN, True)])
def test_left_and_right_are_those_of_the_image_even_upside_down(pose, swaps):
    facts = scene([pose], box_object(0, "chair", [-1.2, 4, 1.5], ONE_METRE), box_object(1, "table", [1.2, 4, 1.5], ONE_METRE))
    found = {(one.object_ids, said(one)) for one in questions(facts, "object_left_right", seeds=range(10))}
    assert found == {((0, 1), "right" if swaps else "left"), ((1, 0), "left" if swaps else "right")}


@pytest.mark.parametrize(("x_m", "is_asked"), [(0.4, False), (0.53, False), (0.65, True)])
def test_objects_one_behind_the_other_are_neither_left_nor_right(x_m, is_asked):
    """Two boxes a metre wide, side by side with a gap of 0.06 m at 0.53: four thousandths of the image."""
    facts = scene([NORTH], box_object(0, "chair", [-x_m, 4, 1.5], ONE_METRE), box_object(1, "table", [x_m, 4, 1.5], ONE_METRE))
    if is_asked:
        assert questions(facts, "object_left_right", seeds=[0])
    else:
        assert skips(facts, "object_left_right") == {"side_by_side_only_in_part": 1}


@pytest.mark.parametrize("pose", [NORTH, UPSIDE_DOWN])
def test_higher_and_lower_are_those_of_the_room_however_the_camera_is_held(pose):
    facts = scene([pose], box_object(0, "lamp", [-1.2, 4, 1.9], [0.5] * 3), box_object(1, "table", [1.2, 4, 1.3], ONE_METRE))
    found = {(one.object_ids, said(one)) for one in questions(facts, "object_up_down", seeds=range(10))}
    assert found == {((0, 1), "higher"), ((1, 0), "lower")}


@pytest.mark.parametrize(("above_m", "is_asked"), [(0.24, False), (0.26, True)])
def test_middles_at_nearly_the_same_height_are_not_compared(above_m, is_asked):
    facts = scene([NORTH], box_object(0, "lamp", [-1, 4, 1.2 + above_m], [0.5] * 3), box_object(1, "table", [1, 4, 1.2], [0.5] * 3))
    if is_asked:
        assert questions(facts, "object_up_down", seeds=[0])
    else:
        assert skips(facts, "object_up_down") == {"too_close_to_tell": 1}


# described situations. A chair at the origin, a table 3 m north: whoever stands beside the chair stands at (0, 0.65)

CHAIR = box_object(0, "chair", [0, 0, 0.3], [0.5, 0.5, 0.6])
TABLE = box_object(1, "table", [0, 3, 0.3], [0.5, 0.5, 0.6])
PLACE = np.array([0.0, 0.65])
AROUND = {"front": [0.0, 2.4], "left": [-2.4, 0.0], "behind": [0.0, -2.4], "right": [2.4, 0.0]}  # from PLACE, facing north
OPPOSITE = {"front": "behind", "behind": "front", "left": "right", "right": "left"}


def lamp_at(x: float, y: float, *, object_id: int = 2, category: str = "lamp"):
    return box_object(object_id, category, [x, y, 0.35], [0.5, 0.5, 0.7])


def of_kind(asked, kind, *, beside=0, towards=1):
    return [one for one in asked if one.evidence["situation"] == kind and one.object_ids[:2] == (beside, towards)]


@pytest.mark.parametrize("side", ["left", "behind", "right"])
def test_the_side_is_that_of_someone_beside_the_chair_who_faces_the_table_or_turns_away(side):
    facts = scene([FROM_AFAR], CHAIR, TABLE, lamp_at(*(PLACE + AROUND[side])))
    asked = questions(facts, "situated_direction", balance=False)
    assert {said(one) for one in of_kind(asked, "beside")} == {SIDE_WORDS[side]}
    assert {said(one) for one in of_kind(asked, "away")} == {SIDE_WORDS[OPPOSITE[side]]}


def test_halfway_is_the_middle_of_the_gap():
    """Halfway from the chair to the table is (0, 1.5): a lamp at (-2, 1.5) is to the left, and 1.75 m off at its near face."""
    facts = scene([FROM_AFAR], CHAIR, TABLE, lamp_at(-2.0, 1.5))
    asked = of_kind(questions(facts, "situated_direction", balance=False), "halfway")
    assert {said(one) for one in asked} == {"to your left"}
    asked = of_kind(questions(facts, "situated_distance", balance=False), "halfway")
    assert {round(one.answer.value, 6) for one in asked} == {1.75}


def test_the_distance_is_level_and_to_the_nearest_side():
    facts = scene([FROM_AFAR], CHAIR, TABLE, lamp_at(-2.4, 0.65))
    asked = questions(facts, "situated_distance", balance=False)
    there = [*of_kind(asked, "beside"), *of_kind(asked, "away")]  # one place, two headings
    assert {round(one.answer.value, 6) for one in there} == {2.15}
    asked = questions(facts, "situated_distance", balance=False, length_unit="cm")
    assert {one.answer.text for one in [*of_kind(asked, "beside"), *of_kind(asked, "away")]} == {"215"}


@pytest.mark.parametrize(("angle_deg", "is_asked"), [(90.0, True), (110.0, True), (135.0, False), (128.0, False), (50.0, False)])
def test_what_lies_near_the_border_of_two_sides_is_not_asked_for(angle_deg, is_asked):
    """Angles from straight ahead to the left: 45 and 135 degrees are the borders."""
    spot = PLACE + 2.0 * np.array([-np.sin(np.radians(angle_deg)), np.cos(np.radians(angle_deg))])
    facts = scene([FROM_AFAR], CHAIR, TABLE, lamp_at(*spot))
    assert bool(of_kind(questions(facts, "situated_direction", balance=False), "beside")) == is_asked


def test_nobody_stands_in_an_object_nor_beside_what_hangs_high_up():
    blocked = scene([FROM_AFAR], CHAIR, TABLE, lamp_at(0.1, 0.65), lamp_at(-2.4, 0.65, object_id=3, category="plant"))
    asked = [one for seed in range(6) for one in ask_all(blocked, ["situated_direction"], seed=seed, options=TaskOptions()).questions]
    assert not of_kind(asked, "beside") and not of_kind(asked, "away")
    hanging = scene([FROM_AFAR], box_object(0, "chair", [0, 0, 1.9], [0.5, 0.5, 0.6]), TABLE, lamp_at(-2.4, 0.65), *plants((-2.4, -2.2)))
    asked = questions(hanging, "situated_direction", balance=False)
    assert asked and not [one for one in asked if one.object_ids[0] == 0]


def test_a_place_that_the_grid_does_not_know_as_free_is_not_described():
    facts = scene([FROM_AFAR], CHAIR, TABLE, lamp_at(-2.4, 0.65))
    closed = replace(facts, free_space=replace(facts.free_space, cells=np.zeros_like(facts.free_space.cells)))
    assert set(skips(closed, "situated_direction")) == {"no_free_floor"}


def plants(*spots):
    return [lamp_at(*spot, object_id=10 + index, category="plant") for index, spot in enumerate(spots)]


def test_all_plants_on_a_side_are_counted_and_no_others():
    facts = scene([FROM_AFAR], CHAIR, TABLE, *plants((-2.4, 0.4), (-3.0, 0.9), (2.4, 0.65)))
    asked = of_kind(questions(facts, "situated_count", seeds=range(12), balance=False), "beside")
    wanted = {"left": "2", "right": "1", "behind": "0", "front": "0"}
    assert {(one.evidence["side"], said(one)) for one in asked} <= set(wanted.items())
    assert {one.evidence["side"] for one in asked} >= {"left", "right"}
    assert all(SIDE_WORDS[one.evidence["side"]] in one.text for one in asked)


def test_with_one_plant_on_a_border_no_plants_are_counted_from_there():
    facts = scene([FROM_AFAR], CHAIR, TABLE, *plants((-2.4, 0.65), (2.0, 2.65)))
    assert not of_kind(questions(facts, "situated_count", balance=False), "beside")
    assert not of_kind(questions(facts, "situated_existence", balance=False), "beside")


def test_any_plants_are_there_where_one_is_and_nowhere_else():
    facts = scene([FROM_AFAR], CHAIR, TABLE, *plants((-2.4, 0.65)))
    asked = of_kind(questions(facts, "situated_existence", seeds=range(20)), "beside")
    assert {said(one) for one in asked} == {"yes", "no"}
    assert all((said(one) == "yes") == (one.evidence["side"] == "left") for one in asked)


def test_kinds_by_similar_names_are_not_counted():
    facts = scene([FROM_AFAR], CHAIR, TABLE, lamp_at(-2.4, 0.65), lamp_at(2.4, 0.65, object_id=3, category="floor_lamp"))
    asked = questions(facts, "situated_existence", balance=False)
    assert not [one for one in asked if " lamps" in one.text and "floor" not in one.text]


def test_plants_that_no_image_shows_are_not_asked_about():
    facts = scene([look_at(np.array([0.0, -3.0, 2.0]), np.array([0.0, 1.5, 0.3]))], CHAIR, TABLE, *plants((-4.5, 0.65)))
    assert set(skips(facts, "situated_existence")) >= {"not_all_shown"}


# all of them


@pytest.mark.parametrize("task", [*RELATIONS, *SITUATED])
def test_planted_errors_are_found(task):
    planted = found = 0
    for seed in range(3 if task in RELATIONS else 1):
        for one in ask_all(FACTS, [task], seed=seed, options=TaskOptions()).questions:
            wrong = wrong_answers(one)
            planted += len(wrong)
            found += len(check_all(wrong, FACTS))
    assert planted >= 40 and found == planted


@pytest.mark.parametrize("task", ["object_left_right", "object_up_down", "object_near_far", "situated_direction", "situated_distance"])
def test_objects_in_exchanged_roles_are_found(task):
    """Two situations that differ in who is faced may share their answer: of those many, not all, are found."""
    asked = [one for seed in range(2) for one in ask_all(FACTS, [task], seed=seed, options=TaskOptions()).questions]
    first_two = [(one.object_ids[1], one.object_ids[0], *one.object_ids[2:]) for one in asked]
    exchanged = [replace(one, object_ids=ids, marks=()) for one, ids in zip(asked, first_two)]
    found = len(check_all(exchanged, FACTS))
    assert found == len(asked) if task.startswith("object_") else found > 0.4 * len(asked)


@pytest.mark.parametrize("task", ["camera_object_distance", "object_near_far", "object_left_right"])
def test_an_image_that_is_exchanged_for_another_is_found(task):
    asked = ask_all(FACTS, [task], seed=0, options=TaskOptions()).questions
    across = {frame_id: FACTS.frames.frame_ids[(index + 8) % 16] for index, frame_id in enumerate(FACTS.frames.frame_ids)}
    exchanged = [replace(one, frame_ids=(across[one.frame_ids[0]],), marks=()) for one in asked]
    assert len(check_all(exchanged, FACTS)) > 0.8 * len(asked)


@pytest.mark.parametrize("task", ["object_left_right", "situated_direction"])
def test_a_mirror_exchanges_left_and_right_and_nothing_else(task):
    options = TaskOptions(balance=False, shuffle_options=False)
    before = ask_all(FACTS, [task], seed=0, options=options).questions
    after = ask_all(mirrored(FACTS), [task], seed=0, options=options).questions
    other = {"left": "right", "right": "left", "to your left": "to your right", "to your right": "to your left"}
    assert [(one.frame_ids, one.object_ids) for one in before] == [(one.frame_ids, one.object_ids) for one in after]
    assert [other.get(said(one), said(one)) for one in before] == [said(one) for one in after]


@pytest.mark.parametrize("task", ["camera_object_distance", "object_left_right", "object_up_down"])
def test_in_a_scene_of_another_size_metres_scale_and_words_stay(task):
    options = TaskOptions(max_per_scan=400, max_per_frame=400, balance=False)
    small, large = (
        {(one.frame_ids, one.object_ids): one for seed in range(2) for one in ask_all(facts, [task], seed=seed, options=options).questions}
        for facts in (FACTS, scaled(FACTS, 1.25))
    )
    common = small.keys() & large.keys()
    assert len(common) > 20
    for key in common:
        if task == "camera_object_distance":
            assert large[key].answer.value == pytest.approx(1.25 * small[key].answer.value)
        else:
            assert said(large[key]) == said(small[key])


def test_in_a_room_of_another_size_the_side_stays():
    """A place 1.4 times as far from everything, in a larger room of larger things, less the step from the chair, which is one's own."""
    spots = ((-2.4, 0.65), (2.4, 0.65), (0.0, -2.4))
    for x, y in spots:
        sides = set()
        for by in (1.0, 1.4):
            grown = [box_object(one.object_id, one.category, by * one.box.centre_world, by * one.box.size_m) for one in (CHAIR, TABLE)]
            facts = scene([FROM_AFAR], *grown, lamp_at(by * x, by * y))
            sides |= {said(one) for one in of_kind(questions(facts, "situated_direction", balance=False), "beside")}
        assert len(sides) == 1


def test_an_irrelevant_object_changes_no_answer():
    objects = (CHAIR, TABLE, *plants((-2.4, 0.65), (2.4, 0.65)))
    facts = scene([FROM_AFAR], *objects)
    more = scene([FROM_AFAR], *objects, lamp_at(4.0, 4.0, object_id=30, category="bin"))
    for task in SITUATED:
        answers = [
            {
                (one.object_ids, one.evidence["situation"], one.evidence.get("side")): said(one)
                for one in questions(asked, task, seeds=range(10), balance=False)
            }
            for asked in (facts, more)
        ]
        common = answers[0].keys() & answers[1].keys()
        assert len(common) >= 4
        assert {key: answers[0][key] for key in common} == {key: answers[1][key] for key in common}


@pytest.mark.parametrize("task", ["object_left_right", "object_up_down", "situated_existence", "situated_direction", "object_near_far"])
def test_answers_are_even_over_many_scans(task):
    answers = Counter()
    for seed in range(3):
        asked = ask_all(handmade_facts(seed=seed), [task], seed=seed, options=TaskOptions()).questions
        answers.update(one.answer.text for one in asked)
    assert min(answers.values()) > 0.8 * max(answers.values())


def test_no_count_is_the_answer_of_most_questions():
    answers = Counter(one.answer.text for seed in range(3) for one in questions(handmade_facts(seed=seed), "situated_count", seeds=[0]))
    assert max(answers.values()) <= 0.5 * sum(answers.values()) and len(answers) >= 3


def test_a_camera_that_looks_the_other_way_is_not_asked_about():
    facts = scene([SOUTH], box_object(0, "chair", [0, 4, 1.5], ONE_METRE), box_object(1, "table", [1.5, 6, 1.0], ONE_METRE))
    assert EYE[2] == 1.5
    for task in RELATIONS:
        assert questions(facts, task) == []


def test_images_of_a_linked_cover_overlap_one_another_and_others_need_not():
    facts = walk_facts()
    pairs = facts.pairs  # of which those near in time alone overlap
    facts = replace(facts, pairs=replace(pairs, overlap=np.where(abs(pairs.first - pairs.second) <= 2, 0.5, 0.0)))
    shown, rng = Shown(facts, min_visible_share=0.2, options=TaskOptions()), np.random.default_rng(0)
    overlaps = {frozenset(pair) for pair in zip(*(side.tolist() for side in shown.overlapping))}

    def is_linked(frames):
        reached, left = set(frames[:1]), set(frames[1:])
        while more := {one for one in left if any(frozenset((one, other)) in overlaps for other in reached)}:
            reached, left = reached | more, left - more
        return not left

    wanted = [rng.permutation(shown.object_ids)[:3].tolist() for _ in range(300)]
    linked = [frames for one in wanted if len(frames := shown.cover_of(one, most=4, rng=rng, is_linked=True)) > 1]
    assert linked and all(map(is_linked, linked))
    assert not all(is_linked(frames) for one in wanted if (frames := shown.cover_of(one, most=4, rng=rng)))


@pytest.mark.parametrize(("height_m", "reason"), [(1.5, None), (2.1, "faced_object_hangs_overhead")])
def test_nobody_faces_what_hangs_from_the_ceiling(height_m, reason):
    facts = scene([FROM_AFAR], CHAIR, box_object(1, "lamp", [0, 3, height_m], [0.3, 0.3, 0.3]))
    found = Floor(facts, STANCE_MARGINS).stance("beside", 0, 1)
    assert (found == reason) if reason else np.allclose(found.place_world, PLACE)
