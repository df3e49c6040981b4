"""Camera motion by pencil and paper: known steps and turns, both sides of every margin, mirror images, scale, published definitions."""

from dataclasses import replace

import numpy as np
import pytest
from handmade_facts import facts_of, ring_of_cameras

from sightline.answers.answer import Answer
from sightline.geometry.transforms import look_at, rigid
from sightline.questions.check import check_all
from sightline.questions.engine import ask_all
from sightline.questions.question import TASKS, TaskOptions

NORTH = look_at(np.array([0.0, 0.0, 1.5]), np.array([0.0, 5.0, 1.5]))  # camera right is world +x, forward is world +y
WORDS = ("camera_x_movement", "camera_y_movement", "camera_z_movement", "camera_yaw_movement", "camera_pitch_movement")
ANGLES = ("camera_yaw_angle", "camera_pitch_angle")
ALL = (*WORDS, *ANGLES, "camera_distance", "camera_vector")
NO_MARGINS = {task: dict.fromkeys(TASKS[task].MARGINS, 0.0) for task in ALL}
EVERY_PAIR = TaskOptions(
    max_per_scan=10_000, max_per_frame=10_000, min_overlap=0.06, max_overlap=0.35, length_unit="mm", balance=False, extra=NO_MARGINS
)


def stepped(step_m):
    return NORTH @ rigid(np.eye(3), np.array(step_m, dtype=float))


def looking(yaw_deg, pitch_deg, at=(0.0, 0.0, 1.5)):
    """A camera turned to the left of north by `yaw_deg` and up by `pitch_deg`."""
    yaw, pitch = np.radians(90.0 + yaw_deg), np.radians(pitch_deg)
    sight = np.array([np.cos(pitch) * np.cos(yaw), np.cos(pitch) * np.sin(yaw), np.sin(pitch)])
    return look_at(np.array(at, dtype=float), np.array(at) + sight)


def asked(poses, task, *, seeds=range(6), overlap=0.5, **options):
    facts = facts_of(np.array(poses), None, overlap=overlap, per_frame=1)
    results = [ask_all(facts, [task], seed=seed, options=TaskOptions(**options)) for seed in seeds]
    return [one for result in results for one in result.questions], results[0].skip_counts.get(task, {})


def answers(poses, task, **options):
    return {one.frame_ids: one.answer.text for one in asked(poses, task, **options)[0]}


UNEVEN = {"balance": False, "max_per_scan": 1000, "max_per_frame": 1000}
THERE, BACK = ("000000", "000001"), ("000001", "000000")


@pytest.mark.parametrize(
    ("task", "step_m", "there", "back"),
    [
        ("camera_x_movement", [0.5, 0.3, 0.3], "right", "left"),
        ("camera_x_movement", [-0.5, 0.3, 0.3], "left", "right"),
        ("camera_y_movement", [0.5, 0.3, 0.3], "down", "up"),
        ("camera_y_movement", [0.5, -0.3, 0.3], "up", "down"),
        ("camera_z_movement", [0.5, 0.3, 0.3], "forward", "backward"),
        ("camera_z_movement", [0.5, 0.3, -0.3], "backward", "forward"),
    ],
)
def test_a_step_is_named_along_each_axis_and_swapping_the_images_inverts_it(task, step_m, there, back):
    assert answers([NORTH, stepped(step_m)], task) == {THERE: there, BACK: back}


@pytest.mark.parametrize(
    ("task", "yaw_deg", "pitch_deg", "there", "back"),
    [
        ("camera_yaw_movement", 30.0, 0.0, "left", "right"),
        ("camera_yaw_movement", -30.0, 0.0, "right", "left"),
        ("camera_yaw_movement", 150.0, 0.0, "left", "right"),
        ("camera_pitch_movement", 0.0, 20.0, "up", "down"),
        ("camera_pitch_movement", 40.0, -20.0, "down", "up"),
        ("camera_yaw_angle", 33.0, 5.0, "33", "33"),
        ("camera_yaw_angle", -150.0, 0.0, "150", "150"),
        ("camera_pitch_angle", 60.0, -21.0, "21", "21"),
    ],
)
def test_a_turn_is_named_and_measured_against_the_vertical_and_the_horizon(task, yaw_deg, pitch_deg, there, back):
    assert answers([looking(0, 0), looking(yaw_deg, pitch_deg)], task) == {THERE: there, BACK: back}


def test_headings_on_both_sides_of_south_differ_by_the_short_way():
    assert answers([looking(170, 0), looking(-160, 0)], "camera_yaw_angle") == {THERE: "30", BACK: "30"}
    assert answers([looking(170, 0), looking(-160, 0)], "camera_yaw_movement") == {THERE: "left", BACK: "right"}


