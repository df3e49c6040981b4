"""Routes in closed form: names of turns, reach along a ray, walks on the grid, and planted errors that the second walk catches."""

from dataclasses import replace

import numpy as np
import pytest
from handmade_facts import handmade_facts

from sightline.answers.answer import Answer
from sightline.captures.capture import SceneObject
from sightline.facts.fact import FreeSpaceFacts
from sightline.geometry.boxes import Box
from sightline.questions.check import check_all
from sightline.questions.engine import ask_all
from sightline.questions.question import TaskOptions
from sightline.questions.route_choice import Route, evened_out, plausible, some_of_each
from sightline.questions.route_plan import TEMPLATES
from sightline.questions.routes import Floor, Landmark, border_deg, first_within, sequences_that_arrive, turn_deg, turn_word

FACTS = handmade_facts()
EAST, NORTH = np.array([1.0, 0.0]), np.array([0.0, 1.0])


def landmark(x, y, *, size_m=(0.4, 0.4), yaw_deg=0.0, object_id=0):
    box = Box.upright(centre_world=np.array([x, y, 0.3]), size_m=np.array([*size_m, 0.6]), yaw_rad=float(np.radians(yaw_deg)))
    return Landmark.of(SceneObject(object_id=object_id, category="box", box=box))


def floor(free, *, radius_m=0.2):
    cells = np.where(free, 1, 2).astype(np.uint8)
    rows = np.arange(len(cells))
    origin_world = np.stack([np.zeros(len(rows)), rows * 0.05, np.zeros(len(rows))], axis=1)
    return Floor(FreeSpaceFacts(cells=cells, origin_world=origin_world, cell_m=np.full(len(rows), 0.05)), radius_m=radius_m)


def questions(seed=0):
    return ask_all(FACTS, ["route_plan"], seed=seed, options=TaskOptions()).questions


@pytest.mark.parametrize(
    ("angle_deg", "name"),
    [
        (0, ""),
        (14, ""),
        (16, None),
        (44, None),
        (46, "turn left"),
        (-90, "turn right"),
        (104, "turn left"),
        (106, None),
        (136, "turn back"),
    ],
)
def test_turns_are_named_by_their_angle_and_not_named_near_a_border(angle_deg, name):
    assert turn_word(angle_deg, margin_deg=15.0) == name
    assert turn_word(180.0, margin_deg=15.0) == turn_word(-180.0, margin_deg=15.0) == "turn back"
    assert border_deg(-75.0) == 45.0


def test_a_quarter_to_the_left_is_plus_ninety():
    assert turn_deg(EAST, NORTH) == pytest.approx(90.0) and turn_deg(NORTH, EAST) == pytest.approx(-90.0)


def test_a_ray_reaches_a_box_where_its_rim_is_a_reach_away():
    starts = np.zeros((3, 2))
    headings = np.array([EAST, NORTH, -EAST])
    assert np.allclose(first_within(starts, headings, landmark(2.0, 0.0), reach_m=0.4), [2.0 - 0.2 - 0.4, np.inf, np.inf])
    corner = landmark(2.0, 0.2 + 0.3)  # passes its corner at 0.3: Pythagoras
    assert np.allclose(first_within(starts[:1], headings[:1], corner, reach_m=0.5), 1.8 - 0.4)
    turned = landmark(2.0, 0.0, yaw_deg=45.0)
    assert np.allclose(first_within(starts[:1], headings[:1], turned, reach_m=0.4), 2.0 - 0.2 * np.sqrt(2.0) - 0.4)
    assert first_within(np.array([[2.3, 0.0]]), headings[:1], landmark(2.0, 0.0), reach_m=0.4)[0] == 0.0


def test_a_leg_is_free_only_where_the_robot_fits_through():
    free = np.ones((80, 80), dtype=bool)
    free[:, 40] = False
    free[36:44, 40] = True  # a gap of 40 cm
    start, ends = np.array([0.5, 2.0]), np.array([[3.5, 2.0], [3.5, 3.0]])
    assert floor(free, radius_m=0.15).can_walk(start, ends).tolist() == [True, False]
    assert floor(free, radius_m=0.25).can_walk(start, ends).tolist() == [False, False]


def test_the_shortest_way_goes_round_a_wall():
    free = np.ones((80, 80), dtype=bool)
    free[:60, 40] = False  # a wall from y 0 to 3
    here, goal = np.array([1.0, 0.5]), landmark(3.0, 0.5)
    way_m = floor(free).at(floor(free).ways_m(goal, reach_m=0.4), here)
    straight_m = 2 * np.hypot(1.0, 2.7) - 0.6
    assert straight_m < way_m < 1.083 * straight_m + 0.2
    free[:, 40] = False
    assert np.isinf(floor(free).at(floor(free).ways_m(goal, reach_m=0.4), here))


