"""Objects over few images and over a video: names, counts, sizes, distances and directions, both sides of every margin."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from handmade_facts import facts_of, handmade_facts, ring_of_cameras
from handmade_layout import DIRECTIONS, VIDEO, VSI, WALK, box_object, laid_out, questions, said, skips
from handmade_walk import RING, walk_facts

from sightline.answers.choice import Choice
from sightline.facts.fact import CoverageFacts
from sightline.geometry.boxes import Box
from sightline.questions.check import check_all
from sightline.questions.engine import ask_all
from sightline.questions.question import TaskOptions
from sightline.questions.relative_direction import BACK, CORNERS, LEFT, RIGHT
from sightline.questions.shown import video_ids_of, video_of
from sightline.questions.templates import is_plural, object_name

# The video


@pytest.mark.parametrize("task", VSI)
def test_every_question_of_a_video_shows_the_same_evenly_spaced_frames_and_no_dots(task):
    asked = questions(WALK, task, options=VIDEO)
    assert asked
    for one in asked:
        assert one.frame_ids == video_ids_of(WALK, VIDEO) and len(one.frame_ids) == 12
        assert one.marks == () and "dot" not in one.text and "image" not in one.text
    assert check_all(asked, WALK) == ()


def test_the_frames_of_a_video_are_spread_over_the_whole_walk():
    assert video_of(100, TaskOptions(video_frames=4)) == (0, 33, 66, 99)
    assert video_of(3, TaskOptions(video_frames=8)) == (0, 1, 2)
    assert video_of(100, TaskOptions()) == () and video_of(0, TaskOptions(video_frames=4)) == ()
    assert video_of(9, TaskOptions(video_frames=1)) == (0,)


@pytest.mark.parametrize("task", [one for one in VSI if one != "room_size"])
def test_wearing_out_frames_does_not_bound_the_questions_of_a_video(task):
    few = replace(VIDEO, max_per_frame=1)
    assert len(ask_all(WALK, [task], seed=0, options=few).questions) == len(ask_all(WALK, [task], seed=0, options=VIDEO).questions) > 1


@pytest.mark.parametrize("task", [one for one in VSI if one not in ("room_size", "object_count")])
def test_a_video_asks_of_nothing_that_its_frames_do_not_show(task):
    """Two frames that look one way show few of the ring's objects, and nothing is asked of the others."""
    short = replace(VIDEO, video_frames=1)
    shown = {int(one) for one in WALK.object_views.object_id[WALK.object_views.frame == 0]}
    asked = questions(WALK, task, options=short)
    assert {object_id for one in asked for object_id in one.object_ids} <= shown


def test_names_that_could_mean_another_object_are_not_used_without_a_dot():
    facts = walk_facts(categories=(*RING[:11], "desk"))
    asked = [one for task in ("object_size", "object_distance", *DIRECTIONS) for one in questions(facts, task, options=VIDEO)]
    assert asked and not any("the table" in one.text or "the desk" in one.text for one in asked)


def test_a_name_that_is_plural_is_still_spoken_of_in_the_singular():
    assert object_name("toy_blocks", None) == "the set of toy blocks" and object_name("chair", None) == "the chair"
    assert [is_plural(one) for one in ("stairs", "glass", "tv", "chairs", "bus", "bookshelf", "people")] == [
        True,
        False,
        False,
        True,
        False,
        False,
        True,
    ]
    heap = walk_facts(categories=(*RING[:11], "toy_blocks"))
    assert skips(heap, "object_count")["name_is_of_several"] == 1


@pytest.mark.parametrize(("task", "role"), [("relative_distance", 0), *((one, 2) for one in DIRECTIONS)])
def test_no_object_has_more_than_its_share_of_the_questions(task, role):
    options = TaskOptions(max_per_scan=40, max_per_frame=1000, extra={task: {"max_object_share": 0.1}})
    asked = ask_all(handmade_facts(), [task], seed=0, options=options).questions
    assert len(asked) > 10
    assert max(Counter(one.object_ids[role] for one in asked).values()) <= 4


