"""Answers that pencil and paper give: cameras moved by known steps, boxes with known gaps, points at known depths."""

import numpy as np
import pytest
from handmade_facts import CAMERA, facts_of, handmade_facts, point_facts

from sightline.captures.capture import SceneObject
from sightline.facts.fact import PointFacts
from sightline.geometry.boxes import Box
from sightline.geometry.transforms import apply, look_at, rigid
from sightline.questions.engine import ask_all
from sightline.questions.question import TaskOptions
from sightline.questions.templates import sounds_alike

LOOKING_NORTH = look_at(np.array([0.0, 0.0, 1.5]), np.array([0.0, 5.0, 1.5]))  # camera right is world +x, forward is world +y


def stepped(pose: np.ndarray, step_m: list[float]) -> np.ndarray:
    """The camera after a step in its own axes (right, down, forward), not turned."""
    return pose @ rigid(np.eye(3), np.array(step_m, dtype=float))


def questions(facts, task, *, seeds=range(6), **options):
    return [one for seed in seeds for one in ask_all(facts, [task], seed=seed, options=TaskOptions(**options)).questions]


def box_object(object_id, category, centre, size, yaw_deg=0.0):
    box = Box.upright(centre_world=np.array(centre, dtype=float), size_m=np.array(size, dtype=float), yaw_rad=np.radians(yaw_deg))
    return SceneObject(object_id=object_id, category=category, box=box)


@pytest.mark.parametrize(
    ("step_m", "there", "back"),
    [
        ([1.0, 0.2, 0.3], "right", "left"),
        ([-1.0, 0.2, 0.3], "left", "right"),
        ([0.1, 0.6, 0.2], "down", "up"),
        ([0.1, -0.6, 0.2], "up", "down"),
        ([0.1, 0.1, 0.5], "forward", "backward"),
        ([0.1, 0.1, -0.5], "backward", "forward"),
    ],
)
def test_a_step_is_named_by_its_main_direction_and_swapping_the_images_inverts_it(step_m, there, back):
    facts = facts_of(np.array([LOOKING_NORTH, stepped(LOOKING_NORTH, step_m)]), None)
    found = {(one.frame_ids, one.answer.format.option_of(one.answer.value)) for one in questions(facts, "camera_direction", balance=False)}
    assert found == {(("000000", "000001"), there), (("000001", "000000"), back)}


def test_the_direction_is_in_the_first_cameras_axes_not_the_worlds():
    """Two steps to the west: `left` for the camera that looks north, `backward` for the one that was turned to the east."""
    looking_east = look_at(np.array([-2.0, 0.0, 1.5]), np.array([5.0, 0.0, 1.5]))
    facts = facts_of(np.array([LOOKING_NORTH, looking_east]), None)
    found = {one.frame_ids[0]: one.answer.format.option_of(one.answer.value) for one in questions(facts, "camera_direction", balance=False)}
    assert found == {"000000": "left", "000001": "forward"}


@pytest.mark.parametrize("step_m", [[0.1, 0.05, 0.0], [0.5, 0.0, 0.4], [0.5, 0.4, 0.0]])
def test_a_step_that_is_short_or_between_two_axes_is_not_asked_about(step_m):
    facts = facts_of(np.array([LOOKING_NORTH, stepped(LOOKING_NORTH, step_m)]), None)
    result = ask_all(facts, ["camera_direction"], seed=0, options=TaskOptions(balance=False))
    assert result.questions == ()
    assert set(result.skip_counts["camera_direction"]) <= {"moved_too_little", "no_main_direction"}


@pytest.mark.parametrize("overlap", [0.05, 0.95, np.nan])
def test_frames_that_share_too_little_or_too_much_are_skipped_and_counted(overlap):
    facts = facts_of(np.array([LOOKING_NORTH, stepped(LOOKING_NORTH, [1, 0, 0])]), None, overlap=overlap)
    for task in ("camera_direction", "camera_distance"):
        result = ask_all(facts, [task], seed=0, options=TaskOptions())
        assert result.questions == () and result.skip_counts[task] == {
            "overlap_not_known" if np.isnan(overlap) else "overlap_outside_band": 1
        }


def test_the_camera_distance_is_the_length_of_the_step():
    facts = facts_of(np.array([LOOKING_NORTH, stepped(LOOKING_NORTH, [0.3, -0.4, 1.2])]), None)
    assert {one.answer.text for one in questions(facts, "camera_distance")} == {"1.3"}
    finer = questions(facts, "camera_distance", length_unit="mm")
    assert {one.answer.text for one in finer} == {"1300"}


def test_a_camera_that_hardly_moved_is_skipped():
    facts = facts_of(np.array([LOOKING_NORTH, stepped(LOOKING_NORTH, [0.3, 0.0, 0.0])]), None)
    result = ask_all(facts, ["camera_distance"], seed=0, options=TaskOptions())
    assert result.questions == () and result.skip_counts == {"camera_distance": {"moved_too_little": 1}}