def test_only_the_turns_that_lead_there_arrive_and_a_wide_goal_is_reached_by_several():
    def arriving(goal):
        return sequences_that_arrive(np.zeros(2), EAST, [landmark(0.0, 3.0), goal], has_turn=[True, True], reach_m=0.4)

    assert arriving(landmark(4.0, 3.0)) == {("turn left", "turn right")}
    assert ("turn left", "turn left") in arriving(landmark(0.0, 6.0, size_m=(12.0, 0.4)))


def test_the_written_turn_is_the_one_that_is_walked_and_every_leg_is_long_enough():
    for seed in range(3):
        for one in questions(seed):
            turns = [name for name in one.evidence if name.startswith("turn_")]
            words = [turn_word(one.evidence[name], margin_deg=15.0) for name in turns]
            assert ", ".join(word for word in words if word) == one.evidence["turns"]
            assert min(value for name, value in one.evidence.items() if name.startswith("leg_")) >= 0.8
            assert one.evidence["clearance_m"] >= 0.2 - 1e-4 and one.evidence["route_m"] <= 1.5 * one.evidence["shortest_m"] + 1e-3


def test_there_are_as_many_gaps_as_turns_and_all_steps_are_numbered():
    for one in questions():
        head = one.text.partition(" A. ")[0]
        assert head.count("(fill in)") == len(one.evidence["turns"].split(", ")) <= 3
        steps = head.count("(fill in)") + len([name for name in one.evidence if name.startswith("leg_")])
        assert f" {steps}. " in head and f" {steps + 1}. " not in head
    assert len({template for template, _ in TEMPLATES}) == len({step for _, step in TEMPLATES}) == 8


def test_nobody_turns_back_on_the_way_in_the_options():
    assert len(plausible(1)) == 3 and len(plausible(2)) == 6 and len(plausible(3)) == 12


def route(turns, *, goal=2):
    place, marks = np.zeros((len(turns) + 1, 2)), [landmark(0.0, 0.0, object_id=one) for one in (0, 1, goal)]
    return Route(
        start=marks[0], faced=marks[1], landmarks=(marks[2],) * len(turns), places_xy=place, turns=turns, turns_deg=(), border_deg=20.0
    )


def test_turns_that_are_rarely_right_are_no_option_and_the_others_are_right_about_equally_often():
    left, right, back = (route((f"turn {word}",)) for word in ("left", "right", "back"))
    count = {said: sum(one.said == said for one in evened_out([left] * 20 + [right] * 30 + [back] * 4)) for said in plausible(1)}
    assert count == {("turn left",): 6, ("turn right",): 6, ("turn back",): 4}
    assert evened_out([left] * 20 + [right] * 30) == []
    two = [route(said) for said, many in zip(plausible(2), (12, 10, 8, 8, 1, 1)) for _ in range(many)]
    assert sorted({one.said for one in evened_out(two)}) == sorted(plausible(2)[:4]) and len(evened_out(two)) == 38


def test_few_routes_lead_from_one_object_to_the_same_goal_by_the_same_turns():
    alike, others = [route(("turn left",))] * 5, [route(("turn left",), goal=goal) for goal in range(3, 9)]
    assert len(some_of_each([*alike, *others], most=20, most_alike=2)) == 8
    assert len(some_of_each([*alike, *others], most=4, most_alike=2)) == 4


def test_every_option_of_the_questions_of_a_scan_is_right_in_some_of_them():
    for turn_count in (1, 2, 3):
        asked = [one for one in questions() if len(one.evidence["turns"].split(", ")) == turn_count]
        offered = {option for one in asked for option in one.answer.format.options}
        assert {one.evidence["turns"] for one in asked} == offered


def test_a_wrong_letter_a_swapped_start_and_another_goal_are_caught():
    for one in questions():
        wrong = next(letter for letter in one.answer.format.letters if letter != one.answer.value)
        assert check_all([replace(one, answer=Answer(format=one.answer.format, value=wrong))], FACTS)
        start, faced, *rest = one.object_ids
        assert check_all([replace(one, object_ids=(faced, start, *rest))], FACTS)
        assert check_all([replace(one, text=one.text.replace("(fill in)", "wait", 1))], FACTS)
        assert check_all([replace(one, text=one.text.replace("turn left", "turn x").replace("turn right", "turn left"))], FACTS)


def test_a_video_shows_its_own_frames():
    asked = ask_all(FACTS, ["route_plan"], seed=0, options=TaskOptions(video_frames=5)).questions
    assert len(asked) >= 5 and {len(one.frame_ids) for one in asked} == {5}
