"""Movement of tracked points: known displacements seen by known cameras, both sides of every margin, balance and planted errors."""

import re
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from handmade_facts import CAMERA, facts_of, handmade_facts

from sightline.answers.answer import Answer
from sightline.facts.fact import TrackFacts, TrackWindowFacts
from sightline.geometry.transforms import apply, inverse, look_at
from sightline.questions.check import check_all
from sightline.questions.engine import ask_all
from sightline.questions.point_movement import DISTANCES, KEPT_DISTANCES, KEPT_VECTORS, VECTORS
from sightline.questions.question import TaskOptions

TASKS = ("point_movement_distance", "point_movement_distance_coordinate", "point_movement_vector", "point_movement_vector_coordinate")
VECTOR = "point_movement_vector"
LOOKING_NORTH = look_at(np.array([0.0, 0.0, 1.5]), np.array([0.0, 5.0, 1.5]))  # camera right is world +x, forward is world +y
FORWARD = {"reversed_share": 0.0}
AHEAD = np.array([0.2, 3.0, 1.4])


def followed(poses, places_world, body=None):
    """Facts of points `(N, T, 3)` followed through T frames, every two frames that see a point being a window."""
    poses, world = np.asarray(poses, dtype=float), np.asarray(places_world, dtype=float)
    count, times = world.shape[:2]
    body = np.ones(count, dtype=np.int32) if body is None else np.asarray(body, dtype=np.int32)
    in_camera = np.stack([apply(inverse(pose), world[:, time]) for time, pose in enumerate(poses)], axis=1)
    uv, depth_m = CAMERA.project(in_camera.reshape(-1, 3))
    visible = ((depth_m > 0.1) & CAMERA.contains(uv)).reshape(count, times)
    point, frame = np.divmod(np.arange(count * times, dtype=np.int32), times)
    tracks = TrackFacts(
        point=point,
        frame=frame,
        visible=visible.ravel(),
        point_camera=in_camera.reshape(-1, 3),
        point_world=world.reshape(-1, 3),
        body=body[point],
        at_edge=np.zeros(len(point), dtype=bool),
    )
    one, start, end = (part.ravel() for part in np.meshgrid(np.arange(count), np.arange(times), np.arange(times), indexing="ij"))
    kept = (start < end) & visible[one, start] & visible[one, end]
    one, start, end = one[kept], start[kept], end[kept]
    windows = TrackWindowFacts(
        point=one.astype(np.int32),
        start=start.astype(np.int32),
        end=end.astype(np.int32),
        displacement_m=np.einsum("nji,nj->ni", poses[start, :3, :3], world[one, end] - world[one, start]),
        apparent_m=in_camera[one, end] - in_camera[one, start],
        body=body[one],
    )
    return replace(facts_of(poses, None, per_frame=1), tracks=tracks, track_windows=windows)


def moved_by(step_m, *, poses=(LOOKING_NORTH, LOOKING_NORTH), start=AHEAD):
    """One point that goes from a place by a step between two frames."""
    return followed(poses, [[np.array(start), np.array(start) + step_m]])


def asked(facts, task, *, seed=0, margins=FORWARD, **options):
    return ask_all(facts, [task], seed=seed, options=TaskOptions(extra={task: dict(margins)}, **options))


def said(facts, **options):
    """The one answer of each task."""
    found = {}
    for task in TASKS:
        (one,) = asked(facts, task, **options).questions
        assert check_all([one], facts) == ()
        found[task] = one.answer.text
    assert found[TASKS[0]] == found[TASKS[1]] and found[TASKS[2]] == found[TASKS[3]]
    return found[TASKS[0]], found[TASKS[2]]


def only_reason(facts, task=VECTOR, **options):
    result = asked(facts, task, **options)
    assert result.questions == () and len(result.skip_counts[task]) == 1
    return next(iter(result.skip_counts[task]))


@pytest.mark.parametrize(
    ("step_m", "distance", "vector"),
    [
        ([0.3, 0.0, 0.0], "30", "[30, 0, 0]"),
        ([-0.3, 0.0, 0.0], "30", "[-30, 0, 0]"),
        ([0.0, 0.0, 0.4], "40", "[0, -40, 0]"),
        ([0.0, 0.0, -0.4], "40", "[0, 40, 0]"),
        ([0.0, 0.5, 0.0], "50", "[0, 0, 50]"),
        ([0.3, -0.4, -0.1], "51", "[30, 10, -40]"),
    ],
)
def test_a_movement_is_told_right_down_and_forward_of_the_first_camera(step_m, distance, vector):
    assert said(moved_by(step_m)) == (distance, vector)