def points_at(uv, depth_m):
    uv, depth_m = np.array(uv, dtype=float), np.array(depth_m, dtype=float)
    return PointFacts(
        frame=np.zeros(len(uv), dtype=np.int32),
        uv=uv,
        depth_m=depth_m,
        point_world=apply(LOOKING_NORTH, CAMERA.unproject(uv, depth_m)),
        object_id=np.full(len(uv), -1, dtype=np.int32),
    )


def test_the_depth_of_a_dot_is_its_points_depth():
    facts = facts_of(LOOKING_NORTH[None], None, points=points_at([[100, 60], [200, 120]], [1.234, 3.46]))
    found = {(one.marks[0].u_px, one.answer.text) for one in questions(facts, "depth_estimation")}
    assert found == {(100.0, "1.2"), (200.0, "3.5")}


def test_the_closer_dot_is_the_one_with_less_depth_and_the_farther_one_the_other():
    facts = facts_of(LOOKING_NORTH[None], None, points=points_at([[100, 60], [200, 120]], [1.0, 3.0]))
    asked = questions(facts, "depth_comparison", seeds=range(30))
    assert {("closer" in one.text or "nearer" in one.text or "smaller" in one.text) for one in asked} == {True, False}
    for one in asked:
        colour_at = {mark.u_px: mark.colour for mark in one.marks}
        asks_closer = any(said in one.text for said in ("closer", "nearer", "smaller"))
        assert one.answer.format.option_of(one.answer.value) == colour_at[100.0 if asks_closer else 200.0]


@pytest.mark.parametrize(
    ("uv", "depth_m", "reason"),
    [
        ([[100, 60], [200, 120]], [1.0, 1.2], "too_close_to_tell"),
        ([[100, 60], [200, 120]], [5.0, 5.5], "too_close_to_tell"),
        ([[100, 60], [110, 65]], [1.0, 3.0], "dots_too_close_in_image"),
        ([[3, 60], [200, 120]], [1.0, 3.0], "dot_at_image_border"),
    ],
)
def test_dots_that_are_no_fair_comparison_are_skipped_with_the_reason(uv, depth_m, reason):
    facts = facts_of(LOOKING_NORTH[None], None, points=points_at(uv, depth_m))
    result = ask_all(facts, ["depth_comparison"], seed=0, options=TaskOptions())
    assert result.questions == () and result.skip_counts == {"depth_comparison": {reason: 1}}


def test_the_distance_of_two_boxes_is_the_gap_between_their_faces():
    """Two boxes 1 m wide whose centres are 2.7 m apart: 1.7 m."""
    objects = (box_object(0, "chair", [-1.35, 5.0, 1.5], [1, 1, 1]), box_object(1, "table", [1.35, 5.0, 1.5], [1, 1, 1]))
    facts = facts_of(LOOKING_NORTH[None], objects)
    assert {one.answer.text for one in questions(facts, "object_distance")} == {"1.7"}


def test_a_box_turned_by_45_degrees_reaches_out_with_its_corner():
    objects = (box_object(0, "chair", [-1.35, 5.0, 1.5], [1, 1, 1], 45.0), box_object(1, "table", [1.35, 5.0, 1.5], [1, 1, 1]))
    facts = facts_of(LOOKING_NORTH[None], objects)
    wanted_m = 2.7 - 0.5 - np.sqrt(0.5)
    assert [one.answer.value for one in questions(facts, "object_distance", seeds=[0])] == [pytest.approx(wanted_m, abs=1e-6)]


def test_objects_that_no_overlapping_frames_show_together_are_skipped():
    objects = (box_object(0, "chair", [0, 5, 1.5], [0.6, 0.6, 0.6]), box_object(1, "table", [0, -5, 1.5], [0.6, 0.6, 0.6]))
    looking_south = look_at(np.array([0.0, 0.0, 1.5]), np.array([0.0, -5.0, 1.5]))
    poses = np.array([LOOKING_NORTH, looking_south])
    apart = ask_all(facts_of(poses, objects, overlap=0.0), ["object_distance"], seed=0, options=TaskOptions())
    assert apart.questions == () and apart.skip_counts == {"object_distance": {"not_shown_together": 1}}
    together = ask_all(facts_of(poses, objects, overlap=0.5), ["object_distance"], seed=0, options=TaskOptions())
    assert [one.frame_ids for one in together.questions] == [("000000", "000001")]
    looking_west = look_at(np.array([0.0, 0.0, 1.5]), np.array([-5.0, 0.0, 1.5]))
    shown = questions(facts_of(np.array([*poses, looking_west]), objects), "object_distance", seeds=range(20))
    assert {one.frame_ids for one in shown} == {("000000", "000001")}, "the frame that shows nothing of them is of no use"