def test_movement_is_in_the_first_cameras_axes_not_the_worlds():
    east = look_at(np.array([-2.0, 0.0, 1.5]), np.array([5.0, 0.0, 1.5]))  # two metres to the west, looking east
    assert answers([NORTH, east], "camera_x_movement") == {THERE: "left"}
    assert answers([NORTH, east], "camera_z_movement") == {BACK: "forward"}
    assert answers([NORTH, east], "camera_vector") == {THERE: "[-2.00, 0.00, 0.00]", BACK: "[0.00, 0.00, 2.00]"}


def test_the_vector_is_said_in_the_unit_that_was_asked_for():
    poses = [NORTH, stepped([0.412, -0.038, 0.905])]
    assert answers(poses, "camera_vector", length_unit="mm")[THERE] == "[412, -38, 905]"
    assert answers(poses, "camera_vector", length_unit="cm")[THERE] == "[41, -4, 90]"
    assert answers(poses, "camera_vector")[THERE] == "[0.41, -0.04, 0.91]"
    assert set(answers(poses, "camera_distance", length_unit="mm").values()) == {"995"}


@pytest.mark.parametrize(
    ("task", "inside", "outside", "reason"),
    [
        ("camera_x_movement", stepped([0.099, 0, 0]), stepped([0.101, 0, 0]), "moved_too_little"),
        ("camera_x_movement", stepped([0.199, 0, 0.98]), stepped([0.205, 0, 0.97]), "axis_hardly_matters"),
        ("camera_y_movement", stepped([2.0, 0.19, 0]), stepped([2.0, 0.21, 0]), "axis_hardly_matters"),
        ("camera_yaw_movement", looking(4.9, 0), looking(5.1, 0), "turned_too_little"),
        ("camera_yaw_movement", looking(8, 35), looking(12, 35), "axis_hardly_matters"),
        ("camera_yaw_movement", looking(166, 0), looking(164, 0), "half_turn"),
        ("camera_yaw_movement", looking(60, 71), looking(60, 69), "looks_along_the_vertical"),
        ("camera_yaw_angle", looking(60, -71), looking(60, -69), "looks_along_the_vertical"),
        ("camera_yaw_angle", looking(9.9, 0), looking(10.1, 0), "turned_too_little"),
        ("camera_pitch_movement", looking(0, 4.9), looking(0, 5.1), "turned_too_little"),
        ("camera_pitch_movement", looking(60, 8.9), looking(60, 9.2), "axis_hardly_matters"),
        ("camera_pitch_angle", looking(0, 4.9), looking(0, 5.1), "turned_too_little"),
        ("camera_distance", stepped([0.49, 0, 0]), stepped([0.51, 0, 0]), "moved_too_little"),
        ("camera_vector", stepped([0.29, 0, 0]), stepped([0.31, 0, 0]), "moved_too_little"),
    ],
)
def test_both_sides_of_every_margin(task, inside, outside, reason):
    start = NORTH if "yaw" not in task and "pitch" not in task else looking(0, 0)
    questions, skips = asked([start, inside], task)
    assert questions == [] and skips == {reason: 1}
    assert asked([start, outside], task)[0]


@pytest.mark.parametrize("task", ALL)
def test_a_mirror_image_flips_left_and_right_and_nothing_else(task):
    flip = np.diag([-1.0, 1.0, 1.0, 1.0])
    poses = ring_of_cameras(16)
    mirrored = flip @ poses @ flip  # the world's x and the camera's right change sign
    of = {one.frame_ids: one.answer for one in asked(poses, task, seeds=[0], **UNEVEN)[0]}
    seen = [(of[one.frame_ids], one.answer) for one in asked(mirrored, task, seeds=[0], **UNEVEN)[0] if one.frame_ids in of]
    assert len(seen) >= 5
    swapped = {"left": "right", "right": "left"}
    for one, other in seen:
        if task == "camera_vector":
            assert np.allclose(np.array(one.value) * [-1, 1, 1], other.value, atol=2e-5)
        elif task in WORDS:
            assert other.value == swapped.get(one.value, one.value)
        else:
            assert other.value == pytest.approx(one.value, abs=2e-5)


@pytest.mark.parametrize("task", ALL)
def test_a_world_twice_as_large_doubles_lengths_and_keeps_words_and_angles(task):
    poses = ring_of_cameras(16)
    larger = poses.copy()
    larger[:, :3, 3] *= 2.0
    of = {one.frame_ids: one.answer.value for one in asked(poses, task, seeds=[0], **UNEVEN)[0]}
    seen = [(of[one.frame_ids], one.answer.value) for one in asked(larger, task, seeds=[0], **UNEVEN)[0] if one.frame_ids in of]
    assert len(seen) >= 5
    for one, other in seen:
        if task in WORDS:
            assert other == one
        else:
            times = 2.0 if task in ("camera_distance", "camera_vector") else 1.0
            assert np.allclose(np.array(other), times * np.array(one), atol=4e-5)