def test_what_the_camera_does_in_between_does_not_count():
    """It steps aside, climbs and turns; the axes are those of the first image."""
    second = look_at(np.array([-1.0, 0.5, 2.2]), AHEAD + [0.3, 0.1, 0.0])
    assert said(moved_by([0.3, 0.0, 0.4], poses=(LOOKING_NORTH, second))) == ("50", "[30, -40, 0]")
    both = followed((LOOKING_NORTH, second), [[AHEAD, AHEAD + [0.3, 0.0, 0.4]], [AHEAD + [0.5, 0.0, 0.0]] * 2], body=[1, 0])
    found = {one.answer.text for one in asked(both, VECTOR, margins=FORWARD | {"max_still_share": 0.5}).questions}
    assert found == {"[30, -40, 0]", "[0, 0, 0]"}


def test_the_axes_are_those_of_the_first_camera_whichever_way_it_looks():
    looking_east = look_at(np.array([0.0, 0.0, 1.5]), np.array([5.0, 0.0, 1.5]))
    facts = moved_by([0.3, 0.0, 0.4], poses=(looking_east, looking_east), start=[3.0, 0.2, 1.4])
    assert said(facts) == ("50", "[0, -40, 30]")


def test_with_camera_motion_kept_the_movement_is_that_relative_to_the_camera():
    second = LOOKING_NORTH.copy()
    second[0, 3] += 0.5
    facts = moved_by([0.0, 0.0, 0.0], poses=(LOOKING_NORTH, second))
    assert said(facts, margins=FORWARD | {"keep_camera_motion": 1}) == ("50", "[-50, 0, 0]")
    for task in TASKS:
        (one,) = asked(facts, task, margins=FORWARD | {"keep_camera_motion": 1}).questions
        assert "relative to the camera" in one.text.lower() and "in the world" not in one.text


def test_without_camera_poses_only_movements_relative_to_the_camera_are_asked():
    facts = moved_by([0.3, 0.0, 0.0])
    facts = replace(facts, track_windows=replace(facts.track_windows, displacement_m=np.full((1, 3), np.nan)))
    frames = replace(facts.frames, world_from_camera=np.full((2, 4, 4), np.nan))
    facts = replace(facts, frames=frames, tracks=replace(facts.tracks, point_world=np.full((2, 3), np.nan)))
    for task in TASKS:
        assert only_reason(facts, task, margins={}) == "camera_poses_not_known"
    said_apart = {task: asked(facts, task, margins=FORWARD | {"keep_camera_motion": 1}).questions[0] for task in TASKS}
    assert said_apart[VECTOR].answer.text == "[30, 0, 0]" and check_all(said_apart.values(), facts) == ()


def test_images_shown_the_other_way_round_ask_for_the_movement_back_in_the_axes_of_the_later_camera():
    looking_west = look_at(AHEAD + [2.0, 0.0, 0.0], AHEAD)  # its right is north, its forward is west
    facts = moved_by([0.3, 0.1, 0.0], poses=(LOOKING_NORTH, looking_west))
    assert said(facts) == ("32", "[30, 0, 10]")
    assert said(facts, margins={"reversed_share": 1.0}) == ("32", "[-10, 0, 30]")
    (one,) = asked(facts, VECTOR, margins={"reversed_share": 1.0}).questions
    assert one.frame_ids == ("000001", "000000") and one.marks[0].frame_id == "000001"


@pytest.mark.parametrize(("cm", "is_asked"), [(1.1, False), (4.9, False), (5.1, True), (100.0, True), (1999.0, True), (2001.0, False)])
def test_between_still_and_moving_lies_a_dead_zone_and_there_is_an_end(cm, is_asked):
    facts = moved_by([0.0, cm / 100.0, 0.0])
    for task in TASKS:
        assert len(asked(facts, task).questions) == is_asked
    if not is_asked:
        assert only_reason(facts) == ("moved_too_far" if cm > 100 else "moved_too_little_to_tell")


def many_points(*, still=0, moving=0, rng_seed=0, bodies=None, times=12):
    """Points at random places ahead of a resting camera, still ones first; the others creep to the right at their own speeds."""
    rng = np.random.default_rng(rng_seed)
    start = rng.uniform([-1.4, 2.6, 0.7], [0.4, 4.5, 2.2], (still + moving, 3))
    speed_m = np.r_[np.full(still, 0.0004), rng.uniform(0.01, 0.1, moving)]
    world = start[:, None] + (speed_m[:, None] * np.arange(times))[:, :, None] * np.array([1.0, 0.0, 0.0])
    body = np.r_[np.zeros(still), np.ones(moving) if bodies is None else bodies]
    return followed([LOOKING_NORTH] * times, world, body)


