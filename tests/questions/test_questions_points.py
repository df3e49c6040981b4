"""Points of images: depths, heights, sides, comparisons and correspondences that pencil and paper give; what the second method finds."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from handmade_facts import CAMERA, facts_of, handmade_facts, point_facts, ring_of_cameras

from sightline.answers.answer import Answer
from sightline.answers.point import Point
from sightline.facts.fact import CorrespondenceFacts, PointFacts
from sightline.geometry.transforms import apply, inverse, look_at, rigid
from sightline.questions import TASKS
from sightline.questions.check import check_all
from sightline.questions.checks.points import CLOSER, PLACE
from sightline.questions.correspondence_choice import STEPS, packed_places
from sightline.questions.correspondence_pairs import overlaps_of
from sightline.questions.depth_pairs import drawn_pairs, evened
from sightline.questions.engine import ask_all
from sightline.questions.question import TaskOptions

NORTH = look_at(np.array([0.0, 0.0, 1.5]), np.array([0.0, 5.0, 1.5]))  # camera right is world +x, forward is world +y
POINT_TASKS = ("depth_estimation", "depth_estimation_coordinate", "point_height", "point_sideways")
PAIR_TASKS = ("depth_comparison", "depth_comparison_coordinate")
MATCH_TASKS = ("correspondence_choice", "correspondence_coordinate")
EVERY_TASK = pytest.mark.parametrize("task", [*POINT_TASKS, *PAIR_TASKS, *MATCH_TASKS])
ROOM = handmade_facts()


def ask(facts, task, *, seed=0, **options):
    return ask_all(facts, [task], seed=seed, options=TaskOptions(**options))


def points_at(uv, depth_m, pose=NORTH):
    uv, depth_m = np.array(uv, dtype=float), np.array(depth_m, dtype=float)
    return PointFacts(
        frame=np.zeros(len(uv), dtype=np.int32),
        uv=uv,
        depth_m=depth_m,
        point_world=apply(pose, CAMERA.unproject(uv, depth_m)),
        object_id=np.full(len(uv), -1, dtype=np.int32),
    )


def one_image(uv, depth_m):
    return facts_of(NORTH[None], None, points=points_at(uv, depth_m))


def matched(poses, points_world, *, camera=CAMERA):
    """Facts of two frames that both see these points."""
    (first_uv, first_m), (second_uv, second_m) = (camera.project(apply(inverse(pose), np.asarray(points_world))) for pose in poses)
    count = len(first_uv)
    table = CorrespondenceFacts(
        first=np.zeros(count, dtype=np.int32),
        second=np.ones(count, dtype=np.int32),
        first_uv=first_uv,
        second_uv=second_uv,
        first_depth_m=first_m,
        second_depth_m=second_m,
        point_world=np.asarray(points_world, dtype=float),
        object_id=np.full(count, -1, dtype=np.int32),
    )
    facts = facts_of(np.array(poses), None, points=point_facts(np.array(poses), per_frame=30))
    return replace(facts, correspondences=table)


# One point


@pytest.mark.parametrize(("unit", "said"), [("m", "2.0"), ("cm", "200"), ("mm", "2000")])
def test_depth_is_along_the_viewing_direction_and_not_along_the_ray(unit, said):
    """A point at the image's edge, 2 m ahead and 1.4 m aside: its straight distance is 2.4 m."""
    facts = one_image([[300, 120]], [2.0])
    for task in ("depth_estimation", "depth_estimation_coordinate"):
        (question,) = ask(facts, task, length_unit=unit).questions
        assert question.answer.text == said and "viewing direction" in question.text