@pytest.mark.parametrize("task", WORDS)
def test_both_words_are_right_equally_often(task):
    questions, _ = asked(ring_of_cameras(24), task, seeds=[0], max_per_scan=20, max_per_frame=100)
    said = [one.answer.value for one in questions]
    assert len(said) >= 8 and max(map(said.count, said)) <= 1.5 * min(map(said.count, said)) + 3
    if task in ("camera_x_movement", "camera_y_movement", "camera_yaw_movement"):  # of the others one word is rare among these cameras
        assert len(said) == 20 and said.count(said[0]) == 10


@pytest.mark.parametrize("task", ANGLES)
def test_angles_are_asked_of_turns_both_ways_alike(task):
    turns = [one.evidence["turn_deg"] for one in asked(ring_of_cameras(24), task, seeds=range(4), max_per_frame=100)[0]]
    assert abs(np.mean(np.array(turns) > 0) - 0.5) < 0.1


def test_each_pair_of_images_is_asked_about_once_and_in_either_order():
    questions, _ = asked(ring_of_cameras(12), "camera_distance", seeds=[0], max_per_scan=1000, max_per_frame=1000)
    pairs = [tuple(sorted(one.frame_ids)) for one in questions]
    assert len(set(pairs)) == len(pairs) == 66
    assert 20 <= sum(one.frame_ids[0] < one.frame_ids[1] for one in questions) <= 46


def published(first, second):
    """The released MultiSPA engine's definitions, as its description states them: any difference has a word, yaw is wrapped."""
    right_m, down_m, forward_m = (np.linalg.inv(first) @ second)[:3, 3]
    yaw_deg, pitch_deg = (
        [np.degrees(np.arctan2(pose[1, 2], pose[0, 2])) for pose in (first, second)],
        [np.degrees(np.arcsin(pose[2, 2])) for pose in (first, second)],
    )
    turn_deg = (yaw_deg[1] - yaw_deg[0] + 180.0) % 360.0 - 180.0
    tilt_deg = pitch_deg[1] - pitch_deg[0]
    return {
        "camera_x_movement": "right" if right_m > 0 else "left",
        "camera_y_movement": "down" if down_m > 0 else "up",
        "camera_z_movement": "forward" if forward_m > 0 else "backward",
        "camera_yaw_movement": "left" if turn_deg > 0 else "right",
        "camera_pitch_movement": "up" if tilt_deg > 0 else "down",
        "camera_yaw_angle": abs(turn_deg),
        "camera_pitch_angle": abs(tilt_deg),
        "camera_distance": 1000.0 * np.linalg.norm(second[:3, 3] - first[:3, 3]),
        "camera_vector": 1000.0 * np.array([right_m, down_m, forward_m]),
    }


@pytest.mark.parametrize("task", ALL)
def test_without_margins_every_pair_has_the_published_answer(task):
    poses = ring_of_cameras(24)
    facts = replace(facts_of(poses, None, overlap=0.2, per_frame=1), is_strict=True)
    questions = ask_all(facts, [task], seed=0, options=EVERY_PAIR).questions
    assert len(questions) == 24 * 23 // 2, "every pair, whatever its size"
    for one in questions:
        wanted = published(*(poses[int(frame_id)] for frame_id in one.frame_ids))[task]
        if task in WORDS:
            assert one.answer.value == wanted
        else:
            assert np.allclose(one.answer.value, wanted, rtol=0, atol=0.006)  # a hundredth of a millimetre is what a row stores


@pytest.mark.parametrize("task", ALL)
def test_a_pair_of_equal_poses_has_no_direction_even_without_margins(task):
    questions, _ = asked([NORTH, NORTH], task, overlap=0.2, extra=NO_MARGINS)
    assert bool(questions) == (task in ("camera_distance", "camera_vector"))


@pytest.mark.parametrize("task", ALL)
def test_swapped_frames_other_words_and_numbers_off_by_a_fifth_are_found(task):
    facts = facts_of(ring_of_cameras(12), None, per_frame=1)
    questions = ask_all(facts, [task], seed=0, options=TaskOptions()).questions
    assert questions and check_all(questions, facts) == ()
    for one in questions:
        form, value = one.answer.format, one.answer.value
        if task in WORDS:
            wrong = next(word for word in form.words if word != value)
        elif task == "camera_vector":
            wrong = tuple(1.2 * part for part in value)
        else:
            wrong = 1.2 * value + 1.0
        assert check_all([replace(one, answer=Answer(format=form, value=wrong))], facts)
        if task in ("camera_yaw_movement", "camera_pitch_movement"):
            assert check_all([replace(one, frame_ids=one.frame_ids[::-1])], facts)