def test_still_points_are_asked_with_zero_but_at_most_one_in_ten():
    facts = many_points(still=30, moving=30)
    for task, zero in ((TASKS[0], "0"), (VECTOR, "[0, 0, 0]")):
        for seed in range(3):
            questions = asked(facts, task, seed=seed, max_per_frame=100).questions
            still = [one for one in questions if one.answer.text == zero]
            assert len(questions) >= 30 and 1 <= len(still) <= len(questions) / 10
            assert all(0.0 <= one.evidence["moved_m"] < 0.01 for one in still) and check_all(questions, facts) == ()
    few = [one for one in asked(facts, VECTOR, margins={"max_still_share": 0.0}).questions if one.answer.text == "[0, 0, 0]"]
    assert not few and asked(many_points(still=30), VECTOR).questions == ()


def test_distances_are_evened_out_over_their_bins():
    facts = many_points(moving=60, bodies=np.arange(60) + 1)
    moved = [one.evidence["moved_m"] for one in asked(facts, TASKS[0], max_per_frame=100).questions]
    low, high = np.quantile(moved, [0.25, 0.75])
    assert np.log(max(moved) / min(moved)) > 2.0 and high / low > 2.0


def test_a_body_with_many_points_does_not_dominate():
    bodies = np.r_[np.ones(55), np.full(5, 2)]
    facts = many_points(moving=60, bodies=bodies)
    body_of = {}
    uv = CAMERA.project(facts.tracks.point_camera)[0]
    for row in range(len(uv)):
        body_of[round(float(uv[row, 0]) * 16), round(float(uv[row, 1]) * 16)] = int(facts.tracks.body[row])
    questions = asked(facts, VECTOR, max_per_frame=100, margins={"max_point_share": 0.5}).questions
    counts = Counter(body_of[round(one.marks[0].u_px * 16), round(one.marks[0].v_px * 16)] for one in questions)
    assert counts[2] > 0.25 * counts.total()
    pairs = [one.frame_ids for one in questions]
    assert max(Counter(pairs).values()) <= 2, "of each body one point in each pair of images"


def test_no_point_is_asked_about_too_often():
    facts = many_points(moving=30, bodies=np.arange(30) + 1)
    heights = Counter(round(one.marks[0].v_px * 16) for one in asked(facts, VECTOR, max_per_frame=100).questions)
    assert max(heights.values()) <= 2 and heights.total() == 40


@pytest.mark.parametrize(("off_px", "is_asked"), [(2.9, False), (9.0, True)])
@pytest.mark.parametrize("other_body", [0, 2, -1])
def test_a_dot_beside_a_point_of_another_body_is_not_asked_about(off_px, is_asked, other_body):
    """Another point stands still beside or behind it: a dot of 3.2 pixels would cover both."""
    beside = AHEAD + [off_px / CAMERA.fx * 3.0, 0.0, 0.0]
    facts = followed([LOOKING_NORTH] * 2, [[AHEAD, AHEAD + [0.0, 0.0, 0.3]], [beside, beside]], body=[1, other_body])
    for task in TASKS:
        assert len(asked(facts, task).questions) == is_asked
        if not is_asked:
            assert asked(facts, task).skip_counts[task]["another_body_at_the_dot"] >= 1
    hidden = replace(facts.tracks, visible=facts.tracks.visible & (facts.tracks.point == 0))
    rows = facts.track_windows.point == 0
    windows = replace(facts.track_windows, **{name: getattr(facts.track_windows, name)[rows] for name in facts.track_windows.__slots__})
    assert len(asked(replace(facts, tracks=hidden, track_windows=windows), VECTOR).questions) == 1, "what is not seen is not meant"


def test_points_of_one_body_may_stand_side_by_side():
    beside = AHEAD + [0.01, 0.0, 0.0]
    step = np.array([0.0, 0.0, 0.3])
    facts = followed([LOOKING_NORTH] * 2, [[AHEAD, AHEAD + step], [beside, beside + step]], body=[1, 1])
    assert len(asked(facts, VECTOR).questions) == 1


@pytest.mark.parametrize(("u_px", "reason"), [(7.0, "dot_at_image_border"), (9.0, None), (310.0, None), (312.0, "dot_at_image_border")])
def test_the_point_is_well_inside_the_first_image(u_px, reason):
    start = apply(LOOKING_NORTH, CAMERA.unproject(np.array([[u_px, 120.0]]), np.array([3.0])))[0]
    facts = moved_by([0.0, 0.0, 0.3], start=start)
    if reason:
        assert only_reason(facts) == reason
    else:
        assert asked(facts, VECTOR).questions[0].marks[0].u_px == pytest.approx(u_px, abs=0.04)


def test_a_point_that_the_second_image_does_not_show_is_not_asked_about():
    facts = moved_by([0.0, 0.0, 0.3])
    visible = facts.tracks.visible.copy()
    visible[1] = False
    assert only_reason(replace(facts, tracks=replace(facts.tracks, visible=visible))) == "not_in_both_images"