@pytest.mark.parametrize(
    ("task", "uv", "depth_m", "reason"),
    [
        ("depth_estimation", [160, 120], 0.49, "too_small_to_measure"),
        ("depth_estimation", [160, 120], 0.51, None),
        ("depth_estimation", [160, 120], 19.9, None),
        ("depth_estimation", [160, 120], 20.1, "too_far"),
        ("depth_estimation", [6, 120], 2.0, "dot_at_image_border"),
        ("depth_estimation", [9, 120], 2.0, None),
        ("point_sideways", [CAMERA.cx + 0.149 * CAMERA.fx, 120], 2.0, "too_small_to_measure"),
        ("point_sideways", [CAMERA.cx - 0.151 * CAMERA.fx, 120], 2.0, None),
        ("point_height", [160, CAMERA.cy + 0.3475 * CAMERA.fy], 4.0, None),  # 1.39 m below a camera that is 1.9 m above the floor
        ("point_height", [160, CAMERA.cy + 0.3525 * CAMERA.fy], 4.0, "too_small_to_measure"),
    ],
)
def test_a_point_is_asked_about_on_one_side_of_each_margin(task, uv, depth_m, reason):
    result = ask(one_image([uv], [depth_m]), task)
    assert len(result.questions) == (reason is None)
    assert result.skip_counts == ({} if reason is None else {task: {reason: 1}})


def test_the_height_of_a_point_is_from_the_floor():
    """Level with a camera 1.5 m up, over a floor at -0.4 m: 1.9 m."""
    (question,) = ask(one_image([[100, CAMERA.cy]], [3.0]), "point_height").questions
    assert question.answer.text == "1.9"


def test_a_point_below_the_floor_is_not_asked_for_its_height():
    result = ask(one_image([[160, CAMERA.cy + 0.7 * CAMERA.fy]], [4.5]), "point_height")
    assert result.questions == () and result.skip_counts == {"point_height": {"too_small_to_measure": 1}}


def test_a_mirror_image_flips_the_side_and_nothing_else():
    offsets_px = np.array([-90.0, -50.0, 60.0, 120.0])
    there = one_image(np.c_[CAMERA.cx + offsets_px, np.full(4, 100)], [2.0, 3.0, 4.0, 2.5])
    mirrored = one_image(np.c_[CAMERA.cx - offsets_px, np.full(4, 100)], [2.0, 3.0, 4.0, 2.5])
    flipped = {"left": "right", "right": "left"}
    for before, after in zip(ask(there, "point_sideways").questions, ask(mirrored, "point_sideways").questions, strict=True):
        assert " ".join(flipped.get(word.strip("?,."), word.strip("?,.")) for word in before.text.split()) == " ".join(
            word.strip("?,.") for word in after.text.split()
        )
        assert before.answer.text == after.answer.text and before.text != after.text


@pytest.mark.parametrize("task", POINT_TASKS)
def test_metres_grow_with_the_world(task):
    uv = np.array([[60, 40], [120, 60], [220, 90], [280, 110]])
    small, big = one_image(uv, [1.5, 2.0, 2.4, 2.2]), one_image(uv, [3.0, 4.0, 4.8, 4.4])
    if task == "point_height":  # from the floor under a camera that is twice as high
        room = replace(small.structure.rooms[0], floor_z_m=0.0)
        small = replace(small, structure=replace(small.structure, rooms=(room,)))
        big = replace(small, points=replace(big.points, point_world=2.0 * small.points.point_world))
    values = [sorted(one.answer.value for one in ask(facts, task).questions) for facts in (small, big)]
    assert len(values[0]) == 4 and np.allclose(2.0 * np.array(values[0]), values[1], rtol=1e-5)


@pytest.mark.parametrize(("scale", "said"), [("thousandths", "[314, 252]"), ("pixels", "[100, 60]")])
def test_a_coordinate_is_written_in_the_wanted_scale_and_the_text_says_so(scale, said):
    """Pixel 100 of 320 has its middle at 100.5 / 320."""
    (question,) = ask(one_image([[100, 60]], [2.0]), "depth_estimation_coordinate", point_scale=scale).questions
    assert said in question.text and scale in question.text and question.marks == ()


@pytest.mark.parametrize("task", [*POINT_TASKS, *PAIR_TASKS, *MATCH_TASKS])
def test_more_objects_and_their_views_change_nothing(task):
    poses = ring_of_cameras(6)
    bare = facts_of(poses, None, points=point_facts(poses, per_frame=30))
    full = facts_of(poses, handmade_facts().objects, points=point_facts(poses, per_frame=30))
    assert ask(bare, task).questions == ask(full, task).questions != ()


# Two points