# Counting and sizes


def test_only_several_are_counted_on_request():
    assert {one.answer.text for one in questions(handmade_facts(), "object_count", extra={"object_count": {"min_count": 2}})} == {"3"}
    assert {one.answer.text for one in questions(handmade_facts(), "object_count")} == {"1", "3"}


@pytest.mark.parametrize(("unit", "wanted"), [("m", "1.7"), ("cm", "170"), ("mm", "1700")])
def test_a_distance_is_said_in_the_unit_asked_for(unit, wanted):
    facts = laid_out([box_object(0, "chair", [-1.35, 0, 1], (1, 1, 1)), box_object(1, "lamp", [1.35, 0, 1], (1, 1, 1))])
    asked = questions(facts, "object_distance", length_unit=unit, mark_objects=False)
    assert {one.answer.text for one in asked} == {wanted} and check_all(asked, facts) == ()


@pytest.mark.parametrize(("gap_m", "unit", "is_asked"), [(0.19, "cm", False), (0.21, "cm", True), (0.49, "m", False), (0.51, "m", True)])
def test_a_gap_below_what_boxes_and_digits_can_tell_is_not_asked(gap_m, unit, is_asked):
    facts = laid_out([box_object(0, "chair", [0, 0, 1]), box_object(1, "lamp", [0.4 + gap_m, 0, 1])])
    assert bool(questions(facts, "object_distance", length_unit=unit, mark_objects=False)) == is_asked


@pytest.mark.parametrize(("size", "wanted"), [((0.5, 1.2, 0.8), "120"), ((1.3, 0.5, 0.8), "130"), ((0.4, 0.5, 1.9), "190")])
def test_the_size_is_the_longest_of_the_three_sides_whichever_it_is(size, wanted):
    facts = facts_of(ring_of_cameras(6), (box_object(0, "cabinet", [0, 0, 1], size, 25.0),))
    assert {one.answer.text for one in questions(facts, "object_size")} == {wanted}


def coverage_of(rows):
    columns = np.array(rows, dtype=float).T
    names = ("object_id", "axis", "first", "second")
    return CoverageFacts(
        **{name: column.astype(np.int32) for name, column in zip(names, columns)}, span_m=columns[4] * 0.95, extent_m=columns[4]
    )


@pytest.mark.parametrize(
    ("rows", "few", "video"),
    [
        ([(0, 2, 1, -1, 1.2)], [("000001",)], True),  # frame 1 alone spans the length
        ([(0, 2, 0, 3, 1.2)], [], True),  # only both ends of the walk together do: a video shows them
        ([(0, 2, 0, 2, 1.2)], [], False),  # frame 2 is not in a video of two frames
        ([(0, 0, 1, -1, 0.9)], [], False),  # its height is spanned, and its length is the longest side
    ],
)
def test_a_size_is_asked_only_of_frames_that_span_the_longest_side(rows, few, video):
    facts = laid_out([box_object(0, "cabinet", [0, 0, 1], (0.5, 1.2, 0.9))], frames=4)
    facts = replace(facts, coverage=coverage_of(rows))
    assert sorted({one.frame_ids for one in questions(facts, "object_size")}) == few
    of_video = questions(facts, "object_size", video_frames=2, extra={"object_size": {"min_extent_share": 0.5}})
    assert bool(of_video) == (video and rows[0][2] != 1)  # frames 0 and 3 are the video: frame 1 is not in it


def test_an_object_whose_points_reach_far_less_than_its_box_is_not_asked_for_its_size():
    facts = laid_out([box_object(0, "cabinet", [0, 0, 1], (0.5, 1.2, 0.9))])
    for extent_m, is_asked in ((0.95, False), (0.97, True)):  # 80 % of 1.2 m is 0.96 m
        sets = coverage_of([(0, 2, 1, -1, extent_m)])
        assert bool(questions(replace(facts, coverage=sets), "object_size")) == is_asked