@pytest.mark.parametrize("yaw_deg", [0.0, 30.0, 90.0])
def test_the_longest_side_does_not_change_with_the_yaw(yaw_deg):
    facts = facts_of(LOOKING_NORTH[None], (box_object(0, "sofa", [0, 5, 1.5], [1.8, 0.6, 0.9], yaw_deg),))
    assert {one.answer.text for one in questions(facts, "object_size")} == {"180"}


def test_an_object_cut_by_the_image_edge_is_not_asked_for_its_size():
    facts = facts_of(LOOKING_NORTH[None], (box_object(0, "sofa", [0, 1.3, 1.5], [1.8, 0.6, 0.9]),))
    result = ask_all(facts, ["object_size"], seed=0, options=TaskOptions())
    assert result.questions == () and result.skip_counts == {"object_size": {"not_wholly_shown": 1}}


@pytest.mark.parametrize(
    ("target", "wanted"),
    [([1.5, 6.5], "front-right"), ([-1.5, 6.5], "front-left"), ([1.5, 3.5], "back-right"), ([-1.5, 3.5], "back-left"), ([0.1, 8.5], None)],
)
def test_the_corner_is_as_drawn_on_paper(target, wanted):
    """Stand at (0, 5), face north to (0, 7)."""
    objects = (
        box_object(0, "chair", [0, 5, 1.5], [0.5, 0.5, 0.5]),
        box_object(1, "table", [0, 7, 2.8], [0.5, 0.5, 0.5]),
        box_object(2, "lamp", [*target, 1.2], [0.4, 0.4, 0.4]),
    )
    facts = facts_of(LOOKING_NORTH[None], objects)
    options = TaskOptions(balance=False, extra={"relative_direction_hard": {"min_visible_share": 0.0}})
    found = {
        one.answer.format.option_of(one.answer.value)
        for seed in range(8)
        for one in ask_all(facts, ["relative_direction_hard"], seed=seed, options=options).questions
        if one.object_ids == (0, 1, 2)
    }
    assert found == ({wanted} if wanted else set())


def test_the_count_is_asked_only_where_every_one_is_shown():
    chairs = tuple(box_object(index, "chair", [x, 5.0, 1.5], [0.5, 0.5, 0.5]) for index, x in enumerate((-1.5, 0.0, 1.5)))
    seen = facts_of(LOOKING_NORTH[None], chairs)
    assert {one.answer.text for one in questions(seen, "object_count")} == {"3"}
    behind = box_object(3, "chair", [0.0, -5.0, 1.5], [0.5, 0.5, 0.5])
    result = ask_all(facts_of(LOOKING_NORTH[None], (*chairs, behind)), ["object_count"], seed=0, options=TaskOptions())
    assert result.questions == () and result.skip_counts == {"object_count": {"not_all_shown": 1}}


def test_a_count_that_hangs_on_the_word_is_not_asked():
    """An armchair beside the chairs: are there three chairs or four?"""
    chairs = [box_object(index, "chair", [x, 5.0, 1.5], [0.5, 0.5, 0.5]) for index, x in enumerate((-1.5, 0.0))]
    beside = box_object(2, "armchair", [1.5, 5.0, 1.5], [0.5, 0.5, 0.5])
    result = ask_all(facts_of(LOOKING_NORTH[None], (*chairs, beside)), ["object_count"], seed=0, options=TaskOptions())
    assert {one.evidence["category"] for one in result.questions} == {"armchair"}
    assert result.skip_counts == {"object_count": {"another_category_sounds_alike": 1}}
    assert sounds_alike("shelf", ["bookshelf"]) and sounds_alike("desk", ["table"]) and not sounds_alike("bookshelf", ["bookshelf", "sofa"])
    assert sounds_alike("book", ["bookshelf"]) and sounds_alike("cushion", ["sofa"])  # books stand in it, cushions make it


def test_without_dots_only_objects_of_a_unique_category_are_named():
    facts = handmade_facts()
    marked = ask_all(facts, ["object_size", "object_distance", "relative_direction_hard"], seed=0, options=TaskOptions())
    bare = ask_all(facts, ["object_size", "object_distance", "relative_direction_hard"], seed=0, options=TaskOptions(mark_objects=False))
    assert any("chair" in one.text for one in marked.questions) and all("dot)" in one.text for one in marked.questions)
    assert bare.questions and not any("chair" in one.text or "dot" in one.text or one.marks for one in bare.questions)
    assert bare.skip_counts["object_size"]["category_not_unique"] > 0


def test_asking_for_a_bigger_gap_only_keeps_questions_that_have_it():
    facts = facts_of(LOOKING_NORTH[None], None, points=point_facts(LOOKING_NORTH[None], per_frame=40))
    for least_m in (0.25, 1.0, 2.0):
        asked = questions(facts, "depth_comparison", extra={"depth_comparison": {"min_gap_m": least_m}})
        assert asked and min(one.evidence["gap_m"] for one in asked) >= least_m