@pytest.mark.parametrize("task", PAIR_TASKS)
@pytest.mark.parametrize(
    ("uv", "depth_m", "reason"),
    [
        ([[100, 60], [200, 120]], [1.0, 1.24], "too_close_to_tell"),
        ([[100, 60], [200, 120]], [1.0, 1.40], None),
        ([[200, 60], [100, 60]], [4.0, 4.59], "too_close_to_tell"),
        ([[200, 60], [120, 60]], [4.0, 4.61], None),
        ([[300, 60], [160, 120]], [3.0, 3.6], "nearer_only_along_the_viewing_direction"),
        ([[160, 60], [162, 70]], [2.0, 3.0], "dots_too_close_in_image"),
    ],
)
def test_two_points_are_compared_on_one_side_of_each_margin(task, uv, depth_m, reason):
    result = ask(one_image(uv, depth_m), task)
    assert len(result.questions) == (reason is None)
    assert result.skip_counts == ({} if reason is None else {task: {reason: 1}})


def test_the_answer_is_the_coordinate_of_the_nearer_or_farther_point_and_the_other_one_does_not_score():
    facts = one_image([[60, 60], [200, 120]], [1.0, 3.0])
    asked = [one for seed in range(20) for one in ask(facts, "depth_comparison_coordinate", seed=seed).questions]
    near, far = "[189, 252]", "[627, 502]"
    assert {bool(CLOSER.search(one.text)) for one in asked} == {True, False}
    for one in asked:
        right, wrong = (near, far) if CLOSER.search(one.text) else (far, near)
        assert one.answer.text == right and right in one.text and wrong in one.text
        assert one.answer.format.score(wrong, one.answer.value).score == 0.0
    named_first = [PLACE.search(one.text)[0] == one.answer.text for one in asked]
    assert 0 < sum(named_first) < len(asked)


@pytest.mark.parametrize("task", PAIR_TASKS)
def test_closer_and_farther_order_and_height_in_the_image_are_evened_out(task):
    scans = [facts_of(ring_of_cameras(8, seed=seed), None, points=point_facts(ring_of_cameras(8), per_frame=30)) for seed in range(4)]
    asked = [one for facts in scans for one in ask(facts, task, max_per_frame=20).questions]
    assert len(asked) == 160
    assert sum(bool(CLOSER.search(one.text)) for one in asked) == 80
    if task == "depth_comparison":
        assert Counter(one.answer.value for one in asked) == {"A": 80, "B": 80}
    else:
        assert sum(PLACE.search(one.text)[0] == one.answer.text for one in asked) == 80


@pytest.mark.parametrize("task", PAIR_TASKS)
def test_words_stay_when_the_world_grows(task):
    poses = ring_of_cameras(4)
    points = point_facts(poses, per_frame=12)
    margins = {task: {"min_gap_m": 0.0}}
    grown = replace(points, depth_m=3.0 * points.depth_m, point_world=3.0 * points.point_world)
    before, after = (ask(facts_of(poses, None, points=one), task, extra=margins).questions for one in (points, grown))
    assert [(one.text, one.answer.text) for one in before] == [(one.text, one.answer.text) for one in after] != []


def test_pairs_are_distinct_of_one_frame_and_all_of_them_where_there_are_few():
    frame = np.array([2, 0, 0, 1, 0, 2, 2, 2])
    near, far = drawn_pairs(np.arange(8), frame, np.random.default_rng(0), tried=2000)
    pairs = {tuple(sorted(pair)) for pair in zip(near.tolist(), far.tolist())}
    assert len(pairs) == len(near) == 3 + 6 and all(frame[one] == frame[other] and one != other for one, other in pairs)
    assert len(drawn_pairs(np.arange(8), frame, np.random.default_rng(0), tried=2)[0]) == 2
    assert len(drawn_pairs(np.array([1, 3]), frame, np.random.default_rng(0), tried=9)[0]) == 0


def test_answers_are_kept_while_they_are_even():
    assert evened(np.array([0, 1, 0, 1, 0, 0, 0, 0])).tolist() == [0, 1, 2, 3, 4]
    assert evened(np.array([5, 5, 5])).tolist() == [0, 1, 2] and len(evened(np.empty(0))) == 0


# The same point in two images


def beside(metres):
    return [NORTH, NORTH @ rigid(np.eye(3), np.array([metres, 0.0, 0.0]))]