# Directions


def direction_facts(target, *, size=(0.2, 0.2, 0.4), faced=(0.3, 0.3, 0.4), yaw_deg=0.0):
    """Stand at the origin and face north."""
    objects = [
        box_object(0, "chair", [0, 0, 1]),
        box_object(1, "table", [0, 2.5, 1], faced),
        box_object(2, "lamp", [*target, 1], size, yaw_deg),
    ]
    return laid_out(objects)


def direction(task, facts, **margins):
    options = {"balance": False, "mark_objects": False, "extra": {task: margins}}
    found = {said(one) for one in questions(facts, task, **options) if one.object_ids == (0, 1, 2)}
    assert len(found) <= 1
    return found.pop() if found else None


def at(bearing_deg, radius_m=2.0):
    return [-radius_m * np.sin(np.radians(bearing_deg)), radius_m * np.cos(np.radians(bearing_deg))]


@pytest.mark.parametrize(
    ("bearing_deg", "easy", "medium", "hard"),
    [
        (45, "left", "left", "front-left"),
        (100, "left", "left", None),  # 10 degrees from straight left
        (110, "left", "left", "back-left"),
        (130, None, None, "back-left"),  # 5 degrees from what is behind
        (-45, "right", "right", "front-right"),
        (-112, "right", "right", "back-right"),
        (180, None, "back", None),
        (155, None, "back", "back-left"),
        (-155, None, "back", "back-right"),
        (10, None, None, None),
        (-10, None, None, None),
    ],
)
def test_directions_are_as_drawn_on_paper(bearing_deg, easy, medium, hard):
    facts = direction_facts(at(bearing_deg))
    assert [direction(task, facts) for task in DIRECTIONS] == [easy, medium, hard]


@pytest.mark.parametrize("task", DIRECTIONS)
def test_the_dead_zone_begins_where_the_margin_says(task):
    for bearing_deg, is_asked in ((24.5, False), (25.5, True)):
        assert (direction(task, direction_facts(at(bearing_deg)), min_border_deg=25.0) is not None) == is_asked


@pytest.mark.parametrize("task", DIRECTIONS)
def test_an_object_that_reaches_over_the_border_is_not_asked_however_clear_its_middle(task):
    """At 30 degrees and 2 m, a board 2.4 m wide reaches across straight ahead; turned edge-on it does not."""
    board = (2.4, 0.1, 0.4)
    assert direction(task, direction_facts(at(30), size=board)) is None
    assert direction(task, direction_facts(at(30), size=board, yaw_deg=120.0)) is not None
    assert direction(task, direction_facts(at(30), size=board), max_corners_beyond=4, min_gap_m=0.0) is not None


@pytest.mark.parametrize("task", DIRECTIONS)
def test_facing_something_very_wide_or_standing_too_near_or_far_is_no_question(task):
    assert direction(task, direction_facts(at(45), faced=(3.0, 0.3, 0.4))) == direction(task, direction_facts(at(45)))
    assert direction(task, direction_facts(at(60), faced=(4.4, 0.3, 0.4)), min_gap_m=0.0) is None
    assert direction(task, direction_facts(at(45, 0.6))) is None
    assert direction(task, direction_facts(at(45, 8.0))) is None


@pytest.mark.parametrize("task", DIRECTIONS)
def test_nobody_stands_at_what_hangs_above_them(task):
    """A lamp whose bottom is 1.3 m above the table's: it may be asked for and faced, not stood at."""
    objects = [box_object(0, "lamp", [0, 0, 2.1], (0.4, 0.4, 0.4)), box_object(1, "table", [0, 2.5, 0.8], (0.4, 0.4, 0.4))]
    facts = laid_out([*objects, box_object(2, "chair", [*at(45), 0.8], (0.4, 0.4, 0.4))])
    asked = questions(facts, task, balance=False, mark_objects=False)
    assert asked and not [one for one in asked if one.object_ids[0] == 0]
    assert direction(task, facts, max_stand_bottom_m=1.4) is not None