def test_coordinates_are_those_of_the_point_in_the_scale_that_is_said():
    start = apply(LOOKING_NORTH, CAMERA.unproject(np.array([[100.0, 60.0]]), np.array([3.0])))[0]
    facts = moved_by([0.0, 0.0, 0.3], start=start)
    for scale, wanted, words in (
        ("thousandths", "[314, 252]", "Coordinates are thousandths of the image's width and height, from the top left corner."),
        ("pixels", "[100, 60]", "Coordinates are pixels, from the top left corner."),
    ):
        for task in TASKS[1::2]:
            (one,) = asked(facts, task, point_scale=scale).questions
            assert f"[x, y] = {wanted} in image 1" in one.text and one.text.endswith(words) and not one.marks


def test_the_unit_and_the_axes_stand_in_the_instruction():
    facts = moved_by([0.3, 0.0, 0.0])
    (vector,) = asked(facts, VECTOR).questions
    (millimetres,) = asked(facts, VECTOR, length_unit="mm").questions
    assert vector.answer.format.instruction() == "Answer with [right, down, forward] in centimetres."
    assert millimetres.answer.text == "[300, 0, 0]" and millimetres.answer.format.instruction().endswith("in millimetres.")
    assert asked(facts, TASKS[0]).questions[0].answer.format.instruction() == "Answer with a number in centimetres."


def test_a_mirrored_world_swaps_left_and_right_and_nothing_else():
    mirror = np.array([-1.0, 1.0, 1.0])
    for step in ([0.3, 0.2, -0.1], [-0.06, 0.0, 0.4]):
        plain, mirrored = moved_by(step), moved_by(np.array(step) * mirror, start=AHEAD * mirror)
        (one,), (other,) = asked(plain, VECTOR).questions, asked(mirrored, VECTOR).questions
        right, down, forward = one.answer.value
        assert other.answer.value == (-right, down, forward)
        assert one.marks[0].u_px + other.marks[0].u_px == pytest.approx(CAMERA.width - 1, abs=0.07)
        assert asked(plain, TASKS[0]).questions[0].answer == asked(mirrored, TASKS[0]).questions[0].answer


def test_a_world_twice_as_large_has_movements_twice_as_long():
    pose = LOOKING_NORTH.copy()
    pose[:3, 3] *= 2.0
    small, large = moved_by([0.3, 0.0, 0.4]), moved_by([0.6, 0.0, 0.8], poses=(pose, pose), start=AHEAD * 2.0)
    (one,), (other,) = asked(small, VECTOR).questions, asked(large, VECTOR).questions
    assert np.allclose(np.array(other.answer.value), 2.0 * np.array(one.answer.value), atol=1e-4) and other.marks == one.marks


def test_templates_say_what_counts_and_along_which_axes():
    for templates in (DISTANCES, VECTORS, KEPT_DISTANCES, KEPT_VECTORS):
        assert len(set(templates)) >= 8 and all(one.count("{at}") == 1 and one.endswith(("?", ".")) for one in templates)
    for one in (*DISTANCES, *VECTORS):
        assert "camera" in one and re.search(r"in the world|camera's own motion", one)
    for one in VECTORS:
        assert re.search(r"first camera|camera of image 1", one)
    for one in (*KEPT_DISTANCES, *KEPT_VECTORS):
        assert "elative to the camera" in one


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("keeps", [0, 1])
def test_planted_errors_are_found(task, keeps):
    facts = handmade_facts()
    for one in asked(facts, task, margins={"keep_camera_motion": keeps}).questions:
        form, value = one.answer.format, one.answer.value
        length = np.linalg.norm(value)
        if length == 0.0:
            wrong = [(0.0, 0.0, 6.0) if "vector" in task else 6.0]
        elif "vector" in task:
            right, down, forward = value
            wrong = [(right * 1.2, down * 1.2, forward * 1.2), (-right, -down, -forward), (0.0, 0.0, 0.0), (right, down, forward + 1.2)]
        else:
            wrong = [value * 1.2, value * 0.8, 0.0, value + 1.2]
        planted = [replace(one, answer=Answer(format=form, value=each)) for each in wrong]
        if one.marks:
            planted.append(replace(one, marks=(replace(one.marks[0], u_px=one.marks[0].u_px + 40.0),)))
            planted.append(replace(one, marks=(replace(one.marks[0], frame_id=one.frame_ids[1]),)))
        else:
            planted.append(replace(one, text=re.sub(r"= \[\d+", "= [0", one.text)))
            planted.append(replace(one, text="How far did it move in the world?"))
        assert len(check_all(planted, facts)) == len(planted), one.text
        assert check_all([one], facts) == ()