@pytest.mark.parametrize("task", MATCH_TASKS)
def test_a_point_slides_against_the_cameras_step(task):
    """A step of 1 m to the right; a point 4 m ahead moves by a quarter of the focal length to the left, and back in swapped images."""
    facts = matched(beside(1.0), [[0.5, 4.0, 1.5]])
    there, back = CAMERA.cx + 0.125 * CAMERA.fx, CAMERA.cx - 0.125 * CAMERA.fx
    orders = set()
    for seed in range(12):
        (question,) = ask(facts, task, seed=seed).questions
        orders.add(question.frame_ids)
        from_u, to_u = (there, back) if question.frame_ids == ("000000", "000001") else (back, there)
        if task == "correspondence_choice":
            first, *lettered = question.marks
            (right,) = (one for one in lettered if one.label == question.answer.text)
            assert abs(first.u_px - from_u) < 0.04 and np.hypot(right.u_px - to_u, right.v_px - CAMERA.cy) < 0.1
        else:
            assert PLACE.search(question.text)[0] == f"[{round((from_u + 0.5) / 0.32)}, 500]"
            assert question.answer.text == f"[{round((to_u + 0.5) / 0.32)}, 500]"
    assert len(orders) == 2


@pytest.mark.parametrize(("metres", "task"), [(0.3, "correspondence_choice"), (0.4, "correspondence_coordinate")])
def test_a_point_that_hardly_moved_in_the_image_is_not_asked_about(metres, task):
    """At 4 m, steps of 0.3 and 0.4 m are 0.049 and 0.065 of this image's width; 0.02 m more are enough, or 0.04."""
    depth_m = 4.0
    result = ask(matched(beside(metres), [[0.0, depth_m, 1.5]]), task)
    assert result.questions == () and result.skip_counts == {task: {"same_place_in_both_images": 1}}
    assert len(ask(matched(beside(metres + 0.04), [[0.0, depth_m, 1.5]]), task).questions) == 1


@pytest.mark.parametrize("scale", ["thousandths", "pixels"])
def test_copying_the_coordinate_never_scores(scale):
    asked = [one for seed in range(5) for one in ask(ROOM, "correspondence_coordinate", seed=seed, point_scale=scale).questions]
    assert len(asked) == 200
    for one in asked:
        assert one.answer.format.score(PLACE.search(one.text)[0], one.answer.value).score == 0.0


def test_copying_never_scores_between_images_of_two_sizes():
    sizes = (CAMERA, CAMERA.resized(width=640, height=480))
    camera_of = [sizes[index % 2] for index in range(len(ROOM.frames.frame_ids))]
    table = ROOM.correspondences
    grown = {0: np.ones(2), 1: np.full(2, 2.0)}
    first_uv, second_uv = (
        (uv + 0.5) * np.array([grown[index % 2] for index in frame]) - 0.5
        for uv, frame in ((table.first_uv, table.first), (table.second_uv, table.second))
    )
    facts = replace(
        ROOM,
        frames=replace(ROOM.frames, intrinsics=tuple(camera_of)),
        correspondences=replace(table, first_uv=first_uv, second_uv=second_uv),
    )
    for scale in ("thousandths", "pixels"):
        asked = ask(facts, "correspondence_coordinate", point_scale=scale).questions
        assert len(asked) == 40 and check_all(asked, facts) == ()
        assert all(one.answer.format.score(PLACE.search(one.text)[0], one.answer.value).score == 0.0 for one in asked)


def layouts(*, hard, seeds=range(3), facts=ROOM):
    for seed in seeds:
        for one in ask(facts, "correspondence_choice", seed=seed, max_per_scan=200, max_per_frame=200, hard_distractors=hard).questions:
            uv = np.array([(mark.u_px, mark.v_px) for mark in one.marks[1:]])
            right = "ABCD".index(one.answer.value)
            yield uv, right, np.array([one.marks[0].u_px, one.marks[0].v_px])


@pytest.mark.parametrize("hard", [False, True])
def test_wrong_dots_are_inside_the_image_and_farther_apart_than_the_scoring_radius_and_two_dots(hard):
    nearest_share = []
    for uv, right, _ in layouts(hard=hard):
        off_px = np.hypot(*(uv[:, None] - uv[None]).transpose(2, 0, 1)) + 1e9 * np.eye(4)
        assert off_px.min() >= 0.0998 * 320 and (uv >= 7.9).all() and (uv <= (311.1, 231.1)).all()
        nearest_share.append(off_px[right].min() / 320)
    assert len(nearest_share) >= 300
    assert (max(nearest_share) <= 0.151) == hard