def test_the_sectors_of_each_level_cover_every_bearing_at_most_once():
    for sectors, covered_deg in (((LEFT, RIGHT), 270.0), ((LEFT, RIGHT, BACK), 360.0), (CORNERS, 360.0)):
        assert sum(one.high_deg - one.low_deg for one in sectors) == covered_deg
        for bearing in np.arange(-179.5, 180.0, 1.0):
            assert sum(one.inside_deg(bearing) > 0.0 for one in sectors) <= 1
    assert LEFT.inside_deg(-170.0) < 0.0 and BACK.inside_deg(-170.0) == pytest.approx(35.0)
    assert RIGHT.inside_deg(-1.0) == pytest.approx(1.0) and RIGHT.inside_deg(1.0) == pytest.approx(-1.0)


def changed(facts, *, scale=1.0, mirror=1.0):
    """The same objects scaled, or mirrored in the plane x = 0; the views stay."""
    objects = []
    for one in facts.objects:
        centre = one.box.centre_world * scale * np.array([mirror, 1.0, 1.0])
        box = Box.upright(centre_world=centre, size_m=one.box.size_m * scale, yaw_rad=mirror * one.box.yaw_rad)
        objects.append(replace(one, box=box))
    return replace(
        facts_of(facts.frames.world_from_camera, tuple(objects)), object_views=facts.object_views, object_glimpses=facts.object_glimpses
    )


@pytest.mark.parametrize("task", DIRECTIONS)
def test_a_mirror_image_exchanges_left_and_right(task):
    facts = handmade_facts()
    swapped = {"left": "right", "right": "left", "back": "back"}
    options = TaskOptions(balance=False, max_per_frame=1000, max_per_scan=30)
    found = [
        {one.object_ids: said(one) for one in ask_all(scene, [task], seed=0, options=options).questions}
        for scene in (facts, changed(facts, mirror=-1.0))
    ]
    both = found[0].keys() & found[1].keys()
    assert len(both) >= 8
    for object_ids in both:
        assert "-".join(swapped.get(part, part) for part in found[0][object_ids].split("-")) == found[1][object_ids]


def test_twice_the_size_doubles_lengths_and_leaves_words():
    facts, options = handmade_facts(), TaskOptions(balance=False, max_per_frame=1000, max_per_scan=60, mark_objects=False)
    large = changed(facts, scale=2.0)
    for task in ("object_distance", "object_size"):
        small, big = ({one.object_ids: one.answer.value for one in questions(scene, task, options=options)} for scene in (facts, large))
        small = {tuple(sorted(ids)): value for ids, value in small.items()}
        big = {tuple(sorted(ids)): value for ids, value in big.items()}
        assert len(small.keys() & big.keys()) >= 5
        assert all(big[ids] == pytest.approx(2.0 * small[ids]) for ids in small.keys() & big.keys())
    for task in ("relative_distance", "relative_direction_hard"):
        small, big = ({one.object_ids: one for one in questions(scene, task, options=options)} for scene in (facts, large))
        for ids in small.keys() & big.keys():
            assert said(small[ids]) == said(big[ids])


@pytest.mark.parametrize("task", [one for one in VSI if one != "room_size"])
def test_one_more_object_that_nobody_sees_changes_no_answer(task):
    facts = WALK
    more = facts_of(facts.frames.world_from_camera, (*facts.objects, box_object(99, "statue", [9, 9, 1])))
    more = replace(
        more, object_views=facts.object_views, object_glimpses=facts.object_glimpses, coverage=facts.coverage, points=facts.points
    )
    before, after = (
        {(one.object_ids, one.frame_ids): one for one in questions(scene, task, options=VIDEO, seeds=range(3))} for scene in (facts, more)
    )
    both = before.keys() & after.keys()
    assert both
    for key in both:
        answers = [said(one) if isinstance(one.answer.format, Choice) else one.answer.text for one in (before[key], after[key])]
        assert answers[0] == answers[1]