@pytest.mark.parametrize("hard", [False, True])
def test_no_letter_is_covered_by_another_dot(hard):
    """Letters end 0.13 of the image's mean side beside their dot; in one row, dots are farther apart than letter and dot are wide."""
    side = np.sqrt(320 * 240)
    for uv, _, _ in layouts(hard=hard):
        for index, one in enumerate(uv):
            for other in uv[:index]:
                across, down = np.abs(one - other)
                assert down >= 0.0845 * side or across >= 0.169 * side


@pytest.mark.parametrize("hard", [False, True])
def test_neither_letter_nor_middle_nor_the_old_place_give_the_right_dot_away(hard):
    """How often the right dot is the nearest to the middle of the four, or to where it was in image 1: by chance, a quarter."""
    found = list(layouts(hard=hard, seeds=range(6)))
    letters = Counter(right for _, right, _ in found)
    assert max(letters.values()) - min(letters.values()) <= 6  # one per scan and seed
    in_middle = [int(np.argmin(np.hypot(*(uv - uv.mean(axis=0)).T))) == right for uv, right, _ in found]
    at_old_place = [int(np.argmin(np.hypot(*(uv - old).T))) == right for uv, right, old in found]
    assert len(found) >= 1000 and np.mean(at_old_place) <= 0.35
    assert np.mean(in_middle) <= (0.3 if hard else 0.4)  # these cameras all look at the middle of the room, where most of its points are


def test_places_come_back_from_their_packed_form():
    rng = np.random.default_rng(0)
    size_px = np.tile([[640.0, 480.0]], (50, 1))
    places_uv = rng.uniform(0, [630, 470], (50, 4, 2))
    low, high = packed_places(places_uv, size_px)
    for row in range(50):
        bits = int(low[row]) | int(high[row]) << 64
        steps = np.array([[bits >> 24 * one & 0xFFF, bits >> 24 * one + 12 & 0xFFF] for one in range(4)])
        assert np.abs(steps / STEPS * size_px[row] - places_uv[row]).max() <= 0.5 * 640 / STEPS + 1e-9


def test_the_overlap_is_looked_up_by_pair_and_unknown_pairs_have_none():
    pairs = replace(ROOM.pairs, overlap=np.arange(len(ROOM.pairs.first), dtype=float))
    shuffled = np.random.default_rng(0).permutation(len(pairs.first))
    facts = replace(ROOM, pairs=replace(pairs, **{name: getattr(pairs, name)[shuffled] for name in ("first", "second", "overlap")}))
    assert overlaps_of(facts, pairs.first[[3, 40]], pairs.second[[3, 40]]).tolist() == [3.0, 40.0]
    assert np.isnan(overlaps_of(facts, np.array([5]), np.array([5]))).all()


def test_pairs_outside_the_band_of_overlap_are_counted():
    for task in MATCH_TASKS:
        result = ask(ROOM, task, min_overlap=0.6)
        assert result.questions == () and result.skip_counts == {task: {"overlap_outside_band": len(ROOM.correspondences.first)}}


# Wording


@EVERY_TASK
def test_eight_different_sentences_at_least(task):
    texts = {one.template_id: one.text for seed in range(8) for one in ask(ROOM, task, seed=seed).questions}
    assert len(texts) >= (16 if task in PAIR_TASKS else 8)
    for text in texts.values():
        assert text.count("?") == 1 or "Give the" in text, text
        assert "the the" not in text and " ," not in text and " ?" not in text


# The second method


def corruptions(question):
    """The same question with one thing wrong."""
    form, value, marks = question.answer.format, question.answer.value, question.marks
    if question.task in (*POINT_TASKS,):
        yield replace(question, answer=Answer(format=form, value=1.2 * value + 0.05))
    if question.task.startswith("depth_estimation"):
        yield replace(question, text=question.text.replace("viewing direction", "line of sight"))
    if question.task == "point_sideways":
        yield replace(question, text=question.text.replace("left", "LEFT").replace("right", "left").replace("LEFT", "right"))
    if question.task == "depth_comparison":
        yield replace(question, answer=Answer(format=form, value="B" if value == "A" else "A"))
    if question.task == "depth_comparison_coordinate":
        (wrong,) = {match[0] for match in PLACE.finditer(question.text)} - {question.answer.text}
        yield replace(question, answer=Answer(format=form, value=form.parse(wrong)))
    if question.task in MATCH_TASKS:
        yield replace(question, frame_ids=question.frame_ids[::-1])
    if question.task == "correspondence_choice":
        first, a, *rest = marks
        for letter in "ABCD":
            if letter != value:
                yield replace(question, answer=Answer(format=form, value=letter))
        yield replace(question, marks=(replace(first, u_px=(first.u_px + 60) % 320), a, *rest))
        right = marks[1 + "ABCD".index(value)]
        wrong = marks[1 + (1 + "ABCD".index(value)) % 4]
        near = replace(wrong, u_px=right.u_px + (8 if right.u_px < 160 else -8), v_px=right.v_px)
        yield replace(question, marks=tuple(near if one is wrong else one for one in marks))
        yield replace(question, marks=(first, replace(a, label="B"), replace(rest[0], label="A"), *rest[1:]))
    if question.task == "correspondence_coordinate":
        x, y = value
        yield replace(question, answer=Answer(format=form, value=(y, x) if abs(x - y) > 20 else (x, 1000 - y + 50)))
        yield replace(question, answer=Answer(format=form, value=form.parse(PLACE.search(question.text)[0])))
        yield replace(question, answer=Answer(format=Point(width=640, height=480), value=value))


@EVERY_TASK
def test_planted_errors_are_found(task):
    count = 0
    for question in ask(ROOM, task).questions:
        assert check_all([question], ROOM) == ()
        for wrong in corruptions(question):
            assert check_all([wrong], ROOM), (wrong.text, wrong.answer.text, wrong.frame_ids)
            count += 1
    assert count >= 40


@EVERY_TASK
def test_every_unit_scale_and_difficulty_is_confirmed(task):
    finer, shares = {"length_unit": "mm"}, {"length_unit": "cm", "tolerance_share": 0.2}
    for options in (finer, shares, {"point_scale": "pixels"}, {"hard_distractors": True}):
        questions = ask(ROOM, task, **options).questions
        assert len(questions) >= 20 and check_all(questions, ROOM) == ()


def test_the_tasks_are_listed():
    assert {*POINT_TASKS, *PAIR_TASKS, *MATCH_TASKS, "dot_position"} <= set(TASKS)


# The control


@pytest.mark.parametrize(
    ("u_px", "v_px", "wanted"), [(60, 40, "upper left"), (260, 40, "upper right"), (60, 200, "lower left"), (260, 200, "lower right")]
)
def test_a_dot_is_in_the_quarter_where_it_is_drawn(u_px, v_px, wanted):
    facts = one_image([[u_px, v_px], [160, 20], [160, 220]], [2.0, 2.0, 2.0])  # the other two are on a middle line and not asked about
    for seed in range(4):
        (question,) = ask(facts, "dot_position", seed=seed).questions
        assert question.answer.format.option_of(question.answer.value) == wanted and len(question.marks) == 3
        assert (question.marks[0].u_px, question.marks[0].v_px) == (u_px, v_px) and f"{question.marks[0].colour} " in question.text


def test_each_letter_and_each_quarter_is_right_equally_often():
    asked = ask(facts_of(ring_of_cameras(8), None, points=point_facts(ring_of_cameras(8), per_frame=30)), "dot_position").questions
    assert Counter(one.answer.value for one in asked) == dict.fromkeys("ABCD", 10)
    assert set(Counter(one.answer.format.option_of(one.answer.value) for one in asked).values()) == {10}


@pytest.mark.parametrize(
    ("uv", "reason"), [([[60, 40], [160, 20]], "too_few_points_in_image"), ([[60, 40], [70, 42], [62, 60]], "dots_too_close_in_image")]
)
def test_a_dot_without_two_others_apart_from_it_is_not_asked_about(uv, reason):
    result = ask(one_image(uv, [2.0] * len(uv)), "dot_position")
    assert result.questions == () and result.skip_counts == {"dot_position": {reason: len(uv)}}
